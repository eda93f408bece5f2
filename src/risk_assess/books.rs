//! Ledger and outbox, asked from async code.
//!
//! Invariants: an operation is on disk when its future ends, and runs where it may block; what has to be delivered is in the outbox before the
//! ledger says that it is expected, so that a crash in between delivers once too often, never once too little.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::downstream::{Judged, Ledger, Load, Outbox, Problem, Record};
use crate::model::fault::Fault;
use crate::model::id::UserId;
use crate::model::profile::Profile;

use super::account;
use super::config::RiskAssessConfig;

#[derive(Clone)]
pub(super) struct Books {
    ledger: Arc<dyn Ledger>,
    outbox: Option<Arc<dyn Outbox>>,
    config: RiskAssessConfig,
}

/// A user as Coupa showed it.
#[derive(Clone)]
pub(super) struct News {
    pub(super) profile: Profile,
    /// The moment before it was asked for.
    pub(super) at: Timestamp,
    /// Readiness, where it was judged.
    pub(super) judged: Option<Judged>,
}

/// What news made of a record.
pub(super) struct Step {
    pub(super) before: Option<Record>,
    pub(super) after: Option<Record>,
}

/// Problems of sharing that were not known before.
pub(super) type NewlyShared = Vec<(UserId, Vec<Problem>)>;

impl Books {
    pub(super) fn new(
        ledger: Arc<dyn Ledger>,
        outbox: Option<Arc<dyn Outbox>>,
        config: RiskAssessConfig,
    ) -> Self {
        Self {
            ledger,
            outbox,
            config,
        }
    }

    /// The ledger itself, for work that runs in [`Books::ask`].
    pub(super) fn ledger(&self) -> &dyn Ledger {
        &*self.ledger
    }

    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Self) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let books = self.clone();
        match tokio::task::spawn_blocking(move || question(&books)).await {
            Ok(answer) => answer,
            Err(stopped) => Err(Fault::internal("the ledger did not answer").because(stopped)),
        }
    }

    pub(super) async fn record(&self, user: UserId) -> Result<Option<Record>, Fault> {
        self.ask(move |books| books.ledger.record(user)).await
    }

    pub(super) async fn records(&self) -> Result<Vec<Record>, Fault> {
        self.ask(|books| books.ledger.records()).await
    }

    pub(super) async fn followed_to(&self) -> Result<Option<Timestamp>, Fault> {
        self.ask(|books| books.ledger.followed_to()).await
    }

    /// Moves the mark forward; another process may be further.
    pub(super) async fn follow_to(&self, at: Timestamp) -> Result<(), Fault> {
        self.ask(move |books| match books.ledger.followed_to()? {
            Some(further) if further >= at => Ok(()),
            Some(_) | None => books.ledger.follow_to(at),
        })
        .await
    }

    /// Changes records, where there are some, in one transaction.
    pub(super) async fn revise(
        &self,
        users: Vec<UserId>,
        mut change: impl FnMut(Record) -> Record + Send + 'static,
    ) -> Result<(), Fault> {
        self.ask(move |books| {
            books
                .ledger
                .revise(&users, &mut |_, record| record.map(&mut change))
        })
        .await
    }

    /// Takes users as Coupa showed them: what is due goes into the outbox, then the records are brought up to date in one transaction. Of users
    /// who did not change those are due who are to have an account and are in none of `tried`: delivery was not ours before.
    pub(super) async fn take(
        &self,
        news: Vec<News>,
        tried: Option<Arc<BTreeSet<UserId>>>,
    ) -> Result<Vec<Step>, Fault> {
        self.ask(move |books| {
            books.post_due(&news, tried.as_deref())?;
            let news: BTreeMap<UserId, News> =
                news.into_iter().map(|news| (news.profile.user, news)).collect();
            let users: Vec<UserId> = news.keys().copied().collect();
            let mut steps = Vec::with_capacity(users.len());
            books.ledger.revise(&users, &mut |user, before| {
                let after = news.get(&user).and_then(|news| books.after(before.clone(), news));
                steps.push(Step {
                    before,
                    after: after.clone(),
                });
                after
            })?;
            Ok(steps)
        })
        .await
    }

    fn after(&self, before: Option<Record>, news: &News) -> Option<Record> {
        let mut after = account::read(before, &news.profile, &self.config, news.at)?;
        let newer = |judged: &Judged| after.judged.as_ref().is_none_or(|known| known.at <= judged.at);
        if let Some(judged) = news.judged.clone().filter(newer) {
            after.judged = Some(judged);
        }
        Some(after)
    }

    fn post_due(&self, news: &[News], tried: Option<&BTreeSet<UserId>>) -> Result<(), Fault> {
        let Some(outbox) = &self.outbox else { return Ok(()) };
        let mut due = Vec::new();
        for news in news {
            let user = news.profile.user;
            let (class, config) = (news.profile.class, &self.config);
            let before = self.ledger.record(user)?;
            let after = self.after(before.clone(), news);
            let Some(after) = after else { continue };
            let untried = tried.is_some_and(|tried| !tried.contains(&user));
            if account::is_due(before.as_ref(), &after, class, config)
                || (untried && account::is_outstanding(&after, class, config))
            {
                due.push(Load::User(user));
            }
        }
        if due.is_empty() {
            return Ok(());
        }
        outbox.post(&due)
    }

    /// Users for whom something was put into the outbox once.
    pub(super) async fn tried(&self) -> Result<BTreeSet<UserId>, Fault> {
        self.ask(|books| {
            let Some(outbox) = &books.outbox else {
                return Ok(BTreeSet::new());
            };
            let users = outbox
                .parcels()?
                .into_iter()
                .filter_map(|parcel| match parcel.load {
                    Load::User(user) => Some(user),
                    Load::Row { .. } => None,
                });
            Ok(users.collect())
        })
        .await
    }

    /// Brings the problems of licensed users who share a login or an e-mail address up to date.
    pub(super) async fn note_shared(&self, at: Timestamp) -> Result<NewlyShared, Fault> {
        self.ask(move |books| {
            let records = books.ledger.records()?;
            let shared = account::shared(&records);
            let none = BTreeMap::new();
            let noted = |record: Record| {
                let told = shared.get(&record.user).unwrap_or(&none);
                account::with_shared(record, told, at)
            };
            let stale: Vec<UserId> = records
                .iter()
                .filter(|record| noted((*record).clone()) != **record)
                .map(|record| record.user)
                .collect();
            let mut found = NewlyShared::new();
            books.ledger.revise(&stale, &mut |user, before| {
                let before = before?;
                let known = before.problems.clone();
                let after = noted(before);
                let new: Vec<Problem> = after
                    .problems
                    .iter()
                    .filter(|problem| !known.contains(problem))
                    .cloned()
                    .collect();
                if !new.is_empty() {
                    found.push((user, new));
                }
                Some(after)
            })?;
            Ok(found)
        })
        .await
    }
}
