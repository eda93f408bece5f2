//! The user import: a file of users made by a person, sorted against the accounts that are known, and sent if a person says so.
//!
//! ```text
//! Sheet ─► check ─► Template ─► sort (against Known) ─► Sorted ─┬► sections   what a person sees
//!                                                               └► loads      what would be sent
//! ```
//!
//! Invariants: every row ends in exactly one section and keeps its place in it; what cannot be told for sure is a problem, never a guess; a
//! protected field of a user who is kept by Coupa's User Sync is never written; a blank never clears.

mod known;
mod loads;
mod roster;
mod sections;
mod sort;

use sha2::{Digest as _, Sha256};

use crate::model::downstream::Digest;
use crate::model::fault::{Fault, FaultKind};

use super::columns::Column;
use super::config::Delivery;
use super::layout::Layout;
use super::sheet::Sheet;
use super::theirs::TheirAccount;

pub use known::{Known, Source};
pub use loads::{Outgoing, Unsent, loads};
pub(crate) use roster::{Conflict, Found, Keys, Roster};
pub use sections::{basis, notice, sections};
pub use sort::{Account, Placed, Refused, Sorted, Upkeep, sort};

/// A file that has what an import needs.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    /// Its first line, as it is.
    pub header: Vec<String>,
    /// Which column is which.
    pub layout: Layout,
    /// Its rows, in the order of the file.
    pub rows: Vec<Row>,
}

/// A row of the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// Its cells as they are, one for each header.
    pub cells: Vec<String>,
    /// What they mean.
    pub account: TheirAccount,
}

impl Row {
    /// Its line in the file, from 1 with the header.
    pub fn line(&self) -> u64 {
        self.account.line
    }
}

/// Checks the columns of a file. All mandatory columns that are missing are told at once, and nothing else is done then.
pub fn check(sheet: Sheet) -> Result<Template, Fault> {
    let named: Vec<_> = sheet.header.iter().map(|name| Column::of_header(name)).collect();
    let missing: Vec<&str> = Column::MANDATORY
        .into_iter()
        .filter(|column| !named.contains(&Some(*column)))
        .map(Column::title)
        .collect();
    if !missing.is_empty() {
        return Err(Fault::invalid(format!(
            "the file lacks mandatory columns: {}",
            missing.join(", ")
        ))
        .advise("name them in the first line; nothing was applied"));
    }
    let layout = Layout::of(&sheet.header)?;
    let rows = sheet.lines.into_iter().map(|line| Row {
        account: layout.account(&line),
        cells: line.cells,
    });
    Ok(Template {
        rows: rows.collect(),
        header: sheet.header,
        layout,
    })
}

/// The way on which an import leaves us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The HTTPS import.
    QuickIntegration,
    /// A template that a person uploads.
    File,
}

/// Whether an import may be applied, and on which way: under [`Delivery::Native`] nothing of ours may write into Risk Assess.
pub fn may_apply(delivery: Delivery) -> Result<Door, Fault> {
    match delivery {
        Delivery::QuickIntegration => Ok(Door::QuickIntegration),
        Delivery::File => Ok(Door::File),
        Delivery::Native => Err(Fault::new(
            FaultKind::Refused,
            "an import is not applied while Coupa's User Sync delivers (--risk-assess-delivery native)",
        )
        .advise(
            "leave --apply away to see the sections only, or choose --risk-assess-delivery quick-integration or file",
        )),
    }
}

/// By what a file is known, whatever it is called.
pub fn fingerprint(bytes: &[u8]) -> Digest {
    use std::fmt::Write as _;
    let hex = Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    Digest(hex.into())
}

#[cfg(test)]
mod tests;
