//! The tenant and the journal in memory, for tests of other parts too.

pub(crate) use super::tests::disk::*;
pub(crate) use super::tests::tenant::*;
pub(crate) use super::tests::world::*;
