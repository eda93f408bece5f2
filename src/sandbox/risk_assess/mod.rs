//! A pretend Risk Assess tenant beside the Coupa tenant: its own user table, Coupa's User Sync into it, the import, the grid, the error report.
//!
//! Invariants: written from the documents and from nothing else; whatever they leave open is a switch of [`Readings`]. It lives under the lock of
//! the Coupa tenant, so what happens to both happens in one order. Every look at it first carries out what is due.
//!
//! ```text
//! change (any commit) ─► follow ─► native ─┐
//! POST /QuickIntegration/Users ─► door ─► import ─┼─► accounts ─► export (grid)
//! a person: edits, template ───────────────┘     └─► problems ─► letters ─► mail
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::mail::Mailbox;

mod accounts;
mod control;
mod coupa_user;
mod door;
mod edits;
mod export;
mod fields;
mod follow;
mod hand_made;
mod handle;
mod import;
mod letters;
mod native;
mod problems;
mod readings;
mod rules;
mod table;
mod template;

pub use accounts::{Account, Origin};
pub use edits::{Details, Edit, EditError};
pub use fields::Field;
pub use hand_made::{HandMade, Why};
pub use handle::Handle;
pub use problems::{ErrorReport, Original, Problem, Reason, Source};
pub use readings::{
    BadRows, Delay, GridColumn, Limits, NativeReport, NoAddress, NoSeat, Phones, Readings, Removal, Rename,
    Retrigger, Switch, UnknownColumns, Updated,
};
pub use table::Form;
pub use template::{ProblemLine, UserImport};

pub(super) use control::routes;
pub(super) use coupa_user::LICENSE;
pub(super) use door::BODY_CAP;

use accounts::{Directory, Key};
use import::{Outcome, Plan, Row};
use native::Tiding;

/// Name of the tenant, as it stands in the title of the error report.
pub const TENANT_NAME: &str = "Sandbox";

/// The group without which a login may not import (D498).
const INTEGRATION_GROUP: &str = "QuickIntegration";

/// The login that imports.
pub(super) const INTEGRATION_LOGIN: &str = "quick.integration@riskassess.example";

/// The tenant.
pub(super) struct RiskAssess {
    table: Directory,
    hand_made: Vec<HandMade>,
    site_administrator: u64,
    password: SecretString,
    readings: Readings,
    problems: Vec<Problem>,
    /// Saves of Coupa users that have not arrived yet, oldest first.
    waiting: VecDeque<Tiding>,
    queue: Vec<Job>,
    imports: Vec<ImportRecord>,
    clock: Arc<AtomicU64>,
    pub(super) mailbox: Arc<Mailbox>,
}

/// A file that came to the import, and what became of it. `Debug` leaves out its rows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ImportRecord {
    /// Content type of the part.
    pub content_type: Option<String>,
    /// Name of the file.
    pub file_name: Option<String>,
    /// What it was read as; `None` if it could not be read.
    pub form: Option<Form>,
    /// Its rows: values by header as written, blank ones too.
    pub rows: Vec<BTreeMap<String, String>>,
    /// The status it was judged with; a fault may have kept the client from seeing it.
    pub status: u16,
    /// Accounts it made.
    pub made: usize,
    /// Accounts it changed.
    pub changed: usize,
    /// Whether it was carried out, be it later or in part.
    pub carried_out: bool,
}

impl std::fmt::Debug for ImportRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImportRecord")
            .field("form", &self.form)
            .field("rows", &self.rows.len())
            .field("status", &self.status)
            .field("made", &self.made)
            .field("changed", &self.changed)
            .field("carried_out", &self.carried_out)
            .finish_non_exhaustive()
    }
}

/// Rows that are to be carried out.
pub(super) struct Job {
    /// Place of the file in the records.
    record: usize,
    rows: Vec<Row>,
}

/// What came of carrying out everything that waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Settled {
    /// Saves of Coupa users that arrived.
    pub syncs: usize,
    /// Imports that had their turn.
    pub imports: usize,
}

impl RiskAssess {
    pub(super) fn new(password: SecretString, readings: Readings) -> Self {
        Self {
            table: Directory::default(),
            hand_made: Vec::new(),
            site_administrator: 0,
            password,
            readings,
            problems: Vec::new(),
            waiting: VecDeque::new(),
            queue: Vec::new(),
            imports: Vec::new(),
            clock: Arc::default(),
            mailbox: Arc::default(),
        }
    }

    pub(super) fn password(&self) -> &SecretString {
        &self.password
    }

    /// Counts requests, to Coupa's API and to the import.
    pub(super) fn clock(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.clock)
    }

    /// Replaces the readings; what was due under the old ones happens under them.
    pub(super) fn set_readings(&mut self, readings: Readings) {
        self.settle_due();
        self.readings = readings;
    }

    fn hear(&mut self, tiding: Tiding) {
        self.waiting.push_back(tiding);
        self.settle_due();
    }

    /// Lets arrive what has waited long enough.
    pub(super) fn settle_due(&mut self) {
        let now = self.clock.load(Ordering::Relaxed);
        let delay = self.readings.delay;
        self.let_arrive(|tiding| match delay {
            Delay::Immediate => true,
            Delay::Requests(requests) => tiding.clock.saturating_add(requests) <= now,
            Delay::ByHand => false,
        });
    }

    fn settle(&mut self) -> Settled {
        let syncs = self.let_arrive(|_| true);
        let jobs = std::mem::take(&mut self.queue);
        for job in &jobs {
            let outcome = self.carry_out(job);
            self.mailbox.keep(letters::of_import(&outcome));
        }
        Settled {
            syncs,
            imports: jobs.len(),
        }
    }

    fn let_arrive(&mut self, is_due: impl Fn(&Tiding) -> bool) -> usize {
        let (mut arrived, mut failed) = (0, Vec::new());
        while let Some(tiding) = self.waiting.pop_front_if(|tiding| is_due(tiding)) {
            arrived += 1;
            if let Err(problem) = tiding.apply(&mut self.table, &self.readings) {
                failed.push(*problem);
            }
        }
        if self.readings.native_report == NativeReport::Sent {
            self.report(&failed);
        }
        self.problems.extend(failed);
        arrived
    }

    /// Sends the error report of these problems to the Default Site Administrator.
    fn report(&self, problems: &[Problem]) {
        if !problems.is_empty() {
            let report = ErrorReport::of(problems, now());
            let to = self.table.get(self.site_administrator);
            let to = to.map_or("", |account| account.get(Field::Email));
            self.mailbox.keep(letters::of_report(&report, to));
        }
    }

    /// Whether a login may import; the answer to one that may not.
    fn admit(&self, username: &str, password: &str) -> Result<(), StatusCode> {
        let mut named = self.table.find(&Key::username(username));
        let allowed = named.any(|account| {
            account.active
                && account.groups.contains(INTEGRATION_GROUP)
                && account.get(Field::Username) == INTEGRATION_LOGIN
        });
        if allowed && password == self.password.expose_secret() {
            Ok(())
        } else {
            Err(StatusCode::FORBIDDEN)
        }
    }

    /// Keeps a record of a file and gives its place.
    fn record(&mut self, record: ImportRecord) -> usize {
        self.imports.push(record);
        self.imports.len() - 1
    }

    /// What carrying out would come to.
    fn rehearse(&self, rows: &[Row]) -> Outcome {
        Plan::of(rows, &self.table, &self.readings).outcome
    }

    /// A file arrives whose request was answered long ago.
    pub(super) fn land(&mut self, job: Job) {
        self.accept(job);
    }

    /// Carries a file out now, or puts it into the queue if there is one.
    fn accept(&mut self, job: Job) -> Outcome {
        if self.readings.queue == Switch::On {
            self.queue.push(job);
            return Outcome::queued();
        }
        self.carry_out(&job)
    }

    fn carry_out(&mut self, job: &Job) -> Outcome {
        let plan = Plan::of(&job.rows, &self.table, &self.readings);
        let outcome = plan.carry_out(&mut self.table);
        if let Some(record) = self.imports.get_mut(job.record) {
            record.made = outcome.made;
            record.changed = outcome.changed;
            record.carried_out = true;
        }
        outcome
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
