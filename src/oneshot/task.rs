//! What a one-shot run is asked to do.
//!
//! Invariant: `Debug` shows the kind of the task only: logins, addresses and profiles are somebody's, and what was typed where a number
//! belongs may be a name.

use std::fmt;

use serde_json::{Map, Value};

/// One task.
#[derive(Clone, PartialEq, Eq)]
pub enum Task {
    /// Give an entitlement to a principal.
    Grant {
        /// Id of the entitlement, for instance `role:12:member`.
        entitlement: String,
        /// Who gets it.
        principal: ResourceName,
    },
    /// Take a grant away.
    Revoke {
        /// Id of the grant, for instance `role:12:member:user:42`.
        grant: String,
    },
    /// Make an account.
    CreateAccount(Account),
    /// Delete a resource; for an account of Coupa that is: deactivate it.
    DeleteResource(ResourceName),
    /// Run an action and wait for its end.
    InvokeAction(Action),
    /// Tell which actions there are, in the log.
    ListActionSchemas {
        /// Only those of this type; all if empty.
        resource_type: String,
    },
}

impl Task {
    /// Whether it changes the tenant.
    pub const fn is_change(&self) -> bool {
        match self {
            Self::Grant { .. }
            | Self::Revoke { .. }
            | Self::CreateAccount(_)
            | Self::DeleteResource(_)
            | Self::InvokeAction(_) => true,
            Self::ListActionSchemas { .. } => false,
        }
    }

    /// Whether it needs the sync file.
    pub const fn reads_file(&self) -> bool {
        match self {
            Self::Grant { .. } | Self::Revoke { .. } => true,
            Self::CreateAccount(_)
            | Self::DeleteResource(_)
            | Self::InvokeAction(_)
            | Self::ListActionSchemas { .. } => false,
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Grant { .. } => "Grant",
            Self::Revoke { .. } => "Revoke",
            Self::CreateAccount(_) => "CreateAccount",
            Self::DeleteResource(_) => "DeleteResource",
            Self::InvokeAction(_) => "InvokeAction",
            Self::ListActionSchemas { .. } => "ListActionSchemas",
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Type and id of a resource.
#[derive(Clone, PartialEq, Eq)]
pub struct ResourceName {
    /// Its type, for instance `user`.
    pub kind: String,
    /// Its id.
    pub id: String,
}

/// An account to make.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Login name; may be empty if the profile has it.
    pub login: String,
    /// Primary address; may be empty if the profile has it.
    pub email: String,
    /// Values by the names of the connector's account schema.
    pub profile: Map<String, Value>,
    /// Type of the account; the only one if empty.
    pub resource_type: String,
}

/// An action to run.
#[derive(Clone, PartialEq, Eq)]
pub struct Action {
    /// Its name.
    pub name: String,
    /// Values by the names of its arguments.
    pub args: Map<String, Value>,
    /// The type it belongs to; empty for one that belongs to none.
    pub resource_type: String,
}
