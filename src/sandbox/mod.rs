//! A pretend Coupa tenant over real HTTP: OAuth, REST and GraphQL with made-up people who are awkward on purpose.
//!
//! Invariant: it imports nothing of this crate. It is the outside world, written from Coupa's documents, and must not share a
//! mistake with the client that reads it. Where the documents are unclear, [`Readings`] switches between what they may mean;
//! [`Faults`] makes it misbehave; [`Truth`] tells what is really there.
//!
//! Beside it stands a pretend Risk Assess tenant ([`risk_assess`]) that follows its users, and a sink for mail ([`mail`]).
//!
//! A tool for development: credentials follow from the seed and `/_sandbox` asks for none, so whoever reaches the address can do
//! anything to it. There is nothing but made-up data to protect.
//!
//! ```text
//! server ─► gate (count, log, pace, edits, barrier, faults) ─► oauth | rest | write | graphql | control
//!    rest, graphql ─► query ─► store ─► tenant          render ◄─ schema (one table of attributes for all surfaces)
//!    write ─► intake (body to draft) ─► change (draft to truth, truth to what reads show) ─► tenant ─► risk_assess ─► mail
//! ```
//!
//! | Path | What |
//! |---|---|
//! | `POST /oauth2/token` | client credentials, in the form or as HTTP Basic |
//! | `GET /api/users`, `user_groups`, `user_group_memberships`, `roles`, each with `/{id}`; `/api/users/me` | REST |
//! | `POST /api/users`, `PUT` and `PATCH /api/users/{id}` | creates and changes users |
//! | `POST /api/user_group_memberships`, `DELETE` with `/{id}` | puts users into groups and out of them |
//! | `POST /api/graphql` | GraphQL: `users userGroups roles user userGroup role __type __schema` |
//! | `POST /QuickIntegration/Users` | the import into Risk Assess, with `username` and `password` as headers |
//! | `GET /_sandbox/truth`, `stats`, `gaps` | [`Truth`], [`Stats`] and [`Gaps`] as JSON |
//! | `GET`, `DELETE /_sandbox/log` | the last requests as [`LogEntry`]; forgets them |
//! | `PUT /_sandbox/readings`, `faults` | replaces [`Readings`] or [`Faults`]; what is left out takes its default |
//! | `POST /_sandbox/edit` | an [`Edit`] by someone else, at once |
//! | `GET`, `PUT /_sandbox/risk-assess` | [`risk_assess::Readings`] in force; replaces them |
//! | `GET /_sandbox/risk-assess/accounts`, `hand-made`, `problems`, `imports` | what is truly there, as JSON |
//! | `GET /_sandbox/risk-assess/grid.csv`, `grid.xlsx`, `error-report.csv` | what a person exports, or gets by mail |
//! | `POST /_sandbox/risk-assess/edit`, `user-import` | a [`risk_assess::Edit`] by hand; the User Import Template, uploaded |
//! | `POST /_sandbox/risk-assess/settle`, `resync` | lets everything arrive that waits; tells of every licensed user |
//! | `GET`, `PUT`, `DELETE /_sandbox/mail` | what the sink received; its [`mail::Trouble`]s; forgets the messages |
//! | `POST /_sandbox/pause`, `resume`, `GET /_sandbox/paused` | holds the request that a [`PausePoint`] means; [`Paused`] |

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

mod barrier;
mod change;
mod compile;
mod config;
mod control;
mod edits;
mod faults;
mod gaps;
mod gate;
mod graphql;
mod growth;
mod intake;
mod introspect;
mod log;
pub mod mail;
mod matching;
mod oauth;
mod person;
mod query;
mod readings;
mod render;
mod reply;
mod rest;
pub mod risk_assess;
mod schema;
mod seed;
mod server;
mod state;
mod stats;
mod store;
mod tenant;
mod tls;
mod truth;
mod values;
mod write;
mod xml;

use mail::{MailConfig, MailSink, Pem, RunningMail, Tls};

#[cfg(test)]
mod tests;

pub use barrier::{PausePoint, Paused};
pub use config::{DEFAULT_SCOPES, PAGE_CAP, SandboxConfig, TlsFiles};
pub use edits::{Change, Edit, ProfileEdit, ScriptedEdit, UnknownReference};
pub use faults::{Effect, FaultAction, Faults, ScriptedFault, Setup};
pub use gaps::{Gaps, UserGaps};
pub use log::LogEntry;
pub use matching::{Matching, When, WriteClass};
pub use person::{Address, Country, Phone};
pub use readings::{
    Clear, ClearedRoles, CountryForm, EmptyList, ErrorBody, GraphqlAccess, Heed, IdForm, Introspection,
    KeyForm, KeyIn, ListWrite, MembershipCreate, MembershipDelete, NewcomerLicenses, Ordering, PerList,
    PerSurface, Presence, Readings, RestAccess, RetryAfter, TopLevel, Touch, UpdatedAt, Visibility,
    WriteReply,
};
pub use stats::{RequestKind, Stats};
pub use truth::{Truth, TruthClass, TruthGroup, TruthGroupKind, TruthLicense, TruthRole, TruthUser};

/// Starts sandboxes.
#[derive(Debug, Clone, Copy)]
pub struct Sandbox;

impl Sandbox {
    /// Grows the tenant, binds `listen` (port 0 for any) and serves until the answer is shut down or dropped.
    ///
    /// Errors: the address cannot be bound, or certificate or key cannot be used.
    pub async fn start(
        config: SandboxConfig,
        listen: SocketAddr,
        tls: Option<TlsFiles>,
    ) -> io::Result<Running> {
        let pem = tls.as_ref().map(Pem::read).transpose()?;
        let acceptor = pem
            .as_ref()
            .map(|pem| pem.acceptor(&["h2", "http/1.1"]))
            .transpose()?;
        let listener = TcpListener::bind(listen).await?;
        let addr = listener.local_addr()?;
        // A million users take a moment; other tasks need not wait for it.
        let state = tokio::task::spawn_blocking(move || Arc::new(state::State::new(config))).await?;
        let sinks = Box::new(Sinks::start(listen.ip(), pem, &state).await?);
        let stop = CancellationToken::new();
        let task = tokio::spawn(server::serve(
            listener,
            acceptor,
            Arc::clone(&state),
            stop.clone(),
        ));
        let scheme = if tls.is_some() { "https" } else { "http" };
        Ok(Running {
            addr,
            scheme,
            state,
            sinks,
            task,
            stop: stop.drop_guard(),
        })
    }
}

/// The ways into the one mailbox.
struct Sinks {
    /// Plain, with `STARTTLS` where there is a certificate.
    open: RunningMail,
    /// Under TLS from the start.
    safe: Option<RunningMail>,
}

impl Sinks {
    async fn start(ip: IpAddr, pem: Option<Pem>, state: &state::State) -> io::Result<Self> {
        let mailbox = state.risk_assess(|there| Arc::clone(&there.mailbox));
        let sink = |tls| {
            let config = MailConfig {
                listen: SocketAddr::new(ip, 0),
                tls,
                ..MailConfig::default()
            };
            MailSink::into(config, Arc::clone(&mailbox))
        };
        let open = sink(pem.clone().map_or(Tls::None, Tls::StartTls)).await?;
        let safe = match pem {
            Some(pem) => Some(sink(Tls::Implicit(pem)).await?),
            None => None,
        };
        Ok(Self { open, safe })
    }
}

/// A running sandbox. Dropping it ends it.
pub struct Running {
    addr: SocketAddr,
    scheme: &'static str,
    state: Arc<state::State>,
    sinks: Box<Sinks>,
    task: JoinHandle<()>,
    stop: DropGuard,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("addr", &self.addr)
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

impl Running {
    /// The bound address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where a client on this machine finds it, such as `http://127.0.0.1:4711`, without a trailing slash.
    pub fn base_url(&self) -> String {
        format!("{}://{}", self.scheme, server::dialable(self.addr))
    }

    /// The OAuth client id.
    pub fn client_id(&self) -> &str {
        &self.state.oauth.client_id
    }

    /// The OAuth client secret.
    pub fn client_secret(&self) -> &str {
        self.state.oauth.client_secret.expose_secret()
    }

    /// The Risk Assess tenant beside it.
    pub fn risk_assess(&self) -> risk_assess::Handle {
        risk_assess::Handle::new(&self.state)
    }

    /// Where its import is, without `/QuickIntegration/Users`.
    pub fn risk_assess_url(&self) -> String {
        self.base_url()
    }

    /// The login that may import.
    pub fn risk_assess_username(&self) -> &'static str {
        risk_assess::INTEGRATION_LOGIN
    }

    /// Its password.
    pub fn risk_assess_password(&self) -> String {
        let password = self.state.risk_assess(|there| there.password().clone());
        password.expose_secret().to_owned()
    }

    /// The mail sink, with `STARTTLS` where the sandbox has a certificate. Mail that Risk Assess sends by itself is there, too.
    pub fn mail(&self) -> &RunningMail {
        &self.sinks.open
    }

    /// Where mail can be sent: `smtp://127.0.0.1:4712`.
    pub fn smtp_url(&self) -> String {
        self.sinks.open.url()
    }

    /// The same under TLS from the start, where the sandbox has a certificate: `smtps://127.0.0.1:4713`.
    pub fn smtps_url(&self) -> Option<String> {
        self.sinks.safe.as_ref().map(RunningMail::url)
    }

    /// What is really in the tenant.
    pub fn truth(&self) -> Truth {
        Truth::of(&self.state.store.read())
    }

    /// When a user was last changed, in seconds since 1970. Apart from the truth, which is equal again when a change is undone.
    pub fn updated_at(&self, user: u64) -> Option<i64> {
        let tenant = self.state.store.read();
        let row = tenant.locate(schema::Type::User, user)?;
        Some(tenant.true_profile(row).updated)
    }

    /// Requests so far.
    pub fn stats(&self) -> Stats {
        self.state.stats()
    }

    /// Replaces the faults; scripted ones count from now.
    pub fn set_faults(&self, faults: Faults) {
        self.state.set_faults(faults);
    }

    /// Replaces the readings, from the next request on.
    pub fn set_readings(&self, readings: Readings) {
        self.state.set_readings(readings);
    }

    /// Carries out a change by someone else, at once.
    ///
    /// Errors: it names what is not in the tenant; then nothing changes.
    pub fn edit(&self, edit: &Edit) -> Result<(), UnknownReference> {
        self.state.edit(edit)
    }

    /// The last 10 000 requests, oldest first; those for `/_sandbox` are not among them.
    pub fn log(&self) -> Vec<LogEntry> {
        self.state.log()
    }

    /// Empties the log; its numbers go on.
    pub fn clear_log(&self) {
        self.state.clear_log();
    }

    /// Who stood without any role, having had some.
    pub fn gaps(&self) -> Gaps {
        self.state.gaps()
    }

    /// Holds the request that `point` means, when it comes; lets go of any held so far.
    pub fn pause(&self, point: PausePoint) {
        self.state.barrier.arm(point);
    }

    /// Lets the held request go on, and waits for no other.
    pub fn resume(&self) {
        self.state.barrier.resume();
    }

    /// Whether a request is held.
    pub fn paused(&self) -> Paused {
        self.state.paused()
    }

    /// Waits until a request is held.
    pub async fn held(&self) {
        // The sender lives as long as the state.
        let _ = self.state.barrier.watch().wait_for(Option::is_some).await;
    }

    /// Waits until none is held: it went on, or its client went away.
    pub async fn released(&self) {
        let _ = self.state.barrier.watch().wait_for(Option::is_none).await;
    }

    /// Ends the sandbox: the port is free and every connection is closed, hanging ones too.
    pub async fn shutdown(self) {
        let Sinks { open, safe } = *self.sinks;
        open.shutdown().await;
        if let Some(safe) = safe {
            safe.shutdown().await;
        }
        drop(self.stop);
        // The task ends by itself and never panics with the listener in hand.
        let _ = self.task.await;
    }
}
