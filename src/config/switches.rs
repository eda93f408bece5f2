//! Switches of the sandbox: `order.rest=scattered` and the like, as the JSON object that the sandbox reads.
//!
//! Invariant: names and values are the sandbox's own; nothing here knows them, so none can be missing.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

const EXPECTED: &str = "expected NAME=VALUE, for instance order.rest=scattered";

/// Reads switches; dots in a name go into the parts of a switch.
pub(super) fn parse<T: DeserializeOwned>(texts: &[String]) -> Result<T, String> {
    let mut object = Map::new();
    for text in texts {
        let (path, value) = text.split_once('=').ok_or(EXPECTED)?;
        let value = match serde_json::from_str(value) {
            // `null` is the name of a reading; a switch is never unset.
            Ok(Value::Null) | Err(_) => Value::String(value.to_owned()),
            Ok(value) => value,
        };
        let (parts, last) = path
            .rsplit_once('.')
            .map_or((None, path), |(parts, last)| (Some(parts), last));
        let mut place = &mut object;
        for name in parts.into_iter().flat_map(|parts| parts.split('.')) {
            let inner = place.entry(name).or_insert_with(|| Value::Object(Map::new()));
            place = inner.as_object_mut().ok_or(EXPECTED)?;
        }
        place.insert(last.to_owned(), value);
    }
    serde_json::from_value(Value::Object(object)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sandbox::{EmptyList, Faults, Readings};

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn readings_and_faults_are_named_by_path() {
        let readings: Readings = parse(&texts(&[
            "empty-list.graphql=null",
            "nested-cut.rest=7",
            "graphql-page=25",
        ]))
        .unwrap();
        assert_eq!(readings.nested_cut.rest, Some(7));
        assert_eq!(readings.graphql_page, 25);
        assert_eq!(readings.empty_list.graphql, EmptyList::Null);
        let faults: Faults = parse(&texts(&["server-error=0.25"])).unwrap();
        assert!((faults.server_error - 0.25).abs() < f64::EPSILON);
    }

    #[test]
    fn a_wrong_switch_is_named() {
        let error = parse::<Readings>(&texts(&["ordr.rest=scattered"])).unwrap_err();
        assert!(error.contains("ordr"), "{error}");
        let error = parse::<Readings>(&texts(&["nonsense"])).unwrap_err();
        assert!(error.contains("NAME=VALUE"), "{error}");
    }
}
