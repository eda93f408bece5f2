//! Licenses: one resource per license flag of the tenant, with the seats in use.
//!
//! Invariant: seats count holders of every class, so they may exceed the grants, which name listed accounts only.

use super::kind::Kind;
use super::profile::{description, name};
use super::{ASSIGNED, entitlement_id, resource_id, stub, user_types};
use crate::model::access::{Item, License, LicenseWrite};
use crate::proto::connector as c1;
use crate::proto::pack;

/// The resource of a license of which `seats` are in use.
pub(super) fn resource(license: &License, seats: u64) -> c1::Resource {
    let shown = name(license.label.unwrap_or(license.name.as_str()));
    c1::Resource {
        id: Some(resource_id(Kind::License, &license.name)),
        display_name: shown.clone(),
        description: description(license.label),
        annotations: vec![pack(&c1::LicenseProfileTrait {
            license_name: shown,
            consumed_seats: i64::try_from(seats).unwrap_or(i64::MAX),
            entitlement_ids: vec![entitlement_id(&item(license))],
            ..c1::LicenseProfileTrait::default()
        })],
        ..c1::Resource::default()
    }
}

/// The entitlement of a license.
pub(super) fn entitlement(license: &License) -> c1::Entitlement {
    let annotations = match license.write {
        LicenseWrite::ReadOnly => vec![pack(&c1::EntitlementImmutable::default())],
        LicenseWrite::Writable | LicenseWrite::Unproven => Vec::new(),
    };
    c1::Entitlement {
        resource: Some(stub(resource_id(Kind::License, &license.name))),
        id: entitlement_id(&item(license)),
        display_name: name(license.label.unwrap_or(license.name.as_str())),
        description: "Seat of the license".to_owned(),
        grantable_to: user_types(),
        annotations,
        purpose: c1::entitlement::PurposeValue::Assignment.into(),
        slug: ASSIGNED.to_owned(),
    }
}

fn item(license: &License) -> Item {
    Item::License(license.name.clone())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::proto::annotation;

    fn license(write: LicenseWrite) -> License {
        License {
            name: "risk-assess-user".parse().unwrap(),
            label: Some("Risk Assess User"),
            write,
        }
    }

    #[test]
    fn ids_are_those_of_the_go_peer() {
        let resource = resource(&license(LicenseWrite::Writable), 12);
        assert_eq!(resource.id.unwrap().resource, "risk-assess-user");
        let seats: c1::LicenseProfileTrait = annotation(&resource.annotations).unwrap();
        assert_eq!(seats.entitlement_ids, ["license:risk-assess-user:assigned"]);
        assert_eq!(seats.consumed_seats, 12);
    }

    #[test]
    fn only_read_only_licenses_are_immutable() {
        for (write, immutable) in [
            (LicenseWrite::ReadOnly, true),
            (LicenseWrite::Writable, false),
            (LicenseWrite::Unproven, false),
        ] {
            let entitlement = entitlement(&license(write));
            assert_eq!(
                annotation::<c1::EntitlementImmutable>(&entitlement.annotations).is_some(),
                immutable
            );
        }
    }
}
