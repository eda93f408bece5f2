//! What all connections of one sandbox share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::barrier::{Barrier, Paused};
use super::change::Moment;
use super::config::SandboxConfig;
use super::edits::{Edit, UnknownReference};
use super::faults::{FaultPlan, Faults, Strike};
use super::gaps::Gaps;
use super::log::{Log, LogEntry};
use super::matching::{Marks, When};
use super::oauth::OauthServer;
use super::readings::Readings;
use super::risk_assess::{Job, RiskAssess};
use super::stats::{RequestKind, Stats};
use super::store::Store;
use super::tenant::Tenant;
use super::write::Command;

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
    log: Mutex<Log>,
    pub(super) barrier: Barrier,
    late: Mutex<Vec<Late>>,
    /// Requests so far, to Coupa's API and to the import; shared with Risk Assess, which waits by it.
    clock: Arc<AtomicU64>,
    started: Instant,
}

/// Something that happens after its request.
struct Late {
    /// Right before this request, by the clock.
    before: u64,
    deed: Deed,
}

/// What happens late.
enum Deed {
    Write {
        command: Command,
        readings: Arc<Readings>,
    },
    Import(Job),
}

/// A lock whose holder panicked guards plain data all the same.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    pub(super) fn new(config: SandboxConfig) -> Self {
        let tenant = Tenant::grow(&config);
        Self {
            clock: tenant.risk_assess.clock(),
            store: Store::new(tenant),
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
            log: Mutex::default(),
            barrier: Barrier::default(),
            late: Mutex::default(),
            started: Instant::now(),
        }
    }

    pub(super) fn readings(&self) -> Arc<Readings> {
        Arc::clone(&self.readings.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set_readings(&self, readings: Readings) {
        self.store.write().risk_assess.set_readings(readings.risk_assess);
        *self.readings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(readings);
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        self.oauth.set_setup(faults.setup.clone());
        *lock(&self.faults) = FaultPlan::new(faults);
    }

    pub(super) fn stats(&self) -> Stats {
        *lock(&self.stats)
    }

    /// Counts and logs an arrival; gives its number in the log.
    pub(super) fn arrived(&self, marks: &Marks, query: Option<&str>, body: Option<serde_json::Value>) -> u64 {
        lock(&self.stats).count(marks.kind);
        if marks.kind != RequestKind::Token {
            self.clock.fetch_add(1, Ordering::Relaxed);
        }
        let at = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        lock(&self.log).arrived(marks, query, body, at)
    }

    /// Notes the status with which a request is answered.
    pub(super) fn answered(&self, n: u64, status: http::StatusCode) {
        lock(&self.log).answered(n, status);
    }

    pub(super) fn log(&self) -> Vec<LogEntry> {
        lock(&self.log).entries()
    }

    pub(super) fn log_entry(&self, n: u64) -> Option<LogEntry> {
        lock(&self.log).entry(n).cloned()
    }

    pub(super) fn clear_log(&self) {
        lock(&self.log).clear();
    }

    /// The fault for the next request, counted if there is one.
    pub(super) fn next_fault(&self, marks: &Marks, n: u64) -> Option<Strike> {
        let strike = lock(&self.faults).next(marks)?;
        lock(&self.stats).faults += 1;
        lock(&self.log).struck(n);
        Some(strike)
    }

    /// What others change around the next request.
    pub(super) fn next_edits(&self, marks: &Marks) -> Vec<(When, Edit)> {
        lock(&self.faults).edits(marks)
    }

    /// Carries out those of `edits` that stand on this side of their request.
    pub(super) fn edit_on(&self, side: When, edits: &[(When, Edit)]) {
        for (_, edit) in edits.iter().filter(|(when, _)| *when == side) {
            // A script may name what this tenant does not have; then nobody edits it.
            let _ = self.edit(edit);
        }
    }

    pub(super) fn edit(&self, edit: &Edit) -> Result<(), UnknownReference> {
        let readings = self.readings();
        self.store.write().edit(edit, &readings, Moment::now())
    }

    /// Keeps a write until so many more requests have come.
    pub(super) fn postpone(&self, requests: u64, command: Command, readings: Arc<Readings>) {
        self.put_off(requests, Deed::Write { command, readings });
    }

    /// The same with a file for Risk Assess.
    pub(super) fn postpone_import(&self, requests: u64, job: Job) {
        self.put_off(requests, Deed::Import(job));
    }

    fn put_off(&self, requests: u64, deed: Deed) {
        let before = self.clock.load(Ordering::Relaxed) + requests;
        lock(&self.late).push(Late { before, deed });
    }

    /// Carries out what was kept until now.
    pub(super) fn land(&self) {
        let now = self.clock.load(Ordering::Relaxed);
        let due: Vec<Late> = lock(&self.late)
            .extract_if(.., |late| late.before <= now)
            .collect();
        for late in due {
            match late.deed {
                Deed::Write { command, readings } => command.land(&mut self.store.write(), &readings),
                Deed::Import(job) => self.risk_assess(|there| there.land(job)),
            }
        }
    }

    /// Looks at Risk Assess once everything has arrived there that is due.
    pub(super) fn risk_assess<T>(&self, with: impl FnOnce(&mut RiskAssess) -> T) -> T {
        let there = &mut self.store.write().risk_assess;
        there.settle_due();
        with(there)
    }

    pub(super) fn paused(&self) -> Paused {
        let held = *self.barrier.watch().borrow();
        Paused {
            armed: self.barrier.is_armed(),
            held: held.and_then(|n| self.log_entry(n)),
        }
    }

    pub(super) fn gaps(&self) -> Gaps {
        self.store.read().gaps.read(Instant::now())
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
