//! Each reading of a write changes what it says it changes, and nothing else.

use std::time::Duration;

use super::writes::items;
use super::*;

impl Tenant {
    fn bend(&self, change: impl FnOnce(&mut Readings)) {
        let mut readings = Readings::default();
        change(&mut readings);
        self.running.set_readings(readings);
    }
}

fn union(a: &[u64], b: &[u64]) -> Vec<u64> {
    let mut all = [a, b].concat();
    all.sort_unstable();
    all.dedup();
    all
}

#[tokio::test]
async fn each_list_adds_or_replaces_by_itself() {
    let tenant = Tenant::writing().await;
    let user = tenant.someone();
    let new = tenant.other_roles(&user)[..2].to_vec();
    let group = tenant
        .running
        .truth()
        .groups
        .iter()
        .rev()
        .map(|g| g.id)
        .find(|id| !user.groups.contains(id));
    let body = json!({ "roles": items(&new), "user-groups": [{ "id": group }] });
    let group = group.unwrap();
    tenant.bend(|r| r.list_write.roles = ListWrite::Replace);
    tenant.put(user.id, body.clone()).await;
    let now = tenant.truly(user.id);
    assert_eq!(
        (now.roles, now.groups),
        (union(&new, &[]), union(&user.groups, &[group]))
    );
    tenant.bend(|r| r.list_write.user_groups = ListWrite::Replace);
    tenant
        .put(
            user.id,
            json!({ "roles": items(&user.roles), "user-groups": [{ "id": group }] }),
        )
        .await;
    let now = tenant.truly(user.id);
    assert_eq!((now.roles, now.groups), (union(&new, &user.roles), vec![group]));
    tenant
        .put(
            user.id,
            json!({ "roles": [{ "id": 987_654 }], "user-groups": [{ "id": 987_654 }] }),
        )
        .await;
    assert_eq!(tenant.truly(user.id).groups, [group], "strangers replace nothing");
}

#[tokio::test]
async fn null_and_brackets_each_clear_or_not() {
    let tenant = Tenant::writing().await;
    let user = tenant.someone();
    let cases = [Clear::Clears, Clear::Ignored, Clear::Rejected];
    for (null, brackets) in cases.into_iter().flat_map(|n| cases.map(|b| (n, b))) {
        tenant.bend(|r| {
            r.clear_null = null;
            r.clear_brackets = brackets;
        });
        for (empty, reading) in [(Value::Null, null), (json!([]), brackets)] {
            tenant
                .put(
                    user.id,
                    json!({ "roles": items(&user.roles), "user-groups": items(&user.groups) }),
                )
                .await;
            let (status, body) = tenant
                .put(user.id, json!({ "roles": empty, "user_groups": empty }))
                .await;
            let now = tenant.truly(user.id);
            match reading {
                Clear::Clears => assert!(now.roles.is_empty() && now.groups.is_empty()),
                Clear::Ignored => assert_eq!(now, user),
                Clear::Rejected => {
                    assert_eq!((status, now), (StatusCode::BAD_REQUEST, user.clone()));
                    assert_eq!(
                        body["errors"]["user"],
                        json!(["Roles is invalid", "User groups is invalid"])
                    );
                    continue;
                }
            }
            assert_eq!(status, StatusCode::OK);
        }
    }
    let default = Readings::default();
    assert_eq!(
        (default.clear_null, default.clear_brackets),
        (Clear::Clears, Clear::Ignored)
    );
}

#[tokio::test]
async fn cleared_roles_may_leave_the_role_user() {
    let tenant = Tenant::writing().await;
    let user = tenant.someone();
    tenant.bend(|r| r.cleared_roles = ClearedRoles::UserRole);
    tenant.put(user.id, json!({ "roles": null })).await;
    let user_role = tenant
        .running
        .truth()
        .roles
        .into_iter()
        .find(|r| r.name == "User")
        .unwrap()
        .id;
    assert_eq!(tenant.truly(user.id).roles, [user_role]);
    assert_eq!(tenant.running.gaps().moments, 0, "nobody was without a role");
}

#[tokio::test]
async fn memberships_by_reading() {
    let tenant = Tenant::writing().await;
    let user = tenant.someone();
    let group = user.groups[0];
    let find = format!(
        "/api/user_group_memberships?user_id={}&user_group_id={group}",
        user.id
    );
    let row = format!(
        "/api/user_group_memberships/{}",
        tenant.rest(&find).await.1[0]["id"]
    );
    for (reading, status) in [
        (MembershipDelete::Absent, StatusCode::NOT_FOUND),
        (MembershipDelete::MethodNotAllowed, StatusCode::METHOD_NOT_ALLOWED),
        (MembershipDelete::Ignored, StatusCode::OK),
    ] {
        tenant.bend(|r| r.membership_delete = reading);
        assert_eq!(tenant.call("DELETE", &row, json!({})).await.0, status);
        assert_eq!(tenant.truly(user.id), user, "{reading:?}");
    }
    tenant.bend(|_| {});
    assert_eq!(tenant.call("DELETE", &row, json!({})).await.0, StatusCode::OK);
    tenant.bend(|r| r.membership_create = MembershipCreate::Absent);
    let wish = json!({ "user-id": user.id, "user-group-id": group });
    let (status, _) = tenant.call("POST", "/api/user_group_memberships", wish).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(!tenant.truly(user.id).groups.contains(&group));
}

#[tokio::test]
async fn answers_to_writes_take_four_forms() {
    let tenant = Tenant::writing().await;
    let user = tenant.someone();
    let fields = format!(
        "/api/users/{}?fields=[\"id\",\"login\",{{\"roles\":[\"id\"]}}]",
        user.id
    );
    let put = async |reading| {
        tenant.bend(|r| r.write_reply = reading);
        tenant.call("PUT", &fields, json!({ "travel-user": true })).await
    };
    let whole = json!({ "id": user.id, "login": user.login, "roles": items(&user.roles) });
    assert_eq!(put(WriteReply::Whole).await, (StatusCode::OK, whole));
    let listless = json!({ "id": user.id, "login": user.login });
    assert_eq!(put(WriteReply::WithoutLists).await.1, listless);
    assert_eq!(put(WriteReply::IdsOnly).await.1, json!({ "id": user.id }));
    assert_eq!(put(WriteReply::EmptyBody).await, (StatusCode::OK, Value::Null));
    tenant.bend(|r| r.write_reply = WriteReply::WithoutLists);
    let whole = tenant.put(user.id, json!({})).await.1;
    assert!(
        whole.get("roles").is_none() && whole.get("custom-fields").is_some(),
        "{whole}"
    );
    tenant.bend(|_| {});
    let path = |form: &str| format!("/api/users/{}?return_object={form}", user.id);
    assert_eq!(
        tenant.call("PUT", &path("none"), json!({})).await,
        (StatusCode::OK, Value::Null)
    );
    assert_eq!(
        tenant.call("PUT", &path("limited"), json!({})).await.1,
        json!({ "id": user.id })
    );
    let created = json!({ "login": "n1", "email": "n1@corp.example", "firstname": "N", "lastname": "One" });
    tenant.bend(|r| r.write_reply = WriteReply::IdsOnly);
    let (status, answer) = tenant.call("POST", "/api/users", created).await;
    let id = tenant.running.truth().users.last().unwrap().id;
    assert_eq!((status, answer), (StatusCode::CREATED, json!({ "id": id })));
}

#[tokio::test]
async fn reads_may_lag_behind_by_a_number_of_them() {
    let tenant = Tenant::writing().await;
    let user = tenant.someone();
    let [a, b] = tenant.other_roles(&user)[..2] else {
        panic!()
    };
    tenant.bend(|r| r.visibility.delay_reads = 2);
    let put = tenant.put(user.id, json!({ "roles": [{ "id": a }] })).await.1;
    assert_eq!(
        ids(&put["roles"]),
        union(&user.roles, &[a]),
        "the answer itself is up to date"
    );
    assert_eq!(
        tenant.truly(user.id).roles,
        union(&user.roles, &[a]),
        "so is the truth"
    );
    assert_eq!(tenant.shown_roles(user.id).await, user.roles);
    tenant.put(user.id, json!({ "roles": [{ "id": b }] })).await;
    let everything = union(&user.roles, &[a, b]);
    assert_eq!(
        tenant.truly(user.id).roles,
        everything,
        "writes build on the truth"
    );
    let list = format!("/api/users?id={}", user.id);
    let listed = async || ids(&tenant.rest(&list).await.1[0]["roles"]);
    assert_eq!(listed().await, user.roles, "lists lag too");
    assert_eq!(
        tenant.shown_roles(user.id).await,
        union(&user.roles, &[a]),
        "each write has its own wait"
    );
    assert_eq!(listed().await, everything);
    let filtered = tenant
        .rest(&format!("/api/users?roles[id]={b}&id={}", user.id))
        .await
        .1;
    assert_eq!(ids(&filtered), [user.id]);
}

#[tokio::test]
async fn memberships_and_new_users_lag_too() {
    let tenant = Tenant::writing().await;
    let user = tenant.someone();
    let find = format!(
        "/api/user_group_memberships?user_id={}&user_group_id={}",
        user.id, user.groups[0]
    );
    let row = format!(
        "/api/user_group_memberships/{}",
        tenant.rest(&find).await.1[0]["id"]
    );
    tenant.bend(|r| r.visibility.delay_reads = 1);
    assert_eq!(tenant.call("DELETE", &row, json!({})).await.0, StatusCode::OK);
    assert_eq!(
        tenant.call("DELETE", &row, json!({})).await.0,
        StatusCode::NOT_FOUND,
        "truly gone"
    );
    let count = async || tenant.rest(&find).await.1.as_array().unwrap().len();
    assert_eq!((count().await, count().await), (1, 0));
    let wish = json!({ "user-id": user.id, "user-group-id": user.groups[0] });
    let joined = tenant.call("POST", "/api/user_group_memberships", wish).await;
    assert_eq!(joined.0, StatusCode::CREATED);
    assert_eq!((count().await, count().await), (0, 1));
    let person = json!({ "login": "n1", "email": "n1@corp.example", "firstname": "N", "lastname": "One" });
    let (status, created) = tenant.call("POST", "/api/users", person.clone()).await;
    assert_eq!((status, &created["login"]), (StatusCode::CREATED, &json!("n1")));
    assert_eq!(tenant.rest("/api/users?login=n1").await.1, json!([]));
    assert_eq!(
        tenant.call("POST", "/api/users", person).await.0,
        StatusCode::BAD_REQUEST,
        "taken, though not seen"
    );
    assert_eq!(ids(&tenant.rest("/api/users?login=n1").await.1).len(), 1);
}

#[tokio::test]
async fn graphql_lags_too() {
    let mut tenant = Tenant::writing().await;
    let user = tenant.someone();
    let new = tenant.other_roles(&user)[0];
    tenant.bend(|r| r.visibility.delay_reads = 2);
    tenant.put(user.id, json!({ "roles": [{ "id": new }] })).await;
    tenant.token = tenant.mint(READ).await;
    let document = "query($id: ID!) { user(id: $id) { roles { id } } }";
    let asked =
        async || ids(&tenant.graphql(document, json!({ "id": user.id })).await["data"]["user"]["roles"]);
    let page = tenant
        .graphql(
            "query($q: String) { users(query: $q) { id } }",
            json!({ "q": "id[gt]=100&limit=3" }),
        )
        .await;
    assert_eq!(
        ids(&page["data"]["users"]).len(),
        3,
        "a page without the user is no read of it"
    );
    assert_eq!(
        (asked().await, asked().await),
        (user.roles.clone(), user.roles.clone())
    );
    assert_eq!(asked().await, union(&user.roles, &[new]));
}

#[tokio::test]
async fn reads_may_lag_behind_by_time() {
    let tenant = Tenant::writing().await;
    let user = tenant.someone();
    tenant.bend(|r| r.visibility.delay_ms = 3_600_000);
    tenant.put(user.id, json!({ "roles": null })).await;
    assert_eq!(tenant.shown_roles(user.id).await, user.roles);
    let later = std::time::Instant::now() + Duration::from_secs(3_601);
    tenant.running.state.store.write().settle(later);
    assert_eq!(tenant.shown_roles(user.id).await, [] as [u64; 0]);
}

#[tokio::test]
async fn flags_stick_and_keys_are_picky() {
    let tenant = Tenant::writing().await;
    let user = tenant.someone();
    let holds = |license: &str| tenant.truly(user.id).licenses.iter().any(|held| held == license);
    let set = async |key: &str, value: bool| {
        let (status, answer) = tenant.put(user.id, json!({ key: value })).await;
        assert_eq!(status, StatusCode::OK);
        answer[key.replace('_', "-")].clone()
    };
    tenant.bend(|r| {
        r.sticky_off = vec!["quality-user".into()];
        r.sticky_always = vec!["travel_user".into()];
    });
    assert_eq!(set("quality-user", true).await, true);
    assert_eq!(set("quality-user", false).await, true);
    let before = holds("travel-user");
    assert_eq!(set("travel-user", !before).await, before);
    for (reading, dashed, underscored) in [
        (KeyIn::Both, true, true),
        (KeyIn::Dashed, true, false),
        (KeyIn::Underscored, false, true),
    ] {
        tenant.bend(|r| r.key_in = reading);
        for (key, heard) in [("treasury-user", dashed), ("treasury_user", underscored)] {
            let before = holds("treasury-user");
            set(key, !before).await;
            assert_eq!(holds("treasury-user") != before, heard, "{reading:?} {key}");
        }
        assert_eq!(
            set("risk_assess_user", true).await,
            true,
            "no other license is concerned"
        );
    }
    let read_only = holds("category-planner-user");
    set("category_planner_user", !read_only).await;
    assert_eq!(holds("category-planner-user"), read_only);
    tenant.bend(|r| r.active_write = Heed::Ignored);
    assert_eq!(set("active", !user.active).await, user.active);
}

#[tokio::test]
async fn updated_at_moves_or_stays() {
    let tenant = Tenant::writing().await;
    let user = tenant.someone();
    let path = format!("/api/users/{}", user.id);
    let updated = async || tenant.rest(&path).await.1["updated-at"].clone();
    let grown = updated().await;
    tenant
        .put(user.id, json!({ "shoe-size": 4, "roles": items(&user.roles) }))
        .await;
    assert_eq!(updated().await, grown, "nothing changed");
    tenant.bend(|r| {
        r.updated_at = UpdatedAt {
            list: Touch::Stays,
            membership: Touch::Stays,
        }
    });
    let find = format!("/api/user_group_memberships?user_id={}", user.id);
    let row = async || {
        format!(
            "/api/user_group_memberships/{}",
            tenant.rest(&find).await.1[0]["id"]
        )
    };
    tenant.put(user.id, json!({ "roles": null })).await;
    tenant.call("DELETE", &row().await, json!({})).await;
    assert_eq!(updated().await, grown);
    tenant
        .put(
            user.id,
            json!({ "roles": items(&user.roles), "user-groups": items(&user.groups) }),
        )
        .await;
    assert_eq!(updated().await, grown);
    tenant.bend(|_| {});
    tenant.call("DELETE", &row().await, json!({})).await;
    assert_ne!(updated().await, grown, "a membership moves it");
}

#[tokio::test]
async fn the_account_of_the_token_shows_itself_where_it_may() {
    let tenant = Tenant::small().await;
    assert_eq!(tenant.rest("/api/users/me").await.0, StatusCode::NOT_FOUND);
    tenant.bend(|r| r.users_me = Presence::Present);
    let (status, me) = tenant.rest("/api/users/me").await;
    assert_eq!((status, &me["api-user"]), (StatusCode::OK, &json!(true)));
}
