//! Holds a chosen request before or after its effect, so that a test can end the client at exactly that point.
//!
//! Invariant: one request is held at most. One whose client goes away is let go with it: held before, it has no effect.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};

use super::log::LogEntry;
use super::matching::{Marks, Matching, Tally, When};

/// The request to hold: the first of those the matching means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PausePoint {
    /// Before it has any effect.
    Before(Matching),
    /// After its effect, before the answer leaves.
    After(Matching),
}

impl PausePoint {
    fn parts(&self) -> (When, &Matching) {
        match self {
            Self::Before(matching) => (When::Before, matching),
            Self::After(matching) => (When::After, matching),
        }
    }
}

/// Whether a request is to be held, and which one is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Paused {
    /// Whether a request is still waited for.
    pub armed: bool,
    /// The request that is held.
    pub held: Option<LogEntry>,
}

#[derive(Default)]
struct Inner {
    point: Option<PausePoint>,
    tally: Tally,
    release: Option<oneshot::Sender<()>>,
}

/// The barrier.
pub(super) struct Barrier {
    inner: Mutex<Inner>,
    /// Number in the log of the request that is held.
    held: watch::Sender<Option<u64>>,
}

impl Default for Barrier {
    fn default() -> Self {
        Self {
            inner: Mutex::default(),
            held: watch::Sender::new(None),
        }
    }
}

impl Barrier {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the request of `point`, and lets go of any held before.
    pub(super) fn arm(&self, point: PausePoint) {
        *self.inner() = Inner {
            point: Some(point),
            ..Inner::default()
        };
    }

    /// Lets the held request go on, and waits for no other.
    pub(super) fn resume(&self) {
        let inner = std::mem::take(&mut *self.inner());
        if let Some(release) = inner.release {
            // Should the client be gone, there is nobody to let go.
            let _ = release.send(());
        }
    }

    pub(super) fn is_armed(&self) -> bool {
        self.inner().point.is_some()
    }

    /// Where the number of the held request can be seen.
    pub(super) fn watch(&self) -> watch::Receiver<Option<u64>> {
        self.held.subscribe()
    }

    /// On which side of its effect this request is to be held. Asked once for each request.
    pub(super) fn claims(&self, marks: &Marks) -> Option<When> {
        let mut inner = self.inner();
        let Inner { point, tally, .. } = &mut *inner;
        let (when, matching) = point.as_ref()?.parts();
        tally.is_meant(0, matching, marks).then(|| {
            inner.point = None;
            when
        })
    }

    /// Holds the request of this number until it may go on.
    pub(super) async fn hold(&self, n: u64) {
        let (release, released) = oneshot::channel();
        self.inner().release = Some(release);
        let _held = Held::new(self, n);
        // Armed anew without a word: that lets go as well.
        let _ = released.await;
    }
}

/// A request is held for as long as this lives, which is no longer than its connection.
struct Held<'a> {
    barrier: &'a Barrier,
}

impl<'a> Held<'a> {
    fn new(barrier: &'a Barrier, n: u64) -> Self {
        barrier.held.send_replace(Some(n));
        Self { barrier }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.barrier.held.send_replace(None);
    }
}
