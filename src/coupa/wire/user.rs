//! A row of users: what one answer says about one user, and the user it amounts to.
//!
//! Invariant: a row tells "not said" from "empty"; rows of one user from both surfaces can be put together element by element.

use std::fmt;

use jiff::Timestamp;
use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::coupa::licenses::dashed;
use crate::model::access::{Access, LicenseCatalog, LicenseSet};
use crate::model::id::{GroupId, RoleId, UserId};
use crate::model::tenant::{ClassMarks, User};

use super::element::{ACTIVE, Field, List, Plain, Whole};
use super::scalar::{Flag, Id, Text};

/// What an answer says about a user: only what was asked for and shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct UserRow {
    pub(crate) id: u64,
    plain: [Option<Box<str>>; Plain::COUNT],
    lists: [Option<Vec<u64>>; List::ALL.len()],
    flags: Vec<(Box<str>, Flag)>,
    /// Objects as they came; the listings that do not need them do not look into them.
    objects: [Option<Value>; 2],
}

impl UserRow {
    pub(crate) const fn new(id: u64) -> Self {
        Self {
            id,
            plain: [const { None }; Plain::COUNT],
            lists: [const { None }; List::ALL.len()],
            flags: Vec::new(),
            objects: [const { None }; 2],
        }
    }

    /// When the user was last changed, if the row tells; or the name of the element that cannot be understood.
    pub(crate) fn updated_at(&self) -> Result<Option<Timestamp>, Box<str>> {
        self.time(Plain::UpdatedAt)
    }

    pub(super) fn time(&self, plain: Plain) -> Result<Option<Timestamp>, Box<str>> {
        let text = self.plain(plain);
        text.map(|text| timestamp(text).ok_or_else(|| plain.name().into()))
            .transpose()
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
            Field::Object(parts) => self.object(parts.whole()).is_some(),
        }
    }

    /// An object; `None` for `null` or a key that is not there.
    pub(super) fn object(&self, whole: Whole) -> Option<&Value> {
        self.objects[whole as usize].as_ref()
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
                Field::Object(parts) => {
                    let at = parts.whole() as usize;
                    self.objects[at] = other.objects[at].take();
                }
            }
        }
    }

    /// The user, or the name of the element that cannot be understood. A nested list that is not there counts as empty: the
    /// caller has made sure that it is.
    pub(crate) fn into_user(mut self, catalog: &LicenseCatalog) -> Result<User, Box<str>> {
        let id = UserId::new(self.id).ok_or("id")?;
        let active = self.active()?;
        let access = self.access(catalog)?;
        let marks = self.marks()?;
        let manager = self.plain(Plain::Manager).map(str::parse).transpose();
        let created_at = self.time(Plain::CreatedAt)?;
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
            created_at,
            // Whole objects show it, but a listing must not tell more of some tenants than of others.
            updated_at: None,
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

    pub(super) fn active(&self) -> Result<bool, Box<str>> {
        match self.flag(ACTIVE) {
            Flag::True => Ok(true),
            Flag::False => Ok(false),
            Flag::Null | Flag::Odd => Err(ACTIVE.into()),
        }
    }

    pub(super) fn marks(&self) -> Result<ClassMarks, Box<str>> {
        let is_first_account = self.id == 1 && self.plain(Plain::Login) == Some("coupasupport");
        Ok(ClassMarks {
            api_user: self.held("api-user")?,
            supplier_user: self.held("supplier-user")? || self.plain(Plain::SupplierId).is_some(),
            support_user: self.held("support-user")? || is_first_account,
            msp_user: self.held("msp-user")?,
        })
    }

    pub(super) fn held(&self, name: &str) -> Result<bool, Box<str>> {
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
        } else if let Some(whole) = Whole::named(key) {
            self.objects[whole as usize] = map.next_value::<Option<Value>>()?;
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
fn timestamp(text: &str) -> Option<Timestamp> {
    if let Ok(timestamp) = text.parse() {
        return Some(timestamp);
    }
    let date: jiff::civil::DateTime = text.parse().ok()?;
    Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
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
