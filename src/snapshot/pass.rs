//! One pass over the tenant: survey, roles and groups, every user once, those touched meanwhile again, then the judgements, then the index.
//!
//! Invariant: a pass ends complete and judged, or with a fault; nothing is ever guessed in place of what could not be read.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future;
use jiff::Timestamp;

use super::class::SupplierRoles;
use super::guard::{Counts, describe, refusal, shrinks};
use super::index::Holdings;
use super::live::{Complete, Shared};
use super::report::{ClassCount, Served, SnapshotReport};
use super::spool::Spool;
use super::touched::Touched;
use super::{OnShrink, SnapshotConfig};
use crate::model::access::{Item, ItemKind};
use crate::model::baseline::{Baseline, Baselines, Count};
use crate::model::fault::{Fault, FaultKind};
use crate::model::journal::Journal;
use crate::model::tenant::{AccountClass, Finding, Group, ReadTenant, Role, Tenant};

/// A call that failed for a reason that passes is made again so often, after the tenant's client gave up retrying.
const SECOND_CHANCES: u32 = 2;

/// Longest pause before such a second chance.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// One pass.
pub(crate) struct Pass {
    pub(crate) tenant: Arc<dyn Tenant>,
    pub(crate) baselines: Arc<dyn Baselines>,
    pub(crate) journal: Option<Arc<dyn Journal>>,
    pub(crate) config: SnapshotConfig,
    pub(crate) shared: Arc<Shared>,
}

impl Pass {
    /// Runs the pass and tells its end to those who wait, also if it panics or is dropped on the way.
    pub(crate) async fn run(self) {
        let _end = BrokenOff(Arc::clone(&self.shared));
        let outcome = self.read().await;
        if let Err(fault) = &outcome {
            tracing::warn!(?fault, "the pass over the tenant failed");
        }
        self.shared.end(outcome);
    }

    async fn read(&self) -> Result<Complete, Fault> {
        let touched = Touched::from_now(self.journal.clone(), self.config.mending);
        let reader = self.patiently("survey", || self.tenant.survey()).await?;
        let spool = Arc::new(Spool::create().await?);
        self.shared.start(Arc::clone(&reader), Arc::clone(&spool));
        let reading = Reading {
            pass: self,
            reader: reader.as_ref(),
            spool: &spool,
            touched,
            before: self.last_counts().await?,
            holdings: Mutex::new(Holdings::new(&reader.survey().licenses)),
            findings: Mutex::new(reader.survey().findings.clone()),
        };
        reading.read().await
    }

    /// Makes a call that may fail for a passing reason a few times. Progress made by others in the meantime is kept.
    pub(super) async fn patiently<T, F>(
        &self,
        what: impl fmt::Display,
        mut call: impl FnMut() -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let mut chances = SECOND_CHANCES;
        loop {
            match call().await {
                Err(fault) if fault.is_transient() && chances > 0 => {
                    chances -= 1;
                    tracing::warn!(?fault, %what, "reading the tenant is tried again");
                    tokio::time::sleep(self.pause(&fault)).await;
                }
                outcome => return outcome.map_err(|fault| fault.context(&what)),
            }
        }
    }

    fn pause(&self, fault: &Fault) -> Duration {
        let asked = match fault.kind() {
            FaultKind::RateLimited { until } => until.duration_since(Timestamp::now()).try_into().ok(),
            _ => None,
        };
        asked
            .unwrap_or(Duration::ZERO)
            .max(self.config.pause)
            .min(LONGEST_PAUSE)
    }

    async fn last_counts(&self) -> Result<Counts, Fault> {
        let baselines = Arc::clone(&self.baselines);
        let last = off_thread(move || baselines.last()).await?;
        Ok(last.map(|baseline| baseline.counts).unwrap_or_default())
    }
}

/// Ends a pass that has not ended by itself: nobody waits for a pass that no longer runs. An end told before stays.
struct BrokenOff(Arc<Shared>);

impl Drop for BrokenOff {
    fn drop(&mut self) {
        self.0
            .end(Err(Fault::internal("the pass over the tenant broke off")));
    }
}

/// A pass that has its reader.
pub(super) struct Reading<'a> {
    pub(super) pass: &'a Pass,
    pub(super) reader: &'a dyn ReadTenant,
    pub(super) spool: &'a Spool,
    pub(super) touched: Touched,
    before: Counts,
    pub(super) holdings: Mutex<Holdings>,
    findings: Mutex<Vec<Finding>>,
}

impl Reading<'_> {
    async fn read(self) -> Result<Complete, Fault> {
        let (roles, groups) = future::try_join(
            async {
                let roles = self.roles().await?;
                self.users(&SupplierRoles::among(&roles)).await?;
                Ok(roles)
            },
            self.groups(),
        )
        .await?;
        self.look_for_cuts().await?;
        // After that: a list that is read alone is whole where others are cut, and would hide them.
        self.reread_touched(&SupplierRoles::among(&roles)).await?;
        let (roles, groups) = self.add_strays(roles, groups).await?;
        self.finish(roles, groups).await
    }

    async fn roles(&self) -> Result<Vec<Role>, Fault> {
        let mut roles = self.pass.patiently("roles", || self.reader.roles()).await?;
        roles.sort_by_key(|role| role.id);
        roles.dedup_by_key(|role| role.id);
        self.judge(&Counts::from([(
            Count::Items(ItemKind::Role),
            roles.len() as u64,
        )]))?;
        Ok(roles)
    }

    async fn groups(&self) -> Result<Vec<Group>, Fault> {
        let mut groups = self.pass.patiently("groups", || self.reader.groups()).await?;
        groups.sort_by_key(|group| group.id);
        groups.dedup_by_key(|group| group.id);
        self.judge(&Counts::from([(
            Count::Items(ItemKind::Group),
            groups.len() as u64,
        )]))?;
        Ok(groups)
    }

    async fn finish(self, roles: Vec<Role>, groups: Vec<Group>) -> Result<Complete, Fault> {
        let licenses = self.reader.survey().licenses.clone();
        let users = self.users_by_class();
        let listed = roles
            .iter()
            .map(|role| Item::Role(role.id))
            .chain(groups.iter().map(|group| Item::Group(group.id)))
            .chain(licenses.iter().map(|license| Item::License(license.name.clone())))
            .collect();
        let holdings = std::mem::take(&mut *lock(&self.holdings));
        let rows = self.pass.shared.all_rows();
        let index = off_thread(move || holdings.turn(rows, listed)).await?;
        let mut counts: Counts = users
            .iter()
            .map(|(class, count)| (Count::Users(*class), *count))
            .collect();
        let sizes = [
            (ItemKind::Role, roles.len()),
            (ItemKind::Group, groups.len()),
            (ItemKind::License, licenses.len()),
        ];
        for (kind, size) in sizes {
            counts.insert(Count::Items(kind), size as u64);
            counts.insert(Count::Holdings(kind), index.totals(kind).every_class);
        }
        self.judge(&counts)?;
        self.record(counts).await;
        let report = SnapshotReport {
            users: users
                .into_iter()
                .map(|(class, accounts)| self.class_count(class, accounts))
                .collect(),
            roles: roles.len() as u64,
            groups: groups.len() as u64,
            licenses: licenses
                .iter()
                .map(|license| {
                    (
                        license.name.clone(),
                        index.seats(&Item::License(license.name.clone())),
                    )
                })
                .collect(),
            grants: ItemKind::ALL
                .into_iter()
                .map(|kind| (kind, index.totals(kind).listed))
                .collect(),
            surface: self.reader.survey().surface,
            findings: std::mem::take(&mut *lock(&self.findings)),
        };
        Ok(Complete {
            roles,
            groups,
            licenses,
            index,
            report,
        })
    }

    fn users_by_class(&self) -> Vec<(AccountClass, u64)> {
        let mut counts: HashMap<AccountClass, u64> = HashMap::new();
        for (_, _, class) in lock(&self.holdings).users() {
            *counts.entry(class).or_default() += 1;
        }
        let count = |class| (class, counts.get(&class).copied().unwrap_or(0));
        AccountClass::ALL.into_iter().map(count).collect()
    }

    fn class_count(&self, class: AccountClass, accounts: u64) -> ClassCount {
        let served = if self.pass.config.classes.contains(class) {
            Served::Listed
        } else {
            Served::LeftOut
        };
        ClassCount {
            class,
            accounts,
            served,
        }
    }

    /// The truncation guard.
    fn judge(&self, now: &Counts) -> Result<(), Fault> {
        let shrinks = shrinks(&self.before, now, self.pass.config.max_loss_percent);
        if shrinks.is_empty() {
            return Ok(());
        }
        match self.pass.config.on_shrink {
            OnShrink::Refuse => Err(refusal(&shrinks)),
            OnShrink::Accept => {
                self.find(format!("accepted as asked for: {}", describe(&shrinks)));
                Ok(())
            }
        }
    }

    /// A baseline that cannot be kept is worth a warning: this pass is good without it.
    async fn record(&self, counts: Counts) {
        let baselines = Arc::clone(&self.pass.baselines);
        let baseline = Baseline {
            taken_at: Timestamp::now(),
            counts,
        };
        if let Err(fault) = off_thread(move || baselines.record(&baseline)).await {
            tracing::warn!(?fault, "the sizes of this pass could not be kept");
            self.find("the sizes of this pass could not be kept; the next one is compared with an older one");
        }
    }

    pub(super) fn find(&self, text: impl Into<String>) {
        let text = text.into();
        tracing::warn!("{text}");
        let mut findings = lock(&self.findings);
        if findings.iter().all(|finding| finding.text != text) {
            findings.push(Finding { text });
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) async fn off_thread<T, F>(work: F) -> Result<T, Fault>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Fault> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(Fault::internal("a step of the pass did not end").because(error)),
    }
}
