//! Reading a tenant as one survey found it.
//!
//! Invariant: a page holds every user of its window with everything they hold, or is an error; only an empty answer ends a listing;
//! a nested list is believed empty only if something says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::model::access::{Access, Item};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::{GroupId, RoleId, UserId};
use crate::model::tenant::{
    Group, ReadTenant, Role, Survey, User, UserCursor, UserFilter, UserPage, UserQuery,
};

use super::client::Client;
use super::collection::{GROUPS, ROLES, Shelf};
use super::memory::Memory;
use super::plan::{Each, Layout, NullMeans};
use super::query::{Only, PAGE, Window};
use super::rows::{self, Manner, Tidy, distinct, tidy};
use super::survey::single_surface;
use super::trouble::{Failure, Object, Surface, Trouble};
use super::wire::{Field, GroupRow, List, Plain, RoleRow, UserRow};

/// How users are read.
pub(crate) struct Plan {
    /// The surface that serves listings.
    pub(crate) lead: Surface,
    /// Which surfaces work.
    pub(crate) usable: Each<bool>,
    /// Whose first page came in order of ids.
    pub(crate) ordered: Each<bool>,
    pub(crate) manner: Manner,
    /// What is read where, for either lead.
    pub(crate) layouts: Each<Layout>,
    /// A length at which list calls cut nested lists, if they were seen to.
    pub(crate) cut: Option<usize>,
    /// What `null` means for each nested list.
    pub(crate) nulls: Each<[NullMeans; 2]>,
    /// Whether each nested list was shown of anybody.
    pub(crate) shown: [bool; 2],
}

/// Reads one tenant by one plan.
pub(crate) struct Reader {
    pub(super) client: Arc<Client>,
    memory: Arc<Memory>,
    pub(super) plan: Plan,
    survey: Survey,
    /// Starts as the plan's and learns with each list that is read twice.
    nulls: Mutex<Each<[NullMeans; 2]>>,
}

impl Reader {
    pub(crate) fn new(client: Arc<Client>, memory: Arc<Memory>, mut plan: Plan, survey: Survey) -> Self {
        let nulls = Mutex::new(std::mem::take(&mut plan.nulls));
        Self {
            client,
            memory,
            plan,
            survey,
            nulls,
        }
    }

    /// Whether listings of that surface were in order of ids as far as we saw.
    pub(super) fn lists_by_id(&self, surface: Surface) -> bool {
        *self.plan.ordered.on(surface) && self.memory.trusts_order(surface)
    }

    /// The surface that is not `surface`, if it works.
    pub(super) fn other(&self, surface: Surface) -> Option<Surface> {
        let other = surface.other();
        self.plan.usable.on(other).then_some(other)
    }

    fn shelf(&self) -> Shelf<'_> {
        Shelf {
            client: &self.client,
            memory: &self.memory,
            projection: self.plan.manner.projection,
        }
    }

    /// The layout for a filter: a license is filtered on the surface that shows it.
    fn layout_for(&self, filter: &UserFilter) -> &Layout {
        let layout = self.plan.layouts.on(self.plan.lead);
        match filter {
            UserFilter::Holding(Item::License(name)) => {
                let flag = Field::Flag(name.as_str().into());
                if layout.borrowed.contains(&flag) {
                    self.plan.layouts.on(layout.lead.other())
                } else {
                    layout
                }
            }
            UserFilter::All | UserFilter::Holding(Item::Role(_) | Item::Group(_)) => layout,
        }
    }

    async fn window(&self, layout: &Layout, window: &Window, only: &Only) -> Result<Vec<UserRow>, Failure> {
        rows::window(
            &self.client,
            self.plan.manner,
            layout.lead,
            window,
            only,
            &layout.own,
        )
        .await
    }

    async fn given(
        &self,
        surface: Surface,
        ids: &[u64],
        fields: &[Field],
    ) -> Result<BTreeMap<u64, UserRow>, Failure> {
        rows::given(&self.client, self.plan.manner, surface, ids, fields).await
    }

    async fn single(&self, id: u64, fields: &[Field]) -> Result<Option<UserRow>, Failure> {
        let surface = single_surface(self.plan.usable.rest);
        rows::single(&self.client, self.plan.manner, surface, id, fields).await
    }

    async fn page(&self, layout: &Layout, from: UserCursor, only: &Only) -> Result<UserPage, Fault> {
        let window = match from {
            UserCursor::After(id) => Window::After(id),
            UserCursor::Offset(rows) => Window::Offset(rows),
        };
        let (layout, rows) = match self.window(layout, &window, only).await {
            Ok(rows) => (layout, rows),
            // `null` is no empty page. The other surface can tell what it stands for.
            Err(failure) if failure.is_null_list() && self.other(layout.lead).is_some() => {
                tracing::info!(%failure, "reading this page over the other surface");
                let layout = self.plan.layouts.on(layout.lead.other());
                (layout, self.window(layout, &window, only).await?)
            }
            Err(failure) if *only != Only::Everything && failure.is_refusal() => {
                return Err(unasked(&failure));
            }
            Err(failure) => return Err(failure.into()),
        };
        if rows.is_empty() {
            return Ok(UserPage {
                users: Vec::new(),
                next: None,
            });
        }
        let (rows, next) = match from {
            UserCursor::After(after) => {
                let rows = self.in_order(layout.lead, rows, after)?;
                let last = rows.last().map_or(after, |row| row.id);
                (rows, UserCursor::After(last))
            }
            UserCursor::Offset(skipped) => {
                let next = UserCursor::Offset(skipped + rows.len() as u64);
                (distinct(rows, |row| row.id), next)
            }
        };
        Ok(UserPage {
            users: self.users_of(layout, rows).await?,
            next: Some(next),
        })
    }

    pub(super) fn in_order(
        &self,
        surface: Surface,
        rows: Vec<UserRow>,
        after: u64,
    ) -> Result<Vec<UserRow>, Fault> {
        let problem = match tidy(rows, after, |row| row.id) {
            Tidy::Rows(rows) => return Ok(rows),
            Tidy::Disorder => "are not in order of their ids",
            Tidy::Stuck => "do not go on after a given id",
        };
        self.memory.distrust_order(surface);
        Err(Fault::unavailable(format!(
            "users over {surface} {problem}, against what the probe saw"
        ))
        .advise("start again: the tenant will then be read in another way"))
    }

    async fn users_of(&self, layout: &Layout, mut rows: Vec<UserRow>) -> Result<Vec<User>, Fault> {
        self.complete(layout, &mut rows, &List::ALL).await?;
        let user = |(index, row): (usize, UserRow)| {
            let id = row.id;
            row.into_user(&self.survey.licenses)
                .map_err(|field| misfit(index, id, &field))
        };
        rows.into_iter().enumerate().map(user).collect()
    }

    /// Adds what the lead does not show, and reads again what of these lists cannot be believed.
    pub(super) async fn complete(
        &self,
        layout: &Layout,
        rows: &mut [UserRow],
        lists: &[List],
    ) -> Result<(), Fault> {
        self.borrow(layout, rows).await?;
        for list in lists.iter().copied() {
            self.resolve_nulls(layout.source(list), list, rows).await?;
            self.lengthen(list, rows).await?;
        }
        Ok(())
    }

    async fn borrow(&self, layout: &Layout, rows: &mut [UserRow]) -> Result<(), Fault> {
        if layout.borrowed.is_empty() || rows.is_empty() {
            return Ok(());
        }
        let ids: Vec<u64> = rows.iter().map(|row| row.id).collect();
        let mut lent = self.given(layout.lead.other(), &ids, &layout.borrowed).await?;
        for row in rows {
            if let Some(other) = lent.get_mut(&row.id) {
                row.absorb(other, &layout.borrowed);
            } else {
                let surface = layout.lead.other();
                tracing::warn!(user = row.id, %surface, "not shown where some elements are read; they count as not set");
            }
        }
        Ok(())
    }

    fn null_means(&self, surface: Surface, list: List) -> NullMeans {
        self.nulls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .on(surface)[list as usize]
    }

    fn learn_null(&self, surface: Surface, list: List, means: NullMeans) {
        let mut nulls = self.nulls.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match surface {
            Surface::Rest => &mut nulls.rest[list as usize],
            Surface::Graphql => &mut nulls.graphql[list as usize],
        };
        if *known != NullMeans::Nothing && *known != means {
            *known = means;
            tracing::info!(%surface, list = list.name(), ?means, "learned what null means in place of a list");
        }
    }

    /// Reads nested lists that are `null` again, unless null is known to mean empty.
    async fn resolve_nulls(&self, source: Surface, list: List, rows: &mut [UserRow]) -> Result<(), Fault> {
        let known = self.null_means(source, list);
        let open: Vec<u64> = rows
            .iter()
            .filter(|row| row.list(list).is_none())
            .map(|row| row.id)
            .collect();
        if known == NullMeans::Empty || open.is_empty() {
            return Ok(());
        }
        let fields = [Field::List(list)];
        let again = match self.other(source) {
            Some(other) if self.plan.layouts.on(other).own.contains(&fields[0]) => {
                self.given(other, &open, &fields).await?
            }
            _ => BTreeMap::new(),
        };
        let shown = self.plan.shown[list as usize] || rows.iter().any(|row| row.list(list).is_some());
        let mut means = known;
        for row in rows.iter_mut().filter(|row| row.list(list).is_none()) {
            let second = match again.get(&row.id) {
                Some(other) => Some(other.clone()),
                None => self.single(row.id, &fields).await?,
            };
            let ids = match &second {
                // Null both ways where others have a list: that is how the tenant writes an empty one.
                Some(second) if shown || second.list(list).is_some() => second.list(list),
                _ => return Err(unexplained(row.id, list)),
            };
            means = means.learn(ids);
            row.set_list(list, ids.unwrap_or_default().to_vec());
        }
        self.learn_null(source, list, means);
        Ok(())
    }

    /// Reads nested lists that are as long as a page, or as a known cut, for their user alone.
    async fn lengthen(&self, list: List, rows: &mut [UserRow]) -> Result<(), Fault> {
        for row in rows {
            let length = row.list(list).map_or(0, <[u64]>::len);
            if length != PAGE && Some(length) != self.plan.cut {
                continue;
            }
            let alone = self.single(row.id, &[Field::List(list)]).await?;
            if let Some(longer) = alone
                .as_ref()
                .and_then(|row| row.list(list))
                .filter(|ids| ids.len() > length)
            {
                tracing::info!(
                    user = row.id,
                    list = list.name(),
                    length,
                    whole = longer.len(),
                    "a nested list was cut"
                );
                row.set_list(list, longer.to_vec());
            }
        }
        Ok(())
    }

    /// Reads users one by one.
    async fn singly(&self, ids: &[u64], layout: &Layout) -> Result<Vec<UserRow>, Fault> {
        let mut rows = Vec::new();
        for id in ids {
            rows.extend(self.single(*id, &layout.own).await?);
        }
        Ok(rows)
    }

    /// Whether a read of one user alone shows a longer list than `rows` do, for the user with the longest.
    async fn is_cut(&self, rows: &[UserRow]) -> Result<bool, Fault> {
        let lists = rows
            .iter()
            .flat_map(|row| List::ALL.map(|list| (row.list(list).map_or(0, <[u64]>::len), row.id, list)));
        let Some((length, id, list)) = lists
            .max_by_key(|(length, ..)| *length)
            .filter(|(length, ..)| *length > 1)
        else {
            return Ok(false);
        };
        let alone = self.single(id, &[Field::List(list)]).await?;
        Ok(alone
            .as_ref()
            .and_then(|row| row.list(list))
            .is_some_and(|ids| ids.len() > length))
    }

    async fn single_user(&self, id: u64) -> Result<Option<User>, Fault> {
        let surface = single_surface(self.plan.usable.rest);
        let layout = self.plan.layouts.on(surface);
        let Some(row) = self.single_with_time(id, layout).await? else {
            return Ok(None);
        };
        let updated_at = row.updated_at().map_err(|field| misfit(0, id, &field))?;
        let user = self.users_of(layout, vec![row]).await?.pop();
        Ok(user.map(|user| User { updated_at, ..user }))
    }

    /// One user with the time of the last change, where the tenant tells it.
    async fn single_with_time(&self, id: u64, layout: &Layout) -> Result<Option<UserRow>, Failure> {
        let mut fields = layout.own.clone();
        fields.push(Field::Plain(Plain::UpdatedAt));
        match self.single(id, &fields).await {
            Err(Failure {
                trouble: Trouble::GraphqlRefused { .. } | Trouble::Rejected(_),
                ..
            }) => self.single(id, &layout.own).await,
            row => row,
        }
    }
}

/// The listing itself was read by the probe, so it is the condition that is refused.
fn unasked(failure: &Failure) -> Fault {
    Fault::new(
        FaultKind::Unsupported,
        "Coupa refuses to list users by what they hold",
    )
    .because(failure)
}

fn unexplained(id: u64, list: List) -> Fault {
    Fault::corrupt(format!(
        "Coupa shows no list of {} for user {id}, neither empty nor filled",
        list.name()
    ))
    .advise("check that the OAuth client may see this element of users")
}

pub(super) fn misfit(index: usize, id: u64, field: &str) -> Fault {
    let root = Object::Users.root();
    Fault::corrupt(format!(
        "Coupa's answer does not have the expected form at {root}[{index}].{field} (user {id})"
    ))
}

fn only(filter: &UserFilter) -> Only {
    match filter {
        UserFilter::All => Only::Everything,
        UserFilter::Holding(Item::Role(role)) => Only::Role(role.get()),
        UserFilter::Holding(Item::Group(group)) => Only::Group(group.get()),
        UserFilter::Holding(Item::License(name)) => Only::Flag(name.as_str().into()),
    }
}

#[async_trait]
impl ReadTenant for Reader {
    fn survey(&self) -> &Survey {
        &self.survey
    }

    async fn users(&self, query: &UserQuery) -> Result<UserPage, Fault> {
        let layout = self.layout_for(&query.filter);
        self.page(layout, query.from, &only(&query.filter)).await
    }

    async fn access_another_way(&self, ids: &[UserId]) -> Result<Vec<(UserId, Access)>, Fault> {
        let ids: Vec<u64> = ids.iter().map(|id| id.get()).collect();
        let other = self.other(self.plan.lead);
        let layout = match other {
            Some(other) => self.plan.layouts.on(other),
            None => self.plan.layouts.on(self.plan.lead),
        };
        let mut rows = match other {
            Some(other) => self
                .given(other, &ids, &layout.own)
                .await?
                .into_values()
                .collect(),
            None => self.singly(&ids, layout).await?,
        };
        if other.is_some() && self.is_cut(&rows).await? {
            // Lists of users are cut on the other surface as well.
            let layout = self.plan.layouts.on(single_surface(self.plan.usable.rest));
            rows = self.singly(&ids, layout).await?;
            self.complete(layout, &mut rows, &List::ALL).await?;
        } else {
            self.complete(layout, &mut rows, &List::ALL).await?;
        }
        let access = |(index, row): (usize, UserRow)| {
            let access = row
                .access(&self.survey.licenses)
                .map_err(|field| misfit(index, row.id, &field))?;
            Ok(UserId::new(row.id).map(|id| (id, access)))
        };
        rows.into_iter()
            .enumerate()
            .filter_map(|row| access(row).transpose())
            .collect()
    }

    async fn roles(&self) -> Result<Vec<Role>, Fault> {
        self.shelf().all::<RoleRow>(&ROLES).await
    }

    async fn groups(&self) -> Result<Vec<Group>, Fault> {
        self.shelf().all::<GroupRow>(&GROUPS).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, Fault> {
        self.single_user(id.get()).await
    }

    async fn role(&self, id: RoleId) -> Result<Option<Role>, Fault> {
        self.shelf().one::<RoleRow>(&ROLES, id.get()).await
    }

    async fn group(&self, id: GroupId) -> Result<Option<Group>, Fault> {
        self.shelf().one::<GroupRow>(&GROUPS, id.get()).await
    }
}
