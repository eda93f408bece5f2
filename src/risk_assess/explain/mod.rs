//! An error report of the account sync, row by row: which field differs, how, and what to change where.
//!
//! It reads ours and Coupa's. The headers of Coupa's are not published (risk-assess, section 3), so columns are found by what their headers
//! say, in any order; columns that say nothing are listed, and so is what is missing.
//!
//! Invariant: only what stands in the file is compared. Values of Risk Assess that are called unknown are never taken for blank ones. What this
//! gives holds personal values, since it is for the reader of the file; its `Debug` shows none.

mod advice;
mod differ;
mod layout;

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use serde::Serialize;

use super::columns::Column;
use super::report;
use super::sheet::{Line, Sheet, without_guard};
use crate::model::fault::Fault;
use layout::Layout;

/// A report explained. Names of its members in JSON are stable.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// Headers that say nothing to us; their columns were not read.
    pub unknown_columns: Vec<String>,
    /// Columns that a report should have and this one does not, by whose they would be.
    pub absent_columns: Vec<String>,
    /// How columns were read whose headers alone do not say whose they are.
    pub notes: Vec<String>,
    /// The rows in the order of the file.
    pub rows: Vec<Row>,
}

/// One row of the report.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Line in the file, from 1 with the header.
    pub line: u64,
    /// The number of the user in Coupa, as it stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coupa_user_id: Option<String>,
    /// The user: login or e-mail, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// When the sync failed, as it stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<String>,
    /// The reason that the report itself gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The fields that differ.
    pub findings: Vec<Finding>,
    /// What else may be behind it.
    pub hints: Vec<String>,
}

/// One field that differs.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The field, by its title in Risk Assess' template.
    pub field: &'static str,
    /// What Coupa has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coupa: Option<String>,
    /// What Risk Assess has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk_assess: Option<String>,
    /// How they differ.
    pub differs: Vec<Way>,
    /// Where exactly, if that is hard to see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Where to change it.
    pub change_in: Side,
    /// What to do there.
    pub fix: String,
}

/// How a value of Coupa and its twin in Risk Assess differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Risk Assess has none.
    MissingInRiskAssess,
    /// Coupa has none.
    MissingInCoupa,
    /// Blanks before or behind.
    EdgeSpaces,
    /// Upper and lower case.
    LetterCase,
    /// The same letters, stored in another form of Unicode.
    UnicodeForm,
    /// Other letters that look the same, or letters that nobody sees.
    LookAlike,
    /// Signs between the digits of a telephone number.
    Punctuation,
    /// In substance.
    Different,
    /// The report names the field and does not show what Risk Assess has.
    Recorded,
}

impl Way {
    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::MissingInRiskAssess => "missing in Risk Assess",
            Self::MissingInCoupa => "missing in Coupa",
            Self::EdgeSpaces => "spaces at the edge",
            Self::LetterCase => "letter case",
            Self::UnicodeForm => "Unicode form",
            Self::LookAlike => "look-alike letters",
            Self::Punctuation => "punctuation",
            Self::Different => "different",
            Self::Recorded => "named by the report",
        }
    }
}

/// One of the two products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Coupa.
    Coupa,
    /// Risk Assess.
    RiskAssess,
}

impl Side {
    /// The product's name.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Coupa => "Coupa",
            Self::RiskAssess => "Risk Assess",
        }
    }
}

impl fmt::Debug for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Explained")
            .field("rows", &self.rows.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("line", &self.line)
            .field("findings", &self.findings)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finding")
            .field("field", &self.field)
            .field("differs", &self.differs)
            .finish_non_exhaustive()
    }
}

/// Explains a report. Read it with [`read_untrimmed`](super::sheet::read_untrimmed), or spaces at the edges are not seen.
pub fn explain(sheet: &Sheet) -> Result<Explained, Fault> {
    let layout = Layout::of(&sheet.header)?;
    let mut rows: Vec<Row> = sheet
        .lines
        .iter()
        .map(|line| {
            Cells {
                line,
                layout: &layout,
            }
            .row()
        })
        .collect();
    for (row, hint) in shared(sheet, &layout) {
        rows[row].hints.push(hint);
    }
    Ok(Explained {
        unknown_columns: layout.unknown,
        absent_columns: layout.absent,
        notes: layout.notes,
        rows,
    })
}

/// One line, by what its columns mean.
struct Cells<'a> {
    line: &'a Line,
    layout: &'a Layout,
}

/// Whether Risk Assess knows whose account it is, as far as the row shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// It names a Coupa user.
    Named,
    /// It names none.
    None,
    /// The file does not tell.
    Unknown,
}

impl<'a> Cells<'a> {
    fn at(&self, place: Option<usize>) -> Option<&'a str> {
        let text = without_guard(self.line.cells.get(place?)?);
        (!text.trim().is_empty()).then_some(text)
    }

    fn coupa(&self, column: Column) -> Option<&'a str> {
        self.at(self.layout.coupa.get(&column).copied())
    }

    fn theirs(&self, column: Column) -> Option<&'a str> {
        self.at(self.layout.theirs.get(&column).copied())
    }

    /// Who it is, for telling two users from each other.
    fn identity(&self) -> Option<&'a str> {
        self.coupa(Column::CoupaUserId)
            .or_else(|| self.coupa(Column::CoupaUsername))
    }

    fn row(&self) -> Row {
        let mut findings = if self.shows_theirs() {
            self.compared()
        } else {
            Vec::new()
        };
        for column in self.recorded() {
            if findings.iter().all(|finding| finding.field != column.title()) {
                let values = (self.coupa(column), self.theirs(column));
                findings.push(self.finding(column, values, vec![Way::Recorded]));
            }
        }
        let text = |place| self.at(place).map(|text| text.trim().to_owned());
        let user = [
            self.coupa(Column::CoupaUsername),
            self.coupa(Column::Email),
            self.theirs(Column::Username),
        ];
        Row {
            line: self.line.number,
            coupa_user_id: text(self.layout.coupa.get(&Column::CoupaUserId).copied()),
            user: user
                .into_iter()
                .flatten()
                .next()
                .map(|user| user.trim().to_owned()),
            failed_at: text(self.layout.failed_at),
            reason: text(self.layout.reason),
            hints: self.hints(&findings),
            findings,
        }
    }

    /// Whether the row shows anything of Risk Assess.
    fn shows_theirs(&self) -> bool {
        let called_unknown = self
            .at(self.layout.values)
            .is_some_and(|text| text.trim().eq_ignore_ascii_case(report::UNKNOWN));
        let mut columns = self.layout.theirs.keys();
        !called_unknown && columns.any(|column| self.theirs(*column).is_some())
    }

    fn compared(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for column in self.layout.theirs.keys().copied() {
            let theirs = self.theirs(column);
            let (coupa, ways) = match column {
                Column::Username => self.user_name(theirs),
                _ if !self.layout.coupa.contains_key(&column) => continue,
                _ => {
                    let coupa = self.coupa(column);
                    (coupa, differ::ways(column, coupa, theirs))
                }
            };
            if !ways.is_empty() {
                findings.push(self.finding(column, (coupa, theirs), ways));
            }
        }
        findings
    }

    /// What the user name in Risk Assess is compared with: it is the e-mail address by default (D501) and may be the login; of the two the
    /// nearer one counts.
    fn user_name(&self, theirs: Option<&str>) -> (Option<&'a str>, Vec<Way>) {
        let twins = [self.coupa(Column::Email), self.coupa(Column::CoupaUsername)];
        let compared = twins.into_iter().flatten().map(|twin| {
            let ways = differ::ways(Column::Username, Some(twin), theirs);
            (Some(twin), ways)
        });
        let distance = |ways: &[Way]| {
            if ways.contains(&Way::Different) {
                usize::MAX
            } else {
                ways.len()
            }
        };
        // The first of equals: the e-mail.
        compared
            .min_by_key(|(_, ways)| distance(ways))
            .unwrap_or((None, Vec::new()))
    }

    /// Fields that the report itself names.
    fn recorded(&self) -> BTreeSet<Column> {
        self.at(self.layout.fields)
            .unwrap_or_default()
            .split([';', ','])
            .filter_map(Column::of_header)
            .collect()
    }

    fn finding(&self, column: Column, values: (Option<&str>, Option<&str>), ways: Vec<Way>) -> Finding {
        let (coupa, theirs) = values;
        let detail = match (coupa, theirs) {
            (Some(coupa), Some(theirs)) => differ::detail(&ways, coupa, theirs),
            _ => None,
        };
        let (change_in, fix) = advice::fix(&advice::Case {
            column,
            ways: &ways,
            link: self.link(),
            user: self.coupa(Column::CoupaUserId).map(str::trim),
            coupa,
        });
        Finding {
            field: column.title(),
            coupa: coupa.map(str::to_owned),
            risk_assess: theirs.map(str::to_owned),
            differs: ways,
            detail,
            change_in,
            fix,
        }
    }

    fn link(&self) -> Link {
        let names = [Column::CoupaUserId, Column::CoupaUsername];
        if !self.shows_theirs() {
            Link::Unknown
        } else if names.into_iter().any(|name| self.theirs(name).is_some()) {
            Link::Named
        } else if self.layout.theirs.contains_key(&Column::CoupaUsername) {
            Link::None
        } else {
            Link::Unknown
        }
    }

    fn hints(&self, findings: &[Finding]) -> Vec<String> {
        let mut hints = Vec::new();
        if differ::is_inactive(self.coupa(Column::Status)) {
            hints.push(advice::INACTIVE.to_owned());
        }
        if self.at(self.layout.license).is_some_and(differ::is_no) {
            hints.push(advice::UNLICENSED.to_owned());
        }
        if !self.shows_theirs() {
            hints.push(advice::NOTHING_SHOWN.to_owned());
        } else if findings.is_empty() {
            hints.push(advice::NOTHING_DIFFERS.to_owned());
        }
        hints
    }
}

/// Rows of different users that have the same login or e-mail in Coupa, letter case aside: Risk Assess finds accounts by them (S1).
fn shared(sheet: &Sheet, layout: &Layout) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for column in [Column::CoupaUsername, Column::Email] {
        let mut rows: HashMap<String, Vec<(usize, &str)>> = HashMap::new();
        for (row, line) in sheet.lines.iter().enumerate() {
            let cells = Cells { line, layout };
            if let (Some(who), Some(key)) = (cells.identity(), cells.coupa(column)) {
                let key = key.trim().to_lowercase();
                rows.entry(key).or_default().push((row, who.trim()));
            }
        }
        for holders in rows.values() {
            for (row, who) in holders {
                let mut others = holders.iter().filter(|(_, other)| other != who).peekable();
                if others.peek().is_none() {
                    continue;
                }
                let lines: Vec<String> = others
                    .map(|(other, _)| sheet.lines[*other].number.to_string())
                    .collect();
                found.push((*row, advice::shared(column, &lines)));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
