//! Pure data and ports: what a Coupa tenant holds, in the field's own terms, and the traits through which the rest reads it.
//!
//! Invariant: no I/O, no protobuf, no HTTP, no SQL, and no import of any other module of the crate.

pub mod access;
pub mod baseline;
pub mod change;
pub mod checkup;
pub mod class;
pub mod downstream;
pub mod fault;
pub mod id;
pub mod journal;
pub mod profile;
pub mod readiness;
pub mod tenant;
