//! What a task asks for, decided from its message alone.
//!
//! Invariant: pure; every arm of the protocol ends in work, in a refusal with a reason, or in nothing to do, and none in silence.

use std::fmt;
use std::str::FromStr;

use crate::model::fault::{Fault, FaultKind};
use crate::proto::connector as c1;
use crate::proto::platform::Task;
use crate::proto::platform::task::{SyncFullTask, TaskType};

use super::finish::{Failure, Retry};

/// Letters and digits of a task id (the platform's own rule: `^[a-zA-Z0-9]{27}$`).
const ID_LENGTH: usize = 27;

/// Name of a task at the platform.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TaskId(String);

/// The text is no task id, and nothing can be reported about such a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotATaskId;

impl TaskId {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TaskId {
    type Err = NotATaskId;

    fn from_str(text: &str) -> Result<Self, NotATaskId> {
        let plain = text.len() == ID_LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if plain {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotATaskId)
        }
    }
}

/// A task that is ours now.
pub(super) struct Claimed {
    pub(super) id: TaskId,
    /// The protocol's name of its type, for the log.
    pub(super) kind: &'static str,
    /// What to do, or why it is not done.
    pub(super) work: Result<Work, Failure>,
}

/// What to do.
pub(super) enum Work {
    /// Introduce the connector again.
    Hello,
    /// Read the tenant and deliver the file.
    Sync(SyncFullTask),
    /// Ask the connector one thing.
    Call(Box<Call>),
}

/// One call of the connector.
pub(super) enum Call {
    Grant(c1::GrantManagerServiceGrantRequest),
    Revoke(c1::GrantManagerServiceRevokeRequest),
    CreateAccount(c1::CreateAccountRequest),
    CreateResource(c1::CreateResourceRequest),
    DeleteResource(c1::DeleteResourceRequest),
    RotateCredential(c1::RotateCredentialRequest),
    IssueCredential(c1::IssueCredentialRequest),
    ListActionSchemas(c1::ListActionSchemasRequest),
    GetActionSchema(c1::GetActionSchemaRequest),
    InvokeAction(c1::InvokeActionRequest),
    GetActionStatus(c1::GetActionStatusRequest),
    ListEventFeeds,
    ListEvents,
}

impl Call {
    /// Whether the platform may hand the task out again after the connector failed (baton-sdk: pkg/tasks/c1api). A failed change is for
    /// a person; and there will be no event feed next time either.
    pub(super) const fn retry(&self) -> Retry {
        match self {
            Self::Grant(_)
            | Self::Revoke(_)
            | Self::CreateAccount(_)
            | Self::CreateResource(_)
            | Self::DeleteResource(_)
            | Self::RotateCredential(_)
            | Self::IssueCredential(_)
            | Self::ListEvents => Retry::Pointless,
            Self::ListActionSchemas(_)
            | Self::GetActionSchema(_)
            | Self::InvokeAction(_)
            | Self::GetActionStatus(_)
            | Self::ListEventFeeds => Retry::Allowed,
        }
    }
}

/// What `task` asks for; `None` if for nothing.
pub(super) fn classify(task: Task) -> Result<Option<Claimed>, NotATaskId> {
    let Task { id, task_type, .. } = task;
    if let Some(TaskType::None(_)) = task_type {
        return Ok(None);
    }
    let id: TaskId = id.parse()?;
    let (kind, work) = match task_type {
        Some(asked) => (name(&asked), work(&id, asked)),
        None => ("unknown", Err(unknown())),
    };
    Ok(Some(Claimed { id, kind, work }))
}

/// The protocol's name of the task's type.
const fn name(asked: &TaskType) -> &'static str {
    match asked {
        TaskType::None(_) => "none",
        TaskType::Hello(_) => "hello",
        TaskType::SyncFull(_) => "sync_full",
        TaskType::Grant(_) => "grant",
        TaskType::Revoke(_) => "revoke",
        TaskType::CreateAccount(_) => "create_account",
        TaskType::CreateResource(_) => "create_resource",
        TaskType::DeleteResource(_) => "delete_resource",
        TaskType::RotateCredentials(_) => "rotate_credentials",
        TaskType::EventFeed(_) => "event_feed",
        TaskType::CreateTicketTask(_) => "create_ticket_task",
        TaskType::ListTicketSchemas(_) => "list_ticket_schemas",
        TaskType::GetTicket(_) => "get_ticket",
        TaskType::BulkCreateTickets(_) => "bulk_create_tickets",
        TaskType::BulkGetTickets(_) => "bulk_get_tickets",
        TaskType::ActionListSchemas(_) => "action_list_schemas",
        TaskType::ActionGetSchema(_) => "action_get_schema",
        TaskType::ActionInvoke(_) => "action_invoke",
        TaskType::ActionStatus(_) => "action_status",
        TaskType::CreateSyncDiff(_) => "create_sync_diff",
        TaskType::CompactSyncs(_) => "compact_syncs",
        TaskType::ListEventFeeds(_) => "list_event_feeds",
        TaskType::ListEvents(_) => "list_events",
        TaskType::IssueCredential(_) => "issue_credential",
    }
}

fn work(id: &TaskId, asked: TaskType) -> Result<Work, Failure> {
    let call = match asked {
        // Withdrawn by the ecosystem, which says so in these words.
        TaskType::None(_) | TaskType::EventFeed(_) => return Err(unknown()),
        TaskType::Hello(_) => return Ok(Work::Hello),
        TaskType::SyncFull(asked) => return Ok(Work::Sync(asked)),
        TaskType::Grant(asked) => Call::Grant(c1::GrantManagerServiceGrantRequest {
            entitlement: Some(asked.entitlement.ok_or_else(|| malformed("grant"))?),
            principal: Some(asked.principal.ok_or_else(|| malformed("grant"))?),
            ..Default::default()
        }),
        TaskType::Revoke(asked) => Call::Revoke(c1::GrantManagerServiceRevokeRequest {
            grant: Some(asked.grant.ok_or_else(|| malformed("revoke"))?),
            ..Default::default()
        }),
        TaskType::CreateAccount(asked) => Call::CreateAccount(c1::CreateAccountRequest {
            account_info: Some(asked.account_info.ok_or_else(|| malformed("create account"))?),
            credential_options: asked.credential_options,
            encryption_configs: asked.encryption_configs,
            resource_type_id: asked.resource_type_id,
        }),
        TaskType::CreateResource(asked) => Call::CreateResource(c1::CreateResourceRequest {
            resource: Some(asked.resource.ok_or_else(|| malformed("create resource"))?),
        }),
        TaskType::DeleteResource(asked) => Call::DeleteResource(c1::DeleteResourceRequest {
            resource_id: Some(asked.resource_id.ok_or_else(|| malformed("delete resource"))?),
            parent_resource_id: asked.parent_resource_id,
        }),
        TaskType::RotateCredentials(asked) => Call::RotateCredential(c1::RotateCredentialRequest {
            resource_id: Some(asked.resource_id.ok_or_else(|| malformed("rotate credentials"))?),
            credential_options: asked.credential_options,
            encryption_configs: asked.encryption_configs,
        }),
        TaskType::IssueCredential(asked) => Call::IssueCredential(c1::IssueCredentialRequest {
            identity_id: Some(asked.identity_id.ok_or_else(|| malformed("issue credential"))?),
            credential_options: asked.credential_options,
            encryption_configs: asked.encryption_configs,
            request_id: id.as_str().to_owned(),
            expires_at: asked.expires_at,
        }),
        TaskType::ActionListSchemas(asked) => Call::ListActionSchemas(c1::ListActionSchemasRequest {
            annotations: asked.annotations,
            resource_type_id: asked.resource_type_id,
        }),
        TaskType::ActionGetSchema(asked) => Call::GetActionSchema(c1::GetActionSchemaRequest {
            name: named(asked.name, "action get schema")?,
            annotations: asked.annotations,
        }),
        TaskType::ActionInvoke(asked) => Call::InvokeAction(c1::InvokeActionRequest {
            name: named(asked.name, "action invoke")?,
            args: asked.args,
            annotations: asked.annotations,
            resource_type_id: asked.resource_type_id,
            ..Default::default()
        }),
        TaskType::ActionStatus(asked) => Call::GetActionStatus(c1::GetActionStatusRequest {
            id: named(asked.id, "action status")?,
            annotations: asked.annotations,
            ..Default::default()
        }),
        TaskType::ListEventFeeds(_) => Call::ListEventFeeds,
        TaskType::ListEvents(_) => Call::ListEvents,
        TaskType::CreateTicketTask(_)
        | TaskType::ListTicketSchemas(_)
        | TaskType::GetTicket(_)
        | TaskType::BulkCreateTickets(_)
        | TaskType::BulkGetTickets(_) => {
            return Err(unsupported(
                "Coupa has no tickets to offer; ticketing is not supported",
            ));
        }
        TaskType::CreateSyncDiff(_) => {
            return Err(unsupported(
                "this connector makes no diff of sync runs; it keeps none between tasks",
            ));
        }
        TaskType::CompactSyncs(_) => {
            return Err(unsupported(
                "this connector does not compact sync files; it keeps none between tasks",
            ));
        }
    };
    Ok(Work::Call(Box::new(call)))
}

fn named(name: String, task: &'static str) -> Result<String, Failure> {
    if name.is_empty() {
        Err(malformed(task))
    } else {
        Ok(name)
    }
}

pub(super) fn malformed(task: &str) -> Failure {
    Failure {
        fault: Fault::invalid(format!("malformed {task} task")),
        retry: Retry::Pointless,
    }
}

/// Not by this connector. Marked as baton-sdk marks it: the platform deals with such tasks of every connector alike.
fn unsupported(reason: &'static str) -> Failure {
    Failure::passing(Fault::new(FaultKind::Unsupported, reason))
}

/// Not by any connector of this version.
fn unknown() -> Failure {
    Failure::passing(Fault::new(FaultKind::Unknown, "unsupported task type"))
}
