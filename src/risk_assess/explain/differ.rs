//! How two texts differ: the least that must be overlooked for them to be the same.
//!
//! Invariant: no ways means equal; [`Way::Different`] stands alone.

use icu_normalizer::ComposingNormalizerBorrowed;

use super::Way;
use crate::risk_assess::columns::{Column, plain};

/// What may be overlooked, in the order in which it is.
const OVERLOOKED: [Way; 5] = [
    Way::EdgeSpaces,
    Way::LetterCase,
    Way::UnicodeForm,
    Way::LookAlike,
    Way::Punctuation,
];

/// How Coupa's value and Risk Assess' differ. A blank one counts as missing; two of them differ in nothing.
pub(super) fn ways(column: Column, coupa: Option<&str>, theirs: Option<&str>) -> Vec<Way> {
    let (coupa, theirs) = match (coupa, theirs) {
        (None, None) => return Vec::new(),
        (Some(_), None) => return vec![Way::MissingInRiskAssess],
        (None, Some(_)) => return vec![Way::MissingInCoupa],
        (Some(coupa), Some(theirs)) => (coupa, theirs),
    };
    if column == Column::Status && activity(coupa).is_some() && activity(coupa) == activity(theirs) {
        return Vec::new();
    }
    let same = |ways: &Vec<Way>| overlooking(ways, coupa) == overlooking(ways, theirs);
    let mut choices: Vec<Vec<Way>> = (0..1_u8 << OVERLOOKED.len())
        .map(|chosen| choice(chosen, column))
        .collect();
    // Stable: of as many ways those that come first count.
    choices.sort_by_key(Vec::len);
    choices
        .into_iter()
        .find(same)
        .unwrap_or_else(|| vec![Way::Different])
}

/// The ways whose bits are set, as far as they apply to the column.
fn choice(chosen: u8, column: Column) -> Vec<Way> {
    let applies = |way: &Way| *way != Way::Punctuation || is_telephone(column);
    (0..)
        .zip(OVERLOOKED)
        .filter_map(|(bit, way)| (chosen & (1 << bit) != 0).then_some(way))
        .filter(applies)
        .collect()
}

fn overlooking(ways: &[Way], text: &str) -> String {
    ways.iter().fold(text.to_owned(), |text, way| match way {
        Way::EdgeSpaces => text.trim().to_owned(),
        Way::LetterCase => text.to_lowercase(),
        Way::UnicodeForm => ComposingNormalizerBorrowed::new_nfc()
            .normalize(&text)
            .into_owned(),
        Way::LookAlike => skeleton(&text),
        Way::Punctuation => {
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            if digits.is_empty() { text } else { digits }
        }
        Way::MissingInRiskAssess | Way::MissingInCoupa | Way::Different | Way::Recorded => text,
    })
}

const fn is_telephone(column: Column) -> bool {
    matches!(
        column,
        Column::BusinessPhone | Column::BusinessExt | Column::Mobile | Column::Home | Column::Fax
    )
}

/// The text as the eye has it: wide and ligature forms resolved, letters that look like Latin ones as those, invisible ones left out. Not the
/// whole of Unicode's list of confusables (UTS 39): what keyboards and word processors put into names and addresses.
fn skeleton(text: &str) -> String {
    let composed = ComposingNormalizerBorrowed::new_nfkc().normalize(text);
    composed
        .chars()
        .filter(|letter| !is_invisible(*letter))
        .map(seen_as)
        .collect()
}

const fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Greek and Cyrillic letters, dashes and quotes by what they look like.
const fn seen_as(letter: char) -> char {
    match letter {
        'А' | 'Α' => 'A',
        'В' | 'Β' => 'B',
        'С' | 'Ϲ' => 'C',
        'Е' | 'Ε' => 'E',
        'Н' | 'Η' => 'H',
        'І' | 'Ι' | 'Ӏ' => 'I',
        'Ј' => 'J',
        'К' | 'Κ' => 'K',
        'М' | 'Μ' => 'M',
        'Ν' => 'N',
        'О' | 'Ο' => 'O',
        'Р' | 'Ρ' => 'P',
        'Ѕ' => 'S',
        'Т' | 'Τ' => 'T',
        'Х' | 'Χ' => 'X',
        'У' | 'Υ' => 'Y',
        'Ζ' => 'Z',
        'а' | 'α' => 'a',
        'с' | 'ϲ' => 'c',
        'ԁ' => 'd',
        'е' => 'e',
        'һ' => 'h',
        'і' | 'ι' | 'ı' => 'i',
        'ј' => 'j',
        'ӏ' => 'l',
        'о' | 'ο' => 'o',
        'р' | 'ρ' => 'p',
        'ѕ' => 's',
        'υ' => 'u',
        'ν' => 'v',
        'ԝ' => 'w',
        'х' | 'χ' => 'x',
        'у' => 'y',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2032}' | '\u{2bc}' | '´' | '`' => '\'',
        '\u{201c}' | '\u{201d}' | '\u{2033}' => '"',
        other => other,
    }
}

/// Where two texts differ, if that is hard to see.
pub(super) fn detail(ways: &[Way], coupa: &str, theirs: &str) -> Option<String> {
    let hidden = [Way::UnicodeForm, Way::LookAlike];
    let mut told = Vec::new();
    if ways.contains(&Way::EdgeSpaces) {
        told.extend(edges("Coupa", coupa));
        told.extend(edges("Risk Assess", theirs));
    }
    if ways.iter().any(|way| hidden.contains(way)) {
        told.extend(parting(coupa.trim(), theirs.trim()));
    }
    (!told.is_empty()).then(|| told.join("; "))
}

fn edges(side: &str, text: &str) -> Option<String> {
    let blank = |text: &str| text.chars().count();
    let before = blank(text) - blank(text.trim_start());
    let behind = blank(text) - blank(text.trim_end());
    match (before, behind) {
        (0, 0) => None,
        (before, 0) => Some(format!("{side} has {before} before the value")),
        (0, behind) => Some(format!("{side} has {behind} behind the value")),
        (before, behind) => Some(format!(
            "{side} has {before} before and {behind} behind the value"
        )),
    }
}

/// The first letter in which they part.
fn parting(coupa: &str, theirs: &str) -> Option<String> {
    let (mut left, mut right) = (coupa.chars(), theirs.chars());
    let code = |letter: Option<char>| {
        letter.map_or_else(
            || "the end".to_owned(),
            |letter| format!("U+{:04X}", u32::from(letter)),
        )
    };
    for place in 1_usize.. {
        match (left.next(), right.next()) {
            (None, None) => return None,
            (one, other) if one == other => {}
            (one, other) => {
                return Some(format!(
                    "letter {place} is {} in Coupa, {} in Risk Assess",
                    code(one),
                    code(other)
                ));
            }
        }
    }
    None
}

fn activity(text: &str) -> Option<bool> {
    match plain(text).as_str() {
        "active" | "activated" | "yes" | "y" | "true" | "1" | "enabled" => Some(true),
        "inactive" | "deactivated" | "no" | "n" | "false" | "0" | "disabled" => Some(false),
        _ => None,
    }
}

/// Whether a status says that the account is switched off.
pub(super) fn is_inactive(status: Option<&str>) -> bool {
    status.and_then(activity) == Some(false)
}

/// Whether a text is a no.
pub(super) fn is_no(text: &str) -> bool {
    activity(text) == Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_that_must_be_overlooked_is_named() {
        for (coupa, theirs, expected) in [
            ("ada", "ada", &[][..]),
            ("Ada", "ada", &[Way::LetterCase]),
            ("STRASSE ÄÖ", "strasse äö", &[Way::LetterCase]),
            ("ada ", "ada", &[Way::EdgeSpaces]),
            ("ada", "\u{a0}ada\t", &[Way::EdgeSpaces]),
            (" Ada", "ada", &[Way::EdgeSpaces, Way::LetterCase]),
            ("Jos\u{e9}", "Jose\u{301}", &[Way::UnicodeForm]),
            ("Jos\u{e9}", "JOSE\u{301}", &[Way::LetterCase, Way::UnicodeForm]),
            ("ada", "\u{430}da", &[Way::LookAlike]),
            ("Ada", "\u{430}da", &[Way::LetterCase, Way::LookAlike]),
            ("O'Brien", "O\u{2019}Brien", &[Way::LookAlike]),
            ("a-b", "a\u{2011}b", &[Way::LookAlike]),
            ("ada", "a\u{200b}da", &[Way::LookAlike]),
            ("ada", "\u{ff41}da", &[Way::LookAlike]),
            ("José", "Jose", &[Way::Different]),
            ("ada", "bob", &[Way::Different]),
            ("5551234567", "555-123-4567", &[Way::Different]),
        ] {
            let found = ways(Column::Username, Some(coupa), Some(theirs));
            assert_eq!(found, expected, "{coupa:?} {theirs:?}");
            let back = ways(Column::Username, Some(theirs), Some(coupa));
            assert_eq!(back, expected, "{theirs:?} {coupa:?}");
        }
    }

    #[test]
    fn some_columns_have_ways_of_their_own() {
        let phone = |coupa, theirs| ways(Column::BusinessPhone, Some(coupa), Some(theirs));
        assert_eq!(phone("(555) 123-4567", "5551234567"), [Way::Punctuation]);
        assert_eq!(phone("555 123", "555 124"), [Way::Different]);
        assert_eq!(phone("none", "n/a"), [Way::Different]);
        let status = |coupa, theirs| ways(Column::Status, Some(coupa), Some(theirs));
        assert_eq!(status("Active", "Yes"), []);
        assert_eq!(status("Active", "No"), [Way::Different]);
        assert_eq!(status("Odd", "Strange"), [Way::Different]);
    }

    #[test]
    fn a_missing_value_is_told_from_which_side() {
        let email = |coupa, theirs| ways(Column::Email, coupa, theirs);
        assert_eq!(email(Some("x"), None), [Way::MissingInRiskAssess]);
        assert_eq!(email(None, Some("x")), [Way::MissingInCoupa]);
        assert_eq!(email(None, None), []);
    }

    #[test]
    fn what_is_hard_to_see_is_pointed_at() {
        let told = |coupa, theirs| {
            let ways = ways(Column::Email, Some(coupa), Some(theirs));
            detail(&ways, coupa, theirs).unwrap_or_default()
        };
        assert_eq!(
            told("ad\u{430}", "ada"),
            "letter 3 is U+0430 in Coupa, U+0061 in Risk Assess"
        );
        assert_eq!(
            told("ada\u{200b}", "ada"),
            "letter 4 is U+200B in Coupa, the end in Risk Assess"
        );
        assert_eq!(told("  ada", "ada"), "Coupa has 2 before the value");
        assert_eq!(
            told("ada", " ada "),
            "Risk Assess has 1 before and 1 behind the value"
        );
        assert_eq!(told("ada", "bob"), "");
    }
}
