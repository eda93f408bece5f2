//! Readiness for Risk Assess on a terminal: how many, what is wrong, and who is not ready with what to do.
//!
//! Invariant: users who are ready, with or without warnings, are counted and not listed; what a terminal would obey is taken out of names.

use std::fmt::Write as _;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

use super::plain;
use crate::risk_assess::readiness::{Assessed, Assessment, Verdict};

/// The text, ending with a newline.
pub fn render(assessment: &Assessment) -> String {
    let mut text = totals(assessment);
    section(&mut text, "what was found:", &rules(assessment));
    section(&mut text, "who is not ready:", &not_ready(assessment));
    text
}

fn totals(assessment: &Assessment) -> String {
    let counts = &assessment.counts;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{} of {} users judged, setting {}",
        counts.judged,
        counts.read,
        assessment.strictness.name()
    );
    for (count, what) in [
        (counts.ready, "ready"),
        (counts.ready_with_warnings, "ready with warnings"),
        (counts.not_ready, "not ready"),
    ] {
        let _ = writeln!(text, "{count:>8}  {what}");
    }
    let _ = writeln!(
        text,
        "{:>8}  hold the license, {} of them not ready",
        counts.licensed, counts.licensed_not_ready
    );
    text
}

/// A table under its title; nothing if it has no rows.
fn section(text: &mut String, title: &str, table: &Table) {
    if table.row_count() == 0 {
        return;
    }
    let _ = writeln!(text, "\n{title}");
    for line in table.lines() {
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

fn rules(assessment: &Assessment) -> Table {
    let mut table = headed(&["users", "level", "rule", "element", "fix"]);
    for (rule, users) in assessment.by_rule() {
        table.add_row([
            &users.to_string(),
            rule.level.name(),
            rule.id,
            rule.element,
            rule.fix,
        ]);
    }
    table
}

/// Every remark of who is not ready, the name of the user at the first one only.
fn not_ready(assessment: &Assessment) -> Table {
    let mut table = headed(&["user", "login", "level", "rule", "what", "fix"]);
    let refused = |row: &&Assessed| row.verdict == Verdict::NotReady;
    for row in assessment.rows.iter().filter(refused) {
        let mut user = [row.user.to_string(), plain(&row.login)];
        for remark in &row.remarks {
            let [id, login] = std::mem::take(&mut user);
            table.add_row([
                &id,
                &login,
                remark.level.name(),
                remark.rule,
                &remark.text,
                remark.fix,
            ]);
        }
    }
    table
}

/// An empty table with numbers in its first column.
fn headed(names: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(names.iter().copied());
    if let Some(numbers) = table.column_mut(0) {
        numbers.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::id::UserId;
    use crate::model::readiness::Remark;
    use crate::risk_assess::Strictness;
    use crate::risk_assess::readiness::{Counts, RULES};

    fn remark(id: &str, text: &str) -> Remark {
        let rule = RULES.iter().find(|rule| rule.id == id).unwrap();
        Remark {
            rule: rule.id,
            level: rule.level,
            element: rule.element,
            column: rule.column,
            source: rule.source,
            text: text.to_owned(),
            fix: rule.fix,
        }
    }

    fn row(user: u64, login: &str, verdict: Verdict, remarks: Vec<Remark>) -> Assessed {
        Assessed {
            user: UserId::new(user).unwrap(),
            login: login.into(),
            email: Some("ann@example.com".into()),
            name: "Ann Other".to_owned(),
            active: true,
            licensed: Some(true),
            verdict,
            remarks,
        }
    }

    #[test]
    fn the_whole_text() {
        let assessment = Assessment {
            strictness: Strictness::Standard,
            counts: Counts {
                read: 200,
                judged: 3,
                ready: 1,
                ready_with_warnings: 1,
                not_ready: 1,
                licensed: 3,
                licensed_not_ready: 1,
            },
            rows: vec![
                row(
                    7,
                    "an\u{1b}[2Jn",
                    Verdict::NotReady,
                    vec![
                        remark("lastname-blank", "it is blank"),
                        remark("email-space", "character 3 is white space"),
                    ],
                ),
                row(
                    8,
                    "bob",
                    Verdict::ReadyWithWarnings,
                    vec![remark("email-space", "character 9 is white space")],
                ),
                row(1234, "eve", Verdict::Ready, vec![]),
            ],
        };
        let expected = "
3 of 200 users judged, setting standard
       1  ready
       1  ready with warnings
       1  not ready
       3  hold the license, 1 of them not ready

what was found:
 users  level  rule            element   fix
     1  error  lastname-blank  lastname  set the last name
     2  warn   email-space     email     remove the white space from the e-mail address

who is not ready:
 user  login   level  rule            what                        fix
    7  an[2Jn  error  lastname-blank  it is blank                 set the last name
               warn   email-space     character 3 is white space  remove the white space from the e-mail address
";
        assert_eq!(format!("\n{}", render(&assessment)), expected);
    }

    #[test]
    fn where_all_are_ready_there_is_a_summary_only() {
        let assessment = Assessment {
            strictness: Strictness::Strict,
            counts: Counts::default(),
            rows: Vec::new(),
        };
        let text = render(&assessment);
        assert!(
            text.starts_with("0 of 0 users judged, setting strict\n"),
            "{text}"
        );
        assert!(!text.contains(':'), "{text}");
    }
}
