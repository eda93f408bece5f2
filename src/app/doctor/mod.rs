//! The doctor, composed: what a first day goes wrong on, examined without stopping at the first fault. Tenant, then this machine, then Risk
//! Assess, then the platform; one report.
//!
//! Invariants: nothing is written, neither in Coupa nor in Risk Assess nor at the platform, and nothing that stays is made on this machine.
//! The report goes to stdout whatever it says; the exit code follows from it.

mod home;
mod platform;
mod reach;
mod risk_assess;

use super::{print, signals, tenant, unprintable};
use crate::cli;
use crate::config::{DoctorSettings, Printed};
use crate::coupa::checkup::{self, Wishes};
use crate::model::checkup::{Chart, Report};
use crate::model::fault::{Fault, FaultKind};

pub(super) async fn run(settings: DoctorSettings) -> Result<(), Fault> {
    let stop = signals::cancelled_by_signal()?;
    let (key, report) = tokio::select! {
        examined = examine(&settings) => examined?,
        () = stop.cancelled() => return Err(Fault::new(FaultKind::Cancelled, "called off before the report was ready")),
    };
    let outcome = report.outcome();
    let text = match settings.printed {
        Printed::Table => cli::doctor::table(&key, &report),
        Printed::Json => cli::doctor::json(&key, &report).map_err(unprintable)?,
    };
    print(text.as_bytes())?;
    outcome
}

/// The name of the tenant, and what was found.
async fn examine(settings: &DoctorSettings) -> Result<(String, Report), Fault> {
    if let Some(dir) = &settings.tenant.temp_dir {
        // As everywhere: for every temporary file of the process.
        let _ = tempfile::env::override_temp_dir(dir);
    }
    let reached = tenant::reach(&settings.tenant).await?;
    let sandbox = reached.risk_assess();
    let mut chart = Chart::default();
    let wishes = Wishes {
        changes: settings.changes,
        classes: settings.tenant.account_classes.clone(),
        risk_assess: settings.risk_assess_is_configured,
        platform: settings.platform.is_some(),
    };
    let reader = checkup::examine(reached.config.clone(), &wishes, &mut chart).await;
    let whose = home::Whose {
        key: &reached.key,
        client_id: &reached.config.client_id,
        changes: settings.changes,
    };
    home::examine(&settings.tenant, &whose, reader.as_deref(), &mut chart).await;
    risk_assess::examine(&settings.risk_assess, sandbox.as_ref(), &mut chart).await;
    platform::examine(settings.platform.as_ref(), &mut chart).await;
    Ok((reached.key, chart.finish()))
}
