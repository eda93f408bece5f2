//! The limiter service that a platform's runner asks before and after every unary call, as the runner configures it.
//!
//! Invariant: an answer always lets the runner go on: `STATUS_EMPTY` (no limit is known), `STATUS_OK`, or `STATUS_OVERLIMIT` with the time at
//! which to ask again. Any other status would make the runner skip the call, and a failing `Report` would hide the call's own error. The pace
//! towards Coupa is kept by the Coupa client in any case.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tonic::{Request, Response, async_trait};

use super::call::Reply;
use crate::model::fault::{Fault, FaultKind};
use crate::proto::ratelimit as rl;
use crate::proto::ratelimit::rate_limit_description::Status;
use crate::proto::ratelimit::rate_limiter_config::Type;
use crate::proto::ratelimit::rate_limiter_service_server::RateLimiterService;

/// What a runner may want its calls to be limited by.
#[derive(Debug)]
pub(super) enum Limiter {
    /// Nothing.
    Off,
    /// So many calls per window of time.
    Fixed(Mutex<Window>),
    /// A share of what the reports say is left.
    Sliding(Mutex<Share>),
}

impl Limiter {
    /// The limiter that a runner asks for; none if it says nothing.
    pub(super) fn of(config: Option<rl::RateLimiterConfig>) -> Result<Self, Fault> {
        match config.and_then(|config| config.r#type) {
            None | Some(Type::Disabled(_)) => Ok(Self::Off),
            Some(Type::FixedMem(fixed)) => Window::of(&fixed).map(|window| Self::Fixed(Mutex::new(window))),
            Some(Type::SlidingMem(sliding)) => {
                Share::of(sliding).map(|share| Self::Sliding(Mutex::new(share)))
            }
            Some(Type::External(_)) => Err(Fault::new(
                FaultKind::Unsupported,
                "the runner wants its calls limited by an external service, which a child does not offer",
            )
            .advise("let the runner limit in memory, or not at all")),
        }
    }

    fn ask(&self, now: Timestamp) -> rl::RateLimitDescription {
        match self {
            Self::Off => empty(),
            Self::Fixed(window) => lock(window).ask(now),
            Self::Sliding(share) => lock(share).ask(now),
        }
    }

    fn report(&self, description: &rl::RateLimitDescription) {
        match self {
            // What a window lets through does not depend on how calls went.
            Self::Off | Self::Fixed(_) => {}
            Self::Sliding(share) => lock(share).report(description),
        }
    }
}

/// Numbers only are behind these locks; whoever panicked left them whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls of one window of time: as many as the rate go, the rest waits for the next window.
#[derive(Debug)]
pub(super) struct Window {
    rate: i64,
    period: Duration,
    start: Timestamp,
    count: i64,
}

impl Window {
    fn of(config: &rl::FixedMemoryLimiter) -> Result<Self, Fault> {
        // Negative ones are no durations.
        match Duration::try_from(config.period.unwrap_or_default()) {
            Ok(period) if config.rate > 0 && !period.is_zero() => Ok(Self {
                rate: config.rate,
                period,
                start: Timestamp::MIN,
                count: 0,
            }),
            _ => Err(Fault::invalid(
                "the runner's fixed rate limit needs a rate and a period above zero",
            )),
        }
    }

    fn ask(&mut self, now: Timestamp) -> rl::RateLimitDescription {
        // A clock that was put back must not make a window last forever.
        if now < self.start || now >= self.end() {
            self.start = now;
            self.count = 0;
        }
        let status = if self.count < self.rate {
            self.count += 1;
            Status::Ok
        } else {
            Status::Overlimit
        };
        rl::RateLimitDescription {
            status: status.into(),
            limit: self.rate,
            remaining: self.rate - self.count,
            count: self.count,
            reset_at: Some(wire(self.end())),
        }
    }

    fn end(&self) -> Timestamp {
        self.start.saturating_add(self.period).unwrap_or(Timestamp::MAX)
    }
}

/// A share of the upstream's own limit, of which reports tell. Nothing is known before the first report and after the reset it names.
#[derive(Debug)]
pub(super) struct Share {
    /// 0 to 1.
    share: f64,
    known: Option<Known>,
}

/// What the last report said, less the calls that went since.
#[derive(Debug)]
struct Known {
    limit: i64,
    /// Calls of `limit` that are not for us.
    spared: i64,
    remaining: i64,
    reset_at: Timestamp,
}

impl Share {
    fn of(config: rl::SlidingMemoryLimiter) -> Result<Self, Fault> {
        // Zero is what a message says that says nothing.
        let share = if config.use_percent == 0.0 {
            1.0
        } else {
            config.use_percent
        };
        if (0.0..=1.0).contains(&share) {
            Ok(Self { share, known: None })
        } else {
            Err(Fault::invalid(
                "the runner's sliding rate limit needs a share between 0 and 1",
            ))
        }
    }

    fn ask(&mut self, now: Timestamp) -> rl::RateLimitDescription {
        if self.known.as_ref().is_some_and(|known| now >= known.reset_at) {
            self.known = None;
        }
        let Some(known) = &mut self.known else {
            return empty();
        };
        let status = if known.remaining > known.spared {
            known.remaining -= 1;
            Status::Ok
        } else {
            Status::Overlimit
        };
        rl::RateLimitDescription {
            status: status.into(),
            limit: known.limit - known.spared,
            remaining: (known.remaining - known.spared).max(0),
            count: known.limit - known.remaining,
            reset_at: Some(wire(known.reset_at)),
        }
    }

    fn report(&mut self, said: &rl::RateLimitDescription) {
        let remaining = match said.status() {
            Status::Ok => said.remaining,
            Status::Overlimit => 0,
            Status::Unspecified | Status::Error | Status::Empty => return,
        };
        let Some(reset_at) = said.reset_at.and_then(read) else {
            return;
        };
        if said.limit > 0 {
            self.known = Some(Known {
                limit: said.limit,
                spared: spared(said.limit, self.share),
                remaining,
                reset_at,
            });
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a share of a number of calls; one more or less is nothing, and casts saturate"
)]
fn spared(limit: i64, share: f64) -> i64 {
    limit - (limit as f64 * share).floor() as i64
}

fn empty() -> rl::RateLimitDescription {
    rl::RateLimitDescription {
        status: Status::Empty.into(),
        ..Default::default()
    }
}

fn wire(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.as_second(),
        nanos: time.subsec_nanosecond(),
    }
}

fn read(time: prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(time.seconds, time.nanos).ok()
}

#[async_trait]
impl RateLimiterService for Limiter {
    async fn r#do(&self, request: Request<rl::DoRequest>) -> Reply<rl::DoResponse> {
        Ok(Response::new(rl::DoResponse {
            request_token: request.into_inner().request_token,
            description: Some(self.ask(Timestamp::now())),
        }))
    }

    async fn report(&self, request: Request<rl::ReportRequest>) -> Reply<rl::ReportResponse> {
        if let Some(description) = &request.get_ref().description {
            Self::report(self, description);
        }
        Ok(Response::new(rl::ReportResponse {}))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    const OK: &str = "STATUS_OK";
    const OVER: &str = "STATUS_OVERLIMIT";
    const EMPTY: &str = "STATUS_EMPTY";

    fn limiter(config: Type) -> Result<Limiter, Fault> {
        Limiter::of(Some(rl::RateLimiterConfig { r#type: Some(config) }))
    }

    fn fixed(rate: i64, seconds: i64, nanos: i32) -> Result<Limiter, Fault> {
        limiter(Type::FixedMem(rl::FixedMemoryLimiter {
            rate,
            period: Some(prost_types::Duration { seconds, nanos }),
        }))
    }

    fn sliding(use_percent: f64) -> Result<Limiter, Fault> {
        limiter(Type::SlidingMem(rl::SlidingMemoryLimiter { use_percent }))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::new(1_000_000 + second, 0).unwrap()
    }

    fn report(limiter: &Limiter, status: Status, limit: i64, remaining: i64, reset_at: Option<i64>) {
        limiter.report(&rl::RateLimitDescription {
            status: status.into(),
            limit,
            remaining,
            count: 0,
            reset_at: reset_at.map(|second| wire(at(second))),
        });
    }

    /// Answers to as many calls at the same time.
    fn burst(limiter: &Limiter, second: i64, calls: usize) -> Vec<&'static str> {
        let ask = || limiter.ask(at(second)).status().as_str_name();
        (0..calls).map(|_| ask()).collect()
    }

    #[test]
    fn without_a_limit_nothing_is_in_the_way() {
        for limiter in [
            Limiter::of(None).unwrap(),
            Limiter::of(Some(rl::RateLimiterConfig { r#type: None })).unwrap(),
            limiter(Type::Disabled(rl::DisabledLimiter {})).unwrap(),
        ] {
            report(&limiter, Status::Overlimit, 5, 0, Some(60));
            assert_eq!(burst(&limiter, 0, 3), [EMPTY; 3]);
        }
    }

    #[test]
    fn a_window_lets_its_rate_through_and_says_when_the_next_one_begins() {
        let limiter = fixed(2, 10, 0).unwrap();
        let first = limiter.ask(at(0));
        assert_eq!(
            (first.status().as_str_name(), first.remaining, first.count),
            (OK, 1, 1)
        );
        assert_eq!(burst(&limiter, 4, 1), [OK]);
        let over = limiter.ask(at(9));
        assert_eq!(
            (over.status().as_str_name(), over.limit, over.remaining),
            (OVER, 2, 0)
        );
        assert_eq!(over.reset_at.and_then(read), Some(at(10)));
        assert_eq!(burst(&limiter, 10, 3), [OK, OK, OVER]);
        // The clock is put back.
        assert_eq!(burst(&limiter, -500, 1), [OK]);
    }

    #[test]
    fn a_share_spares_the_rest_for_others() {
        let limiter = sliding(0.5).unwrap();
        assert_eq!(burst(&limiter, 0, 2), [EMPTY; 2], "nothing is known yet");
        report(&limiter, Status::Ok, 10, 7, Some(60));
        assert_eq!(burst(&limiter, 1, 3), [OK, OK, OVER]);
        let over = limiter.ask(at(2));
        assert_eq!((over.limit, over.remaining, over.count), (5, 0, 5));
        assert_eq!(over.reset_at.and_then(read), Some(at(60)));
        assert_eq!(
            burst(&limiter, 60, 1),
            [EMPTY],
            "nothing is known of the next window"
        );
        report(&limiter, Status::Overlimit, 10, 9, Some(90));
        assert_eq!(burst(&limiter, 61, 1), [OVER]);
    }

    #[test]
    fn reports_that_say_nothing_change_nothing() {
        let limiter = sliding(0.0).unwrap();
        for (status, limit, reset_at) in [
            (Status::Unspecified, 10, Some(60)),
            (Status::Error, 10, Some(60)),
            (Status::Empty, 10, Some(60)),
            (Status::Overlimit, 10, None),
            (Status::Overlimit, 0, Some(60)),
        ] {
            report(&limiter, status, limit, 0, reset_at);
            assert_eq!(burst(&limiter, 0, 1), [EMPTY], "{}", status.as_str_name());
        }
        report(&limiter, Status::Ok, 10, 1, Some(60));
        assert_eq!(burst(&limiter, 0, 2), [OK, OVER]);
    }

    #[test]
    fn limits_that_cannot_be_kept_are_refused() {
        let kind = |limiter: Result<Limiter, Fault>| match limiter {
            Ok(limiter) => panic!("{limiter:?}"),
            Err(fault) => fault.kind().clone(),
        };
        assert_eq!(
            kind(limiter(Type::External(rl::ExternalLimiter::default()))),
            FaultKind::Unsupported
        );
        for limiter in [fixed(0, 1, 0), fixed(1, 0, 0), fixed(1, -1, 0), fixed(1, 0, -5)] {
            assert_eq!(kind(limiter), FaultKind::Invalid);
        }
        for share in [-0.1, 1.1, f64::NAN] {
            assert_eq!(kind(sliding(share)), FaultKind::Invalid);
        }
        assert!(fixed(1, 0, 1).is_ok() && sliding(1.0).is_ok());
    }
}
