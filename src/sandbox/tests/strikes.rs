//! Faults on either side of an effect, edits by others, the barrier and the log.

use super::writes::items;
use super::*;

fn on(write: WriteClass) -> Matching {
    Matching {
        write: Some(write),
        ..Matching::default()
    }
}

impl Tenant {
    fn strike(&self, on: Matching, effect: Effect, action: FaultAction) {
        self.running.set_faults(Faults {
            scripted: vec![ScriptedFault { on, effect, action }],
            ..Faults::default()
        });
    }

    fn others_do(&self, on: Matching, when: When, user: u64, change: Change) {
        let edit = Edit { user, change };
        self.running.set_faults(Faults {
            edits: vec![ScriptedEdit { on, when, edit }],
            ..Faults::default()
        });
    }
}

fn every_action() -> Vec<FaultAction> {
    let status = |status| FaultAction::Status { status, html: false };
    let mut actions: Vec<FaultAction> = [400, 401, 403, 404, 409, 422, 500, 503].map(status).into();
    actions.extend([
        FaultAction::Html,
        FaultAction::RateLimited { retry_after: None },
        FaultAction::Reset,
        FaultAction::ResetMidBody,
        FaultAction::Truncate,
        FaultAction::ShortBody,
        FaultAction::Oversized { bytes: 10 },
    ]);
    actions
}

#[tokio::test]
async fn a_fault_strikes_before_or_after_the_effect() {
    let tenant = Tenant::writing().await;
    let user = tenant.someone();
    for action in every_action() {
        for effect in [Effect::None, Effect::Applied] {
            let held = tenant.truly(user.id).licenses.iter().any(|l| l == "quality-user");
            tenant.strike(on(WriteClass::License), effect, action.clone());
            let put = tenant.send(
                "PUT",
                &format!("/api/users/{}", user.id),
                &json!({ "quality-user": !held }),
            );
            let clean = match put.send().await {
                Ok(answer) => {
                    let status = answer.status();
                    let body = answer.bytes().await.unwrap_or_default();
                    status == 200 && serde_json::from_slice::<Value>(&body).is_ok()
                }
                Err(_) => false,
            };
            assert!(!clean, "{action:?} is seen");
            let changed = tenant.truly(user.id).licenses.iter().any(|l| l == "quality-user") != held;
            assert_eq!(changed, effect == Effect::Applied, "{action:?} {effect:?}");
        }
    }
}

#[tokio::test]
async fn only_the_class_that_is_meant_is_hit() {
    let tenant = Tenant::writing().await;
    let user = tenant.someone();
    let gone = FaultAction::Status {
        status: 503,
        html: false,
    };
    tenant.strike(
        Matching {
            nth: 2,
            ..on(WriteClass::Clear)
        },
        Effect::Applied,
        gone,
    );
    let mut statuses = Vec::new();
    for body in [
        json!({ "roles": null }),
        json!({ "roles": items(&user.roles) }),
        json!({ "roles": null }),
    ] {
        statuses.push(tenant.put(user.id, body).await.0.as_u16());
    }
    assert_eq!(statuses, [200, 200, 503]);
    assert_eq!(
        tenant.running.gaps().open,
        [user.id],
        "the second clear did happen"
    );
    assert_eq!(tenant.running.gaps().moments, 2);
}

#[tokio::test]
async fn a_create_can_happen_behind_the_callers_back() {
    let tenant = Tenant::writing().await;
    let person = json!({ "login": "n1", "email": "n1@corp.example", "firstname": "N", "lastname": "One" });
    for (effect, created) in [(Effect::None, 0), (Effect::Applied, 1)] {
        tenant.strike(on(WriteClass::Create), effect, FaultAction::Reset);
        assert!(tenant.send("POST", "/api/users", &person).send().await.is_err());
        assert_eq!(tenant.running.truth().users.len(), 260 + created);
    }
}

#[tokio::test]
async fn half_a_list_may_be_taken() {
    let tenant = Tenant::writing().await;
    let user = tenant.someone();
    let new = tenant.other_roles(&user)[..3].to_vec();
    let broken = FaultAction::Status {
        status: 500,
        html: true,
    };
    tenant.strike(Matching::default(), Effect::Partial, broken.clone());
    let (status, _) = tenant.put(user.id, json!({ "roles": items(&new) })).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let now = tenant.truly(user.id).roles;
    let taken: Vec<bool> = new.iter().map(|id| now.contains(id)).collect();
    assert_eq!(
        (taken, now.len()),
        (vec![true, false, false], user.roles.len() + 1)
    );
    tenant.strike(Matching::default(), Effect::Partial, broken);
    tenant.put(user.id, json!({ "active": !user.active })).await;
    assert_eq!(
        tenant.truly(user.id).active,
        user.active,
        "there is no half of a flag"
    );
}

#[tokio::test]
async fn an_effect_may_come_later() {
    let tenant = Tenant::writing().await;
    let user = tenant.someone();
    let put = async || {
        let clear = tenant.send(
            "PUT",
            &format!("/api/users/{}", user.id),
            &json!({ "roles": null }),
        );
        assert!(clear.send().await.is_err(), "reset");
    };
    tenant.strike(
        on(WriteClass::Clear),
        Effect::AfterRequests(2),
        FaultAction::Reset,
    );
    put().await;
    assert_eq!(tenant.shown_roles(user.id).await, user.roles);
    assert_eq!(tenant.truly(user.id).roles, user.roles);
    assert_eq!(
        tenant.shown_roles(user.id).await,
        [] as [u64; 0],
        "right before the second request"
    );
    tenant.running.set_faults(Faults::default());
    tenant.put(user.id, json!({ "roles": items(&user.roles) })).await;
    tenant.strike(on(WriteClass::Clear), Effect::AfterMs(1), FaultAction::Reset);
    put().await;
    while !tenant.truly(user.id).roles.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn others_edit_on_either_side_of_a_request() {
    let tenant = Tenant::writing().await;
    let user = tenant.someone();
    let foreign = tenant.other_roles(&user)[0];
    let second_read = Matching {
        method: Some("GET".into()),
        nth: 2,
        ..Matching::default()
    };
    for (when, third) in [(When::Before, true), (When::After, false)] {
        tenant.others_do(second_read.clone(), when, user.id, Change::AddRole(foreign));
        assert!(!tenant.shown_roles(user.id).await.contains(&foreign));
        assert_eq!(
            tenant.shown_roles(user.id).await.contains(&foreign),
            third,
            "{when:?}"
        );
        assert!(tenant.shown_roles(user.id).await.contains(&foreign));
        tenant
            .running
            .edit(&Edit {
                user: user.id,
                change: Change::RemoveRole(foreign),
            })
            .unwrap();
    }
    tenant.others_do(
        on(WriteClass::Clear),
        When::After,
        user.id,
        Change::AddRole(foreign),
    );
    let (_, answer) = tenant.put(user.id, json!({ "roles": null })).await;
    assert_eq!(answer["roles"], json!([]), "the answer was made before");
    assert_eq!(tenant.truly(user.id).roles, [foreign]);
}

#[tokio::test]
async fn every_edit_does_what_it_says() {
    let tenant = Tenant::writing().await;
    let user = tenant.someone();
    let (role, group) = (tenant.other_roles(&user)[0], user.groups[0]);
    let path = format!("/api/users/{}", user.id);
    let grown = tenant.rest(&path).await.1["updated-at"].clone();
    let edit = |change| {
        tenant.running.edit(&Edit {
            user: user.id,
            change,
        })
    };
    let license = |held| Change::SetLicense {
        name: "category-planner-user".into(),
        held,
    };
    edit(Change::ReplaceRoles(vec![role])).unwrap();
    edit(Change::RemoveGroup(group)).unwrap();
    edit(license(true)).unwrap();
    edit(Change::SetActive(false)).unwrap();
    let now = tenant.truly(user.id);
    assert_eq!((now.roles.as_slice(), now.active), ([role].as_slice(), false));
    assert!(!now.groups.contains(&group) && now.licenses.iter().any(|l| l == "category-planner-user"));
    let shown = tenant.rest(&path).await.1;
    assert_eq!(
        (ids(&shown["roles"]), &shown["category-planner-user"]),
        (vec![role], &json!(true))
    );
    assert_ne!(shown["updated-at"], grown);
    edit(Change::AddGroup(group)).unwrap();
    edit(license(false)).unwrap();
    assert_eq!(tenant.truly(user.id).groups, user.groups);
    for unknown in [
        Change::AddRole(987_654),
        Change::RemoveGroup(987_654),
        Change::ReplaceRoles(vec![role, 987_654]),
    ] {
        assert_eq!(edit(unknown), Err(EditError::UnknownReference));
    }
    let stranger = Edit {
        user: 987_654,
        change: Change::SetActive(true),
    };
    assert_eq!(tenant.running.edit(&stranger), Err(EditError::UnknownReference));
    assert_eq!(tenant.truly(user.id).roles, [role], "and nothing changed");
}

#[tokio::test]
async fn a_client_that_goes_away_while_held_before_changes_nothing() {
    let tenant = Tenant::writing().await;
    let user = tenant.someone();
    let clear = |tenant: &Tenant| {
        let put = tenant.send(
            "PUT",
            &format!("/api/users/{}", user.id),
            &json!({ "roles": null }),
        );
        tokio::spawn(put.send())
    };
    for (point, roles) in [
        (PausePoint::Before(on(WriteClass::Clear)), user.roles.clone()),
        (PausePoint::After(on(WriteClass::Clear)), Vec::new()),
    ] {
        tenant.running.pause(point);
        assert!(tenant.running.paused().armed);
        let client = clear(&tenant);
        tenant.running.held().await;
        let paused = tenant.running.paused();
        let held = paused.held.unwrap();
        assert_eq!(
            (paused.armed, held.write, held.status),
            (false, Some(WriteClass::Clear), None)
        );
        assert_eq!(tenant.truly(user.id).roles, roles);
        client.abort();
        tenant.running.released().await;
        assert_eq!(tenant.truly(user.id).roles, roles);
    }
}

#[tokio::test]
async fn a_held_request_goes_on_when_told_to() {
    let tenant = Tenant::writing().await;
    let user = tenant.someone();
    let told = async |path: &str, body: Value| {
        let answer = tenant
            .http
            .post(tenant.url(path))
            .json(&body)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    };
    told(
        "/_sandbox/pause",
        json!({ "before": { "method": "GET", "nth": 2 } }),
    )
    .await;
    assert_eq!(tenant.shown_roles(user.id).await, user.roles);
    let path = format!("/api/users/{}", user.id);
    let second = tokio::spawn(tenant.get(&path).send());
    tenant.running.held().await;
    let paused = tenant
        .http
        .get(tenant.url("/_sandbox/paused"))
        .send()
        .await
        .unwrap();
    assert_eq!(paused.json::<Value>().await.unwrap()["held"]["path"], json!(path));
    told(
        "/_sandbox/edit",
        json!({ "user": user.id, "change": { "replace-roles": [] } }),
    )
    .await;
    told("/_sandbox/resume", Value::Null).await;
    let answer: Value = second.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(answer["roles"], json!([]), "held before it read");
    let paused = tenant
        .http
        .get(tenant.url("/_sandbox/paused"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        paused.json::<Value>().await.unwrap(),
        json!({ "armed": false, "held": null })
    );
}

#[tokio::test]
async fn the_log_tells_what_was_asked() {
    let tenant = Tenant::writing().await;
    let user = tenant.someone();
    tenant.running.clear_log();
    tenant.rest("/api/roles?limit=1").await;
    tenant.strike(on(WriteClass::SetList), Effect::Applied, FaultAction::Reset);
    let path = format!("/api/users/{}", user.id);
    let body = json!({ "roles": items(&user.roles) });
    assert!(tenant.send("PUT", &path, &body).send().await.is_err());
    tenant.put(user.id, json!({ "risk_assess_user": true })).await;
    let log = tenant.running.log();
    let told: Vec<_> = log
        .iter()
        .map(|e| (e.method.as_str(), e.write, e.fault, e.status))
        .collect();
    assert_eq!(
        told,
        [
            ("GET", None, false, Some(200)),
            ("PUT", Some(WriteClass::SetList), true, None),
            ("PUT", Some(WriteClass::License), false, Some(200)),
        ]
    );
    assert_eq!(
        (log[0].query.as_deref(), log[0].kind),
        (Some("limit=1"), RequestKind::RestRoles)
    );
    assert_eq!((&log[1].path, &log[1].body), (&path, &Some(body)));
    assert!(log.windows(2).all(|w| w[0].n + 1 == w[1].n && w[0].at <= w[1].at));
    let over_http = tenant.http.get(tenant.url("/_sandbox/log")).send().await.unwrap();
    assert_eq!(over_http.json::<Vec<LogEntry>>().await.unwrap(), log);
    let cleared = tenant
        .http
        .delete(tenant.url("/_sandbox/log"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (cleared.status(), tenant.running.log().len()),
        (StatusCode::NO_CONTENT, 0)
    );
    tenant.mint(READ).await;
    let token = tenant.running.log().remove(0);
    assert_eq!(
        (token.kind, token.body),
        (RequestKind::Token, None),
        "no secret is kept"
    );
    tenant
        .running
        .edit(&Edit {
            user: user.id,
            change: Change::ReplaceRoles(Vec::new()),
        })
        .unwrap();
    let gaps = tenant
        .http
        .get(tenant.url("/_sandbox/gaps"))
        .send()
        .await
        .unwrap();
    assert_eq!(gaps.json::<Gaps>().await.unwrap().open, [user.id]);
}

#[tokio::test]
async fn writes_at_the_same_time_all_hold() {
    let tenant = Tenant::writing().await;
    let users: Vec<TruthUser> = tenant.running.truth().users.into_iter().take(40).collect();
    let role = tenant.running.truth().roles[7].id;
    let puts = users
        .iter()
        .map(|user| tenant.put(user.id, json!({ "roles": [{ "id": role }] })));
    let answers = futures::future::join_all(puts).await;
    assert!(answers.iter().all(|(status, _)| *status == StatusCode::OK));
    let holders = tenant.rest_rows("users", "[\"id\",{\"roles\":[\"id\"]}]").await;
    let seen: Vec<u64> = holders
        .iter()
        .filter(|row| ids(&row["roles"]).contains(&role))
        .map(|row| row["id"].as_u64().unwrap())
        .collect();
    let truth = tenant.running.truth();
    let expected: Vec<u64> = truth
        .users
        .iter()
        .filter(|u| u.roles.contains(&role))
        .map(|u| u.id)
        .collect();
    assert!(expected.len() >= 40);
    assert_eq!(seen, expected);
}
