//! What is asked wrongly, and what is not there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

#[tokio::test]
async fn wrong_listings_are_told_apart() {
    let tenant = FakeTenant::new(World::new(60));
    let connector = connector(&tenant);
    let list = async |kind: &str, size, token: &str| {
        connector
            .list_resources(&resources(kind, size, token))
            .await
            .map(|_| ())
            .map_err(|fault| fault.kind().clone())
    };
    assert_eq!(list("device", 0, "").await, Err(FaultKind::NotFound));
    assert_eq!(list("", 0, "").await, Err(FaultKind::Invalid));
    assert_eq!(list("user", 251, "").await, Err(FaultKind::Invalid));
    assert_eq!(list("user", 0, "nonsense").await, Err(FaultKind::Invalid));
    assert_eq!(
        list("user", 0, "1.role.r.1..0").await,
        Err(FaultKind::Invalid),
        "of another type"
    );
    assert_eq!(
        list("role", 0, "1.role.g.1.1.0").await,
        Err(FaultKind::Invalid),
        "of another listing"
    );
}

#[tokio::test]
async fn wrong_questions_about_grants_are_told_apart() {
    let tenant = FakeTenant::new(World::new(60));
    let connector = connector(&tenant);
    let held = async |request| {
        connector
            .list_grants(&request)
            .await
            .map(|_| ())
            .map_err(|fault| fault.kind().clone())
    };
    assert_eq!(held(grants("device", "1", 0, "")).await, Err(FaultKind::NotFound));
    assert_eq!(
        held(type_grants("user", 0, "")).await,
        Err(FaultKind::Invalid),
        "not listed by type"
    );
    assert_eq!(
        held(grants("user", "1", 0, "")).await,
        Ok(()),
        "users carry no grants"
    );
    assert_eq!(
        held(grants("role", "role", 0, "")).await,
        Err(FaultKind::Invalid),
        "the stub without the marker"
    );
    assert_eq!(held(grants("role", "007", 0, "")).await, Err(FaultKind::Invalid));
    assert_eq!(
        held(grants("role", "1", 0, "1.role.p.2..1")).await,
        Err(FaultKind::Invalid),
        "of another role"
    );
    assert_eq!(
        held(grants("role", "999", 0, "")).await,
        Err(FaultKind::NotFound),
        "by query"
    );
    connector.list_resources(&resources("role", 0, "")).await.unwrap();
    assert_eq!(
        held(grants("role", "999", 0, "")).await,
        Err(FaultKind::NotFound),
        "from the pass"
    );
    assert_eq!(
        held(grants("license", "gone-user", 0, "")).await,
        Err(FaultKind::NotFound)
    );
    assert_eq!(
        held(c1::GrantsServiceListGrantsRequest::default()).await,
        Err(FaultKind::Invalid)
    );
}

#[tokio::test]
async fn wrong_questions_about_entitlements_are_told_apart() {
    let tenant = FakeTenant::new(World::new(60));
    let connector = connector(&tenant);
    let named = async |request| {
        connector
            .list_entitlements(&request)
            .await
            .map(|_| ())
            .map_err(|fault| fault.kind().clone())
    };
    assert_eq!(
        named(entitlements("device", "1", false)).await,
        Err(FaultKind::NotFound)
    );
    for kind in ["user", "role", "group"] {
        assert_eq!(
            named(entitlements(kind, kind, true)).await,
            Err(FaultKind::Invalid),
            "{kind}"
        );
    }
    assert_eq!(
        named(entitlements("license", "gone-user", false)).await,
        Err(FaultKind::NotFound)
    );

    let fixed = c1::EntitlementsServiceListStaticEntitlementsRequest {
        resource_type_id: "device".to_owned(),
        ..c1::EntitlementsServiceListStaticEntitlementsRequest::default()
    };
    assert_eq!(
        connector
            .list_static_entitlements(&fixed)
            .await
            .map(|_| ())
            .map_err(|fault| fault.kind().clone()),
        Err(FaultKind::NotFound)
    );
}

#[tokio::test]
async fn resources_that_are_not_there_are_not_found() {
    let tenant = FakeTenant::new(World::new(60));
    let connector = connector(&tenant);
    let got = async |kind: &str, id: &str| {
        connector
            .get_resource(&get(kind, id))
            .await
            .map(|_| ())
            .map_err(|fault| fault.kind().clone())
    };
    for (kind, id) in [
        ("role", "999"),
        ("group", "999"),
        ("user", "999999"),
        ("license", "gone-user"),
    ] {
        assert_eq!(got(kind, id).await, Err(FaultKind::NotFound), "{kind}");
    }
    assert_eq!(got("device", "1").await, Err(FaultKind::Unsupported));
    assert_eq!(got("role", "x").await, Err(FaultKind::Invalid));
}

#[tokio::test]
async fn accounts_that_are_not_listed_cannot_be_fetched_either() {
    let tenant = FakeTenant::new(World::new(500));
    let listed: HashSet<u64> = tenant.world().listed_ids().into_iter().collect();
    let left_out = *tenant
        .world()
        .users
        .keys()
        .find(|id| !listed.contains(id))
        .unwrap();
    let fault = connector(&tenant)
        .get_resource(&get("user", &left_out.to_string()))
        .await
        .map(|_| ())
        .unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::NotFound);
}

#[tokio::test]
async fn parents_and_foreign_traits_have_nothing_below_them() {
    let tenant = FakeTenant::new(World::new(60));
    let connector = connector(&tenant);
    let below = c1::ResourcesServiceListResourcesRequest {
        parent_resource_id: Some(of("group", "1")),
        ..resources("user", 0, "")
    };
    let other = c1::ResourcesServiceListResourcesRequest {
        r#trait: c1::resource_type::Trait::App.into(),
        ..resources("user", 0, "")
    };
    for request in [below, other] {
        let page = connector.list_resources(&request).await.unwrap();
        assert!(page.list.is_empty() && page.next_page_token.is_empty());
    }
    let own = c1::ResourcesServiceListResourcesRequest {
        r#trait: c1::resource_type::Trait::User.into(),
        ..resources("user", 0, "")
    };
    assert!(!connector.list_resources(&own).await.unwrap().list.is_empty());
}
