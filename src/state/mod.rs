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
mod journal;
mod migrate;
mod place;

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use crate::model::fault::{Fault, FaultKind};

/// How long a process waits for another one's transaction; all of them are short.
const BUSY: Duration = Duration::from_secs(10);
const DATABASE: &str = "state.db";
const LOCK: &str = "writer.lock";

/// The open state of one tenant.
pub struct State {
    dir: PathBuf,
    db: Mutex<Connection>,
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
    /// program, of another tenant, or of another client. One that knows no client yet adopts this one.
    pub fn open(base: &Path, tenant: &str, client_id: &str) -> Result<Self, Fault> {
        let dir = place::prepare(base, tenant)?;
        let path = dir.join(DATABASE);
        place::prepare_file(&path)?;
        let mut db = connect(&path).map_err(|error| failed(&path, error))?;
        migrate::up(&mut db, &path)?;
        bind(&mut db, tenant, client_id, &path)?;
        Ok(Self {
            dir,
            db: Mutex::new(db),
        })
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
        let held = File::open(&path).map_err(|error| broken(&error))?;
        match held.try_lock() {
            Ok(()) => Ok(WriterLock { _held: held }),
            Err(TryLockError::WouldBlock) => Err(Fault::new(
                FaultKind::Conflict,
                "another process of this connector is already making changes to this tenant",
            )
            .advise("stop it, or let it do the work")),
            Err(TryLockError::Error(error)) => Err(broken(&error)),
        }
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        // A panic in between rolls its transaction back, so the connection is sound.
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
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
    db.pragma_update(None, "trusted_schema", false)?;
    Ok(db)
}

/// Ties a new database to tenant and client, or checks that an old one is tied to them.
fn bind(db: &mut Connection, tenant: &str, client: &str, path: &Path) -> Result<(), Fault> {
    let mut work = || -> rusqlite::Result<(String, String)> {
        let change = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        change.execute(
            "insert or ignore into binding (one, tenant, client) values (1, ?1, ?2)",
            [tenant, client],
        )?;
        // Made before clients were recorded.
        change.execute(
            "update binding set client = ?2 where client is null and tenant = ?1",
            [tenant, client],
        )?;
        let select = "select tenant, coalesce(client, '') from binding";
        let bound = change.query_row(select, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        change.commit()?;
        Ok(bound)
    };
    let (bound_tenant, bound_client) = work().map_err(|error| failed(path, error))?;
    let path = path.display();
    if bound_tenant != tenant {
        let why = format!("{path} belongs to the tenant {bound_tenant}, not to {tenant}");
        return Err(Fault::new(FaultKind::Refused, why).advise("choose another directory with --state-dir"));
    }
    if bound_client != client {
        let (bound, given) = (beginning(&bound_client), beginning(client));
        let why = format!("{path} belongs to the OAuth client {bound}, not to {given}");
        return Err(Fault::new(FaultKind::Refused, why).advise(
            "use the client it was made for; or, once `baton-coupa journal list --open` shows nothing open there, choose another directory with --state-dir",
        ));
    }
    Ok(())
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
    use super::*;
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

    #[test]
    fn state_is_bound_to_its_client() {
        let base = TempDir::new().unwrap();
        let open = |client| State::open(base.path(), TENANT, client);
        open(CLIENT).unwrap();
        open(CLIENT).unwrap();
        let fault = open("fedcba9876543210").err().unwrap();
        assert_eq!(*fault.kind(), FaultKind::Refused);
        let told = fault.to_string();
        for part in ["012345", "fedcba", "--state-dir", "journal list --open"] {
            assert!(told.contains(part), "{part} is missing in {told}");
        }
        for whole in [CLIENT, "fedcba9876543210"] {
            assert!(!format!("{fault:?}").contains(whole), "{fault:?}");
        }
    }

    #[test]
    fn a_database_without_a_client_adopts_the_first_one() {
        let base = TempDir::new().unwrap();
        let open = |client| State::open(base.path(), TENANT, client);
        let state = open(CLIENT).unwrap();
        state
            .db()
            .execute("update binding set client = null", [])
            .unwrap();
        drop(state);
        open("another").unwrap();
        assert!(open(CLIENT).is_err(), "it is bound from then on");
        open("another").unwrap();
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
