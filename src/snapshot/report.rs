//! What a complete pass found, for the summary at the end of a sync.

use crate::model::access::ItemKind;
use crate::model::id::LicenseName;
use crate::model::tenant::{AccountClass, Finding};

/// Counts and findings of one complete pass; no personal values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotReport {
    /// Accounts of each class, in the order of [`AccountClass::ALL`].
    pub users: Vec<ClassCount>,
    /// Roles.
    pub roles: u64,
    /// Groups and projects.
    pub groups: u64,
    /// Every license with its holders of every class.
    pub licenses: Vec<(LicenseName, u64)>,
    /// Grants to listed accounts, by kind.
    pub grants: Vec<(ItemKind, u64)>,
    /// Surface that served the users, for instance `graphql`.
    pub surface: &'static str,
    /// What an operator should know.
    pub findings: Vec<Finding>,
}

/// Accounts of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassCount {
    /// The class.
    pub class: AccountClass,
    /// How many accounts there are.
    pub accounts: u64,
    /// Whether they are listed.
    pub served: Served,
}

/// Whether the accounts of a class are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// Listed, with their grants.
    Listed,
    /// Left out, as configured; their grants, too.
    LeftOut,
}
