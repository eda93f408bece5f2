//! The command line of a child: its runner's own, with `_connector-service` behind it.
//!
//! Invariant: no flag that a runner may have been given stops a child, since a runner whose child ends before it serves waits forever. What a newer
//! SDK knows and we do not is set aside and told; the values that may belong to it are not repeated.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command};

use super::args::{Parsed, Request, Topic, bare, explain, flags, settings_of};
use super::problem::Problem;
use super::setting::Verb;

const STRAY: &str = "stray";

/// Whether a runner wrote this command line.
pub(super) fn is_child(args: &[OsString]) -> bool {
    args.iter()
        .skip(1)
        .last()
        .is_some_and(|last| last == Topic::Child.word())
}

/// The runner's flags, and words that stand alone: values of flags that were set aside.
fn command() -> Command {
    bare(Topic::Root, Topic::Root.word())
        .args(settings_of(Verb::Child))
        .arg(Arg::new(STRAY).num_args(0..))
}

/// Reads a command line that [`is_child`].
pub(super) fn parse(mut args: Vec<OsString>) -> Parsed {
    args.pop();
    let mut warnings = Vec::new();
    loop {
        let problem = match command().try_get_matches_from(&args) {
            Ok(matches) => {
                if matches.get_many::<String>(STRAY).is_some() {
                    warnings.push(
                        "words of the command line that belong to no known flag have no effect".to_owned(),
                    );
                }
                return match flags(Verb::Child, &[(Topic::Child, &matches)]) {
                    Ok(flags) => Parsed {
                        request: Some(Request::Run(Verb::Child, flags)),
                        problems: Vec::new(),
                        warnings,
                    },
                    Err(problem) => refused(problem, warnings),
                };
            }
            Err(error) => explain(&error),
        };
        let Some(flag) = set_aside(&mut args, &problem) else {
            return refused(problem, warnings);
        };
        warnings.push(format!(
            "unknown flag {flag} has no effect: it is the runner's business"
        ));
    }
}

fn refused(problem: Problem, warnings: Vec<String>) -> Parsed {
    Parsed {
        request: None,
        problems: vec![problem],
        warnings,
    }
}

/// Takes what is unknown off the command line; `None` if the problem is another.
fn set_aside(args: &mut Vec<OsString>, problem: &Problem) -> Option<String> {
    match problem {
        Problem::UnknownFlag { flag, .. } => {
            let is_it = |arg: &OsString| name(arg) == Some(flag);
            let at = args.iter().skip(1).position(is_it)?;
            args.remove(at + 1);
            Some(flag.clone())
        }
        Problem::UnknownShorthand(letter) => {
            let holds_it = |arg: &OsString| {
                arg.to_str()
                    .and_then(|arg| arg.strip_prefix('-'))
                    .is_some_and(|letters| !letters.starts_with('-') && letters.contains(*letter))
            };
            let at = args.iter().skip(1).position(holds_it)? + 1;
            // Of letters written together the known ones stay.
            let left = name(&args[at])?.replacen(*letter, "", 1);
            if left == "-" {
                args.remove(at);
            } else {
                args[at] = left.into();
            }
            Some(format!("-{letter}"))
        }
        _ => None,
    }
}

/// The flag in front of a value that may be written into the same word.
fn name(arg: &OsStr) -> Option<&str> {
    arg.to_str()?.split('=').next()
}
