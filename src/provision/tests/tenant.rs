//! The ports of a tenant in memory, with an event planned for any call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::world::{
    Account, Edit, Event, GIVEN_ROLE, INACTIVE_GROUP, OMNIPOTENT, Readings, SUPPLIER_ROLE, World, access,
    catalog, half, ids, invalid, limited, lost,
};
use crate::model::access::Access;
use crate::model::change::{
    Accepted, AccountKey, Acted, Call, CallFailure, ListKind, MembershipId, PlannedRequest, WriteCalls,
};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::{GroupId, RoleId, UserId};
use crate::model::tenant::{
    Group, GroupKind, ReadTenant, Role, Survey, Tenant, Usage, User, UserCursor, UserOrder, UserPage,
    UserQuery,
};

/// The tenant: all handles share one world.
#[derive(Clone)]
pub(crate) struct Fake {
    world: Arc<Mutex<World>>,
    pub(crate) crashed: Arc<Notify>,
    survey: Arc<Survey>,
}

impl Fake {
    pub(crate) fn new(users: Vec<User>, readings: Readings) -> Self {
        let account = |user: User| {
            let (old, version) = (None, 0);
            (user.id.get(), Account { user, old, version })
        };
        let world = World {
            accounts: users.into_iter().map(account).collect(),
            readings,
            ..World::default()
        };
        Self {
            world: Arc::new(Mutex::new(world)),
            crashed: Arc::default(),
            survey: Arc::new(Survey {
                order: UserOrder::ById,
                highest_user: None,
                licenses: catalog(),
                surface: "rest",
                findings: Vec::new(),
                seen: Vec::new(),
            }),
        }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Events by number of the call, counted from 1 on from now.
    pub(crate) fn plan(&self, plan: impl IntoIterator<Item = (usize, Event)>) {
        let mut world = self.world();
        world.calls = 0;
        world.plan = plan.into_iter().collect();
    }

    pub(crate) fn calls(&self) -> usize {
        self.world().calls
    }

    pub(crate) fn edit(&self, edit: Edit) {
        self.world().edit(edit);
    }

    /// What the user really holds.
    pub(crate) fn holds(&self, user: u64, list: ListKind) -> Vec<u64> {
        let mut world = self.world();
        world.land();
        let user = world.truth(user).unwrap();
        ids(&user.access, list).into_iter().collect()
    }

    /// Everything that is under way has had its effect.
    pub(crate) async fn calm(&self) {
        tokio::time::sleep(Duration::from_mins(10)).await;
        self.world().land();
    }

    /// The event of this call, after what has to happen before it.
    async fn begin(&self) -> Option<Event> {
        tokio::task::yield_now().await;
        let event = {
            let mut world = self.world();
            world.calls += 1;
            world.land();
            let calls = world.calls;
            world.plan.get(&calls).copied()
        };
        match event {
            Some(Event::CrashBefore) => self.crash().await,
            Some(Event::EditBefore(edit)) => self.edit(edit),
            _ => {}
        }
        event
    }

    async fn end(&self, event: Option<Event>) {
        match event {
            Some(Event::CrashAfter) => self.crash().await,
            Some(Event::EditAfter(edit)) => self.edit(edit),
            _ => {}
        }
        tokio::task::yield_now().await;
    }

    /// The process ends here: whoever waits for [`Fake::crashed`] ends it.
    async fn crash(&self) {
        self.crashed.notify_one();
        pending::<()>().await;
    }

    async fn read<T>(&self, what: impl FnOnce(&mut World) -> T) -> Result<T, Fault> {
        let event = self.begin().await;
        let fault = match event {
            Some(Event::LostBefore | Event::LostAfter | Event::Partial | Event::Late(_)) => Some(lost()),
            Some(Event::Limited(seconds)) => Some(limited(seconds)),
            Some(Event::Rejected) => Some(Fault::corrupt("Coupa's answer does not have the expected form")),
            Some(Event::Unauthenticated) => Some(Fault::new(FaultKind::Unauthenticated, "401")),
            _ => None,
        };
        let read = match fault {
            Some(fault) => Err(fault),
            None => Ok(what(&mut self.world())),
        };
        self.end(event).await;
        read
    }
}

#[async_trait]
impl WriteCalls for Fake {
    async fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    async fn send(&self, call: &Call) -> Result<Accepted, CallFailure> {
        let event = self.begin().await;
        let refused = |fault| {
            let acted = Acted::No;
            Err(CallFailure { fault, acted })
        };
        let unclear = || {
            let (fault, acted) = (lost(), Acted::Perhaps);
            Err(CallFailure { fault, acted })
        };
        let reply = {
            let mut world = self.world();
            world.sent.push(call.clone());
            match event {
                Some(Event::LostBefore) => unclear(),
                Some(Event::LostAfter) => {
                    let _ = world.act(call);
                    unclear()
                }
                Some(Event::Partial) => {
                    let _ = world.act(&half(call));
                    unclear()
                }
                Some(Event::Late(seconds)) => {
                    let at = Instant::now() + Duration::from_secs(seconds);
                    world.late.push((at, call.clone()));
                    unclear()
                }
                Some(Event::Limited(seconds)) => refused(limited(seconds)),
                Some(Event::Rejected) => refused(invalid()),
                Some(Event::Unauthenticated) => refused(Fault::new(FaultKind::Unauthenticated, "401")),
                Some(Event::NotFound) => refused(Fault::new(FaultKind::NotFound, "404")),
                _ => world.act(call).or_else(refused),
            }
        };
        self.end(event).await;
        reply
    }

    fn request(&self, call: &Call) -> PlannedRequest {
        PlannedRequest {
            method: "PUT",
            path: crate::provision::steps::text(call),
            body: String::new(),
            condition: None,
        }
    }

    async fn memberships(&self, user: UserId, group: GroupId) -> Result<Vec<MembershipId>, Fault> {
        let row = MembershipId(user.get() * 1000 + group.get());
        self.read(|world| {
            let user = world.visible(user.get());
            let member = user.is_some_and(|user| ids(&user.access, ListKind::Groups).contains(&group.get()));
            if member { vec![row] } else { Vec::new() }
        })
        .await
    }

    async fn accounts(&self, key: AccountKey<'_>) -> Result<Vec<UserId>, Fault> {
        self.read(|world| {
            let matches = |user: &User| match key {
                AccountKey::Login(login) => user.login.eq_ignore_ascii_case(login),
                AccountKey::Email(email) => user
                    .email
                    .as_deref()
                    .is_some_and(|own| own.eq_ignore_ascii_case(email)),
            };
            let users = world.accounts.values().map(|account| &account.user);
            users.filter(|user| matches(user)).map(|user| user.id).collect()
        })
        .await
    }

    async fn own_account(&self) -> Result<Option<UserId>, Fault> {
        self.read(|world| world.own).await
    }
}

#[async_trait]
impl Tenant for Fake {
    async fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    async fn survey(&self) -> Result<Arc<dyn ReadTenant>, Fault> {
        self.read(|world| world.surveys += 1).await?;
        Ok(Arc::new(self.clone()))
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }
}

#[async_trait]
impl ReadTenant for Fake {
    fn survey(&self) -> &Survey {
        &self.survey
    }

    /// All at once; the filter is ignored, as a tenant may.
    async fn users(&self, query: &UserQuery) -> Result<UserPage, Fault> {
        let first = query.from == UserCursor::After(0);
        self.read(|world| {
            let ids: Vec<u64> = world.accounts.keys().copied().collect();
            let users = ids.into_iter().filter_map(|id| world.visible(id));
            UserPage {
                users: if first { users.collect() } else { Vec::new() },
                next: None,
            }
        })
        .await
    }

    async fn access_another_way(&self, asked: &[UserId]) -> Result<Vec<(UserId, Access)>, Fault> {
        self.read(|world| {
            let adds: BTreeSet<u64> = world.other_adds.iter().copied().collect();
            let access = |id: &UserId| {
                let own = world.visible(id.get())?.access;
                let roles = &ids(&own, ListKind::Roles) | &adds;
                Some((*id, access(&roles, &ids(&own, ListKind::Groups), own.licenses)))
            };
            asked.iter().filter_map(access).collect()
        })
        .await
    }

    async fn roles(&self) -> Result<Vec<Role>, Fault> {
        self.read(|_| (1..=30).map(role).collect()).await
    }

    async fn groups(&self) -> Result<Vec<Group>, Fault> {
        self.read(|_| (1..=30).map(group).collect()).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, Fault> {
        self.read(|world| {
            let hidden = world.hides > 0;
            world.hides = world.hides.saturating_sub(1);
            world.visible(id.get()).filter(|_| !hidden)
        })
        .await
    }

    async fn role(&self, id: RoleId) -> Result<Option<Role>, Fault> {
        self.read(|_| (id.get() <= 30).then(|| role(id.get()))).await
    }

    async fn group(&self, id: GroupId) -> Result<Option<Group>, Fault> {
        self.read(|_| (id.get() <= 30).then(|| group(id.get()))).await
    }
}

fn role(n: u64) -> Role {
    let name = match n {
        GIVEN_ROLE => "User".to_owned(),
        SUPPLIER_ROLE => "Supplier".to_owned(),
        n => format!("Role {n}"),
    };
    Role {
        id: RoleId::new(n).unwrap(),
        name: name.into(),
        description: None,
        omnipotent: OMNIPOTENT.contains(&n),
        system: false,
    }
}

fn group(n: u64) -> Group {
    Group {
        id: GroupId::new(n).unwrap(),
        name: format!("Group {n}").into(),
        description: None,
        active: n != INACTIVE_GROUP,
        kind: GroupKind::Group,
        can_approve: false,
        open: false,
    }
}
