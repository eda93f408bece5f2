//! A Coupa user as the sync takes it: S1's list of fields, read from what is truly in Coupa.
//!
//! Invariant: read through the attribute tables of the API, so whatever Coupa's screens can hold of a phone or an address is what is synced.

use std::collections::BTreeMap;

use crate::sandbox::schema::{Kind, Leaf, Type};
use crate::sandbox::tenant::{Class, LICENSES, Tenant};

use super::fields::Field;

/// Dashed REST name of the license.
pub(in crate::sandbox) const LICENSE: &str = "risk-assess-user";

/// A telephone number in parts.
#[derive(Clone, PartialEq, Eq)]
struct Phone {
    country: String,
    area: String,
    number: String,
    extension: String,
}

/// An address.
#[derive(Clone, PartialEq, Eq)]
struct Address {
    street1: String,
    street2: String,
    city: String,
    state: String,
    postal_code: String,
    country: String,
}

/// One user. Blank values are empty.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::sandbox) struct CoupaUser {
    pub(super) id: u64,
    pub(super) login: String,
    pub(super) email: String,
    pub(super) active: bool,
    pub(super) licensed: bool,
    pub(super) supplier: bool,
    pub(super) first_name: String,
    pub(super) last_name: String,
    phone: Option<Phone>,
    address: Option<Address>,
}

impl CoupaUser {
    /// The user of this index as it truly is, whatever reads show.
    pub(super) fn of(tenant: &mut Tenant, user: u64) -> Self {
        tenant.as_it_is(user, |tenant| {
            let row = tenant.user(user);
            Self {
                id: row.id,
                active: row.active,
                licensed: is_licensed(row.licenses),
                supplier: matches!(row.class, Class::Supplier | Class::SupplierByRole),
                login: tenant.login(user),
                email: tenant.email(user).unwrap_or_default(),
                first_name: tenant.first_name(user).into_owned(),
                last_name: tenant.last_name(user).into_owned(),
                phone: part(tenant, Type::User, user, "phone-work").map(|(ty, phone)| Phone {
                    country: text(tenant, ty, phone, "country-code"),
                    area: text(tenant, ty, phone, "area-code"),
                    number: text(tenant, ty, phone, "number"),
                    extension: text(tenant, ty, phone, "extension"),
                }),
                address: part(tenant, Type::User, user, "default-address")
                    .map(|(ty, address)| Address::of(tenant, ty, address)),
            }
        })
    }

    pub(super) fn has_address(&self) -> bool {
        self.address.is_some()
    }

    /// Equal in everything that is synced; the license and the class are not.
    pub(super) fn same_fields(&self, other: &Self) -> bool {
        let bare = |user: &Self| Self {
            licensed: false,
            supplier: false,
            ..user.clone()
        };
        bare(self) == bare(other)
    }

    /// The synced columns of text, with blank ones: they empty what is stored. The user name is not among them.
    pub(super) fn fields(&self) -> BTreeMap<Field, String> {
        let blank = Address {
            street1: String::new(),
            street2: String::new(),
            city: String::new(),
            state: String::new(),
            postal_code: String::new(),
            country: String::new(),
        };
        let address = self.address.clone().unwrap_or(blank);
        let phone = self.phone.as_ref();
        BTreeMap::from([
            (Field::CoupaUsername, self.login.clone()),
            (Field::Email, self.email.clone()),
            (Field::FirstName, self.first_name.clone()),
            (Field::LastName, self.last_name.clone()),
            (Field::BusinessPhone, phone.map(Phone::number).unwrap_or_default()),
            (
                Field::BusinessExt,
                phone.map(|phone| phone.extension.clone()).unwrap_or_default(),
            ),
            (Field::Address1, address.street1),
            (Field::Address2, address.street2),
            (Field::City, address.city),
            (Field::State, address.state),
            (Field::PostalCode, address.postal_code),
            (Field::Country, address.country),
        ])
    }
}

impl Address {
    fn of(tenant: &Tenant, ty: Type, address: u64) -> Self {
        let value = |name| text(tenant, ty, address, name);
        let country = part(tenant, ty, address, "country");
        let country = country.map(|(ty, country)| text(tenant, ty, country, "code"));
        let country = country.unwrap_or_default();
        Self {
            street1: value("street1"),
            street2: value("street2"),
            city: value("city"),
            state: state(&country, value("state"), &value("state-iso-code")),
            postal_code: value("postal-code"),
            country,
        }
    }
}

/// In the US and Canada the code, which is what Risk Assess has in its lists (D501), without the country that ISO 3166-2 puts before
/// it; elsewhere the text.
fn state(country: &str, name: String, iso: &str) -> String {
    let code = iso.rsplit('-').next().unwrap_or_default().to_owned();
    let coded = ["US", "CA"]
        .iter()
        .any(|listed| country.eq_ignore_ascii_case(listed));
    let (first, second) = if coded { (code, name) } else { (name, code) };
    if first.is_empty() { second } else { first }
}

impl Phone {
    /// Digits alone in the US, where no country code means the US, too; else `+41 44 5550000`.
    fn number(&self) -> String {
        if self.area.is_empty() && self.number.is_empty() {
            return String::new();
        }
        if ["", "1", "+1"].contains(&self.country.as_str()) {
            return format!("{}{}", self.area, self.number);
        }
        let country = format!("+{}", self.country.trim_start_matches('+'));
        let parts = [country.as_str(), &self.area, &self.number];
        parts
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// Whether a row's licenses hold that of Risk Assess.
pub(in crate::sandbox) fn is_licensed(licenses: u32) -> bool {
    let bit = LICENSES.iter().position(|license| license.name == LICENSE);
    bit.is_some_and(|bit| licenses >> bit & 1 == 1)
}

/// What an attribute that holds an object leads to.
fn part(tenant: &Tenant, ty: Type, handle: u64, name: &str) -> Option<(Type, u64)> {
    match ty.attribute(name)?.kind {
        Kind::One(target, read) => read(tenant, handle).map(|handle| (target, handle)),
        _ => None,
    }
}

fn text(tenant: &Tenant, ty: Type, handle: u64, name: &str) -> String {
    match ty
        .attribute(name)
        .and_then(|attribute| attribute.leaf(tenant, handle))
    {
        Some(Leaf::Text(text)) => text.into_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn states_are_codes_where_risk_assess_lists_them() {
        let of = |country, name: &str, iso| state(country, name.to_owned(), iso);
        assert_eq!(of("us", "Nevada", "US-NV"), "NV");
        assert_eq!(of("US", "NV", ""), "NV");
        assert_eq!(of("CH", "Zürich", "CH-ZH"), "Zürich");
        assert_eq!(of("CH", "", "CH-ZH"), "ZH");
        assert_eq!(of("CH", "", ""), "");
    }
}
