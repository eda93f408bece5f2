//! A journal in memory for tests of readers: entries that somebody else writes, also while they are read.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use crate::model::access::Item;
use crate::model::change::{RequestId, Via};
use crate::model::fault::Fault;
use crate::model::id::UserId;
use crate::model::journal::{
    ClosedBy, Closing, Ending, Entry, EntryId, Held, Intent, Journal, Stage, Subject, Which,
};

/// What happens before the journal is looked into for the n-th time, counted from 1.
type Event = (u64, Box<dyn FnOnce(&mut Vec<Entry>) + Send>);

/// A journal in memory whose entries somebody else writes.
#[derive(Default)]
pub(crate) struct FakeJournal {
    pub(crate) entries: Mutex<Vec<Entry>>,
    pub(crate) looks: AtomicU64,
    events: Mutex<Vec<Event>>,
}

impl FakeJournal {
    pub(crate) fn with(entries: Vec<Entry>) -> Arc<Self> {
        let journal = Self::default();
        *journal.entries.lock().unwrap() = entries;
        Arc::new(journal)
    }

    /// Lets something happen right before a look.
    pub(crate) fn before_look(&self, number: u64, event: impl FnOnce(&mut Vec<Entry>) + Send + 'static) {
        self.events.lock().unwrap().push((number, Box::new(event)));
    }
}

/// Readers look and never write.
impl Journal for FakeJournal {
    fn open(&self, _: &Intent) -> Result<EntryId, Fault> {
        unreachable!("a reader opens no entry")
    }

    fn begin_step(&self, _: EntryId, _: Timestamp, _: &str) -> Result<u32, Fault> {
        unreachable!("a reader takes no step")
    }

    fn end_step(&self, _: EntryId, _: u32, _: &str) -> Result<(), Fault> {
        unreachable!("a reader takes no step")
    }

    fn advance(&self, _: EntryId, _: &Stage) -> Result<(), Fault> {
        unreachable!("a reader changes no entry")
    }

    fn entry(&self, _: EntryId) -> Result<Option<Entry>, Fault> {
        unreachable!("a reader asks for what was touched")
    }

    fn entries(&self, _: Which) -> Result<Vec<Entry>, Fault> {
        unreachable!("a reader asks for what was touched")
    }

    fn of_request(&self, _: &RequestId) -> Result<Option<Entry>, Fault> {
        unreachable!("a reader has no request")
    }

    fn touched_since(&self, since: Timestamp) -> Result<Vec<Entry>, Fault> {
        let look = self.looks.fetch_add(1, Ordering::SeqCst) + 1;
        let mut entries = self.entries.lock().unwrap();
        let due: Vec<Event> = self
            .events
            .lock()
            .unwrap()
            .extract_if(.., |(number, _)| *number == look)
            .collect();
        for (_, event) in due {
            event(&mut entries);
        }
        let touched = |entry: &&Entry| match &entry.stage {
            Stage::Closed(closing) => closing.at >= since,
            Stage::Writing | Stage::Clearing { .. } | Stage::NeedsPerson { .. } => true,
        };
        Ok(entries.iter().filter(touched).cloned().collect())
    }

    fn prune(&self, _: Timestamp) -> Result<u64, Fault> {
        unreachable!("a reader forgets no entry")
    }
}

/// An entry about taking `item` from a user.
pub(crate) fn revocation(id: i64, user: u64, item: Item, stage: Stage) -> Entry {
    Entry {
        id: EntryId(id),
        opened_at: Timestamp::now(),
        intent: Intent {
            request: None,
            via: Via::Grpc,
            user: UserId::new(user),
            subject: Subject::Revoke(item),
            before: Held::Nothing,
            wanted: Held::Nothing,
        },
        stage,
        steps: Vec::new(),
    }
}

/// The list was emptied, and held `full`.
pub(crate) fn clearing(full: &[u64]) -> Stage {
    Stage::Clearing {
        full: full.to_vec(),
        read_at: Timestamp::now(),
    }
}

/// The change ended now, and the list holds `after`.
pub(crate) fn made(after: &[u64]) -> Stage {
    Stage::Closed(Closing {
        at: Timestamp::now(),
        ending: Ending::Made,
        by: ClosedBy::Change,
        user: None,
        after: Held::Ids(after.to_vec()),
        window_ms: None,
        empty_ms: None,
        findings: Vec::new(),
    })
}
