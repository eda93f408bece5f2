//! `BatonService`: judges each call, meets it with the trouble that the script has for it, and lets it take effect.
//!
//! Tasks are handed out as bytes, since some are of types that our messages do not know: `GetTask` and `GetTasks` have an answer of
//! their own, equal on the wire.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as Shared;
use baton_coupa::proto::platform as wire;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use tonic::codegen::BoxFuture;
use tonic::server::UnaryService;
use tonic::{Request, Response, Status, Streaming, async_trait};
use tonic_prost::ProstCodec;
use wire::baton_service_server::BatonService;
use wire::baton_service_upload_asset_request::Msg;

use super::log::{Beat, Event, Finish};
use super::rules;
use super::state::{Rpc, State, Trouble};
use super::token::NAME;

/// The connection that a call came by.
#[derive(Clone)]
pub struct Connection(pub CancellationToken);

pub struct Service(pub Arc<State>);

/// `BatonServiceGetTaskResponse`, and with several tasks `BatonServiceGetTasksResponse`.
#[derive(prost::Message)]
pub struct Handed {
    #[prost(bytes = "vec", repeated, tag = "1")]
    tasks: Vec<Vec<u8>>,
    #[prost(message, optional, tag = "2")]
    next_poll: Option<prost_types::Duration>,
    #[prost(message, optional, tag = "3")]
    next_heartbeat: Option<prost_types::Duration>,
}

impl State {
    /// Judges what every call carries besides its message.
    fn admit<T>(&self, rpc: Rpc, request: &Request<T>) -> Result<(), Status> {
        let text = |name: &str| request.metadata().get(name).and_then(|value| value.to_str().ok());
        let agent = text("user-agent").unwrap_or_default();
        let expected = format!("{NAME} baton-sdk/");
        if !agent
            .strip_prefix(&expected)
            .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(' '))
        {
            self.violate([format!("{rpc:?}: user agent {agent:?}")]);
        }
        let token = text("authorization").and_then(|value| value.strip_prefix("Bearer "));
        if self.knows(token, rpc) {
            Ok(())
        } else {
            Err(Status::unauthenticated("invalid token"))
        }
    }

    /// Meets a call with its trouble. Whoever comes back from here takes effect.
    async fn meet<T>(&self, rpc: Rpc, request: &Request<T>) -> Result<Trouble, Status> {
        self.admit(rpc, request)?;
        let trouble = self.next_trouble(rpc);
        if trouble == Trouble::Held {
            self.held().await;
            return Ok(Trouble::None);
        }
        if trouble.takes_effect() || matches!(trouble, Trouble::BrokenOff(_)) {
            return Ok(trouble);
        }
        Err(self
            .spoil(trouble, request.extensions().get::<Connection>())
            .await)
    }

    /// The answer of a call in trouble, if it gets one.
    async fn spoil(&self, trouble: Trouble, connection: Option<&Connection>) -> Status {
        match trouble {
            Trouble::Refused(code) | Trouble::Lost(code) | Trouble::BrokenOff(code) => {
                Status::new(code, "scripted by the test")
            }
            Trouble::Cut | Trouble::LostAndCut => {
                if let Some(Connection(cut)) = connection {
                    cut.cancel();
                }
                std::future::pending().await
            }
            Trouble::None | Trouble::Held | Trouble::Hang => std::future::pending().await,
        }
    }

    /// What comes after the effect.
    async fn answer<T>(
        &self,
        trouble: Trouble,
        connection: Option<Connection>,
        message: T,
    ) -> Result<Response<T>, Status> {
        match trouble {
            Trouble::None => Ok(Response::new(message)),
            _ => Err(self.spoil(trouble, connection.as_ref()).await),
        }
    }

    fn judged(&self, violations: Vec<String>) -> Result<(), Status> {
        if violations.is_empty() {
            return Ok(());
        }
        let told = violations.join("; ");
        self.violate(violations);
        Err(Status::invalid_argument(told))
    }

    fn handed(&self, most: usize, known: &[String]) -> Handed {
        let tasks = self.hand_out(most, known);
        let inner = self.inner();
        let next_poll = if inner.waiting() {
            inner.pace.busy
        } else {
            inner.pace.idle
        };
        Handed {
            tasks: tasks.into_iter().map(|task| task.bytes).collect(),
            next_poll: Some(duration(next_poll)),
            next_heartbeat: inner.pace.heartbeat.map(duration),
        }
    }
}

fn duration(duration: Duration) -> prost_types::Duration {
    duration.try_into().unwrap()
}

fn connection<T>(request: &Request<T>) -> Option<Connection> {
    request.extensions().get().cloned()
}

#[async_trait]
impl BatonService for Service {
    async fn hello(
        &self,
        request: Request<wire::BatonServiceHelloRequest>,
    ) -> Result<Response<wire::BatonServiceHelloResponse>, Status> {
        let trouble = self.0.meet(Rpc::Hello, &request).await?;
        let connection = connection(&request);
        let hello = request.into_inner();
        self.0.judged(rules::hello(&hello, &self.0.host_id()))?;
        self.0.greeted(hello);
        self.0
            .answer(trouble, connection, wire::BatonServiceHelloResponse::default())
            .await
    }

    async fn get_task(
        &self,
        _: Request<wire::BatonServiceGetTaskRequest>,
    ) -> Result<Response<wire::BatonServiceGetTaskResponse>, Status> {
        Err(Status::internal("routed past the service"))
    }

    async fn get_tasks(
        &self,
        _: Request<wire::BatonServiceGetTasksRequest>,
    ) -> Result<Response<wire::BatonServiceGetTasksResponse>, Status> {
        Err(Status::internal("routed past the service"))
    }

    async fn heartbeat(
        &self,
        request: Request<wire::BatonServiceHeartbeatRequest>,
    ) -> Result<Response<wire::BatonServiceHeartbeatResponse>, Status> {
        let task = request.get_ref().task_id.clone();
        let trouble = match self.0.meet(Rpc::Heartbeat, &request).await {
            Ok(trouble) => trouble,
            Err(status) => {
                self.0.beat(&task, false);
                return Err(status);
            }
        };
        let connection = connection(&request);
        self.0
            .judged(rules::heartbeat(request.get_ref(), &self.0.host_id()))?;
        let beat = self
            .0
            .beat(&task, true)
            .ok_or_else(|| Status::not_found("no such task"))?;
        let answer = wire::BatonServiceHeartbeatResponse {
            next_heartbeat: self.0.inner().pace.heartbeat.map(duration),
            cancelled: beat == Beat::Cancelled,
            ..wire::BatonServiceHeartbeatResponse::default()
        };
        self.0.answer(trouble, connection, answer).await
    }

    async fn finish_task(
        &self,
        request: Request<wire::BatonServiceFinishTaskRequest>,
    ) -> Result<Response<wire::BatonServiceFinishTaskResponse>, Status> {
        let task = request.get_ref().task_id.clone();
        let trouble = match self.0.meet(Rpc::FinishTask, &request).await {
            Ok(trouble) => trouble,
            Err(status) => {
                self.0.end_failed(&task);
                return Err(status);
            }
        };
        let connection = connection(&request);
        let finish = request.into_inner();
        self.0.judged(rules::finish(&finish, &self.0.host_id()))?;
        self.0.finished(&task, Finish::new(finish));
        if trouble != Trouble::None {
            self.0.end_failed(&task);
        }
        self.0
            .answer(
                trouble,
                connection,
                wire::BatonServiceFinishTaskResponse::default(),
            )
            .await
    }

    async fn upload_asset(
        &self,
        request: Request<Streaming<wire::BatonServiceUploadAssetRequest>>,
    ) -> Result<Response<wire::BatonServiceUploadAssetResponse>, Status> {
        let trouble = self.0.meet(Rpc::UploadAsset, &request).await?;
        let connection = connection(&request);
        let (task, file) = self.receive(request.into_inner(), trouble).await?;
        self.0.uploaded(&task, file, trouble == Trouble::None);
        self.0
            .answer(
                trouble,
                connection,
                wire::BatonServiceUploadAssetResponse::default(),
            )
            .await
    }
}

impl Service {
    /// Receives a whole upload: metadata, chunks of 512 KiB with a shorter one at the end, the hash, and nothing more.
    async fn receive(
        &self,
        mut stream: Streaming<wire::BatonServiceUploadAssetRequest>,
        trouble: Trouble,
    ) -> Result<(String, Vec<u8>), Status> {
        const CHUNK: usize = 512 << 10;
        let broken = |told: &str| {
            self.0.violate([format!("UploadAsset: {told}")]);
            Status::invalid_argument(told.to_owned())
        };
        let Some(Msg::Metadata(metadata)) = self.next(&mut stream).await? else {
            return Err(broken("does not begin with metadata"));
        };
        self.0
            .judged(rules::upload_metadata(&metadata, &self.0.host_id()))?;
        if !self.0.uploading(&metadata.task_id) {
            return Err(Status::not_found("no such task"));
        }
        let mut file = Vec::new();
        let mut last = CHUNK;
        let checksum = loop {
            let msg = self.next(&mut stream).await?;
            if let Trouble::BrokenOff(code) = trouble {
                return Err(Status::new(code, "scripted by the test"));
            }
            match msg {
                Some(Msg::Data(data)) if last == CHUNK => {
                    last = data.data.len();
                    file.extend(data.data);
                }
                Some(Msg::Data(_)) => return Err(broken("data after a chunk that is not of 512 KiB")),
                Some(Msg::Eof(eof)) => break eof.sha256_checksum,
                Some(Msg::Metadata(_)) => return Err(broken("metadata twice")),
                None => return Err(broken("ends without a hash")),
            }
            if last > CHUNK {
                return Err(broken("a chunk of more than 512 KiB"));
            }
        };
        if self.next(&mut stream).await?.is_some() {
            return Err(broken("goes on after its end"));
        }
        if Sha256::digest(&file).as_slice() != checksum {
            return Err(broken("the hash does not fit"));
        }
        if !file.starts_with(b"C1ZF\0") {
            return Err(broken("no c1z file"));
        }
        Ok((metadata.task_id, file))
    }

    async fn next(
        &self,
        stream: &mut Streaming<wire::BatonServiceUploadAssetRequest>,
    ) -> Result<Option<Msg>, Status> {
        let Some(message) = stream.message().await? else {
            return Ok(None);
        };
        self.0.judged(rules::upload(&message))?;
        Ok(message.msg)
    }
}

/// `GetTask` with an answer in bytes.
struct OneTask(Arc<State>);

impl UnaryService<wire::BatonServiceGetTaskRequest> for OneTask {
    type Response = Handed;
    type Future = BoxFuture<Response<Handed>, Status>;

    fn call(&mut self, request: Request<wire::BatonServiceGetTaskRequest>) -> Self::Future {
        let state = Arc::clone(&self.0);
        Box::pin(async move {
            state.asked(None);
            let trouble = state.meet(Rpc::GetTask, &request).await?;
            state.judged(rules::get_task(request.get_ref(), &state.host_id()))?;
            hand(&state, trouble, connection(&request), 1, &[]).await
        })
    }
}

/// `GetTasks` likewise.
struct SeveralTasks(Arc<State>);

impl UnaryService<wire::BatonServiceGetTasksRequest> for SeveralTasks {
    type Response = Handed;
    type Future = BoxFuture<Response<Handed>, Status>;

    fn call(&mut self, request: Request<wire::BatonServiceGetTasksRequest>) -> Self::Future {
        let state = Arc::clone(&self.0);
        Box::pin(async move {
            let (size, known) = (
                request.get_ref().page_size,
                request.get_ref().known_task_ids.clone(),
            );
            state.asked(Some((size, known.clone())));
            let trouble = state.meet(Rpc::GetTask, &request).await?;
            state.judged(rules::get_tasks(request.get_ref(), &state.host_id()))?;
            hand(&state, trouble, connection(&request), size as usize, &known).await
        })
    }
}

/// Hands out tasks, unless the answer is to be lost: then they stay where they are.
async fn hand(
    state: &State,
    trouble: Trouble,
    connection: Option<Connection>,
    most: usize,
    known: &[String],
) -> Result<Response<Handed>, Status> {
    if trouble != Trouble::None {
        return Err(state.spoil(trouble, connection.as_ref()).await);
    }
    Ok(Response::new(state.handed(most, known)))
}

type Body = http::Response<tonic::body::Body>;

pub async fn get_task(Shared(state): Shared<Arc<State>>, request: axum::extract::Request) -> Body {
    let codec = ProstCodec::<Handed, wire::BatonServiceGetTaskRequest>::default();
    tonic::server::Grpc::new(codec)
        .unary(OneTask(state), request)
        .await
}

pub async fn get_tasks(Shared(state): Shared<Arc<State>>, request: axum::extract::Request) -> Body {
    let codec = ProstCodec::<Handed, wire::BatonServiceGetTasksRequest>::default();
    tonic::server::Grpc::new(codec)
        .unary(SeveralTasks(state), request)
        .await
}

/// A refusal of a token, as an event.
pub fn no_token(state: &State, violations: Vec<String>) {
    state.violate(violations);
    state.note(Event::NoToken);
}
