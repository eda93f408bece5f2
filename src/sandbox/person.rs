//! What is known of a user as a person: names, login, email, dates.
//!
//! Invariant: until somebody changes it, a function of the tenant's seed and the user's index, so it is the same each time it is
//! asked; after that a stored [`Profile`]. All awkward on purpose: equal names, missing emails, numbers with leading zeros.

use std::borrow::Cow;

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

/// A phone number that was written.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Phone {
    pub(super) country_code: Option<String>,
    pub(super) area_code: Option<String>,
    pub(super) number: Option<String>,
    pub(super) extension: Option<String>,
}

/// Handles of phones from here on lead to those that were written; those below are made of the number.
const WRITTEN_PHONES: u64 = 1 << 40;

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
        match handle.checked_sub(WRITTEN_PHONES) {
            Some(written) => self.phones[as_index(written)].clone(),
            None => Phone {
                country_code: Some("41".to_owned()),
                area_code: Some(format!("{:02}", handle % 100)),
                number: Some(format!("555{handle:04}")),
                extension: None,
            },
        }
    }

    /// Keeps a written phone and gives its handle.
    pub(super) fn keep_phone(&mut self, phone: Phone) -> u64 {
        self.phones.push(phone);
        WRITTEN_PHONES + self.phones.len() as u64 - 1
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
