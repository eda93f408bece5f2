//! Every uncertain reading of Coupa's documents: a grant and a revoke of each kind end as wanted and nothing else moves.

use baton_coupa::model::access::Item;
use baton_coupa::model::change::{Activity, Change, Effect};
use baton_coupa::model::fault::FaultKind;
use baton_coupa::sandbox::{
    Clear, ClearedRoles, Heed, KeyIn, ListWrite, MembershipDelete, PerList, Readings, TruthUser, Visibility,
    WriteReply,
};

use super::house::{House, LICENSE, group, holds, license, role, same_access, user_id, with};

/// All readings that concern how lists are written, combined where they meet.
pub fn list_readings() -> Vec<(String, Readings)> {
    let mut all = Vec::new();
    let clears = [
        (Clear::Clears, Clear::Ignored),
        (Clear::Ignored, Clear::Clears),
        (Clear::Rejected, Clear::Clears),
        (Clear::Clears, Clear::Rejected),
    ];
    let deletes = [
        MembershipDelete::Works,
        MembershipDelete::Absent,
        MembershipDelete::MethodNotAllowed,
        MembershipDelete::Ignored,
    ];
    // Each value of one meets each value of the others at least once.
    for (n, write) in [ListWrite::Add, ListWrite::Replace, ListWrite::Add]
        .into_iter()
        .enumerate()
    {
        for (m, (null, brackets)) in clears.into_iter().enumerate() {
            let delete = deletes[(n + m) % deletes.len()];
            let readings = Readings {
                list_write: PerList {
                    roles: write,
                    user_groups: write,
                },
                clear_null: null,
                clear_brackets: brackets,
                membership_delete: delete,
                ..Readings::default()
            };
            let name = format!("{write:?}, null {null:?}, [] {brackets:?}, delete {delete:?}");
            all.push((name, readings));
        }
    }
    for reply in [
        WriteReply::WithoutLists,
        WriteReply::IdsOnly,
        WriteReply::EmptyBody,
    ] {
        all.push((
            format!("reply {reply:?}"),
            Readings {
                write_reply: reply,
                ..Readings::default()
            },
        ));
    }
    for delay_reads in [1, 3] {
        let visibility = Visibility {
            delay_reads,
            ..Visibility::default()
        };
        all.push((
            format!("visible after {delay_reads} reads"),
            Readings {
                visibility,
                ..Readings::default()
            },
        ));
    }
    all.push((
        "a cleared user gets a role".to_owned(),
        Readings {
            cleared_roles: ClearedRoles::UserRole,
            ..Readings::default()
        },
    ));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reading_grants_and_revokes_and_moves_nothing_else() {
    for (name, readings) in list_readings() {
        let house = House::with(readings.clone(), 60).await;
        let before = house.people().remove(0);
        // Where Coupa gives the role `User` to whoever has none, it cannot be taken away.
        let given = |id: &&u64| {
            house
                .sandbox
                .truth()
                .roles
                .iter()
                .any(|role| role.id == **id && role.name == "User")
        };
        let taken = *before.roles.iter().find(|id| !given(id)).unwrap();
        let items: [Item; 5] = [
            house.other_role(&before),
            house.other_group(&before),
            role(taken),
            group(before.groups[0]),
            license(LICENSE),
        ];
        for item in items {
            let held = holds(&before, &item);
            let there_and_back = [!held, held];
            for wanted in there_and_back {
                let outcome = if wanted {
                    house.grant(before.id, &item).await
                } else {
                    house.revoke(before.id, &item).await
                };
                let outcome =
                    outcome.unwrap_or_else(|fault| panic!("{name}: {item:?} to {wanted}: {fault:?}"));
                assert_eq!(outcome.effect, Effect::Made, "{name}: {item:?} to {wanted}");
                let mut now = house.user(before.id);
                if readings.cleared_roles == ClearedRoles::UserRole {
                    // What Coupa itself adds is kept and reported, never taken away.
                    now.roles
                        .retain(|id| before.roles.contains(id) || role(*id) == item);
                }
                assert!(
                    same_access(&now, &with(&before, &item, wanted)),
                    "{name}: {item:?} to {wanted}"
                );
                let again = if wanted {
                    house.grant(before.id, &item).await
                } else {
                    house.revoke(before.id, &item).await
                };
                assert_eq!(
                    again.unwrap().effect,
                    Effect::AlreadySo,
                    "{name}: {item:?} to {wanted}"
                );
            }
        }
        assert!(house.open_entries().is_empty(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_coupa_accepts_and_does_not_change_is_said() {
    let readings = Readings {
        sticky_off: vec!["contracts-user".to_owned()],
        sticky_always: vec![LICENSE.to_owned()],
        active_write: Heed::Ignored,
        ..Readings::default()
    };
    let house = House::with(readings, 120).await;
    let holder = |name: &str, held: bool| {
        let holds = move |user: &TruthUser| user.licenses.iter().any(|known| known == name) == held;
        house.people().into_iter().find(holds).unwrap()
    };
    let (sticks, locked) = (license("contracts-user"), license(LICENSE));
    let unchanged = [
        (holder("contracts-user", true), sticks.clone(), false),
        (holder(LICENSE, true), locked.clone(), false),
        (holder(LICENSE, false), locked, true),
    ];
    for (user, item, wanted) in unchanged {
        let outcome = if wanted {
            house.grant(user.id, &item).await
        } else {
            house.revoke(user.id, &item).await
        };
        let fault = outcome.unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::Unchanged, "{item:?}: {fault:?}");
        assert!(same_access(&house.user(user.id), &user));
    }
    // Giving it works: only taking it does not.
    let user = holder("contracts-user", false);
    assert_eq!(house.grant(user.id, &sticks).await.unwrap().effect, Effect::Made);
    let change = Change::SetActive {
        user: user_id(user.id),
        to: Activity::Inactive,
    };
    assert_eq!(
        *house.apply(&change).await.unwrap_err().kind(),
        FaultKind::Unchanged
    );
    assert!(house.user(user.id).active);

    house.sandbox.clear_log();
    let read_only = license("category-strategy-user");
    let user = holder("category-strategy-user", false);
    house.grant(user.id, &read_only).await.unwrap_err();
    assert_eq!(
        house.writes(),
        0,
        "a read-only license is refused before anything is sent"
    );
    assert!(house.open_entries().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_license_is_written_in_the_spelling_the_tenant_takes() {
    for key_in in [KeyIn::Both, KeyIn::Dashed, KeyIn::Underscored] {
        let house = House::with(
            Readings {
                key_in,
                ..Readings::default()
            },
            60,
        )
        .await;
        let item = license("treasury-user");
        let user = house
            .people()
            .into_iter()
            .find(|user| !holds(user, &item))
            .unwrap();
        assert_eq!(
            house.grant(user.id, &item).await.unwrap().effect,
            Effect::Made,
            "{key_in:?}"
        );
        assert!(same_access(&house.user(user.id), &with(&user, &item, true)));
        assert_eq!(
            house.revoke(user.id, &item).await.unwrap().effect,
            Effect::Made,
            "{key_in:?}"
        );
        assert!(same_access(&house.user(user.id), &user));
    }
}
