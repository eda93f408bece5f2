//! The built program as a child process with nothing of this process's environment.

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
