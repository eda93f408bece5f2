//! Changes and the journal, from texts to typed settings.

use std::time::Duration;

use super::*;
use crate::model::journal::{EntryId, Which};
use crate::oneshot::{Account, Action, ResourceName, Task};
use crate::provision::{Exception, Policy};

/// A world in which state can be kept.
fn world() -> World {
    World::new().var("HOME", "/home/x").var("LOCALAPPDATA", "/home/x")
}

fn one_shot(world: &World, line: &str) -> OneShotSettings {
    match world.load(&format!("{TENANT} {line}")).unwrap().command {
        Command::OneShot(settings) => settings,
        other => panic!("{line}: {other:?}"),
    }
}

fn task(line: &str) -> Task {
    one_shot(&world(), line).task
}

fn name(kind: &str, id: &str) -> ResourceName {
    ResourceName {
        kind: kind.into(),
        id: id.into(),
    }
}

fn allow<const N: usize>(exceptions: [Exception; N]) -> Policy {
    Policy {
        allow: exceptions.into(),
    }
}

fn object(value: serde_json::Value) -> serde_json::Map<String, serde_json::Value> {
    match value {
        serde_json::Value::Object(members) => members,
        other => panic!("{other}"),
    }
}

#[test]
fn every_mode_becomes_its_task() {
    let settings = one_shot(
        &world(),
        "--grant-entitlement role:7:member --grant-principal 42 --grant-principal-type user -f x.c1z",
    );
    let granted = Task::Grant {
        entitlement: "role:7:member".into(),
        principal: name("user", "42"),
    };
    assert!(settings.task == granted);
    assert_eq!(
        (settings.file, settings.mode),
        (PathBuf::from("x.c1z"), OneShotMode::Apply)
    );
    assert_eq!(settings.changes.journal_retention, Duration::from_hours(400 * 24));
    assert_eq!(settings.changes.policy, Policy::default());

    assert!(
        task("--revoke-grant role:7:member:user:42")
            == Task::Revoke {
                grant: "role:7:member:user:42".into()
            }
    );
    assert!(
        task("--delete-resource 42 --delete-resource-type user") == Task::DeleteResource(name("user", "42"))
    );
    assert!(
        task(
            r#"--invoke-action disable_user --invoke-action-args {"user_id":"42"} --invoke-action-resource-type user"#
        ) == Task::InvokeAction(Action {
            name: "disable_user".into(),
            args: object(serde_json::json!({"user_id": "42"})),
            resource_type: "user".into(),
        })
    );
    assert!(
        task("--list-action-schemas --list-action-schemas-resource-type user")
            == Task::ListActionSchemas {
                resource_type: "user".into()
            }
    );
}

#[test]
fn an_account_is_asked_for_by_login_or_by_profile() {
    let account = |login: &str, email: &str, profile| {
        Task::CreateAccount(Account {
            login: login.into(),
            email: email.into(),
            profile: object(profile),
            resource_type: String::new(),
        })
    };
    let profile = r#"{"first_name":"Ann"}"#;
    let made = task(&format!(
        "--create-account-login ann --create-account-email a@x.org --create-account-profile {profile}"
    ));
    assert!(made == account("ann", "a@x.org", serde_json::json!({"first_name": "Ann"})));
    let made = task(&format!("--create-account-profile {profile}"));
    assert!(made == account("", "", serde_json::json!({"first_name": "Ann"})));
    assert!(task("--create-account-login ann") == account("ann", "", serde_json::json!({})));
}

#[test]
fn of_several_tasks_the_ecosystems_first_is_done_and_the_others_are_told() {
    // Those that the ecosystem's own groups do not keep apart.
    let grant = "--grant-entitlement e --grant-principal 1 --grant-principal-type user";
    let delete = "--delete-resource 1 --delete-resource-type user";
    let flag = |line: &str| line.split(' ').next().unwrap().trim_start_matches('-').to_owned();
    for (first, other) in [
        (grant, "--invoke-action a"),
        ("--revoke-grant g", "--list-action-schemas"),
        ("--invoke-action a", "--list-action-schemas"),
        ("--invoke-action a", delete),
        ("--list-action-schemas", delete),
        (r#"--create-account-profile {"a":1}"#, delete),
    ] {
        // Written the other way round: what counts is the order of the modes.
        let loaded = world().load(&format!("{TENANT} {other} {first}")).unwrap();
        let Command::OneShot(settings) = loaded.command else {
            panic!("not one shot");
        };
        assert!(settings.task == task(first), "{first} before {other}");
        let told = format!(
            "{} has no effect: {} comes first, and a run does one thing",
            flag(other),
            flag(first)
        );
        assert_eq!(loaded.warnings, [told]);
    }
}

#[test]
fn what_cannot_be_meant_is_told_and_starts_no_sync() {
    for (line, expected) in [
        (
            "--grant-entitlement e --grant-principal 42",
            "unknown provisioning action: grant-principal-type is not set",
        ),
        (
            "--grant-principal-type user",
            "flag grant-principal-type has no meaning without grant-entitlement",
        ),
        (
            "--create-account-email a@x.org",
            "flag create-account-email has no meaning without create-account-login or create-account-profile",
        ),
        (
            "--delete-resource 42",
            "if any flags in the group [delete-resource delete-resource-type] are set they must all be set; \
             missing [delete-resource-type]",
        ),
        (
            r#"--invoke-action-args {"a":1}"#,
            "flag invoke-action-args has no meaning without invoke-action",
        ),
        (
            "--invoke-action a --invoke-action-args [1]",
            r#"invalid argument for "--invoke-action-args" flag: expected a JSON object, for example {"name": "value"}"#,
        ),
        (
            "--rotate-credentials 42",
            "rotate-credentials is not supported: how people sign in to Coupa is not this connector's business: \
             it neither makes nor rotates passwords",
        ),
        (
            "--revoke-grant g --file=",
            "file: expected the path of the sync file to look the change's names up in",
        ),
        (
            "--dry-run",
            "dry-run: a sync changes nothing in Coupa; leave dry-run out, or name a change, for instance with --revoke-grant",
        ),
        (
            "--dry-run --list-action-schemas",
            "dry-run: this task changes nothing in Coupa; leave dry-run out",
        ),
        (
            "--journal-retention-days 0",
            r#"invalid argument for "--journal-retention-days" flag: expected a number from 1 to 36500"#,
        ),
        (
            "--provisioning-allow last-administrator",
            r#"invalid argument for "--provisioning-allow" flag: expected one of inactive-group, supplier-account, support-account, own-account, no-roles"#,
        ),
    ] {
        assert_eq!(world().wrong(&format!("{TENANT} {line}")), [expected], "{line}");
    }
    for (command, line, flag) in [
        ("serve", "--dry-run", "dry-run"),
        ("serve", "--revoke-grant g", "revoke-grant"),
        ("journal", "--list-action-schemas", "list-action-schemas"),
    ] {
        let expected = format!(
            "{flag} has no meaning on {command}: it is for one change, in a run without a sub-command"
        );
        assert_eq!(world().wrong(&format!("{command} {TENANT} {line}")), [expected]);
    }
}

#[test]
fn a_dry_run_and_its_policies_are_settings_like_others() {
    let world = world()
        .yaml("provisioning-allow: [no-roles]\njournal-retention-days: 1\n")
        .var("BATON_DRY_RUN", "true");
    let settings = one_shot(&world, "--revoke-grant g --provisioning-allow own-account");
    assert_eq!(settings.mode, OneShotMode::DryRun);
    assert_eq!(
        settings.changes.policy,
        allow([Exception::NoRoles, Exception::OwnAccount])
    );
    assert_eq!(settings.changes.journal_retention, Duration::from_hours(24));
}

#[test]
fn whatever_may_write_keeps_a_journal() {
    const NO_PLACE: &str = "changes need a state directory that lasts, for their journal: set --state-dir";
    let nowhere = World::new();
    for line in ["--revoke-grant g", "serve -p", "journal recover", "journal"] {
        assert_eq!(nowhere.wrong(&format!("{TENANT} {line}")), [NO_PLACE], "{line}");
    }
    let named = one_shot(&nowhere, "--revoke-grant g --state-dir kept")
        .tenant
        .state_dir;
    assert_eq!(named, StateDir::Named("kept".into()));
    assert!(matches!(
        one_shot(&world(), "--revoke-grant g").tenant.state_dir,
        StateDir::PerUser(_)
    ));
    // What writes nothing needs none.
    assert_eq!(
        one_shot(&nowhere, "--revoke-grant g --dry-run").tenant.state_dir,
        StateDir::Temporary
    );
    assert_eq!(
        one_shot(&nowhere, "--list-action-schemas").tenant.state_dir,
        StateDir::Nowhere
    );
    assert_eq!(
        nowhere.sync(&format!("{TENANT} -p")).tenant.state_dir,
        StateDir::Nowhere
    );
}

#[test]
fn the_embedded_sandbox_forgets_its_journal_and_says_so() {
    const TOLD: &str = "the journal of changes is temporary: the embedded sandbox forgets the changes, too";
    for line in [
        "--revoke-grant g",
        "serve -p",
        "--revoke-grant g --state-dir kept",
    ] {
        let loaded = world().load(&format!("--sandbox {line}")).unwrap();
        assert_eq!(loaded.warnings, [TOLD], "{line}");
        let place = match loaded.command {
            Command::OneShot(settings) => settings.tenant.state_dir,
            Command::Serve(settings) => settings.tenant.state_dir,
            other => panic!("{other:?}"),
        };
        assert_eq!(place, StateDir::Temporary, "{line}");
    }
    for line in ["journal", "journal export", "journal recover"] {
        assert_eq!(
            world().wrong(&format!("--sandbox {line}")),
            ["the embedded sandbox keeps no journal when it ends, so there is none to look at"]
        );
    }
}

#[test]
fn a_server_changes_nothing_unless_told() {
    assert_eq!(world().serve("").changes, None);
    assert_eq!(world().serve("--provisioning-allow no-roles").changes, None);
    let changes = world().serve("-p --provisioning-allow no-roles").changes.unwrap();
    assert_eq!(changes.policy, allow([Exception::NoRoles]));
    for exception in Exception::ALL {
        let changes = world()
            .serve(&format!("-p --provisioning-allow {}", exception.name()))
            .changes;
        assert_eq!(changes.unwrap().policy, allow([exception]));
    }
    assert!(
        world()
            .var("BATON_PROVISIONING", "true")
            .serve("")
            .changes
            .is_some()
    );
}

fn journal(world: &World, line: &str) -> JournalSettings {
    match world.load(line).unwrap().command {
        Command::Journal(settings) => settings,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn the_journal_is_shown_without_the_secret() {
    const WHOSE: &str = "--coupa-client-id=s3cret-id --coupa-domain=acme.coupahost.com --state-dir kept";
    let settings = journal(&world(), &format!("journal {WHOSE}"));
    assert_eq!(
        (
            settings.dir.clone(),
            settings.tenant.as_str(),
            settings.client_id.as_str()
        ),
        (PathBuf::from("kept"), "acme.coupahost.com", "s3cret-id")
    );
    assert_eq!((settings.which, settings.form), (Which::All, JournalForm::Table));
    assert!(!format!("{settings:?}").contains("s3cret"));
    for (line, which, form) in [
        ("journal --open", Which::Open, JournalForm::Table),
        ("journal list --open", Which::Open, JournalForm::Table),
        ("journal --closed --json", Which::Closed, JournalForm::JsonLines),
        ("journal export", Which::All, JournalForm::JsonLines),
        ("journal export --open", Which::Open, JournalForm::JsonLines),
        ("journal --open export", Which::Open, JournalForm::JsonLines),
    ] {
        let settings = journal(&world(), &format!("{WHOSE} {line}"));
        assert_eq!((settings.which, settings.form), (which, form), "{line}");
    }
    assert_eq!(
        world().wrong("journal"),
        [r#"required flag(s) "coupa-client-id", "coupa-domain" not set"#]
    );
    assert_eq!(
        world().wrong(&format!("journal {WHOSE} --open --closed")),
        [
            "if any flags in the group [open closed] are set none of the others can be; [closed open] were all set"
        ]
    );
}

#[test]
fn recovery_by_hand_names_its_entry_before_it_decides() {
    let recover = |line: &str| match world().load(&format!("journal recover {TENANT} {line}")) {
        Ok(loaded) => match loaded.command {
            Command::Recover(settings) => Ok(settings.what),
            other => panic!("{line}: {other:?}"),
        },
        Err(errors) => Err(errors.to_string()),
    };
    assert_eq!(recover(""), Ok(Recovery::Everything));
    assert_eq!(recover("--entry 17"), Ok(Recovery::Entry(EntryId(17))));
    assert_eq!(
        recover("--entry 17 --restore"),
        Ok(Recovery::Restore(EntryId(17)))
    );
    assert_eq!(recover("--accept --entry 17"), Ok(Recovery::Accept(EntryId(17))));
    for (line, expected) in [
        ("--restore", "flag restore has no meaning without entry"),
        (
            "--entry 17 --restore --accept",
            "if any flags in the group [restore accept] are set none of the others can be; [accept restore] were all set",
        ),
    ] {
        assert_eq!(recover(line), Err(expected.to_owned()), "{line}");
    }
    assert_eq!(
        world().wrong(&format!("journal --open recover {TENANT}")),
        ["open has no meaning on journal recover: it is for journal"]
    );
    assert_eq!(
        world().wrong("journal recover --coupa-client-id=a --coupa-domain=acme.coupahost.com"),
        [r#"required flag(s) "coupa-client-secret" not set"#]
    );
}

#[test]
fn debug_shows_nothing_of_a_person() {
    let line = r#"--create-account-login s3cret --create-account-email s3cret@x.org --create-account-profile {"a":"s3cret"}"#;
    let shown = format!("{:?}", one_shot(&world(), line));
    assert!(!shown.contains("s3cret"), "{shown}");
}
