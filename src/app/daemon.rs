//! The daemon, composed: the tenant, the right to write, the health server and the platform.

use crate::config::{DaemonSettings, HealthCheckSettings};
use crate::model::fault::{Fault, FaultKind};

pub(super) async fn run(settings: DaemonSettings) -> Result<(), Fault> {
    drop(settings);
    Err(Fault::new(
        FaultKind::Unsupported,
        "daemon mode comes with a later commit",
    ))
}

pub(super) async fn health_check(settings: HealthCheckSettings) -> Result<(), Fault> {
    drop(settings);
    Err(Fault::new(
        FaultKind::Unsupported,
        "health-check comes with a later commit",
    ))
}
