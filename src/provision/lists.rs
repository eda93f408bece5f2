//! Roles and groups: lists that Coupa takes whole and adds to, or replaces.
//!
//! Invariants: what is sent always holds everything that was seen and is to stay, so it is right under both; an item of a list that a
//! failed write may have cut short is put back before anything else.

use crate::model::access::Item;
use crate::model::change::{Call, ListKind};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::{GroupId, UserId};
use crate::model::journal::{Ending, Subject};

use super::decide::{drift, less, unchanged, union, within};
use super::fresh::{Seen, Ways};
use super::policy::Exception;
use super::run::{Reply, Run, Stop};

/// One item of one list of one user.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) user: UserId,
    pub(super) list: ListKind,
    pub(super) id: u64,
}

impl Place {
    pub(super) const fn put(&self, ids: Vec<u64>) -> Call {
        Call::PutList {
            user: self.user,
            list: self.list,
            ids,
        }
    }

    pub(super) fn is_in(&self, seen: &Seen) -> bool {
        within(&[self.id], &seen.ids(self.list))
    }

    /// What is to stay when the item is taken.
    pub(super) fn others(&self, seen: &Seen) -> Vec<u64> {
        less(&seen.ids(self.list), &[self.id])
    }
}

/// What the reduced list has done.
enum Reduced {
    Gone(Seen),
    /// Coupa adds to lists: only an empty list takes something away. The list Coupa accepted, and the last reading.
    StillThere(Vec<u64>, Seen),
}

/// What the clear has come to.
pub(super) enum Taken {
    Gone(Seen),
    /// Somebody else changed the account right before the clear: nothing was sent.
    Moved(Seen),
}

impl Run<'_> {
    /// Adds an item by sending everything held and the item.
    pub(super) async fn give(&mut self, place: &Place, first: Seen) -> Result<Seen, Stop> {
        let mut seen = first;
        let mut said = Said::default();
        for _ in 0..self.engine.config.attempts {
            let held = seen.ids(place.list);
            let put = union(&held, &[place.id]);
            match self.put_whole(place, &put, &seen).await? {
                Reply::Refused(fault) => said.refused(self, fault).await?,
                Reply::Accepted(_) => {
                    let now = self.shown(Ways::Both, |seen| place.is_in(seen)).await;
                    let now = now.map_err(Stop::unproved)?;
                    if place.is_in(&now) {
                        self.findings
                            .extend(drift(place.list, &put, &now.ids(place.list)));
                        return Ok(now);
                    }
                    said.accepted = true;
                }
                Reply::Unclear(fault) => {
                    let now = self.after_unclear(place, &put, &held).await?;
                    if place.is_in(&now) {
                        self.findings
                            .extend(drift(place.list, &put, &now.ids(place.list)));
                        return Ok(now);
                    }
                    said.unclear(self, fault).await?;
                }
            }
            seen = self.look_again(place, &said).await?;
            if place.is_in(&seen) {
                return Ok(seen);
            }
        }
        Err(said.stop(self))
    }

    /// Takes an item: by the reduced list where Coupa replaces lists, else by an empty one and the reduced one.
    pub(super) async fn take(&mut self, place: &Place, first: Seen) -> Result<Seen, Stop> {
        let mut seen = first;
        let mut accepted = Vec::new();
        for _ in 0..=self.engine.config.restarts {
            let proved = within(&place.others(&seen), &accepted) && !accepted.is_empty();
            if !proved {
                match self.reduce(place, seen).await? {
                    Reduced::Gone(seen) => return Ok(seen),
                    Reduced::StillThere(list, now) => (accepted, seen) = (list, now),
                }
            }
            match self.clear_and_set(place, seen).await? {
                Taken::Gone(seen) => return Ok(seen),
                Taken::Moved(now) if !place.is_in(&now) => return Ok(now),
                Taken::Moved(now) => seen = now,
            }
        }
        Err(Stop::not_made(moving(place.user, place.list)))
    }

    /// Sends everything held but the item. A list is cleared only after Coupa has accepted the very ids that have to be put back.
    async fn reduce(&mut self, place: &Place, first: Seen) -> Result<Reduced, Stop> {
        let mut seen = first;
        let mut said = Said::default();
        for _ in 0..self.engine.config.attempts {
            let keep = place.others(&seen);
            if keep.is_empty() {
                self.may_empty(place)?;
                return Ok(Reduced::StillThere(keep, seen));
            }
            match self.put_whole(place, &keep, &seen).await? {
                Reply::Refused(fault) => said.refused(self, fault).await?,
                Reply::Accepted(answer) => {
                    let gone = |seen: &Seen| !place.is_in(seen);
                    // Where the answer itself still shows the item, Coupa adds to lists.
                    let adds = answer.list.is_some_and(|list| list.contains(&place.id));
                    let now = if adds {
                        self.shown_soon(Ways::Both, gone).await
                    } else {
                        self.shown(Ways::Both, gone).await
                    };
                    let now = now.map_err(Stop::unproved)?;
                    if place.is_in(&now) {
                        return Ok(Reduced::StillThere(keep, now));
                    }
                    self.findings
                        .extend(drift(place.list, &keep, &now.ids(place.list)));
                    return Ok(Reduced::Gone(now));
                }
                Reply::Unclear(fault) => {
                    let now = self.after_unclear(place, &keep, &keep).await?;
                    if !place.is_in(&now) {
                        self.findings
                            .extend(drift(place.list, &keep, &now.ids(place.list)));
                        return Ok(Reduced::Gone(now));
                    }
                    said.unclear(self, fault).await?;
                }
            }
            seen = self.look_again(place, &said).await?;
            if !place.is_in(&seen) {
                return Ok(Reduced::Gone(seen));
            }
        }
        Err(said.stop(self))
    }

    /// Sends a list. Where Coupa replaces lists, what somebody else has added since it was read is lost: that time is on record.
    async fn put_whole(&mut self, place: &Place, ids: &[u64], read: &Seen) -> Result<Reply, Stop> {
        let reply = self.send(&place.put(ids.to_vec())).await?;
        if !matches!(reply, Reply::Refused(_)) {
            self.gap.open_window(read);
        }
        Ok(reply)
    }

    /// A list was sent and the answer was lost: it may have been taken over whole, in part, or not at all, at once or later.
    async fn after_unclear(&mut self, place: &Place, put: &[u64], keep: &[u64]) -> Result<Seen, Stop> {
        let giving = within(&[place.id], put);
        let whole = |seen: &Seen| {
            seen.agrees(place.list) && within(put, &seen.ids(place.list)) && place.is_in(seen) == giving
        };
        let now = self.shown(Ways::Both, whole).await.map_err(Stop::unproved)?;
        // Also what somebody else added and a late effect of ours took again.
        let keep = union(keep, &less(&self.ever, &[place.id]));
        if within(&keep, &now.ids(place.list)) {
            self.landed();
            return Ok(now);
        }
        let taken = (!giving).then_some(place.id);
        self.mark_damaged(union(&keep, taken.as_slice()), now.at).await;
        let restored = self.restore(place, keep, taken).await?;
        self.landed();
        Ok(restored.seen)
    }

    /// The user as it is before the next attempt.
    async fn look_again(&mut self, place: &Place, said: &Said) -> Result<Seen, Stop> {
        let seen = self.engine.look_at_list(place.user, place.list).await;
        let seen = seen.map_err(if said.accepted {
            Stop::unproved
        } else {
            Stop::not_made
        })?;
        self.saw(&seen);
        Ok(seen)
    }

    /// Others may have taken roles since the policy was asked.
    pub(super) fn may_empty(&self, place: &Place) -> Result<(), Stop> {
        let allowed =
            place.list == ListKind::Groups || self.engine.policy.allow.contains(&Exception::NoRoles);
        if allowed {
            return Ok(());
        }
        Err(Stop::not_made(Exception::NoRoles.declined()))
    }

    /// Takes a membership by its row where the tenant has such a call, else by the list.
    pub(super) async fn leave(&mut self, place: &Place, group: GroupId, first: Seen) -> Result<Seen, Stop> {
        let mut seen = first;
        let said = Said::default();
        for _ in 0..self.engine.config.attempts {
            match self.delete_rows(place, group).await? {
                Rows::Absent => {
                    // Asking for the rows took time; a list is written as it was read last.
                    let seen = self.look_again(place, &said).await?;
                    if !place.is_in(&seen) {
                        return Ok(seen);
                    }
                    return self.take(place, seen).await;
                }
                Rows::Later(fault) => self.pause(&fault).await?,
                Rows::Sent { unclear } => {
                    let expected = place.others(&seen);
                    let now = self.shown(Ways::Both, |seen| !place.is_in(seen)).await;
                    let now = now.map_err(Stop::unproved)?;
                    self.landed();
                    if !place.is_in(&now) {
                        self.findings
                            .extend(drift(place.list, &expected, &now.ids(place.list)));
                        return Ok(now);
                    }
                    if !unclear {
                        return self.take(place, now).await;
                    }
                }
            }
            seen = self.look_again(place, &said).await?;
            if !place.is_in(&seen) {
                return Ok(seen);
            }
        }
        Err(Stop::not_made(Fault::unavailable(
            "Coupa does not delete the membership now",
        )))
    }

    async fn delete_rows(&mut self, place: &Place, group: GroupId) -> Result<Rows, Stop> {
        let rows = match self.engine.calls.memberships(place.user, group).await {
            Ok(rows) => rows,
            Err(fault) if fault.is_transient() => return Ok(Rows::Later(fault)),
            Err(_) => return Ok(Rows::Absent),
        };
        if rows.is_empty() {
            return Ok(Rows::Absent);
        }
        let mut unclear = false;
        for row in rows {
            match self.send(&Call::DeleteMembership(row)).await? {
                Reply::Accepted(_) => {}
                Reply::Refused(fault) if fault.is_transient() => return Ok(Rows::Later(fault)),
                Reply::Refused(_) => return Ok(Rows::Absent),
                Reply::Unclear(_) => unclear = true,
            }
        }
        Ok(Rows::Sent { unclear })
    }

    /// The way of an item of a list.
    pub(super) async fn write_list(&mut self, place: &Place, seen: Seen) -> Result<Seen, Stop> {
        match self.subject.clone() {
            Subject::Revoke(Item::Group(group)) => self.leave(place, group, seen).await,
            Subject::Revoke(_) => self.take(place, seen).await,
            _ => self.give(place, seen).await,
        }
    }
}

/// What became of the rows of a membership.
enum Rows {
    /// The tenant has no such rows or no such call.
    Absent,
    Sent {
        unclear: bool,
    },
    Later(Fault),
}

/// What Coupa has said to the attempts so far.
#[derive(Default)]
pub(super) struct Said {
    accepted: bool,
    fault: Option<Fault>,
}

impl Said {
    /// A refusal ends the change unless it passes by itself.
    pub(super) async fn refused(&mut self, run: &mut Run<'_>, fault: Fault) -> Result<(), Stop> {
        if !fault.is_transient() {
            return Err(Stop::not_made(fault));
        }
        self.unclear(run, fault).await
    }

    pub(super) async fn unclear(&mut self, run: &mut Run<'_>, fault: Fault) -> Result<(), Stop> {
        run.pause(&fault).await?;
        self.fault = Some(fault);
        Ok(())
    }

    pub(super) const fn accepted(&mut self) {
        self.accepted = true;
    }

    pub(super) const fn has_accepted(&self) -> bool {
        self.accepted
    }

    /// The end after the last attempt.
    pub(super) fn stop(self, run: &Run<'_>) -> Stop {
        match self.fault {
            Some(fault) if !self.accepted => Stop::not_made(fault),
            _ => Stop::Ended(Ending::Unchanged, unchanged(&run.subject, run.user, run.entry)),
        }
    }
}

pub(super) fn moving(user: UserId, list: ListKind) -> Fault {
    let list = list.name();
    Fault::new(
        FaultKind::Conflict,
        format!("somebody else keeps changing user {user}; its {list} were left as they are"),
    )
    .advise("try again later")
}
