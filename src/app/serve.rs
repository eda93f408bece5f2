//! `serve`: the connector over gRPC until a signal comes.

use super::{signals, tenant};
use crate::config::{Clients, Security, ServeSettings};
use crate::model::fault::Fault;
use crate::server::{Server, ServerConfig, ServerOptions};

pub(super) async fn run(settings: ServeSettings) -> Result<(), Fault> {
    let stop = signals::cancelled_by_signal()?;
    let config =
        ServerConfig::new(options(&settings)).map_err(|problems| Fault::invalid(problems.join("; ")))?;
    let composed = tenant::compose(&settings.tenant, |_| None).await?;
    let bound = Server::bind(config, composed.connector.clone()).await?;
    tracing::info!(address = %bound.local_addr(), health = ?bound.health_addr(), "serving c1.connector.v2");
    bound.run(stop).await
}

fn options(settings: &ServeSettings) -> ServerOptions {
    let mut options = ServerOptions::at(settings.listen);
    options.health_listen = settings.health_listen;
    if let Security::Tls { identity, clients } = &settings.security {
        options.tls_cert = Some(identity.cert.clone());
        options.tls_key = Some(identity.key.clone());
        match clients {
            Clients::Any => options.tls_allow_any_client = true,
            Clients::SignedBy { authorities, names } => {
                options.tls_client_ca = Some(authorities.clone());
                options.tls_allowed_clients.clone_from(names);
            }
        }
    }
    options
}
