//! The loop in which the ecosystem accepts a connector, with the built program: sync, grant, grant again, sync, revoke, revoke again, sync.

use std::process::Command;

use baton_coupa::sandbox::{Running, SandboxConfig, TruthUser};
use tempfile::TempDir;

use super::cast;
use super::house::{LICENSE, license};
use crate::support::program::{output, program_for, stderr};
use crate::support::reader::C1z;
use crate::support::tenant;

async fn succeeds(command: Command, what: &str) {
    let output = output(command).await;
    assert!(output.status.success(), "{what}: {}", stderr(&output));
    assert!(output.stdout.is_empty(), "{what}: stdout stays clean");
}

fn with(sandbox: &Running, folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = program_for(sandbox, folder);
    command
        .env("BATON_COUPA_REQUESTS_PER_SECOND", "1000")
        .args(arguments);
    command
}

async fn granted(sandbox: &Running, folder: &TempDir, grant: &str) -> bool {
    succeeds(with(sandbox, folder, &[]), "sync").await;
    let file = C1z::open(&folder.path().join("sync.c1z"));
    file.rows()
        .contains_key(&("v1_grants".to_owned(), grant.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_grant_twice_sync_revoke_twice_sync() {
    let sandbox = tenant::start(SandboxConfig {
        users: 120,
        ..SandboxConfig::default()
    })
    .await;
    let truth = sandbox.truth();
    let unlicensed = |user: &TruthUser| !user.licenses.iter().any(|name| name == LICENSE);
    let user = cast::people(&truth).into_iter().find(unlicensed).unwrap();
    for item in [
        cast::other_role(&truth, &user).unwrap(),
        cast::other_group(&truth, &user).unwrap(),
        license(LICENSE),
    ] {
        let entitlement = cast::entitlement(&item);
        let folder = TempDir::new().unwrap();
        let (principal, grant) = (user.id.to_string(), format!("{entitlement}:user:{}", user.id));
        let giving = [
            "--grant-entitlement",
            &entitlement,
            "--grant-principal",
            &principal,
            "--grant-principal-type",
            "user",
        ];
        assert!(!granted(&sandbox, &folder, &grant).await, "{grant} before");
        for _ in 0..2 {
            succeeds(with(&sandbox, &folder, &giving), &grant).await;
        }
        assert!(
            granted(&sandbox, &folder, &grant).await,
            "{grant} after the grant"
        );
        for _ in 0..2 {
            succeeds(with(&sandbox, &folder, &["--revoke-grant", &grant]), &grant).await;
        }
        assert!(
            !granted(&sandbox, &folder, &grant).await,
            "{grant} after the revoke"
        );
        let again = output(with(&sandbox, &folder, &["--revoke-grant", &grant])).await;
        assert_eq!(
            again.status.code(),
            Some(5),
            "it is no longer in the file: {}",
            stderr(&again)
        );
    }
    assert_eq!(
        serde_json::to_value(sandbox.truth()).unwrap()["users"],
        serde_json::to_value(&truth).unwrap()["users"],
        "all is as it was"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_end_with_their_exit_code() {
    let sandbox = tenant::start(SandboxConfig {
        users: 60,
        ..SandboxConfig::default()
    })
    .await;
    let folder = TempDir::new().unwrap();
    succeeds(with(&sandbox, &folder, &[]), "sync").await;
    let truth = sandbox.truth();
    let user = cast::people(&truth).remove(0);
    let entitlement = cast::entitlement(&cast::other_group(&truth, &user).unwrap());
    let principal = user.id.to_string();
    let giving = [
        "--grant-entitlement",
        &entitlement,
        "--grant-principal",
        &principal,
        "--grant-principal-type",
        "user",
    ];
    let mut wrong = with(&sandbox, &folder, &giving);
    wrong.env("BATON_COUPA_CLIENT_SECRET", "wrong");
    let output = output(wrong).await;
    assert!(
        matches!(output.status.code(), Some(7 | 16)),
        "{}",
        stderr(&output)
    );
    let now = serde_json::to_value(sandbox.truth()).unwrap();
    assert_eq!(now, serde_json::to_value(truth).unwrap(), "nothing was changed");
}
