//! Rows of groups, roles and memberships, objects of which the number matters, and the description of a GraphQL type.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::model::id::{GroupId, RoleId};
use crate::model::tenant::{Group, GroupKind, Role};

use super::scalar::{Flag, Id, Text};

/// A row of a collection other than users.
pub(crate) trait Row: DeserializeOwned {
    /// What it becomes.
    type Thing;

    /// Coupa number.
    fn id(&self) -> u64;

    /// The thing, or the name of the element that cannot be understood.
    fn into_thing(self) -> Result<Self::Thing, &'static str>;
}

/// A row of user groups.
#[derive(Deserialize)]
pub(crate) struct GroupRow {
    id: Id,
    #[serde(default)]
    name: Option<Text>,
    #[serde(default)]
    description: Option<Text>,
    #[serde(default)]
    active: Flag,
    #[serde(default, rename = "type")]
    kind: Option<Text>,
    #[serde(default, rename = "can-approve", alias = "can_approve", alias = "canApprove")]
    can_approve: Flag,
    #[serde(default)]
    open: Flag,
}

impl Row for GroupRow {
    type Thing = Group;

    fn id(&self) -> u64 {
        self.id.0
    }

    fn into_thing(self) -> Result<Group, &'static str> {
        Ok(Group {
            id: GroupId::new(self.id.0).ok_or("id")?,
            name: self.name.and_then(|name| name.0).ok_or("name")?,
            description: self.description.and_then(|text| text.0),
            // A surface that does not show the mark shows the group all the same.
            active: self.active != Flag::False,
            kind: match self.kind.and_then(|kind| kind.0) {
                None => GroupKind::Group,
                Some(kind) if &*kind == "Project" => GroupKind::Project,
                Some(kind) => GroupKind::Other(kind),
            },
            can_approve: self.can_approve == Flag::True,
            open: self.open == Flag::True,
        })
    }
}

/// A row of roles.
#[derive(Deserialize)]
pub(crate) struct RoleRow {
    id: Id,
    #[serde(default)]
    name: Option<Text>,
    #[serde(default)]
    description: Option<Text>,
    #[serde(default)]
    omnipotent: Flag,
    #[serde(default, rename = "system-role", alias = "system_role", alias = "systemRole")]
    system: Flag,
}

impl Row for RoleRow {
    type Thing = Role;

    fn id(&self) -> u64 {
        self.id.0
    }

    fn into_thing(self) -> Result<Role, &'static str> {
        Ok(Role {
            id: RoleId::new(self.id.0).ok_or("id")?,
            name: self.name.and_then(|name| name.0).ok_or("name")?,
            description: self.description.and_then(|text| text.0),
            omnipotent: self.omnipotent == Flag::True,
            system: self.system == Flag::True,
        })
    }
}

/// A row that puts one user into one group.
#[derive(Deserialize)]
pub(crate) struct MembershipRow {
    id: Id,
    #[serde(default, rename = "user-id", alias = "user_id")]
    user_id: Option<Id>,
    #[serde(default)]
    user: Option<Numbered>,
    #[serde(default, rename = "user-group-id", alias = "user_group_id")]
    group_id: Option<Id>,
    #[serde(default, rename = "user-group", alias = "user_group")]
    group: Option<Numbered>,
}

impl MembershipRow {
    pub(crate) const fn id(&self) -> u64 {
        self.id.0
    }

    /// Whose row it is, if it tells.
    pub(crate) fn user(&self) -> Option<u64> {
        let nested = || self.user.as_ref().map(Numbered::id);
        self.user_id.map(|id| id.0).or_else(nested)
    }

    /// In which group, if it tells.
    pub(crate) fn group(&self) -> Option<u64> {
        let nested = || self.group.as_ref().map(Numbered::id);
        self.group_id.map(|id| id.0).or_else(nested)
    }
}

/// An object of which only the number matters.
#[derive(Deserialize)]
pub(crate) struct Numbered {
    id: Id,
}

impl Numbered {
    pub(crate) const fn id(&self) -> u64 {
        self.id.0
    }
}

/// The answer to the introspection of a type; `None` where the schema has no such type.
#[derive(Deserialize)]
pub(crate) struct TypeDescription {
    pub(crate) fields: Vec<FieldDescription>,
}

/// One field of a described type.
#[derive(Deserialize)]
pub(crate) struct FieldDescription {
    pub(crate) name: String,
    #[serde(default, rename = "type")]
    ty: Option<TypeReference>,
}

#[derive(Deserialize)]
struct TypeReference {
    #[serde(default)]
    name: Option<String>,
    #[serde(default, rename = "ofType")]
    inner: Option<Box<TypeReference>>,
}

impl FieldDescription {
    /// Whether the field holds a flag, as far as the description goes.
    pub(crate) fn may_be_flag(&self) -> bool {
        let mut ty = self.ty.as_ref();
        while let Some(reference) = ty {
            if let Some(name) = &reference.name {
                return name == "Boolean";
            }
            ty = reference.inner.as_deref();
        }
        true
    }
}
