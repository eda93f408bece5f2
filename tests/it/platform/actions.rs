//! Actions and events as tasks.

use std::collections::BTreeMap;

use baton_coupa::proto::connector as c1;
use baton_coupa::proto::platform::task::{
    ActionGetSchemaTask, ActionListSchemasTask, ListEventFeedsTask, ListEventsTask, TaskType,
};
use prost_types::{Struct, Value, value};
use tonic::Code;

use super::fake::Retry;
use super::scene::Scene;
use super::task::Task;

fn on_user(id: u64) -> Struct {
    let text = |text: &str| Value {
        kind: Some(value::Kind::StringValue(text.to_owned())),
    };
    let id = BTreeMap::from([
        ("resource_type_id".to_owned(), text("user")),
        ("resource_id".to_owned(), text(&id.to_string())),
    ]);
    let id = Value {
        kind: Some(value::Kind::StructValue(Struct { fields: id })),
    };
    Struct {
        fields: BTreeMap::from([("user_id".to_owned(), id)]),
    }
}

fn get_schema(name: &str) -> Task {
    Task::new(TaskType::ActionGetSchema(ActionGetSchemaTask {
        name: name.to_owned(),
        ..ActionGetSchemaTask::default()
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_are_listed_and_shown() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&["-p"]).await;
    let list = |kind: &str| {
        Task::new(TaskType::ActionListSchemas(ActionListSchemasTask {
            resource_type_id: kind.to_owned(),
            ..ActionListSchemasTask::default()
        }))
    };
    for (kind, some) in [("", true), ("user", true), ("role", false)] {
        let listed: c1::ListActionSchemasResponse = scene.done(list(kind)).await.response();
        let names: Vec<_> = listed.schemas.iter().map(|schema| schema.name.as_str()).collect();
        assert_eq!(names.contains(&"disable_user"), some, "{kind:?}: {names:?}");
    }
    let shown: c1::GetActionSchemaResponse = scene.done(get_schema("disable_user")).await.response();
    assert_eq!(shown.schema.unwrap().name, "disable_user");
    scene
        .done(get_schema("dance"))
        .await
        .assert_error(Code::NotFound, Retry::Yes, &[]);
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_is_invoked_and_asked_about_until_it_ends() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&["-p"]).await;
    let user = scene.people()[0].id;
    // Long enough that the first answer finds it under way.
    scene.sandbox.pause(baton_coupa::sandbox::PausePoint::Before(
        baton_coupa::sandbox::Matching {
            method: Some("PUT".to_owned()),
            ..Default::default()
        },
    ));
    let invoked: c1::InvokeActionResponse = scene
        .done(Task::action("disable_user", on_user(user)))
        .await
        .response();
    assert!(
        invoked.status() == c1::BatonActionStatus::Running
            || invoked.status() == c1::BatonActionStatus::Pending
    );
    assert!(!invoked.id.is_empty());
    let status = |id: &str| Task::action_status("disable_user", id);
    let running: c1::GetActionStatusResponse = scene.done(status(&invoked.id)).await.response();
    assert!(running.status() != c1::BatonActionStatus::Complete && scene.user(user).active);
    scene.sandbox.resume();
    loop {
        let now: c1::GetActionStatusResponse = scene.done(status(&invoked.id)).await.response();
        match now.status() {
            c1::BatonActionStatus::Complete => break,
            c1::BatonActionStatus::Running | c1::BatonActionStatus::Pending => {}
            other => panic!("{}", other.as_str_name()),
        }
    }
    assert!(!scene.user(user).active);
    scene
        .done(status("2wPbMEhC9cN9k9PqEV2sBUbUuu7"))
        .await
        .assert_error(Code::NotFound, Retry::Yes, &[]);
    scene
        .done(Task::action("dance", on_user(user)))
        .await
        .assert_error(Code::NotFound, Retry::Yes, &[]);
    let strange = Task::action("disable_user", Struct::default());
    scene
        .done(strange)
        .await
        .assert_error(Code::InvalidArgument, Retry::Yes, &["user_id"]);
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_without_provisioning_changes_nothing() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&[]).await;
    let user = scene.people()[0].id;
    let finish = scene.done(Task::action("disable_user", on_user(user))).await;
    assert!(!finish.is_success());
    assert!(scene.user(user).active);
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn event_feeds_are_an_empty_list_and_an_unknown_feed_ends_the_task() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&[]).await;
    let feeds = Task::new(TaskType::ListEventFeeds(ListEventFeedsTask::default()));
    let listed: c1::ListEventFeedsResponse = scene.done(feeds).await.response();
    assert!(listed.list.is_empty());
    // The Go program only logs this; a task that was claimed is finished here.
    let events = Task::new(TaskType::ListEvents(ListEventsTask {
        event_feed_id: "pizza".to_owned(),
        page_size: 10,
        ..ListEventsTask::default()
    }));
    assert!(!scene.done(events).await.is_success());
    scene.end(daemon).await;
}
