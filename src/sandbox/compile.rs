//! Checks a GraphQL operation against the attribute tables and turns it into plans.
//!
//! Pure: document, variables and readings in, root fields or a list of problems out. Messages follow the wording of the
//! Ruby server that Coupa runs.

use std::borrow::Cow;

use async_graphql_parser::Positioned;
use async_graphql_parser::types::{
    Directive, ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet,
};
use async_graphql_value::{ConstValue, Name};
use serde::Serialize;
use serde_json::{Map, Value};

use super::introspect::{Ask, Question};
use super::readings::{CountryForm, Readings, Surface};
use super::render::{Item, Plan, Source, is_visible};
use super::schema::Type;

/// One entry of `errors`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    pub(super) message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    path: Vec<String>,
}

impl Problem {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            path: Vec::new(),
        }
    }

    /// A problem of the root field `key`.
    pub(super) fn at(message: impl Into<String>, key: &str) -> Self {
        Self {
            message: message.into(),
            path: vec![key.to_owned()],
        }
    }
}

/// A checked operation.
#[derive(Debug)]
pub(super) struct Operation {
    /// Response key and what is asked under it, in order.
    pub(super) roots: Vec<(String, Root)>,
}

/// One root field.
#[derive(Debug)]
pub(super) enum Root {
    Typename,
    List { ty: Type, query: String, plan: Plan },
    Single { ty: Type, id: u64, plan: Plan },
    Introspect(Question),
}

impl Root {
    /// The type of the rows it leads to.
    pub(super) fn ty(&self) -> Option<Type> {
        match self {
            Self::List { ty, .. } | Self::Single { ty, .. } => Some(*ty),
            Self::Typename | Self::Introspect(_) => None,
        }
    }
}

/// Nesting beyond this is refused, fragments counted.
const DEPTH: usize = 12;

/// The work of checking one operation.
pub(super) struct Compiler<'a> {
    document: &'a ExecutableDocument,
    operation: &'a OperationDefinition,
    variables: Map<String, Value>,
    readings: &'a Readings,
    problems: Vec<Problem>,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(
        document: &'a ExecutableDocument,
        operation: &'a OperationDefinition,
        variables: Map<String, Value>,
        readings: &'a Readings,
    ) -> Self {
        Self {
            document,
            operation,
            variables,
            readings,
            problems: Vec::new(),
        }
    }

    /// The operation, or everything that is wrong with it.
    pub(super) fn compile(mut self) -> Result<Operation, Vec<Problem>> {
        self.check_variables();
        let operation = self.operation;
        let mut roots: Vec<(String, Root)> = Vec::new();
        for field in self.fields(&operation.selection_set.node, "Query", DEPTH) {
            let key = field.response_key().node.to_string();
            match self.root(field) {
                Some(_) if roots.iter().any(|(other, _)| *other == key) => {
                    self.problem(format!("Field '{key}' has a field conflict"));
                }
                Some(root) => roots.push((key, root)),
                None => {}
            }
        }
        if self.problems.is_empty() {
            Ok(Operation { roots })
        } else {
            Err(self.problems)
        }
    }

    fn problem(&mut self, message: impl Into<String>) {
        self.problems.push(Problem::new(message));
    }

    fn check_variables(&mut self) {
        for definition in &self.operation.variable_definitions {
            let name = definition.node.name.node.as_str();
            let given = self.variables.get(name).is_some_and(|value| !value.is_null());
            if !given && !definition.node.var_type.node.nullable && definition.node.default_value.is_none() {
                let wanted = &definition.node.var_type.node;
                self.problem(format!(
                    "Variable ${name} of type {wanted} was provided invalid value"
                ));
            }
        }
    }

    fn root(&mut self, field: &'a Field) -> Option<Root> {
        let name = field.name.node.as_str();
        let list = |ty| (ty, "query");
        let single = |ty| (ty, "id");
        let (ty, argument) = match name {
            "__typename" => return Some(Root::Typename),
            "__schema" => {
                return Some(Root::Introspect(Question {
                    about: None,
                    asks: self.asks(field, DEPTH),
                }));
            }
            "__type" => {
                let about = self.text_argument(field, "name")?;
                return Some(Root::Introspect(Question {
                    about: Some(about),
                    asks: self.asks(field, DEPTH),
                }));
            }
            "users" => list(Type::User),
            "userGroups" => list(Type::Group),
            "roles" => list(Type::Role),
            "user" => single(Type::User),
            "userGroup" => single(Type::Group),
            "role" => single(Type::Role),
            _ => {
                self.problem(format!("Field '{name}' doesn't exist on type 'Query'"));
                return None;
            }
        };
        self.check_arguments(field, &[argument]);
        let plan = self.object(field, ty, DEPTH)?;
        if argument == "id" {
            return Some(Root::Single {
                ty,
                id: self.id_argument(field)?,
                plan,
            });
        }
        let query = match self.argument(field, argument)? {
            ConstValue::Null => String::new(),
            ConstValue::String(text) => text,
            _ => {
                self.problem(format!(
                    "Argument 'query' on Field '{name}' has an invalid value. Expected type 'String'."
                ));
                return None;
            }
        };
        Some(Root::List { ty, query, plan })
    }

    /// The selection of an object field; an object without one is an error.
    fn object(&mut self, field: &'a Field, ty: Type, depth: usize) -> Option<Plan> {
        let set = &field.selection_set.node;
        if set.items.is_empty() {
            let (name, returns) = (&field.name.node, ty.graphql_name());
            self.problem(format!(
                "Field must have selections (field '{name}' returns {returns} but has no selections. \
                 Did you mean '{name} {{ ... }}'?)"
            ));
            return None;
        }
        Some(self.plan(set, ty, depth))
    }

    fn plan(&mut self, set: &'a SelectionSet, ty: Type, depth: usize) -> Plan {
        let mut plan = Plan::default();
        for field in self.fields(set, ty.graphql_name(), depth) {
            if let Some(item) = self.item(field, ty, depth) {
                self.merge(&mut plan, item);
            }
        }
        plan
    }

    fn item(&mut self, field: &'a Field, ty: Type, depth: usize) -> Option<Item> {
        let name = field.name.node.as_str();
        let key = Cow::Owned(field.response_key().node.to_string());
        if name == "__typename" {
            return Some(Item {
                key,
                source: Source::Typename(ty.graphql_name()),
            });
        }
        let readings = self.readings;
        let visible = |a: &&_| is_visible(ty, a, readings, Surface::Graphql);
        let Some(attribute) = ty.graphql_attribute(name).filter(visible) else {
            self.problem(format!(
                "Field '{name}' doesn't exist on type '{}'",
                ty.graphql_name()
            ));
            return None;
        };
        self.check_arguments(field, &[]);
        let as_text =
            |target: &Type| *target == Type::Country && readings.country.graphql != CountryForm::Object;
        let source = match attribute.target().filter(|target| !as_text(target)) {
            Some(_) if depth == 0 => {
                self.problem("Query is nested too deeply");
                return None;
            }
            Some(target) => Source::Nested(attribute, self.object(field, target, depth - 1)?),
            None if !field.selection_set.node.items.is_empty() => {
                self.problem(format!(
                    "Selections can't be made on scalars (field '{name}' has selections)"
                ));
                return None;
            }
            None if attribute.target().is_some() => Source::Nested(attribute, Plan::default()),
            None => Source::Leaf(attribute),
        };
        Some(Item { key, source })
    }

    /// The same key twice: selections of the same field are joined, anything else conflicts.
    fn merge(&mut self, plan: &mut Plan, item: Item) {
        let Some(known) = plan.items.iter_mut().find(|known| known.key == item.key) else {
            plan.items.push(item);
            return;
        };
        match (&mut known.source, item.source) {
            (Source::Leaf(a), Source::Leaf(b)) if a.name == b.name => {}
            (Source::Typename(_), Source::Typename(_)) => {}
            (Source::Nested(a, into), Source::Nested(b, more)) if a.name == b.name => {
                for item in more.items {
                    self.merge(into, item);
                }
            }
            _ => self.problem(format!("Field '{}' has a field conflict", item.key)),
        }
    }

    /// The fields of a selection, fragments and `@skip` / `@include` worked in.
    fn fields(&mut self, set: &'a SelectionSet, on: &str, depth: usize) -> Vec<&'a Field> {
        let mut fields = Vec::new();
        for selection in &set.items {
            if !self.is_wanted(selection.node.directives()) {
                continue;
            }
            let document = self.document;
            let (condition, inner) = match &selection.node {
                Selection::Field(field) => {
                    fields.push(&field.node);
                    continue;
                }
                Selection::InlineFragment(fragment) => (
                    fragment.node.type_condition.as_ref(),
                    &fragment.node.selection_set.node,
                ),
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    let Some(fragment) = document.fragments.get(name) else {
                        self.problem(format!("Fragment {name} was used, but not defined"));
                        continue;
                    };
                    (
                        Some(&fragment.node.type_condition),
                        &fragment.node.selection_set.node,
                    )
                }
            };
            match condition.map(|c| c.node.on.node.as_str()) {
                Some(other) if other != on => {
                    self.problem(format!("Fragment on {other} can't be spread inside {on}"));
                }
                _ if depth == 0 => self.problem("Query is nested too deeply"),
                _ => fields.extend(self.fields(inner, on, depth - 1)),
            }
        }
        fields
    }

    fn is_wanted(&mut self, directives: &[Positioned<Directive>]) -> bool {
        directives.iter().all(|directive| {
            let name = directive.node.name.node.as_str();
            let flag = directive
                .node
                .get_argument("if")
                .and_then(|value| self.constant(value.node.clone()));
            match (name, flag) {
                ("include", Some(ConstValue::Boolean(flag))) => flag,
                ("skip", Some(ConstValue::Boolean(flag))) => !flag,
                _ => {
                    self.problem(format!("Directive @{name} is not defined or lacks its argument"));
                    true
                }
            }
        })
    }

    fn check_arguments(&mut self, field: &Field, known: &[&str]) {
        for (argument, _) in &field.arguments {
            let argument = argument.node.as_str();
            if !known.contains(&argument) {
                self.problem(format!(
                    "Field '{}' doesn't accept argument '{argument}'",
                    field.name.node
                ));
            }
        }
    }

    /// The value of an argument, `null` if it is not given; `None` after a problem.
    fn argument(&mut self, field: &Field, name: &str) -> Option<ConstValue> {
        field
            .get_argument(name)
            .map_or(Some(ConstValue::Null), |value| self.constant(value.node.clone()))
    }

    fn constant(&mut self, value: async_graphql_value::Value) -> Option<ConstValue> {
        let resolved = value.into_const_with(|name| self.variable(&name));
        resolved.map_err(|problem| self.problems.push(problem)).ok()
    }

    fn variable(&self, name: &Name) -> Result<ConstValue, Problem> {
        let definition = self
            .operation
            .variable_definitions
            .iter()
            .find(|d| d.node.name.node == *name);
        let Some(definition) = definition else {
            return Err(Problem::new(format!("Variable ${name} is used but not declared")));
        };
        match self.variables.get(name.as_str()) {
            Some(value) => ConstValue::from_json(value.clone()).map_err(|_| Problem::new("Invalid variable")),
            None => Ok(definition
                .node
                .default_value
                .as_ref()
                .map_or(ConstValue::Null, |v| v.node.clone())),
        }
    }

    fn text_argument(&mut self, field: &Field, name: &str) -> Option<String> {
        self.check_arguments(field, &[name]);
        if let ConstValue::String(text) = self.argument(field, name)? {
            return Some(text);
        }
        self.problem(format!(
            "Field '{}' is missing required arguments: {name}",
            field.name.node
        ));
        None
    }

    fn id_argument(&mut self, field: &Field) -> Option<u64> {
        let id = match self.argument(field, "id")? {
            ConstValue::Number(number) => number.as_u64(),
            ConstValue::String(text) => text.parse().ok(),
            _ => None,
        };
        if id.is_none() {
            self.problem(format!(
                "Field '{}' is missing required arguments: id",
                field.name.node
            ));
        }
        id
    }

    /// The selection of an introspection field, taken as it stands.
    fn asks(&mut self, field: &'a Field, depth: usize) -> Vec<Ask> {
        let on = match field.name.node.as_str() {
            "__schema" => "__Schema",
            "fields" => "__Field",
            "args" => "__InputValue",
            _ => "__Type",
        };
        if depth == 0 {
            self.problem("Query is nested too deeply");
            return Vec::new();
        }
        self.fields(&field.selection_set.node, on, depth)
            .into_iter()
            .map(|inner| Ask {
                key: inner.response_key().node.to_string(),
                name: inner.name.node.to_string(),
                asks: self.asks(inner, depth - 1),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use async_graphql_parser::types::DocumentOperations;
    use serde_json::json;

    use super::*;

    fn compile(text: &str, variables: &Value) -> Result<Operation, Vec<String>> {
        let document = async_graphql_parser::parse_query(text).unwrap();
        let DocumentOperations::Single(operation) = &document.operations else {
            panic!("one operation")
        };
        let variables = variables.as_object().cloned().unwrap_or_default();
        Compiler::new(&document, &operation.node, variables, &Readings::default())
            .compile()
            .map_err(|problems| problems.into_iter().map(|p| p.message).collect())
    }

    fn complaint(text: &str) -> String {
        compile(text, &json!({})).unwrap_err().join("; ")
    }

    #[test]
    fn aliases_variables_and_fragments_compile() {
        let text = "query($q: String = \"active=true\", $full: Boolean!) {
            a: users(query: $q) { ...U key: riskAssessUser roles @include(if: $full) { id } }
            user(id: \"4294967313\") { __typename id roles { id } roles { name } } }
            fragment U on User { id userGroups { id name } ... on User { email @skip(if: true) } }";
        let operation = compile(text, &json!({ "full": true })).unwrap();
        let [
            (first, Root::List { query, plan, .. }),
            (_, Root::Single { id, plan: single, .. }),
        ] = &operation.roots[..]
        else {
            panic!("{:?}", operation.roots)
        };
        assert_eq!(
            (first.as_str(), query.as_str(), *id),
            ("a", "active=true", 4_294_967_313)
        );
        let keys: Vec<&str> = plan.items.iter().map(|item| item.key.as_ref()).collect();
        assert_eq!(keys, ["id", "userGroups", "key", "roles"]);
        let Source::Nested(_, roles) = &single.items[2].source else {
            panic!("roles")
        };
        assert_eq!(roles.items.len(), 2, "selections of one field are joined");
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            (
                "{ persons { id } }",
                "Field 'persons' doesn't exist on type 'Query'",
            ),
            (
                "{ users { shoeSize } }",
                "Field 'shoeSize' doesn't exist on type 'User'",
            ),
            ("{ users { risk_assess_user } }", "doesn't exist on type 'User'"),
            (
                "{ users { customFields { site { id } } } }",
                "doesn't exist on type 'User'",
            ),
            (
                "{ users(first: 5) { id } }",
                "Field 'users' doesn't accept argument 'first'",
            ),
            (
                "{ users(Query: \"id=1\") { id } }",
                "doesn't accept argument 'Query'",
            ),
            ("{ users(query: 5) { id } }", "Expected type 'String'"),
            (
                "{ users { roles(first: 1) { id } } }",
                "doesn't accept argument 'first'",
            ),
            ("{ users { roles } }", "must have selections"),
            ("{ users { id { x } } }", "Selections can't be made on scalars"),
            ("{ user { id } }", "missing required arguments: id"),
            (
                "{ users(query: $q) { id } }",
                "Variable $q is used but not declared",
            ),
            (
                "query($q: String!) { users(query: $q) { id } }",
                "Variable $q of type String!",
            ),
            ("{ users { ...Nope } }", "Fragment Nope was used, but not defined"),
            ("{ users { ... on Role { id } } }", "can't be spread inside User"),
            ("{ users { x: id x: email } }", "field conflict"),
            (
                "{ users { ...R } } fragment R on User { id ...R }",
                "nested too deeply",
            ),
        ] {
            let said = complaint(text);
            assert!(said.contains(part), "{text}: {said}");
        }
    }

    #[test]
    fn hidden_elements_do_not_exist() {
        let mut readings = Readings::default();
        readings.hidden.graphql = vec!["risk-assess-user".into()];
        let document = async_graphql_parser::parse_query("{ users { riskAssessUser } }").unwrap();
        let DocumentOperations::Single(operation) = &document.operations else {
            panic!("one operation")
        };
        assert!(
            Compiler::new(&document, &operation.node, Map::new(), &readings)
                .compile()
                .is_err()
        );
    }
}
