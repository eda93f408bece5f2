//! A user whose data Risk Assess does not have, or may not take, as Coupa has them: what the error report lists.

use jiff::Timestamp;

use crate::model::profile::Profile;

use super::columns::Column;
use super::theirs::TheirAccount;

/// One mismatch. Its `Debug` shows no values.
#[derive(Debug, Clone)]
pub struct Mismatch {
    /// The user as Coupa shows it.
    pub profile: Profile,
    /// The account on the other side, if a grid export or an import file showed it; never guessed from Coupa.
    pub theirs: Option<TheirAccount>,
    /// The fields concerned; empty if the row as a whole was refused.
    pub fields: Vec<Column>,
    /// What is wrong, in one sentence, without values.
    pub reason: String,
    /// When it was found.
    pub at: Timestamp,
}
