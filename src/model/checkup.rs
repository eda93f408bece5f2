//! What the doctor examines, what it found, and what that comes to. Pure data and judgement.
//!
//! Invariants: ids never change their meaning; a report has each check exactly once, in one order. What could not be examined says which
//! failed check it waits for, so one lack is one failing finding and not a dozen. Nothing here is personal or secret: counts, names of
//! scopes and of licenses, paths and hosts of the settings.

use std::collections::BTreeMap;
use std::fmt;

use super::fault::{Fault, FaultKind};

/// What a check is about; the table for people is grouped by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    /// The way to Coupa.
    Host,
    /// Its certificate.
    Tls,
    /// Our clock.
    Clock,
    /// The OAuth client.
    Token,
    /// Scopes and objects for reading.
    Reading,
    /// Scopes for changes.
    Changes,
    /// How the tenant is read.
    Plan,
    /// License flags of the tenant.
    Licenses,
    /// Accounts that are synced.
    Accounts,
    /// Requests per second.
    Rate,
    /// What is kept between runs.
    State,
    /// Temporary files.
    Temporary,
    /// Delivery to Risk Assess, and its reports.
    RiskAssess,
    /// The governance platform.
    Platform,
}

impl Area {
    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Tls => "tls",
            Self::Clock => "clock",
            Self::Token => "token",
            Self::Reading => "reading",
            Self::Changes => "changes",
            Self::Plan => "plan",
            Self::Licenses => "licenses",
            Self::Accounts => "accounts",
            Self::Rate => "rate",
            Self::State => "state",
            Self::Temporary => "temporary",
            Self::RiskAssess => "risk-assess",
            Self::Platform => "platform",
        }
    }
}

/// What goes wrong where a check fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stake {
    /// A sync: it stops, or what it writes is not complete.
    Sync,
    /// Another feature that was configured; a sync is complete all the same.
    Feature,
}

/// What is known of a check before it is made.
struct Facts {
    id: &'static str,
    area: Area,
    stake: Stake,
    title: &'static str,
}

const fn facts(id: &'static str, area: Area, stake: Stake, title: &'static str) -> Facts {
    Facts {
        id,
        area,
        stake,
        title,
    }
}

/// One check. The order is that of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each has its title beside its id")]
pub enum Check {
    HostResolves,
    HostConnects,
    HostAnswers,
    TlsHandshake,
    TlsValidity,
    TlsAuthority,
    TlsName,
    Clock,
    TokenClient,
    TokenAccepted,
    ScopeUserRead,
    ScopeUserGroupRead,
    ScopeCommonRead,
    ObjectUsers,
    ObjectUserGroups,
    ObjectRoles,
    ScopeUserWrite,
    ScopeUserGroupWrite,
    Graphql,
    ReadPlan,
    LicenseCatalog,
    LicenseRiskAssess,
    AccountClasses,
    RateSetting,
    RateAnswered,
    StateDirectory,
    StateDatabase,
    StateLock,
    StateSpace,
    JournalOpen,
    TempDirectory,
    TempSpace,
    RiskAssessSettings,
    RiskAssessLogin,
    MailServer,
    PlatformCredentials,
    PlatformHost,
}

impl Check {
    /// Every check, in the order of reports.
    pub const ALL: [Self; 37] = [
        Self::HostResolves,
        Self::HostConnects,
        Self::HostAnswers,
        Self::TlsHandshake,
        Self::TlsValidity,
        Self::TlsAuthority,
        Self::TlsName,
        Self::Clock,
        Self::TokenClient,
        Self::TokenAccepted,
        Self::ScopeUserRead,
        Self::ScopeUserGroupRead,
        Self::ScopeCommonRead,
        Self::ObjectUsers,
        Self::ObjectUserGroups,
        Self::ObjectRoles,
        Self::ScopeUserWrite,
        Self::ScopeUserGroupWrite,
        Self::Graphql,
        Self::ReadPlan,
        Self::LicenseCatalog,
        Self::LicenseRiskAssess,
        Self::AccountClasses,
        Self::RateSetting,
        Self::RateAnswered,
        Self::StateDirectory,
        Self::StateDatabase,
        Self::StateLock,
        Self::StateSpace,
        Self::JournalOpen,
        Self::TempDirectory,
        Self::TempSpace,
        Self::RiskAssessSettings,
        Self::RiskAssessLogin,
        Self::MailServer,
        Self::PlatformCredentials,
        Self::PlatformHost,
    ];

    #[rustfmt::skip]
    const fn facts(self) -> Facts {
        use Area::{Accounts, Changes, Host, Licenses, Plan, Platform, Rate, Reading, RiskAssess, State, Temporary, Tls, Token};
        use Stake::{Feature, Sync};
        match self {
            Self::HostResolves => facts("host-resolves", Host, Sync, "the name of the Coupa host is known"),
            Self::HostConnects => facts("host-connects", Host, Sync, "the Coupa host takes connections"),
            Self::HostAnswers => facts("host-answers", Host, Sync, "the host answers as Coupa does"),
            Self::TlsHandshake => facts("tls-handshake", Tls, Sync, "both sides agree on a protocol"),
            Self::TlsValidity => facts("tls-validity", Tls, Sync, "the certificate is valid today"),
            Self::TlsAuthority => facts("tls-authority", Tls, Sync, "the certificate comes from an authority trusted here"),
            Self::TlsName => facts("tls-name", Tls, Sync, "the certificate names the host"),
            Self::Clock => facts("clock", Area::Clock, Sync, "this machine's clock agrees with Coupa's"),
            Self::TokenClient => facts("token-client", Token, Sync, "Coupa accepts client id and secret"),
            Self::TokenAccepted => facts("token-accepted", Token, Sync, "Coupa accepts the tokens it issues"),
            Self::ScopeUserRead => facts("scope-user-read", Reading, Sync, "the client has the scope core.user.read"),
            Self::ScopeUserGroupRead => facts("scope-user-group-read", Reading, Sync, "the client has the scope core.user_group.read"),
            Self::ScopeCommonRead => facts("scope-common-read", Reading, Sync, "the client has the scope core.common.read"),
            Self::ObjectUsers => facts("object-users", Reading, Sync, "a user can be read"),
            Self::ObjectUserGroups => facts("object-user-groups", Reading, Sync, "a user group can be read"),
            Self::ObjectRoles => facts("object-roles", Reading, Sync, "a role can be read"),
            Self::ScopeUserWrite => facts("scope-user-write", Changes, Feature, "the client has the scope core.user.write"),
            Self::ScopeUserGroupWrite => facts("scope-user-group-write", Changes, Feature, "the client has the scope core.user_group.write"),
            Self::Graphql => facts("graphql", Plan, Sync, "users can be read a second way, over GraphQL"),
            Self::ReadPlan => facts("read-plan", Plan, Sync, "there is a way to read every user"),
            Self::LicenseCatalog => facts("license-catalog", Licenses, Sync, "the tenant shows license flags"),
            Self::LicenseRiskAssess => facts("license-risk-assess", Licenses, Feature, "risk-assess-user is among them"),
            Self::AccountClasses => facts("account-classes", Accounts, Sync, "the chosen account classes have accounts"),
            Self::RateSetting => facts("rate-setting", Rate, Sync, "the configured rate leaves room to others"),
            Self::RateAnswered => facts("rate-answered", Rate, Sync, "Coupa keeps up: no lasting 429"),
            Self::StateDirectory => facts("state-directory", State, Sync, "the state directory can be used"),
            Self::StateDatabase => facts("state-database", State, Sync, "the state is of this version, tenant and client"),
            Self::StateLock => facts("state-lock", State, Feature, "no other process makes changes to the tenant"),
            Self::StateSpace => facts("state-space", State, Sync, "there is room for the state"),
            Self::JournalOpen => facts("journal-open", State, Sync, "no change waits for its end"),
            Self::TempDirectory => facts("temp-directory", Temporary, Sync, "temporary files can be made"),
            Self::TempSpace => facts("temp-space", Temporary, Sync, "there is room for temporary files"),
            Self::RiskAssessSettings => facts("risk-assess-settings", RiskAssess, Feature, "the settings about Risk Assess fit together"),
            Self::RiskAssessLogin => facts("risk-assess-login", RiskAssess, Feature, "Risk Assess accepts the login that delivers"),
            Self::MailServer => facts("mail-server", RiskAssess, Feature, "the mail server for error reports takes connections"),
            Self::PlatformCredentials => facts("platform-credentials", Platform, Feature, "client id and secret of the platform have their form"),
            Self::PlatformHost => facts("platform-host", Platform, Feature, "the platform's host takes connections"),
        }
    }

    /// Stable name, for scripts and the documentation.
    pub const fn id(self) -> &'static str {
        self.facts().id
    }

    /// What it is about.
    pub const fn area(self) -> Area {
        self.facts().area
    }

    /// What goes wrong where it fails.
    pub const fn stake(self) -> Stake {
        self.facts().stake
    }

    /// What is so where all is well, in one line.
    pub const fn title(self) -> &'static str {
        self.facts().title
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// What a check came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As it must be.
    Fine,
    /// It works, and somebody should look at it.
    Warning,
    /// It does not work.
    Failing(FaultKind),
    /// Nothing that is configured needs it.
    NotNeeded,
    /// It could not be examined.
    Unknown {
        /// The failed check that must be mended first.
        waits_for: Check,
    },
}

impl Verdict {
    /// The word in reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Warning => "warning",
            Self::Failing(_) => "failing",
            Self::NotNeeded => "not-needed",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// Of two verdicts on one check the graver one counts.
    const fn gravity(&self) -> u8 {
        match self {
            Self::NotNeeded => 0,
            Self::Fine => 1,
            Self::Warning => 2,
            Self::Unknown { .. } => 3,
            Self::Failing(_) => 4,
        }
    }
}

/// What was found about one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// What it came to.
    pub verdict: Verdict,
    /// What was seen, in one sentence.
    pub saw: String,
    /// More of it, one thing a line.
    pub details: Vec<String>,
    /// What to do.
    pub advice: Option<String>,
}

impl Finding {
    fn new(check: Check, verdict: Verdict, saw: impl Into<String>) -> Self {
        Self {
            check,
            verdict,
            saw: saw.into(),
            details: Vec::new(),
            advice: None,
        }
    }

    /// As it must be.
    pub fn fine(check: Check, saw: impl Into<String>) -> Self {
        Self::new(check, Verdict::Fine, saw)
    }

    /// It works, and somebody should do `advice`.
    pub fn warning(check: Check, saw: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            advice: Some(advice.into()),
            ..Self::new(check, Verdict::Warning, saw)
        }
    }

    /// It does not work, as the fault tells.
    pub fn failing(check: Check, fault: &Fault) -> Self {
        Self {
            details: fault.detail().map(str::to_owned).into_iter().collect(),
            advice: fault.advice().map(str::to_owned),
            ..Self::new(check, Verdict::Failing(fault.kind().clone()), fault.message())
        }
    }

    /// Nothing needs it.
    pub fn not_needed(check: Check, why: impl Into<String>) -> Self {
        Self::new(check, Verdict::NotNeeded, why)
    }

    /// It could not be examined before `waits_for` is mended.
    pub fn unknown(check: Check, waits_for: Check) -> Self {
        Self::new(
            check,
            Verdict::Unknown { waits_for },
            format!("not examined: waits for {waits_for}"),
        )
    }

    /// Adds more of what was seen.
    #[must_use]
    pub fn with(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(details);
        self
    }
}

/// Findings as they are made.
#[derive(Debug, Default)]
pub struct Chart(BTreeMap<Check, Finding>);

impl Chart {
    /// Adds a finding; of two about one check the graver one stays, of equals the first.
    pub fn note(&mut self, finding: Finding) {
        let graver = self
            .0
            .get(&finding.check)
            .is_none_or(|known| finding.verdict.gravity() > known.verdict.gravity());
        if graver {
            self.0.insert(finding.check, finding);
        }
    }

    /// Notes that those of `checks` that were not examined yet cannot be.
    pub fn wait(&mut self, checks: &[Check], waits_for: Check) {
        for check in checks {
            self.0
                .entry(*check)
                .or_insert_with(|| Finding::unknown(*check, waits_for));
        }
    }

    /// The failed check behind the first of `needed` that is not as it must be; `None` if all are.
    pub fn obstacle(&self, needed: &[Check]) -> Option<Check> {
        needed.iter().find_map(|check| match self.0.get(check)?.verdict {
            Verdict::Failing(_) => Some(*check),
            Verdict::Unknown { waits_for } => Some(waits_for),
            Verdict::Fine | Verdict::Warning | Verdict::NotNeeded => None,
        })
    }

    /// The report. A check that nobody made is a mistake of ours and is told as one.
    pub fn finish(mut self) -> Report {
        let forgotten =
            Fault::internal("this was not examined").advise("report it to the makers of this program");
        let findings = Check::ALL.map(|check| {
            let found = self.0.remove(&check);
            found.unwrap_or_else(|| Finding::failing(check, &forgotten))
        });
        Report {
            findings: findings.into(),
        }
    }
}

/// Everything that was found.
#[derive(Debug, Clone)]
pub struct Report {
    findings: Vec<Finding>,
}

impl Report {
    /// Each check once, in the order of [`Check::ALL`].
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The findings that fail.
    pub fn failing(&self) -> impl Iterator<Item = (&Finding, &FaultKind)> {
        self.findings.iter().filter_map(|finding| match &finding.verdict {
            Verdict::Failing(kind) => Some((finding, kind)),
            Verdict::Fine | Verdict::Warning | Verdict::NotNeeded | Verdict::Unknown { .. } => None,
        })
    }

    /// Whether a sync, started now, would come to its end with everything that the settings ask for.
    pub fn would_sync_completely(&self) -> bool {
        let stops = |finding: &Finding| {
            finding.check.stake() == Stake::Sync
                && matches!(finding.verdict, Verdict::Failing(_) | Verdict::Unknown { .. })
        };
        !self.findings.iter().any(stops)
    }

    /// Ok where nothing fails; else a fault that names every failing check, of the kind that tells a script the most: credentials before
    /// scopes before whatever cannot be reached, else the first.
    pub fn outcome(&self) -> Result<(), Fault> {
        let Some((_, kind)) = self.failing().min_by_key(|(_, kind)| rank(kind)) else {
            return Ok(());
        };
        let names: Vec<&str> = self.failing().map(|(finding, _)| finding.check.id()).collect();
        Err(Fault::new(
            kind.clone(),
            format!("the doctor found what fails: {}", names.join(", ")),
        )
        .advise("docs/doctor.md tells what each means"))
    }
}

/// How little a kind tells.
const fn rank(kind: &FaultKind) -> u8 {
    match kind {
        FaultKind::Unauthenticated => 0,
        FaultKind::MissingScope { .. } => 1,
        FaultKind::Unavailable | FaultKind::RateLimited { .. } => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::BTreeSet;

    use super::*;

    fn all_fine() -> Chart {
        let mut chart = Chart::default();
        for check in Check::ALL {
            chart.note(Finding::fine(check, "as it must be"));
        }
        chart
    }

    fn failing(check: Check, kind: FaultKind) -> Finding {
        Finding::failing(
            check,
            &Fault::new(kind, "broken").because("os error 1").advise("mend it"),
        )
    }

    #[test]
    fn ids_are_distinct_and_checks_of_an_area_stand_together() {
        let ids: BTreeSet<&str> = Check::ALL.iter().map(|check| check.id()).collect();
        assert_eq!(ids.len(), Check::ALL.len());
        assert!(
            Check::ALL.is_sorted(),
            "the order of the list is that of the checks"
        );
        assert!(Check::ALL.is_sorted_by_key(|check| check.area()));
        for id in ids {
            let kebab = |sign: char| sign.is_ascii_lowercase() || sign == '-';
            assert!(id.chars().all(kebab), "{id}");
        }
    }

    #[test]
    fn warnings_and_what_is_not_needed_let_a_sync_pass() {
        let mut chart = Chart::default();
        for (number, check) in Check::ALL.into_iter().enumerate() {
            chart.note(match number % 3 {
                0 => Finding::fine(check, ""),
                1 => Finding::warning(check, "", "look"),
                _ => Finding::not_needed(check, ""),
            });
        }
        let report = chart.finish();
        assert!(report.would_sync_completely());
        report.outcome().unwrap();
    }

    #[test]
    fn a_feature_that_fails_does_not_make_the_sync_incomplete_but_is_no_success() {
        let mut chart = all_fine();
        chart.note(failing(Check::MailServer, FaultKind::Unavailable));
        let report = chart.finish();
        assert!(report.would_sync_completely());
        assert_eq!(*report.outcome().unwrap_err().kind(), FaultKind::Unavailable);
    }

    #[test]
    fn what_was_not_examined_proves_no_sync() {
        let mut chart = Chart::default();
        chart.wait(&[Check::ReadPlan], Check::MailServer);
        for check in Check::ALL.into_iter().filter(|check| *check != Check::ReadPlan) {
            chart.note(Finding::fine(check, ""));
        }
        assert!(!chart.finish().would_sync_completely());
    }

    #[test]
    fn the_most_telling_failure_gives_the_kind_and_all_are_named() {
        let mut chart = all_fine();
        let scope = FaultKind::MissingScope {
            scope: "core.common.read".into(),
        };
        chart.note(failing(Check::HostAnswers, FaultKind::Unavailable));
        chart.note(failing(Check::ScopeCommonRead, scope.clone()));
        chart.note(failing(Check::StateDirectory, FaultKind::Internal));
        let fault = chart.finish().outcome().unwrap_err();
        assert_eq!(*fault.kind(), scope);
        for id in ["host-answers", "scope-common-read", "state-directory"] {
            assert!(fault.message().contains(id), "{fault}");
        }
    }

    #[test]
    fn obstacles_are_told_by_their_root() {
        let mut chart = Chart::default();
        chart.note(failing(Check::HostResolves, FaultKind::Unavailable));
        chart.wait(&[Check::TokenClient], Check::HostResolves);
        chart.note(Finding::warning(Check::Clock, "", ""));
        assert_eq!(
            chart.obstacle(&[Check::Clock, Check::TokenClient]),
            Some(Check::HostResolves)
        );
        assert_eq!(chart.obstacle(&[Check::Clock]), None);
        chart.note(Finding::fine(Check::TokenClient, ""));
        assert_eq!(
            chart.obstacle(&[Check::TokenClient]),
            Some(Check::HostResolves),
            "a graver verdict stays"
        );
    }

    #[test]
    fn a_check_that_nobody_made_is_seen() {
        let report = Chart::default().finish();
        assert_eq!(report.failing().count(), Check::ALL.len());
        assert_eq!(*report.outcome().unwrap_err().kind(), FaultKind::Internal);
    }
}
