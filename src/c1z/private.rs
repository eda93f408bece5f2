//! Files for their owner only, and the locks by which live processes are told from killed ones.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// Who holds a lock now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lock {
    /// We do, until the file is closed.
    Ours,
    /// A live process does.
    HeldElsewhere,
}

/// Opens the file, or creates it for its owner only; the content stays.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

/// Takes every right from everybody but the owner.
pub(super) fn close_to_others(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

/// Locks the file if nobody else does. A file system without locks answers [`Lock::Ours`]: only the protection of two syncs
/// from each other is lost there.
pub(super) fn try_lock(file: &File) -> io::Result<Lock> {
    match file.try_lock() {
        Ok(()) => Ok(Lock::Ours),
        Err(TryLockError::WouldBlock) => Ok(Lock::HeldElsewhere),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(Lock::Ours),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
