//! What a grid export of a day proves of an account.
//!
//! Invariants: a column is compared only where the export shows it at all; an export of a day before the user's newest change proves nothing of
//! the user's fields, and a link only by the Coupa id; an earlier export takes nothing back that a later one showed.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::model::downstream::{Expectation, Link, Record, Standing};
use crate::model::profile::{Phone, Profile};

use super::super::columns::{Column, plain};
use super::super::config::RiskAssessConfig;
use super::super::matching::{Conflict, Found, Keys, Roster};
use super::super::theirs::TheirAccount;
use super::problem::{self, day, grid_time};
use super::{
    GRID_DIFFERS, GRID_INACTIVE, GRID_MISSING, GRID_NOT_LINKED, GRID_STILL_ACTIVE, expectation, fingerprint,
    is_synced, outset,
};

/// Columns that the grid and Coupa both have; S1: the fields of the sync.
const COMPARED: [Column; 12] = [
    Column::CoupaUserId,
    Column::CoupaUsername,
    Column::Email,
    Column::FirstName,
    Column::LastName,
    Column::BusinessPhone,
    Column::Address1,
    Column::Address2,
    Column::City,
    Column::State,
    Column::PostalCode,
    Column::Country,
];

/// What a grid shows of one user.
#[derive(Debug)]
pub struct Observation<'a> {
    /// The account that was found, if one was.
    pub found: Found<'a>,
    /// Columns in which that account is not as Coupa shows the user.
    pub differing: Vec<Column>,
    /// Columns that were compared.
    pub compared: Vec<Column>,
}

/// What is not as it should be, by a grid that proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// The kind of the problem.
    pub kind: &'static str,
    /// The columns concerned.
    pub fields: Vec<Column>,
    /// In one sentence, without values.
    pub reason: String,
}

/// Columns of which an export shows a value for somebody: only in these a blank one says something.
pub fn shown_columns(accounts: &[TheirAccount]) -> BTreeSet<Column> {
    let mut shown: BTreeSet<Column> = accounts
        .iter()
        .flat_map(|account| account.cells.keys().copied())
        .collect();
    if accounts.iter().any(|account| account.coupa_id.is_some()) {
        shown.insert(Column::CoupaUserId);
    }
    shown
}

/// Looks for a user's account among those of a grid that shows these columns.
pub fn observe<'a>(
    profile: &Profile,
    roster: &Roster<'a, TheirAccount>,
    shown: &BTreeSet<Column>,
) -> Observation<'a> {
    let found = roster.find(&Keys {
        user: profile.user,
        login: &profile.login,
        email: profile.email.as_deref(),
    });
    let mut compared = Vec::new();
    let mut differing = Vec::new();
    if let Found::Linked(_, account) = &found {
        for column in COMPARED.into_iter().filter(|column| shown.contains(column)) {
            match same(profile, account, column) {
                None => {}
                Some(true) => compared.push(column),
                Some(false) => {
                    compared.push(column);
                    differing.push(column);
                }
            }
        }
    }
    Observation {
        found,
        differing,
        compared,
    }
}

/// Whether the account has what Coupa has in that column; `None` where the two have no common form.
fn same(profile: &Profile, account: &TheirAccount, column: Column) -> Option<bool> {
    let theirs = account.get(column);
    let address = profile.address.as_ref();
    let exact = |ours: Option<&str>| Some(ours.map(str::trim).filter(|text| !text.is_empty()) == theirs);
    match column {
        Column::CoupaUserId => Some(account.coupa_id == Some(profile.user)),
        Column::CoupaUsername => Some(alike(Some(&profile.login), theirs)),
        Column::Email => Some(alike(profile.email.as_deref(), theirs)),
        Column::FirstName => exact(profile.first_name.as_deref()),
        Column::LastName => exact(profile.last_name.as_deref()),
        Column::BusinessPhone => Some(same_phone(profile.phone.as_ref(), theirs)),
        Column::Address1 => exact(address.and_then(|address| address.street1.as_deref())),
        Column::Address2 => exact(address.and_then(|address| address.street2.as_deref())),
        Column::City => exact(address.and_then(|address| address.city.as_deref())),
        Column::PostalCode => exact(address.and_then(|address| address.postal_code.as_deref())),
        Column::State => {
            let text = address.and_then(|address| address.state.as_deref());
            let code = address.and_then(|address| address.state_iso_code.as_deref());
            Some(alike(text, theirs) || alike(code, theirs))
        }
        Column::Country => {
            let code = address.and_then(|address| address.country.as_deref());
            // A setup list may show names; only codes can be told apart.
            let is_code = |text: &str| text.chars().count() == 2;
            theirs.is_none_or(is_code).then(|| alike(code, theirs))
        }
        _ => None,
    }
}

/// Equal, letter case and edge spaces aside; blank is none.
fn alike(ours: Option<&str>, theirs: Option<&str>) -> bool {
    let fold = |text: &str| text.trim().to_lowercase();
    ours.map(fold).filter(|text| !text.is_empty()) == theirs.map(fold)
}

/// Equal by their digits: with or without the country code, with or without the extension, which has a column of its own elsewhere.
fn same_phone(ours: Option<&Phone>, theirs: Option<&str>) -> bool {
    let digits = |part: Option<&str>| -> String {
        let part = part.unwrap_or_default();
        part.chars().filter(char::is_ascii_digit).collect()
    };
    let part = |pick: fn(&Phone) -> Option<&str>| digits(ours.and_then(pick));
    let country = part(|phone| phone.country_code.as_deref());
    let extension = part(|phone| phone.extension.as_deref());
    let national = part(|phone| phone.area_code.as_deref()) + &part(|phone| phone.number.as_deref());
    let theirs = digits(theirs);
    [
        national.clone(),
        format!("{country}{national}"),
        format!("{national}{extension}"),
        format!("{country}{national}{extension}"),
    ]
    .contains(&theirs)
}

/// Whether the grid shows the account as active: it shows no others (S1), unless it says so in a column.
fn is_active(account: &TheirAccount) -> bool {
    let status = account.get(Column::Status).map(plain);
    !matches!(
        status.as_deref(),
        Some("no" | "n" | "false" | "0" | "inactive" | "disabled" | "deactivated")
    )
}

/// The record after a grid of that day was compared with the profile that the record was read from; and what is not as it should be.
pub fn graded(
    mut record: Record,
    profile: &Profile,
    observation: &Observation<'_>,
    config: &RiskAssessConfig,
    grid: Date,
    at: Timestamp,
) -> (Record, Option<Failing>) {
    let last = [last_shown(&record), problem::last_grid(&record)];
    if last.into_iter().flatten().any(|last| grid < last) {
        return (record, None);
    }
    let same_reading = record.reading.fields == fingerprint(profile).fields
        && Some(record.expectation) == expectation(profile, config);
    // Without `updated-at` the change may be as new as the reading.
    let changed = profile.updated_at.unwrap_or(record.reading.at);
    if !same_reading || grid < day(changed) {
        if let Found::Linked(Link::CoupaId, _) = observation.found {
            record.link = Some((Link::CoupaId, grid));
            problem::clear(&mut record, &[GRID_NOT_LINKED]);
        }
        return (record, None);
    }
    problem::clear_grid(&mut record);
    if let Found::Linked(link, _) = observation.found {
        record.link = Some((link, grid));
    }
    let shows = shows(record.expectation, observation, grid);
    match shows {
        Shows::Expected(evidence) => {
            record.standing = Standing::Seen(grid);
            record.since = at;
            record.evidence = evidence.into();
            (record, None)
        }
        Shows::Nothing(evidence) => {
            bare(&mut record, profile, config, &evidence, at);
            (record, None)
        }
        Shows::Failing(failing) => {
            let text = failing.reason.clone();
            problem::add(&mut record, failing.kind, text, grid_time(grid, at));
            bare(&mut record, profile, config, &failing.reason, at);
            (record, Some(failing))
        }
    }
}

/// The day of the latest grid of which the record tells something that was seen.
fn last_shown(record: &Record) -> Option<Date> {
    let seen = match record.standing {
        Standing::Seen(date) => Some(date),
        _ => None,
    };
    seen.max(record.link.map(|(_, date)| date))
}

/// What was seen in an earlier grid no longer is; what Risk Assess answered stays answered.
fn bare(record: &mut Record, profile: &Profile, config: &RiskAssessConfig, evidence: &str, at: Timestamp) {
    if matches!(
        record.standing,
        Standing::Seen(_) | Standing::Expected | Standing::Unknown
    ) {
        let outset = outset(profile.class, is_synced(record), record.expectation, config);
        record.standing = outset.standing;
        record.since = at;
        record.evidence = evidence.into();
    }
}

/// What a grid that is not older than the user shows.
enum Shows {
    /// What is expected; how.
    Expected(String),
    /// Something about which nothing is expected; what.
    Nothing(String),
    /// What should not be so.
    Failing(Failing),
}

fn shows(expectation: Expectation, observation: &Observation<'_>, grid: Date) -> Shows {
    let account = match &observation.found {
        Found::Conflict(conflict) => return Shows::Failing(in_conflict(conflict, grid)),
        Found::Linked(link, account) => Some((*link, *account)),
        Found::Nobody => None,
    };
    let active = account.filter(|(_, account)| is_active(account));
    let none = || format!("the grid of {grid} shows no active account of the user");
    let one = |link: Link| format!("the grid of {grid} shows an active account of the user, found by {}", word(link));
    let failing = |kind, fields: &[Column], reason: String| {
        let fields = fields.to_vec();
        Shows::Failing(Failing { kind, fields, reason })
    };
    match (expectation, account, active) {
        (Expectation::Active, None, _) => failing(GRID_MISSING, &[], none()),
        (Expectation::Active, Some(_), None) => {
            let reason = format!("the grid of {grid} shows the account as inactive");
            failing(GRID_INACTIVE, &[Column::Status], reason)
        }
        (Expectation::Active, Some(_), Some((link, account))) if !account.is_linked() => {
            let reason = format!("{}; it is not linked to Coupa", one(link));
            failing(
                GRID_NOT_LINKED,
                &[Column::CoupaUserId, Column::CoupaUsername],
                reason,
            )
        }
        (Expectation::Active, Some(_), Some((link, _))) if observation.differing.is_empty() => {
            let compared = titles(&observation.compared);
            Shows::Expected(format!("{}; equal to Coupa in: {compared}", one(link)))
        }
        (Expectation::Active, Some(_), Some((link, _))) => {
            let reason = format!("{}; it differs in: {}", one(link), titles(&observation.differing));
            failing(GRID_DIFFERS, &observation.differing, reason)
        }
        (Expectation::Closed, _, None) => Shows::Expected(none()),
        (Expectation::Closed, _, Some((link, _))) => {
            failing(GRID_STILL_ACTIVE, &[Column::Status], one(link))
        }
        (Expectation::Kept, _, Some((link, _))) => Shows::Expected(one(link)),
        (Expectation::Undocumented, _, Some((link, _))) => Shows::Nothing(one(link)),
        (Expectation::Kept | Expectation::Undocumented, _, None) => Shows::Nothing(none()),
    }
}

fn in_conflict(conflict: &Conflict<'_, TheirAccount>, grid: Date) -> Failing {
    Failing {
        kind: conflict.kind.name(),
        fields: conflict.kind.columns().to_vec(),
        reason: format!("in the grid of {grid}: {}", conflict.text()),
    }
}

const fn word(link: Link) -> &'static str {
    match link {
        Link::CoupaId => "its Coupa User ID",
        Link::Username => "its username",
        Link::Email => "its e-mail address",
    }
}

fn titles(columns: &[Column]) -> String {
    if columns.is_empty() {
        return "no field that both show".to_owned();
    }
    let titles: Vec<&str> = columns.iter().map(|column| column.title()).collect();
    titles.join(", ")
}
