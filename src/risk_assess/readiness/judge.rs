//! What the rules say of one user, and what that comes to under the operator's setting.
//!
//! Invariants: pure; a verdict of [`Verdict::NotReady`] and a refusal go together; no text repeats a value of the user.

use jiff::Timestamp;

use crate::model::downstream::{Judged, Reading};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::UserId;
use crate::model::profile::Profile;
use crate::model::readiness::{Level, Remark};
use crate::risk_assess::Strictness;

use super::rule::Check;
use super::rules::{RENAMED, RULES};
use super::twins::Twins;

/// What remarks come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing speaks against the license.
    Ready,
    /// Something may go wrong in Risk Assess; the license is granted.
    ReadyWithWarnings,
    /// The license is refused.
    NotReady,
}

impl Verdict {
    /// The word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::ReadyWithWarnings => "ready-with-warnings",
            Self::NotReady => "not-ready",
        }
    }
}

/// What the rules say of a user, in their order.
pub fn judge(profile: &Profile, twins: &Twins) -> Vec<Remark> {
    let remarks = RULES.iter().filter_map(|rule| rule.remark(profile, twins));
    remarks.collect()
}

/// Adds what is said about twins to what was said without knowing them.
pub(super) fn judge_twins(remarks: &mut Vec<Remark>, profile: &Profile, twins: &Twins) {
    let alone = RULES.iter().filter(|rule| matches!(rule.check, Check::Alone(_)));
    remarks.extend(alone.filter_map(|rule| rule.remark(profile, twins)));
    remarks.sort_by_key(|remark| RULES.iter().position(|rule| rule.id == remark.rule));
}

/// The remark about a login that changed while the license was held.
pub fn renamed(before: &Reading, now: &Reading) -> Option<Remark> {
    let renamed = before.licensed && before.login != now.login;
    renamed.then(|| RENAMED.saying("it is not what it was when the user was last read".to_owned()))
}

/// From which level on a remark refuses.
const fn refusing(strictness: Strictness) -> Option<Level> {
    match strictness {
        Strictness::Standard => Some(Level::Error),
        Strictness::Strict => Some(Level::Warn),
        Strictness::Lenient => None,
    }
}

fn refusals(remarks: &[Remark], strictness: Strictness) -> Vec<&Remark> {
    let from = refusing(strictness);
    let refuses = |remark: &&Remark| from.is_some_and(|from| remark.level >= from);
    remarks.iter().filter(refuses).collect()
}

/// What the remarks come to.
pub fn verdict(remarks: &[Remark], strictness: Strictness) -> Verdict {
    if !refusals(remarks, strictness).is_empty() {
        Verdict::NotReady
    } else if remarks.iter().any(|remark| remark.level >= Level::Warn) {
        Verdict::ReadyWithWarnings
    } else {
        Verdict::Ready
    }
}

/// The refusal of a grant of the license, listing every remark; `None` if nothing refuses.
pub fn refusal(user: UserId, remarks: &[Remark], strictness: Strictness) -> Option<Fault> {
    let refusing = refusals(remarks, strictness);
    let heaviest = refusing.iter().map(|remark| remark.level).max()?;
    let broken: Vec<String> = refusing
        .iter()
        .map(|remark| format!("{} ({})", remark.rule, remark.element))
        .collect();
    let mut fixes: Vec<&str> = Vec::new();
    for remark in &refusing {
        if !fixes.contains(&remark.fix) {
            fixes.push(remark.fix);
        }
    }
    // Warnings refuse only where the operator asked for it; one step back is enough for them.
    let milder = match heaviest {
        Level::Error => Strictness::Lenient,
        Level::Warn | Level::Info => Strictness::Standard,
    };
    let message = format!("user {user} is not ready for Risk Assess: {}", broken.join(", "));
    let advice = format!(
        "{}; or set --risk-assess-readiness {} if the license is to be granted all the same",
        fixes.join("; "),
        milder.name()
    );
    let fault = Fault::new(FaultKind::Declined, message).advise(advice);
    Some(fault.listing(remarks.to_vec()))
}

/// The remarks as the ledger keeps them.
pub fn judged(remarks: &[Remark], at: Timestamp) -> Judged {
    let heavy = remarks.iter().filter(|remark| remark.level > Level::Info);
    Judged {
        at,
        worst: remarks.iter().map(|remark| remark.level).max(),
        rules: heavy.map(|remark| remark.rule.into()).collect(),
    }
}
