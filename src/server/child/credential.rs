//! TLS from the credential in a runner's line.
//!
//! Invariant: only a client whose certificate comes from the credential's own authority is let in.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::ring::sign::any_eddsa_type;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;

use crate::model::fault::{Fault, FaultKind};
use crate::proto::utls::Credential;
use crate::server::tls::{Tls, configure, provider};

/// What stands before the 32 bytes of a seed in the PKCS#8 form (version 1) of an Ed25519 key.
const PKCS8_ED25519: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
const SEED: usize = 32;

/// Mutual TLS among those who hold certificates of the credential's authority.
pub(super) fn tls(credential: &Credential) -> Result<Tls, Fault> {
    let key = private_key(&credential.key)?;
    let mut roots = RootCertStore::empty();
    let foreign = |error: &dyn std::fmt::Display| unusable("its authority is no certificate").because(error);
    roots
        .add(CertificateDer::from_slice(&credential.ca_cert).into_owned())
        .map_err(|error| foreign(&error))?;
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|error| foreign(&error))?;
    let chain = vec![CertificateDer::from_slice(&credential.cert).into_owned()];
    configure(chain, key.into(), clients)
        .map(Tls::Fixed)
        .map_err(|error| unusable("its certificate and its key do not belong together").because(error))
}

/// The seed in a form that TLS libraries take. The public half that follows it says whether the bytes are a key at all.
fn private_key(raw: &[u8]) -> Result<PrivatePkcs8KeyDer<'static>, Fault> {
    let Some((seed, public)) = raw
        .split_at_checked(SEED)
        .filter(|(_, public)| public.len() == SEED)
    else {
        return Err(unusable("its key does not have the 64 bytes of an Ed25519 key"));
    };
    let key = PrivatePkcs8KeyDer::from([&PKCS8_ED25519, seed].concat());
    let fits = any_eddsa_type(&key)
        .ok()
        .and_then(|key| key.public_key().map(|known| known.ends_with(public)));
    match fits {
        Some(true) => Ok(key),
        Some(false) | None => Err(unusable("the halves of its key do not belong together")),
    }
}

fn unusable(why: &str) -> Fault {
    Fault::new(
        FaultKind::Invalid,
        format!("the runner's credential cannot be used: {why}"),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use rcgen::{CertificateParams, CertifiedIssuer, KeyPair, PKCS_ED25519, PublicKeyData as _};

    use super::*;

    fn raw(key: &KeyPair) -> Vec<u8> {
        let document = key.serialize_der();
        let seed = &document[PKCS8_ED25519.len()..][..SEED];
        [seed, key.der_bytes()].concat()
    }

    fn ed25519() -> KeyPair {
        KeyPair::generate_for(&PKCS_ED25519).unwrap()
    }

    fn credential() -> Credential {
        let ca = CertifiedIssuer::self_signed(CertificateParams::default(), ed25519()).unwrap();
        let key = ed25519();
        let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()])
            .unwrap()
            .signed_by(&key, &ca)
            .unwrap();
        Credential {
            ca_cert: ca.der().to_vec(),
            key: raw(&key),
            cert: leaf.der().to_vec(),
        }
    }

    fn told(spoil: impl FnOnce(&mut Credential)) -> String {
        let mut credential = credential();
        spoil(&mut credential);
        match tls(&credential) {
            Ok(_) => panic!("taken"),
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn a_raw_key_and_der_certificates_make_tls() {
        let Ok(Tls::Fixed(config)) = tls(&credential()) else {
            panic!("refused");
        };
        assert_eq!(config.alpn_protocols, [b"h2"]);
    }

    #[test]
    fn a_credential_that_does_not_hold_together_says_where() {
        assert!(told(|credential| credential.key.truncate(32)).contains("64 bytes"));
        assert!(told(|credential| credential.key.push(0)).contains("64 bytes"));
        assert!(told(|credential| credential.key.clear()).contains("64 bytes"));
        assert!(told(|credential| credential.key[40] ^= 1).contains("halves"));
        assert!(told(|credential| credential.key = raw(&ed25519())).contains("belong together"));
        assert!(told(|credential| credential.cert.clear()).contains("belong together"));
        assert!(told(|credential| credential.ca_cert.clear()).contains("authority"));
        assert!(told(|credential| credential.ca_cert = b"-----BEGIN".to_vec()).contains("authority"));
    }
}
