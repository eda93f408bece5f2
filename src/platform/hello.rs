//! The introduction: the first thing that the platform hears of us, and from which it learns what we can do.
//!
//! Invariant: it is made of what is known without asking Coupa, so it never waits for a tenant.

use std::time::Duration;

use tokio::time::sleep;
use tonic::{Code, Status};

use super::backoff;
use super::finish::Failure;
use super::port::{Platform, may_pass, told};
use super::task::TaskId;
use crate::connector::Connector;
use crate::model::fault::{Fault, FaultKind};

/// Tries of an introduction that a task asks for, and the pause between two.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(2);

/// Introduces the connector, for as long as it takes. Ends with a fault where the platform will not have us.
pub(super) async fn introduce(platform: &dyn Platform, connector: &Connector) -> Result<(), Fault> {
    let mut failures = 0;
    loop {
        let Err(status) = platform.hello(None, connector.metadata()).await else {
            return Ok(());
        };
        if !may_pass(status.code()) {
            return Err(fault(&status));
        }
        failures += 1;
        let wait = backoff::of_hello(failures, fastrand::f64());
        tracing::warn!(
            error = told(&status),
            wait = wait.as_secs_f64(),
            "the platform did not take the introduction; it is made again"
        );
        sleep(wait).await;
    }
}

/// Introduces the connector because a task asks for it. The introduction is the answer: a success needs no other.
pub(super) async fn again(
    platform: &dyn Platform,
    connector: &Connector,
    task: &TaskId,
) -> Result<(), Failure> {
    let mut tries = 1;
    loop {
        let Err(status) = platform.hello(Some(task), connector.metadata()).await else {
            return Ok(());
        };
        tracing::warn!(
            error = told(&status),
            tries,
            "the platform did not take the introduction"
        );
        if tries >= TRIES || !may_pass(status.code()) {
            return Err(Failure::passing(fault(&status)));
        }
        tries += 1;
        sleep(PAUSE).await;
    }
}

/// What the platform's no comes to; the process ends with its number.
fn fault(status: &Status) -> Fault {
    let kind = match status.code() {
        Code::Unauthenticated => FaultKind::Unauthenticated,
        Code::PermissionDenied => FaultKind::Forbidden,
        Code::InvalidArgument => FaultKind::Invalid,
        Code::Unimplemented => FaultKind::Unsupported,
        Code::FailedPrecondition => FaultKind::Refused,
        Code::NotFound => FaultKind::NotFound,
        _ => FaultKind::Unavailable,
    };
    let fault = Fault::new(kind, "the platform did not take the introduction").because(told(status));
    match status.code() {
        Code::Unauthenticated | Code::PermissionDenied | Code::NotFound => fault
            .advise("check client-id and client-secret, and that the connector still exists at the platform"),
        _ => fault.advise("the log has the platform's reason"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::fake::{FakePlatform, Rpc, connector, id};
    use super::*;
    use crate::cli::exit;

    #[tokio::test(start_paused = true)]
    async fn the_introduction_is_made_until_it_is_taken() {
        let platform = FakePlatform::new();
        platform.fails(Rpc::Hello, 4);
        introduce(&*platform, &connector()).await.unwrap();
        let seconds = platform.seconds_of(Rpc::Hello);
        let waits: Vec<u64> = seconds.windows(2).map(|pair| pair[1] - pair[0]).collect();
        for (wait, full) in waits.iter().zip([1, 2, 4, 8]) {
            assert!((full * 8 / 10..=full).contains(wait), "{waits:?}");
        }
        assert_eq!(waits.len(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_considered_no_ends_the_process_with_its_number() {
        for code in [
            Code::Unauthenticated,
            Code::PermissionDenied,
            Code::InvalidArgument,
            Code::Unimplemented,
            Code::FailedPrecondition,
            Code::NotFound,
        ] {
            let platform = FakePlatform::new();
            platform.fails_with(Rpc::Hello, 1, code);
            let fault = introduce(&*platform, &connector()).await.unwrap_err();
            assert_eq!(i32::from(exit::code(&fault)), code as i32);
            assert_eq!(platform.seconds_of(Rpc::Hello).len(), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_asks_for_it_is_tried_three_times() {
        for (failures, works) in [(0, true), (2, true), (3, false)] {
            let platform = FakePlatform::new();
            platform.fails(Rpc::Hello, failures);
            let outcome = again(&*platform, &connector(), &id(1)).await;
            assert_eq!(outcome.is_ok(), works, "{failures}");
        }
    }
}
