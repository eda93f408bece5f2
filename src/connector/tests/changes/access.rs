//! Grant and Revoke.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

#[tokio::test]
async fn a_grant_is_told_as_a_later_listing_tells_it() {
    let (connector, writes) = setup();
    let user = without_role(&writes, 4);
    let answer = connector
        .grant(&order(), &grant_of(&role_item(4), user))
        .await
        .unwrap();
    assert!(answer.annotations.is_empty());
    let (listed, _) = all_grants(&connector, &[0], |size, token| grants("role", "4", size, token)).await;
    let own = listed.iter().find(|row| row.id == answer.grants[0].id).unwrap();
    assert_eq!(own.encode_to_vec(), answer.grants[0].encode_to_vec());

    writes.ends(Effect::AlreadySo);
    let again = connector
        .grant(&order(), &grant_of(&role_item(4), user))
        .await
        .unwrap();
    assert!(is::<c1::GrantAlreadyExists>(&again.annotations[0]));
    assert_eq!(bytes(&again.grants), bytes(&answer.grants));
    let (orders, changes): (Vec<_>, Vec<_>) = writes.asked.lock().unwrap().iter().cloned().unzip();
    assert_eq!(
        orders,
        [order(), order()],
        "the caller's name of the request is handed on"
    );
    let wanted = Change::Grant {
        user: user_id(user),
        item: role_item(4),
    };
    assert_eq!(changes, [wanted.clone(), wanted]);
}

#[tokio::test]
async fn a_revoke_is_a_success_where_nothing_is_held() {
    let (connector, writes) = setup();
    let revoke = async |item: &Item| connector.revoke(&order(), &revoke_of(item, 5)).await;
    assert!(revoke(&role_item(1)).await.unwrap().annotations.is_empty());
    writes.ends(Effect::AlreadySo);
    let again = revoke(&role_item(1)).await.unwrap();
    assert!(is::<c1::GrantAlreadyRevoked>(&again.annotations[0]));

    writes.fails(FaultKind::NotFound);
    for item in [
        role_item(1),
        group_item(1),
        Item::License(LICENSES[0].parse().unwrap()),
    ] {
        let gone = revoke(&item).await.unwrap();
        assert!(is::<c1::GrantAlreadyRevoked>(&gone.annotations[0]), "{item:?}");
    }
    let unseen = Item::License("unheard-of-user".parse().unwrap());
    assert_eq!(
        kind_of(revoke(&unseen).await),
        FaultKind::NotFound,
        "what the tenant does not show may be held"
    );
    assert_eq!(
        kind_of(connector.grant(&order(), &grant_of(&role_item(1), 5)).await),
        FaultKind::NotFound
    );
}

#[tokio::test]
async fn faults_of_a_change_pass_as_they_are() {
    let (connector, writes) = setup();
    for kind in [
        FaultKind::Declined,
        FaultKind::Unchanged,
        FaultKind::Unavailable,
        FaultKind::Conflict,
    ] {
        writes.fails(kind.clone());
        assert_eq!(
            kind_of(connector.grant(&order(), &grant_of(&role_item(1), 5)).await),
            kind
        );
        assert_eq!(
            kind_of(connector.revoke(&order(), &revoke_of(&role_item(1), 5)).await),
            kind
        );
        assert_eq!(
            kind_of(connector.create_account(&order(), &account([])).await),
            kind
        );
        assert_eq!(
            kind_of(connector.validate().await),
            kind,
            "the tenant for changes is checked, too"
        );
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_grant_is_found_before_anything_is_asked() {
    let (connector, writes) = setup();
    let mut to_group = grant_of(&role_item(1), 1);
    to_group.principal = Some(stub(of("group", "1")));
    let mut contradicting = grant_of(&role_item(1), 1);
    contradicting.entitlement.as_mut().unwrap().resource = Some(stub(of("role", "2")));
    for request in [to_group, contradicting] {
        assert_eq!(
            kind_of(connector.grant(&order(), &request).await),
            FaultKind::Invalid
        );
    }
    let mut of_user = grant_of(&role_item(1), 1);
    of_user.entitlement.as_mut().unwrap().id = "user:1:member".to_owned();
    assert_eq!(
        kind_of(connector.grant(&order(), &of_user).await),
        FaultKind::Unsupported
    );
    assert!(writes.asked().is_empty());
}
