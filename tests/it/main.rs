//! Integration tests: one binary, modules named by what they prove.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

mod architecture;
mod c1z;
mod changes;
mod child;
mod conformance;
mod coupa;
mod distribution;
mod doctor;
mod grpc;
mod platform;
mod program;
mod risk_assess;
mod state;
mod support;
mod sync;
mod targeted;
mod truth;
