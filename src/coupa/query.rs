//! Building what is asked: REST parameters and GraphQL documents from the same description of rows and elements.
//!
//! Invariant: values enter a query only through [`Window`] and [`Only`], which hold numbers and names of ours, so nothing needs
//! escaping in a document. The one exception is [`Named`]: an account is looked up by a personal value, which is escaped, never part
//! of a path, and never shown by `Debug`.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::licenses::camel;
use super::wire::{Field, Part, Plain};

/// Rows per call; Coupa gives no more.
pub(crate) const PAGE: usize = 50;

/// Which rows of a collection, in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Window {
    /// Ids above this one, ascending.
    After(u64),
    /// Skip that many rows.
    Offset(u64),
    /// Exactly these, ascending.
    Ids(Vec<u64>),
    /// The row with the highest id.
    Highest,
    /// Any row.
    One,
}

/// Which of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Only {
    /// All.
    Everything,
    /// Users with this role.
    Role(u64),
    /// Users in this group.
    Group(u64),
    /// Users with this flag, by dashed name.
    Flag(Box<str>),
    /// Users of this name.
    Named(Named),
    /// Users changed at this time or later.
    ChangedSince(Timestamp),
}

/// A login or an e-mail address.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// [`Plain::Login`] or [`Plain::Email`].
    pub(crate) element: Plain,
    pub(crate) text: Box<str>,
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Named").field(&self.element).finish()
    }
}

/// How `fields` is written on REST. Coupa's own examples use both spellings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Projection {
    /// `employee_number`
    Underscored,
    /// `employee-number`
    Dashed,
    /// No `fields`: whole objects.
    Whole,
}

/// How much of REST's query language goes into a GraphQL `query` argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Order and limit too: documented as the same language, seen nowhere.
    Full,
    /// Conditions only, as seen in public code.
    Bare,
}

type Pair = (&'static str, String);

impl Window {
    fn condition(&self) -> Option<Pair> {
        match self {
            Self::After(id) => Some(("id[gt]", id.to_string())),
            Self::Ids(ids) => Some(("id[in]", join(ids))),
            Self::Offset(_) | Self::Highest | Self::One => None,
        }
    }

    fn arrangement(&self) -> Vec<Pair> {
        let order = |dir: &str, limit: usize| {
            vec![
                ("order_by", "id".to_owned()),
                ("dir", dir.to_owned()),
                ("limit", limit.to_string()),
            ]
        };
        match self {
            Self::After(_) | Self::Ids(_) => order("asc", PAGE),
            Self::Offset(rows) => {
                let mut pairs = order("asc", PAGE);
                pairs.push(("offset", rows.to_string()));
                pairs
            }
            Self::Highest => order("desc", 1),
            Self::One => vec![("limit", "1".to_owned())],
        }
    }
}

fn join(ids: &[u64]) -> String {
    let texts: Vec<String> = ids.iter().map(u64::to_string).collect();
    texts.join(",")
}

impl Only {
    fn condition(&self) -> Option<(String, String)> {
        match self {
            Self::Everything => None,
            Self::Role(id) => Some(("roles[id]".to_owned(), id.to_string())),
            Self::Group(id) => Some(("user_groups[id]".to_owned(), id.to_string())),
            Self::Flag(name) => Some((name.to_string(), "true".to_owned())),
            Self::Named(named) => Some((named.element.name().to_owned(), named.text.to_string())),
            Self::ChangedSince(time) => Some((
                "updated_at[gt_or_eq]".to_owned(),
                // Whole seconds, as Coupa writes them: a little earlier finds a little more.
                time.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string(),
            )),
        }
    }
}

/// The conditions and the arrangement as parameters.
pub(crate) fn parameters(window: &Window, only: &Only, dialect: Dialect) -> Vec<(String, String)> {
    let owned = |(key, value): Pair| (key.to_owned(), value);
    let mut pairs: Vec<_> = only
        .condition()
        .into_iter()
        .chain(window.condition().map(owned))
        .collect();
    match (dialect, window) {
        // Without an order nothing tells which row comes first.
        (Dialect::Full, _) | (Dialect::Bare, Window::Highest | Window::Offset(_)) => {
            pairs.extend(window.arrangement().into_iter().map(owned));
        }
        (Dialect::Bare, Window::After(_) | Window::Ids(_) | Window::One) => {}
    }
    pairs
}

/// REST parameters for users.
pub(crate) fn rest_users(
    window: &Window,
    only: &Only,
    fields: &[Field],
    projection: Projection,
) -> Vec<(String, String)> {
    let mut pairs = parameters(window, only, Dialect::Full);
    pairs.extend(user_projection(fields, projection));
    pairs
}

/// The `fields` parameter for users.
pub(crate) fn user_projection(fields: &[Field], projection: Projection) -> Option<(String, String)> {
    let mut list = vec![json!("id")];
    for field in fields {
        let name = projection.spell(field.name())?;
        let inner = field.inner();
        if inner.is_empty() {
            list.push(name.into());
            continue;
        }
        let parts: Option<Vec<Value>> = inner.iter().map(|part| projection.part(*part)).collect();
        list.push(json!({ name: parts? }));
    }
    projection.parameter(list)
}

/// The `fields` parameter for plain elements, by their dashed names.
pub(crate) fn projection(fields: &[&str], projection: Projection) -> Option<(String, String)> {
    let list = fields.iter().map(|name| projection.spell(name).map(Value::from));
    projection.parameter(list.collect::<Option<_>>()?)
}

impl Projection {
    /// Every spelling, the likeliest first.
    pub(crate) const ALL: [Self; 3] = [Self::Underscored, Self::Dashed, Self::Whole];

    fn spell(self, name: &str) -> Option<String> {
        match self {
            Self::Underscored => Some(name.replace('-', "_")),
            Self::Dashed => Some(name.to_owned()),
            Self::Whole => None,
        }
    }

    fn part(self, part: Part) -> Option<Value> {
        let name = self.spell(part.name)?;
        Some(match part.of {
            Some(of) => json!({ name: [of] }),
            None => name.into(),
        })
    }

    fn parameter(self, list: Vec<Value>) -> Option<(String, String)> {
        let text = || ("fields".to_owned(), Value::Array(list).to_string());
        (self != Self::Whole).then(text)
    }
}

/// A GraphQL request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Document {
    /// The request body.
    pub(crate) body: String,
    /// The field names it uses.
    pub(crate) asked: Vec<String>,
}

/// A list of users over GraphQL.
pub(crate) fn graphql_users(window: &Window, only: &Only, fields: &[Field], dialect: Dialect) -> Document {
    let (selection, asked) = selection(fields);
    collection("users", &selection, asked, &argument(window, only, dialect))
}

/// One user over GraphQL.
pub(crate) fn graphql_user(id: u64, fields: &[Field]) -> Document {
    let (selection, asked) = selection(fields);
    let body = json!({ "query": format!("{{user(id:{id}){{{selection}}}}}") }).to_string();
    Document { body, asked }
}

/// A list of groups or roles over GraphQL; `fields` are GraphQL names.
pub(crate) fn graphql_list(root: &str, window: &Window, fields: &[String], dialect: Dialect) -> Document {
    let argument = argument(window, &Only::Everything, dialect);
    collection(root, &fields.join(" "), fields.to_vec(), &argument)
}

/// The description of the type of users.
pub(crate) fn graphql_introspection() -> Document {
    let query = r#"{__type(name:"User"){fields{name type{name ofType{name}}}}}"#;
    Document {
        body: json!({ "query": query }).to_string(),
        asked: Vec::new(),
    }
}

fn collection(root: &str, selection: &str, asked: Vec<String>, argument: &str) -> Document {
    let query = format!("query($q:String!){{{root}(query:$q){{{selection}}}}}");
    Document {
        body: json!({ "query": query, "variables": { "q": argument } }).to_string(),
        asked,
    }
}

/// What stays as it is in a value: enough for most addresses, whether the tenant undoes escapes or not.
const LEFT_AS_IT_IS: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b',')
    .remove(b'@');

/// The `query` argument: a REST query string.
fn argument(window: &Window, only: &Only, dialect: Dialect) -> String {
    let parts: Vec<String> = parameters(window, only, dialect)
        .into_iter()
        .map(|(key, value)| format!("{key}={}", utf8_percent_encode(&value, LEFT_AS_IT_IS)))
        .collect();
    parts.join("&")
}

fn selection(fields: &[Field]) -> (String, Vec<String>) {
    let mut asked = Vec::with_capacity(fields.len());
    let mut text = String::from("id");
    for field in fields {
        let name = camel(field.name());
        text.push(' ');
        text.push_str(&name);
        asked.push(name);
        let inner = field.inner();
        if !inner.is_empty() {
            let parts: Vec<String> = inner.iter().map(|part| graphql_part(*part, &mut asked)).collect();
            text.push('{');
            text.push_str(&parts.join(" "));
            text.push('}');
        }
    }
    (text, asked)
}

/// Names of parts count as asked for where they can be told from common words.
fn graphql_part(part: Part, asked: &mut Vec<String>) -> String {
    let name = camel(part.name);
    let text = match part.of {
        Some(of) => format!("{name}{{{of}}}"),
        None => name.clone(),
    };
    if name != "id" && name != "name" {
        asked.push(name);
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::wire::{List, Parts, Plain};
    use super::*;

    fn fields() -> Vec<Field> {
        vec![
            Field::Plain(Plain::Login),
            Field::Plain(Plain::EmployeeNumber),
            Field::Plain(Plain::Manager),
            Field::List(List::Groups),
            Field::Flag("risk-assess-user".into()),
        ]
    }

    fn with_objects() -> Vec<Field> {
        let objects = [Field::Object(Parts::phone()), Field::Object(Parts::address())];
        fields().into_iter().chain(objects).collect()
    }

    fn line(pairs: &[(String, String)]) -> String {
        let parts: Vec<_> = pairs
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        parts.join("&")
    }

    #[test]
    fn rest_parameters() {
        let pairs = rest_users(
            &Window::After(50),
            &Only::Role(4),
            &fields(),
            Projection::Underscored,
        );
        assert_eq!(
            line(&pairs),
            r#"roles[id]=4&id[gt]=50&order_by=id&dir=asc&limit=50&fields=["id","login","employee_number",{"manager":["id"]},{"user_groups":["id"]},"risk_assess_user"]"#
        );
        let pairs = rest_users(
            &Window::Ids(vec![3, 9]),
            &Only::Everything,
            &fields(),
            Projection::Dashed,
        );
        assert_eq!(
            line(&pairs),
            r#"id[in]=3,9&order_by=id&dir=asc&limit=50&fields=["id","login","employee-number",{"manager":["id"]},{"user-groups":["id"]},"risk-assess-user"]"#
        );
        let only = Only::Flag("risk-assess-user".into());
        let pairs = rest_users(&Window::Offset(100), &only, &fields(), Projection::Whole);
        assert_eq!(
            line(&pairs),
            "risk-assess-user=true&order_by=id&dir=asc&limit=50&offset=100"
        );
    }

    #[test]
    fn graphql_documents() {
        let full = graphql_users(&Window::After(7), &Only::Group(2), &fields(), Dialect::Full);
        assert_eq!(
            full.body,
            r#"{"query":"query($q:String!){users(query:$q){id login employeeNumber manager{id} userGroups{id} riskAssessUser}}","variables":{"q":"user_groups[id]=2&id[gt]=7&order_by=id&dir=asc&limit=50"}}"#
        );
        assert_eq!(
            full.asked,
            [
                "login",
                "employeeNumber",
                "manager",
                "userGroups",
                "riskAssessUser"
            ]
        );
        let bare = graphql_users(&Window::After(7), &Only::Everything, &[], Dialect::Bare);
        assert_eq!(
            bare.body,
            r#"{"query":"query($q:String!){users(query:$q){id}}","variables":{"q":"id[gt]=7"}}"#
        );
        assert_eq!(
            graphql_user(5, &[Field::List(List::Roles)]).body,
            r#"{"query":"{user(id:5){id roles{id}}}"}"#
        );
        let highest = graphql_list("roles", &Window::Highest, &["id".into()], Dialect::Bare);
        assert!(highest.body.contains("order_by=id&dir=desc&limit=1"));
    }

    #[test]
    fn objects_are_asked_for_in_parts() {
        let fields = [Field::Object(Parts::phone()), Field::Object(Parts::address())];
        let pairs = rest_users(
            &Window::One,
            &Only::ChangedSince("2024-05-01T10:00:00.9Z".parse().unwrap()),
            &fields,
            Projection::Underscored,
        );
        assert_eq!(
            line(&pairs),
            concat!(
                r#"updated_at[gt_or_eq]=2024-05-01T10:00:00+00:00&limit=1&fields=["id","#,
                r#"{"phone_work":["country_code","area_code","number","extension"]},"#,
                r#"{"default_address":["street1","street2","street3","street4","city","state","state_iso_code","postal_code",{"country":["code"]}]}]"#
            )
        );
        let document = graphql_user(7, &fields);
        assert!(document.body.contains(
            "phoneWork{countryCode areaCode number extension} defaultAddress{street1 street2 street3 street4 city state stateIsoCode \
             postalCode country{code}}"
        ));
        assert!(document.asked.iter().any(|name| name == "stateIsoCode"));
    }

    #[test]
    fn a_name_is_escaped_and_not_shown() {
        let only = Only::Named(Named {
            element: Plain::Email,
            text: "a+b&id=1@example.com".into(),
        });
        let document = graphql_users(&Window::After(0), &only, &[], Dialect::Bare);
        let body: Value = serde_json::from_str(&document.body).unwrap();
        assert_eq!(
            body["variables"]["q"],
            "email=a%2Bb%26id%3D1@example.com&id[gt]=0"
        );
        assert_eq!(format!("{only:?}"), "Named(Named(Email))");
    }

    #[test]
    fn every_document_is_valid_graphql() {
        let bodies = [
            graphql_introspection().body,
            graphql_user(5, &with_objects()).body,
            graphql_users(&Window::One, &Only::Everything, &fields(), Dialect::Full).body,
            graphql_list(
                "userGroups",
                &Window::After(0),
                &["id".into(), "name".into()],
                Dialect::Full,
            )
            .body,
        ];
        for body in bodies {
            let body: Value = serde_json::from_str(&body).unwrap();
            async_graphql_parser::parse_query(body["query"].as_str().unwrap()).unwrap();
        }
    }
}
