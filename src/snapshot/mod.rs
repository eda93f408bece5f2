//! One pass over a tenant, kept as "who holds what" for every caller of a sync.
//!
//! ```text
//! survey ─► roles, groups ─► users, ranges side by side ─► cut lists? ─► touched? ─► strays? ─► index ─► guard ─► complete
//!                              └► spool: accounts, served in order while the pass still runs
//! ```
//!
//! Memory holds ids and the index (planned sizes: `index`); what is only passed on lies in the spool.
//!
//! Invariants: every user is read once and classified once, but for those whom our own changes touched meanwhile, who are read again;
//! nothing incomplete is ever shown as complete.

mod account;
mod class;
mod cut;
#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
pub(crate) mod fake_journal;
mod guard;
mod index;
mod live;
mod lone;
mod pass;
mod ranges;
mod registry;
mod report;
mod spool;
#[cfg(test)]
mod tests;
mod touched;
mod users;
mod verify;

use std::time::Duration;

pub use account::Account;
pub use class::{ClassSet, SupplierRoles, classify};
pub use index::Index;
pub use live::{Accounts, Complete, Rest, Snapshot, Waited};
pub use lone::{Holders, Lone, Recall};
pub use registry::{Fresh, Snapshots};
pub use report::{ClassCount, Served, SnapshotReport};
pub use touched::{Again, Touched, holds};

/// What to do when the tenant shows far less than in the last complete pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnShrink {
    /// Stop with a message.
    Refuse,
    /// Go on, deliberately (`--accept-shrink`).
    Accept,
}

/// How passes are made and how long they are kept.
#[derive(Debug, Clone)]
pub struct SnapshotConfig {
    /// Account classes that are listed. Default: internal and api.
    pub classes: ClassSet,
    /// A count may lose so many percent since the last complete pass. Default: 30.
    pub max_loss_percent: u8,
    /// What to do when one loses more. Default: refuse.
    pub on_shrink: OnShrink,
    /// A snapshot that nobody asks for lives so long. Default: 5 minutes.
    pub idle: Duration,
    /// A snapshot shared by callers without a sync id lives at most so long. Default: 1 hour.
    pub shared_age: Duration,
    /// Readers of users side by side. Default: 8.
    pub readers: usize,
    /// Shortest pause before a call that failed for a passing reason is made again. Default: 5 seconds.
    pub pause: Duration,
    /// How long a pass, or a question about one item, waits in all for a list to be whole again that a change of ours has emptied.
    /// Default: 10 seconds.
    pub mending: Duration,
}

impl Default for SnapshotConfig {
    fn default() -> Self {
        Self {
            classes: ClassSet::default(),
            max_loss_percent: 30,
            on_shrink: OnShrink::Refuse,
            idle: Duration::from_mins(5),
            shared_age: Duration::from_hours(1),
            readers: 8,
            pause: Duration::from_secs(5),
            mending: Duration::from_secs(10),
        }
    }
}
