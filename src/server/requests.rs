//! What must be true of a request before the connector sees it: the rules that Go servers enforce by generated
//! validators (messages.tsv, rule column).
//!
//! Invariant: pure; answers `Invalid` and names the field, never its value.

use crate::model::fault::Fault;
use crate::proto::connector as c1;

/// Rows a caller may ask for in one page.
const PAGE_SIZE: u32 = 250;
/// Bytes of a page token.
const PAGE_TOKEN: usize = 1024 * 1024;
/// Bytes of any id.
const ID: usize = 1024;

/// A request that can be judged by itself.
pub(super) trait Checked {
    /// The sync it belongs to, as the caller names it.
    fn sync_id(&self) -> &str;

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

impl Checked for c1::ConnectorServiceCleanupRequest {
    fn sync_id(&self) -> &str {
        &self.active_sync_id
    }

    fn check(&self) -> Result<(), Fault> {
        sync(&self.active_sync_id)
    }
}

impl Checked for c1::ResourceTypesServiceListResourceTypesRequest {
    fn sync_id(&self) -> &str {
        &self.active_sync_id
    }

    fn check(&self) -> Result<(), Fault> {
        page(self.page_size, &self.page_token)?;
        sync(&self.active_sync_id)
    }
}

impl Checked for c1::ResourcesServiceListResourcesRequest {
    fn sync_id(&self) -> &str {
        &self.active_sync_id
    }

    fn check(&self) -> Result<(), Fault> {
        id("resource_type_id", &self.resource_type_id)?;
        parent(self.parent_resource_id.as_ref())?;
        page(self.page_size, &self.page_token)?;
        sync(&self.active_sync_id)
    }
}

impl Checked for c1::ResourceGetterServiceGetResourceRequest {
    fn sync_id(&self) -> &str {
        &self.active_sync_id
    }

    fn check(&self) -> Result<(), Fault> {
        resource_id("resource_id", self.resource_id.as_ref())?;
        parent(self.parent_resource_id.as_ref())?;
        sync(&self.active_sync_id)
    }
}

impl Checked for c1::EntitlementsServiceListEntitlementsRequest {
    fn sync_id(&self) -> &str {
        &self.active_sync_id
    }

    fn check(&self) -> Result<(), Fault> {
        resource(self.resource.as_ref())?;
        page(self.page_size, &self.page_token)?;
        sync(&self.active_sync_id)
    }
}

impl Checked for c1::EntitlementsServiceListStaticEntitlementsRequest {
    fn sync_id(&self) -> &str {
        &self.active_sync_id
    }

    fn check(&self) -> Result<(), Fault> {
        id("resource_type_id", &self.resource_type_id)?;
        page(self.page_size, &self.page_token)?;
        sync(&self.active_sync_id)
    }
}

impl Checked for c1::GrantsServiceListGrantsRequest {
    fn sync_id(&self) -> &str {
        &self.active_sync_id
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
}
