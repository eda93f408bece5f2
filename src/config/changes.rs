//! Typed settings of what changes a tenant, and of what looks at the journal of changes.
//!
//! Invariant: whatever may write has a state directory for its journal; a temporary one only where the tenant, too, ends with the process, or
//! where nothing is written after all.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::problem::Problem;
use super::risk_assess::RiskAssessSettings;
use super::settings::{Reader, StateDir, Target, TenantSettings, path};
use crate::model::journal::{EntryId, Which};
use crate::oneshot::{Account, Action, ResourceName, Task};
use crate::provision::{Exception, Policy};

/// What settings decide about changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSettings {
    /// Which policies a person has lifted.
    pub policy: Policy,
    /// How long the journal keeps entries after their end; at least a day.
    pub journal_retention: Duration,
}

/// One change, or one question about changes.
#[derive(Debug)]
pub struct OneShotSettings {
    /// The tenant.
    pub tenant: TenantSettings,
    /// File whose last sync the task's names are looked up in.
    pub file: PathBuf,
    /// What to do.
    pub task: Task,
    /// Whether to do it.
    pub mode: OneShotMode,
    /// How to go about it.
    pub changes: ChangeSettings,
    /// How the Risk Assess license is gone about.
    pub risk_assess: RiskAssessSettings,
}

/// Whether a change is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OneShotMode {
    /// It is made.
    Apply,
    /// What would be sent is printed.
    DryRun,
}

/// A look at the journal. Its `Debug` hides the client.
pub struct JournalSettings {
    /// State directory.
    pub dir: PathBuf,
    /// Key of the tenant: its host.
    pub tenant: String,
    /// OAuth client id, to which the journal is bound.
    pub client_id: String,
    /// Which entries.
    pub which: Which,
    /// How they are shown.
    pub form: JournalForm,
}

impl fmt::Debug for JournalSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalSettings")
            .field("dir", &self.dir)
            .field("tenant", &self.tenant)
            .field("which", &self.which)
            .field("form", &self.form)
            .finish_non_exhaustive()
    }
}

/// How entries of the journal are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalForm {
    /// A table for a person.
    Table,
    /// One JSON object per line.
    JsonLines,
}

/// Recovery by hand.
#[derive(Debug)]
pub struct RecoverSettings {
    /// The tenant.
    pub tenant: TenantSettings,
    /// How to go about changes.
    pub changes: ChangeSettings,
    /// What to bring to an end.
    pub what: Recovery,
}

/// What recovery by hand is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// Every open entry that does not wait for a person.
    Everything,
    /// This entry, as recovery would.
    Entry(EntryId),
    /// Put back what the entry's user lacks through us.
    Restore(EntryId),
    /// Close the entry; leave Coupa as it is.
    Accept(EntryId),
}

/// Settings that ask for a task; where several do, the first is done, as in the ecosystem. Two of one task stand side by side.
const TASKS: [&[&str]; 6] = [
    &["grant-entitlement"],
    &["revoke-grant"],
    &["create-account-profile", "create-account-login"],
    &["invoke-action"],
    &["list-action-schemas"],
    &["delete-resource"],
];

impl Reader<'_> {
    /// What a run without a sub-command is to do, if it is not a sync. What is passed over is told.
    pub(super) fn task(&mut self) -> Option<Task> {
        let mut asked = TASKS
            .into_iter()
            .filter_map(|names| names.iter().find(|name| self.values.given(name)));
        let first = *asked.next()?;
        let passed_over: Vec<String> = asked
            .map(|name| format!("{name} has no effect: {first} comes first, and a run does one thing"))
            .collect();
        self.warnings.extend(passed_over);
        Some(match first {
            "grant-entitlement" => self.grant(),
            "revoke-grant" => Task::Revoke {
                grant: self.owned("revoke-grant"),
            },
            "invoke-action" => Task::InvokeAction(Action {
                name: self.owned("invoke-action"),
                args: self.values.object("invoke-action-args"),
                resource_type: self.owned("invoke-action-resource-type"),
            }),
            "list-action-schemas" => Task::ListActionSchemas {
                resource_type: self.owned("list-action-schemas-resource-type"),
            },
            "delete-resource" => Task::DeleteResource(ResourceName {
                kind: self.owned("delete-resource-type"),
                id: self.owned("delete-resource"),
            }),
            _ => Task::CreateAccount(Account {
                login: self.owned("create-account-login"),
                email: self.owned("create-account-email"),
                profile: self.values.object("create-account-profile"),
                resource_type: self.owned("create-account-resource-type"),
            }),
        })
    }

    fn grant(&mut self) -> Task {
        let kind = self.owned("grant-principal-type");
        if kind.is_empty() {
            // The ecosystem's words, which say little.
            self.unusable("unknown provisioning action: grant-principal-type is not set");
        }
        Task::Grant {
            entitlement: self.owned("grant-entitlement"),
            principal: ResourceName {
                kind,
                id: self.owned("grant-principal"),
            },
        }
    }

    /// `None` only with a problem noted.
    pub(super) fn one_shot(&mut self, task: Task) -> Option<OneShotSettings> {
        let mut tenant = self.tenant();
        let mode = if self.values.switch("dry-run") {
            OneShotMode::DryRun
        } else {
            OneShotMode::Apply
        };
        if task.is_change() {
            self.keep_journal(tenant.as_mut(), mode);
        } else if mode == OneShotMode::DryRun {
            self.unusable("dry-run: this task changes nothing in Coupa; leave dry-run out");
        }
        let file = path(self.values.text("file"));
        if file.is_none() && task.reads_file() {
            self.unusable("file: expected the path of the sync file to look the change's names up in");
        }
        let risk_assess = self.risk_assess();
        Some(OneShotSettings {
            tenant: tenant?,
            file: file.unwrap_or_default(),
            task,
            mode,
            changes: self.changes(),
            risk_assess: risk_assess?,
        })
    }

    /// A sync has nothing to rehearse.
    pub(super) fn no_dry_run(&mut self) {
        if self.values.switch("dry-run") {
            self.unusable(
                "dry-run: a sync changes nothing in Coupa; leave dry-run out, or name a change, for instance with --revoke-grant",
            );
        }
    }

    /// `None` only with a problem noted.
    pub(super) fn journal(&mut self, form: JournalForm) -> Option<JournalSettings> {
        let dir = self.journal_place();
        let target = self.coupa();
        let values = self.values;
        let which = if values.switch("open") {
            Which::Open
        } else if values.switch("closed") {
            Which::Closed
        } else {
            Which::All
        };
        let form = if values.switch("json") {
            JournalForm::JsonLines
        } else {
            form
        };
        let target = target?;
        Some(JournalSettings {
            dir: dir?,
            tenant: target.endpoint.host().to_owned(),
            client_id: target.client_id,
            which,
            form,
        })
    }

    /// `None` only with a problem noted.
    pub(super) fn recover(&mut self) -> Option<RecoverSettings> {
        let place = self.journal_place();
        let tenant = self.tenant();
        place?;
        let values = self.values;
        let entry = EntryId(values.int("entry"));
        let what = if !values.given("entry") {
            Recovery::Everything
        } else if values.switch("restore") {
            Recovery::Restore(entry)
        } else if values.switch("accept") {
            Recovery::Accept(entry)
        } else {
            Recovery::Entry(entry)
        };
        Some(RecoverSettings {
            tenant: tenant?,
            changes: self.changes(),
            what,
        })
    }

    pub(super) fn changes(&self) -> ChangeSettings {
        const DAY: u64 = 24 * 60 * 60;
        let days = u64::try_from(self.values.int("journal-retention-days")).unwrap_or(1);
        // The table lets no other names through.
        let allow = self.values.list("provisioning-allow");
        ChangeSettings {
            policy: Policy {
                allow: allow
                    .iter()
                    .filter_map(|name| Exception::from_name(name))
                    .collect(),
            },
            journal_retention: Duration::from_secs(days * DAY),
        }
    }

    /// Sees to a place for the journal of what is about to write.
    pub(super) fn keep_journal(&mut self, tenant: Option<&mut TenantSettings>, mode: OneShotMode) {
        let Some(tenant) = tenant else { return };
        match (&tenant.target, &tenant.state_dir, mode) {
            (Target::Sandbox(_), _, _) => {
                tenant.state_dir = StateDir::Temporary;
                let told =
                    "the journal of changes is temporary: the embedded sandbox forgets the changes, too";
                self.warnings.push(told.to_owned());
            }
            (Target::Coupa(_), StateDir::Nowhere, OneShotMode::DryRun) => {
                tenant.state_dir = StateDir::Temporary;
            }
            (Target::Coupa(_), StateDir::Nowhere, OneShotMode::Apply) => self.no_place(),
            (Target::Coupa(_), StateDir::Named(_) | StateDir::PerUser(_) | StateDir::Temporary, _) => {}
        }
    }

    /// Where a journal is that was kept; `None` with the problem noted.
    pub(super) fn journal_place(&mut self) -> Option<PathBuf> {
        if self.values.switch("sandbox") {
            self.unusable("the embedded sandbox keeps no journal when it ends, so there is none to look at");
            return None;
        }
        match self.state_dir() {
            StateDir::Named(dir) | StateDir::PerUser(dir) => Some(dir),
            StateDir::Temporary | StateDir::Nowhere => {
                self.no_place();
                None
            }
        }
    }

    fn no_place(&mut self) {
        self.unusable("changes need a state directory that lasts, for their journal: set --state-dir");
    }

    fn unusable(&mut self, what: &str) {
        self.problems.push(Problem::Unusable(what.to_owned()));
    }

    fn owned(&self, name: &str) -> String {
        self.values.text(name).to_owned()
    }
}
