//! The tenant told plainly, for comparing with what a connector made of it.
//!
//! Invariant: built from the stored rows, never from answers, so it cannot share a mistake of the API side.

use serde::{Deserialize, Serialize};

use super::person::{Address, Phone};
use super::seed::DEPARTMENTS;
use super::tenant::{Class, GroupKind, LICENSES, Tenant, as_index};

/// Everything in the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Truth {
    /// All users of every class, ascending by id.
    pub users: Vec<TruthUser>,
    /// All groups and projects, ascending by id.
    pub groups: Vec<TruthGroup>,
    /// All roles, ascending by id.
    pub roles: Vec<TruthRole>,
    /// All licenses the tenant has, held or not.
    pub licenses: Vec<TruthLicense>,
}

/// What sort of account a user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TruthClass {
    /// A person of the house.
    Internal,
    /// An integration's account.
    Api,
    /// A supplier portal user, known by the flag or only by the roles.
    Supplier,
    /// Coupa's own support account.
    Support,
    /// A managed service provider.
    ManagedService,
}

/// One user. `Debug` leaves out everything personal.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TruthUser {
    /// Coupa id.
    pub id: u64,
    /// Account class.
    pub class: TruthClass,
    /// Whether the account is active.
    pub active: bool,
    /// Login.
    pub login: String,
    /// Email.
    pub email: Option<String>,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Full name.
    pub full_name: String,
    /// Employee number.
    pub employee_number: Option<String>,
    /// Name of the department.
    pub department: Option<String>,
    /// Id of the manager.
    pub manager_id: Option<u64>,
    /// SSO identifier.
    pub sso_identifier: Option<String>,
    /// `saml`, `ldap` or `coupa_credentials`.
    pub authentication_method: String,
    /// Middle name.
    pub middle_name: Option<String>,
    /// Work phone.
    pub phone_work: Option<Phone>,
    /// Default address.
    pub default_address: Option<Address>,
    /// Creation, seconds since 1970.
    pub created_at: i64,
    /// Ids of roles, ascending.
    pub roles: Vec<u64>,
    /// Ids of groups and projects, ascending.
    pub groups: Vec<u64>,
    /// Dashed REST names of licenses, in the order of the table.
    pub licenses: Vec<String>,
}

impl std::fmt::Debug for TruthUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TruthUser")
            .field("id", &self.id)
            .field("class", &self.class)
            .field("active", &self.active)
            .field("roles", &self.roles)
            .field("groups", &self.groups)
            .field("licenses", &self.licenses)
            .finish_non_exhaustive()
    }
}

/// The type of a group; in Coupa it is blank or `Project`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TruthGroupKind {
    /// A user group.
    Group,
    /// A project.
    Project,
}

/// One group or project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TruthGroup {
    /// Coupa id.
    pub id: u64,
    /// Name.
    pub name: String,
    /// Description.
    pub description: Option<String>,
    /// Its type.
    pub kind: TruthGroupKind,
    /// Whether it is active.
    pub active: bool,
    /// Whether it can approve.
    pub can_approve: bool,
    /// Whether everyone may join.
    pub open: bool,
}

/// One role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TruthRole {
    /// Coupa id.
    pub id: u64,
    /// Name.
    pub name: String,
    /// Description.
    pub description: Option<String>,
    /// Whether it holds every permission.
    pub omnipotent: bool,
    /// Whether Coupa made it.
    pub system: bool,
}

/// One license.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TruthLicense {
    /// Dashed REST name, such as `risk-assess-user`.
    pub name: String,
    /// Whether the API refuses to change it.
    pub read_only: bool,
}

impl Truth {
    pub(super) fn of(tenant: &Tenant) -> Self {
        Self {
            users: (0..tenant.users.len() as u64)
                .map(|user| user_of(tenant, user))
                .collect(),
            groups: tenant
                .groups
                .iter()
                .map(|g| TruthGroup {
                    id: g.id,
                    name: g.name.clone(),
                    description: g.description.clone(),
                    kind: match g.kind {
                        GroupKind::Group => TruthGroupKind::Group,
                        GroupKind::Project => TruthGroupKind::Project,
                    },
                    active: g.active,
                    can_approve: g.can_approve,
                    open: g.open,
                })
                .collect(),
            roles: tenant
                .roles
                .iter()
                .map(|r| TruthRole {
                    id: r.id,
                    name: r.name.clone(),
                    description: r.description.clone(),
                    omnipotent: r.omnipotent,
                    system: r.system,
                })
                .collect(),
            licenses: LICENSES
                .iter()
                .map(|l| TruthLicense {
                    name: l.name.to_owned(),
                    read_only: l.read_only,
                })
                .collect(),
        }
    }
}

fn user_of(tenant: &Tenant, user: u64) -> TruthUser {
    let row = tenant.true_user(user);
    let profile = tenant.true_profile(user);
    TruthUser {
        id: row.id,
        class: match row.class {
            Class::Internal => TruthClass::Internal,
            Class::Api => TruthClass::Api,
            Class::Supplier | Class::SupplierByRole => TruthClass::Supplier,
            Class::Support => TruthClass::Support,
            Class::ManagedService => TruthClass::ManagedService,
        },
        active: row.active,
        full_name: format!("{} {}", profile.first_name, profile.last_name),
        login: profile.login,
        email: profile.email,
        first_name: profile.first_name.into_owned(),
        last_name: profile.last_name.into_owned(),
        employee_number: profile.employee_number,
        department: profile.department.map(|d| DEPARTMENTS[as_index(d)].1.to_owned()),
        manager_id: profile.manager.map(|m| tenant.user(m).id),
        sso_identifier: profile.sso_identifier,
        authentication_method: profile.authentication_method.into_owned(),
        middle_name: profile.middle_name,
        phone_work: profile.phone_work.map(|phone| tenant.phone(phone)),
        default_address: profile.address.map(|address| tenant.address(address)),
        created_at: profile.created,
        roles: row.roles.iter().map(|&r| tenant.roles[r as usize].id).collect(),
        groups: tenant
            .true_groups(user)
            .map(|g| tenant.group(g.into()).id)
            .collect(),
        licenses: LICENSES
            .iter()
            .enumerate()
            .filter(|(bit, _)| row.licenses >> bit & 1 == 1)
            .map(|(_, l)| l.name.to_owned())
            .collect(),
    }
}
