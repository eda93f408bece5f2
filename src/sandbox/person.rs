//! What is known of a user as a person: names, login, email, dates.
//!
//! Invariant: until somebody changes it, a function of the tenant's seed and the user's index, so it is the same each time it is
//! asked; after that a stored [`Profile`]. All awkward on purpose: equal names, missing emails, numbers with leading zeros.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::seed::{DEPARTMENTS, FIRST_NAMES, LAST_NAMES, chance, choose, mix};
use super::tenant::{Class, Tenant, as_index, to_u32};

/// Streams of the dice, apart from those of `tenant`.
mod stream {
    pub(super) const FIRST: u64 = 200;
    pub(super) const LAST: u64 = 201;
    pub(super) const EMAIL: u64 = 202;
    pub(super) const EMPLOYEE: u64 = 203;
    pub(super) const AUTH: u64 = 204;
    pub(super) const DEPARTMENT: u64 = 205;
    pub(super) const CREATED: u64 = 206;
    pub(super) const UPDATED: u64 = 207;
    pub(super) const PLACE: u64 = 208;
    pub(super) const LONG_STREET: u64 = 209;
    pub(super) const NO_COUNTRY: u64 = 210;
}

/// 2015-01-01T00:00:00Z.
const EPOCH: i64 = 1_420_070_400;
const DAY: u64 = 86_400;

/// A person in full, once something of it was written. References are handles.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) login: String,
    pub(super) email: Option<String>,
    pub(super) first_name: Cow<'static, str>,
    pub(super) last_name: Cow<'static, str>,
    pub(super) middle_name: Option<String>,
    pub(super) employee_number: Option<String>,
    pub(super) authentication_method: Cow<'static, str>,
    pub(super) sso_identifier: Option<String>,
    pub(super) manager: Option<u64>,
    pub(super) department: Option<u64>,
    pub(super) locale: Cow<'static, str>,
    pub(super) currency: Option<u64>,
    pub(super) phone_work: Option<u64>,
    pub(super) address: Option<u64>,
    pub(super) custom: CustomFields,
    /// Seconds since 1970.
    pub(super) created: i64,
    pub(super) updated: i64,
}

/// The custom fields of this tenant's users.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct CustomFields {
    pub(super) badge_colour: Option<Cow<'static, str>>,
    pub(super) reviewer: bool,
    /// Handle of a department.
    pub(super) site: Option<u64>,
}

/// A phone number in parts. `Debug` leaves them out.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Phone {
    /// Digits of the country.
    pub country_code: Option<String>,
    /// Digits of the area.
    pub area_code: Option<String>,
    /// The number within the area.
    pub number: Option<String>,
    /// The extension.
    pub extension: Option<String>,
}

/// A postal address. `Debug` leaves its parts out.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Address {
    /// First line.
    pub street1: Option<String>,
    /// Second line.
    pub street2: Option<String>,
    /// Third line.
    pub street3: Option<String>,
    /// Fourth line.
    pub street4: Option<String>,
    /// City.
    pub city: Option<String>,
    /// State or province, as somebody wrote it.
    pub state: Option<String>,
    /// ISO 3166-2, such as `US-NV`.
    pub state_iso_code: Option<String>,
    /// Postal code; leading zeros count.
    pub postal_code: Option<String>,
    /// Country.
    pub country: Option<Country>,
}

/// A country of an address.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Country {
    /// ISO 3166-1, two letters.
    pub code: Option<String>,
    /// Its name.
    pub name: Option<String>,
}

macro_rules! secretive {
    ($($name:ident),*) => {
        $(impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        })*
    };
}
secretive!(Phone, Address, Country);

/// Codes and names of the countries the tenant knows.
pub(super) const COUNTRIES: [(&str, &str); 6] = [
    ("CH", "Switzerland"),
    ("US", "United States"),
    ("CA", "Canada"),
    ("DE", "Germany"),
    ("GB", "United Kingdom"),
    ("JP", "Japan"),
];

/// Where people live.
struct Place {
    city: &'static str,
    /// The state and its code.
    state: Option<(&'static str, &'static str)>,
    /// Place in [`COUNTRIES`].
    country: usize,
}

const fn place(city: &'static str, state: Option<(&'static str, &'static str)>, country: usize) -> Place {
    Place { city, state, country }
}

const PLACES: [Place; 8] = [
    place("Zürich", Some(("Zürich", "CH-ZH")), 0),
    place("Reno", Some(("Nevada", "US-NV")), 1),
    place("New York", Some(("NY", "US-NY")), 1),
    place("Toronto", Some(("Ontario", "CA-ON")), 2),
    place("München", Some(("Bayern", "DE-BY")), 3),
    place("Leeds", None, 4),
    place("東京", None, 5),
    // A state that nobody knows.
    place("Springfield", Some(("Westmoria", "US-WM")), 1),
];

/// Longer than Risk Assess takes.
const LONG_STREET: &str = "Avenue of the Unknown Benefactors of the Old Observatory, Second Courtyard";

/// Handles of phones and addresses from here on lead to those that were written; those below are made of the number.
const WRITTEN: u64 = 1 << 40;

impl Tenant {
    /// What is stored of a user, if anything was ever written.
    fn profile(&self, user: u64) -> Option<&Profile> {
        self.profiles.get(&to_u32(as_index(user)))
    }

    /// Everything about a user as a person, as reads show it.
    pub(super) fn whole_profile(&self, user: u64) -> Profile {
        self.profile(user).cloned().unwrap_or_else(|| Profile {
            login: self.login(user),
            email: self.email(user),
            first_name: self.first_name(user),
            last_name: self.last_name(user),
            middle_name: self.middle_name(user),
            employee_number: self.employee_number(user),
            authentication_method: self.authentication_method(user),
            sso_identifier: self.sso_identifier(user),
            manager: self.manager(user),
            department: self.department(user),
            locale: self.locale(user),
            currency: self.currency(user),
            phone_work: self.phone_work(user),
            address: self.address_of(user),
            custom: self.custom_fields(user),
            created: self.created(user),
            updated: self.updated(user),
        })
    }

    pub(super) fn middle_name(&self, user: u64) -> Option<String> {
        self.profile(user)?.middle_name.clone()
    }

    pub(super) fn locale(&self, user: u64) -> Cow<'static, str> {
        match self.profile(user) {
            Some(profile) => profile.locale.clone(),
            None => ["en", "de", "ja", "fr"][as_index(user % 4)].into(),
        }
    }

    pub(super) fn currency(&self, user: u64) -> Option<u64> {
        self.profile(user)
            .map_or(Some(user % 3), |profile| profile.currency)
    }

    pub(super) fn phone_work(&self, user: u64) -> Option<u64> {
        match self.profile(user) {
            Some(profile) => profile.phone_work,
            None => user.is_multiple_of(3).then_some(user),
        }
    }

    pub(super) fn custom_fields(&self, user: u64) -> CustomFields {
        match self.profile(user) {
            Some(profile) => profile.custom.clone(),
            None => CustomFields {
                badge_colour: Some(if user.is_multiple_of(2) { "blue" } else { "grün" }.into()),
                reviewer: user.is_multiple_of(3),
                site: self.department(user),
            },
        }
    }

    /// The phone of a handle.
    pub(super) fn phone(&self, handle: u64) -> Phone {
        if let Some(written) = handle.checked_sub(WRITTEN) {
            return self.phones[as_index(written)].clone();
        }
        let american = handle % 7 == 3;
        Phone {
            country_code: Some(if american { "1" } else { "41" }.to_owned()),
            area_code: Some(if american {
                "555".to_owned()
            } else {
                format!("{:02}", handle % 100)
            }),
            number: Some(format!("555{:04}", handle % 10_000)),
            extension: handle
                .is_multiple_of(9)
                .then(|| format!("{}", handle % 100_000 + 7)),
        }
    }

    /// Handle of a user's default address: one in four has none.
    pub(super) fn address_of(&self, user: u64) -> Option<u64> {
        match self.profile(user) {
            Some(profile) => profile.address,
            None => (user % 4 != 1).then_some(user),
        }
    }

    /// The address of a handle. Most are plain; some have a very long line, or a country that nobody entered.
    pub(super) fn address(&self, handle: u64) -> Address {
        if let Some(written) = handle.checked_sub(WRITTEN) {
            return self.addresses[as_index(written)].clone();
        }
        let Place { city, state, country } = *choose(&PLACES, self.seed, stream::PLACE, handle);
        let (code, name) = COUNTRIES[country];
        let text = |text: &str| Some(text.to_owned());
        let long = chance(self.seed, stream::LONG_STREET, handle, 30);
        Address {
            street1: Some(format!(
                "{handle} {}",
                if long { LONG_STREET } else { "Long Street" }
            )),
            street2: None,
            street3: (handle % 8 == 6).then(|| "Rear building".to_owned()),
            street4: None,
            city: text(city),
            state: state.and_then(|(name, _)| text(name)),
            state_iso_code: state.and_then(|(_, code)| text(code)),
            postal_code: Some(format!("{:05}", handle % 100_000)),
            country: (!chance(self.seed, stream::NO_COUNTRY, handle, 30)).then(|| Country {
                code: text(code),
                name: text(name),
            }),
        }
    }

    /// Keeps a written address and gives its handle.
    pub(super) fn keep_address(&mut self, address: Address) -> u64 {
        self.addresses.push(address);
        WRITTEN + self.addresses.len() as u64 - 1
    }

    /// Keeps a written phone and gives its handle.
    pub(super) fn keep_phone(&mut self, phone: Phone) -> u64 {
        self.phones.push(phone);
        WRITTEN + self.phones.len() as u64 - 1
    }
}

impl Tenant {
    fn class(&self, user: u64) -> Class {
        self.user(user).class
    }

    fn name_pair(&self, user: u64) -> ((&'static str, &'static str), (&'static str, &'static str)) {
        // Two people of the same name, side by side.
        let of = if user == 21 { 20 } else { user };
        (
            *choose(&FIRST_NAMES, self.seed, stream::FIRST, of),
            *choose(&LAST_NAMES, self.seed, stream::LAST, of),
        )
    }

    pub(super) fn first_name(&self, user: u64) -> Cow<'static, str> {
        if let Some(profile) = self.profile(user) {
            return profile.first_name.clone();
        }
        match self.class(user) {
            Class::Support => "Coupa".into(),
            Class::Api => "API".into(),
            _ => self.name_pair(user).0.0.into(),
        }
    }

    pub(super) fn last_name(&self, user: u64) -> Cow<'static, str> {
        if let Some(profile) = self.profile(user) {
            return profile.last_name.clone();
        }
        match self.class(user) {
            Class::Support => "Support".into(),
            Class::Api => "Integration".into(),
            _ => self.name_pair(user).1.0.into(),
        }
    }

    pub(super) fn login(&self, user: u64) -> String {
        if let Some(profile) = self.profile(user) {
            return profile.login.clone();
        }
        let ((_, first), (_, last)) = self.name_pair(user);
        match self.class(user) {
            Class::Support => "coupasupport".to_owned(),
            Class::Api => format!("svc-integration-{user}"),
            Class::ManagedService => format!("msp.{last}{user}"),
            Class::Supplier | Class::SupplierByRole => format!("{first}@supplier-{user}.example"),
            Class::Internal if user.is_multiple_of(3) => format!("{first}.{last}{user}@corp.example"),
            Class::Internal => format!("{}{last}{user}", &first[..1]),
        }
    }

    pub(super) fn email(&self, user: u64) -> Option<String> {
        if let Some(profile) = self.profile(user) {
            return profile.email.clone();
        }
        let ((_, first), (_, last)) = self.name_pair(user);
        match self.class(user) {
            Class::Support => Some("support@coupa.example".to_owned()),
            Class::Api => None,
            Class::Supplier | Class::SupplierByRole => Some(format!("{first}@supplier-{user}.example")),
            _ if chance(self.seed, stream::EMAIL, user, 30) => None,
            _ if user.is_multiple_of(50) => Some(format!("{first}.{last}+tag{user}@Corp.Example")),
            _ => Some(format!("{first}.{last}{user}@corp.example")),
        }
    }

    /// Text even when it looks like a number; leading zeros count.
    pub(super) fn employee_number(&self, user: u64) -> Option<String> {
        if let Some(profile) = self.profile(user) {
            return profile.employee_number.clone();
        }
        match self.class(user) {
            Class::Internal if !chance(self.seed, stream::EMPLOYEE, user, 150) => {
                Some(if user.is_multiple_of(2) {
                    format!("{user:07}")
                } else {
                    format!("E-{user:05}")
                })
            }
            _ => None,
        }
    }

    pub(super) fn authentication_method(&self, user: u64) -> Cow<'static, str> {
        if let Some(profile) = self.profile(user) {
            return profile.authentication_method.clone();
        }
        match (self.class(user), mix(self.seed, stream::AUTH, user) % 100) {
            (Class::Internal, 0..=79) => "saml".into(),
            (Class::Internal, 80..=84) => "ldap".into(),
            _ => "coupa_credentials".into(),
        }
    }

    pub(super) fn sso_identifier(&self, user: u64) -> Option<String> {
        if let Some(profile) = self.profile(user) {
            return profile.sso_identifier.clone();
        }
        (self.authentication_method(user) == "saml")
            .then(|| self.email(user).unwrap_or_else(|| self.login(user)))
    }

    /// Index of the manager: someone of the house with a lower index, perhaps inactive.
    pub(super) fn manager(&self, user: u64) -> Option<u64> {
        if let Some(profile) = self.profile(user) {
            return profile.manager;
        }
        let manager = user / 7;
        let both = self.class(user) == Class::Internal && self.class(manager) == Class::Internal;
        (both && manager != user).then_some(manager)
    }

    /// Index in [`DEPARTMENTS`].
    pub(super) fn department(&self, user: u64) -> Option<u64> {
        if let Some(profile) = self.profile(user) {
            return profile.department;
        }
        let dice = mix(self.seed, stream::DEPARTMENT, user);
        (self.class(user) == Class::Internal && !(dice >> 32).is_multiple_of(12))
            .then(|| dice % DEPARTMENTS.len() as u64)
    }

    pub(super) fn supplier_id(&self, user: u64) -> Option<u64> {
        (self.class(user) == Class::Supplier).then_some(user * 13 + 100)
    }

    /// Seconds since 1970.
    pub(super) fn created(&self, user: u64) -> i64 {
        if let Some(profile) = self.profile(user) {
            return profile.created;
        }
        let after = mix(self.seed, stream::CREATED, user) % (3_000 * DAY);
        EPOCH.saturating_add_unsigned(after)
    }

    /// Seconds since 1970, never before [`Self::created`].
    pub(super) fn updated(&self, user: u64) -> i64 {
        if let Some(profile) = self.profile(user) {
            return profile.updated;
        }
        let after = mix(self.seed, stream::UPDATED, user) % (900 * DAY);
        self.created(user).saturating_add_unsigned(after)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::BTreeSet;

    use super::*;
    use crate::sandbox::SandboxConfig;

    #[test]
    fn logins_and_emails_are_unique() {
        let t = Tenant::grow(&SandboxConfig {
            users: 5_000,
            ..SandboxConfig::default()
        });
        let logins: BTreeSet<String> = (0..5_000).map(|u| t.login(u)).collect();
        assert_eq!(logins.len(), 5_000);
        let emails: Vec<String> = (0..5_000).filter_map(|u| t.email(u)).collect();
        assert_eq!(emails.iter().collect::<BTreeSet<_>>().len(), emails.len());
    }
}
