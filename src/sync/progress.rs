//! What a sync tells while it runs.

/// The steps of a sync, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// The connector proves that it can read the tenant.
    Validate,
    /// Resource types are listed.
    ResourceTypes,
    /// Resources are listed.
    Resources,
    /// Templates of entitlements are listed and applied to the stored resources.
    StaticEntitlements,
    /// Entitlements are listed.
    Entitlements,
    /// Grants are listed.
    Grants,
    /// In a targeted sync, resources are read to whom grants were made.
    Principals,
    /// Everything is checked.
    Check,
    /// The file is written.
    Save,
}

/// Somebody who watches a sync. Called from the sync itself, so it must not block.
pub trait Progress: Send + Sync {
    /// A step begins.
    fn phase(&self, phase: Phase);

    /// So many rows of a resource type have been listed in this step by now.
    fn rows(&self, phase: Phase, resource_type: &str, total: u64);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn phase(&self, _phase: Phase) {}
    fn rows(&self, _phase: Phase, _resource_type: &str, _total: u64) {}
}
