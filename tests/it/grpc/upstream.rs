//! Tenants in every state: the sandbox, read by the Coupa client over HTTP, or the tenant in memory.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use baton_coupa::coupa::{Coupa, CoupaConfig, Endpoint, Timeouts};
use baton_coupa::model::tenant::Tenant;
use baton_coupa::sandbox::{
    Effect, FaultAction, Faults, GraphqlAccess, Matching, Readings, RestAccess, Running, Sandbox,
    SandboxConfig, ScriptedFault,
};

use super::host::any_port;
use super::ledger::Ledger;
use super::tenant::{Memory, Nature};

/// What state the tenant is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upstream {
    Healthy,
    /// Every field as long as Coupa allows, everybody holds everything.
    Bulky,
    /// A user can appear.
    Growing,
    /// No role exists.
    NoRoles,
    /// The client is not accepted.
    BadCredentials,
    /// The client lacks a scope.
    Forbidden,
    /// Every call answers 401, though the client got its token.
    Rejects,
    /// Every call answers 403, though the client got its token.
    Denies,
    /// The host does not answer.
    Unreachable,
    /// Every call answers 429.
    RateLimited,
    /// Every call answers 500.
    Broken,
    /// Every connection is reset.
    Resets,
    /// No call is answered.
    Hangs,
    /// The list of users answers 404.
    MissingCollection,
    /// Asking for the state of the tenant panics.
    Panics,
    /// Provisioning is on.
    Writable,
    /// Provisioning is on; every other write fails for a passing reason, that of an account after it took effect.
    Faltering,
}

/// How long the client waits for an answer.
const PATIENT: Duration = Duration::from_secs(30);
/// The same where no answer will come, except to the request for a token.
const HASTY: Duration = Duration::from_millis(400);

/// Where the tenant lives.
pub(crate) enum Place {
    Sandbox(Running),
    Memory(Arc<Memory>),
    /// It can be changed.
    Ledger(Arc<Ledger>),
    /// Nobody listens there.
    Nowhere,
}

/// A tenant in that state, and where it lives.
pub(crate) async fn tenant(upstream: Upstream) -> (Arc<dyn Tenant>, Place) {
    match upstream {
        Upstream::Bulky => memory(Nature::Bulky),
        Upstream::Growing => memory(Nature::Plain),
        Upstream::Panics => memory(Nature::Buggy),
        Upstream::Writable => {
            let ledger = Arc::new(Ledger::new());
            (Arc::clone(&ledger) as Arc<dyn Tenant>, Place::Ledger(ledger))
        }
        Upstream::Faltering => unreachable!("only twins are asked about that state"),
        Upstream::Unreachable => {
            // Bound and dropped: the port is free and nobody answers.
            let addr = tokio::net::TcpListener::bind(any_port())
                .await
                .and_then(|listener| listener.local_addr())
                .unwrap();
            let client = client(&format!("http://{addr}"), "id", "secret", PATIENT);
            (Arc::new(client), Place::Nowhere)
        }
        _ => {
            let sandbox = Sandbox::start(sandbox(upstream), any_port(), None).await.unwrap();
            let secret = match upstream {
                Upstream::BadCredentials => "wrong",
                _ => sandbox.client_secret(),
            };
            let request = match upstream {
                Upstream::Hangs => HASTY,
                _ => PATIENT,
            };
            let client = client(&sandbox.base_url(), sandbox.client_id(), secret, request);
            (Arc::new(client), Place::Sandbox(sandbox))
        }
    }
}

fn memory(nature: Nature) -> (Arc<dyn Tenant>, Place) {
    let memory = Arc::new(Memory::new(nature));
    (Arc::clone(&memory) as Arc<dyn Tenant>, Place::Memory(memory))
}

fn sandbox(upstream: Upstream) -> SandboxConfig {
    let mut config = SandboxConfig {
        users: 230,
        groups: 12,
        roles: 9,
        ..SandboxConfig::default()
    };
    match upstream {
        Upstream::NoRoles => config.roles = 0,
        Upstream::Forbidden => config.scopes.retain(|scope| scope != "core.user.read"),
        Upstream::RateLimited => {
            let retry_after = Some("1".to_owned());
            config.faults = always(FaultAction::RateLimited { retry_after });
        }
        Upstream::Broken => config.faults = status(500),
        Upstream::Rejects => config.faults = status(401),
        Upstream::Denies => config.faults = status(403),
        Upstream::Resets => config.faults = always(FaultAction::Reset),
        Upstream::Hangs => config.faults = always(FaultAction::Hang),
        Upstream::MissingCollection => {
            config.readings = Readings {
                rest_users: RestAccess::NotFound,
                graphql: GraphqlAccess::NotFound,
                ..Readings::default()
            };
        }
        _ => {}
    }
    config
}

/// Every request of the API, though not for tokens, ends like this.
fn always(action: FaultAction) -> Faults {
    let scripted = ScriptedFault {
        on: Matching {
            path_prefix: Some("/api".to_owned()),
            times: u64::MAX,
            ..Matching::default()
        },
        effect: Effect::None,
        action,
    };
    Faults {
        scripted: vec![scripted],
        ..Faults::default()
    }
}

pub(super) fn status(status: u16) -> Faults {
    always(FaultAction::Status { status, html: true })
}

/// A client that loses patience soon, so that a test of failures does not take minutes.
fn client(base_url: &str, id: &str, secret: &str, request: Duration) -> Coupa {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let endpoint = Endpoint::from_base_url(base_url).unwrap();
    let mut config = CoupaConfig::new(endpoint, id.to_owned(), secret.to_owned().into());
    config.burst = NonZeroU32::new(10_000).unwrap();
    config.timeouts = Timeouts {
        connect: Duration::from_secs(10),
        request,
        first_wait: Duration::from_millis(10),
        longest_wait: Duration::from_secs(1),
        patience: Duration::from_millis(200),
        fresh: Duration::from_secs(1),
        token_lag: Duration::from_secs(1),
    };
    Coupa::new(config).unwrap()
}
