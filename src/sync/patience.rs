//! How long a call that fails for the moment is repeated.
//!
//! Invariant: every wait is bounded, and so is their sum; attempts are counted per call, so an early hiccup does not slow down
//! later work.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::fault::{Fault, FaultKind};

/// Bounds of the waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The n-th wait takes n times this long.
    pub step: Duration,
    /// No wait is longer, whatever the tenant asks for.
    pub longest: Duration,
    /// A call gives up before its waits pass this sum.
    pub total: Duration,
}

impl Default for Patience {
    /// 1, 2, 3 ... 60 seconds as the ecosystem's syncer waits, and 15 minutes at most.
    fn default() -> Self {
        Self {
            step: Duration::from_secs(1),
            longest: Duration::from_mins(1),
            total: Duration::from_mins(15),
        }
    }
}

/// Makes a call, again and again while it fails for the moment, within `patience`.
pub(super) async fn patiently<T, F>(patience: Patience, mut call: impl FnMut() -> F) -> Result<T, Fault>
where
    F: Future<Output = Result<T, Fault>>,
{
    let mut waits = Waits::new(patience);
    loop {
        let fault = match call().await {
            Ok(answer) => return Ok(answer),
            Err(fault) => fault,
        };
        let Some(wait) = waits.after(&fault, Timestamp::now()) else {
            return Err(fault);
        };
        tracing::warn!(error = ?fault, wait = wait.as_secs_f64(), "retrying operation");
        tokio::time::sleep(wait).await;
    }
}

/// The waits of one call.
struct Waits {
    patience: Patience,
    attempts: u32,
    waited: Duration,
}

impl Waits {
    const fn new(patience: Patience) -> Self {
        Self {
            patience,
            attempts: 0,
            waited: Duration::ZERO,
        }
    }

    /// How long to wait after `fault`; `None` if the call is not to be repeated.
    fn after(&mut self, fault: &Fault, now: Timestamp) -> Option<Duration> {
        if !fault.is_transient() {
            return None;
        }
        self.attempts += 1;
        let Patience { step, longest, total } = self.patience;
        let wait = match fault.kind() {
            FaultKind::RateLimited { until } => Duration::try_from(until.duration_since(now))
                .unwrap_or_default()
                .max(step),
            _ => step.saturating_mul(self.attempts),
        }
        .min(longest);
        let waited = self.waited.saturating_add(wait);
        if waited > total {
            return None;
        }
        self.waited = waited;
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn waits_grow_to_the_cap_and_end() {
        let fault = Fault::unavailable("down");
        let mut waits = Waits::new(Patience::default());
        let taken: Vec<Duration> =
            std::iter::from_fn(|| waits.after(&fault, Timestamp::UNIX_EPOCH)).collect();
        assert_eq!(taken[..3], [secs(1), secs(2), secs(3)]);
        assert_eq!(
            *taken.iter().max().unwrap(),
            secs(41),
            "1 + 2 + ... + 41 is the last sum within 900 s"
        );
        assert!(taken.iter().sum::<Duration>() <= secs(900));
    }

    #[test]
    fn a_rate_limit_says_how_long_within_bounds() {
        let now = Timestamp::UNIX_EPOCH;
        let limited = |seconds: i64| {
            let until = Timestamp::from_second(seconds).unwrap();
            Fault::new(FaultKind::RateLimited { until }, "slow down")
        };
        let wait = |seconds| Waits::new(Patience::default()).after(&limited(seconds), now);
        assert_eq!(wait(7), Some(secs(7)));
        assert_eq!(wait(-100), Some(secs(1)), "never a busy loop");
        assert_eq!(wait(25_740), Some(secs(60)));
    }

    #[test]
    fn what_waiting_does_not_mend_is_not_repeated() {
        let mut waits = Waits::new(Patience::default());
        for fault in [
            Fault::internal("x"),
            Fault::corrupt("x"),
            Fault::new(FaultKind::NotFound, "x"),
        ] {
            assert_eq!(waits.after(&fault, Timestamp::UNIX_EPOCH), None);
        }
    }
}
