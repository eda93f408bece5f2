//! Accounts that administrators of Risk Assess made by hand before any sync: those without which the tenant would not work, and awkward ones.
//!
//! Invariant: a function of the Coupa tenant as it was grown.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::sandbox::tenant::{Class, Tenant};

use super::accounts::{Account, Origin};
use super::coupa_user::CoupaUser;
use super::fields::Field;
use super::rules::SUPPLIERS;
use super::{INTEGRATION_GROUP, INTEGRATION_LOGIN, native};

/// Why an account is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The Default Site Administrator, who gets the error report.
    SiteAdministrator,
    /// The login that imports.
    Integration,
    /// It has the e-mail address of the Coupa user in other letter case, and no Coupa Username.
    OtherCase,
    /// Its Coupa Username is the login of the first Coupa user, its e-mail address that of the second.
    CrossedWires,
    /// It has the e-mail address of the Coupa user and is inactive.
    Inactive,
    /// It has login and e-mail address of the Coupa user and is an administrator's.
    Administrator,
    /// Its Coupa Username is the login of the Coupa user in other letter case; its e-mail address is another.
    LoginOnly,
    /// It has the e-mail address of the Coupa user and names a login that nobody has.
    StaleLogin,
    /// It is linked by number to the first Coupa user, and its Coupa Username is the login of the second.
    WrongLink,
    /// It has the e-mail address of the Coupa user and is a supplier's.
    Supplier,
    /// It has nothing to do with Coupa.
    Stranger,
}

/// One such account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HandMade {
    /// Its number in Risk Assess.
    pub account: u64,
    /// Why it is there.
    pub why: Why,
    /// Coupa ids of the users it is about: active people of the house without the license.
    pub users: Vec<u64>,
}

/// How far in the tenant people for this are looked for.
const LOOKED_AT: usize = 600;

impl Tenant {
    /// Puts them there; in a tenant with too few people some are missing.
    pub(in crate::sandbox) fn make_by_hand(&mut self) {
        let administrator = person("Ada", "Administrator", "site.admin@riskassess.example");
        self.put_by_hand(
            Why::SiteAdministrator,
            &[],
            Account {
                administrator: true,
                ..administrator
            },
        );
        let integration = person("Quick", "Integration", INTEGRATION_LOGIN);
        self.put_by_hand(
            Why::Integration,
            &[],
            Account {
                groups: BTreeSet::from([INTEGRATION_GROUP.to_owned()]),
                ..integration
            },
        );
        let stranger = person("Ola", "Stranger", "o.stranger@elsewhere.example");
        self.put_by_hand(Why::Stranger, &[], stranger);
        let mut people = self.unlicensed_people().into_iter();
        for why in [
            Why::OtherCase,
            Why::CrossedWires,
            Why::Inactive,
            Why::Administrator,
            Why::LoginOnly,
            Why::StaleLogin,
            Why::WrongLink,
            Why::Supplier,
        ] {
            let Some(first) = people.next() else { return };
            let pair = matches!(why, Why::CrossedWires | Why::WrongLink);
            let second = if pair { people.next() } else { Some(first) };
            let Some(second) = second else { return };
            let account = self.awkward(why, first, second);
            let users = if pair { vec![first, second] } else { vec![first] };
            self.put_by_hand(why, &users, account);
        }
    }

    fn awkward(&self, why: Why, first: u64, second: u64) -> Account {
        let of = |user: u64| {
            let email = self.email(user).unwrap_or_default();
            person(&self.first_name(user), &self.last_name(user), &email)
        };
        let mut account = of(first);
        match why {
            Why::OtherCase => {
                let shouted = account.get(Field::Email).to_uppercase();
                account = person(&self.first_name(first), &self.last_name(first), &shouted);
            }
            Why::CrossedWires => {
                account = of(second);
                account.set(Field::CoupaUsername, self.login(first));
            }
            Why::Inactive => account.active = false,
            Why::Administrator => {
                account.administrator = true;
                account.set(Field::CoupaUsername, self.login(first));
            }
            Why::LoginOnly => {
                let email = format!("user{first}@elsewhere.example");
                account = person(&self.first_name(first), &self.last_name(first), &email);
                account.set(Field::CoupaUsername, self.login(first).to_uppercase());
            }
            Why::StaleLogin => account.set(Field::CoupaUsername, format!("left-{first}")),
            Why::WrongLink => {
                let email = format!("user{first}@elsewhere.example");
                account = person(&self.first_name(first), &self.last_name(first), &email);
                account.coupa_id = Some(self.user(first).id);
                account.set(Field::CoupaUsername, self.login(second));
            }
            Why::Supplier => {
                account.supplier = true;
                account.set(Field::SupplierName, SUPPLIERS[0].0);
            }
            Why::SiteAdministrator | Why::Integration | Why::Stranger => {}
        }
        account
    }

    fn put_by_hand(&mut self, why: Why, users: &[u64], account: Account) {
        let users = users.iter().map(|&user| self.user(user).id).collect();
        let there = &mut self.risk_assess;
        let account = there.table.add(account);
        if why == Why::SiteAdministrator {
            there.site_administrator = account;
        }
        there.hand_made.push(HandMade { account, why, users });
    }

    /// Indices of active people of the house who have an e-mail address, no license, and nothing that is odd.
    fn unlicensed_people(&mut self) -> Vec<u64> {
        let looked_at = 0..self.users.len().min(LOOKED_AT) as u64;
        let of_the_house = looked_at.filter(|&user| self.user(user).class == Class::Internal);
        let mut people: Vec<u64> = of_the_house.collect();
        people.retain(|&user| {
            let user = CoupaUser::of(self, user);
            user.active && !user.licensed && native::fits(&user)
        });
        people
    }

    /// Coupa ids of those of them about whom nothing was made by hand.
    pub(in crate::sandbox) fn plain_people(&mut self) -> Vec<u64> {
        let people = self.unlicensed_people();
        let made = &self.risk_assess.hand_made;
        let ids = people.into_iter().map(|user| self.user(user).id);
        ids.filter(|id| !made.iter().any(|made| made.users.contains(id)))
            .collect()
    }
}

fn person(first: &str, last: &str, email: &str) -> Account {
    let mut account = Account::blank(Origin::Hand);
    account.set(Field::FirstName, first);
    account.set(Field::LastName, last);
    account.set(Field::Username, email);
    account.set(Field::Email, email);
    account
}
