//! Changes of a tenant: what can be asked for, what comes of it, and the two ports of the way there.
//!
//! ```text
//! connector ─► WriteTenant ─► ... decorators ... ─► WriteCalls ─► Coupa
//!              one change,     journal, proof,      one request
//!              proved          repair
//! ```
//!
//! Invariant: an [`Outcome`] is never made from a status code, only from what was read back. `Debug` shows ids and names of fields, never
//! a person's values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;

use super::access::Item;
use super::downstream::Followed;
use super::fault::Fault;
use super::id::{GroupId, IdError, LicenseName, UserId};
use super::journal::{EntryId, Held};
use super::tenant::{Finding, User};

/// The caller's own name of one request: a task id of the platform. Asked twice under one name, a change is made once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RequestId {
    type Err = IdError;

    /// Letters, digits, `-`, `_`, `.` and `:`; at most 128 of them. Anything else is somebody's free text.
    fn from_str(text: &str) -> Result<Self, IdError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if text.is_empty() || text.len() > 128 || !text.bytes().all(plain) {
            return Err(IdError::NotARequestId);
        }
        Ok(Self(Arc::from(text)))
    }
}

/// Through which door a change came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Via {
    /// A call over gRPC.
    Grpc,
    /// A one-shot run of the command line.
    CommandLine,
    /// A task of the platform.
    Task,
}

impl Via {
    /// Every door.
    pub const ALL: [Self; 3] = [Self::Grpc, Self::CommandLine, Self::Task];

    /// The name in the journal.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::CommandLine => "command-line",
            Self::Task => "task",
        }
    }
}

/// On whose behalf a change is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The caller's name of it, where there is one.
    pub request: Option<RequestId>,
    /// Where it came in.
    pub via: Via,
}

/// Whether an account can sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Activity {
    /// It can.
    Active,
    /// It cannot. Coupa never deletes accounts.
    Inactive,
}

impl Activity {
    /// Coupa's `active`.
    pub const fn of(active: bool) -> Self {
        if active { Self::Active } else { Self::Inactive }
    }

    /// As Coupa's `active`.
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Active)
    }
}

/// How people of an account sign in. Coupa: case-sensitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AuthenticationMethod {
    /// A password kept in Coupa.
    CoupaCredentials,
    /// A directory.
    Ldap,
    /// Single sign-on.
    Saml,
}

impl AuthenticationMethod {
    /// Every method.
    pub const ALL: [Self; 3] = [Self::CoupaCredentials, Self::Ldap, Self::Saml];

    /// Coupa's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CoupaCredentials => "coupa_credentials",
            Self::Ldap => "ldap",
            Self::Saml => "saml",
        }
    }

    /// The method with that word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }
}

/// A value of a custom field.
#[derive(Clone, PartialEq)]
pub enum CustomValue {
    /// Text, also numbers and dates: Coupa takes them as text.
    Text(Box<str>),
    /// A switch.
    Switch(bool),
}

/// Elements of an account to set; what is `None` stays as it is. Its `Debug` shows the names of what is set.
#[derive(Clone, PartialEq, Default)]
pub struct AccountDraft {
    /// `login`; needed to create. Coupa: unique, at most 255 characters.
    pub login: Option<Box<str>>,
    /// `email`; needed to create. Coupa: unique, at most 255 characters.
    pub email: Option<Box<str>>,
    /// `firstname`; needed to create. Coupa: at most 40 characters.
    pub first_name: Option<Box<str>>,
    /// `lastname`; needed to create. Coupa: at most 40 characters.
    pub last_name: Option<Box<str>>,
    /// `employee-number`. Coupa: unique.
    pub employee_number: Option<Box<str>>,
    /// `authentication-method`
    pub authentication_method: Option<AuthenticationMethod>,
    /// `sso-identifier`
    pub sso_identifier: Option<Box<str>>,
    /// `manager`, who must exist: Coupa ignores unknown references without a word.
    pub manager: Option<UserId>,
    /// `department` by name, which must exist.
    pub department: Option<Box<str>>,
    /// `default-locale`; some tenants need it to create.
    pub default_locale: Option<Box<str>>,
    /// `default-currency` by code; some tenants need it to create.
    pub default_currency: Option<Box<str>>,
    /// `custom-fields` by name; tenants can make them mandatory.
    pub custom: BTreeMap<Box<str>, CustomValue>,
    /// Licenses to give to an account that is created; an update does not touch licenses.
    pub licenses: BTreeSet<LicenseName>,
}

impl AccountDraft {
    /// Names of the elements that are set, as Coupa names them; custom fields as `custom-fields`.
    pub fn names(&self) -> Vec<&'static str> {
        let set = [
            ("login", self.login.is_some()),
            ("email", self.email.is_some()),
            ("firstname", self.first_name.is_some()),
            ("lastname", self.last_name.is_some()),
            ("employee-number", self.employee_number.is_some()),
            ("authentication-method", self.authentication_method.is_some()),
            ("sso-identifier", self.sso_identifier.is_some()),
            ("manager", self.manager.is_some()),
            ("department", self.department.is_some()),
            ("default-locale", self.default_locale.is_some()),
            ("default-currency", self.default_currency.is_some()),
            ("custom-fields", !self.custom.is_empty()),
            ("licenses", !self.licenses.is_empty()),
        ];
        set.into_iter()
            .filter_map(|(name, set)| set.then_some(name))
            .collect()
    }
}

impl fmt::Debug for AccountDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AccountDraft").field(&self.names()).finish()
    }
}

/// What to do when an account to create exists and is inactive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnInactive {
    /// Report it as existing.
    Leave,
    /// Activate it: the history of a person must not be split over two accounts.
    Reactivate,
}

/// One change of a tenant.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Give an item to a user.
    Grant {
        /// Who gets it.
        user: UserId,
        /// What.
        item: Item,
    },
    /// Take an item from a user.
    Revoke {
        /// Who loses it.
        user: UserId,
        /// What.
        item: Item,
    },
    /// Activate or deactivate an account.
    SetActive {
        /// Whose.
        user: UserId,
        /// To what.
        to: Activity,
    },
    /// Set elements of an account.
    Update {
        /// Whose.
        user: UserId,
        /// To what.
        draft: Box<AccountDraft>,
    },
    /// Make an account.
    Create {
        /// What it is to be.
        draft: Box<AccountDraft>,
        /// If it exists and is inactive.
        on_inactive: OnInactive,
    },
}

impl Change {
    /// Whose account is changed; `None` for one that is yet to be made.
    pub const fn user(&self) -> Option<UserId> {
        match self {
            Self::Grant { user, .. }
            | Self::Revoke { user, .. }
            | Self::SetActive { user, .. }
            | Self::Update { user, .. } => Some(*user),
            Self::Create { .. } => None,
        }
    }
}

/// What became of a change that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It was made and read back.
    Made,
    /// Everything was as wanted before; nothing was sent.
    AlreadySo,
    /// The account to create exists; it was left as it is.
    Existed,
    /// The account to create existed and was activated.
    Reactivated,
}

/// A change that did not fail, and its evidence.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What became of it.
    pub effect: Effect,
    /// The account as read after it.
    pub user: User,
    /// The journal's entry; `None` where nothing was sent.
    pub entry: Option<EntryId>,
    /// Writes sent for it.
    pub attempts: u32,
    /// What the changed element held before.
    pub before: Held,
    /// What it holds now.
    pub after: Held,
    /// What a person should know, for instance an item that somebody else added meanwhile.
    pub findings: Vec<Finding>,
    /// What is known of the account that the change leads to in Risk Assess; `None` where it leads to none.
    pub downstream: Option<Box<Followed>>,
}

/// One planned request, as it would be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct PlannedRequest {
    /// `PUT`, `POST` or `DELETE`
    pub method: &'static str,
    /// Path on the tenant's host.
    pub path: String,
    /// JSON body; empty for none. May hold personal values: print it only for the person who asked for the change.
    pub body: String,
    /// When it is sent, if not in any case: for instance `if the role is still there after that`.
    pub condition: Option<&'static str>,
}

impl fmt::Debug for PlannedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlannedRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// What a change would do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What would become of it.
    pub effect: Effect,
    /// Whose account; `None` for one that is yet to be made.
    pub user: Option<UserId>,
    /// What the element holds now.
    pub before: Held,
    /// What it would hold.
    pub after: Held,
    /// The requests, in order; empty if there is nothing to do.
    pub requests: Vec<PlannedRequest>,
    /// What a person should know before.
    pub findings: Vec<Finding>,
}

/// A tenant that can be changed: each change whole, proved by reading it back, or told as a fault that says what is left.
#[async_trait]
pub trait WriteTenant: Send + Sync {
    /// Proves that changes could be made: the scopes are there. Sends nothing that writes.
    async fn check(&self) -> Result<(), Fault>;

    /// Makes a change. Dropping the future does not stop a change that has begun.
    async fn apply(&self, order: &Order, change: &Change) -> Result<Outcome, Fault>;

    /// Tells what [`WriteTenant::apply`] would do, with the same refusals; sends nothing that writes.
    async fn plan(&self, change: &Change) -> Result<Plan, Fault>;
}

/// Number of a membership row: one user in one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MembershipId(pub u64);

/// How an empty list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EmptyForm {
    /// `null`: proved by a public connector's live tests.
    Null,
    /// `[]`: unproven.
    Brackets,
}

/// How a key is spelled whose spelling differs between Coupa's pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spelling {
    /// `treasury-user`
    Dashed,
    /// `treasury_user`
    Underscored,
}

/// A nested list of a user that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListKind {
    /// `roles`
    Roles,
    /// `user-groups`
    Groups,
}

impl ListKind {
    /// Every list.
    pub const ALL: [Self; 2] = [Self::Roles, Self::Groups];

    /// Coupa's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Roles => "roles",
            Self::Groups => "user-groups",
        }
    }
}

/// One request that writes.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// `PUT /api/users/:id` with these ids in a list, not empty. Coupa may add them to the list or replace it by them.
    PutList {
        /// Whose list.
        user: UserId,
        /// Which.
        list: ListKind,
        /// Ids, ascending.
        ids: Vec<u64>,
    },
    /// `PUT /api/users/:id` with an empty list.
    ClearList {
        /// Whose list.
        user: UserId,
        /// Which.
        list: ListKind,
        /// How emptiness is written.
        form: EmptyForm,
    },
    /// `DELETE /api/user_group_memberships/:id`
    DeleteMembership(MembershipId),
    /// `PUT /api/users/:id` with one license flag.
    SetLicense {
        /// Whose.
        user: UserId,
        /// Which.
        name: LicenseName,
        /// Whether it is to be held.
        held: bool,
        /// How the key is spelled.
        spelling: Spelling,
    },
    /// `PUT /api/users/:id` with `active`.
    SetActive {
        /// Whose.
        user: UserId,
        /// To what.
        to: Activity,
    },
    /// `PUT /api/users/:id` with some elements.
    Update {
        /// Whose.
        user: UserId,
        /// What.
        draft: Box<AccountDraft>,
    },
    /// `POST /api/users`
    Create(Box<AccountDraft>),
}

/// Whether Coupa may have acted on a request that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acted {
    /// Surely not.
    No,
    /// Nobody knows.
    Perhaps,
}

/// A write that failed.
#[derive(Debug, Clone)]
pub struct CallFailure {
    /// Why.
    pub fault: Fault,
    /// What may have happened all the same.
    pub acted: Acted,
}

/// A write that Coupa accepted. That proves nothing but that it was understood.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Accepted {
    /// Number of the account that [`Call::Create`] made, if the answer tells it.
    pub created: Option<UserId>,
    /// What the answer to [`Call::PutList`] shows in that list, if it shows it. A hint how long to wait for a reading, never a proof.
    pub list: Option<Vec<u64>>,
}

/// What accounts are looked up by; exact, letter case aside.
#[derive(Clone, Copy)]
pub enum AccountKey<'a> {
    /// `login`
    Login(&'a str),
    /// `email`
    Email(&'a str),
}

/// The single requests by which a tenant is changed. Each is one exchange: it is not repeated once Coupa may have seen it, and never
/// after a wait in which the list it carries may have grown old; whoever decides, decides that.
#[async_trait]
pub trait WriteCalls: Send + Sync {
    /// Proves that a token with the scopes for writing can be had.
    async fn check(&self) -> Result<(), Fault>;

    /// Sends one write.
    async fn send(&self, call: &Call) -> Result<Accepted, CallFailure>;

    /// What [`WriteCalls::send`] would send.
    fn request(&self, call: &Call) -> PlannedRequest;

    /// The membership rows of a user in a group. A fault where the tenant does not show them.
    async fn memberships(&self, user: UserId, group: GroupId) -> Result<Vec<MembershipId>, Fault>;

    /// Accounts with that login or e-mail, active or not.
    async fn accounts(&self, key: AccountKey<'_>) -> Result<Vec<UserId>, Fault>;

    /// The account these requests are made as, where the tenant tells.
    async fn own_account(&self) -> Result<Option<UserId>, Fault>;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_draft_shows_names_only() {
        let draft = AccountDraft {
            login: Some("ann".into()),
            custom: [("cost center".into(), CustomValue::Text("7".into()))].into(),
            ..AccountDraft::default()
        };
        assert_eq!(
            format!("{draft:?}"),
            r#"AccountDraft(["login", "custom-fields"])"#
        );
    }

    #[test]
    fn a_request_id_is_no_free_text() {
        assert!("2wPbMEhC9cN9k9PqEV2sBUbUuu7".parse::<RequestId>().is_ok());
        for text in ["", "ann@example.com", "a b", &"a".repeat(129)] {
            assert_eq!(text.parse::<RequestId>(), Err(IdError::NotARequestId), "{text}");
        }
    }
}
