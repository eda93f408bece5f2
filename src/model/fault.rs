//! The one vocabulary of failure. Parts that know HTTP, SQL or gRPC turn their errors into a `Fault` at their edge;
//! one function per outward edge turns a fault into a gRPC status or an exit code.
//!
//! Invariant: no text of ours carries a secret or a personal value. `message` and `advice` are for the outside; `detail` is for the log. A
//! quotation of Coupa's own words goes to the outside only. Numeric Coupa ids are not personal values.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;

use super::readiness::Remark;

/// What went wrong, coarse enough that every edge can decide by it alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// Coupa does not accept the client or its token.
    Unauthenticated,
    /// The OAuth client lacks a scope.
    MissingScope {
        /// The scope to add, as Coupa names it.
        scope: Cow<'static, str>,
    },
    /// The platform does not let us do this.
    Forbidden,
    /// The object asked for does not exist.
    NotFound,
    /// The caller's input is wrong.
    Invalid,
    /// The change collides with the state of the object.
    Conflict,
    /// Coupa asks us to wait.
    RateLimited {
        /// When to come back.
        until: Timestamp,
    },
    /// Coupa, or the way to it, does not work now; trying later may help.
    Unavailable,
    /// Coupa accepted a change and did not make it.
    Unchanged,
    /// We will not do this: guard or switched off.
    Refused,
    /// A policy speaks against this change; a person may decide otherwise where a setting exists.
    Declined,
    /// This connector does not offer the operation.
    Unsupported,
    /// What Coupa (or a file) says contradicts itself or cannot be understood; trying again will not help.
    Corrupt,
    /// The work was called off.
    Cancelled,
    /// A mistake of ours, or of this machine.
    Internal,
    /// Somebody else failed and does not say how.
    Unknown,
}

/// A failure with one text for people outside and one for the log.
#[derive(Clone)]
pub struct Fault {
    kind: FaultKind,
    message: Cow<'static, str>,
    quote: Option<Box<str>>,
    advice: Option<Cow<'static, str>>,
    detail: Option<Box<str>>,
    listing: Option<Box<Listing>>,
}

/// What was found, one by one; apart, since a fault travels in every result and hardly one has this.
#[derive(Clone)]
struct Listing(Vec<Remark>);

impl Fault {
    /// A fault that says what is wrong: lower case, no full stop.
    pub fn new(kind: FaultKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            quote: None,
            advice: None,
            detail: None,
            listing: None,
        }
    }

    /// Adds what a person can do about it.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<Cow<'static, str>>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Adds words of Coupa's own, for the person who asked: they may speak of people, so the log does not get them.
    #[must_use]
    pub fn quoting(mut self, words: impl Into<Box<str>>) -> Self {
        self.quote = Some(words.into());
        self
    }

    /// Adds a technical detail for the log, for instance an I/O error.
    #[must_use]
    pub fn because(mut self, detail: impl fmt::Display) -> Self {
        self.detail = Some(match self.detail {
            Some(inner) => format!("{detail}: {inner}").into(),
            None => detail.to_string().into(),
        });
        self
    }

    /// Adds what was found, one by one, for edges that can list it.
    #[must_use]
    pub fn listing(mut self, remarks: Vec<Remark>) -> Self {
        self.listing = Some(Box::new(Listing(remarks)));
        self
    }

    /// Puts what was being done before the message: `context: message`.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message).into();
        self
    }

    /// Shorthand for [`FaultKind::Internal`].
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FaultKind::Internal, message)
    }

    /// Shorthand for [`FaultKind::Invalid`].
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FaultKind::Invalid, message)
    }

    /// Shorthand for [`FaultKind::Corrupt`].
    pub fn corrupt(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FaultKind::Corrupt, message)
    }

    /// Shorthand for [`FaultKind::Unavailable`].
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FaultKind::Unavailable, message)
    }

    /// What went wrong.
    pub const fn kind(&self) -> &FaultKind {
        &self.kind
    }

    /// What went wrong, for a person.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it, for a person.
    pub fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }

    /// What was found, one by one.
    pub fn remarks(&self) -> &[Remark] {
        self.listing.as_ref().map_or(&[], |listing| &listing.0)
    }

    /// Technical detail for the log.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// Whether trying the same again later may succeed.
    pub const fn is_transient(&self) -> bool {
        match self.kind {
            FaultKind::RateLimited { .. } | FaultKind::Unavailable => true,
            FaultKind::Unauthenticated
            | FaultKind::MissingScope { .. }
            | FaultKind::Forbidden
            | FaultKind::NotFound
            | FaultKind::Invalid
            | FaultKind::Conflict
            | FaultKind::Unchanged
            | FaultKind::Refused
            | FaultKind::Declined
            | FaultKind::Unsupported
            | FaultKind::Corrupt
            | FaultKind::Cancelled
            | FaultKind::Internal
            | FaultKind::Unknown => false,
        }
    }
}

/// The text for people: what is wrong, then what to do.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(words) = &self.quote {
            write!(f, ": {words}")?;
        }
        match &self.advice {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

/// Everything but quotations, for the log.
impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)?;
        if let Some(advice) = &self.advice {
            write!(f, "; {advice}")?;
        }
        match &self.detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outside_sees_message_and_advice_only() {
        let fault = Fault::unavailable("Coupa did not answer")
            .advise("check the network")
            .because("os error 111")
            .quoting("Ann is away")
            .context("users");
        assert_eq!(
            fault.to_string(),
            "users: Coupa did not answer: Ann is away; check the network"
        );
        assert!(!format!("{fault:?}").contains("Ann"), "the log knows nobody");
        assert!(format!("{fault:?}").contains("os error 111"));
        assert!(fault.is_transient());
    }
}
