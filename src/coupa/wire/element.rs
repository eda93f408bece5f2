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
    /// Read of one user alone: it tells a change between two reads. Read of everybody for profiles.
    UpdatedAt,
    /// Read for profiles.
    MiddleName,
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
    pub(super) const COUNT: usize = Self::LISTED.len() + 2;

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
            Self::MiddleName => "middlename",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        let mut all = Self::LISTED
            .into_iter()
            .chain([Self::UpdatedAt, Self::MiddleName]);
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
    /// An object of the user's own, in parts.
    Object(Parts),
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
            Self::Object(parts) => parts.whole.name(),
        }
    }

    /// What is read of the objects it leads to; empty if it leads to none.
    pub(crate) fn inner(&self) -> Vec<Part> {
        match self {
            Self::Plain(Plain::Manager) | Self::List(_) => vec![Part::plain("id")],
            Self::Plain(Plain::Department) => vec![Part::plain("name")],
            Self::Plain(_) | Self::Flag(_) => Vec::new(),
            Self::Object(parts) => parts.list.clone(),
        }
    }
}

/// The objects of a user that are read in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Whole {
    Phone,
    Address,
}

impl Whole {
    /// Dashed REST name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Phone => "phone-work",
            Self::Address => "default-address",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Phone, Self::Address]
            .into_iter()
            .find(|whole| whole.name() == name)
    }
}

/// One part of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Part {
    /// Dashed REST name.
    pub(crate) name: &'static str,
    /// What is read of it, if it is an object itself.
    pub(crate) of: Option<&'static str>,
}

impl Part {
    const fn plain(name: &'static str) -> Self {
        Self { name, of: None }
    }
}

/// An object and the parts of it that are asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Parts {
    whole: Whole,
    list: Vec<Part>,
}

impl Parts {
    /// `phone-work`
    pub(crate) fn phone() -> Self {
        Self {
            whole: Whole::Phone,
            list: ["country-code", "area-code", "number", "extension"]
                .map(Part::plain)
                .into(),
        }
    }

    /// `default-address`, its country as an object.
    pub(crate) fn address() -> Self {
        let plain = [
            "street1",
            "street2",
            "street3",
            "street4",
            "city",
            "state",
            "state-iso-code",
            "postal-code",
        ];
        let country = Part {
            name: "country",
            of: Some("code"),
        };
        Self {
            whole: Whole::Address,
            list: plain.into_iter().map(Part::plain).chain([country]).collect(),
        }
    }

    pub(super) const fn whole(&self) -> Whole {
        self.whole
    }

    /// What is left to ask for where the surface refuses some of these names; `None` if nothing can be left out.
    pub(crate) fn without(&self, refused: impl Fn(&str) -> bool) -> Option<Self> {
        let keep = |part: &Part| match part.of {
            // The country may be a plain text.
            Some(of) if refused(part.name) || refused(of) => Some(Part::plain(part.name)),
            // Words as common as these may stand in any message, and only these can be missing.
            None if SELDOM.contains(&part.name) && refused(part.name) => None,
            Some(_) | None => Some(*part),
        };
        let list: Vec<Part> = self.list.iter().filter_map(keep).collect();
        let whole = self.whole;
        (list != self.list).then_some(Self { whole, list })
    }
}

/// Parts of an address that a schema may lack.
const SELDOM: [&str; 4] = ["street2", "street3", "street4", "state-iso-code"];

#[cfg(test)]
mod tests {
    use super::*;

    fn without(parts: &Parts, refused: &[&str]) -> Option<Vec<Part>> {
        parts
            .without(|name| refused.contains(&name))
            .map(|left| left.list)
    }

    #[test]
    fn what_a_schema_lacks_is_left_out_and_common_words_are_not() {
        let address = Parts::address();
        let left = without(&address, &["street3", "state-iso-code", "city"]).unwrap_or_default();
        let names: Vec<&str> = left.iter().map(|part| part.name).collect();
        assert_eq!(
            names,
            [
                "street1",
                "street2",
                "street4",
                "city",
                "state",
                "postal-code",
                "country"
            ]
        );
        let plain = without(&address, &["country"]).unwrap_or_default();
        assert!(plain.len() == address.list.len() && plain.iter().all(|part| part.of.is_none()));
        assert_eq!(without(&address, &["city", "number"]), None);
        assert_eq!(without(&Parts::phone(), &["number", "extension"]), None);
    }
}
