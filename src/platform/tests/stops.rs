//! How a daemon ends.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_stop_lets_changes_end_and_gives_the_rest_back() {
    let running = start(Setup {
        asking: Asking::Several,
        slots: 2,
        ..Setup::default()
    });
    let (platform, tenant) = (running.platform.clone(), running.tenant.clone());
    tenant.hold_changes.send_replace(true);
    tenant.hold_checks.send_replace(true);
    platform.queue([sync(1), grant(2, &tenant), grant(3, &tenant), grant(4, &tenant)]);
    tenant.changes(1).await;
    tenant.checked(1).await;
    let release = tenant.clone();
    tokio::spawn(async move {
        sleep(Duration::from_secs(5)).await;
        release.hold_changes.send_replace(false);
    });
    let took = running.end().await;
    assert_eq!(took.as_secs(), 5, "as long as the change takes");
    for cut in [1, 3, 4] {
        let (code, last, _) = failed(&platform.end_of(&id(cut)));
        assert_eq!((code, last), (Code::Cancelled, false), "{cut}");
    }
    succeeded(&platform.end_of(&id(2)));
}

#[tokio::test(start_paused = true)]
async fn a_stop_has_an_end_although_a_change_has_none() {
    let running = start(Setup::default());
    let (platform, tenant) = (running.platform.clone(), running.tenant.clone());
    tenant.hold_changes.send_replace(true);
    platform.queue([grant(1, &tenant)]);
    tenant.changes(1).await;
    let took = running.end().await;
    assert!((14..=18).contains(&took.as_secs()), "{took:?}");
    let (code, last, _) = failed(&platform.end_of(&id(1)));
    assert_eq!(
        (code, last),
        (Code::Cancelled, false),
        "it may be handed out again: the journal answers"
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_that_comes_while_stopping_is_given_back() {
    let running = start(Setup::default());
    let platform = running.platform.clone();
    platform.hold_answers.send_replace(true);
    platform.until(Rpc::GetTask, 1).await;
    platform.queue([grant(1, &running.tenant)]);
    let release = platform.clone();
    tokio::spawn(async move {
        sleep(Duration::from_secs(1)).await;
        release.hold_answers.send_replace(false);
    });
    running.end().await;
    assert_eq!(failed(&platform.end_of(&id(1))).0, Code::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_was_never_taken_in_stops_at_once() {
    let platform = FakePlatform::new();
    platform.fails(Rpc::Hello, 100);
    let running = start_at(&platform, Setup::default());
    platform.until(Rpc::Hello, 3).await;
    assert_eq!(running.end().await, Duration::ZERO);
    assert_eq!(platform.calls_of(Rpc::GetTask), 0);
}
