//! A small server with fixed rows that does everything right, or everything but one thing.
//!
//! It shares no code with the product except the generated messages.

mod defect;
mod others;
mod rows;
mod services;
mod spoil;
mod writes;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use baton_coupa::proto::connector as c1;
use baton_coupa::proto::connector::account_manager_service_server::AccountManagerServiceServer;
use baton_coupa::proto::connector::action_service_server::ActionServiceServer;
use baton_coupa::proto::connector::asset_service_server::AssetServiceServer;
use baton_coupa::proto::connector::connector_service_server::ConnectorServiceServer;
use baton_coupa::proto::connector::credential_manager_service_server::CredentialManagerServiceServer;
use baton_coupa::proto::connector::entitlements_service_server::EntitlementsServiceServer;
use baton_coupa::proto::connector::event_service_server::EventServiceServer;
use baton_coupa::proto::connector::grant_manager_service_server::GrantManagerServiceServer;
use baton_coupa::proto::connector::grants_service_server::GrantsServiceServer;
use baton_coupa::proto::connector::resource_deleter_service_server::ResourceDeleterServiceServer;
use baton_coupa::proto::connector::resource_getter_service_server::ResourceGetterServiceServer;
use baton_coupa::proto::connector::resource_manager_service_server::ResourceManagerServiceServer;
use baton_coupa::proto::connector::resource_types_service_server::ResourceTypesServiceServer;
use baton_coupa::proto::connector::resources_service_server::ResourcesServiceServer;
use baton_coupa::proto::connector::tickets_service_server::TicketsServiceServer;
use baton_coupa::proto::pack;
use baton_coupa::proto::ratelimit::rate_limiter_service_server::RateLimiterServiceServer;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Code, Status};

use super::Upstream;
use crate::grpc::client::Client;
use crate::grpc::harvest::key;
use crate::support::truth::Ids;

pub(super) use defect::Defect;

/// A running twin.
pub(super) struct Twin {
    pub(super) client: Client,
    state: Arc<State>,
    _stop: DropGuard,
}

/// What a complete sync of a good twin holds.
pub(super) fn truth() -> Ids {
    let good = State::new(None, Upstream::Healthy);
    let mut truth = Ids::default();
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
        let deleter = (!state.has(Defect::DeleteV2Missing))
            .then(|| ResourceDeleterServiceServer::from_arc(Arc::clone(&state)));
        let serving = tonic::transport::Server::builder()
            .add_optional_service(limiter)
            .add_service(ConnectorServiceServer::from_arc(Arc::clone(&state)))
            .add_service(types)
            .add_service(ResourcesServiceServer::from_arc(Arc::clone(&state)))
            .add_service(EntitlementsServiceServer::from_arc(Arc::clone(&state)))
            .add_service(GrantsServiceServer::from_arc(Arc::clone(&state)))
            .add_service(GrantManagerServiceServer::from_arc(Arc::clone(&state)))
            .add_service(ResourceManagerServiceServer::from_arc(Arc::clone(&state)))
            .add_optional_service(deleter)
            .add_service(AccountManagerServiceServer::from_arc(Arc::clone(&state)))
            .add_service(CredentialManagerServiceServer::from_arc(Arc::clone(&state)))
            .add_service(ActionServiceServer::from_arc(Arc::clone(&state)))
            .add_service(ResourceGetterServiceServer::from_arc(Arc::clone(&state)))
            .add_service(EventServiceServer::from_arc(Arc::clone(&state)))
            .add_service(TicketsServiceServer::from_arc(Arc::clone(&state)))
            .add_service(AssetServiceServer::from_arc(Arc::clone(&state)))
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

    pub(super) fn set_trouble(&self, troubled: bool) {
        self.state.troubled.store(troubled, Ordering::SeqCst);
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
    /// The tenant does not answer for now.
    troubled: AtomicBool,
    /// Calls that were answered by trouble.
    troubles: AtomicUsize,
    /// Cursors of events that came back.
    cursors: Mutex<BTreeSet<String>>,
    changed: Mutex<Changed>,
}

/// What was changed since the start.
#[derive(Default)]
struct Changed {
    /// Grants by id; `None` for one that was taken.
    grants: BTreeMap<String, Option<c1::Grant>>,
    /// Logins of accounts, in the order in which they were made.
    accounts: Vec<String>,
    /// How actions ended, by id.
    actions: BTreeMap<String, c1::InvokeActionResponse>,
    writes: usize,
}

/// What a call gets from the tenant.
#[derive(PartialEq, Eq)]
enum Reach {
    Rows,
    /// Nothing, and the defect is to say so with an empty page.
    Nothing,
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
            troubled: AtomicBool::new(false),
            troubles: AtomicUsize::new(0),
            cursors: Mutex::default(),
            changed: Mutex::default(),
        }
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    /// What the tenant's state makes of a call.
    fn reach(&self) -> Result<Reach, Status> {
        let failure = |good: Code, defect: Defect, bad: Code| {
            let code = if self.has(defect) { bad } else { good };
            Err(Status::new(code, "upstream"))
        };
        let poisoned = self.has(Defect::PanicPoisons) && self.panicked.load(Ordering::SeqCst);
        match self.upstream {
            Upstream::Panics if poisoned => Err(Status::internal("poisoned")),
            Upstream::Healthy
            | Upstream::Bulky
            | Upstream::Growing
            | Upstream::NoRoles
            | Upstream::Writable
            | Upstream::Faltering
            | Upstream::Panics => Ok(Reach::Rows),
            _ if self.has(Defect::FailureIsEmpty) => Ok(Reach::Nothing),
            Upstream::BadCredentials | Upstream::Forbidden | Upstream::Rejects | Upstream::Denies => {
                failure(Code::PermissionDenied, Defect::DeniedIsInternal, Code::Internal)
            }
            Upstream::Unreachable | Upstream::Broken | Upstream::Resets | Upstream::Hangs => {
                failure(Code::Unavailable, Defect::FailureIsUnknown, Code::Unknown)
            }
            Upstream::RateLimited => Err(self.rate_limited()),
            Upstream::MissingCollection if self.has(Defect::CollectionIsEmpty) => Ok(Reach::Nothing),
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

    /// Passing trouble of the tenant.
    fn passing(&self) -> Result<(), Status> {
        if !self.troubled.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.troubles.fetch_add(1, Ordering::SeqCst);
        Err(match self.defect {
            Some(Defect::TroubleIsInternal) => Status::internal("upstream"),
            _ => Status::unavailable("upstream"),
        })
    }

    /// One page of `rows`.
    fn page<T>(&self, rows: Vec<T>, size: u32, token: &str, sync: &str) -> Result<(Vec<T>, String), Status> {
        if self.has(Defect::TroubleIsEmpty) && self.passing().is_err() {
            return Ok((Vec::new(), String::new()));
        }
        self.passing()?;
        if self.has(Defect::TroubleLasts) && self.troubles.load(Ordering::SeqCst) > 2 {
            return Err(Status::failed_precondition("too much trouble"));
        }
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
