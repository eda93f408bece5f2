//! Typed settings of the part that follows the Risk Assess license, and of its commands.
//!
//! Invariant: a delivery that is ours has an address and credentials; no value of a secret shows in `Debug`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::civil::Date;
use secrecy::SecretString;

use super::changes::OneShotMode;
use super::problem::Problem;
use super::settings::{Reader, TenantSettings, path};
use crate::model::id::UserId;
use crate::risk_assess::{Delivery, Removal, RiskAssessConfig, Strictness, UserSync};

/// Everything about Risk Assess that is not one command's.
#[derive(Debug, Clone)]
pub struct RiskAssessSettings {
    /// What the operator decides and states.
    pub config: RiskAssessConfig,
    /// Name of the Risk Assess tenant, for reports.
    pub tenant: Option<String>,
    /// Where and as whom to deliver; `Some` exactly with delivery by Quick Integration.
    pub login: Option<RiskAssessLogin>,
    /// Who gets error reports, and how.
    pub reports: ReportSettings,
    /// How often changed users are looked at while serving; never if `None`.
    pub interval: Option<Duration>,
}

/// A login of Risk Assess.
#[derive(Clone)]
pub struct RiskAssessLogin {
    /// Address, without the path of the import; `None`: that of the embedded sandbox.
    pub url: Option<String>,
    /// User name.
    pub username: String,
    /// Password.
    pub password: SecretString,
}

impl fmt::Debug for RiskAssessLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RiskAssessLogin")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// What becomes of error reports.
#[derive(Clone)]
pub struct ReportSettings {
    /// Mail server with its credentials.
    pub smtp_url: Option<SecretString>,
    /// Sender.
    pub from: Option<String>,
    /// The Default Site Administrator.
    pub admin_email: Option<String>,
    /// Directory for what is not mailed; beside the state if `None`.
    pub dir: Option<PathBuf>,
}

impl fmt::Debug for ReportSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReportSettings")
            .field("mailed", &self.smtp_url.is_some())
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

/// A command about Risk Assess.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
pub enum RiskAssessCommand {
    /// Show the ledger.
    Status(StatusSettings),
    /// Judge the tenant.
    Readiness(ReadinessSettings),
    /// Follow accounts.
    Sync(FollowSettings),
    /// Sort a file of users.
    Import(ImportSettings),
    /// Compare with a grid.
    Reconcile(ReconcileSettings),
    /// Explain a report.
    Explain(ExplainSettings),
}

/// Whose ledger, where only what is kept here is looked at. Its `Debug` hides the client.
#[derive(Clone)]
pub struct LedgerPlace {
    /// State directory.
    pub dir: PathBuf,
    /// Key of the tenant: its host.
    pub tenant: String,
    /// OAuth client id, to which the state is bound.
    pub client_id: String,
}

impl fmt::Debug for LedgerPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LedgerPlace")
            .field("dir", &self.dir)
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Printed {
    /// A table for people.
    Table,
    /// JSON for programs.
    Json,
}

/// `risk-assess status`
#[derive(Debug)]
pub struct StatusSettings {
    /// Whose ledger.
    pub place: LedgerPlace,
    /// The only user to show.
    pub user: Option<UserId>,
    /// How.
    pub printed: Printed,
    /// What the operator states: it is part of what a record claims.
    pub config: RiskAssessConfig,
}

/// `risk-assess readiness`
#[derive(Debug)]
pub struct ReadinessSettings {
    /// The tenant.
    pub tenant: TenantSettings,
    /// What is refused.
    pub strictness: Strictness,
    /// Whether only holders of the license are judged.
    pub licensed_only: bool,
    /// How it is printed.
    pub printed: Printed,
    /// File to write besides.
    pub output: Option<PathBuf>,
}

/// `risk-assess sync`
#[derive(Debug)]
pub struct FollowSettings {
    /// The tenant.
    pub tenant: TenantSettings,
    /// The rest.
    pub risk_assess: RiskAssessSettings,
    /// Whether every licensed user is looked at.
    pub full: bool,
    /// The template to write, with delivery by file.
    pub output: Option<PathBuf>,
}

/// `risk-assess import`
#[derive(Debug)]
pub struct ImportSettings {
    /// File to sort.
    pub input: PathBuf,
    /// Grid that tells the known accounts; the ledger does if `None`.
    pub grid: Option<GridFile>,
    /// Workbook to write.
    pub output: Option<PathBuf>,
    /// Whose ledger; needed without a grid, and to deliver.
    pub place: Option<LedgerPlace>,
    /// Delivers what was sorted, and what waits besides.
    pub apply: Option<FollowSettings>,
    /// Name of the Risk Assess tenant and receiver of the error report.
    pub reports: (Option<String>, ReportSettings),
}

/// An export of the user grid.
#[derive(Debug, Clone)]
pub struct GridFile {
    /// The file.
    pub path: PathBuf,
    /// When it was exported; that of the file if `None`.
    pub date: Option<Date>,
}

/// `risk-assess reconcile`
#[derive(Debug)]
pub struct ReconcileSettings {
    /// The tenant.
    pub tenant: TenantSettings,
    /// The rest.
    pub risk_assess: RiskAssessSettings,
    /// The grid.
    pub grid: GridFile,
    /// How it is printed.
    pub printed: Printed,
    /// File to write besides.
    pub output: Option<PathBuf>,
}

/// `risk-assess explain`
#[derive(Debug)]
pub struct ExplainSettings {
    /// The report.
    pub input: PathBuf,
    /// How it is printed.
    pub printed: Printed,
}

impl Reader<'_> {
    /// `None` only with a problem noted.
    pub(super) fn risk_assess_status(&mut self) -> Option<RiskAssessCommand> {
        Some(RiskAssessCommand::Status(StatusSettings {
            place: self.ledger_place()?,
            user: u64::try_from(self.values.int("user")).ok().and_then(UserId::new),
            printed: self.printed(),
            config: self.risk_assess_config(),
        }))
    }

    /// `None` only with a problem noted.
    pub(super) fn risk_assess_readiness(&mut self) -> Option<RiskAssessCommand> {
        let output = self.table_file();
        Some(RiskAssessCommand::Readiness(ReadinessSettings {
            tenant: self.tenant()?,
            strictness: self.risk_assess_config().strictness,
            licensed_only: self.values.switch("licensed-only"),
            printed: self.printed(),
            output,
        }))
    }

    /// `None` only with a problem noted.
    pub(super) fn risk_assess_sync(&mut self) -> Option<RiskAssessCommand> {
        let risk_assess = self.risk_assess();
        let output = self.table_file();
        if let (Some(_), Some(settings)) = (&output, &risk_assess)
            && settings.config.delivery != Delivery::File
        {
            self.unusable_here("output: only with --risk-assess-delivery file there is a template to write");
        }
        let tenant = self.kept_tenant();
        Some(RiskAssessCommand::Sync(FollowSettings {
            tenant: tenant?,
            risk_assess: risk_assess?,
            full: self.values.switch("full"),
            output,
        }))
    }

    /// `None` only with a problem noted.
    pub(super) fn risk_assess_import(&mut self) -> Option<RiskAssessCommand> {
        let input = self.input();
        let grid = self.grid();
        let output = self.table_file();
        if output.as_ref().is_some_and(|path| !has_ending(path, "xlsx")) {
            self.unusable_here(
                "output: the three sections of an import need a workbook; name a file that ends in .xlsx",
            );
        }
        let wants_ledger = grid.is_none() || self.values.switch("apply");
        let place = if wants_ledger {
            Some(self.ledger_place()?)
        } else {
            None
        };
        let apply = if self.values.switch("apply") {
            Some(self.applied(output.clone())?)
        } else {
            None
        };
        Some(RiskAssessCommand::Import(ImportSettings {
            input: input?,
            grid,
            output,
            place,
            apply,
            reports: (self.filled("risk-assess-tenant"), self.reports()),
        }))
    }

    /// What delivers an import: the tenant as well, since a user who waits in the outbox is read when it is sent.
    fn applied(&mut self, output: Option<PathBuf>) -> Option<FollowSettings> {
        if !self.values.given("coupa-client-secret") && !self.values.switch("sandbox") {
            self.unusable_here("apply: needs coupa-client-secret, too");
        }
        let risk_assess = self.risk_assess();
        let tenant = self.kept_tenant();
        Some(FollowSettings {
            tenant: tenant?,
            risk_assess: risk_assess?,
            full: false,
            output,
        })
    }

    /// `None` only with a problem noted.
    pub(super) fn risk_assess_reconcile(&mut self) -> Option<RiskAssessCommand> {
        let grid = self.grid();
        if grid.is_none() {
            self.unusable_here("grid: expected the export of the user grid to compare with");
        }
        let output = self.table_file();
        let risk_assess = self.risk_assess();
        let tenant = self.kept_tenant();
        Some(RiskAssessCommand::Reconcile(ReconcileSettings {
            tenant: tenant?,
            risk_assess: risk_assess?,
            grid: grid?,
            printed: self.printed(),
            output,
        }))
    }

    /// `None` only with a problem noted.
    pub(super) fn risk_assess_explain(&mut self) -> Option<RiskAssessCommand> {
        Some(RiskAssessCommand::Explain(ExplainSettings {
            input: self.input()?,
            printed: self.printed(),
        }))
    }

    /// What the operator decides and states; `None` with a problem noted.
    pub(super) fn risk_assess(&mut self) -> Option<RiskAssessSettings> {
        let config = self.risk_assess_config();
        let login = match config.delivery {
            Delivery::QuickIntegration => Some(self.risk_assess_login()?),
            Delivery::Native | Delivery::File => None,
        };
        let minutes = u64::try_from(self.values.int("risk-assess-sync-minutes")).unwrap_or(0);
        Some(RiskAssessSettings {
            config,
            tenant: self.filled("risk-assess-tenant"),
            login,
            reports: self.reports(),
            interval: (minutes > 0).then(|| Duration::from_secs(60 * minutes)),
        })
    }

    fn risk_assess_config(&self) -> RiskAssessConfig {
        // The table lets no other words through; empty counts as not set.
        RiskAssessConfig {
            strictness: Strictness::from_name(self.values.text("risk-assess-readiness")).unwrap_or_default(),
            delivery: Delivery::from_name(self.values.text("risk-assess-delivery")).unwrap_or_default(),
            user_sync: UserSync::from_name(self.values.text("risk-assess-user-sync")).unwrap_or_default(),
            removal: Removal::from_name(self.values.text("risk-assess-license-removal")).unwrap_or_default(),
        }
    }

    fn risk_assess_login(&mut self) -> Option<RiskAssessLogin> {
        let url = self.filled("risk-assess-url").or_else(|| {
            let tenant = self.filled("risk-assess-tenant")?;
            Some(format!("https://{tenant}.hiperos.com"))
        });
        let (username, password) = (
            self.filled("risk-assess-username"),
            self.filled("risk-assess-password"),
        );
        if self.values.switch("sandbox") && url.is_none() && username.is_none() && password.is_none() {
            return Some(RiskAssessLogin {
                url: None,
                username: String::new(),
                password: String::new().into(),
            });
        }
        let needed = [
            ("risk-assess-url (or risk-assess-tenant)", url.is_some()),
            ("risk-assess-username", username.is_some()),
            ("risk-assess-password", password.is_some()),
        ];
        let missing: Vec<&str> = needed
            .iter()
            .filter(|(_, there)| !there)
            .map(|(name, _)| *name)
            .collect();
        if !missing.is_empty() {
            self.unusable_here(&format!(
                "risk-assess-delivery: quick-integration needs {}",
                missing.join(", ")
            ));
        }
        Some(RiskAssessLogin {
            url: Some(url?),
            username: username?,
            password: password?.into(),
        })
    }

    fn reports(&self) -> ReportSettings {
        ReportSettings {
            smtp_url: self.filled("smtp-url").map(SecretString::from),
            from: self.filled("smtp-from"),
            admin_email: self.filled("risk-assess-admin-email"),
            dir: path(self.values.text("risk-assess-report-dir")),
        }
    }

    /// A tenant with a place for the ledger.
    fn kept_tenant(&mut self) -> Option<TenantSettings> {
        let mut tenant = self.tenant();
        self.keep_journal(tenant.as_mut(), OneShotMode::Apply);
        tenant
    }

    fn ledger_place(&mut self) -> Option<LedgerPlace> {
        let dir = self.journal_place();
        let target = self.coupa()?;
        Some(LedgerPlace {
            dir: dir?,
            tenant: target.endpoint.host().to_owned(),
            client_id: target.client_id,
        })
    }

    fn input(&mut self) -> Option<PathBuf> {
        let input = path(self.values.text("input"));
        if input.is_none() {
            self.unusable_here(
                "expected a file to read: baton-coupa risk-assess import FILE, or explain FILE",
            );
        }
        input
    }

    fn grid(&mut self) -> Option<GridFile> {
        let text = self.values.text("grid-date");
        let date = if text.is_empty() {
            None
        } else {
            Some(text.parse::<Date>())
        };
        if matches!(date, Some(Err(_))) {
            self.unusable_here("grid-date: expected a day as YYYY-MM-DD");
        }
        Some(GridFile {
            path: path(self.values.text("grid"))?,
            date: date.and_then(Result::ok),
        })
    }

    fn table_file(&mut self) -> Option<PathBuf> {
        let output = path(self.values.text("output"))?;
        if !has_ending(&output, "csv") && !has_ending(&output, "xlsx") {
            self.unusable_here("output: expected a file that ends in .csv or .xlsx");
        }
        Some(output)
    }

    pub(super) fn printed(&self) -> Printed {
        match self.values.text("format") {
            "json" => Printed::Json,
            _ => Printed::Table,
        }
    }

    fn filled(&self, name: &str) -> Option<String> {
        let text = self.values.text(name);
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn unusable_here(&mut self, what: &str) {
        self.problems.push(Problem::Unusable(what.to_owned()));
    }
}

fn has_ending(path: &std::path::Path, ending: &str) -> bool {
    path.extension()
        .is_some_and(|found| found.eq_ignore_ascii_case(ending))
}
