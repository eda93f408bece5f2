//! The connector as a one-shot run sees it: the calls that change a tenant.

use async_trait::async_trait;

use crate::connector::Connector;
use crate::model::change::Order;
use crate::model::fault::Fault;
use crate::proto::connector as c1;

/// Answers the calls that change a tenant.
#[async_trait]
pub trait Provisioner: Send + Sync {
    /// Gives an entitlement. One that is held already is a success.
    async fn grant(
        &self,
        order: &Order,
        request: &c1::GrantManagerServiceGrantRequest,
    ) -> Result<c1::GrantManagerServiceGrantResponse, Fault>;

    /// Takes a grant away. One that is gone already is a success.
    async fn revoke(
        &self,
        order: &Order,
        request: &c1::GrantManagerServiceRevokeRequest,
    ) -> Result<c1::GrantManagerServiceRevokeResponse, Fault>;

    /// Makes an account.
    async fn create_account(
        &self,
        order: &Order,
        request: &c1::CreateAccountRequest,
    ) -> Result<c1::CreateAccountResponse, Fault>;

    /// Deletes a resource.
    async fn delete_resource(
        &self,
        order: &Order,
        request: &c1::DeleteResourceRequest,
    ) -> Result<c1::DeleteResourceResponse, Fault>;

    /// Lists the actions.
    async fn list_action_schemas(
        &self,
        request: &c1::ListActionSchemasRequest,
    ) -> Result<c1::ListActionSchemasResponse, Fault>;

    /// Starts an action; it may have ended when this returns.
    async fn invoke_action(
        &self,
        order: &Order,
        request: &c1::InvokeActionRequest,
    ) -> Result<c1::InvokeActionResponse, Fault>;

    /// Tells how far an action has come.
    async fn get_action_status(
        &self,
        request: &c1::GetActionStatusRequest,
    ) -> Result<c1::GetActionStatusResponse, Fault>;
}

#[async_trait]
impl Provisioner for Connector {
    async fn grant(
        &self,
        order: &Order,
        request: &c1::GrantManagerServiceGrantRequest,
    ) -> Result<c1::GrantManagerServiceGrantResponse, Fault> {
        Self::grant(self, order, request).await
    }

    async fn revoke(
        &self,
        order: &Order,
        request: &c1::GrantManagerServiceRevokeRequest,
    ) -> Result<c1::GrantManagerServiceRevokeResponse, Fault> {
        Self::revoke(self, order, request).await
    }

    async fn create_account(
        &self,
        order: &Order,
        request: &c1::CreateAccountRequest,
    ) -> Result<c1::CreateAccountResponse, Fault> {
        Self::create_account(self, order, request).await
    }

    async fn delete_resource(
        &self,
        order: &Order,
        request: &c1::DeleteResourceRequest,
    ) -> Result<c1::DeleteResourceResponse, Fault> {
        Self::delete_resource(self, order, request).await
    }

    async fn list_action_schemas(
        &self,
        request: &c1::ListActionSchemasRequest,
    ) -> Result<c1::ListActionSchemasResponse, Fault> {
        Ok(Self::list_action_schemas(self, request))
    }

    async fn invoke_action(
        &self,
        order: &Order,
        request: &c1::InvokeActionRequest,
    ) -> Result<c1::InvokeActionResponse, Fault> {
        Self::invoke_action(self, order, request).await
    }

    async fn get_action_status(
        &self,
        request: &c1::GetActionStatusRequest,
    ) -> Result<c1::GetActionStatusResponse, Fault> {
        Self::get_action_status(self, request)
    }
}
