//! Are nested lists cut? A surface that silently cuts a user's roles or groups at some length betrays itself by the
//! longest length seen: it is that of a page, or more users share it than the length below.
//!
//! Invariant: pure; decides from lengths and from two readings of the same users.

use std::collections::BTreeMap;

use crate::model::access::{Access, ItemKind};

/// Rows of a page (Coupa: 50 rows per call): a longest list of just that length is suspicious by itself.
const PAGE: usize = 50;

/// So many users with the longest length can be chance.
const CHANCE: u64 = 2;

/// How many lists there are of each length.
#[derive(Debug, Default)]
pub(crate) struct Lengths(BTreeMap<usize, u64>);

impl Lengths {
    /// Counts a list.
    pub(crate) fn add(&mut self, length: usize) {
        *self.0.entry(length).or_default() += 1;
    }

    /// The longest length, if it looks like the place where lists are cut.
    pub(crate) fn suspicious(&self) -> Option<usize> {
        let (&longest, &users) = self.0.last_key_value()?;
        let below = longest
            .checked_sub(1)
            .and_then(|length| self.0.get(&length))
            .copied()
            .unwrap_or(0);
        let crowded = users > CHANCE && users > below;
        (longest >= 2 && (longest == PAGE || crowded)).then_some(longest)
    }
}

/// Whether the second reading of a user shows an item of `kind` that the first one does not.
pub(crate) fn shows_more(first: &Access, second: &Access, kind: ItemKind) -> bool {
    match kind {
        ItemKind::Role => second
            .roles()
            .iter()
            .any(|id| first.roles().binary_search(id).is_err()),
        ItemKind::Group => second
            .groups()
            .iter()
            .any(|id| first.groups().binary_search(id).is_err()),
        ItemKind::License => false,
    }
}

/// Whether lists that cannot have been cut differ too often between two readings to be explained by changes made meanwhile.
pub(crate) fn contradicts(differing: usize, compared: usize) -> bool {
    differing > 2 && differing * 10 > compared
}

/// At most `most` of `all`, evenly spread.
pub(crate) fn sample<T: Copy>(all: &[T], most: usize) -> Vec<T> {
    let step = all.len().div_ceil(most).max(1);
    all.iter().step_by(step).copied().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::access::LicenseSet;
    use crate::model::id::RoleId;

    fn lengths(counts: &[(usize, u64)]) -> Lengths {
        Lengths(counts.iter().copied().collect())
    }

    #[test]
    fn a_crowd_at_the_longest_length_is_suspicious() {
        assert_eq!(lengths(&[(1, 90), (19, 2), (20, 40)]).suspicious(), Some(20));
        assert_eq!(lengths(&[(1, 90), (20, 40)]).suspicious(), Some(20));
        assert_eq!(
            lengths(&[(1, 90), (2, 40), (3, 40)]).suspicious(),
            None,
            "a natural slope"
        );
        assert_eq!(lengths(&[(1, 90), (20, 2)]).suspicious(), None, "chance");
        assert_eq!(
            lengths(&[(0, 3), (1, 90)]).suspicious(),
            None,
            "one item is no list"
        );
        assert_eq!(
            lengths(&[(1, 90), (50, 1)]).suspicious(),
            Some(50),
            "as long as a page"
        );
        assert_eq!(
            lengths(&[(50, 9), (51, 1)]).suspicious(),
            None,
            "longer ones exist"
        );
        assert_eq!(Lengths::default().suspicious(), None);
    }

    #[test]
    fn only_more_is_a_sign_of_a_cut() {
        let access = |ids: &[u64]| {
            let roles = ids.iter().map(|n| RoleId::new(*n).unwrap()).collect();
            Access::new(roles, vec![], LicenseSet::EMPTY)
        };
        assert!(shows_more(&access(&[1, 2]), &access(&[1, 2, 3]), ItemKind::Role));
        assert!(!shows_more(&access(&[1, 2]), &access(&[1]), ItemKind::Role));
        assert!(!shows_more(&access(&[1, 2]), &access(&[3]), ItemKind::Group));
        assert!(!contradicts(2, 3));
        assert!(!contradicts(5, 50));
        assert!(contradicts(6, 50));
    }

    #[test]
    fn samples_are_spread_and_bounded() {
        let all: Vec<u32> = (0..101).collect();
        let some = sample(&all, 50);
        assert!(some.len() <= 50 && some.contains(&99), "{some:?}");
        assert_eq!(sample(&all[..3], 50), [0, 1, 2]);
        assert!(sample::<u32>(&[], 50).is_empty());
    }
}
