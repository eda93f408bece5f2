//! A Coupa, a Risk Assess and a machine that can die: everything around the courier.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::sync::watch;

use super::super::render::tests::ann;
use super::super::standing::tests::record;
use super::super::*;
use crate::model::change::AccountKey;
use crate::model::downstream::{
    Digest, Ledger, Load, Outbox, Parcel, ParcelId, ParcelStage, Record, Standing,
};
use crate::model::fault::Fault;
use crate::model::id::UserId;
use crate::model::profile::{Profile, ProfileFilter, ProfilePage, ReadProfiles};
use crate::risk_assess::columns::Column;
use crate::risk_assess::config::RiskAssessConfig;
use crate::risk_assess::sheet;
use crate::state::State;

pub(super) fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

pub(super) fn line(number: u64, more: &[(&str, &str)]) -> Load {
    let (email, login) = (format!("line{number}@example.com"), format!("line{number}"));
    let person = [
        ("Email", email.as_str()),
        ("First Name", "Bo"),
        ("Last Name", "Li"),
        ("Status", "Yes"),
        ("Coupa Username", login.as_str()),
        ("Coupa User ID", "4711"),
    ];
    let cells = person.iter().chain(more);
    Load::Row {
        file: Digest("f00d".into()),
        line: number,
        cells: cells
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
    }
}

/// What Risk Assess does with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    /// It answers.
    Answers(u16),
    /// It answers with a message.
    Says(u16, String),
    /// Nothing reached it.
    Unreachable,
    /// It got the request and its answer is lost.
    Lost,
    /// Somebody changes that user in Coupa before the answer comes, and it is posted.
    AnswersAfterChange(u16, u64),
    /// The program dies while it waits.
    Dies,
}

/// One request as it arrived: the rows by column, and what was answered, if anything was.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) rows: Vec<BTreeMap<Column, String>>,
    pub(super) status: Option<u16>,
}

#[derive(Default)]
pub(super) struct Facts {
    pub(super) profiles: BTreeMap<UserId, Profile>,
    /// Coupa's next answers to reads, if they are faults.
    pub(super) faults: VecDeque<Fault>,
    /// A user who is changed just after it was read next.
    pub(super) change_after_read: Option<u64>,
    pub(super) ledger: BTreeMap<UserId, Record>,
    pub(super) script: VecDeque<Turn>,
    pub(super) requests: Vec<Request>,
    pub(super) reads: usize,
    version: u64,
    fuse: Option<Fuse>,
    dead: bool,
}

/// After so many durable steps the program dies: just before or just after the next one is on disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fuse {
    pub(super) steps: usize,
    pub(super) done: bool,
}

/// Everything that outlives the program.
pub(super) struct World {
    base: TempDir,
    state: Mutex<Option<Arc<State>>>,
    facts: Mutex<Facts>,
    death: watch::Sender<bool>,
}

impl World {
    pub(super) fn new(users: u64) -> Arc<Self> {
        let world = Arc::new(Self {
            base: TempDir::new().unwrap(),
            state: Mutex::new(None),
            facts: Mutex::default(),
            death: watch::Sender::new(false),
        });
        for id in 1..=users {
            let profile = ann(id);
            let record = record(&profile, RiskAssessConfig::default().removal);
            world.facts().ledger.insert(user(id), record);
            world.facts().profiles.insert(user(id), profile);
        }
        world
    }

    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap()
    }

    /// The state of the program that runs now.
    pub(super) fn state(&self) -> Arc<State> {
        let mut state = self.state.lock().unwrap();
        let open = || Arc::new(State::open(self.base.path(), "tenant", "client").unwrap());
        state.get_or_insert_with(open).clone()
    }

    /// The program ends, and its database is opened by the next.
    pub(super) fn restart(&self) {
        *self.state.lock().unwrap() = None;
        let mut facts = self.facts();
        facts.dead = false;
        facts.fuse = None;
        self.death.send_replace(false);
    }

    pub(super) fn post(&self, loads: &[Load]) {
        self.state().post(loads).unwrap();
    }

    pub(super) fn script(&self, turns: &[Turn]) {
        self.facts().script = turns.to_vec().into();
    }

    pub(super) fn light(&self, fuse: Fuse) {
        self.facts().fuse = Some(fuse);
    }

    /// Changes the user as `change` says; follows it as the account engine does, and posts it.
    pub(super) fn change(&self, id: u64, change: impl FnOnce(&mut Profile)) {
        let mut facts = self.facts();
        let profile = facts.profiles.get_mut(&user(id)).unwrap();
        change(profile);
        let profile = profile.clone();
        let removal = RiskAssessConfig::default().removal;
        facts.ledger.insert(user(id), record(&profile, removal));
        drop(facts);
        self.post(&[Load::User(user(id))]);
    }

    /// Gives the user a name never had before.
    pub(super) fn rename(&self, id: u64) {
        let version = {
            let mut facts = self.facts();
            facts.version += 1;
            facts.version
        };
        self.change(id, |profile| {
            profile.last_name = Some(format!("Name{version}").into());
        });
    }

    pub(super) fn desk(self: &Arc<Self>, config: &RiskAssessConfig) -> Desk {
        Desk::new(
            Arc::new(Fragile(self.clone())),
            Arc::new(Fragile(self.clone())),
            Arc::new(Fragile(self.clone())),
            config,
        )
    }

    pub(super) fn courier(self: &Arc<Self>, config: CourierConfig) -> Courier {
        let desk = self.desk(&RiskAssessConfig::default());
        Courier::new(desk, Arc::new(Fragile(self.clone())), config)
    }

    /// One run; `None` if the program died in it. Its report has every parcel that was there, and tells the truth about each.
    pub(super) async fn run(self: &Arc<Self>, config: CourierConfig) -> Option<Deliveries> {
        let before: Vec<ParcelId> = ids(&self.state().unsettled().unwrap());
        let courier = self.courier(config);
        let mut death = self.death.subscribe();
        let run = tokio::select! {
            run = courier.deliver_all() => run,
            _ = death.wait_for(|dead| *dead) => return None,
        };
        if self.facts().dead {
            return None;
        }
        let told: Vec<ParcelId> = run.entries.iter().map(|entry| entry.parcel).collect();
        assert_eq!(told, before, "an entry for each");
        let now = self.state().parcels().unwrap();
        for entry in &run.entries {
            let parcel = now.iter().find(|parcel| parcel.id == entry.parcel).unwrap();
            match (&parcel.stage, entry.ended) {
                // Being sent: since a death before, and not reached again.
                (ParcelStage::Waiting | ParcelStage::Sending, Ended::Waits) => {}
                (ParcelStage::Settled { standing, told, .. }, Ended::Settled(ended)) => {
                    assert_eq!((*standing, &**told), (ended, entry.told.as_str()));
                }
                other => panic!("{entry:?} but {other:?}"),
            }
        }
        Some(run)
    }

    pub(super) fn standing(&self, id: u64) -> Standing {
        self.facts().ledger[&user(id)].standing
    }

    pub(super) fn statuses(&self) -> Vec<Option<u16>> {
        self.facts()
            .requests
            .iter()
            .map(|request| request.status)
            .collect()
    }

    /// Whether the program still lives at a durable step; `work` is what the step does.
    fn step<T>(&self, work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
        let mut facts = self.facts();
        if facts.dead {
            return Err(Fault::internal("the program is dead"));
        }
        let Some(fuse) = &mut facts.fuse else {
            drop(facts);
            return work();
        };
        if fuse.steps > 0 {
            fuse.steps -= 1;
            drop(facts);
            return work();
        }
        let done = fuse.done;
        facts.dead = true;
        drop(facts);
        if done {
            work()?;
        }
        self.death.send_replace(true);
        Err(Fault::internal("the program died"))
    }
}

pub(super) fn ids(parcels: &[Parcel]) -> Vec<ParcelId> {
    parcels.iter().map(|parcel| parcel.id).collect()
}

/// The outside, as far as the program lives.
struct Fragile(Arc<World>);

impl Outbox for Fragile {
    fn post(&self, loads: &[Load]) -> Result<(), Fault> {
        self.0.state().post(loads)
    }

    fn unsettled(&self) -> Result<Vec<Parcel>, Fault> {
        self.0.state().unsettled()
    }

    fn parcels(&self) -> Result<Vec<Parcel>, Fault> {
        self.0.state().parcels()
    }

    fn advance(&self, parcels: &[ParcelId], stage: &ParcelStage) -> Result<(), Fault> {
        self.0.step(|| self.0.state().advance(parcels, stage))
    }
}

impl Ledger for Fragile {
    fn record(&self, user: UserId) -> Result<Option<Record>, Fault> {
        Ok(self.0.facts().ledger.get(&user).cloned())
    }

    fn records(&self) -> Result<Vec<Record>, Fault> {
        Ok(self.0.facts().ledger.values().cloned().collect())
    }

    fn revise(
        &self,
        users: &[UserId],
        change: &mut dyn FnMut(UserId, Option<Record>) -> Option<Record>,
    ) -> Result<(), Fault> {
        self.0.step(|| {
            let mut facts = self.0.facts();
            for user in users {
                let before = facts.ledger.remove(user);
                if let Some(after) = change(*user, before) {
                    facts.ledger.insert(*user, after);
                }
            }
            Ok(())
        })
    }

    fn followed_to(&self) -> Result<Option<Timestamp>, Fault> {
        Ok(None)
    }

    fn follow_to(&self, _at: Timestamp) -> Result<(), Fault> {
        Ok(())
    }
}

#[async_trait]
impl ReadProfiles for Fragile {
    async fn profile(&self, user: UserId) -> Result<Option<Profile>, Fault> {
        let (found, changed) = {
            let mut facts = self.0.facts();
            facts.reads += 1;
            if let Some(fault) = facts.faults.pop_front() {
                return Err(fault);
            }
            let changed = facts.change_after_read.take();
            (facts.profiles.get(&user).cloned(), changed)
        };
        if let Some(id) = changed {
            self.0.rename(id);
        }
        Ok(found)
    }

    async fn profiles(&self, _after: Option<UserId>, _filter: ProfileFilter) -> Result<ProfilePage, Fault> {
        panic!("nobody lists users here");
    }

    async fn accounts_named(&self, key: AccountKey<'_>) -> Result<Vec<UserId>, Fault> {
        let AccountKey::Email(email) = key else {
            panic!("nobody looks up logins here");
        };
        let facts = self.0.facts();
        let named = |profile: &&Profile| {
            profile.email.as_deref().map(str::to_lowercase) == Some(email.to_lowercase())
        };
        Ok(facts
            .profiles
            .values()
            .filter(named)
            .map(|profile| profile.user)
            .collect())
    }
}

#[async_trait]
impl Post for Fragile {
    async fn post(&self, file: &UsersFile) -> Result<Answer, Unanswered> {
        // What has happened on disk when it went out.
        let sending = self.0.state().unsettled().unwrap();
        assert!(
            sending.iter().any(|parcel| parcel.stage == ParcelStage::Sending),
            "marked before it is sent"
        );
        if self.0.step(|| Ok(())).is_err() {
            return std::future::pending().await;
        }
        let turn = self.0.facts().script.pop_front().unwrap_or(Turn::Answers(201));
        if turn == Turn::Unreachable {
            return Err(Unanswered::NotSent("connection refused".into()));
        }
        let status = match &turn {
            Turn::Answers(status) | Turn::Says(status, _) | Turn::AnswersAfterChange(status, _) => {
                Some(*status)
            }
            Turn::Unreachable | Turn::Lost | Turn::Dies => None,
        };
        let rows = rows(file);
        for row in &rows {
            assert_eq!(
                (
                    row[&Column::IsAdministrator].as_str(),
                    row[&Column::IsSupplierUser].as_str()
                ),
                ("No", "No")
            );
        }
        self.0.facts().requests.push(Request { rows, status });
        match turn {
            Turn::Lost => return Err(Unanswered::Unknown("connection reset".into())),
            Turn::Dies => {
                self.0.facts().dead = true;
                self.0.death.send_replace(true);
                return std::future::pending().await;
            }
            Turn::AnswersAfterChange(_, id) => self.0.rename(id),
            Turn::Answers(_) | Turn::Says(..) | Turn::Unreachable => {}
        }
        let body = match turn {
            Turn::Says(_, message) => message.into_bytes(),
            _ => Vec::new(),
        };
        Ok(Answer {
            status: status.unwrap(),
            body,
            retry_after: None,
        })
    }
}

/// The rows of a file as the other side reads them.
pub(super) fn rows(file: &UsersFile) -> Vec<BTreeMap<Column, String>> {
    let sheet = sheet::read(&file.bytes).unwrap();
    let columns: Vec<Column> = sheet
        .header
        .iter()
        .map(|name| Column::of_header(name).unwrap())
        .collect();
    let row = |line: &sheet::Line| {
        let filled = columns.iter().copied().zip(line.cells.iter().cloned());
        filled.filter(|(_, value)| !value.is_empty()).collect()
    };
    sheet.lines.iter().map(row).collect()
}

/// Patience without end would hide what a run leaves.
pub(super) fn patient(tries: u32) -> CourierConfig {
    CourierConfig {
        patience: Patience {
            tries: tries.try_into().unwrap(),
            first_wait: Duration::from_secs(1),
            ..Patience::default()
        },
        ..CourierConfig::default()
    }
}
