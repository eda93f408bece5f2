//! Putting a list back that a write of ours has emptied or cut short.
//!
//! Invariants: it ends with the list proved whole, or with an entry left open and a loud word. Proved means: Coupa accepted the whole list
//! at a time when no earlier write of ours could take effect any more, and shows it. A reading alone proves nothing here: Coupa may show
//! a list as it was before the clear.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::model::change::Accepted;
use crate::model::fault::{Fault, FaultKind};

use super::decide::{finding, less, shown, union, within};
use super::fresh::{Seen, Ways};
use super::lists::Place;
use super::patience::Waits;
use super::run::{Reply, Run, Stop};

/// A list that is whole again.
pub(super) struct Restored {
    pub(super) seen: Seen,
    /// Why Coupa takes the list only with the item that was to go.
    pub(super) refused: Option<Fault>,
}

/// How the list is put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Whole,
    /// With the item that was to be taken: Coupa may insist on it.
    AsItWas,
    /// Growing by one item at a time: Coupa may reject one of them.
    Growing,
}

struct Restoring<'p> {
    place: &'p Place,
    keep: Vec<u64>,
    taken: Option<u64>,
    /// Items that somebody else added meanwhile.
    foreign: Vec<u64>,
    way: Way,
    refused: Option<Fault>,
    /// What was missing at the last reading.
    missing: Option<Vec<u64>>,
    writes_left: u32,
    waits: Waits,
}

impl Restoring<'_> {
    fn target(&self) -> Vec<u64> {
        let whole = union(&self.keep, &self.foreign);
        match self.way {
            Way::Whole | Way::Growing => whole,
            Way::AsItWas => union(&whole, self.taken.as_slice()),
        }
    }

    /// What was missing at the last reading, and what others have added at any.
    fn saw(&mut self, seen: &Seen, ever: &[u64]) {
        self.missing = Some(less(&self.keep, &seen.ids(self.place.list)));
        self.foreign = less(&less(ever, &self.keep), self.taken.as_slice());
    }

    /// What to try after a refusal that does not pass by itself.
    fn turn(&mut self, fault: Fault) {
        if matches!(
            fault.kind(),
            FaultKind::Unauthenticated | FaultKind::MissingScope { .. }
        ) {
            return;
        }
        self.way = match self.way {
            Way::Whole if self.taken.is_some() => Way::AsItWas,
            Way::Whole | Way::AsItWas => Way::Growing,
            Way::Growing => Way::Whole,
        };
        self.refused = Some(fault);
    }
}

impl Run<'_> {
    /// Puts `keep` back, and nothing of `taken` unless Coupa insists.
    pub(super) async fn restore(
        &mut self,
        place: &Place,
        keep: Vec<u64>,
        taken: Option<u64>,
    ) -> Result<Restored, Stop> {
        let config = &self.engine.config;
        let items = u32::try_from(keep.len()).unwrap_or(u32::MAX);
        let mut state = Restoring {
            place,
            keep,
            taken,
            foreign: Vec::new(),
            way: Way::Whole,
            refused: None,
            missing: None,
            writes_left: (config.restore_writes.saturating_add(items)).saturating_sub(self.restore_writes),
            waits: Waits::until(Instant::now() + config.restore_for, config),
        };
        loop {
            let settled = self.is_settled();
            let mut fault = None;
            match self.put_back(&mut state).await {
                Reply::Accepted(_) => {
                    self.filled();
                    if let Some(seen) = self.whole(&mut state).await {
                        if settled && self.is_settled() {
                            return Ok(self.proved(state, seen));
                        }
                        self.wait_until_settled().await;
                        self.glance(&mut state).await;
                        continue;
                    }
                    self.tell_missing(&state);
                }
                Reply::Refused(refusal) if !refusal.is_transient() => {
                    state.turn(refusal.clone());
                    fault = Some(refusal);
                }
                Reply::Refused(passing) | Reply::Unclear(passing) => fault = Some(passing),
            }
            self.rest(&mut state, fault.as_ref()).await?;
        }
    }

    async fn put_back(&mut self, state: &mut Restoring<'_>) -> Reply {
        if state.way == Way::Growing {
            return self.grow(state).await;
        }
        state.writes_left = state.writes_left.saturating_sub(1);
        self.send_anyway(&state.place.put(state.target())).await
    }

    /// Each list holds the last one: right whether Coupa adds or replaces. What Coupa rejects is left out.
    async fn grow(&mut self, state: &mut Restoring<'_>) -> Reply {
        let mut grown = state.foreign.clone();
        let mut refusal = None;
        for id in state.keep.clone() {
            if state.writes_left == 0 {
                break;
            }
            state.writes_left -= 1;
            let next = union(&grown, &[id]);
            match self.send_anyway(&state.place.put(next.clone())).await {
                Reply::Accepted(_) => grown = next,
                Reply::Refused(fault) if !fault.is_transient() => refusal = Some(fault),
                passing => return passing,
            }
        }
        match refusal {
            Some(fault) => Reply::Refused(fault),
            None if within(&state.keep, &grown) => Reply::Accepted(Accepted::default()),
            None => Reply::Refused(Fault::unavailable("no write is left to put the list back")),
        }
    }

    /// The user, if it shows the whole list soon.
    async fn whole(&mut self, state: &mut Restoring<'_>) -> Option<Seen> {
        let (list, keep) = (state.place.list, state.keep.clone());
        let end = Instant::now() + self.engine.config.longest_pause;
        let whole = |seen: &Seen| within(&keep, &seen.ids(list));
        let seen = self.look_until(Ways::One, end, whole).await.ok()?;
        state.saw(&seen, &self.ever);
        whole(&seen).then_some(seen)
    }

    /// Coupa may have taken the list over in part, or somebody took items again: nobody can tell, and what is missing goes back.
    fn tell_missing(&mut self, state: &Restoring<'_>) {
        let Some(missing) = state.missing.as_deref().filter(|missing| !missing.is_empty()) else {
            return;
        };
        let (name, missing) = (state.place.list.name(), shown(missing));
        let text = format!(
            "{name} {missing} were missing after they had been put back, and were put back again; whoever took them meanwhile has to do so once more"
        );
        if self.findings.iter().all(|known| known.text != text) {
            self.findings.push(finding(text));
        }
    }

    /// What others have added is put back too. A reading that fails stops nothing.
    async fn glance(&mut self, state: &mut Restoring<'_>) {
        if let Ok(seen) = self.look(Ways::One).await {
            state.saw(&seen, &self.ever);
        }
    }

    async fn wait_until_settled(&self) {
        if let Some(at) = self.settled_at() {
            sleep_until(at).await;
        }
    }

    /// A pause before the next attempt, or the loud end.
    async fn rest(&mut self, state: &mut Restoring<'_>, fault: Option<&Fault>) -> Result<(), Stop> {
        let wait = state.waits.try_again(fault, Instant::now());
        let Some(wait) = wait.filter(|_| state.writes_left > 0) else {
            self.glance(state).await;
            return Err(self.damage(state, fault));
        };
        sleep(wait).await;
        self.glance(state).await;
        Ok(())
    }

    /// The list holds what it has to, through a write of ours.
    fn filled(&mut self) {
        if let Some(since) = self.gap.since.take() {
            let empty = self.gap.empty.unwrap_or(Duration::ZERO);
            self.gap.empty = Some(empty + since.elapsed());
        }
    }

    fn proved(&mut self, state: Restoring<'_>, seen: Seen) -> Restored {
        self.landed();
        Restored {
            seen,
            refused: state.refused.filter(|_| state.way == Way::AsItWas),
        }
    }

    fn damage(&self, state: &Restoring<'_>, fault: Option<&Fault>) -> Stop {
        let (user, list, entry) = (state.place.user, state.place.list.name(), self.entry);
        let missing = match state.missing.as_deref() {
            Some([]) => format!("{list} {} are shown, but not proved", shown(&state.keep)),
            Some(missing) => format!("{list} {} are missing", shown(missing)),
            None => format!("{list} {} may be missing", shown(&state.keep)),
        };
        tracing::error!(
            entry = entry.0,
            user = user.get(),
            last_answer = fault.map(tracing::field::debug),
            "user {user} is damaged by an interrupted change: {missing}"
        );
        let damage = Fault::unavailable(format!(
            "user {user} could not be put right after an interrupted change: {missing}"
        ));
        Stop::Open(match fault {
            Some(fault) => damage.because(fault.message()),
            None => damage,
        })
    }
}
