//! The fake platform: token endpoint and `BatonService` on one TLS port.
//!
//! ```text
//! host ─► /auth/v1/token ─► token ─┐
//!    └──► BatonService ─► service ─┴► state: queue, claims, troubles, log, violations ─► audit
//!                            └► rules (pure)
//! ```
//!
//! Invariant: every violation is noted when it happens, and [`Platform::audit`] tells all of them; whatever a test forgets to look at
//! is judged all the same.

mod claims;
mod host;
mod log;
mod rules;
mod service;
mod state;
pub mod token;

pub use host::Platform;
pub use log::{Beat, Entry, Event, Finish, Retry};
pub use rules::is_task_id;
pub use state::{Pace, Rpc, Trouble};
pub use token::Client;
