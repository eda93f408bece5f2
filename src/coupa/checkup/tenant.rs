//! How the tenant would be read: the probe of a sync, the licenses it shows, and a sample of its accounts.

use std::sync::Arc;
use std::time::Instant;

use crate::coupa::auth::READ_SCOPES;
use crate::coupa::memory::Memory;
use crate::coupa::survey;
use crate::model::access::{LicenseCatalog, LicenseWrite};
use crate::model::checkup::{Chart, Check, Finding};
use crate::model::fault::{Fault, FaultKind};
use crate::model::tenant::{ReadTenant, Survey, UserOrder};

use super::{Examination, blame, sample};

/// The license that leads to Risk Assess.
const RISK_ASSESS: &str = "risk-assess-user";

/// What must be so before a sync's own probe can be made.
const NEEDED: [Check; 6] = [
    Check::RateAnswered,
    Check::TokenAccepted,
    Check::ScopeUserRead,
    Check::ScopeUserGroupRead,
    Check::ScopeCommonRead,
    Check::ObjectUsers,
];

/// Probes the tenant as a sync does, and notes what that shows.
pub(super) async fn examine(examination: &Examination<'_>, chart: &mut Chart) -> Option<Arc<dyn ReadTenant>> {
    if let Some(root) = chart.obstacle(&NEEDED) {
        let waiting = [
            Check::ReadPlan,
            Check::LicenseCatalog,
            Check::LicenseRiskAssess,
            Check::AccountClasses,
        ];
        chart.wait(&waiting, root);
        return None;
    }
    let began = Instant::now();
    let client = Arc::new(examination.client(READ_SCOPES));
    let reader = match survey::survey(client, Arc::new(Memory::default())).await {
        Ok(reader) => reader,
        Err(fault) => {
            blame(Check::ReadPlan, &fault, began.elapsed(), chart);
            return None;
        }
    };
    let cut = reader.plan.cut;
    let reader: Arc<dyn ReadTenant> = Arc::new(reader);
    chart.note(plan(reader.survey(), cut));
    let licenses = &reader.survey().licenses;
    chart.note(catalog(licenses));
    chart.note(risk_assess(licenses, examination.wishes.risk_assess));
    accounts(&*reader, examination, chart).await;
    Some(reader)
}

/// What the probe saw. Whatever it found, the reader knows how to go about it: none of it is a fault.
fn plan(survey: &Survey, cut: Option<usize>) -> Finding {
    let order = match survey.order {
        UserOrder::ById => "in order of their ids",
        UserOrder::Arbitrary => "by offset, in one listing",
    };
    let over = match survey.surface {
        "rest" => "REST",
        "graphql" => "GraphQL",
        _ => "REST and GraphQL together",
    };
    let highest = survey
        .highest_user
        .map(|id| format!("; the highest id is {}", id.get()));
    let saw = format!(
        "users are read over {over}, {order}{}",
        highest.unwrap_or_default()
    );
    let whole = cut.is_none().then(|| "nested lists come whole".to_owned());
    let findings = survey.findings.iter().map(|finding| finding.text.clone());
    Finding::fine(Check::ReadPlan, saw).with(whole.into_iter().chain(findings))
}

fn catalog(licenses: &LicenseCatalog) -> Finding {
    let names: Vec<&str> = licenses.iter().map(|license| license.name.as_str()).collect();
    if names.is_empty() {
        return Finding::warning(
            Check::LicenseCatalog,
            "the tenant shows no license flag at all",
            "look whether the account behind the OAuth client may see licenses of users",
        );
    }
    let read_only = licenses
        .iter()
        .filter(|license| license.write == LicenseWrite::ReadOnly)
        .count();
    let saw = format!("{} license flags, {read_only} of them read-only", names.len());
    Finding::fine(Check::LicenseCatalog, saw).with([names.join(", ")])
}

/// Whether the license is there is a fault only to those who have settings for it.
fn risk_assess(licenses: &LicenseCatalog, configured: bool) -> Finding {
    const ADVICE: &str = "have Risk Assess enabled in Coupa (page /entitlements, section for suppliers); without it nobody can hold the license";
    if licenses
        .iter()
        .any(|license| license.name.as_str() == RISK_ASSESS)
    {
        return Finding::fine(Check::LicenseRiskAssess, "the tenant has it");
    }
    let saw = "the tenant does not show the license flag risk-assess-user";
    if configured {
        let fault = Fault::new(FaultKind::Unsupported, saw).advise(ADVICE);
        return Finding::failing(Check::LicenseRiskAssess, &fault);
    }
    Finding::warning(Check::LicenseRiskAssess, saw, ADVICE)
}

async fn accounts(reader: &dyn ReadTenant, examination: &Examination<'_>, chart: &mut Chart) {
    if let Some(root) = chart.obstacle(&[Check::ObjectRoles]) {
        chart.wait(&[Check::AccountClasses], root);
        return;
    }
    let began = Instant::now();
    match sample::taken(reader).await {
        Ok(sample) => chart.note(sample::judged(&sample, &examination.wishes.classes)),
        Err(fault) => blame(Check::AccountClasses, &fault, began.elapsed(), chart),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::coupa::licenses;
    use crate::model::checkup::Verdict;

    fn shown(names: &[&str]) -> LicenseCatalog {
        licenses::catalog(&names.iter().copied().map(Box::from).collect()).unwrap()
    }

    #[test]
    fn a_missing_license_is_a_fault_to_those_who_rely_on_it() {
        let there = shown(&["risk-assess-user", "category-strategy-user"]);
        assert_eq!(risk_assess(&there, true).verdict, Verdict::Fine);
        let absent = shown(&["travel-user"]);
        assert_eq!(risk_assess(&absent, false).verdict, Verdict::Warning);
        assert!(matches!(risk_assess(&absent, true).verdict, Verdict::Failing(_)));
        assert_eq!(catalog(&shown(&[])).verdict, Verdict::Warning);
        assert_eq!(catalog(&there).saw, "2 license flags, 1 of them read-only");
    }
}
