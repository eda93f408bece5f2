//! The tenant itself: who exists and who holds what.
//!
//! Invariants: rows of each kind ascend strictly by id, so an index is an order; the posting lists mirror the lists on the users.
//! What a user holds is stored; names, logins and the like are computed on demand (see `person`) until somebody changes them, so a
//! million users stay small. What stands here is what reads show; changes they do not show yet wait in `pending` (see `change`).

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::change::Version;
use super::gaps::GapBook;
use super::person::{Address, Phone, Profile};
use super::risk_assess::RiskAssess;
use super::seed::chance;

/// Streams of the dice, apart from those of `growth` and `person`.
mod stream {
    pub(super) const OWNER: u64 = 18;
}

/// What sort of account a user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Internal,
    Api,
    Supplier,
    /// A supplier whom no flag gives away, only the names of the roles.
    SupplierByRole,
    Support,
    ManagedService,
}

/// One license of the tenant.
#[derive(Debug, Clone, Copy)]
pub(super) struct License {
    /// Dashed REST name.
    pub(super) name: &'static str,
    /// Whether the API refuses to change it.
    pub(super) read_only: bool,
    /// Holders among 1000 users.
    pub(super) per_mille: u64,
}

const fn license(name: &'static str, per_mille: u64) -> License {
    License {
        name,
        read_only: false,
        per_mille,
    }
}

/// The licenses of the tenant: Coupa's table as of R39, one of its documented read-only flags of later, and one flag that no
/// table has.
pub(super) const LICENSES: [License; 18] = [
    license("purchasing-user", 700),
    license("expense-user", 550),
    license("sourcing-user", 80),
    license("inventory-user", 50),
    license("contracts-user", 120),
    license("analytics-user", 200),
    license("aic-user", 20),
    license("spend-guard-user", 30),
    license("ccw-user", 0),
    license("clm-advanced-user", 10),
    license("risk-assess-user", 60),
    license("supply-chain-user", 40),
    license("travel-user", 300),
    license("treasury-user", 5),
    license("invoicing-user", 250),
    License {
        name: "category-planner-user",
        read_only: true,
        per_mille: 10,
    },
    license("quality-user", 30),
    License {
        name: "category-strategy-user",
        read_only: true,
        per_mille: 8,
    },
];

/// Licenses whose key Coupa's own pages spell both ways.
pub(super) const TWO_SPELLINGS: [&str; 4] = [
    "treasury-user",
    "invoicing-user",
    "category-planner-user",
    "category-strategy-user",
];

/// What is stored of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UserRow {
    pub(super) id: u64,
    pub(super) class: Class,
    pub(super) active: bool,
    /// Bit `n` is license `n`.
    pub(super) licenses: u32,
    /// Indices of roles, ascending.
    pub(super) roles: Box<[u32]>,
    /// Indices of memberships; their groups ascend.
    pub(super) memberships: Box<[u32]>,
}

/// Coupa keeps projects among the groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GroupKind {
    Group,
    Project,
}

/// A user group or project.
#[derive(Debug, Clone)]
pub(super) struct GroupRow {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) kind: GroupKind,
    pub(super) active: bool,
    pub(super) can_approve: bool,
    pub(super) open: bool,
}

/// A role.
#[derive(Debug, Clone)]
pub(super) struct RoleRow {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) omnipotent: bool,
    pub(super) system: bool,
}

/// One user in one group (indices).
#[derive(Debug, Clone, Copy)]
pub(super) struct MembershipRow {
    pub(super) user: u32,
    pub(super) group: u32,
    /// Whether reads show it: not when it is gone, and not yet when it is too new.
    pub(super) shown: bool,
}

/// The whole tenant.
pub(super) struct Tenant {
    pub(super) seed: u64,
    pub(super) users: Vec<UserRow>,
    pub(super) groups: Vec<GroupRow>,
    pub(super) roles: Vec<RoleRow>,
    pub(super) memberships: Vec<MembershipRow>,
    /// Per role: its holders, ascending.
    pub(super) holders: Vec<Vec<u32>>,
    /// Per group: its members, ascending.
    pub(super) members: Vec<Vec<u32>>,
    /// Users who were changed or created, in place of what the dice say of them.
    pub(super) profiles: HashMap<u32, Profile>,
    /// Phones that were written.
    pub(super) phones: Vec<Phone>,
    /// Addresses that were written.
    pub(super) addresses: Vec<Address>,
    /// When the memberships were made that were not grown, in seconds since 1970.
    pub(super) joined: Vec<i64>,
    /// Per user: the states that reads do not show yet, oldest first. The last is the true one.
    pub(super) pending: BTreeMap<u32, VecDeque<Version>>,
    /// Created users whom reads do not show yet.
    pub(super) unborn: BTreeSet<u32>,
    pub(super) gaps: GapBook,
    /// The tenant beside this one that follows its users.
    pub(super) risk_assess: RiskAssess,
}

impl Tenant {
    /// The stored part of user `index`.
    pub(super) fn user(&self, index: u64) -> &UserRow {
        &self.users[as_index(index)]
    }

    /// The stored part of group `index`.
    pub(super) fn group(&self, index: u64) -> &GroupRow {
        &self.groups[as_index(index)]
    }

    /// The stored part of role `index`.
    pub(super) fn role(&self, index: u64) -> &RoleRow {
        &self.roles[as_index(index)]
    }

    /// The stored part of membership `index`.
    pub(super) fn membership(&self, index: u64) -> MembershipRow {
        self.memberships[as_index(index)]
    }

    /// Indices of the groups of a user.
    pub(super) fn groups_of(&self, user: u64) -> impl Iterator<Item = u64> + '_ {
        self.user(user)
            .memberships
            .iter()
            .map(|&m| u64::from(self.memberships[m as usize].group))
    }

    /// Whether membership `index` makes its user an owner of the group.
    pub(super) fn is_owner(&self, membership: u64) -> bool {
        self.joined(membership).is_none() && chance(self.seed, stream::OWNER, membership, 30)
    }

    /// When membership `index` was made, if it was not grown.
    pub(super) fn joined(&self, membership: u64) -> Option<i64> {
        let grown = self.memberships.len() - self.joined.len();
        let later = as_index(membership).checked_sub(grown)?;
        self.joined.get(later).copied()
    }
}

/// Public id of membership `index`: gaps, and past 2^32 for the later ones.
pub(super) fn membership_id(index: u64) -> u64 {
    let base = index * 3 + 11;
    if index < 5_000 { base } else { base + (1 << 32) }
}

pub(super) fn to_u32(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

pub(super) fn as_index(index: u64) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}
