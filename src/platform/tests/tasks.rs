//! What tasks ask for: every arm of the protocol.

use super::*;
use crate::platform::finish::Retry;
use crate::platform::task::{Work, classify};
use crate::proto::DESCRIPTORS;

/// Every arm of the protocol, with the least in it that is not malformed.
#[expect(clippy::too_many_lines, reason = "one entry for each arm")]
fn arms() -> Vec<(&'static str, TaskType)> {
    let resource_id = || Some(c1::ResourceId::default());
    vec![
        ("none", TaskType::None(asked::NoneTask::default())),
        ("hello", TaskType::Hello(asked::HelloTask::default())),
        ("sync_full", TaskType::SyncFull(asked::SyncFullTask::default())),
        (
            "grant",
            TaskType::Grant(asked::GrantTask {
                entitlement: Some(c1::Entitlement::default()),
                principal: Some(c1::Resource::default()),
                ..Default::default()
            }),
        ),
        (
            "revoke",
            TaskType::Revoke(asked::RevokeTask {
                grant: Some(c1::Grant::default()),
                ..Default::default()
            }),
        ),
        (
            "create_account",
            TaskType::CreateAccount(asked::CreateAccountTask {
                account_info: Some(c1::AccountInfo::default()),
                ..Default::default()
            }),
        ),
        (
            "create_resource",
            TaskType::CreateResource(asked::CreateResourceTask {
                resource: Some(c1::Resource::default()),
            }),
        ),
        (
            "delete_resource",
            TaskType::DeleteResource(asked::DeleteResourceTask {
                resource_id: resource_id(),
                ..Default::default()
            }),
        ),
        (
            "rotate_credentials",
            TaskType::RotateCredentials(asked::RotateCredentialsTask {
                resource_id: resource_id(),
                ..Default::default()
            }),
        ),
        ("event_feed", TaskType::EventFeed(asked::EventFeedTask {})),
        (
            "create_ticket_task",
            TaskType::CreateTicketTask(asked::CreateTicketTask {}),
        ),
        (
            "list_ticket_schemas",
            TaskType::ListTicketSchemas(asked::ListTicketSchemasTask {}),
        ),
        ("get_ticket", TaskType::GetTicket(asked::GetTicketTask {})),
        (
            "bulk_create_tickets",
            TaskType::BulkCreateTickets(asked::BulkCreateTicketsTask {}),
        ),
        (
            "bulk_get_tickets",
            TaskType::BulkGetTickets(asked::BulkGetTicketsTask {}),
        ),
        (
            "action_list_schemas",
            TaskType::ActionListSchemas(asked::ActionListSchemasTask::default()),
        ),
        (
            "action_get_schema",
            TaskType::ActionGetSchema(asked::ActionGetSchemaTask {
                name: "disable_user".into(),
                ..Default::default()
            }),
        ),
        (
            "action_invoke",
            TaskType::ActionInvoke(asked::ActionInvokeTask {
                name: "disable_user".into(),
                ..Default::default()
            }),
        ),
        (
            "action_status",
            TaskType::ActionStatus(asked::ActionStatusTask {
                id: "x".into(),
                ..Default::default()
            }),
        ),
        (
            "create_sync_diff",
            TaskType::CreateSyncDiff(asked::CreateSyncDiffTask {}),
        ),
        ("compact_syncs", TaskType::CompactSyncs(asked::CompactSyncs {})),
        (
            "list_event_feeds",
            TaskType::ListEventFeeds(asked::ListEventFeedsTask::default()),
        ),
        (
            "list_events",
            TaskType::ListEvents(asked::ListEventsTask::default()),
        ),
        (
            "issue_credential",
            TaskType::IssueCredential(asked::IssueCredentialTask {
                identity_id: resource_id(),
                ..Default::default()
            }),
        ),
    ]
}

/// Names of the arms, from the protocol itself.
fn names() -> Vec<String> {
    let pool = prost_reflect::DescriptorPool::decode(DESCRIPTORS).unwrap();
    let task = pool.get_message_by_name("c1.connectorapi.baton.v1.Task").unwrap();
    let arms = task.oneofs().find(|oneof| oneof.name() == "task_type").unwrap();
    arms.fields().map(|field| field.name().to_owned()).collect()
}

#[test]
fn every_arm_of_the_protocol_ends_in_work_or_in_a_reason() {
    let refused = [
        "create_ticket_task",
        "list_ticket_schemas",
        "get_ticket",
        "bulk_create_tickets",
        "bulk_get_tickets",
        "create_sync_diff",
        "compact_syncs",
    ];
    let tried: Vec<String> = arms().iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(tried, names(), "every arm is tried here");
    for (number, (name, arm)) in arms().into_iter().enumerate() {
        let claimed = classify(task(u32::try_from(number).unwrap(), arm)).unwrap();
        let Some(claimed) = claimed else {
            assert_eq!(name, "none");
            continue;
        };
        assert_eq!(claimed.kind, name);
        match claimed.work {
            Ok(work) => {
                assert!(!refused.contains(&name), "{name}");
                assert_eq!(matches!(work, Work::Hello), name == "hello");
                assert_eq!(matches!(work, Work::Sync(_)), name == "sync_full");
            }
            Err(failure) => {
                let kind = if name == "event_feed" {
                    FaultKind::Unknown
                } else {
                    assert!(refused.contains(&name), "{name}: {:?}", failure.fault);
                    FaultKind::Unsupported
                };
                assert_eq!((failure.fault.kind(), failure.retry), (&kind, Retry::Allowed));
            }
        }
    }
}

#[test]
fn the_document_tells_what_becomes_of_every_arm() {
    let document = include_str!("../../../docs/daemon.md");
    let rows: Vec<&str> = document
        .lines()
        .filter(|line| line.starts_with("| `"))
        .filter_map(|line| line.split('|').nth(1))
        .collect();
    for name in names() {
        let told = rows
            .iter()
            .filter(|row| row.contains(&format!("`{name}`")))
            .count();
        assert_eq!(told, 1, "{name} in docs/daemon.md");
    }
}

#[test]
fn an_arm_that_is_younger_than_us_is_told_and_may_come_again() {
    let younger = Task {
        id: id(1).to_string(),
        ..Task::default()
    };
    let failure = classify(younger).unwrap().unwrap().work.err().unwrap();
    assert_eq!(failure.fault.message(), "unsupported task type");
    assert_eq!(
        (failure.fault.kind(), failure.retry),
        (&FaultKind::Unknown, Retry::Allowed)
    );
}

#[test]
fn a_task_without_what_it_is_about_is_malformed_for_good() {
    for (arm, name) in [
        (TaskType::Grant(asked::GrantTask::default()), "grant"),
        (TaskType::Revoke(asked::RevokeTask::default()), "revoke"),
        (
            TaskType::CreateAccount(asked::CreateAccountTask::default()),
            "create account",
        ),
        (
            TaskType::CreateResource(asked::CreateResourceTask::default()),
            "create resource",
        ),
        (
            TaskType::DeleteResource(asked::DeleteResourceTask::default()),
            "delete resource",
        ),
        (
            TaskType::RotateCredentials(asked::RotateCredentialsTask::default()),
            "rotate credentials",
        ),
        (
            TaskType::IssueCredential(asked::IssueCredentialTask::default()),
            "issue credential",
        ),
        (
            TaskType::ActionGetSchema(asked::ActionGetSchemaTask::default()),
            "action get schema",
        ),
        (
            TaskType::ActionInvoke(asked::ActionInvokeTask::default()),
            "action invoke",
        ),
        (
            TaskType::ActionStatus(asked::ActionStatusTask::default()),
            "action status",
        ),
    ] {
        let failure = classify(task(1, arm)).unwrap().unwrap().work.err().unwrap();
        assert_eq!(failure.fault.message(), format!("malformed {name} task"));
        assert_eq!(failure.retry, Retry::Pointless);
    }
}

#[tokio::test(start_paused = true)]
async fn every_arm_is_finished_and_a_task_without_an_id_stops_nothing() {
    let running = start(Setup::default());
    let arms = arms();
    // `none` and `hello` are not finished.
    let finished = arms.len() - 2;
    let nameless = Task {
        id: "../../etc".into(),
        task_type: Some(TaskType::SyncFull(asked::SyncFullTask::default())),
        ..Task::default()
    };
    let tasks = arms
        .into_iter()
        .filter(|(name, _)| *name != "none")
        .enumerate()
        .map(|(number, (_, arm))| task(u32::try_from(number).unwrap(), arm));
    running.platform.queue(std::iter::once(nameless).chain(tasks));
    running.platform.ended(finished).await;
    assert_eq!(running.platform.unfinished(), ["../../etc"]);
    running.stop.cancel();
    running.daemon.await.unwrap().unwrap();
}
