//! Grants: who holds what, in two forms from one index. Of a whole type, for syncers that ask so; of one resource, for those
//! that do not. A lone question about one resource is a filtered query instead of a pass.
//!
//! Invariant: both forms give the same grants in the same order, by item and principal; rows are references only. Neither tells
//! what a list shows while a change of ours has emptied it.

use std::ops::Bound;

use tokio::time::Instant;

use super::downstream::Notes;
use super::holders::Question;
use super::kind::{Key, Kind};
use super::page::{Budget, Listing, Token, fill};
use super::{
    Answer, Connector, entitlement_id, in_time, item_id, missing, not_found, ready_or_later, resource_id,
    stub, text,
};
use crate::model::access::{Item, ItemKind};
use crate::model::fault::Fault;
use crate::model::id::UserId;
use crate::proto::connector as c1;
use crate::proto::is;
use crate::snapshot::{Fresh, Lone, Recall, Snapshot};

impl Connector {
    /// Grants of a resource or a type.
    pub async fn list_grants(
        &self,
        request: &c1::GrantsServiceListGrantsRequest,
    ) -> Result<c1::GrantsServiceListGrantsResponse, Fault> {
        let resource = request.resource.as_ref().ok_or_else(|| missing("resource"))?;
        let id = resource.id.as_ref().ok_or_else(|| missing("resource id"))?;
        let kind = Kind::asked(&id.resource_type)?;
        let budget = Budget::of(request.page_size)?;
        let (sync, token) = (request.active_sync_id.as_str(), request.page_token.as_str());
        let by_type = request.annotations.iter().any(is::<c1::TypeScopedGrants>);
        let answer = match (kind.item(), by_type) {
            (None, true) => {
                return Err(Fault::invalid("grants of this type are not listed by type").context(kind.id()));
            }
            (None, false) => Answer::end(),
            (Some(items), true) => {
                let token = Token::parse(token, kind, Listing::TypeGrants)?;
                self.grants_of_type(items, sync, &token, budget).await?
            }
            (Some(_), false) => self.grants_of(kind, &id.resource, sync, token, budget).await?,
        };
        Ok(c1::GrantsServiceListGrantsResponse {
            list: answer.list,
            next_page_token: text(answer.next),
            annotations: Vec::new(),
        })
    }

    async fn grants_of_type(
        &self,
        kind: ItemKind,
        sync: &str,
        token: &Token,
        budget: Budget,
    ) -> Result<Answer<c1::Grant>, Fault> {
        let snapshot = self.snapshots.get(sync);
        let complete = ready_or_later!(snapshot.complete(self.deadline()).await?, token);
        let notes = self.notes(kind).await?;
        let start = match &token.item {
            Some(Key::Item(item)) => Some((item.clone(), token.last)),
            Some(Key::User(_)) | None => None,
        };
        let pairs = complete.index.pairs(kind, start);
        let page = fill(
            pairs.map(|(item, user)| ((item, user), notes.beside(grant(item, user), item, user))),
            budget,
        );
        Ok(Answer {
            list: page.rows,
            next: page
                .more_after
                .map(|(item, user)| token.after(Key::Item(item.clone()), Some(user))),
        })
    }

    async fn grants_of(
        &self,
        kind: Kind,
        id: &str,
        sync: &str,
        token: &str,
        budget: Budget,
    ) -> Result<Answer<c1::Grant>, Fault> {
        let key = kind.key(id)?;
        let first = token.is_empty();
        let mut token = Token::parse(token, kind, Listing::Grants)?;
        if !first && token.item.as_ref() != Some(&key) {
            return Err(Fault::invalid("the page token belongs to another resource"));
        }
        let Key::Item(item) = &key else {
            return Ok(Answer::end());
        };
        let place = Place {
            item,
            deadline: self.deadline(),
            budget,
            notes: self.notes(item.kind()).await?,
        };
        token.item = Some(key.clone());
        let how = if first {
            self.snapshots.lone(sync).await
        } else {
            self.snapshots.going_on(sync)
        };
        match how {
            Lone::Snapshot(snapshot) => from_snapshot(&snapshot, kind, &place, &token).await,
            Lone::Query(recall) => match self.by_query(kind, &place, &token, &recall).await? {
                Some(answer) => Ok(answer),
                None => from_snapshot(&self.snapshots.get(sync), kind, &place, &token).await,
            },
        }
    }

    /// Holders by filtered queries; `None` if this tenant cannot be asked so.
    async fn by_query(
        &self,
        kind: Kind,
        place: &Place<'_>,
        token: &Token,
        recall: &Recall,
    ) -> Result<Option<Answer<c1::Grant>>, Fault> {
        if let Some(counted) = recall.holders(place.item) {
            let after = (
                token.last.map_or(Bound::Unbounded, Bound::Excluded),
                Bound::Unbounded,
            );
            let holders = counted.range(after).filter(|(_, class)| self.lists(**class));
            let page = fill(holders.map(|(id, _)| (*id, place.grant(*id))), place.budget);
            return Ok(Some(page_after(page.rows, page.more_after, place.item, token)));
        }
        let fresh = in_time(place.deadline, self.snapshots.fresh()).await?;
        if !in_time(place.deadline, exists(&fresh, place.item, token, recall)).await? {
            return gone(kind, token).map(Some);
        }
        let question = Question {
            fresh: &fresh,
            item: place.item,
            deadline: place.deadline,
            recall,
        };
        let Some(shown) = self.ask(&question, token.last, place.budget.rows).await? else {
            return Ok(None);
        };
        let holders = shown
            .holders
            .iter()
            .filter(|(_, account)| self.lists(account.class));
        let page = fill(holders.map(|(id, _)| (*id, place.grant(*id))), place.budget);
        let next = page.more_after.or(shown.last);
        Ok(Some(page_after(page.rows, next, place.item, token)))
    }
}

/// What is asked for, how much of it, and until when.
struct Place<'a> {
    item: &'a Item,
    deadline: Instant,
    budget: Budget,
    notes: Notes,
}

impl Place<'_> {
    fn grant(&self, user: UserId) -> c1::Grant {
        self.notes.beside(grant(self.item, user), self.item, user)
    }
}

async fn from_snapshot(
    snapshot: &Snapshot,
    kind: Kind,
    place: &Place<'_>,
    token: &Token,
) -> Result<Answer<c1::Grant>, Fault> {
    let complete = ready_or_later!(snapshot.complete(place.deadline).await?, token);
    if !complete.index.lists(place.item) {
        return gone(kind, token);
    }
    let holders = complete.index.holders(place.item, token.last);
    let page = fill(holders.map(|user| (user, place.grant(user))), place.budget);
    Ok(page_after(page.rows, page.more_after, place.item, token))
}

fn page_after(rows: Vec<c1::Grant>, last: Option<UserId>, item: &Item, token: &Token) -> Answer<c1::Grant> {
    Answer {
        list: rows,
        next: last.map(|last| token.after(Key::Item(item.clone()), Some(last))),
    }
}

/// The answer for an item that the tenant does not have: an error, unless it went away between two pages.
fn gone(kind: Kind, token: &Token) -> Result<Answer<c1::Grant>, Fault> {
    if token.last.is_some() {
        return Ok(Answer::end());
    }
    Err(not_found(kind))
}

/// Whether the tenant has the item. Roles and groups are asked for where nobody has seen them in this sync, and on the first page only:
/// later it costs a request and tells nothing, since an item that is gone has no holders.
async fn exists(fresh: &Fresh, item: &Item, token: &Token, recall: &Recall) -> Result<bool, Fault> {
    let found = match item {
        Item::License(name) => return Ok(fresh.reader.survey().licenses.position(name).is_some()),
        Item::Role(_) | Item::Group(_) if token.last.is_some() || recall.has_item(item) => return Ok(true),
        Item::Role(id) => fresh.reader.role(*id).await?.is_some(),
        Item::Group(id) => fresh.reader.group(*id).await?.is_some(),
    };
    recall.spend();
    if found {
        recall.keep_item(item);
    }
    Ok(found)
}

/// One grant, as references: `entitlement:type:id`.
pub(super) fn grant(item: &Item, user: UserId) -> c1::Grant {
    let entitlement = entitlement_id(item);
    let principal = resource_id(Kind::User, user);
    c1::Grant {
        id: format!("{entitlement}:{}:{}", principal.resource_type, principal.resource),
        entitlement: Some(c1::Entitlement {
            id: entitlement,
            resource: Some(stub(item_id(item))),
            ..c1::Entitlement::default()
        }),
        principal: Some(stub(principal)),
        ..c1::Grant::default()
    }
}
