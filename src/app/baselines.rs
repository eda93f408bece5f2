//! Where the truncation guard finds the sizes of the last complete pass: this process first, then the state directory, else the
//! previous file.
//!
//! Invariant: a place that cannot be read never makes a guard believe that nothing was there. A state directory that does not
//! answer is told and the file asked instead; a file that does not answer ends the pass.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

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

/// This process, state directory, previous file.
pub(super) struct KeptBaselines {
    /// A server without a state directory is guarded between its own passes.
    here: Mutex<Option<Baseline>>,
    state: Option<Arc<State>>,
    previous: Option<PreviousFile>,
}

impl KeptBaselines {
    pub(super) const fn new(state: Option<Arc<State>>, previous: Option<PreviousFile>) -> Self {
        Self {
            here: Mutex::new(None),
            state,
            previous,
        }
    }
}

impl Baselines for KeptBaselines {
    fn last(&self) -> Result<Option<Baseline>, Fault> {
        let here = self.here.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if here.is_some() {
            return Ok(here);
        }
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
        *self.here.lock().unwrap_or_else(PoisonError::into_inner) = Some(baseline.clone());
        match &self.state {
            Some(state) => state.record(baseline),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_process_without_any_place_remembers_its_own_passes() {
        let kept = KeptBaselines::new(None, None);
        assert_eq!(kept.last().unwrap(), None);
        let baseline = Baseline {
            taken_at: Timestamp::UNIX_EPOCH,
            counts: BTreeMap::new(),
        };
        kept.record(&baseline).unwrap();
        assert_eq!(kept.last().unwrap(), Some(baseline));
    }
}
