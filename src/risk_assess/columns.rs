//! The columns of Risk Assess' files: the user import template, the Quick Integration file, the grid export and the error report name them
//! differently; here each has one name.
//!
//! Invariant: headers are compared by letters and digits alone, so case, spaces, dashes and a required-mark do not matter.

/// A column that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    /// Number of the Coupa user.
    CoupaUserId,
    /// Login of the Coupa user.
    CoupaUsername,
    /// User name in Risk Assess; the e-mail address unless an alternate one is set (D501).
    Username,
    /// E-mail address.
    Email,
    /// Alternate e-mail address (D501).
    AlternateEmail,
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
    /// Active or not: `Status` in the template, `Activated` in Quick Integration.
    Status,
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
    /// First line of the address: `Mailing Address` in the template.
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
    /// User group.
    UserGroup,
    /// User name for single sign-on (template: column AF; blank never clears).
    SsoUsername,
    /// Whether the account is a supplier's.
    IsSupplierUser,
    /// Whether the account is an administrator's.
    IsAdministrator,
    /// When a sync failed (error report).
    FailedAt,
}

/// Each column: its title in our own files, its name in the Quick Integration file where it has one, and other headers it is known by.
const NAMES: [(Column, &str, Option<&str>, &[&str]); 29] = [
    (
        Column::CoupaUserId,
        "Coupa User ID",
        None,
        &["coupaid", "coupauserid", "coupaenterpriseuserid"],
    ),
    (
        Column::CoupaUsername,
        "Coupa Username",
        None,
        &["coupalogin", "coupauser", "coupaenterpriseusername"],
    ),
    (
        Column::Username,
        "Username",
        None,
        &["username", "riskassessusername", "loginname"],
    ),
    (
        Column::Email,
        "Email",
        Some("EmailAddress"),
        &["emailaddress", "mail", "riskassessemail", "primaryemail"],
    ),
    (
        Column::AlternateEmail,
        "Alternate Email",
        Some("AlternateEmail"),
        &[],
    ),
    (Column::FirstName, "First Name", Some("FirstName"), &["givenname"]),
    (Column::Middle, "Middle", Some("Middle"), &["middlename"]),
    (
        Column::LastName,
        "Last Name",
        Some("LastName"),
        &["surname", "familyname"],
    ),
    (Column::Prefix, "Prefix", Some("Prefix"), &["nameprefix"]),
    (Column::Title, "Title", Some("Title"), &["jobtitle"]),
    (
        Column::Status,
        "Status",
        Some("Activated"),
        &["active", "isactive"],
    ),
    (
        Column::BusinessPhone,
        "Business Phone",
        Some("BusinessPhone"),
        &[
            "business",
            "workphone",
            "phonework",
            "phone",
            "businessphonenumber",
        ],
    ),
    (
        Column::BusinessExt,
        "Business Ext",
        None,
        &["businessextension", "ext", "extension"],
    ),
    (
        Column::Mobile,
        "Mobile",
        Some("MobilePhone"),
        &["cell", "mobilephonenumber"],
    ),
    (Column::Home, "Home", Some("HomePhone"), &["homephonenumber"]),
    (Column::Fax, "Fax", Some("FaxNumber"), &[]),
    (
        Column::Address1,
        "Mailing Address",
        Some("Address1"),
        &["address", "street", "street1", "addressline1", "mailingaddress1"],
    ),
    (
        Column::Address2,
        "Mailing Address 2",
        Some("Address2"),
        &["street2", "addressline2"],
    ),
    (Column::City, "City", Some("City"), &["town"]),
    (
        Column::State,
        "State/Province",
        Some("State"),
        &["province", "stateorprovince"],
    ),
    (
        Column::PostalCode,
        "Postal Code",
        Some("PostalCode"),
        &["zip", "zipcode", "postcode"],
    ),
    (Column::County, "County", Some("County"), &[]),
    (Column::Country, "Country", Some("Country"), &["countrycode"]),
    (Column::Culture, "Culture", Some("Culture"), &[]),
    (
        Column::UserGroup,
        "User Group",
        Some("UserGroup"),
        &["usergroups", "group", "groups"],
    ),
    (
        Column::SsoUsername,
        "SSO Username",
        Some("SSOUsername"),
        &["ssouser", "singlesignonusername"],
    ),
    (
        Column::IsSupplierUser,
        "Supplier User",
        Some("IsSupplierUser"),
        &[],
    ),
    (
        Column::IsAdministrator,
        "Administrator",
        Some("IsAdministrator"),
        &["admin"],
    ),
    (
        Column::FailedAt,
        "Date Sync Failed",
        None,
        &[
            "syncfaileddate",
            "datefailed",
            "faileddate",
            "failuredate",
            "dateofthefailedsync",
            "syncfailedon",
            "failedat",
            "syncdate",
        ],
    ),
];

impl Column {
    /// Columns without which a user import does not run (S2).
    pub const MANDATORY: [Self; 5] = [
        Self::FirstName,
        Self::LastName,
        Self::Email,
        Self::CoupaUsername,
        Self::CoupaUserId,
    ];

    /// Columns that an import does not change for users who are synced with Coupa (S2).
    pub const PROTECTED: [Self; 15] = [
        Self::Username,
        Self::FirstName,
        Self::LastName,
        Self::Email,
        Self::Status,
        Self::CoupaUsername,
        Self::BusinessExt,
        Self::Mobile,
        Self::Home,
        Self::Fax,
        Self::Address1,
        Self::City,
        Self::State,
        Self::PostalCode,
        Self::County,
    ];

    /// Every column.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(column, ..)| *column)
    }

    /// Its title in the template and in our files.
    pub fn title(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// Its name in the Quick Integration users file (D501), where it has one.
    pub fn quick_integration(self) -> Option<&'static str> {
        NAMES[self as usize].2
    }

    /// The column of a header.
    pub fn of_header(header: &str) -> Option<Self> {
        let header = plain(header);
        let known = |(_, title, quick, others): &&(Self, &str, Option<&str>, &[&str])| {
            plain(title) == header
                || quick.is_some_and(|quick| plain(quick) == header)
                || others.contains(&header.as_str())
        };
        NAMES.iter().find(known).map(|(column, ..)| *column)
    }
}

/// Letters and digits, lower case.
pub fn plain(header: &str) -> String {
    let kept = header.chars().filter(|letter| letter.is_alphanumeric());
    kept.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_columns() {
        for (place, column) in Column::all().enumerate() {
            assert_eq!(column as usize, place, "{column:?}");
        }
    }

    #[test]
    fn a_header_means_one_column() {
        for (place, (column, title, quick, others)) in NAMES.iter().enumerate() {
            let mut headers = vec![plain(title)];
            headers.extend(quick.map(plain));
            headers.extend(others.iter().map(|other| (*other).to_owned()));
            for header in headers {
                assert_eq!(Column::of_header(&header), Some(*column), "{header}");
                let again = NAMES[place + 1..].iter().find(|(_, title, quick, others)| {
                    plain(title) == header
                        || quick.is_some_and(|quick| plain(quick) == header)
                        || others.contains(&header.as_str())
                });
                assert!(again.is_none(), "{header}");
            }
        }
        for (header, column) in [
            ("Email *", Column::Email),
            ("\u{feff}coupa_user_id", Column::CoupaUserId),
            ("E-Mail Address", Column::Email),
            ("STATE / PROVINCE", Column::State),
            ("Activated", Column::Status),
        ] {
            assert_eq!(Column::of_header(header), Some(column), "{header}");
        }
        assert_eq!(Column::of_header("Shoe size"), None);
    }
}
