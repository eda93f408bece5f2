//! Tables and indexes of format v1, word for word what every reader creates `if not exists`.
//!
//! Invariant: names, columns and their order are the format's; nothing is added. The names of two indexes of
//! `v1_resources` are swapped, as they are upstream.

use rusqlite::{Connection, Result};

/// Tables, in the order in which rows are copied. `v1_sync_runs` is last: a run exists once all its rows do.
pub(super) const TABLES: [Table; 7] = [
    Table {
        name: "v1_resource_types",
        columns: "external_id text not null, data blob not null, sync_id text not null, discovered_at datetime not null",
    },
    Table {
        name: "v1_resources",
        columns: "resource_type_id text not null, external_id text not null, parent_resource_type_id text, \
                  parent_resource_id text, data blob not null, sync_id text not null, discovered_at datetime not null",
    },
    Table {
        name: "v1_entitlements",
        columns: "resource_type_id text not null, resource_id text not null, external_id text not null, \
                  data blob not null, sync_id text not null, discovered_at datetime not null",
    },
    Table {
        name: "v1_grants",
        columns: "resource_type_id text not null, resource_id text not null, entitlement_id text not null, \
                  principal_resource_type_id text not null, principal_resource_id text not null, \
                  external_id text not null, expansion blob, needs_expansion integer not null default 0, \
                  data blob not null, sync_id text not null, discovered_at datetime not null",
    },
    Table {
        name: "v1_assets",
        columns: "external_id text not null, content_type text not null, data blob not null, sync_id text not null, \
                  discovered_at datetime not null",
    },
    Table {
        name: "v1_connector_sessions",
        columns: "sync_id text not null, key text not null, value blob not null",
    },
    Table {
        name: "v1_sync_runs",
        columns: "sync_id text not null, started_at datetime not null, ended_at datetime, sync_token text not null, \
                  sync_type text not null default 'full', parent_sync_id text not null default '', \
                  linked_sync_id text not null default '', supports_diff integer not null default 0, \
                  grants_backfilled integer not null default 0, stats text, \
                  ingest_invariant_generation text not null default '', \
                  ingest_invariant_coverage text not null default '', ingest_invariant_mode text not null default ''",
    },
];

/// One table; `id integer primary key` comes first in each and is the paging cursor of readers.
pub(super) struct Table {
    pub(super) name: &'static str,
    columns: &'static str,
}

/// Unique indexes: the upserts need them from the first row on.
const KEYS: &str = "
create unique index idx_resource_types_external_sync_v1 on v1_resource_types (external_id, sync_id);
create unique index idx_resources_parent_resource_id_v1 on v1_resources (external_id, sync_id);
create unique index idx_entitlements_external_sync_v1 on v1_entitlements (external_id, sync_id);
create unique index idx_grants_external_sync_v1 on v1_grants (external_id, sync_id);
create unique index idx_assets_external_sync_v1 on v1_assets (external_id, sync_id);
create unique index idx_sync_runs_sync_id_v1 on v1_sync_runs (sync_id);
create unique index idx_session_store_sync_key_v1 on v1_connector_sessions (sync_id, key);
";

/// The others, for readers: cheaper to build once all rows are there.
const INDEXES: &str = "
create index idx_resources_resource_type_id_v1 on v1_resources (resource_type_id);
create index idx_resources_external_sync_v1 on v1_resources (parent_resource_type_id, parent_resource_id);
create index idx_entitlements_resource_id_v1 on v1_entitlements (resource_type_id, resource_id);
create index idx_grants_resource_type_id_resource_id_v1 on v1_grants (resource_type_id, resource_id);
create index idx_grants_principal_id_v1 on v1_grants (principal_resource_type_id, principal_resource_id);
create index idx_grants_entitlement_id_principal_id_v1 on v1_grants (entitlement_id, principal_resource_type_id, \
principal_resource_id);
create index idx_grants_entitlement_sync_grant_v1 on v1_grants (entitlement_id, sync_id, id);
create index idx_grants_sync_expansion_v1 on v1_grants (sync_id) where expansion is not null;
create index idx_grants_sync_needs_expansion_v1 on v1_grants (sync_id) where needs_expansion = 1;
";

/// Creates the tables and what upserts need, in an empty database.
pub(super) fn create(db: &Connection) -> Result<()> {
    for table in &TABLES {
        db.execute_batch(&format!(
            "create table {} (id integer primary key, {})",
            table.name, table.columns
        ))?;
    }
    db.execute_batch(KEYS)
}

/// Creates the indexes for readers.
pub(super) fn index(db: &Connection) -> Result<()> {
    db.execute_batch(INDEXES)
}

/// Columns of a table in the attached database `schema`; none if it has no such table.
///
/// Only real tables count: a view of that name in a foreign file could compute anything.
pub(super) fn columns(db: &Connection, schema: &str, table: &str) -> Result<Vec<String>> {
    let mut statement = db.prepare(
        "select i.name from pragma_table_list(?1) l, pragma_table_info(?1, ?2) i \
         where l.schema = ?2 and l.type = 'table' order by i.cid",
    )?;
    let names = statement.query_map((table, schema), |row| row.get(0))?;
    names.collect()
}
