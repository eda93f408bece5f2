//! Whatever happens in whatever order: nothing is lost, nothing is claimed without an answer, and the last word is the newest.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::*;
use super::world::*;
use crate::model::downstream::{Load, Outbox as _, ParcelStage, Standing};
use crate::risk_assess::columns::Column;

const USERS: u64 = 3;

#[derive(Debug, Clone)]
enum Op {
    Rename(u64),
    Activate(u64, bool),
    License(u64, bool),
    PostLine(u64),
    PostAdministrator(u64),
    Run {
        script: Vec<Turn>,
        fuse: Option<(usize, bool)>,
        rows: usize,
        change_after_read: Option<u64>,
    },
}

fn turns() -> impl Strategy<Value = Turn> {
    prop_oneof![
        3 => prop::sample::select(vec![201, 202, 204, 400, 500, 503, 200]).prop_map(Turn::Answers),
        1 => prop::sample::select(vec![401, 403, 404, 302]).prop_map(Turn::Answers),
        1 => Just(Turn::Unreachable),
        1 => Just(Turn::Lost),
        1 => Just(Turn::Dies),
        2 => (prop::sample::select(vec![201, 202, 500]), 1..=USERS).prop_map(|(status, id)| Turn::AnswersAfterChange(status, id)),
    ]
}

fn ops() -> impl Strategy<Value = Op> {
    let runs = (
        prop::collection::vec(turns(), 0..6),
        prop::option::weighted(0.3, (0_usize..12, any::<bool>())),
        1_usize..4,
        prop::option::weighted(0.3, 1..=USERS),
    );
    prop_oneof![
        3 => (1..=USERS).prop_map(Op::Rename),
        1 => (1..=USERS, any::<bool>()).prop_map(|(id, active)| Op::Activate(id, active)),
        1 => (1..=USERS, any::<bool>()).prop_map(|(id, held)| Op::License(id, held)),
        2 => (2_u64..6).prop_map(Op::PostLine),
        1 => (2_u64..6).prop_map(Op::PostAdministrator),
        4 => runs.prop_map(|(script, fuse, rows, change_after_read)| Op::Run { script, fuse, rows, change_after_read }),
    ]
}

fn config(rows: usize) -> CourierConfig {
    CourierConfig {
        proof: match rows {
            1 => Proof::EachRow,
            more => Proof::RowsPerFile(more.try_into().unwrap()),
        },
        ..patient(2)
    }
}

async fn play(world: &std::sync::Arc<World>, op: Op) {
    match op {
        Op::Rename(id) => world.rename(id),
        Op::Activate(id, active) => world.change(id, |profile| profile.active = active),
        Op::License(id, held) => world.change(id, |profile| profile.licensed = Some(held)),
        Op::PostLine(number) => world.post(&[line(number, &[])]),
        Op::PostAdministrator(number) => world.post(&[line(100 + number, &[("Administrator", "Yes")])]),
        Op::Run {
            script,
            fuse,
            rows,
            change_after_read,
        } => {
            world.script(&script);
            world.facts().change_after_read = change_after_read;
            if let Some((steps, done)) = fuse {
                world.light(Fuse { steps, done });
            }
            if world.run(config(rows)).await.is_none() {
                world.restart();
            }
            world.facts().change_after_read = None;
            // What was lit and did not burn down is out.
            world.restart();
        }
    }
    claims_are_true(world);
}

/// The key of a row at the other side.
fn email(load: &Load) -> String {
    match load {
        Load::User(user) => format!("ann{user}@example.com"),
        Load::Row { line, .. } => format!("line{line}@example.com"),
    }
}

/// How often a file with this row, alone or not, was answered so.
fn answered(world: &World, email: &str, status: u16, alone: bool) -> usize {
    let facts = world.facts();
    let of_row = |rows: &[BTreeMap<Column, String>]| rows.iter().any(|row| row[&Column::Email] == email);
    let requests = facts
        .requests
        .iter()
        .filter(|request| request.status == Some(status));
    requests
        .filter(|request| of_row(&request.rows) && (!alone || request.rows.len() == 1))
        .count()
}

fn claims_are_true(world: &World) {
    let mut claims: BTreeMap<(String, u16), usize> = BTreeMap::new();
    for parcel in world.state().parcels().unwrap() {
        let ParcelStage::Settled { standing, .. } = parcel.stage else {
            continue;
        };
        let status = match standing {
            Standing::Delivered => 201,
            Standing::Queued => 202,
            Standing::Rejected => 400,
            _ => continue,
        };
        *claims.entry((email(&parcel.load), status)).or_default() += 1;
    }
    for ((email, status), claimed) in claims {
        let alone = status != 202;
        assert!(
            answered(world, &email, status, alone) >= claimed,
            "{claimed} times {status} for {email}"
        );
    }
    let facts = world.facts();
    for (user, record) in &facts.ledger {
        let status = match record.standing {
            Standing::Delivered => 201,
            Standing::Queued => 202,
            Standing::Rejected => 400,
            _ => continue,
        };
        // The ledger is written with each change, so what it speaks of is what Coupa shows now.
        let profile = &facts.profiles[user];
        let row = row_now(profile).expect("nothing is claimed of what is not sent");
        let shown = facts
            .requests
            .iter()
            .any(|request| request.status == Some(status) && request.rows == [row.clone()]);
        assert!(
            shown,
            "{} claimed of user {user}, and no such answer",
            record.standing
        );
    }
}

/// What Risk Assess must have been sent of a user in the end; `None` if nothing.
fn row_now(profile: &crate::model::profile::Profile) -> Option<BTreeMap<Column, String>> {
    let active = match (profile.licensed.unwrap(), profile.active) {
        (true, true) => Active::Yes,
        (true, false) => Active::No,
        (false, _) => return None,
    };
    let mut row = cells(profile, active).unwrap().cells;
    row.retain(|column, _| column.quick_integration().is_some());
    Some(row)
}

fn in_the_end(world: &World, posted_lines: &[u64], touched: &[u64]) {
    for parcel in world.state().parcels().unwrap() {
        assert!(matches!(parcel.stage, ParcelStage::Settled { .. }), "{parcel:?}");
    }
    let facts = world.facts();
    for id in touched {
        let Some(row) = row_now(&facts.profiles[&user(*id)]) else {
            continue;
        };
        let email = format!("ann{id}@example.com");
        let of_user = |request: &&Request| request.rows.iter().any(|row| row[&Column::Email] == email);
        let last = facts.requests.iter().rfind(of_user).expect("it was sent");
        assert_eq!(last.rows, [row], "the last word of user {id} is what Coupa shows");
    }
    drop(facts);
    for number in posted_lines {
        let email = format!("line{number}@example.com");
        let sent: usize = [201, 202, 204, 200, 400]
            .iter()
            .map(|status| answered(world, &email, *status, false))
            .sum();
        assert!(sent > 0, "line {number} was lost");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_load_arrives_or_is_reported_and_no_claim_is_false(history in prop::collection::vec(ops(), 1..14)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let world = World::new(USERS);
            let mut lines = Vec::new();
            for op in history {
                if let Op::PostLine(number) = op {
                    lines.push(number);
                }
                play(&world, op).await;
            }
            world.script(&[]);
            // The second run is for what came in between.
            for _ in 0..2 {
                let run = world.run(config(1)).await.unwrap();
                prop_assert!(run.stopped.is_none());
                prop_assert_eq!(run.waiting(), 0);
                claims_are_true(&world);
            }
            let touched: Vec<u64> = world.state().parcels().unwrap().iter().filter_map(|parcel| match parcel.load {
                Load::User(user) => Some(user.get()),
                Load::Row { .. } => None,
            }).collect();
            in_the_end(&world, &lines, &touched);
            Ok(())
        })?;
    }
}
