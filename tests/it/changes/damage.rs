//! What is left when Coupa fails for long in the middle: passing failures are overcome, an account is made once, and a list that stays
//! damaged is never reported as truth.

use std::sync::Arc;

use baton_coupa::connector::{Connector, ConnectorConfig};
use baton_coupa::coupa::Coupa;
use baton_coupa::model::change::{AccountDraft, Change, Effect, OnInactive};
use baton_coupa::model::fault::FaultKind;
use baton_coupa::sandbox::{
    Effect as Applied, FaultAction, Faults, Matching, Readings, ScriptedFault, WriteClass,
};
use baton_coupa::snapshot::SnapshotConfig;
use tempfile::TempDir;

use super::house::{House, LICENSE, group, holds, license, role, same_access, with};
use crate::support::reader;
use crate::support::tenant;
use crate::support::truth::{DEFAULT_CLASSES, assert_equal};

/// Writes of a class fail, from the first on, so many times.
fn failing(write: WriteClass, times: u64, action: FaultAction, effect: Applied) -> ScriptedFault {
    ScriptedFault {
        on: Matching {
            write: Some(write),
            times,
            ..Matching::default()
        },
        effect,
        action,
    }
}

fn unavailable() -> FaultAction {
    FaultAction::Status {
        status: 503,
        html: true,
    }
}

/// The first write of each class fails, before or after its effect.
fn faltering(effect: Applied) -> Faults {
    let classes = [
        WriteClass::SetList,
        WriteClass::Clear,
        WriteClass::License,
        WriteClass::Membership,
        WriteClass::Create,
        WriteClass::Other,
    ];
    let scripted = classes.map(|class| {
        let action = match effect {
            Applied::Applied => FaultAction::Reset,
            _ => unavailable(),
        };
        failing(class, 1, action, effect)
    });
    Faults {
        scripted: scripted.to_vec(),
        ..Faults::default()
    }
}

/// PC-54 over the real chain: Coupa's client, the engine and the journal.
#[tokio::test(flavor = "multi_thread")]
async fn pc_54_passing_failures_are_overcome_and_an_account_is_made_once() {
    for effect in [Applied::None, Applied::Applied] {
        let house = House::with(Readings::default(), 80).await;
        let before = house.people().remove(0);
        for item in [
            house.other_role(&before),
            house.other_group(&before),
            role(before.roles[0]),
            group(before.groups[0]),
            license(LICENSE),
        ] {
            house.sandbox.set_faults(faltering(effect));
            let held = holds(&before, &item);
            let outcome = if held {
                house.revoke(before.id, &item).await
            } else {
                house.grant(before.id, &item).await
            };
            outcome.unwrap_or_else(|fault| panic!("{effect:?}, {item:?}: {fault:?}"));
            assert!(same_access(&house.user(before.id), &with(&before, &item, !held)));
            house.sandbox.set_faults(Faults::default());
            house.restore(&before).await;
        }
        house.sandbox.set_faults(faltering(effect));
        let draft = AccountDraft {
            login: Some("only.once".into()),
            email: Some("only.once@corp.example".into()),
            first_name: Some("Only".into()),
            last_name: Some("Once".into()),
            ..AccountDraft::default()
        };
        let create = Change::Create {
            draft: Box::new(draft),
            on_inactive: OnInactive::Leave,
        };
        let made = house.apply(&create).await.unwrap();
        assert_eq!(made.effect, Effect::Made, "{effect:?}");
        assert_eq!(house.apply(&create).await.unwrap().effect, Effect::Existed);
        let users = house.sandbox.truth().users;
        assert_eq!(users.iter().filter(|user| user.login == "only.once").count(), 1);
        assert!(house.open_entries().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_stays_damaged_is_named_and_never_synced() {
    let house = House::with(Readings::default(), 80).await;
    let before = house.people().remove(0);
    let taken = role(before.roles[0]);
    // The reduced list and the clear go through; nothing that puts the list back does.
    house.sandbox.set_faults(Faults {
        scripted: vec![ScriptedFault {
            on: Matching {
                write: Some(WriteClass::SetList),
                nth: 2,
                times: u64::MAX,
                ..Matching::default()
            },
            effect: Applied::None,
            action: unavailable(),
        }],
        ..Faults::default()
    });
    let fault = house.revoke(before.id, &taken).await.unwrap_err();
    let entry = house.open_entries().remove(0);
    assert!(
        fault.message().contains(&format!("entry {}", entry.id)),
        "{fault}"
    );
    for missing in &before.roles[1..] {
        assert!(fault.message().contains(&missing.to_string()), "{fault}");
    }
    assert!(house.user(before.id).roles.is_empty(), "this is the damage");
    let again = house
        .grant(before.id, &house.other_group(&before))
        .await
        .unwrap_err();
    assert_eq!(*again.kind(), FaultKind::Unavailable, "the account waits");

    let folder = TempDir::new().unwrap();
    let file = folder.path().join("sync.c1z");
    let told = tenant::sync(connector(&house), &file).await.unwrap_err();
    assert_eq!(*told.kind(), FaultKind::Refused, "{told:?}");
    assert!(told.message().contains(&format!("user {}", before.id)), "{told}");
    assert!(told.message().contains(&format!("entry {}", entry.id)), "{told}");
    assert!(!file.exists());

    house.heal().await;
    assert!(house.open_entries().is_empty());
    assert!(same_access(&house.user(before.id), &with(&before, &taken, false)));
    tenant::sync(connector(&house), &file).await.unwrap();
    assert_equal(&reader::read(&file), &house.sandbox.truth(), &DEFAULT_CLASSES);
}

/// A connector that knows the journal, as one of another process would.
fn connector(house: &House) -> Arc<Connector> {
    let config = ConnectorConfig {
        snapshot: SnapshotConfig {
            mending: std::time::Duration::from_millis(100),
            ..SnapshotConfig::default()
        },
        ..ConnectorConfig::default()
    };
    Arc::new(Connector::new(
        Arc::new(Coupa::new(tenant::client(&house.sandbox)).unwrap()),
        Arc::new(tenant::Remembered::default()),
        Some(house.state.clone()),
        config,
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_while_a_sync_runs_leave_a_file_of_before_or_after() {
    let house = House::with(Readings::default(), 400).await;
    let people: Vec<_> = house.people().into_iter().take(6).collect();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("sync.c1z");
    let changes = async {
        for user in &people {
            house.revoke(user.id, &role(user.roles[0])).await.unwrap();
        }
    };
    let (synced, ()) = tokio::join!(tenant::sync(connector(&house), &file), changes);
    synced.unwrap();
    let run = reader::read(&file);
    for user in &people {
        for id in &user.roles[1..] {
            let grant = format!("role:{id}:member:user:{}", user.id);
            assert!(run.grants.contains_key(&grant), "{grant} was never gone");
        }
    }
}
