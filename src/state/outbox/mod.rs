//! The outbox towards Risk Assess, in the state database; its rows have the forms of [`form`].
//!
//! Invariants: a method that returned is on disk (one transaction, WAL, synchronous FULL); a settled parcel never changes, its number is
//! never given again, and the values of its row are gone from the file.

mod form;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use rusqlite::Transaction;

use self::form::{Row, SENDING, SETTLED, WAITING};
use super::State;
use super::form::{time_text, user_text};
use crate::model::downstream::{Load, Outbox, Parcel, ParcelId, ParcelStage};
use crate::model::fault::{Fault, FaultKind};

impl Outbox for State {
    fn post(&self, loads: &[Load]) -> Result<(), Fault> {
        let queued_at = time_text(Timestamp::now());
        self.changing(|change| {
            for load in loads {
                put_in(change, load, &queued_at)?;
            }
            Ok(())
        })
    }

    fn unsettled(&self) -> Result<Vec<Parcel>, Fault> {
        self.parcels_where("settled_at is null")
    }

    fn parcels(&self) -> Result<Vec<Parcel>, Fault> {
        self.parcels_where("true")
    }

    fn advance(&self, parcels: &[ParcelId], stage: &ParcelStage) -> Result<(), Fault> {
        self.changing(|change| {
            for parcel in parcels {
                if move_on(change, *parcel, stage)? == 0 {
                    return Err(settled_already(*parcel).into());
                }
            }
            Ok(())
        })?;
        if matches!(stage, ParcelStage::Settled { .. }) {
            self.forget();
        }
        Ok(())
    }
}

impl State {
    /// Forgets parcels that were settled before a moment; answers how many. What they proved is in the ledger.
    pub fn prune_parcels(&self, before: Timestamp) -> Result<u64, Fault> {
        // A parcel that is not settled has no such time, so it is never older than anything.
        let delete = "delete from parcel where settled_at < ?1";
        let pruned = self.db().execute(delete, [time_text(before)]);
        pruned
            .map(|count| count as u64)
            .map_err(|error| self.failed(error))
    }

    /// Parcels of which the condition holds, ascending.
    fn parcels_where(&self, condition: &'static str) -> Result<Vec<Parcel>, Fault> {
        let select = format!(
            "select id, user, file, line, cells, queued_at, attempts, stage, standing, told, settled_at
             from parcel where {condition} order by id"
        );
        let read = || -> rusqlite::Result<Vec<Row>> {
            let db = self.db();
            let mut select = db.prepare_cached(&select)?;
            select.query_map([], row)?.collect()
        };
        let rows = read().map_err(|error| self.failed(error))?;
        let parcel = |row: Row| {
            let of = format!("parcel {} of the outbox", row.id);
            row.parcel().map_err(|error| self.not_understood(&of, error))
        };
        rows.into_iter().map(parcel).collect()
    }

    /// Empties the write-ahead log, which still has the pages as they were before. While another process reads this cannot be done now; then
    /// the next time does it, or the last one who closes the database.
    fn forget(&self) {
        let emptied = self
            .db()
            .query_row("pragma wal_checkpoint(truncate)", [], |row| row.get::<_, bool>(0));
        if !matches!(emptied, Ok(false)) {
            tracing::debug!("the write-ahead log of the state is in use and was not emptied");
        }
    }
}

fn put_in(change: &Transaction<'_>, load: &Load, queued_at: &str) -> rusqlite::Result<()> {
    // One that is being sent may have been rendered before what is posted now: only a waiting one stands for it.
    match load {
        Load::User(user) => change.execute(
            "insert into parcel (user, queued_at) select ?1, ?2
             where not exists (select 1 from parcel where user = ?1 and stage = ?3)",
            (user_text(*user), queued_at, WAITING),
        )?,
        Load::Row { file, line, cells } => {
            let cells = form::cells_text(cells)
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
            change.execute(
                "insert into parcel (file, line, cells, queued_at) select ?1, ?2, ?3, ?4
                 where not exists (select 1 from parcel where file = ?1 and line = ?2 and stage = ?5)",
                (&*file.0, line, cells, queued_at, WAITING),
            )?
        }
    };
    Ok(())
}

/// How many parcels that moved: none if it is settled, or there is none.
fn move_on(change: &Transaction<'_>, parcel: ParcelId, stage: &ParcelStage) -> rusqlite::Result<usize> {
    match stage {
        ParcelStage::Waiting => change.execute(
            "update parcel set stage = ?2 where id = ?1 and settled_at is null",
            (parcel.0, WAITING),
        ),
        ParcelStage::Sending => change.execute(
            "update parcel set stage = ?2, attempts = attempts + 1 where id = ?1 and settled_at is null",
            (parcel.0, SENDING),
        ),
        ParcelStage::Settled { standing, told, at } => change.execute(
            "update parcel set stage = ?2, standing = ?3, told = ?4, settled_at = ?5, cells = null
             where id = ?1 and settled_at is null",
            (
                parcel.0,
                SETTLED,
                form::standing_text(*standing),
                &**told,
                time_text(*at),
            ),
        ),
    }
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        id: row.get(0)?,
        user: row.get(1)?,
        file: row.get(2)?,
        line: row.get(3)?,
        cells: row.get(4)?,
        queued_at: row.get(5)?,
        attempts: row.get(6)?,
        stage: row.get(7)?,
        standing: row.get(8)?,
        told: row.get(9)?,
        settled_at: row.get(10)?,
    })
}

fn settled_already(parcel: ParcelId) -> Fault {
    Fault::new(
        FaultKind::Conflict,
        format!("parcel {parcel} of the outbox is settled already, or there is none"),
    )
}
