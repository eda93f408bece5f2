//! Running an action: start it, then ask for its state until it has ended.

use std::time::Duration;

use prost_types::value::Kind;

use super::provisioner::Provisioner;
use super::request;
use super::task::Action;
use crate::model::change::Order;
use crate::model::fault::{Fault, FaultKind};
use crate::proto::connector as c1;
use crate::proto::connector::BatonActionStatus as Status;

/// Time between two questions, as in the ecosystem.
pub(super) const POLL: Duration = Duration::from_secs(1);

/// Runs `action` to its end, asking for its state after every `pause`.
pub(super) async fn invoke(
    provisioner: &dyn Provisioner,
    order: &Order,
    action: &Action,
    pause: Duration,
) -> Result<(), Fault> {
    let started = provisioner
        .invoke_action(order, &request::invoke_action(action))
        .await?;
    let mut status = started.status();
    let mut response = started.response;
    tell(&started.id, status);
    let question = c1::GetActionStatusRequest {
        name: started.name,
        id: started.id,
        annotations: Vec::new(),
    };
    while matches!(status, Status::Pending | Status::Running) {
        tokio::time::sleep(pause).await;
        let answer = provisioner.get_action_status(&question).await?;
        status = answer.status();
        response = answer.response;
    }
    tell(&question.id, status);
    match status {
        Status::Complete => Ok(()),
        Status::Failed => Err(failed(response.as_ref())),
        Status::Unspecified | Status::Unknown | Status::Pending | Status::Running => Err(Fault::internal(
            "the connector does not say what became of the action",
        )),
    }
}

/// Once when it was started and once when it has ended, in the ecosystem's words. The response may hold what is somebody's.
fn tell(id: &str, status: Status) {
    tracing::info!(
        action_id = id,
        status = status.as_str_name(),
        "ActionInvoke response"
    );
}

/// The in-band failure, in the connector's words.
fn failed(response: Option<&prost_types::Struct>) -> Fault {
    let error = response.and_then(|response| response.fields.get("error"));
    match error.and_then(|error| error.kind.as_ref()) {
        // It may quote Coupa.
        Some(Kind::StringValue(text)) if !text.is_empty() => {
            Fault::new(FaultKind::Refused, "the action failed").quoting(text.as_str())
        }
        _ => Fault::new(FaultKind::Refused, "the action failed without a reason"),
    }
}
