//! The accounts against which a file is sorted: those of the ledger, or those of a grid export.
//!
//! Invariant: the ledger keeps digests, so with it alone no value can be compared but login and e-mail; what is known from where is said.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::model::downstream::{Digest, Expectation, Link, Record, Standing};
use crate::model::id::UserId;

use super::super::account::folded;
use super::super::columns::Column;
use super::super::compare::yes;
use super::super::grid::Grid;
use super::super::matching::{Found, Keys, Roster};
use super::super::theirs::TheirAccount;
use super::sort::{Account, Upkeep};

/// Where the known accounts come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Our ledger, as it stood then.
    Ledger(Timestamp),
    /// A grid export.
    Grid {
        /// Name of the file.
        file: String,
        /// Its day.
        date: Date,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ledger(at) => write!(f, "ledger as of {}", at.strftime("%Y-%m-%d %H:%M:%SZ")),
            Self::Grid { file, date } => write!(f, "grid {file} of {date}"),
        }
    }
}

/// The known accounts.
pub struct Known<'a> {
    source: Source,
    accounts: Accounts<'a>,
}

enum Accounts<'a> {
    Ledger {
        roster: Roster<'a, Record>,
        /// Users by address.
        addresses: HashMap<&'a Digest, Vec<UserId>>,
    },
    Grid {
        roster: Roster<'a, TheirAccount>,
        columns: &'a BTreeSet<Column>,
        /// Lines by address and by user name: an import goes by either.
        names: HashMap<Digest, BTreeSet<u64>>,
    },
}

/// What the ledger knows of the account behind a user.
#[derive(Clone, Copy)]
enum Behind {
    /// There is one, or a file of ours may have made it.
    Account(Upkeep),
    /// The sync is expected to make one.
    Expected,
    /// Nothing speaks for one.
    Nothing,
}

/// What is known of the account of a row.
pub(super) enum Verdict {
    /// None is known; the sync may be expected to make it.
    New(Option<Upkeep>),
    /// This one.
    Known(Box<Account>),
    /// It cannot be told.
    Problem(String),
}

impl<'a> Known<'a> {
    /// By the ledger, as it stood at `at`.
    pub fn ledger(records: &'a [Record], at: Timestamp) -> Self {
        let mut addresses: HashMap<_, Vec<_>> = HashMap::new();
        for record in records {
            if let Some(email) = &record.reading.email {
                addresses.entry(email).or_default().push(record.user);
            }
        }
        Self {
            source: Source::Ledger(at),
            accounts: Accounts::Ledger {
                roster: Roster::new(records),
                addresses,
            },
        }
    }

    /// By a grid export.
    pub fn grid(grid: &'a Grid, file: impl Into<String>, date: Date) -> Self {
        let mut names: HashMap<_, BTreeSet<_>> = HashMap::new();
        for account in &grid.accounts {
            for name in [Column::Email, Column::Username]
                .into_iter()
                .filter_map(|column| account.get(column))
            {
                names.entry(folded(name)).or_default().insert(account.line);
            }
        }
        Self {
            source: Source::Grid {
                file: file.into(),
                date,
            },
            accounts: Accounts::Grid {
                roster: Roster::new(&grid.accounts),
                columns: &grid.columns,
                names,
            },
        }
    }

    /// Where they come from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What is known of the account of a row with a readable Coupa User ID.
    pub(super) fn find(&self, row: &TheirAccount, user: UserId) -> Verdict {
        let keys = Keys {
            user,
            login: row.get(Column::CoupaUsername).unwrap_or_default(),
            email: row.get(Column::Email),
        };
        match &self.accounts {
            Accounts::Ledger { roster, addresses } => {
                let verdict = match roster.find(&keys) {
                    Found::Conflict(conflict) => return Verdict::Problem(conflict.text()),
                    Found::Nobody => Verdict::New(None),
                    Found::Linked(link, record) => of_record(link, record, keys.email),
                };
                let address = keys.email.map(folded);
                let users = address.and_then(|address| addresses.get(&address));
                match users.into_iter().flatten().find(|other| **other != user) {
                    Some(other) => Verdict::Problem(format!(
                        "the e-mail address is also that of user {other} of the ledger"
                    )),
                    None => verdict,
                }
            }
            Accounts::Grid { roster, names, .. } => {
                let (own, verdict) = match roster.find(&keys) {
                    Found::Conflict(conflict) => return Verdict::Problem(conflict.text()),
                    Found::Nobody => (None, Verdict::New(None)),
                    Found::Linked(link, account) => {
                        (Some(account.line), of_account(link, account, keys.email))
                    }
                };
                elsewhere(names, row, own).map_or(verdict, Verdict::Problem)
            }
        }
    }

    /// Columns of which the accounts show their values, blank ones included.
    pub(super) fn shows(&self, column: Column) -> bool {
        match &self.accounts {
            Accounts::Ledger { .. } => false,
            Accounts::Grid { columns, .. } => columns.contains(&column),
        }
    }
}

/// Whether another account than that on line `own` has the address or the user name of the row.
fn elsewhere(names: &HashMap<Digest, BTreeSet<u64>>, row: &TheirAccount, own: Option<u64>) -> Option<String> {
    [Column::Email, Column::Username].into_iter().find_map(|column| {
        let lines = names.get(&folded(row.get(column)?))?;
        let other = lines.iter().find(|line| Some(**line) != own)?;
        Some(format!(
            "{} is the address or user name of another account (line {other} of the grid)",
            column.title()
        ))
    })
}

fn of_record(link: Link, record: &Record, email: Option<&str>) -> Verdict {
    match behind(record) {
        Behind::Account(upkeep) => Verdict::Known(Box::new(Account {
            user: Some(record.user),
            link,
            upkeep,
            theirs: None,
            same_email: email.is_some() && record.reading.email == email.map(folded),
        })),
        Behind::Expected => Verdict::New(Some(Upkeep::Synced)),
        Behind::Nothing => Verdict::New(None),
    }
}

fn of_account(link: Link, account: &TheirAccount, email: Option<&str>) -> Verdict {
    for (column, whose) in [
        (Column::IsAdministrator, "an administrator's"),
        (Column::IsSupplierUser, "a supplier's"),
    ] {
        if account.get(column).and_then(yes) == Some(true) {
            return Verdict::Problem(format!("the account is {whose}: such accounts are never sent"));
        }
    }
    // The user name is what an import file calls EmailAddress (D501): where both are shown, both must be that of the row.
    let is_email = |text: &str| email.is_some_and(|email| folded(text) == folded(email));
    let name = account.get(Column::Username).filter(|name| name.contains('@'));
    let same_email = account.get(Column::Email).or(name).is_some_and(is_email) && name.is_none_or(is_email);
    Verdict::Known(Box::new(Account {
        user: account.coupa_id,
        link,
        upkeep: if account.is_linked() {
            Upkeep::Synced
        } else {
            Upkeep::ByHand
        },
        theirs: Some(account.clone()),
        same_email,
    }))
}

/// What the evidence for an account comes to.
fn behind(record: &Record) -> Behind {
    match (record.link, record.standing) {
        // Seen linked in a grid: the sync keeps it.
        (Some((Link::CoupaId | Link::Username, _)), _) => Behind::Account(Upkeep::Synced),
        // Seen by its address, or sent by us: nothing says that the sync keeps it.
        (Some((Link::Email, _)), _) | (None, Standing::Delivered | Standing::Queued | Standing::Doubtful) => {
            Behind::Account(Upkeep::ByHand)
        }
        (None, Standing::Expected) if record.expectation == Expectation::Active => Behind::Expected,
        (None, Standing::Expected | Standing::Seen(_) | Standing::Rejected | Standing::Unknown) => {
            Behind::Nothing
        }
    }
}
