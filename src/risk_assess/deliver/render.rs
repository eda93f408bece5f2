//! One user as a row of the users file (D501).
//!
//! Invariants: every row says `No` to administrator and supplier user; an optional value that is blank or that the file cannot hold is left
//! out, which leaves what is stored (blank never clears), and the latter is told; nothing is cut.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::profile::{Address, Phone, Profile};
use crate::model::tenant::AccountClass;
use crate::risk_assess::columns::Column;

use super::phone::{self, Written};

/// What a row says of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Active {
    /// It is to be active.
    Yes,
    /// It is to be closed.
    No,
}

/// A row. `Debug` shows which columns it has.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// Values; none is blank.
    pub cells: BTreeMap<Column, String>,
    /// What has no place in it.
    pub left_out: Vec<LeftOut>,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.cells.keys()).finish()
    }
}

/// A value that was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftOut {
    /// Of which column.
    pub column: Column,
    /// Why.
    pub why: Why,
}

/// Why a value was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It has more characters than this.
    LongerThan(usize),
    /// It is no telephone number as the file takes it.
    NoNumber,
    /// The number stands there, its extension does not fit.
    Extension,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = self.column.title();
        match self.why {
            Why::LongerThan(limit) => write!(f, "{title} (longer than {limit} characters)"),
            Why::NoNumber => write!(f, "{title} (no number that the file takes)"),
            Why::Extension => write!(f, "the extension of {title}"),
        }
    }
}

/// Why there is no row: the texts hold no values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Only people of the company have accounts there by us.
    #[error("the account is of class {}, not internal", .0.name())]
    Class(AccountClass),
    /// A required value is missing (D501).
    #[error("{} is required and blank", .0.title())]
    Blank(Column),
    /// A required value is too long (D501).
    #[error("{} is longer than {} characters", .0.title(), .1)]
    TooLong(Column, usize),
    /// The row asks for an administrator: given in Risk Assess by a person, never by a file.
    #[error("the row makes an administrator")]
    Administrator,
    /// The row asks for a supplier user.
    #[error("the row makes a supplier user")]
    Supplier,
    /// Neither yes nor no.
    #[error("{} is neither yes nor no", .0.title())]
    NeitherYesNorNo(Column),
    /// A column that is none of Risk Assess.
    #[error("the row has a column that is not known")]
    UnknownColumn,
}

/// The row of a user of Coupa.
pub fn cells(profile: &Profile, active: Active) -> Result<Row, Unfit> {
    if profile.class != AccountClass::Internal {
        return Err(Unfit::Class(profile.class));
    }
    let mut row = Row {
        cells: BTreeMap::new(),
        left_out: Vec::new(),
    };
    row.require(Column::Email, profile.email.as_deref())?;
    row.require(Column::FirstName, profile.first_name.as_deref())?;
    row.require(Column::LastName, profile.last_name.as_deref())?;
    row.set(Column::Status, yes_or_no(active));
    row.set(Column::CoupaUserId, profile.user.to_string());
    row.offer(Column::CoupaUsername, Some(&profile.login));
    row.offer(Column::SsoUsername, Some(&profile.login));
    row.neither_supplier_nor_administrator();
    if let Some(phone) = &profile.phone {
        row.phone(phone);
    }
    if let Some(address) = &profile.address {
        row.address(address);
    }
    Ok(row)
}

/// The row of an imported file: as a person wrote it, by any header of each column.
pub fn imported(given: &BTreeMap<Box<str>, Box<str>>) -> Result<Row, Unfit> {
    let mut row = Row {
        cells: BTreeMap::new(),
        left_out: Vec::new(),
    };
    for (header, value) in given {
        let column = Column::of_header(header).ok_or(Unfit::UnknownColumn)?;
        let value = value.trim();
        if !value.is_empty() {
            row.set(column, value);
        }
    }
    for column in [Column::Email, Column::FirstName, Column::LastName, Column::Status] {
        let given = row.cells.get(&column).cloned();
        row.require(column, given.as_deref())?;
    }
    let status = spoken(&row, Column::Status, Active::No)?;
    if spoken(&row, Column::IsAdministrator, Active::No)? == Active::Yes {
        return Err(Unfit::Administrator);
    }
    if spoken(&row, Column::IsSupplierUser, Active::No)? == Active::Yes {
        return Err(Unfit::Supplier);
    }
    row.set(Column::Status, yes_or_no(status));
    row.neither_supplier_nor_administrator();
    Ok(row)
}

impl Row {
    fn set(&mut self, column: Column, value: impl Into<String>) {
        self.cells.insert(column, value.into());
    }

    fn neither_supplier_nor_administrator(&mut self) {
        self.set(Column::IsSupplierUser, yes_or_no(Active::No));
        self.set(Column::IsAdministrator, yes_or_no(Active::No));
    }

    fn require(&mut self, column: Column, value: Option<&str>) -> Result<(), Unfit> {
        let value = value.map(str::trim).filter(|value| !value.is_empty());
        let value = value.ok_or(Unfit::Blank(column))?;
        let limit = limit(column);
        if value.chars().count() > limit {
            return Err(Unfit::TooLong(column, limit));
        }
        self.set(column, value);
        Ok(())
    }

    fn offer(&mut self, column: Column, value: Option<&str>) {
        let Some(value) = value.map(str::trim).filter(|value| !value.is_empty()) else {
            return;
        };
        let limit = limit(column);
        if value.chars().count() > limit {
            self.leave_out(column, Why::LongerThan(limit));
        } else {
            self.set(column, value);
        }
    }

    fn leave_out(&mut self, column: Column, why: Why) {
        self.left_out.push(LeftOut { column, why });
    }

    fn phone(&mut self, phone: &Phone) {
        let column = Column::BusinessPhone;
        match phone::written(phone) {
            Written::Blank => {}
            Written::Whole(text) => self.set(column, text),
            Written::WithoutExtension(text) => {
                self.set(column, text);
                self.leave_out(column, Why::Extension);
            }
            Written::Not => self.leave_out(column, Why::NoNumber),
        }
    }

    fn address(&mut self, address: &Address) {
        self.offer(Column::Address1, address.street1.as_deref());
        self.offer(Column::Address2, address.street2.as_deref());
        self.offer(Column::City, address.city.as_deref());
        self.offer(Column::State, state(address));
        self.offer(Column::PostalCode, address.postal_code.as_deref());
        self.offer(Column::Country, address.country.as_deref());
    }
}

/// State: one of a list of setup codes in the US and Canada (D501), so the code there, and what people call it elsewhere.
fn state(address: &Address) -> Option<&str> {
    let filled = |text: &'_ Option<Box<str>>| text.as_deref().is_some_and(|text| !text.trim().is_empty());
    let code = address
        .state_iso_code
        .as_deref()
        .filter(|_| filled(&address.state_iso_code));
    // ISO 3166-2 puts the country before it: `US-CA`.
    let code = code.map(|code| code.rsplit('-').next().unwrap_or(code));
    let name = address.state.as_deref().filter(|_| filled(&address.state));
    let country = address.country.as_deref().unwrap_or_default();
    if ["us", "ca"]
        .iter()
        .any(|listed| country.eq_ignore_ascii_case(listed))
    {
        code.or(name)
    } else {
        name.or(code)
    }
}

const fn yes_or_no(active: Active) -> &'static str {
    match active {
        Active::Yes => "Yes",
        Active::No => "No",
    }
}

/// What a person wrote for yes or no; `blank` where nothing stands.
fn spoken(row: &Row, column: Column, blank: Active) -> Result<Active, Unfit> {
    let Some(word) = row.cells.get(&column) else {
        return Ok(blank);
    };
    match word.to_lowercase().as_str() {
        "yes" | "y" | "true" | "1" | "active" => Ok(Active::Yes),
        "no" | "n" | "false" | "0" | "inactive" => Ok(Active::No),
        _ => Err(Unfit::NeitherYesNorNo(column)),
    }
}

/// Most characters of a value (D501).
const fn limit(column: Column) -> usize {
    match column {
        Column::Email | Column::AlternateEmail => 256,
        // Coupa Username has no published limit; it is the single sign-on name.
        Column::SsoUsername | Column::CoupaUsername => 1000,
        _ => 64,
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::id::UserId;

    /// A user as most are.
    pub(in super::super) fn ann(id: u64) -> Profile {
        Profile {
            user: UserId::new(id).unwrap(),
            class: AccountClass::Internal,
            active: true,
            licensed: Some(true),
            login: format!("ann{id}").into(),
            email: Some(format!("ann{id}@example.com").into()),
            first_name: Some("Ann".into()),
            middle_name: None,
            last_name: Some("O'Brien".into()),
            phone: None,
            address: None,
            authentication_method: None,
            updated_at: None,
        }
    }

    fn shown(row: &Row) -> Vec<(&'static str, &str)> {
        row.cells
            .iter()
            .map(|(column, value)| (column.title(), value.as_str()))
            .collect()
    }

    fn given(cells: &[(&str, &str)]) -> BTreeMap<Box<str>, Box<str>> {
        cells
            .iter()
            .map(|(header, value)| ((*header).into(), (*value).into()))
            .collect()
    }

    #[test]
    fn a_user_is_a_row_with_what_coupa_shows_and_no_rights() {
        let mut profile = ann(7);
        profile.phone = Some(Phone {
            country_code: Some("1".into()),
            area_code: Some("555".into()),
            number: Some("123-4567".into()),
            extension: None,
        });
        profile.address = Some(Address {
            street1: Some(" 1 Main St ".into()),
            street2: Some("".into()),
            street3: Some("nowhere".into()),
            city: Some("Springfield".into()),
            state: Some("California".into()),
            state_iso_code: Some("US-CA".into()),
            postal_code: Some("90210".into()),
            country: Some("US".into()),
            ..Address::default()
        });
        let row = cells(&profile, Active::Yes).unwrap();
        assert_eq!(
            shown(&row),
            [
                ("Coupa User ID", "7"),
                ("Coupa Username", "ann7"),
                ("Email", "ann7@example.com"),
                ("First Name", "Ann"),
                ("Last Name", "O'Brien"),
                ("Status", "Yes"),
                ("Business Phone", "5551234567"),
                ("Mailing Address", "1 Main St"),
                ("City", "Springfield"),
                ("State/Province", "CA"),
                ("Postal Code", "90210"),
                ("Country", "US"),
                ("SSO Username", "ann7"),
                ("Supplier User", "No"),
                ("Administrator", "No"),
            ]
        );
        assert!(row.left_out.is_empty());
        assert_eq!(cells(&profile, Active::No).unwrap().cells[&Column::Status], "No");
        profile.address.as_mut().unwrap().country = Some("DE".into());
        assert_eq!(
            cells(&profile, Active::Yes).unwrap().cells[&Column::State],
            "California"
        );
    }

    #[test]
    fn only_people_of_the_company_have_a_row() {
        for class in AccountClass::ALL {
            let row = cells(&Profile { class, ..ann(1) }, Active::Yes);
            match class {
                AccountClass::Internal => assert!(row.is_ok()),
                _ => assert_eq!(row, Err(Unfit::Class(class))),
            }
        }
    }

    #[test]
    fn what_is_required_must_be_there_and_fit() {
        let blank = || Some("  ".into());
        for (profile, column) in [
            (
                Profile {
                    email: None,
                    ..ann(1)
                },
                Column::Email,
            ),
            (
                Profile {
                    first_name: blank(),
                    ..ann(1)
                },
                Column::FirstName,
            ),
            (
                Profile {
                    last_name: None,
                    ..ann(1)
                },
                Column::LastName,
            ),
        ] {
            assert_eq!(cells(&profile, Active::No), Err(Unfit::Blank(column)));
        }
        let name = |letters: usize| Profile {
            last_name: Some("ü".repeat(letters).into()),
            ..ann(1)
        };
        assert!(cells(&name(64), Active::Yes).is_ok(), "characters, not bytes");
        assert_eq!(
            cells(&name(65), Active::Yes),
            Err(Unfit::TooLong(Column::LastName, 64))
        );
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_told_without_its_value() {
        let mut profile = ann(1);
        profile.address = Some(Address {
            street1: Some("Sentinel".repeat(9).into()),
            ..Address::default()
        });
        profile.phone = Some(Phone {
            number: Some("Sentinel".into()),
            ..Phone::default()
        });
        let row = cells(&profile, Active::Yes).unwrap();
        assert!(
            !row.cells.contains_key(&Column::Address1) && !row.cells.contains_key(&Column::BusinessPhone)
        );
        let told: Vec<String> = row.left_out.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "Business Phone (no number that the file takes)",
                "Mailing Address (longer than 64 characters)"
            ]
        );
        assert!(!format!("{row:?}").contains("Ann"), "{row:?}");
    }

    const PERSON: [(&str, &str); 4] = [
        ("Email", "bo@example.com"),
        ("First Name", "Bo"),
        ("Last Name", "Li"),
        ("Status", "Active"),
    ];

    fn with<'a>(more: &[(&'a str, &'a str)]) -> BTreeMap<Box<str>, Box<str>> {
        given(&[&PERSON[..], more].concat())
    }

    #[test]
    fn an_imported_row_goes_as_it_was_written() {
        let row = imported(&with(&[
            ("BusinessPhone", "+1 (555) 123"),
            ("Culture", " "),
            ("County", "Kent"),
        ]))
        .unwrap();
        assert_eq!(
            shown(&row),
            [
                ("Email", "bo@example.com"),
                ("First Name", "Bo"),
                ("Last Name", "Li"),
                ("Status", "Yes"),
                ("Business Phone", "+1 (555) 123"),
                ("County", "Kent"),
                ("Supplier User", "No"),
                ("Administrator", "No"),
            ]
        );
    }

    #[test]
    fn an_imported_row_never_makes_administrators_or_supplier_users() {
        for yes in ["Yes", "yes ", "Y", "TRUE", "1"] {
            assert_eq!(
                imported(&with(&[("IsAdministrator", yes)])),
                Err(Unfit::Administrator),
                "{yes}"
            );
            assert_eq!(
                imported(&with(&[("Supplier User", yes)])),
                Err(Unfit::Supplier),
                "{yes}"
            );
        }
        for strange in ["Oui", "on", "✓", "-1"] {
            assert_eq!(
                imported(&with(&[("Administrator", strange)])),
                Err(Unfit::NeitherYesNorNo(Column::IsAdministrator)),
                "{strange}"
            );
        }
        for no in ["No", "", "false", "0"] {
            let row = imported(&with(&[("Administrator", no)])).unwrap();
            assert_eq!(row.cells[&Column::IsAdministrator], "No");
        }
    }

    #[test]
    fn an_imported_row_without_what_is_required_has_no_place() {
        for (place, column) in [Column::Email, Column::FirstName, Column::LastName, Column::Status]
            .into_iter()
            .enumerate()
        {
            let mut row = PERSON;
            row[place].1 = " ";
            assert_eq!(imported(&given(&row)), Err(Unfit::Blank(column)));
        }
        assert_eq!(imported(&with(&[("Shoe size", "9")])), Err(Unfit::UnknownColumn));
    }
}
