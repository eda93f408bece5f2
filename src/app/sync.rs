//! One sync into a file, with progress and a summary for a person at a terminal.

use std::io::IsTerminal as _;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::{env, io, thread};

use super::baselines::PreviousFile;
use super::risk_assess::Following;
use super::{signals, tenant};
use crate::c1z;
use crate::cli::progress::Progress;
use crate::cli::summary::{Part, Row, Summary};
use crate::config::{SyncSettings, TenantSettings, Workers};
use crate::connector::Connector;
use crate::model::fault::Fault;
use crate::snapshot::{Served, SnapshotReport};
use crate::sync::{self, Depth, Patience, Phase, Scope, SyncOptions, SyncSummary, Syncer, Target};

pub(super) async fn run(settings: SyncSettings, progress: &Progress) -> Result<(), Fault> {
    let stop = signals::cancelled_by_signal()?;
    let files = file_settings(&settings.tenant)?;
    let previous = |key: &str| {
        Some(PreviousFile {
            path: settings.file.clone(),
            tenant: key.to_owned(),
            settings: files.clone(),
        })
    };
    let composed = tenant::compose(&settings.tenant, previous).await?;
    let scope = settings.choice.scope;
    let options = SyncOptions {
        file: settings.file,
        tenant: composed.key.clone(),
        scope: scope.clone(),
        resource_types: settings.choice.resource_types,
        workers: workers(settings.choice.workers),
        settings: files,
        patience: Patience::default(),
    };
    let mut connector = composed.connector;
    if let Some(following) = Following::over(&composed.parts, &settings.risk_assess)? {
        connector = connector.with_downstream(following.downstream);
    }
    let connector = Arc::new(connector);
    let outcome = Syncer::new(connector.clone(), options)
        .run(&stop, &Watched(progress))
        .await;
    progress.finish();
    let done = outcome?;
    if io::stderr().is_terminal() {
        #[expect(
            clippy::print_stderr,
            reason = "the summary is for the person at the terminal, not a log line"
        )]
        {
            eprint!("{}", summary(&connector, &scope, done).render());
        }
    }
    Ok(())
}

/// How sync files are opened and written.
pub(super) fn file_settings(tenant: &TenantSettings) -> Result<c1z::Settings, Fault> {
    let mut files = c1z::Settings::from_env(|name| env::var(name).ok())?;
    if let Some(dir) = &tenant.temp_dir {
        files.temp_dir.clone_from(dir);
    }
    Ok(files)
}

/// Side-by-side calls; the ecosystem's automatic choice is the number of cores, at most 4.
pub(super) fn workers(workers: Workers) -> NonZeroUsize {
    let auto =
        || thread::available_parallelism().map_or(NonZeroUsize::MIN, |cores| cores.min(MOST_AUTOMATIC));
    match workers {
        Workers::Sequential => NonZeroUsize::MIN,
        Workers::Auto => auto(),
        Workers::Exactly(number) => NonZeroUsize::try_from(number).unwrap_or(NonZeroUsize::MIN),
    }
}

const MOST_AUTOMATIC: NonZeroUsize = NonZeroUsize::new(4).unwrap(); // judged by the compiler

/// Shows a sync's progress on the line of the terminal.
struct Watched<'a>(&'a Progress);

impl sync::Progress for Watched<'_> {
    fn phase(&self, phase: Phase) {
        self.0.begin(title(phase));
    }

    fn rows(&self, phase: Phase, resource_type: &str, total: u64) {
        self.0
            .count(&format!("{} of type {resource_type}", title(phase)), total);
    }
}

const fn title(phase: Phase) -> &'static str {
    match phase {
        Phase::Validate => "checking access",
        Phase::ResourceTypes => "resource types",
        Phase::Resources => "resources",
        Phase::StaticEntitlements | Phase::Entitlements => "entitlements",
        Phase::Grants => "grants",
        Phase::Principals => "holders of what was asked for",
        Phase::Check => "checking references",
        Phase::Save => "writing the file",
    }
}

fn summary(connector: &Connector, scope: &Scope, done: SyncSummary) -> Summary {
    let stats = &done.stats;
    let mut written: Vec<Row> = stats
        .resources_by_resource_type
        .iter()
        .map(|(name, count)| Row {
            name: format!("{name}s"),
            count: *count,
        })
        .collect();
    let mut add = |name: &str, count| {
        written.push(Row {
            name: name.to_owned(),
            count,
        });
    };
    let depth = depth(scope);
    if depth != Depth::Resource {
        add("entitlements", stats.entitlements);
    }
    if depth == Depth::Grants {
        add("grants", stats.grants);
    }
    // A pass in the place of questions about a few resources has seen the whole tenant, but this run does not hold it.
    let report = match scope {
        Scope::Full | Scope::ResourcesOnly => connector.report(&done.run_id),
        Scope::Targeted(_) => None,
    };
    Summary {
        part: part(scope, &done.missing),
        written,
        seats: report.iter().flat_map(seats).collect(),
        left_out: report.iter().flat_map(left_out).collect(),
        usage: connector.usage(),
        elapsed: done.elapsed,
        file: done.saved.path,
    }
}

const fn depth(scope: &Scope) -> Depth {
    match scope {
        Scope::Full => Depth::Grants,
        Scope::ResourcesOnly => Depth::Resource,
        Scope::Targeted(targets) => targets.depth(),
    }
}

fn part(scope: &Scope, missing: &[Target]) -> Option<Part> {
    let Scope::Targeted(targets) = scope else {
        return None;
    };
    let written = targets
        .resources()
        .iter()
        .filter(|target| !missing.contains(target));
    Some(Part {
        written: written.map(ToString::to_string).collect(),
        missing: missing.iter().map(ToString::to_string).collect(),
    })
}

fn seats(report: &SnapshotReport) -> Vec<Row> {
    report
        .licenses
        .iter()
        .map(|(name, count)| Row {
            name: name.to_string(),
            count: *count,
        })
        .collect()
}

fn left_out(report: &SnapshotReport) -> Vec<(crate::model::tenant::AccountClass, u64)> {
    report
        .users
        .iter()
        .filter(|row| row.served == Served::LeftOut)
        .map(|row| (row.class, row.accounts))
        .collect()
}
