//! The elements of a user that are read, by their dashed REST names.

/// The plain elements of a user that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Plain {
    Login,
    Email,
    FirstName,
    LastName,
    FullName,
    EmployeeNumber,
    Manager,
    Department,
    SsoIdentifier,
    AuthenticationMethod,
    CreatedAt,
    SupplierId,
    /// Read of one user alone: it tells a change between two reads.
    UpdatedAt,
}

impl Plain {
    /// What is read of every user.
    pub(crate) const LISTED: [Self; 12] = [
        Self::Login,
        Self::Email,
        Self::FirstName,
        Self::LastName,
        Self::FullName,
        Self::EmployeeNumber,
        Self::Manager,
        Self::Department,
        Self::SsoIdentifier,
        Self::AuthenticationMethod,
        Self::CreatedAt,
        Self::SupplierId,
    ];

    /// How many there are.
    pub(super) const COUNT: usize = Self::LISTED.len() + 1;

    /// Dashed REST name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Email => "email",
            Self::FirstName => "firstname",
            Self::LastName => "lastname",
            Self::FullName => "fullname",
            Self::EmployeeNumber => "employee-number",
            Self::Manager => "manager",
            Self::Department => "department",
            Self::SsoIdentifier => "sso-identifier",
            Self::AuthenticationMethod => "authentication-method",
            Self::CreatedAt => "created-at",
            Self::SupplierId => "supplier-id",
            Self::UpdatedAt => "updated-at",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        let mut all = Self::LISTED.into_iter().chain([Self::UpdatedAt]);
        all.find(|plain| plain.name() == name)
    }
}

/// The nested lists of a user that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum List {
    Roles,
    Groups,
}

impl List {
    pub(crate) const ALL: [Self; 2] = [Self::Roles, Self::Groups];

    /// Dashed REST name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Roles => "roles",
            Self::Groups => "user-groups",
        }
    }
}

/// One element of a user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    Plain(Plain),
    List(List),
    /// `active`, a class flag or a license flag, by its dashed name.
    Flag(Box<str>),
}

/// The name of the flag that says whether an account can sign in.
pub(crate) const ACTIVE: &str = "active";

impl Field {
    /// Dashed REST name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Plain(plain) => plain.name(),
            Self::List(list) => list.name(),
            Self::Flag(name) => name,
        }
    }

    /// The one element read of what it leads to, if it leads to other objects.
    pub(crate) const fn inner(&self) -> Option<&'static str> {
        match self {
            Self::Plain(Plain::Manager) | Self::List(_) => Some("id"),
            Self::Plain(Plain::Department) => Some("name"),
            Self::Plain(_) | Self::Flag(_) => None,
        }
    }
}
