//! Accounts: made once, activated, deactivated, updated.

use super::{Bench, ending, kind, on_paused_clock};
use crate::model::change::{AccountDraft, Activity, Call, Change, Effect, OnInactive};
use crate::model::fault::FaultKind;
use crate::model::journal::{Ending, Held};
use crate::model::tenant::User;
use crate::provision::fake::{Event, Readings, person, uid};

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
