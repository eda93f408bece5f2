//! SIGTERM in the middle: no new task, what runs is ended or called off, everything claimed is finished, exit code 0.

use baton_coupa::sandbox::{Effect, FaultAction, Faults, Matching, PausePoint, ScriptedFault};
use tonic::Code;

use super::fake::{Event, Retry, Rpc, Trouble};
use super::scene::{Scene, asked, finishes};
use super::task::Task;

#[tokio::test(flavor = "multi_thread")]
async fn in_the_middle_of_a_sync_it_is_called_off_and_may_be_tried_again() {
    for signal in ["-TERM", "-INT"] {
        let scene = Scene::new().await;
        let daemon = scene.greeted(&[]).await;
        let sync = scene.held_sync().await;
        daemon.signal(signal);
        scene.ends_with(daemon, 0).await;
        let ends = finishes(&scene.platform.log(), &sync.id);
        let [end] = ends.as_slice() else {
            panic!("{}", scene.platform.story())
        };
        end.assert_error(Code::Cancelled, Retry::Yes, &[]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_middle_of_a_grant_it_is_brought_to_its_end() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&["-p"]).await;
    let user = &scene.people()[0];
    let role = scene.other_role(user);
    let task = Task::grant(&role, user.id);
    scene.sandbox.pause(PausePoint::Before(put()));
    scene.platform.give(task.clone());
    scene.sandbox.held().await;
    daemon.signal("-TERM");
    said(&scene, "SIGTERM").await;
    scene.sandbox.resume();
    scene.ends_with(daemon, 0).await;
    let ends = finishes(&scene.platform.log(), &task.id);
    let [end] = ends.as_slice() else {
        panic!("{}", scene.platform.story())
    };
    end.success();
    assert!(scene.holds(user.id, &role));
    assert_eq!(scene.writes(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_and_a_grant_at_once() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&["-p"]).await;
    let user = &scene.people()[0];
    let role = scene.other_role(user);
    // The barrier is for the grant; the sync gets no answer from the tenant.
    scene.sandbox.set_faults(Faults {
        scripted: vec![ScriptedFault {
            on: Matching {
                path_prefix: Some("/api/user_groups".to_owned()),
                nth: 2,
                ..Matching::default()
            },
            effect: Effect::None,
            action: FaultAction::Hang,
        }],
        ..Faults::default()
    });
    let sync = Task::sync();
    scene.platform.give(sync.clone());
    let struck = async {
        while scene.sandbox.stats().faults == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(2), struck)
        .await
        .expect("the sync lists groups");
    scene.sandbox.pause(PausePoint::Before(put()));
    let task = Task::grant(&role, user.id);
    scene.platform.give(task.clone());
    scene.sandbox.held().await;
    daemon.signal("-TERM");
    // The sync is off at once, while the grant still goes on.
    scene
        .finished(&sync.id)
        .await
        .assert_error(Code::Cancelled, Retry::Yes, &[]);
    assert!(finishes(&scene.platform.log(), &task.id).is_empty());
    scene.sandbox.resume();
    scene.ends_with(daemon, 0).await;
    finishes(&scene.platform.log(), &task.id)[0].success();
    assert!(scene.holds(user.id, &role));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_for_any_more() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&["-p"]).await;
    let user = &scene.people()[0];
    scene.sandbox.pause(PausePoint::Before(put()));
    scene.platform.give(Task::grant(&scene.other_role(user), user.id));
    scene.sandbox.held().await;
    daemon.signal("-TERM");
    said(&scene, "SIGTERM").await;
    scene.platform.give(Task::sync());
    let before = asked(&scene.platform.log());
    scene.sandbox.resume();
    scene.ends_with(daemon, 0).await;
    // One question may have been on its way.
    assert!(
        asked(&scene.platform.log()) <= before + 1,
        "{}",
        scene.platform.story()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_answer_on_its_way_still_brings_is_finished() {
    for several in [false, true] {
        let scene = Scene::new().await;
        let mut command = scene.command();
        if several {
            command.env("BATON_GET_TASKS", "true");
        }
        scene.platform.trouble(Rpc::GetTask, [Trouble::Held]);
        let daemon = scene.spawn(command);
        let met = |entry: &super::fake::Entry| matches!(entry.event, Event::Trouble { .. });
        scene
            .platform
            .wait("the question", |log| log.iter().any(met).then_some(()))
            .await;
        let task = Task::sync();
        scene.platform.give(task.clone());
        daemon.signal("-TERM");
        said(&scene, "SIGTERM").await;
        scene.platform.let_go();
        scene.ends_with(daemon, 0).await;
        for end in finishes(&scene.platform.log(), &task.id) {
            end.assert_error(Code::Cancelled, Retry::Yes, &[]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_without_an_answer_do_not_hold_the_end() {
    for rpc in [
        Rpc::Hello,
        Rpc::GetTask,
        Rpc::Heartbeat,
        Rpc::UploadAsset,
        Rpc::FinishTask,
    ] {
        let scene = Scene::new().await;
        scene.platform.standing(rpc, Trouble::Hang);
        let daemon = scene.start(&[]);
        scene.platform.give(Task::sync());
        let met = |entry: &super::fake::Entry| matches!(entry.event, Event::Trouble { .. });
        scene
            .platform
            .wait("a call that hangs", |log| log.iter().any(met).then_some(()))
            .await;
        daemon.signal("-TERM");
        let status = daemon.ended().await;
        assert_eq!(status.code(), Some(0), "{rpc:?}: {}", scene.stderr());
        if matches!(rpc, Rpc::FinishTask) {
            // It said so, and nobody heard it.
            scene.platform.lapse();
        }
        scene.judge();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_is_gone_does_not_hold_the_end() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&[]).await;
    scene.platform.standing(Rpc::GetTask, Trouble::Cut);
    scene.asks(2).await;
    daemon.signal("-TERM");
    scene.ends_with(daemon, 0).await;
}

/// The next write of a user.
fn put() -> Matching {
    Matching {
        method: Some("PUT".to_owned()),
        ..Matching::default()
    }
}

/// Waits until the program has written `word` to stderr.
async fn said(scene: &Scene, word: &str) {
    let said = async {
        while !scene.stderr().contains(word) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(2), said)
        .await
        .expect("it says so");
}
