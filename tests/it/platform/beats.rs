//! Heartbeats: a sync stays ours, is called off, or is given up when nobody hears us.

use std::time::Duration;

use baton_coupa::proto::rpc::Status;
use tonic::Code;

use super::fake::{Beat, Entry, Event, Pace, Rpc, Trouble};
use super::scene::{Scene, finishes};
use super::task::Task;

fn beats(log: &[Entry], task: &str) -> Vec<Beat> {
    let beats = log.iter().filter_map(|entry| match &entry.event {
        Event::Beat { task: of, answer } if of == task => Some(*answer),
        _ => None,
    });
    beats.collect()
}

async fn until_beats(scene: &Scene, task: &str, number: usize) {
    let what = format!("{number} heartbeats");
    scene
        .platform
        .wait(&what, |log| (beats(log, task).len() >= number).then_some(()))
        .await;
}

fn called_off(status: &Status) {
    assert_eq!(status.code, Code::Cancelled as i32, "{}", status.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_beats_for_as_long_as_it_runs_and_nothing_else_does() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&["-p"]).await;
    let sync = scene.held_sync().await;
    until_beats(&scene, &sync.id, 3).await;
    let user = &scene.people()[0];
    scene
        .done(Task::grant(&scene.other_role(user), user.id))
        .await
        .success();
    until_beats(&scene, &sync.id, 5).await;
    scene.sandbox.resume();
    scene.finished(&sync.id).await.success();
    let before = beats(&scene.platform.log(), &sync.id).len();
    scene.asks(12).await;
    let after = beats(&scene.platform.log(), &sync.id).len();
    // One may have been on its way.
    assert!(after <= before + 1, "{before} heartbeats became {after}");
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_is_called_off_stops() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&[]).await;
    let sync = scene.held_sync().await;
    scene.platform.cancel(&sync.id);
    // The request to Coupa is given up, too.
    scene.sandbox.released().await;
    scene.asks(5).await;
    for finish in finishes(&scene.platform.log(), &sync.id) {
        called_off(finish.status());
    }
    // The slot is free, and the next one is whole.
    scene.done(Task::sync()).await.success();
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_is_called_off_before_it_began_is_dropped() {
    let scene = Scene::new().await;
    scene.platform.slots(1);
    let daemon = scene.greeted(&["--task-concurrency", "1"]).await;
    let dropped = Task::sync();
    scene.platform.cancel(&dropped.id);
    scene.platform.give(dropped.clone());
    until_beats(&scene, &dropped.id, 1).await;
    // With one slot, this shows that it is free again.
    scene.done(Task::sync()).await.success();
    let log = scene.platform.log();
    assert_eq!(beats(&log, &dropped.id), [Beat::Cancelled]);
    assert!(finishes(&log, &dropped.id).is_empty());
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_first_heartbeat_no_work_is_begun() {
    let scene = Scene::new().await;
    scene.platform.slots(1);
    let daemon = scene.greeted(&["--task-concurrency", "1"]).await;
    scene
        .platform
        .standing(Rpc::Heartbeat, Trouble::Refused(Code::Unavailable));
    let asked = scene.sandbox.stats().api_total;
    let unheard = Task::sync();
    scene.platform.give(unheard.clone());
    until_beats(&scene, &unheard.id, 1).await;
    // Dropped or finished, after one try or several: its slot is free again.
    scene.asks(1).await;
    assert_eq!(scene.sandbox.stats().api_total, asked, "nothing is read for it");
    for finish in finishes(&scene.platform.log(), &unheard.id) {
        called_off(finish.status());
    }
    scene.platform.standing(Rpc::Heartbeat, Trouble::None);
    // Handed out again, the same id is a fresh start.
    let times = finishes(&scene.platform.log(), &unheard.id).len();
    scene.platform.give(unheard.clone());
    scene
        .finished_times(&unheard.id, times + 1)
        .await
        .last()
        .unwrap()
        .success();
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_heartbeats_in_a_row_may_fail() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&[]).await;
    let failing = std::iter::once(Trouble::None).chain([Trouble::Refused(Code::Unavailable); 8]);
    scene.platform.trouble(Rpc::Heartbeat, failing);
    let sync = scene.held_sync().await;
    until_beats(&scene, &sync.id, 10).await;
    assert!(finishes(&scene.platform.log(), &sync.id).is_empty());
    scene.sandbox.resume();
    scene.finished(&sync.id).await.success();
    let seen = beats(&scene.platform.log(), &sync.id);
    assert_eq!(seen[1..9], [Beat::Failed; 8]);
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_whose_heartbeats_nobody_hears_is_given_up_and_finished() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&[]).await;
    scene.platform.trouble(Rpc::Heartbeat, [Trouble::None]);
    scene
        .platform
        .standing(Rpc::Heartbeat, Trouble::Refused(Code::Unavailable));
    let sync = scene.held_sync().await;
    let finish = scene.finished(&sync.id).await;
    let failed = beats(&scene.platform.log(), &sync.id)
        .iter()
        .filter(|beat| **beat == Beat::Failed)
        .count();
    assert!((9..=10).contains(&failed), "{failed} failures");
    assert!(
        finish.status().message.contains("heartbeat"),
        "{}",
        finish.status().message
    );
    scene.platform.standing(Rpc::Heartbeat, Trouble::None);
    scene.done(Task::sync()).await.success();
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_interval_is_what_the_platform_says_within_bounds() {
    let scene = Scene::new().await;
    // Nothing shorter than a second is heeded; no assertion about how long that is, only that it does not run wild.
    scene.platform.inner().pace = Pace {
        heartbeat: Some(Duration::from_millis(1)),
        ..Pace::default()
    };
    let daemon = scene.greeted(&[]).await;
    let sync = scene.held_sync().await;
    until_beats(&scene, &sync.id, 3).await;
    let log = scene.platform.log();
    let at: Vec<_> = log
        .iter()
        .filter(|entry| matches!(entry.event, Event::Beat { .. }))
        .map(|entry| entry.at)
        .collect();
    let gap = at[2].duration_since(at[1]);
    assert!(
        gap >= Duration::from_millis(900),
        "{gap:?} between two heartbeats"
    );
    scene.sandbox.resume();
    scene.finished(&sync.id).await.success();
    scene.end(daemon).await;
}
