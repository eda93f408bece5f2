//! The journal of changes, in the state database; its rows have the forms of [`form`].
//!
//! Invariants: a method that returned is on disk (one transaction, WAL, synchronous FULL); a closed entry never changes but by being
//! pruned whole, and its number is never given again.

mod form;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Params, TransactionBehavior};

use self::form::Row;
use super::State;
use super::form::{Unreadable, time_text, user_text};
use crate::model::change::RequestId;
use crate::model::fault::{Fault, FaultKind};
use crate::model::journal::{Entry, EntryId, Intent, Journal, Stage, Step, Which};

/// A stored step: entry, time, call, end.
type StoredStep = (i64, String, String, Option<String>);

impl Journal for State {
    fn open(&self, intent: &Intent) -> Result<EntryId, Fault> {
        const INSERT: &str =
            "insert into entry (opened_at, request, via, user, subject, held_before, held_wanted, stage)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let texts = [
            form::subject_text(&intent.subject),
            form::held_text(&intent.before),
            form::held_text(&intent.wanted),
            form::stage_text(&Stage::Writing),
        ];
        let [subject, before, wanted, stage] = texts.map(|text| text.map_err(unwritable));
        let row = (
            time_text(Timestamp::now()),
            intent.request.as_ref().map(RequestId::as_str),
            intent.via.name(),
            intent.user.map(user_text),
            subject?,
            before?,
            wanted?,
            stage?,
        );
        let write = || -> rusqlite::Result<Result<EntryId, Fault>> {
            let mut db = self.db();
            let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if let Err(fault) = self.claim(&change)? {
                return Ok(Err(fault));
            }
            change.execute(INSERT, row)?;
            let id = EntryId(change.last_insert_rowid());
            change.commit()?;
            Ok(Ok(id))
        };
        write().map_err(|error| self.failed(error))?
    }

    fn begin_step(&self, entry: EntryId, at: Timestamp, call: &str) -> Result<u32, Fault> {
        const INSERT: &str = "insert into step (entry, number, at, call)
             select id, 1 + (select count(*) from step where entry = id), ?2, ?3
             from entry where id = ?1 and closed_at is null
             returning number";
        let write = || -> rusqlite::Result<Option<u32>> {
            let mut db = self.db();
            // Its end tells whether the row is on disk; a bare statement that answers rows would hide that.
            let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let row = (entry.0, time_text(at), call);
            let number = change.query_row(INSERT, row, |row| row.get(0)).optional()?;
            change.commit()?;
            Ok(number)
        };
        let number = write().map_err(|error| self.failed(error))?;
        number.ok_or_else(|| not_open(entry))
    }

    fn end_step(&self, entry: EntryId, step: u32, end: &str) -> Result<(), Fault> {
        const UPDATE: &str =
            "update step set outcome = ?3 where entry = ?1 and number = ?2 and outcome is null
             and exists (select 1 from entry where id = ?1 and closed_at is null)";
        match self.db().execute(UPDATE, (entry.0, step, end)) {
            Ok(0) => Err(not_open(entry).context(format!("step {step}"))),
            Ok(_) => Ok(()),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn advance(&self, entry: EntryId, stage: &Stage) -> Result<(), Fault> {
        const UPDATE: &str =
            "update entry set stage = ?2, closed_at = ?3 where id = ?1 and closed_at is null";
        let closed_at = match stage {
            Stage::Closed(closing) => Some(time_text(closing.at)),
            Stage::Writing | Stage::Clearing { .. } | Stage::NeedsPerson { .. } => None,
        };
        let text = form::stage_text(stage).map_err(unwritable)?;
        match self.db().execute(UPDATE, (entry.0, text, closed_at)) {
            Ok(0) => Err(not_open(entry)),
            Ok(_) => Ok(()),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn entry(&self, id: EntryId) -> Result<Option<Entry>, Fault> {
        Ok(self.select("id = ?1", [id.0])?.pop())
    }

    fn entries(&self, which: Which) -> Result<Vec<Entry>, Fault> {
        let filter = match which {
            Which::Open => "closed_at is null",
            Which::Closed => "closed_at is not null",
            Which::All => "true",
        };
        self.select(filter, [])
    }

    fn of_request(&self, request: &RequestId) -> Result<Option<Entry>, Fault> {
        let newest = "id = (select max(id) from entry where request = ?1)";
        Ok(self.select(newest, [request.as_str()])?.pop())
    }

    fn touched_since(&self, since: Timestamp) -> Result<Vec<Entry>, Fault> {
        self.select("closed_at is null or closed_at >= ?1", [time_text(since)])
    }

    fn prune(&self, before: Timestamp) -> Result<u64, Fault> {
        // An open entry has no time of closing, so it is never older than anything. Steps go with their entry.
        let delete = "delete from entry where closed_at < ?1";
        let pruned = self.db().execute(delete, [time_text(before)]);
        pruned
            .map(|count| count as u64)
            .map_err(|error| self.failed(error))
    }
}

impl State {
    /// Entries of which the condition holds, ascending.
    fn select(&self, condition: &'static str, params: impl Params + Clone) -> Result<Vec<Entry>, Fault> {
        let entries = format!(
            "select id, opened_at, request, via, user, subject, held_before, held_wanted, stage
             from entry where {condition} order by id"
        );
        let steps = format!(
            "select entry, at, call, outcome from step
             where entry in (select id from entry where {condition}) order by entry, number"
        );
        let read = || -> rusqlite::Result<(Vec<Row>, Vec<StoredStep>)> {
            let mut db = self.db();
            // One view of both tables.
            let view = db.transaction()?;
            let mut entries = view.prepare_cached(&entries)?;
            let rows = entries
                .query_map(params.clone(), row)?
                .collect::<Result<_, _>>()?;
            let mut steps = view.prepare_cached(&steps)?;
            let steps = steps.query_map(params, |row| row.try_into())?;
            Ok((rows, steps.collect::<Result<_, _>>()?))
        };
        let (rows, steps) = read().map_err(|error| self.failed(error))?;
        self.entries_of(rows, steps)
    }

    fn entries_of(&self, rows: Vec<Row>, steps: Vec<StoredStep>) -> Result<Vec<Entry>, Fault> {
        let mut of_entry: HashMap<i64, Vec<Step>> = HashMap::new();
        for (entry, at, call, end) in steps {
            let step = form::step(&at, call, end).map_err(|error| self.unreadable(entry, error))?;
            of_entry.entry(entry).or_default().push(step);
        }
        let entry = |row: Row| {
            let id = row.id;
            let steps = of_entry.remove(&id).unwrap_or_default();
            row.entry(steps).map_err(|error| self.unreadable(id, error))
        };
        rows.into_iter().map(entry).collect()
    }

    fn unreadable(&self, entry: i64, error: Unreadable) -> Fault {
        self.not_understood(&format!("entry {entry} of the journal"), error)
    }
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        id: row.get(0)?,
        opened_at: row.get(1)?,
        request: row.get(2)?,
        via: row.get(3)?,
        user: row.get(4)?,
        subject: row.get(5)?,
        before: row.get(6)?,
        wanted: row.get(7)?,
        stage: row.get(8)?,
    })
}

fn not_open(entry: EntryId) -> Fault {
    Fault::new(
        FaultKind::Conflict,
        format!("entry {entry} of the journal is not open, or what is recorded stands there already"),
    )
}

fn unwritable(error: impl std::fmt::Display) -> Fault {
    Fault::internal("an entry of the journal cannot be written").because(error)
}
