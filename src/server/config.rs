//! What the server is told to do.
//!
//! Invariant: a `ServerConfig` can only be safe: plaintext on loopback alone, TLS without client certificates only where
//! that was asked for by name.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use rustls::pki_types::DnsName;

/// The flags of `serve`, as given.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// `--listen`
    pub listen: SocketAddr,
    /// `--tls-cert`: PEM chain, leaf first
    pub tls_cert: Option<PathBuf>,
    /// `--tls-key`: PEM private key
    pub tls_key: Option<PathBuf>,
    /// `--tls-client-ca`: PEM certificates that client certificates must lead to
    pub tls_client_ca: Option<PathBuf>,
    /// `--tls-allowed-client`: names of which a client certificate must carry one
    pub tls_allowed_clients: Vec<String>,
    /// `--tls-allow-any-client`
    pub tls_allow_any_client: bool,
    /// `--health-listen`
    pub health_listen: Option<SocketAddr>,
}

impl ServerOptions {
    /// Plaintext at `listen`, nothing else.
    pub const fn at(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls_cert: None,
            tls_key: None,
            tls_client_ca: None,
            tls_allowed_clients: Vec::new(),
            tls_allow_any_client: false,
            health_listen: None,
        }
    }
}

/// Where and how the server listens.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    listen: SocketAddr,
    tls: TlsMode,
    health_listen: Option<SocketAddr>,
}

/// Whether connections are encrypted.
#[derive(Debug, Clone)]
pub enum TlsMode {
    /// Not encrypted; loopback only.
    Plaintext,
    /// TLS 1.2 or later.
    Tls(TlsFiles),
}

/// The files TLS is made from; they are read again when they change.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// PEM chain, leaf first.
    pub cert: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
    /// Who may connect.
    pub clients: ClientAuth,
}

/// Who may connect over TLS.
#[derive(Debug, Clone)]
pub enum ClientAuth {
    /// Holders of a certificate that leads to `ca`.
    Required {
        /// PEM certificates.
        ca: PathBuf,
        /// Names of which the certificate must carry one; empty allows every certificate of the authority.
        allowed: Vec<ClientName>,
    },
    /// Everybody who reaches the port. Asked for with `--tls-allow-any-client`.
    Anybody,
}

/// A name in a client certificate's subject alternative names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientName {
    /// A DNS name, lower case. Compared literally: a wildcard certificate does not pass for one host.
    Dns(String),
    /// An IP address.
    Ip(IpAddr),
    /// A URI, for instance a SPIFFE id.
    Uri(String),
}

impl FromStr for ClientName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            return Ok(Self::Uri(text.to_owned()));
        }
        if let Ok(ip) = text.parse() {
            return Ok(Self::Ip(ip));
        }
        DnsName::try_from(text)
            .map(|_| Self::Dns(text.to_ascii_lowercase()))
            .map_err(|_| {
                format!(
                    "--tls-allowed-client {text:?} is not a DNS name, an IP address or a URI (scheme://...)"
                )
            })
    }
}

impl ServerConfig {
    /// Checks the flags against each other; every problem is reported, each with its flag.
    pub fn new(options: ServerOptions) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut allowed = Vec::new();
        for name in &options.tls_allowed_clients {
            match name.parse() {
                Ok(name) => allowed.push(name),
                Err(problem) => problems.push(problem),
            }
        }
        let clients = client_auth(&options, allowed, &mut problems);
        let tls = match (options.tls_cert, options.tls_key) {
            (Some(cert), Some(key)) => clients.map(|clients| TlsMode::Tls(TlsFiles { cert, key, clients })),
            (None, None) => {
                plaintext(options.listen, clients.is_some(), &mut problems);
                Some(TlsMode::Plaintext)
            }
            (Some(_), None) => {
                problems.push("--tls-cert needs --tls-key".to_owned());
                None
            }
            (None, Some(_)) => {
                problems.push("--tls-key needs --tls-cert".to_owned());
                None
            }
        };
        match tls {
            Some(tls) if problems.is_empty() => Ok(Self {
                listen: options.listen,
                tls,
                health_listen: options.health_listen,
            }),
            _ => Err(problems),
        }
    }

    /// Where the protocol is served.
    pub const fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// How it is encrypted.
    pub const fn tls(&self) -> &TlsMode {
        &self.tls
    }

    /// Where health is served, if anywhere.
    pub const fn health_listen(&self) -> Option<SocketAddr> {
        self.health_listen
    }
}

/// Who may connect, or `None` where the flags do not say or contradict each other.
fn client_auth(
    options: &ServerOptions,
    allowed: Vec<ClientName>,
    problems: &mut Vec<String>,
) -> Option<ClientAuth> {
    let tls = options.tls_cert.is_some() || options.tls_key.is_some();
    match (&options.tls_client_ca, options.tls_allow_any_client) {
        (Some(_), true) => {
            problems.push("--tls-client-ca and --tls-allow-any-client exclude each other".to_owned());
            None
        }
        (Some(ca), false) => Some(ClientAuth::Required {
            ca: ca.clone(),
            allowed,
        }),
        (None, any) => {
            if !options.tls_allowed_clients.is_empty() {
                problems.push("--tls-allowed-client needs --tls-client-ca".to_owned());
            }
            if tls && !any {
                problems.push(
                    "TLS needs --tls-client-ca, so that only known clients can read the tenant; \
                     give --tls-allow-any-client to accept everybody who reaches the port"
                        .to_owned(),
                );
            }
            any.then_some(ClientAuth::Anybody)
        }
    }
}

fn plaintext(listen: SocketAddr, clients_named: bool, problems: &mut Vec<String>) {
    if clients_named {
        problems.push(
            "--tls-client-ca and --tls-allow-any-client do nothing without --tls-cert and --tls-key"
                .to_owned(),
        );
    }
    if !listen.ip().to_canonical().is_loopback() {
        problems.push(format!(
            "--listen {listen} is not a loopback address: give --tls-cert, --tls-key and --tls-client-ca, \
             or listen on 127.0.0.1"
        ));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn options(listen: &str) -> ServerOptions {
        ServerOptions::at(listen.parse().unwrap())
    }

    fn tls(listen: &str) -> ServerOptions {
        ServerOptions {
            tls_cert: Some("cert.pem".into()),
            tls_key: Some("key.pem".into()),
            ..options(listen)
        }
    }

    fn problems(options: ServerOptions) -> String {
        ServerConfig::new(options).unwrap_err().join("\n")
    }

    #[test]
    fn plaintext_is_for_loopback_only() {
        for listen in ["127.0.0.1:0", "[::1]:1", "[::ffff:127.0.0.1]:1", "127.9.9.9:1"] {
            let config = ServerConfig::new(options(listen)).unwrap();
            assert!(matches!(config.tls(), TlsMode::Plaintext), "{listen}");
        }
        for listen in ["0.0.0.0:0", "[::]:0", "10.0.0.1:1"] {
            assert!(problems(options(listen)).contains("--tls-cert"), "{listen}");
        }
    }

    #[test]
    fn tls_wants_to_know_its_clients() {
        assert!(problems(tls("0.0.0.0:0")).contains("--tls-allow-any-client"));
        let relaxed = ServerOptions {
            tls_allow_any_client: true,
            ..tls("0.0.0.0:0")
        };
        let config = ServerConfig::new(relaxed).unwrap();
        assert!(matches!(config.tls(), TlsMode::Tls(files) if matches!(files.clients, ClientAuth::Anybody)));
        let strict = ServerOptions {
            tls_client_ca: Some("ca.pem".into()),
            tls_allowed_clients: vec!["Runner.example".into(), "10.0.0.9".into(), "spiffe://a/b".into()],
            ..tls("0.0.0.0:0")
        };
        let config = ServerConfig::new(strict).unwrap();
        let TlsMode::Tls(TlsFiles {
            clients: ClientAuth::Required { allowed, .. },
            ..
        }) = config.tls()
        else {
            unreachable!("client certificates were asked for");
        };
        assert_eq!(
            *allowed,
            [
                ClientName::Dns("runner.example".into()),
                ClientName::Ip("10.0.0.9".parse().unwrap()),
                ClientName::Uri("spiffe://a/b".into())
            ]
        );
    }

    #[test]
    fn every_problem_is_reported_with_its_flag() {
        let half = ServerOptions {
            tls_cert: Some("cert.pem".into()),
            tls_allowed_clients: vec!["not a name".into()],
            ..options("0.0.0.0:0")
        };
        let text = problems(half);
        for flag in ["--tls-cert needs --tls-key", "\"not a name\"", "--tls-client-ca"] {
            assert!(text.contains(flag), "{flag} in {text}");
        }
        let both = ServerOptions {
            tls_client_ca: Some("ca.pem".into()),
            tls_allow_any_client: true,
            ..tls("127.0.0.1:0")
        };
        assert!(problems(both).contains("exclude each other"));
        let useless = ServerOptions {
            tls_client_ca: Some("ca.pem".into()),
            ..options("127.0.0.1:0")
        };
        assert!(problems(useless).contains("do nothing without"));
    }
}
