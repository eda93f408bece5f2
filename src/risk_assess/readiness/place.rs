//! Which countries, states and provinces are known: ISO 3166-1, and ISO 3166-2 of the two countries whose states Risk Assess keeps in lists of
//! its own (D501: `MailState` for the United States, `MailProvince` for Canada).
//!
//! Invariant: codes and names are compared by letters and digits, case aside. A tenant's own lists may be shorter; nobody outside can know.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use crate::risk_assess::columns::plain;

/// Code and name by line, several lines for several names.
const COUNTRIES: &str = include_str!("countries.txt");

/// Code with that of the country and name by line, several lines for several names. With the mail areas of the forces.
const STATES: &str = include_str!("states.txt");

static COUNTRY: LazyLock<BTreeMap<String, &'static str>> = LazyLock::new(|| {
    entries(COUNTRIES)
        .flat_map(|(code, name)| [(plain(code), code), (plain(name), code)])
        .collect()
});

static STATE: LazyLock<BTreeSet<(&'static str, String)>> = LazyLock::new(|| {
    entries(STATES)
        .filter_map(|(code, name)| Some((code, code.split_once('-')?, name)))
        .flat_map(|(full, (country, code), name)| [full, code, name].map(|word| (country, plain(word))))
        .collect()
});

fn entries(list: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    list.lines().filter_map(|line| line.split_once('\t'))
}

/// Code of a country that is given by code or name; `None` if it is not known.
pub(super) fn country(value: &str) -> Option<&'static str> {
    COUNTRY.get(&plain(value)).copied()
}

/// Whether the country with that code has its states in a list.
pub(super) fn lists_states(country: &str) -> bool {
    matches!(country, "US" | "CA")
}

/// Whether a state, by code or name, is one of the country with that code.
pub(super) fn is_state(country: &'static str, value: &str) -> bool {
    STATE.contains(&(country, plain(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_whole() {
        let codes: BTreeSet<&str> = entries(COUNTRIES).map(|(code, _)| code).collect();
        assert_eq!(codes.len(), 249, "ISO 3166-1 has 249 codes");
        assert!(
            codes
                .iter()
                .all(|code| code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase()))
        );
        assert_eq!(entries(COUNTRIES).count(), COUNTRIES.lines().count());
        let states = |country: &str| -> BTreeSet<&str> {
            let codes = entries(STATES).map(|(code, _)| code);
            codes.filter(|code| code.starts_with(country)).collect()
        };
        assert_eq!(
            states("US-").len(),
            60,
            "50 states, the district, 6 areas, 3 of the forces"
        );
        assert_eq!(states("CA-").len(), 13, "10 provinces, 3 territories");
        assert_eq!(entries(STATES).count(), STATES.lines().count());
    }

    #[test]
    fn a_name_means_one_country() {
        for (code, name) in entries(COUNTRIES) {
            assert_eq!(country(name), Some(code), "{name}");
            assert_eq!(country(&code.to_lowercase()), Some(code));
        }
    }

    #[test]
    fn codes_and_names_are_known() {
        for value in ["US", "us", "USA", "United States", "united states of america"] {
            assert_eq!(country(value), Some("US"), "{value}");
        }
        for value in ["", "XX", "UK", "USA1", "Ruritania"] {
            assert_eq!(country(value), None, "{value}");
        }
        for value in ["CA", "US-CA", "us ca", "California"] {
            assert!(is_state("US", value), "{value}");
        }
        for value in ["ON", "Quebec", "Québec", "CA-QC"] {
            assert!(is_state("CA", value), "{value}");
        }
        for (country, value) in [
            ("US", "ON"),
            ("CA", "TX"),
            ("US", "Calif."),
            ("CA", "US-CA"),
            ("US", ""),
        ] {
            assert!(!is_state(country, value), "{country} {value}");
        }
    }
}
