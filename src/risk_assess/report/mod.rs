//! The error report: users whose data Risk Assess does not have, or may not take, as Coupa has them, as a CSV in the shape of Coupa's own.
//!
//! Coupa's report is mailed to one person after a user import and is titled `User Sync Error Report - [Tenant Name] - [Report Date]`; it holds
//! the date of the failed sync, all original data from Coupa, then Risk Assess' `Username`, `Coupa Username` and `Email` (S2). Its headers
//! are not published: ours say of each value whose it is.
//!
//! Invariants: a value of Risk Assess stands here only if a grid export or an import file showed it, and the row says which; what is not
//! known is blank and called unknown, never copied from Coupa. Each row says who made it.

mod file;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use jiff::Timestamp;
use jiff::civil::Date;

use super::columns::Column;
use super::mismatch::Mismatch;
use super::sheet::{self, Cell};
use crate::model::fault::Fault;
use crate::model::profile::{Address, Phone, Profile};

pub use file::write;

/// Who made the report, so that nobody takes it for Coupa's.
const MADE_BY: &str = concat!("baton-coupa ", env!("CARGO_PKG_VERSION"), ", not Coupa");

/// Most bytes of a tenant's name in a file name: with the rest and a suffix far below the 255 of file systems.
const TENANT_BYTES: usize = 120;

/// By what the accounts of Risk Assess in a report were shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShownBy {
    /// An export of the user grid.
    GridExport,
    /// A file for the user import.
    ImportFile,
}

impl ShownBy {
    /// What the column `Risk Assess Values` says.
    pub const fn text(self) -> &'static str {
        match self {
            Self::GridExport => "from grid export",
            Self::ImportFile => "from import file",
        }
    }
}

/// What the column `Risk Assess Values` says where nothing showed them.
pub(crate) const UNKNOWN: &str = "unknown";

/// A report, ready to be mailed or written. Its `Debug` shows no content.
#[derive(Clone, PartialEq, Eq)]
pub struct Report {
    /// Title; also the subject of the mail.
    pub title: String,
    /// Name of the file.
    pub file_name: String,
    /// The file.
    pub csv: Vec<u8>,
    /// What it is, in a few sentences without personal values.
    pub summary: String,
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("title", &self.title)
            .field("bytes", &self.csv.len())
            .finish_non_exhaustive()
    }
}

/// The report on these mismatches; `None` if there are none. `shown_by` is where their accounts of Risk Assess come from.
pub fn compose(
    mismatches: &[Mismatch],
    tenant: &str,
    date: Date,
    shown_by: ShownBy,
) -> Result<Option<Report>, Fault> {
    if mismatches.is_empty() {
        return Ok(None);
    }
    Ok(Some(Report {
        title: title(tenant, date),
        file_name: file_name(tenant, date),
        csv: csv(mismatches, shown_by)?,
        summary: summary(mismatches),
    }))
}

/// The title: what stands in brackets in Coupa's description (S2) is filled in.
pub fn title(tenant: &str, date: Date) -> String {
    format!("User Sync Error Report - {} - {date}", one_line(tenant))
}

/// The title as the name of a CSV file: one component of a path on every common system, and bounded.
pub fn file_name(tenant: &str, date: Date) -> String {
    let safe = |letter: char| match letter {
        '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '_',
        other => other,
    };
    let mut tenant: String = one_line(tenant).chars().map(safe).collect();
    tenant.truncate(tenant.floor_char_boundary(TENANT_BYTES));
    format!("{}.csv", title(&tenant, date))
}

/// The name without line breaks, other control letters, or letters that turn the reading direction.
fn one_line(tenant: &str) -> String {
    let kept = tenant.chars().map(|letter| match letter {
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => ' ',
        letter if letter.is_control() => ' ',
        letter => letter,
    });
    let kept: String = kept.collect();
    let words: Vec<&str> = kept.split_whitespace().collect();
    if words.is_empty() {
        return "Unknown Tenant".to_owned();
    }
    words.join(" ")
}

/// The file: one row per mismatch, a header even if there are none.
pub fn csv(mismatches: &[Mismatch], shown_by: ShownBy) -> Result<Vec<u8>, Fault> {
    let rows: Vec<Vec<Cell>> = mismatches.iter().map(|found| row(found, shown_by)).collect();
    sheet::csv(&header(), &rows)
}

/// What Coupa showed of a user, in the order of the sync's fields (S1), then the rest.
type Shown = fn(&Profile) -> String;
const COUPA: [(&str, Shown); 25] = [
    ("Coupa User ID", |user| user.user.to_string()),
    ("Coupa Username", |user| user.login.to_string()),
    ("Coupa Email", |user| text(user.email.as_ref())),
    ("Coupa Status", |user| {
        if user.active { "Active" } else { "Inactive" }.to_owned()
    }),
    ("Coupa First Name", |user| text(user.first_name.as_ref())),
    ("Coupa Middle Name", |user| text(user.middle_name.as_ref())),
    ("Coupa Last Name", |user| text(user.last_name.as_ref())),
    ("Coupa Business Phone", business_phone),
    ("Coupa Phone Country Code", |user| {
        phone(user, |phone| phone.country_code.as_ref())
    }),
    ("Coupa Phone Area Code", |user| {
        phone(user, |phone| phone.area_code.as_ref())
    }),
    ("Coupa Phone Number", |user| {
        phone(user, |phone| phone.number.as_ref())
    }),
    ("Coupa Business Ext", |user| {
        phone(user, |phone| phone.extension.as_ref())
    }),
    ("Coupa Mailing Address", |user| {
        address(user, |address| address.street1.as_ref())
    }),
    ("Coupa Mailing Address 2", |user| {
        address(user, |address| address.street2.as_ref())
    }),
    ("Coupa Mailing Address 3", |user| {
        address(user, |address| address.street3.as_ref())
    }),
    ("Coupa Mailing Address 4", |user| {
        address(user, |address| address.street4.as_ref())
    }),
    ("Coupa City", |user| {
        address(user, |address| address.city.as_ref())
    }),
    ("Coupa State/Province", |user| {
        address(user, |address| address.state.as_ref())
    }),
    ("Coupa State ISO Code", |user| {
        address(user, |address| address.state_iso_code.as_ref())
    }),
    ("Coupa Postal Code", |user| {
        address(user, |address| address.postal_code.as_ref())
    }),
    ("Coupa Country", |user| {
        address(user, |address| address.country.as_ref())
    }),
    ("Coupa Risk Assess License", |user| {
        match user.licensed {
            Some(true) => "Yes",
            Some(false) => "No",
            None => "",
        }
        .to_owned()
    }),
    ("Coupa Account Class", |user| user.class.name().to_owned()),
    ("Coupa Authentication Method", |user| {
        text(user.authentication_method.as_ref())
    }),
    ("Coupa Updated At", |user| {
        user.updated_at.map(second).unwrap_or_default()
    }),
];

/// The columns of Risk Assess in the report (S2), in its order.
const RISK_ASSESS: [(&str, Column); 3] = [
    ("Risk Assess Username", Column::Username),
    ("Risk Assess Coupa Username", Column::CoupaUsername),
    ("Risk Assess Email", Column::Email),
];

fn header() -> Vec<String> {
    let coupa = COUPA.iter().map(|(title, _)| *title);
    let theirs = RISK_ASSESS.iter().map(|(title, _)| *title);
    [Column::FailedAt.title()]
        .into_iter()
        .chain(coupa)
        .chain(theirs)
        .chain(["Risk Assess Values", "Fields", "Reason", "Made By"])
        .map(str::to_owned)
        .collect()
}

fn row(found: &Mismatch, shown_by: ShownBy) -> Vec<Cell> {
    let coupa = COUPA.iter().map(|(_, shown)| shown(&found.profile));
    let theirs = RISK_ASSESS.iter().map(|(_, column)| {
        let account = found.theirs.as_ref();
        account
            .and_then(|account| account.get(*column))
            .unwrap_or_default()
            .to_owned()
    });
    let values = match found.theirs {
        Some(_) => shown_by.text(),
        None => UNKNOWN,
    };
    let fields: Vec<&str> = found.fields.iter().map(|column| column.title()).collect();
    [second(found.at)]
        .into_iter()
        .chain(coupa)
        .chain(theirs)
        .chain([
            values.to_owned(),
            fields.join("; "),
            found.reason.clone(),
            MADE_BY.to_owned(),
        ])
        .map(Cell::plain)
        .collect()
}

fn text(value: Option<&Box<str>>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

fn phone(user: &Profile, part: impl Fn(&Phone) -> Option<&Box<str>>) -> String {
    text(user.phone.as_ref().and_then(part))
}

/// The number in one piece, as people write it.
fn business_phone(user: &Profile) -> String {
    let Some(phone) = &user.phone else {
        return String::new();
    };
    let parts = [
        phone.country_code.as_ref().map(|code| format!("+{code}")),
        phone.area_code.as_ref().map(ToString::to_string),
        phone.number.as_ref().map(ToString::to_string),
        phone.extension.as_ref().map(|extension| format!("x{extension}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn address(user: &Profile, part: impl Fn(&Address) -> Option<&Box<str>>) -> String {
    text(user.address.as_ref().and_then(part))
}

/// A time to the second, RFC 3339 in UTC.
fn second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn summary(mismatches: &[Mismatch]) -> String {
    let mut fields: BTreeMap<Column, usize> = BTreeMap::new();
    for column in mismatches.iter().flat_map(|found| &found.fields) {
        *fields.entry(*column).or_default() += 1;
    }
    let whole = mismatches.iter().filter(|found| found.fields.is_empty()).count();
    let mut text = format!(
        "Mismatches between Coupa and Risk Assess: {}. The attached CSV has a row for each.\n",
        mismatches.len()
    );
    for (column, count) in fields {
        let _ = writeln!(text, "  {}: {count}", column.title());
    }
    if whole > 0 {
        let _ = writeln!(text, "  no single field: {whole}");
    }
    let _ = write!(
        text,
        "\nWhat to change where: baton-coupa risk-assess explain FILE\nMade by {MADE_BY}.\n"
    );
    text
}

#[cfg(test)]
mod tests;
