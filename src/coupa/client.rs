//! One call to Coupa: token, pace, exchange, decoding, and the tries the table allows.
//!
//! Invariant: every request goes through the one pace, reads carry the reading token only, and what comes back is decoded data or a
//! [`Failure`] that says what was read where.

use serde::de::DeserializeOwned;

use crate::model::fault::Fault;
use crate::model::tenant::Usage;

use super::auth::{READ_SCOPES, Token, TokenSource};
use super::config::{CoupaConfig, Timeouts};
use super::endpoint::Endpoint;
use super::query::Document;
use super::retry::{Repeat, Tries, persist};
use super::transport::{Broken, Transport};
use super::trouble::{Failure, Object, Surface, Trouble};
use super::wire;

/// Sends reads to one tenant.
pub(crate) struct Client {
    endpoint: Endpoint,
    timeouts: Timeouts,
    transport: Transport,
    reading: TokenSource,
}

impl Client {
    pub(crate) fn new(config: CoupaConfig) -> Result<Self, Fault> {
        Ok(Self {
            timeouts: config.timeouts,
            transport: Transport::new(&config)?,
            reading: TokenSource::new(&config, READ_SCOPES),
            endpoint: config.endpoint,
        })
    }

    /// The tenant's host, for messages.
    pub(crate) fn host(&self) -> &str {
        self.endpoint.host()
    }

    pub(crate) fn usage(&self) -> Usage {
        self.transport.usage()
    }

    /// Makes sure that a token can be had.
    pub(crate) async fn sign_in(&self) -> Result<(), Fault> {
        let _slot = self.transport.pace.slot().await;
        self.reading.token(&self.transport).await.map(drop)
    }

    /// `GET path?parameters`.
    pub(crate) async fn rest<T: DeserializeOwned>(
        &self,
        object: Object,
        path: &str,
        parameters: &[(String, String)],
    ) -> Result<T, Failure> {
        let mut url = self.endpoint.at(path);
        url.query_pairs_mut().extend_pairs(parameters);
        let build = || reqwest::Request::new(http::Method::GET, url.clone());
        let decode = |body: &[u8]| wire::rest(body, object);
        self.read(object, Surface::Rest, build, decode).await
    }

    /// `POST /api/graphql`.
    pub(crate) async fn graphql<T: DeserializeOwned>(
        &self,
        object: Object,
        document: &Document,
    ) -> Result<T, Failure> {
        let url = self.endpoint.at("/api/graphql");
        let build = || {
            let mut request = reqwest::Request::new(http::Method::POST, url.clone());
            *request.body_mut() = Some(document.body.clone().into());
            request
        };
        let decode = |body: &[u8]| wire::graphql(body, object, &document.asked);
        self.read(object, Surface::Graphql, build, decode).await
    }

    async fn read<T>(
        &self,
        object: Object,
        surface: Surface,
        build: impl Fn() -> reqwest::Request + Sync,
        decode: impl Fn(&[u8]) -> Result<T, Trouble> + Sync,
    ) -> Result<T, Failure> {
        persist(
            Tries::new(self.timeouts, Repeat::Harmless),
            |wait| self.transport.pace.pause(wait),
            || self.transport.count_retry(),
            || {
                let (answer, decode) = (self.send(build()), &decode);
                async move {
                    let body = answer.await;
                    body.and_then(|body| decode(&body).map_err(|trouble| (trouble, None)))
                        .map_err(|(trouble, detail)| Failure {
                            detail,
                            ..Failure::new(object, surface, trouble)
                        })
                }
            },
        )
        .await
    }

    async fn send(&self, mut request: reqwest::Request) -> Result<Vec<u8>, Broken> {
        // The slot is given back while a call waits for its next try.
        let _slot = self.transport.pace.slot().await;
        self.transport.pace.turn().await;
        // After the turn, so that a short-lived token is not spent waiting.
        let token = self.token().await?;
        let headers = request.headers_mut();
        headers.insert(http::header::AUTHORIZATION, token.header.clone());
        headers.insert(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static("application/json"),
        );
        let answer = self.transport.exchange(request).await?;
        let unauthorized = match answer.status {
            http::StatusCode::UNAUTHORIZED => self.reading.refused(&token).await,
            _ => Trouble::TokenRefused,
        };
        answer.success(|| unauthorized).map_err(|trouble| (trouble, None))
    }

    async fn token(&self) -> Result<std::sync::Arc<Token>, Broken> {
        self.reading
            .token(&self.transport)
            .await
            .map_err(|fault| (Trouble::NoToken(Box::new(fault)), None))
    }
}
