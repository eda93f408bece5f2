//! What is told of accounts in Risk Assess: beside grants, in answers to changes, by actions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use jiff::Timestamp;
use jiff::civil::date;

use super::*;
use crate::model::downstream::{
    Digest, Expectation, FollowAccounts, Judged, Link, Problem, Reading, Record, Standing,
};
use crate::model::profile::RISK_ASSESS_LICENSE;
use crate::model::readiness::{Level, Remark};

/// Knows some accounts.
struct Accounts(Vec<Record>);

#[async_trait]
impl FollowAccounts for Accounts {
    async fn readiness(&self, user: UserId) -> Result<Vec<Remark>, Fault> {
        self.record(user)
            .await?
            .ok_or_else(|| Fault::new(FaultKind::NotFound, "no such user"))?;
        Ok(vec![remark()])
    }

    async fn follow(&self, user: UserId) -> Result<Followed, Fault> {
        let record = self.record(user).await?;
        let record = record.ok_or_else(|| Fault::new(FaultKind::NotFound, "no such user"))?;
        Ok(Followed {
            remarks: vec![remark()],
            record,
        })
    }

    async fn record(&self, user: UserId) -> Result<Option<Record>, Fault> {
        Ok(self.0.iter().find(|record| record.user == user).cloned())
    }

    async fn records(&self) -> Result<Vec<Record>, Fault> {
        Ok(self.0.clone())
    }

    fn claim(&self, record: &Record) -> String {
        format!("claim about {}", record.user)
    }
}

fn remark() -> Remark {
    Remark {
        rule: "phone-format",
        level: Level::Warn,
        element: "phone-work",
        column: "BusinessPhone",
        source: "D501",
        text: "has 12 digits".to_owned(),
        fix: "use ten digits",
    }
}

fn record(user: u64) -> Record {
    Record {
        user: user_id(user),
        expectation: Expectation::Active,
        standing: Standing::Seen(date(2026, 11, 20)),
        since: Timestamp::UNIX_EPOCH,
        evidence: "the grid shows it".into(),
        link: Some((Link::CoupaId, date(2026, 11, 20))),
        reading: Reading {
            at: Timestamp::UNIX_EPOCH,
            updated_at: None,
            licensed: true,
            active: true,
            fields: Digest("f".into()),
            login: Digest("l".into()),
            email: None,
        },
        judged: Some(Judged {
            at: Timestamp::UNIX_EPOCH,
            worst: Some(Level::Warn),
            rules: vec!["phone-format".into()],
        }),
        problems: vec![Problem {
            kind: "email-shared".into(),
            text: "shared with user 7".into(),
            at: Timestamp::UNIX_EPOCH,
        }],
    }
}

fn license() -> Item {
    Item::License(RISK_ASSESS_LICENSE.parse().unwrap())
}

fn told(annotations: &[prost_types::Any]) -> Option<Struct> {
    let metadata: c1::GrantMetadata = annotation(annotations)?;
    match metadata.metadata?.fields.remove("risk_assess")?.kind? {
        ValueKind::StructValue(told) => Some(told),
        other => panic!("{other:?}"),
    }
}

fn string<'a>(told: &'a Struct, name: &str) -> &'a str {
    match told.fields[name].kind.as_ref().unwrap() {
        ValueKind::StringValue(text) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn grants_of_the_license_alone_carry_what_is_known() {
    let tenant = FakeTenant::new(World::new(200));
    let holders: Vec<u64> = tenant
        .world()
        .truth(ItemKind::License)
        .into_iter()
        .filter(|(item, _)| item == RISK_ASSESS_LICENSE)
        .map(|(_, user)| user)
        .collect();
    assert!(holders.len() > 1);
    let known = holders[0];
    let connector = connector(&tenant).with_downstream(Arc::new(Accounts(vec![record(known)])));
    let by_type = all_grants(&connector, &[7], |size, token| {
        type_grants("license", size, token)
    })
    .await
    .0;
    let by_one = all_grants(&connector, &[7], |size, token| {
        grants("license", RISK_ASSESS_LICENSE, size, token)
    })
    .await
    .0;
    let lone = all_grants(&connector, &[7], |size, token| {
        let asked = grants("license", RISK_ASSESS_LICENSE, size, token);
        c1::GrantsServiceListGrantsRequest {
            active_sync_id: String::new(),
            ..asked
        }
    })
    .await
    .0;
    let of_license: Vec<_> = by_type
        .iter()
        .filter(|grant| grant.id.contains(RISK_ASSESS_LICENSE))
        .cloned()
        .collect();
    assert_eq!(bytes(&of_license), bytes(&by_one), "both forms say the same");
    assert_eq!(bytes(&of_license), bytes(&lone), "and so does a lone question");
    assert_eq!(of_license.len(), holders.len());
    for grant in &by_type {
        let metadata = told(&grant.annotations);
        if !grant.id.contains(RISK_ASSESS_LICENSE) {
            assert!(metadata.is_none(), "{}", grant.id);
            continue;
        }
        let metadata = metadata.unwrap();
        if grant.id.ends_with(&format!(":{known}")) {
            assert_eq!(string(&metadata, "standing"), "seen in grid of 2026-11-20");
            assert_eq!(string(&metadata, "claim"), format!("claim about {known}"));
        } else {
            assert_eq!(string(&metadata, "standing"), "unknown");
        }
    }
    let roles = all_grants(&connector, &[0], |size, token| type_grants("role", size, token))
        .await
        .0;
    assert!(roles.iter().all(|grant| grant.annotations.is_empty()));
}

#[tokio::test]
async fn answers_to_changes_carry_it_with_every_remark() {
    let (connector, writes) = setup();
    let connector = connector.with_downstream(Arc::new(Accounts(Vec::new())));
    *writes.downstream.lock().unwrap() = Some(Box::new(Followed {
        remarks: vec![remark()],
        record: record(5),
    }));
    let granted = connector.grant(&order(), &grant_of(&license(), 5)).await.unwrap();
    let revoked = connector
        .revoke(&order(), &revoke_of(&license(), 5))
        .await
        .unwrap();
    for annotations in [
        &granted.annotations,
        &granted.grants[0].annotations,
        &revoked.annotations,
    ] {
        let told = told(annotations).unwrap();
        assert_eq!(string(&told, "claim"), "claim about 5");
        let Some(ValueKind::ListValue(remarks)) = &told.fields["remarks"].kind else {
            panic!();
        };
        let Some(ValueKind::StructValue(remark)) = &remarks.values[0].kind else {
            panic!();
        };
        assert_eq!(string(remark, "rule"), "phone-format");
        assert_eq!(string(remark, "fix"), "use ten digits");
    }
    *writes.downstream.lock().unwrap() = None;
    let other = connector
        .grant(&order(), &grant_of(&role_item(1), 5))
        .await
        .unwrap();
    assert!(told(&other.annotations).is_none());
}

#[tokio::test]
async fn actions_tell_what_their_schemas_promise() {
    let (connector, writes) = setup();
    let connector = connector.with_downstream(Arc::new(Accounts(vec![record(5)])));
    let schemas = connector
        .list_action_schemas(&c1::ListActionSchemasRequest::default())
        .schemas;
    let invoke = |name: &str, user: &str| {
        let id = object([("resource_type_id", text("user")), ("resource_id", text(user))]);
        c1::InvokeActionRequest {
            name: name.to_owned(),
            args: Some(object([("user_id", ValueKind::StructValue(id).into())])),
            inline_wait: Some(prost_types::Duration {
                seconds: 60,
                nanos: 0,
            }),
            ..c1::InvokeActionRequest::default()
        }
    };
    for name in [
        "risk_assess_readiness",
        "risk_assess_status",
        "risk_assess_sync_user",
    ] {
        let answer = connector
            .invoke_action(&order(), &invoke(name, "5"))
            .await
            .unwrap();
        assert!(answer.status() == c1::BatonActionStatus::Complete, "{name}");
        let values = answer.response.unwrap();
        let schema = schemas.iter().find(|schema| schema.name == name).unwrap();
        let promised: BTreeSet<&str> = schema
            .return_types
            .iter()
            .map(|field| field.name.as_str())
            .collect();
        let given: BTreeSet<&str> = values.fields.keys().map(String::as_str).collect();
        assert_eq!(given, promised, "{name}");
        for field in &schema.return_types {
            use crate::proto::config::field::Field;
            let kind = values.fields[&field.name].kind.as_ref().unwrap();
            let fits = matches!(
                (field.field.as_ref().unwrap(), kind),
                (Field::BoolField(_), ValueKind::BoolValue(_))
                    | (Field::StringField(_), ValueKind::StringValue(_))
                    | (Field::StringSliceField(_), ValueKind::ListValue(_))
            );
            assert!(fits, "{name} {}", field.name);
        }
    }
    let unknown = connector
        .invoke_action(&order(), &invoke("risk_assess_status", "6"))
        .await
        .unwrap()
        .response
        .unwrap();
    assert_eq!(unknown.fields["known"].kind, Some(ValueKind::BoolValue(false)));
    assert_eq!(string(&unknown, "standing"), "unknown");
    let failed = connector
        .invoke_action(&order(), &invoke("risk_assess_sync_user", "6"))
        .await
        .unwrap();
    assert!(failed.status() == c1::BatonActionStatus::Failed);
    assert!(writes.asked().is_empty(), "none of them changes Coupa");
}
