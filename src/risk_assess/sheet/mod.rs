//! Tables of people: CSV and XLSX files in, CSV and XLSX files out.
//!
//! Invariants: what is read keeps its line in the file, so that a person finds it; what is written cannot start a formula in a spreadsheet.

mod read;
mod write;

pub use read::{Form, Line, Sheet, read, read_untrimmed};
pub(crate) use write::without_guard;
pub use write::{Cell, Section, Tint, csv, xlsx};
