//! Reading a table from the bytes of a file: CSV with or without a byte-order mark, or the first sheet of an XLSX.
//!
//! Invariant: every cell is text as a person sees it, trimmed unless asked otherwise; a whole number in an XLSX has no `.0`; empty lines are left out.

use std::io::Cursor;

use calamine::{Data, Reader as _, Xlsx};

use crate::model::fault::Fault;

/// How a table is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Comma-separated (or, where the header shows it, semicolon- or tab-separated) UTF-8 text.
    Csv,
    /// Office Open XML.
    Xlsx,
}

/// A table.
#[derive(Clone, PartialEq, Eq)]
pub struct Sheet {
    /// How it was stored.
    pub form: Form,
    /// The first line.
    pub header: Vec<String>,
    /// The others that hold something.
    pub lines: Vec<Line>,
}

/// One line; as many cells as the header has, missing ones empty.
#[derive(Clone, PartialEq, Eq)]
pub struct Line {
    /// Number in the file, from 1 with the header.
    pub number: u64,
    /// Texts; trimmed by [`read`].
    pub cells: Vec<String>,
}

/// Reads a table. An XLSX is known by its first bytes, whatever the file is called.
pub fn read(bytes: &[u8]) -> Result<Sheet, Fault> {
    let mut sheet = read_untrimmed(bytes)?;
    for cell in sheet.lines.iter_mut().flat_map(|line| &mut line.cells) {
        if cell.trim().len() < cell.len() {
            *cell = cell.trim().to_owned();
        }
    }
    Ok(sheet)
}

/// The same with the cells below the header as they stand, spaces at their edges included: for who looks for those.
pub fn read_untrimmed(bytes: &[u8]) -> Result<Sheet, Fault> {
    if bytes.starts_with(b"PK") {
        return read_xlsx(bytes);
    }
    if bytes.starts_with(&[0xD0, 0xCF, 0x11, 0xE0]) {
        return Err(Fault::invalid("this is an old Excel file (.xls)").advise("save it as .xlsx or as CSV"));
    }
    read_csv(bytes)
}

fn read_csv(bytes: &[u8]) -> Result<Sheet, Fault> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Fault::invalid(format!("this is no UTF-8 text (byte {})", error.valid_up_to()))
            .advise("save it as CSV UTF-8 or as .xlsx")
    })?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter(text))
        .from_reader(text.as_bytes());
    let mut rows = Vec::new();
    let (mut seen, mut number) = (0, 1);
    for record in reader.records() {
        let record = record.map_err(|error| Fault::invalid("this CSV cannot be read").because(error))?;
        // Where the reader stood before the record, empty lines included.
        let from = record
            .position()
            .map_or(seen, |place| usize::try_from(place.byte()).unwrap_or(seen));
        let empty = text.as_bytes()[from..]
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'));
        let start = from + empty.count();
        number += text[seen..start].matches('\n').count() as u64;
        seen = start;
        rows.push(Line {
            number,
            cells: record.iter().map(str::to_owned).collect(),
        });
    }
    table(Form::Csv, rows)
}

/// The separator that the first line holds most of.
fn delimiter(text: &str) -> u8 {
    let first = text.lines().next().unwrap_or_default();
    let count = |separator: u8| first.bytes().filter(|byte| *byte == separator).count();
    // The last of equals: a comma, unless another is seen more often.
    [b'\t', b';', b',']
        .into_iter()
        .max_by_key(|separator| count(*separator))
        .unwrap_or(b',')
}

fn read_xlsx(bytes: &[u8]) -> Result<Sheet, Fault> {
    let broken = |error: &dyn std::fmt::Display| Fault::invalid("this .xlsx cannot be read").because(error);
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(|error| broken(&error))?;
    let range = book
        .worksheet_range_at(0)
        .ok_or_else(|| Fault::invalid("this .xlsx holds no sheet"))?
        .map_err(|error| broken(&error))?;
    let top = range.start().map_or(0, |(row, _)| row);
    let rows = range
        .rows()
        .zip(u64::from(top) + 1..)
        .map(|(cells, number)| Line {
            number,
            cells: cells.iter().map(shown).collect(),
        });
    table(Form::Xlsx, rows.collect())
}

fn shown(cell: &Data) -> String {
    match cell {
        Data::Empty => String::new(),
        Data::Bool(true) => "Yes".to_owned(),
        Data::Bool(false) => "No".to_owned(),
        // `Display` of a whole number has no fraction.
        other => other.to_string(),
    }
}

fn table(form: Form, rows: Vec<Line>) -> Result<Sheet, Fault> {
    let mut rows = rows
        .into_iter()
        .filter(|line| line.cells.iter().any(|cell| !cell.trim().is_empty()));
    let mut header = rows
        .next()
        .ok_or_else(|| Fault::invalid("the file is empty").advise("its first line must name the columns"))?
        .cells;
    for name in &mut header {
        *name = name.trim().to_owned();
    }
    while header.last().is_some_and(String::is_empty) {
        header.pop();
    }
    let mut lines: Vec<Line> = rows.collect();
    for line in &mut lines {
        if line
            .cells
            .iter()
            .skip(header.len())
            .any(|cell| !cell.trim().is_empty())
        {
            return Err(Fault::invalid(format!(
                "line {} has more cells than the header has columns",
                line.number
            )));
        }
        line.cells.resize(header.len(), String::new());
    }
    Ok(Sheet { form, header, lines })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Cell, Section, xlsx};
    use super::*;

    #[test]
    fn csv_as_people_save_it() {
        let text = "\u{feff}First Name; Email ;\r\n\r\n\"O'Brien; Ann\";ann@example.com\r\nBo;\r\n";
        let sheet = read(text.as_bytes()).unwrap();
        assert_eq!(sheet.form, Form::Csv);
        assert_eq!(sheet.header, ["First Name", "Email"]);
        let lines: Vec<_> = sheet
            .lines
            .iter()
            .map(|line| (line.number, line.cells.clone()))
            .collect();
        assert_eq!(
            lines[0],
            (3, vec!["O'Brien; Ann".to_owned(), "ann@example.com".to_owned()])
        );
        assert_eq!(lines[1], (4, vec!["Bo".to_owned(), String::new()]));
        let kept = read_untrimmed(b" Name ,Email\n Bo ,\"\"\n , \n").unwrap();
        assert_eq!(kept.header, ["Name", "Email"]);
        assert_eq!(kept.lines.len(), 1, "blanks alone are nothing");
        assert_eq!(kept.lines[0].cells, [" Bo ", ""]);
    }

    #[test]
    fn what_cannot_be_a_table_is_told() {
        for (bytes, told) in [
            (&b""[..], "empty"),
            (b"\xff\xfe", "UTF-8"),
            (b"PK\x03\x04rest", ".xlsx"),
            (&[0xD0, 0xCF, 0x11, 0xE0, 0], "old Excel"),
            (b"a,b\n1,2,3\n", "line 2"),
        ] {
            let fault = read(bytes).err().unwrap();
            assert!(fault.to_string().contains(told), "{fault}");
        }
    }

    #[test]
    fn numbers_of_a_workbook_are_shown_as_people_see_them() {
        let mut book = rust_xlsxwriter::Workbook::new();
        let sheet = book.add_worksheet();
        sheet.write_string(0, 0, "Coupa User ID").unwrap();
        sheet.write_string(0, 1, "Active").unwrap();
        sheet.write_number(1, 0, 4_294_967_301_f64).unwrap();
        sheet.write_boolean(1, 1, true).unwrap();
        let read = read(&book.save_to_buffer().unwrap()).unwrap();
        assert_eq!(read.form, Form::Xlsx);
        assert_eq!(read.lines[0].cells, ["4294967301", "Yes"]);
        assert_eq!(read.lines[0].number, 2);
    }

    #[test]
    fn what_we_write_is_read_as_it_was() {
        let section = Section {
            title: "New".into(),
            header: vec!["Name".into(), "Note".into()],
            rows: vec![vec![Cell::plain("=1+1"), Cell::plain(" +x")]],
            notice: None,
        };
        let sheet = read(&xlsx(&[section]).unwrap()).unwrap();
        assert_eq!(
            sheet.lines[0].cells,
            ["=1+1", "+x"],
            "a string cell is no formula"
        );
    }
}
