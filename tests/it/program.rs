//! The built program as a person or a scheduler runs it: exit codes, messages, signals, kill -9, HTTPS, and what never shows in a log.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use baton_coupa::sandbox::{
    Effect, FaultAction, Faults, Matching, RequestKind, Running, Sandbox, SandboxConfig, ScriptedFault,
    TlsFiles,
};
use tempfile::TempDir;

use crate::support::program::{assert_golden, output, printed, program, program_for, stderr};
use crate::support::reader;
use crate::support::tenant;
use crate::support::truth::{DEFAULT_CLASSES, assert_equal};

fn small() -> SandboxConfig {
    SandboxConfig {
        users: 300,
        ..SandboxConfig::default()
    }
}

/// Exit code, and that the last line of stderr says each of `parts`.
fn assert_told(output: &Output, code: i32, parts: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(output.stdout.is_empty(), "stdout stays clean");
    let last = text.lines().last().unwrap_or_default();
    for part in parts {
        assert!(last.contains(part), "{part:?} is not in the last line: {last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_command_of_the_readme() {
    let folder = TempDir::new().unwrap();
    let mut command = program(&folder);
    command.args(["--sandbox", "--sandbox-users", "300"]);
    let output = output(command).await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
    assert!(stderr(&output).contains("c1z: saved"));
    let same = tenant::start(small()).await;
    assert_equal(
        &reader::read(&folder.path().join("sync.c1z")),
        &same.truth(),
        &DEFAULT_CLASSES,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn golden_texts_are_printed_without_configuration() {
    for (words, name) in [
        (["--help"].as_slice(), "help.txt"),
        (&["serve", "--help"], "help_serve.txt"),
        (&["journal", "recover", "--help"], "help_journal_recover.txt"),
    ] {
        assert_golden(&format!("tests/golden/{name}"), &printed(words).await);
    }
    let version = printed(&["--version"]).await;
    assert!(
        version.starts_with("baton-coupa version ") && version.ends_with('\n'),
        "{version:?}"
    );
    assert!(printed(&["completion", "bash"]).await.contains("coupa-domain"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_types_that_can_be_chosen_are_those_that_there_are() {
    let capabilities: serde_json::Value = serde_json::from_str(&printed(&["capabilities"]).await).unwrap();
    let mut there_are: Vec<_> = capabilities["resourceTypeCapabilities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["resourceType"]["id"].as_str().unwrap().to_owned())
        .collect();
    there_are.sort_unstable();
    let folder = TempDir::new().unwrap();
    let mut command = program(&folder);
    command.args(["--sandbox", "--sync-resource-types", "widget"]);
    let output = output(command).await;
    assert_told(&output, 2, &["--sync-resource-types"]);
    let text = stderr(&output);
    let (_, choices) = text.trim_end().rsplit_once("one of ").unwrap();
    let mut choices: Vec<_> = choices.split(", ").collect();
    choices.sort_unstable();
    assert_eq!(choices, there_are);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_that_cannot_be_written_to_is_told_and_a_state_directory_that_was_asked_for_must_work() {
    let folder = TempDir::new().unwrap();
    fs::write(
        folder.path().join("home"),
        "a file, where nobody can make a directory",
    )
    .unwrap();
    let mut usual = program(&folder);
    usual
        .env_remove("BATON_STATE_DIR")
        .env("HOME", folder.path().join("home"));
    usual.args(["--sandbox", "--sandbox-users", "60"]);
    let done = output(usual).await;
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(stderr(&done).contains("set --state-dir"), "{}", stderr(&done));

    let mut named = program(&folder);
    named.env("BATON_STATE_DIR", folder.path().join("home/state"));
    named.args(["--sandbox", "--sandbox-users", "60"]);
    let refused = output(named).await;
    assert!(!refused.status.success());
    assert_told(
        &refused,
        refused.status.code().unwrap(),
        &["home/state", "--state-dir"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_is_shown_without_secret_and_network() {
    let folder = TempDir::new().unwrap();
    for (words, shown) in [
        (["journal"].as_slice(), "no such entries\n"),
        (&["journal", "--json"], ""),
        (&["journal", "export"], ""),
    ] {
        let mut command = program(&folder);
        command
            .env("BATON_COUPA_DOMAIN", "acme.coupahost.com")
            .env("BATON_COUPA_CLIENT_ID", "client")
            .args(words);
        let output = output(command).await;
        assert!(output.status.success(), "{words:?}: {}", stderr(&output));
        assert_eq!(String::from_utf8_lossy(&output.stdout), shown, "{words:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_are_listed_in_the_log_only() {
    let folder = TempDir::new().unwrap();
    let mut command = program(&folder);
    command.args(["--sandbox", "--sandbox-users", "60", "--list-action-schemas"]);
    let output = output(command).await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
    let text = stderr(&output);
    let line = text.lines().find(|line| line.contains("Action Schemas")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    let schemas: serde_json::Value = serde_json::from_str(line["schemas"].as_str().unwrap()).unwrap();
    let names: Vec<_> = schemas
        .as_array()
        .unwrap()
        .iter()
        .map(|schema| &schema["name"])
        .collect();
    let expected = [
        "disable_user",
        "enable_user",
        "risk_assess_readiness",
        "risk_assess_status",
        "risk_assess_sync_user",
        "update_user",
    ];
    assert_eq!(names, expected);
    assert_eq!(line["count"], 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_to_a_principal_of_no_type_ends_with_2_before_anything_is_asked() {
    let (sandbox, folder) = (tenant::start(small()).await, TempDir::new().unwrap());
    let mut command = program_for(&sandbox, &folder);
    command.args(["--grant-entitlement", "role:1:member", "--grant-principal", "1"]);
    assert_told(&output(command).await, 2, &["unknown provisioning action"]);
    assert_eq!(sandbox.stats().token, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_at_stderr_does_not_change_the_exit_code() {
    let folder = TempDir::new().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = program(&folder);
    command.arg("--bogus").stderr(writer);
    assert_eq!(output(command).await.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_ends_with_16() {
    let (sandbox, folder) = (tenant::start(small()).await, TempDir::new().unwrap());
    let mut command = program_for(&sandbox, &folder);
    command.env("BATON_COUPA_CLIENT_SECRET", "sentinel-wrong-secret");
    let output = output(command).await;
    assert_told(&output, 16, &["client"]);
    assert!(!stderr(&output).contains("sentinel-wrong-secret"));
    assert!(!folder.path().join("sync.c1z").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_scope_is_named_and_ends_with_7() {
    for missing in ["core.user.read", "core.user_group.read", "core.common.read"] {
        let mut config = small();
        config.scopes.retain(|scope| scope != missing);
        let (sandbox, folder) = (tenant::start(config).await, TempDir::new().unwrap());
        assert_told(&output(program_for(&sandbox, &folder)).await, 7, &[missing]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_host_is_told() {
    let folder = TempDir::new().unwrap();
    let mut command = program(&folder);
    // `.invalid` is reserved: no resolver knows it, and nobody is ever sent the credentials.
    command.args(["--coupa-base-url", "https://tenant.invalid"]);
    command.args([
        "--coupa-client-id",
        "x",
        "--coupa-client-secret",
        "sentinel-secret",
    ]);
    // A resolver that does not answer is not waited for.
    command.env("RES_OPTIONS", "timeout:1 attempts:1");
    let output = output(command).await;
    assert_told(&output, 14, &["tenant.invalid"]);
    assert!(!stderr(&output).contains("sentinel-secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_host_ends_with_14() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let folder = TempDir::new().unwrap();
    let mut command = program(&folder);
    command.env("BATON_COUPA_BASE_URL", format!("http://{address}"));
    command.args(["--coupa-client-id", "x", "--coupa-client-secret", "y"]);
    assert_told(&output(command).await, 14, &["127.0.0.1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_die_in_the_middle_are_renewed() {
    let faults = Faults {
        scripted: vec![ScriptedFault {
            on: Matching {
                kind: Some(RequestKind::RestUsers),
                nth: 5,
                times: 2,
                ..Matching::default()
            },
            effect: Effect::None,
            action: FaultAction::ForgetTokens,
        }],
        ..Faults::default()
    };
    let sandbox = tenant::start(SandboxConfig { faults, ..small() }).await;
    let folder = TempDir::new().unwrap();
    let output = output(program_for(&sandbox, &folder)).await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert_equal(
        &reader::read(&folder.path().join("sync.c1z")),
        &sandbox.truth(),
        &DEFAULT_CLASSES,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_yaml_is_named_with_its_line() {
    let folder = TempDir::new().unwrap();
    fs::write(
        folder.path().join(".baton.yaml"),
        "coupa-domain: [unclosed\nfile: x: y\n",
    )
    .unwrap();
    assert_told(&output(program(&folder)).await, 2, &[".baton.yaml"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_lost_its_users_does_not_replace_the_file() {
    let folder = TempDir::new().unwrap();
    let full = tenant::start(small()).await;
    let mut command = program_for(&full, &folder);
    command.env("BATON_ACCOUNT_CLASSES", "internal");
    assert!(output(command).await.status.success());
    let before = fs::read(folder.path().join("sync.c1z")).unwrap();

    // The same tenant, as far as the connector can tell: same address.
    let address = full.addr();
    full.shutdown().await;
    let shrunken = Sandbox::start(SandboxConfig { users: 60, ..small() }, address, None)
        .await
        .unwrap();
    let refused = output(program_for(&shrunken, &folder)).await;
    assert_told(&refused, 9, &["--accept-shrink"]);
    assert_eq!(fs::read(folder.path().join("sync.c1z")).unwrap(), before);

    // Without the state directory the previous file remembers.
    fs::remove_dir_all(folder.path().join("state")).unwrap();
    assert_told(
        &output(program_for(&shrunken, &folder)).await,
        9,
        &["--accept-shrink"],
    );

    let mut deliberate = program_for(&shrunken, &folder);
    deliberate.arg("--accept-shrink");
    assert!(output(deliberate).await.status.success());
    assert!(
        output(program_for(&shrunken, &folder)).await.status.success(),
        "the new sizes count from now on"
    );
}

/// Waits until the sandbox has answered `requests` API requests, all for `child`, which must not end before.
async fn until(sandbox: &Running, requests: u64, child: &mut Child) {
    while sandbox.stats().api_total < requests {
        assert_eq!(child.try_wait().unwrap(), None, "the program ended early");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_kill_9_anywhere_leaves_the_file_and_the_next_sync_is_whole() {
    let sandbox = tenant::start(SandboxConfig {
        latency_ms: 3,
        ..small()
    })
    .await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("sync.c1z");
    assert!(output(program_for(&sandbox, &folder)).await.status.success());
    let per_sync = sandbox.stats().api_total;
    for step in 0..6 {
        let before = fs::read(&file).unwrap();
        let seen = sandbox.stats().api_total;
        let mut child = program_for(&sandbox, &folder)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until(&sandbox, seen + 1 + step * (per_sync - 1) / 6, &mut child).await;
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(
            fs::read(&file).unwrap(),
            before,
            "killed after {step}/6 of the requests"
        );
    }
    let last = output(program_for(&sandbox, &folder)).await;
    assert!(last.status.success(), "{}", stderr(&last));
    assert_equal(&reader::read(&file), &sandbox.truth(), &DEFAULT_CLASSES);
    let left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "only the file and the state stay: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_and_sigint_end_a_sync_cleanly() {
    let sandbox = tenant::start(SandboxConfig {
        latency_ms: 100,
        ..small()
    })
    .await;
    for signal in ["-TERM", "-INT"] {
        let folder = TempDir::new().unwrap();
        let seen = sandbox.stats().api_total;
        let mut child = program_for(&sandbox, &folder)
            .stderr(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        until(&sandbox, seen + 3, &mut child).await;
        let pid = child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap())
            .await
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(!folder.path().join("sync.c1z").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_https_with_a_private_authority() {
    let folder = TempDir::new().unwrap();
    let files = certificate(folder.path());
    let address = ([127, 0, 0, 1], 0).into();
    let sandbox = Sandbox::start(small(), address, Some(files)).await.unwrap();
    let untrusted = output(program_for(&sandbox, &folder)).await;
    assert_told(&untrusted, 14, &["certificate"]);

    let mut trusted = program_for(&sandbox, &folder);
    trusted.env("SSL_CERT_FILE", folder.path().join("cert.pem"));
    let output = output(trusted).await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert_equal(
        &reader::read(&folder.path().join("sync.c1z")),
        &sandbox.truth(),
        &DEFAULT_CLASSES,
    );
}

fn certificate(folder: &Path) -> TlsFiles {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let files = TlsFiles {
        cert: folder.join("cert.pem"),
        key: folder.join("key.pem"),
    };
    fs::write(&files.cert, made.cert.pem()).unwrap();
    fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_no_personal_value_in_any_log_at_trace_level() {
    let faults = Faults {
        server_error: 0.1,
        html: 0.1,
        truncated: 0.1,
        reset: 0.05,
        storm: 0.02,
        storm_length: 2,
        ..Faults::default()
    };
    let good = tenant::start(small()).await;
    let bad = tenant::start(SandboxConfig { faults, ..small() }).await;
    let scopeless = tenant::start(SandboxConfig {
        scopes: vec!["core.user.read".to_owned()],
        ..small()
    })
    .await;
    for sandbox in [&good, &bad, &scopeless] {
        let folder = TempDir::new().unwrap();
        let mut command = program_for(sandbox, &folder);
        command
            .env("BATON_LOG_LEVEL", "trace")
            .env("BATON_LOG_PATH", "stderr,more.log");
        let output = output(command).await;
        let logs = stderr(&output) + &fs::read_to_string(folder.path().join("more.log")).unwrap();
        assert!(logs.contains("\"level\":\"debug\""), "the level is in force");
        assert!(!logs.contains(sandbox.client_secret()), "the secret shows");
        for user in sandbox.truth().users {
            // Short or common texts would be found in any log by chance.
            let personal = [
                Some(user.login),
                user.email,
                Some(user.full_name),
                user.sso_identifier,
                user.employee_number,
            ];
            for value in personal.into_iter().flatten().filter(|value| value.len() > 5) {
                assert!(
                    !logs.contains(&value),
                    "a personal value of user {} shows",
                    user.id
                );
            }
        }
        assert!(!logs.contains("Bearer "), "a token shows");
    }
}
