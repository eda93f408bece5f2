//! What can be wrong with an invocation, in the words of the ecosystem where it has words.
//!
//! Invariant: no text repeats the value of a setting, which may be a secret put in the wrong place.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The command line.
    Flag,
    /// This environment variable.
    Environment(String),
    /// The configuration file.
    File(Place),
    /// Nowhere: the default.
    Default,
}

/// A place in the configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: PathBuf,
    /// Line and column from 1; `None` for the file as a whole.
    pub position: Option<(u64, u64)>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        match self.position {
            Some((line, column)) => write!(f, ", line {line}, column {column}"),
            None => Ok(()),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A long flag that does not exist.
    #[error("unknown flag: {flag}{}", suggestion(.similar.as_deref()))]
    UnknownFlag {
        /// As written, without a value.
        flag: String,
        /// A flag that was perhaps meant.
        similar: Option<String>,
    },
    /// A one-letter flag that does not exist.
    #[error("unknown shorthand flag: '{0}'")]
    UnknownShorthand(char),
    /// A sub-command that does not exist.
    #[error("unknown command {word:?} for {parent:?}")]
    UnknownCommand {
        /// As written.
        word: String,
        /// The command before it.
        parent: String,
    },
    /// A flag without the value it needs.
    #[error("flag needs an argument: {0}")]
    NoValue(String),
    /// The command line cannot be understood in another way.
    #[error("{0}")]
    Usage(String),
    /// Settings that must be given.
    #[error("required flag(s) {} not set", quoted(.0))]
    Required(Vec<&'static str>),
    /// A value outside of its domain.
    #[error("{}: {expected}", invalid(.name, .source_of_value))]
    Invalid {
        /// The setting's name as used.
        name: &'static str,
        /// Where the value came from.
        source_of_value: Source,
        /// What it should have been.
        expected: String,
    },
    /// Settings that go together only.
    #[error("if any flags in the group [{}] are set they must all be set; missing [{}]", .group.join(" "), .missing.join(" "))]
    Together {
        /// The group.
        group: &'static [&'static str],
        /// The members that are not set.
        missing: Vec<&'static str>,
    },
    /// Settings that exclude each other.
    #[error("if any flags in the group [{}] are set none of the others can be; [{}] were all set", .group.join(" "), .set.join(" "))]
    Exclusive {
        /// The group.
        group: &'static [&'static str],
        /// The members that are set.
        set: Vec<&'static str>,
    },
    /// A setting without the one it depends on.
    #[error("flag {name} has no meaning without {}", .needed.join(" or "))]
    Needs {
        /// The setting.
        name: &'static str,
        /// What it depends on; one of these is enough.
        needed: &'static [&'static str],
    },
    /// A setting on a command where it means nothing.
    #[error("{name} has no meaning on {command}: it is for {belongs}")]
    Misplaced {
        /// The setting.
        name: &'static str,
        /// The command.
        command: &'static str,
        /// Where it has a meaning.
        belongs: &'static str,
    },
    /// A setting of the ecosystem that this connector does not serve.
    #[error("{name} is not supported: {reason}")]
    Refused {
        /// The setting, with its value if only that is refused.
        name: String,
        /// Why, or what to do instead.
        reason: &'static str,
    },
    /// What the part that it is for cannot work with, in that part's words.
    #[error("{0}")]
    Unusable(String),
    /// The configuration file cannot be used.
    #[error("configuration file {place}: {what}")]
    File {
        /// Where.
        place: Place,
        /// What is wrong.
        what: String,
    },
}

fn suggestion(similar: Option<&str>) -> String {
    similar
        .map(|flag| format!(" (did you mean {flag}?)"))
        .unwrap_or_default()
}

fn quoted(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("{name:?}"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn invalid(name: &str, source: &Source) -> String {
    match source {
        Source::Flag | Source::Default => format!("invalid argument for \"--{name}\" flag"),
        Source::Environment(variable) => format!("invalid value in ${variable}"),
        Source::File(place) => format!("invalid value for {name} in {place}"),
    }
}

/// Everything that is wrong with an invocation; one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
}

impl ConfigErrors {
    /// What is wrong; never empty.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What is odd besides, and may explain a problem: unknown keys in the file, settings without effect.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
