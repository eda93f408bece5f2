//! The daemon as a whole, over a platform and a tenant in memory, on a paused clock.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stops;
mod tasks;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::fake::{
    FakePlatform, HeldTenant, Mood, Rpc, connector_of, grant, id, reader_of, sync, task, tenant,
};
use super::port::Report;
use super::*;
use crate::c1z::Settings;
use crate::model::fault::FaultKind;
use crate::proto::connector as c1;
use crate::proto::platform::Task;
use crate::proto::platform::baton_service_finish_task_request::FinalState;
use crate::proto::platform::task as asked;
use crate::proto::platform::task::TaskType;
use crate::sync::{Patience, Scope};

/// How a daemon is started.
#[derive(Clone, Copy)]
struct Setup {
    asking: Asking,
    slots: usize,
    full_sync: FullSync,
    provisioning: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            asking: Asking::One,
            slots: 3,
            full_sync: FullSync::Run,
            provisioning: true,
        }
    }
}

/// A daemon at work.
struct Running {
    platform: Arc<FakePlatform>,
    tenant: Arc<HeldTenant>,
    stop: CancellationToken,
    daemon: JoinHandle<Result<(), Fault>>,
    directory: TempDir,
}

fn start(setup: Setup) -> Running {
    start_at(&FakePlatform::new(), setup)
}

fn start_at(platform: &Arc<FakePlatform>, setup: Setup) -> Running {
    let directory = tempfile::tempdir().unwrap();
    let tenant = tenant(30);
    let connector = Arc::new(if setup.provisioning {
        connector_of(&tenant)
    } else {
        reader_of(&tenant)
    });
    let syncs = Syncs {
        source: connector.clone(),
        defaults: SyncDefaults {
            tenant: "acme".into(),
            scope: Scope::Full,
            resource_types: Vec::new(),
            workers: NonZeroUsize::MIN,
            files: Settings {
                temp_dir: directory.path().to_owned(),
                ..Settings::default()
            },
            patience: Patience::default(),
        },
        full_sync: setup.full_sync,
    };
    let daemon = Daemon::over(platform.clone(), connector, syncs, setup.asking, setup.slots);
    let stop = CancellationToken::new();
    let token = stop.clone();
    Running {
        platform: platform.clone(),
        tenant,
        stop,
        daemon: tokio::spawn(async move { daemon.run(&token).await }),
        directory,
    }
}

impl Running {
    /// Stops the daemon and answers how long that took.
    async fn end(self) -> Duration {
        let begun = Instant::now();
        self.stop.cancel();
        self.daemon.await.unwrap().unwrap();
        assert_eq!(
            self.platform.unfinished(),
            [""; 0],
            "no claimed task is left unfinished"
        );
        assert_eq!(
            std::fs::read_dir(self.directory.path()).unwrap().count(),
            0,
            "no file is left"
        );
        begun.elapsed()
    }
}

/// Code of a failed task and whether it is final; panics if it succeeded.
fn failed(report: &Report) -> (Code, bool, String) {
    let FinalState::Error(error) = &report.state else {
        panic!("the task succeeded")
    };
    let status = report.status.clone().unwrap();
    (Code::from_i32(status.code), error.non_retryable, status.message)
}

fn succeeded(report: &Report) -> Option<prost_types::Any> {
    assert!(report.status.is_none());
    match &report.state {
        FinalState::Success(success) => success.response.clone(),
        FinalState::Error(_) => panic!("the task failed"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_introduction_comes_before_any_task_and_without_the_tenant() {
    let platform = FakePlatform::new();
    platform.fails(Rpc::Hello, 3);
    platform.queue([task(1, TaskType::Hello(asked::HelloTask::default()))]);
    let running = start_at(&platform, Setup::default());
    running.tenant.hold_checks.send_replace(true);
    platform.until(Rpc::GetTask, 3).await;
    assert_eq!(platform.introduced(), [None, Some(id(1))]);
    assert!(platform.seconds_of(Rpc::GetTask)[0] >= platform.seconds_of(Rpc::Hello)[3]);
    assert_eq!(
        platform.calls_of(Rpc::Finish),
        0,
        "the introduction is the answer"
    );
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_sync_is_delivered_whole() {
    let running = start(Setup::default());
    running.platform.queue([sync(1)]);
    running.platform.ended(1).await;
    assert_eq!(succeeded(&running.platform.end_of(&id(1))), None);
    let uploads = running.platform.uploads();
    assert_eq!(uploads.len(), 1);
    assert!(uploads[0].1.starts_with(b"C1ZF"));
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_is_made_while_a_sync_runs() {
    let running = start(Setup::default());
    running.tenant.hold_checks.send_replace(true);
    running.platform.queue([sync(1), grant(2, &running.tenant)]);
    running.tenant.checked(1).await;
    running.platform.ended(1).await;
    let told = succeeded(&running.platform.end_of(&id(2))).unwrap();
    let response = c1::GrantManagerServiceGrantResponse::decode(told.value.as_slice()).unwrap();
    assert_eq!(response.grants.len(), 1);
    let orders = running.tenant.changes.lock().unwrap().clone();
    assert_eq!(orders[0].request.as_ref().unwrap().as_str(), id(2).as_str());
    running.tenant.hold_checks.send_replace(false);
    running.platform.ended(2).await;
    succeeded(&running.platform.end_of(&id(1)));
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_is_only_asked_for_when_there_is_room() {
    let running = start(Setup {
        slots: 2,
        ..Setup::default()
    });
    running.tenant.hold_changes.send_replace(true);
    running
        .platform
        .queue((1..=4).map(|number| grant(number, &running.tenant)));
    running.tenant.changes(2).await;
    sleep(Duration::from_mins(1)).await;
    assert_eq!(running.platform.calls_of(Rpc::GetTask), 2, "no slot, no question");
    running.tenant.hold_changes.send_replace(false);
    running.platform.ended(4).await;
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn several_are_asked_for_ahead_of_their_turn_and_none_twice() {
    let running = start(Setup {
        asking: Asking::Several,
        ..Setup::default()
    });
    running.tenant.hold_changes.send_replace(true);
    running
        .platform
        .queue((1..=8).map(|number| grant(number, &running.tenant)));
    running.tenant.changes(3).await;
    sleep(Duration::from_mins(1)).await;
    assert_eq!(
        running.platform.pages(),
        [(6, vec![])],
        "six are known, three of them run"
    );
    running.tenant.hold_changes.send_replace(false);
    running.platform.ended(8).await;
    running.platform.until(Rpc::GetTasks, 3).await;
    let pages = running.platform.pages();
    assert!(
        pages
            .iter()
            .all(|(most, known)| usize::try_from(*most).unwrap() + known.len() == 6),
        "{pages:?}"
    );
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_same_task_is_not_begun_twice_and_no_hot_loop_comes_of_it() {
    let running = start(Setup::default());
    running.platform.polls_every(Duration::ZERO);
    running.tenant.hold_changes.send_replace(true);
    running.platform.queue([
        grant(1, &running.tenant),
        grant(1, &running.tenant),
        grant(1, &running.tenant),
    ]);
    running.tenant.changes(1).await;
    sleep(Duration::from_secs(10)).await;
    let asked = running.platform.calls_of(Rpc::GetTask);
    assert!((50..=120).contains(&asked), "{asked} questions in ten seconds");
    assert_eq!(running.tenant.changes.lock().unwrap().len(), 1);
    running.tenant.hold_changes.send_replace(false);
    running.platform.ended(1).await;
    running.platform.end_of(&id(1));
    // Handed out again after its end, it is asked again under the same name: the journal answers then.
    running.platform.queue([grant(1, &running.tenant)]);
    running.tenant.changes(2).await;
    let orders = running.tenant.changes.lock().unwrap().clone();
    assert_eq!(orders[0], orders[1]);
    running.platform.ended(2).await;
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_is_away_is_asked_until_it_is_back() {
    let running = start(Setup::default());
    running.platform.until(Rpc::GetTask, 1).await;
    for rpc in [Rpc::GetTask, Rpc::Heartbeat, Rpc::Upload, Rpc::Finish] {
        running.platform.fails(rpc, 2);
    }
    running
        .platform
        .fails_with(Rpc::GetTask, 5, Code::Unauthenticated);
    running.platform.queue([sync(1), grant(2, &running.tenant)]);
    running.platform.ended(2).await;
    let asked = running.platform.seconds_of(Rpc::GetTask);
    // 1 + 4 + 9 + 16 + 25 seconds, each up to a fifth less.
    let waited = asked[6] - asked[1];
    assert!((43..=55).contains(&waited), "{asked:?}");
    succeeded(&running.platform.end_of(&id(1)));
    succeeded(&running.platform.end_of(&id(2)));
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_is_called_off_stops_and_says_so() {
    let running = start(Setup::default());
    running.tenant.hold_checks.send_replace(true);
    running.platform.queue([sync(1)]);
    running.platform.until(Rpc::Heartbeat, 1).await;
    running.platform.cancels(&id(1));
    running.platform.ended(1).await;
    let (code, last, message) = failed(&running.platform.end_of(&id(1)));
    assert_eq!(
        (code, last, message.as_str()),
        (Code::Cancelled, false, "task was cancelled")
    );
    assert_eq!(running.platform.calls_of(Rpc::Upload), 0);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_is_called_off_before_it_begins_is_let_go() {
    let platform = FakePlatform::new();
    platform.cancels(&id(1));
    platform.queue([sync(1), grant(2, &tenant(30))]);
    let running = start_at(&platform, Setup::default());
    platform.ended(1).await;
    platform.end_of(&id(2));
    assert_eq!(platform.unfinished(), [id(1).to_string()], "nobody waits for it");
    running.stop.cancel();
    running.daemon.await.unwrap().unwrap();
    assert_eq!(platform.calls_of(Rpc::Finish), 1);
}

#[tokio::test(start_paused = true)]
async fn a_sync_whose_platform_is_silent_is_ended() {
    let running = start(Setup::default());
    running.tenant.hold_checks.send_replace(true);
    running.platform.queue([sync(1)]);
    running.platform.until(Rpc::Heartbeat, 1).await;
    running.platform.fails(Rpc::Heartbeat, 9);
    running.platform.ended(1).await;
    assert_eq!(running.platform.calls_of(Rpc::Heartbeat), 10);
    let (code, last, message) = failed(&running.platform.end_of(&id(1)));
    assert_eq!(
        (code, last, message.as_str()),
        (Code::Cancelled, false, "task failed heartbeat")
    );
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_sync_whose_first_sign_of_life_fails_is_finished_all_the_same() {
    let running = start(Setup::default());
    running.platform.fails(Rpc::Heartbeat, 3);
    running.platform.queue([sync(1)]);
    running.platform.ended(1).await;
    let (code, last, _) = failed(&running.platform.end_of(&id(1)));
    assert_eq!((code, last), (Code::Cancelled, false));
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_fails_three_times_fails_the_task() {
    let running = start(Setup::default());
    running.platform.fails(Rpc::Upload, 3);
    running.platform.queue([sync(1)]);
    running.platform.ended(1).await;
    let (code, last, _) = failed(&running.platform.end_of(&id(1)));
    assert_eq!((code, last), (Code::Unavailable, false));
    running.platform.queue([sync(2)]);
    running.platform.ended(2).await;
    succeeded(&running.platform.end_of(&id(2)));
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_daemon_without_syncs_sends_no_empty_file() {
    let running = start(Setup {
        full_sync: FullSync::Refuse,
        ..Setup::default()
    });
    running.platform.queue([sync(1)]);
    running.platform.ended(1).await;
    let (code, last, message) = failed(&running.platform.end_of(&id(1)));
    assert_eq!((code, last), (Code::FailedPrecondition, true));
    assert!(message.contains("skip-full-sync"), "{message}");
    assert_eq!(running.platform.calls_of(Rpc::Upload), 0);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn changes_without_provisioning_are_refused_for_good() {
    let running = start(Setup {
        provisioning: false,
        ..Setup::default()
    });
    running.platform.queue([grant(1, &running.tenant)]);
    running.platform.ended(1).await;
    let (code, last, message) = failed(&running.platform.end_of(&id(1)));
    assert_eq!((code, last), (Code::FailedPrecondition, true));
    assert_eq!(
        message,
        "provisioning is not enabled\ntask failed and is non-retryable"
    );
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_change_is_final_and_a_panic_is_internal() {
    let running = start(Setup::default());
    for (number, mood, expected) in [
        (1, Mood::Fails(Fault::unavailable("not now")), Code::Unavailable),
        (2, Mood::Panics, Code::Internal),
    ] {
        *running.tenant.mood.lock().unwrap() = mood;
        running.platform.queue([grant(number, &running.tenant)]);
        running.platform.ended(usize::try_from(number).unwrap()).await;
        let (code, last, message) = failed(&running.platform.end_of(&id(number)));
        assert_eq!((code, last), (expected, true));
        assert!(!message.contains("as intended"), "{message}");
    }
    *running.tenant.mood.lock().unwrap() = Mood::Well;
    running.platform.queue([grant(3, &running.tenant)]);
    running.platform.ended(3).await;
    succeeded(&running.platform.end_of(&id(3)));
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_task_is_told_until_the_platform_takes_it() {
    let running = start(Setup::default());
    running.platform.fails(Rpc::Finish, 3);
    running.platform.queue([grant(1, &running.tenant)]);
    running.platform.ended(1).await;
    assert_eq!(running.platform.calls_of(Rpc::Finish), 4);
    running.platform.fails_with(Rpc::Finish, 1, Code::InvalidArgument);
    running.platform.queue([grant(2, &running.tenant)]);
    running.platform.until(Rpc::Finish, 5).await;
    sleep(Duration::from_mins(1)).await;
    assert_eq!(
        running.platform.calls_of(Rpc::Finish),
        5,
        "it would not take it then, either"
    );
    running.stop.cancel();
    running.daemon.await.unwrap().unwrap();
}
