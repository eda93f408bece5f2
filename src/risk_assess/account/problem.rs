//! What a person has to look at, as problems of a record: their kinds, and when each is over.
//!
//! Invariant: a record has one problem of a kind; one that stays the same keeps the time when it was found.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::model::downstream::{Digest, Problem, Record};
use crate::model::id::UserId;

/// Another licensed user has the login, letter case aside.
pub const LOGIN_SHARED: &str = "login-shared";
/// Another licensed user has the e-mail address, letter case aside.
pub const EMAIL_SHARED: &str = "email-shared";
/// Coupa no longer shows the user.
pub const USER_ABSENT: &str = "user-absent";
/// The user was changed through us and could not be read afterwards.
pub const NOT_FOLLOWED: &str = "not-followed";
/// Risk Assess refused the row.
pub const REJECTED: &str = "delivery-rejected";
/// No row can be sent for the user.
pub const NOT_SENT: &str = "delivery-impossible";
/// The grid shows no active account.
pub const GRID_MISSING: &str = "grid-missing";
/// The grid shows other values than Coupa.
pub const GRID_DIFFERS: &str = "grid-differs";
/// The grid shows an account of the user that is not linked to Coupa.
pub const GRID_NOT_LINKED: &str = "grid-not-linked";
/// The grid shows the account as inactive.
pub const GRID_INACTIVE: &str = "grid-inactive";
/// The grid shows an active account where none is expected.
pub const GRID_STILL_ACTIVE: &str = "grid-still-active";

/// With what the kinds begin that a grid export found, conflicts of matching among them; each stays until a later grid.
const GRID: &str = "grid-";

/// Kinds that are over when something else is expected than before.
const MOOT_AFTER_CHANGE: [&str; 6] = [
    REJECTED,
    NOT_SENT,
    GRID_MISSING,
    GRID_DIFFERS,
    GRID_INACTIVE,
    GRID_STILL_ACTIVE,
];

/// Whether there is a problem of that kind.
pub(super) fn has(record: &Record, kind: &str) -> bool {
    record.problems.iter().any(|problem| &*problem.kind == kind)
}

/// Adds a problem in place of one of its kind.
pub fn add(record: &mut Record, kind: &str, text: String, at: Timestamp) {
    let same = |problem: &Problem| &*problem.kind == kind;
    if let Some(known) = record.problems.iter_mut().find(|problem| same(problem)) {
        if *known.text != *text {
            (known.text, known.at) = (text.into(), at);
        }
        return;
    }
    let (kind, text) = (kind.into(), text.into());
    record.problems.push(Problem { kind, text, at });
}

/// Takes away problems of these kinds.
pub(super) fn clear(record: &mut Record, kinds: &[&str]) {
    record.problems.retain(|problem| !kinds.contains(&&*problem.kind));
}

/// Takes away what spoke of an expectation or of fields that are no more.
pub(super) fn clear_moot(record: &mut Record) {
    clear(record, &MOOT_AFTER_CHANGE);
}

/// Takes away what earlier grids showed.
pub(super) fn clear_grid(record: &mut Record) {
    record.problems.retain(|problem| !problem.kind.starts_with(GRID));
}

/// The day of the latest grid that left a problem.
pub(super) fn last_grid(record: &Record) -> Option<Date> {
    let of_grid = record
        .problems
        .iter()
        .filter(|problem| problem.kind.starts_with(GRID));
    of_grid.map(|problem| day(problem.at)).max()
}

/// The moment that stands for a grid: the begin of its day, in UTC.
pub(super) fn grid_time(grid: Date, otherwise: Timestamp) -> Timestamp {
    let begin = grid.to_zoned(TimeZone::UTC);
    begin.map_or(otherwise, |begin| begin.timestamp())
}

/// The day of a moment, in UTC.
pub(super) fn day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// Which licensed users share a login or an e-mail address with another, and how that is told.
pub fn shared(records: &[Record]) -> BTreeMap<UserId, BTreeMap<&'static str, String>> {
    let mut shared: BTreeMap<UserId, BTreeMap<&'static str, String>> = BTreeMap::new();
    let mut holders: BTreeMap<(&'static str, &Digest), Vec<UserId>> = BTreeMap::new();
    for record in records.iter().filter(|record| record.reading.licensed) {
        let login = Some((LOGIN_SHARED, &record.reading.login));
        let email = record.reading.email.as_ref().map(|email| (EMAIL_SHARED, email));
        for key in [login, email].into_iter().flatten() {
            holders.entry(key).or_default().push(record.user);
        }
    }
    for ((kind, _), users) in holders.iter().filter(|(_, users)| users.len() > 1) {
        for user in users {
            let others = users.iter().filter(|other| *other != user);
            let others: Vec<String> = others.map(UserId::to_string).collect();
            let what = match *kind {
                LOGIN_SHARED => "login",
                _ => "e-mail address",
            };
            let text = format!("the {what} is also that of licensed user {}", others.join(", "));
            shared.entry(*user).or_default().insert(kind, text);
        }
    }
    shared
}

/// The record with these problems of sharing and no others of the kind.
#[must_use]
pub fn with_shared(mut record: Record, told: &BTreeMap<&'static str, String>, at: Timestamp) -> Record {
    for kind in [LOGIN_SHARED, EMAIL_SHARED] {
        match told.get(kind) {
            Some(text) => add(&mut record, kind, text.clone(), at),
            None => clear(&mut record, &[kind]),
        }
    }
    record
}
