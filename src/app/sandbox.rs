//! The pretend tenant, embedded in a command or standing by itself.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

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
        Fault::invalid(format!("cannot start the sandbox on {listen}"))
            .because(error)
            .advise("check address and certificate")
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
        readings: switched("reading", &dials.readings)?,
        faults: switched("fault", &dials.faults)?,
        ..SandboxConfig::default()
    })
}

/// `order.rest=scattered` and the like, as the JSON object that the sandbox reads.
fn switched<T: DeserializeOwned>(flag: &str, texts: &[String]) -> Result<T, Fault> {
    let mut object = Map::new();
    for text in texts {
        let wrong = || {
            Fault::invalid(format!(
                "--{flag} {text:?}: expected NAME=VALUE, for instance order.rest=scattered"
            ))
        };
        let (path, value) = text.split_once('=').ok_or_else(wrong)?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        let mut names: Vec<&str> = path.split('.').collect();
        let last = names.pop().ok_or_else(wrong)?;
        let mut place = &mut object;
        for name in names {
            let inner = place.entry(name).or_insert_with(|| Value::Object(Map::new()));
            place = inner.as_object_mut().ok_or_else(wrong)?;
        }
        place.insert(last.to_owned(), value);
    }
    serde_json::from_value(Value::Object(object))
        .map_err(|error| Fault::invalid(format!("--{flag}: {error}")))
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
    stdout.flush()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sandbox::{EmptyList, Faults, Readings};

    #[test]
    fn readings_and_faults_are_named_by_path() {
        let readings: Readings = switched(
            "reading",
            &[
                "empty-list.graphql=null".to_owned(),
                "nested-cut.rest=7".to_owned(),
                "graphql-page=25".to_owned(),
            ],
        )
        .unwrap();
        assert_eq!(readings.empty_list.graphql, EmptyList::Null);
        assert_eq!((readings.nested_cut.rest, readings.graphql_page), (Some(7), 25));
        let faults: Faults = switched("fault", &["server-error=0.25".to_owned()]).unwrap();
        assert!((faults.server_error - 0.25).abs() < f64::EPSILON);
    }

    #[test]
    fn a_wrong_switch_is_named() {
        let fault = switched::<Readings>("reading", &["ordr.rest=scattered".to_owned()]).unwrap_err();
        assert!(fault.to_string().contains("ordr"), "{fault}");
        let fault = switched::<Readings>("reading", &["nonsense".to_owned()]).unwrap_err();
        assert!(fault.to_string().contains("NAME=VALUE"), "{fault}");
    }
}
