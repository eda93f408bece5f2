//! What a tenant holds, and the ports through which it is read.
//!
//! Invariant: everything here is what Coupa said. Names are never invented, a missing value is `None`, and a list that
//! could not be read is an error, never an empty list.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::access::{Access, Item, LicenseCatalog};
use super::fault::Fault;
use super::id::{GroupId, RoleId, UserId};

/// What kind of account a user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountClass {
    /// A person of the company.
    Internal,
    /// An integration (`api-user`).
    Api,
    /// A supplier's portal account.
    Supplier,
    /// Coupa's own support.
    Support,
    /// A managed-service provider.
    ManagedService,
}

impl AccountClass {
    /// Every class.
    pub const ALL: [Self; 5] = [
        Self::Internal,
        Self::Api,
        Self::Supplier,
        Self::Support,
        Self::ManagedService,
    ];

    /// The name used in configuration and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Api => "api",
            Self::Supplier => "supplier",
            Self::Support => "support",
            Self::ManagedService => "managed-service",
        }
    }

    /// The class with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

/// The elements of a user that tell its class (Coupa API, users resource).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent flags, named as Coupa names them"
)]
pub struct ClassMarks {
    /// `api-user`
    pub api_user: bool,
    /// `supplier-user`, or a `supplier-id` is set
    pub supplier_user: bool,
    /// `support-user`, or user 1 with login `coupasupport`
    pub support_user: bool,
    /// `msp-user`
    pub msp_user: bool,
}

/// One Coupa account. Its `Debug` shows the id only.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Coupa number.
    pub id: UserId,
    /// Login name.
    pub login: Box<str>,
    /// E-mail address, as Coupa has it.
    pub email: Option<Box<str>>,
    /// `firstname`
    pub first_name: Option<Box<str>>,
    /// `lastname`
    pub last_name: Option<Box<str>>,
    /// `fullname`
    pub full_name: Option<Box<str>>,
    /// Whether the account can sign in.
    pub active: bool,
    /// What tells the class.
    pub marks: ClassMarks,
    /// `employee-number`
    pub employee_number: Option<Box<str>>,
    /// Manager's Coupa number.
    pub manager: Option<UserId>,
    /// Department's name.
    pub department: Option<Box<str>>,
    /// `sso-identifier`
    pub sso_identifier: Option<Box<str>>,
    /// `authentication-method`: `coupa_credentials`, `ldap` or `saml`
    pub authentication_method: Option<Box<str>>,
    /// `created-at`
    pub created_at: Option<Timestamp>,
    /// `updated-at`; told only by reads of one user
    pub updated_at: Option<Timestamp>,
    /// What the user holds.
    pub access: Access,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Whether a user group is a plain group or a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupKind {
    /// `type` is blank.
    Group,
    /// `type` is `Project`.
    Project,
    /// Any other `type`, under Coupa's own word.
    Other(Box<str>),
}

/// One user group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Coupa number.
    pub id: GroupId,
    /// Name.
    pub name: Box<str>,
    /// Description.
    pub description: Option<Box<str>>,
    /// Whether the group is in use; an inactive one is not grantable.
    pub active: bool,
    /// Group or project.
    pub kind: GroupKind,
    /// Whether the group can approve.
    pub can_approve: bool,
    /// Whether people may join by themselves.
    pub open: bool,
}

/// One role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Coupa number.
    pub id: RoleId,
    /// Name.
    pub name: Box<str>,
    /// Description.
    pub description: Option<Box<str>>,
    /// Whether the role may do everything.
    pub omnipotent: bool,
    /// Whether Coupa delivers the role.
    pub system: bool,
}

impl Role {
    /// Whether the role marks portal accounts: `Supplier` or `CSP ...` (rule of a public connector for Coupa).
    pub fn marks_supplier(&self) -> bool {
        &*self.name == "Supplier" || self.name.starts_with("CSP ")
    }
}

/// Where a listing of users goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UserCursor {
    /// Users with an id greater than this; 0 is the start.
    After(u64),
    /// Skip that many rows. Only where the tenant does not list in order of ids.
    Offset(u64),
}

/// Which users to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserFilter {
    /// Every user of every class.
    All,
    /// Users that hold `Item`. The tenant may ignore the filter: check each row's access.
    Holding(Item),
}

/// One call for users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserQuery {
    /// Where to go on.
    pub from: UserCursor,
    /// Which users.
    pub filter: UserFilter,
}

/// Rows of one call, and where to go on.
#[derive(Debug, Clone)]
pub struct UserPage {
    /// Rows without duplicates. From a cursor `After(n)`: ascending, every id above `n`.
    pub users: Vec<User>,
    /// `None` only after an empty answer of the tenant: a short page proves nothing.
    pub next: Option<UserCursor>,
}

/// In which order this tenant lists users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserOrder {
    /// By id, ascending: key cursors work and the id space can be read in ranges side by side.
    ById,
    /// In some order of its own: one listing by offset.
    Arbitrary,
}

/// Something about the tenant that an operator should know; no personal values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was seen, and what is done about it.
    pub text: String,
}

/// What a probe found out about the tenant, before anything is read in bulk.
#[derive(Debug, Clone)]
pub struct Survey {
    /// Order of user listings.
    pub order: UserOrder,
    /// Highest user id, if the tenant tells it; ids above it may have been made since.
    pub highest_user: Option<UserId>,
    /// Licenses of this tenant.
    pub licenses: LicenseCatalog,
    /// Which surface serves users, for the log: `graphql`, `rest`, or both.
    pub surface: &'static str,
    /// What differs from the documents or between the surfaces.
    pub findings: Vec<Finding>,
    /// What a few users were seen to hold, at least: a filter that leaves them out cannot be believed.
    pub seen: Vec<(UserId, Access)>,
}

/// Counters of one process, for reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// HTTP requests sent to Coupa, tokens and retries included.
    pub requests: u64,
    /// Requests sent again after a failure.
    pub retries: u64,
    /// Answers with status 429.
    pub rate_limited: u64,
}

/// A Coupa tenant: the port that the composition root hands to the snapshot and the connector.
#[async_trait]
pub trait Tenant: Send + Sync {
    /// Proves that the host, the client and the needed scopes work; costs at most a token and one row per object.
    async fn check(&self) -> Result<(), Fault>;

    /// Probes how the tenant must be read now and returns a reader bound to that finding.
    async fn survey(&self) -> Result<Arc<dyn ReadTenant>, Fault>;

    /// Counters so far.
    fn usage(&self) -> Usage;
}

/// A reader bound to one [`Survey`]. Every method retries within bounds and never answers a failure with an empty list.
#[async_trait]
pub trait ReadTenant: Send + Sync {
    /// What the probe found.
    fn survey(&self) -> &Survey;

    /// One page of users with everything they hold (Coupa: 50 rows per call). [`FaultKind::Unsupported`] if the tenant refuses the filter.
    ///
    /// [`FaultKind::Unsupported`]: super::fault::FaultKind::Unsupported
    async fn users(&self, query: &UserQuery) -> Result<UserPage, Fault>;

    /// The access of these users, read in another way than [`ReadTenant::users`] reads it. Users that are gone are left out.
    async fn access_another_way(&self, ids: &[UserId]) -> Result<Vec<(UserId, Access)>, Fault>;

    /// Every role, ascending by id.
    async fn roles(&self) -> Result<Vec<Role>, Fault>;

    /// Every user group and project, ascending by id.
    async fn groups(&self) -> Result<Vec<Group>, Fault>;

    /// One user, fresh; `None` if Coupa does not have it.
    async fn user(&self, id: UserId) -> Result<Option<User>, Fault>;

    /// One role, fresh; `None` if Coupa does not have it.
    async fn role(&self, id: RoleId) -> Result<Option<Role>, Fault>;

    /// One group, fresh; `None` if Coupa does not have it.
    async fn group(&self, id: GroupId) -> Result<Option<Group>, Fault>;
}
