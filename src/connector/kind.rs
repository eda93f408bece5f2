//! The four resource types, their ids, and how each presents itself to the platform.
//!
//! Invariant: everything about a type that does not depend on a tenant is here, so `capabilities` needs no tenant and cannot
//! differ from `ListResourceTypes`.

use std::fmt;

use prost_types::Any;

use super::changes::{account_provisioning, account_schema};
use crate::model::access::{Item, ItemKind};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::UserId;
use crate::proto::connector as c1;
use crate::proto::connector::resource_type::Trait;
use crate::proto::pack;

/// A resource type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Group,
    License,
    Role,
    User,
}

/// A resource id of a known type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    User(UserId),
    Item(Item),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => id.fmt(f),
            Self::Item(Item::Role(id)) => id.fmt(f),
            Self::Item(Item::Group(id)) => id.fmt(f),
            Self::Item(Item::License(name)) => name.fmt(f),
        }
    }
}

impl Kind {
    /// Every type, by id.
    pub(super) const ALL: [Self; 4] = [Self::Group, Self::License, Self::Role, Self::User];

    /// The id of the type.
    pub(super) const fn id(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::License => "license",
            Self::Role => "role",
            Self::User => "user",
        }
    }

    /// The type with that id.
    pub(super) fn parse(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.id() == id)
    }

    /// The type that a request names.
    pub(super) fn asked(id: &str) -> Result<Self, Fault> {
        if id.is_empty() {
            return Err(Fault::invalid("the resource type is missing"));
        }
        Self::parse(id).ok_or_else(|| {
            Fault::new(FaultKind::NotFound, "no such resource type")
                .advise("types are group, license, role and user")
        })
    }

    /// The kind of item, for the types that can be held.
    pub(super) const fn item(self) -> Option<ItemKind> {
        match self {
            Self::Group => Some(ItemKind::Group),
            Self::License => Some(ItemKind::License),
            Self::Role => Some(ItemKind::Role),
            Self::User => None,
        }
    }

    /// Reads the id of a resource of this type.
    pub(super) fn key(self, id: &str) -> Result<Key, Fault> {
        let key = match self {
            Self::Group => id.parse().map(|id| Key::Item(Item::Group(id))),
            Self::License => id.parse().map(|name| Key::Item(Item::License(name))),
            Self::Role => id.parse().map(|id| Key::Item(Item::Role(id))),
            Self::User => id.parse().map(Key::User),
        };
        key.map_err(|error| Fault::invalid(error.to_string()).context(self.id()))
    }

    /// The OAuth scopes that the capabilities of the type need. Those for writing only matter where changes are made.
    const fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::Group => &[
                "core.user.read",
                "core.user.write",
                "core.user_group.read",
                "core.user_group.write",
            ],
            Self::License | Self::User => &["core.user.read", "core.user.write"],
            Self::Role => &["core.common.read", "core.user.read", "core.user.write"],
        }
    }

    /// What can be done with the type, in the order in which a Go connector says it.
    fn capabilities(self) -> Vec<i32> {
        let changes: &[c1::Capability] = match self {
            Self::Group | Self::License | Self::Role => &[c1::Capability::Provision],
            // Deleting is deactivating.
            Self::User => &[
                c1::Capability::AccountProvisioning,
                c1::Capability::ResourceDelete,
            ],
        };
        let reads = [c1::Capability::Sync, c1::Capability::TargetedSync];
        reads.iter().chain(changes).map(|one| (*one).into()).collect()
    }

    /// The trait of its resources.
    pub(super) const fn of_trait(self) -> Trait {
        match self {
            Self::Group => Trait::Group,
            Self::License => Trait::LicenseProfile,
            Self::Role => Trait::Role,
            Self::User => Trait::User,
        }
    }

    fn permissions(self) -> c1::CapabilityPermissions {
        let permission = |scope: &&str| c1::CapabilityPermission {
            permission: (*scope).to_owned(),
        };
        c1::CapabilityPermissions {
            permissions: self.scopes().iter().map(permission).collect(),
        }
    }

    fn annotations(self) -> Vec<Any> {
        let mut annotations = match self {
            Self::User => vec![pack(&c1::SkipEntitlementsAndGrants {})],
            // Their entitlements are static, so nobody needs to list them.
            Self::Group | Self::Role => vec![pack(&c1::SkipEntitlements {}), pack(&c1::TypeScopedGrants {})],
            // Listed, since read-only ones carry `EntitlementImmutable`.
            Self::License => vec![
                pack(&c1::TypeScopedEntitlements {}),
                pack(&c1::TypeScopedGrants {}),
            ],
        };
        annotations.push(pack(&self.permissions()));
        annotations
    }

    /// The type as it is listed.
    pub(super) fn resource_type(self) -> c1::ResourceType {
        let (name, description) = match self {
            Self::Group => ("Group", "User groups and projects"),
            Self::License => ("License", "License flags of users"),
            Self::Role => ("Role", "Roles"),
            Self::User => ("User", "User accounts"),
        };
        c1::ResourceType {
            id: self.id().to_owned(),
            display_name: name.to_owned(),
            description: description.to_owned(),
            traits: vec![self.of_trait().into()],
            annotations: self.annotations(),
            ..c1::ResourceType::default()
        }
    }
}

/// What the connector can do, told without a tenant, and whether or not it is allowed to make changes.
pub fn capabilities() -> c1::ConnectorCapabilities {
    let of_type = |kind: Kind| c1::ResourceTypeCapability {
        resource_type: Some(kind.resource_type()),
        capabilities: kind.capabilities(),
        permissions: Some(kind.permissions()),
        ..c1::ResourceTypeCapability::default()
    };
    c1::ConnectorCapabilities {
        resource_type_capabilities: Kind::ALL.into_iter().map(of_type).collect(),
        connector_capabilities: vec![
            c1::Capability::Provision.into(),
            c1::Capability::Sync.into(),
            c1::Capability::AccountProvisioning.into(),
            c1::Capability::ResourceDelete.into(),
            c1::Capability::Actions.into(),
            c1::Capability::TargetedSync.into(),
            c1::Capability::ServiceModeTargetedSync.into(),
        ],
        credential_details: Some(c1::CredentialDetails {
            capability_account_provisioning: Some(account_provisioning()),
            ..c1::CredentialDetails::default()
        }),
    }
}

/// How the connector presents itself.
pub(super) fn metadata() -> c1::ConnectorMetadata {
    c1::ConnectorMetadata {
        display_name: "Coupa".to_owned(),
        description: "Users, groups, roles and licenses of a Coupa tenant".to_owned(),
        capabilities: Some(capabilities()),
        account_creation_schema: Some(account_schema()),
        ..c1::ConnectorMetadata::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::proto::json;

    #[test]
    fn capabilities_are_sorted_and_complete() {
        let capabilities = capabilities();
        let ids: Vec<String> = capabilities
            .resource_type_capabilities
            .iter()
            .map(|of_type| of_type.resource_type.clone().unwrap().id)
            .collect();
        assert_eq!(ids, ["group", "license", "role", "user"]);
        assert!(capabilities.connector_capabilities.is_sorted());
        assert!(capabilities.credential_details.is_some());
        let value = json::to_any_value(&capabilities).unwrap();
        let group = &value["resourceTypeCapabilities"][0];
        assert_eq!(
            group["capabilities"],
            serde_json::json!([
                "CAPABILITY_SYNC",
                "CAPABILITY_TARGETED_SYNC",
                "CAPABILITY_PROVISION"
            ])
        );
        assert_eq!(
            group["permissions"]["permissions"][2]["permission"],
            "core.user_group.read"
        );
        let user = &value["resourceTypeCapabilities"][3];
        assert_eq!(
            user["capabilities"],
            serde_json::json!([
                "CAPABILITY_SYNC",
                "CAPABILITY_TARGETED_SYNC",
                "CAPABILITY_ACCOUNT_PROVISIONING",
                "CAPABILITY_RESOURCE_DELETE"
            ])
        );
    }

    #[test]
    fn whatever_a_type_can_do_the_connector_can_do() {
        let capabilities = capabilities();
        for of_type in &capabilities.resource_type_capabilities {
            for one in &of_type.capabilities {
                assert!(capabilities.connector_capabilities.contains(one), "{one}");
            }
        }
        let accounts = capabilities
            .credential_details
            .unwrap()
            .capability_account_provisioning
            .unwrap();
        let preferred = accounts.preferred_credential_option;
        assert!(
            accounts.supported_credential_options.contains(&preferred),
            "a Go peer demands it"
        );
    }

    #[test]
    fn metadata_keeps_the_rules_of_the_protocol() {
        let metadata = metadata();
        assert!(!metadata.display_name.is_empty());
        assert!(metadata.help_url.is_empty(), "no address is made up");
        assert!(metadata.description.len() <= 4096);
        let form = metadata.account_creation_schema.unwrap().field_map;
        let mut orders: Vec<i32> = form.values().map(|field| field.order).collect();
        orders.sort_unstable();
        assert!(orders.into_iter().eq(1..=14), "every field has its place");
        let needed: Vec<&str> = form
            .iter()
            .filter(|(_, field)| field.required)
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(needed, ["email", "first_name", "last_name", "login"]);
        assert!(
            form.values()
                .all(|field| field.field.is_some() && !field.description.is_empty())
        );
    }
}
