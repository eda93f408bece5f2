//! Holds the import table of `docs/architecture.md`: who may import whom, and which outside crates a part must never see.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What one part of the crate may do.
struct Rule {
    part: &'static str,
    /// Parts of ours it may import.
    imports: &'static [&'static str],
    /// Outside crates it must never name.
    never: &'static [&'static str],
}

const RULES: &[Rule] = &[
    Rule {
        part: "model",
        imports: &[],
        never: &["serde", "prost", "tonic", "http", "reqwest", "rusqlite", "axum"],
    },
    Rule {
        part: "coupa",
        imports: &["model"],
        never: &["prost", "tonic", "rusqlite", "axum", "clap"],
    },
    Rule {
        part: "snapshot",
        imports: &["model"],
        never: &["prost", "tonic", "http", "reqwest", "rusqlite", "clap"],
    },
    Rule {
        part: "provision",
        imports: &["model"],
        never: &["prost", "tonic", "http", "reqwest", "rusqlite", "clap"],
    },
    Rule {
        part: "risk_assess",
        imports: &["model"],
        never: &["prost", "tonic", "rusqlite", "clap", "axum"],
    },
    Rule {
        part: "state",
        imports: &["model"],
        never: &["prost", "tonic", "http", "reqwest", "clap"],
    },
    Rule {
        part: "proto",
        imports: &[],
        never: &["tonic", "http", "reqwest", "rusqlite", "clap"],
    },
    Rule {
        part: "connector",
        imports: &["model", "snapshot", "proto"],
        never: &["tonic", "http", "reqwest", "rusqlite", "clap"],
    },
    Rule {
        part: "c1z",
        imports: &["model", "proto"],
        never: &["tonic", "http", "reqwest", "clap"],
    },
    Rule {
        part: "sync",
        imports: &["model", "proto", "connector", "c1z"],
        never: &["tonic", "http", "reqwest", "rusqlite", "clap"],
    },
    Rule {
        part: "oneshot",
        imports: &["model", "proto", "connector", "c1z"],
        never: &["tonic", "http", "reqwest", "rusqlite", "clap"],
    },
    Rule {
        part: "server",
        imports: &["model", "proto", "connector", "status"],
        never: &["reqwest", "rusqlite", "clap"],
    },
    Rule {
        part: "status",
        imports: &["model", "proto"],
        never: &["reqwest", "rusqlite", "clap"],
    },
    Rule {
        part: "platform",
        imports: &["model", "proto", "connector", "sync", "c1z", "status"],
        never: &["rusqlite", "clap"],
    },
    Rule {
        part: "sandbox",
        imports: &[],
        never: &["prost", "tonic", "rusqlite", "clap", "oauth2", "reqwest"],
    },
    Rule {
        part: "config",
        // Of the parts only what their configuration is made of.
        imports: &[
            "model",
            "coupa",
            "server",
            "platform",
            "sync",
            "sandbox",
            "telemetry",
            "oneshot",
            "provision",
            "risk_assess",
        ],
        never: &["tonic", "reqwest", "rusqlite"],
    },
    Rule {
        part: "telemetry",
        imports: &[],
        never: &["tonic", "reqwest", "rusqlite", "clap"],
    },
    Rule {
        part: "cli",
        imports: &["model", "proto", "config", "provision", "risk_assess"],
        never: &["tonic", "reqwest", "rusqlite"],
    },
    Rule {
        part: "app",
        imports: &[
            "model",
            "coupa",
            "snapshot",
            "provision",
            "risk_assess",
            "state",
            "connector",
            "c1z",
            "sync",
            "oneshot",
            "server",
            "platform",
            "status",
            "sandbox",
            "config",
            "cli",
            "telemetry",
            "proto",
        ],
        never: &["tonic", "reqwest", "rusqlite"],
    },
];

/// Non-test source text of every file, by part.
fn parts() -> BTreeMap<String, Vec<(PathBuf, String)>> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut parts: BTreeMap<String, Vec<(PathBuf, String)>> = BTreeMap::new();
    let mut folders = vec![src.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let first = path.strip_prefix(&src).unwrap().components().next().unwrap();
                let part = first
                    .as_os_str()
                    .to_str()
                    .unwrap()
                    .trim_end_matches(".rs")
                    .to_owned();
                let text = without_tests(&path, &fs::read_to_string(&path).unwrap());
                parts.entry(part).or_default().push((path, text));
            }
        }
    }
    parts
}

/// Source without comments and without test modules: tests may reach further than the code they test.
fn without_tests(path: &Path, text: &str) -> String {
    // The last folder that matters: `tests.rs`, `tests/`, and the fakes that only tests use.
    let is_test = |name: &std::ffi::OsStr| ["tests", "tests.rs", "fake.rs"].iter().any(|test| name == *test);
    let inside = path
        .strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")))
        .unwrap_or(path);
    if inside.iter().any(is_test) {
        return String::new();
    }
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Names that follow `prefix` in `text`, brace groups included: `crate::{a::B, c}` names `a` and `c`.
fn names_after(text: &str, prefix: &str) -> BTreeSet<String> {
    let ident = |text: &str| {
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    let mut names = BTreeSet::new();
    for (at, _) in text.match_indices(prefix) {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &text[at + prefix.len()..];
        match rest.strip_prefix('{') {
            None => _ = names.insert(ident(rest)),
            Some(group) => {
                let mut depth = 0;
                let mut at_start = true;
                for (offset, c) in group.char_indices() {
                    match c {
                        '}' if depth == 0 => break,
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 0 => at_start = true,
                        c if at_start && !c.is_whitespace() => {
                            names.insert(ident(&group[offset..]));
                            at_start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    names
}

fn violations(rules: &[Rule], parts: &BTreeMap<String, Vec<(PathBuf, String)>>) -> Vec<String> {
    let mut found = Vec::new();
    for (part, files) in parts {
        if part == "main" || part == "lib" {
            continue;
        }
        let Some(rule) = rules.iter().find(|rule| rule.part == part) else {
            found.push(format!(
                "{part}: no rule; add it to the table here and in docs/architecture.md"
            ));
            continue;
        };
        for (path, text) in files {
            for name in names_after(text, "crate::") {
                let known = rules.iter().any(|other| other.part == name);
                if known && name != *part && !rule.imports.contains(&name.as_str()) {
                    found.push(format!("{}: {part} must not import {name}", path.display()));
                }
            }
            for outside in rule.never {
                let used = [format!("{outside}::"), format!("use {outside};")];
                let path_use = |needle: &String| {
                    text.match_indices(needle.as_str()).any(|(at, _)| {
                        let before = text[..at].chars().next_back();
                        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
                    })
                };
                if used.iter().any(path_use) {
                    found.push(format!("{}: {part} must never see {outside}", path.display()));
                }
            }
        }
    }
    found
}

#[test]
fn every_part_keeps_to_the_import_table() {
    let found = violations(RULES, &parts());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_table_has_no_circle() {
    fn reach<'a>(part: &'a str, path: &mut Vec<&'a str>) {
        assert!(!path.contains(&part), "circle of imports: {path:?} -> {part}");
        path.push(part);
        for next in RULES
            .iter()
            .filter(|rule| rule.part == part)
            .flat_map(|rule| rule.imports)
        {
            reach(next, path);
        }
        path.pop();
    }
    for rule in RULES {
        reach(rule.part, &mut Vec::new());
    }
}

#[test]
fn the_check_sees_a_broken_rule() {
    let file = |text: &str| vec![(PathBuf::from("x.rs"), text.to_owned())];
    let broken = BTreeMap::from([
        ("model".to_owned(), file("use crate::coupa::Coupa;")),
        (
            "snapshot".to_owned(),
            file("use crate::{\n  model::id::UserId,\n  proto::{pack, connector},\n};"),
        ),
        ("sandbox".to_owned(), file("fn f() -> tonic::Status { x }")),
        ("surprise".to_owned(), file("")),
    ]);
    assert_eq!(violations(RULES, &broken).len(), 4);
    let sound = BTreeMap::from([(
        "snapshot".to_owned(),
        file("use crate::model::{id, tenant};\nuse super::x;"),
    )]);
    assert!(violations(RULES, &sound).is_empty());
}
