//! Questions about single items in a sync that has no pass: what they have cost, and what they have shown.
//!
//! A query for the holders of one item shows whole accounts. A caller that wants the accounts of holders after their grants gets them
//! from here: one request per 50 holders in all, not one for each.
//!
//! Invariants: an account is given back as a query showed it, and only to the sync that asked; texts lie in a spool, memory holds
//! under 80 bytes for each account, and as much again for each holder of a counted item.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use super::account::Account;
use super::live::Snapshot;
use super::spool::{Row, Spool};
use crate::model::access::{Item, ItemKind};
use crate::model::baseline::{Baseline, Count};
use crate::model::fault::Fault;
use crate::model::id::UserId;
use crate::model::tenant::AccountClass;

/// Coupa: 50 rows per call.
const PAGE: u64 = 50;

/// What a pass costs beside its pages: the probe, the ends of lists and ranges. Measured against the sandbox, rounded up.
const OVERHEAD: u64 = 24;

/// Users of a tenant whose size nobody has told yet.
const ASSUMED_USERS: u64 = 5_000;

/// How a question about the holders of one item is to be answered.
pub enum Lone {
    /// From this snapshot.
    Snapshot(Arc<Snapshot>),
    /// By asking Coupa for the holders of just that item.
    Query(Arc<Recall>),
}

/// Holders of one item and the classes of their accounts, of every class.
pub type Holders = Arc<BTreeMap<UserId, AccountClass>>;

/// What the lone questions of one sync have cost and shown.
#[derive(Default)]
pub struct Recall {
    /// Whether what is shown is kept. Callers without a sync id share one, and want to know how things are now.
    keeps: bool,
    spool: OnceCell<Spool>,
    known: Mutex<Known>,
    pub(super) pass_costs: OnceCell<u64>,
}

#[derive(Default)]
struct Known {
    rows: HashMap<UserId, Row>,
    items: HashSet<Item>,
    holders: HashMap<Item, Holders>,
    spent: u64,
}

impl Recall {
    pub(super) fn new(sync: &str) -> Self {
        Self {
            keeps: !sync.is_empty(),
            ..Self::default()
        }
    }

    /// A request was made for a question.
    pub fn spend(&self) {
        self.lock().spent += 1;
    }

    pub(super) fn spent(&self) -> u64 {
        self.lock().spent
    }

    /// Keeps accounts for [`Recall::account`].
    pub async fn keep(&self, accounts: impl Iterator<Item = Account>) -> Result<(), Fault> {
        if !self.keeps {
            return Ok(());
        }
        let accounts: Vec<(Account, u32)> = accounts.map(|account| (account, 0)).collect();
        if accounts.is_empty() {
            return Ok(());
        }
        let spool = self.spool.get_or_try_init(Spool::create).await?;
        let rows = spool.append(&accounts).await?;
        self.lock().rows.extend(rows.into_iter().map(|row| (row.id, row)));
        Ok(())
    }

    /// The account, if a query of this sync has shown it.
    pub async fn account(&self, id: UserId) -> Result<Option<Account>, Fault> {
        let row = self.lock().rows.get(&id).copied();
        match (row, self.spool.get()) {
            (Some(row), Some(spool)) => Ok(spool.read(vec![row]).await?.pop()),
            _ => Ok(None),
        }
    }

    /// Keeps that the tenant has the item.
    pub fn keep_item(&self, item: &Item) {
        if self.keeps {
            self.lock().items.insert(item.clone());
        }
    }

    /// Whether this sync has seen the item.
    pub fn has_item(&self, item: &Item) -> bool {
        self.lock().items.contains(item)
    }

    /// Keeps all holders of an item.
    pub fn keep_holders(&self, item: &Item, holders: Holders) {
        if self.keeps {
            self.lock().holders.insert(item.clone(), holders);
        }
    }

    /// All holders of an item, if this sync has counted them.
    pub fn holders(&self, item: &Item) -> Option<Holders> {
        self.lock().holders.get(item).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Every change is one statement.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a pass is due before the next question: once the questions have cost what a pass costs. Together they then never cost
/// much more than twice the cheaper of the two ways, however many there will be.
pub(super) const fn pass_is_due(spent: u64, pass_costs: u64) -> bool {
    spent >= pass_costs
}

/// Whether a pass can be due at all, before anybody has looked how large the tenant is.
pub(super) const fn pass_may_be_due(spent: u64) -> bool {
    spent >= OVERHEAD
}

/// About how many requests a pass makes: by the sizes of the last one, else by the highest id of a user, else as in a tenant of some
/// thousand users. Where little is known the guess is low: a pass is never wrong.
pub(super) fn pass_costs(last: Option<&Baseline>, highest: Option<UserId>) -> u64 {
    let counts = last.map(|baseline| &baseline.counts);
    let count = |what| counts.and_then(|counts| counts.get(&what)).copied();
    let told: Vec<u64> = AccountClass::ALL
        .into_iter()
        .filter_map(|class| count(Count::Users(class)))
        .collect();
    let users = if told.is_empty() {
        highest.map_or(ASSUMED_USERS, |id| id.get().min(ASSUMED_USERS))
    } else {
        told.into_iter().sum()
    };
    let items = [ItemKind::Role, ItemKind::Group].map(|kind| count(Count::Items(kind)).unwrap_or(0));
    let pages = [users, items[0], items[1]].map(|rows| rows.div_ceil(PAGE));
    OVERHEAD + pages.iter().sum::<u64>()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use jiff::Timestamp;

    use super::*;
    use crate::snapshot::SupplierRoles;
    use crate::snapshot::fake::{World, role_item, user_id};

    fn sizes(counts: &[(Count, u64)]) -> Baseline {
        Baseline {
            taken_at: Timestamp::UNIX_EPOCH,
            counts: counts.iter().copied().collect(),
        }
    }

    #[test]
    fn a_pass_is_estimated_by_what_is_known_best() {
        let users = |class, count| (Count::Users(class), count);
        let last = sizes(&[
            users(AccountClass::Internal, 19_000),
            users(AccountClass::Supplier, 1_001),
            (Count::Items(ItemKind::Role), 60),
            (Count::Items(ItemKind::License), 20),
        ]);
        assert_eq!(pass_costs(Some(&last), Some(user_id(5))), OVERHEAD + 401 + 2);
        let no_users = sizes(&[(Count::Items(ItemKind::Role), 60)]);
        assert_eq!(pass_costs(Some(&no_users), Some(user_id(100))), OVERHEAD + 2 + 2);
        assert_eq!(pass_costs(None, Some(user_id(1 << 40))), OVERHEAD + 100);
        assert_eq!(pass_costs(None, None), OVERHEAD + 100);
    }

    #[test]
    fn together_the_ways_cost_little_more_than_twice_the_cheaper_one() {
        for pass in [OVERHEAD, 100, 424] {
            for question in [1, 3, 21, 60] {
                for questions in 1..200 {
                    let (mut spent, mut total) = (0, 0);
                    for _ in 0..questions {
                        if pass_is_due(spent, pass) {
                            total = spent + pass;
                            break;
                        }
                        spent += question;
                        total = spent;
                    }
                    let best = pass.min(questions * question);
                    assert!(total <= 2 * best + question, "{questions} of {question}: {total}");
                    assert!(!pass_is_due(spent, pass) || pass_may_be_due(spent));
                }
            }
        }
    }

    #[tokio::test]
    async fn what_was_shown_comes_back_to_the_sync_that_asked() {
        let accounts: Vec<Account> = World::new(200)
            .users
            .into_values()
            .map(|user| Account::of(user, &SupplierRoles::default()).0)
            .collect();
        let recall = Recall::new("sync");
        recall.keep(accounts.iter().cloned()).await.unwrap();
        let renamed = Account {
            login: "renamed".into(),
            ..accounts[7].clone()
        };
        recall.keep(std::iter::once(renamed.clone())).await.unwrap();
        assert!(recall.account(accounts[3].id).await.unwrap().as_ref() == Some(&accounts[3]));
        assert!(
            recall.account(renamed.id).await.unwrap() == Some(renamed),
            "the later one"
        );
        assert!(recall.account(user_id(u64::MAX)).await.unwrap().is_none());

        let shared = Recall::new("");
        shared.keep(accounts.iter().cloned()).await.unwrap();
        shared.keep_item(&role_item(1));
        shared.keep_holders(&role_item(1), Holders::default());
        assert!(shared.account(accounts[3].id).await.unwrap().is_none());
        assert!(!shared.has_item(&role_item(1)) && shared.holders(&role_item(1)).is_none());
    }

    #[test]
    fn an_account_takes_the_memory_that_is_planned() {
        // A map that has just grown is filled to 7/16, and keeps a byte beside each place.
        assert!((size_of::<(UserId, Row)>() + 1) * 16 / 7 < 80);
    }
}
