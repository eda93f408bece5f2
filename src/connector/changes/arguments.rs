//! Arguments of actions: read from what the platform sends, with either spelling of a resource id.
//!
//! Invariant: null counts as absent; whatever breaks the schema is refused by the argument's name.

use prost_types::value::Kind as ValueKind;
use prost_types::{Struct, Value};

use super::super::kind::Kind;
use super::draft::{Blank, draft, told};
use super::elements::Element;
use super::user_id;
use crate::model::change::AccountDraft;
use crate::model::fault::Fault;
use crate::model::id::UserId;
use crate::proto::config;

/// The argument that says whose account is meant.
pub(super) const USER: &str = "user_id";

/// Spellings of the type of a resource: in the configuration's messages and in the connector's, plain and as protojson.
const TYPE_KEYS: [&str; 4] = [
    "resource_type_id",
    "resource_type",
    "resourceTypeId",
    "resourceType",
];

/// Spellings of its id.
const ID_KEYS: [&str; 3] = ["resource_id", "resource", "resourceId"];

/// The schema of [`USER`].
pub(super) fn user_field() -> config::Field {
    config::Field {
        name: USER.to_owned(),
        display_name: "User".to_owned(),
        description: "The account".to_owned(),
        is_required: true,
        field: Some(config::field::Field::ResourceIdField(config::ResourceIdField {
            rules: Some(config::ResourceIdRules {
                allowed_resource_type_ids: vec![Kind::User.id().to_owned()],
            }),
            ..config::ResourceIdField::default()
        })),
        ..config::Field::default()
    }
}

/// The only argument of an action: whose account.
pub(super) fn only_user(arguments: &Struct) -> Result<UserId, Fault> {
    let unknown = arguments.fields.keys().find(|name| *name != USER);
    if let Some(name) = unknown {
        return Err(Fault::invalid(format!("unknown argument: {}", told(name))));
    }
    user(arguments)
}

/// Whose account, and what of it is to be set.
pub(super) fn user_and_elements(arguments: &Struct) -> Result<(UserId, AccountDraft), Fault> {
    let user = user(arguments)?;
    let draft = draft(arguments, &[USER], Blank::Refused)?;
    if draft.names().is_empty() {
        let names = Element::ALL.map(Element::name).join(", ");
        return Err(Fault::invalid("nothing to set").advise(format!("give at least one of {names}")));
    }
    Ok((user, draft))
}

fn user(arguments: &Struct) -> Result<UserId, Fault> {
    let fields = match arguments.fields.get(USER).and_then(|value| value.kind.as_ref()) {
        None | Some(ValueKind::NullValue(_)) => return Err(Fault::invalid(format!("{USER} is missing"))),
        Some(ValueKind::StructValue(fields)) => fields,
        Some(_) => {
            return Err(Fault::invalid(format!("{USER} is not a resource id"))
                .advise("a resource id is an object with resource_type_id and resource_id"));
        }
    };
    let kind = spelled(fields, &TYPE_KEYS)?;
    let id = spelled(fields, &ID_KEYS)?;
    if kind != Kind::User.id() {
        return Err(Fault::invalid(format!("{USER} is not the id of a user")));
    }
    user_id(id).map_err(|fault| fault.context(USER))
}

/// The value under one of several spellings of a key; under more than one only if they agree.
fn spelled<'a>(fields: &'a Struct, keys: &[&str]) -> Result<&'a str, Fault> {
    let mut found: Option<&str> = None;
    for key in keys {
        let text = match fields.fields.get(*key) {
            None
            | Some(Value {
                kind: None | Some(ValueKind::NullValue(_)),
            }) => continue,
            Some(Value {
                kind: Some(ValueKind::StringValue(text)),
            }) => text.as_str(),
            Some(_) => return Err(Fault::invalid(format!("{USER}.{key} is not a text"))),
        };
        if found.is_some_and(|earlier| earlier != text) {
            return Err(Fault::invalid(format!(
                "{USER}.{key} contradicts another spelling of it"
            )));
        }
        found = Some(text);
    }
    found.ok_or_else(|| Fault::invalid(format!("{USER}.{} is missing", keys[0])))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn object<const N: usize>(pairs: [(&str, &str); N]) -> ValueKind {
        let pair = |(key, text): (&str, &str)| {
            let value = Value {
                kind: Some(ValueKind::StringValue(text.to_owned())),
            };
            (key.to_owned(), value)
        };
        ValueKind::StructValue(Struct {
            fields: pairs.into_iter().map(pair).collect(),
        })
    }

    fn about(kind: ValueKind) -> Struct {
        let value = Value { kind: Some(kind) };
        Struct {
            fields: [(USER.to_owned(), value)].into(),
        }
    }

    #[test]
    fn every_spelling_of_a_resource_id_is_read() {
        for kind in TYPE_KEYS {
            for id in ID_KEYS {
                let read = only_user(&about(object([(kind, "user"), (id, "42")])));
                assert_eq!(read.unwrap().get(), 42, "{kind} {id}");
            }
        }
        let both = object([
            ("resource_type", "user"),
            ("resource_id", "42"),
            ("resource", "42"),
        ]);
        assert_eq!(only_user(&about(both)).unwrap().get(), 42);
    }

    #[test]
    fn a_breach_of_the_schema_is_named() {
        for (kind, words) in [
            (ValueKind::NullValue(0), "missing"),
            (ValueKind::StringValue("42".to_owned()), "not a resource id"),
            (object([("resource_id", "42")]), "resource_type_id is missing"),
            (object([("resource_type_id", "user")]), "resource_id is missing"),
            (
                object([("resource_type", "role"), ("resource", "42")]),
                "not the id of a user",
            ),
            (
                object([("resource_type", "user"), ("resource", "x")]),
                "not a Coupa id",
            ),
            (
                object([("resource_type", "user"), ("resource", "1"), ("resource_id", "2")]),
                "contradicts",
            ),
        ] {
            let fault = only_user(&about(kind)).unwrap_err();
            assert!(fault.message().contains(words), "{fault}");
        }
        assert!(only_user(&Struct::default()).is_err());
        let mut more = about(object([("resource_type", "user"), ("resource", "42")]));
        more.fields.insert("force".to_owned(), Value::default());
        let fault = only_user(&more).unwrap_err();
        assert!(fault.message().contains("force"), "{fault}");
    }

    #[test]
    fn an_update_sets_something() {
        let mut arguments = about(object([("resource_type", "user"), ("resource", "42")]));
        arguments.fields.insert("email".to_owned(), Value::default());
        assert!(user_and_elements(&arguments).is_err(), "null sets nothing");
        let value = Value {
            kind: Some(ValueKind::StringValue("Finance".to_owned())),
        };
        arguments.fields.insert("department".to_owned(), value);
        let (user, draft) = user_and_elements(&arguments).unwrap();
        assert_eq!((user.get(), draft.names()), (42, vec!["department"]));
    }
}
