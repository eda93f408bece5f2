//! A platform in memory, and a tenant whose checks and changes a test can hold, for the tests of the daemon.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::{Code, Status};

use super::port::{Asset, Beat, Platform, Polled, Report};
use super::task::TaskId;
use crate::connector::{Connector, ConnectorConfig};
use crate::model::baseline::{Baseline, Baselines};
use crate::model::change::{Change, Effect, Order, Outcome, Plan, WriteTenant};
use crate::model::fault::Fault;
use crate::model::journal::Held;
use crate::model::tenant::{ReadTenant, Tenant, Usage};
use crate::proto::connector::{self as c1, ConnectorMetadata};
use crate::proto::platform::Task;
use crate::proto::platform::task::{GrantTask, SyncFullTask, TaskType};
use crate::snapshot::fake::{FakeTenant, Handle, World};

/// A task id with that number in it.
pub(super) fn id(number: u32) -> TaskId {
    format!("{number:0>27}").parse().unwrap()
}

pub(super) fn task(number: u32, asked: TaskType) -> Task {
    Task {
        id: id(number).to_string(),
        task_type: Some(asked),
        ..Task::default()
    }
}

pub(super) fn sync(number: u32) -> Task {
    task(number, TaskType::SyncFull(SyncFullTask::default()))
}

/// Gives role 2 to the first user of the tenant.
pub(super) fn grant(number: u32, tenant: &HeldTenant) -> Task {
    let resource = |kind: &str, id: String| c1::Resource {
        id: Some(c1::ResourceId {
            resource_type: kind.into(),
            resource: id,
            ..Default::default()
        }),
        ..Default::default()
    };
    let asked = GrantTask {
        entitlement: Some(c1::Entitlement {
            id: "role:2:member".into(),
            resource: Some(resource("role", "2".into())),
            ..Default::default()
        }),
        principal: Some(resource("user", tenant.somebody().to_string())),
        ..Default::default()
    };
    task(number, TaskType::Grant(asked))
}

/// The calls of the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rpc {
    Hello,
    GetTask,
    GetTasks,
    Heartbeat,
    Upload,
    Finish,
}

/// Hands out tasks and remembers what it was told.
pub(super) struct FakePlatform {
    start: Instant,
    state: Mutex<State>,
    /// Tasks that have ended.
    ended: watch::Sender<usize>,
    /// Answers to questions for tasks wait while it is set.
    pub(super) hold_answers: watch::Sender<bool>,
}

struct State {
    tasks: VecDeque<Task>,
    failing: BTreeMap<Rpc, (u32, Code)>,
    cancelled: BTreeSet<TaskId>,
    calls: Vec<(Rpc, Instant)>,
    claimed: Vec<String>,
    finished: Vec<(TaskId, Report)>,
    introduced: Vec<Option<TaskId>>,
    uploads: Vec<(TaskId, Vec<u8>)>,
    pages: Vec<(u32, Vec<String>)>,
    next_poll: Duration,
}

impl FakePlatform {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            state: Mutex::new(State {
                tasks: VecDeque::new(),
                failing: BTreeMap::new(),
                cancelled: BTreeSet::new(),
                calls: Vec::new(),
                claimed: Vec::new(),
                finished: Vec::new(),
                introduced: Vec::new(),
                uploads: Vec::new(),
                pages: Vec::new(),
                next_poll: Duration::from_millis(100),
            }),
            ended: watch::Sender::new(0),
            hold_answers: watch::Sender::new(false),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn queue(&self, tasks: impl IntoIterator<Item = Task>) {
        self.state().tasks.extend(tasks);
    }

    pub(super) fn polls_every(&self, pause: Duration) {
        self.state().next_poll = pause;
    }

    /// The next so many calls fail: the platform is not there.
    pub(super) fn fails(&self, rpc: Rpc, times: u32) {
        self.fails_with(rpc, times, Code::Unavailable);
    }

    pub(super) fn fails_with(&self, rpc: Rpc, times: u32, code: Code) {
        self.state().failing.insert(rpc, (times, code));
    }

    /// The next sign of life of that task is answered by calling it off.
    pub(super) fn cancels(&self, task: &TaskId) {
        self.state().cancelled.insert(task.clone());
    }

    /// When that call was made, in whole seconds since the start.
    pub(super) fn seconds_of(&self, rpc: Rpc) -> Vec<u64> {
        let state = self.state();
        let calls = state.calls.iter().filter(|(made, _)| *made == rpc);
        calls.map(|(_, at)| (*at - self.start).as_secs()).collect()
    }

    pub(super) fn calls_of(&self, rpc: Rpc) -> usize {
        self.seconds_of(rpc).len()
    }

    pub(super) fn introduced(&self) -> Vec<Option<TaskId>> {
        self.state().introduced.clone()
    }

    /// Sizes of pages asked for, and the ids that were known.
    pub(super) fn pages(&self) -> Vec<(u32, Vec<String>)> {
        self.state().pages.clone()
    }

    pub(super) fn uploads(&self) -> Vec<(TaskId, Vec<u8>)> {
        self.state().uploads.clone()
    }

    /// How the task ended; panics if it ended twice or not at all.
    pub(super) fn end_of(&self, task: &TaskId) -> Report {
        let state = self.state();
        let mut ends = state.finished.iter().filter(|(id, _)| id == task);
        let (_, report) = ends.next().expect("the task has no end");
        assert!(ends.next().is_none(), "the task ended twice");
        report.clone()
    }

    /// Tasks that were handed out and have not ended.
    pub(super) fn unfinished(&self) -> Vec<String> {
        let state = self.state();
        let ended = |id: &String| state.finished.iter().any(|(ended, _)| ended.as_str() == id);
        state.claimed.iter().filter(|id| !ended(id)).cloned().collect()
    }

    /// Waits until so many tasks have ended.
    pub(super) async fn ended(&self, tasks: usize) {
        let mut ended = self.ended.subscribe();
        ended.wait_for(|ended| *ended >= tasks).await.unwrap();
    }

    /// Waits until the call was made so often.
    pub(super) async fn until(&self, rpc: Rpc, times: usize) {
        while self.calls_of(rpc) < times {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn called(&self, rpc: Rpc) -> Result<(), Status> {
        let mut state = self.state();
        state.calls.push((rpc, Instant::now()));
        match state.failing.get_mut(&rpc) {
            Some((times, code)) if *times > 0 => {
                *times -= 1;
                Err(Status::new(*code, "injected"))
            }
            _ => Ok(()),
        }
    }

    fn hand_out(&self, most: usize, known: &[String]) -> Polled {
        let mut state = self.state();
        let mut tasks = Vec::new();
        let mut left = VecDeque::new();
        while let Some(task) = state.tasks.pop_front() {
            if tasks.len() < most && !known.contains(&task.id) {
                state.claimed.push(task.id.clone());
                tasks.push(task);
            } else {
                left.push_back(task);
            }
        }
        state.tasks = left;
        Polled {
            tasks,
            next_poll: state.next_poll,
        }
    }

    async fn answers(&self) {
        let mut held = self.hold_answers.subscribe();
        held.wait_for(|held| !held).await.unwrap();
    }
}

#[async_trait]
impl Platform for FakePlatform {
    async fn hello(&self, task: Option<&TaskId>, metadata: ConnectorMetadata) -> Result<(), Status> {
        self.called(Rpc::Hello)?;
        assert!(!metadata.display_name.is_empty() && metadata.capabilities.is_some());
        let mut state = self.state();
        if let Some(task) = task {
            // The introduction ends such a task.
            state.claimed.retain(|claimed| claimed != task.as_str());
        }
        state.introduced.push(task.cloned());
        Ok(())
    }

    async fn get_task(&self) -> Result<Polled, Status> {
        self.called(Rpc::GetTask)?;
        self.answers().await;
        Ok(self.hand_out(1, &[]))
    }

    async fn get_tasks(&self, most: u32, known: Vec<String>) -> Result<Polled, Status> {
        self.called(Rpc::GetTasks)?;
        self.answers().await;
        let polled = self.hand_out(usize::try_from(most).unwrap(), &known);
        self.state().pages.push((most, known));
        Ok(polled)
    }

    async fn heartbeat(&self, task: &TaskId) -> Result<Beat, Status> {
        self.called(Rpc::Heartbeat)?;
        if self.state().cancelled.remove(task) {
            return Ok(Beat::Cancelled);
        }
        Ok(Beat::GoOn(Duration::from_secs(30)))
    }

    async fn upload(&self, task: &TaskId, asset: &Asset) -> Result<(), Status> {
        self.called(Rpc::Upload)?;
        let content = std::fs::read(&asset.path).unwrap();
        self.state().uploads.push((task.clone(), content));
        Ok(())
    }

    async fn finish(&self, task: &TaskId, report: Report) -> Result<(), Status> {
        self.called(Rpc::Finish)?;
        let mut state = self.state();
        state.finished.push((task.clone(), report));
        self.ended.send_replace(state.finished.len());
        Ok(())
    }
}

/// A tenant of a few users. Checks and changes wait while they are held.
pub(super) struct HeldTenant {
    inner: Arc<FakeTenant>,
    pub(super) checks: AtomicU64,
    pub(super) hold_checks: watch::Sender<bool>,
    pub(super) hold_changes: watch::Sender<bool>,
    pub(super) changes: Mutex<Vec<Order>>,
    /// How a change ends.
    pub(super) mood: Mutex<Mood>,
}

/// How a change ends.
#[derive(Clone)]
pub(super) enum Mood {
    Well,
    Fails(Fault),
    Panics,
}

pub(super) fn tenant(users: u64) -> Arc<HeldTenant> {
    Arc::new(HeldTenant {
        inner: FakeTenant::new(World::new(users)),
        checks: AtomicU64::new(0),
        hold_checks: watch::Sender::new(false),
        hold_changes: watch::Sender::new(false),
        changes: Mutex::default(),
        mood: Mutex::new(Mood::Well),
    })
}

impl HeldTenant {
    fn somebody(&self) -> u64 {
        *self.inner.world().users.keys().next().unwrap()
    }

    /// Waits until so many changes were asked for.
    pub(super) async fn changes(&self, number: usize) {
        while self.changes.lock().unwrap().len() < number {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the tenant was checked so often.
    pub(super) async fn checked(&self, times: u64) {
        while self.checks.load(Ordering::Relaxed) < times {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The tenant as the connector holds it.
struct Shared(Arc<HeldTenant>);

#[async_trait]
impl Tenant for Shared {
    async fn check(&self) -> Result<(), Fault> {
        self.0.checks.fetch_add(1, Ordering::Relaxed);
        self.0
            .hold_checks
            .subscribe()
            .wait_for(|held| !held)
            .await
            .unwrap();
        Ok(())
    }

    async fn survey(&self) -> Result<Arc<dyn ReadTenant>, Fault> {
        Handle(self.0.inner.clone()).survey().await
    }

    fn usage(&self) -> Usage {
        Handle(self.0.inner.clone()).usage()
    }
}

#[async_trait]
impl WriteTenant for Shared {
    async fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, order: &Order, change: &Change) -> Result<Outcome, Fault> {
        self.0.changes.lock().unwrap().push(order.clone());
        self.0
            .hold_changes
            .subscribe()
            .wait_for(|held| !held)
            .await
            .unwrap();
        let mood = self.0.mood.lock().unwrap().clone();
        match mood {
            Mood::Well => {}
            Mood::Fails(fault) => return Err(fault),
            Mood::Panics => panic!("as intended by the test"),
        }
        let user = change.user().unwrap().get();
        Ok(Outcome {
            effect: Effect::Made,
            user: self.0.inner.world().users[&user].clone(),
            entry: None,
            attempts: 1,
            before: Held::Nothing,
            after: Held::Nothing,
            findings: Vec::new(),
            downstream: None,
        })
    }

    async fn plan(&self, _: &Change) -> Result<Plan, Fault> {
        Err(Fault::internal("nobody plans here"))
    }
}

/// Keeps nothing.
struct NoBaselines;

impl Baselines for NoBaselines {
    fn last(&self) -> Result<Option<Baseline>, Fault> {
        Ok(None)
    }

    fn record(&self, _: &Baseline) -> Result<(), Fault> {
        Ok(())
    }
}

/// A connector over the tenant that makes no changes.
pub(super) fn reader_of(tenant: &Arc<HeldTenant>) -> Connector {
    Connector::new(
        Arc::new(Shared(tenant.clone())),
        Arc::new(NoBaselines),
        None,
        ConnectorConfig::default(),
    )
}

/// A connector over the tenant that makes changes.
pub(super) fn connector_of(tenant: &Arc<HeldTenant>) -> Connector {
    reader_of(tenant).with_writes(Arc::new(Shared(tenant.clone())))
}

pub(super) fn connector() -> Connector {
    connector_of(&tenant(10))
}
