//! What a reconciliation shows on a terminal.
//!
//! Invariant: ids, lines and names of columns, no values.

use std::fmt::Write as _;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

use super::plain;
use crate::risk_assess::columns::Column;
use crate::risk_assess::reconcile::{Finding, Kind, Reconciled, Shown};

/// The findings, at most so many of each kind, below what they come to.
pub fn table(reconciled: &Reconciled, most: usize) -> String {
    let mut text = summary(reconciled);
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["finding", "Coupa user", "line", "fields", "what", "ledger"]);
    let mut more = String::new();
    for kind in Kind::ALL {
        let found = reconciled.findings.iter().filter(|finding| finding.kind == kind);
        for finding in found.take(most) {
            table.add_row(row(finding));
        }
        let rest = reconciled.count(kind).saturating_sub(most);
        if rest > 0 {
            let _ = writeln!(more, "and {rest} more: {}", kind.name());
        }
    }
    if reconciled.findings.is_empty() {
        return text;
    }
    for column in [1, 2] {
        if let Some(numbers) = table.column_mut(column) {
            numbers.set_cell_alignment(CellAlignment::Right);
        }
    }
    text.push('\n');
    for line in table.lines() {
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text + &more
}

fn summary(reconciled: &Reconciled) -> String {
    let shown = |wanted: fn(&Shown) -> bool| {
        let proved = reconciled.proved.iter();
        proved.filter(|proved| wanted(&proved.shown)).count()
    };
    let mut text = format!(
        "grid of {}: {} accounts\nproved: {} as Coupa shows the user, {} by the link alone, {} without an account as expected\n",
        reconciled.date,
        reconciled.accounts,
        shown(|shown| matches!(shown, Shown::Account { .. })),
        shown(|shown| matches!(shown, Shown::Link(_))),
        shown(|shown| matches!(shown, Shown::NoAccount)),
    );
    let counts: Vec<String> = Kind::ALL
        .into_iter()
        .filter(|kind| reconciled.count(*kind) > 0)
        .map(|kind| format!("{} {}", reconciled.count(kind), kind.name()))
        .collect();
    let counts = if counts.is_empty() {
        "nothing".to_owned()
    } else {
        counts.join(", ")
    };
    let _ = writeln!(text, "found: {counts}");
    let numbered = |lines: &[u64]| lines.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    for (told, what) in [
        (
            plain(&reconciled.unknown_columns.join(", ")),
            "columns that mean nothing here",
        ),
        (
            numbered(&reconciled.unreadable_ids),
            "lines whose Coupa User ID cannot be read",
        ),
        (numbered(&reconciled.nameless), "lines that name no account"),
    ] {
        if !told.is_empty() {
            let _ = writeln!(text, "{what}: {told}");
        }
    }
    if reconciled.unjudged > 0 {
        let _ = writeln!(
            text,
            "active users of whom Coupa does not show whether they hold the license: {}",
            reconciled.unjudged
        );
    }
    text.push_str(
        "the grid shows active users only: what is missing may be inactive or never have been made\n",
    );
    text
}

fn row(finding: &Finding) -> [String; 6] {
    let titles: Vec<&str> = finding
        .fields
        .iter()
        .map(|column: &Column| column.title())
        .collect();
    [
        finding.kind.name().to_owned(),
        finding.user.map(|user| user.to_string()).unwrap_or_default(),
        finding.line.map(|line| line.to_string()).unwrap_or_default(),
        titles.join(", "),
        plain(&finding.text),
        finding
            .ledger
            .map(|standing| standing.to_string())
            .unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use jiff::civil::date;

    use super::*;
    use crate::model::downstream::{Link, Standing};
    use crate::risk_assess::reconcile::Proved;

    #[test]
    fn the_whole_text() {
        let finding = |kind, user: &str, line| Finding {
            kind,
            user: user.parse().ok(),
            line,
            fields: vec![Column::FirstName, Column::City],
            text: "as\u{7} told".to_owned(),
            ledger: user.parse::<u64>().ok().map(|_| Standing::Expected),
        };
        let mut reconciled = Reconciled {
            date: date(2026, 11, 20),
            accounts: 3,
            findings: vec![
                finding(Kind::Differs, "7", Some(2)),
                finding(Kind::Differs, "8", Some(4)),
                finding(Kind::HandMade, "", Some(11)),
            ],
            proved: vec![Proved {
                user: "7".parse().unwrap(),
                shown: Shown::Link(Link::CoupaId),
            }],
            mismatches: Vec::new(),
            unjudged: 1,
            unknown_columns: vec!["Shoe size".to_owned()],
            unreadable_ids: Vec::new(),
            nameless: vec![5, 6],
        };
        let expected = "
grid of 2026-11-20: 3 accounts
proved: 0 as Coupa shows the user, 1 by the link alone, 0 without an account as expected
found: 2 differs, 1 hand-made
columns that mean nothing here: Shoe size
lines that name no account: 5, 6
active users of whom Coupa does not show whether they hold the license: 1
the grid shows active users only: what is missing may be inactive or never have been made

 finding    Coupa user  line  fields            what     ledger
 differs             7     2  First Name, City  as told  expected
 hand-made                11  First Name, City  as told
and 1 more: differs
";
        assert_eq!(format!("\n{}", table(&reconciled, 1)), expected);
        reconciled.findings.clear();
        assert!(table(&reconciled, 1).contains("found: nothing\n"));
        assert!(!table(&reconciled, 1).contains("ledger"));
    }
}
