//! Where state lives, and whether that place is safe to use.
//!
//! Invariant: everything is made for its owner only (directories 0700, files 0600). A place others could tamper with is refused,
//! never repaired: what lies there already may be theirs.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::model::fault::{Fault, FaultKind};

/// In a directory with this bit only the owner of an entry can remove or rename it.
#[cfg(unix)]
const STICKY: u32 = 0o1000;

/// Makes the tenant's directory under `base` if it is missing, and checks both.
pub(super) fn prepare(base: &Path, tenant: &str) -> Result<PathBuf, Fault> {
    if tenant.is_empty() {
        return Err(Fault::internal("state needs the key of a tenant"));
    }
    let dir = base.join(directory_name(tenant));
    make(base)?;
    check_base(base)?;
    make(&dir)?;
    check_own(&dir)?;
    Ok(dir)
}

/// Whether [`prepare`] would succeed, without making anything: the tenant's directory if it is there, `None` if it can be made.
pub(super) fn examine(base: &Path, tenant: &str) -> Result<Option<PathBuf>, Fault> {
    let dir = base.join(directory_name(tenant));
    if is_there(base) {
        check_base(base)?;
    }
    if is_there(&dir) {
        check_own(&dir)?;
        return Ok(Some(dir));
    }
    let parent = dir.ancestors().find(|dir| is_there(dir)).unwrap_or(base);
    // A file without a name: it leaves nothing behind.
    match tempfile::tempfile_in(parent) {
        Ok(_) => Ok(None),
        Err(error) => Err(unusable(&dir, "cannot be made").because(error)),
    }
}

/// Whether something is there, be it a link that leads nowhere.
fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Makes the file for its owner only if it is missing; a link in its place is refused.
pub(super) fn prepare_file(path: &Path) -> Result<(), Fault> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match fs::symlink_metadata(path) {
            Ok(found) if found.is_file() => Ok(()),
            Ok(_) => Err(unusable(path, "is not a regular file")),
            Err(error) => Err(unusable(path, "cannot be read").because(error)),
        },
        Err(error) => Err(unusable(path, "cannot be made").because(error)),
    }
}

/// A place that cannot serve.
pub(super) fn unusable(path: &Path, why: &str) -> Fault {
    Fault::internal(format!("the state in {} {why}", path.display()))
        .advise("check it, or choose another directory with --state-dir")
}

/// A tenant's key as one file name: lower-case letters, digits, `-` and inner dots stay, any other byte becomes `%XX`. Different
/// keys have different names.
fn directory_name(tenant: &str) -> String {
    let mut name = String::with_capacity(tenant.len());
    for (position, byte) in tenant.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => name.push(char::from(byte)),
            b'.' if position > 0 => name.push('.'),
            // Writing to a `String` does not fail.
            _ => drop(write!(name, "%{byte:02X}")),
        }
    }
    name
}

fn make(dir: &Path) -> Result<(), Fault> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder
        .create(dir)
        .map_err(|error| unusable(dir, "cannot be made").because(error))
}

fn unsafe_place(path: &Path, why: &str, remedy: &str) -> Fault {
    Fault::new(
        FaultKind::Refused,
        format!("the state directory {} {why}", path.display()),
    )
    .advise(format!("{remedy}, or choose another one with --state-dir"))
}

/// The base may be a mount that belongs to somebody else, or a group's; but not everybody may exchange what we put there.
#[cfg(unix)]
fn check_base(base: &Path) -> Result<(), Fault> {
    let (is_dir, mode, _) = look(base)?;
    if !is_dir {
        return Err(unsafe_place(
            base,
            "is a link or no directory",
            "name the directory itself",
        ));
    }
    if mode & 0o002 != 0 && mode & STICKY == 0 {
        return Err(unsafe_place(
            base,
            "can be written by everybody",
            "name a new directory inside it",
        ));
    }
    Ok(())
}

/// The tenant's own directory is ours alone.
#[cfg(unix)]
fn check_own(dir: &Path) -> Result<(), Fault> {
    let (is_dir, mode, owner) = look(dir)?;
    if !is_dir {
        return Err(unsafe_place(dir, "is a link or no directory", "remove it"));
    }
    if mode & 0o077 != 0 {
        return Err(unsafe_place(
            dir,
            "is open to others",
            "make it private with chmod 700",
        ));
    }
    if owner != own_id(dir)? {
        return Err(unsafe_place(dir, "belongs to another user", "run as that user"));
    }
    Ok(())
}

/// Without following links: whether it is a directory, its permissions, its owner.
#[cfg(unix)]
fn look(path: &Path) -> Result<(bool, u32, u32), Fault> {
    use std::os::unix::fs::MetadataExt as _;
    let found =
        fs::symlink_metadata(path).map_err(|error| unusable(path, "cannot be read").because(error))?;
    Ok((found.is_dir(), found.mode(), found.uid()))
}

/// Our user id, seen on a file made for that purpose: the standard library does not tell it otherwise.
#[cfg(unix)]
fn own_id(dir: &Path) -> Result<u32, Fault> {
    use std::os::unix::fs::MetadataExt as _;
    let made = tempfile::tempfile_in(dir).and_then(|file| file.metadata());
    Ok(made
        .map_err(|error| unusable(dir, "cannot be written").because(error))?
        .uid())
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same shape as on Unix")]
fn check_base(_base: &Path) -> Result<(), Fault> {
    Ok(())
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same shape as on Unix")]
fn check_own(_dir: &Path) -> Result<(), Fault> {
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn every_tenant_has_a_name_of_its_own_that_stays_inside() {
        assert_eq!(
            directory_name("acme-test.coupahost.com"),
            "acme-test.coupahost.com"
        );
        assert_eq!(directory_name("127.0.0.1:8080"), "127.0.0.1%3A8080");
        assert_eq!(directory_name("../x"), "%2E.%2Fx");
        assert_eq!(directory_name(".."), "%2E.");
        assert_ne!(directory_name("ACME"), directory_name("acme"));
        assert_ne!(directory_name("%3A"), directory_name(":"));
    }

    #[cfg(unix)]
    mod unix {
        use super::*;
        use std::os::unix::fs::{PermissionsExt as _, symlink};

        fn mode(path: &Path) -> u32 {
            fs::metadata(path).unwrap().permissions().mode() & 0o777
        }

        fn chmod(path: &Path, mode: u32) {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }

        #[test]
        fn places_are_made_private() {
            let root = TempDir::new().unwrap();
            let base = root.path().join("a/b");
            let dir = prepare(&base, "tenant").unwrap();
            prepare_file(&dir.join("f")).unwrap();
            prepare_file(&dir.join("f")).unwrap();
            assert_eq!(
                (mode(&base), mode(&dir), mode(&dir.join("f"))),
                (0o700, 0o700, 0o600)
            );
        }

        #[test]
        fn places_that_others_could_touch_are_refused() {
            let root = TempDir::new().unwrap();
            let base = root.path().join("base");
            let dir = prepare(&base, "tenant").unwrap();
            let refused = |why: &str| {
                let fault = prepare(&base, "tenant").unwrap_err();
                assert!(fault.message().contains(why), "{fault}");
                assert_eq!(*fault.kind(), FaultKind::Refused);
            };
            chmod(&dir, 0o750);
            refused("open to others");
            chmod(&dir, 0o700);
            chmod(&base, 0o777);
            refused("written by everybody");
            chmod(&base, 0o1777);
            prepare(&base, "tenant").unwrap();
            fs::remove_dir(&dir).unwrap();
            symlink(root.path(), &dir).unwrap();
            refused("link");
        }

        #[test]
        fn a_link_as_base_or_file_is_refused() {
            let root = TempDir::new().unwrap();
            let link = root.path().join("link");
            symlink(root.path(), &link).unwrap();
            assert!(prepare(&link, "tenant").is_err());
            assert!(prepare_file(&link).is_err());
        }
    }
}
