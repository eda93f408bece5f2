//! Commands about a file that a person has: the user import, and the explanation of an error report.

use std::sync::Arc;

use jiff::Timestamp;

use super::files;
use super::following::Following;
use super::{MOST, no_ledger, stopped};
use crate::app::{print, tenant};
use crate::cli;
use crate::config::{ExplainSettings, FollowSettings, ImportSettings, LedgerPlace, Printed};
use crate::model::downstream::{Ledger as _, Outbox as _};
use crate::model::fault::Fault;
use crate::model::profile::ReadProfiles;
use crate::risk_assess::Delivery;
use crate::risk_assess::explain;
use crate::risk_assess::import::{self, Door, Known, Sorted, Template};
use crate::risk_assess::mismatch::Mismatch;
use crate::risk_assess::report::ShownBy;
use crate::risk_assess::sheet;
use crate::state::State;

pub(super) fn explain(settings: &ExplainSettings) -> Result<(), Fault> {
    let table = files::raw_table(&settings.input)?;
    let explained = explain::explain(&table).map_err(|fault| fault.context(settings.input.display()))?;
    let text = match settings.printed {
        Printed::Table => cli::risk_assess_explain::table(&explained),
        Printed::Json => cli::risk_assess_explain::json(&explained).map_err(crate::app::unprintable)?,
    };
    print(text.as_bytes())
}

/// Sorts the file and shows what came of it; only `--apply` sends anything.
pub(super) async fn import(settings: ImportSettings) -> Result<(), Fault> {
    // Before anything is read: what may not be applied is told at once.
    let door = match &settings.apply {
        Some(apply) => Some(import::may_apply(apply.risk_assess.config.delivery)?),
        None => None,
    };
    let bytes = files::bytes(&settings.input)?;
    let in_file = |fault: Fault| fault.context(settings.input.display());
    let template = import::check(sheet::read(&bytes).map_err(in_file)?).map_err(in_file)?;
    let sorted = sorted(template, &settings)?;
    let outgoing = door.map(|door| import::loads(&sorted, door, &import::fingerprint(&bytes)));
    if let (Some(output), None | Some(Door::QuickIntegration)) = (&settings.output, door) {
        files::write_sections(output, &import::sections(&sorted))?;
    }
    let mut text = cli::risk_assess_import::table(&sorted, MOST);
    if let Some(outgoing) = &outgoing {
        text.push_str(&cli::risk_assess_import::outgoing(outgoing, MOST));
    }
    print(text.as_bytes())?;
    match (settings.apply, outgoing) {
        (Some(apply), Some(outgoing)) => deliver(&apply, &outgoing, &sorted).await,
        _ => Ok(()),
    }
}

/// Sorts against the grid, where one is named, else against the ledger.
fn sorted(template: Template, settings: &ImportSettings) -> Result<Sorted, Fault> {
    if let Some(file) = &settings.grid {
        let exported = files::grid_of(file)?;
        let known = Known::grid(&exported.grid, exported.name, exported.date);
        return Ok(import::sort(template, &known));
    }
    let LedgerPlace {
        dir,
        tenant,
        client_id,
    } = settings.place.as_ref().ok_or_else(no_ledger)?;
    let at = Timestamp::now();
    let records = State::open(dir, tenant, client_id)?.records()?;
    Ok(import::sort(template, &Known::ledger(&records, at)))
}

async fn deliver(
    settings: &FollowSettings,
    outgoing: &import::Outgoing,
    sorted: &Sorted,
) -> Result<(), Fault> {
    let composed = tenant::compose(&settings.tenant, |_| None).await?;
    let following = Following::over(&composed.parts, &settings.risk_assess)?.map(Arc::new);
    let following = following.ok_or_else(no_ledger)?;
    let state = composed.parts.state.as_ref().ok_or_else(no_ledger)?;
    // On disk before the first is sent: a crash loses none.
    state.post(&outgoing.loads)?;
    // With Quick Integration the output is the workbook of the sections, which is written already.
    let template = settings
        .output
        .as_deref()
        .filter(|_| settings.risk_assess.config.delivery == Delivery::File);
    let delivered = super::deliver(&composed.parts, &following, template).await?;
    let mut text = super::told(&following, delivered.as_ref());
    let mismatches = mismatches(&*composed.parts.coupa, sorted).await?;
    if let Some(told) = following.reports().send(&mismatches, ShownBy::ImportFile).await? {
        text.push_str(&told);
        text.push('\n');
    }
    print(text.as_bytes())?;
    stopped(delivered)
}

/// Rows that were not taken, with what Coupa has of their users.
async fn mismatches(profiles: &dyn ReadProfiles, sorted: &Sorted) -> Result<Vec<Mismatch>, Fault> {
    let at = Timestamp::now();
    let mut found = Vec::new();
    for refused in &sorted.problem {
        let Some(user) = refused.row.account.coupa_id else {
            continue;
        };
        if let Some(profile) = profiles.profile(user).await? {
            found.push(Mismatch {
                profile,
                theirs: Some(refused.row.account.clone()),
                fields: Vec::new(),
                reason: format!("line {}: {}", refused.row.line(), refused.reasons.join("; ")),
                at,
            });
        }
    }
    Ok(found)
}
