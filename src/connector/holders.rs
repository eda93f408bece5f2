//! Who holds one item, asked of Coupa by a filter: one request per 50 holders.
//!
//! Invariant: a filter is believed only as far as something speaks for it. Rows that do not hold the item, a known holder who is left
//! out, roles that the filter takes from the rows, or an empty answer by a filter that has never shown anybody: the answer is then
//! that this tenant cannot be asked so, and a pass tells. What cannot be noticed is a filter that works in general and leaves out
//! holders whom the probe did not see.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Connector, in_time};
use crate::model::access::{Access, Item, ItemKind};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::UserId;
use crate::model::tenant::{
    AccountClass, Survey, User, UserCursor, UserFilter, UserOrder, UserPage, UserQuery,
};
use crate::snapshot::{Account, Fresh, Holders, Recall, SupplierRoles};

/// Holders asked of Coupa for one answer.
const HOLDERS: usize = 500;

/// Pages asked of Coupa while the holders found were all of classes that are not listed.
const QUERIES: usize = 40;

/// One item, and what is needed to ask for its holders.
pub(super) struct Question<'a> {
    pub(super) fresh: &'a Fresh,
    pub(super) item: &'a Item,
    pub(super) deadline: Instant,
    pub(super) recall: &'a Recall,
}

/// Holders of every class that were shown from a user on, and up to which user was asked; `None`: up to the last.
pub(super) struct Shown {
    pub(super) holders: BTreeMap<UserId, Account>,
    pub(super) last: Option<UserId>,
}

/// Rows of one request.
struct Rows {
    users: Vec<User>,
    last: Option<UserId>,
}

impl Connector {
    /// Holders above `from`, at least `enough` of listed classes where there are so many; `None` if this tenant cannot be asked so.
    pub(super) async fn ask(
        &self,
        question: &Question<'_>,
        from: Option<UserId>,
        enough: usize,
    ) -> Result<Option<Shown>, Fault> {
        let Question {
            fresh,
            item,
            deadline,
            recall,
        } = question;
        if fresh.reader.survey().order != UserOrder::ById {
            return Ok(None);
        }
        let suppliers = in_time(*deadline, fresh.supplier_roles()).await?;
        let touched = self.snapshots.touched();
        let Some(mut shown) = self.shown(question, from, enough, suppliers).await? else {
            return Ok(None);
        };
        let reader = fresh.reader.as_ref();
        let told = |user| shown.tells(user, from);
        let again = touched.holders(reader, item, told);
        for (id, user) in in_time(*deadline, again).await? {
            let holds = |user: &User| user.access.holds(item, &reader.survey().licenses);
            match user.filter(holds) {
                Some(user) => shown.add(user, suppliers),
                None => drop(shown.holders.remove(&id)),
            }
        }
        // After that: whom a change of ours has hidden for a moment speaks neither for nor against the filter.
        if !in_time(*deadline, question.is_believed(&shown, from)).await? {
            tracing::warn!(?item, "a filter leaves out holders: a pass is made instead");
            return Ok(None);
        }
        let listed = shown.holders.values().filter(|account| self.lists(account.class));
        recall.keep(listed.cloned()).await?;
        Ok(Some(shown))
    }

    /// Every holder of an item, and its class; `None` if the tenant cannot be asked so. The sync that counts an item need not ask for
    /// its holders again.
    pub(super) async fn count_holders(&self, question: &Question<'_>) -> Result<Option<Holders>, Fault> {
        if let Some(counted) = question.recall.holders(question.item) {
            return Ok(Some(counted));
        }
        let (mut holders, mut from) = (BTreeMap::new(), None);
        loop {
            let Some(shown) = self.ask(question, from, HOLDERS).await? else {
                return Ok(None);
            };
            holders.extend(shown.holders.iter().map(|(id, account)| (*id, account.class)));
            from = shown.last;
            if from.is_none() {
                break;
            }
        }
        let holders = Arc::new(holders);
        question.recall.keep_holders(question.item, Arc::clone(&holders));
        Ok(Some(holders))
    }

    /// What filtered queries show; `None` if the tenant ignores or refuses the filter.
    async fn shown(
        &self,
        question: &Question<'_>,
        from: Option<UserId>,
        enough: usize,
        suppliers: &SupplierRoles,
    ) -> Result<Option<Shown>, Fault> {
        let mut shown = Shown {
            holders: BTreeMap::new(),
            last: from,
        };
        for _ in 0..QUERIES {
            let rows = match question.rows_after(question.item, shown.last).await {
                // What was found so far is an answer; the next call tells whether Coupa recovered.
                Err(fault) if fault.is_transient() && shown.last != from => break,
                rows => rows?,
            };
            let Some(rows) = rows else {
                return Ok(None);
            };
            if !in_time(question.deadline, question.are_whole(&rows.users, suppliers)).await? {
                return Ok(None);
            }
            for user in rows.users {
                shown.add(user, suppliers);
            }
            shown.last = rows.last;
            let listed = shown.holders.values().filter(|account| self.lists(account.class));
            if shown.last.is_none() || listed.count() >= enough.min(HOLDERS) {
                break;
            }
        }
        Ok(Some(shown))
    }

    /// Whether accounts of that class are listed.
    pub(super) fn lists(&self, class: AccountClass) -> bool {
        self.snapshots.config().classes.contains(class)
    }
}

impl Shown {
    fn add(&mut self, user: User, suppliers: &SupplierRoles) {
        let (account, _) = Account::of(user, suppliers);
        self.holders.insert(account.id, account);
    }

    /// Whether a user was asked for.
    fn reaches(&self, user: UserId, from: Option<UserId>) -> bool {
        from < Some(user) && self.last.is_none_or(|last| user <= last)
    }

    /// Whether a user was shown as a holder; `None`: was not asked for.
    fn tells(&self, user: UserId, from: Option<UserId>) -> Option<bool> {
        self.reaches(user, from).then(|| self.holders.contains_key(&user))
    }
}

impl Question<'_> {
    /// Rows of one request; `None` if the tenant ignores or refuses the filter.
    async fn rows_after(&self, item: &Item, last: Option<UserId>) -> Result<Option<Rows>, Fault> {
        let from = UserCursor::After(last.map_or(0, UserId::get));
        let query = UserQuery {
            from,
            filter: UserFilter::Holding(item.clone()),
        };
        self.recall.spend();
        let UserPage { users, next } = match in_time(self.deadline, self.fresh.reader.users(&query)).await {
            Err(fault) if *fault.kind() == FaultKind::Unsupported => return Ok(None),
            page => page?,
        };
        let last = match next {
            Some(UserCursor::After(next)) if UserCursor::After(next) > from => UserId::new(next),
            Some(_) => return Err(Fault::corrupt("a listing of users does not move on")),
            None => None,
        };
        if users.iter().any(|user| !self.holds(&user.access, item)) {
            return Ok(None);
        }
        if !users.is_empty() {
            self.fresh.proved(item.kind());
        }
        Ok(Some(Rows { users, last }))
    }

    /// Whether rows show all the roles of their users, where the class of an account may depend on it: whoever holds a supplier's role
    /// and another one is no supplier, and a filter on an association may take the other one from the rows. One user who shows no
    /// other role tells, read alone.
    async fn are_whole(&self, users: &[User], suppliers: &SupplierRoles) -> Result<bool, Fault> {
        let Item::Role(role) = self.item else {
            return Ok(true);
        };
        if !suppliers.contains(*role) {
            return Ok(true);
        }
        let Some(bare) = users.iter().find(|user| user.access.roles() == [*role]) else {
            return Ok(true);
        };
        let look = async || {
            self.recall.spend();
            let alone = self.fresh.reader.user(bare.id).await?;
            Ok(alone.is_none_or(|alone| alone.access.roles().len() <= 1))
        };
        self.fresh.shows_whole_lists(look).await
    }

    /// Whether nobody is missing of whom it is known that they hold the item, and an empty answer is one of a filter that works.
    async fn is_believed(&self, shown: &Shown, from: Option<UserId>) -> Result<bool, Fault> {
        let seen = &self.fresh.reader.survey().seen;
        for (user, access) in seen {
            let missed = shown.tells(*user, from) == Some(false) && self.holds(access, self.item);
            if missed && self.still_holds(*user, self.item).await? {
                return Ok(false);
            }
        }
        let nobody = shown.holders.is_empty() && from.is_none();
        Ok(!nobody || self.filter_works().await?)
    }

    /// Whether filters for items of this kind show anybody: by an earlier answer, else by a question whose answer is known.
    async fn filter_works(&self) -> Result<bool, Fault> {
        let kind = self.item.kind();
        if self.fresh.is_proved(kind) {
            return Ok(true);
        }
        let survey = self.fresh.reader.survey();
        let known = survey.seen.iter().find_map(|(user, access)| {
            let item = any_item(access, kind, survey)?;
            Some((*user, item))
        });
        let Some((user, item)) = known else {
            return Ok(false);
        };
        let before = UserId::new(user.get() - 1);
        let rows = self.rows_after(&item, before).await?;
        Ok(rows.is_some_and(|rows| rows.users.iter().any(|row| row.id == user)))
    }

    async fn still_holds(&self, user: UserId, item: &Item) -> Result<bool, Fault> {
        self.recall.spend();
        let user = self.fresh.reader.user(user).await?;
        Ok(user.is_some_and(|user| self.holds(&user.access, item)))
    }

    fn holds(&self, access: &Access, item: &Item) -> bool {
        access.holds(item, &self.fresh.reader.survey().licenses)
    }
}

/// One item of a kind that somebody holds.
fn any_item(access: &Access, kind: ItemKind, survey: &Survey) -> Option<Item> {
    match kind {
        ItemKind::Role => access.roles().first().copied().map(Item::Role),
        ItemKind::Group => access.groups().first().copied().map(Item::Group),
        ItemKind::License => {
            let license = survey.licenses.get(access.licenses.positions().next()?)?;
            Some(Item::License(license.name.clone()))
        }
    }
}
