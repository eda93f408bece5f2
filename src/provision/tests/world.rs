//! What a tenant holds and how it reads what is uncertain; the effect of a write.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::model::access::{Access, Item, License, LicenseCatalog, LicenseSet, LicenseWrite};
use crate::model::change::{Accepted, AccountDraft, Call, EmptyForm, ListKind, Spelling};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::{GroupId, RoleId, UserId};
use crate::model::tenant::{ClassMarks, User};

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

/// What becomes of licenses in the request for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Newcomers {
    Licensed,
    Ignored,
    Rejected,
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
    pub(crate) newcomers: Newcomers,
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
            newcomers: Newcomers::Licensed,
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
    /// 404 to a write; reads are answered.
    NotFound,
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

pub(super) struct Account {
    pub(super) user: User,
    /// What readings still show, how many of them, and until when.
    pub(super) old: Option<(User, u32, Instant)>,
    pub(super) version: i64,
}

/// Something that happens to the world.
pub(crate) type Then = Box<dyn FnOnce(&mut World) + Send>;

#[derive(Default)]
pub(crate) struct World {
    pub(super) accounts: BTreeMap<u64, Account>,
    pub(super) readings: Readings,
    pub(super) plan: BTreeMap<usize, Event>,
    pub(super) calls: usize,
    pub(super) late: Vec<(Instant, Call)>,
    /// Writes that reached the tenant.
    pub(crate) sent: Vec<Call>,
    /// The other way of reading shows these too, to everybody.
    pub(crate) other_adds: Vec<u64>,
    pub(crate) own: Option<UserId>,
    /// Items of lists that were shown to us.
    pub(crate) shown: BTreeSet<(u64, ListKind, u64)>,
    pub(crate) surveys: u32,
    /// What happens right after the first clear.
    pub(crate) after_clear: Option<Then>,
    /// The number of the call that last cleared.
    pub(crate) cleared_at: usize,
    /// Ids that Coupa takes into no list.
    pub(crate) unassignable: BTreeSet<u64>,
    /// So many readings of a single user find nobody.
    pub(crate) hides: u32,
    /// Keys with underscores are rejected.
    pub(crate) dashed_only: bool,
    /// Ids that no list may lack.
    pub(crate) insisted: BTreeSet<u64>,
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

pub(super) fn access(roles: &BTreeSet<u64>, groups: &BTreeSet<u64>, licenses: LicenseSet) -> Access {
    let roles = roles.iter().map(|id| RoleId::new(*id).unwrap()).collect();
    let groups = groups.iter().map(|id| GroupId::new(*id).unwrap()).collect();
    Access::new(roles, groups, licenses)
}

pub(super) fn ids(access: &Access, list: ListKind) -> BTreeSet<u64> {
    crate::provision::decide::ids(access, list).into_iter().collect()
}

pub(super) fn catalog() -> LicenseCatalog {
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
    pub(super) fn visible(&mut self, id: u64) -> Option<User> {
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

    pub(super) fn truth(&self, id: u64) -> Option<&User> {
        self.accounts.get(&id).map(|account| &account.user)
    }

    pub(super) fn land(&mut self) {
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
    pub(super) fn act(&mut self, call: &Call) -> Result<Accepted, Fault> {
        let done = Ok(Accepted::default());
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
                if self.dashed_only && *spelling == Spelling::Underscored {
                    return Err(invalid());
                }
                let understood = !self.readings.underscored || *spelling == Spelling::Underscored;
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
        self.set_list(user, list, to.clone());
        // Answers about every other user show the list.
        let shown = user.is_multiple_of(2).then(|| to.into_iter().collect());
        Ok(Accepted {
            created: None,
            list: shown,
        })
    }

    /// Rows are numbered by user and group.
    fn delete(&mut self, row: u64) -> Result<Accepted, Fault> {
        let (user, group) = (row / 1000, row % 1000);
        let mut groups = ids(&self.truth(user).unwrap().access, ListKind::Groups);
        match self.readings.membership {
            Membership::Absent => return Err(Fault::new(FaultKind::NotFound, "no such path")),
            Membership::Ignored => return Ok(Accepted::default()),
            Membership::Works => {}
        }
        if !groups.remove(&group) {
            return Err(Fault::new(FaultKind::NotFound, "no such row"));
        }
        self.set_list(user, ListKind::Groups, groups);
        Ok(Accepted::default())
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
        if self.readings.newcomers == Newcomers::Rejected && !draft.licenses.is_empty() {
            return Err(invalid());
        }
        let id = self.accounts.keys().max().unwrap() + 1;
        let mut user = person(id, &[], &[]);
        set_elements(&mut user, draft);
        if self.readings.newcomers == Newcomers::Licensed {
            for name in &draft.licenses {
                let at = catalog().position(name).unwrap();
                user.access.licenses.insert(at);
            }
        }
        let (old, version) = (None, 1);
        self.accounts.insert(id, Account { user, old, version });
        Ok(Accepted {
            created: UserId::new(id),
            list: None,
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

pub(super) fn invalid() -> Fault {
    Fault::invalid("Coupa rejects the value")
}

pub(super) fn lost() -> Fault {
    Fault::unavailable("Coupa did not answer")
}

pub(super) fn limited(seconds: u64) -> Fault {
    let until = Timestamp::now() + SignedDuration::from_secs(i64::try_from(seconds).unwrap());
    Fault::new(FaultKind::RateLimited { until }, "Coupa asks to wait")
}

/// The first half of the list in a write.
pub(super) fn half(call: &Call) -> Call {
    let mut call = call.clone();
    if let Call::PutList { ids, .. } = &mut call {
        ids.truncate(ids.len() / 2);
    }
    call
}

/// The item with that number in a list.
pub(crate) fn item(list: ListKind, id: u64) -> Item {
    match list {
        ListKind::Roles => Item::Role(RoleId::new(id).unwrap()),
        ListKind::Groups => Item::Group(GroupId::new(id).unwrap()),
    }
}
