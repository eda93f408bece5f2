//! From a listening socket to connections that speak HTTP/2.
//!
//! Invariant: nothing a peer does keeps others from being accepted. Handshakes run beside the accept loop, bounded in
//! number and time, and errors of one connection end that connection only.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use super::tls::Tls;

/// Handshakes under way at once; a client beyond that is turned away.
const HANDSHAKES: usize = 256;
/// A handshake takes a few round trips; who needs longer is not a client of ours.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// Pause after the system refused a connection, typically for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// One accepted connection. It ends when its `cut` token is cancelled, even in the middle of a call.
pub(super) struct Connection {
    io: Io,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Connections of `listener`, until the stream is dropped; that closes the listener. `cut` ends all of them.
pub(super) fn connections(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    cut: CancellationToken,
) -> impl Stream<Item = Result<Connection, Infallible>> {
    let (ready, accepted) = mpsc::channel(1);
    let acceptor = Acceptor {
        tls,
        cut,
        ready,
        handshakes: Arc::new(Semaphore::new(HANDSHAKES)),
    };
    tokio::spawn(acceptor.run(listener));
    ReceiverStream::new(accepted)
}

struct Acceptor {
    tls: Option<Arc<Tls>>,
    cut: CancellationToken,
    ready: mpsc::Sender<Result<Connection, Infallible>>,
    handshakes: Arc<Semaphore>,
}

impl Acceptor {
    async fn run(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.ready.closed() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => self.admit(stream).await,
                Err(error) if of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn admit(&self, stream: TcpStream) {
        // Answers are small and latency counts; a socket that refuses the option still works.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            hand_over(&self.ready, Io::Plain(stream), &self.cut).await;
            return;
        };
        let Ok(permit) = Arc::clone(&self.handshakes).try_acquire_owned() else {
            tracing::warn!("too many TLS handshakes at once: turning a client away");
            return;
        };
        let (tls, ready, cut) = (Arc::clone(tls), self.ready.clone(), self.cut.clone());
        tokio::spawn(async move {
            if let Some(io) = handshake(&tls, stream, permit).await {
                hand_over(&ready, io, &cut).await;
            }
        });
    }
}

async fn handshake(tls: &Arc<Tls>, stream: TcpStream, _permit: OwnedSemaphorePermit) -> Option<Io> {
    let tls = Arc::clone(tls);
    let config = tokio::task::spawn_blocking(move || tls.current()).await.ok()?;
    match timeout(HANDSHAKE_TIME, TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(stream)) => Some(Io::Tls(Box::new(stream))),
        Ok(Err(error)) => {
            tracing::info!(%error, "TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::info!("TLS handshake took too long");
            None
        }
    }
}

async fn hand_over(ready: &mpsc::Sender<Result<Connection, Infallible>>, io: Io, cut: &CancellationToken) {
    let cut = Box::pin(cut.clone().cancelled_owned());
    // Fails only when the server stopped meanwhile; the connection then closes.
    let _ = ready.send(Ok(Connection { io, cut })).await;
}

fn of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        match &mut this.io {
            Io::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Io::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Io::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Io::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
