//! The account engine: one user, read and followed.
//!
//! Invariants: a user is read before anything is said of it, and the reading is dated before the question was sent; what is told of a user is
//! what the ledger says after that.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::model::downstream::{FollowAccounts, Followed, Ledger, Outbox, Record};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::UserId;
use crate::model::profile::{Profile, ReadProfiles};
use crate::model::readiness::Remark;

use super::account;
use super::books::{Books, News, Step};
use super::config::RiskAssessConfig;
use super::readiness::{self, Twins};

/// The accounts behind the license: read in Coupa, kept in the ledger, delivered where that is ours to do.
pub struct Downstream {
    pub(super) profiles: Arc<dyn ReadProfiles>,
    pub(super) books: Books,
    pub(super) config: RiskAssessConfig,
}

impl Downstream {
    /// Follows the users that `profiles` shows in `ledger`. `outbox` is there exactly when delivery is not Coupa's own.
    pub fn new(
        profiles: Arc<dyn ReadProfiles>,
        ledger: Arc<dyn Ledger>,
        outbox: Option<Arc<dyn Outbox>>,
        config: RiskAssessConfig,
    ) -> Self {
        Self {
            profiles,
            books: Books::new(ledger, outbox, config.clone()),
            config,
        }
    }

    /// Reads a user with who shares its login and e-mail address; `None` if Coupa does not have it.
    pub(super) async fn look(&self, user: UserId) -> Result<Option<(Profile, Twins)>, Fault> {
        let Some(profile) = self.profiles.profile(user).await? else {
            return Ok(None);
        };
        let twins = Twins::find(&*self.profiles, &profile).await?;
        Ok(Some((profile, twins)))
    }

    /// Reads and records a user; `None` for one who does not hold the license and never did, as far as the ledger goes. `twins`, if they are
    /// known from right before.
    pub(super) async fn follow_any(
        &self,
        user: UserId,
        twins: Option<Twins>,
    ) -> Result<Option<Followed>, Fault> {
        let at = Timestamp::now();
        let Some(profile) = self.profiles.profile(user).await? else {
            self.books
                .revise(vec![user], move |record| account::absent(record, at))
                .await?;
            return Err(no_such(user));
        };
        let known = self.books.record(user).await?;
        if known.is_none() && profile.licensed != Some(true) {
            return Ok(None);
        }
        let twins = match twins {
            Some(twins) => twins,
            None => Twins::find(&*self.profiles, &profile).await?,
        };
        let mut remarks = readiness::judge(&profile, &twins);
        if let (Some(known), Some(now)) = (&known, account::reading(&profile, at)) {
            remarks.extend(readiness::renamed(&known.reading, &now));
        }
        let judged = Some(readiness::judged(&remarks, at));
        let news = vec![News { profile, at, judged }];
        let steps = self.books.take(news, None).await?;
        if steps.iter().any(names_changed) {
            self.books.note_shared(at).await?;
        }
        let record = self.books.record(user).await?;
        Ok(record.map(|record| Followed { remarks, record }))
    }

    /// Records that a user was changed through us and could not be read afterwards.
    pub(super) async fn miss(&self, user: UserId) -> Result<(), Fault> {
        let at = Timestamp::now();
        self.books
            .revise(vec![user], move |record| account::not_followed(record, at))
            .await
    }
}

#[async_trait]
impl FollowAccounts for Downstream {
    async fn readiness(&self, user: UserId) -> Result<Vec<Remark>, Fault> {
        match self.look(user).await? {
            Some((profile, twins)) => Ok(readiness::judge(&profile, &twins)),
            None => Err(no_such(user)),
        }
    }

    async fn follow(&self, user: UserId) -> Result<Followed, Fault> {
        self.follow_any(user, None).await?.ok_or_else(|| {
            Fault::new(
                FaultKind::Refused,
                format!(
                    "user {user} does not hold the Risk Assess license, and the ledger knows of no account"
                ),
            )
            .advise("grant the license first")
        })
    }

    async fn record(&self, user: UserId) -> Result<Option<Record>, Fault> {
        self.books.record(user).await
    }

    async fn records(&self) -> Result<Vec<Record>, Fault> {
        self.books.records().await
    }

    fn claim(&self, record: &Record) -> String {
        account::claim(record, &self.config)
    }
}

fn no_such(user: UserId) -> Fault {
    Fault::new(FaultKind::NotFound, format!("Coupa has no user {user}"))
}

/// Whether other records may have to be told of: the user shares something since, or no longer.
fn names_changed(step: &Step) -> bool {
    let names = |record: &Record| {
        let reading = &record.reading;
        (reading.licensed, reading.login.clone(), reading.email.clone())
    };
    step.before.as_ref().map(names) != step.after.as_ref().map(names)
}
