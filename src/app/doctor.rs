//! The doctor: what a first day goes wrong on, examined without stopping at the first fault.

use crate::config::DoctorSettings;
use crate::model::fault::{Fault, FaultKind};

pub(super) async fn run(settings: DoctorSettings) -> Result<(), Fault> {
    drop(settings);
    Err(Fault::new(
        FaultKind::Unsupported,
        "the doctor comes with a later commit",
    ))
}
