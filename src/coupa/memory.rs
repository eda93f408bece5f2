//! What one process has learned about a tenant between surveys.
//!
//! Invariant: only distrust and habits are remembered, never data, so a stale memory costs requests and nothing else; distrust
//! does not last for ever, since a process may serve for months.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::trouble::{Object, Surface};

/// After this time an order that was seen broken is probed again.
const FORGIVEN_AFTER: Duration = Duration::from_hours(1);

/// Lessons of earlier reads, shared by the readers of one client.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// When each surface was last seen to break its order.
    disorder: Mutex<[Option<Instant>; 2]>,
    groups_over_graphql: AtomicBool,
    roles_over_graphql: AtomicBool,
}

impl Memory {
    /// A user listing broke its order, or did not go on.
    pub(crate) fn distrust_order(&self, surface: Surface) {
        let mut disorder = self.disorder.lock().unwrap_or_else(PoisonError::into_inner);
        disorder[surface as usize] = Some(Instant::now());
    }

    /// Whether user listings were in order as far as we saw lately.
    pub(crate) fn trusts_order(&self, surface: Surface) -> bool {
        self.trusts_order_at(surface, Instant::now())
    }

    /// Which surfaces' order is trusted: it tells whether something was learned between two reads.
    pub(crate) fn trust(&self) -> [bool; 2] {
        [Surface::Rest, Surface::Graphql].map(|surface| self.trusts_order(surface))
    }

    fn trusts_order_at(&self, surface: Surface, now: Instant) -> bool {
        let disorder = self.disorder.lock().unwrap_or_else(PoisonError::into_inner);
        disorder[surface as usize].is_none_or(|seen| now.duration_since(seen) >= FORGIVEN_AFTER)
    }

    /// The surface on which this collection was last read with success; REST to begin with.
    pub(crate) fn surface_of(&self, object: Object) -> Surface {
        match self.flag(object).map(|flag| flag.load(Ordering::Relaxed)) {
            Some(true) => Surface::Graphql,
            Some(false) | None => Surface::Rest,
        }
    }

    /// Remembers it.
    pub(crate) fn served(&self, object: Object, surface: Surface) {
        if let Some(flag) = self.flag(object) {
            flag.store(surface == Surface::Graphql, Ordering::Relaxed);
        }
    }

    const fn flag(&self, object: Object) -> Option<&AtomicBool> {
        match object {
            Object::Groups => Some(&self.groups_over_graphql),
            Object::Roles => Some(&self.roles_over_graphql),
            Object::Users | Object::Memberships | Object::Schema | Object::Token => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_order_is_forgiven_after_a_while() {
        let memory = Memory::default();
        assert!(memory.trusts_order(Surface::Rest));
        memory.distrust_order(Surface::Rest);
        assert!(!memory.trusts_order(Surface::Rest) && memory.trusts_order(Surface::Graphql));
        let later = Instant::now() + FORGIVEN_AFTER;
        assert!(memory.trusts_order_at(Surface::Rest, later));
        memory.distrust_order(Surface::Rest);
        assert!(!memory.trusts_order(Surface::Rest), "and distrusted anew");
    }
}
