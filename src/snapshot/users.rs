//! Every user once: by ranges of ids side by side, or in one listing where the tenant keeps an order of its own.
//!
//! Invariant: each user is taken in once, with the latest row that was seen of it; a row is spooled before it is shown.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use futures::future;
use tokio::sync::watch;

use super::account::Account;
use super::class::SupplierRoles;
use super::pass::{Reading, lock};
use super::ranges::{Job, Next, Ranges};
use super::spool::Row;
use super::touched::user_of;
use crate::model::fault::Fault;
use crate::model::id::UserId;
use crate::model::tenant::{User, UserCursor, UserFilter, UserOrder, UserPage, UserQuery};

/// A listing whose rows move while it is read is repeated until it holds still, at most so often.
const LISTINGS: u32 = 3;

/// The ranges of a pass among its readers.
struct SharedRanges {
    ranges: Mutex<Ranges>,
    /// Told whenever a page has come.
    told: watch::Sender<()>,
}

/// A user that was taken in.
struct Kept {
    id: UserId,
    slot: u32,
    /// `None`: its class is not listed.
    row: Option<Row>,
}

fn strange_cursor() -> Fault {
    Fault::internal("a page of users goes on at a place that does not fit the listing")
}

impl Reading<'_> {
    /// Reads every user.
    pub(super) async fn users(&self, suppliers: &SupplierRoles) -> Result<(), Fault> {
        match self.reader.survey().order {
            UserOrder::ById => self.users_by_ranges(suppliers).await,
            UserOrder::Arbitrary => self.users_by_listing(suppliers).await,
        }
    }

    async fn users_by_ranges(&self, suppliers: &SupplierRoles) -> Result<(), Fault> {
        let readers = self.pass.config.readers.max(1);
        let highest = self.reader.survey().highest_user.map(UserId::get);
        let ranges = Ranges::new(highest, readers);
        ranges.starts().for_each(|after| self.pass.shared.open(after));
        let shared = SharedRanges {
            ranges: Mutex::new(ranges),
            told: watch::Sender::new(()),
        };
        let readers = (0..readers).map(|_| self.read_ranges(&shared, suppliers));
        future::try_join_all(readers).await.map(drop)
    }

    /// One reader: range after range until there is nothing left worth taking.
    async fn read_ranges(&self, shared: &SharedRanges, suppliers: &SupplierRoles) -> Result<(), Fault> {
        let mut told = shared.told.subscribe();
        loop {
            let next = {
                let mut ranges = lock(&shared.ranges);
                let next = ranges.next();
                if let Next::Read(job) = next {
                    self.pass.shared.open(job.after);
                }
                next
            };
            match next {
                Next::Nothing => return Ok(()),
                // The sender lives as long as its readers, so this cannot fail.
                Next::Wait => told.changed().await.unwrap_or_default(),
                Next::Read(job) => self.read_range(job, shared, suppliers).await?,
            }
        }
    }

    async fn read_range(
        &self,
        job: Job,
        shared: &SharedRanges,
        suppliers: &SupplierRoles,
    ) -> Result<(), Fault> {
        let mut from = Some(job.after);
        while let Some(after) = from {
            let page = self.page(UserCursor::After(after)).await?;
            let ids: Vec<u64> = page.users.iter().map(|user| user.id.get()).collect();
            let next = match page.next {
                None => None,
                Some(UserCursor::After(next)) => Some(next),
                Some(UserCursor::Offset(_)) => return Err(strange_cursor()),
            };
            let taken = lock(&shared.ranges)
                .page(job.range, &ids, next)
                .map_err(|error| {
                    Fault::corrupt(error.to_string())
                        .advise("run again: the order of users is probed anew at each start")
                })?;
            shared.told.send_replace(());
            let mut users = page.users;
            users.truncate(taken.keep);
            let kept = self.keep(users, suppliers).await?;
            let rows = kept.into_iter().filter_map(|kept| kept.row).collect();
            self.pass.shared.rows(job.after, rows);
            from = taken.next;
        }
        self.pass.shared.done(job.after);
        Ok(())
    }

    /// A tenant that lists in an order of its own: one reader, repeated while rows move under it.
    async fn users_by_listing(&self, suppliers: &SupplierRoles) -> Result<(), Fault> {
        let mut kept = HashMap::new();
        for listing in 1..=LISTINGS {
            let moved = self.list_once(suppliers, &mut kept).await?;
            if !moved {
                break;
            }
            if listing == LISTINGS {
                self.find("users moved between pages in every listing: accounts made or changed meanwhile may be missing");
            }
        }
        let mut rows: Vec<Row> = kept.into_values().filter_map(|kept| kept.row).collect();
        rows.sort_unstable_by_key(|row| row.id);
        self.pass.shared.rows(0, rows);
        self.pass.shared.done(0);
        Ok(())
    }

    /// Lists all users by offset, later rows replacing earlier ones; answers whether a row was seen twice, which tells that
    /// another may have been missed.
    async fn list_once(
        &self,
        suppliers: &SupplierRoles,
        kept: &mut HashMap<UserId, Kept>,
    ) -> Result<bool, Fault> {
        let mut seen = HashSet::new();
        let (mut moved, mut repeated) = (false, 0);
        let mut from = Some(0);
        while let Some(offset) = from {
            let page = self.page(UserCursor::Offset(offset)).await?;
            from = match page.next {
                None => None,
                Some(UserCursor::Offset(next)) if next > offset => Some(next),
                Some(_) => return Err(strange_cursor()),
            };
            let (rows, known) = (page.users.len(), seen.len());
            for new in self.keep(page.users, suppliers).await? {
                moved |= !seen.insert(new.id);
                if let Some(old) = kept.insert(new.id, new) {
                    lock(&self.holdings).forget(old.slot);
                }
            }
            // Rows may move, but a listing that has shown everybody once more without anybody new has no end.
            repeated = if seen.len() == known { repeated + rows } else { 0 };
            if repeated > seen.len() {
                return Err(Fault::corrupt(
                    "Coupa repeats the same users on every page; the list cannot be read to its end",
                ));
            }
        }
        Ok(moved)
    }

    async fn page(&self, from: UserCursor) -> Result<UserPage, Fault> {
        let query = UserQuery {
            from,
            filter: UserFilter::All,
        };
        self.pass.patiently("users", || self.reader.users(&query)).await
    }

    /// Reads users again whom our own changes touched since the pass began: their rows may lie inside a change. Costs nothing where
    /// nothing was changed.
    ///
    /// Callers may have been told the earlier row of such a user already, with older values of its profile. That is as if the change
    /// came after the pass; what counts is that grants are never told of a damaged list.
    pub(super) async fn reread_touched(&self, suppliers: &SupplierRoles) -> Result<(), Fault> {
        let entries = self.touched.entries().await?;
        let touched: HashSet<UserId> = entries.iter().filter_map(user_of).collect();
        if touched.is_empty() {
            return Ok(());
        }
        // Users who are not here were made meanwhile: they are the next pass's.
        let slots: HashMap<UserId, u32> = lock(&self.holdings)
            .users()
            .filter(|(_, id, _)| touched.contains(id))
            .map(|(slot, id, _)| (id, slot))
            .collect();
        let users = slots.keys().copied().collect();
        let read = |id| self.pass.patiently("user", move || self.reader.user(id));
        for (id, user) in self.touched.read(entries, users, read).await? {
            let Some(slot) = slots.get(&id) else { continue };
            if let Some(user) = user {
                self.replace(*slot, user, suppliers).await?;
            } else {
                lock(&self.holdings).forget(*slot);
                self.pass.shared.replace(id, None);
            }
        }
        Ok(())
    }

    async fn replace(&self, slot: u32, user: User, suppliers: &SupplierRoles) -> Result<(), Fault> {
        let (account, access) = Account::of(user, suppliers);
        let (id, class) = (account.id, account.class);
        lock(&self.holdings).replace(slot, class, &access);
        if !self.pass.config.classes.contains(class) {
            self.pass.shared.replace(id, None);
            return Ok(());
        }
        let row = self.spool.append(&[(account, slot)]).await?.pop();
        if self.pass.shared.replace(id, row) {
            return Ok(());
        }
        // Its place in the list may have been passed by already, and without an account there must be no grants.
        Err(Fault::unavailable(format!(
            "user {id} was read in the middle of a change and taken for an account that is not listed"
        ))
        .advise("read again"))
    }

    /// Takes users in, and spools those that are listed.
    async fn keep(&self, users: Vec<User>, suppliers: &SupplierRoles) -> Result<Vec<Kept>, Fault> {
        let mut kept = Vec::with_capacity(users.len());
        let mut listed = Vec::with_capacity(users.len());
        {
            let mut holdings = lock(&self.holdings);
            for user in users {
                let (account, access) = Account::of(user, suppliers);
                let slot = holdings.add(account.id, account.class, &access)?;
                kept.push(Kept {
                    id: account.id,
                    slot,
                    row: None,
                });
                if self.pass.config.classes.contains(account.class) {
                    listed.push((account, slot));
                }
            }
        }
        let mut rows = self.spool.append(&listed).await?.into_iter().peekable();
        for kept in &mut kept {
            kept.row = rows.next_if(|row| row.slot == kept.slot);
        }
        Ok(kept)
    }
}
