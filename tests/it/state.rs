//! The state directory as the built program uses it: whose it is, and that its journal is heeded by readers.

use std::path::{Path, PathBuf};
use std::process::Command;

use baton_coupa::coupa::Endpoint;
use baton_coupa::model::access::Item;
use baton_coupa::model::change::Via;
use baton_coupa::model::id::{RoleId, UserId};
use baton_coupa::model::journal::{Held, Intent, Journal, Subject};
use baton_coupa::sandbox::{Running, SandboxConfig};
use baton_coupa::state::State;
use tempfile::TempDir;

use crate::support::tenant;

fn state_dir(folder: &Path) -> PathBuf {
    folder.join("state")
}

/// One sync of `sandbox` as `client_id`; its exit code and what it said.
async fn sync(sandbox: &Running, folder: &Path, client_id: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baton-coupa"));
    command
        .env_clear()
        .env("BATON_STATE_DIR", state_dir(folder))
        .env("BATON_FILE", folder.join("sync.c1z"))
        .env("BATON_TMPDIR", folder)
        .env("BATON_COUPA_BASE_URL", sandbox.base_url())
        .env("BATON_COUPA_CLIENT_ID", client_id)
        .env("BATON_COUPA_CLIENT_SECRET", sandbox.client_secret());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

async fn small() -> Running {
    tenant::start(SandboxConfig {
        users: 60,
        ..SandboxConfig::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_client_is_not_stuck_to_the_directory_and_a_second_one_is_refused() {
    let (sandbox, folder) = (small().await, TempDir::new().unwrap());
    let own = sandbox.client_id();
    let (code, told) = sync(&sandbox, folder.path(), "mistyped").await;
    assert_eq!(code, Some(16), "{told}");
    let (code, told) = sync(&sandbox, folder.path(), own).await;
    assert_eq!(code, Some(0), "{told}");
    let (code, told) = sync(&sandbox, folder.path(), "somebody-else").await;
    assert_ne!(code, Some(0));
    let last = told.lines().last().unwrap_or_default();
    for part in ["OAuth client", &own[..6], "somebo", "--state-dir"] {
        assert!(last.contains(part), "{part:?} is not in the last line: {last}");
    }
    assert!(!told.contains(own) && !told.contains("somebody-else"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_heeds_the_journal_and_does_not_pass_over_what_it_cannot_read() {
    let (sandbox, folder) = (small().await, TempDir::new().unwrap());
    let endpoint = Endpoint::from_base_url(&sandbox.base_url()).unwrap();
    let state = State::open(&state_dir(folder.path()), endpoint.host(), sandbox.client_id()).unwrap();
    let entry = state
        .open(&Intent {
            request: None,
            via: Via::CommandLine,
            user: UserId::new(5),
            subject: Subject::Revoke(Item::Role(RoleId::new(7).unwrap())),
            before: Held::Ids(vec![1, 7]),
            wanted: Held::Ids(vec![1]),
        })
        .unwrap();
    let (code, told) = sync(&sandbox, folder.path(), sandbox.client_id()).await;
    assert_eq!(code, Some(0), "nothing was emptied yet: {told}");

    let db = rusqlite::Connection::open(state.dir().join("state.db")).unwrap();
    db.execute(r#"update entry set stage = '"of-a-later-version"'"#, [])
        .unwrap();
    let (code, told) = sync(&sandbox, folder.path(), sandbox.client_id()).await;
    assert_ne!(code, Some(0));
    let last = told.lines().last().unwrap_or_default();
    assert!(last.contains(&format!("entry {entry} of the journal")), "{last}");
}
