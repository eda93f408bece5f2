//! The services that read: each hands its request to the connector's method of the same name.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tonic::{Request, async_trait};

use crate::connector::{Connector, SDK_VERSION};
use crate::model::fault::Fault;
use crate::proto::connector as c1;
use crate::proto::connector::connector_service_server::ConnectorService;
use crate::proto::connector::entitlements_service_server::EntitlementsService;
use crate::proto::connector::grants_service_server::GrantsService;
use crate::proto::connector::resource_getter_service_server::ResourceGetterService;
use crate::proto::connector::resource_types_service_server::ResourceTypesService;
use crate::proto::connector::resources_service_server::ResourcesService;
use crate::server::call::{Reply, answer, respond};

/// How long a caller waits for the tenant to be checked: callers' health checks allow 30 s.
const VALIDATE: Duration = Duration::from_secs(20);

fn slow() -> Fault {
    Fault::unavailable("Coupa did not answer in time")
        .advise("try again; the log says what it is waiting for")
}

/// Answers from the connector.
pub(super) struct Reader {
    connector: Arc<Connector>,
}

impl Reader {
    pub(super) const fn new(connector: Arc<Connector>) -> Self {
        Self { connector }
    }
}

#[async_trait]
impl ConnectorService for Reader {
    async fn validate(
        &self,
        request: Request<c1::ConnectorServiceValidateRequest>,
    ) -> Reply<c1::ConnectorServiceValidateResponse> {
        let checked = timeout(VALIDATE, self.connector.validate()).await;
        let response =
            checked
                .unwrap_or_else(|_| Err(slow()))
                .map(|()| c1::ConnectorServiceValidateResponse {
                    annotations: Vec::new(),
                    sdk_version: SDK_VERSION.to_owned(),
                });
        respond(&request, response)
    }

    async fn get_metadata(
        &self,
        request: Request<c1::ConnectorServiceGetMetadataRequest>,
    ) -> Reply<c1::ConnectorServiceGetMetadataResponse> {
        let metadata = Some(self.connector.metadata());
        respond(&request, Ok(c1::ConnectorServiceGetMetadataResponse { metadata }))
    }

    async fn cleanup(
        &self,
        request: Request<c1::ConnectorServiceCleanupRequest>,
    ) -> Reply<c1::ConnectorServiceCleanupResponse> {
        answer(&request, self.connector.cleanup(request.get_ref())).await
    }
}

#[async_trait]
impl ResourceTypesService for Reader {
    async fn list_resource_types(
        &self,
        request: Request<c1::ResourceTypesServiceListResourceTypesRequest>,
    ) -> Reply<c1::ResourceTypesServiceListResourceTypesResponse> {
        answer(&request, self.connector.list_resource_types(request.get_ref())).await
    }
}

#[async_trait]
impl ResourcesService for Reader {
    async fn list_resources(
        &self,
        request: Request<c1::ResourcesServiceListResourcesRequest>,
    ) -> Reply<c1::ResourcesServiceListResourcesResponse> {
        answer(&request, self.connector.list_resources(request.get_ref())).await
    }
}

#[async_trait]
impl ResourceGetterService for Reader {
    async fn get_resource(
        &self,
        request: Request<c1::ResourceGetterServiceGetResourceRequest>,
    ) -> Reply<c1::ResourceGetterServiceGetResourceResponse> {
        answer(&request, self.connector.get_resource(request.get_ref())).await
    }
}

#[async_trait]
impl EntitlementsService for Reader {
    async fn list_entitlements(
        &self,
        request: Request<c1::EntitlementsServiceListEntitlementsRequest>,
    ) -> Reply<c1::EntitlementsServiceListEntitlementsResponse> {
        answer(&request, self.connector.list_entitlements(request.get_ref())).await
    }

    async fn list_static_entitlements(
        &self,
        request: Request<c1::EntitlementsServiceListStaticEntitlementsRequest>,
    ) -> Reply<c1::EntitlementsServiceListStaticEntitlementsResponse> {
        answer(
            &request,
            self.connector.list_static_entitlements(request.get_ref()),
        )
        .await
    }
}

#[async_trait]
impl GrantsService for Reader {
    async fn list_grants(
        &self,
        request: Request<c1::GrantsServiceListGrantsRequest>,
    ) -> Reply<c1::GrantsServiceListGrantsResponse> {
        answer(&request, self.connector.list_grants(request.get_ref())).await
    }
}
