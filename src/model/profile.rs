//! What Coupa says of a user as far as Risk Assess takes it: the fields of its User Sync, and how they are read.
//!
//! Invariant: everything here is what Coupa said; a missing value is `None`, never empty text. `Debug` shows the id only.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;

use super::change::AccountKey;
use super::fault::Fault;
use super::id::UserId;
use super::tenant::AccountClass;

/// Dashed REST name of the license that sets off the account sync into Risk Assess.
pub const RISK_ASSESS_LICENSE: &str = "risk-assess-user";

/// A telephone number in parts, as Coupa keeps it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Phone {
    /// `country-code`, digits.
    pub country_code: Option<Box<str>>,
    /// `area-code`
    pub area_code: Option<Box<str>>,
    /// `number`
    pub number: Option<Box<str>>,
    /// `extension`
    pub extension: Option<Box<str>>,
}

/// A postal address.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Address {
    /// `street1`
    pub street1: Option<Box<str>>,
    /// `street2`
    pub street2: Option<Box<str>>,
    /// `street3`: Risk Assess has no place for it.
    pub street3: Option<Box<str>>,
    /// `street4`: Risk Assess has no place for it.
    pub street4: Option<Box<str>>,
    /// `city`
    pub city: Option<Box<str>>,
    /// `state`, free text.
    pub state: Option<Box<str>>,
    /// `state-iso-code`
    pub state_iso_code: Option<Box<str>>,
    /// `postal-code`
    pub postal_code: Option<Box<str>>,
    /// `country.code`, or `country` where a read gives it as plain text.
    pub country: Option<Box<str>>,
}

/// One user, with what the sync takes along.
#[derive(Clone, PartialEq, Eq)]
pub struct Profile {
    /// Coupa number.
    pub user: UserId,
    /// Class of the account.
    pub class: AccountClass,
    /// Whether the account can sign in.
    pub active: bool,
    /// Whether the Risk Assess license is held; `None` where the tenant does not show the flag.
    pub licensed: Option<bool>,
    /// `login`
    pub login: Box<str>,
    /// `email`
    pub email: Option<Box<str>>,
    /// `firstname`
    pub first_name: Option<Box<str>>,
    /// `middlename`: not a field of the sync.
    pub middle_name: Option<Box<str>>,
    /// `lastname`
    pub last_name: Option<Box<str>>,
    /// `phone-work`
    pub phone: Option<Phone>,
    /// `default-address`
    pub address: Option<Address>,
    /// `authentication-method`: `coupa_credentials`, `ldap` or `saml`
    pub authentication_method: Option<Box<str>>,
    /// `updated-at`
    pub updated_at: Option<Timestamp>,
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address")
    }
}

/// Whose profiles to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileFilter {
    /// Every user of every class, active or not.
    All,
    /// Holders of the Risk Assess license. The tenant may ignore the filter: look at each profile.
    Licensed,
    /// Users whose `updated-at` is this or later. The tenant may ignore the filter.
    ChangedSince(Timestamp),
}

/// Profiles of one call.
#[derive(Debug, Clone)]
pub struct ProfilePage {
    /// Ascending by id, without doubles; every id is above the one asked for.
    pub profiles: Vec<Profile>,
    /// Where to go on; `None` only after an empty answer of the tenant.
    pub next: Option<UserId>,
}

/// The port through which profiles are read. Every method retries within bounds and never answers a failure with "none".
#[async_trait]
pub trait ReadProfiles: Send + Sync {
    /// One user, fresh; `None` if Coupa does not have it.
    async fn profile(&self, user: UserId) -> Result<Option<Profile>, Fault>;

    /// One page of users with ids above `after`; from the start if `None` (Coupa: 50 rows per call).
    async fn profiles(&self, after: Option<UserId>, filter: ProfileFilter) -> Result<ProfilePage, Fault>;

    /// Accounts with that login or e-mail, letter case aside, active or not.
    async fn accounts_named(&self, key: AccountKey<'_>) -> Result<Vec<UserId>, Fault>;
}
