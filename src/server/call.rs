//! One call from its arrival to its log line.
//!
//! Invariant: every call whose caller stays ends in exactly one log line (method, code, milliseconds, sync id, fault) and in
//! a status, also when a handler panics or an answer would be too large for the peer.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use prost::Message;
use tonic::body::Body;
use tonic::{Code, Request, Response, Status};
use tower::Service;

use super::requests::Checked;
use crate::model::fault::Fault;
use crate::status::status;

/// gRPC's default limit for one message, which Go peers keep (4 MiB). An answer must stay under it.
pub(super) const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// What a handler returns.
pub(super) type Reply<T> = Result<Response<T>, Status>;

/// Notes that a handler leaves for the log line; travels in the request's extensions.
#[derive(Clone, Default)]
struct Notes(Arc<Written>);

#[derive(Default)]
struct Written {
    sync: OnceLock<Box<str>>,
    fault: OnceLock<Fault>,
}

/// Answers `request` with what `work` yields; `work` starts only if the request is well formed.
pub(super) async fn answer<Q, A>(
    request: &Request<Q>,
    work: impl Future<Output = Result<A, Fault>>,
) -> Reply<A>
where
    Q: Checked,
    A: Message,
{
    let notes = notes(request);
    if let Some(sync) = request.get_ref().sync_id().and_then(loggable) {
        // A request passes here once.
        let _ = notes.0.sync.set(sync.into());
    }
    let result = match request.get_ref().check() {
        Ok(()) => work.await,
        Err(fault) => Err(fault),
    };
    reply(&notes, result)
}

/// Answers `request`, about which nothing has to be checked, with `result`.
pub(super) fn respond<Q, A: Message>(request: &Request<Q>, result: Result<A, Fault>) -> Reply<A> {
    reply(&notes(request), result)
}

fn notes<Q>(request: &Request<Q>) -> Notes {
    request.extensions().get::<Notes>().cloned().unwrap_or_default()
}

fn reply<A: Message>(notes: &Notes, result: Result<A, Fault>) -> Reply<A> {
    let fault = match result.and_then(fits) {
        Ok(message) => return Ok(Response::new(message)),
        Err(fault) => fault,
    };
    let status = status(&fault, Timestamp::now());
    let _ = notes.0.fault.set(fault);
    Err(status)
}

fn fits<A: Message>(message: A) -> Result<A, Fault> {
    let size = message.encoded_len();
    if size < MAX_MESSAGE {
        Ok(message)
    } else {
        Err(
            Fault::internal("an answer of the connector is larger than a peer accepts (4 MiB)")
                .because(format!("{size} bytes")),
        )
    }
}

/// A sync id is 27 letters and digits; anything else is somebody's free text and stays out of the log.
fn loggable(sync: &str) -> Option<&str> {
    let plain = (1..=64).contains(&sync.len()) && sync.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain.then_some(sync)
}

/// Wraps every service of the server: catches panics and writes the log line.
#[derive(Clone)]
pub(super) struct Watched<S>(pub(super) S);

impl<S> Service<http::Request<Body>> for Watched<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        // The clone has not been polled for readiness, the original has.
        let fresh = self.0.clone();
        let mut inner = std::mem::replace(&mut self.0, fresh);
        let notes = Notes::default();
        request.extensions_mut().insert(notes.clone());
        let method = request.uri().path().to_owned();
        let start = Instant::now();
        Box::pin(async move {
            // Nothing of the call outlives a panic except the connector, which guards its own state.
            let outcome = AssertUnwindSafe(async { inner.call(request).await })
                .catch_unwind()
                .await;
            let response = match outcome {
                Ok(Ok(response)) => response,
                Ok(Err(never)) => match never {},
                Err(_) => {
                    let fault = Fault::internal("the connector failed; its log says more").because("panic");
                    let status = status(&fault, Timestamp::now());
                    let _ = notes.0.fault.set(fault);
                    status.into_http()
                }
            };
            // Failures answer with headers only; without a status there the handler succeeded.
            let code = Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code());
            log(&method, code, start, &notes.0);
            Ok(response)
        })
    }
}

fn log(method: &str, code: Code, start: Instant, notes: &Written) {
    let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let sync = notes.sync.get().map(AsRef::as_ref);
    let fault = notes.fault.get().map(tracing::field::debug);
    match code {
        Code::Ok => tracing::debug!(method, ?code, ms, sync, "call"),
        Code::Internal | Code::Unknown | Code::DataLoss => {
            tracing::error!(method, ?code, ms, sync, fault, "call failed");
        }
        _ => tracing::warn!(method, ?code, ms, sync, fault, "call failed"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use std::io;
    use std::sync::Mutex;

    use tonic::metadata::MetadataMap;
    use tracing::instrument::WithSubscriber as _;

    use super::*;
    use crate::proto::connector::{
        GrantsServiceListGrantsRequest, GrantsServiceListGrantsResponse, Resource, ResourceId,
    };

    fn answer_of(bytes: usize) -> GrantsServiceListGrantsResponse {
        let mut message = GrantsServiceListGrantsResponse {
            next_page_token: "x".repeat(bytes),
            ..Default::default()
        };
        while message.encoded_len() > bytes {
            message.next_page_token.pop();
        }
        message
    }

    #[test]
    fn an_answer_no_peer_accepts_is_an_error_of_ours() {
        let request = Request::new(());
        assert!(respond(&request, Ok(answer_of(MAX_MESSAGE - 1))).is_ok());
        let Err(status) = respond(&request, Ok(answer_of(MAX_MESSAGE))) else {
            panic!("too large an answer went out");
        };
        assert_eq!(status.code(), Code::Internal);
        assert!(status.message().contains("4 MiB"));
    }

    #[test]
    fn only_sync_ids_are_logged() {
        assert_eq!(
            loggable("2wPbMEhC9cN9k9PqEV2sBUbUuu7"),
            Some("2wPbMEhC9cN9k9PqEV2sBUbUuu7")
        );
        for text in ["", "ann@example.com", "a b", &"a".repeat(65)] {
            assert_eq!(loggable(text), None);
        }
    }

    #[tokio::test]
    async fn a_panic_is_internal() {
        fn bug() -> Result<http::Response<Body>, Infallible> {
            panic!("as intended by the test")
        }
        let panicking = tower::service_fn(|_| async { bug() });
        let request = http::Request::new(Body::empty());
        let response = Watched(panicking).call(request).await.unwrap();
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("as intended"));
    }

    /// A service that fails as a handler does.
    async fn fails(request: http::Request<Body>) -> Result<http::Response<Body>, Infallible> {
        let (parts, _) = request.into_parts();
        let message = GrantsServiceListGrantsRequest {
            active_sync_id: "2wPbMEhC9cN9k9PqEV2sBUbUuu7".into(),
            resource: Some(Resource {
                display_name: "Ann Example".into(),
                id: Some(ResourceId {
                    resource_type: "role".into(),
                    resource: "1".into(),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        };
        let request = Request::from_parts(MetadataMap::new(), parts.extensions, message);
        let fault = Fault::unavailable("Coupa did not answer").because("os error 111");
        let reply = answer(&request, async {
            Err::<GrantsServiceListGrantsResponse, _>(fault)
        })
        .await;
        Ok(reply.map_or_else(Status::into_http, |_| http::Response::new(Body::empty())))
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_call_is_one_line_with_the_detail_that_the_peer_does_not_get() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let mut request = http::Request::new(Body::empty());
        *request.uri_mut() = "/c1.connector.v2.GrantsService/ListGrants".parse().unwrap();
        let response = Watched(tower::service_fn(fails))
            .call(request)
            .with_subscriber(subscriber)
            .await
            .unwrap();
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.message(), "Coupa did not answer");

        let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(log.lines().count(), 1, "{log}");
        for part in [
            "GrantsService/ListGrants",
            "Unavailable",
            "ms=",
            "2wPbMEhC9cN9k9PqEV2sBUbUuu7",
            "os error 111",
        ] {
            assert!(log.contains(part), "{part} in {log}");
        }
        assert!(!log.contains("Ann"), "{log}");
    }
}
