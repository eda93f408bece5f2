//! `POST /oauth2/token`: client credentials only, and the judgement of bearer tokens.
//!
//! Invariant: neither the client secret nor a token shows in `Debug` or an answer other than the one that mints it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::config::SandboxConfig;
use super::faults::Setup;

/// The OAuth server of the tenant.
pub(super) struct OauthServer {
    pub(super) client_id: String,
    pub(super) client_secret: SecretString,
    scopes: Vec<String>,
    lifetime: Duration,
    propagation: Duration,
    tokens: Mutex<HashMap<String, Token>>,
    setup: RwLock<Arc<Setup>>,
}

struct Token {
    scopes: Vec<String>,
    minted: Instant,
}

/// What a valid token allows.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    scopes: Vec<String>,
}

impl Grant {
    pub(super) fn allows(&self, scope: &str) -> bool {
        self.scopes.iter().any(|held| held == scope)
    }

    /// GraphQL serves only tokens that can do nothing but read.
    pub(super) fn reads_only(&self) -> bool {
        !self.scopes.iter().any(|scope| scope.ends_with("write"))
    }
}

/// A refused token request, by its OAuth error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenError {
    InvalidRequest,
    InvalidClient,
    InvalidScope,
    UnsupportedGrantType,
}

impl TokenError {
    /// Coupa answers all of them with 400, a wrong secret too.
    pub(super) const STATUS: StatusCode = StatusCode::BAD_REQUEST;

    pub(super) fn body(self) -> Value {
        let (error, description) = match self {
            Self::InvalidRequest => ("invalid_request", "The request is missing a required parameter."),
            Self::InvalidClient => (
                "invalid_client",
                "Client authentication failed due to unknown client, no client authentication included, or \
                 unsupported authentication method.",
            ),
            Self::InvalidScope => (
                "invalid_scope",
                "The requested scope is invalid, unknown, or malformed.",
            ),
            Self::UnsupportedGrantType => (
                "unsupported_grant_type",
                "The authorization grant type is not supported by the authorization server.",
            ),
        };
        json!({ "error": error, "error_description": description })
    }
}

/// The parameters of a token request.
struct Request {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<SecretString>,
    scope: Option<String>,
}

impl Request {
    fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        let mut form: HashMap<String, String> = url::form_urlencoded::parse(body).into_owned().collect();
        let (basic_id, basic_secret) = basic_credentials(headers).unzip();
        Self {
            grant_type: form.remove("grant_type"),
            client_id: form.remove("client_id").or(basic_id),
            client_secret: form.remove("client_secret").or(basic_secret).map(Into::into),
            scope: form.remove("scope").filter(|scope| !scope.trim().is_empty()),
        }
    }
}

fn basic_credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Basic ")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let plain = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8_lossy()
            .into_owned()
    };
    Some((plain(id), plain(secret)))
}

impl OauthServer {
    pub(super) fn new(config: &SandboxConfig) -> Self {
        Self {
            client_id: config.resolved_client_id(),
            client_secret: config.resolved_client_secret(),
            scopes: config.scopes.clone(),
            lifetime: Duration::from_secs(config.token_lifetime_secs),
            propagation: Duration::from_millis(config.propagation_ms),
            tokens: Mutex::default(),
            setup: RwLock::new(Arc::new(config.faults.setup.clone())),
        }
    }

    /// What is set up wrongly.
    pub(super) fn setup(&self) -> Arc<Setup> {
        Arc::clone(&self.setup.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces it, from the next request on.
    pub(super) fn set_setup(&self, setup: Setup) {
        *self.setup.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(setup);
    }

    fn tokens(&self) -> MutexGuard<'_, HashMap<String, Token>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a token request.
    pub(super) fn mint(&self, headers: &HeaderMap, body: &[u8]) -> Result<Value, TokenError> {
        let request = Request::read(headers, body);
        let known = request.client_id.as_deref() == Some(self.client_id.as_str())
            && request
                .client_secret
                .is_some_and(|s| s.expose_secret() == self.client_secret.expose_secret());
        match request.grant_type.as_deref() {
            None => return Err(TokenError::InvalidRequest),
            Some("client_credentials") => {}
            Some(_) => return Err(TokenError::UnsupportedGrantType),
        }
        let setup = self.setup();
        if !known || setup.client_refused {
            return Err(TokenError::InvalidClient);
        }
        let scopes = self.granted(request.scope.as_deref(), &setup)?;
        let answer_scope = scopes.join(" ");
        Ok(json!({
            "access_token": self.issue(scopes),
            "token_type": "bearer",
            "expires_in": self.lifetime.as_secs(),
            "scope": answer_scope,
        }))
    }

    /// The asked scopes if the client holds them all; without any, all it holds.
    fn granted(&self, asked: Option<&str>, setup: &Setup) -> Result<Vec<String>, TokenError> {
        let held = || {
            self.scopes
                .iter()
                .filter(|scope| !setup.scopes_missing.contains(scope))
        };
        let Some(asked) = asked else {
            return Ok(held().cloned().collect());
        };
        let mut granted: Vec<String> = Vec::new();
        for scope in asked.split_whitespace() {
            if !held().any(|held| held == scope) {
                return Err(TokenError::InvalidScope);
            }
            granted.push(scope.to_owned());
        }
        Ok(granted)
    }

    fn issue(&self, scopes: Vec<String>) -> String {
        let now = Instant::now();
        // Not from the seed: a token of one sandbox must mean nothing to another.
        let id = format!("{:032x}", fastrand::u128(..));
        let claims = json!({ "jti": id, "scope": scopes.join(" "), "exp_in": self.lifetime.as_secs() });
        let signature: Vec<u8> = (0..32).map(|_| fastrand::u8(..)).collect();
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let token = format!(
            "{}.{}.{}",
            part(br#"{"alg":"RS256","typ":"JWT"}"#),
            part(claims.to_string().as_bytes()),
            part(&signature)
        );
        let mut tokens = self.tokens();
        tokens.retain(|_, token| now.duration_since(token.minted) < self.lifetime);
        tokens.insert(token.clone(), Token { scopes, minted: now });
        token
    }

    /// What the bearer token of a request allows; `None` means 401.
    pub(super) fn judge(&self, headers: &HeaderMap) -> Option<Grant> {
        let bearer = headers
            .get(header::AUTHORIZATION)?
            .to_str()
            .ok()?
            .strip_prefix("Bearer ")?;
        let tokens = self.tokens();
        let token = tokens.get(bearer)?;
        let age = token.minted.elapsed();
        (self.propagation..self.lifetime).contains(&age).then(|| Grant {
            scopes: token.scopes.clone(),
        })
    }

    /// Forgets every token, as when an administrator revokes them.
    pub(super) fn forget_all(&self) {
        self.tokens().clear();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn server(change: fn(&mut SandboxConfig)) -> OauthServer {
        let mut config = SandboxConfig {
            client_id: Some("me".into()),
            client_secret: Some("p&ss:word".into()),
            ..SandboxConfig::default()
        };
        change(&mut config);
        OauthServer::new(&config)
    }

    fn bearer(token: &Value) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let value = format!("Bearer {}", token["access_token"].as_str().unwrap());
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        headers
    }

    const GOOD: &str = "grant_type=client_credentials&client_id=me&client_secret=p%26ss%3Aword";

    #[test]
    fn tokens_carry_what_was_asked_or_everything() {
        let server = server(|_| {});
        let none = HeaderMap::new();
        let asked = server
            .mint(&none, format!("{GOOD}&scope=core.user.read").as_bytes())
            .unwrap();
        let grant = server.judge(&bearer(&asked)).unwrap();
        assert!(grant.allows("core.user.read") && !grant.allows("core.common.read") && grant.reads_only());
        assert_eq!(asked["expires_in"], 86_399);
        assert_eq!(asked["access_token"].as_str().unwrap().split('.').count(), 3);
        let all = server.mint(&none, GOOD.as_bytes()).unwrap();
        let grant = server.judge(&bearer(&all)).unwrap();
        assert!(grant.allows("core.user.write") && !grant.reads_only());
        server.forget_all();
        assert!(server.judge(&bearer(&all)).is_none());
    }

    #[test]
    fn basic_credentials_work_too() {
        let mut headers = HeaderMap::new();
        let encoded = STANDARD.encode("me:p%26ss%3Aword");
        headers.insert(header::AUTHORIZATION, format!("Basic {encoded}").parse().unwrap());
        assert!(
            server(|_| {})
                .mint(&headers, b"grant_type=client_credentials")
                .is_ok()
        );
    }

    #[test]
    fn refusals_have_their_codes() {
        let server = server(|_| {});
        let mint = |body: &str| server.mint(&HeaderMap::new(), body.as_bytes()).unwrap_err();
        assert_eq!(mint(&GOOD.replace("word", "wort")), TokenError::InvalidClient);
        assert_eq!(mint(&GOOD.replace("=me", "=you")), TokenError::InvalidClient);
        assert_eq!(
            mint(&format!("{GOOD}&scope=core.user.read+core.shoe.read")),
            TokenError::InvalidScope
        );
        assert_eq!(
            mint(&GOOD.replace("client_credentials", "password")),
            TokenError::UnsupportedGrantType
        );
        assert_eq!(mint("client_id=me"), TokenError::InvalidRequest);
        assert!(!TokenError::InvalidScope.body().to_string().contains("core."));
    }

    #[test]
    fn a_client_can_be_set_up_wrongly_and_rightly_again() {
        let server = server(|_| {});
        let none = HeaderMap::new();
        let mint = |scope: &str| server.mint(&none, format!("{GOOD}&scope={scope}").as_bytes());
        server.set_setup(Setup {
            scopes_missing: vec!["core.common.read".into()],
            ..Setup::default()
        });
        assert_eq!(mint("core.common.read").unwrap_err(), TokenError::InvalidScope);
        mint("core.user.read").unwrap();
        let all = server.mint(&none, GOOD.as_bytes()).unwrap();
        assert!(!server.judge(&bearer(&all)).unwrap().allows("core.common.read"));
        server.set_setup(Setup {
            client_refused: true,
            ..Setup::default()
        });
        assert_eq!(mint("core.user.read").unwrap_err(), TokenError::InvalidClient);
        server.set_setup(Setup::default());
        mint("core.common.read").unwrap();
    }

    #[test]
    fn tokens_expire_and_need_a_moment() {
        let none = HeaderMap::new();
        let dead = server(|c| c.token_lifetime_secs = 0);
        assert!(
            dead.judge(&bearer(&dead.mint(&none, GOOD.as_bytes()).unwrap()))
                .is_none()
        );
        let slow = server(|c| c.propagation_ms = 3_600_000);
        assert!(
            slow.judge(&bearer(&slow.mint(&none, GOOD.as_bytes()).unwrap()))
                .is_none()
        );
    }
}
