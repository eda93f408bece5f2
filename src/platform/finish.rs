//! How the end of a task is told to the platform. Pure.
//!
//! Invariant: only a fault's message and advice are told (see `status`); a task that succeeded has no status.

use jiff::Timestamp;
use prost::{Message as _, Name};
use prost_types::Any;
use tonic::Status;

use super::port::Report;
use crate::model::fault::{Fault, FaultKind};
use crate::proto::platform::baton_service_finish_task_request::{Error, FinalState, Success};
use crate::proto::{pack, rpc};
use crate::status::status;

/// Annotations that the platform takes on a message.
const MOST_ANNOTATIONS: usize = 16;

/// What the ecosystem puts after the text of an error that is not to be retried.
const FINAL: &str = "\ntask failed and is non-retryable";

/// Whether the platform may hand a failed task out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// It may.
    Allowed,
    /// The same would come of it.
    Pointless,
}

/// Why a task failed.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) fault: Fault,
    pub(super) retry: Retry,
}

impl Failure {
    /// A failure that the next try may not meet.
    pub(super) fn passing(fault: Fault) -> Self {
        Self {
            fault,
            retry: Retry::Allowed,
        }
    }

    /// The work was stopped with the daemon, before its end was known.
    pub(super) fn stopped() -> Self {
        Self::passing(
            Fault::new(
                FaultKind::Cancelled,
                "the connector was stopped before the task ended",
            )
            .advise("the task can be handed out again"),
        )
    }
}

/// What a task that succeeded answers.
#[derive(Clone, Default)]
pub(super) struct Answer {
    response: Option<Any>,
    annotations: Vec<Any>,
}

impl Answer {
    /// The connector's response, and its annotations once more where the platform looks for them.
    pub(super) fn of<M: Name>(response: &M, annotations: &[Any]) -> Self {
        Self {
            response: Some(pack(response)),
            annotations: annotations.iter().take(MOST_ANNOTATIONS).cloned().collect(),
        }
    }
}

/// The report of an outcome, as of `now`.
pub(super) fn report(outcome: Result<Answer, Failure>, now: Timestamp) -> Report {
    match outcome {
        Ok(Answer {
            response,
            annotations,
        }) => Report {
            status: None,
            state: FinalState::Success(Success {
                annotations,
                response,
            }),
        },
        Err(failure) => {
            let mut status = wire(&status(&failure.fault, now));
            let non_retryable = failure.retry == Retry::Pointless;
            if non_retryable {
                status.message.push_str(FINAL);
            }
            Report {
                status: Some(status),
                state: FinalState::Error(Error {
                    non_retryable,
                    ..Error::default()
                }),
            }
        }
    }
}

/// A status as a message, details included.
fn wire(status: &Status) -> rpc::Status {
    // Our own table wrote the details: what it did not write is empty, and decodes.
    let details = rpc::Status::decode(status.details()).unwrap_or_default().details;
    rpc::Status {
        code: status.code().into(),
        message: status.message().to_owned(),
        details,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::proto::annotation;
    use crate::proto::connector as c1;

    fn failed(kind: FaultKind, retry: Retry) -> (rpc::Status, Error) {
        let fault = Fault::new(kind, "m").advise("a").because("secret detail");
        let report = report(Err(Failure { fault, retry }), Timestamp::UNIX_EPOCH);
        match report.state {
            FinalState::Error(error) => (report.status.unwrap(), error),
            FinalState::Success(_) => panic!("a failure is no success"),
        }
    }

    #[test]
    fn every_kind_of_failure_is_told_with_its_code() {
        let until = Timestamp::UNIX_EPOCH;
        let scope = "core.user.read".into();
        for (kind, code) in [
            (FaultKind::Cancelled, 1),
            (FaultKind::Unknown, 2),
            (FaultKind::Invalid, 3),
            (FaultKind::NotFound, 5),
            (FaultKind::MissingScope { scope }, 7),
            (FaultKind::Forbidden, 7),
            (FaultKind::Unchanged, 9),
            (FaultKind::Refused, 9),
            (FaultKind::Declined, 9),
            (FaultKind::Conflict, 10),
            (FaultKind::Unsupported, 12),
            (FaultKind::Internal, 13),
            (FaultKind::RateLimited { until }, 14),
            (FaultKind::Unavailable, 14),
            (FaultKind::Corrupt, 15),
            (FaultKind::Unauthenticated, 16),
        ] {
            let (status, error) = failed(kind.clone(), Retry::Allowed);
            assert_eq!((status.code, status.message.as_str()), (code, "m; a"), "{kind:?}");
            assert!(!error.non_retryable && error.response.is_none());
            let (status, error) = failed(kind, Retry::Pointless);
            assert_eq!(status.message, "m; a\ntask failed and is non-retryable");
            assert!(error.non_retryable);
        }
    }

    #[test]
    fn details_of_a_status_travel_with_it() {
        let (status, _) = failed(FaultKind::Declined, Retry::Pointless);
        let urls: Vec<&str> = status.details.iter().map(|any| any.type_url.as_str()).collect();
        assert_eq!(urls, ["type.googleapis.com/google.rpc.ErrorInfo"]);
        let until = "2026-01-01T00:00:30Z".parse().unwrap();
        let (status, _) = failed(FaultKind::RateLimited { until }, Retry::Allowed);
        assert!(annotation::<c1::RateLimitDescription>(&status.details).is_some());
    }

    #[test]
    fn a_success_has_no_status_and_tells_its_annotations_twice() {
        let response = c1::GrantManagerServiceRevokeResponse {
            annotations: vec![pack(&c1::GrantAlreadyRevoked {}); 20],
        };
        let report = report(
            Ok(Answer::of(&response, &response.annotations)),
            Timestamp::UNIX_EPOCH,
        );
        assert!(report.status.is_none());
        let FinalState::Success(success) = report.state else {
            panic!("no success")
        };
        assert_eq!(success.annotations.len(), 16, "the platform takes no more");
        let told = success.response.unwrap();
        assert_eq!(
            told.type_url,
            "type.googleapis.com/c1.connector.v2.GrantManagerServiceRevokeResponse"
        );
        let told = c1::GrantManagerServiceRevokeResponse::decode(told.value.as_slice()).unwrap();
        assert!(told == response);
        let empty = super::report(Ok(Answer::default()), Timestamp::UNIX_EPOCH);
        assert!(empty.state == FinalState::Success(Success::default()));
    }
}
