//! A child takes whatever its runner was given.

use super::*;
use crate::server::Socket;

fn started() -> World {
    World::new().var("BATON_CONNECTOR_SERVICE_LISTENER_FD", "3")
}

fn child(world: &World, line: &str) -> (ChildSettings, Vec<String>) {
    let invocation = world.load(&format!("{line} _connector-service")).unwrap();
    match invocation.command {
        Command::Child(settings) => (settings, invocation.warnings),
        other => panic!("{other:?}"),
    }
}

/// Every flag of the SDK (connector-protocol, section 2.2) with a value that the SDK takes.
const RUNNER: &str = "--client-id a@b/c --client-secret x --file f.c1z -p --ticketing --skip-full-sync --log-format json \
    --log-path l --log-level debug --log-level-debug-expires-at t --auth-method m --workers -1 --parallel-sync --sync-resources \
    bid:r:user/1 --sync-resource-types user --skip-entitlements-and-grants --skip-grants --storage-engine pebble \
    --keep-previous-sync-c1z --external-resource-c1z e.c1z --external-resource-entitlement-id-filter f \
    --external-resource-traits user --grant-entitlement e --grant-principal p --grant-principal-type user --revoke-grant g \
    --create-account-login l --create-account-email e --create-account-profile {} --create-account-resource-type user \
    --delete-resource 1 --delete-resource-type user --rotate-credentials 1 --rotate-credentials-type user --event-feed true \
    --event-feed-id i --event-feed-start-at s --event-feed-cursor c --invoke-action a --invoke-action-args {} \
    --invoke-action-resource-type user --list-action-schemas --list-action-schemas-resource-type user --create-ticket \
    --bulk-create-ticket --ticket-template-path p --bulk-ticket-template-path p --get-ticket --ticket-id 1 --list-ticket-schemas \
    --list-resource-actions r --invoke-resource-action a --invoke-resource-action-resource-type r \
    --invoke-resource-action-args {} --diff-syncs --base-sync-id 1 --applied-sync-id 2 --compact-syncs --compact-output-path o \
    --compact-file-paths a,b --compact-sync-ids 1,2 --otel-collector-endpoint c:1 --otel-collector-endpoint-tls-cert-path p \
    --otel-collector-endpoint-tls-cert c --otel-collector-endpoint-tls-insecure --otel-tracing-disabled --otel-logging-disabled \
    --health-check --health-check-port 9 --health-check-bind-address 0.0.0.0 --http-timeout-seconds 9 \
    --session-store-maximum-size 9 --task-concurrency 9";

#[test]
fn every_flag_of_the_runner_is_taken() {
    let (settings, _) = child(&started(), &format!("{TENANT} {RUNNER}"));
    assert_eq!(settings.socket, Socket::Inherited(3));
    assert!(settings.changes.is_some());
    assert_eq!(
        settings.tenant.http_timeout,
        Some(std::time::Duration::from_secs(9))
    );
}

#[test]
fn every_variable_of_the_runner_is_taken() {
    let mut world = started()
        .var("BATON_COUPA_CLIENT_ID", "id")
        .var("BATON_COUPA_CLIENT_SECRET", "secret")
        .var("BATON_COUPA_DOMAIN", "acme.coupahost.com")
        .var("BATON_OF_TOMORROW", "1");
    let mut flags = RUNNER.split_whitespace().peekable();
    while let Some(flag) = flags.next() {
        let Some(flag) = flag.strip_prefix("--") else {
            continue;
        };
        let value = flags.next_if(|next| !next.starts_with("--") && *next != "-p");
        world = world.var(&variable(flag), value.unwrap_or("true"));
    }
    let (settings, _) = child(&world, "");
    assert!(settings.changes.is_some());
}

#[test]
fn flags_of_a_later_sdk_are_set_aside_with_their_values() {
    for line in [
        "--of-tomorrow",
        "--of-tomorrow=secret-value",
        "--of-tomorrow secret-value",
        "--of-tomorrow config --also-new",
        "-x",
        "-xp",
        "-px secret-value",
        "-x=secret-value",
    ] {
        for line in [format!("{TENANT} {line}"), format!("{line} {TENANT}")] {
            let (settings, warnings) = child(&started(), &line);
            assert!(matches!(settings.tenant.target, Target::Coupa(_)), "{line}");
            let told = warnings.join("\n");
            assert!(
                told.contains("unknown flag -") && !told.contains("secret-value"),
                "{line}: {told}"
            );
            assert_eq!(
                settings.changes.is_some(),
                line.contains("-xp") || line.contains("-px")
            );
        }
    }
    // Everywhere else they are errors.
    assert!(
        World::new()
            .load(&format!("serve {TENANT} --of-tomorrow"))
            .is_err()
    );
}

#[test]
fn what_only_the_runner_heeds_may_have_any_value() {
    let line = format!(
        "{TENANT} --workers=many --sync-resource-types=app --storage-engine=tape --task-concurrency=0 --create-account-profile=no \
         --health-check=perhaps"
    );
    let (_, warnings) = child(&started(), &line);
    assert_eq!(
        warnings
            .iter()
            .filter(|told| told.contains("only in the runner"))
            .count(),
        6,
        "{warnings:?}"
    );
    // What the child heeds must be right.
    let told = started()
        .load(&format!("{TENANT} --coupa-max-in-flight=0 _connector-service"))
        .unwrap_err();
    assert!(told.to_string().contains("coupa-max-in-flight"));
}

#[test]
fn changes_are_made_where_the_runner_is_to_make_one() {
    let live = |line: &str| child(&started(), &format!("{TENANT} {line}")).0.changes.is_some();
    assert!(!live(""));
    assert!(!live("--list-action-schemas") && !live("--ticketing") && !live("--event-feed true"));
    for line in [
        "--provisioning",
        "--grant-entitlement e",
        "--revoke-grant g",
        "--create-account-login l",
        "--create-account-email e",
        "--create-account-profile {\"a\":1}",
        "--delete-resource 1",
        "--rotate-credentials 1",
        "--invoke-action a",
    ] {
        assert!(live(line), "{line}");
    }
}

#[test]
fn changes_without_a_place_for_their_journal_do_not_stop_a_child() {
    // No home, no state directory.
    let (settings, _) = child(&started(), &format!("{TENANT} -p"));
    assert_eq!(settings.tenant.state_dir, StateDir::Nowhere);
    let (settings, _) = child(&started(), "--sandbox -p");
    assert_eq!(settings.tenant.state_dir, StateDir::Temporary);
}

#[test]
fn what_is_required_and_the_socket_are_asked_for_at_once() {
    let told = World::new()
        .load("--coupa-domain=acme.coupahost.com _connector-service")
        .unwrap_err();
    let told = told.to_string();
    assert!(
        told.contains("\"coupa-client-id\", \"coupa-client-secret\""),
        "{told}"
    );
    assert!(
        told.contains("BATON_CONNECTOR_SERVICE_LISTENER_FD is not set"),
        "{told}"
    );
    let world = World::new().var("BATON_CONNECTOR_SERVICE_LISTENER_FD", "three");
    let told = world
        .load(&format!("{TENANT} _connector-service"))
        .unwrap_err()
        .to_string();
    assert!(told.contains("expected the number"), "{told}");
}

#[test]
fn lists_and_the_file_count_as_everywhere() {
    let world = started()
        .yaml("coupa-domain: acme.coupahost.com\ncoupa-client-id: id\ncoupa-client-secret: secret\naccount-classes: [internal]\n");
    let (settings, _) = child(&world, "--account-classes api");
    assert_eq!(
        settings.tenant.account_classes,
        [AccountClass::Internal, AccountClass::Api]
    );
}
