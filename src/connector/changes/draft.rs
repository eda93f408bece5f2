//! Profiles and arguments read into the elements of an account.
//!
//! Invariant: a value that is not understood is refused, never dropped, and refused by its name, never with its content.

use std::collections::BTreeSet;

use prost_types::value::Kind as ValueKind;
use prost_types::{Struct, Value};

use super::elements::Element;
use super::user_id;
use crate::model::change::{AccountDraft, AuthenticationMethod, CustomValue};
use crate::model::fault::Fault;
use crate::model::id::LicenseName;
use crate::model::profile::RISK_ASSESS_LICENSE;

/// Unknown names told in one message.
const NAMES_TOLD: usize = 5;

/// Bytes of a name told in a message.
const NAME_TOLD: usize = 64;

/// Whole numbers up to here are exact as the protocol carries them.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// What a blank text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blank {
    /// Nothing was said: forms send what nobody filled in.
    Unsaid,
    /// An order that cannot be carried out: nothing is emptied here.
    Refused,
}

/// The elements that `fields` say; every other key must be among `others`.
pub(super) fn draft(fields: &Struct, others: &[&str], blank: Blank) -> Result<AccountDraft, Fault> {
    known(fields, others)?;
    let mut draft = AccountDraft::default();
    for element in Element::ALL {
        if let Some(value) = fields.fields.get(element.name()) {
            read(element, &mut draft, value, blank)?;
        }
    }
    Ok(draft)
}

fn read(element: Element, draft: &mut AccountDraft, value: &Value, blank: Blank) -> Result<(), Fault> {
    let name = element.name();
    if element == Element::CustomFields {
        return custom_fields(draft, value);
    }
    let Some(text) = text(name, value)? else {
        return Ok(());
    };
    if text.trim().is_empty() {
        return match blank {
            Blank::Unsaid => Ok(()),
            Blank::Refused => {
                Err(Fault::invalid(format!("{name} is blank")).advise("leave it out to keep what Coupa has"))
            }
        };
    }
    element.judge(text)?;
    let given = || Some(Box::from(text));
    match element {
        Element::Login => draft.login = given(),
        Element::Email => draft.email = given(),
        Element::FirstName => draft.first_name = given(),
        Element::LastName => draft.last_name = given(),
        Element::EmployeeNumber => draft.employee_number = given(),
        Element::AuthenticationMethod => draft.authentication_method = AuthenticationMethod::from_name(text),
        Element::SsoIdentifier => draft.sso_identifier = given(),
        Element::Manager => draft.manager = Some(user_id(text).map_err(|fault| fault.context(name))?),
        Element::Department => draft.department = given(),
        Element::DefaultLocale => draft.default_locale = given(),
        Element::DefaultCurrency => draft.default_currency = given(),
        Element::CustomFields => {}
    }
    Ok(())
}

/// A typo must not be lost silently.
fn known(fields: &Struct, others: &[&str]) -> Result<(), Fault> {
    let known = |key: &str| others.contains(&key) || Element::ALL.iter().any(|element| element.name() == key);
    let unknown: Vec<String> = fields
        .fields
        .keys()
        .filter(|key| !known(key))
        .take(NAMES_TOLD)
        .map(|key| told(key))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let names = unknown.join(", ");
    Err(Fault::invalid(format!("unknown fields: {names}"))
        .advise("custom fields of the tenant belong into custom_fields"))
}

/// A name that a caller made up, as it may be told.
pub(super) fn told(name: &str) -> String {
    name[..name.floor_char_boundary(NAME_TOLD)]
        .escape_debug()
        .to_string()
}

/// A text; `None` for null.
fn text<'a>(name: &str, value: &'a Value) -> Result<Option<&'a str>, Fault> {
    match &value.kind {
        None | Some(ValueKind::NullValue(_)) => Ok(None),
        Some(ValueKind::StringValue(text)) => Ok(Some(text)),
        Some(_) => Err(Fault::invalid(format!("{name} is not a text"))),
    }
}

/// A yes or no; `None` for null.
pub(super) fn switch(name: &str, value: Option<&Value>) -> Result<Option<bool>, Fault> {
    match value.and_then(|value| value.kind.as_ref()) {
        None | Some(ValueKind::NullValue(_)) => Ok(None),
        Some(ValueKind::BoolValue(switch)) => Ok(Some(*switch)),
        Some(_) => Err(Fault::invalid(format!("{name} is neither true nor false"))),
    }
}

/// Names of licenses, each once; none for null. What is blank was not filled in.
pub(super) fn licenses(name: &str, value: Option<&Value>) -> Result<BTreeSet<LicenseName>, Fault> {
    let list = match value.and_then(|value| value.kind.as_ref()) {
        None | Some(ValueKind::NullValue(_)) => return Ok(BTreeSet::new()),
        Some(ValueKind::ListValue(list)) => &list.values,
        Some(_) => return Err(Fault::invalid(format!("{name} is not a list"))),
    };
    let mut names = BTreeSet::new();
    for value in list {
        let text =
            text(name, value).map_err(|_| Fault::invalid(format!("{name} holds what is not a text")))?;
        let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
            continue;
        };
        let license = text.parse().map_err(|_| {
            Fault::invalid(format!("{name} holds what is no name of a license"))
                .advise(format!("licenses are named like {RISK_ASSESS_LICENSE}"))
        })?;
        names.insert(license);
    }
    Ok(names)
}

fn custom_fields(draft: &mut AccountDraft, value: &Value) -> Result<(), Fault> {
    let name = Element::CustomFields.name();
    let fields = match &value.kind {
        None | Some(ValueKind::NullValue(_)) => return Ok(()),
        Some(ValueKind::StructValue(fields)) => fields,
        Some(_) => return Err(Fault::invalid(format!("{name} is not a map"))),
    };
    for (key, value) in &fields.fields {
        if key.trim().is_empty() {
            return Err(Fault::invalid(format!("a name in {name} is blank")));
        }
        if let Some(value) =
            custom_value(value).map_err(|fault| fault.context(format!("{name}.{}", told(key))))?
        {
            draft.custom.insert(key.as_str().into(), value);
        }
    }
    Ok(())
}

/// A value of a custom field; `None` for null. Coupa takes numbers as text.
fn custom_value(value: &Value) -> Result<Option<CustomValue>, Fault> {
    Ok(match &value.kind {
        None | Some(ValueKind::NullValue(_)) => None,
        Some(ValueKind::StringValue(text)) => Some(CustomValue::Text(text.as_str().into())),
        Some(ValueKind::BoolValue(switch)) => Some(CustomValue::Switch(*switch)),
        // Beyond that the sender's digits are gone already.
        Some(ValueKind::NumberValue(number)) if number.abs() > EXACT || !number.is_finite() => {
            return Err(Fault::invalid("the number is too large to be exact").advise("send it as a text"));
        }
        Some(ValueKind::NumberValue(number)) => Some(CustomValue::Text(number.to_string().into())),
        Some(ValueKind::StructValue(_) | ValueKind::ListValue(_)) => {
            return Err(Fault::invalid("neither a text nor a number nor a switch"));
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::super::profile::Profile;
    use super::*;

    fn value(kind: ValueKind) -> Value {
        Value { kind: Some(kind) }
    }

    fn fields<const N: usize>(pairs: [(&str, ValueKind); N]) -> Struct {
        let pair = |(key, kind): (&str, ValueKind)| (key.to_owned(), value(kind));
        Struct {
            fields: pairs.into_iter().map(pair).collect(),
        }
    }

    fn string(text: &str) -> ValueKind {
        ValueKind::StringValue(text.to_owned())
    }

    fn read(fields: &Struct) -> Result<AccountDraft, Fault> {
        draft(fields, &[], Blank::Unsaid)
    }

    #[test]
    fn every_element_is_read_and_told() {
        let custom = fields([
            ("cost-center", string("7")),
            ("level", ValueKind::NumberValue(3.0)),
            ("rate", ValueKind::NumberValue(0.5)),
            ("vip", ValueKind::BoolValue(true)),
            ("none", ValueKind::NullValue(0)),
        ]);
        let all = fields([
            ("login", string("anna")),
            ("email", string("anna@example.com")),
            ("first_name", string("Anna")),
            ("last_name", string("Nagy")),
            ("employee_number", string("007")),
            ("authentication_method", string("saml")),
            ("sso_identifier", string("anna@idp")),
            ("manager_id", string("5000000000")),
            ("department", string("Finance")),
            ("default_locale", string("en")),
            ("default_currency", string("EUR")),
            ("custom_fields", ValueKind::StructValue(custom)),
        ]);
        let draft = read(&all).unwrap();
        for element in Element::ALL {
            assert!(element.is_said(&draft), "{element:?}");
        }
        assert_eq!(draft.names().len(), Element::ALL.len());
        assert_eq!(draft.manager.unwrap().get(), 5_000_000_000);
        let text = |text: &str| CustomValue::Text(text.into());
        let custom: Vec<_> = draft.custom.into_iter().collect();
        assert!(
            custom
                == [
                    ("cost-center".into(), text("7")),
                    ("level".into(), text("3")),
                    ("rate".into(), text("0.5")),
                    ("vip".into(), CustomValue::Switch(true)),
                ]
        );
    }

    #[test]
    fn unknown_keys_are_named_and_values_are_not() {
        let typo = fields([("frist_name", string("Secretname")), ("login", string("anna"))]);
        let fault = read(&typo).unwrap_err();
        assert!(fault.message().contains("frist_name"), "{fault}");
        assert!(!fault.to_string().contains("Secretname"));
        assert!(!fault.message().contains("login"));
        assert!(draft(&typo, &["frist_name"], Blank::Unsaid).is_ok());
        let hostile = fields([("a\nb", string(""))]);
        assert!(!read(&hostile).unwrap_err().message().contains('\n'));
    }

    #[test]
    fn values_out_of_bounds_are_refused_by_name() {
        let long = "x".repeat(256);
        let nested = fields([("a", ValueKind::StructValue(Struct::default()))]);
        let huge = fields([("a", ValueKind::NumberValue(1e300))]);
        let blank = fields([(" ", string("x"))]);
        for (name, kind) in [
            ("login", ValueKind::NumberValue(7.0)),
            ("login", string(&long)),
            ("email", string("not-an-address")),
            ("first_name", string(&"é".repeat(41))),
            ("authentication_method", string("SAML")),
            ("manager_id", string("007")),
            ("manager_id", ValueKind::NumberValue(7.0)),
            ("department", ValueKind::BoolValue(true)),
            ("custom_fields", string("x")),
            ("custom_fields", ValueKind::StructValue(nested)),
            ("custom_fields", ValueKind::StructValue(huge)),
            ("custom_fields", ValueKind::StructValue(blank)),
        ] {
            let fault = read(&fields([(name, kind)])).unwrap_err();
            assert!(fault.message().contains(name), "{fault}");
            assert!(!fault.message().contains(&long) && !fault.message().contains("not-an-address"));
        }
        assert!(read(&fields([("first_name", string(&"é".repeat(40)))])).is_ok());
    }

    #[test]
    fn null_is_absent_and_blank_is_absent_only_in_forms() {
        for kind in [ValueKind::NullValue(0), string(""), string("  ")] {
            let draft = read(&fields([("department", kind)])).unwrap();
            assert_eq!(draft.department, None);
        }
        let update = |kind| draft(&fields([("department", kind)]), &[], Blank::Refused);
        assert!(update(ValueKind::NullValue(0)).is_ok());
        assert!(update(string(" ")).is_err());
    }

    #[test]
    fn licenses_are_names_each_once() {
        let list = |values: &[ValueKind]| {
            let values = values.iter().cloned().map(value).collect();
            value(ValueKind::ListValue(prost_types::ListValue { values }))
        };
        let read = |value: &Value| licenses("licenses", Some(value));
        let (risk, travel) = (string("risk-assess-user"), string(" travel-user"));
        let names = read(&list(&[
            travel.clone(),
            risk,
            travel,
            string(" "),
            ValueKind::NullValue(0),
        ]))
        .unwrap();
        let names: Vec<&str> = names.iter().map(LicenseName::as_str).collect();
        assert_eq!(names, ["risk-assess-user", "travel-user"]);
        for none in [None, Some(&value(ValueKind::NullValue(0))), Some(&list(&[]))] {
            assert!(licenses("licenses", none).unwrap().is_empty());
        }
        for wrong in [
            value(string("risk-assess-user")),
            list(&[string("Anna Nagy")]),
            list(&[string("risk_assess_user")]),
            list(&[ValueKind::BoolValue(true)]),
        ] {
            let fault = read(&wrong).unwrap_err();
            assert!(
                fault.message().starts_with("licenses") && !fault.message().contains("Anna"),
                "{fault}"
            );
        }
    }

    #[test]
    fn what_a_listed_user_shows_has_the_same_keys() {
        // A profile that was listed can be sent back, but for what follows from the rest.
        let listed = Profile::default()
            .text("login", Some("a"))
            .text("email", Some("a@example.com"))
            .text("first_name", Some("a"))
            .text("last_name", Some("a"))
            .text("employee_number", Some("a"))
            .text("manager_id", Some("7"))
            .text("department", Some("a"))
            .text("sso_identifier", Some("a"))
            .text("authentication_method", Some("ldap"))
            .done();
        assert_eq!(read(&listed).unwrap().names().len(), 9);
    }
}
