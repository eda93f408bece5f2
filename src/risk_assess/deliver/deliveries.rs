//! What a run came to: one entry for every parcel that it found, whatever happened to it.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::downstream::{Digest, Load, Parcel, ParcelId, Standing};
use crate::model::fault::Fault;
use crate::model::id::UserId;

/// What a parcel holds, without values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Of {
    /// A user.
    User(UserId),
    /// A row of a file.
    Line {
        /// Which file.
        file: Digest,
        /// Which line of it.
        line: u64,
    },
}

impl From<&Load> for Of {
    fn from(load: &Load) -> Self {
        match load {
            Load::User(user) => Self::User(*user),
            Load::Row { file, line, .. } => Self::Line {
                file: file.clone(),
                line: *line,
            },
        }
    }
}

/// `user 7`, or `line 12`.
impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "user {user}"),
            Self::Line { line, .. } => write!(f, "line {line}"),
        }
    }
}

/// Where a parcel is after the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It is done with, as this.
    Settled(Standing),
    /// It is still there and is sent again by the next run.
    Waits,
}

/// Risk Assess' own words, for the person who asked. They may quote people, so `Debug` does not show them.
#[derive(Clone, PartialEq, Eq)]
pub struct Words(pub Box<str>);

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Words")
    }
}

/// What happened to one parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub parcel: ParcelId,
    /// What it holds.
    pub of: Of,
    /// Where it is now.
    pub ended: Ended,
    /// What came of it, in one sentence, without values.
    pub told: String,
    /// What Risk Assess said against it.
    pub words: Option<Words>,
}

/// A run. It says what was done even where it was stopped.
#[derive(Debug, Default)]
pub struct Deliveries {
    /// Every parcel that was not settled when the run began, oldest first.
    pub entries: Vec<Entry>,
    /// Why the run did not come to its end; what it left waits.
    pub stopped: Option<Fault>,
}

impl Deliveries {
    /// How many parcels are still there.
    pub fn waiting(&self) -> usize {
        let waits = |entry: &&Entry| entry.ended == Ended::Waits;
        self.entries.iter().filter(waits).count()
    }

    /// How many parcels there are by the name of what they are settled as.
    pub fn settled(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for entry in &self.entries {
            if let Ended::Settled(standing) = entry.ended {
                *counts.entry(standing.name()).or_default() += 1;
            }
        }
        counts
    }
}

/// The entries of a run that is under way: nothing it found can go missing.
#[derive(Debug, Default)]
pub(super) struct Log(BTreeMap<ParcelId, Entry>);

impl Log {
    /// Every parcel, as not reached yet.
    pub(super) fn of(parcels: &[Parcel]) -> Self {
        let entry = |parcel: &Parcel| {
            let entry = Entry {
                parcel: parcel.id,
                of: Of::from(&parcel.load),
                ended: Ended::Waits,
                told: "not reached by this run".to_owned(),
                words: None,
            };
            (parcel.id, entry)
        };
        Self(parcels.iter().map(entry).collect())
    }

    pub(super) fn tell(
        &mut self,
        parcel: ParcelId,
        ended: Ended,
        told: impl Into<String>,
        words: Option<Words>,
    ) {
        if let Some(entry) = self.0.get_mut(&parcel) {
            entry.ended = ended;
            entry.told = told.into();
            entry.words = words;
        }
    }

    pub(super) fn waits(&self, parcel: ParcelId) -> bool {
        self.0
            .get(&parcel)
            .is_some_and(|entry| entry.ended == Ended::Waits)
    }

    /// For a parcel that has its end already this says nothing.
    pub(super) fn tell_waiting(&mut self, parcel: ParcelId, told: String) {
        if let Some(entry) = self.0.get_mut(&parcel)
            && entry.ended == Ended::Waits
        {
            entry.told = told;
        }
    }

    pub(super) fn close(self, stopped: Option<Fault>) -> Deliveries {
        Deliveries {
            entries: self.0.into_values().collect(),
            stopped,
        }
    }
}
