//! `serve`: the connector over gRPC until a signal comes.

use super::{changes, signals, tenant};
use crate::config::ServeSettings;
use crate::model::fault::Fault;
use crate::server::Server;

pub(super) async fn run(settings: ServeSettings) -> Result<(), Fault> {
    let stop = signals::cancelled_by_signal()?;
    if settings.changes.is_some() {
        return Err(changes::not_composed());
    }
    let composed = tenant::compose(&settings.tenant, |_| None).await?;
    let bound = Server::bind(settings.server, composed.connector.clone()).await?;
    tracing::info!(address = %bound.local_addr(), health = bound.health_addr().map(tracing::field::display), "serving c1.connector.v2");
    bound.run(stop).await
}
