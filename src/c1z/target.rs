//! The file that a sync replaces, and the `<path>.tmp` beside it through which it does so.
//!
//! Invariant: the `.tmp` is held under a lock from the start of a sync, so of two syncs to one file the second is refused
//! at once; the target changes by one rename of a file already on disk.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::envelope;
use super::error::{cancelled, file};
use super::private::{self, Lock};
use super::write::Saved;
use crate::model::fault::{Fault, FaultKind};

/// A claimed target. Dropping it gives the claim up and leaves the target as it was.
pub(super) struct Target {
    path: PathBuf,
    staging: PathBuf,
    held: File,
    published: bool,
}

impl Target {
    /// Claims `path`. A `.tmp` left by a killed sync is taken over; one held by a live process is refused.
    pub(super) fn claim(path: &Path) -> Result<Self, Fault> {
        let mut staging = path.as_os_str().to_owned();
        staging.push(".tmp");
        let staging = PathBuf::from(staging);
        let failed = |error: io::Error| file("write", &staging, &error);
        loop {
            // Not truncated yet: until the lock is held it may be somebody else's.
            let held = private::open(&staging).map_err(failed)?;
            if private::try_lock(&held).map_err(failed)? == Lock::HeldElsewhere {
                return Err(busy(path));
            }
            // The holder before us may have renamed or removed the file between our open and our lock.
            if !still_there(&held, &staging).map_err(failed)? {
                continue;
            }
            // A left-over of another program may be open to others.
            private::close_to_others(&held).map_err(failed)?;
            held.set_len(0).map_err(failed)?;
            return Ok(Self {
                path: path.to_owned(),
                staging,
                held,
                published: false,
            });
        }
    }

    /// The file to be replaced.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the target by `database`, packed. Past the last look at `stop` it runs to its end.
    pub(super) fn publish(mut self, database: &Path, stop: &CancellationToken) -> Result<Saved, Fault> {
        let (decompressed_bytes, compressed_bytes) = envelope::pack(database, &self.held, stop)?;
        let failed = |error: io::Error| file("write", &self.path, &error);
        // The file holds personal data, so a new one is for its owner only (Go writes 0644); who opened an existing one
        // to others keeps that choice.
        if let Ok(existing) = fs::metadata(&self.path) {
            self.held
                .set_permissions(existing.permissions())
                .map_err(failed)?;
        }
        self.held.sync_all().map_err(failed)?;
        if stop.is_cancelled() {
            return Err(cancelled());
        }
        fs::rename(&self.staging, &self.path).map_err(failed)?;
        self.published = true;
        sync_directory(&self.path).map_err(failed)?;
        Ok(Saved {
            path: self.path.clone(),
            decompressed_bytes,
            compressed_bytes,
        })
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.published {
            // Best effort: the next sync takes a left-over one over.
            let _ = fs::remove_file(&self.staging);
        }
    }
}

fn busy(path: &Path) -> Fault {
    Fault::new(
        FaultKind::Conflict,
        format!("another sync is writing {}", path.display()),
    )
    .advise("wait for it to end, or choose another file with --file")
}

/// Whether `path` still names the open file `held`, and not through a link.
#[cfg(unix)]
fn still_there(held: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let mine = held.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(named) if named.file_type().is_symlink() => Err(io::Error::other("it is a symbolic link")),
        Ok(named) => Ok((named.dev(), named.ino()) == (mine.dev(), mine.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Elsewhere an open file can be neither renamed nor removed.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same shape as on Unix")]
fn still_there(_held: &File, _path: &Path) -> io::Result<bool> {
    Ok(true)
}

/// Makes a rename last: it lives in the directory.
#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent)?.sync_all()
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same shape as on Unix")]
fn sync_directory(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn a_second_claim_is_refused_until_the_first_ends() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("sync.c1z");
        let first = Target::claim(&path).unwrap();
        let fault = Target::claim(&path).err().unwrap();
        assert_eq!(*fault.kind(), FaultKind::Conflict);
        drop(first);
        assert!(!dir.path().join("sync.c1z.tmp").exists());
        assert!(Target::claim(&path).is_ok());
    }

    #[test]
    fn a_stale_tmp_is_taken_over() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("sync.c1z");
        let staging = dir.path().join("sync.c1z.tmp");
        fs::write(&staging, vec![1; 100_000]).unwrap();
        let database = dir.path().join("db");
        fs::write(&database, b"data").unwrap();
        let saved = Target::claim(&path)
            .unwrap()
            .publish(&database, &CancellationToken::new())
            .unwrap();
        assert!(!staging.exists());
        assert_eq!(fs::metadata(&path).unwrap().len(), saved.compressed_bytes);
        assert!(saved.compressed_bytes < 100);
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_is_private_and_an_existing_one_keeps_its_mode() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("sync.c1z");
        let database = dir.path().join("db");
        fs::write(&database, b"data").unwrap();
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let publish = || {
            let target = Target::claim(&path).unwrap();
            target.publish(&database, &CancellationToken::new()).unwrap();
        };
        let left_over = dir.path().join("sync.c1z.tmp");
        fs::write(&left_over, b"").unwrap();
        fs::set_permissions(&left_over, fs::Permissions::from_mode(0o644)).unwrap();
        publish();
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        publish();
        assert_eq!(mode(), 0o640);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_place_of_the_tmp_is_refused_and_its_aim_is_untouched() {
        let dir = TempDir::new().unwrap();
        let aim = dir.path().join("precious");
        fs::write(&aim, b"precious").unwrap();
        std::os::unix::fs::symlink(&aim, dir.path().join("sync.c1z.tmp")).unwrap();
        assert!(Target::claim(&dir.path().join("sync.c1z")).is_err());
        assert_eq!(fs::read(&aim).unwrap(), b"precious");
    }
}
