//! What every change shares: the ports, the bounds, the locks.

use std::sync::Arc;

use tokio::sync::{Notify, OnceCell};

use crate::model::change::WriteCalls;
use crate::model::fault::Fault;
use crate::model::id::UserId;
use crate::model::journal::Journal;
use crate::model::tenant::Tenant;

use super::config::ProvisionConfig;
use super::fresh::Probes;
use super::ledger::Ledger;
use super::locks::Locks;
use super::policy::Policy;

pub(super) struct Engine {
    pub(super) probes: Probes,
    pub(super) calls: Arc<dyn WriteCalls>,
    pub(super) ledger: Ledger,
    pub(super) policy: Policy,
    pub(super) config: ProvisionConfig,
    pub(super) locks: Locks,
    /// Rung when a change leaves an entry open.
    pub(super) wake: Notify,
    own: OnceCell<Option<UserId>>,
}

impl Engine {
    pub(super) fn new(
        tenant: Arc<dyn Tenant>,
        calls: Arc<dyn WriteCalls>,
        journal: Arc<dyn Journal>,
        policy: Policy,
        config: ProvisionConfig,
    ) -> Self {
        Self {
            probes: Probes::new(tenant, config.reader_age),
            calls,
            ledger: Ledger::new(journal),
            policy,
            config,
            locks: Locks::default(),
            wake: Notify::new(),
            own: OnceCell::new(),
        }
    }

    /// The account the connector works as; asked once.
    pub(super) async fn own_account(&self) -> Result<Option<UserId>, Fault> {
        let own = self.own.get_or_try_init(|| self.calls.own_account());
        own.await.copied()
    }
}
