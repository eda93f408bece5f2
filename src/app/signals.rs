//! Signals: the first SIGINT or SIGTERM asks for a clean end, whichever it is.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::model::fault::Fault;

/// A token that is cancelled by the first SIGINT or SIGTERM. A second one ends the process at once, as without us.
pub(super) fn cancelled_by_signal() -> Result<CancellationToken, Fault> {
    let listen =
        |kind| signal(kind).map_err(|error| Fault::internal("cannot watch for signals").because(error));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        };
        tracing::info!(signal = name, "stopping; once more to stop at once");
        cancel.cancel();
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        #[expect(
            clippy::exit,
            reason = "asked twice; 130 is what a shell reports for an interrupted program"
        )]
        std::process::exit(130);
    });
    Ok(token)
}
