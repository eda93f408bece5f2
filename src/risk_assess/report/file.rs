//! A report in a directory.
//!
//! Invariants: only the owner reads it; it is there as a whole or not at all; it replaces nothing.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::Report;
use crate::model::fault::Fault;

/// Reports of one title that a directory holds at most; more of one day are a loop somewhere.
const SAME_TITLE: u32 = 10_000;

/// Writes the report into `dir`, which is made if it is missing, and gives its path: the report's name, or with ` (2)` and so on behind it
/// where that is taken. Blocks for as long as a disk takes.
pub fn write(dir: &Path, report: &Report) -> Result<PathBuf, Fault> {
    let failed = |error: io::Error| broken(dir, &error);
    make(dir).map_err(failed)?;
    let mut staged = tempfile::Builder::new()
        .prefix(".report-")
        .suffix(".tmp")
        .tempfile_in(dir)
        .map_err(failed)?;
    close_to_others(staged.as_file()).map_err(failed)?;
    staged.write_all(&report.csv).map_err(failed)?;
    staged.as_file().sync_all().map_err(failed)?;
    for copy in 1..=SAME_TITLE {
        let path = dir.join(numbered(&report.file_name, copy));
        match staged.persist_noclobber(&path) {
            Ok(_) => {
                sync_directory(dir).map_err(failed)?;
                return Ok(path);
            }
            Err(taken) if taken.error.kind() == io::ErrorKind::AlreadyExists => staged = taken.file,
            Err(other) => return Err(failed(other.error)),
        }
    }
    Err(failed(io::ErrorKind::AlreadyExists.into()))
}

/// `name.csv`, `name (2).csv`, ….
fn numbered(name: &str, copy: u32) -> String {
    match name.strip_suffix(".csv") {
        Some(stem) if copy > 1 => format!("{stem} ({copy}).csv"),
        None if copy > 1 => format!("{name} ({copy})"),
        _ => name.to_owned(),
    }
}

fn make(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(dir)
}

#[cfg(unix)]
fn close_to_others(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same shape as on Unix")]
fn close_to_others(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Makes a new name last: it lives in the directory.
#[cfg(unix)]
fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same shape as on Unix")]
fn sync_directory(_dir: &Path) -> io::Result<()> {
    Ok(())
}

fn broken(dir: &Path, error: &io::Error) -> Fault {
    // The system's own words name no content, and a person needs them.
    let fault = Fault::internal(format!("cannot write a report to {}: {error}", dir.display()));
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            fault.advise("the disk is full: free some space")
        }
        io::ErrorKind::PermissionDenied => fault.advise("check the permissions of the directory"),
        _ => fault,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn report(csv: &str) -> Report {
        Report {
            title: "t".into(),
            file_name: "User Sync Error Report - acme - 2026-11-22.csv".into(),
            csv: csv.into(),
            summary: String::new(),
        }
    }

    #[test]
    fn nothing_is_replaced_and_nothing_is_left_over() {
        let home = tempfile::TempDir::new().unwrap();
        let dir = home.path().join("a/reports");
        let mut names = Vec::new();
        for text in ["one", "two", "three"] {
            let path = write(&dir, &report(text)).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
        assert_eq!(
            names,
            [
                "User Sync Error Report - acme - 2026-11-22.csv",
                "User Sync Error Report - acme - 2026-11-22 (2).csv",
                "User Sync Error Report - acme - 2026-11-22 (3).csv",
            ]
        );
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 3);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let home = tempfile::TempDir::new().unwrap();
        let dir = home.path().join("a/reports");
        let path = write(&dir, &report("one")).unwrap();
        assert_eq!(
            (mode(&home.path().join("a")), mode(&dir), mode(&path)),
            (0o700, 0o700, 0o600)
        );
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o750)).unwrap();
        write(&dir, &report("two")).unwrap();
        assert_eq!(mode(&dir), 0o750, "a directory that is there keeps its mode");
    }

    #[test]
    fn a_directory_that_cannot_be_is_told_without_content() {
        let home = tempfile::TempDir::new().unwrap();
        let file = home.path().join("file");
        fs::write(&file, "x").unwrap();
        let fault = write(&file.join("reports"), &report("secret")).unwrap_err();
        assert!(fault.to_string().contains("cannot write a report to"), "{fault}");
        assert!(!format!("{fault} {fault:?}").contains("secret"));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_of_the_reports_name_is_left_alone() {
        let home = tempfile::TempDir::new().unwrap();
        let aim = home.path().join("precious");
        fs::write(&aim, "precious").unwrap();
        std::os::unix::fs::symlink(&aim, home.path().join(report("").file_name)).unwrap();
        let path = write(home.path(), &report("x")).unwrap();
        assert!(path.to_str().unwrap().ends_with("(2).csv"));
        assert_eq!(fs::read_to_string(&aim).unwrap(), "precious");
    }
}
