//! The `SQLite` side of one run: earlier runs are copied in, rows are upserted, the run is closed and packed tight.
//!
//! Invariant: an object stored twice under one id is stored once, the later content winning; nothing here outlives the
//! scratch directory unless `seal` went to its end.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use prost::Message as _;
use rusqlite::{Connection, params};
use tokio_util::sync::CancellationToken;

use super::error::{cancelled, existing, working};
use super::run::{self, Finished, RunKind, Stats, Token};
use super::scratch::Scratch;
use super::target::Target;
use super::write::{Dangling, MissingPrincipal, Rows, Saved, StoredResource};
use super::{Settings, envelope, schema};
use crate::model::fault::Fault;
use crate::proto::connector::{self as c1, GrantExpandable};
use crate::proto::{annotation, is};

/// Rows per transaction: enough that its cost vanishes, few enough that dirty pages fit the cache.
const ROWS_PER_TRANSACTION: usize = 50_000;

const DROP_MISSING: &str = "drop table if exists missing_principals";

/// A run that is being written.
pub(super) struct Database {
    // Before `scratch`, so that it is closed when the directory goes.
    db: Connection,
    scratch: Scratch,
    target: Target,
    kind: RunKind,
    run_id: String,
    latest_end: Option<String>,
    /// Highest row of `v1_resources` that belongs to earlier runs.
    resources_before: i64,
    open_rows: usize,
}

impl Database {
    /// Claims `path`, takes its finished runs over and starts a new one for `tenant`.
    pub(super) fn begin(
        path: &Path,
        tenant: &str,
        kind: RunKind,
        settings: &Settings,
        stop: &CancellationToken,
    ) -> Result<Self, Fault> {
        let target = Target::claim(path)?;
        let previous = envelope::open(target.path())?;
        let scratch = Scratch::new(&settings.temp_dir)?;
        let (run_db, _) = scratch.create("run.db")?;
        let db = open_working(&run_db).map_err(working)?;
        schema::create(&db).map_err(working)?;
        let earlier = match previous {
            Some(packed) => {
                let (unpacked, mut file) = scratch.create("previous.db")?;
                packed.unpack(&mut file, settings.limits, stop)?;
                take_over(&db, &unpacked, kind, settings).map_err(|error| existing(path, error))?
            }
            None => Vec::new(),
        };
        let now = Timestamp::now();
        let latest_id = earlier.iter().map(|run| run.id.as_str()).max();
        let run_id = run::new_id(now, latest_id);
        let parent = run::parent(&earlier, kind, tenant);
        insert_run(&db, &run_id, tenant, kind, &parent, now).map_err(working)?;
        let resources_before = db
            .query_row("select coalesce(max(id), 0) from v1_resources", [], |row| {
                row.get(0)
            })
            .map_err(working)?;
        db.execute_batch("begin").map_err(working)?;
        Ok(Self {
            db,
            scratch,
            target,
            kind,
            run_id,
            latest_end: earlier.into_iter().map(|run| run.ended_at).max(),
            resources_before,
            open_rows: 0,
        })
    }

    /// Id of the run.
    pub(super) fn run_id(&self) -> &str {
        &self.run_id
    }

    /// Stores rows.
    pub(super) fn put(&mut self, rows: &Rows) -> Result<(), Fault> {
        let now = run::go_time(Timestamp::now());
        match rows {
            Rows::ResourceTypes(list) => self.put_resource_types(list, &now),
            Rows::Resources(list) => self.put_resources(list, &now),
            Rows::Entitlements(list) => self.put_entitlements(list, &now),
            Rows::Grants(list) => self.put_grants(list, &now),
        }
        .map_err(working)?;
        self.open_rows += rows.len();
        if self.open_rows >= ROWS_PER_TRANSACTION {
            self.db.execute_batch("commit; begin").map_err(working)?;
            self.open_rows = 0;
        }
        Ok(())
    }

    fn put_resource_types(&self, list: &[c1::ResourceType], now: &str) -> rusqlite::Result<()> {
        let mut insert = self.db.prepare_cached(
            "insert into v1_resource_types (external_id, data, sync_id, discovered_at) values (?1, ?2, ?3, ?4) \
             on conflict (external_id, sync_id) do update set data = excluded.data",
        )?;
        for row in list {
            insert.execute(params![row.id, row.encode_to_vec(), self.run_id, now])?;
        }
        Ok(())
    }

    fn put_resources(&self, list: &[c1::Resource], now: &str) -> rusqlite::Result<()> {
        let mut insert = self.db.prepare_cached(
            "insert into v1_resources (resource_type_id, external_id, parent_resource_type_id, parent_resource_id, data, \
             sync_id, discovered_at) values (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
             on conflict (external_id, sync_id) do update set data = excluded.data, \
             parent_resource_type_id = excluded.parent_resource_type_id, parent_resource_id = excluded.parent_resource_id",
        )?;
        for row in list {
            let (kind, id) = names(row.id.as_ref());
            let parent = row.parent_resource_id.as_ref();
            insert.execute(params![
                kind,
                external_id(kind, id),
                parent.map(|parent| &parent.resource_type),
                parent.map(|parent| &parent.resource),
                row.encode_to_vec(),
                self.run_id,
                now
            ])?;
        }
        Ok(())
    }

    fn put_entitlements(&self, list: &[c1::Entitlement], now: &str) -> rusqlite::Result<()> {
        let mut insert = self.db.prepare_cached(
            "insert into v1_entitlements (resource_type_id, resource_id, external_id, data, sync_id, discovered_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6) \
             on conflict (external_id, sync_id) do update set data = excluded.data, \
             resource_type_id = excluded.resource_type_id, resource_id = excluded.resource_id",
        )?;
        for row in list {
            let (kind, id) = resource_names(row.resource.as_ref());
            insert.execute(params![kind, id, row.id, row.encode_to_vec(), self.run_id, now])?;
        }
        Ok(())
    }

    fn put_grants(&self, list: &[c1::Grant], now: &str) -> rusqlite::Result<()> {
        let mut insert = self.db.prepare_cached(
            "insert into v1_grants (resource_type_id, resource_id, entitlement_id, principal_resource_type_id, \
             principal_resource_id, external_id, expansion, needs_expansion, data, sync_id, discovered_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
             on conflict (external_id, sync_id) do update set data = excluded.data, \
             resource_type_id = excluded.resource_type_id, resource_id = excluded.resource_id, \
             entitlement_id = excluded.entitlement_id, \
             principal_resource_type_id = excluded.principal_resource_type_id, \
             principal_resource_id = excluded.principal_resource_id, \
             expansion = excluded.expansion, needs_expansion = excluded.needs_expansion",
        )?;
        for row in list {
            let entitlement = row.entitlement.as_ref();
            let (kind, id) =
                resource_names(entitlement.and_then(|entitlement| entitlement.resource.as_ref()));
            let (principal_kind, principal) = resource_names(row.principal.as_ref());
            let (data, expansion) = split_expansion(row);
            insert.execute(params![
                kind,
                id,
                entitlement.map_or("", |entitlement| entitlement.id.as_str()),
                principal_kind,
                principal,
                row.id,
                expansion,
                expansion.is_some(),
                data,
                self.run_id,
                now
            ])?;
        }
        Ok(())
    }

    /// Up to `limit` resources of a type in this run, in the order in which they were first stored, after row `after`.
    pub(super) fn resources(&self, kind: &str, after: i64, limit: u32) -> Result<Vec<StoredResource>, Fault> {
        let read = || -> rusqlite::Result<Vec<(i64, Vec<u8>)>> {
            // By row id: rows of one type lie together, and the index on the type is not built yet.
            let mut select = self.db.prepare_cached(
                "select id, data from v1_resources where id > ?1 and +resource_type_id = ?2 and +sync_id = ?3 \
                 order by id limit ?4",
            )?;
            let after = after.max(self.resources_before);
            let rows = select.query_map(params![after, kind, self.run_id, limit], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
            rows.collect()
        };
        let rows = read().map_err(working)?;
        let stored = rows.into_iter().map(|(row, data)| {
            let resource = c1::Resource::decode(data.as_slice())
                .map_err(|error| Fault::internal("a stored resource does not decode").because(error))?;
            Ok(StoredResource { row, resource })
        });
        stored.collect()
    }

    /// Up to `limit` principals of grants that are not among the resources of this run, in the order of their types and ids, after
    /// the `after`-th of them. They are looked for at the start only, so storing some does not shift the rest.
    pub(super) fn missing_principals(&self, after: i64, limit: u32) -> Result<Vec<MissingPrincipal>, Fault> {
        let find = || -> rusqlite::Result<()> {
            // Not a temporary table: those go to a directory that nobody here has chosen. It is dropped before the run is packed.
            self.db.execute_batch(&format!(
                "{DROP_MISSING}; create table missing_principals \
                 (id integer primary key, kind text not null, resource text not null)"
            ))?;
            self.db.execute(
                "insert into missing_principals (kind, resource) select distinct principal_resource_type_id, \
                 principal_resource_id from v1_grants g where g.sync_id = ?1 and not exists (select 1 from v1_resources r \
                 where r.external_id = g.principal_resource_type_id || ':' || g.principal_resource_id \
                 and r.sync_id = g.sync_id) order by 1, 2",
                [&self.run_id],
            )?;
            Ok(())
        };
        let read = || -> rusqlite::Result<Vec<MissingPrincipal>> {
            let mut select = self.db.prepare(
                "select id, kind, resource from missing_principals where id > ?1 order by id limit ?2",
            )?;
            let rows = select.query_map(params![after, limit], |row| {
                Ok(MissingPrincipal {
                    row: row.get(0)?,
                    id: c1::ResourceId {
                        resource_type: row.get(1)?,
                        resource: row.get(2)?,
                        ..c1::ResourceId::default()
                    },
                })
            })?;
            rows.collect()
        };
        if after == 0 {
            find().map_err(working)?;
        }
        read().map_err(working)
    }

    /// Counts what points to nothing in this run.
    pub(super) fn dangling(&self) -> Result<Dangling, Fault> {
        let count = |sql: &str| -> Result<u64, Fault> {
            self.db
                .query_row(sql, [&self.run_id], |row| row.get(0))
                .map_err(working)
        };
        Ok(Dangling {
            resources_without_type: count(
                "select count(*) from v1_resources r where r.sync_id = ?1 and not exists (select 1 from \
                 v1_resource_types t where t.external_id = r.resource_type_id and t.sync_id = r.sync_id)",
            )?,
            entitlements_without_resource: count(
                "select count(*) from v1_entitlements e where e.sync_id = ?1 and not exists (select 1 from v1_resources r \
                 where r.external_id = e.resource_type_id || ':' || e.resource_id and r.sync_id = e.sync_id)",
            )?,
            grants_without_entitlement: count(
                "select count(*) from v1_grants g where g.sync_id = ?1 and not exists (select 1 from v1_entitlements e \
                 where e.external_id = g.entitlement_id and e.sync_id = g.sync_id)",
            )?,
            grants_without_principal: count(
                "select count(*) from v1_grants g where g.sync_id = ?1 and not exists (select 1 from v1_resources r \
                 where r.external_id = g.principal_resource_type_id || ':' || g.principal_resource_id \
                 and r.sync_id = g.sync_id)",
            )?,
        })
    }

    /// Marks the run finished and replaces the target by the packed database.
    pub(super) fn seal(self, stop: &CancellationToken) -> Result<(Saved, Stats), Fault> {
        let stats = self.finish().map_err(working)?;
        proceed(stop)?;
        let (sealed, _) = self.scratch.create("sealed.db")?;
        pack_tight(&self.db, &sealed, stop)?;
        let saved = self.target.publish(&sealed, stop)?;
        Ok((saved, stats))
    }

    fn finish(&self) -> rusqlite::Result<Stats> {
        let stats = self.stats()?;
        let json = serde_json::to_string(&stats)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        let ended_at = run::end(Timestamp::now(), self.latest_end.as_deref());
        self.db.execute(
            "update v1_sync_runs set ended_at = ?1, stats = ?2, supports_diff = ?3 where sync_id = ?4",
            params![
                run::go_time(ended_at),
                json,
                // A diff with a run that has not everything would show the rest as removed.
                self.kind == RunKind::Full,
                self.run_id
            ],
        )?;
        self.db.execute_batch(&format!("{DROP_MISSING}; commit"))?;
        Ok(stats)
    }

    fn stats(&self) -> rusqlite::Result<Stats> {
        let by_type = |table: &str| {
            let mut select = self.db.prepare(&format!(
                "select resource_type_id, count(*) from {table} where sync_id = ?1 group by resource_type_id"
            ))?;
            let counts = select.query_map([&self.run_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
            counts.collect::<rusqlite::Result<std::collections::BTreeMap<String, u64>>>()
        };
        let resources = by_type("v1_resources")?;
        let entitlements = by_type("v1_entitlements")?;
        let grants = by_type("v1_grants")?;
        Ok(Stats {
            resource_types: self.db.query_row(
                "select count(*) from v1_resource_types where sync_id = ?1",
                [&self.run_id],
                |row| row.get(0),
            )?,
            resources: resources.values().sum(),
            entitlements: entitlements.values().sum(),
            grants: grants.values().sum(),
            resources_by_resource_type: resources,
            entitlements_by_resource_type: entitlements,
            grants_by_resource_type: grants,
        })
    }
}

fn proceed(stop: &CancellationToken) -> Result<(), Fault> {
    if stop.is_cancelled() {
        return Err(cancelled());
    }
    Ok(())
}

/// Opens a database that is thrown away after any failure: no journal, no fsync.
fn open_working(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.execute_batch(
        "pragma journal_mode = off; pragma synchronous = off; pragma locking_mode = exclusive; \
         pragma cache_size = -65536; pragma trusted_schema = off; pragma cell_size_check = on;",
    )?;
    Ok(db)
}

/// Copies the runs to keep, row by row as they are, and answers them. A run that never ended is not taken over: a Go syncer
/// would go on with it and publish what was true days ago.
fn take_over(
    db: &Connection,
    previous: &Path,
    kind: RunKind,
    settings: &Settings,
) -> rusqlite::Result<Vec<Finished>> {
    let Some(name) = previous.to_str() else {
        return Err(rusqlite::Error::InvalidPath(PathBuf::from(previous)));
    };
    db.execute("attach database ?1 as previous", [name])?;
    let kept = run::kept(finished_runs(db)?, kind, settings.retention);
    db.execute_batch("begin; create temp table kept (sync_id text primary key) without rowid")?;
    for run in &kept {
        db.execute("insert or ignore into kept values (?1)", [&run.id])?;
    }
    for table in &schema::TABLES {
        let theirs = schema::columns(db, "previous", table.name)?;
        let shared: Vec<String> = schema::columns(db, "main", table.name)?
            .into_iter()
            .filter(|column| theirs.contains(column))
            .collect();
        if shared.is_empty() {
            continue;
        }
        let shared = shared.join(", ");
        db.execute_batch(&format!(
            "insert into main.{name} ({shared}) select {shared} from previous.{name} \
             where sync_id in (select sync_id from kept) order by id",
            name = table.name
        ))?;
    }
    db.execute_batch("drop table kept; commit; detach database previous")?;
    Ok(kept)
}

/// The finished runs of the attached file. Older writers know neither kinds nor links.
fn finished_runs(db: &Connection) -> rusqlite::Result<Vec<Finished>> {
    let columns = schema::columns(db, "previous", "v1_sync_runs")?;
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let or = |column: &'static str, missing: &'static str| {
        if columns.iter().any(|known| known == column) {
            column
        } else {
            missing
        }
    };
    let mut select = db.prepare(&format!(
        "select sync_id, {}, {}, cast(started_at as text), cast(ended_at as text), cast(sync_token as text) \
         from previous.v1_sync_runs where ended_at is not null",
        or("sync_type", "'full'"),
        or("linked_sync_id", "''"),
    ))?;
    let runs = select.query_map([], |row| {
        Ok(Finished {
            id: row.get(0)?,
            kind: row.get(1)?,
            linked: row.get(2)?,
            started_at: row.get(3)?,
            ended_at: row.get(4)?,
            tenant: Token::tenant(&row.get::<_, Option<String>>(5)?.unwrap_or_default()),
        })
    })?;
    runs.collect()
}

fn insert_run(
    db: &Connection,
    run_id: &str,
    tenant: &str,
    kind: RunKind,
    parent: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let token = serde_json::to_string(&Token::of(tenant))
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    // Expandable grants are split by us, so readers need not look for them in every row (`grants_backfilled`).
    db.execute(
        "insert into v1_sync_runs (sync_id, started_at, sync_token, sync_type, parent_sync_id, grants_backfilled) \
         values (?1, ?2, ?3, ?4, ?5, 1)",
        params![run_id, run::go_time(now), token, kind.name(), parent],
    )?;
    Ok(())
}

/// Writes `db` to the empty file `to` without gaps, then builds the indexes for readers there.
fn pack_tight(db: &Connection, to: &Path, stop: &CancellationToken) -> Result<(), Fault> {
    let pack = || -> rusqlite::Result<()> {
        let Some(name) = to.to_str() else {
            return Err(rusqlite::Error::InvalidPath(PathBuf::from(to)));
        };
        db.execute("vacuum main into ?1", [name])?;
        Ok(())
    };
    pack().map_err(working)?;
    proceed(stop)?;
    let sealed = open_working(to).map_err(working)?;
    schema::index(&sealed).map_err(working)?;
    sealed.close().map_err(|(_, error)| working(error))
}

fn names(id: Option<&c1::ResourceId>) -> (&str, &str) {
    id.map_or(("", ""), |id| (id.resource_type.as_str(), id.resource.as_str()))
}

fn resource_names(resource: Option<&c1::Resource>) -> (&str, &str) {
    names(resource.and_then(|resource| resource.id.as_ref()))
}

/// The format's key of a resource: type and id joined by one colon, nothing escaped.
fn external_id(kind: &str, id: &str) -> String {
    format!("{kind}:{id}")
}

/// A grant's bytes without its `GrantExpandable`, and that annotation's bytes if it names a source.
fn split_expansion(grant: &c1::Grant) -> (Vec<u8>, Option<Vec<u8>>) {
    let Some(expandable) = annotation::<GrantExpandable>(&grant.annotations) else {
        return (grant.encode_to_vec(), None);
    };
    let mut bare = grant.clone();
    bare.annotations.retain(|any| !is::<GrantExpandable>(any));
    let names_a_source = expandable.entitlement_ids.iter().any(|id| !id.trim().is_empty());
    (
        bare.encode_to_vec(),
        names_a_source.then(|| expandable.encode_to_vec()),
    )
}
