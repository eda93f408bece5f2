//! What of a tenant a first day goes wrong on, examined over HTTP: the way there, the client, each scope by itself, each object, and what
//! the probe of the reader sees.
//!
//! ```text
//! way (host, TLS) ─► rights (client, scopes) ─► objects (a row of each) ─► tenant (read plan, licenses, account classes)
//!                    clock and rate: from whatever was answered
//! ```
//!
//! Invariants: nothing is written, ever: token requests and reads. What the sync would use is used here: the same transport and pace, the same
//! readers. One lack is one failing finding: what cannot be examined because of it waits for it. Tries are short.

mod clock;
mod objects;
mod rate;
mod rights;
mod sample;
mod tenant;
mod way;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::model::checkup::{Chart, Check, Finding};
use crate::model::fault::{Fault, FaultKind};
use crate::model::tenant::{AccountClass, ReadTenant};

use super::auth::Denied;
use super::client::Client;
use super::config::{CoupaConfig, Timeouts};
use super::transport::Transport;
use rights::{READS, WRITES};

/// What the configured features come to, as far as the tenant is concerned.
#[derive(Debug, Clone)]
pub struct Wishes {
    /// Whether changes are to be made.
    pub changes: bool,
    /// Accounts to sync.
    pub classes: Vec<AccountClass>,
    /// Whether anything about Risk Assess is configured.
    pub risk_assess: bool,
    /// Whether assertions are signed for the platform, which lean on the clock.
    pub platform: bool,
}

/// Everything here that needs an answer of Coupa.
const ANSWERED: [Check; 24] = [
    Check::HostResolves,
    Check::HostConnects,
    Check::TlsHandshake,
    Check::TlsValidity,
    Check::TlsAuthority,
    Check::TlsName,
    Check::HostAnswers,
    Check::Clock,
    Check::TokenClient,
    Check::TokenAccepted,
    Check::ScopeUserRead,
    Check::ScopeUserGroupRead,
    Check::ScopeCommonRead,
    Check::ObjectUsers,
    Check::ObjectUserGroups,
    Check::ObjectRoles,
    Check::ScopeUserWrite,
    Check::ScopeUserGroupWrite,
    Check::Graphql,
    Check::ReadPlan,
    Check::LicenseCatalog,
    Check::LicenseRiskAssess,
    Check::AccountClasses,
    Check::RateAnswered,
];

/// How long one thing is tried: enough for a hiccup and for a new token to become known (Coupa: 5 s), and not too long for a person who waits.
const PATIENCE: Duration = Duration::from_secs(15);

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(5);

/// Examines the tenant, and notes what it finds. A reader, where the tenant can be read.
///
/// Sends some thirty requests; none of them writes.
pub async fn examine(
    mut config: CoupaConfig,
    wishes: &Wishes,
    chart: &mut Chart,
) -> Option<Arc<dyn ReadTenant>> {
    config.timeouts = short(config.timeouts);
    chart.note(rate::setting(config.requests_per_second));
    if !wishes.changes {
        for ask in &WRITES {
            chart.note(Finding::not_needed(
                ask.check,
                "no changes are configured (--provisioning)",
            ));
        }
    }
    let reader = match Transport::new(&config) {
        Ok(transport) => {
            let examination = Examination {
                transport: Arc::new(transport),
                config,
                wishes,
            };
            Box::pin(examination.run(chart)).await
        }
        Err(fault) => {
            let fault = fault.advise(
                "see to it that this machine has certificate authorities to trust; SSL_CERT_FILE names a file of them",
            );
            chart.note(Finding::failing(Check::TlsAuthority, &fault));
            None
        }
    };
    if let Some(root) = chart.obstacle(&ANSWERED) {
        chart.wait(&ANSWERED, root);
    }
    reader
}

fn short(wanted: Timeouts) -> Timeouts {
    Timeouts {
        connect: wanted.connect.min(CONNECT),
        request: wanted.request.min(PATIENCE),
        first_wait: Duration::from_millis(500),
        longest_wait: Duration::from_secs(5),
        patience: PATIENCE,
        ..wanted
    }
}

struct Examination<'a> {
    transport: Arc<Transport>,
    config: CoupaConfig,
    wishes: &'a Wishes,
}

impl Examination<'_> {
    async fn run(&self, chart: &mut Chart) -> Option<Arc<dyn ReadTenant>> {
        let clients = READS.map(|ask| self.client(ask.scopes));
        let began = Instant::now();
        let first = clients[0].probe_token().await;
        way::judge(&self.config.endpoint, &first, began.elapsed(), chart);
        let reader = if chart
            .obstacle(&[Check::HostAnswers, Check::RateAnswered])
            .is_none()
        {
            self.beyond_the_door(first, &clients, chart).await
        } else {
            None
        };
        self.judge_answers(chart);
        reader
    }

    async fn beyond_the_door(
        &self,
        first: Result<(), Denied>,
        clients: &[Client; READS.len()],
        chart: &mut Chart,
    ) -> Option<Arc<dyn ReadTenant>> {
        rights::client(&first, chart);
        rights::scope(&READS[0], first, Duration::ZERO, chart);
        for (ask, client) in READS.iter().zip(clients).skip(1) {
            rights::examine(ask, client, chart).await;
        }
        if self.wishes.changes {
            for ask in &WRITES {
                rights::examine(ask, &self.client(ask.scopes), chart).await;
            }
        }
        objects::examine(clients, self.wishes.changes, chart).await;
        tenant::examine(self, chart).await
    }

    /// What is known once everything was asked.
    fn judge_answers(&self, chart: &mut Chart) {
        let drift = self.transport.drift();
        let answered = chart.obstacle(&[Check::HostAnswers]).is_none();
        if answered {
            chart.note(rate::answered(self.transport.usage()));
        }
        // Not everything that answers is Coupa; a date it tells is one all the same.
        if answered || drift.is_some() {
            chart.note(clock::judged(drift, self.wishes.platform));
        }
    }

    /// A client that asks for exactly these scopes.
    fn client(&self, scopes: &'static [&'static str]) -> Client {
        Client::over(Arc::clone(&self.transport), self.config.clone(), scopes)
    }
}

/// Notes a failure under the check that it is about: one that says that Coupa is asked too often, or does not know its own token, says
/// nothing about what was asked for.
fn blame(check: Check, fault: &Fault, waited: Duration, chart: &mut Chart) {
    let about = match fault.kind() {
        FaultKind::RateLimited { .. } => Check::RateAnswered,
        FaultKind::Unauthenticated => Check::TokenAccepted,
        _ => check,
    };
    chart.note(given_up(Finding::failing(about, fault), waited));
    if about != check {
        chart.note(Finding::unknown(check, about));
    }
}

/// Adds how long it was tried, where that was a while.
fn given_up(finding: Finding, waited: Duration) -> Finding {
    match waited.as_secs() {
        0 => finding,
        seconds => finding.with([format!("given up after {seconds} s")]),
    }
}
