//! Risk Assess, from texts to typed settings.

use std::time::Duration;

use jiff::civil::date;

use super::*;
use crate::risk_assess::{Delivery, Removal, RiskAssessConfig, Strictness, UserSync};

const LOGIN: &str =
    "--risk-assess-delivery quick-integration --risk-assess-username robot --risk-assess-password s3cret";

fn world() -> World {
    World::new().var("HOME", "/home/x").var("LOCALAPPDATA", "/home/x")
}

fn command(line: &str) -> RiskAssessCommand {
    match world()
        .load(&format!("risk-assess {line} {TENANT}"))
        .unwrap()
        .command
    {
        Command::RiskAssess(command) => *command,
        other => panic!("{line}: {other:?}"),
    }
}

fn sync(line: &str) -> FollowSettings {
    match command(&format!("sync {line}")) {
        RiskAssessCommand::Sync(settings) => settings,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn what_is_not_stated_is_unknown() {
    let settings = sync("");
    assert_eq!(settings.risk_assess.config, RiskAssessConfig::default());
    assert_eq!(settings.risk_assess.config.delivery, Delivery::Native);
    assert_eq!(settings.risk_assess.config.user_sync, UserSync::Unknown);
    assert!(settings.risk_assess.login.is_none() && !settings.full);
    assert_eq!(settings.risk_assess.interval, Some(Duration::from_hours(1)));
}

#[test]
fn statements_and_decisions_are_read() {
    let settings = sync(
        "--risk-assess-user-sync on --risk-assess-license-removal closes --risk-assess-readiness strict \
         --risk-assess-sync-minutes 0 --full",
    );
    let expected = RiskAssessConfig {
        strictness: Strictness::Strict,
        delivery: Delivery::Native,
        user_sync: UserSync::On,
        removal: Removal::Closes,
    };
    assert_eq!(settings.risk_assess.config, expected);
    assert!(settings.full && settings.risk_assess.interval.is_none());
}

#[test]
fn delivery_of_ours_needs_a_login_and_everything_missing_is_told_at_once() {
    let told = world().wrong(&format!(
        "risk-assess sync {TENANT} --risk-assess-delivery quick-integration"
    ));
    assert_eq!(
        told,
        [
            "risk-assess-delivery: quick-integration needs risk-assess-url (or risk-assess-tenant), risk-assess-username, risk-assess-password"
        ]
    );
    let login = |line: &str| sync(&format!("{LOGIN} {line}")).risk_assess.login.unwrap();
    assert_eq!(
        login("--risk-assess-tenant acme").url.unwrap(),
        "https://acme.hiperos.com"
    );
    let named = login("--risk-assess-tenant acme --risk-assess-url https://cra.example");
    assert_eq!(named.url.as_deref(), Some("https://cra.example"));
    assert_eq!(named.password.expose_secret(), "s3cret");
    let shown = format!(
        "{:?}",
        sync(&format!(
            "{LOGIN} --risk-assess-tenant acme --smtp-url smtps://u:p4ss@mail"
        ))
    );
    assert!(!shown.contains("s3cret") && !shown.contains("p4ss"), "{shown}");
}

#[test]
fn files_are_named_with_and_without_a_flag() {
    for line in ["import people.csv", "import --input people.csv"] {
        let RiskAssessCommand::Import(settings) =
            command(&format!("{line} --grid g.xlsx --grid-date 2026-11-20"))
        else {
            panic!("{line}");
        };
        assert_eq!(settings.input, PathBuf::from("people.csv"));
        let grid = settings.grid.unwrap();
        assert_eq!(
            (grid.path, grid.date),
            (PathBuf::from("g.xlsx"), Some(date(2026, 11, 20)))
        );
        assert!(
            settings.apply.is_none() && settings.place.is_none(),
            "the grid tells who is known"
        );
    }
    let RiskAssessCommand::Import(settings) = command("import people.csv") else {
        panic!();
    };
    assert_eq!(settings.place.unwrap().tenant, "acme.coupahost.com");
}

#[test]
fn what_cannot_be_meant_is_told() {
    for (line, told) in [
        (
            "import",
            "expected a file to read: baton-coupa risk-assess import FILE, or explain FILE",
        ),
        (
            "reconcile",
            "grid: expected the export of the user grid to compare with",
        ),
        (
            "reconcile --grid g.csv --grid-date 20.11.2026",
            "grid-date: expected a day as YYYY-MM-DD",
        ),
        (
            "readiness --output people.txt",
            "output: expected a file that ends in .csv or .xlsx",
        ),
        (
            "import a.csv --output b.csv",
            "output: the three sections of an import need a workbook; name a file that ends in .xlsx",
        ),
        (
            "sync --output b.csv",
            "output: only with --risk-assess-delivery file there is a template to write",
        ),
    ] {
        assert_eq!(
            world().wrong(&format!("risk-assess {line} {TENANT}")),
            [told],
            "{line}"
        );
    }
}

#[test]
fn a_report_is_explained_without_any_tenant() {
    let invocation = world()
        .load("risk-assess explain report.csv --format json")
        .unwrap();
    let Command::RiskAssess(command) = invocation.command else {
        panic!();
    };
    let RiskAssessCommand::Explain(settings) = *command else {
        panic!();
    };
    assert_eq!(
        (settings.input, settings.printed),
        (PathBuf::from("report.csv"), Printed::Json)
    );
}
