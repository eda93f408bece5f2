//! What Coupa says about an account it does not accept. Tenants make elements mandatory that no document names, so the text is the
//! only way to learn which.
//!
//! Invariant: the text shows no value of the draft, no control characters, and no more than [`CAP`] characters.

use serde_json::Value;

use crate::model::change::{AccountDraft, CustomValue};

/// Longest text passed on, in characters.
const CAP: usize = 300;

/// Larger answers are not looked into: validation texts are a few lines.
const BODY_CAP: usize = 64 * 1024;

/// Values of this length or more are replaced even inside a word.
const TELLING: usize = 4;

/// Why Coupa rejects an account.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    /// For the person who asked for the change.
    pub(super) text: String,
    /// Whether another account has a value that must be unique.
    pub(super) taken: bool,
}

/// Reads an error body; `None` if it says nothing we understand.
pub(super) fn complaint(body: &[u8], draft: &AccountDraft) -> Option<Complaint> {
    if body.len() > BODY_CAP {
        return None;
    }
    let body: Value = serde_json::from_slice(body).ok()?;
    let said = body.get("errors").or_else(|| body.get("error"))?;
    let mut texts = Vec::new();
    collect(said, "", &mut texts);
    let text = clean(&texts.join("; "));
    if text.is_empty() {
        return None;
    }
    let joined: String = text.iter().collect();
    Some(Complaint {
        taken: joined.to_lowercase().contains("has already been taken"),
        text: mask(&text, &values(draft)),
    })
}

/// The texts in `said`, each after the element it hangs under.
fn collect(said: &Value, element: &str, texts: &mut Vec<String>) {
    match said {
        Value::String(text) if element.is_empty() => texts.push(text.clone()),
        Value::String(text) => texts.push(format!("{element} {text}")),
        Value::Array(entries) => entries.iter().for_each(|entry| collect(entry, element, texts)),
        Value::Object(entries) => {
            for (key, entry) in entries.iter().filter(|(key, _)| *key != "warnings") {
                // The object as a whole is no element.
                let element = match key.as_str() {
                    "user" | "base" | "error" | "errors" | "message" => element,
                    key => key,
                };
                collect(entry, element, texts);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Single blanks, no control characters and none that steer a terminal or the direction of writing.
fn clean(text: &str) -> Vec<char> {
    let visible = |c: &char| {
        let steers = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        c.is_whitespace() || !(c.is_control() || steers)
    };
    let shown: String = text.chars().filter(visible).collect();
    let words: Vec<&str> = shown.split_whitespace().collect();
    words.join(" ").chars().collect()
}

/// The texts of a draft with the names of their elements; the longest first, so that an address goes before a name in it.
fn values(draft: &AccountDraft) -> Vec<(Vec<char>, &'static str)> {
    let plain = [
        (&draft.login, "login"),
        (&draft.email, "email"),
        (&draft.first_name, "firstname"),
        (&draft.last_name, "lastname"),
        (&draft.employee_number, "employee-number"),
        (&draft.sso_identifier, "sso-identifier"),
        (&draft.department, "department"),
        (&draft.default_locale, "default-locale"),
        (&draft.default_currency, "default-currency"),
    ];
    let plain = plain
        .into_iter()
        .filter_map(|(value, name)| Some((value.as_deref()?, name)));
    let custom = draft.custom.values().filter_map(|value| match value {
        CustomValue::Text(text) => Some((&**text, "custom-fields")),
        CustomValue::Switch(_) => None,
    });
    let mut values: Vec<_> = plain
        .chain(custom)
        .map(|(value, name)| (clean(value), name))
        .filter(|(value, _)| !value.is_empty())
        .collect();
    values.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
    values
}

/// The text with names in place of values, cut to [`CAP`].
fn mask(text: &[char], values: &[(Vec<char>, &str)]) -> String {
    let (mut masked, mut at) = (Vec::with_capacity(CAP), 0);
    while at < text.len() && masked.len() <= CAP {
        if let Some((value, name)) = values.iter().find(|(value, _)| stands_at(text, at, value)) {
            masked.extend(format!("[{name}]").chars());
            at += value.len();
        } else {
            masked.push(text[at]);
            at += 1;
        }
    }
    if masked.len() > CAP {
        masked.truncate(CAP - 1);
        masked.push('…');
    }
    masked.into_iter().collect()
}

/// Whether `value` stands there, letter case aside. A short one must be a word of its own, or it would be found in every word.
fn stands_at(text: &[char], at: usize, value: &[char]) -> bool {
    let same = |a: &char, b: &char| a == b || a.to_lowercase().eq(b.to_lowercase());
    let end = at + value.len();
    let Some(part) = text.get(at..end) else {
        return false;
    };
    let in_word = |at: Option<usize>| {
        at.and_then(|at| text.get(at))
            .is_some_and(|c| c.is_alphanumeric())
    };
    part.iter().zip(value).all(|(a, b)| same(a, b))
        && (value.len() >= TELLING || !(in_word(at.checked_sub(1)) || in_word(Some(end))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use serde_json::json;

    use super::*;

    fn draft() -> AccountDraft {
        AccountDraft {
            login: Some("al".into()),
            email: Some("al@example.com".into()),
            first_name: Some("Zoë".into()),
            last_name: Some("Example".into()),
            custom: [("badge".into(), CustomValue::Text("B-4711".into()))].into(),
            ..AccountDraft::default()
        }
    }

    fn said(body: &Value) -> Option<Complaint> {
        complaint(body.to_string().as_bytes(), &draft())
    }

    fn text(body: &Value) -> String {
        said(body).unwrap().text
    }

    #[test]
    fn every_form_of_error_body_is_read() {
        for (body, expected) in [
            (
                json!({"errors": {"user": ["First Name can't be blank", "x"], "warnings": null}}),
                "First Name can't be blank; x",
            ),
            (
                json!({"errors": {"user": null, "warnings": ["mind the gap"], "base": ["No."]}}),
                "No.",
            ),
            (json!({"errors": ["Not so"]}), "Not so"),
            (json!({"errors": "Not so"}), "Not so"),
            (json!({"error": "Not so"}), "Not so"),
            (
                json!({"errors": {"user": {"cost-center": ["can't be blank"]}}}),
                "cost-center can't be blank",
            ),
            (json!({"errors": [{"message": "Not so"}]}), "Not so"),
        ] {
            assert_eq!(text(&body), expected);
        }
    }

    #[test]
    fn what_says_nothing_is_no_complaint() {
        for body in [
            json!({}),
            json!([]),
            json!({"errors": null}),
            json!({"errors": {"user": []}}),
            json!({"errors": " \u{7} "}),
        ] {
            assert_eq!(said(&body), None, "{body}");
        }
        assert_eq!(complaint(b"<html>", &draft()), None);
        let large = json!({ "error": "x".repeat(BODY_CAP) });
        assert_eq!(said(&large), None);
    }

    #[test]
    fn a_value_in_use_is_told_apart() {
        let body = json!({"errors": {"user": ["Email Has already been taken"]}});
        assert!(said(&body).unwrap().taken);
        assert!(!said(&json!({"error": "taken"})).unwrap().taken);
    }

    #[test]
    fn values_of_the_draft_are_never_repeated() {
        let body = json!({"errors": {"user": [
            "AL@EXAMPLE.COM has already been taken",
            "login al is already in use, also as _al_",
            "zOË eXaMpLe: badge b-4711x is invalid"
        ]}});
        assert_eq!(
            text(&body),
            "[email] has already been taken; login [login] is already in use, also as _[login]_; \
             [firstname] [lastname]: badge [custom-fields]x is invalid"
        );
    }

    #[test]
    fn no_value_survives_by_hiding() {
        // Split by something invisible, or cut off by the end of the text.
        let body = json!({"error": "al\u{200b}@exa\u{0}mple.com and Exam\u{202e}ple"});
        assert_eq!(text(&body), "[email] and [lastname]");
        let long = json!({"error": format!("{} al@example.com", "x".repeat(CAP - 4))});
        let shown = text(&long);
        assert_eq!(shown.chars().count(), CAP);
        assert!(!shown.contains("al@"), "{shown}");
    }

    #[test]
    fn the_text_is_one_short_line() {
        let body = json!({"error": format!("a\n\tb\u{1b}[31m {}", "word ".repeat(200))});
        let shown = text(&body);
        assert!(shown.starts_with("a b[31m word"), "{shown}");
        assert!(shown.chars().count() == CAP && shown.ends_with('…'));
    }
}
