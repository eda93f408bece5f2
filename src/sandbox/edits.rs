//! Changes made by someone else, in the tenant's own screens: at once, or around a chosen request.
//!
//! Invariant: an edit does what it says, however the readings bend writes over the API; like those, it moves `updated-at` and is
//! shown when the readings say.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::change::Moment;
use super::intake::{Intake, Share};
use super::matching::{Matching, When};
use super::person::{Address, Phone, Profile};
use super::readings::Readings;
use super::schema::{Type, same_name};
use super::tenant::{LICENSES, Tenant, as_index, to_u32};

/// One change to one user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Edit {
    /// Coupa id.
    pub user: u64,
    /// What is changed.
    pub change: Change,
}

/// A change. Roles and groups are given by their Coupa ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Gives a role.
    AddRole(u64),
    /// Takes a role away.
    RemoveRole(u64),
    /// Gives exactly these roles.
    ReplaceRoles(Vec<u64>),
    /// Puts the user into a group.
    AddGroup(u64),
    /// Takes the user out of a group.
    RemoveGroup(u64),
    /// Sets a license, a read-only one too.
    SetLicense {
        /// Dashed REST name.
        name: String,
        /// Whether it is held.
        held: bool,
    },
    /// Activates or deactivates the account.
    SetActive(bool),
    /// Sets elements of the user, written as in a PUT; here they have their effect whatever the readings say.
    SetElements(Map<String, Value>),
    /// Sets elements of the person, without the checks that the API makes.
    SetProfile(Box<ProfileEdit>),
}

/// Elements of a person to set; what is `None` stays. `Debug` leaves the values out.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct ProfileEdit {
    /// Login.
    pub login: Option<String>,
    /// Email.
    pub email: Option<String>,
    /// First name.
    pub firstname: Option<String>,
    /// Middle name.
    pub middlename: Option<String>,
    /// Last name.
    pub lastname: Option<String>,
    /// `saml`, `ldap` or `coupa_credentials`.
    pub authentication_method: Option<String>,
    /// Work phone.
    pub phone_work: Option<Phone>,
    /// Default address.
    pub default_address: Option<Address>,
    /// Elements to empty, by their dashed REST names: `email`, `firstname`, `middlename`, `lastname`, `phone-work`,
    /// `default-address`.
    pub empty: Vec<String>,
}

impl std::fmt::Debug for ProfileEdit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProfileEdit").finish_non_exhaustive()
    }
}

/// An edit around chosen requests. As JSON, what `on` holds stands beside the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ScriptedEdit {
    /// The requests.
    #[serde(flatten)]
    pub on: Matching,
    /// On which side of each.
    #[serde(default)]
    pub when: When,
    /// What is changed.
    pub edit: Edit,
}

/// Why an edit did not happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EditError {
    /// It names a user, role, group, license or element that is not in the tenant.
    UnknownReference,
    /// Coupa does not take the values, for these reasons.
    Refused(Vec<String>),
}

impl std::fmt::Display for EditError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownReference => {
                f.write_str("no such user, role, group, license or element in the tenant")
            }
            Self::Refused(reasons) => f.write_str(&reasons.join(", ")),
        }
    }
}

impl std::error::Error for EditError {}

impl Tenant {
    /// Carries out an edit.
    pub(super) fn edit(&mut self, edit: &Edit, readings: &Readings, now: Moment) -> Result<(), EditError> {
        let user = self
            .locate(Type::User, edit.user)
            .ok_or(EditError::UnknownReference)?;
        let place = |ty, id| {
            let row = self.locate(ty, id).ok_or(EditError::UnknownReference)?;
            Ok(to_u32(as_index(row)))
        };
        let mut draft = self.draft(user);
        match &edit.change {
            Change::AddRole(id) => {
                draft.roles.insert(place(Type::Role, *id)?);
            }
            Change::RemoveRole(id) => {
                draft.roles.remove(&place(Type::Role, *id)?);
            }
            Change::ReplaceRoles(ids) => {
                let roles: Result<_, _> = ids.iter().map(|&id| place(Type::Role, id)).collect();
                draft.roles = roles?;
            }
            Change::AddGroup(id) => {
                draft.groups.insert(place(Type::Group, *id)?);
            }
            Change::RemoveGroup(id) => {
                draft.groups.remove(&place(Type::Group, *id)?);
            }
            Change::SetLicense { name, held } => {
                let bit = LICENSES.iter().position(|license| same_name(license.name, name));
                let bit = bit.ok_or(EditError::UnknownReference)?;
                draft.licenses = draft.licenses & !(1 << bit) | u32::from(*held) << bit;
            }
            Change::SetActive(active) => draft.active = *active,
            Change::SetElements(elements) => {
                let plain = Readings::default();
                draft = Intake::new(self, Some(user), &plain, Share::Whole, draft)
                    .take(elements)
                    .map_err(EditError::Refused)?;
            }
            Change::SetProfile(edit) => self.edit_profile(&mut draft.profile, edit)?,
        }
        self.commit(user, draft, readings.updated_at.list, readings.visibility, now);
        Ok(())
    }

    fn edit_profile(&mut self, profile: &mut Profile, edit: &ProfileEdit) -> Result<(), EditError> {
        let edit = edit.clone();
        for name in &edit.empty {
            match name.as_str() {
                "email" => profile.email = None,
                "firstname" => profile.first_name = "".into(),
                "middlename" => profile.middle_name = None,
                "lastname" => profile.last_name = "".into(),
                "phone-work" => profile.phone_work = None,
                "default-address" => profile.address = None,
                _ => return Err(EditError::UnknownReference),
            }
        }
        if let Some(login) = edit.login {
            profile.login = login;
        }
        if let Some(name) = edit.firstname {
            profile.first_name = name.into();
        }
        if let Some(name) = edit.lastname {
            profile.last_name = name.into();
        }
        if let Some(method) = edit.authentication_method {
            profile.authentication_method = method.into();
        }
        if let Some(phone) = edit.phone_work {
            profile.phone_work = Some(self.keep_phone(phone));
        }
        if let Some(address) = edit.default_address {
            profile.address = Some(self.keep_address(address));
        }
        profile.email = edit.email.or(profile.email.take());
        profile.middle_name = edit.middlename.or(profile.middle_name.take());
        Ok(())
    }
}
