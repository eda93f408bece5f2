//! Whether the daemon is well, over HTTP: for probes, and for the `health-check` command.
//!
//! Invariants: it answers from the start, so that a probe does not end a daemon that waits for the platform; however often it is asked,
//! Coupa is asked once at a time and every few seconds at most; nothing in an answer is more than a fault's message.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use jiff::{Timestamp, Unit};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::connector::Connector;
use crate::model::fault::{Fault, FaultKind};

/// How long Coupa may take to be checked.
const VALIDATE: Duration = Duration::from_secs(30);

/// How long a verdict about Coupa is good for.
const GOOD_FOR: Duration = Duration::from_secs(10);

/// How far the daemon has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The platform has not taken the introduction yet.
    Starting,
    /// Tasks are asked for.
    Ready,
    /// What is in hand is brought to an end.
    Stopping,
}

/// Answers while it lives.
pub struct HealthServer {
    address: SocketAddr,
    _serving: AbortOnDropHandle<()>,
}

impl HealthServer {
    pub(super) async fn bind(
        address: SocketAddr,
        connector: Arc<Connector>,
        stage: watch::Receiver<Stage>,
    ) -> Result<Self, Fault> {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            Fault::new(
                FaultKind::Unavailable,
                format!("cannot answer health checks on {address}"),
            )
            .because(error)
            .advise("choose another health-check-bind-address or health-check-port")
        })?;
        let address = listener.local_addr().unwrap_or(address);
        let health = Arc::new(Health {
            connector,
            stage,
            verdict: Mutex::new(None),
        });
        let routes = Router::new()
            .route("/health", get(healthy))
            .route("/ready", get(ready))
            .route("/live", get(live))
            .with_state(health);
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::error!(%error, "health checks are not answered any more");
            }
        });
        Ok(Self {
            address,
            _serving: AbortOnDropHandle::new(serving),
        })
    }

    /// Where it answers.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

struct Health {
    connector: Arc<Connector>,
    stage: watch::Receiver<Stage>,
    /// The last verdict about Coupa, and when it was found.
    verdict: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl Health {
    /// Whether Coupa can be used. Whoever asks while it is checked waits for that verdict.
    async fn verdict(&self) -> Result<(), String> {
        let mut verdict = self.verdict.lock().await;
        if let Some((_, known)) = verdict.as_ref().filter(|(at, _)| at.elapsed() < GOOD_FOR) {
            return known.clone();
        }
        let found = match timeout(VALIDATE, self.connector.validate()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(fault)) => {
                tracing::warn!(error = ?fault, "not healthy");
                Err(fault.message().to_owned())
            }
            Err(_) => Err("Coupa did not answer in time".to_owned()),
        };
        *verdict = Some((Instant::now(), found.clone()));
        found
    }
}

#[derive(Serialize)]
struct Body {
    status: &'static str,
    timestamp: String,
    details: Value,
}

fn answer(code: StatusCode, status: &'static str, details: Value) -> Response {
    let now = Timestamp::now();
    let body = Body {
        status,
        timestamp: now.round(Unit::Second).unwrap_or(now).to_string(),
        details,
    };
    (code, Json(body)).into_response()
}

async fn healthy(State(health): State<Arc<Health>>) -> Response {
    match health.verdict().await {
        Ok(()) => answer(StatusCode::OK, "healthy", json!({})),
        Err(why) => answer(
            StatusCode::SERVICE_UNAVAILABLE,
            "unhealthy",
            json!({ "error": why }),
        ),
    }
}

async fn ready(State(health): State<Arc<Health>>) -> Response {
    let why = match *health.stage.borrow() {
        Stage::Ready => return answer(StatusCode::OK, "ready", json!({})),
        Stage::Starting => "the platform has not taken the introduction yet",
        Stage::Stopping => "the connector is stopping",
    };
    answer(
        StatusCode::SERVICE_UNAVAILABLE,
        "not_ready",
        json!({ "error": why }),
    )
}

async fn live() -> Response {
    answer(StatusCode::OK, "alive", json!({}))
}

/// Asks a running daemon. `Unavailable` if nobody listens there, `Unknown` for whatever else is not a 200.
pub async fn check(address: SocketAddr, endpoint: &str, limit: Duration) -> Result<(), Fault> {
    let unwell = |message: String| Fault::new(FaultKind::Unknown, message);
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .timeout(limit)
        .build()
        .map_err(|error| Fault::internal("the HTTP client cannot be made").because(error))?;
    let answer = http.get(format!("http://{address}/{endpoint}")).send().await;
    match answer {
        Ok(answer) if answer.status() == StatusCode::OK => Ok(()),
        Ok(answer) => Err(unwell(format!(
            "{endpoint}: the daemon answers {}",
            answer.status().as_u16()
        ))),
        Err(error) if error.is_connect() && !error.is_timeout() => {
            Err(Fault::unavailable(format!("{endpoint}: nobody answers on {address}")).because(error))
        }
        Err(error) => Err(unwell(format!("{endpoint}: the daemon does not answer")).because(error)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::Ordering;

    use futures::future::join_all;

    use super::super::fake::{connector, connector_of, tenant};
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    async fn ask(server: &HealthServer, endpoint: &str) -> (u16, Value) {
        let url = format!("http://{}/{endpoint}", server.address());
        let mut answer = reqwest::Client::new().get(url).send().await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.chunk().await.unwrap().unwrap_or_default();
        (status, serde_json::from_slice(&body).unwrap())
    }

    fn anywhere() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    #[tokio::test]
    async fn a_daemon_is_alive_before_it_is_ready() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (stage, receiver) = watch::channel(Stage::Starting);
        let server = HealthServer::bind(anywhere(), Arc::new(connector()), receiver)
            .await
            .unwrap();
        assert_eq!(ask(&server, "live").await.1["status"], "alive");
        for (now, code, word) in [
            (Stage::Starting, 503, "not_ready"),
            (Stage::Ready, 200, "ready"),
            (Stage::Stopping, 503, "not_ready"),
        ] {
            stage.send_replace(now);
            let (status, body) = ask(&server, "ready").await;
            assert_eq!((status, body["status"].as_str()), (code, Some(word)), "{now:?}");
            assert!(body["timestamp"].as_str().unwrap().parse::<Timestamp>().is_ok());
            assert!(body["details"].is_object());
        }
        check(server.address(), "live", LIMIT).await.unwrap();
        let unwell = check(server.address(), "ready", LIMIT).await.unwrap_err();
        assert_eq!(*unwell.kind(), FaultKind::Unknown, "exit code 2");
        let address = server.address();
        drop(server);
        let gone = check(address, "live", LIMIT).await.unwrap_err();
        assert_eq!(*gone.kind(), FaultKind::Unavailable, "exit code 14");
    }

    #[tokio::test]
    async fn coupa_is_asked_once_however_many_ask() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let tenant = tenant(10);
        let (_stage, receiver) = watch::channel(Stage::Ready);
        let server = HealthServer::bind(anywhere(), Arc::new(connector_of(&tenant)), receiver)
            .await
            .unwrap();
        let answers = join_all((0..8).map(|_| ask(&server, "health"))).await;
        assert!(
            answers
                .iter()
                .all(|(code, body)| *code == 200 && body["status"] == "healthy")
        );
        assert_eq!(tenant.checks.load(Ordering::Relaxed), 1);
    }
}
