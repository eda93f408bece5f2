//! The whole way from texts to typed settings.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use super::*;
use crate::model::tenant::AccountClass;
use crate::server::{ClientAuth, TlsMode};
use crate::sync::{self, Depth};
use crate::telemetry::Format;

mod changes;
mod child;
mod daemon;
mod risk_assess;

const TENANT: &str = "--coupa-client-id=id --coupa-client-secret=secret --coupa-domain=acme.coupahost.com";

/// A working directory, variables and a command line.
struct World {
    directory: TempDir,
    env: BTreeMap<String, String>,
}

impl World {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            env: BTreeMap::new(),
        }
    }

    fn var(mut self, name: &str, text: &str) -> Self {
        self.env.insert(name.to_owned(), text.to_owned());
        self
    }

    fn yaml(self, text: &str) -> Self {
        std::fs::write(self.directory.path().join(".baton.yaml"), text).unwrap();
        self
    }

    fn load(&self, line: &str) -> Result<Invocation, ConfigErrors> {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.load_words(&words)
    }

    fn load_words(&self, words: &[&str]) -> Result<Invocation, ConfigErrors> {
        let args = [PROGRAM]
            .into_iter()
            .chain(words.iter().copied())
            .map(OsString::from);
        load(
            args,
            &|name| self.env.get(name).map(OsString::from),
            self.directory.path(),
        )
    }

    fn sync(&self, line: &str) -> SyncSettings {
        match self.load(line).unwrap().command {
            Command::Sync(settings) => settings,
            other => panic!("{other:?}"),
        }
    }

    fn serve(&self, line: &str) -> ServeSettings {
        match self.load(&format!("serve {TENANT} {line}")).unwrap().command {
            Command::Serve(settings) => settings,
            other => panic!("{other:?}"),
        }
    }

    /// Lines of what is wrong.
    fn wrong(&self, line: &str) -> Vec<String> {
        let errors = self.load(line).expect_err(line);
        errors.to_string().lines().map(str::to_owned).collect()
    }
}

fn coupa(settings: &SyncSettings) -> &CoupaTarget {
    match &settings.tenant.target {
        Target::Coupa(target) => target,
        Target::Sandbox(_) => panic!("not the sandbox"),
    }
}

#[test]
fn the_table_is_sound() {
    for verb in Verb::ALL {
        let mut seen = BTreeSet::new();
        for setting in SETTINGS {
            for name in setting.names_on(verb) {
                assert!(seen.insert(name), "{name} twice on {verb:?}");
                assert!(
                    name.chars()
                        .all(|sign| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == '-')
                );
            }
        }
    }
    for setting in SETTINGS {
        if !setting.default.is_empty() {
            assert!(setting.kind.parse(setting.default).is_ok(), "{}", setting.name);
        }
        let needs_default = matches!(setting.kind, Kind::Int { .. });
        assert!(
            !needs_default || !setting.default.is_empty(),
            "{} has no default",
            setting.name
        );
        assert!(
            !setting.about.is_empty() && !setting.about.ends_with('.'),
            "{}",
            setting.name
        );
        assert!(!setting.secret || setting.default.is_empty(), "{}", setting.name);
    }
    let known = |name: &str| SETTINGS.iter().any(|setting| setting.name == name);
    for rule in RULES {
        match rule {
            Rule::Together(group) | Rule::Exclusive(group) => {
                assert!(group.iter().all(|name| known(name)), "{rule:?}");
            }
            Rule::Needs(name, needed) => {
                assert!(
                    known(name) && needed.iter().all(|needed| known(needed)),
                    "{rule:?}"
                );
            }
        }
    }
    command().debug_assert();
}

#[test]
fn every_flag_of_the_ecosystem_is_taken() {
    // cli.md sections 3 and 4, and what parents hand to children.
    let flags = "client-id client-secret file log-level log-format log-path log-level-debug-expires-at provisioning \
        ticketing skip-full-sync sync-resources sync-resource-types skip-entitlements-and-grants workers parallel-sync \
        storage-engine external-resource-c1z external-resource-entitlement-id-filter external-resource-traits \
        keep-previous-sync-c1z http-timeout-seconds task-concurrency health-check health-check-port \
        otel-collector-endpoint auth-method sync-account-groups coupa-client-id coupa-client-secret coupa-domain \
        grant-entitlement grant-principal grant-principal-type revoke-grant create-account-login create-account-email \
        create-account-profile create-account-resource-type delete-resource delete-resource-type rotate-credentials \
        rotate-credentials-type event-feed event-feed-id event-feed-start-at event-feed-cursor create-ticket \
        ticket-template-path bulk-create-ticket bulk-ticket-template-path get-ticket ticket-id list-ticket-schemas \
        invoke-action invoke-action-args invoke-action-resource-type list-action-schemas \
        list-action-schemas-resource-type list-resource-actions invoke-resource-action \
        invoke-resource-action-resource-type invoke-resource-action-args diff-syncs base-sync-id applied-sync-id \
        compact-syncs compact-output-path compact-file-paths compact-sync-ids skip-grants c1z-temp-dir \
        session-store-maximum-size health-check-bind-address otel-collector-endpoint-tls-cert-path \
        otel-collector-endpoint-tls-cert otel-collector-endpoint-tls-insecure otel-tracing-disabled \
        otel-logging-disabled";
    for name in flags.split_whitespace() {
        let setting = SETTINGS
            .iter()
            .find(|setting| setting.name == name)
            .unwrap_or_else(|| panic!("{name}"));
        assert!(
            matches!(setting.scope, Scope::Everywhere | Scope::OneShot),
            "{name}"
        );
    }
    let short = |letter| {
        SETTINGS
            .iter()
            .find(|setting| setting.short == Some(letter))
            .unwrap()
            .name
    };
    assert_eq!((short('f'), short('p')), ("file", "provisioning"));
}

#[test]
fn flag_over_variable_over_file_over_default() {
    let layers: [(&str, &str, &str, &str); 6] = [
        ("", "", "", "sync.c1z"),
        ("", "", "file: yaml.c1z", "yaml.c1z"),
        ("", "env.c1z", "file: yaml.c1z", "env.c1z"),
        ("--file flag.c1z", "env.c1z", "file: yaml.c1z", "flag.c1z"),
        ("-f flag.c1z", "env.c1z", "", "flag.c1z"),
        ("-f first.c1z --file=last.c1z", "", "file: yaml.c1z", "last.c1z"),
    ];
    for (flag, variable, yaml, expected) in layers {
        let world = World::new().var("BATON_FILE", variable).yaml(yaml);
        assert_eq!(
            world.sync(&format!("{TENANT} {flag}")).file,
            PathBuf::from(expected),
            "{flag} {variable} {yaml}"
        );
    }
}

#[test]
fn every_kind_follows_the_layers() {
    let yaml = "coupa-requests-per-second: 5\nskip-entitlements-and-grants: true\ncoupa-client-id: 0012\n";
    let world = World::new()
        .yaml(yaml)
        .var("BATON_COUPA_DOMAIN", "acme.coupahost.com")
        .var("BATON_COUPA_CLIENT_SECRET", "s");
    let settings = world.sync("");
    assert_eq!(settings.tenant.requests_per_second.get(), 5);
    assert_eq!(settings.choice.scope, sync::Scope::ResourcesOnly);
    assert_eq!(coupa(&settings).client_id, "0012", "text keeps its zeros");
    let settings = world.sync("--coupa-requests-per-second 7 --skip-entitlements-and-grants=false");
    assert_eq!(settings.tenant.requests_per_second.get(), 7);
    assert_eq!(
        settings.choice.scope,
        sync::Scope::Full,
        "a flag may also switch off"
    );
}

#[test]
fn defaults_are_the_documented_ones() {
    let settings = World::new().var("HOME", "/home/x").sync(TENANT);
    let tenant = &settings.tenant;
    assert_eq!(tenant.requests_per_second.get(), 20);
    assert_eq!(tenant.max_in_flight.get(), 8);
    assert_eq!(tenant.http_timeout, None);
    assert_eq!(
        tenant.account_classes,
        [AccountClass::Internal, AccountClass::Api]
    );
    assert_eq!(tenant.shrink, Shrink::StopBeyond(30));
    assert_eq!(tenant.temp_dir, None);
    assert_eq!(settings.choice.workers, Workers::Sequential);
    assert_eq!(settings.choice.scope, sync::Scope::Full);
    assert!(settings.choice.resource_types.is_empty());
    #[cfg(target_os = "linux")]
    assert_eq!(
        tenant.state_dir,
        StateDir::PerUser("/home/x/.local/state/baton-coupa".into())
    );
}

#[test]
fn lists_of_the_command_line_append_and_yaml_keeps_commas() {
    let paths = |world: &World, line: &str| world.load(&format!("{TENANT} {line}")).unwrap().log.paths;
    let yaml = World::new().yaml("log-path: [\"a,b\", c]\n");
    assert_eq!(paths(&yaml, ""), ["a,b", "c"]);
    assert_eq!(
        paths(&yaml, "--log-path d,e --log-path=f"),
        ["a,b", "c", "d", "e", "f"]
    );
    let both = World::new().yaml("log-path: x\n").var("BATON_LOG_PATH", "a, b");
    assert_eq!(paths(&both, ""), ["a", "b"], "a variable replaces the file");
    assert_eq!(paths(&both, "--log-path c"), ["a", "b", "c"]);
    // A default is replaced, not appended to.
    let settings = World::new().sync(&format!("{TENANT} --account-classes supplier,supplier"));
    assert_eq!(settings.tenant.account_classes, [AccountClass::Supplier]);
}

#[test]
fn what_a_sync_covers_and_where_it_goes_is_judged_before_anything_is_read() {
    let world = World::new();
    assert_eq!(
        world
            .sync(&format!("{TENANT} --sync-resource-types user,license"))
            .choice
            .resource_types,
        ["user", "license"]
    );
    let mut words: Vec<_> = TENANT.split_whitespace().collect();
    words.extend(["--sync-resource-types", "widget", "--file", ""]);
    let wrong: Vec<_> = world
        .load_words(&words)
        .unwrap_err()
        .problems()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        wrong,
        [
            r#"invalid argument for "--sync-resource-types" flag: expected one of user, group, role, license"#,
            "file: expected the path of the sync file to write",
        ]
    );
}

#[test]
fn a_targeted_sync_names_its_resources_and_how_much_of_each() {
    let world = World::new().var("BATON_SYNC_RESOURCES", "bid:r:role/7");
    let targets = |line: &str| match world.sync(&format!("{TENANT} {line}")).choice.scope {
        sync::Scope::Targeted(targets) => {
            let named: Vec<String> = targets.resources().iter().map(ToString::to_string).collect();
            (named.join(" "), targets.depth())
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(targets(""), ("bid:r:role/7".into(), Depth::Grants));
    assert_eq!(
        targets(
            "--sync-resources bid:r:user/5,bid:r:role/7 --sync-resources bid:r:app/1/role/8 --skip-grants"
        ),
        (
            "bid:r:role/7 bid:r:user/5 bid:r:role/8".into(),
            Depth::Entitlements
        ),
        "lists add up, each resource counts once"
    );
    assert_eq!(
        targets("--skip-entitlements-and-grants --skip-grants").1,
        Depth::Resource
    );
}

#[test]
fn a_malformed_target_is_told_by_its_place_and_with_the_form() {
    let wrong = World::new().wrong(&format!("{TENANT} --sync-resources bid:r:role/7,s3cret,role/9"));
    let form = "expected bid:r:TYPE/ID or bid:r:PARENT-TYPE/PARENT-ID/TYPE/ID, with a backslash before each of \\ / : inside of a part";
    assert_eq!(
        wrong,
        [
            format!("sync-resources: value 2: {form}"),
            format!("sync-resources: value 3: {form}")
        ]
    );
}

#[test]
fn grants_can_be_skipped_in_a_targeted_sync_only() {
    let words = ["skip-grants can only be set within a targeted sync"];
    let world = World::new().var("BATON_SKIP_GRANTS", "true");
    assert_eq!(world.wrong(TENANT), words);
    assert_eq!(
        world.wrong(&format!("{TENANT} --client-id a --client-secret b")),
        words
    );
    let twice = world.wrong(&format!("{TENANT} --sync-resources nonsense"));
    assert_eq!(twice.len(), 1, "one mistake is told once: {twice:?}");
    world.serve("");
}

#[test]
fn a_state_directory_is_named_or_usual_or_nowhere() {
    let state = |world: &World, line: &str| world.sync(&format!("{TENANT} {line}")).tenant.state_dir;
    let home = World::new().var("HOME", "/home/x");
    assert!(matches!(state(&home, ""), StateDir::PerUser(_)));
    assert_eq!(state(&home, "--state-dir s"), StateDir::Named("s".into()));
    assert_eq!(state(&World::new(), ""), StateDir::Nowhere);
}

#[test]
fn flags_count_before_and_after_a_sub_command() {
    let world = World::new();
    let Command::Serve(settings) = world
        .load(&format!(
            "{TENANT} --workers -1 --coupa-max-in-flight 3 serve --listen [::1]:7"
        ))
        .unwrap()
        .command
    else {
        panic!("not serve");
    };
    assert_eq!(settings.tenant.max_in_flight.get(), 3);
    assert_eq!(settings.server.listen().to_string(), "[::1]:7");
    let log = world
        .load(&format!("--log-path a serve {TENANT} --log-path b"))
        .unwrap()
        .log;
    assert_eq!(log.paths, ["a", "b"]);
}

#[test]
fn workers_read_like_the_ecosystems() {
    for (flags, workers) in [
        ("--workers -1", Workers::Auto),
        ("--workers=0", Workers::Sequential),
        ("--parallel-sync", Workers::Auto),
        (
            "--workers 3 --parallel-sync",
            Workers::Exactly(3.try_into().unwrap()),
        ),
    ] {
        assert_eq!(
            World::new().sync(&format!("{TENANT} {flags}")).choice.workers,
            workers,
            "{flags}"
        );
    }
}

#[test]
fn missing_settings_are_told_at_once_in_the_ecosystems_words() {
    let world = World::new();
    let all = r#"required flag(s) "coupa-client-id", "coupa-client-secret", "coupa-domain" not set"#;
    assert_eq!(world.wrong(""), [all]);
    assert_eq!(world.wrong("serve"), [all]);
    assert_eq!(world.wrong("--coupa-client-id= --coupa-domain="), [all]);
    assert_eq!(
        world.wrong("--coupa-client-id a --coupa-base-url http://127.0.0.1:1"),
        [r#"required flag(s) "coupa-client-secret" not set"#]
    );
    let settings =
        world.sync("--coupa-client-id a --coupa-client-secret b --coupa-base-url http://127.0.0.1:1");
    assert_eq!(coupa(&settings).endpoint.host(), "127.0.0.1:1");
    assert_eq!(coupa(&settings).client_secret.expose_secret(), "b");
}

#[test]
fn everything_wrong_is_told_at_once_and_by_source() {
    let world = World::new()
        .var("BATON_COUPA_MAX_IN_FLIGHT", "many")
        .yaml("http-timeout-seconds: 1801\ncoupa-client-secret: [s3cret]\ncoupa-domian: x\n");
    let line = "--bogus --bugos=3 --coupa-requests-per-second fast --client-id x --storage-engine pebble \
        --diff-syncs --account-classes robots";
    assert_eq!(
        world.wrong(line),
        [
            "unknown flag: --bogus",
            "unknown flag: --bugos",
            r#"required flag(s) "coupa-client-id", "coupa-domain" not set"#,
            "invalid value for http-timeout-seconds in ./.baton.yaml, line 1, column 23: expected a number from 1 to 1800",
            "invalid value for coupa-client-secret in ./.baton.yaml, line 2, column 22: expected one value, not a list",
            r#"invalid argument for "--coupa-requests-per-second" flag: expected a whole number"#,
            "invalid value in $BATON_COUPA_MAX_IN_FLIGHT: expected a whole number",
            r#"invalid argument for "--account-classes" flag: expected one of internal, api, supplier, support, managed-service"#,
            "if any flags in the group [client-id client-secret] are set they must all be set; missing [client-secret]",
            "if any flags in the group [diff-syncs base-sync-id applied-sync-id] are set they must all be set; \
             missing [applied-sync-id base-sync-id]",
            "storage-engine=pebble is not supported: sync files are written as sqlite, which every reader of .c1z takes",
            "diff-syncs is not supported: this connector does not compare sync runs; use the baton tool on the .c1z file",
        ]
    );
    let errors = world.load(line).unwrap_err();
    assert_eq!(
        errors.warnings(),
        [r#"unknown setting "coupa-domian" in ./.baton.yaml, line 3, column 15"#]
    );
    assert!(!format!("{errors} {errors:?}").contains("s3cret"));
}

#[test]
fn words_that_do_not_exist_are_told_in_the_ecosystems_words() {
    let world = World::new();
    for (line, expected) in [
        ("--bogus --sandbox", "unknown flag: --bogus"),
        ("--bogus=x --sandbox", "unknown flag: --bogus"),
        (
            "--coupa-domian x --sandbox",
            "unknown flag: --coupa-domian (did you mean --coupa-domain?)",
        ),
        ("-x --sandbox", "unknown shorthand flag: 'x'"),
        ("fetch", r#"unknown command "fetch" for "baton-coupa""#),
        ("sync", r#"unknown command "sync" for "baton-coupa""#),
        ("help fetch", r#"unknown command "fetch" for "baton-coupa""#),
        (
            "help journal fetch",
            r#"unknown command "journal fetch" for "baton-coupa""#,
        ),
        (
            "journal fetch",
            r#"unknown command "fetch" for "baton-coupa journal""#,
        ),
        (
            "completion tcsh",
            r#"unknown command "tcsh" for "baton-coupa completion""#,
        ),
        ("--help=yes", "flag takes no value: --help"),
        ("--sandbox --file", "flag needs an argument: --file"),
        ("--sandbox -f", "flag needs an argument: --file"),
        (
            "--sandbox --skip-full-sync=maybe",
            r#"invalid argument for "--skip-full-sync" flag: expected true or false"#,
        ),
        (
            "sandbox --listen here",
            r#"invalid argument for "--listen" flag: expected IP:PORT, for example 127.0.0.1:50051"#,
        ),
    ] {
        assert_eq!(world.wrong(line), [expected], "{line}");
    }
}

#[test]
fn groups_speak_with_the_ecosystems_texts() {
    for (line, expected) in [
        (
            "--grant-entitlement e",
            "if any flags in the group [grant-entitlement grant-principal] are set they must all be set; \
             missing [grant-principal]",
        ),
        (
            "--sandbox --client-id x --client-secret y",
            "if any flags in the group [sandbox client-id] are set none of the others can be; [client-id sandbox] were all set",
        ),
        (
            "--revoke-grant g --event-feed true",
            "if any flags in the group [grant-entitlement revoke-grant create-account-login delete-resource rotate-credentials \
             event-feed create-ticket get-ticket list-ticket-schemas bulk-create-ticket] are set none of the others can be; \
             [event-feed revoke-grant] were all set",
        ),
    ] {
        let wrong = World::new().wrong(&format!("{TENANT} {line}"));
        assert!(wrong.iter().any(|text| text == expected), "{line}: {wrong:#?}");
    }
    // A default, an empty text or `false` is not "set".
    World::new().sync(&format!(
        "{TENANT} --client-id= --diff-syncs=false --revoke-grant= --dry-run=false --invoke-action-args {{}}"
    ));
}

#[test]
fn what_this_version_does_not_do_is_refused_with_a_reason_or_told() {
    for setting in SETTINGS {
        let value = match setting.kind {
            Kind::Switch => "true".to_owned(),
            Kind::Int { max, .. } => max.min(7).to_string(),
            Kind::OneOf(choices) => choices.last().unwrap().to_string(),
            Kind::ListOf(choices) => choices[0].to_owned(),
            Kind::Text | Kind::List => "x".to_owned(),
            Kind::Address | Kind::Object => continue,
        };
        let line = format!("{TENANT} --{}={value}", setting.name);
        match setting.disposition {
            Disposition::Works => {}
            Disposition::Ineffective(reason) => {
                let told = format!("{} has no effect: {reason}", setting.name);
                assert_eq!(World::new().load(&line).unwrap().warnings, [told]);
            }
            Disposition::Refused(reason) | Disposition::RefusedValue(_, reason) => {
                assert!(reason.len() > 15, "{} has no proper reason", setting.name);
                let wrong = World::new().wrong(&line);
                let found = wrong.iter().any(|text| {
                    text.starts_with(setting.name)
                        && text.ends_with(reason)
                        && text.contains("is not supported")
                });
                assert!(found, "{line}: {wrong:#?}");
            }
        }
    }
    World::new().sync(&format!("{TENANT} --storage-engine sqlite"));
    World::new().sync(&format!("{TENANT} --storage-engine="));
}

#[test]
fn the_file_is_optional_unless_named() {
    assert!(World::new().load(TENANT).is_ok());
    let named = World::new().var("BATON_CONFIG_PATH", "other.yml");
    let missing = named.wrong(TENANT);
    assert_eq!(missing.len(), 1, "{missing:#?}");
    assert!(
        missing[0].starts_with("configuration file other.yml: cannot be read: No such file"),
        "{missing:#?}"
    );
    std::fs::write(named.directory.path().join("other.yml"), "file: named.c1z\n").unwrap();
    assert_eq!(named.sync(TENANT).file, PathBuf::from("named.c1z"));
    let toml = World::new().var("BATON_CONFIG_PATH", "config.toml");
    let expected =
        "configuration file config.toml: BATON_CONFIG_PATH must name a file that ends in .yaml or .yml";
    assert_eq!(toml.wrong(""), [expected]);
}

#[test]
fn a_garbage_file_is_one_clear_message() {
    let world = World::new().yaml("coupa-domain: acme.coupahost.com\ncoupa-client-secret: \"s3cret\n");
    let wrong = world.wrong("");
    assert_eq!(wrong.len(), 1, "{wrong:#?}");
    assert!(
        wrong[0].starts_with("configuration file ./.baton.yaml, line "),
        "{wrong:#?}"
    );
    assert!(!wrong[0].contains("s3cret"), "{wrong:#?}");
}

#[test]
fn printing_commands_need_no_configuration_at_all() {
    let world = World::new().yaml(": : garbage").var("BATON_WORKERS", "many");
    let command = |line: &str| world.load(line).unwrap().command;
    assert!(matches!(command("capabilities"), Command::Capabilities));
    assert!(matches!(command("config --coupa-domain x"), Command::Config));
    assert!(matches!(
        command("completion zsh"),
        Command::Completion(Shell::Zsh)
    ));
    for line in ["--version", "-v"] {
        assert!(matches!(command(line), Command::Version));
    }
    for (line, topic) in [
        ("--help", Topic::Root),
        ("-h --sandbox", Topic::Root),
        ("help", Topic::Root),
        ("help serve", Topic::Serve),
        ("serve --help", Topic::Serve),
        ("--help sandbox", Topic::Sandbox),
        ("help journal", Topic::Journal),
        ("help journal recover", Topic::JournalRecover),
        ("journal -h export", Topic::JournalExport),
        ("completion", Topic::Completion),
    ] {
        assert!(
            matches!(command(line), Command::Help(about) if about == topic),
            "{line}"
        );
    }
    assert_eq!(world.wrong("capabilities --bogus"), ["unknown flag: --bogus"]);
}

#[test]
fn the_sandbox_needs_nothing_and_its_dials_have_two_names() {
    let world = World::new()
        .var("BATON_SANDBOX_USERS", "9")
        .var("BATON_COUPA_CLIENT_ID", "real");
    let Target::Sandbox(dials) = world
        .sync("--sandbox --sandbox-seed 4 --sandbox-fault reset=0.5 --sandbox-rate 25")
        .tenant
        .target
    else {
        panic!("not the sandbox");
    };
    assert_eq!(
        (
            dials.users,
            dials.groups,
            dials.roles,
            dials.seed,
            dials.latency_ms
        ),
        (9, 40, 25, 4, 0)
    );
    assert_eq!(dials.rate, 25.try_into().ok());
    assert!((dials.faults.reset - 0.5).abs() < f64::EPSILON);

    let standing = |world: &World, line: &str| match world.load(&format!("sandbox {line}")).unwrap().command {
        Command::Sandbox(settings) => settings,
        other => panic!("{other:?}"),
    };
    let settings = standing(
        &world,
        "--groups 3 --reading graphql-page=25 --listen 127.0.0.1:0",
    );
    assert_eq!(
        (settings.dials.users, settings.dials.groups, settings.dials.rate),
        (9, 3, None)
    );
    assert_eq!(settings.dials.readings.graphql_page, 25);
    assert_eq!(
        (settings.listen.to_string().as_str(), settings.tls),
        ("127.0.0.1:0", None)
    );
    assert_eq!(
        standing(&world.var("BATON_USERS", "8"), "").dials.users,
        8,
        "the short name wins"
    );
    let tls = standing(&World::new(), "--tls-cert c --tls-key k").tls.unwrap();
    assert_eq!((tls.cert, tls.key), (PathBuf::from("c"), PathBuf::from("k")));
    assert_eq!(
        World::new().wrong("--sandbox --users 5"),
        ["unknown flag: --users"]
    );
}

#[test]
fn the_server_is_never_open_by_accident() {
    let world = World::new();
    let plain = world.serve("").server;
    assert_eq!(plain.listen().to_string(), "127.0.0.1:50051");
    assert!(matches!(plain.tls(), TlsMode::Plaintext));
    let files = "--tls-cert c --tls-key k";
    let strict = world.serve(&format!(
        "--listen 0.0.0.0:1 {files} --tls-client-ca ca --tls-allowed-client a,b"
    ));
    let TlsMode::Tls(strict) = strict.server.tls() else {
        panic!("not TLS");
    };
    assert_eq!(
        (&strict.cert, &strict.key),
        (&PathBuf::from("c"), &PathBuf::from("k"))
    );
    assert!(matches!(&strict.clients, ClientAuth::Required { allowed, .. } if allowed.len() == 2));
    let open = world.serve(&format!("{files} --tls-allow-any-client"));
    assert!(matches!(open.server.tls(), TlsMode::Tls(open) if matches!(open.clients, ClientAuth::Anybody)));

    for (line, word) in [
        ("--listen 0.0.0.0:1", "is not a loopback address"),
        ("--listen [::]:1", "is not a loopback address"),
        (files, "TLS needs --tls-client-ca"),
        (
            "--tls-cert c",
            "if any flags in the group [tls-cert tls-key] are set they must all be set; missing [tls-key]",
        ),
        (
            "--tls-client-ca ca",
            "do nothing without --tls-cert and --tls-key",
        ),
        (
            "--tls-cert c --tls-key k --tls-client-ca ca --tls-allow-any-client",
            "exclude each other",
        ),
        (
            "--tls-cert c --tls-key k --tls-allow-any-client --tls-allowed-client a",
            "--tls-allowed-client needs --tls-client-ca",
        ),
    ] {
        let wrong = world.wrong(&format!("serve {TENANT} {line}"));
        assert!(wrong.len() == 1 && wrong[0].contains(word), "{line}: {wrong:#?}");
    }
}

#[test]
fn a_temporary_directory_must_exist() {
    let world = World::new();
    std::fs::create_dir(world.directory.path().join("tmp")).unwrap();
    assert_eq!(
        world
            .sync(&format!("{TENANT} --c1z-temp-dir tmp"))
            .tenant
            .temp_dir,
        Some("tmp".into())
    );
    let world = world.var("BATON_TMPDIR", "nowhere");
    let expected = "invalid value in $BATON_TMPDIR: expected an existing directory";
    assert_eq!(world.wrong(TENANT), [expected]);
    assert_eq!(
        world
            .sync(&format!("{TENANT} --c1z-temp-dir tmp"))
            .tenant
            .temp_dir,
        Some("tmp".into())
    );
}

#[test]
fn log_settings_reach_telemetry_on_every_command() {
    let world = World::new().var("BATON_LOG_LEVEL", "debug");
    for command in [TENANT.to_owned(), format!("serve {TENANT}"), "sandbox".to_owned()] {
        let log = world
            .load(&format!("{command} --log-format console --log-path x.log"))
            .unwrap()
            .log;
        assert_eq!(
            (log.level.to_string().as_str(), log.format),
            ("debug", Some(Format::Console)),
            "{command}"
        );
        assert_eq!(log.paths, ["x.log"]);
    }
}

#[test]
fn debug_shows_neither_secrets_nor_the_client() {
    let line = "--coupa-client-id s3cret-id --coupa-client-secret s3cret --coupa-domain acme.coupahost.com";
    let wrong = World::new().load(&format!(
        "{line} --coupa-base-url https://s3cret:s3cret@127.0.0.1"
    ));
    assert!(!format!("{wrong:?}").contains("s3cret"));
    let invocation = World::new().load(line).unwrap();
    let shown = format!("{invocation:?} {invocation:#?}");
    assert!(shown.contains("acme.coupahost.com"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
    let serve = World::new().load(&format!("serve {line}")).unwrap();
    assert!(!format!("{serve:?}").contains("s3cret"));
}

#[test]
fn an_argument_that_is_not_text_is_told() {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt as _;
        let odd = OsString::from_vec(vec![b'-', b'-', b'f', b'i', b'l', b'e', b'=', 0xff]);
        let args = [OsString::from(PROGRAM), odd.clone()].into_iter();
        let errors = load(args, &|_| None, Path::new(".")).unwrap_err();
        assert_eq!(errors.to_string(), "an argument is not valid UTF-8");
        let env = |name: &str| (name == "BATON_FILE").then(|| odd.clone());
        let args = [PROGRAM, "--sandbox"].map(OsString::from).into_iter();
        let errors = load(args, &env, Path::new("/nonexistent")).unwrap_err();
        assert_eq!(
            errors.to_string(),
            "invalid value in $BATON_FILE: expected UTF-8 text"
        );
    }
}
