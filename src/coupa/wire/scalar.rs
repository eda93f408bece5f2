//! Numbers, texts and flags in the forms Coupa writes them.
//!
//! Invariant: what has another form is an error, or, for flags, told apart from a flag.

use std::fmt;

use serde::de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A Coupa number, written as a number or as text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(pub(super) u64);

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
pub(super) struct Text(pub(super) Option<Box<str>>);

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
