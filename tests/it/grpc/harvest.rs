//! A full sync as the Go syncer does it, call by call (connector-protocol, section 8), and what its store would keep of
//! the rows (section 12).

use std::collections::{BTreeMap, BTreeSet};

use baton_coupa::proto;
use baton_coupa::proto::connector as c1;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use prost::Name;
use prost_types::Any;

use super::client::{
    Chain, Client, Entitlements, Grants, Listing, Resources, Scope, Templates, Trouble, Types,
};

/// Marks a parent: resources of another type hang below it.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ChildResourceType {
    #[prost(string, tag = "1")]
    pub(crate) resource_type_id: String,
}

impl Name for ChildResourceType {
    const NAME: &'static str = "ChildResourceType";
    const PACKAGE: &'static str = "c1.connector.v2";

    fn full_name() -> String {
        "c1.connector.v2.ChildResourceType".to_owned()
    }

    fn type_url() -> String {
        "type.googleapis.com/c1.connector.v2.ChildResourceType".to_owned()
    }
}

/// Everything a sync was sent, as it came.
#[derive(Default)]
pub(crate) struct Harvest {
    pub(crate) types: Vec<c1::ResourceType>,
    pub(crate) resources: Vec<c1::Resource>,
    /// Templates with the type they were listed for.
    pub(crate) templates: Vec<(String, c1::Entitlement)>,
    pub(crate) entitlements: Vec<c1::Entitlement>,
    pub(crate) grants: Vec<c1::Grant>,
    /// Annotations of every response.
    pub(crate) notes: Vec<Any>,
    /// Bytes of all responses.
    pub(crate) bytes: usize,
    /// Bytes of the largest one.
    pub(crate) largest: usize,
}

/// Runs a full sync with that many chains at once.
pub(crate) async fn sync(client: &Client, sync: &str, workers: usize) -> Result<Harvest, Trouble> {
    client.validate().await?;
    let mut harvest = Harvest::default();
    harvest.types = harvest.note(client.chain(&Types, "", sync).await?);
    resources(client, sync, workers, &mut harvest).await?;
    let again = harvest.note(client.chain(&Types, "", sync).await?);
    for kind in again {
        let listing = Templates {
            kind: kind.id.clone(),
        };
        let rows = harvest.note(client.chain(&listing, "", sync).await?);
        harvest
            .templates
            .extend(rows.into_iter().map(|row| (kind.id.clone(), row)));
    }
    let listings = scopes(&harvest, has::<c1::TypeScopedEntitlements>, |annotations| {
        has::<c1::SkipEntitlementsAndGrants>(annotations) || has::<c1::SkipEntitlements>(annotations)
    });
    let listings = listings.into_iter().map(Entitlements).collect();
    harvest.entitlements = gather(client, sync, workers, listings, &mut harvest).await?;
    let listings = scopes(
        &harvest,
        has::<c1::TypeScopedGrants>,
        has::<c1::SkipEntitlementsAndGrants>,
    );
    let listings = listings.into_iter().map(Grants).collect();
    harvest.grants = gather(client, sync, workers, listings, &mut harvest).await?;
    client.cleanup(sync).await?;
    Ok(harvest)
}

impl Harvest {
    fn note<T>(&mut self, chain: Chain<T>) -> Vec<T> {
        self.notes.extend(chain.notes);
        self.bytes += chain.bytes;
        self.largest = self.largest.max(chain.largest);
        chain.rows
    }
}

/// Every type without a parent, then each child type below each parent, once.
async fn resources(
    client: &Client,
    sync: &str,
    workers: usize,
    harvest: &mut Harvest,
) -> Result<(), Trouble> {
    let mut wave: Vec<Resources> = harvest.types.iter().map(|kind| Resources::of(&kind.id)).collect();
    let mut asked = BTreeSet::new();
    while !wave.is_empty() {
        let rows = gather(client, sync, workers, std::mem::take(&mut wave), harvest).await?;
        for row in &rows {
            let children = row
                .annotations
                .iter()
                .filter(|any| proto::is::<ChildResourceType>(any));
            for any in children {
                let child =
                    proto::annotation::<ChildResourceType>(std::slice::from_ref(any)).unwrap_or_default();
                let parent = row.id.clone();
                let key = (
                    child.resource_type_id.clone(),
                    parent
                        .as_ref()
                        .map(|id| (id.resource_type.clone(), id.resource.clone())),
                );
                if asked.insert(key) {
                    wave.push(Resources {
                        kind: child.resource_type_id,
                        parent,
                    });
                }
            }
        }
        harvest.resources.extend(rows);
    }
    Ok(())
}

async fn gather<L: Listing>(
    client: &Client,
    sync: &str,
    workers: usize,
    listings: Vec<L>,
    harvest: &mut Harvest,
) -> Result<Vec<L::Row>, Trouble> {
    let chains: Vec<Chain<L::Row>> = stream::iter(&listings)
        .map(|listing| client.chain(listing, "", sync))
        .buffered(workers)
        .try_collect()
        .await?;
    Ok(chains.into_iter().flat_map(|chain| harvest.note(chain)).collect())
}

/// One scope per type that is listed as a whole, else one per resource that is not skipped.
fn scopes(harvest: &Harvest, whole: fn(&[Any]) -> bool, skipped: fn(&[Any]) -> bool) -> Vec<Scope> {
    let mut scopes = Vec::new();
    for kind in &harvest.types {
        if whole(&kind.annotations) {
            scopes.push(Scope::Type(kind.id.clone()));
            continue;
        }
        if skipped(&kind.annotations) {
            continue;
        }
        let own = harvest.resources.iter().filter(|resource| {
            resource.id.as_ref().is_some_and(|id| id.resource_type == kind.id)
                && !has::<c1::SkipEntitlementsAndGrants>(&resource.annotations)
        });
        scopes.extend(own.map(|resource| Scope::Resource(Box::new(resource.clone()))));
    }
    scopes
}

pub(crate) fn has<M: Name>(annotations: &[Any]) -> bool {
    annotations.iter().any(proto::is::<M>)
}

/// Type and id of a resource.
pub(crate) type Key = (String, String);

pub(crate) fn key(id: Option<&c1::ResourceId>) -> Option<Key> {
    let id = id?;
    let complete = !id.resource_type.is_empty() && !id.resource.is_empty();
    complete.then(|| (id.resource_type.clone(), id.resource.clone()))
}

/// What the syncer's store holds after a sync.
#[derive(Default, PartialEq)]
pub(crate) struct Store {
    pub(crate) types: BTreeMap<String, c1::ResourceType>,
    pub(crate) resources: BTreeMap<Key, c1::Resource>,
    pub(crate) entitlements: BTreeMap<String, c1::Entitlement>,
    pub(crate) grants: BTreeMap<String, c1::Grant>,
    pub(crate) dropped: usize,
    pub(crate) warnings: Vec<String>,
}

impl Harvest {
    /// Puts the rows away under the conditions that the Go syncer enforces; `Err` where it would fail the sync.
    pub(crate) fn ingest(&self) -> Result<Store, String> {
        let mut store = Store::default();
        for kind in &self.types {
            if kind.id.is_empty() {
                store.dropped += 1;
            } else {
                store.types.insert(kind.id.clone(), kind.clone());
            }
        }
        for resource in &self.resources {
            store.resource(resource)?;
        }
        for (kind, template) in &self.templates {
            store.template(kind, template);
        }
        for entitlement in &self.entitlements {
            store.entitlement(entitlement);
        }
        for grant in &self.grants {
            store.grant(grant)?;
        }
        Ok(store)
    }
}

impl Store {
    fn resource(&mut self, resource: &c1::Resource) -> Result<(), String> {
        let Some(key) = key(resource.id.as_ref()) else {
            self.dropped += 1;
            return Ok(());
        };
        let Some(kind) = self.types.get(&key.0) else {
            return Err(format!("a resource of the unlisted type {:?}", key.0));
        };
        if has::<c1::BatonId>(&resource.annotations) {
            return Err("a resource carries BatonID".to_owned());
        }
        if let Some(lacking) = lacking_trait(kind, resource) {
            return Err(format!("a resource of type {} lacks {lacking}", key.0));
        }
        self.resources.insert(key, resource.clone());
        Ok(())
    }

    fn template(&mut self, kind: &str, template: &c1::Entitlement) {
        let own: Vec<Key> = self
            .resources
            .keys()
            .filter(|key| key.0 == kind)
            .cloned()
            .collect();
        for key in own {
            let mut entitlement = template.clone();
            entitlement.id = format!("{}:{}:{}", key.0, key.1, template.slug);
            entitlement.resource = self.resources.get(&key).cloned();
            self.entitlements.insert(entitlement.id.clone(), entitlement);
        }
    }

    fn entitlement(&mut self, entitlement: &c1::Entitlement) {
        let resource = entitlement
            .resource
            .as_ref()
            .and_then(|resource| key(resource.id.as_ref()));
        let known = resource.is_some_and(|key| self.types.contains_key(&key.0));
        if entitlement.id.is_empty() || !known {
            self.dropped += 1;
            return;
        }
        self.entitlements
            .insert(entitlement.id.clone(), entitlement.clone());
    }

    fn grant(&mut self, grant: &c1::Grant) -> Result<(), String> {
        let entitlement = grant.entitlement.as_ref().ok_or("a grant without entitlement")?;
        let target = entitlement
            .resource
            .as_ref()
            .and_then(|resource| key(resource.id.as_ref()));
        let principal = grant
            .principal
            .as_ref()
            .and_then(|principal| key(principal.id.as_ref()));
        let (Some(target), Some(principal)) = (target, principal) else {
            return Err(format!("grant {:?} misses a resource or principal id", grant.id));
        };
        if entitlement.id.is_empty() {
            return Err(format!("grant {:?} misses its entitlement id", grant.id));
        }
        if !self.types.contains_key(&target.0) || !self.types.contains_key(&principal.0) {
            self.dropped += 1;
            return Ok(());
        }
        if !self.entitlements.contains_key(&entitlement.id) {
            self.warnings
                .push(format!("grant {:?} of an unknown entitlement", grant.id));
        }
        if !self.resources.contains_key(&principal) {
            self.warnings
                .push(format!("grant {:?} to an unknown principal", grant.id));
        }
        let id = format!("{}:{}:{}", entitlement.id, principal.0, principal.1);
        if let Some(expandable) = proto::annotation::<c1::GrantExpandable>(&grant.annotations) {
            self.expandable(&expandable, &principal)?;
        }
        self.grants.insert(id, grant.clone());
        Ok(())
    }

    /// A source's resource must be the grant's principal; unknown sources are skipped.
    fn expandable(&self, expandable: &c1::GrantExpandable, principal: &Key) -> Result<(), String> {
        for source in &expandable.entitlement_ids {
            let owner = self
                .entitlements
                .get(source)
                .and_then(|entitlement| key(entitlement.resource.as_ref()?.id.as_ref()));
            if owner.is_some_and(|owner| owner != *principal) {
                return Err(format!("source {source:?} does not belong to the principal"));
            }
        }
        Ok(())
    }
}

/// The first core trait that the type declares and the resource does not carry.
pub(crate) fn lacking_trait(kind: &c1::ResourceType, resource: &c1::Resource) -> Option<&'static str> {
    use c1::resource_type::Trait;
    kind.traits().find_map(|declared| {
        let name = match declared {
            Trait::User => "UserTrait",
            Trait::Group => "GroupTrait",
            Trait::Role => "RoleTrait",
            Trait::App => "AppTrait",
            Trait::Secret => "SecretTrait",
            _ => return None,
        };
        let carried = resource
            .annotations
            .iter()
            .any(|any| any.type_url.rsplit('/').next() == Some(&*format!("c1.connector.v2.{name}")));
        (!carried).then_some(name)
    })
}
