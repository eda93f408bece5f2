//! A grid export against the ledger and Coupa: what is missing, what should not be there, what differs, and what is proved by it.
//!
//! ```text
//! Grid, profiles ─► observed user by user ─► findings, proofs, mismatches      accounts of no user ─► findings
//! ```
//!
//! Invariants: pure; the grid shows active users only (S1), so an account that it lacks may be inactive or never have been made; a grid of the
//! day of a user's last change, or of before, says nothing against what Coupa shows now. Texts hold ids and lines, never values.

mod show;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::model::downstream::{Expectation, Link, Record, Standing};
use crate::model::id::UserId;
use crate::model::profile::Profile;

use super::account::{Observation, Sighting, observe};
use super::columns::Column;
use super::config::{Delivery, RiskAssessConfig, UserSync};
use super::grid::Grid;
use super::layout::id_is_unreadable;
use super::matching::{ConflictKind, Found, Keys, Roster};
use super::mismatch::Mismatch;
use super::theirs::TheirAccount;

pub use show::{json, sections};

/// What is compared.
#[derive(Clone, Copy)]
pub struct Sides<'a> {
    /// The export.
    pub grid: &'a Grid,
    /// Its day, in UTC.
    pub date: Date,
    /// The whole ledger.
    pub records: &'a [Record],
    /// Every user of Coupa, active or not: with fewer, accounts of the others would be told as nobody's.
    pub profiles: &'a [Profile],
    /// What the operator states.
    pub config: &'a RiskAssessConfig,
    /// Now.
    pub now: Timestamp,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The license is held and the user active, and the grid shows no active account.
    Missing,
    /// An account that should not be there: its user has no license, is inactive, or is not a user of Coupa.
    Unexpected,
    /// An account that seems to be the user's carries somebody else's link.
    WrongUser,
    /// The account shows other values than Coupa.
    Differs,
    /// It cannot be told which account is whose.
    Ambiguous,
    /// An account without a link to Coupa. Not wrong.
    HandMade,
    /// The user was changed on the day of the grid or later: it says nothing about what differs.
    ChangedSince,
}

impl Kind {
    /// Every kind, the gravest first.
    pub const ALL: [Self; 7] = [
        Self::WrongUser,
        Self::Ambiguous,
        Self::Missing,
        Self::Unexpected,
        Self::Differs,
        Self::HandMade,
        Self::ChangedSince,
    ];

    /// The word in reports. Stable: people filter by it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unexpected => "unexpected",
            Self::WrongUser => "wrong-user",
            Self::Differs => "differs",
            Self::Ambiguous => "ambiguous",
            Self::HandMade => "hand-made",
            Self::ChangedSince => "changed-since-grid",
        }
    }

    /// Whether it is told only and needs nobody.
    pub const fn is_told_only(self) -> bool {
        matches!(self, Self::HandMade | Self::ChangedSince)
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// The Coupa user concerned.
    pub user: Option<UserId>,
    /// Line of the account in the grid, from 1 with the header.
    pub line: Option<u64>,
    /// The columns concerned.
    pub fields: Vec<Column>,
    /// In one sentence, ids and lines only.
    pub text: String,
    /// What the ledger says of the user, before this grid.
    pub ledger: Option<Standing>,
}

/// What a grid proves of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    /// Whose.
    pub user: UserId,
    /// What.
    pub shown: Shown,
}

/// What a grid of a day shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// The account, as Coupa shows the user.
    Account {
        /// By what it was found.
        link: Link,
        /// Fields of the sync that were compared; the grid does not show the others, or not so that they can be.
        compared: Vec<Column>,
    },
    /// An account of the user; nothing of its fields.
    Link(Link),
    /// No active account, as expected.
    NoAccount,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Reconciled {
    /// The day of the grid.
    pub date: Date,
    /// How many accounts the grid shows.
    pub accounts: usize,
    /// Findings, the gravest kind first.
    pub findings: Vec<Finding>,
    /// What the grid proves.
    pub proved: Vec<Proved>,
    /// For the error report.
    pub mismatches: Vec<Mismatch>,
    /// Users of whom the tenant does not show whether they hold the license.
    pub unjudged: u64,
    /// Headers that mean nothing to us.
    pub unknown_columns: Vec<String>,
    /// Lines whose Coupa User ID cannot be read.
    pub unreadable_ids: Vec<u64>,
    /// Lines that name no account.
    pub nameless: Vec<u64>,
}

impl Reconciled {
    /// How many findings there are of a kind.
    pub fn count(&self, kind: Kind) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.kind == kind)
            .count()
    }
}

/// Compares them.
pub fn reconcile(sides: &Sides<'_>) -> Reconciled {
    let roster = Roster::new(&sides.grid.accounts);
    let observations = observe(sides.profiles, &roster);
    let mut work = Work {
        sides: *sides,
        records: sides
            .records
            .iter()
            .map(|record| (record.user, record))
            .collect(),
        met: BTreeSet::new(),
        out: Reconciled {
            date: sides.date,
            accounts: sides.grid.accounts.len(),
            findings: Vec::new(),
            proved: Vec::new(),
            mismatches: Vec::new(),
            unjudged: 0,
            unknown_columns: sides.grid.unknown_columns.clone(),
            unreadable_ids: sides.grid.unreadable_ids.clone(),
            nameless: sides.grid.nameless.clone(),
        },
    };
    for (profile, observation) in sides.profiles.iter().zip(observations) {
        let user = Observed {
            profile,
            accounts: concerned(profile, &roster),
            observation,
        };
        match (profile.active, profile.licensed) {
            (true, Some(true)) => work.wanted(&user),
            (false, _) | (true, Some(false)) => work.unwanted(&user),
            (true, None) => {
                work.meet(&user);
                work.out.unjudged += 1;
            }
        }
    }
    work.nobodys();
    let mut out = work.out;
    let place = |kind| Kind::ALL.iter().position(|other| *other == kind);
    out.findings.sort_by_key(|finding| place(finding.kind));
    out
}

/// Accounts that are, or could be, those of a user.
fn concerned<'a>(profile: &Profile, roster: &Roster<'a, TheirAccount>) -> Vec<&'a TheirAccount> {
    let keys = Keys {
        user: profile.user,
        login: &profile.login,
        email: profile.email.as_deref(),
    };
    match roster.find(&keys) {
        Found::Linked(_, account) => vec![account],
        Found::Conflict(conflict) => conflict.accounts,
        Found::Nobody => Vec::new(),
    }
}

/// One user and what the grid shows of it.
struct Observed<'a> {
    profile: &'a Profile,
    accounts: Vec<&'a TheirAccount>,
    observation: Observation,
}

impl<'a> Observed<'a> {
    /// The account, where only one is concerned.
    fn account(&self) -> Option<&'a TheirAccount> {
        match self.accounts.as_slice() {
            [account] => Some(account),
            _ => None,
        }
    }

    /// Where a person looks first.
    fn line(&self) -> Option<u64> {
        self.accounts.first().map(|account| account.line)
    }
}

/// The work on one grid.
struct Work<'a> {
    sides: Sides<'a>,
    records: BTreeMap<UserId, &'a Record>,
    /// Lines of accounts that are told with a user, or proved.
    met: BTreeSet<u64>,
    out: Reconciled,
}

impl Work<'_> {
    /// A user who should have an active account.
    fn wanted(&mut self, user: &Observed<'_>) {
        self.meet(user);
        if self.changed_since(user.profile) {
            return self.outdated(user);
        }
        match &user.observation.sighting {
            Sighting::Nobody => {
                let caveat = self.caveat();
                let text = format!("the grid shows no active account: it is inactive, or was never made{caveat}");
                self.wrong(Kind::Missing, user, &[], text);
            }
            Sighting::Conflict { kind, text } => {
                self.wrong(conflict(*kind), user, kind.columns(), text.clone());
            }
            Sighting::Account { link, linked, active, .. } => self.shown(user, *link, *linked, *active),
        }
    }

    fn shown(&mut self, user: &Observed<'_>, link: Link, linked: bool, active: bool) {
        let Observation { differing, compared, .. } = &user.observation;
        if user.account().is_some_and(id_is_unreadable) {
            let text = "the Coupa User ID of the account cannot be read".to_owned();
            self.wrong(Kind::Ambiguous, user, &[Column::CoupaUserId], text);
        } else if !active {
            let text = "the account is shown, and not as active".to_owned();
            self.wrong(Kind::Missing, user, &[Column::Status], text);
        } else if !linked && self.shows_links() {
            let text = "an account with the user's name or address, without a link to Coupa".to_owned();
            self.tell(Kind::HandMade, Some(user.profile), user.line(), &[], text);
        } else if differing.is_empty() {
            let compared = compared.clone();
            self.prove(user, Shown::Account { link, compared });
        } else {
            self.prove(user, Shown::Link(link));
            let text = format!("the account does not show what Coupa shows: {}", titles(differing));
            self.wrong(Kind::Differs, user, differing, text);
        }
    }

    /// A user who was changed after the grid, or maybe after it: its names may be newer than the grid, its Coupa id is not.
    fn outdated(&mut self, user: &Observed<'_>) {
        if let Sighting::Account { link: Link::CoupaId, .. } = user.observation.sighting {
            self.prove(user, Shown::Link(Link::CoupaId));
        }
        let text = "the user was changed on the day of the grid or later: what the grid shows of it may be older";
        self.tell(Kind::ChangedSince, Some(user.profile), user.line(), &[], text.to_owned());
    }

    /// A user who is inactive or has no license.
    fn unwanted(&mut self, user: &Observed<'_>) {
        let profile = user.profile;
        let expectation = self.records.get(&profile.user).map(|record| record.expectation);
        let (link, active) = match user.observation.sighting {
            // An account without a link is not the account of somebody who should have none.
            Sighting::Account { link, linked: true, active, .. } => (link, active),
            Sighting::Nobody if expectation == Some(Expectation::Closed) && !self.changed_since(profile) => {
                return self.prove(user, Shown::NoAccount);
            }
            Sighting::Account { .. } | Sighting::Conflict { .. } | Sighting::Nobody => return,
        };
        self.meet(user);
        if self.changed_since(profile) {
            return self.outdated(user);
        }
        let text = match (active, expectation) {
            (false, Some(Expectation::Closed)) => return self.prove(user, Shown::NoAccount),
            (false, _) => return,
            (true, Some(Expectation::Kept)) => return self.prove(user, Shown::Link(link)),
            (true, _) if !profile.active => "an active account, and the Coupa user is inactive",
            (true, Some(Expectation::Undocumented)) => {
                "an account whose user lost the license: what becomes of it is not documented"
            }
            (true, _) => "an account whose user does not hold the license",
        };
        self.tell(Kind::Unexpected, Some(profile), user.line(), &[], text.to_owned());
    }

    /// Accounts that are the account of no user.
    fn nobodys(&mut self) {
        let left: Vec<&TheirAccount> = self
            .sides
            .grid
            .accounts
            .iter()
            .filter(|account| !self.met.contains(&account.line))
            .collect();
        for account in left {
            let (kind, text) = match (account.coupa_id, account.is_linked()) {
                (Some(id), _) => (
                    Kind::Unexpected,
                    format!("linked to Coupa user {id}, whom Coupa does not have"),
                ),
                (None, true) => (
                    Kind::Unexpected,
                    "linked to a Coupa Username that no user of Coupa has now".to_owned(),
                ),
                (None, false) if self.shows_links() => (
                    Kind::HandMade,
                    "an account without a link to Coupa, with the address of no user who should have one".to_owned(),
                ),
                (None, false) => (
                    Kind::HandMade,
                    "an account with the address of no user who should have one; the grid does not show links"
                        .to_owned(),
                ),
            };
            self.tell(kind, None, Some(account.line), &[], text);
        }
    }

    /// Whether the user was changed on the day of the grid or later, or nobody knows when.
    fn changed_since(&self, profile: &Profile) -> bool {
        profile
            .updated_at
            .is_none_or(|at| at.to_zoned(TimeZone::UTC).date() >= self.sides.date)
    }

    /// Whether the grid would show that an account is linked.
    fn shows_links(&self) -> bool {
        let columns = &self.sides.grid.columns;
        columns.contains(&Column::CoupaUsername) || columns.contains(&Column::CoupaUserId)
    }

    /// What the operator's statements add to a missing account.
    fn caveat(&self) -> &'static str {
        match (self.sides.config.delivery, self.sides.config.user_sync) {
            (Delivery::Native, UserSync::Off) => "; User Sync is stated to be off, so nothing makes it",
            (Delivery::Native, UserSync::Unknown) => "; nobody stated that User Sync is on",
            (Delivery::Native, UserSync::On) | (Delivery::QuickIntegration | Delivery::File, _) => "",
        }
    }

    fn meet(&mut self, user: &Observed<'_>) {
        self.met.extend(user.accounts.iter().map(|account| account.line));
    }

    fn prove(&mut self, user: &Observed<'_>, shown: Shown) {
        let user = user.profile.user;
        self.out.proved.push(Proved { user, shown });
    }

    /// A finding that is also told to who keeps Risk Assess.
    fn wrong(&mut self, kind: Kind, user: &Observed<'_>, fields: &[Column], text: String) {
        self.out.mismatches.push(Mismatch {
            profile: user.profile.clone(),
            theirs: user.account().cloned(),
            fields: fields.to_vec(),
            reason: text.clone(),
            at: self.sides.now,
        });
        self.tell(kind, Some(user.profile), user.line(), fields, text);
    }

    fn tell(
        &mut self,
        kind: Kind,
        profile: Option<&Profile>,
        line: Option<u64>,
        fields: &[Column],
        text: String,
    ) {
        let user = profile.map(|profile| profile.user);
        let record = user.and_then(|user| self.records.get(&user));
        self.out.findings.push(Finding {
            kind,
            user,
            line,
            fields: fields.to_vec(),
            text,
            ledger: record.map(|record| record.standing),
        });
    }
}

/// What kind of finding a conflict is.
const fn conflict(kind: ConflictKind) -> Kind {
    match kind {
        ConflictKind::IdAndUsernameApart | ConflictKind::UsernameOfAnother | ConflictKind::EmailOfAnother => {
            Kind::WrongUser
        }
        ConflictKind::CoupaIdTwice
        | ConflictKind::UsernameShared
        | ConflictKind::UsernameAndEmailApart
        | ConflictKind::EmailShared
        | ConflictKind::ClaimedBySeveral => Kind::Ambiguous,
    }
}

fn titles(columns: &[Column]) -> String {
    let titles: Vec<&str> = columns.iter().map(|column| column.title()).collect();
    titles.join(", ")
}

#[cfg(test)]
mod tests;
