//! Accounts: made once, activated, deactivated, updated.

use super::{Bench, ending, kind, on_paused_clock};
use crate::model::access::Item;
use crate::model::change::{AccountDraft, Activity, Call, Change, Effect, OnInactive, Outcome, WriteTenant};
use crate::model::fault::FaultKind;
use crate::model::journal::{Ending, Held, Stage};
use crate::model::tenant::{ReadTenant, User};
use crate::provision::fake::{Event, Newcomers, Readings, person, uid};

fn draft(login: &str, email: &str) -> AccountDraft {
    AccountDraft {
        login: Some(login.into()),
        email: Some(email.into()),
        first_name: Some("Ann".into()),
        last_name: Some("Lee".into()),
        ..AccountDraft::default()
    }
}

fn create(draft: AccountDraft, on_inactive: OnInactive) -> Change {
    let draft = Box::new(draft);
    Change::Create { draft, on_inactive }
}

fn inactive(id: u64) -> User {
    User {
        active: false,
        ..person(id, &[11], &[])
    }
}

fn bench() -> Bench {
    Bench::new(
        vec![person(5, &[11], &[]), inactive(6), person(7, &[1], &[])],
        Readings::default(),
    )
}

fn creations(bench: &Bench) -> usize {
    let world = bench.fake.world();
    world
        .sent
        .iter()
        .filter(|call| matches!(call, Call::Create(_)))
        .count()
}

#[tokio::test(start_paused = true)]
async fn an_account_is_made_read_back_and_recorded() {
    let mut bench = bench();
    let change = create(draft("ann", "ann@example.com"), OnInactive::Leave);
    let outcome = bench.apply(Some("task"), &change).await.unwrap().unwrap();
    assert_eq!((outcome.effect, outcome.user.id), (Effect::Made, uid(8)));
    let again = bench.apply(Some("task"), &change).await.unwrap().unwrap();
    assert_eq!((again.effect, again.user.id), (Effect::Made, uid(8)));
    let other_task = bench.apply(Some("task-2"), &change).await.unwrap().unwrap();
    assert_eq!((other_task.effect, other_task.entry), (Effect::Existed, None));
    assert_eq!(creations(&bench), 1);
    let text = format!("{:?}", bench.journal.all());
    assert!(!text.contains("ann"), "no login in the journal");
}

#[tokio::test(start_paused = true)]
async fn who_exists_is_told_and_reactivated_only_when_asked() {
    let mut bench = bench();
    let existing = create(draft("LOGIN5", "other@example.com"), OnInactive::Reactivate);
    assert_eq!(bench.ask(&existing).await.unwrap().effect, Effect::Existed);
    let left = create(draft("login6", "email6"), OnInactive::Leave);
    let outcome = bench.ask(&left).await.unwrap();
    assert_eq!((outcome.effect, outcome.user.active), (Effect::Existed, false));
    assert_eq!(bench.writes(), 0);
    let asked = create(draft("login6", "email6"), OnInactive::Reactivate);
    let outcome = bench.apply(Some("task"), &asked).await.unwrap().unwrap();
    assert_eq!((outcome.effect, outcome.user.active), (Effect::Reactivated, true));
    let again = bench.apply(Some("task"), &asked).await.unwrap().unwrap();
    assert_eq!((again.effect, again.entry), (Effect::Reactivated, outcome.entry));
    assert_eq!(creations(&bench), 0);
}

#[tokio::test(start_paused = true)]
async fn an_address_of_somebody_else_is_a_conflict() {
    let mut bench = bench();
    let change = create(draft("ann", "email5"), OnInactive::Leave);
    let fault = bench.ask(&change).await.unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::Conflict);
    assert!(
        fault.message().contains("user 5") && !fault.message().contains("email5"),
        "{fault}"
    );
    let nameless = create(draft("ann", " "), OnInactive::Leave);
    assert_eq!(kind(&bench.ask(&nameless).await), FaultKind::Invalid);
    assert_eq!(bench.writes(), 0);
}

#[test]
fn whatever_fails_no_account_is_made_twice() {
    let events = [
        Event::LostBefore,
        Event::LostAfter,
        Event::Late(7),
        Event::Limited(3),
        Event::Rejected,
        Event::CrashBefore,
        Event::CrashAfter,
    ];
    for event in events {
        on_paused_clock(async {
            for at in 1..12 {
                let mut bench = bench();
                let change = create(draft("ann", "ann@example.com"), OnInactive::Leave);
                bench.fake.plan([(at, event)]);
                let answer = bench.apply(Some("task"), &change).await;
                bench.heal().await;
                assert!(bench.journal.open_entries().is_empty(), "{event:?} at {at}");
                let last = bench.journal.all().last().and_then(ending);
                if let Some(Ok(outcome)) = &answer {
                    assert_eq!((outcome.user.id, last), (uid(8), Some(Ending::Made)));
                }
                let again = bench.apply(Some("task"), &change).await.unwrap().unwrap();
                assert_eq!(again.user.id, uid(8), "{event:?} at {at}");
                let made = bench
                    .fake
                    .world()
                    .sent
                    .iter()
                    .filter(|call| matches!(call, Call::Create(_)))
                    .count();
                assert!(made <= 2, "{event:?} at {at}: sent {made} times");
            }
        });
    }
}

#[tokio::test(start_paused = true)]
async fn activity_is_proved() {
    let mut bench = bench();
    let to = |user, to| Change::SetActive { user: uid(user), to };
    let outcome = bench.ask(&to(5, Activity::Inactive)).await.unwrap();
    assert_eq!(
        (outcome.before, outcome.after),
        (Held::Flag(true), Held::Flag(false))
    );
    assert_eq!(
        bench.ask(&to(5, Activity::Inactive)).await.unwrap().effect,
        Effect::AlreadySo
    );
    bench.ask(&to(5, Activity::Active)).await.unwrap();
    assert_eq!(
        kind(&bench.ask(&to(7, Activity::Inactive)).await),
        FaultKind::Declined,
        "the last administrator"
    );

    let sticks = Readings {
        activity_sticks: true,
        ..Readings::default()
    };
    let mut bench = Bench::new(vec![person(5, &[11], &[])], sticks);
    assert_eq!(
        kind(&bench.ask(&to(5, Activity::Inactive)).await),
        FaultKind::Unchanged
    );
}

#[tokio::test(start_paused = true)]
async fn an_update_names_what_coupa_ignored_and_what_cannot_be_proved() {
    let mut bench = bench();
    let update = |draft| Change::Update {
        user: uid(5),
        draft: Box::new(draft),
    };
    let known = AccountDraft {
        department: Some("Sales".into()),
        default_locale: Some("en".into()),
        ..AccountDraft::default()
    };
    let outcome = bench.ask(&update(known)).await.unwrap();
    assert!(outcome.findings[0].text.contains("default-locale"));
    let unknown = AccountDraft {
        department: Some("Legal".into()),
        manager: Some(uid(100)),
        ..AccountDraft::default()
    };
    let fault = bench.ask(&update(unknown)).await.unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::Unchanged);
    assert!(fault.message().starts_with("not as asked: manager: "), "{fault}");
    let shown = AccountDraft {
        department: Some("Legal".into()),
        ..AccountDraft::default()
    };
    assert_eq!(bench.ask(&update(shown)).await.unwrap().effect, Effect::AlreadySo);
}

const LICENSES: [&str; 2] = ["risk-assess-user", "treasury-user"];

fn licensed(names: &[&str]) -> Change {
    let draft = AccountDraft {
        licenses: names.iter().map(|name| name.parse().unwrap()).collect(),
        ..draft("ann", "ann@example.com")
    };
    create(draft, OnInactive::Leave)
}

fn tenant(newcomers: Newcomers) -> Readings {
    Readings {
        newcomers,
        ..Readings::default()
    }
}

fn among(readings: Readings) -> Bench {
    Bench::new(vec![person(5, &[11], &[]), inactive(6)], readings)
}

fn has(bench: &Bench, user: &User, name: &str) -> bool {
    let item = Item::License(name.parse().unwrap());
    user.access.holds(&item, &bench.fake.survey().licenses)
}

/// What was sent, as the journal names it.
fn sent(bench: &Bench) -> Vec<String> {
    let world = bench.fake.world();
    world.sent.iter().map(crate::provision::steps::text).collect()
}

fn told(outcome: &Outcome) -> Vec<&str> {
    outcome.findings.iter().map(|finding| &*finding.text).collect()
}

#[tokio::test(start_paused = true)]
async fn an_account_is_made_with_its_licenses() {
    let bare = "create";
    let both = "create with risk-assess-user treasury-user";
    let (risk, treasury) = ("set risk-assess-user true", "set treasury-user true");
    let underscored = Readings {
        underscored: true,
        ..tenant(Newcomers::Ignored)
    };
    for (readings, expected) in [
        (tenant(Newcomers::Licensed), vec![both]),
        (tenant(Newcomers::Ignored), vec![both, risk, treasury]),
        (tenant(Newcomers::Rejected), vec![both, bare, risk, treasury]),
    ] {
        let mut bench = among(readings);
        let outcome = bench.ask(&licensed(&LICENSES)).await.unwrap();
        assert_eq!((outcome.effect, told(&outcome).len()), (Effect::Made, 0));
        assert!(LICENSES.iter().all(|name| has(&bench, &outcome.user, name)));
        assert_eq!(sent(&bench), expected);
        assert_eq!(bench.endings(), [Ending::Made]);
    }
    let mut bench = among(underscored);
    let outcome = bench.ask(&licensed(&["treasury-user"])).await.unwrap();
    assert!(has(&bench, &outcome.user, "treasury-user"));
    assert_eq!(
        sent(&bench),
        ["create with treasury-user", treasury, treasury],
        "both spellings"
    );
}

#[tokio::test(start_paused = true)]
async fn a_license_that_cannot_be_given_is_told_and_the_account_is_made_once() {
    let readings = Readings {
        licenses_stick: true,
        ..tenant(Newcomers::Ignored)
    };
    let mut bench = among(readings);
    let change = licensed(&LICENSES);
    let outcome = bench.apply(Some("task"), &change).await.unwrap().unwrap();
    assert_eq!((outcome.effect, outcome.user.id), (Effect::Made, uid(7)));
    assert_eq!(
        told(&outcome),
        LICENSES.map(|name| format!(
            "the account was made without license {name}: Coupa accepted it and does not show it"
        ))
    );
    let Stage::Closed(closing) = &bench.journal.all()[0].stage else {
        panic!("left open");
    };
    assert_eq!((closing.ending, closing.user), (Ending::Made, Some(uid(7))));
    assert_eq!(closing.findings, told(&outcome));
    let again = bench.apply(Some("task"), &change).await.unwrap().unwrap();
    assert_eq!((again.effect, told(&again)), (Effect::Made, told(&outcome)));
    assert_eq!(creations(&bench), 1);
}

#[tokio::test(start_paused = true)]
async fn licenses_nobody_can_be_given_are_refused_before_anything_is_sent() {
    for (name, refusal) in [
        ("category-strategy-user", FaultKind::Refused),
        ("moon-base-user", FaultKind::Invalid),
    ] {
        let mut bench = bench();
        let change = licensed(&["risk-assess-user", name]);
        let fault = bench.ask(&change).await.unwrap_err();
        assert_eq!(*fault.kind(), refusal);
        assert!(fault.message().contains(name), "{fault}");
        assert_eq!(*bench.provision.plan(&change).await.unwrap_err().kind(), refusal);
        assert_eq!((bench.writes(), bench.journal.all().len()), (0, 0));
    }
    let mut bench = bench();
    let Change::Create { draft, .. } = licensed(&["risk-assess-user"]) else {
        panic!()
    };
    let update = Change::Update { user: uid(5), draft };
    assert_eq!(kind(&bench.ask(&update).await), FaultKind::Invalid);
    assert_eq!(
        bench.provision.plan(&update).await.unwrap_err().kind(),
        &FaultKind::Invalid
    );
    assert_eq!(bench.writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_exists_gets_no_license() {
    let mut bench = bench();
    let draft = AccountDraft {
        licenses: ["risk-assess-user".parse().unwrap()].into(),
        ..draft("login5", "email5")
    };
    let outcome = bench.ask(&create(draft, OnInactive::Leave)).await.unwrap();
    assert_eq!((outcome.effect, bench.writes()), (Effect::Existed, 0));
}

#[tokio::test(start_paused = true)]
async fn a_plan_shows_the_licenses_of_a_new_account() {
    let bench = bench();
    let plan = bench
        .provision
        .plan(&licensed(&["risk-assess-user"]))
        .await
        .unwrap();
    assert_eq!(plan.requests[0].path, "create with risk-assess-user");
    assert_eq!(bench.writes(), 0);
}

#[test]
fn whatever_fails_a_license_is_given_or_told_and_no_account_is_made_twice() {
    let events = [
        Event::LostBefore,
        Event::LostAfter,
        Event::Late(7),
        Event::Limited(3),
        Event::Rejected,
        Event::Unauthenticated,
        Event::CrashBefore,
        Event::CrashAfter,
    ];
    for newcomers in [Newcomers::Licensed, Newcomers::Ignored, Newcomers::Rejected] {
        for event in events {
            on_paused_clock(async {
                for at in 1..16 {
                    let case = format!("{newcomers:?}, {event:?} at {at}");
                    let mut bench = among(tenant(newcomers));
                    let change = licensed(&["risk-assess-user"]);
                    bench.fake.plan([(at, event)]);
                    let answer = bench.apply(Some("task"), &change).await;
                    bench.heal().await;
                    assert!(bench.journal.open_entries().is_empty(), "{case}");
                    if let Some(Ok(outcome)) = &answer {
                        assert_eq!(outcome.user.id, uid(7), "{case}");
                        let held = has(&bench, &outcome.user, "risk-assess-user");
                        assert!(held || told(outcome)[0].contains("without license"), "{case}");
                    }
                    let again = bench.apply(Some("task"), &change).await.unwrap().unwrap();
                    assert_eq!(again.user.id, uid(7), "{case}");
                    let held = has(&bench, &again.user, "risk-assess-user");
                    let told = told(&again).iter().any(|text| text.contains("without license"));
                    assert!(held || told || again.effect == Effect::Existed, "{case}");
                    let text = format!("{:?}", bench.journal.all());
                    assert!(!text.contains("ann"), "no login in the journal: {case}");
                    let accounts = bench.fake.world().accounts.len();
                    assert_eq!(accounts, 3, "{case}");
                }
            });
        }
    }
}
