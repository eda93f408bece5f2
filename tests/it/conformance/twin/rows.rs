//! The good twin's rows: five kinds of types, among them a child type and one listed resource by resource.

use baton_coupa::proto::connector as c1;
use baton_coupa::proto::connector::resource_type::Trait;
use baton_coupa::proto::pack;
use prost_types::Any;

use crate::grpc::client::stub;
use crate::grpc::harvest::ChildResourceType;

pub(super) fn types() -> Vec<c1::ResourceType> {
    let kind = |id: &str, traits: &[Trait], annotations: Vec<Any>| c1::ResourceType {
        id: id.to_owned(),
        display_name: id.to_owned(),
        traits: traits.iter().map(|own| (*own).into()).collect(),
        annotations,
        ..Default::default()
    };
    let whole = || vec![pack(&c1::TypeScopedGrants {}), pack(&c1::SkipEntitlements {})];
    let neither = || vec![pack(&c1::SkipEntitlementsAndGrants {})];
    vec![
        kind("user", &[Trait::User], neither()),
        kind("group", &[Trait::Group], whole()),
        kind("role", &[Trait::Role], whole()),
        kind("chapter", &[], neither()),
        kind("seat", &[Trait::LicenseProfile], Vec::new()),
    ]
}

pub(super) fn resource(kind: &str, id: &str, annotations: Vec<Any>) -> c1::Resource {
    c1::Resource {
        display_name: format!("{kind} {id}"),
        annotations,
        ..stub(kind, id)
    }
}

/// Resources of a type; chapters hang below group 1. A grown tenant has a sixth user.
pub(super) fn resources(kind: &str, grown: bool) -> Vec<c1::Resource> {
    let child = ChildResourceType {
        resource_type_id: "chapter".to_owned(),
    };
    let group = || vec![pack(&c1::GroupTrait::default()), pack(&child)];
    match kind {
        "user" => (1..=5 + u32::from(grown))
            .map(|id| resource(kind, &id.to_string(), vec![pack(&c1::UserTrait::default())]))
            .collect(),
        "group" => vec![resource(kind, "1", group()), resource(kind, "2", group())],
        "role" => ["1", "2"]
            .map(|id| resource(kind, id, vec![pack(&c1::RoleTrait::default())]))
            .to_vec(),
        "chapter" => vec![c1::Resource {
            parent_resource_id: stub("group", "1").id,
            ..resource(kind, "1", Vec::new())
        }],
        "seat" => vec![
            resource(kind, "basic", Vec::new()),
            resource(kind, "plus", Vec::new()),
        ],
        _ => Vec::new(),
    }
}

/// Membership in exclusion group `id`.
pub(super) fn exclusion(id: &str, is_default: bool) -> Any {
    pack(&c1::EntitlementExclusionGroup {
        exclusion_group_id: id.to_owned(),
        is_default,
        ..Default::default()
    })
}

/// Only seats are listed resource by resource.
pub(super) fn entitlements(kind: &str, id: &str) -> Vec<c1::Entitlement> {
    if kind != "seat" {
        return Vec::new();
    }
    vec![c1::Entitlement {
        resource: Some(stub(kind, id)),
        id: format!("seat:{id}:assigned"),
        slug: "assigned".to_owned(),
        annotations: vec![exclusion("tier", id == "basic")],
        ..Default::default()
    }]
}

/// Groups and roles have templates.
pub(super) fn templates(kind: &str) -> Vec<c1::Entitlement> {
    if !matches!(kind, "group" | "role") {
        return Vec::new();
    }
    vec![c1::Entitlement {
        slug: "member".to_owned(),
        ..Default::default()
    }]
}

pub(super) fn grant(kind: &str, id: &str, slug: &str, principal: (&str, &str)) -> c1::Grant {
    let entitlement = format!("{kind}:{id}:{slug}");
    c1::Grant {
        id: format!("{entitlement}:{}:{}", principal.0, principal.1),
        entitlement: Some(c1::Entitlement {
            id: entitlement,
            resource: Some(stub(kind, id)),
            ..Default::default()
        }),
        principal: Some(stub(principal.0, principal.1)),
        ..Default::default()
    }
}

/// Holders of these entitlements hold the grant's, too.
pub(super) fn expandable(sources: &[&str]) -> Any {
    pack(&c1::GrantExpandable {
        entitlement_ids: sources.iter().map(ToString::to_string).collect(),
        ..Default::default()
    })
}

/// Grants of a type; role 1 is held by group 1, whose members inherit it.
pub(super) fn grants(kind: &str) -> Vec<c1::Grant> {
    let to = |id: &str, slug: &str, user: &str| grant(kind, id, slug, ("user", user));
    match kind {
        "group" => vec![
            to("1", "member", "1"),
            to("1", "member", "2"),
            to("1", "member", "3"),
            to("2", "member", "4"),
        ],
        "role" => vec![
            to("1", "member", "1"),
            c1::Grant {
                annotations: vec![expandable(&["group:1:member"])],
                ..grant(kind, "1", "member", ("group", "1"))
            },
            to("2", "member", "1"),
        ],
        "seat" => vec![
            to("basic", "assigned", "1"),
            to("basic", "assigned", "2"),
            to("plus", "assigned", "3"),
        ],
        _ => Vec::new(),
    }
}
