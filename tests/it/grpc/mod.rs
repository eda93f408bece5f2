//! The gRPC server over real sockets: certificates, a client that asks as the Go syncer does, a tenant held in memory, and
//! tests of transport and of the whole walk.

pub(crate) mod client;
pub(crate) mod harvest;
pub(crate) mod host;
pub(crate) mod ledger;
mod methods;
pub(crate) mod pki;
mod process;
mod provisioning;
pub(crate) mod tenant;
mod transport;
pub(crate) mod upstream;
pub(crate) mod walk;
