//! What a sandbox is started with: size, credentials, pace.
//!
//! Invariant: the client secret never shows in `Debug`.

use std::path::PathBuf;

use secrecy::SecretString;

use super::faults::Faults;
use super::readings::Readings;
use super::seed::mix;

/// Rows Coupa returns per call at most.
pub const PAGE_CAP: usize = 50;

/// Scopes the sandbox's OAuth client holds unless told otherwise.
pub const DEFAULT_SCOPES: [&str; 6] = [
    "core.user.read",
    "core.user.write",
    "core.user_group.read",
    "core.user_group.write",
    "core.common.read",
    "core.accounting.read",
];

/// Everything a sandbox tenant is started with.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// Number of users, the Coupa support account among them (at least 1).
    pub users: usize,
    /// Number of user groups, projects among them.
    pub groups: usize,
    /// Number of roles.
    pub roles: usize,
    /// Seed of all data, credentials and fault dice: equal seeds make equal tenants.
    pub seed: u64,
    /// Added to every API answer, in milliseconds.
    pub latency_ms: u64,
    /// API requests per second before 429; `None` means no limit.
    pub rate: Option<f64>,
    /// Requests that may come at once before `rate` counts (Coupa documents a queue of 20).
    pub burst: u32,
    /// Life of a token in seconds (Coupa: 86399).
    pub token_lifetime_secs: u64,
    /// For how long after its minting a token is not known yet and answers 401, in milliseconds.
    pub propagation_ms: u64,
    /// OAuth client id; derived from the seed when `None`.
    pub client_id: Option<String>,
    /// OAuth client secret; derived from the seed when `None`.
    pub client_secret: Option<SecretString>,
    /// Scopes the OAuth client holds.
    pub scopes: Vec<String>,
    /// Rows per REST call at most.
    pub page_cap: usize,
    /// How the unclear parts of the documents are read.
    pub readings: Readings,
    /// What goes wrong.
    pub faults: Faults,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            users: 500,
            groups: 40,
            roles: 25,
            seed: 1,
            latency_ms: 0,
            rate: None,
            burst: 20,
            token_lifetime_secs: 86_399,
            propagation_ms: 0,
            client_id: None,
            client_secret: None,
            scopes: DEFAULT_SCOPES.map(str::to_owned).to_vec(),
            page_cap: PAGE_CAP,
            readings: Readings::default(),
            faults: Faults::default(),
        }
    }
}

impl SandboxConfig {
    /// The client id in force: the given one, or 32 hex digits from the seed.
    pub(super) fn resolved_client_id(&self) -> String {
        self.client_id.clone().unwrap_or_else(|| hex(self.seed, 101, 2))
    }

    /// The client secret in force: the given one, or 64 hex digits from the seed.
    pub(super) fn resolved_client_secret(&self) -> SecretString {
        self.client_secret
            .clone()
            .unwrap_or_else(|| hex(self.seed, 102, 4).into())
    }

    /// The password of the login that imports into Risk Assess: 48 hex digits from the seed.
    pub(super) fn risk_assess_password(&self) -> SecretString {
        hex(self.seed, 103, 3).into()
    }
}

fn hex(seed: u64, stream: u64, words: u64) -> String {
    (0..words).fold(String::new(), |text, word| {
        text + &format!("{:016x}", mix(seed, stream, word))
    })
}

/// Certificate and key of an HTTPS sandbox, both PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Certificate chain, leaf first.
    pub cert: PathBuf,
    /// Private key of the leaf.
    pub key: PathBuf,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn secrets_do_not_show_in_debug() {
        let config = SandboxConfig {
            client_secret: Some("sentinel-4711".into()),
            ..SandboxConfig::default()
        };
        assert!(!format!("{config:?}").contains("sentinel-4711"));
        assert_eq!(config.resolved_client_secret().expose_secret(), "sentinel-4711");
    }

    #[test]
    fn credentials_follow_the_seed() {
        let one = SandboxConfig::default();
        let two = SandboxConfig {
            seed: 2,
            ..SandboxConfig::default()
        };
        assert_eq!(
            one.resolved_client_id(),
            SandboxConfig::default().resolved_client_id()
        );
        assert_ne!(one.resolved_client_id(), two.resolved_client_id());
        assert_eq!(one.resolved_client_secret().expose_secret().len(), 64);
    }
}
