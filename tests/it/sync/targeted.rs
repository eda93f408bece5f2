//! Targeted syncs: which calls, in which order, and what becomes of the file.

use std::num::NonZeroUsize;
use std::sync::Arc;

use baton_coupa::c1z::baseline;
use baton_coupa::model::access::ItemKind;
use baton_coupa::model::baseline::Count;
use baton_coupa::model::fault::{Fault, FaultKind};
use baton_coupa::proto::connector as c1;
use baton_coupa::sync::{Depth, Scope, Target, Targets};

use super::fake::{Fake, entitlement};
use super::{Bench, TENANT, not_found};

fn target(text: &str) -> Target {
    format!("bid:r:{text}").parse().unwrap()
}

fn targets(names: &[&str], depth: Depth) -> Scope {
    Scope::Targeted(Targets::new(names.iter().map(|name| target(name)), depth).unwrap())
}

fn bench(names: &[&str], depth: Depth) -> Bench {
    let mut bench = Bench::new();
    bench.options.scope = targets(names, depth);
    bench
}

/// Ids of the objects of the last run, by table.
fn stored(bench: &Bench) -> Vec<String> {
    let c1z = bench.read();
    let run = c1z.runs().last().unwrap().id.clone();
    let rows = c1z.rows_of(&run).into_keys();
    rows.filter(|(table, _)| table != "v1_resource_types")
        .map(|(table, id)| format!("{} {id}", table.trim_start_matches("v1_").trim_end_matches('s')))
        .collect()
}

#[tokio::test]
async fn calls_come_in_the_order_of_the_protocol() {
    let names = ["license/risk-assess-user", "role/1", "user/4"];
    let bench = bench(&names, Depth::Grants);
    let fake = Arc::new(Fake::tenant());
    let summary = bench.sync(&fake).await.unwrap();
    let expected = "validate; types all; types all 2; \
        get license/risk-assess-user; get role/1; get user/4; \
        static user; static role; static license; \
        entitlements license/risk-assess-user; \
        grants role/1; grants role/1 2; grants license/risk-assess-user; \
        get user/2; get user/3; get user/5; cleanup";
    assert_eq!(fake.calls().join("; "), expected);
    assert_eq!(
        stored(&bench),
        [
            "entitlement license:risk-assess-user:assigned",
            "entitlement role:1:member",
            "grant license:risk-assess-user:assigned:user:4",
            "grant license:risk-assess-user:assigned:user:5",
            "grant role:1:member:user:2",
            "grant role:1:member:user:3",
            "grant role:1:member:user:5",
            "resource license:risk-assess-user",
            "resource role:1",
            "resource user:2",
            "resource user:3",
            "resource user:4",
            "resource user:5",
        ]
    );
    assert_eq!(summary.stats.resource_types, 4, "types are stored as in any run");
    assert_eq!((summary.vanished, summary.missing.len()), (0, 0));
}

#[tokio::test]
async fn workers_do_not_change_the_result() {
    let names = ["group/1", "group/2", "role/1", "license/risk-assess-user"];
    let mut runs = Vec::new();
    for workers in [1, 4] {
        let mut bench = bench(&names, Depth::Grants);
        bench.options.workers = NonZeroUsize::new(workers).unwrap();
        bench.sync(&Arc::new(Fake::tenant())).await.unwrap();
        let c1z = bench.read();
        runs.push(c1z.rows_of(&c1z.runs()[0].id));
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test]
async fn the_depth_says_how_much_of_each() {
    for (depth, last, rows) in [
        (Depth::Entitlements, "static role", (1, 1, 0)),
        (Depth::Resource, "get role/1", (1, 0, 0)),
    ] {
        let bench = bench(&["role/1"], depth);
        let fake = Arc::new(Fake::tenant());
        let stats = bench.sync(&fake).await.unwrap().stats;
        assert_eq!((stats.resources, stats.entitlements, stats.grants), rows);
        let calls = fake.calls();
        assert_eq!(calls[calls.len() - 2..], [last, "cleanup"]);
        assert_eq!(bench.read().runs()[0].kind, "partial");
    }
}

#[tokio::test]
async fn a_target_that_is_not_there_is_told_and_the_others_are_synced() {
    let bench = bench(&["role/9", "role/2"], Depth::Grants);
    let fake = Arc::new(Fake::tenant());
    let summary = bench.sync(&fake).await.unwrap();
    assert_eq!(summary.vanished, 1);
    assert_eq!(summary.missing, [target("role/9")]);
    assert_eq!(stored(&bench), ["entitlement role:2:member", "resource role:2"]);
}

#[tokio::test]
async fn a_run_without_any_of_its_targets_is_an_error() {
    let names: Vec<String> = (10..17).map(|n| format!("role/{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let bench = bench(&names, Depth::Grants);
    let fault = bench.sync(&Arc::new(Fake::tenant())).await.unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::NotFound);
    let told = fault.to_string();
    assert!(
        told.starts_with("none of the resources to sync is there: bid:r:role/10: no such thing"),
        "{told}"
    );
    assert!(told.ends_with("and 2 more"), "{told}");
    assert_eq!(bench.names(), ["tmp"]);
}

#[tokio::test]
async fn a_type_that_is_not_there_is_told_before_anything_is_asked() {
    for (filter, name) in [(vec![], "device/1"), (vec!["user".to_owned()], "role/1")] {
        let mut bench = bench(&["user/1", name], Depth::Grants);
        bench.options.resource_types = filter;
        let fake = Arc::new(Fake::tenant());
        let fault = bench.sync(&fake).await.unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::Invalid);
        assert!(fault.to_string().contains(&format!("bid:r:{name}")), "{fault}");
        assert!(fake.calls().iter().all(|call| !call.starts_with("get")));
    }
}

#[tokio::test]
async fn a_filter_leaves_out_grants_to_other_types() {
    let mut bench = bench(&["role/1"], Depth::Grants);
    bench.options.resource_types = vec!["role".into()];
    let summary = bench.sync(&Arc::new(Fake::tenant())).await.unwrap();
    assert_eq!((summary.stats.grants, summary.dropped), (0, 3));
    assert_eq!(stored(&bench), ["entitlement role:1:member", "resource role:1"]);
}

#[tokio::test]
async fn trouble_that_passes_is_waited_out_and_any_other_ends_the_run() {
    let bench = bench(&["role/1"], Depth::Grants);
    let fake = Arc::new(Fake::tenant());
    for key in ["get role/1", "get user/3"] {
        fake.fail(key, Fault::unavailable("down"));
    }
    assert_eq!(bench.sync(&fake).await.unwrap().stats.grants, 3);
    for key in ["get role/1", "get user/3"] {
        let fake = Arc::new(Fake::tenant());
        fake.fail(key, Fault::invalid("what is that"));
        let fault = bench.sync(&fake).await.unwrap_err();
        assert_eq!(fault.message(), format!("bid:r:{}: what is that", &key[4..]));
        assert_eq!(fake.calls().last().unwrap(), "cleanup");
    }
    assert_eq!(bench.read().runs().len(), 1);
}

#[tokio::test]
async fn a_holder_who_is_gone_leaves_no_grant_to_nobody() {
    let bench = bench(&["role/1"], Depth::Grants);
    let fake = Arc::new(Fake::tenant());
    fake.fail("get user/3", not_found());
    let fault = bench.sync(&fake).await.unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::Corrupt);
    assert!(
        fault.message().contains("1 grants to an unknown principal"),
        "{fault}"
    );
    assert_eq!(bench.names(), ["tmp"]);
}

#[tokio::test]
async fn a_connector_that_answers_something_else_is_found_out() {
    let bench = bench(&["role/1"], Depth::Resource);
    for (kind, id) in [("role", "2"), ("user", "1")] {
        let mut fake = Fake::tenant();
        fake.instead = Some(c1::ResourceId {
            resource_type: kind.into(),
            resource: id.into(),
            ..Default::default()
        });
        let fault = bench.sync(&Arc::new(fake)).await.unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::Corrupt, "{fault}");
    }
    // An entitlement on something that is not in the run.
    let mut fake = Fake::tenant();
    let mut stray = entitlement("license", "risk-assess-user", "assigned");
    stray.id = "license:other:assigned".into();
    stray.resource.as_mut().unwrap().id.as_mut().unwrap().resource = "other".into();
    fake.strays.push(stray);
    let bench = super::targeted::bench(&["license/risk-assess-user"], Depth::Entitlements);
    let fault = bench.sync(&Arc::new(fake)).await.unwrap_err();
    assert!(
        fault.message().contains("entitlements on an unknown resource"),
        "{fault}"
    );
}

#[tokio::test]
async fn a_partial_run_stands_beside_the_full_ones_and_takes_none_away() {
    let mut bench = Bench::new();
    let fake = || Arc::new(Fake::tenant());
    let first = bench.sync(&fake()).await.unwrap().run_id;
    let second = bench.sync(&fake()).await.unwrap().run_id;
    let before = [&first, &second].map(|run| bench.read().rows_of(run));

    bench.options.scope = targets(&["role/1"], Depth::Grants);
    let partial = bench.sync(&fake()).await.unwrap().run_id;
    let c1z = bench.read();
    let runs = c1z.runs();
    let told: Vec<(&str, &str, &str, bool)> = runs
        .iter()
        .map(|run| {
            (
                run.id.as_str(),
                run.kind.as_str(),
                run.parent.as_str(),
                run.supports_diff,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (first.as_str(), "full", "", true),
            (&second, "full", "", true),
            (&partial, "partial", &second, false)
        ]
    );
    assert_eq!([&first, &second].map(|run| c1z.rows_of(run)), before);
    assert_eq!(c1z.latest(), second, "readers of full runs see no difference");
    assert!(runs[1].ended_at < runs[2].ended_at);

    // The sizes of a partial run say nothing about the tenant.
    let sizes = baseline(bench.file(), TENANT, &bench.options.settings)
        .unwrap()
        .unwrap();
    assert_eq!(sizes.counts[&Count::Items(ItemKind::Group)], 3);

    let again = bench.sync(&fake()).await.unwrap().run_id;
    assert_eq!(bench.read().runs().len(), 4);
    bench.options.scope = Scope::Full;
    let third = bench.sync(&fake()).await.unwrap().run_id;
    let kept: Vec<String> = bench.read().runs().into_iter().map(|run| run.id).collect();
    assert_eq!(
        kept,
        [second, partial, again, third],
        "partial runs stay as long as the full run before them"
    );
    bench.sync(&fake()).await.unwrap();
    let kinds: Vec<String> = bench.read().runs().into_iter().map(|run| run.kind).collect();
    assert_eq!(kinds, ["full", "full"], "and go with it");
}

#[tokio::test]
async fn a_partial_run_in_a_file_of_its_own_has_no_parent() {
    let bench = bench(&["user/1"], Depth::Grants);
    let summary = bench.sync(&Arc::new(Fake::tenant())).await.unwrap();
    assert_eq!((summary.stats.resources, summary.stats.grants), (1, 0));
    let runs = bench.read().runs();
    assert_eq!((runs.len(), runs[0].parent.as_str()), (1, ""));
    assert!(
        baseline(bench.file(), TENANT, &bench.options.settings)
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn many_holders_are_stored_once_each() {
    let mut fake = Fake::tenant();
    fake.page = 400;
    for n in 100..1500 {
        fake.add(super::fake::user(n));
        fake.grants.push(super::fake::grant("role", "1", "member", n));
        fake.grants.push(super::fake::grant("role", "2", "member", n));
    }
    let bench = bench(&["role/1", "role/2"], Depth::Grants);
    let fake = Arc::new(fake);
    let stats = bench.sync(&fake).await.unwrap().stats;
    assert_eq!((stats.resources, stats.grants), (2 + 1403, 2803));
    let calls = fake.calls();
    let asked = calls.iter().filter(|call| call.starts_with("get user")).count();
    assert_eq!(asked, 1403, "each once");
    let left = "select count(*) from sqlite_master where name like 'missing%'";
    let left: i64 = bench.read().sql.query_row(left, [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0, "nothing of the work is left in the file");
}
