//! How long to wait after the platform failed. Pure; `dice` lies between 0 and 1 and spreads a fleet of daemons over the last
//! fifth of a wait, so that they do not come back together.

use std::time::Duration;

/// The longest wait of the poll loop (baton-sdk: pkg/connectorrunner).
const LONGEST_POLL: Duration = Duration::from_mins(1);

/// The longest wait of the introduction (baton-sdk: pkg/tasks/c1api, Hello).
const LONGEST_HELLO: Duration = Duration::from_mins(5);

/// After `failures` polls in a row: 1, 4, 9 ... seconds, 60 at most.
pub(super) fn of_poll(failures: u32, dice: f64) -> Duration {
    let seconds = u64::from(failures).saturating_mul(u64::from(failures));
    spread(Duration::from_secs(seconds).min(LONGEST_POLL), dice)
}

/// After `failures` introductions in a row: 1, 2, 4 ... seconds, 5 minutes at most.
pub(super) fn of_hello(failures: u32, dice: f64) -> Duration {
    let seconds = 1u64
        .checked_shl(failures.saturating_sub(1))
        .filter(|seconds| *seconds > 0)
        .unwrap_or(u64::MAX);
    spread(Duration::from_secs(seconds).min(LONGEST_HELLO), dice)
}

fn spread(wait: Duration, dice: f64) -> Duration {
    wait.mul_f64(0.8 + 0.2 * dice.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(wait: impl Fn(u32, f64) -> Duration, failures: [u32; 6]) -> [u64; 6] {
        failures.map(|failures| wait(failures, 1.0).as_secs())
    }

    #[test]
    fn polls_wait_by_the_square_and_the_introduction_doubles() {
        assert_eq!(full(of_poll, [1, 2, 3, 7, 8, u32::MAX]), [1, 4, 9, 49, 60, 60]);
        assert_eq!(
            full(of_hello, [1, 2, 3, 9, 10, u32::MAX]),
            [1, 2, 4, 256, 300, 300]
        );
    }

    #[test]
    fn the_dice_take_a_fifth_at_most() {
        for dice in [0.0, 0.3, 0.99, 1.0] {
            let wait = of_poll(2, dice);
            assert!(
                wait >= Duration::from_millis(3200) && wait <= Duration::from_secs(4),
                "{wait:?}"
            );
        }
        assert!(of_poll(2, 0.0) < of_poll(2, 1.0));
    }
}
