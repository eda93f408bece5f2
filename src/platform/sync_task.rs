//! The task that reads the tenant: a sync into a fresh file, its delivery, and signs of life meanwhile.
//!
//! Invariants: the file is for its owner only and is gone when the task ends, however it ends; what is delivered is a complete
//! run; a task that this daemon does not run is refused, never answered with an empty file.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::config::FullSync;
use super::finish::{Answer, Failure, Retry};
use super::heartbeat::{self, Lost};
use super::port::{Beat, Platform, told};
use super::task::{TaskId, malformed};
use super::upload;
use crate::c1z::{self, Scratch};
use crate::model::fault::{Fault, FaultKind};
use crate::proto::platform::task::SyncFullTask;
use crate::sync::{Depth, Patience, Scope, Silent, Source, SyncOptions, Syncer, Target, Targets};

/// What a sync covers and how it goes about it where the task does not say.
#[derive(Debug, Clone)]
pub struct SyncDefaults {
    /// Key of the tenant, stored with the run.
    pub tenant: String,
    /// What to cover.
    pub scope: Scope,
    /// Only these resource types; empty for all.
    pub resource_types: Vec<String>,
    /// Calls to the connector at the same time.
    pub workers: NonZeroUsize,
    /// Working directory and retention.
    pub files: c1z::Settings,
    /// How long a failing call is repeated.
    pub patience: Patience,
}

/// Runs syncs.
pub(super) struct Syncs {
    pub(super) source: Arc<dyn Source>,
    pub(super) defaults: SyncDefaults,
    pub(super) full_sync: FullSync,
}

/// How a sync task ended.
pub(super) enum Ended {
    /// The platform is to be told.
    Told(Result<Answer, Failure>),
    /// The introduction that was asked for is the answer.
    Introduced,
    /// The platform called the task off before any work was done, and waits for nothing.
    CalledOff,
}

impl Syncs {
    /// Does the task. When `stop` fires it ends soon.
    pub(super) async fn run(
        &self,
        platform: &dyn Platform,
        task: &TaskId,
        asked: &SyncFullTask,
        stop: &CancellationToken,
    ) -> Ended {
        if self.full_sync == FullSync::Refuse {
            return Ended::Told(Err(refused()));
        }
        let (scope, resource_types) = match covered(asked, &self.defaults) {
            Ok(covered) => covered,
            Err(failure) => return Ended::Told(Err(failure)),
        };
        if asked.storage_engine == "pebble" {
            tracing::info!("the task asks for pebble; the file is sqlite, which every reader takes");
        }
        let first = stop.run_until_cancelled(heartbeat::first(platform, task)).await;
        let interval = match first {
            None => return Ended::Told(Err(Failure::stopped())),
            Some(Ok(Beat::Cancelled)) => return Ended::CalledOff,
            Some(Ok(Beat::GoOn(interval))) => interval,
            Some(Err(status)) => {
                tracing::warn!(error = told(&status), "the first heartbeat failed");
                return Ended::Told(Err(Lost::Silent.failure()));
            }
        };
        // Cancelled with the daemon, or alone.
        let off = stop.child_token();
        let mut work = std::pin::pin!(self.sync_and_deliver(platform, task, scope, resource_types, &off));
        let lost = tokio::select! {
            biased;
            outcome = &mut work => return Ended::Told(outcome.map_err(|fault| judged(fault, stop))),
            lost = heartbeat::keep(platform, task, interval) => lost,
        };
        tracing::warn!(?lost, "stopping the sync");
        off.cancel();
        // What got through all the same is told as it is.
        Ended::Told(work.await.map_err(|_| lost.failure()))
    }

    async fn sync_and_deliver(
        &self,
        platform: &dyn Platform,
        task: &TaskId,
        scope: Scope,
        resource_types: Vec<String>,
        off: &CancellationToken,
    ) -> Result<Answer, Fault> {
        let defaults = &self.defaults;
        let scratch = Scratch::new(&defaults.files.temp_dir)?;
        let file = scratch.path().join("sync.c1z");
        let options = SyncOptions {
            file: file.clone(),
            tenant: defaults.tenant.clone(),
            scope,
            resource_types,
            workers: defaults.workers,
            settings: defaults.files.clone(),
            patience: defaults.patience,
        };
        let done = Syncer::new(Arc::clone(&self.source), options)
            .run(off, &Silent)
            .await?;
        let sent = off
            .run_until_cancelled(upload::deliver(platform, task, &file))
            .await;
        sent.unwrap_or_else(|| Err(Fault::new(FaultKind::Cancelled, "the upload was called off")))?;
        tracing::info!(
            sync_id = done.run_id,
            compressed_bytes = done.saved.compressed_bytes,
            seconds = done.elapsed.as_secs_f64(),
            "the sync was delivered"
        );
        Ok(Answer::default())
    }
}

/// A run that contradicts itself will do so again; whatever else went wrong may pass.
fn judged(fault: Fault, stop: &CancellationToken) -> Failure {
    match fault.kind() {
        FaultKind::Cancelled if stop.is_cancelled() => Failure::stopped(),
        FaultKind::Corrupt => Failure {
            fault,
            retry: Retry::Pointless,
        },
        _ => Failure::passing(fault),
    }
}

/// An empty file would read as if everybody had lost everything.
fn refused() -> Failure {
    Failure {
        fault: Fault::new(
            FaultKind::Refused,
            "this daemon runs no syncs: it was started with skip-full-sync",
        )
        .advise("start it without --skip-full-sync ($BATON_SKIP_FULL_SYNC) to have the tenant read"),
        retry: Retry::Pointless,
    }
}

/// What the task covers: what it says, over what this daemon was started with.
fn covered(asked: &SyncFullTask, defaults: &SyncDefaults) -> Result<(Scope, Vec<String>), Failure> {
    let types = match &asked.sync_resource_type_ids[..] {
        [] => defaults.resource_types.clone(),
        types => types.to_vec(),
    };
    Ok((scope(asked, &defaults.scope)?, types))
}

fn scope(asked: &SyncFullTask, usual: &Scope) -> Result<Scope, Failure> {
    let (resources, depth) = match (targets(asked)?, usual) {
        (Some(resources), Scope::Targeted(usual)) => (resources, depth(asked, usual.depth())),
        (Some(resources), Scope::ResourcesOnly) => (resources, Depth::Resource),
        (Some(resources), Scope::Full) => (resources, depth(asked, Depth::Grants)),
        (None, Scope::Targeted(usual)) => (usual.resources().to_vec(), depth(asked, usual.depth())),
        // Without grants a full run would read as if everybody had lost everything.
        (None, _) if asked.skip_grants => {
            let why = "skip-grants can only be set within a targeted sync";
            return Err(Failure::passing(Fault::invalid(why)));
        }
        (None, Scope::Full) if !asked.skip_entitlements_and_grants => return Ok(Scope::Full),
        (None, Scope::Full | Scope::ResourcesOnly) => return Ok(Scope::ResourcesOnly),
    };
    // It fails only for a resource without type or id, and the settings let none through.
    let targets = Targets::new(resources, depth).map_err(|_| malformed("sync"))?;
    Ok(Scope::Targeted(targets))
}

/// The task can only leave more out.
const fn depth(asked: &SyncFullTask, usual: Depth) -> Depth {
    match usual {
        Depth::Resource => Depth::Resource,
        Depth::Grants | Depth::Entitlements if asked.skip_entitlements_and_grants => Depth::Resource,
        Depth::Entitlements => Depth::Entitlements,
        Depth::Grants if asked.skip_grants => Depth::Entitlements,
        Depth::Grants => Depth::Grants,
    }
}

/// The resources that the task names; `None` if it names none.
fn targets(asked: &SyncFullTask) -> Result<Option<Vec<Target>>, Failure> {
    let named = asked.targeted_sync_resources.iter();
    let targets: Vec<Target> = named
        .map(|resource| resource.id.clone().map(Target::from))
        .collect::<Option<_>>()
        .ok_or_else(|| malformed("sync"))?;
    Ok((!targets.is_empty()).then_some(targets))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::proto::connector::{Resource, ResourceId};

    fn resource(kind: &str, id: &str) -> Resource {
        Resource {
            id: Some(ResourceId {
                resource_type: kind.into(),
                resource: id.into(),
                ..ResourceId::default()
            }),
            ..Resource::default()
        }
    }

    fn targeted(depth: Depth, ids: &[&str]) -> Scope {
        let target = |id: &&str| Target {
            resource_type: "role".into(),
            resource: (*id).into(),
        };
        Scope::Targeted(Targets::new(ids.iter().map(target), depth).unwrap())
    }

    #[test]
    fn a_task_says_what_is_covered() {
        let role = || {
            vec![
                resource("role", "1"),
                resource("role", "2"),
                resource("role", "1"),
            ]
        };
        let both = ["1", "2"];
        let task = |bare, no_grants, resources| SyncFullTask {
            skip_entitlements_and_grants: bare,
            skip_grants: no_grants,
            targeted_sync_resources: resources,
            ..SyncFullTask::default()
        };
        for (usual, asked, expected) in [
            (Scope::Full, task(false, false, vec![]), Scope::Full),
            (Scope::Full, task(true, false, vec![]), Scope::ResourcesOnly),
            (
                Scope::ResourcesOnly,
                task(false, false, vec![]),
                Scope::ResourcesOnly,
            ),
            (
                Scope::Full,
                task(false, false, role()),
                targeted(Depth::Grants, &both),
            ),
            (
                Scope::Full,
                task(false, true, role()),
                targeted(Depth::Entitlements, &both),
            ),
            (
                Scope::Full,
                task(true, true, role()),
                targeted(Depth::Resource, &both),
            ),
            (
                Scope::ResourcesOnly,
                task(false, false, role()),
                targeted(Depth::Resource, &both),
            ),
            (
                targeted(Depth::Entitlements, &["9"]),
                task(false, false, role()),
                targeted(Depth::Entitlements, &both),
            ),
            (
                targeted(Depth::Grants, &["9"]),
                task(false, true, vec![]),
                targeted(Depth::Entitlements, &["9"]),
            ),
        ] {
            assert_eq!(scope(&asked, &usual).unwrap(), expected, "{usual:?}");
        }
    }

    #[test]
    fn a_task_that_would_show_too_little_is_refused() {
        let asked = SyncFullTask {
            skip_grants: true,
            ..SyncFullTask::default()
        };
        let failure = scope(&asked, &Scope::Full).unwrap_err();
        assert_eq!(
            failure.fault.message(),
            "skip-grants can only be set within a targeted sync"
        );
        for broken in [Resource::default(), resource("role", ""), resource("", "1")] {
            let asked = SyncFullTask {
                targeted_sync_resources: vec![broken],
                ..SyncFullTask::default()
            };
            let failure = scope(&asked, &Scope::Full).unwrap_err();
            assert_eq!(failure.fault.message(), "malformed sync task");
            assert_eq!(failure.retry, Retry::Pointless);
        }
    }

    #[test]
    fn only_a_contradiction_is_final() {
        let going = CancellationToken::new();
        let retry = |fault: Fault| judged(fault, &going).retry;
        assert_eq!(retry(Fault::corrupt("twice")), Retry::Pointless);
        assert_eq!(retry(Fault::unavailable("later")), Retry::Allowed);
        assert_eq!(retry(Fault::internal("disk full")), Retry::Allowed);
        assert_eq!(retry(Fault::new(FaultKind::Refused, "shrunk")), Retry::Allowed);
    }
}
