//! One call to Coupa: token, pace, exchange, decoding, and the tries the table allows.
//!
//! Invariant: every request goes through the one pace; reads carry the reading token only, and writes over REST alone a writing one;
//! what comes back from a read is decoded data or a [`Failure`] that says what was read where.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use tokio::time::Instant;

use crate::model::change::PlannedRequest;
use crate::model::fault::Fault;
use crate::model::tenant::Usage;

use super::auth::{Denied, READ_SCOPES, Token, TokenSource};
use super::config::{CoupaConfig, Timeouts};
use super::endpoint::Endpoint;
use super::query::Document;
use super::retry::{Repeat, Tries, persist};
use super::rights::{Right, Writing};
use super::transport::{Answer, Broken, Transport};
use super::trouble::{Failure, Object, Surface, Trouble};
use super::wire;

/// Sends reads and writes to one tenant.
pub(crate) struct Client {
    endpoint: Endpoint,
    timeouts: Timeouts,
    transport: Arc<Transport>,
    reading: TokenSource,
    writing: Writing,
}

impl Client {
    pub(crate) fn new(config: CoupaConfig) -> Result<Self, Fault> {
        let transport = Arc::new(Transport::new(&config)?);
        Ok(Self::over(transport, config, READ_SCOPES))
    }

    /// A client that shares connections, pace and counters with others, and reads with exactly these scopes.
    pub(crate) fn over(
        transport: Arc<Transport>,
        config: CoupaConfig,
        scopes: &'static [&'static str],
    ) -> Self {
        Self {
            timeouts: config.timeouts,
            transport,
            reading: TokenSource::new(&config, config.timeouts, scopes),
            writing: Writing::new(&config),
            endpoint: config.endpoint,
        }
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

    /// Asks for a token to read with, and tells a refusal from a failure.
    pub(crate) async fn probe_token(&self) -> Result<(), Denied> {
        let _slot = self.transport.pace.slot().await;
        self.reading.probe(&self.transport).await
    }

    /// Makes sure that a token for writing can be had.
    pub(crate) async fn may_write(&self) -> Result<(), Fault> {
        let _slot = self.transport.pace.slot().await;
        self.writing.check(&self.transport).await
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

    async fn send(&self, request: reqwest::Request) -> Result<Vec<u8>, Broken> {
        // The slot is given back while a call waits for its next try.
        let _slot = self.transport.pace.slot().await;
        self.transport.pace.turn().await;
        // After the turn, so that a short-lived token is not spent waiting.
        let token = self.reading.token(&self.transport).await.map_err(no_token)?;
        let answer = self.exchange(request, &self.reading, &token).await?;
        answer.success().map_err(|trouble| (trouble, None))
    }

    /// Sends one write: once, unless its token is turned away. Any answer but a 401 comes back as it is.
    pub(crate) async fn write(&self, right: Right, planned: &PlannedRequest) -> Result<Answer, Failure> {
        let deadline = Instant::now() + self.timeouts.fresh;
        let tries = Timeouts {
            patience: self.timeouts.fresh,
            ..self.timeouts
        };
        persist(
            Tries::new(tries, Repeat::OnlyIfUnseen),
            |_| (),
            || self.transport.count_retry(),
            || async move {
                let answer = self.write_once(right, planned, deadline).await;
                answer.map_err(|(trouble, detail)| Failure {
                    detail,
                    ..Failure::new(Object::Users, Surface::Rest, trouble)
                })
            },
        )
        .await
    }

    async fn write_once(
        &self,
        right: Right,
        planned: &PlannedRequest,
        deadline: Instant,
    ) -> Result<Answer, Broken> {
        let request = self.built(planned)?;
        let _slot = self.transport.pace.slot().await;
        self.transport.pace.turn().await;
        let (source, token) = self
            .writing
            .token(&self.transport, right)
            .await
            .map_err(no_token)?;
        if Instant::now() > deadline {
            return Err((Trouble::Late, None));
        }
        self.exchange(request, source, &token).await
    }

    fn built(&self, planned: &PlannedRequest) -> Result<reqwest::Request, Broken> {
        let method = planned.method.parse().map_err(|_| (Trouble::Ours, None))?;
        let mut request = reqwest::Request::new(method, self.endpoint.at(&planned.path));
        if !planned.body.is_empty() {
            *request.body_mut() = Some(planned.body.clone().into());
        }
        Ok(request)
    }

    /// Holds back every request for `wait`, as Coupa asked.
    pub(crate) fn slow_down(&self, wait: Duration) {
        self.transport.pace.pause(wait.min(self.timeouts.longest_wait));
    }

    /// One exchange with a token of `source`. A 401 is trouble with the token; any other answer comes back as it is.
    async fn exchange(
        &self,
        mut request: reqwest::Request,
        source: &TokenSource,
        token: &Token,
    ) -> Result<Answer, Broken> {
        let headers = request.headers_mut();
        headers.insert(http::header::AUTHORIZATION, token.header.clone());
        headers.insert(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static("application/json"),
        );
        let answer = self.transport.exchange(request).await?;
        if answer.status == http::StatusCode::UNAUTHORIZED {
            return Err((source.refused(token).await, None));
        }
        Ok(answer)
    }
}

fn no_token(fault: Fault) -> Broken {
    (Trouble::NoToken(Box::new(fault)), None)
}
