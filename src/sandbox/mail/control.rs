//! `/_sandbox/mail`: what the sandbox's sink holds, and its troubles.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::response::Response;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Value, json};

use crate::sandbox::reply;
use crate::sandbox::state::State;

use super::{Received, Trouble};

/// The paths.
pub(in crate::sandbox) fn routes() -> Router<Arc<State>> {
    Router::new().route("/_sandbox/mail", get(messages).put(troubles).delete(clear))
}

async fn messages(Shared(state): Shared<Arc<State>>) -> Response {
    let messages = state.risk_assess(|there| there.mailbox.messages());
    let told: Vec<Value> = messages.iter().map(told).collect();
    reply::json(StatusCode::OK, &told)
}

fn told(message: &Received) -> Value {
    json!({
        "from": message.from,
        "to": message.to,
        "text": String::from_utf8_lossy(&message.data),
        "base64": STANDARD.encode(&message.data),
        "tls": message.tls,
        "user": message.user,
        "helo": message.helo,
    })
}

async fn troubles(Shared(state): Shared<Arc<State>>, body: Bytes) -> Response {
    match serde_json::from_slice::<Vec<Trouble>>(&body) {
        Ok(troubles) => {
            state.risk_assess(|there| there.mailbox.set_troubles(troubles));
            reply::bare(StatusCode::NO_CONTENT)
        }
        Err(error) => reply::json(StatusCode::BAD_REQUEST, &json!({ "error": error.to_string() })),
    }
}

async fn clear(Shared(state): Shared<Arc<State>>) -> Response {
    state.risk_assess(|there| there.mailbox.clear());
    reply::bare(StatusCode::NO_CONTENT)
}
