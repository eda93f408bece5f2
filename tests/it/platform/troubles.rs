//! Every call in trouble: unavailable, cut off, without an answer; and tokens that die.

use baton_coupa::proto::connector as c1;
use baton_coupa::proto::is;
use tonic::Code;

use super::fake::{Entry, Event, Rpc, Trouble};
use super::scene::{Scene, greetings};
use super::task::Task;
use crate::support::reader;
use crate::support::truth::{DEFAULT_CLASSES, assert_equal};

const UNAVAILABLE: Trouble = Trouble::Refused(Code::Unavailable);

fn troubles(log: &[Entry], rpc: Rpc) -> usize {
    log.iter()
        .filter(|entry| matches!(entry.event, Event::Trouble { rpc: met } if met == rpc))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn get_task_is_asked_again_whatever_it_answers() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&[]).await;
    // One by one, so that the waits stay short.
    for trouble in [
        UNAVAILABLE,
        Trouble::Cut,
        Trouble::LostAndCut,
        Trouble::Refused(Code::Unauthenticated),
        Trouble::Refused(Code::Internal),
    ] {
        scene.platform.trouble(Rpc::GetTask, [trouble]);
        scene.done(Task::sync()).await.success();
    }
    assert_eq!(troubles(&scene.platform.log(), Rpc::GetTask), 5);
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_that_a_task_asks_for_is_said_again() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&[]).await;
    scene.platform.trouble(Rpc::Hello, [UNAVAILABLE]);
    scene.platform.give(Task::hello());
    // The first refusal, then the Hello that was accepted.
    let through = |_: &[Entry]| scene.platform.is_through().then_some(());
    scene.platform.wait("the second Hello", through).await;
    assert_eq!(troubles(&scene.platform.log(), Rpc::Hello), 1);
    assert_eq!(greetings(&scene.platform.log()).count(), 2);
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_between_failed_questions_grow() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&[]).await;
    scene.platform.trouble(Rpc::GetTask, [UNAVAILABLE; 3]);
    scene
        .platform
        .wait("the troubles", |log| {
            (troubles(log, Rpc::GetTask) == 3).then_some(())
        })
        .await;
    scene.asks(1).await;
    let log = scene.platform.log();
    let first = log
        .iter()
        .position(|entry| matches!(entry.event, Event::Trouble { .. }))
        .unwrap();
    let asked = log[first - 1..]
        .iter()
        .filter(|entry| matches!(entry.event, Event::Asked { .. }));
    let at: Vec<_> = asked.take(4).map(|entry| entry.at).collect();
    // 1, 4 and 9 seconds, spread by chance: only the order of size is asserted, and only from below.
    let waits: Vec<f64> = at
        .windows(2)
        .map(|two| two[1].duration_since(two[0]).as_secs_f64())
        .collect();
    assert!(waits[0] >= 0.4 && waits[1] >= 1.6 && waits[2] >= 3.6, "{waits:?}");
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_does_not_get_through_leaves_no_task_unfinished() {
    for trouble in [
        UNAVAILABLE,
        Trouble::Cut,
        Trouble::Lost(Code::Unavailable),
        Trouble::LostAndCut,
    ] {
        let scene = Scene::new().await;
        let daemon = scene.greeted(&["-p"]).await;
        let user = &scene.people()[0];
        let role = scene.other_role(user);
        let task = Task::grant(&role, user.id);
        scene.platform.trouble(Rpc::FinishTask, [trouble]);
        scene.platform.give(task.clone());
        scene
            .platform
            .wait("the trouble", |log| {
                (troubles(log, Rpc::FinishTask) == 1).then_some(())
            })
            .await;
        // The platform would hand the task out again some day; the program does not wait for that and says it again.
        let through = |_: &[Entry]| scene.platform.is_through().then_some(());
        scene.platform.wait("the end, once more", through).await;
        let finish = scene.finished(&task.id).await;
        let response: c1::GrantManagerServiceGrantResponse = finish.response();
        assert!(
            !response.annotations.iter().any(is::<c1::GrantAlreadyExists>),
            "the answer is the first one"
        );
        assert!(scene.holds(user.id, &role));
        assert_eq!(scene.writes(), 1, "{trouble:?}: Coupa is changed once");
        scene.end(daemon).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_fails_twice_succeeds_the_third_time() {
    for two in [
        [UNAVAILABLE, Trouble::BrokenOff(Code::Unavailable)],
        [Trouble::Cut, Trouble::Lost(Code::Unavailable)],
        [Trouble::Refused(Code::Internal), Trouble::LostAndCut],
    ] {
        let scene = Scene::new().await;
        let daemon = scene.greeted(&[]).await;
        scene.platform.trouble(Rpc::UploadAsset, two);
        let task = Task::sync();
        scene.done(task.clone()).await.success();
        assert_eq!(troubles(&scene.platform.log(), Rpc::UploadAsset), 2);
        assert_equal(
            &reader::read(&scene.uploaded(&task.id)),
            &scene.sandbox.truth(),
            &DEFAULT_CLASSES,
        );
        scene.end(daemon).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_fails_three_times_ends_the_task_with_the_error() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&[]).await;
    scene.platform.trouble(Rpc::UploadAsset, [UNAVAILABLE; 3]);
    let finish = scene.done(Task::sync()).await;
    assert_eq!(
        finish.status().code,
        Code::Unavailable as i32,
        "{}",
        finish.status().message
    );
    assert_eq!(troubles(&scene.platform.log(), Rpc::UploadAsset), 3);
    // And nothing is left of it.
    scene.done(Task::sync()).await.success();
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn later_heartbeats_may_fail_or_hang() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&[]).await;
    let later = [
        Trouble::None,
        UNAVAILABLE,
        Trouble::Cut,
        Trouble::Lost(Code::Unavailable),
    ];
    scene.platform.trouble(Rpc::Heartbeat, later);
    let sync = scene.held_sync().await;
    scene
        .platform
        .wait("the troubles", |log| {
            (troubles(log, Rpc::Heartbeat) == 3).then_some(())
        })
        .await;
    scene.platform.trouble(Rpc::Heartbeat, [Trouble::Hang]);
    scene
        .platform
        .wait("the hanging one", |log| {
            (troubles(log, Rpc::Heartbeat) == 4).then_some(())
        })
        .await;
    scene.sandbox.resume();
    // A heartbeat that hangs does not hold the sync.
    scene.finished(&sync.id).await.success();
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_renewed_before_they_expire() {
    let scene = Scene::new().await;
    scene.platform.inner().token_life = 12;
    let daemon = scene.greeted(&["-p"]).await;
    // Heartbeats, questions and the upload go on over the end of several tokens. The platform notes one that is used too long.
    let sync = scene.held_sync().await;
    let tokens = |log: &[Entry]| {
        log.iter()
            .filter(|entry| matches!(entry.event, Event::Token))
            .count()
    };
    scene
        .platform
        .wait("four tokens", |log| (tokens(log) >= 4).then_some(()))
        .await;
    scene.sandbox.resume();
    scene.finished(&sync.id).await.success();
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_platform_forgot_is_replaced() {
    let scene = Scene::new().await;
    scene.platform.inner().token_life = 20;
    let daemon = scene.greeted(&[]).await;
    scene.asks(1).await;
    scene.platform.forget_tokens();
    scene.done(Task::sync()).await.success();
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_for_a_while_the_daemon_goes_on_asking() {
    let scene = Scene::new().await;
    scene.platform.inner().token_life = 11;
    let daemon = scene.greeted(&[]).await;
    scene.platform.inner().no_tokens = Some(http::StatusCode::SERVICE_UNAVAILABLE);
    let refused = |log: &[Entry]| {
        log.iter()
            .filter(|entry| matches!(entry.event, Event::NoToken))
            .count()
    };
    scene
        .platform
        .wait("two refusals", |log| (refused(log) >= 2).then_some(()))
        .await;
    scene.platform.inner().no_tokens = None;
    scene.done(Task::sync()).await.success();
    scene.end(daemon).await;
}
