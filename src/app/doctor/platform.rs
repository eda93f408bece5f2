//! The platform that drives a daemon: the form of the credentials, and whether its host takes connections. Nothing is sent there.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::reach;
use crate::config::PlatformLogin;
use crate::model::checkup::{Chart, Check, Finding};
use crate::model::fault::Fault;

/// Port of the platform where none is named (platform protocol, transport).
const PORT: u16 = 443;

pub(super) async fn examine(login: Option<&PlatformLogin>, chart: &mut Chart) {
    let Some(login) = login else {
        for check in [Check::PlatformCredentials, Check::PlatformHost] {
            chart.note(Finding::not_needed(
                check,
                "no daemon is configured (--client-id)",
            ));
        }
        return;
    };
    let host = match host_of(&login.client_id) {
        Some(host) if is_private_key(login.client_secret.expose_secret()) => {
            chart.note(Finding::fine(Check::PlatformCredentials, "they have"));
            host
        }
        found => {
            let what = if found.is_some() {
                "invalid client secret"
            } else {
                "invalid client id"
            };
            let fault = Fault::invalid(what).advise(
                "copy --client-id and --client-secret anew, whole, from where the platform showed them",
            );
            chart.note(Finding::failing(Check::PlatformCredentials, &fault));
            chart.wait(&[Check::PlatformHost], Check::PlatformCredentials);
            return;
        }
    };
    let (host, port) = split_port(login.api_host.as_deref().unwrap_or(host));
    chart.note(match reach::connect(host, port).await {
        Ok(()) => Finding::fine(Check::PlatformHost, format!("{host}:{port}")),
        Err(fault) => Finding::failing(Check::PlatformHost, &fault),
    });
}

/// Host, and perhaps port, of `NAME@HOST/SUFFIX`.
fn host_of(client_id: &str) -> Option<&str> {
    let (_, rest) = client_id.split_once('@')?;
    let (host, _) = rest.split_once('/')?;
    (!host.is_empty()).then_some(host)
}

fn split_port(host: &str) -> (&str, u16) {
    match host.rsplit_once(':').map(|(name, port)| (name, port.parse())) {
        Some((name, Ok(port))) => (name, port),
        _ => (host, PORT),
    }
}

/// Whether the secret holds a private Ed25519 key: four parts, the third `v1`, the fourth a JWK.
fn is_private_key(secret: &str) -> bool {
    let parts: Vec<&str> = secret.split(':').collect();
    let [_, _, "v1", key] = parts.as_slice() else {
        return false;
    };
    let key = URL_SAFE_NO_PAD.decode(key).ok();
    let key: Option<Value> = key.and_then(|key| serde_json::from_slice(&key).ok());
    key.is_some_and(|key| key["kty"] == "OKP" && key["crv"] == "Ed25519" && key["d"].is_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_have_a_form() {
        assert_eq!(host_of("happy-fox-1@tenant.example/bxc"), Some("tenant.example"));
        for id in [
            "happy-fox-1",
            "happy-fox-1@tenant.example",
            "happy-fox-1@/bxc",
            "",
        ] {
            assert_eq!(host_of(id), None, "{id}");
        }
        assert_eq!(split_port("tenant.example"), ("tenant.example", 443));
        assert_eq!(split_port("127.0.0.1:4711"), ("127.0.0.1", 4711));
        let secret = |jwk: &str| format!("secret-token:example.com:v1:{}", URL_SAFE_NO_PAD.encode(jwk));
        let whole = secret(r#"{"kty":"OKP","crv":"Ed25519","x":"x","d":"d"}"#);
        assert!(is_private_key(&whole));
        for broken in [
            whole.replace("v1", "v2"),
            whole[..whole.len() - 5].to_owned(),
            secret(r#"{"kty":"OKP","crv":"Ed25519","x":"x"}"#),
            secret(r#"{"kty":"RSA","d":"d"}"#),
            String::new(),
        ] {
            assert!(!is_private_key(&broken), "{broken}");
        }
    }
}
