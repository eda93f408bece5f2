//! Changes as tasks: seen in the tenant's truth and in the answer, also while a sync runs, and refused where nobody allowed them.

use baton_coupa::proto::connector as c1;
use baton_coupa::proto::connector::create_account_response::Result as Created;
use baton_coupa::proto::platform::task::{
    CreateAccountTask, CreateResourceTask, RotateCredentialsTask, TaskType,
};
use baton_coupa::proto::{annotation, is};
use prost_types::{Struct, Value, value};
use tonic::Code;

use super::fake::{Event, Retry};
use super::scene::Scene;
use super::task::{Task, resource};
use crate::support::reader;
use crate::support::truth::{DEFAULT_CLASSES, assert_equal};

#[tokio::test(flavor = "multi_thread")]
async fn grant_and_revoke_are_done_while_a_sync_runs() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&["-p"]).await;
    let sync = scene.held_sync().await;
    let people = scene.people();
    let (gaining, losing) = (people[0].id, people[1].id);
    let gained = scene.other_role(&people[0]);
    let lost = format!("role:{}:member", people[1].roles[0]);

    let grant = scene.done(Task::grant(&gained, gaining)).await;
    let response: c1::GrantManagerServiceGrantResponse = grant.response();
    assert_eq!(response.grants[0].id, format!("{gained}:user:{gaining}"));
    assert!(grant.annotations() == response.annotations);
    assert!(scene.holds(gaining, &gained));

    let revoke = scene.done(Task::revoke(&lost, losing)).await;
    let response: c1::GrantManagerServiceRevokeResponse = revoke.response();
    assert!(revoke.annotations() == response.annotations);
    assert!(!response.annotations.iter().any(is::<c1::GrantAlreadyRevoked>));
    assert!(!scene.holds(losing, &lost));

    let log = scene.platform.log();
    let ended = |id: &str| {
        log.iter()
            .any(|entry| matches!(&entry.event, Event::Finished { task, .. } if task == id))
    };
    assert!(!ended(&sync.id), "the sync was still running");
    scene.sandbox.resume();
    scene.finished(&sync.id).await.success();
    // What was changed meanwhile is neither lost nor doubled.
    assert_equal(
        &reader::read(&scene.uploaded(&sync.id)),
        &scene.sandbox.truth(),
        &DEFAULT_CLASSES,
    );
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_so_already_is_a_success_that_says_so() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&["-p"]).await;
    let user = &scene.people()[0];
    let held = format!("role:{}:member", user.roles[0]);
    let lacked = scene.other_role(user);
    let writes = scene.writes();
    let grant = scene.done(Task::grant(&held, user.id)).await;
    assert!(grant.annotations().iter().any(is::<c1::GrantAlreadyExists>));
    let revoke = scene.done(Task::revoke(&lacked, user.id)).await;
    assert!(revoke.annotations().iter().any(is::<c1::GrantAlreadyRevoked>));
    assert_eq!(scene.writes(), writes);
    scene.end(daemon).await;
}

fn text(text: &str) -> Value {
    Value {
        kind: Some(value::Kind::StringValue(text.to_owned())),
    }
}

fn account(login: &str) -> Task {
    let email = format!("{login}@corp.example");
    let fields = [
        ("login", login),
        ("email", email.as_str()),
        ("first_name", "Nadja"),
        ("last_name", "Newcomer"),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), text(value)));
    Task::new(TaskType::CreateAccount(CreateAccountTask {
        account_info: Some(c1::AccountInfo {
            emails: vec![c1::account_info::Email {
                address: email,
                is_primary: true,
            }],
            login: login.to_owned(),
            profile: Some(Struct {
                fields: fields.into(),
            }),
            ..c1::AccountInfo::default()
        }),
        resource_type_id: "user".to_owned(),
        ..CreateAccountTask::default()
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_made_and_found_again() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&["-p"]).await;
    let before = scene.sandbox.truth().users.len();
    let response: c1::CreateAccountResponse = scene.done(account("nadja.newcomer")).await.response();
    let Some(Created::Success(success)) = response.result else {
        panic!("no success")
    };
    let id = success.resource.unwrap().id.unwrap();
    assert_eq!(id.resource_type, "user");
    let made = scene.user(id.resource.parse().unwrap());
    assert_eq!((made.login.as_str(), made.active), ("nadja.newcomer", true));

    let again: c1::CreateAccountResponse = scene.done(account("nadja.newcomer")).await.response();
    let Some(Created::AlreadyExists(found)) = again.result else {
        panic!("not found again")
    };
    assert_eq!(found.resource.unwrap().id.unwrap().resource, id.resource);
    assert_eq!(scene.sandbox.truth().users.len(), before + 1);
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_to_be_deleted_is_deactivated() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&["-p"]).await;
    let user = scene.people()[0].id;
    let _: c1::DeleteResourceResponse = scene
        .done(Task::delete("user", &user.to_string()))
        .await
        .response();
    assert!(!scene.user(user).active);
    let finish = scene.done(Task::delete("role", "1")).await;
    finish.assert_error(Code::Unimplemented, Retry::No, &[]);
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_provisioning_nothing_is_changed_and_nothing_tried_again() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&[]).await;
    let user = &scene.people()[0];
    let role = scene.other_role(user);
    let tasks = [
        Task::grant(&role, user.id),
        Task::revoke(&format!("role:{}:member", user.roles[0]), user.id),
        account("nadja.newcomer"),
        Task::delete("user", &user.id.to_string()),
        Task::new(TaskType::CreateResource(CreateResourceTask {
            resource: Some(resource("role", "9")),
        })),
        Task::new(TaskType::RotateCredentials(RotateCredentialsTask {
            resource_id: resource("user", &user.id.to_string()).id,
            ..RotateCredentialsTask::default()
        })),
    ];
    let truth = scene.sandbox.truth();
    for task in tasks {
        let finish = scene.done(task).await;
        finish.assert_error(
            Code::FailedPrecondition,
            Retry::No,
            &["provisioning is not enabled"],
        );
    }
    assert_eq!(scene.writes(), 0);
    assert!(scene.sandbox.truth() == truth);
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_says_no_in_the_way_the_platform_reads() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&["-p"]).await;
    let truth = scene.sandbox.truth();
    let user = scene.people()[0].id;
    let closed = truth.groups.iter().find(|group| !group.active).unwrap().id;
    let finish = scene
        .done(Task::grant(&format!("group:{closed}:member"), user))
        .await;
    finish.assert_error(Code::FailedPrecondition, Retry::No, &[]);
    let info: error_info::ErrorInfo = annotation(&finish.status().details).unwrap();
    assert_eq!(info.reason, "grant_cancelled");
    assert_eq!(info.domain, "github.com/conductorone/baton-sdk");
    assert!(!info.metadata["reason"].is_empty());
    scene.end(daemon).await;
}

/// `google.rpc.ErrorInfo`, written down once more.
mod error_info {
    use std::collections::HashMap;

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ErrorInfo {
        #[prost(string, tag = "1")]
        pub reason: String,
        #[prost(string, tag = "2")]
        pub domain: String,
        #[prost(map = "string, string", tag = "3")]
        pub metadata: HashMap<String, String>,
    }

    impl prost::Name for ErrorInfo {
        const NAME: &'static str = "ErrorInfo";
        const PACKAGE: &'static str = "google.rpc";
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_there_is_told_and_not_tried_again() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&["-p"]).await;
    let user = &scene.people()[0];
    let role = scene.other_role(user);
    scene
        .done(Task::grant(&role, 999_999_999))
        .await
        .assert_error(Code::NotFound, Retry::No, &[]);
    scene
        .done(Task::grant("role:999999999:member", user.id))
        .await
        .assert_error(Code::NotFound, Retry::No, &[]);
    scene
        .done(Task::grant("pizza:1:member", user.id))
        .await
        .assert_error(Code::Unimplemented, Retry::No, &[]);
    // Without principal and entitlement: nothing that anybody could do.
    let empty = Task::new(TaskType::Grant(
        baton_coupa::proto::platform::task::GrantTask::default(),
    ));
    scene
        .done(empty)
        .await
        .assert_error(Code::InvalidArgument, Retry::No, &["malformed grant task"]);
    assert_eq!(scene.writes(), 0);
    scene.end(daemon).await;
}
