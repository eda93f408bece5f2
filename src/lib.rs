//! Identity-governance connector for Coupa.
//!
//! Data travels one way, changes travel the same way back:
//!
//! ```text
//! Coupa ─► coupa ─► model ─► snapshot ─► connector ─┬► server   gRPC, c1.connector.v2
//!          HTTP     ports    one pass,   types,      └► sync ─► c1z
//!          pace     data     index       grants
//! ```
//!
//! `app` composes the parts once; `sandbox` is the outside world for trials and tests and shares nothing with the rest.

pub mod connector;
pub mod coupa;
pub mod model;
pub mod proto;
pub mod sandbox;
pub mod server;
pub mod snapshot;
