//! Decoding Coupa's JSON: REST lists and objects, GraphQL answers, and the rows in them.
//!
//! Invariant: an error names the path of the field and never its value; `null` and an object where a list belongs are errors, at
//! the top; rows have no `Debug`, since they hold personal values.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::model::access::{Access, LicenseCatalog, LicenseSet};
use crate::model::id::{GroupId, RoleId, UserId};
use crate::model::tenant::{ClassMarks, Group, GroupKind, Role, User};

use super::licenses::dashed;
use super::trouble::{Object, Trouble};

/// Decodes a REST answer.
pub(crate) fn rest<T: DeserializeOwned>(body: &[u8], object: Object) -> Result<T, Trouble> {
    decode(body, |path| match path {
        "." => object.root().to_owned(),
        _ if path.starts_with('[') => format!("{}{path}", object.root()),
        _ => format!("{}.{path}", object.root()),
    })
}

/// Decodes a GraphQL answer: the value of its one root field. `asked` are the field names the query used.
pub(crate) fn graphql<T: DeserializeOwned>(
    body: &[u8],
    object: Object,
    asked: &[String],
) -> Result<T, Trouble> {
    let path = |path: &str| match path.strip_prefix("data.") {
        Some(inner) => {
            let end = inner.find(['.', '[']).unwrap_or(inner.len());
            format!("{}{}", object.root(), &inner[end..])
        }
        None => object.root().to_owned(),
    };
    let head: Head = decode(body, path)?;
    if let Some(errors) = head.errors.filter(|errors| !errors.is_empty()) {
        return Err(if head.data.is_some() {
            Trouble::GraphqlPartial
        } else {
            Trouble::GraphqlRefused {
                fields: mentioned(&errors, asked),
            }
        });
    }
    decode::<Envelope<T>>(body, path).map(|envelope| envelope.data.0)
}

fn decode<T: DeserializeOwned>(body: &[u8], path: impl Fn(&str) -> String) -> Result<T, Trouble> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let name = |error: &serde_json::Error, at: &str| match error.classify() {
        serde_json::error::Category::Eof => Trouble::CutOff,
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => Trouble::NotJson,
        serde_json::error::Category::Data => Trouble::Shape { path: path(at) },
    };
    let value = serde_path_to_error::deserialize(&mut json).map_err(
        |error: serde_path_to_error::Error<serde_json::Error>| name(error.inner(), &error.path().to_string()),
    )?;
    json.end().map_err(|error| name(&error, "."))?;
    Ok(value)
}

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    errors: Option<Vec<Message>>,
    #[serde(default)]
    data: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    message: Option<String>,
}

/// Our own field names among the words of the messages; the messages themselves may repeat values.
fn mentioned(errors: &[Message], asked: &[String]) -> Vec<String> {
    let is_part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut names: Vec<String> = errors
        .iter()
        .filter_map(|error| error.message.as_deref())
        .flat_map(|text| text.split(|c| !is_part_of_name(c)))
        .filter(|word| asked.iter().any(|name| name == word))
        .map(str::to_owned)
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Envelope<T> {
    data: Data<T>,
}

/// The value of the only root field, whatever its name.
struct Data<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Data<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OnlyField<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OnlyField<T> {
            type Value = Data<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with one field")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Data<T>, A::Error> {
                let (_, value) = map
                    .next_entry::<String, T>()?
                    .ok_or_else(|| de::Error::custom("no field"))?;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Data(value))
            }
        }
        deserializer.deserialize_map(OnlyField(PhantomData))
    }
}

/// A Coupa number, written as a number or as text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id(pub(crate) u64);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Id;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a positive whole number")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Id, E> {
                if number == 0 {
                    return Err(E::custom("not positive"));
                }
                Ok(Id(number))
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Id, E> {
                Err(E::custom("not positive"))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Id, E> {
                let number = text.parse().map_err(|_| E::custom("not a number"))?;
                self.visit_u64(number)
            }
        }
        deserializer.deserialize_any(Number)
    }
}

/// A text or number; empty counts as absent.
struct Text(Option<Box<str>>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalar;
        impl Visitor<'_> for Scalar {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text((!text.is_empty()).then(|| text.into())))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Text, E> {
                Ok(Text(Some(number.to_string().into())))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Text, E> {
                Ok(Text(Some(number.to_string().into())))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Text, E> {
                Ok(Text(None))
            }
        }
        deserializer.deserialize_any(Scalar)
    }
}

/// A flag as Coupa writes flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Flag {
    /// `null`, or not there.
    #[default]
    Null,
    /// `true` or `"true"`.
    True,
    /// `false` or `"false"`.
    False,
    /// Something that is no flag.
    Odd,
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Flag;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a flag")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Flag, E> {
                Ok(if value { Flag::True } else { Flag::False })
            }

            fn visit_str<E>(self, text: &str) -> Result<Flag, E> {
                Ok(match text {
                    "true" => Flag::True,
                    "false" => Flag::False,
                    "" => Flag::Null,
                    _ => Flag::Odd,
                })
            }

            fn visit_unit<E>(self) -> Result<Flag, E> {
                Ok(Flag::Null)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Flag, E> {
                Ok(Flag::Odd)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Flag, E> {
                Ok(Flag::Odd)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Flag, E> {
                Ok(Flag::Odd)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Flag, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Flag::Odd)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Flag, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Flag::Odd)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// An object of which only the number and the name matter.
#[derive(Deserialize)]
struct Reference {
    #[serde(default)]
    id: Option<Id>,
    #[serde(default)]
    name: Option<Text>,
}

/// An entry of a nested list.
#[derive(Deserialize)]
struct Member {
    id: Id,
}

/// The plain elements of a user that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Plain {
    Login,
    Email,
    FirstName,
    LastName,
    FullName,
    EmployeeNumber,
    Manager,
    Department,
    SsoIdentifier,
    AuthenticationMethod,
    CreatedAt,
    SupplierId,
}

impl Plain {
    pub(crate) const ALL: [Self; 12] = [
        Self::Login,
        Self::Email,
        Self::FirstName,
        Self::LastName,
        Self::FullName,
        Self::EmployeeNumber,
        Self::Manager,
        Self::Department,
        Self::SsoIdentifier,
        Self::AuthenticationMethod,
        Self::CreatedAt,
        Self::SupplierId,
    ];

    /// Dashed REST name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Email => "email",
            Self::FirstName => "firstname",
            Self::LastName => "lastname",
            Self::FullName => "fullname",
            Self::EmployeeNumber => "employee-number",
            Self::Manager => "manager",
            Self::Department => "department",
            Self::SsoIdentifier => "sso-identifier",
            Self::AuthenticationMethod => "authentication-method",
            Self::CreatedAt => "created-at",
            Self::SupplierId => "supplier-id",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|plain| plain.name() == name)
    }
}

/// The nested lists of a user that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum List {
    Roles,
    Groups,
}

impl List {
    pub(crate) const ALL: [Self; 2] = [Self::Roles, Self::Groups];

    /// Dashed REST name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Roles => "roles",
            Self::Groups => "user-groups",
        }
    }
}

/// One element of a user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    Plain(Plain),
    List(List),
    /// `active`, a class flag or a license flag, by its dashed name.
    Flag(Box<str>),
}

/// The name of the flag that says whether an account can sign in.
pub(crate) const ACTIVE: &str = "active";

impl Field {
    /// Dashed REST name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Plain(plain) => plain.name(),
            Self::List(list) => list.name(),
            Self::Flag(name) => name,
        }
    }

    /// The one element read of what it leads to, if it leads to other objects.
    pub(crate) const fn inner(&self) -> Option<&'static str> {
        match self {
            Self::Plain(Plain::Manager) | Self::List(_) => Some("id"),
            Self::Plain(Plain::Department) => Some("name"),
            Self::Plain(_) | Self::Flag(_) => None,
        }
    }
}

/// What an answer says about a user: only what was asked for and shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct UserRow {
    pub(crate) id: u64,
    plain: [Option<Box<str>>; Plain::ALL.len()],
    lists: [Option<Vec<u64>>; List::ALL.len()],
    flags: Vec<(Box<str>, Flag)>,
}

impl UserRow {
    pub(crate) const fn new(id: u64) -> Self {
        Self {
            id,
            plain: [const { None }; Plain::ALL.len()],
            lists: [const { None }; List::ALL.len()],
            flags: Vec::new(),
        }
    }

    pub(crate) fn plain(&self, plain: Plain) -> Option<&str> {
        self.plain[plain as usize].as_deref()
    }

    /// A nested list; `None` for `null` or a key that is not there.
    pub(crate) fn list(&self, list: List) -> Option<&[u64]> {
        self.lists[list as usize].as_deref()
    }

    pub(crate) fn set_list(&mut self, list: List, ids: Vec<u64>) {
        self.lists[list as usize] = Some(ids);
    }

    pub(crate) fn flag(&self, name: &str) -> Flag {
        self.flags
            .iter()
            .find(|(known, _)| &**known == name)
            .map_or(Flag::Null, |(_, flag)| *flag)
    }

    /// Every flag that stood in the row.
    pub(crate) fn flags(&self) -> impl Iterator<Item = (&str, Flag)> {
        self.flags.iter().map(|(name, flag)| (&**name, *flag))
    }

    /// Whether the row says something about `field`.
    pub(crate) fn tells(&self, field: &Field) -> bool {
        match field {
            Field::Plain(plain) => self.plain(*plain).is_some(),
            Field::List(list) => self.list(*list).is_some(),
            Field::Flag(name) => self.flag(name) != Flag::Null,
        }
    }

    /// Takes `fields` from another row of the same user.
    pub(crate) fn absorb(&mut self, other: &mut Self, fields: &[Field]) {
        for field in fields {
            match field {
                Field::Plain(plain) => self.plain[*plain as usize] = other.plain[*plain as usize].take(),
                Field::List(list) => self.lists[*list as usize] = other.lists[*list as usize].take(),
                Field::Flag(name) => {
                    let flag = other.flag(name);
                    self.flags.retain(|(known, _)| known != name);
                    self.flags.push((name.clone(), flag));
                }
            }
        }
    }

    /// The user, or the name of the element that cannot be understood. A nested list that is not there counts as empty: the
    /// caller has made sure that it is.
    pub(crate) fn into_user(mut self, catalog: &LicenseCatalog) -> Result<User, Box<str>> {
        let id = UserId::new(self.id).ok_or("id")?;
        let active = match self.flag(ACTIVE) {
            Flag::True => true,
            Flag::False => false,
            Flag::Null | Flag::Odd => return Err(ACTIVE.into()),
        };
        let access = self.access(catalog)?;
        let marks = self.marks()?;
        let manager = self.plain(Plain::Manager).map(str::parse).transpose();
        let mut take = |plain: Plain| self.plain[plain as usize].take();
        Ok(User {
            id,
            login: take(Plain::Login).ok_or(Plain::Login.name())?,
            email: take(Plain::Email),
            first_name: take(Plain::FirstName),
            last_name: take(Plain::LastName),
            full_name: take(Plain::FullName),
            active,
            marks,
            employee_number: take(Plain::EmployeeNumber),
            manager: manager.map_err(|_| Plain::Manager.name())?,
            department: take(Plain::Department),
            sso_identifier: take(Plain::SsoIdentifier),
            authentication_method: take(Plain::AuthenticationMethod),
            created_at: take(Plain::CreatedAt)
                .map(|text| timestamp(&text).ok_or(Plain::CreatedAt.name()))
                .transpose()?,
            access,
        })
    }

    /// What the user holds, under the same conditions as [`Self::into_user`].
    pub(crate) fn access(&self, catalog: &LicenseCatalog) -> Result<Access, Box<str>> {
        let ids = |list| self.list(list).unwrap_or_default().iter();
        let mut licenses = LicenseSet::EMPTY;
        for (position, license) in catalog.iter().enumerate() {
            if self.held(license.name.as_str())? {
                licenses.insert(position);
            }
        }
        Ok(Access::new(
            ids(List::Roles).filter_map(|id| RoleId::new(*id)).collect(),
            ids(List::Groups).filter_map(|id| GroupId::new(*id)).collect(),
            licenses,
        ))
    }

    fn marks(&self) -> Result<ClassMarks, Box<str>> {
        let is_first_account = self.id == 1 && self.plain(Plain::Login) == Some("coupasupport");
        Ok(ClassMarks {
            api_user: self.held("api-user")?,
            supplier_user: self.held("supplier-user")? || self.plain(Plain::SupplierId).is_some(),
            support_user: self.held("support-user")? || is_first_account,
            msp_user: self.held("msp-user")?,
        })
    }

    fn held(&self, name: &str) -> Result<bool, Box<str>> {
        match self.flag(name) {
            Flag::True => Ok(true),
            Flag::False | Flag::Null => Ok(false),
            Flag::Odd => Err(name.into()),
        }
    }
}

impl<'de> Deserialize<'de> for UserRow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Row;
        impl<'de> Visitor<'de> for Row {
            type Value = UserRow;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a user")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UserRow, A::Error> {
                let mut row = UserRow::new(0);
                while let Some(key) = map.next_key::<String>()? {
                    row.take(&dashed(&key), &mut map)?;
                }
                if row.id == 0 {
                    return Err(de::Error::missing_field("id"));
                }
                Ok(row)
            }
        }
        deserializer.deserialize_map(Row)
    }
}

impl UserRow {
    /// Reads the value of one key.
    fn take<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        if key == "id" {
            self.id = map.next_value::<Id>()?.0;
        } else if let Some(plain) = Plain::named(key) {
            self.plain[plain as usize] = match plain {
                Plain::Manager => map
                    .next_value::<Option<Reference>>()?
                    .and_then(|manager| Some(manager.id?.0.to_string().into())),
                Plain::Department => map
                    .next_value::<Option<Reference>>()?
                    .and_then(|department| department.name?.0),
                _ => map.next_value::<Text>()?.0,
            };
        } else if let Some(list) = List::ALL.into_iter().find(|list| list.name() == key) {
            let members = map.next_value::<Option<Vec<Member>>>()?;
            self.lists[list as usize] =
                members.map(|members| members.iter().map(|member| member.id.0).collect());
        } else if key == ACTIVE || key.ends_with("-user") {
            let flag = map.next_value()?;
            self.flags.push((key.into(), flag));
        } else {
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// A date with a zone, or, as Coupa reads them, without one in UTC.
fn timestamp(text: &str) -> Option<jiff::Timestamp> {
    if let Ok(timestamp) = text.parse() {
        return Some(timestamp);
    }
    let date: jiff::civil::DateTime = text.parse().ok()?;
    Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// A row of a collection other than users.
pub(crate) trait Row: DeserializeOwned {
    /// What it becomes.
    type Thing;

    /// Coupa number.
    fn id(&self) -> u64;

    /// The thing, or the name of the element that cannot be understood.
    fn into_thing(self) -> Result<Self::Thing, &'static str>;
}

/// A row of user groups.
#[derive(Deserialize)]
pub(crate) struct GroupRow {
    id: Id,
    #[serde(default)]
    name: Option<Text>,
    #[serde(default)]
    description: Option<Text>,
    #[serde(default)]
    active: Flag,
    #[serde(default, rename = "type")]
    kind: Option<Text>,
    #[serde(default, rename = "can-approve", alias = "can_approve", alias = "canApprove")]
    can_approve: Flag,
    #[serde(default)]
    open: Flag,
}

impl Row for GroupRow {
    type Thing = Group;

    fn id(&self) -> u64 {
        self.id.0
    }

    fn into_thing(self) -> Result<Group, &'static str> {
        Ok(Group {
            id: GroupId::new(self.id.0).ok_or("id")?,
            name: self.name.and_then(|name| name.0).ok_or("name")?,
            description: self.description.and_then(|text| text.0),
            // A surface that does not show the mark shows the group all the same.
            active: self.active != Flag::False,
            kind: match self.kind.and_then(|kind| kind.0) {
                None => GroupKind::Group,
                Some(kind) if &*kind == "Project" => GroupKind::Project,
                Some(kind) => GroupKind::Other(kind),
            },
            can_approve: self.can_approve == Flag::True,
            open: self.open == Flag::True,
        })
    }
}

/// A row of roles.
#[derive(Deserialize)]
pub(crate) struct RoleRow {
    id: Id,
    #[serde(default)]
    name: Option<Text>,
    #[serde(default)]
    description: Option<Text>,
    #[serde(default)]
    omnipotent: Flag,
    #[serde(default, rename = "system-role", alias = "system_role", alias = "systemRole")]
    system: Flag,
}

impl Row for RoleRow {
    type Thing = Role;

    fn id(&self) -> u64 {
        self.id.0
    }

    fn into_thing(self) -> Result<Role, &'static str> {
        Ok(Role {
            id: RoleId::new(self.id.0).ok_or("id")?,
            name: self.name.and_then(|name| name.0).ok_or("name")?,
            description: self.description.and_then(|text| text.0),
            omnipotent: self.omnipotent == Flag::True,
            system: self.system == Flag::True,
        })
    }
}

/// The answer to the introspection of a type; `None` where the schema has no such type.
#[derive(Deserialize)]
pub(crate) struct TypeDescription {
    pub(crate) fields: Vec<FieldDescription>,
}

/// One field of a described type.
#[derive(Deserialize)]
pub(crate) struct FieldDescription {
    pub(crate) name: String,
    #[serde(default, rename = "type")]
    ty: Option<TypeReference>,
}

#[derive(Deserialize)]
struct TypeReference {
    #[serde(default)]
    name: Option<String>,
    #[serde(default, rename = "ofType")]
    inner: Option<Box<TypeReference>>,
}

impl FieldDescription {
    /// Whether the field holds a flag, as far as the description goes.
    pub(crate) fn may_be_flag(&self) -> bool {
        let mut ty = self.ty.as_ref();
        while let Some(reference) = ty {
            if let Some(name) = &reference.name {
                return name == "Boolean";
            }
            ty = reference.inner.as_deref();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn users(body: &str) -> Result<Vec<UserRow>, Trouble> {
        rest(body.as_bytes(), Object::Users)
    }

    fn path_of(trouble: Trouble) -> String {
        match trouble {
            Trouble::Shape { path } => path,
            other => panic!("{other}"),
        }
    }

    fn failing_path(body: &str) -> String {
        path_of(users(body).err().expect("an error"))
    }

    fn catalog(names: &[&str]) -> LicenseCatalog {
        super::super::licenses::catalog(&names.iter().map(|name| Box::from(*name)).collect()).unwrap()
    }

    const FULL: &str = r#"[{"id":"4294967297","login":"zoë","email":"","firstname":"Zoë","lastname":null,"fullname":"Zoë Ü",
        "active":"true","employee-number":7,"manager":{"id":3,"login":"x"},"department":{"name":"Süd","id":1},
        "sso_identifier":"s","authentication-method":"saml","created-at":"2010-03-25T18:38:00-07:00","supplier-id":null,
        "roles":[{"id":2,"name":"User"},{"id":"1"}],"user_groups":[],"risk-assess-user":true,"treasury_user":"false",
        "purchasing-user?":true,"api-user":null,"custom-fields":{"shoe-user":{"deep":[1]}},"moon-user":{"x":1}}]"#;

    #[test]
    fn a_full_row_in_mixed_spelling() {
        let rows = users(FULL).unwrap();
        let catalog = catalog(&["risk-assess-user", "treasury-user"]);
        let user = rows.into_iter().next().unwrap().into_user(&catalog).unwrap();
        assert_eq!(user.id.get(), 4_294_967_297);
        assert_eq!(&*user.login, "zoë");
        assert_eq!(user.email, None);
        assert_eq!(user.employee_number.as_deref(), Some("7"));
        assert_eq!(user.manager.unwrap().get(), 3);
        assert_eq!(user.department.as_deref(), Some("Süd"));
        assert_eq!(user.sso_identifier.as_deref(), Some("s"));
        assert_eq!(user.created_at.unwrap().to_string(), "2010-03-26T01:38:00Z");
        assert!(user.active && user.marks == ClassMarks::default());
        let held: Vec<_> = user.access.roles().iter().map(|role| role.get()).collect();
        assert_eq!(held, [1, 2]);
        assert!(user.access.groups().is_empty());
        assert_eq!(user.access.licenses.positions().collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn the_same_row_from_graphql() {
        let body = r#"{"data":{"users":[{"id":5,"login":"a","active":false,"apiUser":true,"userGroups":[{"id":9}],
            "roles":null,"clmAdvancedUser":true}]}}"#;
        let rows: Vec<UserRow> = graphql(body.as_bytes(), Object::Users, &[]).unwrap();
        assert_eq!(rows[0].list(List::Groups), Some(&[9][..]));
        assert_eq!(rows[0].list(List::Roles), None);
        assert_eq!(rows[0].flag("clm-advanced-user"), Flag::True);
        assert_eq!(rows[0].flag("api-user"), Flag::True);
    }

    #[test]
    fn errors_name_the_path() {
        for (body, path) in [
            ("null", "users"),
            ("{}", "users"),
            (r#"{"errors":"x"}"#, "users"),
            ("[1]", "users[0]"),
            (r#"[{"login":"a"}]"#, "users[0]"),
            (r#"[{"id":1},{"id":-2}]"#, "users[1].id"),
            (r#"[{"id":0}]"#, "users[0].id"),
            (r#"[{"id":1.5}]"#, "users[0].id"),
            (
                r#"[{"id":1},{"id":2},{"id":3},{"id":4,"roles":{"id":1}}]"#,
                "users[3].roles",
            ),
            (
                r#"[{"id":1,"roles":[{"id":1},{"name":"x"}]}]"#,
                "users[0].roles[1]",
            ),
            (r#"[{"id":1,"user-groups":[null]}]"#, "users[0].user-groups[0]"),
            (r#"[{"id":1,"login":["a"]}]"#, "users[0].login"),
        ] {
            assert_eq!(failing_path(body), path, "{body}");
        }
        for (body, path) in [
            (r#"{"data":null}"#, "users"),
            (r#"{"data":{}}"#, "users"),
            (r#"{"data":{"users":null}}"#, "users"),
            (r#"{"data":{"users":[{"id":1,"roles":3}]}}"#, "users[0].roles"),
        ] {
            let result: Result<Vec<UserRow>, _> = graphql(body.as_bytes(), Object::Users, &[]);
            assert_eq!(path_of(result.err().unwrap()), path, "{body}");
        }
    }

    #[test]
    fn what_a_user_must_have_is_named() {
        let missing = |body: &str| {
            let row = users(body).unwrap().remove(0);
            row.into_user(&catalog(&["risk-assess-user"]))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(missing(r#"[{"id":1,"login":"a"}]"#), "active");
        assert_eq!(missing(r#"[{"id":1,"login":"a","active":null}]"#), "active");
        assert_eq!(missing(r#"[{"id":1,"active":true}]"#), "login");
        assert_eq!(
            missing(r#"[{"id":1,"login":"a","active":true,"risk-assess-user":"maybe"}]"#),
            "risk-assess-user"
        );
        assert_eq!(
            missing(r#"[{"id":1,"login":"a","active":true,"created-at":"yesterday"}]"#),
            "created-at"
        );
    }

    #[test]
    fn classes_are_read_from_marks() {
        let marks = |body: &str| users(body).unwrap().remove(0).marks().unwrap();
        assert!(marks(r#"[{"id":1,"login":"coupasupport"}]"#).support_user);
        assert!(!marks(r#"[{"id":2,"login":"coupasupport"}]"#).support_user);
        assert!(marks(r#"[{"id":2,"supplier-id":44}]"#).supplier_user);
        assert!(marks(r#"[{"id":2,"supplier-user":"true"}]"#).supplier_user);
        assert!(marks(r#"[{"id":2,"msp_user":true}]"#).msp_user);
    }

    #[test]
    fn broken_bodies_are_told_apart() {
        assert!(matches!(users(r#"[{"id":1"#).err(), Some(Trouble::CutOff)));
        assert!(matches!(users("").err(), Some(Trouble::CutOff)));
        assert!(matches!(users("<html>").err(), Some(Trouble::NotJson)));
        assert!(matches!(users("[] x").err(), Some(Trouble::NotJson)));
    }

    #[test]
    fn graphql_errors_come_before_data() {
        let ask = |body: &str| -> Trouble {
            let asked = ["riskAssessUser".to_owned(), "login".to_owned()];
            graphql::<Vec<UserRow>>(body.as_bytes(), Object::Users, &asked)
                .err()
                .unwrap()
        };
        let refused =
            ask(r#"{"errors":[{"message":"Field 'riskAssessUser' doesn't exist on type 'User'"}]}"#);
        assert!(matches!(refused, Trouble::GraphqlRefused { fields } if fields == ["riskAssessUser"]));
        let refused = ask(r#"{"data":null,"errors":[{"message":"sentinel"}]}"#);
        assert!(matches!(refused, Trouble::GraphqlRefused { fields } if fields.is_empty()));
        let partial = ask(r#"{"data":{"users":[null]},"errors":[{}]}"#);
        assert!(matches!(partial, Trouble::GraphqlPartial));
    }

    #[test]
    fn groups_and_roles() {
        let body = r#"[{"id":7,"name":"A","active":false,"type":"","can-approve":true,"open":null},
            {"id":"8","name":"B","type":"Project"},{"id":9,"name":"C","type":"Pool"}]"#;
        let groups: Vec<GroupRow> = rest(body.as_bytes(), Object::Groups).unwrap();
        let groups: Vec<Group> = groups.into_iter().map(|row| row.into_thing().unwrap()).collect();
        assert!(!groups[0].active && groups[0].can_approve && !groups[0].open);
        assert_eq!(groups[0].kind, GroupKind::Group);
        assert_eq!(groups[1].kind, GroupKind::Project);
        assert_eq!(groups[2].kind, GroupKind::Other("Pool".into()));
        let body = r#"{"data":{"roles":[{"id":1,"name":"Admin","omnipotent":true,"systemRole":true,"description":null}]}}"#;
        let roles: Vec<RoleRow> = graphql(body.as_bytes(), Object::Roles, &[]).unwrap();
        let role = roles.into_iter().next().unwrap().into_thing().unwrap();
        assert!(role.omnipotent && role.system && role.description.is_none());
    }

    #[test]
    fn only_boolean_fields_can_be_flags() {
        let body = r#"{"data":{"__type":{"fields":[{"name":"aUser","type":{"kind":"SCALAR","name":"Boolean"}},
            {"name":"bUser","type":{"name":null,"ofType":{"name":"Boolean"}}},{"name":"cUser","type":{"name":"User"}},
            {"name":"dUser"}]}}}"#;
        let ty: Option<TypeDescription> = graphql(body.as_bytes(), Object::Schema, &[]).unwrap();
        let flags: Vec<bool> = ty
            .unwrap()
            .fields
            .iter()
            .map(FieldDescription::may_be_flag)
            .collect();
        assert_eq!(flags, [true, true, false, true]);
    }
}
