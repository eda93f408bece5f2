//! One change under way: what it has sent, and what it has seen.
//!
//! Invariants: a request is in the journal before it is sent; the number of writes is bounded here and nowhere else.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::model::change::{Accepted, Acted, Call, Order};
use crate::model::fault::Fault;
use crate::model::id::UserId;
use crate::model::journal::{ClosedBy, Ending, Entry, EntryId, Held, Intent, Subject};
use crate::model::tenant::Finding;

use super::decide;
use super::engine::Engine;
use super::fresh::{Seen, Ways};
use super::patience::Waits;
use super::steps::{self, Answer, Sent};

/// How Coupa answered a write.
pub(super) enum Reply {
    Accepted(Accepted),
    /// It surely did not act.
    Refused(Fault),
    /// It may have acted, or may yet.
    Unclear(Fault),
}

/// Why a change stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// What it left in the tenant is known.
    Ended(Ending, Fault),
    /// What it left is not known, or is damage.
    Open(Fault),
}

impl Stop {
    pub(super) const fn not_made(fault: Fault) -> Self {
        Self::Ended(Ending::NotMade, fault)
    }

    /// Something was sent and could not be read back.
    pub(super) fn unproved(fault: Fault) -> Self {
        Self::Open(fault.context("a change was sent and could not be read back"))
    }
}

/// How long a list was, or could have been, without what belongs in it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gap {
    /// When the clear was sent that has not been made good yet.
    pub(super) since: Option<Instant>,
    /// Between the last read before a list was written whole, or cleared, and its answer; of several the longest.
    pub(super) window: Option<Duration>,
    /// Between a clear and the answer to the list put back.
    pub(super) empty: Option<Duration>,
}

impl Gap {
    /// What was read as `seen` was acted upon just now.
    pub(super) fn open_window(&mut self, seen: &Seen) {
        self.window = self.window.max(Some(seen.began.elapsed()));
    }
}

pub(super) struct Run<'a> {
    pub(super) engine: &'a Engine,
    pub(super) entry: EntryId,
    /// Whose account; `None` until it is made.
    pub(super) user: Option<UserId>,
    pub(super) subject: Subject,
    pub(super) by: ClosedBy,
    pub(super) before: Held,
    /// What the element held when it was last read.
    pub(super) last: Held,
    /// Everything its list showed since the last write but those that put it back.
    pub(super) ever: Vec<u64>,
    /// Writes sent, and those among them that put a list back.
    pub(super) writes: u32,
    pub(super) restore_writes: u32,
    /// When the answer to a write was last given up, unless its effect was seen since.
    pub(super) unclear: Option<Instant>,
    pub(super) waits: Waits,
    pub(super) findings: Vec<Finding>,
    pub(super) gap: Gap,
}

impl<'a> Run<'a> {
    /// Opens an entry: from here on the change has to come to an end.
    pub(super) async fn open(
        engine: &'a Engine,
        order: &Order,
        subject: Subject,
        user: Option<UserId>,
        before: Held,
    ) -> Result<Run<'a>, Fault> {
        let wanted = decide::wanted(&subject, &before);
        let intent = Intent {
            request: order.request.clone(),
            via: order.via,
            user,
            subject,
            before,
            wanted,
        };
        let opened = engine.ledger.open(intent.clone()).await;
        let entry = opened.map_err(|fault| fault.context("nothing was changed"))?;
        Ok(Self::new(engine, entry, &intent, ClosedBy::Change))
    }

    /// Goes on with an entry that was left open. A request whose end nobody knows may take effect yet.
    pub(super) fn resume(engine: &'a Engine, entry: &Entry, by: ClosedBy) -> Self {
        let mut run = Self::new(engine, entry.id, &entry.intent, by);
        let unclear = |step| Sent::read(step).answer == Answer::Unclear;
        if entry.steps.iter().any(unclear) {
            run.unclear = Some(Instant::now());
        }
        run
    }

    fn new(engine: &'a Engine, entry: EntryId, intent: &Intent, by: ClosedBy) -> Self {
        let end = Instant::now() + engine.config.try_for;
        Self {
            engine,
            entry,
            user: intent.user,
            subject: intent.subject.clone(),
            by,
            before: intent.before.clone(),
            last: Held::Nothing,
            ever: Vec::new(),
            writes: 0,
            restore_writes: 0,
            unclear: None,
            waits: Waits::until(end, &engine.config),
            findings: Vec::new(),
            gap: Gap::default(),
        }
    }

    /// Sends a write that takes nothing away but what is asked for, or a clear. Nothing is sent that is not in the journal.
    pub(super) async fn send(&mut self, call: &Call) -> Result<Reply, Stop> {
        if self.writes - self.restore_writes >= self.engine.config.most_writes {
            let tries = self.engine.config.most_writes;
            return Err(Stop::not_made(Fault::unavailable(format!(
                "given up after {tries} writes"
            ))));
        }
        let begun = self.engine.ledger.begin_step(self.entry, steps::text(call)).await;
        let step = begun.map_err(|fault| {
            Stop::not_made(fault.context("a request was not sent, since it could not be recorded"))
        })?;
        self.ever.clear();
        Ok(self.exchange(call, Some(step)).await)
    }

    /// Sends a write that puts a list back: recorded if that is possible, sent in any case.
    pub(super) async fn send_anyway(&mut self, call: &Call) -> Reply {
        let begun = self.engine.ledger.begin_step(self.entry, steps::text(call)).await;
        let step = begun.inspect_err(|fault| self.not_recorded(fault)).ok();
        self.restore_writes += 1;
        self.exchange(call, step).await
    }

    async fn exchange(&mut self, call: &Call, step: Option<u32>) -> Reply {
        self.writes += 1;
        let reply = match self.engine.calls.send(call).await {
            Ok(accepted) => Reply::Accepted(accepted),
            Err(failure) if failure.acted == Acted::No => Reply::Refused(failure.fault),
            Err(failure) => {
                self.unclear = Some(Instant::now());
                Reply::Unclear(failure.fault)
            }
        };
        if let Some(step) = step {
            let ended = self
                .engine
                .ledger
                .end_step(self.entry, step, end_of(&reply))
                .await;
            let _ = ended.inspect_err(|fault| self.not_recorded(fault));
        }
        reply
    }

    /// The journal missed something it should know; what Coupa holds matters more.
    pub(super) fn not_recorded(&self, fault: &Fault) {
        tracing::error!(
            entry = self.entry.0,
            "the journal could not be written: {fault:?}"
        );
    }

    /// Reads the user until it is as wanted, or for as long as Coupa may take to show what it was sent. A write whose answer was lost
    /// may take effect until it has settled. The last reading is returned either way.
    pub(super) async fn shown(
        &mut self,
        ways: Ways,
        wanted: impl Fn(&Seen) -> bool + Send + Sync,
    ) -> Result<Seen, Fault> {
        let end = Instant::now() + self.engine.config.show_within;
        let settled = self.settled_at();
        self.look_until(ways, settled.map_or(end, |at| at.max(end)), wanted)
            .await
    }

    /// Reads the user a few times only, unless a write whose answer was lost may still take effect: for what is expected not to come.
    pub(super) async fn shown_soon(
        &mut self,
        ways: Ways,
        wanted: impl Fn(&Seen) -> bool + Send + Sync,
    ) -> Result<Seen, Fault> {
        let end = self.settled_at().unwrap_or_else(Instant::now);
        self.look_until(ways, end, wanted).await
    }

    /// Reads the user until it is as wanted or the end is reached, where it is read a last time.
    pub(super) async fn look_until(
        &mut self,
        ways: Ways,
        end: Instant,
        wanted: impl Fn(&Seen) -> bool + Send + Sync,
    ) -> Result<Seen, Fault> {
        let mut waits = Waits::until(end, &self.engine.config);
        let mut looks = 0;
        loop {
            let seen = self.look(ways).await;
            if seen.as_ref().is_ok_and(&wanted) {
                return seen;
            }
            looks += u32::from(seen.is_ok());
            match waits.look_again(Instant::now()) {
                Some(wait) => sleep(wait).await,
                // A read that hung has used up the time and tells nothing about what Coupa shows.
                None if seen.is_ok() && looks < self.engine.config.least_looks => sleep(waits.grow()).await,
                None => return seen,
            }
        }
    }

    pub(super) async fn look(&mut self, ways: Ways) -> Result<Seen, Fault> {
        let user = self.account()?;
        let seen = self.engine.look(user, ways).await?;
        self.saw(&seen);
        Ok(seen)
    }

    /// Remembers what the element holds.
    pub(super) fn saw(&mut self, seen: &Seen) {
        self.last = match self.subject.list() {
            Some(list) => {
                let ids = seen.ids(list);
                self.ever = decide::union(&self.ever, &ids);
                Held::Ids(ids)
            }
            None => decide::held(&self.subject, &seen.user, seen.licenses()),
        };
    }

    pub(super) fn account(&self) -> Result<UserId, Fault> {
        self.user
            .ok_or_else(|| Fault::internal("an account that is yet to be made was to be read"))
    }

    /// When the last write without an answer can have no effect any more, unless it has had it.
    pub(super) fn settled_at(&self) -> Option<Instant> {
        self.unclear.map(|since| since + self.engine.config.settle)
    }

    /// Whether no write of this change may still take effect.
    pub(super) fn is_settled(&self) -> bool {
        self.settled_at().is_none_or(|at| Instant::now() >= at)
    }

    /// The effect of the one write without an answer was seen, or it never comes.
    pub(super) const fn landed(&mut self) {
        self.unclear = None;
    }

    /// Waits before the next attempt; ends the change if that takes too long.
    pub(super) async fn pause(&mut self, fault: &Fault) -> Result<(), Stop> {
        match self.waits.try_again(Some(fault), Instant::now()) {
            Some(wait) => {
                sleep(wait).await;
                Ok(())
            }
            None => Err(Stop::not_made(fault.clone())),
        }
    }
}

fn end_of(reply: &Reply) -> String {
    match reply {
        Reply::Accepted(accepted) => Answer::accepted(accepted.created),
        Reply::Refused(fault) => Answer::Refused.text(Some(fault.kind())),
        Reply::Unclear(fault) => Answer::Unclear.text(Some(fault.kind())),
    }
}
