//! Changes by a process that must live on while another one has the right to make them: a runner's child beside another runner's, or beside a child
//! that is about to end.
//!
//! Invariant: nothing is written and nothing delivered without the right; it is asked for at the start and, until it is there, by every change.
//! Reading, checks and plans need no right.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::changes;
use super::composition::{AtWork, Followed};
use super::tenant::Parts;
use crate::config::ChangeSettings;
use crate::model::change::{Change, Order, Outcome, Plan, WriteTenant};
use crate::model::fault::Fault;
use crate::provision::Provision;

/// Changes as soon as nobody else makes any.
pub(super) struct InTurn {
    parts: Parts,
    settings: ChangeSettings,
    following: Followed,
    /// Asked for what needs no right.
    planner: Arc<Provision>,
    held: Mutex<Held>,
}

enum Held {
    NotYet,
    Now(AtWork),
    Ended,
}

impl InTurn {
    /// Takes the right to write if it is free; tells if it is not.
    pub(super) async fn begin(
        parts: &Parts,
        settings: &ChangeSettings,
        following: Followed,
    ) -> Result<Arc<Self>, Fault> {
        let this = Self {
            parts: parts.clone(),
            settings: settings.clone(),
            following,
            planner: changes::rehearsed(parts, settings)?,
            held: Mutex::new(Held::NotYet),
        };
        if let Err(fault) = this.engine().await {
            tracing::warn!(
                ?fault,
                "serving reads; each change asks for the right to write again"
            );
        }
        Ok(Arc::new(this))
    }

    async fn engine(&self) -> Result<Arc<Provision>, Fault> {
        let mut held = self.held.lock().await;
        match &*held {
            Held::Now(work) => Ok(work.engine()),
            Held::NotYet => {
                let work = AtWork::begin(&self.parts, &self.settings, &self.following)?;
                let engine = work.engine();
                *held = Held::Now(work);
                Ok(engine)
            }
            Held::Ended => Err(Fault::unavailable(
                "the connector is stopping; nothing was changed",
            )),
        }
    }

    /// Takes no new change and waits for those under way, within a bound.
    pub(super) async fn end(&self) {
        let held = std::mem::replace(&mut *self.held.lock().await, Held::Ended);
        if let Held::Now(work) = held {
            work.end().await;
        }
    }
}

#[async_trait]
impl WriteTenant for InTurn {
    async fn check(&self) -> Result<(), Fault> {
        self.planner.check().await
    }

    async fn apply(&self, order: &Order, change: &Change) -> Result<Outcome, Fault> {
        self.engine().await?.apply(order, change).await
    }

    async fn plan(&self, change: &Change) -> Result<Plan, Fault> {
        self.planner.plan(change).await
    }
}
