//! Exit codes: the gRPC number of what went wrong, as in the ecosystem, and three fixed ones.

use crate::model::fault::{Fault, FaultKind};

/// Success, help, version, and a server that was told to stop.
pub const SUCCESS: u8 = 0;
/// A one-shot sync that was interrupted (gRPC: canceled).
pub const INTERRUPTED: u8 = 1;
/// Usage, configuration, and what nobody can tell the kind of (gRPC: unknown, which the ecosystem uses for them).
pub const USAGE: u8 = 2;

/// The exit code of a run that ended with `fault`; never 0, and 16 or 7 where the credentials are at fault.
pub const fn code(fault: &Fault) -> u8 {
    match fault.kind() {
        FaultKind::Cancelled => INTERRUPTED,
        FaultKind::Unknown => USAGE,
        FaultKind::Invalid => 3,
        FaultKind::NotFound => 5,
        FaultKind::MissingScope { .. } | FaultKind::Forbidden => 7,
        FaultKind::Refused | FaultKind::Declined | FaultKind::Unchanged => 9,
        FaultKind::Conflict => 10,
        FaultKind::Unsupported => 12,
        FaultKind::Internal => 13,
        FaultKind::RateLimited { .. } | FaultKind::Unavailable => 14,
        FaultKind::Corrupt => 15,
        FaultKind::Unauthenticated => 16,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tonic::Code;

    use super::*;

    #[test]
    fn codes_are_grpc_numbers() {
        let scope = "core.user.read".into();
        for (kind, expected) in [
            (FaultKind::Cancelled, Code::Cancelled),
            (FaultKind::Invalid, Code::InvalidArgument),
            (FaultKind::NotFound, Code::NotFound),
            (FaultKind::MissingScope { scope }, Code::PermissionDenied),
            (FaultKind::Forbidden, Code::PermissionDenied),
            (FaultKind::Refused, Code::FailedPrecondition),
            (FaultKind::Declined, Code::FailedPrecondition),
            (FaultKind::Unchanged, Code::FailedPrecondition),
            (FaultKind::Conflict, Code::Aborted),
            (FaultKind::Unsupported, Code::Unimplemented),
            (FaultKind::Internal, Code::Internal),
            (FaultKind::Unknown, Code::Unknown),
            (
                FaultKind::RateLimited {
                    until: Timestamp::UNIX_EPOCH,
                },
                Code::Unavailable,
            ),
            (FaultKind::Unavailable, Code::Unavailable),
            (FaultKind::Corrupt, Code::DataLoss),
            (FaultKind::Unauthenticated, Code::Unauthenticated),
        ] {
            assert_eq!(
                i32::from(code(&Fault::new(kind.clone(), "x"))),
                expected as i32,
                "{kind:?}"
            );
        }
        assert_eq!(i32::from(USAGE), Code::Unknown as i32);
    }
}
