//! The steps of a run: types, resources, static entitlements, entitlements, grants, check. Each ends before the next begins. What a
//! targeted run does otherwise is in `targeted`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use super::chain::{Chain, siblings};
use super::feed::{BATCH, Feed, Step};
use super::page::{List, Of};
use super::plan::{Listing, Plan, TypePlan};
use super::progress::{Phase, Progress};
use super::rows::{admit_entitlement, admit_grant, check_resource, instantiate};
use super::source::Source;
use super::{Scope, SyncOptions, Target};
use crate::c1z::{Dangling, Rows, Writer};
use crate::model::fault::{Fault, FaultKind};
use crate::proto::connector as c1;

/// How often a long listing says where it is.
const REPORT_EVERY: Duration = Duration::from_secs(10);
/// So many vanished resources are never too many.
const VANISHED_TOLERATED: u64 = 10;
/// Above that number, one in so many visited resources may have vanished.
const VANISHED_ONE_IN: u64 = 10;

/// What is worth telling when the run is over.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) dropped: u64,
    pub(super) vanished: u64,
    /// Targets that are not there.
    pub(super) missing: Vec<Target>,
    visited: u64,
}

/// Collects a run into a writer.
pub(super) struct Collect<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) options: &'a SyncOptions,
    pub(super) writer: &'a Writer,
    pub(super) progress: &'a dyn Progress,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) tally: Tally,
    /// Resources listed, by type.
    pub(super) resources: BTreeMap<String, u64>,
    /// The types of the current step.
    current: BTreeMap<String, Current>,
}

/// How far one type is in the current step.
#[derive(Default)]
struct Current {
    rows: u64,
    resources_done: u64,
    reported: Option<Instant>,
}

impl<'a> Collect<'a> {
    pub(super) fn new(
        source: &'a dyn Source,
        options: &'a SyncOptions,
        writer: &'a Writer,
        progress: &'a dyn Progress,
    ) -> Self {
        Self {
            source,
            options,
            writer,
            progress,
            state: Mutex::default(),
        }
    }

    /// Does all steps.
    pub(super) async fn run(self) -> Result<Tally, Fault> {
        let plan = self.resource_types().await?;
        match &self.options.scope {
            Scope::Full => {
                self.resources(&plan).await?;
                self.access(&plan).await?;
            }
            Scope::ResourcesOnly => self.resources(&plan).await?,
            Scope::Targeted(targets) => self.targeted(targets, plan.one_by_one()).await?,
        }
        tracing::info!("sync data collection complete");
        self.progress.phase(Phase::Check);
        refuse_dangling(&self.writer.dangling().await?)?;
        let tally = std::mem::take(&mut self.state().tally);
        Ok(tally)
    }

    async fn resources(&self, plan: &Plan) -> Result<(), Fault> {
        tracing::info!("Syncing resources...");
        self.step(Step::Resources, Phase::Resources, plan).await
    }

    async fn access(&self, plan: &Plan) -> Result<(), Fault> {
        self.static_entitlements(&plan.types).await?;
        self.entitlements(plan).await?;
        self.grants(plan).await
    }

    pub(super) async fn entitlements(&self, plan: &Plan) -> Result<(), Fault> {
        tracing::info!("Syncing entitlements...");
        self.step(Step::Entitlements, Phase::Entitlements, plan).await
    }

    pub(super) async fn grants(&self, plan: &Plan) -> Result<(), Fault> {
        tracing::info!("Syncing grants...");
        self.step(Step::Grants, Phase::Grants, plan).await
    }

    async fn resource_types(&self) -> Result<Plan, Fault> {
        self.progress.phase(Phase::ResourceTypes);
        tracing::info!("Syncing resource types...");
        let mut listed = Vec::new();
        for rows in self.whole(List::ResourceTypes).await? {
            if let Rows::ResourceTypes(list) = rows {
                listed.extend(list);
            }
        }
        let (plan, rows) = Plan::new(listed, &self.options.resource_types)?;
        tracing::info!(count = rows.len(), "Synced resource types");
        self.writer.put(Rows::ResourceTypes(rows)).await?;
        Ok(plan)
    }

    /// Templates of each type, applied to every stored resource of it.
    pub(super) async fn static_entitlements(
        &self,
        types: impl IntoIterator<Item = &TypePlan>,
    ) -> Result<(), Fault> {
        self.progress.phase(Phase::StaticEntitlements);
        tracing::info!("Syncing static entitlements...");
        for kind in types {
            let mut templates = Vec::new();
            let list = List::StaticEntitlements {
                kind: kind.id.clone(),
            };
            for rows in self.whole(list).await? {
                if let Rows::Entitlements(list) = rows {
                    templates.extend(list);
                }
            }
            if !templates.is_empty() {
                self.apply(&templates, kind).await?;
            }
        }
        Ok(())
    }

    async fn apply(&self, templates: &[c1::Entitlement], kind: &TypePlan) -> Result<(), Fault> {
        let mut made = 0;
        let mut after = 0;
        loop {
            let batch = self.writer.resources(&kind.id, after, BATCH).await?;
            let Some(last) = batch.last() else { return Ok(()) };
            after = last.row;
            let entitlements = batch
                .iter()
                .flat_map(|stored| {
                    templates
                        .iter()
                        .map(|template| instantiate(template, &stored.resource))
                })
                .collect::<Result<Vec<_>, Fault>>()?;
            made += entitlements.len() as u64;
            self.writer.put(Rows::Entitlements(entitlements)).await?;
            self.progress.rows(Phase::StaticEntitlements, &kind.id, made);
        }
    }

    /// A short listing, all of it.
    async fn whole(&self, list: List) -> Result<Vec<Rows>, Fault> {
        let mut pages = Vec::new();
        let mut chain = Chain::start(list);
        loop {
            let page = self.page(&chain).await?;
            pages.push(page.rows);
            match chain.follow(page.next, Vec::new())?.pop() {
                Some(next) => chain = next,
                None => return Ok(pages),
            }
        }
    }

    /// A long listing: many chains, `workers` pages at a time, rows stored as they come.
    async fn step(&self, step: Step, phase: Phase, plan: &Plan) -> Result<(), Fault> {
        self.progress.phase(phase);
        self.state().current.clear();
        let mut feed = Feed::new(step, &plan.types, self.writer);
        let mut waiting: VecDeque<Chain> = VecDeque::new();
        let mut running = FuturesUnordered::new();
        let mut all_started = false;
        loop {
            while running.len() < self.options.workers.get() {
                // Started listings first: memory then holds few of them.
                let mut chain = waiting.pop_front();
                if chain.is_none() && !all_started {
                    chain = feed.next().await?;
                    all_started = chain.is_none();
                }
                let Some(chain) = chain else { break };
                running.push(self.visit(chain, phase, plan));
            }
            match running.next().await {
                Some(more) => waiting.extend(more?),
                None => break,
            }
        }
        self.step_done(step, plan)
    }

    /// Reads and stores the page at which a chain stands; answers the chains that go on.
    async fn visit(&self, chain: Chain, phase: Phase, plan: &Plan) -> Result<Vec<Chain>, Fault> {
        let list = &chain.listed.list;
        let page = match self.page(&chain).await {
            Err(fault) if *fault.kind() == FaultKind::NotFound => {
                self.vanished(list, fault)?;
                return Ok(Vec::new());
            }
            page => page?,
        };
        let siblings = match list {
            List::Entitlements(_) | List::Grants(_) => siblings(&page.annotations, &page.next)?,
            List::ResourceTypes | List::Resources { .. } | List::StaticEntitlements { .. } => Vec::new(),
        };
        let rows = self.admit(list, page.rows, plan)?;
        let count = rows.len() as u64;
        self.writer.put(rows).await?;
        let more = chain.follow(page.next, siblings)?;
        self.count(list, phase, count, more.is_empty());
        Ok(more)
    }

    async fn page(&self, chain: &Chain) -> Result<super::page::Page, Fault> {
        let list = &chain.listed.list;
        list.page(
            self.source,
            self.writer.run_id(),
            &chain.token,
            self.options.patience,
        )
        .await
        .map_err(|fault| fault.context(list.name()))
    }

    /// Checks the rows of a page and leaves out those of types that are not synced.
    fn admit(&self, list: &List, rows: Rows, plan: &Plan) -> Result<Rows, Fault> {
        let before = rows.len();
        let rows = match rows {
            Rows::Resources(rows) => {
                let asked = plan.kind(list.kind());
                let asked = asked.ok_or_else(|| Fault::internal("resources of an unplanned type"))?;
                rows.iter().try_for_each(|row| check_resource(row, asked))?;
                Rows::Resources(rows)
            }
            Rows::Entitlements(rows) => {
                let mut kept = Vec::with_capacity(rows.len());
                for row in rows {
                    if admit_entitlement(&row, plan)? {
                        kept.push(row);
                    }
                }
                Rows::Entitlements(kept)
            }
            Rows::Grants(rows) => {
                let mut kept = Vec::with_capacity(rows.len());
                for mut row in rows {
                    if admit_grant(&mut row, plan)? {
                        kept.push(row);
                    }
                }
                Rows::Grants(kept)
            }
            Rows::ResourceTypes(rows) => Rows::ResourceTypes(rows),
        };
        self.state().tally.dropped += (before - rows.len()) as u64;
        Ok(rows)
    }

    /// One resource that is gone since it was listed is the course of things. Anything else that is not found would silently cost
    /// the rest of its listing, so it ends the sync.
    fn vanished(&self, list: &List, fault: Fault) -> Result<(), Fault> {
        let (List::Entitlements(Of::Resource(resource)) | List::Grants(Of::Resource(resource))) = list else {
            return Err(fault);
        };
        let id = resource.id.as_ref();
        tracing::warn!(
            resource_type_id = id.map(|id| id.resource_type.as_str()),
            resource_id = id.map(|id| id.resource.as_str()),
            "skipping resource due to not found"
        );
        let mut state = self.state();
        state.tally.vanished += 1;
        state.tally.visited += 1;
        Ok(())
    }

    fn count(&self, list: &List, phase: Phase, rows: u64, chain_ended: bool) {
        let kind = list.kind();
        let mut state = self.state();
        let State {
            tally,
            resources,
            current,
        } = &mut *state;
        if matches!(list, List::Resources { .. }) {
            *resources.entry(kind.to_owned()).or_default() += rows;
        }
        let now = current.entry(kind.to_owned()).or_default();
        now.rows += rows;
        let by_resource = matches!(
            list,
            List::Entitlements(Of::Resource(_)) | List::Grants(Of::Resource(_))
        );
        if by_resource && chain_ended {
            now.resources_done += 1;
            tally.visited += 1;
        }
        let due = now.reported.is_none_or(|last| last.elapsed() >= REPORT_EVERY);
        if due && matches!(list, List::Entitlements(_) | List::Grants(_)) {
            now.reported = Some(Instant::now());
            now.report(
                list,
                by_resource.then(|| resources.get(kind).copied().unwrap_or(0)),
            );
        }
        let total = now.rows;
        drop(state);
        self.progress.rows(phase, kind, total);
    }

    fn step_done(&self, step: Step, plan: &Plan) -> Result<(), Fault> {
        let state = self.state();
        for kind in plan
            .types
            .iter()
            .filter(|kind| step.listing(kind) != Listing::Skipped)
        {
            let total = state.resources.get(&kind.id).copied().unwrap_or(0);
            let rows = state.current.get(&kind.id).map_or(0, |current| current.rows);
            let resource_type_id = kind.id.as_str();
            match step {
                Step::Resources => tracing::info!(resource_type_id, count = total, "Synced resources"),
                Step::Entitlements => {
                    tracing::info!(
                        resource_type_id,
                        count = total,
                        total,
                        rows,
                        "Synced entitlements"
                    );
                }
                Step::Grants => tracing::info!(resource_type_id, count = total, total, rows, "Synced grants"),
            }
        }
        let Tally {
            vanished, visited, ..
        } = &state.tally;
        if *vanished > VANISHED_TOLERATED && *vanished > visited / VANISHED_ONE_IN {
            return Err(Fault::corrupt(format!(
                "{vanished} of {visited} resources were gone when their access was asked for"
            ))
            .advise("the tenant is being changed massively, or hides what it lists; sync again later"));
        }
        Ok(())
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Counters are whole after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    /// `total`: resources to visit; `None` where a whole type is one listing.
    #[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
    fn report(&self, list: &List, total: Option<u64>) {
        let resource_type_id = list.kind();
        let rows = self.rows;
        let synced = total.map(|_| self.resources_done);
        let percent_complete = total.map(|total| self.resources_done as f64 * 100.0 / total.max(1) as f64);
        let what = match list {
            List::Grants(_) => "grants",
            _ => "entitlements",
        };
        tracing::info!(
            resource_type_id,
            rows,
            synced,
            total,
            percent_complete,
            "Syncing {what}"
        );
    }
}

/// A run with rows that point to nothing must not be published: what they pointed to would be missing.
fn refuse_dangling(dangling: &Dangling) -> Result<(), Fault> {
    if *dangling == Dangling::default() {
        return Ok(());
    }
    let Dangling {
        resources_without_type,
        entitlements_without_resource,
        grants_without_entitlement,
        grants_without_principal,
    } = dangling;
    let parts = [
        (resources_without_type, "resources of an unknown type"),
        (
            entitlements_without_resource,
            "entitlements on an unknown resource",
        ),
        (grants_without_entitlement, "grants of an unknown entitlement"),
        (grants_without_principal, "grants to an unknown principal"),
    ];
    let found: Vec<String> = parts
        .iter()
        .filter(|(count, _)| **count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    Err(
        Fault::corrupt(format!("the listing contradicts itself: {}", found.join(", ")))
            .advise("the tenant was probably changed during the sync; sync again"),
    )
}
