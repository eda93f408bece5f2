//! What a row must be like to be stored. Where the ecosystem's syncer drops bad rows silently, this one fails: the rows are
//! ours, and a missing one looks like removed access.

use crate::model::fault::Fault;
use crate::proto::connector::{
    BatonId, Entitlement, Grant, GroupTrait, Resource, ResourceId, RoleTrait, UserTrait, resource_type,
};
use crate::proto::is;

use super::plan::{Plan, TypePlan};

/// Checks a resource listed for `kind`.
pub(super) fn check_resource(resource: &Resource, kind: &TypePlan) -> Result<(), Fault> {
    let id = complete(resource.id.as_ref()).ok_or_else(|| bad("a resource without a complete id"))?;
    if id.resource_type != kind.id {
        return Err(bad(&format!(
            "a resource of type {} among those of type {}",
            id.resource_type, kind.id
        )));
    }
    if resource.annotations.iter().any(is::<BatonId>) {
        return Err(bad("a resource with the reserved annotation BatonID"));
    }
    for expected in &kind.traits {
        if !carries(resource, *expected) {
            return Err(bad(&format!(
                "a {} without its trait {}",
                kind.id,
                expected.as_str_name()
            )));
        }
    }
    Ok(())
}

/// Whether the resource has the message that goes with a trait. Only those that the platform insists on are asked for.
fn carries(resource: &Resource, expected: resource_type::Trait) -> bool {
    let annotations = &resource.annotations;
    match expected {
        resource_type::Trait::User => annotations.iter().any(is::<UserTrait>),
        resource_type::Trait::Group => annotations.iter().any(is::<GroupTrait>),
        resource_type::Trait::Role => annotations.iter().any(is::<RoleTrait>),
        _ => true,
    }
}

/// Checks an entitlement; answers whether it belongs to this sync.
pub(super) fn admit_entitlement(entitlement: &Entitlement, plan: &Plan) -> Result<bool, Fault> {
    if entitlement.id.is_empty() {
        return Err(bad("an entitlement without an id"));
    }
    let id = resource_id(entitlement.resource.as_ref())
        .ok_or_else(|| bad("an entitlement without a complete resource id"))?;
    Ok(plan.covers(&id.resource_type))
}

/// Checks a grant and gives it an id if it has none; answers whether it belongs to this sync.
pub(super) fn admit_grant(grant: &mut Grant, plan: &Plan) -> Result<bool, Fault> {
    let entitlement = grant
        .entitlement
        .as_ref()
        .filter(|entitlement| !entitlement.id.is_empty())
        .ok_or_else(|| bad("a grant without an entitlement id"))?;
    let on = resource_id(entitlement.resource.as_ref())
        .ok_or_else(|| bad("a grant without a complete resource id of its entitlement"))?;
    let holder = resource_id(grant.principal.as_ref())
        .ok_or_else(|| bad("a grant without a complete principal id"))?;
    let admitted = plan.covers(&on.resource_type) && plan.covers(&holder.resource_type);
    if grant.id.is_empty() {
        grant.id = format!("{}:{}:{}", entitlement.id, holder.resource_type, holder.resource);
    }
    Ok(admitted)
}

/// The entitlement that a template means for one resource.
pub(super) fn instantiate(template: &Entitlement, resource: &Resource) -> Result<Entitlement, Fault> {
    if template.slug.is_empty() {
        return Err(bad("a static entitlement without a slug"));
    }
    let id = complete(resource.id.as_ref()).ok_or_else(|| Fault::internal("a stored resource has no id"))?;
    let or = |text: &str, fallback: &str| {
        if text.is_empty() {
            fallback.to_owned()
        } else {
            text.to_owned()
        }
    };
    Ok(Entitlement {
        id: format!("{}:{}:{}", id.resource_type, id.resource, template.slug),
        display_name: or(&template.display_name, &resource.display_name),
        description: or(&template.description, &resource.description),
        resource: Some(resource.clone()),
        ..template.clone()
    })
}

fn resource_id(resource: Option<&Resource>) -> Option<&ResourceId> {
    complete(resource?.id.as_ref())
}

fn complete(id: Option<&ResourceId>) -> Option<&ResourceId> {
    id.filter(|id| !id.resource_type.is_empty() && !id.resource.is_empty())
}

fn bad(what: &str) -> Fault {
    Fault::corrupt(format!("the connector listed {what}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::proto::connector::ResourceType;
    use crate::proto::pack;

    fn plan(wanted: &[&str]) -> Plan {
        let kind = |id: &str, kind: resource_type::Trait| ResourceType {
            id: id.into(),
            traits: vec![kind.into()],
            ..ResourceType::default()
        };
        let listed = vec![
            kind("user", resource_type::Trait::User),
            kind("license", resource_type::Trait::LicenseProfile),
        ];
        let wanted: Vec<String> = wanted.iter().map(|id| (*id).to_owned()).collect();
        Plan::new(listed, &wanted).unwrap().0
    }

    fn resource(kind: &str, id: &str) -> Resource {
        Resource {
            id: Some(ResourceId {
                resource_type: kind.into(),
                resource: id.into(),
                ..ResourceId::default()
            }),
            display_name: "shown".into(),
            ..Resource::default()
        }
    }

    fn grant() -> Grant {
        Grant {
            entitlement: Some(Entitlement {
                id: "license:l:assigned".into(),
                resource: Some(resource("license", "l")),
                ..Entitlement::default()
            }),
            principal: Some(resource("user", "1")),
            ..Grant::default()
        }
    }

    #[test]
    fn a_resource_must_be_what_was_asked_for() {
        let plan = plan(&[]);
        let [user, license] = plan.types.as_slice() else {
            panic!("two types")
        };
        let mut good = resource("user", "1");
        assert!(
            check_resource(&good, user)
                .unwrap_err()
                .message()
                .contains("TRAIT_USER")
        );
        good.annotations.push(pack(&UserTrait::default()));
        assert!(check_resource(&good, user).is_ok());
        assert!(check_resource(&good, license).is_err());
        assert!(
            check_resource(&resource("license", "l"), license).is_ok(),
            "this trait is not insisted on"
        );
        assert!(check_resource(&resource("license", ""), license).is_err());
        assert!(check_resource(&Resource::default(), license).is_err());
        good.annotations.push(pack(&BatonId {}));
        assert!(check_resource(&good, user).is_err());
    }

    #[test]
    fn a_grant_gets_its_id_and_must_be_complete() {
        let mut row = grant();
        assert!(admit_grant(&mut row, &plan(&[])).unwrap());
        assert_eq!(row.id, "license:l:assigned:user:1");
        let mut named = grant();
        named.id = "own".into();
        admit_grant(&mut named, &plan(&[])).unwrap();
        assert_eq!(named.id, "own");
        for spoil in [
            (|row: &mut Grant| row.entitlement = None) as fn(&mut Grant),
            |row| row.principal = None,
            |row| row.principal.as_mut().unwrap().id = None,
            |row| row.entitlement.as_mut().unwrap().id.clear(),
            |row| row.entitlement.as_mut().unwrap().resource = None,
        ] {
            let mut row = grant();
            spoil(&mut row);
            assert!(admit_grant(&mut row, &plan(&[])).is_err());
        }
    }

    #[test]
    fn a_filter_drops_rows_of_other_types() {
        assert!(
            !admit_grant(&mut grant(), &plan(&["license"])).unwrap(),
            "its holder is not synced"
        );
        assert!(
            !admit_grant(&mut grant(), &plan(&["user"])).unwrap(),
            "its entitlement is not synced"
        );
        let entitlement = grant().entitlement.unwrap();
        assert!(admit_entitlement(&entitlement, &plan(&["license"])).unwrap());
        assert!(!admit_entitlement(&entitlement, &plan(&["user"])).unwrap());
    }

    #[test]
    fn a_template_becomes_the_entitlement_of_a_resource() {
        let template = Entitlement {
            id: "ignored".into(),
            slug: "member".into(),
            description: "own".into(),
            ..Entitlement::default()
        };
        let made = instantiate(&template, &resource("user", "7")).unwrap();
        assert_eq!(made.id, "user:7:member");
        assert_eq!(
            (made.display_name.as_str(), made.description.as_str()),
            ("shown", "own")
        );
        assert_eq!(made.resource.unwrap().id.unwrap().resource, "7");
        assert!(instantiate(&Entitlement::default(), &resource("user", "7")).is_err());
    }
}
