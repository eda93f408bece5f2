//! TLS from files that may be replaced at any time, or from a credential that lasts as long as the process.
//!
//! Invariant: there is always a complete, working configuration. New files take effect with the next connection; files
//! that do not fit together leave the old configuration in place and are reported once.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
};
use webpki::EndEntityCert;

use super::config::{ClientAuth, ClientName, TlsFiles};
use crate::model::fault::{Fault, FaultKind};

/// Where the TLS configuration of a new connection comes from.
pub(super) enum Tls {
    /// From files.
    Watched(Watched),
    /// Made once.
    Fixed(Arc<ServerConfig>),
}

impl Tls {
    /// Reads the files; a server must not start with files that do not work.
    pub(super) fn load(files: TlsFiles) -> Result<Self, Fault> {
        Watched::load(files).map(Self::Watched)
    }

    /// The configuration for a new connection. May look at files (three `stat` calls), so it may block for a moment.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        match self {
            Self::Watched(files) => files.current(),
            Self::Fixed(config) => Arc::clone(config),
        }
    }
}

/// The configuration that the files gave when they last fitted together.
pub(super) struct Watched {
    files: TlsFiles,
    state: Mutex<State>,
}

struct State {
    seen: Fingerprint,
    config: Arc<ServerConfig>,
}

/// When each file was written and how long it is; `None` for a file that is not there.
type Fingerprint = Vec<Option<(SystemTime, u64)>>;

impl Watched {
    fn load(files: TlsFiles) -> Result<Self, Fault> {
        let seen = fingerprint(&files);
        let config = build(&files)?;
        Ok(Self {
            files,
            state: Mutex::new(State { seen, config }),
        })
    }

    fn current(&self) -> Arc<ServerConfig> {
        // Taken before reading: a file that changes meanwhile is read again next time.
        let now = fingerprint(&self.files);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.seen != now {
            state.seen = now;
            match build(&self.files) {
                Ok(config) => {
                    state.config = config;
                    tracing::info!("TLS files changed: new connections use the new ones");
                }
                Err(fault) => {
                    tracing::warn!(?fault, "TLS files changed but do not work: keeping the old ones");
                }
            }
        }
        Arc::clone(&state.config)
    }
}

fn fingerprint(files: &TlsFiles) -> Fingerprint {
    let ca = match &files.clients {
        ClientAuth::Required { ca, .. } => Some(ca),
        ClientAuth::Anybody => None,
    };
    [Some(&files.cert), Some(&files.key), ca]
        .into_iter()
        .flatten()
        .map(|path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        })
        .collect()
}

fn build(files: &TlsFiles) -> Result<Arc<ServerConfig>, Fault> {
    let chain = certificates(&files.cert, "--tls-cert")?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| unreadable("--tls-key", &files.key, "private key", error))?;
    let clients = match &files.clients {
        ClientAuth::Required { ca, allowed } => verifier(ca, allowed)?,
        ClientAuth::Anybody => Arc::new(NoClientAuth),
    };
    configure(chain, key, clients).map_err(|error| {
        Fault::new(
            FaultKind::Invalid,
            "--tls-cert and --tls-key do not belong together",
        )
        .because(error)
    })
}

/// TLS 1.2 or 1.3 for HTTP/2; an error where the chain and the key do not make an identity.
pub(super) fn configure(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    clients: Arc<dyn ClientCertVerifier>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn certificates(path: &Path, flag: &'static str) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let list: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(flag, path, "certificate", error))?;
    if list.is_empty() {
        return Err(unusable(flag, path, "certificate"));
    }
    Ok(list)
}

/// A file that is not there is told apart from one with something else in it.
fn unreadable(flag: &str, path: &Path, what: &str, error: pem::Error) -> Fault {
    match error {
        pem::Error::Io(error) => Fault::invalid(format!("{flag}: cannot read {}: {error}", path.display())),
        error => unusable(flag, path, what).because(error),
    }
}

fn unusable(flag: &str, path: &Path, what: &str) -> Fault {
    Fault::invalid(format!("{flag}: no usable PEM {what} in {}", path.display()))
}

fn verifier(ca: &Path, allowed: &[ClientName]) -> Result<Arc<dyn ClientCertVerifier>, Fault> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca, "--tls-client-ca")? {
        roots
            .add(certificate)
            .map_err(|error| unusable("--tls-client-ca", ca, "certificate authority").because(error))?;
    }
    let chain = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|error| unusable("--tls-client-ca", ca, "certificate authority").because(error))?;
    if allowed.is_empty() {
        return Ok(chain);
    }
    Ok(Arc::new(NamedClients {
        chain,
        allowed: allowed.to_vec(),
    }))
}

/// Verifies the chain first, then that the leaf carries an allowed name.
struct NamedClients {
    chain: Arc<dyn ClientCertVerifier>,
    allowed: Vec<ClientName>,
}

impl fmt::Debug for NamedClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedClients")
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}

impl NamedClients {
    fn allows(&self, leaf: &EndEntityCert<'_>) -> bool {
        self.allowed.iter().any(|name| match name {
            ClientName::Dns(name) => leaf.valid_dns_names().any(|dns| dns.eq_ignore_ascii_case(name)),
            ClientName::Ip(ip) => leaf
                .verify_is_valid_for_subject_name(&ServerName::IpAddress((*ip).into()))
                .is_ok(),
            ClientName::Uri(name) => leaf.valid_uri_names().any(|uri| uri == name),
        })
    }
}

impl ClientCertVerifier for NamedClients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        let leaf = EndEntityCert::try_from(end_entity)
            .map_err(|_| rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
        if self.allows(&leaf) {
            Ok(verified)
        } else {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            ))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
