//! The pretend tenant, embedded in a command or standing by itself.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};

use super::signals;
use crate::config::{SandboxDials, SandboxSettings};
use crate::model::fault::Fault;
use crate::sandbox::{Running, Sandbox, SandboxConfig, TlsFiles};

/// Runs the standing server until a signal comes. Where it is and how to get in stands on stdout, ready for a shell.
pub(super) async fn serve(settings: SandboxSettings) -> Result<(), Fault> {
    let stop = signals::cancelled_by_signal()?;
    let tls = settings.tls.map(|files| TlsFiles {
        cert: files.cert,
        key: files.key,
    });
    let running = start(&settings.dials, settings.listen, tls).await?;
    announce(&running).map_err(|error| Fault::internal("cannot write to stdout").because(error))?;
    stop.cancelled().await;
    running.shutdown().await;
    Ok(())
}

/// Starts the tenant on a free loopback port.
pub(super) async fn embed(dials: &SandboxDials) -> Result<Running, Fault> {
    start(dials, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), None).await
}

/// Key for state: tenants of different make are different tenants.
pub(super) fn key(dials: &SandboxDials) -> String {
    format!(
        "sandbox-{}u-{}g-{}r-seed{}",
        dials.users, dials.groups, dials.roles, dials.seed
    )
}

async fn start(dials: &SandboxDials, listen: SocketAddr, tls: Option<TlsFiles>) -> Result<Running, Fault> {
    let config = config(dials)?;
    Sandbox::start(config, listen, tls).await.map_err(|error| {
        Fault::invalid(format!("cannot start the sandbox on {listen}: {error}")).advise(
            "choose a free port of an address of this machine, and certificate and key that can be read",
        )
    })
}

fn config(dials: &SandboxDials) -> Result<SandboxConfig, Fault> {
    let size =
        |number: u64| usize::try_from(number).map_err(|_| Fault::invalid("the sandbox cannot be that large"));
    Ok(SandboxConfig {
        users: size(dials.users)?,
        groups: size(dials.groups)?,
        roles: size(dials.roles)?,
        seed: dials.seed,
        latency_ms: dials.latency_ms,
        rate: dials.rate.map(|rate| f64::from(rate.get())),
        readings: dials.readings.clone(),
        faults: dials.faults.clone(),
        ..SandboxConfig::default()
    })
}

/// Lines that a shell can evaluate.
fn announce(running: &Running) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "export BATON_COUPA_BASE_URL={}", running.base_url())?;
    writeln!(stdout, "export BATON_COUPA_CLIENT_ID={}", running.client_id())?;
    writeln!(
        stdout,
        "export BATON_COUPA_CLIENT_SECRET={}",
        running.client_secret()
    )?;
    writeln!(
        stdout,
        "export BATON_RISK_ASSESS_URL={}",
        running.risk_assess_url()
    )?;
    writeln!(
        stdout,
        "export BATON_RISK_ASSESS_USERNAME={}",
        running.risk_assess_username()
    )?;
    writeln!(
        stdout,
        "export BATON_RISK_ASSESS_PASSWORD={}",
        running.risk_assess_password()
    )?;
    stdout.flush()
}
