//! The account behind the license as the documented sync makes it: what should be there, and what each event shows of it. Pure.
//!
//! ```text
//! Coupa read ─► read ─┐
//! Coupa has no user ─► absent ─┤
//! answer to a row ─► answered ─┼─► Record ─► claim
//! grid of a day ─► graded ─┘
//! ```
//!
//! Invariants: a record claims what was read, answered or exported, and nothing else. Whatever the evidence was about is part of it: a change
//! of the user's fields, or of what is expected, ends every claim that was made of the earlier ones. Nothing older replaces anything newer.

mod claim;
mod fingerprint;
mod grid;
mod problem;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

use crate::model::downstream::{Digest, Expectation, Link, Reading, Record, Standing};
use crate::model::profile::Profile;
use crate::model::tenant::AccountClass;

use super::config::{Delivery, Removal, RiskAssessConfig, UserSync};

pub use claim::claim;
pub use fingerprint::{Fingerprint, digest, fingerprint, folded};
pub use grid::{Failing, Observation, Sighting, graded, observe};
pub use problem::{
    EMAIL_SHARED, GRID_DIFFERS, GRID_INACTIVE, GRID_MISSING, GRID_NOT_LINKED, GRID_STILL_ACTIVE,
    LOGIN_SHARED, NOT_FOLLOWED, NOT_SENT, REJECTED, USER_ABSENT, add as add_problem, shared, with_shared,
};

/// What the documented sync comes to for a user; `None` where the tenant does not show whether the license is held.
pub fn expectation(profile: &Profile, config: &RiskAssessConfig) -> Option<Expectation> {
    Some(match (profile.licensed?, profile.active, config.removal) {
        (true, true, _) => Expectation::Active,
        (true, false, _) | (false, _, Removal::Closes) => Expectation::Closed,
        (false, _, Removal::Stays) => Expectation::Kept,
        (false, _, Removal::Unknown) => Expectation::Undocumented,
    })
}

/// What the profile says, asked for at `at`; `None` where the tenant does not show whether the license is held.
pub fn reading(profile: &Profile, at: Timestamp) -> Option<Reading> {
    let Fingerprint { fields, login, email } = fingerprint(profile);
    Some(Reading {
        at,
        updated_at: profile.updated_at,
        licensed: profile.licensed?,
        active: profile.active,
        fields,
        login,
        email,
    })
}

/// The record after Coupa was read at `at` (the moment before the question was sent). `None` for a user who never held the license.
pub fn read(
    old: Option<Record>,
    profile: &Profile,
    config: &RiskAssessConfig,
    at: Timestamp,
) -> Option<Record> {
    let (Some(reading), Some(expectation)) = (reading(profile, at), expectation(profile, config)) else {
        return old;
    };
    let synced = old.as_ref().is_some_and(is_synced);
    let outset = outset(profile.class, synced, expectation, config);
    match old {
        None if !reading.licensed => None,
        None => Some(Record {
            user: profile.user,
            expectation,
            standing: outset.standing,
            since: at,
            evidence: outset.evidence.into(),
            link: None,
            reading,
            judged: None,
            problems: Vec::new(),
        }),
        Some(old) if at < known_at(&old) => Some(old),
        Some(old) => Some(read_again(old, reading, expectation, &outset)),
    }
}

fn read_again(mut record: Record, reading: Reading, expectation: Expectation, outset: &Outset) -> Record {
    let changed = record.expectation != expectation || record.reading.fields != reading.fields;
    // What only says that nothing is known yet follows the operator's statements.
    let bare = matches!(record.standing, Standing::Expected | Standing::Unknown);
    problem::clear(&mut record, &[USER_ABSENT, NOT_FOLLOWED]);
    if changed {
        problem::clear_moot(&mut record);
    }
    if changed || (bare && record.standing != outset.standing) {
        record.standing = outset.standing;
        record.since = reading.at;
        record.evidence = outset.evidence.into();
    }
    record.expectation = expectation;
    record.reading = reading;
    record
}

/// The latest moment of which the record tells what Coupa showed.
fn known_at(record: &Record) -> Timestamp {
    let absent = record
        .problems
        .iter()
        .find(|problem| &*problem.kind == USER_ABSENT);
    absent.map_or(record.reading.at, |absent| absent.at.max(record.reading.at))
}

/// The record after Coupa said at `at` that it has no such user. What it showed before stays told, with its date.
#[must_use]
pub fn absent(mut record: Record, at: Timestamp) -> Record {
    if at < known_at(&record) || problem::has(&record, USER_ABSENT) {
        return record;
    }
    let told = "Coupa no longer shows this user";
    record.standing = Standing::Unknown;
    record.since = at;
    record.evidence = told.into();
    problem::add(&mut record, USER_ABSENT, told.to_owned(), at);
    record
}

/// The record of a user who was changed through us and could not be read afterwards: what it tells is of before.
#[must_use]
pub fn not_followed(mut record: Record, at: Timestamp) -> Record {
    let told = "the user was changed through this connector and could not be read afterwards";
    problem::add(&mut record, NOT_FOLLOWED, told.to_owned(), at);
    record
}

/// What a row that was sent to Risk Assess said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Digest of the user's fields.
    pub fields: Digest,
    /// Whether an active account was asked for, or a closed one.
    pub expectation: Expectation,
}

impl Sent {
    /// What a row made of this profile says; `None` where the tenant does not show whether the license is held.
    pub fn of(profile: &Profile, config: &RiskAssessConfig) -> Option<Self> {
        Some(Self {
            fields: fingerprint(profile).fields,
            expectation: expectation(profile, config)?,
        })
    }

    /// Whether the record tells of the same fields and expects the same.
    pub fn speaks_of(&self, record: &Record) -> bool {
        self.fields == record.reading.fields && self.expectation == record.expectation
    }
}

/// The record after a row of the user alone was settled as `standing` at `at`. An answer to a row that says something else than the record
/// is no answer to the record. Record the reading that the row was made of first, with [`read`], in the same revision.
#[must_use]
pub fn answered(
    mut record: Record,
    sent: &Sent,
    standing: Standing,
    evidence: &str,
    at: Timestamp,
) -> Record {
    if !sent.speaks_of(&record) || at < record.since {
        return record;
    }
    match standing {
        Standing::Rejected => problem::add(&mut record, REJECTED, evidence.to_owned(), at),
        Standing::Delivered | Standing::Queued => problem::clear(&mut record, &[REJECTED, NOT_SENT]),
        Standing::Expected | Standing::Doubtful | Standing::Seen(_) | Standing::Unknown => {}
    }
    if replaces(standing, record.standing) {
        record.standing = standing;
        record.since = at;
        record.evidence = evidence.into();
    }
    record
}

/// Whether an answer says more than what is known, or something else. A repeated row that is answered with less takes nothing back.
const fn replaces(answer: Standing, known: Standing) -> bool {
    match answer {
        // No answer of the import shows a grid.
        Standing::Seen(_) => false,
        Standing::Rejected => true,
        // What a grid showed is more than any acknowledgement.
        Standing::Delivered => !matches!(known, Standing::Seen(_)),
        Standing::Queued => !matches!(known, Standing::Seen(_) | Standing::Delivered),
        Standing::Doubtful => !matches!(known, Standing::Seen(_) | Standing::Delivered | Standing::Queued),
        Standing::Expected | Standing::Unknown => matches!(known, Standing::Expected | Standing::Unknown),
    }
}

/// Whether a row for the user is to be delivered after `old` became `new`.
pub fn is_due(old: Option<&Record>, new: &Record, class: AccountClass, config: &RiskAssessConfig) -> bool {
    let changed = match old {
        // Nobody needs an account that is closed from its begin.
        None => new.expectation == Expectation::Active,
        Some(old) => old.reading.fields != new.reading.fields || old.expectation != new.expectation,
    };
    changed && is_ours(new, class, config)
}

/// Whether nothing is known of the account yet and bringing it is up to us: due if nothing was ever put into the outbox for it.
pub fn is_outstanding(record: &Record, class: AccountClass, config: &RiskAssessConfig) -> bool {
    let bare = record.expectation == Expectation::Active && record.standing == Standing::Expected;
    bare && is_ours(record, class, config)
}

/// Whether the user's row may be sent at all, and says anything.
fn is_ours(record: &Record, class: AccountClass, config: &RiskAssessConfig) -> bool {
    let says_something = match record.expectation {
        Expectation::Active | Expectation::Closed => true,
        Expectation::Kept | Expectation::Undocumented => false,
    };
    says_something && matches!(keeper(class, is_synced(record), config), Keeper::Us)
}

/// Whether a grid showed the account linked to its user: then Coupa keeps it, and an import leaves its fields alone (S1, S2).
pub fn is_synced(record: &Record) -> bool {
    let linked = matches!(record.link, Some((Link::CoupaId | Link::Username, _)));
    linked && !problem::has(record, GRID_NOT_LINKED)
}

/// Who brings what is expected to Risk Assess.
enum Keeper {
    /// Coupa's User Sync.
    Sync,
    /// We do, or a person with a file of ours.
    Us,
    /// Nobody, and why.
    Nobody(&'static str),
}

const fn keeper(class: AccountClass, synced: bool, config: &RiskAssessConfig) -> Keeper {
    match class {
        AccountClass::Internal | AccountClass::Api => {}
        AccountClass::Supplier | AccountClass::Support | AccountClass::ManagedService => {
            return Keeper::Nobody(
                "no account of the company: Risk Assess keeps such ones apart, and nothing is sent for it",
            );
        }
    }
    match (config.delivery, config.user_sync) {
        (Delivery::Native, UserSync::Off) => Keeper::Nobody(
            "User Sync is off by the operator's statement, and nothing else brings the account",
        ),
        (Delivery::Native, UserSync::On | UserSync::Unknown) => Keeper::Sync,
        // An import leaves the fields of such accounts alone (S2).
        (_, UserSync::On | UserSync::Unknown) if synced => Keeper::Sync,
        (Delivery::QuickIntegration | Delivery::File, _) => Keeper::Us,
    }
}

/// What is known of a record about which only Coupa was asked.
struct Outset {
    standing: Standing,
    evidence: &'static str,
}

const fn outset(
    class: AccountClass,
    synced: bool,
    expectation: Expectation,
    config: &RiskAssessConfig,
) -> Outset {
    let (standing, evidence) = match expectation {
        Expectation::Undocumented => (
            Standing::Unknown,
            "Coupa shows the user without the license, and no document says what becomes of the account",
        ),
        Expectation::Kept => (
            Standing::Expected,
            "Coupa shows the user without the license; by the operator's statement the account stays as it is",
        ),
        Expectation::Active | Expectation::Closed => match keeper(class, synced, config) {
            Keeper::Sync => (
                Standing::Expected,
                "Coupa shows the user as its User Sync is to take it",
            ),
            Keeper::Us => (
                Standing::Expected,
                "Coupa shows the user as the row to deliver is to say it",
            ),
            Keeper::Nobody(why) => (Standing::Unknown, why),
        },
    };
    Outset { standing, evidence }
}
