//! Targeted syncs of the sandbox: what they hold, what they cost, and when a pass is made in their place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use baton_coupa::connector::{Connector, ConnectorConfig};
use baton_coupa::model::fault::FaultKind;
use baton_coupa::sandbox::{PerSurface, Readings, Running, SandboxConfig, Truth, TruthClass};
use baton_coupa::sync::SyncSummary;
use tempfile::TempDir;

use crate::support::program::{output, program_for, stderr};
use crate::support::reader::{C1z, read_run};
use crate::support::tenant::{self, Remembered, client};
use crate::support::truth::{DEFAULT_CLASSES, assert_equal, restricted};

/// Resources by type and id.
type Targets = Vec<(&'static str, String)>;
/// Table and id of objects, and their bytes.
type Rows = BTreeMap<(String, String), Vec<u8>>;

fn fresh(sandbox: &Running) -> Arc<Connector> {
    knowing(sandbox, &Arc::default())
}

/// A connector that knows the sizes of earlier passes.
fn knowing(sandbox: &Running, sizes: &Arc<Remembered>) -> Arc<Connector> {
    tenant::connector(
        client(sandbox),
        Arc::clone(sizes) as _,
        ConnectorConfig::default(),
    )
}

/// Everything that a user holds, by type and id.
fn held(truth: &Truth) -> impl Iterator<Item = (&'static str, String)> + '_ {
    truth.users.iter().flat_map(|user| {
        let groups = user.groups.iter().map(|id| ("group", id.to_string()));
        let roles = user.roles.iter().map(|id| ("role", id.to_string()));
        let licenses = user.licenses.iter().map(|name| ("license", name.clone()));
        groups.chain(roles).chain(licenses)
    })
}

/// How many users of any class hold each thing.
fn sizes(truth: &Truth) -> BTreeMap<(&'static str, String), u64> {
    let mut sizes = BTreeMap::new();
    for item in held(truth) {
        *sizes.entry(item).or_default() += 1;
    }
    sizes
}

/// The item of a kind that most users hold.
fn largest(truth: &Truth, kind: &str) -> (&'static str, String) {
    let sizes = sizes(truth);
    let of_kind = sizes.iter().filter(|((known, _), _)| *known == kind);
    of_kind.max_by_key(|(_, size)| **size).unwrap().0.clone()
}

/// Targets that tell readings apart: the largest of each kind, a role of suppliers, something that nobody holds, and a user.
pub(crate) fn telling(truth: &Truth) -> Targets {
    let sizes = sizes(truth);
    let portal = truth.roles.iter().find(|role| role.name.starts_with("CSP "));
    let unheld = truth
        .groups
        .iter()
        .map(|group| ("group", group.id.to_string()))
        .find(|group| !sizes.contains_key(group));
    let api = truth
        .users
        .iter()
        .find(|user| user.class == TruthClass::Api)
        .unwrap();
    let mut targets = ["role", "group", "license"]
        .map(|kind| largest(truth, kind))
        .to_vec();
    targets.extend(portal.map(|role| ("role", role.id.to_string())));
    targets.extend(unheld);
    targets.push(("user", api.id.to_string()));
    targets
}

/// Syncs `targets` into `file` and compares the partial run with the truth, and with what a `full` run of the same tenant holds.
pub(crate) async fn compare(
    sandbox: &Running,
    file: &Path,
    targets: &Targets,
    full: &Rows,
) -> (SyncSummary, Arc<Connector>) {
    compare_by(fresh(sandbox), sandbox, file, targets, full).await
}

async fn compare_by(
    connector: Arc<Connector>,
    sandbox: &Running,
    file: &Path,
    targets: &Targets,
    full: &Rows,
) -> (SyncSummary, Arc<Connector>) {
    let summary = tenant::targeted(Arc::clone(&connector), file, targets)
        .await
        .unwrap_or_else(|fault| panic!("{targets:?}: {fault:?}"));
    let c1z = C1z::open(file);
    let run = read_run(&c1z, &summary.run_id);
    assert_equal(&run, &restricted(&sandbox.truth(), targets), &DEFAULT_CLASSES);
    let differing: Vec<(String, String)> = c1z
        .rows_of(&summary.run_id)
        .into_iter()
        .filter(|(key, data)| full.get(key) != Some(data))
        .map(|(key, _)| key)
        .collect();
    assert!(differing.is_empty(), "not as in a full run: {differing:?}");
    assert_eq!(c1z.rows(), *full, "the full run stays as it was");
    (summary, connector)
}

async fn full(sandbox: &Running, file: &Path) -> Rows {
    tenant::sync(fresh(sandbox), file).await.unwrap();
    C1z::open(file).rows()
}

fn requests(sandbox: &Running) -> u64 {
    let stats = sandbox.stats();
    stats.api_total + stats.token
}

/// Token, checks, probe, the list of roles, the target itself, and the empty page that ends the listing of its holders.
const A_FEW: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_target_costs_one_request_per_50_of_its_holders_and_a_few() {
    let sandbox = tenant::start(SandboxConfig {
        users: 3_000,
        groups: 60,
        roles: 40,
        ..SandboxConfig::default()
    })
    .await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("sync.c1z");
    let full = full(&sandbox, &file).await;
    let truth = sandbox.truth();
    let sizes = sizes(&truth);
    for kind in ["role", "group", "license"] {
        let target = largest(&truth, kind);
        let pages = sizes[&target].div_ceil(50);
        let before = requests(&sandbox);
        let (summary, connector) = compare(&sandbox, &file, &vec![target], &full).await;
        let made = requests(&sandbox) - before;
        println!("{kind}: {made} requests, {pages} pages");
        assert!(made <= pages + A_FEW, "{kind}: {made} requests for {pages} pages");
        assert!(connector.report(&summary.run_id).is_none(), "{kind}: no pass");
    }
    let someone = truth
        .users
        .iter()
        .find(|user| user.class == TruthClass::Internal)
        .unwrap();
    let before = requests(&sandbox);
    compare(&sandbox, &file, &vec![("user", someone.id.to_string())], &full).await;
    assert!(requests(&sandbox) - before <= A_FEW);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connector_asks_what_it_knows_about_the_tenant_once() {
    let sandbox = tenant::start(SandboxConfig {
        users: 1_000,
        ..SandboxConfig::default()
    })
    .await;
    let folder = TempDir::new().unwrap();
    let connector = fresh(&sandbox);
    let target = vec![largest(&sandbox.truth(), "role")];
    let pages = sizes(&sandbox.truth())[&target[0]].div_ceil(50);
    let mut costs = Vec::new();
    for name in ["one.c1z", "two.c1z"] {
        let before = requests(&sandbox);
        tenant::targeted(Arc::clone(&connector), &folder.path().join(name), &target)
            .await
            .unwrap();
        costs.push(requests(&sandbox) - before);
    }
    assert!(costs[1] <= pages + 8, "{costs:?} for {pages} pages");
    let rows = ["one.c1z", "two.c1z"].map(|name| {
        let c1z = C1z::open(&folder.path().join(name));
        c1z.rows_of(&c1z.runs()[0].id)
    });
    assert_eq!(rows[0], rows[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_that_cost_more_than_a_pass_are_answered_by_one() {
    let sandbox = tenant::start(SandboxConfig {
        users: 2_000,
        groups: 150,
        roles: 60,
        ..SandboxConfig::default()
    })
    .await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("sync.c1z");
    let known = Arc::new(Remembered::default());
    tenant::sync(knowing(&sandbox, &known), &file).await.unwrap();
    let whole = requests(&sandbox);
    let full = C1z::open(&file).rows();
    let truth = sandbox.truth();
    let groups = truth.groups.iter().map(|group| ("group", group.id.to_string()));
    let roles = truth.roles.iter().map(|role| ("role", role.id.to_string()));
    let targets: Targets = groups.chain(roles).collect();
    let pages: u64 = sizes(&truth)
        .iter()
        .filter(|((kind, _), _)| *kind != "license")
        .map(|(_, size)| size.div_ceil(50) + 1)
        .sum();
    let before = requests(&sandbox);
    let connector = knowing(&sandbox, &known);
    let (summary, connector) = compare_by(connector, &sandbox, &file, &targets, &full).await;
    let made = requests(&sandbox) - before;
    assert!(connector.report(&summary.run_id).is_some(), "a pass was made");
    // Each target is read by itself; beside that it costs little more than twice the cheaper way, which here is a full sync.
    println!(
        "{made} requests for {} targets; {pages} by questions, {whole} for everything",
        targets.len()
    );
    assert!(pages > 2 * whole, "the test means something");
    let bound = targets.len() as u64 + 2 * (whole + A_FEW);
    assert!(made <= bound, "{made} requests, at most {bound}");
}

fn names<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}

/// The target is right, and by a pass.
async fn a_pass_tells(readings: Readings, kind: &str) {
    let sandbox = tenant::start(SandboxConfig {
        users: 400,
        readings,
        ..SandboxConfig::default()
    })
    .await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("sync.c1z");
    let full = full(&sandbox, &file).await;
    let target = match kind {
        "license" => ("license", "risk-assess-user".to_owned()),
        _ => largest(&sandbox.truth(), kind),
    };
    let (summary, connector) = compare(&sandbox, &file, &vec![target], &full).await;
    assert!(
        connector.report(&summary.run_id).is_some(),
        "{kind}: a pass was made"
    );
}

const FILTERED: [(&str, &str); 3] = [
    ("role", "roles"),
    ("group", "user-groups"),
    ("license", "risk-assess-user"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_the_tenant_passes_over_is_noticed() {
    for (kind, element) in FILTERED {
        let readings = Readings {
            ignored_filters: PerSurface::both(names([element])),
            ..Readings::default()
        };
        a_pass_tells(readings, kind).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_the_tenant_refuses_is_noticed() {
    for (kind, element) in FILTERED {
        let readings = Readings {
            refused_filters: PerSurface::both(names([element])),
            ..Readings::default()
        };
        a_pass_tells(readings, kind).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_not_synced_or_not_there_is_told_apart() {
    let sandbox = tenant::start(SandboxConfig {
        users: 300,
        ..SandboxConfig::default()
    })
    .await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("sync.c1z");
    let truth = sandbox.truth();
    let supplier = truth
        .users
        .iter()
        .find(|user| user.class == TruthClass::Supplier)
        .unwrap();
    for (targets, parts) in [
        (
            vec![("user", supplier.id.to_string())],
            ["account of class supplier", "account-classes"],
        ),
        (
            vec![("user", "999999".to_owned()), ("role", "999999".to_owned())],
            ["Coupa has no such user", "Coupa has no such role"],
        ),
    ] {
        let fault = tenant::targeted(fresh(&sandbox), &file, &targets)
            .await
            .unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::NotFound);
        for part in parts {
            assert!(fault.to_string().contains(part), "{fault}");
        }
        assert!(!file.exists(), "no run says that somebody looked");
    }
    let both = vec![largest(&truth, "role"), ("user", supplier.id.to_string())];
    let summary = tenant::targeted(fresh(&sandbox), &file, &both).await.unwrap();
    assert_eq!(summary.missing.len(), 1);
    for malformed in [("user", "x"), ("role", "007"), ("license", "Not A Name")] {
        let target = vec![(malformed.0, malformed.1.to_owned())];
        let fault = tenant::targeted(fresh(&sandbox), &file, &target)
            .await
            .unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::Invalid, "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_syncs_what_it_is_told_to() {
    let sandbox = tenant::start(SandboxConfig {
        users: 300,
        ..SandboxConfig::default()
    })
    .await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("sync.c1z");
    let run = async |words: &[&str]| {
        let mut command = program_for(&sandbox, &folder);
        command.args(words);
        output(command).await
    };
    let done = run(&[]).await;
    assert!(done.status.success(), "{}", stderr(&done));
    let full = C1z::open(&file).rows();
    let target = largest(&sandbox.truth(), "role");
    let name = format!("bid:r:role/{}", target.1);

    let done = run(&["--sync-resources", &name]).await;
    assert!(
        done.status.success() && done.stdout.is_empty(),
        "{}",
        stderr(&done)
    );
    let c1z = C1z::open(&file);
    let runs = c1z.runs();
    assert_eq!((runs[1].kind.as_str(), &runs[1].parent), ("partial", &runs[0].id));
    let truth = restricted(&sandbox.truth(), &[target]);
    assert_equal(&read_run(&c1z, &runs[1].id), &truth, &DEFAULT_CLASSES);

    let done = run(&["--sync-resources", &name, "--skip-grants"]).await;
    assert!(done.status.success(), "{}", stderr(&done));
    let c1z = C1z::open(&file);
    let part: BTreeSet<String> = c1z
        .rows_of(&c1z.runs()[2].id)
        .into_keys()
        .filter(|(table, _)| table != "v1_resource_types")
        .map(|(_, id)| id)
        .collect();
    let id = name.trim_start_matches("bid:r:role/");
    assert_eq!(part, [format!("role:{id}"), format!("role:{id}:member")].into());
    assert_eq!(c1z.rows(), full);

    for (words, code, told) in [
        (
            vec!["--skip-grants"],
            2,
            "skip-grants can only be set within a targeted sync",
        ),
        (
            vec!["--sync-resources", "role/7"],
            2,
            "sync-resources: value 1: expected bid:r:TYPE/ID",
        ),
        (
            vec!["--sync-resources", "bid:r:role/999999"],
            5,
            "Coupa has no such role",
        ),
        (
            vec!["--sync-resources", "bid:r:device/1"],
            3,
            "\"device\" is not among",
        ),
        (
            vec!["--sync-resources", &name, "--sync-resource-types", "user,group"],
            3,
            "\"role\" is not among",
        ),
    ] {
        let done = run(&words).await;
        assert_eq!(done.status.code(), Some(code), "{words:?}: {}", stderr(&done));
        let text = stderr(&done);
        let last = text.lines().last().unwrap();
        assert!(last.contains(told), "{last}");
        assert_eq!(C1z::open(&file).runs().len(), 3, "{words:?}");
    }
}
