//! Writing to a tenant: one request for each [`Call`], and the look-ups a change needs before it.
//!
//! Invariant: a call is one exchange; it reaches Coupa a second time only if the first was turned away for its token. What is sent is
//! what [`WriteCalls::request`] shows, since one function builds both. Nothing is claimed from an answer but that it came.

mod complaint;
mod lookup;
mod refusal;
mod request;

use async_trait::async_trait;

use crate::model::change::{
    Accepted, AccountKey, Call, CallFailure, ListKind, MembershipId, PlannedRequest, WriteCalls,
};
use crate::model::fault::Fault;
use crate::model::id::{GroupId, UserId};

use super::Coupa;
use super::trouble::Trouble;
use super::wire;

#[async_trait]
impl WriteCalls for Coupa {
    async fn check(&self) -> Result<(), Fault> {
        let may = self.client.may_write().await;
        may.map_err(|fault| fault.context(self.client.host()))
    }

    async fn send(&self, call: &Call) -> Result<Accepted, CallFailure> {
        let planned = request::planned(call);
        let answer = match self.client.write(request::right(call), &planned).await {
            Ok(answer) => answer,
            Err(failure) => {
                let told = refusal::call_failure(call, &failure.trouble, &[]);
                return Err(match failure.detail {
                    Some(detail) => CallFailure {
                        fault: told.fault.because(detail),
                        ..told
                    },
                    None => told,
                });
            }
        };
        let Some(trouble) = answer.trouble() else {
            return accepted(call, &answer.body);
        };
        if let Trouble::TooMany { retry_after } = trouble {
            self.client.slow_down(refusal::rest(retry_after));
        }
        Err(refusal::call_failure(call, &trouble, &answer.body))
    }

    fn request(&self, call: &Call) -> PlannedRequest {
        request::planned(call)
    }

    async fn memberships(&self, user: UserId, group: GroupId) -> Result<Vec<MembershipId>, Fault> {
        lookup::memberships(&self.client, user, group).await
    }

    async fn accounts(&self, key: AccountKey<'_>) -> Result<Vec<UserId>, Fault> {
        lookup::accounts(&self.client, key).await
    }

    async fn own_account(&self) -> Result<Option<UserId>, Fault> {
        lookup::own_account(&self.client).await
    }
}

/// What a success amounts to. A page of a proxy, or half an answer, is no word of Coupa's.
fn accepted(call: &Call, body: &[u8]) -> Result<Accepted, CallFailure> {
    let number = wire::number_in(body).map_err(|trouble| refusal::call_failure(call, &trouble, &[]))?;
    let mut accepted = Accepted::default();
    match call {
        Call::Create(_) => accepted.created = number.and_then(UserId::new),
        Call::PutList { list, .. } => accepted.list = wire::list_in(body, element(*list)),
        Call::ClearList { .. }
        | Call::DeleteMembership(_)
        | Call::SetLicense { .. }
        | Call::SetActive { .. }
        | Call::Update { .. } => {}
    }
    Ok(accepted)
}

const fn element(list: ListKind) -> wire::List {
    match list {
        ListKind::Roles => wire::List::Roles,
        ListKind::Groups => wire::List::Groups,
    }
}
