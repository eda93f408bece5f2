#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use crate::risk_assess::sheet;

fn explained(text: &str) -> Explained {
    explain(&sheet::read_untrimmed(text.as_bytes()).unwrap()).unwrap()
}

fn findings(row: &Row) -> Vec<(&'static str, Vec<Way>, Side)> {
    let told = |finding: &Finding| (finding.field, finding.differs.clone(), finding.change_in);
    row.findings.iter().map(told).collect()
}

/// One row of a report as S2 describes it.
fn row(cells: [&str; 6]) -> Row {
    let [login, email, name, username, coupa_username, their_email] = cells;
    let text = format!(
        "Coupa ID,Login,Email,First Name,Username,Coupa Username,Email\n\
         42,\"{login}\",\"{email}\",\"{name}\",\"{username}\",\"{coupa_username}\",\"{their_email}\"\n"
    );
    explained(&text).rows.remove(0)
}

const MAIL: &str = "ada@example.com";

#[test]
fn what_agrees_is_not_named() {
    for username in [MAIL, "ada"] {
        let row = row(["ada", MAIL, "Ada", username, "ada", MAIL]);
        assert!(row.findings.is_empty(), "{row:?}");
        assert_eq!(row.hints.len(), 1);
        assert!(row.hints[0].contains("risk-assess readiness"));
    }
}

#[test]
fn the_field_the_way_and_the_side_are_named() {
    use Side::{Coupa, RiskAssess};
    for (cells, expected) in [
        (
            ["ada", MAIL, "", "old@example.com", "ada", MAIL],
            vec![("Username", vec![Way::Different], Coupa)],
        ),
        (
            ["ada", MAIL, "", "ADA", "ada", MAIL],
            vec![("Username", vec![Way::LetterCase], Coupa)],
        ),
        (
            ["ada.new", MAIL, "", MAIL, "ada", MAIL],
            vec![("Coupa Username", vec![Way::Different], RiskAssess)],
        ),
        (
            ["ada", MAIL, "", MAIL, "", MAIL],
            vec![("Coupa Username", vec![Way::MissingInRiskAssess], RiskAssess)],
        ),
        (
            ["ada ", MAIL, "", MAIL, "ada", MAIL],
            vec![("Coupa Username", vec![Way::EdgeSpaces], Coupa)],
        ),
        (
            ["ada", MAIL, "", MAIL, "ada ", MAIL],
            vec![("Coupa Username", vec![Way::EdgeSpaces], RiskAssess)],
        ),
        (
            ["ada", MAIL, "", MAIL, "ada", "ada@old.example"],
            vec![("Email", vec![Way::Different], Coupa)],
        ),
        (
            ["ada", MAIL, "", MAIL, "ada", ""],
            vec![("Email", vec![Way::MissingInRiskAssess], Coupa)],
        ),
        (
            ["ada", "", "", "ada", "ada", MAIL],
            vec![("Email", vec![Way::MissingInCoupa], Coupa)],
        ),
        (
            ["ada", "\u{430}da@example.com", "", "ada", "ada", MAIL],
            vec![("Email", vec![Way::LookAlike], Coupa)],
        ),
        // An account that names no Coupa user is reached by no sync.
        (
            ["ada", MAIL, "", "ada@old.example", "", "ada@old.example"],
            vec![
                ("Coupa Username", vec![Way::MissingInRiskAssess], RiskAssess),
                ("Username", vec![Way::Different], RiskAssess),
                ("Email", vec![Way::Different], RiskAssess),
            ],
        ),
    ] {
        assert_eq!(findings(&row(cells)), expected, "{cells:?}");
    }
}

#[test]
fn a_broken_link_says_how_to_mend_it() {
    let row = row(["ada.new", MAIL, "", MAIL, "ada", MAIL]);
    let fix = &row.findings[0].fix;
    assert!(
        fix.contains("Coupa User ID 42") && fix.contains("user import"),
        "{fix}"
    );
}

#[test]
fn values_that_are_called_unknown_are_not_blank_ones() {
    let text = "Coupa User ID,Coupa Username,Coupa Email,Risk Assess Username,Risk Assess Coupa Username,Risk Assess Email,\
                Risk Assess Values,Fields,Reason\n\
                42,ada,ada@example.com,,,,unknown,Postal Code; Email,too long\n\
                43,bob,bob@example.com,,,,unknown,,refused\n";
    let explained = explained(text);
    let first = &explained.rows[0];
    assert_eq!(
        findings(first),
        [
            ("Email", vec![Way::Recorded], Side::Coupa),
            ("Postal Code", vec![Way::Recorded], Side::Coupa)
        ]
    );
    assert_eq!(first.reason.as_deref(), Some("too long"));
    assert_eq!(explained.rows[1].findings.len(), 0);
    assert_eq!(explained.rows[1].hints, [advice::NOTHING_SHOWN]);
}

#[test]
fn every_field_that_has_a_twin_is_compared() {
    for column in Column::all() {
        // The number has its own headers; of the user name Coupa has two twins; a date is no field of a user.
        if [Column::CoupaUserId, Column::Username, Column::FailedAt].contains(&column) {
            continue;
        }
        let title = column.title();
        let text = format!("ID,{title} (Coupa),{title} (Risk Assess)\n42,a b,c d\n");
        let row = &explained(&text).rows[0];
        assert_eq!(row.findings.len(), 1, "{title}");
        assert_eq!(row.findings[0].field, title);
        assert_eq!(row.findings[0].differs, [Way::Different]);
    }
    let row = &explained("Coupa User ID,Risk Assess Coupa User ID,Risk Assess Email\n42,43,x\n").rows[0];
    assert_eq!(
        findings(row),
        [("Coupa User ID", vec![Way::Different], Side::RiskAssess)]
    );
}

#[test]
fn users_who_share_a_key_are_told_of_each_other() {
    let text = "Coupa ID,Login,Email,Username,Coupa Username,Email\n\
                1,ada,x@example.com,x@example.com,ada,x@example.com\n\
                2,bob,X@example.com,X@example.com,bob,X@example.com\n\
                1,ada,x@example.com,x@example.com,ada,x@example.com\n";
    let rows = explained(text).rows;
    let told = |row: &Row| {
        row.hints
            .iter()
            .filter(|hint| hint.contains("same e-mail"))
            .cloned()
            .collect::<Vec<_>>()
    };
    assert!(told(&rows[0])[0].starts_with("line 3:"));
    assert!(told(&rows[1])[0].starts_with("lines 2, 4:"));
    assert!(
        rows.iter()
            .all(|row| !row.hints.iter().any(|hint| hint.contains("same login")))
    );
}

#[test]
fn an_inactive_or_unlicensed_user_is_told() {
    let text = "Coupa ID,Login,Status,Risk Assess License,Username,Coupa Username,Email\n\
                1,ada,Inactive,No,ada,ada,\n";
    let row = &explained(text).rows[0];
    assert_eq!(row.hints[..2], [advice::INACTIVE, advice::UNLICENSED]);
}

#[test]
fn the_guard_of_formulas_is_no_difference() {
    let text = "ID,Login,Username,Coupa Username,Email\n1,'+ada,+ada,'+ada,\n";
    let row = &explained(text).rows[0];
    assert!(row.findings.is_empty(), "{row:?}");
    assert_eq!(row.user.as_deref(), Some("+ada"));
}

#[test]
fn debug_shows_no_one() {
    let shown = format!("{:?}", row(["ada", MAIL, "Ada", "x", "y", "z"]));
    assert!(!shown.to_lowercase().contains("ada@") && !shown.contains("\"x\""));
}
