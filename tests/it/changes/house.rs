//! A sandbox and, before it, the parts that change it, composed as the program composes them but with the waits of a test.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use baton_coupa::coupa::Coupa;
use baton_coupa::model::access::Item;
use baton_coupa::model::change::{Activity, Change, Order, Outcome, Via, WriteTenant as _};
use baton_coupa::model::fault::Fault;
use baton_coupa::model::id::UserId;
use baton_coupa::model::journal::{Entry, Journal as _, Which};
use baton_coupa::provision::{Policy, Provision, ProvisionConfig, Recover};
use baton_coupa::sandbox::{Change as Theirs, Edit, Faults, Readings, Running, SandboxConfig, TruthUser};
use baton_coupa::state::State;
use tempfile::TempDir;

use super::cast;
use crate::support::tenant;

/// The license whose changes matter most.
pub const LICENSE: &str = "risk-assess-user";

/// Sandbox, state directory and provisioning.
pub struct House {
    pub sandbox: Running,
    pub provision: Arc<Provision>,
    pub state: Arc<State>,
    _dir: TempDir,
}

/// Waits of a test: as many tries, less time.
pub fn quick() -> ProvisionConfig {
    ProvisionConfig {
        first_pause: Duration::from_millis(2),
        longest_pause: Duration::from_millis(20),
        show_within: Duration::from_millis(250),
        settle: Duration::from_millis(60),
        restore_for: Duration::from_millis(400),
        recovery_pause: (Duration::from_millis(2), Duration::from_millis(20)),
        ..ProvisionConfig::default()
    }
}

impl House {
    /// A tenant of `users` with these readings.
    pub async fn with(readings: Readings, users: usize) -> Self {
        let sandbox = tenant::start(SandboxConfig {
            users,
            groups: 24,
            roles: 30,
            readings,
            ..SandboxConfig::default()
        })
        .await;
        let dir = TempDir::new().unwrap();
        let state = open(dir.path(), &sandbox);
        Self {
            provision: provision(&sandbox, &state),
            sandbox,
            state,
            _dir: dir,
        }
    }

    pub async fn apply(&self, change: &Change) -> Result<Outcome, Fault> {
        self.provision.apply(&order(), change).await
    }

    pub async fn grant(&self, user: u64, item: &Item) -> Result<Outcome, Fault> {
        let user = user_id(user);
        let item = item.clone();
        self.apply(&Change::Grant { user, item }).await
    }

    pub async fn revoke(&self, user: u64, item: &Item) -> Result<Outcome, Fault> {
        let user = user_id(user);
        let item = item.clone();
        self.apply(&Change::Revoke { user, item }).await
    }

    /// Entries that wait for an end.
    pub fn open_entries(&self) -> Vec<Entry> {
        self.state.entries(Which::Open).unwrap()
    }

    /// The newest entry.
    pub fn last_entry(&self) -> Entry {
        self.state.entries(Which::All).unwrap().pop().unwrap()
    }

    /// Nothing goes wrong any more, and recovery by hand has done what it can.
    pub async fn heal(&self) {
        self.sandbox.set_faults(Faults::default());
        self.provision.recover(Recover::All).await.unwrap();
    }

    pub fn user(&self, id: u64) -> TruthUser {
        let users = self.sandbox.truth().users;
        users.into_iter().find(|user| user.id == id).unwrap()
    }

    /// Makes the user hold what it held, by somebody else's hand, and lets everybody see that.
    pub async fn restore(&self, before: &TruthUser) {
        restore(&self.sandbox, before);
        // Where changes show late, reads bring them to light.
        let user = user_id(before.id);
        let to = Activity::of(!before.active);
        for _ in 0..4 {
            self.provision
                .plan(&Change::SetActive { user, to })
                .await
                .unwrap();
        }
        assert!(same_access(&self.user(before.id), before));
    }

    /// Writes that reached the tenant.
    pub fn writes(&self) -> usize {
        let log = self.sandbox.log();
        log.iter().filter(|entry| entry.write.is_some()).count()
    }

    pub fn people(&self) -> Vec<TruthUser> {
        cast::people(&self.sandbox.truth())
    }

    pub fn other_role(&self, user: &TruthUser) -> Item {
        cast::other_role(&self.sandbox.truth(), user).unwrap()
    }

    pub fn other_group(&self, user: &TruthUser) -> Item {
        cast::other_group(&self.sandbox.truth(), user).unwrap()
    }
}

/// Makes a user hold what it held, by somebody else's hand.
pub fn restore(sandbox: &Running, before: &TruthUser) {
    let users = sandbox.truth().users;
    let now = users.iter().find(|user| user.id == before.id).unwrap();
    let mut changes = vec![
        Theirs::ReplaceRoles(before.roles.clone()),
        Theirs::SetActive(before.active),
    ];
    changes.extend(missing(&now.groups, &before.groups).map(Theirs::RemoveGroup));
    changes.extend(missing(&before.groups, &now.groups).map(Theirs::AddGroup));
    let licenses = now.licenses.iter().chain(&before.licenses).cloned();
    changes.extend(licenses.map(|name| Theirs::SetLicense {
        held: before.licenses.contains(&name),
        name,
    }));
    for change in changes {
        let user = before.id;
        sandbox.edit(&Edit { user, change }).unwrap();
    }
}

fn missing(of: &[u64], among: &[u64]) -> impl Iterator<Item = u64> {
    of.iter()
        .copied()
        .filter(|id| !among.contains(id))
        .collect::<Vec<_>>()
        .into_iter()
}

fn open(dir: &Path, sandbox: &Running) -> Arc<State> {
    Arc::new(State::open(dir, "sandbox", sandbox.client_id()).unwrap())
}

fn provision(sandbox: &Running, state: &Arc<State>) -> Arc<Provision> {
    let mut config = tenant::client(sandbox);
    config.timeouts.request = Duration::from_millis(400);
    config.timeouts.longest_wait = Duration::from_millis(40);
    let coupa = Arc::new(Coupa::new(config).unwrap());
    Provision::new(coupa.clone(), coupa, state.clone(), Policy::default(), quick())
}

pub fn order() -> Order {
    Order {
        request: None,
        via: Via::CommandLine,
    }
}

pub fn user_id(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

pub fn role(id: u64) -> Item {
    Item::Role(id.to_string().parse().unwrap())
}

pub fn group(id: u64) -> Item {
    Item::Group(id.to_string().parse().unwrap())
}

pub fn license(name: &str) -> Item {
    Item::License(name.parse().unwrap())
}

/// Whether `user` holds `item`.
pub fn holds(user: &TruthUser, item: &Item) -> bool {
    match item {
        Item::Role(id) => user.roles.contains(&id.get()),
        Item::Group(id) => user.groups.contains(&id.get()),
        Item::License(name) => user.licenses.iter().any(|held| held == name.as_str()),
    }
}

/// `user` with `item`, or without it.
pub fn with(user: &TruthUser, item: &Item, held: bool) -> TruthUser {
    let mut user = user.clone();
    let edit = |ids: &mut Vec<u64>, id: u64| {
        ids.retain(|known| *known != id);
        if held {
            ids.push(id);
            ids.sort_unstable();
        }
    };
    match item {
        Item::Role(id) => edit(&mut user.roles, id.get()),
        Item::Group(id) => edit(&mut user.groups, id.get()),
        Item::License(name) => {
            user.licenses.retain(|known| known != name.as_str());
            if held {
                user.licenses.push(name.to_string());
            }
            user.licenses.sort();
        }
    }
    user
}

/// Both hold the same.
pub fn same_access(a: &TruthUser, b: &TruthUser) -> bool {
    let licenses = |user: &TruthUser| user.licenses.iter().cloned().collect::<BTreeSet<_>>();
    a.roles == b.roles && a.groups == b.groups && licenses(a) == licenses(b) && a.active == b.active
}
