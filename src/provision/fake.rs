//! A tenant and a journal in memory for tests of changes: every reading of the facts that are uncertain, and events planned for any call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::model::access::{Access, Item, License, LicenseCatalog, LicenseSet, LicenseWrite};
use crate::model::change::{
    Accepted, AccountDraft, AccountKey, Acted, Call, CallFailure, EmptyForm, ListKind, MembershipId,
    PlannedRequest, RequestId, WriteCalls,
};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::{GroupId, RoleId, UserId};
use crate::model::journal::{Entry, EntryId, Intent, Journal, Stage, Step, Which};
use crate::model::tenant::{
    ClassMarks, Group, GroupKind, ReadTenant, Role, Survey, Tenant, Usage, User, UserOrder, UserPage,
    UserQuery,
};

/// The journal of one process; all handles of one file share its entries.
pub(crate) struct MemJournal {
    disk: Arc<Mutex<Disk>>,
    alive: AtomicBool,
}

#[derive(Default)]
struct Disk {
    entries: BTreeMap<i64, Entry>,
    operations: usize,
    /// Numbers of writing operations that fail.
    failing: BTreeSet<usize>,
}

impl MemJournal {
    pub(crate) fn new() -> Arc<Self> {
        Self::on(Arc::default())
    }

    fn on(disk: Arc<Mutex<Disk>>) -> Arc<Self> {
        let alive = AtomicBool::new(true);
        Arc::new(Self { disk, alive })
    }

    /// The process ends; the next one opens the same file.
    pub(crate) fn restart(&self) -> Arc<Self> {
        self.alive.store(false, Ordering::SeqCst);
        Self::on(Arc::clone(&self.disk))
    }

    /// From now on, the writing operations with these numbers fail, counted from 1.
    pub(crate) fn fail(&self, operations: impl IntoIterator<Item = usize>) {
        let mut disk = self.disk.lock().unwrap();
        disk.operations = 0;
        disk.failing = operations.into_iter().collect();
    }

    pub(crate) fn all(&self) -> Vec<Entry> {
        self.disk.lock().unwrap().entries.values().cloned().collect()
    }

    pub(crate) fn open_entries(&self) -> Vec<Entry> {
        self.all().into_iter().filter(Entry::is_open).collect()
    }

    fn reading(&self) -> Result<MutexGuard<'_, Disk>, Fault> {
        if self.alive.load(Ordering::SeqCst) {
            Ok(self.disk.lock().unwrap())
        } else {
            Err(Fault::internal("the process has ended"))
        }
    }

    fn writing(&self) -> Result<MutexGuard<'_, Disk>, Fault> {
        let mut disk = self.reading()?;
        disk.operations += 1;
        if disk.failing.contains(&disk.operations) {
            return Err(Fault::internal("the disk is full"));
        }
        Ok(disk)
    }
}

impl Disk {
    fn open(&mut self, id: EntryId) -> Result<&mut Entry, Fault> {
        let entry = self.entries.get_mut(&id.0).filter(|entry| entry.is_open());
        entry.ok_or_else(|| Fault::internal("no open entry"))
    }
}

impl Journal for MemJournal {
    fn open(&self, intent: &Intent) -> Result<EntryId, Fault> {
        let mut disk = self.writing()?;
        let id = EntryId(i64::try_from(disk.entries.len()).unwrap() + 1);
        let entry = Entry {
            id,
            opened_at: Timestamp::now(),
            intent: intent.clone(),
            stage: Stage::Writing,
            steps: Vec::new(),
        };
        disk.entries.insert(id.0, entry);
        Ok(id)
    }

    fn begin_step(&self, entry: EntryId, at: Timestamp, call: &str) -> Result<u32, Fault> {
        let mut disk = self.writing()?;
        let entry = disk.open(entry)?;
        let call = call.to_owned();
        entry.steps.push(Step { at, call, end: None });
        Ok(u32::try_from(entry.steps.len()).unwrap() - 1)
    }

    fn end_step(&self, entry: EntryId, step: u32, end: &str) -> Result<(), Fault> {
        let mut disk = self.writing()?;
        disk.open(entry)?.steps[step as usize].end = Some(end.to_owned());
        Ok(())
    }

    fn advance(&self, entry: EntryId, stage: &Stage) -> Result<(), Fault> {
        let mut disk = self.writing()?;
        disk.open(entry)?.stage = stage.clone();
        Ok(())
    }

    fn entry(&self, id: EntryId) -> Result<Option<Entry>, Fault> {
        Ok(self.reading()?.entries.get(&id.0).cloned())
    }

    fn entries(&self, which: Which) -> Result<Vec<Entry>, Fault> {
        let wanted = |entry: &&Entry| match which {
            Which::Open => entry.is_open(),
            Which::Closed => !entry.is_open(),
            Which::All => true,
        };
        Ok(self.reading()?.entries.values().filter(wanted).cloned().collect())
    }

    fn of_request(&self, request: &RequestId) -> Result<Option<Entry>, Fault> {
        let disk = self.reading()?;
        let mut newest = disk.entries.values().rev();
        Ok(newest
            .find(|entry| entry.intent.request.as_ref() == Some(request))
            .cloned())
    }

    fn touched_since(&self, since: Timestamp) -> Result<Vec<Entry>, Fault> {
        let touched = |entry: &&Entry| match &entry.stage {
            Stage::Closed(closing) => closing.at >= since,
            _ => true,
        };
        Ok(self
            .reading()?
            .entries
            .values()
            .filter(touched)
            .cloned()
            .collect())
    }

    fn prune(&self, before: Timestamp) -> Result<u64, Fault> {
        let mut disk = self.writing()?;
        let all = disk.entries.len();
        disk.entries
            .retain(|_, entry| !matches!(&entry.stage, Stage::Closed(closing) if closing.at < before));
        Ok((all - disk.entries.len()) as u64)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListWrite {
    Add,
    Replace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Empty {
    Clears,
    Ignored,
    Rejected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Membership {
    Works,
    Absent,
    Ignored,
}

/// How the tenant reads what is uncertain.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of a test double, each on its own"
)]
pub(crate) struct Readings {
    pub(crate) lists: ListWrite,
    pub(crate) null: Empty,
    pub(crate) brackets: Empty,
    /// Who has no role gets this one.
    pub(crate) given: bool,
    pub(crate) membership: Membership,
    /// So many readings of a user still show it as before a write.
    pub(crate) delay_reads: u32,
    /// For so long, readings of a user still show it as before a write.
    pub(crate) delay: Duration,
    pub(crate) licenses_stick: bool,
    pub(crate) activity_sticks: bool,
    /// Licenses are understood under the underscored key only.
    pub(crate) underscored: bool,
}

impl Default for Readings {
    fn default() -> Self {
        Self {
            lists: ListWrite::Add,
            null: Empty::Clears,
            brackets: Empty::Ignored,
            given: false,
            membership: Membership::Works,
            delay_reads: 0,
            delay: Duration::ZERO,
            licenses_stick: false,
            activity_sticks: false,
            underscored: false,
        }
    }
}

/// Somebody else adds or removes an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) user: u64,
    pub(crate) list: ListKind,
    pub(crate) id: u64,
    pub(crate) adds: bool,
}

/// What happens at one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// No effect, no answer.
    LostBefore,
    /// The effect, and no answer.
    LostAfter,
    /// The first half of a list is taken over, then 500.
    Partial,
    /// No answer, and the effect after so many seconds.
    Late(u64),
    /// 429: come back after so many seconds.
    Limited(u64),
    /// 400.
    Rejected,
    /// 401.
    Unauthenticated,
    CrashBefore,
    CrashAfter,
    EditBefore(Edit),
    EditAfter(Edit),
}

pub(crate) const GIVEN_ROLE: u64 = 9;
pub(crate) const OMNIPOTENT: [u64; 2] = [1, 2];
pub(crate) const SUPPLIER_ROLE: u64 = 3;
pub(crate) const INACTIVE_GROUP: u64 = 7;
pub(crate) const LICENSES: [(&str, LicenseWrite); 3] = [
    ("category-strategy-user", LicenseWrite::ReadOnly),
    ("risk-assess-user", LicenseWrite::Writable),
    ("treasury-user", LicenseWrite::Writable),
];

struct Account {
    user: User,
    /// What readings still show, how many of them, and until when.
    old: Option<(User, u32, Instant)>,
    version: i64,
}

#[derive(Default)]
pub(crate) struct World {
    accounts: BTreeMap<u64, Account>,
    readings: Readings,
    plan: BTreeMap<usize, Event>,
    calls: usize,
    late: Vec<(Instant, Call)>,
    /// Writes that reached the tenant.
    pub(crate) sent: Vec<Call>,
    /// The other way of reading shows these too, to everybody.
    pub(crate) other_adds: Vec<u64>,
    pub(crate) own: Option<UserId>,
    /// Items of lists that were shown to us.
    pub(crate) shown: BTreeSet<(u64, ListKind, u64)>,
    pub(crate) surveys: u32,
    /// What happens right after the first clear.
    pub(crate) after_clear: Option<Box<dyn FnOnce(&mut Self) + Send>>,
    /// The number of the call that last cleared.
    pub(crate) cleared_at: usize,
    /// Ids that Coupa takes into no list.
    pub(crate) unassignable: BTreeSet<u64>,
    /// Ids that no list may lack.
    pub(crate) insisted: BTreeSet<u64>,
}

/// The tenant: all handles share one world.
#[derive(Clone)]
pub(crate) struct Fake {
    world: Arc<Mutex<World>>,
    pub(crate) crashed: Arc<Notify>,
    survey: Arc<Survey>,
}

pub(crate) fn uid(n: u64) -> UserId {
    UserId::new(n).unwrap()
}

pub(crate) fn person(id: u64, roles: &[u64], groups: &[u64]) -> User {
    let text = |what: &str| Some(format!("{what}{id}").into_boxed_str());
    User {
        id: uid(id),
        login: format!("login{id}").into(),
        email: text("email"),
        first_name: text("first"),
        last_name: text("last"),
        full_name: None,
        active: true,
        marks: ClassMarks::default(),
        employee_number: None,
        manager: None,
        department: None,
        sso_identifier: None,
        authentication_method: None,
        created_at: None,
        updated_at: Some(Timestamp::UNIX_EPOCH),
        access: access(
            &roles.iter().copied().collect(),
            &groups.iter().copied().collect(),
            LicenseSet::EMPTY,
        ),
    }
}

fn access(roles: &BTreeSet<u64>, groups: &BTreeSet<u64>, licenses: LicenseSet) -> Access {
    let roles = roles.iter().map(|id| RoleId::new(*id).unwrap()).collect();
    let groups = groups.iter().map(|id| GroupId::new(*id).unwrap()).collect();
    Access::new(roles, groups, licenses)
}

fn ids(access: &Access, list: ListKind) -> BTreeSet<u64> {
    super::decide::ids(access, list).into_iter().collect()
}

fn catalog() -> LicenseCatalog {
    let license = |(name, write): &(&str, LicenseWrite)| License {
        name: name.parse().unwrap(),
        label: None,
        write: *write,
    };
    LicenseCatalog::new(LICENSES.iter().map(license).collect()).unwrap()
}

impl World {
    fn set_list(&mut self, user: u64, list: ListKind, to: BTreeSet<u64>) {
        let given = self.readings.given && list == ListKind::Roles && to.is_empty();
        let to = if given { BTreeSet::from([GIVEN_ROLE]) } else { to };
        self.change(user, |user| {
            let (mut roles, mut groups) = (
                ids(&user.access, ListKind::Roles),
                ids(&user.access, ListKind::Groups),
            );
            match list {
                ListKind::Roles => roles = to,
                ListKind::Groups => groups = to,
            }
            user.access = access(&roles, &groups, user.access.licenses);
        });
    }

    /// Every write moves `updated-at`, whether it changes anything or not.
    fn change(&mut self, id: u64, how: impl FnOnce(&mut User)) {
        let (reads, delay) = (self.readings.delay_reads, self.readings.delay);
        let Some(account) = self.accounts.get_mut(&id) else {
            return;
        };
        if reads > 0 || !delay.is_zero() {
            let old = account
                .old
                .take()
                .map_or_else(|| account.user.clone(), |(old, ..)| old);
            account.old = Some((old, reads, Instant::now() + delay));
        }
        how(&mut account.user);
        account.version += 1;
        account.user.updated_at = Some(Timestamp::from_second(account.version).unwrap());
    }

    /// What a reading shows.
    fn visible(&mut self, id: u64) -> Option<User> {
        let account = self.accounts.get_mut(&id)?;
        let user = match &mut account.old {
            Some((old, reads, until)) if *reads > 0 || *until > Instant::now() => {
                *reads = reads.saturating_sub(1);
                old.clone()
            }
            _ => {
                account.old = None;
                account.user.clone()
            }
        };
        for list in ListKind::ALL {
            let shown = ids(&user.access, list);
            self.shown.extend(shown.into_iter().map(|item| (id, list, item)));
        }
        Some(user)
    }

    pub(crate) fn edit(&mut self, edit: Edit) {
        let Some(user) = self.truth(edit.user) else { return };
        let mut list = ids(&user.access, edit.list);
        if edit.adds {
            list.insert(edit.id);
            // What was shown before is another matter.
            self.shown.remove(&(edit.user, edit.list, edit.id));
        } else {
            list.remove(&edit.id);
        }
        self.set_list(edit.user, edit.list, list);
    }

    fn truth(&self, id: u64) -> Option<&User> {
        self.accounts.get(&id).map(|account| &account.user)
    }

    fn land(&mut self) {
        let now = Instant::now();
        let (due, later) = self.late.drain(..).partition(|(at, _)| *at <= now);
        self.late = later;
        let mut due: Vec<(Instant, Call)> = due;
        due.sort_by_key(|(at, _)| *at);
        for (_, call) in due {
            let _ = self.act(&call);
        }
    }

    /// The effect of a write on the truth.
    fn act(&mut self, call: &Call) -> Result<Accepted, Fault> {
        let done = Ok(Accepted { created: None });
        match call {
            Call::PutList { user, list, ids: put } => self.put(user.get(), *list, put),
            Call::ClearList { user, list, form } => {
                let reading = match form {
                    EmptyForm::Null => self.readings.null,
                    EmptyForm::Brackets => self.readings.brackets,
                };
                match reading {
                    Empty::Clears => self.set_list(user.get(), *list, BTreeSet::new()),
                    Empty::Ignored => self.change(user.get(), |_| {}),
                    Empty::Rejected => return Err(invalid()),
                }
                self.cleared_at = self.calls;
                if let Some(then) = self.after_clear.take() {
                    then(self);
                }
                done
            }
            Call::DeleteMembership(row) => self.delete(row.0),
            Call::SetLicense {
                user,
                name,
                held,
                spelling,
            } => {
                let understood =
                    !self.readings.underscored || *spelling == crate::model::change::Spelling::Underscored;
                let at = catalog().position(name).unwrap();
                let sticks = self.readings.licenses_stick || !understood;
                self.change(user.get(), |user| {
                    if !sticks {
                        user.access.licenses = with(user.access.licenses, at, *held);
                    }
                });
                done
            }
            Call::SetActive { user, to } => {
                let sticks = self.readings.activity_sticks;
                self.change(user.get(), |user| {
                    if !sticks {
                        user.active = to.is_active();
                    }
                });
                done
            }
            Call::Update { user, draft } => {
                self.change(user.get(), |user| set_elements(user, draft));
                done
            }
            Call::Create(draft) => self.create(draft),
        }
    }

    fn put(&mut self, user: u64, list: ListKind, put: &[u64]) -> Result<Accepted, Fault> {
        let put: BTreeSet<u64> = put.iter().copied().collect();
        let held = self
            .truth(user)
            .map(|user| ids(&user.access, list))
            .unwrap_or_default();
        if !put.is_disjoint(&self.unassignable) || !self.insisted.is_subset(&put) {
            return Err(invalid());
        }
        let to = match self.readings.lists {
            ListWrite::Add => &held | &put,
            ListWrite::Replace => put,
        };
        self.set_list(user, list, to);
        Ok(Accepted { created: None })
    }

    /// Rows are numbered by user and group.
    fn delete(&mut self, row: u64) -> Result<Accepted, Fault> {
        let (user, group) = (row / 1000, row % 1000);
        let mut groups = ids(&self.truth(user).unwrap().access, ListKind::Groups);
        match self.readings.membership {
            Membership::Absent => return Err(Fault::new(FaultKind::NotFound, "no such path")),
            Membership::Ignored => return Ok(Accepted { created: None }),
            Membership::Works => {}
        }
        if !groups.remove(&group) {
            return Err(Fault::new(FaultKind::NotFound, "no such row"));
        }
        self.set_list(user, ListKind::Groups, groups);
        Ok(Accepted { created: None })
    }

    fn create(&mut self, draft: &AccountDraft) -> Result<Accepted, Fault> {
        let login = draft.login.as_deref().unwrap();
        if self
            .accounts
            .values()
            .any(|account| &*account.user.login == login)
        {
            return Err(invalid());
        }
        let id = self.accounts.keys().max().unwrap() + 1;
        let mut user = person(id, &[], &[]);
        set_elements(&mut user, draft);
        let (old, version) = (None, 1);
        self.accounts.insert(id, Account { user, old, version });
        Ok(Accepted {
            created: UserId::new(id),
        })
    }
}

fn with(held: LicenseSet, at: usize, on: bool) -> LicenseSet {
    let mut set = LicenseSet::EMPTY;
    held.positions()
        .filter(|held| *held != at)
        .for_each(|at| set.insert(at));
    if on {
        set.insert(at);
    }
    set
}

/// A manager who does not exist is ignored without a word.
fn set_elements(user: &mut User, draft: &AccountDraft) {
    if let Some(login) = &draft.login {
        user.login = login.clone();
    }
    user.email = draft.email.clone().or(user.email.take());
    user.first_name = draft.first_name.clone().or(user.first_name.take());
    user.last_name = draft.last_name.clone().or(user.last_name.take());
    user.department = draft.department.clone().or(user.department.take());
    user.manager = draft.manager.filter(|id| id.get() < 100).or(user.manager);
}

fn invalid() -> Fault {
    Fault::invalid("Coupa rejects the value")
}

fn lost() -> Fault {
    Fault::unavailable("Coupa did not answer")
}

fn limited(seconds: u64) -> Fault {
    let until = Timestamp::now() + SignedDuration::from_secs(i64::try_from(seconds).unwrap());
    Fault::new(FaultKind::RateLimited { until }, "Coupa asks to wait")
}

/// The first half of the list in a write.
fn half(call: &Call) -> Call {
    let mut call = call.clone();
    if let Call::PutList { ids, .. } = &mut call {
        ids.truncate(ids.len() / 2);
    }
    call
}

impl Fake {
    pub(crate) fn new(users: Vec<User>, readings: Readings) -> Self {
        let account = |user: User| {
            let (old, version) = (None, 0);
            (user.id.get(), Account { user, old, version })
        };
        let world = World {
            accounts: users.into_iter().map(account).collect(),
            readings,
            ..World::default()
        };
        Self {
            world: Arc::new(Mutex::new(world)),
            crashed: Arc::default(),
            survey: Arc::new(Survey {
                order: UserOrder::ById,
                highest_user: None,
                licenses: catalog(),
                surface: "rest",
                findings: Vec::new(),
            }),
        }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Events by number of the call, counted from 1 on from now.
    pub(crate) fn plan(&self, plan: impl IntoIterator<Item = (usize, Event)>) {
        let mut world = self.world();
        world.calls = 0;
        world.plan = plan.into_iter().collect();
    }

    pub(crate) fn calls(&self) -> usize {
        self.world().calls
    }

    pub(crate) fn edit(&self, edit: Edit) {
        self.world().edit(edit);
    }

    /// What the user really holds.
    pub(crate) fn holds(&self, user: u64, list: ListKind) -> Vec<u64> {
        let mut world = self.world();
        world.land();
        let user = world.truth(user).unwrap();
        ids(&user.access, list).into_iter().collect()
    }

    pub(crate) fn user(&self, id: u64) -> User {
        self.world().truth(id).unwrap().clone()
    }

    /// Everything that is under way has had its effect.
    pub(crate) async fn calm(&self) {
        tokio::time::sleep(Duration::from_mins(10)).await;
        self.world().land();
    }

    /// The event of this call, after what has to happen before it.
    async fn begin(&self) -> Option<Event> {
        tokio::task::yield_now().await;
        let event = {
            let mut world = self.world();
            world.calls += 1;
            world.land();
            let calls = world.calls;
            world.plan.get(&calls).copied()
        };
        match event {
            Some(Event::CrashBefore) => self.crash().await,
            Some(Event::EditBefore(edit)) => self.edit(edit),
            _ => {}
        }
        event
    }

    async fn end(&self, event: Option<Event>) {
        match event {
            Some(Event::CrashAfter) => self.crash().await,
            Some(Event::EditAfter(edit)) => self.edit(edit),
            _ => {}
        }
        tokio::task::yield_now().await;
    }

    /// The process ends here: whoever waits for [`Fake::crashed`] ends it.
    async fn crash(&self) {
        self.crashed.notify_one();
        pending::<()>().await;
    }

    async fn read<T>(&self, what: impl FnOnce(&mut World) -> T) -> Result<T, Fault> {
        let event = self.begin().await;
        let fault = match event {
            Some(Event::LostBefore | Event::LostAfter | Event::Partial | Event::Late(_)) => Some(lost()),
            Some(Event::Limited(seconds)) => Some(limited(seconds)),
            Some(Event::Rejected) => Some(Fault::corrupt("Coupa's answer does not have the expected form")),
            Some(Event::Unauthenticated) => Some(Fault::new(FaultKind::Unauthenticated, "401")),
            _ => None,
        };
        let read = match fault {
            Some(fault) => Err(fault),
            None => Ok(what(&mut self.world())),
        };
        self.end(event).await;
        read
    }
}

#[async_trait]
impl WriteCalls for Fake {
    async fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    async fn send(&self, call: &Call) -> Result<Accepted, CallFailure> {
        let event = self.begin().await;
        let refused = |fault| {
            let acted = Acted::No;
            Err(CallFailure { fault, acted })
        };
        let unclear = || {
            let (fault, acted) = (lost(), Acted::Perhaps);
            Err(CallFailure { fault, acted })
        };
        let reply = {
            let mut world = self.world();
            world.sent.push(call.clone());
            match event {
                Some(Event::LostBefore) => unclear(),
                Some(Event::LostAfter) => {
                    let _ = world.act(call);
                    unclear()
                }
                Some(Event::Partial) => {
                    let _ = world.act(&half(call));
                    unclear()
                }
                Some(Event::Late(seconds)) => {
                    let at = Instant::now() + Duration::from_secs(seconds);
                    world.late.push((at, call.clone()));
                    unclear()
                }
                Some(Event::Limited(seconds)) => refused(limited(seconds)),
                Some(Event::Rejected) => refused(invalid()),
                Some(Event::Unauthenticated) => refused(Fault::new(FaultKind::Unauthenticated, "401")),
                _ => world.act(call).or_else(refused),
            }
        };
        self.end(event).await;
        reply
    }

    fn request(&self, call: &Call) -> PlannedRequest {
        PlannedRequest {
            method: "PUT",
            path: super::steps::text(call),
            body: String::new(),
            condition: None,
        }
    }

    async fn memberships(&self, user: UserId, group: GroupId) -> Result<Vec<MembershipId>, Fault> {
        let row = MembershipId(user.get() * 1000 + group.get());
        self.read(|world| {
            let user = world.visible(user.get());
            let member = user.is_some_and(|user| ids(&user.access, ListKind::Groups).contains(&group.get()));
            if member { vec![row] } else { Vec::new() }
        })
        .await
    }

    async fn accounts(&self, key: AccountKey<'_>) -> Result<Vec<UserId>, Fault> {
        self.read(|world| {
            let matches = |user: &User| match key {
                AccountKey::Login(login) => user.login.eq_ignore_ascii_case(login),
                AccountKey::Email(email) => user
                    .email
                    .as_deref()
                    .is_some_and(|own| own.eq_ignore_ascii_case(email)),
            };
            let users = world.accounts.values().map(|account| &account.user);
            users.filter(|user| matches(user)).map(|user| user.id).collect()
        })
        .await
    }

    async fn own_account(&self) -> Result<Option<UserId>, Fault> {
        self.read(|world| world.own).await
    }
}

#[async_trait]
impl Tenant for Fake {
    async fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    async fn survey(&self) -> Result<Arc<dyn ReadTenant>, Fault> {
        self.read(|world| world.surveys += 1).await?;
        Ok(Arc::new(self.clone()))
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }
}

#[async_trait]
impl ReadTenant for Fake {
    fn survey(&self) -> &Survey {
        &self.survey
    }

    /// All at once; the filter is ignored, as a tenant may.
    async fn users(&self, query: &UserQuery) -> Result<UserPage, Fault> {
        let first = query.from == crate::model::tenant::UserCursor::After(0);
        self.read(|world| {
            let ids: Vec<u64> = world.accounts.keys().copied().collect();
            let users = ids.into_iter().filter_map(|id| world.visible(id));
            UserPage {
                users: if first { users.collect() } else { Vec::new() },
                next: None,
            }
        })
        .await
    }

    async fn access_another_way(&self, asked: &[UserId]) -> Result<Vec<(UserId, Access)>, Fault> {
        self.read(|world| {
            let adds: BTreeSet<u64> = world.other_adds.iter().copied().collect();
            let access = |id: &UserId| {
                let own = world.visible(id.get())?.access;
                let roles = &ids(&own, ListKind::Roles) | &adds;
                Some((*id, access(&roles, &ids(&own, ListKind::Groups), own.licenses)))
            };
            asked.iter().filter_map(access).collect()
        })
        .await
    }

    async fn roles(&self) -> Result<Vec<Role>, Fault> {
        self.read(|_| (1..=30).map(role).collect()).await
    }

    async fn groups(&self) -> Result<Vec<Group>, Fault> {
        self.read(|_| (1..=30).map(group).collect()).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, Fault> {
        self.read(|world| world.visible(id.get())).await
    }

    async fn role(&self, id: RoleId) -> Result<Option<Role>, Fault> {
        self.read(|_| (id.get() <= 30).then(|| role(id.get()))).await
    }

    async fn group(&self, id: GroupId) -> Result<Option<Group>, Fault> {
        self.read(|_| (id.get() <= 30).then(|| group(id.get()))).await
    }
}

fn role(n: u64) -> Role {
    let name = match n {
        GIVEN_ROLE => "User".to_owned(),
        SUPPLIER_ROLE => "Supplier".to_owned(),
        n => format!("Role {n}"),
    };
    Role {
        id: RoleId::new(n).unwrap(),
        name: name.into(),
        description: None,
        omnipotent: OMNIPOTENT.contains(&n),
        system: false,
    }
}

fn group(n: u64) -> Group {
    Group {
        id: GroupId::new(n).unwrap(),
        name: format!("Group {n}").into(),
        description: None,
        active: n != INACTIVE_GROUP,
        kind: GroupKind::Group,
        can_approve: false,
        open: false,
    }
}

/// The item with that number in a list.
pub(crate) fn item(list: ListKind, id: u64) -> Item {
    match list {
        ListKind::Roles => Item::Role(RoleId::new(id).unwrap()),
        ListKind::Groups => Item::Group(GroupId::new(id).unwrap()),
    }
}
