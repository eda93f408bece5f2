//! Changes over the wire: names of requests, refusals by policy, and what each method answers to an empty request.

use std::sync::Arc;

use baton_coupa::model::change::{Order, Via};
use baton_coupa::proto::connector as c1;
use baton_coupa::proto::connector::grant_manager_service_client::GrantManagerServiceClient;
use baton_coupa::server::ServerOptions;
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

use super::client::{Client, stub};
use super::host::{Running, any_port, connector};
use super::ledger::Ledger;
use super::methods::bare_call;

/// A server that makes changes, and the tenant that it changes.
async fn writable() -> (Running, Client, Arc<Ledger>) {
    let ledger = Arc::new(Ledger::new());
    let writes = Arc::clone(&ledger);
    let connector = connector(Arc::clone(&ledger) as _).with_writes(writes);
    let server = Running::serve(ServerOptions::at(any_port()), connector).await;
    let client = Client::plain(server.addr);
    (server, client, ledger)
}

fn grant(entitlement: &str) -> Request<c1::GrantManagerServiceGrantRequest> {
    Request::new(c1::GrantManagerServiceGrantRequest {
        entitlement: Some(c1::Entitlement {
            id: entitlement.to_owned(),
            ..Default::default()
        }),
        principal: Some(stub("user", "5")),
        ..Default::default()
    })
}

#[tokio::test]
async fn the_name_of_a_request_reaches_the_change() {
    let (_server, client, ledger) = writable().await;
    let mut grants = GrantManagerServiceClient::new(client.channel.clone());
    let id = "2wPbMEhC9cN9k9PqEV2sBUbUuu7";
    for name in [Some(id), Some("ann@example.com"), None] {
        let mut request = grant("role:2:member");
        if let Some(name) = name {
            request
                .metadata_mut()
                .insert("x-request-id", name.parse().unwrap());
        }
        grants.grant(request).await.unwrap();
    }
    let order = |request| Order {
        request,
        via: Via::Grpc,
    };
    let expected = [order(Some(id.parse().unwrap())), order(None), order(None)];
    assert_eq!(ledger.orders(), expected, "free text is no name");
}

#[tokio::test]
async fn a_policy_cancels_a_grant_in_the_platforms_words() {
    let (_server, client, _) = writable().await;
    let mut grants = GrantManagerServiceClient::new(client.channel.clone());
    let status = grants.grant(grant("group:2:member")).await.err().unwrap();
    assert_eq!(status.code(), Code::FailedPrecondition);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.metadata["reason"], "inactive-group: the group is inactive");
    assert_eq!(status.message(), "inactive-group: the group is inactive");
}

#[tokio::test]
async fn with_provisioning_empty_requests_are_judged_by_themselves() {
    let (_server, client, ledger) = writable().await;
    for (method, code) in [
        ("GrantManagerService/Grant", Code::InvalidArgument),
        ("GrantManagerService/Revoke", Code::InvalidArgument),
        ("ResourceManagerService/CreateResource", Code::Unimplemented),
        ("ResourceManagerService/DeleteResource", Code::InvalidArgument),
        ("ResourceDeleterService/DeleteResourceV2", Code::InvalidArgument),
        ("AccountManagerService/CreateAccount", Code::InvalidArgument),
        ("CredentialManagerService/RotateCredential", Code::Unimplemented),
        ("CredentialManagerService/IssueCredential", Code::Unimplemented),
        ("ActionService/InvokeAction", Code::NotFound),
        ("ActionService/GetActionStatus", Code::NotFound),
        ("ActionService/GetActionSchema", Code::NotFound),
        ("ActionService/ListActionSchemas", Code::Ok),
    ] {
        let (answered, _) = bare_call(&client, &format!("c1.connector.v2.{method}")).await;
        assert_eq!(answered, code, "{method}");
    }
    assert!(ledger.orders().is_empty());
}
