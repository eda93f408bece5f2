//! How a write that failed is told: why, and whether Coupa may have acted all the same.
//!
//! Invariant: no text repeats a body, but for what Coupa says about an account it does not accept, without the values of the draft.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;

use crate::coupa::retry::acted;
use crate::coupa::trouble::{Failure, Object, Surface, Trouble};
use crate::model::change::{AccountDraft, Call, CallFailure, MembershipId};
use crate::model::fault::{Fault, FaultKind};

use super::complaint::complaint;
use super::request::right;

/// Wait after a 429 without `Retry-After`: Coupa's rate counts in seconds, and a list that is to be written grows old.
const QUIET_WAIT: Duration = Duration::from_secs(2);

/// The longest wait that is passed on.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

const TRY_LATER: &str = "try again later";

/// How long to send nothing after a 429.
pub(super) fn rest(retry_after: Option<Duration>) -> Duration {
    retry_after.unwrap_or(QUIET_WAIT).min(LONGEST_WAIT)
}

/// What became of `call`. `said` is the body of a refusal.
pub(super) fn call_failure(call: &Call, trouble: &Trouble, said: &[u8]) -> CallFailure {
    CallFailure {
        fault: tell(call, trouble, said),
        acted: acted(trouble),
    }
}

/// What was being done.
fn deed(call: &Call) -> Cow<'static, str> {
    match call {
        Call::PutList { user, .. }
        | Call::ClearList { user, .. }
        | Call::SetLicense { user, .. }
        | Call::SetActive { user, .. }
        | Call::Update { user, .. } => format!("the change of user {user}").into(),
        Call::DeleteMembership(MembershipId(id)) => format!("the removal of group membership {id}").into(),
        Call::Create(_) => "the creation of a user".into(),
    }
}

/// The draft whose values an error text may repeat.
fn draft(call: &Call) -> Option<&AccountDraft> {
    match call {
        Call::Update { draft, .. } | Call::Create(draft) => Some(draft),
        Call::PutList { .. }
        | Call::ClearList { .. }
        | Call::DeleteMembership(_)
        | Call::SetLicense { .. }
        | Call::SetActive { .. } => None,
    }
}

fn tell(call: &Call, trouble: &Trouble, said: &[u8]) -> Fault {
    let deed = deed(call);
    let unavailable = |message: String| Fault::unavailable(message);
    match trouble {
        Trouble::TokenTooFresh => unavailable(format!(
            "Coupa does not know yet the token for writing that it issued seconds ago (401 on {deed})"
        ))
        .advise("try again in some seconds"),
        Trouble::TokenSuperseded | Trouble::TokenRefused => Fault::new(
            FaultKind::Unauthenticated,
            format!("Coupa does not accept the token for writing that it issued (401 on {deed})"),
        )
        .advise("check that the OAuth client is still active in Coupa"),
        Trouble::Forbidden => forbidden(call, &deed),
        Trouble::NotFound => not_found(call),
        Trouble::Rejected(status) => rejected(call, *status, said),
        Trouble::Redirect(status) => unavailable(format!(
            "the host answers {deed} with a redirect ({status}), which is not followed"
        ))
        .advise("check that the Coupa domain is right"),
        Trouble::Server { status, .. } => unavailable(format!("Coupa fails on {deed} ({status})")).advise(TRY_LATER),
        Trouble::TooMany { retry_after } => Fault::new(
            FaultKind::RateLimited {
                until: Timestamp::now().checked_add(rest(*retry_after)).unwrap_or(Timestamp::MAX),
            },
            format!("Coupa asks to slow down and did not take {deed} (429)"),
        )
        .advise("other integrations may use up the instance's limit; lower the requests per second or try again later"),
        Trouble::Timeout => unavailable(format!("Coupa did not answer in time to {deed}"))
            .advise("check the network, or try again later"),
        Trouble::Lost => unavailable(format!("the connection to Coupa broke during {deed}")).advise(TRY_LATER),
        Trouble::CutOff => unavailable(format!("Coupa's answer to {deed} was cut off")).advise(TRY_LATER),
        Trouble::NotJson => unavailable(format!("the host answers {deed} with something that is not JSON"))
            .advise("check the Coupa domain, and for a proxy or a maintenance page"),
        Trouble::TooLarge => Fault::corrupt(format!("Coupa's answer to {deed} is larger than any answer can be")),
        Trouble::Late => unavailable(format!("{deed} waited too long for its turn and was not sent")).advise(TRY_LATER),
        // These speak of host and client, not of what was asked; the last ones are known to reads only.
        Trouble::NoToken(_)
        | Trouble::UnknownHost
        | Trouble::Unreachable
        | Trouble::Tls(_)
        | Trouble::Ours
        | Trouble::GraphqlRefused { .. }
        | Trouble::GraphqlPartial
        | Trouble::Shape { .. }
        | Trouble::Endless
        | Trouble::Unheeded => Failure::new(Object::Users, Surface::Rest, trouble.clone()).into(),
    }
}

fn forbidden(call: &Call, deed: &str) -> Fault {
    let scope = right(call).scope();
    Fault::new(
        FaultKind::MissingScope {
            scope: Cow::Borrowed(scope),
        },
        format!("Coupa refuses {deed} (403)"),
    )
    .advise(format!(
        "give the OAuth client in Coupa the scope {scope} and access to the API"
    ))
}

fn not_found(call: &Call) -> Fault {
    match call {
        Call::PutList { user, .. }
        | Call::ClearList { user, .. }
        | Call::SetLicense { user, .. }
        | Call::SetActive { user, .. }
        | Call::Update { user, .. } => Fault::new(
            FaultKind::NotFound,
            format!("Coupa has no such user: {user} (404)"),
        ),
        Call::DeleteMembership(_) => {
            not_offered("Coupa has no such membership, or does not offer to remove memberships (404)")
        }
        Call::Create(_) => not_offered("Coupa has no path for the creation of users (404)"),
    }
}

fn not_offered(message: &'static str) -> Fault {
    Fault::new(FaultKind::Unsupported, message)
}

fn rejected(call: &Call, status: u16, said: &[u8]) -> Fault {
    let complaint = draft(call).and_then(|draft| complaint(said, draft));
    let kind = match status {
        _ if complaint.as_ref().is_some_and(|complaint| complaint.taken) => FaultKind::Conflict,
        405 => FaultKind::Unsupported,
        409 => FaultKind::Conflict,
        _ => FaultKind::Invalid,
    };
    let deed = deed(call);
    let fault = Fault::new(kind, format!("Coupa rejects {deed} ({status})"));
    match complaint {
        Some(complaint) => fault.quoting(complaint.text),
        None => fault,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::coupa::trouble::TlsFlaw;
    use crate::model::change::{Acted, Activity, ListKind};
    use crate::model::id::UserId;

    fn user() -> UserId {
        UserId::new(42).unwrap()
    }

    fn calls() -> [Call; 4] {
        [
            Call::PutList {
                user: user(),
                list: ListKind::Roles,
                ids: vec![1],
            },
            Call::DeleteMembership(MembershipId(7)),
            Call::SetActive {
                user: user(),
                to: Activity::Inactive,
            },
            Call::Create(Box::new(AccountDraft {
                login: Some("sentinel".into()),
                ..AccountDraft::default()
            })),
        ]
    }

    fn server(status: u16) -> Trouble {
        Trouble::Server {
            status,
            retry_after: None,
        }
    }

    #[test]
    fn what_may_have_happened_all_the_same() {
        let [call, ..] = calls();
        let unclear = [
            server(408),
            server(500),
            server(503),
            Trouble::Timeout,
            Trouble::Lost,
            Trouble::CutOff,
            Trouble::NotJson,
            Trouble::TooLarge,
        ];
        let clear = [
            Trouble::TokenRefused,
            Trouble::TokenTooFresh,
            Trouble::Forbidden,
            Trouble::NotFound,
            Trouble::Rejected(400),
            Trouble::Redirect(302),
            Trouble::TooMany { retry_after: None },
            Trouble::UnknownHost,
            Trouble::Unreachable,
            Trouble::Tls(TlsFlaw::Expired),
            Trouble::Late,
            Trouble::NoToken(Box::new(Fault::unavailable("x"))),
        ];
        for trouble in unclear {
            assert_eq!(
                call_failure(&call, &trouble, &[]).acted,
                Acted::Perhaps,
                "{trouble}"
            );
        }
        for trouble in clear {
            assert_eq!(call_failure(&call, &trouble, &[]).acted, Acted::No, "{trouble}");
        }
    }

    #[test]
    fn no_text_speaks_of_reading() {
        for call in calls() {
            for trouble in [
                Trouble::TokenSuperseded,
                Trouble::TokenTooFresh,
                Trouble::TokenRefused,
                Trouble::Forbidden,
                Trouble::NotFound,
                Trouble::Rejected(422),
                Trouble::Redirect(302),
                server(500),
                Trouble::TooMany { retry_after: None },
                Trouble::Timeout,
                Trouble::Lost,
                Trouble::CutOff,
                Trouble::NotJson,
                Trouble::TooLarge,
                Trouble::Late,
                Trouble::Unreachable,
            ] {
                let text = tell(&call, &trouble, &[]).to_string();
                assert!(!text.contains("read") && !text.contains(" show"), "{text}");
            }
        }
    }

    #[test]
    fn a_refusal_names_the_scope_for_writing() {
        for (call, scope) in calls().iter().zip([
            "core.user.write",
            "core.user_group.write",
            "core.user.write",
            "core.user.write",
        ]) {
            let fault = tell(call, &Trouble::Forbidden, &[]);
            assert!(matches!(fault.kind(), FaultKind::MissingScope { scope: named } if named == scope));
            assert!(fault.advice().unwrap().contains(scope));
        }
    }

    #[test]
    fn statuses_have_kinds() {
        let [put, delete, _, create] = calls();
        for (call, trouble, kind) in [
            (&put, Trouble::NotFound, FaultKind::NotFound),
            (&delete, Trouble::NotFound, FaultKind::Unsupported),
            (&delete, Trouble::Rejected(405), FaultKind::Unsupported),
            (&create, Trouble::NotFound, FaultKind::Unsupported),
            (&put, Trouble::Rejected(400), FaultKind::Invalid),
            (&put, Trouble::Rejected(409), FaultKind::Conflict),
            (&put, Trouble::Rejected(422), FaultKind::Invalid),
            (&put, server(503), FaultKind::Unavailable),
            (&put, Trouble::TokenTooFresh, FaultKind::Unavailable),
            (&put, Trouble::TokenRefused, FaultKind::Unauthenticated),
            (&put, Trouble::Late, FaultKind::Unavailable),
        ] {
            assert_eq!(tell(call, &trouble, &[]).kind(), &kind, "{trouble}");
        }
    }

    #[test]
    fn a_limit_is_short_where_coupa_names_no_time() {
        assert_eq!(rest(None), QUIET_WAIT);
        assert_eq!(rest(Some(Duration::from_hours(7))), LONGEST_WAIT);
        let [call, ..] = calls();
        let fault = tell(&call, &Trouble::TooMany { retry_after: None }, &[]);
        let FaultKind::RateLimited { until } = fault.kind() else {
            panic!("{fault:?}");
        };
        assert!(until.duration_since(Timestamp::now()).as_secs() <= 2);
    }

    #[test]
    fn coupa_s_own_text_is_passed_on_for_accounts_only() {
        let body = br#"{"errors":{"user":["Login sentinel has already been taken"]}}"#;
        let [put, _, _, create] = calls();
        let fault = tell(&create, &Trouble::Rejected(400), body);
        assert_eq!(fault.kind(), &FaultKind::Conflict);
        assert_eq!(
            fault.to_string(),
            "Coupa rejects the creation of a user (400): Login [login] has already been taken"
        );
        assert!(!format!("{fault:?}").contains("sentinel"));
        let fault = tell(&put, &Trouble::Rejected(400), body);
        assert_eq!(fault.kind(), &FaultKind::Invalid);
        assert_eq!(fault.to_string(), "Coupa rejects the change of user 42 (400)");
    }
}
