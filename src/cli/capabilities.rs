//! `capabilities`: what the connector can do, as the JSON that is committed next to a connector and read at publication.

use crate::proto::connector::ConnectorCapabilities;
use crate::proto::json::{JsonError, to_any_value};

/// Canonical JSON of `capabilities` inside of an `Any`, indented by two blanks, without a newline at the end.
pub fn render(capabilities: &ConnectorCapabilities) -> Result<String, JsonError> {
    Ok(format!("{:#}", to_any_value(capabilities)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::proto::connector::{Capability, ResourceType, ResourceTypeCapability};

    #[test]
    fn the_type_comes_first_and_no_newline_ends_it() {
        let capabilities = ConnectorCapabilities {
            resource_type_capabilities: vec![ResourceTypeCapability {
                resource_type: Some(ResourceType {
                    id: "user".into(),
                    ..ResourceType::default()
                }),
                capabilities: vec![Capability::Sync.into()],
                ..ResourceTypeCapability::default()
            }],
            connector_capabilities: vec![Capability::Sync.into()],
            ..ConnectorCapabilities::default()
        };
        let expected = r#"{
  "@type": "type.googleapis.com/c1.connector.v2.ConnectorCapabilities",
  "resourceTypeCapabilities": [
    {
      "resourceType": {
        "id": "user"
      },
      "capabilities": [
        "CAPABILITY_SYNC"
      ]
    }
  ],
  "connectorCapabilities": [
    "CAPABILITY_SYNC"
  ]
}"#;
        assert_eq!(render(&capabilities).unwrap(), expected);
    }
}
