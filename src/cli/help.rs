//! `--help` and `help`, in the look of the ecosystem's tools: flags sorted, each with its variable and its default.

use std::fmt::Write as _;

use crate::config::{PROGRAM, SETTINGS, Scope, Setting, Topic, VERSION_HELP, variable};

/// Help about `topic`, ending with a newline.
pub fn render(topic: Topic) -> String {
    let mut text = format!("{}\n\nUsage:\n", topic.about());
    for usage in usages(topic) {
        let _ = writeln!(text, "  {usage}");
    }
    if !topic.commands().is_empty() {
        text.push_str("\nAvailable Commands:\n");
        let commands = topic.commands().iter();
        text.push_str(&columns(
            commands
                .map(|topic| (topic.word().to_owned(), topic.about().to_owned()))
                .collect(),
        ));
    }
    text.push_str("\nFlags:\n");
    text.push_str(&columns(flags(topic)));
    match topic {
        Topic::Root => {
            let _ = writeln!(
                text,
                "\nUse \"{PROGRAM} [command] --help\" for more information about a command."
            );
        }
        Topic::Serve
        | Topic::JournalRecover
        | Topic::RiskAssessReadiness
        | Topic::RiskAssessSync
        | Topic::RiskAssessReconcile
        | Topic::Doctor
        | Topic::Child => {
            text.push_str("\nGlobal Flags:\n");
            text.push_str(&columns(sorted(
                everywhere().map(|setting| flag(setting, setting.name)).collect(),
            )));
        }
        Topic::Sandbox | Topic::RiskAssessExplain => {
            text.push_str("\n--log-level, --log-format and --log-path work here too.\n");
        }
        Topic::HealthCheck => text.push_str(
            "\nIt asks where --health-check-bind-address and --health-check-port say, which are those of the daemon (127.0.0.1, 8081).\n\
             --log-level, --log-format and --log-path work here too.\n",
        ),
        Topic::Journal | Topic::JournalExport | Topic::JournalList => text.push_str(
            "\n--state-dir, --coupa-domain (or --coupa-base-url) and --coupa-client-id say whose journal it is; no secret is needed.\n\
             --log-level, --log-format and --log-path work here too.\n",
        ),
        Topic::RiskAssess | Topic::RiskAssessStatus => text.push_str(
            "\n--state-dir, --coupa-domain (or --coupa-base-url) and --coupa-client-id say whose ledger it is; no secret is needed.\n\
             --log-level, --log-format and --log-path work here too.\n",
        ),
        Topic::RiskAssessImport => text.push_str(
            "\n--state-dir, --coupa-domain (or --coupa-base-url) and --coupa-client-id say whose ledger it is; a secret and the\n\
             --risk-assess flags are needed with --apply only. --log-level, --log-format and --log-path work here too.\n",
        ),
        Topic::Capabilities | Topic::Config | Topic::Completion | Topic::Help => {}
    }
    text
}

fn usages(topic: Topic) -> Vec<String> {
    match topic {
        Topic::Root => vec![format!("{PROGRAM} [flags]"), format!("{PROGRAM} [command]")],
        Topic::Completion => vec![format!("{PROGRAM} completion [bash|zsh|fish|powershell]")],
        Topic::Help => vec![format!("{PROGRAM} help [command]")],
        Topic::Journal => vec![
            format!("{PROGRAM} journal [flags]"),
            format!("{PROGRAM} journal [command]"),
        ],
        Topic::RiskAssess => vec![
            format!("{PROGRAM} risk-assess [flags]"),
            format!("{PROGRAM} risk-assess [command]"),
        ],
        Topic::RiskAssessImport | Topic::RiskAssessExplain => {
            vec![format!("{PROGRAM} {} FILE [flags]", topic.name())]
        }
        Topic::Serve
        | Topic::Sandbox
        | Topic::JournalExport
        | Topic::JournalList
        | Topic::JournalRecover
        | Topic::RiskAssessStatus
        | Topic::RiskAssessReadiness
        | Topic::RiskAssessSync
        | Topic::RiskAssessReconcile
        | Topic::Doctor
        | Topic::HealthCheck
        | Topic::Child
        | Topic::Capabilities
        | Topic::Config => {
            vec![format!("{PROGRAM} {} [flags]", topic.name())]
        }
    }
}

/// What the section "Flags" lists: the flag as written, and what it is.
fn flags(topic: Topic) -> Vec<(String, String)> {
    let name = match topic {
        Topic::Root => PROGRAM,
        _ => topic.name(),
    };
    let mut rows = vec![("-h, --help".to_owned(), format!("help for {name}"))];
    if topic == Topic::Root {
        rows.push(("-v, --version".to_owned(), VERSION_HELP.to_owned()));
        rows.extend(everywhere().map(|setting| flag(setting, setting.name)));
    }
    if let Some(verb) = topic.verb() {
        let own = SETTINGS
            .iter()
            .filter(|setting| setting.is_shown())
            .filter(|setting| match setting.scope {
                Scope::Everywhere => false,
                Scope::Serve | Scope::Sandbox | Scope::Journal | Scope::JournalRecover | Scope::Only(_) => {
                    true
                }
                Scope::OneShot => topic == Topic::Root,
                Scope::Dial => topic == Topic::Sandbox,
            });
        rows.extend(own.filter_map(|setting| setting.flag_on(verb).map(|name| flag(setting, name))));
    }
    sorted(rows)
}

fn everywhere() -> impl Iterator<Item = &'static Setting> {
    SETTINGS
        .iter()
        .filter(|setting| setting.is_shown() && matches!(setting.scope, Scope::Everywhere | Scope::Dial))
}

fn flag(setting: &Setting, name: &str) -> (String, String) {
    let short = setting
        .short
        .map_or("    ".to_owned(), |letter| format!("-{letter}, "));
    let placeholder = setting
        .kind
        .placeholder()
        .map(|word| format!(" {word}"))
        .unwrap_or_default();
    let required = if setting.required_unless.is_some() {
        "required: "
    } else {
        ""
    };
    let default = match setting.default {
        "" | "0" => String::new(),
        text if setting.kind.is_list() => format!(" (default [{text}])"),
        text if setting.kind.placeholder() == Some("string") => format!(" (default {text:?})"),
        text => format!(" (default {text})"),
    };
    (
        format!("{short}--{name}{placeholder}"),
        format!("{required}{} (${}){default}", setting.about, variable(name)),
    )
}

/// By the long name; `-h, ` and its like take the same room as four blanks.
fn sorted(mut rows: Vec<(String, String)>) -> Vec<(String, String)> {
    rows.sort_by(|(one, _), (other, _)| one.get(4..).cmp(&other.get(4..)));
    rows
}

fn columns(rows: Vec<(String, String)>) -> String {
    let width = rows.iter().map(|(left, _)| left.len()).max().unwrap_or_default();
    rows.into_iter().fold(String::new(), |mut text, (left, right)| {
        let _ = writeln!(text, "  {left:width$}   {right}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::golden;

    #[test]
    fn golden_files() {
        golden::check("help.txt", &render(Topic::Root));
        for topic in Topic::ALL.into_iter().filter(|topic| *topic != Topic::Root) {
            let name = topic.name().replace(' ', "_");
            golden::check(&format!("help_{name}.txt"), &render(topic));
        }
    }

    #[test]
    fn what_works_is_shown_and_what_is_refused_is_not() {
        let root = render(Topic::Root);
        let all = Topic::ALL.map(render).concat();
        for setting in SETTINGS {
            let line = format!("--{} ", setting.name);
            assert_eq!(all.contains(&line), setting.is_shown(), "{}", setting.name);
        }
        assert!(root.contains("required: Host of the Coupa instance"));
        assert!(!root.contains("--listen"));
    }
}
