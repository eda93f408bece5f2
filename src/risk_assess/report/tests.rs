#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use crate::model::tenant::AccountClass;
use crate::risk_assess::theirs::TheirAccount;

fn day() -> Date {
    Date::new(2026, 11, 22).unwrap()
}

fn profile() -> Profile {
    Profile {
        user: "42".parse().unwrap(),
        class: AccountClass::Internal,
        active: true,
        licensed: Some(true),
        login: "ada".into(),
        email: Some("ada@example.com".into()),
        first_name: Some("=1+1".into()),
        middle_name: None,
        last_name: Some("Løve\nlace, \"A\"".into()),
        phone: Some(Phone {
            country_code: Some("1".into()),
            area_code: Some("555".into()),
            number: Some("1234567".into()),
            extension: Some("12".into()),
        }),
        address: Some(Address {
            street1: Some("1 Main St".into()),
            country: Some("US".into()),
            ..Address::default()
        }),
        authentication_method: Some("saml".into()),
        updated_at: None,
    }
}

fn mismatch(theirs: Option<&[(Column, &str)]>) -> Mismatch {
    Mismatch {
        profile: profile(),
        theirs: theirs.map(|cells| TheirAccount {
            line: 2,
            coupa_id: None,
            cells: cells
                .iter()
                .map(|(column, text)| (*column, (*text).into()))
                .collect(),
        }),
        fields: vec![Column::Email, Column::CoupaUsername],
        reason: "the e-mail differs".into(),
        at: "2026-11-22T10:11:12.5Z".parse().unwrap(),
    }
}

/// Rows by title, read by the CSV library alone.
fn rows(csv: &[u8]) -> Vec<BTreeMap<String, String>> {
    let text = csv.strip_prefix(b"\xef\xbb\xbf").unwrap();
    let mut reader = csv::Reader::from_reader(text);
    let header = reader.headers().unwrap().clone();
    let named = |row: csv::StringRecord| {
        header
            .iter()
            .map(str::to_owned)
            .zip(row.iter().map(str::to_owned))
            .collect()
    };
    reader.records().map(|row| named(row.unwrap())).collect()
}

#[test]
fn the_title_is_the_documented_one_filled_in() {
    assert_eq!(
        title("Acme Corp", day()),
        "User Sync Error Report - Acme Corp - 2026-11-22"
    );
    assert_eq!(
        title(" Æther\r\nBcc: x\u{202e} ", day()),
        "User Sync Error Report - Æther Bcc: x - 2026-11-22"
    );
    assert_eq!(
        title(" \n", day()),
        "User Sync Error Report - Unknown Tenant - 2026-11-22"
    );
}

#[test]
fn a_file_name_is_one_short_component() {
    assert_eq!(
        file_name("../../etc/pass:wd*", day()),
        "User Sync Error Report - .._.._etc_pass_wd_ - 2026-11-22.csv"
    );
    let long = file_name(&"ü".repeat(500), day());
    assert!(long.len() < 200 && long.ends_with("ü - 2026-11-22.csv"), "{long}");
}

#[test]
fn a_value_of_risk_assess_stands_there_only_if_something_showed_it() {
    let shown: &[(Column, &str)] = &[
        (Column::Username, "ada@old.example"),
        (Column::CoupaUsername, "ada.l"),
    ];
    let csv = csv(&[mismatch(None), mismatch(Some(shown))], ShownBy::GridExport).unwrap();
    let rows = rows(&csv);
    for title in [
        "Risk Assess Username",
        "Risk Assess Coupa Username",
        "Risk Assess Email",
    ] {
        assert_eq!(rows[0][title], "", "{title}");
    }
    assert_eq!(rows[0]["Risk Assess Values"], "unknown");
    assert_eq!(rows[1]["Risk Assess Values"], "from grid export");
    assert_eq!(rows[1]["Risk Assess Username"], "ada@old.example");
    assert_eq!(rows[1]["Risk Assess Coupa Username"], "ada.l");
    assert_eq!(
        rows[1]["Risk Assess Email"], "",
        "the grid showed none, and Coupa's is not theirs"
    );
}

#[test]
fn all_that_coupa_showed_is_there() {
    let csv = csv(&[mismatch(None)], ShownBy::ImportFile).unwrap();
    let row = &rows(&csv)[0];
    for (title, text) in [
        ("Date Sync Failed", "2026-11-22T10:11:12Z"),
        ("Coupa User ID", "42"),
        ("Coupa Username", "ada"),
        ("Coupa Email", "ada@example.com"),
        ("Coupa Status", "Active"),
        ("Coupa First Name", "'=1+1"),
        ("Coupa Middle Name", ""),
        ("Coupa Last Name", "Løve\nlace, \"A\""),
        ("Coupa Business Phone", "'+1 555 1234567 x12"),
        ("Coupa Phone Country Code", "1"),
        ("Coupa Phone Area Code", "555"),
        ("Coupa Phone Number", "1234567"),
        ("Coupa Business Ext", "12"),
        ("Coupa Mailing Address", "1 Main St"),
        ("Coupa Mailing Address 2", ""),
        ("Coupa City", ""),
        ("Coupa Country", "US"),
        ("Coupa Risk Assess License", "Yes"),
        ("Coupa Account Class", "internal"),
        ("Coupa Authentication Method", "saml"),
        ("Coupa Updated At", ""),
        ("Fields", "Email; Coupa Username"),
        ("Reason", "the e-mail differs"),
    ] {
        assert_eq!(row[title], text, "{title}");
    }
    assert!(row["Made By"].starts_with("baton-coupa ") && row["Made By"].ends_with(", not Coupa"));
    assert_eq!(row.len(), header().len(), "no title twice");
}

#[test]
fn there_is_no_report_on_nothing() {
    assert_eq!(compose(&[], "acme", day(), ShownBy::GridExport).unwrap(), None);
}

#[test]
fn the_summary_names_no_one() {
    let mut whole = mismatch(None);
    whole.fields.clear();
    let report = compose(&[mismatch(None), whole], "acme", day(), ShownBy::GridExport)
        .unwrap()
        .unwrap();
    assert!(report.summary.contains(": 2."), "{}", report.summary);
    assert!(report.summary.contains("  Email: 1\n"), "{}", report.summary);
    assert!(
        report.summary.contains("  no single field: 1\n"),
        "{}",
        report.summary
    );
    for text in [report.summary.clone(), format!("{report:?}")] {
        assert!(!text.contains("ada") && !text.contains("Løve"), "{text}");
    }
}
