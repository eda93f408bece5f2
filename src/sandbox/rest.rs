//! `GET /api/{resource}` and `/api/{resource}/{id}`.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State as Shared};
use axum::response::Response;
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};

use super::query::Query;
use super::readings::{Heed, Presence, Readings, RestAccess, Surface, TopLevel};
use super::render::{Call, Object, Page, Plan, Style};
use super::reply;
use super::schema::{Handle, Type};
use super::state::State;
use super::stats::RequestKind;
use super::store::Manners;
use super::tenant::{Class, Tenant};
use super::xml;

/// One collection of the API.
pub(super) struct Collection {
    /// Path segment.
    pub(super) path: &'static str,
    pub(super) kind: RequestKind,
    ty: Type,
    /// Scopes, from Coupa's list of scopes and endpoints.
    read_scope: &'static str,
    write_scope: &'static str,
    /// XML names, also the key of validation errors.
    pub(super) singular: &'static str,
    plural: &'static str,
    access: fn(&Readings) -> RestAccess,
}

const COLLECTIONS: [Collection; 4] = [
    Collection {
        path: "users",
        kind: RequestKind::RestUsers,
        ty: Type::User,
        read_scope: "core.user.read",
        write_scope: "core.user.write",
        singular: "user",
        plural: "users",
        access: |r| r.rest_users,
    },
    Collection {
        path: "user_groups",
        kind: RequestKind::RestGroups,
        ty: Type::Group,
        read_scope: "core.user_group.read",
        write_scope: "core.user_group.write",
        singular: "user-group",
        plural: "user-groups",
        access: |r| r.rest_groups,
    },
    Collection {
        path: "user_group_memberships",
        kind: RequestKind::RestMemberships,
        ty: Type::Membership,
        read_scope: "core.user_group.read",
        write_scope: "core.user_group.write",
        singular: "user-group-membership",
        plural: "user-group-memberships",
        access: |r| r.rest_memberships,
    },
    Collection {
        path: "roles",
        kind: RequestKind::RestRoles,
        ty: Type::Role,
        read_scope: "core.common.read",
        write_scope: "core.common.write",
        singular: "role",
        plural: "roles",
        access: |r| r.rest_roles,
    },
];

impl Collection {
    /// The collection with this path segment.
    pub(super) fn named(path: &str) -> Option<&'static Self> {
        COLLECTIONS.iter().find(|collection| collection.path == path)
    }
}

/// The form the caller asked for; Coupa's default is XML.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Xml,
}

impl Format {
    fn asked(headers: &HeaderMap) -> Self {
        let accept = headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        if accept.contains("application/json") {
            Self::Json
        } else {
            Self::Xml
        }
    }

    fn error(self, status: StatusCode, key: &str, message: &str) -> Response {
        self.errors(status, key, &[message.to_owned()])
    }

    /// Coupa's documented body of a refusal.
    pub(super) fn errors(self, status: StatusCode, key: &str, messages: &[String]) -> Response {
        match self {
            Self::Json => {
                let mut errors = serde_json::Map::new();
                errors.insert(key.to_owned(), json!(messages));
                errors.insert("warnings".to_owned(), Value::Null);
                reply::json(status, &json!({ "errors": errors }))
            }
            Self::Xml => reply::with_body(status, reply::XML, xml::errors(&messages.join(", "))),
        }
    }

    pub(super) fn not_found(self, key: &str) -> Response {
        self.error(StatusCode::NOT_FOUND, key, "Resource not found")
    }

    fn answer(self, root: &str, body: &impl Serialize) -> Response {
        self.answer_with(StatusCode::OK, root, body)
    }

    pub(super) fn answer_with(self, status: StatusCode, root: &str, body: &impl Serialize) -> Response {
        match self {
            Self::Json => reply::json(status, body),
            Self::Xml => {
                let value = serde_json::to_value(body).unwrap_or_default();
                reply::with_body(status, reply::XML, xml::document(root, &value))
            }
        }
    }
}

/// One request, admitted: token good, collection there and allowed.
pub(super) struct Admitted {
    pub(super) collection: &'static Collection,
    pub(super) format: Format,
    pub(super) readings: Arc<Readings>,
}

/// Admits a write.
pub(super) fn admit_write(state: &State, path: &str, headers: &HeaderMap) -> Result<Admitted, Box<Response>> {
    admit(state, path, headers, |collection| collection.write_scope)
}

fn admit(
    state: &State,
    path: &str,
    headers: &HeaderMap,
    scope: fn(&Collection) -> &'static str,
) -> Result<Admitted, Box<Response>> {
    let readings = state.readings();
    let format = Format::asked(headers);
    let grant = state
        .oauth
        .judge(headers)
        .ok_or_else(|| reply::unauthorized(&readings))?;
    let collection = Collection::named(path).ok_or_else(|| format.not_found("base"))?;
    match (collection.access)(&readings) {
        _ if state.oauth.setup().forbids(collection.path) => Err(reply::forbidden().into()),
        RestAccess::Allowed if grant.allows(scope(collection)) => Ok(Admitted {
            collection,
            format,
            readings,
        }),
        RestAccess::Allowed | RestAccess::Forbidden => Err(reply::forbidden().into()),
        RestAccess::NotFound => Err(format.not_found("base").into()),
    }
}

/// A page of a collection.
pub(super) async fn list(
    Shared(state): Shared<Arc<State>>,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    match admit(&state, &path, &headers, |collection| collection.read_scope) {
        Ok(admitted) => admitted.list(&state, &query.unwrap_or_default()),
        Err(refusal) => *refusal,
    }
}

/// One object.
pub(super) async fn show(
    Shared(state): Shared<Arc<State>>,
    Path((path, id)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    match admit(&state, &path, &headers, |collection| collection.read_scope) {
        Ok(admitted) => admitted.show(&state, &id, &query.unwrap_or_default()),
        Err(refusal) => *refusal,
    }
}

impl Admitted {
    fn list(&self, state: &State, query: &str) -> Response {
        let Self {
            collection,
            format,
            readings,
        } = self;
        let query = Query::parse(collection.ty, query).and_then(|query| query.heed(readings, Surface::Rest));
        let query = match query {
            Ok(query) => query,
            Err(error) => {
                return format.error(StatusCode::BAD_REQUEST, collection.singular, &error.to_string());
            }
        };
        let Some(plan) = self.plan(query.fields.as_deref()) else {
            return self.bad_fields();
        };
        let tenant = state.store.read();
        let manners = Manners::new(readings, Surface::Rest, state.page_cap);
        let rows = tenant.page(collection.ty, &query, &manners);
        let answer = match (readings.top_level.rest, format) {
            (TopLevel::Null, _) => format.answer(collection.plural, &Value::Null),
            (TopLevel::NullWhenEmpty, _) if rows.is_empty() => format.answer(collection.plural, &Value::Null),
            // Documented: an empty XML result is a 404.
            (_, Format::Xml) if rows.is_empty() => format.not_found(collection.singular),
            _ => {
                let style = Style::new(readings, Surface::Rest, Call::List);
                let page = Page {
                    tenant: &tenant,
                    plan: &plan,
                    style: &style,
                    rows: &rows,
                };
                format.answer(collection.plural, &page)
            }
        };
        state.store.saw(tenant, collection.ty, &query, &rows);
        answer
    }

    fn show(&self, state: &State, id: &str, query: &str) -> Response {
        let Self {
            collection,
            format,
            readings,
        } = self;
        let fields = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "fields");
        let query = Query {
            fields: fields.map(|(_, value)| value.into_owned()),
            ..Query::default()
        };
        let Some(plan) = self.plan(query.fields.as_deref()) else {
            return self.bad_fields();
        };
        let tenant = state.store.read();
        let row = if collection.kind == RequestKind::RestUsers && id == "me" {
            me(&tenant, readings)
        } else {
            leading_id(id).and_then(|id| tenant.find(collection.ty, id))
        };
        let answer = match row {
            None => format.not_found(collection.singular),
            Some(row) => {
                let style = Style::new(readings, Surface::Rest, Call::Single);
                let object = Object {
                    tenant: &tenant,
                    plan: &plan,
                    style: &style,
                    row,
                };
                format.answer(collection.singular, &object)
            }
        };
        state.store.saw(tenant, collection.ty, &query, row.as_slice());
        answer
    }

    /// What to write of an object; `None` if `fields` cannot be read.
    pub(super) fn plan(&self, fields: Option<&str>) -> Option<Plan> {
        let ty = self.collection.ty;
        match (fields, self.readings.fields) {
            (Some(fields), Heed::Honoured) => Plan::projected(ty, fields, &self.readings),
            _ => Some(Plan::whole(ty, &self.readings)),
        }
    }

    fn bad_fields(&self) -> Response {
        self.format.error(
            StatusCode::BAD_REQUEST,
            self.collection.singular,
            "Invalid value for fields",
        )
    }
}

/// The account the token belongs to, where this release tells.
fn me(tenant: &Tenant, readings: &Readings) -> Option<Handle> {
    let first = tenant.users.iter().position(|user| user.class == Class::Api);
    let first = first.filter(|_| readings.users_me == Presence::Present);
    first.map(|index| index as Handle)
}

/// The id of a path segment. A client that escapes the `?` sends `5?fields=...` as the segment; Coupa then reads the digits
/// in front and no parameters at all, so the object comes whole.
pub(super) fn leading_id(segment: &str) -> Option<u64> {
    segment.split_once('?').map_or(segment, |(id, _)| id).parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn ids_are_read_from_segments() {
        assert_eq!(leading_id("5"), Some(5));
        assert_eq!(leading_id("5?fields=[\"id\"]"), Some(5));
        assert_eq!(leading_id("me"), None);
    }
}
