//! The facts the policy judges by, read before anything is sent.
//!
//! Invariant: whether another administrator is left is asked, and acted upon, by one change at a time; an account that a change of
//! unknown end may still take it from does not count.

use std::fmt;

use crate::model::access::{Item, LicenseCatalog, LicenseWrite};
use crate::model::change::{AccountDraft, Activity, Change};
use crate::model::class::{SupplierRoles, classify};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::{LicenseName, RoleId, UserId};
use crate::model::journal::{Intent, Subject};
use crate::model::tenant::{
    AccountClass, ClassMarks, Role, User, UserCursor, UserFilter, UserOrder, UserQuery,
};

use super::engine::Engine;
use super::fresh::{Probe, Seen, Ways};
use super::locks::{Held, Lock};
use super::policy::{Administrators, Facts};

/// A change that may be made, and the lock that is held until it has been.
pub(super) struct Cleared {
    _administrators: Option<Held>,
}

impl Engine {
    /// A fault if the change cannot or must not be made.
    pub(super) async fn clear(&self, change: &Change, seen: &Seen) -> Result<Cleared, Fault> {
        let group_active = self.item_exists(change, seen).await?;
        let (lock, administrators) = self.administrators(change, seen).await?;
        let facts = Facts {
            change,
            class: class_of(&seen.probe, seen.user.marks, &seen.roles()),
            own: self.is_own(change, seen).await?,
            group_active,
            roles_left: roles_left(change, seen),
            administrators,
        };
        self.policy.judge(&facts)?;
        Ok(Cleared {
            _administrators: lock,
        })
    }

    /// A fault if a new account cannot have the licenses it is to have.
    pub(super) async fn licenses_can_be_given(&self, draft: &AccountDraft) -> Result<(), Fault> {
        if draft.licenses.is_empty() {
            return Ok(());
        }
        let probe = self.probes.get().await?;
        let catalog = &probe.reader.survey().licenses;
        for name in &draft.licenses {
            writable(catalog, name).map_err(|fault| match fault.kind() {
                // The account is not what is missing.
                FaultKind::NotFound => Fault::invalid(fault.message().to_owned()),
                _ => fault,
            })?;
        }
        Ok(())
    }

    /// Whether the group to give is in use; a fault if the item cannot be given at all.
    async fn item_exists(&self, change: &Change, seen: &Seen) -> Result<bool, Fault> {
        let reader = &seen.probe.reader;
        match change {
            Change::Grant { item, .. } => match item {
                Item::Role(id) => match reader.role(*id).await? {
                    Some(_) => Ok(true),
                    None => Err(unknown(format_args!("role {id}"))),
                },
                Item::Group(id) => match reader.group(*id).await? {
                    Some(group) => Ok(group.active),
                    None => Err(unknown(format_args!("group {id}"))),
                },
                Item::License(name) => writable(seen.licenses(), name),
            },
            Change::Revoke {
                item: Item::License(name),
                ..
            } => writable(seen.licenses(), name),
            Change::Revoke { .. }
            | Change::SetActive { .. }
            | Change::Update { .. }
            | Change::Create { .. } => Ok(true),
        }
    }

    async fn is_own(&self, change: &Change, seen: &Seen) -> Result<bool, Fault> {
        match change {
            Change::Revoke { .. } | Change::SetActive { .. } => {
                Ok(self.own_account().await? == Some(seen.user.id))
            }
            Change::Grant { .. } | Change::Update { .. } | Change::Create { .. } => Ok(false),
        }
    }

    /// Whether the change takes an administrator away, and whether others are left then.
    async fn administrators(
        &self,
        change: &Change,
        seen: &Seen,
    ) -> Result<(Option<Held>, Administrators), Fault> {
        let not_concerned = Ok((None, Administrators::NotConcerned));
        let held = seen.roles();
        let kept: Vec<RoleId> = match change {
            Change::Revoke {
                item: Item::Role(role),
                ..
            } => held.iter().copied().filter(|id| id != role).collect(),
            Change::SetActive {
                to: Activity::Inactive,
                ..
            } => Vec::new(),
            _ => return not_concerned,
        };
        if !seen.user.active {
            return not_concerned;
        }
        let omnipotent = Omnipotent::among(&seen.probe.reader.roles().await?);
        if !omnipotent.any(&held) || omnipotent.any(&kept) {
            return not_concerned;
        }
        let lock = self.locks.hold(Lock::Administrators).await;
        let left = if self.another_administrator(&omnipotent, seen).await? {
            Administrators::Others
        } else {
            Administrators::Last
        };
        Ok((Some(lock), left))
    }

    /// Whether a person other than this one, active and not under change, holds a role that may do everything.
    async fn another_administrator(&self, omnipotent: &Omnipotent, seen: &Seen) -> Result<bool, Fault> {
        for role in &omnipotent.0 {
            if self.another_holder(*role, omnipotent, seen).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn another_holder(
        &self,
        role: RoleId,
        omnipotent: &Omnipotent,
        seen: &Seen,
    ) -> Result<bool, Fault> {
        let reader = &seen.probe.reader;
        let mut from = Some(match reader.survey().order {
            UserOrder::ById => UserCursor::After(0),
            UserOrder::Arbitrary => UserCursor::Offset(0),
        });
        while let Some(at) = from {
            let filter = UserFilter::Holding(Item::Role(role));
            let page = reader.users(&UserQuery { from: at, filter }).await?;
            for user in page.users {
                let other = user.id != seen.user.id && omnipotent.is_person(&seen.probe, &user);
                if other && self.is_still(omnipotent, &user).await? {
                    return Ok(true);
                }
            }
            from = page.next;
        }
        Ok(false)
    }

    /// A listing may be older than the last change.
    async fn is_still(&self, omnipotent: &Omnipotent, listed: &User) -> Result<bool, Fault> {
        let open = self.ledger.open_entries().await?;
        if open
            .iter()
            .any(|entry| may_take_administrator(&entry.intent, listed.id))
        {
            return Ok(false);
        }
        match self.look(listed.id, Ways::One).await {
            Ok(now) => Ok(omnipotent.is_person(&now.probe, &now.user)),
            Err(fault) if *fault.kind() == FaultKind::NotFound => Ok(false),
            Err(fault) => Err(fault),
        }
    }
}

/// Roles that may do everything.
struct Omnipotent(Vec<RoleId>);

impl Omnipotent {
    fn among(roles: &[Role]) -> Self {
        let omnipotent = roles.iter().filter(|role| role.omnipotent);
        Self(omnipotent.map(|role| role.id).collect())
    }

    fn any(&self, roles: &[RoleId]) -> bool {
        roles.iter().any(|role| self.0.contains(role))
    }

    /// Whether an account is a person of the company who can sign in and may do everything.
    fn is_person(&self, probe: &Probe, user: &User) -> bool {
        let roles = user.access.roles();
        user.active && self.any(roles) && class_of(probe, user.marks, roles) == AccountClass::Internal
    }
}

fn may_take_administrator(intent: &Intent, user: UserId) -> bool {
    let takes = matches!(
        intent.subject,
        Subject::Revoke(Item::Role(_)) | Subject::SetActive(Activity::Inactive)
    );
    takes && intent.user == Some(user)
}

fn class_of(probe: &Probe, marks: ClassMarks, roles: &[RoleId]) -> AccountClass {
    let suppliers = SupplierRoles::among(&probe.roles);
    classify(marks, roles, &suppliers)
}

fn roles_left(change: &Change, seen: &Seen) -> usize {
    let roles = seen.roles();
    match change {
        Change::Revoke {
            item: Item::Role(role),
            ..
        } => roles.iter().filter(|id| *id != role).count(),
        _ => roles.len(),
    }
}

fn writable(catalog: &LicenseCatalog, name: &LicenseName) -> Result<bool, Fault> {
    let license = catalog.position(name).and_then(|at| catalog.get(at));
    match license.map(|license| license.write) {
        Some(LicenseWrite::Writable | LicenseWrite::Unproven) => Ok(true),
        Some(LicenseWrite::ReadOnly) => Err(Fault::new(
            FaultKind::Refused,
            format!("license {name} is not grantable: Coupa's API only shows it"),
        )),
        None => Err(unknown(format_args!("license {name}"))),
    }
}

fn unknown(what: impl fmt::Display) -> Fault {
    Fault::new(FaultKind::NotFound, format!("Coupa has no {what}"))
}
