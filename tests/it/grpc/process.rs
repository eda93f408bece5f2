//! The program's `serve` in processes of its own: a sync goes on in a fresh process after the old one was killed.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use baton_coupa::sandbox::{Running, Sandbox, SandboxConfig};
use tempfile::TempDir;

use super::client::Client;
use super::host::{Keys, any_port};
use super::walk::{LeftSync, full_sync};
use crate::support::truth::{DEFAULT_CLASSES, Ids};

/// A process that serves. Killed when dropped.
struct Process {
    child: Child,
    addr: SocketAddr,
    /// Everything it logs, once it has ended.
    log: Option<JoinHandle<String>>,
}

impl Process {
    /// Starts the program in front of `sandbox` and waits until it says where it listens.
    async fn start(sandbox: &Running, keys: &Keys, state: &TempDir) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_baton-coupa"))
            .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
            .arg("--tls-cert")
            .arg(keys.path("cert.pem"))
            .arg("--tls-key")
            .arg(keys.path("key.pem"))
            .arg("--tls-client-ca")
            .arg(keys.path("ca.pem"))
            .args(["--tls-allowed-client", "runner.example"])
            .env_clear()
            .env("BATON_COUPA_BASE_URL", sandbox.base_url())
            .env("BATON_COUPA_CLIENT_ID", sandbox.client_id())
            .env("BATON_COUPA_CLIENT_SECRET", sandbox.client_secret())
            .env("BATON_STATE_DIR", state.path())
            .env("BATON_LOG_LEVEL", "trace")
            .current_dir(state.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let started = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            let addr = log.by_ref().map(Result::unwrap).find_map(|line| {
                text += &line;
                address(&line)
            });
            // The process must not block on a pipe that nobody reads.
            let rest = std::thread::spawn(move || text + &log.map_while(Result::ok).collect::<String>());
            (addr.expect("the server says where it listens"), rest)
        });
        let (addr, log) = started.await.unwrap();
        Self {
            addr,
            child,
            log: Some(log),
        }
    }

    async fn client(&self, keys: &Keys) -> Client {
        let config = keys.authority.client(Some(&keys.client));
        Client::tls(self.addr, config).await.unwrap()
    }

    /// Asks the process to stop, waits until it did, and gives its log.
    async fn terminate(mut self) -> (ExitStatus, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        tokio::task::spawn_blocking(move || {
            let status = self.child.wait().unwrap();
            (status, self.log.take().unwrap().join().unwrap())
        })
        .await
        .unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails where the process has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in the line that says that the server listens.
fn address(line: &str) -> Option<SocketAddr> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    line.get("address")?.as_str()?.parse().ok()
}

/// Neither the secret nor a person shows in a log at trace level.
fn assert_discreet(log: &str, sandbox: &Running) {
    assert!(!log.contains(sandbox.client_secret()) && !log.contains("Bearer "));
    for user in sandbox.truth().users {
        let personal = [
            Some(user.login),
            user.email,
            Some(user.full_name),
            user.employee_number,
        ];
        // Short texts would be found in any log by chance.
        for value in personal.into_iter().flatten().filter(|value| value.len() > 5) {
            assert!(
                !log.contains(&value),
                "a personal value of user {} shows",
                user.id
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_process_goes_on_where_a_killed_one_was() {
    let config = SandboxConfig {
        users: 300,
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(config, any_port(), None).await.unwrap();
    let (keys, state) = (Keys::new(), TempDir::new().unwrap());
    let truth = Ids::of(&sandbox.truth(), &DEFAULT_CLASSES);

    let old = Process::start(&sandbox, &keys, &state).await;
    let client = old.client(&keys).await;
    full_sync(&client, &truth).await;
    let left = LeftSync::begin(&client).await;
    drop(old);
    assert!(client.validate().await.is_err(), "the old process is gone");

    let new = Process::start(&sandbox, &keys, &state).await;
    let client = new.client(&keys).await;
    left.finish(&client, &truth).await;
    let (status, log) = new.terminate().await;
    assert!(status.success());
    assert!(log.contains("ListGrants"), "calls are logged at this level");
    assert_discreet(&log, &sandbox);
}
