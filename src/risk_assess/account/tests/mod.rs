//! The record of an account: each event by itself, and all of them in any order against a world that remembers everything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cases;
mod world;
