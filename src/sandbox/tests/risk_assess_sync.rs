//! Risk Assess beside Coupa: what User Sync makes of changes, under each reading; edits by hand; the grid; the error report.

use super::*;
use crate::sandbox::risk_assess::{
    Account, Delay, Details, Edit as HandEdit, EditError as HandError, Field, Form, GridColumn, Limits,
    NativeReport, NoAddress, NoSeat, Origin, Phones, Readings as There, Reason, Removal, Rename, Retrigger,
    Switch, Why,
};

const LICENSE: &str = "risk-assess-user";

/// User Sync on, everything else as it is most likely.
fn on() -> There {
    There {
        user_sync: Switch::On,
        ..There::default()
    }
}

impl Tenant {
    async fn following(readings: There) -> Self {
        let tenant = Self::writing().await;
        tenant.running.risk_assess().set_readings(readings);
        tenant
    }

    /// Coupa ids of the people an awkward account is about, and the number of the account.
    fn awkward(&self, why: Why) -> (Vec<u64>, u64) {
        let mut made = self.running.risk_assess().hand_made().into_iter();
        let found = made.find(|made| made.why == why).unwrap();
        (found.users, found.account)
    }

    /// A person whom nothing keeps from a sync.
    fn clean(&self) -> TruthUser {
        let people = self.running.risk_assess().plain_people();
        self.truly(people[0])
    }

    async fn grant(&self, user: u64) {
        let (status, answer) = self.put(user, json!({ LICENSE: true })).await;
        assert_eq!(
            (status, &answer[LICENSE]),
            (StatusCode::OK, &json!(true)),
            "{answer}"
        );
    }

    fn only_account(&self, user: u64) -> Account {
        let accounts = self.running.risk_assess().accounts_of(user);
        assert_eq!(accounts.len(), 1);
        accounts.into_iter().next().unwrap()
    }

    fn account(&self, id: u64) -> Account {
        let accounts = self.running.risk_assess().accounts();
        accounts.into_iter().find(|account| account.id == id).unwrap()
    }

    fn reasons(&self) -> Vec<Reason> {
        let problems = self.running.risk_assess().problems();
        problems.into_iter().map(|problem| problem.reason).collect()
    }

    /// Rows of the grid by header.
    fn grid(&self) -> Vec<BTreeMap<String, String>> {
        let bytes = self.running.risk_assess().grid(Form::Csv);
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap();
        let mut reader = csv::Reader::from_reader(text);
        reader.deserialize().map(Result::unwrap).collect()
    }

    fn in_grid(&self, email: &str) -> bool {
        self.grid()
            .iter()
            .any(|row| row["Email"].eq_ignore_ascii_case(email))
    }
}

#[tokio::test]
async fn the_sync_is_off_until_somebody_wants_it() {
    let tenant = Tenant::writing().await;
    let user = tenant.clean();
    let before = tenant.running.risk_assess().accounts();
    assert!(
        before
            .iter()
            .all(|account| !account.synced && account.origin == Origin::Hand)
    );
    tenant.grant(user.id).await;
    assert_eq!(tenant.running.risk_assess().accounts(), before);
}

#[tokio::test]
async fn a_license_makes_an_account_that_follows() {
    let tenant = Tenant::following(on()).await;
    let user = tenant.clean();
    tenant.grant(user.id).await;
    let account = tenant.only_account(user.id);
    let email = user.email.unwrap();
    assert_eq!(
        (account.origin, account.synced, account.active),
        (Origin::Sync, true, true)
    );
    for (field, value) in [
        (Field::Username, &email),
        (Field::Email, &email),
        (Field::CoupaUsername, &user.login),
        (Field::FirstName, &user.first_name),
        (Field::LastName, &user.last_name),
    ] {
        assert_eq!(account.get(field), value, "{field:?}");
    }
    assert!(tenant.in_grid(&email));

    let phone = json!({ "country-code": "1", "area-code": "555", "number": "1234567", "extension": "12" });
    let change =
        json!({ "firstname": "Neu", "login": "neu", "email": "neu@corp.example", "phone-work": phone });
    tenant.put(user.id, change).await;
    let account = tenant.only_account(user.id);
    let told = [
        Field::FirstName,
        Field::CoupaUsername,
        Field::Email,
        Field::Username,
        Field::BusinessPhone,
    ];
    assert_eq!(
        told.map(|field| account.get(field)),
        ["Neu", "neu", "neu@corp.example", "neu@corp.example", "5551234567"]
    );
    assert_eq!(account.get(Field::BusinessExt), "12");
    let phone = json!({ "country-code": "41", "area-code": "44", "number": "5550000" });
    tenant.put(user.id, json!({ "phone-work": phone })).await;
    assert_eq!(
        tenant.only_account(user.id).get(Field::BusinessPhone),
        "+41 44 5550000"
    );

    let edit = |change| {
        let edit = Edit {
            user: user.id,
            change,
        };
        tenant.running.edit(&edit).unwrap();
    };
    edit(Change::SetActive(false));
    assert!(
        !tenant.in_grid("neu@corp.example"),
        "a disabled account looks like a missing one"
    );
    assert!(!tenant.only_account(user.id).active);
    edit(Change::SetActive(true));
    tenant.put(user.id, json!({ "lastname": "Außen" })).await;
    assert_eq!(
        tenant.only_account(user.id).get(Field::LastName),
        "Außen",
        "names are followed"
    );
    assert!(tenant.in_grid("neu@corp.example"));
    assert!(tenant.reasons().is_empty());
}

#[tokio::test]
async fn a_new_user_with_the_license_has_an_account_at_once() {
    let tenant = Tenant::following(There {
        retrigger: Retrigger::FlagToggle,
        ..on()
    })
    .await;
    let new = json!({ "login": "fresh", "email": "fresh@corp.example", "firstname": "F", "lastname": "R", LICENSE: true });
    let (status, answer) = tenant.call("POST", "/api/users", new).await;
    assert_eq!(status, StatusCode::CREATED);
    let account = tenant.only_account(answer["id"].as_u64().unwrap());
    assert_eq!(account.get(Field::Email), "fresh@corp.example");
}

#[tokio::test]
async fn the_sync_sees_the_truth_though_reads_do_not_show_it_yet() {
    let tenant = Tenant::writing().await;
    let mut readings = Readings::default();
    readings.visibility.delay_reads = 100;
    readings.risk_assess = on();
    tenant.running.set_readings(readings);
    let user = tenant.clean();
    tenant
        .put(user.id, json!({ LICENSE: true, "firstname": "Wahr" }))
        .await;
    assert_eq!(tenant.only_account(user.id).get(Field::FirstName), "Wahr");
}

#[tokio::test]
async fn accounts_are_linked_by_id_then_login_then_email() {
    let tenant = Tenant::following(on()).await;
    for why in [Why::OtherCase, Why::Administrator, Why::LoginOnly, Why::Inactive] {
        let (users, account) = tenant.awkward(why);
        tenant.grant(users[0]).await;
        let linked = tenant.only_account(users[0]);
        assert_eq!(
            (linked.id, linked.synced, linked.active),
            (account, true, true),
            "{why:?}"
        );
        assert_eq!(linked.origin, Origin::Hand);
        let user = tenant.truly(users[0]);
        assert_eq!(linked.get(Field::Email), user.email.unwrap());
        assert_eq!(linked.get(Field::CoupaUsername), user.login);
    }
    let (_, administrator) = tenant.awkward(Why::Administrator);
    assert!(
        tenant.account(administrator).administrator,
        "not carried, so not taken"
    );

    let (users, account) = tenant.awkward(Why::WrongLink);
    tenant.grant(users[0]).await;
    assert_eq!(tenant.only_account(users[0]).id, account, "the id comes first");
    tenant.grant(users[1]).await;
    assert_ne!(
        tenant.only_account(users[1]).id,
        account,
        "the login is given back by then"
    );
    assert!(tenant.reasons().is_empty());
}

#[tokio::test]
async fn conflicts_are_problems_and_change_nothing() {
    let tenant = Tenant::following(on()).await;
    let awkward = |why| tenant.awkward(why).0;
    let (wrong, stale, supplier) = (
        awkward(Why::WrongLink),
        awkward(Why::StaleLogin),
        awkward(Why::Supplier),
    );
    let crossed = awkward(Why::CrossedWires);
    let truth = tenant.running.truth().users;
    let no_email = truth
        .iter()
        .find(|u| u.email.is_none() && u.class != TruthClass::Supplier)
        .unwrap();
    let supplier_user = truth.iter().find(|u| u.class == TruthClass::Supplier).unwrap();
    let before = tenant.running.risk_assess().accounts();
    for (user, reason) in [
        (wrong[1], Reason::LinkedToAnother),
        (stale[0], Reason::OtherLogin),
        (supplier[0], Reason::SupplierAccount),
        (crossed[1], Reason::OtherLogin),
        (no_email.id, Reason::NoEmail),
        (supplier_user.id, Reason::SupplierUser),
    ] {
        // One of them may hold the license already.
        tenant.put(user, json!({ LICENSE: true })).await;
        let problem = tenant.running.risk_assess().problems().pop().unwrap();
        assert_eq!((problem.reason, problem.coupa.id), (reason, user.to_string()));
        assert_eq!(tenant.running.risk_assess().accounts(), before, "{reason:?}");
    }
    // The first of the crossed pair is found by its login; the e-mail address of the second goes to nobody.
    tenant.grant(crossed[0]).await;
    let account = tenant.only_account(crossed[0]);
    assert_eq!(account.get(Field::Email), tenant.truly(crossed[0]).email.unwrap());
    let other = tenant.clean().id;
    tenant.grant(other).await;
    let (_, names_nobody) = tenant.awkward(Why::StaleLogin);
    let login = tenant.account(names_nobody).get(Field::CoupaUsername).to_owned();
    tenant.put(other, json!({ "login": login })).await;
    assert_eq!(
        tenant.reasons().pop(),
        Some(Reason::LoginTaken),
        "by an account that is not the user's"
    );
    let email = account.get(Field::Email);
    let (_, stranger) = tenant.awkward(Why::Stranger);
    let taken = tenant.account(stranger).get(Field::Email).to_owned();
    tenant.put(crossed[0], json!({ "email": taken })).await;
    assert_eq!(tenant.reasons().pop(), Some(Reason::EmailTaken));
    assert_eq!(
        tenant.only_account(crossed[0]).get(Field::Email),
        email,
        "nothing of it"
    );
}

#[tokio::test]
async fn removal_keeps_or_deactivates() {
    for (removal, active) in [(Removal::Keeps, true), (Removal::Deactivates, false)] {
        let tenant = Tenant::following(There { removal, ..on() }).await;
        let user = tenant.clean();
        tenant.grant(user.id).await;
        tenant.put(user.id, json!({ LICENSE: false })).await;
        let account = tenant.only_account(user.id);
        assert_eq!(account.active, active, "{removal:?}");
        assert_eq!(tenant.in_grid(&user.email.unwrap()), active);
        tenant.put(user.id, json!({ "firstname": "Later" })).await;
        assert_eq!(tenant.only_account(user.id), account, "followed no longer");
        tenant.grant(user.id).await;
        let again = tenant.only_account(user.id);
        assert_eq!((again.active, again.get(Field::FirstName)), (true, "Later"));
    }
}

#[tokio::test]
async fn the_sync_takes_its_time() {
    let tenant = Tenant::following(There {
        delay: Delay::Requests(2),
        ..on()
    })
    .await;
    let there = tenant.running.risk_assess();
    let user = tenant.clean();
    tenant.grant(user.id).await;
    assert!(there.accounts_of(user.id).is_empty());
    tenant.rest("/api/roles?limit=1").await;
    assert!(there.accounts_of(user.id).is_empty());
    tenant.rest("/api/roles?limit=1").await;
    assert_eq!(there.accounts_of(user.id).len(), 1);

    there.set_readings(There {
        delay: Delay::ByHand,
        ..on()
    });
    tenant.put(user.id, json!({ "firstname": "Erst" })).await;
    tenant.put(user.id, json!({ "firstname": "Dann" })).await;
    for _ in 0..5 {
        tenant.rest("/api/roles?limit=1").await;
    }
    assert_eq!(
        tenant.only_account(user.id).get(Field::FirstName),
        user.first_name
    );
    let settled: Value = tenant
        .http
        .post(tenant.url("/_sandbox/risk-assess/settle"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(settled, json!({ "syncs": 2, "imports": 0 }));
    assert_eq!(tenant.only_account(user.id).get(Field::FirstName), "Dann");
}

#[tokio::test]
async fn lengths_are_judged_ignored_or_cut() {
    let long = "x".repeat(70) + "@corp.example";
    let too_long = "y".repeat(40) + "@" + &"d".repeat(200) + ".technology";
    for (limits, problem, stored) in [
        (
            Limits::Rejected,
            Some((Reason::BadValue, Some(Field::Email))),
            None,
        ),
        (Limits::NotEnforced, None, Some(too_long.clone())),
        (Limits::Cut, None, Some(too_long.clone())),
    ] {
        let tenant = Tenant::following(There { limits, ..on() }).await;
        let user = tenant.clean();
        tenant.put(user.id, json!({ LICENSE: true, "email": long })).await;
        assert_eq!(tenant.only_account(user.id).get(Field::Email), long, "256 fit");
        tenant.put(user.id, json!({ "email": too_long })).await;
        let problems = tenant.running.risk_assess().problems();
        let told = problems.first().map(|problem| (problem.reason, problem.field));
        assert_eq!(told, problem, "{limits:?}");
        let email = tenant.only_account(user.id).get(Field::Email).to_owned();
        assert_eq!(email, stored.unwrap_or(long.clone()), "{limits:?}");
    }
    let tenant = Tenant::following(There {
        limits: Limits::Cut,
        ..on()
    })
    .await;
    let user = tenant.clean();
    let extension = "1".repeat(80);
    let phone = json!({ "number": "5551234567", "extension": extension });
    tenant
        .put(user.id, json!({ LICENSE: true, "phone-work": phone }))
        .await;
    assert_eq!(
        tenant.only_account(user.id).get(Field::BusinessExt),
        &extension[..64]
    );
}

#[tokio::test]
async fn phones_fit_the_pattern_or_ten_characters() {
    for (phones, accounts) in [(Phones::Pattern, 1), (Phones::TenCharacters, 0)] {
        let tenant = Tenant::following(There { phones, ..on() }).await;
        let user = tenant.clean();
        let phone = json!({ "country-code": "41", "area-code": "44", "number": "5550000" });
        tenant
            .put(user.id, json!({ LICENSE: true, "phone-work": phone }))
            .await;
        let there = tenant.running.risk_assess();
        assert_eq!(there.accounts_of(user.id).len(), accounts, "{phones:?}");
        let field = there.problems().first().and_then(|problem| problem.field);
        assert_eq!(field, (accounts == 0).then_some(Field::BusinessPhone));
    }
}

#[tokio::test]
async fn who_has_no_address_syncs_or_is_passed_over() {
    for (no_address, accounts) in [(NoAddress::Syncs, 1), (NoAddress::Skipped, 0)] {
        let tenant = Tenant::following(There { no_address, ..on() }).await;
        let mut user = 0;
        for person in tenant.running.risk_assess().plain_people() {
            let shown = tenant.rest(&format!("/api/users/{person}")).await.1;
            if shown["default-address"].is_null() {
                user = person;
                break;
            }
        }
        tenant.grant(user).await;
        assert_eq!(
            tenant.running.risk_assess().accounts_of(user).len(),
            accounts,
            "{no_address:?}"
        );
        assert!(tenant.reasons().is_empty(), "in silence");
    }
}

#[tokio::test]
async fn seats_run_out() {
    let tenant = Tenant::writing().await;
    let there = tenant.running.risk_assess();
    let user = tenant.clean();
    let holders = |tenant: &Tenant| {
        let users = tenant.running.truth().users;
        users
            .iter()
            .filter(|u| u.licenses.iter().any(|l| l == LICENSE))
            .count() as u64
    };
    let taken = holders(&tenant);
    let full = |no_seat| There {
        seats: Some(taken),
        no_seat,
        ..There::default()
    };
    there.set_readings(full(NoSeat::Refused));
    let (status, answer) = tenant
        .put(user.id, json!({ LICENSE: true, "firstname": "Halb" }))
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        answer["errors"]["user"][0].as_str().unwrap().contains("license"),
        "{answer}"
    );
    assert_eq!(tenant.truly(user.id), user, "nothing of it");
    there.set_readings(full(NoSeat::Ignored));
    let (status, answer) = tenant
        .put(user.id, json!({ LICENSE: true, "firstname": "Ganz" }))
        .await;
    assert_eq!((status, &answer[LICENSE]), (StatusCode::OK, &json!(false)));
    assert_eq!(answer["firstname"], "Ganz");
    there.set_readings(full(NoSeat::Granted));
    tenant.grant(user.id).await;
    there.set_readings(There {
        seats: Some(0),
        ..There::default()
    });
    let (status, _) = tenant.put(user.id, json!({ LICENSE: true })).await;
    assert_eq!(status, StatusCode::OK, "who has it keeps it");
    assert_eq!(holders(&tenant), taken + 1);
}

#[tokio::test]
async fn a_new_login_keeps_the_link_or_makes_a_second_account() {
    for (rename, accounts) in [(Rename::KeepsLink, 1), (Rename::SecondAccount, 2)] {
        let tenant = Tenant::following(There { rename, ..on() }).await;
        let user = tenant.clean();
        tenant.grant(user.id).await;
        let first = tenant.only_account(user.id);
        tenant.put(user.id, json!({ "login": "renamed" })).await;
        tenant.put(user.id, json!({ "firstname": "Zwei" })).await;
        let linked = tenant.running.risk_assess().accounts_of(user.id);
        assert_eq!(linked.len(), accounts, "{rename:?}");
        assert!(tenant.reasons().is_empty());
        let last = linked.last().unwrap();
        assert_eq!(
            (last.get(Field::CoupaUsername), last.get(Field::FirstName)),
            ("renamed", "Zwei")
        );
        if accounts == 2 {
            assert_eq!(linked[0], first, "the first is left alone");
        }
    }
}

#[tokio::test]
async fn what_sets_off_a_sync() {
    for (retrigger, after_touch, after_name) in [
        (Retrigger::AnyUpdate, true, true),
        (Retrigger::SyncedFields, false, true),
        (Retrigger::FlagToggle, false, false),
    ] {
        let tenant = Tenant::following(There { retrigger, ..on() }).await;
        let there = tenant.running.risk_assess();
        let user = tenant.clean();
        // Licensed while the sync was off, so that its account is missing.
        there.set_readings(There::default());
        tenant.grant(user.id).await;
        there.set_readings(There { retrigger, ..on() });
        tenant
            .put(
                user.id,
                json!({ "firstname": user.first_name, "employee-number": "X-1" }),
            )
            .await;
        assert_eq!(
            !there.accounts_of(user.id).is_empty(),
            after_touch,
            "{retrigger:?}"
        );
        tenant.put(user.id, json!({ "firstname": "Anders" })).await;
        assert_eq!(
            !there.accounts_of(user.id).is_empty(),
            after_name,
            "{retrigger:?}"
        );
        tenant.put(user.id, json!({ LICENSE: false })).await;
        tenant.grant(user.id).await;
        assert_eq!(there.accounts_of(user.id).len(), 1);
    }
}

#[tokio::test]
async fn failures_go_out_by_mail_or_not() {
    for (native_report, mails) in [(NativeReport::Sent, 1), (NativeReport::None, 0)] {
        let tenant = Tenant::following(There {
            native_report,
            ..on()
        })
        .await;
        let (users, account) = tenant.awkward(Why::StaleLogin);
        tenant.grant(users[0]).await;
        let report = tenant.running.risk_assess().error_report();
        let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
        assert!(
            report.title.starts_with("User Sync Error Report - Sandbox - "),
            "{}",
            report.title
        );
        let mut rows = csv::Reader::from_reader(report.csv.strip_prefix(b"\xef\xbb\xbf").unwrap());
        let row: BTreeMap<String, String> = rows.deserialize().next().unwrap().unwrap();
        let theirs = tenant.account(account);
        let user = tenant.truly(users[0]);
        assert_eq!(row["Coupa Login"], user.login);
        assert_eq!(row["Coupa ID"], user.id.to_string());
        assert_eq!(row["Coupa Username"], theirs.get(Field::CoupaUsername));
        assert_eq!(row["Username"], theirs.get(Field::Username));
        assert_eq!(row["Date Sync Failed"].len(), today.len());
        let mail = tenant.running.mail().messages();
        assert_eq!(mail.len(), mails, "{native_report:?}");
        if let Some(mail) = mail.first() {
            assert_eq!(mail.to, ["site.admin@riskassess.example"]);
            let text = String::from_utf8_lossy(&mail.data);
            assert!(text.contains("User Sync Error Report - Sandbox - "), "{text}");
        }
    }
}

#[tokio::test]
async fn synced_accounts_are_not_edited_there() {
    let tenant = Tenant::following(on()).await;
    let there = tenant.running.risk_assess();
    let user = tenant.clean();
    tenant.grant(user.id).await;
    let synced = tenant.only_account(user.id);
    assert_eq!(
        there.edit(&HandEdit::Deactivate(synced.id)),
        Err(HandError::Synced)
    );
    let groups = Details {
        groups: Some(["Assessors".to_owned()].into()),
        administrator: Some(true),
        ..Details::default()
    };
    let change = |account, to| HandEdit::Change { account, to };
    assert_eq!(
        there.edit(&change(synced.id, groups)),
        Ok(synced.id),
        "these are not synced"
    );
    tenant.put(user.id, json!({ "firstname": "Neu" })).await;
    let now = tenant.only_account(user.id);
    assert!(now.administrator && now.groups.contains("Assessors") && now.get(Field::FirstName) == "Neu");

    let details = |email: &str| Details {
        fields: [(Field::Email, email.to_owned())].into(),
        ..Details::default()
    };
    assert_eq!(
        there.edit(&HandEdit::Create(details(
            &synced.get(Field::Email).to_uppercase()
        ))),
        Err(HandError::Taken)
    );
    assert_eq!(
        there.edit(&HandEdit::Create(Details::default())),
        Err(HandError::Incomplete)
    );
    let made = there.edit(&HandEdit::Create(details("by@hand.example"))).unwrap();
    assert_eq!(there.account_named("BY@hand.example").unwrap().id, made);
    there.edit(&change(made, details("or@hand.example"))).unwrap();
    there.edit(&HandEdit::Deactivate(made)).unwrap();
    assert!(!tenant.in_grid("or@hand.example"));
    assert_eq!(there.edit(&HandEdit::Deactivate(9_999)), Err(HandError::Unknown));
    let url = tenant.url("/_sandbox/risk-assess/edit");
    let post = |body: Value| tenant.http.post(&url).json(&body).send();
    let answer = post(json!({ "deactivate": synced.id })).await.unwrap();
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    let body =
        json!({ "change": { "account": made, "to": { "active": true, "fields": { "city": "Bern" } } } });
    assert_eq!(post(body).await.unwrap().status(), StatusCode::OK);
    assert!(tenant.in_grid("or@hand.example"));
}

#[tokio::test]
async fn the_grid_shows_active_accounts_and_no_coupa_id_unless_told() {
    let tenant = Tenant::following(on()).await;
    let there = tenant.running.risk_assess();
    there.resync();
    let accounts = there.accounts();
    let synced = accounts.iter().filter(|account| account.synced).count();
    assert!(synced > 3, "{synced}");
    let active = accounts.iter().filter(|account| account.active).count();
    assert!(active < accounts.len(), "some are not");
    let grid = tenant.grid();
    assert_eq!(grid.len(), active);
    assert!(
        grid.iter()
            .all(|row| row["Status"] == "Active" && !row.contains_key("Coupa User ID"))
    );
    there.set_readings(There {
        grid_coupa_id: GridColumn::Shown,
        ..on()
    });
    let shown = tenant.grid();
    let linked = shown
        .iter()
        .filter(|row| !row["Coupa User ID"].is_empty())
        .count();
    let expected = accounts
        .iter()
        .filter(|a| a.active && a.coupa_id.is_some())
        .count();
    assert_eq!(linked, expected);

    let answer = tenant
        .http
        .get(tenant.url("/_sandbox/risk-assess/grid.xlsx"))
        .send()
        .await
        .unwrap();
    let bytes = answer.bytes().await.unwrap();
    let mut book = calamine::open_workbook_auto_from_rs(io::Cursor::new(bytes)).unwrap();
    let range = calamine::Reader::worksheet_range_at(&mut book, 0)
        .unwrap()
        .unwrap();
    let rows: Vec<Vec<String>> = range
        .rows()
        .map(|row| row.iter().map(ToString::to_string).collect())
        .collect();
    assert_eq!(rows.len(), active + 1);
    let email = rows[0].iter().position(|header| header == "Email").unwrap();
    let emails: Vec<&String> = rows[1..].iter().map(|row| &row[email]).collect();
    assert_eq!(emails, shown.iter().map(|row| &row["Email"]).collect::<Vec<_>>());
}

#[tokio::test]
async fn readings_can_be_set_over_http_and_leave_those_of_coupa_alone() {
    let tenant = Tenant::small().await;
    tenant.running.set_readings(Readings {
        users_me: Presence::Present,
        ..Readings::default()
    });
    let url = tenant.url("/_sandbox/risk-assess");
    let put = |body: Value| tenant.http.put(&url).json(&body).send();
    let answer = put(json!({ "user-sync": "on", "delay": { "requests": 4 } }))
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(
        put(json!({ "sync": "on" })).await.unwrap().status(),
        StatusCode::BAD_REQUEST
    );
    let now: There = tenant.http.get(&url).send().await.unwrap().json().await.unwrap();
    assert_eq!((now.user_sync, now.delay), (Switch::On, Delay::Requests(4)));
    assert_eq!(
        tenant.rest("/api/users/me").await.0,
        StatusCode::OK,
        "that one stayed"
    );
    for path in ["accounts", "problems", "imports", "hand-made"] {
        let answer = tenant.http.get(format!("{url}/{path}")).send().await.unwrap();
        assert!(answer.json::<Value>().await.unwrap().is_array(), "{path}");
    }
    let answer = tenant
        .http
        .get(format!("{url}/error-report.csv"))
        .send()
        .await
        .unwrap();
    let name = answer.headers()["content-disposition"].to_str().unwrap();
    assert!(name.contains("User Sync Error Report - Sandbox - "), "{name}");
}
