//! `config`: the configuration schema as the platform reads it at publication.
//!
//! Order: the settings of operation first, then the connector's own in the order of the table. What belongs to the command line
//! only is not exported; no rule of the table binds exported settings, so there are no constraints.

use crate::config::{Export, Kind, SETTINGS, Setting};
use crate::proto::config::{
    BoolField, Configuration, Field, Int64Rules, IntField, RepeatedStringRules, StringField, StringRules,
    StringSliceField, field,
};
use crate::proto::json::{JsonError, to_value};

/// The schema in canonical JSON, indented by two blanks, without a newline at the end.
pub fn render() -> Result<String, JsonError> {
    Ok(format!("{:#}", to_value(&schema())?))
}

fn schema() -> Configuration {
    let ops = SETTINGS.iter().filter(|setting| setting.export == Export::Ops);
    let own = SETTINGS
        .iter()
        .filter(|setting| matches!(setting.export, Export::Connector(_)));
    Configuration {
        fields: ops.chain(own).map(exported).collect(),
        display_name: "Coupa".to_owned(),
        help_url: "/docs/baton/coupa".to_owned(),
        icon_url: "/static/app-icons/coupa.svg".to_owned(),
        ..Configuration::default()
    }
}

fn exported(setting: &Setting) -> Field {
    Field {
        name: setting.name.to_owned(),
        display_name: match setting.export {
            Export::Connector(label) => label.to_owned(),
            Export::Ops | Export::No => String::new(),
        },
        description: setting.about.to_owned(),
        placeholder: String::new(),
        is_required: setting.required_unless.is_some(),
        is_ops: setting.export == Export::Ops,
        is_secret: setting.secret,
        field: Some(arm(setting)),
    }
}

fn arm(setting: &Setting) -> field::Field {
    match setting.kind {
        Kind::Text | Kind::Address | Kind::Object => field::Field::StringField(text(setting, &[])),
        Kind::OneOf(choices) => field::Field::StringField(text(setting, choices)),
        Kind::Switch => field::Field::BoolField(BoolField {
            default_value: setting.default == "true",
            ..BoolField::default()
        }),
        Kind::Int { min, max } => field::Field::IntField(IntField {
            default_value: setting.default.parse().unwrap_or_default(),
            rules: (max < i64::MAX).then(|| Int64Rules {
                gte: Some(min),
                lte: Some(max),
                ..Int64Rules::default()
            }),
            ..IntField::default()
        }),
        Kind::List => field::Field::StringSliceField(list(setting, &[])),
        Kind::ListOf(choices) => field::Field::StringSliceField(list(setting, choices)),
    }
}

fn text(setting: &Setting, choices: &[&str]) -> StringField {
    let rules = StringRules {
        is_required: setting.required_unless.is_some(),
        r#in: owned(choices),
        ..StringRules::default()
    };
    StringField {
        default_value: setting.default.to_owned(),
        rules: (rules != StringRules::default()).then_some(rules),
        ..StringField::default()
    }
}

fn list(setting: &Setting, choices: &[&str]) -> StringSliceField {
    let rules = RepeatedStringRules {
        item_rules: Some(StringRules {
            r#in: owned(choices),
            ..StringRules::default()
        }),
        ..RepeatedStringRules::default()
    };
    StringSliceField {
        default_value: setting
            .default
            .split(',')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect(),
        rules: (!choices.is_empty()).then_some(rules),
        ..StringSliceField::default()
    }
}

fn owned(choices: &[&str]) -> Vec<String> {
    choices.iter().map(|choice| (*choice).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use prost::Message as _;
    use prost_reflect::{DescriptorPool, DynamicMessage};

    use super::*;
    use crate::config::{RULES, Rule};
    use crate::proto::DESCRIPTORS;

    #[test]
    fn a_protojson_parser_reads_back_the_same_message() {
        let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
        let descriptor = pool.get_message_by_name("c1.config.v1.Configuration").unwrap();
        let text = render().unwrap();
        let mut json = serde_json::Deserializer::from_str(&text);
        let parsed = DynamicMessage::deserialize(descriptor, &mut json).unwrap();
        json.end().unwrap();
        assert!(parsed.transcode_to::<Configuration>().unwrap() == schema());
        assert_eq!(
            Configuration::decode(parsed.encode_to_vec().as_slice())
                .unwrap()
                .fields
                .len(),
            schema().fields.len()
        );
    }

    #[test]
    fn drop_in_for_the_go_connector() {
        let schema: serde_json::Value = serde_json::from_str(&render().unwrap()).unwrap();
        let fields = schema["fields"].as_array().unwrap();
        let field = |name: &str| fields.iter().find(|field| field["name"] == name).unwrap();
        for (name, label) in [
            ("coupa-client-id", "Client ID"),
            ("coupa-client-secret", "Client Secret"),
            ("coupa-domain", "Coupa Domain"),
        ] {
            assert_eq!(field(name)["displayName"], label);
            assert_eq!(field(name)["isRequired"], true);
            assert_eq!(field(name)["stringField"]["rules"]["isRequired"], true);
            assert_eq!(
                field(name).get("isSecret").is_some(),
                name == "coupa-client-secret"
            );
        }
        assert_eq!(field("http-timeout-seconds")["intField"]["defaultValue"], "300");
        assert_eq!(field("log-level")["isOps"], true);
        let last_ops = fields.iter().rposition(|field| field["isOps"] == true).unwrap();
        let first_own = fields
            .iter()
            .position(|field| field.get("isOps").is_none())
            .unwrap();
        assert!(last_ops < first_own);
        for hidden in [
            "file",
            "client-id",
            "grant-entitlement",
            "sandbox",
            "listen",
            "coupa-base-url",
        ] {
            assert!(fields.iter().all(|field| field["name"] != hidden), "{hidden}");
        }
    }

    #[test]
    fn no_rule_binds_exported_settings_only() {
        let exported = |name: &&str| {
            SETTINGS
                .iter()
                .any(|setting| setting.name == *name && setting.export != Export::No)
        };
        for rule in RULES {
            let all = match rule {
                Rule::Together(group) | Rule::Exclusive(group) => group.iter().all(exported),
                Rule::Needs(name, needed) => exported(name) && needed.iter().all(exported),
            };
            assert!(!all, "{rule:?} must be exported as a constraint");
        }
    }
}
