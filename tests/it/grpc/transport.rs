//! Who gets a connection, what happens to files that change, and how a server stops.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use baton_coupa::proto::DESCRIPTORS;
use baton_coupa::proto::connector as c1;
use baton_coupa::server::{Server, ServerConfig, ServerOptions};
use futures::StreamExt as _;
use prost::Message as _;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::client::Client;
use super::host::{Keys, Running, any_port, connector};
use super::pki::Authority;
use super::tenant::{Memory, Nature};

async fn start(options: ServerOptions) -> Running {
    Running::start(options, Arc::new(Memory::new(Nature::Plain))).await
}

/// Whether a client with that configuration gets an answer.
async fn admitted(server: &Running, config: Arc<ClientConfig>) -> bool {
    match Client::tls(server.addr, config).await {
        Ok(client) => client.validate().await.is_ok(),
        Err(_) => false,
    }
}

#[tokio::test]
async fn plaintext_serves_on_loopback() {
    let server = start(ServerOptions::at(any_port())).await;
    Client::plain(server.addr).validate().await.unwrap();
}

#[tokio::test]
async fn only_clients_of_the_authority_are_admitted() {
    let keys = Keys::new();
    let server = start(keys.options()).await;
    let stranger = Authority::new("another authority").issue(&["runner.example"]);
    assert!(admitted(&server, keys.authority.client(Some(&keys.client))).await);
    assert!(!admitted(&server, keys.authority.client(None)).await);
    assert!(!admitted(&server, keys.authority.client(Some(&stranger))).await);
}

#[tokio::test]
async fn anybody_is_admitted_where_that_was_asked_for() {
    let keys = Keys::new();
    let options = ServerOptions {
        tls_client_ca: None,
        tls_allow_any_client: true,
        ..keys.options()
    };
    let server = start(options).await;
    assert!(admitted(&server, keys.authority.client(None)).await);
}

#[tokio::test]
async fn a_client_needs_one_of_the_allowed_names() {
    let keys = Keys::new();
    let admits = async |allowed: &[&str], names: &[&str]| {
        let options = ServerOptions {
            tls_allowed_clients: allowed.iter().map(ToString::to_string).collect(),
            ..keys.options()
        };
        let server = start(options).await;
        let leaf = keys.authority.issue(names);
        admitted(&server, keys.authority.client(Some(&leaf))).await
    };
    assert!(admits(&["runner.example"], &["other.example", "RUNNER.example"]).await);
    assert!(admits(&["x.example", "10.1.2.3"], &["10.1.2.3"]).await);
    assert!(admits(&["spiffe://example/runner"], &["spiffe://example/runner"]).await);
    assert!(
        !admits(
            &["runner.example"],
            &["other.example", "10.1.2.3", "spiffe://example/runner"]
        )
        .await
    );
    assert!(
        !admits(
            &["spiffe://example/runner"],
            &["spiffe://example/runner2", "example"]
        )
        .await
    );
    // A certificate for a whole domain is not a certificate for this client.
    assert!(!admits(&["runner.example"], &["*.example"]).await);
}

/// Whether the server shows a certificate of `authority`.
async fn trusted_by(server: &Running, authority: &Authority, keys: &Keys) -> bool {
    admitted(server, authority.client(Some(&keys.client))).await
}

#[tokio::test]
async fn new_certificates_are_taken_up_and_broken_ones_are_not() {
    let keys = Keys::new();
    let server = start(keys.options()).await;
    assert!(trusted_by(&server, &keys.authority, &keys).await);

    let broken = Authority::new("broken").issue(&["localhost"]);
    std::fs::write(keys.path("cert.pem"), &broken.cert).unwrap();
    assert!(
        trusted_by(&server, &keys.authority, &keys).await,
        "certificate without its key"
    );
    std::fs::write(keys.path("cert.pem"), "garbage").unwrap();
    assert!(trusted_by(&server, &keys.authority, &keys).await, "garbage");
    std::fs::remove_file(keys.path("key.pem")).unwrap();
    assert!(
        trusted_by(&server, &keys.authority, &keys).await,
        "a missing file"
    );

    let next = Authority::new("next authority");
    keys.serve_with(&next.issue(&["localhost"]));
    assert!(trusted_by(&server, &next, &keys).await);
    assert!(!trusted_by(&server, &keys.authority, &keys).await);

    // The clients' authority is read again, too.
    std::fs::write(keys.path("ca.pem"), next.pem()).unwrap();
    assert!(!trusted_by(&server, &next, &keys).await);
    let renewed = next.issue(&["runner.example"]);
    assert!(admitted(&server, next.client(Some(&renewed))).await);
}

#[tokio::test]
async fn a_server_does_not_start_with_files_that_do_not_work() {
    let keys = Keys::new();
    let tenant = Arc::new(Memory::new(Nature::Plain));
    let refusal = async |options: ServerOptions| {
        let config = ServerConfig::new(options).unwrap();
        let Err(fault) = Server::bind(config, Arc::new(connector(tenant.clone()))).await else {
            panic!("the server started");
        };
        fault.message().to_owned()
    };
    let missing = ServerOptions {
        tls_cert: Some(keys.path("missing.pem")),
        ..keys.options()
    };
    let told = refusal(missing).await;
    assert!(
        told.contains("--tls-cert: cannot read") && told.contains("No such file"),
        "{told}"
    );
    let swapped = ServerOptions {
        tls_client_ca: Some(keys.path("key.pem")),
        ..keys.options()
    };
    assert!(refusal(swapped).await.contains("--tls-client-ca"));
    std::fs::write(keys.path("key.pem"), keys.authority.issue(&["localhost"]).key).unwrap();
    assert!(refusal(keys.options()).await.contains("do not belong together"));
    let taken = start(ServerOptions::at(any_port())).await;
    let told = refusal(ServerOptions::at(taken.addr)).await;
    assert!(told.contains("--listen") && told.contains("in use"), "{told}");
}

#[tokio::test]
async fn silent_connections_keep_nobody_out() {
    let keys = Keys::new();
    let server = start(keys.options()).await;
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(TcpStream::connect(server.addr).await.unwrap());
    }
    assert!(admitted(&server, keys.authority.client(Some(&keys.client))).await);
}

#[tokio::test]
async fn probes_need_no_certificate_and_hear_of_the_end() {
    let keys = Keys::new();
    let options = ServerOptions {
        health_listen: Some(any_port()),
        ..keys.options()
    };
    let server = start(options).await;
    let mut watch = HealthClient::new(Client::plain(server.health.unwrap()).channel)
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    let heard = watch.next().await.unwrap().unwrap();
    assert_eq!(heard.status(), ServingStatus::Serving);
    // An open call keeps the server in the draining state.
    let client = Client::tls(server.addr, keys.authority.client(Some(&keys.client)))
        .await
        .unwrap();
    let (held, requests) = tokio::sync::mpsc::channel::<ServerReflectionRequest>(1);
    let call = ServerReflectionClient::new(client.channel)
        .server_reflection_info(tokio_stream::wrappers::ReceiverStream::new(requests))
        .await
        .unwrap();
    server.stop.cancel();
    let heard = watch.next().await.unwrap().unwrap();
    assert_eq!(heard.status(), ServingStatus::NotServing);
    drop((held, call));
    server.ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stopped_server_accepts_nothing_and_ends() {
    let server = start(ServerOptions::at(any_port())).await;
    let client = Client::plain(server.addr);
    client.validate().await.unwrap();
    server.stop.cancel();
    server.ended.await.unwrap().unwrap();
    assert!(TcpStream::connect(server.addr).await.is_err());
}

#[tokio::test]
async fn calls_that_do_not_end_are_cut_off() {
    let config = ServerConfig::new(ServerOptions::at(any_port())).unwrap();
    let tenant = Arc::new(Memory::new(Nature::Plain));
    let bound = Server::bind(config, Arc::new(connector(tenant))).await.unwrap();
    let client = Client::plain(bound.local_addr());
    let stop = CancellationToken::new();
    let ended = tokio::spawn(bound.drain_within(Duration::from_millis(50)).run(stop.clone()));
    let (_held, requests) = tokio::sync::mpsc::channel::<ServerReflectionRequest>(1);
    let mut call = ServerReflectionClient::new(client.channel)
        .server_reflection_info(tokio_stream::wrappers::ReceiverStream::new(requests))
        .await
        .unwrap()
        .into_inner();
    stop.cancel();
    ended.await.unwrap().unwrap();
    assert!(call.next().await.unwrap().is_err());
}

#[tokio::test]
async fn reflection_shows_what_is_served() {
    let server = start(ServerOptions::at(any_port())).await;
    let request = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let response = ServerReflectionClient::new(Client::plain(server.addr).channel)
        .server_reflection_info(futures::stream::iter([request]))
        .await
        .unwrap()
        .into_inner()
        .next()
        .await
        .unwrap()
        .unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = response.message_response else {
        panic!("no list of services");
    };
    let shown: BTreeSet<String> = list.service.into_iter().map(|service| service.name).collect();
    let described = prost_types::FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let all = described.file.iter().flat_map(|file| {
        let name =
            |service: &prost_types::ServiceDescriptorProto| format!("{}.{}", file.package(), service.name());
        file.service.iter().map(name)
    });
    // What the platform serves is described, too, for the daemon that asks for it.
    let ours: BTreeSet<String> = all.filter(|name| !name.starts_with("c1.connectorapi.")).collect();
    assert_eq!(shown, ours);
}

#[tokio::test]
async fn tls_1_2_is_enough_and_http_2_is_agreed_on() {
    let keys = Keys::new();
    let server = start(keys.options()).await;
    let modern = keys.authority.client(Some(&keys.client));
    let old = keys
        .authority
        .client_of(&[&rustls::version::TLS12], Some(&keys.client));
    for (config, version) in [
        (modern, rustls::ProtocolVersion::TLSv1_3),
        (old, rustls::ProtocolVersion::TLSv1_2),
    ] {
        assert!(admitted(&server, Arc::clone(&config)).await, "{version:?}");
        let tcp = TcpStream::connect(server.addr).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(config).connect(name, tcp).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version));
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    }
}

#[tokio::test]
async fn compressed_requests_are_understood_and_answers_are_plain() {
    let server = start(ServerOptions::at(any_port())).await;
    let mut client = Client::plain(server.addr)
        .connector()
        .send_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Gzip);
    let request = c1::ConnectorServiceCleanupRequest {
        active_sync_id: "x".repeat(1024),
        ..Default::default()
    };
    let response = client.cleanup(request).await.unwrap();
    assert!(response.metadata().get("grpc-encoding").is_none());
}
