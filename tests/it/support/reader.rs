//! Reads a `.c1z` without any code of ours: plain zstd, plain SQL, and messages decoded by a descriptor written here
//! from the protocol's tables. A field that this descriptor does not know makes the reader fail, so nothing hides in a blob.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::LazyLock;

use prost_reflect::prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage, Value};
use rusqlite::Connection;

const PROTO: &str = r#"
syntax = "proto3";
package c1.connector.v2;
import "google/protobuf/any.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
message ResourceType { string id = 1; string display_name = 2; repeated int32 traits = 3;
  repeated google.protobuf.Any annotations = 4; string description = 5; }
message ResourceId { string resource_type = 1; string resource = 2; }
message Status { int32 status = 1; string details = 2; }
message Resource { ResourceId id = 1; ResourceId parent_resource_id = 2; string display_name = 3;
  repeated google.protobuf.Any annotations = 4; string description = 5; google.protobuf.Struct profile = 9; Status status = 11;
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
message EntitlementImmutable { string source_id = 1; google.protobuf.Struct metadata = 2; }
message SkipEntitlementsAndGrants {}
message SkipEntitlements {}
message TypeScopedEntitlements {}
message TypeScopedGrants {}
message CapabilityPermission { string permission = 1; }
message CapabilityPermissions { repeated CapabilityPermission permissions = 1; }
"#;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("independent.proto"), PROTO).unwrap();
    let files = protox::compile(["independent.proto"], [folder.path()]).unwrap();
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

/// The latest finished run of a file.
pub struct Run {
    pub types: BTreeMap<String, DynamicMessage>,
    /// By `type:id`.
    pub resources: BTreeMap<String, DynamicMessage>,
    pub entitlements: BTreeMap<String, DynamicMessage>,
    pub grants: BTreeMap<String, DynamicMessage>,
    pub stats: serde_json::Value,
}

/// The database inside `file`, unpacked.
pub fn unpack(file: &Path) -> (tempfile::NamedTempFile, Connection) {
    let mut packed = File::open(file).unwrap();
    let mut magic = [0; 5];
    packed.read_exact(&mut magic).unwrap();
    assert_eq!(&magic, b"C1ZF\0");
    let mut plain = tempfile::NamedTempFile::new().unwrap();
    zstd::stream::copy_decode(packed, &mut plain).unwrap();
    plain.flush().unwrap();
    let database = Connection::open(plain.path()).unwrap();
    let sound: String = database
        .query_row("pragma integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sound, "ok");
    (plain, database)
}

/// Reads the latest finished run of `file` and checks what every row must fulfil: columns that agree with the blob.
pub fn read(file: &Path) -> Run {
    let (_plain, database) = unpack(file);
    let (sync_id, stats) = database
        .query_row(
            "select sync_id, stats from v1_sync_runs where ended_at is not null order by ended_at desc limit 1",
            [],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)),
        )
        .unwrap();
    let rows = |table: &str, message: &str, columns: &[(&str, &str)], id_path: &str| {
        let names = columns
            .iter()
            .fold(String::new(), |names, (column, _)| names + ", " + column);
        let sql = format!("select external_id, data{names} from {table} where sync_id = ?");
        let mut statement = database.prepare(&sql).unwrap();
        let mut found = BTreeMap::new();
        let mut rows = statement.query([&sync_id]).unwrap();
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
