//! How tasks are asked for: a slot first, several at once where that is wanted, and no more than there are slots.

use super::fake::{Entry, Event};
use super::scene::{Scene, asked};
use super::task::Task;

#[tokio::test(flavor = "multi_thread")]
async fn with_one_slot_nothing_is_asked_for_while_a_task_runs() {
    let scene = Scene::new().await;
    scene.platform.slots(1);
    let daemon = scene.greeted(&["--task-concurrency", "1", "-p"]).await;
    let sync = scene.held_sync().await;
    let before = asked(&scene.platform.log());
    let user = &scene.people()[0];
    let grant = Task::grant(&scene.other_role(user), user.id);
    scene.platform.give(grant.clone());
    let beats = |log: &[Entry]| {
        log.iter()
            .filter(|entry| matches!(entry.event, Event::Beat { .. }))
            .count()
    };
    scene
        .platform
        .wait("several heartbeats", |log| (beats(log) >= 4).then_some(()))
        .await;
    assert_eq!(
        asked(&scene.platform.log()),
        before,
        "the platform notes it as well"
    );
    scene.sandbox.resume();
    scene.finished(&sync.id).await.success();
    scene.finished(&grant.id).await.success();
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_are_all_done_within_the_slots() {
    let scene = Scene::new().await;
    scene.platform.slots(2);
    let daemon = scene.greeted(&["--task-concurrency", "2", "-p"]).await;
    let people = scene.people();
    let tasks: Vec<Task> = people
        .iter()
        .flat_map(|user| {
            let role = scene.other_role(user);
            let other = format!("role:{}:member", user.roles[0]);
            [
                Task::grant(&role, user.id),
                Task::revoke(&other, user.id),
                Task::unheard_of(500),
                Task::hello(),
            ]
        })
        .chain([Task::sync(), Task::sync()])
        .collect();
    for task in &tasks {
        scene.platform.give(task.clone());
    }
    // The auditor says whether all were ended, each in its way and never more than two at once.
    scene
        .platform
        .wait("all ends", |_| scene.platform.is_through().then_some(()))
        .await;
    for user in people {
        assert!(!scene.user(user.id).roles.contains(&user.roles[0]));
    }
    scene.end(daemon).await;
}

/// Sizes and known ids of the questions for several tasks.
fn pages(log: &[Entry]) -> Vec<(u32, Vec<String>)> {
    let pages = log.iter().filter_map(|entry| match &entry.event {
        Event::Asked { page } => Some(page.clone().expect("GetTasks is used")),
        _ => None,
    });
    pages.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn several_at_once_where_the_environment_asks_for_it() {
    let scene = Scene::new().await;
    let mut command = scene.command();
    command.env("BATON_GET_TASKS", "true").arg("-p");
    let daemon = scene.spawn(command);
    scene.asks(2).await;
    assert_eq!(pages(&scene.platform.log())[0], (6, Vec::new()));

    let sync = scene.held_sync().await;
    let known = |log: &[Entry]| {
        let pages = pages(log);
        pages
            .last()
            .filter(|(_, known)| *known == [sync.id.clone()])
            .cloned()
    };
    let (size, _) = scene.platform.wait("a question that knows the sync", known).await;
    assert_eq!(size, 5);
    // Handed out together, done together, in any order.
    let people = scene.people();
    let tasks: Vec<Task> = people
        .iter()
        .take(5)
        .map(|user| Task::grant(&scene.other_role(user), user.id))
        .collect();
    for task in &tasks {
        scene.platform.give(task.clone());
    }
    for task in &tasks {
        scene.finished(&task.id).await.success();
    }
    scene.sandbox.resume();
    scene.finished(&sync.id).await.success();
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_wait_their_turn_at_sigterm_are_finished_as_well() {
    let scene = Scene::new().await;
    scene.platform.slots(1);
    let mut command = scene.command();
    command
        .env("BATON_GET_TASKS", "true")
        .args(["--task-concurrency", "1"]);
    let tasks = [Task::sync(), Task::sync()];
    for task in &tasks {
        scene.platform.give(task.clone());
    }
    let daemon = scene.spawn(command);
    // Both come with the first page of two; one runs, the other one waits.
    scene.handed(&tasks[1].id).await;
    daemon.signal("-TERM");
    scene.ends_with(daemon, 0).await;
    assert_eq!(pages(&scene.platform.log())[0].0, 2);
}
