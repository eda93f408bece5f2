//! One change from the order to the answer.
//!
//! ```text
//! locks ─► asked before? ─► entry open? ─► fresh read ─► already so? ─► policy ─► journal ─► write, read back ─► close
//! ```

use crate::model::access::Item;
use crate::model::change::{Activity, Call, Change, Effect, Order, Outcome, RequestId};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::UserId;
use crate::model::journal::{Closing, Ending, Entry, Held, Stage, Subject};

use super::accounts::{gives_no_license, update_is_shown};
use super::decide::{as_wanted, finding, held, is_of, listed, subject, unchanged, waits_for};
use super::engine::Engine;
use super::finish::already;
use super::fresh::{Seen, Ways};
use super::guard::Cleared;
use super::lists::{Place, moving};
use super::locks::Lock;
use super::run::{Run, Stop};

/// What a fresh read says about a change.
enum Ready {
    /// There is nothing to do.
    Already(Seen),
    /// It may be made, by what was read last.
    Go(Seen, Cleared),
}

impl Engine {
    pub(super) async fn apply(&self, order: &Order, change: &Change) -> Result<Outcome, Fault> {
        let _request = match &order.request {
            Some(request) => Some(self.locks.hold(Lock::Request(request.clone())).await),
            None => None,
        };
        match change {
            Change::Create { draft, on_inactive } => self.create(order, change, draft, *on_inactive).await,
            Change::Grant { user, .. }
            | Change::Revoke { user, .. }
            | Change::SetActive { user, .. }
            | Change::Update { user, .. } => self.change_account(order, change, *user).await,
        }
    }

    async fn change_account(&self, order: &Order, change: &Change, user: UserId) -> Result<Outcome, Fault> {
        gives_no_license(change)?;
        let _user = self.locks.hold(Lock::User(user)).await;
        if let Some(answer) = self.asked_before(order, change).await? {
            return Ok(answer);
        }
        self.nothing_open(user).await?;
        let subject = subject(change);
        match self.ready(change, user, &subject).await? {
            Ready::Already(seen) => {
                let before = element(&subject, &seen);
                Ok(already(seen, Effect::AlreadySo, before))
            }
            Ready::Go(seen, _cleared) => {
                let before = element(&subject, &seen);
                let mut run = Run::open(self, order, subject, Some(user), before).await?;
                let result = run.write(change, seen).await;
                run.finish(result, Effect::Made).await
            }
        }
    }

    /// Reads and judges; where a list is to be written whole, until it has not moved while the policy was asked.
    async fn ready(&self, change: &Change, user: UserId, subject: &Subject) -> Result<Ready, Fault> {
        let mut seen = self.look_for(change, user).await?;
        let Some(list) = subject.list() else {
            return self.judged(change, subject, seen).await;
        };
        for _ in 0..=self.config.restarts {
            let (before, cleared) = match self.judged(change, subject, seen).await? {
                Ready::Go(seen, cleared) => (seen, cleared),
                already @ Ready::Already(_) => return Ok(already),
            };
            seen = self.look_at_list(user, list).await?;
            if !seen.moved_since(&before, list) {
                return Ok(Ready::Go(seen, cleared));
            }
        }
        Err(moving(user, list))
    }

    async fn judged(&self, change: &Change, subject: &Subject, seen: Seen) -> Result<Ready, Fault> {
        if is_already(change, subject, &seen) {
            return Ok(Ready::Already(seen));
        }
        let cleared = self.clear(change, &seen).await?;
        Ok(Ready::Go(seen, cleared))
    }

    /// Changes of an account wait for the end of an earlier one.
    pub(super) async fn nothing_open(&self, user: UserId) -> Result<(), Fault> {
        match self.ledger.open_of(user).await? {
            Some(entry) => {
                self.wake.notify_one();
                Err(waits_for(entry.id))
            }
            None => Ok(()),
        }
    }

    /// The user, read as the change needs it.
    pub(super) async fn look_for(&self, change: &Change, user: UserId) -> Result<Seen, Fault> {
        match (subject(change).list(), change) {
            (Some(list), _) => self.look_at_list(user, list).await,
            // Who may do everything is told by the roles, and one way may cut them.
            (
                None,
                Change::SetActive {
                    to: Activity::Inactive,
                    ..
                },
            ) => self.look(user, Ways::Both).await,
            (None, _) => self.look(user, Ways::One).await,
        }
    }

    /// The recorded answer, if this request has one.
    pub(super) async fn asked_before(
        &self,
        order: &Order,
        change: &Change,
    ) -> Result<Option<Outcome>, Fault> {
        let Some(request) = &order.request else {
            return Ok(None);
        };
        let Some(entry) = self.ledger.of_request(request.clone()).await? else {
            return Ok(None);
        };
        if !is_of(&entry.intent, change) {
            return Err(another_change(request));
        }
        let Stage::Closed(closing) = &entry.stage else {
            self.wake.notify_one();
            return Err(waits_for(entry.id));
        };
        match closing.ending {
            Ending::Made => self.recorded(&entry, closing).await.map(Some),
            Ending::Unchanged => Err(unchanged(&entry.intent.subject, entry.intent.user, entry.id)),
            Ending::NotMade | Ending::Restored | Ending::Settled => Ok(None),
        }
    }

    async fn recorded(&self, entry: &Entry, closing: &Closing) -> Result<Outcome, Fault> {
        let user = closing
            .user
            .or(entry.intent.user)
            .ok_or_else(|| Fault::internal("a recorded change names no account"))?;
        let reactivated =
            matches!(entry.intent.subject, Subject::Create { .. }) && entry.intent.user.is_some();
        Ok(Outcome {
            effect: if reactivated {
                Effect::Reactivated
            } else {
                Effect::Made
            },
            user: self.look(user, Ways::One).await?.user,
            entry: Some(entry.id),
            attempts: u32::try_from(entry.steps.len()).unwrap_or(u32::MAX),
            before: entry.intent.before.clone(),
            after: closing.after.clone(),
            findings: closing.findings.iter().map(finding).collect(),
            downstream: None,
        })
    }
}

impl Run<'_> {
    async fn write(&mut self, change: &Change, seen: Seen) -> Result<Seen, Stop> {
        let user = seen.user.id;
        match change {
            Change::Grant { item, .. } => match listed(item) {
                Ok((list, id)) => self.write_list(&Place { user, list, id }, seen).await,
                Err(name) => self.set_license(user, name, true).await,
            },
            Change::Revoke { item, .. } => match listed(item) {
                Ok((list, id)) => self.write_list(&Place { user, list, id }, seen).await,
                Err(name) => self.set_license(user, name, false).await,
            },
            Change::SetActive { to, .. } => {
                let to = *to;
                let call = Call::SetActive { user, to };
                self.set(&[call], |seen| seen.user.active == to.is_active()).await
            }
            Change::Update { draft, .. } => self.update(user, draft).await,
            Change::Create { .. } => Err(Stop::not_made(Fault::internal("an account is not made this way"))),
        }
    }
}

/// What the changed element holds, every way of reading taken together.
pub(super) fn element(subject: &Subject, seen: &Seen) -> Held {
    match subject.list() {
        Some(list) => Held::Ids(seen.ids(list)),
        None => held(subject, &seen.user, seen.licenses()),
    }
}

/// Whether there is nothing to do.
pub(super) fn is_already(change: &Change, subject: &Subject, seen: &Seen) -> bool {
    let has = |item: &Item| seen.holds(item);
    match change {
        Change::Grant { item, .. } => has(item),
        Change::Revoke { item, .. } => !has(item),
        Change::Update { draft, .. } => update_is_shown(draft, &seen.user),
        Change::SetActive { .. } | Change::Create { .. } => {
            as_wanted(subject, &seen.user, seen.licenses()) == Some(true)
        }
    }
}

fn another_change(request: &RequestId) -> Fault {
    Fault::new(
        FaultKind::Conflict,
        format!("request {request} was used for another change"),
    )
    .advise("use a new request id for a new change")
}
