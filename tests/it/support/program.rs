//! The built program as a child process with nothing of this process's environment.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use baton_coupa::sandbox::Running;
use tempfile::TempDir;

/// The program with nothing of this process's environment but the path.
pub fn program(folder: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baton-coupa"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("BATON_STATE_DIR", folder.path().join("state"))
        .env("BATON_FILE", folder.path().join("sync.c1z"))
        .env("BATON_TMPDIR", folder.path())
        // Nothing may go to the system's place when another is named.
        .env("TMPDIR", folder.path().join("missing"))
        .env("BATON_LOG_FORMAT", "json")
        .current_dir(folder.path())
        .stdin(Stdio::null());
    command
}

/// The program pointed at `sandbox`.
pub fn program_for(sandbox: &Running, folder: &TempDir) -> Command {
    let mut command = program(folder);
    command
        .env("BATON_COUPA_BASE_URL", sandbox.base_url())
        .env("BATON_COUPA_CLIENT_ID", sandbox.client_id())
        .env("BATON_COUPA_CLIENT_SECRET", sandbox.client_secret())
        .env("BATON_COUPA_REQUESTS_PER_SECOND", "25");
    command
}

pub async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What the program prints without a single setting.
pub async fn printed(words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baton-coupa"));
    let folder = TempDir::new().unwrap();
    command
        .env_clear()
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .args(words);
    let output = output(command).await;
    assert!(output.status.success(), "{words:?}: {}", stderr(&output));
    assert!(output.stderr.is_empty(), "{words:?}: {}", stderr(&output));
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing is written"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Fails unless the committed file is that text; `UPDATE_GOLDEN=1` writes it anew. `path` is relative to the repository.
pub fn assert_golden(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, text).unwrap();
    }
    assert!(
        fs::read_to_string(file).unwrap() == text,
        "{path} differs; read the diff after UPDATE_GOLDEN=1. It is now:\n{text}"
    );
}
