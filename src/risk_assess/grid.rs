//! The export of the user grid: the one place where Risk Assess shows its accounts.
//!
//! Invariants: the grid shows active users only and hides the Coupa id (S1), so what it lacks may be inactive or never have been made; a blank
//! in a column that the export does not have says nothing.

use std::collections::BTreeSet;

use crate::model::fault::Fault;

use super::columns::Column;
use super::layout::{Layout, id_is_unreadable};
use super::sheet::Sheet;
use super::theirs::TheirAccount;

/// Columns of which a grid must have one.
const IDENTIFYING: [Column; 4] = [
    Column::CoupaUserId,
    Column::CoupaUsername,
    Column::Username,
    Column::Email,
];

/// Such an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    /// The accounts, in the order of the file.
    pub accounts: Vec<TheirAccount>,
    /// The columns it has.
    pub columns: BTreeSet<Column>,
    /// Headers that mean nothing to us.
    pub unknown_columns: Vec<String>,
    /// Lines of rows whose Coupa User ID is no number of a Coupa user; they are compared by name and address, and prove no link.
    pub unreadable_ids: Vec<u64>,
    /// Lines of rows that name no account: left out.
    pub nameless: Vec<u64>,
}

/// Reads an export.
pub fn parse(sheet: &Sheet) -> Result<Grid, Fault> {
    let layout = Layout::of(&sheet.header)?;
    if layout.missing(&IDENTIFYING).len() == IDENTIFYING.len() {
        return Err(
            Fault::invalid("the grid has no column that tells whose account a row is").advise(
                "its first line must name at least one of Username, Email, Coupa Username, Coupa User ID",
            ),
        );
    }
    let rows = sheet.lines.iter().map(|line| layout.account(line));
    let (accounts, nameless): (Vec<_>, Vec<_>) =
        rows.partition(|account| IDENTIFYING.iter().any(|column| account.get(*column).is_some()));
    let unreadable = accounts.iter().filter(|account| id_is_unreadable(account));
    Ok(Grid {
        unreadable_ids: unreadable.map(|account| account.line).collect(),
        nameless: nameless.iter().map(|account| account.line).collect(),
        columns: layout.columns().iter().flatten().copied().collect(),
        unknown_columns: layout.unknown().to_vec(),
        accounts,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::sheet;
    use super::*;

    #[test]
    fn columns_in_any_order_and_rows_that_say_too_little() {
        let text = "\u{feff}Status,Coupa-Username,Shoe Size,E-mail,coupa user id\n\
            Active,ann,38,ann@example.com,7\n\
            Active,bo,,bo@example.com,x7\n\
            Active,,44,,\n";
        let grid = parse(&sheet::read(text.as_bytes()).unwrap()).unwrap();
        assert_eq!(grid.accounts.len(), 2);
        assert_eq!(grid.accounts[0].coupa_id, "7".parse().ok());
        assert_eq!(grid.accounts[1].get(Column::CoupaUsername), Some("bo"));
        assert_eq!(
            (grid.unreadable_ids, grid.nameless),
            (vec![3], vec![4]),
            "lines as in the file"
        );
        assert_eq!(grid.unknown_columns, ["Shoe Size"]);
        assert!(grid.columns.contains(&Column::Status) && !grid.columns.contains(&Column::City));
    }

    #[test]
    fn a_grid_must_tell_whose_its_rows_are() {
        let sheet = sheet::read(b"First Name,Last Name\nAnn,Lee\n").unwrap();
        let told = parse(&sheet).err().unwrap().to_string();
        assert!(told.contains("Coupa Username"), "{told}");
        let sheet = sheet::read(b"Email,E-Mail Address\na@b.com,a@b.com\n").unwrap();
        assert!(parse(&sheet).err().unwrap().to_string().contains("more than one"));
    }
}
