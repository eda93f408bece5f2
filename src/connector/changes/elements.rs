//! What an account is made of, as the platform names it: one table for the form of new accounts and for the arguments of
//! `update_user`.
//!
//! Invariant: a bound that is told is the bound that is judged by.

use super::super::user::is_address;
use crate::model::change::{AccountDraft, AuthenticationMethod};
use crate::model::fault::Fault;
use crate::proto::config;
use crate::proto::connector::connector_account_creation_schema as schema;

/// An element of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    Login,
    Email,
    FirstName,
    LastName,
    EmployeeNumber,
    AuthenticationMethod,
    SsoIdentifier,
    Manager,
    Department,
    DefaultLocale,
    DefaultCurrency,
    CustomFields,
}

/// What values an element takes.
enum Shape {
    /// A text of at most so many characters.
    Text(u64),
    /// An e-mail address of at most so many characters.
    Address(u64),
    /// One of these words.
    Word(Vec<&'static str>),
    /// The id of a user.
    User,
    /// Texts and switches by name.
    Map,
}

impl Element {
    /// Every element, in the order in which people fill them in.
    pub(super) const ALL: [Self; 12] = [
        Self::Login,
        Self::Email,
        Self::FirstName,
        Self::LastName,
        Self::EmployeeNumber,
        Self::AuthenticationMethod,
        Self::SsoIdentifier,
        Self::Manager,
        Self::Department,
        Self::DefaultLocale,
        Self::DefaultCurrency,
        Self::CustomFields,
    ];

    /// The key in profiles and arguments: that of the profile of a listed user, where it has one.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Email => "email",
            Self::FirstName => "first_name",
            Self::LastName => "last_name",
            Self::EmployeeNumber => "employee_number",
            Self::AuthenticationMethod => "authentication_method",
            Self::SsoIdentifier => "sso_identifier",
            Self::Manager => "manager_id",
            Self::Department => "department",
            Self::DefaultLocale => "default_locale",
            Self::DefaultCurrency => "default_currency",
            Self::CustomFields => "custom_fields",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Login => "Login",
            Self::Email => "Email",
            Self::FirstName => "First name",
            Self::LastName => "Last name",
            Self::EmployeeNumber => "Employee number",
            Self::AuthenticationMethod => "Authentication method",
            Self::SsoIdentifier => "SSO identifier",
            Self::Manager => "Manager",
            Self::Department => "Department",
            Self::DefaultLocale => "Default locale",
            Self::DefaultCurrency => "Default currency",
            Self::CustomFields => "Custom fields",
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::Login => "Name to sign in with; unique in Coupa",
            Self::Email => "E-mail address; unique in Coupa",
            Self::FirstName => "Given name",
            Self::LastName => "Family name",
            Self::EmployeeNumber => "Number in the HR system; unique in Coupa",
            Self::AuthenticationMethod => "How the person signs in: coupa_credentials, ldap or saml",
            Self::SsoIdentifier => "Name by which the identity provider knows the person",
            Self::Manager => "Coupa id of the manager's account, which must exist",
            Self::Department => "Name of the department, which must exist in Coupa",
            Self::DefaultLocale => "Language and region; some tenants need it for new accounts",
            Self::DefaultCurrency => "Code of the currency; some tenants need it for new accounts",
            Self::CustomFields => {
                "Custom fields of the tenant by their API names; the tenant can make them mandatory"
            }
        }
    }

    const fn placeholder(self) -> &'static str {
        match self {
            Self::Login | Self::Email => "anna.nagy@example.com",
            Self::FirstName => "Anna",
            Self::LastName => "Nagy",
            Self::AuthenticationMethod => "saml",
            Self::Manager => "4711",
            Self::DefaultLocale => "en",
            Self::DefaultCurrency => "USD",
            Self::EmployeeNumber | Self::SsoIdentifier | Self::Department | Self::CustomFields => "",
        }
    }

    fn shape(self) -> Shape {
        match self {
            Self::FirstName | Self::LastName => Shape::Text(40),
            Self::Login
            | Self::EmployeeNumber
            | Self::SsoIdentifier
            | Self::Department
            | Self::DefaultLocale
            | Self::DefaultCurrency => Shape::Text(255),
            Self::Email => Shape::Address(255),
            Self::AuthenticationMethod => {
                Shape::Word(AuthenticationMethod::ALL.map(AuthenticationMethod::name).into())
            }
            Self::Manager => Shape::User,
            Self::CustomFields => Shape::Map,
        }
    }

    /// Whether Coupa makes no account without it.
    pub(super) const fn needed(self) -> bool {
        matches!(self, Self::Login | Self::Email | Self::FirstName | Self::LastName)
    }

    /// Whether a draft says something about it.
    pub(super) fn is_said(self, draft: &AccountDraft) -> bool {
        match self {
            Self::Login => draft.login.is_some(),
            Self::Email => draft.email.is_some(),
            Self::FirstName => draft.first_name.is_some(),
            Self::LastName => draft.last_name.is_some(),
            Self::EmployeeNumber => draft.employee_number.is_some(),
            Self::AuthenticationMethod => draft.authentication_method.is_some(),
            Self::SsoIdentifier => draft.sso_identifier.is_some(),
            Self::Manager => draft.manager.is_some(),
            Self::Department => draft.department.is_some(),
            Self::DefaultLocale => draft.default_locale.is_some(),
            Self::DefaultCurrency => draft.default_currency.is_some(),
            Self::CustomFields => !draft.custom.is_empty(),
        }
    }

    /// The element in the form of new accounts.
    pub(super) fn of_form(self) -> schema::Field {
        let field = match self.shape() {
            Shape::Map => schema::field::Field::MapField(schema::MapField::default()),
            Shape::Text(_) | Shape::Address(_) | Shape::Word(_) | Shape::User => {
                schema::field::Field::StringField(schema::StringField::default())
            }
        };
        schema::Field {
            display_name: self.title().to_owned(),
            required: self.needed(),
            description: self.description().to_owned(),
            placeholder: self.placeholder().to_owned(),
            field: Some(field),
            ..schema::Field::default()
        }
    }

    /// The element as an argument of an action, not required.
    pub(super) fn of_action(self) -> config::Field {
        let text = |rules| {
            config::field::Field::StringField(config::StringField {
                rules: Some(rules),
                ..config::StringField::default()
            })
        };
        let field = match self.shape() {
            Shape::Text(longest) => text(config::StringRules {
                max_len: Some(longest),
                ..config::StringRules::default()
            }),
            Shape::Address(longest) => text(config::StringRules {
                max_len: Some(longest),
                well_known: config::WellKnownString::Email.into(),
                ..config::StringRules::default()
            }),
            Shape::Word(words) => text(config::StringRules {
                r#in: words.into_iter().map(str::to_owned).collect(),
                ..config::StringRules::default()
            }),
            Shape::User => text(config::StringRules {
                pattern: Some("^[1-9][0-9]*$".to_owned()),
                ..config::StringRules::default()
            }),
            Shape::Map => config::field::Field::StringMapField(config::StringMapField::default()),
        };
        config::Field {
            name: self.name().to_owned(),
            display_name: self.title().to_owned(),
            description: self.description().to_owned(),
            placeholder: self.placeholder().to_owned(),
            field: Some(field),
            ..config::Field::default()
        }
    }

    /// Whether a text keeps the bounds of the element.
    pub(super) fn judge(self, text: &str) -> Result<(), Fault> {
        let name = self.name();
        let longest = match self.shape() {
            Shape::Text(longest) | Shape::Address(longest) => longest,
            Shape::Word(words) if !words.contains(&text) => {
                let words = words.join(", ");
                return Err(Fault::invalid(format!("{name} is none of {words}")));
            }
            Shape::Word(_) | Shape::User | Shape::Map => return Ok(()),
        };
        if text.chars().count() as u64 > longest {
            return Err(Fault::invalid(format!(
                "{name} is longer than {longest} characters"
            )));
        }
        if self == Self::Email && !is_address(text) {
            return Err(Fault::invalid(format!("{name} is not an e-mail address")));
        }
        Ok(())
    }
}
