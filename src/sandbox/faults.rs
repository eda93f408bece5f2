//! What goes wrong, by chance or by script, and when.
//!
//! Invariant: which request is hit depends only on the seed, the script and the order in which requests arrive.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::seed::mix;
use super::stats::RequestKind;

/// What goes wrong. Probabilities are per request and lie between 0 and 1; they never concern `/_sandbox`.
/// As JSON: kebab-case names, anything left out has its default (nothing).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Faults {
    /// Seed of the dice.
    pub seed: u64,
    /// 500, 502, 503 or 504, one in four with an HTML body.
    pub server_error: f64,
    /// The connection is reset before any answer.
    pub reset: f64,
    /// The connection is reset within the body.
    pub reset_mid_body: f64,
    /// 200 and a body that ends too early though the framing is correct.
    pub truncated: f64,
    /// The body is shorter than its `Content-Length`.
    pub short_body: f64,
    /// 200 with an HTML page.
    pub html: f64,
    /// No answer until the client gives up.
    pub hang: f64,
    /// A storm of 429 starts.
    pub storm: f64,
    /// Requests a storm lasts.
    pub storm_length: u32,
    /// 200 with a body of `oversized_bytes`.
    pub oversized: f64,
    /// Size of an oversized body.
    pub oversized_bytes: u64,
    /// 302 to `https://elsewhere.example/`.
    pub redirect: f64,
    /// Faults for certain requests; these come before the dice.
    pub scripted: Vec<ScriptedFault>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            seed: 1,
            server_error: 0.0,
            reset: 0.0,
            reset_mid_body: 0.0,
            truncated: 0.0,
            short_body: 0.0,
            html: 0.0,
            hang: 0.0,
            storm: 0.0,
            storm_length: 10,
            oversized: 0.0,
            oversized_bytes: 1 << 30,
            redirect: 0.0,
            scripted: Vec::new(),
        }
    }
}

/// A fault for chosen requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ScriptedFault {
    /// Only requests of this kind; any kind when left out.
    #[serde(default)]
    pub kind: Option<RequestKind>,
    /// Only requests whose path begins like this.
    #[serde(default)]
    pub path_prefix: Option<String>,
    /// The first request hit among those that match, counted from 1 since the faults were set.
    #[serde(default = "one")]
    pub nth: u64,
    /// How many matching requests in a row are hit.
    #[serde(default = "one")]
    pub times: u64,
    /// What happens.
    pub action: FaultAction,
}

fn one() -> u64 {
    1
}

/// One way to go wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum FaultAction {
    /// An answer with this status.
    Status {
        /// The HTTP status.
        status: u16,
        /// Whether the body is an HTML page rather than JSON.
        #[serde(default)]
        html: bool,
    },
    /// The connection is reset before any answer.
    Reset,
    /// The connection is reset within the body.
    ResetMidBody,
    /// A body that ends too early though the framing is correct.
    Truncate,
    /// A body shorter than its `Content-Length`.
    ShortBody,
    /// 200 with an HTML page.
    Html,
    /// No answer until the client gives up.
    Hang,
    /// 429, with this `Retry-After`, or in the form the readings say.
    RateLimited {
        /// The header's text, sent as it is.
        #[serde(default)]
        retry_after: Option<String>,
    },
    /// 200 with a body of so many bytes.
    Oversized {
        /// Length of the body.
        bytes: u64,
    },
    /// 302 to this address.
    Redirect {
        /// The `Location`.
        location: String,
    },
    /// All tokens are forgotten, so this request and all after it get 401 until a new one is minted.
    ForgetTokens,
}

/// The faults in force and how far they have come.
#[derive(Debug)]
pub(super) struct FaultPlan {
    faults: Faults,
    rolls: u64,
    storm_left: u32,
    seen: HashMap<usize, u64>,
}

impl FaultPlan {
    pub(super) fn new(faults: Faults) -> Self {
        Self {
            faults,
            rolls: 0,
            storm_left: 0,
            seen: HashMap::new(),
        }
    }

    /// What happens to the next request.
    pub(super) fn next(&mut self, kind: RequestKind, path: &str) -> Option<FaultAction> {
        self.rolls += 1;
        self.scripted(kind, path).or_else(|| self.rolled(kind))
    }

    fn scripted(&mut self, kind: RequestKind, path: &str) -> Option<FaultAction> {
        let mut hit = None;
        for (index, fault) in self.faults.scripted.iter().enumerate() {
            let matches = fault.kind.is_none_or(|wanted| wanted == kind)
                && fault
                    .path_prefix
                    .as_deref()
                    .is_none_or(|prefix| path.starts_with(prefix));
            if matches {
                let seen = self.seen.entry(index).or_default();
                *seen += 1;
                if (fault.nth..fault.nth.saturating_add(fault.times)).contains(seen) {
                    hit = hit.or_else(|| Some(fault.action.clone()));
                }
            }
        }
        hit
    }

    fn rolled(&mut self, kind: RequestKind) -> Option<FaultAction> {
        if self.storm_left > 0 && kind != RequestKind::Token {
            self.storm_left -= 1;
            return Some(FaultAction::RateLimited { retry_after: None });
        }
        let faults = &self.faults;
        let html = self.dice(100).is_multiple_of(4);
        let status = [500, 502, 503, 504][usize::from(self.dice(101).to_le_bytes()[0] % 4)];
        let storm = if kind == RequestKind::Token {
            0.0
        } else {
            faults.storm
        };
        let odds = [
            (faults.server_error, FaultAction::Status { status, html }),
            (faults.reset, FaultAction::Reset),
            (faults.reset_mid_body, FaultAction::ResetMidBody),
            (faults.truncated, FaultAction::Truncate),
            (faults.short_body, FaultAction::ShortBody),
            (faults.html, FaultAction::Html),
            (faults.hang, FaultAction::Hang),
            (storm, FaultAction::RateLimited { retry_after: None }),
            (
                faults.oversized,
                FaultAction::Oversized {
                    bytes: faults.oversized_bytes,
                },
            ),
            (
                faults.redirect,
                FaultAction::Redirect {
                    location: "https://elsewhere.example/".to_owned(),
                },
            ),
        ];
        let drawn = odds
            .into_iter()
            .zip(0_u64..)
            .find(|((odds, _), n)| self.happens(*n, *odds));
        let ((_, action), _) = drawn?;
        if matches!(action, FaultAction::RateLimited { .. }) {
            self.storm_left = self.faults.storm_length.saturating_sub(1);
        }
        Some(action)
    }

    fn dice(&self, stream: u64) -> u64 {
        mix(self.faults.seed, 500 + stream, self.rolls)
    }

    fn happens(&self, stream: u64, odds: f64) -> bool {
        // Thirty-two bits are exact in a double.
        let roll = f64::from(u32::try_from(self.dice(stream) >> 32).unwrap_or(u32::MAX));
        roll < odds * 4_294_967_296.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn hits(faults: &Faults, kind: RequestKind, requests: usize) -> usize {
        let mut plan = FaultPlan::new(faults.clone());
        (0..requests)
            .filter(|_| plan.next(kind, "/api/users").is_some())
            .count()
    }

    #[test]
    fn dice_keep_their_odds_and_repeat() {
        assert_eq!(hits(&Faults::default(), RequestKind::RestUsers, 1_000), 0);
        let faults = Faults {
            server_error: 0.1,
            ..Faults::default()
        };
        let count = hits(&faults, RequestKind::RestUsers, 10_000);
        assert!((800..1_200).contains(&count), "{count}");
        assert_eq!(count, hits(&faults, RequestKind::RestUsers, 10_000));
        assert_eq!(
            hits(
                &Faults {
                    hang: 1.0,
                    ..Faults::default()
                },
                RequestKind::Token,
                10
            ),
            10
        );
    }

    #[test]
    fn scripts_hit_the_request_they_name() {
        let script = r#"{"scripted":[
            {"kind":"rest-users","nth":2,"times":2,"action":"reset"},
            {"path-prefix":"/api/roles","action":{"status":{"status":503}}},
            {"path-prefix":"/api/roles","nth":2,"action":{"rate-limited":{"retry-after":"1"}}}]}"#;
        let mut plan = FaultPlan::new(serde_json::from_str(script).unwrap());
        let users: Vec<bool> = (0..4)
            .map(|_| plan.next(RequestKind::RestUsers, "/api/users").is_some())
            .collect();
        assert_eq!(users, [false, true, true, false]);
        let first = plan.next(RequestKind::RestRoles, "/api/roles/1");
        assert_eq!(
            first,
            Some(FaultAction::Status {
                status: 503,
                html: false
            })
        );
        let second = plan.next(RequestKind::RestRoles, "/api/roles");
        assert_eq!(
            second,
            Some(FaultAction::RateLimited {
                retry_after: Some("1".into())
            })
        );
    }

    #[test]
    fn storms_last() {
        let faults = Faults {
            storm: 1.0,
            storm_length: 3,
            ..Faults::default()
        };
        let mut plan = FaultPlan::new(faults);
        assert!(plan.next(RequestKind::Token, "/oauth2/token").is_none());
        assert!(plan.next(RequestKind::RestUsers, "").is_some());
        plan.faults.storm = 0.0;
        let rest: Vec<bool> = (0..3)
            .map(|_| plan.next(RequestKind::RestUsers, "").is_some())
            .collect();
        assert_eq!(rest, [true, true, false]);
    }
}
