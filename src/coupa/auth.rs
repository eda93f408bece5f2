//! Access tokens by client credentials: minted once for everyone who waits, renewed well before they expire.
//!
//! Invariant: at most one token request of a source is under way; a token's text lives only in a header value marked sensitive;
//! a source asks for exactly its own scopes, so a reading token never carries the right to write.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use http::HeaderValue;
use oauth2::basic::{BasicClient, BasicErrorResponse, BasicErrorResponseType, BasicTokenResponse};
use oauth2::{
    AsyncHttpClient, AuthType, ClientId, ClientSecret, EndpointNotSet, EndpointSet, RequestTokenError, Scope,
    TokenResponse as _, TokenUrl,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::model::fault::{Fault, FaultKind};

use super::config::{CoupaConfig, Timeouts};
use super::retry::{Repeat, Tries, persist};
use super::transport::Transport;
use super::trouble::{Failure, Object, Surface, Trouble};

/// What reading needs, and no more: users, user groups, roles.
pub(crate) const READ_SCOPES: &[&str] = &[READ_USERS, READ_GROUPS, READ_ROLES];

/// Users, and what they hold.
pub(crate) const READ_USERS: &str = "core.user.read";

/// User groups, and rows of their memberships.
pub(crate) const READ_GROUPS: &str = "core.user_group.read";

/// Roles.
pub(crate) const READ_ROLES: &str = "core.common.read";

/// What writing needs beyond that, in tokens of its own: users, and rows of group memberships.
pub(crate) const WRITE_SCOPES: &[&str] = &[WRITE_USERS, WRITE_MEMBERSHIPS];

/// Users: creating and changing them.
pub(crate) const WRITE_USERS: &str = "core.user.write";

/// Rows of group memberships: removing them.
pub(crate) const WRITE_MEMBERSHIPS: &str = "core.user_group.write";

/// Lifetime assumed when Coupa tells none; Coupa's own is 24 h.
const ASSUMED_LIFETIME: Duration = Duration::from_hours(1);

/// An access token, ready to be sent.
#[derive(Debug)]
pub(crate) struct Token {
    /// `Authorization` value; marked sensitive.
    pub(crate) header: HeaderValue,
    generation: u64,
    minted: Instant,
    renew_at: Instant,
    expires_at: Instant,
}

/// Where tokens of one set of scopes come from.
pub(crate) struct TokenSource {
    url: TokenUrl,
    client_id: ClientId,
    client_secret: SecretString,
    scopes: &'static [&'static str],
    timeouts: Timeouts,
    state: Mutex<State>,
}

struct State {
    token: Option<Arc<Token>>,
    generation: u64,
    style: AuthType,
    /// The last refusal, for those who were waiting when it came.
    refusal: Option<(Instant, Fault)>,
}

/// Coupa's considered no, as opposed to a failed exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Client id or secret; Coupa does not say which.
    Client,
    /// A scope that the client does not have.
    Scope,
    /// The client may not use client credentials.
    Grant,
    /// Anything else.
    Other,
}

/// Why there is no token.
pub(crate) enum Denied {
    /// Coupa said no.
    Refused(Refusal),
    /// Nothing usable came back.
    Failed(Failure),
    /// What came back is no token.
    Unusable(Fault),
}

type Client = BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

impl TokenSource {
    pub(crate) fn new(config: &CoupaConfig, timeouts: Timeouts, scopes: &'static [&'static str]) -> Self {
        Self {
            url: TokenUrl::from_url(config.endpoint.at("/oauth2/token")),
            client_id: ClientId::new(config.client_id.clone()),
            client_secret: config.client_secret.clone(),
            scopes,
            timeouts,
            state: Mutex::new(State {
                token: None,
                generation: 0,
                style: AuthType::RequestBody,
                refusal: None,
            }),
        }
    }

    /// A token that is not about to expire. Whoever comes while one is minted waits for that one, and shares its failure.
    pub(crate) async fn token(&self, transport: &Transport) -> Result<Arc<Token>, Fault> {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        let now = Instant::now();
        if let Some(token) = state.token.as_ref().filter(|token| now < token.renew_at) {
            return Ok(Arc::clone(token));
        }
        if let Some((_, fault)) = state.refusal.as_ref().filter(|(at, _)| *at >= asked) {
            return Err(fault.clone());
        }
        let alive = state.token.take().filter(|token| now < token.expires_at);
        // While the old token still works, one try is enough: the next caller tries again.
        let timeouts = match alive {
            Some(_) => Timeouts {
                patience: Duration::ZERO,
                ..self.timeouts
            },
            None => self.timeouts,
        };
        match self.mint(transport, &mut state, timeouts).await {
            Ok(token) => {
                state.refusal = None;
                state.token = Some(Arc::clone(&token));
                Ok(token)
            }
            Err(fault) => match alive {
                Some(old) if fault.is_transient() => {
                    tracing::warn!("the access token could not be renewed yet; the old one is still used");
                    let later = now + old.expires_at.saturating_duration_since(now) / 4;
                    let kept = Arc::new(old.kept_until(later));
                    state.token = Some(Arc::clone(&kept));
                    Ok(kept)
                }
                _ => {
                    state.refusal = Some((Instant::now(), fault.clone()));
                    Err(fault)
                }
            },
        }
    }

    /// What a 401 for `token` means. A token that is not just too fresh is dropped, unless that has happened already.
    pub(crate) async fn refused(&self, token: &Token) -> Trouble {
        let mut state = self.state.lock().await;
        let current = state
            .token
            .as_ref()
            .is_some_and(|known| known.generation == token.generation);
        if !current {
            return Trouble::TokenSuperseded;
        }
        if token.minted.elapsed() < self.timeouts.token_lag {
            return Trouble::TokenTooFresh;
        }
        state.token = None;
        Trouble::TokenRefused
    }

    /// Asks for a token as [`TokenSource::token`] does, and tells a refusal from a failure. The token is kept for the calls that follow.
    pub(crate) async fn probe(&self, transport: &Transport) -> Result<(), Denied> {
        let mut state = self.state.lock().await;
        let token = self.granted(transport, &mut state, self.timeouts).await?;
        state.token = Some(token);
        Ok(())
    }

    async fn mint(
        &self,
        transport: &Transport,
        state: &mut State,
        timeouts: Timeouts,
    ) -> Result<Arc<Token>, Fault> {
        match self.granted(transport, state, timeouts).await {
            Ok(token) => Ok(token),
            Err(Denied::Refused(Refusal::Scope)) => Err(self.missing_scope(transport, &state.style).await),
            Err(Denied::Refused(refusal)) => Err(refused(refusal)),
            Err(Denied::Failed(failure)) => Err(no_token(failure)),
            Err(Denied::Unusable(fault)) => Err(fault),
        }
    }

    /// A token, by either style of credentials; the style that Coupa understood is kept.
    async fn granted(
        &self,
        transport: &Transport,
        state: &mut State,
        timeouts: Timeouts,
    ) -> Result<Arc<Token>, Denied> {
        let (first, second) = match state.style {
            AuthType::BasicAuth => (AuthType::BasicAuth, AuthType::RequestBody),
            _ => (AuthType::RequestBody, AuthType::BasicAuth),
        };
        for style in [first, second] {
            let asked = Instant::now();
            let answer = self
                .ask(transport, &style, self.scopes, timeouts)
                .await
                .map_err(Denied::Failed)?;
            match answer {
                Ok(answer) => {
                    state.style = style;
                    state.generation += 1;
                    let token = token(&answer, state.generation, asked).map_err(Denied::Unusable)?;
                    return Ok(Arc::new(token));
                }
                Err(Refusal::Client) => {}
                Err(refusal) => {
                    state.style = style;
                    return Err(Denied::Refused(refusal));
                }
            }
        }
        Err(Denied::Refused(Refusal::Client))
    }

    /// One token request, tried again as the table says.
    async fn ask(
        &self,
        transport: &Transport,
        style: &AuthType,
        scopes: &[&'static str],
        timeouts: Timeouts,
    ) -> Result<Result<BasicTokenResponse, Refusal>, Failure> {
        persist(
            Tries::new(timeouts, Repeat::Harmless),
            |wait| transport.pace.pause(wait),
            || transport.count_retry(),
            || async {
                transport.pace.turn().await;
                self.ask_once(transport, style.clone(), scopes).await
            },
        )
        .await
    }

    async fn ask_once(
        &self,
        transport: &Transport,
        style: AuthType,
        scopes: &[&'static str],
    ) -> Result<Result<BasicTokenResponse, Refusal>, Failure> {
        let client: Client = BasicClient::new(self.client_id.clone())
            .set_client_secret(ClientSecret::new(self.client_secret.expose_secret().to_owned()))
            .set_token_uri(self.url.clone())
            .set_auth_type(style);
        let result = client
            .exchange_client_credentials()
            .add_scopes(scopes.iter().map(|scope| Scope::new((*scope).to_owned())))
            .request_async(&Http(transport))
            .await;
        match result {
            Ok(answer) => Ok(Ok(answer)),
            Err(RequestTokenError::ServerResponse(error)) => Ok(Err(refusal(&error))),
            Err(RequestTokenError::Request(failure)) => Err(failure),
            Err(RequestTokenError::Parse(..) | RequestTokenError::Other(_)) => Err(failure(Trouble::Shape {
                path: Object::Token.root().to_owned(),
            })),
        }
    }

    /// Asks for the scopes one by one, to name those the client lacks.
    async fn missing_scope(&self, transport: &Transport, style: &AuthType) -> Fault {
        let mut missing = Vec::new();
        for scope in self.scopes {
            let answer = self.ask(transport, style, &[*scope], self.timeouts).await;
            if matches!(answer, Ok(Err(Refusal::Scope))) {
                missing.push(*scope);
            }
        }
        let named = if missing.is_empty() {
            self.scopes.join(" ")
        } else {
            missing.join(" ")
        };
        lacks(&named)
    }
}

/// The client does not have these scopes.
pub(crate) fn lacks(scopes: &str) -> Fault {
    Fault::new(
        FaultKind::MissingScope {
            scope: scopes.to_owned().into(),
        },
        format!("the OAuth client lacks a scope: {scopes}"),
    )
    .advise("add it to the OAuth client in Coupa (Setup, OAuth2/OpenID Connect clients)")
}

impl Token {
    fn kept_until(&self, renew_at: Instant) -> Self {
        Self {
            header: self.header.clone(),
            renew_at,
            ..*self
        }
    }
}

/// Our transport as the OAuth library wants it.
struct Http<'a>(&'a Transport);

impl<'c> AsyncHttpClient<'c> for Http<'_> {
    type Error = Failure;
    type Future = BoxFuture<'c, Result<oauth2::HttpResponse, Failure>>;

    fn call(&'c self, request: oauth2::HttpRequest) -> Self::Future {
        Box::pin(exchange(self.0, request))
    }
}

async fn exchange(
    transport: &Transport,
    request: oauth2::HttpRequest,
) -> Result<oauth2::HttpResponse, Failure> {
    let request = reqwest::Request::try_from(request).map_err(|_| failure(Trouble::Ours))?;
    let answer = transport
        .exchange(request)
        .await
        .map_err(|(trouble, detail)| Failure {
            detail,
            ..failure(trouble)
        })?;
    let status = answer.status;
    let understood = match status.as_u16() {
        200 => serde_json::from_slice::<IgnoredAny>(&answer.body).is_ok(),
        400 | 401 => serde_json::from_slice::<OauthError>(&answer.body).is_ok(),
        _ => false,
    };
    let body = if understood {
        answer.body
    } else {
        // Fails unless the status is a success, in which case the body was no JSON.
        answer.success().map_err(failure)?;
        return Err(failure(Trouble::NotJson));
    };
    let mut response = oauth2::HttpResponse::new(body);
    *response.status_mut() = status;
    Ok(response)
}

/// An error body as OAuth prescribes it.
#[derive(Deserialize)]
struct OauthError {
    #[serde(rename = "error")]
    _error: String,
}

fn failure(trouble: Trouble) -> Failure {
    Failure::new(Object::Token, Surface::Rest, trouble)
}

fn refusal(error: &BasicErrorResponse) -> Refusal {
    match error.error() {
        BasicErrorResponseType::InvalidClient => Refusal::Client,
        BasicErrorResponseType::InvalidScope => Refusal::Scope,
        BasicErrorResponseType::UnauthorizedClient | BasicErrorResponseType::UnsupportedGrantType => {
            Refusal::Grant
        }
        _ => Refusal::Other,
    }
}

fn token(answer: &BasicTokenResponse, generation: u64, asked: Instant) -> Result<Token, Fault> {
    let mut header = HeaderValue::try_from(format!("Bearer {}", answer.access_token().secret()))
        .map_err(|_| Fault::corrupt("Coupa issued a token that cannot be sent in a header"))?;
    header.set_sensitive(true);
    let lifetime = answer.expires_in().unwrap_or(ASSUMED_LIFETIME);
    Ok(Token {
        header,
        generation,
        minted: Instant::now(),
        // Coupa: renew a token of 24 h after 20 h.
        renew_at: asked + lifetime.mul_f64(5.0 / 6.0),
        expires_at: asked + lifetime,
    })
}

/// A refusal, told.
pub(crate) fn refused(refusal: Refusal) -> Fault {
    let message = match refusal {
        Refusal::Client => "Coupa does not accept the OAuth client id and secret",
        Refusal::Grant => "the OAuth client may not use client credentials",
        Refusal::Scope => "Coupa does not accept the scopes asked for",
        Refusal::Other => "Coupa refuses to issue a token",
    };
    Fault::new(FaultKind::Unauthenticated, message).advise(match refusal {
        Refusal::Client => {
            "check client id, client secret and domain, and that the client is active in Coupa"
        }
        _ => "check the OAuth client in Coupa: its grant type must be client credentials",
    })
}

/// A failed token request, told.
pub(crate) fn no_token(failure: Failure) -> Fault {
    match failure.trouble {
        Trouble::NotFound => Fault::unavailable("the host has no OAuth token endpoint (404)")
            .advise("check that the Coupa domain is the address where people log in to Coupa"),
        Trouble::Forbidden | Trouble::Rejected(_) => refused(Refusal::Other).because(failure.trouble),
        _ => failure.into(),
    }
}
