//! What the tenant gives: the client, each scope, each object, licenses, accounts.

use baton_coupa::sandbox::{Faults, GraphqlAccess, PerSurface, Readings, Setup};

use super::Patient;

#[tokio::test(flavor = "multi_thread")]
async fn the_client() {
    let waiting = [
        "scope-user-read",
        "scope-common-read",
        "object-roles",
        "read-plan",
    ];
    let patient = Patient::healthy().await;
    for (name, value) in [
        ("BATON_COUPA_CLIENT_ID", "nobody"),
        ("BATON_COUPA_CLIENT_SECRET", "wrong"),
    ] {
        let mut command = patient.doctor();
        command.env(name, value);
        patient.report(command).await.lacks("token-client", 16, &waiting);
    }
    let refused = Patient::set_up(Setup {
        client_refused: true,
        ..Setup::default()
    })
    .await;
    let report = refused.report(refused.doctor()).await;
    report.lacks("token-client", 16, &waiting);
    assert_eq!(
        (report.verdict("clock"), report.verdict("host-answers")),
        ("fine", "fine")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_scope_for_reading() {
    for (scope, id, object) in [
        ("core.user.read", "scope-user-read", "object-users"),
        (
            "core.user_group.read",
            "scope-user-group-read",
            "object-user-groups",
        ),
        ("core.common.read", "scope-common-read", "object-roles"),
    ] {
        let patient = Patient::set_up(Setup {
            scopes_missing: vec![scope.into()],
            ..Setup::default()
        })
        .await;
        let report = patient.report(patient.doctor()).await;
        report.lacks(
            id,
            7,
            &[object, "read-plan", "license-catalog", "account-classes"],
        );
        report.saw(id, &[scope]);
        for other in ["object-users", "object-user-groups", "object-roles"] {
            let expected = if other == object { "unknown" } else { "fine" };
            assert_eq!(report.verdict(other), expected, "{other} without {scope}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_scope_for_changes_where_changes_are_wanted() {
    for (scope, id) in [
        ("core.user.write", "scope-user-write"),
        ("core.user_group.write", "scope-user-group-write"),
    ] {
        let patient = Patient::set_up(Setup {
            scopes_missing: vec![scope.into()],
            ..Setup::default()
        })
        .await;
        let mut command = patient.doctor();
        command.arg("--provisioning");
        let report = patient.report(command).await;
        report.lacks(id, 7, &[]);
        assert_eq!(report.document["complete_sync"], true, "reading does not need it");
        patient.report(patient.doctor()).await.warns(&[]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_forbidden_although_the_scope_is_there() {
    for (object, id, waiting) in [
        ("users", "object-users", ["read-plan", "graphql"].as_slice()),
        ("user_groups", "object-user-groups", &[]),
        ("roles", "object-roles", &["account-classes"]),
    ] {
        let patient = Patient::set_up(Setup {
            objects_forbidden: vec![object.into()],
            ..Setup::default()
        })
        .await;
        let report = patient.report(patient.doctor()).await;
        report.lacks(id, 7, waiting);
        assert_eq!(report.verdict("scope-common-read"), "fine");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_without_the_license() {
    let readings = Readings {
        hidden: PerSurface::both(vec!["risk-assess-user".to_owned()]),
        ..Readings::default()
    };
    let patient = Patient::with(Faults::default(), readings).await;
    patient
        .report(patient.doctor())
        .await
        .warns(&["license-risk-assess"]);
    let mut relied_on = patient.doctor();
    relied_on.args(["--risk-assess-user-sync", "on"]);
    let report = patient.report(relied_on).await;
    report.lacks("license-risk-assess", 12, &[]);
    assert_eq!(report.document["complete_sync"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_graphql_a_sync_is_still_complete() {
    for graphql in [
        GraphqlAccess::NotFound,
        GraphqlAccess::Forbidden,
        GraphqlAccess::Errors,
    ] {
        let readings = Readings {
            graphql,
            ..Readings::default()
        };
        let patient = Patient::with(Faults::default(), readings).await;
        patient.report(patient.doctor()).await.warns(&["graphql"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn classes_of_which_there_is_nobody() {
    let readings = Readings {
        hidden: PerSurface::both(vec!["msp-user".to_owned()]),
        ..Readings::default()
    };
    let patient = Patient::with(Faults::default(), readings).await;
    let mut command = patient.doctor();
    command.args(["--account-classes", "managed-service"]);
    let report = patient.report(command).await;
    report.lacks("account-classes", 9, &[]);
    report.saw("account-classes", &["synced: none", "--account-classes"]);
}
