//! The start: who we are, that we say hello before anything else, and what ends the program before it began.

use std::fs;
use std::sync::Arc;

use baton_coupa::proto::platform::BatonServiceHelloRequest;
use http::StatusCode;
use tonic::Code;

use super::fake::{Client, Entry, Event, Rpc, Trouble};
use super::scene::{Scene, greetings, small};
use super::task::Task;

fn first_hello(log: &[Entry]) -> Arc<BatonServiceHelloRequest> {
    let hello = log.iter().find_map(|entry| match &entry.event {
        Event::Hello { request, .. } => Some(Arc::clone(request)),
        _ => None,
    });
    hello.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn token_hello_task_in_this_order_and_one_token_for_all() {
    let scene = Scene::new().await;
    let daemon = scene.greeted(&[]).await;
    scene.asks(3).await;
    let log = scene.platform.log();
    let order: Vec<String> = log
        .iter()
        .take(3)
        .map(|entry| format!("{:?}", entry.event))
        .collect();
    assert_eq!(order, ["token", "Hello ", "GetTask"]);
    let tokens = log
        .iter()
        .filter(|entry| matches!(entry.event, Event::Token))
        .count();
    assert_eq!(tokens, 1, "one token serves until it expires");
    scene.end(daemon).await;
}

/// The value of a key in `/etc/os-release`.
fn os_release(key: &str) -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.trim_matches('"').to_owned())
}

fn kernel(name: &str) -> String {
    fs::read_to_string(format!("/proc/sys/kernel/{name}"))
        .unwrap()
        .trim()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn hello_tells_what_is_true() {
    let scene = Scene::with(small(), Client::with_kid("key-1")).await;
    let daemon = scene.greeted(&["-p"]).await;
    let hello = first_hello(&scene.platform.log());
    let os = hello.os_info.as_ref().unwrap();
    assert_eq!(os.hostname, kernel("hostname"));
    assert_eq!(os.os, "linux");
    assert_eq!(os.kernel_version, kernel("osrelease"));
    assert_eq!(os.kernel_arch, std::env::consts::ARCH);
    if let Some(id) = os_release("ID") {
        assert_eq!(os.platform, id);
    }
    if let Some(version) = os_release("VERSION_ID") {
        assert_eq!(os.platform_version, version);
    }
    let build = hello.build_info.as_ref().unwrap();
    assert!(build.lang_version.starts_with("rust"), "{}", build.lang_version);
    assert!(build.package.contains("baton-coupa"), "{}", build.package);

    let about = hello.connector_metadata.as_ref().unwrap();
    assert!(about.display_name.contains("Coupa"));
    let capabilities = about.capabilities.as_ref().unwrap();
    let mut kinds: Vec<&str> = capabilities
        .resource_type_capabilities
        .iter()
        .map(|row| row.resource_type.as_ref().unwrap().id.as_str())
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["group", "license", "role", "user"]);
    assert!(about.account_creation_schema.is_some());
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_name_of_its_own_the_host_is_named_by_the_system() {
    let scene = Scene::new().await;
    scene.platform.inner().host_id = kernel("hostname");
    let mut command = scene.command();
    command.env_remove("BATON_HOST_ID");
    let daemon = scene.spawn(command);
    // The platform compares it in every request.
    scene.done(Task::sync()).await.success();
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_task_is_answered_by_a_second_hello_and_by_nothing_else() {
    let scene = Scene::new().await;
    let task = Task::hello();
    scene.platform.give(task.clone());
    let daemon = scene.start(&[]);
    scene
        .platform
        .wait("the second Hello", |log| {
            greetings(log).any(|id| id == task.id).then_some(())
        })
        .await;
    scene.asks(2).await;
    let log = scene.platform.log();
    assert_eq!(greetings(&log).collect::<Vec<_>>(), ["", &task.id]);
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hello_is_tried_until_it_is_heard() {
    let scene = Scene::new().await;
    scene.platform.trouble(
        Rpc::Hello,
        [Trouble::Refused(Code::Unavailable), Trouble::Cut, Trouble::None],
    );
    let daemon = scene.greeted(&[]).await;
    scene.asks(1).await;
    let troubles = scene.platform.log();
    let troubles = troubles
        .iter()
        .filter(|entry| matches!(entry.event, Event::Trouble { rpc: Rpc::Hello }));
    assert_eq!(troubles.count(), 2);
    scene.end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_is_refused_ends_the_program_with_the_code() {
    for (code, exit) in [
        (Code::PermissionDenied, 7),
        (Code::Unimplemented, 12),
        (Code::FailedPrecondition, 9),
    ] {
        let scene = Scene::new().await;
        scene.platform.standing(Rpc::Hello, Trouble::Refused(code));
        let daemon = scene.start(&[]);
        scene.ends_with(daemon, exit).await;
        assert_eq!(greetings(&scene.platform.log()).count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_gets_no_token_ends_with_16() {
    let scene = Scene::new().await;
    scene.platform.inner().no_tokens = Some(StatusCode::UNAUTHORIZED);
    let daemon = scene.start(&[]);
    scene.ends_with(daemon, 16).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_cannot_be_read_end_with_2_in_the_ecosystems_words() {
    let scene = Scene::new().await;
    let good = &scene.platform.client;
    let jwk = good.secret.rsplit(':').next().unwrap().to_owned();
    let bad_id = ["happy-fox", "happy-fox@host", "host/bxc"].map(|id| (id.to_owned(), good.secret.clone()));
    let bad_secret = [
        "secret".to_owned(),
        format!("secret-token:platform.example:v2:{jwk}"),
        "secret-token:platform.example:v1:e30".to_owned(),
        format!("secret-token:platform.example:v1:{jwk}:more"),
        // The public half of a key, and a key of another kind.
        secret(r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#),
        secret(r#"{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA","d":"AAAA"}"#),
    ];
    let bad_secret = bad_secret.map(|secret| (good.id.clone(), secret));
    let cases = bad_id
        .into_iter()
        .map(|case| (case, "invalid client id"))
        .chain(bad_secret.into_iter().map(|case| (case, "invalid client secret")));
    for ((id, secret), told) in cases {
        let scene = Scene::new().await;
        let mut command = scene.command();
        command
            .env("BATON_CLIENT_ID", &id)
            .env("BATON_CLIENT_SECRET", &secret);
        let daemon = scene.spawn(command);
        scene.ends_with(daemon, 2).await;
        let stderr = scene.stderr();
        let last = stderr.lines().last().unwrap_or_default();
        assert!(last.contains(told), "{told} is not in {last}");
        assert!(
            !stderr.contains(&jwk) && !stderr.contains("11qYAY"),
            "the key shows"
        );
        assert!(
            scene
                .platform
                .log()
                .iter()
                .all(|entry| matches!(entry.event, Event::Gone)),
            "nobody is asked"
        );
    }
}

fn secret(jwk: &str) -> String {
    use base64::Engine as _;
    format!(
        "secret-token:platform.example:v1:{}",
        base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(jwk)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_without_a_trusted_certificate_is_sent_nothing() {
    let scene = Scene::new().await;
    let mut command = scene.command();
    command.env_remove("SSL_CERT_FILE");
    let daemon = scene.spawn(command);
    let complaint = async {
        // It goes on trying; what it says about it is enough.
        while !scene.stderr().contains("certificate") {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(2), complaint)
        .await
        .expect("it tells of the certificate");
    assert!(scene.platform.log().is_empty(), "{}", scene.platform.story());
    drop(daemon);
    scene.judge();
}
