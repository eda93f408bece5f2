//! The accounts of everybody: who changed since the last time, or all of them; and what a grid export of a day proves.
//!
//! Invariants: users are followed up to a mark that lies before the first question of the pass and moves only when everything of the pass is
//! recorded; a user is looked at however little it holds, so that the loss of a license is seen; one transaction per page.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::model::downstream::{Expectation, Problem, Standing};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::UserId;
use crate::model::profile::{Profile, ProfileFilter};

use super::account::{self, Failing, Observation, Sighting};
use super::books::{News, Step};
use super::columns::Column;
use super::follow::Downstream;
use super::matching::Roster;
use super::mismatch::Mismatch;
use super::theirs::TheirAccount;

/// How far before the mark a pass begins: clocks differ, and a change may show late.
const OVERLAP: SignedDuration = SignedDuration::from_mins(10);

/// Users per transaction where they do not come in pages.
const BATCH: usize = 50;

/// Which users a sync looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Users who changed since the last sync; everybody if there was none.
    Changed,
    /// Everybody who holds the license, and everybody in the ledger.
    Full,
}

/// What came of a sync.
#[derive(Debug, Clone, Default)]
pub struct SyncReport {
    /// Users whose records were brought up to date.
    pub followed: u64,
    /// Records that are new.
    pub new: u64,
    /// Records of which the user's fields, or what is expected, changed.
    pub changed: u64,
    /// Records whose account is now expected to be closed and was not before.
    pub closed: u64,
    /// Problems in the whole ledger.
    pub problems: u64,
    /// What was found that Risk Assess cannot take, and was not known before.
    pub mismatches: Vec<Mismatch>,
}

/// What came of the evidence of a grid.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Records of which the grid is as expected.
    pub seen: u64,
    /// What is not as it should be.
    pub mismatches: Vec<Mismatch>,
}

/// The work of one pass.
struct Pass<'a> {
    downstream: &'a Downstream,
    progress: &'a (dyn Fn(u64) + Sync),
    /// Users for whom something was delivered before; `None` where that does not matter.
    tried: Option<Arc<BTreeSet<UserId>>>,
    read: u64,
    /// Users of whom the tenant showed the license, or did not show it.
    shown: u64,
    hidden: u64,
    report: SyncReport,
}

impl Downstream {
    /// Brings the ledger up to date; `progress` hears how many users were read.
    pub async fn sync(&self, scope: Scope, progress: &(dyn Fn(u64) + Sync)) -> Result<SyncReport, Fault> {
        let start = Timestamp::now();
        let mark = self.books.followed_to().await?;
        let mut pass = Pass {
            downstream: self,
            progress,
            tried: None,
            read: 0,
            shown: 0,
            hidden: 0,
            report: SyncReport::default(),
        };
        match (scope, mark) {
            (Scope::Changed, Some(mark)) => {
                let since = mark.saturating_sub(OVERLAP).unwrap_or(mark);
                pass.walk(ProfileFilter::ChangedSince(since)).await?;
            }
            (Scope::Changed, None) | (Scope::Full, _) => {
                pass.tried = Some(Arc::new(self.books.tried().await?));
                let met = pass.walk(ProfileFilter::Licensed).await?;
                pass.others(&met).await?;
            }
        }
        pass.license_is_shown()?;
        pass.share().await?;
        self.books.follow_to(start).await?;
        let records = self.books.records().await?;
        let problems: usize = records.iter().map(|record| record.problems.len()).sum();
        pass.report.problems = problems as u64;
        Ok(pass.report)
    }

    /// Writes into the ledger what a grid of the day `grid` proves of these users, who were read at `at` (the moment before they were asked
    /// for). Give every user of Coupa who may be in the grid: an account that two could have is nobody's.
    pub async fn take_evidence(
        &self,
        grid: Date,
        at: Timestamp,
        roster: &Roster<'_, TheirAccount>,
        profiles: &[Profile],
    ) -> Result<Evidence, Fault> {
        not_of_the_future(grid, at)?;
        let observations = account::observe(profiles, roster);
        let mut evidence = Evidence::default();
        let both: Vec<(Profile, Observation)> = profiles.iter().cloned().zip(observations).collect();
        for batch in both.chunks(BATCH) {
            for (profile, observation, graded) in self.grade(batch.to_vec(), grid, at).await? {
                match graded {
                    Graded::Seen => evidence.seen += 1,
                    Graded::Silent => {}
                    Graded::Failing(failing) => {
                        let theirs = theirs(&observation.sighting, roster);
                        evidence.mismatches.push(Mismatch {
                            profile,
                            theirs,
                            fields: failing.fields,
                            reason: failing.reason,
                            at,
                        });
                    }
                }
            }
        }
        Ok(evidence)
    }

    async fn grade(
        &self,
        batch: Vec<(Profile, Observation)>,
        grid: Date,
        at: Timestamp,
    ) -> Result<Vec<(Profile, Observation, Graded)>, Fault> {
        let news = batch.iter().map(|(profile, _)| News {
            profile: profile.clone(),
            at,
            judged: None,
        });
        self.books.take(news.collect(), None).await?;
        let config = self.config.clone();
        self.books
            .ask(move |books| {
                let mut graded = Vec::new();
                let users: Vec<UserId> = batch.iter().map(|(profile, _)| profile.user).collect();
                let mut rest = batch.into_iter();
                // Called for each user in this order, each exactly once.
                books.ledger().revise(&users, &mut |_, record| {
                    let (profile, observation) = rest.next()?;
                    let (after, failing) =
                        account::graded(record?, &profile, &observation, &config, grid, at);
                    let seen = after.standing == Standing::Seen(grid);
                    let verdict = match failing {
                        Some(failing) => Graded::Failing(failing),
                        None if seen => Graded::Seen,
                        None => Graded::Silent,
                    };
                    graded.push((profile, observation, verdict));
                    Some(after)
                })?;
                Ok(graded)
            })
            .await
    }
}

/// What a grid came to for one record.
enum Graded {
    Seen,
    Silent,
    Failing(Failing),
}

fn theirs(sighting: &Sighting, roster: &Roster<'_, TheirAccount>) -> Option<TheirAccount> {
    let Sighting::Account { line, .. } = sighting else {
        return None;
    };
    let account = roster.accounts().iter().find(|account| account.line == *line);
    account.cloned()
}

/// A grid is exported before it is read; its day may be that of a place a day ahead.
fn not_of_the_future(grid: Date, at: Timestamp) -> Result<(), Fault> {
    let today = at.to_zoned(TimeZone::UTC).date();
    if grid.saturating_sub(jiff::Span::new().days(1)) <= today {
        return Ok(());
    }
    Err(Fault::invalid(format!(
        "the grid is said to be of {grid}, and that day is yet to come"
    )))
}

impl Pass<'_> {
    /// Reads all users of the filter, page by page; tells who they were.
    async fn walk(&mut self, filter: ProfileFilter) -> Result<BTreeSet<UserId>, Fault> {
        let mut met = BTreeSet::new();
        let mut after = None;
        loop {
            let at = Timestamp::now();
            let page = self.downstream.profiles.profiles(after, filter).await?;
            met.extend(page.profiles.iter().map(|profile| profile.user));
            let news = page.profiles.into_iter().map(|profile| (profile, at));
            self.take(news.collect()).await?;
            after = match page.next {
                Some(next) => Some(next),
                None => return Ok(met),
            };
        }
    }

    /// Reads the users of the ledger whom the pass over the licensed ones did not show: they lost the license, or are gone.
    async fn others(&mut self, met: &BTreeSet<UserId>) -> Result<(), Fault> {
        let records = self.downstream.books.records().await?;
        let left: Vec<UserId> = records
            .iter()
            .map(|record| record.user)
            .filter(|user| !met.contains(user))
            .collect();
        for batch in left.chunks(BATCH) {
            let mut news = Vec::with_capacity(batch.len());
            for user in batch {
                let at = Timestamp::now();
                if let Some(profile) = self.downstream.profiles.profile(*user).await? {
                    news.push((profile, at));
                } else {
                    let absent = move |record| account::absent(record, at);
                    self.downstream.books.revise(vec![*user], absent).await?;
                }
            }
            self.take(news).await?;
        }
        Ok(())
    }

    async fn take(&mut self, read: Vec<(Profile, Timestamp)>) -> Result<(), Fault> {
        self.read += read.len() as u64;
        (self.progress)(self.read);
        let hidden = read
            .iter()
            .filter(|(profile, _)| profile.licensed.is_none())
            .count() as u64;
        self.hidden += hidden;
        self.shown += read.len() as u64 - hidden;
        let news = read.into_iter().map(|(profile, at)| News {
            profile,
            at,
            judged: None,
        });
        let steps = self
            .downstream
            .books
            .take(news.collect(), self.tried.clone())
            .await?;
        for step in &steps {
            self.count(step);
        }
        Ok(())
    }

    fn count(&mut self, step: &Step) {
        let Some(after) = &step.after else { return };
        self.report.followed += 1;
        match &step.before {
            None => self.report.new += 1,
            Some(before) => {
                let changed =
                    before.reading.fields != after.reading.fields || before.expectation != after.expectation;
                self.report.changed += u64::from(changed);
                let closed = (before.expectation, after.expectation);
                let newly = matches!(closed, (before, Expectation::Closed) if before != Expectation::Closed);
                self.report.closed += u64::from(newly);
            }
        }
    }

    /// Without the element in any answer nothing was learned about anybody, and the mark must not move.
    fn license_is_shown(&self) -> Result<(), Fault> {
        if self.hidden == 0 || self.shown > 0 {
            return Ok(());
        }
        Err(Fault::new(
            FaultKind::Unsupported,
            "this tenant does not show who holds the Risk Assess license (element risk-assess-user)",
        )
        .advise("enable Risk Assess on the tenant's /entitlements page, and let the OAuth client read it"))
    }

    /// Tells of licensed users who share a login or an e-mail address since.
    async fn share(&mut self) -> Result<(), Fault> {
        let at = Timestamp::now();
        for (user, problems) in self.downstream.books.note_shared(at).await? {
            let Some(profile) = self.downstream.profiles.profile(user).await? else {
                continue;
            };
            for problem in problems {
                self.report.mismatches.push(mismatch(&profile, &problem, at));
            }
        }
        Ok(())
    }
}

fn mismatch(profile: &Profile, problem: &Problem, at: Timestamp) -> Mismatch {
    let field = match &*problem.kind {
        account::LOGIN_SHARED => Column::CoupaUsername,
        _ => Column::Email,
    };
    Mismatch {
        profile: profile.clone(),
        theirs: None,
        fields: vec![field],
        reason: problem.text.to_string(),
        at,
    }
}
