//! The program under test between a sandbox tenant and the fake platform.
//!
//! Invariant: [`Scene::judge`] ends every test. It asks the auditor, reads all that the program printed, and fails on a secret or a
//! person in it.

use std::fs::{self, File};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use baton_coupa::sandbox::{Matching, PausePoint, Running, SandboxConfig, TruthUser};
use tempfile::TempDir;
use tokio::sync::watch;

use super::fake::{Client, Entry, Event, Finish, Platform, is_task_id};
use super::task::Task;
use crate::changes::cast;
use crate::support::program::program_for;
use crate::support::tenant;

/// Tenant, platform, and a folder that outlives the processes.
pub struct Scene {
    pub sandbox: Running,
    pub platform: Platform,
    pub folder: TempDir,
}

/// A running program; killed when dropped.
pub struct Daemon {
    pid: String,
    ended: watch::Receiver<Option<ExitStatus>>,
}

/// A small tenant in which somebody can be changed.
pub fn small() -> SandboxConfig {
    SandboxConfig {
        users: 60,
        groups: 24,
        roles: 30,
        ..SandboxConfig::default()
    }
}

impl Scene {
    pub async fn new() -> Self {
        Self::with(small(), Client::new()).await
    }

    pub async fn with(config: SandboxConfig, client: Client) -> Self {
        Self {
            sandbox: tenant::start(config).await,
            platform: Platform::with(client).await,
            folder: TempDir::new().unwrap(),
        }
    }

    /// The program as a daemon, not yet started.
    pub fn command(&self) -> Command {
        let authority = self.folder.path().join("authority.pem");
        fs::write(&authority, self.platform.authority_pem()).unwrap();
        let mut command = program_for(&self.sandbox, &self.folder);
        command
            .env("BATON_CLIENT_ID", &self.platform.client.id)
            .env("BATON_CLIENT_SECRET", &self.platform.client.secret)
            .env("BATON_C1_API_HOST", &self.platform.authority)
            .env("BATON_HOST_ID", self.platform.host_id())
            .env("SSL_CERT_FILE", authority)
            .env("BATON_COUPA_REQUESTS_PER_SECOND", "1000")
            // Requests are held for as long as a test wants.
            .env("BATON_HTTP_TIMEOUT_SECONDS", "300")
            .env("BATON_LOG_LEVEL", "trace");
        command
    }

    /// Starts the program with these arguments.
    pub fn start(&self, arguments: &[&str]) -> Daemon {
        let mut command = self.command();
        command.args(arguments);
        self.spawn(command)
    }

    pub fn spawn(&self, mut command: Command) -> Daemon {
        let printed = |name: &str| {
            let path = self.folder.path().join(name);
            File::options().create(true).append(true).open(path).unwrap()
        };
        let child = command
            .stdout(printed("stdout"))
            .stderr(printed("stderr"))
            .stdin(Stdio::null())
            .spawn();
        let mut child = child.unwrap();
        self.platform.back();
        let (end, ended) = watch::channel(None);
        let daemon = Daemon {
            pid: child.id().to_string(),
            ended,
        };
        let (state, errors) = (self.platform.state(), self.folder.path().join("stderr"));
        std::thread::spawn(move || {
            let status = child.wait().unwrap();
            let told = fs::read_to_string(errors).unwrap_or_default();
            let last: Vec<&str> = told.lines().rev().take(5).collect();
            state.gone(format!("{status}; last it said {last:#?}"));
            end.send_replace(Some(status));
        });
        daemon
    }

    /// Starts the program and waits until it has said hello.
    pub async fn greeted(&self, arguments: &[&str]) -> Daemon {
        let daemon = self.start(arguments);
        self.platform
            .wait("Hello", |log| greetings(log).next().map(|_| ()))
            .await;
        daemon
    }

    /// Hands out a task and waits until it is finished.
    pub async fn done(&self, task: Task) -> Finish {
        let id = task.id.clone();
        self.platform.give(task);
        self.finished(&id).await
    }

    /// Waits until the task is finished.
    pub async fn finished(&self, task: &str) -> Finish {
        self.finished_times(task, 1).await.remove(0)
    }

    /// Waits until the task is finished so many times, having been handed out anew.
    pub async fn finished_times(&self, task: &str, times: usize) -> Vec<Finish> {
        let what = format!("the end of {task}");
        self.platform
            .wait(&what, |log| {
                let ends = finishes(log, task);
                (ends.len() >= times).then_some(ends)
            })
            .await
    }

    /// Waits until the task is handed out.
    pub async fn handed(&self, task: &str) {
        let what = format!("{task} handed out");
        let is = |entry: &Entry| matches!(&entry.event, Event::Handed { task: handed } if handed == task);
        self.platform
            .wait(&what, |log| log.iter().any(is).then_some(()))
            .await;
    }

    /// Waits until the program has asked for tasks `times` more times.
    pub async fn asks(&self, times: usize) {
        let before = asked(&self.platform.log());
        self.platform
            .wait("more questions for tasks", |log| {
                (asked(log) >= before + times).then_some(())
            })
            .await;
    }

    /// The file of the last upload for `task`, on disk.
    pub fn uploaded(&self, task: &str) -> std::path::PathBuf {
        let file = self
            .platform
            .log()
            .into_iter()
            .rev()
            .find_map(|entry| match entry.event {
                Event::Uploaded { task: of, file } if of == task => Some(file),
                _ => None,
            });
        let path = self.folder.path().join(format!("{task}.c1z"));
        fs::write(&path, file.unwrap().as_slice()).unwrap();
        path
    }

    /// Holds the next sync while it lists the tenant's groups, past what a change asks, too. To be called when the program idles.
    pub fn hold_sync(&self) {
        self.sandbox.pause(PausePoint::Before(Matching {
            method: Some("GET".to_owned()),
            path_prefix: Some("/api/user_groups".to_owned()),
            nth: 2,
            ..Matching::default()
        }));
    }

    /// A sync that is handed out and held.
    pub async fn held_sync(&self) -> Task {
        self.hold_sync();
        let task = Task::sync();
        self.platform.give(task.clone());
        tokio::select! {
            () = self.sandbox.held() => {}
            _ = self.finished(&task.id) => panic!("the sync ended before it was held\n{}", self.platform.story()),
        }
        task
    }

    /// Users that nothing speaks against changing.
    pub fn people(&self) -> Vec<TruthUser> {
        cast::people(&self.sandbox.truth())
    }

    /// The entitlement of a role that the user does not hold.
    pub fn other_role(&self, user: &TruthUser) -> String {
        cast::entitlement(&cast::other_role(&self.sandbox.truth(), user).unwrap())
    }

    pub fn user(&self, id: u64) -> TruthUser {
        self.sandbox
            .truth()
            .users
            .into_iter()
            .find(|user| user.id == id)
            .unwrap()
    }

    /// Whether the user really holds `role:id:member`.
    pub fn holds(&self, user: u64, role: &str) -> bool {
        let id: u64 = role.split(':').nth(1).unwrap().parse().unwrap();
        assert!(role.starts_with("role:"), "{role}");
        self.user(user).roles.contains(&id)
    }

    /// Writes that reached the tenant.
    pub fn writes(&self) -> usize {
        self.sandbox
            .log()
            .iter()
            .filter(|entry| entry.write.is_some())
            .count()
    }

    pub fn stderr(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }

    /// Asks the program to stop, which it does with success, and judges all that happened.
    pub async fn end(&self, daemon: Daemon) {
        daemon.signal("-TERM");
        let status = daemon.ended().await;
        assert_eq!(
            status.code(),
            Some(0),
            "{}\n{}",
            self.stderr(),
            self.platform.story()
        );
        self.judge();
    }

    /// Waits until the program ends by itself, with this code, and judges all that happened.
    pub async fn ends_with(&self, daemon: Daemon, code: i32) {
        let status = daemon.ended().await;
        assert_eq!(
            status.code(),
            Some(code),
            "{}\n{}",
            self.stderr(),
            self.platform.story()
        );
        self.judge();
    }

    /// No rule violated, no task left, nothing printed that must not be.
    pub fn judge(&self) {
        let found = self.platform.audit();
        assert!(
            found.is_empty(),
            "{}\n{}",
            found.join("\n"),
            self.platform.story()
        );
        let stdout = fs::read(self.folder.path().join("stdout")).unwrap_or_default();
        assert!(stdout.is_empty(), "stdout: {}", String::from_utf8_lossy(&stdout));
        let told = self.stderr();
        for secret in self.platform.secrets() {
            assert!(!told.contains(&secret), "a secret of the platform shows");
        }
        assert!(
            !told.contains(self.sandbox.client_secret()),
            "a secret of Coupa shows"
        );
        for user in self.sandbox.truth().users {
            let personal = [
                Some(user.login),
                user.email,
                Some(user.full_name),
                user.employee_number,
            ];
            // Short texts would be found in any log by chance.
            for value in personal.into_iter().flatten().filter(|value| value.len() > 5) {
                let line = told.lines().find(|line| shows(line, &value));
                assert!(
                    line.is_none(),
                    "a personal value of user {} shows: {line:?}",
                    user.id
                );
            }
        }
        self.judge_files();
    }

    /// Nothing lies about but what is meant to stay, and no secret in any of it.
    fn judge_files(&self) {
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                let ours = name.strip_suffix(".c1z").is_some_and(is_task_id);
                let top = ["state", "stdout", "stderr", "authority.pem"].contains(&name.as_str()) || ours;
                assert!(top || folder != self.folder.path(), "{name} is left behind");
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let held = fs::read(&path).unwrap();
                    let held = String::from_utf8_lossy(&held);
                    let secret = self
                        .platform
                        .secrets()
                        .into_iter()
                        .any(|secret| held.contains(&secret));
                    assert!(!secret, "a secret of the platform lies in {name}");
                }
            }
        }
    }
}

impl Daemon {
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.pid]).status().unwrap();
        assert!(sent.success(), "the program is there no more");
    }

    pub async fn ended(&self) -> ExitStatus {
        // Against waiting for ever, no measure of speed.
        const GUARD: Duration = Duration::from_mins(2);
        let mut ended = self.ended.clone();
        let waited = tokio::time::timeout(GUARD, ended.wait_for(Option::is_some)).await;
        waited.expect("the program ends").unwrap().unwrap()
    }

    pub fn is_running(&self) -> bool {
        self.ended.borrow().is_none()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.is_running() {
            let _ = Command::new("kill").args(["-KILL", &self.pid]).status();
        }
    }
}

/// Whether `line` holds `value`, which is no part of a number if it consists of digits.
fn shows(line: &str, value: &str) -> bool {
    let number = value.bytes().all(|byte| byte.is_ascii_digit());
    line.match_indices(value).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + value.len()..].chars().next();
        let goes_on = |c: char| c.is_ascii_digit() || c == '.';
        !number || !(before.is_some_and(goes_on) || after.is_some_and(goes_on))
    })
}

/// Accepted Hellos, by the task they name.
pub fn greetings(log: &[Entry]) -> impl Iterator<Item = &str> {
    log.iter().filter_map(|entry| match &entry.event {
        Event::Hello { task, .. } => Some(task.as_str()),
        _ => None,
    })
}

pub fn finishes(log: &[Entry], task: &str) -> Vec<Finish> {
    let ends = log.iter().filter_map(|entry| match &entry.event {
        Event::Finished { task: of, finish } if of == task => Some(finish.clone()),
        _ => None,
    });
    ends.collect()
}

/// Questions for tasks so far.
pub fn asked(log: &[Entry]) -> usize {
    log.iter()
        .filter(|entry| matches!(entry.event, Event::Asked { .. }))
        .count()
}
