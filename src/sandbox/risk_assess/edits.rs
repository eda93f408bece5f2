//! What an administrator of Risk Assess does by hand.
//!
//! Invariant: synced accounts are not editable there (S1), but for what the sync does not carry: administrator and groups.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::RiskAssess;
use super::accounts::{Account, Origin};
use super::fields::Field;

/// What is entered in the form; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Details {
    /// Text by column; empty text blanks it.
    pub fields: BTreeMap<Field, String>,
    /// Coupa User ID.
    pub coupa_id: Option<u64>,
    /// Status.
    pub active: Option<bool>,
    /// Administrator of Risk Assess.
    pub administrator: Option<bool>,
    /// All its groups.
    pub groups: Option<BTreeSet<String>>,
}

/// One edit by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Edit {
    /// A new account. Without a user name the e-mail address is it.
    Create(Details),
    /// Changes one.
    Change {
        /// Its number.
        account: u64,
        /// What becomes of it.
        to: Details,
    },
    /// Takes one out of use.
    Deactivate(u64),
}

/// Why an edit did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EditError {
    /// There is no such account.
    Unknown,
    /// The account is kept by Coupa.
    Synced,
    /// E-mail address or user name is another account's.
    Taken,
    /// An account needs an e-mail address.
    Incomplete,
}

impl std::fmt::Display for EditError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unknown => "no such account in Risk Assess",
            Self::Synced => "the account is synced with Coupa and not editable in Risk Assess",
            Self::Taken => "e-mail address or user name belongs to another account",
            Self::Incomplete => "an account needs an e-mail address",
        })
    }
}

impl std::error::Error for EditError {}

impl Details {
    fn touches_what_is_synced(&self) -> bool {
        !self.fields.is_empty() || self.coupa_id.is_some() || self.active.is_some()
    }
}

impl RiskAssess {
    /// Carries an edit out and gives the number of the account.
    pub(super) fn edit(&mut self, edit: &Edit) -> Result<u64, EditError> {
        let closing = Details {
            active: Some(false),
            ..Details::default()
        };
        let (account, details) = match edit {
            Edit::Create(details) => (Account::blank(Origin::Hand), details),
            Edit::Change { account, to } => (self.editable(*account, to)?, to),
            Edit::Deactivate(account) => (self.editable(*account, &closing)?, &closing),
        };
        let account = self.filled(account, details)?;
        if account.id == 0 {
            return Ok(self.table.add(account));
        }
        let id = account.id;
        self.table.put(account);
        Ok(id)
    }

    fn editable(&self, id: u64, to: &Details) -> Result<Account, EditError> {
        let account = self.table.get(id).ok_or(EditError::Unknown)?;
        if account.synced && to.touches_what_is_synced() {
            return Err(EditError::Synced);
        }
        Ok(account.clone())
    }

    fn filled(&self, mut account: Account, details: &Details) -> Result<Account, EditError> {
        for (&field, value) in &details.fields {
            account.set(field, value);
        }
        if account.get(Field::Username).is_empty() {
            let email = account.get(Field::Email).to_owned();
            account.set(Field::Username, email);
        }
        account.coupa_id = details.coupa_id.or(account.coupa_id);
        account.active = details.active.unwrap_or(account.active);
        account.administrator = details.administrator.unwrap_or(account.administrator);
        if let Some(groups) = &details.groups {
            account.groups.clone_from(groups);
        }
        let own = (account.id != 0).then_some(account.id);
        let addresses = [account.get(Field::Email), account.get(Field::Username)];
        if addresses[0].is_empty() {
            return Err(EditError::Incomplete);
        }
        let changed = !details.fields.is_empty();
        if changed
            && addresses
                .iter()
                .any(|address| self.table.taken(address, own).is_some())
        {
            return Err(EditError::Taken);
        }
        Ok(account)
    }
}
