//! What failures of the tenant look like: PC-15 and 44 to 47.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use baton_coupa::proto;
use baton_coupa::proto::connector as c1;
use prost::Message as _;
use tonic::{Code, Status};

use super::{SYNC, Subject, Upstream, Verdict, Violation, ensure};
use crate::grpc::client::{Client, Grants, Listing, Resources, Scope, Trouble};

const DENIED: [Code; 2] = [Code::Unauthenticated, Code::PermissionDenied];

/// The status in which a listing ends.
async fn failure<L: Listing>(client: &Client, listing: &L) -> Result<Status, Violation> {
    match client.all(listing, SYNC).await {
        Ok(_) => Err(Violation("the listing succeeded".to_owned())),
        Err(Trouble::Status(status)) => Ok(status),
        Err(trouble @ Trouble::Stuck(_)) => Err(trouble.into()),
    }
}

/// Judges the statuses in which the listings end that read the tenant.
async fn failures(subject: Subject, upstream: Upstream, judge: impl Fn(&Status) -> Verdict) -> Verdict {
    let server = subject.start(upstream).await;
    let client = server.client();
    judge(&failure(client, &Resources::of("user")).await?)?;
    judge(&failure(client, &Grants(Scope::Type("group".to_owned()))).await?)
}

fn expect(code: Code, allowed: &[Code], upstream: Upstream) -> Verdict {
    ensure(allowed.contains(&code), || format!("{upstream:?} gives {code:?}"))
}

pub(super) async fn pc_15(subject: Subject) -> Verdict {
    let table: [(Upstream, &[Code]); 3] = [
        (Upstream::BadCredentials, &DENIED),
        (Upstream::Forbidden, &DENIED),
        (Upstream::Unreachable, &[Code::Unavailable]),
    ];
    for (upstream, allowed) in table {
        let server = subject.start(upstream).await;
        let Err(status) = server.client().validate().await else {
            return Err(Violation(format!("Validate succeeded while {upstream:?}")));
        };
        expect(status.code(), allowed, upstream)?;
    }
    Ok(())
}

pub(super) async fn pc_44(subject: Subject) -> Verdict {
    let start = SystemTime::now();
    failures(subject, Upstream::RateLimited, |status| limited(status, start)).await
}

/// A rate limit that lasts beyond `start`, when the first call was made.
fn limited(status: &Status, start: SystemTime) -> Verdict {
    expect(status.code(), &[Code::Unavailable], Upstream::RateLimited)?;
    let details = tonic_types::Status::decode(status.details())
        .unwrap_or_default()
        .details;
    let Some(limit) = proto::annotation::<c1::RateLimitDescription>(&details) else {
        return Err(Violation("no RateLimitDescription in the details".to_owned()));
    };
    let over = limit.status() == c1::rate_limit_description::Status::Overlimit;
    ensure(over, || {
        format!("the detail says {}", limit.status().as_str_name())
    })?;
    let reset = limit.reset_at.unwrap_or_default();
    let reset = UNIX_EPOCH
        + Duration::new(
            u64::try_from(reset.seconds).unwrap_or(0),
            reset.nanos.unsigned_abs(),
        );
    ensure(reset > start, || "reset_at is in the past".to_owned())
}

pub(super) async fn pc_45(subject: Subject) -> Verdict {
    let late = [Code::Unavailable, Code::DeadlineExceeded];
    let table: [(Upstream, &[Code]); 8] = [
        (Upstream::Broken, &late),
        (Upstream::Resets, &late),
        (Upstream::Hangs, &late),
        (Upstream::Unreachable, &late),
        (Upstream::BadCredentials, &DENIED),
        (Upstream::Forbidden, &DENIED),
        (Upstream::Rejects, &DENIED),
        (Upstream::Denies, &DENIED),
    ];
    for (upstream, allowed) in table {
        failures(subject, upstream, |status| {
            expect(status.code(), allowed, upstream)
        })
        .await?;
    }
    Ok(())
}

pub(super) async fn pc_46(subject: Subject) -> Verdict {
    failures(subject, Upstream::MissingCollection, |status| {
        ensure(status.code() != Code::NotFound, || {
            "a missing collection gives NotFound".to_owned()
        })
    })
    .await
}

pub(super) async fn pc_47(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Panics).await;
    let client = server.client();
    for _ in 0..2 {
        let code = client.validate().await.err().map(|status| status.code());
        ensure(code == Some(Code::Internal), || {
            format!("a panic gives {code:?}, not Internal")
        })?;
    }
    let users = client.all(&Resources::of("user"), SYNC).await;
    ensure(users.is_ok_and(|rows| !rows.is_empty()), || {
        "after a panic the server no longer goes on".to_owned()
    })
}
