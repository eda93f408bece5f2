//! The syncer against a connector that can lie, fail and hang.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub(crate) mod fake;
mod targeted;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton_coupa::c1z::Settings;
use baton_coupa::model::fault::{Fault, FaultKind};
use baton_coupa::proto::connector as c1;
use baton_coupa::proto::pack;
use baton_coupa::sync::{Patience, Phase, Progress, Scope, Silent, Source, SyncOptions, SyncSummary, Syncer};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::support::reader::C1z;
use fake::{Fake, entitlement, grant, resource};

pub(crate) const TENANT: &str = "acme.coupahost.com";

/// A directory with the sync file and the working directory of a test.
pub(crate) struct Bench {
    pub(crate) dir: TempDir,
    pub(crate) options: SyncOptions,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let temp_dir = dir.path().join("tmp");
        std::fs::create_dir(&temp_dir).unwrap();
        let options = SyncOptions {
            file: dir.path().join("sync.c1z"),
            tenant: TENANT.into(),
            scope: Scope::Full,
            resource_types: vec![],
            workers: NonZeroUsize::MIN,
            settings: Settings {
                temp_dir,
                ..Settings::default()
            },
            patience: Patience {
                step: Duration::from_millis(1),
                longest: Duration::from_millis(5),
                total: Duration::from_millis(20),
            },
        };
        Self { dir, options }
    }

    pub(crate) fn file(&self) -> &Path {
        &self.options.file
    }

    pub(crate) async fn sync(&self, source: &Arc<Fake>) -> Result<SyncSummary, Fault> {
        self.sync_until(source, &CancellationToken::new()).await
    }

    pub(crate) async fn sync_until(
        &self,
        source: &Arc<Fake>,
        cancel: &CancellationToken,
    ) -> Result<SyncSummary, Fault> {
        let source: Arc<dyn Source> = source.clone();
        Syncer::new(source, self.options.clone())
            .run(cancel, &Silent)
            .await
    }

    pub(crate) fn read(&self) -> C1z {
        C1z::open(self.file())
    }

    /// Names in the directory of the file and in the working directory.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = [self.dir.path(), &self.options.settings.temp_dir]
            .into_iter()
            .flat_map(|dir| std::fs::read_dir(dir).unwrap())
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn not_found() -> Fault {
    Fault::new(FaultKind::NotFound, "gone")
}

/// Watches and keeps what it saw.
#[derive(Default)]
struct Seen(Mutex<Vec<(Phase, String, u64)>>);

impl Progress for Seen {
    fn phase(&self, phase: Phase) {
        self.0.lock().unwrap().push((phase, String::new(), 0));
    }
    fn rows(&self, phase: Phase, resource_type: &str, total: u64) {
        self.0
            .lock()
            .unwrap()
            .push((phase, resource_type.to_owned(), total));
    }
}

#[tokio::test]
async fn calls_come_in_the_order_of_the_protocol() {
    let bench = Bench::new();
    let fake = Arc::new(Fake::tenant());
    bench.sync(&fake).await.unwrap();
    let expected = "validate; types all; types all 2; \
        resources user; resources user 2; resources user 4; resources group; resources group 2; \
        resources role; resources role 2; resources license; \
        static user; static group; static role; static license; \
        entitlements license; \
        grants group; grants group 2; grants group 4; grants role/1; grants role/1 2; grants role/2; grants role/3; \
        grants license/risk-assess-user; cleanup";
    assert_eq!(fake.calls().join("; "), expected);
}

#[tokio::test]
async fn the_summary_and_the_watcher_are_told_the_same() {
    use Phase::{Check, Entitlements, Grants, ResourceTypes, Resources, Save, StaticEntitlements, Validate};
    let bench = Bench::new();
    let seen = Seen::default();
    let source: Arc<dyn Source> = Arc::new(Fake::tenant());
    let syncer = Syncer::new(source, bench.options.clone());
    let summary = syncer.run(&CancellationToken::new(), &seen).await.unwrap();
    let stats = &summary.stats;
    assert_eq!(
        (
            stats.resource_types,
            stats.resources,
            stats.entitlements,
            stats.grants
        ),
        (4, 12, 7, 11)
    );
    assert_eq!(stats.grants_by_resource_type["group"], 6);
    assert_eq!(summary.saved.path, bench.file());
    assert_eq!(
        summary.saved.compressed_bytes,
        std::fs::metadata(bench.file()).unwrap().len()
    );
    assert_eq!((summary.dropped, summary.vanished), (0, 0));

    let seen = seen.0.into_inner().unwrap();
    let phases: Vec<Phase> = seen
        .iter()
        .filter(|(_, kind, _)| kind.is_empty())
        .map(|(phase, ..)| *phase)
        .collect();
    assert_eq!(
        phases,
        [
            Validate,
            ResourceTypes,
            Resources,
            StaticEntitlements,
            Entitlements,
            Grants,
            Check,
            Save
        ]
    );
    let last = |phase, kind: &str| {
        seen.iter()
            .rfind(|row| row.0 == phase && row.1 == kind)
            .unwrap()
            .2
    };
    assert_eq!(
        (
            last(Resources, "user"),
            last(StaticEntitlements, "role"),
            last(Grants, "group")
        ),
        (5, 3, 6)
    );
}

#[tokio::test]
async fn workers_and_chains_do_not_change_the_result() {
    let bench = Bench::new();
    bench.sync(&Arc::new(Fake::tenant())).await.unwrap();
    let expected = bench.read().rows();
    for (workers, shards, page) in [(4, 1, 2), (1, 3, 1), (4, 3, 1), (16, 5, 100)] {
        let mut bench = Bench::new();
        bench.options.workers = NonZeroUsize::new(workers).unwrap();
        let fake = Arc::new(Fake {
            page,
            shards,
            ..Fake::tenant()
        });
        bench.sync(&fake).await.unwrap();
        assert_eq!(
            bench.read().rows(),
            expected,
            "{workers} workers, {shards} shards"
        );
    }
}

#[tokio::test]
async fn a_row_listed_twice_is_stored_once_and_the_later_one_wins() {
    let bench = Bench::new();
    let mut fake = Fake::tenant();
    let mut again = fake::user(1);
    again.display_name = "renamed".into();
    fake.add(again);
    let double = fake.grants[0].clone();
    fake.grants.push(double);
    let summary = bench.sync(&Arc::new(fake)).await.unwrap();
    assert_eq!((summary.stats.resources, summary.stats.grants), (12, 11));
    assert_eq!(
        bench.read().text("v1_resources", "user:1", "display_name"),
        "renamed"
    );
}

#[tokio::test]
async fn trouble_that_passes_is_waited_out() {
    let bench = Bench::new();
    let fake = Arc::new(Fake::tenant());
    let limited = || {
        Fault::new(
            FaultKind::RateLimited {
                until: jiff::Timestamp::now(),
            },
            "slow down",
        )
    };
    for key in [
        "types all",
        "resources user 2",
        "static role",
        "entitlements license",
        "grants role/1 2",
    ] {
        fake.fail(key, Fault::unavailable("down"));
        fake.fail(key, limited());
    }
    let summary = bench.sync(&fake).await.unwrap();
    assert_eq!((summary.stats.resources, summary.stats.grants), (12, 11));
    let repeated = fake
        .calls()
        .iter()
        .filter(|key| *key == "resources user 2")
        .count();
    assert_eq!(repeated, 3, "the same page is asked for again");
}

#[tokio::test]
async fn trouble_that_stays_ends_the_sync() {
    let bench = Bench::new();
    let fake = Arc::new(Fake::tenant());
    for _ in 0..100 {
        fake.fail("grants group 2", Fault::unavailable("down"));
    }
    let fault = bench.sync(&fake).await.unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::Unavailable);
    assert_eq!(fault.message(), "grants of type group: down");
    assert_eq!(
        fake.calls().last().unwrap(),
        "cleanup",
        "the connector is told that the run is over"
    );
    assert_eq!(bench.names(), ["tmp"]);
}

#[tokio::test]
async fn any_other_failure_ends_the_sync_at_once_and_leaves_nothing() {
    for key in [
        "validate",
        "types all",
        "resources role 2",
        "static license",
        "entitlements",
        "grants license",
    ] {
        let bench = Bench::new();
        let fake = Arc::new(Fake::tenant());
        fake.fail(key, Fault::new(FaultKind::Unauthenticated, "who are you"));
        let fault = bench.sync(&fake).await.unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::Unauthenticated, "{key}");
        assert_eq!(bench.names(), ["tmp"], "{key}");
    }
}

#[tokio::test]
async fn a_connector_that_turns_in_circles_is_found_out() {
    for (key, token) in [
        ("resources user 2", "2"),
        ("resources user 4", "2"),
        ("types all 2", "2"),
        ("grants group 4", "2"),
        ("grants role/1 2", "2"),
    ] {
        let bench = Bench::new();
        let mut fake = Fake::tenant();
        fake.tokens.insert(key.into(), token.into());
        let fault = bench.sync(&Arc::new(fake)).await.unwrap_err();
        assert!(
            fault.message().contains("same page token twice"),
            "{key}: {fault}"
        );
    }
}

#[tokio::test]
async fn an_empty_page_does_not_end_a_listing() {
    let bench = Bench::new();
    // Pages of no rows at all, each with a token that was not seen before, then a circle: the sync must have gone on.
    let mut fake = Fake {
        page: 0,
        ..Fake::tenant()
    };
    fake.tokens.insert("types all".into(), "0000".into());
    fake.tokens.insert("types all 0000".into(), "00".into());
    fake.tokens.insert("types all 00".into(), "0000".into());
    let fake = Arc::new(fake);
    assert!(bench.sync(&fake).await.is_err());
    assert_eq!(
        fake.calls()[..4],
        ["validate", "types all", "types all 0000", "types all 00"]
    );
}

#[tokio::test]
async fn one_vanished_resource_is_skipped_and_a_lost_listing_is_not() {
    let bench = Bench::new();
    let fake = Arc::new(Fake::tenant());
    fake.fail("grants role/2", not_found());
    let summary = bench.sync(&fake).await.unwrap();
    assert_eq!((summary.vanished, summary.stats.grants), (1, 11));
    for key in [
        "types",
        "resources role",
        "static role",
        "entitlements license",
        "grants group",
    ] {
        let bench = Bench::new();
        let fake = Arc::new(Fake::tenant());
        fake.fail(key, not_found());
        assert_eq!(
            *bench.sync(&fake).await.unwrap_err().kind(),
            FaultKind::NotFound,
            "{key}"
        );
    }
}

#[tokio::test]
async fn many_vanished_resources_end_the_sync() {
    for (vanished, fails) in [(10, false), (11, true)] {
        let bench = Bench::new();
        let mut fake = Fake::tenant();
        for n in 10..60 {
            fake.add(resource(
                "role",
                &n.to_string(),
                vec![pack(&c1::RoleTrait::default())],
            ));
        }
        let fake = Arc::new(fake);
        for n in 0..vanished {
            fake.fail(&format!("grants role/{}", 10 + n), not_found());
        }
        assert_eq!(bench.sync(&fake).await.is_err(), fails, "{vanished}");
    }
}

/// Makes a sound connector contradict itself.
type Spoil = fn(&mut Fake);

#[tokio::test]
async fn rows_that_point_to_nothing_are_not_published() {
    let spoilers: [(&str, Spoil); 3] = [
        ("1 grants to an unknown principal", |fake| {
            fake.grants.push(grant("role", "1", "member", 99));
        }),
        ("2 grants of an unknown entitlement", |fake| {
            fake.grants.push(grant("role", "1", "owner", 1));
            fake.grants.push(grant("role", "1", "owner", 2));
        }),
        ("1 entitlements on an unknown resource", |fake| {
            fake.entitlements.push(entitlement("license", "gone", "assigned"));
        }),
    ];
    for (expected, spoil) in spoilers {
        let bench = Bench::new();
        let mut fake = Fake::tenant();
        spoil(&mut fake);
        let fault = bench.sync(&Arc::new(fake)).await.unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::Corrupt);
        assert!(fault.message().contains(expected), "{fault}");
        assert_eq!(bench.names(), ["tmp"]);
    }
}

#[tokio::test]
async fn a_filter_stores_the_types_asked_for_and_drops_what_leads_elsewhere() {
    let mut bench = Bench::new();
    bench.options.resource_types = vec!["user".into(), "role".into()];
    let fake = Arc::new(Fake::tenant());
    let summary = bench.sync(&fake).await.unwrap();
    assert_eq!((summary.stats.resource_types, summary.stats.resources), (2, 8));
    assert_eq!(
        (summary.stats.entitlements, summary.stats.grants, summary.dropped),
        (3, 3, 0)
    );
    assert!(
        fake.calls()
            .iter()
            .all(|call| !call.contains("group") && !call.contains("license"))
    );

    bench.options.resource_types = vec!["role".into()];
    let summary = bench.sync(&Arc::new(Fake::tenant())).await.unwrap();
    assert_eq!(
        (summary.stats.grants, summary.dropped),
        (0, 3),
        "their holders are not in the run"
    );

    bench.options.resource_types = vec!["rolle".into()];
    let fault = bench.sync(&Arc::new(Fake::tenant())).await.unwrap_err();
    assert!(fault.to_string().contains("\"rolle\""), "{fault}");
    assert!(
        fault.to_string().contains("user, group, role, license"),
        "{fault}"
    );
}

#[tokio::test]
async fn resources_only_asks_for_nothing_else() {
    let mut bench = Bench::new();
    bench.options.scope = Scope::ResourcesOnly;
    let fake = Arc::new(Fake::tenant());
    let summary = bench.sync(&fake).await.unwrap();
    assert_eq!(
        (
            summary.stats.resources,
            summary.stats.entitlements,
            summary.stats.grants
        ),
        (12, 0, 0)
    );
    let asked = |what: &str| fake.calls().iter().any(|call| call.starts_with(what));
    assert!(!asked("static") && !asked("entitlements") && !asked("grants"));
    assert_eq!(bench.read().runs()[0].kind, "resources_only");
}

/// Collects log lines.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_speaks_the_words_of_the_ecosystem_and_names_nobody() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // With one subscriber only, a message first met by the thread of another test would be switched off for all threads.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let guard = tracing::subscriber::set_default(subscriber);
    let bench = Bench::new();
    let fake = Arc::new(Fake::tenant());
    fake.fail("resources user 2", Fault::unavailable("down"));
    fake.fail("grants role/2", not_found());
    bench.sync(&fake).await.unwrap();
    drop(guard);

    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    for personal in ["The user", "login of", "department of"] {
        assert!(!text.contains(personal), "{personal}");
    }
    let said: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|line| line["level"] != "DEBUG" && line["level"] != "TRACE")
        .map(|line| {
            let fields = &line["fields"];
            let kind = fields["resource_type_id"].as_str().unwrap_or_default();
            let count = fields["count"]
                .as_u64()
                .map(|count| count.to_string())
                .unwrap_or_default();
            format!("{} {kind} {count}", fields["message"].as_str().unwrap())
                .trim_end()
                .to_owned()
        })
        .collect();
    let expected = [
        "Syncing resource types...",
        "Synced resource types  4",
        "Syncing resources...",
        "retrying operation",
        "Synced resources user 5",
        "Synced resources group 3",
        "Synced resources role 3",
        "Synced resources license 1",
        "Syncing static entitlements...",
        "Syncing entitlements...",
        "Syncing entitlements license",
        "Synced entitlements license 1",
        "Syncing grants...",
        "Syncing grants group",
        "Syncing grants role",
        "skipping resource due to not found role",
        "Syncing grants license",
        "Synced grants group 3",
        "Synced grants role 3",
        "Synced grants license 1",
        "sync data collection complete",
        "sync completed with warnings",
        "Sync complete.",
        "c1z: saved",
    ];
    assert_eq!(said, expected);
}

#[tokio::test]
async fn a_sync_can_run_on_any_thread() {
    let bench = Bench::new();
    let options = bench.options.clone();
    let task = tokio::spawn(async move {
        let source: Arc<dyn Source> = Arc::new(Fake::tenant());
        Syncer::new(source, options)
            .run(&CancellationToken::new(), &Silent)
            .await
    });
    task.await.unwrap().unwrap();
}
