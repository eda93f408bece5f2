//! What an import shows on a terminal: the three sections, and what would be sent.
//!
//! Invariant: lines, Coupa numbers and names of columns, no values: the workbook holds those.

use std::fmt::Write as _;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

use super::plain;
use crate::risk_assess::columns::Column;
use crate::risk_assess::import::{Outgoing, Placed, Sorted, Upkeep, basis, notice};
use crate::risk_assess::theirs::TheirAccount;

/// The sections, at most so many rows of each.
pub fn table(sorted: &Sorted, most: usize) -> String {
    let mut text = format!("known accounts: {}\n", plain(&sorted.source.to_string()));
    let unknown = sorted.layout.unknown();
    if !unknown.is_empty() {
        let _ = writeln!(
            text,
            "columns that mean nothing here: {}",
            plain(&unknown.join(", "))
        );
    }
    let below = format!("{}\n{}\n", notice(), plain(&basis(&sorted.source)));
    for (title, rows) in [("New Data", &sorted.new), ("Update Data", &sorted.update)] {
        text.push_str(&heading(title, rows.len()));
        if !rows.is_empty() {
            let shown = rows.iter().take(most).map(placed);
            text.push_str(&aligned(
                ["line", "Coupa user", "account", "will not be written"],
                shown,
            ));
            text.push_str(&rest(rows.len(), most));
            text.push_str(&below);
        }
    }
    text.push_str(&heading("Problem Data", sorted.problem.len()));
    if !sorted.problem.is_empty() {
        let shown = sorted.problem.iter().take(most).map(|refused| {
            [
                refused.row.line().to_string(),
                user(&refused.row.account),
                plain(&refused.reasons.join("; ")),
            ]
        });
        text.push_str(&aligned(["line", "Coupa user", "problem"], shown));
        text.push_str(&rest(sorted.problem.len(), most));
    }
    text
}

/// What is sent, or would be; at most so many of the rows that are not.
pub fn outgoing(outgoing: &Outgoing, most: usize) -> String {
    let mut text = format!("\n{} to send\n", counted(outgoing.loads.len()));
    if !outgoing.left_out.is_empty() {
        let _ = writeln!(
            text,
            "columns that have no place in it: {}",
            titles(&outgoing.left_out)
        );
    }
    if !outgoing.unsent.is_empty() {
        let _ = writeln!(text, "{} not to send:", counted(outgoing.unsent.len()));
        let shown = outgoing.unsent.iter().take(most);
        let shown = shown.map(|unsent| [unsent.line.to_string(), plain(&unsent.reason)]);
        text.push_str(&aligned(["line", "why"], shown));
        text.push_str(&rest(outgoing.unsent.len(), most));
    }
    text
}

fn placed(placed: &Placed) -> [String; 4] {
    let account = match (&placed.account, placed.upkeep) {
        (Some(account), Upkeep::Synced) => format!("kept by User Sync, by {}", account.link.name()),
        (Some(account), Upkeep::ByHand) => format!("not linked, by {}", account.link.name()),
        (None, Upkeep::Synced) => "expected of User Sync".to_owned(),
        (None, Upkeep::ByHand) => "none known".to_owned(),
    };
    let marked: Vec<Column> = placed.marked.iter().copied().collect();
    [
        placed.row.line().to_string(),
        user(&placed.row.account),
        account,
        titles(&marked),
    ]
}

fn user(account: &TheirAccount) -> String {
    account.coupa_id.map(|id| id.to_string()).unwrap_or_default()
}

fn titles(columns: &[Column]) -> String {
    let titles: Vec<&str> = columns.iter().map(|column| column.title()).collect();
    titles.join(", ")
}

fn heading(title: &str, rows: usize) -> String {
    format!("\n{title}: {}\n", counted(rows))
}

fn counted(rows: usize) -> String {
    match rows {
        1 => "1 row".to_owned(),
        rows => format!("{rows} rows"),
    }
}

fn rest(rows: usize, most: usize) -> String {
    match rows.saturating_sub(most) {
        0 => String::new(),
        more => format!("and {more} more\n"),
    }
}

/// A table whose first two columns, or the first of two, are numbers.
fn aligned<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for column in 0..(N - 1).min(2) {
        if let Some(numbers) = table.column_mut(column) {
            numbers.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{}", line.trim_end());
        text
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::risk_assess::import::{Door, Known, check, fingerprint, loads, sort};
    use crate::risk_assess::{grid, sheet};

    #[test]
    fn the_whole_text() {
        let read = |text: &str| sheet::read(text.as_bytes()).unwrap();
        let file = "First Name,Last Name,Email,Coupa Username,Coupa User ID,Shoe size,Culture\n\
            Anna,Lee,ann@b.com,ann,7,38,de-DE\n\
            Bo,Lee,bo@b.com,bo,8,44,\n\
            Cy,Lee,cy@b.com,cy,9,,\n\
            Di,Lee,di@b.com,di,10,,\n\
            Eve,,eve@b.com,eve,x,,\n";
        let grid = "Username,Coupa Username,Email,First Name,Last Name\n\
            ann@b.com,ann,ann@b.com,Ann,Lee\n\
            cy@b.com,,cy@b.com,Cyrus,Lee\n";
        let grid = grid::parse(&read(grid)).unwrap();
        let known = Known::grid(&grid, "grid\u{1b}.csv", jiff::civil::date(2026, 11, 20));
        let sorted = sort(check(read(file)).unwrap(), &known);
        let expected = "
known accounts: grid grid.csv of 2026-11-20
columns that mean nothing here: Shoe size

New Data: 2 rows
 line  Coupa user  account     will not be written
    3           8  none known
and 1 more
Fields on yellow will not be written by the import: the user is kept in sync with Coupa, where such fields are to be changed.
Marked are protected fields of synced users that differ from the grid, or that the grid does not show. Known accounts: grid grid.csv of 2026-11-20.

Update Data: 2 rows
 line  Coupa user  account                         will not be written
    2           7  kept by User Sync, by username  First Name
and 1 more
Fields on yellow will not be written by the import: the user is kept in sync with Coupa, where such fields are to be changed.
Marked are protected fields of synced users that differ from the grid, or that the grid does not show. Known accounts: grid grid.csv of 2026-11-20.

Problem Data: 1 row
 line  Coupa user  problem
    6              Last Name is blank; Coupa User ID is not a positive whole number
";
        assert_eq!(format!("\n{}", table(&sorted, 1)), expected);
        let out = loads(&sorted, Door::QuickIntegration, &fingerprint(file.as_bytes()));
        let text = outgoing(&out, 1);
        assert!(
            text.starts_with("\n2 rows to send\ncolumns that have no place in it: "),
            "{text}"
        );
        assert!(
            text.contains("2 rows not to send:\n line  why\n    2  the row must give"),
            "{text}"
        );
        assert!(text.ends_with("and 1 more\n"), "{text}");
    }
}
