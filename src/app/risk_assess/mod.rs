//! The commands about Risk Assess.
//!
//! Invariant: nothing is decided here; what a person reads goes to stdout, and a report that was made is always named.

mod file_commands;
mod files;
mod following;
mod reports;

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

pub(super) use following::{Following, Serving, login};

use super::{print, signals, tenant};
use crate::cli;
use crate::cli::progress::Progress;
use crate::config::{
    FollowSettings, Printed, ReadinessSettings, ReconcileSettings, RiskAssessCommand, StatusSettings,
};
use crate::model::downstream::{Ledger as _, Outbox as _};
use crate::model::fault::{Fault, FaultKind};
use crate::model::profile::{Profile, ProfileFilter, ReadProfiles};
use crate::risk_assess::account;
use crate::risk_assess::deliver::{Deliveries, Handout};
use crate::risk_assess::matching::Roster;
use crate::risk_assess::readiness::{self, Who};
use crate::risk_assess::reconcile::{self, Sides};
use crate::risk_assess::report::ShownBy;
use crate::risk_assess::sync::Scope;
use crate::state::State;

/// Rows of a table that a terminal shows of each sort; files have all of them.
const MOST: usize = 50;

pub(super) async fn run(command: RiskAssessCommand, progress: &Progress) -> Result<(), Fault> {
    let stop = signals::cancelled_by_signal()?;
    let work = async {
        match command {
            RiskAssessCommand::Status(settings) => status(&settings),
            RiskAssessCommand::Readiness(settings) => judge(settings, progress).await,
            RiskAssessCommand::Sync(settings) => follow(settings, progress).await,
            RiskAssessCommand::Import(settings) => file_commands::import(settings).await,
            RiskAssessCommand::Reconcile(settings) => compare(settings, progress).await,
            RiskAssessCommand::Explain(settings) => file_commands::explain(&settings),
        }
    };
    tokio::select! {
        outcome = work => outcome,
        () = stop.cancelled() => Err(Fault::new(FaultKind::Cancelled, "called off; what was recorded stays, and the next run goes on")),
    }
}

fn status(settings: &StatusSettings) -> Result<(), Fault> {
    let place = &settings.place;
    let state = State::open(&place.dir, &place.tenant, &place.client_id)?;
    let mut records = state.records()?;
    let mut parcels = state.parcels()?;
    if let Some(user) = settings.user {
        records.retain(|record| record.user == user);
        parcels.retain(|parcel| cli::risk_assess::is_of(parcel, user));
        if records.is_empty() && parcels.is_empty() {
            return Err(Fault::new(
                FaultKind::NotFound,
                format!("the ledger knows nothing of user {user}"),
            )
            .advise("baton-coupa risk-assess sync --full looks at every licensed user"));
        }
    }
    let claim = |record: &_| account::claim(record, &settings.config);
    let text = match settings.printed {
        Printed::Table => cli::risk_assess::table(&records, &parcels, &claim),
        Printed::Json => cli::risk_assess::json(&records, &parcels, &claim).map_err(super::unprintable)?,
    };
    print(text.as_bytes())
}

async fn judge(settings: ReadinessSettings, progress: &Progress) -> Result<(), Fault> {
    let composed = tenant::compose(&settings.tenant, |_| None).await?;
    let who = if settings.licensed_only {
        Who::Licensed
    } else {
        Who::Everyone
    };
    let count = |users| progress.count("users", users);
    let assessment = readiness::assess(&*composed.parts.coupa, who, settings.strictness, &count).await?;
    progress.finish();
    if let Some(output) = &settings.output {
        files::write_sections(output, &[readiness::tables::section(&assessment)])?;
    }
    let text = match settings.printed {
        Printed::Table => cli::readiness::render(&assessment),
        Printed::Json => readiness::tables::json(&assessment)?,
    };
    print(text.as_bytes())
}

async fn follow(settings: FollowSettings, progress: &Progress) -> Result<(), Fault> {
    let composed = tenant::compose(&settings.tenant, |_| None).await?;
    let following = following(&composed.parts, &settings)?;
    let scope = if settings.full {
        Scope::Full
    } else {
        Scope::Changed
    };
    let count = |users| progress.count("users", users);
    let report = following.downstream.sync(scope, &count).await?;
    progress.finish();
    let mut text = cli::risk_assess::followed(&report);
    let delivered = deliver(&composed.parts, &following, settings.output.as_deref()).await?;
    text.push_str(&told(&following, delivered.as_ref()));
    if let Some(told) = following
        .reports()
        .send(&report.mismatches, ShownBy::GridExport)
        .await?
    {
        text.push_str(&told);
        text.push('\n');
    }
    print(text.as_bytes())?;
    stopped(delivered)
}

/// Empties the outbox on the way that was chosen; `None` where nothing is ours to deliver, or no file was named. One process at a time: a row
/// must not be sent by two.
async fn deliver(
    parts: &tenant::Parts,
    following: &Following,
    output: Option<&Path>,
) -> Result<Option<Deliveries>, Fault> {
    let Some(desk) = following.desk() else {
        return Ok(None);
    };
    let _right = parts.state.as_ref().ok_or_else(no_ledger)?.lock_writer()?;
    match output {
        Some(output) => Handout::new(desk.clone()).write(output).await.map(Some),
        None => Ok(following.deliver().await),
    }
}

/// What came of the outbox, for a person.
fn told(following: &Following, delivered: Option<&Deliveries>) -> String {
    match (delivered, following.desk()) {
        (Some(deliveries), _) => cli::risk_assess::delivered(deliveries),
        (None, Some(_)) => {
            "what is to be delivered waits; risk-assess sync --output FILE writes it for a person to upload\n"
                .to_owned()
        }
        (None, None) => String::new(),
    }
}

/// The fault that ended a delivery before its end.
fn stopped(delivered: Option<Deliveries>) -> Result<(), Fault> {
    match delivered.and_then(|deliveries| deliveries.stopped) {
        Some(fault) => Err(fault.context("not everything was delivered to Risk Assess")),
        None => Ok(()),
    }
}

fn following(parts: &tenant::Parts, settings: &FollowSettings) -> Result<Arc<Following>, Fault> {
    let following = Following::over(parts, &settings.risk_assess)?;
    following.map(Arc::new).ok_or_else(no_ledger)
}

fn no_ledger() -> Fault {
    Fault::new(
        FaultKind::Refused,
        "the ledger needs a state directory that lasts",
    )
    .advise("name a directory that this user can write to with --state-dir")
}

async fn compare(settings: ReconcileSettings, progress: &Progress) -> Result<(), Fault> {
    let exported = files::grid_of(&settings.grid)?;
    let composed = tenant::compose(&settings.tenant, |_| None).await?;
    let following = Following::over(&composed.parts, &settings.risk_assess)?.ok_or_else(no_ledger)?;
    let state = composed.parts.state.as_ref().ok_or_else(no_ledger)?;
    let now = Timestamp::now();
    let profiles = everybody(&*composed.parts.coupa, progress).await?;
    let reconciled = reconcile::reconcile(&Sides {
        grid: &exported.grid,
        date: exported.date,
        records: &state.records()?,
        profiles: &profiles,
        config: &settings.risk_assess.config,
        now,
    });
    progress.finish();
    following
        .downstream
        .take_evidence(
            exported.date,
            now,
            &Roster::new(&exported.grid.accounts),
            &profiles,
        )
        .await?;
    if let Some(output) = &settings.output {
        files::write_sections(output, &reconcile::sections(&reconciled))?;
    }
    let mut text = match settings.printed {
        Printed::Table => cli::risk_assess_reconcile::table(&reconciled, MOST),
        Printed::Json => reconcile::json(&reconciled)?,
    };
    let sent = following
        .reports()
        .send(&reconciled.mismatches, ShownBy::GridExport)
        .await?;
    match (sent, settings.printed) {
        (Some(told), Printed::Table) => {
            text.push_str(&told);
            text.push('\n');
        }
        (Some(told), Printed::Json) => tracing::info!("{told}"),
        (None, _) => {}
    }
    print(text.as_bytes())
}

/// Every user: with fewer, accounts of the others would be told as nobody's.
async fn everybody(profiles: &dyn ReadProfiles, progress: &Progress) -> Result<Vec<Profile>, Fault> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = profiles.profiles(after, ProfileFilter::All).await?;
        all.extend(page.profiles);
        progress.count("users", all.len() as u64);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(all),
        }
    }
}
