//! Error reports: composed of mismatches, mailed to the administrator or written.

use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use secrecy::ExposeSecret as _;

use crate::config::{ReportSettings, RiskAssessSettings};
use crate::model::fault::Fault;
use crate::risk_assess::dispatch::{Dispatched, dispatch};
use crate::risk_assess::mail::{Mailer, SmtpUrl};
use crate::risk_assess::mismatch::Mismatch;
use crate::risk_assess::report::{ShownBy, compose};
use crate::state::State;

/// Name of the directory beside the state, for reports that are not mailed.
const FOLDER: &str = "risk-assess-reports";

/// Where reports of one tenant go.
pub(super) struct Reports {
    tenant: String,
    mailer: Option<Mailer>,
    dir: PathBuf,
}

impl Reports {
    /// By the settings; beside the state where no directory is named.
    pub(super) fn of(settings: &RiskAssessSettings, state: &State) -> Result<Self, Fault> {
        let reports = &settings.reports;
        Ok(Self {
            tenant: settings.tenant.clone().unwrap_or_default(),
            mailer: mailer(reports)?,
            dir: reports.dir.clone().unwrap_or_else(|| state.dir().join(FOLDER)),
        })
    }

    /// Sends a report of these mismatches, or none if there are none; says where it went.
    pub(super) async fn send(
        &self,
        mismatches: &[Mismatch],
        shown_by: ShownBy,
    ) -> Result<Option<String>, Fault> {
        let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
        let Some(report) = compose(mismatches, &self.tenant, today, shown_by)? else {
            return Ok(None);
        };
        let told = match dispatch(report, self.mailer.as_ref(), &self.dir).await? {
            Dispatched::Mailed => "error report: mailed to the Default Site Administrator".to_owned(),
            Dispatched::Written(path) => format!("error report: {}", path.display()),
            Dispatched::WrittenInstead { path, why } => {
                tracing::warn!(?why, "the error report could not be mailed");
                format!("error report: {} (not mailed: {why})", path.display())
            }
        };
        tracing::info!(
            mismatches = mismatches.len(),
            "an error report of Risk Assess was made"
        );
        Ok(Some(told))
    }
}

/// Mail goes out where both a server and a receiver are known.
fn mailer(settings: &ReportSettings) -> Result<Option<Mailer>, Fault> {
    let (Some(url), Some(to)) = (&settings.smtp_url, &settings.admin_email) else {
        return Ok(None);
    };
    let url: SmtpUrl = url
        .expose_secret()
        .parse()
        .map_err(|error| Fault::invalid(format!("smtp-url: {error}")))?;
    Mailer::new(&url, settings.from.as_deref(), to).map(Some)
}
