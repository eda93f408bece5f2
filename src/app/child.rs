//! The connector served to the runner that started this process.

use crate::config::ChildSettings;
use crate::model::fault::{Fault, FaultKind};

pub(super) async fn run(settings: ChildSettings) -> Result<(), Fault> {
    drop(settings);
    Err(Fault::new(
        FaultKind::Unsupported,
        "child mode comes with a later commit",
    ))
}
