//! Who stood without any role though they had had some, how often and for how long.
//!
//! Invariant: kept where the true state changes, whoever changes it and whatever reads show of it.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// The moments at which users lost their last role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Gaps {
    /// How often a user lost the last role.
    pub moments: u64,
    /// Ids of users who lost it and have none now, ascending.
    pub open: Vec<u64>,
    /// Everyone to whom it happened, ascending by id.
    pub users: Vec<UserGaps>,
}

/// The gaps of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct UserGaps {
    /// Coupa id.
    pub id: u64,
    /// How often.
    pub times: u64,
    /// For how long in all, in milliseconds, one that is open up to now.
    pub ms: u64,
}

/// The gaps as they are being kept.
#[derive(Default)]
pub(super) struct GapBook {
    users: BTreeMap<u64, Entry>,
}

#[derive(Default)]
struct Entry {
    times: u64,
    closed_ms: u64,
    since: Option<Instant>,
}

impl GapBook {
    /// The roles of user `id` changed: whether it had some, and whether it has.
    pub(super) fn note(&mut self, id: u64, had: bool, has: bool, at: Instant) {
        match (had, has) {
            (true, false) => {
                let entry = self.users.entry(id).or_default();
                entry.times += 1;
                entry.since = Some(at);
            }
            (false, true) => {
                if let Some(entry) = self.users.get_mut(&id) {
                    entry.closed_ms += entry.open_ms(at);
                    entry.since = None;
                }
            }
            (true, true) | (false, false) => {}
        }
    }

    /// The book as of `now`.
    pub(super) fn read(&self, now: Instant) -> Gaps {
        let open = self.users.iter().filter(|(_, entry)| entry.since.is_some());
        Gaps {
            moments: self.users.values().map(|entry| entry.times).sum(),
            open: open.map(|(&id, _)| id).collect(),
            users: self
                .users
                .iter()
                .map(|(&id, entry)| UserGaps {
                    id,
                    times: entry.times,
                    ms: entry.closed_ms + entry.open_ms(now),
                })
                .collect(),
        }
    }
}

impl Entry {
    fn open_ms(&self, now: Instant) -> u64 {
        let open = self.since.map(|since| now.saturating_duration_since(since));
        open.map_or(0, |open| u64::try_from(open.as_millis()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::time::Duration;

    use super::*;

    #[test]
    fn gaps_open_and_close() {
        let (mut book, start) = (GapBook::default(), Instant::now());
        let after = |ms| start + Duration::from_millis(ms);
        book.note(7, true, true, start);
        book.note(9, false, true, start);
        assert_eq!(book.read(start), Gaps::default(), "nobody lost the last one");
        book.note(7, true, false, start);
        book.note(7, false, true, after(30));
        book.note(7, true, false, after(100));
        let gaps = book.read(after(105));
        assert_eq!((gaps.moments, gaps.open), (2, vec![7]));
        assert_eq!(
            gaps.users,
            [UserGaps {
                id: 7,
                times: 2,
                ms: 35
            }]
        );
    }
}
