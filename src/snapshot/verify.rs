//! Doubts about what the users' rows say, settled by asking again: lists that look cut, and items that no list shows.
//!
//! Invariant: costs nothing where nothing is doubtful, and a bounded number of calls where something is; what cannot be settled
//! ends the pass.

use std::collections::HashMap;

use futures::future;

use super::cut::{Lengths, contradicts, sample, shows_more};
use super::guard::plural;
use super::pass::{Reading, lock};
use crate::model::access::{Access, Item, ItemKind, LicenseSet};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::UserId;
use crate::model::tenant::{Group, Role};

/// Users per call that are read another way (Coupa: 50 rows per call).
const SAMPLE: usize = 50;

/// Unlisted items held by users are asked for one by one, up to so many.
const STRAYS: usize = 200;

/// Users whose lists of a kind may be cut at a length.
struct Suspect {
    kind: ItemKind,
    length: usize,
    /// Ascending by slot.
    users: Vec<(u32, UserId)>,
    /// Users with shorter lists that are not empty.
    shorter: Vec<(u32, UserId)>,
}

enum Stray {
    Role(Role),
    Group(Group),
}

/// What `access` holds of one kind.
fn only(access: &Access, kind: ItemKind) -> Access {
    let roles = if kind == ItemKind::Role {
        access.roles().to_vec()
    } else {
        Vec::new()
    };
    let groups = if kind == ItemKind::Group {
        access.groups().to_vec()
    } else {
        Vec::new()
    };
    Access::new(roles, groups, LicenseSet::EMPTY)
}

impl Reading<'_> {
    /// Reads users again another way where lists look cut.
    pub(super) async fn look_for_cuts(&self) -> Result<(), Fault> {
        let suspects: Vec<Suspect> = [ItemKind::Role, ItemKind::Group]
            .into_iter()
            .filter_map(|kind| self.suspect(kind))
            .collect();
        let share = SAMPLE / suspects.len().max(1);
        let mut asked: Vec<(u32, UserId)> = suspects
            .iter()
            .flat_map(|suspect| sample(&suspect.users, share))
            .collect();
        asked.sort_unstable();
        asked.dedup();
        if asked.is_empty() {
            return Ok(());
        }
        let second = match self.another_way(&asked).await {
            Ok(second) => second,
            Err(fault) if *fault.kind() == FaultKind::Unsupported => {
                self.find("many users have lists of the same greatest length, and there is no second way to check whether they are cut");
                return Ok(());
            }
            Err(fault) => return Err(fault),
        };
        for suspect in &suspects {
            let is_suspect = |slot: &u32| {
                suspect
                    .users
                    .binary_search_by_key(slot, |(user, _)| *user)
                    .is_ok()
            };
            let cut = second
                .iter()
                .any(|(slot, first, second)| is_suspect(slot) && shows_more(first, second, suspect.kind));
            if cut {
                self.mend(suspect).await?;
            }
        }
        Ok(())
    }

    fn suspect(&self, kind: ItemKind) -> Option<Suspect> {
        let holdings = lock(&self.holdings);
        let mut lengths = Lengths::default();
        for (slot, _, _) in holdings.users() {
            lengths.add(holdings.length(slot, kind));
        }
        let length = lengths.suspicious()?;
        let (mut users, mut shorter) = (Vec::new(), Vec::new());
        for (slot, id, _) in holdings.users() {
            match holdings.length(slot, kind) {
                here if here == length => users.push((slot, id)),
                0 => {}
                _ => shorter.push((slot, id)),
            }
        }
        Some(Suspect {
            kind,
            length,
            users,
            shorter,
        })
    }

    /// Lists of this length are cut: reads all of them another way. If shorter ones differ as well, neither way can be trusted.
    async fn mend(&self, suspect: &Suspect) -> Result<(), Fault> {
        let shorter = self.another_way(&sample(&suspect.shorter, SAMPLE)).await?;
        let differing = shorter
            .iter()
            .filter(|(_, first, second)| shows_more(first, second, suspect.kind))
            .count();
        if contradicts(differing, shorter.len()) {
            return Err(Fault::corrupt(format!(
                "two ways of reading {} of the same users contradict each other for {differing} of {} users",
                plural(suspect.kind),
                shorter.len()
            ))
            .advise("check that the OAuth client may read users, roles and groups, and that no content restriction applies to it"));
        }
        let chunks = suspect.users.chunks(SAMPLE).map(|chunk| self.another_way(chunk));
        for chunk in future::try_join_all(chunks).await? {
            let mut holdings = lock(&self.holdings);
            for (slot, _, second) in chunk {
                holdings.extend(slot, &only(&second, suspect.kind));
            }
        }
        self.find(format!(
            "Coupa cuts the {} of a user at {}; {} users were read another way",
            plural(suspect.kind),
            suspect.length,
            suspect.users.len()
        ));
        Ok(())
    }

    /// First and second reading of users that still exist.
    async fn another_way(&self, users: &[(u32, UserId)]) -> Result<Vec<(u32, Access, Access)>, Fault> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<UserId> = users.iter().map(|(_, id)| *id).collect();
        let read = || self.reader.access_another_way(&ids);
        let second: HashMap<UserId, Access> = self
            .pass
            .patiently("users, another way", read)
            .await?
            .into_iter()
            .collect();
        let holdings = lock(&self.holdings);
        let both = |(slot, id): &(u32, UserId)| {
            second
                .get(id)
                .map(|second| (*slot, holdings.access(*slot), second.clone()))
        };
        Ok(users.iter().filter_map(both).collect())
    }

    /// Roles and groups that users hold and no list shows: each is asked for once, and listed if it exists.
    pub(super) async fn add_strays(
        &self,
        mut roles: Vec<Role>,
        mut groups: Vec<Group>,
    ) -> Result<(Vec<Role>, Vec<Group>), Fault> {
        let strays = self.strays(&roles, &groups);
        if strays.len() > STRAYS {
            return Err(Fault::corrupt(format!(
                "users hold {} roles and groups that are not in the lists of roles and groups",
                strays.len()
            ))
            .advise("check that the OAuth client may read every role and group"));
        }
        let asked = strays.into_iter().map(|item| self.stray(item));
        let found: Vec<Option<Stray>> = future::try_join_all(asked).await?;
        let gone = found.iter().filter(|stray| stray.is_none()).count();
        if gone > 0 {
            self.find(format!(
                "users hold {gone} roles or groups that Coupa does not have; these holdings are left out"
            ));
        }
        for stray in found.into_iter().flatten() {
            match stray {
                Stray::Role(role) => roles.push(role),
                Stray::Group(group) => groups.push(group),
            }
        }
        roles.sort_by_key(|role| role.id);
        groups.sort_by_key(|group| group.id);
        Ok((roles, groups))
    }

    fn strays(&self, roles: &[Role], groups: &[Group]) -> Vec<Item> {
        let listed = |item: &Item| match item {
            Item::Role(id) => roles.binary_search_by_key(id, |role| role.id).is_ok(),
            Item::Group(id) => groups.binary_search_by_key(id, |group| group.id).is_ok(),
            Item::License(_) => true,
        };
        lock(&self.holdings)
            .items()
            .iter()
            .filter(|item| !listed(item))
            .cloned()
            .collect()
    }

    async fn stray(&self, item: Item) -> Result<Option<Stray>, Fault> {
        let stray = match item {
            Item::Role(id) => {
                let role = self.pass.patiently("role", || self.reader.role(id)).await?;
                role.map(Stray::Role)
            }
            Item::Group(id) => {
                let group = self.pass.patiently("group", || self.reader.group(id)).await?;
                group.map(Stray::Group)
            }
            Item::License(_) => None,
        };
        Ok(stray)
    }
}
