//! Actions under way and their ends.
//!
//! Invariants: an action goes on though nobody waits for it, and every one that began has an end, also if it panics; at most
//! [`KEPT`] are remembered, and the oldest that ended makes room. Nothing is kept beyond the process.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use prost_types::Struct;
use svix_ksuid::{Ksuid, KsuidLike as _};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::model::fault::{Fault, FaultKind};

/// Invocations that are remembered.
pub(super) const KEPT: usize = 512;

/// How long an action may take.
const LONGEST: Duration = Duration::from_hours(1);

/// How far an action has come.
#[derive(Clone)]
pub(super) enum Progress {
    Running,
    Complete(Struct),
    /// Why it failed, for people.
    Failed(String),
}

/// One action that was begun.
#[derive(Clone)]
pub(super) struct Invocation {
    pub(super) id: Arc<str>,
    pub(super) name: &'static str,
    progress: watch::Receiver<Progress>,
}

impl Invocation {
    /// How far it has come.
    pub(super) fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// How far it has come when it ends, or after that time.
    pub(super) async fn ended(&mut self, within: Duration) -> Progress {
        let ended = self.progress.wait_for(|now| !matches!(now, Progress::Running));
        // Too late, or the process ends: it says where it stands.
        let _ = timeout(within, ended).await;
        self.progress()
    }
}

/// What was begun in this process.
#[derive(Default)]
pub(in super::super) struct Invocations(Mutex<VecDeque<Invocation>>);

impl Invocations {
    /// Begins an action.
    pub(super) fn begin(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<Struct, Fault>> + Send + 'static,
    ) -> Result<Invocation, Fault> {
        let (progress, receiver) = watch::channel(Progress::Running);
        let invocation = Invocation {
            id: Ksuid::new(None::<Timestamp>, None).to_string().into(),
            name,
            progress: receiver,
        };
        self.remember(invocation.clone())?;
        let id = Arc::clone(&invocation.id);
        tokio::spawn(async move {
            let end = match end_of(work, LONGEST).await {
                Ok(values) => Progress::Complete(values),
                // A dry run ends so: it is no failure.
                Err(fault) if *fault.kind() == FaultKind::Cancelled => Progress::Failed(fault.to_string()),
                Err(fault) => {
                    // Over the wire this is a success, so no call's log line tells it.
                    tracing::warn!(action = name, id = &*id, ?fault, "action failed");
                    Progress::Failed(fault.to_string())
                }
            };
            progress.send_replace(end);
        });
        Ok(invocation)
    }

    /// The action with that id.
    pub(super) fn find(&self, id: &str) -> Option<Invocation> {
        self.lock().iter().find(|kept| &*kept.id == id).cloned()
    }

    fn remember(&self, invocation: Invocation) -> Result<(), Fault> {
        let mut kept = self.lock();
        if kept.len() >= KEPT {
            let over = kept
                .iter()
                .position(|kept| !matches!(*kept.progress.borrow(), Progress::Running));
            let Some(over) = over else {
                return Err(Fault::unavailable("too many actions are under way").advise("try again later"));
            };
            kept.remove(over);
        }
        kept.push_back(invocation);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Invocation>> {
        // A panic leaves the list whole: every change of it is one step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn end_of(
    work: impl Future<Output = Result<Struct, Fault>>,
    within: Duration,
) -> Result<Struct, Fault> {
    match timeout(within, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(ended)) => ended,
        Ok(Err(_)) => {
            Err(Fault::internal("the action failed; the log of the connector says more").because("panic"))
        }
        Err(_) => Err(Fault::unavailable("the action took too long")
            .advise("look at the account and at the journal before it is tried again")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use std::future::{Ready, pending, ready};

    use super::*;

    /// An upper bound: what ends is not waited for.
    const SOON: Duration = Duration::from_mins(1);

    fn done() -> Ready<Result<Struct, Fault>> {
        ready(Ok(Struct::default()))
    }

    #[tokio::test]
    async fn an_action_has_an_end_whatever_happens() {
        let all = Invocations::default();
        let mut complete = all.begin("a", done()).unwrap();
        assert!(matches!(complete.ended(SOON).await, Progress::Complete(_)));
        let failing = async { Err(Fault::invalid("no").because("detail")) };
        let mut failed = all.begin("a", failing).unwrap();
        let Progress::Failed(why) = failed.ended(SOON).await else {
            panic!("it did not fail");
        };
        assert_eq!(why, "no");
        let bug = async { panic!("as intended by the test") };
        let mut panicking = all.begin("a", bug).unwrap();
        assert!(matches!(panicking.ended(SOON).await, Progress::Failed(_)));
        let mut endless = all.begin("a", pending()).unwrap();
        assert!(matches!(endless.ended(Duration::ZERO).await, Progress::Running));
        assert!(end_of(pending(), Duration::ZERO).await.is_err());
    }

    #[tokio::test]
    async fn memory_is_bounded_and_what_runs_is_not_forgotten() {
        let all = Invocations::default();
        let running = all.begin("a", pending()).unwrap();
        let mut first = all.begin("a", done()).unwrap();
        first.ended(SOON).await;
        let mut last = first.clone();
        for _ in 0..KEPT {
            last = all.begin("a", done()).unwrap();
            last.ended(SOON).await;
        }
        assert_eq!(all.lock().len(), KEPT);
        assert!(all.find(&first.id).is_none(), "the oldest that ended made room");
        assert!(all.find(&running.id).is_some() && all.find(&last.id).is_some());
        let busy = Invocations::default();
        for _ in 0..KEPT {
            busy.begin("a", pending()).unwrap();
        }
        let fault = busy.begin("a", pending()).err().unwrap();
        assert!(fault.is_transient());
    }
}
