//! One pass over the tenant: survey, roles and groups, every user once, then the judgements, then the index.
//!
//! Invariant: a pass ends complete and judged, or with a fault; nothing is ever guessed in place of what could not be read.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future;
use jiff::Timestamp;

use super::account::Account;
use super::class::supplier_roles;
use super::cut::{Lengths, contradicts, sample, shows_more};
use super::guard::{Counts, describe, plural, refusal, shrinks};
use super::index::Holdings;
use super::live::{Complete, Shared};
use super::ranges::Ranges;
use super::report::{ClassCount, Served, SnapshotReport};
use super::spool::{Row, Spool};
use super::{OnShrink, SnapshotConfig};
use crate::model::access::{Access, Item, ItemKind, LicenseSet};
use crate::model::baseline::{Baseline, Baselines, Count};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::{RoleId, UserId};
use crate::model::tenant::{
    AccountClass, Finding, Group, ReadTenant, Role, Tenant, User, UserCursor, UserFilter, UserOrder,
    UserPage, UserQuery,
};

/// A call that failed for a reason that passes is made again so often, after the tenant's client gave up retrying.
const SECOND_CHANCES: u32 = 2;

/// Longest pause before such a second chance.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A listing whose rows move while it is read is repeated until it holds still, at most so often.
const LISTINGS: u32 = 3;

/// Users per call that are read another way (Coupa: 50 rows per call).
const SAMPLE: usize = 50;

/// Unlisted items held by users are asked for one by one, up to so many.
const STRAYS: usize = 200;

/// One pass.
pub(crate) struct Pass {
    pub(crate) tenant: Arc<dyn Tenant>,
    pub(crate) baselines: Arc<dyn Baselines>,
    pub(crate) config: SnapshotConfig,
    pub(crate) shared: Arc<Shared>,
}

impl Pass {
    /// Runs the pass and tells its end to those who wait.
    pub(crate) async fn run(self) {
        let outcome = self.read().await;
        if let Err(fault) = &outcome {
            tracing::warn!(?fault, "the pass over the tenant failed");
        }
        self.shared.end(outcome);
    }

    async fn read(&self) -> Result<Complete, Fault> {
        let reader = self.patiently("survey", || self.tenant.survey()).await?;
        let spool = Arc::new(Spool::create().await?);
        self.shared.start(Arc::clone(&reader), Arc::clone(&spool));
        let reading = Reading {
            pass: self,
            reader: reader.as_ref(),
            spool: &spool,
            before: self.last_counts().await?,
            holdings: Mutex::new(Holdings::new(&reader.survey().licenses)),
            findings: Mutex::new(reader.survey().findings.clone()),
        };
        reading.read().await
    }

    /// Makes a call that may fail for a passing reason a few times. Progress made by others in the meantime is kept.
    async fn patiently<T, F>(&self, what: impl fmt::Display, mut call: impl FnMut() -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let mut chances = SECOND_CHANCES;
        loop {
            match call().await {
                Err(fault) if fault.is_transient() && chances > 0 => {
                    chances -= 1;
                    tracing::warn!(?fault, %what, "reading the tenant is tried again");
                    tokio::time::sleep(self.pause(&fault)).await;
                }
                outcome => return outcome.map_err(|fault| fault.context(&what)),
            }
        }
    }

    fn pause(&self, fault: &Fault) -> Duration {
        let asked = match fault.kind() {
            FaultKind::RateLimited { until } => until.duration_since(Timestamp::now()).try_into().ok(),
            _ => None,
        };
        asked
            .unwrap_or(Duration::ZERO)
            .max(self.config.pause)
            .min(LONGEST_PAUSE)
    }

    async fn last_counts(&self) -> Result<Counts, Fault> {
        let baselines = Arc::clone(&self.baselines);
        let last = off_thread(move || baselines.last()).await?;
        Ok(last.map(|baseline| baseline.counts).unwrap_or_default())
    }
}

/// A pass that has its reader.
struct Reading<'a> {
    pass: &'a Pass,
    reader: &'a dyn ReadTenant,
    spool: &'a Spool,
    before: Counts,
    holdings: Mutex<Holdings>,
    findings: Mutex<Vec<Finding>>,
}

impl Reading<'_> {
    async fn read(self) -> Result<Complete, Fault> {
        let (roles, groups) = future::try_join(
            async {
                let roles = self.roles().await?;
                self.users(&supplier_roles(&roles)).await?;
                Ok(roles)
            },
            self.groups(),
        )
        .await?;
        self.look_for_cuts().await?;
        let (roles, groups) = self.add_strays(roles, groups).await?;
        self.finish(roles, groups).await
    }

    async fn roles(&self) -> Result<Vec<Role>, Fault> {
        let mut roles = self.pass.patiently("roles", || self.reader.roles()).await?;
        roles.sort_by_key(|role| role.id);
        roles.dedup_by_key(|role| role.id);
        self.judge(&Counts::from([(
            Count::Items(ItemKind::Role),
            roles.len() as u64,
        )]))?;
        Ok(roles)
    }

    async fn groups(&self) -> Result<Vec<Group>, Fault> {
        let mut groups = self.pass.patiently("groups", || self.reader.groups()).await?;
        groups.sort_by_key(|group| group.id);
        groups.dedup_by_key(|group| group.id);
        self.judge(&Counts::from([(
            Count::Items(ItemKind::Group),
            groups.len() as u64,
        )]))?;
        Ok(groups)
    }

    async fn users(&self, suppliers: &HashSet<RoleId>) -> Result<(), Fault> {
        match self.reader.survey().order {
            UserOrder::ById => self.users_by_ranges(suppliers).await,
            UserOrder::Arbitrary => self.users_by_listing(suppliers).await,
        }
    }

    async fn users_by_ranges(&self, suppliers: &HashSet<RoleId>) -> Result<(), Fault> {
        let readers = self.pass.config.readers.max(1);
        let highest = self.reader.survey().highest_user.map(UserId::get);
        let ranges = Ranges::new(highest, readers);
        ranges.starts().for_each(|after| self.pass.shared.open(after));
        let ranges = Mutex::new(ranges);
        let readers = (0..readers).map(|_| self.read_ranges(&ranges, suppliers));
        future::try_join_all(readers).await.map(drop)
    }

    /// One reader: range after range until there is nothing left worth taking.
    async fn read_ranges(&self, ranges: &Mutex<Ranges>, suppliers: &HashSet<RoleId>) -> Result<(), Fault> {
        loop {
            let job = {
                let mut ranges = lock(ranges);
                let Some(job) = ranges.next() else {
                    return Ok(());
                };
                self.pass.shared.open(job.after);
                job
            };
            let mut from = Some(job.after);
            while let Some(after) = from {
                let page = self.page(UserCursor::After(after)).await?;
                let ids: Vec<u64> = page.users.iter().map(|user| user.id.get()).collect();
                let next = match page.next {
                    None => None,
                    Some(UserCursor::After(next)) => Some(next),
                    Some(UserCursor::Offset(_)) => return Err(strange_cursor()),
                };
                let taken = lock(ranges).page(job.range, &ids, next).map_err(|error| {
                    Fault::corrupt(error.to_string())
                        .advise("run again: the order of users is probed anew at each start")
                })?;
                let mut users = page.users;
                users.truncate(taken.keep);
                let kept = self.keep(users, suppliers).await?;
                let rows = kept.into_iter().filter_map(|kept| kept.row).collect();
                self.pass.shared.rows(job.after, rows);
                from = taken.next;
            }
            self.pass.shared.done(job.after);
        }
    }

    /// A tenant that lists in an order of its own: one reader, repeated while rows move under it.
    async fn users_by_listing(&self, suppliers: &HashSet<RoleId>) -> Result<(), Fault> {
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
        suppliers: &HashSet<RoleId>,
        kept: &mut HashMap<UserId, Kept>,
    ) -> Result<bool, Fault> {
        let mut seen = HashSet::new();
        let mut moved = false;
        let mut from = Some(0);
        while let Some(offset) = from {
            let page = self.page(UserCursor::Offset(offset)).await?;
            from = match page.next {
                None => None,
                Some(UserCursor::Offset(next)) if next > offset => Some(next),
                Some(_) => return Err(strange_cursor()),
            };
            for new in self.keep(page.users, suppliers).await? {
                moved |= !seen.insert(new.id);
                if let Some(old) = kept.insert(new.id, new) {
                    lock(&self.holdings).forget(old.slot);
                }
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

    /// Takes users in, and spools those that are listed.
    async fn keep(&self, users: Vec<User>, suppliers: &HashSet<RoleId>) -> Result<Vec<Kept>, Fault> {
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

    /// Reads users again another way where lists look cut.
    async fn look_for_cuts(&self) -> Result<(), Fault> {
        let suspects: Vec<Suspect> = [ItemKind::Role, ItemKind::Group]
            .into_iter()
            .filter_map(|kind| self.suspect(kind))
            .collect();
        let share = SAMPLE / suspects.len().max(1);
        let mut asked: Vec<(u32, UserId)> = suspects
            .iter()
            .flat_map(|suspect| sample(&suspect.users, share))
            .collect();
        asked.sort_unstable();
        asked.dedup();
        if asked.is_empty() {
            return Ok(());
        }
        let second = match self.another_way(&asked).await {
            Ok(second) => second,
            Err(fault) if *fault.kind() == FaultKind::Unsupported => {
                self.find("many users have lists of the same greatest length, and there is no second way to check whether they are cut");
                return Ok(());
            }
            Err(fault) => return Err(fault),
        };
        for suspect in &suspects {
            let cut = second.iter().any(|(slot, first, second)| {
                suspect.users.iter().any(|(user, _)| user == slot) && shows_more(first, second, suspect.kind)
            });
            if cut {
                self.mend(suspect).await?;
            }
        }
        Ok(())
    }

    fn suspect(&self, kind: ItemKind) -> Option<Suspect> {
        let holdings = lock(&self.holdings);
        let mut lengths = Lengths::default();
        for (slot, _, _) in holdings.users() {
            lengths.add(holdings.length(slot, kind));
        }
        let length = lengths.suspicious()?;
        let (mut users, mut shorter) = (Vec::new(), Vec::new());
        for (slot, id, _) in holdings.users() {
            match holdings.length(slot, kind) {
                here if here == length => users.push((slot, id)),
                0 => {}
                _ => shorter.push((slot, id)),
            }
        }
        Some(Suspect {
            kind,
            length,
            users,
            shorter,
        })
    }

    /// Lists of this length are cut: reads all of them another way. If shorter ones differ as well, neither way can be trusted.
    async fn mend(&self, suspect: &Suspect) -> Result<(), Fault> {
        let shorter = self.another_way(&sample(&suspect.shorter, SAMPLE)).await?;
        let differing = shorter
            .iter()
            .filter(|(_, first, second)| shows_more(first, second, suspect.kind))
            .count();
        if contradicts(differing, shorter.len()) {
            return Err(Fault::corrupt(format!(
                "two ways of reading {} of the same users contradict each other for {differing} of {} users",
                plural(suspect.kind),
                shorter.len()
            ))
            .advise("check that the OAuth client may read users, roles and groups, and that no content restriction applies to it"));
        }
        let chunks = suspect.users.chunks(SAMPLE).map(|chunk| self.another_way(chunk));
        for chunk in future::try_join_all(chunks).await? {
            let mut holdings = lock(&self.holdings);
            for (slot, _, second) in chunk {
                holdings.extend(slot, &only(&second, suspect.kind));
            }
        }
        self.find(format!(
            "Coupa cuts the {} of a user at {}; {} users were read another way",
            plural(suspect.kind),
            suspect.length,
            suspect.users.len()
        ));
        Ok(())
    }

    /// First and second reading of users that still exist.
    async fn another_way(&self, users: &[(u32, UserId)]) -> Result<Vec<(u32, Access, Access)>, Fault> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<UserId> = users.iter().map(|(_, id)| *id).collect();
        let read = || self.reader.access_another_way(&ids);
        let second: HashMap<UserId, Access> = self
            .pass
            .patiently("users, another way", read)
            .await?
            .into_iter()
            .collect();
        let holdings = lock(&self.holdings);
        let both = |(slot, id): &(u32, UserId)| {
            second
                .get(id)
                .map(|second| (*slot, holdings.access(*slot), second.clone()))
        };
        Ok(users.iter().filter_map(both).collect())
    }

    /// Roles and groups that users hold and no list shows: each is asked for once, and listed if it exists.
    async fn add_strays(
        &self,
        mut roles: Vec<Role>,
        mut groups: Vec<Group>,
    ) -> Result<(Vec<Role>, Vec<Group>), Fault> {
        let strays = self.strays(&roles, &groups);
        if strays.len() > STRAYS {
            return Err(Fault::corrupt(format!(
                "users hold {} roles and groups that are not in the lists of roles and groups",
                strays.len()
            ))
            .advise("check that the OAuth client may read every role and group"));
        }
        let asked = strays.into_iter().map(|item| self.stray(item));
        let found: Vec<Option<Stray>> = future::try_join_all(asked).await?;
        let gone = found.iter().filter(|stray| stray.is_none()).count();
        if gone > 0 {
            self.find(format!(
                "users hold {gone} roles or groups that Coupa does not have; these holdings are left out"
            ));
        }
        for stray in found.into_iter().flatten() {
            match stray {
                Stray::Role(role) => roles.push(role),
                Stray::Group(group) => groups.push(group),
            }
        }
        roles.sort_by_key(|role| role.id);
        groups.sort_by_key(|group| group.id);
        Ok((roles, groups))
    }

    fn strays(&self, roles: &[Role], groups: &[Group]) -> Vec<Item> {
        let listed = |item: &Item| match item {
            Item::Role(id) => roles.binary_search_by_key(id, |role| role.id).is_ok(),
            Item::Group(id) => groups.binary_search_by_key(id, |group| group.id).is_ok(),
            Item::License(_) => true,
        };
        lock(&self.holdings)
            .items()
            .iter()
            .filter(|item| !listed(item))
            .cloned()
            .collect()
    }

    async fn stray(&self, item: Item) -> Result<Option<Stray>, Fault> {
        let stray = match item {
            Item::Role(id) => {
                let role = self.pass.patiently("role", || self.reader.role(id)).await?;
                role.map(Stray::Role)
            }
            Item::Group(id) => {
                let group = self.pass.patiently("group", || self.reader.group(id)).await?;
                group.map(Stray::Group)
            }
            Item::License(_) => None,
        };
        Ok(stray)
    }

    async fn finish(self, roles: Vec<Role>, groups: Vec<Group>) -> Result<Complete, Fault> {
        let licenses = self.reader.survey().licenses.clone();
        let users = self.users_by_class();
        let listed = roles
            .iter()
            .map(|role| Item::Role(role.id))
            .chain(groups.iter().map(|group| Item::Group(group.id)))
            .chain(licenses.iter().map(|license| Item::License(license.name.clone())))
            .collect();
        let holdings = std::mem::take(&mut *lock(&self.holdings));
        let rows = self.pass.shared.all_rows();
        let index = off_thread(move || holdings.turn(rows, listed)).await?;
        let mut counts: Counts = users
            .iter()
            .map(|(class, count)| (Count::Users(*class), *count))
            .collect();
        let sizes = [
            (ItemKind::Role, roles.len()),
            (ItemKind::Group, groups.len()),
            (ItemKind::License, licenses.len()),
        ];
        for (kind, size) in sizes {
            counts.insert(Count::Items(kind), size as u64);
            counts.insert(Count::Holdings(kind), index.totals(kind).every_class);
        }
        self.judge(&counts)?;
        self.record(counts).await;
        let report = SnapshotReport {
            users: users
                .into_iter()
                .map(|(class, accounts)| self.class_count(class, accounts))
                .collect(),
            roles: roles.len() as u64,
            groups: groups.len() as u64,
            licenses: licenses
                .iter()
                .map(|license| {
                    (
                        license.name.clone(),
                        index.seats(&Item::License(license.name.clone())),
                    )
                })
                .collect(),
            grants: ItemKind::ALL
                .into_iter()
                .map(|kind| (kind, index.totals(kind).listed))
                .collect(),
            surface: self.reader.survey().surface,
            findings: std::mem::take(&mut *lock(&self.findings)),
        };
        Ok(Complete {
            roles,
            groups,
            licenses,
            index,
            report,
        })
    }

    fn users_by_class(&self) -> Vec<(AccountClass, u64)> {
        let mut counts: HashMap<AccountClass, u64> = HashMap::new();
        for (_, _, class) in lock(&self.holdings).users() {
            *counts.entry(class).or_default() += 1;
        }
        let count = |class| (class, counts.get(&class).copied().unwrap_or(0));
        AccountClass::ALL.into_iter().map(count).collect()
    }

    fn class_count(&self, class: AccountClass, accounts: u64) -> ClassCount {
        let served = if self.pass.config.classes.contains(class) {
            Served::Listed
        } else {
            Served::LeftOut
        };
        ClassCount {
            class,
            accounts,
            served,
        }
    }

    /// The truncation guard.
    fn judge(&self, now: &Counts) -> Result<(), Fault> {
        let shrinks = shrinks(&self.before, now, self.pass.config.max_loss_percent);
        if shrinks.is_empty() {
            return Ok(());
        }
        match self.pass.config.on_shrink {
            OnShrink::Refuse => Err(refusal(&shrinks)),
            OnShrink::Accept => {
                self.find(format!("accepted as asked for: {}", describe(&shrinks)));
                Ok(())
            }
        }
    }

    /// A baseline that cannot be kept is worth a warning: this pass is good without it.
    async fn record(&self, counts: Counts) {
        let baselines = Arc::clone(&self.pass.baselines);
        let baseline = Baseline {
            taken_at: Timestamp::now(),
            counts,
        };
        if let Err(fault) = off_thread(move || baselines.record(&baseline)).await {
            tracing::warn!(?fault, "the sizes of this pass could not be kept");
            self.find("the sizes of this pass could not be kept; the next one is compared with an older one");
        }
    }

    fn find(&self, text: impl Into<String>) {
        let text = text.into();
        tracing::warn!("{text}");
        let mut findings = lock(&self.findings);
        if findings.iter().all(|finding| finding.text != text) {
            findings.push(Finding { text });
        }
    }
}

/// A user that was taken in.
struct Kept {
    id: UserId,
    slot: u32,
    /// `None`: its class is not listed.
    row: Option<Row>,
}

/// Users whose lists of a kind may be cut at a length.
struct Suspect {
    kind: ItemKind,
    length: usize,
    users: Vec<(u32, UserId)>,
    shorter: Vec<(u32, UserId)>,
}

enum Stray {
    Role(Role),
    Group(Group),
}

/// What `access` holds of one kind.
fn only(access: &Access, kind: ItemKind) -> Access {
    let roles = if kind == ItemKind::Role {
        access.roles().to_vec()
    } else {
        Vec::new()
    };
    let groups = if kind == ItemKind::Group {
        access.groups().to_vec()
    } else {
        Vec::new()
    };
    Access::new(roles, groups, LicenseSet::EMPTY)
}

fn strange_cursor() -> Fault {
    Fault::internal("a page of users goes on at a place that does not fit the listing")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn off_thread<T, F>(work: F) -> Result<T, Fault>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Fault> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(Fault::internal("a step of the pass did not end").because(error)),
    }
}
