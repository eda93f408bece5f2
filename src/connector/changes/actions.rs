//! Actions on accounts: `disable_user`, `enable_user` and `update_user`.
//!
//! Every action belongs to the type `user`. Its name is its own, so it is found with the type and without it.
//!
//! Invariant: what breaks the schema is a status; what fails later is told in the answer, which then is no failure of the call.

use std::sync::Arc;
use std::time::Duration;

use prost_types::value::Kind as ValueKind;
use prost_types::{ListValue, Struct, Value};

use super::super::Connector;
use super::super::kind::Kind;
use super::apply;
use super::arguments::{only_user, user_and_elements, user_field};
use super::elements::Element;
use super::invocations::Progress;
use crate::model::change::{Activity, Change, Effect, Order, Outcome};
use crate::model::fault::{Fault, FaultKind};
use crate::proto::config;
use crate::proto::connector as c1;

/// How long a caller waits who does not say how long.
const INLINE_WAIT: Duration = Duration::from_secs(1);

/// The longest that a caller may wait.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// An action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Disable,
    Enable,
    Update,
}

impl Action {
    /// Every action, by name.
    const ALL: [Self; 3] = [Self::Disable, Self::Enable, Self::Update];

    const fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable_user",
            Self::Enable => "enable_user",
            Self::Update => "update_user",
        }
    }

    fn find(name: &str, kind: &str) -> Result<Self, Fault> {
        let of_type = kind.is_empty() || kind == Kind::User.id();
        Self::ALL
            .into_iter()
            .find(|action| of_type && action.name() == name)
            .ok_or_else(|| Fault::new(FaultKind::NotFound, "no such action"))
    }

    const fn action_type(self) -> c1::ActionType {
        match self {
            Self::Disable => c1::ActionType::AccountDisable,
            Self::Enable => c1::ActionType::AccountEnable,
            Self::Update => c1::ActionType::AccountUpdateProfile,
        }
    }

    fn schema(self) -> c1::BatonActionSchema {
        let (title, description) = match self {
            Self::Disable => (
                "Disable user",
                "Deactivates an account; nobody can sign in with it",
            ),
            Self::Enable => ("Enable user", "Activates an account"),
            Self::Update => (
                "Update user",
                "Sets elements of an account; what is left out stays as it is",
            ),
        };
        let mut arguments = vec![user_field()];
        let mut constraints = Vec::new();
        if self == Self::Update {
            arguments.extend(Element::ALL.map(Element::of_action));
            constraints.push(config::Constraint {
                kind: config::ConstraintKind::AtLeastOne.into(),
                field_names: Element::ALL.map(|element| element.name().to_owned()).into(),
                ..config::Constraint::default()
            });
        }
        c1::BatonActionSchema {
            name: self.name().to_owned(),
            arguments,
            constraints,
            return_types: return_types(),
            display_name: title.to_owned(),
            description: description.to_owned(),
            action_type: vec![self.action_type().into()],
            resource_type_id: Kind::User.id().to_owned(),
        }
    }

    fn change(self, arguments: &Struct) -> Result<Change, Fault> {
        let set = |to| {
            let user = only_user(arguments)?;
            Ok(Change::SetActive { user, to })
        };
        match self {
            Self::Disable => set(Activity::Inactive),
            Self::Enable => set(Activity::Active),
            Self::Update => {
                let (user, draft) = user_and_elements(arguments)?;
                Ok(Change::Update {
                    user,
                    draft: Box::new(draft),
                })
            }
        }
    }
}

impl Connector {
    /// The actions of a type; without a type, of all types.
    pub fn list_action_schemas(
        &self,
        request: &c1::ListActionSchemasRequest,
    ) -> c1::ListActionSchemasResponse {
        let kind = request.resource_type_id.as_str();
        let asked = kind.is_empty() || kind == Kind::User.id();
        let actions = Action::ALL.into_iter().filter(|_| asked);
        c1::ListActionSchemasResponse {
            schemas: actions.map(Action::schema).collect(),
            annotations: Vec::new(),
        }
    }

    /// One action.
    pub fn get_action_schema(
        &self,
        request: &c1::GetActionSchemaRequest,
    ) -> Result<c1::GetActionSchemaResponse, Fault> {
        Ok(c1::GetActionSchemaResponse {
            schema: Some(Action::find(&request.name, "")?.schema()),
            annotations: Vec::new(),
        })
    }

    /// Begins an action and waits for its end for a while.
    pub async fn invoke_action(
        &self,
        order: &Order,
        request: &c1::InvokeActionRequest,
    ) -> Result<c1::InvokeActionResponse, Fault> {
        let action = Action::find(&request.name, &request.resource_type_id)?;
        let tenant = Arc::clone(self.writes()?);
        let change = action.change(&request.args.clone().unwrap_or_default())?;
        let wait = patience(request.inline_wait.as_ref())?;
        let order = order.clone();
        let work = async move {
            apply(&*tenant, &order, &change)
                .await
                .map(|outcome| values(&outcome))
        };
        let mut invocation = self.invocations.begin(action.name(), work)?;
        let (status, response) = told(invocation.ended(wait).await);
        Ok(c1::InvokeActionResponse {
            id: invocation.id.to_string(),
            status: status.into(),
            annotations: Vec::new(),
            response,
            name: action.name().to_owned(),
        })
    }

    /// How far an action has come that was begun in this process.
    pub fn get_action_status(
        &self,
        request: &c1::GetActionStatusRequest,
    ) -> Result<c1::GetActionStatusResponse, Fault> {
        let invocation = self.invocations.find(&request.id).ok_or_else(|| {
            Fault::new(FaultKind::NotFound, "no such action invocation")
                .advise("invocations are forgotten when the connector restarts; the journal is not")
        })?;
        let (status, response) = told(invocation.progress());
        Ok(c1::GetActionStatusResponse {
            name: invocation.name.to_owned(),
            id: invocation.id.to_string(),
            status: status.into(),
            annotations: Vec::new(),
            response,
        })
    }
}

fn patience(asked: Option<&prost_types::Duration>) -> Result<Duration, Fault> {
    let Some(asked) = asked else {
        return Ok(INLINE_WAIT);
    };
    let wait = Duration::try_from(*asked).map_err(|_| Fault::invalid("inline_wait is negative"))?;
    Ok(wait.min(LONGEST_WAIT))
}

/// What every action gives back.
fn return_types() -> Vec<config::Field> {
    let field = |name: &str, title: &str, description: &str, field| config::Field {
        name: name.to_owned(),
        display_name: title.to_owned(),
        description: description.to_owned(),
        field: Some(field),
        ..config::Field::default()
    };
    let switch = || config::field::Field::BoolField(config::BoolField::default());
    let texts = config::field::Field::StringSliceField(config::StringSliceField::default());
    vec![
        field(
            "success",
            "Success",
            "Whether the account is as asked for",
            switch(),
        ),
        field("changed", "Changed", "Whether it was not so before", switch()),
        field("findings", "Findings", "What a person should know", texts),
    ]
}

fn values(outcome: &Outcome) -> Struct {
    let changed = match outcome.effect {
        Effect::Made | Effect::Reactivated => true,
        Effect::AlreadySo | Effect::Existed => false,
    };
    let findings = outcome.findings.iter();
    let findings = findings.map(|finding| ValueKind::StringValue(finding.text.clone()).into());
    let list = ListValue {
        values: findings.collect(),
    };
    object([
        ("success", ValueKind::BoolValue(true)),
        ("changed", ValueKind::BoolValue(changed)),
        ("findings", ValueKind::ListValue(list)),
    ])
}

fn told(progress: Progress) -> (c1::BatonActionStatus, Option<Struct>) {
    match progress {
        Progress::Running => (c1::BatonActionStatus::Running, None),
        Progress::Complete(values) => (c1::BatonActionStatus::Complete, Some(values)),
        Progress::Failed(why) => {
            let response = object([
                ("success", ValueKind::BoolValue(false)),
                ("error", ValueKind::StringValue(why)),
            ]);
            (c1::BatonActionStatus::Failed, Some(response))
        }
    }
}

fn object<const N: usize>(pairs: [(&str, ValueKind); N]) -> Struct {
    let pair = |(key, kind): (&str, ValueKind)| (key.to_owned(), Value { kind: Some(kind) });
    Struct {
        fields: pairs.into_iter().map(pair).collect(),
    }
}
