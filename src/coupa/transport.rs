//! One HTTP exchange with Coupa: send, read the body within bounds, and name what went wrong.
//!
//! Invariant: redirects are never followed, no body is larger than [`BODY_CAP`], nothing takes longer than the request timeout,
//! and logs show method, path and status only.

use std::error::Error as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use reqwest::redirect;
use rustls::CertificateError;

use crate::model::fault::Fault;
use crate::model::tenant::Usage;

use super::config::CoupaConfig;
use super::pace::Pace;
use super::retry::{http_date, retry_after};
use super::trouble::{TlsFlaw, Trouble};

/// Largest body accepted, decompressed. Fifty whole users of a large tenant stay far below.
pub(crate) const BODY_CAP: usize = 32 * 1024 * 1024;

const USER_AGENT: &str = concat!("baton-coupa/", env!("CARGO_PKG_VERSION"));

/// The connection pool with its pace and its counters.
pub(crate) struct Transport {
    http: reqwest::Client,
    pub(crate) pace: Pace,
    requests: AtomicU64,
    retries: AtomicU64,
    rate_limited: AtomicU64,
    drift: Mutex<Option<SignedDuration>>,
}

/// An answer, whatever its status.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
    retry_after: Option<std::time::Duration>,
}

impl Answer {
    /// The body of a success; any other status as trouble. What a 401 means depends on the token: it counts as a rejection here.
    pub(crate) fn success(self) -> Result<Vec<u8>, Trouble> {
        match self.trouble() {
            None => Ok(self.body),
            Some(trouble) => Err(trouble),
        }
    }

    /// What a status other than success means.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        let retry_after = self.retry_after;
        Some(match self.status.as_u16() {
            200..=299 => return None,
            status @ 300..=399 => Trouble::Redirect(status),
            403 => Trouble::Forbidden,
            404 => Trouble::NotFound,
            429 => Trouble::TooMany { retry_after },
            status @ (408 | 500..) => Trouble::Server { status, retry_after },
            status => Trouble::Rejected(status),
        })
    }
}

/// A failed exchange and, for the log, the I/O error behind it.
pub(crate) type Broken = (Trouble, Option<String>);

impl Transport {
    pub(crate) fn new(config: &CoupaConfig) -> Result<Self, Fault> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(Fault::internal("no TLS provider is installed in this process"));
        }
        let json = HeaderValue::from_static("application/json");
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .default_headers([(header::ACCEPT, json)].into_iter().collect())
            .redirect(redirect::Policy::none())
            .referer(false)
            // Our own table decides, and it must know of every exchange.
            .retry(reqwest::retry::never())
            .https_only(config.endpoint.is_https())
            .connect_timeout(config.timeouts.connect)
            .timeout(config.timeouts.request);
        if config.endpoint.is_loopback() {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| {
            Fault::internal("HTTPS cannot be set up on this system")
                .advise("install its CA certificates, or name a file with them in SSL_CERT_FILE")
                .because(chain(&error))
        })?;
        Ok(Self {
            http,
            pace: Pace::new(config),
            requests: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            rate_limited: AtomicU64::new(0),
            drift: Mutex::default(),
        })
    }

    /// Counts a request that is about to be sent again.
    pub(crate) fn count_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage {
            requests: self.requests.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            rate_limited: self.rate_limited.load(Ordering::Relaxed),
        }
    }

    /// By how much our clock is ahead of Coupa's, as far as the answers' `Date` tells: the smallest that was seen, since an answer may
    /// come out of a cache. `None` if no answer told a date.
    pub(crate) fn drift(&self) -> Option<SignedDuration> {
        *self.drift.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn see_date(&self, headers: &HeaderMap, asked: Timestamp) {
        let date = headers
            .get(header::DATE)
            .and_then(|value| http_date(value.to_str().ok()?));
        let Some(seen) = date.map(|date| drift(date, asked, Timestamp::now())) else {
            return;
        };
        let mut known = self.drift.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none_or(|known| seen.abs() < known.abs()) {
            *known = Some(seen);
        }
    }

    /// Sends one request. The caller has waited for its turn.
    pub(crate) async fn exchange(&self, request: reqwest::Request) -> Result<Answer, Broken> {
        let method = request.method().clone();
        let path = request.url().path().to_owned();
        self.requests.fetch_add(1, Ordering::Relaxed);
        let start = Instant::now();
        let result = self.receive(request).await;
        let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &result {
            Ok(answer) => {
                let (status, bytes) = (answer.status.as_u16(), answer.body.len());
                tracing::debug!(%method, path, status, bytes, ms, "coupa answered");
                if answer.status == StatusCode::TOO_MANY_REQUESTS {
                    self.rate_limited.fetch_add(1, Ordering::Relaxed);
                }
            }
            Err((trouble, _)) => tracing::debug!(%method, path, %trouble, ms, "coupa did not answer"),
        }
        result
    }

    async fn receive(&self, request: reqwest::Request) -> Result<Answer, Broken> {
        let asked = Timestamp::now();
        let mut response = self
            .http
            .execute(request)
            .await
            .map_err(|error| (before_answer(&error), Some(chain(&error))))?;
        self.see_date(response.headers(), asked);
        let status = response.status();
        let retry_after = response
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| retry_after(value.to_str().ok()?, Timestamp::now()));
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(None) => break,
                Ok(Some(part)) if body.len() + part.len() > BODY_CAP => {
                    return Err((Trouble::TooLarge, None));
                }
                Ok(Some(part)) => body.extend_from_slice(&part),
                Err(error) if error.is_timeout() => return Err((Trouble::Timeout, Some(chain(&error)))),
                Err(error) => return Err((Trouble::CutOff, Some(chain(&error)))),
            }
        }
        Ok(Answer {
            status,
            body,
            retry_after,
        })
    }
}

/// How far ahead our clock is, for an answer of `date` that came between `asked` and `answered`. A date has whole seconds, rounded down;
/// within that and the way of the answer nothing is known, and none counts.
fn drift(date: Timestamp, asked: Timestamp, answered: Timestamp) -> SignedDuration {
    let latest = date.saturating_add(SignedDuration::from_secs(1)).unwrap_or(date);
    if asked > latest {
        asked.duration_since(latest)
    } else if answered < date {
        answered.duration_since(date)
    } else {
        SignedDuration::ZERO
    }
}

/// Names an error that came before the answer's head.
fn before_answer(error: &reqwest::Error) -> Trouble {
    if error.is_builder() {
        return Trouble::Ours;
    }
    if let Some(flaw) = causes(error).find_map(tls_flaw) {
        return Trouble::Tls(flaw);
    }
    if error.is_connect() {
        // The resolver's error type is private to the HTTP library; its text is all there is.
        return if causes(error).any(|cause| cause.to_string() == "dns error") {
            Trouble::UnknownHost
        } else {
            Trouble::Unreachable
        };
    }
    if error.is_timeout() {
        return Trouble::Timeout;
    }
    Trouble::Lost
}

fn causes<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let current = next?;
        // An `io::Error` hides what it wraps from `source`.
        let wrapped = current
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner as &(dyn std::error::Error + 'static)),
            None => current.source(),
        };
        Some(current)
    })
}

fn tls_flaw(cause: &(dyn std::error::Error + 'static)) -> Option<TlsFlaw> {
    let rustls::Error::InvalidCertificate(error) = cause.downcast_ref::<rustls::Error>()? else {
        return Some(TlsFlaw::Handshake);
    };
    Some(match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFlaw::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsFlaw::NotYetValid,
        CertificateError::UnknownIssuer => TlsFlaw::UnknownAuthority,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsFlaw::OtherName
        }
        _ => TlsFlaw::Unsound,
    })
}

/// The texts of an error and its causes, without the address (a query string may carry values).
fn chain(error: &reqwest::Error) -> String {
    let mut texts: Vec<String> = causes(error).map(ToString::to_string).collect();
    texts.dedup();
    if texts.is_empty() {
        return "HTTP client error".to_owned();
    }
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_clock_is_judged_by_what_a_date_can_tell() {
        let at = |second: i64| Timestamp::from_second(1_780_000_000 + second).unwrap();
        for (date, asked, answered, ahead) in [
            (10, 10, 10, 0),
            (10, 8, 14, 0),
            (10, 11, 12, 0),
            (10, 41, 42, 30),
            (10, 5, 7, -3),
        ] {
            assert_eq!(
                drift(at(date), at(asked), at(answered)).as_secs(),
                ahead,
                "{date} {asked} {answered}"
            );
        }
        let date = http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(date.as_second(), 784_111_777);
        assert_eq!(http_date("yesterday"), None);
    }

    #[test]
    fn a_flaw_of_a_certificate_has_a_name() {
        for (error, flaw) in [
            (CertificateError::Expired, TlsFlaw::Expired),
            (CertificateError::NotValidYet, TlsFlaw::NotYetValid),
            (CertificateError::UnknownIssuer, TlsFlaw::UnknownAuthority),
            (CertificateError::NotValidForName, TlsFlaw::OtherName),
            (CertificateError::BadSignature, TlsFlaw::Unsound),
        ] {
            assert_eq!(tls_flaw(&rustls::Error::InvalidCertificate(error)), Some(flaw));
        }
        assert_eq!(tls_flaw(&rustls::Error::DecryptError), Some(TlsFlaw::Handshake));
        assert_eq!(tls_flaw(&std::io::Error::other("x")), None);
    }

    fn triage(status: u16) -> Result<Vec<u8>, Trouble> {
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            body: b"[]".to_vec(),
            retry_after: None,
        };
        answer.success()
    }

    #[test]
    fn every_status_has_a_name() {
        assert_eq!(triage(200).unwrap(), b"[]");
        for (status, text) in [
            (302, "redirect 302"),
            (400, "400"),
            (401, "401"),
            (403, "403"),
            (404, "404"),
            (408, "408"),
            (422, "422"),
            (429, "429"),
            (500, "500"),
            (503, "503"),
        ] {
            assert_eq!(triage(status).unwrap_err().to_string(), text);
        }
        assert!(matches!(triage(408), Err(Trouble::Server { .. })));
        assert!(matches!(triage(422), Err(Trouble::Rejected(_))));
    }
}
