//! Writing tables.
//!
//! Invariant: a cell that a spreadsheet would take for a formula is neutralised: in CSV by a leading apostrophe, in XLSX by being a
//! string cell.

use std::borrow::Cow;

use rust_xlsxwriter::{Color, Format, Workbook, XlsxError};

use crate::model::fault::Fault;

/// How a cell is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tint {
    /// As any other.
    #[default]
    Plain,
    /// On yellow: it will not be written.
    Marked,
}

/// One cell.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Cell {
    /// What stands in it.
    pub text: String,
    /// How it is shown.
    pub tint: Tint,
}

impl Cell {
    /// A cell as any other.
    pub fn plain(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            tint: Tint::Plain,
        }
    }

    /// A cell on yellow.
    pub fn marked(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            tint: Tint::Marked,
        }
    }
}

/// A table with a title.
#[derive(Clone, PartialEq, Eq)]
pub struct Section {
    /// What it holds; the name of its sheet in a workbook (Excel: at most 31 characters, none of `[]:*?/\`).
    pub title: Cow<'static, str>,
    /// Names of the columns.
    pub header: Vec<String>,
    /// As many cells each as there are columns.
    pub rows: Vec<Vec<Cell>>,
    /// What stands below it.
    pub notice: Option<String>,
}

/// A table as CSV (RFC 4180, UTF-8 with a byte-order mark, so that spreadsheets read letters beyond ASCII right).
pub fn csv(header: &[String], rows: &[Vec<Cell>]) -> Result<Vec<u8>, Fault> {
    let failed = |error: &dyn std::fmt::Display| Fault::internal("a table cannot be written").because(error);
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(b"\xef\xbb\xbf".to_vec());
    writer
        .write_record(header.iter().map(|name| harmless(name).into_owned()))
        .map_err(|error| failed(&error))?;
    for row in rows {
        writer
            .write_record(row.iter().map(|cell| harmless(&cell.text).into_owned()))
            .map_err(|error| failed(&error))?;
    }
    writer.into_inner().map_err(|error| failed(&error))
}

/// What a spreadsheet takes for the start of a formula; the wide forms are folded to these by East Asian versions.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// Text that no spreadsheet takes for a formula: an apostrophe before each part that would be one (OWASP, CSV injection: a leading `=`, `+`,
/// `-`, `@`, tab, carriage return or line feed, blanks before it aside). Where a spreadsheet is set to another separator it splits a
/// cell there, quotes or not, so what follows a separator counts as a start, too.
fn harmless(text: &str) -> Cow<'_, str> {
    let led_by_control = text.starts_with(['\t', '\r', '\n']);
    if !led_by_control && !text.contains(FORMULA) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 1);
    if led_by_control {
        safe.push('\'');
    }
    for part in text.split_inclusive([';', '|', '\t', '\r', '\n']) {
        if starts_formula(part) {
            safe.push('\'');
        }
        safe.push_str(part);
    }
    Cow::Owned(safe)
}

fn starts_formula(text: &str) -> bool {
    text.trim_start_matches(is_blank).starts_with(FORMULA)
}

/// Nothing to see, and dropped by one or the other reader.
fn is_blank(letter: char) -> bool {
    letter.is_whitespace()
        || letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// A cell of a CSV without the apostrophe that [`csv()`] and others put before what would start a formula.
pub(crate) fn without_guard(text: &str) -> &str {
    match text.strip_prefix('\'') {
        Some(rest) if starts_formula(rest) => rest,
        _ => text,
    }
}

/// Sections as a workbook, a sheet each.
pub fn xlsx(sections: &[Section]) -> Result<Vec<u8>, Fault> {
    let write = || -> Result<Vec<u8>, XlsxError> {
        let mut book = Workbook::new();
        for section in sections {
            sheet(&mut book, section)?;
        }
        book.save_to_buffer()
    };
    write().map_err(|error| Fault::internal("a workbook cannot be written").because(error))
}

fn sheet(book: &mut Workbook, section: &Section) -> Result<(), XlsxError> {
    let heading = Format::new().set_bold();
    let marked = Format::new().set_background_color(Color::Yellow);
    let sheet = book.add_worksheet_with_constant_memory()?;
    sheet.set_name(&*section.title)?;
    sheet.set_freeze_panes(1, 0)?;
    for (name, column) in section.header.iter().zip(0..) {
        sheet.write_string_with_format(0, column, name, &heading)?;
    }
    let mut last = 0;
    for (row, number) in section.rows.iter().zip(1..) {
        last = number;
        for (cell, column) in row.iter().zip(0..) {
            match cell.tint {
                Tint::Plain if cell.text.is_empty() => {}
                Tint::Plain => {
                    sheet.write_string(number, column, &cell.text)?;
                }
                Tint::Marked => {
                    sheet.write_string_with_format(number, column, &cell.text, &marked)?;
                }
            }
        }
    }
    if let Some(notice) = &section.notice {
        sheet.write_string(last + 2, 0, notice)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nothing_starts_a_formula_and_quotes_are_doubled() {
        let header = vec!["a".to_owned(), "b".to_owned()];
        let rows = vec![
            vec![Cell::plain("=cmd|' /C calc'!A0"), Cell::plain("x\"y, z\nü")],
            vec![Cell::plain("-1"), Cell::marked("@x")],
        ];
        let text = String::from_utf8(csv(&header, &rows).unwrap()).unwrap();
        assert_eq!(
            text,
            "\u{feff}a,b\r\n'=cmd|' /C calc'!A0,\"x\"\"y, z\nü\"\r\n'-1,'@x\r\n"
        );
    }

    #[test]
    fn a_formula_is_found_behind_blanks_and_behind_separators() {
        for (text, safe) in [
            ("  =1", "'  =1"),
            ("\u{a0}\u{feff}+1", "'\u{a0}\u{feff}+1"),
            ("\n=1", "'\n'=1"),
            ("\tx", "'\tx"),
            ("\rx", "'\rx"),
            ("\nx", "'\nx"),
            ("x;=1", "x;'=1"),
            ("x\n @y", "x\n' @y"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("a-b+c=d@e", "a-b+c=d@e"),
            ("x\r\ny; z", "x\r\ny; z"),
            ("'quoted'", "'quoted'"),
            ("", ""),
        ] {
            assert_eq!(harmless(text), safe, "{text:?}");
        }
        for text in ["=1", "-1", "+44 20", "@x", "plain", "'quoted'"] {
            assert_eq!(without_guard(&harmless(text)), text);
        }
    }
}
