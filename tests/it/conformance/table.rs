//! The table of `docs/conformance.md`: every check once, every test that it names there is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// How many checks there are.
const CHECKS: u32 = 60;

/// Number of the check, what it demands, the tests that prove it, and a note.
struct Row {
    number: u32,
    what: String,
    tests: Vec<String>,
    note: String,
}

fn rows(text: &str) -> Vec<Row> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let number = cells.first()?.strip_prefix("PC-")?.parse().ok()?;
        let [_, what, tests, note] = cells[..] else {
            panic!("PC-{number} has {} cells", cells.len());
        };
        // Names stand in backquotes.
        let tests = tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        Some(Row {
            number,
            what: what.to_owned(),
            tests,
            note: note.to_owned(),
        })
    };
    text.lines().filter_map(row).collect()
}

/// Names of all tests, with the modules they are in as the folders say.
fn tests(folder: &Path, module: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let inner = match stem {
            "mod" | "main" => module.to_owned(),
            _ if module.is_empty() => stem.to_owned(),
            _ => format!("{module}::{stem}"),
        };
        if path.is_dir() {
            tests(&path, &inner, found);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let mut under_test = false;
        for line in text.lines().map(str::trim) {
            under_test =
                (under_test || line.starts_with("#[tokio::test") || line == "#[test]") && !line.is_empty();
            let function = line.strip_prefix("async fn ").or(line.strip_prefix("fn "));
            let name = match function {
                Some(name) if under_test => name.split('(').next(),
                // A line of the macro that makes tests of checks.
                None if line.starts_with("pc_") => line.split_once(": ").map(|(name, _)| name),
                _ => None,
            };
            if function.is_some() {
                under_test = false;
            }
            found.extend(name.map(|name| format!("{inner}::{name}")));
        }
    }
}

/// What is wrong with a table.
fn problems(text: &str, there_are: &BTreeSet<String>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut seen = BTreeMap::new();
    for row in rows(text) {
        let Row {
            number,
            what,
            tests,
            note,
        } = row;
        *seen.entry(number).or_insert(0) += 1;
        if what.is_empty() {
            problems.push(format!("PC-{number} says nothing"));
        }
        if tests.is_empty() && note.is_empty() {
            problems.push(format!("PC-{number} names neither a test nor a reason"));
        }
        for test in tests.iter().filter(|test| !there_are.contains(*test)) {
            problems.push(format!("PC-{number} names {test}, which is no test"));
        }
    }
    for number in 1..=CHECKS {
        let times = seen.remove(&number).unwrap_or(0);
        if times != 1 {
            problems.push(format!("PC-{number} is there {times} times"));
        }
    }
    problems.extend(seen.keys().map(|number| format!("there is no PC-{number}")));
    // A test that is named after a check proves it, so the table must say so.
    for test in there_are {
        let named = test.rsplit("::").next().and_then(|name| name.strip_prefix("pc_"));
        if named.is_some() && !text.contains(&format!("`{test}`")) {
            problems.push(format!("{test} is not in the table"));
        }
    }
    problems
}

fn there_are() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    tests(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it"),
        "",
        &mut found,
    );
    found
}

#[test]
fn the_table_of_checks_is_complete_and_true() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/conformance.md");
    let text = fs::read_to_string(path).unwrap();
    assert_eq!(problems(&text, &there_are()), Vec::<String>::new());
}

#[test]
fn a_table_that_lies_is_found_out() {
    let there_are: BTreeSet<String> = (1..=CHECKS)
        .map(|number| format!("a::pc_{number:02}_b"))
        .collect();
    let line = |number: u32| format!("| PC-{number} | something | `a::pc_{number:02}_b` | |\n");
    let good: String = (1..=CHECKS).map(line).collect();
    assert_eq!(problems(&good, &there_are), Vec::<String>::new());
    for (spoiled, told) in [
        (good.replace("| PC-7 |", "| PC-8 |"), "PC-7 is there 0 times"),
        (
            good.clone() + "| PC-61 | more | | a reason |\n",
            "there is no PC-61",
        ),
        (good.replace("`a::pc_09_b`", "`a::gone`"), "names a::gone"),
        (good.replace("`a::pc_09_b`", ""), "PC-9 names neither"),
        (good.replace("`a::pc_09_b`", ""), "a::pc_09_b is not in the table"),
        (
            good.replace("| PC-9 | something |", "| PC-9 | |"),
            "PC-9 says nothing",
        ),
    ] {
        let problems = problems(&spoiled, &there_are);
        assert!(
            problems.iter().any(|problem| problem.contains(told)),
            "{told}: {problems:?}"
        );
    }
}
