//! One change, or one question about changes, and its end: nothing on stdout, except the plan of a dry run.

use tokio_util::sync::CancellationToken;

use super::{changes, print, signals, sync, tenant};
use crate::cli;
use crate::config::OneShotSettings;
use crate::model::fault::Fault;
use crate::oneshot::{self, Provisioner, Rehearsal, SyncFile, Task};

pub(super) async fn run(settings: OneShotSettings) -> Result<(), Fault> {
    let stop = signals::cancelled_by_signal()?;
    if settings.task.is_change() {
        return Err(changes::not_composed());
    }
    let files = sync::file_settings(&settings.tenant)?;
    let composed = tenant::compose(&settings.tenant, |_| None).await?;
    let file = SyncFile {
        path: settings.file,
        tenant: composed.key.clone(),
        settings: files,
    };
    perform(&*composed.connector, None, &settings.task, &file, &stop).await
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
