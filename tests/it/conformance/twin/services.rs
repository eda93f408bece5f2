//! The twin's services.

use std::sync::atomic::Ordering;

use baton_coupa::proto::connector as c1;
use baton_coupa::proto::connector::connector_service_server::ConnectorService;
use baton_coupa::proto::connector::entitlements_service_server::EntitlementsService;
use baton_coupa::proto::connector::grants_service_server::GrantsService;
use baton_coupa::proto::connector::resource_types_service_server::ResourceTypesService;
use baton_coupa::proto::connector::resources_service_server::ResourcesService;
use baton_coupa::proto::pack;
use baton_coupa::proto::ratelimit as rl;
use baton_coupa::proto::ratelimit::rate_limit_description::Status as Limit;
use baton_coupa::proto::ratelimit::rate_limiter_service_server::RateLimiterService;
use prost_types::Any;
use tonic::{Request, Response, Status, async_trait};

use super::super::Upstream;
use super::{Defect, Reach, State, rows as data};
use crate::grpc::harvest::{has, key};

fn knows(kind: &str) -> bool {
    data::types().iter().any(|known| known.id == kind)
}

#[async_trait]
impl RateLimiterService for State {
    async fn r#do(&self, request: Request<rl::DoRequest>) -> Result<Response<rl::DoResponse>, Status> {
        let status = match self.defect {
            Some(Defect::LimiterUnspecified) => Limit::Unspecified,
            Some(Defect::LimiterError) => Limit::Error,
            Some(Defect::LimiterOverLimit) => Limit::Overlimit,
            _ => Limit::Empty,
        };
        let token = request.into_inner().request_token;
        let description = rl::RateLimitDescription {
            status: status.into(),
            ..Default::default()
        };
        Ok(Response::new(rl::DoResponse {
            request_token: if self.has(Defect::LimiterForgetsToken) {
                String::new()
            } else {
                token
            },
            description: (!self.has(Defect::LimiterSilent)).then_some(description),
        }))
    }

    async fn report(
        &self,
        request: Request<rl::ReportRequest>,
    ) -> Result<Response<rl::ReportResponse>, Status> {
        if self.has(Defect::ReportNeedsDescription) && request.get_ref().description.is_none() {
            return Err(Status::invalid_argument("description"));
        }
        Ok(Response::new(rl::ReportResponse {}))
    }
}

#[async_trait]
impl ConnectorService for State {
    async fn validate(
        &self,
        _: Request<c1::ConnectorServiceValidateRequest>,
    ) -> Result<Response<c1::ConnectorServiceValidateResponse>, Status> {
        if self.upstream == Upstream::Panics {
            assert!(!self.has(Defect::PanicEscapes), "a bug, planted by the test");
            self.panicked.store(true, Ordering::SeqCst);
            return Err(Status::internal("a bug"));
        }
        match self.reach() {
            Err(_) if self.has(Defect::ValidateAlwaysOk) => {}
            Err(_) if self.has(Defect::ValidateUnknown) => return Err(Status::unknown("upstream")),
            Err(status) => return Err(status),
            Ok(_) => {}
        }
        let version = match self.defect {
            Some(Defect::VersionEmpty) => "",
            Some(Defect::VersionGarbage) => "development",
            Some(Defect::VersionOld) => "v0.4.2",
            _ => "v0.4.3",
        };
        Ok(Response::new(c1::ConnectorServiceValidateResponse {
            sdk_version: version.to_owned(),
            ..Default::default()
        }))
    }

    async fn get_metadata(
        &self,
        _: Request<c1::ConnectorServiceGetMetadataRequest>,
    ) -> Result<Response<c1::ConnectorServiceGetMetadataResponse>, Status> {
        let mut metadata = c1::ConnectorMetadata {
            display_name: "Twin".to_owned(),
            help_url: "https://twin.example/help".to_owned(),
            ..Default::default()
        };
        match self.defect {
            Some(Defect::NoDisplayName) => metadata.display_name.clear(),
            Some(Defect::PlainHelpUrl) => "http://twin.example".clone_into(&mut metadata.help_url),
            Some(Defect::LongDescription) => metadata.description = "x".repeat(4097),
            _ => {}
        }
        let metadata = (!self.has(Defect::NoMetadata)).then_some(metadata);
        Ok(Response::new(c1::ConnectorServiceGetMetadataResponse {
            metadata,
        }))
    }

    async fn cleanup(
        &self,
        request: Request<c1::ConnectorServiceCleanupRequest>,
    ) -> Result<Response<c1::ConnectorServiceCleanupResponse>, Status> {
        let sync = &request.get_ref().active_sync_id;
        let earlier = self.cleaned.fetch_add(1, Ordering::SeqCst);
        let mut seen = self.seen.lock().unwrap();
        if self.has(Defect::CleanupOnce) && earlier > 1 {
            return Err(Status::failed_precondition("already cleaned up"));
        }
        if self.has(Defect::CleanupKnownOnly) && earlier > 2 {
            return Err(Status::not_found("unknown sync"));
        }
        if !self.has(Defect::CleanupKeeps) {
            seen.remove(sync);
        }
        Ok(Response::new(c1::ConnectorServiceCleanupResponse::default()))
    }
}

#[async_trait]
impl ResourceTypesService for State {
    async fn list_resource_types(
        &self,
        request: Request<c1::ResourceTypesServiceListResourceTypesRequest>,
    ) -> Result<Response<c1::ResourceTypesServiceListResourceTypesResponse>, Status> {
        if self.has(Defect::StrictMetadata) && request.metadata().contains_key("x-unheard-of") {
            return Err(Status::invalid_argument("x-unheard-of"));
        }
        let ask = request.get_ref();
        let (list, next_page_token) =
            self.page(self.types(), ask.page_size, &ask.page_token, &ask.active_sync_id)?;
        Ok(Response::new(c1::ResourceTypesServiceListResourceTypesResponse {
            list,
            next_page_token,
            annotations: Vec::new(),
        }))
    }
}

#[async_trait]
impl ResourcesService for State {
    async fn list_resources(
        &self,
        request: Request<c1::ResourcesServiceListResourcesRequest>,
    ) -> Result<Response<c1::ResourcesServiceListResourcesResponse>, Status> {
        let ask = request.get_ref();
        let reached = self.reach()?;
        let mixed = self.enter().await?;
        if !knows(&ask.resource_type_id) && !self.has(Defect::UnknownTypeInResources) {
            return Err(Status::not_found("resource type"));
        }
        let child = ask.resource_type_id == "chapter";
        let orphan = child && ask.parent_resource_id.is_none();
        if orphan && self.has(Defect::ChildNeedsParent) {
            return Err(Status::invalid_argument("parent_resource_id"));
        }
        let mut rows = self.resources(&ask.resource_type_id, self.grown(&ask.active_sync_id));
        if let Some(parent) = &ask.parent_resource_id {
            rows.retain(|row| {
                row.parent_resource_id
                    .as_ref()
                    .is_some_and(|own| own.resource == parent.resource)
            });
        } else if child && !self.has(Defect::ChildIgnoresParent) {
            rows.clear();
        }
        if reached == Reach::Nothing {
            rows.clear();
        }
        rows.drain(..usize::from(mixed && !rows.is_empty()));
        let (list, next_page_token) = self.page(rows, ask.page_size, &ask.page_token, &ask.active_sync_id)?;
        let replay = Any {
            type_url: "type.googleapis.com/c1.connector.v2.SourceCacheReplay".to_owned(),
            value: Vec::new(),
        };
        Ok(Response::new(c1::ResourcesServiceListResourcesResponse {
            list,
            next_page_token,
            annotations: if self.has(Defect::CarriesReplay) {
                vec![replay]
            } else {
                Vec::new()
            },
        }))
    }
}

#[async_trait]
impl EntitlementsService for State {
    async fn list_entitlements(
        &self,
        request: Request<c1::EntitlementsServiceListEntitlementsRequest>,
    ) -> Result<Response<c1::EntitlementsServiceListEntitlementsResponse>, Status> {
        let ask = request.get_ref();
        let (kind, id) = ask
            .resource
            .as_ref()
            .and_then(|row| key(row.id.as_ref()))
            .unwrap_or_default();
        if !knows(&kind) && !self.has(Defect::UnknownTypeInEntitlements) {
            return Err(Status::not_found("resource type"));
        }
        let rows = self.entitlements(&kind, &id);
        let (list, next_page_token) = self.page(rows, ask.page_size, &ask.page_token, &ask.active_sync_id)?;
        Ok(Response::new(c1::EntitlementsServiceListEntitlementsResponse {
            list,
            next_page_token,
            annotations: Vec::new(),
        }))
    }

    async fn list_static_entitlements(
        &self,
        request: Request<c1::EntitlementsServiceListStaticEntitlementsRequest>,
    ) -> Result<Response<c1::EntitlementsServiceListStaticEntitlementsResponse>, Status> {
        let ask = request.get_ref();
        if self.has(Defect::NoTemplates) {
            return Err(Status::unimplemented("static entitlements"));
        }
        if !knows(&ask.resource_type_id) && !self.has(Defect::UnknownTypeInTemplates) {
            return Err(Status::not_found("resource type"));
        }
        let rows = data::templates(&ask.resource_type_id);
        let (list, next_page_token) = self.page(rows, ask.page_size, &ask.page_token, &ask.active_sync_id)?;
        Ok(Response::new(
            c1::EntitlementsServiceListStaticEntitlementsResponse {
                list,
                next_page_token,
                annotations: Vec::new(),
            },
        ))
    }
}

impl State {
    fn grants_asked_for(&self, ask: &c1::GrantsServiceListGrantsRequest) -> Result<Vec<c1::Grant>, Status> {
        let (kind, id) = ask
            .resource
            .as_ref()
            .and_then(|row| key(row.id.as_ref()))
            .unwrap_or_default();
        if !knows(&kind) && !self.has(Defect::UnknownTypeInGrants) {
            return Err(Status::not_found("resource type"));
        }
        let marker = has::<c1::TypeScopedGrants>(&ask.annotations);
        let offered = data::types()
            .iter()
            .any(|known| known.id == kind && has::<c1::TypeScopedGrants>(&known.annotations));
        if marker && !offered && !self.has(Defect::MarkerEverywhere) {
            return Err(Status::invalid_argument("TypeScopedGrants"));
        }
        let mut rows = self.grants(&kind);
        if marker && rows.is_empty() && self.has(Defect::EmptyTypeMissing) {
            return Err(Status::not_found("no resource"));
        }
        if marker {
            if self.has(Defect::TypeScopedLoses) {
                rows.pop();
            }
            if self.has(Defect::TypeScopedInvents) {
                rows.push(data::grant(&kind, "1", "member", ("user", "5")));
            }
            return Ok(rows);
        }
        let whole = (id == kind && self.has(Defect::StubMeansType))
            || (id != kind && self.has(Defect::ResourceMeansType));
        if !whole {
            rows.retain(|row| {
                row.entitlement
                    .as_ref()
                    .unwrap()
                    .id
                    .starts_with(&format!("{kind}:{id}:"))
            });
        }
        Ok(rows)
    }
}

impl State {
    /// What goes wrong with sibling chains; without a defect there are none.
    fn siblings(&self, next: &str) -> Vec<Any> {
        let enqueue = |tokens: Vec<String>| {
            pack(&c1::EnqueuePageTokens {
                page_tokens: tokens,
                ..Default::default()
            })
        };
        let start = || self.token(0);
        match self.defect {
            Some(Defect::EnqueuesTwice) => vec![enqueue(vec![start()]), enqueue(vec![start()])],
            Some(Defect::EnqueuesDoubled) => vec![enqueue(vec![start(), start()])],
            Some(Defect::EnqueuesEmpty) => vec![enqueue(vec![String::new()])],
            Some(Defect::EnqueuesNext) if !next.is_empty() => vec![enqueue(vec![next.to_owned()])],
            Some(Defect::EnqueuesMany) => {
                vec![enqueue(
                    (0..1025).map(|number| format!("at-{number}-0")).collect(),
                )]
            }
            Some(Defect::EnqueuesMuch) => {
                vec![enqueue(
                    (0..17)
                        .map(|number| format!("{number}-") + &"x".repeat(1_000_000))
                        .collect(),
                )]
            }
            _ => Vec::new(),
        }
    }
}

#[async_trait]
impl GrantsService for State {
    async fn list_grants(
        &self,
        request: Request<c1::GrantsServiceListGrantsRequest>,
    ) -> Result<Response<c1::GrantsServiceListGrantsResponse>, Status> {
        let ask = request.get_ref();
        let reached = self.reach()?;
        let mixed = self.enter().await?;
        let mut rows = self.grants_asked_for(ask)?;
        if reached == Reach::Nothing {
            rows.clear();
        }
        rows.drain(..usize::from(mixed && !rows.is_empty()));
        let (list, next_page_token) = self.page(rows, ask.page_size, &ask.page_token, &ask.active_sync_id)?;
        Ok(Response::new(c1::GrantsServiceListGrantsResponse {
            annotations: self.siblings(&next_page_token),
            list,
            next_page_token,
        }))
    }
}
