//! The sync file, judged by an independent reader.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use baton_coupa::c1z::{Retention, baseline};
use baton_coupa::model::access::ItemKind;
use baton_coupa::model::baseline::Count;
use baton_coupa::model::fault::{Fault, FaultKind};
use baton_coupa::model::tenant::AccountClass;
use baton_coupa::proto::connector as c1;
use baton_coupa::proto::pack;
use baton_coupa::sync::{Phase, Progress, Scope, Source, Syncer};
use prost_reflect::Value;
use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

use crate::support::reader::{C1z, annotation, decode, field, profile_keys, text};
use crate::sync::fake::{Fake, grant};
use crate::sync::{Bench, TENANT};

#[tokio::test]
async fn the_container_is_one_modest_frame_around_a_plain_database() {
    let bench = Bench::new();
    bench.sync(&Arc::new(Fake::tenant())).await.unwrap();
    let C1z {
        raw, database, sql, ..
    } = bench.read();

    let frame = &raw[5..];
    assert_eq!(frame[..4], [0x28, 0xb5, 0x2f, 0xfd]);
    let descriptor = frame[4];
    assert_eq!(descriptor & 0b100, 0b100, "content checksum");
    assert_eq!(descriptor & 0b11, 0, "no dictionary");
    let stated = zstd::zstd_safe::get_frame_content_size(frame).unwrap();
    assert_eq!(stated, Some(database.len() as u64));
    let length = zstd::zstd_safe::find_frame_compressed_size(frame).unwrap();
    assert_eq!(length, frame.len(), "one frame and nothing after it");
    let single_segment = descriptor & 0b10_0000 != 0;
    let window = if single_segment {
        database.len()
    } else {
        1 << (10 + (frame[5] >> 3))
    };
    assert!(window <= 8 << 20, "window of {window}");

    assert_eq!(&database[..16], b"SQLite format 3\0");
    assert_eq!(database[18..20], [1, 1], "rollback journal");
    for (pragma, value) in [
        ("page_size", 4096),
        ("user_version", 0),
        ("application_id", 0),
        ("freelist_count", 0),
    ] {
        let found: i64 = sql.pragma_query_value(None, pragma, |row| row.get(0)).unwrap();
        assert_eq!(found, value, "{pragma}");
    }
    let encoding: String = sql
        .pragma_query_value(None, "encoding", |row| row.get(0))
        .unwrap();
    assert_eq!(encoding, "UTF-8");
}

#[tokio::test]
async fn the_schema_is_the_formats() {
    let bench = Bench::new();
    bench.sync(&Arc::new(Fake::tenant())).await.unwrap();
    let c1z = bench.read();
    let mut select = c1z
        .sql
        .prepare("select sql from sqlite_schema where sql is not null order by type desc, name")
        .unwrap();
    let statements = select.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let ddl: String = statements.map(|sql| sql.unwrap() + ";\n").collect();
    assert_eq!(ddl, include_str!("../golden/c1z_schema.sql"));
}

#[tokio::test]
async fn every_object_has_its_columns_and_its_whole_message() {
    let bench = Bench::new();
    let mut fake = Fake::tenant();
    let mut child = crate::sync::fake::resource("role", "9", vec![pack(&c1::RoleTrait::default())]);
    child.parent_resource_id = fake.resources["group"][0].id.clone();
    fake.add(child);
    bench.sync(&Arc::new(fake)).await.unwrap();
    let c1z = bench.read();

    let columns = |sql: &str| -> Vec<Option<String>> {
        c1z.sql
            .query_row(sql, [], |row| {
                (0..row.as_ref().column_count()).map(|n| row.get(n)).collect()
            })
            .unwrap()
    };
    let some = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| Some((*text).to_owned()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        columns(
            "select resource_type_id, external_id, parent_resource_type_id, parent_resource_id from v1_resources \
             where external_id = 'user:1'"
        ),
        [Some("user".into()), Some("user:1".into()), None, None]
    );
    assert_eq!(
        columns(
            "select parent_resource_type_id, parent_resource_id from v1_resources where external_id = 'role:9'"
        ),
        some(&["group", "1"])
    );
    assert_eq!(
        columns(
            "select resource_type_id, resource_id from v1_entitlements where external_id = 'role:2:member'"
        ),
        some(&["role", "2"])
    );
    assert_eq!(
        columns(
            "select resource_type_id, resource_id, entitlement_id, principal_resource_type_id, principal_resource_id, \
             cast(needs_expansion as text), expansion from v1_grants where external_id = 'group:1:member:user:5'"
        ),
        [
            some(&["group", "1", "group:1:member", "user", "5", "0"]),
            vec![None]
        ]
        .concat()
    );

    assert_eq!(
        c1z.text("v1_resource_types", "license", "display_name"),
        "LICENSE"
    );
    let group = c1z.message("v1_resource_types", "group");
    assert!(annotation(&group, "SkipEntitlements").is_some());
    assert_eq!(c1z.text("v1_resources", "role:2", "display_name"), "The role 2");
    assert_eq!(
        c1z.text("v1_entitlements", "role:2:member", "resource.id.resource"),
        "2"
    );
    assert_eq!(c1z.text("v1_entitlements", "role:2:member", "slug"), "member");
    let grant = "group:1:member:user:5";
    assert_eq!(c1z.text("v1_grants", grant, "entitlement.id"), "group:1:member");
    assert_eq!(
        c1z.text("v1_grants", grant, "entitlement.resource.id.resource_type"),
        "group"
    );
    assert_eq!(c1z.text("v1_grants", grant, "principal.id.resource"), "5");

    let discovered: String = columns("select min(discovered_at) from v1_grants")[0]
        .clone()
        .unwrap();
    let run = &c1z.runs()[0];
    assert!(run.started_at <= discovered && discovered <= *run.ended_at.as_ref().unwrap());
}

#[tokio::test]
async fn profiles_are_stored_in_one_order() {
    let bench = Bench::new();
    bench.sync(&Arc::new(Fake::tenant())).await.unwrap();
    let names = profile_keys(&bench.read().data("v1_resources", "user:3"));
    assert_eq!(
        names,
        ["account_class", "alpha", "department", "login", "middle", "zeta"]
    );
}

#[tokio::test]
async fn equal_data_gives_equal_bytes() {
    let bench = Bench::new();
    bench.sync(&Arc::new(Fake::tenant())).await.unwrap();
    let first = bench.read();
    bench.sync(&Arc::new(Fake::tenant())).await.unwrap();
    let second = bench.read();
    assert_ne!(first.latest(), second.latest());
    assert_eq!(first.rows(), second.rows());
    assert_eq!(first.rows().len(), 4 + 12 + 7 + 11);
}

#[tokio::test]
async fn the_run_is_finished_and_its_statistics_are_true() {
    let bench = Bench::new();
    let before = go_now();
    bench.sync(&Arc::new(Fake::tenant())).await.unwrap();
    let c1z = bench.read();
    let (kind, token, flags): (String, String, String) = c1z
        .sql
        .query_row(
            "select sync_type, sync_token, parent_sync_id || linked_sync_id || supports_diff || grants_backfilled || \
             ingest_invariant_generation || ingest_invariant_coverage || ingest_invariant_mode from v1_sync_runs",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    assert_eq!((kind.as_str(), flags.as_str()), ("full", "11"));
    assert_eq!(token, r#"{"baton-coupa":{"tenant":"acme.coupahost.com"}}"#);
    let runs = c1z.runs();
    let run = &runs[0];
    let ended = run.ended_at.clone().unwrap();
    assert!(before <= run.started_at && run.started_at <= ended && ended <= go_now());
    assert_eq!(run.id.len(), 27);
    assert!(run.id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let stats: serde_json::Value = serde_json::from_str(run.stats.as_ref().unwrap()).unwrap();
    assert_eq!(
        stats,
        serde_json::json!({
            "resource_types": 4, "resources": 12, "entitlements": 7, "grants": 11,
            "resources_by_resource_type": {"user": 5, "group": 3, "role": 3, "license": 1},
            "entitlements_by_resource_type": {"group": 3, "role": 3, "license": 1},
            "grants_by_resource_type": {"group": 6, "role": 3, "license": 2},
        })
    );
}

fn go_now() -> String {
    // Whole microseconds as text: enough to compare with.
    jiff::Timestamp::now()
        .strftime("%Y-%m-%d %H:%M:%S%.6f")
        .to_string()
}

#[tokio::test]
async fn an_expandable_grant_is_split() {
    let bench = Bench::new();
    let mut fake = Fake::tenant();
    let other = || pack(&c1::GrantMetadata::default());
    let expandable = |ids: &[&str]| {
        pack(&c1::GrantExpandable {
            entitlement_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            shallow: true,
            resource_type_ids: vec!["user".into()],
        })
    };
    fake.grants.clear();
    for (user, ids) in [
        (1, &["group:1:member", "group:2:member"][..]),
        (2, &[][..]),
        (3, &[" "][..]),
    ] {
        let mut row = grant("role", "1", "member", user);
        row.annotations = vec![expandable(ids), other()];
        fake.grants.push(row);
    }
    bench.sync(&Arc::new(fake)).await.unwrap();
    let c1z = bench.read();
    let type_url = |any: &Value| text(any.as_message().unwrap(), "type_url");
    let stored = |user: u32| -> (Option<Vec<u8>>, i64) {
        let sql = "select expansion, needs_expansion from v1_grants where external_id = ?1";
        let id = format!("role:1:member:user:{user}");
        let message = c1z.message("v1_grants", &id);
        let left = field(&message, "annotations");
        let left: Vec<String> = left.as_list().unwrap().iter().map(type_url).collect();
        assert_eq!(
            left,
            ["type.googleapis.com/c1.connector.v2.GrantMetadata"],
            "only the other annotation is left in the data"
        );
        c1z.sql
            .query_row(sql, [id], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
    };
    let (expansion, needs) = stored(1);
    let expansion = decode("GrantExpandable", &expansion.unwrap());
    assert_eq!(needs, 1);
    assert_eq!(field(&expansion, "entitlement_ids").as_list().unwrap().len(), 2);
    assert_eq!(field(&expansion, "shallow"), Value::Bool(true));
    assert_eq!(stored(2), (None, 0));
    assert_eq!(stored(3), (None, 0));
}

#[tokio::test]
async fn two_runs_stay_and_later_ones_are_later() {
    let bench = Bench::new();
    let mut ids = Vec::new();
    for n in 1..=4 {
        let summary = bench.sync(&Arc::new(Fake::tenant())).await.unwrap();
        ids.push(summary.run_id);
        let runs = bench.read().runs();
        assert_eq!(runs.len(), n.min(2));
        assert_eq!(bench.read().latest(), ids[n - 1]);
    }
    assert!(ids.is_sorted(), "{ids:?}");
    let c1z = bench.read();
    let runs = c1z.runs();
    assert_eq!(
        runs.iter().map(|run| &run.id).collect::<Vec<_>>(),
        [&ids[2], &ids[3]]
    );
    assert!(runs[0].ended_at < runs[1].ended_at);
    for table in [
        "v1_resource_types",
        "v1_resources",
        "v1_entitlements",
        "v1_grants",
    ] {
        let sql = format!("select count(distinct sync_id) from {table}");
        let found: i64 = c1z.sql.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(found, 2, "{table}");
    }
}

#[tokio::test]
async fn retention_can_be_widened_and_a_partial_run_takes_no_full_one_away() {
    let mut bench = Bench::new();
    bench.options.settings.retention = Retention::Everything;
    for _ in 0..3 {
        bench.sync(&Arc::new(Fake::tenant())).await.unwrap();
    }
    assert_eq!(bench.read().runs().len(), 3);
    bench.options.settings.retention = Retention::Full(2);
    bench.options.scope = Scope::ResourcesOnly;
    bench.sync(&Arc::new(Fake::tenant())).await.unwrap();
    let kinds: Vec<String> = bench.read().runs().into_iter().map(|run| run.kind).collect();
    assert_eq!(kinds, ["full", "full", "resources_only"]);
}

#[tokio::test]
async fn a_failed_or_cancelled_sync_leaves_the_file_as_it_was() {
    let bench = Bench::new();
    bench.sync(&Arc::new(Fake::tenant())).await.unwrap();
    let good = std::fs::read(bench.file()).unwrap();
    let left = bench.names();

    for key in ["validate", "resources user 4", "grants role/3"] {
        let fake = Arc::new(Fake::tenant());
        fake.fail(key, Fault::internal("broken"));
        bench.sync(&fake).await.unwrap_err();
        assert_eq!(std::fs::read(bench.file()).unwrap(), good, "{key}");
    }
    for key in ["validate", "resources user 4", "grants role/3"] {
        let fake = Arc::new(Fake {
            stall: Some(key.into()),
            ..Fake::tenant()
        });
        let cancel = CancellationToken::new();
        let fault = tokio::join!(bench.sync_until(&fake, &cancel), async {
            fake.stuck.notified().await;
            cancel.cancel();
        })
        .0
        .unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::Cancelled);
        assert_eq!(std::fs::read(bench.file()).unwrap(), good, "{key}");
    }
    assert_eq!(bench.names(), left, "neither .tmp nor working files are left");
    bench.sync(&Arc::new(Fake::tenant())).await.unwrap();
    assert_eq!(bench.read().runs().len(), 2);
}

/// Calls the sync off as soon as it begins to save.
struct CancelAtSave(CancellationToken);

impl Progress for CancelAtSave {
    fn phase(&self, phase: Phase) {
        if phase == Phase::Save {
            self.0.cancel();
        }
    }
    fn rows(&self, _phase: Phase, _resource_type: &str, _total: u64) {}
}

#[tokio::test]
async fn a_sync_can_be_called_off_while_it_saves() {
    let bench = Bench::new();
    bench.sync(&Arc::new(Fake::tenant())).await.unwrap();
    let good = std::fs::read(bench.file()).unwrap();
    let cancel = CancellationToken::new();
    let source: Arc<dyn Source> = Arc::new(Fake::tenant());
    let syncer = Syncer::new(source, bench.options.clone());
    let fault = syncer
        .run(&cancel, &CancelAtSave(cancel.clone()))
        .await
        .unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::Cancelled);
    assert_eq!(std::fs::read(bench.file()).unwrap(), good);
    assert_eq!(bench.names(), ["sync.c1z", "tmp"]);
}

#[tokio::test]
async fn directories_that_are_not_there_are_named_before_anything_is_read() {
    for spoil in [
        (|bench: &mut Bench| bench.options.file = bench.dir.path().join("no/sync.c1z")) as fn(&mut Bench),
        |bench| bench.options.settings.temp_dir = bench.dir.path().join("no"),
    ] {
        let mut bench = Bench::new();
        spoil(&mut bench);
        let fake = Arc::new(Fake::tenant());
        let fault = bench.sync(&fake).await.unwrap_err();
        assert!(fault.message().contains("/no"), "{fault}");
        assert!(fault.advice().unwrap().contains("exists"), "{fault}");
        assert_eq!(fake.calls(), ["validate"]);
    }
}

#[tokio::test]
async fn a_second_sync_to_the_same_file_is_refused_while_the_first_runs() {
    let bench = Bench::new();
    let fake = Arc::new(Fake {
        stall: Some("grants role/3".into()),
        ..Fake::tenant()
    });
    let cancel = CancellationToken::new();
    let (first, second) = tokio::join!(bench.sync_until(&fake, &cancel), async {
        fake.stuck.notified().await;
        let second = bench.sync(&Arc::new(Fake::tenant())).await;
        cancel.cancel();
        second
    });
    assert_eq!(*first.unwrap_err().kind(), FaultKind::Cancelled);
    assert_eq!(*second.unwrap_err().kind(), FaultKind::Conflict);
}

#[tokio::test]
async fn files_that_cannot_be_continued_are_refused_and_kept() {
    let mut endless = zstd::Encoder::new(b"C1ZF\0".to_vec(), 3).unwrap();
    endless.write_all(&vec![0; 3 << 20]).unwrap();
    let no_database = zstd::encode_all(&[b'x'; 9000][..], 3).unwrap();
    for (content, kind, says) in [
        (b"C1Z3\0\0\0\0\x01x".to_vec(), FaultKind::Refused, "v3"),
        (
            b"PK\x03\x04 some zip".to_vec(),
            FaultKind::Corrupt,
            "not a usable sync file",
        ),
        (b"C1ZF\0garbage".to_vec(), FaultKind::Corrupt, "does not unpack"),
        (endless.finish().unwrap(), FaultKind::Corrupt, "more than"),
        (
            [b"C1ZF\0", no_database.as_slice()].concat(),
            FaultKind::Corrupt,
            "database cannot be read",
        ),
    ] {
        let mut bench = Bench::new();
        bench.options.settings.limits.decoded_bytes = 2 << 20;
        std::fs::write(bench.file(), &content).unwrap();
        let fake = Arc::new(Fake::tenant());
        let fault = bench.sync(&fake).await.unwrap_err();
        assert_eq!(*fault.kind(), kind, "{says}");
        assert!(fault.message().contains(says), "{fault}");
        assert!(fault.advice().is_some());
        assert_eq!(std::fs::read(bench.file()).unwrap(), content);
        assert_eq!(
            fake.calls(),
            ["validate"],
            "nothing was read from the tenant for it"
        );
        assert_eq!(bench.names(), ["sync.c1z", "tmp"]);
    }
}

#[tokio::test]
async fn an_empty_file_is_a_new_one() {
    let bench = Bench::new();
    std::fs::write(bench.file(), b"").unwrap();
    bench.sync(&Arc::new(Fake::tenant())).await.unwrap();
    assert_eq!(bench.read().runs().len(), 1);
}

/// A file as an old Go writer leaves it: five tables, no indexes, five columns of runs, WAL in the header.
fn old_file(path: &Path) {
    let dir = tempfile::TempDir::new().unwrap();
    let database = dir.path().join("db");
    let db = Connection::open(&database).unwrap();
    db.execute_batch(
        "pragma journal_mode = wal;
         create table v1_resource_types (id integer primary key, external_id text not null, data blob not null,
            sync_id text not null, discovered_at datetime not null);
         create table v1_resources (id integer primary key, resource_type_id text not null, external_id text not null,
            parent_resource_type_id text, parent_resource_id text, data blob not null, sync_id text not null,
            discovered_at datetime not null);
         create table v1_entitlements (id integer primary key, resource_type_id text not null, resource_id text not null,
            external_id text not null, data blob not null, sync_id text not null, discovered_at datetime not null);
         create table v1_grants (id integer primary key, resource_type_id text not null, resource_id text not null,
            entitlement_id text not null, principal_resource_type_id text not null, principal_resource_id text not null,
            external_id text not null, data blob not null, sync_id text not null, discovered_at datetime not null);
         create table v1_sync_runs (id integer primary key, sync_id text not null, started_at datetime not null,
            ended_at datetime, sync_token text not null);
         create table somebody_elses (x);
         insert into v1_sync_runs values (1, 'old0', '2024-01-01 00:00:00', '2024-01-01 00:01:00', '');
         insert into v1_sync_runs values (2, 'old1', '2024-02-01 00:00:00.5', '2024-02-01 00:01:00', '{\"x\":1}');
         insert into v1_sync_runs values (3, 'open', '2024-03-01 00:00:00', null, '{}');
         insert into v1_resource_types values (1, 'user', x'0a0475736572', 'old0', '2024-01-01 00:00:30');
         insert into v1_resource_types values (2, 'user', x'0a0475736572', 'old1', '2024-02-01 00:00:30');
         insert into v1_resource_types values (3, 'user', x'0a0475736572', 'open', '2024-03-01 00:00:30');
         insert into v1_grants values (7, 'g', '1', 'g:1:m', 'user', '5', 'gid', x'1a03676964', 'old1', '2024-02-01');",
    )
    .unwrap();
    db.close().map_err(|(_, error)| error).unwrap();
    let content = std::fs::read(&database).unwrap();
    assert_eq!(content[18..20], [2, 2]);
    let packed = zstd::encode_all(content.as_slice(), 1).unwrap();
    std::fs::write(path, [b"C1ZF\0", packed.as_slice()].concat()).unwrap();
}

#[tokio::test]
async fn finished_runs_of_an_old_file_are_kept_as_they_are() {
    let bench = Bench::new();
    old_file(bench.file());
    bench.sync(&Arc::new(Fake::tenant())).await.unwrap();
    let c1z = bench.read();
    let runs = c1z.runs();
    assert_eq!(runs.len(), 2, "one old full run stays, the open one goes");
    assert_eq!(
        (
            runs[0].id.as_str(),
            runs[0].kind.as_str(),
            runs[0].started_at.as_str()
        ),
        ("old1", "full", "2024-02-01 00:00:00.5")
    );
    let backfilled: i64 = c1z
        .sql
        .query_row(
            "select grants_backfilled from v1_sync_runs where sync_id = 'old1'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(backfilled, 0, "readers still have to look at its grants");
    let kept: (i64, String, Vec<u8>, Option<Vec<u8>>) = c1z
        .sql
        .query_row(
            "select id, discovered_at, data, expansion from v1_grants where sync_id = 'old1'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .unwrap();
    assert_eq!(kept, (7, "2024-02-01".into(), b"\x1a\x03gid".to_vec(), None));
    assert_eq!(c1z.database[18..20], [1, 1]);
    assert_eq!(c1z.rows().len(), 34, "the new run is whole");
}

#[tokio::test]
async fn the_file_is_a_baseline_for_its_own_tenant_only() {
    let bench = Bench::new();
    let settings = &bench.options.settings;
    assert_eq!(baseline(bench.file(), TENANT, settings).unwrap(), None);
    old_file(bench.file());
    assert_eq!(baseline(bench.file(), TENANT, settings).unwrap(), None);
    bench.sync(&Arc::new(Fake::tenant())).await.unwrap();
    let found = baseline(bench.file(), TENANT, settings).unwrap().unwrap();
    let expected: BTreeMap<Count, u64> = [
        (Count::Users(AccountClass::Internal), 4),
        (Count::Users(AccountClass::Api), 1),
        (Count::Items(ItemKind::Role), 3),
        (Count::Items(ItemKind::Group), 3),
        (Count::Items(ItemKind::License), 1),
    ]
    .into();
    assert_eq!(found.counts, expected);
    assert_eq!(
        baseline(bench.file(), "other.coupahost.com", settings).unwrap(),
        None
    );
    assert_eq!(
        bench.names(),
        ["sync.c1z", "tmp"],
        "reading leaves nothing behind"
    );

    let mut only_roles = Bench::new();
    only_roles.options.resource_types = vec!["role".into()];
    only_roles.sync(&Arc::new(Fake::tenant())).await.unwrap();
    let found = baseline(only_roles.file(), TENANT, settings).unwrap().unwrap();
    assert_eq!(
        found.counts,
        [(Count::Items(ItemKind::Role), 3)].into(),
        "what was not listed is not compared"
    );
}
