//! One pass as its callers see it: what is known already, what is still coming, and how it ended.
//!
//! Invariants: listed users come in ascending order of ids without a gap, whatever order their pages arrived in; the end of
//! the users, the items and all grants are shown only after the whole pass was judged; a failed pass fails every later
//! question.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::account::Account;
use super::index::Index;
use super::report::SnapshotReport;
use super::spool::{Row, Spool};
use crate::model::access::LicenseCatalog;
use crate::model::fault::Fault;
use crate::model::id::UserId;
use crate::model::tenant::{Group, ReadTenant, Role};

/// An answer, or the news that it is not known before the deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waited<T> {
    /// Here it is.
    Ready(T),
    /// Ask again later.
    Pending,
}

impl<T> Waited<T> {
    fn map<U>(self, convert: impl FnOnce(T) -> U) -> Waited<U> {
        match self {
            Self::Ready(value) => Waited::Ready(convert(value)),
            Self::Pending => Waited::Pending,
        }
    }
}

/// Listed accounts in order of their ids.
#[derive(Debug)]
pub struct Accounts {
    /// The accounts.
    pub list: Vec<Account>,
    /// Whether these are the last ones.
    pub rest: Rest,
}

/// What follows a page of accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Nothing: the pass is complete, judged, and these were the last.
    Nothing,
    /// There may be more.
    Maybe,
}

/// Everything a complete pass yields.
#[derive(Debug)]
pub struct Complete {
    /// Roles, ascending by id.
    pub roles: Vec<Role>,
    /// Groups and projects, ascending by id.
    pub groups: Vec<Group>,
    /// The tenant's licenses.
    pub licenses: LicenseCatalog,
    /// Who holds what.
    pub index: Index,
    /// Counts and findings.
    pub report: SnapshotReport,
}

/// Rows of one range of ids.
#[derive(Debug, Default)]
struct Stretch {
    rows: Vec<Row>,
    done: bool,
}

enum Outcome {
    Running,
    Complete(Arc<Complete>),
    Failed(Fault),
}

struct Progress {
    reader: Option<Arc<dyn ReadTenant>>,
    spool: Option<Arc<Spool>>,
    /// Ranges by their lower end.
    stretches: BTreeMap<u64, Stretch>,
    outcome: Outcome,
}

/// What the pass writes and its callers read.
pub(crate) struct Shared {
    progress: Mutex<Progress>,
    changed: watch::Sender<()>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            progress: Mutex::new(Progress {
                reader: None,
                spool: None,
                stretches: BTreeMap::new(),
                outcome: Outcome::Running,
            }),
            changed: watch::Sender::new(()),
        }
    }

    pub(crate) fn start(&self, reader: Arc<dyn ReadTenant>, spool: Arc<Spool>) {
        self.change(|progress| {
            progress.reader = Some(reader);
            progress.spool = Some(spool);
        });
    }

    /// A range begins; must be told before its neighbour below is done.
    pub(crate) fn open(&self, after: u64) {
        self.change(|progress| {
            progress.stretches.entry(after).or_default();
        });
    }

    /// Rows of a range, ascending and above those told before.
    pub(crate) fn rows(&self, after: u64, rows: Vec<Row>) {
        self.change(|progress| progress.stretches.entry(after).or_default().rows.extend(rows));
    }

    /// A range was read to its end.
    pub(crate) fn done(&self, after: u64) {
        self.change(|progress| progress.stretches.entry(after).or_default().done = true);
    }

    /// Puts another row in place of a user's, or takes it out. `false`: the user has none.
    pub(crate) fn replace(&self, user: UserId, row: Option<Row>) -> bool {
        let mut found = false;
        self.change(|progress| {
            let below = progress.stretches.range_mut(..user.get()).next_back();
            let Some((_, stretch)) = below else { return };
            let Ok(at) = stretch.rows.binary_search_by_key(&user, |row| row.id) else {
                return;
            };
            found = true;
            match row {
                Some(row) => stretch.rows[at] = row,
                None => drop(stretch.rows.remove(at)),
            }
        });
        found
    }

    /// All rows of all ranges, ascending by id.
    pub(crate) fn all_rows(&self) -> Vec<Row> {
        let progress = self.lock();
        let mut rows: Vec<Row> = Vec::with_capacity(progress.stretches.values().map(|s| s.rows.len()).sum());
        for stretch in progress.stretches.values() {
            rows.extend(&stretch.rows);
        }
        rows
    }

    pub(crate) fn end(&self, outcome: Result<Complete, Fault>) {
        self.change(|progress| {
            if !matches!(progress.outcome, Outcome::Running) {
                return;
            }
            match outcome {
                Ok(complete) => {
                    progress.stretches.clear();
                    progress.outcome = Outcome::Complete(Arc::new(complete));
                }
                Err(fault) => progress.outcome = Outcome::Failed(fault),
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, edit: impl FnOnce(&mut Progress)) {
        edit(&mut self.lock());
        self.changed.send_replace(());
    }

    /// Waits until `look` sees what it wants, the pass fails, or the deadline passes.
    async fn until<T>(
        &self,
        deadline: Instant,
        mut look: impl FnMut(&Progress) -> Option<T>,
    ) -> Result<Waited<T>, Fault> {
        let mut changed = self.changed.subscribe();
        loop {
            {
                let progress = self.lock();
                if let Outcome::Failed(fault) = &progress.outcome {
                    return Err(fault.clone());
                }
                if let Some(seen) = look(&progress) {
                    return Ok(Waited::Ready(seen));
                }
            }
            if !matches!(timeout_at(deadline, changed.changed()).await, Ok(Ok(()))) {
                return Ok(Waited::Pending);
            }
        }
    }
}

/// One pass over the tenant, running or complete. Dropping it stops the pass.
pub struct Snapshot {
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Snapshot {
    pub(crate) fn new(shared: Arc<Shared>, task: AbortHandle) -> Self {
        Self { shared, task }
    }

    /// Up to `limit` listed accounts with ids above `last`: as many as are known without a gap, at least one unless the
    /// pass is at its end.
    pub async fn accounts(
        &self,
        last: Option<UserId>,
        limit: usize,
        deadline: Instant,
    ) -> Result<Waited<Accounts>, Fault> {
        let look = |progress: &Progress| {
            let spool = progress.spool.clone()?;
            known(progress, last.map_or(0, UserId::get), limit).map(|found| (spool, found))
        };
        match self.shared.until(deadline, look).await? {
            Waited::Pending => Ok(Waited::Pending),
            Waited::Ready((spool, (rows, rest))) => Ok(Waited::Ready(Accounts {
                list: spool.read(rows).await?,
                rest,
            })),
        }
    }

    /// The result of the whole pass.
    pub async fn complete(&self, deadline: Instant) -> Result<Waited<Arc<Complete>>, Fault> {
        let look = |progress: &Progress| match &progress.outcome {
            Outcome::Complete(complete) => Some(Arc::clone(complete)),
            Outcome::Running | Outcome::Failed(_) => None,
        };
        self.shared.until(deadline, look).await
    }

    /// A listed account of a complete pass; `None` if it has none with that id, or is not complete.
    pub async fn account(&self, id: UserId) -> Result<Option<Account>, Fault> {
        let found = {
            let progress = self.shared.lock();
            let row = match &progress.outcome {
                Outcome::Complete(complete) => complete.index.row(id),
                Outcome::Running | Outcome::Failed(_) => None,
            };
            row.zip(progress.spool.clone())
        };
        match found {
            Some((row, spool)) => Ok(spool.read(vec![row]).await?.pop()),
            None => Ok(None),
        }
    }

    /// The tenant's licenses, known early.
    pub async fn licenses(&self, deadline: Instant) -> Result<Waited<LicenseCatalog>, Fault> {
        let look = |progress: &Progress| progress.reader.clone();
        let reader = self.shared.until(deadline, look).await?;
        Ok(reader.map(|reader| reader.survey().licenses.clone()))
    }

    /// The result, if the pass is complete.
    pub fn ready(&self) -> Option<Arc<Complete>> {
        match &self.shared.lock().outcome {
            Outcome::Complete(complete) => Some(Arc::clone(complete)),
            Outcome::Running | Outcome::Failed(_) => None,
        }
    }

    /// Whether the pass failed.
    pub(crate) fn failed(&self) -> bool {
        matches!(self.shared.lock().outcome, Outcome::Failed(_))
    }

    /// Stops a running pass; whoever waits for it is told to come again. A complete one stays usable for its holders.
    pub(crate) fn retire(&self) {
        // Before the task is dropped, which would tell its own end.
        self.shared
            .end(Err(Fault::unavailable("the pass over the tenant was given up")
                .advise("ask again: a new pass is started")));
        self.task.abort();
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Rows above `last` that are known without a gap, and whether they are the last; `None` if there is nothing to say yet.
fn known(progress: &Progress, last: u64, limit: usize) -> Option<(Vec<Row>, Rest)> {
    let limit = limit.max(1);
    if let Outcome::Complete(complete) = &progress.outcome {
        let rows = complete.index.rows();
        let from = rows.partition_point(|row| row.id.get() <= last);
        let rest = if rows.len() - from <= limit {
            Rest::Nothing
        } else {
            Rest::Maybe
        };
        return Some((rows[from..].iter().take(limit).copied().collect(), rest));
    }
    let first = progress
        .stretches
        .range(..=last)
        .next_back()
        .map_or(0, |(after, _)| *after);
    let mut found = Vec::new();
    for stretch in progress.stretches.range(first..).map(|(_, stretch)| stretch) {
        let from = stretch.rows.partition_point(|row| row.id.get() <= last);
        found.extend(stretch.rows[from..].iter().take(limit - found.len()));
        if !stretch.done || found.len() == limit {
            break;
        }
    }
    (!found.is_empty()).then_some((found, Rest::Maybe))
}
