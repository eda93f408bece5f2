//! What every request passes before it is answered: counting, latency, the rate limit, edits by others, the barrier, and faults.
//!
//! Invariant: `/_sandbox` passes untouched; everything else is counted exactly once, whatever becomes of it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Shared};
use axum::middleware::Next;
use axum::response::Response;
use futures::{StreamExt as _, stream};
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use super::faults::{Effect, FaultAction, Strike};
use super::graphql;
use super::matching::{Marks, When, write_class};
use super::readings::{Readings, RetryAfter};
use super::reply;
use super::rest::Collection;
use super::server::Connection;
use super::state::State;
use super::stats::RequestKind;

/// Requests to Coupa larger than this are refused; documents and filters are far smaller.
const BODY_CAP: usize = 1 << 20;

/// Lets a request through, or answers in its place; then dates the answer, where the clock is not the true one.
pub(super) async fn pass(Shared(state): Shared<Arc<State>>, request: Request, next: Next) -> Response {
    if request.uri().path().starts_with("/_sandbox") {
        return next.run(request).await;
    }
    let mut answer = admit(Arc::clone(&state), request, next).await;
    let ahead = state.oauth.setup().clock_ahead_secs;
    if ahead != 0
        && let Ok(date) = HeaderValue::from_str(&http_date(ahead))
    {
        answer.headers_mut().insert(header::DATE, date);
    }
    answer
}

async fn admit(state: Arc<State>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, cap_of(parts.uri.path())).await else {
        return reply::bare(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let (marks, json) = marks_of(&parts, &body);
    let n = state.arrived(&marks, parts.uri.query(), json);
    let connection = parts.extensions.get::<Connection>().cloned();
    let _under_way = marks.kind.is_coupa_api().then(|| state.enter());
    if !state.latency.is_zero() {
        tokio::time::sleep(state.latency).await;
    }
    if marks.kind.is_coupa_api()
        && let Err(wait) = state.admit()
    {
        state.answered(n, StatusCode::TOO_MANY_REQUESTS);
        return too_many(&state.readings(), wait);
    }
    let strike = state.next_fault(&marks, n);
    let effect = strike.as_ref().map_or(Effect::Applied, |strike| strike.effect);
    parts.extensions.insert(effect);
    let errand = Errand {
        state: Arc::clone(&state),
        marks,
        n,
    };
    let request = Request::from_parts(parts, Body::from(body));
    let forgets = matches!(&strike, Some(strike) if strike.action == FaultAction::ForgetTokens);
    if forgets {
        state.oauth.forget_all();
    }
    let wanted = strike.as_ref().is_none_or(Strike::lets_through);
    let answer = errand.run(wanted.then(|| next.run(request))).await;
    let answer = match strike {
        None => answer,
        Some(Strike { action, .. }) => {
            let spoiler = Spoiler {
                state: Arc::clone(&state),
                connection,
            };
            spoiler.spoil(action, answer).await
        }
    };
    state.answered(n, answer.status());
    answer
}

/// One request on its way, with what others do around it and where it is held.
struct Errand {
    state: Arc<State>,
    marks: Marks,
    n: u64,
}

impl Errand {
    /// The answer; an empty one if nobody is asked.
    async fn run(self, asked: Option<impl Future<Output = Response>>) -> Response {
        let Self { state, marks, n } = self;
        let edits = state.next_edits(&marks);
        let held = state.barrier.claims(&marks);
        state.edit_on(When::Before, &edits);
        if marks.kind != RequestKind::Token {
            state.land();
        }
        if held == Some(When::Before) {
            state.barrier.hold(n).await;
        }
        let answer = match asked {
            Some(asked) => asked.await,
            None => Response::default(),
        };
        state.edit_on(When::After, &edits);
        if held == Some(When::After) {
            state.barrier.hold(n).await;
        }
        answer
    }
}

/// How a request is seen by faults, edits and the log, and its body if it is JSON.
fn marks_of(parts: &http::request::Parts, body: &[u8]) -> (Marks, Option<Value>) {
    let path = parts.uri.path().to_owned();
    let kind = kind_of(&path, body);
    let json = (parts.method != Method::GET)
        .then(|| serde_json::from_slice(body).ok())
        .flatten();
    let marks = Marks {
        write: write_class(&parts.method, kind, &path, json.as_ref()),
        method: parts.method.clone(),
        kind,
        path,
    };
    (marks, json)
}

fn cap_of(path: &str) -> usize {
    if path.starts_with("/QuickIntegration/") {
        super::risk_assess::BODY_CAP
    } else {
        BODY_CAP
    }
}

fn kind_of(path: &str, body: &[u8]) -> RequestKind {
    match path
        .trim_start_matches('/')
        .split('/')
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["oauth2", "token"] => RequestKind::Token,
        ["QuickIntegration", ..] => RequestKind::QuickIntegration,
        ["api", "graphql"] => graphql::kind_of(body),
        ["api", collection, ..] => Collection::named(collection).map_or(RequestKind::Other, |c| c.kind),
        _ => RequestKind::Other,
    }
}

fn too_many(readings: &Readings, wait: Duration) -> Response {
    let seconds = i64::try_from(wait.as_secs()).unwrap_or(0) + 1;
    let header = match readings.retry_after {
        RetryAfter::Absent => None,
        RetryAfter::Seconds => Some(seconds.to_string()),
        RetryAfter::HttpDate => Some(http_date(seconds)),
    };
    rate_limited(header.as_deref())
}

fn rate_limited(retry_after: Option<&str>) -> Response {
    let mut response = reply::json(
        StatusCode::TOO_MANY_REQUESTS,
        &json!({ "error": "Too Many Requests" }),
    );
    if let Some(value) = retry_after.and_then(|text| HeaderValue::from_str(text).ok()) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

/// Now and so many seconds, as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(seconds: i64) -> String {
    let then = jiff::Timestamp::now()
        .saturating_add(jiff::SignedDuration::from_secs(seconds))
        .unwrap_or(jiff::Timestamp::MAX);
    then.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Carries out a fault.
struct Spoiler {
    state: Arc<State>,
    connection: Option<Connection>,
}

impl Spoiler {
    async fn spoil(self, action: FaultAction, answer: Response) -> Response {
        match action {
            FaultAction::Status { status, html } => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                if html {
                    reply::html(status)
                } else {
                    reply::json(status, &json!({ "error": status.to_string() }))
                }
            }
            FaultAction::Html => reply::html(StatusCode::OK),
            FaultAction::RateLimited { retry_after: None } => {
                too_many(&self.state.readings(), Duration::from_millis(500))
            }
            FaultAction::RateLimited {
                retry_after: Some(text),
            } => rate_limited(Some(&text)),
            FaultAction::Redirect { location } => redirect(&location),
            FaultAction::Oversized { bytes } => oversized(bytes),
            FaultAction::Hang => std::future::pending().await,
            FaultAction::Reset => {
                self.reset();
                std::future::pending().await
            }
            // Forgotten before the request was answered.
            FaultAction::ForgetTokens => answer,
            FaultAction::Truncate => {
                let (parts, half, _) = halved(answer).await;
                Response::from_parts(
                    parts,
                    Body::from_stream(stream::iter([Ok::<_, Infallible>(half)])),
                )
            }
            FaultAction::ShortBody => half_then(answer, async { Bytes::new() }).await,
            FaultAction::ResetMidBody => {
                let never = async move {
                    self.reset();
                    std::future::pending().await
                };
                half_then(answer, never).await
            }
        }
    }

    fn reset(&self) {
        if let Some(connection) = &self.connection {
            connection.reset();
        }
    }
}

fn redirect(location: &str) -> Response {
    let mut response = reply::bare(StatusCode::FOUND);
    if let Ok(value) = HeaderValue::from_str(location) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

/// A body that is JSON as far as anyone will read it.
fn oversized(bytes: u64) -> Response {
    static CHUNK: [u8; 64 << 10] = [b' '; 64 << 10];
    let chunks = stream::unfold(bytes, |left| async move {
        let take = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK.len());
        let chunk = Ok::<_, Infallible>(Bytes::from_static(&CHUNK[..take]));
        (take > 0).then(|| (chunk, left - take as u64))
    });
    reply::with_body(StatusCode::OK, reply::JSON, Body::from_stream(chunks))
}

/// The first half of the answer under the length of the whole, then whatever `after` does.
async fn half_then(answer: Response, after: impl Future<Output = Bytes> + Send + 'static) -> Response {
    let (mut parts, half, length) = halved(answer).await;
    parts
        .headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    let rest = stream::once(async move {
        // Let the first half leave before the end comes.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(after.await)
    });
    let body = stream::iter([Ok::<_, Infallible>(half)]).chain(rest);
    Response::from_parts(parts, Body::from_stream(body))
}

/// The answer without its length, the first half of its body, and how long the body was.
async fn halved(response: Response) -> (http::response::Parts, Bytes, usize) {
    let (mut parts, body) = response.into_parts();
    let whole = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    parts.headers.remove(header::CONTENT_LENGTH);
    let half = whole.slice(..whole.len() / 2);
    (parts, half, whole.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn paths_have_kinds() {
        assert_eq!(kind_of("/oauth2/token", b""), RequestKind::Token);
        assert_eq!(kind_of("/api/users", b""), RequestKind::RestUsers);
        assert_eq!(kind_of("/api/user_groups/4", b""), RequestKind::RestGroups);
        assert_eq!(
            kind_of("/api/user_group_memberships", b""),
            RequestKind::RestMemberships
        );
        assert_eq!(kind_of("/api/roles", b""), RequestKind::RestRoles);
        assert_eq!(
            kind_of("/api/graphql", br#"{"query":"{ roles { id } }"}"#),
            RequestKind::GraphqlRoles
        );
        assert_eq!(kind_of("/api/suppliers", b""), RequestKind::Other);
        assert_eq!(
            kind_of("/QuickIntegration/Users", b"--x"),
            RequestKind::QuickIntegration
        );
    }

    #[test]
    fn retry_after_takes_three_forms() {
        let after = |retry_after| {
            let readings = Readings {
                retry_after,
                ..Readings::default()
            };
            too_many(&readings, Duration::from_millis(40))
                .headers()
                .get(header::RETRY_AFTER)
                .cloned()
        };
        assert_eq!(after(RetryAfter::Absent), None);
        assert_eq!(after(RetryAfter::Seconds), Some("1".parse().unwrap()));
        let date = after(RetryAfter::HttpDate).unwrap();
        assert!(
            date.to_str().unwrap().ends_with(" GMT") && date.len() == 29,
            "{date:?}"
        );
    }
}
