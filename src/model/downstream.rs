//! The account in Risk Assess behind the license: what should be there, what is known of it and how, and the ports to ask and keep that.
//!
//! Invariants: a [`Standing`] claims no more than its evidence shows; Risk Assess has no read API, so nothing here ever says that an account
//! exists, but that a grid export of a date showed it. No personal value is kept: ids and digests.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;

use super::fault::Fault;
use super::id::UserId;
use super::readiness::{Level, Remark};

/// What the documented sync comes to for a user, as Coupa shows the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    /// An active account, linked to the user.
    Active,
    /// No active account: the user is inactive, or lost the license and the operator states that this closes the account.
    Closed,
    /// An account that stays as it is: the license was taken, and the operator states that this closes nothing.
    Kept,
    /// The license was taken, and no document says what becomes of the account.
    Undocumented,
}

impl Expectation {
    /// Every expectation.
    pub const ALL: [Self; 4] = [Self::Active, Self::Closed, Self::Kept, Self::Undocumented];

    /// The name in the ledger.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Closed => "closed",
            Self::Kept => "kept",
            Self::Undocumented => "undocumented",
        }
    }
}

/// How far what is expected is shown to be so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Coupa was read back as it must be for the sync; nothing was seen downstream.
    Expected,
    /// Risk Assess acknowledged a file that held this row alone.
    Delivered,
    /// Risk Assess put a file with this row into its queue; what becomes of it goes out by mail.
    Queued,
    /// Risk Assess gave an answer that may mean that nothing was taken (204), or none at all.
    Doubtful,
    /// Risk Assess refused the row.
    Rejected,
    /// A grid export of that day is as expected: it shows the account, or, where none is expected, shows none.
    Seen(Date),
    /// Nothing is known.
    Unknown,
}

impl Standing {
    /// The name in the ledger; the day of [`Standing::Seen`] stands beside it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expected => "expected",
            Self::Delivered => "delivered",
            Self::Queued => "queued",
            Self::Doubtful => "doubtful",
            Self::Rejected => "rejected",
            Self::Seen(_) => "seen",
            Self::Unknown => "unknown",
        }
    }
}

/// `seen in grid of 2026-11-22`, or the name.
impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seen(date) => write!(f, "seen in grid of {date}"),
            other => f.write_str(other.name()),
        }
    }
}

/// By what an account in Risk Assess was found to be a user's, in order of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link {
    /// Its Coupa User ID.
    CoupaId,
    /// Its Coupa Username is the user's login.
    Username,
    /// Its e-mail address is the user's.
    Email,
}

impl Link {
    /// Every link.
    pub const ALL: [Self; 3] = [Self::CoupaId, Self::Username, Self::Email];

    /// The name in the ledger.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CoupaId => "coupa-id",
            Self::Username => "username",
            Self::Email => "email",
        }
    }
}

/// Hex digest of something personal, letter case aside: equal values are known as equal, and no value is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub Box<str>);

/// What Coupa showed of the user when it was last read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// When it was asked for.
    pub at: Timestamp,
    /// `updated-at`, as it was shown.
    pub updated_at: Option<Timestamp>,
    /// Whether the license was held.
    pub licensed: bool,
    /// Whether the user was active.
    pub active: bool,
    /// Of all fields of the sync together: another one means that the sync has something to do.
    pub fields: Digest,
    /// Of the login.
    pub login: Digest,
    /// Of the e-mail address, if there is one.
    pub email: Option<Digest>,
}

/// Readiness as it was last judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// When.
    pub at: Timestamp,
    /// The heaviest remark; `None` without any.
    pub worst: Option<Level>,
    /// Ids of the rules that remarked something above [`Level::Info`].
    pub rules: Vec<Box<str>>,
}

/// Something that must not be guessed about: a person has to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, as a stable word, for instance `email-shared`.
    pub kind: Box<str>,
    /// In one sentence, ids only.
    pub text: Box<str>,
    /// When it was found.
    pub at: Timestamp,
}

/// What the ledger says of the account of one Coupa user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose.
    pub user: UserId,
    /// What should be there.
    pub expectation: Expectation,
    /// What is known of that.
    pub standing: Standing,
    /// Since when that stands.
    pub since: Timestamp,
    /// The evidence in one sentence, ids only, for instance `Risk Assess answered 201 to a file with this row alone`.
    pub evidence: Box<str>,
    /// By what an account was last seen to be the user's, and in the grid of which day.
    pub link: Option<(Link, Date)>,
    /// What Coupa showed.
    pub reading: Reading,
    /// Readiness.
    pub judged: Option<Judged>,
    /// What a person has to look at.
    pub problems: Vec<Problem>,
}

/// Where records are kept, durable when a method returns. Each blocks for as long as a disk takes.
pub trait Ledger: Send + Sync {
    /// One record.
    fn record(&self, user: UserId) -> Result<Option<Record>, Fault>;

    /// All records, ascending by user.
    fn records(&self) -> Result<Vec<Record>, Fault>;

    /// Changes the records of these users in one transaction: `change` gets each as it stands and gives what is to stand. Two
    /// processes never work on the same state of a record.
    fn revise(
        &self,
        users: &[UserId],
        change: &mut dyn FnMut(UserId, Option<Record>) -> Option<Record>,
    ) -> Result<(), Fault>;

    /// Up to when changes of users were followed; `None` before the first sync.
    fn followed_to(&self) -> Result<Option<Timestamp>, Fault>;

    /// Sets that.
    fn follow_to(&self, at: Timestamp) -> Result<(), Fault>;
}

/// Number of a parcel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParcelId(pub i64);

impl fmt::Display for ParcelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is to be delivered to Risk Assess.
#[derive(Clone, PartialEq, Eq)]
pub enum Load {
    /// The row of a user, as Coupa shows the user when it is sent: nothing personal is kept, and nothing old is delivered.
    User(UserId),
    /// A row of an imported file, by the columns of Risk Assess. Personal values: kept until it is settled, no longer.
    Row {
        /// Of which file: a digest of its content.
        file: Digest,
        /// Line in the file, from 1 with the header.
        line: u64,
        /// Values by column.
        cells: BTreeMap<Box<str>, Box<str>>,
    },
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => f.debug_tuple("User").field(user).finish(),
            Self::Row { line, .. } => f.debug_struct("Row").field("line", line).finish_non_exhaustive(),
        }
    }
}

/// How far a parcel has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParcelStage {
    /// It waits to be sent, for the first time or again after a failure.
    Waiting,
    /// It is being sent; after a crash nobody knows whether it arrived, and it is sent again: that is harmless.
    Sending,
    /// It was sent, or written to a file, or never will be.
    Settled {
        /// As what.
        standing: Standing,
        /// In one sentence, without values.
        told: Box<str>,
        /// When.
        at: Timestamp,
    },
}

/// Something on its way to Risk Assess.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// Its number.
    pub id: ParcelId,
    /// What is delivered; the values of a settled row are gone.
    pub load: Load,
    /// When it was put in.
    pub queued_at: Timestamp,
    /// How often it was sent.
    pub attempts: u32,
    /// How far it has come.
    pub stage: ParcelStage,
}

/// The durable outbox. Every method is on disk when it returns.
pub trait Outbox: Send + Sync {
    /// Puts loads in, all or none. A load that waits already (same user, or same file and line) is not put in twice; one that is being sent
    /// is, since it may have been rendered before the change.
    fn post(&self, loads: &[Load]) -> Result<(), Fault>;

    /// Parcels that are not settled, oldest first.
    fn unsettled(&self) -> Result<Vec<Parcel>, Fault>;

    /// All parcels, oldest first.
    fn parcels(&self) -> Result<Vec<Parcel>, Fault>;

    /// Moves parcels on, all or none; `Sending` counts an attempt, `Settled` forgets the values of a row.
    fn advance(&self, parcels: &[ParcelId], stage: &ParcelStage) -> Result<(), Fault>;
}

/// A user's account downstream, as far as it is followed: for the answer to who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// Readiness, every remark.
    pub remarks: Vec<Remark>,
    /// What the ledger says now.
    pub record: Record,
}

/// The accounts behind the license, for who serves them.
#[async_trait]
pub trait FollowAccounts: Send + Sync {
    /// Judges a user freshly read; `NotFound` if Coupa does not have it.
    async fn readiness(&self, user: UserId) -> Result<Vec<Remark>, Fault>;

    /// Reads the user, brings the ledger up to date and delivers where delivery is ours; `NotFound` if Coupa does not have it.
    async fn follow(&self, user: UserId) -> Result<Followed, Fault>;

    /// What the ledger says; `None` where it knows nothing.
    async fn record(&self, user: UserId) -> Result<Option<Record>, Fault>;

    /// What the ledger says of everybody, ascending by user.
    async fn records(&self) -> Result<Vec<Record>, Fault>;

    /// What a record claims, in one sentence for people.
    fn claim(&self, record: &Record) -> String;
}
