//! The accounts against which a file is sorted: those of the ledger, or those of a grid export.
//!
//! Invariant: the ledger keeps digests, so with it alone no value can be compared but login and e-mail; what is known from where is said.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::model::downstream::{Digest, Expectation, Link, Record, Standing};
use crate::model::id::UserId;

use super::super::columns::Column;
use super::super::compare::{folded, yes};
use super::super::grid::Grid;
use super::super::theirs::TheirAccount;
use super::roster::{Found, Keys, Roster};
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
pub struct Known {
    source: Source,
    roster: Roster,
    facts: Facts,
}

/// What is known of them beyond how they are found.
enum Facts {
    /// What the ledger says of each user.
    Ledger(HashMap<UserId, Behind>),
    Grid {
        columns: BTreeSet<Column>,
        /// Lines by user name.
        usernames: HashMap<Box<str>, u64>,
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

impl Known {
    /// By the ledger, as it stood at `at`.
    pub fn ledger(records: &[Record], at: Timestamp) -> Self {
        let accounts = records.iter().map(|record| {
            let mut cells = BTreeMap::from([(Column::CoupaUsername, record.reading.login.0.clone())]);
            cells.extend(
                record
                    .reading
                    .email
                    .as_ref()
                    .map(|email| (Column::Email, email.0.clone())),
            );
            TheirAccount {
                line: 0,
                coupa_id: Some(record.user),
                cells,
            }
        });
        Self {
            source: Source::Ledger(at),
            roster: Roster::new(accounts.collect()),
            facts: Facts::Ledger(
                records
                    .iter()
                    .map(|record| (record.user, behind(record)))
                    .collect(),
            ),
        }
    }

    /// By a grid export.
    pub fn grid(grid: &Grid, file: impl Into<String>, date: Date) -> Self {
        let usernames = grid.accounts.iter().filter_map(|account| {
            let name = account.get(Column::Username)?;
            Some((folded(name), account.line))
        });
        Self {
            source: Source::Grid {
                file: file.into(),
                date,
            },
            facts: Facts::Grid {
                columns: grid.columns.clone(),
                usernames: usernames.collect(),
            },
            roster: Roster::new(grid.accounts.clone()),
        }
    }

    /// Where they come from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.roster.accounts().len()
    }

    /// What is known of the account of a row with a readable Coupa User ID.
    pub(super) fn find(&self, row: &TheirAccount, user: UserId) -> Verdict {
        let text = |column| row.get(column).map(|text| self.key(text));
        let (login, email) = (text(Column::CoupaUsername), text(Column::Email));
        let keys = Keys {
            user,
            login: login.as_deref().unwrap_or_default(),
            email: email.as_deref(),
        };
        match self.roster.find(&keys) {
            Found::Conflict(conflict) => Verdict::Problem(conflict.text),
            Found::Nobody => match self.user_name_elsewhere(row, None) {
                Some(problem) => Verdict::Problem(problem),
                None => Verdict::New(None),
            },
            Found::Linked(link, account) => match self.user_name_elsewhere(row, Some(account.line)) {
                Some(problem) => Verdict::Problem(problem),
                None => self.judge(link, account, keys.email),
            },
        }
    }

    /// Whether another account than that on line `own` has, as its user name, what the row has as user name or address: an import goes by it.
    fn user_name_elsewhere(&self, row: &TheirAccount, own: Option<u64>) -> Option<String> {
        let Facts::Grid { usernames, .. } = &self.facts else {
            return None;
        };
        [Column::Username, Column::Email].into_iter().find_map(|column| {
            let line = usernames.get(&folded(row.get(column)?))?;
            (Some(*line) != own).then(|| {
                format!(
                    "{} is the user name of the account on line {line} of the grid",
                    column.title()
                )
            })
        })
    }

    fn judge(&self, link: Link, account: &TheirAccount, email: Option<&str>) -> Verdict {
        let privileged = |column| account.get(column).and_then(yes) == Some(true);
        if privileged(Column::IsAdministrator) {
            return Verdict::Problem(
                "the account is an administrator's: such accounts are never sent".to_owned(),
            );
        }
        if privileged(Column::IsSupplierUser) {
            return Verdict::Problem("the account is a supplier's: such accounts are never sent".to_owned());
        }
        // The user name is what an import file calls EmailAddress (D501): both must be the one of the row.
        let is_email = |text: &str| email.is_some_and(|email| folded(text) == folded(email));
        let name = account.get(Column::Username).filter(|name| name.contains('@'));
        let same_email =
            account.get(Column::Email).or(name).is_some_and(is_email) && name.is_none_or(is_email);
        let known = |upkeep, theirs| {
            Verdict::Known(Box::new(Account {
                user: account.coupa_id,
                link,
                upkeep,
                theirs,
                same_email,
            }))
        };
        match &self.facts {
            Facts::Grid { .. } if account.is_linked() => known(Upkeep::Synced, Some(account.clone())),
            Facts::Grid { .. } => known(Upkeep::ByHand, Some(account.clone())),
            Facts::Ledger(facts) => match account.coupa_id.and_then(|user| facts.get(&user)) {
                Some(Behind::Account(upkeep)) => known(*upkeep, None),
                Some(Behind::Expected) => Verdict::New(Some(Upkeep::Synced)),
                Some(Behind::Nothing) | None => Verdict::New(None),
            },
        }
    }

    /// Columns of which the accounts show their values, blank ones included.
    pub(super) fn shows(&self, column: Column) -> bool {
        match &self.facts {
            Facts::Ledger(_) => false,
            Facts::Grid { columns, .. } => columns.contains(&column),
        }
    }

    /// A value as the source keeps it.
    fn key(&self, text: &str) -> Box<str> {
        match self.source {
            Source::Ledger(_) => digest(text).0,
            Source::Grid { .. } => folded(text),
        }
    }
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

/// Stands in for `account::digest`, with the same result, until that is here.
fn digest(text: &str) -> Digest {
    super::fingerprint(text.to_lowercase().as_bytes())
}
