//! How the daemon is set up.

use std::fmt;

use secrecy::SecretString;

/// Who we are at the platform, and how tasks are gone about.
pub struct PlatformConfig {
    /// Client id.
    pub client_id: String,
    /// Client secret.
    pub client_secret: SecretString,
}

impl fmt::Debug for PlatformConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlatformConfig").finish_non_exhaustive()
    }
}
