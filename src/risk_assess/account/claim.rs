//! What a record claims, in words.
//!
//! Invariant: the words say what was read, answered or exported, with its day; never that an account was made.

use crate::model::downstream::{Expectation, Record, Standing};

use super::super::config::{Delivery, RiskAssessConfig, UserSync};
use super::is_synced;
use super::problem::day;

/// What the record claims, in one sentence for people: ids and days only.
pub fn claim(record: &Record, config: &RiskAssessConfig) -> String {
    let told = match record.expectation {
        Expectation::Active => active(record, config),
        Expectation::Closed => closed(record, config),
        Expectation::Kept => kept(record),
        Expectation::Undocumented => undocumented(record),
    };
    let read = match (record.reading.licensed, record.reading.active) {
        (true, true) => "license set and read back",
        (true, false) => "user read back as inactive",
        (false, _) => "license read back as not held",
    };
    let kinds: Vec<&str> = record.problems.iter().map(|problem| &*problem.kind).collect();
    if kinds.is_empty() {
        format!("{read}; {told}")
    } else {
        format!("{read}; {told}; to look at: {}", kinds.join(", "))
    }
}

fn active(record: &Record, config: &RiskAssessConfig) -> String {
    match record.standing {
        Standing::Expected => expected(record, config, "downstream sync"),
        Standing::Seen(grid) => format!("account seen in the user grid of {grid}"),
        Standing::Unknown => unknown(record),
        Standing::Delivered | Standing::Queued | Standing::Doubtful | Standing::Rejected => {
            sent(record, "the row of the user")
        }
    }
}

fn closed(record: &Record, config: &RiskAssessConfig) -> String {
    match record.standing {
        Standing::Expected => expected(record, config, "downstream deactivation"),
        Standing::Seen(grid) => format!("no active account seen in the user grid of {grid}"),
        Standing::Unknown => unknown(record),
        Standing::Delivered | Standing::Queued | Standing::Doubtful | Standing::Rejected => {
            sent(record, "the row that deactivates the account")
        }
    }
}

fn kept(record: &Record) -> String {
    match record.standing {
        Standing::Expected => "by the operator's statement the account stays as it is".to_owned(),
        Standing::Seen(grid) => format!("account still seen in the user grid of {grid}"),
        Standing::Unknown => unknown(record),
        Standing::Delivered | Standing::Queued | Standing::Doubtful | Standing::Rejected => {
            sent(record, "a row of the user")
        }
    }
}

fn undocumented(record: &Record) -> String {
    const SILENT: &str = "what becomes of the account is not documented";
    match record.standing {
        Standing::Expected => SILENT.to_owned(),
        Standing::Seen(grid) => format!("{SILENT}; account seen in the user grid of {grid}"),
        Standing::Unknown => format!("{SILENT}; {}", record.evidence),
        Standing::Delivered | Standing::Queued | Standing::Doubtful | Standing::Rejected => {
            format!("{SILENT}; {}", sent(record, "a row of the user"))
        }
    }
}

/// What is under way; who brings it decides what can be said.
fn expected(record: &Record, config: &RiskAssessConfig, native: &str) -> String {
    let by_sync = config.delivery == Delivery::Native || is_synced(record);
    match (config.delivery, config.user_sync) {
        (_, UserSync::On) if by_sync => format!("{native} expected"),
        (_, UserSync::Unknown) if by_sync => format!("{native} expected, if User Sync is on"),
        (Delivery::Native, _) => {
            format!("no {native} expected: User Sync is off by the operator's statement")
        }
        (Delivery::QuickIntegration, _) => "to be delivered; not acknowledged by Risk Assess".to_owned(),
        (Delivery::File, _) => "to be uploaded by a person; nothing known of that".to_owned(),
    }
}

fn unknown(record: &Record) -> String {
    format!("nothing known of the account: {}", record.evidence)
}

fn sent(record: &Record, row: &str) -> String {
    let on = day(record.since);
    match record.standing {
        Standing::Delivered => format!("Risk Assess acknowledged {row} on {on}"),
        Standing::Queued => {
            format!("Risk Assess put {row} into its queue on {on}; the result goes out by mail")
        }
        Standing::Doubtful => format!("{row} was sent on {on}, and what came back proves nothing"),
        Standing::Rejected => format!("Risk Assess refused {row} on {on}"),
        Standing::Expected | Standing::Seen(_) | Standing::Unknown => unknown(record),
    }
}
