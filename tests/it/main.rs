//! Integration tests: one binary, modules named by what they prove.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod architecture;
mod support;
