//! How the daemon is set up.

use std::num::NonZeroUsize;

use super::credentials::{Credentials, Host};
use super::host::HostId;

/// Who we are at the platform, and how tasks are gone about.
#[derive(Debug)]
pub struct PlatformConfig {
    /// Who we are.
    pub credentials: Credentials,
    /// The platform's host, if it is not the client id's (`BATON_C1_API_HOST`).
    pub api_host: Option<Host>,
    /// Name of this host, if somebody chose one (`BATON_HOST_ID`).
    pub host_id: Option<HostId>,
    /// How tasks are asked for (`BATON_GET_TASKS`).
    pub asking: Asking,
    /// Most tasks at the same time.
    pub concurrency: NonZeroUsize,
    /// What becomes of tasks that read the tenant.
    pub full_sync: FullSync,
}

/// How tasks are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    /// One at a time.
    One,
    /// Several at a time, some of them ahead of their turn.
    Several,
}

/// What becomes of tasks that read the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FullSync {
    /// They are done.
    Run,
    /// They are refused (`--skip-full-sync`).
    Refuse,
}
