//! Tasks that nobody here can do: each ends with an error that says why.

use baton_coupa::proto::platform::task::{self as wire, TaskType};
use tonic::Code;

use super::fake::Retry;
use super::scene::Scene;
use super::task::{Task, resource};

#[tokio::test(flavor = "multi_thread")]
async fn a_type_of_task_that_nobody_heard_of_is_finished_with_the_ecosystems_words() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&["-p"]).await;
    for task in [
        Task::unheard_of(977),
        Task::unheard_of(124),
        Task::new(TaskType::EventFeed(wire::EventFeedTask::default())),
    ] {
        scene
            .done(task)
            .await
            .assert_error(Code::Unknown, Retry::Yes, &["unsupported task type"]);
    }
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_diffs_and_compaction_are_declined_with_a_reason() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&["-p"]).await;
    for (work, reason) in [
        (
            TaskType::CreateTicketTask(wire::CreateTicketTask::default()),
            "ticket",
        ),
        (
            TaskType::ListTicketSchemas(wire::ListTicketSchemasTask::default()),
            "ticket",
        ),
        (TaskType::GetTicket(wire::GetTicketTask::default()), "ticket"),
        (
            TaskType::BulkCreateTickets(wire::BulkCreateTicketsTask::default()),
            "ticket",
        ),
        (
            TaskType::BulkGetTickets(wire::BulkGetTicketsTask::default()),
            "ticket",
        ),
        (
            TaskType::CreateSyncDiff(wire::CreateSyncDiffTask::default()),
            "diff",
        ),
        (TaskType::CompactSyncs(wire::CompactSyncs::default()), "compact"),
    ] {
        scene
            .done(Task::new(work))
            .await
            .assert_error(Code::Unimplemented, Retry::Yes, &[reason]);
    }
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_coupa_does_not_offer_is_not_tried_again() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&["-p"]).await;
    let user = resource("user", &scene.people()[0].id.to_string());
    for work in [
        TaskType::CreateResource(wire::CreateResourceTask {
            resource: Some(resource("role", "9")),
        }),
        TaskType::RotateCredentials(wire::RotateCredentialsTask {
            resource_id: user.id.clone(),
            ..wire::RotateCredentialsTask::default()
        }),
        TaskType::IssueCredential(wire::IssueCredentialTask {
            identity_id: user.id.clone(),
            ..wire::IssueCredentialTask::default()
        }),
    ] {
        scene
            .done(Task::new(work))
            .await
            .assert_error(Code::Unimplemented, Retry::No, &[]);
    }
    assert_eq!(scene.writes(), 0);
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_for_nothing_is_not_finished() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&[]).await;
    // Not claimed by the platform's count either: there is nothing to do.
    let nothing = Task::new(TaskType::None(wire::NoneTask::default()));
    scene.platform.give(nothing);
    scene.asks(4).await;
    scene.done(Task::sync()).await.success();
    scene.end(daemon).await;
}
