//! Changing the tenant: a [`Draft`] of one user is made, altered and committed; reads show it when its time has come.
//!
//! Invariants: every change goes through [`Tenant::commit`], so posting lists, `updated-at` and gaps cannot be forgotten. Writes see
//! the true state (the last pending one), reads the shown one.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::person::Profile;
use super::query::{Condition, Query};
use super::readings::{Touch, Visibility};
use super::schema::{Handle, Leaf, Type};
use super::tenant::{Class, MembershipRow, Tenant, UserRow, as_index, to_u32};

/// The present, on both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) at: Instant,
    /// Seconds since 1970.
    pub(super) second: i64,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self {
            at: Instant::now(),
            second: jiff::Timestamp::now().as_second(),
        }
    }
}

/// One user as somebody wants it to be. Roles and groups are indices.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) roles: BTreeSet<u32>,
    pub(super) groups: BTreeSet<u32>,
    pub(super) licenses: u32,
    pub(super) active: bool,
    pub(super) profile: Profile,
}

impl Draft {
    /// Equal but for the lists, or for what is not in the lists.
    fn same_lists(&self, other: &Self) -> bool {
        self.roles == other.roles && self.groups == other.groups
    }

    fn same_self(&self, other: &Self) -> bool {
        self.licenses == other.licenses && self.active == other.active && self.profile == other.profile
    }
}

/// A state of a user that reads do not show yet.
pub(super) struct Version {
    row: UserRow,
    profile: Profile,
    shown_from: Instant,
    reads_left: u64,
}

impl Tenant {
    /// The stored part of a user as it truly is.
    pub(super) fn true_user(&self, user: u64) -> &UserRow {
        self.newest(user)
            .map_or_else(|| self.user(user), |version| &version.row)
    }

    /// A user as a person, as it truly is.
    pub(super) fn true_profile(&self, user: u64) -> Profile {
        let newest = self.newest(user).map(|version| version.profile.clone());
        newest.unwrap_or_else(|| self.whole_profile(user))
    }

    /// Indices of the groups of a user as they truly are.
    pub(super) fn true_groups(&self, user: u64) -> impl Iterator<Item = u32> + '_ {
        let memberships = self.true_user(user).memberships.iter();
        memberships.map(|&m| self.memberships[m as usize].group)
    }

    /// The membership of a user in a group, if there truly is one.
    pub(super) fn true_membership(&self, user: u64, group: u32) -> Option<u64> {
        let mut memberships = self.true_user(user).memberships.iter();
        memberships
            .find(|&&m| self.memberships[m as usize].group == group)
            .map(|&m| m.into())
    }

    /// Whether reads do not show this user's true state yet.
    pub(super) fn is_pending(&self, user: u64) -> bool {
        self.newest(user).is_some()
    }

    fn newest(&self, user: u64) -> Option<&Version> {
        if self.pending.is_empty() {
            return None;
        }
        self.pending.get(&to_u32(as_index(user)))?.back()
    }

    /// A user as it truly is, ready to be altered.
    pub(super) fn draft(&self, user: u64) -> Draft {
        let row = self.true_user(user);
        Draft {
            roles: row.roles.iter().copied().collect(),
            groups: self.true_groups(user).collect(),
            licenses: row.licenses,
            active: row.active,
            profile: self.true_profile(user),
        }
    }

    /// Makes the draft of a user the truth, and tells Risk Assess. `lists` says whether a change of nothing but lists moves
    /// `updated-at`.
    pub(super) fn commit(
        &mut self,
        user: u64,
        draft: Draft,
        lists: Touch,
        visibility: Visibility,
        now: Moment,
    ) {
        let before = self.seen_by_sync(user);
        self.make_true(user, draft, lists, visibility, now);
        self.tell_sync(user, before, now.second);
    }

    fn make_true(&mut self, user: u64, mut draft: Draft, lists: Touch, visibility: Visibility, now: Moment) {
        let before = self.draft(user);
        if draft == before {
            return;
        }
        if !draft.same_self(&before) || (!draft.same_lists(&before) && lists == Touch::Moves) {
            draft.profile.updated = now.second.max(draft.profile.updated);
        }
        let old = self.true_user(user).clone();
        let row = UserRow {
            active: draft.active,
            licenses: draft.licenses,
            roles: draft.roles.iter().copied().collect(),
            memberships: self.regrouped(user, &old, &draft.groups, now),
            ..old
        };
        self.gaps
            .note(row.id, !before.roles.is_empty(), !draft.roles.is_empty(), now.at);
        let version = Version {
            row,
            profile: draft.profile,
            shown_from: now.at + Duration::from_millis(visibility.delay_ms),
            reads_left: visibility.delay_reads,
        };
        let user = to_u32(as_index(user));
        self.pending.entry(user).or_default().push_back(version);
        self.settle(now.at);
    }

    /// The memberships for these groups: those there are, and new ones; they ascend by group.
    fn regrouped(&mut self, user: u64, old: &UserRow, groups: &BTreeSet<u32>, now: Moment) -> Box<[u32]> {
        let mut regrouped = Vec::with_capacity(groups.len());
        for &group in groups {
            let known = old
                .memberships
                .iter()
                .find(|&&m| self.memberships[m as usize].group == group);
            let membership = known.copied().unwrap_or_else(|| {
                self.memberships.push(MembershipRow {
                    user: to_u32(as_index(user)),
                    group,
                    shown: false,
                });
                self.joined.push(now.second);
                to_u32(self.memberships.len() - 1)
            });
            regrouped.push(membership);
        }
        regrouped.into()
    }

    /// Adds a user above all others and gives the index.
    pub(super) fn bear(&mut self, draft: Draft, visibility: Visibility, now: Moment) -> u64 {
        let index = to_u32(self.users.len());
        let last = self.users.last().map_or(0, |row| row.id);
        self.users.push(UserRow {
            id: last + 1,
            class: Class::Internal,
            active: draft.active,
            // Given by the commit, so that whoever follows sees them given.
            licenses: 0,
            roles: Box::default(),
            memberships: Box::default(),
        });
        let mut bare = draft.profile.clone();
        // So that the commit finds a difference even when everything else is empty.
        bare.updated = 0;
        self.profiles.insert(index, bare);
        self.unborn.insert(index);
        self.commit(index.into(), draft, Touch::Moves, visibility, now);
        index.into()
    }

    /// Shows what has waited long enough.
    pub(super) fn settle(&mut self, now: Instant) {
        let mut due = Vec::new();
        self.pending.retain(|&user, versions| {
            while let Some(version) =
                versions.pop_front_if(|version| version.reads_left == 0 && version.shown_from <= now)
            {
                due.push((user, version));
            }
            !versions.is_empty()
        });
        for (user, version) in due {
            self.show(user, version);
        }
    }

    fn show(&mut self, user: u32, version: Version) {
        let Version { row, profile, .. } = version;
        let old = std::mem::replace(&mut self.users[user as usize], row);
        let new = self.users[user as usize].clone();
        for &role in &old.roles {
            if !new.roles.contains(&role) {
                strike(&mut self.holders[role as usize], user);
            }
        }
        for &role in &new.roles {
            enter(&mut self.holders[role as usize], user);
        }
        for &membership in &old.memberships {
            if !new.memberships.contains(&membership) {
                self.memberships[membership as usize].shown = false;
                strike(
                    &mut self.members[self.memberships[membership as usize].group as usize],
                    user,
                );
            }
        }
        for &membership in &new.memberships {
            self.memberships[membership as usize].shown = true;
            enter(
                &mut self.members[self.memberships[membership as usize].group as usize],
                user,
            );
        }
        self.profiles.insert(user, profile);
        self.unborn.remove(&user);
    }

    /// Counts a read of `rows` for everyone it concerns: users in the rows, users whose memberships were asked for, and users not
    /// shown yet who might have been found.
    pub(super) fn saw(&mut self, ty: Type, query: &Query, rows: &[Handle]) {
        let concerned: Vec<u32> = self
            .pending
            .keys()
            .copied()
            .filter(|&user| match ty {
                Type::User => rows.contains(&user.into()) || self.unborn.contains(&user),
                Type::Membership => {
                    rows.iter().any(|&m| self.membership(m).user == user)
                        || asks_for_user(query, self.user(user.into()).id)
                }
                _ => false,
            })
            .collect();
        for user in concerned {
            for version in self.pending.get_mut(&user).into_iter().flatten() {
                version.reads_left = version.reads_left.saturating_sub(1);
            }
        }
    }

    /// Runs `with` while reads of this user show the true state.
    pub(super) fn as_it_is<T>(&mut self, user: u64, with: impl FnOnce(&Self) -> T) -> T {
        let index = as_index(user);
        let profile = self.newest(user).map(|version| version.profile.clone());
        let Some(profile) = profile else {
            return with(self);
        };
        let row = self.true_user(user).clone();
        let shown_row = std::mem::replace(&mut self.users[index], row);
        let shown_profile = self.profiles.insert(to_u32(index), profile);
        let answer = with(self);
        self.users[index] = shown_row;
        match shown_profile {
            Some(profile) => self.profiles.insert(to_u32(index), profile),
            None => self.profiles.remove(&to_u32(index)),
        };
        answer
    }
}

fn asks_for_user(query: &Query, id: u64) -> bool {
    query.tests.iter().any(|test| {
        matches!(test.path.as_slice(), [only] if only.name == "user-id")
            && test.condition == Condition::Equals(Leaf::Integer(id))
    })
}

fn strike(list: &mut Vec<u32>, user: u32) {
    if let Ok(place) = list.binary_search(&user) {
        list.remove(place);
    }
}

fn enter(list: &mut Vec<u32>, user: u32) {
    if let Err(place) = list.binary_search(&user) {
        list.insert(place, user);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::sandbox::SandboxConfig;
    use crate::sandbox::seed::mix;

    fn tenant() -> Tenant {
        Tenant::grow(&SandboxConfig {
            users: 120,
            ..SandboxConfig::default()
        })
    }

    /// Puts roles and groups of random users in or out.
    fn shake(tenant: &mut Tenant, rounds: u64, visibility: Visibility, now: Moment) {
        for round in 0..rounds {
            let dice = |stream, sides: usize| to_u32(as_index(mix(9, stream, round) % sides as u64));
            let user = dice(1, tenant.users.len()).into();
            let mut draft = tenant.draft(user);
            let (role, group) = (dice(2, tenant.roles.len()), dice(3, tenant.groups.len()));
            if !draft.roles.remove(&role) {
                draft.roles.insert(role);
            }
            if !draft.groups.remove(&group) {
                draft.groups.insert(group);
            }
            tenant.commit(user, draft.clone(), Touch::Moves, visibility, now);
            draft.profile.updated = tenant.true_profile(user).updated;
            assert!(tenant.draft(user) == draft, "the truth is what was committed");
        }
    }

    fn assert_mirrored(tenant: &Tenant) {
        let users = 0..to_u32(tenant.users.len());
        let holding = |keep: &dyn Fn(u32) -> bool| users.clone().filter(|&u| keep(u)).collect::<Vec<_>>();
        for (role, holders) in tenant.holders.iter().enumerate() {
            let seen = holding(&|u| tenant.users[u as usize].roles.contains(&to_u32(role)));
            assert_eq!(&seen, holders);
        }
        for (group, members) in tenant.members.iter().enumerate() {
            let seen = holding(&|u| tenant.groups_of(u.into()).any(|g| g == group as u64));
            assert_eq!(&seen, members);
        }
        for (index, row) in tenant.memberships.iter().enumerate() {
            let held = tenant.users[row.user as usize]
                .memberships
                .contains(&to_u32(index));
            assert_eq!(row.shown, held, "membership {index}");
        }
    }

    #[test]
    fn postings_mirror_the_users_through_any_changes() {
        let (mut tenant, now) = (tenant(), Moment::now());
        shake(&mut tenant, 800, Visibility::default(), now);
        assert!(tenant.pending.is_empty());
        assert_mirrored(&tenant);
        let groups = |u: u64| tenant.groups_of(u).collect::<Vec<_>>();
        assert!((0..120).all(|u| groups(u).is_sorted() && tenant.user(u).roles.is_sorted()));
    }

    #[test]
    fn what_is_pending_shows_later_and_then_mirrors_too() {
        let (mut tenant, now) = (tenant(), Moment::now());
        let before = tenant.users.clone();
        let slow = Visibility {
            delay_ms: 1_000,
            delay_reads: 0,
        };
        shake(&mut tenant, 300, slow, now);
        assert_eq!(tenant.users, before);
        assert_mirrored(&tenant);
        let truth: Vec<UserRow> = (0..120).map(|u| tenant.true_user(u).clone()).collect();
        assert_ne!(truth, before);
        tenant.settle(now.at + Duration::from_millis(999));
        assert_eq!(tenant.users, before);
        tenant.settle(now.at + Duration::from_secs(1));
        assert_eq!((&tenant.users, tenant.pending.is_empty()), (&truth, true));
        assert_mirrored(&tenant);
    }

    #[test]
    fn the_true_state_can_be_looked_at_without_showing_it() {
        let (mut tenant, now) = (tenant(), Moment::now());
        let slow = Visibility {
            delay_ms: 1_000,
            delay_reads: 0,
        };
        let mut draft = tenant.draft(7);
        draft.profile.login = "new".to_owned();
        draft.roles.clear();
        tenant.commit(7, draft, Touch::Moves, slow, now);
        let (login, before) = (tenant.login(7), tenant.user(7).clone());
        let seen = tenant.as_it_is(7, |tenant| (tenant.login(7), tenant.user(7).roles.is_empty()));
        assert_eq!(seen, ("new".to_owned(), true));
        assert_eq!((tenant.login(7), tenant.user(7)), (login, &before));
    }
}
