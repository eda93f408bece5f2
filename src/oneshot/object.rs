//! JSON objects of the command line as the protocol's `Struct`.

use std::collections::BTreeMap;

use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::{Map, Value};

/// `object` as a `Struct`. Numbers become doubles, which is all that a `Struct` has.
pub(super) fn to_struct(object: &Map<String, Value>) -> Struct {
    let fields: BTreeMap<_, _> = object
        .iter()
        .map(|(name, value)| (name.clone(), to_value(value)))
        .collect();
    Struct { fields }
}

fn to_value(value: &Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(on) => Kind::BoolValue(*on),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(values) => Kind::ListValue(ListValue {
            values: values.iter().map(to_value).collect(),
        }),
        Value::Object(object) => Kind::StructValue(to_struct(object)),
    };
    prost_types::Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_kind_of_value_keeps_its_place() {
        let Value::Object(object) = serde_json::json!({
            "text": "a", "number": 7, "switch": true, "nothing": null, "list": ["x", {"in": 1.5}],
        }) else {
            panic!("an object");
        };
        let made = to_struct(&object);
        let kind = |name: &str| made.fields[name].kind.clone().unwrap();
        assert_eq!(kind("text"), Kind::StringValue("a".into()));
        assert_eq!(kind("number"), Kind::NumberValue(7.0));
        assert_eq!(kind("switch"), Kind::BoolValue(true));
        assert_eq!(kind("nothing"), Kind::NullValue(0));
        let Kind::ListValue(list) = kind("list") else {
            panic!("a list");
        };
        let Some(Kind::StructValue(inner)) = &list.values[1].kind else {
            panic!("an object");
        };
        assert_eq!(inner.fields["in"].kind, Some(Kind::NumberValue(1.5)));
    }
}
