//! Single rows of the last sync in a file, for one-shot changes that name them.
//!
//! Invariants: rows come from the newest finished full run, and never from a run that says it is of another tenant: the same
//! number is somebody else there. Files of other writers are read too; the message in `data` is what counts, and what a writer left
//! out of it is taken from the columns.

use std::path::{Path, PathBuf};

use prost::Message;
use rusqlite::OptionalExtension as _;

use super::error::{damaged, existing};
use super::run::Token;
use super::unpacked::{self, Unpacked};
use super::{Settings, schema};
use crate::model::fault::{Fault, FaultKind};
use crate::proto::connector as c1;

const RUNS: &str = "v1_sync_runs";

/// The newest finished full sync of a file.
pub struct LastSync {
    path: PathBuf,
    unpacked: Unpacked,
    run: String,
}

impl LastSync {
    /// Opens the file `path`, which is not changed.
    ///
    /// [`FaultKind::NotFound`] if there is no file or no finished full sync in it, [`FaultKind::Refused`] if that sync is of another tenant than
    /// `tenant`. Runs of other writers do not tell their tenant and are taken as they are.
    pub fn open(path: &Path, tenant: &str, settings: &Settings) -> Result<Self, Fault> {
        let none = || {
            Fault::new(
                FaultKind::NotFound,
                format!("{} has no finished full sync", path.display()),
            )
            .advise("run a sync first, or name its file with --file")
        };
        let unpacked = unpacked::open(path, settings)?.ok_or_else(none)?;
        let run = latest_full_run(&unpacked).map_err(|error| existing(path, error))?;
        let (run, token) = run.ok_or_else(none)?;
        if Token::tenant(&token).is_some_and(|of| of != tenant) {
            return Err(Fault::new(
                FaultKind::Refused,
                format!("the last sync in {} is of another tenant", path.display()),
            )
            .advise("its numbers mean other people here; name the right file with --file, or sync this tenant first"));
        }
        Ok(Self {
            path: path.to_owned(),
            unpacked,
            run,
        })
    }

    /// The entitlement with that id.
    pub fn entitlement(&self, id: &str) -> Result<Option<c1::Entitlement>, Fault> {
        let found =
            self.row::<c1::Entitlement, 2>("v1_entitlements", ["resource_type_id", "resource_id"], id)?;
        Ok(found.map(|(mut entitlement, [kind, resource])| {
            id.clone_into(&mut entitlement.id);
            entitlement.resource.get_or_insert_with(|| stub(kind, resource));
            entitlement
        }))
    }

    /// The resource with that type and id.
    pub fn resource(&self, id: &c1::ResourceId) -> Result<Option<c1::Resource>, Fault> {
        let external = format!("{}:{}", id.resource_type, id.resource);
        let found = self.row::<c1::Resource, 1>("v1_resources", ["resource_type_id"], &external)?;
        Ok(found.and_then(|(mut resource, [kind])| {
            // `a:b` with `c` and `a` with `b:c` share one external id.
            let own = resource.id.get_or_insert_with(|| id.clone());
            (kind == id.resource_type && own.resource == id.resource).then_some(resource)
        }))
    }

    /// The grant with that id. Of its entitlement and its principal only the ids are to be relied on.
    pub fn grant(&self, id: &str) -> Result<Option<c1::Grant>, Fault> {
        let columns = [
            "entitlement_id",
            "resource_type_id",
            "resource_id",
            "principal_resource_type_id",
            "principal_resource_id",
        ];
        let found = self.row::<c1::Grant, 5>("v1_grants", columns, id)?;
        Ok(found.map(|(mut grant, columns)| {
            let [entitlement, kind, resource, principal_kind, principal] = columns;
            id.clone_into(&mut grant.id);
            let named = grant.entitlement.get_or_insert_default();
            if named.id.is_empty() {
                named.id = entitlement;
            }
            named.resource.get_or_insert_with(|| stub(kind, resource));
            grant
                .principal
                .get_or_insert_with(|| stub(principal_kind, principal));
            grant
        }))
    }

    /// The message of a row, and the texts of `columns`.
    fn row<M: Message + Default, const N: usize>(
        &self,
        table: &str,
        columns: [&str; N],
        id: &str,
    ) -> Result<Option<(M, [String; N])>, Fault> {
        let db = &self.unpacked.db;
        let read = || {
            if schema::columns(db, "main", table)?.is_empty() {
                return Ok(None);
            }
            let sql = format!(
                "select data, {} from {table} where external_id = ?1 and sync_id = ?2",
                columns.join(", ")
            );
            db.query_row(&sql, [id, &self.run], |row| {
                let mut texts = columns.map(|_| String::new());
                for (at, text) in texts.iter_mut().enumerate() {
                    *text = row.get(at + 1)?;
                }
                Ok((row.get::<_, Vec<u8>>(0)?, texts))
            })
            .optional()
        };
        let found = read().map_err(|error| existing(&self.path, error))?;
        found
            .map(|(data, texts)| match M::decode(data.as_slice()) {
                Ok(message) => Ok((message, texts)),
                Err(error) => Err(damaged(&self.path, "a row cannot be decoded").because(error)),
            })
            .transpose()
    }
}

/// Id and token of the newest finished full run. Writers of before there were kinds of runs only made full ones.
fn latest_full_run(unpacked: &Unpacked) -> rusqlite::Result<Option<(String, String)>> {
    let columns = schema::columns(&unpacked.db, "main", RUNS)?;
    if columns.is_empty() {
        return Ok(None);
    }
    let full = if columns.iter().any(|column| column == "sync_type") {
        "sync_type = 'full'"
    } else {
        "true"
    };
    let sql = format!(
        "select sync_id, sync_token from {RUNS} where ended_at is not null and {full} order by ended_at desc, sync_id desc limit 1"
    );
    unpacked
        .db
        .query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// A resource of which only the id is told.
fn stub(kind: String, resource: String) -> c1::Resource {
    c1::Resource {
        id: Some(c1::ResourceId {
            resource_type: kind,
            resource,
            ..c1::ResourceId::default()
        }),
        ..c1::Resource::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    //! Files as another writer makes them: built here with plain SQL and zstd.
    use std::fs::{self, File};
    use std::io::Write as _;

    use prost_types::Any;
    use rusqlite::Connection;
    use tempfile::TempDir;

    use super::*;

    const TENANT: &str = "acme.coupahost.com";

    /// A file of the first writers: five columns of runs, no indexes.
    fn file(sql: &str) -> (TempDir, PathBuf) {
        let dir = TempDir::new().unwrap();
        let database = dir.path().join("db");
        let db = Connection::open(&database).unwrap();
        db.execute_batch(
            "create table v1_sync_runs (id integer primary key, sync_id text not null, started_at datetime not null, \
             ended_at datetime, sync_token text not null);
             create table v1_resources (id integer primary key, resource_type_id text not null, external_id text not null, \
             data blob not null, sync_id text not null);
             create table v1_entitlements (id integer primary key, resource_type_id text not null, resource_id text not null, \
             external_id text not null, data blob not null, sync_id text not null);
             create table v1_grants (id integer primary key, resource_type_id text not null, resource_id text not null, \
             entitlement_id text not null, principal_resource_type_id text not null, principal_resource_id text not null, \
             external_id text not null, data blob not null, sync_id text not null);",
        )
        .unwrap();
        db.execute_batch(sql).unwrap();
        drop(db);
        let path = dir.path().join("sync.c1z");
        let mut packed = File::create(&path).unwrap();
        packed.write_all(b"C1ZF\0").unwrap();
        packed
            .write_all(&zstd::encode_all(fs::read(&database).unwrap().as_slice(), 1).unwrap())
            .unwrap();
        (dir, path)
    }

    fn open(dir: &TempDir, path: &Path) -> Result<LastSync, Fault> {
        let settings = Settings {
            temp_dir: dir.path().to_owned(),
            ..Settings::default()
        };
        LastSync::open(path, TENANT, &settings)
    }

    fn hex(message: &impl Message) -> String {
        let digits = message
            .encode_to_vec()
            .iter()
            .fold(String::new(), |digits, byte| format!("{digits}{byte:02x}"));
        format!("x'{digits}'")
    }

    fn id(kind: &str, resource: &str) -> c1::ResourceId {
        stub(kind.to_owned(), resource.to_owned()).id.unwrap()
    }

    const FINISHED: &str = "insert into v1_sync_runs (sync_id, started_at, ended_at, sync_token) values \
        ('old', '2026-01-01 00:00:00', '2026-01-01 00:01:00', ''), \
        ('new', '2026-01-02 00:00:00', '2026-01-02 00:01:00', ''), \
        ('open', '2026-01-03 00:00:00', null, '');";

    #[test]
    fn rows_come_from_the_newest_finished_run_and_slim_ones_are_filled_from_columns() {
        let marked = |text: &str| c1::Grant {
            annotations: vec![Any {
                type_url: text.into(),
                value: Vec::new(),
            }],
            ..c1::Grant::default()
        };
        let rows = |run: &str| {
            format!(
                "insert into v1_grants values (null, 'role', '7', 'role:7:member', 'user', '5', 'g', {}, '{run}');",
                hex(&marked(run))
            )
        };
        let (dir, path) = file(&[FINISHED.to_owned(), rows("old"), rows("new"), rows("open")].concat());
        let before = fs::read(&path).unwrap();
        let last = open(&dir, &path).unwrap();
        let grant = last.grant("g").unwrap().unwrap();
        assert_eq!(grant.id, "g");
        assert_eq!(grant.annotations[0].type_url, "new");
        let entitlement = grant.entitlement.unwrap();
        assert_eq!(entitlement.id, "role:7:member");
        assert!(entitlement.resource.unwrap().id == Some(id("role", "7")));
        assert!(grant.principal.unwrap().id == Some(id("user", "5")));
        assert!(last.grant("role:7:member:user:5").unwrap().is_none());
        drop(last);
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            2,
            "nothing is left beside the file and the test's database"
        );
    }

    #[test]
    fn a_resource_is_known_by_type_and_id_and_not_by_their_joined_text() {
        let resource = c1::Resource {
            display_name: "Buyer".into(),
            ..stub("role".into(), "7".into())
        };
        let rows = format!(
            "insert into v1_resources values (null, 'role', 'role:7', {data}, 'new'), (null, 'a', 'a:b:c', {odd}, 'new');
             insert into v1_entitlements values (null, 'role', '7', 'e', {entitlement}, 'new');",
            data = hex(&resource),
            odd = hex(&stub("a".into(), "b:c".into())),
            entitlement = hex(&c1::Entitlement::default()),
        );
        let (dir, path) = file(&[FINISHED, &rows].concat());
        let last = open(&dir, &path).unwrap();
        let found = last.resource(&id("role", "7")).unwrap().unwrap();
        assert_eq!(found.display_name, "Buyer");
        assert!(last.resource(&id("a", "b:c")).unwrap().is_some());
        assert!(last.resource(&id("a:b", "c")).unwrap().is_none());
        assert!(last.resource(&id("role", "8")).unwrap().is_none());
        let entitlement = last.entitlement("e").unwrap().unwrap();
        assert_eq!(entitlement.id, "e");
        assert!(entitlement.resource.unwrap().id == Some(id("role", "7")));
    }

    #[test]
    fn partial_runs_do_not_count() {
        let sql = "alter table v1_sync_runs add column sync_type text not null default 'full';
            insert into v1_sync_runs (sync_id, started_at, ended_at, sync_token, sync_type) values
            ('f', '2026-01-01 00:00:00', '2026-01-01 00:01:00', '', 'full'),
            ('p', '2026-01-02 00:00:00', '2026-01-02 00:01:00', '', 'partial'),
            ('r', '2026-01-03 00:00:00', '2026-01-03 00:01:00', '', 'resources_only');";
        let (dir, path) = file(sql);
        assert_eq!(open(&dir, &path).unwrap().run, "f");
    }

    #[test]
    fn no_file_and_no_finished_sync_say_what_to_do() {
        let (dir, path) =
            file("insert into v1_sync_runs values (null, 'open', '2026-01-01 00:00:00', null, '')");
        for path in [path, dir.path().join("none.c1z")] {
            let fault = open(&dir, &path).err().unwrap();
            assert_eq!(*fault.kind(), FaultKind::NotFound, "{fault}");
            assert!(fault.advice().unwrap().contains("run a sync first"), "{fault}");
        }
    }

    #[test]
    fn a_sync_of_another_tenant_is_refused() {
        for (tenant, ok) in [(TENANT, true), ("other.coupahost.com", false)] {
            let token = serde_json::to_string(&Token::of(tenant)).unwrap();
            let (dir, path) = file(&format!(
                "insert into v1_sync_runs values (null, 'a', '2026-01-01 00:00:00', '2026-01-01 00:01:00', '{token}')"
            ));
            let opened = open(&dir, &path);
            match opened {
                Ok(_) => assert!(ok),
                Err(fault) => {
                    assert!(!ok && *fault.kind() == FaultKind::Refused, "{fault}");
                }
            }
        }
    }

    #[test]
    fn rows_that_make_no_sense_are_told_as_a_damaged_file() {
        let (dir, path) = file(&format!(
            "{FINISHED} insert into v1_grants values (null, 'role', '7', 'e', 'user', '5', 'g', x'ff', 'new'), \
             (null, 'role', '7', 'e', 'user', '5', 'text', 'text', 'new');"
        ));
        let last = open(&dir, &path).unwrap();
        for id in ["g", "text"] {
            let fault = last.grant(id).err().unwrap();
            assert_eq!(*fault.kind(), FaultKind::Corrupt, "{fault}");
        }
    }
}
