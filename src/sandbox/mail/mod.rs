//! A mail sink: a real SMTP server that takes everything, keeps it, and delivers nothing. The sandbox has one; tests may start their own.
//!
//! Invariants: what is kept is what was sent, byte by byte, without the dots that SMTP adds. A message is kept if and only if its sender was, or
//! by [`Stage::Accepted`] would have been, told so.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(super) mod control;
mod session;
mod wire;

pub use super::tls::Pem;

use super::server::dialable;
use session::Office;

/// Largest message unless told otherwise (Exchange Online: 35 MiB).
pub const SIZE_LIMIT: usize = 35 << 20;

/// Whether and how a connection is made safe.
#[derive(Debug, Clone, Default)]
pub enum Tls {
    /// Never.
    #[default]
    None,
    /// On `STARTTLS`.
    StartTls(Pem),
    /// From the start, as on port 465.
    Implicit(Pem),
}

/// Who may send. `Debug` leaves out the password.
#[derive(Clone)]
pub struct Auth {
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
    /// Whether mail of others is refused (530).
    pub required: bool,
    /// Whether it is offered under TLS only, and refused otherwise (538).
    pub only_under_tls: bool,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth")
            .field("required", &self.required)
            .field("only_under_tls", &self.only_under_tls)
            .finish_non_exhaustive()
    }
}

/// What a sink is started with.
#[derive(Debug, Clone)]
pub struct MailConfig {
    /// Where it listens; port 0 for any.
    pub listen: SocketAddr,
    /// TLS.
    pub tls: Tls,
    /// Authentication by PLAIN or LOGIN; `None` offers none.
    pub auth: Option<Auth>,
    /// Bytes of the largest message.
    pub size_limit: usize,
}

impl Default for MailConfig {
    /// On any port of this machine, with nothing asked.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: Tls::None,
            auth: None,
            size_limit: SIZE_LIMIT,
        }
    }
}

/// A message. `Debug` leaves out everything personal.
#[derive(Clone, PartialEq, Eq)]
pub struct Received {
    /// Sender in the envelope; empty for bounces.
    pub from: String,
    /// Receivers in the envelope.
    pub to: Vec<String>,
    /// Header and body as sent, lines ended by CRLF.
    pub data: Vec<u8>,
    /// Whether it came over TLS.
    pub tls: bool,
    /// Who had logged in.
    pub user: Option<String>,
    /// How the sender named itself.
    pub helo: String,
}

impl std::fmt::Debug for Received {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Received")
            .field("to", &self.to.len())
            .field("bytes", &self.data.len())
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// A point in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The connection is there.
    Greeting,
    /// `STARTTLS`.
    StartTls,
    /// `AUTH`.
    Auth,
    /// `MAIL FROM`.
    Mail,
    /// `RCPT TO`.
    Rcpt,
    /// `DATA`, before the text.
    Data,
    /// In the middle of the text: the connection is dropped whatever the action.
    Body,
    /// The end of the text; the message is not kept.
    Dot,
    /// The end of the text; the message is kept.
    Accepted,
}

/// What happens there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// This answer in place of the right one.
    Reply {
        /// 4xx or 5xx.
        code: u16,
    },
    /// The connection is closed without an answer.
    Drop,
}

/// Trouble on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Trouble {
    /// Where.
    pub stage: Stage,
    /// What.
    pub action: Action,
    /// How often that point is passed before.
    #[serde(default)]
    pub skip: u64,
    /// How often it happens.
    #[serde(default = "always")]
    pub times: u64,
}

const fn always() -> u64 {
    u64::MAX
}

impl Trouble {
    /// Each time that point is reached.
    pub const fn always(stage: Stage, action: Action) -> Self {
        Self {
            stage,
            action,
            skip: 0,
            times: always(),
        }
    }

    /// The first time that point is reached.
    pub const fn once(stage: Stage, action: Action) -> Self {
        Self {
            stage,
            action,
            skip: 0,
            times: 1,
        }
    }
}

/// What several sinks may share: messages, and troubles.
#[derive(Default)]
pub(super) struct Mailbox {
    messages: Mutex<Vec<Received>>,
    troubles: Mutex<Vec<Trouble>>,
    count: watch::Sender<usize>,
    connections: watch::Sender<usize>,
}

/// A lock whose holder panicked guards plain data all the same.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Mailbox {
    pub(super) fn keep(&self, message: Received) {
        let mut messages = lock(&self.messages);
        messages.push(message);
        self.count.send_replace(messages.len());
    }

    fn messages(&self) -> Vec<Received> {
        lock(&self.messages).clone()
    }

    fn clear(&self) {
        let mut messages = lock(&self.messages);
        messages.clear();
        self.count.send_replace(0);
    }

    fn set_troubles(&self, troubles: Vec<Trouble>) {
        *lock(&self.troubles) = troubles;
    }

    /// What happens at this point, counted.
    fn trouble(&self, stage: Stage) -> Option<Action> {
        let mut troubles = lock(&self.troubles);
        let mut met = None;
        for trouble in troubles.iter_mut().filter(|trouble| trouble.stage == stage) {
            if trouble.skip > 0 {
                trouble.skip -= 1;
            } else if trouble.times > 0 && met.is_none() {
                trouble.times -= 1;
                met = Some(trouble.action.clone());
            }
        }
        met
    }
}

/// Starts sinks.
#[derive(Debug, Clone, Copy)]
pub struct MailSink;

impl MailSink {
    /// Binds and serves until the answer is shut down or dropped.
    ///
    /// Errors: the address cannot be bound, or certificate or key cannot be used.
    pub async fn start(config: MailConfig) -> io::Result<RunningMail> {
        Self::into(config, Arc::default()).await
    }

    /// The same with a mailbox that is there already.
    pub(super) async fn into(config: MailConfig, mailbox: Arc<Mailbox>) -> io::Result<RunningMail> {
        let listener = TcpListener::bind(config.listen).await?;
        let addr = listener.local_addr()?;
        let (acceptor, implicit) = match &config.tls {
            Tls::None => (None, false),
            Tls::StartTls(pem) => (Some(pem.acceptor(&[])?), false),
            Tls::Implicit(pem) => (Some(pem.acceptor(&[])?), true),
        };
        let office = Arc::new(Office {
            mailbox: Arc::clone(&mailbox),
            auth: config.auth,
            size_limit: config.size_limit,
        });
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(listener, acceptor, implicit, office, stop.clone()));
        Ok(RunningMail {
            addr,
            scheme: if implicit { "smtps" } else { "smtp" },
            mailbox,
            task,
            stop: stop.drop_guard(),
        })
    }
}

async fn serve(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    implicit: bool,
    office: Arc<Office>,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        // A failed accept concerns one client only.
        let Ok((stream, _)) = accepted else {
            tokio::task::yield_now().await;
            continue;
        };
        let (office, acceptor, stop) = (Arc::clone(&office), acceptor.clone(), stop.clone());
        tokio::spawn(async move {
            office.mailbox.connections.send_modify(|count| *count += 1);
            tokio::select! {
                // How a conversation ends badly is seen, and judged, on the client's side.
                _ = office.attend(stream, acceptor, implicit) => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

/// A running sink. Dropping it ends it.
pub struct RunningMail {
    addr: SocketAddr,
    scheme: &'static str,
    mailbox: Arc<Mailbox>,
    task: JoinHandle<()>,
    stop: DropGuard,
}

impl std::fmt::Debug for RunningMail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunningMail")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

impl RunningMail {
    /// The bound address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where a client on this machine finds it: `smtp://127.0.0.1:4712`, or `smtps://` where TLS comes first.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, dialable(self.addr))
    }

    /// Everything received, oldest first.
    pub fn messages(&self) -> Vec<Received> {
        self.mailbox.messages()
    }

    /// Waits until so many messages are there, and gives them.
    pub async fn arrived(&self, count: usize) -> Vec<Received> {
        // The sender lives as long as the mailbox.
        let _ = self
            .mailbox
            .count
            .subscribe()
            .wait_for(|there| *there >= count)
            .await;
        self.messages()
    }

    /// Forgets the messages.
    pub fn clear(&self) {
        self.mailbox.clear();
    }

    /// Replaces the troubles; they count from now.
    pub fn set_troubles(&self, troubles: Vec<Trouble>) {
        self.mailbox.set_troubles(troubles);
    }

    /// Connections so far, to every sink that shares the mailbox.
    pub fn connections(&self) -> usize {
        *self.mailbox.connections.borrow()
    }

    /// Ends the sink: the port is free and every connection is closed.
    pub async fn shutdown(self) {
        drop(self.stop);
        // The task ends by itself and never panics with the listener in hand.
        let _ = self.task.await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn troubles_come_when_they_are_told_to() {
        let mailbox = Mailbox::default();
        let troubles: Vec<Trouble> = serde_json::from_str(
            r#"[{"stage":"rcpt","action":{"reply":{"code":450}},"skip":1,"times":2},{"stage":"dot","action":"drop"}]"#,
        )
        .unwrap();
        mailbox.set_troubles(troubles);
        let met: Vec<bool> = (0..4).map(|_| mailbox.trouble(Stage::Rcpt).is_some()).collect();
        assert_eq!(met, [false, true, true, false]);
        assert_eq!(mailbox.trouble(Stage::Dot), Some(Action::Drop));
        assert_eq!(mailbox.trouble(Stage::Mail), None);
    }
}
