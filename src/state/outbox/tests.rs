//! The outbox over real databases.
#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::model::downstream::{Digest, Standing};
use crate::model::id::UserId;

const SECRET: &str = "Sentinel-4711";

fn open(base: &TempDir) -> State {
    State::open(base.path(), "tenant", "client").unwrap()
}

fn user(id: u64) -> Load {
    Load::User(UserId::new(id).unwrap())
}

fn line(number: u64, value: &str) -> Load {
    Load::Row {
        file: Digest("f00d".into()),
        line: number,
        cells: BTreeMap::from([("FirstName".into(), value.into())]),
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn settled(standing: Standing) -> ParcelStage {
    ParcelStage::Settled {
        standing,
        told: "it was told".into(),
        at: at(7),
    }
}

fn ids(parcels: &[Parcel]) -> Vec<i64> {
    parcels.iter().map(|parcel| parcel.id.0).collect()
}

fn stages() -> impl Strategy<Value = ParcelStage> {
    let standings = prop_oneof![
        Just(Standing::Expected),
        Just(Standing::Delivered),
        Just(Standing::Queued),
        Just(Standing::Doubtful),
        Just(Standing::Rejected),
        Just(Standing::Unknown),
        (2000..2100_i16, 1..=12_i8, 1..=28_i8)
            .prop_map(|(year, month, day)| Standing::Seen(jiff::civil::date(year, month, day))),
    ];
    (standings, ".{0,60}", 0..4_000_000_000_i64).prop_map(|(standing, told, second)| ParcelStage::Settled {
        standing,
        told: told.into(),
        at: at(second),
    })
}

#[test]
fn what_is_put_in_comes_back_equal_at_every_stage_and_in_every_process() {
    let base = TempDir::new().unwrap();
    let cells = || prop::collection::btree_map(".{0,20}", ".{0,40}", 0..5);
    proptest!(ProptestConfig::with_cases(60), |(
        id in 1..=u64::MAX, file in "[0-9a-f]{64}", line in 1..1_000_000_u64, cells in cells(), stage in stages(),
    )| {
        let row = Load::Row {
            file: Digest(file.as_str().into()),
            line,
            cells: cells.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
        };
        let loads = [user(id), row];
        open(&base).post(&loads).unwrap();
        let put = open(&base).unsettled().unwrap();
        for (parcel, load) in put.iter().zip(&loads) {
            prop_assert_eq!((&parcel.load, parcel.attempts, &parcel.stage), (load, 0, &ParcelStage::Waiting));
        }
        let numbers: Vec<_> = put.iter().map(|parcel| parcel.id).collect();
        open(&base).advance(&numbers, &ParcelStage::Sending).unwrap();
        let sent = open(&base).unsettled().unwrap();
        for (parcel, before) in sent.iter().zip(&put) {
            let expected = Parcel { attempts: 1, stage: ParcelStage::Sending, ..before.clone() };
            prop_assert_eq!(parcel, &expected);
        }
        open(&base).advance(&numbers, &stage).unwrap();
        prop_assert!(open(&base).unsettled().unwrap().is_empty());
        for before in put {
            let load = match before.load {
                Load::Row { file, line, .. } => Load::Row { file, line, cells: BTreeMap::new() },
                user @ Load::User(_) => user,
            };
            let expected = Parcel { attempts: 1, stage: stage.clone(), load, ..before };
            let all = open(&base).parcels().unwrap();
            prop_assert_eq!(all.iter().find(|parcel| parcel.id == expected.id), Some(&expected));
        }
    });
}

#[test]
fn a_load_waits_once_but_is_put_in_beside_one_that_is_being_sent() {
    let base = TempDir::new().unwrap();
    let state = open(&base);
    let other = Load::Row {
        file: Digest("beef".into()),
        line: 2,
        cells: BTreeMap::new(),
    };
    let loads = [
        user(1),
        line(2, "a"),
        user(1),
        line(2, "a"),
        user(2),
        line(3, "b"),
        other,
    ];
    state.post(&loads).unwrap();
    state.post(&loads).unwrap();
    assert_eq!(
        state.parcels().unwrap().len(),
        5,
        "one for each user and each line of each file"
    );
    let first = [ParcelId(1), ParcelId(2)];
    state.advance(&first, &ParcelStage::Sending).unwrap();
    state.post(&loads).unwrap();
    state.post(&loads).unwrap();
    assert_eq!(
        ids(&state.unsettled().unwrap()),
        [1, 2, 3, 4, 5, 6, 7],
        "oldest first"
    );
    state.advance(&first, &settled(Standing::Delivered)).unwrap();
    state
        .advance(&[ParcelId(6)], &settled(Standing::Delivered))
        .unwrap();
    state.post(&[user(1)]).unwrap();
    assert_eq!(
        ids(&state.unsettled().unwrap()),
        [3, 4, 5, 7, 8],
        "a settled one stands for nothing"
    );
}

#[test]
fn parcels_move_on_all_or_none_and_a_settled_one_stays() {
    let base = TempDir::new().unwrap();
    let state = open(&base);
    state.post(&[user(1), user(2)]).unwrap();
    state.advance(&[ParcelId(1)], &settled(Standing::Queued)).unwrap();
    let before = state.parcels().unwrap();
    for (parcels, stage) in [
        ([ParcelId(2), ParcelId(1)], ParcelStage::Sending),
        ([ParcelId(2), ParcelId(1)], ParcelStage::Waiting),
        ([ParcelId(2), ParcelId(1)], settled(Standing::Unknown)),
        ([ParcelId(2), ParcelId(9)], ParcelStage::Sending),
    ] {
        let fault = state.advance(&parcels, &stage).unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::Conflict, "{fault}");
        assert_eq!(state.parcels().unwrap(), before);
    }
    for attempts in 1..=3 {
        state.advance(&[ParcelId(2)], &ParcelStage::Sending).unwrap();
        state.advance(&[ParcelId(2)], &ParcelStage::Waiting).unwrap();
        assert_eq!(state.unsettled().unwrap()[0].attempts, attempts);
    }
}

#[test]
fn what_was_settled_long_ago_is_forgotten_and_what_waits_never() {
    let base = TempDir::new().unwrap();
    let state = open(&base);
    state.post(&[user(1), user(2)]).unwrap();
    let long_ago: Timestamp = "2020-01-01T00:00:00Z".parse().unwrap();
    let ParcelStage::Settled { standing, told, .. } = settled(Standing::Delivered) else {
        unreachable!("as named");
    };
    let ended = ParcelStage::Settled {
        standing,
        told,
        at: long_ago,
    };
    state.advance(&[ParcelId(1)], &ended).unwrap();
    assert_eq!(state.prune_parcels(long_ago).unwrap(), 0, "not older than itself");
    assert_eq!(state.prune_parcels(Timestamp::now()).unwrap(), 1);
    state.post(&[user(3)]).unwrap();
    let left: Vec<ParcelId> = state.parcels().unwrap().iter().map(|parcel| parcel.id).collect();
    assert_eq!(left, [ParcelId(2), ParcelId(3)], "numbers are not given again");
}

#[test]
fn only_the_client_of_the_database_puts_in() {
    let base = TempDir::new().unwrap();
    let late = State::open(base.path(), "tenant", "mistyped").unwrap();
    open(&base).post(&[user(1)]).unwrap();
    assert_eq!(*late.post(&[user(2)]).unwrap_err().kind(), FaultKind::Refused);
    assert_eq!(
        *late
            .advance(&[ParcelId(1)], &ParcelStage::Sending)
            .unwrap_err()
            .kind(),
        FaultKind::Refused
    );
    assert_eq!(ids(&open(&base).unsettled().unwrap()), [1]);
}

/// Whether any file of the state directory holds the text.
fn on_disk(state: &State, text: &str) -> bool {
    std::fs::read_dir(state.dir()).unwrap().any(|entry| {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[test]
fn the_values_of_a_settled_row_are_gone_from_the_disk() {
    let base = TempDir::new().unwrap();
    let state = open(&base);
    // Longer than a page of the database: its overflow pages must go, too.
    let long = format!("{SECRET}{}{SECRET}", "x".repeat(20_000));
    state
        .post(&[line(2, SECRET), line(3, &long), line(4, "Stays-0815")])
        .unwrap();
    assert!(on_disk(&state, SECRET), "what is not settled is kept");
    state
        .advance(&[ParcelId(1), ParcelId(2)], &ParcelStage::Sending)
        .unwrap();
    state
        .advance(&[ParcelId(1), ParcelId(2)], &settled(Standing::Delivered))
        .unwrap();
    assert!(!on_disk(&state, SECRET), "while the database is open");
    assert!(on_disk(&state, "Stays-0815"));
    drop(state);
    assert!(!on_disk(&open(&base), SECRET));
}

#[test]
fn a_reader_in_between_delays_forgetting_but_loses_nothing() {
    let base = TempDir::new().unwrap();
    let (state, reader) = (open(&base), open(&base));
    state.post(&[line(2, SECRET), line(3, "b")]).unwrap();
    {
        let db = reader.db();
        db.busy_timeout(std::time::Duration::ZERO).unwrap();
        state.db().busy_timeout(std::time::Duration::ZERO).unwrap();
        db.execute_batch("begin; select count(*) from parcel").unwrap();
        state
            .advance(&[ParcelId(1)], &settled(Standing::Delivered))
            .unwrap();
        db.execute_batch("rollback").unwrap();
    }
    assert_eq!(ids(&state.unsettled().unwrap()), [2]);
    state
        .advance(&[ParcelId(2)], &settled(Standing::Delivered))
        .unwrap();
    assert!(!on_disk(&state, SECRET), "the next one empties the log");
}

#[test]
fn names_of_a_later_version_are_a_clear_fault_without_values() {
    let base = TempDir::new().unwrap();
    let state = open(&base);
    state.post(&[line(2, SECRET), user(1), user(2)]).unwrap();
    state
        .advance(&[ParcelId(3)], &settled(Standing::Delivered))
        .unwrap();
    for (parcel, column, text) in [
        (1, "cells", "{\"a\": \"Sentinel-4711"),
        (1, "stage", "resting"),
        (2, "user", "0"),
        (2, "queued_at", "yesterday"),
        (3, "standing", "loved"),
        (3, "standing", "seen yesterday"),
    ] {
        let read = format!("select {column} from parcel where id = ?1");
        let kept: String = state.db().query_row(&read, [parcel], |row| row.get(0)).unwrap();
        let update = format!("update parcel set {column} = ?1 where id = ?2");
        state.db().execute(&update, (text, parcel)).unwrap();
        let fault = state.parcels().unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::Corrupt, "{column}");
        assert!(
            fault
                .message()
                .contains(&format!("parcel {parcel} of the outbox")),
            "{fault}"
        );
        assert!(!format!("{fault} {fault:?}").contains(SECRET), "{fault:?}");
        state.db().execute(&update, (kept, parcel)).unwrap();
    }
    state.parcels().unwrap();
}

/// The format of the file: a change here is a new migration.
#[test]
fn the_form_on_disk_is_this_one() {
    let base = TempDir::new().unwrap();
    let state = open(&base);
    state.post(&[user(5), line(2, "Ann")]).unwrap();
    let shown = |id: i64| {
        let select =
            "select concat_ws(' ', user, file, line, cells, attempts, stage, standing, told, settled_at)
                      from parcel where id = ?1";
        let text: String = state.db().query_row(select, [id], |row| row.get(0)).unwrap();
        text
    };
    assert_eq!(shown(1), "5 0 waiting");
    assert_eq!(shown(2), r#"f00d 2 {"FirstName":"Ann"} 0 waiting"#);
    state
        .advance(&[ParcelId(1), ParcelId(2)], &ParcelStage::Sending)
        .unwrap();
    let seen = Standing::Seen(jiff::civil::date(2026, 11, 22));
    state.advance(&[ParcelId(1)], &settled(seen)).unwrap();
    state
        .advance(&[ParcelId(2)], &settled(Standing::Delivered))
        .unwrap();
    let end = "it was told 1970-01-01T00:00:07.000000000Z";
    assert_eq!(shown(1), format!("5 1 settled seen 2026-11-22 {end}"));
    assert_eq!(shown(2), format!("f00d 2 1 settled delivered {end}"));
}
