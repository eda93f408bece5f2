//! An error report of the account sync explained: a table for a person, JSON for machines.
//!
//! Invariant: names of JSON members never change their meaning; new ones may come. Values of people stand in both, since the reader gave the
//! file; what a terminal would obey or nobody would see is shown as its code.

use std::fmt::Write as _;

use comfy_table::Table;
use comfy_table::presets::NOTHING;

use super::plain;
use crate::risk_assess::explain::{Explained, Finding, Row, Way};

const HEADER: [&str; 9] = [
    "line",
    "Coupa id",
    "user",
    "field",
    "in Coupa",
    "in Risk Assess",
    "difference",
    "change in",
    "see",
];

/// The table, what to do below it, and what was noticed about the file; ends with a newline.
pub fn table(explained: &Explained) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(HEADER);
    let mut told = Told::default();
    for row in &explained.rows {
        fill(&mut table, row, &mut told);
    }
    let mut text = String::new();
    if explained.rows.is_empty() {
        text.push_str("the report has no rows\n");
    } else {
        for line in table.lines() {
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    told.list(&mut text);
    about(explained, &mut text);
    text
}

/// The whole as one JSON object, ending with a newline.
pub fn json(explained: &Explained) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(explained).map(|text| text + "\n")
}

/// Long texts, each once and by number.
#[derive(Default)]
struct Told(Vec<String>);

impl Told {
    fn number(&mut self, text: String) -> usize {
        let at = self.0.iter().position(|other| *other == text);
        1 + at.unwrap_or_else(|| {
            self.0.push(text);
            self.0.len() - 1
        })
    }

    fn list(&self, text: &mut String) {
        if !self.0.is_empty() {
            text.push('\n');
        }
        for (number, told) in (1..).zip(&self.0) {
            let _ = writeln!(text, "[{number}] {told}");
        }
    }
}

fn fill(table: &mut Table, row: &Row, told: &mut Told) {
    let mut about_row = Vec::new();
    if let Some(reason) = &row.reason {
        about_row.push(told.number(format!("the report says: {}", plain(reason))));
    }
    about_row.extend(row.hints.iter().map(|hint| told.number(plain(hint))));
    if row.findings.is_empty() {
        table.add_row(cells(row, None, &about_row));
    }
    for finding in &row.findings {
        let mut see = vec![told.number(plain(&finding.fix))];
        // What is so of the row as a whole stands once, beside its first field.
        see.append(&mut about_row);
        table.add_row(cells(row, Some(finding), &see));
    }
}

fn cells(row: &Row, finding: Option<&Finding>, see: &[usize]) -> [String; 9] {
    let value = |text: Option<&String>| text.map(|text| shown(text)).unwrap_or_default();
    let [field, coupa, theirs, differs, change_in] = match finding {
        None => [const { String::new() }; 5],
        Some(finding) => [
            finding.field.to_owned(),
            value(finding.coupa.as_ref()),
            value(finding.risk_assess.as_ref()),
            difference(finding),
            finding.change_in.text().to_owned(),
        ],
    };
    let see: Vec<String> = see.iter().map(|number| format!("[{number}]")).collect();
    [
        row.line.to_string(),
        value(row.coupa_user_id.as_ref()),
        value(row.user.as_ref()),
        field,
        coupa,
        theirs,
        differs,
        change_in,
        see.join(" "),
    ]
}

fn difference(finding: &Finding) -> String {
    let ways: Vec<&str> = finding.differs.iter().copied().map(Way::text).collect();
    match &finding.detail {
        Some(detail) => format!("{} ({detail})", ways.join(", ")),
        None => ways.join(", "),
    }
}

/// A value so that a person sees all of it: quoted where it has blanks at an edge, with codes for what is not to be seen.
fn shown(text: &str) -> String {
    let mut clear = String::with_capacity(text.len());
    for letter in text.chars() {
        let hidden = letter.is_control()
            || matches!(letter, '\u{a0}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if hidden {
            clear.extend(letter.escape_unicode());
        } else {
            clear.push(letter);
        }
    }
    if text.trim().len() < text.len() {
        format!("\"{clear}\"")
    } else {
        clear
    }
}

fn about(explained: &Explained, text: &mut String) {
    for (title, lines) in [
        ("not in the file", &explained.absent_columns),
        ("columns not read", &explained.unknown_columns),
        ("how the file was read", &explained.notes),
    ] {
        if !lines.is_empty() {
            let lines: Vec<String> = lines.iter().map(|line| plain(line)).collect();
            let _ = write!(text, "\n{title}:\n  {}\n", lines.join("\n  "));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::risk_assess::explain::explain;
    use crate::risk_assess::sheet;

    fn explained(text: &str) -> Explained {
        explain(&sheet::read_untrimmed(text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn the_whole_table() {
        let text = table(&explained(
            "Coupa ID,Login,Email,Shoe Size,Username,Coupa Username,Email\n\
             7,ada,Ada@example.com,4,ada@example.com,ada,ada@example.com\n\
             8,bob ,bob@example.com,5,bob@example.com,bob,bob@example.com\n\
             9,eve,eve@example.com,,eve@example.com,eve,eve@example.com\n",
        ));
        let expected = r#"
 line  Coupa id  user  field           in Coupa         in Risk Assess   difference                                         change in  see
 2     7         ada   Username        Ada@example.com  ada@example.com  letter case                                        Coupa      [1]
 2     7         ada   Email           Ada@example.com  ada@example.com  letter case                                        Coupa      [2]
 3     8         bob   Coupa Username  "bob "           bob              spaces at the edge (Coupa has 1 behind the value)  Coupa      [3]
 4     9         eve                                                                                                                   [4]

[1] in Coupa, Setup > Company Setup > Users: check the e-mail and the login, and save the user: the user name in Risk Assess is the e-mail by default, and is not editable there for a synced account
[2] in Coupa, Setup > Company Setup > Users: set the e-mail to what is right and save the user: Coupa is the only editor of a synced account
[3] in Coupa, Setup > Company Setup > Users: take the spaces out of the login and save the user
[4] what this row shows is the same on both sides: check what it does not show by `risk-assess readiness` (formats, lengths, doubles), and that User Sync is on

columns not read:
  Shoe Size

how the file was read:
  column 5, `Username`, is taken for Risk Assess': Coupa's own data stand first
  column 6, `Coupa Username`, is taken for Risk Assess': Coupa's own data stand first
  column 7, `Email`, is taken for Risk Assess': Coupa's own data stand first
"#;
        assert_eq!(format!("\n{text}"), expected);
    }

    #[test]
    fn members_have_stable_names() {
        let text = json(&explained(
            "Date Sync Failed,Coupa ID,Login,Username,Coupa Username\n2026-11-22,7,ada,ada,\n",
        ))
        .unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let finding = &value["rows"][0]["findings"][0];
        assert_eq!(
            value["absent_columns"],
            serde_json::json!(["Coupa: Email", "Risk Assess: Email"])
        );
        assert_eq!(value["unknown_columns"], serde_json::json!([]));
        assert_eq!(value["rows"][0]["line"], 2);
        assert_eq!(value["rows"][0]["coupa_user_id"], "7");
        assert_eq!(value["rows"][0]["user"], "ada");
        assert_eq!(value["rows"][0]["failed_at"], "2026-11-22");
        assert_eq!(finding["field"], "Coupa Username");
        assert_eq!(finding["coupa"], "ada");
        assert_eq!(finding.get("risk_assess"), None);
        assert_eq!(finding["differs"], serde_json::json!(["missing-in-risk-assess"]));
        assert_eq!(finding["change_in"], "risk-assess");
        assert!(finding["fix"].as_str().unwrap().contains("Coupa User ID 7"));
    }

    #[test]
    fn a_terminal_obeys_nothing() {
        assert_eq!(shown("a\u{1b}[2Jb\u{202e}"), "a\\u{1b}[2Jb\\u{202e}");
        assert_eq!(shown(" a"), "\" a\"");
        assert_eq!(shown("Ærøskøbing"), "Ærøskøbing");
    }
}
