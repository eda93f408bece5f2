//! `journal` and its sub-commands: what the journal of changes holds, on stdout.

use super::{changes, print};
use crate::cli;
use crate::config::{JournalForm, JournalSettings, RecoverSettings};
use crate::model::fault::Fault;
use crate::model::journal::{Journal, Which};
use crate::state::State;

/// Lists or exports. Needs no tenant: only what is kept here is looked at.
pub(super) fn run(settings: &JournalSettings) -> Result<(), Fault> {
    let state = State::open(&settings.dir, &settings.tenant, &settings.client_id)?;
    show(&state, settings.which, settings.form)
}

/// Recovery by hand.
pub(super) fn recover(_settings: &RecoverSettings) -> Result<(), Fault> {
    Err(changes::not_composed())
}

fn show(journal: &dyn Journal, which: Which, form: JournalForm) -> Result<(), Fault> {
    let entries = journal.entries(which)?;
    let text = match form {
        JournalForm::Table => cli::journal::table(&entries),
        JournalForm::JsonLines => cli::journal::json_lines(&entries).map_err(super::unprintable)?,
    };
    print(text.as_bytes())
}
