//! How often Coupa is asked, and how it takes it. Pure.

use std::num::NonZeroU32;

use crate::coupa::config::CoupaConfig;
use crate::model::checkup::{Check, Finding};
use crate::model::tenant::Usage;

/// Requests per second that an instance lets through, for all its clients together (Coupa API, limits).
const OF_ALL: u32 = 25;

/// Judges the configured rate.
pub(super) fn setting(wanted: NonZeroU32) -> Finding {
    let kind_to_others = CoupaConfig::DEFAULT_REQUESTS_PER_SECOND;
    let saw =
        format!("{wanted} requests/s of the {OF_ALL} that Coupa lets through for all clients of an instance");
    if wanted <= kind_to_others {
        return Finding::fine(Check::RateSetting, saw);
    }
    let advice = format!(
        "set --coupa-requests-per-second to {kind_to_others} or less: other integrations share the limit"
    );
    Finding::warning(Check::RateSetting, saw, advice)
}

/// Judges how Coupa took what the examination asked. What was given up for a 429 is noted as failing before this.
pub(super) fn answered(usage: Usage) -> Finding {
    let saw = format!(
        "{} requests, {} sent again, {} answered with 429",
        usage.requests, usage.retries, usage.rate_limited
    );
    if usage.rate_limited == 0 {
        return Finding::fine(Check::RateAnswered, saw);
    }
    Finding::warning(
        Check::RateAnswered,
        saw,
        "other integrations use up the instance's limit now; a sync waits and goes on, and takes longer",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::checkup::Verdict;

    #[test]
    fn more_than_leaves_room_to_others_is_told() {
        let verdict = |rate: u32| setting(rate.try_into().unwrap()).verdict;
        assert_eq!((verdict(1), verdict(20)), (Verdict::Fine, Verdict::Fine));
        assert_eq!((verdict(21), verdict(1000)), (Verdict::Warning, Verdict::Warning));
    }

    #[test]
    fn a_429_that_passed_is_told() {
        let usage = Usage {
            requests: 30,
            retries: 2,
            rate_limited: 0,
        };
        assert_eq!(answered(usage).verdict, Verdict::Fine);
        let limited = Usage {
            rate_limited: 2,
            ..usage
        };
        assert_eq!(answered(limited).verdict, Verdict::Warning);
    }
}
