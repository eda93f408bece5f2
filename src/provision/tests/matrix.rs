//! Every event at every call of every change, under every reading: nothing is lost that was not asked for, the answer is true, and
//! nothing stays open once the tenant answers again.

use super::{Bench, LISTS, ending, grant, on_paused_clock, revoke};
use crate::model::change::{Change, ListKind, Outcome};
use crate::model::fault::Fault;
use crate::model::journal::Ending;
use crate::provision::Exception;
use crate::provision::fake::{Empty, Event, GIVEN_ROLE, ListWrite, Membership, Readings, item, person, uid};

const USER: u64 = 5;
const ROLES: [u64; 4] = [11, 12, 13, 14];
const GROUPS: [u64; 3] = [21, 22, 23];

struct Case {
    change: Change,
    list: ListKind,
    id: u64,
    gives: bool,
}

fn cases() -> Vec<Case> {
    let case = |list, id, gives| {
        let item = item(list, id);
        let change = if gives {
            grant(uid(USER), item)
        } else {
            revoke(uid(USER), item)
        };
        Case {
            change,
            list,
            id,
            gives,
        }
    };
    vec![
        case(ListKind::Roles, 10, true),
        case(ListKind::Roles, 12, false),
        case(ListKind::Roles, 14, false),
        case(ListKind::Groups, 24, true),
        case(ListKind::Groups, 21, false),
    ]
}

/// Each value of each reading, and each pair that can meet in one change.
fn readings(lists: ListWrite) -> Vec<Readings> {
    let reading = |null, brackets, delay_reads, membership| Readings {
        lists,
        null,
        brackets,
        delay_reads,
        membership,
        given: delay_reads == 0,
        ..Readings::default()
    };
    match lists {
        ListWrite::Add => vec![
            reading(Empty::Clears, Empty::Ignored, 0, Membership::Works),
            reading(Empty::Clears, Empty::Rejected, 3, Membership::Absent),
            reading(Empty::Ignored, Empty::Clears, 3, Membership::Ignored),
            reading(Empty::Rejected, Empty::Clears, 0, Membership::Ignored),
            reading(Empty::Ignored, Empty::Rejected, 0, Membership::Absent),
        ],
        ListWrite::Replace => vec![
            reading(Empty::Clears, Empty::Ignored, 0, Membership::Works),
            reading(Empty::Ignored, Empty::Ignored, 3, Membership::Ignored),
        ],
    }
}

const EVENTS: [Event; 9] = [
    Event::LostBefore,
    Event::LostAfter,
    Event::Partial,
    Event::Late(7),
    Event::Limited(3),
    Event::Rejected,
    Event::Unauthenticated,
    Event::CrashBefore,
    Event::CrashAfter,
];

fn bench(readings: &Readings) -> Bench {
    Bench::allowing(
        vec![person(USER, &ROLES, &GROUPS)],
        readings.clone(),
        &[Exception::NoRoles],
    )
}

fn held(list: ListKind) -> Vec<u64> {
    match list {
        ListKind::Roles => ROLES.to_vec(),
        ListKind::Groups => GROUPS.to_vec(),
    }
}

/// What must be so when everything has come to its end.
fn check(bench: &Bench, case: &Case, answer: Option<&Result<Outcome, Fault>>, what: &str) {
    assert!(
        bench.journal.open_entries().is_empty(),
        "{what}: open {:?}",
        bench.journal.open_entries()
    );
    for list in LISTS {
        let now = bench.fake.holds(USER, list);
        for id in held(list) {
            let asked = list == case.list && id == case.id;
            assert!(
                asked || now.contains(&id),
                "{what}: lost {id}: {now:?} {:?}",
                bench.journal.all()
            );
        }
        for id in &now {
            let known = held(list).contains(id) || *id == GIVEN_ROLE || (list == case.list && *id == case.id);
            assert!(known, "{what}: {id} came from nowhere");
        }
    }
    let as_wanted = bench.fake.holds(USER, case.list).contains(&case.id) == case.gives;
    if let Some(Ok(_)) = answer {
        assert!(as_wanted, "{what}: told as made");
    }
    let entries = bench.journal.all();
    match entries.last().and_then(ending) {
        None | Some(Ending::NotMade | Ending::Restored | Ending::Unchanged) => {
            assert!(!as_wanted, "{what}: recorded as not made: {entries:?}");
        }
        Some(Ending::Made) => assert!(as_wanted, "{what}: recorded as made: {entries:?}"),
        Some(Ending::Settled) => panic!("{what}: no person has spoken"),
    }
}

async fn one(readings: &Readings, case: &Case, at: usize, event: Event) -> bool {
    let what = format!("{event:?} at call {at} of {:?} under {readings:?}", case.change);
    let mut bench = bench(readings);
    bench.fake.plan([(at, event)]);
    let answer = bench.apply(Some("request"), &case.change).await;
    let reached = answer.is_none() || bench.fake.calls() >= at;
    let most = bench.config.bound(4) as usize;
    assert!(bench.writes() <= most, "{what}: {} writes", bench.writes());
    if let Some(Err(fault)) = &answer {
        let open = bench.journal.open_entries();
        let named = open
            .iter()
            .all(|entry| fault.to_string().contains(&format!("entry {}", entry.id)));
        assert!(named, "{what}: {fault:?} does not name {open:?}");
    }
    bench.heal().await;
    check(&bench, case, answer.as_ref(), &what);
    let again = bench.apply(Some("request"), &case.change).await;
    bench.heal().await;
    check(&bench, case, again.as_ref(), &format!("{what}, asked again"));
    reached
}

fn sweep(readings: &Readings) {
    for case in cases() {
        for event in EVENTS {
            on_paused_clock(async {
                let mut at = 1;
                while one(readings, &case, at, event).await {
                    at += 1;
                }
                assert!(at > 6, "events were met");
            });
        }
    }
}

#[test]
fn every_event_at_every_call_where_coupa_adds() {
    readings(ListWrite::Add).iter().for_each(sweep);
}

#[test]
fn every_event_at_every_call_where_coupa_replaces() {
    readings(ListWrite::Replace).iter().for_each(sweep);
}

/// The disk fails at one operation, or from one on: before a clear nothing is sent, after it the list is put back all the same.
#[test]
fn a_journal_that_fails_at_any_operation_harms_nobody() {
    for readings in [ListWrite::Add, ListWrite::Replace]
        .into_iter()
        .flat_map(readings)
    {
        for case in cases() {
            on_paused_clock(async {
                for first in 1..16 {
                    for last in [first, 1000] {
                        let what = format!(
                            "journal fails {first}..={last} in {:?}, {readings:?}",
                            case.change
                        );
                        let mut bench = bench(&readings);
                        bench.journal.fail(first..=last);
                        let answer = bench.apply(None, &case.change).await;
                        let missing: Vec<u64> = held(case.list)
                            .into_iter()
                            .filter(|id| *id != case.id && !bench.fake.holds(USER, case.list).contains(id))
                            .collect();
                        assert_eq!(missing, [0u64; 0], "{what}: before any recovery");
                        bench.heal().await;
                        check(&bench, &case, answer.as_ref(), &what);
                    }
                }
            });
        }
    }
}
