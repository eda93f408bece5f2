//! The XML form of an answer: Coupa's default where a caller does not ask for JSON. Made from the JSON form, so both say the same.

use std::fmt::Write;

use serde_json::Value;

/// A document with one root element.
pub(super) fn document(root: &str, value: &Value) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    element(&mut out, root, value);
    out
}

/// `<errors><error>...</error></errors>`
pub(super) fn errors(message: &str) -> String {
    document("errors", &serde_json::json!({ "error": message }))
}

fn element(out: &mut String, name: &str, value: &Value) {
    let (kind, body) = match value {
        Value::Null => (" nil=\"true\"", String::new()),
        Value::Bool(flag) => (" type=\"boolean\"", flag.to_string()),
        Value::Number(number) => (" type=\"integer\"", number.to_string()),
        Value::String(text) => ("", escape(text)),
        Value::Array(list) => (
            " type=\"array\"",
            children(list.iter().map(|item| (singular(name), item))),
        ),
        Value::Object(map) => ("", children(map.iter().map(|(key, item)| (key.as_str(), item)))),
    };
    // Writing to a string cannot fail.
    let _ = write!(out, "<{name}{kind}>{body}</{name}>");
}

fn children<'a>(items: impl Iterator<Item = (&'a str, &'a Value)>) -> String {
    let mut out = String::new();
    for (name, value) in items {
        element(&mut out, name, value);
    }
    out
}

fn singular(plural: &str) -> &str {
    plural.strip_suffix('s').unwrap_or(plural)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use serde_json::json;

    use super::*;

    #[test]
    fn values_become_typed_elements() {
        let value = json!([{"id": 1, "active": true, "email": null, "name": "A & <B>"}]);
        let text = document("roles", &value);
        assert!(
            text.starts_with("<?xml") && text.contains("<roles type=\"array\"><role>"),
            "{text}"
        );
        for part in [
            "<active type=\"boolean\">true</active>",
            "<email nil=\"true\"></email>",
            "<id type=\"integer\">1</id>",
            "<name>A &amp; &lt;B&gt;</name>",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(errors("x < y").ends_with("<errors><error>x &lt; y</error></errors>"));
    }
}
