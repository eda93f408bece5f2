//! The e-mail address as Risk Assess' import takes it: the published pattern and its three extra rules (D501).
//!
//! Invariant: what is told of an address are places and counts, from 1, never a part of it.

use std::sync::LazyLock;

use regex::Regex;

/// The pattern as published. `\w` is meant in Unicode: letters like `ü` pass in the engines of .NET and Python.
const PUBLISHED: &str = r"^[\w.+'-]+@[\w\.-]+\.(\w{2,7})$";

#[expect(
    clippy::expect_used,
    reason = "a constant that every test of this module compiles"
)]
static PATTERN: LazyLock<Regex> = LazyLock::new(|| Regex::new(PUBLISHED).expect("the published pattern"));

#[expect(
    clippy::expect_used,
    reason = "a constant that every test of this module compiles"
)]
static WORD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\w$").expect("one sign of a word"));

/// White space somewhere.
pub(super) fn space(email: &str) -> Option<String> {
    let place = email.chars().position(char::is_whitespace)?;
    Some(format!("character {} is white space", place + 1))
}

/// `..` somewhere.
pub(super) fn two_dots(email: &str) -> Option<String> {
    place_of(email, "..").map(|place| format!("characters {place} and {} are two dots in a row", place + 1))
}

/// `.@` somewhere.
pub(super) fn dot_before_at(email: &str) -> Option<String> {
    place_of(email, ".@").map(|place| format!("character {place} is a dot right before @"))
}

/// Against the published pattern; white space is not looked at, it has a rule of its own.
pub(super) fn pattern(email: &str) -> Option<String> {
    let signs: Vec<Sign> = email
        .chars()
        .zip(1..)
        .filter(|(sign, _)| !sign.is_whitespace())
        .collect();
    let bare: String = signs.iter().map(|(sign, _)| sign).collect();
    (!PATTERN.is_match(&bare)).then(|| why(&signs))
}

/// A character and its place in the address.
type Sign = (char, usize);

/// What keeps these from the pattern.
fn why(signs: &[Sign]) -> String {
    let mut ats = signs.iter().enumerate().filter(|(_, (sign, _))| *sign == '@');
    let Some((at, _)) = ats.next() else {
        return format!("there is no @ among {} characters", signs.len());
    };
    if let Some((_, (_, place))) = ats.next() {
        return format!("character {place} is a second @");
    }
    let (local, domain) = (&signs[..at], &signs[at + 1..]);
    if local.is_empty() {
        return "there is nothing before @".to_owned();
    }
    if let Some(place) = first_without(local, ".+'-") {
        return format!("character {place} is not allowed before @");
    }
    if let Some(place) = first_without(domain, ".-") {
        return format!("character {place} is not allowed after @");
    }
    let Some(dot) = domain.iter().rposition(|(sign, _)| *sign == '.') else {
        return "there is no dot after @".to_owned();
    };
    if dot == 0 {
        return "there is nothing between @ and the last dot".to_owned();
    }
    let last = &domain[dot + 1..];
    match first_without(last, "") {
        Some(place) => format!("character {place} is not allowed after the last dot"),
        None => format!(
            "the part after the last dot has {} characters, not 2 to 7",
            last.len()
        ),
    }
}

/// Place of the first that is neither a sign of a word nor one of these.
fn first_without(signs: &[Sign], others: &str) -> Option<usize> {
    let fits = |sign: char| others.contains(sign) || WORD.is_match(sign.encode_utf8(&mut [0; 4]));
    let odd = signs.iter().find(|(sign, _)| !fits(*sign));
    odd.map(|(_, place)| *place)
}

/// Place of `part`, in characters from 1.
fn place_of(text: &str, part: &str) -> Option<usize> {
    text.find(part).map(|at| text[..at].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn takes(email: &str) -> bool {
        [space, two_dots, dot_before_at, pattern]
            .iter()
            .all(|rule| rule(email).is_none())
    }

    /// risk-assess.md section 8, "e".
    #[test]
    fn the_published_fixtures() {
        for email in [
            "o'brien@b.co.uk",
            "a+b@b.com",
            "a@b.company",
            "a@b.museum",
            "müller@b.com",
            "mu\u{308}ller@b.com",
            "a@bücher.de",
            "名前@b.com",
        ] {
            assert!(takes(email), "{email}");
        }
        for email in [
            "a@b.technology",
            "a&b@b.com",
            "a/b@b.com",
            "a=b@b.com",
            "a@b",
            "a@b.xn--p1ai",
            "a..b@b.com",
            "a.@b.com",
        ] {
            assert!(!takes(email), "{email}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_place() {
        for (email, told) in [
            ("nobody", "there is no @ among 6 characters"),
            ("a@b@c.com", "character 4 is a second @"),
            ("@b.com", "there is nothing before @"),
            ("ü&b@b.com", "character 2 is not allowed before @"),
            ("a@b!.com", "character 4 is not allowed after @"),
            ("a@b", "there is no dot after @"),
            ("a@.com", "there is nothing between @ and the last dot"),
            (
                "a@b.technology",
                "the part after the last dot has 10 characters, not 2 to 7",
            ),
            (
                "a@b.c",
                "the part after the last dot has 1 characters, not 2 to 7",
            ),
            ("a@b.", "the part after the last dot has 0 characters, not 2 to 7"),
            ("a@b.xn--p1ai", "character 7 is not allowed after the last dot"),
            ("a b&c@b.com", "character 4 is not allowed before @"),
        ] {
            assert_eq!(pattern(email).as_deref(), Some(told), "{email}");
        }
        assert_eq!(space("a b@c.de").as_deref(), Some("character 2 is white space"));
        assert_eq!(
            two_dots("ü..b@c.de").as_deref(),
            Some("characters 2 and 3 are two dots in a row")
        );
        assert_eq!(
            dot_before_at("ü.@c.de").as_deref(),
            Some("character 2 is a dot right before @")
        );
    }

    #[test]
    fn white_space_is_told_once() {
        assert_eq!(pattern(" a@b.com\u{a0}"), None);
        assert!(space(" a@b.com").is_some());
    }

    proptest! {
        /// The last explanation is the only one without a condition of its own: it must be right whenever it is given.
        #[test]
        fn an_explanation_is_true(email in "[a-cü.+'@&\u{308}²-]{0,12}") {
            if let Some(told) = pattern(&email) {
                let last = email.rsplit('.').next().unwrap_or_default().chars().count();
                if told.contains("the part after the last dot has") {
                    prop_assert!(!(2..=7).contains(&last), "{email}: {told}");
                    prop_assert!(told.contains(&last.to_string()));
                }
            }
        }
    }
}
