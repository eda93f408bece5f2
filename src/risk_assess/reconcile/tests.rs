#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use jiff::civil::date;

use super::*;
use crate::model::downstream::{Digest, Reading};
use crate::model::profile::{Address, Phone};
use crate::model::tenant::AccountClass;
use crate::risk_assess::config::Removal;
use crate::risk_assess::{grid, sheet};

const DAY: Date = date(2026, 11, 20);

fn at(day: i8) -> Timestamp {
    date(2026, 11, day)
        .at(12, 0, 0, 0)
        .to_zoned(TimeZone::UTC)
        .unwrap()
        .timestamp()
}

/// An active holder of the license, changed long before the grid.
fn profile(user: u64, name: &str) -> Profile {
    Profile {
        user: UserId::new(user).unwrap(),
        class: AccountClass::Internal,
        active: true,
        licensed: Some(true),
        login: name.into(),
        email: Some(format!("{name}@b.com").into()),
        first_name: Some(name.into()),
        middle_name: None,
        last_name: Some("Lee".into()),
        phone: Some(Phone {
            country_code: Some("1".into()),
            area_code: Some("555".into()),
            number: Some("123-4567".into()),
            extension: None,
        }),
        address: Some(Address {
            city: Some("Bern".into()),
            country: Some("CH".into()),
            ..Address::default()
        }),
        authentication_method: None,
        updated_at: Some(at(1)),
    }
}

fn record(user: u64, expectation: Expectation) -> Record {
    let digest = || Digest("0".into());
    Record {
        user: UserId::new(user).unwrap(),
        expectation,
        standing: Standing::Expected,
        since: at(2),
        evidence: "".into(),
        link: None,
        reading: Reading {
            at: at(2),
            updated_at: Some(at(1)),
            licensed: true,
            active: true,
            fields: digest(),
            login: digest(),
            email: None,
        },
        judged: None,
        problems: Vec::new(),
    }
}

fn run_with(grid: &str, records: &[Record], profiles: &[Profile], config: &RiskAssessConfig) -> Reconciled {
    reconcile(&Sides {
        grid: &grid::parse(&sheet::read(grid.as_bytes()).unwrap()).unwrap(),
        date: DAY,
        records,
        profiles,
        config,
        now: at(21),
    })
}

fn run(grid: &str, records: &[Record], profiles: &[Profile]) -> Reconciled {
    run_with(grid, records, profiles, &RiskAssessConfig::default())
}

/// Kind, user, line of each finding.
fn found(reconciled: &Reconciled) -> Vec<(&'static str, u64, u64)> {
    reconciled
        .findings
        .iter()
        .map(|finding| {
            (
                finding.kind.name(),
                finding.user.map_or(0, UserId::get),
                finding.line.unwrap_or(0),
            )
        })
        .collect()
}

fn proved(reconciled: &Reconciled) -> Vec<(u64, &'static str)> {
    reconciled
        .proved
        .iter()
        .map(|proved| {
            let shown = match proved.shown {
                Shown::Account { .. } => "account",
                Shown::Link(_) => "link",
                Shown::NoAccount => "none",
            };
            (proved.user.get(), shown)
        })
        .collect()
}

const HEADER: &str =
    "Coupa User ID,Coupa Username,Email,First Name,Last Name,Business Phone,City,Country,Status\n";

fn row(id: &str, coupa: &str, name: &str) -> String {
    format!("{id},{coupa},{name}@B.com,{name},Lee,(555) 123-4567,Bern,ch,Active\n")
}

#[test]
fn an_account_as_coupa_shows_the_user_is_proved_and_nothing_is_said_of_what_was_not_compared() {
    let grid = HEADER.to_owned() + &row("7", "Ann", "ann");
    let out = run(&grid, &[record(7, Expectation::Active)], &[profile(7, "ann")]);
    assert_eq!(found(&out), []);
    let [
        Proved {
            shown: Shown::Account { link, compared },
            ..
        },
    ] = out.proved.as_slice()
    else {
        panic!("{:?}", out.proved);
    };
    assert_eq!(*link, Link::CoupaId);
    assert!(compared.contains(&Column::BusinessPhone) && !compared.contains(&Column::PostalCode));
    assert!(out.mismatches.is_empty());
}

#[test]
fn fields_that_differ_are_named_with_the_account_for_the_report() {
    let grid = HEADER.to_owned() + "7,ann,old@b.com,Ann,Lee,555-123-9999,Bern,Switzerland,Active\n";
    let out = run(&grid, &[record(7, Expectation::Active)], &[profile(7, "ann")]);
    assert_eq!(found(&out), [("differs", 7, 2)]);
    let finding = &out.findings[0];
    // A name of a country cannot be compared with a code.
    assert_eq!(
        finding.fields,
        [Column::Email, Column::FirstName, Column::BusinessPhone]
    );
    assert_eq!(finding.ledger, Some(Standing::Expected));
    assert!(!finding.text.contains("old@") && !finding.text.contains("555"));
    let mismatch = &out.mismatches[0];
    assert_eq!(mismatch.fields, finding.fields);
    assert_eq!(
        mismatch.theirs.as_ref().unwrap().get(Column::Email),
        Some("old@b.com")
    );
    assert_eq!(proved(&out), [(7, "link")]);
}

#[test]
fn a_missing_account_is_told_with_what_the_operator_states() {
    for (user_sync, told) in [
        (UserSync::Off, "stated to be off"),
        (UserSync::Unknown, "nobody stated"),
        (UserSync::On, "never made"),
    ] {
        let config = RiskAssessConfig {
            user_sync,
            ..RiskAssessConfig::default()
        };
        let out = run_with(HEADER, &[], &[profile(7, "ann")], &config);
        assert_eq!(found(&out), [("missing", 7, 0)]);
        let text = &out.findings[0].text;
        assert!(
            text.contains("inactive, or was never made") && text.contains(told),
            "{text}"
        );
        assert!(out.mismatches[0].theirs.is_none() && out.mismatches[0].fields.is_empty());
    }
    let inactive = HEADER.to_owned() + &row("7", "ann", "ann").replace("Active", "Inactive");
    assert_eq!(
        found(&run(&inactive, &[], &[profile(7, "ann")])),
        [("missing", 7, 2)]
    );
}

#[test]
fn accounts_that_should_not_be_there() {
    let unlicensed = |user, name| Profile {
        licensed: Some(false),
        ..profile(user, name)
    };
    let inactive = Profile {
        active: false,
        ..profile(8, "bo")
    };
    let grid = [
        row("7", "ann", "ann"),
        row("", "bo", "bo"),
        row("9", "cy", "cy"),
        row("", "di", "di"),
    ]
    .concat();
    let out = run(
        &(HEADER.to_owned() + &grid),
        &[record(7, Expectation::Undocumented)],
        &[unlicensed(7, "ann"), inactive],
    );
    assert_eq!(
        found(&out),
        [
            ("unexpected", 7, 2),
            ("unexpected", 8, 3),
            ("unexpected", 0, 4),
            ("unexpected", 0, 5)
        ]
    );
    for (finding, told) in out.findings.iter().zip([
        "not documented",
        "is inactive",
        "user 9, whom Coupa does not have",
        "no user of Coupa has now",
    ]) {
        assert!(finding.text.contains(told), "{}", finding.text);
    }
    assert!(out.proved.is_empty());
}

#[test]
fn what_the_operator_says_of_a_removed_license_is_proved_by_the_grid() {
    let without = Profile {
        licensed: Some(false),
        ..profile(7, "ann")
    };
    let shown = HEADER.to_owned() + &row("7", "ann", "ann");
    let config = |removal| RiskAssessConfig {
        removal,
        ..RiskAssessConfig::default()
    };
    let profiles = [without];
    for (expectation, removal, grid, findings, proofs) in [
        (
            Expectation::Kept,
            Removal::Stays,
            shown.as_str(),
            vec![],
            vec![(7, "link")],
        ),
        (
            Expectation::Closed,
            Removal::Closes,
            shown.as_str(),
            vec![("unexpected", 7, 2)],
            vec![],
        ),
        (
            Expectation::Closed,
            Removal::Closes,
            HEADER,
            vec![],
            vec![(7, "none")],
        ),
        (
            Expectation::Undocumented,
            Removal::Unknown,
            HEADER,
            vec![],
            vec![],
        ),
    ] {
        let out = run_with(grid, &[record(7, expectation)], &profiles, &config(removal));
        assert_eq!(found(&out), findings, "{expectation:?}");
        assert_eq!(proved(&out), proofs, "{expectation:?}");
    }
}

#[test]
fn a_link_to_somebody_else_is_told_and_nothing_is_guessed() {
    // The name is Ann's, the id is another's; the address is Bo's, the link is not; two accounts have Cy's address.
    let grid = [
        row("99", "ann", "x"),
        row("", "bobby", "bo"),
        row("", "", "cy"),
        row("", "", "cy"),
    ]
    .concat();
    let out = run(
        &(HEADER.to_owned() + &grid),
        &[],
        &[profile(7, "ann"), profile(8, "bo"), profile(9, "cy")],
    );
    assert_eq!(
        found(&out),
        [("wrong-user", 7, 2), ("wrong-user", 8, 3), ("ambiguous", 9, 4)]
    );
    assert_eq!(out.mismatches.len(), 3);
    assert!(out.mismatches[0].theirs.is_some(), "one account, told");
    assert!(out.mismatches[2].theirs.is_none(), "which of two?");
    assert!(out.proved.is_empty());
}

#[test]
fn an_account_that_two_users_could_have_is_neithers() {
    let mut second = profile(8, "bo");
    second.email = Some("ann@b.com".into());
    second.licensed = Some(false);
    let out = run("Email\nann@b.com\n", &[], &[profile(7, "ann"), second]);
    assert_eq!(found(&out), [("ambiguous", 7, 2)]);
}

#[test]
fn accounts_made_by_hand_are_told_and_not_wrong() {
    let grid = [row("", "", "ann"), row("", "", "zoe")].concat();
    let out = run(&(HEADER.to_owned() + &grid), &[], &[profile(7, "ann")]);
    assert_eq!(found(&out), [("hand-made", 7, 2), ("hand-made", 0, 3)]);
    assert!(out.mismatches.is_empty() && out.proved.is_empty());
    assert!(Kind::HandMade.is_told_only());

    // A grid that does not show links cannot say that there is none.
    let out = run("Email,First Name\nann@b.com,ann\n", &[], &[profile(7, "ann")]);
    assert_eq!(found(&out), []);
    assert_eq!(proved(&out), [(7, "account")]);
}

#[test]
fn a_grid_of_the_day_of_a_change_or_before_says_nothing_against_the_user() {
    let changed = |day| Profile {
        updated_at: day,
        ..profile(7, "ann")
    };
    let other = HEADER.to_owned() + "7,old,old@b.com,Old,Lee,,,,Active\n";
    let by_name = HEADER.to_owned() + "8,ann,old@b.com,Old,Lee,,,,Active\n";
    for (updated, old) in [
        (Some(at(19)), false),
        (Some(at(20)), true),
        (Some(at(21)), true),
        (None, true),
    ] {
        let profiles = [changed(updated)];
        let kinds = |grid: &str| found(&run(grid, &[], &profiles));
        if old {
            for grid in [HEADER, &other, &by_name] {
                let found = kinds(grid);
                assert_eq!(
                    (found[0].0, found.len()),
                    ("changed-since-grid", 1),
                    "{updated:?}"
                );
            }
            assert!(run(&other, &[], &profiles).mismatches.is_empty());
            assert_eq!(
                proved(&run(&other, &[], &profiles)),
                [(7, "link")],
                "its id has not changed"
            );
            assert_eq!(proved(&run(&by_name, &[], &profiles)), []);
        } else {
            assert_eq!(kinds(HEADER)[0].0, "missing");
            assert_eq!(kinds(&other)[0].0, "differs");
            assert_eq!(kinds(&by_name)[0].0, "wrong-user");
        }
    }
    let closed = Profile {
        active: false,
        ..changed(Some(at(20)))
    };
    let out = run(
        HEADER,
        &[record(7, Expectation::Closed)],
        std::slice::from_ref(&closed),
    );
    assert!(out.proved.is_empty(), "it may have been closed after the grid");
    let out = run(&(HEADER.to_owned() + &row("7", "ann", "ann")), &[], &[closed]);
    assert_eq!(found(&out), [("changed-since-grid", 7, 2)]);
}

#[test]
fn what_cannot_be_read_proves_nothing() {
    let grid = HEADER.to_owned() + &row("seven", "ann", "ann");
    let out = run(&grid, &[], &[profile(7, "ann")]);
    assert_eq!(found(&out), [("ambiguous", 7, 2)]);
    assert_eq!(out.unreadable_ids, [2]);
    let silent = Profile {
        licensed: None,
        ..profile(7, "ann")
    };
    let out = run(&(HEADER.to_owned() + &row("7", "ann", "ann")), &[], &[silent]);
    assert_eq!((found(&out), proved(&out), out.unjudged), (vec![], vec![], 1));
}

#[test]
fn machines_get_stable_names_and_no_values() {
    let grid = [row("7", "ann", "ann"), row("", "", "zoe")].concat();
    let mut changed = profile(7, "ann");
    changed.first_name = Some("Anna".into());
    let out = run(
        &(HEADER.to_owned() + &grid),
        &[record(7, Expectation::Active)],
        &[changed, profile(8, "bo")],
    );
    let text = json(&out).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["grid_date"], "2026-11-20");
    assert_eq!(value["accounts"], 2);
    assert_eq!(
        value["summary"],
        serde_json::json!({"ambiguous": 0, "changed-since-grid": 0, "differs": 1, "hand-made": 1, "missing": 1,
            "unexpected": 0, "wrong-user": 0})
    );
    assert_eq!(
        value["findings"][1],
        serde_json::json!({"kind": "differs", "user": 7, "line": 2, "fields": ["First Name"],
            "text": "the account does not show what Coupa shows: First Name", "ledger": "expected"})
    );
    assert_eq!(
        value["proved"],
        serde_json::json!([{"user": 7, "shown": "link", "link": "coupa-id"}])
    );
    let shown = sections(&out);
    assert_eq!(
        shown.iter().map(|section| section.rows.len()).collect::<Vec<_>>(),
        [3, 1]
    );
    for section in &shown {
        assert!(section.rows.iter().all(|row| row.len() == section.header.len()));
    }
    for personal in ["ann@", "Anna", "Bern", "zoe"] {
        assert!(!text.contains(personal), "{personal}");
        let cells = shown.iter().flat_map(|section| section.rows.iter().flatten());
        assert!(
            cells.into_iter().all(|cell| !cell.text.contains(personal)),
            "{personal}"
        );
    }
}
