//! Every uncertain reading of Coupa's documents: a grant and a revoke of each kind end as wanted and nothing else moves.

use baton_coupa::model::access::Item;
use baton_coupa::model::change::Effect;
use baton_coupa::sandbox::{
    Clear, ClearedRoles, ListWrite, MembershipDelete, PerList, Readings, Visibility, WriteReply,
};

use super::house::{House, LICENSE, group, holds, license, role, same_access, with};

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
