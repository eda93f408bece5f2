//! The way to Coupa, judged by the first exchange. That exchange is the one a sync begins with, so that the proxies and authorities of this
//! machine count as they count there. Pure.

use std::time::Duration;

use crate::coupa::auth::{Denied, no_token};
use crate::coupa::endpoint::Endpoint;
use crate::coupa::trouble::{TlsFlaw, Trouble};
use crate::model::checkup::{Area, Chart, Check, Finding};
use crate::model::fault::Fault;

use super::given_up;

/// The steps of the way. Where several checks share one, the first flaw ends it and nothing is known of the others.
const STEPS: [&[Check]; 6] = [
    &[Check::HostResolves],
    &[Check::HostConnects],
    &[Check::TlsHandshake],
    &[Check::TlsValidity, Check::TlsAuthority, Check::TlsName],
    &[Check::HostAnswers],
    &[Check::RateAnswered],
];

/// Notes how far the first exchange came.
pub(super) fn judge(endpoint: &Endpoint, first: &Result<(), Denied>, waited: Duration, chart: &mut Chart) {
    let end = end(first);
    for step in STEPS {
        if let Some((check, fault)) = &end
            && step.contains(check)
        {
            chart.note(given_up(Finding::failing(*check, fault), waited));
            chart.wait(&STEPS.concat(), *check);
            return;
        }
        for check in step.iter().filter(|check| **check != Check::RateAnswered) {
            chart.note(passed(*check, endpoint));
        }
    }
}

fn passed(check: Check, endpoint: &Endpoint) -> Finding {
    if check.area() == Area::Tls && !endpoint.is_https() {
        return Finding::not_needed(check, "plain http, which never leaves this machine");
    }
    let saw = match check {
        Check::HostResolves | Check::HostConnects => endpoint.host(),
        Check::TlsName => "it does",
        Check::HostAnswers => "its token endpoint answers",
        _ => "it is accepted",
    };
    Finding::fine(check, saw)
}

/// The check at which the exchange ended; `None` if Coupa answered, be it with a no.
fn end(first: &Result<(), Denied>) -> Option<(Check, Fault)> {
    let failure = match first {
        Ok(()) | Err(Denied::Refused(_)) => return None,
        Err(Denied::Unusable(fault)) => return Some((Check::HostAnswers, fault.clone())),
        Err(Denied::Failed(failure)) => failure,
    };
    let check = match failure.trouble {
        // Answers of a token endpoint about the client.
        Trouble::Forbidden | Trouble::Rejected(_) => return None,
        Trouble::UnknownHost => Check::HostResolves,
        Trouble::Unreachable => Check::HostConnects,
        Trouble::Tls(TlsFlaw::Handshake) => Check::TlsHandshake,
        Trouble::Tls(TlsFlaw::Expired | TlsFlaw::NotYetValid) => Check::TlsValidity,
        Trouble::Tls(TlsFlaw::UnknownAuthority | TlsFlaw::Unsound) => Check::TlsAuthority,
        Trouble::Tls(TlsFlaw::OtherName) => Check::TlsName,
        Trouble::TooMany { .. } => Check::RateAnswered,
        _ => Check::HostAnswers,
    };
    Some((check, no_token(failure.clone())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::coupa::auth::Refusal;
    use crate::coupa::trouble::{Failure, Object, Surface};

    fn failed(trouble: Trouble) -> Result<(), Denied> {
        Err(Denied::Failed(Failure::new(
            Object::Token,
            Surface::Rest,
            trouble,
        )))
    }

    fn chart(base: &str, first: &Result<(), Denied>) -> Chart {
        let mut chart = Chart::default();
        let endpoint = Endpoint::from_base_url(base).unwrap();
        judge(&endpoint, first, Duration::from_secs(7), &mut chart);
        chart
    }

    #[test]
    fn each_trouble_ends_the_way_at_its_step() {
        for (trouble, check) in [
            (Trouble::UnknownHost, Check::HostResolves),
            (Trouble::Unreachable, Check::HostConnects),
            (Trouble::Tls(TlsFlaw::Handshake), Check::TlsHandshake),
            (Trouble::Tls(TlsFlaw::Expired), Check::TlsValidity),
            (Trouble::Tls(TlsFlaw::UnknownAuthority), Check::TlsAuthority),
            (Trouble::Tls(TlsFlaw::OtherName), Check::TlsName),
            (Trouble::Timeout, Check::HostAnswers),
            (Trouble::Redirect(302), Check::HostAnswers),
            (Trouble::NotJson, Check::HostAnswers),
            (Trouble::TooMany { retry_after: None }, Check::RateAnswered),
        ] {
            let mut chart = chart("https://acme.coupahost.com", &failed(trouble.clone()));
            let at = STEPS.iter().position(|step| step.contains(&check)).unwrap();
            for before in STEPS[..at].iter().copied().flatten() {
                assert_eq!(chart.obstacle(&[*before]), None, "{trouble} passes {before}");
            }
            for behind in STEPS[at..].iter().copied().flatten() {
                assert_eq!(
                    chart.obstacle(&[*behind]),
                    Some(check),
                    "{trouble} hides {behind}"
                );
            }
            chart.wait(&Check::ALL, check);
            let report = chart.finish();
            assert_eq!(report.failing().count(), 1, "{trouble}");
            let (failing, _) = report.failing().next().unwrap();
            assert!(
                failing.details.iter().any(|line| line.contains("7 s")),
                "{failing:?}"
            );
        }
    }

    #[test]
    fn a_no_of_coupa_is_an_answer() {
        for first in [
            Ok(()),
            Err(Denied::Refused(Refusal::Client)),
            failed(Trouble::Forbidden),
        ] {
            let chart = chart("http://127.0.0.1:1", &first);
            assert_eq!(chart.obstacle(&Check::ALL), None);
        }
    }
}
