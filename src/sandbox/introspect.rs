//! `__type` and `__schema`: the attribute tables told in GraphQL's own terms.
//!
//! Invariant: what introspection lists is exactly what a selection may name under the same readings.

use serde_json::{Map, Value, json};

use super::readings::{CountryForm, IdForm, Readings, Surface};
use super::render::is_visible;
use super::schema::{Attribute, Kind, Type, camel};

/// An introspection root field.
#[derive(Debug)]
pub(super) struct Question {
    /// The type asked for; the whole schema when `None`.
    pub(super) about: Option<String>,
    pub(super) asks: Vec<Ask>,
}

/// One selected field.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) key: String,
    pub(super) name: String,
    pub(super) asks: Vec<Ask>,
}

/// The answer; a type nobody knows is `null`.
pub(super) fn answer(question: &Question, readings: &Readings) -> Value {
    let subject = match question.about.as_deref() {
        None => schema(readings),
        Some("Query") => query_type(),
        Some(name) => {
            let ty = Type::IN_GRAPHQL.into_iter().find(|ty| ty.graphql_name() == name);
            let scalar = || {
                ["Int", "ID", "String", "Boolean"]
                    .contains(&name)
                    .then(|| named("SCALAR", name))
            };
            ty.map(|ty| object_type(ty, readings))
                .or_else(scalar)
                .unwrap_or_default()
        }
    };
    pick(&subject, &question.asks)
}

fn pick(value: &Value, asks: &[Ask]) -> Value {
    match value {
        Value::Array(list) => list.iter().map(|item| pick(item, asks)).collect(),
        Value::Object(map) if !asks.is_empty() => {
            let picked: Map<String, Value> = asks
                .iter()
                .map(|ask| {
                    (
                        ask.key.clone(),
                        map.get(&ask.name)
                            .map_or(Value::Null, |inner| pick(inner, &ask.asks)),
                    )
                })
                .collect();
            Value::Object(picked)
        }
        other => other.clone(),
    }
}

fn schema(readings: &Readings) -> Value {
    let mut types = vec![query_type()];
    types.extend(Type::IN_GRAPHQL.into_iter().map(|ty| object_type(ty, readings)));
    types.extend(["Int", "ID", "String", "Boolean"].map(|name| named("SCALAR", name)));
    json!({
        "__typename": "__Schema",
        "queryType": { "name": "Query" },
        "mutationType": null,
        "subscriptionType": null,
        "types": types,
        "directives": [],
    })
}

fn named(kind: &str, name: &str) -> Value {
    json!({ "__typename": "__Type", "kind": kind, "name": name, "ofType": null, "fields": null, "description": null })
}

fn list_of(inner: &Value) -> Value {
    json!({ "__typename": "__Type", "kind": "LIST", "name": null, "ofType": inner, "fields": null })
}

fn field(name: &str, ty: &Value, args: &Value) -> Value {
    json!({ "__typename": "__Field", "name": name, "description": null, "type": ty, "args": args, "isDeprecated": false })
}

fn object_type(ty: Type, readings: &Readings) -> Value {
    let fields: Vec<Value> = ty
        .attributes()
        .iter()
        .filter(|a| a.in_graphql() && is_visible(ty, a, readings, Surface::Graphql))
        .map(|a| field(&camel(a.name), &type_of(a, readings), &json!([])))
        .collect();
    let mut object = named("OBJECT", ty.graphql_name());
    object["fields"] = fields.into();
    object
}

fn type_of(attribute: &Attribute, readings: &Readings) -> Value {
    match attribute.kind {
        Kind::Id(_) if readings.ids.graphql == IdForm::Text => named("SCALAR", "ID"),
        Kind::Id(_) | Kind::Integer(_) => named("SCALAR", "Int"),
        Kind::Text(_) | Kind::Time(_) => named("SCALAR", "String"),
        Kind::Flag(_) | Kind::License(_) => named("SCALAR", "Boolean"),
        Kind::One(Type::Country, _) if readings.country.graphql != CountryForm::Object => {
            named("SCALAR", "String")
        }
        Kind::One(target, _) => named("OBJECT", target.graphql_name()),
        Kind::Many(target, _) => list_of(&named("OBJECT", target.graphql_name())),
    }
}

fn query_type() -> Value {
    let argument =
        |name: &str, ty: &str| json!([{ "name": name, "type": named("SCALAR", ty), "defaultValue": null }]);
    let mut fields = Vec::new();
    for (many, one, ty) in [
        ("users", "user", Type::User),
        ("userGroups", "userGroup", Type::Group),
        ("roles", "role", Type::Role),
    ] {
        let object = named("OBJECT", ty.graphql_name());
        fields.push(field(many, &list_of(&object), &argument("query", "String")));
        fields.push(field(one, &object, &argument("id", "ID")));
    }
    let mut query = named("OBJECT", "Query");
    query["fields"] = fields.into();
    query
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn ask(name: &str, asks: Vec<Ask>) -> Ask {
        Ask {
            key: name.to_owned(),
            name: name.to_owned(),
            asks,
        }
    }

    #[test]
    fn types_list_their_fields() {
        let about = |name: &str, readings: &Readings| {
            let asks = vec![ask("name", vec![]), ask("fields", vec![ask("name", vec![])])];
            answer(
                &Question {
                    about: Some(name.to_owned()),
                    asks,
                },
                readings,
            )
        };
        let user = about("User", &Readings::default());
        let has = |value: &Value, name: &str| {
            value["fields"]
                .as_array()
                .unwrap()
                .contains(&json!({ "name": name }))
        };
        assert_eq!(user["name"], "User");
        assert!(has(&user, "riskAssessUser") && has(&user, "userGroups") && has(&user, "qualityUser"));
        assert!(!has(&user, "type") && !has(&user, "customFields"));
        let mut readings = Readings::default();
        readings.hidden.graphql = vec!["risk-assess-user".into()];
        assert!(!has(&about("User", &readings), "riskAssessUser"));
        assert!(has(&about("Query", &readings), "userGroups"));
        assert_eq!(about("Shoe", &readings), Value::Null);
        let schema = answer(
            &Question {
                about: None,
                asks: vec![ask("types", vec![ask("name", vec![])])],
            },
            &Readings::default(),
        );
        assert!(
            schema["types"]
                .as_array()
                .unwrap()
                .contains(&json!({ "name": "Role" }))
        );
    }
}
