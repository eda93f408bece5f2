//! What an entry that was left open has come to.
//!
//! Invariant: pure. Only what our own steps can have left is put back; a list that shows anything else waits for a person.

use crate::model::change::ListKind;
use crate::model::journal::{Ending, Entry, Stage, Subject};
use crate::model::tenant::{Finding, Role};

use super::decide::{cut_short, finding, less, listed, shown, within};
use super::steps::{Answer, Deed, Sent};

/// What to do with an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is missing.
    Close { ending: Ending, findings: Vec<Finding> },
    /// These belong in the list, whatever it shows now: what is shown may be older than our last write.
    PutBack { keep: Vec<u64> },
    /// Somebody else has changed the list in a way that our steps do not explain.
    Person {
        reason: String,
        /// What has to be in the list as far as we know.
        keep: Vec<u64>,
    },
}

/// What the list of an entry shows, and what Coupa may put there by itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now<'a> {
    pub(super) ids: &'a [u64],
    /// The role Coupa gives to who has none.
    pub(super) given: Option<u64>,
}

/// The item of an entry about a list, and whether it is taken.
pub(super) fn item_of(entry: &Entry) -> Option<(ListKind, u64, bool)> {
    let (item, taken) = match &entry.intent.subject {
        Subject::Grant(item) => (item, false),
        Subject::Revoke(item) => (item, true),
        Subject::SetActive(_) | Subject::Update(_) | Subject::Create { .. } => return None,
    };
    listed(item).ok().map(|(list, id)| (list, id, taken))
}

/// The role that Coupa gives to an account without roles (`PingFederate`'s page on its Coupa provisioner).
pub(super) fn given_role(roles: &[Role]) -> Option<u64> {
    roles
        .iter()
        .find(|role| &*role.name == "User")
        .map(|role| role.id.get())
}

/// Judges an open entry about a list.
pub(super) fn verdict(entry: &Entry, now: Now<'_>) -> Verdict {
    let Some((_, id, taken)) = item_of(entry) else {
        return Verdict::Person {
            reason: "the entry is about no list".to_owned(),
            keep: Vec::new(),
        };
    };
    let steps: Vec<Sent> = entry.steps.iter().map(Sent::read).collect();
    match must_stay(entry, id) {
        Some(keep) if matches!(entry.stage, Stage::NeedsPerson { .. }) => looked_at(&keep, id, taken, now),
        Some(keep) if steps.iter().any(may_take) => after_clear(&steps, &keep, id, taken, now),
        Some(_) | None => after_writes(&steps, id, taken, now),
    }
}

/// What the list has to hold, if it may have been emptied or cut short by us.
fn must_stay(entry: &Entry, id: u64) -> Option<Vec<u64>> {
    match &entry.stage {
        Stage::Clearing { full, .. } | Stage::NeedsPerson { full: Some(full), .. } => Some(less(full, &[id])),
        Stage::Writing | Stage::NeedsPerson { full: None, .. } | Stage::Closed(_) => None,
    }
}

/// Whether a step can have taken something away that is to stay.
fn may_take(step: &Sent) -> bool {
    match &step.deed {
        Deed::Clear => step.answer != Answer::Refused,
        Deed::Put(_) => step.answer == Answer::Unclear,
        Deed::Other => false,
    }
}

/// Lists were sent, none of them empty: where Coupa replaces lists, one that was interrupted can have cut them short.
fn after_writes(steps: &[Sent], id: u64, taken: bool, now: Now<'_>) -> Verdict {
    let put = steps.iter().rev().find_map(|step| match &step.deed {
        Deed::Put(ids) if step.answer != Answer::Refused => Some((ids, step.answer)),
        Deed::Put(_) | Deed::Clear | Deed::Other => None,
    });
    let missing = put.map_or_else(Vec::new, |(put, _)| less(&less(put, &[id]), now.ids));
    let Some((put, Answer::Unclear)) = put.filter(|_| !missing.is_empty()) else {
        return ended(id, taken, now, vanished(&missing));
    };
    let keep = less(put, &[id]);
    if cut_short(put, now.ids) {
        Verdict::PutBack { keep }
    } else if put.last().is_some_and(|last| within(&[*last], now.ids)) {
        // Its end is there: it was not cut.
        ended(id, taken, now, vanished(&missing))
    } else {
        person(keep, &missing, now)
    }
}

fn after_clear(steps: &[Sent], keep: &[u64], id: u64, taken: bool, now: Now<'_>) -> Verdict {
    let missing = less(keep, now.ids);
    if missing.is_empty() && (keep.is_empty() || is_proved(steps, keep)) {
        return ended(id, taken, now, Vec::new());
    }
    if missing.is_empty() || explained(keep, steps, now) {
        return Verdict::PutBack { keep: keep.to_vec() };
    }
    person(keep.to_vec(), &missing, now)
}

fn person(keep: Vec<u64>, missing: &[u64], now: Now<'_>) -> Verdict {
    let (now, missing) = (shown(now.ids), shown(missing));
    Verdict::Person {
        reason: format!(
            "{missing} are missing, and an interrupted change alone does not leave what is there: {now}"
        ),
        keep,
    }
}

/// A person was asked for: nothing is touched, but what is whole again needs nobody.
fn looked_at(keep: &[u64], id: u64, taken: bool, now: Now<'_>) -> Verdict {
    let missing = less(keep, now.ids);
    if missing.is_empty() {
        return ended(id, taken, now, Vec::new());
    }
    person(keep.to_vec(), &missing, now)
}

/// Whether Coupa has accepted the whole list after everything that could have taken from it, and nothing can take effect any more.
fn is_proved(steps: &[Sent], keep: &[u64]) -> bool {
    match steps.iter().rposition(may_take) {
        None => true,
        Some(last) if steps[last].answer == Answer::Unclear => false,
        Some(last) => steps[last..].iter().any(|step| {
            step.answer == Answer::Accepted && matches!(&step.deed, Deed::Put(ids) if within(keep, ids))
        }),
    }
}

/// Whether our own steps can have left the list so: empty, or the beginning of a list that was put.
fn explained(keep: &[u64], steps: &[Sent], now: Now<'_>) -> bool {
    let given: Vec<u64> = now.given.into_iter().collect();
    let ids = less(now.ids, &given);
    let begins = |put: &[u64]| less(put, &given).starts_with(&ids);
    begins(keep)
        || steps
            .iter()
            .any(|step| matches!(&step.deed, Deed::Put(put) if begins(put)))
}

fn vanished(missing: &[u64]) -> Vec<Finding> {
    if missing.is_empty() {
        return Vec::new();
    }
    vec![finding(format!(
        "{} vanished meanwhile; no write of this change takes them",
        shown(missing)
    ))]
}

fn ended(id: u64, taken: bool, now: Now<'_>, findings: Vec<Finding>) -> Verdict {
    let holds = within(&[id], now.ids);
    let ending = if holds == taken {
        Ending::NotMade
    } else {
        Ending::Made
    };
    Verdict::Close { ending, findings }
}
