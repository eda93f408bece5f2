//! Roles. Coupa does not tell a role's permissions; whether it may do everything is in the profile.

use super::kind::Kind;
use super::profile::{Profile, description, name};
use super::{MEMBER, member_template, resource_id};
use crate::model::tenant::Role;
use crate::proto::connector as c1;
use crate::proto::pack;

/// The resource of a role.
pub(super) fn resource(role: &Role) -> c1::Resource {
    let profile = Profile::default()
        .flag("omnipotent", role.omnipotent)
        .flag("system_role", role.system)
        .done();
    c1::Resource {
        id: Some(resource_id(Kind::Role, role.id)),
        display_name: name(&role.name),
        description: description(role.description.as_deref()),
        annotations: vec![pack(&c1::RoleTrait {
            profile: Some(profile.clone()),
        })],
        profile: Some(profile),
        ..c1::Resource::default()
    }
}

/// The template of every role's only entitlement.
pub(super) fn entitlement() -> c1::Entitlement {
    member_template(MEMBER, "Holder of the role")
}
