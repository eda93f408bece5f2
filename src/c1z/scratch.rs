//! A private directory for the working files of one run.
//!
//! Invariant: the directory lives no longer than the run. What a killed run leaves is removed by the next one: a left-over
//! is recognised by our name and by a lock file that no live process holds.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::error::file;
use super::private::{self, Lock};
use crate::model::fault::Fault;

const PREFIX: &str = "baton-coupa-c1z-";
const LOCK: &str = "lock";

/// The directory; removed with everything in it on drop.
pub struct Scratch {
    // Dropped first: Windows does not remove a directory with an open file.
    _lock: File,
    dir: TempDir,
}

impl Scratch {
    /// Makes a directory in `base`, which must exist, after removing what killed runs left there.
    pub fn new(base: &Path) -> Result<Self, Fault> {
        sweep(base);
        let failed = |error: io::Error| file("make a working directory in", base, &error);
        loop {
            let dir = private_dir(base).map_err(failed)?;
            let lock = private::open(&dir.path().join(LOCK)).map_err(failed)?;
            // A sweep of another process may get between these lines; it then owns, and removes, this directory.
            let state = private::try_lock(&lock).map_err(failed)?;
            if state == Lock::Ours && dir.path().join(LOCK).exists() {
                return Ok(Self { _lock: lock, dir });
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Creates an empty file for the owner only, and answers its path.
    pub(super) fn create(&self, name: &str) -> Result<(PathBuf, File), Fault> {
        let path = self.dir.path().join(name);
        let created = private::open(&path).map_err(|error| file("create", &path, &error))?;
        Ok((path, created))
    }
}

fn private_dir(base: &Path) -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o700));
    }
    builder.tempdir_in(base)
}

/// Removes left-overs; whatever cannot be removed is not ours to worry about.
fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if ours && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sweep_one(&entry.path());
        }
    }
}

fn sweep_one(dir: &Path) {
    // Only opened, never created: without a lock file it is not a finished directory of ours.
    let Ok(lock) = File::open(dir.join(LOCK)) else {
        return;
    };
    // Asked directly: where locks are not supported, nothing proves that the owner is dead.
    if lock.try_lock().is_ok() && fs::remove_dir_all(dir).is_ok() {
        tracing::debug!("removed the working files of a killed sync");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn left_over(base: &Path, name: &str) -> PathBuf {
        let dir = base.join(name);
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("run.db"), b"personal").unwrap();
        dir
    }

    #[test]
    fn the_next_run_removes_only_what_killed_runs_left() {
        let base = TempDir::new().unwrap();
        let killed = left_over(base.path(), "baton-coupa-c1z-killed");
        fs::write(killed.join(LOCK), b"").unwrap();
        let foreign = left_over(base.path(), "somebody-else");
        fs::write(foreign.join(LOCK), b"").unwrap();
        let starting = left_over(base.path(), "baton-coupa-c1z-starting");
        let live = Scratch::new(base.path()).unwrap();
        assert!(!killed.exists());
        let other = Scratch::new(base.path()).unwrap();
        assert!(live.dir.path().join(LOCK).exists(), "a live run keeps its files");
        assert!(foreign.exists() && starting.exists());
        let gone = other.dir.path().to_owned();
        drop(other);
        assert!(!gone.exists());
    }

    #[cfg(unix)]
    #[test]
    fn working_files_are_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let base = TempDir::new().unwrap();
        let scratch = Scratch::new(base.path()).unwrap();
        let (path, _) = scratch.create("run.db").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(scratch.dir.path()), 0o700);
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn a_missing_base_is_an_error() {
        assert!(Scratch::new(Path::new("/nonexistent/base")).is_err());
    }
}
