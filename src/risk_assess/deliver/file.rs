//! Rows as a file: for the Quick Integration, or for a person to upload.
//!
//! The file for the machine is written as it is meant: no byte-order mark, and nothing before a leading `+` or `=`. An apostrophe that keeps a
//! spreadsheet from calculating would be stored there as part of the value. The file for a person may be opened in a spreadsheet, so it is
//! written by [`crate::risk_assess::sheet`], which neutralises formulas; as XLSX it needs no apostrophe and is what to prefer.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use crate::model::fault::Fault;
use crate::risk_assess::columns::Column;
use crate::risk_assess::sheet::{self, Cell, Section};

use super::render::Row;

/// How a file is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileForm {
    /// Comma-separated UTF-8.
    #[default]
    Csv,
    /// Office Open XML.
    Xlsx,
}

impl FileForm {
    /// The form that the extension of a path names.
    pub fn of_path(path: &Path) -> Result<Self, Fault> {
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        match extension.to_str() {
            Some("csv") => Ok(Self::Csv),
            Some("xlsx") => Ok(Self::Xlsx),
            _ => Err(Fault::invalid("the file must be called .csv or .xlsx")),
        }
    }

    /// Its content type (D498).
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }
    }

    const fn file_name(self) -> &'static str {
        match self {
            Self::Csv => "users.csv",
            Self::Xlsx => "users.xlsx",
        }
    }
}

/// Columns that a file for the Quick Integration must have (D501).
const REQUIRED: [Column; 6] = [
    Column::Email,
    Column::FirstName,
    Column::LastName,
    Column::Status,
    Column::IsSupplierUser,
    Column::IsAdministrator,
];

/// A file for the Quick Integration. `Debug` shows its size.
#[derive(Clone, PartialEq, Eq)]
pub struct UsersFile {
    /// How it is stored.
    pub form: FileForm,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl UsersFile {
    /// A file with these rows; columns that the Quick Integration does not have are left out.
    pub fn of(rows: &[&Row], form: FileForm) -> Result<Self, Fault> {
        let used: BTreeSet<Column> = rows.iter().flat_map(|row| row.cells.keys().copied()).collect();
        let columns = used
            .into_iter()
            .filter_map(|column| Some((column, column.quick_integration()?)));
        let (columns, header): (Vec<Column>, Vec<String>) =
            columns.map(|(column, name)| (column, name.to_owned())).unzip();
        let rows = || rows.iter().map(|row| values(row, &columns));
        let bytes = match form {
            FileForm::Csv => verbatim(&header, rows())?,
            FileForm::Xlsx => workbook(header, rows())?,
        };
        Ok(Self { form, bytes })
    }

    /// A file with the required columns (D501) and nobody in it: there is nothing in it to be made or changed.
    pub fn without_rows(form: FileForm) -> Result<Self, Fault> {
        let header: Vec<String> = REQUIRED
            .iter()
            .filter_map(|column| column.quick_integration().map(str::to_owned))
            .collect();
        let bytes = match form {
            FileForm::Csv => verbatim(&header, std::iter::empty())?,
            FileForm::Xlsx => workbook(header, std::iter::empty())?,
        };
        Ok(Self { form, bytes })
    }

    /// What it is called.
    pub const fn name(&self) -> &'static str {
        self.form.file_name()
    }
}

impl fmt::Debug for UsersFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.name(), self.bytes.len())
    }
}

/// The template, filled, for a person to upload: the mandatory columns first (S2), then what else the rows have.
pub fn template(rows: &[&Row], form: FileForm) -> Result<Vec<u8>, Fault> {
    let used: BTreeSet<Column> = rows.iter().flat_map(|row| row.cells.keys().copied()).collect();
    let others = used
        .into_iter()
        .filter(|column| !Column::MANDATORY.contains(column));
    let columns: Vec<Column> = Column::MANDATORY.into_iter().chain(others).collect();
    let header: Vec<String> = columns.iter().map(|column| column.title().to_owned()).collect();
    let rows = rows.iter().map(|row| values(row, &columns));
    match form {
        FileForm::Csv => {
            let rows: Vec<Vec<Cell>> = rows.map(plain).collect();
            sheet::csv(&header, &rows)
        }
        FileForm::Xlsx => workbook(header, rows),
    }
}

fn values<'a>(row: &'a Row, columns: &[Column]) -> Vec<&'a str> {
    let value = |column| row.cells.get(column).map_or("", String::as_str);
    columns.iter().map(value).collect()
}

fn plain(values: Vec<&str>) -> Vec<Cell> {
    values.into_iter().map(Cell::plain).collect()
}

fn workbook<'a>(header: Vec<String>, rows: impl Iterator<Item = Vec<&'a str>>) -> Result<Vec<u8>, Fault> {
    sheet::xlsx(&[Section {
        title: "Users".into(),
        header,
        rows: rows.map(plain).collect(),
        notice: None,
    }])
}

/// RFC 4180, every value as it is.
fn verbatim<'a>(header: &[String], rows: impl Iterator<Item = Vec<&'a str>>) -> Result<Vec<u8>, Fault> {
    let write = || -> Result<Vec<u8>, csv::Error> {
        let mut writer = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .from_writer(Vec::new());
        writer.write_record(header)?;
        for row in rows {
            writer.write_record(row)?;
        }
        writer.into_inner().map_err(|error| error.into_error().into())
    };
    write().map_err(|error| Fault::internal("a file of users cannot be written").because(error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::render::tests::ann;
    use super::super::render::{Active, cells};
    use super::*;
    use crate::model::profile::{Phone, Profile};

    fn abroad(id: u64) -> Row {
        let profile = Profile {
            phone: Some(Phone {
                country_code: Some("44".into()),
                number: Some("2079460000".into()),
                ..Phone::default()
            }),
            last_name: Some("=Ünal, \"O\"".into()),
            ..ann(id)
        };
        cells(&profile, Active::Yes).unwrap()
    }

    #[test]
    fn a_machine_gets_every_value_as_it_is() {
        let (row, other) = (abroad(7), cells(&ann(8), Active::No).unwrap());
        let file = UsersFile::of(&[&row, &other], FileForm::Csv).unwrap();
        assert_eq!(
            String::from_utf8(file.bytes.clone()).unwrap(),
            "EmailAddress,FirstName,LastName,Activated,BusinessPhone,SSOUsername,IsSupplierUser,IsAdministrator\r\n\
             ann7@example.com,Ann,\"=Ünal, \"\"O\"\"\",Yes,+44 2079460000,ann7,No,No\r\n\
             ann8@example.com,Ann,O'Brien,No,,ann8,No,No\r\n"
        );
        assert_eq!((file.name(), file.form.content_type()), ("users.csv", "text/csv"));
        assert_eq!(
            format!("{file:?}"),
            format!("users.csv of {} bytes", file.bytes.len())
        );
    }

    #[test]
    fn a_file_without_rows_has_the_required_columns() {
        let file = UsersFile::without_rows(FileForm::Csv).unwrap();
        assert_eq!(
            String::from_utf8(file.bytes).unwrap(),
            "EmailAddress,FirstName,LastName,Activated,IsSupplierUser,IsAdministrator\r\n"
        );
        let book = sheet::read(&UsersFile::without_rows(FileForm::Xlsx).unwrap().bytes).unwrap();
        assert_eq!((book.header.len(), book.lines.len()), (6, 0));
    }

    #[test]
    fn a_workbook_holds_the_same() {
        let row = abroad(7);
        let read = |form| sheet::read(&UsersFile::of(&[&row], form).unwrap().bytes).unwrap();
        let (csv, xlsx) = (read(FileForm::Csv), read(FileForm::Xlsx));
        assert_eq!(csv.header, xlsx.header);
        assert_eq!(csv.lines[0].cells, xlsx.lines[0].cells);
        assert!(xlsx.lines[0].cells.contains(&"=Ünal, \"O\"".to_owned()));
    }

    #[test]
    fn a_person_gets_the_template_with_titles_and_no_formulas() {
        let row = abroad(7);
        let text = String::from_utf8(template(&[&row], FileForm::Csv).unwrap()).unwrap();
        assert_eq!(
            text,
            "\u{feff}First Name,Last Name,Email,Coupa Username,Coupa User ID,Status,Business Phone,SSO Username,Supplier User,Administrator\r\n\
             Ann,\"'=Ünal, \"\"O\"\"\",ann7@example.com,ann7,7,Yes,'+44 2079460000,ann7,No,No\r\n"
        );
        let book = sheet::read(&template(&[&row], FileForm::Xlsx).unwrap()).unwrap();
        assert_eq!(
            book.lines[0].cells[1], "=Ünal, \"O\"",
            "a string cell needs no apostrophe"
        );
        let empty = template(&[], FileForm::Csv).unwrap();
        assert!(
            String::from_utf8(empty)
                .unwrap()
                .starts_with("\u{feff}First Name,Last Name,Email,")
        );
    }

    #[test]
    fn the_extension_names_the_form() {
        let form = |path: &str| FileForm::of_path(Path::new(path)).ok();
        assert_eq!(form("a/b.CSV"), Some(FileForm::Csv));
        assert_eq!(form("b.xlsx"), Some(FileForm::Xlsx));
        assert_eq!((form("b.xls"), form("csv")), (None, None));
    }
}
