//! Users whom this connector's own changes touched while they were read. Coupa has no way to take an item from a list but to empty
//! the list and fill it again; a row that was read in between tells the damage as if it were the truth.
//!
//! Invariants: a reading that comes out of here lies between our own steps, not inside one: everything is there that must be, by the
//! journal of before and after it. Where nothing was changed nothing is asked of Coupa. Nothing here writes.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};

use super::pass::off_thread;
use crate::model::access::{Access, Item};
use crate::model::change::ListKind;
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::UserId;
use crate::model::journal::{Entry, EntryId, Held, Journal, Stage};
use crate::model::tenant::{ReadTenant, User};

/// Clocks may be set while a change runs: entries closed so long before a reading began count as touched, too.
const MARGIN: SignedDuration = SignedDuration::from_secs(5);

/// Users read side by side; there are seldom more than one.
const READERS: usize = 4;

/// The first wait is this part of all waiting.
const FIRST_OF: u32 = 32;

/// A user read again; `None`: Coupa does not have it any more.
pub type Again = (UserId, Option<User>);

/// What was changed since a reading began.
pub struct Touched {
    journal: Option<Arc<dyn Journal>>,
    since: Timestamp,
    patience: Duration,
}

impl Touched {
    /// A reading begins now. It will wait for `patience` in all for lists to be whole again.
    pub(crate) fn from_now(journal: Option<Arc<dyn Journal>>, patience: Duration) -> Self {
        Self {
            journal,
            since: Timestamp::now().saturating_sub(MARGIN).unwrap_or(Timestamp::MIN),
            patience,
        }
    }

    /// Entries that are open or were closed since.
    pub(crate) async fn entries(&self) -> Result<Vec<Entry>, Fault> {
        let Some(journal) = self.journal.clone() else {
            return Ok(Vec::new());
        };
        let since = self.since;
        off_thread(move || journal.touched_since(since)).await
    }

    /// Reads users until no reading lies inside one of our own steps. `before` are the entries as they were before the call.
    ///
    /// A list that stays damaged is [`FaultKind::Refused`] and names user and entry.
    pub(crate) async fn read<F>(
        &self,
        mut before: Vec<Entry>,
        users: Vec<UserId>,
        read: impl Fn(UserId) -> F,
    ) -> Result<Vec<Again>, Fault>
    where
        F: Future<Output = Result<Option<User>, Fault>>,
    {
        let mut waits = waits(self.patience);
        let mut sound = Vec::with_capacity(users.len());
        let mut asked = users;
        loop {
            let readings: Vec<Again> = stream::iter(asked)
                .map(|id| {
                    let reading = read(id);
                    async move { reading.await.map(|user| (id, user)) }
                })
                .buffer_unordered(READERS)
                .try_collect()
                .await?;
            let after = self.entries().await?;
            let steps = Steps::between(&before, &after);
            let mut troubles = Vec::new();
            for (id, user) in readings {
                match user.as_ref().and_then(|user| steps.trouble(id, &user.access)) {
                    Some(trouble) => troubles.push((id, trouble)),
                    None => sound.push((id, user)),
                }
            }
            // The worst one speaks if there is no time left: what is damaged needs somebody, what moves only needs time.
            let Some((user, worst)) = troubles.iter().min_by_key(|(_, trouble)| *trouble) else {
                return Ok(sound);
            };
            let Some(wait) = waits.next() else {
                return Err(worst.fault(*user));
            };
            tracing::info!(user = user.get(), trouble = ?worst, "a user is read again");
            tokio::time::sleep(wait).await;
            asked = troubles.into_iter().map(|(id, _)| id).collect();
            before = self.entries().await?;
        }
    }

    /// Reads users again of whom a query for the holders of `item`, made since, may have told something wrong. `shown` says of a
    /// user whether the query showed it, or `None` where it did not look. Asks nothing of Coupa where no entry matters to the answer.
    pub async fn holders(
        &self,
        reader: &dyn ReadTenant,
        item: &Item,
        shown: impl Fn(UserId) -> Option<bool>,
    ) -> Result<Vec<Again>, Fault> {
        let entries = self.entries().await?;
        let matters = |entry: &Entry| {
            let user = user_of(entry)?;
            matters(entry, item, shown(user)?).then_some(user)
        };
        let users: BTreeSet<UserId> = entries.iter().filter_map(matters).collect();
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let users = users.into_iter().collect();
        self.read(entries, users, |id| reader.user(id)).await
    }
}

/// Whose account an entry is about.
pub(crate) fn user_of(entry: &Entry) -> Option<UserId> {
    match &entry.stage {
        Stage::Closed(closing) => closing.user.or(entry.intent.user),
        Stage::Writing | Stage::Clearing { .. } | Stage::NeedsPerson { .. } => entry.intent.user,
    }
}

/// What a list that the change may have emptied is to show: while it is open, what was there; then, what was read back.
fn expected(entry: &Entry) -> Option<(ListKind, Vec<u64>)> {
    match &entry.stage {
        Stage::Closed(closing) => match (entry.intent.subject.list(), &closing.after) {
            (Some(list), Held::Ids(ids)) => Some((list, ids.clone())),
            // No list was written, or nobody knows what it holds.
            _ => None,
        },
        Stage::Writing | Stage::Clearing { .. } | Stage::NeedsPerson { .. } => entry.must_hold(),
    }
}

/// Whether a query that showed the user as a holder of `item`, or did not, may be wrong through the change of an entry.
fn matters(entry: &Entry, item: &Item, shown: bool) -> bool {
    let Some((list, ids)) = expected(entry) else {
        return false;
    };
    match (list, item) {
        // The class of an account depends on its roles.
        (ListKind::Roles, _) if shown => true,
        (ListKind::Roles, Item::Role(id)) => ids.contains(&id.get()),
        (ListKind::Groups, Item::Group(id)) => !shown && ids.contains(&id.get()),
        (ListKind::Roles | ListKind::Groups, _) => false,
    }
}

/// Why a reading is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    /// A list lacks what it must hold, and the change is still open.
    Damaged(EntryId, ListKind),
    /// A change ended meanwhile, and the reading may be from before its end.
    Moved(EntryId),
}

impl Trouble {
    fn fault(self, user: UserId) -> Fault {
        match self {
            Self::Damaged(entry, list) => Fault::new(
                FaultKind::Refused,
                format!(
                    "user {user}: {} are incomplete through an interrupted change (journal entry {entry})",
                    list.name()
                ),
            )
            .advise("let the process that makes changes repair it, or run `baton-coupa journal recover`"),
            Self::Moved(entry) => Fault::unavailable(format!(
                "user {user} is being changed over and over (last by journal entry {entry})"
            ))
            .advise("try again when the changes are through"),
        }
    }
}

/// The journal on both sides of a reading.
struct Steps<'a> {
    before: HashMap<EntryId, &'a Entry>,
    after: HashMap<UserId, Vec<&'a Entry>>,
}

impl<'a> Steps<'a> {
    fn between(before: &'a [Entry], after: &'a [Entry]) -> Self {
        let mut by_user: HashMap<UserId, Vec<&Entry>> = HashMap::new();
        for entry in after {
            if let Some(user) = user_of(entry) {
                by_user.entry(user).or_default().push(entry);
            }
        }
        Self {
            before: before.iter().map(|entry| (entry.id, entry)).collect(),
            after: by_user,
        }
    }

    /// The worst that speaks against a reading.
    fn trouble(&self, user: UserId, access: &Access) -> Option<Trouble> {
        let entries = self.after.get(&user)?;
        entries
            .iter()
            .filter_map(|entry| self.trouble_by(entry, access))
            .min()
    }

    fn trouble_by(&self, entry: &Entry, access: &Access) -> Option<Trouble> {
        let before = self.before.get(&entry.id).copied();
        if entry.is_open() {
            // An entry that was clearing before the reading may have been so in it, whatever it is now.
            let must_hold = entry.must_hold().or_else(|| before.and_then(Entry::must_hold));
            let (list, ids) = must_hold?;
            return (!holds(access, list, &ids)).then_some(Trouble::Damaged(entry.id, list));
        }
        if before.is_some_and(|before| !before.is_open()) {
            // It had ended, and its end was proved by reading back.
            return None;
        }
        let list = entry.intent.subject.list()?;
        let whole = expected(entry).is_some_and(|(_, ids)| holds(access, list, &ids));
        (!whole).then_some(Trouble::Moved(entry.id))
    }
}

/// Whether everything is there: the list of an account that our own steps left whole holds all of [`Entry::must_hold`].
pub fn holds(access: &Access, list: ListKind, ids: &[u64]) -> bool {
    let held: BTreeSet<u64> = match list {
        ListKind::Roles => access.roles().iter().map(|id| id.get()).collect(),
        ListKind::Groups => access.groups().iter().map(|id| id.get()).collect(),
    };
    ids.iter().all(|id| held.contains(id))
}

/// Doubling waits that come to `whole` in all.
fn waits(whole: Duration) -> impl Iterator<Item = Duration> {
    let (mut left, mut next) = (whole, whole / FIRST_OF);
    iter::from_fn(move || {
        let wait = next.min(left);
        left -= wait;
        next *= 2;
        (!wait.is_zero()).then_some(wait)
    })
}
