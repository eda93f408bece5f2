//! Reads a sync file as a stranger would: zstd, plain SQL, and a protobuf descriptor written down here by hand. Nothing of the
//! crate is used, so a mistake of its writer cannot hide behind the same mistake of its reader.

use std::collections::BTreeMap;
use std::path::Path;

use prost_reflect::{DescriptorPool, DynamicMessage, Value};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};
use rusqlite::Connection;
use tempfile::TempDir;

/// An unpacked file.
pub(crate) struct C1z {
    pub(crate) raw: Vec<u8>,
    pub(crate) database: Vec<u8>,
    pub(crate) sql: Connection,
    _dir: TempDir,
}

/// One row of `v1_sync_runs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) started_at: String,
    pub(crate) ended_at: Option<String>,
    pub(crate) stats: Option<String>,
}

impl C1z {
    pub(crate) fn open(path: &Path) -> Self {
        let raw = std::fs::read(path).unwrap();
        assert_eq!(&raw[..5], b"C1ZF\0");
        let mut database = Vec::new();
        zstd::stream::copy_decode(&raw[5..], &mut database).unwrap();
        let dir = TempDir::new().unwrap();
        let unpacked = dir.path().join("db");
        std::fs::write(&unpacked, &database).unwrap();
        let sql = Connection::open(&unpacked).unwrap();
        let sound: String = sql
            .query_row("pragma integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(sound, "ok");
        Self {
            raw,
            database,
            sql,
            _dir: dir,
        }
    }

    /// Runs in the order of their rows.
    pub(crate) fn runs(&self) -> Vec<Run> {
        let mut select = self
            .sql
            .prepare("select sync_id, sync_type, started_at, ended_at, stats from v1_sync_runs order by id")
            .unwrap();
        let runs = select.query_map([], |row| {
            Ok(Run {
                id: row.get(0)?,
                kind: row.get(1)?,
                started_at: row.get(2)?,
                ended_at: row.get(3)?,
                stats: row.get(4)?,
            })
        });
        runs.unwrap().map(Result::unwrap).collect()
    }

    /// The run that readers take: the latest finished full one.
    pub(crate) fn latest(&self) -> String {
        let sql = "select sync_id from v1_sync_runs where sync_type = 'full' and ended_at is not null \
                   order by ended_at desc, sync_id desc";
        self.sql.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// All objects of the latest run: table and id, then the stored bytes.
    pub(crate) fn rows(&self) -> BTreeMap<(String, String), Vec<u8>> {
        let run = self.latest();
        let mut rows = BTreeMap::new();
        for table in [
            "v1_resource_types",
            "v1_resources",
            "v1_entitlements",
            "v1_grants",
        ] {
            let sql = format!("select external_id, data from {table} where sync_id = ?1");
            let mut select = self.sql.prepare(&sql).unwrap();
            let found = select
                .query_map([&run], |row| Ok((row.get(0)?, row.get(1)?)))
                .unwrap();
            for row in found {
                let (id, data) = row.unwrap();
                assert!(
                    rows.insert((table.to_owned(), id), data).is_none(),
                    "a doubled row"
                );
            }
        }
        rows
    }

    /// The stored message of an object of the latest run.
    pub(crate) fn message(&self, table: &str, id: &str) -> DynamicMessage {
        let sql = format!("select data from {table} where external_id = ?1 and sync_id = ?2");
        let data: Vec<u8> = self
            .sql
            .query_row(&sql, [id, &self.latest()], |row| row.get(0))
            .unwrap();
        let name = match table {
            "v1_resource_types" => "ResourceType",
            "v1_resources" => "Resource",
            "v1_entitlements" => "Entitlement",
            "v1_grants" => "Grant",
            _ => panic!("no messages in {table}"),
        };
        decode(name, &data)
    }

    /// The text at a dotted path of an object's message.
    pub(crate) fn text(&self, table: &str, id: &str, path: &str) -> String {
        text(&self.message(table, id), path)
    }
}

/// The text at a dotted path of a message.
pub(crate) fn text(message: &DynamicMessage, path: &str) -> String {
    match path.split_once('.') {
        Some((field, rest)) => match &*message.get_field_by_name(field).unwrap() {
            Value::Message(inner) => text(inner, rest),
            Value::List(list) => text(list[0].as_message().unwrap(), rest),
            other => panic!("{field} is {other:?}"),
        },
        None => match &*message.get_field_by_name(path).unwrap() {
            Value::String(text) => text.clone(),
            other => format!("{other:?}"),
        },
    }
}

/// Decodes a message and insists that nothing in it is unknown.
pub(crate) fn decode(name: &str, data: &[u8]) -> DynamicMessage {
    let descriptor = pool().get_message_by_name(&format!("own.{name}")).unwrap();
    let message = DynamicMessage::decode(descriptor, data).unwrap();
    assert_eq!(message.unknown_fields().count(), 0);
    message
}

fn pool() -> DescriptorPool {
    let text = |name: &str, number: i32| field(name, number, Type::String, None, false);
    let flag = |name: &str, number: i32| field(name, number, Type::Bool, None, false);
    let number = |name: &str, number: i32| field(name, number, Type::Int32, None, false);
    let one = |name: &str, number: i32, of: &str| field(name, number, Type::Message, Some(of), false);
    let many = |name: &str, number: i32, of: &str| field(name, number, Type::Message, Some(of), true);
    let messages = [
        (
            "Any",
            vec![text("type_url", 1), field("value", 2, Type::Bytes, None, false)],
        ),
        (
            "ResourceType",
            vec![
                text("id", 1),
                text("display_name", 2),
                field("traits", 3, Type::Int32, None, true),
                many("annotations", 4, "Any"),
                text("description", 5),
                flag("sourced_externally", 6),
            ],
        ),
        (
            "ResourceId",
            vec![
                text("resource_type", 1),
                text("resource", 2),
                flag("baton_resource", 3),
            ],
        ),
        ("Entry", vec![text("key", 1), one("value", 2, "Scalar")]),
        ("Scalar", vec![text("string_value", 3)]),
        ("Fields", vec![many("fields", 1, "Entry")]),
        (
            "Resource",
            vec![
                one("id", 1, "ResourceId"),
                one("parent_resource_id", 2, "ResourceId"),
                text("display_name", 3),
                many("annotations", 4, "Any"),
                text("description", 5),
                flag("baton_resource", 6),
                number("creation_source", 8),
                one("profile", 9, "Fields"),
            ],
        ),
        (
            "Entitlement",
            vec![
                one("resource", 1, "Resource"),
                text("id", 2),
                text("display_name", 3),
                text("description", 4),
                many("grantable_to", 5, "ResourceType"),
                many("annotations", 6, "Any"),
                number("purpose", 7),
                text("slug", 8),
            ],
        ),
        (
            "Grant",
            vec![
                one("entitlement", 1, "Entitlement"),
                one("principal", 2, "Resource"),
                text("id", 3),
                many("annotations", 4, "Any"),
            ],
        ),
        (
            "GrantExpandable",
            vec![
                field("entitlement_ids", 1, Type::String, None, true),
                flag("shallow", 2),
                field("resource_type_ids", 3, Type::String, None, true),
            ],
        ),
    ];
    let file = FileDescriptorProto {
        name: Some("own.proto".into()),
        package: Some("own".into()),
        syntax: Some("proto3".into()),
        message_type: messages
            .into_iter()
            .map(|(name, field)| DescriptorProto {
                name: Some(name.into()),
                field,
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    };
    let mut pool = DescriptorPool::new();
    pool.add_file_descriptor_proto(file).unwrap();
    pool
}

fn field(name: &str, number: i32, of: Type, message: Option<&str>, repeated: bool) -> FieldDescriptorProto {
    let label = if repeated {
        Label::Repeated
    } else {
        Label::Optional
    };
    FieldDescriptorProto {
        name: Some(name.into()),
        number: Some(number),
        label: Some(label.into()),
        r#type: Some(of.into()),
        type_name: message.map(|message| format!(".own.{message}")),
        ..Default::default()
    }
}
