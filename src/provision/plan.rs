//! What a change would send: the same reads and refusals, and no write.

use crate::model::access::Item;
use crate::model::change::{
    AccountDraft, Activity, Call, Change, Effect, EmptyForm, OnInactive, Plan, PlannedRequest,
};
use crate::model::fault::Fault;
use crate::model::id::{GroupId, UserId};
use crate::model::journal::Held;

use super::accounts::{Taken, gives_no_license};
use super::apply::{element, is_already};
use super::decide::{less, listed, subject, union, wanted};
use super::engine::Engine;
use super::flags::license_calls;
use super::fresh::Seen;
use super::lists::Place;

const STILL_THERE: &str = "if Coupa adds to lists, so the item is still there after that";
const NO_NULL: &str = "if the tenant takes no null";
const NO_ROW: &str = "if the tenant does not delete memberships";
const OTHER_SPELLING: &str = "if the first spelling has no effect";

impl Engine {
    pub(super) async fn plan(&self, change: &Change) -> Result<Plan, Fault> {
        if let Change::Create { draft, on_inactive } = change {
            return self.plan_creation(draft, *on_inactive).await;
        }
        let user = change
            .user()
            .ok_or_else(|| Fault::internal("a change of an account names none"))?;
        self.nothing_open(user).await?;
        gives_no_license(change)?;
        let seen = self.look_for(change, user).await?;
        let subject = subject(change);
        let before = element(&subject, &seen);
        if is_already(change, &subject, &seen) {
            return Ok(nothing(user, Effect::AlreadySo, before));
        }
        let _cleared = self.clear(change, &seen).await?;
        let after = wanted(&subject, &before);
        let requests = self.requests(change, &seen).await?;
        Ok(Plan {
            effect: Effect::Made,
            user: Some(user),
            before,
            after,
            requests,
            findings: Vec::new(),
        })
    }

    async fn plan_creation(&self, draft: &AccountDraft, on_inactive: OnInactive) -> Result<Plan, Fault> {
        self.licenses_can_be_given(draft).await?;
        let (user, call, effect) = match self.taken(draft).await? {
            Taken::No => (None, Call::Create(Box::new(draft.clone())), Effect::Made),
            Taken::Inactive(seen) if on_inactive == OnInactive::Reactivate => {
                let user = seen.user.id;
                self.nothing_open(user).await?;
                let to = Activity::Active;
                let _cleared = self.clear(&Change::SetActive { user, to }, &seen).await?;
                (Some(user), Call::SetActive { user, to }, Effect::Reactivated)
            }
            Taken::Active(seen) | Taken::Inactive(seen) => {
                let active = Held::Flag(seen.user.active);
                return Ok(nothing(seen.user.id, Effect::Existed, active));
            }
        };
        let before = user.map_or(Held::Nothing, |_| Held::Flag(false));
        Ok(Plan {
            effect,
            user,
            before,
            after: Held::Flag(true),
            requests: vec![self.calls.request(&call)],
            findings: Vec::new(),
        })
    }

    async fn requests(&self, change: &Change, seen: &Seen) -> Result<Vec<PlannedRequest>, Fault> {
        let user = seen.user.id;
        let calls = match change {
            Change::Grant { item, .. } => match listed(item) {
                Ok((list, id)) => {
                    let place = Place { user, list, id };
                    vec![(place.put(union(&seen.ids(list), &[id])), None)]
                }
                Err(name) => in_turn(license_calls(user, name, true)),
            },
            Change::Revoke { item, .. } => match listed(item) {
                Ok((list, id)) => self.taking(&Place { user, list, id }, item, seen).await,
                Err(name) => in_turn(license_calls(user, name, false)),
            },
            Change::SetActive { to, .. } => vec![(Call::SetActive { user, to: *to }, None)],
            Change::Update { draft, .. } => {
                let draft = draft.clone();
                vec![(Call::Update { user, draft }, None)]
            }
            Change::Create { .. } => Vec::new(),
        };
        Ok(calls
            .into_iter()
            .map(|(call, condition)| PlannedRequest {
                condition,
                ..self.calls.request(&call)
            })
            .collect())
    }

    async fn taking(&self, place: &Place, item: &Item, seen: &Seen) -> Vec<(Call, Condition)> {
        let rows = match item {
            Item::Group(group) => self.rows(place.user, *group).await,
            Item::Role(_) | Item::License(_) => Vec::new(),
        };
        let list_way = (!rows.is_empty()).then_some(NO_ROW);
        let keep = less(&seen.ids(place.list), &[place.id]);
        let clear = |form| Call::ClearList {
            user: place.user,
            list: place.list,
            form,
        };
        let mut calls = rows;
        if keep.is_empty() {
            calls.push((clear(EmptyForm::Null), list_way));
            calls.push((clear(EmptyForm::Brackets), Some(NO_NULL)));
            return calls;
        }
        calls.push((place.put(keep.clone()), list_way));
        calls.push((clear(EmptyForm::Null), Some(STILL_THERE)));
        calls.push((place.put(keep.clone()), Some(STILL_THERE)));
        calls.push((clear(EmptyForm::Brackets), Some(NO_NULL)));
        calls.push((place.put(keep), Some(NO_NULL)));
        calls
    }

    async fn rows(&self, user: UserId, group: GroupId) -> Vec<(Call, Condition)> {
        let rows = self.calls.memberships(user, group).await.unwrap_or_default();
        rows.into_iter()
            .map(|row| (Call::DeleteMembership(row), None))
            .collect()
    }
}

type Condition = Option<&'static str>;

fn in_turn(calls: Vec<Call>) -> Vec<(Call, Condition)> {
    let condition = |n: usize| (n > 0).then_some(OTHER_SPELLING);
    calls
        .into_iter()
        .enumerate()
        .map(|(n, call)| (call, condition(n)))
        .collect()
}

fn nothing(user: UserId, effect: Effect, held: Held) -> Plan {
    Plan {
        effect,
        user: Some(user),
        before: held.clone(),
        after: held,
        requests: Vec::new(),
        findings: Vec::new(),
    }
}
