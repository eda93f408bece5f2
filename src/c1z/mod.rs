//! Sync files (`.c1z`, format v1: one `SQLite` database in one zstd frame), written for the platform and for `baton`.
//!
//! Invariant: the file at the target path is always a complete, finished one. Everything is prepared in a scratch
//! directory; the target is replaced by one rename, or not touched at all.
//!
//! ```text
//! target.c1z ─► envelope ─► previous.db ─┐ kept runs
//!                                        ├─► run.db ─► sealed.db ─► envelope ─► target.c1z.tmp ─► target.c1z
//! rows of this sync ─────────────────────┘
//! ```

mod database;
mod envelope;
mod error;
mod lookup;
mod private;
mod read;
mod run;
mod schema;
mod scratch;
mod target;
mod unpacked;
mod write;

use std::path::PathBuf;

use crate::model::fault::Fault;

pub use lookup::LastSync;
pub use read::baseline;
pub use run::{RunKind, Stats};
pub use scratch::Scratch;
pub use write::{Dangling, MissingPrincipal, Rows, Saved, StoredResource, Writer};

/// Where working files go, what is kept of earlier runs, and how much a file may unpack to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Directory for working files; it must exist. Several times the size of the tenant's data is needed there.
    ///
    /// Sorting for an index of more than 64 MiB spills to nameless files that `SQLite` puts where `SQLITE_TMPDIR` or `TMPDIR` say:
    /// it has no setting for that per database.
    pub temp_dir: PathBuf,
    /// What happens to earlier runs in the file.
    pub retention: Retention,
    /// What an existing file may cost to open.
    pub limits: Limits,
}

/// Which earlier finished runs stay in a file that gets a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// This many full runs, the new one included; at least 1.
    Full(usize),
    /// All of them.
    Everything,
}

/// Bounds for unpacking a file that somebody else may have made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest database, in bytes.
    pub decoded_bytes: u64,
    /// Largest zstd window, as a power of two.
    pub window_log: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            temp_dir: std::env::temp_dir(),
            retention: Retention::Full(2),
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    /// 10 GiB and a window of 128 MiB, as the ecosystem's reader has it.
    fn default() -> Self {
        Self {
            decoded_bytes: 10 << 30,
            window_log: 27,
        }
    }
}

impl Settings {
    /// The settings of the ecosystem's environment variables: `BATON_TMPDIR`, `BATON_KEEP_SYNC_COUNT`,
    /// `BATON_SKIP_CLEANUP`, `BATON_DECODER_MAX_DECODED_SIZE_MB` and `BATON_DECODER_MAX_MEMORY_MB`.
    ///
    /// `lookup` answers the value of a variable. A value that cannot be understood is an error that names the variable.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Fault> {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let megabytes = |name: &str| -> Result<Option<u64>, Fault> {
            set(name).map(|value| positive(name, &value)).transpose()
        };
        let mut settings = Self::default();
        if let Some(dir) = set("BATON_TMPDIR") {
            settings.temp_dir = dir.into();
        }
        if let Some(count) = set("BATON_KEEP_SYNC_COUNT") {
            let count = positive("BATON_KEEP_SYNC_COUNT", &count)?;
            settings.retention = Retention::Full(usize::try_from(count).unwrap_or(usize::MAX));
        }
        if let Some(flag) = set("BATON_SKIP_CLEANUP")
            && boolean("BATON_SKIP_CLEANUP", &flag)?
        {
            settings.retention = Retention::Everything;
        }
        if let Some(size) = megabytes("BATON_DECODER_MAX_DECODED_SIZE_MB")? {
            settings.limits.decoded_bytes = size.saturating_mul(1 << 20);
        }
        if let Some(size) = megabytes("BATON_DECODER_MAX_MEMORY_MB")? {
            // zstd knows windows of 2^10 to 2^31 bytes; a bound between two powers allows the smaller one.
            settings.limits.window_log = (size.ilog2() + 20).min(31);
        }
        Ok(settings)
    }
}

fn positive(name: &str, value: &str) -> Result<u64, Fault> {
    value
        .parse()
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| Fault::invalid(format!("{name} must be a positive whole number")))
}

/// The spellings that Go programs accept.
fn boolean(name: &str, value: &str) -> Result<bool, Fault> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(Fault::invalid(format!("{name} must be true or false"))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn settings(vars: &[(&str, &str)]) -> Result<Settings, Fault> {
        Settings::from_env(|name| {
            let found = vars.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_sets_retention_and_limits() {
        assert_eq!(settings(&[]).unwrap(), Settings::default());
        assert_eq!(
            settings(&[("BATON_KEEP_SYNC_COUNT", "")]).unwrap(),
            Settings::default()
        );
        let set = settings(&[
            ("BATON_TMPDIR", "/scratch"),
            ("BATON_KEEP_SYNC_COUNT", "5"),
            ("BATON_DECODER_MAX_DECODED_SIZE_MB", "3"),
            ("BATON_DECODER_MAX_MEMORY_MB", "200"),
        ])
        .unwrap();
        assert_eq!(set.temp_dir, PathBuf::from("/scratch"));
        assert_eq!(set.retention, Retention::Full(5));
        assert_eq!(
            set.limits,
            Limits {
                decoded_bytes: 3 << 20,
                window_log: 27
            }
        );
        let all = settings(&[("BATON_SKIP_CLEANUP", "true"), ("BATON_KEEP_SYNC_COUNT", "5")]).unwrap();
        assert_eq!(all.retention, Retention::Everything);
    }

    #[test]
    fn a_bad_value_is_named() {
        for (name, value) in [
            ("BATON_KEEP_SYNC_COUNT", "0"),
            ("BATON_KEEP_SYNC_COUNT", "two"),
            ("BATON_SKIP_CLEANUP", "maybe"),
        ] {
            assert!(settings(&[(name, value)]).unwrap_err().message().contains(name));
        }
    }
}
