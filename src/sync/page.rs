//! One page of any listing: the request, its repetition while the tenant is in trouble, and the answer in one shape.

use prost_types::Any;

use super::patience::{Patience, patiently};
use super::source::Source;
use crate::c1z::Rows;
use crate::model::fault::Fault;
use crate::proto::connector as c1;
use crate::proto::pack;

/// What is listed.
pub(super) enum List {
    ResourceTypes,
    Resources { kind: String },
    StaticEntitlements { kind: String },
    Entitlements(Of),
    Grants(Of),
}

/// Whose entitlements or grants.
pub(super) enum Of {
    /// Those of a whole type.
    Type(String),
    /// Those of one resource.
    Resource(Box<c1::Resource>),
}

/// One page.
pub(super) struct Page {
    pub(super) rows: Rows,
    /// Empty at the end of the chain.
    pub(super) next: String,
    pub(super) annotations: Vec<Any>,
}

impl List {
    /// What is listed, for messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::ResourceTypes => "resource types".to_owned(),
            Self::Resources { kind } => format!("resources of type {kind}"),
            Self::StaticEntitlements { kind } => format!("static entitlements of type {kind}"),
            Self::Entitlements(of) => format!("entitlements of type {}", of.kind()),
            Self::Grants(of) => format!("grants of type {}", of.kind()),
        }
    }

    /// The resource type; empty where types themselves are listed.
    pub(super) fn kind(&self) -> &str {
        match self {
            Self::ResourceTypes => "",
            Self::Resources { kind } | Self::StaticEntitlements { kind } => kind,
            Self::Entitlements(of) | Self::Grants(of) => of.kind(),
        }
    }

    /// Asks for a page, patiently.
    pub(super) async fn page(
        &self,
        source: &dyn Source,
        run_id: &str,
        token: &str,
        patience: Patience,
    ) -> Result<Page, Fault> {
        patiently(patience, || self.ask(source, run_id, token)).await
    }

    async fn ask(&self, source: &dyn Source, run_id: &str, token: &str) -> Result<Page, Fault> {
        let (page_token, active_sync_id) = (token.to_owned(), run_id.to_owned());
        // A page size of 0 leaves it to the connector, as Go's syncer does.
        match self {
            Self::ResourceTypes => {
                let request = c1::ResourceTypesServiceListResourceTypesRequest {
                    page_token,
                    active_sync_id,
                    ..Default::default()
                };
                let answer = source.resource_types(&request).await?;
                Ok(Page {
                    rows: Rows::ResourceTypes(answer.list),
                    next: answer.next_page_token,
                    annotations: answer.annotations,
                })
            }
            Self::Resources { kind } => {
                let request = c1::ResourcesServiceListResourcesRequest {
                    resource_type_id: kind.clone(),
                    page_token,
                    active_sync_id,
                    ..Default::default()
                };
                let answer = source.resources(&request).await?;
                Ok(Page {
                    rows: Rows::Resources(answer.list),
                    next: answer.next_page_token,
                    annotations: answer.annotations,
                })
            }
            Self::StaticEntitlements { kind } => {
                let request = c1::EntitlementsServiceListStaticEntitlementsRequest {
                    resource_type_id: kind.clone(),
                    page_token,
                    active_sync_id,
                    ..Default::default()
                };
                let answer = source.static_entitlements(&request).await?;
                Ok(Page {
                    rows: Rows::Entitlements(answer.list),
                    next: answer.next_page_token,
                    annotations: answer.annotations,
                })
            }
            Self::Entitlements(of) => {
                let request = c1::EntitlementsServiceListEntitlementsRequest {
                    resource: Some(of.resource()),
                    page_token,
                    active_sync_id,
                    annotations: of.marker(&c1::TypeScopedEntitlements {}),
                    ..Default::default()
                };
                let answer = source.entitlements(&request).await?;
                Ok(Page {
                    rows: Rows::Entitlements(answer.list),
                    next: answer.next_page_token,
                    annotations: answer.annotations,
                })
            }
            Self::Grants(of) => {
                let request = c1::GrantsServiceListGrantsRequest {
                    resource: Some(of.resource()),
                    page_token,
                    active_sync_id,
                    annotations: of.marker(&c1::TypeScopedGrants {}),
                    ..Default::default()
                };
                let answer = source.grants(&request).await?;
                Ok(Page {
                    rows: Rows::Grants(answer.list),
                    next: answer.next_page_token,
                    annotations: answer.annotations,
                })
            }
        }
    }
}

impl Of {
    /// The type.
    fn kind(&self) -> &str {
        match self {
            Self::Type(kind) => kind,
            Self::Resource(resource) => resource.id.as_ref().map_or("", |id| &id.resource_type),
        }
    }

    /// The resource to ask for; for a whole type the stub `{type, type}`.
    fn resource(&self) -> c1::Resource {
        match self {
            Self::Resource(resource) => (**resource).clone(),
            Self::Type(kind) => c1::Resource {
                id: Some(c1::ResourceId {
                    resource_type: kind.clone(),
                    resource: kind.clone(),
                    ..Default::default()
                }),
                ..Default::default()
            },
        }
    }

    fn marker<M: prost::Name>(&self, marker: &M) -> Vec<Any> {
        match self {
            Self::Type(_) => vec![pack(marker)],
            Self::Resource(_) => Vec::new(),
        }
    }
}
