//! Accounts of Risk Assess as a grid export or an import file shows them.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::id::UserId;

use super::columns::Column;

/// One row of such a file. Its `Debug` shows the line only.
#[derive(Clone, PartialEq, Eq)]
pub struct TheirAccount {
    /// Line in the file, from 1 with the header.
    pub line: u64,
    /// Coupa user id, where the file tells it (the grid hides it; S1).
    pub coupa_id: Option<UserId>,
    /// Values by column, trimmed; blank ones are left out.
    pub cells: BTreeMap<Column, Box<str>>,
}

impl TheirAccount {
    /// A value.
    pub fn get(&self, column: Column) -> Option<&str> {
        self.cells.get(&column).map(AsRef::as_ref)
    }

    /// Whether the account is linked to a Coupa account: such accounts are kept by the sync and not editable in Risk Assess (S1, S2).
    pub fn is_linked(&self) -> bool {
        self.coupa_id.is_some() || self.get(Column::CoupaUsername).is_some()
    }
}

impl fmt::Debug for TheirAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TheirAccount")
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}
