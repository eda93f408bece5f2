//! What each method of the protocol answers to an empty request.

use std::collections::BTreeSet;
use std::sync::Arc;

use baton_coupa::proto::DESCRIPTORS;
use baton_coupa::server::ServerOptions;
use prost::Message as _;
use tonic::{Code, Request};

use super::client::Client;
use super::host::{Running, any_port};
use super::tenant::{Memory, Nature};

/// Every described method. Lists want a resource; provisioning is off; no action has no name; there are no feeds and tickets.
const ANSWERS: [(&str, Code); 32] = [
    ("c1.ratelimit.v1.RateLimiterService/Do", Code::Ok),
    ("c1.ratelimit.v1.RateLimiterService/Report", Code::Ok),
    ("c1.connector.v2.ConnectorService/Validate", Code::Ok),
    ("c1.connector.v2.ConnectorService/GetMetadata", Code::Ok),
    ("c1.connector.v2.ConnectorService/Cleanup", Code::Ok),
    ("c1.connector.v2.ResourceTypesService/ListResourceTypes", Code::Ok),
    (
        "c1.connector.v2.ResourcesService/ListResources",
        Code::InvalidArgument,
    ),
    (
        "c1.connector.v2.ResourceGetterService/GetResource",
        Code::InvalidArgument,
    ),
    (
        "c1.connector.v2.EntitlementsService/ListEntitlements",
        Code::InvalidArgument,
    ),
    (
        "c1.connector.v2.EntitlementsService/ListStaticEntitlements",
        Code::InvalidArgument,
    ),
    ("c1.connector.v2.GrantsService/ListGrants", Code::InvalidArgument),
    (
        "c1.connector.v2.GrantManagerService/Grant",
        Code::FailedPrecondition,
    ),
    (
        "c1.connector.v2.GrantManagerService/Revoke",
        Code::FailedPrecondition,
    ),
    (
        "c1.connector.v2.ResourceManagerService/CreateResource",
        Code::FailedPrecondition,
    ),
    (
        "c1.connector.v2.ResourceManagerService/DeleteResource",
        Code::FailedPrecondition,
    ),
    (
        "c1.connector.v2.ResourceDeleterService/DeleteResourceV2",
        Code::FailedPrecondition,
    ),
    (
        "c1.connector.v2.AccountManagerService/CreateAccount",
        Code::FailedPrecondition,
    ),
    (
        "c1.connector.v2.CredentialManagerService/RotateCredential",
        Code::FailedPrecondition,
    ),
    (
        "c1.connector.v2.CredentialManagerService/IssueCredential",
        Code::FailedPrecondition,
    ),
    ("c1.connector.v2.ActionService/InvokeAction", Code::NotFound),
    ("c1.connector.v2.ActionService/GetActionStatus", Code::NotFound),
    ("c1.connector.v2.ActionService/GetActionSchema", Code::NotFound),
    ("c1.connector.v2.ActionService/ListActionSchemas", Code::Ok),
    ("c1.connector.v2.EventService/ListEvents", Code::NotFound),
    ("c1.connector.v2.EventService/ListEventFeeds", Code::Ok),
    ("c1.connector.v2.TicketsService/CreateTicket", Code::Unknown),
    ("c1.connector.v2.TicketsService/GetTicket", Code::Unknown),
    ("c1.connector.v2.TicketsService/ListTicketSchemas", Code::Unknown),
    ("c1.connector.v2.TicketsService/GetTicketSchema", Code::Unknown),
    ("c1.connector.v2.TicketsService/BulkCreateTickets", Code::Unknown),
    ("c1.connector.v2.TicketsService/BulkGetTickets", Code::Unknown),
    ("c1.connector.v2.AssetService/GetAsset", Code::Ok),
];

#[tokio::test]
async fn every_method_has_its_answer() {
    let tenant = Arc::new(Memory::new(Nature::Plain));
    let server = Running::start(ServerOptions::at(any_port()), tenant).await;
    let client = Client::plain(server.addr);
    for (method, code) in ANSWERS {
        assert_eq!(bare_call(&client, method).await.0, code, "{method}");
    }
    let (_, bytes) = bare_call(&client, "c1.connector.v2.AssetService/GetAsset").await;
    assert_eq!(bytes, 0, "the stream of assets is empty");
}

#[test]
fn no_method_is_left_out() {
    let described = prost_types::FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let mut methods = BTreeSet::new();
    // What the platform serves is described, too, for the daemon that asks for it.
    let ours = described
        .file
        .iter()
        .filter(|file| !file.package().starts_with("c1.connectorapi."));
    for file in ours {
        for service in &file.service {
            let name = |method: &str| format!("{}.{}/{method}", file.package(), service.name());
            methods.extend(service.method.iter().map(|method| name(method.name())));
        }
    }
    let answered = ANSWERS.iter().map(|(method, _)| (*method).to_owned()).collect();
    assert_eq!(methods, answered);
}

/// Calls a method with an empty message; says how it ended and how many messages came.
pub(super) async fn bare_call(client: &Client, method: &str) -> (Code, usize) {
    let mut grpc = tonic::client::Grpc::new(client.channel.clone());
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let path = format!("/{method}").parse().unwrap();
    let mut stream = match grpc.server_streaming(Request::new(()), path, codec).await {
        Ok(response) => response.into_inner(),
        Err(status) => return (status.code(), 0),
    };
    let mut messages = 0;
    loop {
        match stream.message().await {
            Ok(Some(())) => messages += 1,
            Ok(None) => return (Code::Ok, messages),
            Err(status) => return (status.code(), messages),
        }
    }
}
