//! A small client of the platform, written by hand: it does what a daemon has to do, or breaks one rule.
//!
//! It is there to prove the fake platform, and shares nothing with the program.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use baton_coupa::proto::connector as c1;
use baton_coupa::proto::platform as wire;
use baton_coupa::proto::platform::baton_service_client::BatonServiceClient;
use baton_coupa::proto::{pack, rpc};
use hyper_util::rt::TokioIo;
use ring::signature::Ed25519KeyPair;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use wire::baton_service_finish_task_request::{Error, FinalState, Success};
use wire::baton_service_upload_asset_request::{Msg, UploadData, UploadEof, UploadMetadata};

use super::fake::Platform;

/// The one rule that the client breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    MissingClaim,
    AdditionalClaim,
    WrongAudience,
    AudienceWithPort,
    LongLife,
    Stale,
    TypedHeader,
    ShortNonce,
    RepeatedNonce,
    MissingKid,
    ForeignKey,
    FormField,
    TokenAgent,
    RpcAgent,
    WrongAuthority,
    NoBearer,
    ExpiredToken,
    OtherHost,
    EmptyOs,
    NoMetadata,
    TaskFirst,
    TooManyAtOnce,
    NoHelloForTask,
    FinishedHello,
    BeatOfGrant,
    UploadWithoutBeat,
    SmallChunks,
    EmptyChunk,
    WrongHash,
    NoUpload,
    FourUploads,
    NotC1z,
    Unfinished,
    FinishedTwice,
    FinishedStrange,
    NoFinalState,
    NoStatus,
    MarkWithoutWords,
    WrongResponse,
}

/// The client.
pub struct Client<'a> {
    platform: &'a Platform,
    defect: Option<Defect>,
    token: String,
    channel: Channel,
}

impl<'a> Client<'a> {
    pub async fn new(platform: &'a Platform, defect: Option<Defect>) -> Self {
        let addr = platform.addr();
        let config = trusting(platform, b"h2");
        let connector = tower::service_fn(move |_| {
            let config = Arc::clone(&config);
            async move { Ok::<_, std::io::Error>(TokioIo::new(dial(addr, config).await)) }
        });
        let authority = match defect {
            Some(Defect::WrongAuthority) => "elsewhere.example",
            _ => platform.authority.as_str(),
        };
        let agent = match defect {
            Some(Defect::RpcAgent) => "grpc-go/1.0",
            _ => "happy-fox-12345 baton-sdk/v1.2.3",
        };
        let endpoint = Endpoint::from_shared(format!("http://{authority}")).unwrap();
        let channel = endpoint
            .user_agent(agent)
            .unwrap()
            .connect_with_connector(connector)
            .await
            .unwrap();
        Self {
            platform,
            defect,
            token: String::new(),
            channel,
        }
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    fn host(&self) -> String {
        let host = if self.is(Defect::OtherHost) {
            "another"
        } else {
            "host-under-test"
        };
        host.to_owned()
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if !self.is(Defect::NoBearer) {
            let bearer = format!("Bearer {}", self.token).parse().unwrap();
            request.metadata_mut().insert("authorization", bearer);
        }
        request
    }

    fn service(&self) -> BatonServiceClient<Channel> {
        BatonServiceClient::new(self.channel.clone())
    }

    // The token.

    fn assertion(&self) -> String {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let now = if self.is(Defect::Stale) { now - 600 } else { now };
        let life = if self.is(Defect::LongLife) { 3600 } else { 120 };
        let id = &self.platform.client.id;
        let mut claims = json!({ "iss": id, "sub": id, "aud": "tenant.platform.example",
            "iat": now, "nbf": now - 120, "exp": now + life });
        let nonce = match self.defect {
            Some(Defect::RepeatedNonce) => "0".repeat(32),
            Some(Defect::ShortNonce) => "0".repeat(16),
            _ => format!("{:032x}", fastrand::u128(..)),
        };
        let mut header = json!({ "alg": "EdDSA", "nonce": nonce });
        match self.defect {
            Some(Defect::MissingClaim) => _ = claims.as_object_mut().unwrap().remove("exp"),
            Some(Defect::AdditionalClaim) => claims["jti"] = "1".into(),
            Some(Defect::WrongAudience) => claims["aud"] = json!(["tenant.platform.example"]),
            Some(Defect::AudienceWithPort) => claims["aud"] = "tenant.platform.example:8443".into(),
            Some(Defect::TypedHeader) => header["typ"] = "JWT".into(),
            _ => {}
        }
        // What a key has as its name stands in the secret.
        let jwk = self.platform.client.secret.rsplit(':').next().unwrap();
        let jwk: Value = serde_json::from_slice(&BASE64.decode(jwk).unwrap()).unwrap();
        if let Some(kid) = jwk.get("kid").filter(|_| !self.is(Defect::MissingKid)) {
            header["kid"] = kid.clone();
        }
        let mut seed = BASE64.decode(jwk["d"].as_str().unwrap()).unwrap();
        if self.is(Defect::ForeignKey) {
            seed[0] ^= 1;
        }
        let key = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let signed = [header, claims]
            .map(|part| BASE64.encode(part.to_string()))
            .join(".");
        let signature = BASE64.encode(key.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn form(&self) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("client_id", &self.platform.client.id)
            .append_pair("grant_type", "client_credentials")
            .append_pair(
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            )
            .append_pair("client_assertion", &self.assertion());
        if self.is(Defect::FormField) {
            form.append_pair("scope", "all");
        }
        form.finish()
    }

    /// Gets a token; whether there was one.
    pub async fn log_in(&mut self) -> bool {
        let form = self.form();
        let agent = match self.defect {
            Some(Defect::TokenAgent) => "curl",
            _ => "baton-c1-credential-provider baton-sdk/v1.2.3",
        };
        let request = format!(
            "POST /auth/v1/token HTTP/1.1\r\nHost: {}\r\nUser-Agent: {agent}\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            self.platform.authority,
            form.len()
        );
        let mut stream = dial(self.platform.addr(), trusting(self.platform, b"http/1.1")).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // The server may close without a farewell.
        let _ = stream.read_to_string(&mut answer).await;
        if !answer.starts_with("HTTP/1.1 200") {
            return false;
        }
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        body["access_token"].as_str().unwrap().clone_into(&mut self.token);
        true
    }

    /// Goes on with the token of another.
    pub fn take_token(&mut self, from: &Client<'_>) {
        self.token.clone_from(&from.token);
    }

    // The calls.

    pub async fn hello(&self, task: &str) -> Result<(), Status> {
        let text = |text: &str| text.to_owned();
        let os = wire::baton_service_hello_request::OsInfo {
            hostname: text("box"),
            os: text("linux"),
            platform: text("debian"),
            platform_version: text("13"),
            platform_family: text("debian"),
            kernel_version: text("6"),
            kernel_arch: text("x86_64"),
            virtualization_system: text(if self.is(Defect::EmptyOs) { "" } else { "none" }),
        };
        let kind = c1::ResourceType {
            id: text("user"),
            ..c1::ResourceType::default()
        };
        let row = c1::ResourceTypeCapability {
            resource_type: Some(kind),
            ..c1::ResourceTypeCapability::default()
        };
        let about = c1::ConnectorMetadata {
            display_name: text("Coupa"),
            capabilities: Some(c1::ConnectorCapabilities {
                resource_type_capabilities: vec![row],
                ..c1::ConnectorCapabilities::default()
            }),
            ..c1::ConnectorMetadata::default()
        };
        let request = wire::BatonServiceHelloRequest {
            host_id: self.host(),
            task_id: text(task),
            build_info: Some(wire::baton_service_hello_request::BuildInfo {
                lang_version: text("rust1"),
                package: text("package"),
                package_version: text("v1"),
            }),
            os_info: Some(os),
            connector_metadata: (!self.is(Defect::NoMetadata)).then_some(about),
            annotations: Vec::new(),
        };
        self.service().hello(self.request(request)).await.map(|_| ())
    }

    /// A task, if one waits; how its bytes decode is no matter.
    pub async fn task(&self) -> Result<Option<wire::Task>, Status> {
        let request = wire::BatonServiceGetTaskRequest { host_id: self.host() };
        let answer = self.service().get_task(self.request(request)).await?;
        Ok(answer.into_inner().task)
    }

    pub async fn tasks(&self, page_size: u32, known: Vec<String>) -> Result<Vec<wire::Task>, Status> {
        let request = wire::BatonServiceGetTasksRequest {
            host_id: self.host(),
            page_size,
            known_task_ids: known,
            annotations: Vec::new(),
        };
        let answer = self.service().get_tasks(self.request(request)).await?;
        Ok(answer.into_inner().tasks)
    }

    pub async fn beat(&self, task: &str) -> Result<wire::BatonServiceHeartbeatResponse, Status> {
        let request = wire::BatonServiceHeartbeatRequest {
            host_id: self.host(),
            task_id: task.to_owned(),
            ..wire::BatonServiceHeartbeatRequest::default()
        };
        self.service()
            .heartbeat(self.request(request))
            .await
            .map(tonic::Response::into_inner)
    }

    pub async fn upload(&self, task: &str) -> Result<(), Status> {
        let mut file = vec![7; 700_000];
        if !self.is(Defect::NotC1z) {
            file[..5].copy_from_slice(b"C1ZF\0");
        }
        let mut checksum = Sha256::digest(&file).to_vec();
        if self.is(Defect::WrongHash) {
            checksum[0] ^= 1;
        }
        let size = if self.is(Defect::SmallChunks) {
            64 << 10
        } else {
            512 << 10
        };
        let metadata = UploadMetadata {
            host_id: self.host(),
            task_id: task.to_owned(),
            annotations: Vec::new(),
        };
        let mut messages = vec![Msg::Metadata(metadata)];
        messages.extend(
            file.chunks(size)
                .map(|data| Msg::Data(UploadData { data: data.to_vec() })),
        );
        if self.is(Defect::EmptyChunk) {
            messages.push(Msg::Data(UploadData::default()));
        }
        messages.push(Msg::Eof(UploadEof {
            sha256_checksum: checksum,
            annotations: Vec::new(),
        }));
        let messages = messages
            .into_iter()
            .map(|msg| wire::BatonServiceUploadAssetRequest { msg: Some(msg) });
        let stream = tokio_stream::iter(messages.collect::<Vec<_>>());
        self.service()
            .upload_asset(self.request(stream))
            .await
            .map(|_| ())
    }

    pub async fn finish(&self, task: &str, state: FinalState) -> Result<(), Status> {
        let status = match &state {
            FinalState::Error(_) if !self.is(Defect::NoStatus) => Some(rpc::Status {
                code: 2,
                message: "unsupported task type".to_owned(),
                ..rpc::Status::default()
            }),
            _ => None,
        };
        let request = wire::BatonServiceFinishTaskRequest {
            host_id: self.host(),
            task_id: task.to_owned(),
            status,
            final_state: (!self.is(Defect::NoFinalState)).then_some(state),
        };
        self.service()
            .finish_task(self.request(request))
            .await
            .map(|_| ())
    }

    // A life.

    /// Starts, does three tasks (hello, sync, grant) and one of a type that nobody knows.
    pub async fn live(&mut self) -> Result<(), Status> {
        let logins = if self.is(Defect::RepeatedNonce) { 2 } else { 1 };
        for _ in 0..logins {
            if !self.log_in().await {
                return Err(Status::unauthenticated("no token"));
            }
        }
        if self.is(Defect::ExpiredToken) {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        if self.is(Defect::TaskFirst) {
            self.task().await?;
        }
        self.hello("").await?;
        if self.is(Defect::TooManyAtOnce) {
            while self.task().await?.is_some() {}
            return Ok(());
        }
        while let Some(task) = self.task().await? {
            match &task.task_type {
                Some(wire::task::TaskType::Hello(_)) if self.is(Defect::NoHelloForTask) => {}
                Some(wire::task::TaskType::Hello(_)) => {
                    self.hello(&task.id).await?;
                    if self.is(Defect::FinishedHello) {
                        self.finish(&task.id, FinalState::Success(Success::default()))
                            .await?;
                    }
                }
                Some(wire::task::TaskType::SyncFull(_)) => self.sync(&task.id).await?,
                Some(_) => self.grant(&task.id).await?,
                None => {
                    let non_retryable = self.is(Defect::MarkWithoutWords);
                    let error = Error {
                        non_retryable,
                        ..Error::default()
                    };
                    self.finish(&task.id, FinalState::Error(error)).await?;
                }
            }
        }
        Ok(())
    }

    async fn sync(&self, task: &str) -> Result<(), Status> {
        if !self.is(Defect::UploadWithoutBeat) {
            self.beat(task).await?;
        }
        if !self.is(Defect::NoUpload) {
            self.upload(task).await?;
        }
        if self.is(Defect::FourUploads) {
            for _ in 0..3 {
                self.upload(task).await?;
            }
        }
        self.finish(task, FinalState::Success(Success::default())).await
    }

    async fn grant(&self, task: &str) -> Result<(), Status> {
        if self.is(Defect::BeatOfGrant) {
            self.beat(task).await?;
        }
        if self.is(Defect::Unfinished) {
            return Ok(());
        }
        let response = if self.is(Defect::WrongResponse) {
            pack(&c1::GrantManagerServiceRevokeResponse::default())
        } else {
            pack(&c1::GrantManagerServiceGrantResponse::default())
        };
        let success = || {
            FinalState::Success(Success {
                response: Some(response.clone()),
                annotations: Vec::new(),
            })
        };
        if self.is(Defect::FinishedStrange) {
            self.finish("2wPbMEhC9cN9k9PqEV2sBUbUuu7", success()).await?;
        }
        if self.is(Defect::FinishedTwice) {
            self.finish(task, success()).await?;
        }
        self.finish(task, success()).await
    }
}

fn trusting(platform: &Platform, protocol: &[u8]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(platform.authority_pem().as_bytes()).unwrap())
        .unwrap();
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    Arc::new(config)
}

async fn dial(addr: std::net::SocketAddr, config: Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let tcp = TcpStream::connect(addr).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(config).connect(name, tcp).await.unwrap()
}
