//! A small server with fixed rows that does everything right, or everything but one thing.
//!
//! It shares no code with the product except the generated messages.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use baton_coupa::proto::connector as c1;
use baton_coupa::proto::connector::connector_service_server::{ConnectorService, ConnectorServiceServer};
use baton_coupa::proto::connector::entitlements_service_server::{
    EntitlementsService, EntitlementsServiceServer,
};
use baton_coupa::proto::connector::grants_service_server::{GrantsService, GrantsServiceServer};
use baton_coupa::proto::connector::resource_types_service_server::{
    ResourceTypesService, ResourceTypesServiceServer,
};
use baton_coupa::proto::connector::resources_service_server::{ResourcesService, ResourcesServiceServer};
use baton_coupa::proto::pack;
use baton_coupa::proto::ratelimit as rl;
use baton_coupa::proto::ratelimit::rate_limit_description::Status as Limit;
use baton_coupa::proto::ratelimit::rate_limiter_service_server::{
    RateLimiterService, RateLimiterServiceServer,
};
use prost::Message as _;
use prost_types::Any;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Code, Request, Response, Status, async_trait};

use super::Upstream;
use super::rows_of_twin as data;
use crate::grpc::client::Client;
use crate::grpc::harvest::{has, key};
use crate::grpc::tenant::Truth;

/// The one thing that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    HugePage,
    SmallRequests,
    StrictMetadata,
    NoLimiter,
    LimiterForgetsToken,
    LimiterOverLimit,
    ReportNeedsDescription,
    LimiterUnspecified,
    LimiterError,
    LimiterSilent,
    VersionEmpty,
    VersionGarbage,
    VersionOld,
    ValidateAlwaysOk,
    ValidateUnknown,
    NoDisplayName,
    PlainHelpUrl,
    NoMetadata,
    LongDescription,
    NoTypes,
    DoubledType,
    ShiftingTypes,
    NoTrait,
    UnlistedType,
    DoubledResource,
    EmptyResourceId,
    LongResourceId,
    ChildNeedsParent,
    ChildIgnoresParent,
    CarriesBatonId,
    CarriesReplay,
    CarriesETag,
    CarriesETagMatch,
    NoTemplates,
    UnknownTypeInResources,
    UnknownTypeInEntitlements,
    UnknownTypeInTemplates,
    UnknownTypeInGrants,
    ZeroMeansNothing,
    AnyPageSize,
    TokenRepeats,
    TokenHuge,
    EndlessPages,
    LocalTokens,
    ForgivingTokens,
    ShiftedTokens,
    OddEntitlementId,
    OddGrantId,
    ChangingIds,
    GrantWithoutPrincipal,
    GrantWithoutResource,
    GrantToStranger,
    GrantOfUnlisted,
    ExpandsNothing,
    ExpandsTwice,
    ExpandsForeign,
    TwoExclusionGroups,
    TwoDefaults,
    GroupAcrossTypes,
    CrowdedGroup,
    TypeScopedLoses,
    TypeScopedInvents,
    NoTypeScoped,
    StubMeansType,
    MarkerEverywhere,
    ResourceMeansType,
    EmptyTypeMissing,
    OneAtATime,
    CallsMix,
    EntitlementWithoutId,
    LosesUser,
    LosesGrant,
    CleanupOnce,
    CleanupKnownOnly,
    CleanupKeeps,
    NeedsSyncId,
    LimitIsExhausted,
    LimitWithoutDetail,
    LimitInThePast,
    FailureIsUnknown,
    DeniedIsInternal,
    FailureIsEmpty,
    CollectionIsNotFound,
    CollectionIsEmpty,
    PanicEscapes,
    PanicPoisons,
}

/// A running twin.
pub(super) struct Twin {
    pub(super) client: Client,
    state: Arc<State>,
    _stop: DropGuard,
}

/// What a complete sync of a good twin holds.
pub(super) fn truth() -> Truth {
    let good = State::new(None, Upstream::Healthy);
    let mut truth = Truth::default();
    for kind in good.types() {
        for resource in good.resources(&kind.id, false) {
            truth.resources.extend(key(resource.id.as_ref()));
        }
        for grant in good.grants(&kind.id) {
            truth.grants.insert(grant.id);
        }
    }
    let items = [("group", "1"), ("group", "2"), ("role", "1"), ("role", "2")];
    for (kind, id) in items {
        truth.item(kind, id, "member");
    }
    for id in ["basic", "plus"] {
        truth.item("seat", id, "assigned");
    }
    truth
}

impl Twin {
    pub(super) async fn start(defect: Option<Defect>, upstream: Upstream) -> Self {
        let state = Arc::new(State::new(defect, upstream));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let limit = if state.has(Defect::SmallRequests) {
            1 << 16
        } else {
            4 << 20
        };
        let limiter =
            (!state.has(Defect::NoLimiter)).then(|| RateLimiterServiceServer::from_arc(Arc::clone(&state)));
        let types = ResourceTypesServiceServer::from_arc(Arc::clone(&state)).max_decoding_message_size(limit);
        let serving = tonic::transport::Server::builder()
            .add_optional_service(limiter)
            .add_service(ConnectorServiceServer::from_arc(Arc::clone(&state)))
            .add_service(types)
            .add_service(ResourcesServiceServer::from_arc(Arc::clone(&state)))
            .add_service(EntitlementsServiceServer::from_arc(Arc::clone(&state)))
            .add_service(GrantsServiceServer::from_arc(Arc::clone(&state)))
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop.clone().cancelled_owned());
        tokio::spawn(serving);
        Self {
            client: Client::plain(addr),
            state,
            _stop: stop.drop_guard(),
        }
    }

    pub(super) fn grow(&self) {
        self.state.grown.store(true, Ordering::SeqCst);
    }
}

struct State {
    defect: Option<Defect>,
    upstream: Upstream,
    /// Tells one process from another.
    nonce: usize,
    grown: AtomicBool,
    /// Per sync, whether the latecomer was there when the sync began.
    seen: Mutex<HashMap<String, bool>>,
    cleaned: AtomicUsize,
    listed: AtomicUsize,
    in_flight: AtomicUsize,
    panicked: AtomicBool,
}

/// Rows per page, so that every list of more than two has pages.
const PAGE: usize = 2;

impl State {
    fn new(defect: Option<Defect>, upstream: Upstream) -> Self {
        static PROCESSES: AtomicUsize = AtomicUsize::new(0);
        Self {
            defect,
            upstream,
            nonce: PROCESSES.fetch_add(1, Ordering::SeqCst),
            grown: AtomicBool::new(false),
            seen: Mutex::default(),
            cleaned: AtomicUsize::new(0),
            listed: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
        }
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    /// What the tenant's state makes of a call; `None` where the defect answers without rows.
    fn reach(&self) -> Result<Option<()>, Status> {
        let failure = |good: Code, defect: Defect, bad: Code| {
            let code = if self.has(defect) { bad } else { good };
            Err(Status::new(code, "upstream"))
        };
        let failing = !matches!(
            self.upstream,
            Upstream::Healthy | Upstream::Bulky | Upstream::NoRoles | Upstream::Panics
        );
        if failing && self.has(Defect::FailureIsEmpty) {
            return Ok(None);
        }
        match self.upstream {
            Upstream::Healthy | Upstream::Bulky | Upstream::NoRoles => Ok(Some(())),
            Upstream::Panics if self.has(Defect::PanicPoisons) && self.panicked.load(Ordering::SeqCst) => {
                Err(Status::internal("poisoned"))
            }
            Upstream::Panics => Ok(Some(())),
            Upstream::BadCredentials | Upstream::Forbidden => {
                failure(Code::PermissionDenied, Defect::DeniedIsInternal, Code::Internal)
            }
            Upstream::Unreachable | Upstream::Broken => {
                failure(Code::Unavailable, Defect::FailureIsUnknown, Code::Unknown)
            }
            Upstream::RateLimited => Err(self.rate_limited()),
            Upstream::MissingCollection if self.has(Defect::CollectionIsEmpty) => Ok(None),
            Upstream::MissingCollection => {
                failure(Code::Internal, Defect::CollectionIsNotFound, Code::NotFound)
            }
        }
    }

    fn rate_limited(&self) -> Status {
        let code = if self.has(Defect::LimitIsExhausted) {
            Code::ResourceExhausted
        } else {
            Code::Unavailable
        };
        if self.has(Defect::LimitWithoutDetail) {
            return Status::new(code, "slow down");
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let reset = if self.has(Defect::LimitInThePast) {
            now - 60
        } else {
            now + 60
        };
        let detail = c1::RateLimitDescription {
            status: c1::rate_limit_description::Status::Overlimit.into(),
            reset_at: Some(prost_types::Timestamp {
                seconds: i64::try_from(reset).unwrap(),
                nanos: 0,
            }),
            ..Default::default()
        };
        let details = tonic_types::Status {
            code: code.into(),
            message: String::new(),
            details: vec![pack(&detail)],
        };
        Status::with_details(code, "slow down", details.encode_to_vec().into())
    }

    /// One page of `rows`.
    fn page<T>(&self, rows: Vec<T>, size: u32, token: &str, sync: &str) -> Result<(Vec<T>, String), Status> {
        if size > 250 && !self.has(Defect::AnyPageSize) {
            return Err(Status::invalid_argument("page_size"));
        }
        if (size == 0 && self.has(Defect::ZeroMeansNothing))
            || (sync.is_empty() && self.has(Defect::NeedsSyncId))
        {
            return Ok((Vec::new(), String::new()));
        }
        let start = self.position(token)?;
        let end = rows.len();
        let rows: Vec<T> = rows.into_iter().skip(start).take(PAGE).collect();
        let next = match start + PAGE {
            next if next < end || self.has(Defect::EndlessPages) => self.token(next),
            _ => String::new(),
        };
        if self.has(Defect::TokenRepeats) && !token.is_empty() {
            return Ok((rows, token.to_owned()));
        }
        Ok((rows, next))
    }

    fn token(&self, position: usize) -> String {
        if self.has(Defect::TokenHuge) {
            return format!("at-{}{position}-0", "0".repeat(2_000_000));
        }
        format!("at-{position}-{}", self.nonce)
    }

    fn position(&self, token: &str) -> Result<usize, Status> {
        if token.is_empty() {
            return Ok(0);
        }
        let parts = token.strip_prefix("at-").and_then(|rest| rest.split_once('-'));
        let numbers = |(at, nonce): (&str, &str)| {
            let numbers: (usize, usize) = (at.parse().ok()?, nonce.parse().ok()?);
            Some(numbers)
        };
        let Some((position, nonce)) = parts.and_then(numbers) else {
            let forgiving = self.has(Defect::ForgivingTokens);
            return if forgiving {
                Ok(0)
            } else {
                Err(Status::invalid_argument("page_token"))
            };
        };
        let foreign = self.nonce != nonce;
        if foreign && self.has(Defect::LocalTokens) {
            return Err(Status::invalid_argument("not a token of this process"));
        }
        Ok(position + usize::from(foreign && self.has(Defect::ShiftedTokens)))
    }

    fn types(&self) -> Vec<c1::ResourceType> {
        let turn = self.listed.fetch_add(1, Ordering::SeqCst);
        let mut types = data::types();
        match self.defect {
            Some(Defect::NoTypes) => types.clear(),
            Some(Defect::DoubledType) => types.push(types[0].clone()),
            Some(Defect::ShiftingTypes) if turn > 3 => types.truncate(2),
            Some(Defect::NoTypeScoped) => types.iter_mut().for_each(|kind| kind.annotations.clear()),
            _ => {}
        }
        types
    }

    fn knows(&self, kind: &str) -> bool {
        data::types().iter().any(|known| known.id == kind)
    }

    /// Resources of a type, without regard to parents.
    fn resources(&self, kind: &str, grown: bool) -> Vec<c1::Resource> {
        if kind == "role" && self.upstream == Upstream::NoRoles {
            return Vec::new();
        }
        let mut rows = data::resources(kind, grown);
        if kind == "user" {
            self.spoil_users(&mut rows);
        }
        rows
    }

    fn spoil_users(&self, rows: &mut Vec<c1::Resource>) {
        let foreign = |name: &str| Any {
            type_url: format!("type.googleapis.com/c1.connector.v2.{name}"),
            value: Vec::new(),
        };
        if self.upstream == Upstream::Bulky {
            rows.iter_mut()
                .for_each(|row| row.description = "x".repeat(900_000));
        }
        let first = &mut rows[0];
        match self.defect {
            Some(Defect::HugePage) => first.description = "x".repeat(5 << 20),
            Some(Defect::NoTrait) => first.annotations.clear(),
            Some(Defect::CarriesBatonId) => first.annotations.push(foreign("BatonID")),
            Some(Defect::CarriesETag) => first.annotations.push(foreign("ETag")),
            Some(Defect::EmptyResourceId) => first.id = Some(c1::ResourceId::default()),
            Some(Defect::UnlistedType) => first.id = data::resource("alien", "1", Vec::new()).id,
            Some(Defect::LongResourceId) => {
                first.id = data::resource("user", &"9".repeat(1025), Vec::new()).id
            }
            Some(Defect::DoubledResource) => rows[1] = rows[0].clone(),
            Some(Defect::LosesUser) => drop(rows.remove(4)),
            Some(Defect::ChangingIds) => {
                let id = first.id.as_mut().unwrap();
                id.resource = format!("{}-{}", id.resource, self.nonce);
            }
            _ => {}
        }
    }

    fn entitlements(&self, kind: &str, id: &str) -> Vec<c1::Entitlement> {
        let mut rows = data::entitlements(kind, id);
        if let Some(first) = rows.first_mut() {
            self.spoil_entitlement(first, id);
        }
        if self.has(Defect::CrowdedGroup) && id == "plus" {
            rows.extend(std::iter::repeat_n(rows[0].clone(), 60));
        }
        rows
    }

    fn spoil_entitlement(&self, row: &mut c1::Entitlement, id: &str) {
        match self.defect {
            Some(Defect::OddEntitlementId) => row.id = format!("odd/{id}"),
            Some(Defect::EntitlementWithoutId) if id == "plus" => row.id.clear(),
            Some(Defect::TwoExclusionGroups) => row.annotations.push(data::exclusion("other", false)),
            Some(Defect::TwoDefaults) => row.annotations = vec![data::exclusion("tier", true)],
            Some(Defect::GroupAcrossTypes) if id == "plus" => {
                row.resource = Some(data::resource("group", "1", Vec::new()));
            }
            _ => {}
        }
    }

    fn grants(&self, kind: &str) -> Vec<c1::Grant> {
        if kind == "role" && self.upstream == Upstream::NoRoles {
            return Vec::new();
        }
        let mut rows = data::grants(kind);
        if kind == "group" {
            self.spoil_grants(&mut rows);
        }
        if let (Some(sources), "role") = (self.sources(), kind) {
            let expandable = rows
                .iter_mut()
                .find(|row| has::<c1::GrantExpandable>(&row.annotations));
            expandable.unwrap().annotations = vec![data::expandable(&sources)];
        }
        rows
    }

    fn sources(&self) -> Option<Vec<&'static str>> {
        Some(match self.defect? {
            Defect::ExpandsNothing => vec![],
            Defect::ExpandsTwice => vec!["group:1:member", "group:1:member"],
            Defect::ExpandsForeign => vec!["group:2:member"],
            _ => return None,
        })
    }

    fn spoil_grants(&self, rows: &mut Vec<c1::Grant>) {
        let first = &mut rows[0];
        match self.defect {
            Some(Defect::OddGrantId) => first.id = "grant-1".to_owned(),
            Some(Defect::GrantWithoutPrincipal) => first.principal = None,
            Some(Defect::GrantWithoutResource) => first.entitlement.as_mut().unwrap().resource = None,
            Some(Defect::GrantToStranger) => *first = data::grant("group", "1", "member", ("user", "99")),
            Some(Defect::GrantOfUnlisted) => *first = data::grant("group", "1", "owner", ("user", "1")),
            Some(Defect::CarriesETagMatch) => first.annotations.push(Any {
                type_url: "type.googleapis.com/c1.connector.v2.ETagMatch".to_owned(),
                value: Vec::new(),
            }),
            Some(Defect::LosesGrant) => drop(rows.pop()),
            _ => {}
        }
    }

    /// Whether the latecomer belongs to the sync.
    fn grown(&self, sync: &str) -> bool {
        let now = self.grown.load(Ordering::SeqCst);
        *self.seen.lock().unwrap().entry(sync.to_owned()).or_insert(now)
    }

    /// Counts calls under way, where the defect is about them.
    async fn enter(&self) -> Result<bool, Status> {
        if !self.has(Defect::OneAtATime) && !self.has(Defect::CallsMix) {
            return Ok(false);
        }
        let others = self.in_flight.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        if others > 0 && self.has(Defect::OneAtATime) {
            return Err(Status::resource_exhausted("one call at a time"));
        }
        Ok(others > 0)
    }
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
            Some(Defect::PlainHelpUrl) => metadata.help_url = "http://twin.example".to_owned(),
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
        if !self.knows(&ask.resource_type_id) && !self.has(Defect::UnknownTypeInResources) {
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
        if reached.is_none() {
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
        if !self.knows(&kind) && !self.has(Defect::UnknownTypeInEntitlements) {
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
        if !self.knows(&ask.resource_type_id) && !self.has(Defect::UnknownTypeInTemplates) {
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
        if !self.knows(&kind) && !self.has(Defect::UnknownTypeInGrants) {
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
        if reached.is_none() {
            rows.clear();
        }
        rows.drain(..usize::from(mixed && !rows.is_empty()));
        let (list, next_page_token) = self.page(rows, ask.page_size, &ask.page_token, &ask.active_sync_id)?;
        Ok(Response::new(c1::GrantsServiceListGrantsResponse {
            list,
            next_page_token,
            annotations: Vec::new(),
        }))
    }
}
