//! Typed settings of each command, made from the resolved values.
//!
//! Invariant: what is here has been judged: groups are whole, numbers are in range, an unsafe combination does not exist. Neither
//! secrets nor client ids show in `Debug`.

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use serde::de::DeserializeOwned;

use super::changes::{ChangeSettings, OneShotMode};
use super::layers::Values;
use super::problem::{Problem, Source};
use super::risk_assess::RiskAssessSettings;
use super::switches;
use crate::coupa::Endpoint;
use crate::model::tenant::AccountClass;
use crate::sandbox::{Faults, Readings};
use crate::server::{ServerConfig, ServerOptions};
use crate::sync;
use crate::telemetry::LogConfig;

/// How the tenant is reached and read.
#[derive(Debug)]
pub struct TenantSettings {
    /// Which tenant.
    pub target: Target,
    /// Most requests per second, for the whole process.
    pub requests_per_second: NonZeroU32,
    /// Most requests at the same time, for the whole process.
    pub max_in_flight: NonZeroU32,
    /// Longest wait for one answer, where it was given: the ecosystem's default of 300 s is too long to be the client's own.
    pub http_timeout: Option<Duration>,
    /// Accounts to sync, in the order of [`AccountClass::ALL`], without doubles.
    pub account_classes: Vec<AccountClass>,
    /// Where state between runs is kept.
    pub state_dir: StateDir,
    /// Where temporary files go; the system's place if `None`.
    pub temp_dir: Option<PathBuf>,
    /// When a listing that became shorter stops the work.
    pub shrink: Shrink,
}

/// Where state between runs is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateDir {
    /// Where somebody wants it.
    Named(PathBuf),
    /// At the usual place of the user, which may not exist and may not be writable.
    PerUser(PathBuf),
    /// In a directory that goes with the process.
    Temporary,
    /// Neither a setting nor the environment tells a place.
    Nowhere,
}

/// Which tenant is read.
#[derive(Debug)]
pub enum Target {
    /// A tenant of Coupa.
    Coupa(CoupaTarget),
    /// The embedded pretend tenant.
    Sandbox(Box<SandboxDials>),
}

/// Where Coupa is and who we are there.
pub struct CoupaTarget {
    /// The instance.
    pub endpoint: Endpoint,
    /// OAuth client id.
    pub client_id: String,
    /// OAuth client secret.
    pub client_secret: SecretString,
}

impl fmt::Debug for CoupaTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoupaTarget")
            .field("host", &self.endpoint.host())
            .finish_non_exhaustive()
    }
}

/// What happens when a listing is shorter than at the last complete run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shrink {
    /// Stop beyond this share, in percent (0 to 100).
    StopBeyond(u8),
    /// Go on: an operator knows why.
    Accept,
}

/// Size, pace and manners of the embedded tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct SandboxDials {
    /// Number of users, at least 1.
    pub users: u64,
    /// Number of groups.
    pub groups: u64,
    /// Number of roles.
    pub roles: u64,
    /// Seed of all data.
    pub seed: u64,
    /// Delay of every answer in milliseconds.
    pub latency_ms: u64,
    /// Requests per second let through; `None` is no limit.
    pub rate: Option<NonZeroU32>,
    /// How unclear parts of the documents are read.
    pub readings: Readings,
    /// What goes wrong.
    pub faults: Faults,
}

/// Side-by-side listings of the sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// One after the other.
    Sequential,
    /// By the number of cores.
    Auto,
    /// This many.
    Exactly(NonZeroU32),
}

/// One-shot sync.
#[derive(Debug)]
pub struct SyncSettings {
    /// The tenant.
    pub tenant: TenantSettings,
    /// File to write.
    pub file: PathBuf,
    /// What it covers.
    pub choice: SyncChoice,
    /// What is said of the accounts behind the Risk Assess license.
    pub risk_assess: RiskAssessSettings,
}

/// What a sync covers, and how it goes about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncChoice {
    /// Everything, resources without who holds them, or a few resources.
    pub scope: sync::Scope,
    /// Resource types to sync; all if empty.
    pub resource_types: Vec<String>,
    /// Side-by-side listings.
    pub workers: Workers,
}

/// gRPC server.
#[derive(Debug)]
pub struct ServeSettings {
    /// The tenant.
    pub tenant: TenantSettings,
    /// Where and how to listen.
    pub server: ServerConfig,
    /// How changes are made; none are if `None`.
    pub changes: Option<ChangeSettings>,
    /// How the Risk Assess license is gone about.
    pub risk_assess: RiskAssessSettings,
}

/// Certificate chain and key, PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Chain, leaf first.
    pub cert: PathBuf,
    /// Key of the leaf.
    pub key: PathBuf,
}

/// Standing sandbox server.
#[derive(Debug)]
pub struct SandboxSettings {
    /// The pretend tenant.
    pub dials: SandboxDials,
    /// Address to bind.
    pub listen: SocketAddr,
    /// HTTPS with this certificate; HTTP if `None`.
    pub tls: Option<TlsFiles>,
}

/// Reads typed settings out of values, noting problems on the way.
pub(super) struct Reader<'a> {
    pub(super) values: &'a Values,
    pub(super) directory: &'a Path,
    pub(super) env: &'a dyn Fn(&str) -> Option<OsString>,
    pub(super) problems: &'a mut Vec<Problem>,
    pub(super) warnings: &'a mut Vec<String>,
}

impl Reader<'_> {
    pub(super) fn log(&self) -> LogConfig {
        LogConfig::new(
            self.values.text("log-level"),
            self.values.text("log-format"),
            self.values.list("log-path"),
        )
    }

    /// `None` only with a problem noted.
    pub(super) fn sync(&mut self) -> Option<SyncSettings> {
        self.no_dry_run();
        let tenant = self.tenant();
        let file = path(self.values.text("file"));
        if file.is_none() {
            let problem = "file: expected the path of the sync file to write";
            self.problems.push(Problem::Unusable(problem.to_owned()));
        }
        let risk_assess = self.risk_assess();
        Some(SyncSettings {
            tenant: tenant?,
            risk_assess: risk_assess?,
            file: file?,
            choice: self.sync_choice(),
        })
    }

    pub(super) fn sync_choice(&mut self) -> SyncChoice {
        SyncChoice {
            scope: self.sync_scope(),
            resource_types: self.values.list("sync-resource-types").to_vec(),
            workers: workers(self.values.int("workers"), self.values.switch("parallel-sync")),
        }
    }

    fn sync_scope(&mut self) -> sync::Scope {
        let resources_only = self.values.switch("skip-entitlements-and-grants");
        let skip_grants = self.values.switch("skip-grants");
        if self.values.list("sync-resources").is_empty() {
            if skip_grants {
                // The ecosystem's words. A full run without grants would say that everybody has lost everything.
                let problem = "skip-grants can only be set within a targeted sync";
                self.problems.push(Problem::Unusable(problem.to_owned()));
            }
            return if resources_only {
                sync::Scope::ResourcesOnly
            } else {
                sync::Scope::Full
            };
        }
        let depth = match (resources_only, skip_grants) {
            (true, _) => sync::Depth::Resource,
            (false, true) => sync::Depth::Entitlements,
            (false, false) => sync::Depth::Grants,
        };
        // Fails only where every value was noted as a problem.
        sync::Targets::new(self.targets(), depth).map_or(sync::Scope::Full, sync::Scope::Targeted)
    }

    /// Those that can be read; the others are noted by their place in the list.
    fn targets(&mut self) -> Vec<sync::Target> {
        let mut targets = Vec::new();
        for (at, text) in self.values.list("sync-resources").iter().enumerate() {
            match text.parse() {
                Ok(target) => targets.push(target),
                Err(error) => {
                    let problem = format!("sync-resources: value {}: {error}", at + 1);
                    self.problems.push(Problem::Unusable(problem));
                }
            }
        }
        targets
    }

    /// `None` only with a problem noted.
    pub(super) fn serve(&mut self) -> Option<ServeSettings> {
        let mut tenant = self.tenant();
        let changes = self.values.switch("provisioning").then(|| self.changes());
        if changes.is_some() {
            self.keep_journal(tenant.as_mut(), OneShotMode::Apply);
        }
        let risk_assess = self.risk_assess();
        // Half a pair was noted as such before.
        if self.values.given("tls-cert") != self.values.given("tls-key") {
            return None;
        }
        let options = ServerOptions {
            listen: self.listen(),
            tls_cert: path(self.values.text("tls-cert")),
            tls_key: path(self.values.text("tls-key")),
            tls_client_ca: path(self.values.text("tls-client-ca")),
            tls_allowed_clients: self.values.list("tls-allowed-client").to_vec(),
            tls_allow_any_client: self.values.switch("tls-allow-any-client"),
            health_listen: self.values.address("health-listen"),
        };
        match ServerConfig::new(options) {
            Ok(server) => Some(ServeSettings {
                tenant: tenant?,
                server,
                changes,
                risk_assess: risk_assess?,
            }),
            Err(problems) => {
                self.problems.extend(problems.into_iter().map(Problem::Unusable));
                None
            }
        }
    }

    pub(super) fn sandbox(&mut self) -> SandboxSettings {
        SandboxSettings {
            dials: self.dials(),
            listen: self.listen(),
            tls: self.tls_files(),
        }
    }

    pub(super) fn tenant(&mut self) -> Option<TenantSettings> {
        let values = self.values;
        // Both are read before either can end this: every problem is to be told.
        let temp_dir = self.temp_dir();
        let target = if values.switch("sandbox") {
            Target::Sandbox(Box::new(self.dials()))
        } else {
            Target::Coupa(self.coupa()?)
        };
        let listed = |class: &AccountClass| {
            values
                .list("account-classes")
                .iter()
                .any(|name| name == class.name())
        };
        Some(TenantSettings {
            target,
            requests_per_second: at_least_one(values.int("coupa-requests-per-second")),
            max_in_flight: at_least_one(values.int("coupa-max-in-flight")),
            http_timeout: values
                .given("http-timeout-seconds")
                .then(|| Duration::from_secs(natural(values.int("http-timeout-seconds")))),
            account_classes: AccountClass::ALL.into_iter().filter(listed).collect(),
            state_dir: self.state_dir(),
            temp_dir,
            shrink: if values.switch("accept-shrink") {
                Shrink::Accept
            } else {
                Shrink::StopBeyond(u8::try_from(values.int("max-shrink-percent")).unwrap_or(0))
            },
        })
    }

    pub(super) fn state_dir(&self) -> StateDir {
        match (path(self.values.text("state-dir")), default_state_dir(self.env)) {
            (Some(named), _) => StateDir::Named(named),
            (None, Some(usual)) => StateDir::PerUser(usual),
            (None, None) => StateDir::Nowhere,
        }
    }

    /// `None` with the problem noted, or where what is required is missing, which was noted before.
    pub(super) fn coupa(&mut self) -> Option<CoupaTarget> {
        let (domain, base_url) = (
            self.values.text("coupa-domain"),
            self.values.text("coupa-base-url"),
        );
        let (name, endpoint) = if !base_url.is_empty() {
            ("coupa-base-url", Endpoint::from_base_url(base_url))
        } else if !domain.is_empty() {
            ("coupa-domain", Endpoint::from_domain(domain))
        } else {
            return None;
        };
        match endpoint {
            Ok(endpoint) => Some(CoupaTarget {
                endpoint,
                client_id: self.values.text("coupa-client-id").to_owned(),
                client_secret: self.values.text("coupa-client-secret").into(),
            }),
            Err(error) => {
                self.problems.push(Problem::Unusable(format!("{name}: {error}")));
                None
            }
        }
    }

    fn dials(&mut self) -> SandboxDials {
        let readings = self.switches("sandbox-reading");
        let faults = self.switches("sandbox-fault");
        let number = |name| natural(self.values.int(name));
        SandboxDials {
            users: number("sandbox-users"),
            groups: number("sandbox-groups"),
            roles: number("sandbox-roles"),
            seed: number("sandbox-seed"),
            latency_ms: number("sandbox-latency-ms"),
            rate: u32::try_from(number("sandbox-rate"))
                .ok()
                .and_then(NonZeroU32::new),
            readings,
            faults,
        }
    }

    fn switches<T: DeserializeOwned + Default>(&mut self, name: &str) -> T {
        switches::parse(self.values.list(name)).unwrap_or_else(|error| {
            self.problems.push(Problem::Unusable(format!("{name}: {error}")));
            T::default()
        })
    }

    fn listen(&self) -> SocketAddr {
        self.values
            .address("listen")
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    fn tls_files(&self) -> Option<TlsFiles> {
        let cert = path(self.values.text("tls-cert"))?;
        let key = path(self.values.text("tls-key"))?;
        Some(TlsFiles { cert, key })
    }

    /// `c1z-temp-dir`, else the ecosystem's `BATON_TMPDIR`; it must exist.
    fn temp_dir(&mut self) -> Option<PathBuf> {
        const NAME: &str = "c1z-temp-dir";
        const VARIABLE: &str = "BATON_TMPDIR";
        let (directory, source_of_value) = match path(self.values.text(NAME)) {
            Some(directory) => (directory, Source::Flag),
            None => (
                path_of((self.env)(VARIABLE))?,
                Source::Environment(VARIABLE.to_owned()),
            ),
        };
        if !self.directory.join(&directory).is_dir() {
            let expected = "expected an existing directory".to_owned();
            self.problems.push(Problem::Invalid {
                name: NAME,
                source_of_value,
                expected,
            });
        }
        Some(directory)
    }
}

fn workers(number: i64, parallel: bool) -> Workers {
    match u32::try_from(number).map(NonZeroU32::new) {
        Ok(Some(number)) => Workers::Exactly(number),
        Ok(None) if parallel => Workers::Auto,
        Ok(None) => Workers::Sequential,
        Err(_) => Workers::Auto,
    }
}

fn natural(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn at_least_one(number: i64) -> NonZeroU32 {
    u32::try_from(number)
        .ok()
        .and_then(NonZeroU32::new)
        .unwrap_or(NonZeroU32::MIN)
}

pub(super) fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

fn path_of(text: Option<OsString>) -> Option<PathBuf> {
    text.filter(|text| !text.is_empty()).map(PathBuf::from)
}

/// A place that belongs to the user and not to the working directory.
fn default_state_dir(env: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let home = || path_of(env("HOME"));
    let base = if cfg!(windows) {
        path_of(env("LOCALAPPDATA"))
    } else if cfg!(target_os = "macos") {
        home().map(|home| home.join("Library/Application Support"))
    } else {
        // The base directory specification: a relative path there counts as not set.
        let named = path_of(env("XDG_STATE_HOME")).filter(|path| path.is_absolute());
        named.or_else(|| home().map(|home| home.join(".local/state")))
    };
    base.map(|base| base.join(super::args::PROGRAM))
}
