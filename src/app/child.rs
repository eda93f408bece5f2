//! The connector served to the runner that started this process.
//!
//! Invariant: once the runner's line was understood, only the runner and signals end the process. A runner whose child ends before it serves
//! waits forever; so what is wrong with the tenant, its credentials or the state directory is an answer, of Validate first of all.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::async_trait;

use super::baselines::KeptBaselines;
use super::changes::{self, Changes};
use super::risk_assess::{Following, Serving};
use super::tenant::{self, Composed, Parts};
use super::signals;
use crate::config::{ChangeSettings, ChildSettings};
use crate::connector::{Connector, ConnectorConfig};
use crate::model::change::{Change, Order, Outcome, Plan, WriteTenant};
use crate::model::fault::Fault;
use crate::model::tenant::{ReadTenant, Tenant, Usage};
use crate::server::{Adopted, Runner};

/// How long calls under way may take after the runner is gone: a child is to end within two seconds. An interrupted change is repaired from the
/// journal by the next process.
const GRACE: Duration = Duration::from_secs(1);

pub(super) async fn run(settings: ChildSettings) -> Result<(), Fault> {
    let stop = signals::cancelled_by_signal()?;
    let mut runner = Runner::at(io::stdin())?;
    let line = tokio::select! {
        line = runner.line() => line?,
        () = stop.cancelled() => return Ok(()),
    };
    let adopted = Adopted::new(&line, settings.socket)?;
    let Served {
        connector,
        beside,
        writes,
        _parts,
    } = compose(&settings).await;
    let bound = adopted.serving(Arc::new(connector))?;
    tracing::info!(
        address = %bound.local_addr(),
        provisioning = settings.changes.is_some(),
        "serving the runner that started this process"
    );
    let end = CancellationToken::new();
    let work = async {
        let served = bound.run(end.clone()).await;
        if let Some(beside) = beside {
            beside.end().await;
        }
        if let Some(writes) = writes {
            writes.end().await;
        }
        served
    };
    let ended = async {
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
        () = ended => {
            tracing::warn!("the runner is gone: cutting off what still runs");
            Ok(())
        }
    }
}
