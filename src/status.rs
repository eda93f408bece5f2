//! The one table from [`Fault`] to gRPC status, for callers of the server and for the platform that hears how a task ended.
//!
//! Invariant: only a fault's message and advice leave the process. What the syncer does with a code (connector-protocol,
//! section 11.1) decides the choice: it retries `Unavailable`, drops a chain on `NotFound` and stops on the rest.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::model::fault::{Fault, FaultKind};
use crate::model::readiness::Remark;
use crate::proto;
use crate::proto::connector::{RateLimitDescription, rate_limit_description};

/// The reason by which the platform knows a change that a policy speaks against (baton-sdk: pkg/types/grant/cancelled.go).
const CANCELLED: &str = "grant_cancelled";

/// The domain of that reason.
const SDK: &str = "github.com/conductorone/baton-sdk";

/// The status that says what `fault` says, as of `now`.
pub fn status(fault: &Fault, now: Timestamp) -> Status {
    let code = code(fault.kind());
    let message = fault.to_string();
    match fault.kind() {
        FaultKind::RateLimited { until } => {
            let details = tonic_types::Status {
                code: code.into(),
                message: message.clone(),
                details: vec![proto::pack(&rate_limit(*until, now))],
            };
            Status::with_details(code, message, details.encode_to_vec().into())
        }
        FaultKind::Declined => {
            let metadata = HashMap::from([("reason".to_owned(), message.clone())]);
            let mut details = ErrorDetails::with_error_info(CANCELLED, SDK, metadata);
            for remark in fault.remarks() {
                details.add_precondition_failure_violation(remark.rule, remark.element, violation(remark));
            }
            Status::with_error_details(code, message, details)
        }
        _ => Status::new(code, message),
    }
}

/// What was found and what to do, for the person who reads the refusal.
fn violation(remark: &Remark) -> String {
    let level = remark.level.name();
    match remark.fix {
        "" => format!("{level}: {} ({})", remark.text, remark.source),
        fix => format!("{level}: {}; {fix} ({})", remark.text, remark.source),
    }
}

const fn code(kind: &FaultKind) -> Code {
    match kind {
        FaultKind::Unauthenticated => Code::Unauthenticated,
        FaultKind::MissingScope { .. } | FaultKind::Forbidden => Code::PermissionDenied,
        FaultKind::NotFound => Code::NotFound,
        FaultKind::Invalid => Code::InvalidArgument,
        // Not AlreadyExists: that reads like an idempotent success.
        FaultKind::Conflict => Code::Aborted,
        FaultKind::RateLimited { .. } | FaultKind::Unavailable => Code::Unavailable,
        FaultKind::Unchanged | FaultKind::Refused | FaultKind::Declined => Code::FailedPrecondition,
        FaultKind::Unsupported => Code::Unimplemented,
        FaultKind::Corrupt => Code::DataLoss,
        FaultKind::Cancelled => Code::Cancelled,
        FaultKind::Internal => Code::Internal,
        FaultKind::Unknown => Code::Unknown,
    }
}

/// "Nothing left until `until`", at least a second from now: the syncer would not wait for a moment that has passed.
fn rate_limit(until: Timestamp, now: Timestamp) -> RateLimitDescription {
    let earliest = now.saturating_add(SignedDuration::from_secs(1)).unwrap_or(until);
    let reset = until.max(earliest);
    RateLimitDescription {
        status: rate_limit_description::Status::Overlimit.into(),
        limit: 1,
        remaining: 0,
        reset_at: Some(prost_types::Timestamp {
            seconds: reset.as_second(),
            nanos: reset.subsec_nanosecond(),
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::readiness::Level;

    #[test]
    fn every_kind_has_its_code() {
        let until = Timestamp::UNIX_EPOCH;
        let scope = "core.user.read".into();
        let table = [
            (FaultKind::Unauthenticated, Code::Unauthenticated),
            (FaultKind::MissingScope { scope }, Code::PermissionDenied),
            (FaultKind::Forbidden, Code::PermissionDenied),
            (FaultKind::NotFound, Code::NotFound),
            (FaultKind::Invalid, Code::InvalidArgument),
            (FaultKind::Conflict, Code::Aborted),
            (FaultKind::RateLimited { until }, Code::Unavailable),
            (FaultKind::Unavailable, Code::Unavailable),
            (FaultKind::Unchanged, Code::FailedPrecondition),
            (FaultKind::Refused, Code::FailedPrecondition),
            (FaultKind::Declined, Code::FailedPrecondition),
            (FaultKind::Unsupported, Code::Unimplemented),
            (FaultKind::Corrupt, Code::DataLoss),
            (FaultKind::Cancelled, Code::Cancelled),
            (FaultKind::Internal, Code::Internal),
            (FaultKind::Unknown, Code::Unknown),
        ];
        for (kind, code) in table {
            let fault = Fault::new(kind, "m").advise("a").because("secret detail");
            let status = status(&fault, until);
            assert_eq!(status.code(), code, "{fault:?}");
            assert_eq!(status.message(), "m; a");
            assert!(!String::from_utf8_lossy(status.details()).contains("secret"));
        }
    }

    #[test]
    fn every_remark_of_a_refusal_is_a_violation() {
        let remark = |rule, fix| Remark {
            rule,
            level: Level::Error,
            element: "email",
            column: "EmailAddress",
            source: "D501",
            text: "it is blank".to_owned(),
            fix,
        };
        let fault = Fault::new(FaultKind::Declined, "not ready").listing(vec![
            remark("email-blank", "fill it in"),
            remark("email-other", ""),
        ]);
        let status = status(&fault, Timestamp::UNIX_EPOCH);
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(status.get_details_error_info().unwrap().reason, "grant_cancelled");
        let violations = status.get_details_precondition_failure().unwrap().violations;
        let told: Vec<_> = violations
            .iter()
            .map(|one| {
                (
                    one.r#type.as_str(),
                    one.subject.as_str(),
                    one.description.as_str(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("email-blank", "email", "error: it is blank; fill it in (D501)"),
                ("email-other", "email", "error: it is blank (D501)"),
            ]
        );
    }

    #[test]
    fn a_policy_says_so_in_the_way_the_platform_reads() {
        let fault = Fault::new(FaultKind::Declined, "the group is inactive")
            .advise("allow it")
            .because("secret detail");
        let status = status(&fault, Timestamp::UNIX_EPOCH);
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.reason, "grant_cancelled");
        assert_eq!(info.domain, "github.com/conductorone/baton-sdk");
        let metadata: Vec<_> = info.metadata.into_iter().collect();
        assert_eq!(
            metadata,
            [("reason".to_owned(), "the group is inactive; allow it".to_owned())]
        );
    }

    #[test]
    fn a_rate_limit_says_when_to_come_back() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for (until, expected) in [
            ("2026-01-01T00:00:30.5Z", "2026-01-01T00:00:30.5Z"),
            ("2025-01-01T00:00:00Z", "2026-01-01T00:00:01Z"),
        ] {
            let until = until.parse().unwrap();
            let status = status(&Fault::new(FaultKind::RateLimited { until }, "slow down"), now);
            let details = tonic_types::Status::decode(status.details()).unwrap();
            assert_eq!(details.code, 14);
            assert_eq!(
                details.details[0].type_url,
                "type.googleapis.com/c1.connector.v2.RateLimitDescription"
            );
            let limit: RateLimitDescription = proto::annotation(&details.details).unwrap();
            assert!(limit.status() == rate_limit_description::Status::Overlimit);
            assert_eq!(limit.remaining, 0);
            let reset = limit.reset_at.unwrap();
            let expected: Timestamp = expected.parse().unwrap();
            assert_eq!(Timestamp::new(reset.seconds, reset.nanos).unwrap(), expected);
        }
    }
}
