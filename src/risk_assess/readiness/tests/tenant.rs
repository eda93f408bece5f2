//! A whole tenant: who is judged, twins pages apart, and what is no answer.

use std::sync::Mutex;

use async_trait::async_trait;

use super::super::{Assessment, Counts, Twins, Verdict, Who, assess, judge};
use super::{id, sound, text};
use crate::model::change::AccountKey;
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::UserId;
use crate::model::profile::{Profile, ProfileFilter, ProfilePage, ReadProfiles};
use crate::model::tenant::AccountClass;
use crate::risk_assess::Strictness;

/// A tenant in memory, a few users per page.
struct Tenant {
    users: Vec<Profile>,
    page: usize,
    asked: Mutex<Vec<ProfileFilter>>,
    fails_after: Option<UserId>,
}

impl Tenant {
    fn of(users: Vec<Profile>, page: usize) -> Self {
        Self {
            users,
            page,
            asked: Mutex::default(),
            fails_after: None,
        }
    }
}

#[async_trait]
impl ReadProfiles for Tenant {
    async fn profile(&self, user: UserId) -> Result<Option<Profile>, Fault> {
        Ok(self.users.iter().find(|profile| profile.user == user).cloned())
    }

    async fn profiles(&self, after: Option<UserId>, filter: ProfileFilter) -> Result<ProfilePage, Fault> {
        if after.is_some() && after == self.fails_after {
            return Err(Fault::unavailable("Coupa did not answer"));
        }
        self.asked.lock().unwrap().push(filter);
        let rest = self.users.iter().filter(|profile| Some(profile.user) > after);
        let profiles: Vec<Profile> = rest.take(self.page).cloned().collect();
        let next = profiles.last().map(|profile| profile.user);
        Ok(ProfilePage { profiles, next })
    }

    async fn accounts_named(&self, key: AccountKey<'_>) -> Result<Vec<UserId>, Fault> {
        let same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
        let has = |profile: &&Profile| match key {
            AccountKey::Login(login) => same(&profile.login, login),
            AccountKey::Email(email) => profile.email.as_deref().is_some_and(|own| same(own, email)),
        };
        Ok(self
            .users
            .iter()
            .filter(has)
            .map(|profile| profile.user)
            .collect())
    }
}

/// Nine users: sound, warned, inactive with and without license, twins pages apart, a supplier and an integration that share values.
fn tenant() -> Tenant {
    let mut users: Vec<Profile> = (1..=9).map(sound).collect();
    users[1].email = text("ü@b.technology");
    users[2].active = false;
    users[3].active = false;
    users[3].licensed = Some(true);
    users[4].login = "Twin-Ü".into();
    users[5].class = AccountClass::Supplier;
    users[5].email = text("ANN1@example.com");
    users[6].class = AccountClass::Api;
    users[6].licensed = Some(true);
    users[6].email = text("robot@example.com");
    users[7].active = false;
    users[7].login = "twin-ü".into();
    users[8].licensed = Some(true);
    Tenant::of(users, 2)
}

fn verdicts(assessment: &Assessment) -> Vec<(u64, Verdict, Vec<&'static str>)> {
    let rows = assessment.rows.iter();
    rows.map(|row| {
        let rules = row.remarks.iter().map(|remark| remark.rule).collect();
        (row.user.get(), row.verdict, rules)
    })
    .collect()
}

#[tokio::test]
async fn a_whole_tenant_is_judged_in_one_pass() {
    use Verdict::{NotReady, Ready, ReadyWithWarnings};
    let tenant = tenant();
    let seen = Mutex::new(Vec::new());
    let progress = |read| seen.lock().unwrap().push(read);
    let assessment = assess(&tenant, Who::Everyone, Strictness::Standard, &progress)
        .await
        .unwrap();
    assert_eq!(
        verdicts(&assessment),
        [
            (1, NotReady, vec!["email-shared"]),
            (2, ReadyWithWarnings, vec!["email-pattern"]),
            (4, NotReady, vec!["account-inactive"]),
            (5, NotReady, vec!["login-shared"]),
            (7, ReadyWithWarnings, vec!["account-machine"]),
            (9, Ready, vec![]),
        ]
    );
    assert_eq!(
        assessment.counts,
        Counts {
            read: 9,
            judged: 6,
            ready: 1,
            ready_with_warnings: 2,
            not_ready: 3,
            licensed: 3,
            licensed_not_ready: 1,
        }
    );
    let by_rule: Vec<(&str, u64)> = assessment
        .by_rule()
        .into_iter()
        .map(|(rule, count)| (rule.id, count))
        .collect();
    assert_eq!(
        by_rule,
        [
            ("account-inactive", 1),
            ("login-shared", 1),
            ("email-shared", 1),
            ("account-machine", 1),
            ("email-pattern", 1)
        ]
    );
    assert_eq!(*seen.lock().unwrap(), [2, 4, 6, 8, 9, 9]);
    assert!(
        tenant
            .asked
            .lock()
            .unwrap()
            .iter()
            .all(|filter| *filter == ProfileFilter::All),
        "uniqueness is over everybody"
    );
    let debug = format!("{assessment:?}");
    assert!(
        !debug.contains("ann1") && !debug.contains("Other") && !debug.contains("twin"),
        "{debug}"
    );
}

#[tokio::test]
async fn holders_alone_are_compared_with_everybody() {
    let mut tenant = tenant();
    tenant.users[0].licensed = Some(true);
    let assessment = assess(&tenant, Who::Licensed, Strictness::Lenient, &|_| ())
        .await
        .unwrap();
    let users: Vec<u64> = assessment.rows.iter().map(|row| row.user.get()).collect();
    assert_eq!(users, [1, 4, 7, 9]);
    assert_eq!(assessment.rows[0].remarks[0].text, "user 6 has it, too");
    assert_eq!(
        assessment.rows[0].verdict,
        Verdict::ReadyWithWarnings,
        "lenient never refuses"
    );
    tenant.users[4].licensed = None;
    let fault = assess(&tenant, Who::Licensed, Strictness::Standard, &|_| ())
        .await
        .unwrap_err();
    assert_eq!(
        *fault.kind(),
        FaultKind::Unsupported,
        "an unseen flag is not a missing license"
    );
}

#[tokio::test]
async fn half_a_tenant_is_no_answer() {
    let tenant = Tenant {
        fails_after: Some(id(4)),
        ..tenant()
    };
    let result = assess(&tenant, Who::Everyone, Strictness::Standard, &|_| ()).await;
    assert_eq!(*result.unwrap_err().kind(), FaultKind::Unavailable);
}

#[tokio::test]
async fn one_user_and_a_whole_tenant_are_judged_alike() {
    let tenant = tenant();
    let assessment = assess(&tenant, Who::Everyone, Strictness::Standard, &|_| ())
        .await
        .unwrap();
    for row in &assessment.rows {
        let profile = tenant.profile(row.user).await.unwrap().unwrap();
        let twins = Twins::find(&tenant, &profile).await.unwrap();
        let mut alone = judge(&profile, &twins);
        alone.retain(|remark| remark.rule != "license-held");
        assert_eq!(row.remarks, alone, "user {}", row.user);
    }
    let mut nameless = sound(99);
    nameless.login = " ".into();
    nameless.email = None;
    assert_eq!(
        Twins::find(&tenant, &nameless).await.unwrap(),
        Twins::default(),
        "nobody shares nothing"
    );
}
