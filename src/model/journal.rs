//! The journal of changes: what was intended, what was done, what is left open. Its port is implemented by the state database.
//!
//! Invariants: an entry is on disk before the first byte of its change leaves; the full list is on disk before it is cleared; an entry
//! is closed only when what Coupa shows was read and is explained. No personal value is in it: ids, names of licenses and of elements.

use std::fmt;

use jiff::Timestamp;

use super::access::Item;
use super::change::{Activity, ListKind, RequestId, Via};
use super::fault::Fault;
use super::id::UserId;

/// Number of an entry; ascending in order of opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub i64);

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the changed element of a user holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Held {
    /// The whole list, ascending.
    Ids(Vec<u64>),
    /// A license flag, or `active`.
    Flag(bool),
    /// Elements with personal values, by name only.
    Elements(Vec<String>),
    /// Not known, or nothing.
    #[default]
    Nothing,
}

/// What an entry is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An item is given.
    Grant(Item),
    /// An item is taken.
    Revoke(Item),
    /// The account is activated or deactivated.
    SetActive(Activity),
    /// Elements are set; their names.
    Update(Vec<String>),
    /// An account is made; a digest of its login, by which a repeat is known.
    Create {
        /// Lower-case hex.
        login_digest: String,
    },
}

impl Subject {
    /// The list that the change writes, if it writes one.
    pub const fn list(&self) -> Option<ListKind> {
        match self {
            Self::Grant(Item::Role(_)) | Self::Revoke(Item::Role(_)) => Some(ListKind::Roles),
            Self::Grant(Item::Group(_)) | Self::Revoke(Item::Group(_)) => Some(ListKind::Groups),
            Self::Grant(Item::License(_))
            | Self::Revoke(Item::License(_))
            | Self::SetActive(_)
            | Self::Update(_)
            | Self::Create { .. } => None,
        }
    }
}

/// What is written before anything is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The caller's name of the change.
    pub request: Option<RequestId>,
    /// Where it came in.
    pub via: Via,
    /// Whose account; `None` for one that is yet to be made.
    pub user: Option<UserId>,
    /// What is wanted.
    pub subject: Subject,
    /// What the element holds.
    pub before: Held,
    /// What it is to hold.
    pub wanted: Held,
}

/// How far an open entry has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Requests that take nothing away but what is wanted may have been sent.
    Writing,
    /// The list may be empty through us.
    Clearing {
        /// The whole list right before.
        full: Vec<u64>,
        /// When that was read.
        read_at: Timestamp,
    },
    /// What Coupa shows cannot have come from our own steps. Nothing is touched until a person has looked.
    NeedsPerson {
        /// What is odd, in one sentence; ids only.
        reason: String,
        /// The whole list right before a clear, if one was sent.
        full: Option<Vec<u64>>,
    },
    /// Done.
    Closed(Closing),
}

/// How an entry ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// The change was made and read back.
    Made,
    /// Nothing changed.
    NotMade,
    /// Coupa accepted the change and does not show it.
    Unchanged,
    /// The change was not made, and a list that our steps had emptied is whole again.
    Restored,
    /// Somebody else changed the same; a person has closed the entry.
    Settled,
}

impl Ending {
    /// Every ending.
    pub const ALL: [Self; 5] = [
        Self::Made,
        Self::NotMade,
        Self::Unchanged,
        Self::Restored,
        Self::Settled,
    ];

    /// The name in the journal.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::NotMade => "not-made",
            Self::Unchanged => "unchanged",
            Self::Restored => "restored",
            Self::Settled => "settled",
        }
    }
}

/// The end of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// When.
    pub at: Timestamp,
    /// How.
    pub ending: Ending,
    /// Who ended it: the change itself, or recovery after a failure or a crash.
    pub by: ClosedBy,
    /// Whose account, also when it was made by this change.
    pub user: Option<UserId>,
    /// What the element holds now.
    pub after: Held,
    /// Between the last read before a list was written whole, or cleared, and the answer to that, in milliseconds: an edit of the list by
    /// somebody else in that time may be lost, since Coupa has no conditional write. Of several the longest.
    pub window_ms: Option<u64>,
    /// For how long the list was empty through us, in milliseconds.
    pub empty_ms: Option<u64>,
    /// What a person should know; ids only.
    pub findings: Vec<String>,
}

/// Who closed an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClosedBy {
    /// The change itself.
    Change,
    /// Recovery.
    Recovery,
    /// A person.
    Person,
}

impl ClosedBy {
    /// Everybody.
    pub const ALL: [Self; 3] = [Self::Change, Self::Recovery, Self::Person];

    /// The name in the journal.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Recovery => "recovery",
            Self::Person => "person",
        }
    }
}

/// One request of a change, written before it is sent and again with its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When it was sent.
    pub at: Timestamp,
    /// What, for instance `put roles`, `clear roles null`, `delete membership 7`.
    pub call: String,
    /// What came of it, for instance `accepted`, `503`; `None` while it is under way or after a crash.
    pub end: Option<String>,
}

/// One change in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub id: EntryId,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// What was intended.
    pub intent: Intent,
    /// How far it has come.
    pub stage: Stage,
    /// Requests that wrote, in order.
    pub steps: Vec<Step>,
}

impl Entry {
    /// Whether it waits for an end.
    pub const fn is_open(&self) -> bool {
        !matches!(self.stage, Stage::Closed(_))
    }

    /// Ids that the user's list must show, or it is damaged by a change of ours: the full list before a clear, less what is taken.
    pub fn must_hold(&self) -> Option<(ListKind, Vec<u64>)> {
        let list = self.intent.subject.list()?;
        let full = match &self.stage {
            Stage::Clearing { full, .. } | Stage::NeedsPerson { full: Some(full), .. } => full,
            Stage::Writing | Stage::NeedsPerson { full: None, .. } | Stage::Closed(_) => return None,
        };
        let taken = match &self.intent.subject {
            Subject::Revoke(Item::Role(id)) => Some(id.get()),
            Subject::Revoke(Item::Group(id)) => Some(id.get()),
            _ => None,
        };
        let kept = full.iter().copied().filter(|id| Some(*id) != taken).collect();
        Some((list, kept))
    }
}

/// Which entries to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that wait for an end.
    Open,
    /// Those that have one.
    Closed,
    /// All.
    All,
}

/// Where changes are recorded. Every method is durable when it returns; each blocks for as long as a disk takes.
pub trait Journal: Send + Sync {
    /// Opens an entry.
    fn open(&self, intent: &Intent) -> Result<EntryId, Fault>;

    /// Records that a request is about to be sent; the number tells it from others of the entry.
    fn begin_step(&self, entry: EntryId, at: Timestamp, call: &str) -> Result<u32, Fault>;

    /// Records what came of a request.
    fn end_step(&self, entry: EntryId, step: u32, end: &str) -> Result<(), Fault>;

    /// Moves an open entry to another stage; [`Stage::Closed`] ends it. An entry that is closed stays as it is: that is a fault.
    fn advance(&self, entry: EntryId, stage: &Stage) -> Result<(), Fault>;

    /// One entry.
    fn entry(&self, id: EntryId) -> Result<Option<Entry>, Fault>;

    /// Entries in order of their numbers.
    fn entries(&self, which: Which) -> Result<Vec<Entry>, Fault>;

    /// The newest entry of a request.
    fn of_request(&self, request: &RequestId) -> Result<Option<Entry>, Fault>;

    /// Entries that are open, or were closed at `since` or later: the users whom a reader that began then must read again.
    fn touched_since(&self, since: Timestamp) -> Result<Vec<Entry>, Fault>;

    /// Forgets entries closed before `before`; tells how many.
    fn prune(&self, before: Timestamp) -> Result<u64, Fault>;
}
