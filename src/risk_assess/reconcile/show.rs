//! A reconciliation for machines and for files.
//!
//! Invariant: names of JSON members never change their meaning; new ones may come. Ids and lines, no values.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::fault::Fault;
use crate::model::id::UserId;

use super::super::columns::Column;
use super::super::sheet::{Cell, Section};
use super::{Finding, Kind, Proved, Reconciled, Shown};

/// One JSON object, with a newline at its end.
pub fn json(reconciled: &Reconciled) -> Result<String, Fault> {
    let mut text = serde_json::to_string_pretty(&Whole::of(reconciled))
        .map_err(|error| Fault::internal("a reconciliation cannot be written as JSON").because(error))?;
    text.push('\n');
    Ok(text)
}

#[derive(Serialize)]
struct Whole<'a> {
    grid_date: String,
    accounts: usize,
    /// By kind, those without any included.
    summary: BTreeMap<&'static str, usize>,
    findings: Vec<One<'a>>,
    proved: Vec<Proof>,
    users_without_license_flag: u64,
    unknown_columns: &'a [String],
    lines_with_unreadable_id: &'a [u64],
    lines_without_name: &'a [u64],
}

#[derive(Serialize)]
struct One<'a> {
    kind: &'static str,
    user: Option<u64>,
    line: Option<u64>,
    fields: Vec<&'static str>,
    text: &'a str,
    ledger: Option<String>,
}

#[derive(Serialize)]
struct Proof {
    user: u64,
    shown: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_compared: Vec<&'static str>,
}

impl<'a> Whole<'a> {
    fn of(reconciled: &'a Reconciled) -> Self {
        Self {
            grid_date: reconciled.date.to_string(),
            accounts: reconciled.accounts,
            summary: Kind::ALL
                .into_iter()
                .map(|kind| (kind.name(), reconciled.count(kind)))
                .collect(),
            findings: reconciled.findings.iter().map(One::of).collect(),
            proved: reconciled.proved.iter().map(Proof::of).collect(),
            users_without_license_flag: reconciled.unjudged,
            unknown_columns: &reconciled.unknown_columns,
            lines_with_unreadable_id: &reconciled.unreadable_ids,
            lines_without_name: &reconciled.nameless,
        }
    }
}

impl<'a> One<'a> {
    fn of(finding: &'a Finding) -> Self {
        Self {
            kind: finding.kind.name(),
            user: finding.user.map(UserId::get),
            line: finding.line,
            fields: finding.fields.iter().map(|column| column.title()).collect(),
            text: &finding.text,
            ledger: finding.ledger.map(|standing| standing.to_string()),
        }
    }
}

impl Proof {
    fn of(proved: &Proved) -> Self {
        let (shown, link, untold) = match &proved.shown {
            Shown::Account { link, untold } => ("account", Some(link.name()), Some(untold)),
            Shown::Link(link) => ("link", Some(link.name()), None),
            Shown::NoAccount => ("no-account", None, None),
        };
        Self {
            user: proved.user.get(),
            shown,
            link,
            not_compared: untold
                .into_iter()
                .flatten()
                .map(|column| column.title())
                .collect(),
        }
    }
}

/// Findings and proofs, a table each.
pub fn sections(reconciled: &Reconciled) -> Vec<Section> {
    let header = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    vec![
        Section {
            title: "Findings".into(),
            header: header(&[
                "Finding",
                "Coupa User ID",
                "Line in grid",
                "Fields",
                "What",
                "Ledger",
            ]),
            rows: reconciled.findings.iter().map(finding).collect(),
            notice: Some(caution(reconciled)),
        },
        Section {
            title: "Proved".into(),
            header: header(&["Coupa User ID", "Shown", "Link", "Not compared"]),
            rows: reconciled.proved.iter().map(proof).collect(),
            notice: Some(format!("By the grid of {}.", reconciled.date)),
        },
    ]
}

fn caution(reconciled: &Reconciled) -> String {
    format!(
        "Grid of {}. It shows active users only: an account that is missing may be inactive or never have been made.",
        reconciled.date
    )
}

fn finding(finding: &Finding) -> Vec<Cell> {
    let text = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
    [
        finding.kind.name().to_owned(),
        text(finding.user.map(UserId::get)),
        text(finding.line),
        titles(&finding.fields),
        finding.text.clone(),
        finding
            .ledger
            .map(|standing| standing.to_string())
            .unwrap_or_default(),
    ]
    .map(Cell::plain)
    .to_vec()
}

fn proof(proved: &Proved) -> Vec<Cell> {
    let proof = Proof::of(proved);
    [
        proof.user.to_string(),
        proof.shown.to_owned(),
        proof.link.unwrap_or_default().to_owned(),
        proof.not_compared.join(", "),
    ]
    .map(Cell::plain)
    .to_vec()
}

fn titles(columns: &[Column]) -> String {
    let titles: Vec<&str> = columns.iter().map(|column| column.title()).collect();
    titles.join(", ")
}
