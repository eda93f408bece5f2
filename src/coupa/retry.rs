//! What is tried again, how often and after which wait: the one place that decides it.
//!
//! # The table, in words
//!
//! The table is that of reads. A write is sent again only for another token, at once or after the lag of a new one: whoever decides
//! on writes must read again before he repeats anything that waited, and *Coupa did not act* tells him whether he must also look what
//! came of it. Waits double from [`Timeouts::first_wait`] and are cut to between a half
//! and the whole of that, at random, so that parallel calls do not come back together; no wait is longer than
//! [`Timeouts::longest_wait`], and a call whose next wait would end after [`Timeouts::patience`] is given up. The counts belong to
//! one call: trouble of one call never spends the tries of another.
//!
//! | what happened | tried again | Coupa did not act | why |
//! |---|---|---|---|
//! | 401, token renewed meanwhile | at once, 3 times | yes | another call was faster |
//! | 401, token a few seconds old | after 1, 2, 4, 4 ... waits, 8 times | yes | a new token needs some seconds to be known (Coupa: 5 s) |
//! | 401, older token | once, with a new token | yes | expired or revoked |
//! | 403, 404, 400, 409, 422, other 4xx | no | yes | asking again changes nothing |
//! | 3xx | no | yes | a redirect is never followed: the token would go to another host |
//! | 408, 500, 501 and others from 500 | 5 times | no | often passing; a constant 500 must not stall a probe |
//! | 502, 503, 504 | while patient | no | restart or overload; `Retry-After` is honoured |
//! | 429 | while patient | yes | `Retry-After` is honoured; all calls of the process wait |
//! | host name unknown | twice | yes | a resolver hiccup, or a wrong domain that should be told soon |
//! | connection refused or impossible | 4 times | yes | restart of a proxy |
//! | TLS failure | no | yes | a certificate does not heal in seconds |
//! | no answer in time | 3 times | no | one hung request must not end a sync, and each costs a minute |
//! | connection lost before the answer | 6 times | no | |
//! | answer cut off | 6 times | no | the framing or the JSON ends early |
//! | not JSON, status 200 | 3 times | no | a proxy's or a maintenance page |
//! | GraphQL `errors` without `data` | no | yes | the document or the access is wrong |
//! | GraphQL `errors` beside `data` | 3 times | yes | something inside failed; partial data is never used |
//! | body larger than the cap | no | no | it would be as large again |
//! | JSON of another form, paging that goes nowhere | no | no | what is there is not what we understand |
//! | conditions not heeded | no | yes | a longer listing would not be heeded either |
//! | no token to be had | no | yes | the token request has been through this table itself |
//! | a write's turn came too late | no | yes | what it carries may have grown old |

use std::time::Duration;

use crate::model::change::Acted;

use super::config::Timeouts;
use super::trouble::{Failure, Trouble};

/// Whether a request may reach Coupa twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Twice is as good as once: every read.
    Harmless,
    /// Only when Coupa did not even look at it, since it did not know the token: every write.
    OnlyIfUnseen,
}

/// How often one kind of trouble is answered by another try, within one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    Never,
    Times(u32),
    WhilePatient,
}

/// How long to wait before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    None,
    Doubling,
    /// 1, 2, 4, 4, 4 ... first waits, without dice: Coupa's lag is a fixed time.
    Lag,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule(Again, Wait, Acted);

/// The table; its rows are explained in the module's text.
#[rustfmt::skip]
#[expect(clippy::match_same_arms, reason = "one arm for each row of the table")]
const fn rule(trouble: &Trouble) -> Rule {
    use Again::{Never, Times, WhilePatient};
    match trouble {
        Trouble::TokenSuperseded                 => Rule(Times(3),     Wait::None,     Acted::No),
        Trouble::TokenTooFresh                   => Rule(Times(8),     Wait::Lag,      Acted::No),
        Trouble::TokenRefused                    => Rule(Times(1),     Wait::None,     Acted::No),
        Trouble::Forbidden | Trouble::NotFound
        | Trouble::Rejected(_)                   => Rule(Never,        Wait::None,     Acted::No),
        Trouble::Redirect(_)                     => Rule(Never,        Wait::None,     Acted::No),
        Trouble::Server { status: 502..=504, .. } => Rule(WhilePatient, Wait::Doubling, Acted::Perhaps),
        Trouble::Server { .. }                   => Rule(Times(5),     Wait::Doubling, Acted::Perhaps),
        Trouble::TooMany { .. }                  => Rule(WhilePatient, Wait::Doubling, Acted::No),
        Trouble::UnknownHost                     => Rule(Times(2),     Wait::Doubling, Acted::No),
        Trouble::Unreachable                     => Rule(Times(4),     Wait::Doubling, Acted::No),
        Trouble::Tls(_)                          => Rule(Never,        Wait::None,     Acted::No),
        Trouble::Timeout                         => Rule(Times(3),     Wait::Doubling, Acted::Perhaps),
        Trouble::Lost | Trouble::CutOff          => Rule(Times(6),     Wait::Doubling, Acted::Perhaps),
        Trouble::NotJson                         => Rule(Times(3),     Wait::Doubling, Acted::Perhaps),
        Trouble::GraphqlRefused { .. }           => Rule(Never,        Wait::None,     Acted::No),
        Trouble::GraphqlPartial                  => Rule(Times(3),     Wait::Doubling, Acted::No),
        Trouble::TooLarge                        => Rule(Never,        Wait::None,     Acted::Perhaps),
        Trouble::Shape { .. } | Trouble::Endless => Rule(Never,        Wait::None,     Acted::Perhaps),
        Trouble::Unheeded                        => Rule(Never,        Wait::None,     Acted::No),
        Trouble::NoToken(_) | Trouble::Ours
        | Trouble::Late                          => Rule(Never,        Wait::None,     Acted::No),
    }
}

/// Whether Coupa may have acted on a request that failed this way.
pub(crate) const fn acted(trouble: &Trouble) -> Acted {
    rule(trouble).2
}

/// Whether the request was turned away for its token, before anything in it was looked at.
const fn concerns_token(trouble: &Trouble) -> bool {
    matches!(
        trouble,
        Trouble::TokenSuperseded | Trouble::TokenTooFresh | Trouble::TokenRefused
    )
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Send again after the wait.
    Again(Duration),
    /// Send again after the wait, and let no other request out before.
    AgainAllWait(Duration),
    /// Tell the caller.
    GiveUp,
}

/// The tries of one call.
#[derive(Debug)]
pub(crate) struct Tries {
    timeouts: Timeouts,
    repeat: Repeat,
    failures: u32,
    by_kind: Vec<(std::mem::Discriminant<Trouble>, u32)>,
}

impl Tries {
    pub(crate) const fn new(timeouts: Timeouts, repeat: Repeat) -> Self {
        Self {
            timeouts,
            repeat,
            failures: 0,
            by_kind: Vec::new(),
        }
    }

    /// Judges a failure of the call that began `elapsed` ago. `dice` lies between 0 and 1.
    pub(crate) fn after(&mut self, trouble: &Trouble, elapsed: Duration, dice: f64) -> Verdict {
        let Rule(again, wait, _) = rule(trouble);
        let of_this_kind = self.count(trouble);
        let allowed = match again {
            Again::Never => false,
            Again::Times(times) => of_this_kind <= times,
            Again::WhilePatient => true,
        } && (self.repeat == Repeat::Harmless || concerns_token(trouble));
        let wait = trouble
            .retry_after()
            .unwrap_or_else(|| match wait {
                Wait::None => Duration::ZERO,
                Wait::Doubling => self.doubled(self.failures - 1).mul_f64(0.5 + dice / 2.0),
                Wait::Lag => self.doubled((of_this_kind - 1).min(2)),
            })
            .min(self.timeouts.longest_wait);
        if !allowed || elapsed + wait > self.timeouts.patience {
            return Verdict::GiveUp;
        }
        match trouble {
            Trouble::TooMany { .. } => Verdict::AgainAllWait(wait),
            _ => Verdict::Again(wait),
        }
    }

    fn count(&mut self, trouble: &Trouble) -> u32 {
        self.failures += 1;
        let kind = std::mem::discriminant(trouble);
        if let Some((_, count)) = self.by_kind.iter_mut().find(|(known, _)| *known == kind) {
            *count += 1;
            return *count;
        }
        self.by_kind.push((kind, 1));
        1
    }

    fn doubled(&self, times: u32) -> Duration {
        let factor = 2_u32.saturating_pow(times);
        self.timeouts
            .first_wait
            .saturating_mul(factor)
            .min(self.timeouts.longest_wait)
    }
}

/// Reads a `Retry-After` header: seconds or an HTTP date, seen from `now`. What is not understood, or lies in the past, counts
/// as absent. The caller caps the wait.
pub(crate) fn retry_after(text: &str, now: jiff::Timestamp) -> Option<Duration> {
    let text = text.trim();
    let wait = if let Ok(seconds) = text.parse() {
        Duration::try_from_secs_f64(seconds).ok()?
    } else {
        Duration::try_from(http_date(text)?.duration_since(now)).ok()?
    };
    (!wait.is_zero()).then_some(wait)
}

/// Reads a time as headers write it: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) fn http_date(text: &str) -> Option<jiff::Timestamp> {
    let parser = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true);
    parser.parse_timestamp(text.trim()).ok()
}

/// Runs `attempt` until it succeeds or the table says stop. `pause` is told waits that concern everyone.
pub(crate) async fn persist<T, F>(
    mut tries: Tries,
    pause: impl Fn(Duration),
    retried: impl Fn(),
    attempt: impl Fn() -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let start = tokio::time::Instant::now();
    loop {
        let failure = match attempt().await {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        let wait = match tries.after(&failure.trouble, start.elapsed(), fastrand::f64()) {
            Verdict::GiveUp => return Err(failure),
            Verdict::Again(wait) => wait,
            Verdict::AgainAllWait(wait) => {
                pause(wait);
                wait
            }
        };
        tracing::debug!(
            trouble = %failure.trouble,
            wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            "trying again"
        );
        retried();
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::coupa::trouble::TlsFlaw;

    const SECOND: Duration = Duration::from_secs(1);

    fn tries(repeat: Repeat) -> Tries {
        Tries::new(Timeouts::default(), repeat)
    }

    fn server(status: u16) -> Trouble {
        Trouble::Server {
            status,
            retry_after: None,
        }
    }

    /// How often a call is tried again when the same happens every time, with how much waiting.
    fn exhaust(trouble: &Trouble, repeat: Repeat) -> (u32, Duration) {
        let mut tries = tries(repeat);
        let (mut count, mut waited) = (0, Duration::ZERO);
        while let Verdict::Again(wait) | Verdict::AgainAllWait(wait) = tries.after(trouble, waited, 1.0) {
            count += 1;
            waited += wait;
            assert!(count < 100, "{trouble} is tried for ever");
        }
        (count, waited)
    }

    #[test]
    fn each_trouble_has_its_number_of_tries() {
        let too_many = Trouble::TooMany { retry_after: None };
        for (trouble, reads, writes) in [
            (Trouble::TokenSuperseded, 3, 3),
            (Trouble::TokenTooFresh, 8, 8),
            (Trouble::TokenRefused, 1, 1),
            (Trouble::Forbidden, 0, 0),
            (Trouble::NotFound, 0, 0),
            (Trouble::Rejected(400), 0, 0),
            (Trouble::Rejected(409), 0, 0),
            (Trouble::Redirect(302), 0, 0),
            (server(408), 5, 0),
            (server(500), 5, 0),
            // 1 + 2 + 4 + ... + 32 + 60 + 60 + 60 seconds fit into five minutes.
            (server(503), 9, 0),
            (too_many, 9, 0),
            (Trouble::UnknownHost, 2, 0),
            (Trouble::Unreachable, 4, 0),
            (Trouble::Tls(TlsFlaw::Expired), 0, 0),
            (Trouble::Timeout, 3, 0),
            (Trouble::Lost, 6, 0),
            (Trouble::CutOff, 6, 0),
            (Trouble::NotJson, 3, 0),
            (Trouble::GraphqlRefused { fields: vec![] }, 0, 0),
            (Trouble::GraphqlPartial, 3, 0),
            (Trouble::TooLarge, 0, 0),
            (Trouble::Shape { path: String::new() }, 0, 0),
        ] {
            assert_eq!(exhaust(&trouble, Repeat::Harmless).0, reads, "{trouble}");
            assert_eq!(exhaust(&trouble, Repeat::OnlyIfUnseen).0, writes, "{trouble}");
        }
    }

    #[test]
    fn no_call_waits_longer_than_its_patience() {
        for trouble in [
            server(503),
            Trouble::TooMany {
                retry_after: Some(SECOND * 59),
            },
        ] {
            let (_, waited) = exhaust(&trouble, Repeat::Harmless);
            assert!(waited <= Timeouts::default().patience);
            assert!(waited + SECOND * 60 >= Timeouts::default().patience, "{waited:?}");
        }
    }

    #[test]
    fn coupa_decides_the_wait_within_the_cap() {
        let after = |seconds| Trouble::TooMany {
            retry_after: Some(SECOND * seconds),
        };
        let wait = |trouble| tries(Repeat::Harmless).after(&trouble, Duration::ZERO, 0.0);
        assert_eq!(wait(after(7)), Verdict::AgainAllWait(SECOND * 7));
        assert_eq!(wait(after(429 * 60)), Verdict::AgainAllWait(SECOND * 60));
        assert_eq!(
            wait(Trouble::TooMany { retry_after: None }),
            Verdict::AgainAllWait(SECOND / 2)
        );
    }

    #[test]
    fn a_new_token_gets_more_time_than_coupa_asks_for() {
        let (_, waited) = exhaust(&Trouble::TokenTooFresh, Repeat::Harmless);
        assert!(waited > Timeouts::default().token_lag, "{waited:?}");
    }

    #[test]
    fn one_kind_of_trouble_does_not_spend_the_tries_of_another() {
        let mut tries = tries(Repeat::Harmless);
        for _ in 0..3 {
            assert_ne!(
                tries.after(&Trouble::NotJson, Duration::ZERO, 0.0),
                Verdict::GiveUp
            );
        }
        assert_ne!(tries.after(&Trouble::Lost, Duration::ZERO, 0.0), Verdict::GiveUp);
        assert_eq!(
            tries.after(&Trouble::NotJson, Duration::ZERO, 0.0),
            Verdict::GiveUp
        );
    }

    #[test]
    fn retry_after_is_read_in_every_form_and_never_trusted() {
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("3", Some(3.0)),
            (" 1.5 ", Some(1.5)),
            ("0", None),
            ("-5", None),
            ("soon", None),
            ("", None),
            ("NaN", None),
            ("1e400", None),
            ("Sun, 22 Nov 2026 10:00:20 GMT", Some(20.0)),
            ("Mon, 22 Nov 2026 10:00:20 GMT", Some(20.0)),
            ("Sun, 22 Nov 2026 09:00:00 GMT", None),
            ("Sun, 99 Nov 2026 09:00:00 GMT", None),
        ] {
            assert_eq!(
                retry_after(text, now),
                expected.map(Duration::from_secs_f64),
                "{text:?}"
            );
        }
    }
}
