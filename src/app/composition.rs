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

use super::changes::Changes;
use super::risk_assess::{Following, Serving};
use super::tenant::{self, Composed, Kept};
use super::turn::InTurn;
use crate::config::{ChangeSettings, RiskAssessSettings, TenantSettings};
use crate::connector::Connector;
use crate::model::change::WriteTenant;
use crate::model::fault::Fault;

/// A connector, what works beside it, and what must live as long as it does.
pub(super) struct Composition {
    pub(super) connector: Arc<Connector>,
    /// Name under which state and files of this tenant are kept.
    pub(super) key: String,
    changes: Option<Making>,
    beside: Option<Serving>,
    _kept: Kept,
}

/// How changes are made.
enum Making {
    /// With the right to write, from the start.
    Now(Changes),
    /// As soon as nobody else has that right.
    InTurn(Arc<InTurn>),
}

impl Making {
    fn writes(&self) -> Arc<dyn WriteTenant> {
        match self {
            Self::Now(changes) => changes.engine.clone(),
            Self::InTurn(changes) => changes.clone(),
        }
    }

    async fn end(self) {
        match self {
            Self::Now(changes) => changes.end().await,
            Self::InTurn(changes) => changes.end().await,
        }
    }
}

impl Composition {
    /// Opens the state and, where `changes` are made, takes the right to write. Asks Coupa nothing.
    pub(super) async fn begin(
        tenant: &TenantSettings,
        changes: Option<&ChangeSettings>,
        risk_assess: &RiskAssessSettings,
    ) -> Result<Self, Fault> {
        let composed = tenant::compose(tenant, |_| None).await?;
        let making = match changes {
            Some(wanted) => Some(Making::Now(Changes::begin(&composed.parts, wanted)?)),
            None => None,
        };
        Self::over(composed, making, risk_assess)
    }

    /// The same, but lives on while another process has the right to write: see [`InTurn`].
    pub(super) async fn begin_in_turn(
        tenant: &TenantSettings,
        changes: Option<&ChangeSettings>,
        risk_assess: &RiskAssessSettings,
    ) -> Result<Self, Fault> {
        let composed = tenant::compose(tenant, |_| None).await?;
        let making = match changes {
            Some(wanted) => Some(Making::InTurn(InTurn::begin(&composed.parts, wanted).await?)),
            None => None,
        };
        Self::over(composed, making, risk_assess)
    }

    fn over(
        composed: Composed,
        changes: Option<Making>,
        risk_assess: &RiskAssessSettings,
    ) -> Result<Self, Fault> {
        let following = Following::over(&composed.parts, risk_assess)?.map(Arc::new);
        let mut connector = composed.connector;
        if let Some(following) = &following {
            connector = connector.with_downstream(following.downstream.clone());
        }
        let mut beside = None;
        if let Some(changes) = &changes {
            let mut writes = changes.writes();
            if let Some(following) = following {
                writes = following.around(writes);
                beside = Some(following.serve(risk_assess.interval));
            }
            connector = connector.with_writes(writes);
        }
        Ok(Self {
            connector: Arc::new(connector),
            key: composed.key,
            changes,
            beside,
            _kept: composed.kept,
        })
    }

    /// Whether changes are made.
    pub(super) fn makes_changes(&self) -> bool {
        self.changes.is_some()
    }

    /// Takes no new change and waits for what is under way, within a bound.
    pub(super) async fn end(self) {
        let beside = async {
            if let Some(beside) = self.beside {
                beside.end().await;
            }
        };
        let changes = async {
            if let Some(changes) = self.changes {
                changes.end().await;
            }
        };
        tokio::join!(beside, changes);
    }
}
