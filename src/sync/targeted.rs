//! A targeted run: the resources that are named, what is on each of them, and whoever holds it.
//!
//! The calls are those of the ecosystem's syncer: `GetResource` for every target, entitlements and grants of each by itself, then
//! `GetResource` for every principal that is not stored yet. The templates of a type are applied to its targets as well, so that each
//! has its own entitlement.
//!
//! Invariant: a target that is not there is told, and a run of which no target is there is an error: an empty run would say that
//! somebody looked and found nothing on them.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::feed::BATCH;
use super::patience::patiently;
use super::phases::Collect;
use super::plan::{Plan, TypePlan};
use super::progress::Phase;
use super::rows::check_resource;
use super::target::{Depth, Target, Targets};
use crate::c1z::Rows;
use crate::model::fault::{Fault, FaultKind};
use crate::proto::connector as c1;

/// Reasons that one message gives at most.
const REASONS: usize = 5;

/// A resource that was asked for, or why it is not there.
enum Found {
    Here(Box<c1::Resource>),
    Missing(Target, Fault),
}

impl Collect<'_> {
    pub(super) async fn targeted(&self, targets: &Targets, plan: Plan) -> Result<(), Fault> {
        must_be_types_of(&plan, targets)?;
        self.targets(targets, &plan).await?;
        if targets.depth() == Depth::Resource {
            return Ok(());
        }
        self.static_entitlements(self.types_of_targets(&plan)).await?;
        self.entitlements(&plan).await?;
        if targets.depth() == Depth::Entitlements {
            return Ok(());
        }
        self.grants(&plan).await?;
        self.principals(&plan).await
    }

    async fn targets(&self, targets: &Targets, plan: &Plan) -> Result<(), Fault> {
        self.progress.phase(Phase::Resources);
        tracing::info!("Syncing resources...");
        let mut missing = Vec::new();
        for batch in targets.resources().chunks(BATCH as usize) {
            missing.extend(self.fetch(Phase::Resources, batch.to_vec(), plan).await?);
        }
        if missing.len() == targets.resources().len() {
            return Err(nothing_there(&missing));
        }
        for kind in self.types_of_targets(plan) {
            let count = self.state().resources.get(&kind.id).copied();
            tracing::info!(resource_type_id = kind.id, count, "Synced resources");
        }
        self.state().tally.missing = missing.into_iter().map(|(target, _)| target).collect();
        Ok(())
    }

    /// The types of the targets that are stored.
    fn types_of_targets<'a>(&self, plan: &'a Plan) -> Vec<&'a TypePlan> {
        let stored: BTreeSet<String> = self.state().resources.keys().cloned().collect();
        plan.types
            .iter()
            .filter(|kind| stored.contains(&kind.id))
            .collect()
    }

    /// Whoever grants were made to and is not stored yet. One who is not there any more leaves a grant to nobody, which the check at
    /// the end refuses.
    async fn principals(&self, plan: &Plan) -> Result<(), Fault> {
        self.progress.phase(Phase::Principals);
        let mut after = 0;
        loop {
            let batch = self.writer.missing_principals(after, BATCH).await?;
            let Some(last) = batch.last() else { return Ok(()) };
            after = last.row;
            let known = batch
                .into_iter()
                .map(|principal| Target::from(principal.id))
                .filter(|principal| plan.kind(&principal.resource_type).is_some());
            let gone = self.fetch(Phase::Principals, known.collect(), plan).await?;
            self.state().tally.vanished += gone.len() as u64;
        }
    }

    /// Reads and stores resources; answers those that are not there, with the reasons.
    async fn fetch(
        &self,
        phase: Phase,
        batch: Vec<Target>,
        plan: &Plan,
    ) -> Result<Vec<(Target, Fault)>, Fault> {
        let asked = batch.into_iter().map(|target| self.get(target, plan));
        let found: Vec<Found> = stream::iter(asked)
            .buffered(self.options.workers.get())
            .try_collect()
            .await?;
        let (mut rows, mut missing) = (Vec::with_capacity(found.len()), Vec::new());
        for one in found {
            match one {
                Found::Here(resource) => rows.push(*resource),
                Found::Missing(target, reason) => missing.push((target, reason)),
            }
        }
        for (target, reason) in &missing {
            tracing::warn!(
                resource_type_id = target.resource_type,
                resource_id = target.resource,
                ?reason,
                "skipping resource due to not found"
            );
        }
        for row in &rows {
            let kind = row.id.as_ref().map_or("", |id| id.resource_type.as_str());
            let mut state = self.state();
            let count = state.resources.entry(kind.to_owned()).or_default();
            *count += 1;
            let count = *count;
            drop(state);
            self.progress.rows(phase, kind, count);
        }
        self.writer.put(Rows::Resources(rows)).await?;
        Ok(missing)
    }

    async fn get(&self, target: Target, plan: &Plan) -> Result<Found, Fault> {
        let request = c1::ResourceGetterServiceGetResourceRequest {
            resource_id: Some(target.id()),
            active_sync_id: self.writer.run_id().to_owned(),
            ..c1::ResourceGetterServiceGetResourceRequest::default()
        };
        let resource = match patiently(self.options.patience, || self.source.resource(&request)).await {
            Ok(answer) => answer.resource,
            Err(reason) if *reason.kind() == FaultKind::NotFound => {
                return Ok(Found::Missing(target, reason));
            }
            Err(fault) => return Err(fault.context(&target)),
        };
        let resource = resource.ok_or_else(|| unlike(&target))?;
        let kind = plan
            .kind(&target.resource_type)
            .ok_or_else(|| Fault::internal("a resource of an unplanned type"))?;
        check_resource(&resource, kind)?;
        if resource
            .id
            .as_ref()
            .is_none_or(|id| id.resource != target.resource)
        {
            return Err(unlike(&target));
        }
        Ok(Found::Here(Box::new(resource)))
    }
}

/// Before anything is asked about the first: a type that is not there is a mistake of whoever named it.
fn must_be_types_of(plan: &Plan, targets: &Targets) -> Result<(), Fault> {
    let foreign = |target: &&Target| plan.kind(&target.resource_type).is_none();
    let Some(target) = targets.resources().iter().find(foreign) else {
        return Ok(());
    };
    let known: Vec<&str> = plan.types.iter().map(|kind| kind.id.as_str()).collect();
    Err(Fault::invalid(format!(
        "{target} cannot be synced: {:?} is not among the resource types of this sync",
        target.resource_type
    ))
    .advise(format!("its types: {}", known.join(", "))))
}

fn nothing_there(missing: &[(Target, Fault)]) -> Fault {
    let reasons = missing.iter().take(REASONS);
    let mut reasons: Vec<String> = reasons
        .map(|(target, reason)| format!("{target}: {reason}"))
        .collect();
    if let Some(more) = missing.len().checked_sub(REASONS).filter(|more| *more > 0) {
        reasons.push(format!("and {more} more"));
    }
    Fault::new(
        FaultKind::NotFound,
        format!("none of the resources to sync is there: {}", reasons.join(", ")),
    )
}

fn unlike(target: &Target) -> Fault {
    Fault::corrupt(format!("the connector answered something else than {target}"))
}
