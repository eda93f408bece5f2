//! Coupa, ledger and outbox in memory, for tests of the engine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::model::access::{Access, Item, LicenseSet};
use crate::model::change::{
    AccountKey, Activity, Change, Effect, OnInactive, Order, Outcome, Plan, Via, WriteTenant,
};
use crate::model::downstream::{Ledger, Load, Outbox, Parcel, ParcelId, ParcelStage, Record};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::UserId;
use crate::model::journal::Held;
use crate::model::profile::{Profile, ProfileFilter, ProfilePage, RISK_ASSESS_LICENSE, ReadProfiles};
use crate::model::tenant::{AccountClass, ClassMarks, User};

/// Rows of one page: small, so that a few users make several.
const PAGE: usize = 2;

pub(super) fn user(n: u64) -> UserId {
    UserId::new(n).unwrap()
}

/// A user who is ready for the license and does not hold it.
pub(super) fn person(n: u64) -> Profile {
    Profile {
        user: user(n),
        class: AccountClass::Internal,
        active: true,
        licensed: Some(false),
        login: format!("user{n}").into(),
        email: Some(format!("user{n}@x.com").into()),
        first_name: Some("F".into()),
        middle_name: None,
        last_name: Some("L".into()),
        phone: None,
        address: None,
        authentication_method: None,
        updated_at: None,
    }
}

pub(super) fn licensed(n: u64) -> Profile {
    Profile {
        licensed: Some(true),
        ..person(n)
    }
}

pub(super) fn order() -> Order {
    Order {
        request: None,
        via: Via::Grpc,
    }
}

pub(super) fn license() -> Item {
    Item::License(RISK_ASSESS_LICENSE.parse().unwrap())
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

/// A tenant that is read and changed.
#[derive(Default)]
pub(super) struct Coupa {
    users: Mutex<BTreeMap<UserId, Profile>>,
    /// Questions and changes in order, as `read 1`, `page changed`, `named`, `change`.
    log: Mutex<Vec<String>>,
    /// Fails reads once this many more were answered.
    reads_left: Mutex<Option<usize>>,
    /// Moments from which changes were asked for.
    since: Mutex<Vec<Timestamp>>,
    changed: Mutex<Vec<UserId>>,
}

impl Coupa {
    pub(super) fn new(users: impl IntoIterator<Item = Profile>) -> Arc<Self> {
        let coupa = Self::default();
        for profile in users {
            coupa.set(profile);
        }
        lock(&coupa.changed).clear();
        Arc::new(coupa)
    }

    pub(super) fn set(&self, profile: Profile) {
        lock(&self.changed).push(profile.user);
        lock(&self.users).insert(profile.user, profile);
    }

    pub(super) fn forget(&self, user: UserId) {
        lock(&self.users).remove(&user);
    }

    pub(super) fn fail_after(&self, reads: usize) {
        *lock(&self.reads_left) = Some(reads);
    }

    pub(super) fn work_again(&self) {
        *lock(&self.reads_left) = None;
    }

    /// What was asked since the last time.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.log))
    }

    pub(super) fn asked_since(&self) -> Vec<Timestamp> {
        lock(&self.since).clone()
    }

    fn answers(&self, question: String) -> Result<(), Fault> {
        lock(&self.log).push(question);
        match &mut *lock(&self.reads_left) {
            Some(0) => Err(Fault::unavailable("Coupa does not answer")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn change(&self, change: &Change) -> Result<(UserId, Effect), Fault> {
        let mut users = lock(&self.users);
        let no_such = || Fault::new(FaultKind::NotFound, "told by who makes the change");
        let mut edit = |user: &UserId, edit: &dyn Fn(&mut Profile)| {
            let profile = users.get_mut(user).ok_or_else(no_such)?;
            let before = profile.clone();
            edit(profile);
            let effect = if *profile == before {
                Effect::AlreadySo
            } else {
                Effect::Made
            };
            Ok((*user, effect))
        };
        let is_license = |item: &Item| *item == license();
        match change {
            Change::Grant { user, item } if is_license(item) => edit(user, &|p| p.licensed = Some(true)),
            Change::Revoke { user, item } if is_license(item) => edit(user, &|p| p.licensed = Some(false)),
            Change::Grant { user, .. } | Change::Revoke { user, .. } => Ok((*user, Effect::Made)),
            Change::SetActive { user, to } => edit(user, &|p| p.active = to.is_active()),
            Change::Update { user, draft } => edit(user, &|p| {
                if let Some(login) = &draft.login {
                    p.login = login.clone();
                }
            }),
            Change::Create { draft, on_inactive } => {
                let login = draft.login.clone().unwrap();
                let known = users.values_mut().find(|profile| profile.login == login);
                if let Some(profile) = known {
                    let reactivate = !profile.active && *on_inactive == OnInactive::Reactivate;
                    profile.active |= reactivate;
                    let effect = if reactivate {
                        Effect::Reactivated
                    } else {
                        Effect::Existed
                    };
                    return Ok((profile.user, effect));
                }
                let n = users.keys().last().map_or(1, |last| last.get() + 1);
                let profile = Profile {
                    login,
                    email: draft.email.clone(),
                    licensed: Some(!draft.licenses.is_empty()),
                    ..person(n)
                };
                users.insert(user(n), profile);
                Ok((user(n), Effect::Made))
            }
        }
    }
}

#[async_trait]
impl ReadProfiles for Coupa {
    async fn profile(&self, user: UserId) -> Result<Option<Profile>, Fault> {
        self.answers(format!("read {user}"))?;
        Ok(lock(&self.users).get(&user).cloned())
    }

    async fn profiles(&self, after: Option<UserId>, filter: ProfileFilter) -> Result<ProfilePage, Fault> {
        let (told, changed) = match filter {
            ProfileFilter::All => ("all", None),
            ProfileFilter::Licensed => ("licensed", None),
            ProfileFilter::ChangedSince(since) => {
                lock(&self.since).push(since);
                ("changed", Some(lock(&self.changed).clone()))
            }
        };
        self.answers(format!("page {told}"))?;
        let users = lock(&self.users);
        let listed = |profile: &&Profile| match filter {
            ProfileFilter::All => true,
            ProfileFilter::Licensed => profile.licensed != Some(false),
            ProfileFilter::ChangedSince(_) => changed.as_ref().unwrap().contains(&profile.user),
        };
        let rest = users.values().filter(|profile| Some(profile.user) > after);
        let profiles: Vec<Profile> = rest.filter(listed).take(PAGE).cloned().collect();
        let next = profiles.last().map(|profile| profile.user);
        Ok(ProfilePage { profiles, next })
    }

    async fn accounts_named(&self, key: AccountKey<'_>) -> Result<Vec<UserId>, Fault> {
        self.answers("named".to_owned())?;
        let users = lock(&self.users);
        let has = |profile: &&Profile| match key {
            AccountKey::Login(login) => profile.login.eq_ignore_ascii_case(login),
            AccountKey::Email(email) => profile
                .email
                .as_deref()
                .is_some_and(|is| is.eq_ignore_ascii_case(email)),
        };
        Ok(users.values().filter(has).map(|profile| profile.user).collect())
    }
}

#[async_trait]
impl WriteTenant for Coupa {
    async fn check(&self) -> Result<(), Fault> {
        Err(Fault::unavailable("asked through"))
    }

    async fn apply(&self, _order: &Order, change: &Change) -> Result<Outcome, Fault> {
        lock(&self.log).push("change".to_owned());
        let (id, effect) = self.change(change)?;
        lock(&self.changed).push(id);
        let active = lock(&self.users)[&id].active;
        Ok(Outcome {
            effect,
            user: account(id, Activity::of(active)),
            entry: None,
            attempts: 1,
            before: Held::Nothing,
            after: Held::Nothing,
            findings: Vec::new(),
            downstream: None,
        })
    }

    async fn plan(&self, change: &Change) -> Result<Plan, Fault> {
        lock(&self.log).push("plan".to_owned());
        Ok(Plan {
            effect: Effect::Made,
            user: change.user(),
            before: Held::Nothing,
            after: Held::Nothing,
            requests: Vec::new(),
            findings: Vec::new(),
        })
    }
}

fn account(id: UserId, activity: Activity) -> User {
    User {
        id,
        login: "x".into(),
        email: None,
        first_name: None,
        last_name: None,
        full_name: None,
        active: activity.is_active(),
        marks: ClassMarks::default(),
        employee_number: None,
        manager: None,
        department: None,
        sso_identifier: None,
        authentication_method: None,
        created_at: None,
        updated_at: None,
        access: Access::new(Vec::new(), Vec::new(), LicenseSet::EMPTY),
    }
}

/// A ledger that counts its transactions.
#[derive(Default)]
pub(super) struct MemLedger {
    pub(super) records: Mutex<BTreeMap<UserId, Record>>,
    mark: Mutex<Option<Timestamp>>,
    pub(super) revisions: Mutex<usize>,
}

impl Ledger for MemLedger {
    fn record(&self, user: UserId) -> Result<Option<Record>, Fault> {
        Ok(lock(&self.records).get(&user).cloned())
    }

    fn records(&self) -> Result<Vec<Record>, Fault> {
        Ok(lock(&self.records).values().cloned().collect())
    }

    fn revise(
        &self,
        users: &[UserId],
        change: &mut dyn FnMut(UserId, Option<Record>) -> Option<Record>,
    ) -> Result<(), Fault> {
        *lock(&self.revisions) += 1;
        let mut records = lock(&self.records);
        for user in users {
            let before = records.remove(user);
            if let Some(after) = change(*user, before) {
                records.insert(*user, after);
            }
        }
        Ok(())
    }

    fn followed_to(&self) -> Result<Option<Timestamp>, Fault> {
        Ok(*lock(&self.mark))
    }

    fn follow_to(&self, at: Timestamp) -> Result<(), Fault> {
        *lock(&self.mark) = Some(at);
        Ok(())
    }
}

/// An outbox that can be full.
#[derive(Default)]
pub(super) struct MemOutbox {
    pub(super) loads: Mutex<Vec<Load>>,
    pub(super) full: Mutex<bool>,
}

impl MemOutbox {
    /// For whom something was put in since the last time, and everything is delivered.
    pub(super) fn users(&self) -> Vec<u64> {
        let loads = lock(&self.loads);
        let number = |load: &Load| match load {
            Load::User(user) => user.get(),
            Load::Row { .. } => panic!("no rows here"),
        };
        loads.iter().map(number).collect()
    }
}

impl Outbox for MemOutbox {
    fn post(&self, loads: &[Load]) -> Result<(), Fault> {
        if *lock(&self.full) {
            return Err(Fault::unavailable("the outbox is full"));
        }
        lock(&self.loads).extend_from_slice(loads);
        Ok(())
    }

    fn unsettled(&self) -> Result<Vec<Parcel>, Fault> {
        self.parcels()
    }

    fn parcels(&self) -> Result<Vec<Parcel>, Fault> {
        let loads = lock(&self.loads);
        let parcel = |(n, load): (i64, &Load)| Parcel {
            id: ParcelId(n),
            load: load.clone(),
            queued_at: Timestamp::UNIX_EPOCH,
            attempts: 0,
            stage: ParcelStage::Waiting,
        };
        Ok((1..).zip(loads.iter()).map(parcel).collect())
    }

    fn advance(&self, _parcels: &[ParcelId], _stage: &ParcelStage) -> Result<(), Fault> {
        panic!("not asked here")
    }
}
