//! Courier and handout over a real outbox on disk, a Coupa and a Risk Assess of the test's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod courier;
mod crash;
mod handout;
mod model;
mod world;
