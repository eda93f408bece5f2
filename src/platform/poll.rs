//! The loop: ask for tasks where there is room for one, do them side by side, and at the end let go of nothing unfinished.
//!
//! Invariants: a task is only asked for when a slot is free (or, of several, when fewer are known than there are slots); a task id that is
//! known is not begun a second time; a platform that has nothing to do, or answers nonsense, is not asked in a hot loop.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tonic::Status;

use super::backoff;
use super::config::Asking;
use super::port::{Polled, told};
use super::task::{Claimed, TaskId, classify};
use super::worker::Worker;

/// Shortest pause after an answer that brought nothing new.
const IDLE: Duration = Duration::from_millis(100);

/// Most tasks that can be asked for at once (the platform's own rule).
const LARGEST_PAGE: usize = 100;

/// How long the answer to a question that is under way is waited for when the daemon ends: what it brings is ours.
const LAST_ANSWER: Duration = Duration::from_secs(3);

/// How long tasks may take to end by themselves when the daemon ends.
const PATIENCE: Duration = Duration::from_secs(14);

/// How long the ends of tasks may take to be told after that.
const LAST_WORDS: Duration = Duration::from_secs(4);

/// A question for tasks that is under way.
type Question = BoxFuture<'static, Result<Polled, Status>>;

/// The tasks in hand.
pub(super) struct Desk {
    worker: Arc<Worker>,
    asking: Asking,
    slots: usize,
    queue: VecDeque<Claimed>,
    running: JoinSet<()>,
    ids: HashMap<tokio::task::Id, TaskId>,
}

impl Desk {
    pub(super) fn new(worker: Arc<Worker>, asking: Asking, slots: usize) -> Self {
        Self {
            worker,
            asking,
            slots,
            queue: VecDeque::new(),
            running: JoinSet::new(),
            ids: HashMap::new(),
        }
    }

    /// Asks for tasks and does them until the daemon is to end; then brings them to an end.
    pub(super) async fn serve(mut self) {
        let mut question: Option<Question> = None;
        let mut ask_at = Instant::now();
        let mut failures = 0;
        let stop = self.worker.stop.clone();
        while !stop.is_cancelled() {
            self.begin_queued();
            let room = self.known() < self.slots;
            tokio::select! {
                () = stop.cancelled() => {}
                Some(ended) = self.running.join_next_with_id() => self.ended(ended),
                answer = answer(&mut question), if question.is_some() => {
                    question = None;
                    let wait = match answer {
                        Ok(polled) => {
                            failures = 0;
                            self.take(polled)
                        }
                        Err(status) => {
                            failures += 1;
                            let wait = backoff::of_poll(failures, fastrand::f64());
                            let error = told(&status);
                            tracing::warn!(error, failures, wait = wait.as_secs_f64(), "cannot ask for tasks");
                            wait
                        }
                    };
                    ask_at = Instant::now() + wait;
                }
                () = sleep_until(ask_at), if room && question.is_none() => question = Some(self.ask()),
            }
        }
        self.drain(question).await;
    }

    fn known(&self) -> usize {
        self.running.len() + self.queue.len()
    }

    fn ask(&self) -> Question {
        let platform = Arc::clone(&self.worker.platform);
        match self.asking {
            Asking::One => Box::pin(async move { platform.get_task().await }),
            Asking::Several => {
                let known: Vec<String> = self
                    .ids
                    .values()
                    .chain(self.queue.iter().map(|claimed| &claimed.id))
                    .map(ToString::to_string)
                    .collect();
                let most = (2 * self.slots)
                    .saturating_sub(known.len())
                    .clamp(1, LARGEST_PAGE);
                let most = u32::try_from(most).unwrap_or(1);
                Box::pin(async move { platform.get_tasks(most, known).await })
            }
        }
    }

    /// Takes in what came, and answers how long to wait before the next question.
    fn take(&mut self, polled: Polled) -> Duration {
        let before = self.queue.len();
        for task in polled.tasks {
            match classify(task) {
                Ok(None) => {}
                Ok(Some(claimed)) if self.knows(&claimed.id) => {
                    tracing::debug!(task_id = %claimed.id, "the task was handed out again while it is in hand");
                }
                Ok(Some(claimed)) => self.queue.push_back(claimed),
                Err(_) => tracing::error!(
                    "the platform handed out a task without a usable id; nothing can be said about it"
                ),
            }
        }
        if self.queue.len() > before {
            polled.next_poll
        } else {
            polled.next_poll.max(IDLE)
        }
    }

    fn knows(&self, id: &TaskId) -> bool {
        self.ids
            .values()
            .chain(self.queue.iter().map(|claimed| &claimed.id))
            .any(|known| known == id)
    }

    fn begin_queued(&mut self) {
        while self.running.len() < self.slots
            && let Some(claimed) = self.queue.pop_front()
        {
            let id = claimed.id.clone();
            let handle = self.running.spawn(Arc::clone(&self.worker).carry_out(claimed));
            self.ids.insert(handle.id(), id);
        }
    }

    fn ended(&mut self, ended: Result<(tokio::task::Id, ()), tokio::task::JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                // The worker catches what tasks do; this would be the worker itself.
                tracing::error!(%error, "a task's keeper failed");
                error.id()
            }
        };
        self.ids.remove(&id);
    }

    /// Brings everything in hand to an end, within a bound.
    async fn drain(mut self, question: Option<Question>) {
        let patience = Instant::now() + PATIENCE;
        if let Some(question) = question {
            // Too late, or an error: then nothing was handed out.
            if let Ok(Ok(polled)) = timeout(LAST_ANSWER, question).await {
                self.take(polled);
            }
        }
        for claimed in std::mem::take(&mut self.queue) {
            self.running.spawn(Arc::clone(&self.worker).hand_back(claimed));
        }
        if !self.running.is_empty() {
            tracing::info!(tasks = self.running.len(), "waiting for tasks to end");
        }
        if timeout_at(patience, all(&mut self.running)).await.is_ok() {
            return;
        }
        tracing::warn!(tasks = self.running.len(), "tasks are cut off");
        self.worker.over.cancel();
        if timeout(LAST_WORDS, all(&mut self.running)).await.is_err() {
            tracing::error!(
                tasks = self.running.len(),
                "the ends of tasks could not be told; the platform will hand them out again"
            );
        }
    }
}

/// The answer to the question under way; never, without one.
async fn answer(question: &mut Option<Question>) -> Result<Polled, Status> {
    match question {
        Some(question) => question.await,
        None => std::future::pending().await,
    }
}

async fn all(running: &mut JoinSet<()>) {
    while running.join_next().await.is_some() {}
}
