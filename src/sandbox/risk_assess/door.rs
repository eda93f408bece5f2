//! `POST /QuickIntegration/Users` (D498): who may come in, what a request must look like, and the answers.
//!
//! Invariant: credentials are judged before the body is looked at, and never kept.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Extension, FromRequest as _, Multipart, Request, State as Shared};
use axum::response::Response;
use axum::routing::{MethodRouter, post};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::sandbox::faults::Effect;
use crate::sandbox::reply;
use crate::sandbox::state::State;

use super::fields::Dialect;
use super::import::{BadHeader, Outcome, Row, rows};
use super::readings::{Switch, UnknownColumns};
use super::table::{Form, Table};
use super::{ImportRecord, Job, RiskAssess};

/// Larger files are refused; a file of 5 000 rows is a tenth of this.
pub(in crate::sandbox) const BODY_CAP: usize = 32 << 20;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The import of users.
pub(super) fn users() -> MethodRouter<Arc<State>> {
    // The gate has read the body already, and capped it.
    post(receive).layer(DefaultBodyLimit::disable())
}

async fn receive(
    Shared(state): Shared<Arc<State>>,
    Extension(effect): Extension<Effect>,
    request: Request,
) -> Response {
    if let Err(status) = admit(&state, request.headers()) {
        return reply::bare(status);
    }
    let file = match one_file(request).await {
        Ok(file) => file,
        Err(message) => return answer(StatusCode::BAD_REQUEST, message.to_owned()),
    };
    let form = Form::of(file.content_type.as_deref(), file.name.as_deref());
    let table = form.and_then(|form| Table::read(form, &file.bytes));
    let record = ImportRecord {
        form: form.filter(|_| table.is_some()),
        rows: table.as_ref().map(raw_rows).unwrap_or_default(),
        content_type: file.content_type,
        file_name: file.name,
        status: 0,
        made: 0,
        changed: 0,
        carried_out: false,
    };
    let errand = Errand {
        state: &state,
        effect,
    };
    let outcome = errand.run(record, table.as_ref());
    answer(outcome.status, outcome.message)
}

fn admit(state: &State, headers: &HeaderMap) -> Result<(), StatusCode> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(username), Some(password)) = (header("username"), header("password")) else {
        return Err(StatusCode::UNAUTHORIZED);
    };
    state.risk_assess(|there| there.admit(username, password))
}

fn answer(status: StatusCode, message: String) -> Response {
    if message.is_empty() {
        reply::bare(status)
    } else {
        reply::with_body(status, TEXT, Body::from(message))
    }
}

/// A file part.
struct FilePart {
    content_type: Option<String>,
    name: Option<String>,
    bytes: Bytes,
}

async fn one_file(request: Request) -> Result<FilePart, &'static str> {
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|_| "A multipart form is required.")?;
    let mut file = None;
    while let Some(field) = form.next_field().await.map_err(|_| "The form cannot be read.")? {
        if field.content_type().is_none() && field.file_name().is_none() {
            continue;
        }
        let part = FilePart {
            content_type: field.content_type().map(str::to_owned),
            name: field.file_name().map(str::to_owned),
            bytes: field.bytes().await.map_err(|_| "The form cannot be read.")?,
        };
        if file.replace(part).is_some() {
            return Err("Only one file may be sent.");
        }
    }
    file.ok_or("No file was sent.")
}

fn raw_rows(table: &Table) -> Vec<std::collections::BTreeMap<String, String>> {
    let row = |line: &super::table::Line| {
        table
            .header
            .iter()
            .cloned()
            .zip(line.cells.iter().cloned())
            .collect()
    };
    table.lines.iter().map(row).collect()
}

/// A file on its way in, and what a fault does to its effect.
struct Errand<'a> {
    state: &'a Arc<State>,
    effect: Effect,
}

impl Errand<'_> {
    fn run(&self, record: ImportRecord, table: Option<&Table>) -> Outcome {
        let (outcome, later) = self.state.risk_assess(|there| {
            let unknown = there.readings.unknown_columns;
            let place = there.record(record);
            let (outcome, later) = match judged(table, unknown) {
                Ok(rows) => self.take(there, Job { record: place, rows }),
                Err(outcome) => (outcome, None),
            };
            if let Some(record) = there.imports.get_mut(place) {
                record.status = outcome.status.as_u16();
            }
            (outcome, later)
        });
        if let Some(job) = later {
            self.postpone(job);
        }
        outcome
    }

    /// The answer, and what is left to be done later.
    fn take(&self, there: &mut RiskAssess, mut job: Job) -> (Outcome, Option<Job>) {
        if self.effect == Effect::Applied {
            return (there.accept(job), None);
        }
        let outcome = match there.readings.queue {
            Switch::On => Outcome::queued(),
            Switch::Off => there.rehearse(&job.rows),
        };
        match self.effect {
            Effect::None | Effect::Applied => (outcome, None),
            Effect::Partial => {
                job.rows.truncate(job.rows.len() / 2);
                there.accept(job);
                (outcome, None)
            }
            Effect::AfterMs(_) | Effect::AfterRequests(_) => (outcome, Some(job)),
        }
    }

    fn postpone(&self, job: Job) {
        match self.effect {
            Effect::AfterMs(ms) => {
                let state = Arc::clone(self.state);
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                    state.risk_assess(|there| there.land(job));
                });
            }
            Effect::AfterRequests(requests) => self.state.postpone_import(requests, job),
            Effect::None | Effect::Applied | Effect::Partial => {}
        }
    }
}

/// The rows, or why there are none to look at.
fn judged(table: Option<&Table>, unknown: UnknownColumns) -> Result<Vec<Row>, Outcome> {
    let unreadable = || Outcome::bare(StatusCode::NO_CONTENT);
    let table = table.ok_or_else(unreadable)?;
    rows(table, Dialect::Quick, unknown).map_err(|bad| match bad {
        BadHeader::Foreign => unreadable(),
        BadHeader::Columns(lines) => Outcome {
            message: lines.join("\n"),
            ..Outcome::bare(StatusCode::BAD_REQUEST)
        },
    })
}
