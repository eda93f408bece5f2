//! Writes what the outbox holds to a file that a person uploads to Risk Assess.
//!
//! Invariants: the file is whole or not there, for its owner only, and never takes the place of another: rows of an earlier file are settled, so
//! they would be lost with it. Parcels are settled after the file is on disk.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use crate::model::downstream::{Parcel, ParcelId};
use crate::model::fault::{Fault, FaultKind};

use super::deliveries::{Deliveries, Ended, Log, Of};
use super::desk::{Desk, Piece};
use super::file::{FileForm, template};
use super::render::Row;
use super::standing::Came;

/// Delivery by a person.
pub struct Handout {
    desk: Desk,
}

impl Handout {
    /// A handout of what the desk has.
    pub const fn new(desk: Desk) -> Self {
        Self { desk }
    }

    /// Writes everything that is there to `path`, a `.csv` or an `.xlsx`. Without anything to write there is no file.
    pub async fn write(&self, path: &Path) -> Result<Deliveries, Fault> {
        let form = FileForm::of_path(path)?;
        if path.symlink_metadata().is_ok() {
            return Err(taken(path));
        }
        let parcels = self.desk.unsettled()?;
        let ids: Vec<ParcelId> = parcels.iter().map(|parcel| parcel.id).collect();
        self.desk.take(&ids)?;
        let written = match self.pieces(&parcels).await {
            Ok(pieces) => save(path, &pieces, form).map(|()| pieces),
            Err(fault) => Err(fault),
        };
        let pieces = match written {
            Ok(pieces) => pieces,
            Err(fault) => {
                self.desk.put_back(&ids)?;
                return Err(fault);
            }
        };
        let mut log = Log::of(&parcels);
        let settled = self.settle(&pieces, &mut log);
        Ok(log.close(settled.err()))
    }

    async fn pieces(&self, parcels: &[Parcel]) -> Result<Vec<Piece>, Fault> {
        let mut pieces = Vec::with_capacity(parcels.len());
        for parcel in parcels {
            pieces.push(self.desk.prepare(parcel).await?);
        }
        Ok(pieces)
    }

    fn settle(&self, pieces: &[Piece], log: &mut Log) -> Result<(), Fault> {
        for piece in pieces {
            let came = piece.row.as_ref().err().unwrap_or(&Came::HandedOut);
            let told = self.desk.settle(piece, came)?;
            log.tell(piece.parcel, Ended::Settled(came.standing()), told, None);
        }
        Ok(())
    }
}

fn save(path: &Path, pieces: &[Piece], form: FileForm) -> Result<(), Fault> {
    let rows = rows(pieces);
    if rows.is_empty() {
        return Ok(());
    }
    let content = template(&rows, form)?;
    place(path, &content).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => taken(path),
        _ => Fault::internal(format!("{} cannot be written", path.display())).because(error),
    })
}

/// The rows, a user's once: two parcels of one user say the same, both are read now.
fn rows(pieces: &[Piece]) -> Vec<&Row> {
    let mut users = HashSet::new();
    let mut once = |piece: &&Piece| match piece.of {
        Of::User(user) => users.insert(user),
        Of::Line { .. } => true,
    };
    let pieces = pieces.iter().filter(|piece| once(piece));
    pieces.filter_map(|piece| piece.row.as_ref().ok()).collect()
}

fn place(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Its files are for their owner only.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

fn taken(path: &Path) -> Fault {
    Fault::new(
        FaultKind::Conflict,
        format!("{} is there already", path.display()),
    )
    .advise("name another file: what an earlier one holds is not written again")
}
