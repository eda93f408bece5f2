//! Profiles of users, as the sync into Risk Assess takes them: read as the survey found that this tenant must be read.
//!
//! Invariants: one profile comes from one row, but for elements its surface does not show; a page holds every user of its window that
//! the filter lets through, or is an error; only an empty answer ends a listing. A filter the tenant refuses is left out, since a filter
//! may be ignored; elements a surface refuses are read over the other one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::model::change::{AccountKey, WriteCalls};
use crate::model::class::SupplierRoles;
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::UserId;
use crate::model::profile::{Profile, ProfileFilter, ProfilePage, RISK_ASSESS_LICENSE, ReadProfiles};
use crate::model::tenant::{ReadTenant, UserOrder};

use super::Coupa;
use super::licenses::{CLASS_FLAGS, camel};
use super::plan::{Each, Layout};
use super::query::{Only, PAGE, Projection, Window};
use super::read::{Reader, misfit};
use super::rows::{self, Manner};
use super::survey::{self, single_surface};
use super::trouble::{Failure, Object, Surface, Trouble};
use super::wire::{ACTIVE, Field, List, Parts, Plain, UserRow};

/// How long one survey is used: the tenant may change.
const SURVEY_AGE: Duration = Duration::from_mins(10);

/// Elements of a profile that the survey looks for.
const SURVEYED: [Plain; 6] = [
    Plain::Login,
    Plain::Email,
    Plain::FirstName,
    Plain::LastName,
    Plain::AuthenticationMethod,
    Plain::SupplierId,
];

/// The survey in use, and what was learned since.
#[derive(Default)]
pub(super) struct Probes(tokio::sync::Mutex<Option<Arc<Probe>>>);

/// One survey, as far as profiles need it.
struct Probe {
    reader: Reader,
    suppliers: SupplierRoles,
    made: Instant,
    asking: Mutex<Each<Asking>>,
    /// The last listing of a tenant that lists in an order of its own.
    listing: tokio::sync::Mutex<Option<Listing>>,
}

/// How one surface is asked for profiles.
#[derive(Clone)]
struct Asking {
    manner: Manner,
    /// What it takes of the elements that no survey looks for.
    more: Vec<Field>,
}

/// Everybody the filter let through, ascending.
struct Listing {
    filter: ProfileFilter,
    ids: Vec<u64>,
}

impl Asking {
    fn new(manner: Manner) -> Self {
        Self { manner, more: more() }
    }

    /// Without the names a surface refuses; whether that leaves anything out.
    fn narrow(&mut self, refused: &[String]) -> bool {
        let refused = |name: &str| refused.contains(&camel(name));
        let kept = |field: &Field| match field {
            _ if refused(field.name()) => None,
            Field::Object(parts) => Some(
                parts
                    .without(refused)
                    .map_or_else(|| field.clone(), Field::Object),
            ),
            Field::Plain(_) | Field::List(_) | Field::Flag(_) => Some(field.clone()),
        };
        let more: Vec<Field> = self.more.iter().filter_map(kept).collect();
        let narrower = more != self.more;
        self.more = more;
        narrower
    }

    /// Another way to ask where nothing tells what is refused; `false` if there is none.
    fn give_way(&mut self, surface: Surface) -> bool {
        match surface {
            Surface::Rest if self.manner.projection != Projection::Whole => {
                self.manner.projection = Projection::Whole;
                true
            }
            Surface::Rest => false,
            Surface::Graphql => {
                let asked = self.more.len();
                self.more.retain(|field| !matches!(field, Field::Object(_)));
                self.more.len() < asked
            }
        }
    }
}

/// Elements of a profile that no survey looks for.
fn more() -> Vec<Field> {
    vec![
        Field::Plain(Plain::MiddleName),
        Field::Plain(Plain::UpdatedAt),
        Field::Object(Parts::phone()),
        Field::Object(Parts::address()),
    ]
}

/// Whether a profile needs an element that the survey looked for.
fn is_needed(field: &Field) -> bool {
    match field {
        Field::Plain(plain) => SURVEYED.contains(plain),
        Field::List(list) => *list == List::Roles,
        Field::Flag(name) => {
            let name = &**name;
            name == ACTIVE || name == RISK_ASSESS_LICENSE || CLASS_FLAGS.contains(&name)
        }
        Field::Object(_) => false,
    }
}

const fn is_refusal(failure: &Failure) -> bool {
    matches!(
        failure.trouble,
        Trouble::GraphqlRefused { .. } | Trouble::Rejected(400 | 422)
    )
}

impl Probe {
    async fn new(coupa: &Coupa) -> Result<Self, Fault> {
        let (client, memory) = (Arc::clone(&coupa.client), Arc::clone(&coupa.memory));
        let reader = survey::survey(client, memory)
            .await
            .map_err(|fault| fault.context(coupa.client.host()))?;
        let suppliers = SupplierRoles::among(&reader.roles().await?);
        let manner = reader.plan.manner;
        Ok(Self {
            reader,
            suppliers,
            made: Instant::now(),
            asking: Mutex::new(Each {
                rest: Asking::new(manner),
                graphql: Asking::new(manner),
            }),
            listing: tokio::sync::Mutex::default(),
        })
    }

    fn asking(&self, surface: Surface) -> Asking {
        let asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        asking.on(surface).clone()
    }

    fn learn(&self, surface: Surface, learned: &Asking) {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        match surface {
            Surface::Rest => asking.rest = learned.clone(),
            Surface::Graphql => asking.graphql = learned.clone(),
        }
    }

    /// What is read where if rows come from `surface` and were asked for like this.
    fn layout(&self, surface: Surface, asking: &Asking) -> Layout {
        let found = self.reader.plan.layouts.on(surface);
        let needed = |fields: &[Field]| -> Vec<Field> {
            let fields = fields.iter().filter(|field| is_needed(field));
            fields.cloned().collect()
        };
        let mut layout = Layout {
            lead: surface,
            own: needed(&found.own),
            borrowed: needed(&found.borrowed),
        };
        layout.own.extend(asking.more.iter().cloned());
        if self.reader.other(surface).is_some() {
            let refused = more().into_iter();
            let refused = refused.filter(|field| !asking.more.iter().any(|own| own.name() == field.name()));
            layout.borrowed.extend(refused);
        }
        layout
    }

    /// Asks until the surface takes the question, each time for less; `only` is the first to go unless a name is refused.
    async fn ask<T, F>(
        &self,
        surface: Surface,
        mut only: Only,
        read: impl Fn(Layout, Manner, Only) -> F,
    ) -> Result<(T, Layout), Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut asking = self.asking(surface);
        loop {
            let layout = self.layout(surface, &asking);
            let failure = match read(layout.clone(), asking.manner, only.clone()).await {
                Ok(answer) => return Ok((answer, layout)),
                Err(failure) if is_refusal(&failure) => failure,
                Err(failure) => return Err(failure),
            };
            let named = match &failure.trouble {
                Trouble::GraphqlRefused { fields } => asking.narrow(fields),
                _ => false,
            };
            if !named && only != Only::Everything {
                only = Only::Everything;
            } else if !named && !asking.give_way(surface) {
                return Err(failure);
            }
            tracing::info!(%failure, "asking for less of each user");
            self.learn(surface, &asking);
        }
    }

    async fn window(
        &self,
        surface: Surface,
        window: &Window,
        only: &Only,
    ) -> Result<(Vec<UserRow>, Layout), Failure> {
        let client = &self.reader.client;
        self.ask(surface, only.clone(), |layout, manner, only| async move {
            rows::window(client, manner, surface, window, &only, &layout.own).await
        })
        .await
    }

    async fn given(
        &self,
        surface: Surface,
        ids: &[u64],
    ) -> Result<(BTreeMap<u64, UserRow>, Layout), Failure> {
        let client = &self.reader.client;
        self.ask(surface, Only::Everything, |layout, manner, _| async move {
            rows::given(client, manner, surface, ids, &layout.own).await
        })
        .await
    }

    /// Rows as profiles, with what their surface does not show.
    async fn profiles(&self, layout: &Layout, mut rows: Vec<UserRow>) -> Result<Vec<Profile>, Fault> {
        self.reader.complete(layout, &mut rows, &[List::Roles]).await?;
        let profile = |(index, row): (usize, &UserRow)| {
            let read = row.to_profile(&self.suppliers);
            read.map_err(|element| misfit(index, row.id, &element))
        };
        rows.iter().enumerate().map(profile).collect()
    }

    async fn one(&self, user: UserId) -> Result<Option<Profile>, Fault> {
        let surface = single_surface(self.reader.plan.usable.rest);
        let (client, id) = (&self.reader.client, user.get());
        let read = self.ask(surface, Only::Everything, |layout, manner, _| async move {
            rows::single(client, manner, surface, id, &layout.own).await
        });
        let (row, layout) = read.await?;
        let Some(row) = row else {
            return self.is_nowhere(surface, user).await.map(|()| None);
        };
        Ok(self.profiles(&layout, vec![row]).await?.pop())
    }

    /// A gateway says 404, too: who is not shown in one way is absent only if the other does not show them either.
    async fn is_nowhere(&self, surface: Surface, user: UserId) -> Result<(), Fault> {
        let Some(other) = self.reader.other(surface) else {
            return Ok(());
        };
        let manner = self.asking(other).manner;
        match rows::single(&self.reader.client, manner, other, user.get(), &[]).await {
            Ok(Some(_)) => Err(Fault::unavailable(format!(
                "Coupa shows user {user} over {other} and not over {surface}"
            ))),
            Err(failure) if failure.is_transient() || failure.concerns_all() => Err(failure.into()),
            Ok(None) | Err(_) => Ok(()),
        }
    }

    async fn page(&self, after: u64, filter: ProfileFilter) -> Result<ProfilePage, Fault> {
        if self.reader.survey().order == UserOrder::Arbitrary {
            return self.listed(after, filter).await;
        }
        let (surface, only) = self.filtered(filter);
        let window = Window::After(after);
        let read = match self.window(surface, &window, &only).await {
            // `null` is no empty page. The other surface can tell what it stands for.
            Err(failure) if failure.is_null_list() && self.reader.other(surface).is_some() => {
                tracing::info!(%failure, "reading this page over the other surface");
                self.window(surface.other(), &window, &only).await?
            }
            read => read?,
        };
        let (rows, layout) = read;
        if rows.is_empty() {
            return Ok(end());
        }
        let rows = self.reader.in_order(layout.lead, rows, after)?;
        self.page_of(&layout, rows).await
    }

    /// Rows that are not empty.
    async fn page_of(&self, layout: &Layout, rows: Vec<UserRow>) -> Result<ProfilePage, Fault> {
        let next = rows.last().and_then(|row| UserId::new(row.id));
        Ok(ProfilePage {
            profiles: self.profiles(layout, rows).await?,
            next,
        })
    }

    /// The surface that leads under a filter, and the condition: the license is filtered where it is shown, if that one lists by id.
    fn filtered(&self, filter: ProfileFilter) -> (Surface, Only) {
        let plan = &self.reader.plan;
        match filter {
            ProfileFilter::All => (plan.lead, Only::Everything),
            ProfileFilter::ChangedSince(time) => (plan.lead, Only::ChangedSince(time)),
            ProfileFilter::Licensed => {
                let flag = Field::Flag(RISK_ASSESS_LICENSE.into());
                let shown = |surface| plan.layouts.on(surface).own.contains(&flag);
                let only = Only::Flag(RISK_ASSESS_LICENSE.into());
                let by_id = |surface| self.reader.lists_by_id(surface);
                match plan.lead {
                    lead if shown(lead) => (lead, only),
                    lead if *plan.usable.on(lead.other()) && shown(lead.other()) && by_id(lead.other()) => {
                        (lead.other(), only)
                    }
                    // Each profile tells whether the license is held.
                    lead => (lead, Only::Everything),
                }
            }
        }
    }

    /// A page of a tenant that lists in an order of its own: all ids are listed first, at the start of the listing.
    async fn listed(&self, after: u64, filter: ProfileFilter) -> Result<ProfilePage, Fault> {
        let (surface, only) = self.filtered(filter);
        let ids = {
            let mut listing = self.listing.lock().await;
            let known = listing.take().filter(|known| after > 0 && known.filter == filter);
            let known = match known {
                Some(known) => known,
                None => Listing {
                    filter,
                    ids: self.ids(surface, only).await?,
                },
            };
            let start = known.ids.partition_point(|id| *id <= after);
            let ids: Vec<u64> = known.ids[start..].iter().copied().take(PAGE).collect();
            *listing = Some(known);
            ids
        };
        let Some(last) = ids.last().copied() else {
            return Ok(end());
        };
        let (rows, layout) = self.given(surface, &ids).await?;
        let profiles = self.profiles(&layout, rows.into_values().collect()).await?;
        let next = UserId::new(last);
        Ok(ProfilePage { profiles, next })
    }

    /// Every id by offset, ascending.
    async fn ids(&self, surface: Surface, only: Only) -> Result<Vec<u64>, Fault> {
        let client = &self.reader.client;
        let mut ids = BTreeSet::new();
        let (mut offset, mut repeated) = (0, 0);
        loop {
            let window = &Window::Offset(offset);
            let read = self.ask(surface, only.clone(), |_, manner, only| async move {
                rows::window(client, manner, surface, window, &only, &[]).await
            });
            let (rows, _) = read.await?;
            if rows.is_empty() {
                return Ok(ids.into_iter().collect());
            }
            let known = ids.len();
            offset += rows.len() as u64;
            ids.extend(rows.iter().map(|row| row.id));
            // A page may start with rows of the one before. If nothing but that comes, the offset is not heeded.
            repeated = if ids.len() == known {
                repeated + rows.len()
            } else {
                0
            };
            if repeated > ids.len() {
                return Err(Failure::new(Object::Users, surface, Trouble::Endless).into());
            }
        }
    }
}

const fn end() -> ProfilePage {
    ProfilePage {
        profiles: Vec::new(),
        next: None,
    }
}

impl Coupa {
    async fn probe(&self) -> Result<Arc<Probe>, Fault> {
        let mut last = self.profiles.0.lock().await;
        if let Some(probe) = last.as_ref().filter(|probe| probe.made.elapsed() < SURVEY_AGE) {
            return Ok(Arc::clone(probe));
        }
        let probe = Arc::new(Probe::new(self).await?);
        *last = Some(Arc::clone(&probe));
        Ok(probe)
    }

    /// Forgets a survey that no longer fits, unless it was replaced already.
    async fn forget(&self, probe: &Arc<Probe>) {
        let mut last = self.profiles.0.lock().await;
        if last.as_ref().is_some_and(|last| Arc::ptr_eq(last, probe)) {
            *last = None;
        }
    }

    /// Reads by the survey in use; once more by a new one if the answer does not fit it.
    async fn by_survey<T, F>(&self, read: impl Fn(Arc<Probe>) -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let probe = self.probe().await?;
        let trust = self.memory.trust();
        match read(Arc::clone(&probe)).await {
            Err(fault) if *fault.kind() == FaultKind::Corrupt || self.memory.trust() != trust => {
                tracing::info!("profiles are read by a new survey: {fault:?}");
                self.forget(&probe).await;
                read(self.probe().await?).await
            }
            answer => answer,
        }
    }
}

#[async_trait]
impl ReadProfiles for Coupa {
    async fn profile(&self, user: UserId) -> Result<Option<Profile>, Fault> {
        self.by_survey(|probe| async move { probe.one(user).await }).await
    }

    async fn profiles(&self, after: Option<UserId>, filter: ProfileFilter) -> Result<ProfilePage, Fault> {
        let after = after.map_or(0, UserId::get);
        self.by_survey(|probe| async move { probe.page(after, filter).await })
            .await
    }

    async fn accounts_named(&self, key: AccountKey<'_>) -> Result<Vec<UserId>, Fault> {
        self.accounts(key).await
    }
}
