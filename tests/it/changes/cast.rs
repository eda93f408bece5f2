//! Whom the changes are tried on, and what they are given: nothing that a policy speaks against.

use baton_coupa::model::access::Item;
use baton_coupa::sandbox::{Truth, TruthClass, TruthUser};

use super::house::{group, role};

/// Active employees with several roles and a group, none of the roles omnipotent and every group in use.
pub fn people(truth: &Truth) -> Vec<TruthUser> {
    let plain = |id: &u64| truth.roles.iter().any(|role| role.id == *id && !role.omnipotent);
    let in_use = |id: &u64| truth.groups.iter().any(|group| group.id == *id && group.active);
    let fit = |user: &&TruthUser| {
        user.active
            && user.class == TruthClass::Internal
            && user.roles.len() >= 2
            && user.roles.iter().all(plain)
            && !user.groups.is_empty()
            && user.groups.iter().all(in_use)
    };
    truth.users.iter().filter(fit).cloned().collect()
}

/// A plain role that the user does not hold.
pub fn other_role(truth: &Truth, user: &TruthUser) -> Option<Item> {
    let portal = |name: &str| name == "Supplier" || name.starts_with("CSP");
    let mut roles = truth.roles.iter();
    let free = roles.find(|role| !role.omnipotent && !portal(&role.name) && !user.roles.contains(&role.id));
    free.map(|free| role(free.id))
}

/// A group in use that the user is not in.
pub fn other_group(truth: &Truth, user: &TruthUser) -> Option<Item> {
    let mut groups = truth.groups.iter();
    let free = groups.find(|group| group.active && !user.groups.contains(&group.id));
    free.map(|free| group(free.id))
}

/// `type:id:slug`
pub fn entitlement(item: &Item) -> String {
    match item {
        Item::Role(id) => format!("role:{id}:member"),
        Item::Group(id) => format!("group:{id}:member"),
        Item::License(name) => format!("license:{name}:assigned"),
    }
}
