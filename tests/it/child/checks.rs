//! PC-1 to PC-8.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use baton_coupa::proto::connector as c1;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::parent::{LISTENER_FD, Launched, Said, Start};
use super::{Subject, Verdict, Violation, ensure};

/// Two seconds are allowed; the rest is for a machine that has other things to do.
const SOON: Duration = Duration::from_secs(5);

/// Connects and calls.
async fn serves(child: &Launched) -> Verdict {
    child.client().await?.validate().await?;
    Ok(())
}

pub(super) async fn pc_01(subject: Subject) -> Verdict {
    for flags in [
        &["--client-id", "a@b/c", "--client-secret", "x", "--ticketing"][..],
        &["--of-tomorrow"],
        &["--of-tomorrow=1", "--and-that", "value", "-p"],
        &[
            "--health-check",
            "--otel-collector-endpoint",
            "c:1",
            "--workers=4",
        ],
    ] {
        let start = Start::with(flags);
        serves(&subject.launch(start)).await?;
    }
    let start = Start::usual()
        .var("BATON_OF_TOMORROW", "1")
        .var("BATON_EVENT_FEED", "true")
        .var("BATON_WORKERS", "4");
    serves(&subject.launch(start)).await
}

pub(super) async fn pc_02(subject: Subject) -> Verdict {
    for (what, words) in [
        ("nothing", String::new()),
        ("an empty line", "\n".to_owned()),
        ("no base64", "{\"listen_port\": 1}\n".to_owned()),
        ("no message", "AAAA\n".to_owned()),
        ("an endless line", "A".repeat(1 << 18)),
    ] {
        let ended = subject.launch(Start::saying(Said::Alone(words))).ended().await;
        ensure(ended.status.is_some_and(|status| status != 0), || {
            format!("{what} ends it with status {:?}", ended.status)
        })?;
        ensure(!ended.stderr.trim().is_empty(), || {
            format!("it says nothing about {what}")
        })?;
    }
    let mut child = subject.launch(Start::saying(Said::Later));
    child.say(&(child.line() + "a second line\n"));
    let served = serves(&child).await;
    served.map_err(|Violation(found)| Violation(format!("with a second line: {found}")))
}

pub(super) async fn pc_03(subject: Subject) -> Verdict {
    let ended = subject.launch(Start::saying(Said::PortOff(1))).ended();
    let served = tokio::time::timeout(SOON, ended).await;
    ensure(
        served.is_ok_and(|ended| ended.status.is_some_and(|status| status != 0) && !ended.stderr.is_empty()),
        || "it does not refuse a socket at another port".to_owned(),
    )?;
    let child = subject.launch(Start::usual());
    serves(&child).await?;
    #[cfg(target_os = "linux")]
    ensure(!child.is_blocking(), || {
        "the socket stays in blocking mode".to_owned()
    })?;
    let elsewhere = Start {
        number: 7,
        named: Some("7".to_owned()),
        ..Start::usual()
    };
    let served = serves(&subject.launch(elsewhere)).await;
    served.map_err(|Violation(found)| Violation(format!("with number 7: {found}")))
}

pub(super) async fn pc_04(subject: Subject) -> Verdict {
    for (what, named) in [
        ("is missing", None),
        ("is empty", Some("")),
        ("is no number", Some("three")),
        ("is negative", Some("-3")),
        ("names nothing", Some("299")),
    ] {
        let start = Start {
            named: named.map(str::to_owned),
            ..Start::usual()
        };
        let ended = tokio::time::timeout(SOON, subject.launch(start).ended()).await;
        let Ok(ended) = ended else {
            return Err(Violation(format!("it goes on where the variable {what}")));
        };
        ensure(ended.failed_saying(LISTENER_FD), || {
            format!("it does not name the variable that {what}: {ended:?}")
        })?;
    }
    Ok(())
}

pub(super) async fn pc_05(subject: Subject) -> Verdict {
    let child = subject.launch(Start::usual());
    let tcp = TcpStream::connect(child.addr)
        .await
        .map_err(|error| error.to_string())?;
    let name = ServerName::try_from("127.0.0.1").map_err(|error| error.to_string())?;
    let tls = TlsConnector::from(Arc::new(child.pki.paired()));
    let stream = tls
        .connect(name, tcp)
        .await
        .map_err(|error| format!("cannot connect: {error}"))?;
    let (_, session) = stream.get_ref();
    let version = session.protocol_version();
    ensure(version == Some(rustls::ProtocolVersion::TLSv1_3), || {
        format!("TLS is {version:?}")
    })?;
    let protocol = session.alpn_protocol();
    ensure(protocol == Some(b"h2"), || format!("ALPN gives {protocol:?}"))?;
    serves(&child).await
}

pub(super) async fn pc_06(subject: Subject) -> Verdict {
    let child = subject.launch(Start::usual());
    for (who, config) in [
        ("without a certificate", child.pki.nameless()),
        ("of another authority", child.pki.foreign()),
    ] {
        // With TLS 1.3 a client learns only with the first answer that it was turned away.
        let heard = match child.client_of(config).await {
            Ok(client) => client.validate().await.is_ok(),
            Err(_) => false,
        };
        ensure(!heard, || format!("a client {who} is heard"))?;
    }
    serves(&child).await
}

pub(super) async fn pc_07(subject: Subject) -> Verdict {
    let ends = async |mut child: Launched, when: &str| {
        child.leave();
        match tokio::time::timeout(SOON, child.ended()).await {
            Err(_) => Err(Violation(format!("{when}: it still runs"))),
            Ok(ended) => ensure(ended.status == Some(0), || {
                format!("{when}: status {:?}: {}", ended.status, ended.stderr)
            }),
        }
    };
    let child = subject.launch(Start::usual());
    let client = child.client().await?;
    client.validate().await?;
    // The connection stays open: a runner that was killed closes nothing in order.
    ends(child, "after a call").await?;

    let child = subject.launch(subject.stall());
    let client = child.client().await?;
    let mut connector = client.connector();
    let mut call = pin!(connector.validate(c1::ConnectorServiceValidateRequest {}));
    // Of calls on one connection the first arrives first; the second needs no tenant.
    let sent = futures::poll!(call.as_mut());
    let request = c1::ConnectorServiceGetMetadataRequest {};
    client.connector().get_metadata(request).await?;
    ensure(
        sent.is_pending() && futures::poll!(call.as_mut()).is_pending(),
        || "the stalled call was answered".to_owned(),
    )?;
    ends(child, "with a call under way").await
}

pub(super) async fn pc_08(subject: Subject) -> Verdict {
    let mut child = subject.launch(Start::with(&["--log-level", "trace"]));
    serves(&child).await?;
    let refused = child.client_of(child.pki.nameless()).await;
    if let Ok(client) = refused {
        let _ = client.validate().await;
    }
    child.leave();
    let ended = child.ended().await;
    ensure(ended.stdout.is_empty(), || {
        format!("stdout has {:?}", ended.stdout)
    })?;
    for secret in &child.secrets {
        ensure(!ended.stderr.contains(secret), || {
            "the log has a secret".to_owned()
        })?;
    }
    Ok(())
}
