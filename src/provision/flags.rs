//! Single elements: license flags, whether an account is active, elements of an account.
//!
//! Invariant: an element counts as set when Coupa shows it so, and in no other case.

use crate::model::access::Item;
use crate::model::change::{Call, Spelling};
use crate::model::fault::FaultKind;
use crate::model::id::{LicenseName, UserId};

use super::fresh::{Seen, Ways};
use super::lists::Said;
use super::run::{Reply, Run, Stop};

/// Licenses whose key Coupa's own pages write with underscores.
const DOUBTFUL_SPELLING: [&str; 4] = [
    "category-planner-user",
    "category-strategy-user",
    "invoicing-user",
    "treasury-user",
];

/// The ways to set a license, the documented one first.
pub(super) fn license_calls(user: UserId, name: &LicenseName, held: bool) -> Vec<Call> {
    let call = |spelling| Call::SetLicense {
        user,
        name: name.clone(),
        held,
        spelling,
    };
    if DOUBTFUL_SPELLING.contains(&name.as_str()) {
        vec![call(Spelling::Dashed), call(Spelling::Underscored)]
    } else {
        vec![call(Spelling::Dashed)]
    }
}

impl Run<'_> {
    /// Sets a license.
    pub(super) async fn set_license(
        &mut self,
        user: UserId,
        name: &LicenseName,
        held: bool,
    ) -> Result<Seen, Stop> {
        let item = Item::License(name.clone());
        self.set(&license_calls(user, name, held), |seen| seen.holds(&item) == held)
            .await
    }

    /// Sends each call in turn until the user is as wanted.
    pub(super) async fn set(
        &mut self,
        calls: &[Call],
        wanted: impl Fn(&Seen) -> bool + Send + Sync,
    ) -> Result<Seen, Stop> {
        let mut said = Said::default();
        for (n, call) in calls.iter().enumerate() {
            let last = n + 1 == calls.len();
            if let Some(seen) = self.set_by(call, &wanted, &mut said, last).await? {
                return Ok(seen);
            }
        }
        Err(said.stop(self))
    }

    /// One call, again for as long as it fails for a passing reason.
    async fn set_by(
        &mut self,
        call: &Call,
        wanted: &(impl Fn(&Seen) -> bool + Send + Sync),
        said: &mut Said,
        last: bool,
    ) -> Result<Option<Seen>, Stop> {
        for _ in 0..self.engine.config.attempts {
            let unclear = match self.send(call).await? {
                // Another spelling may be understood, or was, and what came of that tells more.
                Reply::Refused(fault)
                    if (!last || said.has_accepted()) && *fault.kind() == FaultKind::Invalid =>
                {
                    return Ok(None);
                }
                Reply::Refused(fault) => {
                    said.refused(self, fault).await?;
                    continue;
                }
                Reply::Accepted(_) => None,
                Reply::Unclear(fault) => Some(fault),
            };
            let seen = self.shown(Ways::One, wanted).await.map_err(Stop::unproved)?;
            self.landed();
            if wanted(&seen) {
                return Ok(Some(seen));
            }
            let Some(fault) = unclear else {
                said.accepted();
                return Ok(None);
            };
            said.unclear(self, fault).await?;
        }
        Ok(None)
    }
}
