//! Tokens, scopes, and both surfaces against the truth.

use super::*;

const FIELDS: &str = r#"["id","login","email","employee-number","active","api-user","supplier-user","support-user","msp-user",
    "purchasing-user","risk-assess-user","quality-user",{"roles":["id"]},{"user-groups":["id"]}]"#;
const SELECTION: &str = "id login email employeeNumber active apiUser supplierUser supportUser mspUser \
    purchasingUser riskAssessUser qualityUser roles { id } userGroups { id }";

fn check_user(row: &Value, truth: &TruthUser, names: [&str; 9]) {
    let [
        employee,
        api,
        supplier,
        support,
        msp,
        purchasing,
        risk,
        quality,
        groups,
    ] = names;
    assert_eq!(row["id"], truth.id);
    assert_eq!(row["login"], truth.login);
    assert_eq!(row["email"], json!(truth.email));
    assert_eq!(row[employee], json!(truth.employee_number));
    assert_eq!(row["active"], truth.active);
    assert_eq!(row[api], truth.class == TruthClass::Api);
    assert_eq!(row[support], truth.class == TruthClass::Support);
    assert_eq!(row[msp], truth.class == TruthClass::ManagedService);
    if row[supplier] == true {
        assert_eq!(truth.class, TruthClass::Supplier);
    }
    for (key, license) in [
        (purchasing, "purchasing-user"),
        (risk, "risk-assess-user"),
        (quality, "quality-user"),
    ] {
        assert_eq!(row[key], truth.licenses.iter().any(|l| l == license), "{license}");
    }
    assert_eq!(ids(&row["roles"]), truth.roles);
    assert_eq!(ids(&row[groups]), truth.groups);
}

#[tokio::test]
async fn both_surfaces_tell_the_truth_about_users() {
    let tenant = Tenant::small().await;
    let truth = tenant.running.truth();
    let rest = tenant.rest_rows("users", FIELDS).await;
    let graphql = tenant.graphql_rows("users", SELECTION).await;
    assert_eq!(
        (rest.len(), graphql.len()),
        (truth.users.len(), truth.users.len())
    );
    for ((row, node), user) in rest.iter().zip(&graphql).zip(&truth.users) {
        let dashed = [
            "employee-number",
            "api-user",
            "supplier-user",
            "support-user",
            "msp-user",
            "purchasing-user",
            "risk-assess-user",
            "quality-user",
            "user-groups",
        ];
        check_user(row, user, dashed);
        let camel = [
            "employeeNumber",
            "apiUser",
            "supplierUser",
            "supportUser",
            "mspUser",
            "purchasingUser",
            "riskAssessUser",
            "qualityUser",
            "userGroups",
        ];
        check_user(node, user, camel);
    }
    let flagged = |row: &&Value| row["supplier-user"] == true;
    let suppliers = truth
        .users
        .iter()
        .filter(|u| u.class == TruthClass::Supplier)
        .count();
    assert!(
        rest.iter().filter(flagged).count() < suppliers,
        "some suppliers show only by their roles"
    );
}

#[tokio::test]
async fn groups_roles_and_memberships_tell_the_truth() {
    let tenant = Tenant::small().await;
    let truth = tenant.running.truth();
    let (rest, graphql) = (
        tenant
            .rest_rows("user_groups", "[\"id\",\"name\",\"type\",\"active\"]")
            .await,
        tenant.graphql_rows("userGroups", "id type users { id }").await,
    );
    assert_eq!(
        (rest.len(), graphql.len()),
        (truth.groups.len(), truth.groups.len())
    );
    for ((row, node), group) in rest.iter().zip(&graphql).zip(&truth.groups) {
        assert_eq!(
            (&row["id"], &row["name"], &row["active"]),
            (&json!(group.id), &json!(group.name), &json!(group.active))
        );
        let kind = if group.kind == TruthGroupKind::Project {
            json!("Project")
        } else {
            Value::Null
        };
        assert_eq!((&row["type"], &node["type"]), (&kind, &kind));
        let members: Vec<u64> = truth
            .users
            .iter()
            .filter(|u| u.groups.contains(&group.id))
            .map(|u| u.id)
            .collect();
        assert_eq!(ids(&node["users"]), members);
    }
    let roles = tenant
        .rest_rows(
            "roles",
            r#"["id","name","omnipotent","system-role","description"]"#,
        )
        .await;
    assert_eq!(roles.len(), truth.roles.len());
    for (row, role) in roles.iter().zip(&truth.roles) {
        let seen = (
            &row["name"],
            &row["omnipotent"],
            &row["system-role"],
            &row["description"],
        );
        assert_eq!(
            seen,
            (
                &json!(role.name),
                &json!(role.omnipotent),
                &json!(role.system),
                &json!(role.description)
            )
        );
    }
    let memberships = tenant
        .rest_rows("user_group_memberships", r#"["id","user-id","user-group-id"]"#)
        .await;
    let mut pairs: Vec<(u64, u64)> = memberships
        .iter()
        .map(|m| {
            (
                m["user-id"].as_u64().unwrap(),
                m["user-group-id"].as_u64().unwrap(),
            )
        })
        .collect();
    pairs.sort_unstable();
    let mut expected: Vec<(u64, u64)> = truth
        .users
        .iter()
        .flat_map(|u| u.groups.iter().map(|&g| (u.id, g)))
        .collect();
    expected.sort_unstable();
    assert_eq!(pairs, expected);
}

#[tokio::test]
async fn holders_are_found_by_filter_on_both_surfaces() {
    let tenant = Tenant::small().await;
    let truth = tenant.running.truth();
    for (filter, holds) in [
        (
            "roles[id]=4",
            (|u| u.roles.contains(&4)) as fn(&TruthUser) -> bool,
        ),
        ("user_groups[id]=1", |u| u.groups.contains(&1)),
        ("risk-assess-user=true", |u| {
            u.licenses.iter().any(|l| l == "risk-assess-user")
        }),
    ] {
        let expected: Vec<u64> = truth
            .users
            .iter()
            .filter(|u| holds(u))
            .map(|u| u.id)
            .take(50)
            .collect();
        let (_, page) = tenant.rest(&format!("/api/users?{filter}&fields=[\"id\"]")).await;
        assert_eq!(ids(&page), expected, "{filter}");
        let answer = tenant
            .graphql(
                "query($q: String) { users(query: $q) { id } }",
                json!({ "q": filter }),
            )
            .await;
        assert_eq!(ids(&answer["data"]["users"]), expected, "{filter}");
    }
}

#[tokio::test]
async fn rest_keeps_to_its_conventions() {
    let tenant = Tenant::small().await;
    let (status, page) = tenant.rest("/api/users?limit=200").await;
    assert_eq!((status, page.as_array().unwrap().len()), (StatusCode::OK, 50));
    assert!(page[30].to_string().len() > 3_000, "whole objects are large");
    assert_eq!(
        tenant.rest("/api/users?id[gt]=99999999999999").await,
        (StatusCode::OK, json!([]))
    );
    assert_eq!(
        tenant.rest("/api/users/99999999999999").await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(tenant.rest("/api/suppliers").await.0, StatusCode::NOT_FOUND);
    let (status, body) = tenant.rest("/api/users?shoe-size=4").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body["errors"]["user"][0].as_str().unwrap().contains("shoe-size"));
    let (_, one) = tenant.rest("/api/users/1?fields=[\"login\"]").await;
    assert_eq!(one, json!({ "login": "coupasupport" }));
    let (status, trapped) = tenant.rest("/api/users/1%3Ffields=%5B%22login%22%5D").await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        trapped.as_object().unwrap().len() > 50,
        "the escaped projection does not apply"
    );
}

#[tokio::test]
async fn xml_comes_unless_json_is_asked_for() {
    let tenant = Tenant::small().await;
    let plain = |path: &str| {
        tenant
            .http
            .get(tenant.url(path))
            .bearer_auth(&tenant.token)
            .send()
    };
    let answer = plain("/api/roles?limit=2").await.unwrap();
    assert!(answer.headers()["content-type"].to_str().unwrap().contains("xml"));
    assert!(answer.text().await.unwrap().contains("<name>Admin</name>"));
    let empty = plain("/api/roles?id=999").await.unwrap();
    assert_eq!(empty.status(), StatusCode::NOT_FOUND);
    assert!(empty.text().await.unwrap().contains("<errors><error>"));
}

#[tokio::test]
async fn tokens_are_refused_by_their_oauth_codes() {
    let tenant = Tenant::small().await;
    let code = async |extra: &[(&str, &str)]| {
        let answer = tenant.token_request(extra).send().await.unwrap();
        (
            answer.status(),
            answer.json::<Value>().await.unwrap()["error"]
                .as_str()
                .unwrap()
                .to_owned(),
        )
    };
    let bad = StatusCode::BAD_REQUEST;
    assert_eq!(
        code(&[("scope", "core.shoe.read")]).await,
        (bad, "invalid_scope".into())
    );
    // A later field of the same name wins.
    assert_eq!(
        code(&[("client_secret", "wrong")]).await,
        (bad, "invalid_client".into())
    );
    assert_eq!(
        code(&[("grant_type", "password")]).await,
        (bad, "unsupported_grant_type".into())
    );
    let basic = tenant
        .http
        .post(tenant.url("/oauth2/token"))
        .basic_auth(tenant.running.client_id(), Some(tenant.running.client_secret()))
        .form(&[("grant_type", "client_credentials")]);
    let answer: Value = basic.send().await.unwrap().json().await.unwrap();
    assert!(
        answer["scope"].as_str().unwrap().contains("core.user.write"),
        "no scope asked: all of the client's"
    );
}

#[tokio::test]
async fn each_endpoint_wants_its_scope() {
    let mut tenant = Tenant::small().await;
    let paths = [
        ("/api/users", "core.user.read"),
        ("/api/user_groups", "core.user_group.read"),
        ("/api/user_group_memberships", "core.user_group.read"),
        ("/api/roles/1", "core.common.read"),
    ];
    for scope in READ.split(' ') {
        tenant.token = tenant.mint(scope).await;
        for (path, wanted) in paths {
            let (status, body) = tenant.rest(path).await;
            assert_eq!(
                status,
                if scope == wanted {
                    StatusCode::OK
                } else {
                    StatusCode::FORBIDDEN
                },
                "{scope} {path}"
            );
            assert!(!body.to_string().contains("core."), "no scope is named");
        }
    }
    tenant.token = tenant.mint("core.user.read").await;
    let answer = tenant
        .graphql("{ roles { id } users(query: \"limit=2\") { id } }", json!({}))
        .await;
    assert_eq!(answer["data"]["roles"], Value::Null);
    assert_eq!(
        ids(&answer["data"]["users"]).len(),
        2,
        "the other root field is served"
    );
    assert_eq!(answer["errors"][0]["path"], json!(["roles"]));
    tenant.token = tenant.mint("core.user.read core.user.write").await;
    let answer = tenant
        .post_graphql("{ users { id } }", &json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(
        answer.status(),
        StatusCode::FORBIDDEN,
        "GraphQL serves no token that can write"
    );
    tenant.token = "made.up.token".into();
    assert_eq!(
        tenant.get("/api/users").send().await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn tokens_expire() {
    let tenant = Tenant::start(SandboxConfig {
        users: 5,
        token_lifetime_secs: 0,
        ..SandboxConfig::default()
    })
    .await;
    assert_eq!(
        tenant.get("/api/users").send().await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    let fresh = SandboxConfig {
        users: 5,
        propagation_ms: 3_600_000,
        ..SandboxConfig::default()
    };
    let tenant = Tenant::start(fresh).await;
    assert_eq!(
        tenant.get("/api/users").send().await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn graphql_answers_whole_documents() {
    let tenant = Tenant::small().await;
    let user = tenant
        .running
        .truth()
        .users
        .iter()
        .find(|u| u.id > 1 << 32)
        .cloned()
        .unwrap();
    let document = "query Q($id: ID!, $q: String = \"limit=1\") {
        one: user(id: $id) { __typename id manager { id } roles { id name } }
        none: user(id: 424242424242) { id }
        groups: userGroups(query: $q) { name }
        __type(name: \"User\") { name fields { name } } }";
    let answer = tenant.graphql(document, json!({ "id": user.id })).await;
    assert!(answer.get("errors").is_none(), "{answer}");
    let data = &answer["data"];
    assert_eq!(
        (&data["one"]["__typename"], &data["one"]["id"]),
        (&json!("User"), &json!(user.id))
    );
    assert_eq!(ids(&data["one"]["roles"]), user.roles);
    assert_eq!(data["none"], Value::Null);
    assert_eq!(data["groups"], json!([{ "name": "All Employees" }]));
    assert!(
        data["__type"]["fields"]
            .as_array()
            .unwrap()
            .contains(&json!({ "name": "qualityUser" }))
    );
    for (wrong, part) in [
        ("{ users { nope } }", "doesn't exist on type 'User'"),
        ("{ users(limit: 5) { id } }", "doesn't accept argument 'limit'"),
        ("{ users {", "Parse error"),
        ("mutation { users { id } }", "not configured for mutations"),
    ] {
        let answer = tenant.post_graphql(wrong, &json!({})).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let body: Value = answer.json().await.unwrap();
        assert!(
            body["errors"][0]["message"].as_str().unwrap().contains(part),
            "{body}"
        );
        assert!(body.get("data").is_none());
    }
    let filtered = tenant
        .graphql("{ users(query: \"shoe=1\") { id } }", json!({}))
        .await;
    assert_eq!(
        (
            &filtered["data"]["users"],
            filtered["errors"].as_array().unwrap().len()
        ),
        (&Value::Null, 1)
    );
}

#[tokio::test]
async fn a_large_group_and_role_take_many_pages() {
    let tenant = Tenant::start(SandboxConfig {
        users: 6_000,
        ..SandboxConfig::default()
    })
    .await;
    let truth = tenant.running.truth();
    let rows = tenant.rest_rows("users", r#"["id",{"roles":["id"]}]"#).await;
    let seen = by_id(&rows);
    assert_eq!(seen.len(), 6_000);
    let holders = rows
        .iter()
        .filter(|row| ids(&row["roles"]).contains(&truth.roles[1].id))
        .count();
    assert!(holders > 3_000, "{holders}");
    let stats = tenant.running.stats();
    assert_eq!(stats.rest_users, 121, "120 pages and the empty one");
    assert_eq!((stats.api_total, stats.token), (121, 1));
}
