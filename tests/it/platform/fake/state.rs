//! What the platform knows: the queue, claims, tokens, the script of troubles, the log and the violations.
//!
//! Invariant: whatever happens is logged under the same lock under which it takes effect; the lock is never held across an await.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use baton_coupa::proto::platform as wire;
use http::StatusCode;
use tokio::sync::watch;
use tonic::Code;

use super::super::task::Task;
use super::claims::Claims;
use super::log::{Beat, Entry, Event, Finish};
use super::token::{Accepted, Client};

/// So near to its end a token is not used any more: the program renews it about 10 s before.
const LAST_MOMENT: Duration = Duration::from_secs(2);

/// The calls of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rpc {
    Hello,
    GetTask,
    Heartbeat,
    UploadAsset,
    FinishTask,
}

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing: this one is answered.
    None,
    /// Refused, without effect.
    Refused(Code),
    /// It takes effect, and the answer says that it failed.
    Lost(Code),
    /// An upload is refused after its first data.
    BrokenOff(Code),
    /// No answer and no effect, for as long as the caller waits.
    Hang,
    /// Answered, but only when the test lets go.
    Held,
    /// The connection is cut, without effect.
    Cut,
    /// It takes effect, then the connection is cut.
    LostAndCut,
}

impl Trouble {
    pub fn takes_effect(self) -> bool {
        matches!(self, Self::None | Self::Held | Self::Lost(_) | Self::LostAndCut)
    }
}

/// How often the program is to come back.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// `next_poll` while tasks wait.
    pub busy: Duration,
    /// `next_poll` when none does.
    pub idle: Duration,
    /// `next_heartbeat`, where one is said.
    pub heartbeat: Option<Duration>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            busy: Duration::from_millis(50),
            idle: Duration::from_millis(200),
            heartbeat: Some(Duration::from_secs(1)),
        }
    }
}

struct Token {
    ends: Instant,
    forgotten: bool,
}

pub struct Inner {
    /// What every request is to be sent with.
    pub host_id: String,
    queue: VecDeque<Task>,
    claims: Claims,
    pub pace: Pace,
    troubles: HashMap<Rpc, VecDeque<Trouble>>,
    standing: HashMap<Rpc, Trouble>,
    tokens: BTreeMap<String, Token>,
    pub token_life: u64,
    pub no_tokens: Option<StatusCode>,
    pub nonces: BTreeSet<String>,
    /// Assertions and tokens: what must show nowhere.
    secrets: Vec<String>,
    slots: usize,
    log: Vec<Entry>,
    violations: Vec<String>,
    gone: Option<String>,
}

pub struct State {
    pub client: Client,
    pub authority: String,
    inner: Mutex<Inner>,
    changed: watch::Sender<usize>,
    let_go: watch::Sender<()>,
}

impl State {
    pub fn new(client: Client, authority: String, host_id: &str) -> Arc<Self> {
        Arc::new(Self {
            client,
            authority,
            inner: Mutex::new(Inner {
                host_id: host_id.to_owned(),
                queue: VecDeque::new(),
                claims: Claims::default(),
                pace: Pace::default(),
                troubles: HashMap::new(),
                standing: HashMap::new(),
                tokens: BTreeMap::new(),
                token_life: 3600,
                no_tokens: None,
                nonces: BTreeSet::new(),
                secrets: Vec::new(),
                slots: 3,
                log: Vec::new(),
                violations: Vec::new(),
                gone: None,
            }),
            changed: watch::Sender::new(0),
            let_go: watch::Sender::new(()),
        })
    }

    pub fn host_id(&self) -> String {
        self.inner().host_id.clone()
    }

    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Notes what happened and wakes who waits.
    fn happened(&self, inner: &mut Inner, event: Event) {
        inner.log.push(Entry {
            at: Instant::now(),
            event,
        });
        self.changed.send_replace(inner.log.len());
    }

    pub fn note(&self, event: Event) {
        self.happened(&mut self.inner(), event);
    }

    pub fn violate(&self, violations: impl IntoIterator<Item = String>) {
        self.inner().violations.extend(violations);
    }

    // The script.

    pub fn give(&self, task: Task) {
        self.inner().queue.push_back(task);
    }

    pub fn trouble(&self, rpc: Rpc, calls: impl IntoIterator<Item = Trouble>) {
        self.inner().troubles.entry(rpc).or_default().extend(calls);
    }

    pub fn standing(&self, rpc: Rpc, trouble: Trouble) {
        self.inner().standing.insert(rpc, trouble);
    }

    pub fn slots(&self, slots: usize) {
        self.inner().slots = slots;
    }

    pub fn cancel(&self, task: &str) {
        self.inner().claims.cancel(task);
    }

    /// Lets go of every call that is held.
    pub fn let_go(&self) {
        self.let_go.send_replace(());
    }

    /// Waits until the test lets go.
    pub async fn held(&self) {
        // The sender lives as long as the state.
        let _ = self.let_go.subscribe().changed().await;
    }

    pub fn forget_tokens(&self) {
        for token in self.inner().tokens.values_mut() {
            token.forgotten = true;
        }
    }

    /// The program was killed: nobody owes what it claimed.
    pub fn lapse(&self) {
        self.inner().claims.lapse();
    }

    pub fn gone(&self, told: String) {
        let mut inner = self.inner();
        inner.gone = Some(told);
        self.happened(&mut inner, Event::Gone);
    }

    pub fn back(&self) {
        self.inner().gone = None;
    }

    // Tokens.

    pub fn issue(&self, accepted: Accepted, token: &str) -> u64 {
        let mut inner = self.inner();
        let life = inner.token_life;
        let ends = Instant::now() + Duration::from_secs(life);
        inner.tokens.insert(
            token.to_owned(),
            Token {
                ends,
                forgotten: false,
            },
        );
        inner.nonces.insert(accepted.nonce);
        inner.secrets.extend([accepted.assertion, token.to_owned()]);
        self.happened(&mut inner, Event::Token);
        life
    }

    /// Whether a token is good now; one that is used beyond its life is a violation.
    pub fn knows(&self, token: Option<&str>, rpc: Rpc) -> bool {
        let mut inner = self.inner();
        let violation = match token.map(|token| inner.tokens.get(token)) {
            None => "comes without a bearer token",
            Some(None) => "comes with a token that was never issued",
            Some(Some(token)) if token.forgotten => return false,
            Some(Some(token)) if token.ends < Instant::now() => "comes with a token that has expired",
            Some(Some(token)) if token.ends < Instant::now() + LAST_MOMENT => {
                inner
                    .violations
                    .push(format!("{rpc:?} comes with a token in its last moment"));
                return true;
            }
            Some(Some(_)) => return true,
        };
        inner.violations.push(format!("{rpc:?} {violation}"));
        false
    }

    pub fn secrets(&self) -> Vec<String> {
        let own = [&self.client.secret, &self.client.d].map(Clone::clone);
        self.inner().secrets.iter().cloned().chain(own).collect()
    }

    // Calls.

    /// What becomes of the next call of this kind.
    pub fn next_trouble(&self, rpc: Rpc) -> Trouble {
        let mut inner = self.inner();
        let scripted = inner.troubles.get_mut(&rpc).and_then(VecDeque::pop_front);
        let trouble = scripted
            .or_else(|| inner.standing.get(&rpc).copied())
            .unwrap_or(Trouble::None);
        if trouble != Trouble::None {
            self.happened(&mut inner, Event::Trouble { rpc });
        }
        trouble
    }

    pub fn greeted(&self, request: wire::BatonServiceHelloRequest) {
        let mut inner = self.inner();
        let task = request.task_id.clone();
        if !task.is_empty() {
            let wrong = inner.claims.greeted(&task);
            inner.violations.extend(wrong);
        }
        let request = Arc::new(request);
        self.happened(&mut inner, Event::Hello { task, request });
    }

    /// Judges the question for a task as such: after Hello, and with a slot free.
    pub fn asked(&self, page: Option<(u32, Vec<String>)>) {
        let mut inner = self.inner();
        if !inner
            .log
            .iter()
            .any(|entry| matches!(entry.event, Event::Hello { .. }))
        {
            inner
                .violations
                .push("a task is asked for before Hello was accepted".to_owned());
        }
        let (running, slots) = (inner.claims.running(), inner.slots);
        let wrong = match &page {
            None if running >= slots => {
                vec![format!(
                    "a task is asked for while {running} of {slots} slots are taken"
                )]
            }
            None => Vec::new(),
            Some((size, known)) => {
                let most = (2 * slots).saturating_sub(known.len());
                let greedy = *size as usize > most;
                let greedy = greedy.then(|| format!("GetTasks asks for {size} tasks, {most} at most"));
                inner.claims.known(known).into_iter().chain(greedy).collect()
            }
        };
        inner.violations.extend(wrong);
        self.happened(&mut inner, Event::Asked { page });
    }

    /// Hands out up to `most` tasks that are not among `known`.
    pub fn hand_out(&self, most: usize, known: &[String]) -> Vec<Task> {
        let mut inner = self.inner();
        let mut handed = Vec::new();
        let mut left = VecDeque::new();
        while let Some(task) = inner.queue.pop_front() {
            if handed.len() < most && !known.contains(&task.id) {
                inner.claims.hand_out(&task);
                let id = task.id.clone();
                self.happened(&mut inner, Event::Handed { task: id });
                handed.push(task);
            } else {
                left.push_back(task);
            }
        }
        inner.queue = left;
        handed
    }

    /// Answers a heartbeat; `None` where the task is not one that beats.
    pub fn beat(&self, task: &str, heard: bool) -> Option<Beat> {
        let mut inner = self.inner();
        match inner.claims.beat(task, heard) {
            Ok(answer) => {
                let task = task.to_owned();
                self.happened(&mut inner, Event::Beat { task, answer });
                Some(answer)
            }
            Err(wrong) => {
                inner.violations.push(wrong);
                None
            }
        }
    }

    /// An upload begins, even if it will be refused; whether there is a task for it.
    pub fn uploading(&self, task: &str) -> bool {
        let mut inner = self.inner();
        match inner.claims.uploading(task) {
            Ok(wrong) => {
                inner.violations.extend(wrong);
                let task = task.to_owned();
                self.happened(&mut inner, Event::Uploading { task });
                true
            }
            Err(wrong) => {
                inner.violations.push(wrong);
                false
            }
        }
    }

    pub fn uploaded(&self, task: &str, file: Vec<u8>, heard: bool) {
        let mut inner = self.inner();
        let wrong = inner.claims.uploaded(task, heard);
        inner.violations.extend(wrong);
        let (task, file) = (task.to_owned(), Arc::new(file));
        self.happened(&mut inner, Event::Uploaded { task, file });
    }

    /// An end did not get through, or its answer did not.
    pub fn end_failed(&self, task: &str) {
        self.inner().claims.end_failed(task);
    }

    pub fn finished(&self, task: &str, finish: Finish) {
        let mut inner = self.inner();
        let wrong = inner.claims.finished(task, &finish);
        inner.violations.extend(wrong);
        let task = task.to_owned();
        self.happened(&mut inner, Event::Finished { task, finish });
    }

    // Looking back.

    pub fn log(&self) -> Vec<Entry> {
        self.inner().log.clone()
    }

    /// Waits until `find` finds something in the log.
    pub async fn wait<T>(&self, what: &str, mut find: impl FnMut(&[Entry]) -> Option<T>) -> T {
        // Against waiting for ever, no measure of speed.
        const GUARD: Duration = Duration::from_mins(2);
        let mut changed = self.changed.subscribe();
        let waited = tokio::time::timeout(GUARD, async {
            loop {
                changed.borrow_and_update();
                let log = self.log();
                if let Some(found) = find(&log) {
                    return Ok(found);
                }
                if let Some(told) = &self.inner().gone {
                    return Err(format!("the program ended: {told}"));
                }
                let _ = changed.changed().await;
            }
        });
        let trouble = match waited.await {
            Ok(Ok(found)) => return found,
            Ok(Err(told)) => told,
            Err(_) => "it never came".to_owned(),
        };
        panic!("waiting for {what}: {trouble}\n{}", self.story());
    }

    /// Log and violations, for a person.
    pub fn story(&self) -> String {
        let inner = self.inner();
        let Some(first) = inner.log.first() else {
            return "nothing happened".to_owned();
        };
        let lines = inner.log.iter().map(|entry| {
            let at = entry.at.duration_since(first.at).as_secs_f64();
            format!("{at:8.3} {:?}", entry.event)
        });
        let violations = inner.violations.iter().map(|text| format!("violated: {text}"));
        lines.chain(violations).collect::<Vec<_>>().join("\n")
    }

    /// Whether nothing waits and nothing is owed.
    pub fn is_through(&self) -> bool {
        let inner = self.inner();
        inner.queue.is_empty() && inner.claims.owed().next().is_none()
    }

    /// Everything that was violated, tasks left unfinished included.
    pub fn audit(&self) -> Vec<String> {
        let inner = self.inner();
        let owed = inner.claims.owed();
        let owed = owed.map(|(id, kind)| format!("{id} ({kind:?}) was claimed and left unfinished"));
        let first = inner.log.first().map(|entry| &entry.event);
        let early = !matches!(first, None | Some(Event::Token | Event::NoToken | Event::Gone));
        let early = early.then(|| "something came before the first token".to_owned());
        inner
            .violations
            .iter()
            .cloned()
            .chain(owed)
            .chain(early)
            .collect()
    }
}

impl Inner {
    pub fn waiting(&self) -> bool {
        !self.queue.is_empty()
    }
}
