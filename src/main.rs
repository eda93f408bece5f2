//! Parse, install the TLS provider, dispatch, and turn the outcome into an exit code.

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use baton_coupa::cli::exit;
use baton_coupa::cli::progress::Progress;
use baton_coupa::config::{self, Invocation};
use baton_coupa::model::fault::Fault;
use baton_coupa::telemetry::{self, Format};
use baton_coupa::{app, config::Command};

fn main() -> ExitCode {
    // One provider for the whole process; a second call could only fail because it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let directory = env::current_dir().unwrap_or_default();
    let invocation = match config::load(env::args_os(), &|name| env::var_os(name), &directory) {
        Ok(invocation) => invocation,
        Err(errors) => {
            for warning in errors.warnings() {
                say(warning);
            }
            say(&errors);
            return ExitCode::from(exit::USAGE);
        }
    };
    let progress = if watched(&invocation) {
        Progress::on_stderr()
    } else {
        Progress::hidden()
    };
    if let Err(error) = telemetry::install(&invocation.log, &progress.bars()) {
        say(&error);
        return ExitCode::from(exit::USAGE);
    }
    match run(invocation, &progress) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            say(&fault);
            ExitCode::from(exit::code(&fault))
        }
    }
}

fn run(invocation: Invocation, progress: &Progress) -> Result<(), Fault> {
    for warning in &invocation.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Fault::internal("cannot start the runtime").because(error))?;
    let outcome = runtime.block_on(app::run(invocation.command, progress));
    progress.finish();
    // Whatever counts was waited for. What is left, a name that a resolver does not answer for instance, must not hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(200));
    if let Err(fault) = &outcome {
        tracing::error!(error = ?fault, "failed");
    }
    outcome
}

/// Progress is drawn where a person watches: a sync, a terminal, logs in the console form.
fn watched(invocation: &Invocation) -> bool {
    use std::io::IsTerminal as _;
    matches!(invocation.command, Command::Sync(_) | Command::RiskAssess(_))
        && std::io::stderr().is_terminal()
        && invocation.log.format() == Format::Console
}

/// The line that tells a person why the program ended. Where nobody reads stderr any more, the exit code still counts.
fn say(error: &impl std::fmt::Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{error}");
}
