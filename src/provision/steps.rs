//! What a step of the journal is called, and what of it recovery reads again.
//!
//! Invariant: [`Sent::read`] understands every text that [`text`] and [`Answer::text`] write. No personal value is in a text.

use std::collections::BTreeSet;

use crate::model::change::{Activity, Call, EmptyForm};
use crate::model::fault::FaultKind;
use crate::model::id::{LicenseName, UserId};
use crate::model::journal::Step;

/// The name of a call in the journal.
pub(super) fn text(call: &Call) -> String {
    match call {
        Call::PutList { list, ids, .. } => format!("put {} {}", list.name(), joined(ids)),
        Call::ClearList { list, form, .. } => format!("clear {} {}", list.name(), form_name(*form)),
        Call::DeleteMembership(id) => format!("delete membership {}", id.0),
        Call::SetLicense { name, held, .. } => format!("set {name} {held}"),
        Call::SetActive {
            to: Activity::Active, ..
        } => "activate".to_owned(),
        Call::SetActive {
            to: Activity::Inactive,
            ..
        } => "deactivate".to_owned(),
        Call::Update { draft, .. } => format!("update {}", draft.names().join(" ")),
        Call::Create(draft) if draft.licenses.is_empty() => CREATE.to_owned(),
        Call::Create(draft) => {
            let names: Vec<&str> = draft.licenses.iter().map(LicenseName::as_str).collect();
            format!("{CREATE}{WITH}{}", names.join(" "))
        }
    }
}

const CREATE: &str = "create";

/// Before the licenses that a new account was to have.
const WITH: &str = " with ";

/// The licenses that the account of a step was to have.
pub(super) fn licenses_asked(step: &Step) -> BTreeSet<LicenseName> {
    let names = step
        .call
        .strip_prefix(CREATE)
        .and_then(|rest| rest.strip_prefix(WITH));
    let names = names.into_iter().flat_map(|names| names.split(' '));
    names.filter_map(|name| name.parse().ok()).collect()
}

const fn form_name(form: EmptyForm) -> &'static str {
    match form {
        EmptyForm::Null => "null",
        EmptyForm::Brackets => "[]",
    }
}

fn joined(ids: &[u64]) -> String {
    let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
    ids.join(",")
}

/// How Coupa answered a write, as far as it matters later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Accepted,
    /// It surely did not act.
    Refused,
    /// It may have acted, or may yet.
    Unclear,
}

impl Answer {
    /// The text of an accepted call that made an account, or of any other.
    pub(super) fn accepted(created: Option<UserId>) -> String {
        match created {
            Some(user) => format!("{}: user {user}", Self::Accepted.text(None)),
            None => Self::Accepted.text(None),
        }
    }

    /// The text of an answer; `why` is shown to people only.
    pub(super) fn text(self, why: Option<&FaultKind>) -> String {
        let word = match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Unclear => "unclear",
        };
        match why {
            Some(kind) => format!("{word}: {}", reason(kind)),
            None => word.to_owned(),
        }
    }

    /// A step without an end was under way when the process ended.
    fn read(end: Option<&str>) -> Self {
        let word = end.map(|end| end.split(':').next().unwrap_or(end));
        match word {
            Some("accepted") => Self::Accepted,
            Some("refused") => Self::Refused,
            Some(_) | None => Self::Unclear,
        }
    }
}

const fn reason(kind: &FaultKind) -> &'static str {
    match kind {
        FaultKind::Unauthenticated => "unauthenticated",
        FaultKind::MissingScope { .. } => "missing scope",
        FaultKind::NotFound => "not found",
        FaultKind::Invalid => "invalid",
        FaultKind::Conflict => "conflict",
        FaultKind::RateLimited { .. } => "rate limited",
        FaultKind::Unavailable => "unavailable",
        FaultKind::Unchanged => "unchanged",
        FaultKind::Refused => "refused by the connector",
        FaultKind::Declined => "declined",
        FaultKind::Unsupported => "unsupported",
        FaultKind::Corrupt => "not understood",
        FaultKind::Cancelled => "cancelled",
        FaultKind::Internal => "internal",
        FaultKind::Forbidden => "forbidden",
        FaultKind::Unknown => "unknown",
    }
}

/// What a journalled step did to the list of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    Put(Vec<u64>),
    Clear,
    Other,
}

/// A journalled step, as recovery sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) deed: Deed,
    pub(super) answer: Answer,
}

impl Sent {
    pub(super) fn read(step: &Step) -> Self {
        Self {
            deed: deed(&step.call),
            answer: Answer::read(step.end.as_deref()),
        }
    }
}

/// The account that a journalled step made, if the answer told it.
pub(super) fn created(step: &Step) -> Option<UserId> {
    let (_, user) = step.end.as_deref()?.split_once(": user ")?;
    user.parse().ok()
}

fn deed(call: &str) -> Deed {
    let words: Vec<&str> = call.split(' ').collect();
    match words.as_slice() {
        ["put", _, ids] => {
            let ids: Result<Vec<u64>, _> = ids.split(',').map(str::parse).collect();
            ids.map_or(Deed::Other, Deed::Put)
        }
        ["clear", ..] => Deed::Clear,
        _ => Deed::Other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::model::change::{AccountDraft, ListKind, MembershipId};

    fn sent(call: &Call, end: Option<String>) -> Sent {
        let step = Step {
            at: Timestamp::UNIX_EPOCH,
            call: text(call),
            end,
        };
        Sent::read(&step)
    }

    proptest! {
        #[test]
        fn a_list_that_was_put_is_read_again(ids in proptest::collection::btree_set(1u64.., 1..20)) {
            let ids: Vec<u64> = ids.into_iter().collect();
            for list in ListKind::ALL {
                let call = Call::PutList { user: UserId::new(1).unwrap(), list, ids: ids.clone() };
                prop_assert_eq!(sent(&call, None).deed, Deed::Put(ids.clone()));
            }
        }
    }

    #[test]
    fn answers_are_read_again_and_none_is_unclear() {
        let call = Call::DeleteMembership(MembershipId(7));
        for answer in [Answer::Accepted, Answer::Refused, Answer::Unclear] {
            for why in [None, Some(&FaultKind::Invalid)] {
                assert_eq!(sent(&call, Some(answer.text(why))).answer, answer);
            }
        }
        assert_eq!(sent(&call, None).answer, Answer::Unclear);
        assert_eq!(sent(&call, None).deed, Deed::Other);
    }

    #[test]
    fn a_step_names_elements_and_never_values() {
        let draft = AccountDraft {
            login: Some("ann".into()),
            ..AccountDraft::default()
        };
        let user = UserId::new(1).unwrap();
        assert_eq!(
            text(&Call::Update {
                user,
                draft: Box::new(draft)
            }),
            "update login"
        );
    }

    #[test]
    fn a_creation_names_its_licenses_and_is_read_again() {
        let licenses: BTreeSet<LicenseName> = ["risk-assess-user", "treasury-user"]
            .map(|name| name.parse().unwrap())
            .into();
        let draft = |licenses: &BTreeSet<LicenseName>| {
            Call::Create(Box::new(AccountDraft {
                login: Some("ann".into()),
                licenses: licenses.clone(),
                ..AccountDraft::default()
            }))
        };
        for (licenses, named) in [
            (licenses, "create with risk-assess-user treasury-user"),
            (BTreeSet::new(), "create"),
        ] {
            let step = Step {
                at: Timestamp::UNIX_EPOCH,
                call: text(&draft(&licenses)),
                end: None,
            };
            assert_eq!(step.call, named);
            assert_eq!(licenses_asked(&step), licenses);
        }
    }
}
