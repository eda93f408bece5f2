//! How long to wait before the next read or the next attempt.
//!
//! Invariant: waits grow to a cap, never pass the end, and a tenant that says when to come back is obeyed or given up.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::model::fault::{Fault, FaultKind};

use super::config::ProvisionConfig;

/// The waits of one loop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits {
    next: Duration,
    longest: Duration,
    end: Instant,
}

impl Waits {
    pub(super) fn until(end: Instant, config: &ProvisionConfig) -> Self {
        Self {
            next: config.first_pause,
            longest: config.longest_pause,
            end,
        }
    }

    /// The next wait, cut at the end so that one look is taken there; `None` once the end is reached.
    pub(super) fn look_again(&mut self, now: Instant) -> Option<Duration> {
        let left = self.end.saturating_duration_since(now);
        if left.is_zero() {
            return None;
        }
        Some(self.grow().min(left))
    }

    /// The wait after a fault; `None` if it would pass the end.
    pub(super) fn try_again(&mut self, fault: Option<&Fault>, now: Instant) -> Option<Duration> {
        let asked = fault.map_or(Duration::ZERO, |fault| asked(fault, Timestamp::now()));
        let wait = self.grow().max(asked);
        (wait <= self.end.saturating_duration_since(now)).then_some(wait)
    }

    /// The next wait, whatever the end.
    pub(super) fn grow(&mut self) -> Duration {
        let wait = self.next;
        self.next = wait.saturating_mul(2).min(self.longest);
        wait
    }
}

/// How long the tenant asks to wait.
fn asked(fault: &Fault, now: Timestamp) -> Duration {
    match fault.kind() {
        FaultKind::RateLimited { until } => Duration::try_from(until.duration_since(now)).unwrap_or_default(),
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn waits(total: u64) -> (Waits, Instant) {
        let now = Instant::now();
        let config = ProvisionConfig::default();
        (Waits::until(now + Duration::from_secs(total), &config), now)
    }

    #[test]
    fn looks_end_exactly_at_the_end() {
        let (mut waits, mut now) = waits(10);
        let mut looks = 0;
        while let Some(wait) = waits.look_again(now) {
            now += wait;
            looks += 1;
        }
        assert_eq!(now, waits.end);
        assert_eq!(looks, 7, "0.2 0.4 0.8 1.6 3 3 and the rest");
    }

    #[test]
    fn a_tenant_that_asks_for_too_much_is_given_up() {
        let (mut waits, now) = waits(10);
        let limited = |seconds: i64| {
            let until = Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
            Fault::new(FaultKind::RateLimited { until }, "slow down")
        };
        let wait = waits.try_again(Some(&limited(5)), now).unwrap();
        assert!(wait > Duration::from_secs(4) && wait <= Duration::from_secs(5));
        assert_eq!(waits.try_again(Some(&limited(60)), now), None);
        assert!(waits.try_again(Some(&limited(-60)), now).unwrap() > Duration::ZERO);
    }
}
