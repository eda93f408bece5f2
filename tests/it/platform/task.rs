//! Tasks as the platform hands them out.

use std::sync::atomic::{AtomicU64, Ordering};

use baton_coupa::proto::connector as c1;
use baton_coupa::proto::platform as wire;
use prost::{Message as _, Name as _};
use wire::task::TaskType;

/// A task, encoded: some are of types that our messages do not know.
#[derive(Clone)]
pub struct Task {
    pub id: String,
    pub bytes: Vec<u8>,
    pub kind: Kind,
}

/// How a task ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// By a Hello with its id.
    Hello,
    /// By an upload and a success without response.
    Sync,
    /// By a success with a response of this type.
    Answered(&'static str),
    /// Only by an error.
    Refused,
    /// Not at all: there is nothing to do.
    Nothing,
}

const GRANT: &str = "type.googleapis.com/c1.connector.v2.GrantManagerServiceGrantResponse";
const REVOKE: &str = "type.googleapis.com/c1.connector.v2.GrantManagerServiceRevokeResponse";
const CREATE_ACCOUNT: &str = "type.googleapis.com/c1.connector.v2.CreateAccountResponse";
const DELETE_RESOURCE: &str = "type.googleapis.com/c1.connector.v2.DeleteResourceResponse";
const ACTION_SCHEMAS: &str = "type.googleapis.com/c1.connector.v2.ListActionSchemasResponse";
const ACTION_SCHEMA: &str = "type.googleapis.com/c1.connector.v2.GetActionSchemaResponse";
const INVOKE: &str = "type.googleapis.com/c1.connector.v2.InvokeActionResponse";
const ACTION_STATUS: &str = "type.googleapis.com/c1.connector.v2.GetActionStatusResponse";
const EVENT_FEEDS: &str = "type.googleapis.com/c1.connector.v2.ListEventFeedsResponse";
const EVENTS: &str = "type.googleapis.com/c1.connector.v2.ListEventsResponse";

/// 27 letters and digits that no other task of this process has. Letters at the end: numbers of employees are looked for in logs.
pub fn fresh_id() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    let letter = |place: u32| char::from(b'a' + u8::try_from(number / 26_u64.pow(place) % 26).unwrap());
    format!(
        "2wPbMEhCxcNxkxPqEVxs{}",
        (0..7).rev().map(letter).collect::<String>()
    )
}

impl Task {
    /// A task of this type.
    pub fn new(work: TaskType) -> Self {
        let kind = kind(&work);
        let id = fresh_id();
        let task = wire::Task {
            id: id.clone(),
            task_type: Some(work),
            ..wire::Task::default()
        };
        Self {
            id,
            bytes: task.encode_to_vec(),
            kind,
        }
    }

    /// A task of a type that came after ours: field `number`, a message.
    pub fn unheard_of(number: u32) -> Self {
        let id = fresh_id();
        let mut bytes = wire::Task {
            id: id.clone(),
            ..wire::Task::default()
        }
        .encode_to_vec();
        prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut bytes);
        prost::encoding::encode_varint(0, &mut bytes);
        Self {
            id,
            bytes,
            kind: Kind::Refused,
        }
    }

    pub fn hello() -> Self {
        Self::new(TaskType::Hello(wire::task::HelloTask::default()))
    }

    pub fn sync() -> Self {
        Self::sync_with(wire::task::SyncFullTask::default())
    }

    pub fn sync_with(options: wire::task::SyncFullTask) -> Self {
        Self::new(TaskType::SyncFull(options))
    }

    /// The grant of an entitlement `type:id:slug` to a user.
    pub fn grant(entitlement: &str, user: u64) -> Self {
        Self::new(TaskType::Grant(wire::task::GrantTask {
            entitlement: Some(entitled(entitlement)),
            principal: Some(resource("user", &user.to_string())),
            ..wire::task::GrantTask::default()
        }))
    }

    pub fn revoke(entitlement: &str, user: u64) -> Self {
        Self::new(TaskType::Revoke(wire::task::RevokeTask {
            grant: Some(c1::Grant {
                id: format!("{entitlement}:user:{user}"),
                entitlement: Some(entitled(entitlement)),
                principal: Some(resource("user", &user.to_string())),
                ..c1::Grant::default()
            }),
            ..wire::task::RevokeTask::default()
        }))
    }

    pub fn delete(kind: &str, id: &str) -> Self {
        Self::new(TaskType::DeleteResource(wire::task::DeleteResourceTask {
            resource_id: resource(kind, id).id,
            ..wire::task::DeleteResourceTask::default()
        }))
    }

    pub fn action(name: &str, arguments: prost_types::Struct) -> Self {
        Self::new(TaskType::ActionInvoke(wire::task::ActionInvokeTask {
            name: name.to_owned(),
            args: Some(arguments),
            ..wire::task::ActionInvokeTask::default()
        }))
    }

    pub fn action_status(name: &str, id: &str) -> Self {
        Self::new(TaskType::ActionStatus(wire::task::ActionStatusTask {
            name: name.to_owned(),
            id: id.to_owned(),
            ..wire::task::ActionStatusTask::default()
        }))
    }
}

fn kind(work: &TaskType) -> Kind {
    match work {
        TaskType::Hello(_) => Kind::Hello,
        TaskType::SyncFull(_) => Kind::Sync,
        TaskType::Grant(_) => Kind::Answered(GRANT),
        TaskType::Revoke(_) => Kind::Answered(REVOKE),
        TaskType::CreateAccount(_) => Kind::Answered(CREATE_ACCOUNT),
        TaskType::DeleteResource(_) => Kind::Answered(DELETE_RESOURCE),
        TaskType::ActionListSchemas(_) => Kind::Answered(ACTION_SCHEMAS),
        TaskType::ActionGetSchema(_) => Kind::Answered(ACTION_SCHEMA),
        TaskType::ActionInvoke(_) => Kind::Answered(INVOKE),
        TaskType::ActionStatus(_) => Kind::Answered(ACTION_STATUS),
        TaskType::ListEventFeeds(_) => Kind::Answered(EVENT_FEEDS),
        TaskType::ListEvents(_) => Kind::Answered(EVENTS),
        TaskType::None(_) => Kind::Nothing,
        TaskType::CreateResource(_)
        | TaskType::RotateCredentials(_)
        | TaskType::IssueCredential(_)
        | TaskType::EventFeed(_)
        | TaskType::CreateTicketTask(_)
        | TaskType::ListTicketSchemas(_)
        | TaskType::GetTicket(_)
        | TaskType::BulkCreateTickets(_)
        | TaskType::BulkGetTickets(_)
        | TaskType::CreateSyncDiff(_)
        | TaskType::CompactSyncs(_) => Kind::Refused,
    }
}

/// A resource known by its id alone.
pub fn resource(kind: &str, id: &str) -> c1::Resource {
    let id = c1::ResourceId {
        resource_type: kind.to_owned(),
        resource: id.to_owned(),
        ..c1::ResourceId::default()
    };
    c1::Resource {
        id: Some(id),
        ..c1::Resource::default()
    }
}

fn entitled(entitlement: &str) -> c1::Entitlement {
    let (kind, rest) = entitlement.split_once(':').unwrap();
    let (id, _) = rest.rsplit_once(':').unwrap();
    c1::Entitlement {
        id: entitlement.to_owned(),
        resource: Some(resource(kind, id)),
        ..c1::Entitlement::default()
    }
}

#[test]
fn the_types_of_answers_are_those_of_the_protocol() {
    for (ours, wire) in [
        (GRANT, c1::GrantManagerServiceGrantResponse::type_url()),
        (REVOKE, c1::GrantManagerServiceRevokeResponse::type_url()),
        (CREATE_ACCOUNT, c1::CreateAccountResponse::type_url()),
        (DELETE_RESOURCE, c1::DeleteResourceResponse::type_url()),
        (ACTION_SCHEMAS, c1::ListActionSchemasResponse::type_url()),
        (ACTION_SCHEMA, c1::GetActionSchemaResponse::type_url()),
        (INVOKE, c1::InvokeActionResponse::type_url()),
        (ACTION_STATUS, c1::GetActionStatusResponse::type_url()),
        (EVENT_FEEDS, c1::ListEventFeedsResponse::type_url()),
        (EVENTS, c1::ListEventsResponse::type_url()),
    ] {
        assert_eq!(ours, wire);
    }
}
