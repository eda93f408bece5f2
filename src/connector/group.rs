//! Groups: user groups and projects, told apart by their source type. Inactive ones are listed, too.

use super::kind::Kind;
use super::profile::{Profile, clip, description, name};
use super::{MEMBER, member_template, resource_id, status_of};
use crate::model::tenant::{Group, GroupKind};
use crate::proto::connector as c1;
use crate::proto::pack;

/// Longest raw source type, bytes (protocol rule).
const RAW_TYPE: usize = 256;

/// The resource of a group.
pub(super) fn resource(group: &Group) -> c1::Resource {
    let (source_type, raw) = match &group.kind {
        GroupKind::Group => ("group", ""),
        GroupKind::Project => ("project", "Project"),
        GroupKind::Other(raw) => ("other", &**raw),
    };
    let profile = Profile::default()
        .flag("active", group.active)
        .flag("can_approve", group.can_approve)
        .flag("open", group.open)
        .done();
    c1::Resource {
        id: Some(resource_id(Kind::Group, group.id)),
        display_name: name(&group.name),
        description: description(group.description.as_deref()),
        annotations: vec![pack(&c1::GroupTrait {
            profile: Some(profile.clone()),
            group_source_type: source_type.to_owned(),
            raw_group_source_type: clip(raw, RAW_TYPE),
            ..c1::GroupTrait::default()
        })],
        profile: Some(profile),
        status: Some(status_of(group.active)),
        ..c1::Resource::default()
    }
}

/// The template of every group's only entitlement.
pub(super) fn entitlement() -> c1::Entitlement {
    member_template(MEMBER, "Member of the group")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::id::GroupId;
    use crate::proto::annotation;

    #[test]
    fn projects_are_told_apart() {
        let mut group = Group {
            id: GroupId::new(9).unwrap(),
            name: "Nord".into(),
            description: None,
            active: false,
            kind: GroupKind::Project,
            can_approve: true,
            open: false,
        };
        let source = |group: &Group| {
            let found: c1::GroupTrait = annotation(&resource(group).annotations).unwrap();
            (found.group_source_type, found.raw_group_source_type)
        };
        assert_eq!(source(&group), ("project".to_owned(), "Project".to_owned()));
        group.kind = GroupKind::Group;
        assert_eq!(source(&group), ("group".to_owned(), String::new()));
        group.kind = GroupKind::Other("Committee".into());
        assert_eq!(source(&group), ("other".to_owned(), "Committee".to_owned()));
        let status = resource(&group).status.unwrap().status();
        assert!(status == c1::status::ResourceStatus::Disabled);
    }
}
