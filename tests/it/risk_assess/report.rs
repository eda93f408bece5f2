//! The error report: what a mail server receives, what a directory holds, and what `explain` makes of it and of Coupa's.

use std::collections::BTreeMap;
use std::time::Duration;

use baton_coupa::model::fault::{Fault, FaultKind};
use baton_coupa::model::profile::{Address, Phone, Profile};
use baton_coupa::model::tenant::AccountClass;
use baton_coupa::risk_assess::columns::Column;
use baton_coupa::risk_assess::dispatch::{Dispatched, dispatch};
use baton_coupa::risk_assess::explain::{Explained, Row, Side, Way, explain};
use baton_coupa::risk_assess::mail::Mailer;
use baton_coupa::risk_assess::mismatch::Mismatch;
use baton_coupa::risk_assess::report::{Report, ShownBy, compose};
use baton_coupa::risk_assess::sheet;
use baton_coupa::risk_assess::theirs::TheirAccount;
use jiff::civil::date;
use tempfile::TempDir;

use crate::grpc::pki::{Authority, Leaf};
use crate::support::mime::Part;
use crate::support::smtp::{Guard, Manner, Sink};

const ADMIN: &str = "site.admin@acme.example";
const PASSWORD: &str = "p@ss:wörd/4711";

fn profile(user: &str, login: &str, email: &str) -> Profile {
    Profile {
        user: user.parse().unwrap(),
        class: AccountClass::Internal,
        active: true,
        licensed: Some(true),
        login: login.into(),
        email: Some(email.into()),
        first_name: Some("Ada".into()),
        middle_name: None,
        last_name: Some("Lovelace".into()),
        phone: Some(Phone {
            number: Some("5551234567".into()),
            ..Phone::default()
        }),
        address: Some(Address {
            street1: Some("1 Main St".into()),
            ..Address::default()
        }),
        authentication_method: Some("saml".into()),
        updated_at: None,
    }
}

fn theirs(cells: &[(Column, &str)]) -> TheirAccount {
    TheirAccount {
        line: 2,
        coupa_id: None,
        cells: cells
            .iter()
            .map(|(column, text)| (*column, (*text).into()))
            .collect(),
    }
}

fn mismatch(profile: Profile, theirs: Option<TheirAccount>, fields: &[Column]) -> Mismatch {
    Mismatch {
        profile,
        theirs,
        fields: fields.to_vec(),
        reason: "the account is not as Coupa has the user".into(),
        at: "2026-11-22T10:11:12Z".parse().unwrap(),
    }
}

fn report(tenant: &str, mismatches: &[Mismatch]) -> Report {
    let day = date(2026, 11, 22);
    compose(mismatches, tenant, day, ShownBy::GridExport)
        .unwrap()
        .unwrap()
}

fn ada() -> Mismatch {
    let shown = theirs(&[
        (Column::Username, "ada@old.example"),
        (Column::CoupaUsername, "ada.l"),
        (Column::Email, "ada@old.example"),
    ]);
    let fields = [Column::Email, Column::Username];
    mismatch(profile("42", "ada.l", "ada@new.example"), Some(shown), &fields)
}

/// A server's certificate and the authority behind it.
fn keys(name: &str) -> (Authority, Leaf) {
    let authority = Authority::new("mail authority");
    let leaf = authority.issue(&[name]);
    (authority, leaf)
}

fn wants_login() -> Manner {
    Manner {
        login: Some(("baton", PASSWORD)),
        ..Manner::default()
    }
}

fn refusing(verb: &'static str, answer: &'static str) -> Manner {
    Manner {
        answers: vec![(verb, answer)],
        ..Manner::default()
    }
}

/// The address of a sink, with the credentials percent-encoded.
fn url(scheme: &str, sink: &Sink, query: &str) -> String {
    let password = percent_encoding::utf8_percent_encode(PASSWORD, percent_encoding::NON_ALPHANUMERIC);
    format!("{scheme}://baton:{password}@{}{query}", sink.addr)
}

fn open_url(sink: &Sink) -> String {
    format!("smtp://{}", sink.addr)
}

fn mailer(url: &str, authority: Option<&Authority>) -> Mailer {
    let url = url.parse().unwrap();
    let from = Some("baton@acme.example");
    match authority {
        Some(authority) => Mailer::trusting(&url, from, ADMIN, authority.pem().as_bytes()).unwrap(),
        None => Mailer::new(&url, from, ADMIN).unwrap(),
    }
}

#[tokio::test]
async fn a_report_arrives_whole_by_every_way_in() {
    let (authority, leaf) = keys("127.0.0.1");
    for (guard, scheme, query, encrypted) in [
        (Guard::Plain, "smtp", "", false),
        (Guard::StartTls(&leaf), "smtp", "?tls=required", true),
        (Guard::Tls(&leaf), "smtps", "", true),
    ] {
        let mut sink = Sink::start(guard, wants_login()).await;
        let report = report("Acme Corp", &[ada()]);
        mailer(&url(scheme, &sink, query), encrypted.then_some(&authority))
            .send(&report)
            .await
            .unwrap();
        let letter = sink.letter().await;
        assert_eq!(
            (letter.from.as_str(), letter.encrypted),
            ("baton@acme.example", encrypted)
        );
        assert_eq!(letter.to, [ADMIN]);
        assert_eq!(letter.login, Some(("baton".to_owned(), PASSWORD.to_owned())));
        let mail = Part::read(&letter.data);
        assert_eq!(
            mail.header("subject"),
            "User Sync Error Report - Acme Corp - 2026-11-22"
        );
        assert_eq!(
            (mail.header("from"), mail.header("to")),
            ("baton@acme.example", ADMIN)
        );
        assert!(mail.header("message-id").ends_with("@acme.example>"));
        assert!(jiff::fmt::rfc2822::parse(mail.header("date")).is_ok());
        assert_eq!(mail.header("auto-submitted"), "auto-generated");
        let [text, file] = &mail.parts[..] else {
            panic!("a text and a file");
        };
        assert_eq!(text.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(
            String::from_utf8(text.body.clone())
                .unwrap()
                .replace("\r\n", "\n")
                .trim_end(),
            report.summary.trim_end()
        );
        assert!(
            !String::from_utf8_lossy(&text.body).contains("ada"),
            "nobody is named in the text"
        );
        assert_eq!(file.header("content-type"), "text/csv; charset=utf-8");
        assert!(file.header("content-disposition").starts_with("attachment;"));
        assert_eq!(
            file.parameter("content-disposition", "filename").unwrap(),
            "User Sync Error Report - Acme Corp - 2026-11-22.csv"
        );
        assert_eq!(file.body, report.csv);
    }
}

#[tokio::test]
async fn names_of_tenants_beyond_ascii_arrive() {
    for (tenant, shown, file) in [
        (
            "Österreich Müßig 株式会社",
            "Österreich Müßig 株式会社",
            "Österreich Müßig 株式会社",
        ),
        ("A\"cme\\ / Söhne: é", "A\"cme\\ / Söhne: é", "A_cme_ _ Söhne_ é"),
        (
            "Evil\r\nBcc: eve@evil.example",
            "Evil Bcc: eve@evil.example",
            "Evil Bcc_ eve@evil.example",
        ),
        (&"ü".repeat(300), &*"ü".repeat(300), &*"ü".repeat(60)),
        (&"x ".repeat(300), "x ".repeat(300).trim(), "x ".repeat(60).trim()),
    ] {
        let mut sink = Sink::start(Guard::Plain, Manner::default()).await;
        mailer(&open_url(&sink), None)
            .send(&report(tenant, &[ada()]))
            .await
            .unwrap();
        let mail = Part::read(&sink.letter().await.data);
        assert_eq!(
            mail.header("subject"),
            format!("User Sync Error Report - {shown} - 2026-11-22")
        );
        assert_eq!(
            mail.parts[1]
                .parameter("content-disposition", "filename")
                .unwrap(),
            format!("User Sync Error Report - {file} - 2026-11-22.csv")
        );
        assert_eq!(mail.header("bcc"), "");
    }
}

#[tokio::test]
async fn without_tls_nothing_is_told_to_a_server_that_should_have_it() {
    let mut sink = Sink::start(Guard::Plain, wants_login()).await;
    let fault = mailer(&url("smtp", &sink, "?tls=required"), None)
        .send(&report("Acme", &[ada()]))
        .await
        .unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::Refused);
    assert!(fault.to_string().contains("STARTTLS"), "{fault}");
    let heard = sink.heard().join("\n");
    assert!(!heard.contains("AUTH") && !heard.contains("MAIL"), "{heard}");
    assert!(sink.is_empty());
}

#[tokio::test]
async fn a_certificate_of_another_authority_or_name_is_not_believed() {
    let (authority, leaf) = keys("127.0.0.1");
    let (other_authority, misnamed) = keys("mail.example");
    for (leaf, trusted) in [
        (&leaf, None),
        (&leaf, Some(&other_authority)),
        (&misnamed, Some(&other_authority)),
    ] {
        for (guard, scheme, query) in [
            (Guard::Tls(leaf), "smtps", ""),
            (Guard::StartTls(leaf), "smtp", "?tls=required"),
        ] {
            let mut sink = Sink::start(guard, wants_login()).await;
            let fault = mailer(&url(scheme, &sink, query), trusted)
                .send(&report("Acme", &[ada()]))
                .await
                .unwrap_err();
            assert_eq!(*fault.kind(), FaultKind::Unavailable);
            assert!(fault.message().contains("TLS"), "{fault}");
            assert!(!sink.heard().join("\n").contains("AUTH"));
            assert!(sink.is_empty());
        }
    }
    // The control: the right authority is believed.
    let sink = Sink::start(Guard::Tls(&leaf), wants_login()).await;
    mailer(&url("smtps", &sink, ""), Some(&authority))
        .send(&report("Acme", &[ada()]))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_refusal_has_a_kind_and_the_servers_words_stay_out_of_the_log() {
    for (manner, kind) in [
        (
            refusing("RCPT", "450 4.2.1 ada@old.example is busy"),
            FaultKind::Unavailable,
        ),
        (
            refusing("RCPT", "550 5.1.1 no ada@old.example here"),
            FaultKind::Refused,
        ),
        (
            refusing("MAIL", "421 4.3.2 ada@old.example closing"),
            FaultKind::Unavailable,
        ),
        (
            refusing("DATA", "554 5.7.1 no ada@old.example"),
            FaultKind::Refused,
        ),
        (
            refusing(".", "552 5.3.4 too much of ada@old.example"),
            FaultKind::Refused,
        ),
        (
            refusing(".", "451 4.3.0 later, ada@old.example"),
            FaultKind::Unavailable,
        ),
        (
            refusing("EHLO", "not SMTP, ada@old.example"),
            FaultKind::Unavailable,
        ),
    ] {
        let mut sink = Sink::start(Guard::Plain, manner.clone()).await;
        let fault = mailer(&open_url(&sink), None)
            .send(&report("Acme", &[ada()]))
            .await
            .unwrap_err();
        assert_eq!(*fault.kind(), kind, "{:?}: {fault}", manner.answers);
        assert_eq!(
            fault.to_string().contains("ada@"),
            manner.answers[0].0 != "EHLO",
            "{fault}"
        );
        assert!(!format!("{fault:?}").contains("ada"), "{fault:?}");
        assert!(sink.is_empty());
    }
}

#[tokio::test]
async fn a_wrong_password_is_named_as_such_and_shown_nowhere() {
    let mut sink = Sink::start(
        Guard::Plain,
        Manner {
            login: Some(("baton", "another")),
            ..Manner::default()
        },
    )
    .await;
    let fault = mailer(&url("smtp", &sink, ""), None)
        .send(&report("Acme", &[ada()]))
        .await
        .unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::Unauthenticated);
    assert!(!format!("{fault} {fault:?}").contains("4711"));
    assert!(sink.is_empty());
    let fault = mailer(&open_url(&sink), None)
        .send(&report("Acme", &[ada()]))
        .await
        .unwrap_err();
    assert_eq!(
        *fault.kind(),
        FaultKind::Unauthenticated,
        "none given where one is wanted"
    );
}

#[tokio::test]
async fn a_silent_server_does_not_hold_us() {
    let mut sink = Sink::start(Guard::Plain, refusing("DATA", "")).await;
    let mailer = mailer(&open_url(&sink), None);
    let sending = tokio::spawn(async move { mailer.send(&report("Acme", &[ada()])).await });
    sink.silence().await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(3)).await;
    let fault = sending.await.unwrap().unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::Unavailable);
}

fn files(dir: &TempDir) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir.path()).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn a_report_goes_out_by_mail_or_into_the_directory_and_is_never_lost() {
    let report = report("Acme", &[ada()]);
    let dir = TempDir::new().unwrap();

    let mut sink = Sink::start(Guard::Plain, Manner::default()).await;
    let post = mailer(&open_url(&sink), None);
    let done = dispatch(report.clone(), Some(&post), dir.path()).await.unwrap();
    assert!(matches!(done, Dispatched::Mailed));
    sink.letter().await;
    assert!(files(&dir).is_empty(), "what was mailed is not left on disk");

    let done = dispatch(report.clone(), None, dir.path()).await.unwrap();
    let Dispatched::Written(path) = done else {
        panic!("{done:?}");
    };
    assert_eq!(std::fs::read(path).unwrap(), report.csv);

    let sink = Sink::start(Guard::Plain, refusing("RCPT", "550 5.1.1 no")).await;
    let post = mailer(&open_url(&sink), None);
    let done = dispatch(report.clone(), Some(&post), dir.path()).await.unwrap();
    let Dispatched::WrittenInstead { path, why } = done else {
        panic!("{done:?}");
    };
    assert_eq!(*why.kind(), FaultKind::Refused);
    assert!(path.to_str().unwrap().ends_with(" (2).csv"), "{path:?}");
    assert_eq!(std::fs::read(path).unwrap(), report.csv);

    let blocked = files(&dir)[0].join("below a file");
    let fault = dispatch(report, Some(&post), &blocked).await.unwrap_err();
    assert!(fault.message().contains("not mailed"), "{fault}");
    assert!(fault.message().contains("cannot write"), "{fault}");
}

/// Rows by title, read by the CSV library.
fn rows(csv: &[u8]) -> Vec<BTreeMap<String, String>> {
    let text = csv.strip_prefix(b"\xef\xbb\xbf").expect("a byte-order mark");
    let mut reader = csv::Reader::from_reader(text);
    let header: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows = reader.records().map(|row| {
        let row = row.unwrap();
        header
            .iter()
            .cloned()
            .zip(row.iter().map(str::to_owned))
            .collect()
    });
    rows.collect()
}

#[test]
fn no_cell_starts_a_formula_and_every_other_is_as_it_was() {
    let hostile = [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        " =1+1",
        "\t=1",
        "\n=1",
        "\r\n@x",
        "\u{a0}=1",
        "\u{feff}=1",
        "\u{200b}+1",
        "\u{ff1d}1",
        "x;=1",
        "x\n=1",
    ];
    let harmless = [
        "O'Brien",
        "a \"quoted\" name",
        "comma, semicolon; and | bar",
        "two\r\nlines",
        "株式会社 Ærø",
        "'tis",
        "a=b",
        "\u{1f600}",
    ];
    let mismatches: Vec<Mismatch> = hostile
        .iter()
        .chain(&harmless)
        .map(|text| {
            let mut profile = profile("42", text, text);
            profile.last_name = Some((*text).into());
            let shown = theirs(&[(Column::Username, text), (Column::Email, text)]);
            mismatch(profile, Some(shown), &[Column::Email])
        })
        .collect();
    let rows = rows(&report("Acme", &mismatches).csv);
    assert_eq!(rows.len(), mismatches.len());
    for (row, text) in rows.iter().zip(hostile.iter().chain(&harmless)) {
        for title in [
            "Coupa Username",
            "Coupa Email",
            "Coupa Last Name",
            "Risk Assess Username",
            "Risk Assess Email",
        ] {
            let cell = &row[title];
            // As a spreadsheet takes it, whatever it is set to split at.
            for piece in cell.split([';', '\t', '\n', '\r', '|']) {
                let seen = piece.trim_start_matches(|c: char| !c.is_alphanumeric() && !"'=+-@＝".contains(c));
                assert!(
                    !seen.starts_with(['=', '+', '-', '@', '＝']),
                    "{text:?} became {cell:?}"
                );
            }
            if harmless.contains(text) {
                assert_eq!(cell, text);
            }
        }
    }
}

fn explained(bytes: &[u8]) -> Explained {
    explain(&sheet::read_untrimmed(bytes).unwrap()).unwrap()
}

fn named(row: &Row) -> Vec<(&'static str, Vec<Way>, Side)> {
    let finding = row.findings.iter();
    finding
        .map(|found| (found.field, found.differs.clone(), found.change_in))
        .collect()
}

/// What Risk Assess has of a user `ada.l` with the e-mail `Ada@acme.example`, which field of it is wrong, how, and where it is changed.
type Seeded = ([&'static str; 3], &'static str, Way, Side);

/// One wrong field each, in every way it can be wrong.
fn seeded() -> Vec<Seeded> {
    const LOGIN: &str = "ada.l";
    const MAIL: &str = "Ada@acme.example";
    let wrong = [
        (Way::Different, "somebody.else", "eve@acme.example"),
        (Way::LetterCase, "ADA.l", "ada@ACME.example"),
        (Way::EdgeSpaces, " ada.l", "Ada@acme.example "),
        (Way::LookAlike, "\u{430}da.l", "Ad\u{430}@acme.example"),
    ];
    let mut table = Vec::new();
    for (way, login, mail) in wrong {
        table.push(([mail, LOGIN, MAIL], "Username", way, Side::Coupa));
        table.push(([MAIL, login, MAIL], "Coupa Username", way, Side::RiskAssess));
        table.push(([MAIL, LOGIN, mail], "Email", way, Side::Coupa));
    }
    let missing = Way::MissingInRiskAssess;
    table.push((["", LOGIN, MAIL], "Username", missing, Side::Coupa));
    table.push(([MAIL, "", MAIL], "Coupa Username", missing, Side::RiskAssess));
    table.push(([MAIL, LOGIN, ""], "Email", missing, Side::Coupa));
    table
}

#[test]
fn explain_names_the_field_of_every_seeded_mismatch_in_our_report() {
    let seeded = seeded();
    let mismatches: Vec<Mismatch> = seeded
        .iter()
        .map(|([username, coupa_username, email], field, ..)| {
            let columns = [Column::Username, Column::CoupaUsername, Column::Email];
            let cells: Vec<_> = columns
                .into_iter()
                .zip([*username, *coupa_username, *email])
                .filter(|(_, text)| !text.is_empty())
                .collect();
            let column = Column::of_header(field).unwrap();
            mismatch(
                profile("42", "ada.l", "Ada@acme.example"),
                Some(theirs(&cells)),
                &[column],
            )
        })
        .collect();
    let explained = explained(&report("Acme", &mismatches).csv);
    assert_eq!(explained.unknown_columns, [""; 0]);
    assert_eq!(explained.absent_columns, [""; 0]);
    assert_eq!(explained.rows.len(), seeded.len());
    for (row, (values, field, way, side)) in explained.rows.iter().zip(&seeded) {
        assert_eq!(named(row), [(*field, vec![*way], *side)], "{values:?}");
        assert_eq!(row.coupa_user_id.as_deref(), Some("42"));
        assert_eq!(row.failed_at.as_deref(), Some("2026-11-22T10:11:12Z"));
    }
}

#[test]
fn explain_names_the_field_of_every_seeded_mismatch_in_a_report_with_other_headers() {
    let seeded = seeded();
    // Headers of Coupa's report are not published: the order of S2, with names twice; then reordered with a mark; then as a workbook.
    let ordered = [
        "Date of the failed sync",
        "ID",
        "Username",
        "First Name",
        "E-Mail",
        "Username",
        "Coupa Username",
        "E-Mail",
        "Remark",
    ];
    let marked = [
        "Email (Risk Assess)",
        "Coupa Username (Risk Assess)",
        "Employee Number",
        "LOGIN",
        "Username (Risk Assess)",
        "coupa_email",
        "Coupa ID",
    ];
    let in_order = |[username, coupa_username, email]: [&'static str; 3]| {
        vec![
            "11/22/2026",
            "42",
            "ada.l",
            "Ada",
            "Ada@acme.example",
            username,
            coupa_username,
            email,
            "",
        ]
    };
    let by_mark = |[username, coupa_username, email]: [&'static str; 3]| {
        vec![
            email,
            coupa_username,
            "E1",
            "ada.l",
            username,
            "Ada@acme.example",
            "42",
        ]
    };
    let ordered_rows: Vec<_> = seeded.iter().map(|row| in_order(row.0)).collect();
    let marked_rows: Vec<_> = seeded.iter().map(|row| by_mark(row.0)).collect();
    for (file, unknown) in [
        (text_file(&ordered, &ordered_rows, b';'), "Remark"),
        (text_file(&ordered, &ordered_rows, b','), "Remark"),
        (text_file(&marked, &marked_rows, b','), "Employee Number"),
        (workbook(&marked, &marked_rows), "Employee Number"),
    ] {
        let explained = explained(&file);
        assert_eq!(explained.unknown_columns, [unknown]);
        assert_eq!(explained.absent_columns, [""; 0]);
        for (row, (values, field, way, side)) in explained.rows.iter().zip(&seeded) {
            assert_eq!(named(row), [(*field, vec![*way], *side)], "{values:?}");
        }
        assert_eq!(explained.rows.len(), seeded.len());
    }
}

fn text_file(header: &[&str], rows: &[Vec<&str>], separator: u8) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new()
        .delimiter(separator)
        .from_writer(b"\xef\xbb\xbf".to_vec());
    writer.write_record(header).unwrap();
    for row in rows {
        writer.write_record(row).unwrap();
    }
    writer.into_inner().unwrap()
}

fn workbook(header: &[&str], rows: &[Vec<&str>]) -> Vec<u8> {
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    for (column, name) in (0..).zip(header) {
        sheet.write_string(0, column, *name).unwrap();
    }
    for (line, row) in (1..).zip(rows) {
        for (column, text) in (0..).zip(row) {
            sheet.write_string(line, column, *text).unwrap();
        }
    }
    book.save_to_buffer().unwrap()
}

#[test]
fn fields_that_the_report_only_names_are_named_too() {
    let synced = [
        Column::FirstName,
        Column::LastName,
        Column::Status,
        Column::BusinessPhone,
        Column::BusinessExt,
        Column::Address1,
        Column::Address2,
        Column::City,
        Column::State,
        Column::PostalCode,
        Column::Country,
        Column::Email,
        Column::CoupaUserId,
    ];
    let mismatches: Vec<Mismatch> = synced
        .iter()
        .map(|column| mismatch(profile("42", "ada.l", "a@acme.example"), None, &[*column]))
        .collect();
    let explained = explained(&report("Acme", &mismatches).csv);
    for (row, column) in explained.rows.iter().zip(synced) {
        let fields: Vec<_> = row
            .findings
            .iter()
            .map(|found| (found.field, found.differs.clone()))
            .collect();
        assert_eq!(fields, [(column.title(), vec![Way::Recorded])]);
        assert!(
            row.findings[0].risk_assess.is_none(),
            "nothing is known of Risk Assess' side"
        );
        assert_eq!(
            row.reason.as_deref(),
            Some("the account is not as Coupa has the user")
        );
    }
}

#[test]
fn a_file_that_is_no_report_is_refused_without_its_content() {
    for text in ["Secret,Words\na,b\n", "Coupa User ID,Secret\n1,2\n"] {
        let fault: Fault = explain(&sheet::read_untrimmed(text.as_bytes()).unwrap()).unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::Invalid);
        assert!(!format!("{fault} {fault:?}").contains("Secret"));
    }
}
