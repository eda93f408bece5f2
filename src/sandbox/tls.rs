//! Certificates: from files or text to something that can shake hands.

use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::config::TlsFiles;

/// Certificate chain, leaf first, and private key, both as PEM text.
#[derive(Clone)]
pub struct Pem {
    /// The certificates.
    pub cert: String,
    /// The key.
    pub key: String,
}

impl std::fmt::Debug for Pem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pem")
    }
}

impl Pem {
    /// Reads the files.
    pub(super) fn read(files: &TlsFiles) -> io::Result<Self> {
        Ok(Self {
            cert: std::fs::read_to_string(&files.cert)?,
            key: std::fs::read_to_string(&files.key)?,
        })
    }

    /// What accepts connections; `protocols` are those of ALPN.
    pub(super) fn acceptor(&self, protocols: &[&str]) -> io::Result<TlsAcceptor> {
        let certificates = CertificateDer::pem_slice_iter(self.cert.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(io::Error::other)?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(io::Error::other)?;
        // The provider is named here so that the sandbox does not lean on the process having installed one.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
            .map_err(io::Error::other)?;
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
