//! Whether an account shows what Coupa shows of its user, field by field, as the sync takes them (S1).
//!
//! Invariant: a column that the grid lacks, and a value of which nobody can say what it means, is neither equal nor different.

use std::collections::BTreeSet;

use crate::model::profile::{Address, Phone, Profile};

use super::super::columns::{Column, plain};
use super::super::compare::{digits, same};
use super::super::theirs::TheirAccount;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields {
    /// Columns that show what Coupa shows.
    pub same: BTreeSet<Column>,
    /// Columns that do not.
    pub differ: BTreeSet<Column>,
    /// Fields of the sync that the grid does not show, or not so that they can be compared.
    pub untold: BTreeSet<Column>,
}

/// The fields of the sync that a grid can show, without the id and whether the account is active (S1).
const SYNCED: [Column; 11] = [
    Column::CoupaUsername,
    Column::Email,
    Column::FirstName,
    Column::LastName,
    Column::BusinessPhone,
    Column::Address1,
    Column::Address2,
    Column::City,
    Column::State,
    Column::PostalCode,
    Column::Country,
];

/// Compares a user with an account of a grid that has these columns.
pub(super) fn compare(profile: &Profile, theirs: &TheirAccount, columns: &BTreeSet<Column>) -> Fields {
    let mut fields = Fields::default();
    for column in SYNCED {
        let equal = columns
            .contains(&column)
            .then(|| equal(column, profile, theirs.get(column)));
        match equal.flatten() {
            Some(true) => fields.same.insert(column),
            Some(false) => fields.differ.insert(column),
            None => fields.untold.insert(column),
        };
    }
    fields
}

/// `None` if it cannot be told.
fn equal(column: Column, profile: &Profile, theirs: Option<&str>) -> Option<bool> {
    static NOWHERE: Address = Address {
        street1: None,
        street2: None,
        street3: None,
        street4: None,
        city: None,
        state: None,
        state_iso_code: None,
        postal_code: None,
        country: None,
    };
    let address = profile.address.as_ref().unwrap_or(&NOWHERE);
    let ours = match column {
        Column::CoupaUsername => Some(&profile.login),
        Column::Email => profile.email.as_ref(),
        Column::FirstName => profile.first_name.as_ref(),
        Column::LastName => profile.last_name.as_ref(),
        Column::Address1 => address.street1.as_ref(),
        Column::Address2 => address.street2.as_ref(),
        Column::City => address.city.as_ref(),
        Column::PostalCode => address.postal_code.as_ref(),
        Column::BusinessPhone => return phone(profile.phone.as_ref(), theirs),
        Column::State => return state(address, theirs),
        Column::Country => return code(address.country.as_deref(), theirs),
        _ => return None,
    };
    Some(match (ours.map(|text| text.trim()), theirs) {
        (None | Some(""), None) => true,
        (Some(ours), Some(theirs)) => same(column, ours, theirs),
        _ => false,
    })
}

/// By digits; the country code and the extension need not be shown.
fn phone(ours: Option<&Phone>, theirs: Option<&str>) -> Option<bool> {
    let part = |part: fn(&Phone) -> &Option<Box<str>>| {
        ours.and_then(|phone| part(phone).as_deref())
            .map(digits)
            .unwrap_or_default()
    };
    let number = part(|phone| &phone.area_code) + &part(|phone| &phone.number);
    let Some(theirs) = theirs else {
        return Some(number.is_empty());
    };
    let theirs = digits(theirs);
    if theirs.is_empty() {
        return None;
    }
    let (country, extension) = (part(|phone| &phone.country_code), part(|phone| &phone.extension));
    let forms = [
        number.clone(),
        format!("{country}{number}"),
        format!("{number}{extension}"),
        format!("{country}{number}{extension}"),
    ];
    Some(!number.is_empty() && forms.contains(&theirs))
}

/// As free text, by its code (`CA`), or by that with the country before it (`US-CA`).
fn state(ours: &Address, theirs: Option<&str>) -> Option<bool> {
    let iso = ours.state_iso_code.as_deref();
    let short = iso.and_then(|iso| iso.rsplit_once('-')).map(|(_, short)| short);
    let forms: Vec<String> = [ours.state.as_deref(), iso, short]
        .into_iter()
        .flatten()
        .map(plain)
        .filter(|form| !form.is_empty())
        .collect();
    let Some(theirs) = theirs.map(plain) else {
        return Some(forms.is_empty());
    };
    if forms.contains(&theirs) {
        return Some(true);
    }
    // A code against a name says nothing without a table of this tenant's names.
    let comparable = forms
        .iter()
        .any(|form| is_code(form) == is_code(&theirs) || short.is_some() && is_code(&theirs));
    (forms.is_empty() || comparable).then_some(false)
}

/// By code: a name against a code says nothing.
fn code(ours: Option<&str>, theirs: Option<&str>) -> Option<bool> {
    match (ours.map(plain).filter(|code| !code.is_empty()), theirs.map(plain)) {
        (None, None) => Some(true),
        (Some(ours), Some(theirs)) if ours == theirs => Some(true),
        (Some(ours), Some(theirs)) => (ours.len() == 2 && theirs.len() == 2).then_some(false),
        _ => Some(false),
    }
}

fn is_code(text: &str) -> bool {
    text.len() <= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone_of(parts: [&str; 4]) -> Phone {
        let [country, area, number, extension] =
            parts.map(|part| (!part.is_empty()).then(|| Box::<str>::from(part)));
        Phone {
            country_code: country,
            area_code: area,
            number,
            extension,
        }
    }

    #[test]
    fn telephones_by_their_digits() {
        let ours = phone_of(["1", "555", "123-4567", "12"]);
        for (theirs, equal) in [
            (Some("5551234567"), Some(true)),
            (Some("+1 (555) 123 4567"), Some(true)),
            (Some("555-123-4567 x12"), Some(true)),
            (Some("5551234568"), Some(false)),
            (Some("unknown"), None),
            (None, Some(false)),
        ] {
            assert_eq!(phone(Some(&ours), theirs), equal, "{theirs:?}");
        }
        assert_eq!(phone(None, None), Some(true));
        assert_eq!(phone(None, Some("5551234567")), Some(false));
        assert_eq!(phone(Some(&phone_of(["1", "", "", ""])), Some("1")), Some(false));
        assert_eq!(
            phone(Some(&phone_of(["1", "", "", ""])), None),
            Some(true),
            "a country alone is no number"
        );
    }

    #[test]
    fn places_by_their_codes() {
        let address = |state: Option<&str>, iso: Option<&str>| Address {
            state: state.map(Into::into),
            state_iso_code: iso.map(Into::into),
            ..Address::default()
        };
        for (ours, theirs, equal) in [
            (address(Some("California"), Some("US-CA")), Some("ca"), Some(true)),
            (
                address(Some("California"), Some("US-CA")),
                Some("CALIFORNIA"),
                Some(true),
            ),
            (
                address(Some("California"), Some("US-CA")),
                Some("NY"),
                Some(false),
            ),
            (address(Some("CA"), None), Some("California"), None),
            (address(Some("California"), None), Some("CA"), None),
            (address(Some("CA"), None), Some("NY"), Some(false)),
            (address(Some("CA"), None), None, Some(false)),
            (address(None, None), None, Some(true)),
            (address(None, None), Some("NY"), Some(false)),
        ] {
            assert_eq!(state(&ours, theirs), equal, "{theirs:?}");
        }
        for (ours, theirs, equal) in [
            (Some("US"), Some("us"), Some(true)),
            (Some("US"), Some("CA"), Some(false)),
            (Some("US"), Some("United States"), None),
            (Some("US"), None, Some(false)),
            (None, None, Some(true)),
        ] {
            assert_eq!(code(ours, theirs), equal, "{ours:?} {theirs:?}");
        }
    }
}
