//! Whole listings, compared with what the tenant holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

#[tokio::test]
async fn a_full_walk_equals_the_tenant() {
    let tenant = FakeTenant::new(World::new(2500));
    let connector = connector(&tenant);
    let types = connector
        .list_resource_types(&c1::ResourceTypesServiceListResourceTypesRequest::default())
        .await
        .unwrap();
    let ids: Vec<_> = types.list.iter().map(|listed| listed.id.as_str()).collect();
    assert_eq!(ids, TYPES);

    let world = tenant.world().clone();
    let (users, _) = all_resources(&connector, "user", &[0]).await;
    let ids: Vec<u64> = users.iter().map(|user| id_of(user).parse().unwrap()).collect();
    assert_eq!(ids, world.listed_ids());
    for user in &users {
        assert!(annotation::<c1::UserTrait>(&user.annotations).is_some());
    }
    let (groups, _) = all_resources(&connector, "group", &[0]).await;
    assert_eq!(groups.len(), world.groups.len());
    let (roles, _) = all_resources(&connector, "role", &[0]).await;
    assert_eq!(roles.len(), world.roles.len());
    let (licenses, _) = all_resources(&connector, "license", &[0]).await;
    assert_eq!(licenses.iter().map(id_of).collect::<Vec<_>>(), LICENSES);
    for license in &licenses {
        let seats: c1::LicenseProfileTrait = annotation(&license.annotations).unwrap();
        assert_eq!(
            seats.consumed_seats,
            i64::try_from(world.seats(&id_of(license))).unwrap()
        );
    }
    for (kind, items, slug) in HELD {
        let (found, _) = all_grants(&connector, &[0], |size, token| type_grants(kind, size, token)).await;
        assert_eq!(pairs(&found, kind, slug), world.truth(items), "{kind}");
    }
    assert_eq!(
        tenant.surveys.load(Ordering::SeqCst),
        1,
        "one pass serves everything"
    );
    assert!(tenant.calls() <= 50 + 20);
    assert_eq!(connector.report(SYNC).unwrap().groups, 40);
}

#[tokio::test]
async fn both_forms_of_grants_agree() {
    let tenant = FakeTenant::new(World::new(1200));
    let connector = connector(&tenant);
    for (kind, _, slug) in HELD {
        let (by_type, _) = all_grants(&connector, &[0], |size, token| type_grants(kind, size, token)).await;
        let (items, _) = all_resources(&connector, kind, &[0]).await;
        let mut by_item = Vec::new();
        for item in &items {
            let id = id_of(item);
            by_item.extend(
                all_grants(&connector, &[100], |size, token| grants(kind, &id, size, token))
                    .await
                    .0,
            );
        }
        assert_eq!(
            bytes(&by_type),
            bytes(&by_item),
            "{kind}: same rows in the same order"
        );
        assert!(!pairs(&by_type, kind, slug).is_empty());
    }
}

#[tokio::test]
async fn fresh_resources_equal_the_listed_ones() {
    let tenant = FakeTenant::new(World::new(700));
    let listing = connector(&tenant);
    for kind in TYPES {
        let (listed, _) = all_resources(&listing, kind, &[0]).await;
        let alone = connector(&tenant);
        for resource in listed.iter().step_by(29) {
            let fresh = alone.get_resource(&get(kind, &id_of(resource))).await.unwrap();
            assert!(
                fresh.resource.as_ref() == Some(resource),
                "{kind} {}",
                id_of(resource)
            );
        }
        assert!(alone.report(SYNC).is_none(), "no pass for single resources");
    }
}

#[tokio::test]
async fn licenses_are_counted_by_a_pass_where_a_query_cannot() {
    let mut world = World::new(300);
    world.honours_filter = false;
    let tenant = FakeTenant::new(world);
    let fresh = connector(&tenant)
        .get_resource(&get("license", LICENSES[0]))
        .await
        .unwrap()
        .resource
        .unwrap();
    let seats: c1::LicenseProfileTrait = annotation(&fresh.annotations).unwrap();
    assert_eq!(
        seats.consumed_seats,
        i64::try_from(tenant.world().seats(LICENSES[0])).unwrap()
    );
}

#[tokio::test]
async fn entitlements_are_static_for_groups_and_roles_and_listed_for_licenses() {
    let tenant = FakeTenant::new(World::new(60));
    let connector = connector(&tenant);
    for kind in TYPES {
        let request = c1::EntitlementsServiceListStaticEntitlementsRequest {
            resource_type_id: kind.to_owned(),
            ..c1::EntitlementsServiceListStaticEntitlementsRequest::default()
        };
        let list = connector.list_static_entitlements(&request).await.unwrap().list;
        let slugs: Vec<_> = list.iter().map(|template| template.slug.as_str()).collect();
        let expected: &[&str] = if matches!(kind, "group" | "role") {
            &["member"]
        } else {
            &[]
        };
        assert_eq!(slugs, expected, "{kind}");
    }
    let list = connector
        .list_entitlements(&entitlements("license", "license", true))
        .await
        .unwrap()
        .list;
    let ids: Vec<_> = list.iter().map(|entitlement| entitlement.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "license:analytics-user:assigned",
            "license:category-planner-user:assigned",
            "license:risk-assess-user:assigned"
        ]
    );
    let immutable: Vec<_> = list
        .iter()
        .map(|one| one.annotations.iter().any(is::<c1::EntitlementImmutable>))
        .collect();
    assert_eq!(immutable, [false, true, false]);
    for (name, expected) in LICENSES.iter().zip(&list) {
        let one = connector
            .list_entitlements(&entitlements("license", name, false))
            .await
            .unwrap()
            .list;
        assert!(one.first() == Some(expected), "both forms agree");
    }
    let one = connector
        .list_entitlements(&entitlements("role", "4", false))
        .await
        .unwrap()
        .list;
    assert_eq!(one[0].id, "role:4:member");
    assert_eq!(connector.report(SYNC), None, "no pass for entitlements");
}

#[tokio::test]
async fn types_keep_their_promises() {
    let tenant = FakeTenant::new(World::new(0));
    let connector = connector(&tenant);
    let (types, _) = walk(&[1], async |size, token| {
        let request = c1::ResourceTypesServiceListResourceTypesRequest {
            page_size: size,
            page_token: token,
            ..c1::ResourceTypesServiceListResourceTypesRequest::default()
        };
        let answer = connector.list_resource_types(&request).await?;
        Ok((answer.list, answer.next_page_token))
    })
    .await;
    let mut told: BTreeMap<String, c1::ResourceType> = BTreeMap::new();
    for capability in capabilities().resource_type_capabilities {
        let listed = capability.resource_type.unwrap();
        told.insert(listed.id.clone(), listed);
    }
    assert!(types.iter().eq(told.values()), "capabilities and listing agree");
    let marks = |id: &str| {
        let annotations = &told[id].annotations;
        [
            annotations.iter().any(is::<c1::SkipEntitlementsAndGrants>),
            annotations.iter().any(is::<c1::SkipEntitlements>),
            annotations.iter().any(is::<c1::TypeScopedEntitlements>),
            annotations.iter().any(is::<c1::TypeScopedGrants>),
        ]
    };
    assert_eq!(marks("user"), [true, false, false, false]);
    assert_eq!(marks("role"), [false, true, false, true]);
    assert_eq!(marks("group"), [false, true, false, true]);
    assert_eq!(marks("license"), [false, false, true, true]);
    // A type without resources answers an empty page.
    let page = connector
        .list_grants(&type_grants("license", 0, ""))
        .await
        .unwrap();
    assert!(page.list.is_empty() && page.next_page_token.is_empty());
}

#[tokio::test]
async fn cleanup_forgets_a_sync_and_nothing_else() {
    let tenant = FakeTenant::new(World::new(60));
    let connector = connector(&tenant);
    let clean = async |sync: &str| {
        let request = c1::ConnectorServiceCleanupRequest {
            active_sync_id: sync.to_owned(),
            ..c1::ConnectorServiceCleanupRequest::default()
        };
        connector.cleanup(&request).await.unwrap();
    };
    all_resources(&connector, "role", &[0]).await;
    clean("unknown").await;
    all_resources(&connector, "role", &[0]).await;
    assert_eq!(tenant.surveys.load(Ordering::SeqCst), 1);
    clean(SYNC).await;
    clean(SYNC).await;
    assert!(
        connector.report(SYNC).is_some(),
        "the summary outlives the snapshot"
    );
    all_resources(&connector, "role", &[0]).await;
    assert_eq!(tenant.surveys.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn without_a_sync_id_the_rows_are_the_same() {
    let tenant = FakeTenant::new(World::new(400));
    let connector = connector(&tenant);
    let (with, _) = all_resources(&connector, "user", &[100]).await;
    let (without, _) = walk(&[100], async |size, token: String| {
        let request = c1::ResourcesServiceListResourcesRequest {
            active_sync_id: String::new(),
            ..resources("user", size, &token)
        };
        let answer = connector.list_resources(&request).await?;
        Ok((answer.list, answer.next_page_token))
    })
    .await;
    assert_eq!(bytes(&with), bytes(&without));
}
