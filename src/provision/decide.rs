//! What a change means for what a user holds: sets in, sets out.
//!
//! Invariant: pure. Lists of ids are ascending and free of duplicates.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::model::access::{Access, Item, LicenseCatalog};
use crate::model::change::{AccountDraft, Change, ListKind};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::{LicenseName, UserId};
use crate::model::journal::{EntryId, Held, Intent, Subject};
use crate::model::tenant::{Finding, User};

/// Ids of a list, ascending.
pub(super) fn ids(access: &Access, list: ListKind) -> Vec<u64> {
    match list {
        ListKind::Roles => access.roles().iter().map(|id| id.get()).collect(),
        ListKind::Groups => access.groups().iter().map(|id| id.get()).collect(),
    }
}

/// `a` and `b` together.
pub(super) fn union(a: &[u64], b: &[u64]) -> Vec<u64> {
    let mut all = [a, b].concat();
    all.sort_unstable();
    all.dedup();
    all
}

/// What of `a` is not in `b`.
pub(super) fn less(a: &[u64], b: &[u64]) -> Vec<u64> {
    a.iter()
        .copied()
        .filter(|id| b.binary_search(id).is_err())
        .collect()
}

/// Whether every id of `a` is in `b`.
pub(super) fn within(a: &[u64], b: &[u64]) -> bool {
    a.iter().all(|id| b.binary_search(id).is_ok())
}

/// Whether `now`, compared within `list`, is what a list leaves that was taken over only up to some place, not whole.
pub(super) fn cut_short(list: &[u64], now: &[u64]) -> bool {
    let kept: Vec<u64> = list.iter().copied().filter(|id| within(&[*id], now)).collect();
    kept.len() < list.len() && list.starts_with(&kept)
}

/// The list an item stands in, and its number there.
pub(super) const fn listed(item: &Item) -> Result<(ListKind, u64), &LicenseName> {
    match item {
        Item::Role(id) => Ok((ListKind::Roles, id.get())),
        Item::Group(id) => Ok((ListKind::Groups, id.get())),
        Item::License(name) => Err(name),
    }
}

/// What an entry of a change is about.
pub(super) fn subject(change: &Change) -> Subject {
    match change {
        Change::Grant { item, .. } => Subject::Grant(item.clone()),
        Change::Revoke { item, .. } => Subject::Revoke(item.clone()),
        Change::SetActive { to, .. } => Subject::SetActive(*to),
        Change::Update { draft, .. } => {
            Subject::Update(draft.names().into_iter().map(str::to_owned).collect())
        }
        Change::Create { draft, .. } => Subject::Create {
            login_digest: login_digest(draft),
        },
    }
}

/// By what a login is known where logins may not be written.
pub(super) fn login_digest(draft: &AccountDraft) -> String {
    let login = draft.login.as_deref().unwrap_or_default().to_lowercase();
    let mut digest = String::with_capacity(64);
    for byte in Sha256::digest(login) {
        let _ = write!(digest, "{byte:02x}");
    }
    digest
}

/// Whether an entry was made for this change.
pub(super) fn is_of(intent: &Intent, change: &Change) -> bool {
    let same_account = match change.user() {
        Some(user) => intent.user == Some(user),
        None => true,
    };
    same_account && intent.subject == subject(change)
}

/// What the element a subject is about holds.
pub(super) fn held(subject: &Subject, user: &User, catalog: &LicenseCatalog) -> Held {
    match subject {
        Subject::Grant(item) | Subject::Revoke(item) => match listed(item) {
            Ok((list, _)) => Held::Ids(ids(&user.access, list)),
            Err(_) => Held::Flag(user.access.holds(item, catalog)),
        },
        Subject::SetActive(_) | Subject::Create { .. } => Held::Flag(user.active),
        Subject::Update(names) => Held::Elements(names.clone()),
    }
}

/// What the element is to hold.
pub(super) fn wanted(subject: &Subject, before: &Held) -> Held {
    match (subject, before) {
        (Subject::Grant(item), Held::Ids(before)) => match listed(item) {
            Ok((_, id)) => Held::Ids(union(before, &[id])),
            Err(_) => Held::Flag(true),
        },
        (Subject::Revoke(item), Held::Ids(before)) => match listed(item) {
            Ok((_, id)) => Held::Ids(less(before, &[id])),
            Err(_) => Held::Flag(false),
        },
        (Subject::Grant(_) | Subject::Create { .. }, _) => Held::Flag(true),
        (Subject::Revoke(_), _) => Held::Flag(false),
        (Subject::SetActive(to), _) => Held::Flag(to.is_active()),
        (Subject::Update(names), _) => Held::Elements(names.clone()),
    }
}

/// Whether a user is as a subject wants it; `None` where that cannot be told from what the journal knows.
pub(super) fn as_wanted(subject: &Subject, user: &User, catalog: &LicenseCatalog) -> Option<bool> {
    match subject {
        Subject::Grant(item) => Some(user.access.holds(item, catalog)),
        Subject::Revoke(item) => Some(!user.access.holds(item, catalog)),
        Subject::SetActive(to) => Some(user.active == to.is_active()),
        Subject::Create { .. } => Some(user.active),
        Subject::Update(_) => None,
    }
}

/// Whose item, in words: `role 5 of user 42`.
pub(super) fn named(subject: &Subject, user: Option<UserId>) -> String {
    let what = match subject {
        Subject::Grant(item) | Subject::Revoke(item) => match item {
            Item::Role(id) => format!("role {id}"),
            Item::Group(id) => format!("group {id}"),
            Item::License(name) => format!("license {name}"),
        },
        Subject::SetActive(_) => "active".to_owned(),
        Subject::Update(names) => names.join(", "),
        Subject::Create { .. } => "the account".to_owned(),
    };
    match user {
        Some(user) => format!("{what} of user {user}"),
        None => what,
    }
}

/// Something a person should know.
pub(super) fn finding(text: impl Into<String>) -> Finding {
    Finding { text: text.into() }
}

/// Ids as text: `3, 7`.
pub(super) fn shown(ids: &[u64]) -> String {
    let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
    ids.join(", ")
}

/// What others did to a list while it was changed: `expected` is what our writes alone would have left.
pub(super) fn drift(list: ListKind, expected: &[u64], now: &[u64]) -> Vec<Finding> {
    let name = list.name();
    let appeared = less(now, expected);
    let vanished = less(expected, now);
    let mut findings = Vec::new();
    if !appeared.is_empty() {
        let appeared = shown(&appeared);
        findings.push(finding(format!(
            "{name} {appeared} appeared meanwhile and were kept"
        )));
    }
    if !vanished.is_empty() {
        let vanished = shown(&vanished);
        findings.push(finding(format!(
            "{name} {vanished} vanished meanwhile; no write of this change takes them"
        )));
    }
    findings
}

/// Coupa accepted a change and does not show it.
pub(super) fn unchanged(subject: &Subject, user: Option<UserId>, entry: EntryId) -> Fault {
    let (asked, why) = match subject {
        Subject::Grant(Item::License(_)) | Subject::Revoke(Item::License(_)) => (
            "set",
            "perhaps no seat is left, the tenant manages this license elsewhere, or it cannot be changed by the API",
        ),
        Subject::Grant(_) => (
            "given",
            "perhaps the item cannot be assigned by the API in this tenant",
        ),
        Subject::Revoke(_) => ("taken away", "perhaps Coupa gives it by itself"),
        Subject::SetActive(_) => ("set", "perhaps the account is managed elsewhere"),
        Subject::Update(_) => (
            "set",
            "perhaps something it refers to does not exist in the tenant",
        ),
        Subject::Create { .. } => ("made", "perhaps it is shown later"),
    };
    let named = named(subject, user);
    Fault::new(
        FaultKind::Unchanged,
        format!("Coupa accepted that {named} be {asked} and does not show it (journal entry {entry})"),
    )
    .advise(why)
}

/// Changes of an account wait until an earlier one has an end.
pub(super) fn waits_for(entry: EntryId) -> Fault {
    Fault::unavailable(format!(
        "an earlier change of this account has no known end yet: journal entry {entry}"
    ))
    .advise("try again later; if it stays so, see the journal")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;
    use crate::model::id::RoleId;

    fn list() -> impl Strategy<Value = Vec<u64>> {
        btree_set(1u64..12, 0..8).prop_map(|ids| ids.into_iter().collect())
    }

    proptest! {
        #[test]
        fn lists_are_sets(a in list(), b in list()) {
            let both = union(&a, &b);
            prop_assert!(within(&a, &both) && within(&b, &both));
            prop_assert!(both.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert_eq!(union(&less(&a, &b), &b), both);
            prop_assert!(less(&a, &b).iter().all(|id| !within(&[*id], &b)));
        }

        #[test]
        fn a_list_is_cut_short_only_by_losing_its_end(a in list(), keep in 0usize..9, other in list()) {
            let keep = keep.min(a.len());
            let now = union(&a[..keep], &less(&other, &a));
            prop_assert_eq!(cut_short(&a, &now), keep < a.len(), "what others added does not matter");
            if a.len() >= 2 {
                prop_assert!(!cut_short(&a, &a[1..]), "without its first it is no beginning");
            }
        }

        #[test]
        fn a_grant_adds_and_a_revoke_takes_one(before in list(), id in 1u64..12) {
            let item = Item::Role(RoleId::new(id).unwrap());
            let after = wanted(&Subject::Grant(item.clone()), &Held::Ids(before.clone()));
            prop_assert_eq!(after, Held::Ids(union(&before, &[id])));
            let after = wanted(&Subject::Revoke(item), &Held::Ids(before.clone()));
            prop_assert_eq!(after, Held::Ids(less(&before, &[id])));
        }
    }

    #[test]
    fn a_digest_does_not_depend_on_letter_case() {
        let draft = |login: &str| AccountDraft {
            login: Some(login.into()),
            ..AccountDraft::default()
        };
        assert_eq!(login_digest(&draft("Ann")), login_digest(&draft("ann")));
        assert_ne!(login_digest(&draft("ann")), login_digest(&draft("bob")));
        assert_eq!(login_digest(&draft("ann")).len(), 64);
    }

    #[test]
    fn drift_tells_both_sides() {
        let findings = drift(ListKind::Roles, &[1, 2], &[2, 7]);
        assert_eq!(findings.len(), 2);
        assert!(findings[0].text.contains("roles 7 appeared"));
        assert!(findings[1].text.contains("roles 1 vanished"));
    }
}
