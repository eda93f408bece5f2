//! Actions: schemas, invocations, ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

fn invoke(name: &str, args: Struct) -> c1::InvokeActionRequest {
    c1::InvokeActionRequest {
        name: name.to_owned(),
        args: Some(args),
        inline_wait: Some(prost_types::Duration {
            seconds: 60,
            nanos: 0,
        }),
        ..c1::InvokeActionRequest::default()
    }
}

fn user_five() -> Value {
    let id = object([("resource_type_id", text("user")), ("resource_id", text("5"))]);
    ValueKind::StructValue(id).into()
}

fn value_of<'a>(response: Option<&'a Struct>, name: &str) -> &'a ValueKind {
    response.unwrap().fields[name].kind.as_ref().unwrap()
}

#[test]
fn every_action_has_a_schema_of_its_own() {
    let tenant = FakeTenant::new(World::new(2));
    let connector = connector(&tenant);
    let schemas = |kind: &str| {
        let request = c1::ListActionSchemasRequest {
            resource_type_id: kind.to_owned(),
            ..c1::ListActionSchemasRequest::default()
        };
        connector.list_action_schemas(&request).schemas
    };
    let all = schemas("");
    let names: Vec<&str> = all.iter().map(|schema| schema.name.as_str()).collect();
    assert_eq!(names, ["disable_user", "enable_user", "update_user"]);
    assert_eq!(bytes(&schemas("user")), bytes(&all));
    assert!(schemas("role").is_empty() && schemas("device").is_empty());
    let kinds: HashSet<i32> = all.iter().flat_map(|schema| schema.action_type.clone()).collect();
    assert_eq!(kinds.len(), 3, "an action type appears once per type");
    for schema in &all {
        assert!(schema.arguments.iter().all(|field| field.field.is_some()));
        let required: Vec<_> = schema
            .arguments
            .iter()
            .filter(|field| field.is_required)
            .collect();
        assert_eq!(required.len(), 1);
        let request = c1::GetActionSchemaRequest {
            name: schema.name.clone(),
            ..c1::GetActionSchemaRequest::default()
        };
        let one = connector.get_action_schema(&request).unwrap().schema.unwrap();
        assert_eq!(one.encode_to_vec(), schema.encode_to_vec());
    }
    let constrained = &all[2].constraints[0].field_names;
    assert!(
        constrained
            .iter()
            .all(|name| all[2].arguments.iter().any(|field| field.name == *name))
    );
    let unknown = c1::GetActionSchemaRequest {
        name: "fire_user".to_owned(),
        ..c1::GetActionSchemaRequest::default()
    };
    assert_eq!(
        kind_of(connector.get_action_schema(&unknown)),
        FaultKind::NotFound
    );
}

#[tokio::test]
async fn an_action_makes_its_change_and_says_so() {
    let (connector, writes) = setup();
    for (name, to) in [
        ("disable_user", Activity::Inactive),
        ("enable_user", Activity::Active),
    ] {
        let request = invoke(name, object([("user_id", user_five())]));
        let answer = connector.invoke_action(&order(), &request).await.unwrap();
        assert!(answer.status() == c1::BatonActionStatus::Complete);
        assert_eq!(
            *value_of(answer.response.as_ref(), "success"),
            ValueKind::BoolValue(true)
        );
        assert_eq!(
            *value_of(answer.response.as_ref(), "changed"),
            ValueKind::BoolValue(true)
        );
        let user = user_id(5);
        assert_eq!(writes.asked().pop(), Some(Change::SetActive { user, to }));
    }
    let request = invoke(
        "update_user",
        object([("user_id", user_five()), ("department", text("Finance"))]),
    );
    let by_type = c1::InvokeActionRequest {
        resource_type_id: "user".to_owned(),
        ..request
    };
    writes.ends(Effect::AlreadySo);
    let answer = connector.invoke_action(&order(), &by_type).await.unwrap();
    assert_eq!(
        *value_of(answer.response.as_ref(), "changed"),
        ValueKind::BoolValue(false)
    );
    let Some(Change::Update { draft, .. }) = writes.asked().pop() else {
        panic!("no update");
    };
    assert_eq!(draft.names(), ["department"]);
}

#[tokio::test]
async fn a_slow_action_is_asked_about_later() {
    let (connector, writes) = setup();
    writes.hold.send_replace(true);
    let request = c1::InvokeActionRequest {
        inline_wait: Some(prost_types::Duration::default()),
        ..invoke("enable_user", object([("user_id", user_five())]))
    };
    let answer = connector.invoke_action(&order(), &request).await.unwrap();
    assert!(answer.status() == c1::BatonActionStatus::Running && answer.response.is_none());
    let ask = c1::GetActionStatusRequest {
        id: answer.id.clone(),
        ..c1::GetActionStatusRequest::default()
    };
    let status = connector.get_action_status(&ask).unwrap();
    assert!(status.status() == c1::BatonActionStatus::Running);
    writes.hold.send_replace(false);
    let status = loop {
        let status = connector.get_action_status(&ask).unwrap();
        if status.status() != c1::BatonActionStatus::Running {
            break status;
        }
        tokio::task::yield_now().await;
    };
    assert!(status.status() == c1::BatonActionStatus::Complete);
    assert_eq!((status.id, status.name), (answer.id, "enable_user".to_owned()));
    let unknown = c1::GetActionStatusRequest::default();
    assert_eq!(
        kind_of(connector.get_action_status(&unknown)),
        FaultKind::NotFound
    );
}

#[tokio::test]
async fn a_failing_action_fails_in_its_answer() {
    let (connector, writes) = setup();
    writes.fails(FaultKind::NotFound);
    let request = invoke("enable_user", object([("user_id", user_five())]));
    let answer = connector.invoke_action(&order(), &request).await.unwrap();
    assert!(answer.status() == c1::BatonActionStatus::Failed);
    assert_eq!(
        *value_of(answer.response.as_ref(), "error"),
        ValueKind::StringValue("injected".to_owned())
    );
    assert_eq!(
        *value_of(answer.response.as_ref(), "success"),
        ValueKind::BoolValue(false)
    );
}

#[tokio::test]
async fn what_is_wrong_with_an_invocation_is_a_status() {
    let (connector, writes) = setup();
    let of_role = c1::InvokeActionRequest {
        resource_type_id: "role".to_owned(),
        ..invoke("enable_user", object([("user_id", user_five())]))
    };
    let no_arguments = c1::InvokeActionRequest {
        args: None,
        ..invoke("enable_user", Struct::default())
    };
    let typo = invoke(
        "update_user",
        object([("user_id", user_five()), ("nickname", text("x"))]),
    );
    for (request, kind) in [
        (invoke("fire_user", Struct::default()), FaultKind::NotFound),
        (of_role, FaultKind::NotFound),
        (no_arguments, FaultKind::Invalid),
        (typo, FaultKind::Invalid),
    ] {
        assert_eq!(
            kind_of(connector.invoke_action(&order(), &request).await),
            kind,
            "{}",
            request.name
        );
    }
    assert!(writes.asked().is_empty());
}
