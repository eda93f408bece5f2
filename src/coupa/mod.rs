//! The Coupa client: a tenant's REST and GraphQL surfaces behind the ports [`Tenant`], [`ReadTenant`] and
//! [`ReadProfiles`](crate::model::profile::ReadProfiles), and single writes over REST behind
//! [`WriteCalls`](crate::model::change::WriteCalls).
//!
//! ```text
//! survey ─┐  plan decides    rows, collection      client            transport
//! read  ──┤────────────────► what to ask for ────► token, pace, ───► one exchange
//! profiles┘
//! write ─────────────────────query ► ... ► wire    retry table
//! ```
//!
//! Invariant: Coupa's answers reach the rest as data of the model or as a fault; an error, a 429 or a page that cannot be understood
//! is never an empty list, and neither secrets nor personal values reach a log or a message.

mod auth;
pub mod checkup;
mod client;
mod collection;
mod config;
mod endpoint;
mod licenses;
mod memory;
mod pace;
mod plan;
mod profiles;
mod query;
mod read;
mod retry;
mod rights;
mod rows;
mod survey;
#[cfg(test)]
mod tests;
mod transport;
mod trouble;
mod wire;
mod write;

use std::sync::Arc;

use async_trait::async_trait;

use crate::model::fault::Fault;
use crate::model::tenant::{ReadTenant, Tenant, Usage};

use client::Client;
use collection::{GROUPS, ROLES, Shelf};
use memory::Memory;
use query::{Only, Projection, Window};
use rows::Manner;
use trouble::Surface;
use wire::{GroupRow, RoleRow};

pub use config::{CoupaConfig, Timeouts};
pub use endpoint::{Endpoint, EndpointError};

/// A Coupa tenant reached over HTTP. All readers of one `Coupa` share its token, its pace and its counters.
pub struct Coupa {
    client: Arc<Client>,
    memory: Arc<Memory>,
    profiles: profiles::Probes,
}

impl Coupa {
    /// A client for one tenant; sends nothing yet. The process must have installed a TLS provider for rustls.
    pub fn new(config: CoupaConfig) -> Result<Self, Fault> {
        Ok(Self {
            client: Arc::new(Client::new(config)?),
            memory: Arc::default(),
            profiles: profiles::Probes::default(),
        })
    }

    /// One row of users over either surface.
    async fn taste_users(&self) -> Result<(), Fault> {
        let manner = Manner {
            projection: Projection::Underscored,
            dialect: query::Dialect::Bare,
        };
        let row = async |surface| {
            rows::window(
                &self.client,
                manner,
                surface,
                &Window::One,
                &Only::Everything,
                &[],
            )
            .await
        };
        let first = match row(Surface::Rest).await {
            Ok(_) => return Ok(()),
            Err(failure) if failure.concerns_all() => return Err(failure.into()),
            Err(failure) => failure,
        };
        match row(Surface::Graphql).await {
            Ok(_) => Ok(()),
            Err(second) => Err(collection::most_telling(first, second).into()),
        }
    }

    /// A token, then one row of each object.
    async fn taste(&self) -> Result<(), Fault> {
        self.client.sign_in().await?;
        let collections = Shelf {
            client: &self.client,
            memory: &self.memory,
            projection: Projection::Underscored,
        };
        self.taste_users().await?;
        collections.taste::<GroupRow>(&GROUPS).await?;
        collections.taste::<RoleRow>(&ROLES).await
    }
}

#[async_trait]
impl Tenant for Coupa {
    async fn check(&self) -> Result<(), Fault> {
        self.taste()
            .await
            .map_err(|fault| fault.context(self.client.host()))
    }

    async fn survey(&self) -> Result<Arc<dyn ReadTenant>, Fault> {
        let reader = survey::survey(Arc::clone(&self.client), Arc::clone(&self.memory)).await;
        Ok(Arc::new(
            reader.map_err(|fault| fault.context(self.client.host()))?,
        ))
    }

    fn usage(&self) -> Usage {
        self.client.usage()
    }
}
