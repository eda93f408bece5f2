//! A small child in this process that does everything right, or everything but one thing.
//!
//! It shares no code with the product except the generated messages.

use std::io::{self, BufRead as _, BufReader};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use baton_coupa::proto::connector as c1;
use baton_coupa::proto::connector::connector_service_server::{ConnectorService, ConnectorServiceServer};
use baton_coupa::proto::utls;
use baton_coupa::proto::wrapper::ServerConfig;
use futures::FutureExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use prost::Message as _;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;
use tonic::service::Routes;
use tonic::{Request, Response, Status, async_trait};

use super::parent::{Ended, Ending, Given, LISTENER_FD};

/// The one thing that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    RejectsFlags,
    RejectsVariables,
    GarbageIsFine,
    FailsSilently,
    OnlyLine,
    IgnoresPort,
    StaysBlocking,
    AlwaysThree,
    GuessesThree,
    NoAlpn,
    OldTls,
    OwnCertificate,
    AnyClient,
    AnyCertificate,
    EofIsFailure,
    Lingers,
    WaitsForCalls,
    PrintsToStdout,
    LogsSecret,
    LogsLine,
}

/// Longer than any check waits.
const AGES: Duration = Duration::from_mins(10);

pub(super) fn start(defect: Option<Defect>, given: Given) -> (Option<u32>, Ending) {
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        let mut twin = Twin {
            defect,
            stdout: String::new(),
            stderr: String::new(),
        };
        let status = match twin.run(given).await {
            Ok(status) => status,
            Err(why) => {
                if !twin.has(Defect::FailsSilently) {
                    twin.stderr += &why;
                }
                2
            }
        };
        let _ = tell.send(Ended {
            status: Some(status),
            stdout: twin.stdout,
            stderr: twin.stderr,
        });
    });
    (None, async { told.await.unwrap() }.boxed().shared())
}

struct Twin {
    defect: Option<Defect>,
    stdout: String,
    stderr: String,
}

/// What comes in on standard input.
struct Stdin {
    line: oneshot::Receiver<String>,
    /// Whether another line came with the first one.
    more: oneshot::Receiver<bool>,
    ended: oneshot::Receiver<()>,
}

fn listen(stdin: io::PipeReader) -> Stdin {
    let (say_line, line) = oneshot::channel();
    let (say_more, more) = oneshot::channel();
    let (say_ended, ended) = oneshot::channel();
    thread::spawn(move || {
        let mut stdin = BufReader::new(stdin);
        let mut line = String::new();
        let _ = stdin.read_line(&mut line);
        let _ = say_line.send(line);
        let _ = say_more.send(!stdin.buffer().is_empty());
        let _ = io::copy(&mut stdin, &mut io::sink());
        let _ = say_ended.send(());
    });
    Stdin { line, more, ended }
}

impl Twin {
    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    async fn run(&mut self, given: Given) -> Result<i32, String> {
        self.judge(&given)?;
        let variable = |name: &str| {
            let found = given.variables.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        };
        if self.has(Defect::LogsSecret) {
            self.stderr += &variable("BATON_COUPA_CLIENT_SECRET").unwrap_or_default();
        }
        let number = match variable(LISTENER_FD) {
            None if self.has(Defect::GuessesThree) => Some(3),
            Some(text) if !self.has(Defect::AlwaysThree) => text.parse().ok(),
            Some(_) => Some(3),
            None => None,
        };
        if number != Some(given.number) {
            return Err(format!("{LISTENER_FD} names no socket"));
        }
        let stdin = listen(given.stdin);
        let line = stdin.line.await.unwrap();
        if self.has(Defect::LogsLine) {
            self.stderr += &line;
        }
        if stdin.more.await.unwrap() && self.has(Defect::OnlyLine) {
            return Err("more than a line".to_owned());
        }
        let config = match decode(&line) {
            Ok(config) => config,
            Err(_) if self.has(Defect::GarbageIsFine) => return Ok(0),
            Err(why) => return Err(why),
        };
        let port = u32::from(given.listener.local_addr().unwrap().port());
        if config.listen_port != port && !self.has(Defect::IgnoresPort) {
            return Err("the socket listens at another port".to_owned());
        }
        let stalls = given.args.iter().any(|arg| arg == "--stall");
        let tls = self.tls(&config.credential.unwrap_or_default());
        let serving = tokio::spawn(serve(self.streams(given.listener), tls, stalls));
        if self.has(Defect::PrintsToStdout) {
            self.stdout += "ready";
        }
        stdin.ended.await.unwrap();
        if self.has(Defect::Lingers) || (stalls && self.has(Defect::WaitsForCalls)) {
            tokio::time::sleep(AGES).await;
        }
        serving.abort();
        Ok(i32::from(self.has(Defect::EofIsFailure)))
    }

    /// The command line and the environment.
    fn judge(&self, given: &Given) -> Result<(), String> {
        let news = |text: &str| text.to_lowercase().replace('_', "-").contains("of-tomorrow");
        if self.has(Defect::RejectsFlags)
            && let Some(flag) = given.args.iter().find(|arg| news(arg))
        {
            return Err(format!("unknown flag: {flag}"));
        }
        if self.has(Defect::RejectsVariables)
            && let Some((name, _)) = given.variables.iter().find(|(name, _)| news(name))
        {
            return Err(format!("unknown variable: {name}"));
        }
        Ok(())
    }

    /// Connections of the socket.
    fn streams(&self, listener: TcpListener) -> mpsc::UnboundedReceiver<TcpStream> {
        let (sender, streams) = mpsc::unbounded_channel();
        if self.has(Defect::StaysBlocking) {
            let runtime = tokio::runtime::Handle::current();
            thread::spawn(move || {
                let _guard = runtime.enter();
                for stream in listener.incoming().map(Result::unwrap) {
                    stream.set_nonblocking(true).unwrap();
                    if sender.send(TcpStream::from_std(stream).unwrap()).is_err() {
                        return;
                    }
                }
            });
            return streams;
        }
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if sender.send(stream).is_err() {
                    return;
                }
            }
        });
        streams
    }

    fn tls(&self, credential: &utls::Credential) -> Arc<rustls::ServerConfig> {
        const HEADER: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
        let seed = credential.key.get(..32).unwrap_or_default();
        let own;
        let (cert, key) = if self.has(Defect::OwnCertificate) {
            own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
            (own.cert.der().clone(), own.signing_key.serialize_der())
        } else {
            let cert = CertificateDer::from(credential.cert.clone());
            (cert, [&HEADER, seed].concat())
        };
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key));
        let mut roots = RootCertStore::empty();
        roots.add(credential.ca_cert.clone().into()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .unwrap();
        let clients: Arc<dyn ClientCertVerifier> = match self.defect {
            Some(Defect::AnyClient) => Arc::new(NoClientAuth),
            Some(Defect::AnyCertificate) => Arc::new(Gullible(chain)),
            _ => chain,
        };
        let versions: &[_] = if self.has(Defect::OldTls) {
            &[&rustls::version::TLS12]
        } else {
            rustls::ALL_VERSIONS
        };
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![cert], key)
            .unwrap();
        if !self.has(Defect::NoAlpn) {
            config.alpn_protocols = vec![b"h2".to_vec()];
        }
        Arc::new(config)
    }
}

fn decode(line: &str) -> Result<ServerConfig, String> {
    let understood = || {
        let bytes = STANDARD.decode(line.trim()).ok()?;
        let config = ServerConfig::decode(bytes.as_slice()).ok()?;
        config.credential.is_some().then_some(config)
    };
    understood().ok_or_else(|| "not a line of a runner".to_owned())
}

async fn serve(
    mut streams: mpsc::UnboundedReceiver<TcpStream>,
    tls: Arc<rustls::ServerConfig>,
    stalls: bool,
) {
    let routes = Routes::new(ConnectorServiceServer::new(Answers { stalls })).prepare();
    let acceptor = TlsAcceptor::from(tls);
    // Connections end with the twin.
    let mut connections = tokio::task::JoinSet::new();
    while let Some(stream) = streams.recv().await {
        let (acceptor, routes) = (acceptor.clone(), routes.clone());
        connections.spawn(async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                let _ = auto::Builder::new(TokioExecutor::new())
                    .http2_only()
                    .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes))
                    .await;
            }
        });
    }
}

struct Answers {
    stalls: bool,
}

#[async_trait]
impl ConnectorService for Answers {
    async fn validate(
        &self,
        _: Request<c1::ConnectorServiceValidateRequest>,
    ) -> Result<Response<c1::ConnectorServiceValidateResponse>, Status> {
        if self.stalls {
            tokio::time::sleep(AGES).await;
        }
        Ok(Response::new(c1::ConnectorServiceValidateResponse::default()))
    }

    async fn get_metadata(
        &self,
        _: Request<c1::ConnectorServiceGetMetadataRequest>,
    ) -> Result<Response<c1::ConnectorServiceGetMetadataResponse>, Status> {
        Ok(Response::new(c1::ConnectorServiceGetMetadataResponse::default()))
    }

    async fn cleanup(
        &self,
        _: Request<c1::ConnectorServiceCleanupRequest>,
    ) -> Result<Response<c1::ConnectorServiceCleanupResponse>, Status> {
        Ok(Response::new(c1::ConnectorServiceCleanupResponse::default()))
    }
}

/// Asks for a certificate and takes any.
#[derive(Debug)]
struct Gullible(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Gullible {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
