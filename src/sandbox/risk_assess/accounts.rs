//! The user table of Risk Assess, and finding rows in it.
//!
//! Invariant: the index mirrors the table, since rows are added and changed through [`Directory`] alone; letter case never counts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::fields::Field;

/// Who made an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// An administrator of Risk Assess.
    Hand,
    /// Coupa's User Sync.
    Sync,
    /// An import.
    Import,
}

/// One account. `Debug` leaves out everything personal.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "columns of a table, each true or false there"
)]
pub struct Account {
    /// Number in Risk Assess.
    pub id: u64,
    /// Number of the Coupa user it is linked to.
    pub coupa_id: Option<u64>,
    /// Whether it can be used.
    pub active: bool,
    /// Administrator of Risk Assess.
    pub administrator: bool,
    /// A supplier's.
    pub supplier: bool,
    /// Names of its groups.
    pub groups: BTreeSet<String>,
    /// Who made it.
    pub origin: Origin,
    /// Whether it is kept by Coupa, so that it cannot be edited here.
    pub synced: bool,
    /// Text by column; blank ones are left out. In JSON they stand beside the rest.
    #[serde(flatten)]
    pub fields: BTreeMap<Field, String>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("id", &self.id)
            .field("coupa_id", &self.coupa_id)
            .field("active", &self.active)
            .field("origin", &self.origin)
            .field("synced", &self.synced)
            .finish_non_exhaustive()
    }
}

impl Account {
    /// A new one, not in the table yet.
    pub(super) fn blank(origin: Origin) -> Self {
        Self {
            id: 0,
            coupa_id: None,
            active: true,
            administrator: false,
            supplier: false,
            groups: BTreeSet::new(),
            origin,
            synced: false,
            fields: BTreeMap::new(),
        }
    }

    /// A value, empty if blank.
    pub fn get(&self, field: Field) -> &str {
        self.fields.get(&field).map_or("", String::as_str)
    }

    /// Sets a value; blank removes it.
    pub(super) fn set(&mut self, field: Field, value: impl Into<String>) {
        let value = value.into();
        if value.is_empty() {
            self.fields.remove(&field);
        } else {
            self.fields.insert(field, value);
        }
    }
}

/// What an account is found by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    CoupaId(u64),
    CoupaUsername(String),
    Email(String),
    Username(String),
}

impl Key {
    pub(super) fn coupa_username(text: &str) -> Self {
        Self::CoupaUsername(fold(text))
    }

    pub(super) fn email(text: &str) -> Self {
        Self::Email(fold(text))
    }

    pub(super) fn username(text: &str) -> Self {
        Self::Username(fold(text))
    }
}

/// Text as it is compared.
pub(super) fn fold(text: &str) -> String {
    text.trim().to_lowercase()
}

fn keys(account: &Account) -> impl Iterator<Item = Key> {
    let of = |field, key: fn(&str) -> Key| account.fields.get(&field).map(|text| key(text));
    [
        account.coupa_id.map(Key::CoupaId),
        of(Field::CoupaUsername, Key::coupa_username),
        of(Field::Email, Key::email),
        of(Field::Username, Key::username),
    ]
    .into_iter()
    .flatten()
}

/// Number of the first account.
const FIRST: u64 = 100;

/// The table.
#[derive(Default)]
pub(super) struct Directory {
    accounts: Vec<Account>,
    index: HashMap<Key, BTreeSet<u64>>,
}

impl Directory {
    pub(super) fn all(&self) -> &[Account] {
        &self.accounts
    }

    fn place(&self, id: u64) -> Option<usize> {
        let place = usize::try_from(id.checked_sub(FIRST)?).ok()?;
        (place < self.accounts.len()).then_some(place)
    }

    pub(super) fn get(&self, id: u64) -> Option<&Account> {
        self.accounts.get(self.place(id)?)
    }

    /// Adds an account and gives its number.
    pub(super) fn add(&mut self, mut account: Account) -> u64 {
        account.id = FIRST + self.accounts.len() as u64;
        let id = account.id;
        self.enter(&account);
        self.accounts.push(account);
        id
    }

    /// Puts the account in the place of the one of its number.
    pub(super) fn put(&mut self, account: Account) {
        if let Some(place) = self.place(account.id) {
            self.enter(&account);
            let old = std::mem::replace(&mut self.accounts[place], account);
            let kept: Vec<Key> = keys(&self.accounts[place]).collect();
            for key in keys(&old).filter(|key| !kept.contains(key)) {
                if let Some(ids) = self.index.get_mut(&key) {
                    ids.remove(&old.id);
                }
            }
        }
    }

    fn enter(&mut self, account: &Account) {
        for key in keys(account) {
            self.index.entry(key).or_default().insert(account.id);
        }
    }

    /// The accounts under a key, oldest first.
    pub(super) fn find<'a>(&'a self, key: &Key) -> impl Iterator<Item = &'a Account> + use<'a> {
        let ids = self.index.get(key).into_iter().flatten();
        ids.filter_map(|&id| self.get(id))
    }

    /// An account other than `but` that uses this address as e-mail or user name.
    pub(super) fn taken(&self, address: &str, but: Option<u64>) -> Option<&Account> {
        let (email, username) = (Key::email(address), Key::username(address));
        self.find(&email)
            .chain(self.find(&username))
            .find(|account| Some(account.id) != but)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn account(email: &str, coupa_id: Option<u64>) -> Account {
        let mut account = Account::blank(Origin::Hand);
        account.set(Field::Email, email);
        account.set(Field::Username, email);
        account.coupa_id = coupa_id;
        account
    }

    #[test]
    fn the_index_follows_every_change() {
        let mut table = Directory::default();
        let one = table.add(account("Ann@x.example", Some(7)));
        let two = table.add(account("bob@x.example", None));
        let found = |table: &Directory, key: &Key| table.find(key).map(|a| a.id).collect::<Vec<_>>();
        assert_eq!(found(&table, &Key::email(" ann@X.example ")), [one]);
        let mut changed = table.get(one).unwrap().clone();
        changed.set(Field::Email, "ann@y.example");
        changed.coupa_id = None;
        table.put(changed);
        assert!(found(&table, &Key::email("ann@x.example")).is_empty());
        assert!(found(&table, &Key::CoupaId(7)).is_empty());
        assert_eq!(
            found(&table, &Key::username("ann@x.example")),
            [one],
            "what stayed"
        );
        assert_eq!(table.taken("ANN@y.example", Some(two)).map(|a| a.id), Some(one));
        assert!(table.taken("bob@x.example", Some(two)).is_none());
    }

    #[test]
    fn fields_stand_beside_the_rest_in_json() {
        let json = serde_json::to_value(account("ann@x.example", Some(7))).unwrap();
        assert_eq!(
            (json["email"].as_str(), json["coupa-id"].as_u64()),
            (Some("ann@x.example"), Some(7))
        );
        let back: Account = serde_json::from_value(json).unwrap();
        assert_eq!(back, account("ann@x.example", Some(7)));
        assert!(!format!("{back:?}").contains("ann@"));
    }
}
