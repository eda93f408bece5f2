//! The form in which records of accounts lie in the database. Names are part of the file's format: they stay as they are.
//!
//! What has parts (the reading, the judgement, problems, a standing with its day) is one JSON text, there whole or not at all.
//!
//! Invariant: what is written comes back equal; a name that this version does not know is an error, never a guess.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::model::downstream::{Digest, Expectation, Judged, Link, Problem, Reading, Record, Standing};
use crate::model::readiness::Level;
use crate::state::form::{Unreadable, from_json, named, parse, time_text, user_text};

/// One row of the table of accounts.
pub(super) struct Row {
    pub(super) user: String,
    pub(super) expectation: String,
    pub(super) standing: String,
    pub(super) since: String,
    pub(super) evidence: String,
    pub(super) link: Option<String>,
    pub(super) reading: String,
    pub(super) judged: Option<String>,
    pub(super) problems: String,
}

impl Row {
    /// The row of a record.
    pub(super) fn of(record: &Record) -> serde_json::Result<Self> {
        let link = record.link.map(|(by, on)| LinkForm {
            by: by.name().into(),
            on,
        });
        let judged = record.judged.as_ref().map(JudgedForm::of);
        let problems: Vec<_> = record.problems.iter().map(ProblemForm::of).collect();
        Ok(Self {
            user: user_text(record.user),
            expectation: record.expectation.name().to_owned(),
            standing: serde_json::to_string(&StandingForm::of(record.standing))?,
            since: time_text(record.since),
            evidence: record.evidence.to_string(),
            link: link.map(|form| serde_json::to_string(&form)).transpose()?,
            reading: serde_json::to_string(&ReadingForm::of(&record.reading))?,
            judged: judged.map(|form| serde_json::to_string(&form)).transpose()?,
            problems: serde_json::to_string(&problems)?,
        })
    }

    /// The record.
    pub(super) fn record(self) -> Result<Record, Unreadable> {
        let link = self.link.as_deref().map(|text| from_json("link", text));
        let judged = self.judged.as_deref().map(|text| from_json("judged", text));
        let problems: Vec<ProblemForm<'_>> = from_json("problems", &self.problems)?;
        Ok(Record {
            user: parse("user", &self.user)?,
            expectation: named(
                "expectation",
                &self.expectation,
                &Expectation::ALL,
                Expectation::name,
            )?,
            standing: from_json::<StandingForm>("standing", &self.standing)?.standing(),
            since: parse("since", &self.since)?,
            link: link
                .transpose()?
                .map(|form: LinkForm<'_>| form.link())
                .transpose()?,
            reading: from_json::<ReadingForm<'_>>("reading", &self.reading)?.reading(),
            judged: judged
                .transpose()?
                .map(|form: JudgedForm<'_>| form.judged())
                .transpose()?,
            problems: problems.into_iter().map(ProblemForm::problem).collect(),
            evidence: self.evidence.into(),
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StandingForm {
    Expected,
    Delivered,
    Queued,
    Doubtful,
    Rejected,
    Seen(Date),
    Unknown,
}

impl StandingForm {
    const fn of(standing: Standing) -> Self {
        match standing {
            Standing::Expected => Self::Expected,
            Standing::Delivered => Self::Delivered,
            Standing::Queued => Self::Queued,
            Standing::Doubtful => Self::Doubtful,
            Standing::Rejected => Self::Rejected,
            Standing::Seen(date) => Self::Seen(date),
            Standing::Unknown => Self::Unknown,
        }
    }

    const fn standing(self) -> Standing {
        match self {
            Self::Expected => Standing::Expected,
            Self::Delivered => Standing::Delivered,
            Self::Queued => Standing::Queued,
            Self::Doubtful => Standing::Doubtful,
            Self::Rejected => Standing::Rejected,
            Self::Seen(date) => Standing::Seen(date),
            Self::Unknown => Standing::Unknown,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkForm<'a> {
    by: Cow<'a, str>,
    on: Date,
}

impl LinkForm<'_> {
    fn link(&self) -> Result<(Link, Date), Unreadable> {
        Ok((named("link", &self.by, &Link::ALL, Link::name)?, self.on))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ReadingForm<'a> {
    at: Timestamp,
    updated_at: Option<Timestamp>,
    licensed: bool,
    active: bool,
    fields: Cow<'a, str>,
    login: Cow<'a, str>,
    email: Option<Cow<'a, str>>,
}

impl<'a> ReadingForm<'a> {
    fn of(reading: &'a Reading) -> Self {
        let text = |digest: &'a Digest| Cow::Borrowed(&*digest.0);
        Self {
            at: reading.at,
            updated_at: reading.updated_at,
            licensed: reading.licensed,
            active: reading.active,
            fields: text(&reading.fields),
            login: text(&reading.login),
            email: reading.email.as_ref().map(text),
        }
    }

    fn reading(self) -> Reading {
        let digest = |text: Cow<'a, str>| Digest(text.into());
        Reading {
            at: self.at,
            updated_at: self.updated_at,
            licensed: self.licensed,
            active: self.active,
            fields: digest(self.fields),
            login: digest(self.login),
            email: self.email.map(digest),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JudgedForm<'a> {
    at: Timestamp,
    worst: Option<Cow<'a, str>>,
    rules: Cow<'a, [Box<str>]>,
}

impl<'a> JudgedForm<'a> {
    fn of(judged: &'a Judged) -> Self {
        Self {
            at: judged.at,
            worst: judged.worst.map(|level| level.name().into()),
            rules: (&judged.rules).into(),
        }
    }

    fn judged(self) -> Result<Judged, Unreadable> {
        let level = |name: Cow<'_, str>| {
            let known = Level::from_name(&name);
            known.ok_or_else(|| Unreadable::of("judged", format!("unknown name {name:?}")))
        };
        Ok(Judged {
            at: self.at,
            worst: self.worst.map(level).transpose()?,
            rules: self.rules.into_owned(),
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProblemForm<'a> {
    kind: Cow<'a, str>,
    text: Cow<'a, str>,
    at: Timestamp,
}

impl<'a> ProblemForm<'a> {
    fn of(problem: &'a Problem) -> Self {
        Self {
            kind: Cow::Borrowed(&problem.kind),
            text: Cow::Borrowed(&problem.text),
            at: problem.at,
        }
    }

    fn problem(self) -> Problem {
        Problem {
            kind: self.kind.into(),
            text: self.text.into(),
            at: self.at,
        }
    }
}
