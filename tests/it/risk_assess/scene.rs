//! A sandbox with its Risk Assess tenant, and the built program before it with a state directory of its own.

use std::process::{Command, Output};

use baton_coupa::sandbox::risk_assess::{Account, Form, Readings as Theirs, Switch};
use baton_coupa::sandbox::{Change, Edit, ProfileEdit, Readings, Running, SandboxConfig, TruthUser};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde_json::Value;
use tempfile::TempDir;

use crate::changes::cast;
use crate::support::program::{output, program_for, stderr};
use crate::support::tenant;

pub const LICENSE: &str = "risk-assess-user";

pub struct Scene {
    pub sandbox: Running,
    pub folder: TempDir,
}

impl Scene {
    pub async fn with(theirs: Theirs) -> Self {
        let sandbox = tenant::start(SandboxConfig {
            users: 120,
            readings: Readings {
                risk_assess: theirs,
                ..Readings::default()
            },
            ..SandboxConfig::default()
        })
        .await;
        Self {
            sandbox,
            folder: TempDir::new().unwrap(),
        }
    }

    /// The tenant's User Sync is on.
    pub async fn synced() -> Self {
        Self::with(Theirs {
            user_sync: Switch::On,
            ..Theirs::default()
        })
        .await
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = program_for(&self.sandbox, &self.folder);
        command.env("BATON_COUPA_REQUESTS_PER_SECOND", "1000").args(words);
        command
    }

    pub async fn run(&self, words: &[&str]) -> Output {
        output(self.command(words)).await
    }

    pub async fn succeeds(&self, words: &[&str]) -> String {
        let output = self.run(words).await;
        assert!(output.status.success(), "{words:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What the ledger says of a user.
    pub async fn record(&self, user: u64) -> Value {
        let all = self.ledger().await;
        let of = |account: &&Value| account["user"] == user;
        all["accounts"]
            .as_array()
            .unwrap()
            .iter()
            .find(of)
            .unwrap()
            .clone()
    }

    pub async fn ledger(&self) -> Value {
        serde_json::from_str(&self.succeeds(&["risk-assess", "--format", "json"]).await).unwrap()
    }

    pub async fn grant(&self, user: u64) -> Output {
        let principal = user.to_string();
        let entitlement = format!("license:{LICENSE}:assigned");
        self.run(&[
            "--grant-entitlement",
            &entitlement,
            "--grant-principal",
            &principal,
            "--grant-principal-type",
            "user",
        ])
        .await
    }

    /// The account there of a Coupa user, whatever its state.
    pub fn account(&self, user: u64) -> Option<Account> {
        let found = self.sandbox.risk_assess().accounts_of(user);
        assert!(found.len() < 2, "two accounts of one user");
        found.into_iter().next()
    }

    /// A person exports the grid; the day said is that after today, so that nothing was changed since.
    pub async fn reconcile(&self) -> String {
        let grid = self.folder.path().join("grid.csv");
        std::fs::write(&grid, self.sandbox.risk_assess().grid(Form::Csv)).unwrap();
        self.succeeds(&[
            "risk-assess",
            "reconcile",
            "--grid",
            grid.to_str().unwrap(),
            "--grid-date",
            &tomorrow(),
        ])
        .await
    }

    /// Somebody else changes a person in Coupa.
    pub fn change(&self, user: u64, edit: ProfileEdit) {
        let change = Change::SetProfile(Box::new(edit));
        self.sandbox.edit(&Edit { user, change }).unwrap();
    }

    pub fn set_active(&self, user: u64, active: bool) {
        let change = Change::SetActive(active);
        self.sandbox.edit(&Edit { user, change }).unwrap();
    }

    /// Employees without the license whom nothing speaks against.
    pub fn candidates(&self) -> Vec<TruthUser> {
        let truth = self.sandbox.truth();
        let free = |user: &TruthUser| !user.licenses.iter().any(|name| name == LICENSE);
        cast::people(&truth).into_iter().filter(free).collect()
    }

    /// One of them, with an address of its own and nothing odd.
    pub fn candidate(&self) -> u64 {
        let user = self.candidates()[0].id;
        self.make_plain(user, "ada");
        user
    }

    /// Makes a person one whom no rule remarks on.
    pub fn make_plain(&self, user: u64, login: &str) {
        self.change(
            user,
            ProfileEdit {
                login: Some(login.to_owned()),
                email: Some(format!("{login}@corp.example")),
                firstname: Some("Ada".to_owned()),
                lastname: Some("Byron".to_owned()),
                empty: vec!["phone-work".to_owned(), "default-address".to_owned()],
                ..ProfileEdit::default()
            },
        );
    }
}

pub fn tomorrow() -> String {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    today.saturating_add(1.day()).to_string()
}
