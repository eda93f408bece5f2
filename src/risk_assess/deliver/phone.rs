//! A telephone number as Risk Assess takes it.
//!
//! D501 contradicts itself: the type holds ten characters, the pattern allows signs and an extension that ten characters cannot hold. Ten
//! digits satisfy both; what has no ten digits is written by the pattern.
//!
//! Invariant: what is written fits the pattern and has at least seven digits.

use crate::model::profile::Phone;

/// Fewest digits of a number (D501).
const FEWEST: usize = 7;
/// Most digits of an extension (D501).
const EXTENSION: usize = 4;

/// What became of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    /// There is none.
    Blank,
    /// It stands like this, whole.
    Whole(String),
    /// It stands like this; the extension has no place.
    WithoutExtension(String),
    /// It cannot be written.
    Not,
}

/// Writes a number.
pub(super) fn written(phone: &Phone) -> Written {
    let parts = [
        &phone.country_code,
        &phone.area_code,
        &phone.number,
        &phone.extension,
    ];
    let [country, area, number, extension] = parts.map(|part| part.as_deref().unwrap_or_default().trim());
    if [country, area, number].iter().all(|part| part.is_empty()) {
        return Written::Blank;
    }
    let (Some(country), Some(area), Some(digits)) = (digits(country), digits(area), digits(number)) else {
        return Written::Not;
    };
    let country = country.trim_start_matches('0');
    let international = country.is_empty() && area.is_empty() && number.starts_with('+');
    let national = format!("{area}{digits}");
    if let Some(ten) = ten(country, &national) {
        return match extension {
            "" => Written::Whole(ten.to_owned()),
            _ => Written::WithoutExtension(ten.to_owned()),
        };
    }
    if country.len() + national.len() < FEWEST || national.is_empty() {
        return Written::Not;
    }
    let sign = if international { "+" } else { "" };
    let country = if country.is_empty() {
        String::new()
    } else {
        format!("+{country}")
    };
    let spoken: Vec<&str> = [country.as_str(), area.as_str(), digits.as_str()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect();
    let text = format!("{sign}{}", spoken.join(" "));
    match self::digits(extension) {
        Some(none) if none.is_empty() && extension.is_empty() => Written::Whole(text),
        Some(few) if (1..=EXTENSION).contains(&few.len()) => Written::Whole(format!("{text} x{few}")),
        _ => Written::WithoutExtension(text),
    }
}

/// Ten digits of a North American number: of any other country they would mean another telephone.
fn ten<'a>(country: &str, national: &'a str) -> Option<&'a str> {
    let national = match national.strip_prefix('1') {
        Some(rest) if rest.len() == 10 => rest,
        _ => national,
    };
    (matches!(country, "" | "1") && national.len() == 10).then_some(national)
}

/// The digits among what people put between them; `None` if there is anything else.
fn digits(part: &str) -> Option<String> {
    let separator = |letter| matches!(letter, ' ' | '-' | '.' | '(' | ')' | '_' | '/' | '+');
    let strange = |letter: char| !letter.is_ascii_digit() && !separator(letter);
    (!part.contains(strange)).then(|| part.chars().filter(char::is_ascii_digit).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn phone(country: &str, area: &str, number: &str, extension: &str) -> Phone {
        let part = |text: &str| (!text.is_empty()).then(|| text.into());
        Phone {
            country_code: part(country),
            area_code: part(area),
            number: part(number),
            extension: part(extension),
        }
    }

    #[test]
    fn ten_digits_where_it_can_be() {
        for (given, ten) in [
            (phone("1", "555", "123-4567", ""), "5551234567"),
            (phone("", "(555)", "123.4567", ""), "5551234567"),
            (phone("+1", "", "555 123 4567", ""), "5551234567"),
            (phone("001", "555", "1234567", ""), "5551234567"),
            (phone("", "", "+1 555 123 4567", ""), "5551234567"),
            (phone("", "", "15551234567", ""), "5551234567"),
        ] {
            assert_eq!(written(&given), Written::Whole(ten.into()));
        }
        let long = phone("1", "555", "1234567", "12");
        assert_eq!(written(&long), Written::WithoutExtension("5551234567".into()));
    }

    #[test]
    fn the_pattern_where_it_cannot() {
        for (given, text) in [
            (phone("44", "20", "7946 0000", ""), "+44 20 79460000"),
            (phone("44", "20", "79460000", "12"), "+44 20 79460000 x12"),
            (phone("", "", "+49 89 1234567", ""), "+49891234567"),
            (phone("", "", "1234567", "9"), "1234567 x9"),
            // Ten digits, but not of North America.
            (phone("44", "20", "79460000", ""), "+44 20 79460000"),
        ] {
            assert_eq!(written(&given), Written::Whole(text.into()));
        }
        for extension in ["12345", "abc"] {
            let given = phone("44", "20", "79460000", extension);
            assert_eq!(
                written(&given),
                Written::WithoutExtension("+44 20 79460000".into())
            );
        }
    }

    #[test]
    fn what_is_no_number_is_not_written() {
        for given in [
            phone("", "", "12345", ""),
            phone("1", "555", "CALL-ANN", ""),
            phone("44", "", "", ""),
            phone("44555666777", "", "", ""),
        ] {
            assert_eq!(written(&given), Written::Not);
        }
        for given in [Phone::default(), phone("", "", "", "12"), phone(" ", "", "", "")] {
            assert_eq!(written(&given), Written::Blank);
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_fits_the_pattern(
            country in "[0-9+ ]{0,4}", area in "[0-9() -]{0,5}", number in "[+]?[0-9A-C .-]{0,14}", extension in "[0-9x]{0,6}",
        ) {
            let text = match written(&phone(&country, &area, &number, &extension)) {
                Written::Whole(text) | Written::WithoutExtension(text) => text,
                Written::Blank | Written::Not => return Ok(()),
            };
            let (main, extension) = text.split_once(" x").unwrap_or((&text, "1"));
            prop_assert!((1..=4).contains(&extension.len()) && extension.bytes().all(|byte| byte.is_ascii_digit()));
            let main = main.strip_prefix('+').unwrap_or(main);
            prop_assert!(main.bytes().all(|byte| byte.is_ascii_digit() || byte == b' '), "{}", text);
            prop_assert!(main.bytes().filter(u8::is_ascii_digit).count() >= 7, "{}", text);
        }
    }
}
