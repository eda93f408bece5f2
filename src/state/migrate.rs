//! The schema, as the ordered list of steps that led to it; `user_version` counts the steps taken.
//!
//! Invariant: a step that was released is never changed. A database with more steps than are known here is refused.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::failed;
use crate::model::fault::{Fault, FaultKind};

const STEPS: [&str; 4] = [
    // `one` makes a second binding impossible. Counts of the last complete pass, by the name of what is counted.
    "create table binding (one integer primary key check (one = 1), tenant text not null) strict;
     create table baseline (one integer primary key check (one = 1), taken_at text not null) strict;
     create table baseline_count (what text primary key, count integer not null check (count >= 0)) strict, without rowid;",
    // No client until one records something. The journal: `closed_at` is null while an entry is open; texts of
    // entries have the forms of `journal::form`; no personal values. Numbers are never given twice, so a report never names two entries by one.
    "alter table binding add column client text;
     create table entry (
         id integer primary key autoincrement,
         opened_at text not null,
         closed_at text,
         request text,
         via text not null,
         user text,
         subject text not null,
         held_before text not null,
         held_wanted text not null,
         stage text not null
     ) strict;
     create index entry_closed_at on entry (closed_at);
     create index entry_request on entry (request) where request is not null;
     create table step (
         entry integer not null references entry (id) on delete cascade,
         number integer not null,
         at text not null,
         call text not null,
         outcome text,
         primary key (entry, number)
     ) strict, without rowid;",
    // The accounts behind the Risk Assess license; texts have the forms of `ledger::form`; ids and digests, no personal values. And up to
    // when changes of users were followed.
    "create table account (
         user text primary key,
         expectation text not null,
         standing text not null,
         since text not null,
         evidence text not null,
         link text,
         reading text not null,
         judged text,
         problems text not null
     ) strict, without rowid;
     create table followed (one integer primary key check (one = 1), until text not null) strict;",
    // The outbox: a parcel is a user's (`user`) or a row of a file (`file`, `line`, and `cells` until it is settled); texts have the forms of
    // `outbox::form`. Numbers are never given twice.
    "create table parcel (
         id integer primary key autoincrement,
         user text,
         file text,
         line integer,
         cells text,
         queued_at text not null,
         attempts integer not null default 0,
         stage text not null default 'waiting',
         standing text,
         told text,
         settled_at text,
         check ((user is null) = (file is not null) and (file is null) = (line is null)),
         check ((settled_at is null) = (standing is null) and (settled_at is null) = (told is null)),
         check (cells is null or (file is not null and settled_at is null))
     ) strict;
     create index parcel_unsettled on parcel (id) where settled_at is null;",
];

/// The version that this program makes.
pub(super) const NEWEST: usize = STEPS.len();

/// How many steps a database has taken.
pub(super) fn version(db: &Connection) -> rusqlite::Result<usize> {
    db.query_row("pragma user_version", [], |row| row.get(0))
}

/// Takes the missing steps, all or none.
pub(super) fn up(db: &mut Connection, path: &Path) -> Result<(), Fault> {
    let mut work = || -> rusqlite::Result<Result<(), usize>> {
        // Immediate: of two processes that start at once, the second sees what the first has done.
        let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let taken = version(&change)?;
        let Some(missing) = STEPS.get(taken..) else {
            return Ok(Err(taken));
        };
        for step in missing {
            change.execute_batch(step)?;
        }
        if !missing.is_empty() {
            change.pragma_update(None, "user_version", STEPS.len())?;
        }
        change.commit()?;
        Ok(Ok(()))
    };
    work()
        .map_err(|error| failed(path, error))?
        .map_err(|version| too_new(version, path))
}

/// A newer program made the database.
pub(super) fn too_new(version: usize, path: &Path) -> Fault {
    Fault::new(
        FaultKind::Refused,
        format!(
            "{} is of version {version}; this program knows versions up to {NEWEST}",
            path.display(),
        ),
    )
    .advise("use the newer program that wrote it, or choose another directory with --state-dir")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_database_of_an_earlier_version_keeps_what_it_has() {
        let mut db = Connection::open_in_memory().unwrap();
        db.execute_batch(STEPS[0]).unwrap();
        db.execute_batch(
            "pragma user_version = 1;
             insert into binding values (1, 'acme.coupahost.com');
             insert into baseline_count values ('items/role', 30);",
        )
        .unwrap();
        up(&mut db, Path::new("state.db")).unwrap();
        let kept: (String, Option<String>, u64) = db
            .query_row(
                "select tenant, client, count from binding, baseline_count",
                [],
                |row| row.try_into(),
            )
            .unwrap();
        assert_eq!(kept, ("acme.coupahost.com".to_owned(), None, 30));
    }

    #[test]
    fn steps_are_taken_once_and_a_newer_database_is_refused() {
        let mut db = Connection::open_in_memory().unwrap();
        let path = Path::new("state.db");
        up(&mut db, path).unwrap();
        up(&mut db, path).unwrap();
        db.pragma_update(None, "user_version", STEPS.len() + 1).unwrap();
        let fault = up(&mut db, path).unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::Refused);
        let version = format!("version {}", STEPS.len() + 1);
        assert!(fault.message().contains(&version), "{fault}");
    }
}
