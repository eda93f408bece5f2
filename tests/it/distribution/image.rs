//! The rules of the image, held without a container engine: what the Dockerfile says, and that what it copies is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use tempfile::TempDir;

use super::{place, text, variables};

/// One instruction: its keyword and the rest, continued lines joined.
struct Instruction {
    keyword: String,
    rest: String,
}

/// From one `FROM` to the next.
struct Stage {
    base: String,
    name: Option<String>,
    instructions: Vec<Instruction>,
}

fn stages() -> Vec<Stage> {
    let text = text("Dockerfile");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let mut stages: Vec<Stage> = Vec::new();
    for line in joined.lines().filter(|line| !line.trim().is_empty()) {
        let (keyword, rest) = line.split_once(' ').unwrap();
        if keyword == "FROM" {
            let words: Vec<_> = rest.split_whitespace().collect();
            assert!(!words[0].starts_with("--"), "each platform compiles for itself");
            stages.push(Stage {
                base: words[0].to_owned(),
                name: (words.get(1) == Some(&"AS")).then(|| words[2].to_owned()),
                instructions: Vec::new(),
            });
        } else {
            stages.last_mut().unwrap().instructions.push(Instruction {
                keyword: keyword.to_owned(),
                rest: rest.split_whitespace().collect::<Vec<_>>().join(" "),
            });
        }
    }
    stages
}

impl Stage {
    fn all<'a>(&'a self, keyword: &'a str) -> impl Iterator<Item = &'a str> {
        let of_keyword = move |one: &&Instruction| one.keyword == keyword;
        self.instructions
            .iter()
            .filter(of_keyword)
            .map(|one| one.rest.as_str())
    }

    fn only<'a>(&'a self, keyword: &'a str) -> &'a str {
        let all: Vec<_> = self.all(keyword).collect();
        assert_eq!(all.len(), 1, "{keyword}: {all:?}");
        all[0]
    }
}

/// The sources of a `COPY`, and the stage that they are from.
fn copied(rest: &str) -> (Option<&str>, Vec<&str>) {
    let (flags, paths): (Vec<&str>, Vec<&str>) = rest.split(' ').partition(|word| word.starts_with("--"));
    let from = flags.iter().find_map(|flag| flag.strip_prefix("--from="));
    (from, paths[..paths.len() - 1].to_vec())
}

#[test]
fn the_image_is_the_binary_on_distroless_for_nobody_in_particular() {
    let stages = stages();
    let image = stages.last().unwrap();
    let base = Regex::new(r"^gcr\.io/distroless/static-debian\d+:nonroot$").unwrap();
    assert!(base.is_match(&image.base), "{}", image.base);
    let kinds: BTreeSet<_> = image
        .instructions
        .iter()
        .map(|one| one.keyword.as_str())
        .collect();
    let few = ["ARG", "COPY", "ENTRYPOINT", "LABEL", "USER"];
    assert_eq!(
        kinds,
        few.into(),
        "no command, port, volume, variable or directory"
    );
    assert_eq!(image.only("USER"), "65532:65532");
    assert_eq!(image.only("ENTRYPOINT"), r#"["/baton-coupa"]"#);
    let copy = image.only("COPY");
    assert!(
        copy.ends_with("/linux_$TARGETARCH/baton-coupa /baton-coupa"),
        "{copy}"
    );
    assert!(
        image.all("ARG").any(|name| name == "TARGETARCH"),
        "the platform's own binary"
    );
    for name in ["created", "title", "revision", "version", "source"] {
        let label = format!("org.opencontainers.image.{name}=\"");
        assert!(image.only("LABEL").contains(&label), "{label}");
    }
}

#[test]
fn every_source_of_a_copy_is_there() {
    let stages = stages();
    for (at, stage) in stages.iter().enumerate() {
        for copy in stage.all("COPY") {
            let (from, sources) = copied(copy);
            match from {
                Some(name) => {
                    let earlier = stages[..at]
                        .iter()
                        .any(|stage| stage.name.as_deref() == Some(name));
                    assert!(earlier, "COPY {copy}: no such stage before it");
                }
                None => assert!(sources.iter().all(|source| place(source).exists()), "COPY {copy}"),
            }
        }
        assert_eq!(stage.all("ADD").count(), 0, "nothing is taken from the network");
    }
}

#[test]
fn the_binary_is_built_as_the_gate_builds_it() {
    let stages = stages();
    let build = stages
        .iter()
        .find(|stage| stage.name.as_deref() == Some("build"))
        .unwrap();
    let (image, tag) = build.base.split_once(':').unwrap();
    assert_eq!(image, "rust");
    let toolchain = env!("CARGO_PKG_RUST_VERSION").trim_end_matches(".0");
    assert!(tag.starts_with(&format!("{toolchain}-")), "{tag}");
    assert!(build.only("RUN").contains(".ci/static dist"));
    assert!(text("Cargo.toml").contains("\n[profile.dist]\n"));
    assert!(text(".ci/static").contains("cargo build --locked "));
    // The stage that a release puts its own binaries in the place of.
    assert!(
        stages
            .iter()
            .any(|stage| stage.name.as_deref() == Some("binary") && stage.base == "scratch")
    );
}

#[test]
fn no_secret_gets_into_a_layer() {
    let words = Regex::new("(?i)secret|token|password|credential|private").unwrap();
    for stage in stages() {
        for one in &stage.instructions {
            assert!(!words.is_match(&one.rest), "{} {}", one.keyword, one.rest);
        }
    }
    assert_eq!(variables(&text("Dockerfile")), ["BATON_COUPA_VERSION"].into());
}

#[test]
fn the_context_holds_what_the_program_is_built_from_and_nothing_else() {
    let ignore = text(".dockerignore");
    let mut lines = ignore.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(lines.next(), Some("*"), "what is not named stays outside");
    let taken: Vec<_> = lines.map(|line| line.strip_prefix('!').unwrap()).collect();
    assert!(
        ["proto", ".ci/need", ".ci/static"]
            .iter()
            .all(|needed| taken.contains(needed))
    );
    let context = TempDir::new().unwrap();
    for one in taken {
        copy(&place(one), &context.path().join(one));
    }
    // Reads the manifest as a build does, and fails if a target that it names is not there.
    let done = Command::new(env!("CARGO"))
        .args(["fetch", "--offline", "--locked"])
        .current_dir(context.path())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn copy(from: &Path, to: &PathBuf) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    }
}
