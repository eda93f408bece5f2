//! Which column of a file is which.
//!
//! Invariants: no column is guessed by its place, and none is there twice; a column that we do not know is kept and told.

use std::collections::BTreeMap;

use crate::model::fault::Fault;

use super::columns::Column;
use super::sheet::Line;
use super::theirs::TheirAccount;

/// The columns of one file, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    columns: Vec<Option<Column>>,
    unknown: Vec<String>,
}

impl Layout {
    /// By the first line of a file. Two headers for one column are an error: nobody can say which of them is meant.
    pub fn of(header: &[String]) -> Result<Self, Fault> {
        let columns: Vec<_> = header.iter().map(|name| Column::of_header(name)).collect();
        let twice = Column::all().filter_map(|column| {
            let places = columns
                .iter()
                .zip(1..)
                .filter(|(known, _)| **known == Some(column));
            let places: Vec<String> = places.map(|(_, place): (_, u32)| place.to_string()).collect();
            (places.len() > 1).then(|| format!("{} (columns {})", column.title(), places.join(" and ")))
        });
        let twice: Vec<String> = twice.collect();
        if !twice.is_empty() {
            return Err(Fault::invalid(format!(
                "the file has more than one column for {}",
                twice.join(", ")
            ))
            .advise("keep one of them"));
        }
        let unknown = header
            .iter()
            .zip(&columns)
            .zip(1..)
            .filter(|((_, column), _)| column.is_none())
            .map(|((name, _), place): (_, u32)| match name.as_str() {
                "" => format!("column {place} (without a name)"),
                name => name.to_owned(),
            })
            .collect();
        Ok(Self { columns, unknown })
    }

    /// What each column is, in the file's order.
    pub fn columns(&self) -> &[Option<Column>] {
        &self.columns
    }

    /// Headers that mean nothing to us.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// Whether the file has a column.
    pub fn has(&self, column: Column) -> bool {
        self.columns.contains(&Some(column))
    }

    /// Those of `wanted` that the file lacks.
    pub fn missing(&self, wanted: &[Column]) -> Vec<Column> {
        wanted
            .iter()
            .copied()
            .filter(|column| !self.has(*column))
            .collect()
    }

    /// A line as an account.
    pub fn account(&self, line: &Line) -> TheirAccount {
        let cells: BTreeMap<Column, Box<str>> = self
            .columns
            .iter()
            .zip(&line.cells)
            .filter_map(|(column, text)| {
                let text = text.trim();
                (!text.is_empty()).then(|| column.map(|column| (column, text.into())))?
            })
            .collect();
        TheirAccount {
            line: line.number,
            coupa_id: cells.get(&Column::CoupaUserId).and_then(|text| text.parse().ok()),
            cells,
        }
    }
}

/// Whether a row has a Coupa User ID that is no number of a Coupa user.
pub(crate) fn id_is_unreadable(account: &TheirAccount) -> bool {
    account.coupa_id.is_none() && account.get(Column::CoupaUserId).is_some()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn header(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn two_headers_for_one_column_are_told_with_their_places() {
        let fault = Layout::of(&header(&["E-Mail", "City", "EmailAddress", "Town"]))
            .err()
            .unwrap();
        assert_eq!(
            fault.to_string(),
            "the file has more than one column for Email (columns 1 and 3), City (columns 2 and 4); keep one of them"
        );
    }

    #[test]
    fn what_is_not_known_is_kept_and_may_be_there_twice() {
        let layout = Layout::of(&header(&["Shoe size", "Email *", "", "Shoe size"])).unwrap();
        assert_eq!(
            layout.unknown(),
            ["Shoe size", "column 3 (without a name)", "Shoe size"]
        );
        let line = Line {
            number: 7,
            cells: header(&["44", " ann@example.com ", "x", ""]),
        };
        let account = layout.account(&line);
        assert_eq!(
            (account.line, account.get(Column::Email)),
            (7, Some("ann@example.com"))
        );
        assert_eq!(account.cells.len(), 1);
        assert_eq!(layout.missing(&Column::MANDATORY).len(), 4);
    }

    #[test]
    fn an_id_that_is_no_number_is_known_as_such() {
        let layout = Layout::of(&header(&["Coupa User ID"])).unwrap();
        for (text, id, unreadable) in [
            ("42", Some(42), false),
            ("", None, false),
            ("0", None, true),
            ("042", None, true),
            ("4.5", None, true),
        ] {
            let account = layout.account(&Line {
                number: 2,
                cells: header(&[text]),
            });
            assert_eq!(account.coupa_id.map(crate::model::id::UserId::get), id, "{text}");
            assert_eq!(id_is_unreadable(&account), unreadable, "{text}");
        }
    }
}
