//! The doctor as a person or a script runs it: against a tenant where all is well, and against tenants and machines that each lack one thing.
//! It names exactly that thing, writes nothing, and does not stop at the first fault.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use baton_coupa::coupa::Endpoint;
use baton_coupa::model::access::Item;
use baton_coupa::model::change::Via;
use baton_coupa::model::checkup::Check;
use baton_coupa::model::id::{RoleId, UserId};
use baton_coupa::model::journal::{Held, Intent, Journal, Stage, Subject};
use baton_coupa::sandbox::{
    FaultAction, Faults, GraphqlAccess, Matching, PerSurface, Readings, RequestKind, Running, Sandbox, SandboxConfig,
    ScriptedFault, Setup, TlsFiles,
};
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

    async fn over_https(leaf: &Leaf) -> Self {
        let folder = TempDir::new().unwrap();
        let files = TlsFiles {
            cert: folder.path().join("cert.pem"),
            key: folder.path().join("key.pem"),
        };
        std::fs::write(&files.cert, &leaf.cert).unwrap();
        std::fs::write(&files.key, &leaf.key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), &leaf.authority).unwrap();
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let sandbox = Sandbox::start(small(), listen, Some(files)).await.unwrap();
        Self { sandbox, folder }
    }

    /// `doctor` with the pace of a test.
    fn doctor(&self) -> Command {
        let mut command = program_for(&self.sandbox, &self.folder);
        command
            .env("BATON_COUPA_REQUESTS_PER_SECOND", "1000")
            .args(["doctor", "--format", "json"]);
        command
    }

    fn state_dir(&self) -> std::path::PathBuf {
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
            assert!(import.rows.is_empty() && import.made == 0 && import.changed == 0, "{import:?}");
        }
        let text = &report.everything;
        assert!(!text.contains(self.sandbox.client_secret()), "the secret shows");
        assert!(!text.contains(&self.sandbox.risk_assess_password()), "the password shows");
        for user in self.sandbox.truth().users {
            for value in [Some(user.login), user.email, user.employee_number].into_iter().flatten() {
                assert!(value.len() < 6 || !text.contains(&value), "user {} shows", user.id);
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
        assert_eq!(self.with("failing"), ids.iter().copied().collect(), "{:#}", self.document);
        assert_eq!(self.code, Some(code), "{}", self.last);
        assert_eq!(self.document["exit_code"], code);
        for id in ids {
            assert!(self.last.contains(id), "{id} is not in the last line: {}", self.last);
            assert!(self.check(id)["advice"].is_string(), "{id} says what to do");
        }
    }

    /// Nothing fails and nothing is unknown; exactly these warn.
    #[track_caller]
    fn warns(&self, ids: &[&str]) {
        assert_eq!(self.code, Some(0), "{:#}", self.document);
        assert!(self.with("failing").is_empty() && self.with("unknown").is_empty(), "{:#}", self.document);
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

/// Every file and directory under `folder`.
fn tree(folder: &Path) -> BTreeSet<std::path::PathBuf> {
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
        assert_eq!(tree(patient.folder.path()), before, "not even the state directory is made");
        assert_eq!(report.checks().len(), Check::ALL.len());
        assert_eq!((report.verdict("state-lock"), report.verdict("scope-user-write")), (lock, lock));
        report.saw("license-catalog", &["18 license flags", "risk-assess-user"]);
        report.saw("account-classes", &["of all 300 accounts", "left out: "]);
        report.saw("read-plan", &["over REST", "in order of their ids", "nested lists come whole", "highest id"]);
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
    assert!(text.contains("X failing") && text.contains("a sync would not be complete"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_and_its_port() {
    let patient = Patient::healthy().await;
    let mut unknown = patient.doctor();
    unknown.args(["--coupa-base-url", "https://tenant.invalid"]);
    let report = patient.report(unknown).await;
    report.lacks("host-resolves", 14, &["host-connects", "tls-name", "token-client", "read-plan", "clock"]);
    report.saw("host-resolves", &["given up after", "typing mistake"]);
    assert_eq!(report.verdict("state-directory"), "fine", "what needs no host is examined all the same");

    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = patient.doctor();
    command.args(["--coupa-base-url", &format!("http://{closed}")]);
    let report = patient.report(command).await;
    report.lacks("host-connects", 14, &["host-answers", "token-client", "scope-user-read"]);
    assert_eq!(report.verdict("host-resolves"), "fine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_coupa() {
    for action in [
        FaultAction::Html,
        FaultAction::Redirect {
            location: "https://elsewhere.example/".into(),
        },
        FaultAction::Status {
            status: 404,
            html: true,
        },
    ] {
        let faults = Faults {
            scripted: vec![always(Some(RequestKind::Token), action)],
            ..Faults::default()
        };
        let patient = Patient::with(faults, Readings::default()).await;
        let report = patient.report(patient.doctor()).await;
        report.lacks("host-answers", 14, &["token-client", "read-plan"]);
        assert_eq!(report.verdict("host-connects"), "fine");
    }
}

/// A certificate for one test, with its key and the authority that signed it.
struct Leaf {
    cert: String,
    key: String,
    authority: String,
}

fn leaf(name: &str, years: [i32; 2]) -> Leaf {
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let authority = rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
    let mut params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    [params.not_before, params.not_after] = years.map(|year| rcgen::date_time_ymd(year, 1, 1));
    let key = rcgen::KeyPair::generate().unwrap();
    Leaf {
        cert: params.signed_by(&key, &authority).unwrap().pem(),
        key: key.serialize_pem(),
        authority: authority.pem(),
    }
}

const NOW: [i32; 2] = [2020, 2090];

#[tokio::test(flavor = "multi_thread")]
async fn each_flaw_of_a_certificate_is_named() {
    const OTHERS: [&str; 3] = ["tls-validity", "tls-authority", "tls-name"];
    let trusted = async |patient: &Patient| {
        let mut command = patient.doctor();
        command.env("SSL_CERT_FILE", patient.folder.path().join("ca.pem"));
        patient.report(command).await
    };
    let sound = Patient::over_https(&leaf("127.0.0.1", NOW)).await;
    let report = trusted(&sound).await;
    report.warns(&[]);
    assert_eq!(report.verdict("tls-name"), "fine");
    let report = sound.report(sound.doctor()).await;
    report.lacks("tls-authority", 14, &["tls-name", "host-answers", "token-client"]);

    for (leaf, id) in [
        (leaf("other.example", NOW), "tls-name"),
        (leaf("127.0.0.1", [2020, 2021]), "tls-validity"),
        (leaf("127.0.0.1", [2089, 2090]), "tls-validity"),
    ] {
        let report = trusted(&Patient::over_https(&leaf).await).await;
        report.lacks(id, 14, &["host-answers", "clock", "object-users"]);
        assert_eq!(report.verdict("tls-handshake"), "fine");
        for other in OTHERS.iter().filter(|other| **other != id) {
            assert_eq!(report.verdict(other), "unknown");
        }
    }
    let expired = trusted(&Patient::over_https(&leaf("127.0.0.1", [2020, 2021])).await).await;
    expired.saw("tls-validity", &["has expired", "clock"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_does_not_speak_tls() {
    let patient = Patient::healthy().await;
    let mut command = patient.doctor();
    command.args(["--coupa-base-url", &patient.sandbox.base_url().replace("http:", "https:")]);
    let report = patient.report(command).await;
    report.lacks("tls-handshake", 14, &["tls-name", "host-answers"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock() {
    let at = async |clock_ahead_secs| {
        let patient = Patient::set_up(Setup {
            clock_ahead_secs,
            ..Setup::default()
        })
        .await;
        patient.report(patient.doctor()).await
    };
    for off in [400, -400] {
        let report = at(off).await;
        report.lacks("clock", 9, &[]);
        assert!(report.with("unknown").is_empty(), "nothing waits for it");
        report.saw("clock", &[if off > 0 { "behind" } else { "ahead" }, "NTP"]);
    }
    at(60).await.warns(&["clock"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client() {
    let waiting = ["scope-user-read", "scope-common-read", "object-roles", "read-plan"];
    let patient = Patient::healthy().await;
    for (name, value) in [("BATON_COUPA_CLIENT_ID", "nobody"), ("BATON_COUPA_CLIENT_SECRET", "wrong")] {
        let mut command = patient.doctor();
        command.env(name, value);
        patient.report(command).await.lacks("token-client", 16, &waiting);
    }
    let refused = Patient::set_up(Setup {
        client_refused: true,
        ..Setup::default()
    })
    .await;
    let report = refused.report(refused.doctor()).await;
    report.lacks("token-client", 16, &waiting);
    assert_eq!((report.verdict("clock"), report.verdict("host-answers")), ("fine", "fine"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_scope_for_reading() {
    for (scope, id, object) in [
        ("core.user.read", "scope-user-read", "object-users"),
        ("core.user_group.read", "scope-user-group-read", "object-user-groups"),
        ("core.common.read", "scope-common-read", "object-roles"),
    ] {
        let patient = Patient::set_up(Setup {
            scopes_missing: vec![scope.into()],
            ..Setup::default()
        })
        .await;
        let report = patient.report(patient.doctor()).await;
        report.lacks(id, 7, &[object, "read-plan", "license-catalog", "account-classes"]);
        report.saw(id, &[scope]);
        for other in ["object-users", "object-user-groups", "object-roles"] {
            let expected = if other == object { "unknown" } else { "fine" };
            assert_eq!(report.verdict(other), expected, "{other} without {scope}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_scope_for_changes_where_changes_are_wanted() {
    for (scope, id) in [
        ("core.user.write", "scope-user-write"),
        ("core.user_group.write", "scope-user-group-write"),
    ] {
        let patient = Patient::set_up(Setup {
            scopes_missing: vec![scope.into()],
            ..Setup::default()
        })
        .await;
        let mut command = patient.doctor();
        command.arg("--provisioning");
        let report = patient.report(command).await;
        report.lacks(id, 7, &[]);
        assert_eq!(report.document["complete_sync"], true, "reading does not need it");
        patient.report(patient.doctor()).await.warns(&[]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_forbidden_although_the_scope_is_there() {
    for (object, id, waiting) in [
        ("users", "object-users", ["read-plan", "graphql"].as_slice()),
        ("user_groups", "object-user-groups", &[]),
        ("roles", "object-roles", &["account-classes"]),
    ] {
        let patient = Patient::set_up(Setup {
            objects_forbidden: vec![object.into()],
            ..Setup::default()
        })
        .await;
        let report = patient.report(patient.doctor()).await;
        report.lacks(id, 7, waiting);
        assert_eq!(report.verdict("scope-common-read"), "fine");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_without_the_license() {
    let readings = Readings {
        hidden: PerSurface::both(vec!["risk-assess-user".to_owned()]),
        ..Readings::default()
    };
    let patient = Patient::with(Faults::default(), readings).await;
    patient.report(patient.doctor()).await.warns(&["license-risk-assess"]);
    let mut relied_on = patient.doctor();
    relied_on.args(["--risk-assess-user-sync", "on"]);
    let report = patient.report(relied_on).await;
    report.lacks("license-risk-assess", 12, &[]);
    assert_eq!(report.document["complete_sync"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_graphql_a_sync_is_still_complete() {
    for graphql in [GraphqlAccess::NotFound, GraphqlAccess::Forbidden, GraphqlAccess::Errors] {
        let readings = Readings {
            graphql,
            ..Readings::default()
        };
        let patient = Patient::with(Faults::default(), readings).await;
        patient.report(patient.doctor()).await.warns(&["graphql"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn classes_of_which_there_is_nobody() {
    let readings = Readings {
        hidden: PerSurface::both(vec!["msp-user".to_owned()]),
        ..Readings::default()
    };
    let patient = Patient::with(Faults::default(), readings).await;
    let mut command = patient.doctor();
    command.args(["--account-classes", "managed-service"]);
    let report = patient.report(command).await;
    report.lacks("account-classes", 9, &[]);
    report.saw("account-classes", &["synced: none", "--account-classes"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_told_to_slow_down_for_ever() {
    let faults = Faults {
        scripted: vec![always(None, FaultAction::RateLimited { retry_after: None })],
        ..Faults::default()
    };
    let patient = Patient::with(faults, Readings::default()).await;
    let report = patient.report(patient.doctor()).await;
    report.lacks("rate-answered", 14, &["token-client", "scope-user-read", "read-plan"]);
    report.saw("rate-answered", &["given up after"]);
    assert_eq!(report.verdict("host-answers"), "fine");
}

fn always(kind: Option<RequestKind>, action: FaultAction) -> ScriptedFault {
    ScriptedFault {
        on: Matching {
            kind,
            times: u64::MAX,
            ..Matching::default()
        },
        effect: baton_coupa::sandbox::Effect::None,
        action,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_directory() {
    let patient = Patient::healthy().await;
    std::fs::write(patient.folder.path().join("file"), "no directory").unwrap();
    let mut command = patient.doctor();
    command.env("BATON_STATE_DIR", patient.folder.path().join("file/state"));
    let report = patient.report(command).await;
    report.lacks("state-directory", 13, &["state-database", "state-space", "journal-open"]);
    assert_eq!(report.verdict("read-plan"), "fine", "the tenant is examined all the same");

    let mut nowhere = patient.doctor();
    nowhere.env_remove("BATON_STATE_DIR");
    patient.report(nowhere).await.warns(&["state-directory"]);
    let mut nowhere = patient.doctor();
    nowhere.env_remove("BATON_STATE_DIR").arg("-p");
    patient.report(nowhere).await.lacks("state-directory", 9, &["state-lock", "journal-open"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_somebody_elses() {
    let patient = Patient::healthy().await;
    let other = State::open(&patient.state_dir(), "other.coupahost.com", "client").unwrap();
    let theirs = other.dir().to_owned();
    drop(other);
    let ours = patient.state(patient.sandbox.client_id()).dir().to_owned();
    std::fs::remove_dir_all(&ours).unwrap();
    std::fs::rename(theirs, &ours).unwrap();
    let report = patient.report(patient.doctor()).await;
    report.lacks("state-database", 9, &["journal-open"]);
    report.saw("state-database", &["other.coupahost.com"]);

    let patient = Patient::healthy().await;
    leave_an_entry(&patient.state("another-client"), Stage::Writing);
    let report = patient.report(patient.doctor()).await;
    report.lacks("state-database", 9, &["journal-open"]);
    assert!(!report.everything.contains("another-client"), "ids are not shown whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_another_process_holds() {
    let patient = Patient::healthy().await;
    let held = patient.state(patient.sandbox.client_id()).lock_writer().unwrap();
    let mut command = patient.doctor();
    command.arg("-p");
    let report = patient.report(command).await;
    report.lacks("state-lock", 10, &[]);
    report.saw("state-lock", &[&format!("process {}", std::process::id())]);
    let report = patient.report(patient.doctor()).await;
    report.warns(&[]);
    assert_eq!(report.verdict("state-lock"), "not-needed", "reading needs no lock");
    drop(held);
    let mut command = patient.doctor();
    command.arg("-p");
    patient.report(command).await.warns(&[]);
}

fn leave_an_entry(state: &State, stage: Stage) {
    let entry = state
        .open(&Intent {
            request: None,
            via: Via::CommandLine,
            user: UserId::new(2),
            subject: Subject::Revoke(Item::Role(RoleId::new(7).unwrap())),
            before: Held::Ids(vec![7, 999_999]),
            wanted: Held::Ids(vec![999_999]),
        })
        .unwrap();
    if stage != Stage::Writing {
        state.advance(entry, &stage).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_wait_for_an_end() {
    let patient = Patient::healthy().await;
    let user = UserId::new(patient.sandbox.truth().users[1].id).unwrap();
    assert_eq!(user.get(), 2, "the entry is about somebody who exists");
    let state = patient.state(patient.sandbox.client_id());
    leave_an_entry(&state, Stage::Writing);
    patient.report(patient.doctor()).await.warns(&["journal-open"]);
    let waits = Stage::NeedsPerson {
        reason: "role 999999 is gone".into(),
        full: Some(vec![7, 999_999]),
    };
    leave_an_entry(&state, waits);
    let report = patient.report(patient.doctor()).await;
    report.lacks("journal-open", 9, &[]);
    report.saw("journal-open", &["2 entries are open, 1 of them wait for a person", "user 2", "journal"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_files() {
    let patient = Patient::healthy().await;
    let mut command = patient.doctor();
    command.env_remove("BATON_TMPDIR");
    let report = patient.report(command).await;
    report.lacks("temp-directory", 13, &["temp-space"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_about_risk_assess() {
    let patient = Patient::healthy().await;
    let told = async |flags: &[&str]| {
        let mut command = patient.doctor();
        command.args(flags);
        patient.report(command).await
    };
    told(&["--risk-assess-user-sync", "off"])
        .await
        .lacks("risk-assess-settings", 9, &[]);
    told(&["--risk-assess-user-sync", "on", "--risk-assess-delivery", "file"])
        .await
        .warns(&["risk-assess-settings"]);

    let (url, password) = (patient.sandbox.risk_assess_url(), patient.sandbox.risk_assess_password());
    let quick = |url: &str, password: &str| {
        let mut command = patient.doctor();
        command
            .args(["--risk-assess-delivery", "quick-integration", "--risk-assess-url", url])
            .args(["--risk-assess-username", patient.sandbox.risk_assess_username()])
            .args(["--risk-assess-password", password]);
        command
    };
    let report = patient.report(quick(&url, &password)).await;
    report.warns(&[]);
    assert_eq!(report.verdict("risk-assess-login"), "fine");
    assert_eq!(patient.sandbox.risk_assess().imports().len(), 1, "a file came, and it had no rows");
    patient
        .report(quick(&url, "wrong"))
        .await
        .lacks("risk-assess-login", 16, &[]);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    patient
        .report(quick(&format!("http://{closed}"), &password))
        .await
        .lacks("risk-assess-login", 14, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mail_server() {
    let patient = Patient::healthy().await;
    let told = async |url: &str, flags: &[&str]| {
        let mut command = patient.doctor();
        command.args(["--smtp-url", url]).args(flags);
        patient.report(command).await
    };
    let to = ["--risk-assess-admin-email", "admin@example.com"];
    let url = patient.sandbox.smtp_url();
    told(&url, &to).await.warns(&[]);
    told(&url, &[]).await.warns(&["mail-server"]);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    told(&format!("smtp://{closed}"), &to).await.lacks("mail-server", 14, &[]);
    assert!(patient.sandbox.mail().messages().is_empty(), "nothing is mailed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platform() {
    use base64::Engine as _;
    let patient = Patient::healthy().await;
    let key = r#"{"kty":"OKP","crv":"Ed25519","x":"x","d":"sentinel-4711"}"#;
    let key = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(key);
    let told = async |id: &str, secret: &str| {
        let mut command = patient.doctor();
        command.args(["--client-id", id, "--client-secret", secret]);
        let report = patient.report(command).await;
        assert!(!report.everything.contains(&key) && !report.everything.contains("happy-fox"));
        report
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap();
    let (id, secret) = (format!("happy-fox@{host}/bxc"), format!("secret-token:example.com:v1:{key}"));
    told(&id, &secret).await.warns(&[]);
    for (id, secret) in [("happy-fox", secret.as_str()), (&id, "secret-token")] {
        told(id, secret).await.lacks("platform-credentials", 3, &["platform-host"]);
    }
    drop(listener);
    told(&id, &secret).await.lacks("platform-host", 14, &[]);
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
        .args(["--sandbox-fault", r#"setup.scopes-missing=["core.user_group.read"]"#]);
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
    assert!(stderr(&output).contains("coupa-client-secret"), "{}", stderr(&output));
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
            baton_coupa::model::checkup::Stake::Sync => "sync",
            baton_coupa::model::checkup::Stake::Feature => "feature",
        };
        assert_eq!((row.len(), row[1]), (4, stops), "{check}");
    }
}
