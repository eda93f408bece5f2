//! Files that come in: CSV and workbooks as a table of text.
//!
//! Invariant: a file that cannot be read as what it says it is gives nothing at all, never half a table.

use std::io::Cursor;

use calamine::{Data, Reader as _};
use serde::{Deserialize, Serialize};

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Comma-separated text in UTF-8.
    Csv,
    /// A workbook; for an import also an old one (`.xls`).
    Xlsx,
}

impl Form {
    /// By the content type of a file part, and for one that says nothing by the end of its name (D498).
    pub(super) fn of(content_type: Option<&str>, file_name: Option<&str>) -> Option<Self> {
        let essence = content_type
            .and_then(|text| text.split(';').next())
            .unwrap_or_default();
        match essence.trim().to_ascii_lowercase().as_str() {
            "text/csv" => Some(Self::Csv),
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
            | "application/vnd.ms-excel" => Some(Self::Xlsx),
            "application/octet-stream" => {
                let (_, end) = file_name?.rsplit_once('.')?;
                match end.to_ascii_lowercase().as_str() {
                    "csv" => Some(Self::Csv),
                    "xlsx" | "xls" => Some(Self::Xlsx),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// A table of text, trimmed.
#[derive(Clone)]
pub(super) struct Table {
    pub(super) header: Vec<String>,
    pub(super) lines: Vec<Line>,
}

/// A row that is not blank.
#[derive(Clone)]
pub(super) struct Line {
    /// In the file, from 1.
    pub(super) number: u64,
    pub(super) cells: Vec<String>,
}

impl Table {
    /// `None` if the file is not of this form or has no header.
    pub(super) fn read(form: Form, bytes: &[u8]) -> Option<Self> {
        let lines = match form {
            Form::Csv => csv_lines(bytes)?,
            Form::Xlsx => workbook_lines(bytes)?,
        };
        let mut filled = lines
            .into_iter()
            .filter(|line| line.cells.iter().any(|cell| !cell.is_empty()));
        let header = filled.next()?.cells;
        Some(Self {
            header,
            lines: filled.collect(),
        })
    }
}

fn csv_lines(bytes: &[u8]) -> Option<Vec<Line>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes);
    let lines = reader.records().map(|record| {
        let record = record.ok()?;
        Some(Line {
            number: record.position().map_or(0, csv::Position::line),
            cells: record.iter().map(|cell| cell.trim().to_owned()).collect(),
        })
    });
    lines.collect()
}

fn workbook_lines(bytes: &[u8]) -> Option<Vec<Line>> {
    let mut book = calamine::open_workbook_auto_from_rs(Cursor::new(bytes.to_vec())).ok()?;
    let range = book.worksheet_range_at(0)?.ok()?;
    let (first, _) = range.start()?;
    let rows = range.rows().zip(u64::from(first) + 1..);
    let lines = rows.map(|(row, number)| Line {
        number,
        cells: row.iter().map(cell_text).collect(),
    });
    Some(lines.collect())
}

fn cell_text(cell: &Data) -> String {
    match cell {
        Data::Empty | Data::Error(_) => String::new(),
        Data::Bool(true) => "Yes".to_owned(),
        Data::Bool(false) => "No".to_owned(),
        other => other.to_string().trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_form_is_told_by_type_and_name() {
        let form = |content_type: &str, name| Form::of(Some(content_type), name);
        assert_eq!(form("text/csv; charset=utf-8", None), Some(Form::Csv));
        assert_eq!(form("application/vnd.ms-excel", None), Some(Form::Xlsx));
        assert_eq!(
            form("application/octet-stream", Some("Users.CSV")),
            Some(Form::Csv)
        );
        assert_eq!(form("application/octet-stream", None), None);
        assert_eq!(form("text/plain", Some("users.csv")), None);
        assert_eq!(Form::of(None, Some("users.csv")), None);
    }

    #[test]
    fn csv_keeps_lines_and_refuses_what_it_is_not() {
        let table = Table::read(Form::Csv, "\u{feff}A,B\n\n\"x\ny\", ü \n,\nz,\n".as_bytes()).unwrap();
        assert_eq!(table.header, ["A", "B"]);
        let lines: Vec<_> = table
            .lines
            .iter()
            .map(|l| (l.number, l.cells.join("|")))
            .collect();
        assert_eq!(lines, [(3, "x\ny|ü".to_owned()), (6, "z|".to_owned())]);
        assert!(Table::read(Form::Csv, b"A,B\n1,2,3\n").is_none(), "ragged");
        assert!(Table::read(Form::Csv, b"A,B\n\xff,2\n").is_none(), "not UTF-8");
        assert!(Table::read(Form::Csv, b"").is_none());
        assert!(Table::read(Form::Xlsx, b"A,B\n1,2\n").is_none());
    }
}
