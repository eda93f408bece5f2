//! A row of users read as a profile: what Risk Assess takes of a user.
//!
//! Invariant: what is blank, `null` or not there is `None`; a form that cannot be understood is an error that names the element, never
//! a missing value.

use serde_json::{Map, Value};

use crate::coupa::licenses::dashed;
use crate::model::class::{SupplierRoles, classify};
use crate::model::id::{RoleId, UserId};
use crate::model::profile::{Address, Phone, Profile, RISK_ASSESS_LICENSE};

use super::element::{List, Plain, Whole};
use super::user::UserRow;

impl UserRow {
    /// The profile, or the name of the element that cannot be understood. A list of roles that is not there counts as empty: the caller
    /// has made sure that it is.
    pub(crate) fn to_profile(&self, suppliers: &SupplierRoles) -> Result<Profile, Box<str>> {
        let roles = self.list(List::Roles).unwrap_or_default().iter();
        let roles: Vec<RoleId> = roles.filter_map(|id| RoleId::new(*id)).collect();
        let said = |plain: Plain| {
            self.plain(plain)
                .filter(|text| !text.trim().is_empty())
                .map(Box::from)
        };
        Ok(Profile {
            user: UserId::new(self.id).ok_or("id")?,
            class: classify(self.marks()?, &roles, suppliers),
            active: self.active()?,
            licensed: self.licensed()?,
            login: said(Plain::Login).ok_or(Plain::Login.name())?,
            email: said(Plain::Email),
            first_name: said(Plain::FirstName),
            middle_name: said(Plain::MiddleName),
            last_name: said(Plain::LastName),
            phone: self.parts(Whole::Phone)?.as_ref().map(phone).transpose()?,
            address: self.parts(Whole::Address)?.as_ref().map(address).transpose()?,
            authentication_method: said(Plain::AuthenticationMethod),
            updated_at: self.time(Plain::UpdatedAt)?,
        })
    }

    /// Whether the license is held; `None` where the row does not speak of it. Coupa writes `null` for a flag nobody ever set.
    fn licensed(&self) -> Result<Option<bool>, Box<str>> {
        let speaks = self.flags().any(|(name, _)| name == RISK_ASSESS_LICENSE);
        speaks.then(|| self.held(RISK_ASSESS_LICENSE)).transpose()
    }

    fn parts(&self, whole: Whole) -> Result<Option<Object<'_>>, Box<str>> {
        match self.object(whole) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(parts)) => Ok(Some(Object {
                name: whole.name(),
                parts,
            })),
            Some(_) => Err(whole.name().into()),
        }
    }
}

/// An object inside a row.
struct Object<'a> {
    name: &'static str,
    parts: &'a Map<String, Value>,
}

impl Object<'_> {
    /// A part by its dashed name, in any of Coupa's spellings: addresses are printed with underscores.
    fn part(&self, name: &str) -> Option<&Value> {
        let mut parts = self.parts.iter();
        parts.find(|(key, _)| dashed(key) == name).map(|(_, value)| value)
    }

    fn odd(&self, part: &str) -> Box<str> {
        format!("{}.{part}", self.name).into()
    }

    fn text(&self, part: &str) -> Result<Option<Box<str>>, Box<str>> {
        scalar(self.part(part)).map_err(|Odd| self.odd(part))
    }

    /// A country is an object with a code, or the code itself; where the code is not shown, its name.
    fn country(&self) -> Result<Option<Box<str>>, Box<str>> {
        let country = self.part("country");
        let Some(Value::Object(parts)) = country else {
            return scalar(country).map_err(|Odd| self.odd("country"));
        };
        let named = |name: &str| scalar(parts.get(name)).map_err(|Odd| self.odd("country"));
        match named("code")? {
            Some(code) => Ok(Some(code)),
            None => named("name"),
        }
    }
}

/// Something that is neither text nor number nor missing.
struct Odd;

fn scalar(value: Option<&Value>) -> Result<Option<Box<str>>, Odd> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok((!text.trim().is_empty()).then(|| text.as_str().into())),
        Some(Value::Number(number)) => Ok(Some(number.to_string().into())),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => Err(Odd),
    }
}

fn phone(object: &Object<'_>) -> Result<Phone, Box<str>> {
    Ok(Phone {
        country_code: object.text("country-code")?,
        area_code: object.text("area-code")?,
        number: object.text("number")?,
        extension: object.text("extension")?,
    })
}

fn address(object: &Object<'_>) -> Result<Address, Box<str>> {
    Ok(Address {
        street1: object.text("street1")?,
        street2: object.text("street2")?,
        street3: object.text("street3")?,
        street4: object.text("street4")?,
        city: object.text("city")?,
        state: object.text("state")?,
        state_iso_code: object.text("state-iso-code")?,
        postal_code: object.text("postal-code")?,
        country: object.country()?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use serde_json::json;

    use super::*;
    use crate::model::tenant::{AccountClass, Role};

    fn read(more: &Value) -> Result<Profile, Box<str>> {
        let mut user = json!({"id": 7, "login": "ann", "active": true, "roles": []});
        let more = more.as_object().unwrap().clone();
        user.as_object_mut().unwrap().extend(more);
        let row: UserRow = serde_json::from_value(user).unwrap();
        let role = Role {
            id: RoleId::new(9).unwrap(),
            name: "CSP Basic".into(),
            description: None,
            omnipotent: false,
            system: false,
        };
        row.to_profile(&SupplierRoles::among(&[role]))
    }

    #[test]
    fn everything_is_read_in_every_spelling() {
        let dashed = json!({
            "email": "a@b.com", "firstname": "Ann", "middlename": "M", "lastname": "Lee", "authentication-method": "saml",
            "updated-at": "2024-05-01T10:00:00-07:00", "risk-assess-user": true,
            "phone-work": {"id": 3, "country-code": "1", "area-code": "555", "number": 1_234_567, "extension": "9"},
            "default-address": {"street1": "1 A St", "street2": "B", "street3": "C", "street4": "D", "city": "Reno", "state": "Nevada",
                "state-iso-code": "US-NV", "postal-code": "00501", "country": {"code": "US", "name": "United States"}},
        });
        let underscored = json!({
            "email": "a@b.com", "firstname": "Ann", "middlename": "M", "lastname": "Lee", "authentication_method": "saml",
            "updated_at": "2024-05-01T17:00:00Z", "risk_assess_user": "true",
            "phone_work": {"country_code": "1", "area_code": "555", "number": "1234567", "extension": 9},
            "default_address": {"street1": "1 A St", "street2": "B", "street3": "C", "street4": "D", "city": "Reno", "state": "Nevada",
                "state_iso_code": "US-NV", "postal_code": "00501", "country": "US"},
        });
        let graphql = json!({
            "email": "a@b.com", "firstname": "Ann", "middlename": "M", "lastname": "Lee", "authenticationMethod": "saml",
            "updatedAt": "2024-05-01T17:00:00Z", "riskAssessUser": true,
            "phoneWork": {"countryCode": "1", "areaCode": "555", "number": "1234567", "extension": "9"},
            "defaultAddress": {"street1": "1 A St", "street2": "B", "street3": "C", "street4": "D", "city": "Reno", "state": "Nevada",
                "stateIsoCode": "US-NV", "postalCode": "00501", "country": {"code": "US"}},
        });
        let profile = read(&dashed).unwrap();
        for other in [underscored, graphql] {
            assert!(read(&other).unwrap() == profile);
        }
        assert_eq!(
            (profile.class, profile.licensed),
            (AccountClass::Internal, Some(true))
        );
        let phone = profile.phone.unwrap();
        assert_eq!(
            (phone.number.as_deref(), phone.extension.as_deref()),
            (Some("1234567"), Some("9"))
        );
        let address = profile.address.unwrap();
        assert_eq!(address.state_iso_code.as_deref(), Some("US-NV"));
        assert_eq!(address.country.as_deref(), Some("US"));
        assert_eq!(profile.updated_at, Some("2024-05-01T17:00:00Z".parse().unwrap()));
    }

    #[test]
    fn what_is_missing_is_none_and_never_blank() {
        let profile = read(&json!({"email": "", "lastname": "  ", "phone-work": null,
            "default-address": {"street1": " ", "city": null, "country": {"code": "", "name": "Norway"}}}))
        .unwrap();
        assert_eq!(
            (profile.email, profile.last_name, profile.first_name),
            (None, None, None)
        );
        assert!(profile.phone.is_none());
        let address = profile.address.unwrap();
        assert_eq!((address.street1, address.city), (None, None));
        assert_eq!(address.country.as_deref(), Some("Norway"));
        let bare = read(&json!({})).unwrap();
        assert!(bare.address.is_none() && bare.updated_at.is_none());
    }

    #[test]
    fn a_license_is_unknown_only_where_nothing_is_said_of_it() {
        let licensed = |more: &Value| read(more).unwrap().licensed;
        assert_eq!(licensed(&json!({})), None);
        assert_eq!(licensed(&json!({"risk-assess-user": null})), Some(false));
        assert_eq!(licensed(&json!({"riskAssessUser": false})), Some(false));
        assert_eq!(
            &*read(&json!({"risk-assess-user": "perhaps"})).unwrap_err(),
            RISK_ASSESS_LICENSE
        );
    }

    #[test]
    fn odd_forms_are_named() {
        for (more, path) in [
            (json!({"default-address": "1 A St"}), "default-address"),
            (json!({"phone-work": ["1"]}), "phone-work"),
            (json!({"phone-work": {"number": {}}}), "phone-work.number"),
            (
                json!({"default-address": {"country": [1]}}),
                "default-address.country",
            ),
            (json!({"login": " "}), "login"),
            (json!({"active": null}), "active"),
            (json!({"updated-at": "yesterday"}), "updated-at"),
        ] {
            assert_eq!(&*read(&more).unwrap_err(), path);
        }
    }

    #[test]
    fn the_class_needs_the_roles() {
        let portal = read(&json!({"roles": [{"id": 9}]})).unwrap();
        assert_eq!(portal.class, AccountClass::Supplier);
        assert_eq!(read(&json!({"api-user": true})).unwrap().class, AccountClass::Api);
    }
}
