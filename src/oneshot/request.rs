//! From a task and the rows it names to the request that the connector gets.

use crate::c1z::LastSync;
use crate::model::fault::{Fault, FaultKind};
use crate::oneshot::object::to_struct;
use crate::oneshot::task::{Account, Action, ResourceName};
use crate::proto::connector as c1;
use crate::proto::connector::credential_options::{NoPassword, Options};
use crate::proto::is;

/// Grants an entitlement of the file to a principal of the file.
pub(super) fn grant(
    last: &LastSync,
    entitlement: &str,
    principal: &ResourceName,
) -> Result<c1::GrantManagerServiceGrantRequest, Fault> {
    let entitlement = whole_entitlement(last, entitlement)?;
    let principal = last.resource(&resource_id(principal))?.ok_or_else(|| {
        missing(
            "principal",
            "--grant-principal-type and --grant-principal name a resource, for instance user and 42",
        )
    })?;
    Ok(c1::GrantManagerServiceGrantRequest {
        entitlement: Some(entitlement),
        principal: Some(principal),
        annotations: Vec::new(),
    })
}

/// Revokes a grant of the file; its annotations go along.
pub(super) fn revoke(last: &LastSync, grant: &str) -> Result<c1::GrantManagerServiceRevokeRequest, Fault> {
    let mut grant = last
        .grant(grant)?
        .ok_or_else(|| missing("grant", "a grant is named like role:12:member:user:42"))?;
    let entitlement = grant.entitlement.take().unwrap_or_default();
    grant.entitlement = Some(whole_entitlement(last, &entitlement.id)?);
    let principal = grant.principal.take().and_then(|principal| principal.id);
    grant.principal = match principal {
        Some(id) => last.resource(&id)?,
        None => None,
    };
    if grant.principal.is_none() {
        return Err(missing(
            "principal of the grant",
            "the file names it without telling who it is",
        ));
    }
    Ok(c1::GrantManagerServiceRevokeRequest {
        grant: Some(grant),
        annotations: Vec::new(),
    })
}

/// The entitlement with the resource it is on, as listed.
fn whole_entitlement(last: &LastSync, id: &str) -> Result<c1::Entitlement, Fault> {
    let mut entitlement = last
        .entitlement(id)?
        .ok_or_else(|| missing("entitlement", "an entitlement is named like role:12:member"))?;
    let on = entitlement.resource.take().and_then(|resource| resource.id);
    let resource = match on {
        Some(id) => last.resource(&id)?,
        None => None,
    };
    let resource = resource.ok_or_else(|| {
        missing(
            "resource of the entitlement",
            "the file names it without telling what it is",
        )
    })?;
    if resource.annotations.iter().any(is::<c1::BatonId>) {
        return Err(Fault::new(
            FaultKind::Refused,
            "cannot grant or revoke an entitlement on an external resource",
        )
        .advise("change it through the connector it comes from"));
    }
    entitlement.resource = Some(resource);
    Ok(entitlement)
}

/// Makes an account without a password: Coupa sends the person an invitation, or single sign-on lets them in.
pub(super) fn create_account(account: &Account) -> c1::CreateAccountRequest {
    let email = (!account.email.is_empty()).then(|| c1::account_info::Email {
        address: account.email.clone(),
        is_primary: true,
    });
    c1::CreateAccountRequest {
        account_info: Some(c1::AccountInfo {
            emails: email.into_iter().collect(),
            login: account.login.clone(),
            login_aliases: Vec::new(),
            profile: Some(to_struct(&account.profile)),
        }),
        credential_options: Some(c1::CredentialOptions {
            options: Some(Options::NoPassword(NoPassword {})),
            ..c1::CredentialOptions::default()
        }),
        encryption_configs: Vec::new(),
        resource_type_id: account.resource_type.clone(),
    }
}

/// Deletes a resource.
pub(super) fn delete_resource(resource: &ResourceName) -> c1::DeleteResourceRequest {
    c1::DeleteResourceRequest {
        resource_id: Some(resource_id(resource)),
        parent_resource_id: None,
    }
}

/// Starts an action.
pub(super) fn invoke_action(action: &Action) -> c1::InvokeActionRequest {
    c1::InvokeActionRequest {
        name: action.name.clone(),
        args: Some(to_struct(&action.args)),
        resource_type_id: action.resource_type.clone(),
        ..c1::InvokeActionRequest::default()
    }
}

fn resource_id(name: &ResourceName) -> c1::ResourceId {
    c1::ResourceId {
        resource_type: name.kind.clone(),
        resource: name.id.clone(),
        ..c1::ResourceId::default()
    }
}

/// What was asked for is not repeated: a name may have been typed where an id belongs.
fn missing(what: &str, form: &str) -> Fault {
    Fault::new(
        FaultKind::NotFound,
        format!("the last sync in the file has no such {what}"),
    )
    .advise(format!("{form}; run a sync first if it is new in Coupa"))
}
