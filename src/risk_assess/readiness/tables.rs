//! A tenant's readiness as files: CSV and XLSX with one row per remark, and JSON. Personal values stand in them: they are for the operator.
//!
//! Invariant: names of columns and of JSON members never change their meaning; new ones may come.

use std::borrow::Cow;

use serde::Serialize;

use crate::model::fault::Fault;
use crate::model::readiness::Remark;
use crate::risk_assess::sheet::{self, Cell, Section};

use super::survey::{Assessed, Assessment};

const HEADER: [&str; 14] = [
    "User id", "Login", "E-mail", "Name", "Active", "License", "Verdict", "Level", "Rule", "Element",
    "Column", "What", "Fix", "Source",
];

/// Rows of one sheet of a workbook, its header aside (Excel: 1,048,576 with it).
const SHEET: usize = 1_048_575;

/// One row per remark; a user without remarks has one, too.
pub fn section(assessment: &Assessment) -> Section {
    Section {
        title: Cow::Borrowed("Readiness"),
        header: HEADER.map(str::to_owned).into(),
        rows: assessment.rows.iter().flat_map(rows).collect(),
        notice: None,
    }
}

/// As CSV.
pub fn csv(assessment: &Assessment) -> Result<Vec<u8>, Fault> {
    let section = section(assessment);
    sheet::csv(&section.header, &section.rows)
}

/// As a workbook; a tenant too large for one sheet goes on in the next.
pub fn xlsx(assessment: &Assessment) -> Result<Vec<u8>, Fault> {
    sheet::xlsx(&split(section(assessment), SHEET))
}

/// As JSON text, ending with a newline.
pub fn json(assessment: &Assessment) -> Result<String, Fault> {
    let text = serde_json::to_string_pretty(&Document::of(assessment));
    let text = text.map_err(|error| Fault::internal("the readiness cannot be written").because(error))?;
    Ok(text + "\n")
}

/// In sections of at most so many rows, the first under the section's own title.
fn split(section: Section, most: usize) -> Vec<Section> {
    if section.rows.len() <= most {
        return vec![section];
    }
    let parts = section.rows.chunks(most).zip(1..);
    let part = |(rows, number): (&[Vec<Cell>], usize)| Section {
        title: match number {
            1 => section.title.clone(),
            number => Cow::Owned(format!("{} {number}", section.title)),
        },
        header: section.header.clone(),
        rows: rows.to_vec(),
        notice: None,
    };
    parts.map(part).collect()
}

fn rows(row: &Assessed) -> Vec<Vec<Cell>> {
    if row.remarks.is_empty() {
        return vec![cells(row, [""; 7])];
    }
    let remarks = row.remarks.iter().map(|remark| {
        cells(
            row,
            [
                remark.level.name(),
                remark.rule,
                remark.element,
                remark.column,
                &remark.text,
                remark.fix,
                remark.source,
            ],
        )
    });
    remarks.collect()
}

fn cells(row: &Assessed, remark: [&str; 7]) -> Vec<Cell> {
    let id = row.user.to_string();
    let user = [
        id.as_str(),
        &*row.login,
        row.email.as_deref().unwrap_or_default(),
        &row.name,
        yes_no(row.active),
        row.licensed.map_or("unknown", yes_no),
        row.verdict.name(),
    ];
    user.into_iter().chain(remark).map(Cell::plain).collect()
}

const fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

#[derive(Serialize)]
struct Document<'a> {
    strictness: &'static str,
    counts: Counts<'a>,
    users: Vec<User<'a>>,
}

#[derive(Serialize)]
struct Counts<'a> {
    read: u64,
    judged: u64,
    ready: u64,
    ready_with_warnings: u64,
    not_ready: u64,
    licensed: u64,
    licensed_not_ready: u64,
    rules: Vec<Broken<'a>>,
}

#[derive(Serialize)]
struct Broken<'a> {
    rule: &'a str,
    level: &'a str,
    users: u64,
}

#[derive(Serialize)]
struct User<'a> {
    id: u64,
    login: &'a str,
    email: Option<&'a str>,
    name: &'a str,
    active: bool,
    licensed: Option<bool>,
    verdict: &'a str,
    remarks: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    level: &'a str,
    rule: &'a str,
    element: &'a str,
    column: &'a str,
    what: &'a str,
    fix: &'a str,
    source: &'a str,
}

impl<'a> Document<'a> {
    fn of(assessment: &'a Assessment) -> Self {
        let counts = assessment.counts;
        let rules = assessment.by_rule().into_iter().map(|(rule, users)| Broken {
            rule: rule.id,
            level: rule.level.name(),
            users,
        });
        Self {
            strictness: assessment.strictness.name(),
            counts: Counts {
                read: counts.read,
                judged: counts.judged,
                ready: counts.ready,
                ready_with_warnings: counts.ready_with_warnings,
                not_ready: counts.not_ready,
                licensed: counts.licensed,
                licensed_not_ready: counts.licensed_not_ready,
                rules: rules.collect(),
            },
            users: assessment.rows.iter().map(User::of).collect(),
        }
    }
}

impl<'a> User<'a> {
    fn of(row: &'a Assessed) -> Self {
        Self {
            id: row.user.get(),
            login: &row.login,
            email: row.email.as_deref(),
            name: &row.name,
            active: row.active,
            licensed: row.licensed,
            verdict: row.verdict.name(),
            remarks: row.remarks.iter().map(Line::of).collect(),
        }
    }
}

impl<'a> Line<'a> {
    fn of(remark: &'a Remark) -> Self {
        Self {
            level: remark.level.name(),
            rule: remark.rule,
            element: remark.element,
            column: remark.column,
            what: &remark.text,
            fix: remark.fix,
            source: remark.source,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::id::UserId;
    use crate::risk_assess::Strictness;
    use crate::risk_assess::readiness::{Counts, RULES, Verdict};

    fn remark(id: &str, text: &str) -> Remark {
        let rule = RULES.iter().find(|rule| rule.id == id).unwrap();
        rule.saying(text.to_owned())
    }

    fn assessment() -> Assessment {
        let row = |user, licensed, verdict, remarks| Assessed {
            user: UserId::new(user).unwrap(),
            login: "=ann".into(),
            email: None,
            name: "Ann, Other".to_owned(),
            active: true,
            licensed,
            verdict,
            remarks,
        };
        Assessment {
            strictness: Strictness::Standard,
            counts: Counts {
                read: 9,
                judged: 2,
                ready: 1,
                ready_with_warnings: 0,
                not_ready: 1,
                licensed: 0,
                licensed_not_ready: 0,
            },
            rows: vec![
                row(
                    7,
                    None,
                    Verdict::NotReady,
                    vec![
                        remark("email-blank", "it is blank"),
                        remark("street3-dropped", "it goes nowhere"),
                    ],
                ),
                row(8, Some(false), Verdict::Ready, Vec::new()),
            ],
        }
    }

    #[test]
    fn every_remark_has_a_row_and_everybody_has_one() {
        let text = String::from_utf8(csv(&assessment()).unwrap()).unwrap();
        let lines: Vec<&str> = text.trim_start_matches('\u{feff}').lines().collect();
        assert_eq!(
            lines,
            [
                "User id,Login,E-mail,Name,Active,License,Verdict,Level,Rule,Element,Column,What,Fix,Source",
                "7,'=ann,,\"Ann, Other\",yes,unknown,not-ready,error,email-blank,email,EmailAddress,it is blank,set the e-mail address,\"D501, \
                 S2\"",
                "7,'=ann,,\"Ann, Other\",yes,unknown,not-ready,info,street3-dropped,default-address.street3,,it goes nowhere,move what matters \
                 to street1 or street2,\"S1, D501\"",
                "8,'=ann,,\"Ann, Other\",yes,no,ready,,,,,,,",
            ]
        );
    }

    #[test]
    fn a_workbook_holds_the_same() {
        let book = sheet::read(&xlsx(&assessment()).unwrap()).unwrap();
        let expected = section(&assessment());
        assert_eq!(book.header, expected.header);
        let texts = |row: &Vec<Cell>| row.iter().map(|cell| cell.text.clone()).collect::<Vec<_>>();
        for (line, row) in book.lines.iter().zip(&expected.rows) {
            assert_eq!(line.cells, texts(row), "line {}", line.number);
        }
        assert_eq!(book.lines.len(), expected.rows.len());
    }

    #[test]
    fn what_one_sheet_cannot_hold_goes_on_in_the_next() {
        let whole = section(&assessment());
        let parts = split(section(&assessment()), 2);
        let shape: Vec<(&str, usize)> = parts.iter().map(|part| (&*part.title, part.rows.len())).collect();
        assert_eq!(shape, [("Readiness", 2), ("Readiness 2", 1)]);
        assert!(parts.iter().all(|part| part.header == whole.header));
        let again: Vec<_> = parts.into_iter().flat_map(|part| part.rows).collect();
        assert!(again == whole.rows, "no row is lost or moved");
        assert_eq!(split(whole, 3).len(), 1);
    }

    #[test]
    fn json_has_stable_names() {
        let text = json(&assessment()).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            json["counts"],
            serde_json::json!({
                "read": 9, "judged": 2, "ready": 1, "ready_with_warnings": 0, "not_ready": 1, "licensed": 0, "licensed_not_ready": 0,
                "rules": [
                    {"rule": "email-blank", "level": "error", "users": 1},
                    {"rule": "street3-dropped", "level": "info", "users": 1},
                ],
            })
        );
        assert_eq!(json["strictness"], "standard");
        assert_eq!(
            json["users"][0]["remarks"][0],
            serde_json::json!({
                "level": "error", "rule": "email-blank", "element": "email", "column": "EmailAddress", "what": "it is blank",
                "fix": "set the e-mail address", "source": "D501, S2",
            })
        );
        assert_eq!(
            json["users"][1],
            serde_json::json!({
                "id": 8, "login": "=ann", "email": null, "name": "Ann, Other", "active": true, "licensed": false, "verdict": "ready",
                "remarks": [],
            })
        );
    }
}
