//! The services that change things: each hands its request, and under which name it came, to the connector's method of the same
//! name.
//!
//! Without provisioning each refuses whatever it is sent, as a Go connector without `--provisioning` does; what there is to be
//! done can be asked all the same.

use std::sync::Arc;

use prost::Message;
use tonic::{Request, async_trait};

use crate::connector::Connector;
use crate::model::change::{Order, Via};
use crate::model::fault::Fault;
use crate::proto::connector as c1;
use crate::proto::connector::account_manager_service_server::AccountManagerService;
use crate::proto::connector::action_service_server::ActionService;
use crate::proto::connector::credential_manager_service_server::CredentialManagerService;
use crate::proto::connector::grant_manager_service_server::GrantManagerService;
use crate::proto::connector::resource_deleter_service_server::ResourceDeleterService;
use crate::proto::connector::resource_manager_service_server::ResourceManagerService;
use crate::server::call::{Reply, answer, respond};
use crate::server::requests::Checked;

/// Metadata in which a caller names its request: a repeat under the same name is not a second change.
const REQUEST_ID: &str = "x-request-id";

/// Changes by the connector.
pub(super) struct Writer {
    connector: Arc<Connector>,
}

impl Writer {
    pub(super) const fn new(connector: Arc<Connector>) -> Self {
        Self { connector }
    }

    /// Answers with what `work` yields, if changes are made at all and the request is well formed.
    async fn change<Q, A>(
        &self,
        request: &Request<Q>,
        work: impl Future<Output = Result<A, Fault>>,
    ) -> Reply<A>
    where
        Q: Checked,
        A: Message,
    {
        match self.connector.provisioning() {
            Ok(()) => answer(request, work).await,
            Err(fault) => respond(request, Err(fault)),
        }
    }
}

/// A name that is none of ours to keep (free text) counts as no name.
fn order<Q>(request: &Request<Q>) -> Order {
    let name = request.metadata().get(REQUEST_ID);
    Order {
        request: name.and_then(|name| name.to_str().ok()?.parse().ok()),
        via: Via::Grpc,
    }
}

#[async_trait]
impl GrantManagerService for Writer {
    async fn grant(
        &self,
        request: Request<c1::GrantManagerServiceGrantRequest>,
    ) -> Reply<c1::GrantManagerServiceGrantResponse> {
        let order = order(&request);
        let work = self.connector.grant(&order, request.get_ref());
        self.change(&request, work).await
    }

    async fn revoke(
        &self,
        request: Request<c1::GrantManagerServiceRevokeRequest>,
    ) -> Reply<c1::GrantManagerServiceRevokeResponse> {
        let order = order(&request);
        let work = self.connector.revoke(&order, request.get_ref());
        self.change(&request, work).await
    }
}

#[async_trait]
impl ResourceManagerService for Writer {
    async fn create_resource(
        &self,
        request: Request<c1::CreateResourceRequest>,
    ) -> Reply<c1::CreateResourceResponse> {
        respond(&request, self.connector.create_resource(request.get_ref()))
    }

    async fn delete_resource(
        &self,
        request: Request<c1::DeleteResourceRequest>,
    ) -> Reply<c1::DeleteResourceResponse> {
        let order = order(&request);
        let work = self.connector.delete_resource(&order, request.get_ref());
        self.change(&request, work).await
    }
}

#[async_trait]
impl ResourceDeleterService for Writer {
    async fn delete_resource_v2(
        &self,
        request: Request<c1::DeleteResourceV2Request>,
    ) -> Reply<c1::DeleteResourceV2Response> {
        let order = order(&request);
        let work = self.connector.delete_resource_v2(&order, request.get_ref());
        self.change(&request, work).await
    }
}

#[async_trait]
impl AccountManagerService for Writer {
    async fn create_account(
        &self,
        request: Request<c1::CreateAccountRequest>,
    ) -> Reply<c1::CreateAccountResponse> {
        let order = order(&request);
        let work = self.connector.create_account(&order, request.get_ref());
        self.change(&request, work).await
    }
}

#[async_trait]
impl CredentialManagerService for Writer {
    async fn rotate_credential(
        &self,
        request: Request<c1::RotateCredentialRequest>,
    ) -> Reply<c1::RotateCredentialResponse> {
        respond(&request, self.connector.rotate_credential(request.get_ref()))
    }

    async fn issue_credential(
        &self,
        request: Request<c1::IssueCredentialRequest>,
    ) -> Reply<c1::IssueCredentialResponse> {
        respond(&request, self.connector.issue_credential(request.get_ref()))
    }
}

#[async_trait]
impl ActionService for Writer {
    async fn invoke_action(
        &self,
        request: Request<c1::InvokeActionRequest>,
    ) -> Reply<c1::InvokeActionResponse> {
        let order = order(&request);
        answer(&request, self.connector.invoke_action(&order, request.get_ref())).await
    }

    async fn get_action_status(
        &self,
        request: Request<c1::GetActionStatusRequest>,
    ) -> Reply<c1::GetActionStatusResponse> {
        respond(&request, self.connector.get_action_status(request.get_ref()))
    }

    async fn get_action_schema(
        &self,
        request: Request<c1::GetActionSchemaRequest>,
    ) -> Reply<c1::GetActionSchemaResponse> {
        respond(&request, self.connector.get_action_schema(request.get_ref()))
    }

    async fn list_action_schemas(
        &self,
        request: Request<c1::ListActionSchemasRequest>,
    ) -> Reply<c1::ListActionSchemasResponse> {
        respond(
            &request,
            Ok(self.connector.list_action_schemas(request.get_ref())),
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_plain_names_of_requests_are_kept() {
        let named = |name: &'static str| {
            let mut request = Request::new(());
            request.metadata_mut().insert(REQUEST_ID, name.parse().unwrap());
            order(&request).request.map(|name| name.to_string())
        };
        let id = "2wPbMEhC9cN9k9PqEV2sBUbUuu7";
        assert_eq!(named(id).as_deref(), Some(id));
        assert_eq!(named("ann@example.com"), None);
        assert_eq!(order(&Request::new(())).request, None);
    }
}
