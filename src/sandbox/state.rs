//! What all connections of one sandbox share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::config::{Readings, SandboxConfig};
use super::faults::{FaultAction, FaultPlan, Faults};
use super::oauth::OauthServer;
use super::stats::{RequestKind, Stats};
use super::store::Store;
use super::tenant::Tenant;

/// The running tenant.
pub(super) struct State {
    pub(super) store: Store,
    pub(super) oauth: OauthServer,
    pub(super) page_cap: usize,
    pub(super) latency: Duration,
    readings: RwLock<Arc<Readings>>,
    faults: Mutex<FaultPlan>,
    stats: Mutex<Stats>,
    bucket: Option<Mutex<Bucket>>,
    in_flight: AtomicU64,
}

/// A lock whose holder panicked guards plain data all the same.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    pub(super) fn new(config: SandboxConfig) -> Self {
        Self {
            store: Store::new(Tenant::grow(&config)),
            oauth: OauthServer::new(&config),
            page_cap: config.page_cap.max(1),
            latency: Duration::from_millis(config.latency_ms),
            readings: RwLock::new(Arc::new(config.readings)),
            faults: Mutex::new(FaultPlan::new(config.faults)),
            stats: Mutex::default(),
            bucket: config
                .rate
                .map(|rate| Mutex::new(Bucket::new(rate, config.burst))),
            in_flight: AtomicU64::new(0),
        }
    }

    pub(super) fn readings(&self) -> Arc<Readings> {
        Arc::clone(&self.readings.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set_readings(&self, readings: Readings) {
        *self.readings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(readings);
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        *lock(&self.faults) = FaultPlan::new(faults);
    }

    pub(super) fn stats(&self) -> Stats {
        *lock(&self.stats)
    }

    pub(super) fn count(&self, kind: RequestKind) {
        lock(&self.stats).count(kind);
    }

    /// The fault for the next request, counted if there is one.
    pub(super) fn next_fault(&self, kind: RequestKind, path: &str) -> Option<FaultAction> {
        let fault = lock(&self.faults).next(kind, path)?;
        lock(&self.stats).faults += 1;
        Some(fault)
    }

    /// Takes a place in the rate limit's bucket; if it is full, says when there will be room.
    pub(super) fn admit(&self) -> Result<(), Duration> {
        let Some(bucket) = &self.bucket else { return Ok(()) };
        lock(bucket)
            .pour(Instant::now())
            .inspect_err(|_| lock(&self.stats).rejected += 1)
    }

    /// Counts a request as under way until the guard is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> InFlight {
        let now = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        let mut stats = lock(&self.stats);
        stats.peak_in_flight = stats.peak_in_flight.max(now);
        InFlight {
            state: Arc::clone(self),
        }
    }
}

/// A request under way.
pub(super) struct InFlight {
    state: Arc<State>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.state.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Coupa's leaky bucket: it holds `burst` requests and leaks `rate` of them per second.
struct Bucket {
    rate: f64,
    burst: f64,
    level: f64,
    at: Option<Instant>,
}

impl Bucket {
    fn new(rate: f64, burst: u32) -> Self {
        Self {
            rate: rate.max(0.001),
            burst: f64::from(burst.max(1)),
            level: 0.0,
            at: None,
        }
    }

    fn pour(&mut self, now: Instant) -> Result<(), Duration> {
        let gone = self
            .at
            .map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        self.at = Some(now);
        self.level = (self.level - gone * self.rate).max(0.0);
        let over = self.level + 1.0 - self.burst;
        if over > 0.0 {
            return Err(Duration::from_secs_f64(over / self.rate));
        }
        self.level += 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_bucket_takes_a_burst_and_then_the_rate() {
        let mut bucket = Bucket::new(25.0, 20);
        let start = Instant::now();
        let burst = (0..30).filter(|_| bucket.pour(start).is_ok()).count();
        assert_eq!(burst, 20);
        let wait = bucket.pour(start).unwrap_err();
        assert!((wait.as_secs_f64() - 0.04).abs() < 1e-6, "{wait:?}");
        let later = start + Duration::from_secs(1);
        assert_eq!(
            (0..30).filter(|_| bucket.pour(later).is_ok()).count(),
            20,
            "never more than the bucket holds"
        );
        let steady = (1..=100)
            .filter(|n| bucket.pour(later + Duration::from_millis(40 * n)).is_ok())
            .count();
        assert_eq!(steady, 100);
    }
}
