//! Files of people, read and written for the commands about Risk Assess.
//!
//! Invariants: what is written is whole or not there, and readable by its owner only; it holds personal values.

use std::io::Write as _;
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::config::GridFile;
use crate::model::fault::{Fault, FaultKind};
use crate::risk_assess::grid::{self, Grid};
use crate::risk_assess::sheet::{self, Section, Sheet};

/// Largest file that is read: a template of a hundred thousand people is far smaller.
const LARGEST: u64 = 256 * 1024 * 1024;

/// A file's bytes.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, Fault> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => FaultKind::NotFound,
            _ => FaultKind::Internal,
        };
        Fault::new(kind, format!("{shown} cannot be read: {}", error.kind())).because(error)
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > LARGEST {
        return Err(Fault::invalid(format!(
            "{shown} is larger than a file of users can be"
        )));
    }
    std::fs::read(path).map_err(unreadable)
}

/// A file as a table, its cells as they are: blanks at the edges may be what is wrong.
pub(super) fn raw_table(path: &Path) -> Result<Sheet, Fault> {
    sheet::read_untrimmed(&bytes(path)?).map_err(|fault| fault.context(path.display()))
}

/// A file as a table.
fn table(path: &Path) -> Result<Sheet, Fault> {
    sheet::read(&bytes(path)?).map_err(|fault| fault.context(path.display()))
}

/// A grid export, its name and its day.
pub(super) struct Exported {
    pub(super) grid: Grid,
    pub(super) name: String,
    pub(super) date: Date,
}

/// Reads a grid export. Without a day given, the export is as old as the file.
pub(super) fn grid_of(file: &GridFile) -> Result<Exported, Fault> {
    let path = &file.path;
    let grid = grid::parse(&table(path)?).map_err(|fault| fault.context(path.display()))?;
    let name = path
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let date = match file.date {
        Some(date) => date,
        None => day_of(path)?,
    };
    Ok(Exported { grid, name, date })
}

fn day_of(path: &Path) -> Result<Date, Fault> {
    let modified = std::fs::metadata(path).and_then(|facts| facts.modified());
    let at = modified.ok().and_then(|time| Timestamp::try_from(time).ok());
    let date = at.map(|at| at.to_zoned(TimeZone::UTC).date()).ok_or_else(|| {
        Fault::invalid(format!("the day of {} is not known", path.display()))
            .advise("give it with --grid-date")
    })?;
    tracing::info!(%date, "the grid counts as exported on the day of its file; --grid-date says otherwise");
    Ok(date)
}

/// Writes sections as a workbook, or one section as CSV, by the ending of the name.
pub(super) fn write_sections(path: &Path, sections: &[Section]) -> Result<(), Fault> {
    let is_csv = path
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
    let content = match sections {
        [only] if is_csv => sheet::csv(&only.header, &only.rows)?,
        _ => sheet::xlsx(sections)?,
    };
    write(path, &content)
}

/// Writes a file in the place of one that may be there.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), Fault> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let put = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    put().map_err(|error| Fault::internal(format!("{} cannot be written", path.display())).because(error))
}
