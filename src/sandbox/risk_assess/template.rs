//! The Coupa User Import with the User Import Template (S2): what a person at Risk Assess uploads to link accounts with Coupa.
//!
//! Invariant: rows are matched as the sync matches users; what does not fit is problem data, goes into the error report, and changes nothing.

use serde::{Deserialize, Serialize};

use super::accounts::{Account, Directory, Key, Origin, fold};
use super::fields::{Dialect, Field, Place};
use super::import::{BadHeader, Row, complaints, rows, write};
use super::problems::{Original, Problem, Reason, Source};
use super::readings::{Readings, UnknownColumns};
use super::table::{Form, Table};

/// What the screen shows after the import: lines of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct UserImport {
    /// New Data.
    pub new: Vec<u64>,
    /// Update Data.
    pub update: Vec<u64>,
    /// Problem Data.
    pub problem: Vec<ProblemLine>,
}

/// A line of Problem Data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ProblemLine {
    /// In the file.
    pub line: u64,
    /// Why.
    pub reason: Reason,
}

/// Carries a template out. Errors: the file cannot be read or lacks a column; then nothing happens.
pub(super) fn import(
    form: Form,
    bytes: &[u8],
    table: &mut Directory,
    readings: &Readings,
    now: i64,
) -> Result<(UserImport, Vec<Problem>), String> {
    let file = Table::read(form, bytes).ok_or("The file cannot be read.")?;
    let rows = rows(&file, Dialect::Template, UnknownColumns::Ignored).map_err(|bad| match bad {
        BadHeader::Foreign => "The file is not a User Import Template.".to_owned(),
        BadHeader::Columns(lines) => lines.join("\n"),
    })?;
    let (mut shown, mut problems) = (UserImport::default(), Vec::new());
    for row in rows {
        match prepare(&row, table, readings) {
            Ok(account) if account.id == 0 => {
                shown.new.push(row.number);
                table.add(account);
            }
            Ok(account) => {
                shown.update.push(row.number);
                table.put(account);
            }
            Err((reason, account)) => {
                shown.problem.push(ProblemLine {
                    line: row.number,
                    reason,
                });
                let account = account.and_then(|id| table.get(id));
                problems.push(Problem::new(
                    now,
                    Source::Import,
                    reason,
                    None,
                    original(&row),
                    account,
                ));
            }
        }
    }
    Ok((shown, problems))
}

fn original(row: &Row) -> Original {
    let id = row.get(Place::CoupaId).unwrap_or_default().to_owned();
    Original::of_fields(id, row.flag(Place::Active), |field| {
        row.text(field).unwrap_or_default().to_owned()
    })
}

/// Why a row is a problem, and with whose account.
type Refusal = (Reason, Option<u64>);

fn prepare(row: &Row, table: &Directory, readings: &Readings) -> Result<Account, Refusal> {
    let id: Option<u64> = row.get(Place::CoupaId).and_then(|id| id.parse().ok());
    let (Some(id), Some(login), Some(email)) = (id, row.text(Field::CoupaUsername), row.text(Field::Email))
    else {
        return Err((Reason::BadValue, None));
    };
    let known = find(table, id, login, email)?;
    if !complaints(row, known, Dialect::Template, readings).is_empty() {
        return Err((Reason::BadValue, known.map(|account| account.id)));
    }
    let mut account = known.cloned().unwrap_or_else(|| Account::blank(Origin::Import));
    let own = known.map(|account| account.id);
    let username = row.text(Field::Username).unwrap_or(email);
    for address in [email, username] {
        if !account.synced
            && let Some(other) = table.taken(address, own)
        {
            return Err((Reason::EmailTaken, Some(other.id)));
        }
    }
    if account.id == 0 {
        account.set(Field::Username, username);
    }
    write(row, &mut account, |_| true);
    account.synced = true;
    Ok(account)
}

/// By Coupa id, Coupa Username, e-mail; all that are found must be the same, and its link this one.
fn find<'a>(table: &'a Directory, id: u64, login: &str, email: &str) -> Result<Option<&'a Account>, Refusal> {
    let by_id = table.find(&Key::CoupaId(id)).next();
    let by_login = table.find(&Key::coupa_username(login)).next();
    let by_email = table.find(&Key::email(email)).next();
    let Some(account) = by_id.or(by_login).or(by_email) else {
        return Ok(None);
    };
    let refuse = |reason, account: &Account| Err((reason, Some(account.id)));
    let named = account.get(Field::CoupaUsername);
    if account.supplier {
        return refuse(Reason::SupplierAccount, account);
    }
    if account.coupa_id.is_some_and(|linked| linked != id) {
        return refuse(Reason::LinkedToAnother, account);
    }
    if !named.is_empty() && fold(named) != fold(login) {
        return refuse(Reason::OtherLogin, account);
    }
    if let Some(other) = by_login.filter(|other| other.id != account.id) {
        return refuse(Reason::LoginTaken, other);
    }
    match by_email.filter(|other| other.id != account.id) {
        Some(other) => refuse(Reason::EmailTaken, other),
        None => Ok(Some(account)),
    }
}
