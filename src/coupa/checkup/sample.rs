//! A sample of the accounts: how many are of which class, and which the settings leave out.
//!
//! Invariant: counts only; who is in the sample is forgotten.

use std::collections::BTreeMap;

use crate::model::checkup::{Check, Finding};
use crate::model::class::{SupplierRoles, classify};
use crate::model::fault::{Fault, FaultKind};
use crate::model::tenant::{AccountClass, ReadTenant, Survey, UserCursor, UserFilter, UserOrder, UserQuery};

/// Pages read, of 50 accounts each (Coupa's page).
const PAGES: u64 = 10;
const PAGE: u64 = 50;

/// How many of each class were seen.
#[derive(Debug, Default)]
pub(super) struct Sample {
    classes: BTreeMap<AccountClass, usize>,
    /// Whether these are all there are.
    whole: bool,
}

/// Reads the sample: all accounts of a small tenant, else pages from all over the ids.
pub(super) async fn taken(reader: &dyn ReadTenant) -> Result<Sample, Fault> {
    let suppliers = SupplierRoles::among(&reader.roles().await?);
    let (mut users, mut whole) = (BTreeMap::new(), false);
    let mut from = starts(reader.survey());
    let goes_on = from.len() == 1;
    // One page more than are read, since only an empty one ends a list.
    for _ in 0..=PAGES {
        let Some(cursor) = from.pop() else { break };
        let query = UserQuery {
            from: cursor,
            filter: UserFilter::All,
        };
        let page = reader.users(&query).await?;
        let classes = page.users.into_iter().map(|user| {
            let class = classify(user.marks, user.access.roles(), &suppliers);
            (user.id, class)
        });
        users.extend(classes);
        if goes_on {
            whole = page.next.is_none();
            from.extend(page.next);
        }
    }
    let mut classes = BTreeMap::new();
    for class in users.into_values() {
        *classes.entry(class).or_default() += 1;
    }
    Ok(Sample { classes, whole })
}

/// Where pages begin, the last one first; what follows is read only where there is one beginning.
fn starts(survey: &Survey) -> Vec<UserCursor> {
    match (survey.order, survey.highest_user) {
        (UserOrder::Arbitrary, _) => vec![UserCursor::Offset(0)],
        (UserOrder::ById, Some(highest)) if highest.get() > PAGES * PAGE => {
            let apart = highest.get() / PAGES;
            (0..=PAGES)
                .rev()
                .map(|page| UserCursor::After(page * apart))
                .collect()
        }
        (UserOrder::ById, _) => vec![UserCursor::After(0)],
    }
}

/// Judges a sample by the classes that are synced.
pub(super) fn judged(sample: &Sample, chosen: &[AccountClass]) -> Finding {
    let (synced, left_out): (Vec<_>, Vec<_>) = sample
        .classes
        .iter()
        .partition(|(class, _)| chosen.contains(class));
    let sum = |classes: &[(&AccountClass, &usize)]| classes.iter().map(|(_, count)| **count).sum::<usize>();
    let total = sum(&synced) + sum(&left_out);
    let of = if sample.whole { "all" } else { "a sample of" };
    let saw = format!(
        "of {of} {total} accounts {} are synced, {} left out",
        sum(&synced),
        sum(&left_out)
    );
    let details = [("synced", &synced), ("left out", &left_out)]
        .map(|(what, classes)| format!("{what}: {}", listed(classes)));
    if sum(&synced) > 0 {
        return Finding::fine(Check::AccountClasses, saw).with(details);
    }
    let advice = "choose with --account-classes what is to be synced";
    if sample.whole {
        let fault = Fault::new(FaultKind::Refused, saw).advise(advice);
        return Finding::failing(Check::AccountClasses, &fault).with(details);
    }
    Finding::warning(Check::AccountClasses, saw, advice).with(details)
}

fn listed(classes: &[(&AccountClass, &usize)]) -> String {
    if classes.is_empty() {
        return "none".to_owned();
    }
    let each: Vec<String> = classes
        .iter()
        .map(|(class, count)| format!("{count} {}", class.name()))
        .collect();
    each.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::checkup::Verdict;

    fn sample(whole: bool) -> Sample {
        Sample {
            classes: BTreeMap::from([(AccountClass::Internal, 40), (AccountClass::Supplier, 8)]),
            whole,
        }
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let finding = judged(&sample(true), &[AccountClass::Internal, AccountClass::Api]);
        assert_eq!(finding.verdict, Verdict::Fine);
        assert_eq!(finding.saw, "of all 48 accounts 40 are synced, 8 left out");
        assert_eq!(finding.details, ["synced: 40 internal", "left out: 8 supplier"]);
    }

    #[test]
    fn a_choice_that_lists_nobody_fails_where_everybody_was_seen() {
        let chosen = [AccountClass::ManagedService];
        assert_eq!(
            judged(&sample(true), &chosen).verdict,
            Verdict::Failing(FaultKind::Refused)
        );
        assert_eq!(judged(&sample(false), &chosen).verdict, Verdict::Warning);
        assert_eq!(
            judged(&sample(true), &[]).verdict,
            Verdict::Failing(FaultKind::Refused)
        );
    }
}
