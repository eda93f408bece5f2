//! From rows to JSON: a [`Plan`] says which attributes under which keys, [`Object`] and [`Page`] write it.
//!
//! Invariant: REST whole objects, REST `fields` and GraphQL selections all become a plan and are written by the same code.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::Value;

use super::readings::{CountryForm, EmptyList, IdForm, KeyForm, Presence, Readings, Surface};
use super::schema::{Attribute, Handle, Kind, Leaf, Shown, Type, country_text, same_name};
use super::tenant::{TWO_SPELLINGS, Tenant};

/// What is written of an object.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    pub(super) items: Vec<Item>,
}

/// One key of an object.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) key: Cow<'static, str>,
    pub(super) source: Source,
}

/// Where a key's value comes from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Leaf(&'static Attribute),
    Nested(&'static Attribute, Plan),
    /// The GraphQL type name.
    Typename(&'static str),
}

/// The readings that shape what is written.
#[derive(Debug, Clone)]
pub(super) struct Style {
    empty_list: EmptyList,
    cut: Option<usize>,
    ids: IdForm,
    country: CountryForm,
}

/// Whether the answer is a page of rows or one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    List,
    Single,
}

impl Style {
    pub(super) fn new(readings: &Readings, surface: Surface, call: Call) -> Self {
        let cut = match call {
            Call::List => &readings.nested_cut,
            Call::Single => &readings.nested_cut_single,
        };
        let empty_list = match (surface, *readings.empty_list.on(surface)) {
            (Surface::Graphql, EmptyList::Omitted) => EmptyList::Null,
            (_, form) => form,
        };
        Self {
            empty_list,
            cut: *cut.on(surface),
            ids: *readings.ids.on(surface),
            country: *readings.country.on(surface),
        }
    }
}

/// Whether a surface shows an attribute at all.
pub(super) fn is_visible(ty: Type, attribute: &Attribute, readings: &Readings, surface: Surface) -> bool {
    let hidden = readings
        .hidden
        .on(surface)
        .iter()
        .any(|name| same_name(name, attribute.name));
    let subtype = ty == Type::User && attribute.name == "type";
    !hidden && (!subtype || *readings.user_type.on(surface) == Presence::Present)
}

fn rest_key(attribute: &Attribute, readings: &Readings) -> Cow<'static, str> {
    if readings.license_keys == KeyForm::Underscored && TWO_SPELLINGS.contains(&attribute.name) {
        attribute.name.replace('-', "_").into()
    } else {
        attribute.name.into()
    }
}

impl Plan {
    /// The REST object as it comes without `fields`.
    pub(super) fn whole(ty: Type, readings: &Readings) -> Self {
        Self::shown(ty, readings, |shown| shown != Shown::OnRequest)
    }

    /// The same without nested lists.
    pub(super) fn without_lists(mut self) -> Self {
        let is_list =
            |item: &Item| matches!(&item.source, Source::Nested(a, _) if matches!(a.kind, Kind::Many(..)));
        self.items.retain(|item| !is_list(item));
        self
    }

    /// The REST object as it stands inside another.
    pub(super) fn inner(ty: Type, readings: &Readings) -> Self {
        Self::shown(ty, readings, |shown| shown == Shown::Always)
    }

    fn shown(ty: Type, readings: &Readings, wanted: fn(Shown) -> bool) -> Self {
        let items = ty
            .attributes()
            .iter()
            .filter(|a| wanted(a.shown) && is_visible(ty, a, readings, Surface::Rest))
            .map(|a| Item::rest(a, readings, None));
        Self {
            items: items.collect(),
        }
    }

    /// The REST projection `fields=["id",{"roles":["id"]}]`; names nobody knows are passed over. `None` if it is no list.
    pub(super) fn projected(ty: Type, fields: &str, readings: &Readings) -> Option<Self> {
        let fields: Value = serde_json::from_str(fields).ok()?;
        Some(Self::from_fields(ty, fields.as_array()?, readings))
    }

    fn from_fields(ty: Type, fields: &[Value], readings: &Readings) -> Self {
        let mut plan = Self::default();
        for field in fields {
            match field {
                Value::String(name) => plan.add_field(ty, name, None, readings),
                Value::Object(nested) => {
                    for (name, inner) in nested {
                        plan.add_field(ty, name, inner.as_array(), readings);
                    }
                }
                _ => {}
            }
        }
        plan
    }

    fn add_field(&mut self, ty: Type, name: &str, nested: Option<&Vec<Value>>, readings: &Readings) {
        let visible = |a: &&'static Attribute| is_visible(ty, a, readings, Surface::Rest);
        if let Some(attribute) = ty.attribute(name).filter(visible) {
            let item = Item::rest(attribute, readings, nested);
            if self.items.iter().all(|other| other.key != item.key) {
                self.items.push(item);
            }
        }
    }
}

impl Item {
    fn rest(attribute: &'static Attribute, readings: &Readings, nested: Option<&Vec<Value>>) -> Self {
        let source = match (attribute.target(), nested) {
            (None, _) => Source::Leaf(attribute),
            (Some(target), None) => Source::Nested(attribute, Plan::inner(target, readings)),
            (Some(target), Some(fields)) => {
                Source::Nested(attribute, Plan::from_fields(target, fields, readings))
            }
        };
        Self {
            key: rest_key(attribute, readings),
            source,
        }
    }
}

/// One object, ready to be serialised.
#[derive(Clone, Copy)]
pub(super) struct Object<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) plan: &'a Plan,
    pub(super) style: &'a Style,
    pub(super) row: Handle,
}

/// Several objects of one plan.
#[derive(Clone, Copy)]
pub(super) struct Page<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) plan: &'a Plan,
    pub(super) style: &'a Style,
    pub(super) rows: &'a [Handle],
}

impl Serialize for Page<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let &Self {
            tenant,
            plan,
            style,
            rows,
        } = self;
        let mut list = serializer.serialize_seq(Some(rows.len()))?;
        for &row in rows {
            list.serialize_element(&Object {
                tenant,
                plan,
                style,
                row,
            })?;
        }
        list.end()
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for item in &self.plan.items {
            match &item.source {
                Source::Typename(name) => map.serialize_entry(&item.key, name)?,
                Source::Leaf(attribute) => self.write_leaf(&mut map, &item.key, attribute)?,
                Source::Nested(attribute, plan) => self.write_nested(&mut map, &item.key, attribute, plan)?,
            }
        }
        map.end()
    }
}

impl Object<'_> {
    fn write_leaf<M: SerializeMap>(
        &self,
        map: &mut M,
        key: &str,
        attribute: &Attribute,
    ) -> Result<(), M::Error> {
        match (
            attribute.leaf(self.tenant, self.row),
            attribute.kind,
            self.style.ids,
        ) {
            (Some(Leaf::Integer(id)), Kind::Id(_), IdForm::Text) => map.serialize_entry(key, &id.to_string()),
            (Some(Leaf::Integer(n)), _, _) => map.serialize_entry(key, &n),
            (Some(Leaf::Flag(flag)), _, _) => map.serialize_entry(key, &flag),
            (Some(Leaf::Text(text)), _, _) => map.serialize_entry(key, &text),
            (Some(Leaf::Time(seconds)), _, _) => map.serialize_entry(key, &stamp(seconds)),
            (Some(Leaf::Null) | None, _, _) => map.serialize_entry(key, &()),
        }
    }

    fn write_nested<M: SerializeMap>(
        &self,
        map: &mut M,
        key: &str,
        attribute: &Attribute,
        plan: &Plan,
    ) -> Result<(), M::Error> {
        let &Self { tenant, style, .. } = self;
        match attribute.kind {
            Kind::One(Type::Country, read) if style.country != CountryForm::Object => {
                let text = read(tenant, self.row).and_then(|row| country_text(tenant, row, style.country));
                map.serialize_entry(key, &text)
            }
            Kind::One(_, read) => {
                let object = read(tenant, self.row).map(|row| Object {
                    tenant,
                    plan,
                    style,
                    row,
                });
                map.serialize_entry(key, &object)
            }
            Kind::Many(_, read) => {
                let mut rows = read(tenant, self.row);
                rows.truncate(style.cut.unwrap_or(usize::MAX));
                match (rows.is_empty(), style.empty_list) {
                    (true, EmptyList::Omitted) => Ok(()),
                    (true, EmptyList::Null) => map.serialize_entry(key, &()),
                    _ => map.serialize_entry(
                        key,
                        &Page {
                            tenant,
                            plan,
                            style,
                            rows: &rows,
                        },
                    ),
                }
            }
            _ => Ok(()),
        }
    }
}

/// Coupa's form of an instant, in the tenant's own offset: `2024-03-25T18:38:00-07:00`.
pub(super) fn stamp(seconds: i64) -> String {
    let offset = jiff::tz::TimeZone::fixed(jiff::tz::offset(-7));
    let instant = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    instant
        .to_zoned(offset)
        .strftime("%Y-%m-%dT%H:%M:%S%:z")
        .to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use serde_json::json;

    use super::*;
    use crate::sandbox::SandboxConfig;
    use crate::sandbox::readings::PerSurface;

    fn written(row: u64, fields: Option<&str>, readings: &Readings, call: Call) -> Value {
        let tenant = Tenant::grow(&SandboxConfig {
            users: 200,
            ..SandboxConfig::default()
        });
        let plan = fields.map_or_else(
            || Plan::whole(Type::User, readings),
            |f| Plan::projected(Type::User, f, readings).unwrap(),
        );
        let style = Style::new(readings, Surface::Rest, call);
        serde_json::to_value(Object {
            tenant: &tenant,
            plan: &plan,
            style: &style,
            row,
        })
        .unwrap()
    }

    const FIELDS: &str = r#"["id","updated_at","no-such",{"roles":["id","nope"]},{"user-groups":["id"]},7]"#;

    #[test]
    fn fields_project_with_nesting_and_ignore_the_unknown() {
        let user = written(4, Some(FIELDS), &Readings::default(), Call::List);
        let keys: Vec<&str> = user.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys.len(), 4, "{keys:?}");
        assert_eq!(user["roles"], json!([]));
        assert!(user["updated-at"].as_str().unwrap().ends_with("-07:00"));
        let many = written(7, Some(FIELDS), &Readings::default(), Call::List);
        assert!(many["roles"].as_array().unwrap().len() >= 18);
        assert_eq!(many["roles"][0].as_object().unwrap().len(), 1);
        assert!(Plan::projected(Type::User, "id,login", &Readings::default()).is_none());
    }

    #[test]
    fn whole_objects_are_rich() {
        let user = written(30, None, &Readings::default(), Call::List);
        for key in [
            "default-address",
            "manager",
            "custom-fields",
            "default-locale",
            "quality-user",
            "api-user",
            "created-by",
        ] {
            assert!(user.get(key).is_some(), "{key}");
        }
        assert!(user.get("type").is_none() && user.get("avatar-thumb-url").is_none());
        assert!(user.to_string().len() > 3_000);
    }

    #[test]
    fn readings_shape_what_is_written() {
        let mut readings = Readings {
            license_keys: KeyForm::Underscored,
            ..Readings::default()
        };
        readings.ids.rest = IdForm::Text;
        readings.user_type = PerSurface::both(Presence::Present);
        readings.hidden.rest = vec!["risk-assess-user".into(), "api_user".into()];
        readings.nested_cut.rest = Some(2);
        readings.empty_list.rest = EmptyList::Omitted;
        let user = written(7, None, &readings, Call::List);
        assert_eq!(user["id"].as_str().map(str::is_empty), Some(false));
        assert!(user.get("treasury_user").is_some() && user.get("treasury-user").is_none());
        assert!(user.get("purchasing-user").is_some());
        assert!(user.get("type").is_some());
        assert!(user.get("risk-assess-user").is_none() && user.get("api-user").is_none());
        assert_eq!(user["roles"].as_array().unwrap().len(), 2);
        assert!(
            written(7, None, &readings, Call::Single)["roles"]
                .as_array()
                .unwrap()
                .len()
                > 2
        );
        assert!(
            written(4, Some(FIELDS), &readings, Call::List)
                .get("roles")
                .is_none()
        );
        readings.empty_list.rest = EmptyList::Null;
        assert_eq!(
            written(4, Some(FIELDS), &readings, Call::List)["roles"],
            Value::Null
        );
    }
}
