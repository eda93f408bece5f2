//! What an import that is applied sends.
//!
//! Invariants: a protected field of a synced user is never given another value than the one that the account is known to have; no row makes an
//! administrator or a supplier; a row is sent only if it is sure to meet the account it was sorted to; a blank is left out.

use std::collections::BTreeMap;

use crate::model::downstream::{Digest, Load};

use super::super::columns::Column;
use super::super::compare::{same, yes};
use super::Door;
use super::sort::{Account, Placed, Sorted, Upkeep};

/// What would be sent.
pub struct Outgoing {
    /// A load for each row that is sent, in the order of the file.
    pub loads: Vec<Load>,
    /// Rows that are not, though they are no problem.
    pub unsent: Vec<Unsent>,
    /// Columns that the file fills and that have no place in what is sent.
    pub left_out: Vec<Column>,
}

/// A row that is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsent {
    /// Its line in the file, from 1 with the header.
    pub line: u64,
    /// Why, without values: lower case, no full stop.
    pub reason: String,
}

/// Columns that the users file must fill (D501).
const REQUIRED: [Column; 6] = [
    Column::Email,
    Column::FirstName,
    Column::LastName,
    Column::Status,
    Column::IsSupplierUser,
    Column::IsAdministrator,
];

/// What would be sent through that door; `file` is the [`super::fingerprint`] of the file. The names of the cells are those of the Quick
/// Integration file, or the titles of the template.
pub fn loads(sorted: &Sorted, door: Door, file: &Digest) -> Outgoing {
    let mut rows: Vec<&Placed> = sorted.new.iter().chain(&sorted.update).collect();
    rows.sort_unstable_by_key(|placed| placed.row.line());
    let (mut loads, mut unsent) = (Vec::new(), Vec::new());
    for placed in rows {
        let line = placed.row.line();
        match row(placed, door) {
            Ok(cells) => loads.push(Load::Row {
                file: file.clone(),
                line,
                cells: named(cells, door),
            }),
            Err(reason) => unsent.push(Unsent { line, reason }),
        }
    }
    let columns = sorted.layout.columns().iter().flatten().copied();
    Outgoing {
        loads,
        unsent,
        left_out: columns.filter(|column| name(*column, door).is_none()).collect(),
    }
}

type Cells<'a> = BTreeMap<Column, &'a str>;

fn row(placed: &Placed, door: Door) -> Result<Cells<'_>, String> {
    match (&placed.account, placed.upkeep) {
        (None, Upkeep::ByHand) => new(placed, door),
        (None, Upkeep::Synced) => Err("Coupa's User Sync is expected to make this account".to_owned()),
        (Some(account), _) => existing(placed, account, door),
    }
}

/// A row that makes an account: an active one, of nobody special.
fn new(placed: &Placed, door: Door) -> Result<Cells<'_>, String> {
    let mut cells: Cells<'_> = filled(placed).collect();
    if door == Door::QuickIntegration {
        for (column, default) in [
            (Column::Status, "Yes"),
            (Column::IsSupplierUser, "No"),
            (Column::IsAdministrator, "No"),
        ] {
            cells.entry(column).or_insert(default);
        }
    }
    Ok(cells)
}

/// A row that changes an account.
fn existing<'a>(placed: &'a Placed, account: &'a Account, door: Door) -> Result<Cells<'a>, String> {
    let kept = |column: &Column| placed.upkeep == Upkeep::Synced && Column::PROTECTED.contains(column);
    let mut cells: Cells<'a> = filled(placed)
        .filter(|(column, _)| !kept(column) && name(*column, door).is_some())
        .collect();
    let theirs = |column| account.theirs.as_ref().and_then(|theirs| theirs.get(column));
    let changes = |(column, text): (&Column, &&str)| {
        let identifies = [
            Column::CoupaUserId,
            Column::IsSupplierUser,
            Column::IsAdministrator,
        ]
        .contains(column);
        !identifies && theirs(*column).is_none_or(|theirs| !same(*column, text, theirs))
    };
    if !cells.iter().any(changes) {
        return Err(match placed.upkeep {
            Upkeep::Synced => "nothing is left to write: the user is kept in sync with Coupa".to_owned(),
            Upkeep::ByHand => "the account has these values already".to_owned(),
        });
    }
    match door {
        Door::QuickIntegration if !account.same_email => {
            return Err("the e-mail address is not the one under which the account is known: the file would make another account".to_owned());
        }
        Door::QuickIntegration => require(&mut cells, &REQUIRED, |column| match column {
            // It names the account; that it is the same was just asked.
            Column::Email => placed.row.account.get(column),
            _ => theirs(column),
        })?,
        Door::File => require(&mut cells, &Column::MANDATORY, |column| {
            theirs(column).or_else(|| placed.row.account.get(column))
        })?,
    }
    Ok(cells)
}

/// Fills what a row must have with what stands already.
fn require<'a>(
    cells: &mut Cells<'a>,
    columns: &[Column],
    standing: impl Fn(Column) -> Option<&'a str>,
) -> Result<(), String> {
    let mut missing = Vec::new();
    for column in columns {
        if cells.contains_key(column) {
            continue;
        }
        match standing(*column) {
            Some(text) => _ = cells.insert(*column, text),
            None => missing.push(column.title()),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the row must give {} as the account has it, and that is not known: compare with a grid that shows it",
        missing.join(", ")
    ))
}

/// Columns of a row that hold something.
fn filled(placed: &Placed) -> impl Iterator<Item = (Column, &str)> {
    placed
        .row
        .account
        .cells
        .iter()
        .map(|(column, text)| (*column, text.as_ref()))
}

fn name(column: Column, door: Door) -> Option<&'static str> {
    match door {
        Door::QuickIntegration => column.quick_integration(),
        // When a sync failed is no property of a user.
        Door::File => (column != Column::FailedAt).then(|| column.title()),
    }
}

fn named(cells: Cells<'_>, door: Door) -> BTreeMap<Box<str>, Box<str>> {
    let named = cells.into_iter().filter_map(|(column, text)| {
        let name = name(column, door)?;
        let flag = [Column::Status, Column::IsSupplierUser, Column::IsAdministrator].contains(&column);
        let text = match yes(text) {
            Some(true) if flag && door == Door::QuickIntegration => "Yes",
            Some(false) if flag && door == Door::QuickIntegration => "No",
            _ => text,
        };
        Some((name.into(), text.into()))
    });
    named.collect()
}
