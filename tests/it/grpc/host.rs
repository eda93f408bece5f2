//! Servers under test: the real one, behind mutual TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use baton_coupa::connector::{Connector, ConnectorConfig};
use baton_coupa::model::fault::Fault;
use baton_coupa::model::tenant::Tenant;
use baton_coupa::sandbox::Faults;
use baton_coupa::server::{Server, ServerConfig, ServerOptions};
use baton_coupa::snapshot::SnapshotConfig;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::client::Client;
use super::pki::{Authority, Leaf};
use super::tenant::Forgetful;
use super::upstream::{self, Place, Upstream};
use crate::support::truth::{DEFAULT_CLASSES, Ids};

/// The address to ask for a free port.
pub(crate) fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A connector over `tenant` with default settings, except that it does not pause long before it tries again.
pub(crate) fn connector(tenant: Arc<dyn Tenant>) -> Connector {
    let config = ConnectorConfig {
        snapshot: SnapshotConfig {
            pause: Duration::from_millis(20),
            ..SnapshotConfig::default()
        },
        ..ConnectorConfig::default()
    };
    Connector::new(tenant, Arc::new(Forgetful), None, config)
}

/// A server in this process, stopped when dropped.
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    pub(crate) health: Option<SocketAddr>,
    pub(crate) ended: JoinHandle<Result<(), Fault>>,
    pub(crate) stop: CancellationToken,
    _guard: DropGuard,
}

impl Running {
    /// A server that makes no changes.
    pub(crate) async fn start(options: ServerOptions, tenant: Arc<dyn Tenant>) -> Self {
        Self::serve(options, connector(tenant)).await
    }

    pub(crate) async fn serve(options: ServerOptions, connector: Connector) -> Self {
        let config = ServerConfig::new(options).unwrap();
        let bound = Server::bind(config, Arc::new(connector)).await.unwrap();
        let stop = CancellationToken::new();
        Self {
            addr: bound.local_addr(),
            health: bound.health_addr(),
            ended: tokio::spawn(bound.run(stop.clone())),
            _guard: stop.clone().drop_guard(),
            stop,
        }
    }
}

/// Certificates on disk, as `serve` wants them.
pub(crate) struct Keys {
    pub(crate) authority: Authority,
    pub(crate) client: Leaf,
    dir: TempDir,
}

impl Keys {
    pub(crate) fn new() -> Self {
        let authority = Authority::new("test authority");
        let keys = Self {
            client: authority.issue(&["runner.example", "10.1.2.3", "spiffe://example/runner"]),
            authority,
            dir: TempDir::new().unwrap(),
        };
        keys.serve_with(&keys.authority.issue(&["localhost"]));
        std::fs::write(keys.path("ca.pem"), keys.authority.pem()).unwrap();
        keys
    }

    /// Puts another certificate in the server's files.
    pub(crate) fn serve_with(&self, leaf: &Leaf) {
        std::fs::write(self.path("cert.pem"), &leaf.cert).unwrap();
        std::fs::write(self.path("key.pem"), &leaf.key).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        Path::new(self.dir.path()).join(name)
    }

    /// Mutual TLS on a free port.
    pub(crate) fn options(&self) -> ServerOptions {
        ServerOptions {
            tls_cert: Some(self.path("cert.pem")),
            tls_key: Some(self.path("key.pem")),
            tls_client_ca: Some(self.path("ca.pem")),
            ..ServerOptions::at(any_port())
        }
    }
}

/// The whole product with a client connected to it, and the tenant behind it.
pub(crate) struct Real {
    pub(crate) client: Client,
    tenant: Place,
    _running: Running,
    _keys: Keys,
}

impl Real {
    /// What a complete sync must hold.
    pub(crate) fn truth(&self) -> Ids {
        match &self.tenant {
            Place::Sandbox(sandbox) => Ids::of(&sandbox.truth(), &DEFAULT_CLASSES),
            Place::Memory(_) | Place::Ledger(_) | Place::Nowhere => {
                panic!("only the sandbox tells its truth")
            }
        }
    }

    /// From now on the tenant does not answer; or it does again.
    pub(crate) fn set_trouble(&self, troubled: bool) {
        let Place::Sandbox(sandbox) = &self.tenant else {
            panic!("only the sandbox can be in trouble");
        };
        sandbox.set_faults(if troubled {
            upstream::status(503)
        } else {
            Faults::default()
        });
    }

    /// One more user appears.
    pub(crate) fn grow(&self) {
        match &self.tenant {
            Place::Memory(memory) => memory.grow(),
            Place::Sandbox(_) | Place::Ledger(_) | Place::Nowhere => {
                panic!("only the tenant in memory grows")
            }
        }
    }
}

/// The real server in front of a tenant in that state: the sandbox through the Coupa client wherever the sandbox can be in
/// that state, else the tenant in memory.
pub(crate) async fn real_server(upstream: Upstream) -> Real {
    let keys = Keys::new();
    let (port, tenant) = upstream::tenant(upstream).await;
    let mut connector = connector(port);
    if let Place::Ledger(ledger) = &tenant {
        let writes = Arc::clone(ledger);
        connector = connector.with_writes(writes);
    }
    let running = Running::serve(keys.options(), connector).await;
    let config = keys.authority.client(Some(&keys.client));
    Real {
        client: Client::tls(running.addr, config).await.unwrap(),
        tenant,
        _running: running,
        _keys: keys,
    }
}
