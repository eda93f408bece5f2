//! How a change ends: the entry is closed and the answer is made, from the same facts.
//!
//! Invariant: an answer names the entry wherever one stays open.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::change::{Effect, Outcome};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::UserId;
use crate::model::journal::{Closing, Ending, Held, Stage};

use super::decide::finding;
use super::fresh::Seen;
use super::run::{Run, Stop};

impl Run<'_> {
    /// Ends a change.
    pub(super) async fn finish(
        mut self,
        result: Result<Seen, Stop>,
        effect: Effect,
    ) -> Result<Outcome, Fault> {
        match result {
            Ok(seen) => {
                self.saw(&seen);
                if let Err(fault) = self.close(Ending::Made).await {
                    let entry = self.entry;
                    self.findings.push(finding(format!(
                        "journal entry {entry} could not be closed; recovery closes it ({})",
                        fault.message()
                    )));
                }
                Ok(self.outcome(seen, effect))
            }
            Err(Stop::Ended(ending, fault)) => Err(match self.close(ending).await {
                Ok(()) => not_absent(fault),
                Err(_) => self.left_open(&fault),
            }),
            Err(Stop::Open(fault)) => {
                self.engine.wake.notify_one();
                tracing::warn!(entry = self.entry.0, "a change has no known end yet: {fault:?}");
                Err(self.left_open(&fault))
            }
        }
    }

    /// Closes the entry, and says so in the log.
    pub(super) async fn close(&mut self, ending: Ending) -> Result<(), Fault> {
        let closed = self
            .engine
            .ledger
            .advance(self.entry, Stage::Closed(self.closing(ending)))
            .await;
        if let Err(fault) = &closed {
            self.not_recorded(fault);
            self.engine.wake.notify_one();
        }
        tracing::info!(
            entry = self.entry.0,
            user = self.user.map(UserId::get),
            ending = ending.name(),
            by = self.by.name(),
            writes = self.writes,
            closed = closed.is_ok(),
            "change ended"
        );
        closed
    }

    fn closing(&self, ending: Ending) -> Closing {
        Closing {
            at: Timestamp::now(),
            ending,
            by: self.by,
            user: self.user,
            after: self.last.clone(),
            window_ms: self.gap.window.map(millis),
            empty_ms: self.gap.empty.map(millis),
            findings: self.findings.iter().map(|finding| finding.text.clone()).collect(),
        }
    }

    fn outcome(self, seen: Seen, effect: Effect) -> Outcome {
        Outcome {
            effect,
            user: seen.user,
            entry: Some(self.entry),
            attempts: self.writes,
            before: self.before,
            after: self.last,
            findings: self.findings,
            downstream: None,
        }
    }

    /// Trying later is right: the answer of a repeat is the end that recovery finds.
    fn left_open(&self, fault: &Fault) -> Fault {
        let kind = match fault.kind() {
            FaultKind::RateLimited { until } => FaultKind::RateLimited { until: *until },
            _ => FaultKind::Unavailable,
        };
        let entry = self.entry;
        let message = format!(
            "{}; journal entry {entry} stays open until its end is known",
            fault.message()
        );
        let open = Fault::new(kind, message).advise("try again later: recovery goes on with it");
        match fault.detail() {
            Some(detail) => open.because(detail),
            None => open,
        }
    }
}

/// The account was read before an entry was opened, so a 404 to a write is no proof that it is gone: whoever is told that it does not
/// exist takes a removal as done.
fn not_absent(fault: Fault) -> Fault {
    if *fault.kind() != FaultKind::NotFound {
        return fault;
    }
    let found = Fault::new(
        FaultKind::Conflict,
        format!("{}, although it was read right before", fault.message()),
    )
    .advise("check that the OAuth client may change this account");
    match fault.detail() {
        Some(detail) => found.because(detail),
        None => found,
    }
}

/// Nothing was sent: there is nothing to journal.
pub(super) fn already(seen: Seen, effect: Effect, held: Held) -> Outcome {
    tracing::info!(user = seen.user.id.get(), ?effect, "nothing to change");
    Outcome {
        effect,
        user: seen.user,
        entry: None,
        attempts: 0,
        before: held.clone(),
        after: held,
        findings: Vec::new(),
        downstream: None,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
