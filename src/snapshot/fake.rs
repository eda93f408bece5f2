//! A tenant in memory for tests: sparse ids, every class, slow and failing pages, cut lists, moving rows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::model::access::{Access, Item, ItemKind, License, LicenseCatalog, LicenseSet, LicenseWrite};
use crate::model::baseline::{Baseline, Baselines};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::{GroupId, RoleId, UserId};
use crate::model::tenant::{
    AccountClass, ClassMarks, Group, GroupKind, ReadTenant, Role, Survey, Tenant, Usage, User, UserCursor,
    UserFilter, UserOrder, UserPage, UserQuery,
};
use crate::snapshot::{SupplierRoles, classify};

pub(crate) const LICENSES: [&str; 3] = ["analytics-user", "category-planner-user", "risk-assess-user"];

/// What the tenant holds and how it behaves.
#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of a test double, each on its own"
)]
pub(crate) struct World {
    pub(crate) users: BTreeMap<u64, User>,
    pub(crate) roles: Vec<Role>,
    pub(crate) groups: Vec<Group>,
    /// Not in the list, but there.
    pub(crate) hidden_groups: Vec<Group>,
    pub(crate) order: UserOrder,
    pub(crate) tells_highest: bool,
    pub(crate) honours_filter: bool,
    /// A filter for holders is refused.
    pub(crate) refuses_filter: bool,
    /// A filter for holders does not show these.
    pub(crate) filter_skips: BTreeSet<u64>,
    /// A filter for the holders of a role shows that one role of each.
    pub(crate) filter_trims: bool,
    /// Listings show at most so many roles and groups of a user.
    pub(crate) cut_at: usize,
    /// The other way shows this role of everybody, too.
    pub(crate) other_way_adds: Option<RoleId>,
    pub(crate) has_other_way: bool,
    pub(crate) delay: Duration,
    /// Every call for users panics.
    pub(crate) panics: bool,
    /// An offset beyond the end shows the last page again.
    pub(crate) clamps_offset: bool,
    /// So many calls for users fail before one succeeds.
    pub(crate) failures: u64,
    pub(crate) failure: FaultKind,
    /// In offset listings, rows shift by one after so many calls: one is shown twice and one skipped.
    pub(crate) shift_after: Option<u64>,
}

pub(crate) struct FakeTenant {
    pub(crate) world: Mutex<World>,
    pub(crate) surveys: AtomicU64,
    pub(crate) user_calls: AtomicU64,
    pub(crate) other_calls: AtomicU64,
    pub(crate) role_lists: AtomicU64,
    /// Reads of one user.
    pub(crate) single_calls: AtomicU64,
    /// Listings from this id on wait while it is set.
    pub(crate) hold_from: watch::Sender<Option<u64>>,
}

pub(crate) fn user_id(n: u64) -> UserId {
    UserId::new(n).unwrap()
}

pub(crate) fn role(n: u64) -> Role {
    Role {
        id: RoleId::new(n).unwrap(),
        name: if n == 3 {
            "Supplier".into()
        } else {
            format!("Role {n}").into()
        },
        description: n.is_multiple_of(2).then(|| "even".into()),
        omnipotent: n == 1,
        system: n < 5,
    }
}

pub(crate) fn group(n: u64) -> Group {
    Group {
        id: GroupId::new(n).unwrap(),
        name: format!("Group {n}").into(),
        description: None,
        active: !n.is_multiple_of(7),
        kind: if n.is_multiple_of(5) {
            GroupKind::Project
        } else {
            GroupKind::Group
        },
        can_approve: n.is_multiple_of(2),
        open: n.is_multiple_of(3),
    }
}

pub(crate) fn catalog() -> LicenseCatalog {
    let license = |name: &&str| License {
        name: name.parse().unwrap(),
        label: (*name == "analytics-user").then_some("Analytics User"),
        write: if name.starts_with("category") {
            LicenseWrite::ReadOnly
        } else {
            LicenseWrite::Writable
        },
    };
    LicenseCatalog::new(LICENSES.iter().map(license).collect()).unwrap()
}

impl World {
    /// `count` users with gaps between ids and some above 2^32; 30 roles, 40 groups; item 1 of each is held by most.
    pub(crate) fn new(count: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(count);
        let mut users = BTreeMap::new();
        let mut id = 0;
        for n in 0..count {
            id += rng.u64(1..4);
            let id = if n > count * 9 / 10 { id + (1 << 33) } else { id };
            users.insert(id, random_user(id, &mut rng));
        }
        Self {
            users,
            roles: (1..=30).map(role).collect(),
            groups: (1..=40).map(group).collect(),
            hidden_groups: Vec::new(),
            order: UserOrder::ById,
            tells_highest: true,
            honours_filter: true,
            refuses_filter: false,
            filter_skips: BTreeSet::new(),
            filter_trims: false,
            cut_at: usize::MAX,
            other_way_adds: None,
            has_other_way: true,
            delay: Duration::ZERO,
            panics: false,
            clamps_offset: false,
            failures: 0,
            failure: FaultKind::Unavailable,
            shift_after: None,
        }
    }

    pub(crate) fn class(&self, user: &User) -> AccountClass {
        classify(
            user.marks,
            user.access.roles(),
            &SupplierRoles::among(&self.roles),
        )
    }

    /// Listed users, by the default classes.
    pub(crate) fn listed(&self) -> impl Iterator<Item = &User> {
        let listed = crate::snapshot::ClassSet::default();
        self.users
            .values()
            .filter(move |user| listed.contains(self.class(user)))
    }

    pub(crate) fn listed_ids(&self) -> Vec<u64> {
        self.listed().map(|user| user.id.get()).collect()
    }

    /// Who of the listed users holds what, as (item, user).
    pub(crate) fn truth(&self, kind: ItemKind) -> BTreeSet<(String, u64)> {
        let of = |user: &User| match kind {
            ItemKind::Role => user
                .access
                .roles()
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            ItemKind::Group => user.access.groups().iter().map(ToString::to_string).collect(),
            ItemKind::License => user
                .access
                .licenses
                .positions()
                .map(|at| LICENSES[at].to_owned())
                .collect(),
        };
        self.listed()
            .flat_map(|user| of(user).into_iter().map(|item| (item, user.id.get())))
            .collect()
    }

    pub(crate) fn seats(&self, license: &str) -> u64 {
        let at = LICENSES.iter().position(|name| *name == license).unwrap();
        self.users
            .values()
            .filter(|user| user.access.licenses.contains(at))
            .count() as u64
    }

    fn shown(&self, user: &User) -> User {
        let roles = user.access.roles().iter().take(self.cut_at).copied().collect();
        let groups = user.access.groups().iter().take(self.cut_at).copied().collect();
        User {
            access: Access::new(roles, groups, user.access.licenses),
            ..user.clone()
        }
    }

    fn filtered(&self, user: &User, filter: &UserFilter) -> User {
        let mut shown = self.shown(user);
        if let (true, UserFilter::Holding(Item::Role(role))) = (self.filter_trims, filter) {
            let groups = shown.access.groups().to_vec();
            shown.access = Access::new(vec![*role], groups, shown.access.licenses);
        }
        shown
    }

    fn matches(&self, user: &User, filter: &UserFilter) -> bool {
        match filter {
            UserFilter::Holding(item) if self.honours_filter => {
                user.access.holds(item, &catalog()) && !self.filter_skips.contains(&user.id.get())
            }
            UserFilter::Holding(_) | UserFilter::All => true,
        }
    }
}

/// Roles of a random user thin out, so that no length looks cut by chance.
fn random_user(id: u64, rng: &mut fastrand::Rng) -> User {
    let marks = ClassMarks {
        api_user: rng.u8(..20) == 0,
        supplier_user: rng.u8(..10) == 0,
        support_user: rng.u8(..60) == 0,
        msp_user: rng.u8(..60) == 0,
    };
    let mut roles: Vec<RoleId> = (1..=30)
        .filter(|_| rng.u8(..12) == 0)
        .filter_map(RoleId::new)
        .collect();
    roles.extend((rng.u8(..5) > 0).then(|| RoleId::new(1).unwrap()));
    let mut groups: Vec<GroupId> = (2..=40)
        .filter(|_| rng.u8(..12) == 0)
        .filter_map(GroupId::new)
        .collect();
    groups.extend((rng.u8(..3) > 0).then(|| GroupId::new(1).unwrap()));
    let mut licenses = LicenseSet::EMPTY;
    (0..LICENSES.len())
        .filter(|_| rng.bool())
        .for_each(|at| licenses.insert(at));
    User {
        id: user_id(id),
        login: format!("login{id}").into(),
        email: (!id.is_multiple_of(9)).then(|| format!("u{id}@example.com").into()),
        first_name: Some("Zoë".into()),
        last_name: Some(format!("Ng{id}").into()),
        full_name: id.is_multiple_of(2).then(|| format!("Zoë Ng{id}").into()),
        active: !id.is_multiple_of(4),
        marks,
        employee_number: id.is_multiple_of(3).then(|| format!("E{id}").into()),
        manager: UserId::new(id % 11),
        department: None,
        sso_identifier: None,
        authentication_method: Some("saml".into()),
        created_at: None,
        updated_at: None,
        access: Access::new(roles, groups, licenses),
    }
}

impl FakeTenant {
    pub(crate) fn new(world: World) -> Arc<Self> {
        Arc::new(Self {
            world: Mutex::new(world),
            surveys: AtomicU64::new(0),
            user_calls: AtomicU64::new(0),
            other_calls: AtomicU64::new(0),
            role_lists: AtomicU64::new(0),
            single_calls: AtomicU64::new(0),
            hold_from: watch::Sender::new(None),
        })
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(crate) fn calls(&self) -> u64 {
        self.user_calls.load(Ordering::SeqCst)
    }
}

/// Lets a test hold an `Arc<FakeTenant>` and hand the same tenant to the code under test.
pub(crate) struct Handle(pub(crate) Arc<FakeTenant>);

#[async_trait]
impl Tenant for Handle {
    async fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    async fn survey(&self) -> Result<Arc<dyn ReadTenant>, Fault> {
        self.0.surveys.fetch_add(1, Ordering::SeqCst);
        let delay = self.0.world().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let world = self.0.world();
        let survey = Survey {
            order: world.order,
            highest_user: world
                .users
                .keys()
                .last()
                .filter(|_| world.tells_highest)
                .map(|id| user_id(*id)),
            licenses: catalog(),
            surface: "fake",
            findings: Vec::new(),
            seen: world
                .users
                .values()
                .take(50)
                .map(|user| (user.id, world.shown(user).access))
                .collect(),
        };
        drop(world);
        Ok(Arc::new(FakeReader {
            tenant: Arc::clone(&self.0),
            survey,
        }))
    }

    fn usage(&self) -> Usage {
        Usage {
            requests: self.0.calls(),
            ..Usage::default()
        }
    }
}

struct FakeReader {
    tenant: Arc<FakeTenant>,
    survey: Survey,
}

#[async_trait]
impl ReadTenant for FakeReader {
    fn survey(&self) -> &Survey {
        &self.survey
    }

    async fn users(&self, query: &UserQuery) -> Result<UserPage, Fault> {
        let calls = self.tenant.user_calls.fetch_add(1, Ordering::SeqCst);
        let delay = self.tenant.world().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if let UserCursor::After(after) = query.from {
            let mut held = self.tenant.hold_from.subscribe();
            held.wait_for(|from| from.is_none_or(|from| after < from))
                .await
                .unwrap();
        }
        let mut world = self.tenant.world();
        if world.panics {
            drop(world);
            panic!("injected");
        }
        if world.failures > 0 {
            world.failures -= 1;
            return Err(Fault::new(world.failure.clone(), "injected"));
        }
        if world.refuses_filter && query.filter != UserFilter::All {
            return Err(Fault::new(FaultKind::Unsupported, "refused"));
        }
        let rows = world
            .users
            .values()
            .filter(|user| world.matches(user, &query.filter));
        let users: Vec<User> = match query.from {
            UserCursor::After(after) => rows
                .filter(|user| user.id.get() > after)
                .take(50)
                .map(|user| world.filtered(user, &query.filter))
                .collect(),
            UserCursor::Offset(offset) => {
                let shifted = world
                    .shift_after
                    .is_some_and(|after| calls >= after && calls < after + 3);
                let last_page = world.users.len().saturating_sub(50) as u64;
                let offset = if world.clamps_offset {
                    offset.min(last_page)
                } else {
                    offset
                };
                let offset = offset.saturating_sub(u64::from(shifted)) as usize;
                rows.rev()
                    .skip(offset)
                    .take(50)
                    .map(|user| world.shown(user))
                    .collect()
            }
        };
        let next = users.last().map(|last| match query.from {
            UserCursor::After(_) => UserCursor::After(last.id.get()),
            UserCursor::Offset(offset) => UserCursor::Offset(offset + 50),
        });
        Ok(UserPage { users, next })
    }

    async fn access_another_way(&self, ids: &[UserId]) -> Result<Vec<(UserId, Access)>, Fault> {
        self.tenant.other_calls.fetch_add(1, Ordering::SeqCst);
        let world = self.tenant.world();
        if !world.has_other_way {
            return Err(Fault::new(FaultKind::Unsupported, "one surface only"));
        }
        let access = |id: &UserId| {
            let user = world.users.get(&id.get())?;
            let roles = user
                .access
                .roles()
                .iter()
                .copied()
                .chain(world.other_way_adds)
                .collect();
            Some((
                *id,
                Access::new(roles, user.access.groups().to_vec(), user.access.licenses),
            ))
        };
        Ok(ids.iter().filter_map(access).collect())
    }

    async fn roles(&self) -> Result<Vec<Role>, Fault> {
        self.tenant.role_lists.fetch_add(1, Ordering::SeqCst);
        Ok(self.tenant.world().roles.clone())
    }

    async fn groups(&self) -> Result<Vec<Group>, Fault> {
        Ok(self.tenant.world().groups.clone())
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, Fault> {
        self.tenant.single_calls.fetch_add(1, Ordering::SeqCst);
        Ok(self.tenant.world().users.get(&id.get()).cloned())
    }

    async fn role(&self, id: RoleId) -> Result<Option<Role>, Fault> {
        Ok(self
            .tenant
            .world()
            .roles
            .iter()
            .find(|role| role.id == id)
            .cloned())
    }

    async fn group(&self, id: GroupId) -> Result<Option<Group>, Fault> {
        let world = self.tenant.world();
        Ok(world
            .groups
            .iter()
            .chain(&world.hidden_groups)
            .find(|group| group.id == id)
            .cloned())
    }
}

/// A baseline in memory.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) baseline: Mutex<Option<Baseline>>,
    pub(crate) refuses: bool,
}

impl Baselines for Memory {
    fn last(&self) -> Result<Option<Baseline>, Fault> {
        Ok(self.baseline.lock().unwrap().clone())
    }

    fn record(&self, baseline: &Baseline) -> Result<(), Fault> {
        if self.refuses {
            return Err(Fault::internal("read-only"));
        }
        *self.baseline.lock().unwrap() = Some(baseline.clone());
        Ok(())
    }
}

/// A role or group as an item.
pub(crate) fn role_item(n: u64) -> Item {
    Item::Role(RoleId::new(n).unwrap())
}

pub(crate) fn group_item(n: u64) -> Item {
    Item::Group(GroupId::new(n).unwrap())
}
