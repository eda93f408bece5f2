//! Typed identities. Identity is the Coupa number (64 bits) or the license's dashed REST name, never a display name.
//!
//! Invariant: parsing accepts exactly what `Display` writes (canonical decimal), so an id has one spelling on the wire.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::sync::Arc;

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a canonical positive decimal number of at most 64 bits.
    #[error("not a Coupa id: expected a positive whole number")]
    NotANumber,
    /// Not lower-case letters, digits and dashes.
    #[error("not a license name: expected lower-case letters, digits and dashes")]
    NotALicenseName,
    /// Not letters, digits, `-`, `_`, `.` and `:`.
    #[error("not a request id: expected at most 128 letters, digits, '-', '_', '.' and ':'")]
    NotARequestId,
}

macro_rules! coupa_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(NonZeroU64);

        impl $name {
            /// The id for a Coupa number; `None` for 0, which Coupa never assigns.
            pub const fn new(number: u64) -> Option<Self> {
                match NonZeroU64::new(number) {
                    Some(number) => Some(Self(number)),
                    None => None,
                }
            }

            /// The Coupa number.
            pub const fn get(self) -> u64 {
                self.0.get()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                canonical(text).map(Self)
            }
        }
    };
}

coupa_id!(
    /// A Coupa user.
    UserId
);
coupa_id!(
    /// A Coupa user group (or project).
    GroupId
);
coupa_id!(
    /// A Coupa role.
    RoleId
);

fn canonical(text: &str) -> Result<NonZeroU64, IdError> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if !plain {
        return Err(IdError::NotANumber);
    }
    text.parse().map_err(|_| IdError::NotANumber)
}

/// A license by its dashed REST name, for instance `risk-assess-user`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LicenseName(Arc<str>);

impl LicenseName {
    /// The dashed REST name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LicenseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for LicenseName {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let ok = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.is_empty() || text.len() > 255 || !text.bytes().all(ok) {
            return Err(IdError::NotALicenseName);
        }
        Ok(Self(Arc::from(text)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_has_one_spelling(number in 1u64..) {
            let id = UserId::new(number).unwrap();
            prop_assert_eq!(id.to_string().parse::<UserId>().unwrap(), id);
        }

        #[test]
        fn nothing_else_parses(text in "[-+ 0a-f.]?[0-9]{0,25}[ .a]?") {
            if let Ok(id) = text.parse::<UserId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn odd_spellings_are_refused() {
        for text in [
            "",
            "0",
            "007",
            "+1",
            "-1",
            "1.0",
            " 1",
            "18446744073709551616",
            "abc",
        ] {
            assert_eq!(text.parse::<RoleId>(), Err(IdError::NotANumber), "{text}");
        }
        for text in ["", "risk_assess", "Risk", "a b", "é"] {
            assert!(text.parse::<LicenseName>().is_err(), "{text}");
        }
        assert_eq!(
            "risk-assess-user".parse::<LicenseName>().unwrap().as_str(),
            "risk-assess-user"
        );
    }
}
