//! What goes wrong, by chance or by script, and when.
//!
//! Invariant: which request is hit depends only on the seed, the script and the order in which requests arrive.

use serde::{Deserialize, Serialize};

use super::edits::{Edit, ScriptedEdit};
use super::matching::{Marks, Matching, Tally, When};
use super::seed::mix;
use super::stats::RequestKind;

/// What goes wrong. Probabilities are per request and lie between 0 and 1; they never concern `/_sandbox`. A write that the dice
/// hit has its effect or not, by a toss.
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
    /// What others change while we work.
    pub edits: Vec<ScriptedEdit>,
    /// What is set up wrongly, all the time.
    pub setup: Setup,
}

/// What an administrator, or the clock, has set up wrongly. Unlike the rest of the faults it hits every request that it concerns.
/// As JSON: kebab-case names, anything left out is as it should be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Setup {
    /// The OAuth client was deactivated: 400 `invalid_client`, whatever the secret.
    pub client_refused: bool,
    /// Scopes that the client does not have, of those it has otherwise.
    pub scopes_missing: Vec<String>,
    /// Collections (`users`, `user_groups`, `user_group_memberships`, `roles`) that nobody may read or write, whatever the scopes: 403 over
    /// REST, `errors` over GraphQL.
    pub objects_forbidden: Vec<String>,
    /// By so many seconds the `Date` of every answer is ahead of the true time.
    pub clock_ahead_secs: i64,
}

impl Setup {
    /// Whether nobody may use this collection.
    pub(super) fn forbids(&self, collection: &str) -> bool {
        self.objects_forbidden.iter().any(|name| name == collection)
    }
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
            edits: Vec::new(),
            setup: Setup::default(),
        }
    }
}

/// A fault for chosen requests. As JSON, what `on` holds stands beside the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ScriptedFault {
    /// The requests hit.
    #[serde(flatten)]
    pub on: Matching,
    /// What becomes of the change, if the request is a write.
    #[serde(default)]
    pub effect: Effect,
    /// What the client sees.
    pub action: FaultAction,
}

/// What becomes of a write that meets a fault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// It does not happen.
    #[default]
    None,
    /// It happens; only the answer suffers.
    Applied,
    /// Of each list in it the first half, rounded down, is taken; a write without a list does not happen.
    Partial,
    /// It happens so many milliseconds later, whatever the client does meanwhile.
    AfterMs(u64),
    /// It happens right before the so-manieth API request after it.
    AfterRequests(u64),
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

impl FaultAction {
    /// Whether it is done to an answer, so that there must be one.
    fn spoils_an_answer(&self) -> bool {
        matches!(
            self,
            Self::ResetMidBody | Self::Truncate | Self::ShortBody | Self::ForgetTokens
        )
    }
}

/// A fault that hits a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Strike {
    pub(super) action: FaultAction,
    pub(super) effect: Effect,
}

impl Strike {
    /// Whether the request is answered at all, be it only for the sake of its effect.
    pub(super) fn lets_through(&self) -> bool {
        self.effect != Effect::None || self.action.spoils_an_answer()
    }
}

/// The faults in force and how far they have come.
#[derive(Debug)]
pub(super) struct FaultPlan {
    faults: Faults,
    rolls: u64,
    storm_left: u32,
    met: Tally,
    edited: Tally,
}

impl FaultPlan {
    pub(super) fn new(faults: Faults) -> Self {
        Self {
            faults,
            rolls: 0,
            storm_left: 0,
            met: Tally::default(),
            edited: Tally::default(),
        }
    }

    /// What happens to the next request.
    pub(super) fn next(&mut self, marks: &Marks) -> Option<Strike> {
        self.rolls += 1;
        self.scripted(marks).or_else(|| self.rolled(marks.kind))
    }

    /// What others change around the next request.
    pub(super) fn edits(&mut self, marks: &Marks) -> Vec<(When, Edit)> {
        let mut due = Vec::new();
        for (number, scripted) in self.faults.edits.iter().enumerate() {
            if self.edited.is_meant(number, &scripted.on, marks) {
                due.push((scripted.when, scripted.edit.clone()));
            }
        }
        due
    }

    fn scripted(&mut self, marks: &Marks) -> Option<Strike> {
        let mut hit = None;
        for (number, fault) in self.faults.scripted.iter().enumerate() {
            if self.met.is_meant(number, &fault.on, marks) {
                hit = hit.or_else(|| {
                    Some(Strike {
                        action: fault.action.clone(),
                        effect: fault.effect,
                    })
                });
            }
        }
        hit
    }

    fn rolled(&mut self, kind: RequestKind) -> Option<Strike> {
        if self.storm_left > 0 && kind.is_coupa_api() {
            self.storm_left -= 1;
            return Some(Strike {
                action: FaultAction::RateLimited { retry_after: None },
                effect: Effect::None,
            });
        }
        let faults = &self.faults;
        let html = self.dice(100).is_multiple_of(4);
        let status = [500, 502, 503, 504][usize::from(self.dice(101).to_le_bytes()[0] % 4)];
        let storm = if kind.is_coupa_api() { faults.storm } else { 0.0 };
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
        Some(Strike {
            effect: self.toss(&action),
            action,
        })
    }

    /// Whoever is turned away before the door has changed nothing; in all other cases nobody can tell.
    fn toss(&self, action: &FaultAction) -> Effect {
        let turned_away = matches!(
            action,
            FaultAction::RateLimited { .. } | FaultAction::Redirect { .. }
        );
        if turned_away || self.dice(102).is_multiple_of(2) {
            Effect::None
        } else {
            Effect::Applied
        }
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

    fn marks(kind: RequestKind, path: &str) -> Marks {
        Marks {
            kind,
            method: http::Method::GET,
            path: path.to_owned(),
            write: None,
        }
    }

    fn hits(faults: &Faults, kind: RequestKind, requests: usize) -> usize {
        let mut plan = FaultPlan::new(faults.clone());
        (0..requests)
            .filter(|_| plan.next(&marks(kind, "/api/users")).is_some())
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
            .map(|_| plan.next(&marks(RequestKind::RestUsers, "/api/users")).is_some())
            .collect();
        assert_eq!(users, [false, true, true, false]);
        let first = plan
            .next(&marks(RequestKind::RestRoles, "/api/roles/1"))
            .map(|strike| strike.action);
        assert_eq!(
            first,
            Some(FaultAction::Status {
                status: 503,
                html: false
            })
        );
        let second = plan
            .next(&marks(RequestKind::RestRoles, "/api/roles"))
            .map(|strike| strike.action);
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
        assert!(plan.next(&marks(RequestKind::Token, "/oauth2/token")).is_none());
        assert!(plan.next(&marks(RequestKind::RestUsers, "")).is_some());
        plan.faults.storm = 0.0;
        let rest: Vec<bool> = (0..3)
            .map(|_| plan.next(&marks(RequestKind::RestUsers, "")).is_some())
            .collect();
        assert_eq!(rest, [true, true, false]);
    }

    #[test]
    fn scripts_and_edits_are_read_strictly() {
        let read = |text: &str| serde_json::from_str::<Faults>(text);
        let faults = read(
            r#"{"scripted":[{"write":"clear","effect":{"after-ms":50},"action":"reset"}],
                "edits":[{"nth":2,"when":"after","edit":{"user":5,"change":{"add-role":4}}}]}"#,
        )
        .unwrap();
        assert_eq!(faults.scripted[0].effect, Effect::AfterMs(50));
        assert_eq!((faults.edits[0].on.nth, faults.edits[0].when), (2, When::After));
        let again: Faults = serde_json::from_value(serde_json::to_value(&faults).unwrap()).unwrap();
        assert_eq!(again, faults);
        assert!(read(r#"{"scripted":[{"writes":"clear","action":"reset"}]}"#).is_err());
        assert!(read(r#"{"edits":[{"n":2,"edit":{"user":5,"change":{"add-role":4}}}]}"#).is_err());
    }

    #[test]
    fn dice_toss_for_the_effect_but_never_of_who_is_turned_away() {
        let tossed = |faults: Faults| {
            let mut plan = FaultPlan::new(faults);
            let met: Vec<Effect> = (0..200)
                .filter_map(|_| plan.next(&marks(RequestKind::RestUsers, "")))
                .map(|strike| strike.effect)
                .collect();
            met.iter().filter(|effect| **effect == Effect::Applied).count()
        };
        let resets = tossed(Faults {
            reset: 1.0,
            ..Faults::default()
        });
        assert!((60..140).contains(&resets), "{resets}");
        let storms = tossed(Faults {
            storm: 1.0,
            ..Faults::default()
        });
        assert_eq!(storms, 0);
    }
}
