//! The doctor's report: a table for people, grouped by area, and JSON for scripts.
//!
//! Invariant: names of JSON members and of checks never change their meaning; new ones may come. What a terminal would obey is taken out.

use std::fmt::Write as _;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;

use super::{exit, plain};
use crate::model::checkup::{Area, Finding, Report, Verdict};

/// The form of the JSON; it counts up when a script must look anew.
const FORM: u32 = 1;

/// The table with its totals, ending with a newline.
pub fn table(tenant: &str, report: &Report) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["", "", "check", tenant]);
    let mut area: Option<Area> = None;
    for finding in report.findings() {
        let check = finding.check;
        let new = area.replace(check.area()) != Some(check.area());
        let heading = if new { check.area().name() } else { "" };
        let (sign, word) = sign(&finding.verdict);
        table.add_row([
            heading,
            &format!("{sign} {word}"),
            check.id(),
            &plain(&finding.saw),
        ]);
        for line in finding
            .details
            .iter()
            .map(|line| plain(line))
            .chain(advice(finding))
        {
            table.add_row(["", "", "", &format!("  {line}")]);
        }
    }
    let mut text = table.lines().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{}", line.trim_end());
        text
    });
    let _ = writeln!(text, "\n{}", totals(report));
    text
}

/// What to do, where there is something to do.
fn advice(finding: &Finding) -> Option<String> {
    let advice = finding.advice.as_deref()?;
    match finding.verdict {
        Verdict::Warning | Verdict::Failing(_) => Some(format!("-> {}", plain(advice))),
        Verdict::Fine | Verdict::NotNeeded | Verdict::Unknown { .. } => None,
    }
}

/// Signs that every terminal has, and a word beside them.
const fn sign(verdict: &Verdict) -> (char, &'static str) {
    match verdict {
        Verdict::Fine => ('+', "fine"),
        Verdict::Warning => ('!', "warning"),
        Verdict::Failing(_) => ('X', "failing"),
        Verdict::NotNeeded => ('-', "not needed"),
        Verdict::Unknown { .. } => ('?', "unknown"),
    }
}

fn totals(report: &Report) -> String {
    let Counts {
        fine,
        warning,
        failing,
        not_needed,
        unknown,
    } = Counts::of(report);
    let sync = if report.would_sync_completely() {
        "a sync would be complete"
    } else {
        "a sync would not be complete"
    };
    format!(
        "{fine} fine, {warning} warning, {failing} failing, {unknown} unknown, {not_needed} not needed: {sync}"
    )
}

/// The report as one JSON object, ending with a newline.
pub fn json(tenant: &str, report: &Report) -> Result<String, serde_json::Error> {
    let document = Document {
        form: FORM,
        tenant,
        complete_sync: report.would_sync_completely(),
        exit_code: report
            .outcome()
            .err()
            .map_or(exit::SUCCESS, |fault| exit::code(&fault)),
        counts: Counts::of(report),
        checks: report.findings().iter().map(Row::of).collect(),
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

#[derive(Serialize)]
struct Document<'a> {
    form: u32,
    tenant: &'a str,
    complete_sync: bool,
    exit_code: u8,
    counts: Counts,
    checks: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Counts {
    fine: usize,
    warning: usize,
    failing: usize,
    not_needed: usize,
    unknown: usize,
}

impl Counts {
    fn of(report: &Report) -> Self {
        let count = |name: &str| {
            let findings = report.findings().iter();
            findings.filter(|finding| finding.verdict.name() == name).count()
        };
        Self {
            fine: count("fine"),
            warning: count("warning"),
            failing: count("failing"),
            not_needed: count("not-needed"),
            unknown: count("unknown"),
        }
    }
}

/// One check. Members that do not apply are `null`, or empty.
#[derive(Serialize)]
struct Row<'a> {
    id: &'static str,
    area: &'static str,
    title: &'static str,
    verdict: &'static str,
    saw: &'a str,
    details: &'a [String],
    advice: Option<&'a str>,
    waits_for: Option<&'static str>,
}

impl<'a> Row<'a> {
    fn of(finding: &'a Finding) -> Self {
        Self {
            id: finding.check.id(),
            area: finding.check.area().name(),
            title: finding.check.title(),
            verdict: finding.verdict.name(),
            saw: &finding.saw,
            details: &finding.details,
            advice: finding.advice.as_deref(),
            waits_for: match &finding.verdict {
                Verdict::Unknown { waits_for } => Some(waits_for.id()),
                Verdict::Fine | Verdict::Warning | Verdict::Failing(_) | Verdict::NotNeeded => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::checkup::{Chart, Check};
    use crate::model::fault::{Fault, FaultKind};

    fn report() -> Report {
        let scope = FaultKind::MissingScope {
            scope: "core.common.read".into(),
        };
        let lacks = Fault::new(scope, "the OAuth client lacks a scope: core.common.read")
            .advise("add it")
            .because("detail");
        let mut chart = Chart::default();
        chart.note(Finding::failing(Check::ScopeCommonRead, &lacks));
        chart.wait(&[Check::ObjectRoles, Check::ReadPlan], Check::ScopeCommonRead);
        chart.note(Finding::warning(Check::Clock, "40 s ahead\u{1b}[2J", "set it"));
        for check in Check::ALL {
            match check.area() {
                Area::Platform => chart.note(Finding::not_needed(check, "no daemon")),
                _ if [Check::ScopeCommonRead, Check::ObjectRoles, Check::ReadPlan].contains(&check) => {}
                _ => chart.note(Finding::fine(check, "seen")),
            }
        }
        chart.finish()
    }

    #[test]
    fn the_table_is_grouped_and_says_what_to_do() {
        let text = table("acme.coupahost.com", &report());
        let line = |part: &str| {
            let found = text.lines().find(|line| line.contains(part));
            found
                .unwrap_or_default()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert!(
            line("host-resolves").starts_with("host + fine host-resolves"),
            "{text}"
        );
        assert!(line("host-connects").starts_with("+ fine"), "{text}");
        assert_eq!(
            line("scope-common-read"),
            "X failing scope-common-read the OAuth client lacks a scope: core.common.read"
        );
        assert_eq!(line("-> add it"), "-> add it");
        assert_eq!(
            line("object-roles"),
            "? unknown object-roles not examined: waits for scope-common-read"
        );
        assert!(!text.contains('\u{1b}'));
        assert!(
            text.ends_with("1 warning, 1 failing, 2 unknown, 2 not needed: a sync would not be complete\n"),
            "{text}"
        );
    }

    #[test]
    fn members_have_stable_names() {
        let text = json("acme.coupahost.com", &report()).unwrap();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        let names: Vec<_> = document.as_object().unwrap().keys().collect();
        assert_eq!(
            names,
            ["form", "tenant", "complete_sync", "exit_code", "counts", "checks"]
        );
        assert_eq!(
            (
                &document["complete_sync"],
                &document["exit_code"],
                &document["form"]
            ),
            (&false.into(), &7.into(), &1.into())
        );
        let checks = document["checks"].as_array().unwrap();
        assert_eq!(checks.len(), Check::ALL.len());
        let scope = checks
            .iter()
            .find(|check| check["id"] == "scope-common-read")
            .unwrap();
        assert_eq!(
            *scope,
            serde_json::json!({
                "id": "scope-common-read", "area": "reading", "title": "the client has the scope core.common.read",
                "verdict": "failing", "saw": "the OAuth client lacks a scope: core.common.read", "details": ["detail"],
                "advice": "add it", "waits_for": null,
            })
        );
        let roles = checks.iter().find(|check| check["id"] == "object-roles").unwrap();
        assert_eq!(roles["waits_for"], "scope-common-read");
        let verdicts: BTreeSet<&str> = checks
            .iter()
            .map(|check| check["verdict"].as_str().unwrap())
            .collect();
        assert_eq!(verdicts.len(), 5);
    }
}
