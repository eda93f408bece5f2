//! Faults, limits, TLS, the control paths, and the end of a sandbox.

use std::time::Duration;

use super::*;

fn every(action: FaultAction) -> Faults {
    let scripted = ScriptedFault {
        on: Matching {
            path_prefix: Some("/api".into()),
            times: u64::MAX,
            ..Matching::default()
        },
        effect: Effect::None,
        action,
    };
    Faults {
        scripted: vec![scripted],
        ..Faults::default()
    }
}

/// What a client sees of one request under a fault.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    NoAnswer,
    BrokenBody,
    Answer { status: u16, json: bool },
}

async fn seen(tenant: &Tenant, action: FaultAction) -> Seen {
    tenant.running.set_faults(every(action));
    let Ok(answer) = tenant.get("/api/users").send().await else {
        return Seen::NoAnswer;
    };
    let status = answer.status().as_u16();
    match answer.bytes().await {
        Err(_) => Seen::BrokenBody,
        Ok(body) => Seen::Answer {
            status,
            json: serde_json::from_slice::<Value>(&body).is_ok(),
        },
    }
}

async fn each_fault_is_seen(tenant: &Tenant) {
    let answer = |status, json| Seen::Answer { status, json };
    let cases = [
        (
            FaultAction::Status {
                status: 503,
                html: false,
            },
            answer(503, true),
        ),
        (
            FaultAction::Status {
                status: 502,
                html: true,
            },
            answer(502, false),
        ),
        (FaultAction::Reset, Seen::NoAnswer),
        (FaultAction::ResetMidBody, Seen::BrokenBody),
        (FaultAction::Truncate, answer(200, false)),
        (FaultAction::ShortBody, Seen::BrokenBody),
        (FaultAction::Html, answer(200, false)),
        (FaultAction::RateLimited { retry_after: None }, answer(429, true)),
        (
            FaultAction::Redirect {
                location: "https://elsewhere.example/".into(),
            },
            answer(302, false),
        ),
    ];
    let count = cases.len() as u64;
    let before = tenant.running.stats().faults;
    for (action, expected) in cases {
        let name = format!("{action:?}");
        assert_eq!(seen(tenant, action).await, expected, "{name}");
    }
    assert!(
        tenant.running.stats().faults - before >= count,
        "faults are counted (a client may retry a reset)"
    );
    tenant.running.set_faults(Faults::default());
    assert_eq!(tenant.rest("/api/roles").await.0, StatusCode::OK, "and end");
}

#[tokio::test]
async fn faults_happen() {
    each_fault_is_seen(&Tenant::small().await).await;
}

#[tokio::test]
async fn faults_happen_over_https_with_http_2_too() {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let files = TlsFiles {
        cert: dir.path().join("cert.pem"),
        key: dir.path().join("key.pem"),
    };
    std::fs::write(&files.cert, certified.cert.pem()).unwrap();
    std::fs::write(&files.key, certified.signing_key.serialize_pem()).unwrap();
    let config = SandboxConfig {
        users: 260,
        ..SandboxConfig::default()
    };
    let running = Sandbox::start(config, local(), Some(files)).await.unwrap();
    let root = reqwest::Certificate::from_pem(certified.cert.pem().as_bytes()).unwrap();

    let tenant = Tenant::of(running, client().tls_certs_only([root]).build().unwrap()).await;
    assert!(tenant.running.base_url().starts_with("https://127.0.0.1:"));
    let answer = tenant.get("/api/users").send().await.unwrap();
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    assert_eq!(
        answer.json::<Value>().await.unwrap().as_array().unwrap().len(),
        50
    );
    each_fault_is_seen(&tenant).await;
}

#[tokio::test]
async fn a_bad_certificate_is_an_error_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let files = TlsFiles {
        cert: dir.path().join("no.pem"),
        key: dir.path().join("no.key"),
    };
    assert!(
        Sandbox::start(SandboxConfig::default(), local(), Some(files))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn hanging_forgetting_and_bulky_answers() {
    let tenant = Tenant::small().await;
    tenant.running.set_faults(every(FaultAction::Hang));
    let given_up = tenant
        .get("/api/users")
        .timeout(Duration::from_millis(150))
        .send()
        .await
        .unwrap_err();
    assert!(given_up.is_timeout());
    tenant
        .running
        .set_faults(every(FaultAction::Oversized { bytes: 3_000_000 }));
    let bulk = tenant
        .get("/api/users")
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert_eq!(bulk.len(), 3_000_000);
    let once = ScriptedFault {
        on: Matching {
            kind: Some(RequestKind::RestRoles),
            nth: 2,
            ..Matching::default()
        },
        effect: Effect::None,
        action: FaultAction::ForgetTokens,
    };
    tenant.running.set_faults(Faults {
        scripted: vec![once],
        ..Faults::default()
    });
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(tenant.get("/api/roles").send().await.unwrap().status().as_u16());
    }
    assert_eq!(
        statuses,
        [200, 401, 401],
        "from the second on, until a new token is minted"
    );
}

#[tokio::test]
async fn chance_faults_hit_their_share() {
    let tenant = Tenant::small().await;
    tenant.running.set_faults(Faults {
        server_error: 0.3,
        ..Faults::default()
    });
    let mut failed = 0;
    for _ in 0..200 {
        failed += u32::from(
            tenant
                .get("/api/roles/1")
                .send()
                .await
                .unwrap()
                .status()
                .is_server_error(),
        );
    }
    assert!((30..90).contains(&failed), "{failed}");
    assert_eq!(tenant.running.stats().faults, u64::from(failed));
}

#[tokio::test]
async fn the_rate_limit_rejects_and_says_when() {
    // So slow a leak that the bucket cannot empty while the test runs.
    let config = SandboxConfig {
        users: 60,
        rate: Some(0.01),
        ..SandboxConfig::default()
    };
    let tenant = Tenant::start(config).await;
    let mut statuses = Vec::new();
    for _ in 0..25 {
        statuses.push(tenant.get("/api/roles/1").send().await.unwrap().status().as_u16());
    }
    assert_eq!(statuses.iter().filter(|&&s| s == 200).count(), 20, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|&&s| s == 429).count(), 5);
    assert_eq!(tenant.running.stats().rejected, 5);
    tenant.running.set_readings(Readings {
        retry_after: RetryAfter::Seconds,
        ..Readings::default()
    });
    let limited = tenant.get("/api/roles/1").send().await.unwrap();
    let wait: u64 = limited.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((50..=101).contains(&wait), "{wait}");
    assert!(!tenant.mint(READ).await.is_empty(), "tokens are not limited");
}

#[tokio::test]
async fn control_paths_serve_other_processes() {
    let tenant = Tenant::small().await;
    tenant.running.set_faults(every(FaultAction::Hang));
    let truth: Truth = tenant
        .http
        .get(tenant.url("/_sandbox/truth"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(truth, tenant.running.truth());
    let put = async |path: &str, body: Value| {
        tenant
            .http
            .put(tenant.url(path))
            .json(&body)
            .send()
            .await
            .unwrap()
            .status()
    };
    let faults = json!({ "scripted": [{ "kind": "rest-roles", "action": { "status": { "status": 500 } } }] });
    assert_eq!(put("/_sandbox/faults", faults).await, StatusCode::NO_CONTENT);
    assert_eq!(
        tenant.rest("/api/roles").await.0,
        StatusCode::INTERNAL_SERVER_ERROR
    );
    assert_eq!(tenant.rest("/api/roles").await.0, StatusCode::OK);
    assert_eq!(
        put("/_sandbox/readings", json!({ "ids": { "rest": "text" } })).await,
        StatusCode::NO_CONTENT
    );
    assert_eq!(tenant.rest("/api/users/1").await.1["id"], json!("1"));
    assert_eq!(
        put("/_sandbox/readings", json!({ "idz": 1 })).await,
        StatusCode::BAD_REQUEST
    );
    let stats: Stats = tenant
        .http
        .get(tenant.url("/_sandbox/stats"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(stats, tenant.running.stats());
    assert_eq!(
        (stats.rest_roles, stats.rest_users, stats.token, stats.faults),
        (2, 1, 1, 1)
    );
}

#[tokio::test]
async fn in_flight_requests_are_watched() {
    let tenant = Tenant::small().await;
    tenant.running.set_faults(every(FaultAction::Hang));
    let waiting: Vec<_> = (0..6)
        .map(|_| tokio::spawn(tenant.get("/api/roles/1").send()))
        .collect();
    while tenant.running.stats().faults < 6 {
        tokio::task::yield_now().await;
    }
    assert_eq!(tenant.running.stats().peak_in_flight, 6);
    for request in waiting {
        request.abort();
    }
}

#[tokio::test]
async fn shutdown_ends_hanging_requests_and_frees_the_port() {
    let tenant = Tenant::small().await;
    tenant.running.set_faults(every(FaultAction::Hang));
    let addr = tenant.running.addr();
    let waiting = tokio::spawn(tenant.get("/api/users").send());
    while tenant.running.stats().faults == 0 {
        tokio::task::yield_now().await;
    }
    tenant.running.shutdown().await;
    assert!(waiting.await.unwrap().is_err());
    assert!(TcpListener::bind(addr).await.is_ok());
}

#[tokio::test]
async fn debug_shows_no_secret() {
    let tenant = Tenant::start(SandboxConfig {
        users: 30,
        ..SandboxConfig::default()
    })
    .await;
    let shown = format!("{:?} {:?}", tenant.running, tenant.running.truth().users);
    assert!(!shown.contains(tenant.running.client_secret()));
    assert!(!shown.contains("corp.example") && !shown.contains("coupasupport"));
}
