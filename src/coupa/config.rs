//! What the client is told from outside.
//!
//! Invariant: the secret never shows in `Debug`.

use std::num::NonZeroU32;
use std::time::Duration;

use secrecy::SecretString;

use super::endpoint::Endpoint;

/// Settings of the Coupa client.
#[derive(Debug, Clone)]
pub struct CoupaConfig {
    /// The tenant.
    pub endpoint: Endpoint,
    /// OAuth client identifier.
    pub client_id: String,
    /// OAuth client secret.
    pub client_secret: SecretString,
    /// Requests per second, tokens and retries included. Coupa allows 25 for all clients of an instance together.
    pub requests_per_second: NonZeroU32,
    /// Requests that may go out at once after a pause, before the rate counts. Coupa queues 20.
    pub burst: NonZeroU32,
    /// Requests under way at one time.
    pub max_in_flight: NonZeroU32,
    /// Limits on time.
    pub timeouts: Timeouts,
}

impl CoupaConfig {
    /// Requests per second unless told otherwise: leaves a fifth of Coupa's 25 to other clients.
    pub const DEFAULT_REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(20).unwrap(); // judged by the compiler
    /// Requests under way at one time unless told otherwise.
    pub const DEFAULT_MAX_IN_FLIGHT: NonZeroU32 = NonZeroU32::new(8).unwrap(); // judged by the compiler

    /// The default settings for a tenant and a client.
    pub fn new(endpoint: Endpoint, client_id: String, client_secret: SecretString) -> Self {
        Self {
            endpoint,
            client_id,
            client_secret,
            requests_per_second: Self::DEFAULT_REQUESTS_PER_SECOND,
            burst: Self::DEFAULT_REQUESTS_PER_SECOND,
            max_in_flight: Self::DEFAULT_MAX_IN_FLIGHT,
            timeouts: Timeouts::default(),
        }
    }
}

/// Limits on time. Every wait of the client is bounded by one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Duration,
    /// Until the whole answer of one request is there.
    pub request: Duration,
    /// The first wait before a request is sent again; doubles each time.
    pub first_wait: Duration,
    /// The longest single wait, a `Retry-After` of Coupa's included.
    pub longest_wait: Duration,
    /// After this time a failing call is given up.
    pub patience: Duration,
    /// How long after it was handed in a write may still be sent: what it carries was read before that.
    pub fresh: Duration,
    /// How long a new token may be unknown to Coupa (Coupa asks for at least 5 s).
    pub token_lag: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            request: Duration::from_mins(1),
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_mins(1),
            patience: Duration::from_mins(5),
            fresh: Duration::from_secs(10),
            token_lag: Duration::from_secs(10),
        }
    }
}
