//! The live snapshots, and what is known of syncs without one, by sync id.
//!
//! Invariants: one pass per sync id however many callers ask at once; at most [`MOST`] snapshots live; what nobody asks
//! for is dropped; a failed one is never handed out again.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::SnapshotConfig;
use super::class::SupplierRoles;
use super::live::{self, Snapshot};
use super::lone::{Lone, Recall, pass_costs, pass_is_due, pass_may_be_due};
use super::pass::{Pass, off_thread};
use super::report::SnapshotReport;
use super::touched::Touched;
use crate::model::access::ItemKind;
use crate::model::baseline::Baselines;
use crate::model::fault::Fault;
use crate::model::id::UserId;
use crate::model::journal::Journal;
use crate::model::tenant::{ReadTenant, Tenant};

/// Snapshots that live at once; a newer sync drops the oldest.
const MOST: usize = 2;

/// Reports of past syncs, and syncs without a snapshot, that are remembered.
const REMEMBERED: usize = 8;

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
    lone: VecDeque<Asking>,
    started: u64,
}

struct Entry {
    sync: String,
    number: u64,
    snapshot: Arc<Snapshot>,
    started: Instant,
    used: Instant,
}

/// A sync that asks about single items and has no snapshot.
struct Asking {
    sync: String,
    number: u64,
    recall: Arc<Recall>,
    used: Instant,
}

/// A reader for fresh single objects, shared between calls.
pub struct Fresh {
    /// The reader.
    pub reader: Arc<dyn ReadTenant>,
    suppliers: OnceCell<SupplierRoles>,
    /// Kinds of items of which a query has shown holders.
    filters: Mutex<HashSet<ItemKind>>,
    /// Whether a query for the holders of a role shows all their roles.
    whole: OnceCell<bool>,
}

impl Fresh {
    fn new(reader: Arc<dyn ReadTenant>) -> Self {
        Self {
            reader,
            suppliers: OnceCell::new(),
            filters: Mutex::default(),
            whole: OnceCell::new(),
        }
    }

    /// A query has shown holders of an item of that kind: this tenant can be asked so.
    pub fn proved(&self, kind: ItemKind) {
        self.filters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(kind);
    }

    /// Whether a query has ever shown holders of an item of that kind.
    pub fn is_proved(&self, kind: ItemKind) -> bool {
        self.filters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&kind)
    }

    /// Whether a query for the holders of a role shows all their roles; found out once, by `look`.
    pub async fn shows_whole_lists<F>(&self, look: impl FnOnce() -> F) -> Result<bool, Fault>
    where
        F: Future<Output = Result<bool, Fault>>,
    {
        self.whole.get_or_try_init(look).await.copied()
    }

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
        let number = live.next_number();
        let snapshot = self.start();
        let now = Instant::now();
        live.entries.push(Entry {
            sync: sync.to_owned(),
            number,
            snapshot: Arc::clone(&snapshot),
            started: now,
            used: now,
        });
        self.watch(number);
        snapshot
    }

    fn watch(&self, number: u64) {
        tokio::spawn(watch_idle(Arc::downgrade(&self.live), number, self.config.idle));
    }

    /// The snapshot of a sync, if there is one.
    pub fn live(&self, sync: &str) -> Option<Arc<Snapshot>> {
        self.find(&mut self.lock(), sync)
    }

    /// How to answer a first question about the holders of one item: by a query as long as questions are the cheaper way.
    pub async fn lone(&self, sync: &str) -> Lone {
        let recall = match self.going_on(sync) {
            Lone::Snapshot(snapshot) => return Lone::Snapshot(snapshot),
            Lone::Query(recall) => recall,
        };
        let spent = recall.spent();
        if pass_may_be_due(spent) {
            let costs = *recall.pass_costs.get_or_init(|| self.pass_costs()).await;
            if pass_is_due(spent, costs) {
                tracing::info!(
                    spent,
                    costs,
                    "questions about single items have cost as much as a pass: one is made"
                );
                return Lone::Snapshot(self.get(sync));
            }
        }
        Lone::Query(recall)
    }

    /// How to answer a question that goes on.
    pub fn going_on(&self, sync: &str) -> Lone {
        let mut live = self.lock();
        match self.find(&mut live, sync) {
            Some(snapshot) => Lone::Snapshot(snapshot),
            None => Lone::Query(self.recall_in(&mut live, sync)),
        }
    }

    /// What the questions of a sync have shown so far.
    pub fn recall(&self, sync: &str) -> Arc<Recall> {
        self.recall_in(&mut self.lock(), sync)
    }

    fn recall_in(&self, live: &mut Live, sync: &str) -> Arc<Recall> {
        if let Some(asking) = live.lone.iter_mut().find(|asking| asking.sync == sync) {
            asking.used = Instant::now();
            return Arc::clone(&asking.recall);
        }
        let recall = Arc::new(Recall::new(sync));
        let number = live.next_number();
        let asking = Asking {
            sync: sync.to_owned(),
            number,
            recall: Arc::clone(&recall),
            used: Instant::now(),
        };
        remember(&mut live.lone, asking);
        self.watch(number);
        recall
    }

    async fn pass_costs(&self) -> u64 {
        let baselines = Arc::clone(&self.baselines);
        let last = off_thread(move || baselines.last())
            .await
            .unwrap_or_else(|fault| {
                tracing::warn!(?fault, "the sizes of the last pass are not known");
                None
            });
        pass_costs(last.as_ref(), self.highest_user())
    }

    /// The highest id of a user, if somebody has looked.
    fn highest_user(&self) -> Option<UserId> {
        let kept = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, probe) = kept.as_ref()?;
        let fresh = probe.peek()?.as_ref().ok()?;
        fresh.reader.survey().highest_user
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
            Ok(Arc::new(Fresh::new(reader)))
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
        live.lone.retain(|asking| asking.sync != sync);
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

    fn next_number(&mut self) -> u64 {
        self.started += 1;
        self.started
    }

    /// When somebody last asked for what has that number; `None` if it is gone.
    fn used(&self, number: u64) -> Option<Instant> {
        let snapshot = self.entries.iter().find(|entry| entry.number == number);
        let asking = || self.lone.iter().find(|asking| asking.number == number);
        snapshot
            .map(|entry| entry.used)
            .or_else(|| asking().map(|asking| asking.used))
    }

    fn drop_number(&mut self, number: u64) {
        self.lone.retain(|asking| asking.number != number);
        if let Some(at) = self.entries.iter().position(|entry| entry.number == number) {
            self.drop_entry(at);
        }
    }
}

fn remember<T>(list: &mut VecDeque<T>, value: T) {
    if list.len() >= REMEMBERED {
        list.pop_front();
    }
    list.push_back(value);
}

/// Drops what has that number when nobody has asked for it for `idle`.
async fn watch_idle(live: Weak<Mutex<Live>>, number: u64, idle: Duration) {
    loop {
        let until = {
            let Some(live) = live.upgrade() else { return };
            let mut live = lock(&live);
            let Some(used) = live.used(number) else { return };
            if used + idle <= Instant::now() {
                live.drop_number(number);
                return;
            }
            used + idle
        };
        tokio::time::sleep_until(until).await;
    }
}

fn lock(live: &Mutex<Live>) -> MutexGuard<'_, Live> {
    live.lock().unwrap_or_else(PoisonError::into_inner)
}
