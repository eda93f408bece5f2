//! One listing of a connector into a sync file, complete or of a few resources, in the order and with the calls of the ecosystem's
//! syncer.
//!
//! Invariant: a run is saved only when every listing went to its end and every row points to rows of the same run. Anything
//! else, a failure or a cancellation, leaves the file as it was; the next sync starts afresh.

mod chain;
mod feed;
mod page;
mod patience;
mod phases;
mod plan;
mod progress;
mod rows;
mod source;
mod target;
mod targeted;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::c1z::{RunKind, Saved, Settings, Stats, Writer};
use crate::model::fault::{Fault, FaultKind};
use phases::Collect;

pub use patience::Patience;
pub use progress::{Phase, Progress, Silent};
pub use source::Source;
pub use target::{Depth, NotATarget, Target, Targets};

/// How long the connector may take to forget a run; nothing depends on it.
const CLEANUP: Duration = Duration::from_secs(10);

/// What a sync covers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Scope {
    /// Everything.
    #[default]
    Full,
    /// Types and resources; no entitlements, no grants.
    ResourcesOnly,
    /// A few resources, and what belongs to them.
    Targeted(Targets),
}

/// How to sync.
#[derive(Debug, Clone)]
pub struct SyncOptions {
    /// The sync file; replaced when the sync is complete.
    pub file: PathBuf,
    /// Key of the tenant, stored with the run: sizes of different tenants are never compared.
    pub tenant: String,
    /// What to cover.
    pub scope: Scope,
    /// Only these resource types; empty for all.
    pub resource_types: Vec<String>,
    /// Calls to the connector at the same time.
    pub workers: NonZeroUsize,
    /// Working directory and retention.
    pub settings: Settings,
    /// How long a failing call is repeated.
    pub patience: Patience,
}

/// What a finished sync did.
#[derive(Debug, Clone)]
pub struct SyncSummary {
    /// Id of the run.
    pub run_id: String,
    /// The file and its sizes.
    pub saved: Saved,
    /// Rows of the run.
    pub stats: Stats,
    /// Rows left out because they belong to types that were not asked for.
    pub dropped: u64,
    /// Resources that were gone when they, their entitlements or their grants were asked for; `missing` included.
    pub vanished: u64,
    /// Targets that the tenant does not have.
    pub missing: Vec<Target>,
    /// From the first call to the replaced file.
    pub elapsed: Duration,
}

/// Syncs a source into a file.
pub struct Syncer {
    source: Arc<dyn Source>,
    options: SyncOptions,
}

impl Syncer {
    /// A syncer for `source`.
    pub fn new(source: Arc<dyn Source>, options: SyncOptions) -> Self {
        Self { source, options }
    }

    /// Runs one sync. When `cancel` fires it ends with [`FaultKind::Cancelled`] and the file stays as it was.
    pub async fn run(
        &self,
        cancel: &CancellationToken,
        progress: &dyn Progress,
    ) -> Result<SyncSummary, Fault> {
        let started = Instant::now();
        // Before the run exists, so that bad credentials leave no trace. The connector repeats what is worth repeating.
        progress.phase(Phase::Validate);
        until_cancelled(cancel, self.source.validate()).await?;

        let options = &self.options;
        let kind = match &options.scope {
            Scope::Full => RunKind::Full,
            Scope::ResourcesOnly => RunKind::ResourcesOnly,
            Scope::Targeted(_) => RunKind::Partial,
        };
        let writer = Writer::begin(&options.file, &options.tenant, kind, &options.settings, cancel).await?;
        let run_id = writer.run_id().to_owned();
        tracing::debug!(sync_id = %run_id, "started a run");

        let outcome = self.collect_and_save(writer, cancel, progress).await;
        self.clean_up(&run_id).await;
        let (saved, stats, tally) = outcome?;
        let vanished = tally.vanished + tally.missing.len() as u64;
        if vanished > 0 {
            tracing::warn!(warning_count = vanished, "sync completed with warnings");
        }
        tracing::info!("Sync complete.");
        tracing::info!(
            output_path = %saved.path.display(),
            decompressed_bytes = saved.decompressed_bytes,
            compressed_bytes = saved.compressed_bytes,
            "c1z: saved"
        );
        Ok(SyncSummary {
            run_id,
            saved,
            stats,
            dropped: tally.dropped,
            vanished,
            missing: tally.missing,
            elapsed: started.elapsed(),
        })
    }

    async fn collect_and_save(
        &self,
        writer: Writer,
        cancel: &CancellationToken,
        progress: &dyn Progress,
    ) -> Result<(Saved, Stats, phases::Tally), Fault> {
        let collect = Collect::new(&*self.source, &self.options, &writer, progress);
        match until_cancelled(cancel, collect.run()).await {
            Ok(tally) => {
                progress.phase(Phase::Save);
                // Not cut off from here: the writer watches the token and knows until when it can still stop.
                let (saved, stats) = writer.seal().await?;
                Ok((saved, stats, tally))
            }
            Err(fault) => {
                writer.abandon().await;
                Err(fault)
            }
        }
    }

    /// Tells the connector that the run is over, whatever became of it.
    async fn clean_up(&self, run_id: &str) {
        match tokio::time::timeout(CLEANUP, self.source.cleanup(run_id)).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => {
                tracing::warn!(error = ?fault, "the connector could not clean up after the sync");
            }
            Err(_) => tracing::warn!("the connector did not clean up after the sync in time"),
        }
    }
}

async fn until_cancelled<T>(
    cancel: &CancellationToken,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let called_off = || Fault::new(FaultKind::Cancelled, "the sync was called off");
    cancel
        .run_until_cancelled(work)
        .await
        .unwrap_or_else(|| Err(called_off()))
}
