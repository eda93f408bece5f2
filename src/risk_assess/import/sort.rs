//! Sorting the rows of a file: new data, update data, problem data.
//!
//! Invariants: pure; every row ends in exactly one section, in the order of the file; a row with a problem is told all its problems at once.

use std::collections::{BTreeSet, HashMap};

use crate::model::downstream::Link;
use crate::model::id::UserId;

use super::super::columns::Column;
use super::super::compare::{folded, same, yes};
use super::super::layout::{Layout, id_is_unreadable};
use super::super::theirs::TheirAccount;
use super::known::{Known, Source, Verdict};
use super::{Row, Template};

/// A file, sorted.
pub struct Sorted {
    /// Against what.
    pub source: Source,
    /// The first line of the file.
    pub header: Vec<String>,
    /// Which column is which.
    pub layout: Layout,
    /// Rows for whom no account is known.
    pub new: Vec<Placed>,
    /// Rows whose account is known.
    pub update: Vec<Placed>,
    /// Rows that nobody may guess about, or that are never sent.
    pub problem: Vec<Refused>,
}

/// A row of the first two sections.
pub struct Placed {
    /// The row.
    pub row: Row,
    /// The account, if one is known.
    pub account: Option<Account>,
    /// Who keeps the account's data; of a new one only if the sync is expected to make it.
    pub upkeep: Upkeep,
    /// Protected columns with a value that will not be written, since the user is kept in sync with Coupa.
    pub marked: BTreeSet<Column>,
}

/// Who keeps the data of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upkeep {
    /// Coupa's User Sync: protected fields are left alone.
    Synced,
    /// People and imports.
    ByHand,
}

/// A known account.
pub struct Account {
    /// Whose it is, where that is shown.
    pub user: Option<UserId>,
    /// By what it was found.
    pub link: Link,
    /// Who keeps it.
    pub upkeep: Upkeep,
    /// As the grid shows it; the ledger keeps no values.
    pub theirs: Option<TheirAccount>,
    /// Whether the e-mail address of the row is known to be the one under which Risk Assess has the account.
    pub same_email: bool,
}

/// A row of the third section.
pub struct Refused {
    /// The row.
    pub row: Row,
    /// Why, without values: lower case, no full stop.
    pub reasons: Vec<String>,
}

/// Sorts a file.
pub fn sort(template: Template, known: &Known) -> Sorted {
    let Template { header, layout, rows } = template;
    let twins = Twins::of(&rows);
    let verdicts: Vec<Option<Verdict>> = rows
        .iter()
        .map(|row| row.account.coupa_id.map(|user| known.find(&row.account, user)))
        .collect();
    let claims = Claims::of(&rows, &verdicts);
    let mut sorted = Sorted {
        source: known.source().clone(),
        header,
        layout,
        new: Vec::new(),
        update: Vec::new(),
        problem: Vec::new(),
    };
    for (row, verdict) in rows.into_iter().zip(verdicts) {
        let mut reasons = faults(&row.account);
        reasons.extend(twins.told(&row.account));
        match verdict {
            None => {}
            Some(Verdict::Problem(reason)) => reasons.push(reason),
            Some(Verdict::Known(account)) => {
                reasons.extend(claims.told(&account, row.line()));
                if reasons.is_empty() {
                    sorted.update.push(placed(row, account, known));
                    continue;
                }
            }
            Some(Verdict::New(upkeep)) if reasons.is_empty() => {
                sorted.new.push(fresh(row, upkeep));
                continue;
            }
            Some(Verdict::New(_)) => {}
        }
        sorted.problem.push(Refused { row, reasons });
    }
    sorted
}

fn placed(row: Row, account: Box<Account>, known: &Known) -> Placed {
    let differs = |column: Column, text: &str| match &account.theirs {
        Some(theirs) if known.shows(column) => !same(column, text, theirs.get(column).unwrap_or_default()),
        // Nobody can say that it is the same.
        _ => true,
    };
    let marked = match account.upkeep {
        Upkeep::Synced => protected(&row.account)
            .filter(|(column, text)| differs(*column, text))
            .map(|(column, _)| column)
            .collect(),
        Upkeep::ByHand => BTreeSet::new(),
    };
    Placed {
        row,
        upkeep: account.upkeep,
        account: Some(*account),
        marked,
    }
}

/// A row without a known account.
fn fresh(row: Row, upkeep: Option<Upkeep>) -> Placed {
    let upkeep = upkeep.unwrap_or(Upkeep::ByHand);
    let marked = match upkeep {
        Upkeep::Synced => protected(&row.account).map(|(column, _)| column).collect(),
        Upkeep::ByHand => BTreeSet::new(),
    };
    Placed {
        row,
        account: None,
        upkeep,
        marked,
    }
}

/// Protected columns of a row that hold something.
fn protected(row: &TheirAccount) -> impl Iterator<Item = (Column, &str)> {
    Column::PROTECTED
        .into_iter()
        .filter_map(|column| Some((column, row.get(column)?)))
}

/// What is wrong with a row by itself.
fn faults(row: &TheirAccount) -> Vec<String> {
    let blank = Column::MANDATORY
        .into_iter()
        .filter(|column| row.get(*column).is_none());
    let mut reasons: Vec<String> = blank
        .map(|column| format!("{} is blank", column.title()))
        .collect();
    if id_is_unreadable(row) {
        reasons.push(format!(
            "{} is not a positive whole number",
            Column::CoupaUserId.title()
        ));
    }
    for column in [Column::Email, Column::AlternateEmail] {
        let fault = row.get(column).and_then(address_fault);
        reasons.extend(fault.map(|fault| format!("{} {fault}", column.title())));
    }
    for (column, who) in [
        (Column::IsAdministrator, "an administrator"),
        (Column::IsSupplierUser, "a supplier"),
    ] {
        match row.get(column).map(yes) {
            None | Some(Some(false)) => {}
            Some(Some(true)) => reasons.push(format!("the row is {who}'s: such rows are never sent")),
            Some(None) => reasons.push(format!("{} is neither Yes nor No", column.title())),
        }
    }
    if row.get(Column::Status).is_some_and(|text| yes(text).is_none()) {
        reasons.push(format!(
            "{} says neither active nor inactive",
            Column::Status.title()
        ));
    }
    reasons
}

/// What no pattern of an address takes (D501; the published pattern itself may differ by customer).
fn address_fault(text: &str) -> Option<&'static str> {
    let (local, domain) = match text.split_once('@') {
        Some((local, domain)) if !domain.contains('@') => (local, domain),
        _ => return Some("needs exactly one @"),
    };
    if text.contains(char::is_whitespace) {
        return Some("has white space");
    }
    if local.is_empty() || domain.is_empty() {
        return Some("has nothing on one side of the @");
    }
    if text.contains("..") || local.ends_with('.') {
        return Some("has two dots in a row, or one right before the @");
    }
    match domain.rsplit_once('.') {
        Some((name, last)) if !name.is_empty() && !last.is_empty() => None,
        _ => Some("has no full domain after the @"),
    }
}

/// Rows of the file that are the same user by id, login or address.
struct Twins([(Column, HashMap<Box<str>, Vec<u64>>); 3]);

impl Twins {
    fn of(rows: &[Row]) -> Self {
        Self(
            [Column::CoupaUserId, Column::CoupaUsername, Column::Email].map(|column| {
                let mut lines: HashMap<Box<str>, Vec<u64>> = HashMap::new();
                for row in rows {
                    if let Some(text) = row.account.get(column) {
                        lines.entry(folded(text)).or_default().push(row.line());
                    }
                }
                (column, lines)
            }),
        )
    }

    fn told(&self, row: &TheirAccount) -> Vec<String> {
        let others = self.0.iter().filter_map(|(column, lines)| {
            let lines = lines.get(&folded(row.get(*column)?))?;
            let others = others(lines, row.line)?;
            Some(format!("{others} has the same {}", column.title()))
        });
        others.collect()
    }
}

/// Accounts that more than one row would change.
struct Claims(HashMap<AccountKey, Vec<u64>>);

/// By what a known account is one: its line in the grid, or its user in the ledger.
#[derive(PartialEq, Eq, Hash)]
enum AccountKey {
    Line(u64),
    User(Option<UserId>),
}

impl AccountKey {
    fn of(account: &Account) -> Self {
        match &account.theirs {
            Some(theirs) => Self::Line(theirs.line),
            None => Self::User(account.user),
        }
    }
}

impl Claims {
    fn of(rows: &[Row], verdicts: &[Option<Verdict>]) -> Self {
        let mut lines: HashMap<AccountKey, Vec<u64>> = HashMap::new();
        for (row, verdict) in rows.iter().zip(verdicts) {
            if let Some(Verdict::Known(account)) = verdict {
                lines.entry(AccountKey::of(account)).or_default().push(row.line());
            }
        }
        Self(lines)
    }

    fn told(&self, account: &Account, line: u64) -> Option<String> {
        let others = others(self.0.get(&AccountKey::of(account))?, line)?;
        Some(format!("{others} is for the same account"))
    }
}

/// The other lines, the first of them by number: a value that is in every row must not be told in full in every row.
fn others(lines: &[u64], own: u64) -> Option<String> {
    let first = lines.iter().find(|line| **line != own)?;
    Some(match lines.len() {
        2 => format!("line {first}"),
        more => format!("line {first} (one of {})", more - 1),
    })
}
