//! The domain of a setting: what its text may be, and the value it becomes. Flags, environment and file all come as text and
//! pass through here, so that a value means the same wherever it was written.
//!
//! Invariant: an error names what was expected and never repeats the text, which may be a secret.

use std::net::SocketAddr;

use serde_json::Map;

/// What kind of value a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// `true` or `false`; as a flag the value may be left out.
    Switch,
    /// A whole number within bounds, both included.
    Int {
        /// Smallest allowed.
        min: i64,
        /// Largest allowed.
        max: i64,
    },
    /// Texts; a flag may be repeated, and commas separate.
    List,
    /// Texts out of a fixed set.
    ListOf(&'static [&'static str]),
    /// One text out of a fixed set; empty counts as not set.
    OneOf(&'static [&'static str]),
    /// `IP:PORT`, or `localhost:PORT`.
    Address,
    /// A JSON object.
    Object,
}

impl Kind {
    /// A number within bounds.
    pub const fn int(min: i64, max: i64) -> Self {
        Self::Int { min, max }
    }

    /// Whether several values add up.
    pub const fn is_list(self) -> bool {
        match self {
            Self::List | Self::ListOf(_) => true,
            Self::Text | Self::Switch | Self::Int { .. } | Self::OneOf(_) | Self::Address | Self::Object => {
                false
            }
        }
    }

    /// The word shown behind the flag in help; a switch has none.
    pub const fn placeholder(self) -> Option<&'static str> {
        match self {
            Self::Text | Self::OneOf(_) | Self::Address | Self::Object => Some("string"),
            Self::Int { .. } => Some("int"),
            Self::List | Self::ListOf(_) => Some("strings"),
            Self::Switch => None,
        }
    }

    /// Turns text into a value, or says what was expected.
    pub(super) fn parse(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Text => Ok(Value::Text(text.to_owned())),
            Self::Switch => switch(text).map(Value::Switch),
            Self::Int { min, max } => int(text, min, max).map(Value::Int),
            Self::List | Self::ListOf(_) => self.list(split(text)),
            Self::OneOf(choices) => one_of(text, choices).map(Value::Text),
            Self::Address => address(text).map(Value::Address),
            Self::Object => object(text).map(Value::Object),
        }
    }

    /// Turns elements into a list. Not for other kinds.
    pub(super) fn list(self, elements: Vec<String>) -> Result<Value, String> {
        if let Self::ListOf(choices) = self {
            for element in &elements {
                one_of(element, choices)?;
            }
        }
        Ok(Value::List(elements))
    }
}

/// The value of a setting.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Switch(bool),
    Int(i64),
    List(Vec<String>),
    /// `None` when empty.
    Address(Option<SocketAddr>),
    /// Without members when empty.
    Object(Map<String, serde_json::Value>),
}

impl Value {
    /// Whether the value asks for anything: not empty and not `false`.
    pub(super) fn is_set(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty(),
            Self::Switch(on) => *on,
            Self::Int(_) => true,
            Self::List(elements) => !elements.is_empty(),
            Self::Address(address) => address.is_some(),
            Self::Object(members) => !members.is_empty(),
        }
    }
}

/// Elements of a comma-separated text; blank ones do not count.
pub(super) fn split(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The spellings that the ecosystem's flag parser takes.
fn switch(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

fn int(text: &str, min: i64, max: i64) -> Result<i64, String> {
    let number: i64 = text
        .trim()
        .parse()
        .map_err(|_| "expected a whole number".to_owned())?;
    if (min..=max).contains(&number) {
        return Ok(number);
    }
    Err(if max == i64::MAX {
        format!("expected {min} or more")
    } else {
        format!("expected a number from {min} to {max}")
    })
}

fn one_of(text: &str, choices: &[&str]) -> Result<String, String> {
    if text.is_empty() || choices.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(format!("expected one of {}", choices.join(", ")))
}

fn address(text: &str) -> Result<Option<SocketAddr>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    numeric
        .parse()
        .map(Some)
        .map_err(|_| "expected IP:PORT, for example 127.0.0.1:50051".to_owned())
}

fn object(text: &str) -> Result<Map<String, serde_json::Value>, String> {
    if text.is_empty() {
        return Ok(Map::new());
    }
    // The parser's own words would repeat the text.
    serde_json::from_str(text)
        .map_err(|_| "expected a JSON object, for example {\"name\": \"value\"}".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn expected(kind: Kind, text: &str) -> String {
        kind.parse(text).err().unwrap()
    }

    #[test]
    fn a_wrong_value_is_told_by_what_was_expected_and_never_repeated() {
        let small = Kind::int(1, 1800);
        for (kind, text, expectation) in [
            (Kind::Switch, "s3cret", "expected true or false"),
            (Kind::Switch, "yes", "expected true or false"),
            (small, "s3cret", "expected a whole number"),
            (small, "1.5", "expected a whole number"),
            (small, "0", "expected a number from 1 to 1800"),
            (small, "1801", "expected a number from 1 to 1800"),
            (Kind::int(0, i64::MAX), "-1", "expected 0 or more"),
            (Kind::OneOf(&["sqlite"]), "s3cret", "expected one of sqlite"),
            (
                Kind::ListOf(&["api", "internal"]),
                "api,s3cret",
                "expected one of api, internal",
            ),
            (
                Kind::Address,
                "s3cret",
                "expected IP:PORT, for example 127.0.0.1:50051",
            ),
            (
                Kind::Object,
                r#"["s3cret"]"#,
                r#"expected a JSON object, for example {"name": "value"}"#,
            ),
            (
                Kind::Address,
                "localhost:99999",
                "expected IP:PORT, for example 127.0.0.1:50051",
            ),
        ] {
            assert_eq!(expected(kind, text), expectation, "{kind:?} {text}");
        }
    }

    #[test]
    fn localhost_and_both_families_are_addresses() {
        for (text, address) in [
            ("localhost:80", "127.0.0.1:80"),
            ("0.0.0.0:1", "0.0.0.0:1"),
            ("[::1]:9", "[::1]:9"),
        ] {
            let Ok(Value::Address(Some(parsed))) = Kind::Address.parse(text) else {
                unreachable!("{text} is an address");
            };
            assert_eq!(parsed.to_string(), address);
        }
    }

    #[test]
    fn commas_separate_and_blanks_do_not_count() {
        assert_eq!(split(" a, b ,,c,"), ["a", "b", "c"]);
        assert!(split("").is_empty());
    }
}
