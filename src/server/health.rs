//! `grpc.health.v1` on a listener of its own, without TLS, so that probes need no client certificate.
//!
//! Invariant: says nothing but `SERVING` or `NOT_SERVING`, for the whole server (the empty service name).

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, health_reporter};

use super::accept::connections;

/// Answers probes on `listener` until `stop`; the handle changes what they are told.
pub(super) fn serve(listener: TcpListener, stop: CancellationToken) -> Health {
    let (reporter, service) = health_reporter();
    let connections = connections(listener, None, stop.clone());
    tokio::spawn(
        Server::builder()
            .add_service(service)
            .serve_with_incoming_shutdown(connections, stop.cancelled_owned()),
    );
    Health(reporter)
}

/// What probes are told.
pub(super) struct Health(HealthReporter);

impl Health {
    /// From now on probes hear `NOT_SERVING`.
    pub(super) async fn draining(&self) {
        self.0.set_service_status("", ServingStatus::NotServing).await;
    }
}
