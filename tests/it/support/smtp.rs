//! A mail server for one test: SMTP (RFC 5321) with STARTTLS, TLS from the first byte and AUTH PLAIN, as far as a client needs it.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;

use crate::grpc::pki::Leaf;

/// How the server guards its connections.
pub enum Guard<'a> {
    /// Not at all.
    Plain,
    /// It asks for STARTTLS.
    StartTls(&'a Leaf),
    /// TLS from the first byte.
    Tls(&'a Leaf),
}

/// What it wants and how it answers.
#[derive(Clone, Default)]
pub struct Manner {
    /// User and password, if it wants them.
    pub login: Option<(&'static str, &'static str)>,
    /// Answers to commands that begin so, instead of the usual ones; an empty answer is silence for ever.
    pub answers: Vec<(&'static str, &'static str)>,
}

/// A mail as it arrived.
#[derive(Clone, Debug)]
pub struct Letter {
    pub from: String,
    pub to: Vec<String>,
    pub data: Vec<u8>,
    pub encrypted: bool,
    pub login: Option<(String, String)>,
}

/// The running server; it ends with the test's runtime.
pub struct Sink {
    pub addr: SocketAddr,
    letters: mpsc::UnboundedReceiver<Letter>,
    heard: Arc<Mutex<Vec<String>>>,
    silent: watch::Receiver<bool>,
}

impl Sink {
    pub async fn start(guard: Guard<'_>, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (post, letters) = mpsc::unbounded_channel();
        let (hush, silent) = watch::channel(false);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (at_once, on_demand) = match guard {
            Guard::Plain => (None, None),
            Guard::StartTls(leaf) => (None, Some(acceptor(leaf))),
            Guard::Tls(leaf) => (Some(acceptor(leaf)), None),
        };
        let house = House {
            manner,
            at_once,
            on_demand,
            post,
            heard: Arc::clone(&heard),
            hush,
        };
        let house = Arc::new(house);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let house = Arc::clone(&house);
                tokio::spawn(async move { house.attend(stream).await });
            }
        });
        Self {
            addr,
            letters,
            heard,
            silent,
        }
    }

    /// The next letter.
    pub async fn letter(&mut self) -> Letter {
        self.letters.recv().await.unwrap()
    }

    /// Whether nothing came.
    pub fn is_empty(&mut self) -> bool {
        self.letters.try_recv().is_err()
    }

    /// Every command so far, as the network showed it to the server.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// Waits until the server has fallen silent.
    pub async fn silence(&mut self) {
        self.silent.wait_for(|silent| *silent).await.unwrap();
    }
}

trait Wire: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Wire for T {}
type Line = BufReader<Pin<Box<dyn Wire>>>;

struct House {
    manner: Manner,
    at_once: Option<TlsAcceptor>,
    on_demand: Option<TlsAcceptor>,
    post: mpsc::UnboundedSender<Letter>,
    heard: Arc<Mutex<Vec<String>>>,
    hush: watch::Sender<bool>,
}

fn acceptor(leaf: &Leaf) -> TlsAcceptor {
    let certs: Vec<_> = CertificateDer::pem_slice_iter(leaf.cert.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap();
    let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certs, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// What one connection has come to.
#[derive(Default)]
struct Session {
    encrypted: bool,
    login: Option<(String, String)>,
    from: String,
    to: Vec<String>,
}

impl House {
    async fn attend(&self, stream: TcpStream) {
        let mut session = Session::default();
        let mut line: Line = match &self.at_once {
            None => BufReader::new(Box::pin(stream)),
            Some(tls) => {
                // A client that does not trust us hangs up here.
                let Ok(stream) = tls.accept(stream).await else {
                    return;
                };
                session.encrypted = true;
                BufReader::new(Box::pin(stream))
            }
        };
        let _ = say(&mut line, "220 sink ESMTP").await;
        loop {
            let mut command = String::new();
            if !matches!(line.read_line(&mut command).await, Ok(1..)) {
                return;
            }
            let command = command.trim_end().to_owned();
            self.heard.lock().unwrap().push(command.clone());
            let usual = self.answer(&mut session, &command);
            let other = self
                .manner
                .answers
                .iter()
                .find(|(verb, _)| command.starts_with(verb));
            let answer = other.map_or(usual, |(_, answer)| (*answer).to_owned());
            if answer.is_empty() {
                self.hush.send_replace(true);
                return std::future::pending().await;
            }
            if say(&mut line, &answer).await.is_err() || answer.starts_with("221") {
                return;
            }
            match (command.as_str(), &self.on_demand) {
                ("STARTTLS", Some(tls)) if answer.starts_with("220") => {
                    assert!(
                        line.buffer().is_empty(),
                        "nothing may be sent in plain text behind STARTTLS"
                    );
                    let Ok(stream) = tls.accept(line.into_inner()).await else {
                        return;
                    };
                    session = Session {
                        encrypted: true,
                        ..Session::default()
                    };
                    line = BufReader::new(Box::pin(stream));
                }
                ("DATA", _) if answer.starts_with("354") => {
                    let Some(data) = data(&mut line).await else {
                        return;
                    };
                    let end = self.manner.answers.iter().find(|(verb, _)| *verb == ".");
                    let answer = end.map_or("250 2.0.0 taken", |(_, answer)| answer);
                    if answer.starts_with("250") {
                        let letter = Letter {
                            from: session.from.clone(),
                            to: session.to.clone(),
                            data,
                            encrypted: session.encrypted,
                            login: session.login.clone(),
                        };
                        let _ = self.post.send(letter);
                    }
                    if say(&mut line, answer).await.is_err() {
                        return;
                    }
                }
                _ => {}
            }
        }
    }

    fn answer(&self, session: &mut Session, command: &str) -> String {
        let locked = self.on_demand.is_some() && !session.encrypted;
        let verb = command.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => {
                let mut lines = vec!["250-sink"];
                if locked {
                    lines.push("250-STARTTLS");
                } else if self.manner.login.is_some() {
                    lines.push("250-AUTH PLAIN");
                }
                lines.push("250 8BITMIME");
                return lines.join("\r\n");
            }
            "QUIT" => return "221 2.0.0 bye".to_owned(),
            "STARTTLS" if locked => return "220 2.0.0 go on".to_owned(),
            _ if locked => return "530 5.7.0 Must issue a STARTTLS command first".to_owned(),
            _ => {}
        }
        let wanted = self.manner.login;
        match verb.as_str() {
            "AUTH" => {
                let given = plain_login(command);
                let right = given.as_ref().map(|(user, password)| (&**user, &**password)) == wanted;
                if !right {
                    return "535 5.7.8 Authentication failed".to_owned();
                }
                session.login = given;
                "235 2.7.0 welcome"
            }
            _ if wanted.is_some() && session.login.is_none() => "530 5.7.0 Authentication required",
            "MAIL" => {
                session.from = path(command);
                "250 2.1.0 yes"
            }
            "RCPT" => {
                session.to.push(path(command));
                "250 2.1.5 yes"
            }
            "DATA" if !session.to.is_empty() => "354 go on",
            _ => "503 5.5.1 what?",
        }
        .to_owned()
    }
}

async fn say(line: &mut Line, text: &str) -> std::io::Result<()> {
    line.write_all(format!("{text}\r\n").as_bytes()).await?;
    line.flush().await
}

/// The content up to the lone dot, without the dots that were put before dots.
async fn data(line: &mut Line) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    loop {
        let mut next = Vec::new();
        if line.read_until(b'\n', &mut next).await.ok()? == 0 {
            return None;
        }
        match next.strip_prefix(b".") {
            Some(b"\r\n") => return Some(data),
            Some(rest) => data.extend_from_slice(rest),
            None => data.extend_from_slice(&next),
        }
    }
}

/// `AUTH PLAIN` with its response (RFC 4616): authorisation id, user and password, each behind a zero byte.
fn plain_login(command: &str) -> Option<(String, String)> {
    let response = command.strip_prefix("AUTH PLAIN ")?;
    let text = String::from_utf8(STANDARD.decode(response).ok()?).ok()?;
    let parts: Vec<&str> = text.split('\0').collect();
    match parts[..] {
        ["", user, password] => Some((user.to_owned(), password.to_owned())),
        _ => None,
    }
}

fn path(command: &str) -> String {
    let inside = command.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map_or_else(String::new, |(path, _)| path.to_owned())
}
