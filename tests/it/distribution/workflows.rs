//! The workflows: they run what the gate runs, ship what the scripts can pack, and may do no more than they must.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use regex::Regex;
use serde_json::{Value, json};

use super::{place, text, yaml};

const CI: &str = ".github/workflows/ci.yml";
const RELEASE: &str = ".github/workflows/release.yml";

fn jobs(workflow: &str) -> BTreeMap<String, Value> {
    let jobs = yaml(workflow)["jobs"].clone();
    jobs.as_object().unwrap().clone().into_iter().collect()
}

/// The steps of all jobs.
fn steps(workflow: &str) -> Vec<Value> {
    let of = |job: Value| job["steps"].as_array().cloned().unwrap_or_default();
    jobs(workflow).into_values().flat_map(of).collect()
}

/// The scripts of all steps.
fn scripts(workflow: &str) -> Vec<String> {
    let steps = steps(workflow);
    let run = steps.iter().filter_map(|step| step["run"].as_str());
    run.map(str::to_owned).collect()
}

#[test]
fn these_are_all() {
    let entries = fs::read_dir(place(".github/workflows")).unwrap();
    let found: BTreeSet<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(found, ["ci.yml".to_owned(), "release.yml".to_owned()].into());
}

#[test]
fn every_script_that_is_run_exists_and_can_be_run() {
    use std::os::unix::fs::PermissionsExt as _;
    let named = Regex::new(r"\.ci/[a-z-]+").unwrap();
    let gate = text(".ci/run");
    let mut all: BTreeSet<_> = named
        .find_iter(&gate)
        .map(|found| found.as_str().to_owned())
        .collect();
    for workflow in [CI, RELEASE] {
        for script in scripts(workflow) {
            all.extend(named.find_iter(&script).map(|found| found.as_str().to_owned()));
        }
    }
    let needed = [
        ".ci/bare-root",
        ".ci/bill",
        ".ci/package",
        ".ci/packages",
        ".ci/run",
        ".ci/static",
    ];
    assert!(needed.iter().all(|needed| all.contains(*needed)), "{all:?}");
    for script in all {
        let mode = fs::metadata(place(&script))
            .unwrap_or_else(|_| panic!("no {script}"))
            .permissions()
            .mode();
        assert_eq!(mode & 0o111, 0o111, "{script}");
    }
}

#[test]
fn the_gate_is_what_a_change_and_a_release_go_through() {
    let gate = jobs(CI)["gate"].clone();
    let runs = gate["steps"]
        .as_array()
        .unwrap()
        .iter()
        .any(|step| step["run"] == "bash .ci/run");
    assert!(runs);
    let on = yaml(CI)["on"].clone();
    assert!(
        ["pull_request", "push", "workflow_call"]
            .iter()
            .all(|event| on.get(event).is_some())
    );

    assert_eq!(yaml(RELEASE)["on"], json!({"push": {"tags": ["v*"]}}));
    let release = jobs(RELEASE);
    assert_eq!(release["gate"]["uses"], format!("./{CI}"));
    for (job, after) in [
        ("binary", json!("gate")),
        ("archives", json!("binary")),
        ("image", json!("binary")),
        ("publish", json!(["archives", "image"])),
    ] {
        assert_eq!(release[job]["needs"], after, "{job}");
    }
    assert_eq!(release.len(), 5);
}

#[test]
fn what_is_built_is_what_can_be_packed() {
    let matrix = jobs(RELEASE)["binary"]["strategy"]["matrix"]["include"].clone();
    let built: BTreeSet<_> = matrix
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            format!(
                "{}-{}",
                row["os"].as_str().unwrap(),
                row["arch"].as_str().unwrap()
            )
        })
        .collect();
    let script = text(".ci/package");
    let arms = Regex::new(r"(?m)^((?:linux|darwin)-[a-z0-9]+(?: \| [a-z0-9-]+)*)\) ending=").unwrap();
    let packed: BTreeSet<_> = arms
        .captures_iter(&script)
        .flat_map(|arm| arm[1].split(" | ").map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert_eq!(built, packed);
    assert_eq!(built.len(), 4);
    let env = jobs(RELEASE)["binary"]["env"].clone();
    assert_eq!(env, json!({"BATON_COUPA_VERSION": "${{ github.ref_name }}"}));
    assert!(text("build.rs").contains(r#""BATON_COUPA_VERSION""#));
}

#[test]
fn the_image_is_made_from_the_same_binaries() {
    let steps = jobs(RELEASE)["image"]["steps"].clone();
    let push = steps
        .as_array()
        .unwrap()
        .iter()
        .find(|step| step["id"] == "push")
        .unwrap()["with"]
        .clone();
    assert_eq!(push["build-contexts"], "binary=dist");
    assert_eq!(push["platforms"], "linux/amd64,linux/arm64");
    let arguments = push["build-args"].as_str().unwrap();
    let given: BTreeSet<_> = arguments
        .lines()
        .map(|line| line.split_once('=').unwrap().0)
        .collect();
    let dockerfile = text("Dockerfile");
    let taken = Regex::new(r"(?m)^ARG ([A-Z]+)").unwrap();
    let taken: BTreeSet<_> = taken
        .captures_iter(&dockerfile)
        .map(|one| one.extract::<1>().1[0])
        .collect();
    let by_the_builder = BTreeSet::from(["TARGETARCH"]);
    assert_eq!(given, &taken - &by_the_builder);
}

#[test]
fn each_job_may_do_only_what_it_must() {
    let read = json!({"contents": "read"});
    let sign = json!({"contents": "read", "id-token": "write", "attestations": "write"});
    let push = json!({"contents": "read", "packages": "write", "id-token": "write", "attestations": "write"});
    for workflow in [CI, RELEASE] {
        assert_eq!(
            yaml(workflow)["permissions"],
            json!({}),
            "{workflow}: nothing unless a job asks"
        );
        for (name, job) in jobs(workflow) {
            let expected = match (workflow, name.as_str()) {
                (RELEASE, "archives") => &sign,
                (RELEASE, "image") => &push,
                (RELEASE, "publish") => &json!({"contents": "write"}),
                _ => &read,
            };
            assert_eq!(job["permissions"], *expected, "{workflow}: {name}");
            assert!(
                job.get("uses").is_some() || job["timeout-minutes"].is_u64(),
                "{workflow}: {name}"
            );
        }
        for step in steps(workflow) {
            let action = step["uses"].as_str().unwrap_or_default();
            if action.starts_with("actions/checkout@") {
                assert_eq!(step["with"]["persist-credentials"], false, "{workflow}");
            }
        }
    }
}

#[test]
fn actions_are_pinned_and_values_from_outside_are_no_code() {
    let uses = Regex::new(r"(?m)uses: (.*)$").unwrap();
    let pinned = Regex::new(r"^[A-Za-z0-9-]+/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$").unwrap();
    for workflow in [CI, RELEASE] {
        let text = text(workflow);
        let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for action in uses.captures_iter(&text) {
            let action = action[1].to_owned();
            if let Some(local) = action.strip_prefix("./") {
                assert!(place(local).exists(), "{action}");
                continue;
            }
            assert!(pinned.is_match(&action), "{workflow}: {action}");
            let name = action.split('@').next().unwrap().to_owned();
            versions.entry(name).or_default().insert(action);
        }
        assert!(versions.values().all(|of_one| of_one.len() == 1), "{versions:?}");
        for script in scripts(workflow) {
            assert!(!script.contains("${{"), "{workflow}: {script}");
        }
    }
}
