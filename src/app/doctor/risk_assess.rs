//! Risk Assess as it is configured: whether the settings fit together, whether the login that delivers is accepted, and the mail server.
//!
//! Invariant: nothing is delivered and nothing is mailed. The one request that goes to Risk Assess is a file without rows.

use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::reach;
use crate::app::risk_assess::login;
use crate::config::{ReportSettings, RiskAssessLogin, RiskAssessSettings};
use crate::model::checkup::{Chart, Check, Finding};
use crate::model::fault::{Fault, FaultKind};
use crate::risk_assess::deliver::{Answered, FileForm, Post as _, Quick, Unanswered, UsersFile, judge};
use crate::risk_assess::mail::SmtpUrl;
use crate::risk_assess::{Contradiction, Delivery, RiskAssessConfig};

/// How long Risk Assess is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// `sandbox` is the login of an embedded tenant.
pub(super) async fn examine(
    settings: &RiskAssessSettings,
    sandbox: Option<&RiskAssessLogin>,
    chart: &mut Chart,
) {
    chart.note(fit_together(&settings.config));
    chart.note(match settings.config.delivery {
        Delivery::QuickIntegration => match sign_in(settings, sandbox).await {
            Ok(saw) => Finding::fine(Check::RiskAssessLogin, saw),
            Err(fault) => Finding::failing(Check::RiskAssessLogin, &fault),
        },
        Delivery::Native | Delivery::File => Finding::not_needed(
            Check::RiskAssessLogin,
            format!("delivery is {}", settings.config.delivery.name()),
        ),
    });
    chart.note(mail(&settings.reports).await);
}

fn fit_together(config: &RiskAssessConfig) -> Finding {
    let told = format!(
        "delivery {}, User Sync stated as {}",
        config.delivery.name(),
        config.user_sync.name()
    );
    match config.contradiction() {
        None => Finding::fine(Check::RiskAssessSettings, told),
        Some(Contradiction::NobodyDelivers) => {
            let fault = Fault::new(
                FaultKind::Refused,
                format!("{told}: nothing brings licensed users to Risk Assess"),
            );
            let fault = fault.advise(
                "have User Sync switched on and state it (--risk-assess-user-sync on), or choose another --risk-assess-delivery",
            );
            Finding::failing(Check::RiskAssessSettings, &fault)
        }
        Some(Contradiction::TwoDeliver) => Finding::warning(
            Check::RiskAssessSettings,
            format!(
                "{told}: accounts that User Sync keeps cannot be edited by an import, and are left out of ours"
            ),
            "leave delivery to User Sync (--risk-assess-delivery native), or have it switched off and state that",
        ),
    }
}

/// Sends the header of a file and no row. By the documents that makes and changes nothing, whatever the answer; a login that is not
/// accepted is told by 401 or 403 (D498).
async fn sign_in(settings: &RiskAssessSettings, sandbox: Option<&RiskAssessLogin>) -> Result<String, Fault> {
    let quick = Quick::new(login(sandbox, settings)?)?;
    let file = UsersFile::without_rows(FileForm::Csv)?;
    let answer = tokio::time::timeout(PATIENCE, quick.post(&file)).await;
    let answer = match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(Unanswered::NotSent(why) | Unanswered::Unknown(why))) => {
            return Err(Fault::unavailable("Risk Assess does not answer")
                .advise("check --risk-assess-url (or --risk-assess-tenant) and the network")
                .because(why));
        }
        Err(_) => {
            let told = format!("Risk Assess did not answer within {} s", PATIENCE.as_secs());
            return Err(Fault::unavailable(told).advise("try again later"));
        }
    };
    let status = answer.status;
    match judge(status, 0) {
        Answered::Unauthorised => Err(Fault::new(
            FaultKind::Unauthenticated,
            format!(
                "Risk Assess does not accept the login, or it is not in the group QuickIntegration ({status})"
            ),
        )
        .advise(
            "check --risk-assess-username and --risk-assess-password, and the login's groups in Risk Assess",
        )),
        Answered::Elsewhere => Err(Fault::unavailable(format!(
            "there is no import of users at this address ({status})"
        ))
        .advise("check --risk-assess-url (or --risk-assess-tenant)")),
        Answered::Failed => {
            Err(Fault::unavailable(format!("Risk Assess fails ({status})")).advise("try again later"))
        }
        Answered::Delivered
        | Answered::Accepted
        | Answered::Queued
        | Answered::Doubtful
        | Answered::Rejected => Ok(format!(
            "the login is not refused ({status} to a file without rows)"
        )),
    }
}

async fn mail(settings: &ReportSettings) -> Finding {
    let Some(url) = &settings.smtp_url else {
        return Finding::not_needed(Check::MailServer, "no mail server is configured (--smtp-url)");
    };
    let url: SmtpUrl = match url.expose_secret().parse() {
        Ok(url) => url,
        Err(error) => {
            let fault = Fault::invalid(format!("smtp-url: {error}"));
            return Finding::failing(Check::MailServer, &fault);
        }
    };
    if let Err(fault) = reach::connect(&url.server(), url.port()).await {
        return Finding::failing(
            Check::MailServer,
            &fault.advise("check host and port in --smtp-url and the network"),
        );
    }
    if settings.admin_email.is_none() {
        return Finding::warning(
            Check::MailServer,
            format!("{url} takes connections, but nobody is named who gets the mail"),
            "name the Default Site Administrator with --risk-assess-admin-email; until then reports are written to a directory",
        );
    }
    Finding::fine(
        Check::MailServer,
        format!("{url} takes connections; login and sender are not tried"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::checkup::Verdict;
    use crate::risk_assess::UserSync;

    #[test]
    fn contradictions_are_told_and_only_one_of_them_stops_the_work() {
        for delivery in Delivery::ALL {
            for user_sync in UserSync::ALL {
                let config = RiskAssessConfig {
                    delivery,
                    user_sync,
                    ..RiskAssessConfig::default()
                };
                let expected = match user_sync {
                    UserSync::Off if delivery == Delivery::Native => Verdict::Failing(FaultKind::Refused),
                    UserSync::On if delivery != Delivery::Native => Verdict::Warning,
                    UserSync::Off | UserSync::On | UserSync::Unknown => Verdict::Fine,
                };
                assert_eq!(fit_together(&config).verdict, expected, "{config:?}");
            }
        }
    }
}
