//! Flag over environment over file over default, per setting; then the rules between settings.
//!
//! Invariant: every setting that counts on the command has a value afterwards. One whose text was wrong has its default, and the
//! problem is noted, so that the remaining checks still run and everything is reported at once.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;

use serde_json::Map;

use super::args::{Flags, Topic};
use super::file::{ConfigFile, Node};
use super::problem::{Problem, Source};
use super::setting::{Disposition, Needs, Scope, Setting, Verb, variable};
use super::table::{RULES, Rule, SETTINGS};
use super::value::{Value, split};

/// The value of every setting that counts on a command. No `Debug`: it holds secrets.
pub(super) struct Values {
    entries: BTreeMap<&'static str, Entry>,
}

struct Entry {
    value: Value,
    /// Whether somebody wrote down something else than the default.
    given: bool,
}

impl Values {
    /// Text, empty if not set.
    pub(super) fn text(&self, name: &str) -> &str {
        match self.value(name) {
            Some(Value::Text(text)) => text,
            _ => misread(name),
        }
    }

    pub(super) fn switch(&self, name: &str) -> bool {
        match self.value(name) {
            Some(Value::Switch(on)) => *on,
            _ => misread(name),
        }
    }

    pub(super) fn int(&self, name: &str) -> i64 {
        match self.value(name) {
            Some(Value::Int(number)) => *number,
            _ => misread(name),
        }
    }

    pub(super) fn list(&self, name: &str) -> &[String] {
        match self.value(name) {
            Some(Value::List(elements)) => elements,
            _ => misread(name),
        }
    }

    pub(super) fn object(&self, name: &str) -> Map<String, serde_json::Value> {
        match self.value(name) {
            Some(Value::Object(members)) => members.clone(),
            _ => misread(name),
        }
    }

    pub(super) fn address(&self, name: &str) -> Option<SocketAddr> {
        match self.value(name) {
            Some(Value::Address(address)) => *address,
            _ => misread(name),
        }
    }

    /// Whether somebody asked for something with this setting.
    pub(super) fn given(&self, name: &str) -> bool {
        self.entries.get(name).is_some_and(|entry| entry.given)
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.entries.get(name).map(|entry| &entry.value)
    }
}

/// A name that the table does not have on this command, or has with another kind: a slip of ours, which every test that builds
/// settings would meet.
fn misread<T: Default>(name: &str) -> T {
    debug_assert!(name.is_empty(), "{name} is not a setting of this kind here");
    T::default()
}

/// Lays the layers over each other.
pub(super) fn resolve(
    verb: Verb,
    flags: &Flags,
    env: &impl Fn(&str) -> Option<OsString>,
    file: Option<&ConfigFile>,
    problems: &mut Vec<Problem>,
) -> Values {
    let mut entries = BTreeMap::new();
    for setting in SETTINGS {
        let Some(name) = setting.flag_on(verb) else {
            continue;
        };
        let written = written(setting, verb, flags, env, file);
        let default = setting.default_value();
        let (value, given) = match written {
            None => (default, false),
            Some(Ok(value)) => {
                let given = value.is_set() && value != default;
                (value, given)
            }
            Some(Err((source_of_value, expected))) => {
                problems.push(Problem::Invalid {
                    name,
                    source_of_value,
                    expected,
                });
                (default, true)
            }
        };
        entries.insert(setting.name, Entry { value, given });
    }
    Values { entries }
}

type Wrong = (Source, String);

/// What was written for a setting, by the highest layer that speaks; lists of the command line add to the layer below.
fn written(
    setting: &Setting,
    verb: Verb,
    flags: &Flags,
    env: &impl Fn(&str) -> Option<OsString>,
    file: Option<&ConfigFile>,
) -> Option<Result<Value, Wrong>> {
    let texts = flags.get(setting.name);
    if !setting.kind.is_list() {
        return match texts.and_then(|texts| texts.last()) {
            Some(text) => Some(
                setting
                    .kind
                    .parse(text)
                    .map_err(|expected| (Source::Flag, expected)),
            ),
            None => below(setting, verb, env, file),
        };
    }
    let below = below(setting, verb, env, file);
    let Some(texts) = texts else { return below };
    let mut elements = match below {
        None => Vec::new(),
        Some(Ok(Value::List(elements))) => elements,
        Some(wrong) => return Some(wrong),
    };
    elements.extend(texts.iter().flat_map(|text| split(text)));
    Some(
        setting
            .kind
            .list(elements)
            .map_err(|expected| (Source::Flag, expected)),
    )
}

/// Environment, then file. An empty variable counts as not set.
fn below(
    setting: &Setting,
    verb: Verb,
    env: &impl Fn(&str) -> Option<OsString>,
    file: Option<&ConfigFile>,
) -> Option<Result<Value, Wrong>> {
    for name in setting.names_on(verb) {
        let variable = variable(name);
        if let Some(text) = env(&variable).filter(|text| !text.is_empty()) {
            let value = text
                .to_str()
                .ok_or_else(|| "expected UTF-8 text".to_owned())
                .and_then(|text| setting.kind.parse(text));
            return Some(value.map_err(|expected| (Source::Environment(variable), expected)));
        }
    }
    for name in setting.names_on(verb) {
        let Some((node, place)) = file.and_then(|file| file.entries.get(name)) else {
            continue;
        };
        let value = match node {
            Node::Empty => continue,
            Node::Text(text) => setting.kind.parse(text),
            Node::List(elements) if setting.kind.is_list() => setting.kind.list(elements.clone()),
            Node::List(_) => Err("expected one value, not a list".to_owned()),
            Node::Other if setting.kind.is_list() => Err("expected a list of texts".to_owned()),
            Node::Other => Err("expected one value".to_owned()),
        };
        return Some(value.map_err(|expected| (Source::File(place.clone()), expected)));
    }
    None
}

/// Keys of the file that no command knows, with their places. Told and not refused: one file may serve several connectors,
/// and the ecosystem's own reader passes over them.
pub(super) fn unknown_keys(file: &ConfigFile) -> Vec<String> {
    let known = |key: &str| {
        SETTINGS.iter().any(|setting| {
            Verb::ALL
                .iter()
                .any(|verb| setting.names_on(*verb).any(|name| name == key))
        })
    };
    let unknown = file.entries.iter().filter(|(key, _)| !known(key));
    unknown
        .map(|(key, (_, place))| format!("unknown setting {key:?} in {place}"))
        .collect()
}

/// Settings that must be there: first of all, and all at once.
pub(super) fn missing(verb: Verb, values: &Values) -> Option<Problem> {
    let counts = |setting: &&Setting| match verb.needs() {
        Needs::Tenant => true,
        Needs::NameOfTenant => !setting.secret,
        Needs::Nothing => false,
    };
    let mut missing: Vec<&str> = SETTINGS
        .iter()
        .filter(counts)
        .filter(|setting| {
            setting
                .required_unless
                .is_some_and(|others| !others.iter().any(|other| values.given(other)))
        })
        .map(|setting| setting.name)
        .filter(|name| !values.given(name))
        .collect();
    missing.sort_unstable();
    (!missing.is_empty()).then_some(Problem::Required(missing))
}

/// The rules between settings, in the order of the table.
pub(super) fn broken_rules(values: &Values) -> impl Iterator<Item = Problem> + '_ {
    let sorted = |mut names: Vec<&'static str>| {
        names.sort_unstable();
        names
    };
    RULES.iter().filter_map(move |rule| match *rule {
        Rule::Together(group) => {
            let (set, missing): (Vec<_>, Vec<_>) = group.iter().partition(|name| values.given(name));
            (!set.is_empty() && !missing.is_empty()).then(|| Problem::Together {
                group,
                missing: sorted(missing),
            })
        }
        Rule::Exclusive(group) => {
            let set: Vec<_> = group.iter().copied().filter(|name| values.given(name)).collect();
            (set.len() > 1).then(|| Problem::Exclusive {
                group,
                set: sorted(set),
            })
        }
        Rule::Needs(name, needed) => {
            let met = needed.iter().any(|needed| values.given(needed));
            (values.given(name) && !met).then_some(Problem::Needs { name, needed })
        }
    })
}

/// What this version does not do: refusals, and notes about settings without effect. A child only notes.
pub(super) fn dispose(verb: Verb, values: &Values, problems: &mut Vec<Problem>, warnings: &mut Vec<String>) {
    for setting in SETTINGS {
        let Some(name) = setting.flag_on(verb) else {
            continue;
        };
        if !values.given(setting.name) {
            continue;
        }
        if setting.scope == Scope::OneShot && verb == Verb::Child {
            // The runner asks for it over gRPC.
            continue;
        }
        if setting.scope == Scope::OneShot && verb != Verb::Sync {
            problems.push(Problem::Misplaced {
                name,
                command: Topic::of(verb).name(),
                belongs: "one change, in a run without a sub-command",
            });
            continue;
        }
        if setting.scope == Scope::OneShot && values.given("client-id") {
            // As in the ecosystem: who has a client id is a daemon, whatever else is asked for.
            if !excludes_daemon(setting.name) {
                warnings.push(format!(
                    "{name} is ignored: with client-id, the platform says what is done"
                ));
            }
            continue;
        }
        let refused = match setting.disposition {
            Disposition::Works => continue,
            Disposition::Ineffective(reason) => {
                warnings.push(format!("{name} has no effect: {reason}"));
                continue;
            }
            Disposition::RefusedValue(value, _) if values.text(setting.name) != value => continue,
            Disposition::RefusedValue(value, reason) => Problem::Refused {
                name: format!("{name}={value}"),
                reason,
            },
            Disposition::Refused(reason) => Problem::Refused {
                name: name.to_owned(),
                reason,
            },
        };
        // A child does what its runner asks for; to stop would leave the runner waiting.
        if verb == Verb::Child {
            warnings.push(refused.to_string());
        } else {
            problems.push(refused);
        }
    }
}

/// Whether a rule keeps the setting from a daemon.
fn excludes_daemon(name: &str) -> bool {
    let among = |group: &[&str]| group.contains(&"client-id") && group.contains(&name);
    RULES
        .iter()
        .any(|rule| matches!(rule, Rule::Exclusive(group) if among(group)))
}
