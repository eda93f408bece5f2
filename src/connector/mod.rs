//! The connector: what the platform asks, answered from the tenant. Speaks the protocol's messages, knows neither gRPC
//! transport nor HTTP nor SQL; the server, the syncer and the daemon all call this one type, so they cannot drift.
//!
//! Invariants: no read blocks much longer than [`ConnectorConfig::wait`] (a listing that has nothing yet answers an empty page
//! and a token to come again with); a grant names only resources that were listed; a failure is never an empty page. A change
//! takes as long as its proof does; a caller who does not wait for it loses the answer, not the change.

mod changes;
mod downstream;
mod grants;
mod group;
mod holders;
mod kind;
mod license;
mod page;
mod profile;
mod resources;
mod role;
#[cfg(test)]
mod tests;
mod user;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

pub use kind::capabilities;

use self::changes::Invocations;
use self::kind::Kind;
use self::page::{Budget, Listing, Token, fill};
use crate::model::access::Item;
use crate::model::baseline::Baselines;
use crate::model::change::WriteTenant;
use crate::model::downstream::FollowAccounts;
use crate::model::fault::{Fault, FaultKind};
use crate::model::journal::Journal;
use crate::model::tenant::{Tenant, Usage};
use crate::proto::connector as c1;
use crate::snapshot::{SnapshotConfig, SnapshotReport, Snapshots, Waited};

/// The protocol generation we speak. A syncer leaves `active_sync_id` empty for anything below 0.4.3.
pub const SDK_VERSION: &str = "v0.25.0";

/// Slug of the entitlement of roles and groups.
const MEMBER: &str = "member";

/// Slug of the entitlement of licenses.
const ASSIGNED: &str = "assigned";

/// How the connector answers.
#[derive(Debug, Clone)]
pub struct ConnectorConfig {
    /// How the tenant is read.
    pub snapshot: SnapshotConfig,
    /// Longest time a call waits before it answers that nothing is known yet. Default: 20 seconds, below the usual
    /// deadlines of callers.
    pub wait: Duration,
}

impl Default for ConnectorConfig {
    fn default() -> Self {
        Self {
            snapshot: SnapshotConfig::default(),
            wait: Duration::from_secs(20),
        }
    }
}

/// Answers every read of the protocol, and every change if it was given a tenant that can be changed.
pub struct Connector {
    tenant: Arc<dyn Tenant>,
    snapshots: Snapshots,
    wait: Duration,
    writes: Option<Arc<dyn WriteTenant>>,
    /// What is known of the accounts behind the Risk Assess license.
    downstream: Option<Arc<dyn FollowAccounts>>,
    invocations: Invocations,
}

#[expect(
    clippy::unused_async,
    reason = "every read of the protocol has one shape for its callers"
)]
impl Connector {
    /// A connector over `tenant`; it makes no changes: see [`Connector::with_writes`]. `journal` is that of the changes made to it, by whichever process; `None`: there are none.
    pub fn new(
        tenant: Arc<dyn Tenant>,
        baselines: Arc<dyn Baselines>,
        journal: Option<Arc<dyn Journal>>,
        config: ConnectorConfig,
    ) -> Self {
        Self {
            snapshots: Snapshots::new(Arc::clone(&tenant), baselines, journal, config.snapshot),
            tenant,
            wait: config.wait,
            writes: None,
            downstream: None,
            invocations: Invocations::default(),
        }
    }

    /// Proves that the tenant can be read and, where changes are made, that they could be.
    pub async fn validate(&self) -> Result<(), Fault> {
        self.tenant.check().await?;
        match &self.writes {
            Some(writes) => writes.check().await,
            None => Ok(()),
        }
    }

    /// How the connector presents itself.
    pub fn metadata(&self) -> c1::ConnectorMetadata {
        kind::metadata()
    }

    /// Requests made to Coupa so far.
    pub fn usage(&self) -> Usage {
        self.tenant.usage()
    }

    /// What the complete pass of a sync found; `None` without one. Remembered for a while after [`Connector::cleanup`].
    pub fn report(&self, sync: &str) -> Option<SnapshotReport> {
        self.snapshots.report(sync)
    }

    /// Resource types.
    pub async fn list_resource_types(
        &self,
        request: &c1::ResourceTypesServiceListResourceTypesRequest,
    ) -> Result<c1::ResourceTypesServiceListResourceTypesResponse, Fault> {
        let budget = Budget::of(request.page_size)?;
        let last = Token::parse_types(&request.page_token)?;
        let kinds = Kind::ALL
            .into_iter()
            .filter(|kind| last.is_none_or(|last| *kind > last));
        let page = fill(kinds.map(|kind| (kind, kind.resource_type())), budget);
        let next = page.more_after.map(|kind| Token::start(kind, Listing::Types));
        Ok(c1::ResourceTypesServiceListResourceTypesResponse {
            list: page.rows,
            next_page_token: text(next),
            annotations: Vec::new(),
        })
    }

    /// Templates of entitlements: one for every group and role.
    pub async fn list_static_entitlements(
        &self,
        request: &c1::EntitlementsServiceListStaticEntitlementsRequest,
    ) -> Result<c1::EntitlementsServiceListStaticEntitlementsResponse, Fault> {
        let kind = Kind::asked(&request.resource_type_id)?;
        Budget::of(request.page_size)?;
        no_token(&request.page_token)?;
        let list = match kind {
            Kind::Group => vec![group::entitlement()],
            Kind::Role => vec![role::entitlement()],
            Kind::License | Kind::User => Vec::new(),
        };
        Ok(c1::EntitlementsServiceListStaticEntitlementsResponse {
            list,
            ..c1::EntitlementsServiceListStaticEntitlementsResponse::default()
        })
    }

    /// Forgets what was kept for a sync.
    pub async fn cleanup(
        &self,
        request: &c1::ConnectorServiceCleanupRequest,
    ) -> Result<c1::ConnectorServiceCleanupResponse, Fault> {
        self.snapshots.forget(&request.active_sync_id);
        Ok(c1::ConnectorServiceCleanupResponse::default())
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.wait
    }
}

/// Rows of one answer, and where the listing goes on.
struct Answer<T> {
    list: Vec<T>,
    next: Option<Token>,
}

impl<T> Answer<T> {
    /// The last page, empty.
    const fn end() -> Self {
        Self {
            list: Vec::new(),
            next: None,
        }
    }

    /// Nothing is known yet: come again with another token for the same place.
    fn later(token: &Token) -> Self {
        Self {
            list: Vec::new(),
            next: Some(token.again()),
        }
    }
}

/// Unpacks what was waited for, or leaves the function with an empty page that says to come again.
macro_rules! ready_or_later {
    ($waited:expr, $token:expr) => {
        match $waited {
            $crate::snapshot::Waited::Ready(value) => value,
            $crate::snapshot::Waited::Pending => return Ok($crate::connector::Answer::later($token)),
        }
    };
}
use ready_or_later;

/// The result of `call` if it comes in time. For calls that have no page to answer in between.
async fn in_time<T>(deadline: Instant, call: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    match timeout_at(deadline, call).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Fault::unavailable("Coupa did not answer in time").advise("try again later")),
    }
}

/// What was waited for, in a call that has no page to answer in between.
fn ready<T>(waited: Waited<T>) -> Result<T, Fault> {
    match waited {
        Waited::Ready(value) => Ok(value),
        Waited::Pending => {
            Err(Fault::unavailable("the tenant is still being read").advise("try again in a moment"))
        }
    }
}

fn text(token: Option<Token>) -> String {
    token.map(|token| token.to_string()).unwrap_or_default()
}

fn no_token(token: &str) -> Result<(), Fault> {
    if token.is_empty() {
        return Ok(());
    }
    Err(Fault::invalid("the page token belongs to another listing"))
}

/// What whoever asks for events is told: Coupa offers none, so the list of feeds is empty and no feed is known.
pub fn no_such_event_feed() -> Fault {
    Fault::new(FaultKind::NotFound, "no such event feed")
}

fn missing(what: &'static str) -> Fault {
    Fault::invalid(format!("the {what} is missing"))
}

fn not_found(kind: Kind) -> Fault {
    Fault::new(FaultKind::NotFound, format!("Coupa has no such {}", kind.id()))
}

fn resource_id(kind: Kind, id: impl fmt::Display) -> c1::ResourceId {
    c1::ResourceId {
        resource_type: kind.id().to_owned(),
        resource: id.to_string(),
        ..c1::ResourceId::default()
    }
}

/// A resource of which only the id is told.
fn stub(id: c1::ResourceId) -> c1::Resource {
    c1::Resource {
        id: Some(id),
        ..c1::Resource::default()
    }
}

/// Type and id of the resource of an item.
fn item_id(item: &Item) -> c1::ResourceId {
    match item {
        Item::Role(id) => resource_id(Kind::Role, id),
        Item::Group(id) => resource_id(Kind::Group, id),
        Item::License(name) => resource_id(Kind::License, name),
    }
}

/// `type:resource:slug`, as the Go peer writes it.
fn entitlement_id(item: &Item) -> String {
    let id = item_id(item);
    format!("{}:{}:{}", id.resource_type, id.resource, slug(item))
}

/// The last part of an entitlement's id.
const fn slug(item: &Item) -> &'static str {
    match item {
        Item::Role(_) | Item::Group(_) => MEMBER,
        Item::License(_) => ASSIGNED,
    }
}

/// Only users hold anything. Of the types only the ids survive storage.
fn user_types() -> Vec<c1::ResourceType> {
    vec![c1::ResourceType {
        id: Kind::User.id().to_owned(),
        ..c1::ResourceType::default()
    }]
}

fn member_template(slug: &str, description: &str) -> c1::Entitlement {
    c1::Entitlement {
        display_name: "Member".to_owned(),
        description: description.to_owned(),
        grantable_to: user_types(),
        purpose: c1::entitlement::PurposeValue::Assignment.into(),
        slug: slug.to_owned(),
        ..c1::Entitlement::default()
    }
}

fn status_of(active: bool) -> c1::Status {
    let status = if active {
        c1::status::ResourceStatus::Enabled
    } else {
        c1::status::ResourceStatus::Disabled
    };
    c1::Status {
        status: status.into(),
        ..c1::Status::default()
    }
}
