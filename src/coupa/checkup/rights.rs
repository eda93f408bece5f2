//! The client, and each scope by itself: a token request for one scope costs one request, writes nothing, and names the one that is missing.

use std::time::{Duration, Instant};

use crate::coupa::auth::{
    Denied, READ_GROUPS, READ_ROLES, READ_USERS, Refusal, WRITE_MEMBERSHIPS, WRITE_USERS, lacks, no_token,
    refused,
};
use crate::coupa::client::Client;
use crate::coupa::trouble::Trouble;
use crate::model::checkup::{Chart, Check, Finding};

use super::blame;

/// A scope that is asked for.
pub(super) struct Ask {
    pub(super) check: Check,
    /// One.
    pub(super) scopes: &'static [&'static str],
    /// What it gives.
    gives: &'static str,
}

const fn ask(check: Check, scopes: &'static [&'static str], gives: &'static str) -> Ask {
    Ask { check, scopes, gives }
}

/// What reading needs; users, groups and roles in this order.
pub(super) const READS: [Ask; 3] = [
    ask(Check::ScopeUserRead, &[READ_USERS], "users, and what they hold"),
    ask(Check::ScopeUserGroupRead, &[READ_GROUPS], "groups and projects"),
    ask(Check::ScopeCommonRead, &[READ_ROLES], "roles"),
];

/// What changes need beyond that.
pub(super) const WRITES: [Ask; 2] = [
    ask(Check::ScopeUserWrite, &[WRITE_USERS], "changes of users"),
    ask(
        Check::ScopeUserGroupWrite,
        &[WRITE_MEMBERSHIPS],
        "removal of single group memberships",
    ),
];

/// Notes whether Coupa accepts the client at all, scopes apart.
pub(super) fn client(first: &Result<(), Denied>, chart: &mut Chart) {
    let fault = match first {
        Ok(()) | Err(Denied::Refused(Refusal::Scope)) => {
            chart.note(Finding::fine(Check::TokenClient, "accepted"));
            return;
        }
        Err(Denied::Refused(refusal)) => refused(*refusal),
        Err(Denied::Failed(failure)) => no_token(failure.clone()),
        Err(Denied::Unusable(fault)) => fault.clone(),
    };
    chart.note(Finding::failing(Check::TokenClient, &fault));
}

/// Asks for one scope, unless something is known to be in the way.
pub(super) async fn examine(ask: &Ask, client: &Client, chart: &mut Chart) {
    if let Some(root) = chart.obstacle(&[Check::TokenClient, Check::RateAnswered]) {
        chart.wait(&[ask.check], root);
        return;
    }
    let began = Instant::now();
    let answer = client.probe_token().await;
    scope(ask, answer, began.elapsed(), chart);
}

/// Notes what the answer to a request for one scope says.
pub(super) fn scope(ask: &Ask, answer: Result<(), Denied>, waited: Duration, chart: &mut Chart) {
    let granted = || format!("granted: {}", ask.gives);
    match answer {
        Ok(()) => chart.note(Finding::fine(ask.check, granted())),
        Err(Denied::Refused(Refusal::Scope)) => {
            chart.note(Finding::failing(ask.check, &lacks(&ask.scopes.join(" "))));
        }
        Err(Denied::Failed(failure)) if !is_about_the_client(&failure.trouble) => {
            blame(ask.check, &no_token(failure), waited, chart);
        }
        // Whatever else is said concerns the client.
        denied => {
            client(&denied, chart);
            chart.wait(&[ask.check], Check::TokenClient);
        }
    }
}

const fn is_about_the_client(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Forbidden | Trouble::Rejected(_))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::coupa::trouble::{Failure, Object, Surface};
    use crate::model::fault::FaultKind;

    fn chart(first: Result<(), Denied>) -> Chart {
        let mut chart = Chart::default();
        client(&first, &mut chart);
        scope(&READS[0], first, Duration::ZERO, &mut chart);
        chart
    }

    #[test]
    fn client_and_scope_are_kept_apart() {
        let lacking = chart(Err(Denied::Refused(Refusal::Scope)));
        assert_eq!(lacking.obstacle(&[Check::TokenClient]), None);
        assert_eq!(
            lacking.obstacle(&[Check::ScopeUserRead]),
            Some(Check::ScopeUserRead)
        );
        for first in [
            Err(Denied::Refused(Refusal::Client)),
            Err(Denied::Refused(Refusal::Grant)),
            Err(Denied::Failed(Failure::new(
                Object::Token,
                Surface::Rest,
                Trouble::Forbidden,
            ))),
        ] {
            let unknown = chart(first);
            assert_eq!(
                unknown.obstacle(&[Check::ScopeUserRead]),
                Some(Check::TokenClient)
            );
        }
    }

    #[test]
    fn the_missing_scope_is_named() {
        let mut chart = chart(Err(Denied::Refused(Refusal::Scope)));
        chart.wait(&Check::ALL, Check::ScopeUserRead);
        let fault = chart.finish().outcome().unwrap_err();
        assert!(matches!(fault.kind(), FaultKind::MissingScope { scope } if scope == READ_USERS));
    }
}
