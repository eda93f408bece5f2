//! Digests by which the ledger knows what Coupa showed without keeping it.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::model::downstream::Digest;
use crate::model::profile::Profile;

/// Digests of what the sync takes along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// Of all its fields together, letter case kept.
    pub fields: Digest,
    /// Of the login, letter case aside.
    pub login: Digest,
    /// Of the e-mail address, letter case aside.
    pub email: Option<Digest>,
}

/// The digests of a user as Coupa shows it. The fields are those of the sync (S1); the state in both of its forms, since no document says
/// which one is taken.
pub fn fingerprint(profile: &Profile) -> Fingerprint {
    let phone = profile.phone.as_ref();
    let address = profile.address.as_ref();
    let id = profile.user.to_string();
    let fields = [
        Some(id.as_str()),
        Some(&*profile.login),
        profile.email.as_deref(),
        Some(if profile.active { "active" } else { "inactive" }),
        profile.first_name.as_deref(),
        profile.last_name.as_deref(),
        phone.and_then(|phone| phone.country_code.as_deref()),
        phone.and_then(|phone| phone.area_code.as_deref()),
        phone.and_then(|phone| phone.number.as_deref()),
        phone.and_then(|phone| phone.extension.as_deref()),
        address.and_then(|address| address.street1.as_deref()),
        address.and_then(|address| address.street2.as_deref()),
        address.and_then(|address| address.city.as_deref()),
        address.and_then(|address| address.state.as_deref()),
        address.and_then(|address| address.state_iso_code.as_deref()),
        address.and_then(|address| address.postal_code.as_deref()),
        address.and_then(|address| address.country.as_deref()),
    ];
    Fingerprint {
        fields: digest(&canonical(&fields)),
        login: folded(&profile.login),
        email: profile.email.as_deref().map(folded),
    }
}

/// Each value with its length before it, so that no two lists of values have one form; an absent value is not an empty one.
fn canonical(values: &[Option<&str>]) -> Vec<u8> {
    let mut form = Vec::new();
    for value in values {
        match value {
            None => form.push(0),
            Some(text) => {
                form.push(1);
                form.extend((text.len() as u64).to_be_bytes());
                form.extend(text.as_bytes());
            }
        }
    }
    form
}

/// The digest of a name, letter case and edge spaces aside.
pub fn folded(name: &str) -> Digest {
    digest(name.trim().to_lowercase().as_bytes())
}

/// SHA-256 in lower-case hex.
pub fn digest(bytes: &[u8]) -> Digest {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Digest(text.into())
}
