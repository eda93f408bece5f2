//! Coupa's User Sync (S1): what a change of a licensed user does to the accounts.
//!
//! Invariants: one way, from Coupa; accounts are found by Coupa id, then Coupa Username, then e-mail; what does not fit leaves every account
//! as it is and becomes a [`Problem`].

use std::collections::BTreeMap;

use super::accounts::{Account, Directory, Key, Origin, fold};
use super::coupa_user::CoupaUser;
use super::fields::{Check, Field, Place, column_of};
use super::problems::{Original, Problem, Reason, Source};
use super::readings::{Limits, NoAddress, Readings, Removal, Rename, Retrigger};
use super::rules;

/// A user of Coupa was saved.
pub(super) struct Tiding {
    pub(super) user: CoupaUser,
    pub(super) was_licensed: bool,
    /// Seconds since 1970.
    pub(super) at: i64,
    /// The number of requests by then.
    pub(super) clock: u64,
}

impl Tiding {
    /// Whether a save of a user is one for the sync.
    pub(super) fn matters(before: &CoupaUser, after: &CoupaUser, retrigger: Retrigger) -> bool {
        if before.licensed != after.licensed {
            return true;
        }
        after.licensed
            && match retrigger {
                Retrigger::AnyUpdate => true,
                Retrigger::SyncedFields => !before.same_fields(after),
                Retrigger::FlagToggle => false,
            }
    }

    /// Carries it over.
    pub(super) fn apply(&self, table: &mut Directory, readings: &Readings) -> Result<(), Box<Problem>> {
        let sync = Sync {
            table,
            readings,
            user: &self.user,
        };
        if self.user.licensed {
            sync.bring(self.at)
        } else if self.was_licensed {
            sync.withdraw();
            Ok(())
        } else {
            Ok(())
        }
    }
}

struct Sync<'a> {
    table: &'a mut Directory,
    readings: &'a Readings,
    user: &'a CoupaUser,
}

/// What is wrong, with whose account, and in which column.
struct Mismatch {
    reason: Reason,
    field: Option<Field>,
    account: Option<u64>,
}

impl Mismatch {
    fn whole(reason: Reason) -> Self {
        Self {
            reason,
            field: None,
            account: None,
        }
    }

    fn with(reason: Reason, field: Field, account: &Account) -> Self {
        Self {
            reason,
            field: Some(field),
            account: Some(account.id),
        }
    }
}

impl Sync<'_> {
    fn withdraw(self) {
        if self.readings.removal == Removal::Keeps {
            return;
        }
        let linked: Vec<Account> = self.table.find(&Key::CoupaId(self.user.id)).cloned().collect();
        for mut account in linked {
            account.active = false;
            self.table.put(account);
        }
    }

    fn bring(self, at: i64) -> Result<(), Box<Problem>> {
        if self.readings.no_address == NoAddress::Skipped && !self.user.has_address() {
            return Ok(());
        }
        match self.prepare() {
            Ok(account) if account.id == 0 => {
                self.table.add(account);
            }
            Ok(account) => self.table.put(account),
            Err(mismatch) => {
                let account = mismatch.account.and_then(|id| self.table.get(id));
                return Err(Box::new(Problem::new(
                    at,
                    Source::Sync,
                    mismatch.reason,
                    mismatch.field,
                    Original::of_user(self.user),
                    account,
                )));
            }
        }
        Ok(())
    }

    /// The account as it is to be; without a number if it is new.
    fn prepare(&self) -> Result<Account, Mismatch> {
        if self.user.supplier {
            return Err(Mismatch::whole(Reason::SupplierUser));
        }
        if self.user.email.is_empty() {
            return Err(Mismatch {
                field: Some(Field::Email),
                ..Mismatch::whole(Reason::NoEmail)
            });
        }
        let fields = within_limits(self.user, self.readings)?;
        let found = self.find()?.cloned();
        if let Some(found) = &found
            && found.supplier
        {
            return Err(Mismatch::with(Reason::SupplierAccount, Field::Email, found));
        }
        let mut account = found.unwrap_or_else(|| Account::blank(Origin::Sync));
        self.claim_addresses(&mut account, &fields)?;
        for (field, value) in fields {
            account.set(field, value);
        }
        account.coupa_id = Some(self.user.id);
        account.active = self.user.active;
        account.synced = true;
        Ok(account)
    }

    /// In order of precedence; nobody if there is none.
    fn find(&self) -> Result<Option<&Account>, Mismatch> {
        let user = self.user;
        let same_login = |account: &&Account| fold(account.get(Field::CoupaUsername)) == fold(&user.login);
        let linked: Vec<&Account> = self.table.find(&Key::CoupaId(user.id)).collect();
        let by_id = linked.iter().copied().find(same_login);
        let by_id = match self.readings.rename {
            Rename::KeepsLink => by_id.or(linked.first().copied()),
            Rename::SecondAccount => by_id,
        };
        let mut by_login = self.table.find(&Key::coupa_username(&user.login));
        if let Some(account) = by_id {
            return match by_login.find(|other| other.id != account.id) {
                Some(other) => Err(Mismatch::with(Reason::LoginTaken, Field::CoupaUsername, other)),
                None => Ok(Some(account)),
            };
        }
        if let Some(account) = by_login.next() {
            return match by_login.next() {
                Some(other) => Err(Mismatch::with(Reason::LoginTaken, Field::CoupaUsername, other)),
                None => self.unlinked(account).map(Some),
            };
        }
        let mut by_email = self.table.find(&Key::email(&user.email));
        let Some(account) = by_email.next() else {
            return Ok(None);
        };
        if self.is_predecessor(account) {
            return Ok(None);
        }
        let account = self.unlinked(account)?;
        match account.get(Field::CoupaUsername) {
            "" => Ok(Some(account)),
            _ => Err(Mismatch::with(Reason::OtherLogin, Field::CoupaUsername, account)),
        }
    }

    /// The account is linked to nobody, or to this user.
    fn unlinked<'a>(&self, account: &'a Account) -> Result<&'a Account, Mismatch> {
        match account.coupa_id {
            Some(other) if other != self.user.id => Err(Mismatch::with(
                Reason::LinkedToAnother,
                Field::CoupaUsername,
                account,
            )),
            _ => Ok(account),
        }
    }

    /// The same user's account under a login of before, where a login makes an account.
    fn is_predecessor(&self, account: &Account) -> bool {
        self.readings.rename == Rename::SecondAccount && account.coupa_id == Some(self.user.id)
    }

    /// Sets the user name; e-mail and user name must be nobody else's.
    fn claim_addresses(
        &self,
        account: &mut Account,
        fields: &BTreeMap<Field, String>,
    ) -> Result<(), Mismatch> {
        let email = fields.get(&Field::Email).map_or("", String::as_str);
        let own = (account.id != 0).then_some(account.id);
        let other = self.table.taken(email, own);
        let mut username = email;
        match other {
            Some(other) if self.is_predecessor(other) => username = &self.user.login,
            Some(other) => return Err(Mismatch::with(Reason::EmailTaken, Field::Email, other)),
            None => {}
        }
        // A user name that was the e-mail address stays so; one that somebody chose stays chosen.
        let followed = fold(account.get(Field::Username)) == fold(account.get(Field::Email));
        if followed && (account.id == 0 || username == email) {
            if let Some(other) = self
                .table
                .taken(username, own)
                .filter(|other| !self.is_predecessor(other))
            {
                return Err(Mismatch::with(Reason::EmailTaken, Field::Username, other));
            }
            account.set(Field::Username, username);
        }
        Ok(())
    }
}

/// The values, judged by the rules of the import or cut, as the reading says.
fn within_limits(user: &CoupaUser, readings: &Readings) -> Result<BTreeMap<Field, String>, Mismatch> {
    let mut fields = user.fields();
    let country = fields.get(&Field::Country).cloned();
    for (&field, value) in &mut fields {
        let Some(column) = column_of(Place::Text(field)).filter(|_| !value.is_empty()) else {
            continue;
        };
        match readings.limits {
            Limits::NotEnforced => {}
            Limits::Cut if column.check == Check::Phone => {}
            Limits::Cut => *value = value.chars().take(column.longest).collect(),
            Limits::Rejected => {
                let wrong = rules::complaint(column, value, country.as_deref(), readings.phones);
                if wrong.is_some() {
                    return Err(Mismatch {
                        field: Some(field),
                        ..Mismatch::whole(Reason::BadValue)
                    });
                }
            }
        }
    }
    let blank = [Field::FirstName, Field::LastName]
        .into_iter()
        .find(|field| fields.get(field).is_none_or(String::is_empty));
    match blank {
        Some(field) => Err(Mismatch {
            field: Some(field),
            ..Mismatch::whole(Reason::BadValue)
        }),
        None => Ok(fields),
    }
}

/// Whether a user has an e-mail address and nothing that the rules of the import refuse.
pub(super) fn fits(user: &CoupaUser) -> bool {
    !user.email.is_empty() && within_limits(user, &Readings::default()).is_ok()
}
