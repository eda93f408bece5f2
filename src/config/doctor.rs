//! Settings of the doctor: those of whatever it examines.

use super::risk_assess::RiskAssessSettings;
use super::settings::{Reader, TenantSettings};

/// What the doctor examines.
#[derive(Debug)]
pub struct DoctorSettings {
    /// The tenant.
    pub tenant: TenantSettings,
    /// How the Risk Assess license is gone about.
    pub risk_assess: RiskAssessSettings,
}

impl Reader<'_> {
    /// `None` only with a problem noted.
    pub(super) fn doctor(&mut self) -> Option<DoctorSettings> {
        let tenant = self.tenant();
        let risk_assess = self.risk_assess();
        Some(DoctorSettings {
            tenant: tenant?,
            risk_assess: risk_assess?,
        })
    }
}
