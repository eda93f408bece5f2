//! The handle by which async code writes a run: a thread owns the database, a bounded channel leads to it.
//!
//! Invariant: the async side never waits for the disk other than by waiting for room in the channel; rows are stored and
//! questions are answered in the order in which they were sent. Dropping the handle gives the run up.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Settings;
use super::database::Database;
use super::error::cancelled;
use super::run::{RunKind, Stats};
use crate::model::fault::Fault;
use crate::proto::connector as c1;

/// Batches that may wait for the disk. A batch is one page of the connector, under 4 MiB.
const QUEUE: usize = 8;

/// Rows of one kind.
pub enum Rows {
    /// Resource types.
    ResourceTypes(Vec<c1::ResourceType>),
    /// Resources.
    Resources(Vec<c1::Resource>),
    /// Entitlements.
    Entitlements(Vec<c1::Entitlement>),
    /// Grants.
    Grants(Vec<c1::Grant>),
}

impl Rows {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::ResourceTypes(list) => list.len(),
            Self::Resources(list) => list.len(),
            Self::Entitlements(list) => list.len(),
            Self::Grants(list) => list.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A resource of the run being written.
pub struct StoredResource {
    /// Where to go on reading.
    pub row: i64,
    /// The resource as it was stored.
    pub resource: c1::Resource,
}

/// A principal of a grant of the run being written that is not among its resources.
pub struct MissingPrincipal {
    /// Where to go on reading.
    pub row: i64,
    /// Its type and id.
    pub id: c1::ResourceId,
}

/// How many rows of a run point to something the run does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dangling {
    /// Resources of a type that was not stored.
    pub resources_without_type: u64,
    /// Entitlements on a resource that was not stored.
    pub entitlements_without_resource: u64,
    /// Grants of an entitlement that was not stored.
    pub grants_without_entitlement: u64,
    /// Grants to a principal that was not stored.
    pub grants_without_principal: u64,
}

/// A file that was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The file.
    pub path: PathBuf,
    /// Size of the database in it.
    pub decompressed_bytes: u64,
    /// Size of the file.
    pub compressed_bytes: u64,
}

enum Job {
    Put(Rows),
    Resources {
        kind: String,
        after: i64,
        limit: u32,
        reply: oneshot::Sender<Vec<StoredResource>>,
    },
    MissingPrincipals {
        after: i64,
        limit: u32,
        reply: oneshot::Sender<Vec<MissingPrincipal>>,
    },
    Dangling(oneshot::Sender<Dangling>),
    Seal(oneshot::Sender<(Saved, Stats)>),
}

/// A run being written.
pub struct Writer {
    run_id: String,
    jobs: mpsc::Sender<Job>,
    thread: JoinHandle<()>,
    /// The first failure of the thread, after which it takes no more jobs.
    failure: Arc<OnceLock<Fault>>,
    stop: DropGuard,
}

impl Writer {
    /// Starts a run in the file `path`, for the tenant with that key.
    ///
    /// Fails before anything is read from the tenant if the existing file cannot be continued (another format, damage, another
    /// sync at work) or its directory cannot be written. When `cancel` fires, sealing stops while it still can.
    pub async fn begin(
        path: &Path,
        tenant: &str,
        kind: RunKind,
        settings: &Settings,
        cancel: &CancellationToken,
    ) -> Result<Self, Fault> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (ready, started) = oneshot::channel();
        let failure = Arc::new(OnceLock::new());
        let stop = cancel.child_token();
        let thread = {
            let (path, tenant, settings) = (path.to_owned(), tenant.to_owned(), settings.clone());
            let (failure, stop) = (Arc::clone(&failure), stop.clone());
            tokio::task::spawn_blocking(move || {
                let outcome = Database::begin(&path, &tenant, kind, &settings, &stop).and_then(|database| {
                    // Nobody listens any more: the sync was called off.
                    ready
                        .send(database.run_id().to_owned())
                        .map_err(|_| cancelled())?;
                    work(database, queue, &stop)
                });
                if let Err(fault) = outcome {
                    // Set once: a thread fails once.
                    let _ = failure.set(fault);
                }
            })
        };
        let begun = started.await;
        let mut writer = Self {
            run_id: String::new(),
            jobs,
            thread,
            failure,
            stop: stop.drop_guard(),
        };
        if let Ok(run_id) = begun {
            writer.run_id = run_id;
            return Ok(writer);
        }
        writer.joined().await;
        Err(writer.fault())
    }

    /// Id of the run.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// Hands rows over. A failure to store them shows at this or a later call.
    pub async fn put(&self, rows: Rows) -> Result<(), Fault> {
        if rows.is_empty() {
            return Ok(());
        }
        self.send(Job::Put(rows)).await
    }

    /// Up to `limit` resources of a type, of all that were handed over before, after row `after` (0 is the start).
    pub async fn resources(&self, kind: &str, after: i64, limit: u32) -> Result<Vec<StoredResource>, Fault> {
        let (reply, answer) = oneshot::channel();
        let kind = kind.to_owned();
        self.send(Job::Resources {
            kind,
            after,
            limit,
            reply,
        })
        .await?;
        answer.await.map_err(|_| self.fault())
    }

    /// Up to `limit` principals of grants without a resource, of all that were handed over before the call with `after` 0 (the start),
    /// after row `after`.
    pub async fn missing_principals(&self, after: i64, limit: u32) -> Result<Vec<MissingPrincipal>, Fault> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::MissingPrincipals { after, limit, reply }).await?;
        answer.await.map_err(|_| self.fault())
    }

    /// Counts what points to nothing.
    pub async fn dangling(&self) -> Result<Dangling, Fault> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Dangling(reply)).await?;
        answer.await.map_err(|_| self.fault())
    }

    /// Marks the run finished and replaces the file.
    pub async fn seal(mut self) -> Result<(Saved, Stats), Fault> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Seal(reply)).await?;
        let outcome = answer.await;
        self.joined().await;
        outcome.map_err(|_| self.fault())
    }

    /// Gives the run up and waits until its working files are gone. The file stays as it was.
    pub async fn abandon(self) {
        let Self {
            jobs, thread, stop, ..
        } = self;
        drop(stop);
        drop(jobs);
        // A panic in the thread changes nothing here: the run is given up either way.
        let _ = thread.await;
    }

    async fn send(&self, job: Job) -> Result<(), Fault> {
        self.jobs.send(job).await.map_err(|_| self.fault())
    }

    async fn joined(&mut self) {
        // Only a panic makes this fail, and `fault` then says so.
        let _ = (&mut self.thread).await;
    }

    fn fault(&self) -> Fault {
        let known = self.failure.get().cloned();
        known.unwrap_or_else(|| Fault::internal("the writer of the sync file ended unexpectedly"))
    }
}

/// Does the jobs until the last one, or until nobody is left to send any.
fn work(
    mut database: Database,
    mut queue: mpsc::Receiver<Job>,
    stop: &CancellationToken,
) -> Result<(), Fault> {
    while let Some(job) = queue.blocking_recv() {
        if stop.is_cancelled() {
            return Err(cancelled());
        }
        // A reply that nobody awaits is of no use to anybody.
        match job {
            Job::Put(rows) => database.put(&rows)?,
            Job::Resources {
                kind,
                after,
                limit,
                reply,
            } => {
                let _ = reply.send(database.resources(&kind, after, limit)?);
            }
            Job::MissingPrincipals { after, limit, reply } => {
                let _ = reply.send(database.missing_principals(after, limit)?);
            }
            Job::Dangling(reply) => {
                let _ = reply.send(database.dangling()?);
            }
            Job::Seal(reply) => {
                let _ = reply.send(database.seal(stop)?);
                return Ok(());
            }
        }
    }
    Ok(())
}
