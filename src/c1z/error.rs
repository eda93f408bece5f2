//! Errors of files and `SQLite` as faults. The one place that decides which of them say "the file is bad" and which "this
//! machine is in trouble".

use std::io;
use std::path::Path;

use rusqlite::ErrorCode;

use crate::model::fault::{Fault, FaultKind};

/// An I/O error met while doing `what` to `path`.
pub(super) fn file(what: &str, path: &Path, error: &io::Error) -> Fault {
    // The system's own words name no content, and a person needs them.
    let fault = Fault::internal(format!("cannot {what} {}: {error}", path.display()));
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            fault.advise("the disk is full: free some space")
        }
        io::ErrorKind::PermissionDenied => {
            fault.advise("check the permissions of the file and its directory")
        }
        io::ErrorKind::NotFound => fault.advise("check that the directory exists"),
        _ => fault,
    }
}

/// An error of the working database: our mistake or this machine's.
pub(super) fn working(error: rusqlite::Error) -> Fault {
    let fault = Fault::internal("the working database of the sync failed");
    let full = error.sqlite_error_code() == Some(ErrorCode::DiskFull);
    let fault = fault.because(error);
    if full {
        fault.advise("the disk of the working directory is full: free some space, or choose another with --c1z-temp-dir")
    } else {
        fault
    }
}

/// An error met while reading `path`, a file that somebody else may have made.
pub(super) fn existing(path: &Path, error: rusqlite::Error) -> Fault {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::OutOfMemory | ErrorCode::SystemIoFailure) => working(error),
        _ => damaged(path, "its database cannot be read").because(error),
    }
}

/// `path` is no usable sync file.
pub(super) fn damaged(path: &Path, why: &str) -> Fault {
    Fault::corrupt(format!("{} is not a usable sync file: {why}", path.display()))
        .advise("move it away or choose another file with --file; it was not changed")
}

/// The work was called off.
pub(super) fn cancelled() -> Fault {
    Fault::new(FaultKind::Cancelled, "the sync was called off")
}
