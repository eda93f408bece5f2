//! Settings of the doctor: those of whatever it examines.
//!
//! Invariant: neither client id nor secret of the platform shows in `Debug`.

use std::fmt;

use secrecy::SecretString;

use super::risk_assess::{Printed, RiskAssessSettings};
use super::settings::{Reader, TenantSettings};

/// The ecosystem's variable with another host of the platform than the client id names.
const API_HOST: &str = "BATON_C1_API_HOST";

/// Settings that nobody makes who does not care about the Risk Assess license.
const ABOUT_RISK_ASSESS: [&str; 8] = [
    "risk-assess-delivery",
    "risk-assess-user-sync",
    "risk-assess-license-removal",
    "risk-assess-readiness",
    "risk-assess-tenant",
    "risk-assess-url",
    "risk-assess-username",
    "risk-assess-admin-email",
];

/// What the doctor examines.
#[derive(Debug)]
pub struct DoctorSettings {
    /// The tenant.
    pub tenant: TenantSettings,
    /// How the Risk Assess license is gone about.
    pub risk_assess: RiskAssessSettings,
    /// Whether anything was said about that.
    pub risk_assess_is_configured: bool,
    /// Whether changes are to be made: rights to write are examined only then.
    pub changes: bool,
    /// Who we are at the platform; `None`: no daemon is configured.
    pub platform: Option<PlatformLogin>,
    /// How the report is printed.
    pub printed: Printed,
}

/// Who we are at the platform, as it was entered.
pub struct PlatformLogin {
    /// Client id.
    pub client_id: String,
    /// Client secret.
    pub client_secret: SecretString,
    /// Host, and perhaps port, in place of those in the client id.
    pub api_host: Option<String>,
}

impl fmt::Debug for PlatformLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlatformLogin").finish_non_exhaustive()
    }
}

impl Reader<'_> {
    /// `None` only with a problem noted.
    pub(super) fn doctor(&mut self) -> Option<DoctorSettings> {
        let tenant = self.tenant();
        let risk_assess = self.risk_assess();
        Some(DoctorSettings {
            tenant: tenant?,
            risk_assess: risk_assess?,
            risk_assess_is_configured: ABOUT_RISK_ASSESS.iter().any(|name| self.values.given(name)),
            changes: self.values.switch("provisioning"),
            platform: self.values.given("client-id").then(|| self.platform_login()),
            printed: self.printed(),
        })
    }

    fn platform_login(&self) -> PlatformLogin {
        let host = (self.env)(API_HOST).and_then(|host| host.into_string().ok());
        PlatformLogin {
            client_id: self.values.text("client-id").to_owned(),
            client_secret: self.values.text("client-secret").into(),
            api_host: host.filter(|host| !host.is_empty()),
        }
    }
}
