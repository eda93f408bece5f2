//! The journal, asked from async code.
//!
//! Invariant: an operation has ended, on disk, when its future ends; it runs where it may block.

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::change::RequestId;
use crate::model::fault::Fault;
use crate::model::id::UserId;
use crate::model::journal::{Entry, EntryId, Intent, Journal, Stage, Which};

#[derive(Clone)]
pub(super) struct Ledger(Arc<dyn Journal>);

impl Ledger {
    pub(super) const fn new(journal: Arc<dyn Journal>) -> Self {
        Self(journal)
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Journal) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let journal = Arc::clone(&self.0);
        match tokio::task::spawn_blocking(move || question(&*journal)).await {
            Ok(answer) => answer,
            Err(stopped) => Err(Fault::internal("the journal did not answer").because(stopped)),
        }
    }

    pub(super) async fn open(&self, intent: Intent) -> Result<EntryId, Fault> {
        self.ask(move |journal| journal.open(&intent)).await
    }

    pub(super) async fn begin_step(&self, entry: EntryId, call: String) -> Result<u32, Fault> {
        self.ask(move |journal| journal.begin_step(entry, Timestamp::now(), &call))
            .await
    }

    pub(super) async fn end_step(&self, entry: EntryId, step: u32, end: String) -> Result<(), Fault> {
        self.ask(move |journal| journal.end_step(entry, step, &end)).await
    }

    pub(super) async fn advance(&self, entry: EntryId, stage: Stage) -> Result<(), Fault> {
        self.ask(move |journal| journal.advance(entry, &stage)).await
    }

    pub(super) async fn entry(&self, id: EntryId) -> Result<Option<Entry>, Fault> {
        self.ask(move |journal| journal.entry(id)).await
    }

    pub(super) async fn open_entries(&self) -> Result<Vec<Entry>, Fault> {
        self.ask(|journal| journal.entries(Which::Open)).await
    }

    /// The oldest open entry of a user.
    pub(super) async fn open_of(&self, user: UserId) -> Result<Option<Entry>, Fault> {
        let open = self.open_entries().await?;
        Ok(open.into_iter().find(|entry| entry.intent.user == Some(user)))
    }

    pub(super) async fn of_request(&self, request: RequestId) -> Result<Option<Entry>, Fault> {
        self.ask(move |journal| journal.of_request(&request)).await
    }
}
