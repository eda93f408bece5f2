//! What rows look like: PC-21 to 25 and 31 to 34.

use std::collections::{BTreeMap, BTreeSet};

use baton_coupa::proto;
use baton_coupa::proto::connector as c1;
use prost_types::Any;

use super::{NEXT_SYNC, SYNC, Subject, Upstream, Verdict, Violation, ensure};
use crate::grpc::client::{Resources, Types};
use crate::grpc::harvest::{self, ChildResourceType, Harvest, key, lacking_trait};

/// Everything a sync is sent.
async fn harvested(subject: Subject) -> Result<Harvest, Violation> {
    let server = subject.start(Upstream::Healthy).await;
    Ok(harvest::sync(server.client(), SYNC, 1).await?)
}

pub(super) async fn pc_21(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Healthy).await;
    let types = server.client().all(&Types, SYNC).await?;
    ensure(!types.is_empty(), || "no resource type".to_owned())?;
    let mut ids = BTreeSet::new();
    for kind in &types {
        ensure(ids.insert(kind.id.clone()), || format!("type {} twice", kind.id))?;
    }
    let again = server.client().all(&Types, SYNC).await?;
    let again: BTreeSet<String> = again.into_iter().map(|kind| kind.id).collect();
    ensure(ids == again, || "two listings differ".to_owned())
}

pub(super) async fn pc_22(subject: Subject) -> Verdict {
    let harvest = harvested(subject).await?;
    let mut seen = 0;
    for resource in &harvest.resources {
        let of =
            |kind: &&c1::ResourceType| resource.id.as_ref().is_some_and(|id| id.resource_type == kind.id);
        let Some(kind) = harvest.types.iter().find(of) else {
            continue;
        };
        seen += 1;
        if let Some(lacking) = lacking_trait(kind, resource) {
            return Err(Violation(format!("a {} without {lacking}", kind.id)));
        }
    }
    ensure(seen > 0, || "no resource to look at".to_owned())
}

pub(super) async fn pc_23(subject: Subject) -> Verdict {
    let harvest = harvested(subject).await?;
    let types: BTreeSet<&str> = harvest.types.iter().map(|kind| kind.id.as_str()).collect();
    let mut ids = BTreeSet::new();
    for resource in &harvest.resources {
        let Some(key) = key(resource.id.as_ref()) else {
            return Err(Violation("a resource id is incomplete".to_owned()));
        };
        ensure(types.contains(&*key.0), || format!("the unlisted type {}", key.0))?;
        ensure(key.1.len() <= 1024, || "an id above 1024 bytes".to_owned())?;
        let text = format!("{}:{}", key.0, key.1);
        ensure(ids.insert(key), || format!("{text} twice"))?;
    }
    ensure(!ids.is_empty(), || "no resource to look at".to_owned())
}

pub(super) async fn pc_24(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Healthy).await;
    let harvest = harvest::sync(server.client(), SYNC, 1).await?;
    let children: BTreeSet<String> = harvest
        .resources
        .iter()
        .flat_map(|resource| &resource.annotations)
        .filter(|any| proto::is::<ChildResourceType>(any))
        .filter_map(|any| proto::annotation::<ChildResourceType>(std::slice::from_ref(any)))
        .map(|child| child.resource_type_id)
        .collect();
    for kind in &harvest.types {
        let rows = server.client().all(&Resources::of(&kind.id), NEXT_SYNC).await?;
        ensure(rows.is_empty() || !children.contains(&kind.id), || {
            format!("resources of the child type {} without a parent", kind.id)
        })?;
    }
    Ok(())
}

/// Names that no connector may send.
const RESERVED: [&str; 4] = ["BatonID", "SourceCacheReplay", "ETag", "ETagMatch"];

pub(super) async fn pc_25(subject: Subject) -> Verdict {
    let harvest = harvested(subject).await?;
    let rows = harvest.resources.iter().flat_map(|row| &row.annotations);
    let entitlements = harvest.entitlements.iter().flat_map(|row| &row.annotations);
    let grants = harvest.grants.iter().flat_map(|row| &row.annotations);
    let types = harvest.types.iter().flat_map(|row| &row.annotations);
    for any in rows
        .chain(entitlements)
        .chain(grants)
        .chain(types)
        .chain(&harvest.notes)
    {
        ensure(!RESERVED.contains(&bare_name(any)), || {
            format!("{} is sent", bare_name(any))
        })?;
    }
    Ok(())
}

/// The message name of an `Any`, without package.
fn bare_name(any: &Any) -> &str {
    any.type_url.rsplit(['/', '.']).next().unwrap_or_default()
}

pub(super) async fn pc_31(subject: Subject) -> Verdict {
    let first = harvested(subject).await?;
    for entitlement in &first.entitlements {
        let Some((kind, id)) = entitlement.resource.as_ref().and_then(|row| key(row.id.as_ref())) else {
            return Err(Violation("an entitlement without resource".to_owned()));
        };
        ensure(
            entitlement.id == format!("{kind}:{id}:{}", entitlement.slug),
            || format!("entitlement id {:?} is not type:resource:slug", entitlement.id),
        )?;
    }
    for grant in &first.grants {
        let entitlement = grant
            .entitlement
            .as_ref()
            .map_or("", |entitlement| &entitlement.id);
        let Some((kind, id)) = grant.principal.as_ref().and_then(|row| key(row.id.as_ref())) else {
            return Err(Violation("a grant without principal".to_owned()));
        };
        ensure(grant.id == format!("{entitlement}:{kind}:{id}"), || {
            format!("grant id {:?} is not entitlement:type:id", grant.id)
        })?;
    }
    ensure(!first.grants.is_empty(), || "no grant to look at".to_owned())?;
    let server = subject.start(Upstream::Healthy).await;
    let second = harvest::sync(server.client(), NEXT_SYNC, 1).await?;
    ensure(all_ids(&first) == all_ids(&second), || {
        "ids change with the next sync".to_owned()
    })
}

fn all_ids(harvest: &Harvest) -> BTreeSet<String> {
    let resources = harvest.resources.iter().filter_map(|row| key(row.id.as_ref()));
    let resources = resources.map(|(kind, id)| format!("r {kind} {id}"));
    let entitlements = harvest.entitlements.iter().map(|row| format!("e {}", row.id));
    let templates = harvest
        .templates
        .iter()
        .map(|(kind, row)| format!("t {kind} {}", row.slug));
    let grants = harvest.grants.iter().map(|row| format!("g {}", row.id));
    resources
        .chain(entitlements)
        .chain(templates)
        .chain(grants)
        .collect()
}

/// Entitlement ids of a sync: those listed, and those that templates stand for.
fn entitlement_ids(harvest: &Harvest) -> BTreeSet<String> {
    let keys: Vec<_> = harvest
        .resources
        .iter()
        .filter_map(|row| key(row.id.as_ref()))
        .collect();
    let listed = harvest.entitlements.iter().map(|row| row.id.clone());
    let templates = harvest.templates.iter().flat_map(|(kind, template)| {
        keys.iter()
            .filter(move |key| key.0 == *kind)
            .map(move |key| format!("{}:{}:{}", key.0, key.1, template.slug))
    });
    listed.chain(templates).collect()
}

pub(super) async fn pc_32(subject: Subject) -> Verdict {
    let harvest = harvested(subject).await?;
    let resources: BTreeSet<_> = harvest
        .resources
        .iter()
        .filter_map(|row| key(row.id.as_ref()))
        .collect();
    let entitlements = entitlement_ids(&harvest);
    for grant in &harvest.grants {
        let incomplete = || Violation(format!("grant {:?} is incomplete", grant.id));
        let entitlement = grant.entitlement.as_ref().ok_or_else(incomplete)?;
        let target = entitlement.resource.as_ref().and_then(|row| key(row.id.as_ref()));
        let principal = grant.principal.as_ref().and_then(|row| key(row.id.as_ref()));
        let (Some(target), Some(principal)) = (target, principal) else {
            return Err(incomplete());
        };
        ensure(resources.contains(&target), || {
            format!("{:?}: unlisted resource", grant.id)
        })?;
        ensure(resources.contains(&principal), || {
            format!("{:?}: unlisted principal", grant.id)
        })?;
        ensure(entitlements.contains(&entitlement.id), || {
            format!("{:?}: unlisted entitlement", grant.id)
        })?;
    }
    ensure(!harvest.grants.is_empty(), || "no grant to look at".to_owned())
}

pub(super) async fn pc_33(subject: Subject) -> Verdict {
    let harvest = harvested(subject).await?;
    for grant in &harvest.grants {
        let Some(expandable) = proto::annotation::<c1::GrantExpandable>(&grant.annotations) else {
            continue;
        };
        let sources = &expandable.entitlement_ids;
        ensure(!sources.is_empty(), || {
            format!("{:?} expands no source", grant.id)
        })?;
        let unique: BTreeSet<_> = sources.iter().collect();
        ensure(unique.len() == sources.len(), || {
            format!("{:?} names a source twice", grant.id)
        })?;
        let principal = grant
            .principal
            .as_ref()
            .and_then(|row| key(row.id.as_ref()))
            .unwrap_or_default();
        let owned = format!("{}:{}:", principal.0, principal.1);
        ensure(sources.iter().all(|source| source.starts_with(&owned)), || {
            format!("{:?} expands a source that is not its principal's", grant.id)
        })?;
    }
    Ok(())
}

pub(super) async fn pc_34(subject: Subject) -> Verdict {
    #[derive(Default)]
    struct Group {
        types: BTreeSet<String>,
        members: usize,
        defaults: usize,
    }
    let harvest = harvested(subject).await?;
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for entitlement in &harvest.entitlements {
        let marks: Vec<&Any> = entitlement
            .annotations
            .iter()
            .filter(|any| proto::is::<c1::EntitlementExclusionGroup>(any))
            .collect();
        ensure(marks.len() <= 1, || {
            format!("{} is in more than one exclusion group", entitlement.id)
        })?;
        let Some(mark) = proto::annotation::<c1::EntitlementExclusionGroup>(&entitlement.annotations) else {
            continue;
        };
        let kind = entitlement
            .resource
            .as_ref()
            .and_then(|row| key(row.id.as_ref()))
            .unwrap_or_default()
            .0;
        let group = groups.entry(mark.exclusion_group_id).or_default();
        group.types.insert(kind);
        group.members += 1;
        group.defaults += usize::from(mark.is_default);
    }
    for (id, group) in &groups {
        ensure(group.types.len() == 1, || {
            format!("exclusion group {id} spans types")
        })?;
        ensure(group.defaults <= 1, || {
            format!("exclusion group {id} has more than one default")
        })?;
        ensure(group.members <= 50, || {
            format!("exclusion group {id} has more than 50 members")
        })?;
    }
    Ok(())
}
