//! Changes: PC-49 to 57.
//!
//! In every tenant here user 5 exists and user 9 does not, nobody may enter group 2, and users are neither granted nor made as
//! resources.

use baton_coupa::proto::annotation;
use baton_coupa::proto::connector as c1;
use baton_coupa::proto::connector::account_manager_service_client::AccountManagerServiceClient;
use baton_coupa::proto::connector::create_account_response::Result as Made;
use baton_coupa::proto::connector::credential_manager_service_client::CredentialManagerServiceClient;
use baton_coupa::proto::connector::credential_options::{
    EncryptedPassword, NoPassword, Options, RandomPassword, Sso,
};
use baton_coupa::proto::connector::grant_manager_service_client::GrantManagerServiceClient;
use baton_coupa::proto::connector::resource_deleter_service_client::ResourceDeleterServiceClient;
use baton_coupa::proto::connector::resource_manager_service_client::ResourceManagerServiceClient;
use prost_types::value::Kind as ValueKind;
use prost_types::{Any, Struct, Value};
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{Instance, SYNC, Subject, Upstream, Verdict, Violation, ensure};
use crate::grpc::client::{Client, Grants, Resources, Scope, stub};
use crate::grpc::harvest::has;

/// The id that a platform gives to grants whose id it does not know.
const UNKNOWN_GRANT: &str = "🧸_UNKNOWN_GRANT_ID";

/// Clients of the services that change things.
struct Changes<'a> {
    client: &'a Client,
}

impl<'a> Changes<'a> {
    fn of(server: &'a Instance) -> Self {
        Self {
            client: server.client(),
        }
    }

    fn channel(&self) -> Channel {
        self.client.channel.clone()
    }

    async fn grant(&self, item: &Item) -> Result<c1::GrantManagerServiceGrantResponse, Status> {
        let request = c1::GrantManagerServiceGrantRequest {
            entitlement: Some(item.entitlement()),
            principal: Some(stub("user", "5")),
            ..Default::default()
        };
        let mut service = GrantManagerServiceClient::new(self.channel());
        service.grant(request).await.map(tonic::Response::into_inner)
    }

    async fn revoke(&self, item: &Item, grant: &str) -> Result<Vec<Any>, Status> {
        let request = c1::GrantManagerServiceRevokeRequest {
            grant: Some(c1::Grant {
                entitlement: Some(item.entitlement()),
                principal: Some(stub("user", "5")),
                id: grant.to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let mut service = GrantManagerServiceClient::new(self.channel());
        Ok(service.revoke(request).await?.into_inner().annotations)
    }

    async fn create(&self, request: c1::CreateAccountRequest) -> Result<c1::CreateAccountResponse, Status> {
        let mut service = AccountManagerServiceClient::new(self.channel());
        service
            .create_account(request)
            .await
            .map(tonic::Response::into_inner)
    }

    async fn delete(&self, kind: &str, id: &str) -> Result<Vec<Any>, Status> {
        let request = c1::DeleteResourceRequest {
            resource_id: stub(kind, id).id,
            ..Default::default()
        };
        let mut service = ResourceManagerServiceClient::new(self.channel());
        Ok(service.delete_resource(request).await?.into_inner().annotations)
    }

    async fn delete_v2(&self, kind: &str, id: &str) -> Result<Vec<Any>, Status> {
        let request = c1::DeleteResourceV2Request {
            resource_id: stub(kind, id).id,
            ..Default::default()
        };
        let mut service = ResourceDeleterServiceClient::new(self.channel());
        Ok(service
            .delete_resource_v2(request)
            .await?
            .into_inner()
            .annotations)
    }

    async fn create_resource(&self) -> Result<(), Status> {
        let request = c1::CreateResourceRequest {
            resource: Some(stub("user", "1")),
        };
        let mut service = ResourceManagerServiceClient::new(self.channel());
        service.create_resource(request).await.map(|_| ())
    }

    async fn rotate(&self) -> Result<(), Status> {
        let request = c1::RotateCredentialRequest {
            resource_id: stub("user", "5").id,
            ..Default::default()
        };
        let mut service = CredentialManagerServiceClient::new(self.channel());
        service.rotate_credential(request).await.map(|_| ())
    }

    async fn issue(&self) -> Result<(), Status> {
        let request = c1::IssueCredentialRequest {
            identity_id: stub("user", "5").id,
            ..Default::default()
        };
        let mut service = CredentialManagerServiceClient::new(self.channel());
        service.issue_credential(request).await.map(|_| ())
    }

    /// Whether a listing shows the grant of the item to user 5.
    async fn listed(&self, item: &Item, sync: &str) -> Result<Vec<String>, Violation> {
        let listing = Grants(Scope::id(&item.kind, &item.id));
        let rows = self.client.all(&listing, sync).await?;
        self.client.cleanup(sync).await?;
        let of_five = rows.into_iter().filter(|row| {
            let principal = row.principal.as_ref().and_then(|principal| principal.id.as_ref());
            principal.is_some_and(|id| id.resource_type == "user" && id.resource == "5")
        });
        Ok(of_five.map(|row| row.id).collect())
    }

    /// Users whose login is `login`.
    async fn accounts(&self, login: &str) -> Result<usize, Violation> {
        let users = self.client.all(&Resources::of("user"), SYNC).await?;
        self.client.cleanup(SYNC).await?;
        let own = |user: &&c1::Resource| {
            let found: Option<c1::UserTrait> = annotation(&user.annotations);
            found.is_some_and(|found| found.login == login)
        };
        Ok(users.iter().filter(own).count())
    }
}

/// Something to give to user 5.
struct Item {
    kind: String,
    id: String,
    slug: String,
}

impl Item {
    fn new(kind: &str, id: &str, slug: &str) -> Self {
        let [kind, id, slug] = [kind, id, slug].map(str::to_owned);
        Self { kind, id, slug }
    }

    /// Known by its id; nothing else is told, in particular not who may hold it.
    fn entitlement(&self) -> c1::Entitlement {
        c1::Entitlement {
            id: format!("{}:{}:{}", self.kind, self.id, self.slug),
            resource: Some(stub(&self.kind, &self.id)),
            ..Default::default()
        }
    }
}

/// Items of each kind that user 5 does not hold and may.
fn items(server: &Instance) -> [Item; 3] {
    let seat = match server {
        Instance::Real(_) => Item::new("license", "risk-assess-user", "assigned"),
        Instance::Twin(_) => Item::new("seat", "plus", "assigned"),
    };
    [
        Item::new("group", "1", "member"),
        Item::new("role", "2", "member"),
        seat,
    ]
}

fn new_account(login: &str) -> c1::CreateAccountRequest {
    let text = |text: &str| Value::from(ValueKind::StringValue(text.to_owned()));
    let profile = [
        ("login", text(login)),
        ("email", text(&format!("{login}@example.com"))),
        ("first_name", text("New")),
        ("last_name", text("Comer")),
    ];
    c1::CreateAccountRequest {
        account_info: Some(c1::AccountInfo {
            login: login.to_owned(),
            profile: Some(Struct {
                fields: profile.map(|(key, value)| (key.to_owned(), value)).into(),
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn with_option(options: Options) -> c1::CredentialOptions {
    c1::CredentialOptions {
        options: Some(options),
        ..Default::default()
    }
}

pub(super) fn code_of<T>(what: &str, outcome: Result<T, Status>, expected: Code) -> Verdict {
    let code = outcome.err().map_or(Code::Ok, |status| status.code());
    ensure(code == expected, || {
        format!("{what} gives {code:?}, not {expected:?}")
    })
}

/// The named call succeeded.
pub(super) fn ok<T>(what: &str, outcome: Result<T, Status>) -> Result<T, Violation> {
    outcome.map_err(|status| Violation(format!("{what}: {:?}", status.code())))
}

pub(super) async fn pc_49(subject: Subject) -> Verdict {
    let off = subject.start(Upstream::Healthy).await;
    let changes = Changes::of(&off);
    let [group, ..] = items(&off);
    let closed = Code::FailedPrecondition;
    code_of("Grant", changes.grant(&group).await, closed)?;
    code_of("Revoke", changes.revoke(&group, UNKNOWN_GRANT).await, closed)?;
    code_of("CreateResource", changes.create_resource().await, closed)?;
    code_of("DeleteResource", changes.delete("user", "5").await, closed)?;
    code_of("DeleteResourceV2", changes.delete_v2("user", "5").await, closed)?;
    code_of("CreateAccount", changes.create(new_account("late")).await, closed)?;
    code_of("RotateCredential", changes.rotate().await, closed)?;
    code_of("IssueCredential", changes.issue().await, closed)?;

    let on = subject.start(Upstream::Writable).await;
    let changes = Changes::of(&on);
    let (other, user) = (Code::Unimplemented, Item::new("user", "1", "member"));
    code_of("Grant", changes.grant(&user).await, other)?;
    code_of("Revoke", changes.revoke(&user, UNKNOWN_GRANT).await, other)?;
    code_of("CreateResource", changes.create_resource().await, other)?;
    code_of("DeleteResource", changes.delete("role", "1").await, other)?;
    code_of("DeleteResourceV2", changes.delete_v2("role", "1").await, other)?;
    code_of("RotateCredential", changes.rotate().await, other)?;
    code_of("IssueCredential", changes.issue().await, other)?;
    let device = c1::CreateAccountRequest {
        resource_type_id: "device".to_owned(),
        ..new_account("late")
    };
    code_of("CreateAccount", changes.create(device).await, other)
}

pub(super) async fn pc_50(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Writable).await;
    let changes = Changes::of(&server);
    for item in items(&server) {
        let first = ok("the first grant", changes.grant(&item).await)?;
        let known = has::<c1::GrantAlreadyExists>(&first.annotations);
        ensure(!known, || "a new grant is said to exist already".to_owned())?;
        let second = ok("the second grant", changes.grant(&item).await)?;
        let known = has::<c1::GrantAlreadyExists>(&second.annotations);
        ensure(known, || "no GrantAlreadyExists".to_owned())?;
        let first = ok("the first revoke", changes.revoke(&item, UNKNOWN_GRANT).await)?;
        let known = has::<c1::GrantAlreadyRevoked>(&first);
        ensure(!known, || "a grant is said to be gone already".to_owned())?;
        let second = ok("the second revoke", changes.revoke(&item, UNKNOWN_GRANT).await)?;
        let known = has::<c1::GrantAlreadyRevoked>(&second);
        ensure(known, || "no GrantAlreadyRevoked".to_owned())?;
    }
    Ok(())
}

pub(super) async fn pc_51(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Writable).await;
    let changes = Changes::of(&server);
    for item in items(&server) {
        let before = changes.listed(&item, SYNC).await?;
        ensure(before.is_empty(), || "user 5 holds it already".to_owned())?;
        let answer = ok("the grant", changes.grant(&item).await)?;
        ensure(!answer.grants.is_empty(), || "no grant in the answer".to_owned())?;
        let told: Vec<String> = answer.grants.into_iter().map(|grant| grant.id).collect();
        let listed = changes.listed(&item, SYNC).await?;
        ensure(told == listed, || {
            format!("{told:?} is not what a later listing reports: {listed:?}")
        })?;
    }
    Ok(())
}

pub(super) async fn pc_52(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Writable).await;
    let changes = Changes::of(&server);
    for item in items(&server) {
        ok("the grant", changes.grant(&item).await)?;
        ok(
            "a revoke by ids alone",
            changes.revoke(&item, UNKNOWN_GRANT).await,
        )?;
        let left = changes.listed(&item, SYNC).await?;
        ensure(left.is_empty(), || {
            "after the revoke it is still listed".to_owned()
        })?;
    }
    Ok(())
}

pub(super) async fn pc_53(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Writable).await;
    let closed = Item::new("group", "2", "member");
    let Err(status) = Changes::of(&server).grant(&closed).await else {
        return Err(Violation("the policy did not speak".to_owned()));
    };
    let code = status.code();
    ensure(code == Code::FailedPrecondition, || {
        format!("{code:?} is not FailedPrecondition")
    })?;
    let Some(info) = status.get_details_error_info() else {
        return Err(Violation("no ErrorInfo".to_owned()));
    };
    ensure(info.reason == "grant_cancelled", || {
        format!("reason {}", info.reason)
    })?;
    ensure(info.domain == "github.com/conductorone/baton-sdk", || {
        format!("domain {}", info.domain)
    })?;
    let told = info
        .metadata
        .get("reason")
        .is_some_and(|reason| !reason.is_empty());
    ensure(told, || "the metadata gives no reason".to_owned())
}

pub(super) async fn pc_54(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Faltering).await;
    let changes = Changes::of(&server);
    for item in items(&server) {
        ok("a grant after a passing failure", changes.grant(&item).await)?;
        ok(
            "a revoke after a passing failure",
            changes.revoke(&item, UNKNOWN_GRANT).await,
        )?;
    }
    ok(
        "an account after a passing failure",
        changes.create(new_account("once")).await,
    )?;
    let made = changes.accounts("once").await?;
    ensure(made == 1, || format!("{made} accounts were made of one"))
}

pub(super) async fn pc_55(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Writable).await;
    let changes = Changes::of(&server);
    let untyped = ok(
        "without resource_type_id",
        changes.create(new_account("newcomer")).await,
    )?;
    let Some(result) = untyped.result else {
        return Err(Violation("no result arm is set".to_owned()));
    };
    let Made::Success(success) = result else {
        return Err(Violation("a new account is no success".to_owned()));
    };
    ensure(
        success.is_create_account_result && success.resource.is_some(),
        || "the success does not say what was made".to_owned(),
    )?;
    let typed = c1::CreateAccountRequest {
        resource_type_id: "user".to_owned(),
        ..new_account("newcomer")
    };
    let again = ok("an existing login", changes.create(typed).await)?;
    let Some(Made::AlreadyExists(found)) = again.result else {
        return Err(Violation(
            "an existing login is not told as already_exists".to_owned(),
        ));
    };
    let id = |resource: Option<c1::Resource>| resource.and_then(|resource| resource.id);
    ensure(id(found.resource) == id(success.resource), || {
        "already_exists names another account".to_owned()
    })
}

pub(super) async fn pc_56(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Writable).await;
    let changes = Changes::of(&server);
    let random = Options::RandomPassword(RandomPassword {
        length: 12,
        ..Default::default()
    });
    let encrypted = Options::EncryptedPassword(EncryptedPassword::default());
    for option in [random, encrypted] {
        let request = c1::CreateAccountRequest {
            credential_options: Some(with_option(option)),
            ..new_account("secret")
        };
        let refused = changes.create(request).await.is_err();
        ensure(refused, || {
            "an unsupported credential option succeeded".to_owned()
        })?;
    }
    let request = c1::CreateAccountRequest {
        encryption_configs: vec![c1::EncryptionConfig {
            provider: "rot13".to_owned(),
            ..Default::default()
        }],
        ..new_account("secret")
    };
    let refused = changes.create(request).await.is_err();
    ensure(refused, || "an unknown provider succeeded".to_owned())?;
    let made = changes.accounts("secret").await?;
    ensure(made == 0, || {
        "it was refused, and the account was made".to_owned()
    })?;
    for (login, option) in [
        ("plain", Options::NoPassword(NoPassword {})),
        ("signed-on", Options::Sso(Sso::default())),
    ] {
        let request = c1::CreateAccountRequest {
            credential_options: Some(with_option(option)),
            ..new_account(login)
        };
        let answer = ok("a supported option", changes.create(request).await)?;
        ensure(answer.encrypted_data.is_empty(), || {
            "a secret where there is none".to_owned()
        })?;
    }
    Ok(())
}

pub(super) async fn pc_57(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Writable).await;
    let changes = Changes::of(&server);
    for (id, absent) in [("5", false), ("5", false), ("9", true)] {
        let one = ok("DeleteResource", changes.delete("user", id).await)?;
        let two = ok("DeleteResourceV2", changes.delete_v2("user", id).await)?;
        for annotations in [one, two] {
            let told = has::<c1::ResourceDoesNotExist>(&annotations);
            ensure(told == absent, || {
                format!("ResourceDoesNotExist for user {id}: {told}")
            })?;
        }
    }
    Ok(())
}
