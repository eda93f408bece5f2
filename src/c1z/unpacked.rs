//! An existing file, unpacked for reading.
//!
//! Invariant: the file itself is opened for reading only; what the engine writes goes into the scratch directory.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use tokio_util::sync::CancellationToken;

use super::error::existing;
use super::scratch::Scratch;
use super::{Settings, envelope};
use crate::model::fault::Fault;

/// The database of a file.
pub(super) struct Unpacked {
    // Before the scratch directory, so that it is closed when that goes.
    pub(super) db: Connection,
    _scratch: Scratch,
}

/// Unpacks `path`; `None` if there is no file, or an empty one.
pub(super) fn open(path: &Path, settings: &Settings) -> Result<Option<Unpacked>, Fault> {
    let Some(packed) = envelope::open(path)? else {
        return Ok(None);
    };
    let scratch = Scratch::new(&settings.temp_dir)?;
    let (unpacked, mut file) = scratch.create("previous.db")?;
    packed.unpack(&mut file, settings.limits, &CancellationToken::new())?;
    let db = connect(&unpacked).map_err(|error| existing(path, error))?;
    Ok(Some(Unpacked {
        db,
        _scratch: scratch,
    }))
}

fn connect(database: &Path) -> rusqlite::Result<Connection> {
    // Writable for the engine's sake only: a header that says WAL needs files beside it.
    let db = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.execute_batch("pragma query_only = on; pragma trusted_schema = off; pragma cell_size_check = on;")?;
    Ok(db)
}
