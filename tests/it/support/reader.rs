//! Reads a `.c1z` without any code of ours: plain zstd, plain SQL, and messages decoded by a descriptor written here
//! from the protocol's tables. A field that this descriptor does not know makes the reader fail, so nothing hides in a blob.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use prost_reflect::prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage, Value};
use rusqlite::Connection;
use tempfile::TempDir;

const PROTO: &str = r#"
syntax = "proto3";
package c1.connector.v2;
import "google/protobuf/any.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
message ResourceType { string id = 1; string display_name = 2; repeated int32 traits = 3;
  repeated google.protobuf.Any annotations = 4; string description = 5; bool sourced_externally = 6; }
message ResourceId { string resource_type = 1; string resource = 2; bool baton_resource = 3; }
message Status { int32 status = 1; string details = 2; }
message Resource { ResourceId id = 1; ResourceId parent_resource_id = 2; string display_name = 3;
  repeated google.protobuf.Any annotations = 4; string description = 5; bool baton_resource = 6; int32 creation_source = 8;
  google.protobuf.Struct profile = 9; Status status = 11;
  google.protobuf.Timestamp created_at = 12; }
message Entitlement { Resource resource = 1; string id = 2; string display_name = 3; string description = 4;
  repeated ResourceType grantable_to = 5; repeated google.protobuf.Any annotations = 6; int32 purpose = 7; string slug = 8; }
message Grant { Entitlement entitlement = 1; Resource principal = 2; string id = 3; repeated google.protobuf.Any annotations = 4; }
message UserTrait {
  message Email { string address = 1; bool is_primary = 2; }
  message Status { int32 status = 1; string details = 2; }
  message SSOStatus { bool sso_enabled = 1; }
  message StructuredName { string given_name = 1; string family_name = 2; repeated string middle_names = 3; }
  repeated Email emails = 1; Status status = 2; google.protobuf.Struct profile = 3; int32 account_type = 5; string login = 6;
  repeated string employee_ids = 13; google.protobuf.Timestamp created_at = 8; SSOStatus sso_status = 11;
  StructuredName structured_name = 12; }
message GroupTrait { google.protobuf.Struct profile = 2; string group_source_type = 3; string raw_group_source_type = 4; }
message RoleTrait { google.protobuf.Struct profile = 1; }
message LicenseProfileTrait { string license_name = 1; int64 consumed_seats = 3; repeated string entitlement_ids = 6; }
message GrantMetadata { google.protobuf.Struct metadata = 1; }
message GrantExpandable { repeated string entitlement_ids = 1; bool shallow = 2; repeated string resource_type_ids = 3; }
message EntitlementImmutable { string source_id = 1; google.protobuf.Struct metadata = 2; }
message SkipEntitlementsAndGrants {}
message SkipEntitlements {}
message TypeScopedEntitlements {}
message TypeScopedGrants {}
message CapabilityPermission { string permission = 1; }
message CapabilityPermissions { repeated CapabilityPermission permissions = 1; }
"#;

/// A resource whose maps are seen as they lie on the wire: in their order.
const WIRE_ORDER: &str = r#"
syntax = "proto3";
package wire_order;
message Entry { string key = 1; bytes value = 2; }
message Fields { repeated Entry fields = 1; }
message Resource { Fields profile = 9; }
"#;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let folder = TempDir::new().unwrap();
    for (name, text) in [("independent.proto", PROTO), ("wire_order.proto", WIRE_ORDER)] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let files = protox::compile(["independent.proto", "wire_order.proto"], [folder.path()]).unwrap();
    DescriptorPool::decode(files.encode_to_vec().as_slice()).unwrap()
});

/// Decodes `bytes` as `c1.connector.v2.<name>`; unknown fields at any depth are an error of the test.
pub fn decode(name: &str, bytes: &[u8]) -> DynamicMessage {
    let descriptor = POOL
        .get_message_by_name(&format!("c1.connector.v2.{name}"))
        .unwrap_or_else(|| panic!("{name}"));
    let message = DynamicMessage::decode(descriptor, bytes).unwrap();
    assert_known(&message);
    message
}

fn assert_known(message: &DynamicMessage) {
    let name = message.descriptor().full_name().to_owned();
    assert_eq!(
        message.unknown_fields().count(),
        0,
        "{name} has fields that the independent descriptor does not know"
    );
    for (_, value) in message.fields() {
        each_message(value, &mut |inner| assert_known(inner));
    }
    if name == "google.protobuf.Any" {
        // What is packed into an annotation must be known as well.
        let url = text(message, "type_url");
        let packed = url.strip_prefix("type.googleapis.com/c1.connector.v2.");
        let packed = packed.unwrap_or_else(|| panic!("an annotation of type {url}"));
        decode(packed, field(message, "value").as_bytes().unwrap());
    }
}

fn each_message(value: &Value, visit: &mut dyn FnMut(&DynamicMessage)) {
    match value {
        Value::Message(message) => visit(message),
        Value::List(list) => list.iter().for_each(|item| each_message(item, visit)),
        Value::Map(map) => map.values().for_each(|item| each_message(item, visit)),
        _ => {}
    }
}

/// The field `name` of `message`.
pub fn field(message: &DynamicMessage, name: &str) -> Value {
    message
        .get_field_by_name(name)
        .unwrap_or_else(|| panic!("no field {name}"))
        .into_owned()
}

/// A text field, through nested messages: `text(&grant, "entitlement.resource.id.resource")`.
pub fn text(message: &DynamicMessage, path: &str) -> String {
    match path.split_once('.') {
        None => field(message, path).as_str().unwrap().to_owned(),
        Some((first, rest)) => text(field(message, first).as_message().unwrap(), rest),
    }
}

/// The keys of the profile in the bytes of a resource, in the order in which they are stored.
pub fn profile_keys(resource: &[u8]) -> Vec<String> {
    let descriptor = POOL.get_message_by_name("wire_order.Resource").unwrap();
    let resource = DynamicMessage::decode(descriptor, resource).unwrap();
    let profile = field(&resource, "profile");
    let fields = field(profile.as_message().unwrap(), "fields");
    let entries = fields.as_list().unwrap().iter();
    entries
        .map(|entry| text(entry.as_message().unwrap(), "key"))
        .collect()
}

/// The annotation of type `name`, if `message` carries one.
pub fn annotation(message: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    let url = format!("type.googleapis.com/c1.connector.v2.{name}");
    field(message, "annotations")
        .as_list()
        .unwrap()
        .iter()
        .find_map(|any| {
            let any = any.as_message().unwrap();
            (text(any, "type_url") == url).then(|| decode(name, field(any, "value").as_bytes().unwrap()))
        })
}

/// An unpacked file.
pub struct C1z {
    pub raw: Vec<u8>,
    pub database: Vec<u8>,
    pub sql: Connection,
    _dir: TempDir,
}

/// One row of `v1_sync_runs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    pub id: String,
    pub kind: String,
    pub started_at: String,
    pub ended_at: Option<String>,
    pub stats: Option<String>,
    pub parent: String,
    pub supports_diff: bool,
}

impl C1z {
    /// Unpacks `path` and checks that its database is sound.
    pub fn open(path: &Path) -> Self {
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
    pub fn runs(&self) -> Vec<RunRow> {
        let mut select = self
            .sql
            .prepare(
                "select sync_id, sync_type, started_at, ended_at, stats, parent_sync_id, supports_diff \
                 from v1_sync_runs order by id",
            )
            .unwrap();
        let runs = select.query_map([], |row| {
            Ok(RunRow {
                id: row.get(0)?,
                kind: row.get(1)?,
                started_at: row.get(2)?,
                ended_at: row.get(3)?,
                stats: row.get(4)?,
                parent: row.get(5)?,
                supports_diff: row.get(6)?,
            })
        });
        runs.unwrap().map(Result::unwrap).collect()
    }

    /// The run that readers take: the latest finished full one.
    pub fn latest(&self) -> String {
        let sql = "select sync_id from v1_sync_runs where sync_type = 'full' and ended_at is not null \
                   order by ended_at desc, sync_id desc";
        self.sql.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// All objects of the latest run: table and id, then the stored bytes.
    pub fn rows(&self) -> BTreeMap<(String, String), Vec<u8>> {
        self.rows_of(&self.latest())
    }

    /// The same of another run.
    pub fn rows_of(&self, run: &str) -> BTreeMap<(String, String), Vec<u8>> {
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
                .query_map([run], |row| Ok((row.get(0)?, row.get(1)?)))
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

    /// The stored bytes of an object of the latest run.
    pub fn data(&self, table: &str, id: &str) -> Vec<u8> {
        let sql = format!("select data from {table} where external_id = ?1 and sync_id = ?2");
        self.sql
            .query_row(&sql, [id, &self.latest()], |row| row.get(0))
            .unwrap()
    }

    /// The stored message of an object of the latest run.
    pub fn message(&self, table: &str, id: &str) -> DynamicMessage {
        let name = match table {
            "v1_resource_types" => "ResourceType",
            "v1_resources" => "Resource",
            "v1_entitlements" => "Entitlement",
            "v1_grants" => "Grant",
            _ => panic!("no messages in {table}"),
        };
        decode(name, &self.data(table, id))
    }

    /// The text at a dotted path of an object's message.
    pub fn text(&self, table: &str, id: &str, path: &str) -> String {
        text(&self.message(table, id), path)
    }
}

/// A finished run of a file.
pub struct Run {
    pub types: BTreeMap<String, DynamicMessage>,
    /// By `type:id`.
    pub resources: BTreeMap<String, DynamicMessage>,
    pub entitlements: BTreeMap<String, DynamicMessage>,
    pub grants: BTreeMap<String, DynamicMessage>,
    pub stats: serde_json::Value,
}

/// Reads the latest finished run of `file` and checks what every row must fulfil: columns that agree with the blob.
pub fn read(file: &Path) -> Run {
    let c1z = C1z::open(file);
    let latest = c1z.latest();
    read_run(&c1z, &latest)
}

/// The same of another run.
pub fn read_run(c1z: &C1z, sync_id: &str) -> Run {
    let database = &c1z.sql;
    let stats: String = database
        .query_row(
            "select stats from v1_sync_runs where sync_id = ?",
            [sync_id],
            |row| row.get(0),
        )
        .unwrap();
    let rows = |table: &str, message: &str, columns: &[(&str, &str)], id_path: &str| {
        let names = columns
            .iter()
            .fold(String::new(), |names, (column, _)| names + ", " + column);
        let sql = format!("select external_id, data{names} from {table} where sync_id = ?");
        let mut statement = database.prepare(&sql).unwrap();
        let mut found = BTreeMap::new();
        let mut rows = statement.query([sync_id]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let id: String = row.get(0).unwrap();
            let decoded = decode(message, &row.get::<_, Vec<u8>>(1).unwrap());
            for (at, (column, path)) in columns.iter().enumerate() {
                assert_eq!(
                    row.get::<_, String>(at + 2).unwrap(),
                    text(&decoded, path),
                    "{table}.{column} of {id}"
                );
            }
            if !id_path.is_empty() {
                assert_eq!(id, text(&decoded, id_path), "{table}.external_id");
            }
            assert!(found.insert(id.clone(), decoded).is_none(), "{table}: {id} twice");
        }
        found
    };
    let resources = rows(
        "v1_resources",
        "Resource",
        &[("resource_type_id", "id.resource_type")],
        "",
    );
    for (id, resource) in &resources {
        assert_eq!(
            *id,
            format!(
                "{}:{}",
                text(resource, "id.resource_type"),
                text(resource, "id.resource")
            )
        );
    }
    let run = Run {
        types: rows("v1_resource_types", "ResourceType", &[], "id"),
        resources,
        entitlements: rows(
            "v1_entitlements",
            "Entitlement",
            &[
                ("resource_type_id", "resource.id.resource_type"),
                ("resource_id", "resource.id.resource"),
            ],
            "id",
        ),
        grants: rows(
            "v1_grants",
            "Grant",
            &[
                ("resource_type_id", "entitlement.resource.id.resource_type"),
                ("resource_id", "entitlement.resource.id.resource"),
                ("entitlement_id", "entitlement.id"),
                ("principal_resource_type_id", "principal.id.resource_type"),
                ("principal_resource_id", "principal.id.resource"),
            ],
            "id",
        ),
        stats: serde_json::from_str(&stats).unwrap(),
    };
    // Zero values are left out of the statistics.
    let counted = |name: &str| run.stats.get(name).map_or(0, |count| count.as_u64().unwrap());
    assert_eq!(counted("resources"), run.resources.len() as u64);
    assert_eq!(counted("entitlements"), run.entitlements.len() as u64);
    assert_eq!(counted("grants"), run.grants.len() as u64);
    run
}
