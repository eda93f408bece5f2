//! What a single value must be (D501): patterns, lengths, setup values. Pure.

use super::fields::{Check, Column};
use super::readings::Phones;

/// Suppliers of this tenant: name and number.
pub(super) const SUPPLIERS: [(&str, &str); 2] = [("Acme Supply", "SUP-100"), ("Grüne Teile GmbH", "SUP-200")];

/// ISO 3166-1 alpha-2.
const COUNTRIES: &str = "\
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH \
CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN \
GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI \
LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM \
PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD \
TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// Countries that the setup also knows by name.
const COUNTRY_NAMES: [(&str, &str); 8] = [
    ("US", "United States"),
    ("CA", "Canada"),
    ("CH", "Switzerland"),
    ("DE", "Germany"),
    ("FR", "France"),
    ("GB", "United Kingdom"),
    ("IN", "India"),
    ("JP", "Japan"),
];

/// States, districts and territories with a postal code of their own.
const STATES: &str = "\
AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX \
UT VT VA WA WV WI WY DC AS GU MP PR VI";
const PROVINCES: &str = "AB BC MB NB NL NS NT NU ON PE QC SK YT";

fn listed(list: &str, code: &str) -> bool {
    list.split_whitespace()
        .any(|known| known.eq_ignore_ascii_case(code))
}

/// The code of a country given by code or name.
pub(super) fn country_code(text: &str) -> Option<&str> {
    let named = COUNTRY_NAMES
        .iter()
        .find(|(_, name)| name.eq_ignore_ascii_case(text))
        .map(|(code, _)| *code);
    named.or_else(|| listed(COUNTRIES, text).then_some(text))
}

/// Truth values as files write them.
pub(super) fn yes_or_no(text: &str) -> Option<bool> {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    match () {
        () if is("yes") => Some(true),
        () if is("no") => Some(false),
        () => None,
    }
}

/// `^[\w.+'-]+@[\w\.-]+\.(\w{2,7})$`, no `..`, no `.@`, no white space. `\w` is that of .NET: letters and digits of all scripts.
pub(super) fn is_email(text: &str) -> bool {
    let word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let Some((local, host)) = text.split_once('@') else {
        return false;
    };
    let Some((domain, last)) = host.rsplit_once('.') else {
        return false;
    };
    !local.is_empty()
        && local
            .chars()
            .all(|letter| word(letter) || ".+'-".contains(letter))
        && !domain.is_empty()
        && domain.chars().all(|letter| word(letter) || ".-".contains(letter))
        && (2..=7).contains(&last.chars().count())
        && last.chars().all(word)
        && !text.contains("..")
        && !local.ends_with('.')
}

/// `^(?:\(?\+?[0-9]*\)?)?[0-9_\- \(\)]*(?: x[0-9]{1,4})?$` and seven digits or more before the extension.
pub(super) fn is_phone(text: &str) -> bool {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).count();
    let is_extension =
        |tail: &str| (1..=4).contains(&tail.len()) && tail.chars().all(|letter| letter.is_ascii_digit());
    let number = match text.rsplit_once(" x") {
        Some((number, tail)) if is_extension(tail) => number,
        _ => text,
    };
    let rest = number.strip_prefix('(').unwrap_or(number);
    let rest = rest.strip_prefix('+').unwrap_or(rest);
    let allowed = |letter: char| letter.is_ascii_digit() || "_- ()".contains(letter);
    rest.chars().all(allowed) && digits(number) >= 7
}

/// What is wrong with a value that is not blank, as the end of a sentence; `country` is that of the same person.
pub(super) fn complaint(
    column: &Column,
    text: &str,
    country: Option<&str>,
    phones: Phones,
) -> Option<&'static str> {
    let too_long = text.chars().count() > column.longest;
    match column.check {
        Check::Phone => {
            if !is_phone(text) {
                return Some("is not a valid phone number");
            }
            (too_long && phones == Phones::TenCharacters).then_some("is too long")
        }
        _ if too_long => Some("is too long"),
        Check::Any => None,
        Check::Email => (!is_email(text)).then_some("is not a valid e-mail address"),
        Check::YesNo => yes_or_no(text).is_none().then_some("must be Yes or No"),
        Check::OneOf(known) => {
            let found = known.iter().any(|known| known.eq_ignore_ascii_case(text));
            (!found).then_some("does not exist")
        }
        Check::Country => country_code(text).is_none().then_some("is not a known country"),
        Check::State => match country.and_then(country_code) {
            Some(code) if code.eq_ignore_ascii_case("us") => {
                (!listed(STATES, text)).then_some("is not a known state")
            }
            Some(code) if code.eq_ignore_ascii_case("ca") => {
                (!listed(PROVINCES, text)).then_some("is not a known province")
            }
            _ => None,
        },
        Check::Supplier => {
            let found = SUPPLIERS
                .iter()
                .any(|(name, number)| *name == text || *number == text);
            (!found).then_some("is not a known supplier")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn emails_pass_and_fail_as_tested() {
        for good in [
            "o'brien@b.co.uk",
            "a+b@b.com",
            "a@b.company",
            "a@b.museum",
            "jürgen@b.de",
        ] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "a@b.technology",
            "a&b@b.com",
            "a/b@b.com",
            "a=b@b.com",
            "a@b",
            "a@b.xn--p1ai",
            "a..b@b.com",
            "a.@b.com",
            "a b@b.com",
            "a@b@c.com",
            "@b.com",
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }

    #[test]
    fn phones_pass_and_fail_as_tested() {
        for good in [
            "5551234567",
            "555-123-4567",
            "(555) 123-4567",
            "+1 555 123 4567",
            "+44 (0)20 7946 0000",
            "555-123-4567 x1234",
        ] {
            assert!(is_phone(good), "{good}");
        }
        for bad in [
            "555.123.4567",
            "555-123-4567 ext. 12",
            "555-123-4567 x12345",
            "555-123-4567x12",
            "12345",
            "1+5551234567",
        ] {
            assert!(!is_phone(bad), "{bad}");
        }
    }

    #[test]
    fn countries_are_known_by_code_or_name() {
        assert_eq!(country_code("Switzerland"), Some("CH"));
        assert_eq!(country_code("us"), Some("us"));
        assert_eq!(country_code("XX"), None);
    }
}
