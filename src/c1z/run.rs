//! One run as the file records it: kind, id, times, token, statistics; and which runs a file keeps.
//!
//! Invariant: of two runs made here for one file, the later one has the greater id and the later end, however the clock was
//! set in between.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use svix_ksuid::{Ksuid, KsuidLike as _};

use super::Retention;

/// What a run covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunKind {
    /// Everything.
    Full,
    /// Types and resources, without entitlements and grants.
    ResourcesOnly,
    /// A few resources and what belongs to them, beside the latest full run.
    Partial,
}

impl RunKind {
    /// The format's word.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ResourcesOnly => "resources_only",
            Self::Partial => "partial",
        }
    }
}

/// How many rows a run has. Serialized, it is the `stats` column of the format: zero values are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Stats {
    /// Resource types.
    #[serde(skip_serializing_if = "is_zero")]
    pub resource_types: u64,
    /// Resources of every type.
    #[serde(skip_serializing_if = "is_zero")]
    pub resources: u64,
    /// Entitlements of every type.
    #[serde(skip_serializing_if = "is_zero")]
    pub entitlements: u64,
    /// Grants of every type.
    #[serde(skip_serializing_if = "is_zero")]
    pub grants: u64,
    /// Resources by their type.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resources_by_resource_type: BTreeMap<String, u64>,
    /// Entitlements by the type of their resource.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub entitlements_by_resource_type: BTreeMap<String, u64>,
    /// Grants by the type of their entitlement's resource.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub grants_by_resource_type: BTreeMap<String, u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The token of our finished runs: `{"baton-coupa":{"tenant":"<host>"}}`. The format leaves the token of a finished run to its
/// writer; ours tells whose sizes these are.
#[derive(Serialize, Deserialize)]
pub(super) struct Token {
    #[serde(rename = "baton-coupa")]
    ours: Ours,
}

#[derive(Serialize, Deserialize)]
struct Ours {
    tenant: String,
}

impl Token {
    pub(super) fn of(tenant: &str) -> Self {
        let tenant = tenant.to_owned();
        Self {
            ours: Ours { tenant },
        }
    }

    /// The tenant in a stored token; `None` if the run is not ours.
    pub(super) fn tenant(stored: &str) -> Option<String> {
        let token: Self = serde_json::from_str(stored).ok()?;
        Some(token.ours.tenant)
    }
}

/// A time as Go's `2006-01-02 15:04:05.999999999`, in UTC: readers take it for UTC and compare it as text.
pub(super) fn go_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S%.f").to_string()
}

/// A stored time: [`go_time`]'s layout, or RFC 3339 as other writers have it.
pub(super) fn parse_time(stored: &str) -> Option<Timestamp> {
    Timestamp::from_str(stored).ok().or_else(|| {
        let civil = DateTime::from_str(stored).ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })
}

/// A finished run found in an existing file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finished {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) linked: String,
    pub(super) started_at: String,
    pub(super) ended_at: String,
    /// Whose run it is; `None` if another writer made it.
    pub(super) tenant: Option<String>,
}

/// The run beside which a partial one stands: the latest full one, unless it is known to be of another tenant. Empty for none, and
/// for runs of other kinds.
pub(super) fn parent(runs: &[Finished], kind: RunKind, tenant: &str) -> String {
    match kind {
        RunKind::Full | RunKind::ResourcesOnly => String::new(),
        RunKind::Partial => {
            let ours = |run: &&Finished| run.tenant.as_deref().is_none_or(|known| known == tenant);
            let full = runs.iter().filter(|run| run.kind == RunKind::Full.name());
            let latest = full.filter(ours).max_by_key(|run| (&run.ended_at, &run.id));
            latest.map(|run| run.id.clone()).unwrap_or_default()
        }
    }
}

/// A new id, greater as text than `earlier`. An id is a KSUID: seconds, then chance; within one second chance decides, so then
/// the next second is taken.
pub(super) fn new_id(now: Timestamp, earlier: Option<&str>) -> String {
    let id = Ksuid::from_seconds(Some(now.as_second()), None).to_string();
    match earlier {
        Some(earlier) if id.as_str() <= earlier => Ksuid::from_str(earlier).map_or(id, |earlier| {
            Ksuid::from_seconds(Some(earlier.timestamp_seconds() + 1), None).to_string()
        }),
        _ => id,
    }
}

/// The end of a run: `now`, unless an earlier run claims to have ended later, which would stay "the latest" for readers.
pub(super) fn end(now: Timestamp, latest: Option<&str>) -> Timestamp {
    let after = latest
        .and_then(parse_time)
        .and_then(|latest| latest.checked_add(SignedDuration::from_micros(1)).ok());
    after.map_or(now, |after| after.max(now))
}

/// The runs that stay in a file when one of `kind` is added.
///
/// As the ecosystem does it: of the full runs the newest stay, partial ones older than all of these go with the full ones, and
/// of more than two diff pairs the last stays. Unlike there, only a full run takes the place of a full run, so that neither a
/// resources-only nor a targeted sync takes away what `baton diff` compares.
pub(super) fn kept(mut runs: Vec<Finished>, kind: RunKind, retention: Retention) -> Vec<Finished> {
    let Retention::Full(keep) = retention else {
        return runs;
    };
    let keep = match kind {
        RunKind::Full => keep.saturating_sub(1),
        RunKind::ResourcesOnly | RunKind::Partial => keep,
    };
    runs.sort_by(|a, b| (&b.ended_at, &b.id).cmp(&(&a.ended_at, &a.id)));

    let full: Vec<&Finished> = runs.iter().filter(|run| class(run) == Class::Full).collect();
    let over = full.len() > keep;
    let kept_full: Vec<String> = full.iter().take(keep).map(|run| run.id.clone()).collect();
    // Without a kept one, the run that is being made is the oldest: every partial run is older.
    let oldest_start = match keep.checked_sub(1) {
        Some(last) => full.get(last).map(|run| run.started_at.clone()),
        None => None,
    };
    let diffs: Vec<&Finished> = runs.iter().filter(|run| class(run) == Class::Diff).collect();
    let kept_diffs: Option<[String; 2]> = match diffs.first() {
        Some(newest) if diffs.len() > 2 => Some([newest.id.clone(), newest.linked.clone()]),
        _ => None,
    };
    runs.retain(|run| match class(run) {
        Class::Full => kept_full.contains(&run.id),
        Class::Partial => !over || oldest_start.as_ref().is_some_and(|start| run.ended_at >= *start),
        Class::Diff => kept_diffs.as_ref().is_none_or(|pair| pair.contains(&run.id)),
    });
    runs
}

#[derive(PartialEq, Eq)]
enum Class {
    Full,
    Partial,
    Diff,
}

/// Unknown kinds count as full, as every reader has it.
fn class(run: &Finished) -> Class {
    match run.kind.as_str() {
        "partial" | "resources_only" => Class::Partial,
        "partial_upserts" | "partial_deletions" => Class::Diff,
        _ => Class::Full,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn times_are_written_as_go_writes_them() {
        assert_eq!(go_time(at("2026-01-02T03:04:05Z")), "2026-01-02 03:04:05");
        assert_eq!(go_time(at("2026-01-02T03:04:05.120Z")), "2026-01-02 03:04:05.12");
        assert_eq!(
            go_time(at("2026-01-02T03:04:05.000000001Z")),
            "2026-01-02 03:04:05.000000001"
        );
        for stored in [
            "2026-01-02 03:04:05.12",
            "2026-01-02T03:04:05.12Z",
            "2026-01-02T04:04:05.12+01:00",
        ] {
            assert_eq!(
                parse_time(stored),
                Some(at("2026-01-02T03:04:05.12Z")),
                "{stored}"
            );
        }
        assert_eq!(parse_time("yesterday"), None);
    }

    #[test]
    fn later_runs_have_greater_ids_and_later_ends_whatever_the_clock_says() {
        let now = at("2026-11-22T12:00:00Z");
        let mut last = new_id(now, None);
        assert_eq!(last.len(), 27);
        assert!(last.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        for _ in 0..200 {
            let next = new_id(now, Some(&last));
            assert!(next > last);
            last = next;
        }
        assert!(new_id(at("2020-01-01T00:00:00Z"), Some(&last)) > last);
        assert_eq!(
            new_id(now, Some("zzz")).len(),
            27,
            "an id of another shape is no reason to fail"
        );

        assert_eq!(end(now, None), now);
        assert_eq!(end(now, Some("2026-11-22 11:59:59.5")), now);
        let after = end(now, Some("2027-01-01 00:00:00"));
        assert_eq!(go_time(after), "2027-01-01 00:00:00.000001");
    }

    #[test]
    fn the_token_tells_the_tenant() {
        let token = serde_json::to_string(&Token::of("acme.coupahost.com")).unwrap();
        assert_eq!(token, r#"{"baton-coupa":{"tenant":"acme.coupahost.com"}}"#);
        assert_eq!(Token::tenant(&token).unwrap(), "acme.coupahost.com");
        for foreign in ["", "{}", r#"{"version":1}"#, "nonsense"] {
            assert_eq!(Token::tenant(foreign), None);
        }
    }

    #[test]
    fn zero_counts_are_left_out() {
        let stats = Stats {
            resource_types: 1,
            ..Stats::default()
        };
        assert_eq!(serde_json::to_string(&stats).unwrap(), r#"{"resource_types":1}"#);
    }

    /// Runs named by a letter for their kind and the minute of their end; each took half a minute.
    fn runs(names: &[&str]) -> Vec<Finished> {
        let run = |name: &&str| {
            let (kind, minute) = name.split_at(1);
            let minute: u32 = minute.parse().unwrap();
            Finished {
                id: (*name).to_owned(),
                kind: match kind {
                    "p" => "partial",
                    "r" => "resources_only",
                    "u" => "partial_upserts",
                    "d" => "partial_deletions",
                    "?" => "novel",
                    _ => "full",
                }
                .to_owned(),
                linked: match kind {
                    "u" => format!("d{minute}"),
                    "d" => format!("u{minute}"),
                    _ => String::new(),
                },
                started_at: format!("2026-01-01 00:{:02}:30", minute - 1),
                ended_at: format!("2026-01-01 00:{minute:02}:00"),
                tenant: None,
            }
        };
        names.iter().map(run).collect()
    }

    fn kept_names(names: &[&str], kind: RunKind, keep: usize) -> String {
        let mut ids: Vec<String> = kept(runs(names), kind, Retention::Full(keep))
            .into_iter()
            .map(|run| run.id)
            .collect();
        ids.sort();
        ids.join(" ")
    }

    #[test]
    fn two_full_runs_stay_the_new_one_included() {
        use RunKind::{Full, Partial, ResourcesOnly};
        assert_eq!(kept_names(&[], Full, 2), "");
        assert_eq!(kept_names(&["f1"], Full, 2), "f1");
        assert_eq!(kept_names(&["f1", "f3", "f2"], Full, 2), "f3");
        assert_eq!(
            kept_names(&["f1", "?2"], Full, 2),
            "?2",
            "unknown kinds count as full"
        );
        assert_eq!(kept_names(&["f1", "f2"], Full, 1), "");
        assert_eq!(kept_names(&["f1", "f2"], ResourcesOnly, 2), "f1 f2");
        assert_eq!(kept_names(&["f1", "f2", "f3"], ResourcesOnly, 2), "f2 f3");
        assert_eq!(kept_names(&["p1", "f2", "f3", "p4"], Partial, 2), "f2 f3 p1 p4");
        assert_eq!(kept_names(&["p1", "f2", "f3", "f4"], Partial, 2), "f3 f4");
    }

    #[test]
    fn partial_runs_go_with_the_full_runs_they_belong_to() {
        use RunKind::Full;
        assert_eq!(
            kept_names(&["p1", "r2", "f3"], Full, 2),
            "f3 p1 r2",
            "nothing is over the limit"
        );
        assert_eq!(kept_names(&["p1", "f2", "r3", "f4", "p5"], Full, 2), "f4 p5");
        assert_eq!(kept_names(&["f1", "p2"], Full, 1), "");
    }

    #[test]
    fn a_partial_run_stands_beside_the_latest_full_run_of_its_tenant() {
        let mut found = runs(&["f1", "f3", "r4", "p5", "?6"]);
        assert_eq!(parent(&found, RunKind::Partial, "acme"), "f3");
        assert_eq!(parent(&found, RunKind::Full, "acme"), "");
        assert_eq!(parent(&found, RunKind::ResourcesOnly, "acme"), "");
        found[1].tenant = Some("other".into());
        assert_eq!(parent(&found, RunKind::Partial, "acme"), "f1");
        found[0].tenant = Some("acme".into());
        assert_eq!(parent(&found, RunKind::Partial, "acme"), "f1");
        assert_eq!(parent(&runs(&["p1", "r2"]), RunKind::Partial, "acme"), "");
    }

    #[test]
    fn of_many_diffs_the_last_pair_stays() {
        use RunKind::Full;
        assert_eq!(kept_names(&["u1", "d1"], Full, 2), "d1 u1");
        assert_eq!(kept_names(&["u1", "d1", "u2", "d2"], Full, 2), "d2 u2");
    }

    #[test]
    fn everything_means_everything() {
        let all = runs(&["f1", "f2", "f3", "p1"]);
        assert_eq!(kept(all.clone(), RunKind::Full, Retention::Everything), all);
    }
}
