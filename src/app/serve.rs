//! `serve`: the connector over gRPC until a signal comes.

use std::sync::Arc;

use super::changes::Changes;
use super::risk_assess::Following;
use super::{signals, tenant};
use crate::config::ServeSettings;
use crate::model::change::WriteTenant;
use crate::model::fault::Fault;
use crate::server::Server;

pub(super) async fn run(settings: ServeSettings) -> Result<(), Fault> {
    let stop = signals::cancelled_by_signal()?;
    let mut composed = tenant::compose(&settings.tenant, |_| None).await?;
    let changes = match &settings.changes {
        Some(wanted) => Some(Changes::begin(&composed.parts, wanted)?),
        None => None,
    };
    let following = Following::over(&composed.parts, &settings.risk_assess)?.map(Arc::new);
    if let Some(following) = &following {
        composed.connector = composed.connector.with_downstream(following.downstream.clone());
    }
    let mut beside = None;
    if let Some(changes) = &changes {
        let mut writes: Arc<dyn WriteTenant> = changes.engine.clone();
        if let Some(following) = following {
            writes = following.around(writes);
            beside = Some(following.serve(settings.risk_assess.interval));
        }
        composed.connector = composed.connector.with_writes(writes);
    }
    let bound = Server::bind(settings.server, Arc::new(composed.connector)).await?;
    tracing::info!(
        address = %bound.local_addr(),
        health = bound.health_addr().map(tracing::field::display),
        provisioning = changes.is_some(),
        "serving c1.connector.v2"
    );
    let served = bound.run(stop).await;
    if let Some(beside) = beside {
        beside.end().await;
    }
    if let Some(changes) = changes {
        changes.end().await;
    }
    served
}
