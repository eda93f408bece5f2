//! Which changes are declined although Coupa would make them.
//!
//! Invariant: pure. Every refusal has a name; where a person may decide otherwise, it names the setting.

use std::collections::BTreeSet;

use crate::model::access::Item;
use crate::model::change::{Activity, Change};
use crate::model::fault::{Fault, FaultKind};
use crate::model::tenant::AccountClass;

/// A refusal that a person may switch off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exception {
    /// Giving membership of a group that is not in use.
    InactiveGroup,
    /// Any change of a supplier's portal account.
    SupplierAccount,
    /// Any change of an account of Coupa's support.
    SupportAccount,
    /// Taking something from the account the connector itself works as, or deactivating it.
    OwnAccount,
    /// Taking the last role. Coupa: an account without roles may be given the role `User`.
    NoRoles,
}

impl Exception {
    /// Every exception.
    pub const ALL: [Self; 5] = [
        Self::InactiveGroup,
        Self::SupplierAccount,
        Self::SupportAccount,
        Self::OwnAccount,
        Self::NoRoles,
    ];

    /// The name in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InactiveGroup => "inactive-group",
            Self::SupplierAccount => "supplier-account",
            Self::SupportAccount => "support-account",
            Self::OwnAccount => "own-account",
            Self::NoRoles => "no-roles",
        }
    }

    /// The exception with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|exception| exception.name() == name)
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::InactiveGroup => "the group is not in use",
            Self::SupplierAccount => "the account belongs to a supplier",
            Self::SupportAccount => "the account belongs to Coupa's support",
            Self::OwnAccount => "it is the account this connector works as",
            Self::NoRoles => "the account would have no role left",
        }
    }

    /// The refusal.
    pub(super) fn declined(self) -> Fault {
        let name = self.name();
        Fault::new(
            FaultKind::Declined,
            format!("declined by the policy {name}: {}", self.reason()),
        )
        .advise(format!(
            "to make such changes all the same, set --provisioning-allow {name}"
        ))
    }
}

/// What a person has decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Changes that are made although they would be declined.
    pub allow: BTreeSet<Exception>,
}

/// Whether somebody who may do everything is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Administrators {
    /// The change does not touch that.
    NotConcerned,
    /// Others are left.
    Others,
    /// This is the last one.
    Last,
}

/// What is known about a change that would be made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) change: &'a Change,
    pub(super) class: AccountClass,
    /// Whether the account is the connector's own.
    pub(super) own: bool,
    /// Whether the group to give is in use.
    pub(super) group_active: bool,
    /// Roles after the change.
    pub(super) roles_left: usize,
    pub(super) administrators: Administrators,
}

impl Policy {
    /// A fault if the change is declined.
    pub(super) fn judge(&self, facts: &Facts<'_>) -> Result<(), Fault> {
        if facts.administrators == Administrators::Last {
            return Err(last_administrator());
        }
        let against = Exception::ALL
            .into_iter()
            .find(|exception| concerns(*exception, facts) && !self.allow.contains(exception));
        against.map_or(Ok(()), |exception| Err(exception.declined()))
    }
}

fn concerns(exception: Exception, facts: &Facts<'_>) -> bool {
    let takes = matches!(
        facts.change,
        Change::Revoke { .. }
            | Change::SetActive {
                to: Activity::Inactive,
                ..
            }
    );
    match exception {
        Exception::InactiveGroup => {
            let gives_group = matches!(
                facts.change,
                Change::Grant {
                    item: Item::Group(_),
                    ..
                }
            );
            gives_group && !facts.group_active
        }
        Exception::SupplierAccount => facts.class == AccountClass::Supplier,
        Exception::SupportAccount => facts.class == AccountClass::Support,
        Exception::OwnAccount => takes && facts.own,
        Exception::NoRoles => {
            let takes_role = matches!(
                facts.change,
                Change::Revoke {
                    item: Item::Role(_),
                    ..
                }
            );
            takes_role && facts.roles_left == 0
        }
    }
}

fn last_administrator() -> Fault {
    Fault::new(
        FaultKind::Declined,
        "declined by the policy last-administrator: nobody who may do everything would be left",
    )
    .advise("give another active person such a role first")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::id::{GroupId, RoleId, UserId};

    fn facts(change: &Change) -> Facts<'_> {
        Facts {
            change,
            class: AccountClass::Internal,
            own: false,
            group_active: true,
            roles_left: 1,
            administrators: Administrators::NotConcerned,
        }
    }

    fn verdict(policy: &Policy, facts: &Facts<'_>) -> Option<String> {
        let fault = policy.judge(facts).err()?;
        assert_eq!(*fault.kind(), FaultKind::Declined);
        Some(fault.to_string())
    }

    #[test]
    fn each_refusal_has_a_name_and_can_be_switched_off() {
        let user = UserId::new(42).unwrap();
        let role = Item::Role(RoleId::new(5).unwrap());
        let group = Item::Group(GroupId::new(7).unwrap());
        let grant = Change::Grant {
            user,
            item: role.clone(),
        };
        let grant_group = Change::Grant { user, item: group };
        let revoke = Change::Revoke { user, item: role };
        let off = Change::SetActive {
            user,
            to: Activity::Inactive,
        };
        let supplier = AccountClass::Supplier;
        let support = AccountClass::Support;
        let cases = [
            (
                Exception::InactiveGroup,
                Facts {
                    group_active: false,
                    ..facts(&grant_group)
                },
            ),
            (
                Exception::SupplierAccount,
                Facts {
                    class: supplier,
                    ..facts(&grant)
                },
            ),
            (
                Exception::SupportAccount,
                Facts {
                    class: support,
                    ..facts(&off)
                },
            ),
            (
                Exception::OwnAccount,
                Facts {
                    own: true,
                    ..facts(&revoke)
                },
            ),
            (
                Exception::OwnAccount,
                Facts {
                    own: true,
                    ..facts(&off)
                },
            ),
            (
                Exception::NoRoles,
                Facts {
                    roles_left: 0,
                    ..facts(&revoke)
                },
            ),
        ];
        for (exception, facts) in cases {
            let text = verdict(&Policy::default(), &facts).unwrap();
            assert!(
                text.contains(&format!("--provisioning-allow {}", exception.name())),
                "{text}"
            );
            let allowed = Policy {
                allow: [exception].into(),
            };
            assert_eq!(verdict(&allowed, &facts), None);
        }
        assert_eq!(verdict(&Policy::default(), &facts(&revoke)), None);
        let own_grant = Facts {
            own: true,
            roles_left: 0,
            group_active: false,
            ..facts(&grant)
        };
        assert_eq!(verdict(&Policy::default(), &own_grant), None, "giving is no harm");
    }

    #[test]
    fn the_last_administrator_stays_whatever_is_allowed() {
        let user = UserId::new(42).unwrap();
        let off = Change::SetActive {
            user,
            to: Activity::Inactive,
        };
        let all = Policy {
            allow: Exception::ALL.into(),
        };
        let last = Facts {
            administrators: Administrators::Last,
            ..facts(&off)
        };
        assert!(verdict(&all, &last).unwrap().contains("last-administrator"));
        let others = Facts {
            administrators: Administrators::Others,
            ..facts(&off)
        };
        assert_eq!(verdict(&all, &others), None);
    }

    #[test]
    fn names_are_read_again() {
        for exception in Exception::ALL {
            assert_eq!(Exception::from_name(exception.name()), Some(exception));
        }
        assert_eq!(Exception::from_name("last-administrator"), None);
    }
}
