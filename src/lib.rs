//! Identity-governance connector for Coupa.
//!
//! Data travels one way, changes travel the same way back:
//!
//! ```text
//! Coupa ─► coupa ─► model ─► snapshot ─► connector ─┬► server     gRPC, c1.connector.v2
//!          HTTP     ports    one pass,   types,      ├► sync ─► c1z
//!          pace     data     index       grants      └► platform   tasks in, answers and c1z out
//! ```
//!
//! `app` composes the parts once; `sandbox` is the outside world for trials and tests and shares nothing with the rest.

// The vocabulary of all parts.
pub mod model;

// Inwards: Coupa, one pass over it, what is kept between passes.
pub mod coupa;

pub mod snapshot;

pub mod state;

// Back: changes, journalled, proved and repaired.
pub mod provision;

// Above them: the account behind the license.
pub mod risk_assess;

// Outwards: the protocol, the connector that speaks it, and who asks the connector.
pub mod proto;

pub mod connector;

pub mod status;

pub mod server;

pub mod c1z;

pub mod sync;

pub mod oneshot;

pub mod platform;

// The outside world for trials.
pub mod sandbox;

// The program around it.
pub mod config;

pub mod telemetry;

pub mod cli;

pub mod app;
