//! The instrument, proved: a client that keeps every rule passes, and each that breaks one is found out by exactly that rule.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use tonic::Code;

use super::client::{Client, Defect};
use super::fake::{Beat, Event, Platform, Rpc, Trouble, token};
use super::task::Task;

async fn with_tasks() -> Platform {
    let platform = Platform::with(token::Client::with_kid("key-1")).await;
    for task in [
        Task::hello(),
        Task::sync(),
        Task::grant("role:1:member", 5),
        Task::unheard_of(977),
    ] {
        platform.give(task);
    }
    platform
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_client_passes() {
    let platform = with_tasks().await;
    Client::new(&platform, None).await.live().await.unwrap();
    assert_eq!(platform.audit(), Vec::<String>::new(), "{}", platform.story());
    let happened: Vec<String> = platform
        .log()
        .iter()
        .map(|entry| format!("{:?}", entry.event))
        .collect();
    let kinds: Vec<&str> = happened
        .iter()
        .map(|text| text.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "token",
            "Hello",
            "GetTask",
            "handed",
            "Hello",
            "GetTask",
            "handed",
            "Heartbeat",
            "upload",
            "upload",
            "FinishTask",
            "GetTask",
            "handed",
            "FinishTask",
            "GetTask",
            "handed",
            "FinishTask",
            "GetTask"
        ]
    );
}

/// What the auditor says of each defect.
const TOLD: [(Defect, &str); 39] = [
    (Defect::MissingClaim, "assertion: claims {"),
    (Defect::AdditionalClaim, "assertion: claims {"),
    (Defect::WrongAudience, "assertion: aud is ["),
    (
        Defect::AudienceWithPort,
        "assertion: aud is \"tenant.platform.example:8443\"",
    ),
    (Defect::LongLife, "assertion: nbf -120 and exp 3600 around iat"),
    (Defect::Stale, "s from now"),
    (Defect::TypedHeader, "assertion: header fields {"),
    (Defect::ShortNonce, "the nonce is not 16 bytes"),
    (Defect::RepeatedNonce, "a nonce comes twice"),
    (Defect::MissingKid, "assertion: kid is null"),
    (Defect::ForeignKey, "the signature does not fit"),
    (Defect::FormField, "token: form fields {"),
    (Defect::TokenAgent, "token: user agent \"curl\""),
    (Defect::RpcAgent, "Hello: user agent"),
    (Defect::WrongAuthority, "a request for \"elsewhere.example\""),
    (Defect::NoBearer, "Hello comes without a bearer token"),
    (Defect::ExpiredToken, "Hello comes with a token that has expired"),
    (Defect::OtherHost, "Hello: host_id is \"another\""),
    (Defect::EmptyOs, "Hello: virtualization_system is empty"),
    (Defect::NoMetadata, "Hello: no connector_metadata"),
    (Defect::TaskFirst, "a task is asked for before Hello"),
    (Defect::TooManyAtOnce, "while 3 of 3 slots are taken"),
    (Defect::NoHelloForTask, "(Hello) was claimed and left unfinished"),
    (Defect::FinishedHello, "which ends by Hello"),
    (Defect::BeatOfGrant, "which is no sync that was handed out"),
    (Defect::UploadWithoutBeat, "before any heartbeat was accepted"),
    (Defect::SmallChunks, "data after a chunk that is not of 512 KiB"),
    (Defect::EmptyChunk, "0 bytes of data"),
    (Defect::WrongHash, "the hash does not fit"),
    (Defect::NoUpload, "with success and without an upload"),
    (Defect::FourUploads, "is tried 4 times"),
    (Defect::NotC1z, "no c1z file"),
    (Defect::Unfinished, "was claimed and left unfinished"),
    (Defect::FinishedTwice, "twice"),
    (Defect::FinishedStrange, "which was not handed out"),
    (Defect::NoFinalState, "FinishTask: no final state"),
    (Defect::NoStatus, "an error without a status"),
    (Defect::MarkWithoutWords, "words and mark differ"),
    (Defect::WrongResponse, "in place of"),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_broken_rule_is_told() {
    let each = stream::iter(TOLD).map(|(defect, told)| tokio::spawn(one_broken_rule(defect, told)));
    each.buffer_unordered(8)
        .for_each(async |judged| judged.unwrap())
        .await;
}

async fn one_broken_rule(defect: Defect, told: &str) {
    let platform = with_tasks().await;
    if defect == Defect::ExpiredToken {
        platform.inner().token_life = 1;
    }
    let mut client = Client::new(&platform, Some(defect)).await;
    // Many end with a refusal; what counts is what the platform says.
    let lived = client.live().await;
    let found = platform.audit();
    assert!(
        found.iter().any(|text| text.contains(told)),
        "{defect:?} ended with {lived:?} and is told as {found:?}"
    );
}

/// A client that has said hello.
async fn started(platform: &Platform) -> Client<'_> {
    let mut client = Client::new(platform, None).await;
    assert!(client.log_in().await);
    client.hello("").await.unwrap();
    client
}

/// The same client on a new connection.
async fn again<'a>(platform: &'a Platform, client: &Client<'_>) -> Client<'a> {
    let mut fresh = Client::new(platform, None).await;
    fresh.take_token(client);
    fresh
}

#[tokio::test(flavor = "multi_thread")]
async fn troubles_come_in_their_order_and_as_told() {
    let platform = Platform::start().await;
    let client = started(&platform).await;
    let sync = Task::sync();
    platform.give(sync.clone());
    platform.trouble(
        Rpc::GetTask,
        [
            Trouble::Refused(Code::Unavailable),
            Trouble::Lost(Code::Unavailable),
        ],
    );
    for _ in 0..2 {
        assert_eq!(client.task().await.err().unwrap().code(), Code::Unavailable);
    }
    assert_eq!(
        client.task().await.unwrap().unwrap().id,
        sync.id,
        "a lost answer hands nothing out"
    );

    client.beat(&sync.id).await.unwrap();
    let lost = Trouble::Lost(Code::Unavailable);
    platform.trouble(
        Rpc::UploadAsset,
        [Trouble::BrokenOff(Code::Internal), lost, Trouble::None],
    );
    assert_eq!(client.upload(&sync.id).await.unwrap_err().code(), Code::Internal);
    assert_eq!(
        client.upload(&sync.id).await.unwrap_err().code(),
        Code::Unavailable
    );
    client.upload(&sync.id).await.unwrap();

    platform.trouble(Rpc::FinishTask, [Trouble::LostAndCut]);
    let success = || {
        let success = baton_coupa::proto::platform::baton_service_finish_task_request::Success::default();
        baton_coupa::proto::platform::baton_service_finish_task_request::FinalState::Success(success)
    };
    client.finish(&sync.id, success()).await.unwrap_err();
    // It took effect, and nobody could know: once more is no fault.
    let client = again(&platform, &client).await;
    client.finish(&sync.id, success()).await.unwrap();
    assert_eq!(platform.audit(), Vec::<String>::new(), "{}", platform.story());
    client.finish(&sync.id, success()).await.unwrap();
    assert_eq!(platform.audit().len(), 1, "but a third time is");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_call_gets_no_answer_and_a_cut_one_an_error() {
    let platform = Platform::start().await;
    let client = started(&platform).await;
    platform.trouble(Rpc::GetTask, [Trouble::Hang, Trouble::Cut]);
    let hanging = tokio::time::timeout(Duration::from_millis(300), client.task()).await;
    assert!(hanging.is_err(), "it was answered");
    assert!(client.task().await.is_err());
    let client = again(&platform, &client).await;
    assert!(client.task().await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_is_called_off_or_never_had_a_heartbeat_may_stay_unfinished() {
    let platform = Platform::start().await;
    let client = started(&platform).await;
    let [off, dropped] = [Task::sync(), Task::sync()];
    platform.give(off.clone());
    platform.give(dropped.clone());
    client.task().await.unwrap();
    client.task().await.unwrap();
    assert_eq!(platform.audit().len(), 2);
    assert!(!client.beat(&off.id).await.unwrap().cancelled);
    platform.cancel(&off.id);
    assert!(client.beat(&off.id).await.unwrap().cancelled);
    platform.trouble(Rpc::Heartbeat, [Trouble::Refused(Code::Unavailable)]);
    assert!(client.beat(&dropped.id).await.is_err());
    assert_eq!(platform.audit(), Vec::<String>::new());
    let beats = platform.log().into_iter().filter_map(|entry| match entry.event {
        Event::Beat { answer, .. } => Some(answer),
        _ => None,
    });
    assert_eq!(
        beats.collect::<Vec<_>>(),
        [Beat::Fine, Beat::Cancelled, Beat::Failed]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn several_tasks_at_once_leave_out_those_known() {
    let platform = Platform::start().await;
    let client = started(&platform).await;
    let tasks = [Task::sync(), Task::sync(), Task::sync()];
    platform.give(tasks[0].clone());
    let first = client.tasks(6, Vec::new()).await.unwrap();
    assert_eq!(first.len(), 1);
    for task in &tasks {
        platform.give(task.clone());
    }
    let known = vec![tasks[0].id.clone()];
    let next = client.tasks(5, known.clone()).await.unwrap();
    let ids: Vec<_> = next.iter().map(|task| task.id.as_str()).collect();
    assert_eq!(ids, [&tasks[1].id, &tasks[2].id]);
    platform.lapse();
    assert_eq!(platform.audit(), Vec::<String>::new());
    client.tasks(6, known).await.unwrap();
    client.tasks(1, vec![super::task::fresh_id()]).await.unwrap();
    let found = platform.audit();
    let [greedy, strange, left] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert!(
        greedy.contains("5 at most") && strange.contains("was not handed out"),
        "{found:?}"
    );
    assert!(
        left.starts_with(&tasks[0].id),
        "what is not known is handed out again: {found:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_forgotten_is_refused_and_no_fault() {
    let platform = Platform::start().await;
    let mut client = started(&platform).await;
    platform.forget_tokens();
    assert_eq!(client.task().await.err().unwrap().code(), Code::Unauthenticated);
    assert!(client.log_in().await);
    assert!(client.task().await.unwrap().is_none());
    assert_eq!(platform.audit(), Vec::<String>::new());
}
