//! One fault on each call of each change, before and after its effect, under several readings: the final state is right or restored, the
//! answer true, the attempts bounded.

use baton_coupa::model::access::Item;
use baton_coupa::model::change::{Activity, Change};
use baton_coupa::model::fault::FaultKind;
use baton_coupa::sandbox::{
    Clear, Effect, FaultAction, Faults, ListWrite, Matching, MembershipDelete, PerList, Readings,
    ScriptedFault, TruthUser, Visibility,
};

use super::house::{House, LICENSE, group, holds, license, role, same_access, user_id, with};

/// Most writes one change may send, whatever happens.
const MOST_WRITES: usize = 40;

fn readings() -> Vec<(&'static str, Readings)> {
    let lists = |write| PerList {
        roles: write,
        user_groups: write,
    };
    vec![
        ("adds", Readings::default()),
        (
            "replaces",
            Readings {
                list_write: lists(ListWrite::Replace),
                ..Readings::default()
            },
        ),
        (
            "adds, no membership calls, [] clears",
            Readings {
                membership_delete: MembershipDelete::Absent,
                clear_null: Clear::Ignored,
                clear_brackets: Clear::Clears,
                ..Readings::default()
            },
        ),
        (
            "adds, shows late",
            Readings {
                visibility: Visibility {
                    delay_reads: 2,
                    ..Visibility::default()
                },
                membership_delete: MembershipDelete::Ignored,
                ..Readings::default()
            },
        ),
    ]
}

fn actions() -> Vec<(FaultAction, Effect)> {
    let status = |status| FaultAction::Status { status, html: false };
    let mut all: Vec<_> = [400, 401, 403, 404, 409, 422, 500, 503]
        .map(|code| (status(code), Effect::None))
        .to_vec();
    all.push((
        FaultAction::RateLimited {
            retry_after: Some("0".to_owned()),
        },
        Effect::None,
    ));
    for action in [
        FaultAction::Reset,
        FaultAction::Truncate,
        FaultAction::Hang,
        FaultAction::Html,
        status(500),
        status(503),
    ] {
        all.push((action, Effect::Applied));
    }
    for action in [FaultAction::Reset, FaultAction::Hang, FaultAction::Html] {
        all.push((action, Effect::None));
    }
    all.push((status(500), Effect::Partial));
    all
}

/// What is done to a user, and what comes of it.
fn changes(house: &House, user: &TruthUser) -> Vec<(&'static str, Change, TruthUser)> {
    let id = user_id(user.id);
    let item = |name, item: Item, held| {
        let wanted = with(user, &item, held);
        let change = if held {
            Change::Grant { user: id, item }
        } else {
            Change::Revoke { user: id, item }
        };
        (name, change, wanted)
    };
    let licensed = holds(user, &license(LICENSE));
    vec![
        item("grant role", house.other_role(user), true),
        item("revoke role", role(user.roles[0]), false),
        item("grant group", house.other_group(user), true),
        item("revoke group", group(user.groups[0]), false),
        item("change license", license(LICENSE), !licensed),
        (
            "deactivate",
            Change::SetActive {
                user: id,
                to: Activity::Inactive,
            },
            TruthUser {
                active: false,
                ..user.clone()
            },
        ),
    ]
}

/// Runs `change` of `before` with `fault` on its `nth` request, and judges what is left.
async fn strike(
    house: &House,
    case: &str,
    fault: ScriptedFault,
    change: &Change,
    before: &TruthUser,
    wanted: &TruthUser,
) {
    house.sandbox.clear_log();
    house.sandbox.set_faults(Faults {
        scripted: vec![fault],
        ..Faults::default()
    });
    let outcome = house.apply(change).await;
    assert!(house.writes() <= MOST_WRITES, "{case}: {} writes", house.writes());
    let now = house.user(before.id);
    match &outcome {
        Ok(_) => assert!(same_access(&now, wanted), "{case}: claims success"),
        Err(fault) if house.open_entries().is_empty() => {
            let untouched = same_access(&now, before);
            let made = same_access(&now, wanted);
            assert!(untouched || made, "{case}: {fault:?}: something else changed");
            let definite = matches!(
                fault.kind(),
                FaultKind::Invalid | FaultKind::Unchanged | FaultKind::Declined | FaultKind::Unsupported
            );
            assert!(!definite || untouched, "{case}: {fault:?}: and yet it was made");
        }
        Err(_) => {}
    }
    house.heal().await;
    assert!(house.open_entries().is_empty(), "{case}: left open");
    let now = house.user(before.id);
    assert!(
        same_access(&now, before) || same_access(&now, wanted),
        "{case}: after recovery"
    );
    // Repeated, it is done, and says so.
    house
        .apply(change)
        .await
        .unwrap_or_else(|fault| panic!("{case}: repeated: {fault:?}"));
    assert!(same_access(&house.user(before.id), wanted), "{case}: repeated");
}

/// Requests of one change without faults, tokens and the survey aside.
async fn calls(house: &House, change: &Change) -> usize {
    house.sandbox.clear_log();
    house.apply(change).await.unwrap();
    house.sandbox.log().len()
}

/// Every `every`th case under a reading, from its `start`th on.
async fn run(reading: usize, every: usize) {
    let (reading_name, readings) = readings().swap_remove(reading);
    let house = House::with(readings, 80).await;
    let before = house.people().remove(0);
    // Readings begin at different cases, so that together they strike more.
    let (mut number, mut struck) = (reading, 0);
    for kind in 0..changes(&house, &before).len() {
        let (name, change, wanted) = changes(&house, &before).swap_remove(kind);
        let calls = calls(&house, &change).await;
        for nth in 1..=calls {
            for (action, effect) in actions() {
                number += 1;
                if number % every != 0 {
                    continue;
                }
                struck += 1;
                house.restore(&before).await;
                let case = format!(
                    "{reading_name}, {name}, request {nth} of {calls}: {action:?}, effect {effect:?}"
                );
                let on = Matching {
                    nth: nth as u64,
                    ..Matching::default()
                };
                let fault = ScriptedFault { on, effect, action };
                strike(&house, &case, fault, &change, &before, &wanted).await;
            }
        }
        house.restore(&before).await;
    }
    assert!(struck * every > 400, "{struck} cases");
}

/// How thin the matrix is: every 17th case, or every single one with `BATON_TEST_LONG`.
fn every() -> usize {
    if std::env::var_os("BATON_TEST_LONG").is_some() {
        1
    } else {
        17
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_on_any_call_where_lists_are_added_to() {
    run(0, every()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_on_any_call_where_lists_are_replaced() {
    run(1, every()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_on_any_call_without_membership_calls() {
    run(2, every()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_on_any_call_where_changes_show_late() {
    run(3, every()).await;
}
