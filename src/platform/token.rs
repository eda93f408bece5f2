//! Access tokens of the platform: fetched once for everyone who waits, kept until shortly before they expire.
//!
//! Invariant: at most one request for a token is under way; a token's text lives only in a metadata value marked sensitive.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::{StatusCode, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tonic::Status;
use tonic::metadata::AsciiMetadataValue;

use super::assertion::assertion;
use super::credentials::{Credentials, Host};
use crate::connector::SDK_VERSION;
use crate::model::fault::Fault;

/// How long before its end a token is no longer used (baton-sdk: oauth2, 10 s).
const MARGIN: Duration = Duration::from_secs(10);

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Longest wait for a token.
const ANSWER: Duration = Duration::from_secs(30);

/// Largest answer that is read, in bytes.
const BODY_CAP: usize = 64 * 1024;

/// A token as it was issued.
#[derive(Clone)]
pub(super) struct Issued {
    /// Value of `authorization`; marked sensitive.
    pub(super) header: AsciiMetadataValue,
    /// How long it holds.
    pub(super) lifetime: Duration,
}

/// Where tokens come from.
#[async_trait]
pub(super) trait Issuer: Send + Sync {
    /// A new token. `Unauthenticated` if the platform does not know us.
    async fn issue(&self) -> Result<Issued, Status>;
}

/// The token in use.
pub(super) struct Tokens {
    issuer: Box<dyn Issuer>,
    state: Mutex<State>,
}

/// A token, and which one it is.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) header: AsciiMetadataValue,
    /// When it was asked for.
    pub(super) issued: Instant,
    fresh_until: Instant,
    generation: u64,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    generation: u64,
    /// The last failure, for those who were waiting when it came.
    failure: Option<(Instant, Status)>,
}

impl Tokens {
    pub(super) fn new(issuer: Box<dyn Issuer>) -> Self {
        Self {
            issuer,
            state: Mutex::default(),
        }
    }

    /// A token that is not about to expire. Whoever comes while one is fetched waits for that one, and shares its failure.
    pub(super) async fn get(&self) -> Result<Token, Status> {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(token) = state
            .token
            .as_ref()
            .filter(|token| Instant::now() < token.fresh_until)
        {
            return Ok(token.clone());
        }
        if let Some((_, status)) = state.failure.as_ref().filter(|(at, _)| *at > asked) {
            return Err(status.clone());
        }
        state.token = None;
        let begun = Instant::now();
        match self.issuer.issue().await {
            Ok(issued) => {
                state.generation += 1;
                let token = Token {
                    header: issued.header,
                    issued: begun,
                    fresh_until: begun + issued.lifetime.saturating_sub(MARGIN),
                    generation: state.generation,
                };
                state.token = Some(token.clone());
                Ok(token)
            }
            Err(status) => {
                state.failure = Some((Instant::now(), status.clone()));
                Err(status)
            }
        }
    }

    /// The platform did not take `token`: the next caller gets another one.
    pub(super) async fn refused(&self, token: &Token) {
        let mut state = self.state.lock().await;
        if state
            .token
            .as_ref()
            .is_some_and(|kept| kept.generation == token.generation)
        {
            state.token = None;
        }
    }
}

/// Tokens for client credentials, by `POST https://<host>/auth/v1/token`.
pub(super) struct ByAssertion {
    http: reqwest::Client,
    url: String,
    credentials: Credentials,
}

impl ByAssertion {
    pub(super) fn new(credentials: Credentials, host: &Host) -> Result<Self, Fault> {
        let http = reqwest::Client::builder()
            .user_agent(format!("baton-c1-credential-provider baton-sdk/{SDK_VERSION}"))
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .https_only(true)
            .no_proxy()
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .build()
            .map_err(|error| {
                Fault::internal("the HTTP client for the platform cannot be made")
                    .because(error)
                    .advise("the system's certificate authorities may be missing; SSL_CERT_FILE can name a file of them")
            })?;
        Ok(Self {
            http,
            url: format!("https://{}/auth/v1/token", host.authority()),
            credentials,
        })
    }

    async fn ask(&self, assertion: &SecretString) -> Result<Vec<u8>, Status> {
        let form = [
            ("client_id", self.credentials.client_id()),
            ("grant_type", "client_credentials"),
            (
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            ),
            ("client_assertion", assertion.expose_secret()),
        ];
        let mut response = self
            .http
            .post(&self.url)
            .form(&form)
            .send()
            .await
            .map_err(|error| broken(&error))?;
        judge(response.status())?;
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| broken(&error))? {
            if body.len() + part.len() > BODY_CAP {
                return Err(Status::unauthenticated("the platform's token is too large"));
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    }
}

#[async_trait]
impl Issuer for ByAssertion {
    async fn issue(&self) -> Result<Issued, Status> {
        let assertion = assertion(&self.credentials, Timestamp::now())
            .map_err(|fault| Status::internal(fault.to_string()))?;
        read(&self.ask(&assertion).await?)
    }
}

/// Whether the answer is one. A platform that is overloaded or restarting has not refused us.
fn judge(status: StatusCode) -> Result<(), Status> {
    match status {
        StatusCode::OK => Ok(()),
        busy if busy.is_server_error() || busy == StatusCode::TOO_MANY_REQUESTS => Err(Status::unavailable(
            format!("the platform's token endpoint answered {}", busy.as_u16()),
        )),
        refused => Err(Status::unauthenticated(format!(
            "the platform gave no token; its token endpoint answered {}",
            refused.as_u16()
        ))),
    }
}

fn broken(error: &reqwest::Error) -> Status {
    use std::error::Error as _;
    let mut text = "the platform's token endpoint cannot be reached".to_owned();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    Status::unavailable(text)
}

/// The members that concern us.
#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    access_token: SecretString,
    #[serde(default)]
    token_type: String,
    #[serde(default)]
    expires_in: i64,
}

fn read(body: &[u8]) -> Result<Issued, Status> {
    let unreadable = || Status::unauthenticated("the platform's token cannot be read");
    // The text of a parse error may quote the token.
    let answer: TokenAnswer = serde_json::from_slice(body).map_err(|_| unreadable())?;
    if answer.access_token.expose_secret().is_empty() {
        return Err(Status::unauthenticated("the platform's token is empty"));
    }
    let kind = match answer.token_type.as_str() {
        "" => "Bearer",
        kind if kind.eq_ignore_ascii_case("bearer") => "Bearer",
        kind => kind,
    };
    let text = format!("{kind} {}", answer.access_token.expose_secret());
    let mut header = AsciiMetadataValue::try_from(text).map_err(|_| unreadable())?;
    header.set_sensitive(true);
    Ok(Issued {
        header,
        lifetime: Duration::from_secs(u64::try_from(answer.expires_in).unwrap_or(0)),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::future::join_all;
    use tonic::Code;

    use super::*;

    /// Issues tokens for a minute, each after a second, or fails as told.
    #[derive(Clone, Default)]
    struct Counter(Arc<AtomicU32>, Option<Code>);

    #[async_trait]
    impl Issuer for Counter {
        async fn issue(&self) -> Result<Issued, Status> {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            match self.1 {
                Some(code) => Err(Status::new(code, format!("failure {number}"))),
                None => Ok(Issued {
                    header: format!("Bearer {number}").parse().unwrap(),
                    lifetime: Duration::from_mins(1),
                }),
            }
        }
    }

    async fn header(tokens: &Tokens) -> String {
        tokens.get().await.unwrap().header.to_str().unwrap().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_used_until_ten_seconds_before_its_end() {
        let issuer = Counter::default();
        let tokens = Tokens::new(Box::new(issuer.clone()));
        assert_eq!(header(&tokens).await, "Bearer 1");
        // One second of the minute went by while it was issued.
        tokio::time::advance(Duration::from_millis(48_999)).await;
        assert_eq!(header(&tokens).await, "Bearer 1");
        tokio::time::advance(Duration::from_millis(2)).await;
        assert_eq!(header(&tokens).await, "Bearer 2");
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_wait_are_served_by_one_request() {
        for (code, requests) in [(None, 1), (Some(Code::Unavailable), 1)] {
            let issuer = Counter(Arc::default(), code);
            let tokens = Tokens::new(Box::new(issuer.clone()));
            let all = join_all((0..20).map(|_| tokens.get())).await;
            assert!(all.iter().all(|got| got.is_ok() == code.is_none()));
            assert_eq!(issuer.0.load(Ordering::Relaxed), requests, "{code:?}");
            // Who comes later tries again.
            assert_eq!(tokens.get().await.is_ok(), code.is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_token_is_dropped_once() {
        let tokens = Tokens::new(Box::new(Counter::default()));
        let first = tokens.get().await.unwrap();
        tokens.refused(&first).await;
        let second = tokens.get().await.unwrap();
        tokens.refused(&first).await;
        assert_eq!(header(&tokens).await, "Bearer 2", "a late refusal of the old one");
        tokens.refused(&second).await;
        assert_eq!(header(&tokens).await, "Bearer 3");
    }

    #[test]
    fn an_answer_is_read_or_refused() {
        let issued =
            read(br#"{"access_token":"t","token_type":"bearer","expires_in":3600,"more":1}"#).unwrap();
        assert_eq!(issued.header.to_str().unwrap(), "Bearer t");
        assert!(issued.header.is_sensitive());
        assert_eq!(issued.lifetime, Duration::from_hours(1));
        let other = read(br#"{"access_token":"t","token_type":"DPoP","expires_in":-1}"#).unwrap();
        assert_eq!(other.header.to_str().unwrap(), "DPoP t");
        assert_eq!(other.lifetime, Duration::ZERO);
        for body in [
            "",
            "<html>",
            "{}",
            r#"{"access_token":""}"#,
            r#"{"access_token":7}"#,
            "{\"access_token\":\"a\\nb\"}",
        ] {
            let status = read(body.as_bytes()).err().unwrap();
            assert_eq!(status.code(), Code::Unauthenticated, "{body}");
        }
    }

    #[test]
    fn only_a_considered_no_is_a_refusal() {
        let code = |status: u16| {
            judge(StatusCode::from_u16(status).unwrap())
                .err()
                .map(|status| status.code())
        };
        assert_eq!(code(200), None);
        for refused in [204, 302, 400, 401, 403, 404] {
            assert_eq!(code(refused), Some(Code::Unauthenticated), "{refused}");
        }
        for busy in [429, 500, 502, 503, 504] {
            assert_eq!(code(busy), Some(Code::Unavailable), "{busy}");
        }
    }
}
