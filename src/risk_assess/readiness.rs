//! STUB, replaced whole by part R's `readiness/` when the branches are merged: the signatures that `follow` leans on, and just enough of the rules
//! to test the way of a refusal.

use std::fmt;

use jiff::Timestamp;

use crate::model::change::AccountKey;
use crate::model::downstream::{Judged, Reading};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::UserId;
use crate::model::profile::{Profile, ReadProfiles};
use crate::model::readiness::{Level, Remark};
use crate::risk_assess::config::Strictness;

/// Other accounts of any class, active or not, letter case aside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Twins {
    /// With the same login.
    pub login: Vec<UserId>,
    /// With the same e-mail address.
    pub email: Vec<UserId>,
}

impl Twins {
    /// Asks Coupa for those of one user.
    pub async fn find(profiles: &dyn ReadProfiles, profile: &Profile) -> Result<Self, Fault> {
        let mut login = profiles.accounts_named(AccountKey::Login(&profile.login)).await?;
        login.retain(|user| *user != profile.user);
        let mut email = match profile.email.as_deref() {
            Some(email) => profiles.accounts_named(AccountKey::Email(email)).await?,
            None => Vec::new(),
        };
        email.retain(|user| *user != profile.user);
        Ok(Self { login, email })
    }
}

/// What the rules say of a user.
pub fn judge(profile: &Profile, twins: &Twins) -> Vec<Remark> {
    let remark = |rule, level, element| Remark {
        rule,
        level,
        element,
        column: "",
        source: "S1",
        text: "stub".to_owned(),
        fix: "stub",
    };
    let mut remarks = Vec::new();
    if !profile.active {
        remarks.push(remark("inactive", Level::Error, "active"));
    }
    if profile.email.is_none() {
        remarks.push(remark("email-blank", Level::Error, "email"));
    }
    if !twins.email.is_empty() {
        remarks.push(remark("email-duplicate", Level::Error, "email"));
    }
    if profile.licensed == Some(true) {
        remarks.push(remark("already-licensed", Level::Info, "risk-assess-user"));
    }
    remarks
}

/// The refusal of a grant of the license.
pub fn refusal(whom: &dyn fmt::Display, remarks: &[Remark], strictness: Strictness) -> Option<Fault> {
    let from = match strictness {
        Strictness::Standard => Level::Error,
        Strictness::Strict => Level::Warn,
        Strictness::Lenient => return None,
    };
    let refuses = remarks.iter().any(|remark| remark.level >= from);
    let message = format!("{whom} is not ready for Risk Assess");
    refuses.then(|| Fault::new(FaultKind::Declined, message).listing(remarks.to_vec()))
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

/// The remark about a login that changed while the license was held.
pub fn renamed(before: &Reading, now: &Reading) -> Option<Remark> {
    (before.licensed && before.login != now.login).then(|| Remark {
        rule: "login-renamed",
        level: Level::Warn,
        element: "login",
        column: "",
        source: "SP",
        text: "stub".to_owned(),
        fix: "stub",
    })
}
