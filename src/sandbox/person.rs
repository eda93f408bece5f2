//! What is computed about a user rather than stored: names, login, email, dates.
//!
//! Invariant: a function of the tenant's seed and the user's index, so it is the same each time it is asked. All awkward on purpose:
//! equal names, missing emails, numbers with leading zeros.

use super::seed::{DEPARTMENTS, FIRST_NAMES, LAST_NAMES, chance, choose, mix};
use super::tenant::{Class, Tenant};

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

    pub(super) fn first_name(&self, user: u64) -> &'static str {
        match self.class(user) {
            Class::Support => "Coupa",
            Class::Api => "API",
            _ => self.name_pair(user).0.0,
        }
    }

    pub(super) fn last_name(&self, user: u64) -> &'static str {
        match self.class(user) {
            Class::Support => "Support",
            Class::Api => "Integration",
            _ => self.name_pair(user).1.0,
        }
    }

    pub(super) fn login(&self, user: u64) -> String {
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

    pub(super) fn authentication_method(&self, user: u64) -> &'static str {
        match (self.class(user), mix(self.seed, stream::AUTH, user) % 100) {
            (Class::Internal, 0..=79) => "saml",
            (Class::Internal, 80..=84) => "ldap",
            _ => "coupa_credentials",
        }
    }

    pub(super) fn sso_identifier(&self, user: u64) -> Option<String> {
        (self.authentication_method(user) == "saml")
            .then(|| self.email(user).unwrap_or_else(|| self.login(user)))
    }

    /// Index of the manager: someone of the house with a lower index, perhaps inactive.
    pub(super) fn manager(&self, user: u64) -> Option<u64> {
        let manager = user / 7;
        let both = self.class(user) == Class::Internal && self.class(manager) == Class::Internal;
        (both && manager != user).then_some(manager)
    }

    /// Index in [`DEPARTMENTS`].
    pub(super) fn department(&self, user: u64) -> Option<u64> {
        let dice = mix(self.seed, stream::DEPARTMENT, user);
        (self.class(user) == Class::Internal && !(dice >> 32).is_multiple_of(12))
            .then(|| dice % DEPARTMENTS.len() as u64)
    }

    pub(super) fn supplier_id(&self, user: u64) -> Option<u64> {
        (self.class(user) == Class::Supplier).then_some(user * 13 + 100)
    }

    /// Seconds since 1970.
    pub(super) fn created(&self, user: u64) -> i64 {
        let after = mix(self.seed, stream::CREATED, user) % (3_000 * DAY);
        EPOCH.saturating_add_unsigned(after)
    }

    /// Seconds since 1970, never before [`Self::created`].
    pub(super) fn updated(&self, user: u64) -> i64 {
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
