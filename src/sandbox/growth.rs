//! Grows a tenant from a seed: ids, classes, and who holds what.
//!
//! Invariant: a function of the configuration alone; equal ones make equal tenants.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::config::SandboxConfig;
use super::gaps::GapBook;
use super::risk_assess::RiskAssess;
use super::seed::{BASE_ROLES, chance, choose, group_name, mix};
use super::tenant::{Class, GroupKind, GroupRow, LICENSES, MembershipRow, RoleRow, Tenant, UserRow, to_u32};

const TWO_31: u64 = 1 << 31;
const TWO_32: u64 = 1 << 32;

/// Streams of the dice, one per kind of choice.
mod stream {
    pub(super) const GAP: u64 = 1;
    pub(super) const CLASS: u64 = 2;
    pub(super) const ACTIVE: u64 = 3;
    pub(super) const ROLE_COUNT: u64 = 4;
    pub(super) const ROLE: u64 = 5;
    pub(super) const GROUP_COUNT: u64 = 6;
    pub(super) const GROUP: u64 = 7;
    pub(super) const BIG_GROUP: u64 = 8;
    pub(super) const BIG_ROLE: u64 = 9;
    pub(super) const LICENSE: u64 = 1000;
}

/// Index of `risk-assess-user` in [`LICENSES`].
const RISK_ASSESS: usize = 10;

impl Tenant {
    /// Grows the tenant that `config` describes.
    pub(super) fn grow(config: &SandboxConfig) -> Self {
        let seed = config.seed;
        let roles = grow_roles(config.roles);
        let groups = grow_groups(config.groups);
        let mut tenant = Self {
            seed,
            users: Vec::with_capacity(config.users),
            holders: vec![Vec::new(); roles.len()],
            members: vec![Vec::new(); groups.len()],
            groups,
            roles,
            memberships: Vec::new(),
            profiles: HashMap::new(),
            phones: Vec::new(),
            addresses: Vec::new(),
            joined: Vec::new(),
            pending: BTreeMap::new(),
            unborn: BTreeSet::new(),
            gaps: GapBook::default(),
            risk_assess: RiskAssess::new(config.risk_assess_password(), config.readings.risk_assess),
        };
        let assignable: Vec<u32> = (1..tenant.groups.len())
            .filter(|&g| !is_empty_group(g))
            .map(to_u32)
            .collect();
        let mut id = 0;
        for index in 0..config.users.max(1) {
            id = next_user_id(seed, index, config.users, id);
            tenant.add_user(id, index, &assignable);
        }
        tenant.make_by_hand();
        tenant
    }

    fn add_user(&mut self, id: u64, index: usize, assignable: &[u32]) {
        let user = to_u32(index);
        let class = class_of(self.seed, index, self.roles.len());
        let roles = pick_roles(self.seed, index, class, self.roles.len());
        for &role in &roles {
            self.holders[role as usize].push(user);
        }
        let groups = pick_groups(self.seed, index, class, assignable, self.groups.is_empty());
        let first = to_u32(self.memberships.len());
        for &group in &groups {
            self.members[group as usize].push(user);
            self.memberships.push(MembershipRow {
                user,
                group,
                shown: true,
            });
        }
        self.users.push(UserRow {
            id,
            class,
            active: class == Class::Support || !chance(self.seed, stream::ACTIVE, user.into(), 120),
            licenses: pick_licenses(self.seed, index, class),
            roles: roles.into(),
            memberships: (first..to_u32(self.memberships.len())).collect(),
        });
    }
}

/// Dense stretches, small gaps, a few holes, and jumps past 2^31 and 2^32.
fn next_user_id(seed: u64, index: usize, users: usize, last: u64) -> u64 {
    if index == 0 {
        return 1;
    }
    let dice = mix(seed, stream::GAP, index as u64);
    let gap = match dice % 1000 {
        0..=1 => 20_000 + (dice >> 20) % 30_000,
        2..=20 => 100 + (dice >> 20) % 900,
        21..=300 => 2 + (dice >> 20) % 9,
        _ => 1,
    };
    let next = last + gap;
    let floor = if index >= users - users / 10 {
        TWO_32 + 17
    } else if index >= users - users / 4 {
        TWO_31 - 5
    } else {
        0
    };
    next.max(floor)
}

fn class_of(seed: u64, index: usize, roles: usize) -> Class {
    let class = match index {
        0 => Class::Support,
        // The first few are fixed so that even a small tenant has every class.
        3 | 17 => Class::Api,
        5 | 18 => Class::Supplier,
        6 => Class::SupplierByRole,
        8 => Class::ManagedService,
        1..=25 => Class::Internal,
        _ => match mix(seed, stream::CLASS, index as u64) % 1000 {
            0..=11 => Class::Api,
            12..=81 => Class::Supplier,
            82..=91 => Class::SupplierByRole,
            92..=97 => Class::ManagedService,
            _ => Class::Internal,
        },
    };
    // Known by roles only where there is such a role; without one nobody could tell, so the flag does.
    let can_tell = roles > SUPPLIER_ROLE as usize;
    if class == Class::SupplierByRole && !can_tell {
        Class::Supplier
    } else {
        class
    }
}

/// Indices in [`BASE_ROLES`].
pub(super) const USER_ROLE: u32 = 1;
const SUPPLIER_ROLE: u32 = 2;
const SUPPLIER_ROLES: std::ops::RangeInclusive<u32> = SUPPLIER_ROLE..=4;
const BUYER_ROLE: u32 = 5;

fn pick_roles(seed: u64, index: usize, class: Class, count: usize) -> Vec<u32> {
    let i = index as u64;
    let dice = mix(seed, stream::ROLE_COUNT, i);
    let exists = |role: &u32| (*role as usize) < count;
    let mut picked = BTreeSet::new();
    match class {
        Class::SupplierByRole => {
            picked.insert(SUPPLIER_ROLE);
            picked.insert(3 + u32::from(dice.is_multiple_of(2)));
        }
        // Suppliers known by their flag: with the usual roles, with none, with one of the tenant's own.
        Class::Supplier => match dice % 4 {
            0 => {}
            1 => picked.extend([SUPPLIER_ROLE, BUYER_ROLE]),
            _ => picked.extend([SUPPLIER_ROLE, 4]),
        },
        Class::Support | Class::Api | Class::ManagedService => {
            picked.insert(if class == Class::Support { 0 } else { BUYER_ROLE });
        }
        Class::Internal => return pick_internal_roles(seed, index, dice, count),
    }
    picked.into_iter().filter(exists).collect()
}

fn pick_internal_roles(seed: u64, index: usize, dice: u64, count: usize) -> Vec<u32> {
    let i = index as u64;
    let pool: Vec<u32> = (0..to_u32(count))
        .filter(|r| *r != USER_ROLE && !SUPPLIER_ROLES.contains(r))
        .collect();
    let wanted = match (index, dice % 100) {
        // One person of the house who also holds a supplier's role; with nothing but that role it would be a supplier.
        (2, _) if count > BUYER_ROLE as usize => return vec![SUPPLIER_ROLE, BUYER_ROLE],
        (4, _) => return Vec::new(),
        (7 | 13, _) => 30,
        (_, 0..=39) => 0,
        (_, 40..=69) => 1,
        (_, 70..=94) => 2 + dice / 100 % 3,
        (_, 95..=98) => 5 + dice / 100 % 6,
        _ => 12 + dice / 100 % 19,
    };
    let mut picked = pick_distinct(seed, stream::ROLE, i, &pool, wanted);
    if chance(seed, stream::BIG_ROLE, i, 660) && (USER_ROLE as usize) < count {
        picked.insert(USER_ROLE);
    }
    picked.into_iter().collect()
}

/// Group 0 holds about half of all people; users 11, 12 and 14 sit in 50 groups or more where there are as many.
fn pick_groups(seed: u64, index: usize, class: Class, assignable: &[u32], none: bool) -> Vec<u32> {
    let i = index as u64;
    if none || matches!(class, Class::Support | Class::SupplierByRole) {
        return Vec::new();
    }
    let dice = mix(seed, stream::GROUP_COUNT, i);
    let (wanted, big) = match (index, dice % 100) {
        (9, _) => (0, false),
        (11 | 12, _) => (50, false),
        (14, _) => (57, true),
        (_, 0..=29) => (0, chance(seed, stream::BIG_GROUP, i, 560)),
        (_, 30..=59) => (1, chance(seed, stream::BIG_GROUP, i, 560)),
        (_, 60..=96) => (2 + dice / 100 % 4, chance(seed, stream::BIG_GROUP, i, 560)),
        _ => (8 + dice / 100 % 23, true),
    };
    let mut picked = pick_distinct(seed, stream::GROUP, i, assignable, wanted);
    if big {
        picked.insert(0);
    }
    picked.into_iter().collect()
}

fn pick_distinct(seed: u64, stream: u64, index: u64, pool: &[u32], wanted: u64) -> BTreeSet<u32> {
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).min(pool.len());
    let mut picked = BTreeSet::new();
    let mut draw = 0;
    while picked.len() < wanted {
        picked.insert(*choose(
            pool,
            seed,
            stream,
            index.wrapping_mul(1 << 20).wrapping_add(draw),
        ));
        draw += 1;
    }
    picked
}

fn pick_licenses(seed: u64, index: usize, class: Class) -> u32 {
    let mut bits = 0;
    for (n, license) in LICENSES.iter().enumerate() {
        // Suppliers and API accounts hold fewer, but not none.
        let per_mille = match class {
            Class::Internal => license.per_mille,
            Class::Api | Class::Supplier | Class::SupplierByRole => license.per_mille / 5,
            Class::Support | Class::ManagedService => license.per_mille / 10,
        };
        bits |= u32::from(chance(seed, stream::LICENSE + n as u64, index as u64, per_mille)) << n;
    }
    if matches!(index, 1 | 3 | 5) {
        bits |= 1 << RISK_ASSESS;
    }
    bits
}

fn grow_roles(count: usize) -> Vec<RoleRow> {
    (0..count)
        .map(|index| {
            let id = spaced_id(index, count);
            match BASE_ROLES.get(index) {
                Some(&(name, description, omnipotent, system)) => RoleRow {
                    id,
                    name: name.to_owned(),
                    description: description.map(str::to_owned),
                    omnipotent,
                    system,
                },
                None => RoleRow {
                    id,
                    name: format!("Custom Role {index}"),
                    description: index
                        .is_multiple_of(2)
                        .then(|| format!("Made for department {index}")),
                    omnipotent: false,
                    system: false,
                },
            }
        })
        .collect()
}

fn is_empty_group(index: usize) -> bool {
    index % 7 == 3
}

fn grow_groups(count: usize) -> Vec<GroupRow> {
    (0..count)
        .map(|index| {
            let kind = if index % 5 == 2 {
                GroupKind::Project
            } else {
                GroupKind::Group
            };
            GroupRow {
                id: spaced_id(index, count),
                name: group_name(index, kind).into_owned(),
                description: (index % 3 == 0).then(|| format!("Purpose {index} – „intern“")),
                kind,
                active: index % 9 != 4,
                can_approve: index % 4 == 1 && kind == GroupKind::Group,
                open: index % 6 == 1,
            }
        })
        .collect()
}

/// Ids of roles and groups: gaps all along, the last fifth above 2^31, the last one above 2^32.
fn spaced_id(index: usize, count: usize) -> u64 {
    let base = index as u64 * 3 + 1 + (index as u64 / 8) * 40;
    if index > 0 && index + 1 == count {
        base + TWO_32
    } else if index >= 5 && index >= count - count / 5 {
        base + TWO_31
    } else {
        base
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::sandbox::tenant::membership_id;

    fn tenant(users: usize, groups: usize, roles: usize) -> Tenant {
        Tenant::grow(&SandboxConfig {
            users,
            groups,
            roles,
            ..SandboxConfig::default()
        })
    }

    #[test]
    fn ids_ascend_with_gaps_and_leave_32_bits() {
        for t in [tenant(500, 40, 25), tenant(20_000, 200, 60), tenant(30, 7, 6)] {
            let ids: Vec<u64> = t.users.iter().map(|u| u.id).collect();
            assert!(ids.windows(2).all(|w| w[0] < w[1]));
            assert_eq!(ids[0], 1);
            assert!(ids.windows(2).any(|w| w[1] - w[0] > 1));
            assert!(ids.iter().any(|&id| id > TWO_32));
            assert!(t.groups.windows(2).all(|w| w[0].id < w[1].id));
            assert!(t.roles.windows(2).all(|w| w[0].id < w[1].id));
        }
        let t = tenant(20_000, 200, 60);
        assert!(t.users.iter().any(|u| (TWO_31..TWO_32).contains(&u.id)));
        assert!((1..t.memberships.len() as u64).all(|m| membership_id(m - 1) < membership_id(m)));
    }

    #[test]
    fn the_awkward_cases_are_there() {
        let t = tenant(2_000, 120, 60);
        let everyone = 0..t.users.len() as u64;
        for class in [
            Class::Internal,
            Class::Api,
            Class::Supplier,
            Class::SupplierByRole,
            Class::Support,
            Class::ManagedService,
        ] {
            assert!(t.users.iter().any(|u| u.class == class), "{class:?}");
        }
        assert!(
            t.users
                .iter()
                .any(|u| u.roles.is_empty() && u.class == Class::Internal)
        );
        assert!(t.users.iter().any(|u| u.roles.len() >= 30));
        assert!(t.users.iter().any(|u| u.memberships.len() == 50));
        assert!(t.users.iter().any(|u| u.memberships.len() > 50));
        assert!(everyone.clone().any(|u| t.email(u).is_none()));
        assert!(everyone.clone().any(|u| t.employee_number(u).is_none()));
        let share = |n: usize| n * 100 / t.users.len();
        assert!((50..70).contains(&share(t.holders[USER_ROLE as usize].len())));
        assert!((40..60).contains(&share(t.members[0].len())));
        assert!(t.members.iter().any(Vec::is_empty));
        assert!(t.groups.iter().any(|g| g.kind == GroupKind::Project) && t.groups.iter().any(|g| !g.active));
        assert!(
            t.users
                .iter()
                .any(|u| !u.active && u.licenses >> RISK_ASSESS & 1 == 1)
        );
        assert!(
            t.users
                .iter()
                .any(|u| u.class == Class::Supplier && u.licenses >> RISK_ASSESS & 1 == 1)
        );
        assert!(
            t.users.iter().all(|u| u.licenses >> 8 & 1 == 0),
            "one license nobody holds"
        );
        assert_eq!(
            (t.first_name(20), t.last_name(20)),
            (t.first_name(21), t.last_name(21))
        );
    }

    #[test]
    fn postings_mirror_the_users() {
        let t = tenant(800, 70, 30);
        for (role, holders) in t.holders.iter().enumerate() {
            let seen: Vec<u32> = (0..800u32)
                .filter(|&u| t.users[u as usize].roles.contains(&to_u32(role)))
                .collect();
            assert_eq!(&seen, holders);
        }
        for (group, members) in t.members.iter().enumerate() {
            let seen: Vec<u32> = (0..800u32)
                .filter(|&u| t.groups_of(u.into()).any(|g| g == group as u64))
                .collect();
            assert_eq!(&seen, members);
        }
    }

    #[test]
    fn tiny_tenants_grow() {
        for (users, groups, roles) in [(0, 0, 0), (1, 1, 1), (2, 3, 2), (26, 0, 25), (26, 40, 0)] {
            assert_eq!(tenant(users, groups, roles).users.len(), users.max(1));
        }
    }

    #[test]
    fn exactly_suppliers_can_be_told_by_their_roles_however_few_there_are() {
        for roles in (0..=BASE_ROLES.len()).chain([25]) {
            for user in tenant(3_000, 40, roles).users {
                let only = !user.roles.is_empty() && user.roles.iter().all(|r| SUPPLIER_ROLES.contains(r));
                let (id, class) = (user.id, user.class);
                if only {
                    assert!(
                        matches!(class, Class::Supplier | Class::SupplierByRole),
                        "{id} of {roles}: {class:?}"
                    );
                } else {
                    assert_ne!(
                        class,
                        Class::SupplierByRole,
                        "{id} of {roles}: nothing tells its class"
                    );
                }
            }
        }
    }
}
