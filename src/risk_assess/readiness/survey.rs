//! Readiness of a whole tenant, in one pass over its users.
//!
//! Invariants: logins and e-mail addresses are compared over all accounts, of every class, active or not; text is kept of those who are
//! reported only, of the others two short digests and an id.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::model::fault::{Fault, FaultKind};
use crate::model::id::UserId;
use crate::model::profile::{Profile, ProfileFilter, ReadProfiles};
use crate::model::readiness::Remark;
use crate::model::tenant::AccountClass;
use crate::risk_assess::Strictness;

use super::judge::{Verdict, judge, judge_twins, verdict};
use super::rule::Rule;
use super::rules::{LICENSE_HELD, RULES};
use super::twins::Twins;

/// Of whom to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Active internal users, who could be given the license, and everybody who holds it.
    Everyone,
    /// Holders of the license.
    Licensed,
}

/// One user who was judged. Its `Debug` shows no personal value.
#[derive(Clone, PartialEq, Eq)]
pub struct Assessed {
    /// Coupa number.
    pub user: UserId,
    /// `login`
    pub login: Box<str>,
    /// `email`
    pub email: Option<Box<str>>,
    /// First and last name, as far as there are any.
    pub name: String,
    /// Whether the user is active.
    pub active: bool,
    /// Whether the license is held; `None` where the tenant does not show it.
    pub licensed: Option<bool>,
    /// What the remarks come to.
    pub verdict: Verdict,
    /// What the rules say, but that the license is held: [`Assessed::licensed`] tells it.
    pub remarks: Vec<Remark>,
}

impl fmt::Debug for Assessed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assessed")
            .field("user", &self.user)
            .field("verdict", &self.verdict)
            .finish_non_exhaustive()
    }
}

/// How many users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Were read, of every class.
    pub read: u64,
    /// Were judged.
    pub judged: u64,
    /// Are ready.
    pub ready: u64,
    /// Are ready with warnings.
    pub ready_with_warnings: u64,
    /// Are not ready.
    pub not_ready: u64,
    /// Hold the license.
    pub licensed: u64,
    /// Hold the license and are not ready.
    pub licensed_not_ready: u64,
}

/// A tenant's readiness.
#[derive(Debug, Clone)]
pub struct Assessment {
    /// By which setting the verdicts are.
    pub strictness: Strictness,
    /// Totals.
    pub counts: Counts,
    /// Who was judged, ascending by user.
    pub rows: Vec<Assessed>,
}

impl Assessment {
    /// Each rule that remarked something, with the number of users; in the order of the rules.
    pub fn by_rule(&self) -> Vec<(&'static Rule, u64)> {
        let mut users: HashMap<&str, u64> = HashMap::new();
        for remark in self.rows.iter().flat_map(|row| &row.remarks) {
            *users.entry(remark.rule).or_default() += 1;
        }
        let counted = |rule: &'static Rule| users.get(rule.id).map(|count| (rule, *count));
        RULES.iter().filter_map(|rule| counted(rule)).collect()
    }
}

/// Judges a tenant's users. `progress` is told how many users were read so far.
pub async fn assess(
    profiles: &dyn ReadProfiles,
    who: Who,
    strictness: Strictness,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Assessment, Fault> {
    let mut pass = Pass::default();
    let mut after = None;
    loop {
        let page = profiles.profiles(after, ProfileFilter::All).await?;
        for profile in page.profiles {
            pass.take(profile, who)?;
        }
        progress(pass.read);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(pass.close(strictness)),
        }
    }
}

/// What is known half way.
#[derive(Default)]
struct Pass {
    read: u64,
    logins: Holders,
    emails: Holders,
    chosen: Vec<(Profile, Vec<Remark>)>,
}

impl Pass {
    fn take(&mut self, profile: Profile, who: Who) -> Result<(), Fault> {
        self.read += 1;
        self.logins.add(Some(&profile.login), profile.user);
        self.emails.add(profile.email.as_deref(), profile.user);
        if chosen(&profile, who)? {
            let mut remarks = judge(&profile, &Twins::default());
            remarks.retain(|remark| remark.rule != LICENSE_HELD);
            self.chosen.push((slim(profile), remarks));
        }
        Ok(())
    }

    fn close(self, strictness: Strictness) -> Assessment {
        let Self {
            read,
            logins,
            emails,
            chosen,
        } = self;
        let mut counts = Counts {
            read,
            ..Counts::default()
        };
        let rows = chosen.into_iter().map(|(profile, mut remarks)| {
            let twins = Twins {
                login: logins.others(Some(&profile.login), profile.user),
                email: emails.others(profile.email.as_deref(), profile.user),
            };
            judge_twins(&mut remarks, &profile, &twins);
            let row = row(profile, remarks, strictness);
            counts.count(&row);
            row
        });
        let rows = rows.collect();
        Assessment {
            strictness,
            counts,
            rows,
        }
    }
}

impl Counts {
    fn count(&mut self, row: &Assessed) {
        self.judged += 1;
        match row.verdict {
            Verdict::Ready => self.ready += 1,
            Verdict::ReadyWithWarnings => self.ready_with_warnings += 1,
            Verdict::NotReady => self.not_ready += 1,
        }
        if row.licensed == Some(true) {
            self.licensed += 1;
            self.licensed_not_ready += u64::from(row.verdict == Verdict::NotReady);
        }
    }
}

fn chosen(profile: &Profile, who: Who) -> Result<bool, Fault> {
    let candidate = profile.class == AccountClass::Internal && profile.active;
    match (who, profile.licensed) {
        (Who::Everyone, licensed) => Ok(candidate || licensed == Some(true)),
        (Who::Licensed, Some(licensed)) => Ok(licensed),
        (Who::Licensed, None) => Err(Fault::new(
            FaultKind::Unsupported,
            "this tenant does not show who holds the Risk Assess license",
        )
        .advise("assess everyone, or have Risk Assess enabled in Coupa")),
    }
}

/// Without what only the rules look at.
fn slim(profile: Profile) -> Profile {
    Profile {
        middle_name: None,
        phone: None,
        address: None,
        authentication_method: None,
        ..profile
    }
}

fn row(profile: Profile, remarks: Vec<Remark>, strictness: Strictness) -> Assessed {
    let names = [profile.first_name.as_deref(), profile.last_name.as_deref()];
    let names: Vec<&str> = names.into_iter().flatten().collect();
    Assessed {
        user: profile.user,
        name: names.join(" "),
        login: profile.login,
        email: profile.email,
        active: profile.active,
        licensed: profile.licensed,
        verdict: verdict(&remarks, strictness),
        remarks,
    }
}

/// Who has a value, letter case aside. Half of a SHA-256 stands for the value: the accounts of a tenant do not collide in 128 bits.
#[derive(Default)]
struct Holders {
    first: HashMap<[u8; 16], UserId>,
    more: HashMap<[u8; 16], Vec<UserId>>,
}

impl Holders {
    fn add(&mut self, value: Option<&str>, user: UserId) {
        let Some(key) = key(value) else { return };
        match self.first.entry(key) {
            Entry::Vacant(free) => _ = free.insert(user),
            Entry::Occupied(first) => self
                .more
                .entry(key)
                .or_insert_with(|| vec![*first.get()])
                .push(user),
        }
    }

    fn others(&self, value: Option<&str>, user: UserId) -> Vec<UserId> {
        let holders = key(value).and_then(|key| self.more.get(&key));
        let others = holders.into_iter().flatten().copied();
        others.filter(|other| *other != user).collect()
    }
}

fn key(value: Option<&str>) -> Option<[u8; 16]> {
    let value = value.filter(|value| !value.trim().is_empty())?;
    let digest: [u8; 32] = Sha256::digest(value.to_lowercase()).into();
    digest.first_chunk().copied()
}
