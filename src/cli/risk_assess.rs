//! The ledger of accounts in Risk Assess, what waits to be delivered, and what came of a run.
//!
//! Invariant: ids, times and claims; no value of a person, but Risk Assess' own words about a row that it refused, for the person who asked.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::plain;
use crate::model::downstream::{Load, Parcel, ParcelStage, Record};
use crate::model::id::UserId;
use crate::risk_assess::deliver::{Deliveries, Ended};
use crate::risk_assess::sync::SyncReport;

/// Whether a parcel is about that user.
pub fn is_of(parcel: &Parcel, user: UserId) -> bool {
    matches!(parcel.load, Load::User(of) if of == user)
}

/// The ledger and the outbox for a person.
pub fn table(records: &[Record], parcels: &[Parcel], claim: &dyn Fn(&Record) -> String) -> String {
    let mut text = String::new();
    if records.is_empty() {
        text.push_str(
            "the ledger knows no account yet; baton-coupa risk-assess sync looks at licensed users\n",
        );
    } else {
        let mut table = grid(["user", "standing", "since", "what can be said", "problems"]);
        for record in records {
            let problems: Vec<_> = record
                .problems
                .iter()
                .map(|problem| plain(&problem.text))
                .collect();
            table.add_row([
                record.user.to_string(),
                record.standing.to_string(),
                time(record.since),
                plain(&claim(record)),
                problems.join("; "),
            ]);
        }
        let _ = write!(text, "{}\n{}\n", lines(&table), totals(records));
    }
    let waiting: Vec<&Parcel> = parcels.iter().filter(|parcel| !is_settled(parcel)).collect();
    if !waiting.is_empty() {
        let mut table = grid(["parcel", "holds", "put in", "sent", "stage"]);
        for parcel in waiting {
            table.add_row([
                parcel.id.to_string(),
                holds(&parcel.load),
                time(parcel.queued_at),
                parcel.attempts.to_string(),
                stage(&parcel.stage).to_owned(),
            ]);
        }
        let _ = write!(text, "\nto be delivered:\n{}", lines(&table));
    }
    text
}

/// `12 expected, 3 seen in grid of 2026-11-20`
fn totals(records: &[Record]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for record in records {
        *counts.entry(record.standing.to_string()).or_default() += 1;
    }
    let told: Vec<_> = counts
        .iter()
        .map(|(standing, count)| format!("{count} {standing}"))
        .collect();
    told.join(", ")
}

/// The same for programs: one object with `accounts` and `outbox`.
pub fn json(
    records: &[Record],
    parcels: &[Parcel],
    claim: &dyn Fn(&Record) -> String,
) -> Result<String, serde_json::Error> {
    let told = json!({
        "accounts": records.iter().map(|record| account(record, &claim(record))).collect::<Vec<_>>(),
        "outbox": parcels.iter().map(parcel).collect::<Vec<_>>(),
    });
    serde_json::to_string_pretty(&told).map(|text| text + "\n")
}

fn account(record: &Record, claim: &str) -> Value {
    let link = record
        .link
        .map(|(link, grid)| json!({ "by": link.name(), "grid": grid.to_string() }));
    let readiness = record.judged.as_ref().map(|judged| {
        json!({
            "at": judged.at.to_string(),
            "worst": judged.worst.map(|level| level.name()),
            "rules": judged.rules,
        })
    });
    let problems = record
        .problems
        .iter()
        .map(|problem| json!({ "kind": problem.kind, "text": problem.text, "at": problem.at.to_string() }));
    json!({
        "user": record.user.get(),
        "expectation": record.expectation.name(),
        "standing": record.standing.to_string(),
        "since": record.since.to_string(),
        "claim": claim,
        "evidence": record.evidence,
        "link": link,
        "read_at": record.reading.at.to_string(),
        "licensed": record.reading.licensed,
        "active": record.reading.active,
        "readiness": readiness,
        "problems": problems.collect::<Vec<_>>(),
    })
}

fn parcel(parcel: &Parcel) -> Value {
    let (standing, told) = match &parcel.stage {
        ParcelStage::Settled { standing, told, .. } => (Some(standing.to_string()), Some(told)),
        ParcelStage::Waiting | ParcelStage::Sending => (None, None),
    };
    json!({
        "parcel": parcel.id.0,
        "holds": holds(&parcel.load),
        "queued_at": parcel.queued_at.to_string(),
        "attempts": parcel.attempts,
        "stage": stage(&parcel.stage),
        "standing": standing,
        "told": told,
    })
}

/// What a look at users came to.
pub fn followed(report: &SyncReport) -> String {
    format!(
        "accounts followed: {} ({} new, {} changed, {} to be closed); problems in the ledger: {}\n",
        report.followed, report.new, report.changed, report.closed, report.problems
    )
}

/// What a delivery came to; what was refused or waits is told one by one.
pub fn delivered(deliveries: &Deliveries) -> String {
    let mut counts: Vec<String> = deliveries
        .settled()
        .into_iter()
        .map(|(standing, count)| format!("{count} {standing}"))
        .collect();
    counts.push(format!("{} waiting", deliveries.waiting()));
    let mut text = format!("delivery to Risk Assess: {}\n", counts.join(", "));
    for entry in &deliveries.entries {
        let done = matches!(
            entry.ended,
            Ended::Settled(crate::model::downstream::Standing::Delivered)
        );
        if !done {
            let words = entry
                .words
                .as_ref()
                .map(|words| format!(" ({})", plain(&words.0)));
            let _ = writeln!(
                text,
                "  {}: {}{}",
                entry.of,
                plain(&entry.told),
                words.unwrap_or_default()
            );
        }
    }
    text
}

fn grid<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(header);
    table
}

fn lines(table: &Table) -> String {
    table.lines().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{}", line.trim_end());
        text
    })
}

const fn is_settled(parcel: &Parcel) -> bool {
    matches!(parcel.stage, ParcelStage::Settled { .. })
}

const fn stage(stage: &ParcelStage) -> &'static str {
    match stage {
        ParcelStage::Waiting => "waiting",
        ParcelStage::Sending => "being sent",
        ParcelStage::Settled { .. } => "settled",
    }
}

fn holds(load: &Load) -> String {
    match load {
        Load::User(user) => format!("user {user}"),
        Load::Row { line, .. } => format!("line {line} of a file"),
    }
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}
