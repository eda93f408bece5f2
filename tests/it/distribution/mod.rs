//! What is shipped around the program: the descriptions made from it, the document for operators, the image, the manifests, the
//! workflows, the archives, and the static binary where there is nothing else.

mod bare_root;
mod descriptions;
mod document;
mod image;
mod kubernetes;
mod packages;
mod workflows;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use baton_coupa::config::{SETTINGS, variable};
use serde_json::Value;

/// Variables of the ecosystem that are no settings of the table: they have no flag.
const BESIDE_THE_TABLE: [&str; 4] = [
    "BATON_C1_API_HOST",
    "BATON_CONFIG_PATH",
    "BATON_HOST_ID",
    "BATON_TMPDIR",
];

/// A place in the repository.
fn place(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The text of a file of the repository.
fn text(path: &str) -> String {
    fs::read_to_string(place(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The one document of a YAML file, as JSON. A key that stands there twice is an error.
fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// `baton_capabilities.json`, which another test holds to be what the program says.
fn capabilities() -> Value {
    serde_json::from_str(&text("baton_capabilities.json")).unwrap()
}

/// Whether the program takes that environment variable, and does something with it.
fn is_read(name: &str) -> bool {
    BESIDE_THE_TABLE.contains(&name)
        || SETTINGS
            .iter()
            .any(|setting| variable(setting.name) == name && setting.is_shown())
}

/// Every `BATON_...` variable that a text names, also in part: `BATON_` and the signs that a variable may have.
fn variables(text: &str) -> BTreeSet<&str> {
    let is_sign = |sign: char| sign.is_ascii_uppercase() || sign.is_ascii_digit() || sign == '_';
    text.match_indices("BATON_")
        .map(|(start, _)| {
            let rest = &text[start..];
            &rest[..rest.find(|sign| !is_sign(sign)).unwrap_or(rest.len())]
        })
        .collect()
}
