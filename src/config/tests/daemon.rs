//! Daemon mode and the question about its health.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::platform::{Asking, FullSync};

/// A client id, and a secret with a key in it that was made for this test.
const CLIENT: &str = "--client-id happy-fox@tenant.conductor.one/bxc --client-secret \
    a:b:v1:eyJrdHkiOiJPS1AiLCJjcnYiOiJFZDI1NTE5IiwieCI6IjZrcHNZLUtjVWdxLTlWQjdFeTdGLVpWSGRxNi12bnVTUWg3cWFSUkcwaXciLCJkIjoiQndjSEJ3Y0hCd2NIQndjSEJ3Y0hCd2NIQndjSEJ3Y0hCd2NIQndjSEJ3YyJ9";

fn world() -> World {
    World::new().var("XDG_STATE_HOME", "/var/lib/state")
}

fn daemon(world: &World, line: &str) -> (Box<DaemonSettings>, Vec<String>) {
    let invocation = world.load(&format!("{TENANT} {CLIENT} {line}")).unwrap();
    match invocation.command {
        Command::Daemon(settings) => (settings, invocation.warnings),
        other => panic!("{other:?}"),
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn a_client_id_makes_a_daemon() {
    let (settings, warnings) = daemon(&world(), "");
    assert_eq!(warnings, [""; 0]);
    assert_eq!(
        settings.platform.credentials.host().name(),
        "tenant.conductor.one"
    );
    assert_eq!(settings.platform.concurrency.get(), 3);
    assert_eq!(settings.platform.asking, Asking::One);
    assert_eq!(settings.platform.full_sync, FullSync::Run);
    assert!(settings.platform.api_host.is_none() && settings.platform.host_id.is_none());
    assert!(settings.changes.is_none() && settings.health.is_none());
    let shown = format!("{settings:?}");
    for inside in ["happy-fox", "eyJrdHki", "secret"] {
        assert!(!shown.contains(inside), "{shown}");
    }
}

#[test]
fn flags_and_variables_of_the_daemon_are_heeded() {
    let world = world()
        .var("BATON_C1_API_HOST", "localhost:8443")
        .var("BATON_HOST_ID", "pod-7")
        .var("BATON_GET_TASKS", "true");
    let line = "--task-concurrency 7 --skip-full-sync --provisioning --health-check --health-check-port 9000 \
        --health-check-bind-address 0.0.0.0 --skip-entitlements-and-grants";
    let (settings, warnings) = daemon(&world, line);
    assert_eq!(warnings, [""; 0]);
    let platform = &settings.platform;
    assert_eq!(platform.api_host.as_ref().unwrap().name(), "localhost");
    assert_eq!(platform.host_id.as_ref().unwrap().as_str(), "pod-7");
    assert_eq!(
        (platform.asking, platform.concurrency.get()),
        (Asking::Several, 7)
    );
    assert_eq!(platform.full_sync, FullSync::Refuse);
    assert!(settings.changes.is_some() && settings.sync.scope == sync::Scope::ResourcesOnly);
    assert_eq!(settings.health, Some(address("0.0.0.0:9000")));
}

#[test]
fn what_is_wrong_with_a_daemon_is_told_at_once() {
    let world = world()
        .var("BATON_C1_API_HOST", "https://there")
        .var("BATON_HOST_ID", &"x".repeat(257))
        .var("BATON_GET_TASKS", "perhaps");
    let line = format!(
        "{TENANT} --client-id happy-fox --client-secret s3cret --health-check --health-check-bind-address here \
         --task-concurrency 101"
    );
    assert_eq!(
        world.wrong(&line),
        [
            r#"invalid argument for "--task-concurrency" flag: expected a number from 1 to 100"#,
            "invalid client id",
            "invalid client secret",
            "invalid value in $BATON_C1_API_HOST: expected HOST or HOST:PORT",
            "invalid value in $BATON_HOST_ID: expected 1 to 256 characters",
            "invalid value in $BATON_GET_TASKS: expected true or false",
            "health-check-bind-address: expected an IP address, for example 127.0.0.1, or 0.0.0.0 for all",
        ]
    );
    let half = world.wrong(&format!("{TENANT} --client-id happy-fox@there/x"));
    assert!(half[0].ends_with("missing [client-secret]"), "{half:?}");
    assert!(
        half.iter().all(|line| !line.contains("invalid client secret")),
        "{half:?}"
    );
}

#[test]
fn one_shot_flags_are_ignored_by_a_daemon_and_a_rehearsal_is_not() {
    let line = "--revoke-grant role:1:member:user:2 --rotate-credentials 1 --rotate-credentials-type user";
    // Two one-shot modes at once are a contradiction even there; one is only ignored.
    let (_, warnings) = daemon(&world(), line.split(" --rotate").next().unwrap());
    assert_eq!(
        warnings,
        ["revoke-grant is ignored: with client-id, the platform says what is done"]
    );
    let wrong = world().wrong(&format!("{TENANT} {CLIENT} --dry-run"));
    assert_eq!(
        wrong,
        [
            "if any flags in the group [dry-run client-id] are set none of the others can be; [client-id dry-run] were all set"
        ]
    );
}

#[test]
fn what_only_a_daemon_heeds_is_told_without_one() {
    let line =
        "--skip-full-sync --task-concurrency 4 --health-check --health-check-port 9 --keep-previous-sync-c1z";
    let told = |command: &str| {
        let invocation = world().load(&format!("{command} {TENANT} {line}")).unwrap();
        let mut names: Vec<String> = invocation
            .warnings
            .iter()
            .map(|warning| warning.split(" has no effect: ").next().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    let all = [
        "health-check",
        "health-check-port",
        "keep-previous-sync-c1z",
        "skip-full-sync",
        "task-concurrency",
    ];
    assert_eq!(told(""), all);
    assert_eq!(told("serve"), all);
    assert_eq!(
        told("doctor"),
        ["keep-previous-sync-c1z"],
        "it may share a daemon's variables"
    );
}

#[test]
fn a_question_goes_where_the_daemon_answers() {
    let ask = |world: &World, line: &str| match world.load(&format!("health-check {line}")).unwrap().command {
        Command::HealthCheck(settings) => settings,
        other => panic!("{other:?}"),
    };
    let usual = ask(&World::new(), "");
    assert_eq!(
        usual,
        HealthCheckSettings {
            address: address("127.0.0.1:8081"),
            endpoint: "health".into(),
            timeout: Duration::from_secs(5),
        }
    );
    let world = World::new()
        .var("BATON_HEALTH_CHECK", "true")
        .var("BATON_HEALTH_CHECK_PORT", "9000")
        .var("BATON_HEALTH_CHECK_BIND_ADDRESS", "0.0.0.0");
    let asked = ask(&world, "--endpoint ready --timeout 9");
    assert_eq!(
        (asked.address, asked.endpoint.as_str()),
        (address("127.0.0.1:9000"), "ready")
    );
    assert_eq!(asked.timeout, Duration::from_secs(9));
    let six = ask(&World::new(), "--health-check-bind-address ::");
    assert_eq!(six.address, address("[::1]:8081"));
    let wrong = World::new().wrong("health-check --endpoint heart");
    assert_eq!(
        wrong,
        [r#"invalid argument for "--endpoint" flag: expected one of health, ready, live"#]
    );
}
