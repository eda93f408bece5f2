//! The platform that drives a daemon: the form of the credentials, and whether its host takes connections. Nothing is sent there.

use secrecy::ExposeSecret as _;

use super::reach;
use crate::config::PlatformLogin;
use crate::model::checkup::{Chart, Check, Finding};
use crate::model::fault::Fault;
use crate::platform::{Credentials, Host};

pub(super) async fn examine(login: Option<&PlatformLogin>, chart: &mut Chart) {
    let Some(login) = login else {
        for check in [Check::PlatformCredentials, Check::PlatformHost] {
            chart.note(Finding::not_needed(
                check,
                "no daemon is configured (--client-id)",
            ));
        }
        return;
    };
    let host = match host(login) {
        Ok(host) => host,
        Err(fault) => {
            chart.note(Finding::failing(Check::PlatformCredentials, &fault));
            chart.wait(&[Check::PlatformHost], Check::PlatformCredentials);
            return;
        }
    };
    chart.note(Finding::fine(Check::PlatformCredentials, "they have"));
    // An IPv6 address stands in brackets there.
    let name = host.name().trim_start_matches('[').trim_end_matches(']');
    chart.note(match reach::connect(name, host.port()).await {
        Ok(()) => Finding::fine(Check::PlatformHost, format!("{}:{}", host.name(), host.port())),
        Err(fault) => Finding::failing(Check::PlatformHost, &fault),
    });
}

/// Where the platform is, if everything that says who we are there can be read.
fn host(login: &PlatformLogin) -> Result<Host, Fault> {
    let credentials =
        Credentials::parse(&login.client_id, login.client_secret.expose_secret()).map_err(|errors| {
            let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Fault::invalid(texts.join(", ")).advise(
                "copy --client-id and --client-secret anew, whole, from where the platform showed them",
            )
        })?;
    match &login.api_host {
        None => Ok(credentials.host().clone()),
        Some(text) => text.parse().map_err(|error| {
            Fault::invalid(format!("BATON_C1_API_HOST: {error}")).advise("set it anew, or leave it out")
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn whatever_cannot_be_read_is_named_without_being_repeated() {
        let login = PlatformLogin {
            client_id: "happy-fox".into(),
            client_secret: "sentinel-4711".into(),
            api_host: None,
        };
        let mut chart = Chart::default();
        examine(Some(&login), &mut chart).await;
        let report = chart.finish();
        let finding = |check| {
            report
                .findings()
                .iter()
                .find(|found| found.check == check)
                .unwrap()
        };
        let credentials = finding(Check::PlatformCredentials);
        assert_eq!(credentials.saw, "invalid client id, invalid client secret");
        assert!(!format!("{report:?}").contains("4711"));
        assert_eq!(
            finding(Check::PlatformHost).saw,
            "not examined: waits for platform-credentials"
        );
    }
}
