//! What the platform knows: the queue, who claimed what, tokens, the script of troubles, the log and the violations.
//!
//! Invariants: a claim is opened by handing a task out and closed by one accepted end; whatever contradicts that is a violation. The
//! mutex is never held across an await.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::sync::watch;
use tonic::Code;

use super::super::task::{Kind, Task};
use super::log::{Beat, Entry, Event, Finish};
use super::token::{Accepted, Client};

/// Uploads that are tried for one task at most.
const TRIES: usize = 3;

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
    /// The connection is cut, without effect.
    Cut,
    /// It takes effect, then the connection is cut.
    LostAndCut,
}

impl Trouble {
    pub fn takes_effect(self) -> bool {
        matches!(self, Self::None | Self::Lost(_) | Self::LostAndCut)
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

/// A task that was handed out.
struct Claim {
    kind: Kind,
    /// Whether an end is owed.
    open: bool,
    /// Whether it may stay without an end, and why.
    excused: Option<&'static str>,
    /// Whether an end that was accepted may have been taken for lost.
    end_lost: bool,
    cancelled: bool,
    beats: usize,
    tries: usize,
    uploaded: bool,
}

impl Claim {
    fn occupies(&self) -> bool {
        self.open && self.excused.is_none()
    }
}

struct Token {
    ends: Instant,
    forgotten: bool,
}

pub struct Inner {
    queue: VecDeque<Task>,
    claims: BTreeMap<String, Claim>,
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
    pub host_id: String,
    inner: Mutex<Inner>,
    changed: watch::Sender<usize>,
}

impl State {
    pub fn new(client: Client, authority: String, host_id: &str) -> Arc<Self> {
        Arc::new(Self {
            client,
            authority,
            host_id: host_id.to_owned(),
            inner: Mutex::new(Inner {
                queue: VecDeque::new(),
                claims: BTreeMap::new(),
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
        })
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
        self.inner()
            .claims
            .get_mut(task)
            .expect("a claimed task")
            .cancelled = true;
    }

    pub fn forget_tokens(&self) {
        for token in self.inner().tokens.values_mut() {
            token.forgotten = true;
        }
    }

    /// The program was killed: nobody owes what it claimed.
    pub fn lapse(&self) {
        for claim in self.inner().claims.values_mut() {
            claim.excused.get_or_insert("its program was killed");
        }
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

    pub fn greeted(&self, request: baton_coupa::proto::platform::BatonServiceHelloRequest) {
        let mut inner = self.inner();
        let task = request.task_id.clone();
        if !task.is_empty() {
            match inner.claims.get_mut(&task) {
                Some(claim) if claim.kind == Kind::Hello && (claim.open || claim.end_lost) => {
                    claim.open = false
                }
                Some(_) => inner
                    .violations
                    .push(format!("Hello with task {task}, which asks for none")),
                None => inner
                    .violations
                    .push(format!("Hello with task {task}, which was not handed out")),
            }
        }
        self.happened(
            &mut inner,
            Event::Hello {
                task,
                request: Arc::new(request),
            },
        );
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
        let running = inner.running();
        if running >= inner.slots && page.is_none() {
            let slots = inner.slots;
            inner.violations.push(format!(
                "a task is asked for while {running} of {slots} slots are taken"
            ));
        }
        if let Some((size, known)) = &page {
            let most = (2 * inner.slots).saturating_sub(known.len());
            if *size as usize > most {
                inner
                    .violations
                    .push(format!("GetTasks asks for {size} tasks, {most} at most"));
            }
            let strange: Vec<_> = known
                .iter()
                .filter(|id| !inner.claims.contains_key(*id))
                .cloned()
                .collect();
            inner.violations.extend(
                strange
                    .iter()
                    .map(|id| format!("GetTasks knows {id}, which was not handed out")),
            );
            let owed = inner
                .claims
                .iter()
                .filter(|(id, claim)| claim.occupies() && !known.contains(id));
            let owed: Vec<_> = owed
                .map(|(id, _)| format!("GetTasks does not know {id}, which it owes"))
                .collect();
            inner.violations.extend(owed);
        }
        self.happened(&mut inner, Event::Asked { page });
    }

    /// Hands out up to `most` tasks that are not among `known`.
    pub fn hand_out(&self, most: usize, known: &[String]) -> Vec<Task> {
        let mut inner = self.inner();
        let mut handed = Vec::new();
        let mut left = VecDeque::new();
        while let Some(task) = inner.queue.pop_front() {
            if handed.len() < most && !known.contains(&task.id) {
                handed.push(task);
            } else {
                left.push_back(task);
            }
        }
        inner.queue = left;
        for task in &handed {
            inner.claim(task);
            self.happened(
                &mut inner,
                Event::Handed {
                    task: task.id.clone(),
                },
            );
        }
        handed
    }

    /// Answers a heartbeat; `None` where the task is not one that beats.
    pub fn beat(&self, task: &str, refused: bool) -> Option<Beat> {
        let mut inner = self.inner();
        let Some(claim) = inner
            .claims
            .get_mut(task)
            .filter(|claim| claim.kind == Kind::Sync)
        else {
            inner.violations.push(format!(
                "Heartbeat of {task}, which is no sync that was handed out"
            ));
            return None;
        };
        let answer = if refused {
            Beat::Failed
        } else if claim.cancelled {
            Beat::Cancelled
        } else {
            Beat::Fine
        };
        match answer {
            Beat::Fine => claim.beats += 1,
            Beat::Cancelled => claim.excused = Some("the platform called it off"),
            Beat::Failed if claim.beats == 0 => claim.excused = Some("its first heartbeat failed"),
            Beat::Failed => {}
        }
        self.happened(
            &mut inner,
            Event::Beat {
                task: task.to_owned(),
                answer,
            },
        );
        Some(answer)
    }

    /// An upload begins, even if it will be refused.
    pub fn uploading(&self, task: &str) -> bool {
        let mut inner = self.inner();
        let Some(claim) = inner
            .claims
            .get_mut(task)
            .filter(|claim| claim.open && claim.kind == Kind::Sync)
        else {
            inner
                .violations
                .push(format!("UploadAsset for {task}, which is no sync under way"));
            return false;
        };
        claim.tries += 1;
        let violation = if claim.tries > TRIES {
            Some(format!("UploadAsset for {task} is tried {} times", claim.tries))
        } else if claim.beats == 0 {
            Some(format!(
                "UploadAsset for {task} before any heartbeat was accepted"
            ))
        } else {
            None
        };
        inner.violations.extend(violation);
        self.happened(
            &mut inner,
            Event::Uploading {
                task: task.to_owned(),
            },
        );
        true
    }

    pub fn uploaded(&self, task: &str, file: Vec<u8>, lost: bool) {
        let mut inner = self.inner();
        let Some(claim) = inner.claims.get_mut(task) else {
            return;
        };
        let twice = std::mem::replace(&mut claim.uploaded, !lost);
        if twice {
            inner
                .violations
                .push(format!("UploadAsset for {task} after one that was accepted"));
        }
        self.happened(
            &mut inner,
            Event::Uploaded {
                task: task.to_owned(),
                file: Arc::new(file),
            },
        );
    }

    /// An end that did not get through: its slot may be free for the program.
    pub fn end_failed(&self, task: &str) {
        if let Some(claim) = self.inner().claims.get_mut(task) {
            claim.end_lost = true;
        }
    }

    pub fn finished(&self, task: &str, finish: Finish) {
        let mut inner = self.inner();
        let Some(claim) = inner.claims.get_mut(task) else {
            inner
                .violations
                .push(format!("FinishTask of {task}, which was not handed out"));
            return;
        };
        let mut wrong = Vec::new();
        if claim.kind == Kind::Hello {
            wrong.push(format!("FinishTask of {task}, which ends by Hello"));
        } else if !claim.open && !claim.end_lost {
            wrong.push(format!("FinishTask of {task} twice"));
        }
        if finish.is_success() {
            let response = finish
                .success()
                .response
                .as_ref()
                .map(|any| any.type_url.as_str());
            match claim.kind {
                Kind::Sync if !claim.uploaded => {
                    wrong.push(format!("FinishTask of {task} with success and without an upload"));
                }
                Kind::Sync | Kind::Hello if response.is_some() => {
                    wrong.push(format!("FinishTask of {task} with a response that nobody reads"));
                }
                Kind::Answered(expected) if response != Some(expected) => {
                    wrong.push(format!(
                        "FinishTask of {task} with {response:?} in place of {expected}"
                    ));
                }
                Kind::Refused => {
                    wrong.push(format!("FinishTask of {task} with success, which nobody can do"))
                }
                Kind::Sync | Kind::Hello | Kind::Answered(_) => {}
            }
        }
        claim.open = false;
        claim.end_lost = false;
        inner.violations.extend(wrong);
        self.happened(
            &mut inner,
            Event::Finished {
                task: task.to_owned(),
                finish,
            },
        );
    }

    // Looking back.

    pub fn log(&self) -> Vec<Entry> {
        self.inner().log.clone()
    }

    /// Waits until `find` finds something in the log.
    pub async fn wait<T>(&self, what: &str, mut find: impl FnMut(&[Entry]) -> Option<T>) -> T {
        // Against waiting for ever, no measure of speed.
        const GUARD: Duration = Duration::from_secs(120);
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

    /// Everything that was violated, tasks left unfinished included.
    pub fn audit(&self) -> Vec<String> {
        let inner = self.inner();
        let mut found = inner.violations.clone();
        for (id, claim) in inner.claims.iter().filter(|(_, claim)| claim.occupies()) {
            found.push(format!("{id} ({:?}) was claimed and left unfinished", claim.kind));
        }
        if !matches!(
            inner.log.first(),
            None | Some(Entry {
                event: Event::Token | Event::NoToken | Event::Gone,
                ..
            })
        ) {
            found.push("something came before the first token".to_owned());
        }
        found
    }
}

impl Inner {
    pub fn waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    fn running(&self) -> usize {
        self.claims
            .values()
            .filter(|claim| claim.occupies() && !claim.end_lost)
            .count()
    }

    fn claim(&mut self, task: &Task) {
        let fresh = Claim {
            kind: task.kind,
            open: true,
            excused: None,
            end_lost: false,
            cancelled: false,
            beats: 0,
            tries: 0,
            uploaded: false,
        };
        match self.claims.get_mut(&task.id) {
            // Handed out again while it runs: one end is owed.
            Some(claim) if claim.occupies() => {}
            Some(claim) => *claim = fresh,
            None => _ = self.claims.insert(task.id.clone(), fresh),
        }
    }
}
