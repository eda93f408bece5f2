//! The ledger against what was recorded, over real databases.
#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;

use jiff::civil::{Date, date};
use proptest::option;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::model::downstream::{Digest, Expectation, Judged, Link, Problem, Reading, Standing};
use crate::model::fault::FaultKind;
use crate::model::readiness::Level;

fn open(base: &TempDir) -> State {
    State::open(base.path(), "tenant", "client").unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn user(n: u64) -> UserId {
    UserId::new(n).unwrap()
}

fn record(n: u64) -> Record {
    Record {
        user: user(n),
        expectation: Expectation::Active,
        standing: Standing::Seen(date(2026, 11, 22)),
        since: at(7),
        evidence: "the grid shows it".into(),
        link: Some((Link::Username, date(2026, 11, 22))),
        reading: Reading {
            at: at(5),
            updated_at: Some(at(4)),
            licensed: true,
            active: true,
            fields: Digest("f".into()),
            login: Digest("l".into()),
            email: None,
        },
        judged: Some(Judged {
            at: at(6),
            worst: Some(Level::Warn),
            rules: vec!["email-pattern".into()],
        }),
        problems: vec![Problem {
            kind: "email-shared".into(),
            text: "with user 9".into(),
            at: at(6),
        }],
    }
}

/// Puts records in place of what is there.
fn put(state: &State, records: &[Record]) {
    let users: Vec<UserId> = records.iter().map(|record| record.user).collect();
    let mut records: BTreeMap<UserId, Record> = records
        .iter()
        .map(|record| (record.user, record.clone()))
        .collect();
    state
        .revise(&users, &mut |user, _| records.remove(&user))
        .unwrap();
}

fn times() -> impl Strategy<Value = Timestamp> {
    (Timestamp::MIN.as_nanosecond()..=Timestamp::MAX.as_nanosecond())
        .prop_map(|nano| Timestamp::from_nanosecond(nano).unwrap())
}

fn dates() -> impl Strategy<Value = Date> {
    (1970i16..2200, 1i8..=12, 1i8..=28).prop_map(|(year, month, day)| date(year, month, day))
}

fn standings() -> impl Strategy<Value = Standing> {
    prop_oneof![
        Just(Standing::Expected),
        Just(Standing::Delivered),
        Just(Standing::Queued),
        Just(Standing::Doubtful),
        Just(Standing::Rejected),
        dates().prop_map(Standing::Seen),
        Just(Standing::Unknown),
    ]
}

fn digests() -> impl Strategy<Value = Digest> {
    "[0-9a-f]{64}".prop_map(|text| Digest(text.into()))
}

prop_compose! {
    fn readings()(
        at in times(), updated_at in option::of(times()), licensed in any::<bool>(), active in any::<bool>(),
        fields in digests(), login in digests(), email in option::of(digests()),
    ) -> Reading {
        Reading { at, updated_at, licensed, active, fields, login, email }
    }
}

prop_compose! {
    fn judgements()(
        at in times(), worst in option::of(prop::sample::select(vec![Level::Info, Level::Warn, Level::Error])),
        rules in prop::collection::vec("[a-z-]{1,20}", 0..4),
    ) -> Judged {
        Judged { at, worst, rules: rules.into_iter().map(Into::into).collect() }
    }
}

prop_compose! {
    fn problems()(kind in "[a-z-]{1,20}", text in ".{0,80}", at in times()) -> Problem {
        Problem { kind: kind.into(), text: text.into(), at }
    }
}

prop_compose! {
    fn records()(
        number in 1..=u64::MAX, expectation in prop::sample::select(&Expectation::ALL[..]), standing in standings(),
        since in times(), evidence in ".{0,80}",
        link in option::of((prop::sample::select(&Link::ALL[..]), dates())), reading in readings(),
        judged in option::of(judgements()), problems in prop::collection::vec(problems(), 0..4),
    ) -> Record {
        Record {
            user: user(number), expectation, standing, since, evidence: evidence.into(), link, reading, judged, problems,
        }
    }
}

#[test]
fn whatever_is_recorded_comes_back_equal() {
    let base = TempDir::new().unwrap();
    let state = open(&base);
    proptest!(ProptestConfig::with_cases(200), |(record in records())| {
        put(&state, std::slice::from_ref(&record));
        prop_assert_eq!(state.record(record.user).unwrap(), Some(record));
    });
    assert_eq!(state.records().unwrap(), open(&base).records().unwrap());
}

#[test]
fn records_are_ascending_and_can_be_taken_away() {
    let base = TempDir::new().unwrap();
    let state = open(&base);
    put(&state, &[record(10), record(9), record(u64::MAX), record(100)]);
    let users = |state: &State| -> Vec<u64> {
        let records = state.records().unwrap();
        records.iter().map(|record| record.user.get()).collect()
    };
    assert_eq!(users(&state), [9, 10, 100, u64::MAX]);
    state.revise(&[user(10), user(11)], &mut |_, _| None).unwrap();
    assert_eq!(users(&state), [9, 100, u64::MAX]);
    assert_eq!(state.record(user(10)).unwrap(), None);
}

#[test]
fn each_record_is_handed_over_as_it_stands() {
    let base = TempDir::new().unwrap();
    let state = open(&base);
    put(&state, &[record(1)]);
    let mut seen = Vec::new();
    let asked = [user(2), user(1), user(1)];
    let evidence = |record: &Record| record.evidence.to_string();
    state
        .revise(&asked, &mut |user, before| {
            seen.push((user.get(), before.as_ref().map(evidence)));
            let before = before?;
            Some(Record {
                evidence: "again".into(),
                ..before
            })
        })
        .unwrap();
    let first = "the grid shows it".to_owned();
    assert_eq!(seen, [(2, None), (1, Some(first)), (1, Some("again".to_owned()))]);
}

#[test]
fn a_revision_that_fails_leaves_nothing() {
    let base = TempDir::new().unwrap();
    let state = open(&base);
    put(&state, &[record(1), record(3)]);
    let before = state.records().unwrap();
    let fault = state
        .revise(&[user(1), user(2)], &mut |_, _| Some(record(1)))
        .unwrap_err();
    assert_eq!(
        *fault.kind(),
        FaultKind::Internal,
        "a record under another's number"
    );
    state
        .db()
        .execute("update account set standing = 'x' where user = '3'", [])
        .unwrap();
    let fault = state.revise(&[user(1), user(3)], &mut |_, _| None).unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::Corrupt);
    assert_eq!(state.record(user(1)).unwrap().as_ref(), before.first());
}

#[test]
fn two_processes_never_lose_each_others_work() {
    let base = TempDir::new().unwrap();
    put(&open(&base), &[record(1)]);
    let count = || {
        let state = open(&base);
        for _ in 0..40 {
            state
                .revise(&[user(1)], &mut |_, before| {
                    let mut record = before?;
                    record.problems.push(Problem {
                        kind: "one-more".into(),
                        text: "".into(),
                        at: at(1),
                    });
                    Some(record)
                })
                .unwrap();
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(count);
        scope.spawn(count);
    });
    let record = open(&base).record(user(1)).unwrap().unwrap();
    assert_eq!(record.problems.len(), 81);
}

#[test]
fn what_one_process_recorded_another_sees_at_once() {
    let base = TempDir::new().unwrap();
    let (writer, reader) = (open(&base), open(&base));
    put(&writer, &[record(1)]);
    assert_eq!(reader.records().unwrap(), [record(1)]);
    assert_eq!(reader.followed_to().unwrap(), None);
    writer.follow_to(at(9)).unwrap();
    assert_eq!(reader.followed_to().unwrap(), Some(at(9)));
    let earlier = Timestamp::new(8, 1).unwrap();
    reader.follow_to(earlier).unwrap();
    assert_eq!(writer.followed_to().unwrap(), Some(earlier));
}

#[test]
fn a_ledger_belongs_to_the_client_that_wrote_it() {
    let base = TempDir::new().unwrap();
    let late = State::open(base.path(), "tenant", "another").unwrap();
    open(&base).follow_to(at(1)).unwrap();
    for refused in [
        late.follow_to(at(2)),
        late.revise(&[user(1)], &mut |_, _| Some(record(1))),
    ] {
        assert_eq!(*refused.unwrap_err().kind(), FaultKind::Refused);
    }
    assert_eq!(late.followed_to().unwrap(), Some(at(1)));
    assert!(late.records().unwrap().is_empty());
}

#[test]
fn names_of_a_later_version_are_a_clear_fault() {
    let base = TempDir::new().unwrap();
    let state = open(&base);
    for (column, text) in [
        ("expectation", "frozen"),
        ("standing", r#""guessed""#),
        ("standing", r#"{"seen":"2026-13-01"}"#),
        ("since", "yesterday"),
        ("link", r#"{"by":"face","on":"2026-11-22"}"#),
        ("reading", r#"{"at":"2026-01-01T00:00:00Z"}"#),
        (
            "judged",
            r#"{"at":"2026-01-01T00:00:00Z","worst":"awful","rules":[]}"#,
        ),
        (
            "problems",
            r#"[{"kind":"k","text":"t","at":"2026-01-01T00:00:00Z","who":"x"}]"#,
        ),
    ] {
        put(&state, &[record(7)]);
        let update = format!("update account set {column} = ?1");
        state.db().execute(&update, [text]).unwrap();
        for fault in [state.record(user(7)).unwrap_err(), state.records().unwrap_err()] {
            assert_eq!(*fault.kind(), FaultKind::Corrupt, "{column}");
            assert!(fault.message().contains("the record of user 7"), "{fault}");
            assert!(fault.advice().unwrap().contains("newer version"), "{fault}");
            assert!(fault.detail().unwrap().starts_with(column), "{fault:?}");
        }
        state.db().execute("delete from account", []).unwrap();
    }
    state.follow_to(at(1)).unwrap();
    state
        .db()
        .execute("update followed set until = 'noon'", [])
        .unwrap();
    let fault = state.followed_to().unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::Corrupt);
}

/// The format of the file: a change here is a new migration.
#[test]
fn the_form_on_disk_is_this_one() {
    let base = TempDir::new().unwrap();
    let state = open(&base);
    let shown = || {
        let select = "select concat_ws(' ', user, expectation, standing, since, evidence, link, reading, judged, problems) from account";
        let text: String = state.db().query_row(select, [], |row| row.get(0)).unwrap();
        text
    };
    put(&state, &[record(5)]);
    assert_eq!(
        shown(),
        concat!(
            r#"5 active {"seen":"2026-11-22"} 1970-01-01T00:00:07.000000000Z the grid shows it "#,
            r#"{"by":"username","on":"2026-11-22"} "#,
            r#"{"at":"1970-01-01T00:00:05Z","updated-at":"1970-01-01T00:00:04Z","licensed":true,"active":true,"fields":"f","login":"l","email":null} "#,
            r#"{"at":"1970-01-01T00:00:06Z","worst":"warn","rules":["email-pattern"]} "#,
            r#"[{"kind":"email-shared","text":"with user 9","at":"1970-01-01T00:00:06Z"}]"#,
        )
    );
    for standing in [
        Standing::Expected,
        Standing::Delivered,
        Standing::Queued,
        Standing::Doubtful,
        Standing::Rejected,
        Standing::Unknown,
    ] {
        put(
            &state,
            &[Record {
                standing,
                ..record(5)
            }],
        );
        let named = format!(r#"5 active "{}" "#, standing.name());
        assert!(shown().starts_with(&named), "{}", shown());
    }
}
