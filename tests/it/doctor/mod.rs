//! The doctor as a person or a script runs it: against a tenant where all is well, and against tenants and machines that each lack one thing.
//! It names exactly that thing, writes nothing, and does not stop at the first fault.

mod beside;
mod machine;
mod rights;
mod way;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use baton_coupa::coupa::Endpoint;
use baton_coupa::model::checkup::{Check, Stake};
use baton_coupa::sandbox::{Faults, Readings, RequestKind, Running, SandboxConfig, Setup};
use baton_coupa::state::State;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::program::{output, program, program_for, stderr};
use crate::support::tenant;

/// A sandbox and an empty directory.
struct Patient {
    sandbox: Running,
    folder: TempDir,
}

impl Patient {
    async fn with(faults: Faults, readings: Readings) -> Self {
        let config = SandboxConfig {
            faults,
            readings,
            ..small()
        };
        Self {
            sandbox: tenant::start(config).await,
            folder: TempDir::new().unwrap(),
        }
    }

    async fn healthy() -> Self {
        Self::with(Faults::default(), Readings::default()).await
    }

    async fn set_up(setup: Setup) -> Self {
        let faults = Faults {
            setup,
            ..Faults::default()
        };
        Self::with(faults, Readings::default()).await
    }

    /// `doctor` with the pace of a test.
    fn doctor(&self) -> Command {
        let mut command = program_for(&self.sandbox, &self.folder);
        command
            .env("BATON_COUPA_REQUESTS_PER_SECOND", "1000")
            .args(["doctor", "--format", "json"]);
        command
    }

    fn state_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn key(&self) -> String {
        let endpoint = Endpoint::from_base_url(&self.sandbox.base_url()).unwrap();
        endpoint.host().to_owned()
    }

    fn state(&self, client_id: &str) -> State {
        State::open(&self.state_dir(), &self.key(), client_id).unwrap()
    }

    /// Runs it and sees to what holds of every report: nothing was written, and nothing shows that must not.
    async fn report(&self, command: Command) -> Report {
        let report = Report::of(command).await;
        for entry in self.sandbox.log() {
            let is_rowless_file = entry.kind == RequestKind::QuickIntegration;
            assert!(entry.write.is_none() || is_rowless_file, "{entry:?}");
        }
        for import in self.sandbox.risk_assess().imports() {
            assert!(
                import.rows.is_empty() && import.made == 0 && import.changed == 0,
                "{import:?}"
            );
        }
        let text = &report.everything;
        assert!(!text.contains(self.sandbox.client_secret()), "the secret shows");
        assert!(
            !text.contains(&self.sandbox.risk_assess_password()),
            "the password shows"
        );
        for user in self.sandbox.truth().users {
            for value in [Some(user.login), user.email, user.employee_number]
                .into_iter()
                .flatten()
            {
                assert!(
                    value.len() < 6 || !text.contains(&value),
                    "user {} shows",
                    user.id
                );
            }
        }
        report
    }
}

fn small() -> SandboxConfig {
    SandboxConfig {
        users: 300,
        ..SandboxConfig::default()
    }
}

/// What the doctor said.
struct Report {
    code: Option<i32>,
    document: Value,
    last: String,
    everything: String,
}

impl Report {
    async fn of(command: Command) -> Self {
        let output = output(command).await;
        let (told, log) = (String::from_utf8(output.stdout.clone()).unwrap(), stderr(&output));
        let document = serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}\n{log}"));
        Self {
            code: output.status.code(),
            document,
            last: log.lines().last().unwrap_or_default().to_owned(),
            everything: told + &log,
        }
    }

    fn checks(&self) -> &[Value] {
        self.document["checks"].as_array().unwrap()
    }

    fn check(&self, id: &str) -> &Value {
        self.checks().iter().find(|check| check["id"] == id).unwrap()
    }

    fn verdict(&self, id: &str) -> &str {
        self.check(id)["verdict"].as_str().unwrap()
    }

    fn with(&self, verdict: &str) -> BTreeSet<&str> {
        let found = self.checks().iter().filter(|check| check["verdict"] == verdict);
        found.map(|check| check["id"].as_str().unwrap()).collect()
    }

    /// Exactly this fails; `waiting` and whatever else is unknown waits for it, and the last line names it.
    #[track_caller]
    fn lacks(&self, id: &str, code: i32, waiting: &[&str]) {
        self.lacks_all(&[id], code);
        let unknown = self.with("unknown");
        for waits in waiting {
            assert!(unknown.contains(waits), "{waits} waits for {id}: {unknown:?}");
        }
        for waits in unknown {
            assert_eq!(self.check(waits)["waits_for"], id, "{waits}");
        }
    }

    #[track_caller]
    fn lacks_all(&self, ids: &[&str], code: i32) {
        assert_eq!(
            self.with("failing"),
            ids.iter().copied().collect(),
            "{:#}",
            self.document
        );
        assert_eq!(self.code, Some(code), "{}", self.last);
        assert_eq!(self.document["exit_code"], code);
        for id in ids {
            assert!(
                self.last.contains(id),
                "{id} is not in the last line: {}",
                self.last
            );
            assert!(self.check(id)["advice"].is_string(), "{id} says what to do");
        }
    }

    /// Nothing fails and nothing is unknown; exactly these warn.
    #[track_caller]
    fn warns(&self, ids: &[&str]) {
        assert_eq!(self.code, Some(0), "{:#}", self.document);
        assert!(
            self.with("failing").is_empty() && self.with("unknown").is_empty(),
            "{:#}",
            self.document
        );
        let mut warned = self.with("warning");
        // The pace of a test is not that of an instance.
        warned.remove("rate-setting");
        assert_eq!(warned, ids.iter().copied().collect(), "{:#}", self.document);
        assert_eq!(self.document["complete_sync"], true);
    }

    /// What was seen says each of `parts`.
    #[track_caller]
    fn saw(&self, id: &str, parts: &[&str]) {
        let text = self.check(id).to_string();
        for part in parts {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
    }
}

/// An address of this machine at which nobody listens.
fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}

/// Every file and directory under `folder`.
fn tree(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path.clone());
            }
            found.insert(path);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_is_well_all_is_fine_and_nothing_is_left_behind() {
    let patient = Patient::healthy().await;
    for (flags, lock) in [([].as_slice(), "not-needed"), (&["--provisioning"], "fine")] {
        let before = tree(patient.folder.path());
        let mut command = patient.doctor();
        command.env("BATON_COUPA_REQUESTS_PER_SECOND", "20").args(flags);
        let report = patient.report(command).await;
        assert!(report.with("warning").is_empty(), "{:#}", report.document);
        report.warns(&[]);
        assert_eq!(
            tree(patient.folder.path()),
            before,
            "not even the state directory is made"
        );
        assert_eq!(report.checks().len(), Check::ALL.len());
        assert_eq!(
            (report.verdict("state-lock"), report.verdict("scope-user-write")),
            (lock, lock)
        );
        report.saw("license-catalog", &["18 license flags", "risk-assess-user"]);
        report.saw("account-classes", &["of all 300 accounts", "left out: "]);
        report.saw(
            "read-plan",
            &[
                "over REST",
                "in order of their ids",
                "nested lists come whole",
                "highest id",
            ],
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_get_a_table() {
    let patient = Patient::set_up(Setup {
        scopes_missing: vec!["core.common.read".into()],
        ..Setup::default()
    })
    .await;
    let mut command = program_for(&patient.sandbox, &patient.folder);
    command.arg("doctor");
    let output = output(command).await;
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    for check in Check::ALL {
        assert!(text.contains(check.id()), "{check}\n{text}");
    }
    assert!(
        text.contains("X failing") && text.contains("a sync would not be complete"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_not_stop_at_the_first_fault() {
    let patient = Patient::set_up(Setup {
        scopes_missing: vec!["core.common.read".into(), "core.user.write".into()],
        objects_forbidden: vec!["user_groups".into()],
        clock_ahead_secs: 4_000,
        ..Setup::default()
    })
    .await;
    std::fs::write(patient.folder.path().join("file"), "no directory").unwrap();
    let mut command = patient.doctor();
    command
        .env("BATON_STATE_DIR", patient.folder.path().join("file/state"))
        .args(["-p", "--risk-assess-user-sync", "off"]);
    let report = patient.report(command).await;
    let all = [
        "clock",
        "object-user-groups",
        "risk-assess-settings",
        "scope-common-read",
        "scope-user-write",
        "state-directory",
    ];
    report.lacks_all(&all, 7);

    let mut two = patient.doctor();
    two.env("BATON_COUPA_CLIENT_SECRET", "wrong")
        .args(["--risk-assess-user-sync", "off"]);
    let report = patient.report(two).await;
    report.lacks_all(&["clock", "token-client", "risk-assess-settings"], 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_sandbox_can_lack_things_by_its_flags() {
    let folder = TempDir::new().unwrap();
    let mut command = program(&folder);
    command
        .args(["doctor", "--format", "json", "--sandbox", "--sandbox-users", "60"])
        .args([
            "--sandbox-fault",
            r#"setup.scopes-missing=["core.user_group.read"]"#,
        ]);
    Report::of(command)
        .await
        .lacks("scope-user-group-read", 7, &["object-user-groups"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_setting_that_is_missing_is_told_before_anything_else() {
    let folder = TempDir::new().unwrap();
    let mut command = program(&folder);
    command.arg("doctor");
    let output = output(command).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    assert!(
        stderr(&output).contains("coupa-client-secret"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn every_check_is_in_the_document_and_the_other_way_round() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/doctor.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, table) = text.split_once("## The checks").unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let documented: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    let checks: Vec<&str> = Check::ALL.iter().map(|check| check.id()).collect();
    assert_eq!(documented, checks, "in the order of the report, too");
    for (row, check) in rows.iter().zip(Check::ALL) {
        let stops = match check.stake() {
            Stake::Sync => "sync",
            Stake::Feature => "feature",
        };
        assert_eq!((row.len(), row[1]), (4, stops), "{check}");
    }
}
