//! What must be true of a request before the connector sees it: the rules that Go servers enforce by generated
//! validators (messages.tsv, rule column).
//!
//! Invariant: pure; answers `Invalid` and names the field, never its value.

use std::time::Duration;

use crate::model::fault::Fault;
use crate::proto::connector as c1;

/// Rows a caller may ask for in one page.
const PAGE_SIZE: u32 = 250;
/// Bytes of a page token.
const PAGE_TOKEN: usize = 1024 * 1024;
/// Bytes of any id.
const ID: usize = 1024;
/// Seconds that a caller may ask an action to be waited for.
const INLINE_WAIT: u64 = 86_400;

/// A request that can be judged by itself.
pub(super) trait Checked {
    /// The sync it belongs to, as the caller names it; `None` for a change.
    fn sync_id(&self) -> Option<&str> {
        None
    }

    /// Whether it is well formed.
    fn check(&self) -> Result<(), Fault>;
}

fn page(size: u32, token: &str) -> Result<(), Fault> {
    if size > PAGE_SIZE {
        return Err(Fault::invalid(format!("page_size is above {PAGE_SIZE}")));
    }
    if token.len() > PAGE_TOKEN {
        return Err(Fault::invalid(format!(
            "page_token is longer than {PAGE_TOKEN} bytes"
        )));
    }
    Ok(())
}

fn id(field: &str, value: &str) -> Result<(), Fault> {
    if value.is_empty() {
        return Err(Fault::invalid(format!("{field} is missing")));
    }
    not_longer(field, value)
}

fn not_longer(field: &str, value: &str) -> Result<(), Fault> {
    if value.len() > ID {
        return Err(Fault::invalid(format!("{field} is longer than {ID} bytes")));
    }
    Ok(())
}

fn sync(value: &str) -> Result<(), Fault> {
    not_longer("active_sync_id", value)
}

fn resource_id(field: &str, value: Option<&c1::ResourceId>) -> Result<(), Fault> {
    let Some(value) = value else {
        return Err(Fault::invalid(format!("{field} is missing")));
    };
    id(&format!("{field}.resource_type"), &value.resource_type)?;
    id(&format!("{field}.resource"), &value.resource)
}

fn parent(value: Option<&c1::ResourceId>) -> Result<(), Fault> {
    match value {
        None => Ok(()),
        some => resource_id("parent_resource_id", some),
    }
}

fn resource(value: Option<&c1::Resource>) -> Result<(), Fault> {
    let Some(value) = value else {
        return Err(Fault::invalid("resource is missing"));
    };
    resource_id("resource.id", value.id.as_ref())
}

/// A resource whose id may be missing; if it is there, it is complete.
fn stub(field: &str, value: Option<&c1::Resource>) -> Result<(), Fault> {
    match value.and_then(|value| value.id.as_ref()) {
        None => Ok(()),
        some => resource_id(&format!("{field}.id"), some),
    }
}

/// Ids suffice to know an entitlement; one of them must be there.
fn entitlement(field: &str, value: &c1::Entitlement) -> Result<(), Fault> {
    not_longer(&format!("{field}.id"), &value.id)?;
    stub(&format!("{field}.resource"), value.resource.as_ref())
}

impl Checked for c1::GrantManagerServiceGrantRequest {
    fn check(&self) -> Result<(), Fault> {
        let Some(asked) = &self.entitlement else {
            return Err(Fault::invalid("entitlement is missing"));
        };
        entitlement("entitlement", asked)?;
        let principal = self.principal.as_ref();
        resource_id(
            "principal.id",
            principal.and_then(|principal| principal.id.as_ref()),
        )
    }
}

impl Checked for c1::GrantManagerServiceRevokeRequest {
    fn check(&self) -> Result<(), Fault> {
        let Some(grant) = &self.grant else {
            return Err(Fault::invalid("grant is missing"));
        };
        if let Some(asked) = &grant.entitlement {
            entitlement("grant.entitlement", asked)?;
        }
        stub("grant.principal", grant.principal.as_ref())?;
        not_longer("grant.id", &grant.id)
    }
}

impl Checked for c1::DeleteResourceRequest {
    fn check(&self) -> Result<(), Fault> {
        resource_id("resource_id", self.resource_id.as_ref())
    }
}

impl Checked for c1::DeleteResourceV2Request {
    fn check(&self) -> Result<(), Fault> {
        resource_id("resource_id", self.resource_id.as_ref())
    }
}

impl Checked for c1::CreateAccountRequest {
    fn check(&self) -> Result<(), Fault> {
        not_longer("resource_type_id", &self.resource_type_id)?;
        if self.account_info.is_none() {
            return Err(Fault::invalid("account_info is missing"));
        }
        Ok(())
    }
}

impl Checked for c1::InvokeActionRequest {
    fn check(&self) -> Result<(), Fault> {
        let Some(wait) = &self.inline_wait else {
            return Ok(());
        };
        let within = |wait: Duration| wait <= Duration::from_secs(INLINE_WAIT);
        if Duration::try_from(*wait).is_ok_and(within) {
            return Ok(());
        }
        Err(Fault::invalid(format!(
            "inline_wait is not between 0 s and {INLINE_WAIT} s"
        )))
    }
}

impl Checked for c1::ConnectorServiceCleanupRequest {
    fn sync_id(&self) -> Option<&str> {
        Some(&self.active_sync_id)
    }

    fn check(&self) -> Result<(), Fault> {
        sync(&self.active_sync_id)
    }
}

impl Checked for c1::ResourceTypesServiceListResourceTypesRequest {
    fn sync_id(&self) -> Option<&str> {
        Some(&self.active_sync_id)
    }

    fn check(&self) -> Result<(), Fault> {
        page(self.page_size, &self.page_token)?;
        sync(&self.active_sync_id)
    }
}

impl Checked for c1::ResourcesServiceListResourcesRequest {
    fn sync_id(&self) -> Option<&str> {
        Some(&self.active_sync_id)
    }

    fn check(&self) -> Result<(), Fault> {
        id("resource_type_id", &self.resource_type_id)?;
        parent(self.parent_resource_id.as_ref())?;
        page(self.page_size, &self.page_token)?;
        sync(&self.active_sync_id)
    }
}

impl Checked for c1::ResourceGetterServiceGetResourceRequest {
    fn sync_id(&self) -> Option<&str> {
        Some(&self.active_sync_id)
    }

    fn check(&self) -> Result<(), Fault> {
        resource_id("resource_id", self.resource_id.as_ref())?;
        parent(self.parent_resource_id.as_ref())?;
        sync(&self.active_sync_id)
    }
}

impl Checked for c1::EntitlementsServiceListEntitlementsRequest {
    fn sync_id(&self) -> Option<&str> {
        Some(&self.active_sync_id)
    }

    fn check(&self) -> Result<(), Fault> {
        resource(self.resource.as_ref())?;
        page(self.page_size, &self.page_token)?;
        sync(&self.active_sync_id)
    }
}

impl Checked for c1::EntitlementsServiceListStaticEntitlementsRequest {
    fn sync_id(&self) -> Option<&str> {
        Some(&self.active_sync_id)
    }

    fn check(&self) -> Result<(), Fault> {
        id("resource_type_id", &self.resource_type_id)?;
        page(self.page_size, &self.page_token)?;
        sync(&self.active_sync_id)
    }
}

impl Checked for c1::GrantsServiceListGrantsRequest {
    fn sync_id(&self) -> Option<&str> {
        Some(&self.active_sync_id)
    }

    fn check(&self) -> Result<(), Fault> {
        resource(self.resource.as_ref())?;
        page(self.page_size, &self.page_token)?;
        sync(&self.active_sync_id)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::fault::FaultKind;

    fn refused(request: &impl Checked) -> String {
        let fault = request.check().unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::Invalid);
        fault.message().to_owned()
    }

    fn grants() -> c1::GrantsServiceListGrantsRequest {
        c1::GrantsServiceListGrantsRequest {
            resource: Some(c1::Resource {
                id: Some(c1::ResourceId {
                    resource_type: "role".into(),
                    resource: "1".into(),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            page_size: PAGE_SIZE,
            ..Default::default()
        }
    }

    #[test]
    fn a_good_request_passes() {
        grants().check().unwrap();
        c1::ResourceTypesServiceListResourceTypesRequest::default()
            .check()
            .unwrap();
    }

    #[test]
    fn what_is_wrong_is_named() {
        let mut request = grants();
        request.page_size += 1;
        assert!(refused(&request).contains("page_size"));
        let mut request = grants();
        request.page_token = "x".repeat(PAGE_TOKEN + 1);
        assert!(refused(&request).contains("page_token"));
        let mut request = grants();
        request.active_sync_id = "x".repeat(ID + 1);
        assert!(refused(&request).contains("active_sync_id"));
        let mut request = grants();
        request.resource = None;
        assert!(refused(&request).contains("resource is missing"));
        request.resource = Some(c1::Resource::default());
        assert!(refused(&request).contains("resource.id is missing"));
        let half = c1::ResourceGetterServiceGetResourceRequest {
            resource_id: Some(c1::ResourceId {
                resource_type: "user".into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        assert!(refused(&half).contains("resource_id.resource is missing"));
        let untyped = c1::ResourcesServiceListResourcesRequest::default();
        assert!(refused(&untyped).contains("resource_type_id"));
        let orphan = c1::ResourcesServiceListResourcesRequest {
            resource_type_id: "user".into(),
            parent_resource_id: Some(c1::ResourceId::default()),
            ..Default::default()
        };
        assert!(refused(&orphan).contains("parent_resource_id"));
    }

    fn entitlement_by_id() -> c1::Entitlement {
        c1::Entitlement {
            id: "role:1:member".into(),
            ..Default::default()
        }
    }

    #[test]
    fn ids_suffice_for_a_change() {
        let request = c1::GrantManagerServiceGrantRequest {
            entitlement: Some(entitlement_by_id()),
            principal: grants().resource,
            ..Default::default()
        };
        request.check().unwrap();
        let revoke = |grant| c1::GrantManagerServiceRevokeRequest {
            grant: Some(grant),
            ..Default::default()
        };
        let by_id = c1::Grant {
            id: "🧸_UNKNOWN_GRANT_ID".into(),
            ..Default::default()
        };
        revoke(by_id).check().unwrap();
        let bare = c1::Grant {
            principal: Some(c1::Resource::default()),
            ..Default::default()
        };
        revoke(bare).check().unwrap();
    }

    #[test]
    fn what_is_wrong_in_a_change_is_named() {
        let mut grant = c1::GrantManagerServiceGrantRequest::default();
        assert!(refused(&grant).contains("entitlement is missing"));
        grant.entitlement = Some(entitlement_by_id());
        assert!(refused(&grant).contains("principal.id is missing"));
        grant.principal = Some(c1::Resource::default());
        assert!(refused(&grant).contains("principal.id is missing"));
        grant.entitlement.as_mut().unwrap().resource = Some(c1::Resource {
            id: Some(c1::ResourceId::default()),
            ..Default::default()
        });
        assert!(refused(&grant).contains("entitlement.resource.id.resource_type"));
        grant.entitlement.as_mut().unwrap().id = "x".repeat(ID + 1);
        assert!(refused(&grant).contains("entitlement.id is longer"));
        assert!(refused(&c1::GrantManagerServiceRevokeRequest::default()).contains("grant"));
        assert!(refused(&c1::DeleteResourceRequest::default()).contains("resource_id"));
        assert!(refused(&c1::DeleteResourceV2Request::default()).contains("resource_id"));
        assert!(refused(&c1::CreateAccountRequest::default()).contains("account_info"));
        for seconds in [-1, 86_401] {
            let invoke = c1::InvokeActionRequest {
                inline_wait: Some(prost_types::Duration { seconds, nanos: 0 }),
                ..Default::default()
            };
            assert!(refused(&invoke).contains("inline_wait"), "{seconds}");
        }
        c1::InvokeActionRequest::default().check().unwrap();
    }
}
