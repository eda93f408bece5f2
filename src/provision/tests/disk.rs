//! A journal in memory, on a disk that outlives its process and may be full.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;

use crate::model::change::RequestId;
use crate::model::fault::Fault;
use crate::model::journal::{Entry, EntryId, Intent, Journal, Stage, Step, Which};

/// The journal of one process; all handles of one file share its entries.
pub(crate) struct MemJournal {
    disk: Arc<Mutex<Disk>>,
    alive: AtomicBool,
}

#[derive(Default)]
struct Disk {
    entries: BTreeMap<i64, Entry>,
    operations: usize,
    /// Numbers of writing operations that fail.
    failing: BTreeSet<usize>,
}

impl MemJournal {
    pub(crate) fn new() -> Arc<Self> {
        Self::on(Arc::default())
    }

    fn on(disk: Arc<Mutex<Disk>>) -> Arc<Self> {
        let alive = AtomicBool::new(true);
        Arc::new(Self { disk, alive })
    }

    /// The process ends; the next one opens the same file.
    pub(crate) fn restart(&self) -> Arc<Self> {
        self.alive.store(false, Ordering::SeqCst);
        Self::on(Arc::clone(&self.disk))
    }

    /// From now on, the writing operations with these numbers fail, counted from 1.
    pub(crate) fn fail(&self, operations: impl IntoIterator<Item = usize>) {
        let mut disk = self.disk.lock().unwrap();
        disk.operations = 0;
        disk.failing = operations.into_iter().collect();
    }

    pub(crate) fn all(&self) -> Vec<Entry> {
        self.disk.lock().unwrap().entries.values().cloned().collect()
    }

    pub(crate) fn open_entries(&self) -> Vec<Entry> {
        self.all().into_iter().filter(Entry::is_open).collect()
    }

    fn reading(&self) -> Result<MutexGuard<'_, Disk>, Fault> {
        if self.alive.load(Ordering::SeqCst) {
            Ok(self.disk.lock().unwrap())
        } else {
            Err(Fault::internal("the process has ended"))
        }
    }

    fn writing(&self) -> Result<MutexGuard<'_, Disk>, Fault> {
        let mut disk = self.reading()?;
        disk.operations += 1;
        if disk.failing.contains(&disk.operations) {
            return Err(Fault::internal("the disk is full"));
        }
        Ok(disk)
    }
}

impl Disk {
    fn open(&mut self, id: EntryId) -> Result<&mut Entry, Fault> {
        let entry = self.entries.get_mut(&id.0).filter(|entry| entry.is_open());
        entry.ok_or_else(|| Fault::internal("no open entry"))
    }
}

impl Journal for MemJournal {
    fn open(&self, intent: &Intent) -> Result<EntryId, Fault> {
        let mut disk = self.writing()?;
        let id = EntryId(i64::try_from(disk.entries.len()).unwrap() + 1);
        let entry = Entry {
            id,
            opened_at: Timestamp::now(),
            intent: intent.clone(),
            stage: Stage::Writing,
            steps: Vec::new(),
        };
        disk.entries.insert(id.0, entry);
        Ok(id)
    }

    fn begin_step(&self, entry: EntryId, at: Timestamp, call: &str) -> Result<u32, Fault> {
        let mut disk = self.writing()?;
        let entry = disk.open(entry)?;
        let call = call.to_owned();
        entry.steps.push(Step { at, call, end: None });
        Ok(u32::try_from(entry.steps.len()).unwrap() - 1)
    }

    fn end_step(&self, entry: EntryId, step: u32, end: &str) -> Result<(), Fault> {
        let mut disk = self.writing()?;
        disk.open(entry)?.steps[step as usize].end = Some(end.to_owned());
        Ok(())
    }

    fn advance(&self, entry: EntryId, stage: &Stage) -> Result<(), Fault> {
        let mut disk = self.writing()?;
        disk.open(entry)?.stage = stage.clone();
        Ok(())
    }

    fn entry(&self, id: EntryId) -> Result<Option<Entry>, Fault> {
        Ok(self.reading()?.entries.get(&id.0).cloned())
    }

    fn entries(&self, which: Which) -> Result<Vec<Entry>, Fault> {
        let wanted = |entry: &&Entry| match which {
            Which::Open => entry.is_open(),
            Which::Closed => !entry.is_open(),
            Which::All => true,
        };
        Ok(self.reading()?.entries.values().filter(wanted).cloned().collect())
    }

    fn of_request(&self, request: &RequestId) -> Result<Option<Entry>, Fault> {
        let disk = self.reading()?;
        let mut newest = disk.entries.values().rev();
        Ok(newest
            .find(|entry| entry.intent.request.as_ref() == Some(request))
            .cloned())
    }

    fn touched_since(&self, since: Timestamp) -> Result<Vec<Entry>, Fault> {
        let touched = |entry: &&Entry| match &entry.stage {
            Stage::Closed(closing) => closing.at >= since,
            _ => true,
        };
        Ok(self
            .reading()?
            .entries
            .values()
            .filter(touched)
            .cloned()
            .collect())
    }

    fn prune(&self, before: Timestamp) -> Result<u64, Fault> {
        let mut disk = self.writing()?;
        let all = disk.entries.len();
        disk.entries
            .retain(|_, entry| !matches!(&entry.stage, Stage::Closed(closing) if closing.at < before));
        Ok((all - disk.entries.len()) as u64)
    }
}
