//! Where the truncation guard finds the sizes of the last complete pass: the state directory first, else the previous file.
//!
//! Invariant: a place that cannot be read never makes a guard believe that nothing was there. A state directory that does not
//! answer is told and the file asked instead; a file that does not answer ends the pass.

use std::path::PathBuf;

use crate::c1z;
use crate::model::baseline::{Baseline, Baselines};
use crate::model::fault::Fault;
use crate::state::State;

/// The previous file of a one-shot sync.
pub(super) struct PreviousFile {
    pub(super) path: PathBuf,
    pub(super) tenant: String,
    pub(super) settings: c1z::Settings,
}

/// State directory, then previous file.
pub(super) struct KeptBaselines {
    pub(super) state: Option<State>,
    pub(super) previous: Option<PreviousFile>,
}

impl Baselines for KeptBaselines {
    fn last(&self) -> Result<Option<Baseline>, Fault> {
        if let Some(state) = &self.state {
            match state.last() {
                Ok(Some(baseline)) => return Ok(Some(baseline)),
                Ok(None) => {}
                Err(fault) => {
                    tracing::warn!(error = ?fault, "the state directory does not tell the last sizes");
                }
            }
        }
        let Some(previous) = &self.previous else {
            return Ok(None);
        };
        c1z::baseline(&previous.path, &previous.tenant, &previous.settings)
    }

    fn record(&self, baseline: &Baseline) -> Result<(), Fault> {
        match &self.state {
            Some(state) => state.record(baseline),
            None => Ok(()),
        }
    }
}
