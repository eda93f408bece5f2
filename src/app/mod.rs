//! The composition root: the only place that knows every part. It wires them, watches for signals, and lets work drain.
//!
//! ```text
//! settings ─► tenant (Coupa, or the embedded sandbox) ─► connector ─┬► sync ─► file
//!                                                                    └► server
//! ```
//!
//! Invariant: nothing here decides about data; a fault of any part leaves through one `Result`.

mod baselines;
mod changes;
mod child;
mod composition;
mod daemon;
mod doctor;
mod journal;
mod oneshot;
mod risk_assess;
mod sandbox;
mod serve;
mod signals;
mod sync;
mod tenant;
mod turn;

use std::io::{self, Write};

use crate::cli::progress::Progress;
use crate::cli::{self};
use crate::config::Command;
use crate::model::fault::Fault;

/// Does what the command line asks for.
pub async fn run(command: Command, progress: &Progress) -> Result<(), Fault> {
    match command {
        Command::Sync(settings) => sync::run(settings, progress).await,
        Command::OneShot(settings) => oneshot::run(settings).await,
        Command::Journal(settings) => journal::run(&settings),
        Command::Recover(settings) => journal::recover(settings).await,
        Command::Serve(settings) => serve::run(settings).await,
        Command::Daemon(settings) => daemon::run(*settings).await,
        Command::Child(settings) => child::run(settings).await,
        Command::HealthCheck(settings) => daemon::health_check(settings).await,
        Command::Doctor(settings) => doctor::run(*settings).await,
        Command::RiskAssess(command) => risk_assess::run(*command, progress).await,
        Command::Sandbox(settings) => sandbox::serve(settings).await,
        Command::Capabilities => {
            let capabilities = crate::connector::capabilities();
            print(
                cli::capabilities::render(&capabilities)
                    .map_err(unprintable)?
                    .as_bytes(),
            )
        }
        Command::Config => print(cli::config_schema::render().map_err(unprintable)?.as_bytes()),
        Command::Completion(shell) => print(&cli::completion::script(shell)),
        Command::Help(topic) => print(cli::help::render(topic).as_bytes()),
        Command::Version => print(cli::version().as_bytes()),
    }
}

/// Writes what a command is for to stdout. A reader that went away (`| head`) is no failure.
fn print(text: &[u8]) -> Result<(), Fault> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Fault::internal("cannot write to stdout").because(error))
        }
        _ => Ok(()),
    }
}

fn unprintable(error: impl std::fmt::Display) -> Fault {
    Fault::internal("cannot print this").because(error)
}
