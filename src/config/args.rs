//! The command line: a clap command built from the settings table, and its reading into texts per setting.
//!
//! Every setting is taken before and after a sub-command, as in the ecosystem. Values stay text here; layers and types come later.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};
use clap_complete::Shell;

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
    /// Every sub-command, by name.
    pub const COMMANDS: [Self; 6] = [
        Self::Capabilities,
        Self::Completion,
        Self::Config,
        Self::Help,
        Self::Sandbox,
        Self::Serve,
    ];

    /// The word on the command line; empty for the program itself.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "",
            Self::Serve => "serve",
            Self::Sandbox => "sandbox",
            Self::Capabilities => "capabilities",
            Self::Config => "config",
            Self::Completion => "completion",
            Self::Help => "help",
        }
    }

    /// What it does, in one line.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Root => {
                "Reads a Coupa tenant (users, groups, roles, licenses and who holds what) and writes a sync file"
            }
            Self::Serve => "Serve the connector protocol over gRPC",
            Self::Sandbox => "Run the pretend Coupa tenant as a server",
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
            Self::Capabilities | Self::Config | Self::Completion | Self::Help => None,
        }
    }

    fn named(word: &str) -> Option<Self> {
        Self::COMMANDS.into_iter().find(|topic| topic.name() == word)
    }
}

/// The texts given for each setting on the command line, in their order.
pub(super) type Flags = BTreeMap<&'static str, Vec<String>>;

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
    for topic in Topic::COMMANDS {
        let settings = settings_of(topic.verb().unwrap_or(Verb::Sync));
        let mut sub = bare(topic, topic.name()).args(settings);
        match topic {
            Topic::Completion => {
                let shells = SHELLS.map(|(name, _)| name);
                sub = sub.arg(
                    Arg::new(WORD)
                        .value_parser(PossibleValuesParser::new(shells))
                        .hide_possible_values(true),
                );
            }
            Topic::Help => sub = sub.arg(Arg::new(WORD).value_parser(NonEmptyStringValueParser::new())),
            Topic::Root | Topic::Serve | Topic::Sandbox | Topic::Capabilities | Topic::Config => {}
        }
        root = root.subcommand(sub);
    }
    root
}

const HELP: &str = "help";
const VERSION: &str = "version";
/// What help says about `--version`.
pub const VERSION_HELP: &str = "version for baton-coupa";
const WORD: &str = "word";

fn bare(topic: Topic, name: &'static str) -> Command {
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

fn settings_of(verb: Verb) -> impl Iterator<Item = Arg> {
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
        Kind::Text | Kind::Int { .. } | Kind::List | Kind::ListOf(_) | Kind::OneOf(_) | Kind::Address => {
            arg.num_args(1).allow_hyphen_values(true)
        }
    }
}

/// Reads the command line, the program's name first. Unknown flags are set aside, so that the rest can be judged too.
pub(super) fn parse(args: impl Iterator<Item = OsString>) -> (Option<Request>, Vec<Problem>) {
    let mut args: Vec<OsString> = args.collect();
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
    let (topic, sub) = match matches.subcommand() {
        Some((word, sub)) => (Topic::named(word).unwrap_or(Topic::Root), Some(sub)),
        None => (Topic::Root, None),
    };
    let asked = |id| matches.get_count(id) > 0;
    if asked(HELP) || sub.is_some_and(|sub| sub.get_count(HELP) > 0) {
        return Ok(Request::Help(topic));
    }
    if asked(VERSION) {
        return Ok(Request::Version);
    }
    let word = || sub.and_then(|sub| sub.get_one::<String>(WORD));
    Ok(match topic {
        Topic::Root => Request::Run(Verb::Sync, flags(Verb::Sync, matches, sub)),
        Topic::Serve => Request::Run(Verb::Serve, flags(Verb::Serve, matches, sub)),
        Topic::Sandbox => Request::Run(Verb::Sandbox, flags(Verb::Sandbox, matches, sub)),
        Topic::Capabilities => Request::Capabilities,
        Topic::Config => Request::Config,
        Topic::Completion => {
            let shell = word().and_then(|word| SHELLS.iter().find(|(name, _)| name == word));
            shell.map_or(Request::Help(Topic::Completion), |(_, shell)| {
                Request::Completion(*shell)
            })
        }
        Topic::Help => match word() {
            None => Request::Help(Topic::Root),
            Some(word) => Request::Help(Topic::named(word).ok_or_else(|| Problem::UnknownCommand {
                word: word.clone(),
                parent: PROGRAM,
            })?),
        },
    })
}

/// What was given before the sub-command, then what was given after it.
fn flags(verb: Verb, root: &ArgMatches, sub: Option<&ArgMatches>) -> Flags {
    let mut flags = Flags::new();
    for setting in SETTINGS {
        let before = setting.flag_on(Verb::Sync).map(|name| (root, name));
        let after = sub.zip(setting.flag_on(verb));
        for (matches, name) in before.into_iter().chain(after) {
            if let Some(texts) = matches.get_many::<String>(name) {
                flags.entry(setting.name).or_default().extend(texts.cloned());
            }
        }
    }
    flags
}

/// Clap's error in the ecosystem's words.
fn explain(error: &clap::Error) -> Problem {
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
            parent: PROGRAM,
        },
        // The only value clap itself judges is the word behind `completion`; and a flag at the very end lacks its own.
        ErrorKind::InvalidValue if text(ContextKind::InvalidValue).is_some_and(|value| !value.is_empty()) => {
            Problem::UnknownCommand {
                word: text(ContextKind::InvalidValue).unwrap_or_default().to_owned(),
                parent: "baton-coupa completion",
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
            parent: PROGRAM,
        },
    }
}
