//! What was asked, in the order it arrived, for tests to look at.
//!
//! Invariant: bounded, and without tokens: of a body only that of a write is kept, never that of a token request.

use std::collections::VecDeque;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::matching::{Marks, WriteClass};
use super::stats::RequestKind;

/// Entries kept; older ones are forgotten.
const KEPT: usize = 10_000;

/// One request. `Debug` leaves out query and body, which may hold something personal.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LogEntry {
    /// Counts up from 1, over the life of the sandbox.
    pub n: u64,
    /// HTTP method.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// The query as sent, percent-encoded.
    pub query: Option<String>,
    /// Kind, as in the counters.
    pub kind: RequestKind,
    /// Class of a write.
    pub write: Option<WriteClass>,
    /// Whether a fault hit it.
    pub fault: bool,
    /// Status of the answer; `None` while there is none, or when the client got none.
    pub status: Option<u16>,
    /// Body of a write, if it was JSON.
    pub body: Option<Value>,
    /// Arrival, in milliseconds since the sandbox started.
    pub at: u64,
}

impl std::fmt::Debug for LogEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogEntry")
            .field("n", &self.n)
            .field("method", &self.method)
            .field("path", &self.path)
            .field("write", &self.write)
            .field("fault", &self.fault)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// The entries kept.
#[derive(Default)]
pub(super) struct Log {
    entries: VecDeque<LogEntry>,
    last: u64,
}

impl Log {
    /// Notes an arrival and gives its number.
    pub(super) fn arrived(
        &mut self,
        marks: &Marks,
        query: Option<&str>,
        body: Option<Value>,
        at: u64,
    ) -> u64 {
        self.last += 1;
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(LogEntry {
            n: self.last,
            method: marks.method.to_string(),
            path: marks.path.clone(),
            query: query.map(str::to_owned),
            kind: marks.kind,
            write: marks.write,
            fault: false,
            status: None,
            body: body.filter(|_| marks.write.is_some()),
            at,
        });
        self.last
    }

    /// A fault hit the request.
    pub(super) fn struck(&mut self, n: u64) {
        if let Some(entry) = self.entry_mut(n) {
            entry.fault = true;
        }
    }

    /// The request is answered.
    pub(super) fn answered(&mut self, n: u64, status: StatusCode) {
        if let Some(entry) = self.entry_mut(n) {
            entry.status = Some(status.as_u16());
        }
    }

    /// The entry of this number, if it is still kept.
    pub(super) fn entry(&self, n: u64) -> Option<&LogEntry> {
        self.entries.get(self.place(n)?)
    }

    fn entry_mut(&mut self, n: u64) -> Option<&mut LogEntry> {
        let place = self.place(n)?;
        self.entries.get_mut(place)
    }

    fn place(&self, n: u64) -> Option<usize> {
        let first = self.entries.front()?.n;
        usize::try_from(n.checked_sub(first)?).ok()
    }

    /// All that is kept, oldest first.
    pub(super) fn entries(&self) -> Vec<LogEntry> {
        self.entries.iter().cloned().collect()
    }

    /// Forgets all entries; numbers go on.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use http::Method;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_oldest_are_forgotten_and_numbers_go_on() {
        let marks = Marks {
            kind: RequestKind::RestUsers,
            method: Method::PUT,
            path: "/api/users/5".into(),
            write: Some(WriteClass::Other),
        };
        let mut log = Log::default();
        for _ in 0..KEPT + 5 {
            log.arrived(&marks, None, Some(json!({ "login": "sentinel" })), 0);
        }
        let entries = log.entries();
        assert_eq!((entries.len(), entries[0].n), (KEPT, 6));
        log.answered(3, StatusCode::OK);
        log.answered(7, StatusCode::OK);
        assert_eq!((log.entry(7).unwrap().status, log.entry(5)), (Some(200), None));
        assert!(!format!("{entries:?}").contains("sentinel"));
        log.clear();
        assert_eq!(log.arrived(&marks, None, None, 0), 10_006);
    }
}
