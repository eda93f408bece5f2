//! Each reading changes what it says it changes.

use super::*;

const ROWS: &str =
    "/api/users?id[gt]=0&limit=50&fields=[\"id\",\"api-user\",\"risk-assess-user\",{\"roles\":[\"id\"]}]";
const DOCUMENT: &str = "{ users(query: \"id[gt]=0\") { id roles { id } } }";

impl Tenant {
    fn read_as(&self, change: impl FnOnce(&mut Readings)) {
        let mut readings = Readings::default();
        change(&mut readings);
        self.running.set_readings(readings);
    }

    async fn rest_page(&self) -> Value {
        self.rest(ROWS).await.1
    }

    async fn graphql_page(&self) -> Value {
        self.graphql(DOCUMENT, json!({})).await["data"]["users"].clone()
    }

    async fn status(&self, path: &str) -> StatusCode {
        self.get(path).send().await.unwrap().status()
    }

    async fn ids_in_graphql(&self, query: &str) -> Vec<u64> {
        let answer = self
            .graphql(
                "query($q: String) { users(query: $q) { id } }",
                json!({ "q": query }),
            )
            .await;
        ids(&answer["data"]["users"])
    }
}

#[tokio::test]
async fn bounds_and_orders() {
    let tenant = Tenant::small().await;
    let rest = async |query: &str| {
        ids(&tenant
            .rest(&format!("/api/users?{query}&fields=[\"id\"]"))
            .await
            .1)
    };
    let users = tenant.running.truth().users;
    let below = format!("id[lt]={}", users[2].id);
    let first_two = [users[0].id, users[1].id];
    assert_eq!(rest(&below).await, first_two);
    assert_eq!(tenant.ids_in_graphql(&below).await, first_two);
    tenant.read_as(|r| r.upper_bound.rest = Heed::Ignored);
    assert_eq!(rest(&below).await.len(), 50);
    assert_eq!(
        tenant.ids_in_graphql(&below).await,
        first_two,
        "each surface has its own switch"
    );
    tenant.read_as(|r| r.order.graphql = Ordering::Ignored);
    assert_eq!(tenant.ids_in_graphql("order_by=id&dir=desc").await[0], 1);
    assert!(rest("order_by=id&dir=desc").await[0] > 1 << 32);
    tenant.read_as(|r| r.order = PerSurface::both(Ordering::Scattered));
    let scattered = rest("order_by=id").await;
    assert!(
        !scattered.is_sorted() && scattered == rest("order_by=id").await,
        "another order, but a stable one"
    );
    tenant.read_as(|r| r.order.graphql = Ordering::ShuffledPage);
    let mut page = tenant.ids_in_graphql("id[gt]=0").await;
    assert!(!page.is_sorted());
    page.sort_unstable();
    assert_eq!(page, rest("id[gt]=0").await);
}

#[tokio::test]
async fn limits_offsets_and_page_size_in_graphql() {
    let tenant = Tenant::small().await;
    assert_eq!(tenant.ids_in_graphql("limit=3&offset=1").await.len(), 3);
    assert_ne!(tenant.ids_in_graphql("limit=3&offset=1").await[0], 1);
    tenant.read_as(|r| r.graphql_limit = Heed::Ignored);
    assert_eq!(tenant.ids_in_graphql("limit=3").await.len(), 50);
    tenant.read_as(|r| r.graphql_offset = Heed::Ignored);
    assert_eq!(tenant.ids_in_graphql("limit=3&offset=1").await[0], 1);
    tenant.read_as(|r| r.graphql_page = 25);
    assert_eq!(tenant.ids_in_graphql("limit=50").await.len(), 25);
    assert_eq!(ids(&tenant.rest_page().await).len(), 50);
}

#[tokio::test]
async fn empty_and_cut_nested_lists() {
    let tenant = Tenant::small().await;
    let bare = tenant
        .running
        .truth()
        .users
        .iter()
        .position(|u| u.roles.is_empty())
        .unwrap();
    assert_eq!(tenant.rest_page().await[bare]["roles"], json!([]));
    tenant.read_as(|r| {
        r.empty_list = PerSurface {
            rest: EmptyList::Omitted,
            graphql: EmptyList::Null,
        }
    });
    assert!(tenant.rest_page().await[bare].get("roles").is_none());
    assert_eq!(tenant.graphql_page().await[bare].get("roles"), Some(&Value::Null));
    tenant.read_as(|r| {
        r.empty_list = PerSurface {
            rest: EmptyList::Null,
            graphql: EmptyList::Brackets,
        }
    });
    assert_eq!(tenant.rest_page().await[bare].get("roles"), Some(&Value::Null));
    assert_eq!(tenant.graphql_page().await[bare]["roles"], json!([]));
    tenant.read_as(|r| {
        r.nested_cut = PerSurface {
            rest: Some(3),
            graphql: Some(5),
        }
    });
    let longest = |page: &Value| {
        page.as_array()
            .unwrap()
            .iter()
            .map(|u| ids(&u["roles"]).len())
            .max()
            .unwrap()
    };
    let (rest, graphql) = (tenant.rest_page().await, tenant.graphql_page().await);
    assert_eq!((longest(&rest), longest(&graphql)), (3, 5));
    let cut = tenant
        .running
        .truth()
        .users
        .into_iter()
        .find(|u| u.roles.len() > 5)
        .unwrap();
    let single = format!("/api/users/{}", cut.id);
    assert_eq!(
        ids(&tenant.rest(&single).await.1["roles"]),
        cut.roles,
        "a single object is whole"
    );
    tenant.read_as(|r| r.nested_cut_single.rest = Some(1));
    assert_eq!(ids(&tenant.rest(&single).await.1["roles"]), cut.roles[..1]);
}

#[tokio::test]
async fn hidden_elements_and_key_forms() {
    let tenant = Tenant::small().await;
    assert!(tenant.rest_page().await[0].get("risk-assess-user").is_some());
    tenant.read_as(|r| {
        r.hidden.rest = vec!["risk-assess-user".into(), "api-user".into()];
        r.hidden.graphql = vec!["treasury-user".into()];
    });
    let page = tenant.rest_page().await;
    assert!(page[0].get("risk-assess-user").is_none() && page[0].get("api-user").is_none());
    assert_eq!(
        tenant.status("/api/users?api-user=true").await,
        StatusCode::OK,
        "filters still know it"
    );
    let asks = async |name: &str| {
        tenant
            .graphql(&format!("{{ users {{ {name} }} }}"), json!({}))
            .await
            .get("errors")
            .is_none()
    };
    assert!(asks("riskAssessUser").await && !asks("treasuryUser").await);
    assert!(!asks("type").await);
    tenant.read_as(|r| r.user_type = PerSurface::both(Presence::Present));
    assert!(asks("type").await && tenant.rest("/api/users/1").await.1.get("type").is_some());
    tenant.read_as(|r| r.license_keys = KeyForm::Underscored);
    let whole = tenant.rest("/api/users/1").await.1;
    assert!(whole.get("invoicing_user").is_some() && whole.get("invoicing-user").is_none());
    assert!(whole.get("risk-assess-user").is_some());
    tenant.read_as(|r| {
        r.ids = PerSurface {
            rest: IdForm::Text,
            graphql: IdForm::Number,
        }
    });
    assert_eq!(tenant.rest_page().await[0]["id"], json!("1"));
    assert_eq!(tenant.graphql_page().await[0]["id"], json!(1));
    tenant.read_as(|r| r.fields = Heed::Ignored);
    assert!(tenant.rest_page().await[0].as_object().unwrap().len() > 50);
}

#[tokio::test]
async fn whole_answers() {
    let tenant = Tenant::small().await;
    tenant.read_as(|r| {
        r.top_level = PerSurface {
            rest: TopLevel::NullWhenEmpty,
            graphql: TopLevel::Null,
        }
    });
    assert_eq!(
        tenant.rest("/api/users?id[gt]=9999999999999").await,
        (StatusCode::OK, Value::Null)
    );
    assert_eq!(ids(&tenant.rest_page().await).len(), 50);
    assert_eq!(tenant.graphql_page().await, Value::Null);
    tenant.read_as(|r| r.repeated_row = PerSurface::both(true));
    let first = ids(&tenant.rest_page().await);
    let last = first[49];
    let second = ids(&tenant
        .rest(&format!("/api/users?id[gt]={last}&fields=[\"id\"]"))
        .await
        .1);
    assert_eq!((second[0], second.len()), (last, 50));
    assert_eq!(tenant.ids_in_graphql(&format!("id[gt]={last}")).await[0], last);
    tenant.read_as(|r| r.unauthorized_body = ErrorBody::Json);
    let unknown = tenant
        .http
        .get(tenant.url("/api/users"))
        .bearer_auth("x")
        .send()
        .await
        .unwrap();
    assert!(unknown.text().await.unwrap().contains("invalid_token"));
}

#[tokio::test]
async fn what_may_be_read_at_all() {
    let tenant = Tenant::small().await;
    tenant.read_as(|r| {
        r.rest_users = RestAccess::NotFound;
        r.rest_roles = RestAccess::Forbidden;
        r.rest_memberships = RestAccess::Forbidden;
    });
    assert_eq!(tenant.status("/api/users").await, StatusCode::NOT_FOUND);
    assert_eq!(tenant.status("/api/roles").await, StatusCode::FORBIDDEN);
    assert_eq!(
        tenant.status("/api/user_group_memberships").await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(tenant.status("/api/user_groups").await, StatusCode::OK);
    tenant.read_as(|r| r.rest_groups = RestAccess::NotFound);
    assert_eq!(tenant.status("/api/user_groups").await, StatusCode::NOT_FOUND);
    for (access, status) in [
        (GraphqlAccess::NotFound, StatusCode::NOT_FOUND),
        (GraphqlAccess::Forbidden, StatusCode::FORBIDDEN),
        (GraphqlAccess::Errors, StatusCode::OK),
    ] {
        tenant.read_as(|r| r.graphql = access);
        let answer = tenant.post_graphql(DOCUMENT, &json!({})).send().await.unwrap();
        assert_eq!(answer.status(), status);
        assert!(answer.json::<Value>().await.unwrap().get("data").is_none());
    }
    tenant.read_as(|r| r.introspection = Introspection::Refused);
    let answer = tenant
        .graphql("{ __type(name: \"User\") { name } }", json!({}))
        .await;
    assert_eq!(answer["data"]["__type"], Value::Null);
    assert!(
        answer["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("Introspection")
    );
}
