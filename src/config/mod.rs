//! Settings: flag over `BATON_*` variable over YAML file over default, judged as a whole, and everything wrong told at once.
//!
//! One table ([`SETTINGS`]) says all there is to know about a setting; the command line, the names of variables and keys, help
//! and the exported schema are made from it. Nothing here reads the process: arguments, environment and directory come in.

mod args;
mod changes;
mod child;
mod daemon;
mod doctor;
mod file;
mod inherited;
mod layers;
mod problem;
mod risk_assess;
mod setting;
mod settings;
mod switches;
mod table;
mod value;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::Path;

use clap_complete::Shell;

use self::args::{Flags, Parsed, Request};
use self::settings::Reader;
use crate::telemetry::LogConfig;

pub use self::args::{PROGRAM, SHELLS, Topic, VERSION_HELP, command};
pub use self::changes::{
    ChangeSettings, JournalForm, JournalSettings, OneShotMode, OneShotSettings, RecoverSettings, Recovery,
};
pub use self::child::ChildSettings;
pub use self::daemon::{DaemonSettings, HealthCheckSettings};
pub use self::doctor::{DoctorSettings, PlatformLogin};
pub use self::problem::{ConfigErrors, Place, Problem, Source};
pub use self::risk_assess::{
    ExplainSettings, FollowSettings, GridFile, ImportSettings, LedgerPlace, Printed, ReadinessSettings,
    ReconcileSettings, ReportSettings, RiskAssessCommand, RiskAssessLogin, RiskAssessSettings,
    StatusSettings,
};
pub use self::setting::{Disposition, Export, Scope, Setting, Verb, variable};
pub use self::settings::{
    CoupaTarget, SandboxDials, SandboxSettings, ServeSettings, Shrink, StateDir, SyncChoice, SyncSettings,
    Target, TenantSettings, TlsFiles, Workers,
};
pub use self::table::{RULES, Rule, SETTINGS};
pub use self::value::Kind;

/// What to do, and how.
#[derive(Debug)]
pub struct Invocation {
    /// What to do.
    pub command: Command,
    /// Where and how to log.
    pub log: LogConfig,
    /// What is odd and no reason to stop; no values in it.
    pub warnings: Vec<String>,
}

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// Read the tenant and write a file.
    Sync(SyncSettings),
    /// Make one change, or answer one question about changes.
    OneShot(OneShotSettings),
    /// Serve over gRPC.
    Serve(ServeSettings),
    /// Do what the platform asks for.
    Daemon(Box<DaemonSettings>),
    /// Serve the runner that started us.
    Child(ChildSettings),
    /// Ask a running daemon how it is.
    HealthCheck(HealthCheckSettings),
    /// Check what the configured features need.
    Doctor(Box<DoctorSettings>),
    /// Show the journal of changes.
    Journal(JournalSettings),
    /// Bring open entries of the journal to an end.
    Recover(RecoverSettings),
    /// Something about Risk Assess.
    RiskAssess(Box<RiskAssessCommand>),
    /// Run the pretend tenant.
    Sandbox(SandboxSettings),
    /// Print the capabilities; needs no setting.
    Capabilities,
    /// Print the configuration schema; needs no setting.
    Config,
    /// Print a completion script.
    Completion(Shell),
    /// Print help.
    Help(Topic),
    /// Print the version.
    Version,
}

/// Reads the command line (`args`, the program's name first), the variables that `env` knows, and the YAML file in `directory` or
/// at `BATON_CONFIG_PATH`.
///
/// Commands that only print something look at the command line alone.
pub fn load(
    args: impl Iterator<Item = OsString>,
    env: &impl Fn(&str) -> Option<OsString>,
    directory: &Path,
) -> Result<Invocation, ConfigErrors> {
    let Parsed {
        request,
        problems,
        warnings,
    } = args::parse(args);
    let mut found = ConfigErrors { problems, warnings };
    let printed = |command| (Some(command), LogConfig::default());
    let asked = request.map(|request| match request {
        Request::Run(verb, flags) => settle(verb, &flags, env, directory, &mut found),
        Request::Capabilities => printed(Command::Capabilities),
        Request::Config => printed(Command::Config),
        Request::Completion(shell) => printed(Command::Completion(shell)),
        Request::Help(topic) => printed(Command::Help(topic)),
        Request::Version => printed(Command::Version),
    });
    match asked {
        Some((Some(command), log)) if found.problems.is_empty() => Ok(Invocation {
            command,
            log,
            warnings: found.warnings,
        }),
        _ => Err(found),
    }
}

/// The settings of a command that runs something. What is wrong goes to `found`, and the settings are not to be used then.
fn settle(
    verb: Verb,
    flags: &Flags,
    env: &impl Fn(&str) -> Option<OsString>,
    directory: &Path,
    found: &mut ConfigErrors,
) -> (Option<Command>, LogConfig) {
    let ConfigErrors { problems, warnings } = found;
    let file = file::read(env(file::VARIABLE), directory)
        .map_err(|problem| problems.push(problem))
        .ok();
    let mut wrong = Vec::new();
    let values = layers::resolve(verb, flags, env, file.as_ref(), &mut wrong);
    // What a broken file would have said is unknown; only its own problem counts then.
    if let Some(file) = &file {
        warnings.extend(layers::unknown_keys(file));
        problems.extend(layers::missing(verb, &values));
    }
    if verb == Verb::Child {
        child::leave_to_runner(&mut wrong, warnings);
    }
    problems.append(&mut wrong);
    // A child's runner has judged what goes together.
    if verb != Verb::Child {
        problems.extend(layers::broken_rules(&values));
    }
    layers::dispose(verb, &values, problems, warnings);
    let mut reader = Reader {
        values: &values,
        directory,
        env,
        problems,
        warnings,
    };
    let log = reader.log();
    match verb {
        Verb::Sync if reader.is_daemon() => {}
        Verb::Sync | Verb::Serve => reader.no_daemon(),
        // Others may well share the file and the variables of a daemon.
        _ => {}
    }
    let risk_assess = |command| Command::RiskAssess(Box::new(command));
    let command = match verb {
        Verb::Sync if reader.is_daemon() => reader.daemon().map(|daemon| Command::Daemon(Box::new(daemon))),
        Verb::Sync => match reader.task() {
            Some(task) => reader.one_shot(task).map(Command::OneShot),
            None => reader.sync().map(Command::Sync),
        },
        Verb::Journal => reader.journal(JournalForm::Table).map(Command::Journal),
        Verb::JournalExport => reader.journal(JournalForm::JsonLines).map(Command::Journal),
        Verb::JournalRecover => reader.recover().map(Command::Recover),
        Verb::RiskAssessStatus => reader.risk_assess_status().map(risk_assess),
        Verb::RiskAssessReadiness => reader.risk_assess_readiness().map(risk_assess),
        Verb::RiskAssessSync => reader.risk_assess_sync().map(risk_assess),
        Verb::RiskAssessImport => reader.risk_assess_import().map(risk_assess),
        Verb::RiskAssessReconcile => reader.risk_assess_reconcile().map(risk_assess),
        Verb::RiskAssessExplain => reader.risk_assess_explain().map(risk_assess),
        Verb::Doctor => reader.doctor().map(|doctor| Command::Doctor(Box::new(doctor))),
        Verb::HealthCheck => reader.health_check().map(Command::HealthCheck),
        Verb::Child => reader.child().map(Command::Child),
        Verb::Serve => reader.serve().map(Command::Serve),
        Verb::Sandbox => Some(Command::Sandbox(reader.sandbox())),
    };
    (command, log)
}
