//! What the program does in its life as a child: a slow runner, whole syncs, changes, trouble with Coupa, and every way to end.

use std::fs;
use std::pin::pin;

use baton_coupa::model::access::Item;
use baton_coupa::proto::connector as c1;
use baton_coupa::proto::connector::grant_manager_service_client::GrantManagerServiceClient;
use baton_coupa::proto::ratelimit as rl;
use baton_coupa::proto::ratelimit::rate_limit_description::Status as Limit;
use baton_coupa::proto::ratelimit::rate_limiter_config::Type;
use baton_coupa::sandbox::{SandboxConfig, TruthUser};
use tokio::net::TcpStream;
use tonic::{Code, Status};

use super::parent::{LISTENER_FD, Launched, Said, Start};
use super::{Real, small, stalled};
use crate::changes::cast;
use crate::grpc::client::{Client, Resources, stub};
use crate::grpc::harvest::has;
use crate::grpc::walk::full_sync;
use crate::support::truth::{DEFAULT_CLASSES, Ids};

const SYNC: &str = "2wPbMEhC9cN9k9PqEV2sBUbUuu7";

/// The runner leaves, and the child ends as it should.
async fn ends_well(mut child: Launched) -> String {
    child.leave();
    let ended = child.ended().await;
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    ended.stderr
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_runner_is_waited_for() {
    let real = Real::new(small()).await;
    let mut child = real.launch(Start::saying(Said::Later));
    // The socket listens before the child does anything.
    drop(TcpStream::connect(child.addr).await.unwrap());
    let line = child.line();
    let (first, second) = line.split_at(line.len() / 2);
    child.say(first);
    tokio::task::yield_now().await;
    child.say(second);
    child.client().await.unwrap().validate().await.unwrap();
    ends_well(child).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_dies_while_it_speaks_is_told_of() {
    let real = Real::new(small()).await;
    let child = real.launch(Start::saying(Said::Alone("AAAA".to_owned())));
    let ended = child.ended().await;
    assert!(
        ended.failed_saying("in the middle of the runner's line"),
        "{ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_sync_through_a_child_brings_everything_once() {
    let real = Real::new(SandboxConfig {
        users: 230,
        ..SandboxConfig::default()
    })
    .await;
    let child = real.launch(Start::usual());
    let client = child.client().await.unwrap();
    full_sync(&client, &Ids::of(&real.sandbox.truth(), &DEFAULT_CLASSES)).await;
    ends_well(child).await;
}

/// Somebody, and something that may be granted to them.
struct Deed {
    user: TruthUser,
    role: Item,
}

impl Deed {
    async fn prepare() -> (Real, Self) {
        let real = Real::new(SandboxConfig {
            users: 120,
            ..SandboxConfig::default()
        })
        .await;
        let truth = real.sandbox.truth();
        let user = cast::people(&truth).swap_remove(0);
        let role = cast::other_role(&truth, &user).unwrap();
        (real, Self { user, role })
    }

    fn entitlement(&self) -> c1::Entitlement {
        c1::Entitlement {
            id: cast::entitlement(&self.role),
            ..Default::default()
        }
    }

    fn principal(&self) -> c1::Resource {
        stub("user", &self.user.id.to_string())
    }

    /// Annotations of the answer.
    async fn grant(&self, client: &Client) -> Result<Vec<prost_types::Any>, Status> {
        let request = c1::GrantManagerServiceGrantRequest {
            entitlement: Some(self.entitlement()),
            principal: Some(self.principal()),
            ..Default::default()
        };
        let mut service = GrantManagerServiceClient::new(client.channel.clone());
        Ok(service.grant(request).await?.into_inner().annotations)
    }

    async fn revoke(&self, client: &Client) -> Result<Vec<prost_types::Any>, Status> {
        let request = c1::GrantManagerServiceRevokeRequest {
            grant: Some(c1::Grant {
                entitlement: Some(self.entitlement()),
                principal: Some(self.principal()),
                ..Default::default()
            }),
            ..Default::default()
        };
        let mut service = GrantManagerServiceClient::new(client.channel.clone());
        Ok(service.revoke(request).await?.into_inner().annotations)
    }

    fn is_done(&self, real: &Real) -> bool {
        let Item::Role(role) = &self.role else {
            panic!("a role was chosen");
        };
        let users = real.sandbox.truth().users;
        let user = users.into_iter().find(|user| user.id == self.user.id).unwrap();
        user.roles.contains(&role.get())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_made_where_the_runner_makes_changes() {
    let (real, deed) = Deed::prepare().await;
    let reading = real.launch(Start::usual());
    let refused = deed.grant(&reading.client().await.unwrap()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    ends_well(reading).await;
    // A runner that is to make one change does not say `--provisioning`.
    for flags in [
        &["-p"][..],
        &["--grant-entitlement", "role:1:member", "--grant-principal", "1"],
    ] {
        let child = real.launch(Start::with(flags));
        let client = child.client().await.unwrap();
        assert!(deed.grant(&client).await.unwrap().is_empty());
        assert!(deed.is_done(&real));
        assert!(has::<c1::GrantAlreadyExists>(&deed.grant(&client).await.unwrap()));
        assert!(deed.revoke(&client).await.unwrap().is_empty());
        assert!(!deed.is_done(&real));
        assert!(has::<c1::GrantAlreadyRevoked>(
            &deed.revoke(&client).await.unwrap()
        ));
        ends_well(child).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_child_reads_and_changes_when_its_turn_comes() {
    let (real, deed) = Deed::prepare().await;
    let first = real.launch(Start::with(&["-p"]));
    first.client().await.unwrap().validate().await.unwrap();
    let second = real.launch(Start::with(&["-p"]));
    let client = second.client().await.unwrap();
    client.validate().await.unwrap();
    assert!(!client.all(&Resources::of("user"), SYNC).await.unwrap().is_empty());
    let told = deed.grant(&client).await.unwrap_err();
    assert_eq!(told.code(), Code::Aborted);
    assert!(told.message().contains("another process"), "{}", told.message());
    assert!(!deed.is_done(&real));
    ends_well(first).await;
    deed.grant(&client).await.unwrap();
    assert!(deed.is_done(&real));
    ends_well(second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_coupa_is_an_answer_and_no_end() {
    let real = Real::new(small()).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for (name, value, code) in [
        (
            "BATON_COUPA_CLIENT_ID",
            "somebody else".to_owned(),
            Code::Unauthenticated,
        ),
        (
            "BATON_COUPA_BASE_URL",
            format!("http://{free}"),
            Code::Unavailable,
        ),
    ] {
        let child = real.launch(Start::usual().var(name, &value));
        let client = child.client().await.unwrap();
        for _ in 0..2 {
            assert_eq!(client.validate().await.err().unwrap().code(), code, "{name}");
        }
        ends_well(child).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_the_state_directory_is_an_answer_and_no_end() {
    let (real, deed) = Deed::prepare().await;
    let file = real.folder.path().join("a file");
    fs::write(&file, "in the way").unwrap();
    let place = file.to_str().unwrap();
    let child = real.launch(Start::with(&["-p"]).var("BATON_STATE_DIR", place));
    let client = child.client().await.unwrap();
    let told = client.validate().await.err().unwrap();
    assert!(told.message().contains(place), "{}", told.message());
    assert_eq!(deed.grant(&client).await.unwrap_err().message(), told.message());
    // Rows read without the guard that the directory is for are not handed out.
    assert!(client.all(&Resources::of("user"), SYNC).await.is_err());
    let log = ends_well(child).await;
    assert!(log.contains("every question is answered so"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_without_a_place_for_their_journal_are_refused_by_name() {
    let real = Real::new(small()).await;
    // Neither a state directory nor a home.
    let child = real.launch(Start::with(&["-p", "--state-dir="]).var("BATON_STATE_DIR", ""));
    let told = child.client().await.unwrap().validate().await.err().unwrap();
    assert_eq!(told.code(), Code::FailedPrecondition);
    assert!(told.message().contains("--state-dir"), "{}", told.message());
    ends_well(child).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runners_limit_is_kept() {
    let real = Real::new(small()).await;
    let asking_for = |limit| Start {
        limiter: Some(rl::RateLimiterConfig { r#type: Some(limit) }),
        ..Start::usual()
    };
    let child = real.launch(asking_for(Type::FixedMem(rl::FixedMemoryLimiter {
        rate: 2,
        period: Some(prost_types::Duration {
            seconds: 86_400,
            nanos: 0,
        }),
    })));
    let mut limiter = child.client().await.unwrap().limiter();
    for expected in [Limit::Ok, Limit::Ok, Limit::Overlimit] {
        let request = rl::DoRequest {
            request_token: "token".to_owned(),
            ..Default::default()
        };
        let answer = limiter.r#do(request).await.unwrap().into_inner();
        assert_eq!(answer.request_token, "token");
        let description = answer.description.unwrap();
        assert!(description.status() == expected && description.reset_at.is_some());
    }
    limiter.report(rl::ReportRequest::default()).await.unwrap();
    ends_well(child).await;

    let child = real.launch(asking_for(Type::External(rl::ExternalLimiter::default())));
    let ended = child.ended().await;
    assert!(ended.failed_saying("external service"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_are_missing_are_all_named() {
    let real = Real::new(small()).await;
    let start = Start::usual()
        .var("BATON_COUPA_BASE_URL", "")
        .var("BATON_COUPA_CLIENT_ID", "");
    let ended = real.launch(start).ended().await;
    for name in ["coupa-client-id", "coupa-domain"] {
        assert!(ended.failed_saying(name), "{ended:?}");
    }
    assert!(!ended.stderr.contains(LISTENER_FD), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_a_child_in_order() {
    for signal in ["-TERM", "-INT"] {
        let real = Real::new(small()).await;
        let child = real.launch(Start::usual());
        let client = child.client().await.unwrap();
        client.validate().await.unwrap();
        child.signal(signal);
        let ended = child.ended().await;
        assert_eq!(ended.status, Some(0), "{signal}: {}", ended.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_lets_calls_end_and_the_end_of_the_runner_does_not() {
    let real = Real::new(small()).await;
    let mut child = real.launch(Start::usual());
    let client = child.client().await.unwrap();
    real.sandbox.set_faults(stalled());
    let mut connector = client.connector();
    let mut call = pin!(connector.validate(c1::ConnectorServiceValidateRequest {}));
    assert!(futures::poll!(call.as_mut()).is_pending());
    let metadata = c1::ConnectorServiceGetMetadataRequest {};
    client.connector().get_metadata(metadata).await.unwrap();
    child.signal("-TERM");
    // Coupa does not answer, so the call would have its 20 seconds. Then the runner goes, too.
    child.leave();
    let ended = child.ended().await;
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("cutting off"), "{}", ended.stderr);
    assert!(call.await.is_err());
}
