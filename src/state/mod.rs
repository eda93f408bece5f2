//! What this program remembers about a tenant between processes: one directory, one `SQLite` database in it.
//!
//! Invariant: a state directory belongs to one user of this machine and to one tenant. It is opened only if nobody else can
//! write into it, and its database is bound to the tenant and the OAuth client it was made for.
//!
//! ```text
//! <base>/<tenant host>/state.db      0600, WAL, read and written by every process
//!                     /writer.lock   held by the one process that changes the tenant
//! ```

mod baselines;
mod form;
mod journal;
mod ledger;
mod look;
mod migrate;
mod outbox;
mod place;

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use self::form::Unreadable;
pub use self::look::{Look, Place, Stored, Writer};
use crate::model::fault::{Fault, FaultKind};

/// How long a process waits for another one's transaction; all of them are short.
const BUSY: Duration = Duration::from_secs(10);
const DATABASE: &str = "state.db";
const LOCK: &str = "writer.lock";

/// The open state of one tenant.
pub struct State {
    dir: PathBuf,
    client_id: String,
    db: Mutex<Connection>,
}

/// What stops a change of what is stored: the engine, or what is in the way of it.
enum Stop {
    Engine(rusqlite::Error),
    Fault(Fault),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(error)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// The right to change the tenant; given back on drop, also when the process dies.
#[derive(Debug)]
pub struct WriterLock {
    _held: File,
}

impl State {
    /// Opens, or makes, the state of the tenant with key `tenant` (its host) under `base`, for the OAuth client `client_id`: what
    /// is journalled was seen and done with the rights of that client, and only with them it can be repaired.
    ///
    /// Refused: a directory that is a link, belongs to somebody else or lets others write; a database of a newer version of this
    /// program, of another tenant, or of another client. One that knows no client yet belongs to the first that records something: a
    /// mistyped id can record nothing, so it is not stuck to the directory.
    pub fn open(base: &Path, tenant: &str, client_id: &str) -> Result<Self, Fault> {
        let dir = place::prepare(base, tenant)?;
        let path = dir.join(DATABASE);
        place::prepare_file(&path)?;
        let mut db = connect(&path).map_err(|error| failed(&path, error))?;
        migrate::up(&mut db, &path)?;
        bind(&mut db, tenant, &path)?;
        let state = Self {
            dir,
            client_id: client_id.to_owned(),
            db: Mutex::new(db),
        };
        state.check_client()?;
        Ok(state)
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Takes the right to change the tenant; refused while another process has it. Reading needs no lock.
    pub fn lock_writer(&self) -> Result<WriterLock, Fault> {
        let path = self.dir.join(LOCK);
        place::prepare_file(&path)?;
        let broken = |error: &io::Error| place::unusable(&path, "cannot be locked").because(error);
        let held = File::options().read(true).write(true).open(&path);
        let held = held.map_err(|error| broken(&error))?;
        match held.try_lock() {
            Ok(()) => {
                look::sign(&held).map_err(|error| broken(&error))?;
                Ok(WriterLock { _held: held })
            }
            Err(TryLockError::WouldBlock) => Err(Fault::new(
                FaultKind::Conflict,
                "another process of this connector is already making changes to this tenant",
            )
            .advise("stop it, or let it do the work")),
            Err(TryLockError::Error(error)) => Err(broken(&error)),
        }
    }

    fn check_client(&self) -> Result<(), Fault> {
        match bound_client(&self.db()) {
            Ok(None) => Ok(()),
            Ok(Some(bound)) => self.is_ours(&bound),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Part of every transaction that records something: the first one ties the database to our client.
    fn claim(&self, change: &Transaction<'_>) -> rusqlite::Result<Result<(), Fault>> {
        let Some(bound) = bound_client(change)? else {
            change.execute("update binding set client = ?1", [&self.client_id])?;
            return Ok(Ok(()));
        };
        Ok(self.is_ours(&bound))
    }

    /// Does `work` in one transaction that ties the database to our client; nothing of it stays if it fails.
    fn changing(&self, work: impl FnOnce(&Transaction<'_>) -> Result<(), Stop>) -> Result<(), Fault> {
        let write = || -> Result<(), Stop> {
            let mut db = self.db();
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            self.claim(&transaction)??;
            work(&transaction)?;
            transaction.commit()?;
            Ok(())
        };
        write().map_err(|stop| match stop {
            Stop::Engine(error) => self.failed(error),
            Stop::Fault(fault) => fault,
        })
    }

    fn is_ours(&self, bound: &str) -> Result<(), Fault> {
        if bound == self.client_id {
            return Ok(());
        }
        let (bound, given) = (beginning(bound), beginning(&self.client_id));
        let path = self.dir.join(DATABASE);
        Err(Fault::new(
            FaultKind::Refused,
            format!("{} belongs to the OAuth client {bound}, not to {given}", path.display()),
        )
        .advise(
            "use the client it was made for; or, once `baton-coupa journal list --open` shows nothing open there, choose another directory with --state-dir",
        ))
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        // A panic in between rolls its transaction back, so the connection is sound.
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn not_understood(&self, what: &str, error: Unreadable) -> Fault {
        Fault::corrupt(format!(
            "{what} in {} is not understood",
            self.dir().join(DATABASE).display()
        ))
        .because(error)
        .advise("if a newer version of this program wrote it, use that one")
    }

    fn failed(&self, error: rusqlite::Error) -> Fault {
        failed(&self.dir.join(DATABASE), error)
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "journal_mode", "wal")?;
    // What is recorded here must survive a power cut.
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "foreign_keys", true)?;
    // What is forgotten here is gone from the file, too: values of an imported row are personal.
    db.pragma_update(None, "secure_delete", true)?;
    db.pragma_update(None, "trusted_schema", false)?;
    Ok(db)
}

/// Ties a new database to the tenant, or checks that an old one is tied to it.
fn bind(db: &mut Connection, tenant: &str, path: &Path) -> Result<(), Fault> {
    let mut work = || -> rusqlite::Result<String> {
        let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        change.execute(
            "insert or ignore into binding (one, tenant) values (1, ?1)",
            [tenant],
        )?;
        let bound = change.query_row("select tenant from binding", [], |row| row.get(0))?;
        change.commit()?;
        Ok(bound)
    };
    let bound = work().map_err(|error| failed(path, error))?;
    is_of(tenant, &bound, path)
}

/// Whether a database that belongs to `bound` is that of `tenant`.
fn is_of(tenant: &str, bound: &str, path: &Path) -> Result<(), Fault> {
    if bound == tenant {
        return Ok(());
    }
    Err(Fault::new(
        FaultKind::Refused,
        format!(
            "{} belongs to the tenant {bound}, not to {tenant}",
            path.display()
        ),
    )
    .advise("choose another directory with --state-dir"))
}

fn bound_client(db: &Connection) -> rusqlite::Result<Option<String>> {
    db.query_row("select client from binding", [], |row| row.get(0))
}

/// So much of a client id as a person needs to know it again. Ids are no secrets, but nobody needs them whole in a log.
fn beginning(client: &str) -> String {
    let shown: String = client.chars().take(6).collect();
    format!("{shown}\u{2026} ({} characters)", client.chars().count())
}

fn failed(path: &Path, error: rusqlite::Error) -> Fault {
    place::unusable(path, "cannot be used").because(error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::baseline::{Baseline, Baselines as _};
    use tempfile::TempDir;

    const TENANT: &str = "acme.coupahost.com";
    const CLIENT: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn state_is_kept_and_bound_to_its_tenant() {
        let base = TempDir::new().unwrap();
        let dir = State::open(base.path(), TENANT, CLIENT).unwrap().dir().to_owned();
        assert_eq!(dir, base.path().join(TENANT));
        State::open(base.path(), TENANT, CLIENT).unwrap();
        let other = State::open(base.path(), "other.coupahost.com", CLIENT).unwrap();
        assert_ne!(other.dir(), dir, "each tenant has its own");
        drop(other);

        std::fs::rename(&dir, base.path().join("moved.coupahost.com")).unwrap();
        let fault = State::open(base.path(), "moved.coupahost.com", CLIENT)
            .err()
            .unwrap();
        assert_eq!(*fault.kind(), FaultKind::Refused);
        assert!(fault.message().contains(TENANT), "{fault}");
    }

    fn record_something(state: &State) -> Result<(), Fault> {
        state.record(&Baseline {
            taken_at: jiff::Timestamp::UNIX_EPOCH,
            counts: BTreeMap::new(),
        })
    }

    #[test]
    fn state_is_bound_to_the_client_that_recorded_something_first() {
        let base = TempDir::new().unwrap();
        let open = |client| State::open(base.path(), TENANT, client);
        let (mistyped, other) = (open("mistyped").unwrap(), "fedcba9876543210");
        record_something(&open(CLIENT).unwrap()).unwrap();
        record_something(&open(CLIENT).unwrap()).unwrap();
        assert!(
            record_something(&mistyped).is_err(),
            "it was opened in time, but is late"
        );
        let fault = open(other).err().unwrap();
        assert_eq!(*fault.kind(), FaultKind::Refused);
        let told = fault.to_string();
        for part in ["012345", "fedcba", "--state-dir", "journal list --open"] {
            assert!(told.contains(part), "{part} is missing in {told}");
        }
        for whole in [CLIENT, other] {
            assert!(!format!("{fault:?}").contains(whole), "{fault:?}");
        }
    }

    #[test]
    fn it_is_durable() {
        let base = TempDir::new().unwrap();
        let state = State::open(base.path(), TENANT, CLIENT).unwrap();
        let db = state.db();
        let journal: String = db
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .unwrap();
        let synchronous: i64 = db
            .pragma_query_value(None, "synchronous", |row| row.get(0))
            .unwrap();
        assert_eq!((journal.as_str(), synchronous), ("wal", 2), "2 is FULL");
    }

    #[cfg(unix)]
    #[test]
    fn every_file_in_it_is_private_the_engines_own_too() {
        use std::os::unix::fs::PermissionsExt as _;
        let base = TempDir::new().unwrap();
        let state = State::open(base.path(), TENANT, CLIENT).unwrap();
        let _held = state.lock_writer().unwrap();
        let mut names = Vec::new();
        for entry in std::fs::read_dir(state.dir()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", entry.path().display());
            names.push(entry.file_name().into_string().unwrap());
        }
        names.sort();
        assert_eq!(names, ["state.db", "state.db-shm", "state.db-wal", "writer.lock"]);
    }

    #[test]
    fn one_writer_at_a_time_and_readers_need_no_lock() {
        let base = TempDir::new().unwrap();
        let first = State::open(base.path(), TENANT, CLIENT).unwrap();
        let held = first.lock_writer().unwrap();
        let second = State::open(base.path(), TENANT, CLIENT).unwrap();
        assert_eq!(*second.lock_writer().unwrap_err().kind(), FaultKind::Conflict);
        assert!(
            second
                .db()
                .query_row("select count(*) from binding", [], |row| row.get::<_, i64>(0))
                .is_ok()
        );
        drop(held);
        second.lock_writer().unwrap();
    }

    #[test]
    fn processes_may_start_at_the_same_time() {
        let base = TempDir::new().unwrap();
        std::thread::scope(|scope| {
            let open = || State::open(base.path(), TENANT, CLIENT).map(drop);
            let all: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            for one in all {
                one.join().unwrap().unwrap();
            }
        });
    }

    #[test]
    fn a_file_that_is_no_database_is_named() {
        let base = TempDir::new().unwrap();
        let dir = State::open(base.path(), TENANT, CLIENT).unwrap().dir().to_owned();
        for name in ["state.db", "state.db-wal", "state.db-shm"] {
            let _ = std::fs::remove_file(dir.join(name));
        }
        std::fs::write(dir.join(DATABASE), vec![b'x'; 8192]).unwrap();
        let fault = State::open(base.path(), TENANT, CLIENT).err().unwrap();
        assert!(fault.message().contains("state.db"), "{fault}");
    }
}
