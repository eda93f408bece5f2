//! The import into Risk Assess: who may, what files, what rows, what answers, and what faults do to it.

use std::time::Duration;

use super::*;
use crate::sandbox::risk_assess::{
    Account, BadRows, Field, Form, Origin, Phones, Readings as There, Reason, Switch, UnknownColumns, Updated,
};

const HEADER: &str = "EmailAddress,FirstName,LastName,Activated,IsSupplierUser,IsAdministrator";
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

fn file(rows: &[&str]) -> Vec<u8> {
    format!("{HEADER}\n{}\n", rows.join("\n")).into_bytes()
}

const ANN: &str = "ann@new.example,Ann,One,Yes,No,No";
const BOB: &str = "bob@new.example,Bob,Two,Yes,No,No";

/// A workbook with these cells.
fn workbook(rows: &[&str]) -> Vec<u8> {
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    for (number, row) in std::iter::once(HEADER).chain(rows.iter().copied()).enumerate() {
        let cells = row.split(',');
        sheet.write_row(u32::try_from(number).unwrap(), 0, cells).unwrap();
    }
    book.save_to_buffer().unwrap()
}

impl Tenant {
    fn import_request(&self, bytes: Vec<u8>, content_type: &str, name: Option<&str>) -> RequestBuilder {
        let part = reqwest::multipart::Part::bytes(bytes);
        let part = match name {
            Some(name) => part.file_name(name.to_owned()),
            None => part,
        };
        let form = reqwest::multipart::Form::new().part("file", part.mime_str(content_type).unwrap());
        self.http
            .post(format!(
                "{}/QuickIntegration/Users",
                self.running.risk_assess_url()
            ))
            .header("username", self.running.risk_assess_username())
            .header("password", self.running.risk_assess_password())
            .multipart(form)
    }

    async fn import_as(&self, bytes: Vec<u8>, content_type: &str, name: Option<&str>) -> (u16, String) {
        let answer = self
            .import_request(bytes, content_type, name)
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn import(&self, rows: &[&str]) -> (u16, String) {
        self.import_as(file(rows), "text/csv", Some("users.csv")).await
    }

    fn named(&self, username: &str) -> Option<Account> {
        self.running.risk_assess().account_named(username)
    }

    fn there(&self, change: impl FnOnce(&mut There)) {
        let there = self.running.risk_assess();
        let mut readings = there.readings();
        change(&mut readings);
        there.set_readings(readings);
    }
}

#[tokio::test]
async fn files_make_accounts_and_change_them_and_say_which() {
    let tenant = Tenant::small().await;
    assert_eq!(tenant.import(&[ANN, BOB]).await, (201, String::new()));
    let ann = tenant.named("ann@new.example").unwrap();
    assert_eq!(
        (ann.origin, ann.synced, ann.coupa_id),
        (Origin::Import, false, None)
    );
    assert_eq!(
        (ann.get(Field::FirstName), ann.get(Field::Email)),
        ("Ann", "ann@new.example")
    );
    assert_eq!(tenant.import(&[ANN, BOB]).await.0, 204, "repetition is harmless");
    let inactive = "ANN@new.example,Anna,One,No,No,No";
    for (updated, status) in [
        (Updated::Created, 201),
        (Updated::NoContent, 204),
        (Updated::Ok, 200),
    ] {
        tenant.there(|there| there.updated = updated);
        assert_eq!(tenant.import(&[inactive]).await.0, status, "{updated:?}");
        let ann = tenant.named("ann@new.example").unwrap();
        assert_eq!((ann.active, ann.get(Field::FirstName)), (false, "Anna"));
        tenant.import(&[ANN]).await;
    }
    assert_eq!(tenant.running.risk_assess().imports().len(), 8);
    let records = tenant.running.risk_assess().imports();
    assert_eq!(records[0].rows[1]["EmailAddress"], "bob@new.example");
    assert_eq!(
        (records[0].status, records[0].made, records[0].carried_out),
        (201, 2, true)
    );
    let stats = tenant.running.stats();
    assert_eq!((stats.quick_integration, stats.other), (8, 0));
}

#[tokio::test]
async fn it_opens_for_its_login_alone() {
    let tenant = Tenant::small().await;
    let request = || tenant.import_request(file(&[ANN]), "text/csv", Some("users.csv"));
    let status = async |change: &dyn Fn(&mut reqwest::header::HeaderMap)| {
        let mut request = request().build().unwrap();
        change(request.headers_mut());
        tenant.http.execute(request).await.unwrap().status().as_u16()
    };
    assert_eq!(status(&|headers| _ = headers.remove("password")).await, 401);
    assert_eq!(status(&|headers| _ = headers.remove("username")).await, 401);
    let set = |name: &'static str, value: &'static str| {
        move |headers: &mut reqwest::header::HeaderMap| {
            headers.insert(name, value.parse().unwrap());
        }
    };
    assert_eq!(status(&set("password", "wrong")).await, 403);
    assert_eq!(
        status(&set("username", "site.admin@riskassess.example")).await,
        403
    );
    assert!(
        tenant.running.risk_assess().imports().is_empty(),
        "nothing was looked at"
    );
    // The login is an account like others.
    let login = tenant.running.risk_assess_username();
    assert_eq!(
        tenant
            .import(&[&format!("{login},Quick,Integration,No,No,No")])
            .await
            .0,
        201
    );
    assert_eq!(status(&|_| ()).await, 403);
    let answer = tenant
        .http
        .get(tenant.url("/QuickIntegration/Users"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "it only writes");
}

#[tokio::test]
async fn each_content_type_is_read_as_what_it_says() {
    let tenant = Tenant::small().await;
    let mut made = 0;
    let row = |n: usize| format!("user{n}@new.example,U,N,Yes,No,No");
    for (number, (content_type, name, sheet)) in [
        ("text/csv", Some("users.csv"), false),
        ("text/csv; charset=utf-8", None, false),
        ("application/octet-stream", Some("users.csv"), false),
        ("application/octet-stream", Some("users.xlsx"), true),
        (XLSX, Some("users.xlsx"), true),
        ("application/vnd.ms-excel", Some("users.xls"), true),
    ]
    .into_iter()
    .enumerate()
    {
        let row = row(number);
        let bytes = if sheet { workbook(&[&row]) } else { file(&[&row]) };
        assert_eq!(
            tenant.import_as(bytes, content_type, name).await.0,
            201,
            "{content_type}"
        );
        made += 1;
    }
    let wrong: [(&str, Option<&str>, Vec<u8>); 7] = [
        (XLSX, Some("users.xlsx"), file(&[ANN])),
        ("text/csv", Some("users.csv"), workbook(&[ANN])),
        ("text/plain", Some("users.csv"), file(&[ANN])),
        ("application/octet-stream", Some("users.txt"), file(&[ANN])),
        ("text/csv", Some("users.csv"), b"{\"users\":[]}".to_vec()),
        ("text/csv", Some("users.csv"), Vec::new()),
        (
            "text/csv",
            Some("users.csv"),
            format!("{HEADER}\nann@new.example\n").into_bytes(),
        ),
    ];
    for (content_type, name, bytes) in wrong {
        let answer = tenant.import_as(bytes, content_type, name).await;
        assert_eq!(answer, (204, String::new()), "{content_type} {name:?}");
    }
    let imported = tenant.running.risk_assess().accounts();
    let imported = imported
        .iter()
        .filter(|account| account.origin == Origin::Import)
        .count();
    assert_eq!(imported, made, "204 may mean that nothing was understood");
    assert_eq!(
        tenant.import_as(file(&[]), "text/csv", None).await.0,
        204,
        "and that nothing was there"
    );
}

#[tokio::test]
async fn a_form_has_one_file() {
    let tenant = Tenant::small().await;
    let request = |form: Option<reqwest::multipart::Form>| {
        let request = tenant
            .http
            .post(tenant.url("/QuickIntegration/Users"))
            .header("username", tenant.running.risk_assess_username())
            .header("password", tenant.running.risk_assess_password());
        match form {
            Some(form) => request.multipart(form),
            None => request.header("Content-Type", "text/csv").body(file(&[ANN])),
        }
    };
    let part = || {
        reqwest::multipart::Part::bytes(file(&[ANN]))
            .file_name("users.csv")
            .mime_str("text/csv")
            .unwrap()
    };
    let two = reqwest::multipart::Form::new()
        .part("a", part())
        .part("b", part());
    let none = reqwest::multipart::Form::new().text("name", "value");
    for form in [None, Some(two), Some(none)] {
        let answer = request(form).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert!(!answer.text().await.unwrap().is_empty());
    }
    let both = reqwest::multipart::Form::new()
        .text("name", "value")
        .part("file", part());
    assert_eq!(
        request(Some(both)).send().await.unwrap().status(),
        StatusCode::CREATED
    );
}

#[tokio::test]
async fn columns_are_required_and_known() {
    let tenant = Tenant::small().await;
    let header = |header: &str, row: &str| format!("{header}\n{row}\n").into_bytes();
    let csv = async |bytes| tenant.import_as(bytes, "text/csv", None).await;
    let (status, message) = csv(header("EmailAddress,FirstName,LastName", "a@b.example,A,B")).await;
    assert_eq!(status, 400);
    for name in ["Activated", "IsSupplierUser", "IsAdministrator"] {
        assert!(message.contains(&format!("'{name}' is required")), "{message}");
    }
    let doubled = csv(header(&format!("{HEADER},firstname"), &format!("{ANN},Ann"))).await;
    assert!(
        doubled.0 == 400 && doubled.1.contains("more than once"),
        "{doubled:?}"
    );
    let unknown = || header(&format!("{HEADER},Coupa User ID"), &format!("{ANN},7"));
    let refused = csv(unknown()).await;
    assert!(
        refused.0 == 400 && refused.1.contains("'Coupa User ID'"),
        "D501 has none: {refused:?}"
    );
    tenant.there(|there| there.unknown_columns = UnknownColumns::Ignored);
    assert_eq!(csv(unknown()).await.0, 201);
    assert_eq!(tenant.named("ann@new.example").unwrap().coupa_id, None);
}

#[tokio::test]
async fn rows_keep_the_rules() {
    let tenant = Tenant::small().await;
    let columns = format!(
        "{HEADER},AlternateEmail,BusinessPhone,Country,State,SupplierName,Culture,UserGroup,Address1"
    );
    let send = async |row: &str| {
        let bytes = format!("{columns}\n{row}\n").into_bytes();
        tenant.import_as(bytes, "text/csv", None).await
    };
    let name = "n".repeat(65);
    let (_, stranger) = ("", "o.stranger@elsewhere.example");
    for (row, complaint) in [
        (
            "a@b,A,B,Yes,No,No,,,,,,,,",
            "EmailAddress 'a@b' is not a valid e-mail",
        ),
        (",A,B,Yes,No,No,,,,,,,,", "EmailAddress is required"),
        ("a@b.example,,B,Yes,No,No,,,,,,,,", "FirstName is required"),
        (&format!("a@b.example,{name},B,Yes,No,No,,,,,,,,"), "is too long"),
        (
            "a@b.example,A,B,true,No,No,,,,,,,,",
            "Activated 'true' must be Yes or No",
        ),
        ("a@b.example,A,B,Yes,Yes,No,,,,,,,,", "SupplierName is required"),
        (
            "a@b.example,A,B,Yes,Yes,No,,,,,Nobody,,,",
            "SupplierName 'Nobody' is not a known",
        ),
        ("a@b.example,A,B,Yes,No,No,x@y,,,,,,,", "AlternateEmail 'x@y'"),
        (
            &format!("a@b.example,A,B,Yes,No,No,{stranger},,,,,,,"),
            "is used by another user",
        ),
        (
            "a@b.example,A,B,Yes,No,No,,555.123.4567,,,,,,",
            "BusinessPhone '555.123.4567'",
        ),
        ("a@b.example,A,B,Yes,No,No,,,Atlantis,,,,,", "Country 'Atlantis'"),
        (
            "a@b.example,A,B,Yes,No,No,,,us,ZZ,,,,",
            "State 'ZZ' is not a known state",
        ),
        (
            "a@b.example,A,B,Yes,No,No,,,Canada,TX,,,,",
            "State 'TX' is not a known province",
        ),
        (
            "a@b.example,A,B,Yes,No,No,,,,,,xx-XX,,",
            "Culture 'xx-XX' does not exist",
        ),
        (
            "a@b.example,A,B,Yes,No,No,,,,,,,Nobodies,",
            "UserGroup 'Nobodies' does not exist",
        ),
    ] {
        let (status, message) = send(row).await;
        assert_eq!(status, 400, "{row}");
        assert!(
            message.starts_with("Row 2: ") && message.contains(complaint),
            "{row}: {message}"
        );
    }
    let good = "a@b.example,A,B,Yes,Yes,Yes,alt@b.example,555-123-4567 x1234,us,TX,Acme Supply,en-US,Assessors,Street 1";
    assert_eq!(send(good).await, (201, String::new()));
    let account = tenant.named("a@b.example").unwrap();
    assert_eq!(
        account.get(Field::Email),
        "alt@b.example",
        "the user name stays the key"
    );
    assert!(account.supplier && account.administrator && account.groups.contains("Assessors"));
    tenant.there(|there| there.phones = Phones::TenCharacters);
    assert!(send(good).await.1.contains("is too long"));
    assert_eq!(send("a@b.example,A,B,Yes,No,No,,5551234567,,,,,,").await.0, 201);
    assert_eq!(
        tenant.named("a@b.example").unwrap().get(Field::City),
        "",
        "blank leaves what is there"
    );
    assert_eq!(
        tenant.named("a@b.example").unwrap().get(Field::Address1),
        "Street 1"
    );
}

#[tokio::test]
async fn a_bad_row_spoils_the_file_or_itself() {
    let bad = "bad@b,B,C,Yes,No,No";
    for (bad_rows, taken) in [(BadRows::WholeFile, false), (BadRows::GoodRows, true)] {
        let tenant = Tenant::small().await;
        tenant.there(|there| there.bad_rows = bad_rows);
        let (status, message) = tenant.import(&[ANN, bad]).await;
        assert_eq!(
            (status, message.contains("Row 3: EmailAddress 'bad@b'")),
            (400, true),
            "{message}"
        );
        assert_eq!(tenant.named("ann@new.example").is_some(), taken, "{bad_rows:?}");
        let (status, message) = tenant.import(&[BOB, "BOB@new.example,B,C,Yes,No,No"]).await;
        assert!(
            status == 400 && message.contains("appears in row 2, too"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn synced_accounts_keep_what_is_protected() {
    let tenant = Tenant::small().await;
    tenant.there(|there| there.user_sync = Switch::On);
    tenant.running.risk_assess().resync();
    let accounts = tenant.running.risk_assess().accounts();
    let synced = accounts
        .iter()
        .find(|account| account.synced && account.active)
        .unwrap();
    let email = synced.get(Field::Username);
    let changed = format!("{email},Other,Name,No,No,No");
    assert_eq!(
        tenant.import(&[&changed]).await,
        (204, String::new()),
        "in silence"
    );
    assert_eq!(tenant.named(email).unwrap(), *synced);
    let bytes =
        format!("{HEADER},City,MobilePhone,Title,UserGroup\n{changed},Bern,5551234567,Chief,Assessors\n");
    assert_eq!(
        tenant.import_as(bytes.into_bytes(), "text/csv", None).await.0,
        201
    );
    let now = tenant.named(email).unwrap();
    assert_eq!(
        (now.get(Field::Title), now.groups.contains("Assessors")),
        ("Chief", true),
        "not protected"
    );
    for field in [Field::City, Field::Mobile, Field::FirstName] {
        assert_eq!(now.get(field), synced.get(field), "{field:?}");
    }
    assert!(now.active && now.synced && now.origin == synced.origin);
}

#[tokio::test]
async fn queued_files_wait_and_are_told_of_by_mail() {
    let tenant = Tenant::small().await;
    tenant.there(|there| there.queue = Switch::On);
    assert_eq!(tenant.import(&[ANN]).await, (202, String::new()));
    assert_eq!(
        tenant.import(&["bad@b,B,C,Yes,No,No"]).await.0,
        202,
        "judged later"
    );
    assert!(tenant.named("ann@new.example").is_none());
    let settled = tenant.running.risk_assess().settle();
    assert_eq!((settled.imports, settled.syncs), (2, 0));
    assert!(tenant.named("ann@new.example").is_some());
    let mail = tenant.running.mail().arrived(2).await;
    let text = |n: usize| String::from_utf8_lossy(&mail[n].data).into_owned();
    assert_eq!(mail[0].to, [tenant.running.risk_assess_username()]);
    assert!(text(0).contains("Users created: 1") && text(1).contains("Row 2: EmailAddress"));
    let shown: Value = tenant
        .http
        .get(tenant.url("/_sandbox/mail"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(shown.as_array().unwrap().len(), 2);
}

fn strike(effect: Effect, action: FaultAction) -> Faults {
    let scripted = ScriptedFault {
        on: Matching {
            kind: Some(RequestKind::QuickIntegration),
            ..Matching::default()
        },
        effect,
        action,
    };
    Faults {
        scripted: vec![scripted],
        ..Faults::default()
    }
}

#[tokio::test]
async fn faults_strike_before_or_after_the_effect() {
    let failed = || FaultAction::Status {
        status: 500,
        html: false,
    };
    for (effect, action, status, made) in [
        (Effect::None, failed(), Some(500), [false, false]),
        (Effect::Applied, failed(), Some(500), [true, true]),
        (Effect::Partial, failed(), Some(500), [true, false]),
        (Effect::None, FaultAction::Reset, None, [false, false]),
        (Effect::Applied, FaultAction::Reset, None, [true, true]),
        (Effect::None, FaultAction::ShortBody, None, [false, false]),
    ] {
        let tenant = Tenant::small().await;
        tenant.running.set_faults(strike(effect, action));
        let request = tenant.import_request(file(&[ANN, BOB]), "text/csv", Some("users.csv"));
        let seen = request.send().await;
        if let Some(status) = status {
            assert_eq!(seen.unwrap().status().as_u16(), status);
        }
        let there = ["ann@new.example", "bob@new.example"].map(|name| tenant.named(name).is_some());
        assert_eq!(there, made, "{effect:?}");
        assert_eq!(tenant.running.stats().faults, 1);
    }
}

#[tokio::test]
async fn an_effect_may_come_later() {
    let tenant = Tenant::small().await;
    let failed = FaultAction::Status {
        status: 503,
        html: true,
    };
    tenant
        .running
        .set_faults(strike(Effect::AfterRequests(2), failed.clone()));
    assert_eq!(tenant.import(&[ANN]).await.0, 503);
    tenant.rest("/api/roles?limit=1").await;
    assert!(tenant.named("ann@new.example").is_none());
    tenant.rest("/api/roles?limit=1").await;
    assert!(tenant.named("ann@new.example").is_some());
    tenant.running.set_faults(strike(Effect::AfterMs(20), failed));
    assert_eq!(tenant.import(&[BOB]).await.0, 503);
    while tenant.named("bob@new.example").is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn coupas_pace_and_storms_leave_it_alone() {
    let running = Sandbox::start(
        SandboxConfig {
            users: 60,
            rate: Some(0.001),
            burst: 1,
            faults: Faults {
                storm: 1.0,
                ..Faults::default()
            },
            ..SandboxConfig::default()
        },
        local(),
        None,
    )
    .await
    .unwrap();
    let tenant = Tenant::of(running, client().build().unwrap()).await;
    assert_eq!(
        tenant.get("/api/roles").send().await.unwrap().status(),
        StatusCode::TOO_MANY_REQUESTS
    );
    for number in 0..5 {
        let row = format!("user{number}@new.example,U,N,Yes,No,No");
        assert_eq!(tenant.import(&[&row]).await.0, 201);
    }
    let stats = tenant.running.stats();
    assert_eq!(
        (stats.api_total, stats.quick_integration, stats.rejected),
        (1, 5, 0)
    );
}

#[tokio::test]
async fn an_import_can_be_held() {
    let tenant = Tenant::small().await;
    tenant.running.pause(PausePoint::After(Matching {
        path_prefix: Some("/QuickIntegration".into()),
        ..Matching::default()
    }));
    let request = tenant.import_request(file(&[ANN]), "text/csv", None);
    let answer = tokio::spawn(request.send());
    tenant.running.held().await;
    assert!(tenant.named("ann@new.example").is_some(), "done, and not told");
    tenant.running.resume();
    assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::CREATED);
}

#[tokio::test]
async fn five_thousand_rows_go_in_at_once() {
    let tenant = Tenant::small().await;
    let filler = "x".repeat(60);
    let rows: Vec<String> = (0..5_000)
        .map(|n| format!("user{n}@bulk.example,{filler},{filler},Yes,No,No"))
        .collect();
    let more = "Middle,Title,Address1,Address2,City";
    let wide = rows
        .iter()
        .map(|row| format!("{row},{}\n", [filler.as_str(); 5].join(",")));
    let wide = format!("{HEADER},{more}\n{}", wide.collect::<String>()).into_bytes();
    assert!(wide.len() > 2 << 20, "more than Coupa's API or axum would take");
    assert_eq!(tenant.import_as(wide, "text/csv", None).await.0, 201);
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    assert_eq!(
        tenant
            .import_as(workbook(&rows), XLSX, Some("users.xlsx"))
            .await
            .0,
        204
    );
    let accounts = tenant.running.risk_assess().accounts();
    let imported = accounts.iter().filter(|a| a.origin == Origin::Import);
    assert_eq!(imported.count(), 5_000);
}

#[tokio::test]
async fn a_person_uploads_the_template() {
    let tenant = Tenant::small().await;
    let there = tenant.running.risk_assess();
    let user = tenant.someone();
    let header = "First Name,Last Name,Email,Coupa Username,Coupa User ID,City,Shoe size";
    let rows = [
        format!("Ann,One,ann@new.example,{},{},Bern,40", user.login, user.id),
        "Ola,Stranger,o.stranger@elsewhere.example,ola,999999,Bern,".to_owned(),
        "Eve,Three,eve@new.example,eve,not-a-number,,".to_owned(),
        "Eve,Three,o.stranger@elsewhere.example,eve,999998,,".to_owned(),
    ];
    let text = format!("{header}\n{}\n", rows.join("\n"));
    let post = |body: String| {
        let request = tenant.http.post(tenant.url("/_sandbox/risk-assess/user-import"));
        request.header("Content-Type", "text/csv").body(body).send()
    };
    let missing = post("First Name,Last Name,Email\nA,B,c@d.example\n".to_owned())
        .await
        .unwrap();
    assert_eq!(missing.status(), StatusCode::BAD_REQUEST);
    assert!(
        missing
            .text()
            .await
            .unwrap()
            .contains("'Coupa User ID' is required")
    );
    let shown: Value = post(text).await.unwrap().json().await.unwrap();
    let problem = |line: u64, reason: &str| json!({ "line": line, "reason": reason });
    assert_eq!(
        shown,
        json!({ "new": [2], "update": [3], "problem": [problem(4, "bad-value"), problem(5, "linked-to-another")] })
    );
    let ann = tenant.named("ann@new.example").unwrap();
    assert_eq!(
        (ann.coupa_id, ann.synced, ann.get(Field::City)),
        (Some(user.id), true, "Bern")
    );
    let again = format!(
        "{header}\nAnna,One,ann@new.example,{},{},Basel,40\n",
        user.login, user.id
    );
    let shown = there.user_import(Form::Csv, again.as_bytes()).unwrap();
    assert_eq!(shown.update, [2]);
    assert_eq!(
        tenant.named("ann@new.example").unwrap(),
        ann,
        "synced by now: what is protected stays"
    );
    let reasons: Vec<Reason> = there
        .problems()
        .into_iter()
        .map(|problem| problem.reason)
        .collect();
    assert_eq!(reasons, [Reason::BadValue, Reason::LinkedToAnother]);
    assert_eq!(
        tenant.running.mail().messages().len(),
        1,
        "one report for the file"
    );
}
