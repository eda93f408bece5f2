//! Roles and user groups: whole lists, and single ones, over whichever surface has them.
//!
//! Invariant: a list is complete or an error; it ends on an empty page only, and a page that brings nothing new never loops.

use std::collections::BTreeMap;

use crate::model::fault::Fault;

use super::client::Client;
use super::memory::Memory;
use super::query::{self, Dialect, Only, Projection, Window};
use super::rows::{Tidy, distinct, tidy};
use super::trouble::{Failure, Object, Surface, Trouble};
use super::wire::Row;

/// Where a collection is and what is read of it.
#[derive(Debug)]
pub(crate) struct Collection {
    object: Object,
    path: &'static str,
    root: &'static str,
    /// Dashed REST names; the first two are needed.
    fields: &'static [&'static str],
}

/// `/roles`, `roles`.
pub(crate) const ROLES: Collection = Collection {
    object: Object::Roles,
    path: "/api/roles",
    root: "roles",
    fields: &["id", "name", "description", "omnipotent", "system-role"],
};

/// `/user_groups`, `userGroups`.
pub(crate) const GROUPS: Collection = Collection {
    object: Object::Groups,
    path: "/api/user_groups",
    root: "userGroups",
    fields: &[
        "id",
        "name",
        "description",
        "active",
        "type",
        "can-approve",
        "open",
    ],
};

/// Reads collections of one tenant.
pub(crate) struct Shelf<'a> {
    pub(crate) client: &'a Client,
    pub(crate) memory: &'a Memory,
    pub(crate) projection: Projection,
}

impl Shelf<'_> {
    /// Every thing, ascending by id.
    pub(crate) async fn all<R: Row>(&self, collection: &Collection) -> Result<Vec<R::Thing>, Fault> {
        let rows = self
            .over_either(collection, |surface| self.list::<R>(collection, surface))
            .await?;
        let thing =
            |(index, row): (usize, R)| row.into_thing().map_err(|field| misfit(collection, index, field));
        rows.into_iter().enumerate().map(thing).collect()
    }

    /// One thing, or `None` if the tenant does not have it.
    pub(crate) async fn one<R: Row>(
        &self,
        collection: &Collection,
        id: u64,
    ) -> Result<Option<R::Thing>, Fault> {
        let rows = self
            .over_either(collection, |surface| {
                self.first::<R>(collection, surface, Window::Ids(vec![id]))
            })
            .await?;
        let foreign = !rows.is_empty();
        match thing_of(collection, rows, id)? {
            Some(thing) => Ok(Some(thing)),
            // The condition was ignored: only the whole list can tell.
            None if foreign => self.one_of_all::<R>(collection, id).await,
            None => self.one_elsewhere::<R>(collection, id).await,
        }
    }

    /// What the other surface says about a thing that the first does not show: a list may leave out whole types of groups.
    async fn one_elsewhere<R: Row>(
        &self,
        collection: &Collection,
        id: u64,
    ) -> Result<Option<R::Thing>, Fault> {
        let surface = self.memory.surface_of(collection.object).other();
        match self.first::<R>(collection, surface, Window::Ids(vec![id])).await {
            Ok(rows) => thing_of(collection, rows, id),
            Err(failure) if failure.concerns_all() => Err(failure.into()),
            Err(failure) => {
                tracing::debug!(%failure, "only one surface can be asked");
                Ok(None)
            }
        }
    }

    async fn one_of_all<R: Row>(&self, collection: &Collection, id: u64) -> Result<Option<R::Thing>, Fault> {
        let rows = self
            .over_either(collection, |surface| self.list::<R>(collection, surface))
            .await?;
        thing_of(collection, rows, id)
    }

    /// Proves that the collection can be read, by one row.
    pub(crate) async fn taste<R: Row>(&self, collection: &Collection) -> Result<(), Fault> {
        self.over_either(collection, |surface| self.taste_over::<R>(collection, surface))
            .await
            .map(drop)
    }

    /// Whether one row can be read over that surface; how many came.
    pub(crate) async fn taste_over<R: Row>(
        &self,
        collection: &Collection,
        surface: Surface,
    ) -> Result<usize, Failure> {
        let rows = self.first::<R>(collection, surface, Window::One).await?;
        Ok(rows.len())
    }

    /// One page.
    async fn first<R: Row>(
        &self,
        collection: &Collection,
        surface: Surface,
        window: Window,
    ) -> Result<Vec<R>, Failure> {
        Asker::new(self, collection, surface).page(&window).await
    }

    /// Tries the surface that worked last, then the other.
    async fn over_either<T, F>(
        &self,
        collection: &Collection,
        read: impl Fn(Surface) -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let first = self.memory.surface_of(collection.object);
        let failure = match read(first).await {
            Ok(done) => return Ok(done),
            Err(failure) if failure.concerns_all() => return Err(failure.into()),
            Err(failure) => failure,
        };
        tracing::info!(%failure, "trying the other surface");
        match read(first.other()).await {
            Ok(done) => {
                if !failure.is_transient() {
                    self.memory.served(collection.object, first.other());
                }
                Ok(done)
            }
            Err(second) => Err(most_telling(failure, second).into()),
        }
    }

    async fn list<R: Row>(&self, collection: &Collection, surface: Surface) -> Result<Vec<R>, Failure> {
        let mut asker = Asker::new(self, collection, surface);
        if let Some(rows) = asker.by_key().await? {
            return Ok(rows);
        }
        tracing::info!(
            object = collection.object.name(),
            %surface,
            "the list is not in order of ids or does not heed id[gt]; reading by offset"
        );
        asker.by_offset().await
    }
}

/// The failure that decides: the first surface's if it may pass, for then the other's refusal settles nothing; else the one that
/// helps a person more, of equals the first.
pub(crate) fn most_telling(first: Failure, second: Failure) -> Failure {
    if !first.is_transient() && second.telling() > first.telling() {
        second
    } else {
        first
    }
}

/// The thing with that id among `rows`.
fn thing_of<R: Row>(collection: &Collection, rows: Vec<R>, id: u64) -> Result<Option<R::Thing>, Fault> {
    let found = rows.into_iter().enumerate().find(|(_, row)| row.id() == id);
    let thing = |(index, row): (usize, R)| row.into_thing().map_err(|field| misfit(collection, index, field));
    found.map(thing).transpose()
}

fn misfit(collection: &Collection, index: usize, field: &str) -> Fault {
    let object = collection.object;
    let path = format!("{}[{index}].{field}", object.root());
    Fault::corrupt(format!(
        "Coupa's answer does not have the expected form at {path}"
    ))
}

/// Asks for pages of one collection over one surface, and learns how.
struct Asker<'a> {
    shelf: &'a Shelf<'a>,
    collection: &'a Collection,
    surface: Surface,
    fields: Vec<&'static str>,
    dialect: Dialect,
}

impl<'a> Asker<'a> {
    fn new(shelf: &'a Shelf<'a>, collection: &'a Collection, surface: Surface) -> Self {
        Self {
            shelf,
            collection,
            surface,
            fields: collection.fields.to_vec(),
            dialect: Dialect::Full,
        }
    }

    /// Every row by key; `None` if the surface does not list by key.
    async fn by_key<R: Row>(&mut self) -> Result<Option<Vec<R>>, Failure> {
        let mut all = Vec::new();
        let mut after = 0;
        loop {
            let page: Vec<R> = self.page(&Window::After(after)).await?;
            if page.is_empty() {
                return Ok(Some(all));
            }
            let Tidy::Rows(rows) = tidy(page, after, R::id) else {
                return Ok(None);
            };
            after = rows.last().map_or(after, R::id);
            all.extend(rows);
        }
    }

    /// Every row by offset, which goes on until an empty page.
    async fn by_offset<R: Row>(&mut self) -> Result<Vec<R>, Failure> {
        let mut all: BTreeMap<u64, R> = BTreeMap::new();
        let (mut offset, mut repeated) = (0, 0);
        loop {
            let page: Vec<R> = self.page(&Window::Offset(offset)).await?;
            if page.is_empty() {
                return Ok(all.into_values().collect());
            }
            let (rows, known) = (page.len(), all.len());
            offset += rows as u64;
            all.extend(distinct(page, R::id).into_iter().map(|row| (row.id(), row)));
            // A page may start with rows of the one before. If nothing but that comes, the offset is not heeded.
            repeated = if all.len() == known { repeated + rows } else { 0 };
            if repeated > all.len() {
                let object = self.collection.object;
                return Err(Failure::new(object, self.surface, Trouble::Endless));
            }
        }
    }

    async fn page<R: Row>(&mut self, window: &Window) -> Result<Vec<R>, Failure> {
        match self.surface {
            Surface::Rest => self.rest(window).await,
            Surface::Graphql => self.graphql(window).await,
        }
    }

    async fn rest<R: Row>(&self, window: &Window) -> Result<Vec<R>, Failure> {
        let mut parameters = query::parameters(window, &Only::Everything, Dialect::Full);
        parameters.extend(query::projection(&self.fields, self.shelf.projection));
        self.shelf
            .client
            .rest(self.collection.object, self.collection.path, &parameters)
            .await
    }

    /// Leaves out what the schema does not have, and the arrangement if that is what is refused.
    async fn graphql<R: Row>(&mut self, window: &Window) -> Result<Vec<R>, Failure> {
        loop {
            let names: Vec<String> = self
                .fields
                .iter()
                .map(|name| super::licenses::camel(name))
                .collect();
            let document = query::graphql_list(self.collection.root, window, &names, self.dialect);
            let failure = match self.shelf.client.graphql(self.collection.object, &document).await {
                Ok(rows) => return Ok(rows),
                Err(failure) => failure,
            };
            let Trouble::GraphqlRefused { fields } = &failure.trouble else {
                return Err(failure);
            };
            let count = self.fields.len();
            let optional = |name: &&str| *name != "id" && *name != "name";
            self.fields
                .retain(|name| !optional(name) || !fields.contains(&super::licenses::camel(name)));
            if self.fields.len() == count {
                if self.dialect == Dialect::Bare {
                    return Err(failure);
                }
                self.dialect = Dialect::Bare;
            }
        }
    }
}
