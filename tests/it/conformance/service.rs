//! Messages, the limiter, Validate, metadata, whole syncs and Cleanup: PC-9 to 14, 16, 39, 40, 42, 43.

use baton_coupa::proto::connector as c1;
use baton_coupa::proto::connector::resource_types_service_client::ResourceTypesServiceClient;
use baton_coupa::proto::ratelimit as rl;
use baton_coupa::proto::ratelimit::rate_limit_description::Status as Limit;
use prost::Message as _;
use prost_types::Any;
use tonic::Request;
use tonic::metadata::{AsciiMetadataValue, BinaryMetadataValue, MetadataValue};

use super::{NEXT_SYNC, SYNC, Subject, Upstream, Verdict, Violation, ensure};
use crate::grpc::client::{Client, Resources};
use crate::grpc::harvest::{self, Store};

const LIMIT: usize = 4 * 1024 * 1024;

pub(super) async fn pc_09(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Bulky).await;
    let harvest = harvest::sync(server.client(), SYNC, 1).await?;
    ensure(harvest.bytes > LIMIT, || {
        format!("{} bytes in all prove nothing", harvest.bytes)
    })?;
    ensure(harvest.largest < LIMIT, || {
        format!("a response of {} bytes", harvest.largest)
    })
}

/// A request for resource types with a field that nobody knows.
#[derive(Clone, PartialEq, prost::Message)]
struct FutureRequest {
    #[prost(string, tag = "5")]
    active_sync_id: String,
    #[prost(string, tag = "4000")]
    invention: String,
}

pub(super) async fn pc_10(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Healthy).await;
    let channel = server.client().channel.clone();
    let mut types = ResourceTypesServiceClient::new(channel.clone()).max_encoding_message_size(2 * LIMIT);

    let response = types.list_resource_types(request_of(LIMIT - 1024)).await;
    ensure(response.is_ok(), || {
        "a request of 4 MiB less 1 kB is refused".to_owned()
    })?;

    let mut request = Request::new(c1::ResourceTypesServiceListResourceTypesRequest::default());
    let text: AsciiMetadataValue = MetadataValue::from_static("anything");
    request.metadata_mut().insert("x-unheard-of", text);
    let bytes: BinaryMetadataValue = MetadataValue::from_bytes(&[0, 255]);
    request.metadata_mut().insert_bin("x-unheard-of-bin", bytes);
    let response = types.list_resource_types(request).await;
    ensure(response.is_ok(), || "unknown metadata is refused".to_owned())?;

    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.map_err(|error| error.to_string())?;
    let codec =
        tonic_prost::ProstCodec::<FutureRequest, c1::ResourceTypesServiceListResourceTypesResponse>::default(
        );
    let request = Request::new(FutureRequest {
        active_sync_id: SYNC.to_owned(),
        invention: "of a later version".to_owned(),
    });
    let path =
        http::uri::PathAndQuery::from_static("/c1.connector.v2.ResourceTypesService/ListResourceTypes");
    let response = grpc.unary(request, path, codec).await;
    ensure(response.is_ok(), || "an unknown field is refused".to_owned())
}

/// A request of exactly that many bytes.
fn request_of(bytes: usize) -> c1::ResourceTypesServiceListResourceTypesRequest {
    let mut filler = vec![0; bytes];
    loop {
        let request = c1::ResourceTypesServiceListResourceTypesRequest {
            annotations: vec![Any {
                type_url: "type.googleapis.com/c1.connector.v2.Unheard".to_owned(),
                value: filler.clone(),
            }],
            ..Default::default()
        };
        match request.encoded_len().checked_sub(bytes) {
            None | Some(0) => return request,
            Some(excess) => filler.truncate(filler.len() - excess),
        }
    }
}

fn ask_limiter() -> rl::DoRequest {
    let entry = |key: &str, value: &str| rl::rate_limit_descriptors::Entry {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    rl::DoRequest {
        request_token: "token-1".to_owned(),
        service: "connector".to_owned(),
        descriptors: Some(rl::RateLimitDescriptors {
            entries: vec![
                entry("connector_method", "/c1.connector.v2.GrantsService/ListGrants"),
                entry("connector_resource_type", "role"),
            ],
        }),
    }
}

pub(super) async fn pc_11(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Healthy).await;
    let response = server.client().limiter().r#do(ask_limiter()).await?.into_inner();
    ensure(response.request_token == "token-1", || {
        "request_token is not echoed".to_owned()
    })?;
    let status = response.description.unwrap_or_default().status();
    ensure(matches!(status, Limit::Empty | Limit::Ok), || {
        format!("status {}", status.as_str_name())
    })
}

pub(super) async fn pc_12(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Healthy).await;
    let report = |description| rl::ReportRequest {
        request_token: "token-1".to_owned(),
        description,
        ..Default::default()
    };
    let bare = server.client().limiter().report(report(None)).await;
    ensure(bare.is_ok(), || "a report without description fails".to_owned())?;
    for status in [
        Limit::Unspecified,
        Limit::Ok,
        Limit::Overlimit,
        Limit::Error,
        Limit::Empty,
    ] {
        let description = rl::RateLimitDescription {
            status: status.into(),
            ..Default::default()
        };
        let outcome = server.client().limiter().report(report(Some(description))).await;
        ensure(outcome.is_ok(), || {
            format!("a report of {} fails", status.as_str_name())
        })?;
    }
    Ok(())
}

pub(super) async fn pc_13(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Healthy).await;
    for request in [ask_limiter(), rl::DoRequest::default()] {
        let response = server.client().limiter().r#do(request).await?.into_inner();
        let status = response.description.unwrap_or_default().status();
        ensure(!matches!(status, Limit::Unspecified | Limit::Error), || {
            format!("{} makes the runner skip the call", status.as_str_name())
        })?;
    }
    Ok(())
}

pub(super) async fn pc_14(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Healthy).await;
    let version = server.client().validate().await?.sdk_version;
    let Some(number) = semver(&version) else {
        return Err(Violation(format!("{version:?} is not semver")));
    };
    ensure(number >= (0, 4, 3), || format!("{version:?} is below 0.4.3"))
}

/// Major, minor and patch of a version without pre-release, with or without a leading `v`.
fn semver(text: &str) -> Option<(u64, u64, u64)> {
    let mut parts = text.strip_prefix('v').unwrap_or(text).split('.');
    let mut next = || {
        let part = parts.next()?;
        let canonical = part == "0" || !part.starts_with('0');
        (canonical && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse().ok())?
    };
    let number = (next()?, next()?, next()?);
    parts.next().is_none().then_some(number)
}

pub(super) async fn pc_16(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Healthy).await;
    let request = c1::ConnectorServiceGetMetadataRequest {};
    let response = server
        .client()
        .connector()
        .get_metadata(request)
        .await?
        .into_inner();
    let Some(metadata) = response.metadata else {
        return Err(Violation("no metadata".to_owned()));
    };
    ensure((1..=1024).contains(&metadata.display_name.len()), || {
        "display_name".to_owned()
    })?;
    let https = metadata
        .help_url
        .strip_prefix("https://")
        .is_some_and(|rest| !rest.is_empty());
    ensure(
        metadata.help_url.is_empty() || (https && metadata.help_url.len() <= 1024),
        || "help_url is not https".to_owned(),
    )?;
    ensure(metadata.description.len() <= 4096, || {
        "description is too long".to_owned()
    })
}

async fn store(client: &Client, sync: &str, workers: usize) -> Result<Store, Violation> {
    Ok(harvest::sync(client, sync, workers).await?.ingest()?)
}

pub(super) async fn pc_39(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Healthy).await;
    let alone = store(server.client(), SYNC, 1).await?;
    let together = store(server.client(), NEXT_SYNC, 4).await?;
    ensure(alone == together, || {
        "the rows of one and of four workers differ".to_owned()
    })?;
    let listing = Resources::of("user");
    let call = || server.client().all(&listing, SYNC);
    let (a, b, c, d) = futures::future::join4(call(), call(), call(), call()).await;
    for rows in [a?, b?, c?, d?] {
        let expected = alone.resources.keys().filter(|(kind, _)| kind == "user").count();
        ensure(rows.len() == expected, || {
            "four calls at once differ from one".to_owned()
        })?;
    }
    Ok(())
}

pub(super) async fn pc_40(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Healthy).await;
    let harvest = harvest::sync(server.client(), SYNC, 1).await?;
    let store = harvest.ingest()?;
    ensure(store.dropped == 0, || format!("{} rows dropped", store.dropped))?;
    ensure(store.warnings.is_empty(), || {
        format!("warning: {}", store.warnings.join(", "))
    })?;
    let truth = server.truth();
    ensure(store.resources.keys().eq(truth.resources.iter()), || {
        "resources differ".to_owned()
    })?;
    ensure(store.entitlements.keys().eq(truth.entitlements.iter()), || {
        "entitlements differ".to_owned()
    })?;
    ensure(store.grants.keys().eq(truth.grants.iter()), || {
        "grants differ".to_owned()
    })?;
    ensure(
        harvest.resources.len() == store.resources.len() && harvest.grants.len() == store.grants.len(),
        || "a row was sent twice".to_owned(),
    )
}

pub(super) async fn pc_42(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Growing).await;
    let client = server.client();
    let users = async || Ok::<_, Violation>(client.all(&Resources::of("user"), SYNC).await?.len());
    client.validate().await?;
    let before = users().await?;
    server.grow();
    client.cleanup(SYNC).await?;
    let after = users().await?;
    ensure(after == before + 1, || {
        "after Cleanup the sync still sees the old rows".to_owned()
    })?;
    client.cleanup(SYNC).await?;
    let again = client.cleanup(SYNC).await;
    ensure(again.is_ok(), || "Cleanup fails when called twice".to_owned())?;
    for unknown in [NEXT_SYNC, ""] {
        let outcome = client.cleanup(unknown).await;
        ensure(outcome.is_ok(), || {
            format!("Cleanup fails for the unknown sync {unknown:?}")
        })?;
    }
    Ok(())
}

pub(super) async fn pc_43(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Healthy).await;
    let named = store(server.client(), SYNC, 1).await?;
    let nameless = store(server.client(), "", 1).await?;
    ensure(named == nameless, || {
        "rows with and without a sync id differ".to_owned()
    })
}
