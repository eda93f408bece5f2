//! A small tenant in memory that can be changed: behind the model's ports for reading and for changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use baton_coupa::model::access::{Access, Item, License, LicenseCatalog, LicenseSet, LicenseWrite};
use baton_coupa::model::change::{Change, Effect, OnInactive, Order, Outcome, Plan, WriteTenant};
use baton_coupa::model::fault::{Fault, FaultKind};
use baton_coupa::model::id::{GroupId, RoleId, UserId};
use baton_coupa::model::journal::{EntryId, Held};
use baton_coupa::model::tenant::{
    ClassMarks, Group, GroupKind, ReadTenant, Role, Survey, Tenant, Usage, User, UserCursor, UserFilter,
    UserOrder, UserPage, UserQuery,
};
use tonic::async_trait;

/// Users 1 to 5, roles 1 and 2, groups 1 and 2, of which 2 is inactive. Nobody holds anything but role 1.
pub(crate) struct Ledger {
    state: Arc<State>,
}

struct State {
    people: Mutex<BTreeMap<u64, Person>>,
    orders: Mutex<Vec<Order>>,
}

#[derive(Clone)]
struct Person {
    login: Box<str>,
    email: Box<str>,
    active: bool,
    holds: BTreeSet<Item>,
}

const LICENSE: &str = "risk-assess-user";

impl Ledger {
    pub(crate) fn new() -> Self {
        let person = |id: u64| Person {
            login: format!("login{id}").into(),
            email: format!("user{id}@example.com").into(),
            active: true,
            holds: RoleId::new(1).map(Item::Role).into_iter().collect(),
        };
        Self {
            state: Arc::new(State {
                people: Mutex::new((1..=5).map(|id| (id, person(id))).collect()),
                orders: Mutex::default(),
            }),
        }
    }

    /// Under which orders changes came in.
    pub(crate) fn orders(&self) -> Vec<Order> {
        self.state.orders.lock().unwrap().clone()
    }
}

impl State {
    fn people(&self) -> MutexGuard<'_, BTreeMap<u64, Person>> {
        self.people.lock().unwrap()
    }
}

fn user(id: u64, person: &Person) -> User {
    let mut licenses = LicenseSet::EMPTY;
    let (mut roles, mut groups) = (Vec::new(), Vec::new());
    for item in &person.holds {
        match item {
            Item::Role(id) => roles.push(*id),
            Item::Group(id) => groups.push(*id),
            Item::License(_) => licenses.insert(0),
        }
    }
    User {
        id: UserId::new(id).unwrap(),
        login: person.login.clone(),
        email: Some(person.email.clone()),
        first_name: None,
        last_name: None,
        full_name: None,
        active: person.active,
        marks: ClassMarks::default(),
        employee_number: None,
        manager: None,
        department: None,
        sso_identifier: None,
        authentication_method: None,
        created_at: None,
        updated_at: None,
        access: Access::new(roles, groups, licenses),
    }
}

fn roles() -> Vec<Role> {
    let ids = [1, 2].into_iter().filter_map(RoleId::new);
    ids.map(|id| Role {
        id,
        name: format!("Role {id}").into(),
        description: None,
        omnipotent: false,
        system: false,
    })
    .collect()
}

fn groups() -> Vec<Group> {
    let ids = [1, 2].into_iter().filter_map(GroupId::new);
    ids.map(|id| Group {
        id,
        name: format!("Group {id}").into(),
        description: None,
        active: id.get() == 1,
        kind: GroupKind::Group,
        can_approve: false,
        open: false,
    })
    .collect()
}

fn known(item: &Item) -> Result<(), Fault> {
    let known = match item {
        Item::Role(id) => roles().iter().any(|role| role.id == *id),
        Item::Group(id) => groups().iter().any(|group| group.id == *id),
        Item::License(name) => name.as_str() == LICENSE,
    };
    if known { Ok(()) } else { Err(absent()) }
}

fn absent() -> Fault {
    Fault::new(FaultKind::NotFound, "Coupa has no such thing")
}

fn effect(changed: bool) -> Effect {
    if changed { Effect::Made } else { Effect::AlreadySo }
}

impl State {
    fn change(&self, change: &Change) -> Result<(u64, Effect), Fault> {
        let mut people = self.people();
        if let Change::Create { draft, on_inactive } = change {
            let login = draft.login.clone().unwrap();
            if let Some((id, found)) = people.iter_mut().find(|(_, person)| person.login == login) {
                let wake = !found.active && *on_inactive == OnInactive::Reactivate;
                found.active |= wake;
                return Ok((
                    *id,
                    if wake {
                        Effect::Reactivated
                    } else {
                        Effect::Existed
                    },
                ));
            }
            let id = people.keys().last().unwrap() + 1;
            people.insert(
                id,
                Person {
                    login,
                    email: draft.email.clone().unwrap(),
                    active: true,
                    holds: BTreeSet::new(),
                },
            );
            return Ok((id, Effect::Made));
        }
        let id = change.user().unwrap().get();
        let person = people.get_mut(&id).ok_or_else(absent)?;
        let effect = match change {
            Change::Grant { item, .. } => {
                known(item)?;
                if GroupId::new(2).map(Item::Group).as_ref() == Some(item) {
                    return Err(Fault::new(
                        FaultKind::Declined,
                        "inactive-group: the group is inactive",
                    ));
                }
                effect(person.holds.insert(item.clone()))
            }
            Change::Revoke { item, .. } => {
                known(item)?;
                effect(person.holds.remove(item))
            }
            Change::SetActive { to, .. } => {
                let before = std::mem::replace(&mut person.active, to.is_active());
                effect(before != to.is_active())
            }
            Change::Update { draft, .. } => {
                let email = draft.email.clone().unwrap_or_else(|| person.email.clone());
                let before = std::mem::replace(&mut person.email, email);
                effect(before != person.email)
            }
            Change::Create { .. } => unreachable!("seen to above"),
        };
        Ok((id, effect))
    }
}

#[async_trait]
impl WriteTenant for Ledger {
    async fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    async fn apply(&self, order: &Order, change: &Change) -> Result<Outcome, Fault> {
        self.state.orders.lock().unwrap().push(order.clone());
        let (id, effect) = self.state.change(change)?;
        Ok(Outcome {
            effect,
            user: user(id, &self.state.people()[&id]),
            entry: (effect == Effect::Made).then_some(EntryId(1)),
            attempts: 1,
            before: Held::Nothing,
            after: Held::Nothing,
            findings: Vec::new(),
            downstream: None,
        })
    }

    async fn plan(&self, _: &Change) -> Result<Plan, Fault> {
        Err(Fault::internal("nobody plans over gRPC"))
    }
}

#[async_trait]
impl Tenant for Ledger {
    async fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    async fn survey(&self) -> Result<Arc<dyn ReadTenant>, Fault> {
        let license = License {
            name: LICENSE.parse().unwrap(),
            label: None,
            write: LicenseWrite::Writable,
        };
        Ok(Arc::new(Reader {
            state: Arc::clone(&self.state),
            survey: Survey {
                order: UserOrder::ById,
                highest_user: None,
                licenses: LicenseCatalog::new(vec![license]).unwrap(),
                surface: "memory",
                findings: Vec::new(),
                seen: Vec::new(),
            },
        }))
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }
}

struct Reader {
    state: Arc<State>,
    survey: Survey,
}

impl Reader {
    fn everybody(&self) -> Vec<User> {
        let people = self.state.people();
        people.iter().map(|(id, person)| user(*id, person)).collect()
    }
}

#[async_trait]
impl ReadTenant for Reader {
    fn survey(&self) -> &Survey {
        &self.survey
    }

    async fn users(&self, query: &UserQuery) -> Result<UserPage, Fault> {
        let UserCursor::After(after) = query.from else {
            return Err(Fault::internal("this tenant lists by id"));
        };
        let wanted = |user: &User| match &query.filter {
            UserFilter::All => true,
            UserFilter::Holding(item) => user.access.holds(item, &self.survey.licenses),
        };
        let users: Vec<User> = self
            .everybody()
            .into_iter()
            .filter(|user| user.id.get() > after && wanted(user))
            .collect();
        let next = users.last().map(|user| UserCursor::After(user.id.get()));
        Ok(UserPage { users, next })
    }

    async fn access_another_way(&self, ids: &[UserId]) -> Result<Vec<(UserId, Access)>, Fault> {
        let everybody = self.everybody().into_iter();
        let wanted = everybody.filter(|user| ids.contains(&user.id));
        Ok(wanted.map(|user| (user.id, user.access)).collect())
    }

    async fn roles(&self) -> Result<Vec<Role>, Fault> {
        Ok(roles())
    }

    async fn groups(&self) -> Result<Vec<Group>, Fault> {
        Ok(groups())
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, Fault> {
        Ok(self.everybody().into_iter().find(|user| user.id == id))
    }

    async fn role(&self, id: RoleId) -> Result<Option<Role>, Fault> {
        Ok(roles().into_iter().find(|role| role.id == id))
    }

    async fn group(&self, id: GroupId) -> Result<Option<Group>, Fault> {
        Ok(groups().into_iter().find(|group| group.id == id))
    }
}
