//! What the body of a write says about a user, worked into a [`Draft`] under the readings in force.
//!
//! Pure but for phones, which are stored apart. As Coupa documents it: an update is partial, unknown elements are ignored, unknown
//! references leave things as they are; only values of the user itself are refused.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::change::Draft;
use super::growth::USER_ROLE;
use super::person::{Address, COUNTRIES, Country, Phone, Profile};
use super::readings::{Clear, ClearedRoles, Heed, KeyIn, ListWrite, NewcomerLicenses, Readings};
use super::risk_assess::{self, NoSeat};
use super::schema::{Type, same_name};
use super::tenant::{LICENSES, TWO_SPELLINGS, Tenant, as_index, to_u32};
use super::values::{
    Said, currency_of_code, department_of_id, department_of_name, flag, is_blank, reference,
};

/// How much of each list in a body is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    Whole,
    /// The first half, rounded down, as when something breaks on the way.
    FirstHalf,
}

/// Works a body into a draft.
pub(super) struct Intake<'a> {
    pub(super) tenant: &'a mut Tenant,
    /// The user the draft is of; `None` for one to be created.
    pub(super) user: Option<u64>,
    pub(super) readings: &'a Readings,
    pub(super) share: Share,
    pub(super) draft: Draft,
    errors: Vec<String>,
}

/// Limits from Coupa's table of the user's elements.
const LONG: usize = 255;
const NAME: usize = 40;

impl<'a> Intake<'a> {
    pub(super) fn new(
        tenant: &'a mut Tenant,
        user: Option<u64>,
        readings: &'a Readings,
        share: Share,
        draft: Draft,
    ) -> Self {
        Self {
            tenant,
            user,
            readings,
            share,
            draft,
            errors: Vec::new(),
        }
    }

    /// The altered draft, or everything that is wrong with the body.
    pub(super) fn take(mut self, body: &Map<String, Value>) -> Result<Draft, Vec<String>> {
        for (key, value) in body {
            self.element(key, value);
        }
        if self.user.is_none() {
            self.complete(body);
        }
        if self.errors.is_empty() {
            Ok(self.draft)
        } else {
            Err(self.errors)
        }
    }

    fn element(&mut self, key: &str, value: &Value) {
        match key.replace('_', "-").as_str() {
            "login" => {
                if let Some(text) = self.required("Login", value, LONG)
                    && self.is_free("Login", &text, &LOGIN)
                {
                    self.draft.profile.login = text;
                }
            }
            "email" => {
                if let Some(text) = self.required("Email", value, LONG)
                    && self.is_free("Email", &text, &EMAIL)
                {
                    self.draft.profile.email = Some(text);
                }
            }
            "firstname" => {
                if let Some(text) = self.required("First name", value, NAME) {
                    self.draft.profile.first_name = text.into();
                }
            }
            "lastname" => {
                if let Some(text) = self.required("Last name", value, NAME) {
                    self.draft.profile.last_name = text.into();
                }
            }
            "middlename" => {
                let said = self.optional("Middle name", value);
                said.put(&mut self.draft.profile.middle_name);
            }
            "employee-number" => self.employee_number(value),
            "sso-identifier" => {
                let said = self.optional("SSO identifier", value);
                said.put(&mut self.draft.profile.sso_identifier);
            }
            "authentication-method" => self.authentication_method(value),
            "active" if self.readings.active_write == Heed::Honoured => {
                if let Some(active) = flag(value) {
                    self.draft.active = active;
                }
            }
            "roles" => self.roles(value),
            "user-groups" => self.groups(value),
            "default-locale" => {
                if let Some(locale) = value.as_str().filter(|text| !text.is_empty()) {
                    self.draft.profile.locale = locale.to_owned().into();
                }
            }
            "manager" => {
                let found = reference(value, |id| self.user_handle(id), |_| None);
                found.put(&mut self.draft.profile.manager);
            }
            "department" => {
                let found = reference(value, department_of_id, department_of_name);
                found.put(&mut self.draft.profile.department);
            }
            "default-currency" => {
                let found = reference(value, |id| id.checked_sub(1).filter(|&c| c < 3), currency_of_code);
                found.put(&mut self.draft.profile.currency);
            }
            "phone-work" => self.phone_work(value),
            "default-address" => self.default_address(value),
            "custom-fields" => self.custom_fields(value),
            _ => self.license(key, value),
        }
    }

    /// What a new user must have, given or put there by Coupa.
    fn complete(&mut self, body: &Map<String, Value>) {
        for (key, label) in [
            ("login", "Login"),
            ("email", "Email"),
            ("firstname", "First name"),
            ("lastname", "Last name"),
        ] {
            if !body.contains_key(key) {
                self.errors.push(format!("{label} can't be blank"));
            }
        }
        if let Some(name) = &self.readings.required_custom_field {
            let fields = body.iter().find(|(key, _)| same_name(key, "custom-fields"));
            let given = fields
                .and_then(|(_, fields)| fields.as_object())
                .into_iter()
                .flatten()
                .any(|(key, value)| same_name(key, name) && !is_blank(value));
            if !given {
                self.errors.push(format!("{} can't be blank", humanised(name)));
            }
        }
        if self.draft.roles.is_empty() {
            self.give_user_role();
        }
    }

    fn give_user_role(&mut self) {
        if (USER_ROLE as usize) < self.tenant.roles.len() {
            self.draft.roles.insert(USER_ROLE);
        }
    }

    fn required(&mut self, label: &str, value: &Value, limit: usize) -> Option<String> {
        if is_blank(value) {
            self.errors.push(format!("{label} can't be blank"));
            return None;
        }
        self.text(label, value, limit)
    }

    fn optional(&mut self, label: &str, value: &Value) -> Said<String> {
        if is_blank(value) {
            return Said::Blank;
        }
        self.text(label, value, LONG).map_or(Said::Nothing, Said::This)
    }

    fn text(&mut self, label: &str, value: &Value, limit: usize) -> Option<String> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        if text.chars().count() > limit {
            self.errors
                .push(format!("{label} is too long (maximum is {limit} characters)"));
            return None;
        }
        Some(text)
    }

    /// Whether nobody else has this value. Coupa compares without regard to case.
    fn is_free(&mut self, label: &str, text: &str, place: &Unique) -> bool {
        let mut others = (0..self.tenant.users.len() as u64).filter(|&other| Some(other) != self.user);
        let taken = others.any(|other| {
            place
                .of(self.tenant, other)
                .is_some_and(|theirs| theirs.eq_ignore_ascii_case(text))
        });
        if taken {
            self.errors.push(format!("{label} has already been taken"));
        }
        !taken
    }

    fn employee_number(&mut self, value: &Value) {
        let said = self.optional("Employee number", value);
        let free = match &said {
            Said::This(number) => self.is_free("Employee number", number, &EMPLOYEE_NUMBER),
            Said::Nothing | Said::Blank => true,
        };
        if free {
            said.put(&mut self.draft.profile.employee_number);
        }
    }

    fn authentication_method(&mut self, value: &Value) {
        let known: Option<&'static str> = ["coupa_credentials", "ldap", "saml"]
            .into_iter()
            .find(|known| value.as_str() == Some(known));
        match known {
            Some(method) => self.draft.profile.authentication_method = Cow::Borrowed(method),
            None => self
                .errors
                .push("Authentication method is not included in the list".to_owned()),
        }
    }

    fn roles(&mut self, value: &Value) {
        let named = |name: &str| self.tenant.roles.iter().position(|role| role.name == name);
        match self.list("Roles", Type::Role, value, |name| named(name).map(to_u32)) {
            Items::Nothing => {}
            Items::Clear => {
                self.draft.roles.clear();
                if self.readings.cleared_roles == ClearedRoles::UserRole {
                    self.give_user_role();
                }
            }
            Items::These(items) => {
                if self.readings.list_write.roles == ListWrite::Replace {
                    self.draft.roles.clear();
                }
                self.draft.roles.extend(items);
            }
            Items::Refused(error) => self.errors.push(error),
        }
    }

    fn groups(&mut self, value: &Value) {
        let named = |name: &str| self.tenant.groups.iter().position(|group| group.name == name);
        match self.list("User groups", Type::Group, value, |name| named(name).map(to_u32)) {
            Items::Nothing => {}
            Items::Clear => self.draft.groups.clear(),
            Items::These(items) => {
                if self.readings.list_write.user_groups == ListWrite::Replace {
                    self.draft.groups.clear();
                }
                self.draft.groups.extend(items);
            }
            Items::Refused(error) => self.errors.push(error),
        }
    }

    fn list(&self, label: &str, ty: Type, value: &Value, named: impl Fn(&str) -> Option<u32>) -> Items {
        let empty = |reading| match reading {
            Clear::Clears => Items::Clear,
            Clear::Ignored => Items::Nothing,
            Clear::Rejected => Items::Refused(format!("{label} is invalid")),
        };
        match value {
            Value::Null => empty(self.readings.clear_null),
            Value::Array(items) if items.is_empty() => empty(self.readings.clear_brackets),
            Value::Array(items) => {
                let taken = match self.share {
                    Share::Whole => items.len(),
                    Share::FirstHalf => items.len() / 2,
                };
                let of_id = |id| self.tenant.locate(ty, id);
                let found = items
                    .iter()
                    .map(|item| reference(item, of_id, |name| named(name).map(u64::from)));
                let mut found = found.map(|said| said.this().map(|index| to_u32(as_index(index))));
                // A list of nothing but strangers says nothing.
                if found.clone().all(|item| item.is_none()) {
                    return Items::Nothing;
                }
                Items::These(found.by_ref().take(taken).flatten().collect())
            }
            _ => Items::Nothing,
        }
    }

    fn license(&mut self, key: &str, value: &Value) {
        let bit = LICENSES.iter().position(|license| same_name(license.name, key));
        let (Some(bit), Some(held)) = (bit, flag(value)) else {
            return;
        };
        let name = LICENSES[bit].name;
        match self.readings.newcomer_licenses {
            NewcomerLicenses::Ignored if self.user.is_none() => return,
            NewcomerLicenses::Rejected if self.user.is_none() => {
                self.errors.push(format!("{} is invalid", humanised(name)));
                return;
            }
            _ => {}
        }
        let unread = TWO_SPELLINGS.contains(&name)
            && match self.readings.key_in {
                KeyIn::Both => false,
                KeyIn::Dashed => key.contains('_'),
                KeyIn::Underscored => key.contains('-'),
            };
        let listed = |names: &[String]| names.iter().any(|sticky| same_name(sticky, name));
        let stuck = listed(&self.readings.sticky_always) || (!held && listed(&self.readings.sticky_off));
        if LICENSES[bit].read_only || unread || stuck {
            return;
        }
        let new = held && self.draft.licenses >> bit & 1 == 0;
        if new && name == risk_assess::LICENSE && !self.has_seat() {
            return;
        }
        self.draft.licenses = self.draft.licenses & !(1 << bit) | u32::from(held) << bit;
    }

    /// Whether one more may hold the license of Risk Assess; the refusal is noted.
    fn has_seat(&mut self) -> bool {
        let readings = self.readings.risk_assess;
        let free = readings
            .seats
            .is_none_or(|seats| self.tenant.seats_taken() < seats);
        match readings.no_seat {
            _ if free => true,
            NoSeat::Granted => true,
            NoSeat::Ignored => false,
            NoSeat::Refused => {
                self.errors
                    .push("Risk Assess license cannot be assigned: no licenses are available".to_owned());
                false
            }
        }
    }

    fn user_handle(&self, id: u64) -> Option<u64> {
        self.tenant.locate(Type::User, id)
    }

    fn phone_work(&mut self, value: &Value) {
        let Value::Object(parts) = value else {
            if value.is_null() {
                self.draft.profile.phone_work = None;
            }
            return;
        };
        let part = |name: &str| {
            let found = parts.iter().find(|(key, _)| same_name(key, name));
            found.and_then(|(_, value)| value.as_str()).map(str::to_owned)
        };
        let phone = Phone {
            country_code: part("country-code"),
            area_code: part("area-code"),
            number: part("number"),
            extension: part("extension"),
        };
        let known = self.draft.profile.phone_work;
        if known.is_none_or(|handle| self.tenant.phone(handle) != phone) {
            self.draft.profile.phone_work = Some(self.tenant.keep_phone(phone));
        }
    }

    fn default_address(&mut self, value: &Value) {
        let Value::Object(parts) = value else {
            if value.is_null() {
                self.draft.profile.address = None;
            }
            return;
        };
        let part = |name: &str| {
            let found = parts.iter().find(|(key, _)| same_name(key, name));
            found.and_then(|(_, value)| value.as_str()).map(str::to_owned)
        };
        let address = Address {
            street1: part("street1"),
            street2: part("street2"),
            street3: part("street3"),
            street4: part("street4"),
            city: part("city"),
            state: part("state"),
            state_iso_code: part("state-iso-code"),
            postal_code: part("postal-code"),
            country: parts.get("country").and_then(country),
        };
        let known = self.draft.profile.address;
        if known.is_none_or(|handle| self.tenant.address(handle) != address) {
            self.draft.profile.address = Some(self.tenant.keep_address(address));
        }
    }

    fn custom_fields(&mut self, value: &Value) {
        let fields = &mut self.draft.profile.custom;
        for (key, value) in value.as_object().into_iter().flatten() {
            match key.replace('_', "-").as_str() {
                "badge-colour" if value.is_null() => fields.badge_colour = None,
                "badge-colour" => {
                    let text = value.as_str().map(|text| text.to_owned().into());
                    fields.badge_colour = text.or(fields.badge_colour.take());
                }
                "reviewer?" => fields.reviewer = flag(value).unwrap_or(fields.reviewer),
                "site" => {
                    let found = reference(value, department_of_id, department_of_name);
                    found.put(&mut fields.site);
                }
                _ => {}
            }
        }
    }
}

/// A country by code or name, as an object or as a text; one that nobody knows says nothing.
fn country(value: &Value) -> Option<Country> {
    let said = match value {
        Value::Object(parts) => ["code", "name"].iter().find_map(|key| parts.get(*key)?.as_str()),
        value => value.as_str(),
    }?;
    let mut known = COUNTRIES.iter();
    let (code, name) = known.find(|(code, name)| said == *code || said == *name)?;
    Some(Country {
        code: Some((*code).to_owned()),
        name: Some((*name).to_owned()),
    })
}

/// A value that no two users share: as reads show it, and in a state they do not show yet.
struct Unique {
    shown: fn(&Tenant, u64) -> Option<String>,
    pending: fn(Profile) -> Option<String>,
}

const LOGIN: Unique = Unique {
    shown: |tenant, user| Some(tenant.login(user)),
    pending: |profile| Some(profile.login),
};

const EMAIL: Unique = Unique {
    shown: Tenant::email,
    pending: |profile| profile.email,
};

const EMPLOYEE_NUMBER: Unique = Unique {
    shown: Tenant::employee_number,
    pending: |profile| profile.employee_number,
};

impl Unique {
    /// The true value of a user, without computing all the others.
    fn of(&self, tenant: &Tenant, user: u64) -> Option<String> {
        if tenant.is_pending(user) {
            (self.pending)(tenant.true_profile(user))
        } else {
            (self.shown)(tenant, user)
        }
    }
}

/// What a list in a body asks for.
enum Items {
    Nothing,
    Clear,
    These(Vec<u32>),
    Refused(String),
}

/// `badge-colour` -> `Badge colour`, as messages name elements.
fn humanised(name: &str) -> String {
    let spaced = name.replace(['-', '_'], " ");
    let mut letters = spaced.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}
