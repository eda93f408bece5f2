//! Sizes of the last complete pass, against which the truncation guard judges a new one.
//!
//! Invariant: a baseline is only ever made from a complete pass that the guard let through.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::access::ItemKind;
use super::fault::Fault;
use super::tenant::AccountClass;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Count {
    /// Users of one class.
    Users(AccountClass),
    /// Roles, groups or licenses.
    Items(ItemKind),
    /// Who-holds-what pairs of one kind of item, over users of every class.
    Holdings(ItemKind),
}

/// Sizes of one complete pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    /// When the pass was complete.
    pub taken_at: Timestamp,
    /// The sizes. A key that is absent was not known and is not compared.
    pub counts: BTreeMap<Count, u64>,
}

/// Where the last baseline is kept between processes.
pub trait Baselines: Send + Sync {
    /// The last baseline of this tenant, if there is one.
    fn last(&self) -> Result<Option<Baseline>, Fault>;

    /// Replaces the baseline.
    fn record(&self, baseline: &Baseline) -> Result<(), Fault>;
}
