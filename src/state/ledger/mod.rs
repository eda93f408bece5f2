//! The ledger of accounts in Risk Assess, in the state database; its rows have the forms of [`form`].
//!
//! Invariants: a method that returned is on disk (one transaction, WAL, synchronous FULL); a record is read and replaced in one transaction
//! that nobody else writes in, so that no process decides on a state that another has replaced.

mod form;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction};

use self::form::Row;
use super::form::{parse, time_text, user_text};
use super::{State, Stop};
use crate::model::downstream::{Ledger, Record};
use crate::model::fault::Fault;
use crate::model::id::UserId;

const SELECT: &str =
    "select user, expectation, standing, since, evidence, link, reading, judged, problems from account";

impl Ledger for State {
    fn record(&self, user: UserId) -> Result<Option<Record>, Fault> {
        let row = one(&self.db(), user).map_err(|error| self.failed(error))?;
        row.map(|row| self.record_of(row)).transpose()
    }

    fn records(&self) -> Result<Vec<Record>, Fault> {
        let read = || -> rusqlite::Result<Vec<Row>> {
            let db = self.db();
            // Canonical decimals: the shorter one is the smaller number.
            let mut select = db.prepare_cached(&format!("{SELECT} order by length(user), user"))?;
            select.query_map([], row)?.collect()
        };
        let rows = read().map_err(|error| self.failed(error))?;
        rows.into_iter().map(|row| self.record_of(row)).collect()
    }

    fn revise(
        &self,
        users: &[UserId],
        change: &mut dyn FnMut(UserId, Option<Record>) -> Option<Record>,
    ) -> Result<(), Fault> {
        self.changing(|transaction| {
            for user in users {
                let before = one(transaction, *user)?
                    .map(|row| self.record_of(row))
                    .transpose()?;
                let after = change(*user, before.clone());
                if after != before {
                    replace(transaction, *user, after.as_ref())?;
                }
            }
            Ok(())
        })
    }

    fn followed_to(&self) -> Result<Option<Timestamp>, Fault> {
        let select = "select until from followed";
        let stored: Option<String> = self
            .db()
            .query_row(select, [], |row| row.get(0))
            .optional()
            .map_err(|error| self.failed(error))?;
        let time = |text: String| parse("until", &text);
        stored
            .map(time)
            .transpose()
            .map_err(|error| self.not_understood("the mark up to which users were followed", error))
    }

    fn follow_to(&self, at: Timestamp) -> Result<(), Fault> {
        self.changing(|transaction| {
            transaction.execute(
                "insert or replace into followed (one, until) values (1, ?1)",
                [time_text(at)],
            )?;
            Ok(())
        })
    }
}

impl State {
    fn record_of(&self, row: Row) -> Result<Record, Fault> {
        let of = format!("the record of user {}", row.user);
        row.record().map_err(|error| self.not_understood(&of, error))
    }
}

fn one(db: &Connection, user: UserId) -> rusqlite::Result<Option<Row>> {
    let mut select = db.prepare_cached(&format!("{SELECT} where user = ?1"))?;
    select.query_row([user_text(user)], row).optional()
}

fn replace(transaction: &Transaction<'_>, user: UserId, record: Option<&Record>) -> Result<(), Stop> {
    const REPLACE: &str =
        "insert or replace into account (user, expectation, standing, since, evidence, link, reading, judged, problems)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let Some(record) = record else {
        transaction.execute("delete from account where user = ?1", [user_text(user)])?;
        return Ok(());
    };
    if record.user != user {
        return Err(Fault::internal("a record is of another user than the one revised").into());
    }
    let unwritable = |error| Fault::internal("a record of the ledger cannot be written").because(error);
    let row: Row = Row::of(record).map_err(|error: serde_json::Error| unwritable(error))?;
    transaction.prepare_cached(REPLACE)?.execute((
        row.user,
        row.expectation,
        row.standing,
        row.since,
        row.evidence,
        row.link,
        row.reading,
        row.judged,
        row.problems,
    ))?;
    Ok(())
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        user: row.get(0)?,
        expectation: row.get(1)?,
        standing: row.get(2)?,
        since: row.get(3)?,
        evidence: row.get(4)?,
        link: row.get(5)?,
        reading: row.get(6)?,
        judged: row.get(7)?,
        problems: row.get(8)?,
    })
}
