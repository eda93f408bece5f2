//! Settings of a process that a runner started: the same flags, variables and file as the runner's own.
//!
//! Invariant: what only the runner heeds never stops the child.

use super::changes::{ChangeSettings, OneShotMode};
use super::problem::Problem;
use super::risk_assess::RiskAssessSettings;
use super::settings::{Reader, StateDir, Target, TenantSettings};
use crate::server::{LISTENER_FD, Socket};

/// Driven by a runner on this machine.
#[derive(Debug)]
pub struct ChildSettings {
    /// Where the listening socket comes from.
    pub socket: Socket,
    /// The tenant.
    pub tenant: TenantSettings,
    /// How changes are made; none are if `None`.
    pub changes: Option<ChangeSettings>,
    /// How the Risk Assess license is gone about.
    pub risk_assess: RiskAssessSettings,
}

/// Flags of a runner that is to make one change; its child makes it, with or without `--provisioning` (connector-protocol, section 2.2).
const ONE_CHANGE: &[&str] = &[
    "grant-entitlement",
    "revoke-grant",
    "create-account-login",
    "create-account-email",
    "create-account-profile",
    "create-account-resource-type",
    "delete-resource",
    "delete-resource-type",
    "rotate-credentials",
    "rotate-credentials-type",
    "invoke-action",
];

/// Settings with a domain of values that only the runner heeds.
const THE_RUNNERS: &[&str] = &[
    "session-store-maximum-size",
    "otel-collector-endpoint-tls-insecure",
    "otel-tracing-disabled",
    "otel-logging-disabled",
    "health-check",
    "health-check-port",
    "skip-full-sync",
    "task-concurrency",
    "keep-previous-sync-c1z",
    "sync-resource-types",
    "skip-entitlements-and-grants",
    "skip-grants",
    "workers",
    "parallel-sync",
    "storage-engine",
    "create-account-profile",
    "invoke-action-args",
    "list-action-schemas",
    "dry-run",
    "ticketing",
    "create-ticket",
    "bulk-create-ticket",
    "get-ticket",
    "list-ticket-schemas",
    "diff-syncs",
    "compact-syncs",
];

/// Turns problems with values that only the runner heeds into warnings.
pub(super) fn leave_to_runner(problems: &mut Vec<Problem>, warnings: &mut Vec<String>) {
    let told = problems.extract_if(
        ..,
        |problem| matches!(problem, Problem::Invalid { name, .. } if THE_RUNNERS.contains(name)),
    );
    warnings.extend(told.map(|problem| format!("{problem}; it has no effect here, only in the runner")));
}

impl Reader<'_> {
    /// `None` only with a problem noted.
    pub(super) fn child(&mut self) -> Option<ChildSettings> {
        let socket = self.socket();
        let mut tenant = self.tenant();
        let values = self.values;
        let wanted = values.switch("provisioning") || ONE_CHANGE.iter().any(|name| values.given(name));
        let changes = wanted.then(|| self.changes());
        // Where Coupa's changes would have no journal, the child lives to say so: Validate tells.
        let journal = tenant
            .as_mut()
            .filter(|tenant| changes.is_some() && has_place(tenant));
        self.keep_journal(journal, OneShotMode::Apply);
        let risk_assess = self.risk_assess();
        Some(ChildSettings {
            socket: socket?,
            tenant: tenant?,
            changes,
            risk_assess: risk_assess?,
        })
    }

    fn socket(&mut self) -> Option<Socket> {
        let named = (self.env)(LISTENER_FD);
        // Text that is not UTF-8 is no number.
        let named = named.as_ref().map(|text| text.to_str().unwrap_or_default());
        Socket::named(named)
            .map_err(|what| self.problems.push(Problem::Unusable(what)))
            .ok()
    }
}

fn has_place(tenant: &TenantSettings) -> bool {
    matches!(tenant.target, Target::Sandbox(_)) || tenant.state_dir != StateDir::Nowhere
}
