//! Tasks against a file written by our writer and a connector that notes what it is asked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use prost_types::value::Kind;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::c1z::{Retention, Rows, RunKind, Settings, Writer};
use crate::model::change::{Change, Effect, Outcome, Plan, PlannedRequest, WriteTenant};
use crate::model::journal::Held;
use crate::proto::connector::BatonActionStatus as Status;
use crate::proto::pack;

const TENANT: &str = "acme.coupahost.com";

fn id(kind: &str, id: &str) -> c1::ResourceId {
    c1::ResourceId {
        resource_type: kind.into(),
        resource: id.into(),
        ..c1::ResourceId::default()
    }
}

fn resource(kind: &str, name: &str) -> c1::Resource {
    c1::Resource {
        id: Some(id(kind, name)),
        display_name: format!("the {kind} {name}"),
        ..c1::Resource::default()
    }
}

fn stub(kind: &str, name: &str) -> c1::Resource {
    c1::Resource {
        id: Some(id(kind, name)),
        ..c1::Resource::default()
    }
}

fn entitlement(kind: &str, name: &str) -> c1::Entitlement {
    c1::Entitlement {
        resource: Some(stub(kind, name)),
        id: format!("{kind}:{name}:member"),
        slug: "member".into(),
        ..c1::Entitlement::default()
    }
}

fn grant_of(kind: &str, name: &str, user: &str) -> c1::Grant {
    c1::Grant {
        entitlement: Some(entitlement(kind, name)),
        principal: Some(stub("user", user)),
        id: format!("{kind}:{name}:member:user:{user}"),
        annotations: vec![pack(&c1::GrantMetadata::default())],
        ..c1::Grant::default()
    }
}

/// A file with one role, one role of another connector and two users; the second user is named by a grant only.
async fn file(dir: &TempDir) -> SyncFile {
    let settings = Settings {
        temp_dir: dir.path().to_owned(),
        retention: Retention::Full(2),
        ..Settings::default()
    };
    let path = dir.path().join("sync.c1z");
    let writer = Writer::begin(&path, TENANT, RunKind::Full, &settings, &CancellationToken::new())
        .await
        .unwrap();
    let mut foreign = resource("role", "8");
    foreign.annotations.push(pack(&c1::BatonId {}));
    for rows in [
        Rows::Resources(vec![resource("role", "7"), foreign, resource("user", "42")]),
        Rows::Entitlements(vec![
            entitlement("role", "7"),
            entitlement("role", "8"),
            entitlement("role", "9"),
        ]),
        Rows::Grants(vec![
            grant_of("role", "7", "42"),
            grant_of("role", "8", "42"),
            grant_of("role", "7", "43"),
        ]),
    ] {
        writer.put(rows).await.unwrap();
    }
    writer.seal().await.unwrap();
    SyncFile {
        path,
        tenant: TENANT.into(),
        settings,
    }
}

/// What was asked of the connector.
enum Asked {
    Grant(c1::GrantManagerServiceGrantRequest),
    Revoke(c1::GrantManagerServiceRevokeRequest),
    Create(c1::CreateAccountRequest),
    Delete(c1::DeleteResourceRequest),
    Invoke(c1::InvokeActionRequest),
    Status(c1::GetActionStatusRequest),
}

/// A connector that notes requests. Grants go on to a tenant where there is one, as in the real one.
#[derive(Default)]
struct Fake {
    asked: Mutex<Vec<Asked>>,
    created: Option<Created>,
    /// States of an action, in order; the last one stays.
    states: Vec<(Status, &'static str)>,
    tenant: Option<Arc<dyn WriteTenant>>,
    /// Never answers.
    hangs: bool,
}

impl Fake {
    fn note(&self, asked: Asked) {
        self.asked.lock().unwrap().push(asked);
    }

    fn only(&self) -> Asked {
        let mut asked = self.asked.lock().unwrap();
        assert_eq!(asked.len(), 1);
        asked.remove(0)
    }

    fn nothing_asked(&self) -> bool {
        self.asked.lock().unwrap().is_empty()
    }

    fn state(&self) -> (Status, Option<prost_types::Struct>) {
        let asked = self.asked.lock().unwrap().len();
        let (status, error) = self.states[(asked - 1).min(self.states.len() - 1)];
        let Value::Object(response) = json!({"success": error.is_empty(), "error": error}) else {
            panic!("an object");
        };
        (status, Some(object::to_struct(&response)))
    }
}

#[async_trait]
impl Provisioner for Fake {
    async fn grant(
        &self,
        order: &Order,
        request: &c1::GrantManagerServiceGrantRequest,
    ) -> Result<c1::GrantManagerServiceGrantResponse, Fault> {
        assert_eq!((order.via, &order.request), (Via::CommandLine, &None));
        self.note(Asked::Grant(request.clone()));
        if self.hangs {
            std::future::pending::<()>().await;
        }
        if let Some(tenant) = &self.tenant {
            tenant.apply(order, &change()).await?;
        }
        Ok(c1::GrantManagerServiceGrantResponse::default())
    }

    async fn revoke(
        &self,
        _order: &Order,
        request: &c1::GrantManagerServiceRevokeRequest,
    ) -> Result<c1::GrantManagerServiceRevokeResponse, Fault> {
        self.note(Asked::Revoke(request.clone()));
        Ok(c1::GrantManagerServiceRevokeResponse::default())
    }

    async fn create_account(
        &self,
        _order: &Order,
        request: &c1::CreateAccountRequest,
    ) -> Result<c1::CreateAccountResponse, Fault> {
        self.note(Asked::Create(request.clone()));
        Ok(c1::CreateAccountResponse {
            result: self.created.clone(),
            ..c1::CreateAccountResponse::default()
        })
    }

    async fn delete_resource(
        &self,
        _order: &Order,
        request: &c1::DeleteResourceRequest,
    ) -> Result<c1::DeleteResourceResponse, Fault> {
        self.note(Asked::Delete(request.clone()));
        Ok(c1::DeleteResourceResponse::default())
    }

    async fn list_action_schemas(
        &self,
        request: &c1::ListActionSchemasRequest,
    ) -> Result<c1::ListActionSchemasResponse, Fault> {
        assert_eq!(request.resource_type_id, "user");
        Ok(c1::ListActionSchemasResponse::default())
    }

    async fn invoke_action(
        &self,
        _order: &Order,
        request: &c1::InvokeActionRequest,
    ) -> Result<c1::InvokeActionResponse, Fault> {
        self.note(Asked::Invoke(request.clone()));
        let (status, response) = self.state();
        Ok(c1::InvokeActionResponse {
            id: "A1".into(),
            name: request.name.clone(),
            status: status.into(),
            response,
            ..c1::InvokeActionResponse::default()
        })
    }

    async fn get_action_status(
        &self,
        request: &c1::GetActionStatusRequest,
    ) -> Result<c1::GetActionStatusResponse, Fault> {
        self.note(Asked::Status(request.clone()));
        let (status, response) = self.state();
        Ok(c1::GetActionStatusResponse {
            status: status.into(),
            response,
            ..c1::GetActionStatusResponse::default()
        })
    }
}

fn user(number: &str) -> ResourceName {
    ResourceName {
        kind: "user".into(),
        id: number.into(),
    }
}

fn grant(entitlement: &str, principal: ResourceName) -> Task {
    Task::Grant {
        entitlement: entitlement.into(),
        principal,
    }
}

fn revoke(grant: &str) -> Task {
    Task::Revoke { grant: grant.into() }
}

async fn run_on(fake: &Fake, task: &Task, file: &SyncFile) -> Result<(), Fault> {
    run(fake, task, file, &CancellationToken::new()).await
}

/// For tasks that do not look into the file: a file that is not there proves it.
async fn run_without_file(fake: &Fake, task: &Task) -> Result<(), Fault> {
    let file = SyncFile {
        path: "/nonexistent/sync.c1z".into(),
        tenant: TENANT.into(),
        settings: Settings::default(),
    };
    assert!(!task.reads_file());
    run_on(fake, task, &file).await
}

#[tokio::test]
async fn a_grant_carries_the_rows_as_listed() {
    let dir = TempDir::new().unwrap();
    let file = file(&dir).await;
    let fake = Fake::default();
    run_on(&fake, &grant("role:7:member", user("42")), &file)
        .await
        .unwrap();
    let Asked::Grant(request) = fake.only() else {
        panic!("not a grant");
    };
    let entitlement = request.entitlement.unwrap();
    assert_eq!(entitlement.slug, "member");
    assert!(entitlement.resource.unwrap() == resource("role", "7"));
    assert!(request.principal.unwrap() == resource("user", "42"));
}

#[tokio::test]
async fn a_revoke_carries_the_grant_with_its_annotations() {
    let dir = TempDir::new().unwrap();
    let file = file(&dir).await;
    let fake = Fake::default();
    run_on(&fake, &revoke("role:7:member:user:42"), &file)
        .await
        .unwrap();
    let Asked::Revoke(request) = fake.only() else {
        panic!("not a revoke");
    };
    let grant = request.grant.unwrap();
    assert_eq!(grant.id, "role:7:member:user:42");
    assert_eq!(grant.annotations.len(), 1);
    assert!(grant.principal.unwrap() == resource("user", "42"));
    assert!(grant.entitlement.unwrap().resource.unwrap() == resource("role", "7"));
}

#[tokio::test]
async fn what_the_file_does_not_have_is_not_found_and_not_repeated() {
    let dir = TempDir::new().unwrap();
    let file = file(&dir).await;
    for (task, what) in [
        (grant("ann@example.com", user("42")), "entitlement"),
        (grant("role:7:member", user("ann@example.com")), "principal"),
        (grant("role:9:member", user("42")), "resource of the entitlement"),
        (revoke("ann@example.com"), "grant"),
        (revoke("role:7:member:user:43"), "principal of the grant"),
    ] {
        let fake = Fake::default();
        let fault = run_on(&fake, &task, &file).await.unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::NotFound, "{fault}");
        let start = format!("runner: error processing task: the last sync in the file has no such {what};");
        assert!(fault.to_string().starts_with(&start), "{fault}");
        assert!(fault.to_string().contains("run a sync first"), "{fault}");
        assert!(!format!("{fault:?} {task:?}").contains("ann@"), "{fault:?}");
        assert!(fake.nothing_asked());
    }
}

#[tokio::test]
async fn what_is_of_another_connector_is_refused() {
    let dir = TempDir::new().unwrap();
    let file = file(&dir).await;
    for task in [
        grant("role:8:member", user("42")),
        revoke("role:8:member:user:42"),
    ] {
        let fake = Fake::default();
        let fault = run_on(&fake, &task, &file).await.unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::Refused);
        assert!(fault.message().contains("external resource"), "{fault}");
        assert!(fake.nothing_asked());
    }
}

#[tokio::test]
async fn a_file_of_another_tenant_is_no_source_of_ids() {
    let dir = TempDir::new().unwrap();
    let mut file = file(&dir).await;
    file.tenant = "other.coupahost.com".into();
    let fake = Fake::default();
    let fault = run_on(&fake, &revoke("role:7:member:user:42"), &file)
        .await
        .unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::Refused);
    assert!(fake.nothing_asked());
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn an_account_is_asked_for_without_a_password() {
    let success = Created::Success(c1::create_account_response::SuccessResult::default());
    let fake = Fake {
        created: Some(success),
        ..Fake::default()
    };
    let task = Task::CreateAccount(Account {
        login: "ann".into(),
        email: "ann@example.com".into(),
        profile: object(json!({"first_name": "Ann"})),
        resource_type: "user".into(),
    });
    assert_eq!(format!("{task:?}"), "CreateAccount");
    run_without_file(&fake, &task).await.unwrap();
    let Asked::Create(request) = fake.only() else {
        panic!("not an account");
    };
    let info = request.account_info.unwrap();
    assert_eq!(info.login, "ann");
    assert_eq!(info.emails.len(), 1);
    assert!(info.emails[0].is_primary && info.emails[0].address == "ann@example.com");
    assert_eq!(
        info.profile.unwrap().fields["first_name"].kind,
        Some(Kind::StringValue("Ann".into()))
    );
    assert_eq!(request.resource_type_id, "user");
    assert!(matches!(
        request.credential_options.unwrap().options,
        Some(c1::credential_options::Options::NoPassword(_))
    ));
    assert!(request.encryption_configs.is_empty());

    let silent = Fake::default();
    let fault = run_without_file(&silent, &task).await.unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::Internal, "no result is no success");
}

#[tokio::test]
async fn a_deletion_names_type_and_id() {
    let fake = Fake::default();
    run_without_file(&fake, &Task::DeleteResource(user("42")))
        .await
        .unwrap();
    let Asked::Delete(request) = fake.only() else {
        panic!("not a deletion");
    };
    assert!(request.resource_id.unwrap() == id("user", "42"));
}

async fn states(states: &[(Status, &'static str)]) -> (Result<(), Fault>, Vec<Asked>) {
    let fake = Fake {
        states: states.to_vec(),
        ..Fake::default()
    };
    let action = Action {
        name: "disable_user".into(),
        args: object(json!({"user_id": "42"})),
        resource_type: "user".into(),
    };
    let order = Order {
        request: None,
        via: Via::CommandLine,
    };
    let outcome = action::invoke(&fake, &order, &action, Duration::ZERO).await;
    (outcome, fake.asked.into_inner().unwrap())
}

#[tokio::test]
async fn an_action_is_followed_to_its_end() {
    let (outcome, asked) = states(&[
        (Status::Pending, ""),
        (Status::Running, ""),
        (Status::Running, ""),
        (Status::Complete, ""),
    ])
    .await;
    outcome.unwrap();
    let [Asked::Invoke(first), later @ ..] = asked.as_slice() else {
        panic!("not an action");
    };
    assert_eq!(
        (first.name.as_str(), first.resource_type_id.as_str()),
        ("disable_user", "user")
    );
    assert!(first.args.as_ref().unwrap().fields.contains_key("user_id"));
    assert_eq!(later.len(), 3);
    for question in later {
        assert!(matches!(question, Asked::Status(question) if question.id == "A1"));
    }
}

#[tokio::test]
async fn an_action_that_fails_or_is_forgotten_is_an_error() {
    let (outcome, asked) = states(&[(Status::Failed, "user 42 is the last administrator")]).await;
    let fault = outcome.unwrap_err();
    assert_eq!(
        fault.to_string(),
        "the action failed: user 42 is the last administrator"
    );
    assert_eq!(asked.len(), 1, "what has ended at once is not asked about");
    let (outcome, _) = states(&[(Status::Running, ""), (Status::Failed, "")]).await;
    assert!(outcome.unwrap_err().message().ends_with("without a reason"));
    let (outcome, _) = states(&[(Status::Running, ""), (Status::Unknown, "")]).await;
    assert_eq!(*outcome.unwrap_err().kind(), FaultKind::Internal);
}

#[tokio::test]
async fn actions_are_listed_by_type() {
    let task = Task::ListActionSchemas {
        resource_type: "user".into(),
    };
    assert!(!task.is_change());
    run_without_file(&Fake::default(), &task).await.unwrap();
}

#[tokio::test]
async fn a_signal_ends_the_waiting() {
    let dir = TempDir::new().unwrap();
    let file = file(&dir).await;
    let fake = Fake {
        hangs: true,
        ..Fake::default()
    };
    let stop = CancellationToken::new();
    let task = grant("role:7:member", user("42"));
    let (outcome, ()) = tokio::join!(run(&fake, &task, &file, &stop), async {
        while fake.nothing_asked() {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    });
    assert_eq!(*outcome.unwrap_err().kind(), FaultKind::Cancelled);
}

fn change() -> Change {
    Change::Revoke {
        user: "42".parse().unwrap(),
        item: crate::model::access::Item::Role("7".parse().unwrap()),
    }
}

/// A tenant that plans, or refuses to, and must never be asked to write.
struct Planner(Option<Fault>);

#[async_trait]
impl WriteTenant for Planner {
    async fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, _order: &Order, _change: &Change) -> Result<Outcome, Fault> {
        panic!("a rehearsal writes nothing");
    }

    async fn plan(&self, asked: &Change) -> Result<Plan, Fault> {
        assert_eq!(*asked, change());
        match &self.0 {
            Some(fault) => Err(fault.clone()),
            None => Ok(Plan {
                effect: Effect::Made,
                user: asked.user(),
                before: Held::Ids(vec![7, 8]),
                after: Held::Ids(vec![8]),
                requests: vec![PlannedRequest {
                    method: "PUT",
                    path: "/api/users/42".into(),
                    body: "{}".into(),
                    condition: None,
                }],
                findings: Vec::new(),
            }),
        }
    }
}

async fn rehearse(refusal: Option<Fault>, task: &Task) -> Result<Vec<Plan>, Fault> {
    let dir = TempDir::new().unwrap();
    let file = file(&dir).await;
    let rehearsal = Arc::new(Rehearsal::new(Arc::new(Planner(refusal))));
    let fake = Fake {
        tenant: Some(rehearsal.clone()),
        ..Fake::default()
    };
    let outcome = run_on(&fake, task, &file).await;
    rehearsal.plans(outcome)
}

#[tokio::test]
async fn a_rehearsal_goes_the_whole_way_and_ends_in_a_plan() {
    let plans = rehearse(None, &grant("role:7:member", user("42"))).await.unwrap();
    assert_eq!(plans.len(), 1);
    assert_eq!(plans[0].requests[0].path, "/api/users/42");
}

#[tokio::test]
async fn a_rehearsal_meets_the_same_refusals() {
    let refusal = Fault::new(FaultKind::Declined, "own-account: no");
    let fault = rehearse(Some(refusal), &grant("role:7:member", user("42")))
        .await
        .unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::Declined);
    let fault = rehearse(None, &grant("role:1:member", user("42")))
        .await
        .unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::NotFound);
}
