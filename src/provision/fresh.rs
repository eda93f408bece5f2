//! Fresh reads, and the probe they rest on.
//!
//! Invariants: nothing is decided on a read older than the last write; a list that is written whole has been read in two ways, and what
//! only one of them shows counts as held.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::model::access::{Access, Item, LicenseCatalog};
use crate::model::change::ListKind;
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::{RoleId, UserId};
use crate::model::tenant::{ReadTenant, Role, Tenant, User};

use super::decide::{ids, union};
use super::engine::Engine;

/// What one probe of the tenant gave.
#[derive(Clone)]
pub(super) struct Probe {
    pub(super) reader: Arc<dyn ReadTenant>,
    pub(super) roles: Arc<[Role]>,
    made: Instant,
}

/// The last probe, made again when it is old or no longer fits.
pub(super) struct Probes {
    tenant: Arc<dyn Tenant>,
    age: Duration,
    last: Mutex<Option<Probe>>,
}

impl Probes {
    pub(super) fn new(tenant: Arc<dyn Tenant>, age: Duration) -> Self {
        Self {
            tenant,
            age,
            last: Mutex::new(None),
        }
    }

    pub(super) async fn get(&self) -> Result<Probe, Fault> {
        let mut last = self.last.lock().await;
        if let Some(probe) = last.as_ref().filter(|probe| probe.made.elapsed() < self.age) {
            return Ok(probe.clone());
        }
        let reader = self.tenant.survey().await?;
        let roles = reader.roles().await?.into();
        let made = Instant::now();
        let probe = Probe { reader, roles, made };
        *last = Some(probe.clone());
        Ok(probe)
    }

    /// Forgets a probe that no longer fits, unless it was replaced already.
    async fn forget(&self, probe: &Probe) {
        let mut last = self.last.lock().await;
        if last.as_ref().is_some_and(|last| last.made == probe.made) {
            *last = None;
        }
    }
}

/// In how many ways a user is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ways {
    /// The user alone.
    One,
    /// The other surface too.
    Both,
}

/// One user, as just read.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) user: User,
    pub(super) probe: Probe,
    other: Option<Access>,
    /// Before the reading began: what happened later may be missing in it.
    pub(super) began: Instant,
    pub(super) at: Timestamp,
}

impl Seen {
    /// Everything any way showed in a list.
    pub(super) fn ids(&self, list: ListKind) -> Vec<u64> {
        let own = ids(&self.user.access, list);
        match &self.other {
            Some(other) => union(&own, &ids(other, list)),
            None => own,
        }
    }

    /// Every role any way showed: a role that one of them hides counts.
    pub(super) fn roles(&self) -> Vec<RoleId> {
        let other = self.other.as_ref().map_or(&[][..], Access::roles);
        let mut roles = [self.user.access.roles(), other].concat();
        roles.sort_unstable();
        roles.dedup();
        roles
    }

    /// Whether somebody has changed the account since `before` was read.
    pub(super) fn moved_since(&self, before: &Self, list: ListKind) -> bool {
        self.ids(list) != before.ids(list) || self.user.updated_at != before.user.updated_at
    }

    /// Whether every way of reading showed the same list; if not, one of them may be older than the last write.
    pub(super) fn agrees(&self, list: ListKind) -> bool {
        self.other
            .as_ref()
            .is_none_or(|other| ids(other, list) == ids(&self.user.access, list))
    }

    /// Whether any way showed the item.
    pub(super) fn holds(&self, item: &Item) -> bool {
        let shown = |access: &Access| access.holds(item, self.licenses());
        shown(&self.user.access) || self.other.as_ref().is_some_and(shown)
    }

    pub(super) fn licenses(&self) -> &LicenseCatalog {
        &self.probe.reader.survey().licenses
    }
}

impl Engine {
    /// Reads through the current probe; once more through a new one if Coupa's answer does not fit it.
    pub(super) async fn look(&self, user: UserId, ways: Ways) -> Result<Seen, Fault> {
        let probe = self.probes.get().await?;
        match read(&probe, user, ways).await {
            Err(fault) if *fault.kind() == FaultKind::Corrupt => {
                self.probes.forget(&probe).await;
                read(&self.probes.get().await?, user, ways).await
            }
            read => read,
        }
    }

    /// A list that will be written whole: read in two ways until they agree, within bounds; then what either shows.
    pub(super) async fn look_at_list(&self, user: UserId, list: ListKind) -> Result<Seen, Fault> {
        let mut pause = self.config.first_pause;
        for _ in 0..self.config.agree_reads {
            let seen = self.look(user, Ways::Both).await?;
            if seen.agrees(list) {
                return Ok(seen);
            }
            sleep(pause).await;
            pause = pause.saturating_mul(2).min(self.config.longest_pause);
        }
        self.look(user, Ways::Both).await
    }
}

/// The user itself is read last: its `updated-at` is the youngest thing known.
async fn read(probe: &Probe, id: UserId, ways: Ways) -> Result<Seen, Fault> {
    let began = Instant::now();
    let at = Timestamp::now();
    let other = match ways {
        Ways::One => None,
        Ways::Both => other_way(probe, id).await?,
    };
    let user = match probe.reader.user(id).await? {
        Some(user) => user,
        None => not_absent(probe, id, other.as_ref()).await?,
    };
    let probe = probe.clone();
    Ok(Seen {
        user,
        probe,
        other,
        began,
        at,
    })
}

/// The user after all. A gateway says 404, too, and whoever is told that an account does not exist takes a removal as done: it is absent
/// if it is not found twice, and no other way shows it.
async fn not_absent(probe: &Probe, id: UserId, other: Option<&Access>) -> Result<User, Fault> {
    if let Some(user) = probe.reader.user(id).await? {
        return Ok(user);
    }
    if other.is_some() || other_way(probe, id).await?.is_some() {
        return Err(Fault::unavailable(format!(
            "Coupa shows user {id} in one way of reading and not in another"
        )));
    }
    Err(Fault::new(FaultKind::NotFound, format!("Coupa has no user {id}")))
}

async fn other_way(probe: &Probe, id: UserId) -> Result<Option<Access>, Fault> {
    let access = probe.reader.access_another_way(&[id]).await?;
    Ok(access
        .into_iter()
        .find(|(user, _)| *user == id)
        .map(|(_, access)| access))
}
