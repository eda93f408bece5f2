//! Credentials at the platform, and how a request for a token is judged: form, signature, header and claims.
//!
//! Invariant: a token is issued only for a request without a fault.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use http::HeaderMap;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde_json::{Value, json};

/// Name of the client, the part of its id before `@`.
pub const NAME: &str = "happy-fox-12345";
/// The tenant of the platform that the id names; nobody ever dials it.
const HOST: &str = "tenant.platform.example";
/// By how far `nbf` and `exp` lie from `iat`, in seconds.
const WINDOW: i64 = 120;
/// By how much `iat` may lie from now: a slow machine takes its time between signing and sending.
const SLACK: u64 = 90;

/// A registered client: what it is given, and what the platform keeps to know it by.
pub struct Client {
    pub id: String,
    pub secret: String,
    /// The private part of the key, as it stands in the secret.
    pub d: String,
    kid: Option<String>,
    public: Vec<u8>,
}

impl Client {
    /// A client with a fresh key.
    pub fn new() -> Self {
        Self::with(None)
    }

    /// A client whose key has a name.
    pub fn with_kid(kid: &str) -> Self {
        Self::with(Some(kid))
    }

    fn with(kid: Option<&str>) -> Self {
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed).unwrap();
        let public = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let public = public.public_key().as_ref().to_vec();
        let d = BASE64.encode(seed);
        let mut jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": BASE64.encode(&public), "d": d });
        if let Some(kid) = kid {
            jwk["kid"] = kid.into();
        }
        Self {
            id: format!("{NAME}@{HOST}:8443/bxc"),
            secret: format!(
                "secret-token:platform.example:v1:{}",
                BASE64.encode(jwk.to_string())
            ),
            d,
            kid: kid.map(str::to_owned),
            public,
        }
    }
}

/// What a request for a token is judged against, besides itself.
pub struct Bouncer<'a> {
    pub client: &'a Client,
    pub now: SystemTime,
    /// Nonces seen before.
    pub nonces: &'a BTreeSet<String>,
}

/// What a sound request carried, to be looked for where it must not show and not come again.
pub struct Accepted {
    pub assertion: String,
    pub nonce: String,
}

impl Bouncer<'_> {
    /// The violations in a request, or what it carried.
    pub fn judge(&self, headers: &HeaderMap, body: &[u8]) -> Result<Accepted, Vec<String>> {
        let mut wrong = Vec::new();
        let header = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        if header("content-type") != "application/x-www-form-urlencoded" {
            wrong.push(format!("token: content type {:?}", header("content-type")));
        }
        let agent = header("user-agent").strip_prefix("baton-c1-credential-provider baton-sdk/");
        if !agent.is_some_and(|version| !version.is_empty() && !version.contains(' ')) {
            wrong.push(format!("token: user agent {:?}", header("user-agent")));
        }
        if headers.contains_key("authorization") {
            wrong.push("token: an authorization header".to_owned());
        }
        let form: Vec<(String, String)> = url::form_urlencoded::parse(body).into_owned().collect();
        let names: BTreeSet<&str> = form.iter().map(|(name, _)| name.as_str()).collect();
        let expected = [
            "client_id",
            "grant_type",
            "client_assertion_type",
            "client_assertion",
        ];
        if names != BTreeSet::from(expected) || form.len() != expected.len() {
            wrong.push(format!("token: form fields {names:?}"));
        }
        let form: BTreeMap<String, String> = form.into_iter().collect();
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        for (name, expected) in [
            ("client_id", self.client.id.as_str()),
            ("grant_type", "client_credentials"),
            (
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            ),
        ] {
            if field(name) != expected {
                wrong.push(format!("token: {name} is {:?}", field(name)));
            }
        }
        let nonce = self.assertion(field("client_assertion"), &mut wrong);
        if wrong.is_empty() {
            Ok(Accepted {
                assertion: field("client_assertion").to_owned(),
                nonce,
            })
        } else {
            Err(wrong)
        }
    }

    /// Notes what is wrong with a JWS in compact form; gives its nonce.
    fn assertion(&self, assertion: &str, wrong: &mut Vec<String>) -> String {
        let parts: Vec<&str> = assertion.split('.').collect();
        let [header, claims, signature] = parts[..] else {
            wrong.push("assertion: not three parts".to_owned());
            return String::new();
        };
        let key = UnparsedPublicKey::new(&ED25519, &self.client.public);
        let signed = &assertion[..assertion.len() - signature.len() - 1];
        let signature = BASE64.decode(signature).unwrap_or_default();
        if key.verify(signed.as_bytes(), &signature).is_err() {
            wrong.push("assertion: the signature does not fit".to_owned());
        }
        let object = |part: &str| -> Option<Value> {
            let value: Value = serde_json::from_slice(&BASE64.decode(part).ok()?).ok()?;
            value.is_object().then_some(value)
        };
        let (Some(header), Some(claims)) = (object(header), object(claims)) else {
            wrong.push("assertion: header or claims are not JSON objects".to_owned());
            return String::new();
        };
        self.claims(&claims, wrong);
        self.header(&header, wrong)
    }

    fn header(&self, header: &Value, wrong: &mut Vec<String>) -> String {
        let mut expected = BTreeSet::from(["alg", "nonce"]);
        if let Some(kid) = &self.client.kid {
            expected.insert("kid");
            if header["kid"] != *kid.as_str() {
                wrong.push(format!("assertion: kid is {}", header["kid"]));
            }
        }
        if keys(header) != expected {
            wrong.push(format!("assertion: header fields {:?}", keys(header)));
        }
        if header["alg"] != "EdDSA" {
            wrong.push(format!("assertion: alg is {}", header["alg"]));
        }
        let nonce = header["nonce"].as_str().unwrap_or_default();
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if nonce.len() != 32 || !nonce.chars().all(hex) {
            wrong.push("assertion: the nonce is not 16 bytes in hex".to_owned());
        }
        if self.nonces.contains(nonce) {
            wrong.push("assertion: a nonce comes twice".to_owned());
        }
        nonce.to_owned()
    }

    fn claims(&self, claims: &Value, wrong: &mut Vec<String>) {
        let expected = BTreeSet::from(["iss", "sub", "aud", "iat", "nbf", "exp"]);
        if keys(claims) != expected {
            wrong.push(format!("assertion: claims {:?}", keys(claims)));
        }
        for (name, expected) in [
            ("iss", self.client.id.as_str()),
            ("sub", &self.client.id),
            ("aud", HOST),
        ] {
            if claims[name] != *expected {
                wrong.push(format!("assertion: {name} is {}", claims[name]));
            }
        }
        let [Some(iat), Some(nbf), Some(exp)] = ["iat", "nbf", "exp"].map(|name| claims[name].as_i64())
        else {
            wrong.push("assertion: iat, nbf and exp are not whole seconds".to_owned());
            return;
        };
        if nbf != iat - WINDOW || exp != iat + WINDOW {
            wrong.push(format!(
                "assertion: nbf {} and exp {} around iat",
                nbf - iat,
                exp - iat
            ));
        }
        let now = self
            .now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        if now.as_secs().cast_signed().abs_diff(iat) > SLACK {
            wrong.push(format!(
                "assertion: iat lies {} s from now",
                now.as_secs().cast_signed() - iat
            ));
        }
    }
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .collect()
}
