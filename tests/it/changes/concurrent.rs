//! Many changes at once over gRPC: some order of the accepted answers explains what is left.

use std::collections::BTreeMap;
use std::sync::Arc;

use baton_coupa::connector::{Connector, ConnectorConfig};
use baton_coupa::proto::connector as c1;
use baton_coupa::proto::connector::grant_manager_service_client::GrantManagerServiceClient;
use baton_coupa::proto::is;
use baton_coupa::sandbox::{ListWrite, PerList, Readings};
use baton_coupa::server::{Server, ServerConfig, ServerOptions};
use futures::future;
use tokio_util::sync::CancellationToken;

use super::cast;
use super::house::{House, LICENSE, group, holds, license, role};
use crate::support::tenant;

/// A grant or a revoke over gRPC; whether it changed anything.
async fn ask(
    client: &mut GrantManagerServiceClient<tonic::transport::Channel>,
    grant: bool,
    entitlement: &str,
    user: u64,
) -> Result<bool, tonic::Status> {
    let (kind, rest) = entitlement.split_once(':').unwrap();
    let (id, _) = rest.rsplit_once(':').unwrap();
    let resource = |kind: &str, id: &str| c1::Resource {
        id: Some(c1::ResourceId {
            resource_type: kind.to_owned(),
            resource: id.to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let principal = resource("user", &user.to_string());
    let entitlement = c1::Entitlement {
        id: entitlement.to_owned(),
        resource: Some(resource(kind, id)),
        ..Default::default()
    };
    if grant {
        let request = c1::GrantManagerServiceGrantRequest {
            entitlement: Some(entitlement),
            principal: Some(principal),
            ..Default::default()
        };
        let response = client.grant(request).await?.into_inner();
        Ok(!response.annotations.iter().any(is::<c1::GrantAlreadyExists>))
    } else {
        let request = c1::GrantManagerServiceRevokeRequest {
            grant: Some(c1::Grant {
                id: "unknown".to_owned(),
                entitlement: Some(entitlement),
                principal: Some(principal),
                ..Default::default()
            }),
            ..Default::default()
        };
        let response = client.revoke(request).await?.into_inner();
        Ok(!response.annotations.iter().any(is::<c1::GrantAlreadyRevoked>))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_changes_at_once_over_five_users_have_an_order_that_explains_the_end() {
    for write in [ListWrite::Add, ListWrite::Replace] {
        let readings = Readings {
            list_write: PerList {
                roles: write,
                user_groups: write,
            },
            ..Readings::default()
        };
        let house = House::with(readings, 200).await;
        let connector = Connector::new(
            Arc::new(baton_coupa::coupa::Coupa::new(tenant::client(&house.sandbox)).unwrap()),
            Arc::new(tenant::Remembered::default()),
            None,
            ConnectorConfig::default(),
        )
        .with_writes(house.provision.clone());
        let config = ServerConfig::new(ServerOptions::at("127.0.0.1:0".parse().unwrap())).unwrap();
        let bound = Server::bind(config, Arc::new(connector)).await.unwrap();
        let address = bound.local_addr();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(bound.run(stop.clone()));
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
        let channel = endpoint.connect().await.unwrap();

        let people: Vec<_> = house.people().into_iter().take(5).collect();
        let mut orders = Vec::new();
        for user in &people {
            let items = [
                house.other_role(user),
                role(user.roles[0]),
                house.other_group(user),
                group(user.groups[0]),
                license(LICENSE),
            ];
            for item in items {
                // Against each other, on the same item.
                orders.push((user.id, item.clone(), true));
                orders.push((user.id, item, false));
            }
        }
        assert_eq!(orders.len(), 50);
        let asked = orders.iter().map(|(user, item, grant)| {
            let mut client = GrantManagerServiceClient::new(channel.clone());
            let entitlement = cast::entitlement(item);
            async move { ask(&mut client, *grant, &entitlement, *user).await }
        });
        let answers = future::join_all(asked).await;

        // Each accepted change flips what is held; so many flips up, so many down.
        let mut balance: BTreeMap<(u64, String), i32> = BTreeMap::new();
        for ((user, item, grant), answer) in orders.iter().zip(answers) {
            let flipped = answer.unwrap_or_else(|status| panic!("{item:?} of {user}: {status:?}"));
            let by = match (flipped, grant) {
                (false, _) => 0,
                (true, true) => 1,
                (true, false) => -1,
            };
            *balance.entry((*user, format!("{item:?}"))).or_default() += by;
        }
        for (user, item, _) in &orders {
            let before = people.iter().find(|known| known.id == *user).unwrap();
            let end = i32::from(holds(before, item)) + balance[&(*user, format!("{item:?}"))];
            assert_eq!(
                end,
                i32::from(holds(&house.user(*user), item)),
                "{write:?}: {item:?} of user {user}"
            );
        }
        for user in &people {
            let now = house.user(user.id);
            let touched = |id: &u64| orders.iter().any(|(_, item, _)| *item == role(*id));
            assert!(
                user.roles.iter().all(|id| now.roles.contains(id) || touched(id)),
                "a role that nobody asked about is gone"
            );
        }
        assert!(house.open_entries().is_empty());
        stop.cancel();
        serving.await.unwrap().unwrap();
    }
}
