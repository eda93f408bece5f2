//! The connector over a tenant in memory: what a syncer would read, compared with what the tenant holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod changes;
mod lone;
mod pages;
mod refusals;
mod touched;
mod walks;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use proptest::prelude::*;
use prost::Message;

use super::*;

use crate::model::access::ItemKind;
use crate::model::id::GroupId;
use crate::model::tenant::UserOrder;
use crate::proto::{annotation, is, pack};
use crate::snapshot::fake::{FakeTenant, Handle, LICENSES, Memory, World, group};

const SYNC: &str = "2aBcDeFgHiJkLmNoPqRsTuVwXyZ";
const TYPES: [&str; 4] = ["group", "license", "role", "user"];
const HELD: [(&str, ItemKind, &str); 3] = [
    ("group", ItemKind::Group, "member"),
    ("license", ItemKind::License, "assigned"),
    ("role", ItemKind::Role, "member"),
];

fn config() -> ConnectorConfig {
    ConnectorConfig {
        snapshot: SnapshotConfig {
            pause: Duration::from_millis(1),
            ..SnapshotConfig::default()
        },
        wait: Duration::from_mins(1),
    }
}

fn connector(tenant: &Arc<FakeTenant>) -> Connector {
    Connector::new(
        Arc::new(Handle(Arc::clone(tenant))),
        Arc::new(Memory::default()),
        None,
        config(),
    )
}

/// Does not wait for long, so a pass that is held back is pending.
fn impatient(tenant: &Arc<FakeTenant>) -> Connector {
    let config = ConnectorConfig {
        wait: Duration::from_millis(20),
        ..config()
    };
    Connector::new(
        Arc::new(Handle(Arc::clone(tenant))),
        Arc::new(Memory::default()),
        None,
        config,
    )
}

fn resources(kind: &str, size: u32, token: &str) -> c1::ResourcesServiceListResourcesRequest {
    c1::ResourcesServiceListResourcesRequest {
        resource_type_id: kind.to_owned(),
        page_size: size,
        page_token: token.to_owned(),
        active_sync_id: SYNC.to_owned(),
        ..c1::ResourcesServiceListResourcesRequest::default()
    }
}

fn of(kind: &str, id: &str) -> c1::ResourceId {
    c1::ResourceId {
        resource_type: kind.to_owned(),
        resource: id.to_owned(),
        ..c1::ResourceId::default()
    }
}

/// Grants of one resource.
fn grants(kind: &str, id: &str, size: u32, token: &str) -> c1::GrantsServiceListGrantsRequest {
    c1::GrantsServiceListGrantsRequest {
        resource: Some(stub(of(kind, id))),
        page_size: size,
        page_token: token.to_owned(),
        active_sync_id: SYNC.to_owned(),
        ..c1::GrantsServiceListGrantsRequest::default()
    }
}

/// Grants of a type.
fn type_grants(kind: &str, size: u32, token: &str) -> c1::GrantsServiceListGrantsRequest {
    c1::GrantsServiceListGrantsRequest {
        annotations: vec![pack(&c1::TypeScopedGrants {})],
        ..grants(kind, kind, size, token)
    }
}

fn get(kind: &str, id: &str) -> c1::ResourceGetterServiceGetResourceRequest {
    c1::ResourceGetterServiceGetResourceRequest {
        resource_id: Some(of(kind, id)),
        active_sync_id: SYNC.to_owned(),
        ..c1::ResourceGetterServiceGetResourceRequest::default()
    }
}

fn entitlements(kind: &str, id: &str, by_type: bool) -> c1::EntitlementsServiceListEntitlementsRequest {
    let marker = by_type.then(|| pack(&c1::TypeScopedEntitlements {}));
    c1::EntitlementsServiceListEntitlementsRequest {
        resource: Some(stub(of(kind, id))),
        annotations: marker.into_iter().collect(),
        active_sync_id: SYNC.to_owned(),
        ..c1::EntitlementsServiceListEntitlementsRequest::default()
    }
}

/// All pages of a listing; `sizes` are used in turn. Checks what every page must keep.
async fn walk<T: Message, F>(sizes: &[u32], mut page: impl FnMut(u32, String) -> F) -> (Vec<T>, Vec<String>)
where
    F: Future<Output = Result<(Vec<T>, String), Fault>>,
{
    let (mut rows, mut tokens) = (Vec::new(), vec![String::new()]);
    for size in sizes.iter().cycle() {
        let token = tokens.last().unwrap().clone();
        let (list, next) = page(*size, token).await.unwrap();
        assert!(
            *size == 0 || list.len() <= *size as usize,
            "more rows than asked for"
        );
        assert!(list.iter().map(Message::encoded_len).sum::<usize>() < 4 * 1024 * 1024 - 65536);
        rows.extend(list);
        if next.is_empty() {
            return (rows, tokens);
        }
        assert!(!tokens.contains(&next), "the token {next} came before");
        tokens.push(next);
    }
    unreachable!("the sizes are a cycle")
}

async fn all_resources(connector: &Connector, kind: &str, sizes: &[u32]) -> (Vec<c1::Resource>, Vec<String>) {
    walk(sizes, async |size, token| {
        let answer = connector.list_resources(&resources(kind, size, &token)).await?;
        Ok((answer.list, answer.next_page_token))
    })
    .await
}

async fn all_grants(
    connector: &Connector,
    sizes: &[u32],
    request: impl Fn(u32, &str) -> c1::GrantsServiceListGrantsRequest,
) -> (Vec<c1::Grant>, Vec<String>) {
    walk(sizes, async |size, token: String| {
        let answer = connector.list_grants(&request(size, &token)).await?;
        Ok((answer.list, answer.next_page_token))
    })
    .await
}

fn id_of(resource: &c1::Resource) -> String {
    resource.id.as_ref().unwrap().resource.clone()
}

fn bytes<T: Message>(rows: &[T]) -> Vec<Vec<u8>> {
    rows.iter().map(Message::encode_to_vec).collect()
}

/// (item, user) of grants, after checking that each is well formed.
fn pairs(grants: &[c1::Grant], kind: &str, slug: &str) -> BTreeSet<(String, u64)> {
    let pair = |grant: &c1::Grant| {
        let entitlement = grant.entitlement.as_ref().unwrap();
        let item = entitlement.resource.as_ref().unwrap().id.as_ref().unwrap();
        let user = grant.principal.as_ref().unwrap().id.as_ref().unwrap();
        assert_eq!(
            (item.resource_type.as_str(), user.resource_type.as_str()),
            (kind, "user")
        );
        assert_eq!(entitlement.id, format!("{kind}:{}:{slug}", item.resource));
        assert_eq!(grant.id, format!("{}:user:{}", entitlement.id, user.resource));
        (item.resource.clone(), user.resource.parse().unwrap())
    };
    let set: BTreeSet<_> = grants.iter().map(pair).collect();
    assert_eq!(set.len(), grants.len(), "a grant came twice");
    set
}
