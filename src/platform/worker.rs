//! One task from its claim to its end.
//!
//! Invariant: a task that was claimed is finished, with an answer or an error, also if its work panics or is cut off; only one that the
//! platform called off before it began is let go in silence.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::finish::{Failure, Retry, report};
use super::port::{Platform, Report, may_pass, told};
use super::sync_task::{Ended, Syncs};
use super::task::{Claimed, TaskId, Work};
use super::{hello, perform};
use crate::connector::Connector;
use crate::model::fault::Fault;

/// How long the end of a task may take to be told (baton-sdk: 30 s).
const FINISH: Duration = Duration::from_secs(30);

/// Does tasks.
pub(super) struct Worker {
    pub(super) platform: Arc<dyn Platform>,
    pub(super) connector: Arc<Connector>,
    pub(super) syncs: Syncs,
    /// The daemon is to end: what can be cut off is.
    pub(super) stop: CancellationToken,
    /// The daemon's patience is at its end: nothing is waited for any more.
    pub(super) over: CancellationToken,
}

impl Worker {
    /// Does the task and tells its end.
    pub(super) async fn carry_out(self: Arc<Self>, claimed: Claimed) {
        let Claimed { id, kind, work } = claimed;
        let span = tracing::info_span!("task", task_id = %id, task_type = kind);
        async {
            let begun = Instant::now();
            tracing::info!("task begun");
            let ended = match work {
                Ok(work) => self.attempt(&id, &work).await,
                Err(failure) => Ended::Told(Err(failure)),
            };
            let seconds = begun.elapsed().as_secs_f64();
            match &ended {
                Ended::Told(Ok(_)) => tracing::info!(seconds, "task done"),
                Ended::Told(Err(Failure { fault, .. })) => {
                    tracing::warn!(seconds, error = ?fault, "task failed");
                }
                Ended::Introduced => tracing::info!(seconds, "task done"),
                Ended::CalledOff => tracing::info!(seconds, "the platform called the task off"),
            }
            if let Ended::Told(outcome) = ended {
                self.finish(&id, report(outcome, Timestamp::now())).await;
            }
        }
        .instrument(span)
        .await;
    }

    /// Gives a task back that was never begun.
    pub(super) async fn hand_back(self: Arc<Self>, claimed: Claimed) {
        let span = tracing::info_span!("task", task_id = %claimed.id, task_type = claimed.kind);
        async {
            tracing::info!("the task is handed back");
            let failed = Err(Failure::stopped());
            self.finish(&claimed.id, report(failed, Timestamp::now())).await;
        }
        .instrument(span)
        .await;
    }

    async fn attempt(&self, id: &TaskId, work: &Work) -> Ended {
        // Nothing of the task outlives a panic except the connector, which guards its own state.
        let done = AssertUnwindSafe(self.perform(id, work)).catch_unwind();
        tokio::select! {
            biased;
            ended = done => ended.unwrap_or_else(|_| Ended::Told(Err(panicked(work)))),
            // A change that has begun goes on by itself, and the journal knows it.
            () = self.over.cancelled() => Ended::Told(Err(Failure::stopped())),
        }
    }

    async fn perform(&self, id: &TaskId, work: &Work) -> Ended {
        match work {
            Work::Hello => match hello::again(&*self.platform, &self.connector, id).await {
                Ok(()) => Ended::Introduced,
                Err(failure) => Ended::Told(Err(failure)),
            },
            Work::Sync(asked) => self.syncs.run(&*self.platform, id, asked, &self.stop).await,
            Work::Call(call) => Ended::Told(perform::call(&self.connector, id, call).await),
        }
    }

    /// Tells the end, and tries again where it may help: a task whose end got lost is handed out once more.
    async fn finish(&self, id: &TaskId, report: Report) {
        let mut failures = 0;
        let telling = async {
            loop {
                let Err(status) = self.platform.finish(id, report.clone()).await else {
                    return;
                };
                let error = told(&status);
                if !may_pass(status.code()) && status.code() != tonic::Code::Unauthenticated {
                    tracing::error!(error, "the platform did not take the end of the task");
                    return;
                }
                failures += 1;
                tracing::warn!(error, failures, "the end of the task is told again");
                sleep(Duration::from_secs(failures)).await;
            }
        };
        if timeout(FINISH, telling).await.is_err() {
            tracing::error!("the end of the task could not be told; the platform will hand it out again");
        }
    }
}

/// A bug of ours. What it may have left behind in Coupa, the journal knows.
fn panicked(work: &Work) -> Failure {
    let fault = Fault::internal("the connector failed; its log says more").because("panic");
    let retry = match work {
        Work::Call(call) => call.retry(),
        Work::Hello | Work::Sync(_) => Retry::Allowed,
    };
    Failure { fault, retry }
}
