//! Listening and serving: HTTP/1.1 and HTTP/2, plain or over TLS, with connections that can be cut on purpose.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::State as Shared;
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::state::State;
use super::{control, gate, graphql, mail, reply, rest, risk_assess, write};

/// All paths of the tenant.
fn routes(state: Arc<State>) -> Router {
    Router::new()
        .route("/oauth2/token", post(token))
        .route("/api/graphql", post(graphql::answer))
        .route("/api/{collection}", get(rest::list).post(write::create))
        .route(
            "/api/{collection}/{id}",
            get(rest::show)
                .put(write::update)
                .patch(write::update)
                .delete(write::remove),
        )
        .merge(control::routes())
        .merge(risk_assess::routes())
        .merge(mail::control::routes())
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(&state),
            gate::pass,
        ))
        .with_state(state)
}

async fn token(Shared(state): Shared<Arc<State>>, headers: HeaderMap, body: axum::body::Bytes) -> Response {
    let mut response = match state.oauth.mint(&headers, &body) {
        Ok(answer) => reply::json(StatusCode::OK, &answer),
        Err(error) => reply::json(super::oauth::TokenError::STATUS, &error.body()),
    };
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The address as a client on this machine can dial it.
pub(super) fn dialable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}

/// Accepts connections until `stop`; connections end with it.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    state: Arc<State>,
    stop: CancellationToken,
) {
    let router = routes(state);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        // A failed accept (a client gone, no file handles left for the moment) concerns one client only.
        let Ok((stream, _)) = accepted else {
            tokio::task::yield_now().await;
            continue;
        };
        let connection = Connection {
            cut: stop.child_token(),
            hard: Arc::default(),
        };
        tokio::spawn(attend(stream, tls.clone(), router.clone(), connection));
    }
}

async fn attend(stream: TcpStream, tls: Option<TlsAcceptor>, router: Router, connection: Connection) {
    // Small answers should not wait for each other; without effect on what is said.
    let _ = stream.set_nodelay(true);
    let socket = Socket {
        stream,
        hard: Arc::clone(&connection.hard),
    };
    let cut = connection.cut.clone();
    let talk = async {
        match tls {
            None => converse(TokioIo::new(socket), router, connection).await,
            Some(acceptor) => {
                // A failed handshake is the client's to report.
                if let Ok(secured) = acceptor.accept(socket).await {
                    converse(TokioIo::new(secured), router, connection).await;
                }
            }
        }
    };
    tokio::select! {
        () = talk => {}
        () = cut.cancelled() => {}
    }
}

async fn converse<I>(io: I, router: Router, connection: Connection)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(connection.clone());
        router.clone().oneshot(request)
    });
    let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    // How a conversation ends badly is seen, and judged, on the client's side.
    let _ = builder.serve_connection(io, service).await;
}

/// A handle on the connection a request came over.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    cut: CancellationToken,
    hard: Arc<AtomicBool>,
}

impl Connection {
    /// Ends the connection at once with a TCP reset.
    pub(super) fn reset(&self) {
        self.hard.store(true, Ordering::Relaxed);
        self.cut.cancel();
    }
}

/// A TCP stream that, when told so, closes with a reset in place of an orderly end.
struct Socket {
    stream: TcpStream,
    hard: Arc<AtomicBool>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.hard.load(Ordering::Relaxed) {
            // Should this fail, the client sees an early end of the stream, which is a fault as well.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
