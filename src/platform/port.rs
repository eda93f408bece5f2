//! The platform as the daemon sees it: a port, so that the daemon's behaviour can be tried without a network.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use tonic::{Code, Status};

use super::task::TaskId;
use crate::proto::connector::ConnectorMetadata;
use crate::proto::platform::Task;
use crate::proto::platform::baton_service_finish_task_request::FinalState;
use crate::proto::rpc;

/// The calls of `c1.connectorapi.baton.v1.BatonService`. Every one ends within a bound of its own.
#[async_trait]
pub(super) trait Platform: Send + Sync {
    /// Introduces the connector; with a task, because that task asked for it.
    async fn hello(&self, task: Option<&TaskId>, metadata: ConnectorMetadata) -> Result<(), Status>;

    /// Asks for one task.
    async fn get_task(&self) -> Result<Polled, Status>;

    /// Asks for up to `most` tasks besides those that are `known`.
    async fn get_tasks(&self, most: u32, known: Vec<String>) -> Result<Polled, Status>;

    /// Says that the task is being worked at.
    async fn heartbeat(&self, task: &TaskId) -> Result<Beat, Status>;

    /// Delivers the file of a sync.
    async fn upload(&self, task: &TaskId, asset: &Asset) -> Result<(), Status>;

    /// Ends a task.
    async fn finish(&self, task: &TaskId, report: Report) -> Result<(), Status>;
}

/// What came of a question for tasks.
pub(super) struct Polled {
    /// Perhaps none.
    pub(super) tasks: Vec<Task>,
    /// How long to wait before the next one, within bounds.
    pub(super) next_poll: Duration,
}

/// What came of a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    /// Go on, and say so again after this time, which is within bounds.
    GoOn(Duration),
    /// The platform called the task off.
    Cancelled,
}

/// A file to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asset {
    /// Where it lies; it does not change any more.
    pub(super) path: PathBuf,
    /// SHA-256 of its content.
    pub(super) checksum: [u8; 32],
}

/// How a task ended.
#[derive(Clone, PartialEq)]
pub(super) struct Report {
    /// What went wrong; `None` if nothing did.
    pub(super) status: Option<rpc::Status>,
    /// The answer.
    pub(super) state: FinalState,
}

/// Whether the platform, asked the same again, may answer otherwise.
pub(super) const fn may_pass(code: Code) -> bool {
    match code {
        Code::Unauthenticated
        | Code::PermissionDenied
        | Code::InvalidArgument
        | Code::Unimplemented
        | Code::FailedPrecondition
        | Code::NotFound => false,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::AlreadyExists
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::OutOfRange
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => true,
    }
}

/// Code, words and causes of a status on one line, for the log. Metadata, which may hold a token, is no part of it.
pub(super) fn told(status: &Status) -> String {
    use std::error::Error as _;
    use std::fmt::Write as _;
    let mut text = format!("{:?}: {}", status.code(), status.message());
    let mut cause = status.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            // Writing to a String does not fail.
            let _ = write!(text, ": {next}");
        }
        cause = error.source();
    }
    text
}
