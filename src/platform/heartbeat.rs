//! Signs of life of a long task, and what the platform says to them.
//!
//! Invariant: single failures change nothing; nine in a row end the task, since the platform has given it to somebody else by then.

use std::time::Duration;

use tokio::time::sleep;
use tonic::Status;

use super::finish::Failure;
use super::port::{Beat, Platform, may_pass, told};
use super::task::TaskId;
use crate::model::fault::{Fault, FaultKind};

/// Failures in a row that are one too many (baton-sdk: pkg/tasks/c1api, heartbeat).
const FAILURES: u32 = 9;

/// Tries of the first sign of life, and the pause between two.
const FIRST_TRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Why a task is not ours any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// The platform called it off.
    Cancelled,
    /// The platform has not heard of us for too long.
    Silent,
}

impl Lost {
    /// How it is told, in the ecosystem's words.
    pub(super) fn failure(self) -> Failure {
        let message = match self {
            Self::Cancelled => "task was cancelled",
            Self::Silent => "task failed heartbeat",
        };
        Failure::passing(Fault::new(FaultKind::Cancelled, message))
    }
}

/// The first sign of life, before any work. One lost request is no reason to let a sync go.
pub(super) async fn first(platform: &dyn Platform, task: &TaskId) -> Result<Beat, Status> {
    let mut tries = 1;
    loop {
        match platform.heartbeat(task).await {
            Err(status) if tries < FIRST_TRIES && may_pass(status.code()) => {
                tracing::warn!(
                    error = told(&status),
                    "the first heartbeat failed and is tried again"
                );
            }
            outcome => return outcome,
        }
        tries += 1;
        sleep(FIRST_PAUSE).await;
    }
}

/// Gives signs of life, the first after `interval`, until the task is lost.
pub(super) async fn keep(platform: &dyn Platform, task: &TaskId, mut interval: Duration) -> Lost {
    let mut failures = 0;
    while failures < FAILURES {
        sleep(interval).await;
        match platform.heartbeat(task).await {
            Ok(Beat::Cancelled) => return Lost::Cancelled,
            Ok(Beat::GoOn(next)) => {
                failures = 0;
                interval = next;
            }
            Err(status) => {
                failures += 1;
                tracing::warn!(error = told(&status), failures, "a heartbeat failed");
            }
        }
    }
    Lost::Silent
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use tokio::time::timeout;

    use super::super::fake::{FakePlatform, Rpc, id};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nine_failures_in_a_row_lose_the_task_and_eight_do_not() {
        let platform = FakePlatform::new();
        platform.fails(Rpc::Heartbeat, 8);
        let task = id(1);
        let kept = timeout(
            Duration::from_mins(10),
            keep(&*platform, &task, Duration::from_secs(2)),
        );
        kept.await.unwrap_err();
        let seconds = platform.seconds_of(Rpc::Heartbeat);
        // The pause of the last answer goes on through the failures; the next answer sets it to 30 s.
        assert_eq!(seconds[..10], [2, 4, 6, 8, 10, 12, 14, 16, 18, 48], "{seconds:?}");

        let platform = FakePlatform::new();
        platform.fails(Rpc::Heartbeat, 9);
        let lost = keep(&*platform, &task, Duration::from_secs(2)).await;
        assert_eq!(lost, Lost::Silent);
        assert_eq!(
            platform.seconds_of(Rpc::Heartbeat).last(),
            Some(&18),
            "at once after the ninth"
        );
        let failure = lost.failure();
        assert_eq!(failure.fault.message(), "task failed heartbeat");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_is_called_off_is_lost_at_once() {
        let platform = FakePlatform::new();
        let task = id(1);
        platform.cancels(&task);
        let lost = keep(&*platform, &task, Duration::from_secs(1)).await;
        assert_eq!(lost, Lost::Cancelled);
        assert_eq!(lost.failure().fault.message(), "task was cancelled");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_sign_of_life_is_tried_three_times() {
        for (failures, works) in [(0, true), (2, true), (3, false)] {
            let platform = FakePlatform::new();
            platform.fails(Rpc::Heartbeat, failures);
            assert_eq!(first(&*platform, &id(1)).await.is_ok(), works, "{failures}");
        }
    }
}
