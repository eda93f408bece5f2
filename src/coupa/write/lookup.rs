//! Look-ups a change needs: membership rows, accounts by login or e-mail, and the account of the client itself.
//!
//! Invariant: a condition is never trusted: every row is compared with what was asked for, an answer that cannot be compared or
//! cannot be whole is a fault, and "none" is said only after a listing has come to its end.

use std::collections::BTreeSet;

use crate::coupa::client::Client;
use crate::coupa::collection::most_telling;
use crate::coupa::query::{self, Dialect, Named, Only, PAGE, Projection, Window};
use crate::coupa::rows::{self, Manner};
use crate::coupa::trouble::{Failure, Object, Surface, Trouble};
use crate::coupa::wire::{Field, MembershipRow, Numbered, Plain, UserRow};
use crate::model::change::{AccountKey, MembershipId};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::{GroupId, UserId};

const MEMBERSHIPS: &str = "/api/user_group_memberships";

/// So many pages are looked through when conditions are not heeded: a small tenant is read to its end, a large one is not.
const FOREIGN_PAGES: u32 = 20;

/// The membership rows of `user` in `group`.
pub(super) async fn memberships(
    client: &Client,
    user: UserId,
    group: GroupId,
) -> Result<Vec<MembershipId>, Fault> {
    let mut last = None;
    for projection in Projection::ALL {
        match membership_rows(client, projection, user, group).await {
            Ok(rows) => return Ok(rows.into_iter().map(MembershipId).collect()),
            Err(failure) if may_be_projection(&failure) => last = Some(failure),
            Err(failure) => return Err(membership_fault(failure)),
        }
    }
    Err(last.map_or_else(|| Fault::internal("no projection was tried"), membership_fault))
}

async fn membership_rows(
    client: &Client,
    projection: Projection,
    user: UserId,
    group: GroupId,
) -> Result<BTreeSet<u64>, Failure> {
    let failed = |trouble| Failure::new(Object::Memberships, Surface::Rest, trouble);
    let mut sieve = Sieve::default();
    loop {
        let mut parameters = vec![
            ("user_id".to_owned(), user.to_string()),
            ("user_group_id".to_owned(), group.to_string()),
        ];
        let window = Window::After(sieve.after);
        parameters.extend(query::parameters(&window, &Only::Everything, Dialect::Full));
        parameters.extend(query::projection(&["id", "user-id", "user-group-id"], projection));
        let rows: Vec<MembershipRow> = client.rest(Object::Memberships, MEMBERSHIPS, &parameters).await?;
        let judged = rows.iter().enumerate().map(|(index, row)| {
            let named = |element: &str| failed(misfit(Object::Memberships, index, element));
            let of_user = row.user().ok_or_else(|| named("user-id"))? == user.get();
            let in_group = row.group().ok_or_else(|| named("user-group-id"))? == group.get();
            Ok((row.id(), of_user && in_group))
        });
        let judged: Vec<_> = judged.collect::<Result<_, Failure>>()?;
        if let Some(found) = sieve.take(&judged).map_err(failed)? {
            return Ok(found);
        }
    }
}

/// Where the rows are not shown at all, that is not an outage.
fn membership_fault(failure: Failure) -> Fault {
    match failure.trouble {
        Trouble::NotFound | Trouble::Rejected(405) => Fault::new(
            FaultKind::Unsupported,
            "Coupa does not offer group memberships as rows of their own",
        )
        .because(failure),
        _ => failure.into(),
    }
}

/// Accounts with that login or e-mail, active or not, ascending.
pub(super) async fn accounts(client: &Client, key: AccountKey<'_>) -> Result<Vec<UserId>, Fault> {
    let (element, text) = match key {
        AccountKey::Login(text) => (Plain::Login, text),
        AccountKey::Email(text) => (Plain::Email, text),
    };
    let mut found = BTreeSet::new();
    // A tenant may compare letter by letter.
    for text in BTreeSet::from([text.to_owned(), text.to_lowercase()]) {
        let named = Named {
            element,
            text: text.into(),
        };
        found.extend(named_users(client, &named).await?);
    }
    Ok(found.into_iter().filter_map(UserId::new).collect())
}

/// Over REST, where conditions are documented; over GraphQL if REST cannot tell.
async fn named_users(client: &Client, named: &Named) -> Result<BTreeSet<u64>, Fault> {
    let first = match rest_users(client, named).await {
        Ok(found) => return Ok(found),
        Err(failure) if failure.concerns_all() => return Err(failure.into()),
        Err(failure) => failure,
    };
    tracing::info!(failure = %first, "looking up an account over the other surface");
    match users_over(client, Surface::Graphql, Projection::Whole, named).await {
        Ok(found) => Ok(found),
        Err(second) => Err(most_telling(first, second).into()),
    }
}

async fn rest_users(client: &Client, named: &Named) -> Result<BTreeSet<u64>, Failure> {
    let mut last = None;
    for projection in Projection::ALL {
        match users_over(client, Surface::Rest, projection, named).await {
            Err(failure) if may_be_projection(&failure) => last = Some(failure),
            answer => return answer,
        }
    }
    Err(last.unwrap_or_else(|| Failure::new(Object::Users, Surface::Rest, Trouble::Ours)))
}

async fn users_over(
    client: &Client,
    surface: Surface,
    projection: Projection,
    named: &Named,
) -> Result<BTreeSet<u64>, Failure> {
    let failed = |trouble| Failure::new(Object::Users, surface, trouble);
    // Over GraphQL no more is asked for than public code shows to work.
    let manner = Manner {
        projection,
        dialect: Dialect::Bare,
    };
    let only = Only::Named(named.clone());
    let fields = [Field::Plain(named.element)];
    let mut sieve = Sieve::default();
    loop {
        let window = Window::After(sieve.after);
        let rows: Vec<UserRow> = rows::window(client, manner, surface, &window, &only, &fields).await?;
        let judged = rows.iter().enumerate().map(|(index, row)| {
            let element = named.element;
            let shown = row
                .plain(element)
                .ok_or_else(|| failed(misfit(Object::Users, index, element.name())))?;
            Ok((row.id, shown.to_lowercase() == named.text.to_lowercase()))
        });
        let judged: Vec<_> = judged.collect::<Result<_, Failure>>()?;
        if let Some(found) = sieve.take(&judged).map_err(failed)? {
            return Ok(found);
        }
    }
}

/// The account the client acts as. Few tenants tell: most know a "me" for people only.
pub(super) async fn own_account(client: &Client) -> Result<Option<UserId>, Fault> {
    let answer: Result<Numbered, Failure> = client.rest(Object::Users, "/api/users/me", &[]).await;
    match answer {
        Ok(me) => Ok(UserId::new(me.id())),
        Err(failure) => match failure.trouble {
            Trouble::Forbidden
            | Trouble::NotFound
            | Trouble::Rejected(_)
            | Trouble::Shape { .. }
            // A token that is no person's may be turned away here and nowhere else.
            | Trouble::TokenRefused
            | Trouble::TokenTooFresh
            | Trouble::TokenSuperseded => Ok(None),
            _ => Err(failure.into()),
        },
    }
}

/// Whether another spelling of `fields` may help.
const fn may_be_projection(failure: &Failure) -> bool {
    matches!(
        failure.trouble,
        Trouble::Shape { .. } | Trouble::Rejected(400 | 422)
    )
}

fn misfit(object: Object, index: usize, element: &str) -> Trouble {
    Trouble::Shape {
        path: format!("{}[{index}].{element}", object.root()),
    }
}

/// Keeps the rows that were asked for out of a listing by key.
#[derive(Debug, Default)]
struct Sieve {
    /// Where to go on: above this id.
    after: u64,
    found: BTreeSet<u64>,
    foreign_pages: u32,
}

impl Sieve {
    /// Takes a page of ids, each with whether it was asked for. At the end of the listing it gives what was found.
    fn take(&mut self, page: &[(u64, bool)]) -> Result<Option<BTreeSet<u64>>, Trouble> {
        let Some(highest) = page.iter().map(|(id, _)| *id).max() else {
            return Ok(Some(std::mem::take(&mut self.found)));
        };
        let foreign = page.iter().any(|(_, wanted)| !wanted);
        self.foreign_pages += u32::from(foreign);
        // Without order, what lies below the highest id may come on no page.
        let whole = page.len() < PAGE && self.foreign_pages == 0;
        let in_order = page.is_sorted_by_key(|(id, _)| *id);
        if self.foreign_pages > FOREIGN_PAGES || !(in_order || whole) {
            return Err(Trouble::Unheeded);
        }
        let goes_on = highest > self.after;
        if !goes_on && !whole {
            return Err(Trouble::Endless);
        }
        let wanted = page.iter().filter(|(_, wanted)| *wanted);
        self.found.extend(wanted.map(|(id, _)| *id));
        self.after = highest.max(self.after);
        Ok((!goes_on).then(|| std::mem::take(&mut self.found)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn pages(pages: &[&[(u64, bool)]]) -> Result<Option<BTreeSet<u64>>, Trouble> {
        let mut sieve = Sieve::default();
        for page in pages {
            if let Some(found) = sieve.take(page)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn found(listing: &[&[(u64, bool)]]) -> Vec<u64> {
        pages(listing).unwrap().unwrap().into_iter().collect()
    }

    #[test]
    fn only_an_empty_page_ends_a_listing() {
        assert_eq!(found(&[&[]]), [0_u64; 0]);
        assert_eq!(found(&[&[(7, true)], &[]]), [7]);
        assert_eq!(found(&[&[(3, false), (7, true)], &[(9, true)], &[]]), [7, 9]);
        assert!(pages(&[&[(7, true)], &[(9, true)]]).unwrap().is_none());
    }

    #[test]
    fn a_key_that_is_ignored_ends_where_the_answer_was_whole() {
        assert_eq!(found(&[&[(7, true)], &[(7, true)]]), [7]);
        assert_eq!(found(&[&[(9, true), (7, true)], &[(9, true), (7, true)]]), [7, 9]);
        let foreign: &[(u64, bool)] = &[(7, true), (8, false)];
        assert!(matches!(pages(&[foreign, foreign]), Err(Trouble::Endless)));
        let full: Vec<(u64, bool)> = (1..=PAGE as u64).map(|id| (id, true)).collect();
        assert!(matches!(pages(&[&full, &full]), Err(Trouble::Endless)));
    }

    #[test]
    fn rows_without_order_are_not_looked_through() {
        assert!(matches!(
            pages(&[&[(9, false), (7, true)]]),
            Err(Trouble::Unheeded)
        ));
    }

    #[test]
    fn a_large_tenant_is_not_looked_through() {
        let mut sieve = Sieve::default();
        for id in 1..=u64::from(FOREIGN_PAGES) {
            assert!(sieve.take(&[(id, false)]).unwrap().is_none());
        }
        assert!(matches!(sieve.take(&[(99, false)]), Err(Trouble::Unheeded)));
    }
}
