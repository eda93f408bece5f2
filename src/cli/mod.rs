//! What a person sees: one file per thing that is printed, and the exit codes.
//!
//! Everything here turns plain values into text (or a number); nothing decides what to do, and nothing but [`progress`] writes.

pub mod capabilities;
pub mod completion;
pub mod config_schema;
pub mod doctor;
pub mod exit;
pub mod help;
pub mod journal;
pub mod plan;
pub mod progress;
pub mod readiness;
pub mod recovery;
pub mod risk_assess;
pub mod risk_assess_explain;
pub mod risk_assess_import;
pub mod risk_assess_reconcile;
pub mod summary;

use crate::config::PROGRAM;

/// The line of `--version`, with its newline: `baton-coupa version v0.1.0`, or `dev` where the build names no version.
pub fn version() -> String {
    format!("{PROGRAM} version {}\n", env!("BATON_COUPA_VERSION"))
}

/// Text that comes from elsewhere, without anything that a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().filter(|sign| !sign.is_control()).collect()
}

#[cfg(test)]
mod golden {
    //! Texts that others compare with. `UPDATE_GOLDEN=1 cargo test` writes them anew.
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    pub(crate) fn check(name: &str, text: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/golden")
            .join(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap();
        assert!(
            golden == text,
            "{name} differs; run with UPDATE_GOLDEN=1 and read the diff. It is now:\n{text}"
        );
    }
}
