//! Actions: PC-58.

use baton_coupa::proto::config;
use baton_coupa::proto::connector as c1;
use baton_coupa::proto::connector::action_service_client::ActionServiceClient;
use prost_types::value::Kind as ValueKind;
use prost_types::{Struct, Value};
use tonic::Code;
use tonic::transport::Channel;

use super::changes::{code_of, ok};
use super::{Instance, Subject, Upstream, Verdict, Violation, ensure};

/// Action service of a server.
fn actions(server: &Instance) -> ActionServiceClient<Channel> {
    ActionServiceClient::new(server.client().channel.clone())
}

async fn schemas(server: &Instance, kind: &str) -> Result<Vec<c1::BatonActionSchema>, Violation> {
    let request = c1::ListActionSchemasRequest {
        resource_type_id: kind.to_owned(),
        ..Default::default()
    };
    let answer = actions(server).list_action_schemas(request).await?;
    Ok(answer.into_inner().schemas)
}

/// An invocation of `schema` for a user, by the only argument that it demands.
fn about(schema: &c1::BatonActionSchema, user: &str, wait: i64) -> c1::InvokeActionRequest {
    let text = |text: &str| Value::from(ValueKind::StringValue(text.to_owned()));
    let id = [("resource_type_id", text("user")), ("resource_id", text(user))];
    let id = Struct {
        fields: id.map(|(key, value)| (key.to_owned(), value)).into(),
    };
    let required = schema.arguments.iter().filter(|field| field.is_required);
    let args = required.map(|field| (field.name.clone(), ValueKind::StructValue(id.clone()).into()));
    c1::InvokeActionRequest {
        name: schema.name.clone(),
        args: Some(Struct {
            fields: args.collect(),
        }),
        resource_type_id: schema.resource_type_id.clone(),
        inline_wait: Some(prost_types::Duration {
            seconds: wait,
            nanos: 0,
        }),
        ..Default::default()
    }
}

/// Status and response in which an invocation ends.
async fn end_of(
    server: &Instance,
    request: c1::InvokeActionRequest,
) -> Result<(c1::BatonActionStatus, Struct), Violation> {
    use c1::BatonActionStatus::{Complete, Failed, Pending, Running};
    let begun = ok("InvokeAction", actions(server).invoke_action(request).await)?.into_inner();
    if matches!(begun.status(), Complete | Failed) {
        return Ok((begun.status(), begun.response.unwrap_or_default()));
    }
    ensure(!begun.id.is_empty(), || "neither an end nor an id".to_owned())?;
    loop {
        let request = c1::GetActionStatusRequest {
            id: begun.id.clone(),
            ..Default::default()
        };
        let status = ok(
            "GetActionStatus",
            actions(server).get_action_status(request).await,
        )?
        .into_inner();
        if matches!(status.status(), Complete | Failed) {
            return Ok((status.status(), status.response.unwrap_or_default()));
        }
        ensure(matches!(status.status(), Pending | Running), || {
            format!("GetActionStatus says {}", status.status().as_str_name())
        })?;
        tokio::task::yield_now().await;
    }
}

pub(super) async fn pc_58(subject: Subject) -> Verdict {
    let server = subject.start(Upstream::Writable).await;
    let all = schemas(&server, "").await?;
    ensure(!all.is_empty(), || "no action".to_owned())?;
    for kind in ["user", "role", "device"] {
        for schema in schemas(&server, kind).await? {
            let of = schema.resource_type_id;
            ensure(of == kind, || {
                format!("an action of {of:?} among those of {kind}")
            })?;
        }
    }
    let disable = i32::from(c1::ActionType::AccountDisable);
    let Some(schema) = all.iter().find(|schema| schema.action_type.contains(&disable)) else {
        return Err(Violation("no action that disables accounts".to_owned()));
    };
    let resource_ids = schema.arguments.iter().all(|field| {
        matches!(field.field, Some(config::field::Field::ResourceIdField(_))) || !field.is_required
    });
    ensure(resource_ids, || {
        "an argument of another kind is demanded".to_owned()
    })?;
    for wait in [60, 0] {
        let (status, _) = end_of(&server, about(schema, "5", wait)).await?;
        ensure(status == c1::BatonActionStatus::Complete, || {
            format!("it ends in {}", status.as_str_name())
        })?;
        let (status, response) = end_of(&server, about(schema, "9", wait)).await?;
        ensure(status == c1::BatonActionStatus::Failed, || {
            format!("a failure is {}", status.as_str_name())
        })?;
        let error = response.fields.get("error").and_then(|value| value.kind.as_ref());
        ensure(matches!(error, Some(ValueKind::StringValue(_))), || {
            "no response.error".to_owned()
        })?;
    }
    let unknown = c1::InvokeActionRequest {
        name: "unheard-of".to_owned(),
        ..Default::default()
    };
    let outcome = actions(&server).invoke_action(unknown).await;
    code_of("an unknown action", outcome, Code::NotFound)?;
    let unknown = c1::GetActionStatusRequest {
        id: "2wPbMEhC9cN9k9PqEV2sBUbUuu7".to_owned(),
        ..Default::default()
    };
    let outcome = actions(&server).get_action_status(unknown).await;
    code_of("an unknown invocation", outcome, Code::NotFound)?;
    let unknown = c1::GetActionSchemaRequest {
        name: "unheard-of".to_owned(),
        ..Default::default()
    };
    let outcome = actions(&server).get_action_schema(unknown).await;
    code_of("an unknown schema", outcome, Code::NotFound)
}
