//! The connector served to the runner that started this process.
//!
//! Invariant: once the runner's line was understood, only the runner and signals end the process. A runner whose child ends before it serves
//! waits forever; so what would end `serve` at its start, a state directory that cannot be used for instance, is here the answer to whatever
//! asks the tenant, Validate first of all. Only the right to write is no such trouble: reads go on, and changes ask for it again.

mod unfit;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::composition::Composition;
use super::signals;
use crate::config::ChildSettings;
use crate::connector::Connector;
use crate::model::fault::Fault;
use crate::server::{Adopted, Runner};

/// How long calls under way may take after the runner is gone: a child is to end within two seconds. An interrupted change is repaired from
/// the journal by the next process.
const GRACE: Duration = Duration::from_secs(1);

pub(super) async fn run(settings: ChildSettings) -> Result<(), Fault> {
    let stop = signals::cancelled_by_signal()?;
    let mut runner = Runner::at(io::stdin())?;
    let line = tokio::select! {
        line = runner.line() => line?,
        () = stop.cancelled() => return Ok(()),
    };
    let adopted = Adopted::new(&line, settings.socket)?;
    let (connector, composed) = compose(&settings).await;
    let bound = adopted.serving(connector)?;
    tracing::info!(
        address = %bound.local_addr(),
        provisioning = settings.changes.is_some(),
        "serving the runner that started this process"
    );
    let end = CancellationToken::new();
    let work = async {
        let served = bound.run(end.clone()).await;
        if let Some(composed) = composed {
            composed.end().await;
        }
        served
    };
    let late = async {
        tokio::select! {
            () = runner.gone() => tracing::info!("the runner is gone"),
            () = stop.cancelled() => {}
        }
        end.cancel();
        runner.gone().await;
        sleep(GRACE).await;
    };
    tokio::select! {
        served = work => served,
        () = late => {
            tracing::warn!("cutting off what still runs {GRACE:?} after the runner is gone");
            Ok(())
        }
    }
}

async fn compose(settings: &ChildSettings) -> (Arc<Connector>, Option<Composition>) {
    let composed =
        Composition::begin_in_turn(&settings.tenant, settings.changes.as_ref(), &settings.risk_assess).await;
    match composed {
        Ok(composed) => (composed.connector.clone(), Some(composed)),
        Err(fault) => {
            tracing::error!(error = ?fault, "the tenant cannot be reached in this setting: every question is answered so");
            let connector = unfit::connector(fault, settings.changes.is_some());
            (Arc::new(connector), None)
        }
    }
}
