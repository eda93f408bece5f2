//! Our clock against Coupa's. Pure.

use jiff::SignedDuration;

use crate::model::checkup::{Check, Finding};
use crate::model::fault::{Fault, FaultKind};

/// From here on somebody should look.
const NOTICEABLE: SignedDuration = SignedDuration::from_secs(30);

/// From here on times in the journal and in windows of changed users mislead.
const TOO_MUCH: SignedDuration = SignedDuration::from_mins(5);

/// An assertion for the platform is good from two minutes before to two minutes after it was signed (platform protocol, token).
const ASSERTION: SignedDuration = SignedDuration::from_mins(2);

/// Judges by how much our clock is ahead; `None` if no answer told its date. `assertions` are signed for the platform.
pub(super) fn judged(drift: Option<SignedDuration>, assertions: bool) -> Finding {
    const ADVICE: &str = "set the clock of this machine by a time service (NTP)";
    let Some(drift) = drift else {
        return Finding::warning(
            Check::Clock,
            "no answer told its date, so the clock could not be compared",
            "compare this machine's clock by hand",
        );
    };
    let saw = told(drift);
    let limit = if assertions { ASSERTION } else { TOO_MUCH };
    if drift.abs() > limit {
        let fault = Fault::new(FaultKind::Refused, saw).advise(ADVICE);
        return Finding::failing(Check::Clock, &fault);
    }
    if drift.abs() > NOTICEABLE {
        return Finding::warning(Check::Clock, saw, ADVICE);
    }
    Finding::fine(Check::Clock, saw)
}

fn told(drift: SignedDuration) -> String {
    match drift.as_secs() {
        0 => "as Coupa's to the second".to_owned(),
        ahead @ 1.. => format!("{ahead} s ahead of Coupa's"),
        behind => format!("{} s behind Coupa's", behind.unsigned_abs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::checkup::Verdict;

    #[test]
    fn how_far_off_is_too_far() {
        let verdict =
            |seconds, assertions| judged(Some(SignedDuration::from_secs(seconds)), assertions).verdict;
        for sign in [1, -1] {
            assert_eq!(verdict(30 * sign, true), Verdict::Fine);
            assert_eq!(verdict(31 * sign, false), Verdict::Warning);
            assert_eq!(verdict(300 * sign, false), Verdict::Warning);
            assert_eq!(verdict(301 * sign, false), Verdict::Failing(FaultKind::Refused));
            assert_eq!(verdict(120 * sign, true), Verdict::Warning);
            assert_eq!(verdict(121 * sign, true), Verdict::Failing(FaultKind::Refused));
        }
        assert_eq!(judged(None, true).verdict, Verdict::Warning);
        assert_eq!(told(SignedDuration::from_secs(-7)), "7 s behind Coupa's");
    }
}
