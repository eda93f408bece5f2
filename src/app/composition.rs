//! The connector as those get it who ask from outside for as long as the process lives: over gRPC, as a runner's child, as the daemon.
//!
//! ```text
//! tenant ─► connector ◄─ changes (engine, recovery, the right to write)
//!               ▲           ▲
//!               └─ following ┘  accounts behind the Risk Assess license
//! ```
//!
//! Invariant: whoever makes changes does it through the same decorators, and ends them before the process does.

use std::sync::Arc;
use std::time::Duration;

use super::changes::Changes;
use super::risk_assess::{Following, Serving};
use super::tenant::{self, Composed, Kept, Parts};
use super::turn::InTurn;
use crate::config::{ChangeSettings, RiskAssessSettings, TenantSettings};
use crate::connector::Connector;
use crate::model::change::WriteTenant;
use crate::model::fault::Fault;
use crate::provision::Provision;

/// A connector, what works beside it, and what must live as long as it does.
pub(super) struct Composition {
    pub(super) connector: Arc<Connector>,
    /// Name under which state and files of this tenant are kept.
    pub(super) key: String,
    changes: Option<Making>,
    _kept: Kept,
}

/// How changes are made.
enum Making {
    /// With the right to write, from the start.
    Now(AtWork),
    /// As soon as nobody else has that right.
    InTurn(Arc<InTurn>),
}

impl Composition {
    /// Opens the state and, where `changes` are made, takes the right to write. Asks Coupa nothing.
    pub(super) async fn begin(
        tenant: &TenantSettings,
        changes: Option<&ChangeSettings>,
        risk_assess: &RiskAssessSettings,
    ) -> Result<Self, Fault> {
        let composed = tenant::compose(tenant, |_| None).await?;
        let following = Followed::over(&composed.parts, risk_assess)?;
        let making = match changes {
            Some(wanted) => Some(Making::Now(AtWork::begin(&composed.parts, wanted, &following)?)),
            None => None,
        };
        Ok(Self::over(composed, &following, making))
    }

    /// The same, but lives on while another process has the right to write: see [`InTurn`].
    pub(super) async fn begin_in_turn(
        tenant: &TenantSettings,
        changes: Option<&ChangeSettings>,
        risk_assess: &RiskAssessSettings,
    ) -> Result<Self, Fault> {
        let composed = tenant::compose(tenant, |_| None).await?;
        let following = Followed::over(&composed.parts, risk_assess)?;
        let making = match changes {
            Some(wanted) => {
                let turn = InTurn::begin(&composed.parts, wanted, following.clone()).await?;
                Some(Making::InTurn(turn))
            }
            None => None,
        };
        Ok(Self::over(composed, &following, making))
    }

    fn over(composed: Composed, following: &Followed, changes: Option<Making>) -> Self {
        let mut connector = composed.connector;
        if let Some(following) = &following.engine {
            connector = connector.with_downstream(following.downstream.clone());
        }
        if let Some(making) = &changes {
            let writes: Arc<dyn WriteTenant> = match making {
                Making::Now(work) => work.engine(),
                Making::InTurn(turn) => turn.clone(),
            };
            connector = connector.with_writes(match &following.engine {
                Some(following) => following.around(writes),
                None => writes,
            });
        }
        Self {
            connector: Arc::new(connector),
            key: composed.key,
            changes,
            _kept: composed.kept,
        }
    }

    /// Whether changes are made.
    pub(super) fn makes_changes(&self) -> bool {
        self.changes.is_some()
    }

    /// Takes no new change and waits for what is under way, within a bound.
    pub(super) async fn end(self) {
        match self.changes {
            Some(Making::Now(work)) => work.end().await,
            Some(Making::InTurn(turn)) => turn.end().await,
            None => {}
        }
    }
}

/// The engine that follows accounts, and how often it looks by itself.
#[derive(Clone)]
pub(super) struct Followed {
    /// `None` where nothing is kept between runs.
    engine: Option<Arc<Following>>,
    interval: Option<Duration>,
}

impl Followed {
    fn over(parts: &Parts, settings: &RiskAssessSettings) -> Result<Self, Fault> {
        Ok(Self {
            engine: Following::over(parts, settings)?.map(Arc::new),
            interval: settings.interval,
        })
    }
}

/// What only one process of a tenant does: changes, and delivery beside them.
pub(super) struct AtWork {
    changes: Changes,
    beside: Option<Serving>,
}

impl AtWork {
    /// Takes the right to write, and begins.
    pub(super) fn begin(
        parts: &Parts,
        changes: &ChangeSettings,
        following: &Followed,
    ) -> Result<Self, Fault> {
        let changes = Changes::begin(parts, changes)?;
        let serve = |engine: Arc<Following>| engine.serve(following.interval);
        Ok(Self {
            changes,
            beside: following.engine.clone().map(serve),
        })
    }

    /// What makes the changes.
    pub(super) fn engine(&self) -> Arc<Provision> {
        self.changes.engine.clone()
    }

    /// Takes no new change and waits for what is under way, within a bound.
    pub(super) async fn end(self) {
        let beside = async {
            if let Some(beside) = self.beside {
                beside.end().await;
            }
        };
        tokio::join!(beside, self.changes.end());
    }
}
