//! Changes over the protocol: a message is read into one [`Change`], handed to the tenant that can be changed, and what was
//! proved is told in the protocol's words.
//!
//! ```text
//! message ─► access, account, actions ─► Change ─► WriteTenant ─► Outcome ─► answer
//!                └─ draft: values of an account, read by the table of its elements
//! ```
//!
//! Invariants: whatever is wrong with a message is found before anything is sent to Coupa; without a tenant that can be changed
//! nothing here does anything; no text made here repeats a value of a person.

mod access;
mod account;
mod actions;
mod arguments;
mod draft;
mod elements;
mod invocations;
mod returns;

use std::sync::Arc;

pub(super) use account::{account_provisioning, account_schema};
pub(super) use invocations::Invocations;

use prost_types::Any;

use super::Connector;
use super::downstream::followed_metadata;
use super::kind::{Key, Kind};
use crate::model::change::{Change, Order, Outcome, WriteTenant};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::UserId;
use crate::proto::connector as c1;

impl Connector {
    /// The same connector, which also makes changes.
    #[must_use]
    pub fn with_writes(mut self, tenant: Arc<dyn WriteTenant>) -> Self {
        self.writes = Some(tenant);
        self
    }

    /// Whether changes can be made at all: `Refused` without provisioning.
    pub fn provisioning(&self) -> Result<(), Fault> {
        self.writes().map(|_| ())
    }

    fn writes(&self) -> Result<&Arc<dyn WriteTenant>, Fault> {
        self.writes
            .as_ref()
            .ok_or_else(|| Fault::new(FaultKind::Refused, "provisioning is not enabled"))
    }

    async fn apply(&self, order: &Order, change: &Change) -> Result<Outcome, Fault> {
        apply(&**self.writes()?, order, change).await
    }

    /// What a change says of the account that it leads to in Risk Assess.
    fn told_downstream(&self, outcome: &Outcome) -> Option<Any> {
        let (followed, accounts) = outcome.downstream.as_ref().zip(self.downstream.as_ref())?;
        Some(followed_metadata(followed, &accounts.claim(&followed.record)))
    }

    /// Resources are not created: accounts have a call of their own, and the rest is set up in Coupa.
    pub fn create_resource(
        &self,
        request: &c1::CreateResourceRequest,
    ) -> Result<c1::CreateResourceResponse, Fault> {
        self.provisioning()?;
        let id = request
            .resource
            .as_ref()
            .and_then(|resource| resource.id.as_ref());
        let advice = match id.and_then(|id| Kind::parse(&id.resource_type)) {
            Some(Kind::User) => "accounts are made by CreateAccount",
            Some(Kind::Group | Kind::License | Kind::Role) | None => "set it up in Coupa",
        };
        Err(unsupported("this connector does not create resources of this type").advise(advice))
    }

    /// Secrets of accounts are not changed.
    pub fn rotate_credential(
        &self,
        _: &c1::RotateCredentialRequest,
    ) -> Result<c1::RotateCredentialResponse, Fault> {
        self.provisioning()?;
        Err(unsupported("this connector sets no passwords")
            .advise("people set theirs in Coupa or sign in by SSO"))
    }

    /// No secrets are issued.
    pub fn issue_credential(
        &self,
        _: &c1::IssueCredentialRequest,
    ) -> Result<c1::IssueCredentialResponse, Fault> {
        self.provisioning()?;
        Err(unsupported("this connector issues no credentials").advise("set up API clients in Coupa"))
    }
}

/// Makes a change. Findings have no room in the protocol: they go to the log, as they went to the journal.
async fn apply(tenant: &dyn WriteTenant, order: &Order, change: &Change) -> Result<Outcome, Fault> {
    let outcome = tenant.apply(order, change).await?;
    let entry = outcome.entry.map(|entry| entry.0);
    for finding in &outcome.findings {
        tracing::info!(user = %outcome.user.id, entry, finding = finding.text, "change");
    }
    Ok(outcome)
}

fn unsupported(message: &'static str) -> Fault {
    Fault::new(FaultKind::Unsupported, message)
}

/// Reads the id of a user.
fn user_id(id: &str) -> Result<UserId, Fault> {
    match Kind::User.key(id)? {
        Key::User(id) => Ok(id),
        Key::Item(_) => Err(Fault::internal("the id of a user was read as that of an item")),
    }
}
