//! One change, or one question about changes, and its end: nothing on stdout, except the plan of a dry run.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::changes::{self, Changes};
use super::risk_assess::Following;
use super::{journal, print, signals, sync, tenant};
use crate::cli;
use crate::config::{OneShotMode, OneShotSettings};
use crate::model::change::WriteTenant;
use crate::model::fault::Fault;
use crate::oneshot::{self, Provisioner, Rehearsal, SyncFile, Task};

pub(super) async fn run(settings: OneShotSettings) -> Result<(), Fault> {
    let stop = signals::cancelled_by_signal()?;
    let files = sync::file_settings(&settings.tenant)?;
    let composed = tenant::compose(&settings.tenant, |_| None).await?;
    let file = SyncFile {
        path: settings.file,
        tenant: composed.key.clone(),
        settings: files,
    };
    let following = Following::over(&composed.parts, &settings.risk_assess)?;
    let (task, mut connector) = (&settings.task, composed.connector);
    if let Some(following) = &following {
        connector = connector.with_downstream(following.downstream.clone());
    }
    let around = |writes: Arc<dyn WriteTenant>| match &following {
        Some(following) => following.around(writes),
        None => writes,
    };
    if !task.is_change() {
        return perform(&connector, None, task, &file, &stop).await;
    }
    match settings.mode {
        OneShotMode::DryRun => {
            let engine = changes::rehearsed(&composed.parts, &settings.changes)?;
            let rehearsal = Arc::new(Rehearsal::new(around(engine)));
            let connector = connector.with_writes(rehearsal.clone());
            perform(&connector, Some(&*rehearsal), task, &file, &stop).await
        }
        OneShotMode::Apply => {
            let changes = Changes::begin(&composed.parts, &settings.changes)?;
            let connector = connector.with_writes(around(changes.engine.clone()));
            let outcome = async {
                // A change of the same account would have to be refused otherwise.
                journal::recover_all(&changes.engine).await?;
                perform(&connector, None, task, &file, &stop).await
            };
            let outcome = outcome.await;
            // While the right to write is ours: two processes must not send one row.
            if let (Ok(()), Some(following)) = (&outcome, &following) {
                deliver(following).await;
            }
            changes.end().await;
            outcome
        }
    }
}

/// Does `task`. With a `rehearsal` below the provisioner, prints what would be done.
async fn perform(
    provisioner: &dyn Provisioner,
    rehearsal: Option<&Rehearsal>,
    task: &Task,
    file: &SyncFile,
    stop: &CancellationToken,
) -> Result<(), Fault> {
    let outcome = oneshot::run(provisioner, task, file, stop).await;
    let Some(rehearsal) = rehearsal else {
        return outcome;
    };
    for plan in rehearsal.plans(outcome)? {
        print(cli::plan::render(&plan).as_bytes())?;
    }
    Ok(())
}

/// Sends on what the change put into the outbox. The change stands whatever comes of this; what is left is sent by the next run.
async fn deliver(following: &Following) {
    if let Some(fault) = following
        .deliver()
        .await
        .and_then(|deliveries| deliveries.stopped)
    {
        tracing::warn!(
            ?fault,
            "not everything was delivered to Risk Assess; `risk-assess sync` goes on with it"
        );
    }
}
