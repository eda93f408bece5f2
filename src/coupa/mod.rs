//! The Coupa client: a tenant's REST and GraphQL surfaces behind the ports [`Tenant`](crate::model::tenant::Tenant) and
//! [`ReadTenant`](crate::model::tenant::ReadTenant).
mod auth;
mod client;
mod config;
mod endpoint;
mod licenses;
mod pace;
mod query;
mod retry;
mod transport;
mod trouble;
mod wire;
pub use config::{CoupaConfig, Timeouts};
pub use endpoint::{Endpoint, EndpointError};
