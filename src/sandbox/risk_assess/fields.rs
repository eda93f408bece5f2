//! The columns of Risk Assess' user table, and what the two import files call them.
//!
//! Invariant: one table; the import, the template, the sync and the grid can only disagree where it says so. Quick Integration's names, lengths
//! and checks are those of D501; the template's names and what is protected are those of S2, the rest of its names is our reading.

use serde::{Deserialize, Serialize};

/// A column of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Field {
    /// User name: the e-mail address unless an alternate one is set.
    Username,
    /// Login of the Coupa user.
    CoupaUsername,
    /// E-mail address.
    Email,
    /// First name.
    FirstName,
    /// Middle name.
    Middle,
    /// Last name.
    LastName,
    /// Name prefix.
    Prefix,
    /// Title.
    Title,
    /// Business phone.
    BusinessPhone,
    /// Extension of the business phone.
    BusinessExt,
    /// Mobile phone.
    Mobile,
    /// Home phone.
    Home,
    /// Fax.
    Fax,
    /// First line of the address.
    Address1,
    /// Second line of the address.
    Address2,
    /// City.
    City,
    /// State or province.
    State,
    /// Postal code.
    PostalCode,
    /// County.
    County,
    /// Country.
    Country,
    /// Culture.
    Culture,
    /// User name for single sign-on.
    SsoUsername,
    /// Supplier's name.
    SupplierName,
    /// Supplier's number.
    SupplierReference,
    /// No e-mail at all.
    TurnOffEmails,
    /// Where links in notices lead.
    NoticeLinkMode,
    /// First view.
    DefaultDashboardView,
    /// Who may change the dashboard.
    PersonalizationMode,
    /// Template of the dashboard.
    PersonalizeTemplateName,
    /// Quick access to tabs.
    EnableTabQuickAccess,
}

/// Where a column of a file goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Text(Field),
    Active,
    Supplier,
    Administrator,
    Group,
    CoupaId,
}

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    Any,
    Email,
    Phone,
    YesNo,
    OneOf(&'static [&'static str]),
    Country,
    /// Depends on the country beside it.
    State,
    Supplier,
}

/// One column.
pub(super) struct Column {
    pub(super) place: Place,
    /// Quick Integration's name.
    quick: Option<&'static str>,
    /// The template's name.
    template: Option<&'static str>,
    /// Longest value, in characters.
    pub(super) longest: usize,
    pub(super) check: Check,
    /// An import does not change it for accounts that are synced (S2).
    pub(super) protected: bool,
}

/// The two kinds of import file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Users file of Quick Integration (D501).
    Quick,
    /// User Import Template (S2).
    Template,
}

pub(super) const PREFIXES: [&str; 4] = ["Mr.", "Mrs.", "Ms.", "Dr."];
pub(super) const CULTURES: [&str; 6] = ["en-US", "en-GB", "de-DE", "fr-CA", "fr-FR", "ja-JP"];
pub(super) const GROUPS: [&str; 5] = [
    super::INTEGRATION_GROUP,
    "QuickIntegration-Engagements",
    "Assessors",
    "Risk Managers",
    "Évaluateurs",
];

const NAME: usize = 64;
const ADDRESS: usize = 256;
const PHONE: usize = 10;

const fn text(field: Field, quick: Option<&'static str>, template: Option<&'static str>) -> Column {
    Column {
        place: Place::Text(field),
        quick,
        template,
        longest: NAME,
        check: Check::Any,
        protected: false,
    }
}

const fn flag(place: Place, quick: &'static str, template: &'static str) -> Column {
    Column {
        place,
        quick: Some(quick),
        template: Some(template),
        longest: 8,
        check: Check::YesNo,
        protected: false,
    }
}

impl Column {
    const fn checked(self, check: Check) -> Self {
        Self { check, ..self }
    }

    const fn up_to(self, longest: usize) -> Self {
        Self { longest, ..self }
    }

    const fn protected(self) -> Self {
        Self {
            protected: true,
            ..self
        }
    }

    /// Its name in a file of this kind, if it stands there.
    pub(super) fn name(&self, dialect: Dialect) -> Option<&'static str> {
        match dialect {
            Dialect::Quick => self.quick,
            Dialect::Template => self.template,
        }
    }
}

#[rustfmt::skip] // one column a line
pub(super) static COLUMNS: [Column; 35] = [
    text(Field::Username, Some("EmailAddress"), Some("Username")).up_to(ADDRESS).checked(Check::Email).protected(),
    text(Field::Email, Some("AlternateEmail"), Some("Email")).up_to(ADDRESS).checked(Check::Email).protected(),
    text(Field::CoupaUsername, None, Some("Coupa Username")).up_to(255).protected(),
    Column { place: Place::CoupaId, quick: None, template: Some("Coupa User ID"), longest: 20, check: Check::Any, protected: true },
    text(Field::FirstName, Some("FirstName"), Some("First Name")).protected(),
    text(Field::Middle, Some("Middle"), Some("Middle")),
    text(Field::LastName, Some("LastName"), Some("Last Name")).protected(),
    text(Field::Prefix, Some("Prefix"), Some("Prefix")).checked(Check::OneOf(&PREFIXES)),
    text(Field::Title, Some("Title"), Some("Title")),
    flag(Place::Active, "Activated", "Status").protected(),
    flag(Place::Supplier, "IsSupplierUser", "Supplier User"),
    flag(Place::Administrator, "IsAdministrator", "Administrator"),
    text(Field::SupplierReference, Some("ExternalSupplierReference"), None).checked(Check::Supplier),
    text(Field::SupplierName, Some("SupplierName"), Some("Supplier Name")).checked(Check::Supplier),
    text(Field::Culture, Some("Culture"), Some("Culture")).checked(Check::OneOf(&CULTURES)),
    text(Field::TurnOffEmails, Some("TurnOffEmails"), Some("Turn Off Emails")).checked(Check::YesNo),
    text(Field::NoticeLinkMode, Some("NoticeLinkMode"), None).checked(Check::OneOf(&["Default", "Direct", "SSO"])),
    text(Field::DefaultDashboardView, Some("DefaultDashboardView"), None).checked(Check::OneOf(&["Personal", "Widgets", "Analytics"])),
    text(Field::PersonalizationMode, Some("PersonalizationMode"), None).checked(Check::OneOf(&["Open", "Locked", "Restricted"])),
    text(Field::PersonalizeTemplateName, Some("PersonalizeTemplateName"), None).up_to(255),
    text(Field::EnableTabQuickAccess, Some("EnableTabQuickAccess"), None).checked(Check::YesNo),
    text(Field::BusinessPhone, Some("BusinessPhone"), Some("Business Phone")).up_to(PHONE).checked(Check::Phone),
    text(Field::BusinessExt, None, Some("Business Ext")).protected(),
    text(Field::Mobile, Some("MobilePhone"), Some("Mobile")).up_to(PHONE).checked(Check::Phone).protected(),
    text(Field::Fax, Some("FaxNumber"), Some("Fax")).up_to(PHONE).checked(Check::Phone).protected(),
    text(Field::Home, Some("HomePhone"), Some("Home")).up_to(PHONE).checked(Check::Phone).protected(),
    text(Field::Country, Some("Country"), Some("Country")).checked(Check::Country),
    text(Field::Address1, Some("Address1"), Some("Mailing Address")).protected(),
    text(Field::Address2, Some("Address2"), Some("Mailing Address 2")),
    text(Field::City, Some("City"), Some("City")).protected(),
    text(Field::State, Some("State"), Some("State/Province")).checked(Check::State).protected(),
    text(Field::PostalCode, Some("PostalCode"), Some("Postal Code")).protected(),
    text(Field::County, Some("County"), Some("County")).protected(),
    Column { place: Place::Group, quick: Some("UserGroup"), template: Some("User Group"), longest: 256, check: Check::OneOf(&GROUPS), protected: false },
    text(Field::SsoUsername, Some("SSOUsername"), Some("SSO Username")).up_to(1_000),
];

impl Dialect {
    /// Columns that a file must have.
    pub(super) fn required(self) -> &'static [Place] {
        match self {
            Self::Quick => &[
                Place::Text(Field::Username),
                Place::Text(Field::FirstName),
                Place::Text(Field::LastName),
                Place::Active,
                Place::Supplier,
                Place::Administrator,
            ],
            Self::Template => &[
                Place::Text(Field::FirstName),
                Place::Text(Field::LastName),
                Place::Text(Field::Email),
                Place::Text(Field::CoupaUsername),
                Place::CoupaId,
            ],
        }
    }

    /// The column under this header; letter case, spaces and a required-mark do not count.
    pub(super) fn column(self, header: &str) -> Option<&'static Column> {
        let plain = plain(header);
        COLUMNS
            .iter()
            .find(|column| column.name(self).is_some_and(|name| self::plain(name) == plain))
    }

    /// What a file of this kind calls a place.
    pub(super) fn name_of(self, place: Place) -> &'static str {
        let column = COLUMNS.iter().find(|column| column.place == place);
        column.and_then(|column| column.name(self)).unwrap_or_default()
    }
}

/// The column of a place.
pub(super) fn column_of(place: Place) -> Option<&'static Column> {
    COLUMNS.iter().find(|column| column.place == place)
}

fn plain(header: &str) -> String {
    let kept = header.chars().filter(|letter| letter.is_alphanumeric());
    kept.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn what_s2_protects_is_protected() {
        let protected: Vec<&str> = COLUMNS
            .iter()
            .filter(|column| column.protected && column.place != Place::CoupaId)
            .filter_map(|column| column.name(Dialect::Template))
            .collect();
        assert_eq!(
            protected,
            [
                "Username",
                "Email",
                "Coupa Username",
                "First Name",
                "Last Name",
                "Status",
                "Business Ext",
                "Mobile",
                "Fax",
                "Home",
                "Mailing Address",
                "City",
                "State/Province",
                "Postal Code",
                "County",
            ]
        );
    }

    #[test]
    fn headers_are_found_whatever_their_case() {
        let place = |dialect: Dialect, header: &str| dialect.column(header).map(|column| column.place);
        assert_eq!(
            place(Dialect::Quick, "EmailAddress"),
            Some(Place::Text(Field::Username))
        );
        assert_eq!(
            place(Dialect::Quick, "Coupa User ID"),
            None,
            "D501 has no such column"
        );
        assert_eq!(place(Dialect::Template, "coupa user id *"), Some(Place::CoupaId));
        for dialect in [Dialect::Quick, Dialect::Template] {
            for required in dialect.required() {
                assert!(!dialect.name_of(*required).is_empty(), "{required:?}");
            }
        }
    }
}
