//! Accounts that share a login or an e-mail address with a user.
//!
//! Invariant: ids only; the user itself is never its own twin.

use crate::model::change::AccountKey;
use crate::model::fault::Fault;
use crate::model::id::UserId;
use crate::model::profile::{Profile, ReadProfiles};

/// Other accounts of any class, active or not, letter case aside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Twins {
    /// With the same login.
    pub login: Vec<UserId>,
    /// With the same e-mail address.
    pub email: Vec<UserId>,
}

impl Twins {
    /// Asks Coupa for those of one user.
    pub async fn find(profiles: &dyn ReadProfiles, profile: &Profile) -> Result<Self, Fault> {
        let others = async |key| {
            let mut found = profiles.accounts_named(key).await?;
            found.retain(|user| *user != profile.user);
            Ok::<_, Fault>(found)
        };
        let login = match profile.login.trim() {
            "" => Vec::new(),
            _ => others(AccountKey::Login(&profile.login)).await?,
        };
        let email = match profile.email.as_deref() {
            Some(email) if !email.trim().is_empty() => others(AccountKey::Email(email)).await?,
            Some(_) | None => Vec::new(),
        };
        Ok(Self { login, email })
    }
}
