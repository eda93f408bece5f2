//! One pace for the whole process: so many requests per second, so many under way, and, when Coupa asks to slow down, a pause
//! for everyone and a lower rate for a while after it.
//!
//! Invariant: no request leaves without a turn, and a pause that Coupa asked of one request holds back all of them.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Jitter, Quota, RateLimiter};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::config::CoupaConfig;

/// Turns that come due together are spread over this time.
const SPREAD: Duration = Duration::from_millis(5);

/// After this time without another request to slow down, the rate is doubled again.
const EASE: Duration = Duration::from_secs(10);

/// Hands out permission to send.
pub(crate) struct Pace {
    limiter: DefaultDirectRateLimiter,
    burst: NonZeroU32,
    slots: Semaphore,
    hold: Mutex<Hold>,
}

/// What Coupa's requests to slow down have left behind.
#[derive(Debug, Default)]
struct Hold {
    not_before: Option<Instant>,
    /// The rate is halved so often.
    steps: u32,
    /// Since when nothing has changed about that.
    since: Option<Instant>,
}

impl Hold {
    /// The rate is halved at most so often: 20 requests per second become 2.5.
    const MOST: u32 = 3;

    /// No request for `time`; never shortens a pause. What comes during a pause was sent before it and halves nothing.
    fn pause(&mut self, time: Duration, now: Instant) {
        self.ease(now);
        if self.pause_end(now).is_none() {
            self.steps = (self.steps + 1).min(Self::MOST);
        }
        self.since = Some(now);
        let end = now + time;
        self.not_before = Some(self.not_before.map_or(end, |earlier| earlier.max(end)));
    }

    fn pause_end(&mut self, now: Instant) -> Option<Instant> {
        self.not_before = self.not_before.filter(|end| *end > now);
        self.not_before
    }

    /// How many ordinary turns one turn costs.
    fn price(&mut self, now: Instant) -> u32 {
        self.ease(now);
        1 << self.steps
    }

    fn ease(&mut self, now: Instant) {
        while let Some(since) = self.since.filter(|since| *since + EASE <= now) {
            self.steps = self.steps.saturating_sub(1);
            self.since = (self.steps > 0).then_some(since + EASE);
        }
    }
}

impl Pace {
    pub(crate) fn new(config: &CoupaConfig) -> Self {
        let quota = Quota::per_second(config.requests_per_second).allow_burst(config.burst);
        Self {
            limiter: RateLimiter::direct(quota),
            burst: config.burst,
            slots: Semaphore::new(as_usize(config.max_in_flight)),
            hold: Mutex::default(),
        }
    }

    /// A place among the requests under way; free again when dropped.
    #[expect(clippy::expect_used, reason = "the semaphore is never closed")]
    pub(crate) async fn slot(&self) -> SemaphorePermit<'_> {
        self.slots.acquire().await.expect("open semaphore")
    }

    /// Waits until one request may be sent.
    #[expect(clippy::expect_used, reason = "a price is never above the burst")]
    pub(crate) async fn turn(&self) {
        loop {
            self.wait_out_pause().await;
            let price = self.price();
            self.limiter
                .until_n_ready_with_jitter(price, Jitter::up_to(SPREAD))
                .await
                .expect("a price within the burst");
            // Coupa may have asked for a pause while we queued.
            if self.hold().pause_end(Instant::now()).is_none() {
                return;
            }
        }
    }

    /// Holds back every request for `time`, and lowers the rate for a while after it.
    pub(crate) fn pause(&self, time: Duration) {
        self.hold().pause(time, Instant::now());
    }

    fn price(&self) -> NonZeroU32 {
        let price = self.hold().price(Instant::now());
        NonZeroU32::new(price).map_or(NonZeroU32::MIN, |price| price.min(self.burst))
    }

    async fn wait_out_pause(&self) {
        loop {
            let end = self.hold().pause_end(Instant::now());
            match end {
                Some(end) => tokio::time::sleep_until(end).await,
                None => return,
            }
        }
    }

    fn hold(&self) -> MutexGuard<'_, Hold> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[tokio::test]
    async fn the_rate_is_lower_after_a_pause() {
        let pace = pace(20, 2, 8);
        pace.pause(Duration::from_millis(1));
        let start = std::time::Instant::now();
        for _ in 0..4 {
            pace.turn().await;
        }
        // One at once, then three at 100 ms each instead of two at 50 ms.
        assert!(
            start.elapsed() >= Duration::from_millis(290),
            "{:?}",
            start.elapsed()
        );
    }

    #[test]
    fn the_rate_falls_with_each_pause_and_recovers_step_by_step() {
        let start = Instant::now();
        let mut hold = Hold::default();
        assert_eq!(hold.price(start), 1);
        let second = Duration::from_secs(1);
        hold.pause(second, start);
        // Eight requests were under way when the first was refused.
        (0..7).for_each(|_| hold.pause(second, start));
        assert_eq!(hold.price(start + second), 2);
        for (at, price) in [(2, 4), (4, 8), (6, 8)] {
            hold.pause(second, start + second * at);
            assert_eq!(hold.price(start + second * at), price);
        }
        let last = start + second * 6;
        for (later, price) in [(9, 8), (10, 4), (19, 4), (20, 2), (30, 1), (99, 1)] {
            assert_eq!(hold.price(last + second * later), price, "after {later} s");
        }
        hold.pause(second, last + second * 100);
        assert_eq!(hold.price(last + second * 100), 2, "as the first time");
    }
}
