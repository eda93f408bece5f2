//! An account as it is listed: a user without what it holds, plus its class. Comes with the compact form in which
//! accounts wait in the spool.
//!
//! Invariant: `decode(encode(account)) == account`; the form never leaves the process.

use std::fmt;

use jiff::Timestamp;

use super::class::{SupplierRoles, classify};
use crate::model::access::Access;
use crate::model::fault::Fault;
use crate::model::id::UserId;
use crate::model::tenant::{AccountClass, User};

/// One account of a known class. Its `Debug` shows id and class only. Fields as in [`User`].
#[expect(
    missing_docs,
    reason = "the fields are those of `User`, where they are documented"
)]
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    pub id: UserId,
    pub class: AccountClass,
    pub login: Box<str>,
    pub email: Option<Box<str>>,
    pub first_name: Option<Box<str>>,
    pub last_name: Option<Box<str>>,
    pub full_name: Option<Box<str>>,
    pub active: bool,
    pub employee_number: Option<Box<str>>,
    pub manager: Option<UserId>,
    pub department: Option<Box<str>>,
    pub sso_identifier: Option<Box<str>>,
    pub authentication_method: Option<Box<str>>,
    pub created_at: Option<Timestamp>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("id", &self.id)
            .field("class", &self.class)
            .finish_non_exhaustive()
    }
}

impl Account {
    /// Judges the class of a user and parts the account from what it holds.
    pub fn of(user: User, suppliers: &SupplierRoles) -> (Self, Access) {
        let class = classify(user.marks, user.access.roles(), suppliers);
        let account = Self {
            id: user.id,
            class,
            login: user.login,
            email: user.email,
            first_name: user.first_name,
            last_name: user.last_name,
            full_name: user.full_name,
            active: user.active,
            employee_number: user.employee_number,
            manager: user.manager,
            department: user.department,
            sso_identifier: user.sso_identifier,
            authentication_method: user.authentication_method,
            created_at: user.created_at,
        };
        (account, user.access)
    }

    /// Appends the compact form to `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        number(out, self.id.get());
        out.push(self.class as u8);
        out.push(u8::from(self.active));
        number(out, self.manager.map_or(0, UserId::get));
        out.push(u8::from(self.created_at.is_some()));
        if let Some(at) = self.created_at {
            out.extend(at.as_nanosecond().to_le_bytes());
        }
        text(out, Some(&self.login));
        for field in [
            &self.email,
            &self.first_name,
            &self.last_name,
            &self.full_name,
            &self.employee_number,
            &self.department,
            &self.sso_identifier,
            &self.authentication_method,
        ] {
            text(out, field.as_deref());
        }
    }

    /// Reads back what [`Account::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        Reader(bytes)
            .account()
            .ok_or_else(|| Fault::internal("the spool of users is damaged"))
    }
}

/// Little-endian base 128.
fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Length plus one, then the bytes; 0 for an absent text.
fn text(out: &mut Vec<u8>, value: Option<&str>) {
    let Some(value) = value else {
        out.push(0);
        return;
    };
    number(out, value.len() as u64 + 1);
    out.extend(value.as_bytes());
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// Outer `None`: damaged. Inner `None`: absent.
    #[expect(clippy::option_option, reason = "private to this file, and said above")]
    fn text(&mut self) -> Option<Option<Box<str>>> {
        let Some(length) = self.number()?.checked_sub(1) else {
            return Some(None);
        };
        let bytes = self.take(usize::try_from(length).ok()?)?;
        Some(Some(std::str::from_utf8(bytes).ok()?.into()))
    }

    fn timestamp(&mut self) -> Option<Timestamp> {
        let bytes = self.take(16)?.try_into().ok()?;
        Timestamp::from_nanosecond(i128::from_le_bytes(bytes)).ok()
    }

    fn account(mut self) -> Option<Account> {
        let id = UserId::new(self.number()?)?;
        let class = *AccountClass::ALL.get(usize::from(self.byte()?))?;
        let active = self.byte()? == 1;
        let manager = UserId::new(self.number()?);
        let created_at = match self.byte()? {
            0 => None,
            _ => Some(self.timestamp()?),
        };
        let account = Account {
            id,
            class,
            active,
            manager,
            created_at,
            login: self.text()??,
            email: self.text()?,
            first_name: self.text()?,
            last_name: self.text()?,
            full_name: self.text()?,
            employee_number: self.text()?,
            department: self.text()?,
            sso_identifier: self.text()?,
            authentication_method: self.text()?,
        };
        self.0.is_empty().then_some(account)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn words() -> impl Strategy<Value = Option<Box<str>>> {
        option::of(".{0,200}").prop_map(|text| text.map(String::into_boxed_str))
    }

    prop_compose! {
        fn accounts()(
            id in 1u64.., class in 0..5usize, active in any::<bool>(), manager in any::<u64>(),
            created in option::of(-2_000_000_000_000_000_000i128..4_000_000_000_000_000_000),
            login in ".{0,40}", texts in prop::collection::vec(words(), 8),
        ) -> Account {
            let mut texts = texts.into_iter();
            let mut text = || texts.next().flatten();
            Account {
                id: UserId::new(id).unwrap(), class: AccountClass::ALL[class], active,
                manager: UserId::new(manager), login: login.into(),
                created_at: created.map(|at| Timestamp::from_nanosecond(at).unwrap()),
                email: text(), first_name: text(), last_name: text(), full_name: text(),
                employee_number: text(), department: text(), sso_identifier: text(), authentication_method: text(),
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_spooled_comes_back(account in accounts()) {
            let mut bytes = Vec::new();
            account.encode(&mut bytes);
            prop_assert!(Account::decode(&bytes).unwrap() == account);
            prop_assert!(Account::decode(&bytes[..bytes.len() - 1]).is_err(), "a cut row is noticed");
        }
    }

    #[test]
    fn debug_shows_no_person() {
        let account = Account {
            id: UserId::new(7).unwrap(),
            class: AccountClass::Internal,
            login: "SENTINEL".into(),
            email: Some("SENTINEL".into()),
            first_name: None,
            last_name: None,
            full_name: None,
            active: true,
            employee_number: None,
            manager: None,
            department: None,
            sso_identifier: None,
            authentication_method: None,
            created_at: None,
        };
        assert!(!format!("{account:?}").contains("SENTINEL"));
    }
}
