//! The commands about Risk Assess.

use crate::cli::progress::Progress;
use crate::config::RiskAssessCommand;
use crate::model::fault::{Fault, FaultKind};

pub(super) async fn run(_command: RiskAssessCommand, _progress: &Progress) -> Result<(), Fault> {
    Err(Fault::new(FaultKind::Unsupported, "under construction"))
}
