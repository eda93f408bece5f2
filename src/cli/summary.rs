//! What a person reads at the end of a sync on a terminal: a short table on stderr.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

use super::plain;
use crate::model::tenant::{AccountClass, Usage};

/// One name and its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What is counted.
    pub name: String,
    /// How many.
    pub count: u64,
}

/// The resources of a targeted sync, by their baton ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Those that are in the run.
    pub written: Vec<String>,
    /// Those that are not there.
    pub missing: Vec<String>,
}

/// What a sync did.
#[derive(Debug, Clone)]
pub struct Summary {
    /// What a partial run is about; `None` if it is no partial run.
    pub part: Option<Part>,
    /// Rows written per resource type, then entitlements and grants; in the order to show.
    pub written: Vec<Row>,
    /// Holders of each license, of every class.
    pub seats: Vec<Row>,
    /// Accounts of classes that were not asked for.
    pub left_out: Vec<(AccountClass, u64)>,
    /// Requests to Coupa.
    pub usage: Usage,
    /// From start to end.
    pub elapsed: Duration,
    /// The file.
    pub file: PathBuf,
}

impl Summary {
    /// The text, ending with a newline.
    pub fn render(&self) -> String {
        let mut text = String::new();
        if let Some(Part { written, missing }) = &self.part {
            let _ = writeln!(text, "  partial run of {}", some(written));
            if !missing.is_empty() {
                let _ = writeln!(text, "  not there: {}", some(missing));
            }
        }
        let mut table = Table::new();
        table.load_style(NOTHING);
        for row in &self.written {
            table.add_row([row.name.clone(), grouped(row.count)]);
        }
        for row in self.seats.iter().filter(|row| row.count > 0) {
            table.add_row([format!("seats of {}", plain(&row.name)), grouped(row.count)]);
        }
        if let Some(numbers) = table.column_mut(1) {
            numbers.set_cell_alignment(CellAlignment::Right);
        }
        for line in table.lines() {
            let _ = writeln!(text, " {}", line.trim_end());
        }
        let left_out: Vec<String> = self
            .left_out
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(class, count)| format!("{} {}", class.name(), grouped(*count)))
            .collect();
        if !left_out.is_empty() {
            let _ = writeln!(
                text,
                "  left out (see --account-classes): {}",
                left_out.join(", ")
            );
        }
        let _ = writeln!(
            text,
            "  {} in {:.1} s",
            requests(self.usage),
            self.elapsed.as_secs_f64()
        );
        let _ = writeln!(text, "  written to {}", self.file.display());
        text
    }
}

/// Names that a line shows at most.
const NAMES: usize = 5;

fn some(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(NAMES).map(|name| plain(name)).collect();
    match names.len().saturating_sub(NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {} more", shown.join(", "), grouped(more as u64)),
    }
}

fn requests(usage: Usage) -> String {
    let noun = if usage.requests == 1 {
        "request"
    } else {
        "requests"
    };
    let mut text = format!("{} {noun}", grouped(usage.requests));
    if usage.retries > 0 {
        let _ = write!(text, ", {} of them sent again", grouped(usage.retries));
    }
    if usage.rate_limited > 0 {
        let _ = write!(text, ", {} rate limited", grouped(usage.rate_limited));
    }
    text
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, count: u64) -> Row {
        Row {
            name: name.to_owned(),
            count,
        }
    }

    fn summary() -> Summary {
        Summary {
            part: None,
            written: vec![row("users", 12_345), row("groups", 40), row("grants", 1_000_000)],
            seats: vec![row("Coupa \u{1b}[31mPay", 7), row("Unused", 0)],
            left_out: vec![(AccountClass::Supplier, 1_200), (AccountClass::Support, 0)],
            usage: Usage {
                requests: 1_234,
                retries: 2,
                rate_limited: 1,
            },
            elapsed: Duration::from_millis(61_240),
            file: "sync.c1z".into(),
        }
    }

    #[test]
    fn the_whole_text() {
        let expected = "
  users                      12,345
  groups                         40
  grants                  1,000,000
  seats of Coupa [31mPay          7
  left out (see --account-classes): supplier 1,200
  1,234 requests, 2 of them sent again, 1 rate limited in 61.2 s
  written to sync.c1z
";
        assert_eq!(format!("\n{}", summary().render()), expected);
    }

    #[test]
    fn a_partial_run_says_so_first_and_of_what() {
        let ids = |range: std::ops::Range<u32>| range.map(|n| format!("bid:r:role/{n}")).collect();
        let part = Summary {
            part: Some(Part {
                written: ids(1..9),
                missing: ids(9..10),
            }),
            ..summary()
        };
        let text = part.render();
        let expected =
            "  partial run of bid:r:role/1, bid:r:role/2, bid:r:role/3, bid:r:role/4, bid:r:role/5 and 3 more
  not there: bid:r:role/9
  users                      12,345
";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn what_did_not_happen_is_not_told() {
        let quiet = Summary {
            left_out: Vec::new(),
            usage: Usage {
                requests: 1,
                ..Usage::default()
            },
            ..summary()
        };
        let text = quiet.render();
        assert!(text.contains("  1 request in"), "{text}");
        assert!(
            !text.contains("left out") && !text.contains("again") && !text.contains("limited"),
            "{text}"
        );
    }
}
