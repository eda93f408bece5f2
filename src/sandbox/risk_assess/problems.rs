//! What could not be carried over, and the report of it.
//!
//! Invariant: a problem keeps the values as they were when it came up. The header names are ours: none are published, only that the report has
//! the date, everything from Coupa, and three fields of Risk Assess (S2).

use serde::{Deserialize, Serialize};

use super::accounts::Account;
use super::coupa_user::CoupaUser;
use super::fields::Field;

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The sync.
    Sync,
    /// An import of the template.
    Import,
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The Coupa user has no e-mail address.
    NoEmail,
    /// The Coupa user is a supplier's.
    SupplierUser,
    /// The account is a supplier's.
    SupplierAccount,
    /// Another account has that e-mail address or user name.
    EmailTaken,
    /// Another account has that Coupa Username.
    LoginTaken,
    /// The account is linked to another Coupa user.
    LinkedToAnother,
    /// The account of that e-mail address names another Coupa Username.
    OtherLogin,
    /// A value that Risk Assess does not take.
    BadValue,
}

/// What Coupa, or the file, says of the user. Blank values are empty.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Original {
    /// Coupa id.
    pub id: String,
    /// Login.
    pub login: String,
    /// E-mail address.
    pub email: String,
    /// `Yes` or `No`.
    pub active: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Business phone.
    pub business_phone: String,
    /// First line of the address.
    pub street1: String,
    /// Second line of the address.
    pub street2: String,
    /// City.
    pub city: String,
    /// State.
    pub state: String,
    /// Postal code.
    pub postal_code: String,
    /// Code of the country.
    pub country: String,
}

impl std::fmt::Debug for Original {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Original")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Original {
    pub(super) fn of_user(user: &CoupaUser) -> Self {
        Self::of_fields(user.id.to_string(), Some(user.active), |field| {
            user.fields().remove(&field).unwrap_or_default()
        })
    }

    pub(super) fn of_fields(id: String, active: Option<bool>, get: impl Fn(Field) -> String) -> Self {
        Self {
            id,
            active: active
                .map_or("", |active| if active { "Yes" } else { "No" })
                .to_owned(),
            login: get(Field::CoupaUsername),
            email: get(Field::Email),
            first_name: get(Field::FirstName),
            last_name: get(Field::LastName),
            business_phone: get(Field::BusinessPhone),
            street1: get(Field::Address1),
            street2: get(Field::Address2),
            city: get(Field::City),
            state: get(Field::State),
            postal_code: get(Field::PostalCode),
            country: get(Field::Country),
        }
    }
}

/// One failure. `Debug` leaves out everything personal.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Problem {
    /// Seconds since 1970.
    pub at: i64,
    /// What failed.
    pub source: Source,
    /// Why. The report does not tell it.
    pub reason: Reason,
    /// The column concerned, if it is one.
    pub field: Option<Field>,
    /// The values from Coupa.
    pub coupa: Original,
    /// The account concerned, if there is one.
    pub account: Option<u64>,
    /// Its user name.
    pub username: String,
    /// Its Coupa Username.
    pub coupa_username: String,
    /// Its e-mail address.
    pub email: String,
}

impl std::fmt::Debug for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Problem")
            .field("source", &self.source)
            .field("reason", &self.reason)
            .field("field", &self.field)
            .field("coupa", &self.coupa)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

impl Problem {
    pub(super) fn new(
        at: i64,
        source: Source,
        reason: Reason,
        field: Option<Field>,
        coupa: Original,
        account: Option<&Account>,
    ) -> Self {
        let value = |field| {
            account
                .map(|account| account.get(field).to_owned())
                .unwrap_or_default()
        };
        Self {
            at,
            source,
            reason,
            field,
            coupa,
            account: account.map(|account| account.id),
            username: value(Field::Username),
            coupa_username: value(Field::CoupaUsername),
            email: value(Field::Email),
        }
    }
}

/// The report as it goes out.
#[derive(Clone, PartialEq, Eq)]
pub struct ErrorReport {
    /// `User Sync Error Report - [Tenant Name] - [Report Date]` (S2).
    pub title: String,
    /// The file.
    pub csv: Vec<u8>,
}

impl std::fmt::Debug for ErrorReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ErrorReport")
            .field("title", &self.title)
            .finish_non_exhaustive()
    }
}

const HEADER: [&str; 17] = [
    "Date Sync Failed",
    "Coupa ID",
    "Coupa Login",
    "Coupa Email",
    "Coupa Active",
    "Coupa First Name",
    "Coupa Last Name",
    "Coupa Business Phone",
    "Coupa Street1",
    "Coupa Street2",
    "Coupa City",
    "Coupa State",
    "Coupa Postal Code",
    "Coupa Country Code",
    "Username",
    "Coupa Username",
    "Email",
];

impl ErrorReport {
    /// Of these problems, made on the day of `now` (seconds since 1970).
    pub(super) fn of(problems: &[Problem], now: i64) -> Self {
        let rows = problems.iter().map(|problem| {
            let Original {
                id,
                login,
                email,
                active,
                first_name,
                last_name,
                business_phone,
                street1,
                street2,
                city,
                state,
                postal_code,
                country,
            } = &problem.coupa;
            let day = day(problem.at);
            let cells: [&str; HEADER.len()] = [
                &day,
                id,
                login,
                email,
                active,
                first_name,
                last_name,
                business_phone,
                street1,
                street2,
                city,
                state,
                postal_code,
                country,
                &problem.username,
                &problem.coupa_username,
                &problem.email,
            ];
            cells.map(str::to_owned)
        });
        Self {
            title: format!("User Sync Error Report - {} - {}", super::TENANT_NAME, day(now)),
            csv: super::export::csv(&HEADER, rows),
        }
    }
}

fn day(second: i64) -> String {
    let at = jiff::Timestamp::from_second(second).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.strftime("%Y-%m-%d").to_string()
}
