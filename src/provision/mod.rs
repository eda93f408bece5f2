//! Changes of a tenant made safe: one at a time per account, decided on a fresh read, journalled before anything is sent, read back,
//! and repaired if they fail half-way.
//!
//! ```text
//! apply ─► locks ─► fresh ─► policy ─► journal ─► lists, flags, accounts ─► read back ─► finish
//!                                                   └► clear ─► restore                    │ left open
//!                                                                    recovery ◄─ recover ◄─┘
//! ```
//!
//! Pure: `decide` (sets), `policy` (refusals), `recover` (what an open entry has come to), `steps` (texts of the journal).
//!
//! Invariants: nothing is lost that was not asked for, whatever fails; success is told only after it was read back; an entry is closed only
//! when no request of ours can take effect any more, or its effect was seen; until then the account is not changed again.

mod accounts;
mod apply;
mod clear;
mod config;
mod decide;
mod engine;
#[cfg(test)]
pub(crate) mod fake;
mod finish;
mod flags;
mod fresh;
mod guard;
mod ledger;
mod lists;
mod locks;
mod patience;
mod plan;
mod policy;
mod recover;
mod recovery;
mod restore;
mod run;
mod steps;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::model::change::{Change, Order, Outcome, Plan, WriteCalls, WriteTenant};
use crate::model::fault::Fault;
use crate::model::journal::Journal;
use crate::model::tenant::Tenant;

use engine::Engine;

pub use config::ProvisionConfig;
pub use policy::{Exception, Policy};
pub use recovery::{ByHand, Recover, Recovered, RecoveredState};

/// A tenant whose changes are proved and repaired. Changes run in tasks of their own: a caller that goes away stops none of them.
/// Dropping it without [`Provision::drain`] stops them where they are, as a crash would; their entries stay open.
pub struct Provision {
    engine: Arc<Engine>,
    /// `None` once no new change is taken.
    running: Mutex<Option<JoinSet<()>>>,
}

impl Provision {
    /// Changes through `calls`, proved by what `tenant` shows, recorded in `journal`.
    pub fn new(
        tenant: Arc<dyn Tenant>,
        calls: Arc<dyn WriteCalls>,
        journal: Arc<dyn Journal>,
        policy: Policy,
        config: ProvisionConfig,
    ) -> Arc<Self> {
        Arc::new(Self {
            engine: Arc::new(Engine::new(tenant, calls, journal, policy, config)),
            running: Mutex::new(Some(JoinSet::new())),
        })
    }

    /// Goes on with entries that were left open, until `stop`. Blocks nothing: changes of other accounts are served meanwhile.
    pub fn spawn_recovery(self: &Arc<Self>, stop: CancellationToken) -> JoinHandle<()> {
        tokio::spawn(Arc::clone(&self.engine).recover_forever(stop))
    }

    /// Goes on with open entries now, and tells how each stands.
    pub async fn recover(&self, which: Recover) -> Result<Vec<Recovered>, Fault> {
        self.engine.recover(which).await
    }

    /// Takes no new change and waits for those under way, `within` bounds. What is not done then is left to recovery.
    pub async fn drain(&self, within: Duration) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut running) = running else { return };
        let all = async { while running.join_next().await.is_some() {} };
        if timeout(within, all).await.is_err() {
            let left = running.len();
            tracing::warn!(left, "stopped with changes under way; recovery goes on with them");
        }
    }

    /// Runs work in a task that the caller cannot stop.
    async fn detached(
        &self,
        work: impl Future<Output = Result<Outcome, Fault>> + Send + 'static,
    ) -> Result<Outcome, Fault> {
        let (answer, answered) = oneshot::channel();
        {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(running) = running.as_mut() else {
                return Err(Fault::unavailable(
                    "the connector is stopping; nothing was changed",
                ));
            };
            while running.try_join_next().is_some() {}
            running.spawn(async move {
                // Nobody may be left to hear it; the journal has it.
                let _ = answer.send(work.await);
            });
        }
        answered.await.unwrap_or_else(|_| {
            Err(Fault::unavailable(
                "the connector stopped during the change; the journal tells how far it came",
            ))
        })
    }
}

#[async_trait]
impl WriteTenant for Provision {
    async fn check(&self) -> Result<(), Fault> {
        self.engine.calls.check().await
    }

    async fn apply(&self, order: &Order, change: &Change) -> Result<Outcome, Fault> {
        let engine = Arc::clone(&self.engine);
        let (order, change) = (order.clone(), change.clone());
        self.detached(async move { engine.apply(&order, &change).await })
            .await
    }

    async fn plan(&self, change: &Change) -> Result<Plan, Fault> {
        self.engine.plan(change).await
    }
}
