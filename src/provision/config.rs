//! Bounds of the write path: how often, and for how long.
//!
//! Invariant: every loop of `provision` ends by one of these.

use std::time::Duration;

/// How patient a change is.
#[derive(Debug, Clone)]
pub struct ProvisionConfig {
    /// Writes of one change that take nothing away but what is asked for. Default: 3 per way.
    pub attempts: u32,
    /// Writes of one change in all, those that put a list back aside. Default: 12.
    pub most_writes: u32,
    /// How often a change starts over because somebody else changed the account right before a clear. Default: 3.
    pub restarts: u32,
    /// Writes that put a list back after a clear; one more for each of its items. Default: 30.
    pub restore_writes: u32,
    /// For how long a change tries to put a list back before recovery goes on with it. Default: 90 seconds.
    pub restore_for: Duration,
    /// For how long a change that has taken nothing away yet is tried. Default: 2 minutes.
    pub try_for: Duration,
    /// How long Coupa may take to show what it accepted. Default: 10 seconds.
    pub show_within: Duration,
    /// How often the account is read, at least, before it is believed that Coupa does not show what it accepted. Default: 4.
    pub least_looks: u32,
    /// The first pause between two reads or two attempts; each next one is twice as long. Default: 200 ms.
    pub first_pause: Duration,
    /// The longest pause between two reads or two attempts. Default: 3 seconds.
    pub longest_pause: Duration,
    /// How long after an answer was given up its request may still take effect. Default: 15 seconds.
    pub settle: Duration,
    /// How often two surfaces that show different lists are read again before both are believed. Default: 3.
    pub agree_reads: u32,
    /// How long a probe of the tenant is used. Default: 10 minutes.
    pub reader_age: Duration,
    /// First and longest pause of recovery between two rounds. Default: 1 second and 1 minute.
    pub recovery_pause: (Duration, Duration),
}

impl Default for ProvisionConfig {
    fn default() -> Self {
        Self {
            attempts: 3,
            most_writes: 12,
            restarts: 3,
            restore_writes: 30,
            restore_for: Duration::from_secs(90),
            try_for: Duration::from_mins(2),
            show_within: Duration::from_secs(10),
            least_looks: 4,
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(3),
            settle: Duration::from_secs(15),
            agree_reads: 3,
            reader_age: Duration::from_mins(10),
            recovery_pause: (Duration::from_secs(1), Duration::from_mins(1)),
        }
    }
}

impl ProvisionConfig {
    /// Writes that one change sends at most for a list of `items`.
    pub const fn bound(&self, items: u32) -> u32 {
        self.most_writes + self.restore_writes + items
    }
}
