//! Writes over HTTP: what they change, what they refuse, and how the readings bend them.

use super::*;

const WRITE: &str =
    "core.user.read core.user.write core.user_group.read core.user_group.write core.common.read";

impl Tenant {
    /// With a token that may write.
    pub(super) async fn writing() -> Self {
        let mut tenant = Self::small().await;
        tenant.token = tenant.mint(WRITE).await;
        tenant
    }

    pub(super) fn send(&self, method: &str, path: &str, body: &Value) -> RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        self.http
            .request(method, self.url(path))
            .bearer_auth(&self.token)
            .header("Accept", "application/json")
            .json(body)
    }

    pub(super) async fn call(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let answer = self.send(method, path, &body).send().await.unwrap();
        let status = answer.status();
        let bytes = answer.bytes().await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    pub(super) async fn put(&self, user: u64, body: Value) -> (StatusCode, Value) {
        self.call("PUT", &format!("/api/users/{user}"), body).await
    }

    pub(super) fn truly(&self, user: u64) -> TruthUser {
        let truth = self.running.truth();
        truth.users.into_iter().find(|u| u.id == user).unwrap()
    }

    /// A person of the house with two roles or more and a group or more.
    pub(super) fn someone(&self) -> TruthUser {
        let truth = self.running.truth();
        let fits =
            |u: &TruthUser| u.class == TruthClass::Internal && u.roles.len() > 1 && !u.groups.is_empty();
        truth.users.into_iter().find(fits).unwrap()
    }

    /// Roles this user has not.
    pub(super) fn other_roles(&self, user: &TruthUser) -> Vec<u64> {
        let roles = self.running.truth().roles.into_iter().map(|role| role.id);
        roles.filter(|id| !user.roles.contains(id)).collect()
    }

    pub(super) async fn shown_roles(&self, user: u64) -> Vec<u64> {
        let path = format!("/api/users/{user}?fields=[{{\"roles\":[\"id\"]}}]");
        ids(&self.rest(&path).await.1["roles"])
    }

    async fn memberships(&self, query: &str) -> Vec<Value> {
        let path = format!("/api/user_group_memberships?{query}");
        self.rest(&path).await.1.as_array().unwrap().clone()
    }
}

pub(super) fn items(ids: &[u64]) -> Value {
    ids.iter().map(|id| json!({ "id": id })).collect()
}

#[tokio::test]
async fn lists_add_and_clear_and_everything_agrees_afterwards() {
    let tenant = Tenant::writing().await;
    let user = tenant.someone();
    let new = tenant.other_roles(&user)[0];
    let (status, answer) = tenant
        .put(
            user.id,
            json!({ "roles": [{ "id": new.to_string() }, { "id": 987_654 }] }),
        )
        .await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let mut expected = user.roles.clone();
    expected.push(new);
    expected.sort_unstable();
    assert_eq!(ids(&answer["roles"]), expected);
    assert_eq!(tenant.truly(user.id).roles, expected);
    let holders = tenant.rest_rows("users", "[\"id\"]").await;
    assert_eq!(holders.len(), 260);
    let of_role = ids(&tenant
        .rest(&format!("/api/users?roles[id]={new}&limit=50"))
        .await
        .1);
    assert!(of_role.contains(&user.id), "the posting list knows");
    let (_, answer) = tenant
        .call(
            "PATCH",
            &format!("/api/users/{}?fields=[\"id\",{{\"roles\":[\"id\"]}}]", user.id),
            json!({ "roles": null }),
        )
        .await;
    assert_eq!(answer, json!({ "id": user.id, "roles": [] }));
    let of_role = ids(&tenant
        .rest(&format!("/api/users?roles[id]={new}&limit=50"))
        .await
        .1);
    assert!(!of_role.contains(&user.id));
    tenant.put(user.id, json!({ "user_groups": null })).await;
    assert_eq!(
        tenant.memberships(&format!("user_id={}", user.id)).await,
        [] as [Value; 0]
    );
    let back = tenant
        .put(user.id, json!({ "user-groups": items(&user.groups) }))
        .await;
    assert_eq!(ids(&back.1["user-groups"]), user.groups);
    let rows = tenant.memberships(&format!("user-id={}&limit=50", user.id)).await;
    assert_eq!(rows.len(), user.groups.len());
    let gaps = tenant.running.gaps();
    assert_eq!((gaps.moments, gaps.open), (1, vec![user.id]));
}

#[tokio::test]
async fn elements_of_the_user_are_stored_and_shown() {
    let tenant = Tenant::writing().await;
    let user = tenant.someone();
    let before = tenant.rest(&format!("/api/users/{}", user.id)).await.1;
    let body = json!({
        "login": "new.login", "email": "new@corp.example", "firstname": "Neu", "lastname": "Er", "middlename": "M.",
        "employee_number": "00099", "authentication-method": "ldap", "sso-identifier": "sso-9", "active": false,
        "manager": { "id": "1" }, "department": { "name": "IT" }, "default-locale": "fr",
        "default-currency": { "code": "JPY" }, "phone-work": { "country-code": "49", "number": "123" },
        "custom-fields": { "badge-colour": "red", "site": { "id": 3 } }, "risk_assess_user": true,
        "treasury_user": true, "category-planner-user": true, "shoe-size": 44, "fullname": "ignored",
    });
    let (status, answer) = tenant.put(user.id, body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    for (key, value) in [
        ("login", json!("new.login")),
        ("email", json!("new@corp.example")),
        ("fullname", json!("Neu Er")),
        ("middlename", json!("M.")),
        ("employee-number", json!("00099")),
        ("authentication-method", json!("ldap")),
        ("sso-identifier", json!("sso-9")),
        ("active", json!(false)),
        ("default-locale", json!("fr")),
        ("risk-assess-user", json!(true)),
        ("treasury-user", json!(true)),
    ] {
        assert_eq!(answer[key], value, "{key}");
    }
    assert_eq!(
        (&answer["manager"]["id"], &answer["department"]["name"]),
        (&json!(1), &json!("IT"))
    );
    assert_eq!(answer["default-currency"]["code"], "JPY");
    assert_eq!(
        (
            &answer["phone-work"]["country-code"],
            &answer["phone-work"]["number"]
        ),
        (&json!("49"), &json!("123"))
    );
    assert_eq!(answer["custom-fields"]["badge-colour"], "red");
    assert_eq!(answer["custom-fields"]["site"]["name"], "Finance");
    assert_eq!(
        answer["category-planner-user"], before["category-planner-user"],
        "read-only ones stay and nobody says so"
    );
    assert!(answer["updated-at"].as_str() > before["updated-at"].as_str());
    assert_eq!(answer["created-at"], before["created-at"]);
    let truth = tenant.truly(user.id);
    assert_eq!((truth.login.as_str(), truth.active), ("new.login", false));
    assert_eq!(
        (truth.manager_id, truth.department.as_deref()),
        (Some(1), Some("IT"))
    );
    let by_login = tenant
        .rest("/api/users?login=new.login&email=new%40corp.example")
        .await
        .1;
    assert_eq!(ids(&by_login), [user.id]);
    let strangers = json!({ "manager": { "id": 5_555_555 }, "department": { "name": "Nowhere" }, "roles": [{ "id": 987_654 }] });
    let (status, after) = tenant.put(user.id, strangers).await;
    assert_eq!(
        (status, &after),
        (StatusCode::OK, &answer),
        "unknown references change nothing"
    );
}

#[tokio::test]
async fn people_are_found_by_login_and_email_on_both_surfaces() {
    let mut tenant = Tenant::writing().await;
    let user = tenant.someone();
    tenant
        .put(
            user.id,
            json!({ "login": "a+b & c", "email": "a+b@corp.example" }),
        )
        .await;
    tenant.token = tenant.mint(READ).await;
    for query in ["login=a%2Bb%20%26%20c", "email=a%2Bb%40corp.example"] {
        let rest = tenant.rest(&format!("/api/users?{query}")).await.1;
        assert_eq!(ids(&rest), [user.id], "{query}");
        let document = "query($q: String) { users(query: $q) { id login } }";
        let graphql = tenant.graphql(document, json!({ "q": query })).await;
        let found = json!([{ "id": user.id, "login": "a+b & c" }]);
        assert_eq!(graphql["data"]["users"], found, "{query}");
    }
    let old = tenant
        .rest(&format!(
            "/api/users?email={}",
            user.email.unwrap().replace('+', "%2B")
        ))
        .await
        .1;
    assert_eq!(old, json!([]), "the old one finds nobody");
}

#[tokio::test]
async fn wrong_values_are_refused_with_the_documented_body() {
    let tenant = Tenant::writing().await;
    let (user, other) = (tenant.someone(), tenant.truly(1));
    let long = "x".repeat(41);
    let (status, body) = tenant
        .put(
            user.id,
            json!({ "login": other.login.to_uppercase(), "firstname": " ", "lastname": long,
            "authentication-method": "SAML", "active": !user.active }),
        )
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let expected = json!({ "errors": { "user": [
        "Login has already been taken", "First name can't be blank",
        "Last name is too long (maximum is 40 characters)", "Authentication method is not included in the list"
    ], "warnings": null } });
    assert_eq!(body, expected);
    assert_eq!(tenant.truly(user.id), user, "nothing of a refused write is kept");
    let own = tenant.put(user.id, json!({ "login": user.login })).await;
    assert_eq!(own.0, StatusCode::OK, "one's own login is free");
    assert_eq!(tenant.put(424_242, json!({})).await.0, StatusCode::NOT_FOUND);
    let roles = tenant.call("PUT", "/api/roles/1", json!({ "name": "x" })).await.0;
    assert_eq!(roles, StatusCode::FORBIDDEN, "another scope");
    let groups = tenant.call("DELETE", "/api/user_groups/1", json!({})).await.0;
    assert_eq!(groups, StatusCode::METHOD_NOT_ALLOWED);
    let gone = tenant
        .call("DELETE", &format!("/api/users/{}", user.id), json!({}))
        .await
        .0;
    assert_eq!(gone, StatusCode::METHOD_NOT_ALLOWED, "nobody can be deleted");
}

#[tokio::test]
async fn writes_want_their_scopes() {
    let mut tenant = Tenant::small().await;
    let user = tenant.someone();
    let row = tenant.memberships(&format!("user_id={}", user.id)).await[0]["id"].clone();
    let delete = format!("/api/user_group_memberships/{row}");
    let put = format!("/api/users/{}", user.id);
    let statuses = async |tenant: &Tenant| {
        [
            tenant.call("PUT", &put, json!({ "active": false })).await.0,
            tenant.call("DELETE", &delete, json!({})).await.0,
        ]
    };
    assert_eq!(statuses(&tenant).await, [StatusCode::FORBIDDEN; 2]);
    tenant.token = tenant.mint("core.user.write").await;
    assert_eq!(statuses(&tenant).await, [StatusCode::OK, StatusCode::FORBIDDEN]);
    tenant.token = tenant.mint("core.user_group.write").await;
    assert_eq!(statuses(&tenant).await, [StatusCode::FORBIDDEN, StatusCode::OK]);
    tenant.token = "made.up.token".into();
    assert_eq!(statuses(&tenant).await, [StatusCode::UNAUTHORIZED; 2]);
}

#[tokio::test]
async fn users_are_created_above_all_others() {
    let tenant = Tenant::writing().await;
    let last = tenant.running.truth().users.last().unwrap().id;
    let create = async |body: Value| tenant.call("POST", "/api/users", body).await;
    let (status, body) = create(json!({ "login": "n1" })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(body["errors"]["user"].as_array().unwrap().len(), 3, "{body}");
    let whole = json!({ "login": "n1", "email": "n1@corp.example", "firstname": "N", "lastname": "One" });
    let (status, first) = create(whole.clone()).await;
    assert_eq!(
        (status, first["id"].as_u64().unwrap() > last),
        (StatusCode::CREATED, true)
    );
    assert_eq!(first["roles"][0]["name"], "User", "without roles Coupa gives one");
    assert_eq!(
        (&first["active"], &first["custom-fields"]["badge-colour"]),
        (&json!(true), &Value::Null)
    );
    let (status, body) = create(whole).await;
    assert_eq!(
        (status, &body["errors"]["user"]),
        (
            StatusCode::BAD_REQUEST,
            &json!(["Login has already been taken", "Email has already been taken"])
        )
    );
    let (_, second) = create(
        json!({ "login": "n2", "email": "n2@corp.example", "firstname": "N", "lastname": "Two",
        "roles": [{ "name": "Buyer" }], "user-groups": [{ "id": 1 }], "travel-user": true }),
    )
    .await;
    assert!(second["id"].as_u64() > first["id"].as_u64());
    assert_eq!(second["roles"][0]["name"], "Buyer");
    let rows = tenant.rest_rows("users", "[\"id\"]").await;
    let truth = tenant.running.truth();
    assert_eq!(
        ids(&json!(rows)),
        truth.users.iter().map(|u| u.id).collect::<Vec<_>>()
    );
    assert_eq!(truth.users.last().unwrap().licenses, ["travel-user"]);
    assert_eq!(truth.users.last().unwrap().groups, [1]);
    tenant.running.set_readings(Readings {
        required_custom_field: Some("badge-colour".into()),
        ..Readings::default()
    });
    let third = |fields: Value| json!({ "login": "n3", "email": "n3@corp.example", "firstname": "N", "lastname": "3", "custom-fields": fields });
    let refused = create(third(json!({ "reviewer?": true }))).await;
    assert_eq!(
        refused.1["errors"]["user"],
        json!(["Badge colour can't be blank"])
    );
    let taken = create(third(json!({ "badge_colour": "red" }))).await;
    assert_eq!(taken.0, StatusCode::CREATED);
}

#[tokio::test]
async fn memberships_come_and_go_by_themselves() {
    let tenant = Tenant::writing().await;
    let user = tenant.someone();
    let group = user.groups[0];
    let find = format!("user_id={}&user-group-id={group}", user.id);
    let row = tenant.memberships(&find).await;
    assert_eq!(row.len(), 1);
    let path = format!("/api/user_group_memberships/{}", row[0]["id"]);
    let (status, answer) = tenant.call("DELETE", &path, json!({})).await;
    assert_eq!(
        (status, &answer["user-group-id"]),
        (StatusCode::OK, &json!(group))
    );
    assert!(!tenant.truly(user.id).groups.contains(&group));
    assert_eq!(tenant.memberships(&find).await, [] as [Value; 0]);
    assert_eq!(
        tenant.get(&path).send().await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        tenant.call("DELETE", &path, json!({})).await.0,
        StatusCode::NOT_FOUND
    );
    let wish = json!({ "user-id": user.id, "user_group_id": group.to_string() });
    let (status, answer) = tenant
        .call("POST", "/api/user_group_memberships", wish.clone())
        .await;
    assert_eq!(
        (status, &answer["user-id"]),
        (StatusCode::CREATED, &json!(user.id))
    );
    assert!(answer["id"].as_u64() > row[0]["id"].as_u64(), "another row");
    assert_eq!(tenant.memberships(&find).await[0]["id"], answer["id"]);
    assert_eq!(tenant.truly(user.id).groups, user.groups);
    let again = tenant.call("POST", "/api/user_group_memberships", wish).await;
    assert_eq!(
        again.1["errors"]["user-group-membership"],
        json!(["User has already been taken"])
    );
    let nobody = tenant
        .call(
            "POST",
            "/api/user_group_memberships",
            json!({ "user-id": 424_242, "user-group-id": group }),
        )
        .await;
    assert_eq!(nobody.0, StatusCode::BAD_REQUEST);
}
