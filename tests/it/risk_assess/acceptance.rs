//! The license from its grant to the account behind it and back, with the built program against a tenant whose User Sync is on.

use baton_coupa::sandbox::ProfileEdit;
use baton_coupa::sandbox::risk_assess::{Field, Readings, Removal, Switch};

use super::scene::{LICENSE, Scene, tomorrow};
use crate::support::program::stderr;
use crate::support::reader::{C1z, annotation};

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_followed_to_the_account_and_claims_no_more_than_was_seen() {
    let scene = Scene::synced().await;
    scene.succeeds(&[]).await;
    let user = scene.candidate();
    let granted = scene.grant(user).await;
    assert!(granted.status.success(), "{}", stderr(&granted));

    let account = scene.account(user).expect("the sync made an account");
    assert!(account.synced && account.active);
    assert_eq!(account.get(Field::CoupaUsername), "ada");
    assert_eq!(account.get(Field::Email), "ada@corp.example");
    let record = scene.record(user).await;
    assert_eq!(record["standing"], "expected");
    assert_eq!(
        record["claim"],
        "license set and read back; downstream sync expected, if User Sync is on"
    );

    let told = scene.reconcile().await;
    let record = scene.record(user).await;
    assert_eq!(
        record["standing"],
        format!("seen in grid of {}", tomorrow()),
        "{told}"
    );
    assert_eq!(record["problems"], serde_json::json!([]));

    scene.succeeds(&[]).await;
    let file = C1z::open(&scene.folder.path().join("sync.c1z"));
    let grant = file.message("v1_grants", &format!("license:{LICENSE}:assigned:user:{user}"));
    let metadata = annotation(&grant, "GrantMetadata").expect("the grant carries what is known");
    assert!(format!("{metadata:?}").contains("seen in grid of"));
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_in_coupa_are_followed_and_take_back_what_was_seen() {
    let scene = Scene::synced().await;
    scene.succeeds(&[]).await;
    let user = scene.candidate();
    assert!(scene.grant(user).await.status.success());
    scene.reconcile().await;
    let edits = [
        ProfileEdit {
            firstname: Some("Augusta".to_owned()),
            ..ProfileEdit::default()
        },
        ProfileEdit {
            email: Some("augusta@corp.example".to_owned()),
            ..ProfileEdit::default()
        },
        ProfileEdit {
            login: Some("augusta".to_owned()),
            ..ProfileEdit::default()
        },
    ];
    for edit in edits {
        scene.change(user, edit.clone());
        scene.succeeds(&["risk-assess", "sync"]).await;
        let record = scene.record(user).await;
        assert_eq!(
            record["standing"], "expected",
            "{edit:?}: what was seen was another state"
        );
        let told = scene.reconcile().await;
        let record = scene.record(user).await;
        assert!(
            record["standing"].as_str().unwrap().starts_with("seen"),
            "{edit:?}: {record} {told}"
        );
    }
    let account = scene.account(user).unwrap();
    assert_eq!(account.get(Field::FirstName), "Augusta");
    assert_eq!(account.get(Field::Email), "augusta@corp.example");
    assert_eq!(account.get(Field::CoupaUsername), "augusta");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_deactivated_leaves_the_grid() {
    let scene = Scene::synced().await;
    scene.succeeds(&[]).await;
    let user = scene.candidate();
    assert!(scene.grant(user).await.status.success());
    scene.set_active(user, false);
    assert!(!scene.account(user).unwrap().active);
    scene.succeeds(&["risk-assess", "sync"]).await;
    let record = scene.record(user).await;
    assert_eq!(
        (record["expectation"].as_str(), record["standing"].as_str()),
        (Some("closed"), Some("expected"))
    );
    scene.reconcile().await;
    let record = scene.record(user).await;
    assert!(
        record["standing"].as_str().unwrap().starts_with("seen"),
        "{record}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoke_says_what_the_operator_stated_and_no_more() {
    for (reading, statement, expectation) in [
        (Removal::Keeps, "unknown", "undocumented"),
        (Removal::Deactivates, "unknown", "undocumented"),
        (Removal::Keeps, "stays", "kept"),
        (Removal::Deactivates, "closes", "closed"),
    ] {
        let scene = Scene::with(Readings {
            user_sync: Switch::On,
            removal: reading,
            ..Readings::default()
        })
        .await;
        scene.succeeds(&[]).await;
        let user = scene.candidate();
        assert!(scene.grant(user).await.status.success());
        scene.succeeds(&[]).await;
        let grant = format!("license:{LICENSE}:assigned:user:{user}");
        scene
            .succeeds(&[
                "--revoke-grant",
                &grant,
                "--risk-assess-license-removal",
                statement,
            ])
            .await;
        assert_eq!(scene.account(user).unwrap().active, reading == Removal::Keeps);
        let record = scene.record(user).await;
        assert_eq!(record["expectation"], expectation, "{reading:?} {statement}");
        assert_eq!(record["licensed"], false);
        assert_ne!(record["standing"], "delivered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_account_with_the_license_is_ready_first_and_followed() {
    let scene = Scene::synced().await;
    let profile = |email: &str| {
        serde_json::json!({
            "login": "grace",
            "email": email,
            "first_name": "Grace",
            "last_name": "Hopper",
            "licenses": [LICENSE],
        })
        .to_string()
    };
    let refused = scene
        .run(&[
            "--create-account-login",
            "grace",
            "--create-account-profile",
            &profile("grace@corp.technology"),
            "--risk-assess-readiness",
            "strict",
        ])
        .await;
    assert_eq!(refused.status.code(), Some(9), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("email-"), "{}", stderr(&refused));
    let made = |scene: &Scene| {
        let users = scene.sandbox.truth().users;
        users.into_iter().find(|user| user.login == "grace")
    };
    assert!(made(&scene).is_none(), "nothing was sent");
    scene
        .succeeds(&[
            "--create-account-login",
            "grace",
            "--create-account-profile",
            &profile("grace@corp.example"),
        ])
        .await;
    let user = made(&scene).unwrap();
    assert!(user.licenses.iter().any(|name| name == LICENSE));
    assert_eq!(
        scene.account(user.id).unwrap().get(Field::Email),
        "grace@corp.example"
    );
    assert_eq!(scene.record(user.id).await["standing"], "expected");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_ready_is_refused_with_every_reason_and_no_value() {
    let scene = Scene::synced().await;
    scene.succeeds(&[]).await;
    let user = scene.candidate();
    let other = scene.candidates()[1].id;
    scene.change(
        other,
        ProfileEdit {
            email: Some("ada@corp.example".to_owned()),
            ..ProfileEdit::default()
        },
    );
    scene.change(
        user,
        ProfileEdit {
            email: Some("ADA@corp.example".to_owned()),
            empty: vec!["lastname".to_owned()],
            ..ProfileEdit::default()
        },
    );
    let writes = || {
        let log = scene.sandbox.log();
        log.iter().filter(|entry| entry.write.is_some()).count()
    };
    let before = writes();
    let refused = scene.grant(user).await;
    assert_eq!(refused.status.code(), Some(9));
    let told = stderr(&refused);
    for part in [
        "email-shared",
        "lastname-blank",
        "--risk-assess-readiness lenient",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.to_lowercase().contains("ada"), "{told}");
    assert_eq!(writes(), before, "nothing was sent");
    assert!(scene.account(user).is_none());
}
