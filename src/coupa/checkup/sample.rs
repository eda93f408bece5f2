//! A sample of the accounts: how many are of which class, and which the settings leave out.
//!
//! Invariant: counts only; who is in the sample is forgotten.

use std::collections::BTreeMap;

use crate::model::checkup::{Check, Finding};
use crate::model::class::{SupplierRoles, classify};
use crate::model::fault::{Fault, FaultKind};
use crate::model::id::UserId;
use crate::model::tenant::{AccountClass, ReadTenant, UserCursor, UserFilter, UserOrder, UserQuery};

/// Pages read from the beginning, of 50 accounts each (Coupa's page); one of them is the empty one that ends a list.
const PAGES: usize = 11;

/// Pages read further on, where there are more.
const LATER: u64 = 5;

/// How many of each class were seen.
#[derive(Debug, Default)]
pub(super) struct Sample {
    classes: BTreeMap<AccountClass, usize>,
    /// Whether these are all there are.
    whole: bool,
}

/// Reads the sample: all accounts of a small tenant; of a large one its first, and pages from all over its later ids.
pub(super) async fn taken(reader: &dyn ReadTenant) -> Result<Sample, Fault> {
    let suppliers = SupplierRoles::among(&reader.roles().await?);
    let mut classes = BTreeMap::new();
    let mut take = async |from| -> Result<Option<UserCursor>, Fault> {
        let query = UserQuery {
            from,
            filter: UserFilter::All,
        };
        let page = reader.users(&query).await?;
        classes.extend(page.users.into_iter().map(|user| {
            let class = classify(user.marks, user.access.roles(), &suppliers);
            (user.id, class)
        }));
        Ok(page.next)
    };
    let mut next = Some(match reader.survey().order {
        UserOrder::ById => UserCursor::After(0),
        UserOrder::Arbitrary => UserCursor::Offset(0),
    });
    for _ in 0..PAGES {
        let Some(from) = next else { break };
        next = take(from).await?;
    }
    for start in later(next, reader.survey().highest_user) {
        take(start).await?;
    }
    let mut sample = Sample {
        classes: BTreeMap::new(),
        whole: next.is_none(),
    };
    for class in classes.into_values() {
        *sample.classes.entry(class).or_default() += 1;
    }
    Ok(sample)
}

/// Places between where the first pages ended and the highest id.
fn later(next: Option<UserCursor>, highest: Option<UserId>) -> Vec<UserCursor> {
    let (Some(UserCursor::After(last)), Some(highest)) = (next, highest) else {
        return Vec::new();
    };
    let apart = highest.get().saturating_sub(last) / LATER;
    (0..LATER)
        .map(|page| UserCursor::After(last + page * apart))
        .collect()
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
    fn a_large_tenant_is_looked_at_further_on() {
        let highest = UserId::new(1_000);
        let starts = later(Some(UserCursor::After(500)), highest);
        assert_eq!(starts.len(), 5);
        assert_eq!(
            (starts[0], starts[4]),
            (UserCursor::After(500), UserCursor::After(900))
        );
        for (next, highest) in [
            (None, highest),
            (Some(UserCursor::After(500)), None),
            (Some(UserCursor::Offset(500)), highest),
        ] {
            assert!(later(next, highest).is_empty());
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
