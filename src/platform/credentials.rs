//! Who we are at the platform: client id and client secret, read once.
//!
//! Invariant: neither the secret nor the key in it is kept as text, and nothing here shows in `Debug`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::uri::Authority;
use ring::signature::Ed25519KeyPair;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

/// Port of the platform where none is named.
const HTTPS: u16 = 443;

/// Why credentials cannot be used, in the ecosystem's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// Not `<name>@<host>[:port]/<suffix>`.
    #[error("invalid client id")]
    ClientId,
    /// Not four parts, another version, or no private Ed25519 key.
    #[error("invalid client secret")]
    ClientSecret,
    /// Not `host` or `host:port`.
    #[error("expected HOST or HOST:PORT")]
    Host,
}

/// Client id and the key that proves it.
#[derive(Clone)]
pub struct Credentials {
    client_id: Arc<str>,
    name: Arc<str>,
    host: Host,
    pub(super) key: Arc<SigningKey>,
}

/// A private key, and the name that its owner gave it.
pub(super) struct SigningKey {
    pub(super) pair: Ed25519KeyPair,
    pub(super) id: Option<String>,
}

/// Where the platform is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host(Authority);

impl Host {
    /// Name or address, without a port.
    pub fn name(&self) -> &str {
        self.0.host()
    }

    /// The port named, or that of https.
    pub fn port(&self) -> u16 {
        self.0.port_u16().unwrap_or(HTTPS)
    }

    /// Name and port.
    pub(super) fn authority(&self) -> String {
        format!("{}:{}", self.name(), self.port())
    }
}

impl FromStr for Host {
    type Err = CredentialError;

    /// `host` or `host:port`.
    fn from_str(text: &str) -> Result<Self, CredentialError> {
        let authority: Authority = text.parse().map_err(|_| CredentialError::Host)?;
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => true,
            Some(_) => authority.port_u16().is_some_and(|port| port > 0),
            // Somebody's name in front.
            None => false,
        };
        if port && !authority.host().is_empty() {
            Ok(Self(authority))
        } else {
            Err(CredentialError::Host)
        }
    }
}

impl Credentials {
    /// Reads the credentials; answers all that is wrong with them.
    pub fn parse(client_id: &str, client_secret: &str) -> Result<Self, Vec<CredentialError>> {
        match (parse_id(client_id), parse_secret(client_secret)) {
            (Some((name, host)), Some(key)) => Ok(Self {
                client_id: client_id.into(),
                name: name.into(),
                host,
                key: Arc::new(key),
            }),
            (id, secret) => {
                let id = id.is_none().then_some(CredentialError::ClientId);
                let secret = secret.is_none().then_some(CredentialError::ClientSecret);
                Err(id.into_iter().chain(secret).collect())
            }
        }
    }

    /// The whole client id.
    pub(super) fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The part before the `@`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The tenant's host at the platform.
    pub fn host(&self) -> &Host {
        &self.host
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("host", &self.host.0)
            .finish_non_exhaustive()
    }
}

/// Name and host: split at the first `@`, the rest at the first `/`. The name goes into a header.
fn parse_id(text: &str) -> Option<(&str, Host)> {
    let (name, rest) = text.split_once('@')?;
    let (host, _suffix) = rest.split_once('/')?;
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    (plain(name) && plain(text)).then_some(())?;
    Some((name, host.parse().ok()?))
}

/// A JSON web key, as far as it concerns us.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
    d: SecretString,
    kid: Option<String>,
}

/// The key in `<any>:<any>:v1:<raw base64url of a JWK>`.
fn parse_secret(text: &str) -> Option<SigningKey> {
    let parts: Vec<&str> = text.split(':').collect();
    let [_, _, "v1", encoded] = parts[..] else {
        return None;
    };
    let json = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()?);
    let jwk: Jwk = serde_json::from_slice(&json).ok()?;
    if jwk.kty != "OKP" || jwk.crv != "Ed25519" {
        return None;
    }
    let seed = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(jwk.d.expose_secret()).ok()?);
    let public = BASE64_URL_SAFE_NO_PAD.decode(jwk.x).ok()?;
    // Refuses a public key that is not the private one's.
    let pair = Ed25519KeyPair::from_seed_and_public_key(&seed, &public).ok()?;
    Some(SigningKey {
        pair,
        id: jwk.kid.filter(|id| !id.is_empty()),
    })
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use ring::signature::KeyPair as _;
    use serde_json::json;

    use super::*;

    const ID: &str = "happy-fox-12345@tenant.conductor.one/bxc";
    const SEED: [u8; 32] = [7; 32];

    fn jwk() -> serde_json::Value {
        let pair = Ed25519KeyPair::from_seed_unchecked(&SEED).unwrap();
        json!({
            "kty": "OKP",
            "crv": "Ed25519",
            "x": BASE64_URL_SAFE_NO_PAD.encode(pair.public_key()),
            "d": BASE64_URL_SAFE_NO_PAD.encode(SEED),
        })
    }

    fn secret(jwk: &serde_json::Value) -> String {
        let encoded = BASE64_URL_SAFE_NO_PAD.encode(jwk.to_string());
        format!("secret-token:conductorone.com:v1:{encoded}")
    }

    /// Credentials of a made-up client, for the tests of the neighbours.
    pub(in crate::platform) fn credentials(id: &str, kid: Option<&str>) -> Credentials {
        let mut jwk = jwk();
        if let Some(kid) = kid {
            jwk["kid"] = kid.into();
        }
        Credentials::parse(id, &secret(&jwk)).unwrap()
    }

    #[test]
    fn good_credentials_are_read() {
        let read = credentials("happy-fox-12345@tenant.conductor.one:8443/a/b@c", Some("k1"));
        assert_eq!(read.name(), "happy-fox-12345");
        assert_eq!(read.host().name(), "tenant.conductor.one");
        assert_eq!(read.host().authority(), "tenant.conductor.one:8443");
        assert_eq!(read.key.id.as_deref(), Some("k1"));
        let plain = credentials(ID, None);
        assert_eq!(plain.host().authority(), "tenant.conductor.one:443");
        assert_eq!(plain.key.id, None);
        assert_eq!(credentials("a@h/", None).client_id(), "a@h/");
    }

    #[test]
    fn every_malformed_part_is_refused() {
        let good = secret(&jwk());
        for id in [
            "",
            "happy-fox",
            "happy-fox@host",
            "host/suffix",
            "@host/x",
            "a@/x",
            "a@ho st/x",
            "a@host:/x",
            "a@host:0/x",
            "a@host:99999/x",
            "a@b@c/x",
            "ä@host/x",
            "a\n@host/x",
        ] {
            assert_eq!(
                Credentials::parse(id, &good).unwrap_err(),
                [CredentialError::ClientId],
                "{id:?}"
            );
        }
        let changed = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut jwk = jwk();
            change(&mut jwk);
            secret(&jwk)
        };
        let public = |jwk: &mut serde_json::Value| _ = jwk.as_object_mut().unwrap().remove("d");
        for secret in [
            String::new(),
            "a:b:v1".to_owned(),
            good.replace(":v1:", ":v2:"),
            format!("{good}:more"),
            format!("{good}="),
            "a:b:v1:!!!".to_owned(),
            "a:b:v1:e30".to_owned(),
            changed(&public),
            changed(&|jwk| jwk["kty"] = "RSA".into()),
            changed(&|jwk| jwk["crv"] = "X25519".into()),
            changed(&|jwk| jwk["d"] = "AAAA".into()),
            changed(&|jwk| jwk["x"] = BASE64_URL_SAFE_NO_PAD.encode([1; 32]).into()),
        ] {
            assert_eq!(
                Credentials::parse(ID, &secret).unwrap_err(),
                [CredentialError::ClientSecret],
                "{secret}"
            );
        }
        assert_eq!(
            Credentials::parse("x", "y").unwrap_err(),
            [CredentialError::ClientId, CredentialError::ClientSecret],
            "all at once"
        );
    }

    #[test]
    fn the_words_are_those_of_the_ecosystem_and_the_secret_stays_inside() {
        assert_eq!(CredentialError::ClientId.to_string(), "invalid client id");
        assert_eq!(CredentialError::ClientSecret.to_string(), "invalid client secret");
        let shown = format!("{:?}", credentials(ID, Some("kid-7")));
        for inside in ["happy-fox", "kid-7", &BASE64_URL_SAFE_NO_PAD.encode(SEED)] {
            assert!(!shown.contains(inside), "{shown}");
        }
    }
}
