//! The journal against what was recorded, over real databases.
#![allow(clippy::unwrap_used)]
use std::collections::BTreeSet;

use proptest::option;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::model::access::Item;
use crate::model::change::{Activity, Via};
use crate::model::id::{GroupId, RoleId, UserId};
use crate::model::journal::{ClosedBy, Closing, Ending, Held, Subject};

fn open(base: &TempDir) -> State {
    State::open(base.path(), "tenant", "client").unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn intent(user: u64) -> Intent {
    Intent {
        request: None,
        via: Via::Grpc,
        user: UserId::new(user),
        subject: Subject::Revoke(Item::Role(RoleId::new(7).unwrap())),
        before: Held::Ids(vec![1, 7]),
        wanted: Held::Ids(vec![1]),
    }
}

fn closed(second: i64) -> Stage {
    Stage::Closed(Closing {
        at: at(second),
        ending: Ending::Made,
        by: ClosedBy::Change,
        user: UserId::new(5),
        after: Held::Ids(vec![1]),
        window_ms: Some(12),
        empty_ms: None,
        findings: Vec::new(),
    })
}

fn ids(entries: &[Entry]) -> Vec<i64> {
    entries.iter().map(|entry| entry.id.0).collect()
}

fn times() -> impl Strategy<Value = Timestamp> {
    (Timestamp::MIN.as_nanosecond()..=Timestamp::MAX.as_nanosecond())
        .prop_map(|nano| Timestamp::from_nanosecond(nano).unwrap())
}

fn users() -> impl Strategy<Value = UserId> {
    (1..=u64::MAX).prop_map(|id| UserId::new(id).unwrap())
}

fn lists() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::btree_set(any::<u64>(), 0..60).prop_map(|ids| ids.into_iter().collect())
}

fn words() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[a-z-]{1,20}", 0..4)
}

fn items() -> impl Strategy<Value = Item> {
    prop_oneof![
        (1..=u64::MAX).prop_map(|id| Item::Role(RoleId::new(id).unwrap())),
        (1..=u64::MAX).prop_map(|id| Item::Group(GroupId::new(id).unwrap())),
        "[a-z0-9-]{1,30}".prop_map(|name| Item::License(name.parse().unwrap())),
    ]
}

fn subjects() -> impl Strategy<Value = Subject> {
    prop_oneof![
        items().prop_map(Subject::Grant),
        items().prop_map(Subject::Revoke),
        any::<bool>().prop_map(|active| Subject::SetActive(Activity::of(active))),
        words().prop_map(Subject::Update),
        "[0-9a-f]{64}".prop_map(|login_digest| Subject::Create { login_digest }),
    ]
}

fn held() -> impl Strategy<Value = Held> {
    prop_oneof![
        lists().prop_map(Held::Ids),
        any::<bool>().prop_map(Held::Flag),
        words().prop_map(Held::Elements),
        Just(Held::Nothing),
    ]
}

prop_compose! {
    fn intents()(
        request in option::of("[A-Za-z0-9_.:-]{1,128}"), via in prop::sample::select(&Via::ALL[..]),
        user in option::of(users()), subject in subjects(), before in held(), wanted in held(),
    ) -> Intent {
        let request = request.map(|text| text.parse().unwrap());
        Intent { request, via, user, subject, before, wanted }
    }
}

prop_compose! {
    fn closings()(
        at in times(), ending in prop::sample::select(&Ending::ALL[..]),
        by in prop::sample::select(&ClosedBy::ALL[..]), user in option::of(users()), after in held(),
        window_ms in option::of(any::<u64>()), empty_ms in option::of(any::<u64>()),
        findings in prop::collection::vec(".{0,80}", 0..3),
    ) -> Closing {
        Closing { at, ending, by, user, after, window_ms, empty_ms, findings }
    }
}

fn open_stages() -> impl Strategy<Value = Stage> {
    prop_oneof![
        Just(Stage::Writing),
        (lists(), times()).prop_map(|(full, read_at)| Stage::Clearing { full, read_at }),
        (".{0,80}", option::of(lists())).prop_map(|(reason, full)| Stage::NeedsPerson { reason, full }),
    ]
}

#[test]
fn whatever_is_recorded_comes_back_equal() {
    let base = TempDir::new().unwrap();
    let state = open(&base);
    let steps = || prop::collection::vec((times(), ".{0,40}", option::of(".{0,40}")), 0..4);
    proptest!(ProptestConfig::with_cases(200), |(
        intent in intents(), stage in open_stages(), closing in closings(), steps in steps(),
    )| {
        let id = state.open(&intent).unwrap();
        let mut expected = Entry {
            id,
            opened_at: state.entry(id).unwrap().unwrap().opened_at,
            intent,
            stage: Stage::Writing,
            steps: Vec::new(),
        };
        for (number, (at, call, end)) in (1u32..).zip(steps) {
            prop_assert_eq!(state.begin_step(id, at, &call).unwrap(), number);
            if let Some(end) = &end {
                state.end_step(id, number, end).unwrap();
            }
            expected.steps.push(Step { at, call, end });
        }
        prop_assert_eq!(&state.entry(id).unwrap().unwrap(), &expected);
        for stage in [stage, Stage::Closed(closing)] {
            state.advance(id, &stage).unwrap();
            expected.stage = stage;
            prop_assert_eq!(&state.entry(id).unwrap().unwrap(), &expected);
        }
    });
    assert_eq!(
        state.entries(Which::All).unwrap(),
        open(&base).entries(Which::All).unwrap()
    );
}

#[test]
fn entries_are_listed_in_order_by_whether_they_are_open() {
    let base = TempDir::new().unwrap();
    let state = open(&base);
    let all: Vec<EntryId> = (1..=4).map(|user| state.open(&intent(user)).unwrap()).collect();
    state.begin_step(all[3], at(1), "clear roles null").unwrap();
    state.begin_step(all[0], at(2), "put roles").unwrap();
    state.advance(all[2], &closed(100)).unwrap();
    state.advance(all[0], &closed(200)).unwrap();
    assert_eq!(ids(&state.entries(Which::All).unwrap()), [1, 2, 3, 4]);
    assert_eq!(ids(&state.entries(Which::Open).unwrap()), [2, 4]);
    let closed = state.entries(Which::Closed).unwrap();
    assert_eq!(ids(&closed), [1, 3]);
    assert_eq!(closed[0].steps[0].call, "put roles");
    assert!(closed[1].steps.is_empty());
    assert_eq!(state.entry(EntryId(9)).unwrap(), None);
}

#[test]
fn touched_are_the_open_ones_and_those_closed_since() {
    let base = TempDir::new().unwrap();
    let state = open(&base);
    for second in [100, 200, 300] {
        let id = state.open(&intent(1)).unwrap();
        state.advance(id, &closed(second)).unwrap();
    }
    state.open(&intent(1)).unwrap();
    let touched = |since| ids(&state.touched_since(since).unwrap());
    assert_eq!(touched(at(200)), [2, 3, 4]);
    let just_after = Timestamp::new(200, 1).unwrap();
    assert_eq!(touched(just_after), [3, 4], "to the nanosecond");
    assert_eq!(touched(at(301)), [4]);
    assert_eq!(touched(Timestamp::MIN), [1, 2, 3, 4]);
}

#[test]
fn a_closed_entry_stays_as_it_is() {
    let base = TempDir::new().unwrap();
    let state = open(&base);
    let id = state.open(&intent(1)).unwrap();
    let step = state.begin_step(id, at(1), "put roles").unwrap();
    state.advance(id, &closed(2)).unwrap();
    let before = state.entry(id).unwrap().unwrap();
    let refused = [
        state.advance(id, &Stage::Writing),
        state.advance(id, &closed(3)),
        state.begin_step(id, at(3), "put roles").map(drop),
        state.end_step(id, step, "accepted"),
        state.advance(EntryId(99), &Stage::Writing),
        state.begin_step(EntryId(99), at(3), "put roles").map(drop),
    ];
    for (which, refused) in refused.into_iter().enumerate() {
        assert_eq!(*refused.unwrap_err().kind(), FaultKind::Conflict, "{which}");
    }
    assert_eq!(state.entry(id).unwrap().unwrap(), before);
}

#[test]
fn the_end_of_a_step_is_recorded_once() {
    let base = TempDir::new().unwrap();
    let state = open(&base);
    let id = state.open(&intent(1)).unwrap();
    let step = state.begin_step(id, at(1), "put roles").unwrap();
    state.end_step(id, step, "503").unwrap();
    assert!(state.end_step(id, step, "accepted").is_err());
    assert!(state.end_step(id, step + 1, "accepted").is_err());
    let entry = state.entry(id).unwrap().unwrap();
    assert_eq!(entry.steps[0].end.as_deref(), Some("503"));
}

#[test]
fn the_newest_entry_of_a_request_is_found() {
    let base = TempDir::new().unwrap();
    let state = open(&base);
    let request: RequestId = "task-1".parse().unwrap();
    let named = Intent {
        request: Some(request.clone()),
        ..intent(1)
    };
    assert_eq!(state.of_request(&request).unwrap(), None);
    state.open(&named).unwrap();
    let newest = state.open(&named).unwrap();
    state.open(&intent(1)).unwrap();
    assert_eq!(state.of_request(&request).unwrap().unwrap().id, newest);
}

#[test]
fn pruning_keeps_open_entries_and_numbers_are_never_given_again() {
    let base = TempDir::new().unwrap();
    let state = open(&base);
    for second in [Some(100), None, Some(200)] {
        let id = state.open(&intent(1)).unwrap();
        state.begin_step(id, at(1), "put roles").unwrap();
        if let Some(second) = second {
            state.advance(id, &closed(second)).unwrap();
        }
    }
    assert_eq!(state.prune(at(200)).unwrap(), 1, "before, not at");
    assert_eq!(ids(&state.entries(Which::All).unwrap()), [2, 3]);
    assert_eq!(state.prune(Timestamp::MAX).unwrap(), 1);
    assert_eq!(ids(&state.entries(Which::All).unwrap()), [2]);
    let steps: i64 = state
        .db()
        .query_row("select count(*) from step", [], |row| row.get(0))
        .unwrap();
    assert_eq!(steps, 1, "steps go with their entry");
    assert_eq!(open(&base).open(&intent(1)).unwrap(), EntryId(4));
}

#[test]
fn two_processes_write_into_one_journal() {
    let base = TempDir::new().unwrap();
    let write = |via| {
        let state = open(&base);
        let mut own = Vec::new();
        for user in 1..=20 {
            let id = state.open(&Intent { via, ..intent(user) }).unwrap();
            for call in ["put roles", "read"] {
                let step = state.begin_step(id, at(1), call).unwrap();
                state.end_step(id, step, "accepted").unwrap();
            }
            state.advance(id, &closed(1)).unwrap();
            own.push(id);
        }
        own
    };
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| write(Via::Grpc));
        let two = scope.spawn(|| write(Via::CommandLine));
        (one.join().unwrap(), two.join().unwrap())
    });
    let distinct: BTreeSet<_> = one.iter().chain(&two).collect();
    assert_eq!(distinct.len(), 40);
    let state = open(&base);
    for (via, own) in [(Via::Grpc, one), (Via::CommandLine, two)] {
        for (id, user) in own.into_iter().zip(1..) {
            let entry = state.entry(id).unwrap().unwrap();
            assert_eq!((entry.intent.via, entry.intent.user), (via, UserId::new(user)));
            assert_eq!((entry.is_open(), entry.steps.len()), (false, 2));
        }
    }
}

#[test]
fn what_one_process_opened_another_sees_at_once() {
    let base = TempDir::new().unwrap();
    let (writer, reader) = (open(&base), open(&base));
    let id = writer.open(&intent(1)).unwrap();
    assert_eq!(ids(&reader.touched_since(Timestamp::MAX).unwrap()), [id.0]);
    writer.advance(id, &closed(1)).unwrap();
    assert!(reader.entries(Which::Open).unwrap().is_empty());
}

#[test]
fn names_of_a_later_version_are_a_clear_fault() {
    let base = TempDir::new().unwrap();
    let state = open(&base);
    for (column, text) in [
        ("via", "pigeon"),
        ("subject", r#"{"transfer":{"role":7}}"#),
        ("subject", r#"{"grant":{"badge":7}}"#),
        ("held_before", r#"{"tree":[]}"#),
        ("stage", r#""resting""#),
        (
            "stage",
            r#"{"clearing":{"full":[],"read-at":"2026-01-01T00:00:00Z","why":"x"}}"#,
        ),
        (
            "stage",
            r#"{"closed":{"at":"2026-01-01T00:00:00Z","ending":"half","by":"change","user":null,"after":"nothing","window-ms":null,"empty-ms":null,"findings":[]}}"#,
        ),
        ("user", "0"),
        ("opened_at", "yesterday"),
    ] {
        let id = state.open(&intent(1)).unwrap();
        let update = format!("update entry set {column} = ?1 where id = ?2");
        state.db().execute(&update, (text, id.0)).unwrap();
        let fault = state.entry(id).unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::Corrupt, "{column}");
        assert!(
            fault.message().contains(&format!("entry {id} of the journal")),
            "{fault}"
        );
        assert!(fault.advice().unwrap().contains("newer version"), "{fault}");
        assert!(fault.detail().is_some(), "{column}");
    }
}

/// The format of the file: a change here is a new migration.
#[test]
fn the_form_on_disk_is_this_one_and_has_no_place_for_persons() {
    let base = TempDir::new().unwrap();
    let state = open(&base);
    let request = "r-1".parse().unwrap();
    let id = state
        .open(&Intent {
            request: Some(request),
            ..intent(5)
        })
        .unwrap();
    let shown = |id: EntryId| {
        let select = "select via || ' ' || user || ' ' || request || ' ' || subject || ' ' || held_before || ' ' || stage from entry where id = ?1";
        let text: String = state.db().query_row(select, [id.0], |row| row.get(0)).unwrap();
        text
    };
    let lead = r#"grpc 5 r-1 {"revoke":{"role":7}} {"ids":[1,7]}"#;
    assert_eq!(shown(id), format!(r#"{lead} "writing""#));
    state
        .advance(
            id,
            &Stage::Clearing {
                full: vec![1, 7],
                read_at: at(0),
            },
        )
        .unwrap();
    assert_eq!(
        shown(id),
        format!(r#"{lead} {{"clearing":{{"full":[1,7],"read-at":"1970-01-01T00:00:00Z"}}}}"#)
    );
    state.advance(id, &closed(0)).unwrap();
    assert_eq!(
        shown(id),
        format!(
            r#"{lead} {{"closed":{{"at":"1970-01-01T00:00:00Z","ending":"made","by":"change","user":5,"after":{{"ids":[1]}},"window-ms":12,"empty-ms":null,"findings":[]}}}}"#
        )
    );
    let db = state.db();
    let columns = |table: &str| -> Vec<String> {
        let mut select = db.prepare("select name from pragma_table_info(?1)").unwrap();
        let names = select.query_map([table], |row| row.get(0)).unwrap();
        names.collect::<Result<_, _>>().unwrap()
    };
    assert_eq!(
        columns("entry"),
        [
            "id",
            "opened_at",
            "closed_at",
            "request",
            "via",
            "user",
            "subject",
            "held_before",
            "held_wanted",
            "stage"
        ]
    );
    assert_eq!(columns("step"), ["entry", "number", "at", "call", "outcome"]);
}
