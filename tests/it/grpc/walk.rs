//! The whole way of a syncer through the real server, over mutual TLS.

use std::collections::BTreeSet;

use super::client::{Ask, Client, Grants, Listing, Resources, Scope, stub};
use super::harvest::{self, has, key};
use super::host::real_server;
use super::upstream::Upstream;
use crate::support::truth::Ids;
use baton_coupa::proto::connector as c1;

const SYNC: &str = "2wPbMEhC9cN9k9PqEV2sBUbUuu7";

fn ids(grants: &[c1::Grant]) -> BTreeSet<&str> {
    grants.iter().map(|grant| grant.id.as_str()).collect()
}

/// A full sync brings everything in `truth` exactly once.
pub(crate) async fn full_sync(client: &Client, truth: &Ids) {
    let harvest = harvest::sync(client, SYNC, 1).await.unwrap();
    let resources: Vec<_> = harvest
        .resources
        .iter()
        .filter_map(|row| key(row.id.as_ref()))
        .collect();
    assert_eq!(resources.len(), truth.resources.len(), "each resource once");
    assert_eq!(resources.into_iter().collect::<BTreeSet<_>>(), truth.resources);
    assert_eq!(harvest.grants.len(), truth.grants.len(), "each grant once");
    let store = harvest.ingest().unwrap();
    assert!(store.entitlements.keys().eq(truth.entitlements.iter()));
    assert!(store.grants.keys().eq(truth.grants.iter()));
    assert_eq!(store.dropped, 0);
    assert_eq!(store.warnings, Vec::<String>::new());
}

#[tokio::test]
async fn a_full_sync_over_mutual_tls_brings_everything_once() {
    let server = real_server(Upstream::Healthy).await;
    full_sync(&server.client, &server.truth()).await;
}

#[tokio::test]
async fn grants_by_type_are_the_grants_by_resource() {
    let server = real_server(Upstream::Healthy).await;
    let harvest = harvest::sync(&server.client, SYNC, 1).await.unwrap();
    let mut compared = 0;
    for kind in &harvest.types {
        if !has::<c1::TypeScopedGrants>(&kind.annotations) {
            continue;
        }
        let whole = Grants(Scope::Type(kind.id.clone()));
        let whole = server.client.all(&whole, SYNC).await.unwrap();
        let mut single = Vec::new();
        let own = |row: &&c1::Resource| row.id.as_ref().is_some_and(|id| id.resource_type == kind.id);
        for resource in harvest.resources.iter().filter(own) {
            let listing = Grants(Scope::Resource(Box::new(resource.clone())));
            single.extend(server.client.all(&listing, SYNC).await.unwrap());
        }
        assert_eq!(whole.len(), single.len(), "{}", kind.id);
        assert_eq!(ids(&whole), ids(&single), "{}", kind.id);
        compared += whole.len();
    }
    assert!(compared > 0);
}

/// A listing that was left after its first page.
struct Left<L: Listing> {
    listing: L,
    rows: Vec<L::Row>,
    token: String,
}

impl<L: Listing> Left<L> {
    async fn begin(listing: L, client: &Client) -> Self {
        let mut rows = Vec::new();
        let mut token = String::new();
        // The first pages may be empty while the tenant is read; a token from the middle is what matters.
        while rows.is_empty() {
            let ask = Ask {
                token: &token,
                sync: SYNC,
                size: 7,
            };
            let page = listing.page(client, &ask).await.unwrap();
            assert!(!page.next.is_empty(), "the listing has a second page");
            rows.extend(page.rows);
            token = page.next;
        }
        Self { listing, rows, token }
    }

    async fn finish(self, client: &Client) -> Vec<L::Row> {
        let rest = client.chain(&self.listing, &self.token, SYNC).await.unwrap();
        self.rows.into_iter().chain(rest.rows).collect()
    }
}

/// Types whose grants are listed as a whole.
const ITEMS: [&str; 3] = ["role", "group", "license"];

/// A sync that was left in the middle of everything.
pub(super) struct LeftSync {
    users: Left<Resources>,
    grants: Vec<Left<Grants>>,
}

impl LeftSync {
    pub(super) async fn begin(client: &Client) -> Self {
        let mut grants = Vec::new();
        for kind in ITEMS {
            let listing = Grants(Scope::Type(kind.to_owned()));
            grants.push(Left::begin(listing, client).await);
        }
        Self {
            users: Left::begin(Resources::of("user"), client).await,
            grants,
        }
    }

    /// Goes on with another server: everything in `truth` comes exactly once.
    pub(super) async fn finish(self, client: &Client, truth: &Ids) {
        let users = self.users.finish(client).await;
        let expected = truth.resources.iter().filter(|(kind, _)| kind == "user").count();
        assert_eq!(users.len(), expected);
        let mut grants = Vec::new();
        for left in self.grants {
            grants.extend(left.finish(client).await);
        }
        assert_eq!(grants.len(), truth.grants.len(), "each grant once");
        assert_eq!(ids(&grants), truth.grants.iter().map(String::as_str).collect());
        client.cleanup(SYNC).await.unwrap();
    }
}

#[tokio::test]
async fn a_fresh_server_goes_on_from_tokens_of_the_old_one() {
    let old = real_server(Upstream::Healthy).await;
    let new = real_server(Upstream::Healthy).await;
    let left = LeftSync::begin(&old.client).await;
    left.finish(&new.client, &old.truth()).await;
}

#[tokio::test]
async fn one_resource_can_be_fetched_afresh() {
    let server = real_server(Upstream::Healthy).await;
    let fetch = async |kind: &str, id: &str| server.client.resource(stub(kind, id).id.unwrap()).await;
    let mut fetched = BTreeSet::new();
    for (kind, id) in server.truth().resources {
        if fetched.insert(kind.clone()) {
            let resource = fetch(&kind, &id).await.unwrap();
            assert_eq!(key(resource.id.as_ref()), Some((kind.clone(), id)));
            let missing = fetch(&kind, "77777777").await.map(|_| ());
            assert_eq!(missing.unwrap_err().code(), tonic::Code::NotFound, "{kind}");
        }
    }
    assert_eq!(fetched.len(), 4);
}
