//! The platform over the network: gRPC over TLS on one HTTP/2 connection that all calls share.
//!
//! Invariants: every call carries a token that is not about to expire and ends within a bound; a connection that did not answer in
//! time is not used again.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, timeout};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Response, Status};

use super::credentials::Host;
use super::host::Facts;
use super::interval;
use super::port::{Asset, Beat, Platform, Polled, Report};
use super::task::TaskId;
use super::token::Tokens;
use super::upload;
use crate::connector::SDK_VERSION;
use crate::model::fault::Fault;
use crate::proto::connector::ConnectorMetadata;
use crate::proto::platform::baton_service_client::BatonServiceClient;
use crate::proto::platform::{
    BatonServiceFinishTaskRequest, BatonServiceGetTaskRequest, BatonServiceGetTasksRequest,
    BatonServiceHeartbeatRequest, BatonServiceHelloRequest,
};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Longest wait for an answer, a token included.
const ANSWER: Duration = Duration::from_secs(30);

/// Longest wait for tasks: a platform may hold the question for a while.
const TASKS: Duration = Duration::from_mins(1);

/// A peer that went away without a word is noticed after about two minutes.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// The platform's API.
pub(super) struct Client {
    endpoint: Endpoint,
    channel: Mutex<Channel>,
    tokens: Tokens,
    facts: Facts,
}

impl Client {
    /// Connects when it is first used. `name` is the client's, and goes into the user agent.
    pub(super) fn new(name: &str, host: &Host, tokens: Tokens, facts: Facts) -> Result<Self, Fault> {
        let unusable = |error: tonic::transport::Error| {
            Fault::internal("the platform cannot be connected to")
                .because(chain(&error))
                .advise("the system's certificate authorities may be missing; SSL_CERT_FILE can name a file of them")
        };
        let endpoint = Endpoint::from_shared(format!("https://{}", host.authority()))
            .and_then(|endpoint| endpoint.user_agent(format!("{name} baton-sdk/{SDK_VERSION}")))
            .and_then(|endpoint| endpoint.tls_config(ClientTlsConfig::new().with_native_roots()))
            .map_err(unusable)?
            .connect_timeout(CONNECT)
            .tcp_keepalive(Some(TCP_KEEPALIVE));
        Ok(Self {
            channel: Mutex::new(endpoint.connect_lazy()),
            endpoint,
            tokens,
            facts,
        })
    }

    /// One call: with a token, within `limit`. A token from before the call that is not taken is replaced once: it may have been
    /// withdrawn before its time.
    async fn call<Q: Clone, A>(
        &self,
        limit: Duration,
        message: Q,
        exchange: impl AsyncFn(BatonServiceClient<Channel>, Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, Status> {
        let begun = Instant::now();
        let work = async {
            loop {
                let token = self.tokens.get().await?;
                let mut request = Request::new(message.clone());
                request
                    .metadata_mut()
                    .insert("authorization", token.header.clone());
                // A little more than our own wait: whose patience ends first tells the reason.
                request.set_timeout(limit + Duration::from_secs(1));
                let outcome = exchange(BatonServiceClient::new(self.channel()), request).await;
                match self.judged(&token, outcome).await {
                    Err(status) if status.code() == Code::Unauthenticated && token.issued < begun => {}
                    outcome => return outcome,
                }
            }
        };
        timeout(limit, work).await.unwrap_or_else(|_| {
            self.reconnect();
            Err(Status::deadline_exceeded("the platform did not answer in time"))
        })
    }

    /// A token that is not taken is not sent again.
    async fn judged<A>(
        &self,
        token: &super::token::Token,
        outcome: Result<Response<A>, Status>,
    ) -> Result<A, Status> {
        match outcome {
            Ok(response) => Ok(response.into_inner()),
            Err(status) => {
                if status.code() == Code::Unauthenticated {
                    self.tokens.refused(token).await;
                }
                Err(status)
            }
        }
    }

    fn channel(&self) -> Channel {
        // A panic leaves a whole channel in either case.
        self.channel
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Calls under way keep the old connection.
    fn reconnect(&self) {
        *self.channel.lock().unwrap_or_else(PoisonError::into_inner) = self.endpoint.connect_lazy();
    }

    fn host_id(&self) -> String {
        self.facts.host_id.as_str().to_owned()
    }
}

#[async_trait]
impl Platform for Client {
    async fn hello(&self, task: Option<&TaskId>, metadata: ConnectorMetadata) -> Result<(), Status> {
        let request: BatonServiceHelloRequest = self.facts.hello(task, metadata);
        self.call(ANSWER, request, async |mut client, request| {
            client.hello(request).await
        })
        .await
        .map(drop)
    }

    async fn get_task(&self) -> Result<Polled, Status> {
        let request = BatonServiceGetTaskRequest {
            host_id: self.host_id(),
        };
        let answer = self
            .call(TASKS, request, async |mut client, request| {
                client.get_task(request).await
            })
            .await?;
        Ok(Polled {
            tasks: answer.task.into_iter().collect(),
            next_poll: interval::next_poll(answer.next_poll.as_ref()),
        })
    }

    async fn get_tasks(&self, most: u32, known: Vec<String>) -> Result<Polled, Status> {
        let request = BatonServiceGetTasksRequest {
            host_id: self.host_id(),
            page_size: most,
            known_task_ids: known,
            annotations: Vec::new(),
        };
        let answer = self
            .call(TASKS, request, async |mut client, request| {
                client.get_tasks(request).await
            })
            .await?;
        Ok(Polled {
            tasks: answer.tasks,
            next_poll: interval::next_poll(answer.next_poll.as_ref()),
        })
    }

    async fn heartbeat(&self, task: &TaskId) -> Result<Beat, Status> {
        let request = BatonServiceHeartbeatRequest {
            host_id: self.host_id(),
            task_id: task.to_string(),
            ..BatonServiceHeartbeatRequest::default()
        };
        let answer = self
            .call(ANSWER, request, async |mut client, request| {
                client.heartbeat(request).await
            })
            .await?;
        if answer.cancelled {
            return Ok(Beat::Cancelled);
        }
        Ok(Beat::GoOn(interval::next_heartbeat(
            answer.next_heartbeat.as_ref(),
        )))
    }

    async fn upload(&self, task: &TaskId, asset: &Asset) -> Result<(), Status> {
        let token = timeout(ANSWER, self.tokens.get())
            .await
            .map_err(|_| Status::deadline_exceeded("the platform gave no token in time"))??;
        let (stream, watch) = upload::stream(self.host_id(), task, asset).await?;
        let mut request = Request::new(stream);
        request
            .metadata_mut()
            .insert("authorization", token.header.clone());
        let mut client = BatonServiceClient::new(self.channel());
        let exchange = async {
            let outcome = client.upload_asset(request).await;
            self.judged(&token, outcome).await.map(drop)
        };
        let outcome = watch.over(exchange).await;
        if outcome
            .as_ref()
            .is_err_and(|status| status.code() == Code::DeadlineExceeded)
        {
            self.reconnect();
        }
        outcome
    }

    async fn finish(&self, task: &TaskId, report: Report) -> Result<(), Status> {
        let request = BatonServiceFinishTaskRequest {
            host_id: self.host_id(),
            task_id: task.to_string(),
            status: report.status,
            final_state: Some(report.state),
        };
        self.call(ANSWER, request, async |mut client, request| {
            client.finish_task(request).await
        })
        .await
        .map(drop)
    }
}

/// The error and its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
