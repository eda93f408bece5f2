//! `/_sandbox/...`: the truth, the counters, and switching faults and readings while the sandbox runs.
//!
//! No token is asked: the sandbox is a development tool that holds made-up data.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::response::Response;
use axum::routing::{get, put};
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::reply;
use super::state::State;
use super::truth::Truth;

/// The control paths.
pub(super) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/_sandbox/truth", get(truth))
        .route("/_sandbox/stats", get(stats))
        .route("/_sandbox/faults", put(faults))
        .route("/_sandbox/readings", put(readings))
}

async fn truth(Shared(state): Shared<Arc<State>>) -> Response {
    reply::json(StatusCode::OK, &Truth::of(&state.store.read()))
}

async fn stats(Shared(state): Shared<Arc<State>>) -> Response {
    reply::json(StatusCode::OK, &state.stats())
}

async fn faults(Shared(state): Shared<Arc<State>>, body: Bytes) -> Response {
    set(&body, |faults| state.set_faults(faults))
}

async fn readings(Shared(state): Shared<Arc<State>>, body: Bytes) -> Response {
    set(&body, |readings| state.set_readings(readings))
}

/// The body replaces what was in force; anything it leaves out takes its default.
fn set<T: DeserializeOwned>(body: &[u8], apply: impl FnOnce(T)) -> Response {
    match serde_json::from_slice(body) {
        Ok(value) => {
            apply(value);
            reply::bare(StatusCode::NO_CONTENT)
        }
        Err(error) => reply::json(StatusCode::BAD_REQUEST, &json!({ "error": error.to_string() })),
    }
}
