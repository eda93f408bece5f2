//! Finding rows: the tenant behind its lock, and the answer to a [`Query`] under the readings in force.
//!
//! Invariant: the keyset road (`id[gt]=N`, ascending) costs a binary search and a page, whatever the size of the tenant.

use std::borrow::Cow;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use super::query::{Condition, Direction, Query, Test, compare};
use super::readings::{Heed, Ordering, Readings, Surface};
use super::schema::{Handle, Leaf, Type};
use super::seed::mix;
use super::tenant::{Tenant, as_index, membership_id, to_u32};

/// The tenant, shared by all connections.
pub(super) struct Store {
    tenant: RwLock<Tenant>,
}

impl Store {
    pub(super) fn new(tenant: Tenant) -> Self {
        Self {
            tenant: RwLock::new(tenant),
        }
    }

    /// A consistent view, with everything shown whose time has come. A panic elsewhere leaves plain data behind, so poisoning is
    /// passed over.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Tenant> {
        let tenant = self.tenant.read().unwrap_or_else(PoisonError::into_inner);
        if tenant.pending.is_empty() {
            return tenant;
        }
        drop(tenant);
        self.write().settle(Instant::now());
        self.tenant.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tenant, to be changed.
    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Tenant> {
        self.tenant.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a read that was answered from `tenant` with these rows.
    pub(super) fn saw(&self, tenant: RwLockReadGuard<'_, Tenant>, ty: Type, query: &Query, rows: &[Handle]) {
        let waiting = !tenant.pending.is_empty();
        drop(tenant);
        if waiting {
            self.write().saw(ty, query, rows);
        }
    }
}

/// What a surface makes of a query.
pub(super) struct Manners {
    upper_bound: Heed,
    order: Ordering,
    limit: Heed,
    offset: Heed,
    cap: usize,
    repeated_row: bool,
}

impl Manners {
    pub(super) fn new(readings: &Readings, surface: Surface, rest_cap: usize) -> Self {
        let (limit, offset, cap) = match surface {
            Surface::Rest => (Heed::Honoured, Heed::Honoured, rest_cap),
            Surface::Graphql => (
                readings.graphql_limit,
                readings.graphql_offset,
                readings.graphql_page.max(1),
            ),
        };
        Self {
            upper_bound: *readings.upper_bound.on(surface),
            order: *readings.order.on(surface),
            limit,
            offset,
            cap,
            repeated_row: *readings.repeated_row.on(surface),
        }
    }
}

impl Tenant {
    fn count(&self, ty: Type) -> u64 {
        let count = match ty {
            Type::User => self.users.len(),
            Type::Group => self.groups.len(),
            Type::Role => self.roles.len(),
            Type::Membership => self.memberships.len(),
            _ => 0,
        };
        count as u64
    }

    fn public_id(&self, ty: Type, row: Handle) -> u64 {
        match ty {
            Type::User => self.user(row).id,
            Type::Group => self.group(row).id,
            Type::Role => self.role(row).id,
            Type::Membership => membership_id(row),
            _ => row,
        }
    }

    /// The row with this public id, if reads show it.
    pub(super) fn find(&self, ty: Type, id: u64) -> Option<Handle> {
        self.locate(ty, id).filter(|&row| self.is_shown(ty, row))
    }

    /// The row with this public id, shown or not.
    pub(super) fn locate(&self, ty: Type, id: u64) -> Option<Handle> {
        let row = self.first_at_least(ty, id);
        (row < self.count(ty) && self.public_id(ty, row) == id).then_some(row)
    }

    fn is_shown(&self, ty: Type, row: Handle) -> bool {
        match ty {
            Type::User => self.unborn.is_empty() || !self.unborn.contains(&to_u32(as_index(row))),
            Type::Membership => self.membership(row).shown,
            _ => true,
        }
    }

    fn first_at_least(&self, ty: Type, id: u64) -> Handle {
        let (mut low, mut high) = (0, self.count(ty));
        while low < high {
            let middle = low.midpoint(high);
            if self.public_id(ty, middle) < id {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// One page of rows.
    pub(super) fn page(&self, ty: Type, query: &Query, manners: &Manners) -> Vec<Handle> {
        let from = self.first_at_least(ty, query.bounds.from);
        let to = match (query.bounds.to, manners.upper_bound) {
            (u64::MAX, _) | (_, Heed::Ignored) => self.count(ty),
            (to, Heed::Honoured) => self.first_at_least(ty, to + 1),
        };
        let limit = match manners.limit {
            Heed::Honoured => query.limit.unwrap_or(manners.cap).min(manners.cap),
            Heed::Ignored => manners.cap,
        };
        let asked = if manners.offset == Heed::Honoured {
            query.offset
        } else {
            0
        };
        // Rows that moved up while somebody pages by offset: every page but the first starts one row early.
        let offset = asked - usize::from(manners.repeated_row && asked > 0);
        let mut page = self.slice(
            ty,
            query,
            manners,
            Span {
                from,
                to,
                offset,
                limit,
            },
        );
        if manners.repeated_row && asked == 0 && !page.is_empty() {
            self.repeat_row(ty, query, from, limit, &mut page);
        }
        page
    }

    fn slice(&self, ty: Type, query: &Query, manners: &Manners, span: Span) -> Vec<Handle> {
        let matching = self
            .candidates(ty, query, span.from, span.to)
            .filter(|&row| self.is_shown(ty, row) && query.admits(self, row));
        match manners.order {
            Ordering::Scattered => {
                let mut rows: Vec<Handle> = matching.collect();
                rows.sort_by_cached_key(|&row| mix(self.seed, 77, row));
                rows.into_iter().skip(span.offset).take(span.limit).collect()
            }
            Ordering::ShuffledPage => {
                let mut rows: Vec<Handle> = matching.skip(span.offset).take(span.limit).collect();
                rows.sort_by_cached_key(|&row| mix(self.seed, 78, row));
                rows
            }
            Ordering::Honoured if by_id(query) && query.direction == Direction::Descending => {
                matching.rev().skip(span.offset).take(span.limit).collect()
            }
            Ordering::Honoured if !by_id(query) => {
                let mut rows: Vec<Handle> = matching.collect();
                self.sort(query, &mut rows);
                rows.into_iter().skip(span.offset).take(span.limit).collect()
            }
            Ordering::Honoured | Ordering::Ignored => matching.skip(span.offset).take(span.limit).collect(),
        }
    }

    /// Rows between `from` and `to` worth testing, ascending: from a posting list where a condition names one.
    fn candidates<'a>(
        &'a self,
        ty: Type,
        query: &Query,
        from: Handle,
        to: Handle,
    ) -> Box<dyn DoubleEndedIterator<Item = Handle> + 'a> {
        let posting = match ty {
            Type::User => query.tests.iter().find_map(|t| self.posting(t)),
            Type::Membership => query.tests.iter().find_map(|t| self.memberships_for(t)),
            _ => None,
        };
        match posting {
            None => Box::new(from..to.max(from)),
            Some(Cow::Borrowed(rows)) => {
                let start = rows.partition_point(|&row| Handle::from(row) < from);
                let end = rows.partition_point(|&row| Handle::from(row) < to).max(start);
                Box::new(rows[start..end].iter().map(|&row| row.into()))
            }
            Some(Cow::Owned(rows)) => Box::new(
                rows.into_iter()
                    .map(Handle::from)
                    .filter(move |row| (from..to).contains(row)),
            ),
        }
    }

    /// The memberships a condition on `user-id` can hold for.
    fn memberships_for(&self, test: &Test) -> Option<Cow<'_, [u32]>> {
        match (test.path.as_slice(), &test.condition) {
            ([only], Condition::Equals(Leaf::Integer(id))) if only.name == "user-id" => {
                let user = self.find(Type::User, *id);
                let mut rows = user.map_or_else(Vec::new, |user| self.user(user).memberships.to_vec());
                rows.sort_unstable();
                Some(Cow::Owned(rows))
            }
            _ => None,
        }
    }

    /// The users a condition on `id`, `roles[id]` or `user-groups[id]` can hold for.
    fn posting(&self, test: &Test) -> Option<Cow<'_, [u32]>> {
        let names: Vec<&str> = test.path.iter().map(|a| a.name).collect();
        let lists = match names.as_slice() {
            ["roles", "id"] => Some((Type::Role, &self.holders)),
            ["user-groups", "id"] => Some((Type::Group, &self.members)),
            ["id"] => None,
            _ => return None,
        };
        let of = |id: u64| match lists {
            None => self
                .find(Type::User, id)
                .and_then(|row| u32::try_from(row).ok())
                .map(|row| Cow::Owned(vec![row])),
            Some((ty, lists)) => self
                .find(ty, id)
                .map(|row| Cow::Borrowed(lists[as_index(row)].as_slice())),
        };
        match &test.condition {
            Condition::Equals(Leaf::Integer(id)) => Some(of(*id).unwrap_or_default()),
            Condition::In(leaves) => {
                let mut union: Vec<u32> = leaves
                    .iter()
                    .filter_map(|leaf| {
                        if let Leaf::Integer(id) = leaf {
                            of(*id)
                        } else {
                            None
                        }
                    })
                    .flat_map(Cow::into_owned)
                    .collect();
                union.sort_unstable();
                union.dedup();
                Some(Cow::Owned(union))
            }
            _ => None,
        }
    }

    fn sort(&self, query: &Query, rows: &mut [Handle]) {
        if let Some(attribute) = query.order_by {
            rows.sort_by_cached_key(|&row| Key(attribute.leaf(self, row).unwrap_or(Leaf::Null)));
        }
        if query.direction == Direction::Descending {
            rows.reverse();
        }
    }

    /// Puts the last row before a keyset page at its top; a page of one row keeps its own, so that readers get on.
    fn repeat_row(&self, ty: Type, query: &Query, from: Handle, limit: usize, page: &mut Vec<Handle>) {
        let mut earlier = self.candidates(ty, query, 0, from).rev();
        if let Some(row) = earlier.find(|&row| self.is_shown(ty, row) && query.admits(self, row)) {
            page.truncate(limit.saturating_sub(1).max(1));
            page.insert(0, row);
        }
    }
}

/// Where a page is cut from: rows by index, then offset and limit among those that match.
#[derive(Clone, Copy)]
struct Span {
    from: Handle,
    to: Handle,
    offset: usize,
    limit: usize,
}

fn by_id(query: &Query) -> bool {
    query.order_by.is_none_or(|attribute| attribute.name == "id")
}

/// A sort key: `null` first.
struct Key(Leaf);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Key {}
impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let null = |key: &Self| key.0 != Leaf::Null;
        compare(&self.0, &other.0).unwrap_or_else(|| null(self).cmp(&null(other)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::sandbox::SandboxConfig;
    use crate::sandbox::readings::PerSurface;

    fn tenant() -> Tenant {
        Tenant::grow(&SandboxConfig {
            users: 400,
            ..SandboxConfig::default()
        })
    }

    fn rest(readings: &Readings) -> Manners {
        Manners::new(readings, Surface::Rest, 50)
    }

    fn page(tenant: &Tenant, text: &str, manners: &Manners) -> Vec<u64> {
        let query = Query::parse(Type::User, text).unwrap();
        tenant.page(Type::User, &query, manners)
    }

    fn keyset(tenant: &Tenant, filter: &str, manners: &Manners) -> Vec<u64> {
        let (mut all, mut last) = (Vec::new(), 0);
        loop {
            let rows = page(
                tenant,
                &format!("{filter}&id[gt]={last}&order_by=id&dir=asc&limit=50"),
                manners,
            );
            let Some(&end) = rows.iter().max() else { return all };
            last = tenant.user(end).id;
            all.extend(rows);
        }
    }

    #[test]
    fn keyset_and_offset_both_reach_everyone_once() {
        let t = tenant();
        let manners = rest(&Readings::default());
        let everyone: Vec<u64> = (0..400).collect();
        assert_eq!(keyset(&t, "", &manners), everyone);
        let by_offset: Vec<u64> = (0..9)
            .flat_map(|n| page(&t, &format!("offset={}", n * 50), &manners))
            .collect();
        assert_eq!(by_offset, everyone);
    }

    #[test]
    fn postings_answer_like_a_scan() {
        let t = tenant();
        let manners = rest(&Readings::default());
        for filter in [
            "roles[id]=4",
            "user-groups[id]=1",
            "roles[id][in]=1,4,16",
            "id[in]=5,1,9999999",
            "roles[id]=999999",
        ] {
            let query = Query::parse(Type::User, filter).unwrap();
            let scanned: Vec<u64> = (0..400).filter(|&row| query.admits(&t, row)).collect();
            assert_eq!(keyset(&t, filter, &manners), scanned, "{filter}");
        }
    }

    #[test]
    fn limits_are_capped_and_orders_kept() {
        let t = tenant();
        let manners = rest(&Readings::default());
        assert_eq!(page(&t, "limit=500", &manners).len(), 50);
        assert_eq!(page(&t, "limit=3", &manners), [0, 1, 2]);
        assert_eq!(page(&t, "dir=desc&limit=2", &manners), [399, 398]);
        let by_login = page(&t, "order_by=login&limit=50", &manners);
        assert!(by_login.windows(2).all(|w| t.login(w[0]) <= t.login(w[1])));
        let bound = t.user(20).id;
        assert_eq!(
            page(&t, &format!("id[lt_or_eq]={bound}"), &manners),
            (0..=20).collect::<Vec<_>>()
        );
    }

    #[test]
    fn readings_bend_pages() {
        let t = tenant();
        let with = |change: fn(&mut Readings)| {
            let mut readings = Readings::default();
            change(&mut readings);
            rest(&readings)
        };
        let unbounded = with(|r| {
            r.upper_bound = PerSurface {
                rest: Heed::Ignored,
                graphql: Heed::Honoured,
            }
        });
        assert_eq!(page(&t, "id[lt]=3", &unbounded).len(), 50);
        let unordered = with(|r| r.order.rest = Ordering::Ignored);
        assert_eq!(page(&t, "dir=desc&limit=2", &unordered), [0, 1]);
        let shuffled = with(|r| r.order.rest = Ordering::ShuffledPage);
        let mut rows = page(&t, "order_by=id", &shuffled);
        assert_ne!(rows, (0..50).collect::<Vec<_>>());
        rows.sort_unstable();
        assert_eq!(rows, (0..50).collect::<Vec<_>>());
        let scattered = with(|r| r.order.rest = Ordering::Scattered);
        let mut by_offset: Vec<u64> = (0..8)
            .flat_map(|n| page(&t, &format!("order_by=id&offset={}", n * 50), &scattered))
            .collect();
        assert!(by_offset[..50].iter().any(|&row| row > 200));
        by_offset.sort_unstable();
        assert_eq!(
            by_offset,
            (0..400).collect::<Vec<_>>(),
            "stable, so offsets still reach everyone"
        );
    }

    #[test]
    fn a_repeated_row_loses_nothing_and_ends() {
        let t = tenant();
        let mut readings = Readings::default();
        readings.repeated_row.rest = true;
        let rows = keyset(&t, "active=true", &rest(&readings));
        let mut unique = rows.clone();
        unique.dedup();
        assert!(rows.len() > unique.len(), "rows are repeated");
        assert_eq!(unique, keyset(&t, "active=true", &rest(&Readings::default())));
        let mut by_offset = Vec::new();
        for offset in (0..).step_by(50) {
            let rows = page(&t, &format!("offset={offset}"), &rest(&readings));
            if rows.is_empty() {
                break;
            }
            by_offset.extend(rows);
        }
        assert!(by_offset.len() > 400);
        by_offset.dedup();
        assert_eq!(by_offset, (0..400).collect::<Vec<_>>());
    }
}
