//! Canonical protobuf JSON (protojson) for what people and the platform read: capabilities, configuration schema, test dumps.
//!
//! Invariant: output equals Go's protojson up to white space: camelCase names, enum names as strings, defaults omitted, 64-bit
//! numbers as strings, `Any` inlined with `@type`. Slow by design (reflection); never used per row of a sync.

use std::sync::LazyLock;

use prost::Name;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::Value;

#[expect(
    clippy::expect_used,
    reason = "the descriptor set is made by build.rs from the same files; a unit test decodes it"
)]
static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(super::DESCRIPTORS).expect("embedded descriptor set decodes"));

/// Why a message could not be written as JSON.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// The message's type is not among the embedded descriptors.
    #[error("type {0} is not part of the embedded protocol")]
    UnknownType(String),
    /// The message cannot be represented, for instance an `Any` of a foreign type.
    #[error("cannot write the message as JSON")]
    Unrepresentable,
}

/// `message` as canonical JSON.
pub fn to_value<M: Name>(message: &M) -> Result<Value, JsonError> {
    let descriptor = POOL
        .get_message_by_name(&M::full_name())
        .ok_or_else(|| JsonError::UnknownType(M::full_name()))?;
    let dynamic = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())
        .map_err(|_| JsonError::Unrepresentable)?;
    let options = SerializeOptions::new();
    dynamic
        .serialize_with_options(serde_json::value::Serializer, &options)
        .map_err(|_| JsonError::Unrepresentable)
}

/// `message` packed into an `Any` and written as JSON, with `@type` first, as Go prints capabilities.
pub fn to_any_value<M: Name>(message: &M) -> Result<Value, JsonError> {
    let Value::Object(fields) = to_value(message)? else {
        return Err(JsonError::Unrepresentable);
    };
    let mut object = serde_json::Map::with_capacity(fields.len() + 1);
    object.insert("@type".to_owned(), Value::String(M::type_url()));
    object.extend(fields);
    Ok(Value::Object(object))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::proto::connector::{
        CapabilityPermissions, ResourceType, SkipEntitlementsAndGrants, resource_type,
    };
    use crate::proto::pack;

    #[test]
    fn any_is_inlined_and_enums_are_names() {
        let user = ResourceType {
            id: "user".into(),
            display_name: "User".into(),
            traits: vec![resource_type::Trait::User.into()],
            annotations: vec![pack(&SkipEntitlementsAndGrants {})],
            ..ResourceType::default()
        };
        assert_eq!(
            to_value(&user).unwrap(),
            serde_json::json!({"id": "user", "displayName": "User", "traits": ["TRAIT_USER"],
                "annotations": [{"@type": "type.googleapis.com/c1.connector.v2.SkipEntitlementsAndGrants"}]})
        );
        let any = to_any_value(&CapabilityPermissions::default()).unwrap();
        assert_eq!(
            any["@type"],
            "type.googleapis.com/c1.connector.v2.CapabilityPermissions"
        );
    }
}
