//! Who holds what: the items that can be held, a user's own access, and the tenant's license catalog.
//!
//! Invariant: lists of ids are sorted and free of duplicates, so equality is equality of sets; a `LicenseSet` is only
//! meaningful together with the catalog it was made for.

use std::fmt;

use super::id::{GroupId, LicenseName, RoleId};

/// Something a user can hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// A Coupa role.
    Role(RoleId),
    /// A user group or project.
    Group(GroupId),
    /// A license flag of the user.
    License(LicenseName),
}

impl Item {
    /// The kind of the item.
    pub const fn kind(&self) -> ItemKind {
        match self {
            Self::Role(_) => ItemKind::Role,
            Self::Group(_) => ItemKind::Group,
            Self::License(_) => ItemKind::License,
        }
    }
}

/// The kinds of items, in the order in which they are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemKind {
    /// Roles.
    Role,
    /// User groups and projects.
    Group,
    /// Licenses.
    License,
}

impl ItemKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Role, Self::Group, Self::License];
}

/// Whether Coupa lets the API change a license, as far as documents tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LicenseWrite {
    /// Documented as writable.
    Writable,
    /// Documented as read-only: not grantable.
    ReadOnly,
    /// No document speaks of it, or documents disagree; a write is tried and read back.
    Unproven,
}

/// One license of the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct License {
    /// Dashed REST name: the resource id.
    pub name: LicenseName,
    /// Coupa's own title, where a document gives one; never invented.
    pub label: Option<&'static str>,
    /// Whether it can be changed.
    pub write: LicenseWrite,
}

/// The licenses this tenant has, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LicenseCatalog {
    licenses: Vec<License>,
}

/// A catalog cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the tenant shows {0} license flags, more than the {max} this connector can hold", max = LicenseCatalog::CAPACITY)]
pub struct CatalogOverflow(pub usize);

impl LicenseCatalog {
    /// Licenses one catalog can hold; 22 are known today.
    pub const CAPACITY: usize = 64;

    /// A catalog of `licenses`; of two with one name the first stays.
    pub fn new(mut licenses: Vec<License>) -> Result<Self, CatalogOverflow> {
        licenses.sort_by(|a, b| a.name.cmp(&b.name));
        licenses.dedup_by(|later, first| later.name == first.name);
        if licenses.len() > Self::CAPACITY {
            return Err(CatalogOverflow(licenses.len()));
        }
        Ok(Self { licenses })
    }

    /// The licenses in order of their names.
    pub fn iter(&self) -> std::slice::Iter<'_, License> {
        self.licenses.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.licenses.len()
    }

    /// Whether the tenant has none.
    pub fn is_empty(&self) -> bool {
        self.licenses.is_empty()
    }

    /// Position of a license, the number used in a [`LicenseSet`].
    pub fn position(&self, name: &LicenseName) -> Option<usize> {
        self.licenses
            .binary_search_by(|license| license.name.cmp(name))
            .ok()
    }

    /// The license at a position.
    pub fn get(&self, position: usize) -> Option<&License> {
        self.licenses.get(position)
    }
}

impl<'a> IntoIterator for &'a LicenseCatalog {
    type Item = &'a License;
    type IntoIter = std::slice::Iter<'a, License>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Licenses held by one user, by position in the tenant's [`LicenseCatalog`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct LicenseSet(u64);

impl LicenseSet {
    /// No license.
    pub const EMPTY: Self = Self(0);

    /// Adds the license at `position` (below [`LicenseCatalog::CAPACITY`]).
    pub const fn insert(&mut self, position: usize) {
        self.0 |= 1 << position;
    }

    /// Whether the license at `position` is held.
    pub const fn contains(self, position: usize) -> bool {
        self.0 & (1 << position) != 0
    }

    /// Positions held, ascending.
    pub fn positions(self) -> impl Iterator<Item = usize> {
        (0..LicenseCatalog::CAPACITY).filter(move |position| self.contains(*position))
    }

    /// How many are held.
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether none is held.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for LicenseSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LicenseSet({:#b})", self.0)
    }
}

/// Everything one user holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    roles: Vec<RoleId>,
    groups: Vec<GroupId>,
    /// Licenses, by position in the catalog of the reader that made this.
    pub licenses: LicenseSet,
}

impl Access {
    /// Access from lists in any order, with or without repeats.
    pub fn new(mut roles: Vec<RoleId>, mut groups: Vec<GroupId>, licenses: LicenseSet) -> Self {
        roles.sort_unstable();
        roles.dedup();
        groups.sort_unstable();
        groups.dedup();
        Self {
            roles,
            groups,
            licenses,
        }
    }

    /// Roles held, ascending.
    pub fn roles(&self) -> &[RoleId] {
        &self.roles
    }

    /// Groups and projects the user is a member of, ascending.
    pub fn groups(&self) -> &[GroupId] {
        &self.groups
    }

    /// Whether `item` is held.
    pub fn holds(&self, item: &Item, catalog: &LicenseCatalog) -> bool {
        match item {
            Item::Role(role) => self.roles.binary_search(role).is_ok(),
            Item::Group(group) => self.groups.binary_search(group).is_ok(),
            Item::License(name) => catalog
                .position(name)
                .is_some_and(|position| self.licenses.contains(position)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn license(name: &str) -> License {
        License {
            name: name.parse().unwrap(),
            label: None,
            write: LicenseWrite::Unproven,
        }
    }

    #[test]
    fn access_is_a_set() {
        let role = |n| RoleId::new(n).unwrap();
        let a = Access::new(vec![role(2), role(1), role(2)], vec![], LicenseSet::EMPTY);
        assert_eq!(a.roles(), [role(1), role(2)]);
        assert!(a.holds(&Item::Role(role(2)), &LicenseCatalog::default()));
        assert!(!a.holds(&Item::Role(role(3)), &LicenseCatalog::default()));
    }

    #[test]
    fn license_positions_follow_the_catalog() {
        let catalog =
            LicenseCatalog::new(vec![license("b-user"), license("a-user"), license("b-user")]).unwrap();
        assert_eq!(catalog.len(), 2);
        let mut held = LicenseSet::EMPTY;
        held.insert(catalog.position(&"b-user".parse().unwrap()).unwrap());
        let access = Access::new(vec![], vec![], held);
        assert!(access.holds(&Item::License("b-user".parse().unwrap()), &catalog));
        assert!(!access.holds(&Item::License("a-user".parse().unwrap()), &catalog));
        assert!(!access.holds(&Item::License("c-user".parse().unwrap()), &catalog));
        assert_eq!(held.positions().collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn a_catalog_that_does_not_fit_is_refused() {
        let many = (0..65).map(|n| license(&format!("x{n}-user"))).collect();
        assert_eq!(LicenseCatalog::new(many), Err(CatalogOverflow(65)));
    }
}
