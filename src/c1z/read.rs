//! What an existing file tells about the tenant's sizes, for the truncation guard when the state directory has no record.
//!
//! Invariant: only finished runs that this connector made for the same tenant count, and none that covers a few resources only: its
//! sizes say nothing about the tenant.

use std::collections::BTreeMap;
use std::path::Path;

use prost::Message as _;
use prost_types::value::Kind;
use rusqlite::Connection;

use super::error::existing;
use super::run::{Token, parse_time};
use super::{Settings, schema, unpacked};
use crate::model::access::ItemKind;
use crate::model::baseline::{Baseline, Count};
use crate::model::fault::Fault;
use crate::model::tenant::AccountClass;
use crate::proto::connector as c1;

/// Where the connector writes a user's class into the profile, under the names of [`AccountClass::name`].
const ACCOUNT_CLASS: &str = "account_class";

/// The sizes of the latest finished run for `tenant` in the file `path`; `None` if there is none.
///
/// Users are counted by class, items by kind, each only where the run has that type. Holdings are not: a file holds the grants
/// of the synced classes only, the guard counts those of every class.
pub fn baseline(path: &Path, tenant: &str, settings: &Settings) -> Result<Option<Baseline>, Fault> {
    let Some(unpacked) = unpacked::open(path, settings)? else {
        return Ok(None);
    };
    read(&unpacked.db, tenant).map_err(|error| existing(path, error))
}

fn read(db: &Connection, tenant: &str) -> rusqlite::Result<Option<Baseline>> {
    let Some((run, ended_at)) = latest_run(db, tenant)? else {
        return Ok(None);
    };
    let Some(taken_at) = parse_time(&ended_at) else {
        return Ok(None);
    };
    let mut counts = BTreeMap::new();
    for kind in ItemKind::ALL {
        if has_type(db, &run, type_of(kind))? {
            counts.insert(Count::Items(kind), resources(db, &run, type_of(kind))?);
        }
    }
    if let Some(users) = users_by_class(db, &run)? {
        counts.extend(
            users
                .into_iter()
                .map(|(class, count)| (Count::Users(class), count)),
        );
    }
    Ok(Some(Baseline { taken_at, counts }))
}

/// The resource type that holds items of a kind.
const fn type_of(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Role => "role",
        ItemKind::Group => "group",
        ItemKind::License => "license",
    }
}

fn latest_run(db: &Connection, tenant: &str) -> rusqlite::Result<Option<(String, String)>> {
    // Our runs all have a kind, so a file without that column has none of ours.
    let columns = schema::columns(db, "main", "v1_sync_runs")?;
    if columns.iter().all(|column| column != "sync_type") {
        return Ok(None);
    }
    let mut select = db.prepare(
        "select sync_id, cast(ended_at as text), sync_token from v1_sync_runs where ended_at is not null \
         and sync_type <> 'partial' order by ended_at desc, sync_id desc",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let token: String = row.get(2)?;
        if Token::tenant(&token).as_deref() == Some(tenant) {
            return Ok(Some((row.get(0)?, row.get(1)?)));
        }
    }
    Ok(None)
}

fn has_type(db: &Connection, run: &str, kind: &str) -> rusqlite::Result<bool> {
    db.query_row(
        "select exists (select 1 from v1_resource_types where external_id = ?1 and sync_id = ?2)",
        [kind, run],
        |row| row.get(0),
    )
}

fn resources(db: &Connection, run: &str, kind: &str) -> rusqlite::Result<u64> {
    db.query_row(
        "select count(*) from v1_resources where resource_type_id = ?1 and sync_id = ?2",
        [kind, run],
        |row| row.get(0),
    )
}

/// `None` unless every user tells its class: half a count is no count.
fn users_by_class(db: &Connection, run: &str) -> rusqlite::Result<Option<BTreeMap<AccountClass, u64>>> {
    let mut select =
        db.prepare("select data from v1_resources where resource_type_id = 'user' and sync_id = ?1")?;
    let mut rows = select.query([run])?;
    let mut counts = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let Some(class) = account_class(row.get_ref(0)?.as_blob()?) else {
            return Ok(None);
        };
        *counts.entry(class).or_default() += 1;
    }
    Ok(Some(counts))
}

fn account_class(user: &[u8]) -> Option<AccountClass> {
    let user = c1::Resource::decode(user).ok()?;
    match user.profile?.fields.get(ACCOUNT_CLASS)?.kind.as_ref()? {
        Kind::StringValue(name) => AccountClass::from_name(name),
        _ => None,
    }
}
