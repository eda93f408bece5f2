//! The truncation guard: a tenant that suddenly shows much less than last time is not believed.
//!
//! A lost scope, a filter or a revoked permission makes a list short without any error, and a platform that believes the
//! short list deletes the rest. Invariant: pure; judges counts only.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::access::ItemKind;
use crate::model::baseline::Count;
use crate::model::fault::{Fault, FaultKind};

/// Sizes by what is counted.
pub(crate) type Counts = BTreeMap<Count, u64>;

/// A loss of so many is never suspicious by itself, unless nothing is left.
const FEW: u64 = 5;

/// One count that fell too far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shrink {
    what: Count,
    before: u64,
    now: u64,
}

impl fmt::Display for Shrink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            Count::Users(class) => write!(f, "users of class {}", class.name())?,
            Count::Items(kind) => write!(f, "{}", plural(kind))?,
            Count::Holdings(kind) => write!(f, "holdings of {}", plural(kind))?,
        }
        write!(f, " fell from {} to {}", self.before, self.now)
    }
}

/// The word for several items of a kind.
pub(crate) const fn plural(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Role => "roles",
        ItemKind::Group => "groups",
        ItemKind::License => "licenses",
    }
}

/// Counts of `now` that lost more than `max_loss_percent` of what they were `before`, or all of it. What is missing on
/// either side is not compared.
pub(crate) fn shrinks(before: &Counts, now: &Counts, max_loss_percent: u8) -> Vec<Shrink> {
    before
        .iter()
        .filter_map(|(what, before)| {
            let now = *now.get(what)?;
            let lost = before.saturating_sub(now);
            let too_many = u128::from(lost) * 100 > u128::from(*before) * u128::from(max_loss_percent);
            let suspicious = lost > 0 && (now == 0 || (too_many && lost > FEW));
            suspicious.then_some(Shrink {
                what: *what,
                before: *before,
                now,
            })
        })
        .collect()
}

/// The list of what fell, for people.
pub(crate) fn describe(shrinks: &[Shrink]) -> String {
    let parts: Vec<String> = shrinks.iter().map(Shrink::to_string).collect();
    parts.join(", ")
}

/// The refusal to go on with a tenant that shrank.
pub(crate) fn refusal(shrinks: &[Shrink]) -> Fault {
    Fault::new(
        FaultKind::Refused,
        format!(
            "the tenant shows far less than in the last complete pass: {}",
            describe(shrinks)
        ),
    )
    .advise(
        "check the scopes of the OAuth client, the permissions and filters of its Coupa user, and whether it is the right tenant; \
         if the change is real, run once with --accept-shrink",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tenant::AccountClass;

    const USERS: Count = Count::Users(AccountClass::Internal);

    fn suspicious(before: u64, now: u64) -> bool {
        !shrinks(
            &Counts::from([(USERS, before)]),
            &Counts::from([(USERS, now)]),
            30,
        )
        .is_empty()
    }

    #[test]
    fn a_share_or_everything_is_too_much() {
        assert!(!suspicious(1000, 700), "exactly the share allowed");
        assert!(suspicious(1000, 699));
        assert!(suspicious(1, 0), "everything, however little");
        assert!(!suspicious(10, 5), "a few");
        assert!(suspicious(10, 4));
        assert!(!suspicious(0, 0));
        assert!(!suspicious(5, 5000));
    }

    #[test]
    fn unknown_counts_are_not_compared() {
        let before = Counts::from([(USERS, 100)]);
        let now = Counts::from([(Count::Items(ItemKind::Role), 0)]);
        assert!(shrinks(&before, &now, 30).is_empty());
    }

    #[test]
    fn the_refusal_says_what_how_far_and_how_to_go_on() {
        let before = Counts::from([(USERS, 1000), (Count::Holdings(ItemKind::Role), 40)]);
        let now = Counts::from([(USERS, 10), (Count::Holdings(ItemKind::Role), 0)]);
        let text = refusal(&shrinks(&before, &now, 30)).to_string();
        for part in [
            "users of class internal fell from 1000 to 10",
            "holdings of roles fell from 40 to 0",
            "scopes",
            "--accept-shrink",
        ] {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
    }
}
