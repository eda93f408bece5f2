//! The client against a scripted server: what the sandbox does not model, and what must be counted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod writing;

use std::io::Write;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wiremock::matchers::{body_string_contains, header, header_exists, method, path, query_param};
use wiremock::{Match, Mock, MockServer, Request, Respond, ResponseTemplate};

use super::*;
use crate::model::fault::FaultKind;
use crate::model::id::UserId;
use crate::model::tenant::{UserCursor, UserFilter, UserOrder, UserQuery};

const SECRET: &str = "sentinel-secret-4711";

fn config(server: &MockServer) -> CoupaConfig {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let endpoint = Endpoint::from_base_url(&server.uri()).unwrap();
    let mut config = CoupaConfig::new(endpoint, "client".into(), SECRET.into());
    config.requests_per_second = NonZeroU32::new(1000).unwrap();
    config.burst = config.requests_per_second;
    config.timeouts.first_wait = Duration::from_millis(10);
    config.timeouts.longest_wait = Duration::from_secs(2);
    config
}

fn coupa(server: &MockServer) -> Coupa {
    Coupa::new(config(server)).unwrap()
}

/// Answers requests one after the other; the last answer stays.
struct InTurn(Vec<ResponseTemplate>, AtomicUsize);

fn in_turn(answers: impl IntoIterator<Item = ResponseTemplate>) -> InTurn {
    InTurn(answers.into_iter().collect(), AtomicUsize::new(0))
}

impl Respond for InTurn {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let turn = self.1.fetch_add(1, Ordering::SeqCst);
        self.0[turn.min(self.0.len() - 1)].clone()
    }
}

fn status(code: u16) -> ResponseTemplate {
    ResponseTemplate::new(code)
}

fn list(rows: Value) -> ResponseTemplate {
    status(200).set_body_json(rows)
}

fn token_answer(text: &str) -> ResponseTemplate {
    list(json!({"access_token": text, "token_type": "bearer", "expires_in": 86399, "scope": "x"}))
}

fn oauth_error(code: &str) -> ResponseTemplate {
    status(400).set_body_json(json!({"error": code, "error_description": "sentinel-description"}))
}

async fn tokens(server: &MockServer, answer: impl Respond + 'static) {
    Mock::given(method("POST"))
        .and(path("/oauth2/token"))
        .respond_with(answer)
        .mount(server)
        .await;
}

async fn on(server: &MockServer, at: &str, answer: impl Respond + 'static) {
    Mock::given(path(at)).respond_with(answer).mount(server).await;
}

async fn asked(server: &MockServer, at: &str) -> usize {
    let requests = server.received_requests().await.unwrap();
    requests.iter().filter(|request| request.url.path() == at).count()
}

/// A server with tokens, and empty groups and roles.
async fn server() -> MockServer {
    let server = MockServer::start().await;
    tokens(&server, token_answer("t1")).await;
    on(&server, "/api/user_groups", list(json!([]))).await;
    on(&server, "/api/roles", list(json!([]))).await;
    server
}

/// What `check` says when the users path answers like this and GraphQL does not exist.
async fn check_with(answer: impl Respond + 'static) -> (Result<(), Fault>, MockServer, Usage) {
    let server = server().await;
    on(&server, "/api/users", answer).await;
    let coupa = coupa(&server);
    let result = coupa.check().await;
    (result, server, coupa.usage())
}

fn user(id: u64) -> Value {
    json!({"id": id, "login": format!("login{id}"), "active": true, "roles": [], "user-groups": [],
           "risk-assess-user": false})
}

fn first() -> UserQuery {
    UserQuery {
        from: UserCursor::After(0),
        filter: UserFilter::All,
    }
}

/// REST parameters without a value of their own in the matcher library.
struct After(u64);

impl Match for After {
    fn matches(&self, request: &Request) -> bool {
        let wanted = self.0.to_string();
        request
            .url
            .query_pairs()
            .any(|(key, value)| key == "id[gt]" && value == wanted)
    }
}

/// A tenant whose REST lists these users as one page.
async fn rest_tenant(rows: &[Value]) -> MockServer {
    let server = server().await;
    rest_users(&server, rows).await;
    server
}

async fn rest_users(server: &MockServer, rows: &[Value]) {
    let page = |after: u64| {
        let rows = rows.iter().filter(move |row| row["id"].as_u64().unwrap() > after);
        Value::Array(rows.cloned().collect())
    };
    let mount = |mock: wiremock::MockBuilder| mock.and(method("GET")).and(path("/api/users"));
    for after in rows.iter().map(|row| row["id"].as_u64().unwrap()) {
        mount(Mock::given(After(after)))
            .respond_with(list(page(after)))
            .mount(server)
            .await;
    }
    let last: Vec<_> = rows.last().into_iter().collect();
    mount(Mock::given(query_param("dir", "desc")))
        .respond_with(list(json!(last)))
        .with_priority(1)
        .mount(server)
        .await;
    on(server, "/api/users", list(page(0))).await;
}

mod authentication {
    use super::*;

    #[tokio::test]
    async fn a_token_is_minted_once_for_all_who_wait() {
        let server = server().await;
        let slow = token_answer("t2").set_delay(Duration::from_millis(100));
        server.reset().await;
        tokens(&server, slow).await;
        on(&server, "/api/users", list(json!([]))).await;
        let coupa = coupa(&server);
        let calls = (0..16).map(|_| coupa.taste_users());
        for result in futures::future::join_all(calls).await {
            result.unwrap();
        }
        assert_eq!(asked(&server, "/oauth2/token").await, 1);
        assert_eq!(asked(&server, "/api/users").await, 16);
    }

    #[tokio::test]
    async fn a_failed_mint_is_shared_too() {
        let server = MockServer::start().await;
        tokens(
            &server,
            oauth_error("invalid_client").set_delay(Duration::from_millis(50)),
        )
        .await;
        let coupa = coupa(&server);
        let calls = (0..8).map(|_| coupa.taste_users());
        for result in futures::future::join_all(calls).await {
            assert_eq!(result.unwrap_err().kind(), &FaultKind::Unauthenticated);
        }
        assert_eq!(asked(&server, "/oauth2/token").await, 2, "body, then Basic, once");
    }

    #[tokio::test]
    async fn the_request_asks_for_the_least_and_no_more() {
        let server = MockServer::start().await;
        tokens(&server, token_answer("t1")).await;
        coupa(&server).client.sign_in().await.unwrap();
        let requests = server.received_requests().await.unwrap();
        let form: Vec<(String, String)> = url::form_urlencoded::parse(&requests[0].body)
            .into_owned()
            .collect();
        let value = |key: &str| {
            let pair = form.iter().find(|(known, _)| known == key);
            pair.map(|(_, value)| value.as_str()).unwrap_or_default()
        };
        assert_eq!(value("grant_type"), "client_credentials");
        assert_eq!(value("client_id"), "client");
        assert_eq!(value("client_secret"), SECRET);
        assert_eq!(
            value("scope"),
            "core.user.read core.user_group.read core.common.read"
        );
    }

    #[tokio::test]
    async fn an_expired_token_is_renewed_once_for_all() {
        let server = MockServer::start().await;
        tokens(&server, in_turn([token_answer("old"), token_answer("new")])).await;
        Mock::given(header("authorization", "Bearer old"))
            .respond_with(status(401))
            .mount(&server)
            .await;
        Mock::given(header("authorization", "Bearer new"))
            .respond_with(list(json!([])))
            .mount(&server)
            .await;
        let mut config = config(&server);
        config.timeouts.token_lag = Duration::ZERO;
        let coupa = Coupa::new(config).unwrap();
        coupa.client.sign_in().await.unwrap();
        let calls = (0..8).map(|_| coupa.taste_users());
        for result in futures::future::join_all(calls).await {
            result.unwrap();
        }
        assert_eq!(asked(&server, "/oauth2/token").await, 2);
    }

    #[tokio::test]
    async fn a_token_that_is_refused_for_ever_ends_soon() {
        let server = MockServer::start().await;
        tokens(&server, token_answer("t")).await;
        on(&server, "/api/users", status(401)).await;
        let mut config = config(&server);
        config.timeouts.token_lag = Duration::ZERO;
        let fault = Coupa::new(config).unwrap().check().await.unwrap_err();
        assert_eq!(fault.kind(), &FaultKind::Unauthenticated);
        assert!(asked(&server, "/oauth2/token").await <= 2);
    }

    #[tokio::test]
    async fn a_fresh_token_is_given_time_to_be_known() {
        let answers = in_turn([status(401), status(401), status(401), list(json!([]))]);
        let (result, server, _) = check_with(answers).await;
        result.unwrap();
        assert_eq!(
            asked(&server, "/oauth2/token").await,
            1,
            "no new token for propagation lag"
        );
    }

    #[tokio::test]
    async fn short_lifetimes_are_renewed_before_they_end() {
        let server = MockServer::start().await;
        let short = |text: &str| list(json!({"access_token": text, "token_type": "Bearer", "expires_in": 1}));
        tokens(&server, in_turn([short("a"), short("b")])).await;
        on(&server, "/api/users", list(json!([]))).await;
        let coupa = coupa(&server);
        coupa.taste_users().await.unwrap();
        tokio::time::sleep(Duration::from_millis(850)).await;
        coupa.taste_users().await.unwrap();
        assert_eq!(asked(&server, "/oauth2/token").await, 2);
    }

    #[tokio::test]
    async fn a_token_that_still_works_outlives_a_failed_renewal() {
        let server = MockServer::start().await;
        let short = list(json!({"access_token": "a", "token_type": "bearer", "expires_in": 2}));
        tokens(&server, in_turn([short, status(503)])).await;
        on(&server, "/api/users", list(json!([]))).await;
        let coupa = coupa(&server);
        coupa.taste_users().await.unwrap();
        tokio::time::sleep(Duration::from_millis(1700)).await;
        coupa.taste_users().await.unwrap();
        assert_eq!(asked(&server, "/oauth2/token").await, 2);
    }

    #[tokio::test]
    async fn basic_credentials_are_tried_and_remembered() {
        let server = MockServer::start().await;
        Mock::given(path("/oauth2/token"))
            .and(header_exists("authorization"))
            .respond_with(list(
                json!({"access_token": "a", "token_type": "bearer", "expires_in": 1}),
            ))
            .mount(&server)
            .await;
        tokens(&server, oauth_error("invalid_client")).await;
        on(&server, "/api/users", list(json!([]))).await;
        let coupa = coupa(&server);
        coupa.taste_users().await.unwrap();
        assert_eq!(asked(&server, "/oauth2/token").await, 2);
        tokio::time::sleep(Duration::from_millis(850)).await;
        coupa.taste_users().await.unwrap();
        assert_eq!(
            asked(&server, "/oauth2/token").await,
            3,
            "Basic first, now that it is known to work"
        );
    }

    #[tokio::test]
    async fn a_missing_scope_is_named() {
        let server = MockServer::start().await;
        let only = |scope: &str| {
            Mock::given(path("/oauth2/token"))
                .and(body_string_contains(format!("scope={scope}")))
                .respond_with(token_answer("t"))
        };
        // Scopes asked together are joined by `+` in a form.
        Mock::given(body_string_contains("read+core"))
            .respond_with(oauth_error("invalid_scope"))
            .with_priority(1)
            .mount(&server)
            .await;
        only("core.user.read").mount(&server).await;
        only("core.common.read").mount(&server).await;
        tokens(&server, oauth_error("invalid_scope")).await;
        let fault = coupa(&server).check().await.unwrap_err();
        let FaultKind::MissingScope { scope } = fault.kind() else {
            panic!("{fault:?}");
        };
        assert_eq!(scope, "core.user_group.read");
        assert!(fault.message().contains("core.user_group.read"));
    }

    #[tokio::test]
    async fn what_is_no_coupa_is_told() {
        for (answer, expected) in [
            (status(404), "no OAuth token endpoint"),
            (
                status(302).insert_header("location", "https://elsewhere.example/"),
                "redirect (302)",
            ),
            (status(200).set_body_string("<html>"), "not JSON"),
        ] {
            let server = MockServer::start().await;
            tokens(&server, answer).await;
            let fault = coupa(&server).check().await.unwrap_err();
            assert!(fault.message().contains(expected), "{fault:?}");
        }
    }
}

mod exchange {
    use super::*;

    #[tokio::test]
    async fn requests_are_json_and_say_who_asks() {
        let (result, server, _) = check_with(list(json!([]))).await;
        result.unwrap();
        let requests = server.received_requests().await.unwrap();
        for request in requests
            .iter()
            .filter(|request| request.url.path().starts_with("/api/"))
        {
            assert_eq!(request.headers["accept"], "application/json");
            assert_eq!(request.headers["content-type"], "application/json");
            assert_eq!(request.headers["authorization"], "Bearer t1");
            assert!(
                request.headers["user-agent"]
                    .to_str()
                    .unwrap()
                    .starts_with("baton-coupa/")
            );
        }
    }

    #[tokio::test]
    async fn a_limit_is_honoured_and_never_an_empty_page() {
        let limited = status(429).insert_header("retry-after", "1");
        let start = Instant::now();
        let (result, _, usage) = check_with(in_turn([limited, list(json!([]))])).await;
        result.unwrap();
        assert!(start.elapsed() >= Duration::from_secs(1));
        assert_eq!((usage.rate_limited, usage.retries), (1, 1));

        let (result, _, usage) = check_with(in_turn([status(429), status(429), list(json!([]))])).await;
        result.unwrap();
        assert_eq!((usage.rate_limited, usage.retries), (2, 2));
    }

    #[tokio::test]
    async fn a_limit_holds_back_every_call() {
        let server = server().await;
        let limited = status(429).insert_header("retry-after", "1");
        on(&server, "/api/users", in_turn([limited, list(json!([]))])).await;
        let coupa = coupa(&server);
        coupa.client.sign_in().await.unwrap();
        let first = coupa.taste_users();
        let second = async {
            while coupa.usage().rate_limited == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let start = Instant::now();
            coupa.taste_users().await.unwrap();
            start.elapsed()
        };
        let (first, waited) = futures::join!(first, second);
        first.unwrap();
        assert!(waited >= Duration::from_millis(500), "{waited:?}");
    }

    #[tokio::test]
    async fn a_limit_without_end_is_told_with_a_time() {
        let server = server().await;
        on(&server, "/api/users", status(429)).await;
        let mut config = config(&server);
        config.timeouts.patience = Duration::from_millis(100);
        let fault = Coupa::new(config).unwrap().check().await.unwrap_err();
        assert!(matches!(fault.kind(), FaultKind::RateLimited { .. }), "{fault:?}");
    }

    #[tokio::test]
    async fn redirects_are_not_followed() {
        let elsewhere = MockServer::start().await;
        let away = status(302).insert_header("location", elsewhere.uri());
        let (result, _, _) = check_with(away).await;
        let fault = result.unwrap_err();
        assert!(fault.message().contains("redirect (302)"), "{fault:?}");
        assert!(elsewhere.received_requests().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn passing_trouble_passes() {
        for trouble in [
            status(500),
            status(503),
            status(408),
            status(200).set_body_string("<html>maintenance</html>"),
            status(200).set_body_string(r#"[{"id":1"#),
            status(200).set_body_string(""),
        ] {
            let (result, _, usage) = check_with(in_turn([trouble, list(json!([]))])).await;
            result.unwrap();
            assert_eq!(usage.retries, 1);
        }
    }

    #[tokio::test]
    async fn lasting_trouble_is_named() {
        for (answer, expected, tries) in [
            (status(500), "fails while reading users over REST (500)", 6),
            (status(403), "core.user.read", 1),
            (status(404), "this is not an empty list", 1),
            (status(400), "rejects the request for users", 1),
            (status(200).set_body_string("<html>"), "not JSON", 4),
            (list(json!(null)), "not a list", 1),
            (list(json!({"errors": ["sentinel"]})), "not a list", 1),
            (list(json!([{"id": 1}, {"id": "sentinel"}])), "users[1].id", 1),
            (
                status(200).set_body_bytes(vec![b' '; transport::BODY_CAP + 1]),
                "larger than any page",
                1,
            ),
        ] {
            let (result, server, _) = check_with(answer).await;
            let fault = result.unwrap_err();
            assert!(fault.to_string().contains(expected), "{expected}: {fault:?}");
            assert_ne!(fault.kind(), &FaultKind::NotFound);
            assert_eq!(asked(&server, "/api/users").await, tries, "{expected}");
        }
    }

    #[tokio::test]
    async fn unreachable_hosts_are_told_apart() {
        let server = MockServer::start().await;
        for (url, expected) in [
            ("https://host.invalid", "unknown"),
            ("http://127.0.0.1:1", "cannot be reached"),
        ] {
            let mut config = config(&server);
            config.endpoint = Endpoint::from_base_url(url).unwrap();
            let fault = Coupa::new(config).unwrap().check().await.unwrap_err();
            assert_eq!(fault.kind(), &FaultKind::Unavailable);
            assert!(fault.message().contains(expected), "{url}: {fault:?}");
            assert!(fault.advice().is_some());
        }
    }

    #[tokio::test]
    async fn a_plain_server_is_no_tls_server() {
        let server = MockServer::start().await;
        let mut config = config(&server);
        config.endpoint = Endpoint::from_base_url(&server.uri().replace("http:", "https:")).unwrap();
        let fault = Coupa::new(config).unwrap().check().await.unwrap_err();
        assert!(fault.message().contains("TLS"), "{fault:?}");
    }

    #[tokio::test]
    async fn a_hang_ends() {
        let server = server().await;
        on(
            &server,
            "/api/users",
            status(200).set_delay(Duration::from_secs(30)),
        )
        .await;
        let mut config = config(&server);
        config.timeouts.request = Duration::from_millis(100);
        let fault = Coupa::new(config).unwrap().check().await.unwrap_err();
        assert!(fault.message().contains("in time"), "{fault:?}");
        assert_eq!(asked(&server, "/api/users").await, 4);
    }
}

mod reading {
    use super::*;

    #[tokio::test]
    async fn one_surface_serves_where_the_other_is_missing() {
        let server = rest_tenant(&[user(1), user(7)]).await;
        let reader = coupa(&server).survey().await.unwrap();
        let survey = reader.survey();
        assert_eq!(survey.surface, "rest");
        assert_eq!(survey.highest_user, UserId::new(7));
        assert_eq!(survey.order, UserOrder::ById);
        let names: Vec<&str> = survey
            .licenses
            .iter()
            .map(|license| license.name.as_str())
            .collect();
        assert_eq!(names, ["risk-assess-user"]);
        assert!(
            survey
                .findings
                .iter()
                .any(|finding| finding.text.contains("REST serves users alone"))
        );

        let page = reader.users(&first()).await.unwrap();
        assert_eq!(
            page.next,
            Some(UserCursor::After(7)),
            "a short page proves nothing"
        );
        assert_eq!(page.users.len(), 2);
        let query = UserQuery {
            from: page.next.unwrap(),
            ..first()
        };
        let end = reader.users(&query).await.unwrap();
        assert!(end.users.is_empty() && end.next.is_none());
    }

    #[tokio::test]
    async fn a_null_page_is_an_error_where_nothing_else_can_tell() {
        let server = rest_tenant(&[user(1), user(7)]).await;
        let reader = coupa(&server).survey().await.unwrap();
        server.reset().await;
        tokens(&server, token_answer("t1")).await;
        on(&server, "/api/users", list(json!(null))).await;
        let fault = reader.users(&first()).await.unwrap_err();
        assert_eq!(fault.kind(), &FaultKind::Corrupt);
    }

    #[tokio::test]
    async fn a_listing_that_goes_nowhere_is_an_error_and_remembered() {
        let server = rest_tenant(&[user(1), user(7)]).await;
        let coupa = coupa(&server);
        let reader = coupa.survey().await.unwrap();
        server.reset().await;
        tokens(&server, token_answer("t1")).await;
        on(&server, "/api/users", list(json!([user(1), user(7)]))).await;
        let query = UserQuery {
            from: UserCursor::After(7),
            ..first()
        };
        let fault = reader.users(&query).await.unwrap_err();
        assert_eq!(fault.kind(), &FaultKind::Unavailable);
        assert!(!coupa.memory.trusts_order(Surface::Rest));
        // Now the tenant is asked by offset, finds that ignored as well, and says so.
        let fault = coupa.survey().await.err().unwrap();
        assert!(fault.message().contains("nor from an offset"), "{fault:?}");
    }

    #[tokio::test]
    async fn a_broken_order_is_an_error_and_remembered() {
        let server = rest_tenant(&[user(1), user(7)]).await;
        let coupa = coupa(&server);
        let reader = coupa.survey().await.unwrap();
        server.reset().await;
        tokens(&server, token_answer("t1")).await;
        on(&server, "/api/users", list(json!([user(9), user(8)]))).await;
        assert!(reader.users(&first()).await.is_err());
        assert!(!coupa.memory.trusts_order(Surface::Rest));
    }

    #[tokio::test]
    async fn a_null_list_nobody_explains_is_an_error_with_the_user() {
        let mut odd = user(7);
        odd["user-groups"] = Value::Null;
        // Null for everybody: nothing shows that it means empty.
        let mut first_user = user(1);
        first_user["user-groups"] = Value::Null;
        let server = rest_tenant(&[first_user, odd.clone()]).await;
        on(&server, "/api/users/1", list(odd.clone())).await;
        on(&server, "/api/users/7", list(odd)).await;
        let reader = coupa(&server).survey().await.unwrap();
        let fault = reader.users(&first()).await.unwrap_err();
        assert_eq!(fault.kind(), &FaultKind::Corrupt);
        assert!(fault.message().contains("user-groups for user 1"), "{fault:?}");
    }

    #[tokio::test]
    async fn null_for_everybody_over_both_surfaces_is_no_empty_list() {
        let mut hidden = user(1);
        hidden["user-groups"] = Value::Null;
        let server = rest_tenant(&[hidden.clone()]).await;
        on(&server, "/api/users/1", list(hidden.clone())).await;
        on(
            &server,
            "/api/graphql",
            list(json!({"data": {"users": [hidden]}})),
        )
        .await;
        let reader = coupa(&server).survey().await.unwrap();
        let fault = reader.users(&first()).await.unwrap_err();
        assert!(fault.message().contains("user-groups for user 1"), "{fault:?}");
    }

    #[tokio::test]
    async fn null_is_empty_where_a_second_look_agrees_and_others_have_lists() {
        let server = rest_tenant(&[user(1)]).await;
        let reader = coupa(&server).survey().await.unwrap();
        server.reset().await;
        tokens(&server, token_answer("t1")).await;
        let mut odd = user(7);
        odd["user-groups"] = Value::Null;
        on(&server, "/api/users", list(json!([user(1), odd]))).await;
        on(&server, "/api/users/7", list(odd)).await;
        for _ in 0..2 {
            let page = reader.users(&first()).await.unwrap();
            assert!(page.users[1].access.groups().is_empty());
        }
        assert_eq!(asked(&server, "/api/users/7").await, 1, "learned once");
    }

    async fn given(server: &MockServer, ids: &[u64]) -> Vec<u64> {
        let manner = Manner {
            projection: Projection::Underscored,
            dialect: query::Dialect::Full,
        };
        let coupa = coupa(server);
        let found = rows::given(&coupa.client, manner, Surface::Rest, ids, &[]).await;
        found.unwrap().into_keys().collect()
    }

    #[tokio::test]
    async fn a_hidden_user_does_not_hide_those_behind_it() {
        let server = server().await;
        // The condition on ids is ignored.
        on(&server, "/api/users", list(json!([user(1), user(2)]))).await;
        on(&server, "/api/users/6", list(user(6))).await;
        assert_eq!(given(&server, &[2, 5, 6]).await, [2, 6]);
    }

    #[tokio::test]
    async fn hidden_users_cost_one_request_where_ids_are_heeded() {
        let server = server().await;
        on(&server, "/api/users", list(json!([user(2)]))).await;
        assert_eq!(given(&server, &[2, 5, 6, 7]).await, [2]);
        assert_eq!(asked(&server, "/api/users/5").await, 1);
        assert_eq!(asked(&server, "/api/users/6").await, 0);
    }

    #[tokio::test]
    async fn a_group_that_one_surface_leaves_out_is_found_on_the_other() {
        let server = server().await;
        let project = json!({"data": {"userGroups": [{"id": 5, "name": "North", "type": "Project"}]}});
        on(&server, "/api/graphql", list(project)).await;
        let coupa = coupa(&server);
        let shelf = Shelf {
            client: &coupa.client,
            memory: &coupa.memory,
            projection: Projection::Underscored,
        };
        let found = shelf.one::<GroupRow>(&GROUPS, 5).await.unwrap();
        assert_eq!(found.unwrap().id.get(), 5);
        assert!(shelf.one::<RoleRow>(&ROLES, 6).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_outage_of_one_surface_is_not_told_as_a_refusal_of_the_other() {
        let server = MockServer::start().await;
        tokens(&server, token_answer("t1")).await;
        on(&server, "/api/users", list(json!([]))).await;
        on(&server, "/api/user_groups", list(json!([]))).await;
        on(&server, "/api/roles", status(503)).await;
        on(&server, "/api/graphql", status(403)).await;
        let mut config = config(&server);
        config.timeouts.patience = Duration::from_millis(50);
        let fault = Coupa::new(config).unwrap().check().await.unwrap_err();
        assert_eq!(fault.kind(), &FaultKind::Unavailable, "{fault:?}");
    }

    #[tokio::test]
    async fn a_list_as_long_as_a_page_is_read_again() {
        let roles = |count: u64| Value::Array((1..=count).map(|id| json!({"id": id})).collect());
        let (mut cut, mut whole) = (user(7), user(7));
        cut["roles"] = roles(50);
        whole["roles"] = roles(53);
        let server = rest_tenant(&[user(1), cut]).await;
        on(&server, "/api/users/7", list(whole)).await;
        let reader = coupa(&server).survey().await.unwrap();
        let page = reader.users(&first()).await.unwrap();
        assert_eq!(page.users[1].access.roles().len(), 53);
        assert!(
            reader
                .survey()
                .findings
                .iter()
                .any(|finding| finding.text.contains("cut to 50"))
        );
    }

    #[tokio::test]
    async fn a_missing_user_is_none_and_a_missing_active_is_an_error() {
        let server = rest_tenant(&[user(1)]).await;
        let mut odd = user(5);
        odd["active"] = Value::Null;
        on(&server, "/api/users/5", list(odd)).await;
        let reader = coupa(&server).survey().await.unwrap();
        assert!(reader.user(UserId::new(4).unwrap()).await.unwrap().is_none());
        let fault = reader.user(UserId::new(5).unwrap()).await.unwrap_err();
        assert!(fault.message().contains("users[0].active"), "{fault:?}");
    }

    #[tokio::test]
    async fn the_more_telling_failure_is_told() {
        let server = MockServer::start().await;
        tokens(&server, token_answer("t1")).await;
        on(&server, "/api/users", status(403)).await;
        let fault = coupa(&server).survey().await.err().unwrap();
        assert!(matches!(fault.kind(), FaultKind::MissingScope { scope } if scope == "core.user.read"));
    }
}

/// Everything written to it.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_log_and_no_fault_shows_secrets_or_people() {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // While there is but one subscriber, a call site first met by the thread of another test is switched off for all.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _guard = tracing::subscriber::set_default(subscriber);

    let person = json!({"id": 1, "login": "sentinel-login", "email": "sentinel@example.com", "firstname": "sentinel-first",
        "lastname": "sentinel-last", "fullname": "sentinel-full", "employee-number": "sentinel-number",
        "sso-identifier": "sentinel-sso", "department": {"name": "sentinel-department"}, "active": true, "roles": [],
        "user-groups": []});
    let mut shown: Vec<String> = Vec::new();
    let mut odd = person.clone();
    odd["active"] = json!("sentinel-active");
    odd["created-at"] = json!("sentinel-date");
    for answer in [
        list(json!([person])),
        list(json!([odd])),
        list(json!([{"id": "sentinel-id"}])),
        list(json!({"error": "sentinel-error"})),
        status(200).set_body_string("<html>sentinel-html"),
        status(403).set_body_string("sentinel-body"),
        status(400).set_body_json(json!({"errors": {"user": ["sentinel-errors"]}})),
        status(302).insert_header("location", "https://sentinel-location.example/?sentinel"),
    ] {
        let server = MockServer::start().await;
        tokens(&server, token_answer("sentinel-token")).await;
        let graphql = json!({"errors": [{"message": "sentinel-message"}], "data": {"users": [person]}});
        on(&server, "/api/graphql", list(graphql)).await;
        on(&server, "/api/users", answer).await;
        let coupa = coupa(&server);
        if let Err(fault) = coupa.check().await {
            shown.push(format!("{fault} {fault:?}"));
        }
        match coupa.survey().await {
            Err(fault) => shown.push(format!("{fault} {fault:?}")),
            Ok(reader) => {
                shown.push(format!("{:?}", reader.survey()));
                shown.push(format!("{:?}", reader.users(&first()).await));
            }
        }
    }
    for code in ["invalid_client", "invalid_scope", "invalid_request"] {
        let server = MockServer::start().await;
        tokens(&server, oauth_error(code)).await;
        let fault = coupa(&server).check().await.unwrap_err();
        shown.push(format!("{fault} {fault:?}"));
    }
    for code in [200, 400, 403, 422, 503] {
        shown.extend(writing::write_about_a_person(code).await);
    }
    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("coupa answered"), "the log was captured");
    assert!(log.contains("TRACE"), "at the finest level");
    for line in log.lines().chain(shown.iter().map(String::as_str)) {
        assert!(!line.contains("sentinel"), "{line}");
    }
}
