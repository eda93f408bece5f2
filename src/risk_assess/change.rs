//! Changes that matter to Risk Assess: readiness before the license is given, the account followed after the change was proved.
//!
//! Invariants: a refusal comes before anything is sent; a change that was proved stays a success, whatever following it comes to; changes that
//! do not matter to Risk Assess cost no request more.

use std::sync::Arc;

use async_trait::async_trait;

use crate::model::access::Item;
use crate::model::change::{
    AccountDraft, AuthenticationMethod, Change, Effect, Order, Outcome, Plan, WriteTenant,
};
use crate::model::fault::Fault;
use crate::model::id::UserId;
use crate::model::profile::{Profile, RISK_ASSESS_LICENSE};
use crate::model::readiness::Remark;
use crate::model::tenant::{AccountClass, Finding};

use super::config::Strictness;
use super::follow::Downstream;
use super::readiness::{self, Twins};

/// A tenant whose changes are checked for Risk Assess and followed there.
pub struct RiskAssess {
    inner: Arc<dyn WriteTenant>,
    downstream: Arc<Downstream>,
}

/// What a change is to Risk Assess.
enum Matter<'a> {
    /// The license is given.
    Grant(UserId),
    /// An account is changed that may be followed.
    Touch,
    /// An account is made that gets the license.
    CreateLicensed(&'a AccountDraft),
    /// An account is made without it, or one that exists is activated.
    Create,
    /// Nothing.
    Nothing,
}

impl RiskAssess {
    /// Changes through `inner`, followed in `downstream`.
    pub fn new(inner: Arc<dyn WriteTenant>, downstream: Arc<Downstream>) -> Self {
        Self { inner, downstream }
    }

    /// Readiness of a user who is to get the license, or the refusal. Nothing of a user whom Coupa does not have: that is told by who makes
    /// the change. A license that is held already refuses nothing.
    async fn ready(&self, user: UserId) -> Result<Option<(Vec<Remark>, Twins)>, Fault> {
        let Some((profile, twins)) = self.downstream.look(user).await? else {
            return Ok(None);
        };
        let remarks = readiness::judge(&profile, &twins);
        if profile.licensed != Some(true) {
            self.refuse(&format!("user {user}"), &remarks)?;
        }
        Ok(Some((remarks, twins)))
    }

    /// Readiness of an account that is to be made with the license, or the refusal. Who has its login or e-mail address already is found
    /// out by who makes it.
    fn draft_ready(&self, draft: &AccountDraft) -> Result<Vec<Remark>, Fault> {
        let remarks = readiness::judge(&would_be(draft), &Twins::default());
        self.refuse("the account to create", &remarks)?;
        Ok(remarks)
    }

    fn refuse(&self, whom: &str, remarks: &[Remark]) -> Result<(), Fault> {
        let refusal = readiness::refusal(&whom, remarks, self.downstream.config.strictness);
        refusal.map_or(Ok(()), Err)
    }

    async fn grant(&self, order: &Order, change: &Change, user: UserId) -> Result<Outcome, Fault> {
        // Where nothing refuses, not even a failure to read may.
        let twins = match self.downstream.config.strictness {
            Strictness::Lenient => None,
            Strictness::Standard | Strictness::Strict => self.ready(user).await?.map(|(_, twins)| twins),
        };
        let outcome = self.inner.apply(order, change).await?;
        Ok(self.followed(outcome, twins).await)
    }

    /// The outcome with what is known of the account now.
    async fn followed(&self, mut outcome: Outcome, twins: Option<Twins>) -> Outcome {
        let user = outcome.user.id;
        match self.downstream.follow_any(user, twins).await {
            Ok(followed) => outcome.downstream = followed.map(Box::new),
            Err(fault) => {
                tracing::warn!(%user, ?fault, "a changed user could not be followed to Risk Assess");
                outcome.findings.push(Finding {
                    text: format!(
                        "the change was made; what it means for Risk Assess could not be found out ({})",
                        fault.message()
                    ),
                });
                if let Err(fault) = self.downstream.miss(user).await {
                    tracing::warn!(%user, ?fault, "that could not be recorded either");
                }
            }
        }
        outcome
    }
}

#[async_trait]
impl WriteTenant for RiskAssess {
    async fn check(&self) -> Result<(), Fault> {
        self.inner.check().await
    }

    /// As the inner tenant does. Dropping the future may leave the account unfollowed until the next sync.
    async fn apply(&self, order: &Order, change: &Change) -> Result<Outcome, Fault> {
        match matter(change) {
            Matter::Nothing => self.inner.apply(order, change).await,
            Matter::Grant(user) => self.grant(order, change, user).await,
            Matter::Touch => {
                let outcome = self.inner.apply(order, change).await?;
                Ok(self.followed(outcome, None).await)
            }
            Matter::CreateLicensed(draft) => {
                self.draft_ready(draft)?;
                let outcome = self.inner.apply(order, change).await?;
                Ok(self.followed(outcome, None).await)
            }
            Matter::Create => {
                let outcome = self.inner.apply(order, change).await?;
                match outcome.effect {
                    // Its license, if it has one, shows again.
                    Effect::Reactivated => Ok(self.followed(outcome, None).await),
                    Effect::Made | Effect::AlreadySo | Effect::Existed => Ok(outcome),
                }
            }
        }
    }

    async fn plan(&self, change: &Change) -> Result<Plan, Fault> {
        let remarks = match matter(change) {
            Matter::Grant(user) => self.ready(user).await?.map(|(remarks, _)| remarks),
            Matter::CreateLicensed(draft) => Some(self.draft_ready(draft)?),
            Matter::Touch | Matter::Create | Matter::Nothing => None,
        };
        let mut plan = self.inner.plan(change).await?;
        let findings = remarks
            .iter()
            .flatten()
            .map(|remark| Finding { text: told(remark) });
        plan.findings.extend(findings);
        Ok(plan)
    }
}

fn matter(change: &Change) -> Matter<'_> {
    let is_license =
        |item: &Item| matches!(item, Item::License(name) if name.as_str() == RISK_ASSESS_LICENSE);
    match change {
        Change::Grant { user, item } if is_license(item) => Matter::Grant(*user),
        Change::Revoke { item, .. } if is_license(item) => Matter::Touch,
        Change::Grant { .. } | Change::Revoke { .. } => Matter::Nothing,
        Change::SetActive { .. } | Change::Update { .. } => Matter::Touch,
        Change::Create { draft, .. } => {
            let licensed = draft
                .licenses
                .iter()
                .any(|name| name.as_str() == RISK_ASSESS_LICENSE);
            if licensed {
                Matter::CreateLicensed(draft)
            } else {
                Matter::Create
            }
        }
    }
}

/// The profile that an account made so would have, before the license.
fn would_be(draft: &AccountDraft) -> Profile {
    Profile {
        user: NOBODY,
        class: AccountClass::Internal,
        active: true,
        licensed: Some(false),
        login: draft.login.clone().unwrap_or_default(),
        email: draft.email.clone(),
        first_name: draft.first_name.clone(),
        middle_name: None,
        last_name: draft.last_name.clone(),
        phone: None,
        address: None,
        authentication_method: draft
            .authentication_method
            .map(AuthenticationMethod::name)
            .map(Into::into),
        updated_at: None,
    }
}

/// Stands for the number of an account that has none yet. No rule looks at the number.
// Judged when it is compiled: 0 alone is no id.
const NOBODY: UserId = match UserId::new(u64::MAX) {
    Some(user) => user,
    None => panic!("0 is no id"),
};

/// A remark as a sentence for who asked what would be done.
fn told(remark: &Remark) -> String {
    format!(
        "readiness, {}: {} ({}, {}, {}); {}",
        remark.level.name(),
        remark.text,
        remark.element,
        remark.rule,
        remark.source,
        remark.fix
    )
}
