//! Resources and listed entitlements: pages from the snapshot, and single resources fresh from Coupa.
//!
//! Users are served while the pass still runs. Groups, roles and licenses wait for its end: only then is it sure which of them
//! users hold beyond the lists, and how many seats are in use.

use tokio::time::Instant;

use super::holders::Question;
use super::kind::{Key, Kind};
use super::page::{Budget, Listing, Token, fill};
use super::{
    Answer, Connector, entitlement_id, group, in_time, item_id, license, missing, no_token, not_found, ready,
    ready_or_later, role, stub, text, user,
};
use crate::model::access::{Item, License, LicenseCatalog};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::{LicenseName, UserId};
use crate::model::tenant::AccountClass;
use crate::proto::connector as c1;
use crate::proto::is;
use crate::snapshot::{Account, Complete, Lone, Rest, Waited};

/// Users read from the spool for one page: as many as surely fit.
const USERS: usize = 1000;

impl Connector {
    /// Resources of one type.
    pub async fn list_resources(
        &self,
        request: &c1::ResourcesServiceListResourcesRequest,
    ) -> Result<c1::ResourcesServiceListResourcesResponse, Fault> {
        let kind = Kind::asked(&request.resource_type_id)?;
        let budget = Budget::of(request.page_size)?;
        let token = Token::parse(&request.page_token, kind, Listing::Resources)?;
        let of_trait = request.r#trait();
        let other_trait = of_trait != c1::resource_type::Trait::Unspecified && of_trait != kind.of_trait();
        let answer = if other_trait || request.parent_resource_id.is_some() {
            // Nothing of ours has a parent.
            Answer::end()
        } else if kind == Kind::User {
            self.users(&request.active_sync_id, &token, budget).await?
        } else {
            self.items(kind, &request.active_sync_id, &token, budget).await?
        };
        Ok(c1::ResourcesServiceListResourcesResponse {
            list: answer.list,
            next_page_token: text(answer.next),
            annotations: Vec::new(),
        })
    }

    async fn users(&self, sync: &str, token: &Token, budget: Budget) -> Result<Answer<c1::Resource>, Fault> {
        let last = match &token.item {
            Some(Key::User(id)) => Some(*id),
            Some(Key::Item(_)) | None => None,
        };
        let snapshot = self.snapshots.get(sync);
        let found = snapshot
            .accounts(last, budget.rows.min(USERS), self.deadline())
            .await?;
        let accounts = ready_or_later!(found, token);
        let end = accounts.list.last().map(|account| account.id);
        let rows = accounts
            .list
            .iter()
            .map(|account| (account.id, user::resource(account)));
        let page = fill(rows, budget);
        let rest = match accounts.rest {
            Rest::Nothing => None,
            Rest::Maybe => end,
        };
        Ok(Answer {
            list: page.rows,
            next: page
                .more_after
                .or(rest)
                .map(|last| token.after(Key::User(last), None)),
        })
    }

    async fn items(
        &self,
        kind: Kind,
        sync: &str,
        token: &Token,
        budget: Budget,
    ) -> Result<Answer<c1::Resource>, Fault> {
        let snapshot = self.snapshots.get(sync);
        let complete = ready_or_later!(snapshot.complete(self.deadline()).await?, token);
        let items: Vec<Item> = match kind {
            Kind::Group => complete
                .groups
                .iter()
                .map(|group| Item::Group(group.id))
                .collect(),
            Kind::Role => complete.roles.iter().map(|role| Item::Role(role.id)).collect(),
            Kind::License => complete
                .licenses
                .iter()
                .map(|license| Item::License(license.name.clone()))
                .collect(),
            Kind::User => Vec::new(),
        };
        let keys = items
            .into_iter()
            .map(Key::Item)
            .filter(|key| token.item.as_ref().is_none_or(|last| key > last));
        let rows = keys.filter_map(|key| listed(&complete, &key).map(|resource| (key, resource)));
        let page = fill(rows, budget);
        Ok(Answer {
            list: page.rows,
            next: page.more_after.map(|last| token.after(last, None)),
        })
    }

    /// One resource, fresh.
    pub async fn get_resource(
        &self,
        request: &c1::ResourceGetterServiceGetResourceRequest,
    ) -> Result<c1::ResourceGetterServiceGetResourceResponse, Fault> {
        let id = request
            .resource_id
            .as_ref()
            .ok_or_else(|| missing("resource id"))?;
        let kind = Kind::asked(&id.resource_type).map_err(not_one_by_one)?;
        let key = kind.key(&id.resource)?;
        let deadline = self.deadline();
        let sync = request.active_sync_id.as_str();
        let found = match key {
            Key::User(id) => in_time(deadline, self.one_user(sync, id)).await?,
            Key::Item(Item::License(name)) => self.fresh_license(sync, &name, deadline).await?,
            Key::Item(item) => in_time(deadline, self.one_item(sync, item)).await?,
        };
        Ok(c1::ResourceGetterServiceGetResourceResponse {
            resource: Some(found.ok_or_else(|| not_found(kind))?),
            annotations: Vec::new(),
        })
    }

    /// A user: within a sync as the sync has seen it, else fresh.
    async fn one_user(&self, sync: &str, id: UserId) -> Result<Option<c1::Resource>, Fault> {
        if let Some(account) = self.seen_user(sync, id).await? {
            return Ok(Some(user::resource(&account)));
        }
        let fresh = self.snapshots.fresh().await?;
        let Some(user) = fresh.reader.user(id).await? else {
            return Ok(None);
        };
        let (account, _) = Account::of(user, fresh.supplier_roles().await?);
        if !self.lists(account.class) {
            return Err(unlisted(account.class));
        }
        Ok(Some(user::resource(&account)))
    }

    async fn seen_user(&self, sync: &str, id: UserId) -> Result<Option<Account>, Fault> {
        // Callers without a sync share an id; each wants to know how things are now.
        if sync.is_empty() {
            return Ok(None);
        }
        match self.snapshots.going_on(sync) {
            Lone::Snapshot(snapshot) => snapshot.account(id).await,
            Lone::Query(recall) => recall.account(id).await,
        }
    }

    /// A role or a group: within a sync that has a complete pass as the pass has seen it, else fresh.
    async fn one_item(&self, sync: &str, item: Item) -> Result<Option<c1::Resource>, Fault> {
        let passed = self.snapshots.live(sync).filter(|_| !sync.is_empty());
        let seen = passed.and_then(|snapshot| snapshot.ready());
        if let Some(resource) = seen.and_then(|complete| listed(&complete, &Key::Item(item.clone()))) {
            return Ok(Some(resource));
        }
        let found = self.fresh_item(&item).await?;
        if found.is_some() && !sync.is_empty() {
            self.snapshots.recall(sync).keep_item(&item);
        }
        Ok(found)
    }

    async fn fresh_item(&self, item: &Item) -> Result<Option<c1::Resource>, Fault> {
        let fresh = self.snapshots.fresh().await?;
        Ok(match item {
            Item::Role(id) => fresh.reader.role(*id).await?.as_ref().map(role::resource),
            Item::Group(id) => fresh.reader.group(*id).await?.as_ref().map(group::resource),
            Item::License(_) => None,
        })
    }

    async fn fresh_license(
        &self,
        sync: &str,
        name: &LicenseName,
        deadline: Instant,
    ) -> Result<Option<c1::Resource>, Fault> {
        let key = Key::Item(Item::License(name.clone()));
        if let Some(complete) = self.snapshots.live(sync).and_then(|snapshot| snapshot.ready()) {
            return Ok(listed(&complete, &key));
        }
        let fresh = in_time(deadline, self.snapshots.fresh()).await?;
        let Some(license) = find(&fresh.reader.survey().licenses, name) else {
            return Ok(None);
        };
        let question = Question {
            fresh: &fresh,
            item: &Item::License(name.clone()),
            deadline,
            recall: &self.snapshots.recall(sync),
        };
        match in_time(deadline, self.count_holders(&question)).await {
            Ok(Some(holders)) => Ok(Some(license::resource(license, holders.len() as u64))),
            // Not countable by a query, or not in time: a pass counts everything at once.
            Ok(None) => self.counted_by_pass(sync, &key, deadline).await,
            Err(fault) if fault.is_transient() => self.counted_by_pass(sync, &key, deadline).await,
            Err(fault) => Err(fault),
        }
    }

    async fn counted_by_pass(
        &self,
        sync: &str,
        key: &Key,
        deadline: Instant,
    ) -> Result<Option<c1::Resource>, Fault> {
        let complete = ready(self.snapshots.get(sync).complete(deadline).await?)?;
        Ok(listed(&complete, key))
    }

    /// Entitlements of a resource, or of all licenses.
    pub async fn list_entitlements(
        &self,
        request: &c1::EntitlementsServiceListEntitlementsRequest,
    ) -> Result<c1::EntitlementsServiceListEntitlementsResponse, Fault> {
        let resource = request.resource.as_ref().ok_or_else(|| missing("resource"))?;
        let id = resource.id.as_ref().ok_or_else(|| missing("resource id"))?;
        let kind = Kind::asked(&id.resource_type)?;
        let budget = Budget::of(request.page_size)?;
        let by_type = request.annotations.iter().any(is::<c1::TypeScopedEntitlements>);
        let answer = match (kind, by_type) {
            (Kind::License, true) => {
                let token = Token::parse(&request.page_token, kind, Listing::Entitlements)?;
                self.license_entitlements(&request.active_sync_id, &token, budget)
                    .await?
            }
            (_, true) => {
                return Err(
                    Fault::invalid("entitlements of this type are not listed by type").context(kind.id())
                );
            }
            (_, false) => {
                no_token(&request.page_token)?;
                let list = self
                    .entitlements_of(&request.active_sync_id, kind.key(&id.resource)?)
                    .await?;
                Answer { list, next: None }
            }
        };
        Ok(c1::EntitlementsServiceListEntitlementsResponse {
            list: answer.list,
            next_page_token: text(answer.next),
            annotations: Vec::new(),
        })
    }

    async fn license_entitlements(
        &self,
        sync: &str,
        token: &Token,
        budget: Budget,
    ) -> Result<Answer<c1::Entitlement>, Fault> {
        let catalog = ready_or_later!(self.catalog(sync).await?, token);
        let key = |license: &License| Key::Item(Item::License(license.name.clone()));
        let rows = catalog
            .iter()
            .map(|license| (key(license), license::entitlement(license)))
            .filter(|(key, _)| token.item.as_ref().is_none_or(|last| key > last));
        let page = fill(rows, budget);
        Ok(Answer {
            list: page.rows,
            next: page.more_after.map(|last| token.after(last, None)),
        })
    }

    async fn entitlements_of(&self, sync: &str, key: Key) -> Result<Vec<c1::Entitlement>, Fault> {
        let template = match &key {
            Key::User(_) => return Ok(Vec::new()),
            Key::Item(Item::License(name)) => {
                let catalog = ready(self.catalog(sync).await?)?;
                let license = find(&catalog, name).ok_or_else(|| not_found(Kind::License))?;
                return Ok(vec![license::entitlement(license)]);
            }
            Key::Item(Item::Role(_)) => role::entitlement(),
            Key::Item(Item::Group(_)) => group::entitlement(),
        };
        let Key::Item(item) = key else {
            return Ok(Vec::new());
        };
        Ok(vec![c1::Entitlement {
            id: entitlement_id(&item),
            resource: Some(stub(item_id(&item))),
            ..template
        }])
    }

    /// The licenses of a sync: those of its snapshot, so that they equal the listed ones.
    async fn catalog(&self, sync: &str) -> Result<Waited<LicenseCatalog>, Fault> {
        let deadline = self.deadline();
        if let Some(snapshot) = self.snapshots.live(sync) {
            return snapshot.licenses(deadline).await;
        }
        let fresh = in_time(deadline, self.snapshots.fresh()).await?;
        Ok(Waited::Ready(fresh.reader.survey().licenses.clone()))
    }
}

/// The resource of a listed item.
fn listed(complete: &Complete, key: &Key) -> Option<c1::Resource> {
    let Key::Item(item) = key else { return None };
    match item {
        Item::Role(id) => {
            let at = complete.roles.binary_search_by_key(id, |role| role.id).ok()?;
            Some(role::resource(&complete.roles[at]))
        }
        Item::Group(id) => {
            let at = complete.groups.binary_search_by_key(id, |group| group.id).ok()?;
            Some(group::resource(&complete.groups[at]))
        }
        Item::License(name) => {
            let license = find(&complete.licenses, name)?;
            Some(license::resource(license, complete.index.seats(item)))
        }
    }
}

/// Why a user who is there is not answered.
fn unlisted(class: AccountClass) -> Fault {
    Fault::new(
        FaultKind::NotFound,
        format!(
            "Coupa has this user, an account of class {}, which is not synced",
            class.name()
        ),
    )
    .advise("see the setting account-classes")
}

fn find<'a>(catalog: &'a LicenseCatalog, name: &LicenseName) -> Option<&'a License> {
    catalog.get(catalog.position(name)?)
}

/// What the ecosystem answers for a type whose resources cannot be read one by one; no other type is one of ours.
fn not_one_by_one(fault: Fault) -> Fault {
    match fault.kind() {
        FaultKind::NotFound => Fault::new(FaultKind::Unsupported, fault.to_string()),
        _ => fault,
    }
}
