//! The resources of a targeted sync, and their form on a command line.
//!
//! Invariant: every target has a type and an id, and is there once. A parent in front of them does not count: a resource is known
//! by its type and id alone.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use crate::model::fault::Fault;
use crate::proto::connector::ResourceId;

/// The resources of a targeted sync, and how much of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    resources: Vec<Target>,
    depth: Depth,
}

impl Targets {
    /// These resources, in their order and each once. [`FaultKind::Invalid`](crate::model::fault::FaultKind::Invalid) if there are none,
    /// or if one lacks its type or id.
    pub fn new(resources: impl IntoIterator<Item = Target>, depth: Depth) -> Result<Self, Fault> {
        let mut known = HashSet::new();
        let resources: Vec<Target> = resources
            .into_iter()
            .filter(|target| known.insert(target.clone()))
            .collect();
        if resources.is_empty() {
            return Err(Fault::invalid("a targeted sync needs at least one resource"));
        }
        if let Some(half) = resources.iter().find(|target| !target.is_whole()) {
            return Err(Fault::invalid(format!(
                "a resource to sync lacks its type or its id: {half}"
            )));
        }
        Ok(Self { resources, depth })
    }

    /// Which ones, each once.
    pub fn resources(&self) -> &[Target] {
        &self.resources
    }

    /// How much of each.
    pub const fn depth(&self) -> Depth {
        self.depth
    }
}

/// How much of a targeted resource is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Depth {
    /// The resource, its entitlements, and who holds them.
    #[default]
    Grants,
    /// The resource and its entitlements.
    Entitlements,
    /// The resource alone.
    Resource,
}

/// One resource, named by its type and id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Id of its type.
    pub resource_type: String,
    /// Its own id.
    pub resource: String,
}

impl Target {
    const fn is_whole(&self) -> bool {
        !self.resource_type.is_empty() && !self.resource.is_empty()
    }

    /// The protocol's form.
    pub(super) fn id(&self) -> ResourceId {
        ResourceId {
            resource_type: self.resource_type.clone(),
            resource: self.resource.clone(),
            ..ResourceId::default()
        }
    }
}

impl From<ResourceId> for Target {
    fn from(id: ResourceId) -> Self {
        Self {
            resource_type: id.resource_type,
            resource: id.resource,
        }
    }
}

/// As a baton id.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            resource_type,
            resource,
        } = self;
        write!(f, "{PREFIX}{}/{}", escaped(resource_type), escaped(resource))
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if SPECIAL.contains(&letter) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

/// What every baton id of a resource begins with.
const PREFIX: &str = "bid:r:";

/// What stands in a type or an id only behind a backslash.
const SPECIAL: [char; 3] = ['\\', '/', ':'];

/// A text that is no baton id of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected bid:r:TYPE/ID or bid:r:PARENT-TYPE/PARENT-ID/TYPE/ID, with a backslash before each of \\ / : inside of a part"
)]
pub struct NotATarget;

/// Reads a baton id.
impl FromStr for Target {
    type Err = NotATarget;

    fn from_str(text: &str) -> Result<Self, NotATarget> {
        let mut parts = parts(text.strip_prefix(PREFIX).ok_or(NotATarget)?)?;
        let (resource, resource_type) = (parts.pop(), parts.pop());
        let (Some(resource), Some(resource_type), 0 | 2) = (resource, resource_type, parts.len()) else {
            return Err(NotATarget);
        };
        Ok(Self {
            resource_type,
            resource,
        })
    }
}

/// What lies between the slashes; none of it empty.
fn parts(text: &str) -> Result<Vec<String>, NotATarget> {
    let mut parts = vec![String::new()];
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let letter = match letter {
            '/' => {
                parts.push(String::new());
                continue;
            }
            ':' => return Err(NotATarget),
            '\\' => letters
                .next()
                .filter(|next| SPECIAL.contains(next))
                .ok_or(NotATarget)?,
            plain => plain,
        };
        if let Some(part) = parts.last_mut() {
            part.push(letter);
        }
    }
    if parts.iter().any(String::is_empty) {
        return Err(NotATarget);
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::model::fault::FaultKind;

    fn target(resource_type: &str, resource: &str) -> Target {
        Target {
            resource_type: resource_type.into(),
            resource: resource.into(),
        }
    }

    #[test]
    fn baton_ids_are_read_with_and_without_a_parent() {
        for (text, expected) in [
            ("bid:r:role/7", target("role", "7")),
            (r"bid:r:license/a\/b\:c\\d", target("license", r"a/b:c\d")),
            ("bid:r:app/1/role/7", target("role", "7")),
            (r"bid:r:a\/b/1/role/7", target("role", "7")),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in [
            "",
            "role/7",
            "bid:r:",
            "bid:r:role",
            "bid:r:role/",
            "bid:r:/7",
            "bid:r:role/7/",
            "bid:r:app/1/role",
            "bid:r:a/1/b/2/role/7",
            "bid:e:role/7:member",
            "bid:r:role/7:member",
            r"bid:r:role/7\",
            r"bid:r:role/\7",
            "BID:r:role/7",
        ] {
            assert_eq!(text.parse::<Target>(), Err(NotATarget), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(resource_type in "[a-z:/\\\\]{1,8}", resource in "\\PC{1,20}") {
            let target = target(&resource_type, &resource);
            prop_assert_eq!(target.to_string().parse(), Ok(target));
        }
    }

    #[test]
    fn targets_are_whole_and_there_once() {
        let listed = [target("role", "7"), target("user", "7"), target("role", "7")];
        let targets = Targets::new(listed, Depth::Entitlements).unwrap();
        assert_eq!(targets.resources(), [target("role", "7"), target("user", "7")]);
        assert_eq!(targets.depth(), Depth::Entitlements);
        for refused in [vec![], vec![target("", "7")], vec![target("role", "")]] {
            let fault = Targets::new(refused, Depth::Grants).unwrap_err();
            assert_eq!(*fault.kind(), FaultKind::Invalid);
        }
    }
}
