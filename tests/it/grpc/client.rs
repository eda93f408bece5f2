//! A client that asks what the Go syncer asks, and listings as chains of pages.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use baton_coupa::proto::connector as c1;
use baton_coupa::proto::connector::connector_service_client::ConnectorServiceClient;
use baton_coupa::proto::connector::entitlements_service_client::EntitlementsServiceClient;
use baton_coupa::proto::connector::grants_service_client::GrantsServiceClient;
use baton_coupa::proto::connector::resource_getter_service_client::ResourceGetterServiceClient;
use baton_coupa::proto::connector::resource_types_service_client::ResourceTypesServiceClient;
use baton_coupa::proto::connector::resources_service_client::ResourcesServiceClient;
use baton_coupa::proto::pack;
use baton_coupa::proto::ratelimit::rate_limiter_service_client::RateLimiterServiceClient;
use hyper_util::rt::TokioIo;
use prost::Message;
use prost_types::Any;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

/// Far above what a server may send, so that a check sees the oversized answer instead of a transport error.
const ANY_SIZE: usize = 64 * 1024 * 1024;
/// Pages after which a chain counts as endless.
const ENDLESS: usize = 5_000;

/// One connection to a server.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) channel: Channel,
    /// Rows per page that chains ask for. The syncer sends 0.
    size: u32,
}

impl Client {
    /// Connects without TLS, with the first call.
    pub(crate) fn plain(addr: SocketAddr) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{addr}")).unwrap();
        Self {
            channel: endpoint.connect_lazy(),
            size: 0,
        }
    }

    /// Connects over TLS; the server is known by the name `localhost`.
    pub(crate) async fn tls(
        addr: SocketAddr,
        config: Arc<ClientConfig>,
    ) -> Result<Self, tonic::transport::Error> {
        Self::tls_to("localhost", addr, config).await
    }

    /// Connects over TLS to a server known by that name.
    pub(crate) async fn tls_to(
        name: &'static str,
        addr: SocketAddr,
        config: Arc<ClientConfig>,
    ) -> Result<Self, tonic::transport::Error> {
        let connector = tower::service_fn(move |_| {
            let tls = TlsConnector::from(Arc::clone(&config));
            async move {
                let tcp = TcpStream::connect(addr).await?;
                tcp.set_nodelay(true)?;
                let name = ServerName::try_from(name).map_err(io::Error::other)?;
                Ok::<_, io::Error>(TokioIo::new(tls.connect(name, tcp).await?))
            }
        });
        let channel = Endpoint::from_static("http://localhost")
            .connect_with_connector(connector)
            .await?;
        Ok(Self { channel, size: 0 })
    }

    /// The same connection, asking for small pages.
    pub(crate) fn by(&self, size: u32) -> Self {
        Self {
            channel: self.channel.clone(),
            size,
        }
    }

    pub(crate) fn connector(&self) -> ConnectorServiceClient<Channel> {
        ConnectorServiceClient::new(self.channel.clone())
    }

    pub(crate) fn limiter(&self) -> RateLimiterServiceClient<Channel> {
        RateLimiterServiceClient::new(self.channel.clone())
    }

    pub(crate) async fn validate(&self) -> Result<c1::ConnectorServiceValidateResponse, Status> {
        let request = c1::ConnectorServiceValidateRequest {};
        self.connector()
            .validate(request)
            .await
            .map(tonic::Response::into_inner)
    }

    pub(crate) async fn cleanup(&self, sync: &str) -> Result<(), Status> {
        let request = c1::ConnectorServiceCleanupRequest {
            active_sync_id: sync.to_owned(),
            ..Default::default()
        };
        self.connector().cleanup(request).await.map(|_| ())
    }

    pub(crate) async fn resource(&self, id: c1::ResourceId) -> Result<c1::Resource, Status> {
        let request = c1::ResourceGetterServiceGetResourceRequest {
            resource_id: Some(id),
            ..Default::default()
        };
        let response = ResourceGetterServiceClient::new(self.channel.clone())
            .get_resource(request)
            .await?;
        response
            .into_inner()
            .resource
            .ok_or_else(|| Status::internal("no resource in the answer"))
    }

    /// The whole chain of a listing.
    pub(crate) async fn all<L: Listing>(&self, listing: &L, sync: &str) -> Result<Vec<L::Row>, Trouble> {
        Ok(self.chain(listing, "", sync).await?.rows)
    }

    /// The chain of a listing from `token` on, sibling chains included.
    pub(crate) async fn chain<L: Listing>(
        &self,
        listing: &L,
        token: &str,
        sync: &str,
    ) -> Result<Chain<L::Row>, Trouble> {
        let mut chain = Chain::default();
        let mut starts = vec![token.to_owned()];
        while let Some(mut token) = starts.pop() {
            loop {
                let ask = Ask {
                    token: &token,
                    sync,
                    size: self.size,
                };
                let page = listing.page(self, &ask).await?;
                if chain.pages == ENDLESS {
                    return Err(Trouble::Stuck(format!("no end after {ENDLESS} pages")));
                }
                chain.pages += 1;
                chain.bytes += page.bytes;
                chain.largest = chain.largest.max(page.bytes);
                chain.rows.extend(page.rows);
                if let Some(more) = baton_coupa::proto::annotation::<c1::EnqueuePageTokens>(&page.notes) {
                    starts.extend(more.page_tokens);
                }
                chain.notes.extend(page.notes);
                if page.next.is_empty() {
                    break;
                }
                if page.next == token {
                    return Err(Trouble::Stuck("next_page_token equals the request's".to_owned()));
                }
                chain.longest_token = chain.longest_token.max(page.next.len());
                chain.tokens.push(page.next.clone());
                token = page.next;
            }
        }
        Ok(chain)
    }
}

/// Why a chain did not come to its end.
#[derive(Debug)]
pub(crate) enum Trouble {
    Status(Status),
    Stuck(String),
}

impl From<Status> for Trouble {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{:?}: {}", status.code(), status.message()),
            Self::Stuck(why) => f.write_str(why),
        }
    }
}

/// What a listing gave.
pub(crate) struct Chain<T> {
    pub(crate) rows: Vec<T>,
    /// Every token handed out, in order.
    pub(crate) tokens: Vec<String>,
    /// Annotations of the responses.
    pub(crate) notes: Vec<Any>,
    pub(crate) pages: usize,
    /// Bytes of all responses.
    pub(crate) bytes: usize,
    /// Bytes of the largest one.
    pub(crate) largest: usize,
    pub(crate) longest_token: usize,
}

impl<T> Default for Chain<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            tokens: Vec::new(),
            notes: Vec::new(),
            pages: 0,
            bytes: 0,
            largest: 0,
            longest_token: 0,
        }
    }
}

/// The part of a request that differs from page to page.
pub(crate) struct Ask<'a> {
    pub(crate) token: &'a str,
    pub(crate) sync: &'a str,
    pub(crate) size: u32,
}

impl<'a> Ask<'a> {
    pub(crate) fn of(token: &'a str, sync: &'a str) -> Self {
        Self { token, sync, size: 0 }
    }
}

/// One page.
pub(crate) struct Page<T> {
    pub(crate) rows: Vec<T>,
    pub(crate) next: String,
    pub(crate) notes: Vec<Any>,
    pub(crate) bytes: usize,
}

/// Something that is listed page by page.
pub(crate) trait Listing {
    type Row;

    async fn page(&self, client: &Client, ask: &Ask<'_>) -> Result<Page<Self::Row>, Status>;
}

macro_rules! page {
    ($response:expr) => {{
        let response = $response.into_inner();
        Page {
            bytes: response.encoded_len(),
            rows: response.list,
            next: response.next_page_token,
            notes: response.annotations,
        }
    }};
}

/// Resource types.
pub(crate) struct Types;

impl Listing for Types {
    type Row = c1::ResourceType;

    async fn page(&self, client: &Client, ask: &Ask<'_>) -> Result<Page<Self::Row>, Status> {
        let response = ResourceTypesServiceClient::new(client.channel.clone())
            .max_decoding_message_size(ANY_SIZE)
            .list_resource_types(c1::ResourceTypesServiceListResourceTypesRequest {
                page_size: ask.size,
                page_token: ask.token.to_owned(),
                active_sync_id: ask.sync.to_owned(),
                ..Default::default()
            })
            .await?;
        Ok(page!(response))
    }
}

/// Resources of one type, below a parent or not.
pub(crate) struct Resources {
    pub(crate) kind: String,
    pub(crate) parent: Option<c1::ResourceId>,
}

impl Resources {
    pub(crate) fn of(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            parent: None,
        }
    }
}

impl Listing for Resources {
    type Row = c1::Resource;

    async fn page(&self, client: &Client, ask: &Ask<'_>) -> Result<Page<Self::Row>, Status> {
        let response = ResourcesServiceClient::new(client.channel.clone())
            .max_decoding_message_size(ANY_SIZE)
            .list_resources(c1::ResourcesServiceListResourcesRequest {
                resource_type_id: self.kind.clone(),
                parent_resource_id: self.parent.clone(),
                page_size: ask.size,
                page_token: ask.token.to_owned(),
                active_sync_id: ask.sync.to_owned(),
                ..Default::default()
            })
            .await?;
        Ok(page!(response))
    }
}

/// Templates of entitlements of one type.
pub(crate) struct Templates {
    pub(crate) kind: String,
}

impl Listing for Templates {
    type Row = c1::Entitlement;

    async fn page(&self, client: &Client, ask: &Ask<'_>) -> Result<Page<Self::Row>, Status> {
        let response = EntitlementsServiceClient::new(client.channel.clone())
            .max_decoding_message_size(ANY_SIZE)
            .list_static_entitlements(c1::EntitlementsServiceListStaticEntitlementsRequest {
                resource_type_id: self.kind.clone(),
                page_size: ask.size,
                page_token: ask.token.to_owned(),
                active_sync_id: ask.sync.to_owned(),
                ..Default::default()
            })
            .await?;
        Ok(page!(response))
    }
}

/// Of what entitlements or grants are listed.
#[derive(Clone)]
pub(crate) enum Scope {
    /// One resource, as it was listed.
    Resource(Box<c1::Resource>),
    /// A whole type: a stub named after it, and the marker in the request.
    Type(String),
    /// The same stub without the marker.
    Unmarked(String),
}

impl Scope {
    pub(crate) fn id(kind: &str, id: &str) -> Self {
        Self::Resource(Box::new(stub(kind, id)))
    }

    fn resource(&self) -> c1::Resource {
        match self {
            Self::Resource(resource) => c1::Resource::clone(resource),
            Self::Type(kind) | Self::Unmarked(kind) => stub(kind, kind),
        }
    }

    fn marker(&self, marker: Any) -> Vec<Any> {
        match self {
            Self::Type(_) => vec![marker],
            Self::Resource(_) | Self::Unmarked(_) => Vec::new(),
        }
    }
}

/// A resource of which only the id is known.
pub(crate) fn stub(kind: &str, id: &str) -> c1::Resource {
    c1::Resource {
        id: Some(c1::ResourceId {
            resource_type: kind.to_owned(),
            resource: id.to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Entitlements.
pub(crate) struct Entitlements(pub(crate) Scope);

impl Listing for Entitlements {
    type Row = c1::Entitlement;

    async fn page(&self, client: &Client, ask: &Ask<'_>) -> Result<Page<Self::Row>, Status> {
        let response = EntitlementsServiceClient::new(client.channel.clone())
            .max_decoding_message_size(ANY_SIZE)
            .list_entitlements(c1::EntitlementsServiceListEntitlementsRequest {
                resource: Some(self.0.resource()),
                annotations: self.0.marker(pack(&c1::TypeScopedEntitlements {})),
                page_size: ask.size,
                page_token: ask.token.to_owned(),
                active_sync_id: ask.sync.to_owned(),
            })
            .await?;
        Ok(page!(response))
    }
}

/// Grants.
pub(crate) struct Grants(pub(crate) Scope);

impl Listing for Grants {
    type Row = c1::Grant;

    async fn page(&self, client: &Client, ask: &Ask<'_>) -> Result<Page<Self::Row>, Status> {
        let response = GrantsServiceClient::new(client.channel.clone())
            .max_decoding_message_size(ANY_SIZE)
            .list_grants(c1::GrantsServiceListGrantsRequest {
                resource: Some(self.0.resource()),
                annotations: self.0.marker(pack(&c1::TypeScopedGrants {})),
                page_size: ask.size,
                page_token: ask.token.to_owned(),
                active_sync_id: ask.sync.to_owned(),
            })
            .await?;
        Ok(page!(response))
    }
}
