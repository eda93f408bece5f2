//! Grant and Revoke.
//!
//! Invariant: entitlement and principal are known by their ids alone; parents, names and the id of a grant may be missing or
//! unknown. Ids that contradict each other are refused. A grant that is answered is built as a listing builds it.

use super::super::grants::grant;
use super::super::kind::{Key, Kind};
use super::super::{Connector, in_time, missing, slug};
use super::{unsupported, user_id};
use crate::model::access::Item;
use crate::model::change::{Change, Effect, Order};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::UserId;
use crate::proto::connector as c1;
use crate::proto::pack;

impl Connector {
    /// Gives an item to a user. `NotFound` where either is unknown to Coupa.
    pub async fn grant(
        &self,
        order: &Order,
        request: &c1::GrantManagerServiceGrantRequest,
    ) -> Result<c1::GrantManagerServiceGrantResponse, Fault> {
        self.provisioning()?;
        let item = item_of(request.entitlement.as_ref())?.ok_or_else(|| missing("entitlement"))?;
        let user = user_of(request.principal.as_ref())?.ok_or_else(|| missing("principal"))?;
        let change = Change::Grant {
            user,
            item: item.clone(),
        };
        let outcome = self.apply(order, &change).await?;
        let mut annotations = match outcome.effect {
            Effect::AlreadySo | Effect::Existed => vec![pack(&c1::GrantAlreadyExists {})],
            Effect::Made | Effect::Reactivated => Vec::new(),
        };
        let mut granted = grant(&item, user);
        let told = self.told_downstream(&outcome);
        granted.annotations.extend(told.clone());
        annotations.extend(told);
        Ok(c1::GrantManagerServiceGrantResponse {
            annotations,
            grants: vec![granted],
        })
    }

    /// Takes an item from a user. Who or what is gone holds nothing, so that is a success.
    pub async fn revoke(
        &self,
        order: &Order,
        request: &c1::GrantManagerServiceRevokeRequest,
    ) -> Result<c1::GrantManagerServiceRevokeResponse, Fault> {
        self.provisioning()?;
        let (item, user) = held(request.grant.as_ref().ok_or_else(|| missing("grant"))?)?;
        let change = Change::Revoke {
            user,
            item: item.clone(),
        };
        let (revoked, told) = match self.apply(order, &change).await {
            Ok(outcome) => (outcome.effect == Effect::Made, self.told_downstream(&outcome)),
            Err(fault) if *fault.kind() == FaultKind::NotFound && self.shows(&item).await? => (false, None),
            Err(fault) => return Err(fault),
        };
        let mut annotations = if revoked {
            Vec::new()
        } else {
            vec![pack(&c1::GrantAlreadyRevoked {})]
        };
        annotations.extend(told);
        Ok(c1::GrantManagerServiceRevokeResponse { annotations })
    }

    /// Whether the tenant would show the item if somebody held it. A license that it does not show may be held all the same.
    async fn shows(&self, item: &Item) -> Result<bool, Fault> {
        let Item::License(name) = item else {
            return Ok(true);
        };
        let fresh = in_time(self.deadline(), self.snapshots.fresh()).await?;
        Ok(fresh.reader.survey().licenses.position(name).is_some())
    }
}

/// Who holds what by a grant: its entitlement and principal, or what its id says where one of them is missing.
fn held(grant: &c1::Grant) -> Result<(Item, UserId), Fault> {
    let item = item_of(grant.entitlement.as_ref())?;
    let user = user_of(grant.principal.as_ref())?;
    if let (Some(item), Some(user)) = (&item, user) {
        return Ok((item.clone(), user));
    }
    let (by_id, user_by_id) = parts_of(&grant.id)?;
    let item = one("grant", item, Some(by_id))?;
    let user = one("grant", user, Some(user_by_id))?;
    item.zip(user).ok_or_else(|| missing("grant"))
}

/// Parts of a grant's id: `entitlement:user:id`.
fn parts_of(grant: &str) -> Result<(Item, UserId), Fault> {
    let odd = || {
        Fault::invalid("the grant names neither entitlement and principal nor an id to know them by")
            .advise("an id has the form type:resource:slug:user:id")
    };
    let (rest, user) = grant.rsplit_once(':').ok_or_else(odd)?;
    let (entitlement, kind) = rest.rsplit_once(':').ok_or_else(odd)?;
    Ok((item_of_id(entitlement)?, user_of_ids(kind, user)?))
}

/// The item of an entitlement: by its id, by its resource, or by both if they agree.
fn item_of(entitlement: Option<&c1::Entitlement>) -> Result<Option<Item>, Fault> {
    let Some(entitlement) = entitlement else {
        return Ok(None);
    };
    let by_id = match entitlement.id.as_str() {
        "" => None,
        id => Some(item_of_id(id)?),
    };
    let resource = entitlement
        .resource
        .as_ref()
        .and_then(|resource| resource.id.as_ref());
    let by_resource = resource
        .map(|id| item_of_ids(&id.resource_type, &id.resource))
        .transpose()?;
    one("entitlement", by_id, by_resource)
}

/// The item of an entitlement's id: `type:resource:slug`.
fn item_of_id(id: &str) -> Result<Item, Fault> {
    let parts: Vec<&str> = id.split(':').collect();
    let [kind, resource, given] = parts[..] else {
        return Err(Fault::invalid(
            "the id of the entitlement is not of the form type:resource:slug",
        ));
    };
    let item = item_of_ids(kind, resource)?;
    if given != slug(&item) {
        let own = slug(&item);
        return Err(Fault::invalid("there is no such entitlement")
            .advise(format!("the entitlement of a {kind} ends in :{own}")));
    }
    Ok(item)
}

fn item_of_ids(kind: &str, id: &str) -> Result<Item, Fault> {
    let held = Kind::parse(kind).filter(|kind| kind.item().is_some());
    let kind = held.ok_or_else(|| {
        unsupported("resources of this type cannot be granted or revoked")
            .advise("types that can are group, license and role")
    })?;
    match kind.key(id)? {
        Key::Item(item) => Ok(item),
        Key::User(_) => Err(Fault::internal("the id of an item was read as that of a user")),
    }
}

fn user_of(principal: Option<&c1::Resource>) -> Result<Option<UserId>, Fault> {
    let id = principal.and_then(|principal| principal.id.as_ref());
    id.map(|id| user_of_ids(&id.resource_type, &id.resource))
        .transpose()
}

fn user_of_ids(kind: &str, id: &str) -> Result<UserId, Fault> {
    if Kind::parse(kind) != Some(Kind::User) {
        return Err(Fault::invalid("the principal is not a user").advise("only users hold anything in Coupa"));
    }
    user_id(id)
}

/// What is said in two places, if the places agree.
fn one<T: PartialEq>(what: &str, first: Option<T>, second: Option<T>) -> Result<Option<T>, Fault> {
    match (first, second) {
        (Some(first), Some(second)) if first != second => Err(Fault::invalid(format!(
            "the ids in the {what} contradict each other"
        ))),
        (Some(one), _) | (None, Some(one)) => Ok(Some(one)),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::super::{item_id, resource_id, stub};
    use super::*;
    use crate::snapshot::fake::{group_item, role_item};

    fn entitlement(id: &str, resource: Option<&Item>) -> c1::Entitlement {
        c1::Entitlement {
            id: id.to_owned(),
            resource: resource.map(|item| stub(item_id(item))),
            ..c1::Entitlement::default()
        }
    }

    fn kind_of<T>(result: Result<T, Fault>) -> Option<FaultKind> {
        result.err().map(|fault| fault.kind().clone())
    }

    #[test]
    fn an_entitlement_is_known_by_either_id() {
        let role = role_item(7);
        for known in [
            entitlement("role:7:member", None),
            entitlement("role:7:member", Some(&role)),
            entitlement("", Some(&role)),
        ] {
            assert_eq!(item_of(Some(&known)).unwrap(), Some(role.clone()));
        }
        let license = Item::License("risk-assess-user".parse().unwrap());
        let known = entitlement("license:risk-assess-user:assigned", None);
        assert_eq!(item_of(Some(&known)).unwrap(), Some(license));
        let bare = c1::Entitlement {
            resource: Some(c1::Resource::default()),
            ..entitlement("group:9:member", None)
        };
        assert_eq!(
            item_of(Some(&bare)).unwrap(),
            Some(group_item(9)),
            "a stub without id"
        );
        assert_eq!(item_of(Some(&entitlement("", None))).unwrap(), None);
        assert_eq!(item_of(None).unwrap(), None);
    }

    #[test]
    fn entitlements_that_are_none_are_told_apart() {
        for (id, kind) in [
            ("role:7:owner", FaultKind::Invalid),
            ("role:7:assigned", FaultKind::Invalid),
            ("license:risk-assess-user:member", FaultKind::Invalid),
            ("role:007:member", FaultKind::Invalid),
            ("role:7", FaultKind::Invalid),
            ("role:7:member:user", FaultKind::Invalid),
            ("user:7:member", FaultKind::Unsupported),
            ("device:7:member", FaultKind::Unsupported),
        ] {
            assert_eq!(kind_of(item_of(Some(&entitlement(id, None)))), Some(kind), "{id}");
        }
        let other = entitlement("role:7:member", Some(&role_item(8)));
        assert_eq!(
            kind_of(item_of(Some(&other))),
            Some(FaultKind::Invalid),
            "contradiction"
        );
    }

    #[test]
    fn a_grant_is_known_by_its_parts_and_by_its_id_only_where_one_is_missing() {
        let whole = c1::Grant {
            id: "🧸_UNKNOWN_GRANT_ID".to_owned(),
            entitlement: Some(entitlement("role:7:member", None)),
            principal: Some(stub(resource_id(Kind::User, 42))),
            ..c1::Grant::default()
        };
        let expected = (role_item(7), UserId::new(42).unwrap());
        assert_eq!(held(&whole).unwrap(), expected);
        let other_id = c1::Grant {
            id: "role:1:member:user:1".to_owned(),
            ..whole.clone()
        };
        assert_eq!(held(&other_id).unwrap(), expected, "the id does not count");

        let by_id = |entitlement, principal, id: &str| c1::Grant {
            id: id.to_owned(),
            entitlement,
            principal,
            ..c1::Grant::default()
        };
        let (own, user) = (whole.entitlement.clone(), whole.principal.clone());
        for grant in [
            by_id(None, None, "role:7:member:user:42"),
            by_id(own.clone(), None, "role:7:member:user:42"),
            by_id(None, user, "role:7:member:user:42"),
        ] {
            assert_eq!(held(&grant).unwrap(), expected);
        }
        for odd in [
            by_id(own.clone(), None, "🧸_UNKNOWN_GRANT_ID"),
            by_id(own.clone(), None, "role:8:member:user:42"),
            by_id(None, None, "role:7:member:group:42"),
            by_id(own, None, ""),
        ] {
            assert_eq!(kind_of(held(&odd)), Some(FaultKind::Invalid), "{}", odd.id);
        }
    }

    #[test]
    fn only_users_are_principals() {
        for (kind, id) in [("group", "1"), ("device", "1"), ("user", "x"), ("", "1")] {
            assert_eq!(kind_of(user_of_ids(kind, id)), Some(FaultKind::Invalid), "{kind}");
        }
    }
}
