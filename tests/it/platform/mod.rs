//! The daemon as the platform sees it: a fake platform that drives the built program over one TLS port, checks every message by
//! itself, and at the end of each test says whether a task was left unfinished.
//!
//! Invariant: what the program says is judged by rules written here from the protocol, what it did by the sandbox's truth. Nothing of the
//! program's own client is used.

mod absent;
mod actions;
mod beats;
mod begin;
mod changes;
mod client;
mod fake;
mod full_sync;
mod health;
mod instrument;
mod polling;
mod scene;
mod signals;
mod task;
mod troubles;
mod twice;
