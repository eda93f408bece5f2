//! A grid export against the ledger and Coupa: what is missing, what should not be there, what differs, and what is proved by it.
//!
//! ```text
//! Grid, profiles ─► matched user by user ─► findings, proofs, mismatches      what nobody's user claims ─► findings
//! ```
//!
//! Invariants: pure; the grid shows active users only (S1), so an account that it lacks may be inactive or never have been made; a grid of the
//! day of a user's last change, or of before, says nothing against what Coupa shows now. Texts hold ids and lines, never values.

mod fields;
mod show;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::model::downstream::{Expectation, Link, Record, Standing};
use crate::model::id::UserId;
use crate::model::profile::Profile;

use super::columns::Column;
use super::compare::yes;
use super::config::{Delivery, RiskAssessConfig, UserSync};
use super::grid::Grid;
use super::import::{Conflict, Found, Keys, Roster};
use super::layout::id_is_unreadable;
use super::mismatch::Mismatch;
use super::theirs::TheirAccount;

pub use fields::Fields;
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
        /// Fields of the sync that the grid does not show, or not so that they can be compared.
        untold: BTreeSet<Column>,
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
    let roster = Roster::new(sides.grid.accounts.clone());
    let found: Vec<(&Profile, Found<'_>)> = sides
        .profiles
        .iter()
        .map(|profile| (profile, roster.find(&keys(profile))))
        .collect();
    let mut work = Work {
        sides: *sides,
        records: sides.records.iter().map(|record| (record.user, record)).collect(),
        roster: &roster,
        claims: claims(&found),
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
    for (profile, found) in &found {
        match (profile.active, profile.licensed) {
            (true, Some(true)) => work.wanted(profile, found),
            (false, _) | (true, Some(false)) => work.unwanted(profile, found),
            (true, None) => work.unjudged(found),
        }
    }
    work.nobodys();
    let mut out = work.out;
    let place = |kind| Kind::ALL.iter().position(|other| *other == kind);
    out.findings.sort_by_key(|finding| place(finding.kind));
    out
}

fn keys(profile: &Profile) -> Keys<'_> {
    Keys {
        user: profile.user,
        login: &profile.login,
        email: profile.email.as_deref(),
    }
}

/// Users by the line of the account that each was found to have: an address alone may be that of several.
fn claims(found: &[(&Profile, Found<'_>)]) -> BTreeMap<u64, Vec<UserId>> {
    let mut claims: BTreeMap<u64, Vec<UserId>> = BTreeMap::new();
    for (profile, found) in found {
        if let Found::Linked(_, account) = found {
            claims.entry(account.line).or_default().push(profile.user);
        }
    }
    claims
}

/// The work on one grid.
struct Work<'a> {
    sides: Sides<'a>,
    records: BTreeMap<UserId, &'a Record>,
    roster: &'a Roster,
    claims: BTreeMap<u64, Vec<UserId>>,
    /// Lines of accounts that were told or proved.
    met: BTreeSet<u64>,
    out: Reconciled,
}

impl Work<'_> {
    /// A user who should have an active account.
    fn wanted(&mut self, profile: &Profile, found: &Found<'_>) {
        match found {
            _ if self.changed_since(profile) => self.outdated(profile, found),
            Found::Nobody => {
                let text = format!(
                    "the grid shows no active account: it is inactive, or was never made{}",
                    self.caveat()
                );
                self.mismatch(profile, None, Vec::new(), &text);
                self.tell(Kind::Missing, Some(profile), None, Vec::new(), text);
            }
            Found::Conflict(conflict) => self.conflict(profile, conflict),
            Found::Linked(link, account) => self.shown(profile, *link, account),
        }
    }

    fn shown(&mut self, profile: &Profile, link: Link, account: &TheirAccount) {
        self.met.insert(account.line);
        let line = Some(account.line);
        if let Some(reason) = self.untellable(profile, account) {
            self.mismatch(profile, Some(account), Vec::new(), &reason);
            self.tell(Kind::Ambiguous, Some(profile), line, Vec::new(), reason);
        } else if is_inactive(account) {
            let text = "the account is shown, and not as active".to_owned();
            self.mismatch(profile, Some(account), vec![Column::Status], &text);
            self.tell(Kind::Missing, Some(profile), line, vec![Column::Status], text);
        } else if link == Link::Email && self.shows_links() {
            let text = "an account with the user's address, without a link to Coupa".to_owned();
            self.tell(Kind::HandMade, Some(profile), line, Vec::new(), text);
        } else {
            let fields = fields::compare(profile, account, &self.sides.grid.columns);
            self.compared(profile, link, account, fields);
        }
    }

    fn compared(&mut self, profile: &Profile, link: Link, account: &TheirAccount, fields: Fields) {
        if fields.differ.is_empty() {
            let untold = fields.untold;
            return self.prove(profile.user, Shown::Account { link, untold });
        }
        let differ: Vec<Column> = fields.differ.into_iter().collect();
        let names: Vec<&str> = differ.iter().map(|column| column.title()).collect();
        let text = format!("the account does not show what Coupa shows: {}", names.join(", "));
        self.mismatch(profile, Some(account), differ.clone(), &text);
        self.prove(profile.user, Shown::Link(link));
        self.tell(Kind::Differs, Some(profile), Some(account.line), differ, text);
    }

    fn conflict(&mut self, profile: &Profile, conflict: &Conflict) {
        let accounts = self.meet(conflict);
        let (kind, fields) = match conflict.kind {
            "coupa-id-differs" => (Kind::WrongUser, vec![Column::CoupaUserId]),
            "username-differs" => (Kind::WrongUser, vec![Column::CoupaUsername]),
            "two-accounts" => (Kind::WrongUser, Vec::new()),
            _ => (Kind::Ambiguous, Vec::new()),
        };
        let only = match accounts.as_slice() {
            [account] => Some(account),
            _ => None,
        };
        self.mismatch(profile, only, fields.clone(), &conflict.text);
        let line = accounts.first().map(|account| account.line);
        self.tell(kind, Some(profile), line, fields, conflict.text.clone());
    }

    /// A user who was changed after the grid, or maybe after it.
    fn outdated(&mut self, profile: &Profile, found: &Found<'_>) {
        let line = match found {
            Found::Nobody => None,
            Found::Conflict(conflict) => self.meet(conflict).first().map(|account| account.line),
            Found::Linked(link, account) => {
                self.met.insert(account.line);
                if self.untellable(profile, account).is_none() && !is_inactive(account) && account.is_linked()
                {
                    self.prove(profile.user, Shown::Link(*link));
                }
                Some(account.line)
            }
        };
        let text =
            "the user was changed on the day of the grid or later: what the grid shows of it may be older";
        self.tell(
            Kind::ChangedSince,
            Some(profile),
            line,
            Vec::new(),
            text.to_owned(),
        );
    }

    /// A user who is inactive or has no license.
    fn unwanted(&mut self, profile: &Profile, found: &Found<'_>) {
        let expectation = self.records.get(&profile.user).map(|record| record.expectation);
        let Found::Linked(link, account) = found else {
            let closed = matches!(found, Found::Nobody) && expectation == Some(Expectation::Closed);
            if closed && !self.changed_since(profile) {
                self.prove(profile.user, Shown::NoAccount);
            }
            return;
        };
        // An address that is also that of another user, or an account without a link: not the account of this user.
        if self.untellable(profile, account).is_some() || !account.is_linked() {
            return;
        }
        self.met.insert(account.line);
        let (inactive, line) = (is_inactive(account), Some(account.line));
        match expectation {
            _ if self.changed_since(profile) => self.outdated(profile, found),
            Some(Expectation::Closed) if inactive => self.prove(profile.user, Shown::NoAccount),
            _ if inactive => {}
            Some(Expectation::Kept) if profile.active => self.prove(profile.user, Shown::Link(*link)),
            _ => {
                let text = match (profile.active, expectation) {
                    (false, _) => "an active account, and the Coupa user is inactive",
                    (true, Some(Expectation::Undocumented)) => {
                        "an account whose user lost the license: what becomes of it is not documented"
                    }
                    (true, _) => "an account whose user does not hold the license",
                };
                self.tell(Kind::Unexpected, Some(profile), line, Vec::new(), text.to_owned());
            }
        }
    }

    fn unjudged(&mut self, found: &Found<'_>) {
        self.out.unjudged += 1;
        match found {
            Found::Linked(_, account) => _ = self.met.insert(account.line),
            Found::Conflict(conflict) => _ = self.meet(conflict),
            Found::Nobody => {}
        }
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
            self.tell(kind, None, Some(account.line), Vec::new(), text);
        }
    }

    /// Why nobody can say that this account, which was found, is the user's.
    fn untellable(&self, profile: &Profile, account: &TheirAccount) -> Option<String> {
        if id_is_unreadable(account) {
            return Some("the Coupa User ID of the account cannot be read".to_owned());
        }
        let others: Vec<String> = self
            .claims
            .get(&account.line)?
            .iter()
            .filter(|user| **user != profile.user)
            .map(ToString::to_string)
            .collect();
        (!others.is_empty())
            .then(|| format!("the account may be that of Coupa user {}, too", others.join(", ")))
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

    fn meet(&mut self, conflict: &Conflict) -> Vec<TheirAccount> {
        let accounts: Vec<TheirAccount> = conflict
            .places
            .iter()
            .map(|place| self.roster.accounts()[*place].clone())
            .collect();
        self.met.extend(accounts.iter().map(|account| account.line));
        accounts
    }

    fn prove(&mut self, user: UserId, shown: Shown) {
        self.out.proved.push(Proved { user, shown });
    }

    fn tell(
        &mut self,
        kind: Kind,
        profile: Option<&Profile>,
        line: Option<u64>,
        fields: Vec<Column>,
        text: String,
    ) {
        let user = profile.map(|profile| profile.user);
        let ledger = user
            .and_then(|user| self.records.get(&user))
            .map(|record| record.standing);
        self.out.findings.push(Finding {
            kind,
            user,
            line,
            fields,
            text,
            ledger,
        });
    }

    fn mismatch(
        &mut self,
        profile: &Profile,
        theirs: Option<&TheirAccount>,
        fields: Vec<Column>,
        reason: &str,
    ) {
        self.out.mismatches.push(Mismatch {
            profile: profile.clone(),
            theirs: theirs.cloned(),
            fields,
            reason: reason.to_owned(),
            at: self.sides.now,
        });
    }
}

/// Whether a row says that its account is not active.
fn is_inactive(account: &TheirAccount) -> bool {
    account.get(Column::Status).and_then(yes) == Some(false)
}

#[cfg(test)]
mod tests;
