//! Settings of the daemon, and of the question whether it is healthy.

use std::net::SocketAddr;
use std::time::Duration;

use super::changes::{ChangeSettings, OneShotMode};
use super::risk_assess::RiskAssessSettings;
use super::settings::{Reader, SyncChoice, TenantSettings};
use crate::platform::PlatformConfig;

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

impl Reader<'_> {
    /// Whether a run without a sub-command is a daemon: it is as soon as a client id at the platform is set.
    pub(super) fn is_daemon(&self) -> bool {
        self.values.given("client-id")
    }

    /// `None` only with a problem noted.
    pub(super) fn daemon(&mut self) -> Option<DaemonSettings> {
        let mut tenant = self.tenant();
        let changes = self.values.switch("provisioning").then(|| self.changes());
        if changes.is_some() {
            self.keep_journal(tenant.as_mut(), OneShotMode::Apply);
        }
        let platform = PlatformConfig {
            client_id: self.values.text("client-id").to_owned(),
            client_secret: self.values.text("client-secret").into(),
        };
        let risk_assess = self.risk_assess();
        Some(DaemonSettings {
            tenant: tenant?,
            platform,
            sync: self.sync_choice(),
            changes,
            health: None,
            risk_assess: risk_assess?,
        })
    }

    /// `None` only with a problem noted.
    pub(super) fn health_check(&mut self) -> Option<HealthCheckSettings> {
        None
    }
}
