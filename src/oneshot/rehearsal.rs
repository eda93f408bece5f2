//! A dry run: changes are asked for in the same way as always, and planned where they would be made.
//!
//! Invariant: nothing that writes passes through here. The request goes the whole way through the connector, so a plan cannot differ from the
//! change it is for.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::model::change::{Change, Order, Outcome, Plan, WriteTenant};
use crate::model::fault::{Fault, FaultKind};

/// A tenant that plans every change and makes none.
pub struct Rehearsal {
    tenant: Arc<dyn WriteTenant>,
    plans: Mutex<Vec<Plan>>,
}

impl Rehearsal {
    /// Plans the changes of `tenant`.
    pub fn new(tenant: Arc<dyn WriteTenant>) -> Self {
        Self {
            tenant,
            plans: Mutex::new(Vec::new()),
        }
    }

    /// What would be done, given how the rehearsed run ended: every change of it ends as called off, which is no failure if there is a plan.
    pub fn plans(&self, outcome: Result<(), Fault>) -> Result<Vec<Plan>, Fault> {
        let plans = mem::take(&mut *self.plans.lock().unwrap_or_else(PoisonError::into_inner));
        if plans.is_empty() {
            outcome?;
        }
        Ok(plans)
    }
}

#[async_trait]
impl WriteTenant for Rehearsal {
    async fn check(&self) -> Result<(), Fault> {
        self.tenant.check().await
    }

    async fn apply(&self, _order: &Order, change: &Change) -> Result<Outcome, Fault> {
        let plan = self.tenant.plan(change).await?;
        self.plans
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(plan);
        Err(Fault::new(FaultKind::Cancelled, "dry run: nothing was changed"))
    }

    async fn plan(&self, change: &Change) -> Result<Plan, Fault> {
        self.tenant.plan(change).await
    }
}
