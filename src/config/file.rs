//! The YAML configuration file: where it is, what it holds, and where in it each value stands.
//!
//! Invariant: scalars keep the text they were written with (`0012` stays `0012`), since only the settings table knows their
//! types; no error repeats text of the file, which holds secrets.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Error, Location, Spanned};

use super::problem::{Place, Problem};

/// File read when no other is named, in the working directory.
const DEFAULT: &str = "./.baton.yaml";
/// Variable that names another file.
pub(super) const VARIABLE: &str = "BATON_CONFIG_PATH";

/// What stands behind a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// Nothing: counts as not written.
    Empty,
    /// One text.
    Text(String),
    /// Texts; commas inside an element belong to it.
    List(Vec<String>),
    /// A map, or a list of something else than texts.
    Other,
}

/// A parsed file: keys in lower case, each with its value and the value's place.
#[derive(Debug, Default)]
pub(super) struct ConfigFile {
    pub(super) entries: BTreeMap<String, (Node, Place)>,
}

/// Reads the file that the environment names, or the default one. Only a named file must exist.
pub(super) fn read(named: Option<OsString>, directory: &Path) -> Result<ConfigFile, Problem> {
    let (file, must_exist) = match named.filter(|path| !path.is_empty()) {
        Some(path) => (PathBuf::from(path), true),
        None => (PathBuf::from(DEFAULT), false),
    };
    let broken = |what: String| Problem::File {
        place: Place {
            file: file.clone(),
            position: None,
        },
        what,
    };
    if !file.extension().is_some_and(|end| end == "yaml" || end == "yml") {
        return Err(broken(format!(
            "{VARIABLE} must name a file that ends in .yaml or .yml"
        )));
    }
    match std::fs::read(directory.join(&file)) {
        Ok(bytes) => {
            let text = String::from_utf8(bytes).map_err(|_| broken("not UTF-8 text".to_owned()))?;
            parse(&text, &file)
        }
        Err(error) if error.kind() == ErrorKind::NotFound && !must_exist => Ok(ConfigFile::default()),
        Err(error) => Err(broken(format!("cannot be read: {error}"))),
    }
}

fn parse(text: &str, file: &Path) -> Result<ConfigFile, Problem> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        duplicate_keys: DuplicateKeyPolicy::Error,
    };
    let broken = |location: Option<Location>, what: &str| Problem::File {
        place: Place {
            file: file.to_owned(),
            position: location.map(|at| (at.line(), at.column())),
        },
        what: what.to_owned(),
    };
    let document: Spanned<Raw> = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| broken(error.location(), reason(&error)))?;
    let entries = match document.value {
        Raw::Null => Vec::new(),
        Raw::Map(entries) => entries,
        Raw::Text(_) | Raw::Plain | Raw::Seq(_) => {
            return Err(broken(
                Some(document.referenced),
                "expected lines of the form `setting: value`",
            ));
        }
    };
    let mut found = ConfigFile::default();
    for (key, value) in entries {
        let place = Place {
            file: file.to_owned(),
            position: Some((value.referenced.line(), value.referenced.column())),
        };
        // The ecosystem's reader does not tell upper from lower case in keys.
        found
            .entries
            .insert(key.to_lowercase(), (node(value, text), place));
    }
    Ok(found)
}

fn node(raw: Spanned<Raw>, source: &str) -> Node {
    match raw.value {
        Raw::Null => Node::Empty,
        Raw::Text(text) => Node::Text(text),
        Raw::Plain => verbatim(raw.defined, source).map_or(Node::Other, Node::Text),
        Raw::Map(_) => Node::Other,
        Raw::Seq(elements) => {
            let mut texts = Vec::with_capacity(elements.len());
            for element in elements {
                match node(element, source) {
                    Node::Text(text) => texts.push(text),
                    Node::Empty | Node::List(_) | Node::Other => return Node::Other,
                }
            }
            Node::List(texts)
        }
    }
}

/// The text of an unquoted scalar that YAML takes for a number or a truth value.
fn verbatim(at: Location, source: &str) -> Option<String> {
    let start = usize::try_from(at.span().byte_offset()?).ok()?;
    let length = usize::try_from(at.span().byte_len()?).ok()?;
    source
        .get(start..start.checked_add(length)?)
        .map(|text| text.trim().to_owned())
}

/// Why a file cannot be read, without a word of its content.
fn reason(error: &Error) -> &'static str {
    match error {
        Error::DuplicateMappingKey { .. } => "the setting is written twice",
        Error::UnknownAnchor { .. } => "an alias (*name) without its anchor (&name)",
        Error::MultipleDocuments { .. } => "more than one document (---) in the file",
        Error::Eof { .. } => "the file ends too early",
        Error::Budget { .. } => "the file is too large or too deeply nested",
        _ => "not valid YAML; look for wrong indentation, tabs, or special characters outside of quotes",
    }
}

/// A node before its text is recovered.
enum Raw {
    Null,
    /// Quoted, or plain text.
    Text(String),
    /// A plain scalar that YAML gave a type.
    Plain,
    Seq(Vec<Spanned<Raw>>),
    Map(Vec<(String, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(Raw::Seq(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key()? {
            entries.push((key, map.next_value()?));
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Raw::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn parsed(text: &str) -> Result<ConfigFile, Problem> {
        parse(text, Path::new("./.baton.yaml"))
    }

    fn node_of(text: &str, key: &str) -> Node {
        parsed(text).unwrap().entries.remove(key).unwrap().0
    }

    #[test]
    fn scalars_keep_the_text_they_were_written_with() {
        for (written, text) in [
            ("0012", "0012"),
            ("1_000", "1_000"),
            ("1e3", "1e3"),
            ("0x1F", "0x1F"),
            ("no", "no"),
            ("True", "True"),
            ("3.10", "3.10"),
            ("'0012'", "0012"),
            ("\"a\\tb\"", "a\tb"),
            ("plain text # comment", "plain text"),
            ("99999999999999999999999999", "99999999999999999999999999"),
        ] {
            assert_eq!(
                node_of(&format!("key: {written}\n"), "key"),
                Node::Text(text.to_owned()),
                "{written}"
            );
        }
    }

    #[test]
    fn shapes_are_told_apart() {
        assert_eq!(node_of("a:\n", "a"), Node::Empty);
        assert_eq!(node_of("a: ~\n", "a"), Node::Empty);
        assert_eq!(
            node_of("a: [\"x,y\", 7]\n", "a"),
            Node::List(vec!["x,y".into(), "7".into()])
        );
        assert_eq!(node_of("a: {b: c}\n", "a"), Node::Other);
        assert_eq!(node_of("a: [[b]]\n", "a"), Node::Other);
        assert_eq!(node_of("A-Key: x\n", "a-key"), Node::Text("x".into()));
        assert!(parsed("").unwrap().entries.is_empty());
        assert!(parsed("# nothing\n").unwrap().entries.is_empty());
    }

    #[test]
    fn an_alias_has_the_text_of_its_anchor() {
        assert_eq!(node_of("a: &n 0012\nb: *n\n", "b"), Node::Text("0012".into()));
    }

    #[test]
    fn garbage_is_told_with_its_place_and_without_its_text() {
        for (text, at, word) in [
            ("coupa-client-secret: \"s3cret\nfile: x\n", None, "YAML"),
            ("coupa-client-secret: s3cret: x\n", Some(1), "YAML"),
            ("a: 1\na: s3cret\n", Some(2), "twice"),
            ("a: *s3cret\n", Some(1), "alias"),
            ("a: 1\n---\nb: s3cret\n", None, "document"),
            ("s3cret\n", Some(1), "setting: value"),
            ("- s3cret\n", Some(1), "setting: value"),
            ("a:\n\t- s3cret\n", Some(2), "YAML"),
            ("{{ s3cret }}\n", Some(1), ""),
            ("a: [s3cret\n", None, ""),
        ] {
            let Err(problem @ Problem::File { .. }) = parsed(text) else {
                panic!("{text:?} was taken");
            };
            let Problem::File { place, what } = &problem else {
                unreachable!()
            };
            assert!(what.contains(word), "{text:?}: {what}");
            let (line, column) = place.position.unwrap_or_else(|| panic!("{text:?} has no place"));
            assert!(line >= 1 && column >= 1, "{text:?}: {line}:{column}");
            if let Some(expected) = at {
                assert_eq!(line, expected, "{text:?}");
            }
            assert!(!problem.to_string().contains("s3cret"), "{problem}");
            assert!(
                problem
                    .to_string()
                    .starts_with("configuration file ./.baton.yaml, line "),
                "{problem}"
            );
        }
    }
}
