//! What a users file of Quick Integration does to the accounts (D498, D501).
//!
//! Invariants: a file is judged whole before any of it is taken; `EmailAddress`, which is the user name, is the key; for accounts that are synced
//! the protected columns are passed over (S2). Pure but for the table it changes.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;

use super::accounts::{Account, Directory, Key, Origin, fold};
use super::fields::{Column, Dialect, Field, Place, column_of};
use super::readings::{BadRows, Readings, UnknownColumns, Updated};
use super::rules;
use super::table::{Line, Table};

/// A row: values by place, blank ones left out.
pub(super) struct Row {
    pub(super) number: u64,
    pub(super) cells: BTreeMap<Place, String>,
}

impl Row {
    pub(super) fn get(&self, place: Place) -> Option<&str> {
        self.cells.get(&place).map(String::as_str)
    }

    pub(super) fn text(&self, field: Field) -> Option<&str> {
        self.get(Place::Text(field))
    }

    pub(super) fn flag(&self, place: Place) -> Option<bool> {
        self.get(place).and_then(rules::yes_or_no)
    }
}

/// Why a file is not looked at row by row.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadHeader {
    /// It has nothing to do with users.
    Foreign,
    /// What is wrong, a line each.
    Columns(Vec<String>),
}

/// The rows of a table, once its columns are as they must be.
pub(super) fn rows(table: &Table, dialect: Dialect, unknown: UnknownColumns) -> Result<Vec<Row>, BadHeader> {
    let columns: Vec<Option<&Column>> = table.header.iter().map(|header| dialect.column(header)).collect();
    if columns.iter().all(Option::is_none) {
        return Err(BadHeader::Foreign);
    }
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (header, column) in table.header.iter().zip(&columns) {
        match column {
            Some(column) if !seen.insert(column.place) => {
                wrong.push(format!("Column '{header}' appears more than once."));
            }
            None if unknown == UnknownColumns::Rejected && !header.is_empty() => {
                wrong.push(format!("Column '{header}' is not recognized."));
            }
            _ => {}
        }
    }
    for required in dialect.required().iter().filter(|place| !seen.contains(place)) {
        wrong.push(format!("Column '{}' is required.", dialect.name_of(*required)));
    }
    if !wrong.is_empty() {
        return Err(BadHeader::Columns(wrong));
    }
    Ok(table.lines.iter().map(|line| row(line, &columns)).collect())
}

fn row(line: &Line, columns: &[Option<&Column>]) -> Row {
    let cells = columns.iter().zip(&line.cells);
    Row {
        number: line.number,
        cells: cells
            .filter_map(|(column, cell)| column.map(|column| (column.place, cell.clone())))
            .filter(|(_, cell)| !cell.is_empty())
            .collect(),
    }
}

/// What came of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) status: StatusCode,
    /// A line per complaint.
    pub(super) message: String,
    pub(super) made: usize,
    pub(super) changed: usize,
}

impl Outcome {
    /// A status and nothing else.
    pub(super) fn bare(status: StatusCode) -> Self {
        Self {
            status,
            message: String::new(),
            made: 0,
            changed: 0,
        }
    }

    /// The file waits for its turn.
    pub(super) fn queued() -> Self {
        Self::bare(StatusCode::ACCEPTED)
    }
}

/// What is to be done with a row.
enum Verdict {
    Make(Account),
    Change(Account),
    Nothing,
    Bad(Vec<String>),
}

/// A file judged, and not taken yet.
pub(super) struct Plan {
    accounts: Vec<Account>,
    pub(super) outcome: Outcome,
}

impl Plan {
    /// Judges rows against the table as it is.
    pub(super) fn of(rows: &[Row], table: &Directory, readings: &Readings) -> Self {
        let judge = Judge { table, readings };
        let mut claimed: BTreeMap<String, u64> = BTreeMap::new();
        let (mut accounts, mut complaints) = (Vec::new(), Vec::new());
        let (mut made, mut changed) = (0, 0);
        for row in rows {
            match judge.row(row, &mut claimed) {
                Verdict::Make(account) => {
                    made += 1;
                    accounts.push(account);
                }
                Verdict::Change(account) => {
                    changed += 1;
                    accounts.push(account);
                }
                Verdict::Nothing => {}
                Verdict::Bad(messages) => {
                    let lines = messages.into_iter();
                    complaints.extend(lines.map(|message| format!("Row {}: {message}", row.number)));
                }
            }
        }
        if !complaints.is_empty() && readings.bad_rows == BadRows::WholeFile {
            accounts.clear();
            (made, changed) = (0, 0);
        }
        let status = match (complaints.is_empty(), made, changed) {
            (false, ..) => StatusCode::BAD_REQUEST,
            (true, 0, 0) => StatusCode::NO_CONTENT,
            (true, 0, _) => match readings.updated {
                Updated::Created => StatusCode::CREATED,
                Updated::NoContent => StatusCode::NO_CONTENT,
                Updated::Ok => StatusCode::OK,
            },
            (true, ..) => StatusCode::CREATED,
        };
        Self {
            accounts,
            outcome: Outcome {
                status,
                message: complaints.join("\n"),
                made,
                changed,
            },
        }
    }

    /// Takes it.
    pub(super) fn carry_out(self, table: &mut Directory) -> Outcome {
        for account in self.accounts {
            if account.id == 0 {
                table.add(account);
            } else {
                table.put(account);
            }
        }
        self.outcome
    }
}

struct Judge<'a> {
    table: &'a Directory,
    readings: &'a Readings,
}

impl Judge<'_> {
    fn row(&self, row: &Row, claimed: &mut BTreeMap<String, u64>) -> Verdict {
        let known = row.text(Field::Username).and_then(|key| {
            let by_name = self.table.find(&Key::username(key)).next();
            by_name.or_else(|| self.table.find(&Key::email(key)).next())
        });
        let mut bad = complaints(row, known, Dialect::Quick, self.readings);
        bad.extend(self.addresses(row, known, claimed));
        if !bad.is_empty() {
            return Verdict::Bad(bad);
        }
        let mut account = known.cloned().unwrap_or_else(|| Account::blank(Origin::Import));
        if known.is_none()
            && let Some(key) = row.text(Field::Username)
        {
            account.set(Field::Username, key);
            account.set(Field::Email, row.text(Field::Email).unwrap_or(key));
        }
        write(row, &mut account, |place| place != Place::Text(Field::Username));
        match known {
            None => Verdict::Make(account),
            Some(known) if *known == account => Verdict::Nothing,
            Some(_) => Verdict::Change(account),
        }
    }

    /// Whether the addresses of the row are its own, in the table and in the file.
    fn addresses(
        &self,
        row: &Row,
        known: Option<&Account>,
        claimed: &mut BTreeMap<String, u64>,
    ) -> Vec<String> {
        let mut bad = Vec::new();
        let own = known.map(|account| account.id);
        for field in [Field::Username, Field::Email] {
            let Some(address) = row.text(field) else { continue };
            let name = Dialect::Quick.name_of(Place::Text(field));
            if self.table.taken(address, own).is_some() {
                bad.push(format!("{name} '{address}' is used by another user."));
            }
            let before = *claimed.entry(fold(address)).or_insert(row.number);
            if before != row.number {
                bad.push(format!("{name} '{address}' appears in row {before}, too."));
            }
        }
        bad
    }
}

/// What is wrong with the single values of a row.
pub(super) fn complaints(
    row: &Row,
    known: Option<&Account>,
    dialect: Dialect,
    readings: &Readings,
) -> Vec<String> {
    let mut bad: Vec<String> = dialect
        .required()
        .iter()
        .filter(|place| row.get(**place).is_none())
        .map(|place| format!("{} is required.", dialect.name_of(*place)))
        .collect();
    let stored = known.map(|account| account.get(Field::Country));
    let country = row.text(Field::Country).or(stored);
    for (place, value) in &row.cells {
        let Some(column) = column_of(*place) else { continue };
        let is_status = dialect == Dialect::Template && *place == Place::Active;
        if is_status && ["active", "inactive"].contains(&value.to_lowercase().as_str()) {
            continue;
        }
        if let Some(wrong) = rules::complaint(column, value, country, readings.phones) {
            bad.push(format!("{} '{value}' {wrong}.", dialect.name_of(*place)));
        }
    }
    let supplier = [Field::SupplierReference, Field::SupplierName];
    if row.flag(Place::Supplier) == Some(true) && supplier.iter().all(|field| row.text(*field).is_none()) {
        bad.push("ExternalSupplierReference or SupplierName is required for a supplier user.".to_owned());
    }
    bad
}

/// Writes the values of a row into an account, except where `may` forbids it or the account is synced and the column protected.
pub(super) fn write(row: &Row, account: &mut Account, may: impl Fn(Place) -> bool) {
    for (&place, value) in &row.cells {
        let protected = account.synced && column_of(place).is_some_and(|column| column.protected);
        if protected || !may(place) {
            continue;
        }
        match place {
            Place::Text(field) => account.set(field, value),
            Place::Active => account.active = is_active(value),
            Place::Supplier => account.supplier = rules::yes_or_no(value) == Some(true),
            Place::Administrator => account.administrator = rules::yes_or_no(value) == Some(true),
            Place::Group => {
                account.groups.insert(value.clone());
            }
            Place::CoupaId => account.coupa_id = value.parse().ok(),
        }
    }
}

fn is_active(value: &str) -> bool {
    rules::yes_or_no(value).unwrap_or_else(|| value.eq_ignore_ascii_case("active"))
}
