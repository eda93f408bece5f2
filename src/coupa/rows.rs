//! Rows of users over either surface: a window of them, a given set, or one.
//!
//! Invariant: a row that was not asked for is dropped; a user that is not in the answer is reported as absent, never as empty.

use std::collections::{BTreeMap, BTreeSet};

use super::client::Client;
use super::query::{self, Dialect, Only, PAGE, Projection, Window};
use super::trouble::{Failure, Object, Surface, Trouble};
use super::wire::{Field, UserRow};

const USERS: &str = "/api/users";

/// How this tenant wants to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Spelling of `fields` on REST.
    pub(crate) projection: Projection,
    /// Query language inside GraphQL.
    pub(crate) dialect: Dialect,
}

/// A window of users, as they come.
pub(crate) async fn window(
    client: &Client,
    manner: Manner,
    surface: Surface,
    window: &Window,
    only: &Only,
    fields: &[Field],
) -> Result<Vec<UserRow>, Failure> {
    match surface {
        Surface::Rest => {
            let parameters = query::rest_users(window, only, fields, manner.projection);
            client.rest(Object::Users, USERS, &parameters).await
        }
        Surface::Graphql => {
            let document = query::graphql_users(window, only, fields, manner.dialect);
            client.graphql(Object::Users, &document).await
        }
    }
}

/// One user; `None` if the tenant does not show it.
pub(crate) async fn single(
    client: &Client,
    manner: Manner,
    surface: Surface,
    id: u64,
    fields: &[Field],
) -> Result<Option<UserRow>, Failure> {
    let row: Result<Option<UserRow>, Failure> = match surface {
        Surface::Rest => {
            let projection = query::user_projection(fields, manner.projection);
            let parameters: Vec<_> = projection.into_iter().collect();
            let path = format!("{USERS}/{id}");
            match client.rest(Object::Users, &path, &parameters).await {
                Err(Failure {
                    trouble: Trouble::NotFound,
                    ..
                }) => return Ok(None),
                row => row.map(Some),
            }
        }
        Surface::Graphql => {
            client
                .graphql(Object::Users, &query::graphql_user(id, fields))
                .await
        }
    };
    Ok(row?.filter(|row| row.id == id))
}

/// These users, by id; who is absent is not shown by the surface.
pub(crate) async fn given(
    client: &Client,
    manner: Manner,
    surface: Surface,
    ids: &[u64],
    fields: &[Field],
) -> Result<BTreeMap<u64, UserRow>, Failure> {
    let mut found = BTreeMap::new();
    for part in ids.chunks(PAGE) {
        let mut missing: BTreeSet<u64> = part.iter().copied().collect();
        // Whether the surface picks by id, as far as its answers show.
        let mut picks = true;
        loop {
            let before = missing.len();
            let asked = Window::Ids(missing.iter().copied().collect());
            for row in window(client, manner, surface, &asked, &Only::Everything, fields).await? {
                picks &= part.contains(&row.id);
                if missing.remove(&row.id) {
                    found.insert(row.id, row);
                }
            }
            // The surface's page may be smaller than ours.
            if missing.is_empty() || missing.len() == before {
                break;
            }
        }
        for id in missing {
            match single(client, manner, surface, id, fields).await? {
                Some(row) => {
                    picks = false;
                    found.insert(id, row);
                }
                // Hidden, and so is the rest; but where the condition is not heeded this says nothing about the others.
                None if picks => break,
                None => {}
            }
        }
    }
    Ok(found)
}

/// A page of a listing by key, put right.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tidy<T> {
    /// Rows above the cursor, ascending, each once; never empty.
    Rows(Vec<T>),
    /// Rows came, but none above the cursor.
    Stuck,
    /// Rows were not ascending.
    Disorder,
}

/// Judges a page that is not empty: drops what lies at or before `after`, and of two rows with one id the earlier.
pub(crate) fn tidy<T>(rows: Vec<T>, after: u64, id: impl Fn(&T) -> u64) -> Tidy<T> {
    if !rows.is_sorted_by_key(&id) {
        return Tidy::Disorder;
    }
    let mut kept: Vec<T> = Vec::with_capacity(rows.len());
    for row in rows.into_iter().filter(|row| id(row) > after) {
        match kept.last_mut() {
            Some(last) if id(last) == id(&row) => *last = row,
            _ => kept.push(row),
        }
    }
    if kept.is_empty() {
        Tidy::Stuck
    } else {
        Tidy::Rows(kept)
    }
}

/// Of rows with one id the last; in order of ids.
pub(crate) fn distinct<T>(rows: Vec<T>, id: impl Fn(&T) -> u64) -> Vec<T> {
    let by_id: BTreeMap<u64, T> = rows.into_iter().map(|row| (id(&row), row)).collect();
    by_id.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(rows: &[(u64, char)], after: u64) -> Tidy<(u64, char)> {
        tidy(rows.to_vec(), after, |row| row.0)
    }

    #[test]
    fn a_page_is_put_right_or_refused() {
        assert_eq!(
            page(&[(3, 'a'), (4, 'b')], 2),
            Tidy::Rows(vec![(3, 'a'), (4, 'b')])
        );
        assert_eq!(
            page(&[(2, 'x'), (3, 'a'), (3, 'b')], 2),
            Tidy::Rows(vec![(3, 'b')]),
            "the repeated row goes, and of two the later stays"
        );
        assert_eq!(page(&[(1, 'a'), (2, 'b')], 2), Tidy::Stuck);
        assert_eq!(page(&[(4, 'a'), (3, 'b')], 2), Tidy::Disorder);
    }

    #[test]
    fn of_two_rows_the_latest_stays() {
        assert_eq!(
            distinct(vec![(2, 'a'), (1, 'b'), (2, 'c')], |row| row.0),
            [(1, 'b'), (2, 'c')]
        );
    }
}
