//! Decoding Coupa's JSON: REST lists and objects, GraphQL answers, and the rows in them.
//!
//! Invariant: an error names the path of the field and never its value; `null` and an object where a list belongs are errors, at
//! the top; rows have no `Debug`, since they hold personal values.

mod element;
mod profile;
mod scalar;
#[cfg(test)]
mod tests;
mod thing;
mod user;

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::trouble::{Object, Trouble};

pub(crate) use element::{ACTIVE, Field, List, Part, Parts, Plain};
pub(crate) use scalar::Flag;
pub(crate) use thing::{FieldDescription, GroupRow, MembershipRow, Numbered, RoleRow, Row, TypeDescription};
pub(crate) use user::UserRow;

/// Decodes a REST answer.
pub(crate) fn rest<T: DeserializeOwned>(body: &[u8], object: Object) -> Result<T, Trouble> {
    decode(body, |path| match path {
        "." => object.root().to_owned(),
        _ if path.starts_with('[') => format!("{}{path}", object.root()),
        _ => format!("{}.{path}", object.root()),
    })
}

/// The number of the object in the answer to a write; `None` if the answer is empty or tells none. What is no JSON, or only the
/// beginning of it, is an error.
pub(crate) fn number_in(body: &[u8]) -> Result<Option<u64>, Trouble> {
    if body.trim_ascii().is_empty() {
        return Ok(None);
    }
    decode::<IgnoredAny>(body, str::to_owned)?;
    let object = decode::<Numbered>(body, str::to_owned);
    Ok(object.ok().map(|object| object.id()))
}

/// A nested list of the user in the answer to a write, where the answer shows it.
pub(crate) fn list_in(body: &[u8], list: List) -> Option<Vec<u64>> {
    let user = decode::<UserRow>(body, str::to_owned).ok()?;
    user.list(list).map(<[u64]>::to_vec)
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
