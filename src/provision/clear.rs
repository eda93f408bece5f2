//! The last way to take an item: an empty list, and at once everything that is to stay.
//!
//! Invariants: the whole list is on disk before the clear leaves; the account was read again right before and has not moved; after the
//! clear nothing ends this change but the list put back, or an entry left open that says what is missing. Coupa has no conditional
//! write: what somebody else adds between that last reading and the clear is lost, and the length of that window is kept in the journal.

use jiff::Timestamp;
use tokio::time::Instant;

use crate::model::change::{Call, EmptyForm};
use crate::model::fault::{Fault, FaultKind};
use crate::model::journal::{Ending, Stage};

use super::decide::{drift, unchanged};
use super::fresh::{Seen, Ways};
use super::lists::{Place, Taken};
use super::restore::Restored;
use super::run::{Reply, Run, Stop};

/// What one form of the empty list has done.
enum Cleared {
    Gone(Seen),
    StillThere(Seen),
    /// The same, and Coupa may never have seen the request: the form is not to blame.
    Failed(Seen, Fault),
    /// This tenant does not take that form.
    Rejected(Fault),
    Moved(Seen),
}

impl Run<'_> {
    /// Clears and sets, in each form of emptiness until one works.
    pub(super) async fn clear_and_set(&mut self, place: &Place, last: Seen) -> Result<Taken, Stop> {
        let mut last = last;
        let mut rejected = None;
        let mut accepted = false;
        for form in [EmptyForm::Null, EmptyForm::Brackets] {
            match self.clear_persistently(place, form, last.clone()).await? {
                Cleared::Gone(seen) => return Ok(Taken::Gone(seen)),
                Cleared::Moved(seen) => return Ok(Taken::Moved(seen)),
                Cleared::Rejected(fault) => rejected = Some(fault),
                Cleared::StillThere(seen) => (accepted, last) = (true, seen),
                Cleared::Failed(_, fault) => return Err(Stop::not_made(fault)),
            }
        }
        Err(match rejected {
            Some(fault) if !accepted => Stop::not_made(fault.context("this tenant takes no empty list")),
            _ => Stop::Ended(Ending::Unchanged, unchanged(&self.subject, self.user, self.entry)),
        })
    }

    /// One form of emptiness, tried again while Coupa may not have seen it.
    async fn clear_persistently(
        &mut self,
        place: &Place,
        form: EmptyForm,
        last: Seen,
    ) -> Result<Cleared, Stop> {
        let mut outcome = self.clear_in(place, form, &last).await?;
        for _ in 1..self.engine.config.attempts {
            let Cleared::Failed(seen, fault) = outcome else {
                break;
            };
            self.pause(&fault).await?;
            outcome = self.clear_in(place, form, &seen).await?;
        }
        Ok(outcome)
    }

    async fn clear_in(&mut self, place: &Place, form: EmptyForm, last: &Seen) -> Result<Cleared, Stop> {
        loop {
            let seen = self.engine.look_at_list(place.user, place.list).await;
            let seen = seen.map_err(Stop::not_made)?;
            if !place.is_in(&seen) || seen.moved_since(last, place.list) {
                return Ok(Cleared::Moved(seen));
            }
            if place.others(&seen).is_empty() {
                self.may_empty(place)?;
            }
            self.mark_clearing(place, &seen).await?;
            match self.send_clear(place, form, &seen).await? {
                Reply::Refused(fault) if fault.is_transient() => self.pause(&fault).await?,
                Reply::Refused(fault) if is_about_us(&fault) => return Err(Stop::not_made(fault)),
                Reply::Refused(fault) => return Ok(Cleared::Rejected(fault)),
                Reply::Accepted(_) => return self.set_again(place, &seen).await,
                Reply::Unclear(fault) => {
                    return Ok(match self.set_again(place, &seen).await? {
                        Cleared::StillThere(seen) => Cleared::Failed(seen, fault),
                        other => other,
                    });
                }
            }
        }
    }

    async fn send_clear(&mut self, place: &Place, form: EmptyForm, seen: &Seen) -> Result<Reply, Stop> {
        let call = Call::ClearList {
            user: place.user,
            list: place.list,
            form,
        };
        let sent = Instant::now();
        let reply = self.send(&call).await?;
        if !matches!(reply, Reply::Refused(_)) {
            self.gap.open_window(seen);
            self.gap.since = Some(sent);
        }
        Ok(reply)
    }

    /// The list may be empty: everything that is to stay goes back at once.
    async fn set_again(&mut self, place: &Place, full: &Seen) -> Result<Cleared, Stop> {
        let keep = place.others(full);
        if !keep.is_empty() {
            let restored = self.restore(place, keep.clone(), Some(place.id)).await?;
            if let Restored {
                refused: Some(fault), ..
            } = restored
            {
                return Err(Stop::Ended(Ending::Restored, whole_again(place, &fault)));
            }
        }
        let now = self.shown(Ways::Both, |seen| !place.is_in(seen)).await;
        let now = now.map_err(Stop::unproved)?;
        self.landed();
        if place.is_in(&now) {
            return Ok(Cleared::StillThere(now));
        }
        self.findings
            .extend(drift(place.list, &keep, &now.ids(place.list)));
        Ok(Cleared::Gone(now))
    }

    /// On disk before the clear leaves, or it does not leave.
    async fn mark_clearing(&mut self, place: &Place, seen: &Seen) -> Result<(), Stop> {
        let stage = Stage::Clearing {
            full: seen.ids(place.list),
            read_at: seen.at,
        };
        let marked = self.engine.ledger.advance(self.entry, stage).await;
        marked.map_err(|fault| {
            Stop::not_made(fault.context("the list was not cleared, since it could not be recorded"))
        })
    }

    /// A failed write has cut the list short: whoever reads it meanwhile must know what it has to hold.
    pub(super) async fn mark_damaged(&mut self, full: Vec<u64>, read_at: Timestamp) {
        let marked = self
            .engine
            .ledger
            .advance(self.entry, Stage::Clearing { full, read_at })
            .await;
        let _ = marked.inspect_err(|fault| self.not_recorded(fault));
    }
}

/// Whether a refusal speaks of the client or the account and not of the form.
const fn is_about_us(fault: &Fault) -> bool {
    matches!(
        fault.kind(),
        FaultKind::Unauthenticated | FaultKind::MissingScope { .. } | FaultKind::NotFound
    )
}

fn whole_again(place: &Place, fault: &Fault) -> Fault {
    let (id, user, list) = (place.id, place.user, place.list.name());
    fault.clone().context(format!(
        "Coupa does not take the {list} of user {user} without {id}, and they are as they were"
    ))
}
