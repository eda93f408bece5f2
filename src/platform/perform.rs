//! Tasks that are one call of the connector: asked in process, under the task's id.
//!
//! Invariant: a change carries the task's id as the name of its request, so that a task that is handed out twice, even after a crash, is
//! made once and answered from the journal.

use super::finish::{Answer, Failure};
use super::task::{Call, TaskId};
use crate::connector::{Connector, no_such_event_feed};
use crate::model::change::{Order, Via};
use crate::model::fault::Fault;
use crate::proto::connector as c1;

/// Asks the connector, and answers what the platform is to be told.
pub(super) async fn call(connector: &Connector, task: &TaskId, call: &Call) -> Result<Answer, Failure> {
    let outcome = ask(connector, task, call).await;
    outcome.map_err(|fault| Failure {
        fault,
        retry: call.retry(),
    })
}

/// An answer of a response that has annotations.
macro_rules! answered {
    ($response:expr) => {{
        let response = $response;
        Ok(Answer::of(&response, &response.annotations))
    }};
}

async fn ask(connector: &Connector, task: &TaskId, call: &Call) -> Result<Answer, Fault> {
    let order = order(task);
    match call {
        Call::Grant(request) => answered!(connector.grant(&order, request).await?),
        Call::Revoke(request) => answered!(connector.revoke(&order, request).await?),
        Call::CreateAccount(request) => answered!(connector.create_account(&order, request).await?),
        Call::CreateResource(request) => answered!(connector.create_resource(request)?),
        Call::DeleteResource(request) => answered!(connector.delete_resource(&order, request).await?),
        Call::RotateCredential(request) => answered!(connector.rotate_credential(request)?),
        Call::IssueCredential(request) => answered!(connector.issue_credential(request)?),
        Call::ListActionSchemas(request) => answered!(connector.list_action_schemas(request)),
        Call::GetActionSchema(request) => answered!(connector.get_action_schema(request)?),
        Call::InvokeAction(request) => answered!(connector.invoke_action(&order, request).await?),
        Call::GetActionStatus(request) => answered!(connector.get_action_status(request)?),
        Call::ListEventFeeds => answered!(c1::ListEventFeedsResponse::default()),
        Call::ListEvents => Err(no_such_event_feed()),
    }
}

fn order(task: &TaskId) -> Order {
    Order {
        // Letters and digits, 27 of them: always the name of a request.
        request: task.as_str().parse().ok(),
        via: Via::Task,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_task_names_its_request() {
        let id = "2wPbMEhC9cN9k9PqEV2sBUbUuu7";
        let order = order(&id.parse().unwrap());
        assert_eq!(order.request.unwrap().as_str(), id);
        assert_eq!(order.via, Via::Task);
    }
}
