//! Settings of a process that a runner started: the same flags, variables and file as the runner's own.

use super::changes::{ChangeSettings, OneShotMode};
use super::risk_assess::RiskAssessSettings;
use super::settings::{Reader, TenantSettings};

/// Driven by a runner on this machine.
#[derive(Debug)]
pub struct ChildSettings {
    /// The tenant.
    pub tenant: TenantSettings,
    /// How changes are made; none are if `None`.
    pub changes: Option<ChangeSettings>,
    /// How the Risk Assess license is gone about.
    pub risk_assess: RiskAssessSettings,
}

impl Reader<'_> {
    /// `None` only with a problem noted.
    pub(super) fn child(&mut self) -> Option<ChildSettings> {
        let mut tenant = self.tenant();
        let changes = self.values.switch("provisioning").then(|| self.changes());
        if changes.is_some() {
            self.keep_journal(tenant.as_mut(), OneShotMode::Apply);
        }
        let risk_assess = self.risk_assess();
        Some(ChildSettings {
            tenant: tenant?,
            changes,
            risk_assess: risk_assess?,
        })
    }
}
