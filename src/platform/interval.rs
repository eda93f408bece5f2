//! The pauses that the platform asks for, kept within bounds. Pure.

use std::time::Duration;

/// Longest pause that the platform can ask for, of either kind.
const LONGEST: Duration = Duration::from_mins(5);

/// Shortest pause between two signs of life.
const SHORTEST_HEARTBEAT: Duration = Duration::from_secs(1);

/// Pause between two signs of life where the platform does not say.
const USUAL_HEARTBEAT: Duration = Duration::from_secs(30);

/// Until the next question for tasks: 0 to 5 minutes; nothing said is at once.
pub(super) fn next_poll(told: Option<&prost_types::Duration>) -> Duration {
    read(told).min(LONGEST)
}

/// Until the next sign of life: 1 second to 5 minutes; nothing said is 30 seconds.
pub(super) fn next_heartbeat(told: Option<&prost_types::Duration>) -> Duration {
    match read(told) {
        Duration::ZERO => USUAL_HEARTBEAT,
        told => told.clamp(SHORTEST_HEARTBEAT, LONGEST),
    }
}

/// A pause that lies in the past is none.
fn read(told: Option<&prost_types::Duration>) -> Duration {
    told.and_then(|told| Duration::try_from(*told).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(seconds: i64, nanos: i32) -> prost_types::Duration {
        prost_types::Duration { seconds, nanos }
    }

    #[test]
    fn pauses_are_kept_within_bounds() {
        let secs = Duration::from_secs;
        for (asked, poll, beat) in [
            (None, secs(0), secs(30)),
            (Some(told(0, 0)), secs(0), secs(30)),
            (Some(told(-7, 0)), secs(0), secs(30)),
            (Some(told(0, 200_000_000)), Duration::from_millis(200), secs(1)),
            (Some(told(7, 0)), secs(7), secs(7)),
            (Some(told(86_400, 0)), secs(300), secs(300)),
            (Some(told(i64::MAX, i32::MAX)), secs(300), secs(300)),
        ] {
            assert_eq!(next_poll(asked.as_ref()), poll, "{asked:?}");
            assert_eq!(next_heartbeat(asked.as_ref()), beat, "{asked:?}");
        }
    }
}
