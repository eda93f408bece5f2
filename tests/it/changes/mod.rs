//! Changes of a tenant, from the outside: every reading, every fault on every call, kill -9 anywhere, many at once, and the loop in which
//! the ecosystem accepts a connector.
//!
//! Invariant: what is compared is the sandbox's truth, never what the connector says about it.

mod acceptance;
pub mod cast;
mod concurrent;
mod crash;
mod damage;
mod edits;
mod house;
mod matrix;
mod newcomers;
mod readings;
