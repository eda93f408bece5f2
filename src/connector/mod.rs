//! The connector: what the platform asks, answered from the tenant. Speaks the protocol's messages, knows neither gRPC
//! transport nor HTTP nor SQL; the server, the syncer and the daemon all call this one type, so they cannot drift.

use std::sync::Arc;

use crate::model::baseline::Baselines;
use crate::model::fault::Fault;
use crate::model::tenant::Tenant;
use crate::proto::connector as c1;

/// Answers every read of the protocol.
pub struct Connector {
    tenant: Arc<dyn Tenant>,
}

impl Connector {
    /// A connector over `tenant`.
    pub fn new(tenant: Arc<dyn Tenant>, _baselines: Arc<dyn Baselines>) -> Self {
        Self { tenant }
    }

    /// Proves that the tenant can be read.
    pub async fn validate(&self) -> Result<(), Fault> {
        self.tenant.check().await
    }

    /// How the connector presents itself.
    pub fn metadata(&self) -> c1::ConnectorMetadata {
        c1::ConnectorMetadata::default()
    }

    /// Resource types.
    pub async fn list_resource_types(
        &self,
        _request: &c1::ResourceTypesServiceListResourceTypesRequest,
    ) -> Result<c1::ResourceTypesServiceListResourceTypesResponse, Fault> {
        Err(Fault::internal("not built yet"))
    }

    /// Resources of one type.
    pub async fn list_resources(
        &self,
        _request: &c1::ResourcesServiceListResourcesRequest,
    ) -> Result<c1::ResourcesServiceListResourcesResponse, Fault> {
        Err(Fault::internal("not built yet"))
    }

    /// One resource, fresh.
    pub async fn get_resource(
        &self,
        _request: &c1::ResourceGetterServiceGetResourceRequest,
    ) -> Result<c1::ResourceGetterServiceGetResourceResponse, Fault> {
        Err(Fault::internal("not built yet"))
    }

    /// Entitlements of a resource or a type.
    pub async fn list_entitlements(
        &self,
        _request: &c1::EntitlementsServiceListEntitlementsRequest,
    ) -> Result<c1::EntitlementsServiceListEntitlementsResponse, Fault> {
        Err(Fault::internal("not built yet"))
    }

    /// Templates of entitlements.
    pub async fn list_static_entitlements(
        &self,
        _request: &c1::EntitlementsServiceListStaticEntitlementsRequest,
    ) -> Result<c1::EntitlementsServiceListStaticEntitlementsResponse, Fault> {
        Err(Fault::internal("not built yet"))
    }

    /// Grants of a resource or a type.
    pub async fn list_grants(
        &self,
        _request: &c1::GrantsServiceListGrantsRequest,
    ) -> Result<c1::GrantsServiceListGrantsResponse, Fault> {
        Err(Fault::internal("not built yet"))
    }

    /// Forgets what was kept for a sync.
    pub async fn cleanup(
        &self,
        _request: &c1::ConnectorServiceCleanupRequest,
    ) -> Result<c1::ConnectorServiceCleanupResponse, Fault> {
        Err(Fault::internal("not built yet"))
    }
}
