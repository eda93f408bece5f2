//! What lies between this machine and an answer of Coupa: host, port, certificate, clock, rate.

use std::net::{Ipv4Addr, SocketAddr};

use baton_coupa::sandbox::{
    Effect, FaultAction, Faults, Matching, Readings, RequestKind, Sandbox, ScriptedFault, Setup, TlsFiles,
};
use tempfile::TempDir;

use super::{Patient, closed_port, small};

#[tokio::test(flavor = "multi_thread")]
async fn the_host_and_its_port() {
    let patient = Patient::healthy().await;
    let mut unknown = patient.doctor();
    unknown.args(["--coupa-base-url", "https://tenant.invalid"]);
    let report = patient.report(unknown).await;
    report.lacks(
        "host-resolves",
        14,
        &["host-connects", "tls-name", "token-client", "read-plan", "clock"],
    );
    report.saw("host-resolves", &["given up after", "typing mistake"]);
    assert_eq!(
        report.verdict("state-directory"),
        "fine",
        "what needs no host is examined all the same"
    );

    let closed = closed_port();
    let mut command = patient.doctor();
    command.args(["--coupa-base-url", &format!("http://{closed}")]);
    let report = patient.report(command).await;
    report.lacks(
        "host-connects",
        14,
        &["host-answers", "token-client", "scope-user-read"],
    );
    assert_eq!(report.verdict("host-resolves"), "fine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_coupa() {
    for action in [
        FaultAction::Html,
        FaultAction::Redirect {
            location: "https://elsewhere.example/".into(),
        },
        FaultAction::Status {
            status: 404,
            html: true,
        },
    ] {
        let faults = Faults {
            scripted: vec![always(Some(RequestKind::Token), action)],
            ..Faults::default()
        };
        let patient = Patient::with(faults, Readings::default()).await;
        let report = patient.report(patient.doctor()).await;
        report.lacks("host-answers", 14, &["token-client", "read-plan"]);
        assert_eq!(report.verdict("host-connects"), "fine");
    }
}

/// A certificate for one test, with its key and the authority that signed it.
struct Leaf {
    cert: String,
    key: String,
    authority: String,
}

fn leaf(name: &str, years: [i32; 2]) -> Leaf {
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let authority = rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
    let mut params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    [params.not_before, params.not_after] = years.map(|year| rcgen::date_time_ymd(year, 1, 1));
    let key = rcgen::KeyPair::generate().unwrap();
    Leaf {
        cert: params.signed_by(&key, &authority).unwrap().pem(),
        key: key.serialize_pem(),
        authority: authority.pem(),
    }
}

/// A tenant that shows this certificate.
async fn over_https(leaf: &Leaf) -> Patient {
    let folder = TempDir::new().unwrap();
    let files = TlsFiles {
        cert: folder.path().join("cert.pem"),
        key: folder.path().join("key.pem"),
    };
    std::fs::write(&files.cert, &leaf.cert).unwrap();
    std::fs::write(&files.key, &leaf.key).unwrap();
    std::fs::write(folder.path().join("ca.pem"), &leaf.authority).unwrap();
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let sandbox = Sandbox::start(small(), listen, Some(files)).await.unwrap();
    Patient { sandbox, folder }
}

const NOW: [i32; 2] = [2020, 2090];

#[tokio::test(flavor = "multi_thread")]
async fn each_flaw_of_a_certificate_is_named() {
    const OTHERS: [&str; 3] = ["tls-validity", "tls-authority", "tls-name"];
    let trusted = async |patient: &Patient| {
        let mut command = patient.doctor();
        command.env("SSL_CERT_FILE", patient.folder.path().join("ca.pem"));
        patient.report(command).await
    };
    let sound = over_https(&leaf("127.0.0.1", NOW)).await;
    let report = trusted(&sound).await;
    report.warns(&[]);
    assert_eq!(report.verdict("tls-name"), "fine");
    let report = sound.report(sound.doctor()).await;
    report.lacks("tls-authority", 14, &["tls-name", "host-answers", "token-client"]);

    for (leaf, id) in [
        (leaf("other.example", NOW), "tls-name"),
        (leaf("127.0.0.1", [2020, 2021]), "tls-validity"),
        (leaf("127.0.0.1", [2089, 2090]), "tls-validity"),
    ] {
        let report = trusted(&over_https(&leaf).await).await;
        report.lacks(id, 14, &["host-answers", "clock", "object-users"]);
        assert_eq!(report.verdict("tls-handshake"), "fine");
        for other in OTHERS.iter().filter(|other| **other != id) {
            assert_eq!(report.verdict(other), "unknown");
        }
    }
    let expired = trusted(&over_https(&leaf("127.0.0.1", [2020, 2021])).await).await;
    expired.saw("tls-validity", &["has expired", "clock"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_does_not_speak_tls() {
    let patient = Patient::healthy().await;
    let mut command = patient.doctor();
    command.args([
        "--coupa-base-url",
        &patient.sandbox.base_url().replace("http:", "https:"),
    ]);
    let report = patient.report(command).await;
    report.lacks("tls-handshake", 14, &["tls-name", "host-answers"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock() {
    let at = async |clock_ahead_secs| {
        let patient = Patient::set_up(Setup {
            clock_ahead_secs,
            ..Setup::default()
        })
        .await;
        patient.report(patient.doctor()).await
    };
    for off in [400, -400] {
        let report = at(off).await;
        report.lacks("clock", 9, &[]);
        assert!(report.with("unknown").is_empty(), "nothing waits for it");
        report.saw("clock", &[if off > 0 { "behind" } else { "ahead" }, "NTP"]);
    }
    at(60).await.warns(&["clock"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_told_to_slow_down_for_ever() {
    let faults = Faults {
        scripted: vec![always(None, FaultAction::RateLimited { retry_after: None })],
        ..Faults::default()
    };
    let patient = Patient::with(faults, Readings::default()).await;
    let report = patient.report(patient.doctor()).await;
    report.lacks(
        "rate-answered",
        14,
        &["token-client", "scope-user-read", "read-plan"],
    );
    report.saw("rate-answered", &["given up after"]);
    assert_eq!(report.verdict("host-answers"), "fine");
}

fn always(kind: Option<RequestKind>, action: FaultAction) -> ScriptedFault {
    ScriptedFault {
        on: Matching {
            kind,
            times: u64::MAX,
            ..Matching::default()
        },
        effect: Effect::None,
        action,
    }
}
