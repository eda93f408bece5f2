//! What one process has learned about a tenant between surveys.
//!
//! Invariant: only distrust is remembered, never data, so a stale memory costs requests and nothing else.

use std::sync::atomic::{AtomicBool, Ordering};

use super::trouble::{Object, Surface};

/// Lessons of earlier reads, shared by the readers of one client.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    unordered: [AtomicBool; 2],
    groups_over_graphql: AtomicBool,
    roles_over_graphql: AtomicBool,
}

impl Memory {
    /// A user listing broke its order, or did not go on.
    pub(crate) fn distrust_order(&self, surface: Surface) {
        self.unordered[surface as usize].store(true, Ordering::Relaxed);
    }

    /// Whether user listings were in order as far as we saw.
    pub(crate) fn trusts_order(&self, surface: Surface) -> bool {
        !self.unordered[surface as usize].load(Ordering::Relaxed)
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
            Object::Users | Object::Schema | Object::Token => None,
        }
    }
}
