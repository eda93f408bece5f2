//! What readiness of a user for Risk Assess is told in: remarks, each by a rule with a source.
//!
//! Invariant: a remark never repeats a value of a person; it gives lengths and positions.

/// How much a remark weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Good to know.
    Info,
    /// By the published import rules Risk Assess may refuse or cut it; that the native sync does so is likely, not proven.
    Warn,
    /// A fact that speaks against the grant.
    Error,
}

impl Level {
    /// The word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    /// The level of that word.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Info, Self::Warn, Self::Error]
            .into_iter()
            .find(|level| level.name() == name)
    }
}

/// What one rule found at one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Id of the rule, for instance `email-pattern`. Stable: auditors filter by it.
    pub rule: &'static str,
    /// Its weight.
    pub level: Level,
    /// Element in Coupa, as its API names it.
    pub element: &'static str,
    /// Column in Risk Assess, or empty.
    pub column: &'static str,
    /// Where the rule comes from.
    pub source: &'static str,
    /// What is so, without values: lower case, no full stop.
    pub text: String,
    /// What to do in Coupa.
    pub fix: &'static str,
}
