//! The signed statement by which the platform knows us (RFC 7523): a compact JWS, signed with Ed25519.
//!
//! Invariant: header and claims are those of baton-sdk (`pkg/ugrpc/c1_credential_provider.go`): no `typ`, no `jti`, whole seconds, and
//! as audience the host of the client id, whichever host is asked.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::SecretString;
use serde::Serialize;

use super::credentials::Credentials;
use crate::model::fault::Fault;

/// How far the two clocks may lie apart, in seconds, and how long the statement holds.
const LEEWAY: i64 = 120;

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
    nonce: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// A statement that holds for two minutes from `now`.
pub(super) fn assertion(credentials: &Credentials, now: Timestamp) -> Result<SecretString, Fault> {
    let mut nonce = [0; 16];
    SystemRandom::new()
        .fill(&mut nonce)
        .map_err(|_| Fault::internal("this machine gives no random numbers"))?;
    let header = Header {
        alg: "EdDSA",
        kid: credentials.key.id.as_deref(),
        nonce: format!("{:032x}", u128::from_be_bytes(nonce)),
    };
    let now = now.as_second();
    let claims = Claims {
        iss: credentials.client_id(),
        sub: credentials.client_id(),
        aud: credentials.host().name(),
        iat: now,
        nbf: now - LEEWAY,
        exp: now + LEEWAY,
    };
    let signed = format!("{}.{}", part(&header)?, part(&claims)?);
    let signature = credentials.key.pair.sign(signed.as_bytes());
    let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
    Ok(format!("{signed}.{signature}").into())
}

fn part(value: &impl Serialize) -> Result<String, Fault> {
    let json = serde_json::to_vec(value)
        .map_err(|error| Fault::internal("the assertion cannot be written").because(error))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(json))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ring::signature::{ED25519, KeyPair as _, UnparsedPublicKey};
    use secrecy::ExposeSecret as _;
    use serde_json::{Value, json};

    use super::super::credentials::tests::credentials;
    use super::*;

    const ID: &str = "happy-fox@tenant.conductor.one:8443/bxc";

    fn read(part: &str) -> Value {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn the_statement_verifies_and_says_what_the_platform_expects() {
        let credentials = credentials(ID, None);
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let text = assertion(&credentials, now).unwrap().expose_secret().to_owned();
        let parts: Vec<&str> = text.split('.').collect();
        let [header, claims, signature] = parts[..] else {
            panic!("{text}")
        };
        let public = UnparsedPublicKey::new(&ED25519, credentials.key.pair.public_key());
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        public
            .verify(format!("{header}.{claims}").as_bytes(), &signature)
            .unwrap();

        let mut header = read(header);
        let nonce = header["nonce"].take();
        assert_eq!(header, json!({"alg": "EdDSA", "nonce": null}), "no kid, no typ");
        let nonce = nonce.as_str().unwrap();
        assert!(
            nonce.len() == 32 && nonce.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{nonce}"
        );
        assert_eq!(
            read(claims),
            json!({
                "iss": ID,
                "sub": ID,
                "aud": "tenant.conductor.one",
                "iat": 1_800_000_000,
                "nbf": 1_799_999_880,
                "exp": 1_800_000_120,
            })
        );
    }

    #[test]
    fn a_named_key_is_named_and_no_two_statements_are_equal() {
        let credentials = credentials(ID, Some("k1"));
        let make = || {
            assertion(&credentials, Timestamp::UNIX_EPOCH)
                .unwrap()
                .expose_secret()
                .to_owned()
        };
        let (one, other) = (make(), make());
        assert_eq!(read(one.split('.').next().unwrap())["kid"], "k1");
        assert_ne!(one, other, "the nonce is fresh");
    }
}
