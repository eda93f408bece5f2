//! Readiness: whether Risk Assess would take a user as Coupa has the user, told before the license is granted, for one user or a tenant.
//!
//! Invariants: rules are data with a source each; a remark repeats no value of a person; by default only facts refuse, since the formats are
//! those of the import and nobody published that the native sync applies them.

mod email;
mod judge;
mod phone;
mod place;
mod rule;
mod rules;
mod survey;
pub mod tables;
mod twins;

#[cfg(test)]
mod tests;

pub use judge::{Verdict, judge, judged, refusal, renamed, verdict};
pub use rule::Rule;
pub use rules::RULES;
pub use survey::{Assessed, Assessment, Counts, Who, assess};
pub use twins::Twins;
