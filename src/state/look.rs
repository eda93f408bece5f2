//! A look at a state directory that changes nothing: for the one who asks whether it could be used.
//!
//! Invariant: nothing is made, brought up to date, bound or kept locked. What is told of it is what [`State::open`] and
//! [`State::lock_writer`] would say.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::{BUSY, DATABASE, LOCK, State, bound_client, failed, is_of, migrate, place};
use crate::model::fault::Fault;
use crate::model::journal::{Entry, Journal as _, Which};

/// Most that is read of who holds the lock.
const SIGNATURE: u64 = 200;

/// What was seen.
#[derive(Debug)]
pub struct Look {
    /// Whether the directory can be used.
    pub place: Result<Place, Fault>,
    /// What is kept there; `None` if there is nothing yet, or the place cannot be used.
    pub stored: Option<Result<Stored, Fault>>,
    /// Who may change the tenant.
    pub writer: Writer,
}

/// The tenant's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// It is there, private, and takes files.
    There(PathBuf),
    /// It is not there and can be made.
    ToBeMade,
}

/// What a database says that can be used.
#[derive(Debug)]
pub struct Stored {
    /// Its version.
    pub version: usize,
    /// The version that this program brings it to.
    pub newest: usize,
    /// Entries of the journal that wait for an end; `None` where an older version must be brought up first.
    pub open: Option<Vec<Entry>>,
}

/// The right to change the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Writer {
    /// Nobody has it.
    Nobody,
    /// Another process has it; who, if it told.
    Somebody(Option<String>),
}

impl State {
    /// Looks at the state of the tenant with key `tenant` under `base`, as the OAuth client `client_id`.
    pub fn look(base: &Path, tenant: &str, client_id: &str) -> Look {
        let dir = match place::examine(base, tenant) {
            Err(fault) => {
                return Look {
                    place: Err(fault),
                    stored: None,
                    writer: Writer::Nobody,
                };
            }
            Ok(None) => {
                return Look {
                    place: Ok(Place::ToBeMade),
                    stored: None,
                    writer: Writer::Nobody,
                };
            }
            Ok(Some(dir)) => dir,
        };
        Look {
            stored: stored(&dir, tenant, client_id).transpose(),
            writer: writer(&dir.join(LOCK)),
            place: Ok(Place::There(dir)),
        }
    }
}

fn stored(dir: &Path, tenant: &str, client_id: &str) -> Result<Option<Stored>, Fault> {
    let path = dir.join(DATABASE);
    if !path.exists() {
        return Ok(None);
    }
    let broken = |error| failed(&path, error);
    let db = connect(&path).map_err(broken)?;
    let version = migrate::version(&db).map_err(broken)?;
    if version > migrate::NEWEST {
        return Err(migrate::too_new(version, &path));
    }
    if version == 0 {
        return Ok(None);
    }
    let bound: Option<String> = db
        .query_row("select tenant from binding", [], |row| row.get(0))
        .optional()
        .map_err(broken)?;
    if let Some(bound) = bound {
        is_of(tenant, &bound, &path)?;
    }
    let current = version == migrate::NEWEST;
    let open = if current {
        Some(entries(dir, client_id, db)?)
    } else {
        None
    };
    Ok(Some(Stored {
        version,
        newest: migrate::NEWEST,
        open,
    }))
}

fn entries(dir: &Path, client_id: &str, db: Connection) -> Result<Vec<Entry>, Fault> {
    let bound = bound_client(&db)
        .optional()
        .map_err(|error| failed(&dir.join(DATABASE), error))?;
    let state = State {
        dir: dir.to_owned(),
        client_id: client_id.to_owned(),
        db: Mutex::new(db),
    };
    if let Some(bound) = bound.flatten() {
        state.is_ours(&bound)?;
    }
    state.entries(Which::Open)
}

/// Opened for writing, since the engine must recover what another process left in its log; but nothing is written through it.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "query_only", true)?;
    db.pragma_update(None, "trusted_schema", false)?;
    Ok(db)
}

fn writer(lock: &Path) -> Writer {
    // Where there is no file yet, or none that can be looked at, the directory's own finding says what is to be said.
    let Ok(file) = File::open(lock) else {
        return Writer::Nobody;
    };
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Writer::Somebody(signature(file)),
        Ok(()) | Err(TryLockError::Error(_)) => Writer::Nobody,
    }
}

/// Says in the lock's file who holds it. What an earlier holder left is of no account: the lock decides.
pub(super) fn sign(mut held: &File) -> io::Result<()> {
    let text = format!(
        "process {} since {}\n",
        std::process::id(),
        Timestamp::now().strftime("%FT%TZ")
    );
    held.set_len(0)?;
    held.rewind()?;
    held.write_all(text.as_bytes())
}

fn signature(file: File) -> Option<String> {
    let mut text = String::new();
    file.take(SIGNATURE).read_to_string(&mut text).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::model::fault::FaultKind;

    const TENANT: &str = "acme.coupahost.com";
    const CLIENT: &str = "0123456789abcdef";

    fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().is_file())
            .map(|entry| {
                let name = entry.file_name().into_string().unwrap();
                (name, fs::read(entry.path()).unwrap())
            })
            .collect();
        files.sort();
        files
    }

    #[test]
    fn nothing_is_made_where_there_is_nothing() {
        let base = TempDir::new().unwrap();
        let look = State::look(&base.path().join("a/b"), TENANT, CLIENT);
        assert_eq!(look.place.unwrap(), Place::ToBeMade);
        assert!(look.stored.is_none());
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_there_is_seen_and_left_as_it_is() {
        let base = TempDir::new().unwrap();
        let dir = State::open(base.path(), TENANT, CLIENT).unwrap().dir().to_owned();
        let before = files(&dir);
        let look = State::look(base.path(), TENANT, CLIENT);
        assert_eq!(look.place.unwrap(), Place::There(dir.clone()));
        let stored = look.stored.unwrap().unwrap();
        assert_eq!((stored.version, stored.open.unwrap().len()), (stored.newest, 0));
        assert_eq!(look.writer, Writer::Nobody);
        assert_eq!(files(&dir), before);
    }

    #[test]
    fn who_holds_the_lock_is_told() {
        let base = TempDir::new().unwrap();
        let state = State::open(base.path(), TENANT, CLIENT).unwrap();
        let held = state.lock_writer().unwrap();
        let look = State::look(base.path(), TENANT, CLIENT);
        let Writer::Somebody(Some(who)) = look.writer else {
            panic!("{look:?}");
        };
        assert!(
            who.starts_with(&format!("process {} since ", std::process::id())),
            "{who}"
        );
        drop(held);
        assert_eq!(State::look(base.path(), TENANT, CLIENT).writer, Writer::Nobody);
        state.lock_writer().unwrap();
    }

    #[test]
    fn it_says_what_opening_would_say() {
        let base = TempDir::new().unwrap();
        let dir = State::open(base.path(), TENANT, CLIENT).unwrap().dir().to_owned();
        fs::rename(&dir, base.path().join("moved.coupahost.com")).unwrap();
        let look = State::look(base.path(), "moved.coupahost.com", CLIENT);
        let opened = State::open(base.path(), "moved.coupahost.com", CLIENT)
            .err()
            .unwrap();
        assert_eq!(look.stored.unwrap().unwrap_err().to_string(), opened.to_string());

        let file = base.path().join("file");
        fs::write(&file, "").unwrap();
        let look = State::look(&file.join("state"), TENANT, CLIENT);
        assert_eq!(*look.place.unwrap_err().kind(), FaultKind::Internal);
    }

    #[test]
    fn a_newer_database_is_refused_and_an_older_one_is_left_alone() {
        let base = TempDir::new().unwrap();
        let dir = State::open(base.path(), TENANT, CLIENT).unwrap().dir().to_owned();
        let set = |version: usize| {
            let db = Connection::open(dir.join(DATABASE)).unwrap();
            db.pragma_update(None, "user_version", version).unwrap();
        };
        set(migrate::NEWEST + 1);
        let fault = State::look(base.path(), TENANT, CLIENT)
            .stored
            .unwrap()
            .unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::Refused);
        set(1);
        let stored = State::look(base.path(), TENANT, CLIENT).stored.unwrap().unwrap();
        assert_eq!(stored.version, 1);
        assert!(stored.open.is_none());
    }
}
