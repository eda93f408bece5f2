//! `serve`: the connector over gRPC until a signal comes.

use super::composition::Composition;
use super::signals;
use crate::config::ServeSettings;
use crate::model::fault::Fault;
use crate::server::Server;

pub(super) async fn run(settings: ServeSettings) -> Result<(), Fault> {
    let stop = signals::cancelled_by_signal()?;
    let composed =
        Composition::begin(&settings.tenant, settings.changes.as_ref(), &settings.risk_assess).await?;
    let bound = Server::bind(settings.server, composed.connector.clone()).await?;
    tracing::info!(
        address = %bound.local_addr(),
        health = bound.health_addr().map(tracing::field::display),
        provisioning = composed.makes_changes(),
        "serving c1.connector.v2"
    );
    let served = bound.run(stop).await;
    composed.end().await;
    served
}
