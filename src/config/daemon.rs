//! Settings of the daemon, and of the question whether it is healthy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use super::changes::{ChangeSettings, OneShotMode};
use super::problem::{Problem, Source};
use super::risk_assess::RiskAssessSettings;
use super::settings::{Reader, SyncChoice, TenantSettings};
use super::value::{Kind, Value};
use crate::platform::{Asking, Credentials, FullSync, Host, HostId, PlatformConfig};

/// Driven by the platform.
#[derive(Debug)]
pub struct DaemonSettings {
    /// The tenant.
    pub tenant: TenantSettings,
    /// Who we are at the platform, and how tasks are gone about.
    pub platform: PlatformConfig,
    /// What a sync covers where the task does not say.
    pub sync: SyncChoice,
    /// How changes are made; none are if `None`.
    pub changes: Option<ChangeSettings>,
    /// Where HTTP health checks are answered, if anywhere.
    pub health: Option<SocketAddr>,
    /// How the Risk Assess license is gone about.
    pub risk_assess: RiskAssessSettings,
}

/// One question to a running daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheckSettings {
    /// Where it answers.
    pub address: SocketAddr,
    /// What is asked: `health`, `ready` or `live`.
    pub endpoint: String,
    /// How long an answer is waited for.
    pub timeout: Duration,
}

/// The platform's host, where it is not that of the client id.
const API_HOST: &str = "BATON_C1_API_HOST";

/// Name of this host at the platform.
const HOST_ID: &str = "BATON_HOST_ID";

/// Whether tasks are asked for several at a time.
const GET_TASKS: &str = "BATON_GET_TASKS";

/// Settings that only the daemon heeds, and what a run without it does.
const FOR_DAEMON: [(&str, &str); 5] = [
    (
        "skip-full-sync",
        "it concerns daemon mode only; a one-shot run syncs",
    ),
    (
        "task-concurrency",
        "it concerns daemon mode only, which client-id turns on",
    ),
    ("health-check", NO_HEALTH),
    ("health-check-port", NO_HEALTH),
    ("health-check-bind-address", NO_HEALTH),
];

const NO_HEALTH: &str =
    "the HTTP health server belongs to daemon mode; `serve --health-listen` answers gRPC health checks";

/// A problem was noted.
struct Noted;

impl Reader<'_> {
    /// Whether a run without a sub-command is a daemon: it is as soon as a client id at the platform is set.
    pub(super) fn is_daemon(&self) -> bool {
        self.values.given("client-id")
    }

    /// Tells of settings that a run without a daemon does not heed.
    pub(super) fn no_daemon(&mut self) {
        for (name, reason) in FOR_DAEMON {
            if self.values.given(name) {
                self.warnings.push(format!("{name} has no effect: {reason}"));
            }
        }
    }

    /// `None` only with a problem noted.
    pub(super) fn daemon(&mut self) -> Option<DaemonSettings> {
        let mut tenant = self.tenant();
        let changes = self.values.switch("provisioning").then(|| self.changes());
        if changes.is_some() {
            self.keep_journal(tenant.as_mut(), OneShotMode::Apply);
        }
        let platform = self.platform();
        let health = self.values.switch("health-check").then(|| self.health_address());
        let risk_assess = self.risk_assess();
        let health = match health {
            None => None,
            Some(address) => Some(address?),
        };
        Some(DaemonSettings {
            tenant: tenant?,
            platform: platform?,
            sync: self.sync_choice(),
            changes,
            health,
            risk_assess: risk_assess?,
        })
    }

    /// `None` only with a problem noted.
    fn platform(&mut self) -> Option<PlatformConfig> {
        let credentials = self.credentials();
        let parsed = |text: &str| text.parse::<Host>().map_err(|error| error.to_string());
        let api_host = self.variable(API_HOST, parsed);
        let parsed = |text: &str| text.parse::<HostId>().map_err(|error| error.to_string());
        let host_id = self.variable(HOST_ID, parsed);
        let several = self.variable(GET_TASKS, |text| Kind::Switch.parse(text));
        Some(PlatformConfig {
            credentials: credentials?,
            api_host: api_host.ok()?,
            host_id: host_id.ok()?,
            asking: match several.ok()? {
                Some(Value::Switch(true)) => Asking::Several,
                _ => Asking::One,
            },
            concurrency: usize::try_from(self.values.int("task-concurrency"))
                .ok()
                .and_then(NonZeroUsize::new)
                .unwrap_or(NonZeroUsize::MIN),
            full_sync: if self.values.switch("skip-full-sync") {
                FullSync::Refuse
            } else {
                FullSync::Run
            },
        })
    }

    /// `None` only with a problem noted.
    fn credentials(&mut self) -> Option<Credentials> {
        // Half a pair was noted as such before.
        if !self.values.given("client-secret") {
            return None;
        }
        match Credentials::parse(self.values.text("client-id"), self.values.text("client-secret")) {
            Ok(credentials) => Some(credentials),
            Err(errors) => {
                for error in errors {
                    self.unusable_for_daemon(&error.to_string());
                }
                None
            }
        }
    }

    /// What a variable says that is no setting; `None` if it is not set or empty.
    fn variable<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Noted> {
        let Some(text) = (self.env)(name).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let value = text
            .to_str()
            .ok_or_else(|| "expected UTF-8 text".to_owned())
            .and_then(parse);
        value.map(Some).map_err(|expected| {
            self.problems.push(Problem::Invalid {
                name,
                source_of_value: Source::Environment(name.to_owned()),
                expected,
            });
            Noted
        })
    }

    fn unusable_for_daemon(&mut self, what: &str) {
        self.problems.push(Problem::Unusable(what.to_owned()));
    }

    /// `None` only with a problem noted.
    fn health_address(&mut self) -> Option<SocketAddr> {
        let port = u16::try_from(self.values.int("health-check-port")).unwrap_or_default();
        let address = match self.values.text("health-check-bind-address") {
            "localhost" => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            text => text.parse(),
        };
        if address.is_err() {
            self.unusable_for_daemon(
                "health-check-bind-address: expected an IP address, for example 127.0.0.1, or 0.0.0.0 for all",
            );
        }
        Some(SocketAddr::new(address.ok()?, port))
    }

    /// `None` only with a problem noted.
    pub(super) fn health_check(&mut self) -> Option<HealthCheckSettings> {
        let mut address = self.health_address()?;
        // Bound to every address, it answers on that of the machine itself.
        match address.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            IpAddr::V4(_) | IpAddr::V6(_) => {}
        }
        Some(HealthCheckSettings {
            address,
            endpoint: match self.values.text("endpoint") {
                "" => "health",
                endpoint => endpoint,
            }
            .to_owned(),
            timeout: Duration::from_secs(u64::try_from(self.values.int("timeout")).unwrap_or(1)),
        })
    }
}
