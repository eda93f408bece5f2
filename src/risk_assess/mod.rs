//! Risk Assess: the license, the account behind it, and the evidence.
//!
//! ```text
//! WriteTenant ─► change of a licensed user: readiness before, the account followed after ─► WriteTenant (provision)
//!                    readiness ─► remarks          account ─► ledger, outbox ─► deliver ─► Risk Assess
//! files of people ─► sheet ─► columns ─► grid, import, explain ─► matching ─► tables, reports
//! ```
//!
//! Invariant: no claim about Risk Assess without evidence for it. The account sync is one-way, has no read API and no run record; all that can
//! be shown is what Coupa was read back as, what Risk Assess answered to a file of ours, and what a grid export of a date shows. Personal
//! values go to files and mails that are meant for them, never to logs, errors or `Debug`.

pub mod account;
mod books;
pub mod change;
pub mod columns;
mod compare;
pub mod config;
pub mod deliver;
pub mod dispatch;
pub mod explain;
pub mod follow;
pub mod grid;
pub mod import;
pub mod layout;
pub mod mail;
pub mod matching;
pub mod mismatch;
pub mod readiness;
pub mod reconcile;
pub mod report;
pub mod sheet;
pub mod sync;
pub mod theirs;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

pub use change::RiskAssess;
pub use config::{Contradiction, Delivery, Removal, RiskAssessConfig, Strictness, UserSync};
pub use follow::Downstream;
