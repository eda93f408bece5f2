//! One change (or one question about changes) per run of the command line, named by what a sync file holds.
//!
//! ```text
//! task ─► rows of the last sync ─► one request ─► Provisioner (the connector) ─► tenant
//!                                                     └─ with a Rehearsal below it: plans instead of changes
//! ```
//!
//! Invariants: the file is only read, and may be older than the tenant: the connector decides by what the tenant shows now. A run makes
//! at most one change. Nothing is printed here; what a task names stays out of logs and faults.

mod action;
mod object;
mod provisioner;
mod rehearsal;
mod request;
mod task;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

pub use self::provisioner::Provisioner;
pub use self::rehearsal::Rehearsal;
pub use self::task::{Account, Action, ResourceName, Task};
use crate::c1z::{self, LastSync};
use crate::model::change::{Order, Via};
use crate::model::fault::{Fault, FaultKind};
use crate::proto::connector as c1;
use crate::proto::connector::create_account_response::Result as Created;
use crate::proto::is;
use crate::proto::json::{JsonError, to_value};

/// The sync file that a task's names are looked up in.
#[derive(Debug, Clone)]
pub struct SyncFile {
    /// Where it is.
    pub path: PathBuf,
    /// Key of the tenant that the change is for; a sync of another one is refused.
    pub tenant: String,
    /// How it is opened.
    pub settings: c1z::Settings,
}

/// Does what `task` asks for. When `stop` fires, no more is waited for; a change that has begun goes on in the tenant's own task.
///
/// Faults carry the ecosystem's words in front: `runner: error processing task`.
pub async fn run(
    provisioner: &dyn Provisioner,
    task: &Task,
    file: &SyncFile,
    stop: &CancellationToken,
) -> Result<(), Fault> {
    let outcome = tokio::select! {
        biased;
        () = stop.cancelled() => Err(Fault::new(FaultKind::Cancelled, "the task was called off")),
        outcome = process(provisioner, task, file) => outcome,
    };
    outcome.map_err(|fault| fault.context("runner: error processing task"))
}

async fn process(provisioner: &dyn Provisioner, task: &Task, file: &SyncFile) -> Result<(), Fault> {
    let order = Order {
        request: None,
        via: Via::CommandLine,
    };
    match task {
        Task::Grant {
            entitlement,
            principal,
        } => {
            let (entitlement, principal) = (entitlement.clone(), principal.clone());
            let request = look_up(file, move |last| request::grant(last, &entitlement, &principal)).await?;
            provisioner.grant(&order, &request).await.map(drop)
        }
        Task::Revoke { grant } => {
            let grant = grant.clone();
            let request = look_up(file, move |last| request::revoke(last, &grant)).await?;
            provisioner.revoke(&order, &request).await.map(drop)
        }
        Task::CreateAccount(account) => {
            let response = provisioner
                .create_account(&order, &request::create_account(account))
                .await?;
            told(response.result)
        }
        Task::DeleteResource(resource) => {
            let response = provisioner
                .delete_resource(&order, &request::delete_resource(resource))
                .await?;
            if response.annotations.iter().any(is::<c1::ResourceDoesNotExist>) {
                tracing::warn!(
                    "Coupa has no such account, so there was nothing to deactivate; check the number"
                );
            }
            Ok(())
        }
        Task::InvokeAction(action) => action::invoke(provisioner, &order, action, action::POLL).await,
        Task::ListActionSchemas { resource_type } => {
            let request = c1::ListActionSchemasRequest {
                resource_type_id: resource_type.clone(),
                ..c1::ListActionSchemasRequest::default()
            };
            list(&provisioner.list_action_schemas(&request).await?.schemas)
        }
    }
}

/// Reads the file away from the threads that wait for the network.
async fn look_up<T: Send + 'static>(
    file: &SyncFile,
    find: impl FnOnce(&LastSync) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let SyncFile {
        path,
        tenant,
        settings,
    } = file.clone();
    tokio::task::spawn_blocking(move || find(&LastSync::open(&path, &tenant, &settings)?))
        .await
        .map_err(|error| Fault::internal("reading the sync file ended unexpectedly").because(error))?
}

/// What became of an account, for the log: by its number, never by its name.
fn told(result: Option<Created>) -> Result<(), Fault> {
    let number = |resource: Option<c1::Resource>| {
        let id = resource.and_then(|resource| resource.id);
        id.map(|id| id.resource).unwrap_or_default()
    };
    match result {
        Some(Created::Success(made)) => {
            tracing::debug!(resource_id = number(made.resource), "the account exists now");
        }
        Some(Created::AlreadyExists(found)) => {
            tracing::info!(
                resource_id = number(found.resource),
                "the account existed; it was left as it is"
            );
        }
        Some(Created::ActionRequired(open)) => {
            tracing::warn!(
                resource_id = number(open.resource),
                "a person must finish the account in Coupa"
            );
        }
        Some(Created::InProgress(open)) => {
            tracing::info!(
                resource_id = number(open.resource),
                "the account is still being made"
            );
        }
        None => {
            return Err(Fault::internal(
                "the connector does not say what became of the account",
            ));
        }
    }
    Ok(())
}

fn list(schemas: &[c1::BatonActionSchema]) -> Result<(), Fault> {
    let unprintable = |error: JsonError| Fault::internal("cannot print the schemas").because(error);
    let shown: Vec<_> = schemas
        .iter()
        .map(to_value)
        .collect::<Result<_, _>>()
        .map_err(unprintable)?;
    tracing::info!(
        count = schemas.len(),
        schemas = %serde_json::Value::Array(shown),
        "Action Schemas"
    );
    Ok(())
}
