//! One TLS port for both protocols, with a certificate of an authority of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use baton_coupa::proto::platform::baton_service_server::BatonServiceServer;
use http::{HeaderMap, Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt as _;

use super::service::{Connection, Service, get_task, get_tasks, no_token};
use super::state::State;
use super::token::{Bouncer, Client};

/// What every request is to be sent with.
pub const HOST_ID: &str = "host-under-test";

/// The running platform. Dropping it ends it.
pub struct Platform {
    state: Arc<State>,
    authority_pem: String,
    addr: SocketAddr,
    _stop: DropGuard,
}

impl std::ops::Deref for Platform {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl Platform {
    pub async fn start() -> Self {
        Self::with(Client::new()).await
    }

    pub async fn with(client: Client) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let state = State::new(client, format!("localhost:{}", addr.port()), HOST_ID);
        let (acceptor, authority_pem) = certified();
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, acceptor, Arc::clone(&state), stop.clone()));
        Self {
            state,
            authority_pem,
            addr,
            _stop: stop.drop_guard(),
        }
    }

    /// The certificate to trust, PEM.
    pub fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }
}

/// A server certificate for `localhost`, and the authority that signed it.
fn certified() -> (TlsAcceptor, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = params.signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    // The order in which the real one prefers them.
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
    (TlsAcceptor::from(Arc::new(config)), authority.pem())
}

fn routes(state: Arc<State>) -> Router {
    const SERVICE: &str = "/c1.connectorapi.baton.v1.BatonService";
    let service = BatonServiceServer::new(Service(Arc::clone(&state)));
    let own = Router::new()
        .route("/auth/v1/token", post(token))
        .route(&format!("{SERVICE}/GetTask"), post(get_task))
        .route(&format!("{SERVICE}/GetTasks"), post(get_tasks))
        .with_state(state);
    tonic::service::Routes::new(service).into_axum_router().merge(own)
}

async fn token(Shared(state): Shared<Arc<State>>, headers: HeaderMap, body: Bytes) -> Response {
    let (refused, nonces) = {
        let inner = state.inner();
        (inner.no_tokens, inner.nonces.clone())
    };
    let bouncer = Bouncer {
        client: &state.client,
        now: SystemTime::now(),
        nonces: &nonces,
    };
    match (bouncer.judge(&headers, &body), refused) {
        (Err(violations), _) => {
            no_token(&state, violations);
            StatusCode::BAD_REQUEST.into_response()
        }
        (Ok(_), Some(status)) => {
            no_token(&state, Vec::new());
            status.into_response()
        }
        (Ok(accepted), None) => {
            let token = fresh_token();
            let life = state.issue(accepted, &token);
            let body =
                serde_json::json!({ "access_token": token, "token_type": "Bearer", "expires_in": life });
            ([("content-type", "application/json")], body.to_string()).into_response()
        }
    }
}

fn fresh_token() -> String {
    use base64::Engine as _;
    let mut bytes = [0; 24];
    SystemRandom::new().fill(&mut bytes).unwrap();
    format!("token-{}", base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, state: Arc<State>, stop: CancellationToken) {
    let router = routes(Arc::clone(&state));
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(_) => continue,
            },
            () = stop.cancelled() => return,
        };
        let connection = Connection(stop.child_token());
        let dialled = dialled(Arc::clone(&state), router.clone());
        tokio::spawn(attend(stream, acceptor.clone(), dialled, connection));
    }
}

/// The routes, for requests that were meant for this address.
fn dialled(state: Arc<State>, router: Router) -> Router {
    router.layer(axum::middleware::map_request(
        move |request: axum::extract::Request| {
            let authority = request
                .uri()
                .authority()
                .map(|authority| authority.as_str().to_owned());
            let host = request
                .headers()
                .get("host")
                .and_then(|host| host.to_str().ok())
                .map(str::to_owned);
            let meant = authority.or(host).unwrap_or_default();
            if meant != state.authority {
                state.violate([format!(
                    "a request for {meant:?} in place of {:?}",
                    state.authority
                )]);
            }
            std::future::ready(request)
        },
    ))
}

async fn attend(stream: TcpStream, acceptor: TlsAcceptor, router: Router, connection: Connection) {
    let Connection(cut) = connection.clone();
    let talk = async {
        let Ok(secured) = acceptor.accept(stream).await else {
            return;
        };
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(connection.clone());
            router.clone().oneshot(request)
        });
        let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        // A client that goes away is nothing to tell.
        let _ = builder.serve_connection(TokioIo::new(secured), service).await;
    };
    tokio::select! {
        () = talk => {}
        () = cut.cancelled() => {}
    }
}
