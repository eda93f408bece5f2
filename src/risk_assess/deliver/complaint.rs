//! What Risk Assess said against a row, without the values that it quotes: for the ledger, the outbox and the log.
//!
//! Invariant: no value of the row is in the text, nor anything in quotation marks that is no name of a column, nor anything that looks like
//! an address or a long number.

use crate::risk_assess::columns::Column;

use super::render::Row;

/// Most characters that are kept.
const LONGEST: usize = 300;
/// Values shorter than this are only taken out as whole words, lest single letters vanish from every word.
const SHORT: usize = 4;
/// A number with so many digits may be a telephone's or a person's.
const LONG_NUMBER: usize = 5;

/// The beginning of the message in a body, one line; `None` if there is nothing a person could read.
pub(super) fn words(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() || text.starts_with('<') {
        // A page of markup is no message.
        return None;
    }
    let line: Vec<&str> = text
        .split(|letter: char| letter.is_whitespace() || letter.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    Some(line.join(" ").chars().take(LONGEST).collect())
}

/// That message without values.
pub(super) fn without_values(words: &str, rows: &[&Row]) -> String {
    let mut values: Vec<(&str, Column)> = rows
        .iter()
        .flat_map(|row| row.cells.iter())
        .filter(|(column, _)| !is_plain(**column))
        .map(|(column, value)| (value.as_str(), *column))
        .collect();
    // Longest first: a login may be part of an address.
    values.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
    let mut text = words.to_owned();
    for (value, column) in values {
        text = replace(&text, value, column);
    }
    let spoken: Vec<String> = unquoted(&text).split(' ').map(plain_word).collect();
    spoken.join(" ")
}

/// Columns whose values are not about a person.
const fn is_plain(column: Column) -> bool {
    matches!(
        column,
        Column::Status | Column::IsSupplierUser | Column::IsAdministrator
    )
}

/// Each occurrence of the value, letter case aside, becomes the name of its column.
fn replace(text: &str, value: &str, column: Column) -> String {
    let (letters, wanted): (Vec<char>, Vec<char>) = (text.chars().collect(), value.chars().collect());
    let same = |one: &char, other: &char| one.to_lowercase().eq(other.to_lowercase());
    let inside = |place: Option<&char>| place.is_some_and(|letter| letter.is_alphanumeric());
    let stands_at = |place: usize| {
        let Some(found) = letters.get(place..place + wanted.len()) else {
            return false;
        };
        let apart = !inside(place.checked_sub(1).and_then(|before| letters.get(before)))
            && !inside(letters.get(place + wanted.len()));
        found.iter().zip(&wanted).all(|(one, other)| same(one, other)) && (apart || wanted.len() >= SHORT)
    };
    let (mut result, mut place) = (String::with_capacity(text.len()), 0);
    while let Some(letter) = letters.get(place) {
        if !wanted.is_empty() && stands_at(place) {
            result.push_str(&hidden(column.title()));
            place += wanted.len();
        } else {
            result.push(*letter);
            place += 1;
        }
    }
    result
}

/// Quotations that are no column's name are taken out.
fn unquoted(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(['"', '“', '\'', '‘', '`']) {
        let (before, quoted) = rest.split_at(start);
        let mark = quoted.chars().next().unwrap_or('"');
        let inner = &quoted[mark.len_utf8()..];
        // An apostrophe inside a word opens no quotation.
        let opens = mark != '\'' || !before.ends_with(char::is_alphanumeric);
        let Some(end) = inner.find(closing(mark)).filter(|_| opens) else {
            result.push_str(&rest[..start + mark.len_utf8()]);
            rest = inner;
            continue;
        };
        let said = &inner[..end];
        result.push_str(before);
        if Column::of_header(said).is_some() || is_hidden(said) {
            result.push_str(said);
        } else {
            result.push_str(&hidden("value"));
        }
        rest = &inner[end + closing(mark).len_utf8()..];
    }
    result + rest
}

const fn closing(mark: char) -> char {
    match mark {
        '“' => '”',
        '‘' => '’',
        same => same,
    }
}

fn plain_word(word: &str) -> String {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    if word.contains('@') || digits >= LONG_NUMBER {
        return hidden("value");
    }
    word.to_owned()
}

fn hidden(name: &str) -> String {
    format!("[{name}]")
}

fn is_hidden(text: &str) -> bool {
    text.starts_with('[') && text.ends_with(']')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::render::tests::ann;
    use super::super::render::{Active, cells};
    use super::*;
    use crate::model::profile::{Address, Profile};

    fn told(message: &str) -> String {
        let profile = Profile {
            first_name: Some("Änne".into()),
            last_name: Some("Li".into()),
            address: Some(Address {
                street1: Some("1 Main St".into()),
                state: Some("Bayern".into()),
                ..Address::default()
            }),
            ..ann(7)
        };
        let row = cells(&profile, Active::Yes).unwrap();
        without_values(&words(message.as_bytes()).unwrap(), &[&row])
    }

    #[test]
    fn values_become_the_names_of_their_columns() {
        for (message, expected) in [
            (
                "State 'Bayern' is not allowed.",
                "State [State/Province] is not allowed.",
            ),
            ("ANN7@EXAMPLE.COM: not unique", "[Email]: not unique"),
            ("user ÄNNE LI, line 2", "user [First Name] [Last Name], line 2"),
            ("the List is full", "the List is full"),
            (
                "Row 1: \"EmailAddress\" is invalid",
                "Row 1: EmailAddress is invalid",
            ),
            ("it's \"Annette's\" row", "it's [value] row"),
            ("someone@else.example exists", "[value] exists"),
            ("call 555-1234567", "call [value]"),
            ("1 Main St\r\nis unknown\u{0}", "[Mailing Address] is unknown"),
        ] {
            assert_eq!(told(message), expected);
        }
    }

    #[test]
    fn a_page_or_nothing_is_no_message() {
        for body in ["", "  \r\n", "<html>Ann</html>", "\u{feff}"] {
            assert_eq!(words(body.as_bytes()), None, "{body}");
        }
        assert_eq!(
            words("ü".repeat(1000).as_bytes()).unwrap().chars().count(),
            LONGEST
        );
    }
}
