//! Whole passes over a tenant in memory, compared with what it holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::fake::{FakeTenant, Handle, Memory, World, group, group_item, role_item, user_id};
use super::*;
use crate::model::access::{Access, Item, ItemKind};
use crate::model::baseline::{Baselines, Count};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::{GroupId, RoleId, UserId};
use crate::model::tenant::{AccountClass, UserOrder};

const LONG: Duration = Duration::from_mins(1);

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(40)
}

pub(super) fn late() -> Instant {
    Instant::now() + LONG
}

pub(super) fn config() -> SnapshotConfig {
    SnapshotConfig {
        pause: Duration::from_millis(1),
        ..SnapshotConfig::default()
    }
}

fn over(tenant: &Arc<FakeTenant>, baselines: &Arc<Memory>, config: SnapshotConfig) -> Snapshots {
    let baselines: Arc<dyn Baselines> = Arc::clone(baselines) as _;
    Snapshots::new(Arc::new(Handle(Arc::clone(tenant))), baselines, None, config)
}

fn snapshots(tenant: &Arc<FakeTenant>) -> Snapshots {
    over(tenant, &Arc::default(), config())
}

pub(super) async fn complete(snapshots: &Snapshots, sync: &str) -> Result<Arc<Complete>, Fault> {
    match snapshots.get(sync).complete(late()).await? {
        Waited::Ready(complete) => Ok(complete),
        Waited::Pending => panic!("the pass hangs"),
    }
}

pub(super) async fn ids(snapshot: &Snapshot, limit: usize) -> Vec<u64> {
    let (mut found, mut last) = (Vec::new(), None);
    loop {
        let Waited::Ready(page) = snapshot.accounts(last, limit, late()).await.unwrap() else {
            panic!("the pass hangs");
        };
        assert!(page.list.len() <= limit);
        found.extend(page.list.iter().map(|account| account.id.get()));
        last = page.list.last().map(|account| account.id).or(last);
        if page.rest == Rest::Nothing {
            return found;
        }
    }
}

fn pairs(complete: &Complete, kind: ItemKind) -> BTreeSet<(String, u64)> {
    let name = |item: &Item| match item {
        Item::Role(id) => id.to_string(),
        Item::Group(id) => id.to_string(),
        Item::License(name) => name.to_string(),
    };
    let all: Vec<_> = complete
        .index
        .pairs(kind, None)
        .map(|(item, user)| (name(item), user.get()))
        .collect();
    let set: BTreeSet<_> = all.iter().cloned().collect();
    assert_eq!(set.len(), all.len(), "a pair came twice");
    set
}

pub(super) fn assert_true(complete: &Complete, world: &World) {
    for kind in ItemKind::ALL {
        assert_eq!(pairs(complete, kind), world.truth(kind), "{kind:?}");
    }
    for license in fake::LICENSES {
        let item = Item::License(license.parse().unwrap());
        assert_eq!(complete.index.seats(&item), world.seats(license), "{license}");
    }
}

#[tokio::test]
async fn a_pass_by_ranges_equals_the_tenant() {
    let tenant = FakeTenant::new(World::new(5000));
    let snapshots = snapshots(&tenant);
    let all = complete(&snapshots, "s").await.unwrap();
    assert_true(&all, &tenant.world());
    assert!(
        tenant.calls() <= 100 + 20,
        "{} requests for 100 pages",
        tenant.calls()
    );
    assert_eq!(tenant.other_calls.load(Ordering::SeqCst), 0, "nothing looked cut");
    assert_eq!(ids(&snapshots.get("s"), 333).await, tenant.world().listed_ids());
    let report = snapshots.report("s").unwrap();
    assert_eq!(report.users.iter().map(|count| count.accounts).sum::<u64>(), 5000);
    for count in &report.users {
        let world = tenant.world();
        let truth = world
            .users
            .values()
            .filter(|user| world.class(user) == count.class)
            .count() as u64;
        assert_eq!(count.accounts, truth, "{:?}", count.class);
        let listed = matches!(count.class, AccountClass::Internal | AccountClass::Api);
        assert_eq!(count.served == Served::Listed, listed);
    }
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

#[tokio::test]
async fn a_tenant_that_does_not_tell_its_highest_id_is_read_too() {
    let mut world = World::new(300);
    world.tells_highest = false;
    let tenant = FakeTenant::new(world);
    let all = complete(&snapshots(&tenant), "s").await.unwrap();
    assert_true(&all, &tenant.world());
    assert_eq!(
        tenant.calls(),
        7,
        "6 pages and the empty one that ends the listing"
    );
}

#[tokio::test]
async fn an_empty_tenant_is_complete() {
    let tenant = FakeTenant::new(World::new(0));
    let snapshots = snapshots(&tenant);
    complete(&snapshots, "s").await.unwrap();
    assert!(ids(&snapshots.get("s"), 10).await.is_empty());
}

#[tokio::test]
async fn rows_that_move_under_an_offset_listing_are_not_lost() {
    let mut world = World::new(1000);
    world.order = UserOrder::Arbitrary;
    world.shift_after = Some(5);
    let tenant = FakeTenant::new(world);
    let snapshots = snapshots(&tenant);
    let all = complete(&snapshots, "s").await.unwrap();
    assert_true(&all, &tenant.world());
    assert_eq!(ids(&snapshots.get("s"), 100).await, tenant.world().listed_ids());
    assert_eq!(tenant.calls(), 42, "listed twice: the first time rows moved");
}

#[tokio::test]
async fn passing_failures_do_not_end_a_pass() {
    let mut world = World::new(500);
    world.failures = 2;
    let tenant = FakeTenant::new(world);
    let all = complete(&snapshots(&tenant), "s").await.unwrap();
    assert_true(&all, &tenant.world());
}

#[tokio::test]
async fn a_failed_pass_is_told_to_its_waiters_and_not_kept() {
    let mut world = World::new(500);
    world.failures = u64::MAX;
    world.failure = FaultKind::Unauthenticated;
    let tenant = FakeTenant::new(world);
    let snapshots = snapshots(&tenant);
    let snapshot = snapshots.get("s");
    let (one, two) = tokio::join!(snapshot.complete(late()), snapshot.accounts(None, 10, late()));
    assert_eq!(*one.unwrap_err().kind(), FaultKind::Unauthenticated);
    assert_eq!(*two.unwrap_err().kind(), FaultKind::Unauthenticated);
    tenant.world().failures = 0;
    complete(&snapshots, "s").await.unwrap();
    assert_eq!(tenant.surveys.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_outage_in_the_middle_is_told_and_the_next_call_starts_anew() {
    let tenant = FakeTenant::new(World::new(3000));
    let middle = *tenant.world().users.keys().nth(1000).unwrap();
    tenant.hold_from.send_replace(Some(middle));
    let snapshots = snapshots(&tenant);
    let snapshot = snapshots.get("s");
    let Waited::Ready(first) = snapshot.accounts(None, 10, late()).await.unwrap() else {
        panic!("the pass hangs");
    };
    let outage = async {
        tenant.world().failures = u64::MAX;
        tenant.hold_from.send_replace(None);
    };
    let (waiter, (), grants) = tokio::join!(
        snapshot.accounts(UserId::new(u64::MAX), 10, late()),
        outage,
        snapshot.complete(late())
    );
    for fault in [waiter.unwrap_err(), grants.unwrap_err()] {
        assert_eq!(*fault.kind(), FaultKind::Unavailable, "{fault:?}");
    }
    assert!(
        snapshot
            .accounts(first.list.last().map(|a| a.id), 10, late())
            .await
            .is_err()
    );
    tenant.world().failures = 0;
    let all = complete(&snapshots, "s").await.unwrap();
    assert_true(&all, &tenant.world());
    assert_eq!(ids(&snapshots.get("s"), 500).await, tenant.world().listed_ids());
    assert_eq!(tenant.surveys.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_pass_that_panics_leaves_nobody_waiting() {
    let mut world = World::new(100);
    world.panics = true;
    let tenant = FakeTenant::new(world);
    let snapshots = snapshots(&tenant);
    let fault = complete(&snapshots, "s").await.unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::Internal);
    tenant.world().panics = false;
    complete(&snapshots, "s").await.unwrap();
}

#[tokio::test]
async fn an_offset_listing_without_end_is_an_error() {
    let mut world = World::new(330);
    world.order = UserOrder::Arbitrary;
    world.clamps_offset = true;
    let tenant = FakeTenant::new(world);
    let fault = complete(&snapshots(&tenant), "s").await.unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::Corrupt, "{fault:?}");
    assert!(tenant.calls() < 20, "{} calls", tenant.calls());
}

#[tokio::test]
async fn a_probe_goes_on_when_its_caller_leaves() {
    let mut world = World::new(10);
    world.delay = Duration::from_millis(100);
    let tenant = FakeTenant::new(world);
    let snapshots = snapshots(&tenant);
    while tokio::time::timeout(Duration::from_millis(20), snapshots.fresh())
        .await
        .is_err()
    {}
    assert_eq!(tenant.surveys.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn callers_of_one_sync_share_one_pass() {
    let tenant = FakeTenant::new(World::new(500));
    let snapshots = snapshots(&tenant);
    let many = (0..20).map(|_| complete(&snapshots, "s"));
    for all in futures::future::join_all(many).await {
        all.unwrap();
    }
    assert_eq!(tenant.surveys.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_third_sync_drops_the_oldest_and_stops_its_pass() {
    let tenant = FakeTenant::new(World::new(500));
    tenant.hold_from.send_replace(Some(0));
    let snapshots = snapshots(&tenant);
    let oldest = snapshots.get("a");
    snapshots.get("b");
    snapshots.get("c");
    assert!(snapshots.live("a").is_none());
    assert!(snapshots.live("b").is_some() && snapshots.live("c").is_some());
    let fault = oldest.complete(late()).await.unwrap_err();
    assert!(fault.is_transient(), "its callers are told to come again");
}

#[tokio::test]
async fn a_dropped_pass_makes_no_more_requests() {
    let mut world = World::new(5000);
    world.delay = Duration::from_millis(5);
    let tenant = FakeTenant::new(world);
    let snapshots = snapshots(&tenant);
    snapshots.get("s").accounts(None, 1, late()).await.unwrap();
    snapshots.forget("s");
    tokio::time::sleep(Duration::from_millis(20)).await;
    let calls = tenant.calls();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(tenant.calls(), calls);
    assert!(calls < 100, "it did not simply end");
}

#[tokio::test]
async fn an_idle_snapshot_goes_and_its_report_stays() {
    let tenant = FakeTenant::new(World::new(100));
    let short = SnapshotConfig {
        idle: Duration::from_millis(30),
        ..config()
    };
    let snapshots = over(&tenant, &Arc::default(), short);
    complete(&snapshots, "s").await.unwrap();
    let gone = Instant::now() + LONG;
    while snapshots.report("s").is_some() && Instant::now() < gone {
        tokio::time::sleep(Duration::from_millis(60)).await;
        if snapshots.live("s").is_none() {
            assert!(snapshots.report("s").is_some());
            return;
        }
        // `live` counts as use: wait longer than the idle time before the next look.
    }
    panic!("the snapshot stayed");
}

/// Whether a sync is still known to have asked for role 1.
fn recalls(snapshots: &Snapshots, sync: &str) -> bool {
    snapshots.recall(sync).has_item(&role_item(1))
}

#[tokio::test]
async fn what_questions_have_shown_goes_with_its_sync() {
    let snapshots = snapshots(&FakeTenant::new(World::new(10)));
    for sync in ["a", "b"] {
        snapshots.recall(sync).keep_item(&role_item(1));
    }
    snapshots.forget("a");
    assert!(!recalls(&snapshots, "a") && recalls(&snapshots, "b"));
    for newer in 0..8 {
        snapshots.recall(&newer.to_string());
    }
    assert!(!recalls(&snapshots, "b"), "eight newer ones are remembered");
}

#[tokio::test(start_paused = true)]
async fn what_questions_have_shown_goes_when_nobody_asks() {
    let snapshots = snapshots(&FakeTenant::new(World::new(10)));
    snapshots.recall("s").keep_item(&role_item(1));
    let held = Arc::downgrade(&snapshots.recall("s"));
    tokio::time::sleep(config().idle / 2).await;
    assert!(recalls(&snapshots, "s"), "it is in use");
    tokio::time::sleep(config().idle * 3 / 4).await;
    assert!(held.upgrade().is_some(), "used since");
    tokio::time::sleep(config().idle).await;
    assert!(held.upgrade().is_none(), "nothing is left in memory");
}

#[tokio::test]
async fn the_shared_snapshot_has_a_greatest_age() {
    let tenant = FakeTenant::new(World::new(100));
    let short = SnapshotConfig {
        shared_age: Duration::ZERO,
        ..config()
    };
    let snapshots = over(&tenant, &Arc::default(), short);
    for sync in ["", "", "s", "s"] {
        complete(&snapshots, sync).await.unwrap();
    }
    assert_eq!(
        tenant.surveys.load(Ordering::SeqCst),
        3,
        "two for the empty id, one for s"
    );
}

#[tokio::test]
async fn users_are_served_in_order_while_the_pass_runs() {
    let tenant = FakeTenant::new(World::new(3000));
    let middle = *tenant.world().users.keys().nth(1000).unwrap();
    tenant.hold_from.send_replace(Some(middle));
    let snapshots = snapshots(&tenant);
    let snapshot = snapshots.get("s");
    let truth = tenant.world().listed_ids();
    let (mut seen, mut last) = (Vec::new(), None);
    while let Waited::Ready(page) = snapshot.accounts(last, 70, soon()).await.unwrap() {
        assert_eq!(page.rest, Rest::Maybe);
        seen.extend(page.list.iter().map(|account| account.id.get()));
        last = page.list.last().map(|account| account.id);
    }
    assert!(seen.len() > 500 && seen.len() < truth.len(), "{}", seen.len());
    assert_eq!(seen, truth[..seen.len()], "no gap, no disorder");
    assert!(matches!(
        snapshot.complete(soon()).await.unwrap(),
        Waited::Pending
    ));
    tenant.hold_from.send_replace(None);
    let from = seen.len();
    let mut rest = ids(&snapshot, 1000).await.split_off(from);
    seen.append(&mut rest);
    assert_eq!(seen, truth);
}

/// 60 users get 25 roles each; listings show 20.
pub(super) fn cut_world() -> World {
    let mut world = World::new(1000);
    for user in world.users.values_mut().step_by(16) {
        let roles = (1..=25).filter_map(RoleId::new).collect();
        user.access = Access::new(roles, user.access.groups().to_vec(), user.access.licenses);
    }
    world.cut_at = 20;
    world
}

#[tokio::test]
async fn cut_lists_are_read_another_way() {
    let tenant = FakeTenant::new(cut_world());
    let all = complete(&snapshots(&tenant), "s").await.unwrap();
    assert_true(&all, &tenant.world());
    assert!(
        all.report
            .findings
            .iter()
            .any(|finding| finding.text.contains("cuts the roles of a user at 20"))
    );
}

#[tokio::test]
async fn lists_that_only_look_cut_cost_one_call() {
    let mut world = cut_world();
    world.cut_at = usize::MAX;
    let tenant = FakeTenant::new(world);
    let all = complete(&snapshots(&tenant), "s").await.unwrap();
    assert_true(&all, &tenant.world());
    assert_eq!(tenant.other_calls.load(Ordering::SeqCst), 1);
    assert!(all.report.findings.is_empty());
}

#[tokio::test]
async fn two_readings_that_contradict_each_other_end_the_pass() {
    let mut world = cut_world();
    world.other_way_adds = RoleId::new(30);
    let tenant = FakeTenant::new(world);
    let fault = complete(&snapshots(&tenant), "s").await.unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::Corrupt);
    assert!(fault.to_string().contains("contradict") && fault.to_string().contains("check"));
}

#[tokio::test]
async fn without_another_way_suspicion_is_reported() {
    let mut world = cut_world();
    world.has_other_way = false;
    let tenant = FakeTenant::new(world);
    let all = complete(&snapshots(&tenant), "s").await.unwrap();
    assert_eq!(all.report.findings.len(), 1);
}

#[tokio::test]
async fn unlisted_groups_are_listed_if_they_exist_and_dropped_if_not() {
    let mut world = World::new(500);
    world.hidden_groups = vec![group(77)];
    let holder = *world.listed_ids().first().unwrap();
    let user = world.users.get_mut(&holder).unwrap();
    let groups = [1, 77, 88].into_iter().filter_map(GroupId::new).collect();
    user.access = Access::new(user.access.roles().to_vec(), groups, user.access.licenses);
    let tenant = FakeTenant::new(world);
    let all = complete(&snapshots(&tenant), "s").await.unwrap();
    assert!(all.groups.iter().any(|group| group.id.get() == 77));
    assert_eq!(
        all.index.holders(&group_item(77), None).collect::<Vec<_>>(),
        [user_id(holder)]
    );
    assert!(!all.index.lists(&group_item(88)));
    assert_eq!(all.index.holders(&group_item(88), None).count(), 0);
    assert!(all.report.findings[0].text.contains("1 roles or groups"));
}

#[tokio::test]
async fn holders_go_on_after_a_user() {
    let tenant = FakeTenant::new(World::new(300));
    let all = complete(&snapshots(&tenant), "s").await.unwrap();
    let every: Vec<_> = all.index.holders(&role_item(1), None).collect();
    for (at, user) in every.iter().enumerate() {
        let rest: Vec<_> = all.index.holders(&role_item(1), Some(*user)).collect();
        assert_eq!(rest, every[at + 1..]);
    }
}

#[tokio::test]
async fn a_shrunken_tenant_is_refused_unless_accepted() {
    let memory = Arc::<Memory>::default();
    let tenant = FakeTenant::new(World::new(1000));
    complete(&over(&tenant, &memory, config()), "1").await.unwrap();
    let before = memory.last().unwrap().unwrap();
    assert_eq!(before.counts[&Count::Items(ItemKind::Role)], 30);

    let shrunken = {
        let mut world = tenant.world().clone();
        let keep: Vec<u64> = world.users.keys().copied().take(400).collect();
        world.users.retain(|id, _| keep.contains(id));
        FakeTenant::new(world)
    };
    let snapshots = over(&shrunken, &memory, config());
    let snapshot = snapshots.get("2");
    let fault = snapshot.complete(late()).await.unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::Refused);
    assert!(fault.to_string().contains("--accept-shrink"), "{fault}");
    assert!(
        snapshot.accounts(None, 10_000, late()).await.is_err(),
        "nobody sees the end of the users"
    );
    assert_eq!(
        memory.last().unwrap().unwrap(),
        before,
        "a refused pass is no baseline"
    );

    let accepting = SnapshotConfig {
        on_shrink: OnShrink::Accept,
        ..config()
    };
    let all = complete(&over(&shrunken, &memory, accepting), "3").await.unwrap();
    assert!(all.report.findings[0].text.contains("accepted"));
    complete(&over(&shrunken, &memory, config()), "4").await.unwrap();
}

#[tokio::test]
async fn roles_that_vanished_stop_the_pass_before_any_user_is_read() {
    let memory = Arc::<Memory>::default();
    let tenant = FakeTenant::new(World::new(1000));
    complete(&over(&tenant, &memory, config()), "1").await.unwrap();
    tenant.world().roles.clear();
    let calls = tenant.calls();
    let fault = complete(&over(&tenant, &memory, config()), "2")
        .await
        .unwrap_err();
    assert!(fault.to_string().contains("roles fell from 30 to 0"), "{fault}");
    assert_eq!(tenant.calls(), calls);
}

#[tokio::test]
async fn a_baseline_that_cannot_be_kept_is_a_finding() {
    let memory = Arc::new(Memory {
        refuses: true,
        ..Memory::default()
    });
    let tenant = FakeTenant::new(World::new(100));
    let all = complete(&over(&tenant, &memory, config()), "1").await.unwrap();
    assert_eq!(all.report.findings.len(), 1);
}
