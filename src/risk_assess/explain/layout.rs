//! Which column of a report holds what of whom.
//!
//! A header may say so itself (`Risk Assess Email`, `Email (Coupa)`, `Login`). Where it does not, order decides: all original data from Coupa stand
//! first, then Risk Assess' `Username`, `Coupa Username` and `Email` (S2).
//!
//! Invariant: a column is read as one thing or not at all, and what order decided is told.

use std::collections::BTreeMap;

use super::Side;
use crate::model::fault::Fault;
use crate::risk_assess::columns::{Column, plain};

/// The columns of Risk Assess in such a report (S2).
const THEIRS: [Column; 3] = [Column::Username, Column::CoupaUsername, Column::Email];

/// The columns of Coupa without which little can be said.
const OURS: [Column; 3] = [Column::CoupaUserId, Column::CoupaUsername, Column::Email];

/// Places of columns.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// Coupa's values; the login stands under [`Column::CoupaUsername`].
    pub(super) coupa: BTreeMap<Column, usize>,
    /// Risk Assess' values.
    pub(super) theirs: BTreeMap<Column, usize>,
    pub(super) failed_at: Option<usize>,
    pub(super) reason: Option<usize>,
    pub(super) fields: Option<usize>,
    pub(super) values: Option<usize>,
    pub(super) license: Option<usize>,
    /// Headers that say nothing, or what another column says already.
    pub(super) unknown: Vec<String>,
    /// What is missing.
    pub(super) absent: Vec<String>,
    /// What was decided by order.
    pub(super) notes: Vec<String>,
}

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    FailedAt,
    Reason,
    Fields,
    Values,
    License,
    /// A field, and whose it is.
    Of(Side, Column),
    /// A field, and not whose.
    Field(Column),
    /// Data of Coupa that Risk Assess does not have, or who made the file.
    Aside,
    Nothing,
}

impl Layout {
    pub(super) fn of(header: &[String]) -> Result<Self, Fault> {
        let says: Vec<Says> = header.iter().map(|name| says(name)).collect();
        let mut layout = Self::default();
        let mut open: BTreeMap<Column, Vec<usize>> = BTreeMap::new();
        for (place, what) in says.iter().enumerate() {
            match *what {
                Says::FailedAt => layout.aside(header, place, |layout| &mut layout.failed_at),
                Says::Reason => layout.aside(header, place, |layout| &mut layout.reason),
                Says::Fields => layout.aside(header, place, |layout| &mut layout.fields),
                Says::Values => layout.aside(header, place, |layout| &mut layout.values),
                Says::License => layout.aside(header, place, |layout| &mut layout.license),
                Says::Of(side, column) => layout.put(header, side, column, place),
                Says::Field(column) => open.entry(column).or_default().push(place),
                Says::Aside => {}
                Says::Nothing => layout.unknown.extend(named(header, place)),
            }
        }
        layout.settle(header, &says, open);
        layout.miss()?;
        Ok(layout)
    }

    fn aside(&mut self, header: &[String], place: usize, slot: fn(&mut Self) -> &mut Option<usize>) {
        match slot(self) {
            Some(_) => self.unknown.extend(named(header, place)),
            free => *free = Some(place),
        }
    }

    fn put(&mut self, header: &[String], side: Side, column: Column, place: usize) {
        let (side, column) = match (side, column) {
            // Coupa's own word for what it calls a login elsewhere.
            (Side::Coupa, Column::Username) => (&mut self.coupa, Column::CoupaUsername),
            (Side::Coupa, other) => (&mut self.coupa, other),
            (Side::RiskAssess, other) => (&mut self.theirs, other),
        };
        if side.contains_key(&column) {
            self.unknown.extend(named(header, place));
        } else {
            side.insert(column, place);
        }
    }

    /// Decides by order whose the fields are whose headers do not say so.
    fn settle(&mut self, header: &[String], says: &[Says], mut open: BTreeMap<Column, Vec<usize>>) {
        if self.theirs.keys().all(|column| !THEIRS.contains(column)) {
            for (column, place) in block(says) {
                self.take(header, &mut open, column, place);
            }
            // A field that stands twice: Coupa's first.
            let twice: Vec<(Column, usize)> = open
                .iter()
                .filter_map(|(column, places)| match places[..] {
                    [_, .., last] => Some((*column, last)),
                    _ => None,
                })
                .collect();
            for (column, last) in twice {
                self.take(header, &mut open, column, last);
            }
            // A field that Coupa has elsewhere, or that only Risk Assess calls so.
            let login = self.coupa.contains_key(&Column::CoupaUsername);
            for column in THEIRS {
                let free = !self.theirs.contains_key(&column);
                let theirs = match column {
                    Column::Username => login || open.contains_key(&Column::CoupaUsername),
                    Column::CoupaUsername => login || open.contains_key(&Column::Username),
                    other => self.coupa.contains_key(&other),
                };
                match open.get(&column).map(Vec::as_slice) {
                    Some(&[place]) if free && theirs => self.take(header, &mut open, column, place),
                    _ => {}
                }
            }
        }
        for (column, places) in open {
            for place in places {
                self.put(header, Side::Coupa, column, place);
            }
        }
    }

    fn take(
        &mut self,
        header: &[String],
        open: &mut BTreeMap<Column, Vec<usize>>,
        column: Column,
        place: usize,
    ) {
        if let Some(places) = open.get_mut(&column) {
            places.retain(|other| *other != place);
            if places.is_empty() {
                open.remove(&column);
            }
        }
        self.put(header, Side::RiskAssess, column, place);
        self.notes.push(format!(
            "column {}, `{}`, is taken for Risk Assess': Coupa's own data stand first",
            place + 1,
            header[place]
        ));
    }

    /// Lists what is missing; without anything of one side there is nothing to explain.
    fn miss(&mut self) -> Result<(), Fault> {
        if self.coupa.is_empty() {
            return Err(Fault::invalid(
                "this is no error report of the user sync: no column holds data from Coupa",
            )
            .advise("its first line must name the columns, for instance Coupa User ID and Email"));
        }
        if self.theirs.is_empty() && self.fields.is_none() {
            return Err(
                Fault::invalid("this is no error report of the user sync: no column holds data from Risk Assess")
                    .advise("its first line must name the columns Username, Coupa Username and Email of Risk Assess behind those of Coupa"),
            );
        }
        let absent = |side: Side, column: &Column| format!("{}: {}", side.text(), column.title());
        let ours = OURS.iter().filter(|column| !self.coupa.contains_key(column));
        let theirs = THEIRS.iter().filter(|column| !self.theirs.contains_key(column));
        self.absent = ours
            .map(|column| absent(Side::Coupa, column))
            .chain(theirs.map(|column| absent(Side::RiskAssess, column)))
            .collect();
        Ok(())
    }
}

/// The name of a column; an empty one by its place.
fn named(header: &[String], place: usize) -> Option<String> {
    let name = header.get(place)?;
    Some(if name.is_empty() {
        format!("column {}", place + 1)
    } else {
        name.clone()
    })
}

/// The fields of Risk Assess at the end of the columns, where at least two of them stand there together.
fn block(says: &[Says]) -> Vec<(Column, usize)> {
    let mut found: Vec<(Column, usize)> = Vec::new();
    for (place, what) in says.iter().enumerate().rev() {
        match what {
            Says::Field(column)
                if THEIRS.contains(column) && found.iter().all(|(other, _)| other != column) =>
            {
                found.push((*column, place));
            }
            Says::Field(_) | Says::Of(..) => break,
            Says::FailedAt
            | Says::Reason
            | Says::Fields
            | Says::Values
            | Says::License
            | Says::Aside
            | Says::Nothing => {}
        }
    }
    if found.len() < 2 {
        return Vec::new();
    }
    found.reverse();
    found
}

fn says(header: &str) -> Says {
    let name = plain(header);
    match name.as_str() {
        "reason" | "error" | "errormessage" | "message" | "errordescription" => return Says::Reason,
        "fields" | "field" | "mismatchedfields" | "mismatch" => return Says::Fields,
        "riskassessvalues" => return Says::Values,
        "madeby" => return Says::Aside,
        "riskassesslicense" | "coupariskassesslicense" | "riskassessuser" => return Says::License,
        "date" | "failedon" => return Says::FailedAt,
        "login" | "coupalogin" => return Says::Of(Side::Coupa, Column::CoupaUsername),
        "id" => return Says::Of(Side::Coupa, Column::CoupaUserId),
        _ => {}
    }
    match Column::of_header(header) {
        Some(Column::CoupaUserId) => return Says::Of(Side::Coupa, Column::CoupaUserId),
        // Risk Assess' field (S2), or Coupa's login named after it.
        Some(Column::CoupaUsername) => return Says::Field(Column::CoupaUsername),
        _ => {}
    }
    let field = |rest: &str| Column::of_header(rest).filter(|column| *column != Column::FailedAt);
    // Behind the name first: `Coupa Username (Coupa)` is marked once.
    let marked = |mark: &str| {
        let rests = [name.strip_suffix(mark), name.strip_prefix(mark)];
        rests.into_iter().flatten().find_map(field)
    };
    if let Some(column) = marked("riskassess").or_else(|| marked("cra")) {
        return Says::Of(Side::RiskAssess, column);
    }
    if let Some(column) = marked("coupa") {
        return Says::Of(Side::Coupa, column);
    }
    if name.len() > "coupa".len() && name.starts_with("coupa") {
        return Says::Aside;
    }
    match Column::of_header(header) {
        Some(Column::FailedAt) => Says::FailedAt,
        Some(column) => Says::Field(column),
        None => Says::Nothing,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn layout(header: &str) -> Layout {
        let header: Vec<String> = header.split(',').map(str::to_owned).collect();
        Layout::of(&header).unwrap()
    }

    /// Places of login and e-mail in Coupa, then of user name, Coupa user name and e-mail in Risk Assess.
    fn places(header: &str) -> [Option<usize>; 5] {
        let layout = layout(header);
        let ours = |column| layout.coupa.get(&column).copied();
        let theirs = |column| layout.theirs.get(&column).copied();
        [
            ours(Column::CoupaUsername),
            ours(Column::Email),
            theirs(Column::Username),
            theirs(Column::CoupaUsername),
            theirs(Column::Email),
        ]
    }

    #[test]
    fn headers_say_whose_or_order_does() {
        for (header, [login, email, username, coupa_username, their_email]) in [
            // What S2 describes, with Coupa's login under its own name.
            (
                "Date Sync Failed,Coupa ID,Login,Email,First Name,Username,Coupa Username,Email",
                [2, 3, 5, 6, 7],
            ),
            // All names twice.
            ("ID,Username,Email,Coupa Username,Email,Username", [1, 2, 5, 3, 4]),
            // Coupa's login as `Coupa Username`, once for each.
            (
                "Coupa User ID,Coupa Username,Email,First Name,Username,Coupa Username,Email",
                [1, 2, 4, 5, 6],
            ),
            // Each says whose it is, in any order.
            (
                "Risk Assess Email,Risk Assess Coupa Username,Coupa Email,Coupa Username,Risk Assess Username,Coupa User ID",
                [3, 2, 4, 1, 0],
            ),
            (
                "email (coupa),login,E-Mail (Risk Assess),cra_username,CRA Coupa Username",
                [1, 0, 3, 4, 2],
            ),
            // Other columns behind.
            (
                "Login,Email,Username,Coupa Username,Email,Shoe Size,Reason",
                [0, 1, 2, 3, 4],
            ),
            // Reordered: Risk Assess' two first.
            (
                "Username,Coupa Username,Login,Coupa Email,Email,City",
                [2, 3, 0, 1, 4],
            ),
        ] {
            let expected = [login, email, username, coupa_username, their_email].map(Some);
            assert_eq!(places(header), expected, "{header}");
        }
    }

    #[test]
    fn what_is_not_there_is_told_and_nothing_else_taken_for_it() {
        let found = layout("Login,First Name,Username,Coupa Username,Email,Shoe Size,");
        assert_eq!(found.absent, ["Coupa: Coupa User ID", "Coupa: Email"]);
        assert_eq!(found.unknown, ["Shoe Size", "column 7"]);
        assert_eq!(found.notes.len(), 3);
        let found = layout("Coupa User ID,Email,Username");
        assert_eq!(
            (found.coupa.get(&Column::Email), found.theirs.get(&Column::Email)),
            (None, Some(&1)),
            "two of the three at the end are Risk Assess'"
        );
        let found = layout("Coupa User ID,Coupa Username,Email,City,Risk Assess Username");
        assert_eq!(
            found.absent,
            ["Risk Assess: Coupa Username", "Risk Assess: Email"],
            "a column without a mark beside marked ones is Coupa's"
        );
        assert!(found.notes.is_empty());
    }

    #[test]
    fn a_table_of_something_else_is_refused() {
        for header in ["Shoe Size,Colour", "Coupa User ID,Login,First Name", ""] {
            let header: Vec<String> = header.split(',').map(str::to_owned).collect();
            let fault = Layout::of(&header).unwrap_err();
            assert!(fault.to_string().contains("no error report"), "{fault}");
        }
    }
}
