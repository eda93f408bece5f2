//! The work phone as Risk Assess' import takes it: ten characters, and a pattern that allows more than ten can hold (D501 contradicts itself).
//!
//! Invariants: ten digits and nothing else are safe; of anything else the gravest flaw is told, once. What is told are places and counts,
//! from 1, never a part of the number.

use std::sync::LazyLock;

use regex::Regex;

use crate::model::profile::Phone;

/// The pattern as published; besides, there must be [`FEWEST`] digits.
const PUBLISHED: &str = r"^(?:\(?\+?[0-9]*\)?)?[0-9_\- \(\)]*(?: x[0-9]{1,4})?$";

/// Digits that a number must have at least (D501).
const FEWEST: usize = 7;

/// Characters of the column, String(10), and digits of a number of North America.
const TEN: usize = 10;

/// Digits of an extension at most (D501).
const EXTENSION: usize = 4;

#[expect(
    clippy::expect_used,
    reason = "a constant that every test of this module compiles"
)]
static PATTERN: LazyLock<Regex> = LazyLock::new(|| Regex::new(PUBLISHED).expect("the published pattern"));

/// What is wrong with a number, the gravest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Flaw {
    /// The published pattern does not take it.
    Pattern(String),
    /// Its country code is not 1.
    Country,
    /// So many digits, not ten, country code 1 aside.
    Digits(usize),
    /// Ten digits, written with so many characters.
    Written(usize),
}

/// The gravest flaw of a number; none where no number is kept.
pub(super) fn flaw(phone: &Phone) -> Option<Flaw> {
    let area = part(phone.area_code.as_deref());
    let text = format!("{area}{}", part(phone.number.as_deref()));
    let code = part(phone.country_code.as_deref());
    if text.is_empty() && code.is_empty() && part(phone.extension.as_deref()).is_empty() {
        return None;
    }
    if let Some(told) = pattern(&text, area.chars().count()) {
        return Some(Flaw::Pattern(told));
    }
    if foreign(code, &text) {
        return Some(Flaw::Country);
    }
    let digits = digits(without_extension(&text));
    let national = digits.strip_prefix('1').filter(|rest| rest.len() == TEN);
    let national = national.map_or(digits.len(), str::len);
    match (national, text.chars().count()) {
        (TEN, TEN) => None,
        (TEN, written) => Some(Flaw::Written(written)),
        (other, _) => Some(Flaw::Digits(other)),
    }
}

/// What is wrong with the extension, which has a part of its own in Coupa.
pub(super) fn extension(phone: &Phone) -> Option<String> {
    let extension = part(phone.extension.as_deref());
    if let Some(place) = extension.chars().position(|sign| !sign.is_ascii_digit()) {
        return Some(format!("character {} of the extension is not a digit", place + 1));
    }
    (extension.len() > EXTENSION).then(|| {
        format!(
            "the extension has {} digits, {EXTENSION} are taken",
            extension.len()
        )
    })
}

/// Against the published pattern. The first `area` characters of `text` are the area code's.
fn pattern(text: &str, area: usize) -> Option<String> {
    if !PATTERN.is_match(text) {
        return Some(why(text, area));
    }
    let count = digits(text).len();
    (count < FEWEST).then(|| format!("it has {count} digits, at least {FEWEST} are needed"))
}

/// What keeps a text from the pattern: the character after the longest beginning that could still become a number, or that it ends early.
fn why(text: &str, area: usize) -> String {
    if could_become(text) {
        return "the digits after ` x` are missing".to_owned();
    }
    let ends = text.char_indices().map(|(at, sign)| at + sign.len_utf8());
    let place = ends.take_while(|end| could_become(&text[..*end])).count() + 1;
    let (place, of) = if place <= area {
        (place, "area-code")
    } else {
        (place - area, "number")
    };
    format!(
        "character {place} of {of} is not allowed: only digits, spaces, dashes, parentheses and underscores are, and at the end ` x` with \
         up to {EXTENSION} digits"
    )
}

fn could_become(beginning: &str) -> bool {
    PATTERN.is_match(beginning)
        || beginning
            .strip_suffix('x')
            .is_some_and(|head| head.ends_with(' '))
}

/// Whether the number is of a country whose code is not 1, told by the part for it or by a leading `+`.
fn foreign(code: &str, text: &str) -> bool {
    if code.is_empty() {
        let international = text.trim_start_matches('(').strip_prefix('+');
        return international.is_some_and(|rest| !rest.starts_with('1'));
    }
    code.trim_start_matches('+').trim_start_matches('0') != "1"
}

/// A number without ` x123` at its end.
fn without_extension(text: &str) -> &str {
    text.rsplit_once(" x").map_or(text, |(number, _)| number)
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

fn part(value: Option<&str>) -> &str {
    value.map_or("", str::trim)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(number: &str) -> Phone {
        Phone {
            number: Some(number.into()),
            ..Phone::default()
        }
    }

    fn parts(code: &str, area: &str, number: &str) -> Phone {
        Phone {
            country_code: Some(code.into()),
            area_code: Some(area.into()),
            number: Some(number.into()),
            extension: None,
        }
    }

    /// risk-assess.md section 8, "p": what passes the pattern, and that only one of them fits as written.
    #[test]
    fn the_published_fixtures() {
        for (number, flaw_of) in [
            ("5551234567", None),
            ("555-123-4567", Some(Flaw::Written(12))),
            ("(555) 123-4567", Some(Flaw::Written(14))),
            ("+1 555 123 4567", Some(Flaw::Written(15))),
            ("+44 (0)20 7946 0000", Some(Flaw::Country)),
            ("555-123-4567 x1234", Some(Flaw::Written(18))),
        ] {
            assert_eq!(flaw(&written(number)), flaw_of, "{number}");
        }
        for number in [
            "555.123.4567",
            "555-123-4567 ext. 12",
            "555-123-4567 x12345",
            "555-123-4567x12",
            "12345",
        ] {
            assert!(
                matches!(flaw(&written(number)), Some(Flaw::Pattern(_))),
                "{number}"
            );
        }
    }

    #[test]
    fn the_character_that_breaks_the_pattern_is_told() {
        let place = |phone: &Phone| match flaw(phone) {
            Some(Flaw::Pattern(told)) => told
                .split(" is not allowed")
                .next()
                .unwrap_or_default()
                .to_owned(),
            other => format!("{other:?}"),
        };
        for (number, told) in [
            ("555.123.4567", "character 4 of number"),
            ("555-123-4567 ext. 12", "character 14 of number"),
            ("555-123-4567 x12345", "character 19 of number"),
            ("555-123-4567x12", "character 13 of number"),
            ("1+5551234567", "character 2 of number"),
            ("555-123-4567 x", "the digits after ` x` are missing"),
        ] {
            assert_eq!(place(&written(number)), told, "{number}");
        }
        assert_eq!(place(&parts("1", "5x5", "1234567")), "character 2 of area-code");
        assert_eq!(place(&parts("1", "555", "123/4567")), "character 4 of number");
        assert_eq!(
            flaw(&written("12345")),
            Some(Flaw::Pattern("it has 5 digits, at least 7 are needed".to_owned()))
        );
    }

    #[test]
    fn parts_make_one_number() {
        for (phone, flaw_of) in [
            (parts("1", "555", "1234567"), None),
            (parts("+1", " 555", "1234567 "), None),
            (parts("001", "555", "1234567"), None),
            (parts("", "555", "1234567"), None),
            (parts("1", "", "5551234567"), None),
            (parts("1", "555", "123-4567"), Some(Flaw::Written(11))),
            (parts("1", "", "15551234567"), Some(Flaw::Written(11))),
            (parts("44", "20", "79460000"), Some(Flaw::Country)),
            (parts("US", "555", "1234567"), Some(Flaw::Country)),
            (parts("1", "55", "1234567"), Some(Flaw::Digits(9))),
            (parts("1", "5555", "1234567"), Some(Flaw::Digits(11))),
            (parts("", "", ""), None),
            (Phone::default(), None),
        ] {
            assert_eq!(flaw(&phone), flaw_of);
        }
        assert!(
            matches!(flaw(&parts("1", "", "")), Some(Flaw::Pattern(_))),
            "a code is no number"
        );
    }

    #[test]
    fn an_extension_has_four_digits() {
        let of = |text: &str| {
            extension(&Phone {
                extension: Some(text.into()),
                ..Phone::default()
            })
        };
        assert_eq!(of(""), None);
        assert_eq!(of(" 1234 "), None);
        assert_eq!(
            of("12345").as_deref(),
            Some("the extension has 5 digits, 4 are taken")
        );
        assert_eq!(
            of("x12").as_deref(),
            Some("character 1 of the extension is not a digit")
        );
    }

    proptest! {
        /// A number without a flaw is ten digits and nothing else, whatever the parts.
        #[test]
        fn only_ten_digits_are_safe(
            code in "[+0-9a ]{0,3}", area in "[0-9()+x. -]{0,5}", number in "\\PC{0,12}|[0-9 x()+-]{0,14}|[0-9]{7,11}"
        ) {
            if flaw(&parts(&code, &area, &number)).is_none() {
                let text = format!("{}{}", area.trim(), number.trim());
                let ten = text.len() == TEN && text.bytes().all(|byte| byte.is_ascii_digit());
                prop_assert!(ten || (text.is_empty() && code.trim().is_empty()), "{text:?}");
            }
        }

        #[test]
        fn ten_digits_are_safe(area in "[2-9][0-9]{2}", number in "[0-9]{7}") {
            prop_assert_eq!(flaw(&parts("1", &area, &number)), None);
        }

        /// What stands before the place could become a number, with the place it no longer can.
        #[test]
        fn the_place_is_the_first_that_cannot_stand(text in "[0-9 x().+-]{1,16}") {
            if let Some(told) = pattern(&text, 0).filter(|told| told.starts_with("character")) {
                let place: usize = told.split(' ').nth(1).and_then(|place| place.parse().ok()).unwrap_or(0);
                prop_assert!((1..=text.len()).contains(&place), "{text}: {told}");
                prop_assert!(could_become(&text[..place - 1]) && !could_become(&text[..place]), "{text}: {told}");
            }
        }
    }
}
