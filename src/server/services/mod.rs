//! Every service of the protocol, registered on one router.
//!
//! Invariant: whatever a Go runner may call answers (connector-protocol, section 3), with the same limits for all:
//! requests up to 4 MiB, gzip understood but never sent.

mod absent;
mod provisioning;
mod read;

use std::sync::Arc;

use tonic::codec::CompressionEncoding;
use tonic::server::NamedService;
use tonic::service::Routes;

use self::absent::Absent;
use self::provisioning::Writer;
use self::read::Reader;
use super::call::MAX_MESSAGE;
use super::limiter::Limiter;
use crate::connector::Connector;
use crate::model::fault::Fault;
use crate::proto::DESCRIPTORS;
use crate::proto::connector::account_manager_service_server::AccountManagerServiceServer;
use crate::proto::connector::action_service_server::ActionServiceServer;
use crate::proto::connector::asset_service_server::AssetServiceServer;
use crate::proto::connector::connector_service_server::ConnectorServiceServer;
use crate::proto::connector::credential_manager_service_server::CredentialManagerServiceServer;
use crate::proto::connector::entitlements_service_server::EntitlementsServiceServer;
use crate::proto::connector::event_service_server::EventServiceServer;
use crate::proto::connector::grant_manager_service_server::GrantManagerServiceServer;
use crate::proto::connector::grants_service_server::GrantsServiceServer;
use crate::proto::connector::resource_deleter_service_server::ResourceDeleterServiceServer;
use crate::proto::connector::resource_getter_service_server::ResourceGetterServiceServer;
use crate::proto::connector::resource_manager_service_server::ResourceManagerServiceServer;
use crate::proto::connector::resource_types_service_server::ResourceTypesServiceServer;
use crate::proto::connector::resources_service_server::ResourcesServiceServer;
use crate::proto::connector::tickets_service_server::TicketsServiceServer;
use crate::proto::ratelimit::rate_limiter_service_server::RateLimiterServiceServer;

/// Registers each service with the common limits; gives their names.
macro_rules! register {
    ($routes:expr; $($server:ident($service:expr)),+ $(,)?) => {
        [$({
            let server = $server::from_arc(Arc::clone(&$service))
                .max_decoding_message_size(MAX_MESSAGE)
                .accept_compressed(CompressionEncoding::Gzip);
            let name = name_of(&server);
            $routes.add_service(server);
            name
        }),+]
    };
}

const fn name_of<S: NamedService>(_: &S) -> &'static str {
    S::NAME
}

/// All services over `connector`, and reflection, which lists them and no other service of the protocol's files.
pub(super) fn routes(connector: Arc<Connector>, limiter: Limiter) -> Result<Routes, Fault> {
    let reader = Arc::new(Reader::new(Arc::clone(&connector)));
    let writer = Arc::new(Writer::new(connector));
    let absent = Arc::new(Absent);
    let limiter = Arc::new(limiter);
    let mut routes = Routes::builder();
    let served = register!(routes;
        RateLimiterServiceServer(limiter),
        ConnectorServiceServer(reader),
        ResourceTypesServiceServer(reader),
        ResourcesServiceServer(reader),
        ResourceGetterServiceServer(reader),
        EntitlementsServiceServer(reader),
        GrantsServiceServer(reader),
        GrantManagerServiceServer(writer),
        ResourceManagerServiceServer(writer),
        ResourceDeleterServiceServer(writer),
        AccountManagerServiceServer(writer),
        CredentialManagerServiceServer(writer),
        ActionServiceServer(writer),
        EventServiceServer(absent),
        TicketsServiceServer(absent),
        AssetServiceServer(absent),
    );
    let reflection = || {
        let all =
            tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(DESCRIPTORS);
        served
            .iter()
            .fold(all, |builder, name| builder.with_service_name(*name))
    };
    let broken = |error| Fault::internal("the embedded protocol description is broken").because(error);
    routes.add_service(reflection().build_v1().map_err(broken)?);
    routes.add_service(reflection().build_v1alpha().map_err(broken)?);
    Ok(routes.routes())
}
