//! The HTTP health server, and the command that asks it.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Output;

use baton_coupa::sandbox::{FaultAction, Faults, Matching, ScriptedFault};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::fake::{Rpc, Trouble};
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

async fn listening(port: u16) {
    let listening = async {
        while get(port, "/live").await.is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(2), listening)
        .await
        .expect("it listens");
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
    listening(port).await;
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
    listening(port).await;
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
    assert_eq!(get(port, "/health").await.unwrap().0, 200);
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_there_only_after_hello() {
    let (scene, port) = (Scene::new().await, free_port());
    scene.platform.trouble(Rpc::Hello, [Trouble::Hang]);
    let daemon = healthy(&scene, port);
    let met = |entry: &super::fake::Entry| matches!(entry.event, super::fake::Event::Trouble { .. });
    scene
        .platform
        .wait("a Hello that hangs", |log| log.iter().any(met).then_some(()))
        .await;
    assert!(
        get(port, "/live").await.is_none_or(|(status, _)| status != 200),
        "nothing is ready before Hello"
    );
    daemon.signal("-TERM");
    scene.ends_with(daemon, 0).await;
}
