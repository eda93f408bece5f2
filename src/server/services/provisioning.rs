//! The services that change things. Provisioning is off, so each refuses, as a Go connector without `--provisioning` does.

use prost::Message;
use tonic::{Request, async_trait};

use crate::model::fault::{Fault, FaultKind};
use crate::proto::connector as c1;
use crate::proto::connector::account_manager_service_server::AccountManagerService;
use crate::proto::connector::credential_manager_service_server::CredentialManagerService;
use crate::proto::connector::grant_manager_service_server::GrantManagerService;
use crate::proto::connector::resource_deleter_service_server::ResourceDeleterService;
use crate::proto::connector::resource_manager_service_server::ResourceManagerService;
use crate::server::call::{Reply, respond};

/// Provisioning switched off.
pub(super) struct Closed;

fn refuse<Q, A: Message>(request: &Request<Q>) -> Reply<A> {
    respond(
        request,
        Err(Fault::new(FaultKind::Refused, "provisioning is not enabled")),
    )
}

#[async_trait]
impl GrantManagerService for Closed {
    async fn grant(
        &self,
        request: Request<c1::GrantManagerServiceGrantRequest>,
    ) -> Reply<c1::GrantManagerServiceGrantResponse> {
        refuse(&request)
    }

    async fn revoke(
        &self,
        request: Request<c1::GrantManagerServiceRevokeRequest>,
    ) -> Reply<c1::GrantManagerServiceRevokeResponse> {
        refuse(&request)
    }
}

#[async_trait]
impl ResourceManagerService for Closed {
    async fn create_resource(
        &self,
        request: Request<c1::CreateResourceRequest>,
    ) -> Reply<c1::CreateResourceResponse> {
        refuse(&request)
    }

    async fn delete_resource(
        &self,
        request: Request<c1::DeleteResourceRequest>,
    ) -> Reply<c1::DeleteResourceResponse> {
        refuse(&request)
    }
}

#[async_trait]
impl ResourceDeleterService for Closed {
    async fn delete_resource_v2(
        &self,
        request: Request<c1::DeleteResourceV2Request>,
    ) -> Reply<c1::DeleteResourceV2Response> {
        refuse(&request)
    }
}

#[async_trait]
impl AccountManagerService for Closed {
    async fn create_account(
        &self,
        request: Request<c1::CreateAccountRequest>,
    ) -> Reply<c1::CreateAccountResponse> {
        refuse(&request)
    }
}

#[async_trait]
impl CredentialManagerService for Closed {
    async fn rotate_credential(
        &self,
        request: Request<c1::RotateCredentialRequest>,
    ) -> Reply<c1::RotateCredentialResponse> {
        refuse(&request)
    }

    async fn issue_credential(
        &self,
        request: Request<c1::IssueCredentialRequest>,
    ) -> Reply<c1::IssueCredentialResponse> {
        refuse(&request)
    }
}
