//! The starts of all chains of one step, made one by one: there may be as many as resources.

use std::collections::VecDeque;
use std::slice;

use super::chain::Chain;
use super::page::{List, Of};
use super::plan::{Listing, TypePlan, skips_entitlements, skips_grants};
use crate::c1z::{StoredResource, Writer};
use crate::model::fault::Fault;
use crate::proto::connector::Resource;

/// Resources read back from the working database at a time.
pub(super) const BATCH: u32 = 500;

/// What a step lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Resources,
    Entitlements,
    Grants,
}

/// See the module.
pub(super) struct Feed<'a> {
    step: Step,
    writer: &'a Writer,
    types: slice::Iter<'a, TypePlan>,
    /// The type whose resources are being read back, and how far.
    reading: Option<(&'a str, i64)>,
    batch: VecDeque<StoredResource>,
}

impl<'a> Feed<'a> {
    pub(super) fn new(step: Step, types: &'a [TypePlan], writer: &'a Writer) -> Self {
        Self {
            step,
            writer,
            types: types.iter(),
            reading: None,
            batch: VecDeque::new(),
        }
    }

    /// The next chain to start; `None` when all are started.
    pub(super) async fn next(&mut self) -> Result<Option<Chain>, Fault> {
        loop {
            while let Some(stored) = self.batch.pop_front() {
                if !self.step.skips(&stored.resource) {
                    let of = Of::Resource(Box::new(stored.resource));
                    return Ok(self.step.list(of).map(Chain::start));
                }
            }
            if let Some((kind, after)) = self.reading {
                let batch = self.writer.resources(kind, after, BATCH).await?;
                self.reading = batch.last().map(|last| (kind, last.row));
                self.batch = batch.into();
                continue;
            }
            let Some(kind) = self.types.next() else {
                return Ok(None);
            };
            match self.step.listing(kind) {
                Listing::ByType => return Ok(self.step.list(Of::Type(kind.id.clone())).map(Chain::start)),
                Listing::ByResource => self.reading = Some((&kind.id, 0)),
                Listing::Skipped => {}
            }
        }
    }
}

impl Step {
    pub(super) const fn listing(self, kind: &TypePlan) -> Listing {
        match self {
            Self::Resources => Listing::ByType,
            Self::Entitlements => kind.entitlements,
            Self::Grants => kind.grants,
        }
    }

    fn skips(self, resource: &Resource) -> bool {
        match self {
            Self::Resources => false,
            Self::Entitlements => skips_entitlements(resource),
            Self::Grants => skips_grants(resource),
        }
    }

    /// Resources have no children in this protocol's use: they are listed by type only.
    fn list(self, of: Of) -> Option<List> {
        match (self, of) {
            (Self::Resources, Of::Type(kind)) => Some(List::Resources { kind }),
            (Self::Resources, Of::Resource(_)) => None,
            (Self::Entitlements, of) => Some(List::Entitlements(of)),
            (Self::Grants, of) => Some(List::Grants(of)),
        }
    }
}
