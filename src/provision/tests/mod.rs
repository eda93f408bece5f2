//! Changes against a tenant in memory, on a clock that stands still unless somebody waits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accounts;
mod cases;
pub(crate) mod disk;
mod matrix;
mod model;
mod recovery;
pub(crate) mod tenant;
pub(crate) mod world;

use std::sync::Arc;
use std::time::Duration;

use super::fake::{Fake, MemJournal, Readings};
use super::{Exception, Policy, Provision, ProvisionConfig, Recover};
use crate::model::access::Item;
use crate::model::change::{Change, ListKind, Order, Outcome, Via, WriteTenant};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::UserId;
use crate::model::journal::{Ending, Entry, Stage};
use crate::model::tenant::User;

/// One process over one tenant and one journal.
pub(super) struct Bench {
    pub(super) fake: Fake,
    pub(super) journal: Arc<MemJournal>,
    pub(super) provision: Arc<Provision>,
    policy: Policy,
    pub(super) config: ProvisionConfig,
}

impl Bench {
    pub(super) fn new(users: Vec<User>, readings: Readings) -> Self {
        Self::with(users, readings, Policy::default())
    }

    pub(super) fn allowing(users: Vec<User>, readings: Readings, allow: &[Exception]) -> Self {
        let allow = allow.iter().copied().collect();
        Self::with(users, readings, Policy { allow })
    }

    fn with(users: Vec<User>, readings: Readings, policy: Policy) -> Self {
        let (fake, journal) = (Fake::new(users, readings), MemJournal::new());
        let config = ProvisionConfig::default();
        let provision = start(&fake, &journal, &policy, &config);
        Self {
            fake,
            journal,
            provision,
            policy,
            config,
        }
    }

    /// The process ends where it is, and another begins.
    pub(super) fn restart(&mut self) {
        self.journal = self.journal.restart();
        self.provision = start(&self.fake, &self.journal, &self.policy, &self.config);
    }

    /// Makes a change; `None` if the process crashed and was started again.
    pub(super) async fn apply(
        &mut self,
        request: Option<&str>,
        change: &Change,
    ) -> Option<Result<Outcome, Fault>> {
        let order = order(request);
        let crashed = Arc::clone(&self.fake.crashed);
        let provision = Arc::clone(&self.provision);
        let answer = tokio::select! {
            answer = provision.apply(&order, change) => Some(answer),
            () = crashed.notified() => None,
        };
        if answer.is_none() {
            // The last handle: everything under way ends with it.
            drop(provision);
            self.restart();
        }
        answer
    }

    /// The answer to a change during which nothing crashes.
    pub(super) async fn ask(&mut self, change: &Change) -> Result<Outcome, Fault> {
        self.apply(None, change).await.expect("no crash is planned")
    }

    pub(super) async fn recover(&mut self) -> bool {
        let crashed = Arc::clone(&self.fake.crashed);
        let provision = Arc::clone(&self.provision);
        let whole = tokio::select! {
            done = provision.recover(Recover::All) => { done.unwrap(); true }
            () = crashed.notified() => false,
        };
        if !whole {
            drop(provision);
            self.restart();
        }
        whole
    }

    /// The tenant and the disk work again, what was under way has come to its end, and recovery has gone round.
    pub(super) async fn heal(&mut self) {
        self.fake.plan([]);
        self.journal.fail([]);
        self.fake.calm().await;
        for _ in 0..3 {
            assert!(self.recover().await);
            self.fake.calm().await;
        }
    }

    pub(super) fn endings(&self) -> Vec<Ending> {
        self.journal.all().iter().filter_map(ending).collect()
    }

    pub(super) fn writes(&self) -> usize {
        self.fake.world().sent.len()
    }
}

fn start(
    fake: &Fake,
    journal: &Arc<MemJournal>,
    policy: &Policy,
    config: &ProvisionConfig,
) -> Arc<Provision> {
    let tenant = Arc::new(fake.clone());
    Provision::new(
        Arc::clone(&tenant) as _,
        tenant,
        Arc::clone(journal) as _,
        policy.clone(),
        config.clone(),
    )
}

pub(super) fn order(request: Option<&str>) -> Order {
    Order {
        request: request.map(|text| text.parse().unwrap()),
        via: Via::Grpc,
    }
}

pub(super) fn ending(entry: &Entry) -> Option<Ending> {
    match &entry.stage {
        Stage::Closed(closing) => Some(closing.ending),
        _ => None,
    }
}

pub(super) const fn grant(user: UserId, item: Item) -> Change {
    Change::Grant { user, item }
}

pub(super) const fn revoke(user: UserId, item: Item) -> Change {
    Change::Revoke { user, item }
}

pub(super) fn kind(result: &Result<Outcome, Fault>) -> FaultKind {
    result.as_ref().unwrap_err().kind().clone()
}

/// Runs a test on a clock of its own that stands still unless everybody waits.
pub(super) fn on_paused_clock(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(test);
}

pub(super) const LONG: Duration = Duration::from_mins(10);
pub(super) const LISTS: [ListKind; 2] = ListKind::ALL;
