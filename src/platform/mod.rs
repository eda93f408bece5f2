//! The daemon: tasks of the platform in, answers and sync files out.
//!
//! ```text
//! hello ─► poll ─► task (what is asked for?) ─► worker ─┬► perform    one call of the connector
//!           ▲                                           ├► sync_task ─► upload, heartbeat
//!           │                                           └► finish     how it ended
//! port: what is asked of the platform ◄─ client ◄─ token ◄─ assertion ◄─ credentials
//! ```
//!
//! Invariant: a task that was claimed is finished, with an answer or an error, unless the platform called it off.

mod assertion;
mod backoff;
mod client;
mod config;
mod credentials;
#[cfg(test)]
mod fake;
mod finish;
mod health;
mod heartbeat;
mod hello;
mod host;
mod interval;
mod perform;
mod poll;
mod port;
mod sync_task;
mod task;
#[cfg(test)]
mod tests;
mod token;
mod upload;
mod worker;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use config::{Asking, FullSync, PlatformConfig};
pub use credentials::{CredentialError, Credentials, Host};
pub use health::{HealthServer, check};
pub use host::{HostId, NotAHostId};
pub use sync_task::SyncDefaults;

use self::client::Client;
use self::health::Stage;
use self::host::Facts;
use self::poll::Desk;
use self::port::Platform;
use self::sync_task::Syncs;
use self::token::{ByAssertion, Tokens};
use self::worker::Worker;
use crate::connector::Connector;
use crate::model::fault::Fault;

/// Does what the platform asks for.
pub struct Daemon {
    platform: Arc<dyn Platform>,
    connector: Arc<Connector>,
    syncs: Syncs,
    asking: Asking,
    slots: usize,
    stage: watch::Sender<Stage>,
}

impl Daemon {
    /// A daemon over `connector`. Connects when it runs; fails where this machine has no TLS to connect with.
    pub fn new(
        config: PlatformConfig,
        connector: Arc<Connector>,
        syncs: SyncDefaults,
    ) -> Result<Self, Fault> {
        let credentials = config.credentials;
        let name = credentials.name().to_owned();
        let host = config.api_host.unwrap_or_else(|| credentials.host().clone());
        let tokens = Tokens::new(Box::new(ByAssertion::new(credentials, &host)?));
        let client = Client::new(&name, &host, tokens, Facts::find(config.host_id))?;
        let syncs = Syncs {
            source: connector.clone(),
            defaults: syncs,
            full_sync: config.full_sync,
        };
        let slots = config.concurrency.get();
        Ok(Self::over(
            Arc::new(client),
            connector,
            syncs,
            config.asking,
            slots,
        ))
    }

    fn over(
        platform: Arc<dyn Platform>,
        connector: Arc<Connector>,
        syncs: Syncs,
        asking: Asking,
        slots: usize,
    ) -> Self {
        Self {
            platform,
            connector,
            syncs,
            asking,
            slots,
            stage: watch::Sender::new(Stage::Starting),
        }
    }

    /// Answers health checks on `address` from now on.
    pub async fn health(&self, address: SocketAddr) -> Result<HealthServer, Fault> {
        HealthServer::bind(address, self.connector.clone(), self.stage.subscribe()).await
    }

    /// Introduces the connector, then does tasks until `stop` fires; ends within 18 seconds of that. Fails only where the platform will
    /// not have us, with the code it says so by.
    pub async fn run(self, stop: &CancellationToken) -> Result<(), Fault> {
        let introduction = hello::introduce(&*self.platform, &self.connector);
        match stop.run_until_cancelled(introduction).await {
            None => return Ok(()),
            Some(outcome) => outcome?,
        }
        self.stage.send_replace(Stage::Ready);
        tracing::info!(tasks = self.slots, "introduced to the platform; asking for tasks");
        let stopping = async {
            stop.cancelled().await;
            self.stage.send_replace(Stage::Stopping);
            std::future::pending::<()>().await;
        };
        let worker = Arc::new(Worker {
            platform: self.platform.clone(),
            connector: self.connector.clone(),
            syncs: self.syncs,
            stop: stop.clone(),
            over: CancellationToken::new(),
        });
        let desk = Desk::new(worker, self.asking, self.slots);
        tokio::select! {
            () = desk.serve() => Ok(()),
            () = stopping => Ok(()),
        }
    }
}
