//! The server as the child of a runner on the same machine (connector-protocol, section 2): one line on standard input says how to serve, the
//! listening socket is inherited, and the end of standard input is the end of the work.
//!
//! Invariant: whatever is wrong with the runner's side is told before anything is served; nothing of the line, which holds a private key, is ever
//! shown.
//!
//! The session store that a runner may offer beside the line is not used: page tokens and the snapshot carry all there is to remember, so a
//! runner with and one without it get the same rows.

mod credential;
mod runner;
mod socket;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use tokio::net::TcpListener;

use super::limiter::Limiter;
use super::tls::Tls;
use super::{Bound, DRAIN, Listener, services};
use crate::connector::Connector;
use crate::model::fault::Fault;
use crate::proto::wrapper;

pub use self::runner::Runner;
pub use self::socket::{LISTENER_FD, Socket};

/// A socket taken over from a runner, and how to serve on it. Connections wait in the system's queue meanwhile, so the runner does, too.
pub struct Adopted {
    listener: Listener,
    tls: Tls,
    limiter: Limiter,
}

impl Adopted {
    /// Does what the runner's line says, short of serving. Must be called within the runtime.
    pub fn new(line: &str, socket: Socket) -> Result<Self, Fault> {
        let config = decode(line)?;
        let credential = config
            .credential
            .ok_or_else(|| Fault::invalid("the runner's line holds no credential"))?;
        let tls = credential::tls(&credential)?;
        let limiter = Limiter::of(config.rate_limiter_config)?;
        let port = u16::try_from(config.listen_port)
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(|| Fault::invalid(format!("the runner names port {}", config.listen_port)))?;
        let socket = socket.listen(port)?;
        let unusable = |error| Fault::internal("cannot serve on the runner's socket").because(error);
        let addr = socket.local_addr().map_err(unusable)?;
        Ok(Self {
            listener: Listener {
                socket: TcpListener::from_std(socket).map_err(unusable)?,
                addr,
            },
            tls,
            limiter,
        })
    }

    /// The server over `connector`.
    pub fn serving(self, connector: Arc<Connector>) -> Result<Bound, Fault> {
        Ok(Bound {
            main: self.listener,
            health: None,
            tls: Some(Arc::new(self.tls)),
            routes: services::routes(connector, self.limiter)?,
            drain: DRAIN,
        })
    }
}

fn decode(line: &str) -> Result<wrapper::ServerConfig, Fault> {
    // Of the errors only the kind: their text may quote what was read.
    let bytes = STANDARD
        .decode(line.trim())
        .map_err(|_| Fault::invalid("the runner's line is not base64"))?;
    if bytes.is_empty() {
        return Err(Fault::invalid("the runner's line is empty"));
    }
    wrapper::ServerConfig::decode(bytes.as_slice())
        .map_err(|_| Fault::invalid("the runner's line is not a c1.connector_wrapper.v1.ServerConfig"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn refused(line: &str) -> String {
        match decode(line) {
            Ok(config) => panic!("taken, with port {}", config.listen_port),
            Err(fault) => format!("{fault} {fault:?}"),
        }
    }

    #[test]
    fn a_line_is_base64_of_a_message_and_never_quoted() {
        let config = wrapper::ServerConfig {
            listen_port: 4711,
            ..Default::default()
        };
        let line = STANDARD.encode(config.encode_to_vec());
        assert_eq!(decode(&format!(" {line}\r\n")).unwrap().listen_port, 4711);
        for (line, told) in [
            ("", "empty"),
            ("\n", "empty"),
            ("secret!", "base64"),
            ("c2VjcmV0", "ServerConfig"),
        ] {
            let text = refused(line);
            assert!(text.contains(told) && !text.contains("secret"), "{text}");
        }
    }
}
