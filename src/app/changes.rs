//! The engine of changes, composed over a tenant: the right to write, the journal, recovery beside the work, and a last wait at the end.
//!
//! Invariant: what writes holds the lock of the state directory for as long as it may write, its recovery included.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::tenant::Parts;
use crate::config::ChangeSettings;
use crate::model::fault::{Fault, FaultKind};
use crate::provision::{Provision, ProvisionConfig};
use crate::state::{State, WriterLock};

/// How long changes under way may take after the program was told to stop. What is left then, recovery goes on with at the next start.
const DRAIN: Duration = Duration::from_secs(20);

/// Changes are made, and interrupted ones repaired, for as long as this lives.
pub(super) struct Changes {
    pub(super) engine: Arc<Provision>,
    recovery: JoinHandle<()>,
    stop: CancellationToken,
    _right: WriterLock,
}

impl Changes {
    /// Takes the right to write, forgets what is older than the journal keeps, and starts recovery.
    pub(super) fn begin(parts: &Parts, settings: &ChangeSettings) -> Result<Self, Fault> {
        let state = state_of(parts)?;
        let right = state.lock_writer()?;
        prune(state, settings.journal_retention)?;
        let engine = engine(parts, state, settings);
        let stop = CancellationToken::new();
        Ok(Self {
            recovery: engine.spawn_recovery(stop.clone()),
            engine,
            stop,
            _right: right,
        })
    }

    /// Takes no new change and waits for those under way, within a bound.
    pub(super) async fn end(self) {
        self.stop.cancel();
        let all = async {
            self.engine.drain(DRAIN).await;
            // It never panics with an entry in hand that the journal does not have.
            let _ = self.recovery.await;
        };
        if tokio::time::timeout(DRAIN, all).await.is_err() {
            tracing::warn!("stopped during recovery; it goes on at the next start");
        }
    }
}

/// An engine that is only asked for plans: it needs no right to write.
pub(super) fn rehearsed(parts: &Parts, settings: &ChangeSettings) -> Result<Arc<Provision>, Fault> {
    Ok(engine(parts, state_of(parts)?, settings))
}

fn engine(parts: &Parts, state: &Arc<State>, settings: &ChangeSettings) -> Arc<Provision> {
    Provision::new(
        parts.coupa.clone(),
        parts.coupa.clone(),
        state.clone(),
        settings.policy.clone(),
        ProvisionConfig::default(),
    )
}

fn state_of(parts: &Parts) -> Result<&Arc<State>, Fault> {
    parts.state.as_ref().ok_or_else(|| {
        Fault::new(
            FaultKind::Refused,
            "changes need a state directory that lasts, for the journal that repairs what is interrupted",
        )
        .advise("name a directory that this user can write to with --state-dir")
    })
}

fn prune(state: &State, keep: Duration) -> Result<(), Fault> {
    use crate::model::journal::Journal as _;
    // Older than time itself: nothing is.
    let Ok(before) = jiff::Timestamp::now().checked_sub(keep) else {
        return Ok(());
    };
    let gone = state.prune(before)?;
    if gone > 0 {
        tracing::info!(entries = gone, "forgot what the journal kept long enough");
    }
    Ok(())
}
