//! What recovery by hand came to: one line for each entry.

use std::fmt::Write as _;

use super::plain;
use crate::provision::{Recovered, RecoveredState};

/// The lines; a sentence if nothing was open.
pub fn render(recovered: &[Recovered]) -> String {
    if recovered.is_empty() {
        return "nothing is open\n".to_owned();
    }
    recovered.iter().fold(String::new(), |mut text, one| {
        let state = match &one.state {
            RecoveredState::Closed(ending) => ending.name().to_owned(),
            RecoveredState::StillOpen(fault) => format!("still open: {}", plain(&fault.to_string())),
            RecoveredState::NeedsPerson(reason) => format!("needs a person: {}", plain(reason)),
        };
        let _ = writeln!(text, "entry {}: {state}", one.entry);
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fault::Fault;
    use crate::model::journal::{Ending, EntryId};

    #[test]
    fn each_entry_has_its_line() {
        let one = |id, state| Recovered {
            entry: EntryId(id),
            state,
        };
        let text = render(&[
            one(3, RecoveredState::Closed(Ending::Restored)),
            one(
                4,
                RecoveredState::StillOpen(Fault::unavailable("Coupa\u{1b} is away")),
            ),
            one(5, RecoveredState::NeedsPerson("user 7 lacks role 4".to_owned())),
        ]);
        assert_eq!(
            text,
            "entry 3: restored\nentry 4: still open: Coupa is away\nentry 5: needs a person: user 7 lacks role 4\n"
        );
        assert_eq!(render(&[]), "nothing is open\n");
    }
}
