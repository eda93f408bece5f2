//! Going on with entries that were left open: by a crash, or by a tenant that did not answer.
//!
//! Invariants: an entry is looked at under the lock of its account; it is closed only after everything our requests can do has settled;
//! nothing is waited for before serving begins.

use std::sync::Arc;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::model::access::Item;
use crate::model::change::ListKind;
use crate::model::fault::{Fault, FaultKind};
use crate::model::journal::{ClosedBy, Ending, Entry, EntryId, Stage, Subject};

use super::accounts::settled;
use super::decide::{as_wanted, finding, less};
use super::engine::Engine;
use super::fresh::{Seen, Ways};
use super::lists::Place;
use super::locks::{Held, Lock};
use super::recover::{Now, Verdict, given_role, item_of, verdict};
use super::run::{Run, Stop};
use super::steps::{Answer, Sent, created, licenses_asked};

/// Which entries to go on with by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recover {
    /// All that are open.
    All,
    /// One of them.
    Entry(EntryId),
    /// One that needs a person, or that recovery cannot end, as that person has decided.
    ByHand(EntryId, ByHand),
}

/// What a person has decided about a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByHand {
    /// What is missing is put back.
    Restore,
    /// The list is right as it is.
    Accept,
}

/// What became of an entry.
#[derive(Debug, Clone)]
pub struct Recovered {
    /// Which entry.
    pub entry: EntryId,
    /// How it stands.
    pub state: RecoveredState,
}

/// How an entry stands after recovery.
#[derive(Debug, Clone)]
pub enum RecoveredState {
    /// It has an end.
    Closed(Ending),
    /// It waits for the tenant, the journal, or a change that is under way.
    StillOpen(Fault),
    /// A person has to look, for this reason.
    NeedsPerson(String),
}

impl Engine {
    /// Goes on with open entries, round after round, until it is told to stop.
    pub(super) async fn recover_forever(self: Arc<Self>, stop: CancellationToken) {
        let (first, longest) = self.config.recovery_pause;
        let mut pause = first;
        loop {
            let waiting = self.round().await;
            let rest = async {
                if waiting {
                    sleep(pause).await;
                } else {
                    self.wake.notified().await;
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = rest => {}
            }
            pause = if waiting {
                pause.saturating_mul(2).min(longest)
            } else {
                first
            };
        }
    }

    /// Whether entries are left that recovery can go on with.
    async fn round(&self) -> bool {
        let open = match self.ledger.open_entries().await {
            Ok(open) => open,
            Err(fault) => {
                tracing::error!("the journal cannot be read: {fault:?}");
                return true;
            }
        };
        let mut waiting = false;
        for entry in open {
            let Some(held) = self.locks.try_hold(lock_of(&entry)) else {
                // It may be left open, and whoever holds the lock then need not ring.
                waiting = true;
                continue;
            };
            match self.recover_entry(entry.id, ClosedBy::Recovery, held).await {
                Ok(RecoveredState::Closed(_) | RecoveredState::NeedsPerson(_)) => {}
                Ok(RecoveredState::StillOpen(fault)) | Err(fault) => {
                    tracing::warn!(entry = entry.id.0, "an open entry waits: {fault:?}");
                    waiting = true;
                }
            }
        }
        waiting
    }

    pub(super) async fn recover(&self, which: Recover) -> Result<Vec<Recovered>, Fault> {
        let ids = match which {
            Recover::All => self
                .ledger
                .open_entries()
                .await?
                .into_iter()
                .map(|entry| entry.id)
                .collect(),
            Recover::Entry(id) => vec![id],
            Recover::ByHand(id, how) => {
                return Ok(vec![Recovered {
                    entry: id,
                    state: self.decided(id, how).await?,
                }]);
            }
        };
        let mut recovered = Vec::new();
        for id in ids {
            let held = self.locks.hold(lock_of(&self.entry(id).await?)).await;
            let state = self.recover_entry(id, ClosedBy::Recovery, held).await;
            recovered.push(Recovered {
                entry: id,
                state: state.unwrap_or_else(RecoveredState::StillOpen),
            });
        }
        Ok(recovered)
    }

    async fn entry(&self, id: EntryId) -> Result<Entry, Fault> {
        self.ledger
            .entry(id)
            .await?
            .ok_or_else(|| Fault::new(FaultKind::NotFound, format!("the journal has no entry {id}")))
    }

    async fn recover_entry(&self, id: EntryId, by: ClosedBy, _lock: Held) -> Result<RecoveredState, Fault> {
        let entry = self.entry(id).await?;
        if let Stage::Closed(closing) = &entry.stage {
            return Ok(RecoveredState::Closed(closing.ending));
        }
        let mut run = Run::resume(self, &entry, by);
        match place_of(&entry) {
            Some(place) => run.recover_list(&entry, &place).await,
            None => run.recover_flag(&entry).await,
        }
    }

    /// A person has looked.
    async fn decided(&self, id: EntryId, how: ByHand) -> Result<RecoveredState, Fault> {
        let _lock = self.locks.hold(lock_of(&self.entry(id).await?)).await;
        let entry = self.entry(id).await?;
        let (Stage::NeedsPerson { full: Some(full), .. } | Stage::Clearing { full, .. }, Some(place)) =
            (&entry.stage, place_of(&entry))
        else {
            return Err(Fault::new(
                FaultKind::Conflict,
                format!("journal entry {id} does not wait for a person"),
            ));
        };
        let mut run = Run::resume(self, &entry, ClosedBy::Person);
        match how {
            ByHand::Accept => {
                run.look(Ways::Both).await?;
                run.close(Ending::Settled).await?;
                Ok(RecoveredState::Closed(Ending::Settled))
            }
            ByHand::Restore => run.put_back_and_close(&entry, &place, full).await,
        }
    }
}

impl Run<'_> {
    async fn recover_list(&mut self, entry: &Entry, place: &Place) -> Result<RecoveredState, Fault> {
        match self.judge(entry, place).await? {
            Verdict::Close { ending, findings } => {
                self.findings.extend(findings);
                self.end(ending).await
            }
            Verdict::PutBack { keep } => {
                if !matches!(entry.stage, Stage::Clearing { .. }) {
                    self.mark_damaged(keep.clone(), entry.opened_at).await;
                }
                self.put_back_and_close(entry, place, &keep).await
            }
            Verdict::Person { reason, keep } => self.ask_person(entry, place, reason, &keep).await,
        }
    }

    /// What the list shows is acted upon at once where something is missing; whatever ends the entry waits until our requests have settled.
    async fn judge(&mut self, entry: &Entry, place: &Place) -> Result<Verdict, Fault> {
        let judge = |seen: &Seen| {
            let ids = seen.ids(place.list);
            let given = given_role(&seen.probe.roles).filter(|_| place.list == ListKind::Roles);
            verdict(entry, Now { ids: &ids, given })
        };
        let clear = |seen: &Seen| match judge(seen) {
            Verdict::PutBack { .. } => true,
            Verdict::Close { ending, .. } => ending == Ending::Made && seen.agrees(place.list),
            Verdict::Person { .. } => false,
        };
        let seen = self.shown(Ways::Both, clear).await?;
        Ok(judge(&seen))
    }

    async fn put_back_and_close(
        &mut self,
        entry: &Entry,
        place: &Place,
        full: &[u64],
    ) -> Result<RecoveredState, Fault> {
        let taken = matches!(entry.intent.subject, Subject::Revoke(_));
        let keep = less(full, &[place.id]);
        match self.restore(place, keep, taken.then_some(place.id)).await {
            Ok(_) => {}
            Err(Stop::Ended(_, fault) | Stop::Open(fault)) => return Ok(RecoveredState::StillOpen(fault)),
        }
        let made = |seen: &Seen| place.is_in(seen) != taken;
        let seen = self.shown(Ways::Both, made).await?;
        let ending = if made(&seen) {
            Ending::Made
        } else {
            Ending::Restored
        };
        self.end(ending).await
    }

    async fn ask_person(
        &mut self,
        entry: &Entry,
        place: &Place,
        reason: String,
        keep: &[u64],
    ) -> Result<RecoveredState, Fault> {
        if matches!(entry.stage, Stage::NeedsPerson { .. }) {
            return Ok(RecoveredState::NeedsPerson(reason));
        }
        tracing::error!(
            entry = self.entry.0,
            user = place.user.get(),
            "an interrupted change needs a person: {reason}"
        );
        let full = match &entry.stage {
            Stage::Clearing { full, .. } => Some(full.clone()),
            _ => Some(keep.to_vec()),
        };
        let reason_kept = reason.clone();
        let stage = Stage::NeedsPerson { reason, full };
        self.engine.ledger.advance(self.entry, stage).await?;
        Ok(RecoveredState::NeedsPerson(reason_kept))
    }

    async fn end(&mut self, ending: Ending) -> Result<RecoveredState, Fault> {
        self.close(ending).await?;
        Ok(RecoveredState::Closed(ending))
    }

    /// Flags, activity, elements, and accounts that were to be made.
    async fn recover_flag(&mut self, entry: &Entry) -> Result<RecoveredState, Fault> {
        let made_account = entry.steps.iter().find_map(created);
        self.user = self.user.or(made_account);
        if self.user.is_none() {
            return self.recover_unmade(entry).await;
        }
        let subject = entry.intent.subject.clone();
        let wanted = |seen: &Seen| as_wanted(&subject, &seen.user, seen.licenses()) == Some(true);
        let seen = self.shown(Ways::One, wanted).await?;
        if matches!(subject, Subject::Update(_)) && !entry.steps.is_empty() {
            self.findings.push(finding(
                "the update was interrupted: what was to be set is not kept in the journal, so ask for it again",
            ));
        }
        for name in entry.steps.iter().flat_map(licenses_asked) {
            if !seen.holds(&Item::License(name.clone())) {
                self.findings.push(finding(format!(
                    "interrupted: the account was made without license {name}, so grant it"
                )));
            }
        }
        let made = wanted(&seen) || made_account.is_some();
        self.end(if made { Ending::Made } else { Ending::NotMade }).await
    }

    /// Only the digest of the login is known: whoever asks again looks the login up first.
    async fn recover_unmade(&mut self, entry: &Entry) -> Result<RecoveredState, Fault> {
        settled(self).await;
        let may_be_made = |step| Sent::read(step).answer != Answer::Refused;
        if entry.steps.iter().any(may_be_made) {
            self.findings.push(finding(
                "the account may have been made: a repeated request looks its login up first",
            ));
        }
        self.end(Ending::NotMade).await
    }
}

fn place_of(entry: &Entry) -> Option<Place> {
    let (list, id, _) = item_of(entry)?;
    let user = entry.intent.user?;
    Some(Place { user, list, id })
}

fn lock_of(entry: &Entry) -> Lock {
    match (&entry.intent.user, &entry.intent.subject) {
        (Some(user), _) => Lock::User(*user),
        (None, Subject::Create { login_digest }) => Lock::Login(login_digest.clone()),
        (None, _) => Lock::Login(String::new()),
    }
}
