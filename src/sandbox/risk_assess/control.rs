//! The paths of Risk Assess: the import, and what a person does and sees there, below `/_sandbox/risk-assess`.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State as Shared};
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;

use crate::sandbox::reply;
use crate::sandbox::state::State;

use super::edits::{Edit, EditError};
use super::handle::Handle;
use super::readings::Readings;
use super::table::Form;

const CSV: HeaderValue = HeaderValue::from_static("text/csv; charset=utf-8");
const XLSX: HeaderValue =
    HeaderValue::from_static("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet");

/// All of them.
pub(in crate::sandbox) fn routes() -> Router<Arc<State>> {
    let person = Router::new()
        .route("/", get(readings).put(set_readings))
        .route("/accounts", get(accounts))
        .route("/hand-made", get(hand_made))
        .route("/problems", get(problems))
        .route("/error-report.csv", get(error_report))
        .route("/grid.csv", get(grid_csv))
        .route("/grid.xlsx", get(grid_xlsx))
        .route("/imports", get(imports))
        .route("/settle", post(settle))
        .route("/resync", post(resync))
        .route("/edit", post(edit))
        .route(
            "/user-import",
            post(user_import).layer(DefaultBodyLimit::max(super::BODY_CAP)),
        );
    Router::new()
        .route("/QuickIntegration/Users", super::door::users())
        .nest("/_sandbox/risk-assess", person)
}

async fn readings(Shared(state): Shared<Arc<State>>) -> Response {
    reply::json(StatusCode::OK, &Handle::new(&state).readings())
}

async fn set_readings(Shared(state): Shared<Arc<State>>, body: Bytes) -> Response {
    match serde_json::from_slice::<Readings>(&body) {
        Ok(readings) => {
            Handle::new(&state).set_readings(readings);
            reply::bare(StatusCode::NO_CONTENT)
        }
        Err(error) => reply::json(StatusCode::BAD_REQUEST, &json!({ "error": error.to_string() })),
    }
}

async fn accounts(Shared(state): Shared<Arc<State>>) -> Response {
    reply::json(StatusCode::OK, &Handle::new(&state).accounts())
}

async fn hand_made(Shared(state): Shared<Arc<State>>) -> Response {
    reply::json(StatusCode::OK, &Handle::new(&state).hand_made())
}

async fn problems(Shared(state): Shared<Arc<State>>) -> Response {
    reply::json(StatusCode::OK, &Handle::new(&state).problems())
}

async fn error_report(Shared(state): Shared<Arc<State>>) -> Response {
    let report = Handle::new(&state).error_report();
    download(CSV, &format!("{}.csv", report.title), report.csv)
}

async fn grid_csv(Shared(state): Shared<Arc<State>>) -> Response {
    download(CSV, "Users.csv", Handle::new(&state).grid(Form::Csv))
}

async fn grid_xlsx(Shared(state): Shared<Arc<State>>) -> Response {
    download(XLSX, "Users.xlsx", Handle::new(&state).grid(Form::Xlsx))
}

async fn imports(Shared(state): Shared<Arc<State>>) -> Response {
    reply::json(StatusCode::OK, &Handle::new(&state).imports())
}

async fn settle(Shared(state): Shared<Arc<State>>) -> Response {
    reply::json(StatusCode::OK, &Handle::new(&state).settle())
}

async fn resync(Shared(state): Shared<Arc<State>>) -> Response {
    Handle::new(&state).resync();
    reply::bare(StatusCode::NO_CONTENT)
}

async fn edit(Shared(state): Shared<Arc<State>>, body: Bytes) -> Response {
    let error = |status, error: String| reply::json(status, &json!({ "error": error }));
    match serde_json::from_slice::<Edit>(&body) {
        Err(wrong) => error(StatusCode::BAD_REQUEST, wrong.to_string()),
        Ok(edit) => match Handle::new(&state).edit(&edit) {
            Ok(account) => reply::json(StatusCode::OK, &json!({ "account": account })),
            Err(wrong) => {
                let status = match wrong {
                    EditError::Unknown => StatusCode::NOT_FOUND,
                    EditError::Incomplete => StatusCode::BAD_REQUEST,
                    EditError::Synced | EditError::Taken => StatusCode::CONFLICT,
                };
                error(status, wrong.to_string())
            }
        },
    }
}

async fn user_import(Shared(state): Shared<Arc<State>>, headers: HeaderMap, body: Bytes) -> Response {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let Some(form) = Form::of(content_type, None) else {
        return reply::bare(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    };
    match Handle::new(&state).user_import(form, &body) {
        Ok(shown) => reply::json(StatusCode::OK, &shown),
        Err(error) => reply::json(StatusCode::BAD_REQUEST, &json!({ "error": error })),
    }
}

fn download(content_type: HeaderValue, name: &str, bytes: Vec<u8>) -> Response {
    let mut response = reply::with_body(StatusCode::OK, content_type, bytes);
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    }
    response
}
