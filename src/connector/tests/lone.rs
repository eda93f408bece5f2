//! Questions about a few items, as a targeted sync asks them: what they cost, what they show, and when a pass answers instead.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

use crate::model::access::{Access, LicenseSet};
use crate::model::baseline::{Baseline, Count};
use crate::model::id::RoleId;
use crate::model::tenant::{AccountClass, ClassMarks};

/// Items of every kind that many hold.
const COMMON: [(&str, &str); 3] = [("role", "1"), ("group", "1"), ("license", LICENSES[0])];

fn slug_of(kind: &str) -> &'static str {
    HELD.iter().find(|(known, ..)| *known == kind).unwrap().2
}

fn truth(tenant: &FakeTenant, kind: &str, id: &str) -> BTreeSet<(String, u64)> {
    let items = HELD.iter().find(|(known, ..)| *known == kind).unwrap().1;
    let all = tenant.world().truth(items);
    all.into_iter().filter(|(item, _)| item == id).collect()
}

async fn holders(connector: &Connector, kind: &str, id: &str, size: u32) -> BTreeSet<(String, u64)> {
    let (found, _) = all_grants(connector, &[size], |size, token| grants(kind, id, size, token)).await;
    pairs(&found, kind, slug_of(kind))
}

/// Every holder of an item, listed or not.
fn held_by(tenant: &FakeTenant, kind: &str, id: &str) -> Vec<u64> {
    let world = tenant.world();
    let holds = |user: &&crate::model::tenant::User| match kind {
        "role" => user.access.roles().iter().any(|role| role.to_string() == id),
        "group" => user.access.groups().iter().any(|group| group.to_string() == id),
        _ => user
            .access
            .licenses
            .contains(LICENSES.iter().position(|name| *name == id).unwrap()),
    };
    world
        .users
        .values()
        .filter(holds)
        .map(|user| user.id.get())
        .collect()
}

fn singles(tenant: &FakeTenant) -> u64 {
    tenant.single_calls.load(Ordering::SeqCst)
}

fn passed(connector: &Connector) -> bool {
    connector.report(SYNC).is_some()
}

#[tokio::test]
async fn one_item_and_all_its_holders_cost_a_request_for_each_50() {
    for (kind, id) in COMMON {
        let tenant = FakeTenant::new(World::new(1500));
        let asked = connector(&tenant);
        asked.get_resource(&get(kind, id)).await.unwrap();
        let found = holders(&asked, kind, id, 0).await;
        assert_eq!(found, truth(&tenant, kind, id));
        let listing = connector(&FakeTenant::new(World::new(1500)));
        let (users, _) = all_resources(&listing, "user", &[0]).await;
        for (_, user) in &found {
            let answer = asked.get_resource(&get("user", &user.to_string())).await.unwrap();
            let expected = users.iter().find(|listed| id_of(listed) == user.to_string());
            assert!(answer.resource.as_ref() == expected, "user {user}");
        }
        let pages = held_by(&tenant, kind, id).len().div_ceil(50) as u64;
        assert!(
            tenant.calls() <= pages + 1,
            "{kind}: {} requests, {pages} pages",
            tenant.calls()
        );
        assert_eq!(singles(&tenant), 0, "{kind}: no request for a holder by himself");
        assert!(!passed(&asked));
    }
}

#[tokio::test]
async fn pages_of_any_size_tell_the_same_and_other_syncs_see_nothing_of_it() {
    let tenant = FakeTenant::new(World::new(700));
    let asked = connector(&tenant);
    for (kind, id) in COMMON {
        for size in [7, 100] {
            assert_eq!(
                holders(&asked, kind, id, size).await,
                truth(&tenant, kind, id),
                "{kind} {size}"
            );
        }
    }
    let user = truth(&tenant, "role", "1").pop_first().unwrap().1;
    for sync in ["", "2aBcDeFgHiJkLmNoPqRsTuVwXyA"] {
        let before = singles(&tenant);
        let request = c1::ResourceGetterServiceGetResourceRequest {
            active_sync_id: sync.to_owned(),
            ..get("user", &user.to_string())
        };
        asked.get_resource(&request).await.unwrap();
        assert_eq!(singles(&tenant), before + 1, "read fresh for {sync:?}");
    }
    let cleanup = c1::ConnectorServiceCleanupRequest {
        active_sync_id: SYNC.to_owned(),
        ..c1::ConnectorServiceCleanupRequest::default()
    };
    let before = singles(&tenant);
    asked.get_resource(&get("user", &user.to_string())).await.unwrap();
    assert_eq!(singles(&tenant), before);
    asked.cleanup(&cleanup).await.unwrap();
    asked.get_resource(&get("user", &user.to_string())).await.unwrap();
    assert_eq!(singles(&tenant), before + 1, "forgotten with the sync");
}

#[tokio::test]
async fn many_items_are_answered_by_a_pass_as_soon_as_that_is_cheaper() {
    for known in [None, Some(1500)] {
        let tenant = FakeTenant::new(World::new(1500));
        let memory = Memory::default();
        *memory.baseline.lock().unwrap() = known.map(|users| Baseline {
            taken_at: jiff::Timestamp::UNIX_EPOCH,
            counts: [(Count::Users(AccountClass::Internal), users)].into(),
        });
        let asked = Connector::new(
            Arc::new(Handle(Arc::clone(&tenant))),
            Arc::new(memory),
            None,
            config(),
        );
        let mut questions = 0;
        for (kind, count) in [("role", 30), ("group", 40)] {
            for id in 1..=count {
                let id = id.to_string();
                questions += u64::from(!passed(&asked));
                assert_eq!(
                    holders(&asked, kind, &id, 0).await,
                    truth(&tenant, kind, &id),
                    "{kind} {id}"
                );
            }
        }
        assert!(
            passed(&asked) && questions > 3,
            "{questions} questions before the pass"
        );
        // 30 pages, and the end of the list; the estimate has an allowance of 24 for what this tenant gives for nothing.
        let pass = 30 + 24;
        assert!(tenant.calls() <= 2 * pass + 50, "{} requests", tenant.calls());
        let before = (tenant.calls(), singles(&tenant));
        for (_, user) in truth(&tenant, "group", "1") {
            asked.get_resource(&get("user", &user.to_string())).await.unwrap();
        }
        for id in ["3", "17"] {
            asked.get_resource(&get("role", id)).await.unwrap();
        }
        assert_eq!(
            (tenant.calls(), singles(&tenant)),
            before,
            "the pass knows everybody"
        );
    }
}

/// Makes a tenant's filters lie.
type Spoil = fn(&mut World, BTreeSet<u64>);

/// Who holds the item is told by a pass, whatever the filter says.
async fn a_pass_tells(kind: &str, id: &str, spoil: Spoil) {
    let tenant = FakeTenant::new(World::new(600));
    let all = held_by(&tenant, kind, id).into_iter().collect();
    spoil(&mut tenant.world(), all);
    let asked = connector(&tenant);
    asked.get_resource(&get(kind, id)).await.unwrap();
    assert_eq!(
        holders(&asked, kind, id, 100).await,
        truth(&tenant, kind, id),
        "{kind}"
    );
    assert!(passed(&asked), "{kind}: a pass was made");
}

#[tokio::test]
async fn a_filter_that_is_not_heeded_is_noticed() {
    for (kind, id) in COMMON {
        a_pass_tells(kind, id, |world, _| world.honours_filter = false).await;
        a_pass_tells(kind, id, |world, _| world.order = UserOrder::Arbitrary).await;
    }
}

#[tokio::test]
async fn a_filter_that_is_refused_is_not_asked_again() {
    for (kind, id) in COMMON {
        a_pass_tells(kind, id, |world, _| world.refuses_filter = true).await;
    }
}

#[tokio::test]
async fn a_filter_that_leaves_out_a_holder_whom_the_probe_saw_is_noticed() {
    for (kind, id) in COMMON {
        a_pass_tells(kind, id, |world, holders| {
            world.filter_skips.extend(holders.first());
        })
        .await;
        // Nobody at all: not an answer, although no row speaks against it.
        a_pass_tells(kind, id, |world, holders| world.filter_skips = holders).await;
    }
}

#[tokio::test]
async fn an_empty_answer_counts_where_filters_are_known_to_work() {
    let mut world = World::new(600);
    // Two roles and two groups that nobody holds; the first question has nothing to go by but the probe.
    world.roles.push(crate::snapshot::fake::role(31));
    world.groups.push(group(41));
    let tenant = FakeTenant::new(world);
    let asked = connector(&tenant);
    for (kind, id) in [("role", "31"), ("group", "41")] {
        let before = tenant.calls();
        assert!(holders(&asked, kind, id, 0).await.is_empty());
        assert_eq!(
            tenant.calls() - before,
            2,
            "{kind}: the question, and one whose answer is known"
        );
        let before = tenant.calls();
        assert!(holders(&asked, kind, id, 0).await.is_empty());
        assert_eq!(tenant.calls() - before, 1, "{kind}: it is known now");
    }
    assert!(!passed(&asked));
    // The filter shows nobody, whoever is asked for.
    let mut silent = tenant.world().clone();
    silent.filter_skips = silent.users.keys().copied().collect();
    let tenant = FakeTenant::new(silent);
    let asked = connector(&tenant);
    assert!(holders(&asked, "role", "31", 0).await.is_empty());
    assert!(passed(&asked), "proved by a pass");
}

#[tokio::test]
async fn roles_that_a_filter_takes_from_the_rows_do_not_make_suppliers() {
    // Role 3 alone would make a portal account, which gets no grants.
    a_pass_tells("role", "3", |world, _| {
        world.filter_trims = true;
        let user = world.listed_ids()[30];
        let both = [2, 3].into_iter().filter_map(RoleId::new).collect();
        let changed = world.users.get_mut(&user).unwrap();
        changed.marks = ClassMarks::default();
        changed.access = Access::new(both, Vec::new(), LicenseSet::EMPTY);
    })
    .await;
    let tenant = FakeTenant::new(World::new(600));
    let asked = connector(&tenant);
    for id in ["3", "4"] {
        assert_eq!(holders(&asked, "role", id, 0).await, truth(&tenant, "role", id));
    }
    assert!(!passed(&asked) && singles(&tenant) <= 1, "looked for once");
}

#[tokio::test]
async fn an_account_of_another_class_is_not_found_and_told_why() {
    let tenant = FakeTenant::new(World::new(300));
    let supplier = {
        let world = tenant.world();
        let class = |user: &&crate::model::tenant::User| world.class(user) == AccountClass::Supplier;
        world.users.values().find(class).unwrap().id
    };
    let asked = connector(&tenant);
    let fault = asked
        .get_resource(&get("user", &supplier.to_string()))
        .await
        .err()
        .unwrap();
    assert_eq!(*fault.kind(), FaultKind::NotFound);
    assert_eq!(
        fault.to_string(),
        "Coupa has this user, an account of class supplier, which is not synced; see the setting account-classes"
    );
    let fault = asked.get_resource(&get("user", "999999")).await.err().unwrap();
    assert_eq!(fault.to_string(), "Coupa has no such user");
}
