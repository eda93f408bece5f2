//! Accounts: made once, under a login that nobody has, and updated.
//!
//! Invariants: an account is never made again after a failure whose effect is unknown, unless it was looked up after the failure had
//! settled and is not there; elements and licenses count as set when Coupa shows them; an account that was made is told as made, whatever
//! becomes of its licenses.

use std::collections::BTreeSet;

use tokio::time::{Instant, sleep, sleep_until};

use crate::model::access::Item;
use crate::model::change::{
    AccountDraft, AccountKey, Activity, AuthenticationMethod, Call, Change, Effect, OnInactive, Order,
    Outcome,
};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::{LicenseName, UserId};
use crate::model::journal::{Ending, Held};
use crate::model::tenant::User;

use super::decide::{finding, login_digest, subject, unchanged, waits_for};
use super::engine::Engine;
use super::finish::already;
use super::fresh::{Seen, Ways};
use super::locks::Lock;
use super::patience::Waits;
use super::run::{Reply, Run, Stop};

/// Whether a login is taken.
pub(super) enum Taken {
    No,
    Active(Seen),
    Inactive(Seen),
}

impl Engine {
    pub(super) async fn create(
        &self,
        order: &Order,
        change: &Change,
        draft: &AccountDraft,
        on_inactive: OnInactive,
    ) -> Result<Outcome, Fault> {
        let _login = self.locks.hold(Lock::Login(login_digest(draft))).await;
        if let Some(answer) = self.asked_before(order, change).await? {
            return Ok(answer);
        }
        self.nobody_makes(change).await?;
        self.licenses_can_be_given(draft).await?;
        match self.taken(draft).await? {
            Taken::No => {
                let mut run = Run::open(self, order, subject(change), None, Held::Nothing).await?;
                let result = run.create(draft).await;
                run.finish(result, Effect::Made).await
            }
            Taken::Inactive(seen) if on_inactive == OnInactive::Reactivate => {
                self.reactivate(order, change, seen.user.id).await
            }
            Taken::Active(seen) | Taken::Inactive(seen) => {
                let active = Held::Flag(seen.user.active);
                Ok(already(seen, Effect::Existed, active))
            }
        }
    }

    /// An account that a change of unknown end may have made is not made again.
    async fn nobody_makes(&self, change: &Change) -> Result<(), Fault> {
        let subject = subject(change);
        let open = self.ledger.open_entries().await?;
        match open.iter().find(|entry| entry.intent.subject == subject) {
            Some(entry) => {
                self.wake.notify_one();
                Err(waits_for(entry.id))
            }
            None => Ok(()),
        }
    }

    /// Looks for the account by login and by e-mail.
    pub(super) async fn taken(&self, draft: &AccountDraft) -> Result<Taken, Fault> {
        let login = needed(draft.login.as_deref(), "login")?;
        let email = needed(draft.email.as_deref(), "email")?;
        if let Some(user) = self.of_login(login).await? {
            let seen = self.look(user, Ways::One).await?;
            return Ok(if seen.user.active {
                Taken::Active(seen)
            } else {
                Taken::Inactive(seen)
            });
        }
        match self.calls.accounts(AccountKey::Email(email)).await?.first() {
            Some(user) => Err(Fault::new(
                FaultKind::Conflict,
                format!("the e-mail address belongs to user {user}, whose login is another"),
            )),
            None => Ok(Taken::No),
        }
    }

    async fn of_login(&self, login: &str) -> Result<Option<UserId>, Fault> {
        match self.calls.accounts(AccountKey::Login(login)).await?.as_slice() {
            [] => Ok(None),
            [user] => Ok(Some(*user)),
            [one, other, ..] => Err(Fault::new(
                FaultKind::Conflict,
                format!("the login belongs to users {one} and {other}"),
            )),
        }
    }

    async fn reactivate(&self, order: &Order, change: &Change, user: UserId) -> Result<Outcome, Fault> {
        let _user = self.locks.hold(Lock::User(user)).await;
        self.nothing_open(user).await?;
        let seen = self.look(user, Ways::One).await?;
        let before = Held::Flag(seen.user.active);
        if seen.user.active {
            return Ok(already(seen, Effect::Existed, before));
        }
        let to = Activity::Active;
        let _cleared = self.clear(&Change::SetActive { user, to }, &seen).await?;
        let mut run = Run::open(self, order, subject(change), Some(user), before).await?;
        let call = Call::SetActive { user, to };
        let result = run.set(&[call], |seen| seen.user.active).await;
        run.finish(result, Effect::Reactivated).await
    }
}

impl Run<'_> {
    async fn create(&mut self, draft: &AccountDraft) -> Result<Seen, Stop> {
        let mut asked = draft.clone();
        let mut last = None;
        for _ in 0..self.engine.config.attempts {
            let call = Call::Create(Box::new(asked.clone()));
            let found = match self.send(&call).await? {
                Reply::Accepted(accepted) => match accepted.created {
                    Some(user) => Some(user),
                    None => Some(self.appeared(draft).await?.ok_or_else(|| self.not_shown())?),
                },
                // A license may be what is wrong, and it can be given to the account later.
                Reply::Refused(fault)
                    if *fault.kind() == FaultKind::Invalid && !asked.licenses.is_empty() =>
                {
                    asked.licenses.clear();
                    last = Some(fault);
                    continue;
                }
                Reply::Refused(fault) if !fault.is_transient() => return Err(Stop::not_made(fault)),
                Reply::Refused(fault) => {
                    self.pause(&fault).await?;
                    last = Some(fault);
                    self.engine.of_login(login(draft)).await.map_err(Stop::not_made)?
                }
                Reply::Unclear(fault) => {
                    last = Some(fault);
                    self.appeared(draft).await?
                }
            };
            self.landed();
            if let Some(user) = found {
                return self.made(user, draft).await;
            }
        }
        Err(Stop::not_made(last.unwrap_or_else(|| {
            Fault::unavailable("the account could not be made")
        })))
    }

    /// Looks the login up for as long as the account may yet appear.
    async fn appeared(&mut self, draft: &AccountDraft) -> Result<Option<UserId>, Stop> {
        let end = Instant::now() + self.engine.config.show_within;
        let end = self.settled_at().map_or(end, |at| at.max(end));
        let mut waits = Waits::until(end, &self.engine.config);
        loop {
            let found = self.engine.of_login(login(draft)).await;
            if let Ok(Some(user)) = found {
                return Ok(Some(user));
            }
            match waits.look_again(Instant::now()) {
                Some(wait) => sleep(wait).await,
                None => return found.map_err(Stop::unproved),
            }
        }
    }

    /// The account as Coupa shows it; what it does not show as asked is told.
    async fn made(&mut self, user: UserId, draft: &AccountDraft) -> Result<Seen, Stop> {
        self.user = Some(user);
        let shown = self.shown(Ways::One, |seen| elements(draft, &seen.user).differ.is_empty());
        let seen = shown.await.map_err(Stop::unproved)?;
        let Elements { differ, unproved } = elements(draft, &seen.user);
        if !differ.is_empty() {
            self.findings.push(finding(format!(
                "Coupa made the account and does not show as asked: {}",
                differ.join(", ")
            )));
        }
        self.not_proved(&unproved);
        self.license(user, &draft.licenses, seen).await
    }

    /// Gives a new account the licenses that it does not show. One that it cannot be given is told, for the account is there.
    async fn license(
        &mut self,
        user: UserId,
        licenses: &BTreeSet<LicenseName>,
        mut seen: Seen,
    ) -> Result<Seen, Stop> {
        for name in licenses {
            if seen.holds(&Item::License(name.clone())) {
                continue;
            }
            match self.set_license(user, name, true).await {
                Ok(now) => seen = now,
                Err(Stop::Ended(_, fault)) => {
                    let why = match fault.kind() {
                        FaultKind::Unchanged => "Coupa accepted it and does not show it",
                        _ => fault.message(),
                    };
                    let text = format!("the account was made without license {name}: {why}");
                    self.findings.push(finding(text));
                }
                // A request of ours may yet take effect: recovery tells what has come of it.
                Err(open @ Stop::Open(_)) => return Err(open),
            }
        }
        Ok(seen)
    }

    pub(super) async fn update(&mut self, user: UserId, draft: &AccountDraft) -> Result<Seen, Stop> {
        let call = Call::Update {
            user,
            draft: Box::new(draft.clone()),
        };
        let shown = |seen: &Seen| elements(draft, &seen.user).differ.is_empty();
        let result = self.set(&[call], shown).await;
        match result {
            Ok(seen) => {
                self.not_proved(&elements(draft, &seen.user).unproved);
                Ok(seen)
            }
            Err(Stop::Ended(Ending::Unchanged, fault)) => Err(Stop::Ended(
                Ending::Unchanged,
                self.named_elements(fault, draft).await,
            )),
            Err(stop) => Err(stop),
        }
    }

    /// The fault of an update, naming the elements that are not as asked.
    async fn named_elements(&mut self, fault: Fault, draft: &AccountDraft) -> Fault {
        match self.look(Ways::One).await {
            Ok(seen) => fault.context(format!(
                "not as asked: {}",
                elements(draft, &seen.user).differ.join(", ")
            )),
            Err(_) => fault,
        }
    }

    fn not_proved(&mut self, names: &[&str]) {
        if !names.is_empty() {
            let names = names.join(", ");
            self.findings.push(finding(format!(
                "not shown by Coupa in a form that can be compared, so not proved: {names}"
            )));
        }
    }

    fn not_shown(&self) -> Stop {
        Stop::Open(unchanged(&self.subject, None, self.entry))
    }
}

/// Waits until nothing of an earlier process can take effect any more.
pub(super) async fn settled(run: &Run<'_>) {
    if let Some(at) = run.settled_at() {
        sleep_until(at).await;
    }
}

/// Elements of a draft against an account.
struct Elements {
    /// Shown, and not as asked.
    differ: Vec<&'static str>,
    /// Set, and not shown.
    unproved: Vec<&'static str>,
}

/// A fault if an update is to give licenses: each is a change of its own, with a proof of its own.
pub(super) fn gives_no_license(change: &Change) -> Result<(), Fault> {
    match change {
        Change::Update { draft, .. } if !draft.licenses.is_empty() => Err(Fault::invalid(
            "licenses are not given by an update of the account",
        )
        .advise("grant them one by one")),
        _ => Ok(()),
    }
}

/// Whether an update has nothing to do, as far as Coupa shows.
pub(super) fn update_is_shown(draft: &AccountDraft, user: &User) -> bool {
    let Elements { differ, unproved } = elements(draft, user);
    differ.is_empty() && unproved.is_empty()
}

fn elements(draft: &AccountDraft, user: &User) -> Elements {
    let same = |asked: &Option<Box<str>>, shown: Option<&str>| {
        asked.as_deref().is_none_or(|asked| Some(asked) == shown)
    };
    let alike = |asked: &Option<Box<str>>, shown: Option<&str>| {
        let lower = |text: &str| text.to_lowercase();
        asked
            .as_deref()
            .is_none_or(|asked| Some(lower(asked)) == shown.map(lower))
    };
    let method = draft.authentication_method.map(AuthenticationMethod::name);
    let compared = [
        ("login", alike(&draft.login, Some(&user.login))),
        ("email", alike(&draft.email, user.email.as_deref())),
        ("firstname", same(&draft.first_name, user.first_name.as_deref())),
        ("lastname", same(&draft.last_name, user.last_name.as_deref())),
        (
            "employee-number",
            same(&draft.employee_number, user.employee_number.as_deref()),
        ),
        (
            "authentication-method",
            method.is_none_or(|method| Some(method) == user.authentication_method.as_deref()),
        ),
        (
            "sso-identifier",
            same(&draft.sso_identifier, user.sso_identifier.as_deref()),
        ),
        (
            "manager",
            draft.manager.is_none_or(|manager| Some(manager) == user.manager),
        ),
        ("department", same(&draft.department, user.department.as_deref())),
    ];
    let hidden = [
        ("default-locale", draft.default_locale.is_some()),
        ("default-currency", draft.default_currency.is_some()),
        ("custom-fields", !draft.custom.is_empty()),
    ];
    let names = |name: &'static str, pick: bool| pick.then_some(name);
    Elements {
        differ: compared
            .into_iter()
            .filter_map(|(name, same)| names(name, !same))
            .collect(),
        unproved: hidden
            .into_iter()
            .filter_map(|(name, set)| names(name, set))
            .collect(),
    }
}

fn login(draft: &AccountDraft) -> &str {
    draft.login.as_deref().unwrap_or_default()
}

fn needed<'a>(value: Option<&'a str>, name: &str) -> Result<&'a str, Fault> {
    let given = value.filter(|value| !value.trim().is_empty());
    given.ok_or_else(|| Fault::invalid(format!("an account cannot be made without {name}")))
}
