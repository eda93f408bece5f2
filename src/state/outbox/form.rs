//! The form in which parcels lie in the database. Names are part of the file's format: they stay as they are.
//!
//! Invariant: what is written comes back equal, but for the values of a settled row; a name that this version does not know is an error.

use std::collections::BTreeMap;

use crate::model::downstream::{Digest, Load, Parcel, ParcelId, ParcelStage, Standing};
use crate::state::form::{Unreadable, parse};

pub(super) const WAITING: &str = "waiting";
pub(super) const SENDING: &str = "sending";
pub(super) const SETTLED: &str = "settled";

/// One row of the table of parcels.
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) user: Option<String>,
    pub(super) file: Option<String>,
    pub(super) line: Option<u64>,
    pub(super) cells: Option<String>,
    pub(super) queued_at: String,
    pub(super) attempts: u32,
    pub(super) stage: String,
    pub(super) standing: Option<String>,
    pub(super) told: Option<String>,
    pub(super) settled_at: Option<String>,
}

impl Row {
    pub(super) fn parcel(self) -> Result<Parcel, Unreadable> {
        let load = match (self.user, self.file, self.line) {
            (Some(user), None, None) => Load::User(parse("user", &user)?),
            (None, Some(file), Some(line)) => Load::Row {
                file: Digest(file.into()),
                line,
                cells: cells(self.cells.as_deref())?,
            },
            _ => return Err(Unreadable::of("load", "neither a user's nor a file's")),
        };
        let stage = match (self.stage.as_str(), self.standing, self.told, self.settled_at) {
            (WAITING, None, None, None) => ParcelStage::Waiting,
            (SENDING, None, None, None) => ParcelStage::Sending,
            (SETTLED, Some(standing), Some(told), Some(at)) => ParcelStage::Settled {
                standing: self::standing(&standing)?,
                told: told.into(),
                at: parse("settled_at", &at)?,
            },
            (other, ..) => {
                return Err(Unreadable::of(
                    "stage",
                    format!("unknown or incomplete: {other:?}"),
                ));
            }
        };
        Ok(Parcel {
            id: ParcelId(self.id),
            load,
            queued_at: parse("queued_at", &self.queued_at)?,
            attempts: self.attempts,
            stage,
        })
    }
}

/// The text of a row's values.
pub(super) fn cells_text(cells: &BTreeMap<Box<str>, Box<str>>) -> serde_json::Result<String> {
    serde_json::to_string(cells)
}

/// The text of a standing: its name, and the day where there is one.
pub(super) fn standing_text(standing: Standing) -> String {
    match standing {
        Standing::Seen(day) => format!("{} {day}", standing.name()),
        other => other.name().to_owned(),
    }
}

fn cells(stored: Option<&str>) -> Result<BTreeMap<Box<str>, Box<str>>, Unreadable> {
    // The error of the decoder may quote what it read: values of a person.
    stored.map_or_else(
        || Ok(BTreeMap::new()),
        |text| serde_json::from_str(text).map_err(|_| Unreadable::of("cells", "no table of texts")),
    )
}

fn standing(stored: &str) -> Result<Standing, Unreadable> {
    const PLAIN: [Standing; 6] = [
        Standing::Expected,
        Standing::Delivered,
        Standing::Queued,
        Standing::Doubtful,
        Standing::Rejected,
        Standing::Unknown,
    ];
    if let Some(day) = stored.strip_prefix("seen ") {
        return Ok(Standing::Seen(parse("standing", day)?));
    }
    let found = PLAIN.into_iter().find(|standing| standing.name() == stored);
    found.ok_or_else(|| Unreadable::of("standing", format!("unknown name {stored:?}")))
}
