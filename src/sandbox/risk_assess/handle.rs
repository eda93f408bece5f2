//! The tenant as Rust code sees it. What is due happens before each look.

use std::sync::Arc;

use crate::sandbox::state::State;

use super::accounts::Account;
use super::edits::{Edit, EditError};
use super::export;
use super::fields::Field;
use super::hand_made::HandMade;
use super::problems::{ErrorReport, Problem};
use super::readings::Readings;
use super::table::Form;
use super::template::{self, UserImport};
use super::{ImportRecord, RiskAssess, Settled};

/// A hold on the Risk Assess tenant of a running sandbox.
#[derive(Clone)]
pub struct Handle {
    state: Arc<State>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl Handle {
    pub(in crate::sandbox) fn new(state: &Arc<State>) -> Self {
        Self {
            state: Arc::clone(state),
        }
    }

    fn look<T>(&self, with: impl FnOnce(&mut RiskAssess) -> T) -> T {
        self.state.risk_assess(with)
    }

    /// Every account, inactive ones too.
    pub fn accounts(&self) -> Vec<Account> {
        self.look(|there| there.table.all().to_vec())
    }

    /// The accounts that are linked to a Coupa user by its id.
    pub fn accounts_of(&self, coupa_id: u64) -> Vec<Account> {
        let mut accounts = self.accounts();
        accounts.retain(|account| account.coupa_id == Some(coupa_id));
        accounts
    }

    /// The account of a user name, in any letter case.
    pub fn account_named(&self, username: &str) -> Option<Account> {
        let wanted = username.to_lowercase();
        let mut accounts = self.accounts().into_iter();
        accounts.find(|account| account.get(Field::Username).to_lowercase() == wanted)
    }

    /// The accounts that were made by hand before anything else, and why.
    pub fn hand_made(&self) -> Vec<HandMade> {
        self.look(|there| there.hand_made.clone())
    }

    /// Coupa ids of active people of the house without the license whom nothing keeps from a sync, and about whom nothing was made by
    /// hand. They are looked for among the first 600 users.
    pub fn plain_people(&self) -> Vec<u64> {
        self.state.store.write().plain_people()
    }

    /// What could not be carried over, oldest first.
    pub fn problems(&self) -> Vec<Problem> {
        self.look(|there| there.problems.clone())
    }

    /// The error report of all of it.
    pub fn error_report(&self) -> ErrorReport {
        self.look(|there| ErrorReport::of(&there.problems, super::now()))
    }

    /// The grid of users as a person exports it: active ones only.
    pub fn grid(&self, form: Form) -> Vec<u8> {
        self.look(|there| export::grid(there.table.all(), form, there.readings.grid_coupa_id))
    }

    /// The files that came to the import, oldest first.
    pub fn imports(&self) -> Vec<ImportRecord> {
        self.look(|there| there.imports.clone())
    }

    /// Lets everything arrive that waits, and gives queued imports their turn.
    pub fn settle(&self) -> Settled {
        self.look(RiskAssess::settle)
    }

    /// Tells the sync of every licensed user of Coupa, as if each were saved once, whether or not it is switched on.
    pub fn resync(&self) {
        self.state.store.write().tell_all(super::now());
    }

    /// The readings in force.
    pub fn readings(&self) -> Readings {
        self.state.readings().risk_assess
    }

    /// Replaces them, and leaves those of Coupa alone.
    pub fn set_readings(&self, readings: Readings) {
        let mut all = self.state.readings().as_ref().clone();
        all.risk_assess = readings;
        self.state.set_readings(all);
    }

    /// Carries out an edit by hand and gives the number of the account.
    pub fn edit(&self, edit: &Edit) -> Result<u64, EditError> {
        self.look(|there| there.edit(edit))
    }

    /// A person uploads the User Import Template. Errors: it cannot be read or lacks a column; then nothing happens.
    pub fn user_import(&self, form: Form, file: &[u8]) -> Result<UserImport, String> {
        self.look(|there| {
            let now = super::now();
            let (shown, problems) = template::import(form, file, &mut there.table, &there.readings, now)?;
            there.report(&problems);
            there.problems.extend(problems);
            Ok(shown)
        })
    }
}
