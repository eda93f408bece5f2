//! Integration tests.

mod c1z;
mod sync;
