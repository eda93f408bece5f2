//! The engine of changes, composed over a tenant: the right to write, the journal, recovery and housekeeping beside the work, and a last
//! wait at the end.
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

/// How often what is kept is looked through for what is old enough to be forgotten: a daemon runs for months.
const HOUSEKEEPING: Duration = Duration::from_hours(24);

/// Changes are made, and interrupted ones repaired, for as long as this lives.
pub(super) struct Changes {
    pub(super) engine: Arc<Provision>,
    recovery: JoinHandle<()>,
    housekeeping: JoinHandle<()>,
    stop: CancellationToken,
    _right: WriterLock,
}

impl Changes {
    /// Takes the right to write, and starts recovery and housekeeping.
    pub(super) fn begin(parts: &Parts, settings: &ChangeSettings) -> Result<Self, Fault> {
        let state = state_of(parts)?;
        let right = state.lock_writer()?;
        let engine = engine(parts, state, settings);
        let stop = CancellationToken::new();
        Ok(Self {
            recovery: engine.spawn_recovery(stop.clone()),
            housekeeping: tokio::spawn(keep_house(
                Arc::clone(state),
                settings.journal_retention,
                stop.clone(),
            )),
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
            // It holds nothing that a panic could lose.
            let _ = self.housekeeping.await;
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

/// Forgets, now and once a day, what was kept long enough.
async fn keep_house(state: Arc<State>, keep: Duration, stop: CancellationToken) {
    loop {
        let kept = Arc::clone(&state);
        let pruned = tokio::task::spawn_blocking(move || prune(&kept, keep)).await;
        match pruned {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => tracing::warn!(?fault, "what was kept long enough could not be forgotten"),
            Err(error) => tracing::warn!(%error, "housekeeping broke off"),
        }
        if stop
            .run_until_cancelled(tokio::time::sleep(HOUSEKEEPING))
            .await
            .is_none()
        {
            return;
        }
    }
}

fn prune(state: &State, keep: Duration) -> Result<(), Fault> {
    use crate::model::journal::Journal as _;
    // Older than time itself: nothing is.
    let Ok(before) = jiff::Timestamp::now().checked_sub(keep) else {
        return Ok(());
    };
    let (entries, parcels) = (state.prune(before)?, state.prune_parcels(before)?);
    if entries > 0 || parcels > 0 {
        tracing::info!(entries, parcels, "forgot what was kept long enough");
    }
    Ok(())
}
