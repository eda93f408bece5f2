//! One change, or one question about changes, and its end: nothing on stdout, except the plan of a dry run.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::changes::{self, Changes};
use super::{journal, print, signals, sync, tenant};
use crate::cli;
use crate::config::{OneShotMode, OneShotSettings};
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
    let (task, connector) = (&settings.task, composed.connector);
    if !task.is_change() {
        return perform(&connector, None, task, &file, &stop).await;
    }
    match settings.mode {
        OneShotMode::DryRun => {
            let engine = changes::rehearsed(&composed.parts, &settings.changes)?;
            let rehearsal = Arc::new(Rehearsal::new(engine));
            let connector = connector.with_writes(rehearsal.clone());
            perform(&connector, Some(&*rehearsal), task, &file, &stop).await
        }
        OneShotMode::Apply => {
            let changes = Changes::begin(&composed.parts, &settings.changes)?;
            let connector = connector.with_writes(changes.engine.clone());
            let outcome = async {
                // A change of the same account would have to be refused otherwise.
                journal::recover_all(&changes.engine).await?;
                perform(&connector, None, task, &file, &stop).await
            };
            let outcome = outcome.await;
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
