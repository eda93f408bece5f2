//! The Coupa client against the sandbox, by its ports alone: what a survey finds, what it costs, and that every way of reading
//! a user gives the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use baton_coupa::coupa::Coupa;
use baton_coupa::model::access::{Access, Item, LicenseCatalog};
use baton_coupa::model::fault::FaultKind;
use baton_coupa::model::id::{GroupId, RoleId, UserId};
use baton_coupa::model::tenant::{
    ReadTenant, Survey, Tenant, User, UserCursor, UserFilter, UserOrder, UserQuery,
};
use baton_coupa::sandbox::{
    GraphqlAccess, Heed, Ordering, PerSurface, Readings, RestAccess, Running, SandboxConfig, TopLevel,
    TruthUser,
};

use crate::support::tenant::{client, start};

fn config(readings: Readings) -> SandboxConfig {
    SandboxConfig {
        users: 330,
        // Fewer than a page, so that no nested list is as long as one and read again.
        groups: 45,
        roles: 30,
        readings,
        ..SandboxConfig::default()
    }
}

async fn surveyed(readings: Readings) -> (Running, Arc<dyn ReadTenant>, Coupa) {
    let sandbox = start(config(readings)).await;
    let coupa = Coupa::new(client(&sandbox)).unwrap();
    let reader = coupa.survey().await.unwrap_or_else(|fault| panic!("{fault:?}"));
    (sandbox, reader, coupa)
}

fn rest<T: Default>(value: T) -> PerSurface<T> {
    PerSurface {
        rest: value,
        ..PerSurface::default()
    }
}

/// Everyone the filter lets through; rows the tenant should not have sent are the caller's to drop.
async fn everyone(reader: &dyn ReadTenant, filter: UserFilter) -> BTreeMap<u64, User> {
    let mut users = BTreeMap::new();
    let mut from = match reader.survey().order {
        UserOrder::ById => UserCursor::After(0),
        UserOrder::Arbitrary => UserCursor::Offset(0),
    };
    loop {
        let query = UserQuery {
            from,
            filter: filter.clone(),
        };
        let page = reader
            .users(&query)
            .await
            .unwrap_or_else(|fault| panic!("{fault:?}"));
        users.extend(page.users.into_iter().map(|user| (user.id.get(), user)));
        match page.next {
            Some(next) => from = next,
            None => return users,
        }
    }
}

fn holdings(access: &Access, licenses: &LicenseCatalog) -> (Vec<u64>, Vec<u64>, Vec<String>) {
    let names = licenses
        .iter()
        .map(|license| &license.name)
        .filter(|name| access.holds(&Item::License((*name).clone()), licenses))
        .map(ToString::to_string);
    (
        access.roles().iter().map(|role| role.get()).collect(),
        access.groups().iter().map(|group| group.get()).collect(),
        names.collect(),
    )
}

fn truly_held(user: &TruthUser) -> (Vec<u64>, Vec<u64>, Vec<String>) {
    let mut licenses = user.licenses.clone();
    licenses.sort();
    (user.roles.clone(), user.groups.clone(), licenses)
}

async fn reads_everyone(sandbox: &Running, reader: &dyn ReadTenant) {
    let users = everyone(reader, UserFilter::All).await;
    let truth = sandbox.truth();
    assert_eq!(users.len(), truth.users.len());
    for user in &truth.users {
        let read = &users[&user.id];
        let held = holdings(&read.access, &reader.survey().licenses);
        assert_eq!(held, truly_held(user), "user {}", user.id);
        assert_eq!(read.active, user.active);
    }
}

fn finds(survey: &Survey, text: &str) -> bool {
    survey.findings.iter().any(|finding| finding.text.contains(text))
}

/// Whether a user of the truth holds an item.
type Holds = Box<dyn Fn(&TruthUser) -> bool>;

#[tokio::test(flavor = "multi_thread")]
async fn a_survey_is_cheap_and_a_pass_costs_its_pages() {
    let (sandbox, reader, coupa) = surveyed(Readings::default()).await;
    let after_survey = coupa.usage().requests;
    assert!(after_survey <= 8, "{after_survey} requests");
    assert_eq!(reader.survey().surface, "rest");
    reads_everyone(&sandbox, reader.as_ref()).await;
    // 330 users at 50 a page, and the empty page.
    assert_eq!(coupa.usage().requests - after_survey, 8);
    let before_lists = coupa.usage().requests;
    assert_eq!(reader.roles().await.unwrap().len(), 30);
    assert_eq!(reader.groups().await.unwrap().len(), 45);
    assert_eq!(coupa.usage().requests - before_lists, 4);
    assert_eq!(
        sandbox.stats().api_total + sandbox.stats().token,
        coupa.usage().requests
    );
    let highest = sandbox.truth().users.last().map(|user| user.id);
    assert_eq!(reader.survey().highest_user.map(UserId::get), highest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_costs_a_token_and_a_row_of_each() {
    let sandbox = start(config(Readings::default())).await;
    let coupa = Coupa::new(client(&sandbox)).unwrap();
    coupa.check().await.unwrap();
    assert_eq!(coupa.usage().requests, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_read_a_user_agrees() {
    let (sandbox, reader, _) = surveyed(Readings::default()).await;
    let truth = sandbox.truth();
    let ids: Vec<UserId> = truth
        .users
        .iter()
        .filter_map(|user| UserId::new(user.id))
        .collect();
    let other: BTreeMap<UserId, Access> = reader
        .access_another_way(&ids)
        .await
        .unwrap()
        .into_iter()
        .collect();
    assert_eq!(other.len(), ids.len());
    let licenses = &reader.survey().licenses;
    for user in truth.users.iter().step_by(17) {
        let id = UserId::new(user.id).unwrap();
        let alone = reader.user(id).await.unwrap().unwrap();
        assert_eq!(holdings(&alone.access, licenses), truly_held(user));
        assert_eq!(holdings(&other[&id], licenses), truly_held(user));
        assert_eq!(&*alone.login, user.login);
    }
    assert!(
        reader
            .user(UserId::new(u64::MAX >> 1).unwrap())
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn holders_are_found_by_filter() {
    let hidden = PerSurface {
        rest: vec!["risk-assess-user".to_owned()],
        graphql: vec!["sourcing-user".to_owned()],
    };
    let (sandbox, reader, _) = surveyed(Readings {
        hidden,
        ..Readings::default()
    })
    .await;
    assert_eq!(reader.survey().surface, "both");
    let truth = sandbox.truth();
    let (role, group) = (truth.roles[3].id, truth.groups[2].id);
    let items: [(Item, Holds); 4] = [
        (
            Item::Role(RoleId::new(role).unwrap()),
            Box::new(move |user| user.roles.contains(&role)),
        ),
        (
            Item::Group(GroupId::new(group).unwrap()),
            Box::new(move |user| user.groups.contains(&group)),
        ),
        (
            Item::License("risk-assess-user".parse().unwrap()),
            Box::new(|user| user.licenses.iter().any(|name| name == "risk-assess-user")),
        ),
        (
            Item::License("sourcing-user".parse().unwrap()),
            Box::new(|user| user.licenses.iter().any(|name| name == "sourcing-user")),
        ),
    ];
    for (item, holds) in items {
        let found = everyone(reader.as_ref(), UserFilter::Holding(item.clone())).await;
        let held: Vec<u64> = found
            .values()
            .filter(|user| user.access.holds(&item, &reader.survey().licenses))
            .map(|user| user.id.get())
            .collect();
        let expected: Vec<u64> = truth
            .users
            .iter()
            .filter(|user| holds(user))
            .map(|user| user.id)
            .collect();
        assert_eq!(held, expected, "{item:?}");
        assert!(!expected.is_empty(), "{item:?} is held by somebody");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn single_roles_and_groups() {
    for readings in [
        Readings::default(),
        Readings {
            rest_roles: RestAccess::NotFound,
            rest_groups: RestAccess::Forbidden,
            ..Readings::default()
        },
    ] {
        let (sandbox, reader, _) = surveyed(readings).await;
        let truth = sandbox.truth();
        let role = reader
            .role(RoleId::new(truth.roles[1].id).unwrap())
            .await
            .unwrap();
        assert_eq!(&*role.unwrap().name, truth.roles[1].name);
        let group = reader
            .group(GroupId::new(truth.groups[1].id).unwrap())
            .await
            .unwrap();
        assert_eq!(&*group.unwrap().name, truth.groups[1].name);
        assert!(
            reader
                .role(RoleId::new(999_999).unwrap())
                .await
                .unwrap()
                .is_none()
        );
        assert!(
            reader
                .group(GroupId::new(999_999).unwrap())
                .await
                .unwrap()
                .is_none()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direction_that_is_ignored_tells_no_highest_id() {
    let (sandbox, reader, _) = surveyed(Readings {
        order: PerSurface::both(Ordering::Ignored),
        ..Readings::default()
    })
    .await;
    assert_eq!(reader.survey().highest_user, None);
    assert_eq!(reader.survey().order, UserOrder::ById);
    reads_everyone(&sandbox, reader.as_ref()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordered_surface_is_preferred_and_none_is_read_by_offset() {
    let (sandbox, reader, _) = surveyed(Readings {
        order: rest(Ordering::Scattered),
        ..Readings::default()
    })
    .await;
    assert_eq!(reader.survey().surface, "graphql");
    assert!(finds(reader.survey(), "do not come in order"));
    reads_everyone(&sandbox, reader.as_ref()).await;

    for order in [Ordering::Scattered, Ordering::ShuffledPage] {
        let (sandbox, reader, _) = surveyed(Readings {
            order: PerSurface::both(order),
            ..Readings::default()
        })
        .await;
        assert_eq!(reader.survey().order, UserOrder::Arbitrary);
        reads_everyone(&sandbox, reader.as_ref()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_of_one_surface_decides_which_leads() {
    let (sandbox, reader, _) = surveyed(Readings {
        hidden: rest(vec!["risk-assess-user".to_owned()]),
        ..Readings::default()
    })
    .await;
    assert_eq!(
        reader.survey().surface,
        "graphql",
        "it shows everything, so nothing is borrowed"
    );
    reads_everyone(&sandbox, reader.as_ref()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_lists_are_found_out_and_read_whole() {
    let (sandbox, reader, _) = surveyed(Readings {
        nested_cut: PerSurface::both(Some(3)),
        ..Readings::default()
    })
    .await;
    assert!(finds(reader.survey(), "cut to 3"));
    reads_everyone(&sandbox, reader.as_ref()).await;
    let ids: Vec<UserId> = sandbox
        .truth()
        .users
        .iter()
        .filter_map(|user| UserId::new(user.id))
        .collect();
    for (id, access) in reader.access_another_way(&ids).await.unwrap() {
        let truth = sandbox.truth();
        let user = truth.users.iter().find(|user| user.id == id.get()).unwrap();
        assert_eq!(holdings(&access, &reader.survey().licenses), truly_held(user));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn null_in_place_of_the_last_page_is_never_the_end() {
    // One surface ends with null: the other leads.
    let (sandbox, reader, _) = surveyed(Readings {
        top_level: rest(TopLevel::NullWhenEmpty),
        ..Readings::default()
    })
    .await;
    assert_eq!(reader.survey().surface, "graphql");
    assert!(finds(reader.survey(), "end with null"));
    reads_everyone(&sandbox, reader.as_ref()).await;

    // Both do: the listing cannot be finished.
    let (_sandbox, reader, _) = surveyed(Readings {
        top_level: PerSurface::both(TopLevel::NullWhenEmpty),
        ..Readings::default()
    })
    .await;
    let highest = reader.survey().highest_user.unwrap().get();
    let query = UserQuery {
        from: UserCursor::After(highest),
        filter: UserFilter::All,
    };
    assert_eq!(
        reader.users(&query).await.unwrap_err().kind(),
        &FaultKind::Corrupt
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn null_in_place_of_every_page_leaves_the_other_surface() {
    let (sandbox, reader, _) = surveyed(Readings {
        top_level: rest(TopLevel::Null),
        ..Readings::default()
    })
    .await;
    assert_eq!(reader.survey().surface, "graphql");
    reads_everyone(&sandbox, reader.as_ref()).await;
    assert!(!reader.roles().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_scope_stops_with_its_name() {
    for (scope, others) in [
        ("core.user.read", ["core.user_group.read", "core.common.read"]),
        ("core.user_group.read", ["core.user.read", "core.common.read"]),
        ("core.common.read", ["core.user.read", "core.user_group.read"]),
    ] {
        let sandbox = start(SandboxConfig {
            scopes: others.map(str::to_owned).to_vec(),
            ..config(Readings::default())
        })
        .await;
        let fault = Coupa::new(client(&sandbox)).unwrap().check().await.unwrap_err();
        assert!(
            matches!(fault.kind(), FaultKind::MissingScope { scope: named } if named == scope),
            "{fault:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_surface_without_paging_parameters() {
    let (sandbox, reader, _) = surveyed(Readings {
        rest_users: RestAccess::Forbidden,
        graphql_limit: Heed::Ignored,
        graphql_offset: Heed::Ignored,
        graphql_page: 20,
        ..Readings::default()
    })
    .await;
    assert_eq!(reader.survey().surface, "graphql");
    reads_everyone(&sandbox, reader.as_ref()).await;

    let (sandbox, reader, _) = surveyed(Readings {
        graphql: GraphqlAccess::Errors,
        ..Readings::default()
    })
    .await;
    assert_eq!(reader.survey().surface, "rest");
    reads_everyone(&sandbox, reader.as_ref()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_change_is_told_by_reads_of_one_user() {
    for readings in [
        Readings::default(),
        Readings {
            rest_users: RestAccess::Forbidden,
            ..Readings::default()
        },
    ] {
        let (sandbox, reader, _) = surveyed(readings).await;
        let users = everyone(reader.as_ref(), UserFilter::All).await;
        assert!(users.values().all(|user| user.updated_at.is_none()));
        let (_, listed) = users.first_key_value().unwrap();
        let alone = reader.user(listed.id).await.unwrap().unwrap();
        assert!(alone.updated_at >= alone.created_at && alone.updated_at.is_some());
        let truth = sandbox.truth();
        let user = truth
            .users
            .iter()
            .find(|user| user.id == listed.id.get())
            .unwrap();
        assert_eq!(
            holdings(&alone.access, &reader.survey().licenses),
            truly_held(user)
        );
    }
}

/// What a change asks before it writes.
mod before_a_change {
    use baton_coupa::model::change::{AccountKey, WriteCalls};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn accounts_are_looked_up_over_either_surface() {
        for (rest_users, fields) in [
            (RestAccess::Allowed, Heed::Honoured),
            (RestAccess::Allowed, Heed::Ignored),
            (RestAccess::Forbidden, Heed::Honoured),
        ] {
            let (sandbox, _, coupa) = surveyed(Readings {
                rest_users,
                fields,
                ..Readings::default()
            })
            .await;
            let truth = sandbox.truth();
            let inactive = truth.users.iter().find(|user| !user.active).unwrap();
            let mailed = truth
                .users
                .iter()
                .rev()
                .find(|user| user.email.is_some())
                .unwrap();
            for (key, id) in [
                (AccountKey::Login(&inactive.login), Some(inactive.id)),
                (
                    AccountKey::Email(mailed.email.as_deref().unwrap()),
                    Some(mailed.id),
                ),
                (AccountKey::Login("nobody.of.that.name"), None),
            ] {
                let found = coupa.accounts(key).await.unwrap();
                let found: Vec<u64> = found.into_iter().map(UserId::get).collect();
                assert_eq!(found, id.into_iter().collect::<Vec<_>>());
            }
            assert_eq!(coupa.own_account().await.unwrap(), None);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn membership_rows_are_found_or_it_is_said_that_they_are_not_shown() {
        let (sandbox, _, coupa) = surveyed(Readings::default()).await;
        let truth = sandbox.truth();
        let member = truth.users.iter().find(|user| user.groups.len() > 1).unwrap();
        let user = UserId::new(member.id).unwrap();
        for group in &truth.groups {
            let rows = coupa
                .memberships(user, GroupId::new(group.id).unwrap())
                .await
                .unwrap();
            assert_eq!(rows.len(), usize::from(member.groups.contains(&group.id)));
        }
        for (access, kind) in [
            (RestAccess::NotFound, FaultKind::Unsupported),
            (
                RestAccess::Forbidden,
                FaultKind::MissingScope {
                    scope: "core.user_group.read".into(),
                },
            ),
        ] {
            let (_sandbox, _, coupa) = surveyed(Readings {
                rest_memberships: access,
                ..Readings::default()
            })
            .await;
            let fault = coupa
                .memberships(user, GroupId::new(truth.groups[0].id).unwrap())
                .await
                .unwrap_err();
            assert_eq!(fault.kind(), &kind);
        }
    }
}
