//! `journal` and its sub-commands: what the journal of changes holds, on stdout.

use super::changes::Changes;
use super::{print, signals, tenant};
use crate::cli;
use crate::config::{JournalForm, JournalSettings, RecoverSettings, Recovery};
use crate::model::fault::{Fault, FaultKind};
use crate::model::journal::{Journal, Which};
use crate::provision::{ByHand, Provision, Recover, Recovered, RecoveredState};
use crate::state::State;

/// Lists or exports. Needs no tenant: only what is kept here is looked at.
pub(super) fn run(settings: &JournalSettings) -> Result<(), Fault> {
    let state = State::open(&settings.dir, &settings.tenant, &settings.client_id)?;
    show(&state, settings.which, settings.form)
}

/// Recovery by hand: how each entry stands afterwards, on stdout. A failure if one is left open.
pub(super) async fn recover(settings: RecoverSettings) -> Result<(), Fault> {
    let stop = signals::cancelled_by_signal()?;
    let composed = tenant::compose(&settings.tenant, |_| None).await?;
    let changes = Changes::begin(&composed.parts, &settings.changes)?;
    let outcome = tokio::select! {
        outcome = changes.engine.recover(wanted(settings.what)) => outcome,
        () = stop.cancelled() => Err(Fault::new(FaultKind::Cancelled, "recovery was called off; it goes on at the next start")),
    };
    changes.end().await;
    let recovered = outcome?;
    print(cli::recovery::render(&recovered).as_bytes())?;
    match recovered.iter().find_map(left_open) {
        Some(fault) => Err(fault),
        None => Ok(()),
    }
}

const fn wanted(what: Recovery) -> Recover {
    match what {
        Recovery::Everything => Recover::All,
        Recovery::Entry(id) => Recover::Entry(id),
        Recovery::Restore(id) => Recover::ByHand(id, ByHand::Restore),
        Recovery::Accept(id) => Recover::ByHand(id, ByHand::Accept),
    }
}

fn left_open(recovered: &Recovered) -> Option<Fault> {
    let entry = recovered.entry;
    match &recovered.state {
        RecoveredState::Closed(_) => None,
        RecoveredState::StillOpen(fault) => Some(fault.clone().context(format!("journal entry {entry} is still open"))),
        RecoveredState::NeedsPerson(reason) => Some(
            Fault::new(FaultKind::Refused, format!("journal entry {entry} needs a person: {reason}")).advise(format!(
                "look at the account in Coupa, then run: baton-coupa journal recover --entry {entry} with --restore or --accept"
            )),
        ),
    }
}

/// Goes on with what was left open. What stays open is told in the log; it concerns its own account only.
pub(super) async fn recover_all(engine: &Provision) -> Result<(), Fault> {
    for fault in engine.recover(Recover::All).await?.iter().filter_map(left_open) {
        tracing::warn!("{fault}");
    }
    Ok(())
}

fn show(journal: &dyn Journal, which: Which, form: JournalForm) -> Result<(), Fault> {
    let entries = journal.entries(which)?;
    let text = match form {
        JournalForm::Table => cli::journal::table(&entries),
        JournalForm::JsonLines => cli::journal::json_lines(&entries).map_err(super::unprintable)?,
    };
    print(text.as_bytes())
}
