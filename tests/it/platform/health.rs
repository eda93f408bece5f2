//! The HTTP health server, and the command that asks it.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Output;
use std::time::Duration;

use baton_coupa::sandbox::{FaultAction, Faults, Matching, ScriptedFault};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::fake::{Entry, Event, Rpc, Trouble};
use super::scene::{Daemon, Scene};
use crate::support::program::{output, stderr};

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn healthy(scene: &Scene, port: u16) -> Daemon {
    scene.start(&["--health-check", "--health-check-port", &port.to_string()])
}

/// Status and body of `GET path`; `None` where nobody listens.
async fn get(port: u16, path: &str) -> Option<(u16, serde_json::Value)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, serde_json::from_str(body).unwrap_or_default()))
}

/// Waits until `GET path` answers with this status.
async fn answers(port: u16, path: &str, status: u16) {
    let answers = async {
        while get(port, path).await.is_none_or(|(now, _)| now != status) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_mins(2), answers).await;
    assert!(waited.is_ok(), "{path} never answers {status}");
}

async fn check(scene: &Scene, port: u16, endpoint: &str) -> Output {
    let mut command = crate::support::program::program(&scene.folder);
    command
        .args(["health-check", "--endpoint", endpoint, "--timeout", "20"])
        .env("BATON_HEALTH_CHECK_PORT", port.to_string());
    output(command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_answers_as_the_ecosystem_does() {
    let (scene, port) = (Scene::new().await, free_port());
    let daemon = healthy(&scene, port);
    answers(port, "/ready", 200).await;
    for (path, word) in [("/live", "alive"), ("/ready", "ready"), ("/health", "healthy")] {
        let (status, body) = get(port, path).await.unwrap();
        assert_eq!((status, body["status"].as_str()), (200, Some(word)), "{path}");
        let at = body["timestamp"].as_str().unwrap();
        assert!(at.parse::<jiff::Timestamp>().is_ok(), "{at}");
        assert!(body.get("details").is_some(), "{body}");
    }
    assert_eq!(get(port, "/other").await.unwrap().0, 404);
    for endpoint in ["live", "ready", "health"] {
        let asked = check(&scene, port, endpoint).await;
        assert_eq!(asked.status.code(), Some(0), "{endpoint}: {}", stderr(&asked));
    }
    scene.end(daemon).await;
    let asked = check(&scene, port, "live").await;
    assert_eq!(
        asked.status.code(),
        Some(14),
        "nobody listens any more: {}",
        stderr(&asked)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_does_not_answer_is_unhealthy_and_alive_all_the_same() {
    let (scene, port) = (Scene::new().await, free_port());
    let daemon = healthy(&scene, port);
    answers(port, "/ready", 200).await;
    let on = Matching {
        times: u64::MAX,
        ..Matching::default()
    };
    let scripted = vec![ScriptedFault {
        on,
        effect: baton_coupa::sandbox::Effect::None,
        action: FaultAction::Status {
            status: 403,
            html: false,
        },
    }];
    scene.sandbox.set_faults(Faults {
        scripted,
        ..Faults::default()
    });
    let (status, body) = get(port, "/health").await.unwrap();
    assert_eq!(
        (status, body["status"].as_str()),
        (503, Some("unhealthy")),
        "{body}"
    );
    assert_eq!(get(port, "/live").await.unwrap().0, 200);
    let asked = check(&scene, port, "health").await;
    assert_eq!(asked.status.code(), Some(2), "{}", stderr(&asked));
    scene.sandbox.set_faults(Faults::default());
    // A verdict is kept for a while.
    answers(port, "/health", 200).await;
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_platform_does_not_answer_it_is_alive_and_not_ready() {
    let (scene, port) = (Scene::new().await, free_port());
    scene.platform.trouble(Rpc::Hello, [Trouble::Hang]);
    let daemon = healthy(&scene, port);
    let met = |entry: &Entry| matches!(entry.event, Event::Trouble { .. });
    scene
        .platform
        .wait("a Hello that hangs", |log| log.iter().any(met).then_some(()))
        .await;
    // A probe must not end a daemon that waits for the platform.
    assert_eq!(get(port, "/live").await.unwrap().0, 200);
    let (status, body) = get(port, "/ready").await.unwrap();
    assert_eq!(
        (status, body["status"].as_str()),
        (503, Some("not_ready")),
        "{body}"
    );
    let asked = check(&scene, port, "ready").await;
    assert_eq!(asked.status.code(), Some(2), "{}", stderr(&asked));
    daemon.signal("-TERM");
    scene.ends_with(daemon, 0).await;
}
