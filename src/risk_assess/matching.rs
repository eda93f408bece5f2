//! Which account in Risk Assess is a Coupa user's: by Coupa id, then by username, then by e-mail address (S1: in this order), letter case aside.
//!
//! Invariant: nothing is guessed. Where two accounts could be meant, or the one that is found is somebody else's, that is a [`Conflict`]
//! for a person.

use std::collections::HashMap;

use crate::model::downstream::{Digest, Link, Record};
use crate::model::id::UserId;

use super::account::folded;
use super::columns::Column;
use super::theirs::TheirAccount;

/// What a Coupa user is looked for by.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    /// The Coupa number.
    pub user: UserId,
    /// The login.
    pub login: &'a str,
    /// The e-mail address, if there is one.
    pub email: Option<&'a str>,
}

/// An account as far as it can be matched: of a grid export, of an imported file, or of the ledger. Names are digests, letter case aside, since
/// the ledger keeps no others.
pub trait Account {
    /// The Coupa user that the account says it belongs to.
    fn coupa_id(&self) -> Option<UserId>;

    /// The login of the Coupa user that the account is linked to.
    fn coupa_username(&self) -> Option<Digest>;

    /// Its own user name.
    fn username(&self) -> Option<Digest>;

    /// Its e-mail address.
    fn email(&self) -> Option<Digest>;

    /// How a person finds it, without personal values.
    fn place(&self) -> String;

    /// Whether it is linked to some Coupa user.
    fn is_linked(&self) -> bool {
        self.coupa_id().is_some() || self.coupa_username().is_some()
    }
}

impl Account for TheirAccount {
    fn coupa_id(&self) -> Option<UserId> {
        self.coupa_id
    }

    fn coupa_username(&self) -> Option<Digest> {
        self.get(Column::CoupaUsername).map(folded)
    }

    fn username(&self) -> Option<Digest> {
        self.get(Column::Username).map(folded)
    }

    fn email(&self) -> Option<Digest> {
        self.get(Column::Email).map(folded)
    }

    fn place(&self) -> String {
        format!("line {}", self.line)
    }
}

impl Account for Record {
    fn coupa_id(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn coupa_username(&self) -> Option<Digest> {
        Some(self.reading.login.clone())
    }

    fn username(&self) -> Option<Digest> {
        None
    }

    fn email(&self) -> Option<Digest> {
        self.reading.email.clone()
    }

    fn place(&self) -> String {
        format!("user {} of the ledger", self.user)
    }
}

/// Why no account is taken for a user's although some could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConflictKind {
    /// Several accounts say they belong to the user.
    CoupaIdTwice,
    /// One account says it belongs to the user, another one has the user's login.
    IdAndUsernameApart,
    /// The account with the user's login belongs to another Coupa user.
    UsernameOfAnother,
    /// Several accounts have the user's login.
    UsernameShared,
    /// One account has the user's login without being linked, another one the e-mail address.
    UsernameAndEmailApart,
    /// The account with the user's e-mail address is linked to another Coupa user, or to an older login of this one.
    EmailOfAnother,
    /// Several accounts have the user's e-mail address.
    EmailShared,
    /// The account is found as that of several Coupa users.
    ClaimedBySeveral,
}

impl ConflictKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::CoupaIdTwice,
        Self::IdAndUsernameApart,
        Self::UsernameOfAnother,
        Self::UsernameShared,
        Self::UsernameAndEmailApart,
        Self::EmailOfAnother,
        Self::EmailShared,
        Self::ClaimedBySeveral,
    ];

    /// The stable word in problem records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CoupaIdTwice => "grid-coupa-id-twice",
            Self::IdAndUsernameApart => "grid-id-and-username-apart",
            Self::UsernameOfAnother => "grid-username-of-another",
            Self::UsernameShared => "grid-username-shared",
            Self::UsernameAndEmailApart => "grid-username-and-email-apart",
            Self::EmailOfAnother => "grid-email-of-another",
            Self::EmailShared => "grid-email-shared",
            Self::ClaimedBySeveral => "grid-claimed-by-several",
        }
    }

    const fn says(self) -> &'static str {
        match self {
            Self::CoupaIdTwice => "several accounts carry the user's Coupa id",
            Self::IdAndUsernameApart => {
                "one account carries the user's Coupa id, another one the user's login"
            }
            Self::UsernameOfAnother => "the account with the user's login belongs to another Coupa user",
            Self::UsernameShared => "several accounts have the user's login",
            Self::UsernameAndEmailApart => {
                "one account has the user's login without being linked to Coupa, another one the user's e-mail address"
            }
            Self::EmailOfAnother => {
                "the account with the user's e-mail address is linked to another Coupa user, or to an older login of this one"
            }
            Self::EmailShared => "several accounts have the user's e-mail address",
            Self::ClaimedBySeveral => "the account is found as that of another Coupa user, too",
        }
    }

    /// The columns that a person has to look at.
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::CoupaIdTwice => &[Column::CoupaUserId],
            Self::IdAndUsernameApart => &[Column::CoupaUserId, Column::CoupaUsername],
            Self::UsernameOfAnother | Self::UsernameShared => &[Column::CoupaUsername],
            Self::UsernameAndEmailApart => &[Column::Username, Column::Email],
            Self::EmailOfAnother | Self::ClaimedBySeveral => &[Column::CoupaUsername, Column::Email],
            Self::EmailShared => &[Column::Email],
        }
    }
}

/// Accounts among which a person has to decide.
#[derive(Debug)]
pub struct Conflict<'a, A> {
    /// What is wrong.
    pub kind: ConflictKind,
    /// The accounts concerned, in their order.
    pub accounts: Vec<&'a A>,
}

impl<A: Account> Conflict<'_, A> {
    /// What is wrong in one sentence: ids and lines only.
    pub fn text(&self) -> String {
        let places: Vec<String> = self.accounts.iter().map(|account| account.place()).collect();
        format!("{} ({})", self.kind.says(), places.join(", "))
    }
}

/// What a search came to.
#[derive(Debug)]
pub enum Found<'a, A = TheirAccount> {
    /// This account is the user's. It may have been made by hand and not be linked yet: see [`Account::is_linked`].
    Linked(Link, &'a A),
    /// No account could be the user's.
    Nobody,
    /// Accounts could be, and a person has to look.
    Conflict(Conflict<'a, A>),
}

/// An index over accounts.
pub struct Roster<'a, A = TheirAccount> {
    accounts: &'a [A],
    of_user: HashMap<UserId, Vec<usize>>,
    of_coupa_username: HashMap<Digest, Vec<usize>>,
    of_username: HashMap<Digest, Vec<usize>>,
    of_email: HashMap<Digest, Vec<usize>>,
}

impl<'a, A: Account> Roster<'a, A> {
    /// An index over these.
    pub fn new(accounts: &'a [A]) -> Self {
        let mut roster = Self {
            accounts,
            of_user: HashMap::new(),
            of_coupa_username: HashMap::new(),
            of_username: HashMap::new(),
            of_email: HashMap::new(),
        };
        for (place, account) in accounts.iter().enumerate() {
            if let Some(user) = account.coupa_id() {
                roster.of_user.entry(user).or_default().push(place);
            }
            let names = [
                (account.coupa_username(), &mut roster.of_coupa_username),
                (account.username(), &mut roster.of_username),
                (account.email(), &mut roster.of_email),
            ];
            for (name, index) in names {
                if let Some(name) = name {
                    index.entry(name).or_default().push(place);
                }
            }
        }
        roster
    }

    /// The accounts, in the order of their source.
    pub const fn accounts(&self) -> &'a [A] {
        self.accounts
    }

    /// The account of a user.
    pub fn find(&self, keys: &Keys<'_>) -> Found<'a, A> {
        let login = folded(keys.login);
        let email = keys.email.map(folded);
        let hits = Hits {
            accounts: self.accounts,
            user: keys.user,
            id: get(&self.of_user, &keys.user),
            linked: get(&self.of_coupa_username, &login),
            named: get(&self.of_username, &login),
            email: email.map_or(&[], |email| get(&self.of_email, &email)),
        };
        hits.by_id()
            .or_else(|| hits.by_username())
            .or_else(|| hits.by_email())
            .unwrap_or(Found::Nobody)
    }
}

fn get<'i, K: Eq + std::hash::Hash>(index: &'i HashMap<K, Vec<usize>>, key: &K) -> &'i [usize] {
    index.get(key).map_or(&[], Vec::as_slice)
}

/// Accounts that match one user in some way; each list ascending.
struct Hits<'a, 'i, A> {
    accounts: &'a [A],
    user: UserId,
    /// By Coupa id.
    id: &'i [usize],
    /// By Coupa Username.
    linked: &'i [usize],
    /// By Username.
    named: &'i [usize],
    /// By e-mail address.
    email: &'i [usize],
}

impl<'a, A: Account> Hits<'a, '_, A> {
    fn by_id(&self) -> Option<Found<'a, A>> {
        let (own, rest) = self.id.split_first()?;
        if !rest.is_empty() {
            return Some(self.conflict(ConflictKind::CoupaIdTwice, self.id));
        }
        let mut apart: Vec<usize> = [self.linked, self.named].concat();
        apart.retain(|other| other != own);
        if apart.is_empty() {
            return Some(self.is(Link::CoupaId, *own));
        }
        apart.push(*own);
        Some(self.conflict(ConflictKind::IdAndUsernameApart, &apart))
    }

    /// A Coupa Username is a link; a Username that equals the login is one only as long as the account is nobody else's.
    fn by_username(&self) -> Option<Found<'a, A>> {
        let linked = !self.linked.is_empty();
        let hits = if linked { self.linked } else { self.named };
        let (own, rest) = hits.split_first()?;
        let of_another =
            |hit: &usize| self.has_other_id(*hit) || (!linked && self.accounts[*hit].is_linked());
        Some(if hits.iter().any(of_another) {
            self.conflict(ConflictKind::UsernameOfAnother, hits)
        } else if !rest.is_empty() {
            self.conflict(ConflictKind::UsernameShared, hits)
        } else if !linked && self.email.iter().any(|other| other != own) {
            let both = [hits, self.email].concat();
            self.conflict(ConflictKind::UsernameAndEmailApart, &both)
        } else {
            self.is(Link::Username, *own)
        })
    }

    fn by_email(&self) -> Option<Found<'a, A>> {
        let (own, rest) = self.email.split_first()?;
        Some(if self.email.iter().any(|hit| self.accounts[*hit].is_linked()) {
            self.conflict(ConflictKind::EmailOfAnother, self.email)
        } else if !rest.is_empty() {
            self.conflict(ConflictKind::EmailShared, self.email)
        } else {
            self.is(Link::Email, *own)
        })
    }

    fn has_other_id(&self, hit: usize) -> bool {
        self.accounts[hit].coupa_id().is_some_and(|id| id != self.user)
    }

    fn is(&self, link: Link, hit: usize) -> Found<'a, A> {
        Found::Linked(link, &self.accounts[hit])
    }

    fn conflict(&self, kind: ConflictKind, hits: &[usize]) -> Found<'a, A> {
        let mut hits = hits.to_vec();
        hits.sort_unstable();
        hits.dedup();
        let accounts = hits.into_iter().map(|hit| &self.accounts[hit]).collect();
        Found::Conflict(Conflict { kind, accounts })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn user(n: u64) -> UserId {
        UserId::new(n).unwrap()
    }

    /// id, Coupa Username, Username, e-mail
    type Shown<'a> = (u64, &'a str, &'a str, &'a str);

    fn accounts(rows: &[Shown<'_>]) -> Vec<TheirAccount> {
        let account = |(line, (id, coupa, username, email)): (u64, &Shown<'_>)| {
            let cells = [
                (Column::CoupaUsername, *coupa),
                (Column::Username, *username),
                (Column::Email, *email),
            ];
            let filled = cells.into_iter().filter(|(_, value)| !value.is_empty());
            TheirAccount {
                line,
                coupa_id: UserId::new(*id),
                cells: filled.map(|(column, value)| (column, value.into())).collect(),
            }
        };
        (2..).zip(rows).map(account).collect()
    }

    /// What user 7, `Ann`, `ann@x.com`, finds among these.
    fn finds(rows: &[Shown<'_>]) -> String {
        let accounts = accounts(rows);
        let keys = Keys {
            user: user(7),
            login: "Ann",
            email: Some("ann@x.com"),
        };
        match Roster::new(&accounts).find(&keys) {
            Found::Linked(link, account) => format!("{} {}", link.name(), account.line),
            Found::Nobody => "nobody".to_owned(),
            Found::Conflict(conflict) => {
                let lines: Vec<u64> = conflict.accounts.iter().map(|account| account.line).collect();
                for line in &lines {
                    assert!(conflict.text().contains(&format!("line {line}")));
                }
                format!("{} {lines:?}", conflict.kind.name())
            }
        }
    }

    const BOB: Shown<'_> = (8, "bob", "bob@x.com", "bob@x.com");

    #[test]
    fn the_order_is_id_username_email() {
        assert_eq!(finds(&[]), "nobody");
        assert_eq!(finds(&[BOB]), "nobody");
        assert_eq!(finds(&[BOB, (7, "", "", "")]), "coupa-id 3");
        assert_eq!(finds(&[(0, "ANN", "z", "z@x.com")]), "username 2");
        assert_eq!(finds(&[(0, "", "aNN", "z@x.com")]), "username 2");
        assert_eq!(finds(&[(0, "", "z", "Ann@X.com")]), "email 2");
        assert_eq!(
            finds(&[(7, "ann", "ann", "ann@x.com"), BOB]),
            "coupa-id 2",
            "one account found in every way is one account"
        );
    }

    #[test]
    fn a_renamed_login_is_found_by_the_id() {
        assert_eq!(finds(&[(7, "ann.old", "ann.old", "ann@x.com")]), "coupa-id 2");
        assert_eq!(
            finds(&[(0, "ann.old", "", "ann@x.com")]),
            "grid-email-of-another [2]",
            "without the id nobody knows whose older login that is"
        );
    }

    #[test]
    fn an_account_of_another_coupa_user_is_not_taken() {
        assert_eq!(
            finds(&[(8, "ann", "", "z@x.com")]),
            "grid-username-of-another [2]"
        );
        assert_eq!(finds(&[(8, "", "ann", "")]), "grid-username-of-another [2]");
        assert_eq!(
            finds(&[(0, "bob", "ann", "")]),
            "grid-username-of-another [2]",
            "a Username is no link where there is another one"
        );
        assert_eq!(finds(&[(8, "bob", "", "ann@x.com")]), "grid-email-of-another [2]");
    }

    #[test]
    fn an_id_and_a_username_that_point_apart_are_a_conflict() {
        let apart = "grid-id-and-username-apart [2, 3]";
        assert_eq!(finds(&[(7, "ann.old", "", ""), (0, "ann", "", "")]), apart);
        assert_eq!(finds(&[(0, "", "ann", ""), (7, "ann.old", "", "")]), apart);
        assert_eq!(finds(&[(8, "ann", "", ""), (7, "", "", "")]), apart);
        assert_eq!(
            finds(&[(7, "ann", "", "old@x.com"), (0, "", "", "ann@x.com")]),
            "coupa-id 2",
            "an e-mail address weighs less than the id"
        );
    }

    #[test]
    fn what_two_accounts_have_is_nobodys() {
        assert_eq!(
            finds(&[(7, "ann", "", ""), (7, "ann.old", "", "")]),
            "grid-coupa-id-twice [2, 3]"
        );
        assert_eq!(
            finds(&[(0, "ann", "", ""), (0, "ANN", "", "")]),
            "grid-username-shared [2, 3]"
        );
        assert_eq!(
            finds(&[(0, "", "ann", ""), BOB, (0, "", "ANN", "")]),
            "grid-username-shared [2, 4]"
        );
        assert_eq!(
            finds(&[(0, "", "a", "ann@x.com"), (0, "", "b", "ANN@x.com")]),
            "grid-email-shared [2, 3]"
        );
    }

    #[test]
    fn a_linked_username_outweighs_what_was_made_by_hand() {
        assert_eq!(
            finds(&[
                (0, "ann", "", "z@x.com"),
                (0, "", "ann", ""),
                (0, "", "", "ann@x.com")
            ]),
            "username 2"
        );
        assert_eq!(
            finds(&[(0, "", "ann", "z@x.com"), (0, "", "", "ann@x.com")]),
            "grid-username-and-email-apart [2, 3]"
        );
    }

    #[test]
    fn an_account_made_by_hand_is_found_and_not_linked() {
        let accounts = accounts(&[(0, "", "hand", "ann@x.com")]);
        let keys = Keys {
            user: user(7),
            login: "ann",
            email: Some("ann@x.com"),
        };
        let roster = Roster::new(&accounts);
        let Found::Linked(Link::Email, account) = roster.find(&keys) else {
            panic!("not found")
        };
        assert!(!Account::is_linked(account));
        let nobody = roster.find(&Keys { email: None, ..keys });
        assert!(matches!(nobody, Found::Nobody), "no address matches none");
    }

    #[test]
    fn conflicts_have_names_of_their_own() {
        let names: std::collections::BTreeSet<_> = ConflictKind::ALL.map(ConflictKind::name).into();
        assert_eq!(names.len(), ConflictKind::ALL.len());
    }
}
