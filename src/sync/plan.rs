//! Which types a sync covers, and how the entitlements and grants of each are listed.
//!
//! Invariant: the annotations are read as the ecosystem's syncer reads them: a type-scoped marker wins over every skip, skips on
//! a type hold for all its resources, and `SkipGrants` counts on resources only.

use std::collections::BTreeMap;

use prost_types::Any;

use crate::model::fault::Fault;
use crate::proto::connector::{
    Resource, ResourceType, SkipEntitlements, SkipEntitlementsAndGrants, SkipGrants, TypeScopedEntitlements,
    TypeScopedGrants, resource_type,
};
use crate::proto::is;

/// How one kind of row is listed for a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    /// One chain of calls for the whole type.
    ByType,
    /// One chain for each resource.
    ByResource,
    /// Not at all.
    Skipped,
}

/// One type of the sync.
pub(super) struct TypePlan {
    pub(super) id: String,
    pub(super) traits: Vec<resource_type::Trait>,
    pub(super) entitlements: Listing,
    pub(super) grants: Listing,
}

/// The types of the sync, in the order in which the connector listed them.
pub(super) struct Plan {
    pub(super) types: Vec<TypePlan>,
    filtered: bool,
}

impl Plan {
    /// A plan for the `listed` types, or those of them that are `wanted` if any are named. Also answers the rows to store.
    pub(super) fn new(
        listed: Vec<ResourceType>,
        wanted: &[String],
    ) -> Result<(Self, Vec<ResourceType>), Fault> {
        let listed = latest_by_id(listed)?;
        if let Some(unknown) = wanted
            .iter()
            .find(|id| listed.iter().all(|known| known.id != **id))
        {
            let known: Vec<&str> = listed.iter().map(|known| known.id.as_str()).collect();
            return Err(
                Fault::invalid(format!("there is no resource type {unknown:?} to sync"))
                    .advise(format!("known types: {}", known.join(", "))),
            );
        }
        let selected: Vec<ResourceType> = listed
            .into_iter()
            .filter(|known| wanted.is_empty() || wanted.contains(&known.id))
            .collect();
        let types = selected.iter().map(TypePlan::new).collect();
        let filtered = !wanted.is_empty();
        Ok((Self { types, filtered }, selected))
    }

    /// The same types for a targeted sync: it asks for the rows of its resources only, so no type is listed as a whole.
    pub(super) fn one_by_one(mut self) -> Self {
        for kind in &mut self.types {
            for listing in [&mut kind.entitlements, &mut kind.grants] {
                if *listing == Listing::ByType {
                    *listing = Listing::ByResource;
                }
            }
        }
        self
    }

    /// The type with that id, if it belongs to this sync.
    pub(super) fn kind(&self, id: &str) -> Option<&TypePlan> {
        self.types.iter().find(|kind| kind.id == id)
    }

    /// Whether a row that points to a resource of type `id` belongs to this sync. Without a filter every row does: if its
    /// resource is missing, the check at the end says so.
    pub(super) fn covers(&self, id: &str) -> bool {
        !self.filtered || self.kind(id).is_some()
    }
}

impl TypePlan {
    fn new(kind: &ResourceType) -> Self {
        let marks = kind.annotations.as_slice();
        let skip_both = has::<SkipEntitlementsAndGrants>(marks);
        let listing = |scoped: bool, skipped: bool| match (scoped, skipped) {
            (true, _) => Listing::ByType,
            (false, true) => Listing::Skipped,
            (false, false) => Listing::ByResource,
        };
        Self {
            id: kind.id.clone(),
            traits: kind.traits().collect(),
            entitlements: listing(
                has::<TypeScopedEntitlements>(marks),
                skip_both || has::<SkipEntitlements>(marks),
            ),
            grants: listing(has::<TypeScopedGrants>(marks), skip_both),
        }
    }
}

/// Whether the entitlements of this resource are not to be asked for.
pub(super) fn skips_entitlements(resource: &Resource) -> bool {
    let marks = resource.annotations.as_slice();
    has::<SkipEntitlementsAndGrants>(marks) || has::<SkipEntitlements>(marks)
}

/// Whether the grants of this resource are not to be asked for.
pub(super) fn skips_grants(resource: &Resource) -> bool {
    let marks = resource.annotations.as_slice();
    has::<SkipEntitlementsAndGrants>(marks) || has::<SkipGrants>(marks)
}

fn has<M: prost::Name>(annotations: &[Any]) -> bool {
    annotations.iter().any(is::<M>)
}

/// The types in order; of two with one id the later one, in the place of the first.
fn latest_by_id(listed: Vec<ResourceType>) -> Result<Vec<ResourceType>, Fault> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut types: Vec<ResourceType> = Vec::with_capacity(listed.len());
    for kind in listed {
        if kind.id.is_empty() {
            return Err(Fault::corrupt(
                "the connector listed a resource type without an id",
            ));
        }
        let place = *places.entry(kind.id.clone()).or_insert(types.len());
        if let Some(earlier) = types.get_mut(place) {
            *earlier = kind;
        } else {
            types.push(kind);
        }
    }
    if types.is_empty() {
        return Err(Fault::corrupt("the connector listed no resource types"));
    }
    Ok(types)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::proto::pack;

    fn kind(id: &str, annotations: Vec<Any>) -> ResourceType {
        ResourceType {
            id: id.into(),
            annotations,
            ..ResourceType::default()
        }
    }

    fn listings(annotations: Vec<Any>) -> (Listing, Listing) {
        let plan = TypePlan::new(&kind("x", annotations));
        (plan.entitlements, plan.grants)
    }

    #[test]
    fn annotations_decide_how_a_type_is_listed() {
        use Listing::{ByResource, ByType, Skipped};
        let both = || pack(&SkipEntitlementsAndGrants {});
        assert_eq!(listings(vec![]), (ByResource, ByResource));
        assert_eq!(listings(vec![both()]), (Skipped, Skipped));
        assert_eq!(listings(vec![pack(&SkipEntitlements {})]), (Skipped, ByResource));
        assert_eq!(listings(vec![pack(&TypeScopedGrants {})]), (ByResource, ByType));
        assert_eq!(
            listings(vec![
                both(),
                pack(&TypeScopedGrants {}),
                pack(&TypeScopedEntitlements {})
            ]),
            (ByType, ByType),
            "the marker wins"
        );
        assert_eq!(
            listings(vec![pack(&SkipGrants {})]),
            (ByResource, ByResource),
            "no effect on types"
        );
        let resource = |annotations| Resource {
            annotations,
            ..Resource::default()
        };
        assert!(skips_grants(&resource(vec![pack(&SkipGrants {})])));
        assert!(!skips_entitlements(&resource(vec![pack(&SkipGrants {})])));
        assert!(skips_grants(&resource(vec![both()])) && skips_entitlements(&resource(vec![both()])));
    }

    #[test]
    fn a_targeted_sync_lists_no_type_as_a_whole() {
        use Listing::{ByResource, Skipped};
        let listed = vec![
            kind(
                "role",
                vec![pack(&SkipEntitlements {}), pack(&TypeScopedGrants {})],
            ),
            kind("license", vec![pack(&TypeScopedEntitlements {})]),
            kind("user", vec![pack(&SkipEntitlementsAndGrants {})]),
        ];
        let plan = Plan::new(listed, &[]).unwrap().0.one_by_one();
        let listings: Vec<_> = plan
            .types
            .iter()
            .map(|kind| (kind.entitlements, kind.grants))
            .collect();
        assert_eq!(
            listings,
            [
                (Skipped, ByResource),
                (ByResource, ByResource),
                (Skipped, Skipped)
            ]
        );
    }

    #[test]
    fn a_filter_selects_and_refuses_what_is_not_there() {
        let listed = || vec![kind("user", vec![]), kind("role", vec![]), kind("user", vec![])];
        let (plan, rows) = Plan::new(listed(), &[]).unwrap();
        assert_eq!(rows.len(), 2);
        assert!(plan.covers("anything"));
        let (plan, rows) = Plan::new(listed(), &["role".into()]).unwrap();
        assert_eq!(rows.len(), 1);
        assert!(plan.covers("role") && !plan.covers("user"));
        let fault = Plan::new(listed(), &["role".into(), "rule".into()])
            .err()
            .unwrap();
        assert_eq!(
            fault.to_string(),
            "there is no resource type \"rule\" to sync; known types: user, role"
        );
    }

    #[test]
    fn an_empty_or_nameless_list_is_an_error() {
        assert!(Plan::new(vec![], &[]).is_err());
        assert!(Plan::new(vec![kind("", vec![])], &[]).is_err());
    }
}
