//! Whose account is whose: by Coupa id, then Coupa username, then e-mail address (S1).
//!
//! Invariant: where the three disagree, or one of them is shared, nothing is guessed.

use std::collections::{BTreeSet, HashMap};

use crate::model::downstream::Link;
use crate::model::id::UserId;

use super::super::columns::Column;
use super::super::compare::folded;
use super::super::theirs::TheirAccount;

/// By what a user is looked for.
#[derive(Clone, Copy)]
pub(crate) struct Keys<'a> {
    pub(crate) user: UserId,
    pub(crate) login: &'a str,
    pub(crate) email: Option<&'a str>,
}

/// What was found.
pub(crate) enum Found<'a> {
    /// This account, by that.
    Linked(Link, &'a TheirAccount),
    /// No account.
    Nobody,
    /// More than can be told apart.
    Conflict(Conflict),
}

/// Why nothing is guessed.
pub(crate) struct Conflict {
    /// A stable word.
    pub(crate) kind: &'static str,
    /// In one sentence, ids and lines only.
    pub(crate) text: String,
    /// Places of the accounts concerned in the roster.
    pub(crate) places: BTreeSet<usize>,
}

/// Accounts by what they are found by.
pub(crate) struct Roster {
    accounts: Vec<TheirAccount>,
    by_id: HashMap<UserId, Vec<usize>>,
    by_login: HashMap<Box<str>, Vec<usize>>,
    by_email: HashMap<Box<str>, Vec<usize>>,
}

impl Roster {
    pub(crate) fn new(accounts: Vec<TheirAccount>) -> Self {
        let (mut by_id, mut by_login, mut by_email) = (HashMap::new(), HashMap::new(), HashMap::new());
        for (place, account) in accounts.iter().enumerate() {
            if let Some(id) = account.coupa_id {
                by_id.entry(id).or_insert_with(Vec::new).push(place);
            }
            if let Some(login) = account.get(Column::CoupaUsername) {
                by_login.entry(folded(login)).or_insert_with(Vec::new).push(place);
            }
            if let Some(email) = address(account) {
                by_email.entry(folded(email)).or_insert_with(Vec::new).push(place);
            }
        }
        Self {
            accounts,
            by_id,
            by_login,
            by_email,
        }
    }

    pub(crate) fn accounts(&self) -> &[TheirAccount] {
        &self.accounts
    }

    /// The account of a user.
    pub(crate) fn find(&self, keys: &Keys<'_>) -> Found<'_> {
        let hits = [
            (Link::CoupaId, held(&self.by_id, &keys.user)),
            (Link::Username, held(&self.by_login, &folded(keys.login))),
            (
                Link::Email,
                keys.email
                    .map_or(&[][..], |email| held(&self.by_email, &folded(email))),
            ),
        ];
        let Some((link, first)) = hits
            .iter()
            .find_map(|(link, places)| Some((*link, *places.first()?)))
        else {
            return Found::Nobody;
        };
        let places: BTreeSet<usize> = hits
            .iter()
            .flat_map(|(_, places)| places.iter().copied())
            .collect();
        for (shared, found) in &hits {
            if found.len() > 1 {
                return Found::Conflict(self.shared(*shared, places));
            }
        }
        if places.len() > 1 {
            return Found::Conflict(self.split(&hits, places));
        }
        let account = &self.accounts[first];
        match self.other_owner(link, account, keys) {
            Some((kind, text)) => Found::Conflict(Conflict { kind, text, places }),
            None => Found::Linked(link, account),
        }
    }

    fn shared(&self, by: Link, places: BTreeSet<usize>) -> Conflict {
        let (kind, what) = match by {
            Link::CoupaId => ("coupa-id-shared", "Coupa User ID"),
            Link::Username => ("username-shared", "Coupa Username"),
            Link::Email => ("email-shared", "e-mail address"),
        };
        let text = format!("more than one account has this {what}: {}", self.list(&places));
        Conflict { kind, text, places }
    }

    fn split(&self, hits: &[(Link, &[usize]); 3], places: BTreeSet<usize>) -> Conflict {
        let parts = hits.iter().filter_map(|(link, found)| {
            let place = found.first()?;
            Some(format!("{} that of {}", what(*link), self.name(*place)))
        });
        let parts: Vec<String> = parts.collect();
        Conflict {
            kind: "two-accounts",
            text: format!("the row meets different accounts: {}", parts.join(", ")),
            places,
        }
    }

    /// Whether an account that was found by less than its id says that it is somebody else's.
    fn other_owner(
        &self,
        link: Link,
        account: &TheirAccount,
        keys: &Keys<'_>,
    ) -> Option<(&'static str, String)> {
        if let Some(id) = account.coupa_id.filter(|id| *id != keys.user) {
            return Some((
                "coupa-id-differs",
                format!(
                    "the {} is that of the account of Coupa user {id}, and the Coupa User ID is another",
                    what(link)
                ),
            ));
        }
        let login = account.get(Column::CoupaUsername)?;
        // By the id it is the user's in spite of a renamed login.
        if link == Link::Email && folded(login) != folded(keys.login) {
            let place = self
                .by_login
                .get(&folded(login))
                .and_then(|places| places.first());
            let whose = place.map(|place| self.name(*place)).unwrap_or_default();
            return Some((
                "username-differs",
                format!("the e-mail address is that of {whose}, whose Coupa Username is another"),
            ));
        }
        None
    }

    /// Some accounts, so that a person finds them.
    fn list(&self, places: &BTreeSet<usize>) -> String {
        const SHOWN: usize = 5;
        let mut names: Vec<String> = places.iter().take(SHOWN).map(|place| self.name(*place)).collect();
        if places.len() > SHOWN {
            names.push(format!("{} more", places.len() - SHOWN));
        }
        names.join(", ")
    }

    fn name(&self, place: usize) -> String {
        let account = &self.accounts[place];
        match (account.line, account.coupa_id) {
            (0, Some(id)) => format!("Coupa user {id}"),
            (line, _) => format!("line {line} of the grid"),
        }
    }
}

/// The address by which Risk Assess knows an account: the user name is an address by default (D501).
fn address(account: &TheirAccount) -> Option<&str> {
    account
        .get(Column::Email)
        .or_else(|| account.get(Column::Username).filter(|name| name.contains('@')))
}

fn held<'a, K: std::hash::Hash + Eq>(index: &'a HashMap<K, Vec<usize>>, key: &K) -> &'a [usize] {
    index.get(key).map_or(&[], Vec::as_slice)
}

const fn what(link: Link) -> &'static str {
    match link {
        Link::CoupaId => "Coupa User ID",
        Link::Username => "Coupa Username",
        Link::Email => "e-mail address",
    }
}
