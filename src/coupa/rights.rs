//! Tokens that may write, and what a client with less than all scopes for writing can still do.
//!
//! Invariant: a token from here is used by writes only; a client without the scope for membership rows still changes users.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::fault::{Fault, FaultKind};

use super::auth::{Token, TokenSource, WRITE_MEMBERSHIPS, WRITE_SCOPES, WRITE_USERS};
use super::config::{CoupaConfig, Timeouts};
use super::transport::Transport;

/// After this time a scope that the client lacked is asked for again: somebody may have added it.
const ASK_AGAIN_AFTER: Duration = Duration::from_mins(10);

/// What a write needs to be allowed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// Change or create users.
    Users,
    /// Remove membership rows.
    Memberships,
}

impl Right {
    /// The scope that gives it (list of scopes and endpoints as of R34.3).
    pub(crate) const fn scope(self) -> &'static str {
        match self {
            Self::Users => WRITE_USERS,
            Self::Memberships => WRITE_MEMBERSHIPS,
        }
    }
}

/// Where tokens for writing come from.
pub(crate) struct Writing {
    full: TokenSource,
    /// For clients that lack the scope for memberships.
    users_alone: TokenSource,
    lack: Mutex<Option<Lack>>,
}

/// The scope for memberships was refused.
#[derive(Debug, Clone)]
struct Lack {
    seen: Instant,
    fault: Fault,
}

impl Writing {
    pub(crate) fn new(config: &CoupaConfig) -> Self {
        // A write that waits longer than that is not sent any more.
        let timeouts = Timeouts {
            patience: config.timeouts.patience.min(config.timeouts.fresh),
            ..config.timeouts
        };
        Self {
            full: TokenSource::new(config, timeouts, WRITE_SCOPES),
            users_alone: TokenSource::new(config, timeouts, &[WRITE_USERS]),
            lack: Mutex::default(),
        }
    }

    /// A token with that right, and the source that must be told if Coupa refuses it.
    pub(crate) async fn token(
        &self,
        transport: &Transport,
        right: Right,
    ) -> Result<(&TokenSource, Arc<Token>), Fault> {
        if let Some(fault) = self.lacking() {
            return self.without_memberships(transport, right, fault).await;
        }
        match self.full.token(transport).await {
            Ok(token) => Ok((&self.full, token)),
            Err(fault) if lacks_memberships_alone(&fault) => {
                *self.lack() = Some(Lack {
                    seen: Instant::now(),
                    fault: fault.clone(),
                });
                self.without_memberships(transport, right, fault).await
            }
            Err(fault) => Err(fault),
        }
    }

    async fn without_memberships(
        &self,
        transport: &Transport,
        right: Right,
        fault: Fault,
    ) -> Result<(&TokenSource, Arc<Token>), Fault> {
        match right {
            Right::Memberships => Err(fault),
            Right::Users => {
                let token = self.users_alone.token(transport).await?;
                Ok((&self.users_alone, token))
            }
        }
    }

    /// Makes sure that users can be changed; asks anew for what was missing.
    pub(crate) async fn check(&self, transport: &Transport) -> Result<(), Fault> {
        *self.lack() = None;
        self.token(transport, Right::Users).await?;
        if self.lacking().is_some() {
            tracing::warn!(
                scope = WRITE_MEMBERSHIPS,
                "the OAuth client lacks a scope for writing: group memberships can be removed only by writing the user's whole list"
            );
        }
        Ok(())
    }

    /// The refusal of the scope for memberships, while it is recent.
    fn lacking(&self) -> Option<Fault> {
        let lack = self.lack();
        let recent = lack.as_ref().filter(|lack| lack.seen.elapsed() < ASK_AGAIN_AFTER);
        recent.map(|lack| lack.fault.clone())
    }

    fn lack(&self) -> MutexGuard<'_, Option<Lack>> {
        self.lack.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lacks_memberships_alone(fault: &Fault) -> bool {
    matches!(fault.kind(), FaultKind::MissingScope { scope } if scope == WRITE_MEMBERSHIPS)
}
