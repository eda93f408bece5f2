//! The same task twice: Coupa is changed once, and the answer is the recorded one, also after a crash in between.

use baton_coupa::proto::connector as c1;
use baton_coupa::proto::is;
use baton_coupa::sandbox::{Matching, PausePoint};

use super::fake::{Event, Finish, Rpc, Trouble};
use super::scene::{Scene, finishes};
use super::task::Task;

fn granted(finish: &Finish, id: &str) {
    let response: c1::GrantManagerServiceGrantResponse = finish.response();
    assert_eq!(response.grants[0].id, id);
    assert!(
        !response.annotations.iter().any(is::<c1::GrantAlreadyExists>),
        "the answer is the recorded one"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_time_gets_the_recorded_answer() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&["-p"]).await;
    let user = &scene.people()[0];
    let role = scene.other_role(user);
    let task = Task::grant(&role, user.id);
    for _ in 0..3 {
        let times = finishes(&scene.platform.log(), &task.id).len();
        scene.platform.give(task.clone());
        let ends = scene.finished_times(&task.id, times + 1).await;
        granted(ends.last().unwrap(), &format!("{role}:user:{}", user.id));
    }
    assert_eq!(scene.writes(), 1);

    // Another task for the same is another matter: it finds things so.
    let other = scene.done(Task::grant(&role, user.id)).await;
    assert!(other.annotations().iter().any(is::<c1::GrantAlreadyExists>));
    assert_eq!(scene.writes(), 1);
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_runs_it_is_not_begun_again() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&["-p"]).await;
    let user = &scene.people()[0];
    let role = scene.other_role(user);
    let task = Task::grant(&role, user.id);
    scene.sandbox.pause(PausePoint::Before(Matching {
        method: Some("PUT".to_owned()),
        ..Matching::default()
    }));
    scene.platform.give(task.clone());
    scene.sandbox.held().await;
    scene.platform.give(task.clone());
    let handed = |log: &[super::fake::Entry]| {
        log.iter()
            .filter(|entry| matches!(&entry.event, Event::Handed { task: id } if *id == task.id))
            .count()
    };
    scene
        .platform
        .wait("the second time", |log| (handed(log) == 2).then_some(()))
        .await;
    scene.asks(3).await;
    scene.sandbox.resume();
    granted(
        &scene.finished(&task.id).await,
        &format!("{role}:user:{}", user.id),
    );
    scene.asks(5).await;
    assert_eq!(finishes(&scene.platform.log(), &task.id).len(), 1);
    assert_eq!(scene.writes(), 1);
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_change_and_its_end_it_is_answered_by_the_next_process() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&["-p"]).await;
    let user = &scene.people()[0];
    let role = scene.other_role(user);
    let task = Task::grant(&role, user.id);
    scene.platform.trouble(Rpc::FinishTask, [Trouble::Hang]);
    scene.platform.give(task.clone());
    let hanging = |entry: &super::fake::Entry| matches!(entry.event, Event::Trouble { rpc: Rpc::FinishTask });
    scene
        .platform
        .wait("its end, unheard", |log| log.iter().any(hanging).then_some(()))
        .await;
    assert!(scene.holds(user.id, &role));
    kill(&scene, daemon).await;

    let next = scene.start(&["-p"]);
    granted(
        &scene.done(task.clone()).await,
        &format!("{role}:user:{}", user.id),
    );
    assert_eq!(scene.writes(), 1);
    scene.end(next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_the_change_it_is_brought_to_an_end_by_the_next_process() {
    for after in [false, true] {
        let scene = Scene::new().await;
        let daemon = scene.greeted(&["-p"]).await;
        let user = &scene.people()[0];
        let role = scene.other_role(user);
        let task = Task::grant(&role, user.id);
        let write = Matching {
            method: Some("PUT".to_owned()),
            ..Matching::default()
        };
        scene.sandbox.pause(if after {
            PausePoint::After(write)
        } else {
            PausePoint::Before(write)
        });
        scene.platform.give(task.clone());
        scene.sandbox.held().await;
        kill(&scene, daemon).await;
        scene.sandbox.released().await;

        let next = scene.start(&["-p"]);
        scene.done(task.clone()).await.success();
        assert!(scene.holds(user.id, &role), "after: {after}");
        let others = |roles: &[u64]| {
            roles
                .iter()
                .filter(|id| !role.contains(&format!(":{id}:")))
                .count()
        };
        assert_eq!(
            others(&scene.user(user.id).roles),
            user.roles.len(),
            "nothing else is lost"
        );
        scene.end(next).await;
    }
}

/// SIGKILL; what the process claimed, nobody owes any more.
async fn kill(scene: &Scene, daemon: super::scene::Daemon) {
    daemon.signal("-KILL");
    daemon.ended().await;
    scene.platform.lapse();
}
