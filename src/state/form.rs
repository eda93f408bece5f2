//! What the forms of journal, ledger and outbox have in common: how plain values are written, and how stored ones are read.
//!
//! Invariant: a text that this version does not understand is an error that names its element, never a guess.

use std::str::FromStr;

use jiff::Timestamp;
use serde::Deserialize;

use crate::model::id::UserId;

/// Why something stored cannot be read; names the element.
#[derive(Debug, thiserror::Error)]
#[error("{element}: {why}")]
pub(super) struct Unreadable {
    element: &'static str,
    why: String,
}

impl Unreadable {
    pub(super) fn of(element: &'static str, why: impl Into<String>) -> Self {
        Self {
            element,
            why: why.into(),
        }
    }
}

/// A point in time. All have the same length, so their order as texts is their order in time.
pub(super) fn time_text(at: Timestamp) -> String {
    format!("{at:.9}")
}

/// A user. A text, since Coupa's numbers have 64 bits and those of the engine 63.
pub(super) fn user_text(user: UserId) -> String {
    user.to_string()
}

/// The value of `all` that has the stored name.
pub(super) fn named<T: Copy>(
    element: &'static str,
    stored: &str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<T, Unreadable> {
    let found = all.iter().copied().find(|one| name(*one) == stored);
    found.ok_or_else(|| Unreadable::of(element, format!("unknown name {stored:?}")))
}

/// The value of a text that has one form.
pub(super) fn parse<T: FromStr<Err: ToString>>(element: &'static str, stored: &str) -> Result<T, Unreadable> {
    stored
        .parse()
        .map_err(|error: T::Err| Unreadable::of(element, error.to_string()))
}

/// The value of a JSON text.
pub(super) fn from_json<'a, T: Deserialize<'a>>(
    element: &'static str,
    stored: &'a str,
) -> Result<T, Unreadable> {
    serde_json::from_str(stored).map_err(|error| Unreadable::of(element, error.to_string()))
}
