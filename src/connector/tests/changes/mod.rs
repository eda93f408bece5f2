//! Changes through the connector, with a tenant in memory that can be changed and remembers what it was asked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod accounts;
mod actions;
mod downstream;

use std::sync::Mutex;

use async_trait::async_trait;
use prost_types::value::Kind as ValueKind;
use prost_types::{Struct, Value};
use tokio::sync::watch;

use super::*;
use crate::model::access::{Access, LicenseSet};
use crate::model::change::{
    AccountDraft, Activity, AuthenticationMethod, Change, Effect, OnInactive, Order, Outcome, Plan,
    RequestId, Via,
};
use crate::model::downstream::Followed;
use crate::model::id::UserId;
use crate::model::journal::{EntryId, Held};
use crate::model::tenant::{Finding, User};
use crate::snapshot::fake::{catalog, group_item, role_item, user_id};

/// Makes every change at once, or fails as told.
struct Writes {
    tenant: Arc<FakeTenant>,
    asked: Mutex<Vec<(Order, Change)>>,
    effect: Mutex<Effect>,
    fault: Mutex<Option<Fault>>,
    /// No new account is given this license.
    withheld: Mutex<Option<&'static str>>,
    /// Changes wait while it is set.
    hold: watch::Sender<bool>,
    downstream: Mutex<Option<Box<Followed>>>,
}

impl Writes {
    fn new(tenant: &Arc<FakeTenant>) -> Arc<Self> {
        Arc::new(Self {
            tenant: Arc::clone(tenant),
            asked: Mutex::default(),
            effect: Mutex::new(Effect::Made),
            fault: Mutex::default(),
            withheld: Mutex::default(),
            hold: watch::Sender::new(false),
            downstream: Mutex::default(),
        })
    }

    fn ends(&self, effect: Effect) {
        *self.effect.lock().unwrap() = effect;
    }

    fn withholds(&self, license: &'static str) {
        *self.withheld.lock().unwrap() = Some(license);
    }

    fn fails(&self, kind: FaultKind) {
        *self.fault.lock().unwrap() = Some(Fault::new(kind, "injected"));
    }

    fn asked(&self) -> Vec<Change> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|(_, change)| change.clone()).collect()
    }
}

#[async_trait]
impl WriteTenant for Writes {
    async fn check(&self) -> Result<(), Fault> {
        self.fault.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    async fn apply(&self, order: &Order, change: &Change) -> Result<Outcome, Fault> {
        self.asked.lock().unwrap().push((order.clone(), change.clone()));
        self.hold.subscribe().wait_for(|held| !held).await.unwrap();
        if let Some(fault) = self.fault.lock().unwrap().clone() {
            return Err(fault);
        }
        let mut world = self.tenant.world();
        let id = change.user().unwrap_or_else(|| user_id(7_000_000_000));
        let mut user = world
            .users
            .get(&id.get())
            .cloned()
            .unwrap_or_else(|| newcomer(id));
        let access = &user.access;
        let (roles, groups) = (access.roles().to_vec(), access.groups().to_vec());
        match change {
            Change::Grant {
                item: Item::Role(role),
                ..
            } => {
                user.access = Access::new([roles, vec![*role]].concat(), groups, access.licenses);
            }
            Change::Revoke {
                item: Item::Role(role),
                ..
            } => {
                let rest = roles.into_iter().filter(|held| held != role).collect();
                user.access = Access::new(rest, groups, access.licenses);
            }
            Change::SetActive { to, .. } => user.active = to.is_active(),
            Change::Create { draft, .. } => {
                user.login = draft.login.clone().unwrap();
                let withheld = *self.withheld.lock().unwrap();
                let given = draft
                    .licenses
                    .iter()
                    .filter(|name| Some(name.as_str()) != withheld);
                let mut licenses = LicenseSet::EMPTY;
                given.for_each(|name| licenses.insert(catalog().position(name).unwrap()));
                user.access = Access::new(roles, groups, licenses);
            }
            Change::Grant { .. } | Change::Revoke { .. } | Change::Update { .. } => {}
        }
        world.users.insert(id.get(), user.clone());
        Ok(Outcome {
            effect: *self.effect.lock().unwrap(),
            user,
            entry: Some(EntryId(1)),
            attempts: 1,
            before: Held::Nothing,
            after: Held::Nothing,
            findings: vec![Finding {
                text: "role 9 appeared meanwhile".to_owned(),
            }],
            downstream: self.downstream.lock().unwrap().clone(),
        })
    }

    async fn plan(&self, _: &Change) -> Result<Plan, Fault> {
        Err(Fault::internal("nobody plans here"))
    }
}

fn newcomer(id: UserId) -> User {
    let world = World::new(2);
    let somebody = world.users.into_values().next().unwrap();
    User {
        id,
        access: Access::default(),
        active: true,
        ..somebody
    }
}

fn order() -> Order {
    Order {
        request: Some("task-1".parse::<RequestId>().unwrap()),
        via: Via::Grpc,
    }
}

fn setup() -> (Connector, Arc<Writes>) {
    let tenant = FakeTenant::new(World::new(60));
    let writes = Writes::new(&tenant);
    (
        connector(&tenant).with_writes(Arc::clone(&writes) as Arc<dyn WriteTenant>),
        writes,
    )
}

/// Somebody who is listed and does not hold the role.
fn without_role(writes: &Writes, role: u64) -> u64 {
    let Item::Role(role) = role_item(role) else {
        panic!()
    };
    let world = writes.tenant.world();
    let mut listed = world.listed();
    listed
        .find(|user| !user.access.roles().contains(&role))
        .unwrap()
        .id
        .get()
}

fn grant_of(item: &Item, user: u64) -> c1::GrantManagerServiceGrantRequest {
    c1::GrantManagerServiceGrantRequest {
        entitlement: Some(c1::Entitlement {
            id: entitlement_id(item),
            ..c1::Entitlement::default()
        }),
        principal: Some(stub(of("user", &user.to_string()))),
        ..c1::GrantManagerServiceGrantRequest::default()
    }
}

fn revoke_of(item: &Item, user: u64) -> c1::GrantManagerServiceRevokeRequest {
    let grant = grant_of(item, user);
    c1::GrantManagerServiceRevokeRequest {
        grant: Some(c1::Grant {
            id: "🧸_UNKNOWN_GRANT_ID".to_owned(),
            entitlement: grant.entitlement,
            principal: grant.principal,
            ..c1::Grant::default()
        }),
        ..c1::GrantManagerServiceRevokeRequest::default()
    }
}

fn kind_of<T>(result: Result<T, Fault>) -> FaultKind {
    result.err().unwrap().kind().clone()
}

fn text(text: &str) -> Value {
    ValueKind::StringValue(text.to_owned()).into()
}

fn object<const N: usize>(pairs: [(&str, Value); N]) -> Struct {
    Struct {
        fields: pairs.map(|(key, value)| (key.to_owned(), value)).into(),
    }
}

fn account<const N: usize>(more: [(&str, Value); N]) -> c1::CreateAccountRequest {
    let mut profile = object([
        ("login", text("anna")),
        ("email", text("anna@example.com")),
        ("first_name", text("Anna")),
        ("last_name", text("Nagy")),
    ]);
    profile.fields.extend(object(more).fields);
    c1::CreateAccountRequest {
        account_info: Some(c1::AccountInfo {
            profile: Some(profile),
            ..c1::AccountInfo::default()
        }),
        ..c1::CreateAccountRequest::default()
    }
}

#[tokio::test]
async fn without_provisioning_nothing_changes() {
    let tenant = FakeTenant::new(World::new(60));
    let connector = connector(&tenant);
    let order = order();
    let delete = c1::DeleteResourceRequest::default();
    let delete_v2 = c1::DeleteResourceV2Request::default();
    let invoke = c1::InvokeActionRequest {
        name: "enable_user".to_owned(),
        ..c1::InvokeActionRequest::default()
    };
    let create = c1::CreateResourceRequest::default();
    let rotate = c1::RotateCredentialRequest::default();
    let issue = c1::IssueCredentialRequest::default();
    let answers = [
        kind_of(connector.grant(&order, &grant_of(&role_item(1), 1)).await),
        kind_of(connector.revoke(&order, &revoke_of(&role_item(1), 1)).await),
        kind_of(connector.create_account(&order, &account([])).await),
        kind_of(connector.delete_resource(&order, &delete).await),
        kind_of(connector.delete_resource_v2(&order, &delete_v2).await),
        kind_of(connector.invoke_action(&order, &invoke).await),
        kind_of(connector.create_resource(&create)),
        kind_of(connector.rotate_credential(&rotate)),
        kind_of(connector.issue_credential(&issue)),
    ];
    for kind in answers {
        assert_eq!(kind, FaultKind::Refused);
    }
    assert_eq!(
        connector
            .list_action_schemas(&c1::ListActionSchemasRequest::default())
            .schemas
            .len(),
        3,
        "what there is to be done does not depend on settings"
    );
}

#[tokio::test]
async fn what_is_not_offered_says_so() {
    let (connector, writes) = setup();
    let order = order();
    let delete = c1::DeleteResourceRequest {
        resource_id: Some(of("role", "1")),
        ..c1::DeleteResourceRequest::default()
    };
    let create = c1::CreateResourceRequest::default();
    let device = c1::CreateAccountRequest {
        resource_type_id: "device".to_owned(),
        ..account([])
    };
    for kind in [
        kind_of(connector.delete_resource(&order, &delete).await),
        kind_of(connector.create_account(&order, &device).await),
        kind_of(connector.create_resource(&create)),
        kind_of(connector.rotate_credential(&c1::RotateCredentialRequest::default())),
        kind_of(connector.issue_credential(&c1::IssueCredentialRequest::default())),
    ] {
        assert_eq!(kind, FaultKind::Unsupported);
    }
    assert!(writes.asked().is_empty());
}
