//! What a rule is, and how it speaks.
//!
//! Invariant: a remark has everything of its rule but what was found, and that gives counts, places and ids, never a value.

use crate::model::id::UserId;
use crate::model::profile::Profile;
use crate::model::readiness::{Level, Remark};

use super::twins::Twins;

/// One rule.
pub struct Rule {
    /// Its stable id.
    pub id: &'static str,
    /// What breaking it weighs.
    pub level: Level,
    /// Element in Coupa, as its API names it.
    pub element: &'static str,
    /// Column in Risk Assess, or empty.
    pub column: &'static str,
    /// Where it comes from: a document of Coupa's (`D501`), a seed (`S1`), a public page (`SP`), or `I` for an inference.
    pub source: &'static str,
    /// What must be so.
    pub what: &'static str,
    /// What to do in Coupa if it is not.
    pub fix: &'static str,
    /// How it is checked.
    pub(super) check: Check,
}

/// An element of a user.
type Element = fn(&Profile) -> Option<&str>;

/// How a rule is checked.
pub(super) enum Check {
    /// By the type of the element: a profile that breaks the rule cannot be.
    Type,
    /// There must be more than white space.
    Present(Element),
    /// There may be at most so many characters.
    AtMost(usize, Element),
    /// A value goes nowhere.
    Dropped(Element),
    /// No other account may share it.
    Alone(fn(&Twins) -> &[UserId]),
    /// What is wrong with the user as it is, if anything.
    User(fn(&Profile) -> Option<String>),
    /// Against what the user was when last read: [`super::renamed`].
    Before,
}

impl Rule {
    /// What the rule says of a user.
    pub(super) fn remark(&self, profile: &Profile, twins: &Twins) -> Option<Remark> {
        let text = match self.check {
            Check::Type | Check::Before => None,
            Check::Present(element) => blank(element(profile)).then(|| "it is blank".to_owned()),
            Check::AtMost(most, element) => too_long(element(profile)?, most),
            Check::Dropped(element) => {
                (!blank(element(profile))).then(|| "Risk Assess has no place for it".to_owned())
            }
            Check::Alone(among) => shared(among(twins)),
            Check::User(check) => check(profile),
        };
        text.map(|text| self.saying(text))
    }

    /// A remark of this rule.
    pub(super) fn saying(&self, text: String) -> Remark {
        Remark {
            rule: self.id,
            level: self.level,
            element: self.element,
            column: self.column,
            source: self.source,
            text,
            fix: self.fix,
        }
    }
}

/// Ids that a remark lists; the rest is counted.
const LISTED: usize = 5;

pub(super) fn blank(value: Option<&str>) -> bool {
    value.is_none_or(|value| value.trim().is_empty())
}

fn too_long(value: &str, most: usize) -> Option<String> {
    let length = value.chars().count();
    (length > most).then(|| format!("it has {length} characters, the column takes {most}"))
}

fn shared(twins: &[UserId]) -> Option<String> {
    let (first, rest) = twins.split_at(twins.len().min(LISTED));
    let ids: Vec<String> = first.iter().map(|user| format!("user {user}")).collect();
    match (ids.is_empty(), rest.len()) {
        (true, _) => None,
        (false, 0) => Some(format!("{} has it, too", ids.join(", "))),
        (false, more) => Some(format!("{} and {more} others have it, too", ids.join(", "))),
    }
}
