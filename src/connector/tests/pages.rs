//! Pages: any split, any restart, nothing ready, nothing too large.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

#[tokio::test]
async fn any_token_goes_on_in_a_fresh_connector() {
    let tenant = FakeTenant::new(World::new(900));
    let first = connector(&tenant);
    for kind in TYPES {
        let (rows, tokens) = all_resources(&first, kind, &[7]).await;
        for (at, token) in tokens.iter().enumerate().step_by(13) {
            let page = connector(&tenant)
                .list_resources(&resources(kind, 7, token))
                .await
                .unwrap();
            let expected: Vec<_> = rows.iter().skip(at * 7).take(7).cloned().collect();
            assert_eq!(bytes(&page.list), bytes(&expected), "{kind} {token}");
        }
    }
    for (kind, _, _) in HELD {
        let (rows, tokens) = all_grants(&first, &[50], |size, token| type_grants(kind, size, token)).await;
        for (at, token) in tokens.iter().enumerate().step_by(9) {
            let page = connector(&tenant)
                .list_grants(&type_grants(kind, 50, token))
                .await
                .unwrap();
            let expected: Vec<_> = rows.iter().skip(at * 50).take(50).cloned().collect();
            assert_eq!(bytes(&page.list), bytes(&expected), "{kind} {token}");
            assert_eq!(
                Some(&page.next_page_token),
                tokens.get(at + 1).or(Some(&String::new()))
            );
        }
        let id = if kind == "license" { LICENSES[0] } else { "1" };
        let (rows, tokens) = all_grants(&first, &[50], |size, token| grants(kind, id, size, token)).await;
        for (at, token) in tokens.iter().enumerate() {
            let page = connector(&tenant)
                .list_grants(&grants(kind, id, 50, token))
                .await
                .unwrap();
            let expected: Vec<_> = rows.iter().skip(at * 50).take(50).cloned().collect();
            assert_eq!(bytes(&page.list), bytes(&expected), "{kind} {id} {token}");
        }
    }
}

#[tokio::test]
async fn a_license_that_went_away_does_not_break_a_token() {
    let tenant = FakeTenant::new(World::new(100));
    let connector = connector(&tenant);
    let token = "1.license.r.gone-user..0";
    let page = connector
        .list_resources(&resources("license", 0, token))
        .await
        .unwrap();
    assert_eq!(
        page.list.iter().map(id_of).collect::<Vec<_>>(),
        ["risk-assess-user"]
    );
    let page = connector
        .list_grants(&type_grants("license", 250, "1.license.g.b-user.5.0"))
        .await
        .unwrap();
    let holders = pairs(&page.list, "license", "assigned");
    assert!(holders.iter().all(|(name, _)| name != "analytics-user") && !holders.is_empty());
    let request = grants("license", "gone-user", 0, "1.license.p.gone-user.5.0");
    let page = connector.list_grants(&request).await.unwrap();
    assert!(page.list.is_empty() && page.next_page_token.is_empty());
}

#[tokio::test]
async fn a_pass_that_is_not_ready_answers_empty_pages_with_new_tokens() {
    let tenant = FakeTenant::new(World::new(2000));
    tenant.hold_from.send_replace(Some(1));
    let connector = impatient(&tenant);
    let mut tokens = vec![String::new()];
    for _ in 0..4 {
        let page = connector
            .list_resources(&resources("role", 0, tokens.last().unwrap()))
            .await
            .unwrap();
        assert!(page.list.is_empty() && !tokens.contains(&page.next_page_token));
        tokens.push(page.next_page_token);
    }
    let waiting = connector
        .list_grants(&type_grants("group", 0, ""))
        .await
        .unwrap()
        .next_page_token;
    assert!(!waiting.is_empty());
    tenant.hold_from.send_replace(None);
    let (rest, _) = walk(&[0], async |size, token: String| {
        let token = if token.is_empty() {
            tokens.last().unwrap()
        } else {
            &token
        };
        let answer = connector.list_resources(&resources("role", size, token)).await?;
        Ok((answer.list, answer.next_page_token))
    })
    .await;
    assert_eq!(rest.len(), 30);
}

#[tokio::test]
async fn the_first_users_do_not_wait_for_the_last() {
    let tenant = FakeTenant::new(World::new(2000));
    let middle = *tenant.world().users.keys().nth(500).unwrap();
    tenant.hold_from.send_replace(Some(middle));
    let connector = impatient(&tenant);
    let mut token = String::new();
    let mut seen = 0;
    while seen == 0 {
        let page = connector
            .list_resources(&resources("user", 100, &token))
            .await
            .unwrap();
        seen = page.list.len();
        token = page.next_page_token;
        assert!(!token.is_empty());
    }
    assert!(connector.report(SYNC).is_none(), "the pass still runs");
}

#[tokio::test]
async fn pages_stay_small_with_the_largest_rows() {
    let mut world = World::new(1500);
    let huge: Box<str> = "é".repeat(4000).into();
    for user in world.users.values_mut() {
        user.login = huge.clone();
        user.email = Some(format!("{huge}@example.com").into());
        user.full_name = Some(huge.clone());
        user.department = Some(huge.clone());
        user.employee_number = Some(huge.clone());
    }
    world.groups = (1..=3000)
        .map(|n| {
            let mut group = group(n);
            group.id = GroupId::new(n + (1 << 40)).unwrap();
            group.name = huge.clone();
            group.description = Some(huge.clone());
            group
        })
        .collect();
    for user in world.users.values_mut() {
        let roles = user.access.roles().to_vec();
        user.access = crate::model::access::Access::new(roles, vec![], user.access.licenses);
    }
    let tenant = FakeTenant::new(world);
    let connector = connector(&tenant);
    // `walk` checks the size of every page.
    let (users, tokens) = all_resources(&connector, "user", &[0]).await;
    assert!(users.len() == tenant.world().listed_ids().len() && tokens.len() > 5);
    let (groups, tokens) = all_resources(&connector, "group", &[0]).await;
    assert!(groups.len() == 3000 && tokens.len() > 2);
    for group in groups.iter().step_by(500) {
        assert!(group.display_name.len() <= 1024 && group.description.len() <= 2048);
    }
}

/// One tenant and connector for all cases of the property test below.
static SHARED: LazyLock<(tokio::runtime::Runtime, Connector, Vec<Vec<u8>>)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tenant = FakeTenant::new(World::new(300));
    let connector = connector(&tenant);
    let all = runtime.block_on(async {
        let mut all = Vec::new();
        for kind in TYPES {
            all.extend(bytes(&all_resources(&connector, kind, &[0]).await.0));
        }
        for (kind, _, _) in HELD {
            all.extend(bytes(
                &all_grants(&connector, &[0], |size, token| type_grants(kind, size, token))
                    .await
                    .0,
            ));
        }
        all
    });
    (runtime, connector, all)
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_split_into_pages_gives_the_same_rows(sizes in prop::collection::vec(1u32..=250, 1..8)) {
        let (runtime, connector, all) = &*SHARED;
        let split = runtime.block_on(async {
            let mut rows = Vec::new();
            for kind in TYPES {
                rows.extend(bytes(&all_resources(connector, kind, &sizes).await.0));
            }
            for (kind, _, _) in HELD {
                rows.extend(bytes(&all_grants(connector, &sizes, |size, token| type_grants(kind, size, token)).await.0));
            }
            rows
        });
        prop_assert!(&split == all);
    }
}
