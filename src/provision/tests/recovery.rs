//! Entries that were left open, told from what they say and what the tenant shows.

use jiff::Timestamp;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::{Bench, LONG, grant, kind, revoke};
use crate::model::change::{ListKind, Via, WriteTenant};
use crate::model::fault::FaultKind;
use crate::model::journal::{Ending, Entry, EntryId, Held, Intent, Journal as _, Stage, Step, Subject};
use crate::provision::fake::{Edit, Event, GIVEN_ROLE, ListWrite, Readings, item, person, uid};
use crate::provision::locks::Lock;
use crate::provision::recover::{Now, Verdict, verdict};
use crate::provision::{ByHand, Recover, RecoveredState};

fn step(call: &str, end: Option<&str>) -> Step {
    Step {
        at: Timestamp::UNIX_EPOCH,
        call: call.to_owned(),
        end: end.map(str::to_owned),
    }
}

/// Role 12 is taken from `full`.
fn entry(stage: Stage, steps: Vec<Step>) -> Entry {
    let subject = Subject::Revoke(item(ListKind::Roles, 12));
    Entry {
        id: EntryId(17),
        opened_at: Timestamp::UNIX_EPOCH,
        intent: Intent {
            request: None,
            via: Via::Grpc,
            user: Some(uid(5)),
            subject,
            before: Held::Nothing,
            wanted: Held::Nothing,
        },
        stage,
        steps,
    }
}

fn clearing(steps: Vec<Step>) -> Entry {
    let full = vec![11, 12, 13, 14];
    let read_at = Timestamp::UNIX_EPOCH;
    entry(Stage::Clearing { full, read_at }, steps)
}

fn judge(entry: &Entry, ids: &[u64]) -> Verdict {
    let given = Some(GIVEN_ROLE);
    verdict(entry, Now { ids, given })
}

fn close(ending: Ending) -> Verdict {
    let findings = Vec::new();
    Verdict::Close { ending, findings }
}

const CLEAR: &str = "clear roles null";
const PUT: &str = "put roles 11,13,14";

#[test]
fn after_a_clear_only_what_our_steps_leave_is_put_back() {
    let cleared = clearing(vec![step(PUT, Some("accepted")), step(CLEAR, None)]);
    let put_back = Verdict::PutBack {
        keep: vec![11, 13, 14],
    };
    for left in [
        &[][..],
        &[GIVEN_ROLE],
        &[11],
        &[11, 13],
        &[11, 13, 14],
        &[11, 12, 13, 14],
    ] {
        assert_eq!(judge(&cleared, left), put_back, "{left:?}");
    }
    for foreign in [&[7][..], &[13], &[11, 14], &[7, 11], &[12]] {
        assert!(
            matches!(judge(&cleared, foreign), Verdict::Person { .. }),
            "{foreign:?}"
        );
    }
}

#[test]
fn a_list_put_back_whole_is_closed() {
    let steps = |clear, put| clearing(vec![step(CLEAR, clear), step(PUT, put)]);
    let done = steps(Some("accepted"), Some("accepted"));
    assert_eq!(judge(&done, &[11, 13, 14]), close(Ending::Made));
    assert_eq!(judge(&done, &[11, 12, 13, 14]), close(Ending::NotMade));
    for unproved in [
        steps(None, Some("accepted")),
        steps(Some("unclear: unavailable"), Some("accepted")),
        steps(Some("accepted"), None),
        steps(Some("accepted"), Some("refused: rate limited")),
    ] {
        let verdict = judge(&unproved, &[11, 13, 14]);
        assert!(
            matches!(verdict, Verdict::PutBack { .. }),
            "a reading may be old: {unproved:?}"
        );
    }
}

#[test]
fn a_clear_that_was_never_sent_took_nothing() {
    for steps in [vec![], vec![step(CLEAR, Some("refused: invalid"))]] {
        let entry = clearing(steps);
        assert_eq!(judge(&entry, &[11, 12, 13, 14]), close(Ending::NotMade));
        assert_eq!(judge(&entry, &[7]), close(Ending::Made), "nothing of it is ours");
    }
}

#[test]
fn an_interrupted_list_is_put_back_where_it_was_cut_short() {
    let writing = |end| entry(Stage::Writing, vec![step(PUT, end)]);
    let put_back = Verdict::PutBack {
        keep: vec![11, 13, 14],
    };
    assert_eq!(judge(&writing(None), &[11]), put_back);
    assert_eq!(
        judge(&writing(None), &[7, 11]),
        put_back,
        "what others added does not matter"
    );
    assert_eq!(judge(&writing(None), &[11, 12, 13, 14]), close(Ending::NotMade));
    assert_eq!(judge(&writing(None), &[11, 13, 14]), close(Ending::Made));
    assert!(
        matches!(judge(&writing(None), &[13]), Verdict::Person { .. }),
        "cut, and edited since"
    );
    for (end, left) in [(None, &[13, 14][..]), (Some("accepted"), &[11])] {
        let Verdict::Close { ending, findings } = judge(&writing(end), left) else {
            panic!()
        };
        assert_eq!((ending, findings.len()), (Ending::Made, 1), "not ours, but told");
    }
}

#[test]
fn what_is_whole_again_needs_nobody() {
    let stage = Stage::NeedsPerson {
        reason: String::new(),
        full: Some(vec![11, 12, 13]),
    };
    let entry = entry(stage, vec![step(CLEAR, None)]);
    assert_eq!(judge(&entry, &[11, 13, 20]), close(Ending::Made));
    assert!(matches!(judge(&entry, &[11]), Verdict::Person { .. }));
}

proptest! {
    /// Whatever the journal says and the list shows: what has to be there is there, or it is put back, or a person is asked.
    #[test]
    fn no_verdict_closes_over_a_loss_of_ours(
        now in prop::collection::btree_set(9u64..16, 0..6),
        clear in prop::option::of(prop::sample::select(vec!["accepted", "unclear: unavailable"])),
        put in prop::option::of(prop::option::of(prop::sample::select(vec!["accepted", "refused: invalid"]))),
    ) {
        let now: Vec<u64> = now.into_iter().collect();
        let mut steps = vec![step(CLEAR, clear)];
        steps.extend(put.map(|end| step(PUT, end)));
        let whole = [11, 13, 14].iter().all(|id| now.contains(id));
        match judge(&clearing(steps), &now) {
            Verdict::Close { .. } => prop_assert!(whole),
            Verdict::PutBack { keep } => prop_assert_eq!(keep, vec![11, 13, 14]),
            Verdict::Person { keep, .. } => prop_assert!(!whole && keep == [11, 13, 14]),
        }
    }
}

fn bench() -> Bench {
    Bench::new(
        vec![person(5, &[11, 12, 13], &[]), person(6, &[11], &[])],
        Readings::default(),
    )
}

/// The number of the call that puts the list back after a clear.
async fn call_after_clear() -> usize {
    let mut trial = bench();
    let change = revoke(uid(5), item(ListKind::Roles, 12));
    trial.ask(&change).await.unwrap();
    trial.fake.world().cleared_at + 1
}

/// Crashes with the list empty.
async fn crashed() -> Bench {
    let at = call_after_clear().await;
    let mut bench = bench();
    bench.fake.plan([(at, Event::CrashBefore)]);
    let change = revoke(uid(5), item(ListKind::Roles, 12));
    assert!(bench.apply(Some("task"), &change).await.is_none());
    assert_eq!(bench.fake.holds(5, ListKind::Roles), [0u64; 0]);
    bench.fake.plan([]);
    bench
}

#[tokio::test(start_paused = true)]
async fn until_the_entry_is_closed_the_account_waits_and_others_do_not() {
    let mut bench = crashed().await;
    let waiting = bench
        .ask(&grant(uid(5), item(ListKind::Roles, 14)))
        .await
        .unwrap_err();
    assert_eq!(*waiting.kind(), FaultKind::Unavailable);
    assert!(waiting.message().contains("journal entry 1"), "{waiting}");
    bench
        .ask(&grant(uid(6), item(ListKind::Roles, 14)))
        .await
        .unwrap();
    bench.heal().await;
    assert_eq!(bench.fake.holds(5, ListKind::Roles), [11, 13]);
    let change = revoke(uid(5), item(ListKind::Roles, 12));
    let writes = bench.writes();
    assert!(
        bench.apply(Some("task"), &change).await.unwrap().is_ok(),
        "the end that recovery found"
    );
    assert_eq!(bench.writes(), writes);
}

#[tokio::test(start_paused = true)]
async fn recovery_in_the_background_goes_on_until_the_tenant_answers() {
    let bench = crashed().await;
    bench.fake.plan((1..60).map(|at| (at, Event::LostBefore)));
    let stop = CancellationToken::new();
    let recovery = bench.provision.spawn_recovery(stop.clone());
    while !bench.journal.open_entries().is_empty() {
        tokio::time::sleep(LONG).await;
    }
    assert_eq!(bench.fake.holds(5, ListKind::Roles), [11, 13]);
    stop.cancel();
    recovery.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_change_that_leaves_its_entry_open_wakes_recovery() {
    let bench = Bench::new(
        vec![person(5, &[11, 12, 13], &[])],
        Readings {
            lists: ListWrite::Replace,
            ..Readings::default()
        },
    );
    let stop = CancellationToken::new();
    let recovery = bench.provision.spawn_recovery(stop.clone());
    tokio::time::sleep(LONG).await;
    bench.fake.plan((9..60).map(|at| (at, Event::LostAfter)));
    let change = grant(uid(5), item(ListKind::Roles, 14));
    let answer = bench.provision.apply(&super::order(None), &change).await;
    assert_eq!(kind(&answer), FaultKind::Unavailable);
    while !bench.journal.open_entries().is_empty() {
        tokio::time::sleep(LONG).await;
    }
    assert_eq!(bench.endings(), [Ending::Made]);
    stop.cancel();
    recovery.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_entry_whose_account_was_busy_is_looked_at_again() {
    let bench = crashed().await;
    let busy = bench.provision.engine.locks.hold(Lock::User(uid(5))).await;
    let stop = CancellationToken::new();
    let recovery = bench.provision.spawn_recovery(stop.clone());
    tokio::time::sleep(LONG).await;
    assert_eq!(bench.journal.open_entries().len(), 1);
    // Whoever held the lock leaves without a word.
    drop(busy);
    tokio::time::sleep(LONG).await;
    assert_eq!(bench.fake.holds(5, ListKind::Roles), [11, 13]);
    assert_eq!(bench.journal.open_entries(), []);
    stop.cancel();
    recovery.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_account_that_may_have_been_made_is_told_and_one_that_was_refused_is_not() {
    for (end, told) in [(Some("accepted"), 1), (None, 1), (Some("refused: invalid"), 0)] {
        let bench = bench();
        let intent = Intent {
            request: None,
            via: Via::Grpc,
            user: None,
            subject: Subject::Create {
                login_digest: "00".to_owned(),
            },
            before: Held::Nothing,
            wanted: Held::Flag(true),
        };
        let id = bench.journal.open(&intent).unwrap();
        let step = bench.journal.begin_step(id, Timestamp::now(), "create").unwrap();
        if let Some(end) = end {
            bench.journal.end_step(id, step, end).unwrap();
        }
        bench.provision.recover(Recover::All).await.unwrap();
        let Stage::Closed(closing) = bench.journal.all().remove(0).stage else {
            panic!("it is open");
        };
        assert_eq!(
            (closing.ending, closing.findings.len()),
            (Ending::NotMade, told),
            "{end:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_somebody_else_rebuilt_waits_for_a_person() {
    let foreign = Edit {
        user: 5,
        list: ListKind::Roles,
        id: 17,
        adds: true,
    };
    for (how, expected, ending) in [
        (ByHand::Restore, vec![11, 13, 17], Ending::Made),
        (ByHand::Accept, vec![17], Ending::Settled),
    ] {
        let bench = crashed().await;
        bench.fake.edit(foreign);
        let writes = bench.writes();
        for _ in 0..2 {
            let recovered = bench.provision.recover(Recover::All).await.unwrap();
            assert!(matches!(recovered[0].state, RecoveredState::NeedsPerson(_)));
        }
        assert_eq!(bench.writes(), writes, "not touched");
        let id = recovered_id(&bench);
        let recovered = bench.provision.recover(Recover::ByHand(id, how)).await.unwrap();
        assert!(matches!(recovered[0].state, RecoveredState::Closed(end) if end == ending));
        assert_eq!(bench.fake.holds(5, ListKind::Roles), expected);
    }
}

fn recovered_id(bench: &Bench) -> EntryId {
    bench.journal.open_entries()[0].id
}

#[tokio::test(start_paused = true)]
async fn a_person_decides_about_an_open_list_and_no_other_entry() {
    let bench = crashed().await;
    let id = recovered_id(&bench);
    // Also where recovery might go on for ever, for instance since Coupa no longer has a role that is to go back.
    let decided = bench
        .provision
        .recover(Recover::ByHand(id, ByHand::Accept))
        .await
        .unwrap();
    assert!(matches!(
        decided[0].state,
        RecoveredState::Closed(Ending::Settled)
    ));
    let again = bench
        .provision
        .recover(Recover::ByHand(id, ByHand::Restore))
        .await;
    assert_eq!(*again.unwrap_err().kind(), FaultKind::Conflict);
    let unknown = bench.provision.recover(Recover::Entry(EntryId(99))).await;
    assert_eq!(*unknown.unwrap_err().kind(), FaultKind::NotFound);
}
