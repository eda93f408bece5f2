//! The engine of changes, composed.

use crate::model::fault::Fault;

/// This build has every part of the way but the engine.
pub(super) fn not_composed() -> Fault {
    Fault::internal("this build makes no changes")
}
