//! `POST /api/graphql`: documents parsed by the parser crate, checked against the attribute tables, answered from the store.
//!
//! Invariant: nothing is looked up before the whole document has been checked. A fault of the document gives `errors` without
//! `data`; a fault of one root field (scope, filter) gives `errors` beside partial `data`. Both are HTTP 200.

use std::sync::Arc;

use async_graphql_parser::types::{DocumentOperations, ExecutableDocument, OperationType, Selection};
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::response::Response;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use super::compile::{Compiler, Operation, Problem, Root};
use super::faults::Setup;
use super::introspect;
use super::oauth::Grant;
use super::query::Query;
use super::readings::{GraphqlAccess, Introspection, Readings, Surface, TopLevel};
use super::render::{Call, Object, Page, Plan, Style};
use super::reply;
use super::schema::{Handle, Type};
use super::state::State;
use super::stats::RequestKind;
use super::store::Manners;
use super::tenant::Tenant;

/// The JSON body of a request.
#[derive(Deserialize)]
struct Body {
    query: String,
    #[serde(default)]
    variables: Option<serde_json::Map<String, Value>>,
    #[serde(default, rename = "operationName")]
    operation_name: Option<String>,
}

/// The kind of a request, by its first root field.
pub(super) fn kind_of(body: &[u8]) -> RequestKind {
    let first = serde_json::from_slice::<Body>(body)
        .ok()
        .and_then(|body| async_graphql_parser::parse_query(body.query).ok())
        .and_then(|document| first_field(&document));
    match first.as_deref() {
        Some("users" | "user") => RequestKind::GraphqlUsers,
        Some("userGroups" | "userGroup") => RequestKind::GraphqlGroups,
        Some("roles" | "role") => RequestKind::GraphqlRoles,
        Some("__type" | "__schema") => RequestKind::GraphqlIntrospection,
        _ => RequestKind::Other,
    }
}

fn first_field(document: &ExecutableDocument) -> Option<String> {
    let (_, operation) = document.operations.iter().next()?;
    operation
        .node
        .selection_set
        .node
        .items
        .iter()
        .find_map(|item| match &item.node {
            Selection::Field(field) => Some(field.node.name.node.to_string()),
            _ => None,
        })
}

/// Answers one document.
pub(super) async fn answer(Shared(state): Shared<Arc<State>>, headers: HeaderMap, body: Bytes) -> Response {
    let readings = state.readings();
    let Some(grant) = state.oauth.judge(&headers) else {
        return reply::unauthorized(&readings);
    };
    match readings.graphql {
        GraphqlAccess::NotFound => {
            return reply::json(StatusCode::NOT_FOUND, &json!({ "error": "Not Found" }));
        }
        GraphqlAccess::Forbidden => return reply::forbidden(),
        GraphqlAccess::Errors => return refuse(&[Problem::new("GraphQL is not enabled for this instance")]),
        // Documented: only tokens that can do nothing but read.
        GraphqlAccess::Available if !grant.reads_only() => return reply::forbidden(),
        GraphqlAccess::Available => {}
    }
    if !is_json(&headers) {
        return reply::json(
            StatusCode::BAD_REQUEST,
            &json!({ "errors": [Problem::new("JSON only")] }),
        );
    }
    let Ok(body) = serde_json::from_slice::<Body>(&body) else {
        return reply::json(
            StatusCode::BAD_REQUEST,
            &json!({ "errors": [Problem::new("No query string was present")] }),
        );
    };
    match compile(body, &readings) {
        Ok(operation) => execute(&state, &readings, &grant, operation),
        Err(problems) => refuse(&problems),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    content_type.is_some_and(|text| text.starts_with("application/json"))
}

fn refuse(problems: &[Problem]) -> Response {
    reply::json(StatusCode::OK, &json!({ "errors": problems }))
}

fn compile(body: Body, readings: &Readings) -> Result<Operation, Vec<Problem>> {
    let document = async_graphql_parser::parse_query(&body.query)
        .map_err(|e| vec![Problem::new(format!("Parse error: {e}"))])?;
    let operation = match (&document.operations, body.operation_name) {
        (DocumentOperations::Single(operation), _) => operation,
        (DocumentOperations::Multiple(many), Some(name)) => many
            .get(name.as_str())
            .ok_or_else(|| vec![Problem::new("No operation of this name in the document")])?,
        (DocumentOperations::Multiple(many), None) => match many.values().next() {
            Some(only) if many.len() == 1 => only,
            _ => return Err(vec![Problem::new("An operation name is required")]),
        },
    };
    if operation.node.ty != OperationType::Query {
        return Err(vec![Problem::new(
            "Schema is not configured for mutations or subscriptions",
        )]);
    }
    Compiler::new(
        &document,
        &operation.node,
        body.variables.unwrap_or_default(),
        readings,
    )
    .compile()
}

/// The value of one root field.
enum Outcome {
    Rows(Plan, Style, Vec<Handle>),
    Row(Plan, Style, Handle),
    Json(Value),
}

impl Outcome {
    fn rows(&self) -> &[Handle] {
        match self {
            Self::Rows(_, _, rows) => rows,
            Self::Row(_, _, row) => std::slice::from_ref(row),
            Self::Json(_) => &[],
        }
    }
}

/// `data`: root fields in the order asked.
struct Data<'a> {
    tenant: &'a Tenant,
    fields: Vec<(String, Outcome)>,
}

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tenant = self.tenant;
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for (key, outcome) in &self.fields {
            match outcome {
                Outcome::Rows(plan, style, rows) => map.serialize_entry(
                    key,
                    &Page {
                        tenant,
                        plan,
                        style,
                        rows,
                    },
                )?,
                Outcome::Row(plan, style, row) => {
                    map.serialize_entry(
                        key,
                        &Object {
                            tenant,
                            plan,
                            style,
                            row: *row,
                        },
                    )?;
                }
                Outcome::Json(value) => map.serialize_entry(key, value)?,
            }
        }
        map.end()
    }
}

/// A GraphQL answer; `errors` only where there are some.
#[derive(serde::Serialize)]
struct Answer<'a> {
    data: Data<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Problem>,
}

fn execute(state: &State, readings: &Readings, grant: &Grant, operation: Operation) -> Response {
    let tenant = state.store.read();
    let setup = state.oauth.setup();
    let runner = Runner {
        tenant: &tenant,
        readings,
        grant,
        setup: &setup,
        rest_cap: state.page_cap,
    };
    let (mut fields, mut errors) = (Vec::new(), Vec::new());
    let mut users: Option<Vec<Handle>> = None;
    for (key, root) in operation.roots {
        let of_users = root.ty() == Some(Type::User);
        let outcome = runner.run(root).unwrap_or_else(|message| {
            errors.push(Problem::at(message, &key));
            Outcome::Json(Value::Null)
        });
        if of_users {
            users.get_or_insert_default().extend_from_slice(outcome.rows());
        }
        fields.push((key, outcome));
    }
    let answer = reply::json(
        StatusCode::OK,
        &Answer {
            data: Data {
                tenant: &tenant,
                fields,
            },
            errors,
        },
    );
    if let Some(rows) = users {
        state.store.saw(tenant, Type::User, &Query::default(), &rows);
    }
    answer
}

struct Runner<'a> {
    tenant: &'a Tenant,
    readings: &'a Readings,
    grant: &'a Grant,
    setup: &'a Setup,
    rest_cap: usize,
}

impl Runner<'_> {
    fn run(&self, root: Root) -> Result<Outcome, String> {
        match root {
            Root::Typename => Ok(Outcome::Json("Query".into())),
            Root::List { ty, query, plan } => self.list(ty, &query, plan),
            Root::Single { ty, id, plan } => self.single(ty, id, plan),
            Root::Introspect(question) => match self.readings.introspection {
                Introspection::Available => Ok(Outcome::Json(introspect::answer(&question, self.readings))),
                Introspection::Refused => Err("Introspection is disabled".to_owned()),
            },
        }
    }

    fn check_scope(&self, ty: Type) -> Result<(), String> {
        let (scope, collection) = match ty {
            Type::User => ("core.user.read", "users"),
            Type::Group => ("core.user_group.read", "user_groups"),
            _ => ("core.common.read", "roles"),
        };
        if self.grant.allows(scope) && !self.setup.forbids(collection) {
            Ok(())
        } else {
            Err("Insufficient permissions".to_owned())
        }
    }

    fn list(&self, ty: Type, query: &str, plan: Plan) -> Result<Outcome, String> {
        self.check_scope(ty)?;
        let query = Query::parse(ty, query).and_then(|query| query.heed(self.readings, Surface::Graphql));
        let query = query.map_err(|error| error.to_string())?;
        let manners = Manners::new(self.readings, Surface::Graphql, self.rest_cap);
        let rows = self.tenant.page(ty, &query, &manners);
        Ok(match self.readings.top_level.graphql {
            TopLevel::Null => Outcome::Json(Value::Null),
            TopLevel::NullWhenEmpty if rows.is_empty() => Outcome::Json(Value::Null),
            TopLevel::List | TopLevel::NullWhenEmpty => Outcome::Rows(
                plan,
                Style::new(self.readings, Surface::Graphql, Call::List),
                rows,
            ),
        })
    }

    fn single(&self, ty: Type, id: u64, plan: Plan) -> Result<Outcome, String> {
        self.check_scope(ty)?;
        let style = Style::new(self.readings, Surface::Graphql, Call::Single);
        Ok(match self.tenant.find(ty, id) {
            Some(row) => Outcome::Row(plan, style, row),
            None => Outcome::Json(Value::Null),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn documents_are_counted_by_their_first_field() {
        let kind = |query: &str| kind_of(json!({ "query": query }).to_string().as_bytes());
        assert_eq!(
            kind("query Q($q: String) { a: users(query: $q) { id } roles { id } }"),
            RequestKind::GraphqlUsers
        );
        assert_eq!(kind("{ userGroup(id: 1) { id } }"), RequestKind::GraphqlGroups);
        assert_eq!(kind("{ roles { id } }"), RequestKind::GraphqlRoles);
        assert_eq!(
            kind("{ __type(name: \"User\") { name } }"),
            RequestKind::GraphqlIntrospection
        );
        assert_eq!(kind("{"), RequestKind::Other);
    }
}
