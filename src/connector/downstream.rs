//! The account in Risk Assess behind a grant of the license, in the protocol's words: metadata of grants, and the values of actions.
//!
//! Invariant: what is told is the ledger's record and its claim, never more; no value of a person is in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost_types::value::Kind as ValueKind;
use prost_types::{Any, ListValue, Struct, Value};

use super::Connector;
use crate::model::access::{Item, ItemKind};
use crate::model::downstream::{FollowAccounts, Followed, Judged, Problem, Record};
use crate::model::fault::Fault;
use crate::model::id::UserId;
use crate::model::profile::RISK_ASSESS_LICENSE;
use crate::model::readiness::Remark;
use crate::proto::connector as c1;
use crate::proto::pack;

/// What is said of an account that the ledger does not know.
const UNKNOWN: &str = "nothing is known of an account in Risk Assess";

impl Connector {
    /// The same connector, which also tells what is known of the accounts behind the Risk Assess license.
    #[must_use]
    pub fn with_downstream(mut self, accounts: Arc<dyn FollowAccounts>) -> Self {
        self.downstream = Some(accounts);
        self
    }

    /// What stands beside the grants of items of that kind; nothing for all but licenses.
    pub(super) async fn notes(&self, kind: ItemKind) -> Result<Notes, Fault> {
        let (Some(accounts), ItemKind::License) = (&self.downstream, kind) else {
            return Ok(Notes(None));
        };
        let records = accounts.records().await?;
        let told = records
            .into_iter()
            .map(|record| (record.user, record_of(&record, &accounts.claim(&record))));
        Ok(Notes(Some(told.collect())))
    }
}

/// Whether the item is the license that leads downstream.
fn leads_downstream(item: &Item) -> bool {
    matches!(item, Item::License(name) if name.as_str() == RISK_ASSESS_LICENSE)
}

/// What the ledger says of every account it knows; `None` without a ledger.
pub(super) struct Notes(Option<BTreeMap<UserId, Struct>>);

impl Notes {
    /// The grant with what is known beside it.
    pub(super) fn beside(&self, mut grant: c1::Grant, item: &Item, user: UserId) -> c1::Grant {
        if let Some(known) = self.0.as_ref().filter(|_| leads_downstream(item)) {
            let told = known.get(&user).cloned().unwrap_or_else(nothing_known);
            grant.annotations.push(metadata(told));
        }
        grant
    }
}

/// What the answer to a change says of the account.
pub(super) fn followed_metadata(followed: &Followed, claim: &str) -> Any {
    let mut told = record_of(&followed.record, claim);
    told.fields
        .insert("remarks".to_owned(), list(followed.remarks.iter().map(remark)));
    metadata(told)
}

fn metadata(told: Struct) -> Any {
    pack(&c1::GrantMetadata {
        metadata: Some(object([("risk_assess", ValueKind::StructValue(told).into())])),
    })
}

/// Values of the actions about one account.
pub(super) fn status_values(record: Option<&Record>, accounts: &dyn FollowAccounts) -> Struct {
    let mut told = record.map_or_else(nothing_known, |record| record_of(record, &accounts.claim(record)));
    // What actions give back is flat.
    let problems = record
        .map(|record| record.problems.as_slice())
        .unwrap_or_default();
    told.fields.insert(
        "problems".to_owned(),
        list(problems.iter().map(|problem| text(&problem.text))),
    );
    told.fields.insert("known".to_owned(), switch(record.is_some()));
    told.fields.insert("success".to_owned(), switch(true));
    told.fields.remove("readiness");
    told.fields.remove("link");
    if let Some((link, grid)) = record.and_then(|record| record.link) {
        told.fields.insert("link".to_owned(), text(link.name()));
        told.fields
            .insert("link_grid".to_owned(), text(&grid.to_string()));
    }
    told
}

/// Values of the judgement of one user.
pub(super) fn readiness_values(remarks: &[Remark]) -> Struct {
    let worst = remarks.iter().map(|remark| remark.level).max();
    let line = |remark: &Remark| {
        let Remark {
            rule,
            level,
            element,
            text: told,
            fix,
            ..
        } = remark;
        let end = if fix.is_empty() {
            String::new()
        } else {
            format!("; {fix}")
        };
        text(&format!("{} {rule} ({element}): {told}{end}", level.name()))
    };
    object([
        ("success", switch(true)),
        ("worst", text(worst.map_or("none", |level| level.name()))),
        ("rules", list(remarks.iter().map(|remark| text(remark.rule)))),
        ("remarks", list(remarks.iter().map(line))),
    ])
}

fn nothing_known() -> Struct {
    object([("standing", text("unknown")), ("claim", text(UNKNOWN))])
}

fn record_of(record: &Record, claim: &str) -> Struct {
    let mut told = object([
        ("expectation", text(record.expectation.name())),
        ("standing", text(&record.standing.to_string())),
        ("claim", text(claim)),
        ("evidence", text(&record.evidence)),
        ("since", text(&record.since.to_string())),
        ("read_at", text(&record.reading.at.to_string())),
        ("problems", list(record.problems.iter().map(problem))),
    ]);
    if let Some((link, grid)) = record.link {
        let link = object([("by", text(link.name())), ("grid", text(&grid.to_string()))]);
        told.fields
            .insert("link".to_owned(), ValueKind::StructValue(link).into());
    }
    if let Some(judged) = &record.judged {
        told.fields.insert("readiness".to_owned(), readiness(judged));
    }
    told
}

fn readiness(judged: &Judged) -> Value {
    let worst = judged.worst.map_or("none", |level| level.name());
    let told = object([
        ("worst", text(worst)),
        ("rules", list(judged.rules.iter().map(|rule| text(rule)))),
        ("judged_at", text(&judged.at.to_string())),
    ]);
    ValueKind::StructValue(told).into()
}

fn problem(problem: &Problem) -> Value {
    let told = object([
        ("kind", text(&problem.kind)),
        ("text", text(&problem.text)),
        ("at", text(&problem.at.to_string())),
    ]);
    ValueKind::StructValue(told).into()
}

fn remark(remark: &Remark) -> Value {
    let told = object([
        ("rule", text(remark.rule)),
        ("level", text(remark.level.name())),
        ("element", text(remark.element)),
        ("column", text(remark.column)),
        ("source", text(remark.source)),
        ("text", text(&remark.text)),
        ("fix", text(remark.fix)),
    ]);
    ValueKind::StructValue(told).into()
}

fn text(text: &str) -> Value {
    ValueKind::StringValue(text.to_owned()).into()
}

fn switch(on: bool) -> Value {
    ValueKind::BoolValue(on).into()
}

fn list(values: impl Iterator<Item = Value>) -> Value {
    ValueKind::ListValue(ListValue {
        values: values.collect(),
    })
    .into()
}

fn object<const N: usize>(pairs: [(&str, Value); N]) -> Struct {
    Struct {
        fields: pairs.map(|(key, value)| (key.to_owned(), value)).into(),
    }
}
