//! Full syncs as tasks: what is uploaded equals the truth, and the options of a task are heeded.

use baton_coupa::proto::platform::task::SyncFullTask;
use tonic::Code;

use super::fake::{Event, Retry};
use super::scene::Scene;
use super::task::{Task, resource};
use crate::support::reader;
use crate::support::truth::{DEFAULT_CLASSES, assert_equal};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_uploaded_equals_the_truth() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&[]).await;
    // Twice: nothing of the first is in the way of the second.
    for _ in 0..2 {
        let task = Task::sync();
        let finish = scene.done(task.clone()).await;
        assert!(finish.success().response.is_none());
        let file = scene.uploaded(&task.id);
        assert_equal(&reader::read(&file), &scene.sandbox.truth(), &DEFAULT_CLASSES);
        let runs = reader::C1z::open(&file).runs();
        let [run] = runs.as_slice() else {
            panic!("a fresh file has one run: {runs:?}")
        };
        assert!(run.kind == "full" && run.ended_at.is_some());
    }
    assert!(
        !scene.folder.path().join("sync.c1z").exists(),
        "the file of one-shot runs is left alone"
    );
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_several_chunks_arrives_whole() {
    let config = baton_coupa::sandbox::SandboxConfig {
        users: 9_000,
        ..super::scene::small()
    };
    let scene = Scene::with(config, super::fake::Client::new()).await;
    let daemon = scene.greeted(&[]).await;
    let task = Task::sync();
    scene.done(task.clone()).await.success();
    let file = scene.uploaded(&task.id);
    let size = std::fs::metadata(&file).unwrap().len();
    assert!(
        size > 3 * (512 << 10),
        "{size} bytes are too few to prove anything"
    );
    assert_equal(&reader::read(&file), &scene.sandbox.truth(), &DEFAULT_CLASSES);
    scene.end(daemon).await;
}

/// Kind of the only run of an uploaded file, and its rows by table.
struct Uploaded {
    kind: String,
    file: reader::C1z,
    run: String,
}

impl Uploaded {
    async fn by(scene: &Scene, options: SyncFullTask) -> Self {
        let task = Task::sync_with(options);
        scene.done(task.clone()).await.success();
        let file = reader::C1z::open(&scene.uploaded(&task.id));
        let runs = file.runs();
        let [run] = runs.as_slice() else {
            panic!("{runs:?}")
        };
        assert!(run.ended_at.is_some());
        Self {
            kind: run.kind.clone(),
            run: run.id.clone(),
            file,
        }
    }

    fn rows(&self, table: &str) -> Vec<String> {
        let sql = format!("select external_id from {table} where sync_id = ?1 order by external_id");
        let mut select = self.file.sql.prepare(&sql).unwrap();
        let rows = select.query_map([&self.run], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_options_of_a_task_are_heeded() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&[]).await;
    let truth = scene.sandbox.truth();

    let only_roles = SyncFullTask {
        sync_resource_type_ids: vec!["role".to_owned()],
        ..SyncFullTask::default()
    };
    let uploaded = Uploaded::by(&scene, only_roles).await;
    assert_eq!(uploaded.rows("v1_resource_types"), ["role"]);
    assert_eq!(uploaded.rows("v1_resources").len(), truth.roles.len());

    let bare = SyncFullTask {
        skip_entitlements_and_grants: true,
        ..SyncFullTask::default()
    };
    let uploaded = Uploaded::by(&scene, bare).await;
    assert_eq!(uploaded.kind, "resources_only");
    assert!(uploaded.rows("v1_grants").is_empty() && uploaded.rows("v1_entitlements").is_empty());
    let users = uploaded
        .rows("v1_resources")
        .iter()
        .filter(|id| id.starts_with("user:"))
        .count();
    let served = truth
        .users
        .iter()
        .filter(|user| DEFAULT_CLASSES.contains(&user.class))
        .count();
    assert_eq!(users, served);

    // Of no consequence here: nothing is to be expanded, and there is one form of file.
    let other = SyncFullTask {
        skip_expand_grants: true,
        storage_engine: "pebble".to_owned(),
        ..SyncFullTask::default()
    };
    let task = Task::sync_with(other);
    scene.done(task.clone()).await.success();
    assert_equal(&reader::read(&scene.uploaded(&task.id)), &truth, &DEFAULT_CLASSES);
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_targeted_sync_brings_its_targets_and_who_holds_them() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&[]).await;
    let truth = scene.sandbox.truth();
    let holders = |id: u64| {
        truth
            .users
            .iter()
            .filter(move |user| DEFAULT_CLASSES.contains(&user.class) && user.roles.contains(&id))
    };
    let role = truth
        .roles
        .iter()
        .find(|role| holders(role.id).count() > 0)
        .unwrap()
        .id;
    let mut grants: Vec<String> = holders(role)
        .map(|user| format!("role:{role}:member:user:{}", user.id))
        .collect();
    grants.sort();
    for skip_grants in [false, true] {
        let uploaded = Uploaded::by(
            &scene,
            SyncFullTask {
                targeted_sync_resources: vec![resource("role", &role.to_string())],
                skip_grants,
                ..SyncFullTask::default()
            },
        )
        .await;
        assert_eq!(uploaded.kind, "partial");
        assert!(uploaded.rows("v1_resources").contains(&format!("role:{role}")));
        assert_eq!(uploaded.rows("v1_entitlements"), [format!("role:{role}:member")]);
        let expected: &[String] = if skip_grants { &[] } else { &grants };
        assert_eq!(uploaded.rows("v1_grants"), expected, "skip_grants: {skip_grants}");
    }
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_sync_without_grants_is_refused_since_it_reads_as_if_all_had_lost_all() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&[]).await;
    let finish = scene
        .done(Task::sync_with(SyncFullTask {
            skip_grants: true,
            ..SyncFullTask::default()
        }))
        .await;
    finish.assert_error(
        Code::InvalidArgument,
        Retry::Yes,
        &["skip-grants can only be set within a targeted sync"],
    );
    assert_eq!(uploads(&scene), 0);
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_full_syncs_are_switched_off_the_task_ends_with_an_error_and_never_with_an_empty_file() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&["--skip-full-sync"]).await;
    let finish = scene.done(Task::sync()).await;
    let told = finish.status().message.clone();
    assert!(told.contains("skip-full-sync"), "{told}");
    assert_eq!(uploads(&scene), 0);
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_coupa_refuses_ends_with_what_coupa_lacks() {
    let mut config = super::scene::small();
    config.scopes.retain(|scope| scope != "core.user_group.read");
    let scene = Scene::with(config, super::fake::Client::new()).await;
    // The daemon itself runs: what is lacking is told with the task.
    let daemon = scene.greeted(&[]).await;
    scene.done(Task::sync()).await.assert_error(
        Code::PermissionDenied,
        Retry::Yes,
        &["core.user_group.read"],
    );
    assert_eq!(uploads(&scene), 0);
    scene.end(daemon).await;
}

fn uploads(scene: &Scene) -> usize {
    scene
        .platform
        .log()
        .iter()
        .filter(|entry| matches!(entry.event, Event::Uploading { .. }))
        .count()
}
