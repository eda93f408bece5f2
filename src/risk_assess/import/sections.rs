//! The three sections as tables for people.
//!
//! Invariant: original columns and values in the file's order; a marked cell is one that is not written.

use super::super::columns::Column;
use super::super::sheet::{Cell, Section};
use super::known::Source;
use super::sort::{Placed, Refused, Sorted};

/// What stands below New Data and Update Data.
pub fn notice() -> &'static str {
    "Fields on yellow will not be written by the import: the user is kept in sync with Coupa, where such fields are to be changed."
}

/// What the marks rest on.
pub fn basis(source: &Source) -> String {
    let rule = match source {
        Source::Ledger(_) => {
            "The ledger keeps no values of accounts: every protected field of a synced user that holds a value is marked."
        }
        Source::Grid { .. } => {
            "Marked are protected fields of synced users that differ from the grid, or that the grid does not show."
        }
    };
    format!("{rule} Known accounts: {source}.")
}

/// New Data, Update Data, Problem Data.
pub fn sections(sorted: &Sorted) -> Vec<Section> {
    let below = format!("{} {}", notice(), basis(&sorted.source));
    let placed = |title: &'static str, rows: &[Placed]| Section {
        title: title.into(),
        header: sorted.header.clone(),
        rows: rows
            .iter()
            .map(|placed| cells(sorted.layout.columns(), placed))
            .collect(),
        notice: Some(below.clone()),
    };
    let mut header = sorted.header.clone();
    header.extend(["Line".to_owned(), "Reason".to_owned()]);
    vec![
        placed("New Data", &sorted.new),
        placed("Update Data", &sorted.update),
        Section {
            title: "Problem Data".into(),
            header,
            rows: sorted.problem.iter().map(refused).collect(),
            notice: Some(format!("Known accounts: {}.", sorted.source)),
        },
    ]
}

fn cells(columns: &[Option<Column>], placed: &Placed) -> Vec<Cell> {
    let cells = placed.row.cells.iter().zip(columns);
    cells
        .map(|(text, column)| match column {
            Some(column) if placed.marked.contains(column) => Cell::marked(text.as_str()),
            _ => Cell::plain(text.as_str()),
        })
        .collect()
}

fn refused(refused: &Refused) -> Vec<Cell> {
    let cells = refused.row.cells.iter().map(|text| Cell::plain(text.as_str()));
    cells
        .chain([
            Cell::plain(refused.row.line().to_string()),
            Cell::plain(refused.reasons.join("; ")),
        ])
        .collect()
}
