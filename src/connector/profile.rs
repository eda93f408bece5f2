//! Small parts that every resource is built of: texts within the protocol's bounds, profiles, timestamps.
//!
//! Invariant: what Coupa does not say is absent, not empty; nothing here changes by itself between two syncs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use prost_types::value::Kind as ValueKind;
use prost_types::{Struct, Value};

/// Longest display name, bytes (protocol rule).
const NAME: usize = 1024;

/// Longest description, bytes (protocol rule).
const DESCRIPTION: usize = 2048;

/// Longest value of a profile, bytes: far above Coupa's 255 characters, and keeps a row far below a page.
const VALUE: usize = 4096;

/// `text` as a display name.
pub(super) fn name(text: &str) -> String {
    clip(text, NAME)
}

/// `text` as a description.
pub(super) fn description(text: Option<&str>) -> String {
    clip(text.unwrap_or_default(), DESCRIPTION)
}

/// `text` as a value of a trait or profile.
pub(super) fn value(text: &str) -> String {
    clip(text, VALUE)
}

/// The longest head of `text` with at most `bytes` bytes.
pub(super) fn clip(text: &str, bytes: usize) -> String {
    text[..text.floor_char_boundary(bytes)].to_owned()
}

/// `at` in the protocol's form: nanoseconds count upwards also before 1970.
pub(super) fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    const SECOND: i128 = 1_000_000_000;
    let nanoseconds = at.as_nanosecond();
    prost_types::Timestamp {
        seconds: i64::try_from(nanoseconds.div_euclid(SECOND)).unwrap_or_default(),
        nanos: i32::try_from(nanoseconds.rem_euclid(SECOND)).unwrap_or_default(),
    }
}

/// A profile under construction.
#[derive(Default)]
pub(super) struct Profile(BTreeMap<String, Value>);

impl Profile {
    /// Adds a text, if there is one.
    pub(super) fn text(self, key: &str, text: Option<&str>) -> Self {
        match text {
            Some(text) if !text.is_empty() => self.put(key, ValueKind::StringValue(value(text))),
            _ => self,
        }
    }

    /// Adds a yes or no.
    pub(super) fn flag(self, key: &str, flag: bool) -> Self {
        self.put(key, ValueKind::BoolValue(flag))
    }

    fn put(mut self, key: &str, kind: ValueKind) -> Self {
        self.0.insert(key.to_owned(), Value { kind: Some(kind) });
        self
    }

    /// The finished profile.
    pub(super) fn done(self) -> Struct {
        Struct { fields: self.0 }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn texts_are_clipped_between_characters() {
        assert_eq!(clip("aéz", 2), "a");
        assert_eq!(clip("aéz", 3), "aé");
        assert_eq!(clip("", 3), "");
        assert_eq!(name(&"é".repeat(600)).len(), 1024);
    }

    #[test]
    fn absent_and_empty_texts_are_absent() {
        let profile = Profile::default()
            .text("a", None)
            .text("b", Some(""))
            .text("c", Some("x"))
            .flag("d", false);
        let keys: Vec<_> = profile.done().fields.into_keys().collect();
        assert_eq!(keys, ["c", "d"]);
    }

    #[test]
    fn timestamps_before_1970_count_upwards() {
        let at = timestamp("1969-12-31T23:59:59.25Z".parse().unwrap());
        assert_eq!((at.seconds, at.nanos), (-1, 250_000_000));
    }
}
