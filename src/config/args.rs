//! The command line: a clap command built from the settings table, and its reading into texts per setting.
//!
//! Every setting is taken before and after a sub-command, as in the ecosystem. Values stay text here; layers and types come later.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};
use clap_complete::Shell;

use super::inherited;
use super::problem::Problem;
use super::setting::{Setting, Verb, variable};
use super::table::SETTINGS;
use super::value::Kind;

/// Name of the program.
pub const PROGRAM: &str = "baton-coupa";

/// Shells for which completion can be printed.
pub const SHELLS: [(&str, Shell); 4] = [
    ("bash", Shell::Bash),
    ("zsh", Shell::Zsh),
    ("fish", Shell::Fish),
    ("powershell", Shell::PowerShell),
];

/// What help can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// The program: the sync and the list of sub-commands.
    Root,
    /// `serve`.
    Serve,
    /// `sandbox`.
    Sandbox,
    /// `journal`.
    Journal,
    /// `journal list`, which is `journal` itself.
    JournalList,
    /// `journal export`.
    JournalExport,
    /// `journal recover`.
    JournalRecover,
    /// `risk-assess`.
    RiskAssess,
    /// `risk-assess status`, which is `risk-assess` itself.
    RiskAssessStatus,
    /// `risk-assess readiness`.
    RiskAssessReadiness,
    /// `risk-assess sync`.
    RiskAssessSync,
    /// `risk-assess import`.
    RiskAssessImport,
    /// `risk-assess reconcile`.
    RiskAssessReconcile,
    /// `risk-assess explain`.
    RiskAssessExplain,
    /// `doctor`.
    Doctor,
    /// `health-check`.
    HealthCheck,
    /// `_connector-service`, which runners call and help does not show.
    Child,
    /// `capabilities`.
    Capabilities,
    /// `config`.
    Config,
    /// `completion`.
    Completion,
    /// `help`.
    Help,
}

impl Topic {
    /// Every topic that help knows.
    pub const ALL: [Self; 20] = [
        Self::Root,
        Self::Capabilities,
        Self::Completion,
        Self::Config,
        Self::Doctor,
        Self::HealthCheck,
        Self::Help,
        Self::Journal,
        Self::JournalExport,
        Self::JournalList,
        Self::JournalRecover,
        Self::RiskAssess,
        Self::RiskAssessExplain,
        Self::RiskAssessImport,
        Self::RiskAssessReadiness,
        Self::RiskAssessReconcile,
        Self::RiskAssessStatus,
        Self::RiskAssessSync,
        Self::Sandbox,
        Self::Serve,
    ];

    /// Its sub-commands, by name.
    pub const fn commands(self) -> &'static [Self] {
        match self {
            Self::Root => &[
                Self::Capabilities,
                Self::Completion,
                Self::Config,
                Self::Doctor,
                Self::HealthCheck,
                Self::Help,
                Self::Journal,
                Self::RiskAssess,
                Self::Sandbox,
                Self::Serve,
            ],
            Self::Journal => &[Self::JournalExport, Self::JournalList, Self::JournalRecover],
            Self::RiskAssess => &[
                Self::RiskAssessExplain,
                Self::RiskAssessImport,
                Self::RiskAssessReadiness,
                Self::RiskAssessReconcile,
                Self::RiskAssessStatus,
                Self::RiskAssessSync,
            ],
            Self::Serve
            | Self::Sandbox
            | Self::JournalExport
            | Self::JournalList
            | Self::JournalRecover
            | Self::RiskAssessStatus
            | Self::RiskAssessReadiness
            | Self::RiskAssessSync
            | Self::RiskAssessImport
            | Self::RiskAssessReconcile
            | Self::RiskAssessExplain
            | Self::Doctor
            | Self::HealthCheck
            | Self::Child
            | Self::Capabilities
            | Self::Config
            | Self::Completion
            | Self::Help => &[],
        }
    }

    /// The words on the command line; empty for the program itself.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "",
            Self::Serve => "serve",
            Self::Sandbox => "sandbox",
            Self::Journal => "journal",
            Self::JournalExport => "journal export",
            Self::JournalList => "journal list",
            Self::JournalRecover => "journal recover",
            Self::RiskAssess => "risk-assess",
            Self::RiskAssessStatus => "risk-assess status",
            Self::RiskAssessReadiness => "risk-assess readiness",
            Self::RiskAssessSync => "risk-assess sync",
            Self::RiskAssessImport => "risk-assess import",
            Self::RiskAssessReconcile => "risk-assess reconcile",
            Self::RiskAssessExplain => "risk-assess explain",
            Self::Doctor => "doctor",
            Self::HealthCheck => "health-check",
            Self::Child => "_connector-service",
            Self::Capabilities => "capabilities",
            Self::Config => "config",
            Self::Completion => "completion",
            Self::Help => "help",
        }
    }

    /// The last of its words.
    pub fn word(self) -> &'static str {
        let name = self.name();
        name.rsplit_once(' ').map_or(name, |(_, last)| last)
    }

    /// What it does, in one line.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Root => {
                "Reads a Coupa tenant (users, groups, roles, licenses and who holds what) and writes a sync file, or makes one change"
            }
            Self::Serve => "Serve the connector protocol over gRPC",
            Self::Sandbox => "Run the pretend Coupa tenant as a server",
            Self::Journal | Self::JournalList => "List the changes made in Coupa",
            Self::JournalExport => "Write the journal of changes out, one JSON object per line",
            Self::JournalRecover => "Bring changes to an end that were interrupted",
            Self::RiskAssess | Self::RiskAssessStatus => {
                "Show what is known of the accounts in Coupa Risk Assess, and by what evidence"
            }
            Self::RiskAssessReadiness => "Judge who is ready for the Risk Assess license, and what to fix",
            Self::RiskAssessSync => {
                "Follow the accounts of licensed users, and deliver where delivery is ours"
            }
            Self::RiskAssessImport => {
                "Sort a user import file (CSV or XLSX) into new data, updates and problems, and perhaps deliver it"
            }
            Self::RiskAssessReconcile => {
                "Compare an export of Risk Assess' user grid with Coupa and the ledger"
            }
            Self::RiskAssessExplain => {
                "Tell which field differs in each row of an error report, and what to change where"
            }
            Self::Doctor => "Check whatever a sync and the configured features need, and say what is missing",
            Self::HealthCheck => "Ask a running daemon whether it is healthy",
            Self::Child => "Serve a runner that started this process and holds its standard input",
            Self::Capabilities => "Print what the connector can do, as JSON",
            Self::Config => "Print the configuration schema, as JSON",
            Self::Completion => "Print the completion script of a shell: bash, zsh, fish or powershell",
            Self::Help => "Help about any command",
        }
    }

    /// The command whose settings it reads, if it reads any.
    pub const fn verb(self) -> Option<Verb> {
        match self {
            Self::Root => Some(Verb::Sync),
            Self::Serve => Some(Verb::Serve),
            Self::Sandbox => Some(Verb::Sandbox),
            Self::Journal | Self::JournalList => Some(Verb::Journal),
            Self::JournalExport => Some(Verb::JournalExport),
            Self::JournalRecover => Some(Verb::JournalRecover),
            Self::RiskAssess | Self::RiskAssessStatus => Some(Verb::RiskAssessStatus),
            Self::RiskAssessReadiness => Some(Verb::RiskAssessReadiness),
            Self::RiskAssessSync => Some(Verb::RiskAssessSync),
            Self::RiskAssessImport => Some(Verb::RiskAssessImport),
            Self::RiskAssessReconcile => Some(Verb::RiskAssessReconcile),
            Self::RiskAssessExplain => Some(Verb::RiskAssessExplain),
            Self::Doctor => Some(Verb::Doctor),
            Self::HealthCheck => Some(Verb::HealthCheck),
            Self::Child => Some(Verb::Child),
            Self::Capabilities | Self::Config | Self::Completion | Self::Help => None,
        }
    }

    /// The topic of the command that `verb` is.
    pub(super) const fn of(verb: Verb) -> Self {
        match verb {
            Verb::Sync => Self::Root,
            Verb::Serve => Self::Serve,
            Verb::Sandbox => Self::Sandbox,
            Verb::Journal => Self::Journal,
            Verb::JournalExport => Self::JournalExport,
            Verb::JournalRecover => Self::JournalRecover,
            Verb::RiskAssessStatus => Self::RiskAssess,
            Verb::RiskAssessReadiness => Self::RiskAssessReadiness,
            Verb::RiskAssessSync => Self::RiskAssessSync,
            Verb::RiskAssessImport => Self::RiskAssessImport,
            Verb::RiskAssessReconcile => Self::RiskAssessReconcile,
            Verb::RiskAssessExplain => Self::RiskAssessExplain,
            Verb::Doctor => Self::Doctor,
            Verb::HealthCheck => Self::HealthCheck,
            Verb::Child => Self::Child,
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|topic| *topic != Self::Root && topic.name() == name)
    }
}

/// The texts given for each setting on the command line, in their order.
pub(super) type Flags = BTreeMap<&'static str, Vec<String>>;

/// A command line that was read.
pub(super) struct Parsed {
    /// What it asks for, if it can be understood.
    pub(super) request: Option<Request>,
    pub(super) problems: Vec<Problem>,
    /// What is odd and no reason to stop; no values in it.
    pub(super) warnings: Vec<String>,
}

/// What the command line asks for.
pub(super) enum Request {
    /// Run something that reads settings.
    Run(Verb, Flags),
    Capabilities,
    Config,
    Completion(Shell),
    Help(Topic),
    Version,
}

/// The whole command line, for parsing and for completion scripts.
pub fn command() -> Command {
    let mut root = bare(Topic::Root, PROGRAM).args(settings_of(Verb::Sync)).arg(
        Arg::new(VERSION)
            .long(VERSION)
            .short('v')
            .help(VERSION_HELP)
            .action(ArgAction::Count),
    );
    for topic in Topic::Root.commands() {
        root = root.subcommand(sub_command(*topic));
    }
    root.subcommand(sub_command(Topic::Child).hide(true))
}

fn sub_command(topic: Topic) -> Command {
    let mut sub = bare(topic, topic.word()).args(settings_of(topic.verb().unwrap_or(Verb::Sync)));
    match topic {
        Topic::Completion => {
            let shells = SHELLS.map(|(name, _)| name);
            sub = sub.arg(
                Arg::new(WORD)
                    .value_parser(PossibleValuesParser::new(shells))
                    .hide_possible_values(true),
            );
        }
        Topic::Help => {
            let words = Arg::new(WORD).num_args(1..=2);
            sub = sub.arg(words.value_parser(NonEmptyStringValueParser::new()));
        }
        Topic::RiskAssessImport | Topic::RiskAssessExplain => {
            sub = sub.arg(Arg::new(WORD).value_parser(NonEmptyStringValueParser::new()));
        }
        Topic::Root
        | Topic::Serve
        | Topic::Sandbox
        | Topic::Journal
        | Topic::JournalExport
        | Topic::JournalList
        | Topic::JournalRecover
        | Topic::RiskAssess
        | Topic::RiskAssessStatus
        | Topic::RiskAssessReadiness
        | Topic::RiskAssessSync
        | Topic::RiskAssessReconcile
        | Topic::Doctor
        | Topic::HealthCheck
        | Topic::Child
        | Topic::Capabilities
        | Topic::Config => {}
    }
    for inner in topic.commands() {
        sub = sub.subcommand(sub_command(*inner));
    }
    sub
}

const HELP: &str = "help";
const VERSION: &str = "version";
/// What help says about `--version`.
pub const VERSION_HELP: &str = "version for baton-coupa";
const WORD: &str = "word";
/// The setting that a file named without a flag is the value of.
const INPUT: &str = "input";

pub(super) fn bare(topic: Topic, name: &'static str) -> Command {
    Command::new(name)
        .about(topic.about())
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .disable_version_flag(true)
        .arg(
            Arg::new(HELP)
                .long(HELP)
                .short('h')
                .help("Show help")
                .action(ArgAction::Count),
        )
}

pub(super) fn settings_of(verb: Verb) -> impl Iterator<Item = Arg> {
    SETTINGS
        .iter()
        .filter_map(move |setting| setting.flag_on(verb).map(|name| argument(setting, name)))
}

fn argument(setting: &'static Setting, name: &'static str) -> Arg {
    let mut arg = Arg::new(name)
        .long(name)
        .help(format!("{} (${})", setting.about, variable(name)))
        .hide(!setting.is_shown())
        .action(ArgAction::Append);
    if let Some(letter) = setting.short {
        arg = arg.short(letter);
    }
    match setting.kind {
        Kind::Switch => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        Kind::Text
        | Kind::Int { .. }
        | Kind::List
        | Kind::ListOf(_)
        | Kind::OneOf(_)
        | Kind::Address
        | Kind::Object => arg.num_args(1).allow_hyphen_values(true),
    }
}

/// Reads the command line, the program's name first.
pub(super) fn parse(args: impl Iterator<Item = OsString>) -> Parsed {
    let args: Vec<OsString> = args.collect();
    if inherited::is_child(&args) {
        return inherited::parse(args);
    }
    let (request, problems) = judge(args);
    Parsed {
        request,
        problems,
        warnings: Vec::new(),
    }
}

/// Unknown flags are set aside, so that the rest can be judged too.
fn judge(mut args: Vec<OsString>) -> (Option<Request>, Vec<Problem>) {
    let mut problems = Vec::new();
    loop {
        match command().try_get_matches_from(&args) {
            Ok(matches) => {
                let request = request(&matches).map_err(|problem| problems.push(problem)).ok();
                return (request, problems);
            }
            Err(error) => {
                let problem = explain(&error);
                let again = match &problem {
                    Problem::UnknownFlag { flag, .. } => set_aside(&mut args, flag),
                    _ => false,
                };
                // What fails after a flag was set aside may only be its value, left without owner.
                if again || problems.is_empty() {
                    problems.push(problem);
                }
                if !again {
                    return (None, problems);
                }
            }
        }
    }
}

/// Removes the flag, so that the next try gets further; `false` if it is not there to be removed.
fn set_aside(args: &mut Vec<OsString>, flag: &str) -> bool {
    let is_it = |arg: &OsString| {
        arg.to_str().is_some_and(|arg| {
            arg.strip_prefix(flag)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        })
    };
    match args.iter().skip(1).position(is_it) {
        Some(at) => {
            args.remove(at + 1);
            true
        }
        None => false,
    }
}

fn request(matches: &ArgMatches) -> Result<Request, Problem> {
    let mut levels = vec![(Topic::Root, matches)];
    while let Some((topic, (word, sub))) = levels
        .last()
        .and_then(|(topic, matches)| Some((*topic, matches.subcommand()?)))
    {
        let hidden = [Topic::Child];
        let inner = topic
            .commands()
            .iter()
            .chain(&hidden)
            .find(|inner| inner.word() == word);
        levels.push((*inner.unwrap_or(&topic), sub));
    }
    let (topic, last) = levels.last().copied().unwrap_or((Topic::Root, matches));
    if levels.iter().any(|(_, matches)| matches.get_count(HELP) > 0) {
        return Ok(Request::Help(topic));
    }
    if matches.get_count(VERSION) > 0 {
        return Ok(Request::Version);
    }
    if let Some(verb) = topic.verb() {
        let mut flags = flags(verb, &levels)?;
        if matches!(topic, Topic::RiskAssessImport | Topic::RiskAssessExplain)
            && let Some(file) = last.get_one::<String>(WORD)
        {
            flags.entry(INPUT).or_default().push(file.clone());
        }
        return Ok(Request::Run(verb, flags));
    }
    Ok(match topic {
        Topic::Config => Request::Config,
        Topic::Completion => {
            let word = last.get_one::<String>(WORD);
            let shell = word.and_then(|word| SHELLS.iter().find(|(name, _)| name == word));
            shell.map_or(Request::Help(Topic::Completion), |(_, shell)| {
                Request::Completion(*shell)
            })
        }
        Topic::Help => {
            let words: Vec<&str> = last
                .get_many::<String>(WORD)
                .into_iter()
                .flatten()
                .map(String::as_str)
                .collect();
            let word = words.join(" ");
            match Topic::named(&word) {
                Some(topic) => Request::Help(topic),
                None if word.is_empty() => Request::Help(Topic::Root),
                None => {
                    return Err(Problem::UnknownCommand {
                        word,
                        parent: PROGRAM.to_owned(),
                    });
                }
            }
        }
        Topic::Capabilities
        | Topic::Root
        | Topic::Serve
        | Topic::Sandbox
        | Topic::Journal
        | Topic::JournalExport
        | Topic::JournalList
        | Topic::JournalRecover
        | Topic::RiskAssess
        | Topic::RiskAssessStatus
        | Topic::RiskAssessReadiness
        | Topic::RiskAssessSync
        | Topic::RiskAssessImport
        | Topic::RiskAssessReconcile
        | Topic::RiskAssessExplain
        | Topic::Doctor
        | Topic::HealthCheck
        | Topic::Child => Request::Capabilities,
    })
}

/// What was given on each level of commands, the outermost first.
pub(super) fn flags(verb: Verb, levels: &[(Topic, &ArgMatches)]) -> Result<Flags, Problem> {
    let mut flags = Flags::new();
    for setting in SETTINGS {
        for (topic, matches) in levels {
            let Some(name) = topic.verb().and_then(|level| setting.flag_on(level)) else {
                continue;
            };
            let Some(texts) = matches.get_many::<String>(name) else {
                continue;
            };
            if setting.flag_on(verb).is_none() {
                return Err(Problem::Misplaced {
                    name,
                    command: Topic::of(verb).name(),
                    belongs: topic.name(),
                });
            }
            flags.entry(setting.name).or_default().extend(texts.cloned());
        }
    }
    Ok(flags)
}

/// Clap's error in the ecosystem's words.
pub(super) fn explain(error: &clap::Error) -> Problem {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let argument = text(ContextKind::InvalidArg).unwrap_or_default();
    match error.kind() {
        ErrorKind::UnknownArgument => unknown(argument, text(ContextKind::SuggestedArg)),
        ErrorKind::InvalidSubcommand => Problem::UnknownCommand {
            word: text(ContextKind::InvalidSubcommand)
                .unwrap_or_default()
                .to_owned(),
            parent: parent_of(error),
        },
        // The only value clap itself judges is the word behind `completion`; and a flag at the very end lacks its own.
        ErrorKind::InvalidValue if text(ContextKind::InvalidValue).is_some_and(|value| !value.is_empty()) => {
            Problem::UnknownCommand {
                word: text(ContextKind::InvalidValue).unwrap_or_default().to_owned(),
                parent: format!("{PROGRAM} {}", Topic::Completion.name()),
            }
        }
        ErrorKind::InvalidValue
        | ErrorKind::WrongNumberOfValues
        | ErrorKind::TooFewValues
        | ErrorKind::NoEquals => {
            Problem::NoValue(argument.split([' ', '=']).next().unwrap_or_default().to_owned())
        }
        ErrorKind::TooManyValues => {
            Problem::Usage(format!("flag takes no value: {}", argument.trim_end_matches('.')))
        }
        ErrorKind::InvalidUtf8 => Problem::Usage("an argument is not valid UTF-8".to_owned()),
        _ => Problem::Usage("the command line cannot be understood; see --help".to_owned()),
    }
}

/// The command whose sub-command was not understood; clap tells it in its usage line only.
fn parent_of(error: &clap::Error) -> String {
    let usage = match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string(),
        _ => String::new(),
    };
    let parents = [Topic::Journal, Topic::RiskAssess].map(|topic| format!("{PROGRAM} {}", topic.name()));
    let parent = parents.into_iter().find(|parent| usage.contains(parent));
    parent.unwrap_or_else(|| PROGRAM.to_owned())
}

fn unknown(argument: &str, similar: Option<&str>) -> Problem {
    let flag = argument.split('=').next().unwrap_or_default();
    if flag.starts_with("--") {
        return Problem::UnknownFlag {
            flag: flag.to_owned(),
            similar: similar.map(str::to_owned),
        };
    }
    match flag.strip_prefix('-').and_then(|letters| letters.chars().next()) {
        Some(letter) => Problem::UnknownShorthand(letter),
        None => Problem::UnknownCommand {
            word: argument.to_owned(),
            parent: PROGRAM.to_owned(),
        },
    }
}
