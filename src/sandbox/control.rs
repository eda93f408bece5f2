//! `/_sandbox/...`: the truth, the counters and the log; faults, readings, edits and the barrier while the sandbox runs.
//!
//! No token is asked: the sandbox is a development tool that holds made-up data.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::response::Response;
use axum::routing::{get, post, put};
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::edits::{Edit, EditError};
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
        .route("/_sandbox/edit", post(edit))
        .route("/_sandbox/log", get(log).delete(clear_log))
        .route("/_sandbox/gaps", get(gaps))
        .route("/_sandbox/pause", post(pause))
        .route("/_sandbox/paused", get(paused))
        .route("/_sandbox/resume", post(resume))
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

async fn edit(Shared(state): Shared<Arc<State>>, body: Bytes) -> Response {
    match serde_json::from_slice::<Edit>(&body) {
        Ok(edit) => match state.edit(&edit) {
            Ok(()) => reply::bare(StatusCode::NO_CONTENT),
            Err(error) => {
                let status = match error {
                    EditError::UnknownReference => StatusCode::NOT_FOUND,
                    EditError::Refused(_) => StatusCode::BAD_REQUEST,
                };
                reply::json(status, &json!({ "error": error.to_string() }))
            }
        },
        Err(error) => reply::json(StatusCode::BAD_REQUEST, &json!({ "error": error.to_string() })),
    }
}

async fn log(Shared(state): Shared<Arc<State>>) -> Response {
    reply::json(StatusCode::OK, &state.log())
}

async fn clear_log(Shared(state): Shared<Arc<State>>) -> Response {
    state.clear_log();
    reply::bare(StatusCode::NO_CONTENT)
}

async fn gaps(Shared(state): Shared<Arc<State>>) -> Response {
    reply::json(StatusCode::OK, &state.gaps())
}

async fn pause(Shared(state): Shared<Arc<State>>, body: Bytes) -> Response {
    set(&body, |point| state.barrier.arm(point))
}

async fn paused(Shared(state): Shared<Arc<State>>) -> Response {
    reply::json(StatusCode::OK, &state.paused())
}

async fn resume(Shared(state): Shared<Arc<State>>) -> Response {
    state.barrier.resume();
    reply::bare(StatusCode::NO_CONTENT)
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
