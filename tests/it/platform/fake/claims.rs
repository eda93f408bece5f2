//! Who owes what: every task that was handed out, and how far it has come.
//!
//! Invariant: a task is owed from the moment it is handed out until one end of it was accepted. Each function tells what is violated; none
//! of them refuses anything.

use std::collections::{BTreeMap, BTreeSet};

use super::super::task::{Kind, Task};
use super::log::{Beat, Finish};

/// Uploads that are tried for one task at most.
const TRIES: usize = 3;

/// Whether the end of a task is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Owed,
    /// Owed; the program said it, and was not heard.
    Unheard,
    Accepted,
    /// Accepted, and the program does not know.
    Lost,
    /// Not owed, yet it may come.
    Excused,
}

struct Claim {
    kind: Kind,
    end: End,
    beats: usize,
    tries: usize,
    uploaded: bool,
}

impl Claim {
    fn new(kind: Kind) -> Self {
        let end = if kind == Kind::Nothing {
            End::Accepted
        } else {
            End::Owed
        };
        Self {
            kind,
            end,
            beats: 0,
            tries: 0,
            uploaded: false,
        }
    }

    fn is_owed(&self) -> bool {
        matches!(self.end, End::Owed | End::Unheard)
    }
}

/// Tasks that were handed out, by id, and those that are called off.
#[derive(Default)]
pub struct Claims {
    handed: BTreeMap<String, Claim>,
    cancelled: BTreeSet<String>,
}

impl Claims {
    pub fn hand_out(&mut self, task: &Task) {
        match self.handed.get_mut(&task.id) {
            // Handed out again while it runs: one end is owed.
            Some(claim) if claim.end == End::Owed => {}
            Some(claim) => *claim = Claim::new(task.kind),
            None => _ = self.handed.insert(task.id.clone(), Claim::new(task.kind)),
        }
    }

    /// Calls a task off, also one that is not handed out yet.
    pub fn cancel(&mut self, task: &str) {
        self.cancelled.insert(task.to_owned());
    }

    /// Nobody owes anything any more.
    pub fn lapse(&mut self) {
        for claim in self.handed.values_mut().filter(|claim| claim.is_owed()) {
            claim.end = End::Excused;
        }
    }

    /// Tasks that the program must count as running.
    pub fn running(&self) -> usize {
        self.handed
            .values()
            .filter(|claim| claim.end == End::Owed)
            .count()
    }

    /// Tasks whose end is owed.
    pub fn owed(&self) -> impl Iterator<Item = (&str, Kind)> {
        self.handed
            .iter()
            .filter(|(_, claim)| claim.is_owed())
            .map(|(id, claim)| (id.as_str(), claim.kind))
    }

    /// What is wrong with the ids that the program says it knows.
    pub fn known(&self, known: &[String]) -> Vec<String> {
        let strange = known.iter().filter(|id| !self.handed.contains_key(*id));
        let strange = strange.map(|id| format!("GetTasks knows {id}, which was not handed out"));
        let forgotten = self
            .handed
            .iter()
            .filter(|(id, claim)| claim.end == End::Owed && !known.contains(id));
        let forgotten = forgotten.map(|(id, _)| format!("GetTasks does not know {id}, which it owes"));
        strange.chain(forgotten).collect()
    }

    /// A Hello that names a task.
    pub fn greeted(&mut self, task: &str) -> Option<String> {
        match self.handed.get_mut(task) {
            Some(claim) if claim.kind == Kind::Hello && claim.end != End::Accepted => {
                claim.end = End::Accepted;
                None
            }
            Some(_) => Some(format!("Hello with task {task}, which asks for none")),
            None => Some(format!("Hello with task {task}, which was not handed out")),
        }
    }

    /// How a heartbeat is answered that could be heard, or not. `Err` where the task is not one that beats.
    pub fn beat(&mut self, task: &str, heard: bool) -> Result<Beat, String> {
        let claim = self.handed.get_mut(task).filter(|claim| claim.kind == Kind::Sync);
        let claim =
            claim.ok_or_else(|| format!("Heartbeat of {task}, which is no sync that was handed out"))?;
        let answer = match (heard, self.cancelled.contains(task)) {
            (false, _) => Beat::Failed,
            (true, true) => Beat::Cancelled,
            (true, false) => Beat::Fine,
        };
        match answer {
            Beat::Fine => {
                claim.beats += 1;
                // Dropped it was not, after all.
                if claim.end == End::Excused {
                    claim.end = End::Owed;
                }
            }
            // Called off, or not begun: an end may come, or none.
            Beat::Cancelled if claim.is_owed() => claim.end = End::Excused,
            Beat::Failed if claim.beats == 0 && claim.is_owed() => claim.end = End::Excused,
            Beat::Cancelled | Beat::Failed => {}
        }
        Ok(answer)
    }

    /// An upload begins. `Err` where there is nothing to upload for.
    pub fn uploading(&mut self, task: &str) -> Result<Option<String>, String> {
        let claim = self
            .handed
            .get_mut(task)
            .filter(|claim| claim.end != End::Accepted && claim.kind == Kind::Sync);
        let claim = claim.ok_or_else(|| format!("UploadAsset for {task}, which is no sync under way"))?;
        claim.tries += 1;
        Ok(if claim.tries > TRIES {
            Some(format!("UploadAsset for {task} is tried {} times", claim.tries))
        } else if claim.beats == 0 {
            Some(format!(
                "UploadAsset for {task} before any heartbeat was accepted"
            ))
        } else {
            None
        })
    }

    /// An upload is complete, and the program may not know it.
    pub fn uploaded(&mut self, task: &str, heard: bool) -> Option<String> {
        let claim = self.handed.get_mut(task)?;
        let twice = std::mem::replace(&mut claim.uploaded, heard);
        twice.then(|| format!("UploadAsset for {task} after one that was accepted"))
    }

    /// An end did not get through, or its answer did not.
    pub fn end_failed(&mut self, task: &str) {
        if let Some(claim) = self.handed.get_mut(task) {
            claim.end = match claim.end {
                End::Owed | End::Unheard => End::Unheard,
                End::Accepted | End::Lost => End::Lost,
                End::Excused => End::Excused,
            };
        }
    }

    /// An end was accepted.
    pub fn finished(&mut self, task: &str, finish: &Finish) -> Vec<String> {
        let Some(claim) = self.handed.get_mut(task) else {
            return vec![format!("FinishTask of {task}, which was not handed out")];
        };
        let mut wrong = Vec::new();
        if claim.kind == Kind::Hello && finish.is_success() {
            wrong.push(format!("FinishTask of {task}, which ends by Hello"));
        } else if claim.end == End::Accepted {
            wrong.push(format!("FinishTask of {task} twice"));
        }
        if finish.is_success() {
            wrong.extend(
                claim
                    .succeeds(finish)
                    .map(|told| format!("FinishTask of {task} with {told}")),
            );
        }
        claim.end = End::Accepted;
        wrong
    }
}

impl Claim {
    /// What is wrong with a success.
    fn succeeds(&self, finish: &Finish) -> Option<String> {
        let response = finish
            .success()
            .response
            .as_ref()
            .map(|any| any.type_url.as_str());
        match self.kind {
            Kind::Sync if !self.uploaded => Some("success and without an upload".to_owned()),
            Kind::Sync => response.map(|_| "a response that nobody reads".to_owned()),
            Kind::Answered(expected) if response != Some(expected) => {
                Some(format!("{response:?} in place of {expected}"))
            }
            Kind::Refused => Some("success, which nobody can do".to_owned()),
            Kind::Answered(_) | Kind::Hello | Kind::Nothing => None,
        }
    }
}
