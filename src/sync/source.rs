//! What a sync needs of a connector. The connector itself in production; tests put a lying one in its place.

use async_trait::async_trait;

use crate::connector::Connector;
use crate::model::fault::Fault;
use crate::proto::connector as c1;

/// A connector as the syncer sees it.
#[async_trait]
pub trait Source: Send + Sync {
    /// Proves that the tenant can be read.
    async fn validate(&self) -> Result<(), Fault>;

    /// A page of resource types.
    async fn resource_types(
        &self,
        request: &c1::ResourceTypesServiceListResourceTypesRequest,
    ) -> Result<c1::ResourceTypesServiceListResourceTypesResponse, Fault>;

    /// A page of resources of one type.
    async fn resources(
        &self,
        request: &c1::ResourcesServiceListResourcesRequest,
    ) -> Result<c1::ResourcesServiceListResourcesResponse, Fault>;

    /// One resource; [`FaultKind::NotFound`](crate::model::fault::FaultKind::NotFound) if the tenant does not have it.
    async fn resource(
        &self,
        request: &c1::ResourceGetterServiceGetResourceRequest,
    ) -> Result<c1::ResourceGetterServiceGetResourceResponse, Fault>;

    /// A page of entitlement templates of one type.
    async fn static_entitlements(
        &self,
        request: &c1::EntitlementsServiceListStaticEntitlementsRequest,
    ) -> Result<c1::EntitlementsServiceListStaticEntitlementsResponse, Fault>;

    /// A page of entitlements of one resource or type.
    async fn entitlements(
        &self,
        request: &c1::EntitlementsServiceListEntitlementsRequest,
    ) -> Result<c1::EntitlementsServiceListEntitlementsResponse, Fault>;

    /// A page of grants of one resource or type.
    async fn grants(
        &self,
        request: &c1::GrantsServiceListGrantsRequest,
    ) -> Result<c1::GrantsServiceListGrantsResponse, Fault>;

    /// Forgets what was kept for a run.
    async fn cleanup(&self, run_id: &str) -> Result<(), Fault>;
}

#[async_trait]
impl Source for Connector {
    async fn validate(&self) -> Result<(), Fault> {
        Self::validate(self).await
    }

    async fn resource_types(
        &self,
        request: &c1::ResourceTypesServiceListResourceTypesRequest,
    ) -> Result<c1::ResourceTypesServiceListResourceTypesResponse, Fault> {
        self.list_resource_types(request).await
    }

    async fn resources(
        &self,
        request: &c1::ResourcesServiceListResourcesRequest,
    ) -> Result<c1::ResourcesServiceListResourcesResponse, Fault> {
        self.list_resources(request).await
    }

    async fn resource(
        &self,
        request: &c1::ResourceGetterServiceGetResourceRequest,
    ) -> Result<c1::ResourceGetterServiceGetResourceResponse, Fault> {
        self.get_resource(request).await
    }

    async fn static_entitlements(
        &self,
        request: &c1::EntitlementsServiceListStaticEntitlementsRequest,
    ) -> Result<c1::EntitlementsServiceListStaticEntitlementsResponse, Fault> {
        self.list_static_entitlements(request).await
    }

    async fn entitlements(
        &self,
        request: &c1::EntitlementsServiceListEntitlementsRequest,
    ) -> Result<c1::EntitlementsServiceListEntitlementsResponse, Fault> {
        self.list_entitlements(request).await
    }

    async fn grants(
        &self,
        request: &c1::GrantsServiceListGrantsRequest,
    ) -> Result<c1::GrantsServiceListGrantsResponse, Fault> {
        self.list_grants(request).await
    }

    async fn cleanup(&self, run_id: &str) -> Result<(), Fault> {
        let request = c1::ConnectorServiceCleanupRequest {
            active_sync_id: run_id.to_owned(),
            ..Default::default()
        };
        Self::cleanup(self, &request).await.map(drop)
    }
}
