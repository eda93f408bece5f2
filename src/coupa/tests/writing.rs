//! Single writes and the look-ups before them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::model::change::{
    Accepted, AccountDraft, AccountKey, Acted, Activity, Call, CallFailure, EmptyForm, ListKind,
    MembershipId, PlannedRequest, WriteCalls,
};
use crate::model::id::GroupId;

const USER: &str = "/api/users/42";
const MEMBERSHIP: &str = "/api/user_group_memberships/7";
const MEMBERSHIPS: &str = "/api/user_group_memberships";

fn forty_two() -> UserId {
    UserId::new(42).unwrap()
}

fn put() -> Call {
    Call::PutList {
        user: forty_two(),
        list: ListKind::Roles,
        ids: vec![1, 2],
    }
}

fn delete() -> Call {
    Call::DeleteMembership(MembershipId(7))
}

fn create() -> Call {
    Call::Create(Box::new(AccountDraft {
        login: Some("sentinel-login".into()),
        email: Some("sentinel@example.com".into()),
        ..AccountDraft::default()
    }))
}

fn scopes(form: &[u8]) -> String {
    let mut pairs = url::form_urlencoded::parse(form);
    let scope = pairs.find(|(key, _)| key == "scope");
    scope.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// Issues tokens named after their scopes, but none with a scope on the list.
struct Issuer(&'static [&'static str]);

impl Respond for Issuer {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let scopes = scopes(&request.body);
        if self
            .0
            .iter()
            .any(|lacking| scopes.split(' ').any(|scope| scope == *lacking))
        {
            return oauth_error("invalid_scope");
        }
        token_answer(&scopes.replace(' ', "+"))
    }
}

const FULL: &str = "Bearer core.user.write+core.user_group.write";

/// A tenant that answers this at `at`.
async fn tenant(at: &str, answer: impl Respond + 'static) -> MockServer {
    let server = MockServer::start().await;
    tokens(&server, Issuer(&[])).await;
    on(&server, at, answer).await;
    server
}

async fn to_api(server: &MockServer) -> Vec<Request> {
    let mut requests = server.received_requests().await.unwrap();
    requests.retain(|request| request.url.path().starts_with("/api/"));
    requests
}

async fn refused(call: &Call, at: &str, answer: impl Respond + 'static) -> (CallFailure, usize) {
    let server = tenant(at, answer).await;
    let failure = coupa(&server).send(call).await.unwrap_err();
    (failure, asked(&server, at).await)
}

/// Writes and look-ups that Coupa answers with this status, with values that nobody may see.
pub(super) async fn write_about_a_person(code: u16) -> Vec<String> {
    let said =
        json!({"errors": {"user": ["sentinel@example.com is taken"]}, "id": 1, "login": "sentinel-login"});
    let server = tenant("/api/users", status(code).set_body_json(said)).await;
    let mut config = config(&server);
    config.timeouts.patience = Duration::from_millis(50);
    let coupa = Coupa::new(config).unwrap();
    let request = coupa.request(&create());
    assert!(request.body.contains("sentinel"));
    let sent = coupa.send(&create()).await;
    let found = coupa.accounts(AccountKey::Email("sentinel@example.com")).await;
    vec![
        format!("{request:?} {:?}", create()),
        format!("{sent:?}"),
        format!("{found:?}"),
    ]
}

mod sending {
    use super::*;

    #[tokio::test]
    async fn what_is_sent_is_what_was_shown() {
        let active = Call::SetActive {
            user: forty_two(),
            to: Activity::Inactive,
        };
        let clear = Call::ClearList {
            user: forty_two(),
            list: ListKind::Groups,
            form: EmptyForm::Null,
        };
        for call in [put(), clear, active, delete(), create()] {
            let server = MockServer::start().await;
            tokens(&server, Issuer(&[])).await;
            Mock::given(wiremock::matchers::any())
                .respond_with(list(json!({})))
                .mount(&server)
                .await;
            let coupa = coupa(&server);
            let PlannedRequest {
                method, path, body, ..
            } = coupa.request(&call);
            assert_eq!(coupa.send(&call).await.unwrap(), Accepted::default());
            let sent = to_api(&server).await;
            assert_eq!(sent.len(), 1, "{call:?}");
            assert_eq!(sent[0].method.as_str(), method);
            assert_eq!(sent[0].url.path(), path);
            assert_eq!(sent[0].url.query(), None);
            assert_eq!(sent[0].body, body.as_bytes());
            assert_eq!(sent[0].headers["authorization"], FULL);
            assert_eq!(sent[0].headers["content-type"], "application/json");
            assert_eq!(sent[0].headers["accept"], "application/json");
        }
    }

    #[tokio::test]
    async fn reads_and_writes_have_tokens_of_their_own() {
        let server = tenant(USER, list(json!({}))).await;
        on(&server, "/api/users", status(503)).await;
        on(&server, "/api/graphql", list(json!({"data": {"users": []}}))).await;
        let mut config = config(&server);
        config.timeouts.patience = Duration::ZERO;
        let coupa = Coupa::new(config).unwrap();
        coupa.send(&put()).await.unwrap();
        coupa.accounts(AccountKey::Login("ann")).await.unwrap();
        let sent = to_api(&server).await;
        let mut paths: Vec<&str> = Vec::new();
        for request in &sent {
            paths.push(request.url.path());
            let token = request.headers["authorization"].to_str().unwrap();
            let writes = request.url.path() == USER;
            assert_eq!(token.contains("write"), writes, "{}", request.url.path());
            assert_eq!(token.contains("read"), !writes, "{}", request.url.path());
        }
        assert_eq!(paths, [USER, "/api/users", "/api/graphql"]);
    }

    #[tokio::test]
    async fn a_success_is_accepted_and_proves_nothing() {
        for answer in [
            status(200),
            status(204),
            status(200).set_body_string(" \n"),
            list(json!(null)),
            list(json!([])),
            list(json!({"id": "none"})),
            list(json!({"roles": "odd"})),
        ] {
            let server = tenant(USER, answer).await;
            let accepted = coupa(&server).send(&put()).await.unwrap();
            assert_eq!(accepted.created, None);
        }
        for (answer, created) in [
            (status(201).set_body_json(json!({"id": 9, "login": "x"})), Some(9)),
            (
                status(201).set_body_json(json!({"id": "4294967297"})),
                Some(4_294_967_297),
            ),
            (status(201), None),
            (list(json!({})), None),
        ] {
            let server = tenant("/api/users", answer).await;
            let accepted = coupa(&server).send(&create()).await.unwrap();
            assert_eq!(accepted.created.map(UserId::get), created);
        }
        let server = tenant(USER, list(json!({"id": 42}))).await;
        let accepted = coupa(&server).send(&put()).await.unwrap();
        assert_eq!(accepted.created, None, "nothing was made");
    }

    #[tokio::test]
    async fn half_an_answer_or_a_page_of_a_proxy_is_unclear() {
        for (call, at) in [(put(), USER), (delete(), MEMBERSHIP), (create(), "/api/users")] {
            for body in [r#"{"id":9,"#, "<html>maintenance</html>"] {
                let answer = status(200).set_body_string(body);
                let (failure, tries) = refused(&call, at, answer).await;
                assert_eq!(failure.acted, Acted::Perhaps);
                assert_eq!(failure.fault.kind(), &FaultKind::Unavailable, "{failure:?}");
                assert_eq!(tries, 1);
            }
        }
    }

    #[tokio::test]
    async fn each_refusal_is_one_exchange() {
        let scope = |scope: &'static str| FaultKind::MissingScope { scope: scope.into() };
        for (call, at, code, kind, acted) in [
            (put(), USER, 400, FaultKind::Invalid, Acted::No),
            (put(), USER, 403, scope("core.user.write"), Acted::No),
            (put(), USER, 404, FaultKind::NotFound, Acted::No),
            (put(), USER, 409, FaultKind::Conflict, Acted::No),
            (put(), USER, 422, FaultKind::Invalid, Acted::No),
            (put(), USER, 302, FaultKind::Unavailable, Acted::No),
            (put(), USER, 408, FaultKind::Unavailable, Acted::Perhaps),
            (put(), USER, 500, FaultKind::Unavailable, Acted::Perhaps),
            (put(), USER, 503, FaultKind::Unavailable, Acted::Perhaps),
            (
                delete(),
                MEMBERSHIP,
                403,
                scope("core.user_group.write"),
                Acted::No,
            ),
            (delete(), MEMBERSHIP, 404, FaultKind::Unsupported, Acted::No),
            (delete(), MEMBERSHIP, 405, FaultKind::Unsupported, Acted::No),
            (
                create(),
                "/api/users",
                502,
                FaultKind::Unavailable,
                Acted::Perhaps,
            ),
        ] {
            let (failure, tries) = refused(&call, at, status(code)).await;
            assert_eq!(failure.fault.kind(), &kind, "{code}");
            assert_eq!((failure.acted, tries), (acted, 1), "{code}");
        }
    }

    #[tokio::test]
    async fn a_limit_goes_back_and_holds_everyone() {
        let server = tenant(USER, status(429).insert_header("retry-after", "1")).await;
        on(&server, "/api/users", list(json!([]))).await;
        let coupa = coupa(&server);
        let failure = coupa.send(&put()).await.unwrap_err();
        assert!(
            matches!(failure.fault.kind(), FaultKind::RateLimited { .. }),
            "{failure:?}"
        );
        assert_eq!((failure.acted, asked(&server, USER).await), (Acted::No, 1));
        let start = Instant::now();
        coupa.accounts(AccountKey::Login("ann")).await.unwrap();
        assert!(
            start.elapsed() >= Duration::from_millis(500),
            "{:?}",
            start.elapsed()
        );
        assert_eq!((coupa.usage().rate_limited, coupa.usage().retries), (1, 0));
    }

    #[tokio::test]
    async fn a_write_that_waited_too_long_is_not_sent() {
        let server = tenant(USER, list(json!({}))).await;
        let mut config = config(&server);
        config.timeouts.fresh = Duration::from_secs(1);
        let coupa = Coupa::new(config).unwrap();
        coupa.client.slow_down(Duration::from_millis(1200));
        let failure = coupa.send(&put()).await.unwrap_err();
        assert_eq!(failure.acted, Acted::No);
        assert_eq!(failure.fault.kind(), &FaultKind::Unavailable);
        assert_eq!(asked(&server, USER).await, 0);
        coupa.send(&put()).await.unwrap();
    }

    #[tokio::test]
    async fn a_hang_is_unclear() {
        let server = tenant(USER, list(json!({})).set_delay(Duration::from_secs(30))).await;
        let mut config = config(&server);
        config.timeouts.request = Duration::from_millis(200);
        let failure = Coupa::new(config).unwrap().send(&put()).await.unwrap_err();
        assert_eq!(failure.acted, Acted::Perhaps);
        assert!(failure.fault.message().contains("in time"), "{failure:?}");
        assert_eq!(asked(&server, USER).await, 1);
    }

    /// Answers token requests, and hangs up on anything else once it is there; tells how often that was.
    async fn hangs_up(listener: TcpListener, hung_up: Arc<AtomicUsize>) {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 16 * 1024];
            let read = socket.read(&mut request).await.unwrap();
            if request[..read].starts_with(b"POST /oauth2/token") {
                let body = r#"{"access_token":"t","token_type":"bearer","expires_in":86399}"#;
                let head = format!(
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                socket.write_all((head + body).as_bytes()).await.unwrap();
            } else if read > 0 {
                hung_up.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    #[tokio::test]
    async fn a_connection_that_breaks_is_unclear_and_none_at_all_is_not() {
        let server = MockServer::start().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let hung_up = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(hangs_up(listener, Arc::clone(&hung_up)));
        let mut config = config(&server);
        config.endpoint = Endpoint::from_base_url(&format!("http://{address}")).unwrap();
        let coupa = Coupa::new(config).unwrap();
        let failure = coupa.send(&put()).await.unwrap_err();
        assert_eq!(failure.acted, Acted::Perhaps, "{failure:?}");
        assert_eq!(hung_up.load(Ordering::SeqCst), 1);
        // The token is kept; now nobody listens.
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        let before = coupa.usage().requests;
        let failure = coupa.send(&put()).await.unwrap_err();
        assert_eq!(failure.acted, Acted::No, "{failure:?}");
        assert_eq!(coupa.usage().requests - before, 1, "not waited out");
    }

    #[tokio::test]
    async fn coupa_s_text_reaches_the_caller_without_values() {
        let said = json!({"errors": {"user": [
            "Email sentinel@example.com has already been taken", "Cost Center can't be blank"], "warnings": null}});
        let (failure, _) = refused(&create(), "/api/users", status(400).set_body_json(said)).await;
        assert_eq!(failure.fault.kind(), &FaultKind::Conflict);
        assert_eq!(
            failure.fault.to_string(),
            "Coupa rejects the creation of a user (400): Email [email] has already been taken; \
             Cost Center can't be blank"
        );
        assert!(!format!("{failure:?}").contains("sentinel"));
    }
}

mod rights {
    use super::*;

    fn old_token_is_refused() -> wiremock::MockBuilder {
        Mock::given(header("authorization", "Bearer old"))
    }

    #[tokio::test]
    async fn an_expired_token_is_renewed_and_the_write_sent_once_more() {
        let server = MockServer::start().await;
        tokens(&server, in_turn([token_answer("old"), token_answer("new")])).await;
        old_token_is_refused()
            .respond_with(status(401))
            .mount(&server)
            .await;
        on(&server, USER, list(json!({}))).await;
        let mut config = config(&server);
        config.timeouts.token_lag = Duration::ZERO;
        let coupa = Coupa::new(config).unwrap();
        coupa.send(&put()).await.unwrap();
        assert_eq!(asked(&server, USER).await, 2);
        assert_eq!(asked(&server, "/oauth2/token").await, 2);
    }

    #[tokio::test]
    async fn a_fresh_token_is_given_time_but_no_list_grows_old() {
        let answers = in_turn([status(401), status(401), list(json!({}))]);
        let server = tenant(USER, answers).await;
        coupa(&server).send(&put()).await.unwrap();
        assert_eq!(asked(&server, USER).await, 3);
        assert_eq!(asked(&server, "/oauth2/token").await, 1);

        let server = tenant(USER, status(401)).await;
        let mut config = config(&server);
        config.timeouts.fresh = Duration::from_millis(35);
        let failure = Coupa::new(config).unwrap().send(&put()).await.unwrap_err();
        // At 0, 10 and 30 ms.
        assert!(asked(&server, USER).await <= 3);
        assert_eq!(failure.acted, Acted::No);
        assert!(failure.fault.is_transient(), "{failure:?}");
    }

    #[tokio::test]
    async fn a_token_that_is_refused_for_ever_is_told() {
        let server = tenant(USER, status(401)).await;
        let mut config = config(&server);
        config.timeouts.token_lag = Duration::ZERO;
        let failure = Coupa::new(config).unwrap().send(&put()).await.unwrap_err();
        assert_eq!(failure.fault.kind(), &FaultKind::Unauthenticated);
        assert_eq!((failure.acted, asked(&server, USER).await), (Acted::No, 2));
    }

    async fn lacking(scopes: &'static [&'static str]) -> MockServer {
        let server = MockServer::start().await;
        tokens(&server, Issuer(scopes)).await;
        on(&server, USER, list(json!({}))).await;
        on(&server, MEMBERSHIP, list(json!({}))).await;
        server
    }

    #[tokio::test]
    async fn without_the_scope_for_memberships_users_are_changed_all_the_same() {
        let server = lacking(&["core.user_group.write"]).await;
        let coupa = coupa(&server);
        WriteCalls::check(&coupa).await.unwrap();
        coupa.send(&put()).await.unwrap();
        let sent = to_api(&server).await;
        assert_eq!(sent[0].headers["authorization"], "Bearer core.user.write");
        let before = asked(&server, "/oauth2/token").await;
        for _ in 0..3 {
            let failure = coupa.send(&delete()).await.unwrap_err();
            assert_eq!(failure.acted, Acted::No);
            let kind = failure.fault.kind();
            assert!(matches!(kind, FaultKind::MissingScope { scope } if scope == "core.user_group.write"));
        }
        assert_eq!(asked(&server, MEMBERSHIP).await, 0);
        assert_eq!(asked(&server, "/oauth2/token").await, before, "asked once");
    }

    #[tokio::test]
    async fn every_missing_scope_is_named() {
        for (lack, named) in [
            (&["core.user.write"][..], "core.user.write"),
            (
                &["core.user.write", "core.user_group.write"],
                "core.user.write core.user_group.write",
            ),
        ] {
            let server = lacking(lack).await;
            let coupa = coupa(&server);
            let fault = WriteCalls::check(&coupa).await.unwrap_err();
            assert!(
                matches!(fault.kind(), FaultKind::MissingScope { scope } if scope == named),
                "{fault:?}"
            );
            let failure = coupa.send(&put()).await.unwrap_err();
            assert_eq!(failure.acted, Acted::No);
            assert!(matches!(failure.fault.kind(), FaultKind::MissingScope { .. }));
            assert_eq!(asked(&server, USER).await, 0);
        }
    }

    #[tokio::test]
    async fn a_check_sends_nothing_but_token_requests() {
        let server = lacking(&[]).await;
        WriteCalls::check(&coupa(&server)).await.unwrap();
        assert!(to_api(&server).await.is_empty());
        assert_eq!(asked(&server, "/oauth2/token").await, 1);
    }
}

mod looking_up {
    use super::*;

    /// A listing of these rows; heeds the named conditions and `id[gt]`, unless told not to.
    struct Listing {
        rows: Vec<Value>,
        heeds: &'static [(&'static str, &'static str)],
        page: usize,
    }

    impl Respond for Listing {
        fn respond(&self, request: &Request) -> ResponseTemplate {
            let asked = |key: &str| {
                let mut pairs = request.url.query_pairs();
                pairs
                    .find(|(known, _)| known == key)
                    .map(|(_, value)| value.into_owned())
            };
            let after: u64 = asked("id[gt]").and_then(|text| text.parse().ok()).unwrap_or(0);
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let rows = self.rows.iter().filter(|row| row["id"].as_u64().unwrap() > after);
            let rows = rows.filter(|row| {
                let mut heeded = self.heeds.iter();
                heeded.all(|(key, element)| asked(key).is_none_or(|wanted| text(&row[*element]) == wanted))
            });
            list(Value::Array(rows.take(self.page).cloned().collect()))
        }
    }

    const BOTH: &[(&str, &str)] = &[("user_id", "user-id"), ("user_group_id", "user-group-id")];

    fn membership(id: u64, user: u64, group: u64) -> Value {
        json!({"id": id, "user-id": user, "user-group-id": group})
    }

    async fn rows_of_42_in_5(answer: impl Respond + 'static) -> (Result<Vec<u64>, Fault>, MockServer) {
        let server = tenant(MEMBERSHIPS, answer).await;
        let found = coupa(&server)
            .memberships(forty_two(), GroupId::new(5).unwrap())
            .await;
        (found.map(|rows| rows.iter().map(|row| row.0).collect()), server)
    }

    #[tokio::test]
    async fn membership_rows_are_compared_with_what_was_asked() {
        let rows = || {
            vec![
                membership(1, 42, 4),
                membership(2, 41, 5),
                membership(3, 42, 5),
                membership(9, 42, 5),
            ]
        };
        for heeds in [BOTH, &BOTH[..1], &BOTH[1..], &[]] {
            for page in [50, 1] {
                let rows = rows();
                let (found, server) = rows_of_42_in_5(Listing { rows, heeds, page }).await;
                assert_eq!(found.unwrap(), [3, 9]);
                for request in to_api(&server).await {
                    assert!(
                        !request.headers["authorization"]
                            .to_str()
                            .unwrap()
                            .contains("write")
                    );
                }
            }
        }
        let (found, server) = rows_of_42_in_5(Listing {
            rows: vec![membership(1, 42, 4)],
            heeds: BOTH,
            page: 50,
        })
        .await;
        assert!(found.unwrap().is_empty());
        let query = to_api(&server).await[0].url.query().unwrap().to_owned();
        assert!(
            query.starts_with("user_id=42&user_group_id=5&id%5Bgt%5D=0&order_by=id"),
            "{query}"
        );
    }

    #[tokio::test]
    async fn nested_references_and_other_spellings_are_understood() {
        let rows = json!([{"id": 3, "user": {"id": 42}, "user-group": {"id": "5"}}, {"id": 4, "user_id": "42", "user_group_id": 5}]);
        let (found, _) = rows_of_42_in_5(in_turn([list(rows), list(json!([]))])).await;
        assert_eq!(found.unwrap(), [3, 4]);
    }

    #[tokio::test]
    async fn rows_that_do_not_tell_are_asked_for_in_other_ways_and_then_refused() {
        let bare = list(json!([{"id": 3}]));
        let whole = list(json!([membership(3, 42, 5)]));
        let answers = in_turn([bare.clone(), bare.clone(), whole, list(json!([]))]);
        let (found, server) = rows_of_42_in_5(answers).await;
        assert_eq!(found.unwrap(), [3]);
        let sent = to_api(&server).await;
        let fields = |request: &Request| {
            let mut pairs = request.url.query_pairs();
            pairs
                .find(|(key, _)| key == "fields")
                .map(|(_, value)| value.into_owned())
        };
        let spellings: Vec<_> = sent.iter().take(3).map(fields).collect();
        assert_eq!(
            spellings,
            [
                Some(r#"["id","user_id","user_group_id"]"#.to_owned()),
                Some(r#"["id","user-id","user-group-id"]"#.to_owned()),
                None
            ]
        );
        let (found, _) = rows_of_42_in_5(bare).await;
        let fault = found.unwrap_err();
        assert_eq!(fault.kind(), &FaultKind::Corrupt);
        assert!(
            fault.message().contains("user_group_memberships[0].user-id"),
            "{fault:?}"
        );
    }

    #[tokio::test]
    async fn what_cannot_be_shown_is_a_fault_and_never_nothing() {
        let scope = FaultKind::MissingScope {
            scope: "core.user_group.read".into(),
        };
        for (answer, kind) in [
            (status(404), FaultKind::Unsupported),
            (status(405), FaultKind::Unsupported),
            (status(403), scope),
            (list(json!(null)), FaultKind::Corrupt),
            // Always the same rows, some of them foreign: what else there is cannot be known.
            (
                list(json!([membership(1, 42, 5), membership(2, 42, 6)])),
                FaultKind::Corrupt,
            ),
        ] {
            let (found, _) = rows_of_42_in_5(answer).await;
            assert_eq!(found.unwrap_err().kind(), &kind);
        }
        let many = (1..2000).map(|id| membership(id, id, 5)).collect();
        let (found, server) = rows_of_42_in_5(Listing {
            rows: many,
            heeds: &[],
            page: 50,
        })
        .await;
        assert_eq!(found.unwrap_err().kind(), &FaultKind::Unsupported);
        assert_eq!(to_api(&server).await.len(), 21);
    }

    fn person(id: u64, login: &str, email: &str) -> Value {
        json!({"id": id, "login": login, "email": email, "active": id == 8})
    }

    fn people() -> Vec<Value> {
        vec![
            person(3, "Ann", "ann+x@example.com"),
            person(7, "annie", "ANN@example.com"),
            person(8, "bob", "bob@example.com"),
        ]
    }

    async fn looked_up(server: &MockServer, key: AccountKey<'_>) -> Result<Vec<u64>, Fault> {
        let found = coupa(server).accounts(key).await?;
        Ok(found.into_iter().map(UserId::get).collect())
    }

    #[tokio::test]
    async fn accounts_are_compared_without_letter_case() {
        for heeds in [&[("login", "login"), ("email", "email")][..], &[]] {
            let server = tenant(
                "/api/users",
                Listing {
                    rows: people(),
                    heeds,
                    page: 50,
                },
            )
            .await;
            for (key, found) in [
                (AccountKey::Login("Ann"), &[3][..]),
                (AccountKey::Login("ANNIE"), &[7]),
                (AccountKey::Login("an"), &[]),
                (AccountKey::Email("ann+x@example.com"), &[3]),
                (AccountKey::Email("Bob@Example.com"), &[8]),
                (AccountKey::Email("x@example.com"), &[]),
            ] {
                assert_eq!(looked_up(&server, key).await.unwrap(), found);
            }
        }
    }

    #[tokio::test]
    async fn the_address_escapes_the_key() {
        let server = tenant("/api/users", list(json!([]))).await;
        let key = AccountKey::Email("a+b&active=true@example.com");
        assert!(looked_up(&server, key).await.unwrap().is_empty());
        let url = &to_api(&server).await[0].url;
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        assert_eq!(
            pairs[0],
            ("email".to_owned(), "a+b&active=true@example.com".to_owned())
        );
        assert!(
            pairs.iter().all(|(key, _)| key != "active"),
            "inactive accounts count"
        );
    }

    #[tokio::test]
    async fn a_large_tenant_that_ignores_the_condition_gives_no_answer() {
        let rows = (1..2000)
            .map(|id| person(id, &format!("u{id}"), "x@example.com"))
            .collect();
        let server = tenant(
            "/api/users",
            Listing {
                rows,
                heeds: &[],
                page: 50,
            },
        )
        .await;
        let fault = looked_up(&server, AccountKey::Login("u1999")).await.unwrap_err();
        assert_eq!(fault.kind(), &FaultKind::Unsupported);
    }

    #[tokio::test]
    async fn accounts_that_do_not_show_the_key_give_no_answer() {
        let server = tenant(
            "/api/users",
            list(json!([{"id": 3, "login": "ann", "email": null}])),
        )
        .await;
        let fault = looked_up(&server, AccountKey::Email("ann@example.com"))
            .await
            .unwrap_err();
        assert_eq!(fault.kind(), &FaultKind::Corrupt);
        assert_eq!(asked(&server, "/api/users").await, 3, "in every spelling");
    }

    #[tokio::test]
    async fn graphql_tells_where_rest_does_not() {
        let graphql = in_turn([
            list(json!({"data": {"users": [person(8, "Bob", "b@example.com")]}})),
            list(json!({"data": {"users": []}})),
        ]);
        let server = tenant("/api/users", status(403)).await;
        on(&server, "/api/graphql", graphql).await;
        assert_eq!(looked_up(&server, AccountKey::Login("bob")).await.unwrap(), [8]);
        let first: Value = serde_json::from_slice(&to_api(&server).await[1].body).unwrap();
        assert_eq!(first["variables"]["q"], "login=bob&id[gt]=0");

        let server = tenant("/api/users", status(403)).await;
        let fault = looked_up(&server, AccountKey::Login("bob")).await.unwrap_err();
        assert!(matches!(fault.kind(), FaultKind::MissingScope { scope } if scope == "core.user.read"));
    }

    #[tokio::test]
    async fn the_own_account_is_told_by_few_tenants() {
        for (answer, expected) in [
            (list(json!({"id": 12, "login": "x"})), Some(12)),
            (status(400), None),
            (status(403), None),
            (status(404), None),
            (list(json!({})), None),
        ] {
            let server = tenant("/api/users/me", answer).await;
            let own = coupa(&server).own_account().await.unwrap();
            assert_eq!(own.map(UserId::get), expected);
        }
        let server = tenant("/api/users/me", status(503)).await;
        let mut config = config(&server);
        config.timeouts.patience = Duration::ZERO;
        let fault = Coupa::new(config).unwrap().own_account().await.unwrap_err();
        assert_eq!(fault.kind(), &FaultKind::Unavailable);
    }
}

mod last_change {
    use super::*;

    const CHANGED: &str = "2026-03-25T18:38:00-07:00";

    fn changed(id: u64) -> Value {
        let mut user = user(id);
        user["updated-at"] = json!(CHANGED);
        user
    }

    #[tokio::test]
    async fn is_told_by_reads_of_one_user_only() {
        let server = rest_tenant(&[changed(1), changed(7)]).await;
        on(&server, "/api/users/7", list(changed(7))).await;
        on(&server, "/api/users/1", list(user(1))).await;
        let reader = coupa(&server).survey().await.unwrap();
        let page = reader.users(&first()).await.unwrap();
        assert!(page.users.iter().all(|user| user.updated_at.is_none()));
        let alone = reader.user(UserId::new(7).unwrap()).await.unwrap().unwrap();
        assert_eq!(alone.updated_at, Some(CHANGED.parse().unwrap()));
        let alone = reader.user(UserId::new(1).unwrap()).await.unwrap().unwrap();
        assert_eq!(alone.updated_at, None, "a tenant that does not tell");
        for request in to_api(&server).await {
            let asks = request
                .url
                .query()
                .is_some_and(|query| query.contains("updated_at"));
            assert!(
                !asks || request.url.path() != "/api/users",
                "no listing asks for it"
            );
        }
    }

    #[tokio::test]
    async fn is_left_out_where_the_schema_does_not_have_it() {
        let server = MockServer::start().await;
        tokens(&server, token_answer("t1")).await;
        Mock::given(body_string_contains("updatedAt"))
            .respond_with(list(
                json!({"errors": [{"message": "Field 'updatedAt' doesn't exist on type 'User'"}]}),
            ))
            .with_priority(1)
            .mount(&server)
            .await;
        Mock::given(body_string_contains("{user(id:7)"))
            .respond_with(list(json!({"data": {"user": user(7)}})))
            .with_priority(2)
            .mount(&server)
            .await;
        on(
            &server,
            "/api/graphql",
            list(json!({"data": {"users": [user(7)]}})),
        )
        .await;
        let reader = coupa(&server).survey().await.unwrap();
        let alone = reader.user(UserId::new(7).unwrap()).await.unwrap().unwrap();
        assert_eq!((alone.id.get(), alone.updated_at), (7, None));
    }

    #[tokio::test]
    async fn is_named_where_it_cannot_be_understood() {
        let server = rest_tenant(&[user(1)]).await;
        let mut odd = user(1);
        odd["updated-at"] = json!("sentinel");
        on(&server, "/api/users/1", list(odd)).await;
        let reader = coupa(&server).survey().await.unwrap();
        let fault = reader.user(UserId::new(1).unwrap()).await.unwrap_err();
        assert!(fault.message().contains("users[0].updated-at"), "{fault:?}");
    }
}
