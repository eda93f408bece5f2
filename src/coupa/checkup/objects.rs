//! One row of each object: a scope that was granted does not prove that the account behind it may read.
//!
//! Invariant: each object is read with a token for its own scope, so that one missing scope hides nothing about the others.

use std::time::{Duration, Instant};

use crate::coupa::client::Client;
use crate::coupa::collection::{Collection, GROUPS, ROLES, Shelf, most_telling};
use crate::coupa::memory::Memory;
use crate::coupa::query::{Dialect, Only, Projection, Window};
use crate::coupa::rows::{self, Manner};
use crate::coupa::trouble::{Failure, Surface, Trouble};
use crate::coupa::wire::{GroupRow, RoleRow, Row};
use crate::model::checkup::{Chart, Check, Finding};
use crate::model::fault::Fault;

use super::blame;
use super::rights::READS;

/// What came of reading one row of an object.
struct Tasted {
    rest: Result<usize, Failure>,
    /// `None`: REST had shown it, and nothing more needed to be asked.
    graphql: Option<Result<usize, Failure>>,
    waited: Duration,
}

/// Reads a row of users, groups and roles, and notes what came of it. Writes go over REST alone, so with `changes` users must be there.
pub(super) async fn examine(clients: &[Client; READS.len()], changes: bool, chart: &mut Chart) {
    let [users, groups, roles] = clients;
    let may = READS.map(|ask| chart.obstacle(&[ask.check, Check::RateAnswered]).is_none());
    let (users, groups, roles) = futures::join!(
        only(may[0], Box::pin(taste_users(users))),
        only(may[1], Box::pin(taste::<GroupRow>(groups, &GROUPS))),
        only(may[2], Box::pin(taste::<RoleRow>(roles, &ROLES))),
    );
    let tasted = [
        (Check::ObjectUsers, Check::ScopeUserRead, users),
        (Check::ObjectUserGroups, Check::ScopeUserGroupRead, groups),
        (Check::ObjectRoles, Check::ScopeCommonRead, roles),
    ];
    for (check, scope, tasted) in tasted {
        let Some(tasted) = tasted else {
            let root = chart.obstacle(&[scope, Check::RateAnswered]).unwrap_or(scope);
            chart.wait(&[check], root);
            continue;
        };
        if tasted.proves_the_token() {
            chart.note(Finding::fine(Check::TokenAccepted, "accepted"));
        }
        if check == Check::ObjectUsers {
            note_graphql(&tasted, chart);
        }
        let rest_alone_counts = changes && check == Check::ObjectUsers;
        note(check, tasted, rest_alone_counts, chart);
    }
}

async fn only<T>(may: bool, work: impl Future<Output = T>) -> Option<T> {
    if may { Some(work.await) } else { None }
}

/// Users are read over both surfaces: a sync compares them.
async fn taste_users(client: &Client) -> Tasted {
    let began = Instant::now();
    let manner = Manner {
        projection: Projection::Underscored,
        dialect: Dialect::Bare,
    };
    let row = async |surface| {
        let rows = rows::window(client, manner, surface, &Window::One, &Only::Everything, &[]).await;
        rows.map(|rows| rows.len())
    };
    let (rest, graphql) = futures::join!(row(Surface::Rest), row(Surface::Graphql));
    Tasted {
        rest,
        graphql: Some(graphql),
        waited: began.elapsed(),
    }
}

async fn taste<R: Row>(client: &Client, collection: &Collection) -> Tasted {
    let began = Instant::now();
    let memory = Memory::default();
    let shelf = Shelf {
        client,
        memory: &memory,
        projection: Projection::Underscored,
    };
    let rest = shelf.taste_over::<R>(collection, Surface::Rest).await;
    let graphql = match &rest {
        Err(failure) if !failure.concerns_all() => {
            Some(shelf.taste_over::<R>(collection, Surface::Graphql).await)
        }
        _ => None,
    };
    Tasted {
        rest,
        graphql,
        waited: began.elapsed(),
    }
}

impl Tasted {
    /// Whether some answer shows that Coupa knew the token, be it by a refusal of the object.
    fn proves_the_token(&self) -> bool {
        let knows = |result: &Result<usize, Failure>| match result {
            Ok(_) => true,
            Err(failure) => matches!(failure.trouble, Trouble::Forbidden | Trouble::NotFound),
        };
        knows(&self.rest) || self.graphql.as_ref().is_some_and(knows)
    }
}

fn note_graphql(tasted: &Tasted, chart: &mut Chart) {
    match (&tasted.rest, &tasted.graphql) {
        (_, Some(Ok(_))) => chart.note(Finding::fine(Check::Graphql, "users can be read over it")),
        (Ok(_), Some(Err(failure))) if !failure.concerns_all() => chart.note(Finding::warning(
            Check::Graphql,
            format!("{failure}: REST serves users alone"),
            "nothing is missing without it, but there is nothing to compare with either; have GraphQL enabled for the instance",
        )),
        _ => chart.wait(&[Check::Graphql], Check::ObjectUsers),
    }
}

/// Notes what was read of one object.
fn note(check: Check, tasted: Tasted, rest_alone_counts: bool, chart: &mut Chart) {
    let Tasted {
        rest,
        graphql,
        waited,
    } = tasted;
    let refused = match (rest, graphql) {
        (Ok(rows), _) => {
            chart.note(Finding::fine(check, shown(rows, Surface::Rest)));
            return;
        }
        (Err(refused), Some(Ok(rows))) if !rest_alone_counts => {
            chart.note(over_graphql_alone(check, refused, rows));
            return;
        }
        (Err(rest), Some(Err(graphql))) => most_telling(rest, graphql),
        (Err(rest), _) => rest,
    };
    blame(check, &Fault::from(refused), waited, chart);
}

fn shown(rows: usize, over: Surface) -> String {
    match rows {
        0 => format!("there is none yet; the list can be read over {over}"),
        _ => format!("read over {over}"),
    }
}

/// A sync reads it over GraphQL. That a release has no path for it is nothing to see to; that REST refuses it is.
fn over_graphql_alone(check: Check, refused: Failure, rows: usize) -> Finding {
    let saw = format!("{}; {refused}", shown(rows, Surface::Graphql));
    if matches!(refused.trouble, Trouble::NotFound) {
        return Finding::fine(check, saw);
    }
    let fault = Fault::from(refused);
    Finding::warning(check, saw, fault.advice().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::coupa::trouble::Object;
    use crate::model::checkup::{Report, Verdict};

    fn failed(surface: Surface, trouble: Trouble) -> Result<usize, Failure> {
        Err(Failure::new(Object::Users, surface, trouble))
    }

    fn rest(trouble: Trouble) -> Result<usize, Failure> {
        failed(Surface::Rest, trouble)
    }

    fn judged(
        rest: Result<usize, Failure>,
        graphql: Option<Result<usize, Failure>>,
        changes: bool,
    ) -> Report {
        let tasted = Tasted {
            rest,
            graphql,
            waited: Duration::ZERO,
        };
        let mut chart = Chart::default();
        note_graphql(&tasted, &mut chart);
        note(Check::ObjectUsers, tasted, changes, &mut chart);
        chart.wait(&Check::ALL, Check::ObjectUsers);
        chart.finish()
    }

    fn verdict(report: &Report, check: Check) -> Verdict {
        let found = report.findings().iter().find(|finding| finding.check == check);
        found.unwrap().verdict.clone()
    }

    #[test]
    fn one_surface_is_enough_to_read_and_rest_is_needed_to_write() {
        let graphql_off = failed(Surface::Graphql, Trouble::NotFound);
        let report = judged(Ok(1), Some(graphql_off.clone()), true);
        assert_eq!(verdict(&report, Check::ObjectUsers), Verdict::Fine);
        assert_eq!(verdict(&report, Check::Graphql), Verdict::Warning);

        let report = judged(rest(Trouble::NotFound), Some(Ok(1)), false);
        assert_eq!(verdict(&report, Check::ObjectUsers), Verdict::Fine);
        let report = judged(rest(Trouble::Forbidden), Some(Ok(1)), false);
        assert_eq!(verdict(&report, Check::ObjectUsers), Verdict::Warning);
        let report = judged(rest(Trouble::Forbidden), Some(Ok(1)), true);
        assert!(matches!(
            verdict(&report, Check::ObjectUsers),
            Verdict::Failing(_)
        ));

        let report = judged(rest(Trouble::Forbidden), Some(graphql_off), false);
        assert!(matches!(
            verdict(&report, Check::ObjectUsers),
            Verdict::Failing(_)
        ));
        let waits = Verdict::Unknown {
            waits_for: Check::ObjectUsers,
        };
        assert_eq!(verdict(&report, Check::Graphql), waits);
    }

    #[test]
    fn an_answer_about_rate_or_token_is_not_about_the_object() {
        for (trouble, about) in [
            (Trouble::TooMany { retry_after: None }, Check::RateAnswered),
            (Trouble::TokenRefused, Check::TokenAccepted),
        ] {
            let report = judged(rest(trouble), None, false);
            let failing: Vec<Check> = report.failing().map(|(finding, _)| finding.check).collect();
            assert_eq!(failing, [about]);
            assert_eq!(
                verdict(&report, Check::ObjectUsers),
                Verdict::Unknown { waits_for: about }
            );
        }
    }
}
