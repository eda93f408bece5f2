//! Accounts made with licenses: given with the account, or after it, or told; never a second account.

use std::collections::BTreeSet;

use baton_coupa::model::change::{AccountDraft, Change, Effect, OnInactive, WriteTenant as _};
use baton_coupa::model::fault::FaultKind;
use baton_coupa::sandbox::{KeyIn, NewcomerLicenses, Readings};

use super::house::{House, LICENSE};

fn creation(licenses: &[&str]) -> Change {
    let text = |text: &str| Some(text.into());
    Change::Create {
        draft: Box::new(AccountDraft {
            login: text("new.comer"),
            email: text("new.comer@corp.example"),
            first_name: text("New"),
            last_name: text("Comer"),
            licenses: licenses.iter().map(|name| name.parse().unwrap()).collect(),
            ..AccountDraft::default()
        }),
        on_inactive: OnInactive::Leave,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_account_has_its_licenses_however_the_tenant_takes_them() {
    let licenses = [LICENSE, "treasury-user"];
    for newcomer_licenses in [
        NewcomerLicenses::Given,
        NewcomerLicenses::Ignored,
        NewcomerLicenses::Rejected,
    ] {
        for key_in in [KeyIn::Both, KeyIn::Dashed, KeyIn::Underscored] {
            let case = format!("{newcomer_licenses:?}, {key_in:?}");
            let readings = Readings {
                newcomer_licenses,
                key_in,
                ..Readings::default()
            };
            let house = House::with(readings, 40).await;
            let outcome = house.apply(&creation(&licenses)).await.unwrap();
            assert_eq!(
                (outcome.effect, outcome.findings.len()),
                (Effect::Made, 0),
                "{case}"
            );
            let made = house.user(outcome.user.id.get());
            let held: BTreeSet<&str> = made.licenses.iter().map(String::as_str).collect();
            assert_eq!(held, licenses.into(), "{case}");
            assert_eq!(house.sandbox.truth().users.len(), 41, "{case}");
            assert!(house.open_entries().is_empty(), "{case}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_license_that_sticks_is_told_and_the_account_stays_one() {
    let readings = Readings {
        sticky_always: vec![LICENSE.to_owned()],
        ..Readings::default()
    };
    let house = House::with(readings, 40).await;
    let outcome = house.apply(&creation(&[LICENSE])).await.unwrap();
    assert_eq!(outcome.effect, Effect::Made);
    let [finding] = outcome.findings.as_slice() else {
        panic!("{:?}", outcome.findings)
    };
    assert!(finding.text.contains(LICENSE), "{}", finding.text);
    assert!(house.user(outcome.user.id.get()).licenses.is_empty());
    let again = house.apply(&creation(&[LICENSE])).await.unwrap();
    assert_eq!(again.effect, Effect::Existed);
    assert_eq!(house.sandbox.truth().users.len(), 41);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_shows_the_flags_and_refuses_what_a_change_would() {
    let house = House::with(Readings::default(), 40).await;
    let plan = house.provision.plan(&creation(&[LICENSE])).await.unwrap();
    let [request] = plan.requests.as_slice() else {
        panic!("one request is enough")
    };
    assert!(request.body.contains(r#""risk-assess-user":true"#));
    for (name, kind) in [
        ("category-strategy-user", FaultKind::Refused),
        ("moon-base-user", FaultKind::Invalid),
    ] {
        let change = creation(&[name]);
        assert_eq!(*house.provision.plan(&change).await.unwrap_err().kind(), kind);
        assert_eq!(*house.apply(&change).await.unwrap_err().kind(), kind);
    }
    assert_eq!(house.writes(), 0);
}
