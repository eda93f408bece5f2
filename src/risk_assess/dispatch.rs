//! Where a report goes: by mail to the administrator who would get Coupa's own, else into a directory.
//!
//! Invariant: no report is lost. If it cannot be mailed it is written, and both is told; a report that may have been mailed twice is no loss.

use std::path::{Path, PathBuf};

use super::mail::Mailer;
use super::report::{self, Report};
use crate::model::fault::Fault;

/// What became of a report.
#[derive(Debug)]
pub enum Dispatched {
    /// The mail server took it.
    Mailed,
    /// It was written to this file.
    Written(PathBuf),
    /// Mailing failed, so it was written to this file.
    WrittenInstead {
        /// The file.
        path: PathBuf,
        /// Why it was not mailed.
        why: Fault,
    },
}

/// Mails the report if there is a mailer (SMTP and the administrator's address are configured), else or on failure writes it into `dir`. The
/// fault of a report that could be neither mailed nor written tells of both.
pub async fn dispatch(report: Report, mailer: Option<&Mailer>, dir: &Path) -> Result<Dispatched, Fault> {
    let unsent = match mailer {
        None => None,
        Some(mailer) => match mailer.send(&report).await {
            Ok(()) => return Ok(Dispatched::Mailed),
            Err(why) => Some(why),
        },
    };
    let dir = dir.to_owned();
    let written = tokio::task::spawn_blocking(move || report::write(&dir, &report))
        .await
        .map_err(|error| Fault::internal("the report was not written").because(error))
        .flatten();
    match (written, unsent) {
        (Ok(path), None) => Ok(Dispatched::Written(path)),
        (Ok(path), Some(why)) => Ok(Dispatched::WrittenInstead { path, why }),
        (Err(fault), None) => Err(fault),
        (Err(fault), Some(why)) => Err(fault
            .context(format!(
                "the error report was not mailed ({}), and it was not written either",
                why.message()
            ))
            .because(format!("mail: {why:?}"))),
    }
}
