//! Passes over a tenant that is changed by ourselves meanwhile, and the judgement behind them.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::atomic::Ordering;

use super::*;
use crate::model::access::LicenseSet;
use crate::model::id::{GroupId, RoleId};
use crate::model::journal::Subject;
use crate::model::tenant::{ClassMarks, UserOrder};
use crate::snapshot::fake::{FakeTenant, Handle, Memory, World, group_item, role_item, user_id};
use crate::snapshot::fake_journal::{FakeJournal, clearing, made, revocation};
use crate::snapshot::tests::{assert_true, complete, config, cut_world, ids, late};
use crate::snapshot::{Complete, SnapshotConfig, Snapshots, Waited};

/// Roles of the user that is changed, and the one that is taken.
const FULL: [u64; 4] = [2, 4, 7, 9];
const KEPT: [u64; 3] = [2, 4, 9];
const TAKEN: u64 = 7;

fn roles(ids: &[u64]) -> Access {
    let roles = ids.iter().filter_map(|id| RoleId::new(*id)).collect();
    Access::new(roles, Vec::new(), LicenseSet::EMPTY)
}

fn groups(ids: &[u64]) -> Access {
    let groups = ids.iter().filter_map(|id| GroupId::new(*id)).collect();
    Access::new(Vec::new(), groups, LicenseSet::EMPTY)
}

fn hold(tenant: &FakeTenant, user: u64, access: Access) {
    tenant.world().users.get_mut(&user).unwrap().access = access;
}

/// A tenant of which one listed user's roles were emptied by a revocation, and that user.
fn damaged(mut world: World) -> (Arc<FakeTenant>, u64) {
    let user = *world.listed_ids().get(20).unwrap();
    let marks = &mut world.users.get_mut(&user).unwrap().marks;
    *marks = ClassMarks::default();
    let tenant = FakeTenant::new(world);
    hold(&tenant, user, roles(&[]));
    (tenant, user)
}

fn revoking(user: u64, stage: Stage) -> Entry {
    revocation(17, user, role_item(TAKEN), stage)
}

fn over(tenant: &Arc<FakeTenant>, journal: &Arc<FakeJournal>) -> Snapshots {
    let config = SnapshotConfig {
        mending: Duration::from_millis(64),
        ..config()
    };
    let handle = Arc::new(Handle(Arc::clone(tenant)));
    let journal: Arc<dyn Journal> = Arc::clone(journal) as _;
    Snapshots::new(handle, Arc::new(Memory::default()), Some(journal), config)
}

/// Right before the n-th look into the journal, the user gets `access` and the entry the stage.
fn before_look(
    journal: &FakeJournal,
    number: u64,
    tenant: &Arc<FakeTenant>,
    user: u64,
    access: Access,
    stage: Stage,
) {
    let tenant = Arc::clone(tenant);
    journal.before_look(number, move |entries| {
        hold(&tenant, user, access);
        entries[0].stage = stage;
    });
}

fn singles(tenant: &FakeTenant) -> u64 {
    tenant.single_calls.load(Ordering::SeqCst)
}

fn holds_role(all: &Complete, role: u64, user: u64) -> bool {
    all.index
        .holders(&role_item(role), None)
        .any(|holder| holder == user_id(user))
}

#[tokio::test]
async fn without_entries_nothing_more_is_asked() {
    // Read as one range, so that the number of calls does not depend on who is first.
    let mut world = World::new(300);
    world.tells_highest = false;
    let tenant = FakeTenant::new(world);
    let journal = FakeJournal::with(Vec::new());
    let all = complete(&over(&tenant, &journal), "s").await.unwrap();
    assert_true(&all, &tenant.world());
    assert_eq!((tenant.calls(), singles(&tenant)), (7, 0));
    assert_eq!(journal.looks.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn changes_that_ended_before_the_pass_do_not_matter() {
    let tenant = FakeTenant::new(World::new(500));
    let user = tenant.world().listed_ids()[0];
    let mut stage = made(&[]);
    if let Stage::Closed(closing) = &mut stage {
        closing.at -= SignedDuration::from_mins(1);
    }
    let journal = FakeJournal::with(vec![revoking(user, stage)]);
    complete(&over(&tenant, &journal), "s").await.unwrap();
    assert_eq!(singles(&tenant), 0);
}

#[tokio::test]
async fn a_list_that_was_whole_again_before_the_pass_ended_is_read_again() {
    for order in [UserOrder::ById, UserOrder::Arbitrary] {
        let mut world = World::new(500);
        world.order = order;
        let (tenant, user) = damaged(world);
        let journal = FakeJournal::with(vec![revoking(user, clearing(&FULL))]);
        // The first look is that at the end of the pass over the users.
        before_look(&journal, 1, &tenant, user, roles(&KEPT), made(&KEPT));
        let snapshots = over(&tenant, &journal);
        let all = complete(&snapshots, "s").await.unwrap();
        assert_true(&all, &tenant.world());
        assert!(holds_role(&all, 9, user) && !holds_role(&all, TAKEN, user));
        assert_eq!(ids(&snapshots.get("s"), 70).await, tenant.world().listed_ids());
        assert_eq!(singles(&tenant), 1, "{order:?}");
    }
}

#[tokio::test]
async fn the_later_profile_is_listed_too() {
    let (tenant, user) = damaged(World::new(500));
    let journal = FakeJournal::with(vec![revoking(user, Stage::Writing)]);
    let changed = Arc::clone(&tenant);
    journal.before_look(1, move |_| {
        changed.world().users.get_mut(&user).unwrap().login = "renamed".into();
    });
    let snapshots = over(&tenant, &journal);
    complete(&snapshots, "s").await.unwrap();
    let last = UserId::new(user - 1);
    let page = snapshots.get("s").accounts(last, 1, late()).await.unwrap();
    let Waited::Ready(page) = page else {
        panic!("the pass is complete");
    };
    assert_eq!(
        (page.list[0].id, &*page.list[0].login),
        (user_id(user), "renamed")
    );
}

#[tokio::test]
async fn a_change_that_ends_while_it_is_waited_for_heals_the_pass() {
    let (tenant, user) = damaged(World::new(500));
    let journal = FakeJournal::with(vec![revoking(user, clearing(&FULL))]);
    // 1: end of the users, 2: after the reading, 3: after the first wait.
    before_look(&journal, 3, &tenant, user, roles(&KEPT), made(&KEPT));
    let all = complete(&over(&tenant, &journal), "s").await.unwrap();
    assert_true(&all, &tenant.world());
    assert_eq!(singles(&tenant), 2);
}

#[tokio::test]
async fn a_change_that_ends_while_its_user_is_read_is_not_believed_blindly() {
    for at_first in [Stage::Writing, clearing(&FULL)] {
        let (tenant, user) = damaged(World::new(500));
        let journal = FakeJournal::with(vec![revoking(user, at_first)]);
        // The reading before this look saw the empty list; the entry is closed by now.
        before_look(&journal, 2, &tenant, user, roles(&KEPT), made(&KEPT));
        let all = complete(&over(&tenant, &journal), "s").await.unwrap();
        assert_true(&all, &tenant.world());
        assert_eq!(singles(&tenant), 2);
    }
}

#[tokio::test]
async fn a_list_that_stays_damaged_ends_the_pass_and_names_the_entry() {
    let interrupted = Stage::NeedsPerson {
        reason: "odd".to_owned(),
        full: Some(FULL.to_vec()),
    };
    for stage in [clearing(&FULL), interrupted] {
        let (tenant, user) = damaged(World::new(500));
        let journal = FakeJournal::with(vec![revoking(user, stage)]);
        let snapshots = over(&tenant, &journal);
        let snapshot = snapshots.get("s");
        let fault = snapshot.complete(late()).await.unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::Refused);
        let told = fault.to_string();
        for part in [
            &format!("user {user}:"),
            "roles are incomplete",
            "journal entry 17",
            "`baton-coupa journal recover`",
        ] {
            assert!(told.contains(part), "{part} is missing in {told}");
        }
        assert!(snapshot.accounts(None, 10_000, late()).await.is_err());
        let tries = waits(Duration::from_millis(64)).count() as u64 + 1;
        assert_eq!(singles(&tenant), tries, "bounded");
    }
}

#[tokio::test]
async fn an_open_entry_over_a_whole_list_stops_nobody() {
    // Its single reading is whole where listings are cut.
    let world = cut_world();
    let user = world
        .listed_ids()
        .into_iter()
        .find(|id| world.users[id].access.roles().len() == 25);
    let user = user.unwrap();
    let full: Vec<u64> = (1..=25).collect();
    let tenant = FakeTenant::new(world);
    let journal = FakeJournal::with(vec![revoking(user, clearing(&full))]);
    let all = complete(&over(&tenant, &journal), "s").await.unwrap();
    assert_true(&all, &tenant.world());
    assert_eq!(singles(&tenant), 1);
    assert!(
        all.report
            .findings
            .iter()
            .any(|finding| finding.text.contains("cuts the roles")),
        "it does not hide that others are cut"
    );
}

#[tokio::test]
async fn a_user_who_is_gone_is_dropped() {
    let (tenant, user) = damaged(World::new(500));
    let journal = FakeJournal::with(vec![revoking(user, clearing(&FULL))]);
    let changed = Arc::clone(&tenant);
    journal.before_look(1, move |_| drop(changed.world().users.remove(&user)));
    let snapshots = over(&tenant, &journal);
    let all = complete(&snapshots, "s").await.unwrap();
    assert_true(&all, &tenant.world());
    assert_eq!(ids(&snapshots.get("s"), 100).await, tenant.world().listed_ids());
    assert_eq!(
        all.report.users.iter().map(|count| count.accounts).sum::<u64>(),
        499
    );
}

#[tokio::test]
async fn a_user_made_meanwhile_is_left_to_the_next_pass() {
    let tenant = FakeTenant::new(World::new(100));
    let journal = FakeJournal::with(vec![revoking(u64::MAX, Stage::Writing)]);
    complete(&over(&tenant, &journal), "s").await.unwrap();
    assert_eq!(singles(&tenant), 0);
}

/// Role 3 alone makes a portal account, which is not listed.
const PORTAL: u64 = 3;

#[tokio::test]
async fn an_account_that_turns_out_not_to_be_listed_leaves_the_list() {
    let (tenant, user) = damaged(World::new(500));
    let journal = FakeJournal::with(vec![revoking(user, clearing(&[PORTAL, TAKEN]))]);
    before_look(&journal, 1, &tenant, user, roles(&[PORTAL]), made(&[PORTAL]));
    let snapshots = over(&tenant, &journal);
    let all = complete(&snapshots, "s").await.unwrap();
    assert_true(&all, &tenant.world());
    let listed = ids(&snapshots.get("s"), 100).await;
    assert!(!listed.contains(&user));
    assert_eq!(listed, tenant.world().listed_ids());
}

#[tokio::test]
async fn an_account_that_turns_out_to_be_listed_needs_another_pass() {
    let (tenant, user) = damaged(World::new(500));
    hold(&tenant, user, roles(&[PORTAL]));
    let journal = FakeJournal::with(vec![revoking(user, clearing(&[PORTAL, 2, TAKEN]))]);
    before_look(
        &journal,
        1,
        &tenant,
        user,
        roles(&[2, PORTAL]),
        made(&[2, PORTAL]),
    );
    let snapshots = over(&tenant, &journal);
    let fault = complete(&snapshots, "s").await.unwrap_err();
    assert!(fault.is_transient(), "{fault:?}");
    let all = complete(&snapshots, "s").await.unwrap();
    assert_true(&all, &tenant.world());
}

#[tokio::test]
async fn many_touched_users_are_all_read_again() {
    let tenant = FakeTenant::new(World::new(500));
    let users: Vec<u64> = tenant.world().listed_ids().into_iter().step_by(3).collect();
    let entries = users
        .iter()
        .zip(1..)
        .map(|(user, id)| revocation(id, *user, role_item(TAKEN), made(&[])))
        .collect();
    let journal = FakeJournal::with(entries);
    let (changed, touched) = (Arc::clone(&tenant), users.clone());
    journal.before_look(1, move |_| {
        for user in touched {
            let held = changed.world().users[&user].access.clone();
            let kept = held
                .roles()
                .iter()
                .copied()
                .filter(|id| id.get() != TAKEN)
                .collect();
            let access = Access::new(kept, held.groups().to_vec(), held.licenses);
            hold(&changed, user, access);
        }
    });
    let all = complete(&over(&tenant, &journal), "s").await.unwrap();
    assert_true(&all, &tenant.world());
    assert_eq!(singles(&tenant), users.len() as u64);
}

/// What speaks against `access` of user 5, with an entry before and after the reading.
fn trouble(before: Option<&Entry>, after: &Entry, access: &Access) -> Option<Trouble> {
    let before: Vec<Entry> = before.cloned().into_iter().collect();
    Steps::between(&before, std::slice::from_ref(after)).trouble(user_id(5), access)
}

#[test]
fn a_reading_is_believed_if_it_lies_between_our_steps() {
    let entry = |stage| revoking(5, stage);
    let (writing, clearing, made) = (entry(Stage::Writing), entry(clearing(&FULL)), entry(made(&KEPT)));
    let (empty, kept, full) = (roles(&[]), roles(&KEPT), roles(&FULL));
    let damaged = Some(Trouble::Damaged(EntryId(17), ListKind::Roles));
    let moved = Some(Trouble::Moved(EntryId(17)));
    for (before, after, access, expected) in [
        (Some(&writing), &writing, &empty, None),
        (Some(&clearing), &clearing, &empty, damaged),
        (Some(&clearing), &clearing, &kept, None),
        (Some(&clearing), &clearing, &full, None),
        (Some(&writing), &clearing, &empty, damaged),
        (None, &clearing, &empty, damaged),
        (Some(&clearing), &writing, &empty, damaged),
        (Some(&clearing), &made, &empty, moved),
        (Some(&writing), &made, &empty, moved),
        (None, &made, &empty, moved),
        (Some(&writing), &made, &full, None),
        (Some(&made), &made, &empty, None),
    ] {
        assert_eq!(
            trouble(before, after, access),
            expected,
            "{before:?} {after:?} {access:?}"
        );
    }
    let other = revocation(17, 6, role_item(TAKEN), clearing.stage.clone());
    assert_eq!(trouble(None, &other, &empty), None, "somebody else");
}

#[test]
fn an_end_that_tells_no_list_is_not_enough() {
    let mut ended = revoking(5, made(&[]));
    let Stage::Closed(closing) = &mut ended.stage else {
        panic!("it is closed");
    };
    closing.after = Held::Nothing;
    assert!(trouble(None, &ended, &roles(&FULL)).is_some());
    ended.intent.subject = Subject::Update(vec!["email".to_owned()]);
    assert_eq!(trouble(None, &ended, &roles(&[])), None, "no list was written");
}

#[test]
fn what_is_damaged_outweighs_what_moves() {
    let entries = [
        revocation(1, 5, role_item(TAKEN), made(&KEPT)),
        revocation(2, 5, group_item(1), clearing(&[1, 2])),
    ];
    let steps = Steps::between(&[], &entries);
    let damaged = Trouble::Damaged(EntryId(2), ListKind::Groups);
    assert_eq!(steps.trouble(user_id(5), &roles(&[])), Some(damaged));
    assert_eq!(
        steps.trouble(user_id(5), &groups(&[2])),
        Some(Trouble::Moved(EntryId(1)))
    );
}

#[test]
fn a_query_is_doubted_only_where_an_entry_can_have_spoiled_it() {
    let license = Item::License("risk-assess-user".parse().unwrap());
    let of_roles = |stage| revocation(1, 5, role_item(TAKEN), stage);
    let of_groups = |stage| revocation(1, 5, group_item(TAKEN), stage);
    for (entry, item, shown, expected) in [
        (of_roles(Stage::Writing), role_item(2), false, false),
        (of_roles(clearing(&FULL)), role_item(2), false, true),
        (of_roles(clearing(&FULL)), role_item(TAKEN), false, false),
        (of_roles(clearing(&FULL)), role_item(30), false, false),
        (of_roles(made(&KEPT)), role_item(2), false, true),
        (of_roles(made(&KEPT)), role_item(TAKEN), false, false),
        // Shown, but perhaps as an account of another class.
        (of_roles(clearing(&FULL)), license.clone(), true, true),
        (of_roles(clearing(&FULL)), group_item(2), true, true),
        (of_roles(clearing(&FULL)), license, false, false),
        (of_roles(clearing(&FULL)), group_item(2), false, false),
        (of_groups(clearing(&FULL)), group_item(2), false, true),
        (of_groups(clearing(&FULL)), group_item(2), true, false),
        (of_groups(clearing(&FULL)), role_item(2), true, false),
    ] {
        assert_eq!(
            matters(&entry, &item, shown),
            expected,
            "{entry:?} {item:?} {shown}"
        );
    }
}

#[test]
fn waits_double_and_come_to_the_whole() {
    let all: Vec<Duration> = waits(Duration::from_secs(10)).collect();
    assert_eq!(all.iter().sum::<Duration>(), Duration::from_secs(10));
    assert!(all[..5].windows(2).all(|pair| pair[1] == pair[0] * 2), "{all:?}");
    assert!(all.len() <= 7);
    assert_eq!(waits(Duration::ZERO).count(), 0);
}
