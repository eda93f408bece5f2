//! The daemon, composed: the tenant, the right to write, the health server and the platform.

use std::time::Duration;

use super::composition::Composition;
use super::{signals, sync};
use crate::config::{DaemonSettings, HealthCheckSettings, SyncChoice};
use crate::model::fault::Fault;
use crate::platform::{self, Daemon, SyncDefaults};
use crate::sync::Patience;

/// How long what works beside the tasks may take to end, after the tasks have ended: in all, a daemon ends within the 30 seconds that a
/// container gets.
const DRAIN: Duration = Duration::from_secs(4);

pub(super) async fn run(settings: DaemonSettings) -> Result<(), Fault> {
    let stop = signals::cancelled_by_signal()?;
    let files = sync::file_settings(&settings.tenant)?;
    let composed =
        Composition::begin(&settings.tenant, settings.changes.as_ref(), &settings.risk_assess).await?;
    let syncs = defaults(settings.sync, composed.key.clone(), files);
    let daemon = Daemon::new(settings.platform, composed.connector.clone(), syncs)?;
    let health = match settings.health {
        Some(address) => Some(daemon.health(address).await?),
        None => None,
    };
    tracing::info!(
        health = health
            .as_ref()
            .map(|health| tracing::field::display(health.address())),
        provisioning = composed.makes_changes(),
        "started as a daemon"
    );
    let outcome = daemon.run(&stop).await;
    if tokio::time::timeout(DRAIN, composed.end()).await.is_err() {
        tracing::warn!("stopped while changes were under way; the next start goes on with them");
    }
    outcome
}

fn defaults(choice: SyncChoice, tenant: String, files: crate::c1z::Settings) -> SyncDefaults {
    SyncDefaults {
        tenant,
        scope: choice.scope,
        resource_types: choice.resource_types,
        workers: sync::workers(choice.workers),
        files,
        patience: Patience::default(),
    }
}

/// Asks the daemon that runs beside us.
pub(super) async fn health_check(settings: HealthCheckSettings) -> Result<(), Fault> {
    platform::check(settings.address, &settings.endpoint, settings.timeout).await
}
