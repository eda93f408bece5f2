//! What a grid export of a day proves of an account.
//!
//! Invariants: a column is compared only where the export shows it at all; an export of the day of the user's newest change, or of
//! before, proves nothing of the user's fields, and a link only by the Coupa id; an earlier export takes nothing back that a later one showed.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use jiff::civil::Date;

use crate::model::downstream::{Expectation, Link, Record, Standing};
use crate::model::profile::{Phone, Profile};

use super::super::columns::Column;
use super::super::compare::yes;
use super::super::config::RiskAssessConfig;
use super::super::matching::{Conflict, ConflictKind, Found, Keys, Roster};
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The account that was found, if one was.
    pub sighting: Sighting,
    /// Columns in which that account is not as Coupa shows the user.
    pub differing: Vec<Column>,
    /// Columns that were compared.
    pub compared: Vec<Column>,
}

/// What was found of one user's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sighting {
    /// This account.
    Account {
        /// By what it was found.
        link: Link,
        /// Its line in the grid.
        line: u64,
        /// Whether it is shown as linked to Coupa.
        linked: bool,
        /// Whether it is active: the grid shows no others (S1), unless it says so in a column.
        active: bool,
    },
    /// None.
    Nobody,
    /// Accounts among which a person has to decide.
    Conflict {
        /// What is wrong.
        kind: ConflictKind,
        /// In one sentence, lines only.
        text: String,
    },
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
fn shown_columns(accounts: &[TheirAccount]) -> BTreeSet<Column> {
    let mut shown: BTreeSet<Column> = accounts
        .iter()
        .flat_map(|account| account.cells.keys().copied())
        .collect();
    if accounts.iter().any(|account| account.coupa_id.is_some()) {
        shown.insert(Column::CoupaUserId);
    }
    shown
}

/// What a grid shows of each of these users, in their order. Give every user of whom one is to be told from another: an account that two of
/// them could have is nobody's.
pub fn observe(profiles: &[Profile], roster: &Roster<'_, TheirAccount>) -> Vec<Observation> {
    let shown = shown_columns(roster.accounts());
    let found: Vec<Found<'_>> = profiles
        .iter()
        .map(|profile| {
            roster.find(&Keys {
                user: profile.user,
                login: &profile.login,
                email: profile.email.as_deref(),
            })
        })
        .collect();
    let mut claims: HashMap<u64, usize> = HashMap::new();
    for found in &found {
        if let Found::Linked(_, account) = found {
            *claims.entry(account.line).or_default() += 1;
        }
    }
    let several = |link: Link, account: &TheirAccount| link != Link::CoupaId && claims[&account.line] > 1;
    let both = profiles.iter().zip(found);
    both.map(|(profile, found)| match found {
        Found::Linked(link, account) if several(link, account) => {
            let (kind, accounts) = (ConflictKind::ClaimedBySeveral, vec![account]);
            in_conflict(&Conflict { kind, accounts })
        }
        Found::Linked(link, account) => compared(profile, link, account, &shown),
        Found::Nobody => only(Sighting::Nobody),
        Found::Conflict(conflict) => in_conflict(&conflict),
    })
    .collect()
}

fn in_conflict(conflict: &Conflict<'_, TheirAccount>) -> Observation {
    only(Sighting::Conflict {
        kind: conflict.kind,
        text: conflict.text(),
    })
}

const fn only(sighting: Sighting) -> Observation {
    Observation {
        sighting,
        differing: Vec::new(),
        compared: Vec::new(),
    }
}

fn compared(profile: &Profile, link: Link, account: &TheirAccount, shown: &BTreeSet<Column>) -> Observation {
    let mut compared = Vec::new();
    let mut differing = Vec::new();
    for column in COMPARED.into_iter().filter(|column| shown.contains(column)) {
        let Some(same) = same(profile, account, column) else {
            continue;
        };
        compared.push(column);
        if !same {
            differing.push(column);
        }
    }
    Observation {
        sighting: Sighting::Account {
            link,
            line: account.line,
            linked: account.is_linked(),
            active: is_active(account),
        },
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
            // ISO 3166-2: the country, then the part that forms use.
            let part = code.and_then(|code| code.rsplit_once('-')).map(|(_, part)| part);
            Some(alike(text, theirs) || alike(code, theirs) || (part.is_some() && alike(part, theirs)))
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

/// Whether the row does not say that its account is inactive.
fn is_active(account: &TheirAccount) -> bool {
    account.get(Column::Status).and_then(yes) != Some(false)
}

/// The record after a grid of that day was compared with the profile that the record was read from; and what is not as it should be.
pub fn graded(
    mut record: Record,
    profile: &Profile,
    observation: &Observation,
    config: &RiskAssessConfig,
    grid: Date,
    at: Timestamp,
) -> (Record, Option<Failing>) {
    let last = [last_shown(&record), problem::last_grid(&record)];
    if last.into_iter().flatten().any(|last| grid < last) {
        return (record, None);
    }
    let same_reading = record.reading.at <= at
        && record.reading.fields == fingerprint(profile).fields
        && Some(record.expectation) == expectation(profile, config);
    // Without `updated-at` the change may be as new as the reading.
    let changed = profile.updated_at.unwrap_or(record.reading.at);
    if !same_reading || grid <= day(changed) {
        if let Sighting::Account {
            link: link @ Link::CoupaId,
            ..
        } = observation.sighting
        {
            record.link = Some((link, grid));
            problem::clear(&mut record, &[GRID_NOT_LINKED]);
        }
        return (record, None);
    }
    problem::clear_grid(&mut record);
    if let Sighting::Account { link, .. } = observation.sighting {
        record.link = Some((link, grid));
    }
    match shows(record.expectation, observation, grid) {
        Shows::Expected(evidence) => {
            record.standing = Standing::Seen(grid);
            record.since = at.max(record.since);
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
        record.since = at.max(record.since);
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

fn shows(expectation: Expectation, observation: &Observation, grid: Date) -> Shows {
    let failing = |kind, fields: &[Column], reason: String| {
        let fields = fields.to_vec();
        Shows::Failing(Failing { kind, fields, reason })
    };
    let (link, linked, active) = match &observation.sighting {
        Sighting::Conflict { kind, text } => {
            return failing(
                kind.name(),
                kind.columns(),
                format!("in the grid of {grid}: {text}"),
            );
        }
        Sighting::Nobody => return without(expectation, grid),
        Sighting::Account {
            link, linked, active, ..
        } => (*link, *linked, *active),
    };
    if !active {
        return match expectation {
            Expectation::Active => {
                let reason = format!("the grid of {grid} shows the account as inactive");
                failing(GRID_INACTIVE, &[Column::Status], reason)
            }
            Expectation::Closed | Expectation::Kept | Expectation::Undocumented => without(expectation, grid),
        };
    }
    let found = format!(
        "the grid of {grid} shows an active account of the user, found by {}",
        word(link)
    );
    match expectation {
        // An export that shows no links of anybody says neither.
        Expectation::Active if !linked && !tells_links(observation) => Shows::Nothing(format!(
            "{found}; the export does not tell whether it is linked to Coupa"
        )),
        Expectation::Active if !linked => failing(
            GRID_NOT_LINKED,
            &[Column::CoupaUserId, Column::CoupaUsername],
            format!("{found}; it is not linked to Coupa"),
        ),
        Expectation::Active if observation.differing.is_empty() => {
            let compared = titles(&observation.compared);
            Shows::Expected(format!("{found}; equal to Coupa in: {compared}"))
        }
        Expectation::Active => failing(
            GRID_DIFFERS,
            &observation.differing,
            format!("{found}; it differs in: {}", titles(&observation.differing)),
        ),
        Expectation::Closed => failing(GRID_STILL_ACTIVE, &[Column::Status], found),
        Expectation::Kept => Shows::Expected(found),
        Expectation::Undocumented => Shows::Nothing(found),
    }
}

/// Whether the export shows for anybody whether an account is linked.
fn tells_links(observation: &Observation) -> bool {
    let links = [Column::CoupaUserId, Column::CoupaUsername];
    links.iter().any(|column| observation.compared.contains(column))
}

/// A grid that shows no active account of the user.
fn without(expectation: Expectation, grid: Date) -> Shows {
    let none = format!("the grid of {grid} shows no active account of the user");
    match expectation {
        Expectation::Active => Shows::Failing(Failing {
            kind: GRID_MISSING,
            fields: Vec::new(),
            reason: none,
        }),
        Expectation::Closed => Shows::Expected(none),
        Expectation::Kept | Expectation::Undocumented => Shows::Nothing(none),
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
