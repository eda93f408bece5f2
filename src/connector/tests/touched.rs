//! Lone questions about one item while this connector itself changes users.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

use crate::model::access::{Access, LicenseSet};
use crate::model::id::RoleId;
use crate::model::journal::{Entry, Journal, Stage};
use crate::model::tenant::ClassMarks;
use crate::snapshot::fake::role_item;
use crate::snapshot::fake_journal::{FakeJournal, clearing, made, revocation};

/// The role that is taken, and those that stay: role 30 is asked for.
const TAKEN: u64 = 7;
const KEPT: [u64; 2] = [2, 30];
const FULL: [u64; 3] = [2, TAKEN, 30];

fn roles(ids: &[u64]) -> Access {
    let roles = ids.iter().filter_map(|id| RoleId::new(*id)).collect();
    Access::new(roles, Vec::new(), LicenseSet::EMPTY)
}

/// A tenant in which the roles of a listed user in the midst of others were emptied.
fn damaged() -> (Arc<FakeTenant>, u64) {
    let mut world = World::new(900);
    let listed = world.listed_ids();
    let user = listed[listed.len() / 2];
    let changed = world.users.get_mut(&user).unwrap();
    (changed.marks, changed.access) = (ClassMarks::default(), roles(&[]));
    (FakeTenant::new(world), user)
}

fn over(tenant: &Arc<FakeTenant>, journal: &Arc<FakeJournal>) -> Connector {
    let config = config();
    Connector::new(
        Arc::new(Handle(Arc::clone(tenant))),
        Arc::new(Memory::default()),
        Some(Arc::clone(journal) as Arc<dyn Journal>),
        ConnectorConfig {
            snapshot: SnapshotConfig {
                mending: Duration::from_millis(64),
                ..config.snapshot
            },
            ..config
        },
    )
}

fn revoking(user: u64, stage: Stage) -> Vec<Entry> {
    vec![revocation(17, user, role_item(TAKEN), stage)]
}

/// Holders of role 30, page by page.
async fn holders(connector: &Connector, size: u32) -> BTreeSet<(String, u64)> {
    let (found, _) = all_grants(connector, &[size], |size, token| {
        grants("role", "30", size, token)
    })
    .await;
    let ids: Vec<u64> = found
        .iter()
        .map(|grant| id_of(grant.principal.as_ref().unwrap()).parse().unwrap())
        .collect();
    assert!(ids.is_sorted(), "in order of their ids");
    assert_eq!(connector.report(SYNC), None, "by queries, not by a pass");
    pairs(&found, "role", "member")
}

fn truth(tenant: &FakeTenant) -> BTreeSet<(String, u64)> {
    let all = tenant.world().truth(ItemKind::Role);
    all.into_iter().filter(|(item, _)| item == "30").collect()
}

fn singles(tenant: &FakeTenant) -> u64 {
    tenant.single_calls.load(Ordering::SeqCst)
}

#[tokio::test]
async fn a_holder_whom_the_query_missed_is_added_on_the_right_page() {
    for size in [0, 10] {
        let (tenant, user) = damaged();
        let journal = FakeJournal::with(revoking(user, clearing(&FULL)));
        let changed = Arc::clone(&tenant);
        // On the second page or later if pages are small: only there the user is looked for.
        journal.before_look(1, move |entries| {
            changed.world().users.get_mut(&user).unwrap().access = roles(&KEPT);
            entries[0].stage = made(&KEPT);
        });
        let found = holders(&over(&tenant, &journal), size).await;
        assert!(found.contains(&("30".to_owned(), user)));
        assert_eq!(found, truth(&tenant), "pages of {size}");
    }
}

#[tokio::test]
async fn a_holder_shown_with_half_his_roles_is_judged_by_all_of_them() {
    // Role 3 alone makes a portal account, which gets no grants.
    let (tenant, user) = damaged();
    tenant.world().users.get_mut(&user).unwrap().access = roles(&[3]);
    let journal = FakeJournal::with(revoking(user, clearing(&[2, 3, TAKEN])));
    let changed = Arc::clone(&tenant);
    journal.before_look(2, move |entries| {
        changed.world().users.get_mut(&user).unwrap().access = roles(&[2, 3]);
        entries[0].stage = made(&[2, 3]);
    });
    let page = over(&tenant, &journal)
        .list_grants(&grants("role", "3", 0, ""))
        .await
        .unwrap();
    assert!(pairs(&page.list, "role", "member").contains(&("3".to_owned(), user)));
}

#[tokio::test]
async fn a_holder_who_lost_the_item_meanwhile_is_not_told() {
    let (tenant, user) = damaged();
    tenant.world().users.get_mut(&user).unwrap().access = roles(&FULL);
    let journal = FakeJournal::with(revoking(user, Stage::Writing));
    let changed = Arc::clone(&tenant);
    journal.before_look(1, move |entries| {
        changed.world().users.get_mut(&user).unwrap().access = roles(&[2]);
        entries[0].stage = made(&[2]);
    });
    let found = holders(&over(&tenant, &journal), 0).await;
    assert!(!found.contains(&("30".to_owned(), user)));
    assert_eq!(found, truth(&tenant));
}

#[tokio::test]
async fn a_user_who_is_gone_holds_nothing() {
    let (tenant, user) = damaged();
    let journal = FakeJournal::with(revoking(user, clearing(&FULL)));
    tenant.world().users.remove(&user);
    let found = holders(&over(&tenant, &journal), 0).await;
    assert_eq!(found, truth(&tenant));
}

#[tokio::test]
async fn a_damaged_list_is_refused_where_it_matters_and_only_there() {
    let (tenant, user) = damaged();
    let journal = FakeJournal::with(revoking(user, clearing(&FULL)));
    let asked = over(&tenant, &journal);
    let fault = asked
        .list_grants(&grants("role", "30", 0, ""))
        .await
        .err()
        .unwrap();
    assert_eq!(*fault.kind(), FaultKind::Refused);
    let told = fault.to_string();
    for part in [&format!("user {user}:"), "journal entry 17", "journal recover"] {
        assert!(told.contains(part), "{part} is missing in {told}");
    }
    let before = singles(&tenant);
    for (kind, id) in [("role", "29"), ("group", "2")] {
        asked.list_grants(&grants(kind, id, 0, "")).await.unwrap();
    }
    assert_eq!(singles(&tenant), before, "nobody is read for other items");
}

#[tokio::test]
async fn a_page_that_ends_before_the_user_does_not_ask_for_him() {
    let (tenant, user) = damaged();
    // Most users hold role 1, and one call shows 50 of them.
    let full = [1, 2, TAKEN];
    let journal = FakeJournal::with(revoking(user, clearing(&full)));
    let asked = over(&tenant, &journal);
    let page = asked.list_grants(&grants("role", "1", 20, "")).await.unwrap();
    assert_eq!((page.list.len(), singles(&tenant)), (20, 0));
    let mut token = page.next_page_token;
    let fault = loop {
        match asked.list_grants(&grants("role", "1", 20, &token)).await {
            Ok(page) => {
                assert!(!page.next_page_token.is_empty(), "the end was told");
                token = page.next_page_token;
            }
            Err(fault) => break fault,
        }
    };
    assert!(fault.to_string().contains("journal entry 17"), "{fault}");
}

#[tokio::test]
async fn without_entries_a_lone_question_costs_what_it_did() {
    let (tenant, _) = damaged();
    let journal = FakeJournal::with(Vec::new());
    assert_eq!(holders(&over(&tenant, &journal), 0).await, truth(&tenant));
    assert_eq!(singles(&tenant), 0);
    let bare = FakeTenant::new(tenant.world().clone());
    assert_eq!(holders(&connector(&bare), 0).await, truth(&tenant));
    assert_eq!(tenant.calls(), bare.calls());
}
