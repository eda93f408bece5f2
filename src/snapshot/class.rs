//! Sets of account classes.

pub use crate::model::class::{SupplierRoles, classify};
use crate::model::tenant::AccountClass;

/// A set of account classes, for instance those that are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassSet(u8);

impl ClassSet {
    /// Whether `class` is in the set.
    pub const fn contains(self, class: AccountClass) -> bool {
        self.0 & Self::bit(class) != 0
    }

    const fn bit(class: AccountClass) -> u8 {
        1 << class as u8
    }
}

impl FromIterator<AccountClass> for ClassSet {
    fn from_iter<I: IntoIterator<Item = AccountClass>>(classes: I) -> Self {
        Self(classes.into_iter().fold(0, |bits, class| bits | Self::bit(class)))
    }
}

/// People of the company and its integrations.
impl Default for ClassSet {
    fn default() -> Self {
        [AccountClass::Internal, AccountClass::Api].into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_set_holds_what_it_was_given() {
        let set = ClassSet::default();
        let held: Vec<_> = AccountClass::ALL
            .into_iter()
            .filter(|class| set.contains(*class))
            .collect();
        assert_eq!(held, [AccountClass::Internal, AccountClass::Api]);
    }
}
