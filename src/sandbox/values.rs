//! What single values in the body of a write mean: references, ids, truth values, nothing at all.
//!
//! Pure. Lenient as Coupa is: what cannot be understood says nothing.

use serde_json::Value;

use super::schema::CURRENCIES;
use super::seed::DEPARTMENTS;

/// What a value says about a place that may be empty.
pub(super) enum Said<T> {
    /// Nothing of use: a reference to a stranger, a value of the wrong kind.
    Nothing,
    Blank,
    This(T),
}

impl<T> Said<T> {
    pub(super) fn put(self, place: &mut Option<T>) {
        match self {
            Self::Nothing => {}
            Self::Blank => *place = None,
            Self::This(value) => *place = Some(value),
        }
    }

    pub(super) fn this(self) -> Option<T> {
        match self {
            Self::This(value) => Some(value),
            Self::Nothing | Self::Blank => None,
        }
    }
}

/// What a reference leads to.
pub(super) fn reference(
    value: &Value,
    by_id: impl Fn(u64) -> Option<u64>,
    by_name: impl Fn(&str) -> Option<u64>,
) -> Said<u64> {
    let parts = match value {
        Value::Object(parts) => parts,
        Value::Null => return Said::Blank,
        _ => return Said::Nothing,
    };
    let name = || ["name", "code"].iter().find_map(|key| parts.get(*key)?.as_str());
    let found = match parts.get("id") {
        Some(id) => public_id(id).and_then(by_id),
        None => name().and_then(by_name),
    };
    found.map_or(Said::Nothing, Said::This)
}

/// An id as number or text.
pub(super) fn public_id(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

pub(super) fn department_of_id(id: u64) -> Option<u64> {
    let place = DEPARTMENTS.iter().position(|(known, _)| *known == id);
    place.map(|place| place as u64)
}

pub(super) fn department_of_name(name: &str) -> Option<u64> {
    let place = DEPARTMENTS.iter().position(|(_, known)| *known == name);
    place.map(|place| place as u64)
}

pub(super) fn currency_of_code(code: &str) -> Option<u64> {
    let place = CURRENCIES.iter().position(|known| *known == code);
    place.map(|place| place as u64)
}

/// A truth value as JSON, XML and CSV callers write it.
pub(super) fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => match text.as_str() {
            "true" | "Yes" | "1" => Some(true),
            "false" | "No" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use serde_json::json;

    use super::*;

    #[test]
    fn references_lead_by_id_name_or_code() {
        let lead = |value: Value| {
            let mut place = Some(77);
            reference(&value, department_of_id, department_of_name).put(&mut place);
            place
        };
        assert_eq!(lead(json!({"id": 3})), Some(0));
        assert_eq!(lead(json!({"id": "2147483700"})), Some(8));
        assert_eq!(lead(json!({"name": "Legal"})), Some(4));
        assert_eq!(lead(Value::Null), None);
        for stranger in [
            json!({"id": 5}),
            json!({"name": "Moon"}),
            json!({}),
            json!(3),
            json!("IT"),
        ] {
            assert_eq!(lead(stranger), Some(77));
        }
        assert_eq!(
            reference(&json!({"code": "EUR"}), |_| None, currency_of_code).this(),
            Some(1)
        );
    }

    #[test]
    fn truth_values_have_several_forms() {
        for (value, meant) in [
            (json!(true), Some(true)),
            (json!("false"), Some(false)),
            (json!("Yes"), Some(true)),
            (json!("No"), Some(false)),
            (json!(1), None),
            (Value::Null, None),
        ] {
            assert_eq!(flag(&value), meant, "{value}");
        }
        assert!(is_blank(&json!("  ")) && is_blank(&Value::Null) && !is_blank(&json!(0)));
    }
}
