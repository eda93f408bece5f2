//! The engine against a tenant in memory: changes, syncs, evidence.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};

use super::account::{EMAIL_SHARED, GRID_MISSING, NOT_FOLLOWED, USER_ABSENT};
use super::columns::Column;
use super::fake::{Coupa, MemLedger, MemOutbox, license, licensed, lock, order, person, user};
use super::matching::Roster;
use super::sync::{Scope, SyncReport};
use super::theirs::TheirAccount;
use super::{Delivery, Downstream, RiskAssess, RiskAssessConfig, Strictness, UserSync};
use crate::model::access::Item;
use crate::model::change::{AccountDraft, Activity, Change, Effect, OnInactive, Outcome, WriteTenant};
use crate::model::downstream::{Expectation, FollowAccounts, Ledger, Outbox, Record, Standing};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::{GroupId, RoleId};
use crate::model::profile::Profile;
use crate::model::tenant::AccountClass;

struct Bench {
    coupa: Arc<Coupa>,
    ledger: Arc<MemLedger>,
    outbox: Arc<MemOutbox>,
    downstream: Arc<Downstream>,
    tenant: RiskAssess,
}

impl Bench {
    fn new(users: impl IntoIterator<Item = Profile>) -> Self {
        Self::with(users, RiskAssessConfig::default())
    }

    fn with(users: impl IntoIterator<Item = Profile>, config: RiskAssessConfig) -> Self {
        Self::over(Coupa::new(users), Arc::default(), Arc::default(), config)
    }

    fn over(
        coupa: Arc<Coupa>,
        ledger: Arc<MemLedger>,
        outbox: Arc<MemOutbox>,
        config: RiskAssessConfig,
    ) -> Self {
        let ours = config.delivery != Delivery::Native;
        let delivery = ours.then(|| Arc::clone(&outbox) as Arc<dyn Outbox>);
        let downstream = Arc::new(Downstream::new(
            Arc::clone(&coupa) as _,
            Arc::clone(&ledger) as _,
            delivery,
            config,
        ));
        let tenant = RiskAssess::new(Arc::clone(&coupa) as _, Arc::clone(&downstream));
        Self {
            coupa,
            ledger,
            outbox,
            downstream,
            tenant,
        }
    }

    async fn apply(&self, change: Change) -> Result<Outcome, Fault> {
        self.tenant.apply(&order(), &change).await
    }

    async fn grant(&self, n: u64) -> Result<Outcome, Fault> {
        let (user, item) = (user(n), license());
        self.apply(Change::Grant { user, item }).await
    }

    async fn sync(&self, scope: Scope) -> Result<SyncReport, Fault> {
        self.downstream.sync(scope, &|_| {}).await
    }

    fn record(&self, n: u64) -> Option<Record> {
        self.ledger.record(user(n)).unwrap()
    }

    fn kinds(&self, n: u64) -> Vec<String> {
        let record = self.record(n).unwrap();
        record
            .problems
            .iter()
            .map(|problem| problem.kind.to_string())
            .collect()
    }
}

fn quick() -> RiskAssessConfig {
    RiskAssessConfig {
        delivery: Delivery::QuickIntegration,
        ..RiskAssessConfig::default()
    }
}

fn unready(n: u64) -> Profile {
    Profile {
        email: None,
        ..person(n)
    }
}

#[tokio::test]
async fn a_grant_is_judged_before_and_followed_after() {
    let bench = Bench::new([person(1)]);
    let outcome = bench.grant(1).await.unwrap();
    let followed = outcome.downstream.unwrap();
    assert_eq!(Some(&followed.record), bench.record(1).as_ref());
    assert_eq!(
        bench.downstream.claim(&followed.record),
        "license set and read back; downstream sync expected, if User Sync is on"
    );
    assert!(followed.record.judged.is_some());
    assert!(followed.record.reading.licensed);
    assert_eq!(
        bench.coupa.asked(),
        ["read 1", "named", "named", "change", "read 1"],
        "nobody is looked up twice"
    );
}

#[tokio::test]
async fn who_is_not_ready_is_refused_before_anything_is_sent() {
    let twin = Profile {
        email: Some("USER1@x.com".into()),
        ..person(3)
    };
    for (users, refused) in [
        (vec![unready(1)], true),
        (vec![person(1), twin], true),
        (vec![person(1)], false),
    ] {
        let bench = Bench::new(users);
        let result = bench.grant(1).await;
        assert_eq!(result.is_err(), refused);
        assert_eq!(bench.coupa.asked().contains(&"change".to_owned()), !refused);
        let Err(fault) = result else { continue };
        assert_eq!(*fault.kind(), FaultKind::Declined);
        assert!(!fault.remarks().is_empty());
        assert!(bench.record(1).is_none());
    }
    let lenient = RiskAssessConfig {
        strictness: Strictness::Lenient,
        ..RiskAssessConfig::default()
    };
    let bench = Bench::with([unready(1)], lenient);
    let outcome = bench.grant(1).await.unwrap();
    assert!(
        !outcome.downstream.unwrap().remarks.is_empty(),
        "told all the same"
    );
}

#[tokio::test]
async fn a_license_that_is_held_refuses_nothing() {
    let held = Profile {
        licensed: Some(true),
        ..unready(1)
    };
    let outcome = Bench::new([held]).grant(1).await.unwrap();
    assert_eq!(outcome.effect, Effect::AlreadySo);
    assert!(outcome.downstream.is_some());
}

#[tokio::test]
async fn a_user_whom_coupa_does_not_have_is_told_by_who_makes_the_change() {
    let bench = Bench::new([person(1)]);
    let fault = bench.grant(9).await.unwrap_err();
    assert_eq!(fault.message(), "told by who makes the change");
    let fault = bench.downstream.follow(user(9)).await.unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::NotFound);
    let fault = bench.downstream.readiness(user(9)).await.unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::NotFound);
    let fault = bench.downstream.follow(user(1)).await.unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::Refused, "there is nothing to follow");
}

#[tokio::test]
async fn what_cannot_be_followed_was_changed_all_the_same() {
    let bench = Bench::new([person(1)]);
    bench.grant(1).await.unwrap();
    let before = bench.record(1).unwrap();
    bench.coupa.fail_after(0);
    let (user, to) = (user(1), Activity::Inactive);
    let outcome = bench.apply(Change::SetActive { user, to }).await.unwrap();
    assert_eq!(outcome.effect, Effect::Made);
    assert!(outcome.downstream.is_none());
    assert!(
        outcome.findings[0].text.contains("the change was made"),
        "{:?}",
        outcome.findings
    );
    let after = bench.record(1).unwrap();
    assert_eq!(after.reading, before.reading, "what was read was read");
    assert_eq!(bench.kinds(1), [NOT_FOLLOWED]);
    bench.coupa.work_again();
    bench.sync(Scope::Full).await.unwrap();
    let after = bench.record(1).unwrap();
    assert_eq!(
        (after.expectation, after.problems.len()),
        (Expectation::Closed, 0)
    );
}

#[tokio::test]
async fn a_grant_that_cannot_be_judged_is_not_made_unless_nothing_refuses() {
    let bench = Bench::new([person(1)]);
    bench.coupa.fail_after(0);
    assert!(bench.grant(1).await.is_err());
    assert_eq!(bench.coupa.asked(), ["read 1"]);
    let lenient = RiskAssessConfig {
        strictness: Strictness::Lenient,
        ..RiskAssessConfig::default()
    };
    let bench = Bench::with([person(1)], lenient);
    bench.coupa.fail_after(0);
    assert_eq!(bench.grant(1).await.unwrap().effect, Effect::Made);
}

#[tokio::test]
async fn what_does_not_matter_to_risk_assess_costs_nothing() {
    let bench = Bench::new([licensed(1)]);
    let user = user(1);
    let other = "sourcing-user".parse().unwrap();
    for item in [
        Item::Role(RoleId::new(1).unwrap()),
        Item::Group(GroupId::new(1).unwrap()),
        Item::License(other),
    ] {
        for change in [
            Change::Grant {
                user,
                item: item.clone(),
            },
            Change::Revoke { user, item },
        ] {
            let outcome = bench.apply(change.clone()).await.unwrap();
            assert!(outcome.downstream.is_none());
            assert_eq!(bench.coupa.asked(), ["change"]);
            bench.tenant.plan(&change).await.unwrap();
            assert_eq!(bench.coupa.asked(), ["plan"]);
        }
    }
    assert_eq!(bench.tenant.check().await.unwrap_err().message(), "asked through");
}

#[tokio::test]
async fn every_change_of_who_is_followed_is_followed() {
    let bench = Bench::new([licensed(1), person(2)]);
    bench.sync(Scope::Full).await.unwrap();
    let rename = AccountDraft {
        login: Some("renamed".into()),
        ..AccountDraft::default()
    };
    let update = |n| Change::Update {
        user: user(n),
        draft: Box::new(rename.clone()),
    };
    let before = bench.record(1).unwrap().reading.fields;
    let followed = bench.apply(update(1)).await.unwrap().downstream.unwrap();
    assert_ne!(followed.record.reading.fields, before);
    assert!(
        followed.remarks.iter().any(|remark| remark.element == "login"),
        "a rename is told"
    );
    let outcome = bench.apply(update(2)).await.unwrap();
    assert!(
        outcome.downstream.is_none() && bench.record(2).is_none(),
        "never licensed"
    );
    let (user, item) = (user(1), license());
    let outcome = bench.apply(Change::Revoke { user, item }).await.unwrap();
    let record = outcome.downstream.unwrap().record;
    assert_eq!(
        bench.downstream.claim(&record),
        "license read back as not held; what becomes of the account is not documented; Coupa shows the user without the license, and no document says what becomes of the account"
    );
}

fn draft(login: &str, email: Option<&str>, with_license: &[&str]) -> Change {
    Change::Create {
        draft: Box::new(AccountDraft {
            login: Some(login.into()),
            email: email.map(Into::into),
            first_name: Some("F".into()),
            last_name: Some("L".into()),
            licenses: with_license.iter().map(|name| name.parse().unwrap()).collect(),
            ..AccountDraft::default()
        }),
        on_inactive: OnInactive::Reactivate,
    }
}

#[tokio::test]
async fn an_account_made_with_the_license_is_judged_and_followed() {
    let bench = Bench::new([person(1)]);
    let blank = draft("new", None, &["risk-assess-user"]);
    for fault in [
        bench.apply(blank.clone()).await.unwrap_err(),
        bench.tenant.plan(&blank).await.unwrap_err(),
    ] {
        assert_eq!(*fault.kind(), FaultKind::Declined);
        assert!(fault.message().starts_with("the account to create"), "{fault}");
    }
    assert!(bench.coupa.asked().is_empty());
    let good = draft("new", Some("new@x.com"), &["risk-assess-user"]);
    let outcome = bench.apply(good).await.unwrap();
    let followed = outcome.downstream.unwrap();
    assert_eq!(
        (followed.record.user, followed.record.expectation),
        (user(2), Expectation::Active)
    );
    let plain = bench.apply(draft("plain", Some("p@x.com"), &[])).await.unwrap();
    assert!(plain.downstream.is_none());
}

#[tokio::test]
async fn an_account_that_is_activated_again_shows_its_license() {
    let asleep = Profile {
        active: false,
        ..licensed(1)
    };
    let bench = Bench::new([asleep]);
    let outcome = bench
        .apply(draft("user1", Some("user1@x.com"), &[]))
        .await
        .unwrap();
    assert_eq!(outcome.effect, Effect::Reactivated);
    assert_eq!(
        outcome.downstream.unwrap().record.expectation,
        Expectation::Active
    );
    bench.coupa.asked();
    let outcome = bench
        .apply(draft("user1", Some("user1@x.com"), &[]))
        .await
        .unwrap();
    assert_eq!(
        (outcome.effect, bench.coupa.asked()),
        (Effect::Existed, vec!["change".to_owned()])
    );
}

#[tokio::test]
async fn a_plan_tells_readiness_and_refuses_the_same() {
    let bench = Bench::new([licensed(1), unready(2)]);
    let grant = |n| Change::Grant {
        user: user(n),
        item: license(),
    };
    let plan = bench.tenant.plan(&grant(1)).await.unwrap();
    let held = plan
        .findings
        .iter()
        .find(|finding| finding.text.contains("license-held"));
    assert!(
        held.is_some_and(|held| held.text.starts_with("readiness, info: ")),
        "{:?}",
        plan.findings
    );
    let fault = bench.tenant.plan(&grant(2)).await.unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::Declined);
    assert!(bench.ledger.records().unwrap().is_empty(), "nothing is recorded");
}

#[tokio::test]
async fn the_first_sync_looks_at_everybody_and_the_next_at_who_changed() {
    let bench = Bench::new((1..=5).map(licensed).chain([person(6)]));
    let heard = Mutex::new(Vec::new());
    let begin = Timestamp::now();
    let report = bench
        .downstream
        .sync(Scope::Changed, &|n| lock(&heard).push(n))
        .await
        .unwrap();
    assert_eq!((report.followed, report.new, report.changed), (5, 5, 0));
    assert_eq!(*lock(&heard), [2, 4, 5, 5]);
    assert_eq!(
        bench
            .coupa
            .asked()
            .iter()
            .filter(|asked| *asked == "page licensed")
            .count(),
        4
    );
    let mark = bench.ledger.followed_to().unwrap().unwrap();
    assert!(begin <= mark);
    assert!(
        bench
            .ledger
            .records()
            .unwrap()
            .iter()
            .all(|record| mark <= record.reading.at),
        "the mark lies before the first question"
    );
    for changed in [
        person(2),
        Profile {
            active: false,
            ..licensed(3)
        },
        licensed(6),
        person(7),
    ] {
        bench.coupa.set(changed);
    }
    let report = bench.sync(Scope::Changed).await.unwrap();
    assert_eq!(
        (report.followed, report.new, report.changed, report.closed),
        (3, 1, 2, 1),
        "7 never held it"
    );
    assert_eq!(bench.coupa.asked_since()[0], mark - SignedDuration::from_mins(10));
    assert_eq!(bench.record(2).unwrap().expectation, Expectation::Undocumented);
    assert_eq!(bench.record(3).unwrap().expectation, Expectation::Closed);
    assert!(bench.record(7).is_none());
    assert!(bench.ledger.followed_to().unwrap().unwrap() > mark);
}

#[tokio::test]
async fn a_full_sync_sees_who_lost_the_license_and_who_is_gone() {
    let bench = Bench::new((1..=4).map(licensed));
    bench.sync(Scope::Full).await.unwrap();
    bench.coupa.set(person(2));
    bench.coupa.forget(user(4));
    bench.coupa.asked();
    let report = bench.sync(Scope::Full).await.unwrap();
    assert_eq!((report.followed, report.changed, report.problems), (3, 1, 1));
    let single: Vec<String> = bench
        .coupa
        .asked()
        .into_iter()
        .filter(|asked| asked.starts_with("read"))
        .collect();
    assert_eq!(single, ["read 2", "read 4"]);
    assert_eq!(bench.kinds(4), [USER_ABSENT]);
    assert_eq!(bench.record(4).unwrap().standing, Standing::Unknown);
}

#[tokio::test]
async fn a_pass_that_fails_leaves_the_mark() {
    let bench = Bench::new((1..=5).map(licensed));
    bench.sync(Scope::Full).await.unwrap();
    let mark = bench.ledger.followed_to().unwrap();
    for n in 1..=5 {
        bench.coupa.set(licensed(n));
    }
    bench.coupa.fail_after(1);
    assert!(bench.sync(Scope::Changed).await.is_err());
    assert_eq!(bench.ledger.followed_to().unwrap(), mark);
    bench.coupa.work_again();
    bench.sync(Scope::Changed).await.unwrap();
    assert!(bench.ledger.followed_to().unwrap() > mark);
}

#[tokio::test]
async fn a_tenant_that_does_not_show_the_license_is_told() {
    let hidden = |n| Profile {
        licensed: None,
        ..person(n)
    };
    let bench = Bench::new([hidden(1), hidden(2)]);
    let fault = bench.sync(Scope::Changed).await.unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::Unsupported);
    assert!(fault.to_string().contains("risk-assess-user"), "{fault}");
    assert_eq!(bench.ledger.followed_to().unwrap(), None);
    bench.coupa.set(licensed(3));
    bench.sync(Scope::Changed).await.unwrap();
    let bench = Bench::new([]);
    bench.sync(Scope::Changed).await.unwrap();
}

#[tokio::test]
async fn a_page_is_one_transaction() {
    let bench = Bench::new((1..=4).map(licensed));
    bench.sync(Scope::Full).await.unwrap();
    let pages = bench
        .coupa
        .asked()
        .iter()
        .filter(|asked| asked.starts_with("page"))
        .count();
    let revisions = *lock(&bench.ledger.revisions);
    // Each page; and one for what users share.
    assert_eq!(revisions, pages + 1);
}

#[tokio::test]
async fn what_licensed_users_share_is_told_until_it_is_over() {
    let same = |n| Profile {
        email: Some("Same@x.com".into()),
        ..licensed(n)
    };
    let bench = Bench::new([same(1), same(2)]);
    let report = bench.sync(Scope::Full).await.unwrap();
    assert_eq!(
        (bench.kinds(1), bench.kinds(2)),
        (vec![EMAIL_SHARED.to_owned()], vec![EMAIL_SHARED.to_owned()])
    );
    let told: Vec<_> = report
        .mismatches
        .iter()
        .map(|mismatch| {
            (
                mismatch.profile.user.get(),
                mismatch.fields.clone(),
                mismatch.theirs.is_none(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [(1, vec![Column::Email], true), (2, vec![Column::Email], true)]
    );
    let report = bench.sync(Scope::Full).await.unwrap();
    assert!(report.mismatches.is_empty(), "told once");
    assert_eq!(report.problems, 2);
    let (user, item) = (user(2), license());
    bench.apply(Change::Revoke { user, item }).await.unwrap();
    assert!(bench.kinds(1).is_empty() && bench.kinds(2).is_empty());
}

#[tokio::test]
async fn what_is_ours_to_deliver_is_put_into_the_outbox() {
    let supplier = Profile {
        class: AccountClass::Supplier,
        ..licensed(3)
    };
    let bench = Bench::with([licensed(1), licensed(2), supplier], quick());
    bench.sync(Scope::Full).await.unwrap();
    assert_eq!(bench.outbox.users(), [1, 2]);
    bench.sync(Scope::Full).await.unwrap();
    assert_eq!(bench.outbox.users(), [1, 2], "nothing changed");
    let (user, to) = (user(2), Activity::Inactive);
    bench.apply(Change::SetActive { user, to }).await.unwrap();
    assert_eq!(bench.outbox.users(), [1, 2, 2]);
}

#[tokio::test]
async fn the_ledger_says_nothing_that_could_not_be_put_into_the_outbox() {
    let bench = Bench::with([licensed(1)], quick());
    *lock(&bench.outbox.full) = true;
    assert!(bench.sync(Scope::Full).await.is_err());
    assert!(bench.record(1).is_none() && bench.ledger.followed_to().unwrap().is_none());
    *lock(&bench.outbox.full) = false;
    bench.sync(Scope::Full).await.unwrap();
    assert_eq!(bench.outbox.users(), [1]);
}

#[tokio::test]
async fn delivery_that_becomes_ours_begins_with_what_is_outstanding() {
    let native = Bench::with(
        [
            licensed(1),
            Profile {
                active: false,
                ..licensed(2)
            },
        ],
        RiskAssessConfig {
            user_sync: UserSync::Off,
            ..RiskAssessConfig::default()
        },
    );
    native.sync(Scope::Full).await.unwrap();
    let Bench {
        coupa,
        ledger,
        outbox,
        ..
    } = native;
    let ours = Bench::over(coupa, ledger, outbox, quick());
    ours.sync(Scope::Changed).await.unwrap();
    assert!(ours.outbox.users().is_empty());
    for _ in 0..2 {
        ours.sync(Scope::Full).await.unwrap();
        assert_eq!(
            ours.outbox.users(),
            [1],
            "once, and nobody needs a closed account"
        );
    }
}

#[tokio::test]
async fn a_grid_becomes_evidence_and_mismatches() {
    let old: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let since = |n| Profile {
        updated_at: Some(old),
        ..licensed(n)
    };
    let bench = Bench::new((1..=3).map(since));
    bench.sync(Scope::Full).await.unwrap();
    let account = |line, n: u64, first: &str| TheirAccount {
        line,
        coupa_id: None,
        cells: BTreeMap::from([
            (Column::CoupaUsername, format!("USER{n}").into()),
            (Column::Email, format!("user{n}@x.com").into()),
            (Column::FirstName, first.into()),
        ]),
    };
    let accounts = [account(2, 1, "F"), account(3, 2, "G")];
    let profiles: Vec<Profile> = (1..=3).map(since).chain([person(9)]).collect();
    let now = Timestamp::now();
    let grid = jiff::civil::date(2026, 1, 2);
    let roster = Roster::new(&accounts);
    let evidence = bench
        .downstream
        .take_evidence(grid, now, &roster, &profiles)
        .await
        .unwrap();
    assert_eq!(evidence.seen, 1);
    assert_eq!(bench.record(1).unwrap().standing, Standing::Seen(grid));
    let told: Vec<_> = evidence
        .mismatches
        .iter()
        .map(|mismatch| {
            let line = mismatch.theirs.as_ref().map(|account| account.line);
            (mismatch.profile.user.get(), line, mismatch.fields.clone())
        })
        .collect();
    assert_eq!(told, [(2, Some(3), vec![Column::FirstName]), (3, None, vec![])]);
    assert_eq!(bench.kinds(3), [GRID_MISSING]);
    assert!(bench.record(9).is_none(), "never licensed");
    let ahead = now
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date()
        .saturating_add(jiff::Span::new().days(2));
    let fault = bench
        .downstream
        .take_evidence(ahead, now, &roster, &profiles)
        .await
        .unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::Invalid);
}
