//! The gRPC server: the connector over HTTP/2, with TLS, health and reflection.
//!
//! Invariant: this module knows transport and status codes and nothing about Coupa; every answer comes from the connector.
//!
//! ```text
//! listener ─► accept (TLS, bounded) ─► call (log line, panics) ─► services ─► connector
//!                                        └─ requests (rules)      └─ crate::status (Fault → code)
//! ```

mod accept;
mod call;
mod child;
mod config;
mod health;
mod limiter;
mod requests;
mod services;
mod tls;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server as Transport;
use tower::layer::layer_fn;

use self::call::Watched;
use self::limiter::Limiter;
use self::tls::Tls;
use crate::connector::Connector;
use crate::model::fault::Fault;

pub use self::child::{Adopted, LISTENER_FD, Runner, Socket};
pub use self::config::{ClientAuth, ClientName, ServerConfig, ServerOptions, TlsFiles, TlsMode};

/// Default of [`Bound::drain_within`]: a little more than the longest call (20 s).
const DRAIN: Duration = Duration::from_secs(25);
/// Calls at once on one connection; a syncer sends as many as it has workers.
const STREAMS: u32 = 256;
/// A peer that answers no ping for this long is gone.
const PING: Duration = Duration::from_mins(1);

/// The server, not yet listening.
pub struct Server;

impl Server {
    /// Reads the TLS files and opens the listeners. Port 0 takes a free one; [`Bound`] tells which.
    pub async fn bind(config: ServerConfig, connector: Arc<Connector>) -> Result<Bound, Fault> {
        let tls = match config.tls() {
            TlsMode::Plaintext => None,
            TlsMode::Tls(files) => Some(Arc::new(Tls::load(files.clone())?)),
        };
        let routes = services::routes(connector, Limiter::Off)?;
        let main = Listener::open("--listen", config.listen()).await?;
        let health = match config.health_listen() {
            Some(addr) => Some(Listener::open("--health-listen", addr).await?),
            None => None,
        };
        Ok(Bound {
            main,
            health,
            tls,
            routes,
            drain: DRAIN,
        })
    }
}

struct Listener {
    socket: TcpListener,
    addr: SocketAddr,
}

impl Listener {
    async fn open(flag: &str, addr: SocketAddr) -> Result<Self, Fault> {
        let failed = |error: std::io::Error| {
            Fault::invalid(format!("{flag}: cannot listen on {addr}: {error}"))
                .advise("choose a free port of an address of this machine")
        };
        let socket = TcpListener::bind(addr).await.map_err(failed)?;
        let addr = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, addr })
    }
}

/// A server whose ports are open; connections wait in the system's queue until it runs.
pub struct Bound {
    main: Listener,
    health: Option<Listener>,
    tls: Option<Arc<Tls>>,
    routes: Routes,
    drain: Duration,
}

impl Bound {
    /// Where the protocol is served.
    pub const fn local_addr(&self) -> SocketAddr {
        self.main.addr
    }

    /// Where health is served, if anywhere.
    pub fn health_addr(&self) -> Option<SocketAddr> {
        self.health.as_ref().map(|health| health.addr)
    }

    /// How long calls under way may take after the server was told to stop; 25 s unless said otherwise.
    #[must_use]
    pub const fn drain_within(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// Serves until `shutdown`, then takes no new connections, tells probes so, and lets calls under way finish before
    /// what is left is cut off.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Fault> {
        let cut = CancellationToken::new();
        // Dropping this future must not leave connections behind.
        let _guard = cut.clone().drop_guard();
        let health = self
            .health
            .map(|listener| health::serve(listener.socket, cut.clone()));
        let connections = accept::connections(self.main.socket, self.tls, cut.clone());
        let mut serving = pin!(
            Transport::builder()
                .layer(layer_fn(Watched))
                .max_concurrent_streams(STREAMS)
                .http2_keepalive_interval(Some(PING))
                .add_routes(self.routes)
                .serve_with_incoming_shutdown(connections, shutdown.clone().cancelled_owned())
        );
        let late = async {
            shutdown.cancelled().await;
            if let Some(health) = &health {
                health.draining().await;
            }
            sleep(self.drain).await;
        };
        let ended = tokio::select! {
            ended = &mut serving => ended,
            () = late => {
                tracing::warn!("calls still running after {:?}: cutting them off", self.drain);
                cut.cancel();
                serving.await
            }
        };
        ended.map_err(|error| Fault::internal("the gRPC server stopped").because(error))
    }
}
