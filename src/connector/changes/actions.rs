//! Actions on accounts: `disable_user`, `enable_user` and `update_user` change them; where accounts are followed into Risk Assess,
//! `risk_assess_readiness`, `risk_assess_status` and `risk_assess_sync_user` tell about them.
//!
//! Every action belongs to the type `user`. Its name is its own, so it is found with the type and without it.
//!
//! Invariant: what breaks the schema is a status; what fails later is told in the answer, which then is no failure of the call.

use std::sync::Arc;
use std::time::Duration;

use prost_types::value::Kind as ValueKind;
use prost_types::{ListValue, Struct, Value};

use super::super::Connector;
use super::super::downstream::{readiness_values, status_values};
use super::super::kind::Kind;
use super::apply;
use super::arguments::{only_user, user_and_elements, user_field};
use super::elements::Element;
use super::invocations::Progress;
use super::returns::{change_fields, readiness_fields, status_fields};
use crate::model::change::{Activity, Change, Effect, Order, Outcome};
use crate::model::downstream::FollowAccounts;
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::UserId;
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
    Readiness,
    Status,
    SyncUser,
    Update,
}

/// What an action does.
enum Work {
    Change(Change),
    Ask(Question, UserId),
}

/// A question about the account behind the license.
#[derive(Clone, Copy)]
enum Question {
    Readiness,
    Status,
    Follow,
}

impl Action {
    /// Every action, by name.
    const ALL: [Self; 6] = [
        Self::Disable,
        Self::Enable,
        Self::Readiness,
        Self::Status,
        Self::SyncUser,
        Self::Update,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable_user",
            Self::Enable => "enable_user",
            Self::Readiness => "risk_assess_readiness",
            Self::Status => "risk_assess_status",
            Self::SyncUser => "risk_assess_sync_user",
            Self::Update => "update_user",
        }
    }

    const fn needs_downstream(self) -> bool {
        match self {
            Self::Readiness | Self::Status | Self::SyncUser => true,
            Self::Disable | Self::Enable | Self::Update => false,
        }
    }

    fn find(name: &str, kind: &str, mut offered: impl Iterator<Item = Self>) -> Result<Self, Fault> {
        let of_type = kind.is_empty() || kind == Kind::User.id();
        offered
            .find(|action| of_type && action.name() == name)
            .ok_or_else(|| Fault::new(FaultKind::NotFound, "no such action"))
    }

    const fn action_type(self) -> c1::ActionType {
        match self {
            Self::Disable => c1::ActionType::AccountDisable,
            Self::Enable => c1::ActionType::AccountEnable,
            Self::Update => c1::ActionType::AccountUpdateProfile,
            Self::Readiness | Self::Status | Self::SyncUser => c1::ActionType::Dynamic,
        }
    }

    fn schema(self) -> c1::BatonActionSchema {
        let (title, description) = match self {
            Self::Disable => (
                "Disable user",
                "Deactivates an account; nobody can sign in with it",
            ),
            Self::Enable => ("Enable user", "Activates an account"),
            Self::Readiness => (
                "Risk Assess readiness",
                "Judges whether a user is ready for the Risk Assess license, and tells what to fix",
            ),
            Self::Status => (
                "Risk Assess status",
                "Tells what is known of a user's account in Risk Assess, and by what evidence; asks nobody",
            ),
            Self::SyncUser => (
                "Risk Assess: follow user",
                "Reads a user in Coupa, brings the ledger up to date, and delivers where delivery is this connector's",
            ),
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
            return_types: self.return_types(),
            display_name: title.to_owned(),
            description: description.to_owned(),
            action_type: vec![self.action_type().into()],
            resource_type_id: Kind::User.id().to_owned(),
        }
    }

    fn work(self, arguments: &Struct) -> Result<Work, Fault> {
        let set = |to| {
            let user = only_user(arguments)?;
            Ok(Work::Change(Change::SetActive { user, to }))
        };
        let ask = |question| Ok(Work::Ask(question, only_user(arguments)?));
        match self {
            Self::Disable => set(Activity::Inactive),
            Self::Enable => set(Activity::Active),
            Self::Readiness => ask(Question::Readiness),
            Self::Status => ask(Question::Status),
            Self::SyncUser => ask(Question::Follow),
            Self::Update => {
                let (user, draft) = user_and_elements(arguments)?;
                Ok(Work::Change(Change::Update {
                    user,
                    draft: Box::new(draft),
                }))
            }
        }
    }

    /// What it gives back.
    fn return_types(self) -> Vec<config::Field> {
        match self {
            Self::Disable | Self::Enable | Self::Update => change_fields(),
            Self::Readiness => readiness_fields(),
            Self::Status | Self::SyncUser => status_fields(),
        }
    }
}

/// Answers a question about the account behind the license.
async fn answer(accounts: &dyn FollowAccounts, question: Question, user: UserId) -> Result<Struct, Fault> {
    match question {
        Question::Readiness => Ok(readiness_values(&accounts.readiness(user).await?)),
        Question::Status => Ok(status_values(accounts.record(user).await?.as_ref(), accounts)),
        Question::Follow => {
            let followed = accounts.follow(user).await?;
            Ok(status_values(Some(&followed.record), accounts))
        }
    }
}

impl Connector {
    /// The actions there are here.
    fn actions(&self) -> impl Iterator<Item = Action> + use<> {
        let followed = self.downstream.is_some();
        let offered = move |action: &Action| followed || !action.needs_downstream();
        Action::ALL.into_iter().filter(offered)
    }

    /// The actions of a type; without a type, of all types.
    pub fn list_action_schemas(
        &self,
        request: &c1::ListActionSchemasRequest,
    ) -> c1::ListActionSchemasResponse {
        let kind = request.resource_type_id.as_str();
        let asked = kind.is_empty() || kind == Kind::User.id();
        let actions = self.actions().filter(|_| asked);
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
            schema: Some(Action::find(&request.name, "", self.actions())?.schema()),
            annotations: Vec::new(),
        })
    }

    /// Begins an action and waits for its end for a while.
    pub async fn invoke_action(
        &self,
        order: &Order,
        request: &c1::InvokeActionRequest,
    ) -> Result<c1::InvokeActionResponse, Fault> {
        let action = Action::find(&request.name, &request.resource_type_id, self.actions())?;
        let tenant = Arc::clone(self.writes()?);
        let work = action.work(&request.args.clone().unwrap_or_default())?;
        let wait = patience(request.inline_wait.as_ref())?;
        let order = order.clone();
        let downstream = self.downstream.clone();
        let work = async move {
            match (work, downstream) {
                (Work::Change(change), _) => {
                    let outcome = apply(&*tenant, &order, &change).await?;
                    Ok(values(&outcome))
                }
                (Work::Ask(question, user), Some(accounts)) => answer(&*accounts, question, user).await,
                // Such an action was not found.
                (Work::Ask(..), None) => Err(Fault::internal("nobody follows accounts")),
            }
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
