//! The last complete pass's sizes, in the state database.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension as _, TransactionBehavior};

use super::State;
use crate::model::access::ItemKind;
use crate::model::baseline::{Baseline, Baselines, Count};
use crate::model::fault::Fault;
use crate::model::tenant::AccountClass;

/// Counts by their stored names.
type StoredCounts = Vec<(String, u64)>;

impl Baselines for State {
    fn last(&self) -> Result<Option<Baseline>, Fault> {
        let read = || -> rusqlite::Result<Option<(String, StoredCounts)>> {
            let mut db = self.db();
            // One view of both tables.
            let view = db.transaction()?;
            let taken_at = view
                .query_row("select taken_at from baseline", [], |row| row.get(0))
                .optional()?;
            let Some(taken_at) = taken_at else { return Ok(None) };
            let mut select = view.prepare("select what, count from baseline_count")?;
            let counts = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let counts = counts.collect::<rusqlite::Result<_>>()?;
            Ok(Some((taken_at, counts)))
        };
        let Some((taken_at, counts)) = read().map_err(|error| self.failed(error))? else {
            return Ok(None);
        };
        let taken_at = taken_at.parse().map_err(|error| {
            Fault::corrupt("the recorded sizes of the last pass have no date").because(error)
        })?;
        // A name this version does not know is not compared.
        let counts: BTreeMap<Count, u64> = counts
            .into_iter()
            .filter_map(|(what, count)| Some((count_named(&what)?, count)))
            .collect();
        Ok(Some(Baseline { taken_at, counts }))
    }

    fn record(&self, baseline: &Baseline) -> Result<(), Fault> {
        let write = || -> rusqlite::Result<Result<(), Fault>> {
            let mut db = self.db();
            let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if let Err(fault) = self.claim(&change)? {
                return Ok(Err(fault));
            }
            change.execute("delete from baseline_count", [])?;
            change.execute(
                "insert or replace into baseline (one, taken_at) values (1, ?1)",
                [baseline.taken_at.to_string()],
            )?;
            for (what, count) in &baseline.counts {
                change.execute(
                    "insert into baseline_count (what, count) values (?1, ?2)",
                    (name(*what), count),
                )?;
            }
            change.commit()?;
            Ok(Ok(()))
        };
        write().map_err(|error| self.failed(error))?
    }
}

/// The stored name of a count. Names are part of the file's format.
fn name(what: Count) -> String {
    match what {
        Count::Users(class) => format!("users/{}", class.name()),
        Count::Items(kind) => format!("items/{}", kind_name(kind)),
        Count::Holdings(kind) => format!("holdings/{}", kind_name(kind)),
    }
}

const fn kind_name(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Role => "role",
        ItemKind::Group => "group",
        ItemKind::License => "license",
    }
}

fn count_named(stored: &str) -> Option<Count> {
    let users = AccountClass::ALL.into_iter().map(Count::Users);
    let items = ItemKind::ALL.into_iter().map(Count::Items);
    let holdings = ItemKind::ALL.into_iter().map(Count::Holdings);
    users
        .chain(items)
        .chain(holdings)
        .find(|what| name(*what) == stored)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tempfile::TempDir;

    fn baseline(second: i64, counts: &[(Count, u64)]) -> Baseline {
        Baseline {
            taken_at: jiff::Timestamp::from_second(second).unwrap(),
            counts: counts.iter().copied().collect(),
        }
    }

    #[test]
    fn the_last_baseline_replaces_the_one_before_and_outlives_the_process() {
        let base = TempDir::new().unwrap();
        let open = || State::open(base.path(), "tenant", "client").unwrap();
        assert_eq!(open().last().unwrap(), None);
        let first = baseline(
            1,
            &[
                (Count::Users(AccountClass::Internal), 7),
                (Count::Users(AccountClass::ManagedService), 0),
                (Count::Items(ItemKind::License), 22),
                (Count::Holdings(ItemKind::Role), 1 << 40),
            ],
        );
        open().record(&first).unwrap();
        assert_eq!(open().last().unwrap(), Some(first));
        let second = baseline(2, &[(Count::Items(ItemKind::Role), 1)]);
        open().record(&second).unwrap();
        assert_eq!(open().last().unwrap(), Some(second));
    }

    #[test]
    fn a_count_of_a_later_version_is_ignored() {
        let base = TempDir::new().unwrap();
        let state = State::open(base.path(), "tenant", "client").unwrap();
        let known = baseline(1, &[(Count::Items(ItemKind::Group), 3)]);
        state.record(&known).unwrap();
        state
            .db()
            .execute("insert into baseline_count values ('items/badge', 9)", [])
            .unwrap();
        assert_eq!(state.last().unwrap(), Some(known));
    }
}
