//! Answers that several parts of the sandbox give.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::json;

use super::readings::{ErrorBody, Readings};

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
pub(super) const XML: HeaderValue = HeaderValue::from_static("application/xml; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// An answer with this body.
pub(super) fn with_body(status: StatusCode, content_type: HeaderValue, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// A JSON answer.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => with_body(status, JSON, bytes),
        // Maps with text keys always serialise; should that ever break, it must be seen.
        Err(error) => with_body(StatusCode::INTERNAL_SERVER_ERROR, JSON, error.to_string()),
    }
}

/// A status and nothing else.
pub(super) fn bare(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A page as proxies and login screens give it.
pub(super) fn html(status: StatusCode) -> Response {
    let text =
        "<!DOCTYPE html><html><head><title>Coupa</title></head><body><h1>We are back soon</h1></body></html>";
    with_body(status, HTML, text)
}

/// The token is missing, unknown, expired or too fresh.
pub(super) fn unauthorized(readings: &Readings) -> Response {
    let mut response = match readings.unauthorized_body {
        ErrorBody::Empty => bare(StatusCode::UNAUTHORIZED),
        ErrorBody::Json => json(
            StatusCode::UNAUTHORIZED,
            &json!({ "error": "invalid_token", "error_description": "The access token is invalid" }),
        ),
    };
    let challenge = HeaderValue::from_static("Bearer realm=\"Coupa\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

/// The token is good but does not allow this. Coupa's body is not documented; no scope is named.
pub(super) fn forbidden() -> Response {
    json(
        StatusCode::FORBIDDEN,
        &json!({ "error": "forbidden", "error_description": "The access token does not allow this request" }),
    )
}
