//! A sandbox tenant and one sync of it, composed in process from the same parts as the program.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton_coupa::c1z;
use baton_coupa::connector::{Connector, ConnectorConfig};
use baton_coupa::coupa::{Coupa, CoupaConfig, Endpoint};
use baton_coupa::model::baseline::{Baseline, Baselines};
use baton_coupa::model::fault::Fault;
use baton_coupa::sandbox::{Running, Sandbox, SandboxConfig};
use baton_coupa::sync::{Depth, Patience, Scope, Silent, SyncOptions, SyncSummary, Syncer, Target, Targets};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

/// Baselines kept in memory.
#[derive(Default)]
pub struct Remembered(Mutex<Option<Baseline>>);

impl Baselines for Remembered {
    fn last(&self) -> Result<Option<Baseline>, Fault> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn record(&self, baseline: &Baseline) -> Result<(), Fault> {
        *self.0.lock().unwrap() = Some(baseline.clone());
        Ok(())
    }
}

/// Starts a sandbox on a free port.
pub async fn start(config: SandboxConfig) -> Running {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Sandbox::start(config, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), None)
        .await
        .unwrap()
}

/// A client of `sandbox` that does not dawdle: the pace and the waits of a test.
pub fn client(sandbox: &Running) -> CoupaConfig {
    let endpoint = Endpoint::from_base_url(&sandbox.base_url()).unwrap();
    let secret = SecretString::from(sandbox.client_secret());
    let mut config = CoupaConfig::new(endpoint, sandbox.client_id().to_owned(), secret);
    config.requests_per_second = NonZeroU32::new(10_000).unwrap();
    config.burst = config.requests_per_second;
    config.timeouts.request = Duration::from_secs(3);
    config.timeouts.first_wait = Duration::from_millis(20);
    config.timeouts.longest_wait = Duration::from_secs(1);
    config
}

/// A connector over `config` with `baselines`.
pub fn connector(
    config: CoupaConfig,
    baselines: Arc<dyn Baselines>,
    settings: ConnectorConfig,
) -> Arc<Connector> {
    Arc::new(Connector::new(
        Arc::new(Coupa::new(config).unwrap()),
        baselines,
        None,
        settings,
    ))
}

/// One full sync of `connector` into `file`.
pub async fn sync(connector: Arc<Connector>, file: &Path) -> Result<SyncSummary, Fault> {
    sync_scope(connector, file, Scope::Full).await
}

/// One targeted sync of `connector` into `file`: these resources, by type and id, and who holds them.
pub async fn targeted(
    connector: Arc<Connector>,
    file: &Path,
    targets: &[(&str, String)],
) -> Result<SyncSummary, Fault> {
    let resources = targets.iter().map(|(kind, id)| Target {
        resource_type: (*kind).to_owned(),
        resource: id.clone(),
    });
    let targets = Targets::new(resources, Depth::Grants)?;
    sync_scope(connector, file, Scope::Targeted(targets)).await
}

async fn sync_scope(connector: Arc<Connector>, file: &Path, scope: Scope) -> Result<SyncSummary, Fault> {
    let options = SyncOptions {
        file: file.to_owned(),
        tenant: "test".to_owned(),
        scope,
        resource_types: Vec::new(),
        workers: NonZeroUsize::new(4).unwrap(),
        settings: c1z::Settings::default(),
        patience: Patience::default(),
    };
    Syncer::new(connector, options)
        .run(&CancellationToken::new(), &Silent)
        .await
}
