//! The twin's services that change things. Nobody may enter group 2; user 9 is unknown.

use std::sync::MutexGuard;

use baton_coupa::proto::connector as c1;
use baton_coupa::proto::connector::account_manager_service_server::AccountManagerService;
use baton_coupa::proto::connector::action_service_server::ActionService;
use baton_coupa::proto::connector::create_account_response as answer;
use baton_coupa::proto::connector::credential_manager_service_server::CredentialManagerService;
use baton_coupa::proto::connector::credential_options::Options;
use baton_coupa::proto::connector::grant_manager_service_server::GrantManagerService;
use baton_coupa::proto::connector::resource_deleter_service_server::ResourceDeleterService;
use baton_coupa::proto::connector::resource_manager_service_server::ResourceManagerService;
use baton_coupa::proto::{config, pack};
use prost_types::value::Kind as ValueKind;
use prost_types::{Any, Struct};
use tonic::{Request, Response, Status, async_trait};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::super::Upstream;
use super::{Changed, Defect, State, rows as data};

type Reply<T> = Result<Response<T>, Status>;

impl State {
    fn changed(&self) -> MutexGuard<'_, Changed> {
        self.changed.lock().unwrap()
    }

    /// The rows of a listing, with what was changed.
    pub(super) fn after_changes(&self, kind: &str, mut rows: Vec<c1::Grant>) -> Vec<c1::Grant> {
        let changed = self.changed();
        rows.retain(|row| !changed.grants.contains_key(&row.id));
        let given = changed.grants.values().flatten().cloned();
        rows.extend(given.filter(|row| row.id.starts_with(&format!("{kind}:"))));
        rows
    }

    /// Users who were made.
    pub(super) fn newcomers(&self) -> Vec<c1::Resource> {
        let changed = self.changed();
        let user = |(at, login): (usize, &String)| account(at, login);
        changed.accounts.iter().enumerate().map(user).collect()
    }

    fn on(&self) -> Result<(), Status> {
        let on = matches!(self.upstream, Upstream::Writable | Upstream::Faltering);
        if on {
            Ok(())
        } else if self.has(Defect::OffIsUnimplemented) {
            Err(Status::unimplemented("provisioning is not enabled"))
        } else {
            Err(Status::failed_precondition("provisioning is not enabled"))
        }
    }

    fn unsupported(&self) -> Status {
        if self.has(Defect::UnsupportedIsInvalid) {
            Status::invalid_argument("not of this type")
        } else {
            Status::unimplemented("not of this type")
        }
    }

    /// One write, as the tenant takes it: where it falters, the first of each change fails.
    fn write(&self) -> Result<(), Status> {
        let mut changed = self.changed();
        changed.writes += 1;
        if self.upstream == Upstream::Faltering && changed.writes % 2 == 1 {
            return Err(Status::unavailable("upstream"));
        }
        Ok(())
    }

    /// Writes until the tenant takes it.
    fn persist(&self) -> Result<(), Status> {
        match self.write() {
            Err(_) if !self.has(Defect::GivesUpAtOnce) => self.write(),
            end => end,
        }
    }

    fn holds(&self, kind: &str, id: &str) -> bool {
        self.grants(kind).iter().any(|row| row.id == id)
    }

    fn declined(&self) -> Status {
        if self.has(Defect::DeclineIsDenied) {
            return Status::permission_denied("nobody may enter");
        }
        if self.has(Defect::DeclineWithoutDetail) {
            return Status::failed_precondition("nobody may enter");
        }
        let reason = if self.has(Defect::DeclineWithoutReason) {
            "declined"
        } else {
            "grant_cancelled"
        };
        let domain = if self.has(Defect::DeclineOfOtherDomain) {
            "twin.example"
        } else {
            "github.com/conductorone/baton-sdk"
        };
        let metadata = [("reason".to_owned(), "nobody may enter".to_owned())];
        Status::with_error_details(
            tonic::Code::FailedPrecondition,
            "nobody may enter",
            ErrorDetails::with_error_info(reason, domain, metadata),
        )
    }
}

fn account(at: usize, login: &str) -> c1::Resource {
    let user = c1::UserTrait {
        login: login.to_owned(),
        ..Default::default()
    };
    data::resource("user", &format!("{}", 100 + at), vec![pack(&user)])
}

/// Type, resource and slug of an entitlement.
fn parts(entitlement: &c1::Entitlement) -> Result<(&str, &str, &str), Status> {
    let parts: Vec<&str> = entitlement.id.split(':').collect();
    match parts[..] {
        [kind, id, slug] => Ok((kind, id, slug)),
        _ => Err(Status::invalid_argument("entitlement")),
    }
}

fn principal(resource: &c1::Resource) -> (&str, &str) {
    let id = resource.id.as_ref().unwrap();
    (&id.resource_type, &id.resource)
}

#[async_trait]
impl GrantManagerService for State {
    async fn grant(
        &self,
        request: Request<c1::GrantManagerServiceGrantRequest>,
    ) -> Reply<c1::GrantManagerServiceGrantResponse> {
        if !self.has(Defect::OffGrants) {
            self.on()?;
        }
        let ask = request.get_ref();
        let (Some(entitlement), Some(to)) = (&ask.entitlement, &ask.principal) else {
            return Err(Status::invalid_argument("entitlement"));
        };
        let (kind, id, slug) = parts(entitlement)?;
        if !matches!(kind, "group" | "role" | "seat") {
            return Err(self.unsupported());
        }
        if (kind, id) == ("group", "2") {
            return Err(self.declined());
        }
        let mut row = data::grant(kind, id, slug, principal(to));
        let already = self.holds(kind, &row.id);
        if already && self.has(Defect::SecondGrantFails) {
            return Err(Status::already_exists("granted"));
        }
        if !already {
            self.persist()?;
            self.changed().grants.insert(row.id.clone(), Some(row.clone()));
        }
        let silent = self.has(Defect::SecondGrantSilent);
        let note = (already && !silent).then(|| pack(&c1::GrantAlreadyExists {}));
        if self.has(Defect::GrantAnswersOtherIds) {
            row.id.push_str(":new");
        }
        let grants = if self.has(Defect::GrantAnswersNothing) {
            Vec::new()
        } else {
            vec![row]
        };
        Ok(Response::new(c1::GrantManagerServiceGrantResponse {
            annotations: note.into_iter().collect(),
            grants,
        }))
    }

    async fn revoke(
        &self,
        request: Request<c1::GrantManagerServiceRevokeRequest>,
    ) -> Reply<c1::GrantManagerServiceRevokeResponse> {
        self.on()?;
        let Some(grant) = &request.get_ref().grant else {
            return Err(Status::invalid_argument("grant"));
        };
        let (Some(entitlement), Some(of)) = (&grant.entitlement, &grant.principal) else {
            return Err(Status::invalid_argument("entitlement"));
        };
        let (kind, id, slug) = parts(entitlement)?;
        if !matches!(kind, "group" | "role" | "seat") {
            return Err(self.unsupported());
        }
        let row = data::grant(kind, id, slug, principal(of));
        let strange = (self.has(Defect::RevokeParsesIds) && grant.id != row.id)
            || (self.has(Defect::RevokeNeedsNames) && of.display_name.is_empty())
            || (self.has(Defect::RevokeNeedsHolders) && entitlement.grantable_to.is_empty());
        if strange {
            return Err(Status::invalid_argument("not a grant"));
        }
        let held = self.holds(kind, &row.id);
        if !held && self.has(Defect::SecondRevokeFails) {
            return Err(Status::not_found("no such grant"));
        }
        if held {
            self.persist()?;
            if !self.has(Defect::RevokesNothing) {
                self.changed().grants.insert(row.id, None);
            }
        }
        let silent = self.has(Defect::SecondRevokeSilent);
        let note = (!held && !silent).then(|| pack(&c1::GrantAlreadyRevoked {}));
        Ok(Response::new(c1::GrantManagerServiceRevokeResponse {
            annotations: note.into_iter().collect(),
        }))
    }
}

impl State {
    fn delete(&self, id: Option<&c1::ResourceId>) -> Result<Vec<Any>, Status> {
        self.on()?;
        let Some(id) = id else {
            return Err(Status::invalid_argument("resource_id"));
        };
        if id.resource_type != "user" {
            return Err(self.unsupported());
        }
        if self
            .resources("user", false)
            .iter()
            .any(|row| row.id.as_ref() == Some(id))
        {
            return Ok(Vec::new());
        }
        if self.has(Defect::AbsentIsNotFound) {
            return Err(Status::not_found("no such user"));
        }
        let quiet = self.has(Defect::DeleteKeepsQuiet);
        let note = (!quiet).then(|| pack(&c1::ResourceDoesNotExist {}));
        Ok(note.into_iter().collect())
    }
}

#[async_trait]
impl ResourceManagerService for State {
    async fn create_resource(
        &self,
        _: Request<c1::CreateResourceRequest>,
    ) -> Reply<c1::CreateResourceResponse> {
        self.on()?;
        Err(self.unsupported())
    }

    async fn delete_resource(
        &self,
        request: Request<c1::DeleteResourceRequest>,
    ) -> Reply<c1::DeleteResourceResponse> {
        let annotations = self.delete(request.get_ref().resource_id.as_ref())?;
        Ok(Response::new(c1::DeleteResourceResponse { annotations }))
    }
}

#[async_trait]
impl ResourceDeleterService for State {
    async fn delete_resource_v2(
        &self,
        request: Request<c1::DeleteResourceV2Request>,
    ) -> Reply<c1::DeleteResourceV2Response> {
        let annotations = self.delete(request.get_ref().resource_id.as_ref())?;
        Ok(Response::new(c1::DeleteResourceV2Response { annotations }))
    }
}

#[async_trait]
impl CredentialManagerService for State {
    async fn rotate_credential(
        &self,
        _: Request<c1::RotateCredentialRequest>,
    ) -> Reply<c1::RotateCredentialResponse> {
        self.on()?;
        Err(self.unsupported())
    }

    async fn issue_credential(
        &self,
        _: Request<c1::IssueCredentialRequest>,
    ) -> Reply<c1::IssueCredentialResponse> {
        self.on()?;
        Err(self.unsupported())
    }
}

impl State {
    /// Makes the account. Where the tenant falters, the answer to the first request is lost; who does not look makes another.
    fn make(&self, login: &str) -> usize {
        let twice = self.upstream == Upstream::Faltering && self.has(Defect::CreatesBlindly);
        let mut changed = self.changed();
        for _ in 0..=usize::from(twice) {
            changed.accounts.push(login.to_owned());
        }
        changed.accounts.len() - 1
    }
}

#[async_trait]
impl AccountManagerService for State {
    async fn create_account(
        &self,
        request: Request<c1::CreateAccountRequest>,
    ) -> Reply<c1::CreateAccountResponse> {
        self.on()?;
        let ask = request.get_ref();
        let Some(info) = &ask.account_info else {
            return Err(Status::invalid_argument("account_info"));
        };
        let kind = ask.resource_type_id.as_str();
        if kind.is_empty() && self.has(Defect::AccountNeedsType) {
            return Err(Status::invalid_argument("resource_type_id"));
        }
        if !matches!(kind, "" | "user") {
            return Err(self.unsupported());
        }
        let options = ask
            .credential_options
            .as_ref()
            .and_then(|own| own.options.as_ref());
        let password = matches!(
            options,
            Some(Options::RandomPassword(_) | Options::EncryptedPassword(_))
        );
        let known = |config: &c1::EncryptionConfig| config.provider.starts_with("baton/");
        let provider = self.has(Defect::AnyProvider) || ask.encryption_configs.iter().all(known);
        if !provider || (password && !self.has(Defect::PasswordIgnored)) {
            if self.has(Defect::PasswordRefusedLate) {
                self.make(&info.login);
            }
            return Err(Status::invalid_argument("credential_options"));
        }
        let found = self
            .changed()
            .accounts
            .iter()
            .position(|login| *login == info.login);
        let result = match found {
            Some(_) if self.has(Defect::ExistingIsAnError) => {
                return Err(Status::already_exists("login"));
            }
            Some(at) if !self.has(Defect::ExistingIsMadeAgain) => {
                answer::Result::AlreadyExists(answer::AlreadyExistsResult {
                    resource: Some(account(at, &info.login)),
                    is_create_account_result: true,
                })
            }
            _ => answer::Result::Success(answer::SuccessResult {
                resource: Some(account(self.make(&info.login), &info.login)),
                is_create_account_result: true,
                ..Default::default()
            }),
        };
        Ok(Response::new(c1::CreateAccountResponse {
            result: (!self.has(Defect::NoResultArm)).then_some(result),
            ..Default::default()
        }))
    }
}

fn object(pairs: Vec<(&str, ValueKind)>) -> Struct {
    let pair = |(key, kind): (&str, ValueKind)| (key.to_owned(), kind.into());
    Struct {
        fields: pairs.into_iter().map(pair).collect(),
    }
}

/// The user whom the arguments name.
fn about(args: Option<&Struct>) -> Option<&str> {
    let ValueKind::StructValue(id) = args?.fields.get("user")?.kind.as_ref()? else {
        return None;
    };
    match id.fields.get("resource_id")?.kind.as_ref()? {
        ValueKind::StringValue(id) => Some(id),
        _ => None,
    }
}

#[async_trait]
impl ActionService for State {
    async fn invoke_action(
        &self,
        request: Request<c1::InvokeActionRequest>,
    ) -> Reply<c1::InvokeActionResponse> {
        self.on()?;
        let ask = request.get_ref();
        if ask.name != "lock" && !self.has(Defect::AnyAction) {
            return Err(Status::not_found("no such action"));
        }
        let fails = about(ask.args.as_ref()) == Some("9");
        if fails && self.has(Defect::ActionFailsTheCall) {
            return Err(Status::not_found("no such user"));
        }
        let error = ValueKind::StringValue("no such user".to_owned());
        let (status, response) = match fails {
            true if self.has(Defect::ActionFailsSilently) => (c1::BatonActionStatus::Failed, vec![]),
            true => (c1::BatonActionStatus::Failed, vec![("error", error)]),
            false => (
                c1::BatonActionStatus::Complete,
                vec![("success", ValueKind::BoolValue(true))],
            ),
        };
        let mut changed = self.changed();
        let id = format!("action-{}", changed.actions.len());
        let end = c1::InvokeActionResponse {
            id: id.clone(),
            status: status.into(),
            response: Some(object(response)),
            name: ask.name.clone(),
            ..Default::default()
        };
        if !self.has(Defect::ActionForgotten) {
            changed.actions.insert(id.clone(), end.clone());
        }
        let at_once = ask.inline_wait.is_none_or(|wait| wait.seconds > 0);
        if at_once && !self.has(Defect::ActionWithoutEnd) {
            return Ok(Response::new(end));
        }
        Ok(Response::new(c1::InvokeActionResponse {
            id: if self.has(Defect::ActionWithoutEnd) {
                String::new()
            } else {
                id
            },
            status: c1::BatonActionStatus::Running.into(),
            ..Default::default()
        }))
    }

    async fn get_action_status(
        &self,
        request: Request<c1::GetActionStatusRequest>,
    ) -> Reply<c1::GetActionStatusResponse> {
        let id = &request.get_ref().id;
        if self.has(Defect::AnyInvocation) {
            return Ok(Response::new(c1::GetActionStatusResponse::default()));
        }
        let Some(end) = self.changed().actions.get(id).cloned() else {
            return Err(Status::not_found("no such invocation"));
        };
        Ok(Response::new(c1::GetActionStatusResponse {
            name: end.name,
            id: end.id,
            status: end.status,
            response: end.response,
            ..Default::default()
        }))
    }

    async fn get_action_schema(
        &self,
        _: Request<c1::GetActionSchemaRequest>,
    ) -> Reply<c1::GetActionSchemaResponse> {
        Err(Status::not_found("no such action"))
    }

    async fn list_action_schemas(
        &self,
        request: Request<c1::ListActionSchemasRequest>,
    ) -> Reply<c1::ListActionSchemasResponse> {
        let kind = &request.get_ref().resource_type_id;
        if !matches!(kind.as_str(), "" | "user") && !self.has(Defect::ActionsOfEveryType) {
            return Ok(Response::new(c1::ListActionSchemasResponse::default()));
        }
        let user = config::Field {
            name: "user".to_owned(),
            is_required: true,
            field: Some(config::field::Field::ResourceIdField(
                config::ResourceIdField::default(),
            )),
            ..Default::default()
        };
        let lock = c1::BatonActionSchema {
            name: "lock".to_owned(),
            arguments: vec![user],
            action_type: vec![c1::ActionType::AccountDisable.into()],
            resource_type_id: "user".to_owned(),
            ..Default::default()
        };
        Ok(Response::new(c1::ListActionSchemasResponse {
            schemas: vec![lock],
            ..Default::default()
        }))
    }
}
