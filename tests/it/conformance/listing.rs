//! How lists are asked for: PC-26 to 30 and 35 to 37.

use std::collections::BTreeSet;

use baton_coupa::proto::connector as c1;
use tonic::{Code, Status};

use super::{Instance, SYNC, Subject, Upstream, Verdict, Violation, ensure};
use crate::grpc::client::{
    Ask, Client, Entitlements, Grants, Listing, Page, Resources, Scope, Templates, Trouble, Types,
};
use crate::grpc::harvest::{has, key};

/// A page size that makes lists have pages.
const SMALL: u32 = 20;
/// A type that nobody has.
const UNKNOWN: &str = "unheard-of";

async fn types(client: &Client) -> Result<Vec<c1::ResourceType>, Trouble> {
    client.all(&Types, SYNC).await
}

/// Ids of the types whose grants are listed as a whole.
async fn marked(client: &Client) -> Result<Vec<String>, Violation> {
    let marked = types(client)
        .await?
        .into_iter()
        .filter(|kind| has::<c1::TypeScopedGrants>(&kind.annotations));
    Ok(marked.map(|kind| kind.id).collect())
}

pub(super) async fn pc_26(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Healthy).await;
    for kind in types(server.client()).await? {
        server.client().all(&Templates { kind: kind.id }, SYNC).await?;
    }
    Ok(())
}

/// How a chain ends, page by page, since a first page may be empty while the tenant is read.
async fn outcome<L: Listing>(client: &Client, listing: &L) -> Result<usize, Code> {
    match client.all(listing, SYNC).await {
        Ok(rows) => Ok(rows.len()),
        Err(Trouble::Status(status)) => Err(status.code()),
        Err(Trouble::Stuck(_)) => Err(Code::Unknown),
    }
}

pub(super) async fn pc_27(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Healthy).await;
    let client = server.client();
    let unknown = || Scope::id(UNKNOWN, "1");
    let outcomes = [
        ("ListResources", outcome(client, &Resources::of(UNKNOWN)).await),
        (
            "ListEntitlements",
            outcome(client, &Entitlements(unknown())).await,
        ),
        (
            "ListStaticEntitlements",
            outcome(
                client,
                &Templates {
                    kind: UNKNOWN.to_owned(),
                },
            )
            .await,
        ),
        ("ListGrants", outcome(client, &Grants(unknown())).await),
    ];
    for (call, outcome) in outcomes {
        ensure(outcome == Err(Code::NotFound), || {
            format!("{call} of an unknown type: {outcome:?}")
        })?;
    }
    Ok(())
}

/// Rows of a chain that asks for that many per page.
async fn rows_by<L: Listing>(client: &Client, listing: &L, size: u32) -> Result<usize, Status> {
    let (mut rows, mut token) = (0, String::new());
    for _ in 0..5_000 {
        let ask = Ask {
            token: &token,
            sync: SYNC,
            size,
        };
        let page = listing.page(client, &ask).await?;
        rows += page.rows.len();
        token = page.next;
        if token.is_empty() {
            break;
        }
    }
    Ok(rows)
}

pub(super) async fn pc_28(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Healthy).await;
    let client = server.client();
    let users = Resources::of("user");
    let group = || Scope::Type("group".to_owned());
    let default = (
        rows_by(client, &users, 0).await?,
        rows_by(client, &Grants(group()), 0).await?,
    );
    let largest = (
        rows_by(client, &users, 250).await?,
        rows_by(client, &Grants(group()), 250).await?,
    );
    ensure(default == largest && default.0 > 0 && default.1 > 0, || {
        format!("page_size 0 brings {default:?} rows, 250 brings {largest:?}")
    })?;
    let big = Ask {
        token: "",
        sync: SYNC,
        size: 251,
    };
    let refused = |call: &str, code: Option<Code>| {
        ensure(code == Some(Code::InvalidArgument), || {
            format!("{call} with page_size 251: {code:?}")
        })
    };
    refused("ListResourceTypes", code(Types.page(client, &big).await))?;
    refused("ListResources", code(users.page(client, &big).await))?;
    let templates = Templates {
        kind: "group".to_owned(),
    };
    refused("ListStaticEntitlements", code(templates.page(client, &big).await))?;
    let entitlements = Entitlements(Scope::id("group", "2"));
    refused("ListEntitlements", code(entitlements.page(client, &big).await))?;
    refused("ListGrants", code(Grants(group()).page(client, &big).await))
}

fn code<T>(outcome: Result<Page<T>, Status>) -> Option<Code> {
    outcome.err().map(|status| status.code())
}

/// Every chain of a sync, with what each says about its tokens.
async fn token_lengths(client: &Client) -> Result<Vec<usize>, Violation> {
    let mut lengths = vec![client.chain(&Types, "", SYNC).await?.longest_token];
    for kind in types(client).await? {
        let resources = client.chain(&Resources::of(&kind.id), "", SYNC).await?;
        lengths.push(resources.longest_token);
        let templates = Templates {
            kind: kind.id.clone(),
        };
        lengths.push(client.chain(&templates, "", SYNC).await?.longest_token);
        if has::<c1::TypeScopedGrants>(&kind.annotations) {
            let grants = Grants(Scope::Type(kind.id.clone()));
            lengths.push(client.chain(&grants, "", SYNC).await?.longest_token);
        }
    }
    Ok(lengths)
}

pub(super) async fn pc_29(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Healthy).await;
    let lengths = token_lengths(&server.client().by(SMALL)).await?;
    ensure(lengths.iter().any(|length| *length > 0), || {
        "no listing has a second page".to_owned()
    })?;
    ensure(lengths.iter().all(|length| *length <= 1_048_576), || {
        "a token above 1048576 bytes".to_owned()
    })
}

pub(super) async fn pc_30(subject: Subject) -> Verdict {
    let old = subject.start(Upstream::Healthy).await;
    let fresh = subject.start(Upstream::Healthy).await;
    let resource = |row: &c1::Resource| key(row.id.as_ref()).unwrap_or_default().1;
    let grant = |row: &c1::Grant| row.id.clone();
    replay(&old, &fresh, &Resources::of("user"), resource).await?;
    for kind in marked(old.client()).await? {
        replay(&old, &fresh, &Grants(Scope::Type(kind.clone())), grant).await?;
        malformed(&old, &Grants(Scope::Type(kind))).await?;
    }
    malformed(&old, &Resources::of("user")).await
}

/// From each token of the old server, the fresh one brings the rest that the old one brings.
async fn replay<L: Listing>(
    old: &Instance,
    fresh: &Instance,
    listing: &L,
    id: impl Fn(&L::Row) -> String,
) -> Verdict {
    let (old, fresh) = (old.client().by(SMALL), fresh.client().by(SMALL));
    let chain = old.chain(listing, "", SYNC).await?;
    ensure(!chain.tokens.is_empty(), || "no token to replay".to_owned())?;
    for token in &chain.tokens {
        let rest = |rows: &[L::Row]| rows.iter().map(&id).collect::<BTreeSet<_>>();
        let here = old.chain(listing, token, SYNC).await?.rows;
        let there = fresh
            .chain(listing, token, SYNC)
            .await
            .map_err(|trouble| format!("a fresh server refuses the token: {trouble}"))?
            .rows;
        ensure(rest(&here) == rest(&there), || {
            "the rest after a token differs between servers".to_owned()
        })?;
        let whole = rest(&chain.rows);
        let ok =
            rest(&here).is_subset(&whole) && (rest(&here).len() < whole.len() || chain.tokens[0] == *token);
        ensure(ok, || {
            "the rest after a token and the whole differ in the wrong way".to_owned()
        })?;
    }
    Ok(())
}

async fn malformed<L: Listing>(server: &Instance, listing: &L) -> Verdict {
    for token in ["\u{1F9F8}", "garbage", "{\"states\":[]}", "-1"] {
        let outcome = listing.page(server.client(), &Ask::of(token, SYNC)).await;
        let code = code(outcome);
        ensure(code == Some(Code::InvalidArgument), || {
            format!("the malformed token {token:?} gives {code:?}")
        })?;
    }
    Ok(())
}

pub(super) async fn pc_35(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Healthy).await;
    let client = server.client();
    let marked = marked(client).await?;
    ensure(!marked.is_empty(), || "no type is listed as a whole".to_owned())?;
    for kind in marked {
        let whole = client.all(&Grants(Scope::Type(kind.clone())), SYNC).await?;
        let mut single = Vec::new();
        for resource in client.all(&Resources::of(&kind), SYNC).await? {
            single.extend(
                client
                    .all(&Grants(Scope::Resource(Box::new(resource))), SYNC)
                    .await?,
            );
        }
        let ids = |rows: &[c1::Grant]| rows.iter().map(|row| row.id.clone()).collect::<BTreeSet<_>>();
        ensure(ids(&whole) == ids(&single) && whole.len() == single.len(), || {
            format!("grants of {kind} by type and by resource differ")
        })?;
    }
    Ok(())
}

pub(super) async fn pc_36(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Healthy).await;
    let client = server.client();
    for kind in types(client).await? {
        if has::<c1::TypeScopedGrants>(&kind.annotations) {
            without_marker(client, &kind.id).await?;
        } else {
            let code = outcome(client, &Grants(Scope::Type(kind.id.clone()))).await;
            ensure(code == Err(Code::InvalidArgument), || {
                format!("the marker on the unmarked type {}: {code:?}", kind.id)
            })?;
        }
    }
    Ok(())
}

/// Without the marker only the resource named is meant, even if it is named after its type.
async fn without_marker(client: &Client, kind: &str) -> Verdict {
    let stub = outcome(client, &Grants(Scope::Unmarked(kind.to_owned()))).await;
    let nothing = matches!(stub, Ok(0) | Err(Code::NotFound | Code::InvalidArgument));
    ensure(nothing, || {
        format!("the stub of {kind} without the marker: {stub:?}")
    })?;
    for resource in client.all(&Resources::of(kind), SYNC).await? {
        let own = key(resource.id.as_ref());
        let grants = client
            .all(&Grants(Scope::Resource(Box::new(resource))), SYNC)
            .await?;
        let foreign = grants.iter().any(|grant| {
            let target = grant.entitlement.as_ref().and_then(|row| row.resource.as_ref());
            target.and_then(|row| key(row.id.as_ref())) != own
        });
        ensure(!foreign, || format!("grants of other resources for {own:?}"))?;
    }
    Ok(())
}

pub(super) async fn pc_37(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::NoRoles).await;
    let client = server.client();
    let kind = "role".to_owned();
    ensure(marked(client).await?.contains(&kind), || {
        format!("{kind} is not listed as a whole")
    })?;
    let resources = client.all(&Resources::of(&kind), SYNC).await?;
    ensure(resources.is_empty(), || format!("{kind} is not empty"))?;
    let grants = client.all(&Grants(Scope::Type(kind.clone())), SYNC).await?;
    ensure(grants.is_empty(), || {
        format!("grants of {kind} without resources")
    })
}
