//! Sibling chains, targeted syncs, passing trouble, events, tickets and assets: PC-38, 41, 48, 59, 60.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use baton_coupa::proto;
use baton_coupa::proto::connector as c1;
use baton_coupa::proto::connector::asset_service_client::AssetServiceClient;
use baton_coupa::proto::connector::event_service_client::EventServiceClient;
use baton_coupa::proto::connector::tickets_service_client::TicketsServiceClient;
use futures::FutureExt as _;
use prost_types::Any;
use tonic::{Code, Status};

use super::{Instance, SYNC, Subject, Upstream, Verdict, Violation, ensure};
use crate::grpc::client::{
    Ask, Client, Entitlements, Grants, Listing, Resources, Scope, Templates, Types, stub,
};
use crate::grpc::harvest::{self, Key, has, key};

const MOST_TOKENS: usize = 1024;
const LONGEST_TOKEN: usize = 1_048_576;
const MOST_BYTES: usize = 16 << 20;
/// Pages after which a listing counts as endless.
const ENDLESS: usize = 5_000;

/// What a response may say about sibling chains: see PC-38.
pub(super) fn siblings(notes: &[Any], next: &str) -> Result<Vec<String>, Violation> {
    let told: Vec<&Any> = notes
        .iter()
        .filter(|any| proto::is::<c1::EnqueuePageTokens>(any))
        .collect();
    let Some(first) = told.first() else {
        return Ok(Vec::new());
    };
    ensure(told.len() == 1, || "more than one EnqueuePageTokens".to_owned())?;
    let message = proto::annotation::<c1::EnqueuePageTokens>(std::slice::from_ref(*first));
    let tokens = message
        .ok_or_else(|| "EnqueuePageTokens does not decode".to_owned())?
        .page_tokens;
    ensure(tokens.len() <= MOST_TOKENS, || format!("{} tokens", tokens.len()))?;
    ensure(tokens.iter().all(|token| !token.is_empty()), || {
        "an empty token".to_owned()
    })?;
    ensure(tokens.iter().all(|token| token.len() <= LONGEST_TOKEN), || {
        "a token of more than 1 MiB".to_owned()
    })?;
    let bytes: usize = tokens.iter().map(String::len).sum();
    ensure(bytes <= MOST_BYTES, || format!("tokens of {bytes} bytes"))?;
    ensure(!tokens.iter().any(|token| token == next), || {
        "a token equals next_page_token".to_owned()
    })?;
    ensure(
        tokens.iter().collect::<BTreeSet<_>>().len() == tokens.len(),
        || "a token comes twice".to_owned(),
    )?;
    Ok(tokens)
}

/// Every page of a listing and of its siblings.
async fn walk<L: Listing>(client: &Client, listing: &L) -> Verdict {
    let mut waiting = VecDeque::from([String::new()]);
    let mut seen = BTreeSet::new();
    while let Some(token) = waiting.pop_front() {
        // A token that was admitted before is skipped.
        if !seen.insert(token.clone()) {
            continue;
        }
        ensure(seen.len() <= ENDLESS, || "no end".to_owned())?;
        let page = listing.page(client, &Ask::of(&token, SYNC)).await?;
        waiting.extend(siblings(&page.notes, &page.next)?);
        if !page.next.is_empty() {
            waiting.push_back(page.next);
        }
    }
    Ok(())
}

pub(super) async fn pc_38(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Healthy).await;
    let client = server.client();
    for kind in client.all(&Types, SYNC).await? {
        let whole = |marked: bool| marked.then(|| Scope::Type(kind.id.clone()));
        let grants = whole(has::<c1::TypeScopedGrants>(&kind.annotations));
        let entitlements = whole(has::<c1::TypeScopedEntitlements>(&kind.annotations));
        for resource in client.all(&Resources::of(&kind.id), SYNC).await? {
            let scope = || Scope::Resource(Box::new(resource.clone()));
            walk(client, &Grants(scope())).await?;
            walk(client, &Entitlements(scope())).await?;
        }
        if let Some(scope) = grants {
            walk(client, &Grants(scope)).await?;
        }
        if let Some(scope) = entitlements {
            walk(client, &Entitlements(scope)).await?;
        }
    }
    Ok(())
}

/// Of every type that can be read one by one, the resource that somebody holds, else the first.
fn targets(whole: &harvest::Store) -> Vec<Key> {
    let kinds: BTreeSet<&String> = whole.resources.keys().map(|(kind, _)| kind).collect();
    let held = |key: &&&Key| {
        let prefix = format!("{}:{}:", key.0, key.1);
        whole.grants.keys().any(|grant| grant.starts_with(&prefix))
    };
    let one = |kind: &String| {
        let own: Vec<&Key> = whole.resources.keys().filter(|key| key.0 == *kind).collect();
        own.iter().find(held).or(own.first()).map(|key| Key::clone(key))
    };
    kinds.into_iter().filter_map(one).collect()
}

pub(super) async fn pc_41(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Healthy).await;
    let client = server.client();
    let whole = harvest::sync(client, SYNC, 1).await?.ingest()?;
    let kinds = client.all(&Types, SYNC).await?;
    let mut read = BTreeSet::new();
    for target in targets(&whole) {
        let resource = match client.resource(id(&target)).await {
            Err(status) if status.code() == Code::Unimplemented => continue,
            outcome => outcome.map_err(|status| named("GetResource of a target", &status))?,
        };
        ensure(whole.resources.get(&target) == Some(&resource), || {
            format!("GetResource and ListResources differ about {target:?}")
        })?;
        read.insert(target.0.clone());
        on_target(client, &whole, &resource, &target).await?;
        // As an id of this type may look.
        let missing = match target.1.parse::<u64>() {
            Ok(_) => "999999999".to_owned(),
            Err(_) => format!("gone-{}", target.1),
        };
        let code = code(&client.resource(id(&(target.0.clone(), missing))).await);
        ensure(code == Code::NotFound, || {
            format!("GetResource of a missing {}: {code:?}", target.0)
        })?;
    }
    ensure(read.contains("user") && read.len() > 1, || {
        format!("only {read:?} can be read one by one")
    })?;
    ensure(
        read.is_subset(&kinds.into_iter().map(|kind| kind.id).collect()),
        || "a target of no type".to_owned(),
    )?;
    let unknown = client
        .resource(id(&("unheard-of".to_owned(), "1".to_owned())))
        .await;
    let code = code(&unknown);
    ensure(code == Code::Unimplemented, || {
        format!("GetResource of an unsupported type: {code:?}")
    })?;
    client.cleanup(SYNC).await?;
    Ok(())
}

/// What hangs on a target: entitlements, grants, and whoever holds them.
async fn on_target(
    client: &Client,
    whole: &harvest::Store,
    resource: &c1::Resource,
    target: &Key,
) -> Verdict {
    let scope = || Scope::Resource(Box::new(resource.clone()));
    let prefix = format!("{}:{}:", target.0, target.1);
    let listed = client.all(&Entitlements(scope()), SYNC).await?;
    let foreign = listed.iter().any(|row| !whole.entitlements.contains_key(&row.id));
    ensure(!foreign, || {
        format!("{target:?} has entitlements that a full sync lacks")
    })?;
    let grants = client.all(&Grants(scope()), SYNC).await?;
    let ids: BTreeSet<&String> = grants.iter().map(|row| &row.id).collect();
    let known: BTreeSet<&String> = whole.grants.keys().filter(|id| id.starts_with(&prefix)).collect();
    ensure(ids == known, || {
        format!("grants of {target:?} alone and in a full sync differ")
    })?;
    // The store knows nobody yet but the target.
    for grant in &grants {
        let principal = grant.principal.as_ref().and_then(|row| key(row.id.as_ref()));
        let principal = principal.ok_or_else(|| "a grant to nobody".to_owned())?;
        client
            .resource(id(&principal))
            .await
            .map_err(|status| named("GetResource of a principal", &status))?;
    }
    Ok(())
}

fn code<T>(outcome: &Result<T, Status>) -> Code {
    outcome.as_ref().map_or_else(Status::code, |_| Code::Ok)
}

fn id(key: &Key) -> c1::ResourceId {
    stub(&key.0, &key.1).id.unwrap_or_default()
}

fn named(call: &str, status: &Status) -> Violation {
    Violation(format!("{call}: {:?}: {}", status.code(), status.message()))
}

pub(super) async fn pc_48(subject: Subject) -> Verdict {
    let whole = subject.start(Upstream::Healthy).await;
    let whole = harvest::sync(whole.client(), SYNC, 1).await?;
    let kind = whole
        .types
        .iter()
        .find(|kind| has::<c1::TypeScopedGrants>(&kind.annotations))
        .map(|kind| kind.id.clone())
        .ok_or_else(|| "no type is listed as a whole".to_owned())?;
    let single = whole.resources.last().cloned().unwrap_or_default();
    through(subject, &Types, |row| row.id.clone()).await?;
    through(subject, &Resources::of("user"), |row| {
        format!("{:?}", key(row.id.as_ref()))
    })
    .await?;
    through(subject, &Templates { kind: kind.clone() }, |row| row.slug.clone()).await?;
    let scope = Scope::Resource(Box::new(single));
    through(subject, &Entitlements(scope), |row| row.id.clone()).await?;
    through(subject, &Grants(Scope::Type(kind)), |row| row.id.clone()).await
}

/// A listing begins in trouble and is asked for again, three times, as a syncer does it; then the trouble passes.
async fn through<L: Listing>(subject: Subject, listing: &L, id: impl Fn(&L::Row) -> String) -> Verdict {
    let untroubled = subject.start(Upstream::Healthy).await;
    let expected: BTreeSet<String> = untroubled
        .client()
        .all(listing, SYNC)
        .await?
        .iter()
        .map(&id)
        .collect();
    let server = subject.start(Upstream::Healthy).await;
    server.trouble();
    let mut token = String::new();
    let mut rows = BTreeSet::new();
    let mut troubles = 0;
    for _ in 0..ENDLESS {
        match listing.page(server.client(), &Ask::of(&token, SYNC)).await {
            Ok(page) => {
                rows.extend(page.rows.iter().map(&id));
                token = page.next;
                if token.is_empty() {
                    break;
                }
            }
            Err(status) if matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded) => {
                troubles += 1;
                if troubles == 3 {
                    server.mend();
                }
                // A syncer waits a second and more.
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            Err(status) => return Err(named("a listing in passing trouble", &status)),
        }
    }
    ensure(rows == expected, || {
        format!(
            "after {troubles} troubles {} rows of {} came",
            rows.len(),
            expected.len()
        )
    })
}

/// Events of a feed from a cursor on: the ids of each page, and the cursor behind it.
async fn events(server: &Instance, feed: &str, from: &str) -> Result<Vec<(Vec<String>, String)>, Violation> {
    let mut service = EventServiceClient::new(server.client().channel.clone());
    let mut pages = Vec::new();
    let mut cursor = from.to_owned();
    for _ in 0..ENDLESS {
        let request = c1::ListEventsRequest {
            event_feed_id: feed.to_owned(),
            cursor: cursor.clone(),
            page_size: 2,
            ..Default::default()
        };
        let page = service.list_events(request).await?.into_inner();
        cursor = page.cursor;
        ensure(cursor.len() <= 4096, || {
            format!("a cursor of {} bytes", cursor.len())
        })?;
        let ids = page.events.into_iter().map(|event| event.id).collect();
        pages.push((ids, cursor.clone()));
        if !page.has_more {
            return Ok(pages);
        }
    }
    Err(Violation("has_more stays true".to_owned()))
}

pub(super) async fn pc_59(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Healthy).await;
    let mut service = EventServiceClient::new(server.client().channel.clone());
    let feeds = service
        .list_event_feeds(c1::ListEventFeedsRequest::default())
        .await
        .map_err(|status| named("ListEventFeeds", &status))?
        .into_inner()
        .list;
    for feed in &feeds {
        let pages = events(&server, &feed.id, "").await?;
        for (at, (_, cursor)) in pages.iter().enumerate() {
            let ids = |pages: &[(Vec<String>, String)]| {
                let ids = pages.iter().flat_map(|(ids, _)| ids.clone());
                ids.collect::<Vec<String>>()
            };
            let rest = events(&server, &feed.id, cursor).await?;
            ensure(ids(&rest) == ids(&pages[at + 1..]), || {
                "events are lost after a cursor".to_owned()
            })?;
        }
    }
    for feed in ["unheard-of", ""] {
        let request = c1::ListEventsRequest {
            event_feed_id: feed.to_owned(),
            ..Default::default()
        };
        let code = code(&service.list_events(request).await);
        ensure(code == Code::NotFound, || {
            format!("events of an unknown feed: {code:?}")
        })?;
    }
    Ok(())
}

/// Long enough for an answer that needs no tenant.
const AT_ONCE: Duration = Duration::from_secs(5);

pub(super) async fn pc_60(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Healthy).await;
    let channel = server.client().channel.clone();
    let tickets = || TicketsServiceClient::new(channel.clone());
    macro_rules! call {
        ($method:ident($request:ident)) => {
            async { code(&tickets().$method(c1::$request::default()).await) }.boxed()
        };
    }
    let answers = futures::future::join_all([
        call!(create_ticket(TicketsServiceCreateTicketRequest)),
        call!(get_ticket(TicketsServiceGetTicketRequest)),
        call!(list_ticket_schemas(TicketsServiceListTicketSchemasRequest)),
        call!(get_ticket_schema(TicketsServiceGetTicketSchemaRequest)),
        call!(bulk_create_tickets(TicketsServiceBulkCreateTicketsRequest)),
        call!(bulk_get_tickets(TicketsServiceBulkGetTicketsRequest)),
    ]);
    let codes = tokio::time::timeout(AT_ONCE, answers)
        .await
        .map_err(|_| "a ticket call hangs".to_owned())?;
    ensure(!codes.contains(&Code::Ok), || {
        format!("ticket calls answer {codes:?}")
    })?;
    let mut assets = AssetServiceClient::new(channel);
    let stream = assets.get_asset(c1::AssetServiceGetAssetRequest::default()).await;
    let mut stream = stream.map_err(|status| named("GetAsset", &status))?.into_inner();
    let first = tokio::time::timeout(AT_ONCE, stream.message())
        .await
        .map_err(|_| "an asset hangs".to_owned())??;
    ensure(first.is_none(), || "an asset has content".to_owned())
}

#[test]
fn siblings_in_order_are_told_from_others() {
    let enqueue = |tokens: Vec<String>| {
        proto::pack(&c1::EnqueuePageTokens {
            page_tokens: tokens,
            ..Default::default()
        })
    };
    let numbered = |count: usize| (0..count).map(|number| format!("t{number}")).collect::<Vec<_>>();
    assert_eq!(siblings(&[], "t1").unwrap(), Vec::<String>::new());
    assert_eq!(siblings(&[enqueue(numbered(1024))], "next").unwrap().len(), 1024);
    let told = |tokens: Vec<String>| siblings(&[enqueue(tokens)], "t1").unwrap_err().0;
    assert!(told(numbered(1025)).contains("1025"));
    assert!(told(vec!["x".repeat(LONGEST_TOKEN + 1)]).contains("1 MiB"));
    let large = (0..17)
        .map(|number| format!("{number}-") + &"x".repeat(1_000_000))
        .collect();
    assert!(told(large).contains("bytes"));
}
