//! `PUT`, `PATCH`, `POST` and `DELETE` below `/api`: users and memberships.
//!
//! Invariant: a request becomes a [`Command`] once token, scope and target are judged; what happens to the command, now, later, in
//! half or not at all, is the [`Effect`] the gate hands over, so faults can strike on either side of it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Extension, Path, RawQuery, State as Shared};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use super::change::{Draft, Moment};
use super::faults::Effect;
use super::intake::{Intake, Share};
use super::person::{CustomFields, Profile};
use super::readings::{MembershipCreate, MembershipDelete, Readings, Surface, WriteReply};
use super::render::{Call, Object, Plan, Style};
use super::reply;
use super::rest::{Admitted, admit_write, leading_id};
use super::schema::{Handle, Type, same_name};
use super::state::State;
use super::stats::RequestKind;
use super::tenant::{MembershipRow, Tenant, as_index};
use super::values::public_id;

/// A write that may happen: judged as far as its target.
pub(super) enum Command {
    Update { user: Handle, body: Map<String, Value> },
    Create { body: Map<String, Value> },
    Join { user: Handle, group: u32 },
    Leave { membership: Handle },
}

/// Why a write is refused.
enum Refusal {
    Invalid(Vec<String>),
    Missing,
    NoSuchMethod,
}

impl From<&str> for Refusal {
    fn from(message: &str) -> Self {
        Self::Invalid(vec![message.to_owned()])
    }
}

/// What a write was about, and is answered with.
struct Done {
    ty: Type,
    row: Handle,
    status: StatusCode,
}

/// `PUT` or `PATCH` of one object.
pub(super) async fn update(
    Shared(state): Shared<Arc<State>>,
    Path((path, id)): Path<(String, String)>,
    Extension(effect): Extension<Effect>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let writer = match Writer::admit(&state, &path, &headers, effect, query) {
        Ok(writer) => writer,
        Err(refusal) => return *refusal,
    };
    writer.finish(writer.update(&id, &body))
}

/// `POST` to a collection.
pub(super) async fn create(
    Shared(state): Shared<Arc<State>>,
    Path(path): Path<String>,
    Extension(effect): Extension<Effect>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let writer = match Writer::admit(&state, &path, &headers, effect, query) {
        Ok(writer) => writer,
        Err(refusal) => return *refusal,
    };
    writer.finish(writer.create(&body))
}

/// `DELETE` of one object.
pub(super) async fn remove(
    Shared(state): Shared<Arc<State>>,
    Path((path, id)): Path<(String, String)>,
    Extension(effect): Extension<Effect>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let writer = match Writer::admit(&state, &path, &headers, effect, query) {
        Ok(writer) => writer,
        Err(refusal) => return *refusal,
    };
    writer.remove(&id)
}

/// One write, admitted.
struct Writer<'a> {
    state: &'a Arc<State>,
    admitted: Admitted,
    effect: Effect,
    query: String,
}

impl<'a> Writer<'a> {
    fn admit(
        state: &'a Arc<State>,
        path: &str,
        headers: &HeaderMap,
        effect: Effect,
        query: Option<String>,
    ) -> Result<Self, Box<Response>> {
        Ok(Self {
            state,
            admitted: admit_write(state, path, headers)?,
            effect,
            query: query.unwrap_or_default(),
        })
    }

    fn readings(&self) -> &Readings {
        &self.admitted.readings
    }

    fn update(&self, id: &str, body: &[u8]) -> Result<Done, Refusal> {
        if self.admitted.collection.kind != RequestKind::RestUsers {
            return Err(Refusal::NoSuchMethod);
        }
        let user = leading_id(id).and_then(|id| self.state.store.read().locate(Type::User, id));
        let user = user.ok_or(Refusal::Missing)?;
        let body = object(body)?;
        self.perform(Command::Update { user, body })?;
        Ok(Done {
            ty: Type::User,
            row: user,
            status: StatusCode::OK,
        })
    }

    fn create(&self, body: &[u8]) -> Result<Done, Refusal> {
        let (ty, command) = match self.admitted.collection.kind {
            RequestKind::RestUsers => (Type::User, Command::Create { body: object(body)? }),
            RequestKind::RestMemberships => {
                if self.readings().membership_create == MembershipCreate::Absent {
                    return Err(Refusal::Missing);
                }
                (Type::Membership, self.join(&object(body)?)?)
            }
            _ => return Err(Refusal::NoSuchMethod),
        };
        let row = self.perform(command)?;
        Ok(Done {
            ty,
            // Created in vain, it shows the first of its kind.
            row: row.unwrap_or_default(),
            status: StatusCode::CREATED,
        })
    }

    fn join(&self, body: &Map<String, Value>) -> Result<Command, Refusal> {
        let tenant = self.state.store.read();
        let named = |flat: &str, nested: &str| {
            let whole = body.iter().find(|(key, _)| same_name(key, flat));
            let part = || body.iter().find(|(key, _)| same_name(key, nested))?.1.get("id");
            whole.map(|(_, id)| id).or_else(part).and_then(public_id)
        };
        let user = named("user-id", "user").and_then(|id| tenant.locate(Type::User, id));
        let group = named("user-group-id", "user-group").and_then(|id| tenant.locate(Type::Group, id));
        match (user, group.and_then(|group| u32::try_from(group).ok())) {
            (None, _) => Err("User can't be blank".into()),
            (_, None) => Err("User group can't be blank".into()),
            (Some(user), Some(group)) => Ok(Command::Join { user, group }),
        }
    }

    /// Answered with the row as it was.
    fn remove(&self, id: &str) -> Response {
        let reading = self.readings().membership_delete;
        let target = match (self.admitted.collection.kind, reading) {
            (RequestKind::RestMemberships, MembershipDelete::Absent) => Err(Refusal::Missing),
            (RequestKind::RestMemberships, MembershipDelete::Works | MembershipDelete::Ignored) => {
                let tenant = self.state.store.read();
                let row = leading_id(id).and_then(|id| tenant.locate(Type::Membership, id));
                row.filter(|&row| holds(&tenant, row)).ok_or(Refusal::Missing)
            }
            _ => Err(Refusal::NoSuchMethod),
        };
        let done = target.map(|row| Done {
            ty: Type::Membership,
            row,
            status: StatusCode::OK,
        });
        let row = done.as_ref().ok().map(|done| done.row);
        let answer = self.finish(done);
        if let Some(membership) = row
            && reading == MembershipDelete::Works
            && self.perform(Command::Leave { membership }).is_err()
        {
            return self.finish(Err(Refusal::Missing));
        }
        answer
    }

    /// Lets the command have its effect; gives the row of what it created.
    fn perform(&self, command: Command) -> Result<Option<Handle>, Refusal> {
        let at_once = |share| {
            let mut tenant = self.state.store.write();
            command.run(&mut tenant, self.readings(), share)
        };
        match self.effect {
            Effect::Applied => at_once(Share::Whole),
            Effect::Partial if command.has_list() => at_once(Share::FirstHalf),
            Effect::None | Effect::Partial => Ok(None),
            Effect::AfterRequests(requests) => {
                self.state
                    .postpone(requests, command, Arc::clone(&self.admitted.readings));
                Ok(None)
            }
            Effect::AfterMs(ms) => {
                let (state, readings) = (Arc::clone(self.state), Arc::clone(&self.admitted.readings));
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                    command.land(&mut state.store.write(), &readings);
                });
                Ok(None)
            }
        }
    }

    fn finish(&self, done: Result<Done, Refusal>) -> Response {
        let Admitted {
            collection, format, ..
        } = &self.admitted;
        match done {
            Ok(done) => self.answer(&done),
            Err(Refusal::Invalid(messages)) => {
                format.errors(StatusCode::BAD_REQUEST, collection.singular, &messages)
            }
            Err(Refusal::Missing) => format.not_found(collection.singular),
            Err(Refusal::NoSuchMethod) => reply::bare(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    fn answer(&self, done: &Done) -> Response {
        let Admitted {
            collection,
            format,
            readings,
        } = &self.admitted;
        let Some(plan) = self.plan(done.ty) else {
            return reply::bare(done.status);
        };
        let style = Style::new(readings, Surface::Rest, Call::Single);
        let mut tenant = self.state.store.write();
        let user = match done.ty {
            Type::Membership => tenant.membership(done.row).user.into(),
            _ => done.row,
        };
        tenant.as_it_is(user, |tenant| {
            let object = Object {
                tenant,
                plan: &plan,
                style: &style,
                row: done.row,
            };
            format.answer_with(done.status, collection.singular, &object)
        })
    }

    /// What is told of the object; `None` for nothing at all.
    fn plan(&self, ty: Type) -> Option<Plan> {
        let readings = self.readings();
        let parameter = |name: &str| {
            url::form_urlencoded::parse(self.query.as_bytes())
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        let whole = || self.admitted.plan(parameter("fields").as_deref());
        let id = || Plan::projected(ty, r#"["id"]"#, readings);
        match (readings.write_reply, parameter("return_object").as_deref()) {
            (WriteReply::EmptyBody, _) | (_, Some("none")) => None,
            (WriteReply::IdsOnly, _) | (_, Some("limited")) => id(),
            (_, Some("shallow")) => Some(Plan::inner(ty, readings)),
            (WriteReply::WithoutLists, _) => whole().map(Plan::without_lists),
            (WriteReply::Whole, _) => whole(),
        }
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err("The body cannot be parsed".into()),
    }
}

/// Whether this membership truly is one.
fn holds(tenant: &Tenant, membership: Handle) -> bool {
    let MembershipRow { user, group, .. } = tenant.membership(membership);
    tenant.true_membership(user.into(), group) == Some(membership)
}

impl Command {
    fn has_list(&self) -> bool {
        let is_list = |key: &String| same_name(key, "roles") || same_name(key, "user-groups");
        match self {
            Self::Update { body, .. } => body.keys().any(is_list),
            Self::Create { .. } | Self::Join { .. } | Self::Leave { .. } => false,
        }
    }

    /// Carries the command out when its request is long gone; by now it may be pointless.
    pub(super) fn land(&self, tenant: &mut Tenant, readings: &Readings) {
        let _ = self.run(tenant, readings, Share::Whole);
    }

    fn run(&self, tenant: &mut Tenant, readings: &Readings, share: Share) -> Result<Option<Handle>, Refusal> {
        let now = Moment::now();
        let (visibility, touch) = (readings.visibility, readings.updated_at);
        match self {
            Self::Update { user, body } => {
                let draft = tenant.draft(*user);
                let draft = Intake::new(tenant, Some(*user), readings, share, draft)
                    .take(body)
                    .map_err(Refusal::Invalid)?;
                tenant.commit(*user, draft, touch.list, visibility, now);
                Ok(None)
            }
            Self::Create { body } => {
                let draft = Intake::new(tenant, None, readings, share, newcomer(now))
                    .take(body)
                    .map_err(Refusal::Invalid)?;
                Ok(Some(tenant.bear(draft, visibility, now)))
            }
            Self::Join { user, group } => {
                if tenant.true_membership(*user, *group).is_some() {
                    return Err("User has already been taken".into());
                }
                let mut draft = tenant.draft(*user);
                draft.groups.insert(*group);
                tenant.commit(*user, draft, touch.membership, visibility, now);
                Ok(tenant.true_membership(*user, *group))
            }
            Self::Leave { membership } => {
                if !holds(tenant, *membership) {
                    return Err(Refusal::Missing);
                }
                let MembershipRow { user, group, .. } = tenant.memberships[as_index(*membership)];
                let mut draft = tenant.draft(user.into());
                draft.groups.remove(&group);
                tenant.commit(user.into(), draft, touch.membership, visibility, now);
                Ok(None)
            }
        }
    }
}

/// A user before anything is said of it.
fn newcomer(now: Moment) -> Draft {
    Draft {
        roles: std::collections::BTreeSet::new(),
        groups: std::collections::BTreeSet::new(),
        licenses: 0,
        active: true,
        profile: Profile {
            login: String::new(),
            email: None,
            first_name: "".into(),
            last_name: "".into(),
            middle_name: None,
            employee_number: None,
            authentication_method: "coupa_credentials".into(),
            sso_identifier: None,
            manager: None,
            department: None,
            locale: "en".into(),
            currency: Some(0),
            phone_work: None,
            address: None,
            custom: CustomFields {
                badge_colour: None,
                reviewer: false,
                site: None,
            },
            created: now.second,
            updated: now.second,
        },
    }
}
