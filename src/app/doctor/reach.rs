//! Whether a host is known and a port of it takes connections. Nothing is sent.

use std::io;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};

use crate::model::fault::Fault;

/// How long one step is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connects, and hangs up.
pub(super) async fn connect(host: &str, port: u16) -> Result<(), Fault> {
    let addresses = within(lookup_host((host, port))).await.map_err(|error| {
        Fault::unavailable(format!("the host name {host} is unknown"))
            .advise("check the name for a typing mistake, and the DNS of this machine")
            .because(error)
    })?;
    let mut last = io::Error::other("the name has no address");
    for address in addresses {
        match within(TcpStream::connect(address)).await {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(
        Fault::unavailable(format!("{host} takes no connection on port {port}"))
            .advise("check host and port, the firewall, and whether the way there needs a proxy")
            .because(last),
    )
}

async fn within<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(PATIENCE, step)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_port_that_listens_is_told_from_one_that_does_not_and_from_no_host() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        connect("127.0.0.1", port).await.unwrap();
        drop(listener);
        let closed = connect("127.0.0.1", port).await.unwrap_err();
        assert!(closed.message().contains("no connection"), "{closed}");
        let unknown = connect("platform.invalid", 443).await.unwrap_err();
        assert!(unknown.message().contains("unknown"), "{unknown}");
    }
}
