//! One pace for the whole process: so many requests per second, so many under way, and a pause for everyone when Coupa asks.
//!
//! Invariant: no request leaves without a turn, and a pause that Coupa asked of one request holds back all of them.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Jitter, Quota, RateLimiter};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::config::CoupaConfig;

/// Turns that come due together are spread over this time.
const SPREAD: Duration = Duration::from_millis(5);

/// Hands out permission to send.
pub(crate) struct Pace {
    limiter: DefaultDirectRateLimiter,
    slots: Semaphore,
    not_before: Mutex<Option<Instant>>,
}

impl Pace {
    pub(crate) fn new(config: &CoupaConfig) -> Self {
        let quota = Quota::per_second(config.requests_per_second).allow_burst(config.burst);
        Self {
            limiter: RateLimiter::direct(quota),
            slots: Semaphore::new(as_usize(config.max_in_flight)),
            not_before: Mutex::new(None),
        }
    }

    /// A place among the requests under way; free again when dropped.
    #[expect(clippy::expect_used, reason = "the semaphore is never closed")]
    pub(crate) async fn slot(&self) -> SemaphorePermit<'_> {
        self.slots.acquire().await.expect("open semaphore")
    }

    /// Waits until one request may be sent.
    pub(crate) async fn turn(&self) {
        loop {
            self.wait_out_pause().await;
            self.limiter.until_ready_with_jitter(Jitter::up_to(SPREAD)).await;
            // Coupa may have asked for a pause while we queued.
            if self.pause_end().is_none() {
                return;
            }
        }
    }

    /// Holds back every request for `time`; never shortens a pause.
    pub(crate) fn pause(&self, time: Duration) {
        let end = Instant::now() + time;
        let mut not_before = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        *not_before = Some(not_before.map_or(end, |earlier| earlier.max(end)));
    }

    async fn wait_out_pause(&self) {
        while let Some(end) = self.pause_end() {
            tokio::time::sleep_until(end).await;
        }
    }

    fn pause_end(&self) -> Option<Instant> {
        let mut not_before = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        *not_before = not_before.filter(|end| *end > Instant::now());
        *not_before
    }
}

fn as_usize(number: NonZeroU32) -> usize {
    usize::try_from(number.get()).unwrap_or(Semaphore::MAX_PERMITS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::sync::Arc;

    use super::super::endpoint::Endpoint;
    use super::*;

    fn pace(rate: u32, burst: u32, in_flight: u32) -> Pace {
        let endpoint = Endpoint::from_domain("acme.coupahost.com").unwrap();
        let mut config = CoupaConfig::new(endpoint, "id".into(), "secret".into());
        config.requests_per_second = NonZeroU32::new(rate).unwrap();
        config.burst = NonZeroU32::new(burst).unwrap();
        config.max_in_flight = NonZeroU32::new(in_flight).unwrap();
        Pace::new(&config)
    }

    #[tokio::test]
    async fn the_rate_holds_after_the_burst() {
        let pace = pace(20, 2, 8);
        let start = std::time::Instant::now();
        for _ in 0..6 {
            pace.turn().await;
        }
        // Two at once, then four at 50 ms each.
        assert!(
            start.elapsed() >= Duration::from_millis(190),
            "{:?}",
            start.elapsed()
        );
    }

    #[tokio::test]
    async fn slots_bound_what_is_under_way() {
        let pace = pace(25, 25, 2);
        let first = pace.slot().await;
        let _second = pace.slot().await;
        assert!(pace.slots.try_acquire().is_err());
        drop(first);
        assert!(pace.slots.try_acquire().is_ok());
    }

    #[tokio::test]
    async fn a_pause_holds_everyone_and_is_never_shortened() {
        let pace = Arc::new(pace(25, 25, 8));
        let start = Instant::now();
        pace.pause(Duration::from_millis(150));
        pace.pause(Duration::from_millis(10));
        let turns = (0..3).map(|_| {
            let pace = Arc::clone(&pace);
            tokio::spawn(async move {
                pace.turn().await;
                Instant::now()
            })
        });
        for turn in turns.collect::<Vec<_>>() {
            assert!(turn.await.unwrap() - start >= Duration::from_millis(150));
        }
    }
}
