//! A runner that starts a child as section 2 of the protocol says: a socket in blocking mode under a number, one line on standard input, which
//! stays open, and certificates made for this launch.

use std::io::{self, PipeReader, PipeWriter, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use baton_coupa::proto::{ratelimit, utls, wrapper};
use command_fds::{CommandFdExt as _, FdMapping};
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use prost::Message as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    PKCS_ED25519, PublicKeyData as _,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::oneshot;

use crate::grpc::client::Client;

/// The environment variable with the number of the socket.
pub(super) const LISTENER_FD: &str = "BATON_CONNECTOR_SERVICE_LISTENER_FD";

/// A certificate authority made for one launch, and what it issues.
pub(super) struct Pki {
    ca: CertifiedIssuer<'static, KeyPair>,
    server: utls::Credential,
    client: Identity,
}

/// A certificate and its key, DER.
#[derive(Clone)]
struct Identity {
    cert: CertificateDer<'static>,
    key: Arc<PrivateKeyDer<'static>>,
}

impl Pki {
    pub(super) fn new() -> Self {
        let key = || KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "c1-connector-ca");
        let ca = CertifiedIssuer::self_signed(params, key()).unwrap();
        let issue = |name: &str| {
            let addresses = ["127.0.0.1".to_owned(), "::1".to_owned()];
            let mut params = CertificateParams::new(addresses).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params.extended_key_usages = vec![
                ExtendedKeyUsagePurpose::ClientAuth,
                ExtendedKeyUsagePurpose::ServerAuth,
            ];
            let key = key();
            let cert = params.signed_by(&key, &ca).unwrap();
            (cert.der().clone(), key)
        };
        let (cert, key) = issue("c1-connector-server");
        let server = utls::Credential {
            ca_cert: ca.der().to_vec(),
            key: raw(&key),
            cert: cert.to_vec(),
        };
        let (cert, key) = issue("c1-connector-client");
        let client = Identity {
            cert,
            key: Arc::new(key.serialize_der().try_into().unwrap()),
        };
        Self { ca, server, client }
    }

    /// How the runner dials: it trusts its own authority and shows the paired certificate.
    pub(super) fn paired(&self) -> ClientConfig {
        self.dial(Some(&self.client))
    }

    /// The same without a certificate.
    pub(super) fn nameless(&self) -> ClientConfig {
        self.dial(None)
    }

    /// The same with a certificate of another authority.
    pub(super) fn foreign(&self) -> ClientConfig {
        self.dial(Some(&Self::new().client))
    }

    fn dial(&self, identity: Option<&Identity>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match identity {
            Some(identity) => builder
                .with_client_auth_cert(vec![identity.cert.clone()], identity.key.clone_key())
                .unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }
}

/// 32 bytes of seed, then 32 bytes of public key.
fn raw(key: &KeyPair) -> Vec<u8> {
    const BEFORE_SEED: usize = 16;
    let document = key.serialize_der();
    [&document[BEFORE_SEED..BEFORE_SEED + 32], key.der_bytes()].concat()
}

/// What the runner puts on the child's standard input.
#[derive(Clone)]
pub(super) enum Said {
    /// The line, and nothing more until the end.
    Line,
    /// The line with another port in it, so much above the right one.
    PortOff(u32),
    /// These words, and the end.
    Alone(String),
    /// Nothing yet: see [`Launched::say`].
    Later,
}

/// What a launch is made of.
#[derive(Clone)]
pub(super) struct Start {
    /// The runner's own command line.
    pub(super) flags: Vec<String>,
    /// The runner's environment.
    pub(super) variables: Vec<(String, String)>,
    /// Number under which the socket is passed.
    pub(super) number: i32,
    /// What the variable says; `None`: it is not set.
    pub(super) named: Option<String>,
    pub(super) said: Said,
    pub(super) limiter: Option<ratelimit::RateLimiterConfig>,
}

impl Start {
    /// As every runner does it.
    pub(super) fn usual() -> Self {
        Self {
            flags: Vec::new(),
            variables: Vec::new(),
            number: 3,
            named: Some("3".to_owned()),
            said: Said::Line,
            limiter: None,
        }
    }

    pub(super) fn saying(said: Said) -> Self {
        Self {
            said,
            ..Self::usual()
        }
    }

    pub(super) fn with(flags: &[&str]) -> Self {
        Self {
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            ..Self::usual()
        }
    }

    pub(super) fn var(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// What a child is given; a process gets it from the system, a twin as it is.
pub(super) struct Given {
    /// The command line behind the program's name.
    pub(super) args: Vec<String>,
    pub(super) variables: Vec<(String, String)>,
    pub(super) stdin: PipeReader,
    pub(super) number: i32,
    pub(super) listener: TcpListener,
}

/// How a child ended.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    /// `None`: a signal ended it.
    pub(super) status: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Ended {
    pub(super) fn failed_saying(&self, words: &str) -> bool {
        self.status.is_some_and(|status| status != 0) && self.stderr.contains(words)
    }
}

/// The end of a child, which may be waited for more than once.
pub(super) type Ending = Shared<BoxFuture<'static, Ended>>;

/// A child under way.
pub(super) struct Launched {
    pub(super) addr: SocketAddr,
    pub(super) pki: Pki,
    /// Everything secret that the child was told.
    pub(super) secrets: Vec<String>,
    /// Of a process.
    pub(super) pid: Option<u32>,
    listener: TcpListener,
    stdin: Option<PipeWriter>,
    line: String,
    ending: Ending,
}

impl Launched {
    /// Starts a child by `play`, which gets what a runner gives.
    pub(super) fn by(start: Start, play: impl FnOnce(Given) -> (Option<u32>, Ending)) -> Self {
        let pki = Pki::new();
        let listener = TcpListener::bind("localhost:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let off = match start.said {
            Said::PortOff(off) => off,
            _ => 0,
        };
        let config = wrapper::ServerConfig {
            credential: Some(pki.server.clone()),
            rate_limiter_config: start.limiter,
            listen_port: u32::from(addr.port()) + off,
            session_store_listen_port: 0,
        };
        let line = STANDARD.encode(config.encode_to_vec()) + "\n";
        let (stdin, writer) = io::pipe().unwrap();
        let mut variables = start.variables;
        variables.extend(start.named.map(|named| (LISTENER_FD.to_owned(), named)));
        let secrets = [line.trim().to_owned(), STANDARD.encode(&pki.server.key)]
            .into_iter()
            .chain(
                variables
                    .iter()
                    .filter(|(name, _)| name.ends_with("SECRET"))
                    .map(|(_, value)| value.clone()),
            )
            .collect();
        let mut args = start.flags;
        args.push("_connector-service".to_owned());
        let (pid, ending) = play(Given {
            args,
            variables,
            stdin,
            number: start.number,
            // The mode goes with the socket, not with its numbers: nobody has made it non-blocking.
            listener: listener.try_clone().unwrap(),
        });
        let mut launched = Self {
            addr,
            pki,
            secrets,
            pid,
            listener,
            stdin: Some(writer),
            line,
            ending,
        };
        match start.said {
            Said::Line | Said::PortOff(_) => launched.say(&launched.line.clone()),
            Said::Alone(words) => {
                launched.say(&words);
                launched.leave();
            }
            Said::Later => {}
        }
        launched
    }

    /// Writes to the child, which may be gone.
    pub(super) fn say(&mut self, words: &str) {
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin.write_all(words.as_bytes());
        }
    }

    /// What the runner has to say, its newline included.
    pub(super) fn line(&self) -> String {
        self.line.clone()
    }

    /// The child's standard input ends: the runner is gone.
    pub(super) fn leave(&mut self) {
        self.stdin = None;
    }

    /// Dials as the runner does, for as long as the child lives.
    pub(super) async fn client(&self) -> Result<Client, String> {
        self.client_of(self.pki.paired()).await
    }

    pub(super) async fn client_of(&self, config: ClientConfig) -> Result<Client, String> {
        // Over IPv4, as the runner does it; `localhost` may also be the other one.
        let dialled = Client::tls_to("127.0.0.1", self.addr, Arc::new(config));
        tokio::select! {
            dialled = dialled => dialled.map_err(|error| format!("cannot connect: {error:?}")),
            ended = self.ended() => Err(format!("it did not serve: {ended:?}")),
        }
    }

    /// Waits for the end of the child.
    pub(super) fn ended(&self) -> Ending {
        self.ending.clone()
    }

    /// Whether the socket is in blocking mode, as the system tells it of an open file.
    #[cfg(target_os = "linux")]
    pub(super) fn is_blocking(&self) -> bool {
        use std::fs;
        use std::os::fd::AsRawFd as _;

        const O_NONBLOCK: u32 = 0o4000;
        let about = fs::read_to_string(format!("/proc/self/fdinfo/{}", self.listener.as_raw_fd())).unwrap();
        let flags = about
            .lines()
            .find_map(|line| line.strip_prefix("flags:"))
            .unwrap();
        u32::from_str_radix(flags.trim(), 8).unwrap() & O_NONBLOCK == 0
    }

    /// Sends a signal to a process.
    pub(super) fn signal(&self, name: &str) {
        let pid = self.pid.expect("a process").to_string();
        let sent = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(sent.success());
    }
}

/// Starts a process as a runner does.
pub(super) fn spawn(mut command: Command, given: Given) -> (Option<u32>, Ending) {
    command
        .args(given.args)
        .envs(given.variables)
        .stdin(Stdio::from(given.stdin))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .fd_mappings(vec![FdMapping {
            parent_fd: given.listener.into(),
            child_fd: given.number,
        }])
        .unwrap();
    let mut child = command.spawn().unwrap();
    // It holds a copy of the socket and of the pipe.
    drop(command);
    let pid = child.id();
    let mut stdout = child.stdout.take().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let (tell, told) = oneshot::channel();
    thread::spawn(move || {
        let reading = thread::spawn(move || read(&mut stdout));
        let stderr = read(&mut stderr);
        let status: ExitStatus = child.wait().unwrap();
        let _ = tell.send(Ended {
            status: status.code(),
            stdout: reading.join().unwrap(),
            stderr,
        });
    });
    let ending = async { told.await.unwrap() }.boxed().shared();
    (Some(pid), ending)
}

fn read(from: &mut impl io::Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}
