//! Somebody else edits the same user between any two of our calls: the edit is kept or, in the one window that Coupa leaves, on record.

use baton_coupa::model::access::Item;
use baton_coupa::model::change::Effect;
use baton_coupa::model::journal::Stage;
use baton_coupa::sandbox::{
    Change as Theirs, Edit, Faults, ListWrite, Matching, MembershipDelete, PerList, Readings, RequestKind,
    ScriptedEdit, TruthUser, When, WriteClass,
};

use super::house::{House, group, holds, role, with};

/// What somebody else does meanwhile.
#[derive(Debug, Clone, Copy)]
enum Foreign {
    Adds,
    Removes,
}

/// Which of our requests saw the list last before a write that carries it whole, and which wrote it.
fn windows(house: &House) -> Vec<(usize, usize)> {
    let log = house.sandbox.log();
    let mut windows = Vec::new();
    let mut read = None;
    for (n, entry) in log.iter().enumerate() {
        match entry.write {
            Some(WriteClass::SetList | WriteClass::Clear) => windows.extend(read.map(|read| (read, n))),
            None if entry.kind != RequestKind::Token => read = Some(n),
            Some(_) | None => {}
        }
    }
    windows
}

/// One edit against one change of ours.
struct Case {
    ours: Item,
    grant: bool,
    nth: u64,
    when: When,
    foreign: Foreign,
    theirs: u64,
}

/// Whether the edit struck: the change has that many requests.
async fn meet(house: &House, before: &TruthUser, case: &Case) -> bool {
    let Case {
        ours,
        grant,
        nth,
        when,
        foreign,
        theirs,
    } = case;
    let (grant, nth, when, foreign, theirs) = (*grant, *nth, *when, *foreign, *theirs);
    let list_of_groups = matches!(ours, Item::Group(_));
    let change = match (foreign, list_of_groups) {
        (Foreign::Adds, false) => Theirs::AddRole(theirs),
        (Foreign::Removes, false) => Theirs::RemoveRole(theirs),
        (Foreign::Adds, true) => Theirs::AddGroup(theirs),
        (Foreign::Removes, true) => Theirs::RemoveGroup(theirs),
    };
    house.sandbox.clear_log();
    house.sandbox.set_faults(Faults {
        edits: vec![ScriptedEdit {
            on: Matching {
                nth,
                ..Matching::default()
            },
            when,
            edit: Edit {
                user: before.id,
                change,
            },
        }],
        ..Faults::default()
    });
    let outcome = if grant {
        house.grant(before.id, ours).await
    } else {
        house.revoke(before.id, ours).await
    };
    house.sandbox.set_faults(Faults::default());
    let now = house.user(before.id);
    let case = format!(
        "{ours:?} granted {grant}, somebody {foreign:?} {theirs} {when:?} request {nth} of user {}",
        before.id
    );
    let struck = house.sandbox.log().len() as u64 >= nth;
    let at = usize::try_from(nth).unwrap() - 1;
    // The window: from the answer of the last read to the effect of the write.
    let in_window = windows(house).iter().any(|(read, write)| match when {
        When::Before => *read < at && at <= *write,
        When::After => *read <= at && at < *write,
    });
    let mine = with(before, ours, grant);
    let theirs_item = if list_of_groups {
        group(theirs)
    } else {
        role(theirs)
    };
    let both = with(&mine, &theirs_item, matches!(foreign, Foreign::Adds));
    match outcome {
        Ok(done) => {
            assert!(holds(&now, ours) == grant, "{case}: claims success");
            assert_ne!(done.effect, Effect::Existed);
            let kept = now.roles == both.roles && now.groups == both.groups;
            if struck && !kept {
                let told = done
                    .findings
                    .iter()
                    .any(|finding| finding.text.contains(&theirs.to_string()));
                assert!(
                    in_window || told,
                    "{case}: the edit is lost outside of the window and nobody is told: {now:?}"
                );
                // Nothing but their item may differ.
                assert!(
                    now.roles == mine.roles && now.groups == mine.groups,
                    "{case}: {now:?}"
                );
                let Stage::Closed(closing) = house.last_entry().stage else {
                    panic!("{case}: left open");
                };
                assert!(closing.window_ms.is_some(), "{case}: the window is on record");
            }
        }
        Err(fault) => {
            let untouched = with(before, &theirs_item, matches!(foreign, Foreign::Adds));
            let kept = now.roles == untouched.roles && now.groups == untouched.groups;
            assert!(!struck || kept || in_window, "{case}: {fault:?}: {now:?}");
        }
    }
    house.heal().await;
    assert!(house.open_entries().is_empty(), "{case}");
    struck
}

async fn every_edit(write: ListWrite, delete: MembershipDelete) {
    let readings = Readings {
        list_write: PerList {
            roles: write,
            user_groups: write,
        },
        membership_delete: delete,
        ..Readings::default()
    };
    let house = House::with(readings, 200).await;
    let mut people = house.people().into_iter();
    let before = people
        .find(|user| user.roles.len() >= 3 && user.groups.len() >= 2)
        .unwrap();
    for of_groups in [false, true] {
        for grant in [true, false] {
            for foreign in [Foreign::Adds, Foreign::Removes] {
                for when in [When::Before, When::After] {
                    for nth in 1.. {
                        house.restore(&before).await;
                        let held = if of_groups { &before.groups } else { &before.roles };
                        let ours = match (of_groups, grant) {
                            (false, true) => house.other_role(&before),
                            (true, true) => house.other_group(&before),
                            (false, false) => role(held[0]),
                            (true, false) => group(held[0]),
                        };
                        let theirs = match foreign {
                            Foreign::Removes => *held.last().unwrap(),
                            Foreign::Adds => another(&house, &before, &ours, of_groups),
                        };
                        let case = Case {
                            ours,
                            grant,
                            nth,
                            when,
                            foreign,
                            theirs,
                        };
                        if !meet(&house, &before, &case).await {
                            break;
                        }
                    }
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_by_somebody_else_is_kept_or_on_record_where_lists_are_added_to() {
    every_edit(ListWrite::Add, MembershipDelete::Works).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_by_somebody_else_is_kept_or_on_record_without_membership_calls() {
    every_edit(ListWrite::Add, MembershipDelete::Absent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_by_somebody_else_is_kept_or_on_record_where_lists_are_replaced() {
    every_edit(ListWrite::Replace, MembershipDelete::Absent).await;
}

/// Something the user does not hold and that we do not grant.
fn another(house: &House, user: &TruthUser, ours: &Item, of_groups: bool) -> u64 {
    let with_ours = with(user, ours, true);
    match if of_groups {
        house.other_group(&with_ours)
    } else {
        house.other_role(&with_ours)
    } {
        Item::Role(id) => id.get(),
        Item::Group(id) => id.get(),
        Item::License(_) => unreachable!("a list item"),
    }
}
