//! The live snapshots, by sync id.
//!
//! Invariants: one pass per sync id however many callers ask at once; at most [`MOST`] snapshots live; one that nobody asks
//! for is dropped; a failed one is never handed out again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::SnapshotConfig;
use super::class::SupplierRoles;
use super::live::{self, Snapshot};
use super::pass::Pass;
use super::report::SnapshotReport;
use super::touched::Touched;
use crate::model::baseline::Baselines;
use crate::model::fault::Fault;
use crate::model::journal::Journal;
use crate::model::tenant::{ReadTenant, Tenant};

/// Snapshots that live at once; a newer sync drops the oldest.
const MOST: usize = 2;

/// Reports and counters of past syncs that are remembered.
const REMEMBERED: usize = 8;

/// So many questions about single items are answered by a query each; the next one in the same sync starts a pass.
const LONE_QUESTIONS: u32 = 3;

/// The snapshots of one tenant.
pub struct Snapshots {
    tenant: Arc<dyn Tenant>,
    baselines: Arc<dyn Baselines>,
    journal: Option<Arc<dyn Journal>>,
    config: SnapshotConfig,
    live: Arc<Mutex<Live>>,
    fresh: Mutex<Option<(Instant, Probe)>>,
}

/// A probe for single objects, under way or done, shared by all who wait for it.
type Probe = Shared<BoxFuture<'static, Result<Arc<Fresh>, Fault>>>;

#[derive(Default)]
struct Live {
    entries: Vec<Entry>,
    reports: VecDeque<(String, SnapshotReport)>,
    lone: VecDeque<Questions>,
    started: u64,
}

struct Entry {
    sync: String,
    number: u64,
    snapshot: Arc<Snapshot>,
    started: Instant,
    used: Instant,
}

/// Questions about single items in one sync without a snapshot.
struct Questions {
    sync: String,
    asked: u32,
    last: Instant,
}

/// How a question about the holders of one item is to be answered.
pub enum Lone {
    /// From this snapshot.
    Snapshot(Arc<Snapshot>),
    /// By asking Coupa for the holders of just that item.
    Query,
}

/// A reader for fresh single objects, shared between calls.
pub struct Fresh {
    /// The reader.
    pub reader: Arc<dyn ReadTenant>,
    suppliers: OnceCell<SupplierRoles>,
}

impl Fresh {
    /// The roles whose sole holders are portal accounts.
    pub async fn supplier_roles(&self) -> Result<&SupplierRoles, Fault> {
        let read = || async { Ok(SupplierRoles::among(&self.reader.roles().await?)) };
        self.suppliers.get_or_try_init(read).await
    }
}

impl Snapshots {
    /// No snapshot yet. `journal` is that of the changes made to this tenant, by this process or another; `None`: there are none.
    pub fn new(
        tenant: Arc<dyn Tenant>,
        baselines: Arc<dyn Baselines>,
        journal: Option<Arc<dyn Journal>>,
        config: SnapshotConfig,
    ) -> Self {
        Self {
            tenant,
            baselines,
            journal,
            config,
            live: Arc::default(),
            fresh: Mutex::new(None),
        }
    }

    /// The snapshot of a sync; starts its pass if there is none. An empty id is shared by all callers without one.
    pub fn get(&self, sync: &str) -> Arc<Snapshot> {
        let mut live = self.lock();
        if let Some(snapshot) = self.find(&mut live, sync) {
            return snapshot;
        }
        while live.entries.len() >= MOST {
            let oldest = (0..live.entries.len()).min_by_key(|at| live.entries[*at].number);
            live.drop_entry(oldest.unwrap_or(0));
        }
        live.started += 1;
        let number = live.started;
        let snapshot = self.start();
        let now = Instant::now();
        live.entries.push(Entry {
            sync: sync.to_owned(),
            number,
            snapshot: Arc::clone(&snapshot),
            started: now,
            used: now,
        });
        tokio::spawn(watch_idle(Arc::downgrade(&self.live), number, self.config.idle));
        snapshot
    }

    /// The snapshot of a sync, if there is one.
    pub fn live(&self, sync: &str) -> Option<Arc<Snapshot>> {
        self.find(&mut self.lock(), sync)
    }

    /// How to answer a first question about the holders of one item.
    pub fn lone(&self, sync: &str) -> Lone {
        let asked = {
            let mut live = self.lock();
            if let Some(snapshot) = self.find(&mut live, sync) {
                return Lone::Snapshot(snapshot);
            }
            live.count_lone(sync, self.config.idle)
        };
        if asked > LONE_QUESTIONS {
            Lone::Snapshot(self.get(sync))
        } else {
            Lone::Query
        }
    }

    /// A reader for single objects; probes the tenant if the last probe is too old.
    pub async fn fresh(&self) -> Result<Arc<Fresh>, Fault> {
        self.probe().await
    }

    fn probe(&self) -> Probe {
        let mut kept = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, probe)) = &*kept
            && since.elapsed() < self.config.idle
            && !matches!(probe.peek(), Some(Err(_)))
        {
            return probe.clone();
        }
        let tenant = Arc::clone(&self.tenant);
        // A task of its own: what a slow tenant has told is not thrown away when the caller's time is up.
        let survey = tokio::spawn(async move { tenant.survey().await });
        let probe = async move {
            let survey = survey.await;
            let reader = survey.map_err(|error| Fault::internal("the probe broke off").because(error))??;
            let suppliers = OnceCell::new();
            Ok(Arc::new(Fresh { reader, suppliers }))
        };
        let probe = probe.boxed().shared();
        *kept = Some((Instant::now(), probe.clone()));
        probe
    }

    /// What our own changes touch from now on, for a query that is about to be made.
    pub fn touched(&self) -> Touched {
        Touched::from_now(self.journal.clone(), self.config.mending)
    }

    /// How snapshots are made.
    pub fn config(&self) -> &SnapshotConfig {
        &self.config
    }

    /// What the complete pass of a sync found; remembered for a while after the snapshot is gone.
    pub fn report(&self, sync: &str) -> Option<SnapshotReport> {
        let live = self.lock();
        let ready = live
            .entries
            .iter()
            .find(|entry| entry.sync == sync)
            .and_then(|entry| entry.snapshot.ready())
            .map(|complete| complete.report.clone());
        ready.or_else(|| {
            let past = live.reports.iter().rev().find(|(past, _)| past == sync);
            past.map(|(_, report)| report.clone())
        })
    }

    /// Drops what is kept for a sync.
    pub fn forget(&self, sync: &str) {
        let mut live = self.lock();
        live.lone.retain(|lone| lone.sync != sync);
        if let Some(at) = live.entries.iter().position(|entry| entry.sync == sync) {
            live.drop_entry(at);
        }
    }

    fn find(&self, live: &mut Live, sync: &str) -> Option<Arc<Snapshot>> {
        let at = live.entries.iter().position(|entry| entry.sync == sync)?;
        let entry = &mut live.entries[at];
        let old = entry.started.elapsed() > self.config.shared_age && sync.is_empty();
        if old || entry.snapshot.failed() {
            live.drop_entry(at);
            return None;
        }
        entry.used = Instant::now();
        Some(Arc::clone(&entry.snapshot))
    }

    fn start(&self) -> Arc<Snapshot> {
        let shared = Arc::new(live::Shared::new());
        let pass = Pass {
            tenant: Arc::clone(&self.tenant),
            baselines: Arc::clone(&self.baselines),
            journal: self.journal.clone(),
            config: self.config.clone(),
            shared: Arc::clone(&shared),
        };
        let task = tokio::spawn(pass.run()).abort_handle();
        Arc::new(Snapshot::new(shared, task))
    }

    fn lock(&self) -> MutexGuard<'_, Live> {
        lock(&self.live)
    }
}

impl Live {
    fn drop_entry(&mut self, at: usize) {
        let entry = self.entries.remove(at);
        if let Some(complete) = entry.snapshot.ready() {
            remember(&mut self.reports, (entry.sync, complete.report.clone()));
        }
        entry.snapshot.retire();
    }

    fn count_lone(&mut self, sync: &str, idle: Duration) -> u32 {
        self.lone.retain(|lone| lone.last.elapsed() < idle);
        let at = self.lone.iter().position(|lone| lone.sync == sync);
        let before = at
            .and_then(|at| self.lone.remove(at))
            .map_or(0, |lone| lone.asked);
        let asked = before + 1;
        let questions = Questions {
            sync: sync.to_owned(),
            asked,
            last: Instant::now(),
        };
        remember(&mut self.lone, questions);
        asked
    }
}

fn remember<T>(list: &mut VecDeque<T>, value: T) {
    if list.len() >= REMEMBERED {
        list.pop_front();
    }
    list.push_back(value);
}

/// Drops one snapshot when nobody has asked for it for `idle`.
async fn watch_idle(live: Weak<Mutex<Live>>, number: u64, idle: Duration) {
    loop {
        let until = {
            let Some(live) = live.upgrade() else { return };
            let mut live = lock(&live);
            let Some(at) = live.entries.iter().position(|entry| entry.number == number) else {
                return;
            };
            let until = live.entries[at].used + idle;
            if until <= Instant::now() {
                live.drop_entry(at);
                return;
            }
            until
        };
        tokio::time::sleep_until(until).await;
    }
}

fn lock(live: &Mutex<Live>) -> MutexGuard<'_, Live> {
    live.lock().unwrap_or_else(PoisonError::into_inner)
}
