//! Files that go out: the grid of users, and tables in general.
//!
//! Invariant: the grid holds active users alone (S1): a disabled account looks exactly like a missing one.

use rust_xlsxwriter::{Workbook, XlsxError};

use super::accounts::Account;
use super::fields::Field;
use super::readings::GridColumn;
use super::table::Form;

/// Columns of the grid: header and value.
type GridCell = (&'static str, fn(&Account) -> String);

#[rustfmt::skip] // one column a line
const GRID: [GridCell; 21] = [
    ("First Name", |a| a.get(Field::FirstName).to_owned()),
    ("Middle", |a| a.get(Field::Middle).to_owned()),
    ("Last Name", |a| a.get(Field::LastName).to_owned()),
    ("Username", |a| a.get(Field::Username).to_owned()),
    ("Coupa Username", |a| a.get(Field::CoupaUsername).to_owned()),
    ("Email", |a| a.get(Field::Email).to_owned()),
    ("Status", |a| if a.active { "Active" } else { "Inactive" }.to_owned()),
    ("Title", |a| a.get(Field::Title).to_owned()),
    ("Business Phone", |a| a.get(Field::BusinessPhone).to_owned()),
    ("Business Ext", |a| a.get(Field::BusinessExt).to_owned()),
    ("Mobile", |a| a.get(Field::Mobile).to_owned()),
    ("Home", |a| a.get(Field::Home).to_owned()),
    ("Fax", |a| a.get(Field::Fax).to_owned()),
    ("Mailing Address", |a| a.get(Field::Address1).to_owned()),
    ("Mailing Address 2", |a| a.get(Field::Address2).to_owned()),
    ("City", |a| a.get(Field::City).to_owned()),
    ("State/Province", |a| a.get(Field::State).to_owned()),
    ("Postal Code", |a| a.get(Field::PostalCode).to_owned()),
    ("County", |a| a.get(Field::County).to_owned()),
    ("Country", |a| a.get(Field::Country).to_owned()),
    ("User Groups", |a| a.groups.iter().cloned().collect::<Vec<_>>().join("; ")),
];

const COUPA_ID: GridCell = ("Coupa User ID", |a| {
    a.coupa_id.map(|id| id.to_string()).unwrap_or_default()
});

/// The grid as a person exports it.
pub(super) fn grid(accounts: &[Account], form: Form, coupa_id: GridColumn) -> Vec<u8> {
    let mut columns = GRID.to_vec();
    if coupa_id == GridColumn::Shown {
        columns.push(COUPA_ID);
    }
    let header: Vec<&str> = columns.iter().map(|(header, _)| *header).collect();
    let active = accounts.iter().filter(|account| account.active);
    let rows = active.map(|account| {
        columns
            .iter()
            .map(|(_, value)| value(account))
            .collect::<Vec<_>>()
    });
    match form {
        Form::Csv => csv(&header, rows),
        Form::Xlsx => xlsx(&header, rows),
    }
}

/// A file with a byte-order mark, as spreadsheets like it.
pub(super) fn csv<R: IntoIterator<Item = String>>(header: &[&str], rows: impl Iterator<Item = R>) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(b"\xef\xbb\xbf".to_vec());
    // Writing into memory fails only for rows of unequal length, which there are not.
    let _ = writer.write_record(header);
    for row in rows {
        let _ = writer.write_record(row.into_iter().collect::<Vec<String>>());
    }
    writer.into_inner().unwrap_or_default()
}

fn xlsx(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Vec<u8> {
    let write = || -> Result<Vec<u8>, XlsxError> {
        let mut book = Workbook::new();
        let sheet = book.add_worksheet();
        sheet.set_name("Users")?;
        sheet.write_row(0, 0, header.iter().copied())?;
        for (row, number) in rows.zip(1..) {
            sheet.write_row(number, 0, row)?;
        }
        book.save_to_buffer()
    };
    // Only values longer than a cell may be can fail; nothing that long fits the table.
    write().unwrap_or_default()
}
