//! From settings to a tenant that can be read: the Coupa client, pointed at Coupa or at the embedded sandbox.

use std::num::NonZeroU32;
use std::sync::Arc;

use secrecy::SecretString;

use super::baselines::{KeptBaselines, PreviousFile};
use super::sandbox;
use crate::config::{RiskAssessLogin, Shrink, StateDir, Target, TenantSettings};
use crate::connector::{Connector, ConnectorConfig};
use crate::coupa::{Coupa, CoupaConfig, Endpoint};
use crate::model::fault::Fault;
use crate::model::journal::Journal;
use crate::snapshot::{OnShrink, SnapshotConfig};
use crate::state::State;

/// Requests that Coupa queues beyond its rate (Coupa: burst queue of 20).
const COUPA_BURST: NonZeroU32 = NonZeroU32::new(20).unwrap(); // judged by the compiler

/// A connector, and what must live as long as it does.
pub(super) struct Composed {
    /// Reads only: see [`Connector::with_writes`].
    pub(super) connector: Connector,
    pub(super) parts: Parts,
    /// Name under which state and files of this tenant are kept.
    pub(super) key: String,
    pub(super) kept: Kept,
}

/// What ends when it is dropped.
pub(super) struct Kept {
    /// The embedded tenant.
    _sandbox: Option<crate::sandbox::Running>,
    /// A state directory that goes with the process.
    _temporary: Option<tempfile::TempDir>,
}

/// What the connector reads through, for those who change the same tenant.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) coupa: Arc<Coupa>,
    pub(super) state: Option<Arc<State>>,
    /// The Risk Assess tenant of the embedded sandbox.
    pub(super) risk_assess: Option<RiskAssessLogin>,
}

/// What the target comes to.
pub(super) struct Reached {
    pub(super) config: CoupaConfig,
    pub(super) key: String,
    sandbox: Option<crate::sandbox::Running>,
}

impl Reached {
    /// The Risk Assess tenant of the embedded sandbox.
    pub(super) fn risk_assess(&self) -> Option<RiskAssessLogin> {
        self.sandbox.as_ref().map(|running| RiskAssessLogin {
            url: Some(running.risk_assess_url()),
            username: running.risk_assess_username().to_owned(),
            password: running.risk_assess_password().into(),
        })
    }
}

/// Builds the connector. `previous` makes the previous file of that tenant, for the truncation guard.
pub(super) async fn compose(
    settings: &TenantSettings,
    previous: impl FnOnce(&str) -> Option<PreviousFile>,
) -> Result<Composed, Fault> {
    if let Some(dir) = &settings.temp_dir {
        // For every temporary file of the process; fails only where it was set before, and a process composes one tenant.
        let _ = tempfile::env::override_temp_dir(dir);
    }
    let reached = reach(settings).await?;
    let risk_assess = reached.risk_assess();
    let Reached { config, key, sandbox } = reached;
    let (place, temporary) = place(&settings.state_dir)?;
    let state = open_state(&place, &key, &config.client_id)?.map(Arc::new);
    let coupa = Arc::new(Coupa::new(config)?);
    let journal = state.clone().map(|state| state as Arc<dyn Journal>);
    let baselines = Arc::new(KeptBaselines::new(state.clone(), previous(&key)));
    let connector = Connector::new(coupa.clone(), baselines, journal, connector_config(settings));
    Ok(Composed {
        connector,
        parts: Parts {
            coupa,
            state,
            risk_assess,
        },
        key,
        kept: Kept {
            _sandbox: sandbox,
            _temporary: temporary,
        },
    })
}

/// The tenant's client, as the settings want it; starts the embedded sandbox where that is the tenant.
pub(super) async fn reach(settings: &TenantSettings) -> Result<Reached, Fault> {
    let mut reached = reach_target(&settings.target).await?;
    let config = &mut reached.config;
    config.requests_per_second = settings.requests_per_second;
    config.burst = settings.requests_per_second.min(COUPA_BURST);
    config.max_in_flight = settings.max_in_flight;
    if let Some(timeout) = settings.http_timeout {
        config.timeouts.request = timeout;
    }
    Ok(reached)
}

async fn reach_target(target: &Target) -> Result<Reached, Fault> {
    match target {
        Target::Coupa(target) => {
            let endpoint = target.endpoint.clone();
            let key = endpoint.host().to_owned();
            let config = CoupaConfig::new(endpoint, target.client_id.clone(), target.client_secret.clone());
            Ok(Reached {
                config,
                key,
                sandbox: None,
            })
        }
        Target::Sandbox(dials) => {
            let running = sandbox::embed(dials).await?;
            let endpoint = Endpoint::from_base_url(&running.base_url())
                .map_err(|error| Fault::internal("the sandbox has an unusable address").because(error))?;
            let secret = SecretString::from(running.client_secret());
            let config = CoupaConfig::new(endpoint, running.client_id().to_owned(), secret);
            Ok(Reached {
                config,
                key: sandbox::key(dials),
                sandbox: Some(running),
            })
        }
    }
}

/// Where state is kept, and what ends it where it is not to last.
fn place(wanted: &StateDir) -> Result<(StateDir, Option<tempfile::TempDir>), Fault> {
    if *wanted != StateDir::Temporary {
        return Ok((wanted.clone(), None));
    }
    let made = tempfile::Builder::new().prefix("baton-coupa-state-").tempdir();
    let dir = made.map_err(|error| {
        Fault::internal("cannot make a temporary state directory")
            .because(error)
            .advise("choose another place with --c1z-temp-dir")
    })?;
    Ok((StateDir::Named(dir.path().to_owned()), Some(dir)))
}

/// The state of this tenant. Reading works without any; what is lost then is said.
fn open_state(place: &StateDir, key: &str, client_id: &str) -> Result<Option<State>, Fault> {
    const WITHOUT: &str = "no state directory: only the previous file of a sync keeps sizes between runs; set --state-dir to keep them";
    match place {
        StateDir::Named(dir) => State::open(dir, key, client_id).map(Some),
        StateDir::PerUser(dir) => match State::open(dir, key, client_id) {
            // Nobody asked for this place and nothing was ever kept there: a home that cannot be written to is no reason to stop.
            Err(fault) if !dir.exists() => {
                tracing::warn!(error = ?fault, "{WITHOUT}");
                Ok(None)
            }
            opened => opened.map(Some),
        },
        StateDir::Temporary | StateDir::Nowhere => {
            tracing::warn!("{WITHOUT}");
            Ok(None)
        }
    }
}

fn connector_config(settings: &TenantSettings) -> ConnectorConfig {
    let defaults = SnapshotConfig::default();
    let (max_loss_percent, on_shrink) = match settings.shrink {
        Shrink::StopBeyond(percent) => (percent, OnShrink::Refuse),
        Shrink::Accept => (defaults.max_loss_percent, OnShrink::Accept),
    };
    let snapshot = SnapshotConfig {
        classes: settings.account_classes.iter().copied().collect(),
        max_loss_percent,
        on_shrink,
        readers: usize::try_from(settings.max_in_flight.get()).unwrap_or(defaults.readers),
        ..defaults
    };
    ConnectorConfig {
        snapshot,
        ..ConnectorConfig::default()
    }
}
