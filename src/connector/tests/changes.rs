//! Changes through the connector, with a tenant in memory that can be changed and remembers what it was asked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Mutex;

use async_trait::async_trait;
use prost_types::value::Kind as ValueKind;
use prost_types::{Struct, Value};
use tokio::sync::watch;

use super::*;
use crate::model::access::Access;
use crate::model::change::{
    AccountDraft, Activity, AuthenticationMethod, Change, Effect, OnInactive, Order, Outcome, Plan,
    RequestId, Via,
};
use crate::model::id::UserId;
use crate::model::journal::{EntryId, Held};
use crate::model::tenant::{Finding, User};
use crate::proto::connector::create_account_response::Result as Answer;
use crate::proto::connector::credential_options::Options;
use crate::snapshot::fake::{group_item, role_item, user_id};

/// Makes every change at once, or fails as told.
struct Writes {
    tenant: Arc<FakeTenant>,
    asked: Mutex<Vec<(Order, Change)>>,
    effect: Mutex<Effect>,
    fault: Mutex<Option<Fault>>,
    /// Changes wait while it is set.
    hold: watch::Sender<bool>,
}

impl Writes {
    fn new(tenant: &Arc<FakeTenant>) -> Arc<Self> {
        Arc::new(Self {
            tenant: Arc::clone(tenant),
            asked: Mutex::default(),
            effect: Mutex::new(Effect::Made),
            fault: Mutex::default(),
            hold: watch::Sender::new(false),
        })
    }

    fn ends(&self, effect: Effect) {
        *self.effect.lock().unwrap() = effect;
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
            Change::Create { draft, .. } => user.login = draft.login.clone().unwrap(),
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

fn with_option(options: Options) -> c1::CreateAccountRequest {
    c1::CreateAccountRequest {
        credential_options: Some(c1::CredentialOptions {
            options: Some(options),
            ..c1::CredentialOptions::default()
        }),
        ..account([])
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

#[tokio::test]
async fn a_grant_is_told_as_a_later_listing_tells_it() {
    let (connector, writes) = setup();
    let user = without_role(&writes, 4);
    let answer = connector
        .grant(&order(), &grant_of(&role_item(4), user))
        .await
        .unwrap();
    assert!(answer.annotations.is_empty());
    let (listed, _) = all_grants(&connector, &[0], |size, token| grants("role", "4", size, token)).await;
    let own = listed.iter().find(|row| row.id == answer.grants[0].id).unwrap();
    assert_eq!(own.encode_to_vec(), answer.grants[0].encode_to_vec());

    writes.ends(Effect::AlreadySo);
    let again = connector
        .grant(&order(), &grant_of(&role_item(4), user))
        .await
        .unwrap();
    assert!(is::<c1::GrantAlreadyExists>(&again.annotations[0]));
    assert_eq!(bytes(&again.grants), bytes(&answer.grants));
    let (orders, changes): (Vec<_>, Vec<_>) = writes.asked.lock().unwrap().iter().cloned().unzip();
    assert_eq!(
        orders,
        [order(), order()],
        "the caller's name of the request is handed on"
    );
    let wanted = Change::Grant {
        user: user_id(user),
        item: role_item(4),
    };
    assert_eq!(changes, [wanted.clone(), wanted]);
}

#[tokio::test]
async fn a_revoke_is_a_success_where_nothing_is_held() {
    let (connector, writes) = setup();
    let revoke = async |item: &Item| connector.revoke(&order(), &revoke_of(item, 5)).await;
    assert!(revoke(&role_item(1)).await.unwrap().annotations.is_empty());
    writes.ends(Effect::AlreadySo);
    let again = revoke(&role_item(1)).await.unwrap();
    assert!(is::<c1::GrantAlreadyRevoked>(&again.annotations[0]));

    writes.fails(FaultKind::NotFound);
    for item in [
        role_item(1),
        group_item(1),
        Item::License(LICENSES[0].parse().unwrap()),
    ] {
        let gone = revoke(&item).await.unwrap();
        assert!(is::<c1::GrantAlreadyRevoked>(&gone.annotations[0]), "{item:?}");
    }
    let unseen = Item::License("unheard-of-user".parse().unwrap());
    assert_eq!(
        kind_of(revoke(&unseen).await),
        FaultKind::NotFound,
        "what the tenant does not show may be held"
    );
    assert_eq!(
        kind_of(connector.grant(&order(), &grant_of(&role_item(1), 5)).await),
        FaultKind::NotFound
    );
}

#[tokio::test]
async fn faults_of_a_change_pass_as_they_are() {
    let (connector, writes) = setup();
    for kind in [
        FaultKind::Declined,
        FaultKind::Unchanged,
        FaultKind::Unavailable,
        FaultKind::Conflict,
    ] {
        writes.fails(kind.clone());
        assert_eq!(
            kind_of(connector.grant(&order(), &grant_of(&role_item(1), 5)).await),
            kind
        );
        assert_eq!(
            kind_of(connector.revoke(&order(), &revoke_of(&role_item(1), 5)).await),
            kind
        );
        assert_eq!(
            kind_of(connector.create_account(&order(), &account([])).await),
            kind
        );
        assert_eq!(
            kind_of(connector.validate().await),
            kind,
            "the tenant for changes is checked, too"
        );
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_grant_is_found_before_anything_is_asked() {
    let (connector, writes) = setup();
    let mut to_group = grant_of(&role_item(1), 1);
    to_group.principal = Some(stub(of("group", "1")));
    let mut contradicting = grant_of(&role_item(1), 1);
    contradicting.entitlement.as_mut().unwrap().resource = Some(stub(of("role", "2")));
    for request in [to_group, contradicting] {
        assert_eq!(
            kind_of(connector.grant(&order(), &request).await),
            FaultKind::Invalid
        );
    }
    let mut of_user = grant_of(&role_item(1), 1);
    of_user.entitlement.as_mut().unwrap().id = "user:1:member".to_owned();
    assert_eq!(
        kind_of(connector.grant(&order(), &of_user).await),
        FaultKind::Unsupported
    );
    assert!(writes.asked().is_empty());
}

#[tokio::test]
async fn an_account_has_one_result() {
    let (connector, writes) = setup();
    for kind in ["", "user"] {
        let request = c1::CreateAccountRequest {
            resource_type_id: kind.to_owned(),
            ..account([])
        };
        let answer = connector.create_account(&order(), &request).await.unwrap();
        let Some(Answer::Success(made)) = answer.result else {
            panic!("not made");
        };
        assert!(made.is_create_account_result && answer.encrypted_data.is_empty());
        let listed = connector.get_resource(&get("user", "7000000000")).await.unwrap();
        assert_eq!(
            made.resource.unwrap().encode_to_vec(),
            listed.resource.unwrap().encode_to_vec()
        );
    }
    writes.ends(Effect::Reactivated);
    let answer = connector.create_account(&order(), &account([])).await.unwrap();
    assert!(matches!(answer.result, Some(Answer::Success(_))));
    for effect in [Effect::Existed, Effect::AlreadySo] {
        writes.ends(effect);
        let answer = connector.create_account(&order(), &account([])).await.unwrap();
        let Some(Answer::AlreadyExists(found)) = answer.result else {
            panic!("not told as existing");
        };
        assert!(found.resource.is_some());
    }
}

/// What the tenant is asked to make.
async fn made(request: &c1::CreateAccountRequest) -> Result<(AccountDraft, OnInactive), Fault> {
    let (connector, writes) = setup();
    let answer = connector.create_account(&order(), request).await;
    let mut asked = writes.asked();
    match (answer, asked.pop()) {
        (Ok(_), Some(Change::Create { draft, on_inactive })) => Ok((*draft, on_inactive)),
        (Err(fault), None) => Err(fault),
        _ => panic!("a failure after a change, or a success without one"),
    }
}

#[tokio::test]
async fn the_profile_and_the_account_info_make_one_account() {
    let (draft, on_inactive) = made(&account([])).await.unwrap();
    assert_eq!(draft.names(), ["login", "email", "firstname", "lastname"]);
    assert_eq!(on_inactive, OnInactive::Leave);
    let (_, on_inactive) = made(&account([("reactivate", ValueKind::BoolValue(true).into())]))
        .await
        .unwrap();
    assert_eq!(on_inactive, OnInactive::Reactivate);

    let email = |address: &str, is_primary| c1::account_info::Email {
        address: address.to_owned(),
        is_primary,
    };
    let mut request = account([("login", text("")), ("email", text(""))]);
    let info = request.account_info.as_mut().unwrap();
    info.login = "anna@idp".to_owned();
    info.emails = vec![email("a@example.com", false), email("b@example.com", true)];
    let (draft, _) = made(&request).await.unwrap();
    assert_eq!(draft.login.as_deref(), Some("anna@idp"));
    assert_eq!(draft.email.as_deref(), Some("b@example.com"), "the primary one");

    let mut request = account([]);
    let info = request.account_info.as_mut().unwrap();
    info.login = "ANNA".to_owned();
    info.emails = vec![email("b@example.com", true), email("Anna@example.com", false)];
    let (draft, _) = made(&request).await.unwrap();
    assert_eq!(draft.login.as_deref(), Some("anna"), "the profile's spelling");
    assert_eq!(draft.email.as_deref(), Some("anna@example.com"));

    let mut other_login = account([]);
    other_login.account_info.as_mut().unwrap().login = "bert".to_owned();
    let mut other_email = account([]);
    other_email.account_info.as_mut().unwrap().emails = vec![email("bert@example.com", true)];
    for request in [other_login, other_email] {
        let fault = made(&request).await.unwrap_err();
        assert!(
            fault.message().contains("contradicts") && !fault.message().contains("bert"),
            "{fault}"
        );
    }
}

#[tokio::test]
async fn what_is_wrong_with_an_account_is_named() {
    for (request, words) in [
        (
            account([("login", text("")), ("last_name", Value::default())]),
            "login, last_name",
        ),
        (account([("nickname", text("x"))]), "nickname"),
        (account([("reactivate", text("yes"))]), "reactivate"),
        (c1::CreateAccountRequest::default(), "account info"),
    ] {
        let fault = made(&request).await.unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::Invalid);
        assert!(fault.message().contains(words), "{fault}");
    }
}

#[tokio::test]
async fn only_ways_to_sign_in_without_a_password_are_offered() {
    use c1::credential_options::{EncryptedPassword, NoPassword, RandomPassword, Sso};
    for refused in [
        Options::RandomPassword(RandomPassword::default()),
        Options::EncryptedPassword(EncryptedPassword::default()),
    ] {
        let fault = made(&with_option(refused)).await.unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::Invalid, "and nothing was sent");
    }
    let (draft, _) = made(&with_option(Options::NoPassword(NoPassword {})))
        .await
        .unwrap();
    assert_eq!(draft.authentication_method, None);

    let (draft, _) = made(&with_option(Options::Sso(Sso::default()))).await.unwrap();
    assert_eq!(
        draft.authentication_method.map(AuthenticationMethod::name),
        Some("saml")
    );
    assert_eq!(draft.sso_identifier.as_deref(), Some("anna"), "the login");
    let sso = |method: &str| c1::CreateAccountRequest {
        credential_options: with_option(Options::Sso(Sso::default())).credential_options,
        ..account([
            ("authentication_method", text(method)),
            ("sso_identifier", text("a@idp")),
        ])
    };
    let (draft, _) = made(&sso("ldap")).await.unwrap();
    assert_eq!(
        draft.authentication_method.map(AuthenticationMethod::name),
        Some("ldap")
    );
    assert_eq!(draft.sso_identifier.as_deref(), Some("a@idp"));
    assert!(made(&sso("coupa_credentials")).await.is_err(), "a contradiction");
}

#[tokio::test]
async fn an_unknown_way_of_encrypting_is_refused_before_anything_is_sent() {
    use c1::encryption_config::{Config, JwkPublicKeyConfig};
    let encrypted = |provider: &str, config| c1::CreateAccountRequest {
        encryption_configs: vec![c1::EncryptionConfig {
            provider: provider.to_owned(),
            config,
            ..c1::EncryptionConfig::default()
        }],
        ..account([])
    };
    let jwk = || Some(Config::JwkPublicKeyConfig(JwkPublicKeyConfig::default()));
    for (provider, config) in [("baton/JWK/v1", None), ("", jwk()), ("baton/age/v1", None)] {
        assert!(made(&encrypted(provider, config)).await.is_ok(), "{provider}");
    }
    for (provider, config) in [("rot13", jwk()), ("", None)] {
        assert!(made(&encrypted(provider, config)).await.is_err(), "{provider}");
    }
}

#[tokio::test]
async fn deleting_deactivates_by_either_call() {
    let (connector, writes) = setup();
    let v1 = c1::DeleteResourceRequest {
        resource_id: Some(of("user", "5")),
        parent_resource_id: None,
    };
    let v2 = c1::DeleteResourceV2Request {
        resource_id: Some(of("user", "5")),
        parent_resource_id: Some(of("group", "1")),
    };
    let both = async || {
        [
            connector
                .delete_resource(&order(), &v1)
                .await
                .unwrap()
                .annotations,
            connector
                .delete_resource_v2(&order(), &v2)
                .await
                .unwrap()
                .annotations,
        ]
    };
    assert!(both().await.iter().all(Vec::is_empty));
    let wanted = Change::SetActive {
        user: user_id(5),
        to: Activity::Inactive,
    };
    assert_eq!(writes.asked(), [wanted.clone(), wanted]);
    writes.fails(FaultKind::NotFound);
    for annotations in both().await {
        assert!(is::<c1::ResourceDoesNotExist>(&annotations[0]));
    }
}

fn invoke(name: &str, args: Struct) -> c1::InvokeActionRequest {
    c1::InvokeActionRequest {
        name: name.to_owned(),
        args: Some(args),
        inline_wait: Some(prost_types::Duration {
            seconds: 60,
            nanos: 0,
        }),
        ..c1::InvokeActionRequest::default()
    }
}

fn user_five() -> Value {
    let id = object([("resource_type_id", text("user")), ("resource_id", text("5"))]);
    ValueKind::StructValue(id).into()
}

fn value_of<'a>(response: Option<&'a Struct>, name: &str) -> &'a ValueKind {
    response.unwrap().fields[name].kind.as_ref().unwrap()
}

#[test]
fn every_action_has_a_schema_of_its_own() {
    let tenant = FakeTenant::new(World::new(2));
    let connector = connector(&tenant);
    let schemas = |kind: &str| {
        let request = c1::ListActionSchemasRequest {
            resource_type_id: kind.to_owned(),
            ..c1::ListActionSchemasRequest::default()
        };
        connector.list_action_schemas(&request).schemas
    };
    let all = schemas("");
    let names: Vec<&str> = all.iter().map(|schema| schema.name.as_str()).collect();
    assert_eq!(names, ["disable_user", "enable_user", "update_user"]);
    assert_eq!(bytes(&schemas("user")), bytes(&all));
    assert!(schemas("role").is_empty() && schemas("device").is_empty());
    let kinds: HashSet<i32> = all.iter().flat_map(|schema| schema.action_type.clone()).collect();
    assert_eq!(kinds.len(), 3, "an action type appears once per type");
    for schema in &all {
        assert!(schema.arguments.iter().all(|field| field.field.is_some()));
        let required: Vec<_> = schema
            .arguments
            .iter()
            .filter(|field| field.is_required)
            .collect();
        assert_eq!(required.len(), 1);
        let request = c1::GetActionSchemaRequest {
            name: schema.name.clone(),
            ..c1::GetActionSchemaRequest::default()
        };
        let one = connector.get_action_schema(&request).unwrap().schema.unwrap();
        assert_eq!(one.encode_to_vec(), schema.encode_to_vec());
    }
    let constrained = &all[2].constraints[0].field_names;
    assert!(
        constrained
            .iter()
            .all(|name| all[2].arguments.iter().any(|field| field.name == *name))
    );
    let unknown = c1::GetActionSchemaRequest {
        name: "fire_user".to_owned(),
        ..c1::GetActionSchemaRequest::default()
    };
    assert_eq!(
        kind_of(connector.get_action_schema(&unknown)),
        FaultKind::NotFound
    );
}

#[tokio::test]
async fn an_action_makes_its_change_and_says_so() {
    let (connector, writes) = setup();
    for (name, to) in [
        ("disable_user", Activity::Inactive),
        ("enable_user", Activity::Active),
    ] {
        let request = invoke(name, object([("user_id", user_five())]));
        let answer = connector.invoke_action(&order(), &request).await.unwrap();
        assert!(answer.status() == c1::BatonActionStatus::Complete);
        assert_eq!(
            *value_of(answer.response.as_ref(), "success"),
            ValueKind::BoolValue(true)
        );
        assert_eq!(
            *value_of(answer.response.as_ref(), "changed"),
            ValueKind::BoolValue(true)
        );
        let user = user_id(5);
        assert_eq!(writes.asked().pop(), Some(Change::SetActive { user, to }));
    }
    let request = invoke(
        "update_user",
        object([("user_id", user_five()), ("department", text("Finance"))]),
    );
    let by_type = c1::InvokeActionRequest {
        resource_type_id: "user".to_owned(),
        ..request
    };
    writes.ends(Effect::AlreadySo);
    let answer = connector.invoke_action(&order(), &by_type).await.unwrap();
    assert_eq!(
        *value_of(answer.response.as_ref(), "changed"),
        ValueKind::BoolValue(false)
    );
    let Some(Change::Update { draft, .. }) = writes.asked().pop() else {
        panic!("no update");
    };
    assert_eq!(draft.names(), ["department"]);
}

#[tokio::test]
async fn a_slow_action_is_asked_about_later() {
    let (connector, writes) = setup();
    writes.hold.send_replace(true);
    let request = c1::InvokeActionRequest {
        inline_wait: Some(prost_types::Duration::default()),
        ..invoke("enable_user", object([("user_id", user_five())]))
    };
    let answer = connector.invoke_action(&order(), &request).await.unwrap();
    assert!(answer.status() == c1::BatonActionStatus::Running && answer.response.is_none());
    let ask = c1::GetActionStatusRequest {
        id: answer.id.clone(),
        ..c1::GetActionStatusRequest::default()
    };
    let status = connector.get_action_status(&ask).unwrap();
    assert!(status.status() == c1::BatonActionStatus::Running);
    writes.hold.send_replace(false);
    let status = loop {
        let status = connector.get_action_status(&ask).unwrap();
        if status.status() != c1::BatonActionStatus::Running {
            break status;
        }
        tokio::task::yield_now().await;
    };
    assert!(status.status() == c1::BatonActionStatus::Complete);
    assert_eq!((status.id, status.name), (answer.id, "enable_user".to_owned()));
    let unknown = c1::GetActionStatusRequest::default();
    assert_eq!(
        kind_of(connector.get_action_status(&unknown)),
        FaultKind::NotFound
    );
}

#[tokio::test]
async fn a_failing_action_fails_in_its_answer() {
    let (connector, writes) = setup();
    writes.fails(FaultKind::NotFound);
    let request = invoke("enable_user", object([("user_id", user_five())]));
    let answer = connector.invoke_action(&order(), &request).await.unwrap();
    assert!(answer.status() == c1::BatonActionStatus::Failed);
    assert_eq!(
        *value_of(answer.response.as_ref(), "error"),
        ValueKind::StringValue("injected".to_owned())
    );
    assert_eq!(
        *value_of(answer.response.as_ref(), "success"),
        ValueKind::BoolValue(false)
    );
}

#[tokio::test]
async fn what_is_wrong_with_an_invocation_is_a_status() {
    let (connector, writes) = setup();
    let of_role = c1::InvokeActionRequest {
        resource_type_id: "role".to_owned(),
        ..invoke("enable_user", object([("user_id", user_five())]))
    };
    let no_arguments = c1::InvokeActionRequest {
        args: None,
        ..invoke("enable_user", Struct::default())
    };
    let typo = invoke(
        "update_user",
        object([("user_id", user_five()), ("nickname", text("x"))]),
    );
    for (request, kind) in [
        (invoke("fire_user", Struct::default()), FaultKind::NotFound),
        (of_role, FaultKind::NotFound),
        (no_arguments, FaultKind::Invalid),
        (typo, FaultKind::Invalid),
    ] {
        assert_eq!(
            kind_of(connector.invoke_action(&order(), &request).await),
            kind,
            "{}",
            request.name
        );
    }
    assert!(writes.asked().is_empty());
}
