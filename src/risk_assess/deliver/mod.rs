//! Delivery to Risk Assess: what the outbox holds goes out, as one user a row, and what came of it is written down.
//!
//! ```text
//! outbox ─► desk ─► Coupa, fresh ─► render ─► file ─┬► courier ─► quick (HTTPS) ─► answer ─┐
//!            ▲                                      └► handout (a file for a person) ──────┤
//!            └───────────── ledger first, then settled ◄─ standing ◄───────────────────────┘
//! ```
//!
//! Invariants: a parcel is marked as being sent, on disk, before its user is read, and settled only after the ledger has what came of it: a
//! crash anywhere means that it is sent again, never that it is lost or that an older reading is delivered in place of a newer one. No row
//! makes an administrator or a supplier user. Nothing but 201 to a file with one row counts as delivered.

mod address;
mod answer;
mod complaint;
mod courier;
mod deliveries;
mod desk;
mod file;
mod handout;
mod phone;
mod quick;
mod render;
mod standing;

pub use address::{Address, AddressError};
pub use answer::{Answer, Answered, Post, Unanswered, judge};
pub use courier::{Courier, CourierConfig, Patience, Proof};
pub use deliveries::{Deliveries, Ended, Entry, Of, Words};
pub use desk::Desk;
pub use file::{FileForm, UsersFile, template};
pub use handout::Handout;
pub use quick::{Quick, QuickIntegration};
pub use render::{Active, LeftOut, Row, Unfit, Why, cells, imported};
